"""Which global batches a scenario allows, and how many ways there are to cut them into micro-batches."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from planner.performance.arrays import BoolArray, IntArray
from planner.scenario.batch import LARGEST
from planner.spec.scenario import BatchRamp, IntChoice
from planner.units import PlannerError
from planner.words import say


@dataclass(frozen=True)
class BatchSpace:
    """The allowed global batches (sequences) and micro-batches.

    A batch is cut as micro_batch x unit x k, where `unit` (here always named so) is dp, times pp where micro-batches
    come in groups of pp (interleaving). Either every multiple of `multiple_of` in [low, high], or the listed `values`.
    """

    low: int
    high: int
    multiple_of: int
    values: tuple[int, ...]  # descending; empty: the range
    must_divide: int  # micro_batch x unit divides this (a ramp's start and increment); 0: no such rule
    micro_low: int
    micro_high: int
    micro_multiple_of: int
    micro_values: tuple[int, ...]

    def allows_micro(self, micro: IntArray) -> BoolArray:
        """Whether the scenario allows these micro-batches (sequences), any shape."""
        ok = (micro >= self.micro_low) & (micro <= self.micro_high) & (micro % self.micro_multiple_of == 0)
        if self.micro_values:
            ok &= np.isin(micro, self.micro_values)
        return np.asarray(ok, dtype=bool)

    def up_from(self, cut: IntArray, least: IntArray) -> IntArray:
        """The smallest batch from `least` on that `cut` divides, where it divides an allowed one above, (n,)."""
        if self.values:
            return self._from_values(cut, least - 1, True, np.full_like(cut, self.high))
        step = np.lcm(cut, self.multiple_of)
        return -(-np.maximum(least, self.low) // step) * step

    def edge(self, cut: IntArray, smallest: bool, at_most: IntArray | None = None) -> IntArray:
        """The largest (or smallest) allowed batch that `cut` = micro_batch x unit divides; 0 where there is none."""
        ceiling = np.full_like(cut, self.high) if at_most is None else np.minimum(at_most, self.high)
        if self.values:
            return self._from_values(cut, np.zeros_like(cut) if smallest else ceiling + 1, smallest, ceiling)
        step = np.lcm(cut, self.multiple_of)
        batch = -(-self.low // step) * step if smallest else ceiling // step * step
        return np.where((batch >= self.low) & (batch <= ceiling) & self._divides(cut), batch, 0)

    def next(self, cut: IntArray, batch: IntArray) -> IntArray:
        """The next smaller allowed batch that `cut` divides; 0 where there is none."""
        if self.values:
            return self._from_values(cut, batch, False, batch)
        batch = batch - np.lcm(cut, self.multiple_of)
        return np.where(batch >= self.low, batch, 0)

    def count(self, cut: IntArray, above: IntArray, below: IntArray) -> IntArray:
        """How many allowed batches that `cut` divides lie in [above + 1, below - 1]."""
        above, below = np.maximum(above, self.low - 1), np.minimum(below, self.high + 1)
        if self.values:
            found = np.zeros_like(cut)
            for value in self.values:
                found += (value % cut == 0) & (value > above) & (value < below)
        else:
            step = np.lcm(cut, self.multiple_of)
            found = np.maximum((below - 1) // step - above // step, 0)
        return np.where(self._divides(cut), found, 0)

    def all(self, cut: IntArray) -> tuple[IntArray, IntArray]:
        """Every allowed batch that each `cut` divides: (index into `cut`, batch), by index, then batch."""
        if self.values:
            ok = self._divides(cut)
            pairs = [(np.flatnonzero(ok & (value % cut == 0)), value) for value in reversed(self.values)]
            which = np.concatenate([at for at, _ in pairs])
            batch = np.concatenate([np.full(len(at), value) for at, value in pairs])
            order = np.argsort(which, kind="stable")
            return which[order], batch[order]
        step = np.lcm(cut, self.multiple_of)
        first = -(-self.low // step) * step
        count = np.where(self._divides(cut), np.maximum((self.high - first) // step + 1, 0), 0)
        which = np.repeat(np.arange(len(cut)), count)
        nth = np.arange(len(which)) - np.repeat(np.cumsum(count) - count, count)
        return which, first[which] + nth * step[which]

    def _divides(self, cut: IntArray) -> BoolArray:
        if not self.must_divide:
            return np.ones(cut.shape, dtype=bool)
        return np.asarray(self.must_divide % cut == 0)

    def _from_values(self, cut: IntArray, beyond: IntArray, upwards: bool, ceiling: IntArray) -> IntArray:
        """The first listed batch above (else below) `beyond` that `cut` divides, up to `ceiling`; 0: there is none."""
        found = np.zeros_like(cut)
        ok = self._divides(cut)
        for value in reversed(self.values) if upwards else self.values:
            fits = (value > beyond) if upwards else (value < beyond)
            found = np.where((found == 0) & ok & fits & (value <= ceiling) & (value % cut == 0), value, found)
        return found

    @cached_property
    def _table(self) -> tuple[IntArray, IntArray]:
        """Cumulated counts of (micro_batch, k) for each unit 1..high, and where each unit's entries start.

        Entry start[unit] + c counts micro-batches up to c, c = 0..high // unit.
        """
        units = np.arange(self.high + 1, dtype=np.int64)
        units[0] = self.high + 1  # unit 0 does not exist: one entry, nothing counted
        lengths = self.high // units + 1
        start = np.concatenate([[0], np.cumsum(lengths)])
        unit = np.repeat(units, lengths)
        micro = np.arange(start[-1], dtype=np.int64) - np.repeat(start[:-1], lengths)
        cut = np.maximum(micro, 1) * unit
        if self.values:
            count = np.zeros_like(cut)
            for value in self.values:
                count += value % cut == 0
        else:
            step = np.lcm(cut, self.multiple_of)
            count = self.high // step - (self.low - 1) // step
        count = np.where((micro > 0) & self.allows_micro(micro) & self._divides(cut), count, 0)
        total = np.cumsum(count)
        before = np.concatenate([[0], total])[start[:-1]]
        return total - np.repeat(before, lengths), start

    def ways(self, unit: IntArray, micro_up_to: IntArray | None = None) -> IntArray:
        """How many (micro_batch, k) give an allowed batch, micro_batch at most `micro_up_to`; shape of `unit`."""
        table, start = self._table
        inside = np.minimum(unit, self.high)
        last = start[inside + 1] - start[inside] - 1
        if micro_up_to is not None:
            last = np.clip(micro_up_to, 0, last)
        return np.where(unit <= self.high, table[start[inside] + last], 0)


def batch_space(batch: IntChoice, micro: IntChoice, ramp: BatchRamp | None) -> BatchSpace:
    """The batches that `training.global_batch`, `layout.micro_batch` and `training.batch_ramp` allow.

    Raises
    ------
    PlannerError
        If no batch is left.
    """
    low, high, multiple = batch.minimum or 1, batch.maximum, batch.multiple_of or 1
    values: tuple[int, ...] = ()
    if batch.values:
        values = tuple(sorted((v for v in set(batch.values) if batch.allows(v)), reverse=True))
    elif high is None:
        raise PlannerError(say("batches.no_upper_bound"))
    divide = 0
    if ramp is not None:
        divide = int(np.gcd(ramp.start, ramp.increment))
        source = values or range((high or 0) // multiple * multiple, low - 1, -multiple)
        values = tuple(v for v in source if v >= ramp.start and (v - ramp.start) % ramp.increment == 0)
        if not values:
            raise PlannerError(say("batches.ramp", start=ramp.start, increment=ramp.increment))
    if values:
        low, high, multiple = values[-1], values[0], 1
    if high and high > LARGEST:
        raise PlannerError(say("batches.too_large", batch=high, most=LARGEST))
    if not high or high < low or (not values and high // multiple * multiple < low):
        raise PlannerError(say("batches.none", low=low, high=high))
    return BatchSpace(
        low=low,
        high=high,
        multiple_of=multiple,
        values=values,
        must_divide=divide,
        micro_low=micro.minimum or 1,
        micro_high=min(micro.maximum or high, high),
        micro_multiple_of=micro.multiple_of or 1,
        micro_values=micro.values,
    )
