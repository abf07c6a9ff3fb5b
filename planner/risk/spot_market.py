"""How often the market takes spot machines back is not known, only guessed at: one draw a run, as closed form.

The rate is log-normal: its median and the range that holds four fifths are what is published. What else decides a run
does not depend on it, so its delay is the mixture of the delays at rates that stand for slices of that distribution.
At the median rate the delay is known exactly; at the others its mean and deviation are, and so is the chance that
nothing fails: they move and widen the distribution at the median rate. The checkpoints are set before the rate is
known, for its median.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import NormalDist

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.results.plan import Overhead
from planner.risk.checkpoint_segments import RESTLESS, SHARES, Cut, delay_nodes, expected, with_none
from planner.risk.completion import NO_OVERHEAD, Completion, completion, looked_at
from planner.risk.hazard import Hazard

# Slices of the distribution, cut at so many standard deviations, narrower towards high rates: those make runs late.
_CUTS = (-1.6, -1.1, -0.7, -0.4, -0.15, *(0.1 + 0.2 * k for k in range(12)))
_LEVEL_EDGES = (0.0, *(NormalDist().cdf(z) for z in _CUTS), 1.0)
_WEIGHT = np.diff(_LEVEL_EDGES)
_MIDDLES = np.array([NormalDist().inv_cdf((a + b) / 2.0) for a, b in pairwise(_LEVEL_EDGES)])
_ENDS = np.concatenate([[0.0], np.cumsum(SHARES)])
_NORMAL = np.array([NormalDist().inv_cdf((a + b) / 2.0) for a, b in pairwise(_ENDS)])  # deviations of a normal's nodes
_MIXED = ("p_none", "delay_s", "fall_low", "fall_high", "power_low", "power_high")
_TOGETHER = 128  # runs that are mixed in one array
_CALMER = -1.2  # standard deviations from the median rate where delays of few failures are exact as well
_SHORT = 0.005  # of the run: deviations of a delay below which what it looks like does not matter
_SELDOM = 0.1  # failures below which all look like one
_WIDEST = 2.5  # deviation of a delay beside its mean, of which a gamma variable still has the shape
_FAR = 1e3  # times the longest delay that counts: no matter how much longer
GIVEN_UP = 20.0  # times its work: a run that goes on for longer under some rate is not waited for any more


@dataclass(frozen=True, slots=True)
class Market:
    """How far apart the rates may be at which the market takes nodes back; (n,) each."""

    log_spread: FloatArray  # standard deviation of the rate's logarithm; 0: the rate is known, or there is no market
    replacement_s: FloatArray  # what the interruptions of other causes wait for another node

    def take(self, index: IntArray) -> Market:
        """The entries that `index` selects."""
        return Market(self.log_spread[index], self.replacement_s[index])

    def at(self, z: FloatArray | float, hazard: Hazard) -> Hazard:
        """The hazard where the market takes nodes z standard deviations more often than in the middle."""
        taken = hazard.rate_per_s * hazard.wait_share
        others = hazard.rate_per_s - taken
        more = taken * np.exp(z * self.log_spread)
        share = more / (others + more)
        once = hazard.recover_s - (1.0 - hazard.wait_share) * self.replacement_s
        return replace(
            hazard, rate_per_s=others + more, wait_share=share, recover_s=once + (1.0 - share) * self.replacement_s
        )


def market_completion(
    work_s: FloatArray,
    log_low: FloatArray,
    log_high: FloatArray,
    hazard: Hazard,
    market: Market,
    overhead: Overhead = NO_OVERHEAD,
) -> Completion:
    """`completion`, the market's rate drawn once a run; expected numbers are those at its median."""
    runs = completion(work_s, log_low, log_high, hazard, overhead)
    at = np.flatnonzero((market.log_spread > 0) & (hazard.wait_share * hazard.rate_per_s > 0) & (runs.p_none < 1.0))
    if not at.size:
        return runs
    cut = Cut.of(np.broadcast_to(np.asarray(work_s, float), runs.p_none.shape), hazard)
    changed = {name: getattr(runs, name).copy() for name in _MIXED}
    for some in (at[begin : begin + _TOGETHER] for begin in range(0, len(at), _TOGETHER)):
        for name, values in _mixed(runs.take(some), cut.take(some), hazard.take(some), market.take(some)).items():
            changed[name][some] = values
    return replace(runs, **changed)


def _mixed(runs: Completion, cut: Cut, hazard: Hazard, market: Market) -> dict[str, FloatArray]:
    """What the mixture changes of runs whose rate is the median, each of the shape it has there."""
    longest = (GIVEN_UP - 1.0) * runs.undisturbed_s
    p_none, delay = _mixture(cut, hazard, market, runs.delay_s, longest)
    found = {"p_none": p_none, "delay_s": delay}
    for side, factor in zip(("low", "high"), looked_at(runs.log_low, runs.log_high), strict=True):
        other, log = cut.slower(factor), np.log(factor)
        moved = runs.at_median_s * factor[:, None] ** getattr(runs, f"power_{side}") - other.whole_s[:, None]
        rarer, shifted = _mixture(other, hazard, market, np.maximum(moved[:, 1:], 0.0), longest * factor)
        shifted = np.maximum(shifted, delay) if side == "high" else np.minimum(shifted, delay)
        before, after = with_none(delay) + cut.whole_s[:, None], with_none(shifted) + other.whole_s[:, None]
        found[f"power_{side}"] = np.log(after / before) / log[:, None]
        seen = np.minimum(p_none, rarer) > np.exp(-RESTLESS)
        fall = np.log(np.where(seen, p_none, 1.0) / np.where(seen, rarer, 1.0)) / log
        found[f"fall_{side}"] = fall
    return found


