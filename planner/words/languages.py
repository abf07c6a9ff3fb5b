"""The languages: one file each, of templates by code and of forms of quantities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import date
from functools import cache
from pathlib import Path

from planner.money import Money
from planner.units import duration_parts, format_bandwidth, format_bytes, format_number, format_short

_ROOM = Path(__file__).parent
FORMS = "forms"  # the group of a language's file that is not sentences
SPOKEN: ContextVar[str] = ContextVar("language", default="en")
_TIMES = (("days", 86400.0), ("hours", 3600.0), ("min", 60.0))


def spoken() -> tuple[str, ...]:
    """The languages that have a file."""
    return tuple(sorted(path.stem for path in _ROOM.glob("*.json")))


def speaking() -> str:
    """The language of what is being shown: a terminal's, a page's."""
    return SPOKEN.get()


@cache
def templates(language: str) -> Mapping[str, str]:
    """Every template of a language by its code, `group.name`.

    Raises
    ------
    KeyError
        If there is no such language.
    """
    if language not in spoken():
        raise KeyError(language)
    groups = json.loads((_ROOM / f"{language}.json").read_text(encoding="utf-8"))
    return {f"{group}.{name}": text for group, texts in groups.items() for name, text in texts.items()}


@cache
def phrases(group: str) -> Mapping[str, str]:
    """The codes of a group by their English words, of those that have no places."""
    return {text: code for code, text in templates("en").items() if code.startswith(f"{group}.") and "{" not in text}


class Forms:
    """How a language writes quantities: figures are the same in all, units and joints are its own."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = templates(language)

    def form(self, name: str) -> str:
        """An entry of the language's forms."""
        return self._texts[f"{FORMS}.{name}"]

    def duration(self, seconds: float) -> str:
        """Seconds in the largest unit that leaves at least two of it, or exactly one."""
        figure, unit = duration_parts(seconds)
        return self.form(unit).format(n=figure)

    def time_scale(self, seconds: float) -> tuple[str, float]:
        """The largest unit of time that leaves at least two, by the name of its form, and how many seconds it is."""
        return next((unit for unit in _TIMES if seconds >= 2 * unit[1]), ("s", 1.0))

    def time(self, seconds: float) -> str:
        """Seconds in three digits: "14 days", "1 day"."""
        unit, size = self.time_scale(seconds)
        figure = format_number(seconds / size, 3)
        one = {("24", "hours"): "day", ("60", "min"): "hour"}.get((figure, unit))
        return self.form(one or unit).format(n="1" if one else figure)

    def money_scale(self, usd: float, money: Money) -> tuple[str, float]:
        """In which multiple of the unit so much is written, "k USD", "万美元", and how many US dollars that is."""
        for entry in self.form("multiples").split(", "):
            least, size, sign = entry.split()
            if money.amount(usd) >= float(least):
                return met(f"{sign} ", self.unit(money)), float(size) * money.usd
        return self.unit(money), money.usd

    def cost(self, usd: float, money: Money) -> str:
        """US dollars in the unit that is written."""
        return self.form("amount").format(n=format_number(money.amount(usd)), unit=self.unit(money))

    def money(self, usd: float, form: str, money: Money) -> str:
        """US dollars as `cost`, `cost.2` (to so many decimals), `amount.2` (without the unit) or `cost.short`."""
        name, _, decimals = form.partition(".")
        if decimals == "short":
            unit, size = self.money_scale(usd, money)
            return self.form("amount").format(n=format_number(usd / size, 3), unit=unit)
        if not decimals:
            return self.cost(usd, money)
        figure = f"{money.amount(usd):.{int(decimals)}f}"
        return figure if name == "amount" else self.form("amount").format(n=figure, unit=self.unit(money))

    def unit(self, money: Money) -> str:
        """A unit of amounts: a currency by its code or its name, as the language has it; hours that are counted."""
        if money.hours:
            return self.form(money.unit)
        if self.form("currency") == "code":
            return money.unit
        from babel.numbers import get_currency_name

        return get_currency_name(money.unit, locale=self.form("cldr"))

    def percent(self, fraction: float, digits: int = 3) -> str:
        """A share."""
        return self.form("percent").format(n=format_number(fraction * 100, digits))

    def date(self, day: date, form: str = "long") -> str:
        """24 November 2026; 2026年11月24日; or in another form of the Unicode locale data."""
        from babel.dates import format_date

        return format_date(day, form, locale=self.form("cldr"))

    def listed(self, items: list[str], how: str) -> str:
        """Items in a row: `and`, `or`, `commas`, `semicolons`, `plus`; the last joint of the first two is its word."""
        if how in ("and", "or") and len(items) > 1:
            first, joint = self.listed(items[:-1], "commas"), self.form(how).format(first="", last="")
            return met(met(first, joint), items[-1])
        joint = self.form({"semicolons": "semicolon", "plus": "plus"}.get(how, "comma"))
        return joint.join([*(item.removesuffix("。") for item in items[:-1]), *items[-1:]])

    def quantity(self, value: float, form: str) -> str | None:
        """A number in one of the forms that need nothing else; None: there is no such form."""
        name, _, digits = form.partition(".")
        if name == "number":
            return format_number(value, int(digits or 4))
        if form == "count":
            return f"{value:,.0f}"
        if form == "gib":
            return f"{format_number(value)} GiB"
        if form == "percent":
            return self.percent(value)
        write = {"duration": self.duration, "time": self.time, "bytes": format_bytes}.get(form)
        write = write or {"short": format_short, "bandwidth": format_bandwidth}.get(form)
        return None if write is None else write(value)


def met(first: str, last: str) -> str:
    """Two parts of a text side by side; a gap that stands where they meet is for letters and figures alone."""
    if first.endswith(" ") and _wide(last[:1]) and _wide(first[-2:-1]):
        return first[:-1] + last
    if last.startswith(" ") and _wide(last[1:2]) and _wide(first[-1:]):
        return first + last[1:]
    return first + last


def _wide(char: str) -> bool:
    """Whether it is an ideograph or a sign of theirs, which stand without a gap between them."""
    return "\u2e80" <= char <= "\u9fff" or "\uff00" <= char <= "\uffef"


@cache
def forms(language: str) -> Forms:
    """The forms of a language."""
    return Forms(language)
