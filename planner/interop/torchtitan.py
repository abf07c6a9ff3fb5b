"""torchtitan's TOML into a scenario: model, layout, batch and length.

Keys and defaults are those of pytorch/torchtitan 73a0e69 (tag v0.2.2, torchtitan/config/job_config.py); names of older
releases are read as what they became.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from planner.interop.files import MAX_DEPTH, config_text, shown, whole
from planner.interop.imported import Imported, Stated, Taken, model_taken
from planner.interop.key_kinds import Kinds, sort_keys, table_of_keys
from planner.interop.torchtitan_assumptions import TABLE, P
from planner.interop.values import Values, flat
from planner.performance.frameworks import framework
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import say
from planner.workload.model_catalog import load_model

_TABLE = table_of_keys("torchtitan")
SHARD, REPLICATE = f"{P}data_parallel_shard_degree", f"{P}data_parallel_replicate_degree"


def import_torchtitan(path: Path, stated: Stated) -> Imported:
    """A scenario from a TOML of torchtitan; it needs the GPUs where the shard degree is -1 (what is left).

    Raises
    ------
    PlannerError
        For what is no TOML, a model that planner does not know, or degrees that contradict each other.
    """
    job = Values("torchtitan", shown(path.name, 80), _values(path), TABLE)
    model, taken_model = _model(job)
    degrees = _degrees(job, stated.gpus)
    batch = _batch(job, degrees)
    taken = [Taken("name", shown(path.stem, 80), ""), *taken_model]
    iterations, length = job.take("training.iterations", "data.seq_length")
    data = stated.data or Taken("data.samples", iterations.value * batch[0].value, "what the run reads")
    if not stated.data:
        job.remarks.append(say("torchtitan.length"))
    taken += [data, length, iterations]
    taken += [Taken("training.framework", "torchtitan", "a TOML of torchtitan"), batch[0], *_precision(job)]
    taken.append(Taken("training.fused_or_compile", bool(job.get("compile.enable")), job.origin("compile.enable")))
    taken += [*degrees.values(), batch[1], *_sharding(job, degrees), *_recompute(job, model)]
    of_sections = {key for key in job.values if key.split(".")[0] in {*_TABLE["sections"], "quantize"}}
    kept = job.deciding()
    if job.values.get("activation_checkpoint.mode") != "memory_budget":
        kept.pop(budget := "activation_checkpoint.memory_budget", None)
        job.used.add(budget)
    kinds = Kinds("torchtitan", _TABLE["irrelevant"] | of_sections, kept)
    others = sort_keys(dict.fromkeys(job.values, job.name), job.used, kinds)
    warnings = (*job.warnings, *others.warnings)
    return Imported(
        "torchtitan", (job.name,), model, tuple(taken), others.unused, tuple(job.remarks), warnings=warnings
    )


def _values(path: Path) -> dict[str, Any]:
    text = config_text(path)
    name = shown(path, 200)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PlannerError(say("torchtitan.no_toml", file=name, error=shown(error, 120))) from None
    except (RecursionError, ValueError) as error:
        deep = isinstance(error, RecursionError)
        why = say("torchtitan.deep", levels=MAX_DEPTH) if deep else shown(error, 120)
        raise PlannerError(say("torchtitan.no_configuration", file=name, why=why)) from None
    found = {_TABLE["renamed"].get(key, key): value for key, value in flat(tree).items()}
    return dict(sorted(found.items()))


def _model(job: Values) -> tuple[ModelSpec, list[Taken]]:
    name, flavour = str(job.get("model.name")), str(job.get("model.flavor"))
    known = framework("torchtitan").models
    plain = flavour.removesuffix("_flex").removesuffix("_varlen").removesuffix("_flex_attn")
    found = known.get(f"{name}/{plain}")
    if found is None:
        raise PlannerError(say("torchtitan.model", file=job.name, model=shown(f"{name}/{flavour}"), known=list(known)))
    model, origin = load_model(found), f"model.name, model.flavor, {job.name}"
    if not model.mtp_layers:
        return model, [Taken("model", found, origin)]
    alone = replace(model, mtp_layers=0)
    return alone, model_taken(
        alone, {"name": origin}, f"{found}, without multi-token prediction, which torchtitan lacks"
    )


def _degrees(job: Values, gpus: int | None) -> dict[str, Taken]:
    rows = job.take("layout.tp", "layout.pp", "layout.cp", "layout.ep")
    tp, pp, cp = (row.value for row in rows[:3])
    replicate, shard = job.number(REPLICATE), job.get(SHARD)
    others = tp * pp * cp * replicate
    if shard == -1:
        if gpus is None:
            raise PlannerError(say("torchtitan.gpus", file=job.name))
        if gpus % others:
            raise PlannerError(
                say("torchtitan.degrees", file=job.name, gpus=gpus, tp=tp, pp=pp, cp=cp, replicate=replicate)
            )
        shard = gpus // others
    shard = whole(shard, f"{SHARD} ({job.name})")
    if gpus is not None and gpus != others * shard:
        raise PlannerError(say("torchtitan.other_gpus", file=job.name, made=others * shard, gpus=gpus))
    job.used.add(f"{P}expert_tensor_parallel_degree")
    found = [
        *rows[:2],
        _virtual(job, pp),
        *rows[2:],
        Taken("layout.dp", replicate * shard, job.origin(SHARD)),
        Taken("layout.sequence_parallel", tp > 1, "always with tensor parallel"),
    ]
    return {row.key.removeprefix("layout."): row for row in found}


def _virtual(job: Values, pp: int) -> Taken:
    """Chunks a rank: as laid out, else two where the schedule interleaves (pipeline_parallel.py)."""
    names = ("module_fqns_per_model_part", "pipeline_parallel_layers_per_stage", "pipeline_parallel_schedule")
    laid, layers, scheduled = (f"{P}{name}" for name in names)
    parts, each, schedule = job.get(laid), job.get(layers), str(job.get(scheduled))
    if pp == 1:
        return Taken("layout.vpp", 1, "no pipeline")
    if schedule.lower() not in ("1f1b", "interleaved1f1b"):
        job.warnings.append(say("torchtitan.schedule", file=job.name, key=scheduled, schedule=shown(schedule)))
    if isinstance(parts, list) and parts and len(parts) % pp == 0:
        return Taken("layout.vpp", len(parts) // pp, job.origin(laid))
    if each is not None:
        job.warnings.append(say("torchtitan.chunks", file=job.name, key=layers))
    return Taken("layout.vpp", 2 if "interleaved" in schedule.lower() else 1, job.origin(scheduled))


def _batch(job: Values, degrees: Mapping[str, Taken]) -> tuple[Taken, Taken]:
    key, total_key = "training.local_batch_size", "training.global_batch_size"
    piece = f"{P}pipeline_parallel_microbatch_size"
    micro = local = job.number(key)
    each, size = local * degrees["dp"].value, job.get(total_key)
    total = each if size == -1 else job.number(total_key)
    if total % each:
        raise PlannerError(say("torchtitan.batch", file=job.name, total=total, local=local, dp=degrees["dp"].value))
    job.used.add(piece)
    if degrees["pp"].value > 1:
        key, micro = piece, job.number(piece)
        if local % micro:
            raise PlannerError(say("torchtitan.micro_batch", file=job.name, local=local, micro=micro))
    said = job.origin(total_key) if size != -1 else "local batch size x data-parallel degree"
    return Taken("training.global_batch", total, said), Taken("layout.micro_batch", micro, job.origin(key))


def _precision(job: Values) -> list[Taken]:
    key = "model.converters"
    converters = job.get(key)
    names = " ".join(map(str, converters)) if isinstance(converters, list) else str(converters)
    if job.values.get("training.mixed_precision_param") == "float32" or job.values.get("training.dtype") == "bfloat16":
        job.warnings.append(say("torchtitan.weights", file=job.name))
    kind = "fp8" if "float8" in names else "mxfp8" if "mx" in names else "bf16"
    return [Taken("training.precision", kind, job.origin(key))]


def _sharding(job: Values, degrees: Mapping[str, Taken]) -> list[Taken]:
    key = f"{P}fsdp_reshard_after_forward"
    policy = str(job.get(key))
    again = policy == "always" or (policy == "default" and degrees["pp"].value == 1)
    rows = [Taken("layout.zero_stage", 3 if again else 2, job.origin(key))]
    replicate = job.number(REPLICATE)
    if replicate > 1:
        group = degrees["dp"].value // replicate * degrees["cp"].value
        rows.append(Taken("layout.shard_group", group, job.origin(REPLICATE)))
    return rows


def _recompute(job: Values, model: ModelSpec) -> list[Taken]:
    key, choice = "activation_checkpoint.mode", "activation_checkpoint.selective_ac_option"
    mode, option = str(job.get(key)), str(job.get(choice))
    if mode == "selective" and option != "op":
        every, full = whole(option, f"{choice} ({job.name})"), Taken("layout.recompute", "full", job.origin(choice))
        share = round(model.layers // every / model.layers, 6)
        return [full] if every == 1 else [full, Taken("layout.recompute_share", share, full.origin)]
    if mode == "memory_budget":
        job.warnings.append(say("torchtitan.memory_budget", file=job.name, key=key))
        mode = "selective"
    if mode not in ("none", "selective", "full"):
        raise PlannerError(say("torchtitan.recompute", file=job.name, key=key, mode=shown(mode)))
    return [Taken("layout.recompute", mode, job.origin(key))]
