"""How often the market takes spot machines back is not known, only guessed at: one draw a run, as closed form.

The rate is log-normal: its median and the range that holds four fifths are what is published. What else decides a run
does not depend on it, so its delay is the mixture of the delays at rates that stand for slices of that distribution.
The checkpoints are set before the rate is known, for its median.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.plan import Overhead
from planner.risk.completion import NO_OVERHEAD, Completion, Hazard, completion

# Slices of the distribution, narrower towards high rates: those make runs late.
_EDGES = np.array([0.0, 0.2, 0.4, 0.6, 0.75, 0.86, 0.94, 0.98, 1.0])
_WEIGHT = np.diff(_EDGES)
_LEVELS = (_EDGES[1:] + _EDGES[:-1]) / 2.0
GIVEN_UP = 20.0  # times its work: a run that goes on for longer under some rate is not waited for any more


@dataclass(frozen=True, slots=True)
class Market:
    """How far apart the rates may be at which the market takes nodes back; (n,) each."""

    log_spread: FloatArray  # standard deviation of the rate's logarithm; 0: the rate is known, or there is no market
    replacement_s: FloatArray  # what the interruptions of other causes wait for another node

    def take(self, index: IntArray) -> Market:
        """The entries that `index` selects."""
        return Market(self.log_spread[index], self.replacement_s[index])

    def at(self, z: float, hazard: Hazard) -> Hazard:
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
    at = np.flatnonzero((market.log_spread > 0) & (hazard.wait_share * hazard.rate_per_s > 0))
    if not at.size:
        return runs
    from scipy.special import ndtri

    work, low, high = (
        np.broadcast_to(np.asarray(each, float), runs.calm.shape)[at] for each in (work_s, log_low, log_high)
    )
    some, spread = hazard.take(at), market.take(at)
    parts = [completion(work, low, high, spread.at(float(z), some), overhead) for z in ndtri(_LEVELS)]
    mixed = _mixed(parts, runs.take(at))
    changed = {}
    for name, values in mixed.items():
        changed[name] = getattr(runs, name).copy()
        changed[name][at] = values
    return replace(runs, **changed)


def _mixed(parts: list[Completion], middle: Completion) -> dict[str, FloatArray]:
    """Chance of no delay and values of the delay of the mixture; the values keep their shares of probability."""
    calm = np.stack([part.calm for part in parts])
    longest = (GIVEN_UP - 1.0) * middle.undisturbed_s[:, None]
    delay = np.concatenate([np.minimum(part.delay_s, longest) for part in parts], axis=1)
    nodes = middle.delay_s.shape[1]
    weight = np.repeat((_WEIGHT[:, None] * (1.0 - calm)).T / nodes, nodes, axis=1)
    order = np.argsort(delay, axis=1, kind="stable")
    delay, weight = (np.take_along_axis(each, order, axis=1) for each in (delay, weight))
    return {"calm": _WEIGHT @ calm, "delay_s": _means(delay, weight, np.linspace(0.0, 1.0, nodes + 1))}


def _means(values: FloatArray, weight: FloatArray, edges: FloatArray) -> FloatArray:
    """The mean of each slice between `edges` of distributions, (n, slices); values ascending, (n, m)."""
    none = np.zeros((len(values), 1))
    total = np.cumsum(weight, axis=1)
    level = np.concatenate([none, total / np.where(total[:, -1:] > 0, total[:, -1:], 1.0)], axis=1)
    below = np.concatenate([none, np.cumsum(values * np.diff(level, axis=1), axis=1)], axis=1)
    reached = np.array([np.interp(edges, *row) for row in zip(level, below, strict=True)])
    return np.asarray(np.maximum.accumulate(np.diff(reached, axis=1) / np.diff(edges), axis=1))
