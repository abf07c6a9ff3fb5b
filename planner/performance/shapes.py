"""What one layer of a model asks of a GPU: multiplications, operand widths, bytes; as numbers, or as arrays of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from planner.workload.model import ModelSpec

# A float or a float array: one value for every layout, or one a row; numpy types mixed sums no closer than this.
Number: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class ModelNumbers:
    """Per-layer figures of a model, before any parallelism. Weights count elements; widths are elements a token.

    A matmul's operands are read as (full, split) input plus output widths: `split` widths are divided by tensor
    parallelism, `full` ones are not (column-parallel inputs, row-parallel outputs).
    """

    layers: Number
    moe_layers: Number  # of those, with routed experts
    hidden: Number
    heads: Number
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


def model_numbers(model: ModelSpec) -> ModelNumbers:
    """The figures of one model.

    Matrix shapes follow SCIENCE's counts: attention h·d·(a + 2k) + a·d·h, MLP 2 or 3 matrices of h x f,
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
    every = model.full_attention_every
    windowed = 0.0 if model.sliding_window is None else (1.0 - 1.0 / every if every else 1.0)
    multiple = max(1, model.vocab_multiple)
    expert_layers = 0
    if moe is not None:
        expert_layers = len(range(moe.first_dense_layers, model.layers, moe.every))
    expert_ffn = moe.expert_ffn if moe else 0
    shared = moe.shared_experts * moe.shared_ffn if moe else 0
    return ModelNumbers(
        layers=float(model.layers),
        moe_layers=float(expert_layers),
        hidden=float(h),
        heads=float(a),
        attention_weights=float(weights),
        attention_full=float(full),
        attention_split=float(split),
        score_width=float(score),
        kv_width=float(kv),
        windowed_share=windowed,
        window=float(model.sliding_window or 0),
        mlp_weights=float((gates + 1) * h * model.ffn),
        mlp_full=2.0 * h,
        mlp_split=float((gates + 1) * model.ffn),
        mlp_hidden=float((gates + 1) * model.ffn),
        experts=float(moe.experts if moe else 0),
        top_k=float(moe.top_k if moe else 0),
        expert_weights=float((gates + 1) * h * expert_ffn),
        expert_width=float(2 * h + (gates + 1) * expert_ffn if moe else 0),
        expert_hidden=float((gates + 1) * expert_ffn),
        shared_weights=float((gates + 1) * h * shared),
        shared_full=float(2 * h if shared else 0),
        shared_split=float((gates + 1) * shared),
        vocab=float(-(-model.vocab // multiple) * multiple),
        embeddings=1.0 if model.tied_embeddings else 2.0,
        parallel_residual=1.0 if model.parallel_residual else 0.0,
        rotary=0.0 if model.learned_positions or model.position_embedding else 1.0,
        extra_layers=float(model.mtp_layers),
    )


def stacked(rows: Sequence[Any], index: Sequence[int] | None = None) -> Any:
    """One object whose fields are arrays (len(index),) made from the objects that `index` names, in its order."""
    order = np.arange(len(rows)) if index is None else np.asarray(index)
    kind = type(rows[0])
    return kind(*(np.asarray([getattr(r, f.name) for r in rows])[order] for f in fields(kind)))


def visible_keys(model: ModelNumbers, seq_length: Number) -> Number:
    """Mean keys a query attends to, causal: s/2, and w - w²/(2s) in layers with a window of w < s; (n,) or a number."""
    w = np.minimum(np.maximum(model.window, 1.0), seq_length)
    windowed = w - w * w / (2.0 * seq_length)
    return model.windowed_share * windowed + (1.0 - model.windowed_share) * seq_length / 2.0


def forward_flops(model: ModelNumbers, seq_length: Number) -> Number:
    """Model FLOPs of one token's forward pass: every matmul counted as used, attention over visible keys only."""
    routed = model.moe_layers + model.extra_layers * (model.moe_layers > 0)
    layers = model.layers + model.extra_layers
    per_token = layers * (model.attention_weights + model.score_width * visible_keys(model, seq_length))
    per_token = per_token + (layers - routed) * model.mlp_weights
    per_token = per_token + routed * (
        model.top_k * model.expert_weights + model.shared_weights + model.hidden * model.experts
    )
    extra = model.extra_layers * 2.0 * model.hidden * model.hidden
    return 2.0 * (per_token + extra + (1.0 + model.extra_layers) * model.vocab * model.hidden)
