"""The part of a layout's memory that neither its data-parallel ranks nor its micro-batches change, and how they enter.

Computed once a layout, asked with `at` for millions of (dp, grad_accum) pairs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Setting
from planner.performance.conditions import condition_numbers, is_fused, is_unfused
from planner.performance.framework_table import Framework, KindBytes, StateBytes, memory_framework
from planner.performance.memory_shapes import LayerBytes, MemoryShapes, memory_shapes, with_adapter
from planner.performance.memory_states import frozen_bytes, state_bytes
from planner.performance.pipeline_stages import in_flight_limit, stage_layers
from planner.workload.adapters import adapter_counts

GIB = float(2**30)
Rows = IntArray | slice
EVERY = slice(None)
#: Bytes a logit that stands whole: eagerly 16-bit logits (2), their fp32 copy (4), log-softmax (4), its gradient (4)
#: and that in 16 bits (2), as torch.nn.functional.cross_entropy of fp32 logits keeps them; in chunks none.
LOSS_BYTES = {"eager": 16.0, "fused": 6.0, "chunked": 0.0}
CHUNK_TOKENS = 1024  # whose logits stand at once where the loss runs in chunks
NONE = np.zeros(())  # of what a model has not: as an array of no dimension it costs nothing


@dataclass(frozen=True, slots=True)
class StageActivations:
    """Activations of one sequence on one stage, GiB (n,): held x each + once, held = min(limit, micro-batches)."""

    limit: FloatArray  # micro-batches in flight, in whole-stage units
    each: FloatArray
    once: FloatArray  # of the layer being run, or the logits
    kept_each: FloatArray  # the same without full recompute: what it never exceeds
    kept_once: FloatArray
    fewer: FloatArray | None = None  # parameters that its ranks have less than the layout's `whole`; None: not known

    def at(self, micro_batches: FloatArray, any_full: bool, rows: Rows) -> FloatArray:
        held = np.minimum(self.limit[rows], micro_batches)
        kept = held * self.each[rows] + self.once[rows]
        if not any_full:
            return kept
        # One layer in flight is all that full recompute would rebuild: then it saves nothing.
        return np.minimum(kept, held * self.kept_each[rows] + self.kept_once[rows])


@dataclass(frozen=True, slots=True)
class LayoutMemory:
    """Memory of layouts before dp and grad_accum are known, (n,) each."""

    whole: FloatArray  # parameters of the fullest rank
    shard: FloatArray  # of those, the share of one of dp ranks times dp
    zero_stage: IntArray
    fixed_gib: FloatArray  # states kept whole, overhead
    divided_gib: FloatArray  # states that dp divides
    shared_gib: FloatArray  # more overhead and buckets, once dp is above 1
    gather: FloatArray  # parameters gathered at once under ZeRO 3, in bytes
    reduce: FloatArray  # gradients not yet scattered under ZeRO 2 and 3, in bytes
    stages: tuple[StageActivations, ...]
    overhead_gib: FloatArray
    step_gib: tuple[FloatArray, FloatArray]  # copies of the gradients in the optimizer's step: whole, and divided by dp
    # What sharding weights (ZeRO 3) and gradients (ZeRO 2) saves: bytes a whole parameter, less bytes a sharded one.
    saved_bytes: tuple[tuple[float, float], tuple[float, float]]
    any_full: bool
    any_sharded: bool
    whole_bytes: FloatArray | None = None  # a parameter of the states kept whole, where stages' parameters are known
    group: FloatArray | None = None  # the most ranks that states are divided over, where a shard group is stated
    adapters: tuple[FloatArray, FloatArray] | None = None  # as `whole` and `shard`, of adapters on frozen weights

    def ranks(self, dp: IntArray | FloatArray, rows: Rows = EVERY) -> FloatArray:
        """Data-parallel ranks that states are divided over: all, unless a smaller shard group is stated."""
        ranks = np.asarray(dp, dtype=np.float64)
        return ranks if self.group is None else np.minimum(ranks, self.group[rows])

    def at(
        self, dp: IntArray | FloatArray, grad_accum: IntArray | FloatArray, rows: Rows = EVERY
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(GiB without activations, of activations a sequence of the micro-batch, in the optimizer's step), (n,).

        The step runs when activations are gone, and makes copies of gradients in their place.

        `rows` names the layout of each pair of dp and grad_accum, as an index into these; without it, pairs and
        layouts go together.
        """
        ranks, shared = self.ranks(dp, rows), self.shared_gib[rows]
        base = self.fixed_gib[rows] + self.divided_gib[rows] / ranks + np.where(np.asarray(dp) > 1, shared, 0.0)
        if self.any_sharded:
            gathered, reduced = self.buffers(ranks, rows)
            base = base + (gathered + reduced) / GIB
        micro_batches = np.asarray(grad_accum, dtype=np.float64)
        base = base - self.spare(micro_batches, rows)
        return base, self.activations(micro_batches, rows), base + self.step(ranks, rows)

    def spare(self, micro_batches: FloatArray, rows: Rows = EVERY) -> FloatArray:
        """GiB by which the most of states and the most of activations, on different ranks, exceed the fullest, (n,).

        Reckoned at one sequence a micro-batch, where it is exact; with more the fullest rank needs no more than this.
        """
        if self.whole_bytes is None:
            return np.zeros(())
        held = [stage.at(micro_batches, self.any_full, rows) for stage in self.stages]
        least = [
            each - (0.0 if stage.fewer is None else stage.fewer[rows]) * self.whole_bytes[rows] / GIB
            for stage, each in zip(self.stages, held, strict=True)
        ]
        return np.asarray(np.max(held, axis=0) - np.max(least, axis=0))

    def step(self, ranks: FloatArray, rows: Rows = EVERY) -> FloatArray:
        """GiB of copies of gradients that the optimizer's step makes, (n,)."""
        whole, divided = self.step_gib
        return np.asarray(whole[rows] + divided[rows] / ranks)

    def activations(self, micro_batches: FloatArray, rows: Rows = EVERY) -> FloatArray:
        """GiB a sequence of the micro-batch on the stage that holds the most, (n,); non-decreasing in micro_batches."""
        most = self.stages[0].at(micro_batches, self.any_full, rows)
        for stage in self.stages[1:]:
            most = np.maximum(most, stage.at(micro_batches, self.any_full, rows))
        return most

    def buffers(self, ranks: FloatArray, rows: Rows = EVERY) -> tuple[FloatArray, FloatArray]:
        """Bytes of gathered weights and unscattered gradients; never more than keeping all would take."""
        whole, shard = self.whole[rows], self.shard[rows] / ranks
        (full, part), (full_gradients, part_gradients) = self.saved_bytes
        return (
            np.minimum(self.gather[rows], full * whole - part * shard),
            np.minimum(self.reduce[rows], full_gradients * whole - part_gradients * shard),
        )


