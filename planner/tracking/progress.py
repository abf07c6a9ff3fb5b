"""A run against its plan: what is done, how fast, how much is lost, when it will end and what it will cost.

Ranges join the plan's own spread with what the log has shown, each by its precision, so that they narrow as it goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from planner.money import Money
from planner.results.answers import StatedGoal
from planner.results.plan import Plan, Quantiles
from planner.results.result import Result
from planner.tracking.remaining import Z90, present_pace, remaining_seconds, stall_share
from planner.tracking.state import TrackState
from planner.words import say


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds of an iteration.

    `steady` is the median without warm-up, `recent` the present pace with stalls as often as they have been, with its
    relative standard error, `planned` the plan's.
    """

    steady_s: float | None
    recent_s: float | None
    recent_error: float | None
    p90_s: float | None
    planned_s: Quantiles
    against_plan: float | None  # steady over the planned median, minus 1


@dataclass(frozen=True, slots=True)
class Losses:
    """Where time went beside steady training. `goodput` is the steady time of kept iterations over all elapsed time."""

    goodput: float | None
    warmup_iterations: int
    warmup_s: float  # beyond steady steps
    stalled_iterations: float
    stalled_s: float  # beyond steady steps
    restarts: int
    lost_iterations: int
    lost_s: float
    down_s: float


@dataclass(frozen=True, slots=True)
class BudgetOutlook:
    """One budget: its limit, what the run is heading for, and where it stands when the limit is reached."""

    budget: str  # time | cost
    limit: float  # s | USD
    projected: Quantiles
    p_within: float
    missed: bool  # the median outcome is beyond it
    reached_after_s: float | None  # elapsed seconds of the run when the limit is reached, if it will be
    reached_at_iteration: int | None
    reached_at: str | None  # by the log's own clock


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Progress(Result):
    """The state of a run. Times in seconds, money in USD, shares as fractions."""

    schema_version: int = 1
    status: str  # waiting | training | finished
    iteration: int
    iterations: int  # of the whole run, as the log says or else the plan
    share_done: float
    samples_left: int
    epochs_done: float | None
    epochs: float | None
    pace: Pace
    tokens_per_s_per_gpu: float | None
    losses: Losses
    elapsed_s: float
    elapsed_basis: str
    cost_so_far_usd: float
    remaining_s: Quantiles
    time_s: Quantiles
    cost_usd: Quantiles
    finishes: tuple[str, ...] | None  # p10, p50, p90 by the log's clock
    time_against_plan: float  # p50 over the plan's p50, minus 1
    cost_against_plan: float | None  # None where the plan costs nothing
    budgets: tuple[BudgetOutlook, ...]
    remarks: tuple[str, ...]
    chart_iterations: int  # a bucket of the chart
    chart_step_s: tuple[float | None, ...]
    money: Money | None = None  # what costs are written in


def progress(state: TrackState, plan: Plan, goal: StatedGoal | None = None, spent_usd: float | None = None) -> Progress:
    """Where a run stands.

    Parameters
    ----------
    state : what its log said
    plan : what it was planned to be
    goal : the budgets it was planned within
    spent_usd : what accounting says was spent; None: the plan's cost of the time elapsed

    Source: a normal prior and normal data on the log of the pace (Gelman et al. 2013, section 2.5); see
    `present_pace` and `remaining_seconds`.
    """
    total = state.total or plan.iterations
    left = max(0.0, state.full_steps(total) - state.full_steps(state.iteration))
    elapsed, basis = elapsed_seconds(state)
    pace = _pace(state, plan)
    remaining = remaining_seconds(state, plan, left)
    usd_per_s = plan.cost_usd.p50 / plan.time_s.p50
    time = remaining.line(1.0, elapsed)
    spent = elapsed * usd_per_s if spent_usd is None else spent_usd
    cost = remaining.line(usd_per_s, spent)
    batch = plan.global_batch if state.course is not None else state.batch or plan.global_batch
    per_epoch = plan.tokens / plan.epochs if plan.epochs else None
    seen = state.samples if state.samples is not None else _samples(state, state.iteration, batch)
    epochs_done = seen * plan.seq_length / per_epoch if per_epoch else None
    finishes: tuple[str, ...] | None = None
    if math.isfinite(state.last_wall_s):
        ends = [moment(state.last_wall_s + s) for s in remaining]
        finishes = tuple(end for end in ends if end is not None)
        finishes = finishes if len(finishes) == len(ends) else None
    steady = pace.steady_s
    filled = np.flatnonzero(state.chart_weight > 0)
    drawn = int(filled[-1]) + 1 if len(filled) else 0
    return Progress(
        status="waiting" if not state.records else "finished" if left == 0 else "training",
        iteration=state.iteration,
        iterations=total,
        share_done=min(1.0, state.iteration / total),
        samples_left=max(
            0, _samples(state, total, plan.global_batch) - _samples(state, state.iteration, plan.global_batch)
        ),
        epochs_done=epochs_done,
        epochs=plan.epochs,
        pace=pace,
        tokens_per_s_per_gpu=batch * plan.seq_length / steady / plan.gpus if steady else None,
        losses=_losses(state, elapsed),
        elapsed_s=elapsed,
        elapsed_basis=basis,
        cost_so_far_usd=spent,
        remaining_s=remaining,
        time_s=time,
        cost_usd=cost,
        finishes=finishes,
        time_against_plan=time.p50 / plan.time_s.p50 - 1,
        cost_against_plan=cost.p50 / plan.cost_usd.p50 - 1 if plan.cost_usd.p50 > 0 else None,
        budgets=_outlooks(state, goal, elapsed, left, remaining, usd_per_s, spent),
        remarks=_remarks(state, plan, total),
        chart_iterations=state.chart_width,
        chart_step_s=tuple(None if math.isnan(v) else float(v) for v in state.chart[:drawn]),
    )


