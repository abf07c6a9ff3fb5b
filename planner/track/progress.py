"""A run against its plan: what is done, how fast, how much is lost, when it will end and what it will cost.

Ranges join the plan's own spread with what the log has shown, each by its precision, so that they narrow as it goes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from planner import plan_json
from planner.performance.arrays import FloatArray
from planner.plan import Goal, Plan, Quantiles
from planner.track.state import WARMUP_RECORDS, TrackState

Z90 = 1.2815515655446004  # standard normal quantile of 0.9
LEAST_SPREAD = 0.005  # relative: a pace that has been steady for long may still be off by so much
_BLOCKS = 24  # of the recent records, whose means tell noise from drift
_TIMES_IN_LOG = "times in the log"
_STEPS_ONLY = "step times alone, the log has no clock: time between starts is not seen"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a run. Times in seconds, money in USD, shares as fractions."""

    schema_version: int = 1
    status: str  # waiting | training | finished
    iteration: int
    iterations: int  # of the whole run, as the log says or else the plan
    share_done: float
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
    cost_against_plan: float
    budgets: tuple[BudgetOutlook, ...]
    remarks: tuple[str, ...]
    chart_iterations: int  # a bucket of the chart
    chart_step_s: tuple[float | None, ...]

    def to_json(self) -> str:
        """One JSON document; equal logs and plans give equal bytes."""
        return plan_json.dumps(self)


def progress(state: TrackState, plan: Plan, goal: Goal | None = None) -> Progress:
    """Where a run stands.

    Parameters
    ----------
    state : what its log said
    plan : what it was planned to be
    goal : the budgets it was planned within

    Source: a normal prior and normal data on the log of the pace (Gelman et al. 2013, section 2.5); see
    `present_pace` and `remaining_seconds`.
    """
    total = state.total or plan.iterations
    left = max(0, total - state.iteration)
    elapsed, basis = elapsed_seconds(state)
    pace = _pace(state, plan)
    remaining = remaining_seconds(state, plan, left)
    usd_per_s = plan.cost_usd.p50 / plan.time_s.p50
    time = _plus(remaining, elapsed)
    cost = Quantiles(time.p10 * usd_per_s, time.p50 * usd_per_s, time.p90 * usd_per_s)
    batch = state.batch or plan.global_batch
    per_epoch = plan.tokens / plan.epochs if plan.epochs else None
    seen = state.samples if state.samples is not None else state.iteration * batch
    epochs_done = seen * plan.seq_length / per_epoch if per_epoch else None
    finishes: tuple[str, ...] | None = None
    if math.isfinite(state.last_wall_s):
        ends = [moment(state.last_wall_s + s) for s in (remaining.p10, remaining.p50, remaining.p90)]
        finishes = tuple(end for end in ends if end is not None)
        finishes = finishes if len(finishes) == len(ends) else None
    steady = pace.steady_s
    return Progress(
        status="waiting" if not state.records else "finished" if left == 0 else "training",
        iteration=state.iteration,
        iterations=total,
        share_done=min(1.0, state.iteration / total),
        epochs_done=epochs_done,
        epochs=plan.epochs,
        pace=pace,
        tokens_per_s_per_gpu=batch * plan.seq_length / steady / plan.gpus if steady else None,
        losses=_losses(state, elapsed),
        elapsed_s=elapsed,
        elapsed_basis=basis,
        cost_so_far_usd=elapsed * usd_per_s,
        remaining_s=remaining,
        time_s=time,
        cost_usd=cost,
        finishes=finishes,
        time_against_plan=time.p50 / plan.time_s.p50 - 1,
        cost_against_plan=cost.p50 / plan.cost_usd.p50 - 1,
        budgets=_outlooks(state, goal, elapsed, left, remaining, usd_per_s),
        remarks=_remarks(state, plan, total),
        chart_iterations=state.chart_width,
        chart_step_s=tuple(None if math.isnan(v) else float(v) for v in state.chart[: _used_buckets(state)]),
    )


def elapsed_seconds(state: TrackState) -> tuple[float, str]:
    """Seconds since the run began, and what tells them. Iterations before the log's first count at the mean pace."""
    if not state.records:
        return 0.0, _STEPS_ONLY
    trained = max(1, state.iteration + state.lost_iterations - (state.first_iteration or 0))
    before = (state.first_iteration or 0) * state.logged_s / trained
    counted = state.logged_s + state.down_s
    if math.isfinite(state.first_wall_s) and math.isfinite(state.last_wall_s):
        wall = state.last_wall_s - state.first_wall_s
        if wall > 0.5 * counted:
            return before + max(wall, 0.0), _TIMES_IN_LOG
    return before + counted, _STEPS_ONLY