def layout_memory(
    setting: Setting,
    tp: IntArray,
    pp: IntArray,
    vpp: IntArray,
    cp: IntArray,
    ep: IntArray,
    zero_stage: IntArray,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    share: FloatArray | None = None,
    group: FloatArray | None = None,
) -> LayoutMemory:
    """What does not depend on dp and grad_accum; arguments as the fields of Layouts, (n,) each.

    `share` of the layers full recompute covers and `group` of GPUs states are sharded over (0: all), (n,) each; None:
    as the setting states.
    """
    row = memory_framework(setting.framework)
    constants = row.memory
    shapes = shapes_of(setting, row)
    t, p, v, c, e = (axis.astype(np.float64) for axis in (tp, pp, vpp, cp, ep))
    both_ends = setting.conditions.both_ends
    stages = _stages_of(shapes, pp, t, e * setting.conditions.expert_tp, row.units_beside_layers > 0, both_ends)
    state, of_adapters = states_of(setting, row)
    kinds = (state.weights, state.gradients, state.optimizer)
    whole = stages.dense + stages.experts
    sharded_over = c if row.zero_shards_over_context else np.ones_like(c)  # ranks that data parallelism takes in
    adapters = None  # parameters of adapters on the fullest rank, and what one of dp ranks shards of them times dp
    if setting.conditions.adapter is not None:
        own = adapter_counts(setting.model, setting.conditions.adapter)
        layers = np.ceil(setting.model.layers / p) / setting.model.layers  # share of them
        held = layers * (own.dense - own.divided + own.divided / t + own.experts / e) + own.head
        adapters = held, held / sharded_over
    shard = stages.dense / sharded_over
    if shapes.every:
        # Experts are divided over their own data-parallel group, t c D / e.
        shard = shard + stages.experts * e * setting.conditions.expert_tp / (t * c)
    if both_ends:
        shard = np.where(pp > 1, shard / 2.0, shard)  # the pipeline holds each stage twice: two ranks share its states
    loss = setting.conditions.loss
    chunked = loss == "chunked" or (not loss and constants.logits_bytes == 0.0)
    chunk = LOSS_BYTES["fused"] * CHUNK_TOKENS if chunked else 0.0
    groups = (tp > 1).astype(np.float64) + (pp > 1) + (cp > 1) + (ep > 1)
    table = stages.vocab * shapes.hidden
    kind = "fp16" if of_adapters.gradients_of_16_bits and "fp16" in constants.bucket_bytes else setting.precision
    if adapters is None:
        largest = constants.largest_bytes[kind] * np.maximum(table, shapes.largest / t)
    else:  # frozen weights have no gradient; in 4 bits the largest stands in 16 while it is multiplied with
        largest = (2.0 if shapes.table_weight != 1.0 else 0.0) * shapes.largest / t
    overhead = constants.overhead_gib + constants.overhead_per_group_gib * groups
    overhead = overhead + (largest + chunk * stages.vocab) / GIB
    bucket = np.minimum(constants.bucket_bytes[kind], 2.0 * (whole if adapters is None else adapters[0])) / GIB
    # The root unit (embedding, head) stays gathered beside the layers, and so does its gradient.
    root = (2.0 if adapters is None else shapes.table_weight) * constants.gather_bytes * table
    # Adapters' states, whole and divided, and the copies that the optimizer's step makes of gradients.
    trained = (whole, shard) if adapters is None else adapters
    step, extra = (
        [n * by_stage(held_kinds, part, zero_stage) / GIB for n, part in zip(trained, ("full", "shard"), strict=True)]
        for held_kinds in ((of_adapters.step,), (of_adapters.weights, of_adapters.gradients, of_adapters.optimizer))
    )
    fixed, divided = (0.0, 0.0) if adapters is None else extra
    stated = setting.conditions.shard_group if group is None else group
    ranks = None  # of a shard group, of which context-parallel ones each take a part
    if stated is not None and np.any(stated):
        ranks = np.where(np.asarray(stated) > 0, np.maximum(stated / sharded_over, 1.0), np.inf)
    return LayoutMemory(
        whole=whole,
        shard=shard,
        zero_stage=zero_stage,
        fixed_gib=overhead + whole * by_stage(kinds, "full", zero_stage) / GIB + fixed,
        divided_gib=shard * by_stage(kinds, "shard", zero_stage) / GIB + divided,
        shared_gib=constants.overhead_per_group_gib + bucket,
        gather=np.where(zero_stage >= 3, constants.gather_layers * constants.gather_bytes * stages.layer + root, 0.0),
        reduce=np.where(zero_stage >= 2, constants.reduce_bytes * stages.layer, 0.0),
        stages=_stage_activations(setting, row, shapes, stages, sequence_parallel, recompute, share, t, p, v, c),
        whole_bytes=by_stage(kinds, "full", zero_stage) if both_ends else None,
        overhead_gib=overhead,
        step_gib=(step[0], step[1]),
        saved_bytes=(_saved(state.weights, 3), _saved(state.gradients, 2)),
        any_full=bool((recompute == 2).any()),
        any_sharded=bool((zero_stage >= 2).any()),
        group=ranks,
        adapters=adapters,
    )