def elapsed_seconds(state: TrackState) -> tuple[float, str]:
    """Seconds since the run began, and what tells them. Iterations before the log's first count at the mean pace."""
    if not state.records:
        return 0.0, say("progress.steps_only")
    first = state.full_steps(state.first_iteration or 0)
    trained = max(1.0, state.full_steps(state.iteration) + state.lost_iterations - first)
    before = first * state.logged_s / trained
    counted = state.logged_s + state.down_s
    if math.isfinite(state.first_wall_s) and math.isfinite(state.last_wall_s):
        wall = state.last_wall_s - state.first_wall_s
        if wall > 0.5 * counted:
            return before + max(wall, 0.0), say("progress.times_in_log")
    return before + counted, say("progress.steps_only")


def _pace(state: TrackState, plan: Plan) -> Pace:
    steady, seen = state.steady_step_s(), present_pace(state)
    stalls = stall_share(state, plan)[0]
    return Pace(
        steady,
        seen.step_s * (1 + stalls) if seen else None,
        seen.error if seen else None,
        state.step_quantile(0.9),
        plan.step_time_s,
        steady / plan.step_time_s.p50 - 1 if steady else None,
    )


def _losses(state: TrackState, elapsed: float) -> Losses:
    steady = state.steady_step_s() or 0.0
    stalled, stalled_s = state.stalls()
    kept = state.full_steps(state.iteration)
    return Losses(
        min(1.0, steady * kept / elapsed) if elapsed > 0 else None,
        state.warmup_iterations,
        max(0.0, state.warmup_s - steady * state.warmup_steps),
        stalled,
        stalled_s,
        state.restarts,
        state.lost_iterations,
        state.lost_s,
        state.down_s,
    )


def _outlooks(
    state: TrackState,
    goal: StatedGoal | None,
    elapsed: float,
    left: float,
    remaining: Quantiles,
    usd_per_s: float,
    spent: float,
) -> tuple[BudgetOutlook, ...]:
    if goal is None:
        return ()
    limits = (("time", goal.time_s, 1.0, elapsed), ("cost", goal.cost_usd, usd_per_s, spent))
    return tuple(
        _outlook(state, name, limit, rate, gone, elapsed, left, remaining)
        for name, limit, rate, gone in limits
        if limit is not None and rate > 0
    )


def _outlook(
    state: TrackState,
    name: str,
    limit: float,
    rate: float,
    gone: float,
    elapsed: float,
    left: float,
    remaining: Quantiles,
) -> BudgetOutlook:
    """When the limit (in its own unit, `gone` of it used, at `rate` a second) is met, and where the run is then."""
    until = (limit - gone) / rate
    missed = remaining.p50 > until
    at = None
    if missed and left:
        share = max(0.0, until) / remaining.p50
        at = state.iteration + int(share * left)
        if state.course is not None:
            at = state.course.iteration_at(state.full_steps(state.iteration) + share * left)
    by_clock = moment(state.last_wall_s + until) if missed and math.isfinite(state.last_wall_s) else None
    return BudgetOutlook(
        name,
        limit,
        remaining.line(rate, gone),
        _chance(remaining, until),
        missed,
        elapsed + until if missed else None,
        at,
        by_clock,
    )


def _chance(remaining: Quantiles, within: float) -> float:
    """Probability that what remains takes no more than `within` seconds."""
    if remaining.p50 <= 0:
        return 1.0 if within >= 0 else 0.0
    if within <= 0:
        return 0.0
    spread = math.log(remaining.p90 / remaining.p50) / Z90
    if spread <= 0:
        return 1.0 if within >= remaining.p50 else 0.0
    return 0.5 * math.erfc((math.log(remaining.p50) - math.log(within)) / spread / math.sqrt(2))


def moment(seconds: float) -> str | None:
    """A time of the log's clock as text; logs do not tell their zone. None beyond what a calendar holds."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return None


def _samples(state: TrackState, iteration: int, batch: int) -> int:
    """Sequences that the first `iteration` iterations read."""
    return iteration * batch if state.course is None else state.course.samples_after(iteration)


def _remarks(state: TrackState, plan: Plan, total: int) -> tuple[str, ...]:
    remarks = []
    if not state.records:
        remarks.append(say("progress.no_step"))
    expected = plan.global_batch if state.course is None else state.course.batch_of(state.iteration)
    if state.records and expected < plan.global_batch:
        remarks.append(say("progress.growing", batch=expected, full=plan.global_batch))
    if state.batch is not None and abs(state.batch / expected - 1) > 0.01:
        remarks.append(say("progress.other_batch", batch=state.batch, planned=expected))
    if total != plan.iterations:
        remarks.append(say("progress.other_length", iterations=total, planned=plan.iterations))
    if state.first_iteration:
        remarks.append(say("progress.begins_late", iteration=state.first_iteration))
    if state.restarts == 0 and state.records and plan.reliability is None:
        remarks.append(say("progress.no_restart"))
    steady = state.steady_step_s()
    if steady and steady > plan.step_time_s.p90:
        remarks.append(say("progress.slow"))
    return tuple(remarks)
