"""How a run is cut by its checkpoints, the delay by failures that follows, and how both change with the step time."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.risk.checkpoint import segment_moments
from planner.risk.delays import delay_levels, invertible
from planner.risk.hazard import Hazard

# Values that stand for the distribution of the delay: shares of it, narrower towards its long end.
_EDGES = np.concatenate([np.linspace(0.0, 0.9, 46), np.linspace(0.9, 0.99, 13)[1:], np.linspace(0.99, 1.0, 5)[1:]])
SHARES = np.diff(_EDGES)
_FINER = 4  # levels a value
_LEVELS = (_EDGES[:-1, None] + SHARES[:, None] * (np.arange(_FINER) + 0.5) / _FINER).ravel()
_TOGETHER = 64  # runs whose delays are looked at in one array
_LONG = 0.1  # of the run: deviations of the delay beyond which it is found anew for other step times
RESTLESS = 12.0  # expected failures beyond which nothing failing is out of the question


@dataclass(frozen=True, slots=True)
class Cut:
    """How a run is cut: whole segments of one length, each with its checkpoint, and the rest without; (n,) each."""

    segments: FloatArray
    interval_s: FloatArray
    pause_s: FloatArray
    rest_s: FloatArray

    @staticmethod
    def of(work_s: FloatArray, hazard: Hazard) -> Cut:
        """Whole segments, each with its checkpoint, and the rest; a run shorter than an interval is all rest."""
        saves = np.isfinite(hazard.interval_s) & (hazard.interval_s < work_s)
        interval = np.where(saves, hazard.interval_s, 1.0)
        segments = np.where(saves, np.floor(work_s / interval), 0.0)
        rest = np.where(saves, np.maximum(work_s - segments * interval, 0.0), work_s)
        return Cut(segments, np.where(saves, interval, 0.0), np.where(saves, hazard.checkpoint_s, 0.0), rest)

    def take(self, index: IntArray) -> Cut:
        return Cut(*(getattr(self, f.name)[index] for f in fields(self)))

    def slower(self, factor: FloatArray) -> Cut:
        """The same run with steps so much longer."""
        return Cut(self.segments, factor * self.interval_s, self.pause_s, factor * self.rest_s)

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


def delay_nodes(cut: Cut, hazard: Hazard) -> FloatArray:
    """Values of the delay where something fails, (n, nodes), of the exact mean; 0 where nothing does.

    Where a run hardly ever ends, its delay is a gamma variable of the exact moments (Wilson and Hilferty 1931).
    """
    mean, deviation = cut.delayed(hazard)
    values = np.zeros((len(mean), len(_LEVELS)))
    known = (mean > 0) & invertible(hazard, cut.length_s, cut.rest_s)
    at = np.flatnonzero(known)
    for some in (at[begin : begin + _TOGETHER] for begin in range(0, len(at), _TOGETHER)):
        part = (cut.segments[some], cut.length_s[some], cut.rest_s[some])
        values[some] = delay_levels(part, hazard.take(some), (mean[some], deviation[some]), _LEVELS)
    endless = np.flatnonzero((mean > 0) & ~known)
    if endless.size:
        from scipy.special import ndtri

        middle = mean[endless, None]
        root = deviation[endless, None] / middle
        values[endless] = middle * np.maximum(1.0 - root**2 / 9.0 + ndtri(_LEVELS[None, :]) * root / 3.0, 0.0) ** 3
    values = values.reshape(len(mean), len(SHARES), _FINER).mean(axis=2)
    found = expected(values)
    return np.asarray(values * np.where(found > 0, mean / np.where(found > 0, found, 1.0), 1.0)[:, None])


def expected(values: FloatArray) -> FloatArray:
    """Their mean where something fails, (n,): of each run by itself, whatever others stand beside it."""
    return np.asarray((values * SHARES).sum(axis=1))


def change(cut: Cut, hazard: Hazard, nodes: FloatArray, factor: FloatArray) -> tuple[FloatArray, FloatArray]:
    """By what power of the factor on step time a run becomes rarer undisturbed, and longer with each delay.

    Returns
    -------
    Powers: that which the chance that nothing fails falls by, (n,), and those which the time rises by, (n, 1 + nodes),
    without a delay first. They are exact at the factor given, (n,), but for the delays: these are moved there so that
    their mean and deviation are right, and those that are long beside the work are found anew.
    """
    other, log = cut.slower(factor), np.log(factor)
    fall = hazard.rate_per_s * (other.whole_s - cut.whole_s) / log
    fall = np.where(hazard.rate_per_s * cut.whole_s < RESTLESS, fall, 0.0)  # of next to nothing
    (mean, deviation), (middle, width) = cut.delayed(hazard), other.delayed(hazard)
    wider = np.where(deviation > 0, width / np.where(deviation > 0, deviation, 1.0), 1.0)
    moved = middle[:, None] + (nodes - mean[:, None]) * wider[:, None]
    long = np.flatnonzero(deviation > _LONG * cut.whole_s)
    moved[long] = delay_nodes(other.take(long), hazard.take(long))
    # A slower step makes no delay shorter.
    moved = np.where(factor[:, None] > 1.0, np.maximum(moved, nodes), np.clip(moved, 0.0, nodes))
    before, after = with_none(nodes) + cut.whole_s[:, None], with_none(moved) + other.whole_s[:, None]
    return fall, np.log(after / before) / log[:, None]


def with_none(delay: FloatArray) -> FloatArray:
    """Delays, (n, nodes), after that of a run which nothing disturbs, (n, 1 + nodes)."""
    return np.concatenate([np.zeros((len(delay), 1)), delay], axis=1)
