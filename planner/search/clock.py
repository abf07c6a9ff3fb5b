"""From the seconds that a run would train undisturbed, as predicted, to the time it takes with a given probability.

Per cell the time rises with those seconds (tests check it), so the fastest layout of a cell stays its best at every
quantile; `slope` gives the straight line below the time by which cells are ruled out unseen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.risk.completion import Completion, Hazard, completion

DECILE = 1.2815515655446004  # standard deviations between the median and the 90th percentile


@dataclass(frozen=True)
class Clock:
    """Spread and hazards of every cell, (cells,) each."""

    median: FloatArray  # factor from predicted to median step time
    log_low: FloatArray
    log_high: FloatArray
    hazard: Hazard
    least_s: FloatArray  # seconds that no run of the cell undercuts

    def completion(self, seconds: FloatArray, cells: IntArray) -> Completion:
        """When runs of `seconds` end on these cells."""
        work = seconds * self.median[cells]
        return completion(work, self.log_low[cells], self.log_high[cells], self.hazard.take(cells))

    def time_s(self, p: float, seconds: FloatArray, cells: IntArray) -> FloatArray:
        """The time that runs of `seconds` stay below with probability p, (n,); inf where they are not known."""
        time = np.full(len(cells), np.inf)
        known = np.flatnonzero(np.isfinite(seconds))
        if known.size:
            time[known] = self.completion(seconds[known], cells[known]).quantile(p)
        return time

    def slope(self, p: float) -> FloatArray:
        """Factor on undisturbed seconds that the time at probability p is never below, (cells,).

        T = X W + C + D with D >= 0 is at least X W + C: the work, and a checkpoint after every whole interval of it. Of
        runs of at least k intervals, k / (k + 1) of the work or more is whole intervals.
        """
        from scipy.special import ndtri

        z = float(ndtri(p))
        factor = np.exp(z * (self.log_low if z < 0 else self.log_high))
        h = self.hazard
        saved = np.isfinite(h.interval_s)
        interval = np.where(saved, h.interval_s, 1.0)
        least = np.minimum(self.least_s * self.median * (1.0 - 1e-12), 1e300)
        whole = np.where(saved & (least > h.interval_s), np.floor(least / interval), 0.0)
        pauses = whole / (whole + 1.0) * np.where(saved, h.checkpoint_s / interval, 0.0)
        return np.asarray(self.median * (factor + pauses))


def clock(quantile: tuple[FloatArray, FloatArray, FloatArray], hazard: Hazard, least_s: FloatArray) -> Clock:
    """A clock from the 10th, 50th and 90th percentile of the factor on step time, each (cells,)."""
    low, median, high = quantile
    return Clock(median, np.log(median / low) / DECILE, np.log(high / median) / DECILE, hazard, least_s)
