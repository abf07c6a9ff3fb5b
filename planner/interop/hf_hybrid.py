"""Families of config.json with layers that carry a state: Mamba, Jamba, Nemotron-H, Qwen3-Next, MiniMax and their kin.

Source: transformers 5.24, models/*/configuration_*.py and modeling_*.py; of MiniMax-Text-01, the code that its
repository holds.
"""

# ruff: noqa: D103 - a function a family, named as transformers names it

from __future__ import annotations

from typing import Any

from planner.interop.files import shown, whole
from planner.interop.hf_keys import Keys
from planner.interop.hf_layers import each, expert_layers, pattern, stated_mixers
from planner.interop.hf_llama import activation, base, bias_of, biases, llama_like, routed
from planner.spec.model import ModelSpec, MoESpec, RecurrentSpec
from planner.units import PlannerError
from planner.words import say
from planner.workload.layers import ATTENTION, DENSE, EXPERTS, RECURRENT, pattern_of

NEMOTRON = {"M": "R", "*": "A", "-": "D", "E": "E"}  # the letters of hybrid_override_pattern
NEMOTRON_NAMES = {
    "mamba": "R", "linear_attention": "R", "attention": "A", "full_attention": "A", "mlp": "D", "moe": "E",
}  # fmt: skip


def _mamba1(k: Keys, hidden: int, expand: str, state: str, conv: str, rank: str, **more: Any) -> RecurrentSpec:
    """Mamba's first mixer: one head as wide as all; the step's rank is a sixteenth of the hidden width where `auto`."""
    k.used |= {rank, "intermediate_size"} if expand == "expand" else {rank}
    stated = k.values.get(rank)
    return RecurrentSpec(
        kind="mamba",
        heads=1,
        head_dim=hidden * k.number("recurrent.head_dim", expand, default=2),
        state=k.number("recurrent.state", state, default=16),
        conv=k.number("recurrent.conv", conv, default=4),
        step_rank=-(-hidden // 16) if stated in (None, "auto") else whole(stated, f"{rank} ({k.document.name})"),
        **more,
    )


def _alone(k: Keys, name: str, recurrent: RecurrentSpec, tied: bool) -> ModelSpec:
    """A model of recurrent layers alone, each with one norm before it."""
    k.used |= {"rms_norm", "time_step_limit", "mixer_rms_eps", "use_mambapy", "use_falcon_mambapy", "d_model"}
    k.origins |= {"layer_pattern": f"every {k.family} model", "heads": "as recurrent.heads"}
    return ModelSpec(
        name=name,
        layers=k.number("layers", "num_hidden_layers", "n_layer"),
        hidden=k.number("hidden", "hidden_size", "d_model"),
        heads=recurrent.heads,
        kv_heads=recurrent.heads,
        head_dim=recurrent.head_dim,
        ffn=0,
        vocab=k.number("vocab", "vocab_size"),
        norm="rmsnorm",
        tied_embeddings=k.flag("tied_embeddings", "tie_word_embeddings", tied),
        position_embedding="none",
        recurrent=recurrent,
        layer_pattern=RECURRENT,
        source=f"{k.document.name} (Hugging Face)",
    )


def mamba(k: Keys, name: str) -> ModelSpec:
    hidden = k.number("hidden", "hidden_size", "d_model")
    bias = k.flag("recurrent.projection_bias", "use_bias", False)
    conv = k.flag("recurrent.conv_bias", "use_conv_bias", True)
    names = ("expand", "state_size", "conv_kernel", "time_step_rank")
    return _alone(k, name, _mamba1(k, hidden, *names, projection_bias=bias, conv_bias=conv), tied=True)


def _mamba2(k: Keys, width: int, *names: str) -> RecurrentSpec:
    """Mamba 2's mixer, `width` wide, by the names of its keys."""
    heads, groups, state, conv, chunk, bias, conv_bias = names
    many = k.number("recurrent.heads", heads)
    if width % many:
        raise PlannerError(say("hf_hybrid.mamba_heads", file=k.document.name, width=width, heads=heads, many=many))
    return RecurrentSpec(
        kind="mamba2",
        heads=many,
        head_dim=width // many,
        state=k.number("recurrent.state", state),
        key_heads=k.number("recurrent.key_heads", groups),
        conv=k.number("recurrent.conv", conv),
        chunk=k.number("recurrent.chunk", chunk),
        projection_bias=k.flag("recurrent.projection_bias", bias, False),
        conv_bias=k.flag("recurrent.conv_bias", conv_bias, True),
    )


def mamba2(k: Keys, name: str) -> ModelSpec:
    k.used |= {"head_dim", "time_step_rank", "norm_before_gate", "ssm_cfg"}
    width = k.number("recurrent.head_dim", "expand") * k.number("hidden", "hidden_size")
    names = ("num_heads", "n_groups", "state_size", "conv_kernel", "chunk_size", "use_bias", "use_conv_bias")
    return _alone(k, name, _mamba2(k, width, *names), tied=False)


def jamba(k: Keys, name: str) -> ModelSpec:
    """Attention in every attn_layer_period-th layer, experts in every expert_layer_period-th, Mamba elsewhere."""
    layers, hidden = k.number("layers", "num_hidden_layers"), k.number("hidden", "hidden_size")
    k.used |= {"num_logits_to_keep", "layers_block_type", "use_mambapy", "use_associative_scan"}

    def placed(what: str) -> range:
        period = k.number("layer_pattern", f"{what}_layer_period")
        return range(k.number("layer_pattern", f"{what}_layer_offset", least=0) % period, layers, period)

    experts = k.number("moe.experts", "num_experts")
    sparse = placed("expert") if experts > 1 else range(0)
    mixer = _mamba1(
        k, hidden, "mamba_expand", "mamba_d_state", "mamba_d_conv", "mamba_dt_rank",
        projection_bias=k.flag("recurrent.projection_bias", "mamba_proj_bias", False),
        conv_bias=k.flag("recurrent.conv_bias", "mamba_conv_bias", True),
        inner_norms=True,
    )  # fmt: skip
    moe = routed(k, "num_experts") if sparse else None
    mixers, mlps = each(layers, placed("attn"), ATTENTION, RECURRENT), each(layers, sparse, EXPERTS, DENSE)
    return llama_like(k, name, position_embedding="none", moe=moe, recurrent=mixer, **pattern(mixers, mlps))


def _mamba_of_granite(k: Keys) -> RecurrentSpec:
    """Mamba 2 as Bamba's and Granite 4's keys state it."""
    k.used.add("mamba_d_head")
    width = k.number("recurrent.head_dim", "mamba_expand") * k.number("hidden", "hidden_size")
    names = "n_heads n_groups d_state d_conv chunk_size proj_bias conv_bias".split()
    return _mamba2(k, width, *(f"mamba_{name}" for name in names))


def _with_state(mixer: RecurrentSpec, mixers: list[str], mlps: list[str]) -> dict[str, Any]:
    return {**({"recurrent": mixer} if RECURRENT in mixers else {}), **pattern(mixers, mlps)}


def bamba(k: Keys, name: str) -> ModelSpec:
    layers = k.number("layers", "num_hidden_layers")
    k.used |= {"attn_layer_indices", "layers_block_type", "num_logits_to_keep", "z_loss_coefficient", "attn_rotary_emb"}
    stated = k.values.get("attn_layer_indices")
    chosen = (
        [whole(i, f"attn_layer_indices ({k.document.name})", 0) for i in stated] if isinstance(stated, list) else []
    )
    mixers = each(layers, chosen, ATTENTION, RECURRENT)
    k.origins["layer_pattern"] = f"attn_layer_indices, {k.document.where('attn_layer_indices')}"
    fields = _with_state(_mamba_of_granite(k), mixers, [DENSE] * layers)
    return llama_like(k, name, **biases(k), **fields)


def granitemoehybrid(k: Keys, name: str) -> ModelSpec:
    """Granite 4: a shared MLP in every layer, with routed experts beside it where there are any."""
    layers = k.number("layers", "num_hidden_layers")
    mixers = stated_mixers(k, layers, "layer_types", "layers_block_type") or [RECURRENT] * layers
    experts = k.maybe("moe.experts", "num_local_experts") or 0
    shared = k.number("moe.shared_ffn", "shared_intermediate_size")
    k.used |= {"intermediate_size", "position_embedding_type", "normalization_function", "init_method"}
    rotary = str(k.values.get("position_embedding_type") or "") == "rope"
    changes: dict[str, Any] = {"ffn": shared}
    top_k = k.maybe("moe.top_k", "num_experts_per_tok") or 0
    if experts:
        width = k.number("moe.expert_ffn", "intermediate_size")
        moe = MoESpec(experts=experts, top_k=top_k, expert_ffn=width, shared_experts=1, shared_ffn=shared)
        changes = {"moe": moe}
    fields = _with_state(_mamba_of_granite(k), mixers, [EXPERTS if experts else DENSE] * layers)
    positions = "" if rotary else "none"
    return llama_like(k, name, position_embedding=positions, **changes, **bias_of(k), **fields)


def _nemotron_letters(k: Keys) -> list[str]:
    """A letter a layer, each a mixer or an MLP alone."""
    names = ("hybrid_override_pattern", "layers_block_type", "layer_types")
    k.used.update(names)
    for name in names:
        stated = k.values.get(name)
        known = NEMOTRON if isinstance(stated, str) else NEMOTRON_NAMES
        if isinstance(stated, str | list) and stated:
            for part in stated:
                if part not in known:
                    raise PlannerError(
                        say("hf_hybrid.letters", file=k.document.name, name=name, part=shown(part), known=list(known))
                    )
            k.origins["layer_pattern"] = f"{name}, {k.document.where(name)}"
            return [known[part] for part in stated]
    return ["R", "E", "A", "D"]


def nemotron_h(k: Keys, name: str) -> ModelSpec:
    letters = _nemotron_letters(k)
    k.used |= {"expand", "mamba_hidden_act", "num_logits_to_keep", "mamba_ssm_cache_dtype", "rescale_prenorm_residual",
               "moe_shared_expert_overlap", "mtp_hybrid_override_pattern", "mtp_layers_block_type", "time_step_limit",
               "num_hidden_layers", "n_shared_experts", "mamba_proj_bias"}  # fmt: skip
    width = k.number("recurrent.heads", "mamba_num_heads") * k.number("recurrent.head_dim", "mamba_head_dim")
    names = ("mamba_num_heads", "n_groups", "ssm_state_size", "conv_kernel", "chunk_size", "use_bias", "use_conv_bias")
    mixer = _mamba2(k, width, *names)
    moe = routed(
        k,
        "n_routed_experts",
        width="moe_intermediate_size",
        shared_experts=1,
        shared_ffn=k.number("moe.shared_ffn", "moe_shared_expert_intermediate_size"),
        latent=k.maybe("moe.latent", "moe_latent_size") or 0,
    ) if EXPERTS in letters else None  # fmt: skip
    k.used |= {"n_routed_experts", "num_experts_per_tok", "moe_intermediate_size", "moe_latent_size",
               "moe_shared_expert_intermediate_size", "attention_bias"}  # fmt: skip
    shape = base(k, name) | {"layers": len(letters)}
    if "attention_head_dim" in k.values:
        shape["head_dim"] = k.number("head_dim", "attention_head_dim")
    return ModelSpec(
        **shape,
        norm="rmsnorm",
        activation=activation(k, "relu2", False, "mlp_hidden_act"),
        mlp_bias=k.flag("mlp_bias", "mlp_bias", False),
        position_embedding="none",
        recurrent=mixer if RECURRENT in letters else None,
        moe=moe,
        layer_pattern=pattern_of(letters),
    )


def qwen3_next(k: Keys, name: str) -> ModelSpec:
    """Qwen3-Next and Qwen3.5: gated delta networks, and gated attention in every fourth layer."""
    layers = k.number("layers", "num_hidden_layers")
    interval = k.number("layer_pattern", "full_attention_interval", default=4)
    every_fourth = each(layers, range(interval - 1, layers, interval), ATTENTION, RECURRENT)
    mixers = stated_mixers(k, layers, "layer_types") or every_fourth
    k.used |= {"linear_attention_type", "attn_output_gate", "mamba_ssm_dtype", "mtp_num_hidden_layers",
               "mtp_use_dedicated_embeddings", "intermediate_size"}  # fmt: skip
    mixer = RecurrentSpec(
        kind="gated_delta",
        heads=k.number("recurrent.heads", "linear_num_value_heads"),
        head_dim=k.number("recurrent.head_dim", "linear_value_head_dim"),
        state=k.number("recurrent.state", "linear_key_head_dim"),
        key_heads=k.number("recurrent.key_heads", "linear_num_key_heads"),
        conv=k.number("recurrent.conv", "linear_conv_kernel_dim"),
    )
    dense = k.family in ("qwen3_5", "qwen3_5_text")
    mlps = [DENSE] * layers if dense else expert_layers(k, layers)
    moe = None if dense or EXPERTS not in mlps else routed(
        k,
        "num_experts",
        width="moe_intermediate_size",
        shared_experts=1,
        shared_ffn=k.number("moe.shared_ffn", "shared_expert_intermediate_size"),
        shared_gate=True,
    )  # fmt: skip
    width: dict[str, Any] = {}
    if k.family.startswith("qwen3_5_moe"):  # there is no dense MLP, and no width of one
        width = {"ffn": k.number("ffn", "intermediate_size", default=moe.shared_ffn if moe else 1)}
    biases = bias_of(k)
    fields = _with_state(mixer, mixers, mlps)
    return llama_like(k, name, qk_norm=True, attention_gate=True, moe=moe, **width, **biases, **fields)


def minimax(k: Keys, name: str) -> ModelSpec:
    """MiniMax-Text-01: lightning attention, and softmax attention where attn_type_list has 1 or layer_types says so."""
    layers = k.number("layers", "num_hidden_layers")
    listed = k.values.get("attn_type_list")
    k.used |= {"attn_type_list", "rotary_dim", "postnorm", "shared_intermediate_size", "shared_moe_mode",
               "layernorm_full_attention_alpha", "layernorm_full_attention_beta", "layernorm_linear_attention_alpha",
               "layernorm_linear_attention_beta", "layernorm_mlp_alpha", "layernorm_mlp_beta", "num_experts",
               "full_attn_alpha_factor", "full_attn_beta_factor", "linear_attn_alpha_factor",
               "linear_attn_beta_factor", "mlp_alpha_factor", "mlp_beta_factor", "sliding_window"}  # fmt: skip
    if isinstance(listed, list) and len(listed) >= layers:
        mixers = [ATTENTION if kind else RECURRENT for kind in listed[:layers]]
        k.origins["layer_pattern"] = f"attn_type_list, {k.document.where('attn_type_list')}"
    else:
        mixers = stated_mixers(k, layers, "layer_types") or each(layers, range(0, layers, 2), ATTENTION, RECURRENT)
    shape = base(k, name)
    mixer = RecurrentSpec(
        kind="lightning",
        heads=shape["heads"],
        head_dim=shape["head_dim"],
        state=shape["head_dim"],
        key_heads=shape["heads"],
        chunk=k.number("recurrent.chunk", "block_size", default=256),
    )
    moe = routed(k, "num_local_experts")
    return llama_like(k, name, moe=moe, **_with_state(mixer, mixers, [EXPERTS] * layers))
