"""`planner optimize`: the best plan of a scenario, proved, or what would have to give; or one plan a run of a fleet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Catalog, Date, Json, Output, Quiet, Set, day
from planner.cli.output import colour, deliver, width, working
from planner.units import PlannerError

if TYPE_CHECKING:
    from planner.search.fleets import FleetAnswer


def optimize(
    scenarios: Annotated[list[Path], typer.Argument(metavar="SCENARIO...", help="Scenario file (YAML).")],
    fleet: Annotated[
        Path | None, typer.Option("--fleet", metavar="FILE", help="Quotas and a budget that several scenarios share.")
    ] = None,
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
    from planner import api
    from planner.catalog.overlay import overlay_dirs
    from planner.cli.run import INFEASIBLE

    overlays = overlay_dirs(catalog or ())
    table = ""
    if fleet is not None or len(scenarios) > 1:
        together = _fleet(scenarios, fleet, set_ or (), overlays, exhaustive, quiet)
        status, document = together.status, together.to_json()
        if not (as_json or quiet):
            from planner.report.fleet import fleet_table

            table = fleet_table(together, width(), colour())
    else:
        asked = api.load_scenario(scenarios[0], set_ or (), overlays)
        with working("searching", quiet=quiet):
            answer = api.optimize(asked, overlays, exhaustive=exhaustive)
        status, document = answer.status, answer.to_json()
        if not (as_json or quiet):
            from planner.report.terminal import optimization_table

            table = optimization_table(answer, today=day(date), width=width(), colour=colour())
    deliver(document, table, as_json=as_json, output=output, quiet=quiet)
    if status != "optimal":
        raise typer.Exit(INFEASIBLE)


def _fleet(
    paths: Sequence[Path],
    fleet: Path | None,
    overrides: Sequence[str],
    overlays: Sequence[Path],
    exhaustive: bool,
    quiet: bool,
) -> FleetAnswer:
    from planner import api
    from planner.interop.fleets import read_fleet

    if fleet is None:
        raise PlannerError("several scenarios need --fleet FILE, or `planner compare` to see them side by side")
    if exhaustive:
        raise PlannerError("--exhaustive is for one scenario; leave it or --fleet out")
    scenarios = [api.load_scenario(path, overrides, overlays) for path in paths]
    with working("searching", quiet=quiet):
        return api.optimize_fleet(scenarios, read_fleet(fleet, scenarios, overlays), overlays)
