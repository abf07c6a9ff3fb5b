"""GPU memory of a layout: weights, gradients, optimizer, activations by schedule and stage, buffers, overhead.

The fullest GPU counts. At fixed everything else the total is affine in micro_batch, never falls as micro_batch or
grad_accum grows (it is constant once grad_accum reaches twice the stages), and never rises with the ZeRO stage or from
no recompute to selective to full. Terms and calibrated constants are explained in docs/memory.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Layouts, Memory, Setting
from planner.performance.frameworks import Framework, KindBytes, framework
from planner.performance.memory_shapes import LayerBytes, MemoryShapes, memory_shapes
from planner.performance.stages import in_flight, stage_layers

GIB = float(2**30)
#: Share of the memory that clouds report which driver and ECC keep: CUDA offers 39.59 GiB of an A100's 40, 79.15 to 79.33
#: of its 80 (torch.cuda.get_device_properties total_memory, as printed in PyTorch's out-of-memory messages).
DRIVER_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class AffineMemory:
    """Memory as a function of the micro-batch, in GiB, each (n,): total = base + micro_batch x activations."""

    weights: FloatArray
    gradients: FloatArray
    optimizer: FloatArray
    other: FloatArray
    activations: FloatArray  # of a micro-batch of one sequence

    @property
    def base(self) -> FloatArray:
        return self.weights + self.gradients + self.optimizer + self.other


def memory(setting: Setting, layouts: Layouts) -> Memory:
    """Memory of the fullest GPU of each layout, in GiB, (n,)."""
    x = layouts
    affine = memory_terms(
        setting, x.tp, x.pp, x.vpp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute, x.dp, x.grad_accum
    )
    return Memory(affine.weights, affine.gradients, affine.optimizer, affine.activations * x.micro_batch, affine.other)


def memory_affine(
    setting: Setting,
    tp: IntArray,
    pp: IntArray,
    vpp: IntArray,
    cp: IntArray,
    ep: IntArray,
    zero_stage: IntArray,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    dp: IntArray,
    grad_accum: IntArray,
) -> tuple[FloatArray, FloatArray]:
    """(GiB without activations, GiB of activations of one sequence), each (n,); arguments as the fields of Layouts."""
    terms = memory_terms(setting, tp, pp, vpp, cp, ep, zero_stage, sequence_parallel, recompute, dp, grad_accum)
    return terms.base, terms.activations


def capacity_gib(setting: Setting) -> float:
    """GiB of one accelerator that a program can use: what software sees, less what the driver keeps."""
    return setting.accelerator.memory_gib * (1.0 - DRIVER_SHARE)


def fits(setting: Setting, layouts: Layouts) -> BoolArray:
    """Whether each layout's memory is within capacity, (n,)."""
    return memory(setting, layouts).total <= capacity_gib(setting)


def largest_micro_batch(setting: Setting, layouts: Layouts) -> IntArray:
    """The most sequences a micro-batch may hold within capacity, (n,); 0 where not even one fits.

    The layouts' own micro_batch is not looked at; their grad_accum is kept.
    """
    x = layouts
    base, each = memory_affine(
        setting, x.tp, x.pp, x.vpp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute, x.dp, x.grad_accum
    )
    return np.maximum(np.floor((capacity_gib(setting) - base) / each), 0.0).astype(np.int64)


def least_recompute(setting: Setting, layouts: Layouts) -> IntArray:
    """The least recompute (code of RECOMPUTE) with which each layout fits, among those the framework has, (n,).

    For rows that do not state theirs. Where none fits, the most that the framework has.
    """
    row = framework(setting.framework)
    codes = [code for code, name in enumerate(("none", "selective", "full")) if name in row.recompute]
    chosen = np.full(len(layouts), codes[-1], dtype=np.int64)
    for code in reversed(codes[:-1]):
        tried = Layouts(
            layouts.tp,
            layouts.pp,
            layouts.vpp,
            layouts.dp,
            layouts.cp,
            layouts.ep,
            layouts.zero_stage,
            layouts.sequence_parallel,
            np.full_like(chosen, code),
            layouts.micro_batch,
            layouts.grad_accum,
        )
        chosen = np.where(fits(setting, tried), code, chosen)
    return chosen


