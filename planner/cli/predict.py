"""`planner predict`: throughput, step and memory of layouts that somebody names, from options or from a table."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from planner.catalog.paths import framework_files
from planner.cli.options import Catalog, Json, Quiet, file_option
from planner.cli.output import colour, emit, say, width
from planner.units import PlannerError
from planner.words import Sentence, said, say_from

_OPTIONS = {
    "model": "--model",
    "gpu": "--gpu",
    "gpus": "--gpus",
    "seq_len": "--seq-length",
    "global_batch_samples": "--global-batch",
}
_OTHER_OPTIONS = {"zero_or_fsdp": "--zero-stage", "version_or_date": "--framework-release"}


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
    framework: Annotated[str, _text("NAME", f"{', '.join(framework_files())}.")] = "megatron",
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
    adapter: Annotated[str | None, _text("KIND", "Adapters alone are trained: lora or qlora.")] = None,
    lora_r: Annotated[int | None, _text("R", "Their rank; 8 unless stated.")] = None,
    lora_target_modules: Annotated[
        str | None, _text("NAMES", "Matrices that get one, as q_proj,v_proj; all but the output's unless stated.")
    ] = None,
    overlays: Catalog = None,
    as_json: Json = False,
    output: Annotated[Path | None, file_option("Save: CSV with --rows, else JSON.")] = None,
    quiet: Quiet = False,
) -> None:
    """Predict throughput with its 80 % interval, the step's terms and memory of given layouts.

    A table's columns are those of catalogs/measured; rows keep their order, and one that cannot be predicted says why.

    Example: planner predict --model gpt-neox-20b --gpu a100-sxm4-40gb --gpus 96 --seq-length 2048 --global-batch 1536
    --micro-batch 4 --tp 2 --pp 4 --framework gpt-neox --framework-release 1.0 --precision fp16 --recompute full
    """
    from planner import api
    from planner.files import write_atomically
    from planner.report.predictions import detail_table, rows_csv, rows_table

    if table is not None and rows is not None:
        raise PlannerError(said("cli_predict.one_table"))
    rows = rows or table
    if rows is not None:
        if model or gpu or gpus:
            raise PlannerError(said("cli_predict.rows_or_run"))
        table_found = api.predict(rows, overlays)
        for remark in table_found.notes:
            say(remark, quiet=quiet)
        document, saved = table_found.to_json, partial(rows_csv, table_found.header, table_found.cells)
        shown = partial(rows_table, table_found.cells, width(), colour())
    else:
        row = {
            "model": model, "gpu": gpu, "gpus": gpus, "seq_len": seq_length, "global_batch_samples": global_batch,
            "micro_batch": micro_batch, "tp": tp, "pp": pp, "vpp": vpp, "cp": cp, "ep": ep,
            "zero_or_fsdp": zero_stage, "recompute": recompute, "precision": precision, "framework": framework,
            "version_or_date": framework_release, "sequence_parallel": sequence_parallel,
            "flash_attention": flash_attention, "fused_or_compile": fused_or_compile, "comm_overlap": comm_overlap,
            "recompute_share": recompute_share, "shard_group": shard_group, "power_limit_w": power_limit_w,
            "tuning": tuning, "optimizer": optimizer, "offload": offload, "gpus_per_node": gpus_per_node,
            "adapter": adapter, "lora_r": lora_r, "lora_target_modules": lora_target_modules,
        }  # fmt: skip
        if missing := [_OPTIONS[name] for name in _OPTIONS if row[name] is None]:
            raise PlannerError(said("cli_predict.missing", options=missing))
        try:
            found = api.predict_run(overlays, **row)
        except PlannerError as error:
            raise PlannerError(_by_option(error.args[0])) from None
        document, saved = found.to_json, partial(found.to_json)
        shown = partial(detail_table, found.prediction, found.memory, width())
    if output is not None:
        write_atomically(output, saved())
        say(said("output.saved", file=str(output)), quiet=quiet)
    if as_json:
        emit(document())
    elif not quiet and (output is None or rows is None):
        emit(shown())


def _by_option(sentence: str) -> str:
    """A sentence on a table's column as one on the option that stands for it."""
    if isinstance(sentence, Sentence) and "column" in sentence.values:
        return say_from(sentence.code, {**sentence.values, "column": _option(sentence.values["column"])})
    return sentence


def _option(column: str) -> str:
    return (_OPTIONS | _OTHER_OPTIONS).get(column, "--" + column.replace("_", "-"))
