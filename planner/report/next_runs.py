"""The runs to measure next, for people and as a document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from planner.performance.rows import Run
from planner.report.figures import written_percent
from planner.report.layout import Page, bullets, columns, heads, wrap
from planner.report.predictions import WIDE, stated_layout
from planner.words import said


@dataclass(frozen=True, slots=True)
class Chosen:
    """A run to measure: which row of its table it is, and what is to be said of it."""

    number: int  # of its row, from 1
    cells: Mapping[str, str]
    run: Run
    left: float  # of the candidates' mean spread today, once this run and those before it are measured
    why: str  # what speaks against the run, "" if nothing is known to


def next_runs_document(chosen: Sequence[Chosen], candidates: int, known: int) -> dict[str, Any]:
    """The chosen of so many candidates beside so many measured runs, as JSON has them."""
    rows = [
        {"row": each.number, **_described(each.run), "why": each.why or None, "spread_left": each.left}
        for each in chosen
    ]
    return {"schema_version": 1, "candidates": candidates, "known": known, "choose": rows}


def next_runs_table(chosen: Sequence[Chosen], candidates: int, known: int, width: int, colour: bool = False) -> str:
    """The same on a page of this width, ending in a newline."""
    page = Page(width, colour)
    table = [heads("", "row", "model", "gpus", "format", "framework", "layout", "spread_left")]
    for place, each in enumerate(chosen, 1):
        s = each.run.setting
        gpu = s.accelerator.id if width >= WIDE else s.accelerator.id.split("-")[0]
        described = (f"{each.run.gpus:,} {gpu}", s.precision, f"{s.framework} {s.release}", stated_layout(each.cells))
        left = written_percent(each.left, ".0%")
        table.append([str(place), str(each.number), each.run.model_name, *described, left])
    title = said("next_runs.title", chosen=len(chosen), candidates=candidates, known=known)
    lines = [*map(page.heading, wrap(title, width)), *columns(table, "rrlllllr", page, flexible=5, least=9), ""]
    against = [said("predictions.row", rows=[str(each.number)], why=each.why) for each in chosen if each.why]
    if against:
        lines += [page.heading(said("predictions.against")), *bullets(against, page), ""]
    below = (said("next_runs.spread", candidates=candidates), said("next_runs.then"))
    return "\n".join([*lines, *(f"  {line}" for text in below for line in wrap(text, width - 2))]) + "\n"


def _described(run: Run) -> dict[str, Any]:
    s = run.setting
    layout = ("tp", "pp", "vpp", "dp", "cp", "ep", "zero_stage", "sequence_parallel", "recompute", "micro_batch")
    return {
        "model": run.model_name,
        "gpu": s.accelerator.id,
        "gpus": run.gpus,
        "precision": s.precision,
        "framework": s.framework,
        "framework_release": s.release,
        "seq_length": s.seq_length,
        "global_batch": round(run.step_tokens / s.seq_length),
        "layout": {name: getattr(run.layout, name) for name in layout},
    }
