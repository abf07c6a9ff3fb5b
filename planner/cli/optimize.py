"""`planner optimize`: the best plan of a scenario, proved, or what would have to give."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.options import Catalog, Date, Json, Output, Quiet, ScenarioFile, Set
from planner.cli.output import colour, deliver, width, working


def optimize(
    scenario: ScenarioFile,
    set_: Set = None,
    catalog: Catalog = None,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Evaluate every candidate, pruning nothing; slower, same answer.")
    ] = False,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
    date: Date = None,
) -> None:
    """Find the best plan: cluster, GPU count, batch sizes, layout, with time, cost and the proof.

    Exit code 0: found; 3: nothing meets the budgets, and the answer says what would have to give.

    Example: planner optimize scenarios/neox20b.yaml --set budget.time='10 days'
    """
    from datetime import date as calendar

    from planner import api
    from planner.catalog.overlay import overlay_dirs
    from planner.cli.run import INFEASIBLE
    from planner.report.terminal import optimization_table

    overlays = overlay_dirs(catalog or ())
    asked = api.load_scenario(scenario, set_ or (), overlays)
    with working("searching", quiet=quiet):
        answer = api.optimize(asked, overlays, exhaustive=exhaustive)
    table = ""
    if not (as_json or quiet):
        today = date.date() if date else calendar.today()  # noqa: DTZ011 - the reader's own day
        table = optimization_table(answer, today=today, width=width(), colour=colour())
    deliver(answer.to_json(), table, as_json=as_json, output=output, quiet=quiet)
    if answer.status != "optimal":
        raise typer.Exit(INFEASIBLE)
