"""Options of `planner track` that take what accounting says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from planner.units import PlannerError
from planner.words import said

Sacct = Annotated[
    Path | None,
    typer.Option(
        "--sacct", metavar="FILE", help="Slurm's accounting: sacct --parsable2 --duplicates, with its header."
    ),
]
Focus = Annotated[
    Path | None, typer.Option("--focus", metavar="FILE", help="A cloud's cost export in the form of FOCUS (CSV).")
]
Jobs = Annotated[str, typer.Option("--jobs", metavar="PATTERN", help="Only Slurm's jobs of these names ('7b-*').")]
Zone = Annotated[
    str | None,
    typer.Option("--zone", metavar="NAME", help="Zone of Slurm's clock (Europe/Berlin); days are then UTC's."),
]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", metavar="KEY=VALUE", help="Only rows of the export with this tag.")
]
Rate = Annotated[
    list[str] | None, typer.Option("--rate", metavar="EUR=1.08", help="USD of one unit of the export's currency.")
]


def pairs(option: str, given: Sequence[str] | None) -> dict[str, str]:
    """KEY=VALUE texts as a map.

    Raises
    ------
    PlannerError
        If one has no `=`, or nothing on a side of it.
    """
    found = {}
    for text in given or ():
        key, sign, value = text.partition("=")
        if not (sign and key.strip() and value.strip()):
            raise PlannerError(said("actuals.pair", option=option, text=text))
        found[key.strip()] = value.strip()
    return found
