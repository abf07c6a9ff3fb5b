"""Rates of currencies that the catalog or an overlay states: `currencies.csv`, one dated rate a code.

None is shipped: a rate holds for a day, and nobody but the reader knows which day counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from planner.money import CURRENCIES, Money
from planner.reading import fault, read_csv
from planner.reading.quantities import parse_date, parse_number
from planner.units import PlannerError
from planner.words import say

FILE = "currencies.csv"
COLUMNS = ("code", "usd", "as_of", "source")


def currency_rates(folders: Sequence[Path]) -> Mapping[str, Money]:
    """The rate of each code, the last folder's last row first heard; `usd` is what one of it is in US dollars.

    Raises
    ------
    PlannerError
        If a file lacks a column, or a row has an unknown code, no rate or no date.
    """
    found: dict[str, Money] = {}
    for folder in folders:
        file = folder / FILE
        if not file.is_file():
            continue
        table = read_csv(file, COLUMNS)
        for row, line in zip(table.rows(), table.lines, strict=True):
            try:
                found[row["code"]] = _rate(row)
            except PlannerError as error:
                raise fault(file, error.args[0], line) from None
    return found


def _rate(row: Mapping[str, str]) -> Money:
    if row["code"] not in CURRENCIES or row["code"] == "USD":
        raise PlannerError(say("currencies.code", code=row["code"][:20], known=CURRENCIES[1:]))
    usd = parse_number(row["usd"], say("currencies.usd"))
    if not usd > 0:
        raise PlannerError(say("currencies.above_0"))
    return Money(row["code"], 1.0 / usd, parse_date(row["as_of"]), row["source"])
