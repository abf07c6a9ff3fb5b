"""Which runs to measure next: those after which the predictions of all candidates are surest.

Near their fitted values, predictions are linear in the logarithms that the fit finds. With these, their priors and the
residual field, all runs together are one Gaussian; how sure a run would make the others does not depend on what it
will show, so no measured value is read, and a few runs can be chosen before the first of them is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray
from planner.performance.calibration import Calibration
from planner.performance.fitting import STEP, batch_of
from planner.performance.rates import design
from planner.performance.residual import Levels, Place, covariance
from planner.performance.rows import Run
from planner.performance.stacks import context_of, place_of
from planner.units import PlannerError

MOST = 6_000  # runs, known and to choose from: their covariance is held, 8 bytes a pair
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
        raise PlannerError(
            f"{len(candidates):,} runs to choose from and {len(known):,} known ones are more than the {MOST:,} "
            "that can be weighed against each other; give fewer rows"
        )
    for run in (*candidates, *known):
        if not run.setting.accelerator.peak_dense_tflops:
            raise PlannerError(f"{run.id}: no matmul rate of {run.setting.accelerator.id} is known")
    noise = calibration.levels.noise
    spread = posterior(candidates, known, calibration)
    today = float(_deviations(np.diagonal(spread)).sum())
    open_rows = np.ones(len(candidates), dtype=bool)
    chosen: list[NextRun] = []
    while open_rows.any() and len(chosen) < count:
        left = np.where(open_rows, _left(spread, noise) / today, np.inf)
        best = int(np.argmin(np.round(left, 9)))  # equals differ in the last digits
        chosen.append(NextRun(best, float(left[best])))
        open_rows[best] = False
        _measured(spread, best, noise)
    return tuple(chosen)


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


def _left(spread: FloatArray, noise: float) -> FloatArray:
    """Sum of all runs' standard deviations, (n,), after the measurement of each run alone."""
    today = np.diagonal(spread)
    sums = [
        _deviations(today - spread[rows] ** 2 / (today[rows] + noise**2)[:, None]).sum(axis=1)
        for rows in _blocks(spread)
    ]
    return np.concatenate(sums)


def _measured(spread: FloatArray, run: int, noise: float) -> None:
    """Condition `spread`, in place, on the measurement of one run."""
    taught = spread[run] / np.sqrt(spread[run, run] + noise**2)
    for rows in _blocks(spread):
        spread[rows] -= np.outer(taught[rows], taught)


def _blocks(matrix: FloatArray) -> list[slice]:
    return [slice(at, at + BLOCK) for at in range(0, len(matrix), BLOCK)]


def _deviations(variances: FloatArray) -> FloatArray:
    """Roots; what rounding has put below zero is zero."""
    return np.asarray(np.sqrt(np.maximum(variances, 0.0)))
