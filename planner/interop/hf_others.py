"""More families of config.json that differ from Llama's in norms, biases, activations, windows or experts.

Source: transformers 5.24, models/*/configuration_*.py and modeling_*.py; of InternLM, Baichuan and MiniCPM, the code
that their repositories hold.
"""

# ruff: noqa: D103 - a function a family, named as transformers names it

from __future__ import annotations

from planner.interop.hf_keys import Keys
from planner.interop.hf_layers import each, pattern, stated_mixers, windowed
from planner.interop.hf_llama import activation, base, llama_like
from planner.spec.model import ModelSpec, MoESpec
from planner.units import PlannerError
from planner.workload.layers import ATTENTION, DENSE, WINDOWED


def bias_of(k: Keys, *names: str, default: bool = False) -> dict[str, bool]:
    """Biases of all projections of attention, by the first of `names`."""
    bias = k.flag("attention_bias", names[0], default)
    return {"attention_bias": bias, "attention_output_bias": bias}


def gemma(k: Keys, name: str) -> ModelSpec:
    gelu = activation(k, "gelu_pytorch_tanh", True, "hidden_activation", "hidden_act")
    return llama_like(k, name, tied=True, activation=gelu, **bias_of(k, "attention_bias"))


def gemma2(k: Keys, name: str) -> ModelSpec:
    gelu = activation(k, "gelu_pytorch_tanh", True, "hidden_activation", "hidden_act")
    return llama_like(
        k, name, tied=True, activation=gelu, norms_per_layer=4, **bias_of(k, "attention_bias"), **windowed(k, 2)
    )


def gemma3(k: Keys, name: str) -> ModelSpec:
    gelu = activation(k, "gelu_pytorch_tanh", True, "hidden_activation", "hidden_act")
    return llama_like(
        k,
        name,
        tied=True,
        activation=gelu,
        norms_per_layer=4,
        qk_norm=True,
        **bias_of(k, "attention_bias"),
        **windowed(k, 6),
    )


def phi(k: Keys, name: str) -> ModelSpec:
    if k.flag("qk_norm", "qk_layernorm", False):
        raise PlannerError(f"{k.document.name}: qk_layernorm of Phi is not known to planner: write the shape inline.")
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
    moe = MoESpec(
        experts=k.number("moe.experts", "num_local_experts", default=16),
        top_k=k.number("moe.top_k", "num_experts_per_tok", default=2),
        expert_ffn=k.number("moe.expert_ffn", "intermediate_size"),
    )
    head = k.flag("head_bias", "lm_head_bias", False)
    window = k.maybe("sliding_window", "sliding_window") or None
    return llama_like(
        k, name, norm="layernorm", head_bias=head, moe=moe, sliding_window=window, **bias_of(k, "attention_bias")
    )


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
        **bias_of(k, "attention_bias"),
        **windows,
    )


def olmo(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, norm="layernorm_bare", **bias_of(k, "attention_bias"))


def olmo2(k: Keys, name: str) -> ModelSpec:
    windows = windowed(k, 4) if k.family == "olmo3" else {}
    return llama_like(k, name, qk_norm=True, qk_norm_wide=True, **bias_of(k, "attention_bias"), **windows)


def experts_of(k: Keys, *names: str, shared: str = "") -> MoESpec:
    """Experts in every layer, of the width that intermediate_size says."""
    defaults = k.defaults
    width = k.maybe("moe.shared_ffn", shared) or 0 if shared else 0
    return MoESpec(
        experts=k.number("moe.experts", *names, default=defaults.get(names[0])),
        top_k=k.number("moe.top_k", "num_experts_per_tok", default=defaults.get("num_experts_per_tok")),
        expert_ffn=k.number("moe.expert_ffn", "intermediate_size"),
        shared_experts=1 if width else 0,
        shared_ffn=width,
    )


def olmoe(k: Keys, name: str) -> ModelSpec:
    return llama_like(
        k, name, qk_norm=True, qk_norm_wide=True, moe=experts_of(k, "num_experts"), **bias_of(k, "attention_bias")
    )


def granite(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, mlp_bias=k.flag("mlp_bias", "mlp_bias", False), **bias_of(k, "attention_bias"))


def granitemoe(k: Keys, name: str) -> ModelSpec:
    moe = experts_of(k, "num_local_experts", shared="shared_intermediate_size")
    return llama_like(k, name, moe=moe, **bias_of(k, "attention_bias"))


