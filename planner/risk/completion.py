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
from planner.risk.delays import delay_levels, invertible

# Values that stand for the distribution of the delay: shares of it, narrower towards its long end.
_EDGES = np.concatenate([np.linspace(0.0, 0.9, 46), np.linspace(0.9, 0.99, 13)[1:], np.linspace(0.99, 1.0, 5)[1:]])
_WEIGHT = np.diff(_EDGES)
_FINER = 4  # levels a value
_LEVELS = (_EDGES[:-1, None] + _WEIGHT[:, None] * (np.arange(_FINER) + 0.5) / _FINER).ravel()
_TOGETHER = 64  # runs whose delays are looked at in one array
_STEPS = 80  # at most, to find a quantile
_AWAY = 1.3  # standard deviations of the step time's factor from its median at which delays are looked at anew
_APART = 0.02  # at least, of its logarithm
_LONG = 0.1  # of the run: deviations of the delay beyond which it is found anew there
_RESTLESS = 20.0  # expected failures beyond which nothing failing is out of the question
_SURE = 40.0  # standard deviations that nothing lies beyond
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

    T = X W + C + D(X). X is the factor on step time, a two-piece log-normal with median 1; W the work at the median
    step time; C the checkpoints, which it does not lengthen; D the delay by failures, exact at X = 1
    (`planner.risk.delays`). A slower run meets more failures and loses more by each: from X = 1 to either side the
    chance that nothing fails falls by a power of X, and the delay where something fails rises in a line, its mean and
    deviation being exact at one point of each side.
    """

    undisturbed_s: FloatArray  # W + C: work and checkpoints at the median step time
    work_s: FloatArray  # W
    delay_mean_s: FloatArray  # at X = 1
    calm: FloatArray  # P(D = 0) at X = 1: nothing fails
    tilt_low: FloatArray  # that chance falls by e^(-tilt z), z standard deviations of log X from the median, below it
    tilt_high: FloatArray  # and above
    delay_s: (
        FloatArray  # (n, nodes) values of D where something fails, at X = 1, ascending; their shares are `delay_shares`
    )
    rise_low: FloatArray  # (n, nodes) by how much each rises with X, seconds, below the median
    rise_high: FloatArray  # and above
    log_low: FloatArray  # standard deviation of log X below its median
    log_high: FloatArray  # and above
    failures: FloatArray  # expected number of interruptions
    checkpoints: FloatArray  # expected number of checkpoints

    def take(self, index: IntArray | BoolArray) -> Completion:
        """The runs that `index` selects."""
        return Completion(*(getattr(self, f.name)[index] for f in fields(self)))

    @property
    def delay_shares(self) -> FloatArray:
        """What share of the chance that something fails each value of the delay stands for, (nodes,)."""
        return _WEIGHT

    def probability(self, time_s: FloatArray | float) -> FloatArray:
        """P(T <= time_s), (n,); `time_s` in seconds, broadcastable to (n,)."""
        budget = np.broadcast_to(np.asarray(time_s, float), self.undisturbed_s.shape)
        return _chance(self, budget)

    def lengths(self, factors: int) -> tuple[FloatArray, FloatArray]:
        """Values of T, (n, delays x factors), seconds, and their weights: each delay at so many step-time factors."""
        from scipy.special import ndtri

        z = np.broadcast_to(ndtri((np.arange(factors) + 0.5) / factors), (len(self.calm), factors))
        factor = np.exp(z * np.where(z < 0, self.log_low[:, None], self.log_high[:, None]))
        middle, low, high = (each[:, :, None] for each in _lines(self))
        time = middle + (factor - 1.0)[:, None, :] * np.where(z[:, None, :] < 0, low, high)
        calm = np.minimum(_calm_at(self, z), 1.0)[:, None, :]
        weight = (1.0 - calm) * _WEIGHT[None, :, None]
        weight = np.concatenate([calm, weight], axis=1) / factors
        return time.reshape(len(z), -1), weight.reshape(len(z), -1)

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
    saves = np.isfinite(hazard.interval_s) & (hazard.interval_s < work)
    interval = np.where(saves, hazard.interval_s, 1.0)
    # Whole segments, each with its checkpoint, and the rest; a run shorter than an interval is all rest.
    segments = np.where(saves, np.floor(work / interval), 0.0)
    length = np.where(saves, interval + hazard.checkpoint_s, 0.0)
    rest = np.where(saves, np.maximum(work - segments * interval, 0.0), work)
    undisturbed = np.where(saves, segments * length + rest, work)
    cut = _Cut(segments, np.where(saves, interval, 0.0), np.where(saves, hazard.checkpoint_s, 0.0), rest)
    mean, _ = cut.moments(hazard)
    nodes = _delay_nodes(cut, hazard)
    fall_low, rise_low = _change(cut, hazard, nodes, np.exp(-np.maximum(_AWAY * low, _APART)))
    fall_high, rise_high = _change(cut, hazard, nodes, np.exp(np.maximum(_AWAY * high, _APART)))
    return Completion(
        undisturbed_s=undisturbed,
        work_s=work,
        delay_mean_s=mean,
        calm=np.exp(-hazard.rate_per_s * cut.whole_s),
        tilt_low=fall_low * low,
        tilt_high=fall_high * high,
        delay_s=nodes,
        rise_low=np.minimum(rise_low, nodes),  # so that no factor makes a delay less than none
        rise_high=rise_high,
        log_low=low,
        log_high=high,
        failures=hazard.rate_per_s * (undisturbed + mean),
        checkpoints=segments,
    )


@dataclass(frozen=True, slots=True)
class _Cut:
    """How a run is cut: whole segments of one length, each with its checkpoint, and the rest without; (n,) each."""

    segments: FloatArray
    interval_s: FloatArray
    pause_s: FloatArray
    rest_s: FloatArray

    def take(self, index: IntArray) -> _Cut:
        return _Cut(*(getattr(self, f.name)[index] for f in fields(self)))

    def slower(self, factor: FloatArray) -> _Cut:
        """The same run with steps so much longer."""
        return _Cut(self.segments, factor * self.interval_s, self.pause_s, factor * self.rest_s)

    @property
    def length_s(self) -> FloatArray:
        """Seconds of a whole segment."""
        return self.interval_s + self.pause_s

    @property
    def whole_s(self) -> FloatArray:
        """The run undisturbed."""
        return self.segments * self.length_s + self.rest_s

    def moments(self, hazard: Hazard) -> tuple[FloatArray, FloatArray]:
        """Mean and variance of the delay, (n,) each."""
        length = np.stack([self.length_s, self.rest_s])
        repair = (hazard.recover_s, hazard.wait_share, hazard.wait_s)
        mean, variance = segment_moments(hazard.rate_per_s, length, *repair)
        count = np.stack([self.segments, np.ones_like(self.rest_s)])
        mean, variance = (np.where(length > 0, count * each, 0.0).sum(axis=0) for each in (mean, variance))
        return mean, variance

    def delayed(self, hazard: Hazard) -> tuple[FloatArray, FloatArray]:
        """Mean and deviation of the delay where something fails, (n,) each; 0 where nothing does."""
        mean, variance = self.moments(hazard)
        fails = -np.expm1(-hazard.rate_per_s * self.whole_s)
        safe = np.where(fails > 0, fails, 1.0)
        return mean / safe, np.sqrt(np.maximum((variance + mean**2) / safe - (mean / safe) ** 2, 0.0))


def _delay_nodes(cut: _Cut, hazard: Hazard) -> FloatArray:
    """Values of the delay where something fails, (n, nodes), of the exact mean; 0 where nothing does.

    Where a run hardly ever ends, its delay is a gamma variable of the exact moments.
    """
    mean, deviation = cut.delayed(hazard)
    values = np.zeros((len(mean), len(_LEVELS)))
    known = (mean > 0) & invertible(hazard, cut.length_s, cut.rest_s)
    at = np.flatnonzero(known)
    for some in (at[begin : begin + _TOGETHER] for begin in range(0, len(at), _TOGETHER)):
        part = (cut.segments[some], cut.length_s[some], cut.rest_s[some])
        values[some] = delay_levels(part, hazard.take(some), (mean[some], deviation[some]), _LEVELS)
    endless = np.flatnonzero((mean > 0) & ~known)
    values[endless] = _gamma(_LEVELS[None, :], mean[endless, None], deviation[endless, None] ** 2)
    values = values.reshape(len(mean), len(_WEIGHT), _FINER).mean(axis=2)
    found = _expected(values)
    return np.asarray(values * np.where(found > 0, mean / np.where(found > 0, found, 1.0), 1.0)[:, None])


def _expected(values: FloatArray) -> FloatArray:
    """Their mean where something fails, (n,): of each run by itself, whatever others stand beside it."""
    return np.asarray((values * _WEIGHT).sum(axis=1))


def _change(cut: _Cut, hazard: Hazard, nodes: FloatArray, factor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """By what power of the factor on step time nothing fails, (n,), and how the delays rise with it, (n, nodes).

    Both are lines, from a factor of 1 to the one given: of the logarithm of that chance over that of the factor, and of
    each value, moved so that mean and deviation are right. Delays that are long beside the work are found anew.
    """
    other = cut.slower(factor)
    fall = hazard.rate_per_s * (other.whole_s - cut.whole_s) / np.log(factor)
    fall = np.where(hazard.rate_per_s * cut.whole_s < _RESTLESS, fall, 0.0)  # of next to nothing
    (mean, deviation), (middle, width) = cut.delayed(hazard), other.delayed(hazard)
    wider = np.where(deviation > 0, width / np.where(deviation > 0, deviation, 1.0), 1.0)
    moved = middle[:, None] + (nodes - mean[:, None]) * wider[:, None]
    long = np.flatnonzero(deviation > _LONG * cut.whole_s)
    moved[long] = _delay_nodes(other.take(long), hazard.take(long))
    return fall, np.maximum((moved - nodes) / (factor - 1.0)[:, None], 0.0)


def _gamma(level: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Quantiles of a gamma variable of these moments; of none where the mean is 0. Source: Wilson and Hilferty 1931."""
    from scipy.special import ndtri

    root = np.sqrt(np.maximum(variance, 0.0)) / np.where(mean > 0, mean, 1.0)
    return np.asarray(mean * np.maximum(1.0 - root**2 / 9.0 + ndtri(level) * root / 3.0, 0.0) ** 3)