def memory_terms(
    setting: Setting,
    tp: IntArray,
    pp: IntArray,
    vpp: IntArray,
    cp: IntArray,
    ep: IntArray,
    zero_stage: IntArray,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    dp: IntArray,
    grad_accum: IntArray,
) -> AffineMemory:
    """Every term of the affine form, in GiB, (n,); arguments as the fields of Layouts."""
    row = framework(setting.framework)
    flash = row.release(setting.release).flash_attention
    shapes = memory_shapes(setting.model, setting.seq_length, row.name, flash)
    t, p, v, c, e, d, m = (axis.astype(np.float64) for axis in (tp, pp, vpp, cp, ep, dp, grad_accum))
    stages = _stages(shapes, pp, t, e)
    weights, gradients, optimizer = _states(setting, row, shapes, stages, zero_stage, t, c, e, d)
    groups = (tp > 1).astype(np.float64) + (pp > 1) + (cp > 1) + (ep > 1) + (dp > 1)
    constants = row.memory
    other = constants.overhead_gib + constants.overhead_per_group_gib * groups
    if constants.bucket_bytes:
        bucket = np.minimum(constants.bucket_bytes, 2.0 * (stages.dense + stages.experts)) / GIB
        other = other + np.where(dp > 1, bucket, 0.0)
    each = _activations(setting, row, shapes, stages, sequence_parallel, recompute, t, p, v, c, m)
    return AffineMemory(weights, gradients, optimizer, other, each)


# Parameters -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Stages:
    """Per rank, each (n,): layers by kind on the first, a middle and the last stage, and parameters of the fullest."""

    first: tuple[FloatArray, FloatArray]  # dense, MoE layers
    middle: tuple[FloatArray, FloatArray]
    last: tuple[FloatArray, FloatArray]
    dense: FloatArray  # parameters outside routed experts
    experts: FloatArray  # of routed experts
    layer: FloatArray  # parameters of the largest layer, its experts included
    vocab: FloatArray  # rows of the vocabulary


def _stages(shapes: MemoryShapes, pp: IntArray, t: FloatArray, e: FloatArray) -> _Stages:
    cut = stage_layers(shapes.layers, pp)
    first = _kinds(shapes, cut.first.astype(np.float64), shapes.first_dense)
    middle = _kinds(shapes, cut.middle.astype(np.float64), 0) if shapes.first_dense else first
    last = _kinds(shapes, cut.last.astype(np.float64), 0)
    rows = np.ceil(shapes.vocab_rows / (shapes.vocab_multiple * t)) * shapes.vocab_multiple
    table = rows * shapes.hidden
    dense_layer = shapes.dense_split / t + shapes.dense_whole
    moe_layer = shapes.moe_split / t + shapes.moe_whole
    routed = shapes.routed / e
    single = pp == 1
    head = 0.0 if shapes.tied else table
    ends = [
        (first, table + shapes.positions + np.where(single, head + shapes.outside, 0.0)),
        (last, table + shapes.outside),
    ]
    if shapes.first_dense:
        ends.append((middle, np.zeros_like(table)))
    # The fullest by parameters; sharding may weigh experts differently, so the most of each kind is taken.
    dense = np.maximum.reduce([kinds[0] * dense_layer + kinds[1] * moe_layer + extra for kinds, extra in ends])
    experts = np.maximum.reduce([kinds[1] for kinds, _ in ends]) * routed
    layer = moe_layer + routed if shapes.every else dense_layer
    return _Stages(first, middle, last, dense, experts, layer, rows)


def _kinds(shapes: MemoryShapes, layers: FloatArray, first_dense: int) -> tuple[FloatArray, FloatArray]:
    """(dense, MoE) layers of a stage that holds `layers`, the first `first_dense` of them dense."""
    if not shapes.every:
        return layers, np.zeros_like(layers)
    moe = np.ceil(np.maximum(layers - first_dense, 0.0) / shapes.every)
    return layers - moe, moe