def _mixture(
    cut: Cut, hazard: Hazard, market: Market, middle: FloatArray, longest_s: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Chance that nothing fails, (n,), and values of the delay where something does, (n, nodes), as `middle` has them.

    `middle`: those at the median rate. Of no delay more than `longest_s`, (n,), is counted.
    """
    runs, slices = len(middle), len(_MIDDLES)
    each = np.repeat(np.arange(runs), slices)
    rates, cuts = market.take(each).at(np.tile(_MIDDLES, runs), hazard.take(each)), cut.take(each)
    p_none = np.exp(-rates.rate_per_s * cuts.whole_s).reshape(runs, slices)
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = (np.nan_to_num(part.reshape(runs, slices), nan=np.inf) for part in cuts.delayed(rates))
    most = longest_s[:, None]
    mean, deviation = np.minimum(mean, _FAR * most), np.minimum(deviation, _FAR * most)
    # Delays at other rates are shaped as a gamma variable, and as much of what exact ones differ from that by as their
    # rate is alike: exact ones are known at the median rate and at `_CALMER`, between these they are between both.
    (off, varies), (off_calmer, varies_calmer) = (
        _less_gamma(each) for each in (middle, _calmer(cut, hazard, market, middle))
    )
    part = np.clip(_MIDDLES / _CALMER, 0.0, 1.0)
    exact = off[:, None, :] + part[:, None] * (off_calmer - off)[:, None, :]
    known = varies[:, None] + part * (varies_calmer - varies)[:, None]
    here = deviation / np.where(mean > 0, mean, 1.0)
    alike = np.minimum(known, here) / np.maximum(np.maximum(known, here), 1e-12)
    delay = mean[:, :, None] + deviation[:, :, None] * (_gamma_shape(here) + exact * alike[:, :, None])
    least = np.minimum(np.minimum(rates.recover_s.reshape(runs, slices), mean), most)  # one repair
    delay = np.clip(delay, least[:, :, None], most[:, :, None]).reshape(runs, -1)
    weight = ((_WEIGHT * (1.0 - p_none))[:, :, None] * SHARES).reshape(runs, -1)
    order = np.argsort(delay, axis=1, kind="stable")
    delay, weight = (np.take_along_axis(values, order, axis=1) for values in (delay, weight))
    return (p_none * _WEIGHT).sum(axis=1), _means(delay, weight, _ENDS)


def _calmer(cut: Cut, hazard: Hazard, market: Market, middle: FloatArray) -> FloatArray:
    """Values of the delay at a lower rate, `_CALMER`, (n, nodes): exact where few failures make delays that matter.

    There a rate changes what a delay looks like: one failure more or less. Elsewhere those at the median rate, and
    towards it more and more of them.
    """
    failures, deviation = hazard.rate_per_s * cut.whole_s, cut.delayed(hazard)[1]
    ramps = (deviation / (_SHORT * cut.whole_s) - 1.0, failures / _SELDOM - 1.0, 2.0 - 2.0 * failures / RESTLESS)
    part = np.prod(np.clip(ramps, 0.0, 1.0), axis=0)
    some = np.flatnonzero(part > 0)
    values = middle.copy()
    exact = delay_nodes(cut.take(some), market.take(some).at(_CALMER, hazard.take(some)))
    values[some] += part[some, None] * (exact - values[some])
    return values


def _less_gamma(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How delays, (n, nodes), as deviations from their mean differ from a gamma variable's; deviation over mean."""
    centre = expected(values)
    width = np.sqrt(expected((values - centre[:, None]) ** 2))
    varies = width / np.where(centre > 0, centre, 1.0)
    return (values - centre[:, None]) / np.where(width > 0, width, 1.0)[:, None] - _gamma_shape(varies), varies


def _gamma_shape(varies: FloatArray) -> FloatArray:
    """Values of a gamma variable that deviates by so much of its mean, of mean 0 and deviation 1; nodes come last.

    Source: Wilson and Hilferty 1931.
    """
    each = np.clip(varies, 1e-3, _WIDEST)[..., None]
    values = np.maximum(1.0 - each**2 / 9.0 + _NORMAL * each / 3.0, 0.0) ** 3
    values = values - (values * SHARES).sum(axis=-1)[..., None]
    return np.asarray(values / np.sqrt((values**2 * SHARES).sum(axis=-1))[..., None])


def _means(values: FloatArray, weight: FloatArray, edges: FloatArray) -> FloatArray:
    """The mean of each slice between `edges` of distributions, (n, slices); values ascending, (n, m)."""
    none = np.zeros((len(values), 1))
    total = np.cumsum(weight, axis=1)
    level = np.concatenate([none, total / np.where(total[:, -1:] > 0, total[:, -1:], 1.0)], axis=1)
    below = np.concatenate([none, np.cumsum(values * np.diff(level, axis=1), axis=1)], axis=1)
    reached = np.array([np.interp(edges, *row) for row in zip(level, below, strict=True)])
    return np.asarray(np.maximum.accumulate(np.diff(reached, axis=1) / np.diff(edges), axis=1))
