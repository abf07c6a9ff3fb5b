"""More families of config.json that differ from Llama's in norms, biases, activations, windows, attention or experts.

Source: transformers 5.24, models/*/configuration_*.py and modeling_*.py; of InternLM, Baichuan and MiniCPM, the code
that their repositories hold.
"""

# ruff: noqa: D103 - a function a family, named as transformers names it

from __future__ import annotations

from dataclasses import replace
from typing import Any

from planner.interop.hf_keys import Keys
from planner.interop.hf_layers import each, pattern, stated_mixers, windowed
from planner.interop.hf_llama import activation, base, bias_of, biases, deepseek, llama_like, routed
from planner.spec.model import ModelSpec, SparseSpec
from planner.units import PlannerError
from planner.words import say
from planner.workload.layers import ATTENTION, DENSE, EXPERTS, WINDOWED


def gemma(k: Keys, name: str, **more: Any) -> ModelSpec:
    gelu = activation(k, "gelu_pytorch_tanh", True, "hidden_activation", "hidden_act")
    return llama_like(k, name, tied=True, activation=gelu, **bias_of(k), **more)


def gemma2(k: Keys, name: str) -> ModelSpec:
    return gemma(k, name, norms_per_layer=4, **windowed(k, 2))


def gemma3(k: Keys, name: str) -> ModelSpec:
    return gemma(k, name, norms_per_layer=4, qk_norm=True, **windowed(k, 6))


def phi(k: Keys, name: str) -> ModelSpec:
    if k.flag("qk_norm", "qk_layernorm", False):
        raise PlannerError(say("hf_others.phi_norm", file=k.document.name))
    every: dict[str, Any] = dict.fromkeys(("attention_bias", "attention_output_bias", "mlp_bias", "head_bias"), True)
    gelu = activation(k, "gelu_new", False)
    return ModelSpec(**base(k, name), activation=gelu, parallel_residual=True, norms_per_layer=1, **every)


def phi3(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, sliding_window=k.maybe("sliding_window", "sliding_window") or None)


def phimoe(k: Keys, name: str) -> ModelSpec:
    head, moe = k.flag("head_bias", "lm_head_bias", False), routed(k, "num_local_experts")
    window = k.maybe("sliding_window", "sliding_window") or None
    return llama_like(k, name, norm="layernorm", head_bias=head, moe=moe, sliding_window=window, **bias_of(k))


def stablelm(k: Keys, name: str) -> ModelSpec:
    parallel = k.flag("parallel_residual", "use_parallel_residual", False)
    return llama_like(
        k,
        name,
        norm="layernorm",
        parallel_residual=parallel,
        norms_per_layer=1 if parallel else 2,
        attention_bias=k.flag("attention_bias", "use_qkv_bias", False),
        qk_norm=k.flag("qk_norm", "qk_layernorm", False),
        qk_norm_wide=bool(k.values.get("qk_layernorm")),
    )


def cohere(k: Keys, name: str) -> ModelSpec:
    norm = k.flag("qk_norm", "use_qk_norm", False)
    windows = windowed(k, 4) if k.family == "cohere2" else {}
    fields = bias_of(k) | windows | {"parallel_residual": True, "norms_per_layer": 1}
    return llama_like(k, name, tied=True, norm="layernorm_nobias", qk_norm=norm, qk_norm_wide=norm, **fields)


def olmo(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, norm="layernorm_bare", **bias_of(k))


def olmo2(k: Keys, name: str) -> ModelSpec:
    windows = windowed(k, 4) if k.family == "olmo3" else {}
    return llama_like(k, name, qk_norm=True, qk_norm_wide=True, **bias_of(k), **windows)


def olmoe(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, qk_norm=True, qk_norm_wide=True, moe=routed(k, "num_experts"), **bias_of(k))


def granitemoe(k: Keys, name: str) -> ModelSpec:
    width = k.maybe("moe.shared_ffn", "shared_intermediate_size") or 0
    moe = routed(k, "num_local_experts", shared_experts=int(width > 0), shared_ffn=width)
    return llama_like(k, name, moe=moe, **bias_of(k))


def starcoder2(k: Keys, name: str) -> ModelSpec:
    return ModelSpec(
        **base(k, name, tied=True),
        activation=activation(k, "gelu_pytorch_tanh", False),
        sliding_window=k.maybe("sliding_window", "sliding_window") or None,
        **bias_of(k, "use_bias", default=True, everywhere=True),
    )


