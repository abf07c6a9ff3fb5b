"""When will it be done, and with what probability: step-time uncertainty and failures in one distribution.

Two kinds of chance that must not be averaged together: the step time is wrong by one factor for the whole run, and so
is what the run takes beside training and failures (one draw each, which does not average out); failures strike many
times (many draws, they do average out).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.plan import Overhead
from planner.risk import factor
from planner.risk.checkpoint import segment_moments, standstill_moments

_NODES = 48  # points that stand for the distribution of the delay
_FEW = 12.0  # expected failed attempts below which they are counted one by one
_FINER = 4  # levels a node, where they are counted
_MANY = 16  # segments of a run beside which its rest does not count
_COUNTS = 64  # of them at most, among a run's nodes
_STEPS = 80  # at most, to find a quantile
NO_OVERHEAD = Overhead()


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

    T = X G (A + D). X is the factor on step time, a two-piece log-normal with median 1; G the overhead, `least` times
    e to an exponential variable; A the undisturbed time with its checkpoints; D the delay by failures, with the exact
    mean and variance of the renewal process and a shape that counts few failures one by one and takes many as a gamma
    variable.
    """

    undisturbed_s: FloatArray  # A: work and checkpoints at the median step time
    delay_mean_s: FloatArray
    calm: FloatArray  # P(D = 0): nothing fails
    delay_s: FloatArray  # (n, nodes) equally likely values of D where something fails, ascending
    log_low: FloatArray  # standard deviation of log X below its median
    log_high: FloatArray  # and above
    failures: FloatArray  # expected number of interruptions
    checkpoints: FloatArray  # expected number of checkpoints
    least: FloatArray  # least value of G
    log_more: FloatArray  # mean of the logarithm of G beyond it

    def take(self, index: IntArray | BoolArray) -> Completion:
        """The runs that `index` selects."""
        return Completion(*(getattr(self, f.name)[index] for f in fields(self)))

    @property
    def mean_s(self) -> FloatArray:
        """Expected wall-clock seconds, (n,)."""
        once = self.least * factor.mean(self.log_low, self.log_high, self.log_more)
        return np.asarray(once * (self.undisturbed_s + self.delay_mean_s))

    def without_overhead(self) -> Completion:
        """The same runs, were nothing paid for beside training, checkpoints and failures."""
        return replace(self, least=np.ones_like(self.least), log_more=np.zeros_like(self.log_more))

    def once(self, p: FloatArray | float) -> FloatArray:
        """The p-quantile of X G, (n,); of p of shape (m,), (n, m)."""
        level = np.asarray(p, float)
        each = (self.least, self.log_low, self.log_high, self.log_more)
        least, *rest = (part[:, None] for part in each) if level.ndim else each
        return np.asarray(least * factor.quantile(level, *rest))

    def probability(self, time_s: FloatArray | float) -> FloatArray:
        """P(T <= time_s), (n,); `time_s` in seconds, broadcastable to (n,)."""
        budget = np.broadcast_to(np.asarray(time_s, float), self.undisturbed_s.shape)
        return _chance(self, budget)

    def lengths(self, factors: int) -> tuple[FloatArray, FloatArray]:
        """Values of T, (n, delays x factors), seconds, and their weights: each delay at so many values of X G."""
        each = self.once((np.arange(factors) + 0.5) / factors)
        delay, weight = _delays(self)
        whole = self.undisturbed_s[:, None] + delay
        time = (whole[:, :, None] * each[:, None, :]).reshape(len(each), -1)
        return np.asarray(time), np.repeat(weight / factors, factors, axis=1)

    def quantile(self, p: float) -> FloatArray:
        """The time that is met with probability p (0 < p < 1), seconds, (n,)."""
        return _quantile(self, p)


