"""Prices as they were on a day, from the rows that a snapshot keeps as history (`superseded`) and their dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from planner.catalog.prices import PriceRow
from planner.units import PlannerError


def seen_from(row: PriceRow) -> date | None:
    """The first day on which a price is known to have held; None: it has no date."""
    return row.as_of_earliest or row.as_of_latest


def prices_on(rows: Iterable[PriceRow], day: date) -> list[PriceRow]:
    """One layer's rows as they stood on a day: where the present price is younger, the newest that is not, if any.

    The row that stood loses its flag `superseded`, the younger one gets it. A price of which nobody knows what it was
    before stays: its date says that it is younger. One that nothing has replaced is not brought back: nobody knows until
    when it stood.
    """
    listed = list(rows)
    present = {row.key: row for row in listed if _stands(row)}
    before: dict[tuple[str, str, str, str], PriceRow] = {}
    for row in listed:
        since = seen_from(row)
        if "superseded" not in row.flags or row.quality == "X" or since is None or since > day:
            continue
        held = before.get(row.key)
        if held is None or (seen_from(held) or date.min) < since:
            before[row.key] = row
    turned = {key for key in before if key in present and _younger(present[key], day)}
    return [_turned(row, before[row.key]) if row.key in turned else row for row in listed]


def younger(rows: Iterable[PriceRow], day: date) -> int:
    """How many offers keep a price of a later day, as none is known of that day."""
    return sum(_stands(row) and _younger(row, day) for row in rows)


def refuse_before_all(rows: Iterable[PriceRow], day: date) -> None:
    """Refuse a day of which nothing is known.

    Raises
    ------
    PlannerError
        If every price is younger.
    """
    oldest = min((since for row in rows if (since := seen_from(row)) is not None), default=day)
    if oldest > day:
        raise PlannerError(f"no price is known of {day}; the oldest is of {oldest}")


def _stands(row: PriceRow) -> bool:
    return not {"superseded", "index"} & set(row.flags) and row.quality != "X"


def _younger(row: PriceRow, day: date) -> bool:
    since = seen_from(row)
    return since is not None and since > day


def _turned(row: PriceRow, stood: PriceRow) -> PriceRow:
    if row is stood:
        return row._replace(flags=tuple(flag for flag in row.flags if flag != "superseded"))
    return row._replace(flags=(*row.flags, "superseded")) if _stands(row) else row