def starcoder2(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "use_bias", True)
    return ModelSpec(
        **base(k, name, tied=True),
        activation=activation(k, "gelu_pytorch_tanh", False),
        attention_bias=bias,
        attention_output_bias=bias,
        mlp_bias=bias,
        sliding_window=k.maybe("sliding_window", "sliding_window") or None,
    )


def glm(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", True)
    return llama_like(k, name, attention_bias=bias, norms_per_layer=4 if k.family in ("glm4", "glm4v") else 2)


def shared_and_routed(k: Keys, name: str) -> ModelSpec:
    """GLM-4.5, dots, DeepSeek's first MoE: attention as Llama's, dense layers first, shared experts beside routed."""
    defaults = k.defaults
    width = k.number("moe.expert_ffn", "moe_intermediate_size")
    shared = k.maybe("moe.shared_experts", "n_shared_experts") or 0
    routed = k.maybe("moe.experts", "n_routed_experts")
    moe = MoESpec(
        experts=routed,
        top_k=k.number("moe.top_k", "num_experts_per_tok", default=defaults.get("num_experts_per_tok")),
        expert_ffn=width,
        shared_experts=shared,
        shared_ffn=width if shared else 0,
        first_dense_layers=k.maybe("moe.first_dense_layers", "first_k_dense_replace") or 0,
        every=k.number("moe.every", "moe_layer_freq", default=1),
        router_bias=k.family in ("glm4_moe", "dots1"),
    ) if routed else None  # fmt: skip
    norm = k.flag("qk_norm", "use_qk_norm", k.family == "dots1")
    bias = k.flag("attention_bias", "attention_bias", False)
    output = bias and k.family != "glm4_moe"
    k.used |= {"topk_method", "num_nextn_predict_layers"}
    if k.family == "dots1":  # windows would stand from layer max_window_layers on
        first = k.number("layer_pattern", "max_window_layers", default=62, least=0)
        k.used |= {"sliding_window"} if first >= k.number("layers", "num_hidden_layers", default=62) else set()
    return llama_like(k, name, qk_norm=norm, moe=moe, attention_bias=bias, attention_output_bias=output)


def nemotron(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", False)
    return ModelSpec(
        **base(k, name),
        activation=activation(k, "relu2", False),
        attention_bias=bias,
        attention_output_bias=bias,
        mlp_bias=k.flag("mlp_bias", "mlp_bias", False),
    )


def arcee(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", False)
    return ModelSpec(
        **base(k, name),
        norm="rmsnorm",
        activation=activation(k, "relu2", False),
        attention_bias=bias,
        attention_output_bias=bias,
        mlp_bias=k.flag("mlp_bias", "mlp_bias", False),
    )


def smollm3(k: Keys, name: str) -> ModelSpec:
    k.used |= {"use_sliding_window", "max_window_layers", "layer_types", "sliding_window"}
    return llama_like(
        k, name, tied=True, mlp_bias=k.flag("mlp_bias", "mlp_bias", False), **bias_of(k, "attention_bias")
    )


def helium(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, mlp_bias=k.flag("mlp_bias", "mlp_bias", False), **bias_of(k, "attention_bias"))


def ernie(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "use_bias", False)
    return llama_like(k, name, tied=True, attention_bias=bias, attention_output_bias=bias, mlp_bias=bias)


def seed_oss(k: Keys, name: str) -> ModelSpec:
    return llama_like(
        k,
        name,
        attention_bias=k.flag("attention_bias", "attention_bias", True),
        attention_output_bias=k.flag("attention_output_bias", "attention_out_bias", False),
        mlp_bias=k.flag("mlp_bias", "mlp_bias", False),
    )


def hunyuan(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, qk_norm=True, **bias_of(k, "attention_bias"))


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
    bias = k.flag("attention_bias", "attention_bias", False)
    return ModelSpec(**base(k, name), norm="rmsnorm", qk_norm=True, attention_bias=bias, attention_output_bias=bias)


def internlm(k: Keys, name: str) -> ModelSpec:
    """InternLM (biases unless stated) and InternLM2, whose `bias` is of attention alone."""
    return llama_like(k, name, **bias_of(k, "bias", default=k.family == "internlm"))


def baichuan(k: Keys, name: str) -> ModelSpec:
    """Baichuan: rotary positions in the model of hidden size 4,096, ALiBi in the larger one."""
    k.used |= {"model_max_length"}
    alibi = k.number("hidden", "hidden_size") > 4096
    return llama_like(k, name, position_embedding="alibi" if alibi else "")


def minicpm(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, tied=True, **bias_of(k, "attention_bias"))
