"""When will it be done, and with what probability: step-time uncertainty and failures in one distribution.

Two kinds of chance that must not be averaged together: the step time is wrong by one factor for the whole run, and so
is what the run takes beside training and failures (one draw each, which does not average out); failures strike many
times (many draws, they do average out).
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.results.plan import Overhead
from planner.risk import factor
from planner.risk.checkpoint_segments import SHARES, Cut, change, delay_nodes, expected, with_none
from planner.risk.hazard import Hazard

_AWAY = 1.3  # standard deviations of the step time's factor from its median at which times are looked at anew
_APART = 0.02  # at least, of its logarithm
_CLOSE = 1e-11  # a last step so small, of the time: Newton's next one would be its square
_STEPS = 80  # at most, to find a quantile
NO_OVERHEAD = Overhead()


@dataclass(frozen=True, slots=True)
class Completion:
    """The distribution of a run's wall-clock time, for n runs at once.

    T = G (X W + C + D(X)). X is the factor on step time, a two-piece log-normal with median 1; W the work at the median
    step time; C the checkpoints, which it does not lengthen; D the delay by failures, exact at X = 1
    (`planner.risk.delays`); G the overhead, `least` times e to an exponential variable. A slower run meets more
    failures and loses more by each: from X = 1 to either side the chance that nothing fails falls by a power of X, and
    the time rises by one, for each delay its own, which is exact at one point of each side.
    """

    undisturbed_s: FloatArray  # W + C: work and checkpoints at the median step time
    delay_mean_s: FloatArray  # at X = 1
    p_none: FloatArray  # P(D = 0) at X = 1: nothing fails
    fall_low: FloatArray  # the power of X that it falls by, below the median
    fall_high: FloatArray  # and above
    delay_s: FloatArray  # (n, nodes) values of D where something fails, at X = 1, ascending, in shares as `cut.SHARES`
    power_low: FloatArray  # (n, 1 + nodes) the powers of X that the times rise by, no delay first, below the median
    power_high: FloatArray  # and above
    log_low: FloatArray  # standard deviation of log X below its median
    log_high: FloatArray  # and above
    failures: FloatArray  # expected number of interruptions
    checkpoints: FloatArray  # expected number of checkpoints
    least: FloatArray  # least value of G
    log_more: FloatArray  # mean of the logarithm of G beyond it

    def take(self, index: IntArray | BoolArray) -> Completion:
        """The runs that `index` selects."""
        return Completion(*(getattr(self, f.name)[index] for f in fields(self)))

    def without_overhead(self) -> Completion:
        """The same runs, were nothing paid for beside training, checkpoints and failures."""
        return replace(self, least=np.ones_like(self.least), log_more=np.zeros_like(self.log_more))

    @property
    def at_median_s(self) -> FloatArray:
        """Times at X = 1 and G = 1, (n, 1 + nodes): undisturbed, then with each delay."""
        return self.undisturbed_s[:, None] + with_none(self.delay_s)

    @property
    def spreads(self) -> tuple[FloatArray, FloatArray]:
        """Standard deviations of the logarithm of each of those times by X, below and above, (n, 1 + nodes)."""
        return self.power_low * self.log_low[:, None], self.power_high * self.log_high[:, None]

    @property
    def tilts(self) -> tuple[FloatArray, FloatArray]:
        """Nothing fails with chance p_none e^(-tilt z), z standard deviations of log X from the median; (n,) each."""
        return self.fall_low * self.log_low, self.fall_high * self.log_high

    def probability(self, time_s: FloatArray | float) -> FloatArray:
        """P(T <= time_s), (n,); `time_s` in seconds, broadcastable to (n,)."""
        budget = np.broadcast_to(np.asarray(time_s, float), self.undisturbed_s.shape)
        return _chance_and_density(self, budget)[0]

    def lengths(self, factors: int) -> tuple[FloatArray, FloatArray]:
        """Values of T, (n, delays x factors), seconds, and their weights: each delay at so many values of X G.

        What X contributes to a value of X G is known on average; by that the times of each delay differ from those of
        the mean one, and nothing fails with more chance in a fast run.
        """
        p_none = np.minimum(self.p_none, 1.0)[:, None]
        share = np.concatenate([p_none, (1.0 - p_none) * SHARES], axis=1)
        spreads = self.spreads
        low, high = ((share * each).sum(axis=1)[:, None] for each in spreads)
        more, level = self.log_more[:, None], (np.arange(factors) + 0.5) / factors
        log = np.log(factor.quantile(level, low, high, more))
        below, above = factor.slopes(log, low, high, more)
        wider = [
            each / np.where(mean > 0, mean, 1.0) - (mean > 0) for each, mean in zip(spreads, (low, high), strict=True)
        ]
        logs = log[:, None, :] + wider[0][:, :, None] * below[:, None, :] + wider[1][:, :, None] * above[:, None, :]
        time = (self.least[:, None] * self.at_median_s)[:, :, None] * np.exp(logs)
        p_none = np.broadcast_to(p_none, log.shape).copy()
        some = np.flatnonzero(self.tilted)
        one = (log[some], low[some], high[some], more[some])
        _, density = factor.chance_and_density(*one)
        _, kept = factor.tilted(*one, (self.tilts[0][some, None], self.tilts[1][some, None]))
        p_none[some] = np.minimum(
            p_none[some] * np.where(density > 0, kept / np.where(density > 0, density, 1.0), 1.0), 1.0
        )
        p_none = p_none[:, None, :]
        weight = np.concatenate([p_none, (1.0 - p_none) * SHARES[None, :, None]], axis=1) / factors
        return time.reshape(len(log), -1), weight.reshape(len(log), -1)

    @property
    def tilted(self) -> BoolArray:
        """Where the step time changes whether anything fails, (n,)."""
        below, above = self.tilts
        return np.asarray((self.p_none > 0) & (self.p_none < 1) & ((below > 0) | (above > 0)))

    def quantile(self, p: float) -> FloatArray:
        """The time that is met with probability p (0 < p < 1), seconds, (n,).

        Newton's steps inside a bracket that bisection shrinks; each run by itself, whatever others stand beside it.
        """
        if not 0.0 < p < 1.0:
            raise ValueError(f"a quantile needs a probability between 0 and 1, not {p}")
        below, above = self.spreads
        once = self.least * factor.quantile(p, below[:, 0], above[:, 0], self.log_more)
        quiet = (self.p_none >= 1.0) | (self.delay_s[:, -1] <= 0.0)  # no delay: the factor alone decides, exactly
        # The quantile lies between that of the undisturbed run and that of the largest delay at the widest spread.
        low = once * self.undisturbed_s
        widest = self.least * factor.quantile(p, below.min(axis=1), above.max(axis=1), self.log_more)
        high = np.maximum(widest * (self.undisturbed_s + self.delay_s[:, -1]), low)
        guess = np.where(quiet, low, once * (self.undisturbed_s + self.delay_mean_s)).clip(low, high)
        # Where neither X nor G is uncertain the delay alone decides: the least of the times that is met with p.
        certain = (self.log_low <= 0) & (self.log_high <= 0) & (self.log_more <= 0)
        sure = self.take(certain & ~quiet)
        p_none = np.minimum(sure.p_none, 1.0)[:, None]
        reached = p_none + (1.0 - p_none) * with_none(np.cumsum(SHARES)[None, :])
        at = np.minimum((reached < p).sum(axis=1), reached.shape[1] - 1)
        guess[certain & ~quiet] = sure.least * sure.at_median_s[np.arange(len(at)), at]
        open_ = np.flatnonzero(~(quiet | certain))
        for _ in range(_STEPS):
            if not open_.size:
                break
            at = guess[open_]
            chance, density = _chance_and_density(self.take(open_), at)
            short = chance < p
            low[open_], high[open_] = np.where(short, at, low[open_]), np.where(short, high[open_], at)
            with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
                step = at - (chance - p) / density
            guess[open_], done = factor.guarded(at, step, (low[open_], high[open_]), _CLOSE * high[open_])
            open_ = open_[~done]
        return guess


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
    cut = Cut.of(work, hazard)
    mean, _ = cut.moments(hazard)
    nodes = delay_nodes(cut, hazard)
    (fall_low, power_low), (fall_high, power_high) = (
        change(cut, hazard, nodes, factor) for factor in looked_at(low, high)
    )
    return Completion(
        undisturbed_s=cut.whole_s,
        delay_mean_s=mean,
        p_none=np.exp(-hazard.rate_per_s * cut.whole_s),
        fall_low=fall_low,
        fall_high=fall_high,
        delay_s=nodes,
        power_low=power_low,
        power_high=power_high,
        log_low=low,
        log_high=high,
        failures=hazard.rate_per_s * (cut.whole_s + mean),
        checkpoints=cut.segments,
        least=np.full(work.shape, overhead.least),
        log_more=np.full(work.shape, overhead.log_more),
    )


def looked_at(log_low: FloatArray, log_high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The step-time factors below and above the median at which times are exact, (n,) each."""
    return np.exp(-np.maximum(_AWAY * log_low, _APART)), np.exp(np.maximum(_AWAY * log_high, _APART))


