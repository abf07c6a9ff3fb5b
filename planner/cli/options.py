"""The options that several commands share, so that each reads the same everywhere."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer

ScenarioFile = Annotated[Path, typer.Argument(help="Scenario file (YAML).", metavar="SCENARIO")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a value of the scenario; repeatable. Example: budget.time='9 days'.",
    ),
]
Catalog = Annotated[
    list[Path] | None,
    typer.Option(
        "--catalog",
        metavar="DIR",
        help="A catalog laid over the shipped one; repeatable.",
        envvar="PLANNER_CATALOG",
        exists=True,
        file_okay=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Output = Annotated[Path | None, typer.Option("-o", "--output", metavar="FILE", help="Save the JSON document to FILE.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no table and no messages.")]
Date = Annotated[
    datetime | None,
    typer.Option(
        "--date", metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help="Tell ages of prices as of this day; default: today."
    ),
]


def day(given: datetime | None) -> date:
    """The day that ages of prices are relative to: the reader's own where `--date` gives none."""
    return given.date() if given else date.today()  # noqa: DTZ011 - the reader's own day
