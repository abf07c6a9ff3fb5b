"""What one micro-batch costs on the GPUs that share it, term by term, before pipeline and data parallelism.

Every array broadcasts; model, machine and rates are numbers for the search (one setting, millions of layouts) and
arrays of rows for calibration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.performance.conditions import ConditionNumbers
from planner.performance.machine import MachineNumbers, as_of_port, link_share, neighbours, ring_time
from planner.performance.rates import Rates
from planner.performance.shapes import ModelNumbers, Number, visible_keys

# Backward over forward: five matmuls for two, as FlashAttention recomputes the scores, each at 5/6 of the forward rate
# (196 and 230 TFLOP/s on A100: Dao 2023, arXiv:2307.08691); `least` takes the best of both.
BACKWARD_ATTENTION, BACKWARD_ATTENTION_FLOPS = 3.0, 2.5
WIDE = 8.0  # GPUs of one node, on which collectives were measured
SCORE_BYTES = 13.0  # a score unfused, forward: written 2, masked and softmaxed 4, dropped out with its mask 5, read 2
STREAM_ELEMENTS = 10.0  # of the residual stream a layer reads and writes: two norms 4, two sums 6; times hidden
LOSS_BYTES = 16.0  # a logit: written, read for maximum and sum in fp32, its gradient written and read
OUTPUTS = 2e6  # of the matmul tiles in flight: some hundred multiprocessors, a tile of 128 x 128 each
MOVES = 0.8  # share of the memory's rate that a kernel reaches which only moves: assumed, as of copies
MATMULS = 4.0  # a dense layer's: queries, keys and values in one, attention's output, and two of the MLP
HOST_SMOOTHNESS = 4.0  # device and host time join as (d^k + h^k)^(1/k): the longer one rules, ties cost a little


@dataclass(frozen=True, slots=True)
class Scope:
    """What the formulas read of a setting, or of rows of settings."""

    model: ModelNumbers
    machine: MachineNumbers
    rates: Rates
    seq_length: Number
    conditions: ConditionNumbers


@dataclass(frozen=True, slots=True)
class KernelTimes:
    """What one micro-batch costs, (n,) each. Seconds are forward and backward.

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


@dataclass(frozen=True, slots=True)
class _MicroBatch:
    """One micro-batch as it lies on a GPU, and how often each part of a layer is passed through."""

    tp: Number
    cp: Number
    ep: Number
    in_node: BoolArray  # whether the run is on less than a node: every group stays inside
    tokens: Number
    stream_tokens: Number  # of the residual stream: sequence parallel divides it, too
    sequence_parallel: BoolArray
    recomputed_fraction: Number  # share of a forward pass that is repeated
    recomputed_attention: Number  # the same of attention
    recomputed_experts: Number  # of routed experts
    recomputed_weights: Number  # of dense matmuls, a layer, that selective recompute repeats
    recomputed_elements: Number  # a token and layer that it moves again
    trained: Number  # 1, or 0 where weights are frozen

    @property
    def passes(self) -> Number:
        """Forward, twice that backward, forward again."""
        return 3.0 + self.recomputed_fraction

    @property
    def expert_passes(self) -> Number:
        """The same of routed experts."""
        return 3.0 + self.recomputed_experts

    @property
    def matmul_passes(self) -> Number:
        """The same of matmuls: of frozen weights no gradient is computed."""
        return 2.0 + self.trained + self.recomputed_fraction

    @property
    def expert_matmul_passes(self) -> Number:
        """The same of routed experts'."""
        return 2.0 + self.trained + self.recomputed_experts


@dataclass(frozen=True, slots=True)
class _Stack:
    """The layers of a model as one: totals over all, multi-token-prediction layers included."""

    layers: Number
    routed: Number  # with experts
    mixers: Number  # with experts, less those that are experts alone: each mixes tokens before
    halves: Number  # layers that are a mixer or an MLP alone count half
    dense: Number  # without experts, such halves likewise
    weights: Number  # of dense matmuls
    full: Number  # operand widths that tensor parallel does not divide
    split: Number  # and that it does
    hidden: Number  # activations between the MLPs' matmuls


