"""The options that several commands share, so that each reads the same everywhere."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

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


def catalogs(meaning: str = "A catalog laid over the shipped one; repeatable.", **checked: Any) -> Any:
    """The option --catalog."""
    variable = "PLANNER_CATALOG"
    return typer.Option("--catalog", metavar="DIR", help=meaning, envvar=variable, file_okay=False, **checked)


def day_option(name: str, meaning: str) -> Any:
    """An option that takes a day."""
    return typer.Option(name, metavar="YYYY-MM-DD", formats=["%Y-%m-%d"], help=meaning)


def file_option(meaning: str) -> Any:
    """The option --output of a file."""
    return typer.Option("-o", "--output", metavar="FILE", help=meaning)


def _with_own(given: list[Path] | None) -> list[Path]:
    """The folders that are given, over those that are laid over the shipped catalog without being named."""
    from planner.catalog.overlay import overlay_dirs

    return list(overlay_dirs(given or ()))


def chart_file(meaning: str = "Draw it into FILE: .svg, .png or .html.") -> Any:
    """The option --chart; a wrong name is told before anything else is done."""
    return typer.Option("--chart", metavar="FILE", help=meaning, callback=_of_known_kind)


def _of_known_kind(path: Path | None) -> Path | None:
    from planner.report.charts import chart_kind

    if path is not None:
        chart_kind(path)
    return path


Catalog = Annotated[list[Path] | None, catalogs(exists=True, callback=_with_own)]
Chart = Annotated[Path | None, chart_file()]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Output = Annotated[Path | None, file_option("Save the JSON document to FILE.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print no table and no messages.")]
Date = Annotated[datetime | None, day_option("--date", "Tell ages of prices as of this day; default: today.")]


def day(given: datetime | None) -> date:
    """The day that ages of prices are relative to: the reader's own where `--date` gives none."""
    return given.date() if given else date.today()  # noqa: DTZ011 - the reader's own day
