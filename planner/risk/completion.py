"""When will it be done, and with what probability: step-time uncertainty and failures in one distribution.

Two kinds of chance that must not be averaged together: the step time is wrong by one factor for the whole run (one
draw, it does not average out), and failures strike many times (many draws, they do average out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.risk.checkpoint import segment_moments

_NODES = 48  # points that stand for the distribution of the delay
_FEW = 12.0  # expected failures below which they are counted one by one
_STEPS = 80  # at most, to find a quantile
_ROOT_TWO_PI = float(np.sqrt(2 * np.pi))


@dataclass(frozen=True, slots=True)
class Hazard:
    """What interrupts a run and what each interruption costs; arrays of one shape (n,), seconds."""

    rate_per_s: FloatArray  # interruptions of the whole job
    recover_s: FloatArray  # from the interruption until training goes on from the last checkpoint, with a node at hand
    wait_share: FloatArray  # share of the interruptions that first wait for a node (spot), exponentially distributed
    wait_s: FloatArray  # mean of that wait
    checkpoint_s: FloatArray  # training stands still for this long at each checkpoint
    interval_s: FloatArray  # work between checkpoints; inf: none are written

    @property
    def restart_s(self) -> FloatArray:
        """Mean time from an interruption until training goes on."""
        return self.recover_s + self.wait_share * self.wait_s

    @property
    def restart_var_s2(self) -> FloatArray:
        """Variance of that time: a share of the interruptions wait an exponential time more."""
        return self.wait_share * 2.0 * self.wait_s**2 - (self.wait_share * self.wait_s) ** 2

    def take(self, index: IntArray | BoolArray) -> Hazard:
        """The entries that `index` selects."""
        return Hazard(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def join(parts: Sequence[Hazard]) -> Hazard:
        """Those of one part after those of another."""
        return Hazard(*(np.concatenate([np.zeros(0), *(getattr(p, f.name) for p in parts)]) for f in fields(Hazard)))


@dataclass(frozen=True, slots=True)
class Completion:
    """The distribution of a run's wall-clock time, for n runs at once.

    T = X (A + E[D]) + (D - E[D]). X is the factor on step time, a two-piece log-normal with median 1; A the undisturbed
    time with its checkpoints; D the delay by failures, with the exact mean and variance of the renewal process and a
    shape that counts few failures one by one and takes many as a gamma variable.
    """

    undisturbed_s: FloatArray  # A: work and checkpoints at the median step time
    delay_mean_s: FloatArray
    delay_s: FloatArray  # (n, nodes) equally likely values of D, ascending
    log_low: FloatArray  # standard deviation of log X below its median
    log_high: FloatArray  # and above
    failures: FloatArray  # expected number of interruptions
    checkpoints: FloatArray  # expected number of checkpoints

    def take(self, index: IntArray | BoolArray) -> Completion:
        """The runs that `index` selects."""
        return Completion(*(getattr(self, f.name)[index] for f in fields(self)))

    @property
    def mean_s(self) -> FloatArray:
        """Expected wall-clock seconds, (n,)."""
        from scipy.special import ndtr

        low, high = self.log_low, self.log_high
        factor = np.exp(low**2 / 2) * ndtr(-low) + np.exp(high**2 / 2) * ndtr(high)
        return np.asarray(factor * (self.undisturbed_s + self.delay_mean_s))

    def probability(self, time_s: FloatArray | float) -> FloatArray:
        """P(T <= time_s), (n,); `time_s` in seconds, broadcastable to (n,)."""
        budget = np.broadcast_to(np.asarray(time_s, float), self.undisturbed_s.shape)
        return _chance(self, budget)

    def quantile(self, p: float) -> FloatArray:
        """The time that is met with probability p (0 < p < 1), seconds, (n,)."""
        return _quantile(self, p)


def completion(work_s: FloatArray, log_low: FloatArray, log_high: FloatArray, hazard: Hazard) -> Completion:
    """The distribution of the wall-clock time of runs that need `work_s` seconds of undisturbed training at the median.

    Parameters
    ----------
    work_s : float array (n,)
        Iterations times the median step time, evaluation included.
    log_low, log_high : float arrays (n,)
        Standard deviation of the logarithm of the step-time factor below and above its median.
    hazard : Hazard
        Arrays of the same shape.

    Returns
    -------
    Completion. Without failures and with zero spread every quantile is `work_s`, to the last digit.
    """
    work, low, high = np.broadcast_arrays(np.asarray(work_s, float), log_low, log_high)
    finite = np.isfinite(hazard.interval_s) & (hazard.interval_s < work)
    # A run shorter than one interval is one segment and writes no checkpoint on its way.
    segments = np.where(finite, work / np.where(finite, hazard.interval_s, 1.0), 1.0)
    length = np.where(finite, hazard.interval_s + hazard.checkpoint_s, work)
    undisturbed = np.where(finite, segments * length, work)
    mean, variance = segment_moments(hazard.rate_per_s, length, hazard.restart_s)
    delay_mean = segments * mean
    failures = hazard.rate_per_s * (undisturbed + delay_mean)
    delay_var = segments * variance + failures * hazard.restart_var_s2
    calm = np.exp(-hazard.rate_per_s * undisturbed)
    nodes = _delay_nodes(delay_mean, delay_var, calm, length, hazard)
    checkpoints = np.where(finite, segments, 0.0)
    return Completion(undisturbed, delay_mean, nodes, low, high, failures, checkpoints)


def _delay_nodes(
    mean: FloatArray, variance: FloatArray, calm: FloatArray, length: FloatArray, hazard: Hazard
) -> FloatArray:
    """Equally likely values of the delay, (n, nodes), with the given mean and (nearly) variance.

    Few failures: their number k is Poisson and the delay given k nearly normal, k restarts and k parts of a segment.
    Many: a gamma variable (Wilson and Hilferty 1931). Either is stretched to the exact moments of the renewal process.
    """
    from scipy.special import ndtri

    level = (np.arange(_NODES) + 0.5) / _NODES
    shape = np.where(variance > 0, mean**2 / np.where(variance > 0, variance, 1.0), np.inf)
    root = np.where(np.isfinite(shape), 1.0 / np.sqrt(np.where(np.isfinite(shape), shape, 1.0)), 0.0)[:, None]
    cube = 1.0 - root**2 / 9.0 + ndtri(level)[None, :] * root / 3.0
    values = mean[:, None] * np.maximum(cube, 0.0) ** 3
    expected = -np.log(np.maximum(calm, 1e-300))
    few = np.flatnonzero((expected > 0) & (expected < _FEW))
    if few.size:
        values[few] = _few_failures(expected[few], length[few], hazard.restart_s[few], hazard.restart_var_s2[few])
    found = values.mean(axis=1)
    calm_nodes = values <= 0.0
    scale = np.where(found > 0, mean / np.where(found > 0, found, 1.0), 1.0)
    return np.sort(np.where(calm_nodes, 0.0, values * scale[:, None]), axis=1)


def _few_failures(
    expected: FloatArray, length_s: FloatArray, restart_s: FloatArray, restart_var_s2: FloatArray
) -> FloatArray:
    """Delay at each level, (n, nodes), when a Poisson number of failures each cost a restart and part of a segment."""
    from scipy.special import ndtri, pdtr

    level = ((np.arange(_NODES) + 0.5) / _NODES)[None, :]
    counts = np.arange(int(_FEW + 7 * np.sqrt(_FEW)))
    reached = pdtr(counts[None, :], expected[:, None])  # P(at most k failures), (n, counts)
    below = np.concatenate([np.zeros((len(expected), 1)), reached[:, :-1]], axis=1)
    k = np.minimum((reached[:, :, None] < level[:, None, :]).sum(axis=1), len(counts) - 1)
    rows = np.arange(len(expected))[:, None]
    inside = (level - below[rows, k]) / np.maximum(reached[rows, k] - below[rows, k], 1e-300)
    each = restart_var_s2 + length_s**2 / 12.0
    single = restart_s[:, None] + length_s[:, None] * inside  # one failure: the part lost is uniform
    several = k * (restart_s + length_s / 2.0)[:, None] + ndtri(np.clip(inside, 1e-9, 1 - 1e-9)) * np.sqrt(
        k * each[:, None]
    )
    return np.asarray(np.where(k == 0, 0.0, np.where(k == 1, single, np.maximum(several, k * restart_s[:, None]))))


def _chance(runs: Completion, time_s: FloatArray) -> FloatArray:
    """P(T <= time_s): the spread of the step time is integrated exactly, the delay by its nodes."""
    return _chance_and_density(runs, time_s)[0]


def _chance_and_density(runs: Completion, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(T <= time_s) and its derivative (0 where the step time is certain), (n,) each."""
    from scipy.special import ndtr

    whole = (runs.undisturbed_s + runs.delay_mean_s)[:, None]
    ratio = (time_s[:, None] - (runs.delay_s - runs.delay_mean_s[:, None])) / whole
    log = np.log(np.maximum(ratio, 1e-300))
    sigma = np.where(log < 0, runs.log_low[:, None], runs.log_high[:, None])
    uncertain = sigma > 0
    z = log / np.where(uncertain, sigma, 1.0)
    chance = np.where(uncertain, ndtr(z), ratio >= 1.0)
    density = np.where(
        uncertain, np.exp(-0.5 * z * z) / (_ROOT_TWO_PI * np.where(uncertain, sigma, 1.0) * ratio * whole), 0.0
    )
    return chance.mean(axis=1), np.where(ratio > 0, density, 0.0).mean(axis=1)


