"""Checkpoint intervals: the textbook limits, the exact optimum, and the delay that failures add."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from planner.risk.checkpoint import daly_interval, optimal_interval, segment_moments, young_interval

costs = st.floats(0.1, 600)
mtbfs = st.floats(600, 1e8)


def expected_time_per_work(interval_s: float, cost_s: float, mtbf_s: float) -> float:
    """Daly 2006, equation 20, without restart: wall-clock seconds for a second of work."""
    return float(mtbf_s * np.expm1((interval_s + cost_s) / mtbf_s) / interval_s)


@given(costs, mtbfs)
def test_the_optimal_interval_is_where_scipy_finds_the_minimum(cost, mtbf):
    exact = float(optimal_interval(np.array([cost]), np.array([1 / mtbf]))[0])
    found = minimize_scalar(
        lambda log_tau: np.log(expected_time_per_work(np.exp(log_tau), cost, mtbf)),
        bounds=(np.log(1e-3), np.log(20 * mtbf)),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert expected_time_per_work(exact, cost, mtbf) <= np.exp(found.fun) * (1 + 1e-9)


def test_where_failures_are_rare_young_daly_and_the_exact_interval_agree():
    cost, mtbf = np.array([30.0]), np.array([1e8])
    young = young_interval(cost, mtbf)
    assert daly_interval(cost, mtbf) == pytest.approx(young, rel=1e-3)
    assert optimal_interval(cost, 1 / mtbf) == pytest.approx(young, rel=1e-3)


def test_daly_stays_near_the_optimum_where_young_does_not():
    cost, mtbf = np.array([300.0]), np.array([1800.0])
    exact = optimal_interval(cost, 1 / mtbf)
    assert abs(daly_interval(cost, mtbf) / exact - 1) < 0.01
    assert abs(young_interval(cost, mtbf) / exact - 1) > 0.1


def test_without_failures_nothing_is_saved_and_nothing_is_lost():
    assert optimal_interval(np.array([30.0]), np.array([0.0]))[0] == np.inf
    mean, variance = segment_moments(np.array([0.0]), np.array([3600.0]), np.array([600.0]))
    assert mean[0] == 0.0
    assert variance[0] == 0.0


@given(st.floats(1e-9, 1e-3), st.floats(60, 1e5), st.floats(0, 3600))
def test_the_mean_delay_of_a_segment_is_dalys(rate, length, restart):
    mean, _ = segment_moments(np.array([rate]), np.array([length]), np.array([restart]))
    if rate * (length + restart) < 250:
        daly = np.exp(rate * restart) * np.expm1(rate * length) / rate - length
        assert mean[0] == pytest.approx(daly, rel=2e-4, abs=1e-6 * length)


def test_the_variance_of_a_segment_is_what_drawing_it_gives():
    rng = np.random.default_rng(5)
    rate, length, restart, worlds = 1 / 5000.0, 3000.0, 700.0, 200_000
    time, need, active = np.zeros(worlds), np.full(worlds, length), np.arange(worlds)
    while active.size:
        gap = rng.exponential(1 / rate, active.size)
        done = gap >= need[active]
        time[active] += np.minimum(gap, need[active])
        active = active[~done]
        need[active] = length + restart
    mean, variance = segment_moments(np.array([rate]), np.array([length]), np.array([restart]))
    assert mean[0] == pytest.approx(time.mean() - length, rel=0.02)
    assert variance[0] == pytest.approx(time.var(), rel=0.03)
