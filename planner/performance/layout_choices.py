"""Every layout of a GPU count that a framework runs, as arrays: the layout part of the space that the search covers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from planner.performance.arrays import BoolArray, IntArray, Layouts
from planner.performance.frameworks import Framework, framework, least_dp, legal
from planner.performance.pipeline_stages import even
from planner.spec.layout import RECOMPUTE
from planner.spec.model import ModelSpec
from planner.spec.scenario import IntChoice, LayoutBounds
from planner.workload.layers import attention_count


@dataclass(frozen=True, slots=True)
class LayoutAxes:
    """The values that each dimension may take before the rules that tie them together (`legal`, `interleaves`)."""

    tp: tuple[int, ...]
    pp: tuple[int, ...]
    vpp: tuple[int, ...]
    cp: tuple[int, ...]
    ep: tuple[int, ...]
    zero_stage: tuple[int, ...]
    sequence_parallel: tuple[bool, ...]
    recompute: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LayoutChoices:
    """Layouts without their batch, one entry each, (n,); one with vpp > 1 wants grad_accum divisible by pp.

    Ordered by gpus, tp, pp, vpp, cp, ep, zero_stage, sequence_parallel, recompute.
    """

    gpus: IntArray
    tp: IntArray
    pp: IntArray
    vpp: IntArray
    dp: IntArray
    cp: IntArray
    ep: IntArray
    zero_stage: IntArray
    sequence_parallel: BoolArray
    recompute: IntArray

    def __len__(self) -> int:
        return len(self.gpus)

    def take(self, index: IntArray | BoolArray) -> LayoutChoices:
        """The entries that `index` selects, in its order."""
        return LayoutChoices(*(getattr(self, f.name)[index] for f in fields(self)))

    def layouts(self, micro_batch: IntArray, grad_accum: IntArray) -> Layouts:
        """Whole layouts, once each entry has its batch, (n,)."""
        x = self
        return Layouts(
            x.tp, x.pp, x.vpp, x.dp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute, micro_batch, grad_accum
        )


def layout_choices(
    name: str,
    model: ModelSpec,
    seq_length: int,
    gpus: Iterable[int],
    bounds: LayoutBounds | None = None,
    release: str = "",
    stages: tuple[int, ...] | None = None,
) -> LayoutChoices:
    """Every layout of each GPU count that the framework runs, its chunks equal where it interleaves.

    Parameters
    ----------
    name : framework, by name or alias
    gpus : GPU counts, each at least 1
    bounds : what the user pinned or bounded: it leaves layouts out and never adds one
    stages : ZeRO stages with which the framework runs what is stated beside the layout (`stages_run`); None: all

    Returns
    -------
    LayoutChoices with dp = gpus / (tp pp cp). Every ZeRO stage is there with one rank too: what a framework keeps
    whole, gathers and reduces differs by stage, and experts are divided over ranks of their own.
    """
    row = framework(name)
    wanted = bounds or LayoutBounds()
    counts = np.unique(np.fromiter(gpus, dtype=np.int64))
    most = int(counts[-1]) if len(counts) else 0
    axes = layout_axes(name, model, seq_length, most, wanted, release, stages)
    # Pairs first: most of the product of pp and vpp is no interleaving of this model.
    pp, vpp = (each.ravel().astype(np.int64) for each in np.meshgrid(axes.pp, axes.vpp, indexing="ij"))
    pairs = np.flatnonzero(interleaves(row, model, pp, vpp))
    values = (axes.tp, pairs, axes.cp, axes.ep, axes.zero_stage, axes.sequence_parallel, axes.recompute)
    tp, pair, cp, ep, zero, parallel, recompute = (each.ravel() for each in np.meshgrid(*values, indexing="ij"))
    tp, pair, cp, ep, zero, recompute = (each.astype(np.int64) for each in (tp, pair, cp, ep, zero, recompute))
    one = np.ones(len(tp), dtype=np.int64)
    # Rules on the batch hold by construction here (grad_accum = pp), those on dp are held below.
    least = ep * least_dp(row, tp, pp[pair], cp)
    x = Layouts(tp, pp[pair], vpp[pair], least, cp, ep, zero, parallel.astype(bool), recompute, one, pp[pair])
    x = x.take(x.tp * x.pp * x.cp <= most)
    x = x.take(legal(name, model, x, seq_length, release))
    width = x.tp * x.pp * x.cp
    which, sizes = _pairs(width, counts)
    x, dp = x.take(which), sizes // width[which]
    distinct, at = np.unique(dp, return_inverse=True)
    allowed = np.asarray([wanted.dp.allows(int(n)) for n in distinct], dtype=bool)[at]
    choices = LayoutChoices(sizes, x.tp, x.pp, x.vpp, dp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute)
    enough = dp >= least_dp(row, x.tp, x.pp, x.cp)
    return choices.take(((x.tp * x.cp * dp) % x.ep == 0) & enough & allowed)


def layout_axes(
    name: str,
    model: ModelSpec,
    seq_length: int,
    most: int,
    bounds: LayoutBounds | None = None,
    release: str = "",
    stages: tuple[int, ...] | None = None,
) -> LayoutAxes:
    """What each dimension may be with at most `most` GPUs; parameters as for `layout_choices`."""
    row, wanted = framework(name), bounds or LayoutBounds()
    experts = model.moe.experts if model.moe is not None and row.expert_parallel != "none" else 1
    has_sp = row.sequence_parallel != "never" and row.release(release).sequence_parallel
    context = _divisors(seq_length // 2, most) if row.context_parallel and seq_length % 2 == 0 else [1]
    chunks, layers = {1}, model.layers + model.mtp_layers
    for units in range(layers, layers + row.units_beside_layers + 1) if row.interleaving else ():
        chunks.update(_divisors(units, units // 2))  # of two stages or more in equal chunks
    cut = model.heads if attention_count(model) else model.hidden  # what every rank has an equal part of
    return LayoutAxes(
        tp=_allowed(_divisors(cut, most) if row.tensor_parallel else [1], wanted.tp),
        pp=_allowed(range(1, min(model.layers, most) + 1) if row.pipeline_parallel else [1], wanted.pp),
        vpp=_allowed(sorted(chunks), wanted.vpp),
        cp=_allowed(context, wanted.cp),
        ep=_allowed(_divisors(experts, most), wanted.ep),
        zero_stage=_allowed(row.zero_stages if stages is None else stages, wanted.zero_stage),
        sequence_parallel=tuple(v for v in (False, True)[: 1 + has_sp] if wanted.sequence_parallel in (None, v)),
        recompute=tuple(
            RECOMPUTE.index(kind) for kind in row.recompute if not wanted.recompute or kind in wanted.recompute
        ),
    )


def interleaves(row: Framework, model: ModelSpec, pp: IntArray, vpp: IntArray) -> BoolArray:
    """Whether the space holds a pipeline of pp stages with vpp chunks each.

    Without interleaving always; with it, when the chunks are equal, embedding and loss counting as layers where the
    framework may count them.
    """
    equal = even(model.layers + model.mtp_layers, pp, vpp, row.units_beside_layers)
    return np.asarray((vpp == 1) | ((pp > 1) & equal))


def _allowed(sizes: Iterable[int], choice: IntChoice) -> tuple[int, ...]:
    return tuple(size for size in sizes if choice.allows(size))


def _divisors(n: int, most: int) -> list[int]:
    small = [d for d in range(1, math.isqrt(n) + 1) if n % d == 0]
    return [d for d in sorted({*small, *(n // d for d in small)}) if d <= most]


def _pairs(width: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """(index, GPU count) of every pair in which a layout's width divides the count, ordered by count, then index."""
    widths, inverse = np.unique(width, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    starts = np.searchsorted(inverse[order], np.arange(len(widths) + 1))
    which, gpus = [], []
    for count in counts:
        rows = [order[starts[i] : starts[i + 1]] for i in np.flatnonzero(count % widths == 0)]
        here = np.sort(np.concatenate(rows)) if rows else np.empty(0, dtype=np.int64)
        which.append(here)
        gpus.append(np.full(len(here), count, dtype=np.int64))
    if not which:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    return np.concatenate(which), np.concatenate(gpus)
