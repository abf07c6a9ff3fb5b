"""`planner predict`: throughput, step and memory of layouts that somebody names, from options or from a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from planner.cli.options import Catalog, Json, Quiet
from planner.cli.output import colour, emit, say, width
from planner.units import PlannerError

if TYPE_CHECKING:
    from planner.catalog import Catalog as Facts
    from planner.performance.calibration import Calibration
    from planner.performance.tables import Table

_OPTIONS = {
    "model": "--model",
    "gpu": "--gpu",
    "gpus": "--gpus",
    "seq_len": "--seq-length",
    "global_batch_samples": "--global-batch",
}
_OTHER_OPTIONS = {"zero_or_fsdp": "--zero-stage", "version_or_date": "--framework-release"}
NUMBERS = ("pred_tokens_per_s_per_gpu", "pred_lo", "pred_hi", "pred_memory_gib")
MEMORY = ("weights", "gradients", "optimizer", "activations", "other", "total")


def _text(metavar: str, meaning: str) -> object:
    return typer.Option(metavar=metavar, help=meaning)


def predict(
    table: Annotated[
        Path | None, typer.Argument(metavar="[ROWS.csv]", help="A table of runs to predict, as --rows.")
    ] = None,
    rows: Annotated[Path | None, typer.Option("--rows", metavar="CSV", help="A table of runs to predict.")] = None,
    model: Annotated[str | None, _text("NAME", "A model of the catalog.")] = None,
    gpu: Annotated[str | None, _text("ID", "An accelerator of the catalog.")] = None,
    gpus: Annotated[int | None, _text("N", "GPUs of the run.")] = None,
    gpus_per_node: Annotated[int | None, _text("N", "GPUs of a node; otherwise as its maker sells it.")] = None,
    seq_length: Annotated[int | None, _text("S", "Tokens of a sequence.")] = None,
    global_batch: Annotated[int | None, _text("B", "Sequences of an iteration.")] = None,
    micro_batch: Annotated[int, _text("N", "Sequences of a micro-batch.")] = 1,
    tp: Annotated[int, _text("N", "Tensor parallel.")] = 1,
    pp: Annotated[int, _text("N", "Pipeline parallel.")] = 1,
    vpp: Annotated[int, _text("N", "Model chunks a pipeline stage.")] = 1,
    cp: Annotated[int, _text("N", "Context parallel.")] = 1,
    ep: Annotated[int, _text("N", "Expert parallel.")] = 1,
    zero_stage: Annotated[int | None, _text("0-3", "ZeRO stage; unless stated 3 for FSDP, else 1.")] = None,
    recompute: Annotated[str, _text("KIND", "none, selective or full.")] = "none",
    precision: Annotated[str, _text("FORMAT", "bf16, fp16, fp8, mxfp8 or nvfp4.")] = "bf16",
    framework: Annotated[str, _text("NAME", "gpt-neox, megatron or fsdp.")] = "megatron",
    framework_release: Annotated[str, _text("TEXT", "The framework's release, as rows state it.")] = "latest",
    sequence_parallel: Annotated[str | None, _text("yes|no", "Sequence parallel beside tensor parallel.")] = None,
    flash_attention: Annotated[str | None, _text("yes|no|2|3", "Flash attention, or its generation.")] = None,
    fused_or_compile: Annotated[str | None, _text("yes|no", "Fused norms and activations, or a compiler.")] = None,
    comm_overlap: Annotated[str | None, _text("yes|no", "Gradient reductions behind the backward pass.")] = None,
    recompute_share: Annotated[float | None, _text("0-1", "Share of the layers that full recompute covers.")] = None,
    shard_group: Annotated[int | None, _text("N", "GPUs over which states are sharded.")] = None,
    power_limit_w: Annotated[float | None, _text("W", "Power limit of one GPU.")] = None,
    tuning: Annotated[str | None, _text("field|vendor", "Whose recipe runs, of a MoE model.")] = None,
    optimizer: Annotated[str | None, _text("NAME", "adamw, adamw-bf16, adamw-8bit, muon, lion, adafactor.")] = None,
    offload: Annotated[str | None, _text("WHAT", "On the host: optimizer, activations or both.")] = None,
    catalog: Catalog = None,
    as_json: Json = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Save: CSV with --rows, else JSON.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Predict throughput with its 80 % interval, the step's terms and memory of given layouts.

    A table's columns are those of catalogs/measured; rows keep their order, and one that cannot be predicted says why.

    Example: planner predict --model gpt-neox-20b --gpu a100-sxm4-40gb --gpus 96 --seq-length 2048 --global-batch 1536
    --micro-batch 4 --tp 2 --pp 4 --framework gpt-neox --framework-release 1.0 --precision fp16 --recompute full
    """
    from planner.api import load_facts
    from planner.catalog.overlay import overlay_dirs
    from planner.files import write_atomically

    if table is not None and rows is not None:
        raise PlannerError("give one table: its name, or --rows, and not both")
    rows = rows or table
    facts, calibration = load_facts(overlay_dirs(catalog or ()))
    if rows is not None:
        if model or gpu or gpus:
            raise PlannerError("give either --rows or one run by options, not both")
        document, saved, shown = _table(rows, facts, calibration, quiet)
    else:
        row = {
            "model": model, "gpu": gpu, "gpus": gpus, "seq_len": seq_length, "global_batch_samples": global_batch,
            "micro_batch": micro_batch, "tp": tp, "pp": pp, "vpp": vpp, "cp": cp, "ep": ep,
            "zero_or_fsdp": zero_stage, "recompute": recompute, "precision": precision, "framework": framework,
            "version_or_date": framework_release, "sequence_parallel": sequence_parallel,
            "flash_attention": flash_attention, "fused_or_compile": fused_or_compile, "comm_overlap": comm_overlap,
            "recompute_share": recompute_share, "shard_group": shard_group, "power_limit_w": power_limit_w,
            "tuning": tuning, "optimizer": optimizer, "offload": offload, "gpus_per_node": gpus_per_node,
        }  # fmt: skip
        if missing := [_OPTIONS[name] for name in _OPTIONS if row[name] is None]:
            raise PlannerError(f"{', '.join(missing)} must be given, or a table with --rows")
        document, shown = _one(row, facts, calibration)
        saved = document
    if output is not None:
        write_atomically(output, saved)
        say(f"saved to {output}", quiet=quiet)
    if as_json:
        emit(document)
    elif not quiet and (output is None or rows is None):
        emit(shown)