def states_of(setting: Setting, row: Framework) -> tuple[StateBytes, StateBytes]:
    """Bytes a parameter of the model's own weights and of what is trained, which are the same without adapters."""
    trained = state_bytes(setting, row)
    return (trained if setting.conditions.adapter is None else frozen_bytes(trained)), trained


def shapes_of(setting: Setting, row: Framework) -> MemoryShapes:
    """The model's coefficients as the setting runs it."""
    flash, modules = not is_unfused(setting), setting.conditions.recompute_modules
    shapes = memory_shapes(
        setting.model, setting.seq_length, setting.precision, row.name, flash, is_fused(setting), modules
    )
    adapter = setting.conditions.adapter
    return shapes if adapter is None else with_adapter(shapes, setting.model, adapter)


def _saved(kind: KindBytes, stage: int) -> tuple[float, float]:
    return kind.full[stage - 1] - kind.full[stage], kind.shard[stage] - kind.shard[stage - 1]


def by_stage(kinds: tuple[KindBytes, ...], part: str, zero_stage: IntArray) -> FloatArray:
    """Bytes a parameter of some kinds of state (`part`: full or shard) at each ZeRO stage, (n,)."""
    table = np.sum([getattr(kind, part) for kind in kinds], axis=0)
    return np.asarray(table, dtype=np.float64)[zero_stage]


