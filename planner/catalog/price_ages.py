"""How old a price is, on a given day: counted from the earliest day that its source allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from planner.words import say

SAY_AFTER_DAYS = 30
MARK_AFTER_DAYS = 90


class Dated(Protocol):
    """Anything with the dates of a price: an `Offer` or a `PriceRow`."""

    @property
    def as_of(self) -> str: ...
    @property
    def as_of_earliest(self) -> date | None: ...
    @property
    def as_of_latest(self) -> date | None: ...
    @property
    def date_kind(self) -> str: ...


@dataclass(frozen=True, slots=True)
class PriceAge:
    """Days since the price was last known to hold. `at_least`: the source gives no earliest day, it may be older."""

    days: int | None  # None: the user's own price, which has no age
    at_least: bool
    as_of: str
    estimated: bool = False  # within a half-year or a year, as its source has it

    @property
    def level(self) -> str:
        """One of fresh, old (said with the plan) and stale (the plan is marked)."""
        if self.days is None:
            return "fresh"
        if self.days > MARK_AFTER_DAYS or self.at_least:
            return "stale"
        return "old" if self.days > SAY_AFTER_DAYS else "fresh"

    @property
    def sentence(self) -> str:
        """What to say of it, "" for a fresh price."""
        if self.level == "fresh":
            return ""
        how = "at_least" if self.at_least else "up_to" if self.estimated else "days"
        age, advice = say(f"price_ages.{how}", days=self.days), say(f"price_ages.advice_{self.level}")
        return say("price_ages.price", as_of=self.as_of, age=age, advice=advice)


def price_age(price: Dated, on: date) -> PriceAge:
    """The age of a price on a day. A price from after that day has age 0."""
    estimated = price.date_kind.endswith("_estimate")
    if price.date_kind == "user" and price.as_of_earliest is None and price.as_of_latest is None:
        return PriceAge(None, False, price.as_of)
    if price.as_of_earliest is not None:
        first = price.as_of_earliest
        return PriceAge(max(0, (on - first).days), False, price.as_of or first.isoformat(), estimated)
    if price.as_of_latest is not None:
        last = price.as_of_latest
        return PriceAge(max(0, (on - last).days), True, price.as_of or last.isoformat(), estimated)
    return PriceAge(0, True, price.as_of or say("price_ages.unknown_day"))


def oldest(prices: Iterable[Dated], on: date) -> PriceAge | None:
    """The oldest of several prices; None if there is none."""
    ages = [price_age(price, on) for price in prices]
    return max(ages, key=lambda age: (age.at_least, age.days or 0), default=None)