def _quantile(runs: Completion, p: float) -> FloatArray:
    """Newton's steps inside a bracket that bisection shrinks; each run by itself, whatever others stand beside it."""
    from scipy.special import ndtri

    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile needs a probability between 0 and 1, not {p}")
    z = float(ndtri(p))
    factor = np.exp(z * np.where(z < 0, runs.log_low, runs.log_high))
    whole = runs.undisturbed_s + runs.delay_mean_s
    quiet = runs.delay_s[:, -1] <= 0.0  # no delay: the factor alone decides, exactly
    answer = factor * whole - np.where(quiet, runs.delay_mean_s, 0.0)
    # Between the least and the largest delay the quantile of the sum is bracketed by the sum of the extremes.
    low = factor * whole + (runs.delay_s[:, 0] - runs.delay_mean_s)
    high = factor * whole + (runs.delay_s[:, -1] - runs.delay_mean_s)
    open_ = np.flatnonzero(~quiet)
    guess = answer.copy()
    for _ in range(_STEPS):
        if not open_.size:
            break
        chance, density = _chance_and_density(runs.take(open_), guess[open_])
        short = chance < p
        low[open_] = np.where(short, guess[open_], low[open_])
        high[open_] = np.where(short, high[open_], guess[open_])
        with np.errstate(divide="ignore", invalid="ignore"):
            step = guess[open_] - (chance - p) / density
        inside = (step > low[open_]) & (step < high[open_])
        step = np.where(inside, step, 0.5 * (low[open_] + high[open_]))
        done = (np.abs(step - guess[open_]) <= 1e-13 * step) | (high[open_] - low[open_] <= 1e-13 * high[open_])
        guess[open_] = step
        open_ = open_[~done]
    return np.where(quiet, answer, guess)
