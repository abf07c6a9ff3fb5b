"""A sweep's table as a person reads it on a terminal, and as files: CSV, JSON, Parquet."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from planner import files
from planner.money import in_its_money, money_of
from planner.report.figures import Scale, chance, money_scale, time_scale
from planner.report.layout import Page, bullets, columns, display_width, heads
from planner.results.json_form import hours_apart
from planner.results.plan import pricing_words
from planner.results.row import Value
from planner.sweeps.table import COLUMNS, Row, Sweep
from planner.units import PlannerError, format_count, format_number
from planner.words import said, say

KINDS = ("csv", "json", "parquet")
MOST_ROWS = 60  # on a terminal
MOST_REASONS = 5


def table_kind(path: Path) -> str:
    """The kind of table that a file's name asks for, before anything is solved.

    Raises
    ------
    PlannerError
        If it is none of csv, json and parquet, or what writes it is not installed.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in KINDS:
        raise PlannerError(say("report_sweep.kind_unknown", path=path, kinds=[f".{known}" for known in KINDS]))
    if kind == "parquet" and not (find_spec("pyarrow") or find_spec("fastparquet")):
        how = "pip install 'llm-cluster-planner[parquet]'"
        raise PlannerError(say("report_sweep.no_parquet", path=path, how=how))
    return kind


def save_table(sweep: Sweep, path: Path) -> None:
    """Write the rows into `path`, whole or not at all; equal sweeps give equal files.

    Raises
    ------
    PlannerError
        As `table_kind`, or if the file cannot be written.
    """
    kind = table_kind(path)
    content: str | bytes = sweep.to_json() if kind == "json" else csv_text(sweep) if kind == "csv" else _parquet(sweep)
    files.write_atomically(path, content)


def csv_text(sweep: Sweep) -> str:
    """The rows as CSV under one header; what is not known is empty."""
    rows = written_rows(sweep)
    names = list(rows[0])
    cells = ([str(row[name]).lower() if isinstance(row[name], bool) else row[name] for name in names] for row in rows)
    return files.csv_text([names, *cells])


def written_rows(sweep: Sweep) -> list[dict[str, Value]]:
    """The rows as files hold them, under one header: where hours are counted, no column of USD holds a number."""
    rows = [dict(row) for row in sweep.rows]
    if not money_of(sweep).hours:
        return rows
    apart = hours_apart(rows)
    names = dict.fromkeys(name for row in apart for name in row)
    return [{name: row.get(name) for name in names} for row in apart]


@in_its_money
def sweep_table(sweep: Sweep, width: int = 80, colour: bool = False) -> str:
    """One variation a line, in the units of the largest, and why some have no plan; ends in a newline."""
    page = Page(width, colour)
    rows = sweep.rows[:MOST_ROWS]
    time = time_scale(max([*_known(rows, "time_s_p50"), *_known(rows, "least_time_s")], default=0.0))
    cost = money_scale(max([*_known(rows, "cost_usd_p50"), *_known(rows, "least_cost_usd")], default=0.0))
    keys = [over.key for over in sweep.over]
    head = [*(key.replace(".", ". ") for key in keys), time.unit, cost.unit, *heads("chance", "cluster", "batch")]
    body = [[*(_shown(row[key]) for key in keys), *_plan_cells(row, time, cost)] for row in rows]
    align = "".join("r" if all(_is_figure(row[key]) for row in rows) else "l" for key in keys) + "rrrlr"
    kept = _fitting([head, *body], len(keys), page.width)
    if not any(row[len(keys) + 1] for row in body):  # machines without a price
        kept = [i for i in kept if i != len(keys) + 1]
    table = [[row[i] for i in kept] for row in (head, *body)]
    lines = columns(table, "".join(align[i] for i in kept), page, flexible=kept.index(len(keys) + 3))
    if len(rows) < len(sweep.rows):
        lines += ["", *bullets([said("report_sweep.shown", rows=len(rows), all=len(sweep.rows))], page)]
    for title, status in (("comparison.infeasible", "infeasible"), ("report_sweep.unplanned", "bad_input")):
        texts = [row["reason"] for row in sweep.rows if row["status"] == status]
        reasons = list(dict.fromkeys(reason if isinstance(reason, str) else str(reason) for reason in texts))
        if reasons:
            if status == "infeasible" and any(row["least_time_s"] is not None for row in rows):
                reasons.insert(0, said("report_sweep.least"))
            left = len(reasons) - MOST_REASONS
            more = [said("report_sweep.more_reasons", left=left)] if left > 0 else []
            lines += ["", page.heading(said(title)), *bullets([*reasons[:MOST_REASONS], *more], page)]
    return "\n".join(lines) + "\n"


def _fitting(table: Sequence[Sequence[str]], keys: int, width: int) -> list[int]:
    """The columns that have room: on a narrow page the batch gives way first, then the chance."""
    chance_at, batch_at = keys + 2, keys + 4
    widths = [max(display_width(row[i]) if n else 8 for n, row in enumerate(table)) + 2 for i in range(batch_at + 1)]
    kept = list(range(batch_at + 1))
    for least in (batch_at, chance_at):
        if sum(widths[i] for i in kept) > width:
            kept.remove(least)
    return kept


def _plan_cells(row: Row, time: Scale, cost: Scale) -> list[str]:
    if row["status"] != "optimal":
        what = said("labels.infeasible" if row["status"] == "infeasible" else "report_sweep.cannot")
        return [_at_least(time, row["least_time_s"]), _at_least(cost, row["least_cost_usd"]), "", what, ""]
    return [
        time.figure(_number(row["time_s_p50"])),
        "" if row["cost_usd_p50"] is None else cost.figure(_number(row["cost_usd_p50"])),
        "" if row["p_within_both"] is None else chance(_number(row["p_within_both"])),
        said("one_screen.place", gpus=row["gpus"], gpu=row["gpu"], place=_seller(row)),
        _shown(row["global_batch"]),
    ]


def _seller(row: Row) -> str:
    """Where the machines are and how they are paid."""
    kind = pricing_words(str(row["pricing"]))
    return kind if row["pricing"] == "owned" else said("plan_sections.seller", cloud=row["cloud"], pricing=kind)


def _at_least(scale: Scale, value: Value) -> str:
    return "" if value is None else f"≥ {scale.figure(_number(value))}"


def _known(rows: Iterable[Row], name: str) -> list[float]:
    return [value for row in rows if (value := _number(row[name])) is not None]


def _number(value: Value) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_figure(value: Value) -> bool:
    """Whether it reads as a number with or without a unit, and so lines up on the right."""
    return _number(value) is not None or (isinstance(value, str) and value[:1].isdigit())


def _shown(value: Value) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return format_count(value)
    return format_number(value, 6) if isinstance(value, float) else str(value)


def _kind(values: Sequence[Value]) -> type:
    """The type of a column's values, as far as they are known."""
    return next((type(value) for value in values if value is not None), str)


def _parquet(sweep: Sweep) -> bytes:
    import pandas as pd

    types = {str: "string", int: "Int64", float: "Float64", bool: "boolean"}
    rows = written_rows(sweep)
    table = pd.DataFrame(rows)
    kinds = {name: types[COLUMNS.get(name) or _kind([row[name] for row in rows])] for name in table.columns}
    buffer = io.BytesIO()
    table.astype(kinds).to_parquet(buffer, index=False)
    return buffer.getvalue()
