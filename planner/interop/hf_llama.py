"""Families of config.json that share Llama's names of keys, and what each has otherwise.

Source: transformers 5.24, models/*/configuration_*.py and modeling_*.py.
"""

# ruff: noqa: D103 - a function a family, named as transformers names it

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from planner.interop.files import shown
from planner.interop.hf_keys import Keys
from planner.interop.hf_layers import each, expert_layers, pattern, stated_mixers, windowed
from planner.spec.model import MLASpec, ModelSpec, MoESpec
from planner.units import PlannerError
from planner.words import say
from planner.workload.layers import ATTENTION, DENSE, EXPERTS, WINDOWED


def base(k: Keys, name: str, *, tied: bool = False, ffn: int | None = None) -> dict[str, Any]:
    """What families with Llama's key names share; `ffn` where another key than intermediate_size has said it."""
    hidden, heads = k.number("hidden", "hidden_size"), k.number("heads", "num_attention_heads")
    head_dim = k.maybe("head_dim", "head_dim")
    if not head_dim:
        if hidden % heads:
            raise PlannerError(say("hf_llama.hidden_by_heads", file=k.document.name, hidden=hidden, heads=heads))
        head_dim = hidden // heads
        k.origins["head_dim"] = "hidden_size / num_attention_heads"
    return {
        "name": name,
        "layers": k.number("layers", "num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": key_heads(k, heads),
        "head_dim": head_dim,
        "ffn": k.number("ffn", "intermediate_size") if ffn is None else ffn,
        "vocab": k.number("vocab", "vocab_size"),
        "tied_embeddings": k.flag("tied_embeddings", "tie_word_embeddings", tied),
        "max_seq_length": k.maybe("max_seq_length", "max_position_embeddings") or None,
        "source": f"{k.document.name} (Hugging Face)",
    }


def key_heads(k: Keys, heads: int) -> int:
    """Heads of keys: as many as of queries where it is null, or neither stated nor said by the class."""
    if "num_key_value_heads" in k.values and k.values["num_key_value_heads"] is None:
        k.used.add("num_key_value_heads")
        return heads
    default = k.defaults.get("num_key_value_heads", heads)
    return k.number("kv_heads", "num_key_value_heads", default=default)


#: transformers' names of activations by those of ModelSpec.
ACTIVATIONS = {
    "silu": "silu", "swish": "silu", "relu": "relu", "relu2": "relu", "relu_squared": "relu", "gelu": "gelu",
    "gelu_new": "gelu", "gelu_fast": "gelu", "gelu_pytorch_tanh": "gelu", "gelu_python": "gelu", "mish": "mish",
}  # fmt: skip


def activation(k: Keys, default: str, gated: bool, *names: str) -> str:
    """The MLP's function as ModelSpec has it, "" where it is the usual one."""
    stated = str(k.get("activation", *(names or ("hidden_act", "hidden_activation")), default=default))
    known = ACTIVATIONS.get(stated)
    if known is None:
        k.warnings.append(say("hf_llama.activation", file=k.document.name, stated=shown(stated), default=default))
        known = ACTIVATIONS[default]
    return "" if known == ("silu" if gated else "gelu") else known


def llama_like(k: Keys, name: str, **changes: Any) -> ModelSpec:
    """A decoder with Llama's layers: RMS norms, a gated MLP, no biases; `changes` say what is otherwise."""
    changes.setdefault("activation", activation(k, "silu", True))
    return ModelSpec(
        **{
            **base(k, name, tied=changes.pop("tied", False), ffn=changes.get("ffn")),
            "gated_mlp": True,
            "norm": "rmsnorm",
            **changes,
        }
    )


def bias_of(
    k: Keys, name: str = "attention_bias", *, default: bool = False, everywhere: bool = False
) -> dict[str, Any]:
    """Biases of all projections of attention, as one key says; with `everywhere`, those of the MLP too."""
    bias = k.flag("attention_bias", name, default)
    return {"attention_bias": bias, "attention_output_bias": bias, **({"mlp_bias": bias} if everywhere else {})}


def biases(k: Keys) -> dict[str, Any]:
    """Biases of attention by attention_bias, those of the MLP by mlp_bias."""
    return bias_of(k) | {"mlp_bias": k.flag("mlp_bias", "mlp_bias", False)}


def routed(
    k: Keys,
    *names: str,
    width: str = "intermediate_size",
    top: tuple[str, ...] = ("num_experts_per_tok",),
    shared: str | int = 0,
    **more: Any,
) -> MoESpec:
    """Experts: how many, by the first stated of `names`, how many a token, and how wide; `more` says what is otherwise.

    `shared` is the number of experts for every token, each as wide, or the key that holds it.
    """
    many, each_token = k.number("moe.experts", *names), k.number("moe.top_k", *top)
    wide = k.number("moe.expert_ffn", width)
    count = (k.maybe("moe.shared_experts", shared) or 0) if isinstance(shared, str) else shared
    fields = {"shared_experts": count, "shared_ffn": wide if count else 0, **more}
    return MoESpec(**{"experts": many, "top_k": each_token, "expert_ffn": wide, **fields})


def gpt_neox(k: Keys, name: str) -> ModelSpec:
    parallel = k.flag("parallel_residual", "use_parallel_residual", True)
    fields = bias_of(k, default=True) | {"mlp_bias": True}
    return ModelSpec(**base(k, name), parallel_residual=parallel, **fields)


def llama(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, **biases(k))


def mistral(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, **windowed(k, 0))


def mixtral(k: Keys, name: str) -> ModelSpec:
    window = k.maybe("sliding_window", "sliding_window")
    return llama_like(k, name, sliding_window=window or None, moe=routed(k, "num_local_experts"))


def _qwen_layers(k: Keys, mlps: Sequence[str] = ()) -> dict[str, Any]:
    """Windows from layer max_window_layers on, where use_sliding_window has them; and where MLPs and experts stand."""
    used, layers = k.flag("sliding_window", "use_sliding_window", False), k.number("layers", "num_hidden_layers")
    k.used |= {"sliding_window", "max_window_layers", "layer_types"}
    mixers, window = [ATTENTION] * layers, {}
    if used:
        k.origins.pop("sliding_window", None)
        first = k.number("layer_pattern", "max_window_layers", default=28, least=0)
        listed = stated_mixers(k, layers, "layer_types")
        mixers = listed or each(layers, range(first, layers), WINDOWED, ATTENTION)
        if WINDOWED in mixers:
            window = {"sliding_window": k.number("sliding_window", "sliding_window", default=4096)}
    mlps = mlps or [DENSE] * layers
    if set(mixers) == {WINDOWED} and len(set(mlps)) == 1:
        return window
    return window | pattern(mixers, mlps)


def qwen2(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, attention_bias=True, **_qwen_layers(k))


def qwen3(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, qk_norm=True, **bias_of(k), **_qwen_layers(k))


def _qwen_moe(k: Keys, shared: bool) -> dict[str, Any]:
    mlps = expert_layers(k, k.number("layers", "num_hidden_layers"))
    shared_ffn = k.number("moe.shared_ffn", "shared_expert_intermediate_size") if shared else 0
    fields: dict[str, Any] = {"shared_experts": int(shared), "shared_ffn": shared_ffn, "shared_gate": shared}
    moe = routed(k, "num_experts", "num_local_experts", width="moe_intermediate_size", **fields)
    return {**({"moe": moe} if EXPERTS in mlps else {}), **_qwen_layers(k, mlps)}


def qwen2_moe(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "qkv_bias", True)
    return llama_like(k, name, attention_bias=bias, **_qwen_moe(k, True))


def qwen3_moe(k: Keys, name: str) -> ModelSpec:
    return llama_like(k, name, qk_norm=True, **bias_of(k), **_qwen_moe(k, False))


def _first_dense(k: Keys) -> int:
    """Leading layers without experts, by mlp_layer_types or first_k_dense_replace."""
    kinds = k.values.get("mlp_layer_types")
    k.used |= {"mlp_layer_types", "first_k_dense_replace"}
    if not isinstance(kinds, list) or not kinds:
        return k.maybe("moe.first_dense_layers", "first_k_dense_replace") or 0
    first = kinds.index("sparse") if "sparse" in kinds else len(kinds)
    if "dense" in kinds[first:]:
        raise PlannerError(say("hf_llama.dense_behind_sparse", file=k.document.name))
    k.origins["moe.first_dense_layers"] = f"mlp_layer_types, {k.document.where('mlp_layer_types')}"
    return first


def deepseek(k: Keys, name: str) -> ModelSpec:
    sizes = ("qk_nope_head_dim", "qk_rope_head_dim", "kv_lora_rank", "v_head_dim")
    rank = k.maybe("mla.q_lora_rank", "q_lora_rank") or 0
    mla = MLASpec(q_lora_rank=rank, **{size: k.number(f"mla.{size}", size) for size in sizes})
    moe = routed(
        k,
        "n_routed_experts",
        width="moe_intermediate_size",
        shared="n_shared_experts",
        first_dense_layers=_first_dense(k),
        every=k.number("moe.every", "moe_layer_freq", default=1),
        router_bias=k.values.get("topk_method", "" if k.family == "deepseek_v2" else "noaux_tc") == "noaux_tc",
    ) if k.maybe("moe.experts", "n_routed_experts") else None  # fmt: skip
    k.used.add("topk_method")
    k.origins["head_dim"] = "qk_nope_head_dim + qk_rope_head_dim"
    return llama_like(
        k,
        name,
        head_dim=mla.qk_nope_head_dim + mla.qk_rope_head_dim,
        moe=moe,
        mla=mla,
        mtp_layers=k.maybe("mtp_layers", "num_nextn_predict_layers") or 0,
    )


def gpt_oss(k: Keys, name: str) -> ModelSpec:
    moe = routed(k, "num_local_experts", top=("num_experts_per_tok", "experts_per_token"), router_bias=True)
    fields = bias_of(k, default=True) | {"mlp_bias": True}
    return llama_like(k, name, attention_sinks=True, moe=moe, **fields, **windowed(k, 2, EXPERTS))