def kernels_of(
    s: Scope,
    tp: Number,
    cp: Number,
    ep: Number,
    sequence_parallel: BoolArray,
    recompute: IntArray,
    micro_batch: Number,
    *,
    gpus: Number | IntArray | None = None,
    parts: bool = False,
) -> KernelTimes:
    """Costs of one micro-batch, (n,).

    Parameters
    ----------
    s : the setting's numbers, or rows of them
    tp, cp, ep, sequence_parallel, recompute : arrays of one shape; recompute is the code of RECOMPUTE
    micro_batch : sequences; may be fractional
    gpus : of the run, where they may be less than a node
    parts : also split the time by name
    """
    tokens = micro_batch * s.seq_length / cp
    how = s.conditions
    recomputed_fraction = (recompute == 2) * how.full_share + (recompute == 1) * how.selective_share
    micro = _MicroBatch(
        tp=tp,
        cp=cp,
        ep=ep,
        in_node=np.asarray(False if gpus is None else gpus < s.machine.node),
        tokens=tokens,
        stream_tokens=tokens / np.where(sequence_parallel, tp, 1),
        sequence_parallel=sequence_parallel,
        recomputed_fraction=recomputed_fraction * s.rates.recompute,
        recomputed_attention=(recompute == 2) * how.full_share + (recompute == 1) * how.selective_attention,
        recomputed_experts=(recomputed_fraction + (recompute == 1) * how.selective_experts) * s.rates.recompute,
        recomputed_weights=(recompute == 1) * how.selective_weights * s.rates.recompute,
        recomputed_elements=(recompute == 1) * how.selective_elements * s.rates.recompute,
        trained=how.trained,
    )
    stack = _stack(s.model)
    attention = _attention(s, micro, stack)
    terms = {
        "matmul": _matmul(s, micro, stack),
        "experts": _experts(s, micro, stack),
        "attention": attention,
        "memory_bound": _memory_bound(s, micro, stack),
        "tensor_parallel": _tensor_parallel(s, micro, stack),
        "context_parallel": _context_parallel(s, micro, stack, attention),
        "expert_parallel": _expert_parallel(s, micro, stack),
    }
    if np.any(how.trained < 1.0):
        terms |= {"adapters": _adapters(s, micro), "dequantisation": _dequantised(s, micro, stack)}
    device = sum(terms.values())
    launched = stack.halves + how.adapter_kernels + how.adapter_expert_kernels / micro.ep
    experts_launched = s.rates.host_moe + s.rates.host_expert * s.model.experts / micro.ep
    host = (s.rates.host_layer * launched + experts_launched * stack.routed) * micro.passes / 3.0
    trunk = (device**HOST_SMOOTHNESS + host**HOST_SMOOTHNESS) ** (1.0 / HOST_SMOOTHNESS)
    # Rows of the embedding are looked up, summed and given their gradients.
    first = 18.0 * micro.stream_tokens * s.model.hidden * s.rates.pointwise / s.machine.hbm
    # The output layer, in 16 bits whatever the recipe, and its softmax; again for every predicted token.
    predicted = 1.0 + s.model.extra_layers
    head_flops = 2.0 * (2.0 + micro.trained) * micro.tokens * s.model.hidden * s.model.vocab / micro.tp * predicted
    logits = LOSS_BYTES * micro.tokens * s.model.vocab / micro.tp * predicted
    last = head_flops / (s.machine.ceiling_16 * s.rates.matmul) + logits * s.rates.loss / s.machine.hbm
    busy = trunk + first + last
    shape = np.broadcast_shapes(np.shape(busy), np.shape(tp))
    named = {}
    if parts:
        named = terms | {"memory_bound": terms["memory_bound"] + first, "logits_loss": last, "host": trunk - device}
    embedding = s.model.embeddings * s.model.vocab * s.model.hidden
    return KernelTimes(
        busy_s=_full(busy, shape),
        first_s=_full(first, shape),
        last_s=_full(last, shape),
        least_s=_full(_least(s, micro, stack, head_flops), shape),
        stage_bytes=_full(2.0 * micro.stream_tokens * s.model.hidden, shape),
        dense_weights=_full((stack.weights + embedding) / tp, shape),
        expert_weights=_full(stack.routed * s.model.experts * s.model.expert_weights / ep, shape),
        tp=_counts(tp, shape),
        cp=_counts(cp, shape),
        ep=_counts(ep, shape),
        parts_s={name: _full(value, shape) for name, value in named.items()},
    )


def _stack(model: ModelNumbers) -> _Stack:
    """A multi-token-prediction layer is one more layer of the trunk's kind and joins two streams: 2 h x h."""
    extra = model.extra_layers
    routed = model.moe_layers + extra * (model.moe_layers > 0)
    layers = model.layers + extra
    dense = layers - routed
    return _Stack(
        layers=layers,
        routed=routed,
        mixers=routed - model.lone_routed,
        halves=layers - 0.5 * model.lone,
        dense=dense - 0.5 * (model.lone - model.lone_routed),
        weights=layers * model.attention_weights
        + dense * model.mlp_weights
        + routed * model.shared_weights
        + extra * 2.0 * model.hidden**2,
        full=layers * model.attention_full + dense * model.mlp_full + routed * model.shared_full,
        split=layers * model.attention_split + dense * model.mlp_split + routed * model.shared_split,
        hidden=dense * model.mlp_hidden + routed * model.shared_split,
    )