def _chance(runs: Completion, time_s: FloatArray) -> FloatArray:
    """P(T <= time_s): the spread of the step time is integrated exactly, the delay by its nodes."""
    return _chance_and_density(runs, time_s)[0]


def _chance_and_density(runs: Completion, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(T <= time_s) and its derivative (0 where the step time is certain), (n,) each."""
    middle, low, high = _lines(runs)
    left = time_s[:, None] - middle
    rise = np.where(left < 0, low, high)
    factor = np.maximum(1.0 + left / rise, 1e-300)
    sigma = np.where(left < 0, runs.log_low[:, None], runs.log_high[:, None])
    uncertain = sigma > 0
    safe = np.where(uncertain, sigma, 1.0)
    z = np.where(uncertain, np.log(factor) / safe, np.where(left >= 0, _SURE, -_SURE)).clip(-_SURE, _SURE)
    every, calm = _shares(runs, z)
    chance = calm[:, 0] + _expected((every - calm)[:, 1:])
    with np.errstate(under="ignore"):
        density = np.where(uncertain, np.exp(-0.5 * z * z) / (_ROOT_TWO_PI * safe * factor * rise), 0.0)
        share = _calm_at(runs, z)
    some = density[:, 0] * share[:, 0] + _expected((density * (1.0 - share))[:, 1:])
    return np.minimum(chance, every[:, 0]), some  # nothing makes a run shorter than its work


def _shares(runs: Completion, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(X <= x), and P(X <= x and nothing fails), x being z standard deviations from the median; of the shape of z."""
    from scipy.special import ndtr

    below, above = runs.tilt_low[:, None], runs.tilt_high[:, None]
    tilt = np.where(z < 0, below, above)
    every, moved = ndtr(z), ndtr(z + tilt)
    lost = np.exp(below**2 / 2.0) * ndtr(below) - np.exp(above**2 / 2.0) * ndtr(above)
    calm = np.exp(tilt**2 / 2.0) * moved + np.where(z < 0, 0.0, lost)
    return every, runs.calm[:, None] * calm


def _calm_at(runs: Completion, z: FloatArray) -> FloatArray:
    """P(nothing fails) of runs whose step time is z standard deviations from the median, of the shape of z."""
    tilt = np.where(z < 0, runs.tilt_low[:, None], runs.tilt_high[:, None])
    return np.asarray(runs.calm[:, None] * np.exp(np.minimum(-tilt * z, 300.0)))


def _lines(runs: Completion) -> tuple[FloatArray, FloatArray, FloatArray]:
    """T at X = 1 for each value of the delay, none first, and how it rises with X below and above; (n, 1 + nodes)."""
    none = np.zeros((len(runs.calm), 1))
    delay, low, high = (np.concatenate([none, d], axis=1) for d in (runs.delay_s, runs.rise_low, runs.rise_high))
    work = runs.work_s[:, None]
    return runs.undisturbed_s[:, None] + delay, work + low, work + high


def _quantile(runs: Completion, p: float) -> FloatArray:
    """Newton's steps inside a bracket that bisection shrinks; each run by itself, whatever others stand beside it."""
    from scipy.special import ndtri

    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile needs a probability between 0 and 1, not {p}")
    z = float(ndtri(p))
    factor = np.exp(z * np.where(z < 0, runs.log_low, runs.log_high))
    quiet = (runs.calm >= 1.0) | (runs.delay_s[:, -1] <= 0.0)  # no delay: the factor alone decides, exactly
    middle, below, above = _lines(runs)
    every = middle + (factor - 1.0)[:, None] * (below if z < 0 else above)
    # The quantile lies between those of the least and of the largest delay.
    low, high = every[:, 0].copy(), every.max(axis=1)
    guess = np.where(quiet, low, _expected(every[:, 1:]))
    open_ = np.flatnonzero(~quiet)
    for _ in range(_STEPS):
        if not open_.size:
            break
        chance, density = _chance_and_density(runs.take(open_), guess[open_])
        short = chance < p
        low[open_] = np.where(short, guess[open_], low[open_])
        high[open_] = np.where(short, high[open_], guess[open_])
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            step = guess[open_] - (chance - p) / density
        inside = (step > low[open_]) & (step < high[open_])
        step = np.where(inside, step, 0.5 * (low[open_] + high[open_]))
        done = (np.abs(step - guess[open_]) <= 1e-13 * step) | (high[open_] - low[open_] <= 1e-13 * high[open_])
        guess[open_] = step
        open_ = open_[~done]
    return guess
