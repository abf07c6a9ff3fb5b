"""How numbers, money, time and dates are written in English and Chinese."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date as Date  # noqa: N812 - `date` is a method here
from datetime import timedelta

from planner.money import GPU_HOURS, NODE_HOURS, USD, Money, writing
from planner.report.figures import three_digits
from planner.report.proposal.model import COUNT, DAYS, MONEY, NUMBER, PERCENT, Cell
from planner.units import PlannerError, format_number

LANGUAGES = ("en", "zh")
DAY_S = 86_400.0
NBSP = "\u00a0"  # a number and its unit stay on one line
_MONTHS = "January February March April May June July August September October November December".split()
_SIZES = {
    "en": ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")),
    "zh": ((1e12, "万亿"), (1e8, "亿"), (1e4, "万")),
}
_TIMES = {
    "en": ((DAY_S, "days"), (3600.0, "hours"), (60.0, "minutes"), (1.0, "seconds")),
    "zh": ((DAY_S, "天"), (3600.0, "小时"), (60.0, "分钟"), (1.0, "秒")),
}
#: Units of amounts in Chinese; others by their code.
_ZH = {
    "USD": "美元",
    "EUR": "欧元",
    "CNY": "元人民币",
    "GBP": "英镑",
    "JPY": "日元",
    "CHF": "瑞士法郎",
    "HKD": "港元",
    GPU_HOURS: "GPU 小时",
    NODE_HOURS: "节点小时",
}


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

    def amount(self, usd: float) -> float:
        """What so many US dollars are in the unit that is written."""
        return self.unit.amount(usd)

    def say(self, key: str, **values: object) -> str:
        """The sentence `key`, its places filled. Values are text: braces in them stay as they are."""
        return self.sentences[key].format(**values) if values else self.sentences[key]

    def known(self, key: str) -> str | None:
        """The sentence `key` if the language has it."""
        return self.sentences.get(key)

    def money(self, usd: float) -> str:
        """67364.6 -> "67,365 USD"; cents where a dollar is not small."""
        amount = self.amount(usd)
        digits = 0 if abs(amount) >= 100 else 2
        return f"{amount:,.{digits}f}{NBSP}{self.unit_name}"

    def money_short(self, usd: float) -> str:
        """Three digits: "67.4k USD", "6.74 万美元"."""
        amount = self.amount(usd)
        if self.language == "zh":
            return (
                f"{format_number(amount / 1e4, 3)}{NBSP}万{self.unit_name}" if abs(amount) >= 1e4 else self.money(usd)
            )
        for size, suffix in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
            if abs(amount) >= 10 * size or (size > 1e3 and abs(amount) >= size):
                return f"{format_number(amount / size, 3)}{suffix}{NBSP}{self.unit_name}"
        return self.money(usd)

    def mass(self, kg: float) -> str:
        """16600 -> "16.6 t", "16.6 吨"; kilograms below one."""
        tonnes, kilograms = ("吨", "千克") if self.language == "zh" else ("t", "kg")
        size, unit = (1000.0, tonnes) if kg >= 1000 else (1.0, kilograms)
        return f"{format_number(kg / size, 3)}{NBSP}{unit}"

    def price(self, usd: float) -> str:
        """A price of an hour, to its last digit: "2.95 USD"."""
        return f"{price_figure(self.amount(usd))}{NBSP}{self.unit_name}"

    def time(self, seconds: float) -> str:
        """1027594 -> "11.9 days"; days from the first on, then hours and so on from two of them."""
        units = _TIMES[self.language]
        size, unit = next((t for t in units if seconds >= (1 if t is units[0] else 2) * t[0]), units[-1])
        return f"{format_number(seconds / size, 3)}{NBSP}{unit}"

    def days_text(self, seconds: float) -> str:
        """Days whatever the time: "0.721 days"."""
        return f"{format_number(seconds / DAY_S, 3)}{NBSP}{_TIMES[self.language][0][1]}"

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
        for size, word in _SIZES[self.language]:
            if number >= size:
                return f"{format_number(number / size, 4)}{NBSP}{word}"
        return self.count(number)

    def number(self, value: float, digits: int = 3) -> str:
        """So many digits, thousands apart."""
        return format_number(value, digits)

    def date(self, day: Date) -> str:
        """24 November 2026; 2026年11月24日."""
        if self.language == "zh":
            return f"{day.year}年{day.month}月{day.day}日"
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"

    def short_date(self, day: Date) -> str:
        """24 Nov 2026; 2026-11-24 in Chinese tables."""
        return day.isoformat() if self.language == "zh" else f"{day.day} {_MONTHS[day.month - 1][:3]} {day.year}"

    def month(self, day: Date) -> str:
        """November 2026; 2026年11月."""
        if self.language == "zh":
            return f"{day.year}年{day.month}月"
        return f"{_MONTHS[day.month - 1]} {day.year}"

    def listed(self, items: list[str]) -> str:
        """Items in a row: "a, b and c"; "a、b 和 c"."""
        if len(items) < 2:
            return "".join(items)
        comma, last = ("、", "和") if self.language == "zh" else (", ", " and ")
        return comma.join(items[:-1]) + last + items[-1]

    # Cells: what is seen with the value behind it.

    def money_cell(self, usd: float | None) -> Cell:
        if usd is None:
            return Cell("")
        amount = self.amount(usd)
        return Cell(f"{amount:,.0f}" if abs(amount) >= 100 else f"{amount:,.2f}", MONEY, amount)

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
    """A unit of amounts in a language."""
    return _ZH.get(unit.unit, unit.unit) if language == "zh" else unit.unit


def _in_unit(sentences: Mapping[str, str], language: str, unit: Money) -> Mapping[str, str]:
    """The sentences with their amounts' unit in place of US dollars."""
    if unit == USD:
        return sentences
    dollars, name = unit_name(language, USD), unit_name(language, unit)
    return {key: text.replace(dollars, name) for key, text in sentences.items()}


def day_after(start: Date, seconds: float) -> Date:
    """The day on which `seconds` after the start of `start` fall; a run that ends at midnight ends the day before."""
    days = seconds / DAY_S
    whole = int(days)
    return start + timedelta(days=whole - 1 if whole == days and whole > 0 else whole)
