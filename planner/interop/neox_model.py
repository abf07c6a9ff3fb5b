"""The model of a GPT-NeoX config, built as GPT-NeoX builds it, and what it refuses.

Source: EleutherAI/gpt-neox ea7aefd, megatron/model and megatron/neox_arguments.
"""

from __future__ import annotations

from planner.interop.files import shown, whole
from planner.interop.neox_conditions import kinds_refused
from planner.interop.neox_config import Config, zero_stage
from planner.interop.neox_fields import MODEL
from planner.interop.neox_mlp import NeoxMLP, neox_mlp
from planner.spec.model import ModelSpec, MoESpec
from planner.units import PlannerError

NORMS = {"layernorm": "layernorm", "te_layernorm": "layernorm", "rmsnorm": "rmsnorm", "te_rmsnorm": "rmsnorm"}
OTHER_NORMS = ("non_parametric_layernorm", "scalenorm")
POSITIONS = ("learned", "rotary", "sinusoidal", "rpe", "alibi", "none")
# Entries of the tokenizers that GPT-NeoX names: GPT-2's BPE, the character-level one (megatron/tokenizer), and the
# GPT-NeoX-20B tokenizer with its added tokens.
VOCABULARIES = {"gpt2bpetokenizer": 50257, "hfgpt2tokenizer": 50257, "charleveltokenizer": 512}
NEOX_20B_VOCABULARY = 50277
#: Fields whose origin is said also where they are as usual.
ALWAYS = (
    "layers", "hidden", "heads", "vocab_multiple", "tied_embeddings", "parallel_residual", "norm", "attention_bias",
)  # fmt: skip
MODEL_KEYS = ("num_layers", "hidden_size", "num_attention_heads")


def neox_model(config: Config, name: str, vocab: int | None = None) -> tuple[ModelSpec, dict[str, str]]:
    """The model of a merged config, and the origin of each of its fields."""
    layers, hidden, heads = (config.integer(key, least=1) for key in MODEL_KEYS)
    kinds_refused(config, layers)
    if hidden % heads:
        raise PlannerError(
            f"hidden_size must be divisible by num_attention_heads: {hidden} % {heads} = {hidden % heads}."
        )
    kv_heads = config.optional("num_kv_heads", least=1) or heads
    if heads % kv_heads:
        raise PlannerError(
            "num_kv_heads must evenly divide num_attention_heads and be no greater than it: "
            f"{heads} % {kv_heads} = {heads % kv_heads}."
        )
    mp = max(1, config.integer("model_parallel_size", 1))
    _check_model_parallel(hidden, heads, kv_heads, mp)
    mlp = neox_mlp(config, hidden)
    moe = _moe(config, hidden, mlp)
    rows, vocab_origin, multiple = _vocabulary(config, vocab, mp)
    positions = config.optional("max_position_embeddings", least=1)
    embedding = config.choice("pos_emb", "learned", POSITIONS)
    spec = ModelSpec(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=hidden // heads,
        ffn=mlp.width,
        vocab=rows,
        gated_mlp=mlp.gated and moe is None,
        activation="" if mlp.activation == ("silu" if mlp.gated and moe is None else "gelu") else mlp.activation,
        tied_embeddings=not config.flag("no_weight_tying", False),
        parallel_residual=config.flag("gpt_j_residual", False),
        norm=_norm(config),
        qk_norm=config.flag("use_qk_layernorm", False),
        attention_bias=config.flag("use_bias_in_attn_linear", True),
        attention_output_bias=config.flag("use_bias_in_attn_linear", True),
        mlp_bias=mlp.bias and (moe is None or moe.every > 1),
        learned_positions=(positions or 0) if embedding == "learned" else 0,
        position_embedding="" if embedding in ("learned", "rotary") else embedding,
        vocab_multiple=multiple,
        max_seq_length=positions,
        sliding_window=config.optional("sliding_window_width", least=1),
        moe=moe,
    )
    return spec, _origins(config, spec, mlp, vocab_origin)