def glm(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", True)
    return llama_like(k, name, attention_bias=bias, norms_per_layer=4 if k.family in ("glm4", "glm4v") else 2)


def shared_and_routed(k: Keys, name: str) -> ModelSpec:
    """GLM-4.5, dots, DeepSeek's first MoE: attention as Llama's, dense layers first, shared experts beside routed."""
    k.number("moe.expert_ffn", "moe_intermediate_size")
    k.maybe("moe.shared_experts", "n_shared_experts")
    moe = routed(
        k,
        "n_routed_experts",
        width="moe_intermediate_size",
        shared="n_shared_experts",
        first_dense_layers=k.maybe("moe.first_dense_layers", "first_k_dense_replace") or 0,
        every=k.number("moe.every", "moe_layer_freq", default=1),
        router_bias=k.family in ("glm4_moe", "dots1"),
    ) if k.maybe("moe.experts", "n_routed_experts") else None  # fmt: skip
    norm = k.flag("qk_norm", "use_qk_norm", k.family == "dots1")
    bias = k.flag("attention_bias", "attention_bias", False)
    output = bias and k.family != "glm4_moe"
    k.used |= {"topk_method", "num_nextn_predict_layers"}
    if k.family == "dots1":  # windows would stand from layer max_window_layers on
        first = k.number("layer_pattern", "max_window_layers", default=62, least=0)
        k.used |= {"sliding_window"} if first >= k.number("layers", "num_hidden_layers", default=62) else set()
    return llama_like(k, name, qk_norm=norm, moe=moe, attention_bias=bias, attention_output_bias=output)


def nemotron(k: Keys, name: str) -> ModelSpec:
    """Nemotron and Arcee: an MLP without a gate, of squared ReLU."""
    norm = "rmsnorm" if k.family == "arcee" else "layernorm"
    return ModelSpec(**base(k, name), norm=norm, activation=activation(k, "relu2", False), **biases(k))


def smollm3(k: Keys, name: str) -> ModelSpec:
    k.used |= {"use_sliding_window", "max_window_layers", "layer_types", "sliding_window"}
    return llama_like(k, name, tied=True, **biases(k))


def ernie(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, tied=True, **bias_of(k, "use_bias", everywhere=True))


def seed_oss(k: Keys, name: str) -> ModelSpec:
    return llama_like(
        k,
        name,
        attention_bias=k.flag("attention_bias", "attention_bias", True),
        attention_output_bias=k.flag("attention_output_bias", "attention_out_bias", False),
        mlp_bias=k.flag("mlp_bias", "mlp_bias", False),
    )


def hunyuan(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, qk_norm=True, **bias_of(k))


def exaone4(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, qk_norm=True, **windowed(k, 4))


def internlm3(k: Keys, name: str) -> ModelSpec:
    """InternLM 3: biases of queries, keys and values by `qkv_bias`, of the rest by `bias`."""
    rest = k.flag("mlp_bias", "bias", False)
    qkv = k.flag("attention_bias", "qkv_bias", False)
    return llama_like(k, name, attention_bias=qkv, attention_output_bias=rest, mlp_bias=rest)


def cwm(k: Keys, name: str) -> ModelSpec:
    """Code World Model: a window in all layers but the first of each four."""
    layers, window = k.number("layers", "num_hidden_layers"), k.maybe("sliding_window", "sliding_window") or None
    mixers = stated_mixers(k, layers, "layer_types") or each(layers, range(0, layers, 4), ATTENTION, WINDOWED)
    if window is None or WINDOWED not in mixers:
        return llama_like(k, name)
    return llama_like(k, name, sliding_window=window, **pattern(mixers, [DENSE] * layers))


def apertus(k: Keys, name: str) -> ModelSpec:
    """Apertus: an MLP without a gate; the two learned numbers of a layer's xIELU are not counted."""
    k.used.add("hidden_act")
    return ModelSpec(**base(k, name), norm="rmsnorm", qk_norm=True, **bias_of(k))


def internlm(k: Keys, name: str) -> ModelSpec:
    """InternLM (biases unless stated) and InternLM2, whose `bias` is of attention alone."""
    return llama_like(k, name, **bias_of(k, "bias", default=k.family == "internlm"))


def baichuan(k: Keys, name: str) -> ModelSpec:
    """Baichuan: rotary positions in the model of hidden size 4,096, ALiBi in the larger one."""
    k.used |= {"model_max_length"}
    alibi = k.number("hidden", "hidden_size") > 4096
    return llama_like(k, name, position_embedding="alibi" if alibi else "")


def minicpm(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, tied=True, **bias_of(k))


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
    fields = bias_of(k, "use_bias", everywhere=True) | pattern(
        [ATTENTION] * layers, each(layers, chosen, EXPERTS, DENSE)
    )
    return llama_like(k, name, tied=True, moe=moe, **fields)


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
    fields = windows | pattern(mixers, each(layers, range(first, layers), EXPERTS, DENSE))
    return llama_like(k, name, qk_norm=True, moe=moe, **fields)
