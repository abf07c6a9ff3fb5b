"""The model of a GPT-NeoX config, built as GPT-NeoX builds it, and what it refuses.

Source: EleutherAI/gpt-neox ea7aefd, megatron/model and megatron/neox_arguments.
"""

from __future__ import annotations

from planner.interop.files import shown, whole
from planner.interop.neox_conditions import kinds_refused
from planner.interop.neox_config import Config
from planner.interop.neox_fields import MODEL
from planner.interop.neox_mlp import NeoxMLP, neox_mlp
from planner.spec.model import ModelSpec, MoESpec
from planner.units import PlannerError
from planner.words import say

NORMS = {"layernorm": "layernorm", "te_layernorm": "layernorm", "rmsnorm": "rmsnorm", "te_rmsnorm": "rmsnorm"}
OTHER_NORMS = ("non_parametric_layernorm", "scalenorm")
POSITIONS = ("learned", "rotary", "sinusoidal", "rpe", "alibi", "none")
# Entries of the tokenizers that GPT-NeoX names: GPT-2's BPE, the character-level one (megatron/tokenizer), and the
# GPT-NeoX-20B tokenizer with its added tokens.
VOCABULARIES = {"gpt2bpetokenizer": 50257, "hfgpt2tokenizer": 50257, "charleveltokenizer": 512}
NEOX_20B_VOCABULARY = 50277
#: Fields that one key says.
ALONE = ("tied_embeddings", "parallel_residual", "qk_norm", "sliding_window")
#: Fields whose origin is said also where they are as usual.
ALWAYS = (
    "layers", "hidden", "heads", "vocab_multiple", "tied_embeddings", "parallel_residual", "norm", "attention_bias",
)  # fmt: skip


def neox_model(config: Config, name: str, vocab: int | None = None) -> tuple[ModelSpec, dict[str, str]]:
    """The model of a merged config, and the origin of each of its fields."""
    layers, hidden, heads = (config.value(f"model.{key}") for key in ("layers", "hidden", "heads"))
    kinds_refused(config, layers)
    if hidden % heads:
        raise PlannerError(say("neox_model.head_width", hidden=hidden, heads=heads, rest=hidden % heads))
    kv_heads = config.value("model.kv_heads") or heads
    if heads % kv_heads:
        raise PlannerError(say("neox_model.key_heads", heads=heads, kv_heads=kv_heads, rest=heads % kv_heads))
    mp = config.value("layout.tp")
    _check_model_parallel(hidden, heads, kv_heads, mp)
    mlp = neox_mlp(config, hidden)
    moe = _moe(config, hidden, mlp)
    rows, vocab_origin, multiple = _vocabulary(config, vocab, mp)
    positions, bias = config.value("model.max_seq_length"), config.value("model.attention_bias")
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
        norm=_norm(config),
        attention_bias=bias,
        attention_output_bias=bias,
        mlp_bias=mlp.bias and (moe is None or moe.every > 1),
        learned_positions=(positions or 0) if embedding == "learned" else 0,
        position_embedding="" if embedding in ("learned", "rotary") else embedding,
        vocab_multiple=multiple,
        max_seq_length=positions,
        moe=moe,
        **{key: config.value(f"model.{key}") for key in ALONE},
    )
    return spec, _origins(config, spec, mlp, vocab_origin)


def _origins(config: Config, spec: ModelSpec, mlp: NeoxMLP, vocab_origin: str) -> dict[str, str]:
    """Where each field of the model comes from."""
    means = {row.means.removeprefix("model."): row.key for row in MODEL if row.means.startswith("model.")}
    fields = {name: key for name, key in means.items() if "." not in name}
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
        raise PlannerError(say("neox_model.norm", key=config.called("norm"), named=named, known=[*NORMS]))
    norm = NORMS[named]
    return "layernorm_nobias" if norm == "layernorm" and not config.flag("use_bias_in_norms", True) else norm


def _moe(config: Config, hidden: int, mlp: NeoxMLP) -> MoESpec | None:
    """Routed experts: not gated, no bias, 4h wide unless stated, in layers 0, n, 2n, … (megatron/model/moe_mlp.py)."""
    experts = config.value("model.moe.experts")
    stated = config.has("moe_expert_interval")
    every = config.value("model.moe.every") if stated else config.integer("expert_interval", 1, least=1)
    top_k = config.value("model.moe.top_k")
    if experts <= 1:
        return None
    if config.flag("moe_glu", False):
        raise PlannerError(say("neox_model.gated_experts", key=config.called("moe_glu")))
    if mlp.gated and every > 1:
        raise PlannerError(say("neox_model.two_kinds", key=mlp.kind_origin))
    if config.value("layout.zero_stage") >= 2:
        raise PlannerError(say("neox_model.experts_sharded"))
    width = config.optional("intermediate_size", least=1) or 256 * -(-4 * hidden // 256)
    return MoESpec(experts=experts, top_k=top_k, expert_ffn=width, every=every)


def _vocabulary(config: Config, stated: int | None, mp: int) -> tuple[int, str, int]:
    multiple = config.value("model.vocab_multiple")
    tokenizer = config.text("tokenizer_type", "GPT2BPETokenizer")
    vocab_file = config.text("vocab_file", "")
    if stated is not None:
        return whole(stated, "--vocab"), "--vocab", multiple
    if config.has("padded_vocab_size"):
        rows = config.integer("padded_vocab_size", least=1)
        return rows, config.origin("padded_vocab_size"), 1 if rows % (multiple * mp) else multiple
    if tokenizer == "hftokenizer" and not vocab_file:
        config.remarks.append(say("neox_model.no_tokenizer", entries=NEOX_20B_VOCABULARY))
        return NEOX_20B_VOCABULARY, "assumed: the GPT-NeoX-20B tokenizer", multiple
    if tokenizer == "hftokenizer" and "20b_tokenizer" in vocab_file:
        return NEOX_20B_VOCABULARY, f"the GPT-NeoX-20B tokenizer ({config.origin('vocab_file')})", multiple
    if tokenizer in VOCABULARIES:
        return VOCABULARIES[tokenizer], config.origin("tokenizer_type"), multiple
    raise PlannerError(say("neox_model.no_vocabulary", tokenizer=shown(config.raw("tokenizer_type"))))


def _check_model_parallel(hidden: int, heads: int, kv_heads: int, mp: int) -> None:
    for key, number in (("num_attention_heads", heads), ("hidden_size", hidden)):
        if number % mp:
            raise PlannerError(say("neox_model.indivisible", number=number, ranks=mp, key=key))
    if kv_heads < heads and kv_heads % mp:
        raise PlannerError(say("neox_model.few_key_heads", kv_heads=kv_heads, ranks=mp))
