"""Predictions as people and spreadsheets read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from planner.files import csv_text
from planner.performance.arrays import Memory
from planner.performance.cells import unplaced
from planner.performance.predict import COLUMNS, Prediction
from planner.performance.stacks import recipe_in_words
from planner.report.evidence import MEMORY, terms_table
from planner.report.layout import Page, bullets, columns, hanging
from planner.units import format_number

WIDE = 105  # columns from which a table of rows also shows their layouts
_LAYOUT = {"tp": "tp", "pp": "pp", "vpp": "vpp", "cp": "cp", "ep": "ep", "micro_batch": "mb"}


def rows_csv(header: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """The predicted rows in their order: the columns they came with, then those that were added."""
    names = [*(name for name in header if name not in COLUMNS), *COLUMNS]
    return csv_text([names, *([row.get(name, "") for name in names] for row in rows)])


def rows_table(rows: Sequence[Mapping[str, str]], width: int, colour: bool = False) -> str:
    """One row a line; below them what speaks against rows, those with one objection together."""
    page = Page(width, colour)
    table = [["row", "model", "GPUs", "layout", "tokens/s a GPU", "80 % interval", "GiB", "fits", "basis"]]
    for number, row in enumerate(rows, 1):
        low, high = (_whole(row[name]) for name in ("pred_lo", "pred_hi"))
        between = f"{low} to {high}" if low and high else ""
        fits = {"true": "yes", "false": "no"}.get(row["fits"], "")
        cluster = f"{row.get('gpus') or ''} {(row.get('gpu') or '').split('-')[0]}"
        memory = f"{float(row['pred_memory_gib']):.1f}" if row["pred_memory_gib"] else ""
        rate = _whole(row["pred_tokens_per_s_per_gpu"])
        run = [str(number), row.get("model") or "", cluster, stated_layout(row)]
        table.append([*run, rate, between, memory, fits, row["basis"]])
    kept = [0, 1, 2, 3, 4, 5, 6, 7, 8] if width >= WIDE else [0, 1, 2, 4, 5, 6, 7, 8]
    align = "".join("rlllrrrll"[i] for i in kept)
    lines = columns([[row[i] for i in kept] for row in table], align, page, flexible=1)
    for heading, column in (("What speaks against them", "why"), ("What they were taken for", "assumed")):
        if said := _said(rows, column):
            lines += ["", page.heading(heading), *bullets(said, page)]
    return "\n".join(lines) + "\n"


def stated_layout(row: Mapping[str, str]) -> str:
    """The layout that a row states, as short as "tp2 pp4 mb4"; what it leaves out or has as 1 is left out."""
    stated = ((short, (row.get(key) or "").strip()) for key, short in _LAYOUT.items())
    return " ".join(f"{short}{value}" for short, value in stated if value not in {"", "1"})


def _said(rows: Sequence[Mapping[str, str]], column: str) -> list[str]:
    """Each sentence of a column once, behind the rows it is to ("rows 2, 3: why"), in the order of their first rows."""
    found: dict[str, list[str]] = {}
    for number, row in enumerate(rows, 1):
        if row[column]:
            found.setdefault(unplaced(row[column]), []).append(str(number))
    return [f"row{'' if len(which) == 1 else 's'} {', '.join(which)}: {why}" for why, which in found.items()]


def detail_table(found: Prediction, memory: Memory | None, width: int) -> str:
    """One layout: throughput, step and memory term by term, and what it stands on."""
    page = Page(width)
    step = found.step
    text = f"{found.tokens_per_s_per_gpu:,.0f} tokens/s a GPU ({found.low:,.0f} to {found.high:,.0f}, 80 % interval)"
    lines = hanging("throughput", text, page)
    total = float(step.total_s[0])
    lines += hanging("a step", f"{format_number(total)} s", page)
    terms = sorted(((float(value[0]), name) for name, value in step.terms_s.items()), reverse=True)
    lines += terms_table([(name, value) for value, name in terms if value > 0], total, page)
    if memory is not None and found.memory_gib is not None:
        parts = ", ".join(f"{name} {format_number(float(getattr(memory, name)[0]), 3)}" for name in MEMORY)
        used = f"{format_number(found.memory_gib, 3)} of {format_number(found.capacity_gib, 3)} GiB ({parts})"
        lines += hanging("memory", used, page)
    stands = found.basis + (f": {', '.join(found.measurements)}" if found.measurements else "")
    lines += hanging("stands on", stands, page)
    recipe = recipe_in_words(found.run.setting)
    if recipe:
        lines += hanging("runs with", recipe, page)
    if found.why:
        lines += hanging("but", found.why, page)
    if found.assumed:
        lines += hanging("assumed", "; ".join(found.assumed), page)
    return "\n".join(lines) + "\n"


def _whole(text: str) -> str:
    return f"{float(text):,.0f}" if text else ""
