"""How long a training step takes: micro-batches (`kernels.py`) through pipeline, data parallelism and optimizer.

Properties that the search's bounds rest on, and tests check: with the rest fixed, seconds per micro-batch do not rise
with more micro-batches; a step is never shorter than its micro-batches on the slowest stage; recomputing more never
makes a step shorter.
"""

from __future__ import annotations

import numpy as np

from planner.performance.arrays import FloatArray, IntArray, Layouts, Setting, StepTime
from planner.performance.calibration import Calibration
from planner.performance.conditions import condition_numbers
from planner.performance.kernels import KernelTimes as KernelTimes
from planner.performance.kernels import Scope as Scope
from planner.performance.kernels import kernels_of as kernels_of
from planner.performance.machine import as_reached, neighbours, ring_time
from planner.performance.shapes import Number, model_numbers

# Gradients travel in buckets of so many values, or of a million a rank where that is more, lest latency rules
# (megatron/core/distributed/distributed_data_parallel_config.py, bucket_size).
BUCKET, BUCKET_A_RANK = 40e6, 1e6
WEIGHT_BYTES = 2.0


def scope(setting: Setting, calibration: Calibration) -> Scope:
    """The numbers of one setting under a calibration."""
    rates = calibration.rates(setting)
    return Scope(
        model=model_numbers(setting.model),
        machine=as_reached(calibration.machine_numbers(setting), rates),
        rates=rates,
        seq_length=float(setting.seq_length),
        conditions=condition_numbers(setting),
    )


def step_time(setting: Setting, layouts: Layouts, calibration: Calibration) -> StepTime:
    """Seconds of one step of each layout, with every term named.

    Errors: none of its own; a layout that the framework would refuse is computed all the same.
    """
    s, x = scope(setting, calibration), layouts
    kernels = kernels_of(s, x.tp, x.cp, x.ep, x.sequence_parallel, x.recompute, x.micro_batch, gpus=x.gpus, parts=True)
    return step_of(s, kernels, x.pp, x.vpp, x.dp, x.zero_stage, x.grad_accum, calibration.correction(setting, x.gpus))


def step_of(
    s: Scope,
    k: KernelTimes,
    pp: IntArray,
    vpp: IntArray,
    dp: IntArray,
    zero_stage: IntArray,
    grad_accum: Number | IntArray,
    factor: Number,
) -> StepTime:
    """The step that these micro-batches add up to, (n,).

    Parameters
    ----------
    grad_accum : may be fractional where micro-batches need not divide the batch
    factor : on the step time, as measured runs correct it
    """
    rates = s.rates
    slow, bubble = stage_s(s, k, pp, vpp)
    busy = grad_accum * slow
    message = message_s(s, k, k.tp * k.cp * pp * dp)
    pipeline = np.where(pp > 1, 2.0 * message * (vpp * grad_accum + pp - 1.0), 0.0)
    traffic = data_parallel_s(s, k, pp, dp, zero_stage, grad_accum, slow)
    optimizer = optimizer_s(s, k, pp, dp, zero_stage)
    terms = {"bubble": bubble, "pipeline_parallel": pipeline, "data_parallel": traffic, "optimizer": optimizer}
    how = s.conditions
    if np.any(how.moves_activations):  # layers' inputs to the host and back, beyond the computation that hides them
        moved = 2.0 * k.stage_bytes * np.ceil(s.model.layers / pp) / how.host_link
        terms["offload"] = np.where(how.moves_activations > 0, grad_accum * np.maximum(moved - slow, 0.0), 0.0)
    terms["constant"] = rates.step + 0.0 * optimizer
    total = busy + bubble + pipeline + traffic + optimizer + rates.step
    total = total + terms["offload"] if "offload" in terms else total
    # A correction may speed a step up only to where its multiplications alone would fill it at measured ceilings.
    least = grad_accum * k.least_s / pp
    factor = np.where(factor < 1.0, np.maximum(factor, np.minimum(least / total, 1.0)), factor)
    if k.parts_s:
        share = (busy - grad_accum * rates.micro_batch) / k.busy_s
        terms = {name: part * share for name, part in k.parts_s.items()} | terms
        terms["host"] = terms["host"] + grad_accum * rates.micro_batch
    else:
        terms = {"compute": busy} | terms
    terms = {name: value * factor for name, value in terms.items()}
    return StepTime(total_s=total * factor, terms_s=terms, least_s=np.asarray(least))


