"""Prices as tables: a choice of them, what changed between two snapshots, and what an import did with each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from planner.catalog.catalog import Catalog
from planner.catalog.diff import PriceChange
from planner.catalog.importing import Import
from planner.catalog.price_ages import MARK_AFTER_DAYS, SAY_AFTER_DAYS, price_age
from planner.reading.names import did_you_mean
from planner.report.layout import Page, bullets, columns, heads, wrap
from planner.units import PlannerError, format_number
from planner.words import phrase, said, say

Row = Mapping[str, Any]
_EXAMPLES = 10
_MOVES = 12  # changed prices that an import shows


def chosen(rows: Sequence[Row], *, gpu: str | None = None, sort: str | None = None, **equal: str | None) -> list[Row]:
    """The rows of an accelerator (an id, or how ids begin: `h100`) and with the columns named, sorted by a column.

    `sort` with a minus in front turns the order round. Rows without a value come last.

    Raises
    ------
    PlannerError
        If a column is not there, or nothing has the value asked for, with the nearest that something has.
    """
    names = list(rows[0]) if rows else []
    wanted = {**equal, "gpu": gpu}
    for column, value in wanted.items():
        if value is None or not rows:
            continue
        column = column if column in names else "id" if column == "gpu" and "bf16_tflops" in names else column
        if column not in names:
            raise PlannerError(say("catalog_prices.no_column", column=column, columns=names))
        known = sorted({str(row[column]) for row in rows})
        begins = column in ("gpu", "id")
        rows = [row for row in rows if row[column] == value or (begins and str(row[column]).startswith(value.lower()))]
        if not rows:
            near = did_you_mean(value, known)
            raise PlannerError(say("catalog_prices.no_value", column=column, value=value, near=near, known=known))
    if sort is not None:
        key = sort.removeprefix("-")
        if names and key not in names:
            near = did_you_mean(key, names)
            raise PlannerError(say("catalog_prices.no_key", key=key, near=near, columns=names))
        with_value = [row for row in rows if row[key] is not None]
        with_value.sort(key=lambda row: row[key], reverse=sort.startswith("-"))
        rows = [*with_value, *(row for row in rows if row[key] is None)]
    return list(rows)


def ages_line(catalog: Catalog, on: date, width: int) -> str:
    """One sentence on how old the prices of a catalog are."""
    ages = [price_age(row, on) for row in catalog.prices if "superseded" not in row.flags]
    stale = sum(age.level == "stale" for age in ages)
    old = sum(age.level == "old" for age in ages)
    counts = {"stale": stale, "prices": len(ages), "old": old}
    text = said("catalog_prices.ages", day=on, **counts, stale_after=MARK_AFTER_DAYS, old_after=SAY_AFTER_DAYS)
    return "\n".join(wrap(text, width)) + "\n"


def changes_rows(changes: Sequence[PriceChange]) -> list[Row]:
    """Changes as plain values."""
    return [
        {
            "id": each.id,
            "gpu": each.gpu,
            "what": each.what,
            "usd_per_gpu_hour_before": each.before,
            "usd_per_gpu_hour_after": each.after,
            "change": each.change,
            "as_of_before": each.as_of_before,
            "as_of_after": each.as_of_after,
        }
        for each in changes
    ]


def changes_table(changes: Sequence[PriceChange], width: int) -> str:
    """What changed, the largest change first."""
    if not changes:
        return said("catalog_prices.no_change") + "\n"
    rows = [heads("offer", "gpu", "before", "after", "change")]
    for each in changes:
        change = phrase("price_changes", each.what) if each.change is None else f"{each.change:+.0%}"
        rows.append([each.id, each.gpu, _usd(each.before), _usd(each.after), change])
    counts = {what: sum(each.what == what for each in changes) for what in ("dearer", "cheaper", "new", "gone")}
    parts = [
        said("labels.valued", name=count, value=phrase("price_changes", what))
        for what, count in counts.items()
        if count
    ]
    total = said("catalog_prices.total", counts=parts)
    return "\n".join([*columns(rows, "llrrr", Page(width), flexible=0), "", total]) + "\n"


def import_table(outcome: Import, files: Sequence[str], width: int) -> str:
    """What an import kept, and every reason for which it did not, with examples."""
    page = Page(width)
    lines = [said("catalog_prices.read", rows=outcome.lines_read, prices=len(outcome.rows))]
    lines += bullets(
        (said("catalog_prices.not_counted", rows=count, what=what) for what, count in outcome.other.items() if count),
        page,
    )
    for (check, what), rows in outcome.report.groupby(["check", "what"], sort=True):
        lines += ["", said("catalog_prices.check", check=check, rows=len(rows), what=phrase("importing", what))]
        shown = rows.head(_EXAMPLES)
        lines += bullets(
            (
                said(
                    "catalog_prices.example",
                    file=row.file,
                    line=row.line,
                    offer=f"{row.cloud} {row.instance} {row.region} {row.pricing}",
                    reason=row.reason,
                )
                for row in shown.itertuples()
            ),
            page,
        )
        if len(rows) > _EXAMPLES:
            lines += bullets([said("catalog_prices.more_examples", more=len(rows) - _EXAMPLES)], page)
    if files:
        lines += ["", said("catalog_prices.written"), *bullets(files, page)]
    return "\n".join(lines) + "\n"


def moved_table(changes: Sequence[PriceChange], width: int) -> str:
    """What an import changes of the prices known before: the largest changes, and counts."""
    if not changes:
        return f"\n{said('catalog_prices.none_moved')}\n"
    moves = [each for each in changes if each.change is not None]
    shown, more, new = moves[:_MOVES], len(moves) - _MOVES, len(changes) - len(moves)
    lines = [said("catalog_prices.changed"), changes_table(shown, width) if shown else ""]
    lines += [said("catalog_prices.more_moved", more=more)] if more > 0 else []
    lines += [said("catalog_prices.offers_new", offers=new)] if new else []
    return "\n" + "\n".join(lines).rstrip() + "\n"


def _usd(value: float | None) -> str:
    return "" if value is None else format_number(value)
