"""What a row of the layout table leaves open: how many layers full recompute covers, over how many GPUs states lie.

Both are searched. Full recompute takes whole layers, as many of each pipeline stage (or chunk) as Megatron-LM's
`--recompute-num-layers` says; `covered` counts them, and the last count is every layer. States that ZeRO shards lie
over all data-parallel ranks, or over a shard group of them (HSDP, `--num-distributed-optimizer-instances`);
`instances` is how many such groups there are.
"""

from __future__ import annotations

from functools import cache
from math import isqrt

import numpy as np

from planner.performance.arrays import BoolArray, Conditions, FloatArray, IntArray
from planner.performance.framework_table import Framework
from planner.spec.layout import RECOMPUTE
from planner.spec.scenario import LayoutBounds

FULL = RECOMPUTE.index("full")
ROUNDING = 1e-4  # layers: shares are written with few digits


def has_shares(row: Framework) -> bool:
    """Whether a framework recomputes a part of the layers."""
    return "recompute_share" not in row.lacks


def has_groups(row: Framework, conditions: Conditions) -> bool:
    """Whether a framework shards states over a part of the ranks, with the optimizer that is stated."""
    able = row.optimizers_in_groups or (conditions.optimizer,)
    return "shard_group" not in row.lacks and conditions.optimizer in able


def layers_covered(
    row: Framework, layers: int, chunks: IntArray, recompute: IntArray, bounds: LayoutBounds
) -> tuple[IntArray, IntArray]:
    """The fewest and most layers of a chunk that full recompute covers, (n,) each; 0 where it is not full.

    A stated share is rounded up to whole layers. Where it is of no layer, none is covered: that is no full recompute.
    """
    every = np.where(recompute == FULL, -(-layers // chunks), 0)
    stated = bounds.recompute_share
    if stated is not None:
        whole = np.ceil(stated * layers / chunks - ROUNDING).astype(np.int64)
        least = np.minimum(np.maximum(whole, 0), every) if has_shares(row) else np.where(stated > 0, every, 0)
        return least, least
    free = has_shares(row) and not row.shares_of_every_nth
    return (np.minimum(every, 1), every) if free else (every, every)


def share_covered(layers: int, chunks: IntArray, covered: IntArray) -> FloatArray:
    """Share of all layers that so many of each chunk are, (n,)."""
    return np.minimum(covered * chunks / layers, 1.0)


@cache
def divisors(n: int) -> tuple[int, ...]:
    """The divisors of n, ascending."""
    low = [d for d in range(1, isqrt(n) + 1) if n % d == 0]
    return (*low, *(n // d for d in reversed(low) if d * d != n))


def distinct(counts: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct values of counts, ascending, and which of them each is, its shape: by a table, not by sorting."""
    present = np.zeros(int(counts.max(initial=0)) + 1, dtype=bool)
    present[counts] = True
    place = np.cumsum(present) - 1
    return np.flatnonzero(present), place[counts]


def divisor_counts(values: IntArray) -> IntArray:
    """How many divisors each value has, its shape."""
    each, which = distinct(values)
    return np.array([len(divisors(int(n))) for n in each], dtype=np.int64)[which]


def every_divisor(values: IntArray) -> tuple[IntArray, IntArray]:
    """(index into `values`, divisor) of every divisor of each, by index, then divisor."""
    each, back = distinct(values)
    lists = [divisors(int(n)) for n in each]
    flat = np.array([d for each in lists for d in each], dtype=np.int64)
    sizes = np.array([len(each) for each in lists], dtype=np.int64)
    starts = np.cumsum(sizes) - sizes
    which, nth = spread_out(sizes[back])
    return which, flat[starts[back][which] + nth]


def spread_out(counts: IntArray) -> tuple[IntArray, IntArray]:
    """(index, 0 .. count - 1) of each of so many repeats, by index."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)


def group_allowed(ranks: IntArray, units: IntArray, zero_stage: IntArray, group: int, can: bool) -> BoolArray:
    """Whether layouts run with states over a stated group of GPUs, (n,).

    `ranks` share the data, and split into at most `units` groups. A group that is no smaller than they are is all of
    them, and without ZeRO nothing is sharded.
    """
    whole = (ranks <= group) | (zero_stage == 0)
    parts = ranks // group
    return np.asarray(whole | (can & (ranks % group == 0) & (units % np.maximum(parts, 1) == 0)))
