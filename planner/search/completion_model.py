"""From the seconds that a run would train undisturbed, as predicted, to the time it takes with a given probability.

Per cell the time rises with those seconds (tests check it), so the fastest layout of a cell stays its best at every
quantile; `slope` gives the straight line below the time by which cells are ruled out unseen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.results.plan import Overhead
from planner.risk.completion import NO_OVERHEAD, Completion, completion, undisturbed_spreads
from planner.risk.factor import quantile
from planner.risk.hazard import Hazard
from planner.risk.spot_market import Market, market_completion

DECILE = 1.2815515655446004  # standard deviations between the median and the 90th percentile
_KEPT = 3  # answers of runs that were asked for last
_ROOT_ERROR = 1e-10  # of a quantile that is a root: a bound stays below it


@dataclass(frozen=True)
class CompletionModel:
    """Spread and hazards of every cell, (cells,) each."""

    median: FloatArray  # factor from predicted to median step time
    log_low: FloatArray
    log_high: FloatArray
    hazard: Hazard
    least_s: FloatArray  # seconds that no run of the cell undercuts
    overhead: Overhead = NO_OVERHEAD
    market: Market | None = None  # None: every rate is known
    asked: dict[tuple[bytes, bytes], Completion] = field(default_factory=dict, compare=False, repr=False)  # last ones

    def completion(self, seconds: FloatArray, cells: IntArray) -> Completion:
        """When runs of `seconds` end on these cells.

        The last few are kept: the same runs are asked for at one probability after another.
        """
        key = (seconds.tobytes(), cells.tobytes())
        if key not in self.asked:
            if len(self.asked) >= _KEPT:
                del self.asked[next(iter(self.asked))]
            self.asked[key] = self._completion(seconds, cells)
        return self.asked[key]

    def held(self, seconds: FloatArray, cells: IntArray, log_low: FloatArray) -> Completion:
        """`completion` of runs whose lower spread is no more than `log_low`, (n,)."""
        return self._completion(seconds, cells, np.minimum(log_low, self.log_low[cells]))

    def _completion(self, seconds: FloatArray, cells: IntArray, log_low: FloatArray | None = None) -> Completion:
        work = seconds * self.median[cells]
        low = self.log_low[cells] if log_low is None else log_low
        runs = (work, low, self.log_high[cells], self.hazard.take(cells))
        if self.market is None:
            return completion(*runs, self.overhead)
        return market_completion(*runs, self.market.take(cells), self.overhead)

    def time_s(self, p: float, seconds: FloatArray, cells: IntArray) -> FloatArray:
        """The time that runs of `seconds` stay below with probability p, (n,); inf where they are not known."""
        time = np.full(len(cells), np.inf)
        known = np.flatnonzero(np.isfinite(seconds))
        if known.size:
            time[known] = self.completion(seconds[known], cells[known]).quantile(p)
        return time

    def own_s(self, seconds: FloatArray, cells: IntArray) -> FloatArray:
        """The median time of those runs, were nothing paid for beside training, checkpoints and failures, (n,)."""
        return self.completion(seconds, cells).without_overhead().quantile(0.5)

    def slope(self, p: float) -> FloatArray:
        """Factor on undisturbed seconds that the time at probability p is never below, (cells,).

        T is at least that of the same run without delays: the work, times G and X, and a checkpoint after every whole
        interval of it, which X does not lengthen. Of runs of at least k intervals, k / (k + 1) of the work or more is
        whole intervals; more checkpoints than that make it longer.
        """
        h = self.hazard
        saved = np.isfinite(h.interval_s)
        interval = np.where(saved, h.interval_s, 1.0)
        least = np.minimum(self.least_s * self.median * (1.0 - 1e-12), 1e300)
        whole = np.where(saved & (least > h.interval_s), np.floor(least / interval), 0.0)
        pauses = whole / (whole + 1.0) * np.where(saved, h.checkpoint_s / interval, 0.0)
        low, high = undisturbed_spreads(1.0 + pauses, self.log_low, self.log_high)
        more = np.full_like(low, self.overhead.log_more)
        once = self.overhead.least * quantile(p, low, high, more) * (1.0 - _ROOT_ERROR)
        return np.asarray(self.median * once * (1.0 + pauses))


def completion_model(
    deciles: tuple[FloatArray, FloatArray, FloatArray],
    hazard: Hazard,
    least_s: FloatArray,
    overhead: Overhead,
    market: Market | None = None,
) -> CompletionModel:
    """A clock from the 10th, 50th and 90th percentile of the factor on step time, each (cells,)."""
    low, median, high = deciles
    return CompletionModel(
        median, np.log(median / low) / DECILE, np.log(high / median) / DECILE, hazard, least_s, overhead, market
    )
