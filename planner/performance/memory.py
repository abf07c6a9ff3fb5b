"""GPU memory of a layout: weights, gradients, optimizer, activations by schedule and stage, buffers, overhead.

The fullest GPU counts. At fixed everything else the total is affine in micro_batch (where the optimizer's step needs
no more), never falls as micro_batch or grad_accum grows (it is constant once grad_accum reaches twice the stages), and
never rises with the ZeRO stage or from no recompute to selective to full. Terms and calibrated constants are explained
in docs/memory.md.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Layouts, Memory, Setting
from planner.performance.conditions import optimizer_state_bytes
from planner.performance.framework_table import StateBytes, memory_framework
from planner.performance.memory_layout import GIB, LayoutMemory, by_stage, layout_memory, states_of
from planner.spec.layout import RECOMPUTE
from planner.workload.adapters import trained_parameters

#: Share of the memory that clouds report which driver and ECC keep: CUDA offers 39.59 GiB of an A100's 40, 79.15 to
#: 79.33 of its 80 (total_memory of torch.cuda.get_device_properties, as PyTorch's out-of-memory messages print it).
DRIVER_SHARE = 0.01


def memory(setting: Setting, layouts: Layouts) -> Memory:
    """Memory of the fullest GPU of each layout, in GiB, (n,)."""
    known = _of(setting, layouts)
    ranks = known.ranks(layouts.dp)
    state, of_adapters = states_of(setting, memory_framework(setting.framework))
    gathered, reduced = known.buffers(ranks)
    weights, gradients, optimizer = _held(state, known.whole, known.shard / ranks, layouts)
    if known.adapters is not None:
        whole, shard = known.adapters
        added = _held(of_adapters, whole, shard / ranks, layouts)
        weights, gradients, optimizer = (a + b for a, b in zip((weights, gradients, optimizer), added, strict=True))
    whole_bytes = by_stage((state.weights, state.gradients, state.optimizer), "full", layouts.zero_stage)
    less = known.spare(layouts.grad_accum.astype(np.float64)) * GIB / np.maximum(whole_bytes, 1.0)
    weights, gradients, optimizer = (
        held - less * by_stage((kind,), "full", layouts.zero_stage)
        for held, kind in ((weights, state.weights), (gradients, state.gradients), (optimizer, state.optimizer))
    )
    each, step = known.activations(layouts.grad_accum.astype(np.float64)), known.step(ranks)
    activations = each * layouts.micro_batch
    short = np.maximum(step - activations, 0.0)  # of room: the step runs when activations are gone
    return Memory(
        weights=(weights + gathered) / GIB,
        gradients=(gradients + reduced) / GIB,
        optimizer=optimizer / GIB,
        activations=activations,
        other=short + known.overhead_gib + np.where(layouts.dp > 1, known.shared_gib, 0.0),
        cached=step - short,
    )


def _held(
    state: StateBytes, whole: FloatArray, shard: FloatArray, layouts: Layouts
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Bytes of weights, gradients and optimizer of so many parameters, whole and as one rank's shard, (n,)."""
    weights, gradients, optimizer = (
        whole * by_stage((kind,), "full", layouts.zero_stage) + shard * by_stage((kind,), "shard", layouts.zero_stage)
        for kind in (state.weights, state.gradients, state.optimizer)
    )
    return weights, gradients, optimizer


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
    share: FloatArray | None = None,
    group: FloatArray | None = None,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(GiB without activations, of activations of one sequence, in the optimizer's step), each (n,).

    memory total = max(first + micro_batch x second, third); arguments as of `layout_memory`. Where many (dp,
    grad_accum) share a layout, `layout_memory(...)` once and `.at(dp, grad_accum, rows)` give the same for a tenth of
    the time.
    """
    known = layout_memory(setting, tp, pp, vpp, cp, ep, zero_stage, sequence_parallel, recompute, share, group)
    return known.at(dp, grad_accum)


def capacity_gib(setting: Setting) -> float:
    """GiB of one accelerator that a program can use: what clouds report, less what the driver keeps."""
    return setting.accelerator.memory_gib * (1.0 - DRIVER_SHARE)


def least_of_states(setting: Setting, chips: int) -> float:
    """GiB a chip of fp32 weights and optimizer, all divided over `chips`: less no TPU program with these can need.

    MaxText trains so unless told otherwise (configs/base.yml: weight_dtype float32; 12 bytes a parameter with AdamW).
    What its compiler keeps beside them is not known.
    """
    if setting.conditions.moves_optimizer:
        return 0.0
    trained = trained_parameters(setting.model, setting.conditions.adapter)
    return trained * optimizer_state_bytes(setting) / chips / GIB


def fits(setting: Setting, layouts: Layouts) -> BoolArray:
    """Whether each layout's memory is within capacity, (n,)."""
    return np.asarray(memory(setting, layouts).total <= capacity_gib(setting))


def largest_micro_batch(setting: Setting, layouts: Layouts) -> IntArray:
    """The most sequences a micro-batch may hold within capacity, (n,); 0 where not even one fits.

    The layouts' own micro_batch is not looked at; their grad_accum is kept.
    """
    base, each, step = _of(setting, layouts).at(layouts.dp, layouts.grad_accum)
    room = capacity_gib(setting)
    most = np.maximum(np.floor((room - base) / each), 0.0)
    return np.where(step <= room, most, 0.0).astype(np.int64)


def least_recompute(setting: Setting, layouts: Layouts) -> IntArray:
    """The least recompute (code of RECOMPUTE) with which each layout fits, among those the framework has, (n,).

    For rows that do not state theirs; their own code is not looked at. Where none fits, the most that there is.
    """
    codes = [code for code, name in enumerate(RECOMPUTE) if name in memory_framework(setting.framework).recompute]
    chosen = np.full(len(layouts), codes[-1], dtype=np.int64)
    for code in reversed(codes[:-1]):
        tried = replace(layouts, recompute=np.full_like(chosen, code))
        chosen = np.where(fits(setting, tried), code, chosen)
    return chosen


def _of(setting: Setting, x: Layouts) -> LayoutMemory:
    return layout_memory(setting, x.tp, x.pp, x.vpp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute)