# Parameters -----------------------------------------------------------------------------------------------------------


class Kinds(NamedTuple):
    """Layers of a stage by kind, (n,); of a kind that the model has not, one zero for all."""

    dense: FloatArray
    moe: FloatArray


@dataclass(frozen=True, slots=True)
class _Stages:
    """Layers of each stage that can be the fullest, and parameters of the fullest rank, (n,)."""

    first: Kinds
    second: Kinds
    last: Kinds
    dense: FloatArray  # parameters outside routed experts
    experts: FloatArray  # of routed experts
    layer: FloatArray  # of the largest layer, its experts included
    fewer: tuple[FloatArray, FloatArray] | None  # parameters less on ranks of the ends, and between; None: not known
    vocab: FloatArray  # rows of the vocabulary


def _stages_of(
    shapes: MemoryShapes, pp: IntArray, t: FloatArray, e: FloatArray, chosen: bool, both_ends: bool
) -> _Stages:
    cut = stage_layers(shapes.layers, pp, chosen)
    first = _kinds(shapes, cut.first.astype(np.float64), shapes.first_dense)
    # With one stage there is no other: the first stands for all.
    single = pp == 1
    second, last = (_kinds(shapes, layers.astype(np.float64), 0) for layers in (cut.fullest, cut.last))
    if shapes.first_dense:
        second, last = (Kinds(*(np.where(single, a, b) for a, b in zip(first, x, strict=True))) for x in (second, last))
    rows = np.ceil(shapes.vocab_rows / (shapes.vocab_multiple * t)) * shapes.vocab_multiple
    table = rows * shapes.hidden * shapes.table_weight
    dense_layer = shapes.dense_split / t + shapes.dense_whole if shapes.has_dense else NONE
    moe_layer = shapes.moe_split / t + shapes.moe_whole if shapes.every else NONE
    routed = shapes.routed / e

    def parameters(kinds: Kinds) -> FloatArray:
        return kinds.dense * dense_layer + kinds.moe * moe_layer

    # Tied weights are one table without a pipeline, and a copy at either end with one.
    alone = np.where(single, (0.0 if shapes.tied else table) + shapes.outside, 0.0)
    at_first = parameters(first) + table + shapes.positions + alone
    at_last = parameters(last) + np.where(single, 0.0, table + shapes.outside)
    # A stage between has no table, but may have a layer more, or more experts: the most of each is taken.
    fewer = None
    if both_ends:  # the outer ranks run the first stage and the last, the others two between
        outer, outer_moe = (np.where(single, a, a + b) for a, b in ((at_first, at_last), (first.moe, last.moe)))
        inner, inner_moe = (np.where(single, 1.0, 2.0) * each for each in (parameters(second), second.moe))
        dense, most = np.maximum(outer, inner), np.maximum(outer_moe, inner_moe)
        fewer = (dense - outer + (most - outer_moe) * routed, dense - inner + (most - inner_moe) * routed)
    else:
        dense = np.maximum(np.maximum(at_first, at_last), parameters(second))
        most = np.maximum(np.maximum(first.moe, second.moe), last.moe)
    layer = moe_layer + routed if shapes.every else dense_layer
    return _Stages(first, second, last, dense, most * routed, layer, fewer, rows)


def _kinds(shapes: MemoryShapes, layers: FloatArray, first_dense: int) -> Kinds:
    if not shapes.every:
        return Kinds(layers, NONE)
    if shapes.most_moe:
        moe = np.asarray(shapes.most_moe)[np.minimum(layers.astype(int), len(shapes.most_moe) - 1)]
        return Kinds(layers - moe if shapes.has_dense else NONE, moe)
    moe = np.ceil(np.maximum(layers - first_dense, 0.0) / shapes.every)
    return Kinds(layers - moe if shapes.has_dense else NONE, moe)


