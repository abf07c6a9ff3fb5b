"""The fastest run on each GPU count of one kind of machine, exact, by branch and bound in arrays.

Step time depends on hardware and framework, never on price, and a prediction's spread never on the layout. So the
fastest layout of a cell (hardware, framework, GPU count) is its best at every quantile, for every offer and objective.

`SearchState.refine` gives cells with limits on their seconds and keeps what comes back. In between a cell is followed
here and in `LayoutSpace`, where every formula of seconds and memory stands: its rows of the layout table (`_rows`),
how large a micro-batch fits each (`_fit_memory`), bounds of each row's intervals of micro-batches (`_intervals`), and
in the order of these bounds the candidates (`_visit`, `_batches`), until no bound is below the best of them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.performance.steptime import stage_s
from planner.search.candidates import Found, first_of_each, nothing
from planner.search.layout_space import SLICE, UNLIMITED_MICRO_BATCHES, LayoutSpace
from planner.search.pruning import MEMORY, SPARED, Limits, Tally

SHARES = 16  # of all layers, to which a bound knows those recomputed
SEEDS = 2  # intervals a cell that are looked at first, for a good incumbent

#: What `_Branch` knows of each of its rows.
OF_ROWS = (
    "row",
    "dp",
    "cell",
    "unit",
    "scale",
    "bubble_share",
    "instances",
    "times",
    "ways",
    "outside_pipeline",
    "stage",
)

Tighten = Callable[[FloatArray], FloatArray]  # seconds of each cell's best so far -> new objective limits


def solve(space: LayoutSpace, gpus: IntArray, limits: Limits, tighten: Tighten) -> tuple[Found, Tally]:
    """The fastest candidate of each cell within its limits, ties by the total order; not every cell has one.

    Parameters
    ----------
    gpus : (cells,) GPU counts
    tighten : called with the best seconds so far, gives new objective limits
    """
    branch = _Branch(space, gpus, limits, tighten)
    return branch.run(), branch.tally


def each_within(space: LayoutSpace, gpus: int, most_s: float) -> Found:
    """One candidate of every layout and micro-batch on `gpus` that has any within `most_s` seconds."""
    none = np.array([np.inf])
    branch = _EachWithin(space, np.array([gpus]), Limits(np.array([most_s]), none, none.copy()), lambda best_s: best_s)
    branch.run()
    return Found.join(branch.parts) if branch.parts else branch.found


class _Branch:
    """One pass of branch and bound over some cells of a site."""

    def __init__(self, space: LayoutSpace, gpus: IntArray, limits: Limits, tighten: Tighten) -> None:
        self.space, self.gpus, self.limits, self.tighten = space, gpus, limits, tighten
        self.tally = Tally.of(len(gpus))
        self.best_s = np.full(len(gpus), np.inf)
        self.found = nothing()

    def run(self) -> Found:
        """Rows, intervals of micro-batches, micro-batches, batches: each level is bounded before the next."""
        self._rows()
        self._fit_memory()
        self._visit(*self._still(*self._intervals()))
        return self.found

    def _keep(self, keep: BoolArray | IntArray) -> None:
        for name in OF_ROWS:
            setattr(self, name, getattr(self, name)[keep])

    def _rows(self) -> None:
        """The rows of the layout table that run on each cell's GPUs, but for those whose bound passes its limits.

        A run takes at least n x b times the seconds a sequence of its step (`Run.least`). A replica computes 1 / dp of
        them, and each stage of one 1 / pp of its layers: `scale` makes seconds a sequence of all layers those of a run.
        """
        space, t = self.space, self.space.table
        parts = [t.on(int(gpus), space.dp, space.batches) for gpus in self.gpus]
        self.row, self.dp = row, dp = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
        self.cell = np.repeat(np.arange(len(self.gpus)), [len(p[0]) for p in parts])
        self.instances, self.outside_pipeline = np.ones_like(row), np.zeros(len(row))
        self.unit = dp * t.group[row]
        self.times = t.times(row, dp)  # candidates that a row is at each cut of a batch
        self.ways = space.batches.ways(self.unit) * self.times
        n, reference = space.run.least(space.batches.low, space.batches.high)
        self.scale = n * reference * space.factor(self.gpus)[self.cell] / (t.pp[row] * dp)
        self.bubble_share = (t.pp[row] - 1) / t.vpp[row] * dp / reference  # a sequence of micro-batch
        self.passing = space.passing_s(self.gpus)
        self.stage, self.slow, self.fill = space.stages(row)
        self._keep(self.ways > 0)
        last = np.searchsorted(space.starts, space.batches.high // self.unit, side="right") - 1
        stages = self._stages(last, slice(None))
        within = self._drop_slow(stages)
        last, stages = last[within], stages[within]
        bound = np.maximum(stages, self.scale * space.least(t.kernel[self.row], last, self.bubble_share))
        within = self._drop_slow(bound)
        # From here on a row for each group that its states may lie over.
        which, instances = t.every_group(self.row, self.dp)
        self._keep(which)
        self.instances, self.times = instances, t.covers(self.row)
        self.ways = space.batches.ways(self.unit) * self.times
        self._drop_slow(bound[within][which] + self._outside_pipeline(last[within][which]))

    def _stages(self, interval: IntArray | int, at: IntArray | slice) -> FloatArray:
        """Seconds of the run that rows' slowest stages compute and pass on, at micro-batches up to an interval's."""
        each = self.scale[at] * self.space.table.pp[self.row[at]] * self.slow[self.stage[at], interval]
        return np.asarray(each + self._passing(at))

    def _passing(self, at: IntArray | slice) -> FloatArray:
        """Seconds of the run that messages between stages take."""
        t, row = self.space.table, self.row[at]
        each = np.where(t.pp[row] > 1, 2.0 * t.vpp[row] * self.passing[self.cell[at], t.kernel[row]], 0.0)
        return np.asarray(self.scale[at] * t.pp[row] * each)

    def _drop_slow(self, bound: FloatArray) -> BoolArray:
        """Drops the rows whose bound passes their limits; which were kept."""
        slow = bound > self.limits.least_s[self.cell]
        self.tally.slow(self.cell[slow], bound[slow], self.ways[slow], self.limits)
        self._keep(~slow)
        return ~slow

    def _outside_pipeline(self, last: IntArray) -> FloatArray:
        """Seconds of the run that data parallelism adds at least, (rows,); `last`: the largest cut's interval."""
        space, t = self.space, self.space.table
        n, _ = space.run.least(space.batches.low, space.batches.high)
        scale = n * space.factor(self.gpus)
        self.outside_pipeline = np.zeros(len(self.row))
        for begin in range(0, len(self.row), SLICE):
            some = slice(begin, begin + SLICE)
            kernels = space.at_ends.take(t.kernel[self.row[some]] * len(space.ends) + last[some])
            each = space.outside_pipeline_s(kernels, self.row[some], self.dp[some], self.instances[some])
            self.outside_pipeline[some] = scale[self.cell[some]] * each
        return self.outside_pipeline

    def _fit_memory(self) -> None:
        """The largest micro-batches that fit with full pipelines (strict) and with the fewest micro-batches (loose)."""
        space, t = self.space, self.space.table
        self.strict = self._largest(np.full_like(self.row, UNLIMITED_MICRO_BATCHES))
        self.loose = self.strict.copy()
        piped = np.flatnonzero(t.pp[self.row] > 1)
        self.loose[piped] = self._largest(t.group[self.row[piped]], piped)
        self.loose = np.maximum(self.loose, self.strict)
        fitting = space.batches.ways(self.unit, self.loose) * self.times
        self.tally.add(MEMORY, self.cell, self.ways - fitting)
        # Micro-batches that fit with no layer recomputed are those of a row of its own, which is as fast or faster.
        self.spared = np.zeros_like(self.row)
        part = np.flatnonzero(t.spares[self.row])
        none = self._largest(np.full_like(part, UNLIMITED_MICRO_BATCHES), part, covered=0)
        self.spared[part] = np.minimum(none, self.loose[part])
        spared = space.batches.ways(self.unit, self.spared) * self.times
        self.tally.add(SPARED, self.cell, spared)
        keep = fitting > spared
        self.strict, self.loose, self.spared = self.strict[keep], self.loose[keep], self.spared[keep]
        self._keep(keep)

    def _largest(self, grad_accum: IntArray, at: IntArray | None = None, covered: int | None = None) -> IntArray:
        some = slice(None) if at is None else at
        row, capacity = self.row[some], self.space.capacity_gib
        layers = None if covered is None else np.full_like(row, covered)
        base, slope = self.space.memory_line(row, self.dp[some], grad_accum, self.instances[some], layers)
        room = capacity - base
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.where(slope > 0, np.floor(room / slope * (1.0 + 1e-12) + 1e-9), np.where(room >= 0, np.inf, 0))
        most = np.clip(most, 0, self.space.batches.high // self.unit[some]).astype(np.int64)
        return most - (base + slope * most > capacity)

    def _intervals(self) -> tuple[IntArray, IntArray, FloatArray]:
        """(row, interval) pairs whose bound is within the limits, and the bounds.

        They know the layers recomputed at least where a row leaves their number open.
        """
        space, t = self.space, self.space.table
        limit = self.limits.least_s[self.cell]
        # Micro-batches beyond `strict` fit only while the pipeline is not full.
        most = np.where(t.vpp[self.row] > 1, t.pp[self.row], np.maximum(t.pp[self.row] - 1, 1))
        unfilled = 1.0 / most
        _, reference = space.run.least(space.batches.low, space.batches.high)
        none = np.zeros(0, dtype=np.int64)
        pairs, intervals, bounds = [none], [none], [np.zeros(0)]
        for i, (start, end) in enumerate(zip(space.starts.tolist(), space.ends.tolist(), strict=True)):
            at = np.flatnonzero((self.loose >= start) & (self.spared < end))
            fills = start * self.dp[at] / reference  # of a micro-batch: how often the pipeline fills
            fills = np.where(start > self.strict[at], np.maximum(fills, unfilled[at]), fills)
            fill = self.scale[at] * t.pp[self.row[at]] * self.fill[self.stage[at], i] * fills
            bound = self._stages(i, at) + fill + self.outside_pipeline[at]
            slow = bound > limit[at]
            if slow.any():
                out = at[slow]
                count = self._ways_between(out, start, end)
                self.tally.slow(self.cell[out], bound[slow], count, self.limits)
            pairs.append(at[~slow])
            intervals.append(np.full(len(pairs[-1]), i))
            bounds.append(bound[~slow])
        pair, interval, bound = np.concatenate(pairs), np.concatenate(intervals), np.concatenate(bounds)
        some = np.flatnonzero(t.least[self.row[pair]] < t.every[self.row[pair]])
        at, first, last = pair[some], space.starts[interval[some]], space.ends[interval[some]]
        row = self.row[at]
        covered = self._covered(at, np.maximum(first, self.spared[at] + 1), t.group[row])
        share = np.floor(t.share(row, covered) * SHARES) / SHARES
        slow_s, fill_s = stage_s(space.scope, space.kernels(row, last, share), t.pp[row], t.vpp[row])
        busy = self.scale[at] * t.pp[row] * (slow_s + fill_s * (first * self.dp[at] / reference)) / last
        bound[some] = np.maximum(bound[some], busy + self._passing(at) + self.outside_pipeline[at])
        return pair, interval, bound

    def _ways_between(self, at: IntArray, start: int | IntArray, end: int | IntArray) -> IntArray:
        ways, unit = self.space.batches.ways, self.unit[at]
        last, before = np.minimum(end, self.loose[at]), np.maximum(start - 1, self.spared[at])
        return (ways(unit, last) - ways(unit, np.minimum(before, last))) * self.times[at]

    def _visit(self, pair: IntArray, interval: IntArray, bound: FloatArray) -> None:
        """Evaluates pairs, each cell's most promising first, so that its incumbent prunes the rest."""
        for _ in range(SEEDS):
            least = np.full(len(self.gpus), np.inf)
            np.minimum.at(least, self.cell[pair], bound)
            first = bound == least[self.cell[pair]]
            self._visit_slice(pair[first], interval[first])
            pair, interval, bound = self._still(pair[~first], interval[~first], bound[~first])
        order = np.argsort(bound, kind="stable")
        pair, interval, bound = pair[order], interval[order], bound[order]
        size = np.cumsum(np.minimum(self.space.ends[interval], self.loose[pair]) - self.space.starts[interval] + 1)
        begin = 0
        while begin < len(pair):
            done = size[begin - 1] if begin else 0
            end = max(begin + 1, int(np.searchsorted(size, done + SLICE)))
            s = slice(begin, end)
            kept = self._still(pair[s], interval[s], bound[s])
            self._visit_slice(kept[0], kept[1])
            begin = end

    def _still(self, pair: IntArray, interval: IntArray, bound: FloatArray) -> tuple[IntArray, IntArray, FloatArray]:
        """The pairs whose bound is within the limits as they are now; the others are counted."""
        slow = bound > self.limits.least_s[self.cell[pair]]
        if not slow.any():
            return pair, interval, bound
        out, i = pair[slow], interval[slow]
        count = self._ways_between(out, self.space.starts[i], self.space.ends[i])
        self.tally.slow(self.cell[out], bound[slow], count, self.limits)
        return pair[~slow], interval[~slow], bound[~slow]

    def _visit_slice(self, pair: IntArray, interval: IntArray) -> None:
        start = np.maximum(self.space.starts[interval], self.spared[pair] + 1)
        length = np.maximum(np.minimum(self.space.ends[interval], self.loose[pair]) - start + 1, 0)
        at = np.repeat(pair, length)
        micro = np.arange(len(at)) - np.repeat(np.cumsum(length) - length, length) + np.repeat(start, length)
        keep = self.space.batches.allows_micro(micro)
        self._batches(at[keep], micro[keep])

    def _batches(self, at: IntArray, micro: IntArray) -> None:
        """From the best batch of each (row, micro-batch) on, until the bound on all further ones passes the limit."""
        space = self.space
        cut = micro * self.unit[at]
        batch = self._first_batch(at, micro, cut)
        # Layers recomputed with the fewest micro-batches and with a full pipeline: between them where it is not full.
        group = space.table.group[self.row[at]]
        few = self._covered(at, micro, group)
        full, t = few.copy(), space.table
        piped = np.flatnonzero((t.pp[self.row[at]] > 1) & (few < t.every[self.row[at]]))
        full[piped] = self._covered(at[piped], micro[piped], np.full_like(piped, UNLIMITED_MICRO_BATCHES))
        while True:
            alive = batch > 0
            at, micro, cut, batch, few, full = (x[alive] for x in (at, micro, cut, batch, few, full))
            if not len(at):
                return
            cell = self.cell[at]
            found, bound = self._evaluate(at, micro, cut, batch, few, full)
            batch = found.batch
            if space.run.fixed:
                rest = space.batches.count(cut, batch, np.full_like(batch, space.batches.high + 1))
                fits = np.zeros(len(at), dtype=bool)
            else:
                rest = space.batches.count(cut, np.zeros_like(batch), batch)
                fits = self._goes_on(found, bound)
            self.tally.slow(cell[~fits], bound[~fits], (rest * self.times[at])[~fits], self.limits)
            at, micro, cut, few, full = (x[fits] for x in (at, micro, cut, few, full))
            batch = space.batches.next(cut, batch[fits])

    def _goes_on(self, found: Found, bound: FloatArray) -> BoolArray:
        """Whether the batches beyond these may hold what is looked for; `bound`: seconds that they do not undercut."""
        return np.asarray(bound <= self.limits.least_s[found.cell])

    def _evaluate(
        self, at: IntArray, micro: IntArray, cut: IntArray, batch: IntArray, few: IntArray, full: IntArray
    ) -> tuple[Found, FloatArray]:
        """Looks at the smallest batches of as many steps with the fewest layers recomputed that fit.

        Those candidates, and what further ones do not undercut, (n,) each.
        """
        space, t, row = self.space, self.space.table, self.row[at]
        alike, longer = space.run.alike(batch, space.batches.high), None
        if np.any(alike < batch):  # those between take as many longer steps
            smallest = space.batches.up_from(cut, alike)
            batch, longer = smallest, space.batches.count(cut, smallest, batch + 1)
        grad_accum = batch // (micro * self.dp[at])
        unfilled = np.flatnonzero((few < full) & (grad_accum < np.where(t.vpp[row] > 1, 2, 1) * t.pp[row]))
        covered = full.copy()
        covered[unfilled] = self._covered(at[unfilled], micro[unfilled], grad_accum[unfilled])
        found = self._found(at, micro, batch, covered)
        self.tally.add("evaluated", found.cell, np.ones_like(row))
        self.tally.add(SPARED, found.cell, t.every[row] - covered)
        self.tally.add(MEMORY, found.cell, covered - t.least[row])
        self._improve(found)
        if longer is not None:
            self.tally.slow(found.cell, found.seconds, longer * self.times[at], self.limits)
        low = space.batches.low
        bound = space.run.further_least(batch, found.step_s, found.seconds, low)
        if space.run.fixed:
            return found, bound
        # With fewer micro-batches in the pipeline fewer layers may have to be recomputed.
        more = np.flatnonzero(few < covered)
        if len(more):
            fewer = self._found(at[more], micro[more], batch[more], few[more])
            bound[more] = space.run.further_least(fewer.batch, fewer.step_s, fewer.seconds, low)
        return found, bound

    def _covered(self, at: IntArray, micro: IntArray, grad_accum: IntArray) -> IntArray:
        """The fewest layers of a chunk that full recompute covers so that it fits; with all it does."""
        return self.space.fewest_covered(self.row[at], self.dp[at], micro, grad_accum, self.instances[at])

    def _found(self, at: IntArray, micro: IntArray, batch: IntArray, covered: IntArray) -> Found:
        x = (self.cell[at], self.row[at], self.dp[at], micro, batch, covered, self.instances[at])
        return self.space.evaluate(*x)

    def _first_batch(self, at: IntArray, micro: IntArray, cut: IntArray) -> IntArray:
        """The batch to begin with, 0 where none is allowed; those that do not fit in memory are counted."""
        space, t = self.space, self.space.table
        batch = space.batches.edge(cut, smallest=space.run.fixed)
        tight = np.flatnonzero((micro > self.strict[at]) & (batch > 0))
        if not len(tight):
            return batch
        pair, size, cut = at[tight], micro[tight], cut[tight]
        dp = self.dp[pair]
        unfilled = np.where(t.vpp[self.row[pair]] > 1, t.pp[self.row[pair]], t.pp[self.row[pair]] - 1)
        allowed = batch[tight]
        high = np.full_like(cut, space.batches.high + 1)
        if space.run.fixed:
            fits = space.fits(self.row[pair], dp, size, allowed // (size * dp), self.instances[pair])
            rest = space.batches.count(cut, allowed - 1, high)
            self.tally.add(MEMORY, self.cell[pair], np.where(fits, 0, rest * self.times[pair]))
            batch[tight] = np.where(fits, allowed, 0)
            return batch
        allowed = space.batches.edge(cut, False, size * dp * unfilled)
        while True:
            grad_accum = np.maximum(allowed // (size * dp), 1)
            fits = (allowed == 0) | space.fits(self.row[pair], dp, size, grad_accum, self.instances[pair])
            if fits.all():
                break
            allowed = np.where(fits, allowed, space.batches.next(cut, allowed))
        self.tally.add(MEMORY, self.cell[pair], space.batches.count(cut, allowed, high) * self.times[pair])
        batch[tight] = allowed
        return batch

    def _improve(self, found: Found) -> None:
        least = self.best_s.copy()
        np.minimum.at(least, found.cell, found.seconds)
        within = found.seconds <= np.minimum(least, self.limits.least_s)[found.cell]
        if not within.any():
            return
        merged = Found.join([self.found, found.take(within)])
        self.found = merged.take(first_of_each(merged, self.space.table))
        self.best_s[self.found.cell] = self.found.seconds
        self.limits.objective_s = np.minimum(self.limits.objective_s, self.best_s)
        self.limits.objective_s = np.minimum(self.limits.objective_s, self.tighten(self.best_s))


class _EachWithin(_Branch):
    """The same pass with limits that stay: of each layout and micro-batch, the first candidate within them."""

    def __init__(self, space: LayoutSpace, gpus: IntArray, limits: Limits, tighten: Tighten) -> None:
        super().__init__(space, gpus, limits, tighten)
        self.parts: list[Found] = []

    def _goes_on(self, found: Found, bound: FloatArray) -> BoolArray:
        return super()._goes_on(found, bound) & (found.seconds > self.limits.time_s[found.cell])

    def _improve(self, found: Found) -> None:
        self.parts.append(found.take(found.seconds <= self.limits.time_s[found.cell]))