def stage_s(s: Scope, k: KernelTimes, pp: IntArray, vpp: IntArray) -> tuple[FloatArray, FloatArray]:
    """Seconds of a micro-batch on the slowest stage, and those that the pipeline takes to fill and drain, (n,) each.

    Neither rises, a sequence, with the micro-batch.
    """
    slow = slowest_stage(k, s.model.layers, pp, vpp) + s.rates.micro_batch
    return slow, np.maximum(k.busy_s + pp * s.rates.micro_batch - slow, 0.0) / vpp


def message_s(s: Scope, k: KernelTimes, gpus: Number | IntArray) -> FloatArray:
    """Seconds in which a micro-batch is passed on from a stage to the next in a run on so many GPUs, (n,)."""
    port = np.where(gpus > s.machine.domain, np.maximum(s.machine.network, 1.0), s.machine.link)
    return np.asarray(k.stage_bytes / port * s.rates.pipeline)


def optimizer_s(s: Scope, k: KernelTimes, pp: IntArray, dp: IntArray, zero_stage: IntArray) -> FloatArray:
    """Seconds of the optimizer's step, (n,): gradients in and weights out, master copy and moments in and out.

    Muon's orthogonalisation is matmuls of its rank's matrices. An optimizer on the host gets its gradients and gives
    its weights back over the host's link, and steps at the rate of the host's memory (ZeRO-Offload: Ren et al. 2021).
    """
    machine, rates, how = s.machine, s.rates, s.conditions
    shared = _shard_ranks(s, k.cp * dp)
    divided = np.where(zero_stage > 0, shared, 1)
    each = 6.0 / np.where(zero_stage >= 3, shared, 1) + 2.0 * how.optimizer_bytes / divided
    weights = (k.dense_weights * how.trained_dense + k.expert_weights * how.trained_experts) / pp
    states = weights * each
    on_gpu = states * rates.optimizer / machine.hbm
    if np.any(how.optimizer_flops):
        on_gpu = on_gpu + weights / divided * how.optimizer_flops / machine.ceiling_16
    if not np.any(how.moves_optimizer):
        return np.asarray(on_gpu)
    moved = weights / divided * (machine.gradient_bytes + WEIGHT_BYTES) / how.host_link
    stepped = weights / divided * (2.0 * how.optimizer_bytes + machine.gradient_bytes) / how.host_memory
    return np.asarray(np.where(how.moves_optimizer > 0, moved + stepped, on_gpu))


def slowest_stage(k: KernelTimes, layers: Number, pp: IntArray, vpp: IntArray) -> FloatArray:
    """Seconds a micro-batch on the slowest pipeline stage, (n,).

    Layers that divide into pp x vpp chunks are dealt evenly, embedding and logits on top of the first and last stage;
    others are placed by hand or by weight, which balances as well as whole layers allow.
    """
    trunk = k.busy_s - k.first_s - k.last_s
    even = trunk / pp + np.maximum(k.first_s, k.last_s)
    placed = np.maximum(trunk * (np.ceil(layers / pp) / layers), k.busy_s / pp)
    slow = np.where(layers % (pp * vpp) == 0, even, placed)
    return np.where(pp > 1, np.minimum(slow, k.busy_s), k.busy_s)


def _shard_ranks(s: Scope, ranks: Number) -> Number:
    """GPUs over which optimizer or weights are sharded: all ranks, unless a smaller group is stated."""
    stated = s.conditions.shard_group
    return np.where((stated > 0) & (stated < ranks), np.maximum(stated, 1.0), ranks)


