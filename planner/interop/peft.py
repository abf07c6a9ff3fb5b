"""Adapters in other programs' files: PEFT's adapter_config.json, and what Axolotl's YAML says of a fine-tuning run.

Keys are those of huggingface/peft 5d602fd (src/peft/tuners/lora/config.py) and axolotl-ai-cloud/axolotl 067b021.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.interop.fields import Field
from planner.interop.files import Document, read_json, read_yaml, shown, whole
from planner.interop.huggingface import ATTENTION, import_huggingface
from planner.interop.imported import Imported, Taken
from planner.interop.key_kinds import table_of_keys
from planner.interop.values import Values
from planner.spec.adapter import ALL_LINEAR, RANK, Adapter
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import say
from planner.workload.adapters import targets
from planner.workload.model_catalog import find_model

#: Keys of an adapter that planner does not count (`peft.KEY` says what they do); any value but these is refused.
_UNCOUNTED: Mapping[str, tuple[Any, ...]] = {
    "modules_to_save": (None, []),
    "use_dora": (None, False),
    "layers_to_transform": (None, []),
    "rank_pattern": (None, {}),
    "target_parameters": (None, []),
    "trainable_token_indices": (None, []),
    "bias": (None, "none"),
}
_OPTIMIZERS = {"adamw": "adamw", "lion": "lion", "muon": "muon", "adafactor": "adafactor"}
_AXOLOTL = table_of_keys("axolotl")
#: Axolotl's keys that each say something by themselves.
AXOLOTL = (
    Field("sequence_len", "data.seq_length", None),
    Field("micro_batch_size", "layout.micro_batch", None),
    Field("gradient_accumulation_steps", "layout.grad_accum", 1),
    Field("max_steps", "training.iterations", None, read=lambda n, called: None if n == -1 else whole(n, called)),
    Field("num_epochs", "training.epochs", None,
          read=lambda n, _: n if isinstance(n, int | float) and not isinstance(n, bool) and n > 0 else None),
    Field("gradient_checkpointing", "layout.recompute", False, read=lambda on, _: "full" if on else "none"),
    Field("fp16", "training.precision", False, read=lambda on, _: "fp16" if on is True else "bf16"),
    Field("attn_implementation", "training.flash_attention", None, read=lambda name, _: ATTENTION.get(str(name))),
    Field("flash_attention", "training.flash_attention", None, read=lambda on, _: 2 if on is True else None),
)  # fmt: skip


class _Run(Values):
    """A file of Axolotl's."""

    def called(self, key: str) -> str:
        return f"{key}, {self.name}"


def with_peft(base: Imported | None, path: Path, models: list[Path]) -> Imported:
    """A model's files with PEFT's adapter_config.json.

    Parameters
    ----------
    base : what the other files say; None: the model is the catalog's, by `base_model_name_or_path`
    models : config.json among them, whose quantization_config says whether weights are in 4 bits

    Raises
    ------
    PlannerError
        If the adapter is not LoRA's, has what planner does not count, or names a model or matrix that is not there.
    """
    document = read_json(path)
    kind = str(document.values.get("peft_type") or "")
    if kind.upper() != "LORA":
        raise PlannerError(say("peft.kind", file=document.name, kind=shown(kind)))
    _refuse_uncounted(document, {key: key for key in _UNCOUNTED})
    found = base or _of_catalog(document, "base_model_name_or_path")
    quantised = [read_json(model).values.get("quantization_config") for model in models]
    four = any(isinstance(stated, Mapping) and stated.get("load_in_4bit") is True for stated in quantised)
    place = document.name
    taken = [
        Taken("training.adapter.method", "qlora" if four else "lora",
              "quantization_config of config.json" if four else f"peft_type, {place}; weights in 16 bits"),
        Taken("training.adapter.r", whole(document.values.get("r", RANK), f"r, {place}"), f"r, {place}"),
    ]  # fmt: skip
    modules = document.values.get("target_modules")
    if modules is None:
        raise PlannerError(say("peft.no_modules", file=place))
    taken.append(Taken("training.adapter.target_modules", _modules(document, modules), f"target_modules, {place}"))
    _check(found.model, taken, place)
    known = ("peft_type", "r", "target_modules", "base_model_name_or_path", *_UNCOUNTED)
    unused = tuple(sorted(key for key in document.values if key not in known))
    return replace(
        found, tool="peft", files=(*found.files, place), taken=(*found.taken, *taken), unused=(*found.unused, *unused)
    )


