"""DeepSpeed's JSON and Accelerate's YAML into a scenario, beside the model's config.json.

Keys are those of deepspeedai/DeepSpeed edaa722 and huggingface/accelerate 16cb6eb. "auto" is what the Trainer fills in
from its arguments, which none of these files holds: the scenario leaves it open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.interop.accelerate_assumptions import ACCELERATE, F, P, stage_of
from planner.interop.assumptions import fields_of
from planner.interop.deepspeed_assumptions import CLUSTER, DEEPSPEED, Z
from planner.interop.fields import Field
from planner.interop.files import Document, config_text, read_json, read_yaml, shown
from planner.interop.huggingface import import_huggingface
from planner.interop.imported import Imported, Taken
from planner.interop.key_kinds import Kinds, sort_keys, table_of_keys
from planner.interop.values import Values, flat
from planner.units import PlannerError
from planner.words import say

OPEN = (None, "auto", "none")  # values that leave a key open
_TABLE = table_of_keys("deepspeed")
SECTIONS = ("zero_optimization", "deepspeed_config", "fsdp_config", "optimizer", "parallelism_config")
#: All that is read, what exports write first; of several keys that mean the same, the first that is stated counts.
TABLE = (
    *CLUSTER,
    *(row for row in fields_of(DEEPSPEED) if not row.key.startswith("--")),
    Field("deepspeed_config.gradient_accumulation_steps", "layout.grad_accum", None),
    Field("deepspeed_config.zero_stage", "layout.zero_stage", None, least=0, most=3),
    *(row for row in fields_of(ACCELERATE) if not row.key.startswith("--")),
    Field(f"{F}sharding_strategy", "layout.zero_stage", None, read=stage_of),
    Field(f"{Z}offload_optimizer.device", "training.offload", None, read=lambda *_: "optimizer"),
    Field("deepspeed_config.offload_optimizer_device", "training.offload", None, read=lambda *_: "optimizer"),
)
#: Read, or known to decide nothing beside what is.
_SEEN = {
    *(row.key for row in TABLE if row.means),
    *(f"fsdp_config.{key}" for key in _TABLE["fsdp"]),
    *("fp16", "bf16", "bfloat16.enabled", "optimizer.params", f"{P}dp_replicate_size"),
}


class _Files(Values):
    """Several files as one: each key as the first file has it that does not leave it open."""

    def __init__(self, documents: Sequence[Document]) -> None:
        self.places: dict[str, str] = {}
        values: dict[str, Any] = {}
        for document in documents:
            stated = {k: v for k, v in flat(document.values, _TABLE["deciding"]).items() if v not in OPEN}
            self.places = {**dict.fromkeys(stated, document.name), **self.places}
            values = {**stated, **values}
        super().__init__("DeepSpeed or Accelerate", "", values, TABLE)

    def origin(self, key: str) -> str:
        return f"{key}, {self.places[key]}"

    called = origin


def import_deepspeed(model: Path | None, configs: Sequence[Path], *, gpus: int | None = None) -> Imported:
    """A scenario from a model's config.json with DeepSpeed's JSON, Accelerate's YAML, or both.

    Raises
    ------
    PlannerError
        If there is no config.json among the files, or they contradict each other in DeepSpeed's own terms.
    """
    if model is None:
        texts = [config_text(path).lstrip() for path in configs]
        kinds = [say("deepspeed.its_config" if text.startswith("{") else "deepspeed.accelerates") for text in texts]
        names = [shown(path.name, 80) for path in configs]
        raise PlannerError(say("deepspeed.no_model", names=names, files=len(names), kinds=kinds))
    base = import_huggingface(model)
    documents = [read_yaml(path) if path.suffix in (".yaml", ".yml") else read_json(path) for path in configs]
    found = _Files(documents)
    taken = [*_set_up(found), *_layout_and_batch(found, gpus)]
    given = {key: document.name for document in documents for key in _keys(document.values)}
    kept = {key: what for key, what in _TABLE["deciding"].items() if _decides(found.get(key))}
    irrelevant: frozenset[str] = _TABLE["irrelevant"]
    quiet = {key for key in given if key.startswith(Z) or key.partition(".")[0] in irrelevant}
    sorts = Kinds(found.tool, irrelevant | quiet - kept.keys(), kept)
    second = {row.key for row in TABLE if row.key.startswith("deepspeed_config.")}  # counts where the JSON is silent
    seen = found.used | (_SEEN - (second & found.values.keys()))
    said = sort_keys(given, seen - kept.keys(), sorts)
    return replace(
        base,
        tool="deepspeed",
        files=(*base.files, *(document.name for document in documents)),
        taken=(*base.taken, *taken),
        unused=(*base.unused, *said.unused),
        remarks=(*base.remarks, *found.remarks),
        warnings=(*base.warnings, *said.warnings),
    )


def _set_up(found: _Files) -> list[Taken]:
    kind = found.stated("training.framework")
    said = list(found.said("training.precision"))
    precision = next((taken for taken in said if taken.value == "fp16"), said[0] if said else None)
    return [
        *(kind or [Taken("training.framework", "deepspeed", "a DeepSpeed configuration")]),
        precision or Taken("training.precision", "bf16", "not stated"),
        *found.stated("training.optimizer", "training.offload"),
    ]


def _layout_and_batch(found: _Files, gpus: int | None) -> list[Taken]:
    ranks = [Taken("layout.dp", gpus, "--gpus")] if gpus is not None else found.stated("layout.dp")
    if not ranks:
        found.remarks.append(say("deepspeed.gpus"))
    micro, pieces, batch = (
        found.stated(key) for key in ("layout.micro_batch", "layout.grad_accum", "training.global_batch")
    )
    if micro and pieces and ranks:
        factors = {"micro": micro[0].value, "pieces": pieces[0].value, "gpus": ranks[0].value}
        product = factors["micro"] * factors["pieces"] * factors["gpus"]
        if batch and batch[0].value != product:
            raise PlannerError(say("deepspeed.batch", batch=batch[0].value, **factors))
        batch = batch or [Taken("training.global_batch", product, "micro-batch x gradient accumulation x GPUs")]
    groups = found.values.get(f"{P}dp_replicate_size", 1) != 1
    return [
        *ranks,
        *micro,
        *batch,
        *found.stated("layout.zero_stage", *(["layout.shard_group"] if groups else []), "layout.recompute"),
        *found.stated("training.comm_overlap"),
    ]


def _decides(value: Any) -> bool:
    if isinstance(value, Mapping):
        inner = value.get("device", True)
        return bool(value) and inner not in ("none", None)
    return value not in (None, 1, -1, False, "")


def _keys(values: Mapping[str, Any]) -> list[str]:
    """Top-level keys, and those below the sections that are read key by key."""
    keys: list[str] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and key in SECTIONS:
            keys += [f"{key}.{inner}" for inner in value]
        else:
            keys.append(str(key))
    return keys
