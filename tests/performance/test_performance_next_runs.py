"""Which runs to measure next: those after which the others are surest, whatever they will show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measured_cases import RUNS

from planner.catalog import load_catalog
from planner.performance import next_runs as module
from planner.performance.loading import load_calibration
from planner.performance.next_runs import next_runs, posterior
from planner.performance.rates import design
from planner.performance.refit import log_errors
from planner.performance.residual import covariance
from planner.performance.rows import Run
from planner.performance.stacks import context_of, place_of
from planner.units import PlannerError

SHIPPED = load_calibration()
INDEX = st.integers(0, len(RUNS) - 1)
SETS = st.lists(INDEX, min_size=1, max_size=8, unique=True)


def some(indices: list[int]) -> list[Run]:
    return [RUNS[i] for i in indices]


def spread(candidates: list[Run], known: list[Run]) -> np.ndarray:
    """Standard deviations of the candidates' ln(step time), (n,)."""
    return np.sqrt(np.diagonal(posterior(candidates, known, SHIPPED)))


def test_unmeasured_a_run_is_as_unsure_as_its_parameters_and_the_field() -> None:
    """Each parameter moved by itself, through the fit's own predictions; the field at one place is the sum of parts."""
    run = RUNS[0]
    plan = design(SHIPPED.rules, [context_of(run.setting)])
    moves = []
    for name, sigma, mean in zip(plan.names, plan.sigma, plan.mean, strict=True):
        value = SHIPPED.values.get(name, float(mean))
        ends = [replace(SHIPPED, values={**SHIPPED.values, name: value + sigma * step}) for step in (-1e-3, 1e-3)]
        low, high = (log_errors([run], end, corrected=False)[0] for end in ends)
        moves.append((high - low) / 2e-3)
    place = place_of(run.setting, run.gpus)
    field = float(covariance([place], [place], SHIPPED.levels)[0, 0])
    assert spread([run], [])[0] ** 2 == pytest.approx(np.sum(np.square(moves)) + field, rel=1e-3)


@pytest.mark.parametrize("times", [1, 4])
def test_a_run_that_was_measured_is_as_unsure_as_its_noise_leaves_it(times: int) -> None:
    """v s² / (n v + s²): n measurements with noise s of one unknown of variance v."""
    noise = SHIPPED.levels.noise
    before, after = (spread([RUNS[0]], [RUNS[0]] * n)[0] ** 2 for n in (0, times))
    assert after == pytest.approx(before * noise**2 / (times * before + noise**2))


@given(SETS, SETS)
@settings(max_examples=15)
def test_the_first_run_leaves_less_than_any_other_would(candidates: list[int], known: list[int]) -> None:
    asked, seen = some(candidates), some(known)
    today = spread(asked, seen).sum()
    left = [spread(asked, [*seen, run]).sum() / today for run in asked]
    (first,) = next_runs(asked, seen, SHIPPED, 1)
    assert first.left == pytest.approx(min(left), abs=1e-8)
    assert left[first.index] == pytest.approx(min(left), abs=1e-8)


@given(SETS, SETS, st.integers(1, 8))
@settings(max_examples=15)
def test_what_is_left_is_what_the_chosen_leave_once_they_are_known(
    candidates: list[int], known: list[int], count: int
) -> None:
    asked, seen = some(candidates), some(known)
    chosen = next_runs(asked, seen, SHIPPED, count)
    assert len({pick.index for pick in chosen}) == len(chosen) == min(count, len(asked))
    left = [1.0, *(pick.left for pick in chosen)]
    assert left == sorted(left, reverse=True)
    measured = [*seen, *(asked[pick.index] for pick in chosen)]
    assert left[-1] == pytest.approx(spread(asked, measured).sum() / spread(asked, seen).sum(), abs=1e-8)


@given(SETS, SETS, st.randoms(use_true_random=False))
@settings(max_examples=15)
def test_neither_the_order_of_rows_nor_what_they_measured_matters(candidates, known, random) -> None:
    def odd(run: Run) -> Run:
        return replace(run, tokens_per_s_per_gpu=random.choice([None, 1.0, 1e6]))

    def names(runs: list[Run], seen: list[Run]) -> list[str]:
        return [runs[pick.index].id for pick in next_runs(runs, seen, SHIPPED, 3)]

    asked = [run for i, run in enumerate(some(candidates)) if run.configuration not in configurations(candidates[:i])]
    mixed, seen = random.sample(asked, len(asked)), random.sample(some(known), len(known))
    assert names([odd(run) for run in mixed], [odd(run) for run in seen]) == names(asked, some(known))


def configurations(indices: list[int]) -> set[tuple[object, ...]]:
    return {run.configuration for run in some(indices)}


def test_of_twins_one_is_measured_and_of_equals_the_first() -> None:
    one, other = RUNS[0], next(run for run in RUNS if run.source != RUNS[0].source)
    alone = spread([other, one], [])
    twins = next_runs([other, one, one, other], [], SHIPPED, 4)
    order = [0, 1] if alone[0] > alone[1] else [1, 0]
    assert [pick.index for pick in twins[:2]] == order  # the first of each pair
    gains = -np.diff([1.0, *(pick.left for pick in twins)])
    assert gains[2:].max() < 0.25 * gains[:2].min()


def test_of_many_copies_the_first_that_is_left_is_taken() -> None:
    """Sums over equal rows differ in their last digits only, which must not decide."""
    runs, copies = RUNS[:60:7], 30
    chosen = next_runs([run for run in runs for _ in range(copies)], RUNS[5::30], SHIPPED, 40)
    for number in range(len(runs)):
        taken = [pick.index % copies for pick in chosen if pick.index // copies == number]
        assert taken == list(range(len(taken)))


def test_a_run_that_speaks_for_many_goes_before_one_that_is_unsure_by_itself() -> None:
    part = load_catalog().accelerator("mi300x-192gb")
    moe = next(run for run in RUNS if run.setting.model.moe)
    strange = replace(moe, setting=replace(moe.setting, framework="nobodys", accelerator=part))
    sibling = [run for run in RUNS if run.source == "vtrain-multi"]
    alike = [replace(run, setting=replace(run.setting, framework="kin")) for run in sibling]
    (first,) = next_runs([strange, *alike], RUNS, SHIPPED, 1)
    assert first.index > 0
    assert spread([strange], RUNS)[0] > spread(alike, RUNS)[first.index - 1]


def test_rows_are_weighed_alike_however_they_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, seen = RUNS[::12], RUNS[5::9]
    whole = next_runs(asked, seen, SHIPPED, 5)
    monkeypatch.setattr(module, "BLOCK", 4)
    cut = next_runs(asked, seen, SHIPPED, 5)
    assert [pick.index for pick in cut] == [pick.index for pick in whole]
    assert [pick.left for pick in cut] == pytest.approx([pick.left for pick in whole])


def test_what_cannot_be_weighed_is_said_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    assert next_runs([], RUNS[:2], SHIPPED, 3) == ()
    part = replace(RUNS[1].setting.accelerator, id="x1", peak_dense_tflops={})
    unknown = replace(RUNS[1], id="mine:7", setting=replace(RUNS[1].setting, accelerator=part))
    with pytest.raises(PlannerError, match="mine:7: no matmul rate of x1 is known"):
        next_runs([RUNS[0], unknown], [], SHIPPED, 1)
    monkeypatch.setattr(module, "MOST", 5)
    with pytest.raises(PlannerError, match="3 runs to choose from and 3 known ones are more than the 5"):
        next_runs(RUNS[:3], RUNS[3:6], SHIPPED, 1)