# Activations ----------------------------------------------------------------------------------------------------------


def _stage_activations(
    setting: Setting,
    row: Framework,
    shapes: MemoryShapes,
    stages: _Stages,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    share: FloatArray | None,
    t: FloatArray,
    p: FloatArray,
    v: FloatArray,
    c: FloatArray,
) -> tuple[StageActivations, ...]:
    """The stages that can hold the most: first, last, and the second where the first has fewer layers of a kind.

    Source: Korthikanti et al. 2022, sections 4 and 5.
    """
    inverse = 1.0 / t
    # Of the layers; those that full recomputation spares keep all.
    share = np.asarray(condition_numbers(setting).full_share) if share is None else share
    spread = np.where(sequence_parallel, inverse, 1.0)
    gib_a_byte = setting.seq_length * (1.0 + row.memory.fragmentation) / GIB / c

    def size(layer: LayerBytes) -> FloatArray:
        split = layer.split + layer.scores * setting.seq_length
        return (layer.spread + layer.routed) * spread + split * inverse

    def leaned(kept: LayerBytes, lean: LayerBytes) -> tuple[FloatArray, FloatArray]:
        everything = size(kept)
        leaner = np.where(share >= 1.0, recompute >= 1, recompute == 1)
        return everything, everything if lean == kept else np.where(leaner, size(lean), everything)

    dense, lean_dense = leaned(shapes.dense, shapes.dense_selective) if shapes.has_dense else (NONE, NONE)
    moe, lean_moe = leaned(shapes.moe, shapes.moe_selective) if shapes.every else (NONE, NONE)
    checkpoint = shapes.input_bytes * spread
    working = np.maximum(dense, moe) if shapes.widest is None else size(shapes.widest)
    working = working - checkpoint
    transient = size(shapes.transient)
    stream = shapes.hidden * spread  # elements a token of the residual stream
    passed = np.where(p > 1.0, row.memory.stage_bytes, 0.0) * stream
    offloaded = setting.conditions.moves_activations
    logits = LOSS_BYTES.get(setting.conditions.loss, row.memory.logits_bytes) * shapes.logits_copies * stages.vocab
    full = recompute == 2

    at_ends, between = stages.fewer or (None, None)

    def stage(
        kinds: Kinds, limit: FloatArray, at_end: FloatArray, received: FloatArray, fewer: FloatArray | None
    ) -> StageActivations:
        checkpoints = (kinds.dense + kinds.moe) * checkpoint
        moved = checkpoints if offloaded else NONE
        kept_each = kinds.dense * lean_dense + kinds.moe * lean_moe + received - moved
        # What is dropped of the layer in backward is there again while it runs.
        rebuilt = np.maximum(
            np.where(kinds.dense > 0, dense - lean_dense, NONE), np.where(kinds.moe > 0, moe - lean_moe, NONE)
        )
        kept_once = np.maximum(transient + rebuilt, at_end) + (2.0 * checkpoint if offloaded else NONE)
        each = np.where(full, share * (checkpoints + received - moved) + (1.0 - share) * kept_each, kept_each)
        once = np.maximum(transient + working, at_end) + (2.0 * checkpoint if offloaded else NONE)
        once = np.where(full, once, kept_once)
        each, once, kept_each, kept_once = (x * gib_a_byte for x in (each, once, kept_each, kept_once))
        return StageActivations(limit, each, once, kept_each, kept_once, fewer)

    both_ends = setting.conditions.both_ends
    out = [
        stage(
            stages.first,
            in_flight_limit(p, v, 0, both_ends),
            logits if both_ends else np.where(p == 1.0, logits, 0.0),
            passed + row.memory.embedding_bytes * stream,
            at_ends,
        ),
        stage(stages.last, in_flight_limit(p, v, -1, both_ends), logits, passed, at_ends),
    ]
    if row.memory.stage_bytes or any(bool((a < b).any()) for a, b in zip(stages.first, stages.second, strict=True)):
        out.append(stage(stages.second, in_flight_limit(p, v, 1, both_ends), np.zeros_like(t), 2.0 * passed, between))
    return tuple(out)