def _in_link_domain(s: Scope, k: KernelTimes, pp: IntArray, ranks: Number, apart: Number, members: Number) -> Number:
    """Of `members` GPUs that lie `apart` within one pipeline stage, those that share a link domain."""
    domain, block = s.machine.domain, k.tp * ranks
    straddles = (block < domain) & (block * pp > domain)
    room = np.where(straddles, neighbours(s.machine, block), domain)
    return np.clip(room / apart, 1.0, members)


def data_parallel_s(
    s: Scope,
    k: KernelTimes,
    pp: IntArray,
    dp: IntArray,
    zero_stage: IntArray,
    grad_accum: Number,
    slow: FloatArray,
) -> FloatArray:
    """Seconds of gradient and weight traffic that `slow` does not hide, (n,): once a step, or with each micro-batch.

    ZeRO 0 all-reduces gradients; 1 scatters them and gathers weights; 2 scatters every micro-batch; 3 also gathers
    weights twice a micro-batch, a layer at a time (Rajbhandari et al. 2020, section 7).
    """
    machine, rates = s.machine, s.rates
    ranks = k.cp * dp  # gradients are shared by data and context parallel
    how = s.conditions
    dense = k.dense_weights / pp
    local = _in_link_domain(s, k, pp, ranks, k.tp, ranks)
    sharded, repeated = zero_stage >= 3, zero_stage >= 2
    layer = how.frozen_bytes * (k.dense_weights + k.expert_weights) / s.model.layers
    bucket = np.maximum(BUCKET, BUCKET_A_RANK * ranks)
    size = np.where(sharded, layer, machine.gradient_bytes * np.minimum(dense * how.trained_dense, bucket))
    passed = ring_time(machine, machine.up_gather, size, ranks, local) / np.maximum(size, 1.0) * dense
    gathered, reduced = passed, np.zeros(1)
    if np.any(how.shard_group):  # weights go round the group alone, gradients also between groups
        group = _shard_ranks(s, ranks)
        near = np.clip(neighbours(machine, k.tp * group) / k.tp, 1.0, np.minimum(local, group))
        within = ring_time(machine, machine.up_gather, size, group, near) / np.maximum(size, 1.0) * dense
        gathered = np.where(group < ranks, within, passed)
        groups = ranks / group
        between = ring_time(machine, machine.up_gather, size, groups, np.clip(local / group, 1.0, groups))
        reduced = np.where(
            group < ranks, gathered + 2.0 * between / np.maximum(size, 1.0) * dense / group - passed, 0.0
        )
    regathered = repeated & ~sharded & (np.asarray(how.gathers_each) > 0)
    # Where weights themselves are sharded all are gathered, frozen ones as they are kept; else those that changed.
    dense_bytes, expert_bytes = (
        np.where(sharded | regathered, how.frozen_bytes, WEIGHT_BYTES * share)
        for share in (how.trained_dense, how.trained_experts)
    )
    gather = dense_bytes * gathered
    scatter = machine.gradient_bytes * how.trained_dense * (passed + reduced)
    if np.any(k.expert_weights):
        replicas = np.maximum(k.tp * ranks / k.ep, 1.0)
        near = _in_link_domain(s, k, pp, ranks, k.ep, replicas)
        per_byte = ring_time(machine, machine.up_gather, size, replicas, near) / np.maximum(size, 1.0)
        routed = k.expert_weights / pp * per_byte
        gather = gather + expert_bytes * routed
        scatter = scatter + machine.gradient_bytes * how.trained_experts * routed
    once = np.where(
        zero_stage == 0, 2.0 * scatter, np.where(regathered, 0.0, gather) + np.where(repeated, 0.0, scatter)
    )
    once = np.where(sharded, 0.0, once)
    each = np.where(sharded, 2.0 * gather, np.where(regathered, gather, 0.0)) + np.where(repeated, scatter, 0.0)
    # What is reduced once hides behind the last backward pass, unless every micro-batch's reductions fill that already.
    shown = np.maximum(rates.data * once, once - np.where(repeated, 0.0, slow))
    shown = shown + grad_accum * np.maximum(rates.shard * each, each - slow)
    return np.where(ranks > 1, shown, 0.0)
