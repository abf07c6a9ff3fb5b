"""Families of config.json with names of keys of their own: GPT-2 and its kin, Falcon, BLOOM, OPT, MPT, DBRX, ChatGLM.

Source: transformers 5.24, models/*/configuration_*.py and modeling_*.py; of MPT, llm-foundry; of ChatGLM and Qwen's
first release, the code that their repositories hold.
"""

# ruff: noqa: D103 - a function a family, named as transformers names it

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from planner.interop.files import shown, truth, whole
from planner.interop.hf_keys import Keys
from planner.interop.hf_llama import activation, bias_of, llama_like
from planner.spec.model import ModelSpec, MoESpec
from planner.units import PlannerError
from planner.words import say


def shape(
    k: Keys,
    name: str,
    widths: Sequence[str],
    counts: Sequence[str],
    depths: Sequence[str],
    *,
    tied: bool = True,
) -> dict[str, Any]:
    """What all families share, by the keys that each has for its width (`widths`), number of heads and depth."""
    hidden, heads = k.number("hidden", *widths), k.number("heads", *counts)
    if hidden % heads:
        raise PlannerError(
            say(
                "hf_gpt.width_by_heads",
                file=k.document.name,
                wide=widths[0],
                hidden=hidden,
                many=counts[0],
                heads=heads,
            )
        )
    k.origins["head_dim"] = f"{widths[0]} / {counts[0]}"
    return {
        "name": name,
        "layers": k.number("layers", *depths),
        "hidden": hidden,
        "heads": heads,
        "kv_heads": heads,
        "head_dim": hidden // heads,
        "ffn": 4 * hidden,
        "vocab": k.number("vocab", "vocab_size"),
        "tied_embeddings": k.flag("tied_embeddings", "tie_word_embeddings", tied),
        "source": f"{k.document.name} (Hugging Face)",
    }


def _gpt2_like(k: Keys, name: str, *, tied: bool = True, **more: Any) -> ModelSpec:
    """GPT-2's names of keys; unless `more` says otherwise, its learned positions and biases."""
    names = ("n_embd", "hidden_size"), ("n_head", "num_attention_heads"), ("n_layer", "num_hidden_layers")
    fields = shape(k, name, *names, tied=tied)
    length = k.number("max_seq_length", "n_positions", "n_ctx", "max_position_embeddings", default=1024)
    k.origins["kv_heads"] = "as many as n_head"
    fields |= {"ffn": k.number("ffn", "n_inner", default=fields["ffn"]), "max_seq_length": length, "mlp_bias": True}
    return ModelSpec(**{**fields, **(more or {"learned_positions": length, **ATTENTION_BIASES})})


ATTENTION_BIASES: Mapping[str, Any] = {"attention_bias": True, "attention_output_bias": True}


def gpt2(k: Keys, name: str) -> ModelSpec:
    return _gpt2_like(k, name)


def gptj(k: Keys, name: str) -> ModelSpec:
    k.used |= {"rotary", "rotary_dim"}
    return _gpt2_like(k, name, tied=False, parallel_residual=True, norms_per_layer=1, head_bias=True)


def mpt(k: Keys, name: str) -> ModelSpec:
    attention, ffn = k.section("attn_config"), k.section("ffn_config")
    fields = shape(k, name, ["d_model"], ["n_heads"], ["n_layers"])
    kind = attention.get("attn_type", "multihead_attention")
    kv = 1 if kind == "multiquery_attention" else attention.get("kv_n_heads") or fields["heads"]
    no_bias = k.flag("mlp_bias", "no_bias", True)
    alibi = truth(attention.get("alibi", True), "attn_config.alibi")
    length = k.number("max_seq_length", "max_seq_len", default=2048)
    learned = truth(k.values.get("learned_pos_emb", True), "learned_pos_emb") and not alibi
    ratio = k.get("ffn", "expansion_ratio", default=4)
    if not isinstance(ratio, int | float) or not 0 < ratio < 10**6:
        raise PlannerError(say("hf_gpt.expansion_ratio", file=k.document.name, ratio=shown(ratio)))
    k.used |= {"learned_pos_emb", "norm_type", "emb_pdrop", "resid_pdrop"}
    k.origins["kv_heads"] = f"attn_config.attn_type {shown(kind)}"
    fields |= {"kv_heads": whole(kv, "attn_config.kv_n_heads"), "ffn": int(ratio * fields["hidden"])}
    return ModelSpec(
        **fields,
        gated_mlp=str(ffn.get("ffn_type", "mptmlp")).endswith("glu"),
        norm="layernorm_nobias" if no_bias else "layernorm",
        qk_norm=truth(attention.get("qk_ln", False), "attn_config.qk_ln"),
        attention_bias=not no_bias,
        attention_output_bias=not no_bias,
        mlp_bias=not no_bias,
        learned_positions=length if learned else 0,
        position_embedding="" if learned else "alibi" if alibi else "none",
        max_seq_length=length,
    )


