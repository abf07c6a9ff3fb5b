"""nanotron's YAML into a scenario: model, layout, batch and length.

Keys and defaults are those of huggingface/nanotron 7bc9923 (2026-04-07), src/nanotron/config.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from planner.interop.files import read_yaml, shown, truth, whole
from planner.interop.imported import Imported, Taken, model_taken
from planner.interop.kinds import Kinds, sort_keys
from planner.spec.model import ModelSpec
from planner.units import PlannerError

#: Keys that decide something which planner does not read, at any value but these.
DECIDING = {
    "model.model_config.moe_config": ("the model", None),
    "model.model_config.sliding_window_size": ("the model", None),
    "model.model_config.no_rope_layer": ("the model", None),
    "parallelism.expert_parallel_size": ("the layout", 1),
    "parallelism.context_parallel_size": ("the layout", 1),
    "optimizer.accumulate_grad_in_fp32": ("what memory holds", True),
    "model.dtype": ("what memory holds", "bfloat16"),
}
M, P, T = "model.model_config.", "parallelism.", "tokens."


class _Yaml:
    """A YAML's values by dotted path, and which of them were asked for."""

    def __init__(self, path: Path) -> None:
        document = read_yaml(path)
        self.name = document.name
        self.values: dict[str, Any] = {}
        self.used: set[str] = set()
        nodes: list[tuple[str, Any]] = list(document.values.items())
        while nodes:
            key, value = nodes.pop()
            if isinstance(value, Mapping) and key != "model.model_config.moe_config":
                nodes += [(f"{key}.{inner}", part) for inner, part in value.items()]
            else:
                self.values[key] = value

    def number(self, key: str, default: int | None = None) -> int:
        self.used.add(key)
        value = self.values.get(key)
        if value is None and default is None:
            raise PlannerError(f"{self.name} has no {key}, which nanotron requires.")
        return whole(default if value is None else value, f"{key} ({self.name})")

    def get(self, key: str, default: Any) -> Any:
        self.used.add(key)
        return self.values.get(key, default)

    def origin(self, key: str) -> str:
        return f"{key}, {self.name}" if key in self.values else f"nanotron's default of {key}"


def import_nanotron(path: Path, *, samples: int | None = None, tokens: int | None = None) -> Imported:
    """A scenario from a YAML of nanotron.

    Parameters
    ----------
    samples, tokens : of one epoch of the data, which the YAML does not say

    Raises
    ------
    PlannerError
        For what is missing, contradictory, or a model class that planner does not read.
    """
    y = _Yaml(path)
    model, origins = _model(y, path.stem)
    layout = _layout(y)
    dp = y.number(f"{P}dp")
    micro, pieces = y.number(f"{T}micro_batch_size"), y.number(f"{T}batch_accumulation_per_replica")
    batch, steps = micro * pieces * dp, y.number(f"{T}train_steps")
    data = Taken("data.samples", steps * batch, "what the run reads")
    if samples is not None or tokens is not None:
        given = ("samples", samples) if samples is not None else ("tokens", tokens)
        data = Taken(f"data.{given[0]}", given[1], f"--{given[0]}")
    kept = {key: what for key, (what, rest) in DECIDING.items() if y.get(key, rest) != rest}
    y.used -= set(kept)
    taken = [
        Taken("name", shown(path.stem, 80), ""),
        *model_taken(model, origins, "every model of nanotron's"),
        data,
        Taken("data.seq_length", y.number(f"{T}sequence_length"), y.origin(f"{T}sequence_length")),
        Taken("training.iterations", steps, y.origin(f"{T}train_steps")),
        Taken("training.global_batch", batch, "micro_batch_size x batch_accumulation_per_replica x dp"),
        Taken("training.precision", "bf16", y.origin("model.dtype")),
        Taken("training.framework", "nanotron", "a YAML of nanotron"),
        *layout,
        Taken("layout.micro_batch", micro, y.origin(f"{T}micro_batch_size")),
    ]
    read = (*SECTIONS, "model.init_method", "model.ddp_bucket_cap_mb", "optimizer.", "tokens.", M)
    irrelevant = {key for key in y.values if key.startswith(read) and key not in kept}
    said = sort_keys(dict.fromkeys(y.values, y.name), y.used, Kinds("nanotron", irrelevant, kept))
    unsaid = "the YAML does not say how long the data is: samples are those that the run reads"
    remarks = () if samples is not None or tokens is not None else (unsaid,)
    return Imported("nanotron", (y.name,), model, tuple(taken), said.unused, remarks, warnings=said.warnings)


