"""Evaluated candidates, as arrays or one of them, and the total order among them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.search.layouts import LayoutTable


@dataclass(frozen=True, slots=True)
class Found:
    """Evaluated candidates, one entry each, (n,): table row, dp, micro-batch, global batch, seconds of the run.

    `covered` are the layers of each chunk that full recompute covers, `instances` the groups that states lie over.
    """

    cell: IntArray
    row: IntArray
    dp: IntArray
    micro: IntArray
    batch: IntArray
    covered: IntArray
    instances: IntArray
    step_s: FloatArray
    seconds: FloatArray

    def take(self, index: IntArray | BoolArray) -> Found:
        return Found(*(getattr(self, name)[index] for name in self.__slots__))

    def pick(self, at: int) -> Pick:
        return Pick(*(getattr(self, name)[at].item() for name in self.__slots__))

    def copy(self) -> Found:
        return Found(*(getattr(self, name).copy() for name in self.__slots__))

    def put(self, index: IntArray, found: Found) -> None:
        """Writes other candidates at these places, whose cells stay."""
        for name in self.__slots__[1:]:
            getattr(self, name)[index] = getattr(found, name)

    @staticmethod
    def join(parts: list[Found]) -> Found:
        return Found(*(np.concatenate([getattr(p, name) for p in parts]) for name in Found.__slots__))


@dataclass(frozen=True, slots=True)
class Pick:
    """One candidate, as `Found` holds many: a cell, a row of its layout table, how the batch is cut, the prediction."""

    cell: int
    row: int
    dp: int
    micro: int
    batch: int
    covered: int  # layers of each chunk that full recompute covers
    instances: int  # groups of ranks that sharded states lie over
    step_s: float
    seconds: float


def nothing() -> Found:
    """No candidate at all."""
    none = np.zeros(0, dtype=np.int64)
    return Found(none, none, none, none, none, none, none, np.zeros(0), np.zeros(0))


def first_of_each(found: Found, table: LayoutTable) -> IntArray:
    """Index of each cell's first candidate: least time, then the total order (batch, simpler layout, its numbers)."""
    t, row = table, found.row
    keys = (
        found.instances,
        found.covered,
        found.micro,
        t.recompute[row],
        t.sequence_parallel[row],
        t.zero_stage[row],
        t.ep[row],
        t.cp[row],
        t.vpp[row],
        t.pp[row],
        t.tp[row],
        complexity(table, row),
        found.batch,
        found.seconds,
        found.cell,
    )
    order = np.lexsort(keys)
    cells = found.cell[order]
    head = np.ones(len(order), dtype=bool)
    head[1:] = cells[1:] != cells[:-1]
    return order[head]


def complexity(table: LayoutTable, row: IntArray) -> IntArray:
    """How far from plain data parallelism: dimensions in use, ZeRO beyond stage 1, recompute, sequence parallel.

    ZeRO 1 counts as plain: it divides the optimizer and changes nothing else.
    """
    used = sum(np.asarray(d[row] > 1, dtype=np.int64) for d in (table.tp, table.pp, table.vpp, table.cp, table.ep))
    zero = np.maximum(table.zero_stage[row] - 1, 0)
    return np.asarray(used + zero + table.recompute[row] + table.sequence_parallel[row], dtype=np.int64)
