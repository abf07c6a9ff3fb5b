"""GPT-NeoX configs: the merged YAML that `deepy.py` takes, read as GPT-NeoX reads it, into a scenario.

Source of every default and rule: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments and megatron/model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from planner.interop.files import Document, read_yaml, shown, truth, whole
from planner.interop.imported import Imported, Taken, model_taken
from planner.interop.indexed import indexed_data
from planner.interop.neox_batch import (
    DEFAULT_GRADIENT_ACCUMULATION,
    Batch,
    smallest_world,
    solve_batch,
    train_iterations,
)
from planner.units import PlannerError
from planner.workload.model import ModelSpec, MoESpec

GATED = ("geglu", "reglu", "bilinear", "swiglu", "glu")  # megatron/model/activations.py
NORMS = {"layernorm": "layernorm", "te_layernorm": "layernorm", "rmsnorm": "rmsnorm", "te_rmsnorm": "rmsnorm"}
# Entries of the tokenizers that GPT-NeoX names: GPT-2's BPE, the character-level one (megatron/tokenizer), and the
# GPT-NeoX-20B tokenizer with its added tokens.
VOCABULARIES = {"gpt2bpetokenizer": 50257, "hfgpt2tokenizer": 50257, "charleveltokenizer": 512}
NEOX_20B_VOCABULARY = 50277
MODEL_KEYS = ("num_layers", "hidden_size", "num_attention_heads")


@dataclass
class Config:
    """Merged keys of several files, with where each came from and which were looked at."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def has(self, key: str) -> bool:
        return self.values.get(key) is not None

    def raw(self, key: str, default: Any = None) -> Any:
        self.used.add(key)
        value = self.values.get(key)
        return default if value is None else value

    def integer(self, key: str, default: int | None = None, least: int = 0) -> int:
        value = self.raw(key, default)
        if value is None:
            raise PlannerError(f"{key} is in none of the files; GPT-NeoX requires it: add the file that holds it.")
        return whole(value, self.what(key), least)

    def optional(self, key: str, least: int = 0) -> int | None:
        return self.integer(key, least=least) if self.has(key) else None

    def flag(self, key: str, default: bool) -> bool:
        return truth(self.raw(key, default), self.what(key))

    def text(self, key: str, default: str) -> str:
        return str(self.raw(key, default)).strip().lower()

    def section(self, key: str) -> Mapping[str, Any]:
        value = self.raw(key, {})
        if not isinstance(value, Mapping):
            raise PlannerError(f"{self.what(key)} is {shown(value)!r}, where a map is needed.")
        return {str(k).replace("-", "_"): v for k, v in value.items()}

    def what(self, key: str) -> str:
        return f"{key} ({self.origins[key]})" if key in self.origins else key

    def origin(self, *keys: str) -> str:
        """Words for a scenario's comment: the keys and where they stand; defaults are said to be defaults."""
        return ", ".join(
            f"{key}, {self.origins[key]}" if self.has(key) else f"default of {key} in GPT-NeoX" for key in keys
        )


def merge(documents: Sequence[Document]) -> Config:
    """Several files as GPT-NeoX merges them: `-` is `_`, and a key of an earlier file may not return.

    Its check looks for the key as written: one that returns with `-` where the first stood with `_` is not seen, and
    the later value wins (arguments.py, from_ymls); planner does the same and says so.

    Raises
    ------
    PlannerError
        For a key that GPT-NeoX refuses as a duplicate.
    """
    config = Config()
    names: set[str] = set()
    for document in documents:
        config.remarks += [
            f"{repair}; it was read as if it were there, GPT-NeoX itself stops" for repair in document.repairs
        ]
        if document.name in names:
            config.remarks.append(f"GPT-NeoX refuses two files of one name ({document.name})")
        names.add(document.name)
        for key, value in document.values.items():
            if key in config.values:
                if key in config.origins and config.origins[key].startswith(f"{document.name}:"):
                    config.remarks.append(f"{key} stands twice in {document.name}; the later value wins")
                else:
                    raise PlannerError(
                        f"Conf file {document.name} has the following duplicate keys with previously loaded file: "
                        f"{shown(key)} (also in {config.origins.get(key, 'an earlier file')}); leave one out."
                    )
            name = key.replace("-", "_")
            if name in config.values and name != key:
                config.remarks.append(
                    f"{shown(key)} ({document.where(key)}) replaces {name} ({config.origins.get(name)}), as in GPT-NeoX"
                )
            config.values[name] = value
            config.origins[name] = document.where(key)
    return config


