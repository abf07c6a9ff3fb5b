"""A user's own throughput wins: it holds exactly where it was measured, and rescales the rest of that GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
from search_cases import Case, case, with_budget

from planner.performance.loading import load_calibration
from planner.search import optimize
from planner.spec.scenario import IntChoice, MeasuredThroughput
from planner.units import PlannerError


def open_ended(seed: int) -> Case:
    given = case(seed)
    return replace(given, scenario=with_budget(given.scenario, 1e12, None))


@pytest.mark.parametrize("seed", [5, 12, 31])
def test_at_the_stated_point_the_value_holds_exactly(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given = open_ended(seed)
    monkeypatch.setattr("planner.search.own_runs._machines", lambda *_: list(given.offers))
    free = optimize(given.scenario, given.catalog, load_calibration(), offers=given.offers)
    assert free.plan is not None
    plan, layout = free.plan, free.plan.layout
    entry = MeasuredThroughput(
        gpu=plan.offer.gpu,
        tokens_per_s_per_gpu=0.7 * plan.tokens_per_s_per_gpu.p50,
        gpus=plan.gpus,
        tp=layout.tp,
        pp=layout.pp,
        vpp=layout.vpp,
        cp=layout.cp,
        ep=layout.ep,
        zero_stage=layout.zero_stage,
        sequence_parallel=layout.sequence_parallel,
        recompute=layout.recompute,
        micro_batch=layout.micro_batch,
        global_batch=plan.global_batch,
        framework=plan.framework,
    )
    only = tuple(o for o in given.offers if o.id == plan.offer.id)
    pins = {
        k: IntChoice(values=(getattr(layout, k),)) for k in ("tp", "pp", "vpp", "cp", "ep", "zero_stage", "micro_batch")
    }
    pinned = replace(
        given.scenario,
        throughput=(entry,),
        layout=replace(
            given.scenario.layout,
            **pins,
            sequence_parallel=layout.sequence_parallel,
            recompute=(layout.recompute,),
            dp=IntChoice(values=(layout.dp,)),
        ),
        training=replace(
            given.scenario.training, global_batch=IntChoice(values=(plan.global_batch,)), framework=plan.framework
        ),
    )
    monkeypatch.setattr("planner.search.own_runs._machines", lambda *_: list(only))
    answer = optimize(pinned, given.catalog, load_calibration(), offers=only)
    assert answer.plan is not None
    assert answer.plan.tokens_per_s_per_gpu.p50 == pytest.approx(entry.tokens_per_s_per_gpu, rel=1e-9)
    assert answer.plan.basis == "user"


def test_a_slower_measurement_makes_every_plan_on_that_gpu_slower(monkeypatch: pytest.MonkeyPatch) -> None:
    given = open_ended(12)
    monkeypatch.setattr("planner.search.own_runs._machines", lambda *_: list(given.offers))
    free = optimize(given.scenario, given.catalog, load_calibration(), offers=given.offers)
    assert free.plan is not None
    entry = MeasuredThroughput(free.plan.offer.gpu, 0.1 * free.plan.tokens_per_s_per_gpu.p50)
    slowed = optimize(
        replace(given.scenario, throughput=(entry,)), given.catalog, load_calibration(), offers=given.offers
    )
    assert slowed.plan is not None
    worse = slowed.certificate.best
    assert worse is not None
    assert free.certificate.best is not None
    assert worse > free.certificate.best


def test_a_measurement_of_what_cannot_run_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    given = open_ended(12)
    monkeypatch.setattr("planner.search.own_runs._machines", lambda *_: list(given.offers))
    entry = MeasuredThroughput("h", 100.0, gpus=1, tp=7)
    with pytest.raises(PlannerError, match=r"throughput\[0\]"):
        optimize(replace(given.scenario, throughput=(entry,)), given.catalog, load_calibration(), offers=given.offers)
