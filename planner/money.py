"""In which unit amounts are written: US dollars, another currency at one dated rate, or hours that are counted.

Inside, every amount is in US dollars; an hour that is counted, in place of money, is one. Whatever writes an amount
asks `writing` for its unit, so that one answer has one unit from its first sentence to its last table.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
F = TypeVar("F")
R = TypeVar("R")

GPU_HOURS, NODE_HOURS = "GPU-hours", "node-hours"
HOURS = (GPU_HOURS, NODE_HOURS)
#: Currencies that a scenario may state a rate of, by their ISO 4217 codes, and signs that mean one of them alone.
CURRENCIES = tuple(
    "USD EUR GBP CNY JPY CHF CAD AUD NZD INR KRW SEK NOK DKK PLN CZK HUF TRY SGD HKD TWD BRL MXN ZAR ILS AED".split()
)
SIGNS: Mapping[str, str] = {"€": "EUR", "£": "GBP", "₹": "INR", "RMB": "CNY", "US$": "USD", "$": "USD"}
HOLDERS = ("money", "provenance", "scenario", "answer")  # of a scenario's or an answer's fields: who state its unit
_UNIT = f"{'|'.join(CURRENCIES)}|{'|'.join(HOURS)}"


@dataclass(frozen=True, slots=True)
class Money:
    """A unit of amounts, and how many of it are one US dollar; of hours: how many are one hour, 1."""

    unit: str = field(default="USD", metadata={"like": (_UNIT, "a currency's code or a unit of hours")})
    per_usd: float = 1.0
    as_of: date | None = None  # the day that the rate is of
    source: str = ""

    @property
    def hours(self) -> bool:
        """Whether hours are counted in place of money."""
        return self.unit in HOURS

    @property
    def foreign(self) -> bool:
        """Whether a rate stands between what is written and US dollars."""
        return self.unit != "USD" and not self.hours

    @property
    def usd(self) -> float:
        """US dollars of one of it."""
        return 1.0 / self.per_usd

    def amount(self, usd: float) -> float:
        """What so many US dollars are in this unit."""
        return usd * self.per_usd

    @property
    def rate_figure(self) -> str:
        """The rate alone: "1 EUR = 1.08 USD"."""
        one, other, rate = (self.unit, "USD", self.usd) if self.per_usd < 1 else ("USD", self.unit, self.per_usd)
        return f"1 {one} = {rate:.6g} {other}"


USD = Money()
_WRITING: ContextVar[Money] = ContextVar("money", default=USD)


def writing() -> Money:
    """The unit that amounts are written in now."""
    return _WRITING.get()


@contextmanager
def written_in(money: Money | None) -> Iterator[Money]:
    """Amounts that are written within are in this unit; None: US dollars."""
    token = _WRITING.set(money or USD)
    try:
        yield money or USD
    finally:
        _WRITING.reset(token)


def money_of(what: Any) -> Money:
    """The unit that a scenario or an answer states, or one that several agree on; US dollars otherwise."""
    if isinstance(what, Money):
        return what
    if isinstance(what, list | tuple):
        found = list(dict.fromkeys(money_of(each) for each in what))
        return found[0] if len(found) == 1 else USD
    for name in HOLDERS:
        inner = getattr(what, name, None)
        if inner is not None and not isinstance(inner, str):
            return money_of(inner)
    return USD


def in_its_money(function: Callable[Concatenate[F, P], R]) -> Callable[Concatenate[F, P], R]:
    """The function, writing amounts in the unit of its first argument."""

    @wraps(function)
    def inner(first: F, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with written_in(money_of(first)):
            return function(first, *args, **kwargs)

    return inner


def split_unit(text: str) -> tuple[str, str]:
    """An amount's number and its unit: "130k EUR" -> ("130k", "EUR"), "€5" -> ("5", "EUR"), "5" -> ("5", "")."""
    hours = re.fullmatch(r"(.*?[\dkKMB])\s*(gpu|node)[-\s]?(?:hours?|hrs?|h)", text, re.IGNORECASE)
    if hours:
        return hours[1], f"{'GPU' if hours[2].lower() == 'gpu' else 'node'}-hours"
    names = {**{code: code for code in CURRENCIES}, **SIGNS, "DOLLARS": "USD", "DOLLAR": "USD"}
    some = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    found = re.fullmatch(rf"(?:({some})\s*)?(.*?)(?:\s*({some}))?", text, re.IGNORECASE)
    if not found:
        return text, ""
    said = {names[word.upper()] for word in (found[1], found[3]) if word}
    return (found[2], said.pop()) if len(said) == 1 else (text if said else found[2], "")