def import_axolotl(model: Path | None, path: Path, *, gpus: int | None = None) -> Imported:
    """A fine-tuning run of Axolotl's; the model is a config.json's, or the catalog's by `base_model`.

    Raises
    ------
    PlannerError
        As `with_peft`; or if the run is laid out as planner does not plan it.
    """
    document = read_yaml(path)
    values, place = document.values, document.name
    _refuse_uncounted(document, _AXOLOTL["uncounted"])
    for key in _AXOLOTL["layout"]:
        if values.get(key) not in (None, 1):
            raise PlannerError(say("peft.layout", file=place, key=key, value=shown(str(values[key]))))
    base = import_huggingface(model) if model is not None else _of_catalog(document, "base_model")
    remarks: list[str] = []
    run = _Run("Axolotl", place, values, AXOLOTL)
    taken = [t for t in base.taken if t.key != "data.seq_length"] + run.stated("data.seq_length", "layout.micro_batch")
    taken += _length(run) + _batch(run, gpus, remarks) + _framework(values, place, remarks)
    adapter = _adapter(document, remarks)
    _check(base.model, adapter, place)
    taken += adapter + _optimizer(values, place, remarks, bool(adapter)) + _rest(run)
    rows = (row.key for row in AXOLOTL)
    known = {*rows, *_AXOLOTL["read"], *_AXOLOTL["layout"], *_AXOLOTL["uncounted"]}
    return replace(
        base,
        tool="axolotl",
        files=(*base.files, place),
        taken=tuple(taken),
        unused=(*base.unused, *sorted(str(key) for key in values if key not in known)),
        remarks=(*base.remarks, *remarks),
    )


def _of_catalog(document: Document, key: str) -> Imported:
    """The model of the catalog that a file names by its id of a hub."""
    stated = str(document.values.get(key) or "")
    try:
        spec = find_model(stated) if stated else None
    except PlannerError:
        spec = None
    if spec is None:
        if stated:
            raise PlannerError(say("peft.unknown_model", file=document.name, key=key, model=shown(stated)))
        raise PlannerError(say("peft.no_model", file=document.name, key=key))
    place = f"{key}, {document.name}"
    taken = (Taken("name", spec.name, ""), Taken("model", spec.name, place))
    return Imported("peft", (), spec, taken)


def _refuse_uncounted(document: Document, names: Mapping[str, str]) -> None:
    for name, key in names.items():
        if document.values.get(name) not in _UNCOUNTED[key]:
            raise PlannerError(say("peft.uncounted", file=document.name, key=name, does=say(f"peft.{key}")))


def _modules(document: Document, stated: object) -> list[str]:
    if isinstance(stated, str):
        if stated.lower() == ALL_LINEAR:
            return [ALL_LINEAR]
        raise PlannerError(say("peft.pattern", file=document.name, stated=shown(stated)))
    if not isinstance(stated, list) or not stated or not all(isinstance(name, str) for name in stated):
        raise PlannerError(say("peft.modules", file=document.name))
    return sorted({name.rpartition(".")[2] for name in stated})


def _check(model: ModelSpec, taken: list[Taken], place: str) -> None:
    """Refuse modules that the model has not."""
    modules = next((t.value for t in taken if t.key == "training.adapter.target_modules"), None)
    if modules is not None:
        try:
            targets(model, Adapter("lora", RANK, tuple(modules)))
        except PlannerError as error:
            raise PlannerError(say("peft.wrong", file=place, what=error.args[0])) from None


