"""`planner optimize`: the best plan of a scenario, proved, or what would have to give; or one plan a run of a fleet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Catalog, Date, Json, Output, Quiet, Set, day, day_option
from planner.cli.output import INFEASIBLE, colour, deliver, width, working
from planner.units import PlannerError
from planner.words import said

if TYPE_CHECKING:
    from planner.spec.programme import Programme


def optimize(
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="Scenario file (YAML).")],
    fleet: Annotated[
        Path | None, typer.Option("--fleet", metavar="FILE", help="Quotas and a budget that several scenarios share.")
    ] = None,
    set_: Set = None,
    overlays: Catalog = None,
    prices: Annotated[datetime | None, day_option("--prices", "Plan at the prices of this day.")] = None,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="Evaluate every candidate, pruning nothing; slower, same answer.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Print all there is to say, not one screen of it.")] = False,
    show: Annotated[
        str,
        typer.Option(
            "--show",
            metavar="PARTS",
            help="Print only these parts, with commas between them: time, cluster, run, schedule, learning, "
            "interruptions, hours, binds, alternatives, step, memory, basis, plausibility, warnings, defaults, proof.",
        ),
    ] = "",
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
    date: Date = None,
) -> None:
    """Find the best plan: cluster, GPU count, batch sizes, layout, with time, cost and the proof.

    Exit code 0: found; 3: nothing meets the budgets, and the answer says what would have to give.

    Example: planner optimize scenarios/neox20b.yaml --set budget.time='10 days'
    """
    from planner import api

    parts = [part.strip().lower() for part in show.split(",") if part.strip()]
    if as_json and (parts or full):
        raise PlannerError(said("cli_optimize.json"))
    if parts:
        from planner.report.terminal import check_parts

        check_parts(parts)
    table = ""
    if fleet is not None or len(scenarios) > 1:
        if fleet is None:
            raise PlannerError(said("cli_optimize.several"))
        if prices is not None:
            raise PlannerError(said("cli_optimize.one_scenario", option="--prices"))
        if exhaustive:
            raise PlannerError(said("cli_optimize.one_scenario", option="--exhaustive"))
        with working(said("output.searching"), quiet=quiet):
            together = api.optimize_fleet(scenarios, fleet, overlays, overrides=set_ or ())
        status, document = together.status, together.to_json()
        if not (as_json or quiet):
            from planner.report.fleet import fleet_table

            table = fleet_table(together, width(), colour())
    else:
        from planner.api.inputs import load_any
        from planner.spec.programme import Programme

        loaded = load_any(scenarios[0], set_ or (), overlays)
        day_of_prices = None if prices is None else prices.date()
        if isinstance(loaded, Programme):
            if prices is not None or exhaustive or parts:
                raise PlannerError(said("cli_optimize.programme"))
            _programme(loaded, overlays, full=full, as_json=as_json, output=output, quiet=quiet)
            return
        with working(said("output.searching"), quiet=quiet):
            answer = api.optimize(loaded, overlays, exhaustive=exhaustive, prices=day_of_prices)
        status, document = answer.status, answer.to_json()
        if not (as_json or quiet):
            from planner.report.terminal import optimization_table

            table = optimization_table(answer, today=day(date), width=width(), colour=colour(), full=full, show=parts)
    deliver(document, table, as_json=as_json, output=output, quiet=quiet)
    if status != "optimal":
        raise typer.Exit(INFEASIBLE)


def _programme(
    loaded: Programme, overlays: list[Path] | None, *, full: bool, as_json: bool, output: Path | None, quiet: bool
) -> None:
    """A programme's calendar."""
    from planner import api
    from planner.report.programme import programme_table

    with working(said("output.searching"), quiet=quiet):
        whole = api.optimize_programme(loaded, overlays)
    table = "" if as_json or quiet else programme_table(whole, width(), colour(), full=full)
    deliver(whole.to_json(), table, as_json=as_json, output=output, quiet=quiet)
    if whole.status != "optimal":
        raise typer.Exit(INFEASIBLE)
