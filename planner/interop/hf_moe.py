"""Families of config.json with experts in some layers, or attention of kinds of their own beside them.

Source: transformers 5.24, models/*/configuration_*.py and modeling_*.py.
"""

# ruff: noqa: D103 - a function a family, named as transformers names it

from __future__ import annotations

from dataclasses import replace

from planner.interop.hf_keys import Keys
from planner.interop.hf_layers import each, pattern, stated_mixers, windowed
from planner.interop.hf_llama import bias_of, deepseek, llama_like, routed
from planner.spec.model import ModelSpec, SparseSpec
from planner.workload.layers import ATTENTION, DENSE, EXPERTS, WINDOWED


def llama4(k: Keys, name: str) -> ModelSpec:
    """Llama 4's text: chunks of attention in three layers of four, experts in each interleave_moe_layer_step-th."""
    layers = k.number("layers", "num_hidden_layers")
    interval = k.number("layer_pattern", "no_rope_layer_interval", default=4)
    chunk = k.maybe("sliding_window", "attention_chunk_size") or None
    k.used |= {"no_rope_layers", "moe_layers", "attn_temperature_tuning", "floor_scale", "attn_scale", "use_qk_norm",
               "for_llm_compressor", "interleave_moe_layer_step"}  # fmt: skip
    stated = k.values.get("no_rope_layers")
    everywhere = [i for i in range(layers) if (i + 1) % interval == 0]
    if isinstance(stated, list) and len(stated) >= layers:  # 1: rotary positions, in chunks; 0: neither
        everywhere = [i for i in range(layers) if not stated[i]]
    mixers = stated_mixers(k, layers, "layer_types") or each(layers, everywhere, ATTENTION, WINDOWED)
    if chunk is None:
        mixers = [ATTENTION] * layers
    step = k.number("layer_pattern", "interleave_moe_layer_step")
    listed = k.values.get("moe_layers")
    chosen = [i for i in listed if isinstance(i, int)] if isinstance(listed, list) else range(step - 1, layers, step)
    moe = routed(k, "num_local_experts", shared=1)
    return llama_like(
        k,
        name,
        ffn=k.number("ffn", "intermediate_size_mlp"),
        moe=moe,
        sliding_window=chunk if WINDOWED in mixers else None,
        window_in_chunks=WINDOWED in mixers,
        **bias_of(k),
        **pattern(mixers, each(layers, chosen, EXPERTS, DENSE)),
    )


def ernie4_5_moe(k: Keys, name: str) -> ModelSpec:
    layers = k.number("layers", "num_hidden_layers")
    step, start = (
        k.number("layer_pattern", "moe_layer_interval"),
        k.number("moe.first_dense_layers", "moe_layer_start_index", least=0),
    )
    stated = k.values.get("moe_layer_end_index")
    k.used |= {"moe_layer_end_index", "moe_use_aux_free", "moe_norm_min", "moe_gate", "moe_capacity"}
    end = stated if isinstance(stated, int) and stated >= 0 else layers - 1
    chosen = (i for i in range(layers) if (i + 1) % step == 0 and start <= i <= end)
    moe = routed(
        k,
        "moe_num_experts",
        width="moe_intermediate_size",
        top=("moe_k", "num_experts_per_tok"),
        shared=k.number("moe.shared_experts", "moe_num_shared_experts", least=0),
        router_bias=True,
    )
    held = bias_of(k, "use_bias", everywhere=True) | pattern([ATTENTION] * layers, each(layers, chosen, EXPERTS, DENSE))
    return llama_like(k, name, tied=True, moe=moe, **held)


def deepseek_v32(k: Keys, name: str) -> ModelSpec:
    """DeepSeek-V3.2 and GLM-5: latent attention to the keys that an indexer chooses."""
    sparse = SparseSpec(
        index_heads=k.number("sparse.index_heads", "index_n_heads"),
        index_head_dim=k.number("sparse.index_head_dim", "index_head_dim"),
        top_k=k.number("sparse.top_k", "index_topk"),
    )
    k.used |= {"layer_types", "head_dim", "attention_bias", "mlp_bias", "indexer_types",
               "indexer_rope_interleave"}  # fmt: skip
    return replace(deepseek(k, name), sparse=sparse)


def minimax_m2(k: Keys, name: str) -> ModelSpec:
    k.used |= {"use_qk_norm", "qk_norm_type", "attn_type_list", "use_mtp", "num_mtp_modules", "mtp_transformer_layers",
               "shared_intermediate_size", "rotary_dim", "layer_types"}  # fmt: skip
    moe = routed(k, "num_local_experts", router_bias=k.flag("moe.router_bias", "use_routing_bias", True))
    return llama_like(k, name, qk_norm=True, qk_norm_wide=True, moe=moe)


def exaone_moe(k: Keys, name: str) -> ModelSpec:
    shared = k.number("moe.shared_experts", "num_shared_experts", least=0)
    layers, first = k.number("layers", "num_hidden_layers"), k.number("layer_pattern", "first_k_dense_replace", least=0)
    k.used |= {"mlp_layer_types", "is_moe_layer"}
    windows = windowed(k, 4)
    every = windows.pop("full_attention_every", 0)
    mixers = [ATTENTION] * layers
    if windows:
        mixers = each(layers, range(every - 1, layers, every) if every else (), ATTENTION, WINDOWED)
    moe = routed(k, "num_experts", width="moe_intermediate_size", shared=shared, router_bias=True)
    held = windows | pattern(mixers, each(layers, range(first, layers), EXPERTS, DENSE))
    return llama_like(k, name, qk_norm=True, moe=moe, **held)
