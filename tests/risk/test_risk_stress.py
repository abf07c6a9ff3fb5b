"""Plans under stress: what keeps a promise there, and why failures in bursts can do less harm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from proposal_cases import outcome

from planner import api
from planner.risk.replay import STRESSES, cost_of, replay, run_of
from planner.risk.simulation import SimulatedRun, simulate

RUN = SimulatedRun(
    work_s=10 * 86400.0,
    log_low=0.05,
    log_high=0.05,
    rate_per_s=1.0 / 86400.0,
    recover_s=3600.0,
    wait_share=0.0,
    wait_s=0.0,
    checkpoint_s=10.0,
    interval_s=3600.0,
)


@pytest.fixture(scope="module")
def found() -> Any:
    plan = outcome().plan
    return replay(plan, 4000, 1, time_budget_s=14 * 86400.0, cost_budget_usd=120e3, confidence=0.8)


def test_every_stress_makes_a_plan_later_and_dearer_and_all_of_them_do_most(found):
    assert [stress.world.name for stress in found.stresses] == [name for name, _ in STRESSES]
    *single, everything = found.stresses
    for stress in single:
        assert stress.more_time_s >= 0.0
        assert stress.more_cost_usd >= 0.0
        assert stress.world.p_within_time <= found.simulated.p_within_time
        assert stress.world.time_s.p50 <= everything.world.time_s.p50
        assert stress.time_confidence <= everything.time_confidence
    assert everything.more_time_s > 0.15 * found.simulated.time_s.p50


def test_the_reserve_of_a_stress_keeps_the_promise_in_it_and_the_confidence_asks_for_as_much(found):
    plan, stress = outcome().plan, found.stresses[-1]
    drawn = simulate(STRESSES[-1][1](run_of(plan)), 4000, 1)
    cost = cost_of(plan, drawn.time_s, drawn.luck)
    assert float((drawn.time_s <= stress.time_needed_s).mean()) == pytest.approx(0.8, abs=0.001)
    assert float((cost <= stress.cost_needed_usd).mean()) == pytest.approx(0.8, abs=0.001)
    base = simulate(run_of(plan), 4000, 1)
    assert float(np.quantile(base.time_s, stress.time_confidence)) == pytest.approx(stress.time_needed_s, rel=0.01)
    assert stress.time_needed_s - base.quantile(0.8) == pytest.approx(stress.more_time_s)


def test_the_data_frame_has_a_row_of_every_stress_with_its_reserve():
    frame = api.simulate(outcome(), worlds=200).to_frame()
    rows = frame[frame["name"] == "all three"]
    assert len(rows) == 1
    assert (rows["more_time_s"] > 0).all()


def test_a_run_meets_as_many_failures_in_bursts_and_loses_less_to_them():
    steady, bursts = simulate(RUN, 4000, 1), simulate(replace(RUN, burst=4.0), 4000, 1)
    each = [float(drawn.failures.mean() / drawn.time_s.mean()) for drawn in (steady, bursts)]
    assert each[1] == pytest.approx(each[0], rel=0.05)
    assert bursts.lost_s.mean() + bursts.waiting_s.mean() < steady.lost_s.mean() + steady.waiting_s.mean()


def test_a_run_that_is_short_against_the_time_between_failures_does_not_begin_in_a_burst():
    rare = replace(RUN, rate_per_s=RUN.rate_per_s / 100)
    assert simulate(replace(rare, burst=4.0), 4000, 1).failures.mean() == pytest.approx(
        simulate(rare, 4000, 1).failures.mean(), rel=0.35
    )
