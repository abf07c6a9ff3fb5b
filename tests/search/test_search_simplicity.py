"""The plan is the simplest layout and batch on the optimum's machines within a share of the optimum."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from enumeration import Candidate, best_of, enumerate_candidates
from search_cases import Case, case, with_budget

from planner import load_facts, load_scenario, optimize, search
from planner.catalog.paths import scenarios_dir
from planner.performance.loading import load_calibration
from planner.report.terminal import optimization_table
from planner.results.answers import Optimization
from planner.results.plan import Plan
from planner.search.simplicity import ORDER
from planner.spec.scenario import Scenario

SEEDS = range(16)


def answered(given: Case, scenario: Scenario, **options: Any) -> Optimization:
    return search.optimize(scenario, given.catalog, load_calibration(), offers=given.offers, **options)


def odd_part(number: int) -> int:
    while number % 2 == 0:
        number //= 2
    return number


def simplicity(candidate: Candidate, gpus_per_node: int, batch: int) -> tuple[object, ...]:
    """The order as the documentation tells it, written again."""
    c = candidate
    return (
        c.cp > 1,
        sum(n > 1 for n in (c.tp, c.pp, c.cp, c.ep)),
        c.tp > gpus_per_node,
        c.cp,
        c.vpp,
        c.pp,
        c.tp,
        c.ep,
        c.recompute,
        max(c.zero_stage - 1, 0),
        c.group is not None,
        odd_part(c.micro_batch) > 1,
        odd_part(c.batch),
        abs(c.batch - batch),
        c.time_s,
    )


def shape(plan: Plan) -> tuple[object, ...]:
    x = plan.layout
    recompute = ("none", "selective", "full").index(x.recompute)
    parallel = (x.tp, x.pp, x.vpp, x.dp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, recompute, x.micro_batch)
    open_ends = (plan.recompute_share if 0 < plan.recompute_share < 1 else None, plan.shard_group)
    return plan.offer.id, plan.framework, plan.gpus, *parallel, plan.global_batch, *open_ends


def as_shape(c: Candidate) -> tuple[object, ...]:
    parallel = (c.tp, c.pp, c.vpp, c.dp, c.cp, c.ep, c.zero_stage, c.sequence_parallel, c.recompute, c.micro_batch)
    return c.offer, c.framework, c.gpus, *parallel, c.batch, c.share, c.group


def simplest_of(
    scenario: Scenario,
    candidates: Iterable[Candidate],
    best: Candidate,
    gpus_per_node: int,
) -> list[Candidate]:
    """Every candidate on the best one's machines that is within the share of it, the simplest first."""
    share = 1 + scenario.simpler_within
    near = [
        c
        for c in candidates
        if (c.offer, c.framework, c.gpus) == (best.offer, best.framework, best.gpus)
        and c.within(scenario)
        and c.value(scenario) <= best.value(scenario) * share
        and c.time_s <= best.time_s * share * (1 + 1e-3)
    ]
    return sorted(near, key=lambda c: simplicity(c, gpus_per_node, best.batch))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_plan_is_the_simplest_that_an_enumeration_finds(seed):
    given, share = case(seed), (0.01, 0.1)[seed % 2]
    scenario = replace(given.scenario, simpler_within=share)
    candidates = enumerate_candidates(scenario, given.offers, given.catalog, load_calibration())
    best = best_of(scenario, candidates)
    if best is None:
        return
    limits = [(None, None), (1.0, None), (1.0 + share / 3, None), (None, 1.0 + share / 3)]
    time, cost = limits[seed // 2 % len(limits)]
    scenario = with_budget(
        scenario,
        best.sure_time_s * time if time else scenario.budget.time_s,
        best.sure_cost_usd * cost if cost else None,
    )
    best = best_of(scenario, candidates)
    offer = next(o for o in given.offers if o.id == best.offer)
    wanted = simplest_of(scenario, candidates, best, offer.hardware.gpus_per_node)
    found = answered(given, scenario)
    assert found.certificate.best == pytest.approx(best.value(scenario), rel=1e-9)
    plan = next(c for c in candidates if as_shape(c) == shape(found.plan))
    assert plan.within(scenario)
    assert plan.value(scenario) <= best.value(scenario) * (1 + share) * (1 + 1e-9)
    size = offer.hardware.gpus_per_node
    assert simplicity(plan, size, best.batch)[:-1] == simplicity(wanted[0], size, best.batch)[:-1]
    assert plan.time_s <= wanted[0].time_s * (1 + 1e-9)
    assert answered(given, scenario, exhaustive=True).plan == found.plan


OWN = """
model: llama2-7b
data: {tokens: 61M, seq_length: 2048}
training: {epochs: 1}
cluster:
  own: [{name: lab, gpu: h20-sxm5-96gb, gpus_per_node: 8, nodes: 1}]
  own_only: true
"""


def test_a_handful_of_own_gpus_is_not_told_to_split_sequences(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text(OWN)
    plan = optimize(file).plan
    assert (plan.layout.tp, plan.layout.pp, plan.layout.cp) == (1, 1, 1)
    assert odd_part(plan.layout.micro_batch) == 1
    assert odd_part(plan.global_batch) == 1


def test_what_simplicity_costs_is_said_and_can_be_switched_off():
    scenario = load_scenario(scenarios_dir() / "own-cluster.yaml")
    catalog, calibration = load_facts()
    found = search.optimize(replace(scenario, simpler_within=0.02), catalog, calibration)
    optimum = search.optimize(replace(scenario, simpler_within=0.0), catalog, calibration)
    assert optimum.given_up is None
    assert optimum.plan.objective_value == optimum.certificate.best == found.certificate.best
    assert found.given_up.layout == optimum.plan.layout
    assert found.given_up.amount == pytest.approx(found.plan.objective_value - found.certificate.best)
    assert 0 < found.given_up.share <= 0.02
    text = optimization_table(found, today=date(2026, 11, 29))
    assert f"gives up {100 * found.given_up.share:.2g} %" in text
    assert "gives up" not in optimization_table(optimum, today=date(2026, 11, 29))
    assert Optimization.from_json(found.to_json()) == found


def test_commands_agree_on_the_simple_plan():
    scenario = load_scenario(scenarios_dir() / "own-cluster.yaml")
    scenario = replace(scenario, cluster=replace(scenario.cluster, max_gpus=64))
    catalog, calibration = load_facts()
    plan = search.optimize(scenario, catalog, calibration).plan
    assert search.explain(scenario, catalog, calibration).plan.layout == plan.layout
    sides = search.compare([scenario], catalog, calibration, by="cloud").sides
    assert plan.layout in [side.plan.layout for side in sides if side.plan is not None]
    fleet = search.optimize_fleet([scenario], search.Fleet(), catalog, calibration)
    assert fleet.runs[0].plan.layout == plan.layout
    assert fleet.objective <= fleet.runs[0].objective_value


def test_a_fleet_keeps_its_budget_before_it_is_simple():
    scenario = replace(load_scenario(scenarios_dir() / "own-cluster.yaml"), simpler_within=0.02)
    catalog, calibration = load_facts()
    room = search.Fleet(cost_usd=1e6)
    fast = search.optimize_fleet([replace(scenario, simpler_within=0.0)], room, catalog, calibration)
    tight = search.optimize_fleet(
        [scenario], replace(room, cost_usd=fast.shared[0].used * 1.0001), catalog, calibration
    )
    assert tight.runs[0].plan.layout == fast.runs[0].plan.layout
    assert search.optimize_fleet([scenario], room, catalog, calibration).runs[0].plan.layout != fast.runs[0].plan.layout


def test_the_order_of_simplicity_is_the_one_that_is_documented():
    page = (Path(__file__).parents[2] / "docs" / "search.md").read_text()
    for number, (criterion, why) in enumerate(ORDER, 1):
        assert f"{number}. *{criterion}*: {why}." in page
