"""Budgets in the units people have: GPU-hours and node-hours of a grant, and currencies at one dated rate."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

import pytest
from enumeration import best_of, enumerate_candidates
from search_cases import Case, case, narrowed
from test_search_optimum import budgets, calibration, equals

from planner.money import GPU_HOURS, HOURS, NODE_HOURS, USD, Money, in_its_money, money_of, split_unit, writing
from planner.reading.quantities import parse_amount
from planner.report.figures import rate_text
from planner.report.terminal import optimization_table
from planner.search import optimize
from planner.search.building import build
from planner.search.optimum import solve as search
from planner.spec.hardware import OfferTerms
from planner.units import PlannerError, format_usd

GRANT = """
model: gpt3-13b
data: {samples: 31267480, seq_length: 2048}
training: {epochs: 1, framework: megatron, global_batch: 640}
layout: {tp: 2, pp: 5, recompute: none, micro_batch: 2, cp: 1, zero_stage: 1}
budget: {cost: 2500 node-hours, time: 60 days}
cluster:
  own_only: true
  own: [{name: lab, gpu: a100-sxm4-40gb, gpus_per_node: 8, nodes: 24, network: 1600 Gbit/s}]
"""
EUR = Money("EUR", 1 / 1.08, date(2026, 11, 20), "ECB reference rate")


def counted(seed: int, unit: str) -> Case | None:
    """A made-up problem of which hours are counted, and its offers at one an hour, for plain nested loops."""
    try:
        given = narrowed(case(seed), 600)
    except PlannerError:
        return None
    scenario = replace(given.scenario, money=Money(unit), objective=replace(given.scenario.objective, kind="cost"))
    return replace(given, scenario=scenario)


def at_one_an_hour(given: Case, unit: str) -> Case:
    one = {o.id: 1.0 / o.gpus_per_node if unit == NODE_HOURS else 1.0 for o in given.offers}
    offers = tuple(
        replace(o, usd_per_gpu_hour=one[o.id], usd_per_gpu_hour_range=None, terms=OfferTerms()) for o in given.offers
    )
    return replace(given, offers=offers)


@pytest.mark.parametrize("unit", HOURS)
def test_the_best_plan_within_hours_is_that_of_plain_nested_loops(unit: str) -> None:
    found = 0
    for seed in range(0, 48, 12):
        given = counted(seed, unit)
        if given is None:
            continue
        loops = at_one_an_hour(given, unit)
        try:
            candidates = enumerate_candidates(given.scenario, loops.offers, given.catalog, calibration(seed % 3))
        except PlannerError:
            continue
        scenario = budgets(given.scenario, candidates, seed)
        state = build(scenario, given.catalog, calibration(seed % 3), given.offers)
        view, cell, certificate = search(state)
        best = best_of(scenario, candidates)
        assert equals(state, view, cell, best), seed
        if best is not None:
            assert certificate.best == pytest.approx(best.cost_usd, rel=1e-13), seed
            found += 1
    assert found >= 1


def test_a_grant_in_node_hours_is_planned_on_machines_without_a_price(planner, tmp_path) -> None:
    path = tmp_path / "grant.yaml"
    path.write_text(GRANT)
    ran = planner("optimize", path, "--json")
    answer = json.loads(ran.out)
    plan, money = answer["plan"], answer["provenance"]["money"]
    assert (ran.code, answer["status"], money["unit"]) == (0, "optimal", NODE_HOURS)
    hours = plan["nodes"] * plan["time_s"]["p50"] / 3600
    assert plan["cost_usd"] is None
    assert plan["cost_hours"]["p50"] == pytest.approx(hours)
    assert plan["cost_hours"]["p50"] * 8 == pytest.approx(plan["gpu_hours"]["allocated"])
    assert plan["p_within_cost"] >= 0.8
    said = planner("optimize", path).out
    assert "2,500 node-hours" in " ".join(said.split())
    assert "USD" not in said
    assert "USD" not in planner("optimize", path, "--full").out.replace("usd_per", "")
    assert "USD" not in planner("frontier", path).out
    assert "USD" not in planner("explain", path).out
    assert "USD" not in planner("compare", path, "--by", "gpus").out


def test_hours_that_do_not_suffice_say_how_many_would_and_those_do(planner, tmp_path) -> None:
    path = tmp_path / "grant.yaml"
    path.write_text(GRANT)
    ran = planner("optimize", path, "--json", "--set", "budget.cost=9000 GPU-hours")
    found = json.loads(ran.out)["infeasibility"]
    change = next(change for change in found["changes"] if change["key"] == "budget.cost")
    assert change["needed"].endswith(" GPU-hours")
    again = planner("optimize", path, "--json", "--set", change["overrides"][0])
    assert json.loads(again.out)["status"] == "optimal"


def test_the_same_plan_in_another_currency_costs_the_same() -> None:
    given = narrowed(case(0), 300)
    facts = (given.catalog, calibration(0))
    dollars = optimize(given.scenario, *facts, offers=given.offers)
    euros = optimize(replace(given.scenario, money=EUR), *facts, offers=given.offers)
    assert dollars.plan is not None
    assert euros.plan == dollars.plan
    assert euros.provenance.money == EUR
    assert type(euros).from_json(euros.to_json()) == euros
    text = optimization_table(euros, today=date(2026, 11, 24))
    assert "1 EUR = 1.08 USD of 2026-11-20 (ECB reference rate)" in " ".join(text.split())
    assert "EUR" in text
    assert " USD a GPU-hour" not in text


def test_a_budget_in_another_currency_is_turned_into_dollars_once(planner, tmp_path) -> None:
    from planner import load_scenario

    path = tmp_path / "s.yaml"
    rate = "currency: {code: CNY, per_usd: 7.11, as_of: 2026-11-20}\n"
    path.write_text(GRANT.replace("2500 node-hours", "711k CNY") + rate)
    assert load_scenario(path).budget.cost_usd == pytest.approx(100_000)
    assert rate_text(load_scenario(path).money) == "1 USD = 7.11 CNY of 2026-11-20 (the scenario)"
    assert load_scenario(path, ["budget.cost=80k USD"]).budget.cost_usd == 80_000
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "currencies.csv").write_text("code,usd,as_of,source\nEUR,1.10,2026-11-02,treasury\n")
    path.write_text(GRANT.replace("2500 node-hours", "100k EUR"))
    found = load_scenario(path, overlays=[tmp_path / "mine"])
    assert found.budget.cost_usd == pytest.approx(110_000)
    assert found.money.source == "treasury"
    (tmp_path / "mine" / "currencies.csv").write_text("code,usd,as_of,source\nEUR,0,2026-11-02,treasury\n")
    with pytest.raises(PlannerError, match=r"currencies\.csv, line 2: usd: a rate is above 0"):
        load_scenario(path, overlays=[tmp_path / "mine"])


def test_hours_and_money_do_not_stand_side_by_side(planner, tmp_path) -> None:
    path, other = tmp_path / "grant.yaml", tmp_path / "money.yaml"
    path.write_text(GRANT)
    other.write_text(GRANT.replace("2500 node-hours", "90k USD").replace("name: lab", "name: lab, usd_per_gpu_hour: 1"))
    ran = planner("compare", path, other)
    assert ran.code == 2
    assert "node-hours and money cannot stand side by side" in ran.err


def test_runs_of_a_fleet_share_a_grant_in_their_own_unit(tmp_path) -> None:
    from planner import load_scenario
    from planner.interop.fleets import read_fleet

    path, fleet = tmp_path / "grant.yaml", tmp_path / "fleet.yaml"
    path.write_text(GRANT)
    fleet.write_text("budget: {cost: 5000 node-hours}\n")
    assert read_fleet(fleet, [load_scenario(path)]).cost_usd == 5000
    fleet.write_text("budget: {cost: 90k USD}\n")
    with pytest.raises(PlannerError, match=r"budget\.cost: write it in node-hours, as the scenarios are"):
        read_fleet(fleet, [load_scenario(path)])


def test_terms_of_payment_do_not_bear_on_hours() -> None:
    given = narrowed(case(0), 300)
    offers = tuple(replace(o, terms=OfferTerms(9e9, 9e9, upfront=1.0)) for o in given.offers)
    scenario = replace(given.scenario, money=Money(GPU_HOURS))
    facts = (given.catalog, calibration(0))
    plain, termed = (optimize(scenario, *facts, offers=some) for some in (given.offers, offers))
    assert plain.plan is not None
    assert termed.plan == plain.plan
    assert plain.plan.cost_usd.p50 == pytest.approx(plain.plan.paid_gpus * plain.plan.time_s.p50 / 3600)


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("80k USD", 80_000, "USD"),
        ("$80,000", 80_000, "USD"),
        ("130k EUR", 130_000, "EUR"),
        ("€1.3M", 1_300_000, "EUR"),
        ("RMB 2M", 2_000_000, "CNY"),
        ("20000 GPU-hours", 20_000, GPU_HOURS),
        ("20k gpu hours", 20_000, GPU_HOURS),
        ("1 node-hour", 1, NODE_HOURS),
        ("2500 node-h", 2500, NODE_HOURS),
        ("7", 7, ""),
    ],
)
def test_amounts_are_read_with_their_unit(text: str, value: float, unit: str) -> None:
    assert parse_amount(text) == (value, unit)


@pytest.mark.parametrize("text", ["5 ¥", "USD 5 EUR", "GPU-hours", "5 hours", "EUR", "5 XYZ", "-5 EUR"])
def test_what_is_no_amount_or_two_is_refused(text: str) -> None:
    with pytest.raises(PlannerError):
        parse_amount(text)


def test_what_is_written_is_in_the_unit_of_what_it_is_about_and_of_nothing_after() -> None:
    @in_its_money
    def said(_: object) -> str:
        return format_usd(108.0)

    assert said(EUR) == "100 EUR"
    assert said([EUR, EUR]) == "100 EUR"
    assert said([EUR, USD]) == "108 USD"
    assert writing() == USD
    assert money_of(None) == USD
    assert split_unit("130k EUR") == ("130k", "EUR")