@dataclass(frozen=True, slots=True)
class Level:
    """The present pace without stalls; `error` is relative, `drift` the variance of its log that an iteration adds."""

    step_s: float
    error: float
    drift: float


def present_pace(state: TrackState) -> Level | None:
    """Seconds of an iteration now, stalls left out, and how they wander.

    Medians over blocks of the recent records follow a local level model: noise a block, and a level that walks at
    random. Both variances are those that squared differences of blocks at growing lags show; the level is filtered.

    Source: Durbin and Koopman 2012, section 2.2 (local level model and its filter).
    """
    count = min(state.recent, state.records - WARMUP_RECORDS, max(256, state.records // 2))
    if count < 2:
        steady = state.steady_step_s()
        return None if steady is None else Level(steady, 0.2, 0.0)
    steps = np.log(np.maximum(state.recent_steps[-count:], 1e-9))
    blocks = max(2, min(_BLOCKS, count // 8))
    middles = np.array([np.median(block) for block in np.array_split(steps, blocks)])
    noise, walk = _variances(middles)
    level, variance = float(middles[0]), noise
    for value in middles[1:]:
        variance += walk
        gain = variance / (variance + noise) if variance + noise > 0 else 0.0
        level += gain * (float(value) - level)
        variance *= 1 - gain
    iterations = state.recent_iteration[-1] - state.recent_iteration[-count]
    few = 1 + 1 / (blocks - 1)  # near the ratio of Student's to the normal 90 % quantile: noise is itself estimated
    return Level(math.exp(level), few * math.sqrt(variance), walk * blocks / max(1.0, float(iterations)))


def stall_share(state: TrackState, plan: Plan) -> tuple[float, float]:
    """Seconds that evaluations, checkpoints and other stalls add to a steady second, and the variance of that.

    The plan's own share counts as one stall, those seen as many as they are.
    """
    planned = _planned_pace(plan) / plan.step_time_s.p50 - 1
    steady, counted = state.steady_step_s(), float(state.histogram.sum())
    if not steady or counted <= 0:
        return planned, planned**2
    iterations, seconds = state.stalls()
    events = iterations / state.interval
    seen = seconds / (steady * counted)
    share = (planned + events * seen) / (1 + events)
    return share, share**2 / (1 + events)


def _variances(means: FloatArray) -> tuple[float, float]:
    """Variances of noise and walk of a local level, by least squares: E (y[i+L] - y[i])^2 = 2 noise + L walk."""
    lags = np.arange(1, max(2, len(means) // 2 + 1))
    squares = np.array([np.mean((means[lag:] - means[:-lag]) ** 2) for lag in lags])
    if len(lags) < 3:
        return float(squares.mean() / 2), 0.0
    walk = max(0.0, float(np.polyfit(lags, squares, 1)[0]))
    return max(0.0, float((squares - walk * lags).mean() / 2)), walk


def remaining_seconds(state: TrackState, plan: Plan, left: int) -> Quantiles:
    """Seconds that `left` iterations will take, starts that still come included.

    The pace joins the plan's and the log's by their precision; interruptions are a Poisson process whose rate joins the
    plan's, as of one interruption, with those seen, and each costs what such have cost.
    """
    now = present_pace(state)
    if now is None:
        share = left / plan.iterations
        return Quantiles(plan.time_s.p10 * share, plan.time_s.p50 * share, plan.time_s.p90 * share)
    seen = now.error**2 + LEAST_SPREAD**2
    prior = max(LEAST_SPREAD, math.log(plan.step_time_s.p90 / plan.step_time_s.p10) / (2 * Z90)) ** 2
    share = prior / (seen + prior)
    pace = math.exp(share * math.log(now.step_s) + (1 - share) * math.log(plan.step_time_s.p50))
    stalls, stall_variance = stall_share(state, plan)
    training = left * pace * (1 + stalls)
    variance = seen * prior / (seen + prior) + stall_variance / (1 + stalls) ** 2
    variance += now.drift * left / 3  # the mean of a random walk over the rest has a third of its last variance
    lost, lost_variance = _interruptions(state, plan, training)
    mean = training + lost
    spread = math.log1p((training**2 * variance + lost_variance) / mean**2) if mean > 0 else 0.0
    middle = mean * math.exp(-spread / 2)
    factor = math.exp(Z90 * math.sqrt(spread))
    return Quantiles(middle / factor, middle, middle * factor)


def _planned_pace(plan: Plan) -> float:
    """Seconds of an iteration as planned, evaluations and checkpoints counted."""
    step = plan.step_time_s.p50 + (plan.evaluation_time_s or 0.0) / plan.iterations
    kept = plan.reliability
    if kept is not None and kept.checkpoint_interval_s:
        step *= 1 + kept.checkpoint_s / kept.checkpoint_interval_s
    return step


def _interruptions(state: TrackState, plan: Plan, training_s: float) -> tuple[float, float]:
    """Expected seconds that interruptions of the rest cost, and their variance.

    Gamma prior and Poisson counts (Gelman et al. 2013, section 2.6); the cost of one is exponential around its mean.
    """
    known = plan.reliability
    events, exposure = float(state.restarts), max(state.logged_s, 1e-9)
    cost_s, costs = state.lost_s + state.down_s, float(state.restarts)
    if known is not None and known.mean_time_between_s:
        events, exposure = events + 1, exposure + known.mean_time_between_s
        cost_s += known.restart_s + (known.checkpoint_interval_s or 0.0) / 2
        costs += 1
    if events == 0:
        return 0.0, 0.0
    each = cost_s / costs
    count = events / exposure * training_s
    return count * each, each**2 * count * (2 + training_s / exposure) + (count * each) ** 2 / costs


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
    kept = state.kept_iterations + (state.first_iteration or 0)
    return Losses(
        min(1.0, steady * kept / elapsed) if elapsed > 0 else None,
        state.warmup_iterations,
        max(0.0, state.warmup_s - steady * state.warmup_iterations),
        stalled,
        stalled_s,
        state.restarts,
        state.lost_iterations,
        state.lost_s,
        state.down_s,
    )


def _plus(remaining: Quantiles, elapsed: float) -> Quantiles:
    return Quantiles(elapsed + remaining.p10, elapsed + remaining.p50, elapsed + remaining.p90)


def _outlooks(
    state: TrackState, goal: Goal | None, elapsed: float, left: int, remaining: Quantiles, usd_per_s: float
) -> tuple[BudgetOutlook, ...]:
    if goal is None:
        return ()
    limits = (("time", goal.time_s, 1.0), ("cost", goal.cost_usd, usd_per_s))
    return tuple(
        _outlook(state, name, limit, rate, elapsed, left, remaining)
        for name, limit, rate in limits
        if limit is not None
    )


def _outlook(
    state: TrackState, name: str, limit: float, rate: float, elapsed: float, left: int, remaining: Quantiles
) -> BudgetOutlook:
    """When the limit (in its own unit, reached at `rate` a second) is met, and where the run is then."""
    until = limit / rate - elapsed
    missed = remaining.p50 > until
    at = None
    if missed and left:
        share = max(0.0, until) / remaining.p50
        at = state.iteration + int(share * left)
    by_clock = moment(state.last_wall_s + until) if missed and math.isfinite(state.last_wall_s) else None
    total = _plus(remaining, elapsed)
    return BudgetOutlook(
        name,
        limit,
        Quantiles(total.p10 * rate, total.p50 * rate, total.p90 * rate),
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
    return 0.5 * math.erfc(-math.log(within / remaining.p50) / spread / math.sqrt(2))


def moment(seconds: float) -> str | None:
    """A time of the log's clock as text; logs do not tell their zone. None beyond what a calendar holds."""
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return None


def _used_buckets(state: TrackState) -> int:
    filled = np.flatnonzero(state.chart_weight > 0)
    return int(filled[-1]) + 1 if len(filled) else 0


def _remarks(state: TrackState, plan: Plan, total: int) -> tuple[str, ...]:
    remarks = []
    if not state.records:
        remarks.append("the log has no training step yet; what is shown is the plan")
    if state.batch is not None and abs(state.batch / plan.global_batch - 1) > 0.01:
        remarks.append(f"the run has a batch of {state.batch:,} sequences, the plan one of {plan.global_batch:,}")
    if total != plan.iterations:
        remarks.append(f"the run is to have {total:,} iterations, the plan {plan.iterations:,}")
    if state.first_iteration:
        remarks.append(
            f"the log begins after iteration {state.first_iteration:,}; what was before counts at the mean pace"
        )
    if state.restarts == 0 and state.records and plan.reliability is None:
        remarks.append("no restart was seen, and none is expected in what is left")
    steady = state.steady_step_s()
    if steady and steady > plan.step_time_s.p90:
        remarks.append("steps are slower than nine in ten that the plan held possible")
    return tuple(remarks)