def completion(
    work_s: FloatArray, log_low: FloatArray, log_high: FloatArray, hazard: Hazard, overhead: Overhead = NO_OVERHEAD
) -> Completion:
    """The distribution of the wall-clock time of runs that need `work_s` seconds of undisturbed training at the median.

    Parameters
    ----------
    work_s : float array (n,)
        Iterations times the median step time, evaluation included.
    log_low, log_high : float arrays (n,)
        Standard deviation of the logarithm of the step-time factor below and above its median.
    hazard : Hazard
        Arrays of the same shape.
    overhead : Overhead
        Of every run.

    Returns
    -------
    Completion. Without failures and overhead and with zero spread every quantile is `work_s`, to the last digit.
    """
    work, low, high = np.broadcast_arrays(np.asarray(work_s, float), log_low, log_high)
    saves = np.isfinite(hazard.interval_s) & (hazard.interval_s < work)
    interval = np.where(saves, hazard.interval_s, 1.0)
    # Whole segments, each with its checkpoint, and the rest; a run shorter than an interval is all rest.
    segments = np.where(saves, np.floor(work / interval), 0.0)
    length = np.where(saves, interval + hazard.checkpoint_s, 0.0)
    rest = np.where(saves, np.maximum(work - segments * interval, 0.0), work)
    undisturbed = np.where(saves, segments * length + rest, work)
    repair = (hazard.rate_per_s, hazard.recover_s, hazard.wait_share, hazard.wait_s)
    mean, variance = _segments(repair, length)
    rest_mean, rest_var = _segments(repair, rest)
    delay_mean, delay_var = segments * mean + rest_mean, segments * variance + rest_var
    failures = hazard.rate_per_s * (undisturbed + delay_mean)
    pieces = _Pieces(segments, length, rest)
    calm, nodes = _delay_nodes(delay_mean, delay_var, pieces, hazard)
    least, more = (np.full(work.shape, each) for each in (overhead.least, overhead.log_more))
    return Completion(undisturbed, delay_mean, calm, nodes, low, high, failures, segments, least, more)


