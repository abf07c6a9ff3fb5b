"""`planner frontier`: every plan that no other beats in both time and cost."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.options import Catalog, Chart, Date, Json, Output, Quiet, ScenarioFile, Set, day
from planner.cli.output import INFEASIBLE, colour, deliver, plain, say, width, working
from planner.words import said


def frontier(
    scenario: ScenarioFile,
    set_: Set = None,
    overlays: Catalog = None,
    everything: Annotated[bool, typer.Option("--all", help="Also the plans outside the budgets.")] = False,
    gpus: Annotated[
        bool, typer.Option("--gpus", help="Fewer GPUs are better too: a third axis beside time and cost.")
    ] = False,
    chart: Chart = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
    date: Date = None,
) -> None:
    """Show every plan within the budgets that no other beats in both time and cost (p50). Needs no budget.

    -o FILE.csv saves a table, any other name the JSON document. --chart FILE.html is a page to explore: plans to point
    at, filters, axes to choose.

    Exit code 3: nothing is feasible.

    Example: planner frontier scenarios/neox20b.yaml --chart frontier.svg
    """
    from planner import api
    from planner.files import write_atomically

    with working(said("output.searching"), quiet=quiet):
        found = api.frontier(scenario, overlays, overrides=set_ or (), everything=everything, gpus=gpus)
    table = ""
    if not (as_json or quiet):
        from planner.report.frontier import frontier_table

        table = frontier_table(found, width(), colour(), today=day(date), plain=plain())
    document = found.to_json()
    if output is not None and output.suffix.lower() == ".csv":
        from planner.report.frontier import frontier_csv

        write_atomically(output, frontier_csv(found))
        say(said("output.saved", file=str(output)), quiet=quiet)
        output = None
    deliver(document, table, as_json=as_json, output=output, quiet=quiet)
    if chart is not None:
        from planner.report.frontier_chart import frontier_chart

        frontier_chart(found, chart)
        say(said("output.drawn", file=str(chart)), quiet=quiet)
    if found.status != "optimal":
        raise typer.Exit(INFEASIBLE)
