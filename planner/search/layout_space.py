"""One kind of machine with one framework: its layouts, and what each candidate takes."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, field

import numpy as np

from planner.performance.arrays import FloatArray, IntArray, Layouts
from planner.performance.steptime import KernelTimes
from planner.search.batches import BatchSpace
from planner.search.candidates import Found
from planner.search.layouts import LayoutTable
from planner.search.open_ends import every_divisor, spread_out
from planner.search.physics import SettingPhysics
from planner.search.run import Run
from planner.spec.scenario import IntChoice

UNLIMITED_MICRO_BATCHES = 1 << 20  # as grad_accum: every pipeline is full
SLICE = 40_000  # rows evaluated together: their arrays stay in cache


def floor_s(physics: SettingPhysics, table: LayoutTable, batches: BatchSpace, run: Run) -> float:
    """Seconds x GPUs / factor that no run undercuts: every kernel at the largest micro-batch, nothing beside it."""
    rows = table.kernel_row
    if not len(rows):
        return float("inf")
    size = np.full(len(rows), batches.micro_high)
    kernels = kernels_of_rows(physics, table, rows, size, table.least[rows])
    n, batch = run.least(batches.low, batches.high)
    return n * batch * float((kernels.busy_s * table.tp[rows] * table.cp[rows]).min()) / batches.micro_high


def kernels_of_rows(
    physics: SettingPhysics, table: LayoutTable, row: IntArray, micro: IntArray, covered: IntArray
) -> KernelTimes:
    """Micro-batch times of these rows, so many layers of each chunk recomputed in full, (n,)."""
    t, share = table, table.share(row, covered)
    return physics.kernels(t.tp[row], t.cp[row], t.ep[row], t.sequence_parallel[row], t.recompute[row], micro, share)


@dataclass
class LayoutSpace:
    """One model on one kind of machine with one framework: physics, its layouts, the batches and the run."""

    physics: SettingPhysics
    table: LayoutTable
    batches: BatchSpace
    run: Run
    dp: IntChoice = field(default_factory=IntChoice)

    def __post_init__(self) -> None:
        self.starts, self.ends = _intervals(self.batches)
        rows = self.table.kernel_row
        kernels, intervals = len(rows), len(self.ends)
        which = np.repeat(rows, intervals)
        micro = np.tile(self.ends, kernels)
        least = self.table.least[which]
        self.at_ends = kernels_of_rows(self.physics, self.table, which, micro, least)  # kernels x intervals, flat
        self.per_sequence = self.at_ends.busy_s.reshape(kernels, intervals) / self.ends
        # Bubbles are looked up by their share a sequence, for the kernels that come so far.
        self.grid = np.concatenate([[0.0], 2.0 ** np.arange(-16, 8, 0.25)])
        self._known = np.full(kernels, -1)  # place of a kernel in `_least`
        self._least = np.zeros((0, intervals, len(self.grid)))
        self._staged = np.zeros(len(self.table.stage_row), dtype=bool)  # which of `_stages` are known
        self._stages = np.zeros((2, len(self._staged), intervals))

    def stages(self, row: IntArray) -> tuple[IntArray, FloatArray, FloatArray]:
        """Seconds a sequence on the slowest stage, and to fill the pipeline, of these rows' distinct (kernel, pp, vpp).

        (which of them a row is, two tables of (distinct, intervals)). Neither rises from interval to interval.
        """
        stage = self.table.stage[row]
        wanted = np.zeros(len(self._staged), dtype=bool)
        wanted[stage] = True
        new = np.flatnonzero(wanted & ~self._staged)
        if len(new):
            self._stages[:, new] = self._stages_of(self.table.stage_row[new])
            self._staged[new] = True
        slow, fill = self._stages
        return stage, slow, fill

    def _stages_of(self, rows: IntArray) -> FloatArray:
        t, intervals = self.table, len(self.ends)
        out = np.zeros((2, len(rows), intervals))
        together = max(1, SLICE // max(intervals, 1))
        for begin in range(0, len(rows), together):
            some = rows[begin : begin + together]
            at = (t.kernel[some][:, None] * intervals + np.arange(intervals)).ravel()
            cut = (np.repeat(x[some], intervals) for x in (t.pp, t.vpp))
            found = self.physics.stage_s(self.at_ends.take(at), *cut)
            out[:, begin : begin + len(some)] = [each.reshape(-1, intervals) / self.ends for each in found]
        return out

    def stages_with(self, row: IntArray, micro: IntArray, share: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Seconds of a micro-batch on the slowest stage, and to fill the pipeline, with this share recomputed, (n,)."""
        return self.physics.stage_s(self._kernels_at(row, micro, share), self.table.pp[row], self.table.vpp[row])

    def running(self, run: Run) -> LayoutSpace:
        """The same search space for another run over the same batches."""
        other = copy(self)
        other.run = run
        return other

    def passing_s(self, gpus: IntArray) -> FloatArray:
        """Seconds a sequence that a stage boundary of each kernel costs in runs on so many GPUs, (gpus, kernels)."""
        if not len(self.ends) or not len(self.table.kernel_row):
            return np.zeros((len(gpus), len(self.table.kernel_row)))
        first = np.arange(len(self.table.kernel_row)) * len(self.ends)
        kernels = self.at_ends.take(np.tile(first, len(gpus)))
        each = self.physics.message_s(kernels, np.repeat(gpus, len(first)))
        return np.asarray(each.reshape(len(gpus), len(first)) / self.ends[0])

    def least(self, kernel: IntArray, last: IntArray, bubble_share: FloatArray) -> FloatArray:
        """Seconds a sequence with its bubble, at the best micro-batch of the intervals up to `last`, (n,): a bound."""
        wanted = np.zeros(len(self._known), dtype=bool)
        wanted[kernel] = True
        new = np.flatnonzero(wanted & (self._known < 0))
        if len(new):
            cost = self.per_sequence[new, :, None] * (1.0 + self.starts[:, None] * self.grid)
            known = self._known.copy()  # a site's copies, of other memory, keep what they know to themselves
            known[new] = len(self._least) + np.arange(len(new))
            self._known = known
            self._least = np.concatenate([self._least, np.minimum.accumulate(cost, axis=1)])
        place = np.searchsorted(self.grid, bubble_share, side="right") - 1
        return np.asarray(self._least[self._known[kernel], last, place])

    def everything(self, gpus: int) -> Iterator[Found]:
        """Every candidate on `gpus` that fits in memory, evaluated, in parts that stay in cache."""
        row, dp = self.table.on(gpus, self.dp, self.batches)
        which, covered, instances = self.open_ends(row, dp)
        row, dp = row[which], dp[which]
        unit = dp * self.table.group[row]
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
        most = self.batches.high // unit
        which, nth = spread_out(most)
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
            fits = base[i] + slope[i] * m <= self.physics.capacity_gib
            grad_accum = b // (m * dp[i])
            rest = np.flatnonzero(~fits & (grad_accum < full[i]))
            if len(rest):
                j = i[rest]
                some, each = self.memory_line(row[j], dp[j], grad_accum[rest], instances[j], covered[j])
                fits[rest] = some + each * m[rest] <= self.physics.capacity_gib
            i, m, b = i[fits], m[fits], b[fits]
            yield self.evaluate(np.zeros_like(i), row[i], dp[i], m, b, covered[i], instances[i])

    def open_ends(self, row: IntArray, dp: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Every way to fill in what rows leave open: (index into `row`, layers covered, instances of the states)."""
        t = self.table
        which, instances = self.every_group(row, dp)
        again, nth = spread_out(t.every[row[which]] - t.least[row[which]] + 1)
        which = which[again]
        return which, t.least[row[which]] + nth, instances[again]

    def every_group(self, row: IntArray, dp: IntArray) -> tuple[IntArray, IntArray]:
        """(index into `row`, instances of the states) of every group that rows may have."""
        which, instances = every_divisor(self.table.units(row, dp))
        return which, instances * self.table.instances(row, dp)[which]

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
            base, slope = self.memory_line(row[at], dp[at], grad_accum[at], instances[at], middle)
            enough = base + slope * micro[at] <= self.physics.capacity_gib
            high[at], low[at] = np.where(enough, middle, high[at]), np.where(enough, low[at], middle + 1)
            at = at[low[at] < high[at]]
        return high

    def memory_line(
        self,
        row: IntArray,
        dp: IntArray,
        grad_accum: IntArray,
        instances: IntArray,
        covered: IntArray | None = None,
    ) -> tuple[FloatArray, FloatArray]:
        """Memory of these rows in GiB = first + second x micro_batch, each (n,); `covered` None: all layers."""
        t = self.table
        share = t.share(row, t.every[row] if covered is None else covered)
        group = t.gpus_of_a_group(row, dp, instances)
        return self.physics.memory_line(self.layouts(row, dp, np.ones_like(row), grad_accum), share, group)

    def least_memory(self, gpus: int) -> tuple[float, int, int, int] | None:
        """GiB of the candidate on `gpus` that needs least, its row, dp and micro-batch; None where there is none.

        It has the smallest batch, as many layers recomputed and its states over as many ranks as can be.
        """
        t = self.table
        row, dp = t.on(gpus, self.dp, self.batches)
        unit = dp * t.group[row]

        def needed(at: IntArray, micro: int, grad_accum: IntArray) -> FloatArray:
            i, n = row[at], dp[at]
            group = t.gpus_of_a_group(i, n, t.instances(i, n))
            layouts = self.layouts(i, n, np.ones_like(i), grad_accum)
            base, each, step = self.physics.memory_parts(layouts, t.share(i, t.every[i]), group)
            return np.maximum(base + each * micro, step)

        best, place = np.inf, (0, 0, 0)
        bound = np.zeros(len(row))  # what no micro-batch from here on needs less than
        for micro in self.micros():
            batch = self.batches.edge(micro * unit, smallest=True)
            at = np.flatnonzero((batch > 0) & (bound < best))
            if not len(at):
                continue
            least = needed(at, micro, batch[at] // (micro * dp[at]))
            first = int(np.argmin(least))
            if least[first] < best:
                best, place = float(least[first]), (int(row[at[first]]), int(dp[at[first]]), micro)
            bound[at] = needed(at, micro, t.group[row[at]])
        return None if best == np.inf else (best, *place)

    def micros(self) -> list[int]:
        """The allowed micro-batches, ascending."""
        every = np.arange(self.batches.micro_low, self.batches.micro_high + 1)
        return [int(m) for m in every[self.batches.allows_micro(every)]]

    def layouts(self, row: IntArray, dp: IntArray, micro: IntArray, grad_accum: IntArray) -> Layouts:
        """These candidates as the performance room takes them."""
        t = self.table
        return Layouts(
            t.tp[row],
            t.pp[row],
            t.vpp[row],
            dp,
            t.cp[row],
            t.ep[row],
            t.zero_stage[row],
            t.sequence_parallel[row],
            t.recompute[row],
            micro,
            grad_accum,
        )

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
        kernels = self._kernels_at(row, micro, self.table.share(row, covered))
        t = self.table
        pp, vpp, zero = t.pp[row], t.vpp[row], t.zero_stage[row]
        group = t.gpus_of_a_group(row, dp, instances)

        def step_at(size: IntArray) -> FloatArray:
            return self.physics.step_s(kernels, pp, vpp, dp, zero, size // (micro * dp), group)

        step_s = step_at(batch)
        seconds = self.run.seconds(batch, step_s, step_at)
        return Found(cell, row, dp, micro, batch, covered, instances, step_s, seconds)

    def _kernels_at(self, row: IntArray, micro: IntArray, share: FloatArray) -> KernelTimes:
        """Kernel times of these candidates, each distinct kernel computed once."""
        t = self.table
        shares, place = np.unique(share, return_inverse=True)
        code = (t.kernel[row] * (int(micro.max(initial=0)) + 1) + micro) * max(1, len(shares)) + place.reshape(-1)
        _, first, back = np.unique(code, return_index=True, return_inverse=True)
        i = row[first]
        axes = (t.tp[i], t.cp[i], t.ep[i], t.sequence_parallel[i], t.recompute[i])
        return self.physics.kernels(*axes, micro[first], share[first]).take(back.reshape(-1))


def _intervals(batches: BatchSpace) -> tuple[IntArray, IntArray]:
    """First and last micro-batch of intervals that cover all allowed ones: singly at first, then wider."""
    low, high = batches.micro_low, batches.micro_high
    if batches.micro_values:
        ends = sorted(m for m in batches.micro_values if low <= m <= high)
        return np.array(ends, dtype=np.int64), np.array(ends, dtype=np.int64)
    ends, width = [], 1
    at = low
    while at <= high:
        width = max(1, at // 4)
        ends.append(min(high, at + width - 1))
        at = ends[-1] + 1
    starts = [low, *(e + 1 for e in ends[:-1])] if ends else []
    return np.array(starts, dtype=np.int64), np.array(ends, dtype=np.int64)
