"""What measuring a short run is worth to one decision: chances that the plan changes, and how narrow the ask becomes.

ln(step time) of the plan, of what it is weighed against and of the runs that could be made is one Gaussian
(`performance.next_runs.posterior`). What a run would show moves the means of all of them together; what it leaves is
known before it is made. Sites are drawn from that, and each is decided anew.

Source: Raiffa & Schlaifer 1961, Applied Statistical Decision Theory (preposterior analysis); Howard 1966, Information
Value Theory, IEEE Trans. SSC-2 (the value of information to one decision).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.performance.next_runs import Gains, Pick, choose, deviations, measured
from planner.results.answers import StatedGoal
from planner.results.plan import Plan, Quantiles

DECILE = NormalDist().inv_cdf(0.9)
CONFIDENCE = 0.8  # of answers that older planners saved
DRAWS = 512  # sites
MATTERS = 0.01  # of the loss: a change that saves less is none; runs that change no more than that are not worth it
MOST_RUNS = 3
DAY_S, HOUR_S = 86_400.0, 3_600.0


@dataclass(frozen=True)
class Decision:
    """Plans to choose from, (n,) each, the present one first; amounts are USD, or GPU-hours where nothing is priced."""

    time_s: FloatArray  # median
    amount: FloatArray  # median
    score: FloatArray  # what the objective says of the median run
    step: FloatArray  # log spread of step time today
    rest: FloatArray  # log spread of the run's time beyond it, upper side
    goal: StatedGoal
    confidence: float
    priced: bool

    @classmethod
    def of(cls, plans: Sequence[Plan], goal: StatedGoal) -> Decision:
        """The decision between these plans, the present one first."""
        priced = goal.cost_stated and all(p.cost_usd.p50 > 0 for p in plans)
        time = np.asarray([p.time_s.p50 for p in plans])
        hours = np.asarray([p.time_s.p50 * p.gpus / HOUR_S for p in plans])
        amount = np.asarray([p.cost_usd.p50 for p in plans]) if priced else hours
        score = {"time": time * amount[0] / time[0], "cost": amount}.get(
            goal.objective, amount + (goal.usd_per_day or 0.0) * time / DAY_S
        )
        step = np.asarray([np.log(p.step_time_s.p90 / p.step_time_s.p50) / DECILE for p in plans])
        whole = np.asarray([np.log(p.time_s.p90 / p.time_s.p50) / DECILE for p in plans])
        rest = np.sqrt(np.maximum(whole**2 - step**2, 0.0))
        sure = CONFIDENCE if goal.confidence is None else goal.confidence
        return cls(time, amount, score, step, rest, goal, sure, priced)

    def quantile(self, step: FloatArray) -> FloatArray:
        """Factor from the median to the run that is stayed within at the confidence, at this spread of steps."""
        z = NormalDist().inv_cdf(self.confidence)
        return np.asarray(np.exp(z * np.hypot(self.rest, step)))

    def width(self, shift: FloatArray, step: FloatArray) -> FloatArray:
        """p90 - p10 of the amounts, their medians moved by e^shift."""
        spread = DECILE * np.hypot(self.rest, step)
        return np.asarray(self.amount * np.exp(shift) * (np.exp(spread) - np.exp(-spread)))

    def ask(self, shift: FloatArray, step: FloatArray) -> FloatArray:
        """The amounts that the plans stay within at the confidence."""
        return np.asarray(self.amount * np.exp(shift) * self.quantile(step))

    def loss(self, shift: FloatArray, step: FloatArray) -> FloatArray:
        """The objective, and what goes beyond a budget at the confidence, in amounts; shaped as `shift`, (..., n)."""
        grown, sure = np.exp(shift), self.quantile(step)
        loss = self.score * grown
        if self.goal.time_s:
            over = np.maximum(self.time_s * grown * sure / self.goal.time_s - 1.0, 0.0)
            loss = loss + self.amount * grown * over
        if self.goal.cost_usd and self.priced:
            loss = loss + np.maximum(self.amount * grown * sure - self.goal.cost_usd, 0.0)
        return np.asarray(loss)

    def moved(self, number: int, plan: Plan, shift: float, step: float) -> Plan:
        """One of the plans, its times and costs moved by e^shift and with this log spread of steps."""
        z = np.asarray([-DECILE, 0.0, DECILE])
        spread = np.hypot(self.rest[number], step)

        def three(kept: Quantiles, sigma: float) -> Quantiles:
            return Quantiles(*(float(kept.p50 * np.exp(shift + each * sigma)) for each in z))

        time, cost = three(plan.time_s, spread), three(plan.cost_usd, spread)
        chances = [
            NormalDist().cdf(float(np.log(most / kept.p50)) / max(float(spread), 1e-9))
            for most, kept in ((self.goal.time_s, time), (self.goal.cost_usd, cost))
            if most and kept.p50 > 0
        ]
        both = min(chances) if chances else None
        return replace(plan, step_time_s=three(plan.step_time_s, step), time_s=time, cost_usd=cost, p_within_both=both)


@dataclass(frozen=True, slots=True)
class Worth:
    """What knowing more is expected to do to a decision."""

    changes: float  # chance that another plan is better by more than `MATTERS`
    saved: float  # expected, by changing it
    ask: float  # expected, of the plan then chosen
    width: float  # p90 - p10 of what it costs, expected
    spread: float  # log spread of the present plan's step that is left

    def total(self, now: Worth) -> float:
        """What it is worth, in amounts: what changing saves, and what need not be asked for."""
        return self.saved + max(now.ask - self.ask, 0.0)


@dataclass(frozen=True)
class Value:
    """The worth of measuring runs, given how all of them hang together.

    `spread`: covariance of ln(step) of the plans and behind them the runs, (n + m, n + m), scaled so that the plans'
    own are their stated spreads; `own`: log spread of one run that nothing measured beside it tells.
    """

    decision: Decision
    spread: FloatArray
    own: float

    def now(self) -> Worth:
        """The decision as it stands."""
        n = len(self.decision.amount)
        return self.worth(self.spread[:n, :n])

    def worth(self, left: FloatArray) -> Worth:
        """Of knowing so much that this covariance of the plans, (n, n), is left."""
        d, n = self.decision, len(self.decision.amount)
        known = self.spread[:n, :n] - left
        shift = _draws(n) @ _root(known).T
        today, later = (np.hypot(self.own, deviations(np.diagonal(c))) for c in (self.spread[:n, :n], left))
        plain = d.loss(np.zeros(n), today)
        handicap = np.maximum(plain[0] - plain, 0.0)  # the present plan was chosen for reasons of its own
        loss = d.loss(shift, later) + handicap
        best = loss.argmin(axis=1)
        gain = loss[:, 0] - loss[np.arange(len(loss)), best]
        changes = gain > MATTERS * d.score[0]
        best = np.where(changes, best, 0)
        rows = np.arange(len(loss))
        return Worth(
            changes=float(changes.mean()),
            saved=float(np.where(changes, gain, 0.0).mean()),
            ask=float(d.ask(shift, later)[rows, best].mean()),
            width=float(d.width(shift, later)[rows, best].mean()),
            spread=float(later[0]),
        )

    def gains(self, open_: IntArray, now: Worth) -> Gains:
        """What each of the runs `open_` gains, for the chooser."""
        n = len(self.decision.amount)

        def of_each(spread: FloatArray, noise: float) -> FloatArray:
            out = []
            for run in open_:
                gain = spread[:n, run] / np.sqrt(spread[run, run] + noise**2)
                out.append(self.worth(spread[:n, :n] - np.outer(gain, gain)).total(now))
            return np.asarray(out)

        return of_each


@dataclass(frozen=True, slots=True)
class Chosen:
    """The runs to make, in order, and the worth of the decision now, after each alone, and after them all."""

    picks: tuple[int, ...]
    now: Worth
    after: Worth
    alone: tuple[Worth, ...]  # of every run


def choose_probes(value: Value, price: FloatArray, noise: float, count: int = MOST_RUNS) -> Chosen:
    """The set that is worth most beyond its price: one after another by what they gain for their price, or beyond it.

    `price`: of each run, (m,), in the decision's amounts.
    """
    n, now = len(value.decision.amount), value.now()
    runs = n + np.arange(len(price))
    gains = value.gains(runs, now)
    alone = tuple(value.worth(after(value.spread, [int(run)], noise)[:n, :n]) for run in runs)
    ways = [choose(value.spread, runs, noise, gains, count, price, a_price=way) for way in (True, False)]

    def net(picks: Sequence[Pick]) -> float:
        return picks[-1].gained - float(sum(price[pick.index] for pick in picks)) if picks else 0.0

    chosen = tuple(pick.index for pick in max(ways, key=net))
    left = after(value.spread, [n + i for i in chosen], noise)
    then = value.worth(left[:n, :n])
    if then.changes < MATTERS and now.ask - then.ask < MATTERS * now.ask:
        chosen, then = (), now
    return Chosen(chosen, now, then, alone)


def after(spread: FloatArray, runs: Sequence[int], noise: float) -> FloatArray:
    """The covariance once these runs are measured."""
    left = spread.copy()
    for run in runs:
        measured(left, run, noise)
    return left


def scaled(spread: FloatArray, plans: FloatArray, own: float) -> FloatArray:
    """The covariance with the plans' spreads as stated, (n,), less what is each run's own; runs' by the first's.

    The fit's own model says how runs hang together; how wide that is was set by sites left out (`intervals`).
    """
    n = len(plans)
    fitted = deviations(np.diagonal(spread))
    wanted = np.sqrt(np.maximum(plans**2 - own**2, 1e-8))
    ratio = np.full(len(spread), wanted[0] / max(fitted[0], 1e-9))
    ratio[:n] = wanted / np.maximum(fitted[:n], 1e-9)
    return np.asarray(spread * np.outer(ratio, ratio))


def _draws(n: int) -> FloatArray:
    """Standard normal draws, (DRAWS, n), alike for every run that is looked at; each is there with its opposite."""
    half = np.random.default_rng(26).standard_normal((DRAWS // 2, n))
    return np.concatenate([half, -half])


def _root(covariance: FloatArray) -> FloatArray:
    """The symmetric matrix whose square is this one, of which there is one alone; what rounding put below 0 as 0."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T)
