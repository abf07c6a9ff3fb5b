"""Predictions as people and spreadsheets read them."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence

from planner.performance.arrays import Memory
from planner.performance.predict import COLUMNS, Prediction
from planner.report.layout import Page, bar, columns, hanging
from planner.units import format_number, format_percent


def rows_csv(header: Sequence[str], rows: Sequence[Mapping[str, str]]) -> str:
    """The predicted rows in their order: the columns they came with, then those that were added."""
    kept = [name for name in header if name not in COLUMNS]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, [*kept, *COLUMNS], lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def rows_table(rows: Sequence[Mapping[str, str]], width: int) -> str:
    """One row a line."""
    table = [["row", "tokens/s a GPU", "80 % interval", "GiB", "fits", "basis", "why"]]
    for number, row in enumerate(rows, 1):
        low, high = (_whole(row[name]) for name in ("pred_lo", "pred_hi"))
        between = f"{low} to {high}" if low and high else ""
        fits = {"true": "yes", "false": "no"}.get(row["fits"], "")
        rate = _whole(row["pred_tokens_per_s_per_gpu"])
        table.append([str(number), rate, between, row["pred_memory_gib"], fits, row["basis"], row["why"]])
    return "\n".join(columns(table, "rrrrlll", Page(width), flexible=6)) + "\n"


def detail_table(found: Prediction, memory: Memory | None, width: int) -> str:
    """One layout: throughput, step and memory term by term, and what it stands on."""
    page = Page(width)
    step = found.step
    text = f"{found.tokens_per_s_per_gpu:,.0f} tokens/s a GPU ({found.low:,.0f} to {found.high:,.0f}, 80 % interval)"
    lines = hanging("throughput", text, page)
    total = float(step.total_s[0])
    lines += hanging("a step", f"{format_number(total)} s", page)
    terms = sorted(((float(value[0]), name) for name, value in step.terms_s.items()), reverse=True)
    shown = [(name.replace("_", " "), value) for value, name in terms if value > 0]
    rows = [
        (name, f"{format_number(value, 3)} s", format_percent(value / total), bar(value / total, 20))
        for name, value in shown
    ]
    lines += columns(rows, "lrrl", page, header=False)
    if memory is not None and found.memory_gib is not None:
        parts = ", ".join(
            f"{name} {format_number(float(getattr(memory, name)[0]), 3)}"
            for name in ("weights", "gradients", "optimizer", "activations", "other")
        )
        used = f"{format_number(found.memory_gib, 3)} of {format_number(found.capacity_gib, 3)} GiB ({parts})"
        lines += hanging("memory", used, page)
    stands = found.basis + (f": {', '.join(found.measurements)}" if found.measurements else "")
    lines += hanging("stands on", stands, page)
    if found.why:
        lines += hanging("but", found.why, page)
    return "\n".join(lines) + "\n"


def _whole(text: str) -> str:
    return f"{float(text):,.0f}" if text else ""
