"""One kind of machine with one framework: its layouts, and what each candidate takes in seconds and memory."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.kernels import KernelTimes, Scope, kernels_of
from planner.performance.memory import memory_affine
from planner.performance.steptime import data_parallel_s, message_s, optimizer_s, stage_s, step_of
from planner.search.batches import BatchSpace
from planner.search.candidates import Found
from planner.search.layouts import LayoutTable
from planner.search.open_dimensions import spread_out
from planner.search.run_length import Run
from planner.spec.scenario import IntChoice

UNLIMITED_MICRO_BATCHES = 1 << 20  # as grad_accum: every pipeline is full
SLICE = 40_000  # rows evaluated together: their arrays stay in cache
NEVER = 1e9  # GiB that no accelerator has


@dataclass
class LayoutSpace:
    """One model on one kind of machine with one framework under a calibration: its layouts, the batches and the run.

    A candidate is a row of `table`, its dp, a micro-batch, a global batch, so many layers of each chunk `covered` by
    full recompute, and its states over so many `instances` of all ranks.

    The bounds of `engine` rest on: busy seconds and `stage_s` a sequence do not rise with the micro-batch, and
    `message_s` a sequence hangs on nothing but the kernel; a step of m micro-batches takes at least factor x (m x
    slowest stage + filling and draining + 2 m vpp x message where pp > 1 + `outside_pipeline_s`), and per micro-batch
    not more with larger m; `outside_pipeline_s` holds at micro-batches up to the one of the kernels given there; memory
    is a line in the micro-batch that rises with m only until the pipeline is full (m = pp; 2 pp where chunks
    interleave). With more layers recomputed memory does not rise and a step is not shorter; with fewer instances of the
    states memory does not rise.
    """

    setting: Setting
    calibration: Calibration
    scope: Scope
    capacity_gib: float  # that a run may use
    table: LayoutTable
    batches: BatchSpace
    run: Run
    dp: IntChoice = field(default_factory=IntChoice)

    def __post_init__(self) -> None:
        self.starts, self.ends = _intervals(self.batches)
        intervals = len(self.ends)
        self._factors = np.full(1, np.nan)  # by GPU count, as far as they were asked for
        # Bubbles are looked up by their share a sequence, for the kernels that come so far.
        self.grid = np.concatenate([[0.0], 2.0 ** np.arange(-16, 8, 0.25)])
        self._known = np.full(len(self.table.kernel_row), -1)  # place of a kernel in `_least`
        self._least = np.zeros((0, intervals, len(self.grid)))
        self._staged = np.zeros(len(self.table.stage_row), dtype=bool)  # which of `_stages` are known
        self._stages = np.zeros((2, len(self._staged), intervals))

    def running(self, run: Run) -> LayoutSpace:
        """The same search space for another run over the same batches."""
        other = copy(self)
        other.run = run
        return other

    # --- seconds -----------------------------------------------------------------------------------------------------

    def evaluate(
        self,
        cell: IntArray,
        row: IntArray,
        dp: IntArray,
        micro: IntArray,
        batch: IntArray,
        covered: IntArray,
        instances: IntArray,
    ) -> Found:
        """Steps and runs of these candidates, in full."""
        t, scope = self.table, self.in_groups(row, dp, instances)
        pp, vpp, zero, factor = t.pp[row], t.vpp[row], t.zero_stage[row], self.factor(t.width[row] * dp)
        kernels = self.kernels(row, micro, t.share(row, covered))

        def step_at(size: IntArray) -> FloatArray:
            return step_of(scope, kernels, pp, vpp, dp, zero, size // (micro * dp), factor).total_s

        step_s = step_at(batch)
        seconds = self.run.seconds(batch, step_s, step_at)
        return Found(cell, row, dp, micro, batch, covered, instances, step_s, seconds)

    def factor(self, gpus: IntArray) -> FloatArray:
        """What the calibration multiplies step times on so many GPUs by, (n,)."""
        most = int(gpus.max(initial=0))
        if most >= len(self._factors):
            self._factors = np.concatenate([self._factors, np.full(most + 1 - len(self._factors), np.nan)])
        found = self._factors[gpus]
        new = np.isnan(found)
        if new.any():
            counts = np.unique(gpus[new])
            self._factors[counts] = self.calibration.correction(self.setting, counts)
            found = self._factors[gpus]
        return found

    def kernels(self, row: IntArray, micro: IntArray, share: FloatArray) -> KernelTimes:
        """Times of a micro-batch of these rows, a share of their layers recomputed, each distinct kernel once, (n,)."""
        t = self.table
        shares, place = np.unique(share, return_inverse=True)
        code = (t.kernel[row] * (int(micro.max(initial=0)) + 1) + micro) * max(1, len(shares)) + place.reshape(-1)
        _, first, back = np.unique(code, return_index=True, return_inverse=True)
        i = row[first]
        scope = replace(self.scope, conditions=replace(self.scope.conditions, full_share=share[first]))
        axes = (t.tp[i], t.cp[i], t.ep[i], t.sequence_parallel[i], t.recompute[i])
        return kernels_of(scope, *axes, micro[first]).take(back.reshape(-1))

    def in_groups(self, row: IntArray, dp: IntArray, instances: IntArray) -> Scope:
        """The setting's numbers with the states of these rows over their groups of GPUs."""
        group = self.table.gpus_of_a_group(row, dp, instances)
        conditions = replace(self.scope.conditions, shard_group=group if np.any(group) else 0.0)
        return replace(self.scope, conditions=conditions)

    # --- bounds on seconds -------------------------------------------------------------------------------------------

    def floor_s(self) -> float:
        """Seconds x GPUs / factor that no run undercuts: every kernel at the largest micro-batch, nothing beside it."""
        t, rows, micro = self.table, self.table.kernel_row, self.batches.micro_high
        if not len(rows):
            return float("inf")
        kernels = self.kernels(rows, np.full(len(rows), micro), t.share(rows, t.least[rows]))
        n, batch = self.run.least(self.batches.low, self.batches.high)
        return n * batch * float((kernels.busy_s * t.tp[rows] * t.cp[rows]).min()) / micro

    @cached_property
    def at_ends(self) -> KernelTimes:
        """Times of every kernel at the last micro-batch of every interval, (kernels x intervals,)."""
        rows = np.repeat(self.table.kernel_row, len(self.ends))
        micro = np.tile(self.ends, len(self.table.kernel_row))
        return self.kernels(rows, micro, self.table.share(rows, self.table.least[rows]))

    def least(self, kernel: IntArray, last: IntArray, bubble_share: FloatArray) -> FloatArray:
        """Seconds a sequence with its bubble, at the best micro-batch of the intervals up to `last`, (n,): a bound."""
        wanted = np.zeros(len(self._known), dtype=bool)
        wanted[kernel] = True
        new = np.flatnonzero(wanted & (self._known < 0))
        if len(new):
            busy = self.at_ends.busy_s.reshape(len(self._known), len(self.ends))[new] / self.ends
            cost = busy[:, :, None] * (1.0 + self.starts[:, None] * self.grid)
            known = self._known.copy()  # a site's copies, of other memory, keep what they know to themselves
            known[new] = len(self._least) + np.arange(len(new))
            self._known = known
            self._least = np.concatenate([self._least, np.minimum.accumulate(cost, axis=1)])
        place = np.searchsorted(self.grid, bubble_share, side="right") - 1
        return np.asarray(self._least[self._known[kernel], last, place])

    def stages(self, row: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Seconds a sequence on the slowest stage, and to fill the pipeline, of these rows' distinct (kernel, pp, vpp).

        (which of them a row is, two tables of (distinct, intervals)). Neither rises from interval to interval.
        """
        t, stage, intervals = self.table, self.table.stage[row], len(self.ends)
        wanted = np.zeros(len(self._staged), dtype=bool)
        wanted[stage] = True
        new = np.flatnonzero(wanted & ~self._staged)
        together = max(1, SLICE // max(intervals, 1))
        for begin in range(0, len(new), together):
            some = new[begin : begin + together]
            rows = t.stage_row[some]
            at = (t.kernel[rows][:, None] * intervals + np.arange(intervals)).ravel()
            pp, vpp = (np.repeat(axis[rows], intervals) for axis in (t.pp, t.vpp))
            found = stage_s(self.scope, self.at_ends.take(at), pp, vpp)
            self._stages[:, some] = [each.reshape(-1, intervals) / self.ends for each in found]
        self._staged[new] = True
        slow, fill = self._stages
        return stage, slow, fill

    def passing_s(self, gpus: IntArray) -> FloatArray:
        """Seconds a sequence that a stage boundary of each kernel costs in runs on so many GPUs, (gpus, kernels)."""
        kernels = len(self.table.kernel_row)
        if not len(self.ends) or not kernels:
            return np.zeros((len(gpus), kernels))
        first = np.tile(np.arange(kernels) * len(self.ends), len(gpus))
        each = message_s(self.scope, self.at_ends.take(first), np.repeat(gpus, kernels))
        return np.asarray(each.reshape(len(gpus), kernels) / self.ends[0])

    def outside_pipeline_s(self, kernels: KernelTimes, row: IntArray, dp: IntArray, instances: IntArray) -> FloatArray:
        """Seconds a step of optimizer and data-parallel traffic at least, whatever the micro-batch up to the kernels'.

        A larger micro-batch hides more of it. (n,)
        """
        t, scope = self.table, self.in_groups(row, dp, instances)
        slow, _ = stage_s(scope, kernels, t.pp[row], t.vpp[row])
        traffic = data_parallel_s(scope, kernels, t.pp[row], dp, t.zero_stage[row], np.ones_like(dp), slow)
        return np.asarray(traffic + optimizer_s(scope, kernels, t.pp[row], dp, t.zero_stage[row]) + scope.rates.step)

    # --- memory ------------------------------------------------------------------------------------------------------

    def memory_parts(
        self,
        row: IntArray,
        dp: IntArray,
        grad_accum: IntArray,
        instances: IntArray,
        covered: IntArray | None = None,
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """GiB of these rows in training = first + second x micro_batch, and in the optimizer's step, (n,) each.

        `covered` None: all layers.
        """
        t = self.table
        return memory_affine(
            self.setting,
            t.tp[row],
            t.pp[row],
            t.vpp[row],
            t.cp[row],
            t.ep[row],
            t.zero_stage[row],
            t.sequence_parallel[row],
            t.recompute[row],
            dp,
            grad_accum,
            t.share(row, t.every[row] if covered is None else covered),
            t.gpus_of_a_group(row, dp, instances),
        )

    def memory_line(
        self,
        row: IntArray,
        dp: IntArray,
        grad_accum: IntArray,
        instances: IntArray,
        covered: IntArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """GiB of these rows = first + second x micro_batch, (n,); `NEVER` where the optimizer's step does not fit."""
        base, each, step = self.memory_parts(row, dp, grad_accum, instances, covered)
        return np.where(step <= self.capacity_gib, base, np.maximum(base, NEVER)), each

    def fits(
        self,
        row: IntArray,
        dp: IntArray,
        micro: IntArray,
        grad_accum: IntArray,
        instances: IntArray,
        covered: IntArray | None = None,
    ) -> BoolArray:
        """Whether these candidates fit in memory, (n,)."""
        base, each = self.memory_line(row, dp, grad_accum, instances, covered)
        return np.asarray(base + each * micro <= self.capacity_gib)

    def fewest_covered(
        self, row: IntArray, dp: IntArray, micro: IntArray, grad_accum: IntArray, instances: IntArray
    ) -> IntArray:
        """The fewest layers of a chunk that full recompute must cover for each candidate to fit, (n,).

        More layers take longer, so that this is the best number. All of them are taken to fit.
        """
        low, high = self.table.least[row], self.table.every[row]
        at = np.flatnonzero(low < high)
        while len(at):
            middle = (low[at] + high[at]) // 2
            enough = self.fits(row[at], dp[at], micro[at], grad_accum[at], instances[at], middle)
            high[at], low[at] = np.where(enough, middle, high[at]), np.where(enough, low[at], middle + 1)
            at = at[low[at] < high[at]]
        return high

    # --- without bounds ----------------------------------------------------------------------------------------------

    def everything(self, gpus: int) -> Iterator[Found]:
        """Every candidate on `gpus` that fits in memory, evaluated, in parts that stay in cache."""
        t = self.table
        row, dp = t.on(gpus, self.dp, self.batches)
        which, instances = t.every_group(row, dp)
        again, nth = spread_out(t.covers(row[which]))
        which, instances = which[again], instances[again]
        row, dp = row[which], dp[which]
        covered, unit = t.least[row] + nth, dp * t.group[row]
        ways = np.cumsum(self.batches.ways(unit))
        begin = 0
        while begin < len(row):
            done = ways[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(ways, done + SLICE)))
            s = slice(begin, end)
            yield from self._cut_every_way(row[s], dp[s], unit[s], covered[s], instances[s])
            begin = end

    def _cut_every_way(
        self, row: IntArray, dp: IntArray, unit: IntArray, covered: IntArray, instances: IntArray
    ) -> Iterator[Found]:
        """These rows with every micro-batch and every batch, those that fit, evaluated."""
        which, nth = spread_out(self.batches.high // unit)
        micro = nth + 1
        keep = self.batches.allows_micro(micro)
        which, micro = which[keep], micro[keep]
        pair, batch = self.batches.all(micro * unit[which])
        # Memory rises with accumulation until the pipeline is full: what fits then fits before.
        base, slope = self.memory_line(row, dp, np.full_like(row, UNLIMITED_MICRO_BATCHES), instances, covered)
        full = np.where(self.table.vpp[row] > 1, 2, 1) * self.table.pp[row]
        for at in range(0, len(pair), SLICE):
            s = pair[at : at + SLICE]
            i, m, b = which[s], micro[s], batch[at : at + SLICE]
            fits = base[i] + slope[i] * m <= self.capacity_gib
            grad_accum = b // (m * dp[i])
            rest = np.flatnonzero(~fits & (grad_accum < full[i]))
            if len(rest):
                j = i[rest]
                fits[rest] = self.fits(row[j], dp[j], m[rest], grad_accum[rest], instances[j], covered[j])
            i, m, b = i[fits], m[fits], b[fits]
            yield self.evaluate(np.zeros_like(i), row[i], dp[i], m, b, covered[i], instances[i])


def _intervals(batches: BatchSpace) -> tuple[IntArray, IntArray]:
    """First and last micro-batch of intervals that cover all allowed ones: singly at first, then wider."""
    low, high = batches.micro_low, batches.micro_high
    if batches.micro_values:
        ends = sorted(m for m in batches.micro_values if low <= m <= high)
        return np.array(ends, dtype=np.int64), np.array(ends, dtype=np.int64)
    ends, at = [], low
    while at <= high:
        ends.append(min(high, at + max(1, at // 4) - 1))
        at = ends[-1] + 1
    starts = [low, *(e + 1 for e in ends[:-1])] if ends else []
    return np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