def _origins(config: Config, spec: ModelSpec, mlp: NeoxMLP, vocab_origin: str) -> dict[str, str]:
    """Where each field of the model comes from."""
    fields = {row.means.removeprefix("model."): row.key for row in MODEL if row.means.startswith("model.")}
    stated = {name: config.origin(key) for name, key in fields.items() if name in ALWAYS or getattr(spec, name)}
    if spec.learned_positions:
        stated["learned_positions"] = config.origin("max_position_embeddings")
    if spec.moe is not None:
        stated["moe"] = config.origin("moe_num_experts")
    return stated | {
        "name": "the first file's name",
        "kv_heads": config.origin("num_kv_heads") if config.has("num_kv_heads") else "as many as num_attention_heads",
        "head_dim": "hidden_size / num_attention_heads",
        "ffn": mlp.width_origin,
        "vocab": vocab_origin,
        "gated_mlp": mlp.kind_origin,
        "attention_output_bias": stated["attention_bias"],
        "mlp_bias": mlp.bias_origin,
    }


def _norm(config: Config) -> str:
    named = config.choice("norm", "layernorm", (*NORMS, *OTHER_NORMS))
    if named in OTHER_NORMS:
        raise PlannerError(
            f"{config.what('norm')} is {named}, which planner neither counts nor exports; write {', '.join(NORMS)} "
            "to plan with one of these."
        )
    norm = NORMS[named]
    return "layernorm_nobias" if norm == "layernorm" and not config.flag("use_bias_in_norms", True) else norm


def _moe(config: Config, hidden: int, mlp: NeoxMLP) -> MoESpec | None:
    """Routed experts: not gated, no bias, 4h wide unless stated, in layers 0, n, 2n, … (megatron/model/moe_mlp.py)."""
    experts = config.integer("moe_num_experts", 1)
    config.used.add("expert_interval")
    every = config.integer(
        "moe_expert_interval" if config.has("moe_expert_interval") else "expert_interval", 1, least=1
    )
    top_k = config.integer("moe_top_k", 1, least=1)
    if experts <= 1:
        return None
    if config.flag("moe_glu", False):
        raise PlannerError(
            f"{config.what('moe_glu')}: gated experts, which older releases of GPT-NeoX had; planner knows those of "
            "the present one, which are not gated: leave it out to plan with them."
        )
    if mlp.gated and every > 1:
        raise PlannerError(
            f"{mlp.kind_origin}: gated layers between experts that are not; planner knows models of one kind only."
        )
    if zero_stage(config) >= 2:
        raise PlannerError("MoE is not compatible with zero stages 2 and 3.")
    width = config.optional("intermediate_size", least=1) or 256 * -(-4 * hidden // 256)
    return MoESpec(experts=experts, top_k=top_k, expert_ffn=width, every=every)


def _vocabulary(config: Config, stated: int | None, mp: int) -> tuple[int, str, int]:
    multiple = config.integer("make_vocab_size_divisible_by", 128, least=1)
    tokenizer = config.text("tokenizer_type", "GPT2BPETokenizer")
    vocab_file = config.text("vocab_file", "")
    if stated is not None:
        return whole(stated, "--vocab"), "--vocab", multiple
    if config.has("padded_vocab_size"):
        rows = config.integer("padded_vocab_size", least=1)
        return rows, config.origin("padded_vocab_size"), 1 if rows % (multiple * mp) else multiple
    if tokenizer == "hftokenizer" and not vocab_file:
        config.remarks.append(
            f"no file names the tokenizer (vocab_file): {NEOX_20B_VOCABULARY:,} entries are taken, those of the "
            "GPT-NeoX-20B tokenizer; add --vocab N for another"
        )
        return NEOX_20B_VOCABULARY, "assumed: the GPT-NeoX-20B tokenizer", multiple
    if tokenizer == "hftokenizer" and "20b_tokenizer" in vocab_file:
        return NEOX_20B_VOCABULARY, f"the GPT-NeoX-20B tokenizer ({config.origin('vocab_file')})", multiple
    if tokenizer in VOCABULARIES:
        return VOCABULARIES[tokenizer], config.origin("tokenizer_type"), multiple
    raise PlannerError(
        f"tokenizer_type {shown(config.raw('tokenizer_type'))} does not say how many tokens it has, "
        "and GPT-NeoX reads that from the tokenizer itself: add --vocab N (its size before padding)."
    )


def _check_model_parallel(hidden: int, heads: int, kv_heads: int, mp: int) -> None:
    for key, number in (("num_attention_heads", heads), ("hidden_size", hidden)):
        if number % mp:
            raise PlannerError(f"{number} is not divisible by {mp}: {key} must be divisible by model_parallel_size.")
    if kv_heads < heads and kv_heads % mp:
        raise PlannerError(f"Number of KV heads must be at least model_parallel_size for now: {kv_heads} % {mp} != 0.")
