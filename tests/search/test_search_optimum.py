"""The optimum equals plain nested loops and the exhaustive search, on hundreds of small problems."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import pytest
from enumeration import Candidate, best_of, enumerate_candidates
from search_cases import Case, case, narrowed, wavy, with_budget

from planner.performance.calibration import Calibration
from planner.performance.loading import load_calibration
from planner.results.answers import Optimization
from planner.results.plan import Plan
from planner.search import frontier, optimize
from planner.search.building import build
from planner.search.objectives import View
from planner.search.optimum import solve as search
from planner.search.plans import make_plan
from planner.search.pruning import MORE_EXPENSIVE
from planner.search.search_state import SearchState
from planner.spec.layout import RECOMPUTE
from planner.spec.scenario import LayoutBounds, Scenario
from planner.units import PlannerError
from planner.words import say

SEEDS = range(240)
CANDIDATES = 1000  # that are looked at one by one


@lru_cache(maxsize=8)
def calibration(seed: int) -> Calibration:
    return wavy() if seed % 3 == 0 else load_calibration()


def solve(given: Case, seed: int, **options: object) -> Optimization:
    return optimize(given.scenario, given.catalog, calibration(seed % 3), offers=given.offers, **options)


def identity(plan: Plan) -> tuple[object, ...]:
    x = plan.layout
    layout = (x.tp, x.pp, x.vpp, x.dp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute, x.micro_batch)
    stated = plan.conditions
    assert stated is not None
    share = stated.recompute_share if x.recompute == "full" else None
    ends = (None if share == 1.0 else share, stated.shard_group)
    return (plan.offer.id, plan.framework, plan.gpus, *layout, plan.global_batch, *ends)


def identity_of(c: Candidate) -> tuple[object, ...]:
    layout = (c.tp, c.pp, c.vpp, c.dp, c.cp, c.ep, c.zero_stage, c.sequence_parallel, RECOMPUTE[c.recompute])
    return (c.offer, c.framework, c.gpus, *layout, c.micro_batch, c.batch, c.share, c.group)


def budgets(scenario: Scenario, candidates: list[Candidate], seed: int) -> Scenario:
    """Budgets that cut through the candidates, some of them exactly on one: the edge of feasibility."""
    fitting = sorted((c for c in candidates if c.fits), key=lambda c: c.sure_time_s)
    if not fitting:
        return scenario
    some = fitting[(seed * 7919) % len(fitting)]
    edge = [1.0, 1.0 + 1e-12, 1.0 - 1e-12, 1.3, 0.7][seed % 5]
    time = some.sure_time_s * edge if seed % 4 != 1 else None
    cost = some.sure_cost_usd * edge if seed % 4 in (0, 1) else None
    return with_budget(scenario, time, cost)


def problem_of(seed: int) -> tuple[Case, list[Candidate]] | None:
    """The seed's case with budgets, and all its candidates; None where its pins contradict each other."""
    try:
        given = narrowed(case(seed), CANDIDATES)
        candidates = enumerate_candidates(given.scenario, given.offers, given.catalog, calibration(seed % 3))
    except PlannerError:
        return None
    return replace(given, scenario=budgets(given.scenario, candidates, seed)), candidates


def equals(state: SearchState, view: View, cell: int | None, best: Candidate | None) -> bool:
    if cell is None or best is None:
        return cell is None and best is None
    plan = make_plan(state, state.best.pick(cell), state.space.offers[int(view.offer[cell])])
    return identity(plan) == identity_of(best)


@pytest.mark.parametrize("block", range(12))
def test_the_optimum_equals_plain_nested_loops(block: int) -> None:
    for seed in SEEDS[block::24]:  # each in a space two to three times as large as when all were tried
        if (found := problem_of(seed)) is None:
            continue
        given, candidates = found
        state = build(given.scenario, given.catalog, calibration(seed % 3), given.offers)
        view, cell, certificate = search(state)
        best = best_of(given.scenario, candidates)
        assert equals(state, view, cell, best), seed
        assert certificate.space == len(candidates), seed
        assert certificate.evaluated + sum(certificate.pruned.values()) == certificate.space, seed
        if best is None:
            assert certificate.best is certificate.bound is certificate.gap is None, seed
        else:
            assert certificate.best == certificate.bound, seed
            # The spread, which the overhead brings into the median, is a product of matrices: its last digit varies.
            assert certificate.best == pytest.approx(best.value(given.scenario), rel=1e-13), seed
            assert certificate.gap == 0, seed