def _table(path: Path, facts: Facts, calibration: Calibration, quiet: bool) -> tuple[str, str, str]:
    """A table's predictions as JSON, as CSV and for people."""
    from planner.performance.predict import predict_rows
    from planner.plan_json import dumps
    from planner.report.predictions import rows_csv, rows_table

    table = _read(path)
    for remark in table.remarks():
        say(remark, quiet=quiet)
    found = predict_rows(table.rows, facts, calibration, path.stem)
    typed = [{**row, **_typed(row)} for row in found]
    return (
        dumps({"schema_version": 1, "rows": typed}),
        rows_csv(table.header, found),
        rows_table(found, width(), colour()),
    )


def _typed(row: Mapping[str, str]) -> dict[str, float | bool | str | None]:
    """What a table's row was predicted as, as JSON has it: numbers, true or false, and null for what is not known."""
    numbers = {key: float(row[key]) if row[key] else None for key in NUMBERS}
    return {
        **numbers,
        "fits": {"true": True, "false": False}.get(row["fits"]),
        "why": row["why"] or None,
        "assumed": row["assumed"] or None,
    }


def _one(row: Mapping[str, object], facts: Facts, calibration: Calibration) -> tuple[str, str]:
    """One run's prediction as JSON and for people."""
    from planner.performance.memory import memory
    from planner.performance.predict import breakdown, predict_rows, predict_run
    from planner.performance.rows import layouts_of, read_run
    from planner.plan_json import dumps
    from planner.report.predictions import detail_table

    cells = {key: "" if value is None else str(value) for key, value in row.items()}
    cells |= {"gpu": _accelerator_id(str(row["gpu"]), facts)}
    (checked,) = predict_rows([cells], facts, calibration, "run")
    if not checked["pred_tokens_per_s_per_gpu"]:
        raise PlannerError(_by_option(checked["why"].removeprefix("run:1: ")))
    run = read_run(cells, facts, "run")
    found = predict_run(run, calibration)
    run = found.run
    parts = None if found.memory_gib is None else memory(run.setting, layouts_of([run]))
    document = {
        "schema_version": 1,
        **row,
        "pred_tokens_per_s_per_gpu": found.tokens_per_s_per_gpu,
        "pred_lo": found.low,
        "pred_hi": found.high,
        "pred_memory_gib": found.memory_gib,
        "fits": found.fits,
        "basis": found.basis,
        "why": found.why or None,
        "assumed": "; ".join(found.assumed) or None,
        "measurements": found.measurements,
        "step_time_s": float(found.step.total_s[0]),
        "step_breakdown_s": breakdown([found])[0],
        "memory_gib": None if parts is None else {name: float(getattr(parts, name)[0]) for name in MEMORY},
        "capacity_gib": found.capacity_gib,
    }
    return dumps(document), detail_table(found, parts, width())


def _accelerator_id(name: str, facts: Facts) -> str:
    """The catalog's id of a GPU by its id, or by words that mean one part of it ("A100 40 GB"); short forms do not."""
    from planner.performance.gpu_names import accelerator_written

    try:
        return facts.accelerator(name).id
    except PlannerError:
        short = any(each.startswith(name.strip().lower()) for each in facts.accelerators)
        meant = None if short else accelerator_written(name, None, facts.accelerators)
        if meant is None or meant.id not in facts.accelerators:
            raise
        return meant.id


def _by_option(said: str) -> str:
    """A sentence on a table's column as one on the option that stands for it."""
    column, blank, rest = said.partition(" ")
    if column == "model" or not rest.startswith("'"):
        return said
    return f"{(_OPTIONS | _OTHER_OPTIONS).get(column, '--' + column.replace('_', '-'))}{blank}{rest}"


def _read(path: Path) -> Table:
    """A table of runs that names a model and a GPU."""
    from planner.performance.tables import read_table

    table = read_table(path, ())
    if "model" not in table.header or "gpu" not in table.header:
        found = ", ".join(table.header[:8]) or "none"
        raise PlannerError(f"{path}: needs columns such as model, gpu, gpus, seq_len; found {found}")
    return table
