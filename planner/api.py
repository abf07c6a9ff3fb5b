"""The Python interface: what the commands do, as functions of files and values.

>>> import planner
>>> answer = planner.optimize(planner.load_scenario("scenarios/neox20b.yaml"))  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.performance.calibration import Calibration
    from planner.plan import Comparison, Frontier, Optimization
    from planner.scenario import Scenario
    from planner.search.explanation import Explanation
    from planner.search.fleets import Fleet, FleetAnswer


def load_scenario(path: str | Path, overrides: Sequence[str] = (), overlays: Sequence[Path] = ()) -> Scenario:
    """The scenario in the file `path`, with `overrides` ("key.path=value") applied and the files it names read.

    `overlays` are catalogs laid over the shipped one; they may name models and accelerators of their own.

    Raises
    ------
    PlannerError
        If the file or an override is wrong, naming file, line and key.
    """
    from planner import scenario
    from planner.interop.files import naming
    from planner.interop.resolve import resolve

    with naming(Path(path)):
        return resolve(scenario.load_scenario(Path(path), overrides, overlays=overlays))


def load_facts(overlays: Sequence[Path] = ()) -> tuple[Catalog, Calibration]:
    """The shipped catalog and calibration, with the folders of `overlays` laid over them, the last one on top.

    Raises
    ------
    PlannerError
        If an overlay is missing or wrong, naming file and row.
    """
    from planner.catalog import load_catalog
    from planner.performance.calibration import load_calibration

    return load_catalog(overlays), load_calibration(tuple(overlays))


def optimize(scenario: Scenario, overlays: Sequence[Path] = (), *, exhaustive: bool = False) -> Optimization:
    """The best plan of `scenario`, or what would have to give; with the certificate that proves it.

    Parameters
    ----------
    scenario : Scenario
        From `load_scenario`.
    overlays : folders
        Catalogs laid over the shipped one.
    exhaustive : bool
        Evaluate every candidate instead of ruling out by proved bounds; the answer is the same.
    """
    from planner import search
    from planner.interop.files import naming
    from planner.interop.plans import trained_of

    catalog, calibration = load_facts(overlays)
    with naming(Path(scenario.source)):
        answer = search.optimize(scenario, catalog, calibration, exhaustive=exhaustive)
    return replace(answer, trained=trained_of(scenario))


def frontier(
    scenario: Scenario, overlays: Sequence[Path] = (), *, everything: bool = False, gpus: bool = False
) -> Frontier:
    """Every plan of `scenario` that no other beats in both time and cost (p50), fastest first.

    `everything` adds those outside the budgets; their `within_budget` is False. With `gpus` fewer GPUs are better too,
    so that no plan returned is beaten in all three.
    """
    from planner import search
    from planner.interop.files import naming

    catalog, calibration = load_facts(overlays)
    with naming(Path(scenario.source)):
        found = search.frontier(scenario, catalog, calibration, everything=everything, gpus=gpus)
    return replace(found, axes=("time", "cost", "gpus")) if gpus else found


def compare(
    sides: Sequence[Scenario | Optimization],
    overlays: Sequence[Path] = (),
    *,
    by: str | None = None,
    labels: Sequence[str] | None = None,
) -> Comparison:
    """The best plans of scenarios and saved answers side by side, and why they differ.

    `by` (offer, gpu, cloud, gpus) compares the options of one scenario instead. `labels` is what to call the sides;
    else the scenarios' names.
    """
    from planner import search
    from planner.interop.files import naming

    catalog, calibration = load_facts(overlays)
    with naming(*(Path(side.source) for side in sides if hasattr(side, "source"))):
        return search.compare(sides, catalog, calibration, by=by, labels=labels)


def explain(scenario: Scenario, overlays: Sequence[Path] = (), *, why_not: Sequence[str] = ()) -> Explanation:
    """What binds the plan of `scenario`, what a little more is worth, why each of `why_not` ("key=value,...") loses.

    Raises
    ------
    PlannerError
        If an alternative names a key that is not known.
    """
    from planner import search
    from planner.interop.files import naming

    catalog, calibration = load_facts(overlays)
    with naming(Path(scenario.source)):
        return search.explain(scenario, catalog, calibration, why_not=why_not)


def optimize_fleet(scenarios: Sequence[Scenario], fleet: Fleet, overlays: Sequence[Path] = ()) -> FleetAnswer:
    """One plan a run, together within the quotas and the budget that `fleet` says they share."""
    from planner import search
    from planner.interop.files import naming

    catalog, calibration = load_facts(overlays)
    with naming(*(Path(scenario.source) for scenario in scenarios)):
        return search.optimize_fleet(scenarios, fleet, catalog, calibration)


def predict(rows: Iterable[Mapping[str, str]], overlays: Sequence[Path] = ()) -> list[dict[str, str]]:
    """The runs that `rows` state (columns as in catalogs/measured), with throughput, 80 % interval and memory added.

    A row that cannot be predicted says why; rows keep their order.
    """
    from planner.performance.predict import predict_rows

    catalog, calibration = load_facts(overlays)
    return predict_rows(rows, catalog, calibration)
