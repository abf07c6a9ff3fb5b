"""What one layer keeps for the backward pass, per token, before any parallelism: the coefficients behind `memory`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from operator import mul

import numpy as np

from planner.performance.framework_table import MemoryConstants, memory_framework
from planner.performance.selective_recompute import MODULES
from planner.spec.adapter import Adapter
from planner.spec.model import ModelSpec
from planner.workload.adapters import NF4_BYTES, UPCAST_BYTES, adapter_counts
from planner.workload.counts import ParameterCounts, parameter_counts
from planner.workload.layers import DENSE, EXPERTS, RECURRENT, layer_kinds, layer_words
from planner.workload.recurrent import kept_elements, widths

SCORE_GRADIENTS = 4.0  # bytes a score in backward, unfused: gradients of softmax and dropout, 16 bits each
HALF = 2.0  # bytes of a 16-bit activation; under 8- and 4-bit recipes only the inputs of matmuls are smaller


@dataclass(frozen=True, slots=True)
class LayerBytes:
    """Bytes a token that one layer saves, by what divides them.

    `spread`: divided by tp under sequence parallelism, else whole on every rank. `split`: always divided by tp.
    `scores`: divided by tp, times the sequence length (attention without a flash kernel).
    `routed`: like `spread`, of the tokens that the rank's experts receive.
    """

    spread: float
    split: float
    scores: float
    routed: float


@dataclass(frozen=True, slots=True)
class MemoryShapes:
    """Per-token activation bytes and per-layer parameters of one model under one framework."""

    hidden: float
    dense: LayerBytes  # everything kept
    moe: LayerBytes
    dense_selective: LayerBytes
    moe_selective: LayerBytes
    transient: LayerBytes  # gradients and buffers alive while one layer runs backward
    input_bytes: float  # a layer's checkpoint: its input
    largest: float  # parameters of the largest matrix outside the vocabulary, which tp divides
    dense_split: float  # parameters of a dense layer that tp divides
    dense_whole: float  # and those that every rank holds
    moe_split: float
    moe_whole: float
    routed: float  # parameters of all routed experts of a layer: divided by ep
    vocab_rows: float  # before padding
    vocab_multiple: float
    outside: float  # parameters beside the layers on the last stage; positions are on the first
    positions: float
    tied: bool
    layers: int  # multi-token prediction included
    first_dense: int
    every: int  # n-th layers after them are MoE; 0: none
    logits_copies: float  # one, and one a multi-token prediction layer
    widest: LayerBytes | None = None  # the most that any layer keeps, where layers without experts differ
    most_moe: tuple[float, ...] = ()  # of a pattern: the most layers with experts among any n in a row, by n
    table_weight: float = 1.0  # 16-bit weights that one of the vocabulary's tables takes the room of

    @property
    def has_dense(self) -> bool:
        return self.every != 1 or self.first_dense > 0 or (bool(self.most_moe) and self.most_moe[-1] < self.layers)


@lru_cache(maxsize=256)
def memory_shapes(
    model: ModelSpec,
    seq_length: int,
    precision: str,
    name: str,
    flash: bool,
    fused: bool = True,
    modules: tuple[str, ...] | None = None,
) -> MemoryShapes:
    """The coefficients of one model.

    Parameters
    ----------
    flash : whether attention runs in flash kernels
    fused : whether the MLP's activation does in one kernel; eager operations keep what lies between them, too
    modules : what selective recompute covers, by the names of `MODULES`; None: as the framework's table has it

    Source: Korthikanti et al. 2022, section 4 (10 + 24/t + 5as/(ht), of which dropout masks, 2, are a constant of the
    framework), with the MLP, the heads and the experts written out instead of their 4h and a = k.
    """
    row = memory_framework(name)
    constants = row.memory
    counts = parameter_counts(model, seq_length=seq_length)
    drops = constants.selective_drops if modules is None else tuple(MODULES[m] for m in modules)
    scores = 0.0 if flash else constants.attention_scores_bytes * model.heads
    fed, between = row.input_bytes(precision), 0.0 if fused or not model.gated_mlp else HALF
    # Of attention and the projection; None: each its own.
    shared_output = constants.attention_output_bytes.get(precision)
    gate = constants.gate_input_bytes.get(precision, HALF)
    masks = LayerBytes(constants.dropout_bytes * model.hidden, 0.0, 0.0, 0.0)
    attention = [_attention(model, scores, fed, shared_output, dropped) for dropped in ((), drops)]
    mlp = [_mlp(model, model.ffn, fed, between, dropped) for dropped in ((), drops)]
    experts = [_experts(model, constants, fed, between, dropped, gate) for dropped in ((), drops)]
    recurrent = [_recurrent(model, fed, dropped) for dropped in ((), drops)]
    gates = 2 if model.gated_mlp else 1
    words = layer_kinds(model) or {"AD": model.layers, "AE": model.layers}
    kept, selective = (
        {word: _of_word(word, attention[i], recurrent[i], mlp[i], experts[i], masks) for word in words} for i in (0, 1)
    )
    held = {word: _parameters(word, counts, model) for word in words}
    (dense, moe), (selective_dense, selective_moe) = (_means(each, words) for each in (kept, selective))
    dense_held, moe_held = _means(held, words)
    first_dense, every = (model.moe.first_dense_layers, model.moe.every) if model.moe else (0, 0)
    pattern = bool(model.layer_pattern)
    widest: LayerBytes | None = None
    most_moe: tuple[float, ...] = ()
    if pattern:
        widest = LayerBytes(*(max(column) for column in zip(*map(astuple, kept.values()), strict=True)))
        sums = np.concatenate([[0.0], np.cumsum([EXPERTS in word for word in layer_words(model)])])
        most_moe = tuple(float((sums[n:] - sums[: len(sums) - n]).max()) for n in range(len(sums)))
    return MemoryShapes(
        hidden=float(model.hidden),
        dense=dense,
        moe=moe,
        dense_selective=selective_dense,
        moe_selective=selective_moe,
        transient=_transient(model, constants, gates, 0.0 if flash else SCORE_GRADIENTS * model.heads),
        input_bytes=HALF * model.hidden,
        largest=float(max(model.ffn, widths(model.recurrent).projected if model.recurrent else 0) * model.hidden),
        dense_split=dense_held.split,
        dense_whole=dense_held.spread,
        moe_split=moe_held.split,
        moe_whole=moe_held.spread,
        routed=float(counts.routed),
        vocab_rows=float(model.vocab),
        vocab_multiple=float(model.vocab_multiple),
        # DeepSeek-V3, section 2.2: each multi-token prediction layer first projects two vectors to one.
        outside=float(counts.final_norm + model.mtp_layers * 2 * model.hidden**2),
        positions=float(counts.positions),
        tied=model.tied_embeddings,
        layers=model.layers + model.mtp_layers,
        first_dense=0 if pattern else first_dense,
        every=(1 if counts.moe_layers else 0) if pattern else every,
        logits_copies=1.0 + model.mtp_layers,
        widest=widest,
        most_moe=most_moe,
    )


def with_adapter(shapes: MemoryShapes, model: ModelSpec, adapter: Adapter) -> MemoryShapes:
    """The same beside adapters: each keeps a 16-bit copy of what it reads, its dropout's mask, and its r values.

    PEFT's adapters are in fp32 unless told otherwise, and autocast makes the copy (peft/tuners/lora/layer.py,
    _cast_input_dtype); dropout is there unless lora_dropout is 0. Frozen weights in 4 bits count as
    so many of 16, those that stay as two each (fp32).
    """
    own = adapter_counts(model, adapter)
    copied = ((HALF + 1.0) * own.inputs + HALF * adapter.r * (own.kernels + own.expert_kernels)) / model.layers
    more = LayerBytes(copied, 0.0, 0.0, 0.0)
    kept = ("dense", "moe", "dense_selective", "moe_selective")
    shapes = replace(shapes, **{name: _sum(getattr(shapes, name), more) for name in kept})  # type: ignore[arg-type]
    if shapes.widest is not None:
        shapes = replace(shapes, widest=_sum(shapes.widest, more))
    if not adapter.quantised:
        return shapes
    part, whole, norms = NF4_BYTES / HALF, UPCAST_BYTES / HALF, float(parameter_counts(model).norms)

    def stored(spread: float) -> float:
        return whole * min(norms, spread) + part * max(spread - norms, 0.0)

    return replace(
        shapes,
        dense_split=part * shapes.dense_split,
        dense_whole=stored(shapes.dense_whole),
        moe_split=part * shapes.moe_split,
        moe_whole=stored(shapes.moe_whole),
        routed=part * shapes.routed,
        outside=whole * shapes.outside,
        positions=whole * shapes.positions,
        table_weight=whole,
    )


def _of_word(
    word: str, attention: LayerBytes, recurrent: LayerBytes, mlp: LayerBytes, experts: LayerBytes, masks: LayerBytes
) -> LayerBytes:
    """What a layer of this word keeps. `masks` are those behind its mixer and its MLP."""
    parts = {RECURRENT: recurrent, DENSE: mlp, EXPERTS: experts}
    share = len(word) / 2.0
    return _sum(*(parts.get(letter, attention) for letter in word), LayerBytes(*(share * m for m in astuple(masks))))


def _parameters(word: str, counts: ParameterCounts, model: ModelSpec) -> LayerBytes:
    """Parameters of a layer, routed experts apart: `split` those that tp divides, `spread` those that it does not."""
    replicated, mla = 0, model.mla
    if mla is not None:  # down projections of latent attention
        replicated = model.hidden * (mla.q_lora_rank + mla.kv_lora_rank + mla.qk_rope_head_dim)
    parts = {
        RECURRENT: (counts.recurrent, 0),
        DENSE: (counts.mlp, 0),
        EXPERTS: (counts.shared, counts.router),
    }
    attention = (counts.attention - replicated, replicated)
    split, whole = (sum(parts.get(letter, attention)[i] for letter in word) for i in (0, 1))
    return LayerBytes(float(counts.norms * len(word) // 2 + whole), float(split), 0.0, 0.0)


def _means(each: Mapping[str, LayerBytes], words: Mapping[str, int]) -> tuple[LayerBytes, LayerBytes]:
    """The mean of layers without experts, and of those with."""
    out = []
    for with_experts in (False, True):
        many = {word: count for word, count in words.items() if (EXPERTS in word) is with_experts}
        total = sum(many.values())
        parts = [astuple(each[word]) for word in many]
        if len(parts) == 1:
            out.append(LayerBytes(*parts[0]))
        else:
            shares = [count / total for count in many.values()]
            columns = zip(*parts, strict=True) if parts else [()] * 4
            out.append(LayerBytes(*(sum(map(mul, shares, column), 0.0) for column in columns)))
    return out[0], out[1]


def _sum(*parts: LayerBytes) -> LayerBytes:
    return LayerBytes(
        spread=sum(p.spread for p in parts),
        split=sum(p.split for p in parts),
        scores=sum(p.scores for p in parts),
        routed=sum(p.routed for p in parts),
    )


def _attention(
    model: ModelSpec, scores: float, fed: float, shared_output: float | None, drops: tuple[str, ...]
) -> LayerBytes:
    """Norm input, matmul inputs, queries, keys, values and the attention output (what a flash kernel saves).

    `fed` is the bytes of an element that a matmul saves as its input. The attention output is kept in 16 bits for
    attention and, when that is smaller, again as the projection's input, unless both read one of `shared_output` bytes.
    """
    if "every_other_matmul" in drops:
        queries, keys = model.heads * model.head_dim, model.kv_heads * model.head_dim
        results = HALF * (queries + 2 * keys) / 2.0 + HALF * queries  # of attention itself all
        return LayerBytes(spread=HALF * 1.5 * model.hidden, split=results, scores=scores, routed=0.0)
    separate = model.mla is not None and "separate_norm_outputs" in drops
    fed_norm = 0.0 if separate or "norm_outputs" in drops else fed
    norm = (HALF + fed_norm) * model.hidden
    output = shared_output if shared_output is not None else HALF + (fed if fed < HALF else 0.0)
    scores = 0.0 if "attention_scores" in drops else scores
    if model.mla is not None:
        mla = model.mla
        query = model.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
        value = model.heads * mla.v_head_dim
        # Compressed vectors before and after their norm; the rotary key has none.
        compressed = mla.q_lora_rank + mla.kv_lora_rank
        latent = (HALF + (0.0 if "norm_outputs" in drops else fed)) * compressed + HALF * mla.qk_rope_head_dim
        up = 0.0 if "mla_up_projections" in drops else HALF * (2 * query + value)
        return LayerBytes(spread=norm + latent, split=up + output * value, scores=scores, routed=0.0)
    queries, keys = model.heads * model.head_dim, model.kv_heads * model.head_dim
    before_norm = queries + keys if model.qk_norm else 0
    gate = 2 * queries if model.attention_gate else 0  # the gate, and attention's output before it
    split = HALF * (queries + 2 * keys + before_norm + gate) + output * queries
    return LayerBytes(spread=norm, split=split, scores=scores, routed=0.0)


def _recurrent(model: ModelSpec, fed: float, drops: tuple[str, ...]) -> LayerBytes:
    """Norm input and output, and what the mixer's kernels save (`kept_elements`)."""
    if model.recurrent is None:
        return LayerBytes(0.0, 0.0, 0.0, 0.0)
    if "every_other_matmul" in drops:
        return LayerBytes(
            HALF * 1.5 * model.hidden, HALF * kept_elements(model.recurrent) / 2.0, scores=0.0, routed=0.0
        )
    fed_norm = 0.0 if "norm_outputs" in drops else fed
    return LayerBytes((HALF + fed_norm) * model.hidden, HALF * kept_elements(model.recurrent), scores=0.0, routed=0.0)