def gpt_bigcode(k: Keys, name: str) -> ModelSpec:
    k.used.add("num_key_value_heads")
    model = _gpt2_like(k, name)
    return replace(model, kv_heads=1) if k.flag("kv_heads", "multi_query", True) else model


def gpt_neo(k: Keys, name: str) -> ModelSpec:
    fields = shape(k, name, ["hidden_size"], ["num_heads", "num_attention_heads"], ["num_layers", "num_hidden_layers"])
    length = k.number("max_seq_length", "max_position_embeddings", default=2048)
    stated = k.values.get("intermediate_size")
    k.used |= {"attention_types", "attention_layers", "window_size", "intermediate_size"}
    kinds = k.values.get("attention_layers")
    local = not isinstance(kinds, list) or "local" in kinds
    if stated is not None:
        fields["ffn"] = whole(stated, f"intermediate_size ({k.document.name})")
    return ModelSpec(
        **fields,
        attention_output_bias=True,
        mlp_bias=True,
        learned_positions=length,
        max_seq_length=length,
        sliding_window=k.number("sliding_window", "window_size", default=256) if local else None,
        full_attention_every=2 if local else 0,
    )


def falcon(k: Keys, name: str) -> ModelSpec:
    """Falcon of 7, 40 and 180 billion, under today's names of keys and those of RefinedWeb."""
    fields = shape(k, name, ["hidden_size"], ["num_attention_heads", "n_head"], ["num_hidden_layers", "n_layer"])
    new = k.flag("kv_heads", "new_decoder_architecture", k.values.get("n_head_kv") is not None)
    parallel = k.flag("parallel_residual", "parallel_attn", True)
    several = k.number("kv_heads", "num_kv_heads", "n_head_kv", default=fields["heads"])
    if new:
        fields["kv_heads"] = several
    elif k.flag("kv_heads", "multi_query", True):
        fields["kv_heads"] = 1
    norms = k.maybe("norms_per_layer", "num_ln_in_parallel_attn") or (2 if new else 1)
    alibi = k.flag("position_embedding", "alibi", False)
    k.used |= {"activation", "rotary", "n_embed"}
    return ModelSpec(
        **{**fields, "ffn": k.number("ffn", "ffn_hidden_size", default=fields["ffn"])},
        parallel_residual=parallel,
        norms_per_layer=norms if parallel else 2,
        position_embedding="alibi" if alibi else "",
        max_seq_length=k.maybe("max_seq_length", "max_position_embeddings") or 2048,
        **bias_of(k, "bias", everywhere=True),
    )


def bloom(k: Keys, name: str) -> ModelSpec:
    names = ["hidden_size", "n_embed", "n_embd"], ["n_head", "num_attention_heads"], ["n_layer", "num_hidden_layers"]
    k.used |= {"seq_length", "n_inner", "unk_token_id", "masked_softmax_fusion", "bias_dropout_fusion"}
    length = k.values.get("seq_length")
    return ModelSpec(
        **shape(k, name, *names),
        **ATTENTION_BIASES,
        mlp_bias=True,
        embedding_norm=True,
        position_embedding="alibi",
        max_seq_length=whole(length, f"seq_length ({k.document.name})") if length else 2048,
    )


