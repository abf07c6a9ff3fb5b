"""What teams pay for beside training and failures: its distribution, its closed form, and where it enters."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search_cases import case
from test_risk_completion import random_plans

from planner.catalog.risk_facts import load_risk_facts
from planner.performance.loading import load_calibration
from planner.results.answers import Optimization
from planner.results.plan import Overhead
from planner.risk import factor
from planner.risk.completion import completion
from planner.risk.hazard import Hazard
from planner.risk.overhead import beyond, modelled_share, overhead_of, published
from planner.risk.simulation import SimulatedRun, simulate
from planner.scenario import parse_scenario
from planner.search import optimize
from planner.spec.scenario import OwnRun, Risk, Scenario, StatedOverhead
from planner.units import PlannerError

FACTS = load_risk_facts()
SMALL = """
name: small
model: gpt-neox-20b
data: {samples: 31267487, seq_length: 2048}
training: {epochs: 1, global_batch: 1024, framework: gpt-neox}
budget: {time: 40 days, cost: 200k USD}
cluster: {gpus: [h100-sxm5-80gb], clouds: [crusoe], max_gpus: 128}
"""


def convolved(low: float, high: float, more: float) -> tuple[np.ndarray, np.ndarray]:
    """(y, P(log Y <= y)) by adding up densities on a grid: nothing of the closed form."""
    step = 5e-5
    x = np.arange(-7 * low, 7 * high, step)
    sigma = np.where(x < 0, low, high)
    normal = np.exp(-0.5 * (x / sigma) ** 2) / (sigma * math.sqrt(2 * math.pi)) * step
    ends = np.arange(0.0, 30 * more, step)
    exponential = np.exp(-ends / more) - np.exp(-(ends + step) / more)
    count = 1 << (len(x) + len(ends)).bit_length()
    both = np.fft.irfft(np.fft.rfft(normal, count) * np.fft.rfft(exponential, count), count)
    both = both[: len(x) + len(ends) - 1]
    return x[0] + step * np.arange(len(both)) + step, np.cumsum(both)


@pytest.mark.parametrize(
    ("low", "high", "more"), [(0.1, 0.1, 0.09), (0.05, 0.2, 0.09), (0.02, 0.02, 0.3), (0.2, 0.08, 0.01)]
)
def test_the_closed_form_is_the_convolution_of_step_time_and_overhead(low, high, more):
    y, chance = convolved(low, high, more)
    at = np.linspace(-3 * low, 4 * high + 3 * more, 60)
    found, density = factor.chance_and_density(at, *(np.full(60, each) for each in (low, high, more)))
    assert found == pytest.approx(np.interp(at, y, chance), abs=2e-3)
    ahead, _ = factor.chance_and_density(at + 1e-6, *(np.full(60, each) for each in (low, high, more)))
    kinked = np.abs(at) < 2e-6
    assert (ahead - found)[~kinked] / 1e-6 == pytest.approx(density[~kinked], abs=1e-3)


@pytest.mark.parametrize("p", [0.001, 0.1, 0.5, 0.8, 0.99])
def test_a_quantile_of_the_factor_is_met_with_its_probability(p):
    rng = np.random.default_rng(2)
    low, high, more = rng.uniform(0.0, 0.4, 200), rng.uniform(0.0, 0.4, 200), rng.uniform(0.0, 0.5, 200)
    low[:20], more[20:40] = 0.0, 0.0
    high[:20] = 0.0
    found = factor.quantile(p, low, high, more)
    chance, _ = factor.chance_and_density(np.log(found), low, high, more)
    assert chance[20:] == pytest.approx(p, abs=1e-9)
    assert np.log(found[:20]) == pytest.approx(-more[:20] * math.log1p(-p))  # an exponential alone


def test_a_tiny_overhead_beside_a_wide_spread_is_no_overflow():
    some = (np.array([0.5]), np.array([0.5]))
    with np.errstate(all="raise", under="ignore"):
        for more in (1e-9, 1e-4, 1e-2):
            near = factor.quantile(0.9, *some, np.array([more]))
            assert near[0] == pytest.approx(math.exp(0.5 * 1.2815515655446004), rel=3 * more + 1e-9)


@pytest.mark.parametrize("overhead", [Overhead(log_more=0.093), Overhead(1.06, 0.05), Overhead(1.1)])
def test_quantiles_and_probabilities_with_overhead_agree_with_the_simulation(overhead):
    work, low, high, hazard = random_plans(40, 31)
    runs = completion(work, low, high, hazard, overhead)
    worlds = 40_000
    for i in range(len(work)):
        each = (hazard.rate_per_s[i], hazard.restart_s[i], 0.0, 0.0, hazard.checkpoint_s[i], hazard.interval_s[i])
        drawn = simulate(
            SimulatedRun(work[i], low[i], high[i], *each, least=overhead.least, log_more=overhead.log_more), worlds, i
        )
        for p in (0.1, 0.5, 0.8, 0.9):
            noise = 4 * math.sqrt(p * (1 - p) / worlds)
            below, above = drawn.quantile(p - noise), drawn.quantile(p + noise)
            assert 0.99 * below <= runs.quantile(p)[i] <= 1.01 * above
        for stretch in (1.05, 1.15, 1.4):
            found = float(np.mean(drawn.time_s <= work[i] * stretch))
            noise = 4 * math.sqrt(max(found * (1 - found), 1e-4) / worlds)
            assert runs.probability(work * stretch)[i] == pytest.approx(found, abs=0.01 + noise)


def test_the_lengths_that_costs_are_reckoned_with_have_the_quantiles_of_the_time():
    work, low, high, hazard = random_plans(20, 5)
    runs = completion(work, low, high, hazard, Overhead(1.02, 0.09))
    time, weight = runs.lengths(129)
    for p in (0.2, 0.5, 0.8):
        share = np.where(time <= runs.quantile(p)[:, None], weight, 0.0).sum(axis=1)
        assert share == pytest.approx(p, abs=1 / 256)


def test_overhead_is_a_factor_on_everything_where_nothing_else_is_uncertain():
    work, zero = np.array([1e6]), np.zeros(1)
    none = Hazard(zero, zero, zero, zero, zero, np.full(1, np.inf))
    assert completion(work, zero, zero, none, Overhead(1.25)).quantile(0.8) == pytest.approx(1.25e6)
    runs = completion(work, zero, zero, none, Overhead(log_more=0.1))
    assert runs.quantile(0.9)[0] == pytest.approx(1e6 * 10**0.1)


def drawn_jointly(low: float, high: float, more: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Standard deviations z of log X, logarithms of X, and weights that add up over z to 1."""
    half = (np.arange(5_000) + 0.5) * 9.0 / 5_000
    z = np.concatenate([-half[::-1], half])
    weight = np.exp(-0.5 * z * z) * 9.0 / 5_000 / math.sqrt(2.0 * math.pi)
    return z, z * np.where(z < 0, low, high), weight