@pytest.mark.parametrize("name", ["deepspeed", "nanotron", "torchtitan"])
def test_the_optimum_of_a_framework_that_is_named_equals_plain_nested_loops(name: str) -> None:
    looked_at = 0
    for seed in range(6):
        given = case(seed)
        model = replace(given.scenario.model, gated_mlp=True, norm="rmsnorm", tied_embeddings=False, moe=None)
        training, bounds = replace(given.scenario.training, framework=name), LayoutBounds(tp=given.scenario.layout.tp)
        scenario = replace(given.scenario, model=model, training=training, layout=bounds)
        given = narrowed(replace(given, scenario=scenario), CANDIDATES)
        try:
            candidates = enumerate_candidates(given.scenario, given.offers, given.catalog, calibration(seed % 3))
            problem = build(given.scenario, given.catalog, calibration(seed % 3), given.offers)
        except PlannerError:
            continue
        view, cell, certificate = search(problem)
        assert equals(problem, view, cell, best_of(given.scenario, candidates)), seed
        assert certificate.space == len(candidates), seed
        looked_at += len(candidates)
    assert looked_at > CANDIDATES / 2


@pytest.mark.parametrize("seed", SEEDS[::32])
def test_the_exhaustive_search_agrees_and_evaluates_all_that_fits(seed: int) -> None:
    if (found := problem_of(seed)) is None:
        return
    given, candidates = found
    state = build(given.scenario, given.catalog, calibration(seed % 3), given.offers)
    view, cell, certificate = search(state, exhaustive=True)
    assert equals(state, view, cell, best_of(given.scenario, candidates))
    assert certificate.evaluated + sum(certificate.pruned.values()) == len(candidates)
    assert set(certificate.pruned) <= {"memory", say(MORE_EXPENSIVE)}


@pytest.mark.parametrize("seed", SEEDS[1::48])
def test_the_same_bytes_twice_and_whatever_the_order_of_the_offers(seed: int) -> None:
    if (found := problem_of(seed)) is None:
        return
    given, _ = found
    once = solve(given, seed).to_json()
    assert solve(given, seed).to_json() == once
    assert solve(replace(given, offers=given.offers[::-1]), seed).to_json() == once


@pytest.mark.parametrize("seed", SEEDS[::24])
def test_looser_budgets_and_more_offers_never_make_the_plan_worse(seed: int) -> None:
    if (found := problem_of(seed)) is None:
        return
    given, _ = found
    budget = given.scenario.budget
    value = value_of(given, seed)
    for factor in (1.01, 1.5, 4.0):
        time = None if budget.time_s is None else budget.time_s * factor
        cost = None if budget.cost_usd is None else budget.cost_usd * factor
        assert value_of(replace(given, scenario=with_budget(given.scenario, time, cost)), seed) <= value
    more = (*given.offers, replace(given.offers[0], instance="new", usd_per_gpu_hour=0.8))
    assert value_of(replace(given, offers=more), seed) <= value


def value_of(given: Case, seed: int) -> float:
    state = build(given.scenario, given.catalog, calibration(seed % 3), given.offers)
    best = search(state)[2].best
    return float("inf") if best is None else best


@pytest.mark.parametrize("seed", SEEDS[5::30])
def test_alternatives_differ_from_the_plan_and_keep_the_budgets(seed: int) -> None:
    if (found := problem_of(seed)) is None:
        return
    given, candidates = found
    answer = solve(given, seed)
    if answer.plan is None:
        return
    plans = [answer.plan, *(a.plan for a in answer.alternatives)]
    assert len({identity(p) for p in plans}) == len(plans)
    known = {identity_of(c): c for c in candidates}
    for plan in plans:
        assert known[identity(plan)].within(given.scenario)
    by_why = {why: a.plan for a in answer.alternatives for why in a.why.split(", ")}
    fastest = min(c.time_s for c in candidates if c.within(given.scenario))
    assert by_why.get("fastest", answer.plan).time_s.p50 == pytest.approx(fastest, rel=1e-9)


@pytest.mark.parametrize("seed", SEEDS[::10])
def test_the_frontier_is_every_plan_that_no_other_beats(seed: int) -> None:
    if (found := problem_of(seed)) is None:
        return
    given, candidates = found
    answer = frontier(given.scenario, given.catalog, calibration(seed % 3), offers=given.offers)
    points = {(c.time_s, c.cost_usd) for c in candidates if c.within(given.scenario)}
    best = {p for p in points if not any(q != p and q[0] <= p[0] and q[1] <= p[1] for q in points)}
    assert [p.time_s.p50 for p in answer.plans] == sorted(p.time_s.p50 for p in answer.plans)
    assert len(answer.plans) == len(best)
    for plan, (time, cost) in zip(answer.plans, sorted(best), strict=True):
        assert (plan.time_s.p50, plan.cost_usd.p50) == pytest.approx((time, cost), rel=1e-12)
        assert plan.within_budget is not False
    certificate = answer.certificate
    assert certificate is not None
    assert certificate.evaluated + sum(certificate.pruned.values()) == len(candidates)


def test_without_a_budget_optimize_names_frontier() -> None:
    given = case(1)
    with pytest.raises(PlannerError, match="planner frontier"):
        solve(replace(given, scenario=with_budget(given.scenario, None, None)), 1)
