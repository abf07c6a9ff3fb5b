"""Completion time: the closed form against the event-by-event simulation, and its limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import planner.risk.completion
from planner.catalog.risk_facts import load_risk_facts
from planner.results.plan import Overhead
from planner.risk.checkpoint import optimal_interval
from planner.risk.completion import completion
from planner.risk.failures import hazards, interruption_rate, takings
from planner.risk.hazard import Hazard
from planner.risk.simulation import SimulatedRun, simulate
from planner.spec.scenario import Risk

DAY = 86_400.0
FACTS = load_risk_facts()


def random_plans(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Hazard]:
    """Runs of 6 hours to 120 days on 1 to 2,048 nodes, saved at the optimal interval."""
    rng = np.random.default_rng(seed)
    work = np.exp(rng.uniform(np.log(0.25 * DAY), np.log(120 * DAY), count))
    nodes = np.exp(rng.uniform(0, np.log(2048), count))
    rate = nodes * rng.uniform(2.3e-3, 6.5e-3, count) / DAY
    pause = np.exp(rng.uniform(np.log(3), np.log(300), count))
    restart = rng.uniform(300, 2400, count)
    low = rng.choice([0.02, 0.05, 0.1, 0.2], count)
    high = low * rng.uniform(0.8, 1.5, count)
    none = np.zeros(count)
    hazard = Hazard(rate, restart, none, none, pause, optimal_interval(pause, rate))
    return work, low, high, hazard


def test_quantiles_and_probabilities_agree_with_the_simulation_on_500_random_plans():
    work, low, high, hazard = random_plans(500, 11)
    runs = completion(work, low, high, hazard)
    levels = (0.1, 0.5, 0.8, 0.9)
    quantiles = {p: runs.quantile(p) for p in levels}
    budgets = {f: runs.probability(work * f) for f in (1.02, 1.1, 1.25)}
    for i in range(len(work)):
        drawn = simulate(
            SimulatedRun(
                work[i],
                low[i],
                high[i],
                hazard.rate_per_s[i],
                hazard.restart_s[i],
                0.0,
                0.0,
                hazard.checkpoint_s[i],
                hazard.interval_s[i],
            ),
            4_000,
            i,
        )
        for p in levels:
            noise = 4 * np.sqrt(p * (1 - p) / 4_000)  # four standard errors of the drawn rank
            below, above = drawn.quantile(max(p - noise, 0.001)), drawn.quantile(min(p + noise, 0.999))
            assert 0.98 * below <= quantiles[p][i] <= 1.02 * above
        for factor, stated in budgets.items():
            found = np.mean(drawn.time_s <= work[i] * factor)
            assert abs(stated[i] - found) < 0.02 + 4 * np.sqrt(max(found * (1 - found), 1e-4) / 4_000)


def test_no_failures_and_no_uncertainty_give_back_the_work_to_the_last_digit():
    work = np.array([123_456.789, 9_876_543.21])
    zero = np.zeros(2)
    runs = completion(work, zero, zero, Hazard(zero, zero, zero, zero, zero + 60, np.full(2, np.inf)))
    for p in (0.1, 0.5, 0.9):
        assert np.array_equal(runs.quantile(p), work)
    assert np.array_equal(runs.probability(work), [1.0, 1.0])
    assert np.array_equal(runs.probability(np.nextafter(work, 0)), [0.0, 0.0])


def test_a_quantile_is_met_with_its_probability():
    work, low, high, hazard = random_plans(200, 3)
    runs = completion(work, low, high, hazard)
    for p in (0.1, 0.5, 0.8, 0.95):
        assert runs.probability(runs.quantile(p)) == pytest.approx(np.full(200, p), abs=1e-6)


def test_more_work_never_ends_sooner():
    work, low, high, hazard = random_plans(200, 4)
    for p in (0.5, 0.9):
        first = completion(work, low, high, hazard).quantile(p)
        more = completion(work * 1.01, low, high, hazard).quantile(p)
        assert np.all(more > first)


def hopper_hazard(gpus: int, parameters: int, settings: Risk) -> Hazard:
    rate = interruption_rate(FACTS, "hopper", "any", settings)
    return hazards(
        FACTS, settings, rate=rate, preemptions=0.0, parameters=parameters, gpus=np.array([gpus]), gpus_per_node=8
    )


def test_llama_3_405b_is_interrupted_about_466_times_in_54_days_and_over_90_percent_effective():
    hazard = hopper_hazard(16_384, 405_853_388_800, Risk(spare_nodes=64))
    zero = np.zeros(1)
    work = np.array([0.95 * 54 * DAY])
    runs = completion(work, zero, zero, hazard)
    wall = runs.undisturbed_s + runs.delay_mean_s
    assert hazard.rate_per_s[0] * 54 * DAY == pytest.approx(466, rel=0.01)
    assert 0.88 < work[0] / wall[0] < 0.97  # published: "more than 90 %"


@pytest.mark.parametrize(("gpus", "published_hours"), [(1_024, 29.0), (16_384, 1.8)])
def test_mean_time_to_failure_falls_with_job_size_as_meta_projects(gpus, published_hours):
    # Kokolis et al. 2024, the worse of their clusters: 6.50 per 1,000 node-days, so 1.8 h at 16,384 GPUs.
    rate = Risk(interruptions_per_1000_node_days=6.50)
    assert 1 / hopper_hazard(gpus, 1, rate).rate_per_s[0] / 3600 == pytest.approx(published_hours, rel=0.03)


def test_spot_adds_preemptions_and_their_waiting_and_asynchronous_saving_shortens_the_pause():
    rate = interruption_rate(FACTS, "hopper", "aws", Risk())
    common = {"rate": rate, "parameters": 10**10, "gpus": np.array([64]), "gpus_per_node": 8}
    firm = hazards(FACTS, Risk(), preemptions=0.0, **common)
    spot = hazards(FACTS, Risk(), preemptions=takings(FACTS, "hopper", "aws", Risk()).per_1000_node_days, **common)
    behind = hazards(FACTS, Risk(asynchronous_checkpoints=True), preemptions=0.0, **common)
    assert spot.rate_per_s[0] > firm.rate_per_s[0]
    assert spot.restart_s[0] > firm.restart_s[0]
    assert behind.checkpoint_s[0] < firm.checkpoint_s[0]
    assert behind.restart_s[0] > firm.restart_s[0]


def test_the_same_seed_draws_the_same_worlds():
    run = SimulatedRun(10 * DAY, 0.05, 0.05, 1e-5, 600, 0.5, 1800, 60, 7200)
    first, again = simulate(run, 500, 7), simulate(run, 500, 7)
    assert np.array_equal(first.time_s, again.time_s)
    assert not np.array_equal(first.time_s, simulate(run, 500, 8).time_s)


def test_every_second_of_a_simulated_run_is_accounted_for():
    run = SimulatedRun(10 * DAY, 0.0, 0.0, 1e-5, 600, 0, 0, 60, 7200)
    drawn = simulate(run, 300, 1)
    checkpoints = 10 * DAY / 7200 * 60
    assert drawn.time_s == pytest.approx(10 * DAY + checkpoints + drawn.lost_s + drawn.waiting_s, rel=1e-9)


def test_stated_90_percent_is_met_in_90_percent_of_worlds():
    met = 0
    work, low, high, hazard = random_plans(100, 21)
    promised = completion(work, low, high, hazard).quantile(0.9)
    for i in range(100):
        args = (hazard.rate_per_s[i], hazard.restart_s[i], 0.0, 0.0, hazard.checkpoint_s[i], hazard.interval_s[i])
        drawn = simulate(SimulatedRun(work[i], low[i], high[i], *args), 200, 1000 + i)
        met += int(np.sum(drawn.time_s <= promised[i]))
    assert met / 20_000 == pytest.approx(0.9, abs=0.015)


def test_a_market_takes_back_what_is_sought_after_more_often_unless_the_user_knows_better():
    asked = [
        ("hopper", Risk()),
        ("ampere", Risk()),
        ("cdna3", Risk()),
        ("ampere", Risk(spot_preemptions_per_1000_node_days=9.0)),
    ]
    found = [takings(FACTS, family, "aws", risk) for family, risk in asked]
    assert [taken.per_1000_node_days for taken in found] == [5.4, 2.6, 17, 9.0]
    assert [taken.log_spread > 0 for taken in found] == [True, True, True, False]


def drawn_by_hand(
    work: float, interval: float, pause: float, rate: float, recover: float, share: float, wait: float, worlds: int
) -> np.ndarray:
    """Completion times of runs of certain speed, failure by failure: every node that is away is waited for."""
    rng = np.random.default_rng(5)
    out = []
    for _ in range(worlds):
        now, saved, ready = 0.0, 0.0, 0.0
        strike = rng.exponential(1 / rate)
        while True:
            start = max(now, ready)  # trains from here on, unless struck before
            left = work - saved
            end = start + left + pause * np.floor(left / interval)
            if strike >= end:
                out.append(end)
                break
            if strike > start:
                saved += interval * np.floor((strike - start) / (interval + pause))
            away = rng.exponential(wait) if rng.random() < share else 0.0
            ready = max(ready, strike + recover + away)
            now = strike
            strike += rng.exponential(1 / rate)
    return np.array(out)


@pytest.mark.parametrize(
    ("work_h", "interval_h", "failures", "share", "wait_h"),
    [
        (72.0, 3.0, 24, 0.5, 6.0),  # failures strike while others are still waited for
        (72.0, 3.0, 8, 0.9, 2.0),
        (120.0, 8.0, 1, 0.5, 6.0),
        (12.6, 12.0, 0.1, 0.0, 0.0),  # an interval just below the work
        (12.6, 12.0, 0.5, 0.0, 0.0),
        (24.0, 10.0, 0.3, 0.0, 0.0),
        (11.9, 12.0, 0.3, 0.0, 0.0),
    ],
)
def test_waits_and_stated_intervals_agree_with_drawing_them_by_hand(work_h, interval_h, failures, share, wait_h):
    work, interval, wait = work_h * 3600, interval_h * 3600, wait_h * 3600
    rate = failures / work
    found = drawn_by_hand(work, interval, 60.0, rate, 900.0, share, wait, 40_000 // max(1, int(failures)))
    one = [np.array([n]) for n in (rate, 900.0, share, wait, 60.0, interval)]
    runs = completion(np.array([work]), np.array([0.03]), np.array([0.04]), Hazard(*one))
    z = np.random.default_rng(6).standard_normal(len(found))
    found *= np.exp(z * np.where(z < 0, 0.03, 0.04))
    drawn = simulate(SimulatedRun(work, 0.03, 0.04, rate, 900.0, share, wait, 60.0, interval), 40_000, 3)
    noise = 3 * np.sqrt(0.25 / len(found))
    for p in (0.1, 0.5, 0.8, 0.9):
        below, above = np.quantile(found, [max(p - noise, 0.001), min(p + noise, 0.999)])
        assert 0.99 * below <= runs.quantile(p)[0] <= 1.01 * above
        assert runs.probability(np.quantile(found, p))[0] == pytest.approx(p, abs=0.01 + noise)
        assert drawn.quantile(p) == pytest.approx(np.quantile(found, p), rel=0.03)


def test_where_no_spare_node_stands_by_a_failed_one_is_waited_for():
    rate = interruption_rate(FACTS, "hopper", "aws", Risk())
    common = {"rate": rate, "preemptions": 0.0, "parameters": 10**10, "gpus": np.array([64]), "gpus_per_node": 8}
    spare, two_hours = Risk(spare_nodes=1), Risk(replacement_s=7200.0)
    none, stood_by, slow = (hazards(FACTS, risk, **common).recover_s[0] for risk in (Risk(), spare, two_hours))
    assert none - stood_by == FACTS.recovery["replacement_s"].value
    assert slow - stood_by == 7200.0
    both = Risk(spare_nodes=1, replacement_s=7200.0)
    assert hazards(FACTS, both, **common).recover_s[0] == stood_by


def test_what_the_market_took_waits_for_the_market_alone():
    rate = interruption_rate(FACTS, "hopper", "aws", Risk())
    common = {"rate": rate, "parameters": 10**10, "gpus": np.array([64]), "gpus_per_node": 8}
    spot = hazards(FACTS, Risk(replacement_s=7200.0), preemptions=rate.per_1000_node_days, **common)
    assert spot.wait_share[0] == 0.5
    firm = hazards(FACTS, Risk(spare_nodes=1), preemptions=0.0, **common)
    assert spot.recover_s[0] == firm.recover_s[0] + 0.5 * 7200.0


@pytest.mark.parametrize("stated", [None, 600.0, 1e5])
def test_an_asynchronous_checkpoint_begins_after_the_last_is_written(stated):
    risk = Risk(asynchronous_checkpoints=True, storage_gbyte_per_s=2.0, checkpoint_interval_s=stated)
    hazard = hopper_hazard(4096, 405_853_388_800, risk)
    write = 405_853_388_800 * FACTS.recovery["checkpoint_bytes_per_parameter"].value / 2e9  # 2,841 s
    assert hazard.interval_s[0] == pytest.approx(max(stated or 0.0, write))


@pytest.mark.parametrize(("gpus", "stated", "interval"), [(8, None, 4 * 3600.0), (8, 18 * 3600.0, 18 * 3600.0)])
def test_nobody_leaves_more_than_four_hours_unsaved_unless_told_to(gpus, stated, interval):
    assert optimal_interval(np.array([14.0]), np.array([4.2e-3 / DAY]))[0] > 6 * 3600
    hazard = hopper_hazard(gpus, 10**9, Risk(checkpoint_interval_s=stated))
    assert hazard.interval_s[0] == interval


def test_where_nothing_fails_nothing_is_saved():
    assert np.isinf(hopper_hazard(8, 10**9, Risk(interruptions_per_1000_node_days=0.0)).interval_s[0])


def test_a_quantile_is_found_in_a_few_looks_at_the_distribution(monkeypatch):
    looks = 0
    look = planner.risk.completion._chance_and_density

    def counted(runs: Any, time_s: Any) -> Any:
        nonlocal looks
        looks += 1
        return look(runs, time_s)

    monkeypatch.setattr(planner.risk.completion, "_chance_and_density", counted)
    work, low, high, hazard = random_plans(60, 17)
    for overhead in (Overhead(), Overhead(log_more=0.093)):
        for i in range(len(work)):
            at = np.array([i])
            for p in (0.1, 0.5, 0.8, 0.9):
                completion(work[at], low[at], high[at], hazard.take(at), overhead).quantile(p)
    assert looks <= 6 * 2 * 4 * len(work)


def test_without_a_spread_a_quantile_is_the_first_delay_that_is_met_as_often():
    work, _, _, hazard = random_plans(60, 19)
    runs = completion(work, np.zeros(60), np.zeros(60), hazard)
    for p in (0.1, 0.5, 0.9):
        found = runs.quantile(p)
        assert np.all(runs.probability(found * (1 + 1e-9)) >= p - 1e-12)
        assert np.all((runs.probability(found * (1 - 1e-9)) < p) | (found <= runs.undisturbed_s))


@pytest.mark.parametrize(("days", "share", "wait_s"), [(0.3, 0.5, 7200.0), (0.1, 0.5, 7200.0), (0.3, 0.0, 0.0)])
def test_a_run_that_fails_more_than_it_trains_is_stated_as_it_is_simulated(days, share, wait_s):
    """One failure in 9,000 s, of which each costs 5,577 s and half of them a wait more: goodput 0.46 and 0.31."""
    hazard = Hazard(*(np.array([x]) for x in (1 / 9000.0, 5577.0, share, wait_s, 5.0, 2877.4)))
    work = days * 86_400.0
    stated = completion(np.array([work]), np.array([0.02]), np.array([0.02]), hazard)
    run = SimulatedRun(work, 0.02, 0.02, 1 / 9000.0, 5577.0, share, wait_s, 5.0, 2877.4)
    drawn = simulate(run, 200_000, seed=5)
    for p in (0.1, 0.5, 0.9):
        assert float(stated.quantile(p)[0]) == pytest.approx(drawn.quantile(p), rel=0.01)
