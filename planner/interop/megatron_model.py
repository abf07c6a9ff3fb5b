"""The model that Megatron-LM's arguments describe, with Megatron-LM's defaults."""

from __future__ import annotations

import re

from planner.interop.files import shown, whole
from planner.interop.megatron_arguments import Arguments
from planner.interop.megatron_fields import EXPERTS, LATENT, MODEL
from planner.spec.model import MLASpec, ModelSpec, MoESpec
from planner.units import PlannerError
from planner.words import say

# Programs that take GPT-2's tokenizer where no --tokenizer-type says otherwise (args_defaults).
ENTRIES = ("pretrain_gpt.py", "pretrain_gpt2.py", "pretrain_gpt_core.py", "finetune.py")


#: Fields whose origin is said also where they are as usual.
ALWAYS = (
    "layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "gated_mlp", "norm", "tied_embeddings",
    "attention_bias", "attention_output_bias", "mlp_bias", "vocab_multiple",
)  # fmt: skip


def megatron_model(a: Arguments, name: str, vocab: int | None) -> tuple[ModelSpec, dict[str, str]]:
    """The model of the arguments, and the origin of each field."""
    layers, hidden, heads = a.number("num-layers"), a.number("hidden-size"), a.number("num-attention-heads")
    head_dim = a.optional("kv-channels")
    if head_dim is None:
        if hidden % heads:
            raise PlannerError(say("megatron_model.hidden_by_heads", hidden=hidden, heads=heads))
        head_dim = hidden // heads
    kv_heads = a.number("num-query-groups", 1) if a.flag("group-query-attention") else heads
    a.used.add("num-query-groups")
    if heads % kv_heads:
        raise PlannerError(say("megatron_model.heads_by_groups", heads=heads, kv_heads=kv_heads))
    gated, shrunk = a.flag("swiglu") or a.flag("quick-geglu") or a.flag("geglu"), a.flag("swiglu")
    ffn = a.optional("ffn-hidden-size")
    if ffn is None:  # arguments.py: 4 h, or with swiglu 64 x int(4 h x 2/3 / 64), to keep the number of parameters
        ffn = int((4 * hidden * 2 / 3) / 64) * 64 if shrunk else 4 * hidden
    bias = not a.flag("disable-bias-linear")
    rows, vocab_origin = _vocabulary(a, vocab)
    activation = "relu" if a.flag("squared-relu") and not gated else ""
    if activation:
        a.remarks.append(say("megatron_model.squared_relu"))
    positions = a.optional("max-position-embeddings")
    embedding = a.text("position-embedding-type", "learned_absolute")
    if a.flag("use-rotary-position-embeddings"):
        embedding = "rope"
    if a.flag("no-position-embedding") and embedding == "learned_absolute":
        embedding = "none"
    embedding = {"absolute": "learned_absolute", "learned": "learned_absolute", "relative": "rpe"}.get(
        embedding, embedding
    )
    parallel = a.flag("parallel-attn")
    mla = _mla(a)
    norm = a.text("normalization", "LayerNorm").lower()
    # `--noop-layers 61,62` of MindSpeed: layers that are counted, to fill the stages, and hold nothing
    stated = set(re.findall(r"\d{1,6}", " ".join(a.values.get("noop-layers") or [])))
    a.used.add("noop-layers")
    spec = ModelSpec(
        name=shown(name, 80),
        layers=layers - min(len(stated), layers - 1),
        hidden=hidden,
        heads=heads,
        kv_heads=heads if mla else kv_heads,
        head_dim=mla.qk_nope_head_dim + mla.qk_rope_head_dim if mla else head_dim,
        ffn=ffn,
        vocab=rows,
        gated_mlp=gated,
        activation=activation,
        parallel_residual=parallel,
        norms_per_layer=4 if a.flag("post-norm") else 1 if parallel and not a.flag("parallel-layernorm") else 2,
        position_embedding=embedding if embedding in ("alibi", "none", "rpe") else "",
        head_bias=a.flag("add-output-layer-bias"),
        tied_embeddings=not a.flag("untie-embeddings-and-output-weights"),
        norm="rmsnorm" if norm == "rmsnorm" else "layernorm",
        qk_norm=a.flag("qk-layernorm"),
        attention_bias=a.flag("add-qkv-bias") or bias,
        attention_output_bias=bias or a.flag("add-dense-bias"),
        mlp_bias=bias,
        learned_positions=(positions or 0) if embedding == "learned_absolute" else 0,
        vocab_multiple=a.number("make-vocab-size-divisible-by", 128),
        max_seq_length=positions,
        sliding_window=_window(a),
        full_attention_every=a.number("window-attn-skip-freq", 0) if a.flag("window-attn-skip-freq") else 0,
        attention_sinks=a.text("softmax-type", "vanilla") == "learnable",
        mtp_layers=a.number("mtp-num-layers", 0, 0),
        moe=_moe(a, ffn, layers),
        mla=mla,
    )
    fields = {row.means.removeprefix("model."): row.key for row in MODEL if row.means.startswith("model.")}
    fields |= dict.fromkeys(("attention_bias", "attention_output_bias"), fields["mlp_bias"])
    fields |= {"moe": "num-experts", "mla": "multi-latent-attention"}
    origins = {name: a.origin(key) for name, key in fields.items() if name in ALWAYS or getattr(spec, name)}
    if spec.moe is not None:
        width = "moe-ffn-hidden-size" if "moe-ffn-hidden-size" in a.values else "ffn-hidden-size"
        origins |= {"moe.top_k": a.origin("moe-router-topk"), "moe.expert_ffn": a.origin(width)}
    return spec, {**origins, "name": "the script's name", "vocab": vocab_origin}