@dataclass(frozen=True, slots=True)
class _Pieces:
    """How a run is cut: whole segments of one length, and the rest without a checkpoint; (n,) each."""

    segments: FloatArray
    length_s: FloatArray
    rest_s: FloatArray

    def take(self, index: IntArray) -> _Pieces:
        return _Pieces(self.segments[index], self.length_s[index], self.rest_s[index])

    @property
    def whole_s(self) -> FloatArray:
        """The run undisturbed."""
        return self.segments * self.length_s + self.rest_s

    def failed_attempts(self, rate_per_s: FloatArray) -> FloatArray:
        """Mean number of attempts at a segment that fail."""
        return self._failed(rate_per_s)[0] + self._failed(rate_per_s)[1]

    def rest_share(self, rate_per_s: FloatArray) -> FloatArray:
        """Share of the failed attempts that are at the rest."""
        whole, rest = self._failed(rate_per_s)
        return rest / np.where(whole + rest > 0, whole + rest, 1.0)

    def _failed(self, rate_per_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        reach, rest = (np.minimum(rate_per_s * each, 300.0) for each in (self.length_s, self.rest_s))
        return self.segments * np.expm1(reach), np.expm1(rest)

    def attempts_reached(self, rate_per_s: FloatArray) -> FloatArray:
        """P(at most k attempts fail), (n, counts): each segment fails a geometric number of times."""
        fail, fail_rest = (-np.expm1(-rate_per_s * each) for each in (self.length_s, self.rest_s))
        whole = np.exp(-rate_per_s * self.length_s * self.segments)
        chance = np.zeros((len(rate_per_s), _COUNTS))
        before = 0.0 * whole
        for k in range(_COUNTS):
            if k:
                whole = whole * fail * (self.segments + k - 1) / k
            before = fail_rest * before + (1.0 - fail_rest) * whole
            chance[:, k] = before
        return np.asarray(np.cumsum(chance, axis=1))


def _segments(
    repair: tuple[FloatArray, FloatArray, FloatArray, FloatArray], length_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the delay in segments of these lengths, zero where there is none."""
    rate, recover, share, wait = repair
    mean, variance = segment_moments(rate, length_s, recover, share, wait)
    return np.where(length_s > 0, mean, 0.0), np.where(length_s > 0, variance, 0.0)


def _delay_nodes(
    mean: FloatArray, variance: FloatArray, pieces: _Pieces, hazard: Hazard
) -> tuple[FloatArray, FloatArray]:
    """P(no delay), (n,), and else equally likely values of it, (n, nodes): of the given mean and nearly the variance.

    Few failures: the number k of failed attempts is counted, each geometric in its segment, and the delay given k is
    that of one failure or nearly a gamma variable. Many: a gamma variable. Either is stretched to the
    exact mean of the renewal process.
    """
    level = ((np.arange(_NODES) + 0.5) / _NODES)[None, :]
    values = _gamma(level, mean[:, None], variance[:, None])
    expected = pieces.failed_attempts(hazard.rate_per_s)
    few = np.flatnonzero((expected > 0) & (expected < _FEW))
    if few.size:
        values[few] = _few_failures(pieces.take(few), hazard.take(few))
    calm = np.where(expected < _FEW, np.exp(-hazard.rate_per_s * pieces.whole_s), 0.0)
    found = values.mean(axis=1) * (1.0 - calm)
    scale = np.where(found > 0, mean / np.where(found > 0, found, 1.0), 1.0)
    return calm, np.sort(values * scale[:, None], axis=1)


def _few_failures(pieces: _Pieces, hazard: Hazard) -> FloatArray:
    """Equally likely values of the delay, (n, nodes), where a few attempts fail: each its part of a segment, a repair.

    Delays of k and of k + 1 failures overlap, so many finer levels are taken, sorted, and averaged into the nodes.
    """
    rate = hazard.rate_per_s
    reached = pieces.attempts_reached(rate)
    # Above the chance that nothing fails; of that little is left of the digits where failures are very rare.
    calm = reached[:, :1]
    level = calm + (1.0 - calm) * ((np.arange(_NODES * _FINER) + 0.5) / (_NODES * _FINER))[None, :]
    k = np.ones(level.shape, dtype=np.int64)
    for count in range(1, _COUNTS - 1):
        more = reached[:, count, None] < level
        if not more.any():
            break
        k += more
    below = np.concatenate([np.zeros((len(rate), 1)), reached[:, :-1]], axis=1)
    rows = np.arange(len(rate))[:, None]
    inside = np.clip((level - below[rows, k]) / np.maximum(reached[rows, k] - below[rows, k], 1e-300), 1e-9, 1 - 1e-9)
    # Each of several takes its restart for certain; what is lost and waited for beyond it adds up to a gamma variable.
    lost, lost_var = _lost(rate, pieces)
    still, still_square = standstill_moments(rate, hazard.recover_s, hazard.wait_share, hazard.wait_s)
    more_s, more_var = lost + still - hazard.recover_s, lost_var + np.maximum(still_square - still**2, 0.0)
    several = k * hazard.recover_s[:, None] + _gamma(inside, k * more_s[:, None], k * more_var[:, None])
    values = several
    row, column = np.nonzero(k == 1)
    values[row, column] = _one_failure(inside[row, column], pieces.take(row), hazard.take(row))
    return np.asarray(np.sort(values, axis=1).reshape(len(rate), _NODES, _FINER).mean(axis=2))


def _gamma(level: FloatArray, mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Quantiles of a gamma variable of these moments; of none where the mean is 0. Source: Wilson and Hilferty 1931."""
    from scipy.special import ndtri

    root = np.sqrt(np.maximum(variance, 0.0)) / np.where(mean > 0, mean, 1.0)
    return np.asarray(mean * np.maximum(1.0 - root**2 / 9.0 + ndtri(level) * root / 3.0, 0.0) ** 3)


def _lost(rate: FloatArray, pieces: _Pieces) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the work that a failed attempt loses: exponential, cut at its segment's length."""
    rest = pieces.rest_share(rate)
    mean, square = np.zeros_like(rate), np.zeros_like(rate)
    for share, length in ((1.0 - rest, pieces.length_s), (rest, pieces.rest_s)):
        x = np.minimum(rate * length, 300.0)
        small = x < 1e-3
        safe = np.where(small, 1.0, x)
        middle = np.where(small, 0.5 - x / 12.0, 1.0 / safe - 1.0 / np.expm1(safe))
        around = np.where(small, 1.0 / 12.0, 1.0 / safe**2 - np.exp(safe) / np.expm1(safe) ** 2)
        mean += share * middle * length
        square += share * (np.maximum(around, 0.0) + middle**2) * length**2
    return mean, np.maximum(square - mean**2, 0.0)


def _one_failure(level: FloatArray, pieces: _Pieces, hazard: Hazard) -> FloatArray:
    """The delay of exactly one failure at these levels, (n,): its lost work, its restart, its wait."""
    rate, longest = hazard.rate_per_s, np.maximum(pieces.length_s, pieces.rest_s)
    out = np.minimum(-np.log1p(level * np.expm1(-rate * longest)) / rate, longest)
    waiting = (hazard.wait_share > 0) & (hazard.wait_s > 0)
    mixed = np.flatnonzero(waiting | (pieces.segments > 0) & (pieces.segments < _MANY) & (pieces.rest_s > 0))
    if mixed.size:
        h, cut, wanted = hazard.take(mixed), pieces.take(mixed), level[mixed]
        wait = np.where(waiting[mixed], h.wait_s, 1.0)
        rest = cut.rest_share(h.rate_per_s)
        low, high = np.zeros(len(mixed)), longest[mixed] - np.where(waiting[mixed], wait * np.log1p(-wanted), 0.0)
        for _ in range(30):  # between no loss at all and the longest segment with the longest wait
            middle = 0.5 * (low + high)
            chance = (1.0 - rest) * _lost_or_waited(middle, h.rate_per_s, cut.length_s, h.wait_share, wait)
            chance += rest * _lost_or_waited(middle, h.rate_per_s, cut.rest_s, h.wait_share, wait)
            short = chance < wanted
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        out[mixed] = high
    return np.asarray(hazard.recover_s + out)


def _lost_or_waited(
    x: FloatArray, r: FloatArray, length: FloatArray, share: FloatArray, wait: FloatArray
) -> FloatArray:
    """P(lost work and, with probability `share`, an exponential wait take at most x); (n,) each."""
    size = np.where(length > 0, length, 1.0)  # of none nothing is asked
    end = np.minimum(x, size)
    gap = r - 1.0 / wait
    gap = np.where(np.abs(gap) * size < 1e-9, 1e-9 / size, gap)
    # The lost work t and a wait beyond x - t: the integral of r e^(-rt) e^(-(x - t)/wait) over t up to `end`.
    beyond = r * (np.exp(-x / wait) - np.exp(-r * end - (x - end) / wait)) / gap
    return np.asarray((-np.expm1(-r * end) - share * beyond) / -np.expm1(-r * size))


def _chance(runs: Completion, time_s: FloatArray) -> FloatArray:
    """P(T <= time_s): the spread of X G is integrated exactly, the delay by its nodes."""
    return _chance_and_density(runs, time_s)[0]


def _chance_and_density(runs: Completion, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(T <= time_s) and its derivative (0 where X G is certain), (n,) each."""
    delay, weight = _delays(runs)
    ratio = time_s[:, None] / (runs.least[:, None] * (runs.undisturbed_s[:, None] + delay))
    log = np.log(np.maximum(ratio, 1e-300))
    each = (runs.log_low[:, None], runs.log_high[:, None], runs.log_more[:, None])
    chance, density = factor.chance_and_density(log, *each)
    with np.errstate(divide="ignore", invalid="ignore"):
        density = np.where(ratio > 0, density / time_s[:, None], 0.0)
    return (chance * weight).sum(axis=1), (density * weight).sum(axis=1)


def _delays(runs: Completion) -> tuple[FloatArray, FloatArray]:
    """Values of D, (n, 1 + nodes), none first, and their weights."""
    none = np.zeros((len(runs.calm), 1))
    some = np.repeat(((1.0 - runs.calm) / _NODES)[:, None], _NODES, axis=1)
    return np.concatenate([none, runs.delay_s], axis=1), np.concatenate([runs.calm[:, None], some], axis=1)


def _quantile(runs: Completion, p: float) -> FloatArray:
    """Newton's steps inside a bracket that bisection shrinks; each run by itself, whatever others stand beside it."""
    if not 0.0 < p < 1.0:
        raise ValueError(f"a quantile needs a probability between 0 and 1, not {p}")
    once = runs.once(p)
    quiet = (runs.calm >= 1.0) | (runs.delay_s[:, -1] <= 0.0)  # no delay: the factor alone decides, exactly
    # The quantile lies between those of the least and of the largest delay.
    low = once * (runs.undisturbed_s + np.where(runs.calm > 0, 0.0, runs.delay_s[:, 0]))
    high = once * (runs.undisturbed_s + runs.delay_s[:, -1])
    guess = np.where(quiet, low, once * (runs.undisturbed_s + runs.delay_mean_s))
    open_ = np.flatnonzero(~quiet)
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
    return guess
