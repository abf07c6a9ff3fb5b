"""Comparisons and explanations: every figure in them is what solving again gives."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from search_cases import Case, case, with_budget

from planner.performance.loading import load_calibration
from planner.results.answers import Comparison
from planner.results.plan import Plan
from planner.search import compare, explain, frontier, optimize
from planner.search.building import build
from planner.search.explaining import MORE_USD
from planner.search.explanation import Explanation
from planner.search.objectives import View, find
from planner.search.optimum import scenario_goal
from planner.search.whatif import best_value, break_even_price, break_even_speed
from planner.search.whynot import parse
from planner.spec.scenario import Objective
from planner.units import PlannerError, format_number

SEEDS = (1, 5, 10, 12, 18, 31, 35, 55)


@cache
def priced(seed: int, slack: float = 1.4) -> Case:
    """A feasible case with cost as the objective and a time budget some way above the fastest plan."""
    given = case(seed)
    scenario = replace(given.scenario, objective=Objective("cost"))
    fastest = optimize(
        replace(with_budget(scenario, 1e12, None), objective=Objective("time")),
        given.catalog,
        load_calibration(),
        offers=given.offers,
    )
    assert fastest.plan is not None
    return replace(given, scenario=with_budget(scenario, fastest.plan.time_s.p90 * slack, None))


@pytest.mark.parametrize("by", ["offer", "gpu", "cloud", "gpus"])
@pytest.mark.parametrize("seed", SEEDS[:2])
def test_the_best_side_of_a_comparison_is_the_optimum(seed: int, by: str) -> None:
    given = priced(seed)
    answer = compare([given.scenario], given.catalog, load_calibration(), by=by, offers=given.offers)
    best = optimize(given.scenario, given.catalog, load_calibration(), offers=given.offers)
    assert best.plan is not None
    first = answer.sides[0].plan
    assert first is not None
    assert first.objective_value == best.certificate.best
    values = [s.plan.objective_value for s in answer.sides if s.plan is not None]
    assert values == sorted(values)
    assert all(s.reason for s in answer.sides if s.plan is None)
    assert all(len(d.values) == len(answer.sides) for d in answer.differences)
    assert Comparison.from_json(answer.to_json()) == answer


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_at_the_break_even_the_values_are_equal(seed: int) -> None:
    given = priced(seed)
    state = build(given.scenario, given.catalog, load_calibration(), given.offers)
    goal = scenario_goal(given.scenario)
    value = best_value(state, goal)
    assert value is not None
    price = break_even_price(state, goal, value * 1.25)
    assert price == pytest.approx(1.25, rel=1e-5)
    dearer = best_value(state, replace(goal, price=price))
    assert dearer == pytest.approx(value * 1.25, rel=1e-5)
    speed = break_even_speed(state, goal, value * 0.8)
    assert speed is not None
    faster = best_value(state, replace(goal, speed=speed * 1.001))
    slower = best_value(state, replace(goal, speed=speed * 0.999))
    assert faster is not None
    assert faster <= value * 0.8 * 1.01
    assert slower is None or slower >= value * 0.8 * 0.99


@pytest.mark.parametrize("seed", SEEDS[:4])
def test_shadow_values_are_differences_of_two_solutions(seed: int) -> None:
    given = priced(seed)
    answer = explain(given.scenario, given.catalog, load_calibration(), offers=given.offers)
    assert answer.plan is not None
    by_key = {w.key: w for w in answer.worth}
    budget = given.scenario.budget
    assert budget.time_s is not None
    longer = optimize(
        with_budget(given.scenario, budget.time_s + 86400.0, None),
        given.catalog,
        load_calibration(),
        offers=given.offers,
    )
    before = answer.certificate.best
    assert before is not None
    assert longer.certificate.best is not None
    assert by_key["budget.time"].objective_change == pytest.approx(longer.certificate.best - before, abs=1e-9)
    assert by_key["budget.time"].objective_change <= 0
    assert MORE_USD > 0
    assert "budget.cost" not in by_key
    assert Explanation.from_json(answer.to_json()) == answer


def test_why_not_says_what_rules_out_or_by_how_much_it_loses() -> None:
    given = priced(12)
    best = optimize(given.scenario, given.catalog, load_calibration(), offers=given.offers)
    assert best.plan is not None
    asked = [f"offer={best.plan.offer.id}", "gpus=1", "cloud=elsewhere", "tp=1", "micro_batch=1,zero_stage=0"]
    answer = explain(given.scenario, given.catalog, load_calibration(), why_not=asked, offers=given.offers)
    found = {w.asked: w for w in answer.why_not}
    assert found[asked[0]].status == "best"
    assert found["cloud=elsewhere"].status == "not offered"
    for each in answer.why_not:
        assert each.text.endswith(".")
        if each.status == "loses":
            assert each.plan is not None
            assert each.loses_by == pytest.approx(each.plan.cost_usd.p50 - best.plan.cost_usd.p50)


@pytest.mark.parametrize("text", ["gpu", "colour=red", "gpus=many", "gpu=", "recompute=some", "sequence_parallel=1"])
def test_a_question_that_makes_no_sense_is_one_sentence(text: str) -> None:
    given = priced(12)
    with pytest.raises(PlannerError, match="--why-not"):
        explain(given.scenario, given.catalog, load_calibration(), why_not=[text], offers=given.offers)


def test_keys_and_values_of_a_question() -> None:
    assert parse("gpu=h, gpus=8") == {"gpu": "h", "gpus": "8"}


def test_a_comparison_needs_two_sides_or_options() -> None:
    given = priced(12)
    with pytest.raises(PlannerError, match="two scenarios"):
        compare([given.scenario], given.catalog, load_calibration(), offers=given.offers)
    with pytest.raises(PlannerError, match="one scenario"):
        compare([given.scenario] * 2, given.catalog, load_calibration(), by="gpu", offers=given.offers)
    with pytest.raises(PlannerError, match="choose one of"):
        compare([given.scenario], given.catalog, load_calibration(), by="colour", offers=given.offers)


def test_two_saved_answers_say_what_changed_in_money_and_days() -> None:
    given = priced(12)
    before = optimize(given.scenario, given.catalog, load_calibration(), offers=given.offers)
    dearer = tuple(replace(o, usd_per_gpu_hour=o.usd_per_gpu_hour * 1.1) for o in given.offers)
    after = optimize(given.scenario, given.catalog, load_calibration(), offers=dearer)
    answer = compare([before, after], given.catalog, load_calibration(), labels=["May", "June"])
    by_key = {d.key: d.values for d in answer.differences}
    assert [s.label for s in answer.sides] == ["May", "June"]
    assert by_key["change by price"][1].startswith("+")
    assert by_key["change in time"][1] == "+0.00 days"


@pytest.mark.parametrize("seed", SEEDS[:3])
def test_every_change_that_would_do_does(seed: int) -> None:
    given = priced(seed, slack=0.3)
    answer = optimize(given.scenario, given.catalog, load_calibration(), offers=given.offers)
    if answer.status == "optimal":
        return
    found = answer.infeasibility
    assert found is not None
    assert found.reason
    state = build(given.scenario, given.catalog, load_calibration(), given.offers)
    for change in found.changes:
        goal = scenario_goal(given.scenario)
        if change.key == "budget.confidence":
            goal = replace(goal, confidence=float(change.needed))
        elif change.key == "budget.time":
            assert found.least_time_s is not None
            goal = replace(goal, time_s=found.least_time_s * (1 + 1e-9))
        else:
            continue
        assert find(View(state, goal)) is not None
    assert not np.isnan(found.least_cost_usd or 0.0)


@pytest.mark.parametrize(("missed", "shares"), [("both", (0.3, 0.9)), ("one", (1.01, 1.2))])
def test_plans_between_the_ends_miss_two_budgets_less_than_any_other_does(
    missed: str, shares: tuple[float, float]
) -> None:
    """Confidence 0.9, so that every plan's printed p90 says how far it misses."""
    calibration, seen = load_calibration(), 0
    for seed in (12, 35, 38, 40):
        given = priced(seed)
        scenario = replace(with_budget(given.scenario, 1.0, 1.0), objective=Objective("cost"))
        scenario = scenario.with_budget(confidence=0.9)
        ends = optimize(scenario, given.catalog, calibration, offers=given.offers).infeasibility
        assert ends is not None
        budget = ((ends.least_time_s or 0.0) * shares[0], (ends.least_cost_usd or 0.0) * shares[1])
        scenario = scenario.with_budget(time_s=budget[0], cost_usd=budget[1])
        told = optimize(scenario, given.catalog, calibration, offers=given.offers).infeasibility
        if told is None:
            continue
        assert told.fastest is not None
        assert told.cheapest is not None
        between = [other.plan for other in told.between]
        seen += len(between)
        near = [_shares(plan, budget) for plan in between]
        assert [a.why for a in told.between] == [
            f"{format_number(t, 3)} × time, {format_number(c, 3)} × cost" for t, c in near
        ]
        assert between == sorted(between, key=lambda plan: plan.time_s.p50)
        near += [_shares(plan, budget) for plan in (told.fastest, told.cheapest)]
        everything = frontier(scenario, given.catalog, calibration, everything=True, offers=given.offers).plans
        others = [_shares(plan, budget) for plan in everything]
        assert min(map(max, near)) <= min(map(max, others)) * 1.002
        if missed == "both":
            assert min(map(sum, near)) <= min(map(sum, others)) * (1 + 1e-9)
        else:
            assert min(c for t, c in near if t <= 1) <= min(c for t, c in others if t <= 1) * (1 + 1e-9)
            assert min(t for t, c in near if c <= 1) <= min(t for t, c in others if c <= 1) * (1 + 1e-9)
    assert seen


def _shares(plan: Plan, budget: tuple[float, float]) -> tuple[float, float]:
    return plan.time_s.p90 / budget[0], plan.cost_usd.p90 / budget[1]


def test_one_budget_alone_has_nothing_between_its_ends() -> None:
    given = priced(12, slack=0.3)
    found = optimize(given.scenario, given.catalog, load_calibration(), offers=given.offers).infeasibility
    assert found is not None
    assert found.between == ()
