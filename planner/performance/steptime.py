"""How long a training step takes: `kernel_times` for what one micro-batch costs, `assemble` for the whole step.

Every array broadcasts; model, machine and rates are numbers for the search (one setting, millions of layouts) and
arrays of rows for calibration. Properties that the search's bounds rest on, and tests check: with the rest fixed,
seconds per micro-batch do not rise with more micro-batches; a step is never shorter than its micro-batches on the
slowest stage; recomputing more never makes a step shorter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Layouts, Setting, StepTime
from planner.performance.calibration import Calibration
from planner.performance.machine import MachineNumbers, link_share, ring_time
from planner.performance.rates import Rates
from planner.performance.shapes import ModelNumbers, Number, visible_keys

BACKWARD_ATTENTION = 2.5  # five matmuls where the forward pass has two: FlashAttention recomputes the scores
SCORE_BYTES = (
    13.0  # a score, unfused, forward: written, masked and softmaxed, dropped out (with mask), read: 2 + 4 + 5 + 2
)
HOST_SMOOTHNESS = 4.0  # device and host time join as (d^k + h^k)^(1/k): the longer one rules, ties cost a little
BUCKET_BYTES = 160e6  # gradients travel in buckets of 40 M fp32 values (Megatron-LM's default)
WEIGHT_BYTES = 2.0


@dataclass(frozen=True, slots=True)
class Scope:
    """What the formulas read of a setting, or of rows of settings."""

    model: ModelNumbers
    machine: MachineNumbers
    rates: Rates
    seq_length: Number
    unfused: Number = 0.0  # 1 where attention writes its scores to memory


@dataclass(frozen=True, slots=True)
class KernelTimes:
    """What one micro-batch costs before pipeline and data parallelism, (n,) each. Seconds are forward and backward.

    `busy_s` is the whole model on one pipeline; `first_s` and `last_s` are the parts that only its first and last
    stage do (embedding; logits and loss). `parts_s` splits `busy_s` by name, where asked for.
    """

    busy_s: FloatArray
    first_s: FloatArray
    last_s: FloatArray
    least_s: FloatArray  # matmuls and attention alone, at the best rates anybody measured
    stage_bytes: FloatArray  # passed on at a stage boundary, one direction
    dense_weights: FloatArray  # elements a GPU would hold without pipeline and ZeRO: attention, dense and shared MLPs
    expert_weights: FloatArray  # the same for routed experts
    tp: IntArray
    cp: IntArray
    ep: IntArray
    parts_s: Mapping[str, FloatArray]

    def take(self, index: IntArray | BoolArray) -> KernelTimes:
        """The entries that `index` selects, without their parts."""
        arrays: dict[str, Any] = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "parts_s"}
        return KernelTimes(**arrays, parts_s={})


def scope(setting: Setting, calibration: Calibration) -> Scope:
    """The numbers of one setting under a calibration."""
    return Scope(
        model=calibration.model_numbers(setting),
        machine=calibration.machine_numbers(setting),
        rates=calibration.rates(setting),
        seq_length=float(setting.seq_length),
        unfused=calibration.unfused(setting),
    )


def step_time(setting: Setting, layouts: Layouts, calibration: Calibration) -> StepTime:
    """Seconds of one step of each layout, with every term named.

    Errors: none of its own; a layout that the framework would refuse is computed all the same.
    """
    kernels = kernel_times(
        setting,
        layouts.tp,
        layouts.cp,
        layouts.ep,
        layouts.sequence_parallel,
        layouts.recompute,
        layouts.micro_batch,
        calibration,
        parts=True,
    )
    return assemble(
        setting, kernels, layouts.pp, layouts.vpp, layouts.dp, layouts.zero_stage, layouts.grad_accum, calibration
    )


def kernel_times(
    setting: Setting,
    tp: IntArray,
    cp: IntArray,
    ep: IntArray,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    micro_batch: IntArray,
    calibration: Calibration,
    *,
    parts: bool = False,
) -> KernelTimes:
    """What one micro-batch costs on each combination, (n,); the arguments are arrays of one shape."""
    s = scope(setting, calibration)
    return kernels_of(s, tp, cp, ep, sequence_parallel, recompute, micro_batch, parts=parts)


def assemble(
    setting: Setting,
    kernels: KernelTimes,
    pp: IntArray,
    vpp: IntArray,
    dp: IntArray,
    zero_stage: IntArray,
    grad_accum: IntArray,
    calibration: Calibration,
) -> StepTime:
    """The step that these micro-batches add up to, (n,)."""
    s = scope(setting, calibration)
    gpus = kernels.tp * kernels.cp * pp * dp
    return step_of(s, kernels, pp, vpp, dp, zero_stage, grad_accum, calibration.correction(setting, gpus))


def kernels_of(
    s: Scope,
    tp: Number | IntArray,
    cp: Number | IntArray,
    ep: Number | IntArray,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    micro_batch: Number | IntArray,
    *,
    parts: bool = False,
) -> KernelTimes:
    """`kernel_times` on numbers; recompute is the code of RECOMPUTE, `micro_batch` may be fractional."""
    model, machine, rates = s.model, s.machine, s.rates
    tokens = micro_batch * s.seq_length / cp  # of one micro-batch on one GPU
    spread_tokens = tokens / np.where(sequence_parallel, tp, 1)
    full = recompute == 2
    again = full * rates.recompute
    passes = 3.0 + again  # forward, twice that backward, forward again
    moe, dense = model.moe_layers, model.layers - model.moe_layers
    extra = model.extra_layers
    extra_moe = extra * (model.moe_layers > 0)
    layers = model.layers + extra

    weights = layers * model.attention_weights + (dense + extra - extra_moe) * model.mlp_weights
    weights = weights + (moe + extra_moe) * model.shared_weights + extra * 2.0 * model.hidden**2
    io_full = layers * model.attention_full + (dense + extra - extra_moe) * model.mlp_full
    io_full = io_full + (moe + extra_moe) * model.shared_full
    io_split = layers * model.attention_split + (dense + extra - extra_moe) * model.mlp_split
    io_split = io_split + (moe + extra_moe) * model.shared_split
    matmul_flops = 2.0 * tokens * weights / tp
    operands = tokens * (io_full + io_split / tp) + weights / tp
    per_operand = machine.operand_bytes * rates.traffic / machine.hbm
    matmul = passes * (matmul_flops / (machine.ceiling * rates.matmul) + operands * per_operand)

    rows = tokens * model.top_k / tp
    routed = moe + extra_moe
    local = model.experts / ep
    expert_flops = 2.0 * rows * model.expert_weights * routed
    expert_operands = routed * (rows * model.expert_width + local * model.expert_weights)
    expert = passes * (expert_flops / (machine.ceiling * rates.expert) + expert_operands * per_operand)
    expert = expert + passes * 2.0 * spread_tokens * model.hidden * model.experts * routed / machine.ceiling_16

    score_flops = 2.0 * tokens * visible_keys(model, s.seq_length) * model.score_width / tp * layers
    fused = score_flops / (machine.ceiling_16 * rates.attention)
    scores = tokens * s.seq_length * model.heads / tp * layers  # the whole square: masked, not skipped
    unfused = 2.0 * fused + SCORE_BYTES * scores * rates.scores / machine.hbm
    again_attention = 1.0 * (recompute > 0)
    attention = (1.0 - s.unfused) * fused * (1.0 + BACKWARD_ATTENTION + again_attention)
    attention = attention + s.unfused * unfused * (3.0 + again_attention)

    elements = spread_tokens * 10.0 * model.hidden * layers
    elements = elements + tokens / tp * (
        layers * model.attention_split + (dense + extra - extra_moe) * model.mlp_hidden
    )
    elements = elements + (moe + extra_moe) * tokens / tp * model.shared_split
    elements = (
        elements + s.unfused * layers * tokens / tp * (1.0 + 2.0 * model.rotary) * model.attention_split
    )  # heads copied, rotated by parts
    pointwise = passes * 2.0 * elements * rates.pointwise / machine.hbm
    routing = passes * 2.0 * routed * rows * (model.expert_hidden + 6.0 * model.hidden) * rates.routing / machine.hbm

    reduce_bytes = 2.0 * tokens * model.hidden
    tensor_local = np.minimum(tp, machine.domain)
    ring = np.where(
        sequence_parallel,
        ring_time(machine, machine.up_gather, reduce_bytes, tp, tensor_local),
        ring_time(machine, machine.up_reduce, reduce_bytes, tp, tensor_local, reduce=True),
    )
    forward_rings = 2.0 * (layers - routed) * (2.0 - model.parallel_residual) + 2.0 * routed
    backward_rings = 4.0 * (layers - routed) + 2.0 * routed
    tensor = np.where(tp > 1, ring * (forward_rings * (1.0 + again) + backward_rings), 0.0) * rates.tensor

    kv_bytes = 2.0 * tokens * model.kv_width / tp * cp
    context_local = np.clip(machine.domain / tp, 1.0, cp)
    context = ring_time(machine, machine.up_gather, kv_bytes, cp, context_local) * layers * passes
    hidden_by = attention * 0.5
    context = np.where(cp > 1, rates.context * context + np.maximum(context - hidden_by, 0.0), 0.0)

    exchange = (
        _exchange_time(machine, 2.0 * rows * model.hidden, ep) * 2.0 * routed * (2.0 + again) * rates.expert_exchange
    )

    host = rates.host_layer * layers + (rates.host_moe + rates.host_expert * local) * routed
    host = host * passes / 3.0
    device = matmul + expert + attention + pointwise + routing + tensor + context + exchange
    join = HOST_SMOOTHNESS
    trunk = (device**join + host**join) ** (1.0 / join)

    heads = 1.0 + extra
    head_flops = 6.0 * tokens * model.hidden * model.vocab / tp * heads
    logits = head_flops / (machine.ceiling_16 * np.minimum(rates.matmul, 1.0))
    loss = 16.0 * tokens * model.vocab / tp * heads * rates.loss / machine.hbm
    last = logits + loss
    first = 3.0 * 2.0 * 3.0 * spread_tokens * model.hidden * rates.pointwise / machine.hbm
    busy = trunk + first + last
    least = passes * (matmul_flops + expert_flops) / machine.ceiling
    least = least + (head_flops + score_flops * (1.0 + BACKWARD_ATTENTION + again_attention)) / machine.ceiling_16
    shape = np.broadcast_shapes(np.shape(busy), np.shape(tp))
    named = {}
    if parts:
        named = {
            "matmul": matmul,
            "experts": expert,
            "attention": attention,
            "memory_bound": pointwise + routing + first,
            "logits_loss": last,
            "tensor_parallel": tensor,
            "context_parallel": context,
            "expert_parallel": exchange,
            "host": trunk - device,
        }
    embedding = model.embeddings * model.vocab * model.hidden
    return KernelTimes(
        busy_s=_full(busy, shape),
        first_s=_full(first, shape),
        last_s=_full(last, shape),
        least_s=_full(least, shape),
        stage_bytes=_full(2.0 * spread_tokens * model.hidden, shape),
        dense_weights=_full((weights + embedding) / tp, shape),
        expert_weights=_full(routed * model.experts * model.expert_weights / ep, shape),
        tp=np.broadcast_to(np.asarray(tp, dtype=np.int64), shape),
        cp=np.broadcast_to(np.asarray(cp, dtype=np.int64), shape),
        ep=np.broadcast_to(np.asarray(ep, dtype=np.int64), shape),
        parts_s={name: _full(value, shape) for name, value in named.items()},
    )


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
    """`assemble` on numbers; `grad_accum` may be fractional where micro-batches need not divide the batch."""
    machine, rates, layers = s.machine, s.rates, s.model.layers
    slow = slowest_stage(k, layers, pp, vpp) + rates.micro_batch
    busy = grad_accum * slow
    bubble = np.maximum(k.busy_s + pp * rates.micro_batch - slow, 0.0) / vpp

    ranks = k.cp * dp  # gradients are shared by data and context parallel
    block = k.tp * ranks
    port = np.where(block * pp > machine.domain, np.maximum(machine.network, 1.0), machine.link)
    message = k.stage_bytes / port * rates.pipeline
    pipeline = np.where(pp > 1, 2.0 * message * (vpp * grad_accum + pp - 1.0), 0.0)

    dense, experts = k.dense_weights / pp, k.expert_weights / pp
    local = np.clip(machine.domain / k.tp, 1.0, ranks)
    unit = layers / pp
    sharded, repeated = zero_stage >= 3, zero_stage >= 2
    size = np.where(sharded, WEIGHT_BYTES * dense / unit, np.minimum(machine.gradient_bytes * dense, BUCKET_BYTES))
    round_trip = ring_time(machine, machine.up_gather, size, ranks, local) / np.maximum(size, 1.0)
    data = dense * round_trip
    if np.any(k.expert_weights):
        replicas = np.maximum(block / k.ep, 1.0)
        near = np.clip(machine.domain / k.ep, 1.0, replicas)
        data = data + experts * ring_time(machine, machine.up_gather, size, replicas, near) / np.maximum(size, 1.0)
    gather = WEIGHT_BYTES * data
    scatter = machine.gradient_bytes * data
    once = np.where(zero_stage == 0, 2.0 * scatter, gather + np.where(repeated, 0.0, scatter))
    each = np.where(sharded, 2.0 * gather, 0.0) + np.where(repeated, scatter, 0.0)
    once = np.where(sharded, 0.0, once)
    # What is reduced once hides behind the last backward pass, unless reductions of every micro-batch fill that already.
    exposed_once = rates.data * once + np.maximum(once - np.where(repeated, 0.0, slow), 0.0)
    exposed_each = grad_accum * (rates.shard * each + np.maximum(each - slow, 0.0))
    traffic = np.where(ranks > 1, exposed_once + exposed_each, 0.0)

    shard = np.where(zero_stage > 0, ranks, 1)
    states = (dense + experts) * (6.0 / np.where(sharded, ranks, 1) + 24.0 / shard)  # master copy, moments: in and out
    optimizer = states * rates.optimizer / machine.hbm
    terms = {"bubble": bubble, "pipeline_parallel": pipeline, "data_parallel": traffic, "optimizer": optimizer}
    terms["constant"] = rates.step + 0.0 * optimizer
    total = busy + bubble + pipeline + traffic + optimizer + rates.step
    # A correction may speed a step up only to where its multiplications alone would fill it at measured ceilings.
    factor = np.where(factor < 1.0, np.maximum(factor, np.minimum(grad_accum * k.least_s / (pp * total), 1.0)), factor)
    if k.parts_s:
        share = (busy - grad_accum * rates.micro_batch) / k.busy_s
        terms = {name: part * share for name, part in k.parts_s.items()} | terms
        terms["host"] = terms["host"] + grad_accum * rates.micro_batch
    else:
        terms = {"compute": busy} | terms
    return StepTime(total_s=total * factor, terms_s={name: value * factor for name, value in terms.items()})


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


def _exchange_time(machine: MachineNumbers, size: Number, ep: Number | IntArray) -> Number:
    """Seconds of one all-to-all of `size` bytes a GPU: what stays in the domain by link, the rest by network."""
    inside_ranks = np.minimum(ep, machine.domain)
    inside = size * (inside_ranks - 1.0) / ep / (machine.link * link_share(machine.up_gather, size))
    outside = size * (1.0 - inside_ranks / ep)
    across = outside / np.maximum(machine.network * link_share(machine.out, size), 1.0)
    return np.where(ep > 1, inside + across, 0.0)


def _full(value: Number, shape: tuple[int, ...]) -> FloatArray:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), shape)
