"""The arguments of Megatron-LM that are the model's, each with the field that it stands for and how it is written.

Names and defaults are those of megatron/training/arguments.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner.interop.export_common import Export
from planner.interop.fields import Field
from planner.spec.model import ModelSpec, MoESpec


def biased(model: ModelSpec) -> bool:
    """Whether all matrices of the model have biases, which one switch says."""
    return model.attention_bias and model.attention_output_bias and model.mlp_bias


def _groups(export: Export) -> int | None:
    return export.model.kv_heads if export.model.kv_heads != export.model.heads else None


def longest(export: Export) -> int:
    """The most positions that the model has or the run takes."""
    return max(export.plan.seq_length, export.model.max_seq_length or 0, export.model.learned_positions)


def _head_dim(export: Export) -> int | None:
    model = export.model
    return model.head_dim if model.head_dim * model.heads != model.hidden and model.mla is None else None


def _window(export: Export) -> str | None:
    """Keys to the left of a query, which itself is one of the window's, and to its right."""
    window = export.model.sliding_window
    return f"{window - 1},0" if window else None


def balanced_by_bias(export: Export) -> bool:
    """Whether the router has DeepSeek-V3's score correction; a biased model's router has a bias of another kind."""
    moe = export.model.moe
    return moe is not None and moe.router_bias and not biased(export.model)


def _of_experts(value: Callable[[MoESpec], Any]) -> Callable[[Export], Any]:
    return lambda export: value(export.model.moe) if export.model.moe is not None else None


def _frequency(export: Export) -> str | None:
    """Every how many layers there are experts; behind leading dense layers, a Python list of which have some."""
    if export.model.moe is None:
        return None
    dense, every = export.model.moe.first_dense_layers, export.model.moe.every
    rest = export.model.layers - dense
    if not dense:
        return str(every)
    if every == 1:
        return f"([0]*{dense}+[1]*{rest})"
    return "([" + ",".join(map(str, [0] * dense + [int(i % every == 0) for i in range(rest)])) + "])"


MODEL = (
    Field("num-layers", "model.layers"),
    Field("hidden-size", "model.hidden"),
    Field("ffn-hidden-size", "model.ffn"),
    Field("num-attention-heads", "model.heads"),
    Field("group-query-attention", write=lambda e: e.model.kv_heads != e.model.heads),
    Field("num-query-groups", "model.kv_heads", write=_groups),
    Field("kv-channels", "model.head_dim", write=_head_dim),
    Field("seq-length", "data.seq_length"),
    Field("max-position-embeddings", "model.max_seq_length", write=longest),
    Field(
        "position-embedding-type",
        "model.learned_positions",
        write=lambda e: "learned_absolute" if e.model.learned_positions else e.model.position_embedding or "rope",
    ),
    Field("normalization", "model.norm", write=lambda e: "RMSNorm" if e.model.norm == "rmsnorm" else "LayerNorm"),
    Field("swiglu", "model.gated_mlp"),
    Field("disable-bias-linear", "model.mlp_bias", write=lambda e: not biased(e.model)),
    Field("add-qkv-bias", write=lambda e: e.model.attention_bias and not biased(e.model)),
    Field("untie-embeddings-and-output-weights", "model.tied_embeddings", words={True: False, False: True}),
    Field("qk-layernorm", "model.qk_norm"),
    Field("vocab-size", "model.vocab"),
    Field("make-vocab-size-divisible-by", "model.vocab_multiple", 128),
    Field("window-size", "model.sliding_window", write=_window),
    Field("window-attn-skip-freq", write=lambda e: e.model.full_attention_every or None),
    Field("softmax-type", "model.attention_sinks", write=lambda e: "learnable" if e.model.attention_sinks else None),
    Field("mtp-num-layers", "model.mtp_layers", write=lambda e: e.model.mtp_layers or None),
)
LATENT = (
    Field("multi-latent-attention", write=lambda e: True if e.model.mla else None),
    Field(
        "q-lora-rank", "model.mla.q_lora_rank", 0, lambda e: (e.model.mla and e.model.mla.q_lora_rank) or None, least=0
    ),
    Field("kv-lora-rank", "model.mla.kv_lora_rank", 32),
    Field("qk-head-dim", "model.mla.qk_nope_head_dim", 128),
    Field("qk-pos-emb-head-dim", "model.mla.qk_rope_head_dim", 64),
    Field("v-head-dim", "model.mla.v_head_dim", 128),
)
EXPERTS = (
    Field("num-experts", "model.moe.experts"),
    Field("moe-router-topk", "model.moe.top_k", 2),
    Field("moe-ffn-hidden-size", "model.moe.expert_ffn"),
    Field("moe-layer-freq", "model.moe.every", write=_frequency),
    Field("moe-shared-expert-intermediate-size", "model.moe.shared_ffn", 0,
          _of_experts(lambda moe: moe.shared_experts * moe.shared_ffn or None), least=0),
    Field("moe-shared-expert-gate", "model.moe.shared_gate", False, _of_experts(lambda moe: moe.shared_gate or None)),
    Field("moe-router-score-function", write=lambda e: "sigmoid" if balanced_by_bias(e) else None),
    Field("moe-router-enable-expert-bias", write=lambda e: True if balanced_by_bias(e) else None),
)  # fmt: skip
