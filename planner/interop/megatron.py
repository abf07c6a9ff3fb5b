"""Megatron-LM launch scripts into a scenario: layout, batch, data and length.

Names and defaults are those of Megatron-LM's megatron/training/arguments.py.
"""

from __future__ import annotations

import re
from pathlib import Path

from planner.interop.assumptions import fields_of
from planner.interop.config_datasets import indexed_data, named_index
from planner.interop.files import config_text, shown, whole
from planner.interop.imported import Imported, Stated, Taken, model_taken
from planner.interop.key_kinds import Kinds, sort_keys
from planner.interop.megatron_arguments import DECIDING, Arguments, option_kinds, read_arguments
from planner.interop.megatron_assumptions import MEGATRON
from planner.interop.megatron_conditions import group_of, megatron_conditions, share_recomputed
from planner.interop.megatron_forks import rename_fork_options, zero_of
from planner.interop.megatron_length import megatron_training, samples_needed
from planner.interop.megatron_model import megatron_model
from planner.interop.megatron_stages import UNEVEN, uneven_stages, warn_of_stages
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import say

#: The layout's arguments, by the scenario's keys.
LAYOUT = {row.means.removeprefix("layout."): row for row in fields_of(MEGATRON) if row.means.startswith("layout.")}
# What says how many stages each GPU has, the first that is there.
VIRTUAL = (
    "pipeline-model-parallel-layout",
    "num-virtual-stages-per-pipeline-rank",
    "num-layers-per-virtual-pipeline-stage",
)
# What stands before the name of a file beside the script: $(dirname "$0")/, ${BASH_SOURCE%/*}/, $HERE/.
_HERE = re.compile(r"^(?:\$\w+|.*[)}`])/")


def import_megatron(path: Path, stated: Stated) -> Imported:
    """A scenario from the arguments in a shell script (or a file that holds nothing but the arguments).

    Raises
    ------
    PlannerError
        Where Megatron-LM itself would stop, in its terms, or where something needed is not in the script.
    """
    name = shown(path.name, 80)
    try:
        read = read_arguments(config_text(path), path.name, stated.arguments, lambda file: _sourced(path, file))
        rename_fork_options(read)
        return imported_arguments(read, path, stated, option_kinds())
    except PlannerError as error:
        said = error.args[0]
        known = name in said or str(path) in said
        raise PlannerError(said if known else say("reading.at", file=name, what=said)) from None


def _sourced(script: Path, file: str) -> str | None:
    """The text of a file in the script's folder or below it; None for others and for what cannot be read."""
    name = _HERE.sub("", file)
    parts = Path(name).parts if name and "\0" not in name else ()
    if not parts or "$" in name or ".." in parts or parts[0] in ("/", "~"):
        return None
    for place in (script.parent / name, script.parent / parts[-1]):
        try:
            if place.is_file() and place.resolve() != script.resolve():
                return config_text(place)
        except (OSError, PlannerError):
            continue
    return None


def imported_arguments(read: Arguments, path: Path, stated: Stated, kinds: Kinds) -> Imported:
    """A scenario from arguments, wherever they were read; parameters and errors as of `import_megatron`."""
    model, origins = megatron_model(read, path.stem, stated.vocab)
    world = _world(read, stated.gpus)
    taken = [Taken("name", shown(path.stem, 80), ""), *model_taken(model, origins, "Megatron-LM's own")]
    layout = _layout(read, model, world)
    batch = next((row.value for row in layout if row.key == "training.global_batch"), None)
    taken += _data(read, stated.data, batch)
    taken += megatron_training(read, batch)
    taken += megatron_conditions(read, model)
    taken += layout
    others = sort_keys(dict.fromkeys(read.values, read.name), read.used, kinds)
    return Imported(
        tool="megatron",
        files=(path.name,),
        model=model,
        taken=tuple(taken),
        unused=others.unused,
        warnings=(*others.warnings, *_undecided(read)),
        remarks=tuple(dict.fromkeys(read.remarks)),
        extras={"world": world},
    )


