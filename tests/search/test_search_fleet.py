"""Fleets: one plan a run within shared limits, equal to trying every combination; and the MILP that decides."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from enumeration import Candidate, enumerate_candidates
from search_cases import case, narrowed, with_budget

from planner.performance.loading import load_calibration
from planner.search import Fleet, optimize_fleet
from planner.search.fleets import quota_key
from planner.search.joint_choice import SharedLimit, choose, undominated, within
from planner.spec.scenario import Cluster, Objective, Quota, Risk, Scenario
from planner.units import PlannerError


def brute_force(values: list[np.ndarray], limits: list[SharedLimit]) -> float | None:
    best = None
    for picked in itertools.product(*(range(len(v)) for v in values)):
        if all(within(limit, picked) for limit in limits):
            total = float(sum(v[i] for v, i in zip(values, picked, strict=True)))
            best = total if best is None else min(best, total)
    return best


@pytest.mark.parametrize("seed", range(60))
def test_the_milp_equals_every_combination(seed: int) -> None:
    rng = np.random.default_rng(seed)
    runs = int(rng.integers(1, 4))
    values = [rng.integers(1, 50, int(rng.integers(1, 7))).astype(float) for _ in range(runs)]
    limits = []
    for name in range(int(rng.integers(0, 4))):
        amounts = tuple(rng.integers(0, 20, len(v)).astype(float) for v in values)
        # Often exactly what some combination uses: the edge decides.
        limit = float(sum(rng.choice(a) for a in amounts))
        limits.append(SharedLimit(f"limit {name}", limit, amounts))
    picked = choose(values, limits)
    best = brute_force(values, limits)
    if best is None:
        assert picked is None
    else:
        assert picked is not None
        assert all(within(limit, picked) for limit in limits)
        assert sum(v[i] for v, i in zip(values, picked, strict=True)) == best


def test_no_tolerance_decides_who_is_within_a_budget() -> None:
    values = [np.array([1.0, 2.0]), np.array([1.0, 2.0])]
    just_over = SharedLimit("cost", 2.0 - 1e-12, (np.array([1.0, 0.5]), np.array([1.0, 0.5])))
    assert sum(choose(values, [just_over]) or []) == 1
    exactly = replace(just_over, limit=2.0)
    assert choose(values, [exactly]) == [0, 0]


def test_of_equal_columns_the_first_is_chosen() -> None:
    assert choose([np.array([3.0, 1.0, 1.0])]) == [1]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_dropped_is_dominated_and_what_stays_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    axes = tuple(rng.integers(0, 6, 40).astype(float) for _ in range(3))
    keys = rng.integers(0, 3, 40).tolist()
    kept = undominated(axes, keys)
    table = np.stack(axes, axis=1)
    for i in range(40):
        rivals = [j for j in range(40) if keys[j] == keys[i] and j != i and np.all(table[j] <= table[i])]
        strict = [j for j in rivals if np.any(table[j] < table[i])]
        assert kept[i] == (not strict and not any(kept[j] for j in rivals))


def fleet_of(seed: int) -> tuple[list[Scenario], list[list[Candidate]], Fleet, object, tuple]:
    """Two small runs on the same offers, with quotas and a budget that pinch."""
    rng = random.Random(seed)  # noqa: S311 - nobody's secret hangs on it
    first, second = case(seed), case(seed + 1000)
    second = replace(second, offers=first.offers, catalog=first.catalog)
    scenarios, every = [], []
    for given, name in ((first, "one"), (second, "two")):
        scenario = replace(given.scenario, objective=Objective("cost"), cluster=first.scenario.cluster)
        scenario = replace(scenario, budget=replace(scenario.budget, confidence=0.8))
        scenario = replace(narrowed(replace(given, scenario=scenario), 2000).scenario, name=name)
        candidates = enumerate_candidates(scenario, first.offers, first.catalog, load_calibration())
        fitting = sorted(c.sure_time_s for c in candidates if c.fits)
        scenario = with_budget(scenario, fitting[len(fitting) // 2] if fitting else 1.0, None)
        scenarios.append(scenario)
        every.append([c for c in candidates if c.within(scenario)])
    cheapest = sum(min((c.sure_cost_usd for c in run), default=1.0) for run in every)
    quotas = [Quota(rng.choice([2, 4, 8, 16]), cloud=rng.choice([None, "north"]), gpu=rng.choice([None, "h"]))]
    quotas += [Quota(rng.choice([4, 8, 24]), region="east")] if rng.random() < 0.5 else []
    budget = cheapest * rng.choice([0.9, 1.0 + 1e-12, 1.05, 2.0]) if rng.random() < 0.7 else None
    fleet = Fleet(tuple(quotas), budget, confidence=0.8, priorities={"one": rng.choice([1.0, 3.0])})
    return scenarios, every, fleet, first.catalog, first.offers


def joint_best(scenarios: list[Scenario], every: list[list[Candidate]], fleet: Fleet, offers: tuple) -> float | None:
    by_id = {o.id: o for o in offers}
    keys = {i: quota_key(o, fleet.quotas) for i, o in by_id.items()}
    weights = [fleet.priorities.get(s.name, 1.0) for s in scenarios]
    thinned = []
    for run in every:  # of equal offers and counts only the cheapest matters to any limit
        best: dict[tuple[str, int], Candidate] = {}
        for c in run:
            known = best.get((c.offer, c.gpus))
            if known is None or c.cost_usd < known.cost_usd:
                best[c.offer, c.gpus] = c
        thinned.append(list(best.values()))
    least = None
    for picked in itertools.product(*thinned):
        used = [sum(c.gpus for c in picked if i in keys[c.offer]) for i in range(len(fleet.quotas))]
        if any(u > q.gpus for u, q in zip(used, fleet.quotas, strict=True)):
            continue
        if fleet.cost_usd is not None and sum(c.sure_cost_usd for c in picked) > fleet.cost_usd:
            continue
        total = sum(w * c.cost_usd for w, c in zip(weights, picked, strict=True))
        least = total if least is None else min(least, total)
    return least


@pytest.mark.parametrize("block", range(6))
def test_a_fleet_equals_every_combination_of_plans(block: int) -> None:
    for seed in range(block, 24, 6):
        try:
            scenarios, every, fleet, catalog, offers = fleet_of(seed)
        except PlannerError:
            continue
        answer = optimize_fleet(scenarios, fleet, catalog, load_calibration(), offers=offers)
        best = joint_best(scenarios, every, fleet, offers)
        if best is None:
            assert answer.status == "infeasible", seed
            assert answer.reason, seed
        else:
            assert answer.objective == pytest.approx(best, rel=1e-12), seed
            assert all(use.used <= use.limit for use in answer.shared), seed
            assert all(use.saves is None or use.saves >= 0 for use in answer.shared), seed


def test_a_fleet_does_not_mix_units_or_names() -> None:
    given = case(1)
    with pytest.raises(PlannerError, match="different names"):
        optimize_fleet(
            [given.scenario, given.scenario], Fleet(), given.catalog, load_calibration(), offers=given.offers
        )
    with pytest.raises(PlannerError, match="nobody"):
        optimize_fleet(
            [given.scenario], Fleet(priorities={"nobody": 2.0}), given.catalog, load_calibration(), offers=given.offers
        )


def test_spare_nodes_count_towards_shared_quotas() -> None:
    given = case(12)
    asked = with_budget(replace(given.scenario, risk=Risk(spare_nodes=1), cluster=Cluster(max_gpus=32)), 1e12, None)
    runs = [replace(asked, name=name) for name in ("one", "two")]
    fleet = Fleet((Quota(24),), None, confidence=0.8, priorities={})
    answer = optimize_fleet(runs, fleet, given.catalog, load_calibration(), offers=given.offers)
    plans = [run.plan for run in answer.runs]
    assert answer.shared[0].used == sum(plan.paid_gpus for plan in plans) > sum(plan.gpus for plan in plans)
    assert answer.shared[0].used <= 24
