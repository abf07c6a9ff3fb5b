"""What short runs are worth to one decision, and the one chooser of runs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interop_plans import answer

from planner.performance.next_runs import choose, measured
from planner.results.answers import StatedGoal
from planner.results.plan import Plan, Quantiles
from planner.search.probing import Decision, Value, after, choose_probes, scaled

GOAL = StatedGoal("cost", time_s=100 * 86_400.0, cost_usd=None, confidence=0.8)
NOISE = 0.03


def plans(*costs: float, spread: float = 1.2) -> list[Plan]:
    """Plans of these costs, their steps and times as unsure."""
    base = answer(goal=GOAL, spread=spread).plan
    return [
        replace(
            base,
            gpus=base.gpus + 8 * i,
            cost_usd=Quantiles(cost / spread, cost, cost * spread),
            time_s=Quantiles(*(base.time_s.p50 * f for f in (1 / spread, 1, spread))),
        )
        for i, cost in enumerate(costs)
    ]


def value(decision: Decision, shared: float = 0.8, runs: int = 3) -> Value:
    """Plans and runs that share so much of what is not known of them."""
    n = len(decision.amount) + runs
    step = float(decision.step[0])
    joint = step**2 * (shared * np.ones((n, n)) + (1 - shared) * np.eye(n))
    return Value(decision, joint, 0.3 * step)


@given(st.floats(0.05, 0.95), st.integers(1, 4), st.floats(0.0, 0.5))
def test_knowing_more_never_widens_the_ask_and_never_costs(shared, runs, noise):
    decision = Decision.of(plans(100.0, 103.0), GOAL)
    found = value(decision, shared, runs)
    now, n = found.now(), len(decision.amount)
    left = after(found.spread, [n], noise)
    then = found.worth(left[:n, :n])
    assert then.spread <= now.spread + 1e-12
    assert then.width <= now.width * 1.001
    assert then.saved >= 0.0
    assert 0.0 <= then.changes <= 1.0


def test_nothing_changes_where_no_other_plan_is_near():
    decision = Decision.of(plans(100.0, 1_000.0), GOAL)
    found = value(decision)
    assert found.worth(after(found.spread, [2], NOISE)[:2, :2]).changes == 0.0


def test_a_rival_that_is_unsure_by_itself_may_take_the_plans_place():
    decision = Decision.of(plans(100.0, 102.0), GOAL)
    apart = value(decision, shared=0.0)
    apart.spread[2, 1] = apart.spread[1, 2] = 0.9 * apart.spread[1, 1]  # a run that speaks for the rival alone
    assert apart.worth(after(apart.spread, [2], NOISE)[:2, :2]).changes > 0.2


def test_runs_that_are_dear_beside_what_they_narrow_are_not_made():
    decision = Decision.of(plans(100.0, 103.0), GOAL)
    free = choose_probes(value(decision), np.array([0.01, 0.01, 0.01]), NOISE)
    dear = choose_probes(value(decision), np.array([50.0, 50.0, 50.0]), NOISE)
    assert free.picks
    assert dear.picks == ()
    assert dear.after == dear.now


def test_what_changes_next_to_nothing_is_not_measured_however_cheap():
    decision = Decision.of(plans(100.0, 500.0, spread=1.001), GOAL)
    assert choose_probes(value(decision), np.full(3, 1e-9), NOISE).picks == ()


def test_of_alike_runs_the_cheapest_is_made():
    decision = Decision.of(plans(100.0, 103.0), GOAL)
    found = choose_probes(value(decision), np.array([0.3, 0.1, 0.2]), NOISE, 1)
    assert found.picks == (1,)


def test_hours_are_counted_where_nothing_is_priced():
    free = [replace(each, cost_usd=Quantiles(0.0, 0.0, 0.0)) for each in plans(1.0, 1.0)]
    decision = Decision.of(free, replace(GOAL, cost_stated=False))
    assert not decision.priced
    assert decision.amount[0] == pytest.approx(free[0].time_s.p50 * free[0].gpus / 3600)


def test_plans_keep_their_stated_spreads_and_what_hangs_together_stays_so():
    joint = np.array([[0.04, 0.03, 0.02], [0.03, 0.04, 0.01], [0.02, 0.01, 0.09]])
    stated = np.array([0.15, 0.12])
    found = scaled(joint, stated, 0.05)
    assert np.sqrt(np.diagonal(found)[:2] + 0.05**2) == pytest.approx(stated)
    assert found[0, 1] / np.sqrt(found[0, 0] * found[1, 1]) == pytest.approx(0.75)


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_the_chooser_takes_first_what_gains_most_for_its_price(n, seed):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n, n))
    spread, price = root @ root.T, rng.uniform(0.1, 2.0, n)

    def gains(now: np.ndarray, noise: np.ndarray) -> np.ndarray:
        return np.array([np.trace(spread) - np.trace(known(now, i, noise)) for i in range(n)])

    def known(now: np.ndarray, run: int, noise: np.ndarray) -> np.ndarray:
        copy = now.copy()
        measured(copy, run, noise)
        return copy

    first = gains(spread, NOISE)
    (free,) = choose(spread, np.arange(n), NOISE, gains, 1)
    assert first[free.index] == pytest.approx(first.max())
    worth = first > price
    (picked,) = choose(spread, np.arange(n), NOISE, gains, 1, price, a_price=True) or [None]
    if picked is None:
        assert not worth.any()
    else:
        assert first[picked.index] / price[picked.index] == pytest.approx((first / price)[worth].max())
