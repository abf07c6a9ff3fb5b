"""The layouts a framework can run and a scenario allows, as one table; batch and GPU count come later."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from planner.performance.arrays import STATED_NOTHING, BoolArray, Conditions, FloatArray, IntArray, Layouts
from planner.performance.frameworks import framework, least_dp, legal
from planner.performance.layout_choices import interleaves, layout_axes
from planner.search.batches import BatchSpace
from planner.search.open_dimensions import (
    FULL,
    divisor_counts,
    every_divisor,
    group_allowed,
    has_groups,
    layers_covered,
    share_covered,
)
from planner.spec.layout import RECOMPUTE
from planner.spec.model import ModelSpec
from planner.spec.scenario import IntChoice, LayoutBounds


@dataclass(frozen=True, slots=True)
class LayoutTable:
    """Layouts of one framework on one kind of node, one entry each, (n,): everything but dp, micro-batch, accumulation.

    `group` is the micro-batches that must come together (pp where chunks interleave, else 1). A layout runs with dp
    that `dp_multiple` divides, `least_dp` at least. Each row stands for all numbers of layers that full recompute may
    cover, and for all groups that states may lie over (`open_ends`).
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
    least_dp: IntArray
    group: IntArray
    width: IntArray  # GPUs of one replica: tp x pp x cp
    size: IntArray  # index of the row's size: GPUs that a run's are a multiple of, width x dp_multiple
    sizes: IntArray  # (sizes,) distinct
    kernel: IntArray  # index of the row's kernel: equal (tp, cp, ep, sequence_parallel, recompute)
    kernel_row: IntArray  # (kernels,) a row of each kernel, of those the one with the least share of layers covered
    stage: IntArray  # index of the row's pipeline stages: equal (kernel, pp, vpp)
    stage_row: IntArray  # (stages,) a row of each
    least: IntArray  # layers of a chunk that full recompute covers at least, 0 where it is not full
    every: IntArray  # and at most
    spares: BoolArray  # whether the row without recompute, all else alike, is in the table, too
    layers: int  # of the model
    can_group: bool  # whether states may lie over a part of the ranks
    shard_group: int | None  # GPUs that they lie over, where stated

    def __len__(self) -> int:
        return len(self.tp)

    def share(self, rows: IntArray, covered: IntArray) -> FloatArray:
        """Share of the layers that full recompute covers, at so many of each chunk, (n,)."""
        return share_covered(self.layers, self.pp[rows] * self.vpp[rows], covered)

    def units(self, rows: IntArray, dp: IntArray) -> IntArray:
        """Into how many groups a row's ranks may split at most; what divides it is allowed, (n,)."""
        free = self.can_group and self.shard_group is None
        return np.where(self.zero_stage[rows] > 0, dp // self.dp_multiple[rows], 1) if free else np.ones_like(dp)

    def instances(self, rows: IntArray, dp: IntArray) -> IntArray:
        """The fewest groups that a row's states lie over: one, unless a smaller group is stated, (n,)."""
        if self.shard_group is None:
            return np.ones_like(dp)
        parts = np.maximum(dp * self.cp[rows] // self.shard_group, 1)
        return np.where(self.zero_stage[rows] > 0, parts, 1)

    def gpus_of_a_group(self, rows: IntArray, dp: IntArray, instances: IntArray) -> FloatArray:
        """GPUs over which states lie, 0 where it is all ranks, (n,)."""
        return np.where(instances > 1, dp * self.cp[rows] / instances, 0.0)

    def every_group(self, rows: IntArray, dp: IntArray) -> tuple[IntArray, IntArray]:
        """(index into `rows`, instances of the states) of every group that rows may have."""
        which, instances = every_divisor(self.units(rows, dp))
        return which, instances * self.instances(rows, dp)[which]

    def times(self, rows: IntArray, dp: IntArray) -> IntArray:
        """How many candidates a row is at one cut of a batch: layers covered x groups, (n,)."""
        return self.covers(rows) * divisor_counts(self.units(rows, dp))

    def covers(self, rows: IntArray) -> IntArray:
        """How many numbers of layers full recompute may cover, (n,)."""
        return self.every[rows] - self.least[rows] + 1

    def layouts(self, rows: IntArray, dp: IntArray, micro: IntArray, grad_accum: IntArray) -> Layouts:
        """These layouts as the performance room takes them."""
        return Layouts(
            self.tp[rows],
            self.pp[rows],
            self.vpp[rows],
            dp,
            self.cp[rows],
            self.ep[rows],
            self.zero_stage[rows],
            self.sequence_parallel[rows],
            self.recompute[rows],
            micro,
            grad_accum,
        )

    def on(self, gpus: int, dp: IntChoice, batches: BatchSpace) -> tuple[IntArray, IntArray]:
        """Rows that fit `gpus` exactly, with an allowed batch, and their dp."""
        rows = np.flatnonzero((gpus % self.sizes == 0)[self.size])
        replicas = gpus // self.width[rows]
        keep = (replicas >= self.least_dp[rows]) & (replicas * self.group[rows] <= batches.high)
        if dp != IntChoice():
            keep &= _allowed(replicas, dp)
        if self.shard_group is not None:
            units = replicas // self.dp_multiple[rows]
            ranks = replicas * self.cp[rows]
            keep &= group_allowed(ranks, units, self.zero_stage[rows], self.shard_group, self.can_group)
        return rows[keep], replicas[keep]

    def space(self, gpus: IntArray, dp: IntChoice, batches: BatchSpace) -> IntArray:
        """Candidates on each GPU count: layouts x ways to cut an allowed batch, (len(gpus),)."""
        if not len(self):
            return np.zeros(len(gpus), dtype=np.int64)
        sharded = (self.zero_stage > 0).astype(np.int64)
        cp = self.cp if self.shard_group else np.ones_like(sharded)
        parts = (self.width, self.group, self.dp_multiple, self.least_dp, sharded, cp)
        key = np.zeros_like(sharded)
        for part in parts:
            key = key * (int(part.max()) + 1) + part
        _, first, back = np.unique(key, return_index=True, return_inverse=True)
        counts = np.bincount(back.reshape(-1), weights=self.every - self.least + 1).astype(np.int64)
        kinds = zip(first.tolist(), *(c[first].tolist() for c in parts), strict=True)
        total = np.zeros(len(gpus), dtype=np.int64)
        for (row, width, group, multiple, least, stage, cp), count in zip(kinds, counts.tolist(), strict=True):
            at = np.flatnonzero((gpus % (width * multiple) == 0) & (gpus >= width * least))
            replicas = gpus[at] // width
            ways = batches.ways(replicas * group)
            if dp != IntChoice():
                ways = np.where(_allowed(replicas, dp), ways, 0)
            if self.shard_group is not None:
                stages = np.full_like(replicas, stage)
                units = replicas // multiple
                ways = ways * group_allowed(replicas * cp, units, stages, self.shard_group, self.can_group)
            total[at] += ways * count * divisor_counts(self.units(np.full_like(replicas, row), replicas))
        return total


def layout_table(
    name: str,
    model: ModelSpec,
    seq_length: int,
    most: int,
    bounds: LayoutBounds,
    release: str = "",
    stages: tuple[int, ...] | None = None,
    conditions: Conditions = STATED_NOTHING,
) -> LayoutTable:
    """Every layout of at most `most` GPUs that the framework runs and the scenario's bounds allow.

    Parameters as for `layout_choices`, and what is stated of the run beside its layout.
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
    fewest = least_dp(row, tp, pp, cp)
    some = multiple * np.where(multiple < fewest, fewest, 1)
    probe = Layouts(tp, pp, vpp, some, cp, ep, zero, sp.astype(bool), rc, ones, pp)
    keep = (tp * pp * cp * some <= most) & legal(name, model, probe, seq_length, release)
    least, every = layers_covered(row, model.layers, pp * vpp, rc, bounds)
    keep &= (rc != FULL) | (least > 0)
    spares = (rc == FULL) & (least < every) & (RECOMPUTE.index("none") in axes.recompute)
    kept = (tp, pp, vpp, cp, ep, zero, sp, rc, multiple, fewest, least, every)
    tp, pp, vpp, cp, ep, zero, sp, rc, multiple, fewest, least, every = (column[keep] for column in kept)
    code = np.zeros_like(tp)
    for part in (tp, cp, ep, sp, rc):
        code = code * (int(part.max(initial=0)) + 1) + part
    order = np.argsort(share_covered(model.layers, pp * vpp, least), kind="stable")
    _, first, which = np.unique(code[order], return_index=True, return_inverse=True)
    kernel = np.zeros_like(order)
    kernel[order] = which.reshape(-1)
    cut = (kernel * (1 + int(pp.max(initial=0))) + pp) * (1 + int(vpp.max(initial=0))) + vpp
    _, stage_row, stage = np.unique(cut, return_index=True, return_inverse=True)
    width = tp * pp * cp
    of_runs, size = np.unique(width * multiple, return_inverse=True)
    return LayoutTable(
        tp=tp,
        pp=pp,
        vpp=vpp,
        cp=cp,
        ep=ep,
        zero_stage=zero,
        sequence_parallel=sp.astype(bool),
        recompute=rc,
        dp_multiple=multiple,
        least_dp=fewest,
        group=np.where(vpp > 1, pp, 1),
        width=width,
        size=size.reshape(-1).astype(np.int64),
        sizes=of_runs,
        kernel=kernel.astype(np.int64),
        kernel_row=order[first].astype(np.int64),
        stage=stage.reshape(-1).astype(np.int64),
        stage_row=stage_row.astype(np.int64),
        least=least,
        every=every,
        spares=spares[keep],
        layers=model.layers,
        can_group=has_groups(row, conditions),
        shard_group=bounds.shard_group,
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
