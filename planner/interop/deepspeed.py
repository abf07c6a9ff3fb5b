"""DeepSpeed's JSON and Accelerate's YAML into a scenario, beside the model's config.json.

Keys are those of deepspeedai/DeepSpeed edaa722 and huggingface/accelerate 16cb6eb. "auto" is what the Trainer fills in
from its arguments, which none of these files holds: the scenario leaves it open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from planner.interop.files import Document, config_text, read_json, read_yaml, shown, whole
from planner.interop.huggingface import import_huggingface
from planner.interop.imported import Imported, Taken
from planner.interop.kinds import Kinds, sort_keys, table_of_keys
from planner.units import PlannerError

AUTO = "auto"
_TABLE = table_of_keys("deepspeed")
SECTIONS = ("zero_optimization", "deepspeed_config", "fsdp_config", "optimizer", "parallelism_config")
OPTIMIZERS = {"adam": "adamw", "adamw": "adamw", "lion": "lion", "muon": "muon"}


@dataclass
class _Found:
    """What the files say, and which of their keys were asked for."""

    documents: Sequence[Document]
    taken: list[Taken] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    def get(self, *paths: str) -> tuple[Any, str]:
        """The first value that is stated and not "auto", and where it stands."""
        for path in paths:
            self.used.add(path)
            for document in self.documents:
                value = _at(document.values, path)
                if value not in (None, AUTO, "none"):
                    return value, f"{path}, {document.name}"
        return None, ""

    def number(self, key: str, *paths: str, least: int = 1) -> int | None:
        value, origin = self.get(*paths)
        if value is None:
            return None
        number = whole(value, origin, least)
        if key:
            self.taken.append(Taken(key, number, origin))
        return number


def import_deepspeed(model: Path | None, configs: Sequence[Path], *, gpus: int | None = None) -> Imported:
    """A scenario from a model's config.json with DeepSpeed's JSON, Accelerate's YAML, or both.

    Raises
    ------
    PlannerError
        If there is no config.json among the files, or they contradict each other in DeepSpeed's own terms.
    """
    if model is None:
        names = " and ".join(shown(path.name, 80) for path in configs)
        kinds = " and ".join(
            "a config of DeepSpeed" if config_text(path).lstrip().startswith("{") else "a file of Accelerate"
            for path in configs
        )
        raise PlannerError(
            f"{names} {'are' if len(configs) > 1 else 'is'} {kinds}, which holds no model: name the model's "
            "config.json, too, or the GPT-NeoX config that it belongs to."
        )
    base = import_huggingface(model)
    found = _Found([read_yaml(path) if path.suffix in (".yaml", ".yml") else read_json(path) for path in configs])
    _framework(found)
    world = _world(found, gpus)
    _batch(found, world)
    _layout(found)
    given = {key: document.name for document in found.documents for key in _keys(document.values)}
    kept = {key: what for key, what in _TABLE["deciding"].items() if _decides(found, key)}
    irrelevant: frozenset[str] = _TABLE["irrelevant"]
    quiet = {key for key in given if key.startswith("zero_optimization.") or key.partition(".")[0] in irrelevant}
    sorts = Kinds("DeepSpeed or Accelerate", irrelevant | quiet - kept.keys(), kept)
    said = sort_keys(given, found.used - kept.keys(), sorts)
    return replace(
        base,
        tool="deepspeed",
        files=(*base.files, *(document.name for document in found.documents)),
        taken=(*base.taken, *found.taken),
        unused=(*base.unused, *said.unused),
        remarks=(*base.remarks, *found.remarks),
        warnings=(*base.warnings, *said.warnings),
    )


def _framework(found: _Found) -> None:
    kind, origin = found.get("distributed_type")
    name = "fsdp" if kind == "FSDP" else "deepspeed"
    if kind not in (None, "FSDP", "DEEPSPEED", "MULTI_GPU"):
        raise PlannerError(f"distributed_type {shown(kind)} is not planned: planner reads DEEPSPEED and FSDP.")
    found.taken.append(Taken("training.framework", name, origin or "a DeepSpeed configuration"))
    fp16, where = found.get("fp16.enabled")
    mixed, stated = found.get("mixed_precision")
    found.used |= {"bf16.enabled", "bfloat16.enabled", "fp16", "bf16"}
    if fp16 is True or mixed == "fp16":
        found.taken.append(Taken("training.precision", "fp16", where or stated))
    else:
        found.taken.append(Taken("training.precision", "bf16", found.get("bf16.enabled")[1] or stated or "not stated"))
    optimizer, place = found.get("optimizer.type")
    found.used |= {"optimizer.params"}
    if optimizer is not None:
        known = OPTIMIZERS.get(str(optimizer).lower())
        if known is None:
            raise PlannerError(
                f"{place}: optimizer {shown(optimizer)} is none that planner counts ({', '.join(OPTIMIZERS)})."
            )
        found.taken.append(Taken("training.optimizer", known, place))
    device, at = found.get("zero_optimization.offload_optimizer.device", "deepspeed_config.offload_optimizer_device")
    if device is not None:
        found.taken.append(Taken("training.offload", "optimizer", at))


def _world(found: _Found, gpus: int | None) -> int | None:
    stated, origin = found.get("num_processes")
    world = gpus if gpus is not None else None if stated is None else whole(stated, origin)
    if world is None:
        found.remarks.append("how many GPUs train this no file says: add --gpus N")
        return None
    found.taken.append(Taken("layout.dp", world, "--gpus" if gpus is not None else origin))
    return world


def _batch(found: _Found, world: int | None) -> None:
    micro = found.number("layout.micro_batch", "train_micro_batch_size_per_gpu")
    pieces = found.number("", "gradient_accumulation_steps", "deepspeed_config.gradient_accumulation_steps")
    total, origin = found.get("train_batch_size")
    if total is not None:
        batch = whole(total, origin)
        if micro and pieces and world and batch != micro * pieces * world:
            raise PlannerError(
                "Check batch related parameters. train_batch_size is not equal to micro_batch_per_gpu * "
                f"gradient_acc_step * world_size {batch} != {micro} * {pieces} * {world}."
            )
        found.taken.append(Taken("training.global_batch", batch, origin))
    elif micro and pieces and world:
        product = "micro-batch x gradient accumulation x GPUs"
        found.taken.append(Taken("training.global_batch", micro * pieces * world, product))


def _layout(found: _Found) -> None:
    stage, origin = found.get("zero_optimization.stage", "deepspeed_config.zero_stage")
    fsdp, where = found.get("fsdp_config.fsdp_reshard_after_forward", "fsdp_config.fsdp_sharding_strategy")
    if stage is not None:
        found.taken.append(Taken("layout.zero_stage", whole(stage, origin, 0, 3), origin))
    elif fsdp is not None:
        kept = str(fsdp).upper() in ("FALSE", "SHARD_GRAD_OP", "2")
        found.taken.append(Taken("layout.zero_stage", 2 if kept else 3, where))
    replicas, _ = found.get("parallelism_config.parallelism_config_dp_replicate_size")
    group, stated = found.get("parallelism_config.parallelism_config_dp_shard_size")
    if replicas not in (None, 1) and group is not None:
        found.taken.append(Taken("layout.shard_group", whole(group, stated), stated))
    again, place = found.get("fsdp_config.fsdp_activation_checkpointing")
    if again is not None:
        found.taken.append(Taken("layout.recompute", "full" if again is True else "none", place))
    found.used |= {f"fsdp_config.{key}" for key in _TABLE["fsdp"]}
    overlap, at = found.get("zero_optimization.overlap_comm")
    if isinstance(overlap, bool):
        found.taken.append(Taken("training.comm_overlap", overlap, at))


def _decides(found: _Found, key: str) -> bool:
    value, _ = found.get(key)
    if isinstance(value, Mapping):
        inner = value.get("device", True)
        return bool(value) and inner not in ("none", None)
    return value not in (None, 1, -1, False, "")


def _at(values: Mapping[str, Any], path: str) -> Any:
    node: Any = values
    for part in path.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _keys(values: Mapping[str, Any]) -> list[str]:
    """Top-level keys, and those below the sections that are read key by key."""
    keys: list[str] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and key in SECTIONS:
            keys += [f"{key}.{inner}" for inner in value]
        else:
            keys.append(str(key))
    return keys
