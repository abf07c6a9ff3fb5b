"""Which runs to measure next: those after which the predictions of all candidates are surest.

Near their fitted values, predictions are linear in the logarithms that the fit finds. With these, their priors and the
residual field, all runs together are one Gaussian; how sure a run would make the others does not depend on what it
will show, so no measured value is read, and a few runs can be chosen before the first of them is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.performance.calibration import Calibration
from planner.performance.fitting import STEP, batch_of
from planner.performance.rates import design
from planner.performance.residual import Levels, Place, covariance
from planner.performance.rows import Run
from planner.performance.stacks import context_of, place_of
from planner.reading import wrong_at
from planner.units import PlannerError
from planner.words import say

MOST = 6_000  # runs, known and to choose from: their covariance is held, 8 bytes a pair
LEAST = 0.05  # of what those before it gained, that a run with a price must add
BLOCK = 256  # runs worked on at once, so that intermediate arrays stay small


@dataclass(frozen=True, slots=True)
class NextRun:
    """A run to measure."""

    index: int  # among the candidates
    left: float  # of the candidates' mean spread today, what remains once this run and those before it are measured


def next_runs(
    candidates: Sequence[Run], known: Sequence[Run], calibration: Calibration, count: int
) -> tuple[NextRun, ...]:
    """The `count` candidates to measure, in that order; at most all of them.

    Each is the one after which the standard deviations of ln(step time), summed over all candidates, are least: the
    sequential form of a Bayesian design that is A-optimal but for the root, which keeps the few worst from deciding
    alone. Of equals the first is taken. Throughputs of the candidates are not looked at, nor are those of the known
    runs: what these taught is in the calibration, about whose values predictions are linearised.

    Source: Chaloner & Verdinelli 1995, Bayesian Experimental Design: A Review, Statistical Science 10 (3), section 2
    (the criterion); Cohn, Ghahramani & Jordan 1996, Active Learning with Statistical Models, JAIR 4 (one at a time).

    Raises
    ------
    PlannerError
        If there are more than `MOST` runs, or of one's GPU no rate is known.
    """
    if len(candidates) + len(known) > MOST:
        raise PlannerError(say("next_runs.too_many", open=len(candidates), known=len(known), most=MOST))
    for run in (*candidates, *known):
        if not run.setting.accelerator.peak_dense_tflops:
            raise wrong_at(run.id, say("predict.no_rate", gpu=run.setting.accelerator.id))
    spread = posterior(candidates, known, calibration)
    first = float(deviations(np.diagonal(spread)).sum())

    def narrowed(spread: FloatArray, noise: float) -> FloatArray:
        """Of the sum of all runs' standard deviations, the share that the measurement of each run alone takes off."""
        today = np.diagonal(spread)
        left = [
            deviations(today - spread[rows] ** 2 / (today[rows] + noise**2)[:, None]).sum(axis=1)
            for rows in _blocks(spread)
        ]
        return np.asarray(1.0 - np.concatenate(left) / max(first, 1e-300))

    picks = choose(spread, np.arange(len(candidates)), calibration.levels.noise, narrowed, count)
    return tuple(NextRun(pick.index, 1.0 - pick.gained) for pick in picks)


@dataclass(frozen=True, slots=True)
class Pick:
    """A run that is chosen: which, and what it and those before it gain together."""

    index: int  # among those to choose from
    gained: float


#: What each run to choose from gains, (n,), once measured beside those already in the covariance (all runs; noise).
Gains = Callable[[FloatArray, float], FloatArray]