def _mlp(
    model: ModelSpec,
    width: int,
    fed: float,
    between: float,
    drops: tuple[str, ...],
    gate: float = HALF,
    *,
    separate_norm: bool = False,
) -> LayerBytes:
    """Norm input, the inner activations before the non-linearity, and the inputs of both matmuls.

    With a parallel residual both norms read the same tensor, which is kept once. `between` is the bytes of an element
    of the gate behind its non-linearity: an eager SwiGLU keeps four tensors (gate, its silu, up, their product).
    """
    inner = (2 if model.gated_mlp else 1) * width
    if "every_other_matmul" in drops:
        return LayerBytes(HALF * 0.5 * model.hidden, HALF * inner / 2.0, scores=0.0, routed=0.0)
    inputs = 0.0 if model.parallel_residual else HALF
    rebuilt = "norm_outputs" in drops or (separate_norm and "separate_norm_outputs" in drops)
    norm = model.hidden * (inputs + (0.0 if rebuilt else fed))
    if "mlp" in drops:
        return LayerBytes(spread=norm, split=0.0, scores=0.0, routed=0.0)
    after = 0.0 if separate_norm and "gate_outputs" in drops else fed + between
    return LayerBytes(spread=norm, split=gate * inner + after * width, scores=0.0, routed=0.0)