#: Sections of which nothing is planned.
SECTIONS = ("checkpoints", "data_stages", "general", "lighteval", "logging", "metrics_logging", "profiler", "s3_upload",
            "tokenizer", "experimental")  # fmt: skip


def _model(y: _Yaml, stem: str) -> tuple[ModelSpec, dict[str, str]]:
    if y.get(f"{M}is_starcoder2_config", False) or f"{M}hidden_size" not in y.values:
        raise PlannerError(f"{y.name}: planner reads nanotron's Llama and Qwen2 alone; write the shape inline instead.")
    y.used |= {f"{M}is_llama_config", f"{M}is_qwen2_config", f"{M}hidden_act"}
    hidden, heads = y.number(f"{M}hidden_size"), y.number(f"{M}num_attention_heads")
    if hidden % heads:
        raise PlannerError(f"{y.name}: {M}hidden_size {hidden} is not divisible by num_attention_heads {heads}.")
    keys = {"hidden": "hidden_size", "heads": "num_attention_heads", "kv_heads": "num_key_value_heads",
            "layers": "num_hidden_layers", "ffn": "intermediate_size", "vocab": "vocab_size",
            "tied_embeddings": "tie_word_embeddings", "attention_bias": "attention_bias"}  # fmt: skip
    origins = {field: y.origin(f"{M}{key}") for field, key in keys.items()} | {"name": "the file's name"}
    model = ModelSpec(
        name=shown(stem, 80),
        layers=y.number(f"{M}num_hidden_layers", 32),
        hidden=hidden,
        heads=heads,
        kv_heads=y.number(f"{M}num_key_value_heads", heads),
        head_dim=hidden // heads,
        ffn=y.number(f"{M}intermediate_size", 11008),
        vocab=y.number(f"{M}vocab_size", 32000),
        gated_mlp=True,
        norm="rmsnorm",
        tied_embeddings=truth(y.get(f"{M}tie_word_embeddings", False), f"{M}tie_word_embeddings ({y.name})"),
        attention_bias=truth(y.get(f"{M}attention_bias", False), f"{M}attention_bias ({y.name})"),
        vocab_multiple=y.number("model.make_vocab_size_divisible_by", 1),
    )
    if model.heads % model.kv_heads:
        raise PlannerError(
            f"{y.name}: num_attention_heads {heads} must be divisible by num_key_value_heads {model.kv_heads}."
        )
    return model, origins


def _layout(y: _Yaml) -> list[Taken]:
    tp, mode = y.number(f"{P}tp"), str(y.get(f"{P}tp_mode", "ALL_REDUCE")).upper()
    engine = str(y.get(f"{P}pp_engine", "afab"))
    again = truth(y.get(f"{P}recompute_layer", False), f"{P}recompute_layer ({y.name})")
    y.used |= {f"{P}tp_linear_async_communication", f"{P}tp_recompute_allgather"}
    stage = whole(y.get("optimizer.zero_stage", 0), f"optimizer.zero_stage ({y.name})", 0, 1)
    pp = y.number(f"{P}pp")
    if pp > 1 and engine != "1f1b":
        raise PlannerError(f"{y.name}: {P}pp_engine {shown(engine)} keeps all micro-batches; planner plans 1f1b alone.")
    return [
        Taken("layout.tp", tp, y.origin(f"{P}tp")),
        Taken("layout.pp", pp, y.origin(f"{P}pp")),
        Taken("layout.dp", y.number(f"{P}dp"), y.origin(f"{P}dp")),
        Taken("layout.zero_stage", stage, y.origin("optimizer.zero_stage")),
        Taken("layout.sequence_parallel", tp > 1 and mode == "REDUCE_SCATTER", y.origin(f"{P}tp_mode")),
        Taken("layout.recompute", "full" if again else "none", y.origin(f"{P}recompute_layer")),
    ]