def _adapter(document: Document, remarks: list[str]) -> list[Taken]:
    values, place = document.values, document.name
    method = values.get("adapter")
    if method in (None, ""):
        return []
    if method not in ("lora", "qlora"):
        raise PlannerError(say("peft.method", file=place, method=shown(str(method))))
    four = method == "qlora" or values.get("load_in_4bit") is True
    if values.get("load_in_8bit") is True and not four:
        remarks.append(say("peft.eight_bits"))
    linear = values.get("lora_target_linear") is True
    modules = [ALL_LINEAR] if linear else _modules(document, values.get("lora_target_modules"))
    where = "lora_target_linear" if linear else "lora_target_modules"
    return [
        Taken("training.adapter.method", "qlora" if four else "lora", f"adapter, {place}"),
        Taken("training.adapter.r", whole(values.get("lora_r", RANK), f"lora_r, {place}"), f"lora_r, {place}"),
        Taken("training.adapter.target_modules", modules, f"{where}, {place}"),
    ]


def _length(run: _Run) -> list[Taken]:
    by_default = [] if run.has("num_epochs") else [Taken("training.epochs", 1, "default of num_epochs in Axolotl")]
    return run.stated("training.iterations") or run.stated("training.epochs") or by_default


def _batch(run: _Run, gpus: int | None, remarks: list[str]) -> list[Taken]:
    if gpus is None:
        remarks.append(say("peft.gpus"))
        return []
    ranks, micro = Taken("layout.dp", gpus, "--gpus"), run.value("layout.micro_batch")
    if micro is None:
        return [ranks]
    product = "micro_batch_size x gradient_accumulation_steps x GPUs"
    return [ranks, Taken("training.global_batch", micro * run.value("layout.grad_accum") * gpus, product)]


def _framework(values: Mapping[str, Any], place: str, remarks: list[str]) -> list[Taken]:
    if values.get("fsdp") or values.get("fsdp_config") or values.get("fsdp_version"):
        inner = values.get("fsdp_config")
        text = str(inner).upper() if inner else ""
        stage = 2 if "SHARD_GRAD_OP" in text or "'RESHARD_AFTER_FORWARD': FALSE" in text else 3
        return [
            Taken("training.framework", "fsdp", f"fsdp, {place}"),
            Taken("layout.zero_stage", stage, f"fsdp_config, {place}"),
        ]
    stated = values.get("deepspeed")
    number = next((n for n in (3, 2, 1) if f"zero{n}" in str(stated)), None)
    if stated and number is None:
        remarks.append(say("peft.zero_stage", stated=shown(str(stated))))
        return [Taken("training.framework", "deepspeed", f"deepspeed, {place}")]
    if not stated:
        remarks.append(say("peft.unstated"))
    return [
        Taken("training.framework", "deepspeed", f"deepspeed, {place}" if stated else "not stated"),
        Taken("layout.zero_stage", number or 1, f"deepspeed, {place}" if stated else "not stated"),
    ]


def _optimizer(values: Mapping[str, Any], place: str, remarks: list[str], tuned: bool) -> list[Taken]:
    stated = str(values.get("optimizer") or "adamw_torch_fused")
    if "8bit" in stated and not tuned:
        return [Taken("training.optimizer", "adamw-8bit", f"optimizer, {place}")]
    if "8bit" in stated:
        remarks.append(say("peft.moments", stated=shown(stated)))
    known = next((name for word, name in _OPTIMIZERS.items() if word in stated), None)
    if known is None:
        raise PlannerError(say("peft.optimizer", file=place, stated=shown(stated)))
    return [Taken("training.optimizer", known, f"optimizer, {place}")]


def _rest(run: _Run) -> list[Taken]:
    precision = run.value("training.precision")
    return [
        Taken("layout.recompute", run.value("layout.recompute"), run.called("gradient_checkpointing")),
        Taken("training.precision", precision, run.called(precision)),
        *run.stated("training.flash_attention"),
    ]
