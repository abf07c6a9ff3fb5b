"""What was measured on one GPU: published and own training throughputs, as a table beside its data sheet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from planner.catalog.catalog import Catalog
from planner.catalog.facts import SHIPPED
from planner.performance.gpu_names import accelerator_written
from planner.performance.refit import measured_files
from planner.performance.rows import Run, read_run
from planner.performance.tables import read_table
from planner.report.layout import Page, columns, heads, wrap
from planner.spec.hardware import Accelerator
from planner.units import format_number
from planner.words import said
from planner.workload.adapters import training_flops
from planner.workload.flops import flops_per_token

Row = Mapping[str, Any]
SHOWN = 12  # rows that people see
OWN = "own"  # the kind of a row of one's own that states none


def measured_rows(catalog: Catalog, gpu: str) -> list[Row]:
    """Every measured run on the accelerator `gpu`, of the shipped tables and the overlays, the most telling first.

    Model TFLOP/s are planner's own count (causal attention, no recompute) times tokens/s, both per device; what the
    source printed stands beside it. `row` is FILE:ROW, rows counted from 1 below the header.

    Raises
    ------
    PlannerError
        If a row on this part cannot be read, naming file and row.
    """
    shipped = measured_files()
    rows = [
        _measured(run, cells, SHIPPED if path in shipped else path.parent.parent.name)
        for path in measured_files(catalog.overlays)
        for run, cells in _runs_on(gpu, path, catalog)
    ]
    return _telling_first(rows)


def measured_table(rows: Sequence[Row], width: int) -> str:
    """The first SHOWN of these rows, and how many there are besides; "" where nothing was measured."""
    if not rows:
        return ""
    cells = [heads("tokens_per_s", "tflops", "what_ran", "row")]
    cells += [
        [
            format_number(round(row["tokens_per_s_per_gpu"])),
            format_number(round(row["model_tflops_per_gpu"])),
            _what_ran(row),
            row["row"],
        ]
        for row in rows[:SHOWN]
    ]
    lines = ["", *wrap(said("catalog_measured.title"), width), "", *columns(cells, "rrll", Page(width), flexible=2)]
    if len(rows) > SHOWN:
        sources = len({row["source"] for row in rows})
        lines += [
            "",
            *wrap(said("catalog_measured.more", more=len(rows) - SHOWN, rows=len(rows), sources=sources), width),
        ]
    return "\n".join(lines) + "\n"


def _what_ran(row: Row) -> str:
    kind = row["kind"]
    framework = row["framework"]
    return said(
        "catalog_measured.what_ran",
        model=row["model"],
        gpus=row["gpus"],
        precision=row["precision"],
        tokens=row["seq_length"],
        framework=said("labels.with_reason", text=framework, why=kind) if kind else framework,
    )


def _runs_on(gpu: str, path: Path, catalog: Catalog) -> Iterator[tuple[Run, Mapping[str, str]]]:
    """The measured rows of a table on this part; others are not read, but for the name of their GPU."""
    parts: dict[tuple[str, str], str | None] = {}
    for number, cells in enumerate(read_table(path).rows, 1):
        written = (cells.get("gpu") or "", cells.get("gpu_mem_gb") or "")
        if written not in parts:
            parts[written] = _part_id(*written, catalog.accelerators)
        if parts[written] != gpu:
            continue
        run = read_run(cells, catalog, f"{path.stem}:{number}", path.stem)
        if run.tokens_per_s_per_gpu:
            yield run, cells


def _part_id(name: str, memory_gb: str, accelerators: Mapping[str, Accelerator]) -> str | None:
    key = name.strip().lower()
    if key in accelerators:
        return key
    try:
        meant = accelerator_written(name, float(memory_gb) if memory_gb else None, accelerators)
    except ValueError:
        return None
    return None if meant is None else meant.id


def _measured(run: Run, cells: Mapping[str, str], layer: str) -> Row:
    setting, tokens = run.setting, float(run.tokens_per_s_per_gpu or 0.0)
    stated = cells.get("model_tflops_per_gpu") or ""
    counted = flops_per_token(setting.model, setting.seq_length)
    flops = training_flops(setting.model, counted, setting.conditions.adapter)
    return {
        "row": run.id,
        "source": run.source,
        "kind": cells.get("kind") or (None if layer == SHIPPED else OWN),
        "site": cells.get("site") or None,
        "date": cells.get("date") or None,
        "weight": cells.get("weight") or None,
        "project": cells.get("project") or None,
        "page": cells.get("page_or_path") or None,
        "model": run.model_name,
        "gpus": run.gpus,
        "precision": setting.precision,
        "seq_length": setting.seq_length,
        "framework": cells.get("framework") or setting.framework,
        "release": cells.get("version_or_date") or None,
        "tokens_per_s_per_gpu": tokens,
        "model_tflops_per_gpu": tokens * flops / 1e12,
        "stated_tflops_per_gpu": float(stated) if stated else None,
        "layer": layer,
    }


def _telling_first(rows: Sequence[Row]) -> list[Row]:
    """Each source's best row in each format, the newest source first, then its next best model's; repeats come last."""
    repeats: Counter[tuple[str, ...]] = Counter()
    ranks: Counter[tuple[str, ...]] = Counter()
    placed = []
    for row in sorted(rows, key=lambda row: -row["model_tflops_per_gpu"]):
        pair = (row["source"], row["precision"])
        again, rank = repeats[*pair, row["model"]], ranks[pair]
        placed.append((again, rank if again == 0 else 0, row))
        repeats[*pair, row["model"]] += 1
        ranks[pair] += again == 0
    placed.sort(key=lambda each: each[2]["date"] or "", reverse=True)
    placed.sort(key=lambda each: each[:2])
    return [row for *_, row in placed]