def undisturbed_spreads(longer: FloatArray, log_low: FloatArray, log_high: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Spreads of runs that checkpoints make `longer` times their work, as `Completion.spreads` has them, (n,) each."""
    low, high = (sign * np.maximum(_AWAY * each, _APART) for sign, each in ((-1.0, log_low), (1.0, log_high)))
    below, above = (np.log1p(np.expm1(at) / longer) / at for at in (low, high))
    return below * log_low, above * log_high


def _chance_and_density(runs: Completion, time_s: FloatArray) -> tuple[FloatArray, FloatArray]:
    """P(T <= time_s) and its derivative (0 where X G is certain), (n,) each: X, G exactly, delays by their nodes."""
    ratio = time_s[:, None] / (runs.least[:, None] * runs.at_median_s)
    log = np.log(np.maximum(ratio, 1e-300))
    low, high = runs.spreads
    more = runs.log_more[:, None]
    every, density = factor.chance_and_density(log, low, high, more)
    p_none, still = runs.p_none[:, None] * every, runs.p_none[:, None] * density  # of each, where nothing fails
    some = np.flatnonzero(runs.tilted)
    if some.size:
        tilts = (runs.tilts[0][some, None], runs.tilts[1][some, None])
        kept = factor.tilted(log[some], low[some], high[some], more[some], tilts)
        p_none[some], still[some] = (runs.p_none[some, None] * each for each in kept)
    chance = p_none[:, 0] + expected((every - p_none)[:, 1:])
    most = every[:, 0]  # nothing makes a run shorter than its work
    change = np.where(chance < most, still[:, 0] + expected((density - still)[:, 1:]), density[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(time_s > 0, change / time_s, 0.0)
    return np.minimum(chance, most), change