@pytest.mark.parametrize("tilts", [(0.0, 0.0), (0.3, 0.5), (2.0, 1.0), (0.0, 1.5)])
@pytest.mark.parametrize(("low", "high", "more"), [(0.1, 0.1, 0.09), (0.05, 0.2, 0.3), (0.2, 0.08, 0.01)])
def test_what_a_slower_step_makes_rarer_is_its_quadrature_over_the_step_time(low, high, more, tilts):
    z, log, weight = drawn_jointly(low, high, more)
    kept = weight * np.exp(-z * np.where(z < 0, *tilts))
    at = np.linspace(-3 * low, 3 * high + 3 * more, 41) + 1e-3
    left = at[:, None] - log[None, :]
    wanted = (kept * np.where(left > 0, -np.expm1(-np.maximum(left, 0.0) / more), 0.0)).sum(axis=1)
    some = [np.full(at.shape, each) for each in (low, high, more, *tilts)]
    found, density = factor.tilted(at, *some[:3], (some[3], some[4]))
    assert found == pytest.approx(wanted, rel=2e-4, abs=2e-4)
    ahead, before = (factor.tilted(at + step, *some[:3], (some[3], some[4]))[0] for step in (1e-6, -1e-6))
    assert (ahead - before) / 2e-6 == pytest.approx(density, rel=1e-4, abs=1e-4)
    if tilts == (0.0, 0.0):
        assert found == pytest.approx(factor.chance_and_density(at, *some[:3])[0], abs=1e-12)


