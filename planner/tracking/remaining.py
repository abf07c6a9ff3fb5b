"""How long the rest of a run takes: its present pace, its stalls and its interruptions, each by a model of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray
from planner.results.plan import Plan, Quantiles
from planner.tracking.state import WARMUP_RECORDS, TrackState

Z90 = 1.2815515655446004  # standard normal quantile of 0.9
LEAST_SPREAD = 0.005  # relative: a pace that has been steady for long may still be off by so much
_BLOCKS = 24  # of the recent records, whose means tell noise from drift


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
    planned = _planned_pace(plan, state.full_steps(plan.iterations)) / plan.step_time_s.p50 - 1
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


def remaining_seconds(state: TrackState, plan: Plan, left: float) -> Quantiles:
    """Seconds that `left` steps of the full batch will take, starts that still come included.

    The pace joins the plan's and the log's by their precision; interruptions are a Poisson process whose rate joins the
    plan's, as of one interruption, with those seen, and each costs what such have cost. The plan's overhead counts as
    `overhead_left` has it.
    """
    now = present_pace(state)
    if now is None:
        share = left / state.full_steps(plan.iterations)
        return plan.time_s.line(share)
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
    off = Z90 * math.sqrt(spread)
    below, more, above = overhead_left(state, plan, left)
    middle *= math.exp(more)
    return Quantiles(middle * math.exp(-math.hypot(off, below)), middle, middle * math.exp(math.hypot(off, above)))


def overhead_left(state: TrackState, plan: Plan, left: float) -> tuple[float, float, float]:
    """What the plan's overhead still adds to the log of the rest: to its median, and its reach to 10 and 90 %.

    (below, median, above). It is one draw a run: of a log with times, what is past of it stands among the stalls and
    stops that were seen and are expected to go on, so that the plan's counts by the share of the run that is left.
    """
    overhead = plan.reliability.overhead if plan.reliability is not None else None
    if overhead is None:
        return 0.0, 0.0, 0.0
    timed = math.isfinite(state.first_wall_s) and math.isfinite(state.last_wall_s)
    share = min(1.0, left / state.full_steps(plan.iterations)) if timed else 1.0
    low, middle, high = (share * math.log(overhead.quantile(p)) for p in (0.1, 0.5, 0.9))
    return middle - low, middle, high - middle


def _planned_pace(plan: Plan, steps: float) -> float:
    """Seconds of one of the plan's steps, evaluations and checkpoints counted."""
    step = plan.step_time_s.p50 + (plan.evaluation_time_s or 0.0) / steps
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
