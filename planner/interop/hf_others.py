"""More families of config.json that differ from Llama's in norms, biases, activations, windows or experts.

Source: transformers 5.24, models/*/configuration_*.py and modeling_*.py; of InternLM, Baichuan and MiniCPM, the code
that their repositories hold.
"""

# ruff: noqa: D103 - a function a family, named as transformers names it

from __future__ import annotations

from planner.interop.hf_keys import Keys
from planner.interop.hf_layers import each, pattern, stated_mixers, windowed
from planner.interop.hf_llama import activation, base, bias_of, biases, llama_like, routed
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import say
from planner.workload.layers import ATTENTION, DENSE, WINDOWED


def gemma(k: Keys, name: str) -> ModelSpec:
    gelu = activation(k, "gelu_pytorch_tanh", True, "hidden_activation", "hidden_act")
    return llama_like(k, name, tied=True, activation=gelu, **bias_of(k))


def gemma2(k: Keys, name: str) -> ModelSpec:
    gelu = activation(k, "gelu_pytorch_tanh", True, "hidden_activation", "hidden_act")
    return llama_like(k, name, tied=True, activation=gelu, norms_per_layer=4, **bias_of(k), **windowed(k, 2))


def gemma3(k: Keys, name: str) -> ModelSpec:
    gelu = activation(k, "gelu_pytorch_tanh", True, "hidden_activation", "hidden_act")
    return llama_like(
        k,
        name,
        tied=True,
        activation=gelu,
        norms_per_layer=4,
        qk_norm=True,
        **bias_of(k),
        **windowed(k, 6),
    )


def phi(k: Keys, name: str) -> ModelSpec:
    if k.flag("qk_norm", "qk_layernorm", False):
        raise PlannerError(say("hf_others.phi_norm", file=k.document.name))
    return ModelSpec(
        **base(k, name),
        activation=activation(k, "gelu_new", False),
        parallel_residual=True,
        norms_per_layer=1,
        attention_bias=True,
        attention_output_bias=True,
        mlp_bias=True,
        head_bias=True,
    )


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
    return llama_like(
        k,
        name,
        tied=True,
        norm="layernorm_nobias",
        parallel_residual=True,
        norms_per_layer=1,
        qk_norm=norm,
        qk_norm_wide=norm,
        **bias_of(k),
        **windows,
    )


def olmo(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, norm="layernorm_bare", **bias_of(k))


def olmo2(k: Keys, name: str) -> ModelSpec:
    windows = windowed(k, 4) if k.family == "olmo3" else {}
    return llama_like(k, name, qk_norm=True, qk_norm_wide=True, **bias_of(k), **windows)


def olmoe(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, qk_norm=True, qk_norm_wide=True, moe=routed(k, "num_experts"), **bias_of(k))


def granite(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, **biases(k))


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
    return ModelSpec(**base(k, name), activation=activation(k, "relu2", False), **biases(k))


def arcee(k: Keys, name: str) -> ModelSpec:
    return ModelSpec(**base(k, name), norm="rmsnorm", activation=activation(k, "relu2", False), **biases(k))


def smollm3(k: Keys, name: str) -> ModelSpec:
    k.used |= {"use_sliding_window", "max_window_layers", "layer_types", "sliding_window"}
    return llama_like(k, name, tied=True, **biases(k))


def helium(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, **biases(k))


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
