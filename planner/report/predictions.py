"""Predictions as people and spreadsheets read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.files import csv_text
from planner.performance.arrays import Memory
from planner.performance.cells import unplaced
from planner.performance.predict import COLUMNS, Prediction
from planner.performance.stacks import recipe_in_words
from planner.report.evidence import MEMORY, memory_parts, terms_table
from planner.report.figures import between
from planner.report.layout import Page, bullets, columns, heads, labelled
from planner.words import phrase, said

WIDE = 105  # columns from which a table of rows also shows their layouts
_LAYOUT = {"tp": "tp", "pp": "pp", "vpp": "vpp", "cp": "cp", "ep": "ep", "micro_batch": "mb"}


def rows_csv(header: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """The predicted rows in their order: the columns they came with, then those that were added."""
    names = [*(name for name in header if name not in COLUMNS), *COLUMNS]
    return csv_text([names, *([row.get(name, "") for name in names] for row in rows)])


def rows_table(rows: Sequence[Mapping[str, str]], width: int, colour: bool = False) -> str:
    """One row a line; below them what speaks against rows, those with one objection together."""
    page = Page(width, colour)
    table = [heads("row", "model", "gpus", "layout", "rate_a_gpu", "interval", "gib", "fits", "basis")]
    for number, row in enumerate(rows, 1):
        low, high = (_whole(row[name]) for name in ("pred_lo", "pred_hi"))
        ends = between(low, high) if low and high else ""
        fits = {"true": said("labels.yes"), "false": said("labels.no")}.get(row["fits"], "")
        cluster = f"{row.get('gpus') or ''} {(row.get('gpu') or '').split('-')[0]}"
        memory = f"{float(row['pred_memory_gib']):.1f}" if row["pred_memory_gib"] else ""
        rate = _whole(row["pred_tokens_per_s_per_gpu"])
        run = [str(number), row.get("model") or "", cluster, stated_layout(row)]
        table.append([*run, rate, ends, memory, fits, phrase("basis", row["basis"])])
    kept = [0, 1, 2, 3, 4, 5, 6, 7, 8] if width >= WIDE else [0, 1, 2, 4, 5, 6, 7, 8]
    align = "".join("rlllrrrll"[i] for i in kept)
    lines = columns([[row[i] for i in kept] for row in table], align, page, flexible=1)
    for heading, column in (("predictions.against", "why"), ("predictions.taken_for", "assumed")):
        if found := _found(rows, column):
            lines += ["", page.heading(said(heading)), *bullets(found, page)]
    return "\n".join(lines) + "\n"


def stated_layout(row: Mapping[str, str]) -> str:
    """The layout that a row states, as short as "tp2 pp4 mb4"; what it leaves out or has as 1 is left out."""
    stated = ((short, (row.get(key) or "").strip()) for key, short in _LAYOUT.items())
    return " ".join(f"{short}{value}" for short, value in stated if value not in {"", "1"})


def _found(rows: Sequence[Mapping[str, str]], column: str) -> list[str]:
    """Each sentence of a column once, behind the rows it is to ("rows 2, 3: why"), in the order of their first rows."""
    found: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 1):
        if row[column]:
            found.setdefault(unplaced(row[column]), []).append(str(number))
    return [
        said("predictions.row" if len(which) == 1 else "predictions.rows", rows=which, why=why)
        for why, which in found.items()
    ]


def detail_table(found: Prediction, memory: Memory | None, width: int) -> str:
    """One layout: throughput, step and memory term by term, and what it stands on."""
    page = Page(width)
    step = found.step
    rates = {"rate": found.tokens_per_s_per_gpu, "low": found.low, "high": found.high}
    lines = labelled("throughput", said("predictions.throughput", **rates), page)
    total = float(step.total_s[0])
    lines += labelled("a_step", said("predictions.a_step", step=total), page)
    terms = sorted(((float(value[0]), name) for name, value in step.terms_s.items()), reverse=True)
    lines += terms_table([(name, value) for value, name in terms if value > 0], total, page)
    if memory is not None and found.memory_gib is not None:
        parts = memory_parts({name: float(getattr(memory, name)[0]) for name in MEMORY})
        used = said("predictions.memory", used=found.memory_gib, capacity=found.capacity_gib, parts=parts)
        lines += labelled("memory", used, page)
    stands = phrase("basis", found.basis)
    if found.measurements:
        stands = said("labels.of", what=stands, text=said("labels.listed", items=found.measurements))
    lines += labelled("stands_on", stands, page)
    recipe = recipe_in_words(found.run.setting)
    if recipe:
        lines += labelled("runs_with", recipe, page)
    lines += labelled("but", found.why, page)
    if found.assumed:
        lines += labelled("assumed", said("labels.in_row", items=found.assumed), page)
    return "\n".join(lines) + "\n"


def _whole(text: str) -> str:
    return f"{float(text):,.0f}" if text else ""