def import_neox(
    paths: Sequence[Path],
    *,
    gpus: int | None = None,
    vocab: int | None = None,
    samples: int | None = None,
    tokens: int | None = None,
) -> Imported:
    """A scenario from one or more GPT-NeoX config files, merged in order.

    Parameters
    ----------
    paths : the files, as given to deepy.py
    gpus : the world size, which configs seldom state
    vocab : entries of the tokenizer, where its name does not say
    samples, tokens : of one epoch of the data, where the config's own index is not at hand

    Raises
    ------
    PlannerError
        Where GPT-NeoX itself would stop, in its terms, or where something needed is in none of the files.
    """
    documents = [read_yaml(path) for path in paths]
    config = merge(documents)
    model, origins = neox_model(config, documents[0].path.stem if documents else "imported", vocab)
    taken = [Taken("name", " + ".join(d.name for d in documents), "")]
    taken += model_taken(model, origins, "GPT-NeoX's own")
    world, batch = neox_layout_batch(config, gpus)
    taken += _data(config, batch, samples, tokens)
    taken += _training(config, batch)
    taken += _layout(config, world, batch)
    _say_own_length(config, batch, samples)
    unused = tuple(sorted(key for key in config.values if key not in config.used))
    return Imported(
        tool="gpt-neox",
        files=tuple(d.name for d in documents),
        model=model,
        taken=tuple(taken),
        unused=unused,
        remarks=tuple(dict.fromkeys(config.remarks)),
        extras={"world": world, "batch": batch},
    )


def neox_model(config: Config, name: str, vocab: int | None = None) -> tuple[ModelSpec, dict[str, str]]:
    """The model of a merged config, and the origin of each of its fields."""
    layers, hidden, heads = (config.integer(key, least=1) for key in MODEL_KEYS)
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
    _check_attention(config, layers)
    activation = config.text("activation", "gelu")
    gated = activation in GATED
    ffn = feed_forward(config, hidden, gated)
    moe = _moe(config, hidden)
    rows, vocab_origin, multiple = _vocabulary(config, vocab, mp)
    positions = config.optional("max_position_embeddings", least=1)
    spec = ModelSpec(
        name=name,
        layers=layers,
        hidden=hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=hidden // heads,
        ffn=ffn,
        vocab=rows,
        gated_mlp=gated and moe is None,
        tied_embeddings=not config.flag("no_weight_tying", False),
        parallel_residual=config.flag("gpt_j_residual", False),
        norm=_norm(config),
        qk_norm=config.flag("use_qk_layernorm", False),
        attention_bias=config.flag("use_bias_in_attn_linear", True),
        attention_output_bias=config.flag("use_bias_in_attn_linear", True),
        mlp_bias=config.flag("use_bias_in_mlp", True) and (moe is None or moe.every > 1),
        learned_positions=(positions or 0) if config.text("pos_emb", "learned") == "learned" else 0,
        vocab_multiple=multiple,
        max_seq_length=positions,
        sliding_window=config.optional("sliding_window_width", least=1),
        moe=moe,
    )
    origins = {
        "name": "the first file's name",
        "layers": config.origin("num_layers"),
        "hidden": config.origin("hidden_size"),
        "heads": config.origin("num_attention_heads"),
        "kv_heads": config.origin("num_kv_heads") if config.has("num_kv_heads") else "as many as num_attention_heads",
        "head_dim": "hidden_size / num_attention_heads",
        "ffn": _ffn_origin(config, gated),
        "vocab": vocab_origin,
        "vocab_multiple": config.origin("make_vocab_size_divisible_by"),
        "gated_mlp": config.origin("activation"),
        "tied_embeddings": config.origin("no_weight_tying"),
        "parallel_residual": config.origin("gpt_j_residual"),
        "norm": config.origin("norm"),
        "attention_bias": config.origin("use_bias_in_attn_linear"),
        "attention_output_bias": config.origin("use_bias_in_attn_linear"),
        "mlp_bias": config.origin("use_bias_in_mlp"),
    }
    for spec_field, key in (
        ("max_seq_length", "max_position_embeddings"),
        ("sliding_window", "sliding_window_width"),
        ("learned_positions", "max_position_embeddings"),
        ("qk_norm", "use_qk_layernorm"),
    ):
        if getattr(spec, spec_field):
            origins[spec_field] = config.origin(key)
    if moe is not None:
        origins["moe"] = config.origin("moe_num_experts")
    return spec, origins