@pytest.mark.parametrize("tilts", [(0.3, 0.5), (2.0, 1.0)])
def test_without_overhead_what_a_slower_step_makes_rarer_is_a_quadrature_too(tilts):
    low, high = 0.05, 0.2
    z = np.linspace(-9.0, 9.0, 180_001)
    each = np.exp(-0.5 * z * z - z * np.where(z < 0, *tilts)) / math.sqrt(2.0 * math.pi) * (z[1] - z[0])
    at = np.array([-0.1, -0.02, 0.0, 0.05, 0.3])
    wanted = [float(each[z * np.where(z < 0, low, high) <= y].sum()) for y in at]
    some = [np.full(at.shape, value) for value in (low, high, 0.0, *tilts)]
    assert factor.tilted(at, *some[:3], (some[3], some[4]))[0] == pytest.approx(wanted, rel=5e-4)


@pytest.mark.parametrize("p", [0.05, 0.4, 0.7, 0.95])
def test_slopes_say_how_a_quantile_moves_with_each_spread(p):
    """Against quantiles of the quadrature at spreads a hundredth apart, found by interpolation."""

    def quantile(low: float, high: float, more: float) -> float:
        _, log, weight = drawn_jointly(low, high, more)
        at = np.linspace(-4 * low, 5 * high + 8 * more, 801)
        chance = (weight * -np.expm1(-np.maximum(at[:, None] - log, 0.0) / more)).sum(axis=1)
        return float(np.interp(p, chance, at))

    low, high, more = 0.08, 0.15, 0.09
    here = quantile(low, high, more)
    below, above = factor.slopes(np.array([here]), *(np.array([each]) for each in (low, high, more)))
    wanted = [
        (quantile(low * 1.02, high, more) - quantile(low * 0.98, high, more)) / 0.04,
        (quantile(low, high * 1.02, more) - quantile(low, high * 0.98, more)) / 0.04,
    ]
    assert [below[0], above[0]] == pytest.approx(wanted, abs=5e-4)


def test_a_certain_factor_has_no_slopes():
    zero = np.zeros(3)
    assert all(np.all(each == 0) for each in factor.slopes(np.array([-0.1, 0.0, 0.1]), zero, zero, zero))


# Where the distribution comes from ------------------------------------------------------------------------------------


def test_a_published_share_counts_only_for_what_failures_and_checkpoints_do_not_explain():
    shares = {run.run: (run.share, modelled_share(run, FACTS), beyond(run, FACTS)) for run in FACTS.goodputs}
    assert all(0 < share <= 1 and 0.85 < own < 1 and more >= 0 for share, own, more in shares.values())
    share, own, more = shares["glm-130b"]  # of 60 days, failures of 96 nodes take some two per cent
    assert own == pytest.approx(0.976, abs=0.01)
    assert math.exp(-more) == pytest.approx(share / own)
    assert shares["llama3-405b"][2] < 0.03  # its lost time is what such a cluster's failures take
    assert shares["llama1-65b"][2] == 0.0


def test_each_run_counts_once_and_few_runs_leave_the_mean_uncertain():
    logs = [beyond(run, FACTS) for run in FACTS.goodputs]
    found = published(FACTS)
    assert (found.least, found.log_more) == (1.0, pytest.approx(sum(logs) / (len(logs) - 1)))
    assert all(run.run in found.source for run in FACTS.goodputs)


def test_a_sites_own_runs_are_not_used_for_its_runs():
    assert published(FACTS, "thudm").log_more < published(FACTS).log_more < published(FACTS, "meta").log_more
    assert "glm" not in published(FACTS, "thudm").source


def test_the_mean_over_few_draws_that_predicts_best_has_one_draw_fewer_below():
    # Expected log density of one more draw, of an exponential of mean 1, by drawing: sum / (n - 1) beats sum / n.
    drawn = np.random.default_rng(1).standard_exponential((200_000, 4)).sum(axis=1)
    score = {below: float(np.mean(-np.log(drawn / below) - below / drawn)) for below in (2.5, 3, 4)}
    assert max(score, key=score.get) == 3


@pytest.mark.parametrize(("low", "high"), [(1.05, 1.2), (1.02, 1.4), (1.1, 1.1)])
def test_a_stated_range_holds_four_runs_in_five(low, high):
    found = overhead_of(StatedOverhead(low, high), FACTS)
    assert (found.quantile(0.1), found.quantile(0.9)) == (pytest.approx(low), pytest.approx(high))
    assert found.least >= 1


def test_a_range_that_begins_at_one_stays_above_it():
    found = overhead_of(StatedOverhead(1.0, 1.3), FACTS)
    assert found.least == 1.0
    assert found.quantile(0.9) == pytest.approx(1.3)


