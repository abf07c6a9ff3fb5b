"""What one layer of a model asks of a GPU: multiplications, operand widths, bytes; as numbers, or as arrays of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from planner.spec.model import ModelSpec
from planner.workload.counts import dense_layer_count, indexer_weights, latent_weights, mlp_layer_count
from planner.workload.flops import attention_layers, index_width
from planner.workload.layers import EXPERTS, attention_count, layer_kinds, recurrent_count
from planner.workload.recurrent import matmul_weights, scan_flops, scan_work, widths

# A float or a float array: one value for every layout, or one a row; numpy types mixed sums no closer than this.
Number: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class ModelNumbers:
    """Per-layer figures of a model, before any parallelism. Weights count elements; widths are elements a token.

    Where layers differ, a figure is their mean: of all layers for mixers, of those without experts for dense MLPs.
    A matmul's operands are read as (full, split) input plus output widths: `split` widths are divided by tensor
    parallelism, `full` ones are not (column-parallel inputs, row-parallel outputs).
    """

    layers: Number
    moe_layers: Number  # of those, with routed experts
    hidden: Number
    heads: Number  # of attention, on the mean of all layers
    attention_weights: Number
    attention_full: Number
    attention_split: Number
    score_width: Number  # heads x (query-key + value width): one multiply-add a visible key
    kv_width: Number  # elements a token that a context-parallel ring passes on
    windowed_share: Number  # of the layers
    window: Number  # keys, meaningful where windowed_share > 0
    mlp_weights: Number  # of a dense layer
    mlp_full: Number
    mlp_split: Number
    mlp_hidden: Number  # activations between the MLP's matmuls, gate included
    experts: Number  # routed, per MoE layer
    top_k: Number
    expert_weights: Number  # of one
    expert_width: Number  # operand widths of one, per routed row
    expert_hidden: Number
    shared_weights: Number  # all shared experts of a layer
    shared_full: Number
    shared_split: Number
    vocab: Number  # padded
    embeddings: Number  # weight matrices of vocab x hidden: 1 tied, 2 untied
    parallel_residual: Number  # 0 or 1
    rotary: Number  # 0 or 1: no learned positions
    extra_layers: Number  # multi-token prediction, each with the head's work again
    scan_flops: Number  # of recurrences, forward, a token
    scan_work: Number  # the same as kernels do it, as FLOPs of tensor cores
    lone: Number  # layers that are a mixer or an MLP alone
    lone_routed: Number  # of those, with experts
    routed_width: Number  # that routed experts read and give
    chosen_keys: Number  # that an indexer leaves each query, 0: all
    index_width: Number  # heads x width of the indexer
    exchanged: Number  # elements a token that recurrent layers send each way over context parallelism
    chunked: Number  # 0 or 1: windows are chunks side by side


def model_numbers(model: ModelSpec) -> ModelNumbers:
    """The figures of one model.

    Attention has h·d·(a + 2k) + a·d·h weights, an MLP 2 or 3 matrices of h x f,
    latent attention as in DeepSeek-V2 (arXiv:2405.04434, section 2.1).
    """
    h, a, k, d = model.hidden, model.heads, model.kv_heads, model.head_dim
    gates = 2 if model.gated_mlp else 1
    mla, moe = model.mla, model.moe
    if mla is None:
        weights, full, split = h * d * (a + 2 * k) + a * d * h, 2 * h, d * (2 * a + 2 * k)
        score, kv = a * 2 * d, k * 2 * d
    else:
        query = mla.qk_nope_head_dim + mla.qk_rope_head_dim
        down_kv = mla.kv_lora_rank + mla.qk_rope_head_dim
        up_kv = a * (mla.qk_nope_head_dim + mla.v_head_dim)
        down_q, up_q = (mla.q_lora_rank, a * query) if mla.q_lora_rank else (0, a * query)
        source = mla.q_lora_rank or h
        weights = h * down_q + source * up_q + h * down_kv + mla.kv_lora_rank * up_kv + a * mla.v_head_dim * h
        full = (h + down_q if down_q else 0) + source + (h + down_kv) + mla.kv_lora_rank + h
        split = up_q + up_kv + a * mla.v_head_dim
        score, kv = a * (query + mla.v_head_dim), a * (query + mla.v_head_dim)
    if model.attention_gate:
        weights, split = weights + h * a * d, split + 2 * a * d
    if model.sparse is not None:
        weights, full = weights + indexer_weights(model.sparse, model), full + model.sparse.index_head_dim
    multiple = max(1, model.vocab_multiple)
    mixers = _Mixers(float(weights), float(full), float(split), float(score), float(kv), float(a))
    pattern = _pattern_layers(model, mixers) if model.layer_pattern else _uniform_layers(model, mixers)
    expert_ffn, expert_outer = (moe.expert_ffn, moe.latent or h) if moe else (0, h)
    shared = moe.shared_experts * moe.shared_ffn if moe else 0
    return ModelNumbers(
        layers=float(model.layers),
        moe_layers=float(pattern.moe_layers),
        hidden=float(h),
        heads=pattern.mixers.heads,
        attention_weights=pattern.mixers.weights,
        attention_full=pattern.mixers.full,
        attention_split=pattern.mixers.split,
        score_width=pattern.mixers.score,
        kv_width=pattern.mixers.kv,
        windowed_share=pattern.windowed,
        window=float(model.sliding_window or 0),
        mlp_weights=pattern.mlps * (gates + 1) * h * model.ffn,
        mlp_full=pattern.mlps * 2.0 * h,
        mlp_split=pattern.mlps * (gates + 1) * model.ffn,
        mlp_hidden=pattern.mlps * (gates + 1) * model.ffn,
        experts=float(moe.experts if moe else 0),
        top_k=float(moe.top_k if moe else 0),
        expert_weights=float((gates + 1) * expert_outer * expert_ffn),
        expert_width=float(2 * expert_outer + (gates + 1) * expert_ffn if moe else 0),
        expert_hidden=float((gates + 1) * expert_ffn),
        shared_weights=float((gates + 1) * h * shared + latent_weights(model)),
        shared_full=float((2 * h if shared else 0) + (2 * (h + moe.latent) if moe and moe.latent else 0)),
        shared_split=float((gates + 1) * shared),
        vocab=float(-(-model.vocab // multiple) * multiple),
        embeddings=1.0 if model.tied_embeddings else 2.0,
        parallel_residual=1.0 if model.parallel_residual else 0.0,
        rotary=0.0 if model.learned_positions or model.position_embedding else 1.0,
        extra_layers=float(model.mtp_layers),
        scan_flops=pattern.scan_flops,
        scan_work=pattern.scan_work,
        lone=pattern.lone,
        lone_routed=pattern.lone_routed,
        routed_width=float(expert_outer),
        chosen_keys=float(model.sparse.top_k if model.sparse else 0),
        index_width=float(index_width(model)),
        exchanged=pattern.exchanged,
        chunked=1.0 if model.window_in_chunks else 0.0,
    )


class _Mixers(NamedTuple):
    """Of one attention layer, or the mean of all layers: weights, operand widths, widths of scores, keys and values."""

    weights: float
    full: float
    split: float
    score: float
    kv: float
    heads: float


class _Layers(NamedTuple):
    """How the layers of a model are made up."""

    mixers: _Mixers
    moe_layers: int
    windowed: float  # share of attention layers
    mlps: float = 1.0  # share of the layers without experts that have the dense MLP
    lone: float = 0.0
    lone_routed: float = 0.0
    scan_flops: float = 0.0
    scan_work: float = 0.0
    exchanged: float = 0.0


def _uniform_layers(model: ModelSpec, mixers: _Mixers) -> _Layers:
    """Attention in every layer, windows and experts at even steps."""
    every, moe = model.full_attention_every, model.moe
    windowed = 0.0 if model.sliding_window is None else (1.0 - 1.0 / every if every else 1.0)
    return _Layers(mixers, len(range(moe.first_dense_layers, model.layers, moe.every)) if moe else 0, windowed)


def _pattern_layers(model: ModelSpec, mixers: _Mixers) -> _Layers:
    """The means over the layers of a pattern; a recurrent mixer keeps its state where attention has scores."""
    r, layers = model.recurrent, float(model.layers)
    attention, recurrent = attention_count(model) / layers, recurrent_count(model) / layers
    windowed = attention_layers(model, 2**62)[1] / (attention * layers) if attention else 0.0
    dense = dense_layer_count(model)
    lone = {word: count for word, count in layer_kinds(model).items() if len(word) == 1}
    mean = _Mixers(*(attention * part for part in mixers))
    work = flops = exchanged = 0.0
    if r is not None:
        w, h = widths(r), float(model.hidden)
        inner = w.inner + r.step_rank + 2 * r.state + r.step_rank + w.inner if r.kind == "mamba" else 0
        mean = mean._replace(
            weights=mean.weights + recurrent * matmul_weights(r, model.hidden),
            full=mean.full + recurrent * 2.0 * h,
            split=mean.split + recurrent * (w.projected + w.convolved + 2.0 * w.inner + inner),
        )
        exchanged = recurrent * (w.projected + w.inner)
        work, flops = recurrent * scan_work(r), recurrent * scan_flops(r)
    return _Layers(
        mean,
        model.layers - dense,
        windowed,
        mlps=mlp_layer_count(model) / dense if dense else 0.0,
        lone=float(sum(lone.values())),
        lone_routed=float(lone.get(EXPERTS, 0)),
        scan_flops=flops,
        scan_work=work,
        exchanged=exchanged,
    )


def stacked(rows: Sequence[Any], index: Sequence[int] | None = None) -> Any:
    """One object whose fields are arrays (len(index),) made from the objects that `index` names, in its order."""
    order = np.arange(len(rows)) if index is None else np.asarray(index)
    kind = type(rows[0])
    return kind(*(np.asarray([getattr(r, f.name) for r in rows])[order] for f in fields(kind)))


def visible_keys(model: ModelNumbers, seq_length: Number) -> Number:
    """Mean keys a query attends to, causal: s/2, and w - w²/(2s) in layers with a window of w < s; (n,) or a number.

    Of chunks of w side by side a query sees half of its own.
    Where an indexer chooses k of them, attention sees no more than with a window of k, and the indexer all: its
    product's width counts in proportion to that of the scores.
    """
    w = np.minimum(np.maximum(model.window, 1.0), seq_length)
    windowed = w - w * w / (2.0 * seq_length)
    windowed = np.where(model.chunked > 0, w / 2.0, windowed)
    seen = model.windowed_share * windowed + (1.0 - model.windowed_share) * seq_length / 2.0
    k = np.minimum(np.maximum(model.chosen_keys, 1.0), seq_length)
    indexed = k - k * k / (2.0 * seq_length) + 0.5 * seq_length * model.index_width / np.maximum(model.score_width, 1.0)
    return np.where(model.chosen_keys > 0, indexed, seen)


def forward_flops(model: ModelNumbers, seq_length: Number) -> Number:
    """Model FLOPs of one token's forward pass: every matmul counted as used, attention over visible keys only."""
    routed = model.moe_layers + model.extra_layers * (model.moe_layers > 0)
    layers = model.layers + model.extra_layers
    per_token = layers * (model.attention_weights + model.score_width * visible_keys(model, seq_length))
    per_token = per_token + (layers - routed) * model.mlp_weights + 0.5 * layers * model.scan_flops
    per_token = per_token + routed * (
        model.top_k * model.expert_weights + model.shared_weights + model.hidden * model.experts
    )
    extra = model.extra_layers * 2.0 * model.hidden * model.hidden
    return 2.0 * (per_token + extra + (1.0 + model.extra_layers) * model.vocab * model.hidden)
