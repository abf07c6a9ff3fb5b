"""`planner compare`: scenarios, saved plans, or one scenario's options side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from planner.cli.options import Catalog, Chart, Date, Json, Output, Quiet, Set, day
from planner.cli.output import INFEASIBLE, colour, deliver, draw, width, working
from planner.words import said


def compare(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Scenarios and saved plans, in any mixture.")],
    by: Annotated[
        str | None, typer.Option(metavar="WHAT", help="One scenario's options by offer, gpu, cloud or gpus.")
    ] = None,
    set_: Set = None,
    overlays: Catalog = None,
    chart: Chart = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
    date: Date = None,
) -> None:
    """Put plans side by side: what each takes, why they differ, and what the losing ones would need. Needs no budget.

    Exit code 3: no side is feasible; an infeasible side among others is shown as such.

    Example: planner compare scenarios/neox20b.yaml --by gpu
    """
    from planner import api
    from planner.report.comparison import comparison_table

    with working(said("output.searching"), quiet=quiet):
        found = api.compare(files, overlays, by=by, overrides=set_ or ())
    table = "" if as_json or quiet else comparison_table(found, width(), colour(), today=day(date))
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=quiet)
    draw(chart, found.plot, quiet=quiet)
    if all(side.plan is None for side in found.sides):
        raise typer.Exit(INFEASIBLE)