def choose(
    spread: FloatArray,
    open_: IntArray,
    noise: float,
    gains: Gains,
    count: int,
    price: FloatArray | None = None,
    *,
    a_price: bool = False,
) -> list[Pick]:
    """Runs one after another, each the one that gains most beside those before it: the one chooser.

    Parameters
    ----------
    spread : covariance of ln(step time) of all runs, (m, m); it is conditioned on each that is chosen
    open_ : which of them may be measured, (n,)
    gains : all that is gained with each of them, those that were chosen before counted in
    count : at most so many
    price : (n,), in the unit of the gains, which is taken off them; None: all are free and alike. None is taken that
        adds less than it costs, or less than `LEAST` of what those before it gained
    a_price : the one that gains most for its price, not the most beyond it
    """
    spread, free = spread.copy(), np.ones(len(open_), dtype=bool)
    chosen: list[Pick] = []
    while free.any() and len(chosen) < count:
        before = chosen[-1].gained if chosen else 0.0
        gained = gains(spread, noise)
        if price is None:
            rank = np.where(free, gained, -np.inf)
        else:
            more = gained - before
            worth = free & (more > price) & (more > LEAST * before)
            rank = np.where(worth, more / np.maximum(price, 1e-12) if a_price else more - price, -np.inf)
            if not worth.any():
                break
        best = int(np.argmax(np.round(rank, 9)))  # equals differ in the last digits
        chosen.append(Pick(best, float(gained[best])))
        free[best] = False
        measured(spread, int(open_[best]), noise)
    return chosen


def posterior(candidates: Sequence[Run], known: Sequence[Run], calibration: Calibration) -> FloatArray:
    """Covariance of the candidates' ln(step time), (n, n), given that the known runs are measured."""
    n = len(known)
    joint = _prior([*known, *candidates], calibration)
    lower = np.linalg.cholesky(joint[:n, :n] + calibration.levels.noise**2 * np.eye(n))
    explained = np.linalg.solve(lower, joint[:n, n:])
    joint[n:, n:] -= explained.T @ explained
    return joint[n:, n:]


def _prior(runs: Sequence[Run], calibration: Calibration) -> FloatArray:
    """Covariance of these runs' ln(step time), (n, n), with nothing measured: of the parameters and of the field."""
    parts = [_Part.of(runs[at : at + BLOCK], calibration) for at in range(0, len(runs), BLOCK)]
    joint = np.empty((len(runs), len(runs)))
    for i, a in enumerate(parts):
        for j, b in enumerate(parts[: i + 1]):
            rows, columns = (slice(k * BLOCK, k * BLOCK + len(part.places)) for k, part in ((i, a), (j, b)))
            joint[rows, columns] = a.with_part(b)
            joint[columns, rows] = joint[rows, columns].T
    return joint


@dataclass(frozen=True, slots=True)
class _Part:
    """Some of the runs: what each parameter, moved by its prior spread, does to ln(step time), and their places."""

    names: tuple[str, ...]  # of the parameters, sorted
    slopes: FloatArray  # (runs, names)
    places: tuple[Place, ...]
    levels: Levels

    @classmethod
    def of(cls, runs: Sequence[Run], calibration: Calibration) -> _Part:
        plan = design(calibration.rules, [context_of(run.setting) for run in runs])
        values = np.asarray(
            [calibration.values.get(name, mean) for name, mean in zip(plan.names, plan.mean, strict=True)]
        )
        seconds = np.log(batch_of(runs, calibration).predict(plan.moved(values, STEP)))
        slopes = plan.chain((seconds[1:] - seconds[0]) / STEP) * plan.sigma
        return cls(
            plan.names, slopes, tuple(place_of(run.setting, run.gpus, run.id) for run in runs), calibration.levels
        )

    def with_part(self, other: _Part) -> FloatArray:
        """Covariance with the other runs, (runs, others): through the parameters that both have, and the field."""
        _, mine, theirs = np.intersect1d(self.names, other.names, assume_unique=True, return_indices=True)
        shared = self.slopes[:, mine] @ other.slopes[:, theirs].T
        return np.asarray(shared + covariance(self.places, other.places, self.levels))


def measured(spread: FloatArray, run: int, noise: float) -> None:
    """Condition `spread`, in place, on the measurement of one run."""
    gain = spread[run] / np.sqrt(spread[run, run] + noise**2)
    for rows in _blocks(spread):
        spread[rows] -= np.outer(gain[rows], gain)


def _blocks(matrix: FloatArray) -> list[slice]:
    return [slice(at, at + BLOCK) for at in range(0, len(matrix), BLOCK)]


def deviations(variances: FloatArray) -> FloatArray:
    """Roots; what rounding has put below zero is zero."""
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)))
