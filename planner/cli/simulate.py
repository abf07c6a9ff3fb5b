"""`planner simulate`: a plan simulated event by event, the check on every probability it states."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Catalog, Json, Output, Quiet, Set, chart_file
from planner.cli.output import INFEASIBLE, colour, deliver, draw, progress, say, width, working
from planner.units import PlannerError
from planner.words import said

if TYPE_CHECKING:
    from planner.spec.programme import Programme


def simulate(
    source: Annotated[Path, typer.Argument(help="Scenario (YAML), or a saved plan (JSON).", metavar="SCENARIO|PLAN")],
    set_: Set = None,
    overlays: Catalog = None,
    worlds: Annotated[
        int, typer.Option(min=100, max=10_000_000, help="How many runs are drawn (Monte Carlo).")
    ] = 20_000,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same worlds.")] = 1,
    chart: Annotated[Path | None, chart_file("Draw both distributions: .svg, .png or .html.")] = None,
    as_json: Json = False,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Live a plan through many times, failure by failure, and hold its stated probabilities against what happened.

    Also in worlds that the plan did not reckon with (more failures, bursts of them, slower steps, longer restarts), and
    under stress, with the reserve or the confidence that would stand it.

    Example: planner simulate scenarios/neox20b.yaml --worlds 50000
    """
    from planner import api
    from planner.api.inputs import load_any
    from planner.api.planning import planned
    from planner.report.charts import distribution_figure
    from planner.report.simulation import simulation_table
    from planner.spec.programme import Programme

    given = source if source.suffix.lower() == ".json" else load_any(source, set_ or (), overlays)
    if isinstance(given, Programme):
        if chart is not None:
            raise PlannerError(said("cli_simulate.chart"))
        _programme(given, overlays, worlds, seed, as_json=as_json, output=output, quiet=quiet)
        return
    with working(said("output.searching"), quiet=quiet):
        answer = planned(given, overlays, (set_ or ()) if given is source else ())
    try:
        with progress(said("output.simulating"), quiet=quiet) as tick:
            found = api.simulate(answer, worlds=worlds, seed=seed, tick=tick)
    except api.InfeasibleError as error:
        say(error.args[0], quiet=quiet)
        raise typer.Exit(INFEASIBLE) from None
    name = answer.provenance.scenario
    table = "" if as_json or quiet else simulation_table(found, name, width(), colour())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=quiet)
    draw(chart, partial(distribution_figure, found, answer.plan, answer.goal, name), quiet=quiet)


def _programme(
    given: Programme,
    overlays: list[Path] | None,
    worlds: int,
    seed: int,
    *,
    as_json: bool,
    output: Path | None,
    quiet: bool,
) -> None:
    from planner import api
    from planner.report.programme_explanation import programme_replay_table

    try:
        with working(said("output.simulating"), quiet=quiet):
            found = api.simulate_programme(given, overlays, worlds=worlds, seed=seed)
    except api.InfeasibleError as error:
        say(error.args[0], quiet=quiet)
        raise typer.Exit(INFEASIBLE) from None
    table = "" if as_json or quiet else programme_replay_table(found, width(), colour())
    deliver(found.to_json(), table, as_json=as_json, output=output, quiet=quiet)