def _vocabulary(a: Arguments, stated: int | None) -> tuple[int, str]:
    tokenizer = a.text("tokenizer-type", "").lower()
    for name in ("padded-vocab-size", "pad-vocab-size-to"):  # what is trained, whatever the tokenizer has
        if a.values.get(name):
            return a.number(name), a.origin(name)
    more = sum(a.number(name, 0, 0) for name in ("extra-vocab-size", "vocab-extra-ids"))
    if stated is not None:
        return whole(stated, "--vocab") + more, "--vocab"
    if a.values.get("vocab-size"):
        return a.number("vocab-size") + more, a.origin("vocab-size")
    entry = a.entry.rsplit("/", 1)[-1]
    if tokenizer == "gpt2bpetokenizer" or (not tokenizer and entry in ENTRIES):
        origin = a.origin("tokenizer-type") if tokenizer else f"GPT-2's, the default of {entry}"
        return 50257 + more, origin
    raise PlannerError(say("megatron_model.no_vocabulary", file=a.name, tokenizer=shown(tokenizer or "none")))


def _window(a: Arguments) -> int | None:
    """`--window-size L R` (older releases write "L,R"): keys a query sees to its left; itself is one more."""
    a.used.add("window-size")
    if (keys := a.optional("sliding-window-size")) is not None:
        return keys
    stated = a.values.get("window-size") or []
    digits = re.findall(r"-?\d{1,12}", " ".join(stated))
    return int(digits[0]) + 1 if digits and int(digits[0]) > 0 else None


def _mla(a: Arguments) -> MLASpec | None:
    if not a.flag("multi-latent-attention"):
        return None
    rows = {row.means.rpartition(".")[2]: row for row in LATENT if row.means}
    return MLASpec(**{name: a.number(row.key, row.default, row.least) for name, row in rows.items()})


def _moe(a: Arguments, ffn: int, layers: int) -> MoESpec | None:
    rows = {row.means.rpartition(".")[2]: row for row in EXPERTS if row.means}
    experts = a.optional(rows["experts"].key)
    if experts is None:
        return None
    shared = a.number(rows["shared_ffn"].key, rows["shared_ffn"].default, rows["shared_ffn"].least)
    first, every = _moe_frequency(a, layers)
    return MoESpec(
        experts=experts,
        top_k=a.number(rows["top_k"].key, rows["top_k"].default),
        expert_ffn=a.number(rows["expert_ffn"].key, ffn),
        shared_experts=1 if shared else 0,
        shared_ffn=shared,
        first_dense_layers=first,
        every=every,
        shared_gate=bool(shared) and a.flag(rows["shared_gate"].key),
        router_bias=a.flag("moe-router-enable-expert-bias") or not a.flag("disable-bias-linear"),
    )


def _moe_frequency(a: Arguments, layers: int) -> tuple[int, int]:
    """`--moe-layer-freq N`, or a Python list such as ([0]*3+[1]*58): leading dense layers, then every n-th."""
    text = a.text("moe-layer-freq", "1").strip()
    if text.removeprefix("-").isdigit() and len(text) < 7:  # MindSpeed writes -1 for all layers
        every = max(1, abs(int(text)))  # gpt_layer_specs.py: layer i has experts where i % every == 0
        return _cut(a, [int(i % every == 0) for i in range(layers)], every)
    compact = re.sub(r"[\s'\"]", "", text).strip("()")
    pattern: list[int] = []
    for part in compact.split("+"):
        found = re.fullmatch(r"\(?\[([01](?:,[01])*),?\]\)?(?:\*(\d{1,5}))?", part)
        if not found or len(pattern) > 10_000:
            a.uncertain.append(say("megatron_model.frequency", text=shown(text)))
            return 0, 1
        pattern += [int(c) for c in found[1].split(",")] * min(int(found[2] or 1), 10_000)
    if len(pattern) != layers:
        raise PlannerError(say("megatron_model.frequency_length", entries=len(pattern), layers=layers))
    first = pattern.index(1) if 1 in pattern else layers
    if all(pattern[first:]):
        return first, 1
    return _cut(a, pattern, pattern.index(1, first + 1) - first if pattern.count(1) > 1 else layers - first)


def _cut(a: Arguments, pattern: list[int], every: int) -> tuple[int, int]:
    """Leading dense layers and the interval after them that give as many layers of experts as `pattern` has."""
    layers, experts = len(pattern), sum(pattern)
    if experts * every == layers:
        return 0, every
    a.remarks.append(say("megatron_model.expert_layers", file=a.name, experts=experts, layers=layers))
    return layers - experts, 1
