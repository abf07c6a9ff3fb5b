"""What a training log has said so far, in constant memory: progress, restarts, lost work, and how long steps took.

Records come in arrays, in the order of the log; memory does not grow with their number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.tracking.ramp import Course

WARMUP_RECORDS = 2  # of each start: kernels are tuned, caches are cold
_LEAST_S, _RATIO, _BINS = 1e-5, 1.0025, 11_000  # step times to 0.25 %: 10 us to ten million seconds
_RECENT = 4_096  # records kept as they are, for the present pace and for work that a restart loses
_BUCKETS = 240  # of the chart


@dataclass(frozen=True, slots=True)
class Records:
    """Lines of a training log that told an iteration, in order. All arrays have one shape (n,).

    iteration counts from 1; step_s is the mean seconds of one iteration since the record before; wall_s are seconds of
    any fixed origin, NaN where the log gives no time; restart marks the first record after a start or resumption.
    """

    iteration: IntArray
    step_s: FloatArray
    wall_s: FloatArray
    restart: BoolArray
    total: int | None = None  # iterations of the run, as the log says
    batch: int | None = None  # sequences an iteration, as the log says
    tflops: float | None = None  # TFLOP/s per GPU, as the log says
    samples: int | None = None  # sequences seen after the last record, as the log says

    def __len__(self) -> int:
        return len(self.iteration)


def _recent(dtype: type) -> NDArray[np.generic]:
    return np.zeros(_RECENT, dtype=dtype)


@dataclass
class TrackState:
    """The running totals. Times are seconds, `weight` of a record is the iterations it stands for.

    Where the batch ramps up (`course`), weights and steps of the histogram and of the recent records are those of the
    full batch.
    """

    course: Course | None = None
    first_iteration: int | None = None  # trained before the first record
    iteration: int = 0
    total: int | None = None
    batch: int | None = None
    tflops: float | None = None
    samples: int | None = None
    records: int = 0
    starts: int = 0
    lost_iterations: int = 0
    lost_s: float = 0.0
    logged_s: float = 0.0  # of all records, work that was lost included
    warmup_iterations: int = 0
    warmup_steps: float = 0.0  # the same in steps of the full batch
    warmup_s: float = 0.0
    first_wall_s: float = float("nan")
    last_wall_s: float = float("nan")
    down_s: float = 0.0  # between segments, where the log has times
    interval: int = 1  # iterations from record to record
    since_start: int = 0
    histogram: FloatArray = field(default_factory=lambda: np.zeros(_BINS))  # weight by step time, warm-up left out
    recent_iteration: IntArray = field(default_factory=lambda: np.zeros(_RECENT, dtype=np.int64))
    recent_step_s: FloatArray = field(default_factory=lambda: np.zeros(_RECENT))
    recent_clock_s: FloatArray = field(default_factory=lambda: np.zeros(_RECENT))  # logged_s after the record
    recent: int = 0  # entries in use; the newest is the last
    chart_time_s: FloatArray = field(default_factory=lambda: np.zeros(_BUCKETS))
    chart_weight: FloatArray = field(default_factory=lambda: np.zeros(_BUCKETS))
    chart_width: int = 1  # iterations a bucket

    def add(self, records: Records) -> None:
        """Take records in; those of one start must have increasing iterations."""
        self.total = records.total if records.total is not None else self.total
        self.batch = records.batch if records.batch is not None else self.batch
        self.tflops = records.tflops if records.tflops is not None else self.tflops
        self.samples = records.samples if len(records) else self.samples
        cuts = np.flatnonzero(records.restart)
        edges = [0, *cuts[cuts > 0].tolist(), len(records)]
        for begin, end in pairwise(edges):
            if begin < end:
                piece = slice(begin, end)
                start = bool(records.restart[begin]) or self.records == 0
                self._add_run(records.iteration[piece], records.step_s[piece], records.wall_s[piece], start)

    def _add_run(self, iteration: IntArray, step_s: FloatArray, wall_s: FloatArray, start: bool) -> None:
        """Records of one start, or some more of the present one."""
        if len(iteration) > 1:
            self.interval = max(1, int(np.median(np.diff(iteration[-64:]))))
        before = self.iteration
        if start:
            before = self._begin(int(iteration[0]), float(step_s[0]), float(wall_s[0]))
        each = np.diff(iteration, prepend=before).astype(np.float64)
        weight, seconds = each, each * step_s
        if self.course is not None:
            full = self.course.full_steps(np.concatenate([[before], iteration]))
            weight = np.diff(full)
            step_s = np.divide(seconds, weight, out=step_s.copy(), where=weight > 0)
        clock = self.logged_s + np.cumsum(seconds)
        warm = max(0, min(WARMUP_RECORDS - self.since_start, len(iteration)))
        self.warmup_iterations += int(each[:warm].sum())
        self.warmup_steps += float(weight[:warm].sum())
        self.warmup_s += float(seconds[:warm].sum())
        self.histogram += np.bincount(_bin(step_s[warm:]), weights=weight[warm:], minlength=_BINS)
        self.since_start += len(iteration)
        self.records += len(iteration)
        self.logged_s = float(clock[-1])
        self.iteration = int(iteration[-1])
        self._remember(iteration, step_s, clock)
        self._draw(iteration, each, seconds)
        known = wall_s[np.isfinite(wall_s)]
        if len(known):
            if not np.isfinite(self.first_wall_s):
                at = int(np.flatnonzero(np.isfinite(wall_s))[0])
                self.first_wall_s = float(known[0]) - float(clock[at])
            self.last_wall_s = float(known[-1])

    def _begin(self, first: int, step_s: float, wall_s: float) -> int:
        """Account for a start whose first record is iteration `first`; the iteration that it resumed from."""
        self.starts += 1
        self.since_start = 0
        resumed = max(0, first - self.interval)
        if self.first_iteration is None:
            self.first_iteration = resumed
            return resumed
        resumed = min(resumed, self.iteration)
        if np.isfinite(wall_s) and np.isfinite(self.last_wall_s):
            self.down_s += max(0.0, wall_s - self.last_wall_s - (first - resumed) * step_s)
        if resumed < self.iteration:
            self.lost_s += self._clock_since(resumed)
            self.lost_iterations += self.iteration - resumed
        return resumed

    def _clock_since(self, iteration: int) -> float:
        """Logged seconds spent since `iteration` was last reached; by the mean step where that is long ago."""
        known = self.recent_iteration[:_RECENT][_RECENT - self.recent :]
        at = int(np.searchsorted(known, iteration, side="right")) - 1
        if at >= 0 and known[at] <= iteration:
            clock = self.recent_clock_s[_RECENT - self.recent :]
            after = clock[min(at + 1, len(clock) - 1)] - clock[at]
            gap = known[min(at + 1, len(known) - 1)] - known[at]
            inside = after * (iteration - known[at]) / gap if gap else 0.0
            return float(self.logged_s - clock[at] - inside)
        trained = max(1, self.iteration + self.lost_iterations - (self.first_iteration or 0))
        return (self.iteration - iteration) * self.logged_s / trained

    def _remember(self, iteration: IntArray, step_s: FloatArray, clock: FloatArray) -> None:
        keep = min(len(iteration), _RECENT)
        first = int(iteration[0])
        held = self.recent_iteration[_RECENT - self.recent :]
        self.recent = int(np.searchsorted(held, first, side="left")) if self.recent else 0  # lost work is forgotten
        for ring, new, held_part in (
            (self.recent_iteration, iteration, held),
            (self.recent_step_s, step_s, self.recent_step_s[_RECENT - len(held) :]),
            (self.recent_clock_s, clock, self.recent_clock_s[_RECENT - len(held) :]),
        ):
            old = held_part[: self.recent].copy()
            joined = np.concatenate([old, new[-keep:]])[-_RECENT:]
            ring[_RECENT - len(joined) :] = joined
        self.recent = min(self.recent + keep, _RECENT)

    def _draw(self, iteration: IntArray, weight: FloatArray, seconds: FloatArray) -> None:
        """Add to the chart's buckets, which double in width when the run outgrows them."""
        if not self.chart_weight.any():
            self.chart_width = self.interval  # narrower buckets would be empty in turn
        while int(iteration.max()) >= _BUCKETS * self.chart_width:
            for series in (self.chart_time_s, self.chart_weight):
                series[: _BUCKETS // 2] = series.reshape(-1, 2).sum(axis=1)
                series[_BUCKETS // 2 :] = 0.0
            self.chart_width *= 2
        bucket = np.clip(iteration // self.chart_width, 0, _BUCKETS - 1)
        self.chart_time_s += np.bincount(bucket, weights=seconds, minlength=_BUCKETS)
        self.chart_weight += np.bincount(bucket, weights=weight, minlength=_BUCKETS)

    def full_steps(self, iteration: int) -> float:
        """What the first `iteration` iterations amount to in steps of the full batch."""
        return float(iteration if self.course is None else self.course.full_steps(iteration))

    @property
    def restarts(self) -> int:
        return max(0, self.starts - 1)

    @property
    def recent_steps(self) -> FloatArray:
        """Step times of the newest records, oldest first."""
        return self.recent_step_s[_RECENT - self.recent :]

    @property
    def chart(self) -> FloatArray:
        """Mean step time by bucket of iterations; NaN where nothing was logged."""
        with np.errstate(invalid="ignore", divide="ignore"):
            values: FloatArray = np.asarray(self.chart_time_s / self.chart_weight, dtype=np.float64)
        return values

    def steady_step_s(self) -> float | None:
        """The median step time, warm-up left out; to 0.25 %. None before there is one."""
        return self.step_quantile(0.5)

    def step_quantile(self, share: float) -> float | None:
        """The step time that `share` of the iterations did not exceed, warm-up left out."""
        total = float(self.histogram.sum())
        if total <= 0:
            return float(np.median(self.recent_steps)) if self.recent else None
        at = int(np.searchsorted(np.cumsum(self.histogram), share * total, side="left"))
        return float(bin_centres()[min(at, _BINS - 1)])

    def stalls(self, beyond: float = 1.2) -> tuple[float, float]:
        """Iterations slower than `beyond` x the steady step, and the seconds that they took more than it."""
        steady = self.steady_step_s()
        if steady is None:
            return 0.0, 0.0
        centres = bin_centres()
        slow = centres > beyond * steady
        return float(self.histogram[slow].sum()), float((self.histogram[slow] * (centres[slow] - steady)).sum())


def bin_centres() -> FloatArray:
    """Step times that the histogram's bins stand for, seconds."""
    return np.asarray(_LEAST_S * _RATIO ** (np.arange(_BINS) + 0.5), dtype=np.float64)


def _bin(step_s: FloatArray) -> IntArray:
    bins: IntArray = np.clip(np.log(np.maximum(step_s, _LEAST_S) / _LEAST_S) / np.log(_RATIO), 0, _BINS - 1).astype(
        np.int64
    )
    return bins
