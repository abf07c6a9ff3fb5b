"""The keys of a GPT-NeoX config that are the model's, each with the field that it stands for and how it is written.

Source: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments and megatron/model.
"""

from __future__ import annotations

from planner.interop.export_common import Export
from planner.interop.fields import Field
from planner.interop.neox_conditions import attention_entry
from planner.interop.neox_mlp import activation_name
from planner.workload.counts import padded_vocab


def _positions(export: Export) -> str:
    return "learned" if export.model.learned_positions else export.model.position_embedding or "rotary"


def _longest(export: Export) -> int:
    return max(export.plan.seq_length, export.model.max_seq_length or 0, export.model.learned_positions)


def _width(export: Export) -> int | None:
    """Width of the MLP or of an expert; a gated MLP's is a third of what is stated, and 4 h need not be."""
    model = export.model
    if model.moe is not None:
        return model.moe.expert_ffn
    return 3 * model.ffn if model.gated_mlp else None if model.ffn == 4 * model.hidden else model.ffn


MODEL = (
    Field("num_layers", "model.layers"),
    Field("hidden_size", "model.hidden"),
    Field("num_attention_heads", "model.heads"),
    Field("num_kv_heads", write=lambda e: e.model.kv_heads if e.model.kv_heads != e.model.heads else None),
    Field("seq_length", "data.seq_length"),
    Field("max_position_embeddings", "model.max_seq_length", write=_longest),
    Field("pos_emb", "model.position_embedding", write=_positions),
    Field("no_weight_tying", "model.tied_embeddings", words={True: False, False: True}),
    Field("gpt_j_residual", "model.parallel_residual"),
    Field("norm", "model.norm", write=lambda e: "rmsnorm" if e.model.norm == "rmsnorm" else "layernorm"),
    Field("use_bias_in_norms", write=lambda e: False if e.model.norm == "layernorm_nobias" else None),
    Field("use_qk_layernorm", "model.qk_norm"),
    Field("use_bias_in_attn_linear", "model.attention_bias"),
    Field("use_bias_in_mlp", write=lambda e: e.model.mlp_bias or e.model.moe is not None),
    Field("activation", "model.activation", write=lambda e: activation_name(e.model.activation, e.model.gated_mlp)),
    Field("attention_config", write=lambda e: attention_entry(e.plan.conditions, e.model)),
    Field("sliding_window_width", "model.sliding_window", write=lambda e: e.model.sliding_window or None),
    Field("make_vocab_size_divisible_by", "model.vocab_multiple"),
    Field("padded_vocab_size", write=lambda e: padded_vocab(e.model.vocab, e.model.vocab_multiple, e.plan.layout.tp)),
    Field("intermediate_size", write=_width),
    *(
        Field(key, write=lambda e, name=name: getattr(e.model.moe, name) if e.model.moe else None)
        for key, name in (("moe_num_experts", "experts"), ("moe_top_k", "top_k"), ("moe_expert_interval", "every"))
    ),
    Field("moe_router_type", write=lambda e: "sinkhorn" if e.model.moe else None),
)
