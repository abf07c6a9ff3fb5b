"""Megatron-Bridge's YAML into a scenario: overrides of a recipe, or the run_config.yaml beside a checkpoint.

Its fields are told as the arguments of Megatron-LM that they stand for, and read as those are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from planner.interop.files import read_yaml, shown
from planner.interop.imported import Imported, Stated
from planner.interop.megatron import imported_arguments
from planner.interop.megatron_arguments import DECIDING, Arguments, option_kinds
from planner.interop.megatron_bridge_fields import HOME, RENAMED, SWITCHED_OFF
from planner.units import PlannerError
from planner.words import say

#: Arguments by the field that stands for them where it has another name, and by the field whose False they are.
NAMED = {
    **{paths[0]: option for option, paths in RENAMED.items()},
    "dataset.data_path": "data-path",
    "dataset.split": "split",
    "dataset.seq_length": "seq-length",
    "train.rampup_batch_size": "rampup-batch-size",
}
OFF = {paths[0]: option for option, paths in SWITCHED_OFF.items()}
PATHS = {
    **{option: f"{section}.{option.replace('-', '_')}" for option, section in HOME.items()},
    **{option: path for path, option in {**NAMED, **OFF}.items()},
    "swiglu": "model.gated_linear_unit",
}
#: Recipes of mixed precision by name (training/mixed_precision.py), and what they set.
PRECISIONS = (
    ("mxfp8", {"fp8-format": ["e4m3"], "fp8-recipe": ["mxfp8"]}),
    ("current_scaling", {"fp8-format": ["hybrid"], "fp8-recipe": ["tensorwise"]}),
    ("fp8", {"fp8-format": ["hybrid"], "fp8-recipe": ["delayed"]}),
    ("nvfp4", {"fp4-format": ["e2m1"]}),
)
DTYPES = {"torch.bfloat16": "bf16", "torch.float32": "fp32", "torch.float16": "fp16"}


@dataclass
class BridgeFields(Arguments):
    """Arguments that say where in the YAML they stand."""

    paths: Mapping[str, str] = field(default_factory=lambda: PATHS)

    def number(self, name: str, default: int | None = None, least: int = 1) -> int:
        if default is None and not self.values.get(name):
            raise PlannerError(say("megatron_bridge.no_field", file=self.name, field=self.paths.get(name, name)))
        return super().number(name, default, least)

    def origin(self, *names: str) -> str:
        def said(name: str) -> str:
            path = self.paths.get(name, name)
            return f"{path}, {self.name}" if name in self.values else f"default of {path} in Megatron-Bridge"

        return ", ".join(map(said, names))


def import_megatron_bridge(path: Path, stated: Stated) -> Imported:
    """A scenario from a configuration of Megatron-Bridge. Parameters and errors: those of `import_megatron`."""
    document = read_yaml(path).values
    sections = {str(name): part for name, part in document.items() if isinstance(part, Mapping)}
    read = BridgeFields(path.name)
    _precision(read, document.get("mixed_precision"))
    for section, part in sections.items():
        for name, value in part.items():
            _take(read, f"{section}.{name}", value)
    model = sections.get("model", {})
    _activation(read, model)
    if (
        str(model.get("position_embedding_type", "learned_absolute")) == "learned_absolute"
        and "seq-length" in read.values
    ):
        read.values["max-position-embeddings"] = read.values["seq-length"]  # the provider's table is as long
    if "num-query-groups" in read.values:
        read.values["group-query-attention"] = []
    found = imported_arguments(read, path, stated, option_kinds("Megatron-Bridge", ""))
    return replace(found, tool="megatron-bridge")


def _take(read: BridgeFields, path: str, value: Any) -> None:
    section, _, name = path.partition(".")
    option = name.replace("_", "-")
    if path in OFF:
        if value is False:
            read.values[OFF[path]] = []
        return
    decides = section == "model" and option in DECIDING
    option = NAMED.get(path) or (option if HOME.get(option) == section or decides else "")
    if not option or value is None or value is False or isinstance(value, Mapping):
        return
    if option == "seq-length" and section == "model" and "seq-length" in read.values:
        return  # the data set's is the one that counts
    read.values[option] = _words(option, value)


def _words(option: str, value: Any) -> list[str]:
    """The words behind an argument; none behind a flag."""
    if value is True:
        return []
    if isinstance(value, list):
        listed = [str(part) for part in value]
        if option == "moe-layer-freq":
            return [f"([{','.join(listed)}])"]
        return [",".join(listed)] if option == "window-size" else listed
    text = str(value)
    if option == "data-path":
        return text.split()
    if option == "attention-backend":
        text = text.rpartition(".")[2]
    return [DTYPES.get(text, text)]


def _precision(read: BridgeFields, stated: Any) -> None:
    """A recipe of mixed precision that is called by its name."""
    if not isinstance(stated, str):
        return
    read.values["fp16" if "fp16" in stated else "bf16"] = []
    read.values |= next((values for sign, values in PRECISIONS if sign in stated), {})


def _activation(read: BridgeFields, model: Mapping[str, Any]) -> None:
    stated = model.get("activation_func")
    name = str(stated.get("_target_", "")) if isinstance(stated, Mapping) else str(stated or "gelu")
    kind = name.rpartition(".")[2]
    gated = model.get("gated_linear_unit") is True
    if kind not in ("silu", "gelu") or gated != (kind == "silu"):
        code = "megatron_bridge.gated_activation" if gated else "megatron_bridge.activation"
        raise PlannerError(say(code, file=read.name, kind=shown(kind)))
    if gated:
        read.values["swiglu"] = []
    if model.get("bias_activation_fusion") is False:
        read.values["no-bias-swiglu-fusion" if gated else "no-bias-gelu-fusion"] = []
