"""Selective recompute under Megatron-Core: which modules a run names, and what the backward pass does again for them.

Source: NVIDIA/Megatron-LM d98e8a6, megatron/core/transformer/transformer_config.py, recompute_modules.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.spec.model import ModelSpec
from planner.workload.counts import mlp_layer_count
from planner.workload.layers import EXPERTS, attention_count, layers_with

#: What each of Megatron's recompute modules spares, where a run names them.
MODULES = {
    "core_attn": "attention_scores",
    "layernorm": "separate_norm_outputs",
    "moe_act": "expert_activation",
    "mla_up_proj": "mla_up_projections",
    "moe": "experts",
    "mlp": "mlp",
}


@dataclass(frozen=True, slots=True)
class Recomputed:
    """What selective recompute computes again a token and layer."""

    attention: float  # 1: the scores and what is made of them
    experts: float  # 1: the routed experts, their exchange included
    weights: float  # of dense matmuls, which tensor parallelism divides
    elements: float  # of 16 bits that go through memory between matmuls, which tensor parallelism divides


NOTHING_RECOMPUTED = Recomputed(0.0, 0.0, 0.0, 0.0)


def selective_modules(model: ModelSpec, unfused: bool) -> tuple[str, ...]:
    """The modules that planner's selective recompute covers, and that its commands name.

    Norms and activations of experts, the expansion of latent attention, and attention itself where it keeps its scores
    (`unfused`). A dense model with a flash kernel has none of these parts: `core_attn`, Megatron's default, is all
    there is to name, and spares nothing.
    """
    experts = ("moe_act",) if model.moe is not None else ()
    latent = ("mla_up_proj",) if model.mla is not None else ()
    if not experts and not latent:
        return ("core_attn",)
    return (*(("core_attn",) if unfused else ()), *experts, "layernorm", *latent)


def expert_share(model: ModelSpec) -> float:
    """Layers with experts, of all."""
    moe = model.moe
    if model.layer_pattern:
        return layers_with(model, EXPERTS) / model.layers
    return len(range(moe.first_dense_layers, model.layers, moe.every)) / model.layers if moe else 0.0


def recomputed_by(model: ModelSpec, modules: tuple[str, ...]) -> Recomputed:
    """What the backward pass does again for these modules of a model, on the mean of its layers."""
    moe, mla = model.moe, model.mla
    routed = expert_share(model)
    attention = attention_count(model) / model.layers
    mlps = mlp_layer_count(model) / model.layers if model.layer_pattern else 1.0 - routed
    gates = 2 if model.gated_mlp else 1
    weights = elements = 0.0
    if "mla_up_proj" in modules and mla is not None:
        query = model.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
        keys = model.heads * (mla.qk_nope_head_dim + mla.v_head_dim)
        weights += attention * ((mla.q_lora_rank or model.hidden) * query + mla.kv_lora_rank * keys)
        elements += attention * (query + keys)
    if "mlp" in modules:
        weights += mlps * (gates + 1) * model.hidden * model.ffn
        elements += mlps * (gates + 1) * model.ffn
    if "moe" in modules and moe is not None:
        weights += routed * (gates + 1) * model.hidden * moe.shared_experts * moe.shared_ffn
    if "moe_act" in modules and moe is not None:
        elements += routed * moe.top_k * (gates + 1) * moe.expert_ffn
    if "layernorm" in modules:  # norms that stand by themselves: before experts, before latent attention
        elements += 2.0 * model.hidden * (routed + (mla is not None))
    return Recomputed(
        attention=float("core_attn" in modules),
        experts=float("moe" in modules and moe is not None),
        weights=weights,
        elements=elements,
    )
