"""The runs to measure next, for people and as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from planner.performance.arrays import RECOMPUTE
from planner.performance.next_runs import NextRun
from planner.performance.rows import Run
from planner.report.layout import Page, columns, wrap
from planner.report.predictions import WIDE, stated_layout

THEN = "Measure them and fill in tokens_per_s_per_gpu; `planner calibrate` learns it."


def next_runs_document(chosen: Sequence[NextRun], rows: Sequence[tuple[int, Run]], known: int) -> dict[str, Any]:
    """The chosen of the candidates `rows`, each with its row number in the table, as JSON has them."""
    return {
        "schema_version": 1,
        "candidates": len(rows),
        "known": known,
        "choose": [{"row": number, **_described(run), "spread_left": left} for number, run, left in _of(chosen, rows)],
    }


def next_runs_table(
    chosen: Sequence[NextRun],
    rows: Sequence[tuple[int, Run]],
    cells: Sequence[Mapping[str, str]],
    known: int,
    width: int,
    colour: bool = False,
) -> str:
    """The same on a page of this width, ending in a newline; `cells`: the table's rows, measured ones too."""
    page = Page(width, colour)
    wide = width >= WIDE
    table = [["", "row", "model", "GPUs", "format", "framework", "layout", "spread left"]]
    for place, (number, run, left) in enumerate(_of(chosen, rows), 1):
        gpu = run.setting.accelerator.id
        cluster = f"{run.gpus:,} {gpu if wide else gpu.split('-')[0]}"
        software = f"{run.setting.framework} {run.setting.release}"
        described = [run.model_name, cluster, run.setting.precision, software, stated_layout(cells[number - 1])]
        table.append([str(place), str(number), *described, f"{left:.0%}".replace("%", " %")])
    title = f"{len(chosen):,} of {len(rows):,} candidates to measure first; {known:,} runs are known"
    means = (
        f"Spread left: how far off predictions of all {len(rows):,} may be, on their mean, once this run and those "
        "above it are measured; today is 100 %."
    )
    lines = [*map(page.heading, wrap(title, width)), *columns(table, "rrlllllr", page, flexible=5), ""]
    return "\n".join([*lines, *(f"  {line}" for text in (means, THEN) for line in wrap(text, width - 2))]) + "\n"


def _of(chosen: Sequence[NextRun], rows: Sequence[tuple[int, Run]]) -> list[tuple[int, Run, float]]:
    return [(*rows[each.index], each.left) for each in chosen]


def _described(run: Run) -> dict[str, Any]:
    s = run.setting
    layout = ("tp", "pp", "vpp", "dp", "cp", "ep", "zero_stage", "sequence_parallel")
    return {
        "model": run.model_name,
        "gpu": s.accelerator.id,
        "gpus": run.gpus,
        "precision": s.precision,
        "framework": s.framework,
        "framework_release": s.release,
        "seq_length": s.seq_length,
        "global_batch": round(run.grad_accum * run.micro_batch * run.dp),
        "layout": {
            **{name: getattr(run, name) for name in layout},
            "recompute": RECOMPUTE[run.recompute],
            "micro_batch": run.micro_batch,
        },
    }
