"""Plans: the best one, the frontier, comparisons, explanations, fleets, sweeps, and runs drawn at random."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.api.inputs import (
    Changes,
    Folders,
    PlanLike,
    ScenarioLike,
    changes_of,
    folders,
    is_saved_plan,
    load_facts,
    load_plan,
    load_scenario,
    several,
)
from planner.results.result import InfeasibleError
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.results.answers import Comparison, Frontier, Optimization
    from planner.risk.replay import Replay
    from planner.search.explanation import Explanation
    from planner.search.fleets import Fleet, FleetAnswer
    from planner.sweeps.table import Sweep


def optimize(
    scenario: ScenarioLike,
    overlays: Folders = (),
    *,
    overrides: Changes = (),
    exhaustive: bool = False,
    prices: date | str | None = None,
) -> Optimization:
    """The best plan of a scenario, or what would have to give; with the certificate that proves it.

    Parameters
    ----------
    scenario : path, map or Scenario
        See `load_scenario`.
    overlays : folder or folders
        Catalogs laid over the shipped one.
    overrides : sequence or map
        Changes of the scenario, as `--set` takes them.
    exhaustive : bool
        Evaluate every candidate instead of ruling out by proved bounds; the answer is the same.
    prices : date or "YYYY-MM-DD", optional
        Plan at the prices of this day, as far as the catalog keeps them; a warning counts those it does not.

    Raises
    ------
    PlannerError
        If scenario or catalog is wrong, or neither time nor cost is limited.
    """
    from planner import search
    from planner.interop.files import naming
    from planner.interop.plans import trained_of

    loaded = load_scenario(scenario, overrides, overlays)
    with naming(Path(loaded.source)):
        catalog, calibration = load_facts(overlays, prices=prices)
        answer = search.optimize(loaded, catalog, calibration, exhaustive=exhaustive)
    warnings = answer.warnings if catalog.on is None else (_prices_of(catalog, catalog.on), *answer.warnings)
    return replace(answer, trained=trained_of(loaded), warnings=warnings)


def _prices_of(catalog: Catalog, day: date) -> str:
    """That prices are of a day, and how many are not known of it."""
    from planner.catalog.history import younger

    later = younger(catalog.prices, day)
    return say("planning.prices_later", day=day, later=later) if later else say("planning.prices", day=day)


def frontier(
    scenario: ScenarioLike,
    overlays: Folders = (),
    *,
    overrides: Changes = (),
    everything: bool = False,
    gpus: bool = False,
) -> Frontier:
    """Every plan of a scenario that no other beats in both time and cost (p50), fastest first.

    `everything` adds those outside the budgets; their `within_budget` is False. With `gpus` fewer GPUs are better too,
    so that no plan returned is beaten in all three.
    """
    from planner import search
    from planner.interop.files import naming

    loaded = load_scenario(scenario, overrides, overlays)
    with naming(Path(loaded.source)):
        found = search.frontier(loaded, *load_facts(overlays), everything=everything, gpus=gpus)
    return replace(found, axes=("time", "cost", "gpus")) if gpus else found


def compare(
    sides: Sequence[ScenarioLike | Optimization] | ScenarioLike,
    overlays: Folders = (),
    *,
    by: str | None = None,
    labels: Sequence[str] | None = None,
    overrides: Changes = (),
) -> Comparison:
    """The best plans of scenarios and saved answers side by side, and why they differ.

    Parameters
    ----------
    sides : scenarios and saved answers
        Files of either kind, maps, or values; one scenario for `by`.
    by : {"offer", "gpu", "cloud", "gpus"}, optional
        Compares the options of one scenario instead.
    labels : sequence of str, optional
        What to call the sides; else the scenarios' names, or their files' where those are the same.
    """
    from planner import search
    from planner.interop.files import naming
    from planner.interop.plans import read_answer
    from planner.results.answers import Optimization

    given = several(sides)
    read: list[Any] = []
    for side in given:
        if isinstance(side, Optimization):
            read.append(side)
        elif isinstance(side, str | Path) and is_saved_plan(Path(side)):
            read.append(read_answer(Path(side)))
        else:
            read.append(load_scenario(side, overrides, overlays))
    with naming(*(Path(side.source) for side in read if hasattr(side, "source"))):
        return search.compare(read, *load_facts(overlays), by=by, labels=labels or _labels(given, read))


def _labels(given: Sequence[object], read: Sequence[Any]) -> list[str] | None:
    """The files' names where scenarios share theirs, as the plans of two dates do; None: the scenarios' names do."""
    names = [side.name if hasattr(side, "name") else side.provenance.scenario for side in read]
    if len(set(names)) == len(names) or not all(isinstance(side, str | Path) for side in given):
        return None
    files = [Path(str(side)) for side in given]
    for called in ([file.stem for file in files], [file.name for file in files], [str(file) for file in files]):
        if len(set(called)) == len(called):
            return called
    return None


def explain(
    scenario: ScenarioLike, overlays: Folders = (), *, why_not: Sequence[str] | str = (), overrides: Changes = ()
) -> Explanation:
    """What binds the plan of a scenario, what a little more is worth, why each of `why_not` ("key=value,...") loses.

    Raises
    ------
    PlannerError
        If an alternative names a key that is not known.
    """
    from planner import search
    from planner.interop.files import naming

    loaded = load_scenario(scenario, overrides, overlays)
    others = [why_not] if isinstance(why_not, str) else why_not
    with naming(Path(loaded.source)):
        return search.explain(loaded, *load_facts(overlays), why_not=others)


def optimize_fleet(
    scenarios: Sequence[ScenarioLike],
    fleet: Fleet | str | Path,
    overlays: Folders = (),
    *,
    overrides: Changes = (),
) -> FleetAnswer:
    """One plan a run, together within the quotas and the budget that `fleet`, a file or a value, says they share."""
    from planner import search
    from planner.interop.files import naming
    from planner.interop.fleets import read_fleet

    loaded = [load_scenario(scenario, overrides, overlays) for scenario in scenarios]
    shared = read_fleet(Path(fleet), loaded, folders(overlays)) if isinstance(fleet, str | Path) else fleet
    with naming(*(Path(scenario.source) for scenario in loaded)):
        return search.optimize_fleet(loaded, shared, *load_facts(overlays))


def simulate(
    source: ScenarioLike | PlanLike,
    overlays: Folders = (),
    *,
    worlds: int = 20_000,
    seed: int = 1,
    overrides: Changes = (),
    tick: Callable[[float], None] | None = None,
) -> Replay:
    """Many runs of a plan drawn event by event, beside what the plan states, and in harder conditions.

    Parameters
    ----------
    source : scenario or plan
        A scenario (its best plan is drawn), a saved plan (.json), or an answer of `optimize`.
    worlds : int
        How many runs are drawn.
    seed : int
        The same seed draws the same runs.
    tick : callable, optional
        Told the finished share.

    Raises
    ------
    InfeasibleError
        If no plan meets the budgets, so that there is nothing to draw.
    """
    from planner.risk.replay import replay

    answer = planned(source, overlays, overrides)
    if answer.plan is None:
        raise InfeasibleError(say("planning.nothing_to_simulate"))
    goal = answer.goal
    found = replay(
        answer.plan,
        worlds,
        seed,
        time_budget_s=None if goal is None else goal.time_s,
        cost_budget_usd=None if goal is None else goal.cost_usd,
        confidence=None if goal is None else goal.confidence,
        tick=tick,
    )
    return replace(found, money=answer.provenance.money)


def planned(source: ScenarioLike | PlanLike, overlays: Folders, overrides: Changes) -> Optimization:
    """The answer of a scenario, of a saved plan, or as it is."""
    from planner.results.answers import Optimization

    saved = isinstance(source, str | Path) and Path(source).suffix.lower() == ".json"
    if isinstance(source, Optimization) or saved:
        if changes_of(overrides):
            raise PlannerError(say("planning.saved"))
        return source if isinstance(source, Optimization) else load_plan(source)  # type: ignore[arg-type]
    return optimize(source, overlays, overrides=overrides)


def sweep(
    scenario: Mapping[str, Any] | str | Path,
    over: Mapping[str, Sequence[Any] | str] | Sequence[str],
    overlays: Folders = (),
    *,
    overrides: Changes = (),
    executor: Executor | None = None,
) -> Sweep:
    """A scenario solved over a grid of values: one row a variation, the last key fastest.

    Parameters
    ----------
    scenario : path or map
        The scenario's file, or its keys; one that has been read cannot be varied any more.
    over : map or sequence
        {"budget.time": ["7 days", "14 days"], "training.epochs": "1,2,4"}, or texts as `--over` takes them.
    executor : concurrent.futures.Executor, optional
        Where variations are solved; default: here, one after the other.
    """
    from planner.sweeps.run import prepare, run

    if not isinstance(scenario, str | Path | Mapping):
        raise PlannerError(say("planning.varied"))
    if isinstance(over, Mapping):
        over = [
            f"{key}={values if isinstance(values, str) else ','.join(str(value) for value in values)}"
            for key, values in over.items()
        ]
    source = scenario if isinstance(scenario, Mapping) else Path(scenario)
    return run(prepare(source, list(over), changes_of(overrides), folders(overlays)), executor)
