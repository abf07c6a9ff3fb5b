"""Quantities as they print ("30 days", "80,000 USD", "400 Gbit/s"), names that are near, and the error of a mistake.

What makes sentences of them stands above: `planner.reading` reads quantities and looks names up.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_CEILING, Decimal

from planner.money import writing

#: Largest count, in anything: sums and products of two batches stay inside int64.
MAX_COUNT = 10**18
_SHARE = r" {0,9}[0-9]{1,12}(\.[0-9]{1,12})? {0,9}"
#: Shares of train, validation and test as Megatron-LM and GPT-NeoX take them: `995,4,1`, `0.9/0.1`.
SPLIT = f"{_SHARE}([,/]{_SHARE}){{0,2}}"
_DECIMAL_BYTES = {"PB": 10**15, "TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3}


class PlannerError(ValueError):
    """A user's mistake, as one sentence: what is wrong, where, and what to write instead.

    `code` and `values` say it to a program where a room says it by code (`planner.words`); else they are empty. They
    are the cause's where the name of a file was put before what it said.
    """

    @property
    def code(self) -> str:
        """The sentence's code, such as `comparing.by_unknown`; "" where it has none."""
        return str(getattr(self._sentence, "code", ""))

    @property
    def values(self) -> Mapping[str, object]:
        """What stands in the sentence: seconds, US dollars, fractions, counts, names."""
        found: Mapping[str, object] = getattr(self._sentence, "values", {})
        return found

    @property
    def _sentence(self) -> object:
        """What it says; what its cause does, where that is quoted in it."""
        error = self
        while True:
            said, cause = (error.args or ("",))[0], error.__cause__
            values = getattr(said, "values", None)
            if not isinstance(cause, PlannerError):
                return said
            if values is not None and not any(each in values.values() for each in cause.args):
                return said
            error = cause


# --- printing ----------------------------------------------------------------------------------------------------


def format_number(value: float, digits: int = 4) -> str:
    """At least `digits` significant digits, no trailing zeros: 1234567.8 -> "1,234,568"; an exponent below 10^-6."""
    if abs(value) < 1e-6 or not math.isfinite(value):
        return f"{value:.{digits}g}"
    rounded = Decimal(f"{value:.{digits - 1}e}")
    if abs(rounded) >= 10 ** (digits - 1):
        return f"{round(value):,}"
    text = f"{rounded:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def duration_parts(seconds: float) -> tuple[str, str]:
    """A duration's figure and unit: the largest that leaves at least two of it, or exactly one."""
    for unit, size in (("day", 86400), ("hour", 3600)):
        if abs(seconds) == size:
            return format_number(seconds / size), unit
    for unit, size, least in (("days", 86400, 2), ("hours", 3600, 2), ("min", 60, 2), ("s", 1, 1)):
        if abs(seconds) >= size * least:
            return format_number(seconds / size), unit
    return format_number(seconds * 1000), "ms"


def format_duration(seconds: float) -> str:
    """In the largest unit that leaves at least two of it, or exactly one: 1209600 -> "14 days", 86400 -> "1 day"."""
    return " ".join(duration_parts(seconds))


def format_usd(usd: float) -> str:
    """80000 -> "80,000 USD", 2.295 -> "2.295 USD"; in the unit that is written in now."""
    money = writing()
    return f"{format_number(money.amount(usd))} {money.unit}"


def format_count(count: int) -> str:
    """Exact, thousands separated: 31267487 -> "31,267,487"."""
    return f"{count:,}"


def format_short(count: float) -> str:
    """Four digits and a suffix: 64035813376 -> "64.04B"."""
    for suffix, size in (("T", 1e12), ("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if abs(count) >= size * 0.99995:
            return f"{format_number(count / size)}{suffix}"
    return format_number(count)


def format_percent(fraction: float) -> str:
    """0.0471 -> "4.71 %"."""
    return f"{format_number(fraction * 100, 3)} %"


def format_bandwidth(gbit_per_s: float) -> str:
    """3200 -> "3,200 Gbit/s"."""
    return f"{format_number(gbit_per_s)} Gbit/s"


def format_gib(gib: float) -> str:
    """2^30 bytes: 37.25 -> "37.25 GiB"."""
    return f"{format_number(gib)} GiB"


def format_bytes(count: float) -> str:
    """Decimal: 2e13 -> "20 TB"."""
    for unit, size in _DECIMAL_BYTES.items():
        if abs(count) >= size * 0.99995:
            return f"{format_number(count / size)} {unit}"
    return f"{format_number(count)} B"


def written_up(value: float, write: Callable[[float], str], read: Callable[[str], float], digits: int = 3) -> str:
    """A quantity (number, unit) of so many significant digits that reads as `value` or a little more, never as less.

    343,000 s -> "3.97 days", which reads as 343,008 s.
    """
    number, unit = write(value).rsplit(" ", 1)
    least = Decimal(number.replace(",", ""))
    step = Decimal(1).scaleb(least.adjusted() + 1 - digits)
    shown_number = (least / step).to_integral_value(ROUND_CEILING) * step
    while True:
        text = f"{shown_number:,f}"
        text = (text.rstrip("0").rstrip(".") if "." in text else text) + f" {unit}"
        if read(text) >= value:
            return text
        shown_number += step


def rounded_up(value: float, digits: int = 3) -> float:
    """The least number of so many significant digits that is not below a positive value: 1.1234 -> 1.13."""
    exact = Decimal(repr(value))
    step = Decimal(1).scaleb(exact.adjusted() + 1 - digits)
    return float((exact / step).to_integral_value(ROUND_CEILING) * step)


# --- names -------------------------------------------------------------------------------------------------------


def nearest(found: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names one may have meant: those that a short form such as `a100` stands for, else the closest spelling."""
    names = tuple(dict.fromkeys(names))
    short = name_words(found)
    meant = [name for name in names if short and _abbreviates(short, name_words(name))]
    if meant:
        return tuple(meant)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(found.lower()[:100], lowered, n=1, cutoff=0.6)
    return tuple(lowered[name] for name in close)


def name_words(name: str) -> list[str]:
    """The parts of a name in small letters: "H100-SXM5 80GB" -> ["h100", "sxm5", "80gb"]."""
    return [word for word in re.split(r"[^a-z0-9.]+", name.lower()) if word]


def shown(text: str) -> str:
    """A user's text inside a sentence: in backquotes, short, without control characters."""
    clean = "".join(c if c.isprintable() else "·" for c in text[:61])
    return f"`{clean[:60]}…`" if len(text) > 60 else f"`{clean}`"


def _abbreviates(short: list[str], words: list[str]) -> bool:
    """Whether each part of a short form begins a word of the name: `h100-80gb` stands for h100-sxm5-80gb."""
    return all(any(word.startswith(part) for word in words) for part in short) and max(map(len, short)) > 1
