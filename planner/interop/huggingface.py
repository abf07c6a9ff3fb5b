"""Hugging Face `config.json`: the shape of a published model, family by family.

Defaults are those of the transformers configuration class of each family (and of llm-foundry for MPT).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.interop.files import Document, read_json, shown, truth, whole
from planner.interop.imported import Imported, Taken, model_taken
from planner.units import PlannerError
from planner.workload.model import MLASpec, ModelSpec, MoESpec

#: What transformers' configuration classes have where a config leaves a field out, as published ones do. Families with
#: classes whose defaults describe no published model are not here: their fields must be stated.
CLASS_DEFAULTS: Mapping[str, Mapping[str, int]] = {
    "llama": {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32, "intermediate_size": 11008,
              "vocab_size": 32000},
    "mistral": {"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32, "intermediate_size": 14336,
                "vocab_size": 32000},
}  # fmt: skip


@dataclass
class Keys:
    """One config.json: values by key, with a record of what was used and what each field came from."""

    document: Document
    values: Mapping[str, Any]
    used: set[str] = field(default_factory=lambda: {"model_type", "architectures"})
    origins: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    def get(self, spec_field: str, *names: str, default: Any = None) -> Any:
        """The first of `names` that is stated, else the default; `spec_field` remembers where it came from."""
        self.used.update(names)
        if default is None:
            default = CLASS_DEFAULTS.get(self.family.lower().removesuffix("_text"), {}).get(names[0])
        for name in names:
            if self.values.get(name) is not None:
                self.origins.setdefault(spec_field, f"{name}, {self.document.where(name)}")
                return self.values[name]
        if default is None:
            raise PlannerError(f"{shown(self.document.path, 200)} has no {names[0]}, which a model of its kind needs.")
        self.origins.setdefault(spec_field, f"default of {names[0]} for {self.family}")
        return default

    @property
    def family(self) -> str:
        return str(self.values.get("model_type", ""))

    def number(self, spec_field: str, *names: str, default: int | None = None, least: int = 1) -> int:
        value = self.get(spec_field, *names, default=default)
        return whole(value, f"{names[0]} ({self.document.name})", least, 10**12)

    def flag(self, spec_field: str, name: str, default: bool) -> bool:
        return truth(self.get(spec_field, name, default=default), f"{name} ({self.document.name})")

    def maybe(self, spec_field: str, name: str, default: int | None = None) -> int | None:
        """A number, or None where it is stated as null (or is neither stated nor has a default)."""
        self.used.add(name)
        if name in self.values and self.values[name] is None:
            return None
        if name not in self.values and default is None:
            return None
        return self.number(spec_field, name, default=default, least=0)

    def section(self, name: str) -> Mapping[str, Any]:
        self.used.add(name)
        value = self.values.get(name)
        return value if isinstance(value, Mapping) else {}


def import_huggingface(path: Path) -> Imported:
    """What a `config.json` says: the model; data and length of training are left to the user.

    Raises
    ------
    PlannerError
        For a file that is no config.json, a family that is not known, or values that contradict each other.
    """
    document = read_json(path)
    values = document.values
    remarks: list[str] = []
    inner = values.get("text_config")
    if isinstance(inner, Mapping) and "hidden_size" not in values and "n_embd" not in values:
        values = {**inner, "model_type": inner.get("model_type", values.get("model_type"))}
        remarks.append("text_config is what is planned; other parts of the model (vision, audio) are left out")
    keys = Keys(document, values)
    family = str(values.get("model_type") or "").lower()
    build = FAMILIES.get(family.removesuffix("_text"))
    if build is None:
        raise PlannerError(
            f"{shown(path, 200)} has model_type {shown(family or 'none')!r}; known are {', '.join(sorted(FAMILIES))}. "
            "Write the shape inline in a scenario instead."
        )
    spec = build(keys, _name(document, values))
    _check(spec, document)
    keys.origins["name"] = "_name_or_path, or the folder's name"
    keys.used |= {"_name_or_path"}
    taken = [Taken("name", spec.name, ""), *model_taken(spec, keys.origins, f"every {shown(family)} model")]
    if spec.max_seq_length:
        taken.append(
            Taken("data.seq_length", min(spec.max_seq_length, 4096), "4,096 or the model's limit; not in a config.json")
        )
    taken += _attention(keys)
    unused = tuple(sorted(str(k) for k in values if k not in keys.used))
    return Imported("huggingface", (document.name,), spec, tuple(taken), unused, (*remarks, *keys.remarks))


#: What transformers' `attn_implementation` says of the kernels: flash attention, or a generation of it.
ATTENTION: Mapping[str, bool | int] = {
    "flash_attention_2": 2, "flash_attention_3": 3, "sdpa": 2, "eager": False, "flex_attention": True,
}  # fmt: skip


def _attention(k: Keys) -> list[Taken]:
    """The attention that a config asks for, where it does: few hold it, and then it is what its run had."""
    for name in ("attn_implementation", "_attn_implementation"):
        k.used.add(name)
        stated = str(k.values.get(name) or "")
        if stated in ATTENTION:
            return [Taken("training.flash_attention", ATTENTION[stated], f"{name}, {k.document.where(name)}")]
        if stated:
            k.remarks.append(f"{name} {shown(stated)} is not known: attention is as the framework has it")
    return []


def _name(document: Document, values: Mapping[str, Any]) -> str:
    stated = values.get("_name_or_path")
    last = stated.rstrip("/").rsplit("/", 1)[-1] if isinstance(stated, str) else ""
    stem = document.path.stem
    return shown(last or (document.path.parent.name if stem == "config" else stem) or str(values.get("model_type")), 80)


def _check(spec: ModelSpec, document: Document) -> None:
    if spec.heads % spec.kv_heads:
        raise PlannerError(
            f"{document.name}: num_attention_heads {spec.heads} is not divisible by num_key_value_heads "
            f"{spec.kv_heads}."
        )
    if spec.moe is not None and spec.moe.top_k > spec.moe.experts:
        raise PlannerError(f"{document.name}: {spec.moe.top_k} experts a token, where there are {spec.moe.experts}.")


def _base(k: Keys, name: str, *, tied: bool = False) -> dict[str, Any]:
    """What families with Llama's key names share."""
    hidden, heads = k.number("hidden", "hidden_size"), k.number("heads", "num_attention_heads")
    head_dim = k.maybe("head_dim", "head_dim")
    if not head_dim:
        if hidden % heads:
            raise PlannerError(
                f"{k.document.name}: hidden_size {hidden} is not divisible by num_attention_heads {heads}, "
                "and head_dim is not stated."
            )
        head_dim = hidden // heads
        k.origins["head_dim"] = "hidden_size / num_attention_heads"
    return {
        "name": name,
        "layers": k.number("layers", "num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": k.number("kv_heads", "num_key_value_heads", default=heads),
        "head_dim": head_dim,
        "ffn": k.number("ffn", "intermediate_size"),
        "vocab": k.number("vocab", "vocab_size"),
        "tied_embeddings": k.flag("tied_embeddings", "tie_word_embeddings", tied),
        "max_seq_length": k.maybe("max_seq_length", "max_position_embeddings") or None,
        "source": f"{k.document.name} (Hugging Face)",
    }


def _llama_like(k: Keys, name: str, **changes: Any) -> ModelSpec:
    return ModelSpec(**{**_base(k, name), "gated_mlp": True, "norm": "rmsnorm", **changes})


def _gpt_neox(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", True)
    return ModelSpec(
        **_base(k, name),
        parallel_residual=k.flag("parallel_residual", "use_parallel_residual", True),
        attention_bias=bias,
        attention_output_bias=bias,
        mlp_bias=True,
    )


def _llama(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", False)
    mlp_bias = k.flag("mlp_bias", "mlp_bias", False)
    return _llama_like(k, name, attention_bias=bias, attention_output_bias=bias, mlp_bias=mlp_bias)


def _mistral(k: Keys, name: str) -> ModelSpec:
    return _llama_like(k, name, sliding_window=k.maybe("sliding_window", "sliding_window", 4096) or None)


def _mixtral(k: Keys, name: str) -> ModelSpec:
    window = k.maybe("sliding_window", "sliding_window")
    moe = MoESpec(
        experts=k.number("moe.experts", "num_local_experts", default=8),
        top_k=k.number("moe.top_k", "num_experts_per_tok", default=2),
        expert_ffn=k.number("moe.expert_ffn", "intermediate_size"),
    )
    return _llama_like(k, name, sliding_window=window or None, moe=moe)


def _qwen_window(k: Keys) -> int | None:
    used = k.flag("sliding_window", "use_sliding_window", False)
    k.used |= {"sliding_window", "max_window_layers"}
    if not used:
        return None
    k.remarks.append("use_sliding_window: the window is taken for every layer (max_window_layers is not modelled)")
    k.origins.pop("sliding_window", None)
    return k.maybe("sliding_window", "sliding_window", 4096) or None


def _qwen2(k: Keys, name: str) -> ModelSpec:
    return _llama_like(k, name, attention_bias=True, sliding_window=_qwen_window(k))


def _qwen3(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", False)
    window = _qwen_window(k)
    return _llama_like(k, name, qk_norm=True, attention_bias=bias, attention_output_bias=bias, sliding_window=window)


def _qwen_moe(k: Keys, shared: bool, width: int) -> MoESpec:
    dense = k.values.get("mlp_only_layers")
    k.used.add("mlp_only_layers")
    if isinstance(dense, list) and dense:
        k.remarks.append(f"mlp_only_layers: {len(dense)} dense layers are counted as experts' layers")
    shared_ffn = k.number("moe.shared_ffn", "shared_expert_intermediate_size", default=5632) if shared else 0
    return MoESpec(
        experts=k.number("moe.experts", "num_experts", "num_local_experts", default=60 if shared else 128),
        top_k=k.number("moe.top_k", "num_experts_per_tok", default=4 if shared else 8),
        expert_ffn=k.number("moe.expert_ffn", "moe_intermediate_size", default=width),
        shared_experts=1 if shared else 0,
        shared_ffn=shared_ffn,
        every=k.number("moe.every", "decoder_sparse_step", default=1),
    )


def _qwen2_moe(k: Keys, name: str) -> ModelSpec:
    return _llama_like(k, name, attention_bias=True, sliding_window=_qwen_window(k), moe=_qwen_moe(k, True, 1408))


def _qwen3_moe(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", False)
    window, moe = _qwen_window(k), _qwen_moe(k, False, 768)
    return _llama_like(
        k, name, qk_norm=True, attention_bias=bias, attention_output_bias=bias, sliding_window=window, moe=moe
    )


def _deepseek(k: Keys, name: str) -> ModelSpec:
    nope, rope = (
        k.number("mla.qk_nope_head_dim", "qk_nope_head_dim"),
        k.number("mla.qk_rope_head_dim", "qk_rope_head_dim"),
    )
    mla = MLASpec(
        q_lora_rank=k.maybe("mla.q_lora_rank", "q_lora_rank", 1536) or 0,
        kv_lora_rank=k.number("mla.kv_lora_rank", "kv_lora_rank"),
        qk_nope_head_dim=nope,
        qk_rope_head_dim=rope,
        v_head_dim=k.number("mla.v_head_dim", "v_head_dim"),
    )
    experts = k.maybe("moe.experts", "n_routed_experts")
    moe = None
    if experts:
        width = k.number("moe.expert_ffn", "moe_intermediate_size")
        moe = MoESpec(
            experts=experts,
            top_k=k.number("moe.top_k", "num_experts_per_tok"),
            expert_ffn=width,
            shared_experts=k.maybe("moe.shared_experts", "n_shared_experts") or 0,
            shared_ffn=width if k.values.get("n_shared_experts") else 0,
            first_dense_layers=k.number("moe.first_dense_layers", "first_k_dense_replace", default=0, least=0),
            every=k.number("moe.every", "moe_layer_freq", default=1),
            router_bias=k.values.get("topk_method") == "noaux_tc",
        )
    k.used.add("topk_method")
    k.origins["head_dim"] = "qk_nope_head_dim + qk_rope_head_dim"
    return _llama_like(
        k,
        name,
        head_dim=nope + rope,
        moe=moe,
        mla=mla,
        mtp_layers=k.maybe("mtp_layers", "num_nextn_predict_layers") or 0,
    )


def _gpt2_base(k: Keys, name: str) -> dict[str, Any]:
    hidden, heads = k.number("hidden", "n_embd", "hidden_size"), k.number("heads", "n_head", "num_attention_heads")
    if hidden % heads:
        raise PlannerError(f"{k.document.name}: n_embd {hidden} is not divisible by n_head {heads}.")
    k.origins.update(head_dim="n_embd / n_head", kv_heads="as many as n_head")
    return {
        "name": name,
        "layers": k.number("layers", "n_layer", "num_hidden_layers"),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": hidden // heads,
        "ffn": k.number("ffn", "n_inner", default=4 * hidden),
        "vocab": k.number("vocab", "vocab_size"),
        "max_seq_length": k.number("max_seq_length", "n_positions", "n_ctx", "max_position_embeddings", default=1024),
        "mlp_bias": True,
        "source": f"{k.document.name} (Hugging Face)",
    }


def _gpt2(k: Keys, name: str) -> ModelSpec:
    base = _gpt2_base(k, name)
    return ModelSpec(
        **base,
        attention_bias=True,
        attention_output_bias=True,
        tied_embeddings=k.flag("tied_embeddings", "tie_word_embeddings", True),
        learned_positions=base["max_seq_length"],
    )


def _gptj(k: Keys, name: str) -> ModelSpec:
    k.used |= {"rotary", "rotary_dim"}
    tied = k.flag("tied_embeddings", "tie_word_embeddings", False)
    return ModelSpec(
        **_gpt2_base(k, name), parallel_residual=True, norms_per_layer=1, head_bias=True, tied_embeddings=tied
    )


def _mpt(k: Keys, name: str) -> ModelSpec:
    attention, ffn = k.section("attn_config"), k.section("ffn_config")
    hidden, heads = k.number("hidden", "d_model"), k.number("heads", "n_heads")
    if hidden % heads:
        raise PlannerError(f"{k.document.name}: d_model {hidden} is not divisible by n_heads {heads}.")
    kind = attention.get("attn_type", "multihead_attention")
    kv = 1 if kind == "multiquery_attention" else attention.get("kv_n_heads") or heads
    no_bias = k.flag("mlp_bias", "no_bias", True)
    alibi = truth(attention.get("alibi", True), "attn_config.alibi")
    length = k.number("max_seq_length", "max_seq_len", default=2048)
    learned = truth(k.values.get("learned_pos_emb", True), "learned_pos_emb") and not alibi
    ratio = k.get("ffn", "expansion_ratio", default=4)
    if not isinstance(ratio, int | float) or not 0 < ratio < 10**6:
        raise PlannerError(f"expansion_ratio ({k.document.name}) is {shown(ratio)!r}, where a number is needed.")
    k.used |= {"learned_pos_emb", "norm_type", "emb_pdrop", "resid_pdrop"}
    k.origins.update(head_dim="d_model / n_heads", kv_heads=f"attn_config.attn_type {shown(kind)}")
    return ModelSpec(
        name=name,
        layers=k.number("layers", "n_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=whole(kv, "attn_config.kv_n_heads"),
        head_dim=hidden // heads,
        ffn=int(ratio * hidden),
        vocab=k.number("vocab", "vocab_size"),
        gated_mlp=str(ffn.get("ffn_type", "mptmlp")).endswith("glu"),
        tied_embeddings=k.flag("tied_embeddings", "tie_word_embeddings", True),
        norm="layernorm_nobias" if no_bias else "layernorm",
        qk_norm=truth(attention.get("qk_ln", False), "attn_config.qk_ln"),
        attention_bias=not no_bias,
        attention_output_bias=not no_bias,
        mlp_bias=not no_bias,
        learned_positions=length if learned else 0,
        position_embedding="" if learned else "alibi" if alibi else "none",
        max_seq_length=length,
        source=f"{k.document.name} (Hugging Face)",
    )


def _gpt_oss(k: Keys, name: str) -> ModelSpec:
    bias = k.flag("attention_bias", "attention_bias", True)
    kinds = k.values.get("layer_types")
    k.used.add("layer_types")
    every = 2
    if isinstance(kinds, list) and kinds and "full_attention" in kinds:
        every = kinds.index("full_attention") + 1
        if any((kind == "full_attention") != ((i + 1) % every == 0) for i, kind in enumerate(kinds)):
            k.remarks.append(f"layer_types repeats no fixed pattern; every {every}th layer is taken as full attention")
    k.origins["full_attention_every"] = f"layer_types, {k.document.where('layer_types')}"
    moe = MoESpec(
        experts=k.number("moe.experts", "num_local_experts", default=128),
        top_k=k.number("moe.top_k", "num_experts_per_tok", "experts_per_token", default=4),
        expert_ffn=k.number("moe.expert_ffn", "intermediate_size"),
        router_bias=True,
    )
    return _llama_like(
        k,
        name,
        attention_bias=bias,
        attention_output_bias=bias,
        mlp_bias=True,
        sliding_window=k.maybe("sliding_window", "sliding_window", 128) or None,
        full_attention_every=every,
        attention_sinks=True,
        moe=moe,
    )


FAMILIES: dict[str, Callable[[Keys, str], ModelSpec]] = {
    "gpt_neox": _gpt_neox,
    "llama": _llama,
    "mistral": _mistral,
    "mixtral": _mixtral,
    "qwen2": _qwen2,
    "qwen3": _qwen3,
    "qwen2_moe": _qwen2_moe,
    "qwen3_moe": _qwen3_moe,
    "deepseek_v2": _deepseek,
    "deepseek_v3": _deepseek,
    "gpt2": _gpt2,
    "gptj": _gptj,
    "mpt": _mpt,
    "gpt_oss": _gpt_oss,
}