def _matmul_flops(micro: _MicroBatch, stack: _Stack) -> Number:
    return 2.0 * micro.tokens * stack.weights / micro.tp


def _expert_flops(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    return 2.0 * micro.tokens * s.model.top_k / micro.tp * s.model.expert_weights * stack.routed


def _score_flops(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    return 2.0 * micro.tokens * visible_keys(s.model, s.seq_length) * s.model.score_width / micro.tp * stack.layers


def _matmul(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    """Dense matmuls: FLOPs at a share of the measured ceiling, and what unfilled last waves of tiles lose.

    That is half a wave each on the mean, both ways. A wave computes `OUTPUTS` elements, each in as many multiply-adds
    as the inner dimension is long: of the forward matmul its input width, of the gradient by inputs its output width,
    of the gradient by weights the tokens.
    """
    rate = s.machine.ceiling * s.rates.matmul
    compute = _matmul_flops(micro, stack) / rate
    repeated = 2.0 * micro.tokens * micro.recomputed_weights * stack.layers / micro.tp / rate
    gradients = MATMULS * stack.halves * micro.tokens * micro.trained
    inner = 0.5 * (stack.full + stack.split / micro.tp) * (2.0 + micro.recomputed_fraction) + gradients
    return micro.matmul_passes * compute + repeated + s.rates.wave * OUTPUTS * inner / rate


def _experts(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    """Routed experts, each GPU's share of the rows evenly over its local experts; and the router."""
    compute = _expert_flops(s, micro, stack) / (s.machine.ceiling * s.rates.expert)
    router = 2.0 * micro.stream_tokens * s.model.hidden * s.model.experts * stack.routed / s.machine.ceiling_16
    return micro.expert_matmul_passes * (compute + router)


def _adapters(s: Scope, micro: _MicroBatch) -> Number:
    """Adapters: products so narrow that memory bounds them, and their FLOPs; see `adapter_counts`.

    Tensor parallelism divides the wider side of each; experts' are of the tokens that they are given.
    """
    how = s.conditions
    elements = micro.tokens / micro.tp * (how.adapter_elements + s.model.top_k * how.adapter_expert_elements)
    moved = 2.0 * elements / (MOVES * s.machine.hbm)
    return micro.passes * (moved + micro.tokens / micro.tp * how.adapter_flops / s.machine.ceiling_16)


def _dequantised(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    """Weights in 4 bits, read and written in 16 before every product with them, 0 where they are kept in 16.

    Source: bitsandbytes/autograd/_functions.py MatMul4Bit dequantises forward and again backward. Each pass moves
    `frozen_bytes` and 2 bytes a weight.
    """
    stored = s.conditions.frozen_bytes
    weights = stack.weights / micro.tp + stack.routed * s.model.experts * s.model.expert_weights / micro.ep
    each = weights * (stored + 2.0) / (MOVES * s.machine.hbm)
    return np.where(stored < 2.0, micro.matmul_passes * each, 0.0)


def _attention(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    """Scores and values. Before FlashAttention the whole square is computed and goes to memory and back.

    Recurrences run in kernels of their own, taken to be as fast as attention's: nobody's are measured here.
    """
    fused = _score_flops(s, micro, stack) / (s.machine.ceiling_16 * s.rates.attention)
    scores = micro.tokens * s.seq_length * s.model.heads / micro.tp * stack.layers
    written = 2.0 * fused + SCORE_BYTES * scores * s.rates.scores / s.machine.hbm
    unfused = s.conditions.unfused
    flash = fused * (1.0 + BACKWARD_ATTENTION + micro.recomputed_attention)
    scores_s = (1.0 - unfused) * flash + unfused * written * (3.0 + micro.recomputed_attention)
    scanned = micro.tokens * s.model.scan_work * stack.layers / micro.tp / (s.machine.ceiling_16 * s.rates.attention)
    return scores_s + scanned * (1.0 + BACKWARD_ATTENTION + micro.recomputed_attention)


def _memory_bound(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    """Norms, sums, activations, rotation; rows to experts and back. Unfused attention copies its heads."""
    model = s.model
    copied = s.conditions.unfused * (1.0 + 2.0 * model.rotary) * stack.layers * model.attention_split
    elements = micro.stream_tokens * STREAM_ELEMENTS * model.hidden * stack.halves
    elements = elements + micro.tokens / micro.tp * (stack.layers * model.attention_split + stack.hidden + copied)
    rows = micro.tokens * model.top_k / micro.tp * stack.routed * (model.expert_hidden + 6.0 * model.routed_width)
    moved = micro.passes * elements * s.rates.pointwise + micro.expert_passes * rows * s.rates.routing
    repeated = micro.tokens / micro.tp * micro.recomputed_elements * stack.layers * s.rates.pointwise
    return 2.0 * (moved + repeated) / s.machine.hbm


def _tensor_parallel(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    """Rings of s·b·h a layer: two all-reduces forward and two backward, or gathers and scatters of the same volume.

    A parallel residual needs one forward (GPT-NeoX). Experts are not divided by tp: their layers have attention's only.
    All-reduces of fewer than a node's eight GPUs get less of a switch each; gathers and scatters do not.
    Source: Korthikanti et al. 2022, section 4.2.
    """
    size = 2.0 * micro.tokens * s.model.hidden
    local = _in_link_domain(s, micro, micro.tp)
    ring = np.where(
        micro.sequence_parallel,
        ring_time(s.machine, s.machine.up_gather, size, micro.tp, local),
        ring_time(s.machine, s.machine.up_reduce, size, micro.tp, local, reduce=True)
        * np.maximum(WIDE / np.maximum(local, 1.0), 1.0) ** (s.rates.narrow * s.machine.switched),
    )
    shared = stack.mixers + stack.routed * (s.model.shared_weights > 0.0)  # these are divided as dense layers are
    forward = 2.0 * stack.dense * (2.0 - s.model.parallel_residual) + 2.0 * shared
    backward = 4.0 * stack.dense + 2.0 * shared
    return np.where(micro.tp > 1, ring * (forward * (1.0 + micro.recomputed_fraction) + backward), 0.0) * s.rates.tensor


def _context_parallel(s: Scope, micro: _MicroBatch, stack: _Stack, attention: Number) -> Number:
    """The ring of keys and values: a share shows always, the rest where it outlasts half of attention.

    Recurrent layers trade tokens for heads before and behind their scan (Megatron-Core's mamba_context_parallel.py).
    """
    size = 2.0 * micro.tokens * (s.model.kv_width * micro.cp + s.model.exchanged) / micro.tp
    group = micro.tp * micro.cp  # each rank sends to the next: one port carries what crosses
    local = np.where(_in_link_domain(s, micro, group) < group, 1.0, micro.cp)
    ring = ring_time(s.machine, s.machine.up_gather, size, micro.cp, local) * stack.layers * micro.passes
    return np.where(micro.cp > 1, s.rates.context * ring + np.maximum(ring - 0.5 * attention, 0.0), 0.0)


def _expert_parallel(s: Scope, micro: _MicroBatch, stack: _Stack) -> Number:
    """Two all-to-alls forward and two backward: what stays in the domain by link, the rest by network."""
    machine = s.machine
    size = 2.0 * micro.tokens * s.model.top_k / micro.tp * s.model.routed_width
    near = _in_link_domain(s, micro, micro.ep)
    inside = size * (near - 1.0) / micro.ep / (machine.link * link_share(machine.up_gather, size))
    outside = size * (1.0 - near / micro.ep)
    share = link_share(machine.out, size * as_of_port(machine.network))
    across = outside / np.maximum(machine.network * share, 1.0)
    one = np.where(micro.ep > 1, inside + across, 0.0)
    return 2.0 * (2.0 + micro.recomputed_experts) * stack.routed * one * s.rates.expert_exchange


def _in_link_domain(s: Scope, micro: _MicroBatch, group: Number) -> Number:
    """GPUs of a group of neighbours that one link domain joins."""
    return np.where(micro.in_node, group, neighbours(s.machine, group))


def _least(s: Scope, micro: _MicroBatch, stack: _Stack, head_flops: Number) -> Number:
    """What no kernel measured anywhere would undercut."""
    layers = micro.matmul_passes * (_matmul_flops(micro, stack) + _expert_flops(s, micro, stack)) / s.machine.ceiling
    scores = _score_flops(s, micro, stack) + micro.tokens * s.model.scan_flops * stack.layers / micro.tp
    scores = scores * (1.0 + BACKWARD_ATTENTION_FLOPS + micro.recomputed_attention)
    return layers + (head_flops + scores) / s.machine.ceiling_16


def _full(value: Number, shape: tuple[int, ...]) -> FloatArray:
    return np.broadcast_to(np.asarray(value, dtype=np.float64), shape)


def _counts(value: Number, shape: tuple[int, ...]) -> IntArray:
    return np.broadcast_to(np.asarray(value, dtype=np.int64), shape)