def test_runs_of_ones_own_outweigh_what_is_published_the_more_there_are():
    usual = published(FACTS).log_more
    run = OwnRun(100.0, 80.0, 4.0)
    own = [overhead_of(StatedOverhead(runs=(run,) * n), FACTS).log_more for n in (1, 4, 50)]
    wanted = math.log(100 / 84)
    assert own[0] == pytest.approx((usual + wanted) / 2)
    assert usual < own[0] < own[1] < own[2] < wanted
    assert own[2] == pytest.approx(wanted, rel=0.02)


# The key --------------------------------------------------------------------------------------------------------------


def small(overhead: str) -> Scenario:
    text = SMALL + f"risk: {{overhead: {overhead}}}\n"
    return parse_scenario(text.encode(), Path("small.yaml"))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("none", StatedOverhead()),
        ("1.0", StatedOverhead()),
        ("1.1", StatedOverhead(1.1, 1.1)),
        ("{low: 1.02, high: 1.2}", StatedOverhead(1.02, 1.2)),
        ("[{allocated: 100, productive: 90}]", StatedOverhead(runs=(OwnRun(100.0, 90.0),))),
    ],
)
def test_overhead_is_stated_as_a_factor_a_range_or_runs(written, read):
    assert small(written).risk == Risk(overhead=read)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("0.9", r"risk\.overhead: `0\.9` must be at least 1: it is a factor on time, so that a share of 80 % is 1\.25"),
        ("10%", r"risk\.overhead: `10%` is a share, and this is a factor on time: write `1\.1` for 10% on top"),
        ("7.5 %", r"write `1\.075` for 7\.5 % on top"),
        ("no", r"risk\.overhead: .*is not `none` or a factor on time, such as `1\.1`"),
        ("{low: 1.2, high: 1.1}", r"`low` is at most `high`"),
        ("{low: 1.2}", r"the key `high` is missing"),
        ("[{allocated: 90, productive: 80, failures: 20}]", r"overhead\.0: productive and failures are 100 GPU-hours"),
        ("[{allocated: 90}]", r"the key `productive` is missing"),
        ("[]", r"0 entries"),
    ],
)
def test_an_overhead_that_cannot_be_is_one_sentence(written, said):
    with pytest.raises(PlannerError, match=said):
        small(written)


# Plans ----------------------------------------------------------------------------------------------------------------


def solved(seed: int, stated: StatedOverhead | None) -> Optimization:
    given = case(seed)
    scenario = replace(given.scenario, risk=Risk(overhead=stated), budget=replace(given.scenario.budget, time_s=1e9))
    return optimize(scenario, given.catalog, load_calibration(), offers=given.offers)


def test_a_certain_overhead_multiplies_time_and_cost_of_the_same_plan():
    none, more = (solved(3, StatedOverhead(each, each)).plan for each in (1.0, 1.25))
    for p in ("p10", "p50", "p90"):
        assert getattr(more.time_s, p) == pytest.approx(1.25 * getattr(none.time_s, p))
        assert getattr(more.cost_usd, p) == pytest.approx(1.25 * getattr(none.cost_usd, p))


def test_allocated_hours_are_productive_ones_and_what_they_are_lost_to():
    for stated in (None, StatedOverhead(), StatedOverhead(1.1, 1.3)):
        plan = solved(3, stated).plan
        hours = plan.gpu_hours
        parts = (hours.productive, hours.checkpoints, hours.failures, hours.overhead, hours.spare)
        assert sum(parts) == pytest.approx(hours.allocated)
        assert min(parts) >= 0
        assert hours.allocated == pytest.approx(plan.paid_gpus * plan.time_s.p50 / 3600)
        assert (hours.overhead == pytest.approx(0.0)) == (stated == StatedOverhead())
        assert hours.overhead_source


def test_json_has_the_hours_and_the_overhead_with_its_source():
    plan = json.loads(solved(3, None).to_json())["plan"]
    assert set(plan["gpu_hours"]) == {
        "productive", "checkpoints", "failures", "overhead", "spare", "allocated", "overhead_source",
    }  # fmt: skip
    assert plan["reliability"]["overhead"]["log_more"] == pytest.approx(published(FACTS).log_more)
    assert plan["reliability"]["reserve_by_cause"]["overhead"] > 0
