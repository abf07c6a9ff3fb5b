"""Megatron-LM command lines: the arguments of `pretrain_gpt.py` in a launch script, into a scenario.

Names and defaults are those of Megatron-LM's megatron/training/arguments.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.interop.files import read_text, shown, whole
from planner.interop.imported import Imported, Taken, model_taken
from planner.interop.indexed import indexed_data
from planner.interop.shell import read_script
from planner.units import PlannerError
from planner.workload.model import MLASpec, ModelSpec, MoESpec

LAUNCHERS = {  # torchrun's and srun's names for nodes and processes a node
    "nproc_per_node": "nproc-per-node",
    "nproc-per-node": "nproc-per-node",
    "nnodes": "nnodes",
}


@dataclass
class Arguments:
    """Arguments by name without dashes; a flag has no values. Later ones win, as in argparse."""

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    def flag(self, name: str) -> bool:
        self.used.add(name)
        return name in self.values

    def text(self, name: str, default: str) -> str:
        self.used.add(name)
        values = self.values.get(name)
        return values[0] if values else default

    def number(self, name: str, default: int | None = None, least: int = 1) -> int:
        self.used.add(name)
        values = self.values.get(name)
        if not values:
            if default is None:
                raise PlannerError(f"{self.name} has no --{name}, which Megatron-LM requires.")
            return default
        if "$" in values[0] or "`" in values[0]:
            raise PlannerError(
                f"{self.name}: --{name} is {shown(values[0])}, which only running the script would tell; "
                "write the number."
            )
        return whole(values[0], f"--{name} ({self.name})", least)

    def optional(self, name: str, least: int = 1) -> int | None:
        return self.number(name, least=least) if self.values.get(name) else None

    def origin(self, *names: str) -> str:
        return ", ".join(
            f"--{name}, {self.name}" if name in self.values else f"default of --{name} in Megatron-LM" for name in names
        )


def import_megatron(
    path: Path,
    *,
    gpus: int | None = None,
    vocab: int | None = None,
    samples: int | None = None,
    tokens: int | None = None,
) -> Imported:
    """A scenario from the arguments in a shell script (or a file that holds nothing but the arguments).

    Parameters are those of `import_neox`.

    Raises
    ------
    PlannerError
        Where Megatron-LM itself would stop, in its terms, or where something needed is not in the script.
    """
    arguments = read_arguments(read_text(path), path.name)
    model, origins = megatron_model(arguments, path.stem, vocab)
    world = _world(arguments, gpus)
    taken = [Taken("name", shown(path.stem, 80), ""), *model_taken(model, origins, "Megatron-LM's own")]
    layout = _layout(arguments, model, world)
    taken += _data(arguments, samples, tokens)
    taken += _training(arguments)
    taken += layout
    unused = tuple(sorted(f"--{n}" for n in arguments.values if n not in arguments.used))
    return Imported(
        tool="megatron",
        files=(path.name,),
        model=model,
        taken=tuple(taken),
        unused=unused,
        remarks=tuple(dict.fromkeys(arguments.remarks)),
        extras={"world": world},
    )


def read_arguments(text: str, name: str) -> Arguments:
    """The arguments of the command that has most of them; torchrun's own are kept beside them.

    Raises
    ------
    PlannerError
        If no command of the script has Megatron-LM's arguments.
    """
    script = read_script(text, shown(name, 80))
    found = Arguments(shown(name, 80))
    # Commands first; then variables, for scripts that start a command kept in one, or that hold arguments alone.
    values = [[word for part in value for word in part.split()] for value in script.variables.values()]
    words = max([*script.commands, *values], key=lambda c: sum(w.startswith("--") for w in c), default=[])
    if not any(w.split("=")[0] in ("--num-layers", "--hidden-size", "--micro-batch-size") for w in words):
        raise PlannerError(
            f"{found.name} has no command with Megatron-LM's arguments (--num-layers, --hidden-size, …)."
        )
    current: str | None = None
    for word in words:
        if re.match(r"--?[A-Za-z]", word) and word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            current = LAUNCHERS.get(key, key.replace("_", "-"))
            found.values[current] = [value] if equals else []
        elif current is not None:
            found.values[current].append(word)
    return found


def megatron_model(a: Arguments, name: str, vocab: int | None) -> tuple[ModelSpec, dict[str, str]]:
    """The model of the arguments, and the origin of each field."""
    layers, hidden, heads = a.number("num-layers"), a.number("hidden-size"), a.number("num-attention-heads")
    head_dim = a.optional("kv-channels")
    if head_dim is None:
        if hidden % heads:
            raise PlannerError(f"--hidden-size {hidden} is not divisible by --num-attention-heads {heads}.")
        head_dim = hidden // heads
    kv_heads = a.number("num-query-groups", 1) if a.flag("group-query-attention") else heads
    a.used.add("num-query-groups")
    if heads % kv_heads:
        raise PlannerError(f"--num-attention-heads {heads} is not divisible by --num-query-groups {kv_heads}.")
    gated = a.flag("swiglu")
    ffn = a.optional("ffn-hidden-size")
    if ffn is None:  # arguments.py: 4 h, or with swiglu 64 x int(4 h x 2/3 / 64), to keep the number of parameters
        ffn = int((4 * hidden * 2 / 3) / 64) * 64 if gated else 4 * hidden
    bias = not a.flag("disable-bias-linear")
    rows, vocab_origin = _vocabulary(a, vocab)
    positions = a.optional("max-position-embeddings")
    embedding = a.text("position-embedding-type", "learned_absolute")
    if a.flag("use-rotary-position-embeddings"):
        embedding = "rope"
    mla = _mla(a)
    norm = a.text("normalization", "LayerNorm").lower()
    spec = ModelSpec(
        name=shown(name, 80),
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=heads if mla else kv_heads,
        head_dim=mla.qk_nope_head_dim + mla.qk_rope_head_dim if mla else head_dim,
        ffn=ffn,
        vocab=rows,
        gated_mlp=gated,
        tied_embeddings=not a.flag("untie-embeddings-and-output-weights"),
        norm="rmsnorm" if norm == "rmsnorm" else "layernorm",
        qk_norm=a.flag("qk-layernorm"),
        attention_bias=a.flag("add-qkv-bias") or bias,
        attention_output_bias=bias,
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
    names = {
        "layers": "num-layers", "hidden": "hidden-size", "heads": "num-attention-heads", "kv_heads": "num-query-groups",
        "head_dim": "kv-channels", "ffn": "ffn-hidden-size", "gated_mlp": "swiglu", "norm": "normalization",
        "tied_embeddings": "untie-embeddings-and-output-weights", "attention_bias": "disable-bias-linear",
        "attention_output_bias": "disable-bias-linear", "mlp_bias": "disable-bias-linear",
        "vocab_multiple": "make-vocab-size-divisible-by",
    }  # fmt: skip
    origins = {spec_field: a.origin(key) for spec_field, key in names.items()}
    for spec_field, key in (
        ("max_seq_length", "max-position-embeddings"), ("learned_positions", "position-embedding-type"),
        ("sliding_window", "window-size"), ("qk_norm", "qk-layernorm"),
        ("attention_sinks", "softmax-type"), ("mtp_layers", "mtp-num-layers"),
        ("moe", "num-experts"), ("mla", "multi-latent-attention"),
    ):  # fmt: skip
        if getattr(spec, spec_field):
            origins[spec_field] = a.origin(key)
    return spec, {**origins, "name": "the script's name", "vocab": vocab_origin}


def _vocabulary(a: Arguments, stated: int | None) -> tuple[int, str]:
    tokenizer = a.text("tokenizer-type", "").lower()
    if stated is not None:
        return whole(stated, "--vocab"), "--vocab"
    for name in ("vocab-size", "padded-vocab-size"):
        if a.values.get(name):
            return a.number(name), a.origin(name)
    if tokenizer == "gpt2bpetokenizer":
        return 50257, a.origin("tokenizer-type")
    raise PlannerError(
        f"{a.name} has no --vocab-size, and --tokenizer-type {shown(tokenizer or 'none')} does not say it: "
        "add --vocab N."
    )


def _window(a: Arguments) -> int | None:
    """`--window-size L R` (older releases write "L,R"): keys a query sees to its left; itself is one more."""
    a.used.add("window-size")
    stated = a.values.get("window-size") or []
    digits = re.findall(r"-?\d{1,12}", " ".join(stated))
    return int(digits[0]) + 1 if digits and int(digits[0]) > 0 else None


def _mla(a: Arguments) -> MLASpec | None:
    if not a.flag("multi-latent-attention"):
        return None
    return MLASpec(
        q_lora_rank=a.number("q-lora-rank", 0, 0),
        kv_lora_rank=a.number("kv-lora-rank", 32),
        qk_nope_head_dim=a.number("qk-head-dim", 128),
        qk_rope_head_dim=a.number("qk-pos-emb-head-dim", 64),
        v_head_dim=a.number("v-head-dim", 128),
    )


def _moe(a: Arguments, ffn: int, layers: int) -> MoESpec | None:
    experts = a.optional("num-experts")
    if experts is None:
        return None
    shared = a.number("moe-shared-expert-intermediate-size", 0, 0)
    first, every = _moe_frequency(a, layers)
    return MoESpec(
        experts=experts,
        top_k=a.number("moe-router-topk", 2),
        expert_ffn=a.number("moe-ffn-hidden-size", ffn),
        shared_experts=1 if shared else 0,
        shared_ffn=shared,
        first_dense_layers=first,
        every=every,
        router_bias=a.flag("moe-router-enable-expert-bias") or not a.flag("disable-bias-linear"),
    )


def _moe_frequency(a: Arguments, layers: int) -> tuple[int, int]:
    """`--moe-layer-freq N`, or a Python list such as ([0]*3+[1]*58): leading dense layers, then every n-th."""
    text = a.text("moe-layer-freq", "1").strip()
    if text.isdigit() and len(text) < 7:
        return 0, max(1, int(text))
    compact = re.sub(r"\s", "", text).strip("()")
    pattern: list[int] = []
    for part in compact.split("+"):
        found = re.fullmatch(r"\(?\[([01](?:,[01])*),?\]\)?(?:\*(\d{1,5}))?", part)
        if not found or len(pattern) > 10_000:
            a.remarks.append(f"--moe-layer-freq {shown(text)} is not understood; experts are taken for every layer")
            return 0, 1
        pattern += [int(c) for c in found[1].split(",")] * min(int(found[2] or 1), 10_000)
    if len(pattern) != layers:
        raise PlannerError(f"--moe-layer-freq has {len(pattern)} entries, where --num-layers is {layers}.")
    first = pattern.index(1) if 1 in pattern else layers
    if all(pattern[first:]):
        return first, 1
    every = pattern.index(1, first + 1) - first if pattern.count(1) > 1 else 1
    if any(bit != ((i % every) == 0) for i, bit in enumerate(pattern[first:])):
        a.remarks.append(f"--moe-layer-freq {shown(text)} repeats no fixed pattern; every {every}th layer is taken")
    return first, every


def _world(a: Arguments, gpus: int | None) -> int | None:
    a.used |= {"nproc-per-node", "nnodes"}
    if gpus is not None:
        return whole(gpus, "--gpus")
    each, nodes = a.values.get("nproc-per-node"), a.values.get("nnodes")
    if each and each[0].isdigit() and len(each[0]) < 9:
        count = nodes[0] if nodes else "1"
        if count.isdigit() and int(count[:9]) > 0 and int(each[0]) > 0:
            return int(each[0]) * int(count[:9])
    a.remarks.append("how many GPUs train this only running the script would tell: add --gpus N")
    return None


def _layout(a: Arguments, model: ModelSpec, world: int | None) -> list[Taken]:
    tp, pp = a.number("tensor-model-parallel-size", 1), a.number("pipeline-model-parallel-size", 1)
    cp, ep = a.number("context-parallel-size", 1), a.number("expert-model-parallel-size", 1)
    micro = a.number("micro-batch-size")
    if model.heads % tp:
        raise PlannerError(
            f"--num-attention-heads {model.heads} is not divisible by --tensor-model-parallel-size {tp}."
        )
    vpp = _virtual(a, model, pp)
    rows = [
        Taken("layout.tp", tp, a.origin("tensor-model-parallel-size")),
        Taken("layout.pp", pp, a.origin("pipeline-model-parallel-size")),
        Taken("layout.vpp", vpp, a.origin("num-layers-per-virtual-pipeline-stage")),
        Taken("layout.cp", cp, a.origin("context-parallel-size")),
        Taken("layout.ep", ep, a.origin("expert-model-parallel-size")),
    ]
    if world is not None:
        if world % (tp * pp * cp):
            raise PlannerError(
                f"world size ({world}) is not divisible by total_model_size "
                f"({tp} x {pp} x {cp}: tensor, pipeline, context)."
            )
        dp = world // (tp * pp * cp)
        batch = a.number("global-batch-size", micro * dp)
        if batch % (micro * dp):
            raise PlannerError(
                f"global batch size ({batch}) is not divisible by micro batch size ({micro}) "
                f"times data parallel size ({dp})."
            )
        rows.append(Taken("layout.dp", dp, f"{world} GPUs / ({tp} x {pp} x {cp})"))
        if not a.values.get("global-batch-size"):
            rows.insert(
                0, Taken("training.global_batch", batch, "micro-batch-size x data parallel size: Megatron-LM's default")
            )
    rows += [
        Taken("layout.micro_batch", micro, a.origin("micro-batch-size")),
        Taken("layout.zero_stage", *_zero(a)),
        Taken("layout.sequence_parallel", a.flag("sequence-parallel") and tp > 1, a.origin("sequence-parallel")),
        Taken("layout.recompute", *_recompute(a)),
    ]
    return rows


def _virtual(a: Arguments, model: ModelSpec, pp: int) -> int:
    stages = a.optional("num-virtual-stages-per-pipeline-rank")
    if a.flag("pipeline-model-parallel-layout"):
        return _laid_out(a, model.layers, pp)
    each = a.optional("num-layers-per-virtual-pipeline-stage")
    if stages is not None or each is None:
        return stages or 1
    if model.layers % pp or (model.layers // pp) % each:
        raise PlannerError(
            "number of layers per pipeline stage must be divisible by number of layers per virtual pipeline stage: "
            f"{model.layers} / {pp} by {each}."
        )
    return model.layers // pp // each


def _laid_out(a: Arguments, layers: int, pp: int) -> int:
    """Virtual stages of `--pipeline-model-parallel-layout`: `|` ends a stage, t is a layer, `*n` repeats."""
    text = a.text("pipeline-model-parallel-layout", "").replace(" ", "").replace(",", "")
    for pattern in (r"\(([^()]{1,2000})\)\*(\d{1,4})", r"([A-Za-z|])\*(\d{1,4})"):
        while (found := re.search(pattern, text)) and len(found[1]) * int(found[2]) + len(text) < 20_000:
            text = text[: found.start()] + found[1] * int(found[2]) + text[found.end() :]
    stages = text.count("|") + 1
    if stages % pp or text.count("t") != layers:
        raise PlannerError(
            f"--pipeline-model-parallel-layout has {stages} stages with {text.count('t')} layers, where "
            f"--num-layers is {layers} and --pipeline-model-parallel-size {pp}."
        )
    return stages // pp


def _zero(a: Arguments) -> tuple[int, str]:
    if a.flag("use-distributed-optimizer"):
        strategy = a.text("data-parallel-sharding-strategy", "no_shard")
        stage = {"optim": 1, "optim_grads": 2, "optim_grads_params": 3}.get(strategy, 1)
        return stage, a.origin("use-distributed-optimizer")
    return 0, a.origin("use-distributed-optimizer")


def _recompute(a: Arguments) -> tuple[str, str]:
    granularity = a.text("recompute-granularity", "")
    selective = a.flag("recompute-activations")
    method, layers = a.text("recompute-method", "uniform"), a.optional("recompute-num-layers", 0)
    if granularity == "full":
        if method == "block" and layers is not None:
            a.remarks.append(f"--recompute-method block over {layers} layers is priced as recomputing every layer")
        return "full", a.origin("recompute-granularity")
    if granularity == "selective" or selective:
        return "selective", a.origin("recompute-granularity" if granularity else "recompute-activations")
    return "none", a.origin("recompute-granularity")


def _data(a: Arguments, samples: int | None, tokens: int | None) -> list[Taken]:
    seq = a.number("seq-length")
    length = Taken("data.seq_length", seq, a.origin("seq-length"))
    if samples is not None:
        return [Taken("data.samples", whole(samples, "--samples"), "--samples"), length]
    if tokens is not None:
        return [Taken("data.tokens", whole(tokens, "--tokens"), "--tokens"), length]
    paths = a.values.get("data-path") or a.values.get("train-data-path") or []
    a.used |= {"data-path", "train-data-path"} & set(a.values)
    shares = [p for p in paths if re.fullmatch(r"[\d.]+", p)]
    prefixes = [p for p in paths if p not in shares]
    split = a.text("split", "") if a.values.get("data-path") else ""
    found = indexed_data(prefixes, shares, split, length, a.origin("data-path"))
    if found is not None:
        return found
    needed = _samples_needed(a)
    if needed is None:
        return [length]
    a.remarks.append("the data set's index is not at hand: samples are those that the run reads")
    return [Taken("data.samples", needed, "what the run reads"), length]


def _samples_needed(a: Arguments) -> int | None:
    samples, iterations, batch = a.optional("train-samples"), a.optional("train-iters"), a.optional("global-batch-size")
    if samples is not None:
        return samples
    return iterations * batch if iterations is not None and batch is not None else None


def _training(a: Arguments) -> list[Taken]:
    rows: list[Taken] = []
    iterations, samples, batch = a.optional("train-iters"), a.optional("train-samples"), a.optional("global-batch-size")
    if iterations is not None and samples is not None:
        raise PlannerError("Expected either --train-iters or --train-samples, not both.")
    if iterations is not None:
        rows.append(Taken("training.iterations", iterations, a.origin("train-iters")))
    elif samples is not None and batch is not None:
        rows.append(Taken("training.iterations", samples // batch, f"{a.origin('train-samples')} / global-batch-size"))
    if batch is not None:
        rows.append(Taken("training.global_batch", batch, a.origin("global-batch-size")))
    ramp = a.values.get("rampup-batch-size")
    a.used.add("rampup-batch-size")
    if ramp:
        if len(ramp) != 3:
            raise PlannerError(
                "expected the following format: --rampup-batch-size <start batch size> <increment> <samples>."
            )
        values = [whole(v, f"--rampup-batch-size ({a.name})") for v in ramp]
        for key, value in zip(("start", "increment", "samples"), values, strict=True):
            rows.append(Taken(f"training.batch_ramp.{key}", value, a.origin("rampup-batch-size")))
    rows.append(Taken("training.precision", *_precision(a)))
    rows.append(Taken("training.framework", "megatron", "the tool this script is for"))
    interval, count = a.number("eval-interval", 1000, 0), a.number("eval-iters", 100, 0)
    if interval and count:
        rows.append(Taken("training.evaluation.interval", interval, a.origin("eval-interval")))
        rows.append(Taken("training.evaluation.iterations", count, a.origin("eval-iters")))
    return rows


def _precision(a: Arguments) -> tuple[str, str]:
    fp8 = a.flag("fp8-format") or a.flag("fp8")
    recipe = a.text("fp8-recipe", "delayed")
    if a.flag("fp4-format"):
        return "nvfp4", a.origin("fp4-format")
    if fp8:
        return ("mxfp8" if recipe == "mxfp8" else "fp8"), a.origin("fp8-format")
    if a.flag("bf16"):
        return "bf16", a.origin("bf16")
    if a.flag("fp16"):
        return "fp16", a.origin("fp16")
    a.remarks.append("Megatron-LM would train this in fp32, which planner does not price: bf16 is written instead")
    return "bf16", "assumed; the script says neither --bf16 nor --fp16"


def arguments_of(values: Mapping[str, Any]) -> Sequence[str]:
    """Arguments as words: `--key` for True, nothing for False or None, `--key value …` otherwise."""
    words: list[str] = []
    for key, value in values.items():
        if value is not None and value is not False:
            words.append(f"--{key}")
            words += [] if value is True else map(str, value) if isinstance(value, list) else [str(value)]
    return words
