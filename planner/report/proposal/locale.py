"""How numbers, money, time and dates are written in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - `date` is a method here
from datetime import timedelta
from decimal import Decimal
from typing import Literal

from planner.money import GPU_HOURS, NODE_HOURS, USD, Money, writing
from planner.report.figures import three_digits
from planner.report.proposal.model import COUNT, DAYS, MONEY, NUMBER, PERCENT, Cell
from planner.units import PlannerError, format_number

LANGUAGES = ("en", "zh")
DAY_S = 86_400.0
NBSP = "\u00a0"  # a number and its unit stay on one line
#: Where English documents' dates, lists and plurals come from: the world's English, "24 November 2026", "a, b and c".
_CLDR = {"en": "en_001", "zh": "zh_Hans"}
OF_HOURS = "_of_hours"  # ends the key of a sentence that stands in another's place where hours are counted
_TIMES = ((DAY_S, "day"), (3600.0, "hour"), (60.0, "minute"), (1.0, "second"))
_LEAST_SHORTENED = {"en": 1e6, "zh": 1e4}  # smaller counts are written out
#: Units that are no currencies; a currency's name is the Unicode locale data's.
_ZH_HOURS = {GPU_HOURS: "GPU 小时", NODE_HOURS: "节点小时"}

_ONE = re.compile(r"(?<![\d.,])1([ \u00a0])(machine|node|GPU|plan|run)s\b")  # one is no plural


@dataclass(frozen=True, slots=True)
class Locale:
    """One language: its sentences by key, and its way to write quantities. Amounts come in US dollars."""

    language: str
    sentences: Mapping[str, str]
    unit: Money = USD

    @property
    def unit_name(self) -> str:
        """The unit of amounts, in this language."""
        return unit_name(self.language, self.unit)

    @property
    def exchange_rate(self) -> str:
        """The rate that amounts are turned at, with its day and source; nothing where none is."""
        return self.rate_of(self.unit)

    def rate_of(self, unit: Money) -> str:
        """The rate of a currency, with its day and source; nothing of US dollars and of hours."""
        if self.language == "en" or not unit.foreign:
            return unit.rate_text
        told = [part for part in (unit.as_of and self.date(unit.as_of), unit.source) if part]
        return unit.rate_figure + (f"（{'，'.join(told)}）" if told else "")

    def amount(self, usd: float) -> float:
        """What so many US dollars are in the unit that is written."""
        return self.unit.amount(usd)

    def say(self, key: str, **values: object) -> str:
        """The sentence `key`, its places filled. Values are text: braces in them stay as they are."""
        said = self.sentences[key].format(**values) if values else self.sentences[key]
        return _ONE.sub(r"1\1\2", said) if self.language == "en" else said

    def known(self, key: str) -> str | None:
        """The sentence `key` if the language has it."""
        return self.sentences.get(key)

    def money(self, usd: float) -> str:
        """67364.6 -> "67,365 USD"; cents where a dollar is not small."""
        return f"{self._figure(self.amount(usd))}{NBSP}{self.unit_name}"

    def _figure(self, amount: float) -> str:
        """An amount without its unit; cents where one is not small and the currency has them."""
        from babel.numbers import get_currency_precision

        cents = 2 if self.unit.hours else min(2, get_currency_precision(self.unit.unit))
        return f"{amount:,.{0 if abs(amount) >= 100 else cents}f}"

    def money_short(self, usd: float) -> str:
        """Three digits: "67.4k USD", "6.74 万美元"."""
        amount = self.amount(usd)
        if self.language == "zh":
            return f"{self._shortened(amount, 3)}{self.unit_name}" if abs(amount) >= 1e4 else self.money(usd)
        for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
            if abs(amount) >= 10 * size or (size > 1e3 and abs(amount) >= size):
                return f"{format_number(amount / size, 3)}{suffix}{NBSP}{self.unit_name}"
        return self.money(usd)

    def mass(self, kg: float) -> str:
        """16600 -> "16.6 t", "16.6 吨"; kilograms below one."""
        size, unit = (1000.0, "mass-tonne") if kg >= 1000 else (1.0, "mass-kilogram")
        return self._measured(kg / size, unit, "long" if self.language == "zh" else "short")

    def price(self, usd: float) -> str:
        """A price of an hour, to its last digit: "2.95 USD"."""
        return f"{price_figure(self.amount(usd))}{NBSP}{self.unit_name}"

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
        return self._gaps(format_unit(shown, unit, length, "#,##0.############", locale=_CLDR[self.language]))

    def _shortened(self, number: float, digits: int, length: Literal["short", "long"] = "short") -> str:
        """A number to so many digits and the language's word for its size: "256.1 billion", "2,561 亿"."""
        from babel.numbers import format_compact_decimal

        def written(decimals: int) -> str:
            return format_compact_decimal(
                number, format_type=length, locale=_CLDR[self.language], fraction_digits=decimals
            )

        whole = len(re.sub(r"\D", "", written(0)))
        text = written(max(0, digits - whole))
        return self._gaps(re.sub(r"^-?\d{4,}", lambda found: f"{int(found[0]):,}", text))

    def _gaps(self, text: str) -> str:
        """What holds a number and its unit on one line; Chinese has a gap there too."""
        text = text.replace(" ", NBSP)
        return re.sub(r"(?<=\d)(?=[\u4e00-\u9fff])", NBSP, text) if self.language == "zh" else text

    def days(self, seconds: float) -> str:
        """Days to three digits, without the unit."""
        return three_digits(seconds / DAY_S)

    def percent(self, fraction: float, digits: int = 3) -> str:
        """0.965 -> "96.5 %"."""
        text = f"{format_number(fraction * 100, digits)}"
        return f"{text}%" if self.language == "zh" else f"{text}{NBSP}%"

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
        if number < _LEAST_SHORTENED[self.language]:
            return self.count(number)
        return self._shortened(number, 4, "long")

    def number(self, value: float, digits: int = 3) -> str:
        """So many digits, thousands apart."""
        return format_number(value, digits)

    def date(self, day: Date) -> str:
        """24 November 2026; 2026年11月24日."""
        return self._day(day, "long")

    def short_date(self, day: Date) -> str:
        """24 Nov 2026; 2026-11-24 in Chinese tables."""
        return day.isoformat() if self.language == "zh" else self._day(day, "d MMM y")

    def month(self, day: Date) -> str:
        """November 2026; 2026年11月."""
        from babel.dates import format_skeleton

        return format_skeleton("yMMMM", day, locale=_CLDR[self.language])

    def _day(self, day: Date, form: str) -> str:
        from babel.dates import format_date

        return format_date(day, form, locale=_CLDR[self.language])

    def listed(self, items: list[str]) -> str:
        """Items in a row: "a, b and c"; "a、b 和 c"."""
        from babel.lists import format_list

        listed = format_list(items, locale=_CLDR[self.language])
        return re.sub(r"(?<=[!-~])(?=和)|(?<=和)(?=[!-~])", " ", listed) if self.language == "zh" else listed

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
    if language == "en":
        from planner.report.proposal.words_en import SENTENCES
    elif language == "zh":
        from planner.report.proposal.words_zh import SENTENCES
    else:
        raise PlannerError(f"--lang {language}: there are {' and '.join(LANGUAGES)}")
    unit = writing()
    return Locale(language, _in_unit(SENTENCES, language, unit), unit)


def unit_name(language: str, unit: Money) -> str:
    """A unit of amounts in a language: currencies by their codes in English, by their names in Chinese."""
    if language == "en":
        return unit.unit
    if unit.hours:
        return _ZH_HOURS[unit.unit]
    from babel.numbers import get_currency_name

    return get_currency_name(unit.unit, locale=_CLDR[language])


def _in_unit(sentences: Mapping[str, str], language: str, unit: Money) -> Mapping[str, str]:
    """The sentences with their amounts' unit in place of US dollars; of hours, those that do not speak of money."""
    if unit == USD:
        return sentences
    if unit.hours:
        sentences = {key: sentences.get(f"{key}{OF_HOURS}", text) for key, text in sentences.items()}
    dollars, name = unit_name(language, USD), unit_name(language, unit)
    return {key: text.replace(dollars, name) for key, text in sentences.items()}


def day_after(start: Date, seconds: float) -> Date:
    """The day on which `seconds` after the start of `start` fall; a run that ends at midnight ends the day before."""
    days = seconds / DAY_S
    whole = int(days)
    return start + timedelta(days=whole - 1 if whole == days and whole > 0 else whole)
