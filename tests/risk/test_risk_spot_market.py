"""How often the market takes machines back, drawn once a run: the closed form against exact rates and the simulator."""

from __future__ import annotations

from dataclasses import fields
from statistics import NormalDist

import numpy as np
import pytest
from test_risk_completion import random_plans
from test_risk_waits import waiting_plans

from planner.results.plan import Overhead
from planner.risk.completion import completion
from planner.risk.hazard import Hazard
from planner.risk.simulation import SimulatedRun, simulate
from planner.risk.spot_market import GIVEN_UP, Market, market_completion

WORLDS = 4_000
SPREADS = (0.9, 1.78)  # of one cloud's band, and of that applied to others


def spot_plans(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Hazard]:
    """Those runs of `waiting_plans` that stand on spot machines."""
    work, low, high, hazard = waiting_plans(count, seed)
    spot = np.flatnonzero(hazard.wait_share > 0)
    return work[spot], low[spot], high[spot], hazard.take(spot)


def markets(count: int, spread: float) -> Market:
    return Market(np.full(count, spread), np.zeros(count))


@pytest.mark.parametrize("overhead", [Overhead(), Overhead(least=1.01, log_more=0.09)])
@pytest.mark.parametrize("spread", SPREADS)
def test_the_mixture_of_rates_keeps_chances_within_a_hundredth(spread, overhead):
    work, low, high, hazard = spot_plans(60, 8)
    market = markets(len(work), spread)
    runs = market_completion(work, low, high, hazard, market, overhead)
    slices = [NormalDist().inv_cdf((k + 0.5) / 32) for k in range(32)]
    exact = [completion(work, low, high, market.at(z, hazard), overhead) for z in slices]
    for p in (0.1, 0.5, 0.8, 0.9, 0.95):
        time = runs.quantile(p)
        patient = time < 0.4 * GIVEN_UP * work
        found = np.mean([each.probability(time) for each in exact], axis=0)
        assert np.abs(found - p)[patient].max() < 0.0125
        assert np.abs(found - p)[patient].mean() < 0.002


@pytest.mark.parametrize("spread", SPREADS)
def test_the_mixture_of_rates_agrees_with_the_simulator_with_waits_in(spread):
    work, low, high, hazard = spot_plans(60, 21)
    few = np.flatnonzero(hazard.rate_per_s * work < 8)[:6]
    work, low, high, hazard = work[few], low[few], high[few], hazard.take(few)
    runs = market_completion(work, low, high, hazard, markets(len(work), spread))
    names = [field.name for field in fields(Hazard)]
    for i in range(len(work)):
        values = {name: float(getattr(hazard, name)[i]) for name in names}
        drawn = simulate(SimulatedRun(work[i], low[i], high[i], **values, market_spread=spread), WORLDS, i)
        for p in (0.5, 0.8, 0.9):
            noise = 3.5 * np.sqrt(p * (1 - p) / WORLDS)
            if drawn.quantile(p) > 0.4 * GIVEN_UP * work[i]:
                continue
            quantile = runs.quantile(p)[i]
            assert 0.99 * drawn.quantile(p - noise) <= quantile <= 1.01 * drawn.quantile(p + noise), (i, p)
            chance = runs.take(np.array([i])).probability(drawn.quantile(p))[0]
            assert chance == pytest.approx(p, abs=0.01 + noise), (i, p)


@pytest.mark.parametrize("spread", SPREADS)
def test_more_work_never_ends_sooner_whatever_the_market(spread):
    work, low, high, hazard = spot_plans(80, 5)
    market = markets(len(work), spread)
    for p in (0.1, 0.5, 0.8, 0.9, 0.95):
        first, more = (market_completion(w, low, high, hazard, market).quantile(p) for w in (work, work * 1.003))
        assert np.all(more > first)


def test_a_run_is_mixed_alike_alone_and_beside_others():
    work, low, high, hazard = spot_plans(40, 10)
    market = markets(len(work), 1.78)
    together = market_completion(work, low, high, hazard, market).quantile(0.8)
    for i in range(len(work)):
        at = np.array([i])
        alone = market_completion(work[at], low[at], high[at], hazard.take(at), market.take(at))
        assert alone.quantile(0.8)[0] == together[i]


def test_a_rate_that_is_known_is_no_mixture():
    work, low, high, hazard = random_plans(20, 3)
    plain, same = completion(work, low, high, hazard), market_completion(work, low, high, hazard, markets(20, 0.0))
    assert np.array_equal(plain.quantile(0.9), same.quantile(0.9))


def test_the_less_is_known_of_the_market_the_later_a_run_surely_ends():
    work, low, high, hazard = spot_plans(60, 4)
    narrow, wide = (
        market_completion(work, low, high, hazard, markets(len(work), spread)).quantile(0.9) for spread in (0.3, 1.5)
    )
    assert np.all(wide >= narrow * (1 - 1e-6))