def _states(
    setting: Setting,
    row: Framework,
    shapes: MemoryShapes,
    stages: _Stages,
    zero_stage: IntArray,
    t: FloatArray,
    c: FloatArray,
    e: FloatArray,
    d: FloatArray,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """GiB of weights, gradients and optimizer.

    Source: Rajbhandari et al. 2020, section 5. Experts are divided over their own data-parallel group, t c D / e.
    """
    constants = row.memory
    state = row.state_bytes(setting.precision)
    group = c * d if row.zero_shards_over_context else d
    dense, experts = stages.dense, stages.experts
    whole = dense + experts
    shard = dense / group
    if shapes.every:
        shard = shard + experts / (t * c * d / e)

    def kind(table: KindBytes) -> FloatArray:
        full, part = np.asarray(table.full)[zero_stage], np.asarray(table.shard)[zero_stage]
        return full * whole + part * shard

    weights, gradients, optimizer = kind(state.weights), kind(state.gradients), kind(state.optimizer)
    if zero_stage.size and zero_stage.max() >= 2:
        # Buffers of what is sharded, never more than keeping all of it would take.
        rest = whole - shard
        root = 2.0 * constants.gather_bytes * stages.vocab * shapes.hidden
        gathered = np.minimum(
            constants.gather_layers * constants.gather_bytes * stages.layer + root, state.weights.full[2] * rest
        )
        reduced = np.minimum(constants.reduce_bytes * stages.layer, state.gradients.full[1] * rest)
        weights = weights + np.where(zero_stage >= 3, gathered, 0.0)
        gradients = gradients + np.where(zero_stage >= 2, reduced, 0.0)
    return weights / GIB, gradients / GIB, optimizer / GIB


# Activations ----------------------------------------------------------------------------------------------------------


def _activations(
    setting: Setting,
    row: Framework,
    shapes: MemoryShapes,
    stages: _Stages,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    t: FloatArray,
    p: FloatArray,
    v: FloatArray,
    c: FloatArray,
    m: FloatArray,
) -> FloatArray:
    """GiB of activations of one sequence a micro-batch, on the stage that holds the most, (n,).

    Source: Korthikanti et al. 2022, sections 4 and 5.
    """
    tokens = setting.seq_length / c
    inverse = 1.0 / t
    spread = np.where(sequence_parallel, inverse, 1.0)
    keys = float(setting.seq_length)

    def size(layer: LayerBytes) -> FloatArray:
        return (layer.spread + layer.routed) * spread + (layer.split + layer.scores * keys) * inverse

    has_moe, has_dense = bool(shapes.every), not shapes.every or bool(shapes.first_dense) or shapes.every > 1
    zero = np.zeros_like(t)
    dense, moe = size(shapes.dense) if has_dense else zero, size(shapes.moe) if has_moe else zero
    if shapes.dense_selective == shapes.dense and shapes.moe_selective == shapes.moe:
        lean_dense, lean_moe = dense, moe
    else:
        selective = recompute >= 1
        lean_dense = np.where(selective, size(shapes.dense_selective), dense) if has_dense else zero
        lean_moe = np.where(selective, size(shapes.moe_selective), moe) if has_moe else zero
    checkpoint = shapes.input_bytes * spread
    full = recompute == 2
    working = np.maximum(dense, moe) - checkpoint
    transient = size(shapes.transient)
    logits = row.memory.logits_bytes * shapes.heads_that_repeat_logits * stages.vocab

    def stage(kinds: tuple[FloatArray, FloatArray], held: FloatArray, peak: FloatArray | None) -> FloatArray:
        kept = (kinds[0] * lean_dense + kinds[1] * lean_moe) * held
        now = transient if peak is None else np.maximum(transient, peak)
        rebuilt = transient + working
        again = (kinds[0] + kinds[1]) * held * checkpoint + (rebuilt if peak is None else np.maximum(rebuilt, peak))
        # One layer in flight is all that full recompute would rebuild: then it saves nothing.
        return np.where(full, np.minimum(again, kept + now), kept + now)

    most = stage(stages.first, in_flight(p, v, m, 0), np.where(p == 1, logits, 0.0))
    most = np.maximum(most, stage(stages.last, in_flight(p, v, m, -1), logits))
    if shapes.first_dense:
        most = np.maximum(most, stage(stages.middle, in_flight(p, v, m, 1), None))
    return tokens * most * (1.0 + row.memory.fragmentation) / GIB
