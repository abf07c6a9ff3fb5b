"""`planner explain`: why the plan is what it is."""

from __future__ import annotations

from typing import Annotated

import typer

from planner.cli.options import Catalog, Date, Json, Output, Quiet, ScenarioFile, Set, day
from planner.cli.output import INFEASIBLE, colour, deliver, width, working
from planner.units import PlannerError
from planner.words import said


def explain(
    scenario: ScenarioFile,
    why_not: Annotated[
        list[str] | None,
        typer.Option("--why-not", metavar="KEY=VALUE,...", help="Account for this alternative; repeatable."),
    ] = None,
    set_: Set = None,
    overlays: Catalog = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
    date: Date = None,
) -> None:
    """Tell what binds, what one more day, dollar or GPU is worth, and why an alternative loses.

    Exit code 3: nothing is feasible; what would have to give is told.

    Example: planner explain scenarios/neox20b.yaml --why-not gpu=a100-sxm4-80gb,gpus=256
    """
    from planner import api
    from planner.api.inputs import load_any
    from planner.report.explanation import explanation_table
    from planner.spec.programme import Programme

    loaded = load_any(scenario, set_ or (), overlays)
    if isinstance(loaded, Programme):
        from planner.report.programme_explanation import programme_explanation_table

        if why_not:
            raise PlannerError(said("cli_explain.programme"))
        with working(said("output.searching"), quiet=quiet):
            whole = api.explain_programme(loaded, overlays)
        table = "" if as_json or quiet else programme_explanation_table(whole, width(), colour())
        deliver(whole.to_json(), table, as_json=as_json, output=output, quiet=quiet)
        if whole.status != "optimal":
            raise typer.Exit(INFEASIBLE)
        return
    with working(said("output.searching"), quiet=quiet):
        found = api.explain(loaded, overlays, why_not=why_not or ())
    table = "" if as_json or quiet else explanation_table(found, width(), colour(), today=day(date))
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=quiet)
    if found.status != "optimal":
        raise typer.Exit(INFEASIBLE)