def _undecided(a: Arguments) -> list[str]:
    """Warnings where the script itself leaves open what was read."""

    def differing(other: dict[str, list[str]]) -> list[str]:
        names = sorted(n for n in a.used | set(DECIDING) if a.values.get(n) != other.get(n))
        return [*(f"--{name}" for name in names[:4]), *(["…"] if len(names) > 4 else [])]

    said: list[str] = [say("reading.at", file=a.name, what=sentence) for sentence in (*a.uncertain, *a.left_open)]
    if a.other_branch is not None and (names := differing(a.other_branch)):
        said.append(say("megatron.condition", file=a.name, options=names))
    others = [names for other in a.runs if (names := differing(other))]
    if others:
        said.append(say("megatron.runs", file=a.name, runs=len(others) + 1, options=others[0]))
    return said


def _world(a: Arguments, gpus: int | None) -> int | None:
    if gpus is not None:
        return whole(gpus, "--gpus")
    if a.launch.gpus is not None:
        return a.launch.gpus
    a.remarks.append(say("megatron.gpus"))
    return None


def _layout(a: Arguments, model: ModelSpec, world: int | None) -> list[Taken]:
    tp, pp, cp, ep = (a.number(LAYOUT[name].key, LAYOUT[name].default) for name in ("tp", "pp", "cp", "ep"))
    if (ulysses := a.number("ds-sequence-parallel-size", 1)) > 1 and cp == 1:
        cp = ulysses
        a.remarks.append(say("megatron.ulysses"))
    if a.flag("no-pipeline-parallel"):
        pp = 1
    # Planner keeps an expert whole (1); Megatron-LM splits it as the rest of the model unless told
    stated = a.values.get("expert-tensor-parallel-size")
    if stated == ["1"]:
        a.used.add("expert-tensor-parallel-size")
    elif tp > 1 and a.values.get("num-experts") and stated in (None, [str(tp)]):
        a.used.add("expert-tensor-parallel-size")
        a.remarks.append(say("megatron.experts_split", tp=tp))
    micro = a.number(LAYOUT["micro_batch"].key)
    if model.heads % tp:
        raise PlannerError(say("megatron.heads_by_tp", heads=model.heads, tp=tp))
    vpp = _virtual(a, model, pp)
    uneven_stages(a, model.layers, pp)
    split = a.flag(LAYOUT["sequence_parallel"].key)
    said = {name: a.origin(row.key) for name, row in LAYOUT.items()}
    alone = "; it does nothing at tp 1" if split and tp == 1 else ""
    rows = [
        Taken("layout.tp", tp, said["tp"]),
        Taken("layout.pp", pp, said["pp"]),
        Taken("layout.vpp", vpp, a.origin(next((n for n in VIRTUAL if n in a.values), VIRTUAL[-1]))),
        Taken("layout.cp", cp, said["cp"]),
        Taken("layout.ep", ep, said["ep"]),
    ]
    if world is not None:
        if world % (tp * pp * cp):
            raise PlannerError(say("megatron.world", world=world, tp=tp, pp=pp, cp=cp))
        dp = world // (tp * pp * cp)
        batch = a.number("global-batch-size", micro * dp)
        if batch % (micro * dp):
            raise PlannerError(say("megatron.batch", batch=batch, micro=micro, dp=dp))
        rows.append(Taken("layout.dp", dp, f"{world} GPUs / ({tp} x {pp} x {cp})"))
        if not a.values.get("global-batch-size") and not a.values.get("step-batch-size-schedule"):
            rows.insert(
                0, Taken("training.global_batch", batch, "micro-batch-size x data parallel size: Megatron-LM's default")
            )
    rows += [
        Taken("layout.micro_batch", micro, said["micro_batch"]),
        Taken("layout.zero_stage", *_zero(a)),
        Taken("layout.sequence_parallel", split and tp > 1, f"{said['sequence_parallel']}{alone}"),
        Taken("layout.recompute", *_recompute(a)),
    ]
    if rows[-1].value == "full":
        rows += share_recomputed(a, model.layers, pp * vpp)
    a.used |= {"recompute-method", "recompute-num-layers"}
    return [*rows, *group_of(a, None if world is None else world // (tp * pp))]


def _virtual(a: Arguments, model: ModelSpec, pp: int) -> int:
    stages = a.optional(LAYOUT["vpp"].key)
    if a.flag("pipeline-model-parallel-layout"):
        return _laid_out(a, model.layers, pp)
    each = a.optional("num-layers-per-virtual-pipeline-stage")
    if stages is not None or each is None:
        return stages or 1
    layers = a.number("num-layers")
    if any(name in a.values for name in UNEVEN):
        return max(1, -(-layers // pp) // each)
    if layers % pp or (layers // pp) % each:
        raise PlannerError(say("megatron.layers_by_vpp", layers=layers, pp=pp, each=each))
    return layers // pp // each


def _laid_out(a: Arguments, layers: int, pp: int) -> int:
    """Virtual stages of `--pipeline-model-parallel-layout`: `|` ends a stage, t is a layer, `*n` repeats."""
    text = a.text("pipeline-model-parallel-layout", "").replace(" ", "").replace(",", "")
    for pattern in (r"\(([^()]{1,2000})\)\*(\d{1,4})", r"([A-Za-z|])\*(\d{1,4})"):
        while (found := re.search(pattern, text)) and len(found[1]) * int(found[2]) + len(text) < 20_000:
            text = text[: found.start()] + found[1] * int(found[2]) + text[found.end() :]
    stages = text.count("|") + 1
    if stages % pp or text.count("t") != layers:
        raise PlannerError(say("megatron.laid_out", stages=stages, placed=text.count("t"), layers=layers, pp=pp))
    chunks = [part.count("t") for part in text.split("|")]
    warn_of_stages(a, [sum(chunks[rank::pp]) for rank in range(pp)], layers, "--pipeline-model-parallel-layout")
    return stages // pp


def _zero(a: Arguments) -> tuple[int, str]:
    if (deepspeeds := zero_of(a)) is not None:
        return deepspeeds
    if a.flag("use-torch-fsdp2"):
        return 3, a.origin("use-torch-fsdp2")
    distributed, fsdp = a.flag("use-distributed-optimizer"), a.flag("use-megatron-fsdp")
    if distributed or fsdp:
        strategy = a.text("data-parallel-sharding-strategy", "no_shard")
        stage = {"optim": 1, "optim_grads": 2, "optim_grads_params": 3}.get(strategy, int(distributed))
        return stage, a.origin("use-megatron-fsdp" if fsdp else "use-distributed-optimizer")
    return 0, a.origin("use-distributed-optimizer")


def _recompute(a: Arguments) -> tuple[str, str]:
    granularity = a.text("recompute-granularity", "")
    selective = a.flag("recompute-activations")
    for old in ("checkpoint-activations", "activations-checkpoint-method"):  # before 2022, and Megatron-DeepSpeed
        if a.flag(old):
            return "full", a.origin(old)
    if granularity == "full":
        return "full", a.origin("recompute-granularity")
    if granularity == "selective" or selective:
        return "selective", a.origin("recompute-granularity" if granularity else "recompute-activations")
    return "none", a.origin("recompute-granularity")


def _data(a: Arguments, given: Taken | None, batch: int | None) -> list[Taken]:
    seq = a.number("seq-length")
    length = Taken("data.seq_length", seq, a.origin("seq-length"))
    if given is not None:
        return [given, length]
    paths = a.values.get("data-path") or a.values.get("train-data-path") or []
    a.used |= {"data-path", "train-data-path"} & set(a.values)
    shares = [p for p in paths if re.fullmatch(r"\d{1,15}(?:\.\d{0,15})?|\.\d{1,15}", p)]
    prefixes = [p for p in paths if p not in shares]
    split = a.text("split", "") if a.values.get("data-path") else ""
    found = indexed_data(prefixes, shares, split, length, a.origin("data-path"))
    if found is not None:
        return found
    needed = samples_needed(a, batch)
    if needed is None:
        return [length]
    a.remarks.append(say("megatron.no_index", named=named_index(prefixes)))
    return [Taken("data.samples", needed, "what the run reads"), length]