def feed_forward(config: Config, hidden: int, gated: bool) -> int:
    """Width of the MLP as ParallelMLP builds it (megatron/model/transformer.py).

    With a gated activation two thirds of the stated width are shared by gate and input, so that each is a third.
    """
    stated = config.optional("intermediate_size", least=1)
    factor = config.raw("expansion_factor")
    if stated and factor:
        raise PlannerError(
            "Must pass either the absolute intermediate size or the relative expansion factor, not both."
        )
    if factor is not None and not isinstance(factor, int | float):
        raise PlannerError(f"{config.what('expansion_factor')} is {shown(factor)!r}, where a number is needed.")
    width = stated or (whole(int(factor * hidden), "expansion_factor x hidden_size") if factor else 4 * hidden)
    multiple = config.integer("mlp_multiple_of", 1, least=1)
    inner = width
    if gated:
        width = int(width * 2 / 3)
        inner = width // 2
    width = 2 * multiple * -(-width // (2 * multiple))
    inner = multiple * -(-inner // multiple)
    if (width // 2 if gated else width) != inner:
        config.remarks.append(
            f"linear1 gives {width // 2 if gated else width} columns and linear2 takes {inner}: GPT-NeoX stops at the "
            "first step; set intermediate_size (three times the wanted width when gated) and mlp_multiple_of to agree"
        )
    return inner


def _ffn_origin(config: Config, gated: bool) -> str:
    key = "expansion_factor" if config.has("expansion_factor") else "intermediate_size"
    width = config.origin(key) if config.has(key) else "4 x hidden_size, GPT-NeoX's default"
    return f"a third of {width}: a gated MLP shares two thirds" if gated else width


def _norm(config: Config) -> str:
    named = config.text("norm", "layernorm")
    norm = NORMS.get(named)
    if norm is None:
        config.remarks.append(f"norm {shown(named)} is counted as rmsnorm (its weights are no more than that)")
        norm = "rmsnorm"
    return "layernorm_nobias" if norm == "layernorm" and not config.flag("use_bias_in_norms", True) else norm


def _moe(config: Config, hidden: int) -> MoESpec | None:
    """Routed experts: not gated, no bias, 4h wide unless stated, in layers 0, n, 2n, … (megatron/model/moe_mlp.py)."""
    experts = config.integer("moe_num_experts", 1)
    every = config.integer("moe_expert_interval", 1, least=1)
    top_k = config.integer("moe_top_k", 1, least=1)
    if experts <= 1:
        return None
    if int(_zero_stage(config)) >= 2:
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


def _check_attention(config: Config, layers: int) -> None:
    stated = config.raw("attention_config")
    if not isinstance(stated, list):
        return
    length, kinds = 0, set()
    for item in stated[:10_000]:
        if isinstance(item, list) and len(item) == 2 and isinstance(item[0], list):
            names = [str(n) for n in item[0][:100]]
            kinds.update(names)
            repeats = item[1]
            count = layers if repeats == "all" else whole(repeats, config.what("attention_config"), 0)
            length += len(names) * count if repeats != "all" else layers
        else:
            kinds.add(str(item))
            length += 1
    if length != layers:
        raise PlannerError(f"Length of attention config list must equal num_layers: {length} != {layers}.")
    other = sorted(kinds & {"mamba", "rwkv", "gmlp", "amlp"})
    if other:
        raise PlannerError(f"attention_config has {', '.join(other)} layers, and planner plans transformers only.")
    odd = sorted(kinds - {"global", "flash", "local"})
    if odd:
        config.remarks.append(f"attention of the kind {', '.join(shown(k) for k in odd)} is priced as full attention")


def _zero_stage(config: Config) -> int:
    stage = config.section("zero_optimization").get("stage", 0)
    return whole(stage, f"stage of {config.what('zero_optimization')}", 0, 3)


def world_size(config: Config, gpus: int | None) -> int | None:
    """GPUs: the caller's word, global_num_gpus, or num_gpus x num_nodes; None if the files do not say."""
    for key in ("global_num_gpus", "num_gpus", "num_nodes"):
        config.used.add(key)
    if gpus is not None:
        return whole(gpus, "--gpus")
    if config.has("global_num_gpus"):
        return config.integer("global_num_gpus", least=1)
    nodes = config.values.get("num_nodes")
    if config.has("num_gpus") and isinstance(nodes, int) and nodes > 0:
        return config.integer("num_gpus", least=1) * nodes
    return None


def neox_layout_batch(config: Config, gpus: int | None) -> tuple[int | None, Batch | None]:
    """World size and batch, solved as GPT-NeoX does; either is None where the files leave it open.

    Raises
    ------
    PlannerError
        Where the batch keys cannot agree on any number of GPUs, or not on the given one.
    """
    pp, mp = config.integer("pipe_parallel_size", 0), config.integer("model_parallel_size", 1)
    train, micro = config.optional("train_batch_size"), config.optional("train_micro_batch_size_per_gpu")
    key = "gradient_accumulation_steps"
    gas = None if key in config.values and config.values[key] is None else config.integer(key, 1)
    world = world_size(config, gpus)
    if world is not None:
        return world, solve_batch(world, pp, mp, train, micro, gas)
    if train is None and micro is None:
        config.remarks.append("Either train_batch_size or train_micro_batch_size_per_gpu needs to be provided")
        return None, None
    if train is not None and micro is not None and gas is not None:
        world = smallest_world(pp, mp, train, micro, gas)
        if world is None:
            stated = "" if config.has(key) else f" (its default is {DEFAULT_GRADIENT_ACCUMULATION})"
            raise PlannerError(
                "train_batch_size is not equal to micro_batch_per_gpu * gradient_acc_step * world_size "
                f"for any world size: {train} is no multiple of {micro} * {gas}{stated}."
            )
        config.remarks.append(f"the batch keys agree on {world} GPUs only; no file says how many there are")
        return world, solve_batch(world, pp, mp, train, micro, gas)
    config.remarks.append(
        "no file says how many GPUs train this (global_num_gpus, or num_gpus and num_nodes): add --gpus N"
    )
    return None, None


def _data(config: Config, batch: Batch | None, samples: int | None, tokens: int | None) -> list[Taken]:
    seq = config.optional("seq_length", least=1) or config.integer("max_position_embeddings", least=1)
    limit = config.optional("max_position_embeddings", least=1)
    if limit is not None and limit < seq:
        raise PlannerError(f"max_position_embeddings must be bigger or equal seq_length: {limit} < {seq}.")
    length = Taken(
        "data.seq_length", seq, config.origin("seq_length" if config.has("seq_length") else "max_position_embeddings")
    )
    if samples is not None:
        return [Taken("data.samples", whole(samples, "--samples"), "--samples"), length]
    if tokens is not None:
        return [Taken("data.tokens", whole(tokens, "--tokens"), "--tokens"), length]
    iterations = config.optional("train_iters")
    found = _indices(config, length)
    if found is not None:
        return found
    if iterations and batch is not None:
        config.remarks.append(
            "the data set's index is not at hand: samples are those that train_iters x train_batch_size reads, "
            "which is what the run needs; give --samples or --tokens of one epoch for its epochs"
        )
        return [
            Taken(
                "data.samples",
                iterations * batch.train_batch_size,
                "train_iters x train_batch_size: what the run reads",
            ),
            length,
        ]
    return [length]


def _indices(config: Config, length: Taken) -> list[Taken] | None:
    """The indices that the config names: data_path with its split, or train_data_paths, whose documents all train."""
    paths, weights = config.raw("train_data_paths"), config.raw("train_data_weights")
    split = str(config.raw("split", "969, 30, 1"))
    if config.has("data_path"):
        return indexed_data([config.raw("data_path")], (), split, length, config.origin("data_path"))
    if not isinstance(paths, list):
        return None
    shares = weights if isinstance(weights, list) else ()
    return indexed_data(paths, shares, "", length, config.origin("train_data_paths"))


def _training(config: Config, batch: Batch | None) -> list[Taken]:
    rows = [_duration(config)]
    if batch is not None:
        product = f"{batch.micro_batch} x {batch.gradient_accumulation_steps} x dp {batch.data_parallel}"
        origin = config.origin("train_batch_size") if config.has("train_batch_size") else product
        rows.append(Taken("training.global_batch", batch.train_batch_size, origin))
    rows += [
        Taken("training.precision", *_precision(config)),
        Taken("training.framework", "gpt-neox", "the tool these files are for"),
    ]
    interval, evaluations = config.integer("eval_interval", 1000), config.integer("eval_iters", 100)
    if interval and evaluations:
        rows.append(Taken("training.evaluation.interval", interval, config.origin("eval_interval")))
        rows.append(Taken("training.evaluation.iterations", evaluations, config.origin("eval_iters")))
    return [row for row in rows if row is not None]


def _duration(config: Config) -> Taken | None:
    iterations, epochs = config.optional("train_iters"), config.optional("train_epochs")
    if iterations and epochs:
        raise PlannerError("Cannot specify both train epochs and train iters simultaneously.")
    if epochs:
        _check_epochs(config)
        return Taken("training.epochs", epochs, config.origin("train_epochs"))
    if iterations:
        return Taken("training.iterations", iterations, config.origin("train_iters"))
    config.remarks.append("Must specify either train_epochs or train_iters")
    return None


def _say_own_length(config: Config, batch: Batch | None, samples: int | None) -> None:
    """A remark where GPT-NeoX's own number of iterations is not that of the epochs asked for."""
    epochs = config.optional("train_epochs")
    if not epochs or batch is None or samples is None:
        return
    own, covering = train_iterations(samples, epochs, batch), -(-samples * epochs // batch.train_batch_size)
    if own != covering:
        config.remarks.append(
            f"train_epochs {epochs} makes GPT-NeoX train {own:,} iterations (whole micro-batches of an epoch only); "
            f"{covering:,} cover the samples, and that is what planner plans"
        )


def _check_epochs(config: Config) -> None:
    """What GPT-NeoX refuses together with train_epochs (data_utils.py, validate_train_epochs)."""
    packing = config.text("pack_impl", "packed")
    if packing != "packed":
        raise PlannerError("Packing implementations other than 'packed' are currently unsupported with train_epochs.")
    if config.flag("weight_by_num_documents", False):
        raise PlannerError("Weighting by number of documents is currently unsupported with train_epochs.")
    weights = config.raw("train_data_weights")
    if isinstance(weights, list) and any(weight != 1.0 for weight in weights):
        raise PlannerError("train_data_weights != None is currently unsupported with train_epochs.")
    if config.text("dataset_impl", "gpt2") != "gpt2":
        raise PlannerError("non gpt2 datasets are currently unsupported with train_epochs.")


def _precision(config: Config) -> tuple[str, str]:
    stated = config.text("precision", "") if config.has("precision") else ""
    for key, name in (("fp16", "fp16"), ("bf16", "bfloat16")):
        section = config.section(key)
        if section and truth(section.get("enabled", False), f"enabled of {config.what(key)}"):
            if stated and stated != name:
                raise PlannerError(
                    f"DeepSpeed {key} field was set but precision conflicts: precision is {shown(stated)}."
                )
            return ("fp16" if key == "fp16" else "bf16"), config.origin(key)
    if stated in ("fp16", "bfloat16"):
        return ("fp16" if stated == "fp16" else "bf16"), config.origin("precision")
    config.remarks.append("GPT-NeoX would train this in fp32, which planner does not price: bf16 is written instead")
    return "bf16", "assumed; the files say fp32 or nothing"


def _layout(config: Config, world: int | None, batch: Batch | None) -> list[Taken]:
    mp, pp = max(1, config.integer("model_parallel_size", 1)), max(1, config.integer("pipe_parallel_size", 0))
    rows = [
        Taken("layout.tp", mp, config.origin("model_parallel_size")),
        Taken("layout.pp", pp, config.origin("pipe_parallel_size")),
    ]
    if batch is not None:
        rows.append(Taken("layout.dp", batch.data_parallel, f"{world} GPUs / (pp {pp} x mp {mp})"))
        rows.append(Taken("layout.micro_batch", batch.micro_batch, config.origin("train_micro_batch_size_per_gpu")))
    elif config.has("train_micro_batch_size_per_gpu"):
        micro = config.integer("train_micro_batch_size_per_gpu", least=1)
        rows.append(Taken("layout.micro_batch", micro, config.origin("train_micro_batch_size_per_gpu")))
    rows.append(Taken("layout.zero_stage", _zero_stage(config), config.origin("zero_optimization")))
    recompute = "full" if config.flag("checkpoint_activations", False) else "none"
    every = config.integer("checkpoint_num_layers", 1, least=1)
    if recompute == "full" and every > 1:
        config.remarks.append(f"checkpoint_num_layers {every}: recomputation is priced as of every layer")
    rows.append(Taken("layout.recompute", recompute, config.origin("checkpoint_activations")))
    sequence_parallel = config.flag("sequence_parallel", False)
    rows.append(Taken("layout.sequence_parallel", sequence_parallel, config.origin("sequence_parallel")))
    return rows
