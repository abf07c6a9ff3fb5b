"""The layouts a framework can run and a scenario allows, as one table; batch and GPU count come later."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from planner.performance.arrays import BoolArray, IntArray, Layouts
from planner.performance.frameworks import framework, legal
from planner.performance.layout_choices import interleaves, layout_axes
from planner.scenario import IntChoice, LayoutBounds
from planner.search.batches import BatchSpace
from planner.workload.model import ModelSpec


@dataclass(frozen=True, slots=True)
class LayoutTable:
    """Layouts of one framework on one kind of node, one entry each, (n,): everything but dp, micro-batch, accumulation.

    `group` is the micro-batches that must come together (pp where chunks interleave, else 1). A layout runs with dp
    that `dp_multiple` divides.
    """

    tp: IntArray
    pp: IntArray
    vpp: IntArray
    cp: IntArray
    ep: IntArray
    zero_stage: IntArray
    sequence_parallel: BoolArray
    recompute: IntArray
    dp_multiple: IntArray
    group: IntArray
    width: IntArray  # GPUs of one replica: tp x pp x cp
    kernel: IntArray  # index of the row's kernel: equal (tp, cp, ep, sequence_parallel, recompute)
    kernel_row: IntArray  # (kernels,) a row of each kernel

    def __len__(self) -> int:
        return len(self.tp)

    def only(self, rows: IntArray) -> LayoutTable:
        """The table of these rows alone."""
        return table_of(
            self.tp[rows],
            self.pp[rows],
            self.vpp[rows],
            self.cp[rows],
            self.ep[rows],
            self.zero_stage[rows],
            self.sequence_parallel[rows].astype(np.int64),
            self.recompute[rows],
            self.dp_multiple[rows],
        )

    def on(self, gpus: int, dp: IntChoice, batches: BatchSpace) -> tuple[IntArray, IntArray]:
        """Rows that fit `gpus` exactly, with an allowed batch, and their dp."""
        rows = np.flatnonzero(gpus % self.width == 0)
        replicas = gpus // self.width[rows]
        keep = (replicas % self.dp_multiple[rows] == 0) & (replicas * self.group[rows] <= batches.high)
        if dp != IntChoice():
            keep &= _allowed(replicas, dp)
        return rows[keep], replicas[keep]

    def space(self, gpus: IntArray, dp: IntChoice, batches: BatchSpace) -> IntArray:
        """Candidates on each GPU count: layouts x ways to cut an allowed batch, (len(gpus),)."""
        if not len(self):
            return np.zeros(len(gpus), dtype=np.int64)
        group_base, multiple_base = int(self.group.max()) + 1, int(self.dp_multiple.max()) + 1
        key = (self.width * group_base + self.group) * multiple_base + self.dp_multiple
        _, first, counts = np.unique(key, return_index=True, return_counts=True)
        kinds = zip(*(c[first].tolist() for c in (self.width, self.group, self.dp_multiple)), strict=True)
        total = np.zeros(len(gpus), dtype=np.int64)
        for (width, group, multiple), count in zip(kinds, counts.tolist(), strict=True):
            at = np.flatnonzero(gpus % (width * multiple) == 0)
            replicas = gpus[at] // width
            ways = batches.ways(replicas * group)
            if dp != IntChoice():
                ways = np.where(_allowed(replicas, dp), ways, 0)
            total[at] += ways * count
        return total


def layout_table(
    name: str,
    model: ModelSpec,
    seq_length: int,
    most: int,
    bounds: LayoutBounds,
    release: str = "",
    stages: tuple[int, ...] | None = None,
) -> LayoutTable:
    """Every layout of at most `most` GPUs that the framework runs and the scenario's bounds allow.

    Parameters as for `layout_choices`.
    """
    row = framework(name)
    axes = layout_axes(name, model, seq_length, most, bounds, release, stages)
    pairs = np.array(list(product(axes.pp, axes.vpp)), dtype=np.int64).reshape(-1, 2)
    pairs = pairs[interleaves(row, model, pairs[:, 0], pairs[:, 1])]
    sizes = (axes.tp, range(len(pairs)), axes.cp, axes.ep, axes.zero_stage, axes.sequence_parallel, axes.recompute)
    columns = np.meshgrid(*(np.asarray(size, dtype=np.int64) for size in sizes), indexing="ij")
    tp, pair, cp, ep, zero, sp, rc = (column.ravel() for column in columns)
    pp, vpp = pairs[pair, 0], pairs[pair, 1]
    multiple = ep // np.gcd(ep, tp * cp)  # experts lie over tp x cp x dp
    ones = np.ones_like(tp)
    probe = Layouts(tp, pp, vpp, multiple, cp, ep, zero, sp.astype(bool), rc, ones, pp)
    keep = (tp * pp * cp * multiple <= most) & legal(name, model, probe, seq_length, release)
    columns = (tp, pp, vpp, cp, ep, zero, sp, rc, multiple)
    return table_of(*(column[keep] for column in columns))


def table_of(
    tp: IntArray,
    pp: IntArray,
    vpp: IntArray,
    cp: IntArray,
    ep: IntArray,
    zero_stage: IntArray,
    sequence_parallel: IntArray,
    recompute: IntArray,
    dp_multiple: IntArray,
) -> LayoutTable:
    """A table of these layouts, (n,) each, with what follows from them."""
    code = np.zeros_like(tp)
    for part in (tp, cp, ep, sequence_parallel, recompute):
        code = code * (int(part.max(initial=0)) + 1) + part
    _, first, kernel = np.unique(code, return_index=True, return_inverse=True)
    return LayoutTable(
        tp=tp,
        pp=pp,
        vpp=vpp,
        cp=cp,
        ep=ep,
        zero_stage=zero_stage,
        sequence_parallel=sequence_parallel.astype(bool),
        recompute=recompute,
        dp_multiple=dp_multiple,
        group=np.where(vpp > 1, pp, 1),
        width=tp * pp * cp,
        kernel=kernel.reshape(-1).astype(np.int64),
        kernel_row=first.astype(np.int64),
    )


def _allowed(values: IntArray, bound: IntChoice) -> BoolArray:
    ok = np.ones(values.shape, dtype=bool)
    if bound.values:
        ok &= np.isin(values, bound.values)
    if bound.minimum is not None:
        ok &= values >= bound.minimum
    if bound.maximum is not None:
        ok &= values <= bound.maximum
    if bound.multiple_of is not None:
        ok &= values % bound.multiple_of == 0
    return ok
