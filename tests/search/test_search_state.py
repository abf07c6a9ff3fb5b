"""What is searched stays as it is; what is found is kept, and serves other searches where it holds there."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.interop.referenced_data import read_scenario
from planner.performance.loading import load_calibration
from planner.search.building import build, build_like
from planner.search.optimum import solve
from planner.search.search_state import SearchState
from planner.spec.scenario import IntChoice, Scenario

SCENARIO = Path(__file__).parents[2] / "scenarios" / "pythia-12b.yaml"
ONE_BATCH = "training.global_batch=1024"
MEASURED = "throughput=[{gpu: a100-sxm4-80gb, gpus: 8, tokens_per_s_per_gpu: 900}]"


def scenario(*changes: str) -> Scenario:
    return read_scenario(SCENARIO, changes, ())


def search(*changes: str) -> SearchState:
    return build(scenario(*changes), load_catalog(()), load_calibration(()))


def test_a_search_changes_nothing_of_its_space() -> None:
    state = search(ONE_BATCH)
    space, before = state.space, {name: getattr(state.space, name).copy() for name in ("pool", "nodes", "gpus")}
    solve(state)
    assert state.exact.any()
    assert state.space is space
    assert all(np.array_equal(getattr(space, name), value) for name, value in before.items())
    with pytest.raises(FrozenInstanceError):
        space.scenario = scenario()  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        space.gpus[0] = 1


def test_what_is_found_of_a_cell_is_what_a_search_from_the_start_finds() -> None:
    first = search(ONE_BATCH)
    solve(first)
    longer = replace(first.space.scenario, training=replace(first.space.scenario.training, epochs=3.0))
    taught = build(longer, load_catalog(()), load_calibration(()))
    taught.learn_runs(first)
    known = np.flatnonzero(taught.exact)
    assert known.size
    fresh = build(longer, load_catalog(()), load_calibration(()))
    for cell in known[:: max(1, known.size // 4)]:
        layouts = fresh.layout_space(int(fresh.space.pool[cell]))
        seconds = min(float(some.seconds.min()) for some in layouts.everything(int(fresh.space.gpus[cell])))
        assert taught.best.seconds[cell] == seconds == taught.bound_s[cell]


def test_runs_at_other_batches_teach_nothing() -> None:
    first = search(ONE_BATCH)
    solve(first)
    training = replace(first.space.scenario.training, global_batch=IntChoice(values=(512,)))
    other = build(replace(first.space.scenario, training=training), load_catalog(()), load_calibration(()))
    other.learn_runs(first)
    assert not other.exact.any()


def test_a_variation_without_own_measurements_is_predicted_without_them() -> None:
    measured = search(ONE_BATCH, MEASURED)
    plain = build_like(measured, scenario(ONE_BATCH))
    assert measured.space.calibration is not measured.space.facts
    assert plain.space.calibration is plain.space.facts