def opt(k: Keys, name: str) -> ModelSpec:
    fields = shape(k, name, ["hidden_size"], ["num_attention_heads"], ["num_hidden_layers"])
    narrow = k.number("hidden", "word_embed_proj_dim", default=fields["hidden"])
    if narrow != fields["hidden"]:
        raise PlannerError(say("hf_gpt.embedding_width", file=k.document.name, narrow=narrow, hidden=fields["hidden"]))
    length = k.number("max_seq_length", "max_position_embeddings", default=2048)
    return ModelSpec(
        **{**fields, "ffn": k.number("ffn", "ffn_dim")},
        activation=activation(k, "relu", False, "activation_function"),
        learned_positions=length + 2,  # two rows are for padding
        max_seq_length=length,
        **bias_of(k, "enable_bias", default=True, everywhere=True),
    )


def dbrx(k: Keys, name: str) -> ModelSpec:
    attention, ffn = k.section("attn_config"), k.section("ffn_config")
    fields = shape(k, name, ["d_model"], ["n_heads"], ["n_layers"], tied=False)
    k.used.add("num_key_value_heads")
    width = whole(ffn.get("ffn_hidden_size", 3584), "ffn_config.ffn_hidden_size")
    fields |= {"kv_heads": whole(attention.get("kv_n_heads", 1), "attn_config.kv_n_heads"), "ffn": width}
    return ModelSpec(
        **fields,
        gated_mlp=True,
        norm="layernorm_nobias",
        max_seq_length=k.number("max_seq_length", "max_seq_len", default=2048),
        moe=MoESpec(
            experts=whole(ffn.get("moe_num_experts", 4), "ffn_config.moe_num_experts"),
            top_k=whole(ffn.get("moe_top_k", 1), "ffn_config.moe_top_k"),
            expert_ffn=width,
        ),
    )


def chatglm(k: Keys, name: str) -> ModelSpec:
    """ChatGLM2 and 3, GLM-4 under its own code: keys of Megatron-LM's kind."""
    hidden, heads = k.number("hidden", "hidden_size"), k.number("heads", "num_attention_heads")
    grouped = k.flag("kv_heads", "multi_query_attention", False)
    every = k.flag("mlp_bias", "add_bias_linear", False)
    norm = "rmsnorm" if k.flag("norm", "rmsnorm", True) else "layernorm"
    return ModelSpec(
        name=name,
        layers=k.number("layers", "num_layers", "num_hidden_layers"),
        hidden=hidden,
        heads=heads,
        kv_heads=k.number("kv_heads", "multi_query_group_num", default=heads) if grouped else heads,
        head_dim=k.number("head_dim", "kv_channels", default=max(1, hidden // heads)),
        ffn=k.number("ffn", "ffn_hidden_size"),
        vocab=k.number("vocab", "padded_vocab_size", "vocab_size"),
        gated_mlp=True,
        tied_embeddings=k.flag("tied_embeddings", "tie_word_embeddings", False),
        norm=norm,
        attention_bias=every or k.flag("attention_bias", "add_qkv_bias", False),
        attention_output_bias=every,
        mlp_bias=every,
        max_seq_length=k.maybe("max_seq_length", "seq_length") or None,
        source=f"{k.document.name} (Hugging Face)",
    )


def qwen(k: Keys, name: str) -> ModelSpec:
    """Qwen's first release: intermediate_size is of both gated halves together, biases are of q, k and v alone."""
    k.used |= {"no_bias", "kv_channels", "seq_length"}
    both = k.number("ffn", "intermediate_size")
    k.origins["ffn"] = f"half of intermediate_size, {k.document.where('intermediate_size')}"
    return llama_like(k, name, ffn=both // 2, attention_bias=True)


def exaone(k: Keys, name: str) -> ModelSpec:
    """EXAONE 3: Llama's layers, with the number of them as num_layers."""
    values = dict(k.values)
    if "num_layers" in values:
        values.setdefault("num_hidden_layers", values["num_layers"])
        k.used.add("num_layers")
    k.values = values
    k.used |= {"activation_function"}
    return llama_like(k, name)
