"""Prices that commit, expose or wait: spot, reserved, blocks, quotas as fences, and what is said of them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import yaml
from test_risk_completion import random_plans

import planner
from planner.catalog import Catalog, eligible_offers, load_catalog
from planner.catalog.risk_facts import load_risk_facts
from planner.report.frontier import frontier_table
from planner.report.terminal import optimization_table
from planner.results.answers import Optimization
from planner.risk.completion import Hazard, completion
from planner.risk.failures import takings
from planner.risk.replay import replay
from planner.risk.simulation import SimulatedRun, simulate
from planner.risk.spot_market import Market, market_completion
from planner.search.run_cost import PaidTime
from planner.spec.scenario import Cluster, Quota, QuotedPrice, Risk
from planner.units import PlannerError

DAY = 86400.0
H100 = "h100-sxm5-80gb"
TODAY = date(2026, 11, 29)
RUN = {
    "model": "llama3-8b",
    "data": {"tokens": "60B tokens", "seq_length": 8192},
    "training": {"epochs": 1},
    "budget": {"time": "14 days", "cost": "200k USD"},
}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def asked(tmp_path: Path, **cluster: object) -> Path:
    scenario = RUN | {"cluster": {"gpus": [H100], "clouds": ["aws"], "max_gpus": 64} | cluster}
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(scenario))
    return path


def optimized(path: Path) -> Optimization:
    return planner.optimize(planner.load_scenario(path))


def quote(**more: object) -> dict[str, object]:
    return {"pricing": "reserved", "cloud": "aws", "gpu": H100, "usd_per_gpu_hour": 2.0} | more


def test_the_kind_of_price_stands_in_headline_tables_and_frontier(tmp_path):
    path = asked(tmp_path, pricing=["spot"])
    answer = optimized(path)
    for full in (False, True):
        text = optimization_table(answer, today=TODAY, full=full)
        assert "at aws (spot)" in " ".join(text.split("\n\n")[0].split())
        assert ("aws, spot" in text.split("Alternatives")[1]) if full else "cluster, spot" in text
        assert all(len(line) <= 80 for line in text.splitlines())
    assert "aws, spot" in frontier_table(planner.frontier(planner.load_scenario(path)))


def test_a_spot_plan_says_that_machines_may_go_how_often_and_how_sure_that_is(tmp_path):
    answer = optimized(asked(tmp_path, pricing=["spot"]))
    (said,) = [text for text in answer.warnings if "take them away at any time" in text]
    taken = answer.plan.reliability.taken
    assert taken.low < taken.per_1000_node_days < taken.high
    assert "in four markets of five" in said


def test_the_band_of_one_cloud_is_wide_where_it_is_applied_to_others():
    facts = load_risk_facts()
    mine, other = (takings(facts, "hopper", cloud, Risk()) for cloud in ("aws", "nebius"))
    assert other.high / other.low > mine.high / mine.low >= 9
    assert takings(facts, "blackwell", "aws", Risk()) == other


def test_the_markets_rate_is_one_draw_a_run_in_closed_form_as_in_the_simulator():
    work, spread = 5 * DAY, 1.78
    rate, share, recover, wait, pause, interval = 8 * 0.02 / DAY, 0.85, 900.0, 3600.0, 60.0, 7200.0
    one = [np.array([each]) for each in (rate, recover, share, wait, pause, interval)]
    hazard = Hazard(*one)
    market = Market(np.array([spread]), np.zeros(1))
    runs = market_completion(np.array([work]), np.array([0.05]), np.array([0.05]), hazard, market)
    drawn = simulate(
        SimulatedRun(work, 0.05, 0.05, rate, recover, share, wait, pause, interval, market_spread=spread), 4000, 5
    )
    for p in (0.1, 0.5, 0.8, 0.9):
        assert runs.quantile(p)[0] == pytest.approx(drawn.quantile(p), rel=0.02)
    assert runs.probability(6 * DAY)[0] == pytest.approx(float(np.mean(drawn.time_s <= 6 * DAY)), abs=0.025)


def test_a_rate_that_is_known_is_no_mixture():
    work, low, high, hazard = random_plans(20, 3)
    market = Market(np.zeros(20), np.zeros(20))
    plain, same = completion(work, low, high, hazard), market_completion(work, low, high, hazard, market)
    assert np.array_equal(plain.quantile(0.9), same.quantile(0.9))


def test_a_thousand_spot_machines_are_never_nearly_certain(tmp_path):
    cluster = {"gpus": ["b300-sxm6-288gb"], "pricing": ["spot"], "max_gpus": 1024}
    scenario = RUN | {"model": "llama3-70b", "data": {"tokens": "5T tokens", "seq_length": 8192}, "cluster": cluster}
    scenario |= {"training": {"epochs": 1}, "budget": {"time": "60 days"}, "objective": "time"}
    path = tmp_path / "run.yaml"
    path.write_text(json.dumps(scenario))
    plan = optimized(path).plan
    assert plan.gpus >= 512
    assert plan.p_within_time < 0.995


def test_a_reserved_price_is_paid_for_its_term(tmp_path):
    plan = optimized(asked(tmp_path, pricing=["reserved"], prices=[quote(term="10 days", upfront=0.5)])).plan
    assert plan.offer.price_kind == "reserved, your quote"
    assert plan.time_s.p50 < 10 * DAY
    assert plan.cost_usd.p50 == pytest.approx(plan.gpus * 240 * 2.0)
    assert (plan.offer.term_s, plan.offer.increment_s, plan.offer.upfront) == (10 * DAY, 10 * DAY, 0.5)


def test_a_reserved_price_without_a_term_is_refused_with_what_to_state(tmp_path, catalog):
    with pytest.raises(
        PlannerError, match=r"cluster\.prices\[0\] is a reserved price without its term.*`term: 365 days`"
    ):
        optimized(asked(tmp_path, pricing=["reserved"], prices=[quote()]))
    answer = optimized(asked(tmp_path, pricing=["on_demand", "reserved"], prices=[quote()]))
    assert answer.plan.offer.pricing == "on_demand"
    assert any("without its term" in text for text in answer.warnings)


@pytest.mark.parametrize(("kind", "terms"), [("reserved", "term: 365 days"), ("block", "increment: 1 day")])
def test_a_kind_that_has_no_price_is_refused_with_such_a_quote_which_is_then_taken(tmp_path, kind, terms):
    with pytest.raises(PlannerError, match=rf"asks for {kind}.*pricing: {kind}, .*{terms}") as refused:
        optimized(asked(tmp_path, pricing=[kind]))
    written = yaml.safe_load(re.search(r"\{.*\}", str(refused.value))[0])
    assert optimized(asked(tmp_path, pricing=[kind], prices=[written])).provenance.offers > 0


def test_capacity_blocks_are_bought_in_whole_increments(tmp_path):
    plan = optimized(asked(tmp_path, pricing=["block"], prices=[quote(pricing="block", increment="1 day")])).plan
    days = plan.cost_usd.p50 / (plan.gpus * 24 * 2.0)
    assert days == pytest.approx(round(days))
    assert days * DAY >= plan.time_s.p50 > (days - 1) * DAY
    with pytest.raises(PlannerError, match="increment: 1 day"):
        planner.load_scenario(asked(tmp_path, prices=[quote(pricing="block")]))


def test_beyond_a_block_time_is_paid_on_demand_where_that_is_stated(tmp_path):
    prices = [quote(pricing="block", increment="1 day", term="1 day", then="on_demand")]
    answer = optimized(asked(tmp_path, pricing=["block"], prices=prices, max_gpus=8))
    plan = answer.plan
    after = plan.offer.then_usd_per_gpu_hour
    assert after > 2.0
    hours = plan.time_s.p50 / 3600
    assert plan.cost_usd.p50 == pytest.approx(plan.gpus * (24 * 2.0 + max(hours - 24, 0) * after))
    drawn = replay(plan, 2000, 1, time_budget_s=None, cost_budget_usd=None)
    assert drawn.simulated.cost_usd.p50 == pytest.approx(plan.cost_usd.p50, rel=0.03)


@pytest.mark.parametrize("beside", [0.0, 0.01])
def test_what_can_be_paid_beyond_a_term_is_what_it_costs(beside):
    paid = PaidTime(10 * DAY, then=1.5)
    rate = np.full(4, 0.02)
    usd = rate * 10 * DAY * np.array([0.5, 1.0, 1.2, 3.0]) + beside * 10 * DAY
    longest = paid.affordable_s(rate, beside, usd)
    assert longest[0] == 0 or beside
    assert rate[2:] * paid.paid_s(longest[2:]) + beside * longest[2:] == pytest.approx(usd[2:], rel=1e-6)


def test_a_discounts_range_is_the_users_and_no_zone(tmp_path):
    row = quote(discount={"min": 0.3, "max": 0.4}, term="10 days") | {"usd_per_gpu_hour": None}
    row = {key: value for key, value in row.items() if value is not None}
    answer = optimized(asked(tmp_path, pricing=["reserved"], prices=[row]))
    for full in (False, True):
        text = optimization_table(answer, today=TODAY, full=full)
        assert "zones" not in text
        assert "quality user" not in " ".join(text.split())
    assert answer.plan.offer.price_kind == "reserved, your quote"


def test_waiting_for_machines_counts_against_the_deadline(tmp_path):
    now = optimized(asked(tmp_path, pricing=["on_demand"], prices=[quote(pricing="on_demand")])).plan
    late = optimized(asked(tmp_path, pricing=["on_demand"], prices=[quote(pricing="on_demand", waiting="3 days")])).plan
    budget = planner.load_scenario(tmp_path / "run.yaml").budget.time_s
    assert late.offer.waiting_s == 3 * DAY
    if late.gpus == now.gpus:
        assert late.p_within_time <= now.p_within_time
    assert late.time_s.p50 + 3 * DAY <= budget


def test_stated_quotas_fence_a_cloud_and_say_how_to_let_more_in(catalog):
    found = eligible_offers(catalog, Cluster(clouds=("aws", "gcp"), quotas=(Quota(64, cloud="aws", gpu=H100),)))
    assert {offer.gpu for offer in found.offers if offer.cloud == "aws"} == {H100}
    assert len({offer.gpu for offer in found.offers if offer.cloud == "gcp"}) > 1
    (said,) = found.remarks
    assert "add its quota: {cloud: aws, gpu: " in said


def test_a_quota_of_no_cloud_fences_nothing(catalog):
    free = eligible_offers(catalog, Cluster(clouds=("aws",)))
    found = eligible_offers(catalog, Cluster(clouds=("aws",), quotas=(Quota(64, gpu=H100),)))
    assert {offer.id for offer in found.offers} == {offer.id for offer in free.offers}
    assert not found.remarks


def test_a_quote_for_a_part_outside_the_quotas_is_left_out_too(catalog):
    price = QuotedPrice("on_demand", 1.0, cloud="aws", gpu="a100-sxm4-40gb")
    cluster = Cluster(clouds=("aws",), quotas=(Quota(64, cloud="aws", gpu=H100),))
    assert (
        eligible_offers(catalog, replace(cluster, prices=(price,))).remarks == eligible_offers(catalog, cluster).remarks
    )
