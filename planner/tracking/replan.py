"""The best continuation of a run from where it is: the same question for what is left, beside staying on course."""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.results.answers import Optimization
from planner.results.plan import Plan, Quantiles
from planner.results.result import Result
from planner.spec.scenario import DataSource, MeasuredThroughput, Scenario
from planner.tracking.progress import Progress
from planner.units import PlannerError
from planner.words import say


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Continuation(Result):
    """What is left, what staying means, and the best plan for the rest within what is left of the budgets."""

    schema_version: int = 1
    samples_left: int
    time_left_s: float | None
    cost_left_usd: float | None
    stay_time_s: Quantiles
    stay_cost_usd: Quantiles
    unchanged: bool  # the best plan for the rest is the one that the run follows
    answer: Optimization


def remaining_scenario(scenario: Scenario, plan: Plan, now: Progress) -> Scenario:
    """The scenario of what is left: its samples once, within what is left of each budget, at the pace that was seen.

    The run's own throughput goes in as a measurement, so that the present cluster is not held to be faster than it is.

    Raises
    ------
    PlannerError
        If nothing is left of the run, or of a budget.
    """
    left = now.iterations - now.iteration
    if left <= 0:
        raise PlannerError(say("replan.finished"))
    budget = scenario.budget
    time_left = None if budget.time_s is None else budget.time_s - now.elapsed_s
    cost_left = None if budget.cost_usd is None else budget.cost_usd - now.cost_so_far_usd
    refuse_spent(time_left, cost_left)
    training = replace(scenario.training, epochs=1.0, iterations=None, batch_ramp=None)
    budget = replace(budget, time_s=time_left, cost_usd=cost_left, start=None, deadline=None)
    return replace(
        scenario,
        data=(data_left(now),),
        seq_length=plan.seq_length,
        training=training,
        budget=budget,
        throughput=(*scenario.throughput, *_measured(plan, now)),
    )


def refuse_spent(time_s: float | None, cost_usd: float | None) -> None:
    """Raise PlannerError if nothing is left of a budget."""
    if time_s is not None and time_s <= 0:
        raise PlannerError(say("replan.no_time"))
    if cost_usd is not None and cost_usd <= 0:
        raise PlannerError(say("replan.no_cost"))


def data_left(now: Progress) -> DataSource:
    """The data that a run has yet to read, as a source of its own."""
    return DataSource(say("replan.data"), samples=now.samples_left, basis=say("replan.samples"))


def _measured(plan: Plan, now: Progress) -> tuple[MeasuredThroughput, ...]:
    """What the run has shown at its own layout."""
    if now.tokens_per_s_per_gpu is None:
        return ()
    layout = plan.layout
    return (
        MeasuredThroughput(
            gpu=plan.offer.gpu,
            tokens_per_s_per_gpu=now.tokens_per_s_per_gpu,
            gpus=plan.gpus,
            tp=layout.tp,
            pp=layout.pp,
            vpp=layout.vpp,
            dp=layout.dp,
            cp=layout.cp,
            ep=layout.ep,
            zero_stage=layout.zero_stage,
            sequence_parallel=layout.sequence_parallel,
            recompute=layout.recompute,
            micro_batch=layout.micro_batch,
            global_batch=plan.global_batch,
            framework=plan.framework,
        ),
    )


def continuation(scenario: Scenario, plan: Plan, now: Progress, answer: Optimization) -> Continuation:
    """Staying on course with `plan` beside `answer`, the best plan of the remaining scenario."""
    rate = plan.cost_usd.p50 / plan.time_s.p50
    stay = now.remaining_s
    return Continuation(
        samples_left=scenario.data[0].samples or 0,
        time_left_s=scenario.budget.time_s,
        cost_left_usd=scenario.budget.cost_usd,
        stay_time_s=stay,
        stay_cost_usd=stay.line(rate),
        unchanged=answer.plan is not None and _run_of(plan) == _run_of(answer.plan),
        answer=answer,
    )


def _run_of(plan: Plan) -> tuple[object, ...]:
    """What two plans have alike that are one run: cluster, layout and batch."""
    return plan.offer.id, plan.gpus, plan.framework, plan.layout, plan.global_batch
