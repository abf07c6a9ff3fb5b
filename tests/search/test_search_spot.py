"""Spot prices are spread: every budget is kept with that spread in, and nothing of the search's bounds hides a plan."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from enumeration import Candidate, cost_chance, enumerate_candidates
from search_cases import Case, case, narrowed, with_budget
from test_risk_completion import random_plans

from planner.performance.loading import load_calibration
from planner.results.answers import Optimization
from planner.risk.replay import replay
from planner.risk.simulation import SimulatedRun, simulate
from planner.risk.spot_market import Market, market_completion
from planner.search import Fleet, frontier, optimize, optimize_fleet
from planner.search.building import build
from planner.search.objectives import Goal, View
from planner.search.prices import PlanCost, Rates, in_order_of_price
from planner.search.run_cost import Costs
from planner.spec.billing import PaidTime
from planner.spec.hardware import Offer
from planner.spec.scenario import Egress, Objective, Storage, Terms
from planner.units import PlannerError

SPOT = """
name: spot
model: {hidden: 4096, layers: 32, heads: 32, ffn: 14336, vocab: 32000}
data: {tokens: 20B, seq_length: 4096}
training: {epochs: 1, global_batch: 256}
budget: {cost: COST USD, confidence: 0.8}
objective: cost
cluster: {gpus: [h100-sxm5-80gb], clouds: [aws], regions: [us-east-1], pricing: [spot], max_gpus: 64}
"""


def spot_case(seed: int) -> Case:
    """A small problem whose offers are spot, most with a spread of prices, some the same machines in another region."""
    given, rng = case(seed), random.Random(seed)  # noqa: S311 - nobody's secret hangs on it
    offers = []
    for offer in given.offers:
        for region in ("east", "west")[: rng.choice([1, 2])]:
            middle = rng.choice([1.0, 1.05, 2.0])
            wide = rng.choice([0.0, 0.1, 0.6, 0.9]) * middle
            ends = (middle - wide, middle + wide)
            offers.append(
                replace(offer, region=region, pricing="spot", usd_per_gpu_hour=middle, usd_per_gpu_hour_range=ends)
            )
    scenario = replace(given.scenario, objective=rng.choice([Objective("cost"), Objective("usd_per_day", 300.0)]))
    return replace(given, scenario=scenario, offers=tuple(offers))


OFF = 0.003  # that costs may be stated off by, of them: the search reckons with some lengths of runs, not all


def at_most(c: Candidate, usd: float, confidence: float) -> bool:
    return float(cost_chance(c.runs, c.usd_per_hour, usd)) >= confidence


def stated(c: Candidate) -> PlanCost:
    """What the search says that a candidate costs."""
    free = Costs(None, None, (PaidTime(),), np.array([0]))
    return PlanCost(free, c.runs, 0, Rates(*(np.array([usd]) for usd in c.usd_per_hour)))


@pytest.mark.parametrize("seed", range(0, 40, 2))
def test_the_optimum_with_spread_prices_equals_plain_nested_loops(seed: int) -> None:
    given = spot_case(seed)
    pinned = replace(given.scenario.layout, vpp=replace(given.scenario.layout.vpp, values=(1,)))
    try:
        given = narrowed(replace(given, scenario=replace(given.scenario, layout=pinned)), 1000)
        scenario = given.scenario
        every = [c for c in enumerate_candidates(scenario, given.offers, given.catalog, load_calibration()) if c.fits]
    except PlannerError:
        return
    if not every:
        return
    # The fastest run of each offer and GPU count is its cheapest at every confidence: others are never asked for.
    fastest: dict[tuple[str, str, int], Candidate] = {}
    for c in every:
        key = (c.offer, c.framework, c.gpus)
        if key not in fastest or c.time_s < fastest[key].time_s:
            fastest[key] = c
    rng = random.Random(seed)  # noqa: S311 - nobody's secret hangs on it
    pivot = rng.choice(list(fastest.values()))
    confidence = scenario.budget.confidence
    usd = pivot.cost_quantile(confidence) * rng.choice([0.99, 1.01, 1.2])
    scenario = with_budget(scenario, None, usd)
    rate = scenario.objective.usd_per_day / 86_400.0 if scenario.objective.kind == "usd_per_day" else 0.0
    answer = optimize(scenario, given.catalog, load_calibration(), offers=given.offers)
    # Nothing of the search's costs: as good as the best within the budget, up to how costs are stated.
    within, beyond = (
        [rate * c.time_s + c.cost_quantile(0.5) for c in fastest.values() if at_most(c, usd * off, confidence)]
        for off in (1 - OFF, 1 + OFF)
    )
    # With those costs: exactly the best.
    kept = [(c, cost) for c in fastest.values() if (cost := stated(c)).probability(usd) >= confidence]
    best = min((rate * c.time_s + cost.quantile(0.5) for c, cost in kept), default=None)
    assert (answer.plan is None) == (best is None), seed
    if answer.plan is None:
        assert not within
        return
    found = answer.certificate.best
    assert min(beyond) * (1 - OFF) <= found <= min(within, default=np.inf) * (1 + OFF)
    assert found == pytest.approx(best, rel=1e-8)
    assert answer.plan.p_within_cost >= confidence
    assert answer.plan.within_budget
    assert answer.plan.cost_usd.p50 == pytest.approx(found - rate * answer.plan.time_s.p50, rel=1e-9)


@pytest.mark.parametrize("seed", range(0, 40, 4))
def test_a_bound_never_passes_what_it_bounds(seed: int) -> None:
    given = spot_case(seed)
    scenario = replace(given.scenario, storage=Storage(1e12, 20.0), terms=Terms(billing_step_s=3600.0))
    try:
        state = build(scenario, given.catalog, load_calibration(), given.offers)
    except PlannerError:
        return
    cells = np.flatnonzero(np.isfinite(state.floor_s) & (state.space.sellers > 0))
    if not len(cells):
        return
    for at in (0.2, 0.5, 0.8, 0.97):
        view = View(state, Goal(per_usd=1.0, per_second=0.001, at=at, confidence=at, cost_usd=1.0))
        for stretch in (1.0, 3.0):
            seconds = state.floor_s[cells] * stretch
            value = view.value(seconds, cells)
            assert np.all(view.floor(seconds, cells) <= value * (1 + 1e-9))
            assert np.all(view.longest_s(float(value.max()), cells) >= seconds * (1 - 1e-9))


def test_a_dearer_middle_with_a_narrower_range_may_be_what_keeps_the_budget():
    given = spot_case(3)
    one = replace(given.offers[0], max_nodes=None)
    wide = replace(one, region="wide", usd_per_gpu_hour=1.0, usd_per_gpu_hour_range=(0.2, 1.8))
    sure = replace(one, region="sure", usd_per_gpu_hour=1.1, usd_per_gpu_hour_range=(1.1, 1.1))
    scenario = replace(given.scenario, objective=Objective("cost"))

    def answer(usd: float, *offers: Offer) -> Optimization:
        return optimize(with_budget(scenario, None, usd), given.catalog, load_calibration(), offers=offers)

    least_wide, least_sure = (answer(1e-6, offer).infeasibility.least_cost_usd for offer in (wide, sure))
    assert least_sure < least_wide  # at the confidence, though its middle is dearer
    assert answer(least_wide * 1.001, wide, sure).plan.offer.region == "wide"
    tight = answer((least_sure + least_wide) / 2, wide, sure).plan
    assert tight.offer.region == "sure"
    assert tight.p_within_cost >= scenario.budget.confidence


def test_offers_are_parted_where_neither_is_always_cheaper():
    def spot(low: float, high: float, name: str) -> Offer:
        return replace(
            spot_case(1).offers[0], region=name, usd_per_gpu_hour=(low + high) / 2, usd_per_gpu_hour_range=(low, high)
        )

    parts = in_order_of_price([spot(1, 3, "a"), spot(1.5, 2, "b"), spot(1.2, 3, "c"), spot(2, 2, "d"), spot(4, 5, "e")])
    assert sorted("".join(o.region for o in part) for part in parts) == ["ace", "bd"]


def test_a_budget_that_only_the_middle_price_keeps_is_not_kept(planner, tmp_path):
    path = tmp_path / "spot.yaml"
    path.write_text(SPOT.replace("COST", "1000000"))
    plan = json.loads(planner("optimize", path, "--json", "--quiet").out)["plan"]
    bill = plan["billing"]
    assert bill["usd_per_hour_low"] < bill["usd_per_hour_high"]
    middle = (bill["usd_per_hour_low"] + bill["usd_per_hour_high"]) / 2
    at_middle = middle * plan["time_s"]["p90"] / 3600  # more than its cost at 80 %, were the price the middle one
    path.write_text(SPOT.replace("COST", f"{at_middle:.0f}"))
    answer = json.loads(planner("optimize", path, "--json", "--quiet").out)
    assert answer["plan"] is None
    assert answer["infeasibility"]["cheapest"]["within_budget"] is False
    told = {change["key"]: change["overrides"] for change in answer["infeasibility"]["changes"]}
    again = planner("optimize", path, "--json", "--quiet", *(f"--set={o}" for o in told["budget.cost"]))
    assert 0.8 <= json.loads(again.out)["plan"]["p_within_cost"] < 0.81


@pytest.mark.parametrize("terms", [None, Terms(billing_step_s=3600.0), Terms(minimum_time_s=2e5)])
@pytest.mark.parametrize("seed", [1, 7, 12])
def test_the_simulation_charges_what_the_plan_states(seed, terms):
    given = spot_case(seed)
    scenario = with_budget(replace(given.scenario, storage=Storage(1e12, 20.0), terms=terms), 1e9, 1e9)
    plan = optimize(scenario, given.catalog, load_calibration(), offers=given.offers).plan
    if plan is None:
        return
    usd, time_s = plan.cost_usd.p50 * 1.1, plan.time_s.p50 * 1.05
    asked = with_budget(replace(scenario, budget=replace(scenario.budget, confidence=0.05)), time_s, usd)
    plan = optimize(asked, given.catalog, load_calibration(), offers=given.offers).plan
    found = replay(plan, 60_000, 3, time_budget_s=time_s, cost_budget_usd=usd)
    for p in ("p10", "p50", "p90"):
        assert getattr(plan.cost_usd, p) == pytest.approx(getattr(found.simulated.cost_usd, p), rel=0.01)
    for key in ("p_within_time", "p_within_cost", "p_within_both"):
        assert getattr(plan, key) == pytest.approx(getattr(found.simulated, key), abs=0.01)
    assert found.largest_probability_error < 0.01


def test_costs_of_a_fleet_are_together_within_its_budget_as_often_as_asked():
    given = spot_case(5)
    scenarios = [replace(with_budget(given.scenario, 1e9, None), name=n, objective=Objective("cost")) for n in "ab"]
    free = optimize_fleet(scenarios, Fleet(), given.catalog, load_calibration(), offers=given.offers)
    plans = [run.plan for run in free.runs]
    if any(plan is None for plan in plans):
        pytest.skip("the seed's problem has no candidate")
    edge = sum(plan.cost_usd.p50 for plan in plans) * 1.05
    fleet = Fleet(cost_usd=edge, confidence=0.8)
    answer = optimize_fleet(scenarios, fleet, given.catalog, load_calibration(), offers=given.offers)
    if answer.status == "optimal":
        assert answer.p_within_cost_together >= 0.8 - 1e-6
    wide = optimize_fleet(
        scenarios, replace(fleet, cost_usd=3 * edge), given.catalog, load_calibration(), offers=given.offers
    )
    assert wide.p_within_cost_together > 0.8


def test_every_plan_of_a_frontier_keeps_the_cost_as_often_as_asked():
    given = spot_case(5)
    free = frontier(with_budget(given.scenario, None, None), given.catalog, load_calibration(), offers=given.offers)
    usd = float(np.median([p.cost_usd.p50 for p in free.plans])) * 1.1
    bounded = frontier(with_budget(given.scenario, None, usd), given.catalog, load_calibration(), offers=given.offers)
    assert bounded.plans
    assert all(p.p_within_cost >= given.scenario.budget.confidence for p in bounded.plans)


@pytest.mark.parametrize(("plans", "market"), [(100, 0.0), (30, 0.9)])
def test_costs_agree_with_drawing_prices_waits_and_bills_on_random_plans(plans, market):
    work, low, high, hazard = random_plans(plans, 31)
    rng = np.random.default_rng(32)
    share = rng.choice([0.0, 0.3, 0.6, 0.9], plans)
    hazard = replace(hazard, wait_share=share, wait_s=np.exp(rng.uniform(np.log(600), np.log(21_600), plans)))
    runs = market_completion(work, low, high, hazard, Market(np.full(plans, market), np.zeros(plans)))
    for i in range(plans):
        minimum, step, block = rng.choice([0.0, 3e5]), rng.choice([0.0, 3600.0]), rng.choice([0.0, 0.0, 604_800.0])
        stored, gone = rng.choice([0.0, 3.0]), rng.choice([0.0, 500.0])
        least = rng.uniform(1, 3)
        most = least * rng.choice([1.0, 1.1, 2.0, 4.0])
        costs = Costs(Storage(1e9, stored * 720.0), Egress(1e9, gone), (PaidTime(minimum, step, block),), np.array([0]))
        one = runs.take(np.array([i]))
        price = PlanCost(costs, one, 0, Rates(np.array([least]), np.array([most])))
        h = [float(getattr(hazard, n)[i]) for n in ("rate_per_s", "recover_s", "wait_share", "wait_s")]
        saved = hazard.checkpoint_s[i], hazard.interval_s[i]
        asked = SimulatedRun(work[i], low[i], high[i], *h, *saved, market_spread=market)
        time = simulate(asked, 8_000, i).time_s
        paid = np.maximum(time, minimum)
        for size in (step, block):
            paid = np.ceil(paid / size) * size if size else paid
        usd = (paid * rng.uniform(least, most, len(time)) + stored * time) / 3600.0 + gone
        noise = 3.5 * np.sqrt(0.25 / len(time))
        for p in (0.1, 0.5, 0.8, 0.9):
            below, above = np.quantile(usd, [max(p - noise, 0.001), min(p + noise, 0.999)])
            assert 0.99 * below <= price.quantile(p) <= 1.01 * above, i
            budget, limit = float(np.quantile(usd, p)) * 1.001, float(np.quantile(time, 0.7))
            assert price.probability(budget) == pytest.approx(np.mean(usd <= budget), abs=0.01 + noise), i
            both = np.mean((usd <= budget) & (time <= limit))
            assert price.probability(budget, limit) == pytest.approx(both, abs=0.01 + noise), i
