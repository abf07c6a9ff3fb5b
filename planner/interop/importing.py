"""`planner import`: which tool's files these are, and the scenario they make."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from planner.interop.deepspeed import import_deepspeed
from planner.interop.file_kinds import FileKind, is_deepspeeds, kind_by_ending, kind_of, tool_in
from planner.interop.files import config_text, named, naming, shown
from planner.interop.huggingface import import_huggingface
from planner.interop.imported import Imported, Stated, Taken
from planner.interop.key_kinds import refuse
from planner.interop.log_forms import LEAST_STEPS, look_through
from planner.interop.megatron import import_megatron
from planner.interop.megatron_bridge import import_megatron_bridge
from planner.interop.nanotron import import_nanotron
from planner.interop.neox import import_neox
from planner.interop.peft import import_axolotl, with_peft
from planner.interop.torchtitan import import_torchtitan
from planner.performance.framework_table import known_framework
from planner.units import PlannerError
from planner.words import say

#: Importers of one file, by tool.
_IMPORTERS: Mapping[str, Callable[[Path, Stated], Imported]] = {
    "huggingface": lambda path, _: import_huggingface(path), "megatron": import_megatron, "nanotron": import_nanotron,
    "megatron-bridge": import_megatron_bridge, "torchtitan": import_torchtitan,
}  # fmt: skip
_DATA = {"data", "data.samples", "data.tokens", "data.index"}
TOOLS = (
    "gpt-neox", "huggingface", "megatron", "megatron-bridge", "torchtitan", "deepspeed", "accelerate", "nanotron",
    "peft", "axolotl",
)  # fmt: skip


def tool_of(path: Path) -> str:
    """Which tool a file is for, by what is in it.

    Raises
    ------
    PlannerError
        If it cannot be read, or is a file of a program that planner does not import.
    """
    kind = kind_by_ending(path) if path.is_file() else None
    if kind is not None:
        raise _no_config(path, kind)
    text = config_text(path)
    if text.startswith("#!") or path.suffix in (".sh", ".sbatch", ".slurm", ".bash"):
        return "megatron"
    if re.search(r"--(?:num-layers|hidden-size|micro-batch-size)\b", text):
        return "megatron"
    if re.search(r'"(?:model_type|architectures)"\s*:', text):
        return "huggingface"
    if re.search(r'"peft_type"\s*:', text):
        return "peft"
    if (tool := tool_in(text)) is not None:
        return tool
    if is_deepspeeds(text):
        return "deepspeed"
    if (kind := kind_of(text)) is not None:
        raise _no_config(path, kind)
    if look_through(path).steps >= LEAST_STEPS and not re.search(r"num[_-]layers", text):
        raise _no_config(path, FileKind(say("interop_importing.log"), say("interop_importing.log_instead")))
    return "gpt-neox"


def _no_config(path: Path, kind: FileKind) -> PlannerError:
    values = {"file": shown(path, 200), "what": kind.what, "known": say("interop_importing.known")}
    if kind.instead:
        return PlannerError(say("interop_importing.no_config", instead=kind.instead, **values))
    return PlannerError(say("interop_importing.not_imported", **values))


def import_files(
    paths: Sequence[Path],
    *,
    gpus: int | None = None,
    vocab: int | None = None,
    samples: int | None = None,
    tokens: int | None = None,
    epochs: float | None = None,
    strict: bool = False,
    arguments: Sequence[str] = (),
) -> Imported:
    """What other programs' files say of a run.

    Parameters
    ----------
    paths : GPT-NeoX configs (several are merged in order), one Hugging Face config.json (with DeepSpeed's JSON,
        Accelerate's YAML or both), one Megatron-LM script, or one file of Megatron-Bridge, torchtitan or nanotron
    gpus, vocab, samples, tokens, epochs : what such files often leave out: the world size, the tokenizer's entries, the
        data of one epoch, and how many epochs to train; what a file does say wins over `epochs`
    strict : whether a warning (a key that is not understood) is an error
    arguments : what a launch script is started with: its $1, $2, …

    Raises
    ------
    PlannerError
        For files that contradict themselves in their tool's own terms, mixtures of tools, or what is missing.
    """
    if not paths:
        raise PlannerError(say("interop_importing.nothing"))
    stated = Stated(gpus, vocab, samples, tokens, arguments)
    with naming(*paths):
        found = _read(paths, stated)
    found = replace(
        found,
        remarks=tuple(named(remark, paths) for remark in found.remarks),
        warnings=tuple(named(warning, paths) for warning in found.warnings),
    )
    refuse(found.warnings, strict=strict)
    return _completed(found, stated, epochs)


def _read(paths: Sequence[Path], stated: Stated) -> Imported:
    tools = [tool_of(path) for path in paths]
    kinds = set(tools)
    if kinds == {"gpt-neox"} or kinds == {"gpt-neox", "deepspeed"}:  # which takes DeepSpeed's keys in any of its files
        return import_neox(paths, gpus=stated.gpus, vocab=stated.vocab, samples=stated.samples, tokens=stated.tokens)
    if "peft" in kinds and tools.count("peft") == 1:
        return _with_peft(paths, tools, stated.gpus)
    if "axolotl" in kinds and len(paths) == len(kinds) <= 2 and kinds <= {"axolotl", "huggingface"}:
        each = dict(zip(tools, paths, strict=True))
        return import_axolotl(each.get("huggingface"), each["axolotl"], gpus=stated.gpus)
    if kinds & {"deepspeed", "accelerate"} and kinds <= {"huggingface", "deepspeed", "accelerate"}:
        models = [path for path, tool in zip(paths, tools, strict=True) if tool == "huggingface"]
        configs = [path for path in paths if path not in models]
        if len(models) <= 1 and len(configs) <= 2:
            return import_deepspeed(models[0] if models else None, configs, gpus=stated.gpus)
    if len(paths) > 1:
        both = zip(paths, tools, strict=True)
        listed = [say("interop_importing.file_of_tool", file=shown(p.name), tool=tool) for p, tool in both]
        raise PlannerError(say("interop_importing.one_by_one", files=listed))
    return _IMPORTERS[tools[0]](paths[0], stated)


def _with_peft(paths: Sequence[Path], tools: Sequence[str], gpus: int | None) -> Imported:
    """The other files' scenario, of a model and what starts it, with PEFT's adapter."""
    adapter = paths[tools.index("peft")]
    others = [path for path in paths if path != adapter]
    models = [path for path, tool in zip(paths, tools, strict=True) if tool == "huggingface"]
    if others and not models:
        raise PlannerError(say("interop_importing.no_model", file=shown(others[0].name, 80)))
    base = _read(others, Stated(gpus)) if others else None
    return with_peft(base, adapter, models)


def _completed(found: Imported, stated: Stated, epochs: float | None) -> Imported:
    """The findings with what the caller knows put where the files are silent, and what is still missing named."""
    keys = {taken.key for taken in found.taken}
    added: list[Taken] = []
    if not keys & _DATA:
        added += [] if stated.data is None else [stated.data]
    if epochs is not None and not keys & {"training.epochs", "training.iterations"}:
        added.append(Taken("training.epochs", epochs, "--epochs"))
    # Without a share planner looks for the fewest layers that must be recomputed; the files' run recomputes all.
    recompute = next((taken for taken in found.taken if (taken.key, taken.value) == ("layout.recompute", "full")), None)
    row = known_framework(str(found.value("training.framework")))
    if recompute and "layout.recompute_share" not in keys and row and "recompute_share" not in row.lacks:
        added.append(Taken("layout.recompute_share", 1, recompute.origin))
    keys |= {taken.key for taken in added}
    missing = (
        *(("data.tokens",) if not keys & _DATA else ()),
        *(("data.seq_length",) if "data.seq_length" not in keys and not keys & {"data", "data.index"} else ()),
        *(("training.epochs",) if not keys & {"training.epochs", "training.iterations"} else ()),
    )
    return replace(found, taken=(*found.taken, *added), missing=missing)