def _experts(
    model: ModelSpec, constants: MemoryConstants, fed: float, between: float, drops: tuple[str, ...], gate: float
) -> LayerBytes:
    """Router logits (fp32, with their softmax and mask), top-k permuted inputs, inner activations; shared experts.

    The combining probabilities are applied between the experts' matmuls (Megatron-Core), so outputs are not kept.
    """
    if model.moe is None:
        return LayerBytes(0.0, 0.0, 0.0, 0.0)
    moe = model.moe
    inner = 2 if model.gated_mlp else 1
    after = 0.0 if "expert_activation" in drops or "gate_outputs" in drops else fed + between
    shared = _mlp(model, moe.shared_experts * moe.shared_ffn, fed, between, drops, gate, separate_norm=True)
    if "experts" in drops:
        return LayerBytes(spread=shared.spread, split=0.0, scores=0.0, routed=0.0)
    router, outer = 3 * 4.0 * moe.experts, moe.latent or model.hidden
    a_copy = fed * outer + (gate * inner + after) * moe.expert_ffn
    if "every_other_matmul" in drops:
        a_copy = HALF * (inner * moe.expert_ffn + outer) / 2.0
    routed = constants.moe_imbalance * moe.top_k * a_copy
    latent = 2.0 * HALF * moe.latent  # what is projected, and the sum of experts before it is projected back
    return LayerBytes(spread=shared.spread + router + latent, split=shared.split, scores=0.0, routed=routed)


def _transient(model: ModelSpec, constants: MemoryConstants, gates: int, scores: float) -> LayerBytes:
    """Gradients of the widest inner activations, of scores and of the layer's input; all-to-all buffers both ways."""
    has_dense = DENSE in model.layer_pattern or model.moe is None or model.moe.first_dense_layers
    inner = HALF * (gates + 1) * model.ffn if has_dense else 0.0
    if model.recurrent is not None:  # gradients of what is projected, and the states at chunk borders in fp32
        r = model.recurrent
        inner = max(inner, HALF * kept_elements(r) + 4.0 * r.heads * r.head_dim * r.state / r.chunk)
    routed = 0.0
    if model.moe is not None:
        moe = model.moe
        inner = max(inner, HALF * (gates + 1) * moe.shared_experts * moe.shared_ffn)
        expert = HALF * ((gates + 1) * moe.expert_ffn + 2 * (moe.latent or model.hidden))
        routed = constants.moe_imbalance * moe.top_k * expert
    return LayerBytes(spread=HALF * model.hidden, split=inner, scores=scores, routed=routed)
