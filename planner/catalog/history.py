"""Prices as they were on a day, from the rows that a snapshot keeps as history (`superseded`) and their dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from planner.catalog.prices import PriceRow
from planner.units import PlannerError
from planner.words import say


def seen_from(row: PriceRow) -> date | None:
    """The first day on which a price is known to have held; None: it has no date."""
    return row.as_of_earliest or row.as_of_latest


def prices_on(rows: Iterable[PriceRow], day: date) -> list[PriceRow]:
    """Rows of all layers, the strongest last, as they stood on a day.

    Where the present price is younger, the newest that is not takes its place, if there is one: it loses its flag
    `superseded`, and the others get it. A price of which nobody knows what it was before stays: its date says that it
    is younger. One that nothing has replaced is not brought back, as nobody knows until when it stood.
    """
    listed = list(rows)
    present = {row.key: row for row in listed if in_use(row)}
    late = {key for key, row in present.items() if _younger(row, day)}
    current: dict[tuple[str, str, str, str], PriceRow] = {}
    for row in listed:
        since = seen_from(row)
        if row.key not in late or _never(row) or since is None or since > day:
            continue
        held = current.get(row.key)
        if held is None or (seen_from(held) or date.min) <= since:
            current[row.key] = row
    return [_turned(row, current[row.key]) if row.key in current else row for row in listed]


def younger(rows: Iterable[PriceRow], day: date) -> int:
    """How many offers keep a price of a later day, as none is known of that day."""
    return sum(in_use(row) and _younger(row, day) for row in rows)


def refuse_before_all(rows: Iterable[PriceRow], day: date) -> None:
    """Refuse a day of which nothing is known.

    Raises
    ------
    PlannerError
        If every price is younger.
    """
    oldest = min((since for row in rows if (since := seen_from(row)) is not None), default=day)
    if oldest > day:
        raise PlannerError(say("history.no_price", day=day, oldest=oldest))


def in_use(row: PriceRow) -> bool:
    """Whether a row is its offer's price today."""
    return "superseded" not in row.flags and not _never(row)


def _never(row: PriceRow) -> bool:
    """Whether a row is no price of its offer on any day."""
    return bool({"index", "suspect"} & set(row.flags)) or row.quality == "X"


def _younger(row: PriceRow, day: date) -> bool:
    since = seen_from(row)
    return since is not None and since > day


def _turned(row: PriceRow, current: PriceRow) -> PriceRow:
    if row is current:
        return row._replace(flags=tuple(flag for flag in row.flags if flag != "superseded"))
    return row._replace(flags=(*row.flags, "superseded")) if in_use(row) else row
