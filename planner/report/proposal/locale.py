"""How numbers, money, time and dates are written in a document's language."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - `date` is a method here
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from planner.money import USD, Money, writing
from planner.report.figures import rate_text, three_digits
from planner.report.proposal.model import COUNT, DAYS, MONEY, NUMBER, PERCENT, Cell, Facts, Row, Table
from planner.results.answers import Provenance
from planner.units import format_number
from planner.words import said_in, worded
from planner.words.language_choice import checked
from planner.words.languages import Forms, forms, templates

DAY_S = 86_400.0
NBSP = "\u00a0"  # a number and its unit stay on one line
OF_HOURS = "_of_hours"  # ends the code of a sentence that stands in another's place where hours are counted
GROUP = "document"  # of sentences, where a key names no other
_TIMES = ((DAY_S, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))
_LEAST_SHORT = 1e4  # of an amount that has its size as a sign


@dataclass(frozen=True, slots=True)
class Locale:
    """One language: its sentences by key, and its way to write quantities. Amounts come in US dollars.

    A key is that of the group `document`, or a whole code; `planner.words` has the sentences and forms.
    """

    language: str
    unit: Money = USD

    @property
    def forms(self) -> Forms:
        """How the language writes quantities."""
        return forms(self.language)

    @property
    def unit_name(self) -> str:
        """The unit of amounts, in this language."""
        return self.forms.unit(self.unit)

    @property
    def exchange_rate(self) -> str:
        """The rate that amounts are turned at, with its day and source; nothing where none is."""
        return worded(rate_text(self.unit), self.language)

    def amount(self, usd: float) -> float:
        """What so many US dollars are in the unit that is written."""
        return self.unit.amount(usd)

    def say(self, key: str, **values: object) -> str:
        """The sentence `key`, its places filled. Values are text: braces in them stay as they are."""
        return said_in(self.language, self._code(key), **{"unit": self.unit_name, **values})

    def known(self, key: str) -> str | None:
        """The template of `key` if there is one."""
        return templates(self.language).get(self._code(key))

    def labels(self, start: str) -> dict[str, str]:
        """The templates of the documents' keys that begin so, for renderers: the unit of amounts stands in them."""
        keys = (
            code.removeprefix(f"{GROUP}.") for code in templates(self.language) if code.startswith(f"{GROUP}.{start}")
        )
        return {key: (self.known(key) or "").replace("{unit}", self.unit_name) for key in keys}

    def _code(self, key: str) -> str:
        code = key if "." in key else f"{GROUP}.{key}"
        return f"{code}{OF_HOURS}" if self.unit.hours and f"{code}{OF_HOURS}" in templates(self.language) else code

    def money(self, usd: float) -> str:
        """67364.6 -> "67,365 USD"; cents where a dollar is not small."""
        return self._of_unit(self._figure(self.amount(usd)))

    def _of_unit(self, figure: str, form: str = "amount", size: str = "") -> str:
        """An amount's figure with its unit, on one line."""
        return self._gaps(self.forms.form(form)).format(n=figure, size=size, unit=self.unit_name)

    def _figure(self, amount: float) -> str:
        """An amount without its unit; cents where one is not small and the currency has them."""
        from babel.numbers import get_currency_precision

        cents = 2 if self.unit.hours else min(2, get_currency_precision(self.unit.unit))
        return f"{amount:,.{0 if abs(amount) >= 100 else cents}f}"

    def money_short(self, usd: float) -> str:
        """Three digits: "67.4k USD", "6.74 万美元"."""
        amount = self.amount(usd)
        if abs(amount) < _LEAST_SHORT:
            return self.money(usd)
        sizes = [entry.split() for entry in self.forms.form("sizes").split(",")]
        size, sign = max((float(size), sign) for size, sign in sizes if abs(amount) >= float(size))
        shown = amount / size
        return self._of_unit(format_number(shown, max(3, len(f"{abs(shown):.0f}"))), "short_amount", sign)

    def mass(self, kg: float) -> str:
        """16600 -> "16.6 t", "16.6 吨"; kilograms below one."""
        size, unit = (1000.0, "mass-tonne") if kg >= 1000 else (1.0, "mass-kilogram")
        return self._measured(kg / size, unit, "long" if self.forms.form("mass") == "long" else "short")

    def price(self, usd: float) -> str:
        """A price of an hour, to its last digit: "2.95 USD"."""
        return self._of_unit(price_figure(self.amount(usd)))

    def time(self, seconds: float) -> str:
        """1027594 -> "11.9 days"; days from the first on, then hours and so on from two of them."""
        size, unit = next((t for t in _TIMES if seconds >= (1 if t is _TIMES[0] else 2) * t[0]), _TIMES[-1])
        return self._measured(seconds / size, f"duration-{unit}")

    def days_text(self, seconds: float) -> str:
        """Days whatever the time: "0.721 days"."""
        return self._measured(seconds / DAY_S, "duration-day")

    def _measured(self, value: float, unit: str, length: Literal["short", "long"] = "long") -> str:
        """A quantity to three digits with its unit, as the language's plural rules have it: "1 day", "11.9 天"."""
        from babel.units import format_unit

        shown = Decimal(format_number(value, 3).replace(",", ""))
        return self._gaps(
            self._plain_figures(format_unit(shown, unit, length, "#,##0.############", locale=self._cldr))
        )

    def _shortened(self, number: float, digits: int) -> str:
        """A number to so many digits and the language's word for its size: "256.1 billion", "2,561 亿"."""
        from babel.numbers import format_compact_decimal

        def written(decimals: int) -> str:
            return format_compact_decimal(number, format_type="long", locale=self._cldr, fraction_digits=decimals)

        whole = len(re.sub(r"\D", "", written(0)))
        text = self._plain_figures(written(max(0, digits - whole)))
        return self._gaps(re.sub(r"^-?\d{4,}", lambda found: f"{int(found[0]):,}", text))

    @property
    def _cldr(self) -> str:
        return self.forms.form("cldr")

    def _plain_figures(self, text: str) -> str:
        """The locale data's text, its figures written as all others here: 1,234.5 in every language."""
        from babel.numbers import get_decimal_symbol, get_group_symbol

        point, comma = get_decimal_symbol(self._cldr), get_group_symbol(self._cldr)
        signs = {point: ".", comma: ","}
        between = f"(?<=\\d)[{re.escape(point + comma)}](?=\\d)"
        return re.sub(between, lambda found: signs[found[0]], text)

    @staticmethod
    def _gaps(text: str) -> str:
        """What holds a number and its unit on one line; before an ideograph too."""
        return re.sub(r"(?<=\d)(?=[\u4e00-\u9fff])", NBSP, text.replace(" ", NBSP))

    def days(self, seconds: float) -> str:
        """Days to three digits, without the unit."""
        return three_digits(seconds / DAY_S)

    def percent(self, fraction: float, digits: int = 3) -> str:
        """0.965 -> "96.5 %"."""
        return self._gaps(self.forms.percent(fraction, digits))

    def signed_percent(self, fraction: float) -> str:
        """0.2 -> "+20 %"; a true minus sign."""
        return ("+" if fraction >= 0 else "−") + self.percent(abs(fraction))

    def chance(self, probability: float | None) -> str:
        """A probability that never claims certainty."""
        if probability is None:
            return self.say("not_known")
        if probability > 0.999:
            return f"> {self.percent(0.999)}"
        return f"< {self.percent(0.001)}" if probability < 0.001 else self.percent(probability)

    def count(self, number: float) -> str:
        """Exact, thousands apart."""
        return f"{number:,.0f}"

    def big(self, number: float) -> str:
        """Four digits and a word: "256.1 billion", "2,561 亿"."""
        if number < float(self.forms.form("least_shortened")):
            return self.count(number)
        return self._shortened(number, 4)

    def number(self, value: float, digits: int = 3) -> str:
        """So many digits, thousands apart."""
        return format_number(value, digits)

    def date(self, day: Date) -> str:
        """24 November 2026; 2026年11月24日."""
        return self.forms.date(day)

    def short_date(self, day: Date) -> str:
        """24 Nov 2026; 2026-11-24 in Chinese tables."""
        return self.forms.date(day, self.forms.form("short_date"))

    def month(self, day: Date) -> str:
        """November 2026; 2026年11月."""
        from babel.dates import format_skeleton

        return format_skeleton("yMMMM", day, locale=self._cldr)

    def listed(self, items: Iterable[str], how: str = "and") -> str:
        """Items in a row: "a, b and c"; "a、b 和 c"; or joined in another way of `planner.words`."""
        return self.forms.listed(list(items), how)

    def table(
        self,
        caption: str,
        heads: Iterable[str],
        rows: Iterable[Row],
        strong: Iterable[int] = (),
        **values: object,
    ) -> Table:
        """A table by the keys of its caption and of its columns; rows that are `strong` matter most, -1 is the last."""
        cells = tuple(tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows)
        emphasis = frozenset(number % len(cells) for number in strong)
        return Table(self.say(caption, **values), tuple(self.say(head, **values) for head in heads), cells, emphasis)

    def facts(self, values: Mapping[str, Cell | str]) -> Facts:
        """Facts by the keys of their labels."""
        return Facts(
            tuple((self.say(key), cell if isinstance(cell, Cell) else Cell(cell)) for key, cell in values.items())
        )

    def colophon(self, runs: Sequence[tuple[str, Provenance]], command: str) -> tuple[tuple[str, str], ...]:
        """What a document of these scenarios (name, provenance) was made of, and the command that makes it again."""
        made = runs[0][1]
        rows = [
            (self.say("c_version"), f"planner {made.planner}"),
            *((self.say("c_scenario", name=name), each.scenario_digest) for name, each in runs),
            (self.say("c_catalog"), made.catalog_digest),
            (self.say("c_calibration"), made.calibration_digest),
            (self.say("c_command"), command),
        ]
        return tuple((label, value) for label, value in rows if value)

    # Cells: what is seen with the value behind it.

    def money_cell(self, usd: float | None) -> Cell:
        if usd is None:
            return Cell("")
        amount = self.amount(usd)
        return Cell(self._figure(amount), MONEY, amount)

    def days_cell(self, seconds: float | None) -> Cell:
        return Cell("") if seconds is None else Cell(self.days(seconds), DAYS, seconds)

    def count_cell(self, number: int | None) -> Cell:
        return Cell("") if number is None else Cell(self.count(number), COUNT, number)

    def price_cell(self, usd: float) -> Cell:
        return Cell(price_figure(self.amount(usd)), NUMBER, self.amount(usd))

    def percent_cell(self, fraction: float | None) -> Cell:
        return Cell("") if fraction is None else Cell(self.percent(fraction), PERCENT, fraction)

    def chance_cell(self, fraction: float | None) -> Cell:
        return Cell("–", PERCENT) if fraction is None else Cell(self.chance(fraction), PERCENT, fraction)

    def whole_cell(self, number: float) -> Cell:
        return Cell(self.count(number), NUMBER, number)

    def big_cell(self, number: float) -> Cell:
        return Cell(self.big(number), NUMBER, float(number))

    def number_cell(self, value: float, digits: int = 3) -> Cell:
        return Cell(self.number(value, digits), NUMBER, value)


def price_figure(usd: float) -> str:
    """Cents at least, and every digit that a price has: 3.4 -> "3.40", 2.949 -> "2.949"."""
    text = format_number(usd, 4)
    whole, _, cents = text.partition(".")
    return text if "e" in text else f"{whole}.{cents.ljust(2, '0')}"


def locale(language: str) -> Locale:
    """The locale of a language code, amounts in the unit that is written in now.

    Raises
    ------
    PlannerError
        If there is none.
    """
    return Locale(checked(language), writing())


def day_after(start: Date, seconds: float) -> Date:
    """The day on which `seconds` after the start of `start` fall; a run that ends at midnight ends the day before."""
    days = seconds / DAY_S
    whole = int(days)
    return start + timedelta(days=whole - 1 if whole == days and whole > 0 else whole)
