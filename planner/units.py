"""Quantities a person writes ("30 days", "80k USD", "64B tokens", "400 Gbit/s") and how they print.

Every parser takes what stood in a file or on a command line and gives one plain number in the unit that its name or
docstring says; what can be read in two ways (`14`, `3 m`, `400 GB/s`) is refused with the two ways written out.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from decimal import ROUND_CEILING, Decimal, InvalidOperation

from planner.money import Money, split_unit, writing

Written = str | int | float

#: Largest count, in anything: sums and products of two batches stay inside int64.
MAX_COUNT = 10**18
#: Longest quantity that is read; a longer text is no quantity.
MAX_TEXT = 80
_SHARE = r" {0,9}[0-9]{1,12}(\.[0-9]{1,12})? {0,9}"
#: Shares of train, validation and test as Megatron-LM and GPT-NeoX take them: `995,4,1`, `0.9/0.1`.
SPLIT = f"{_SHARE}([,/]{_SHARE}){{0,2}}"

_NUMBER = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+(?:_\d+)*)?(?:\.\d*)?(?:[eE][+-]?\d{1,3})?"
_SUFFIX = {"k": 3, "K": 3, "M": 6, "B": 9, "T": 12, "thousand": 3, "million": 6, "billion": 9, "trillion": 12}
_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "min": Decimal(60),
    "h": Decimal(3600),
    "day": Decimal(86400),
    "week": Decimal(604800),
}
_TIME_WORDS = {
    "millisecond": "ms",
    "milliseconds": "ms",
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "mins": "min",
    "minute": "min",
    "minutes": "min",
    "hr": "h",
    "hrs": "h",
    "hour": "h",
    "hours": "h",
    "d": "day",
    "days": "day",
    "w": "week",
    "weeks": "week",
}
_COUNTED = {
    "token": "tokens",
    "sample": "samples",
    "sequence": "sequences",
    "iteration": "iterations",
    "step": "steps",
    "gpu": "GPUs",
}
_BITS = {"bit": 1, "byte": 8}
_BYTES = {
    **{prefix + "B": 10**power for prefix, power in (("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15))},
    **{prefix + "iB": 2**power for prefix, power in (("K", 10), ("M", 20), ("G", 30), ("T", 40), ("P", 50))},
}


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


# --- reading -----------------------------------------------------------------------------------------------------


def parse_number(text: Written, what: str = "a number") -> float:
    """A finite number, with `,` or `_` between thousands allowed: "1,234.5" -> 1234.5."""
    return _finite(_decimal(_text(text, what), what), text)


def parse_duration(text: Written) -> float:
    """Seconds: "14 days", "1.5 h", "1 day 12 h", "90 min". A bare number, months and years are refused."""
    wanted = "a time with its unit, such as `14 days`, `36 h` or `90 min`"
    said = _text(text, wanted)
    if re.fullmatch(r"\d+:\d\d(:\d\d)?", said):
        raise PlannerError(f"`{said}` could be hours or minutes; write it with units, such as `12 h 30 min`")
    total = Decimal(0)
    rest = said.replace(" and ", " ")
    while rest:
        match = re.match(rf",?\s*({_NUMBER})\s*([A-Za-z]*)\s*", rest)
        if not match or not match.group():
            raise PlannerError(f"`{said}` is not {wanted}")
        number, unit = match.groups()
        total += _decimal(number, wanted, said) * _seconds(unit, number, said)
        rest = rest[match.end() :]
    return _finite(_not_negative(total, said), text)


def parse_money(text: Written) -> float:
    """US dollars: "80k USD", "$80,000", "USD 1.2M", 80000. Other currencies are refused: there are no rates here."""
    wanted = "an amount in US dollars, such as `80k USD` or `$80,000`"
    said = _text(text, wanted)
    if re.search(r"[€£¥₹]|\b(?:EUR|GBP|CNY|RMB|JPY|CHF|CAD|AUD|INR|KRW|cents?)\b", said, re.IGNORECASE):
        raise PlannerError(f"`{said}` is not in US dollars, and planner has no exchange rates; write {wanted}")
    bare = re.sub(r"^(?:USD|US\$|\$)\s*|\s*(?:USD|US\$|\$|dollars?)$", "", said, count=2, flags=re.IGNORECASE)
    return _finite(_not_negative(_scaled(bare, wanted, said), said), text)


def parse_amount(text: Written) -> tuple[float, str]:
    """An amount and its unit, "" of a bare number: "130k EUR" -> (130000.0, "EUR"), "20000 GPU-hours", "80k USD"."""
    wanted = "an amount, such as `80k USD`, `130k EUR` or `20000 GPU-hours`"
    said = _text(text, wanted)
    if "¥" in said or "￥" in said:
        raise PlannerError(f"`{said}` could be yuan or yen; write `CNY` or `JPY`")
    bare, unit = split_unit(said)
    return _finite(_not_negative(_scaled(bare, wanted, said), said), text), unit


def parse_written(text: Written, money: Money | None = None) -> float:
    """US dollars (or hours, where those are counted) of an amount in the unit that is written in now, or in `money`."""
    money = money or writing()
    value, unit = parse_amount(text)
    if unit not in ("", money.unit):
        raise PlannerError(f"`{text}` is in {unit} where {money.unit} are meant")
    return value / money.per_usd


def parse_count(text: Written, unit: str = "") -> int:
    """A whole number: "64B tokens", "2M", "31,267,487", 31267487. `unit` ("tokens"): the only word it may have."""
    number, said_unit = split_count(text)
    if unit and said_unit and said_unit != unit:
        raise PlannerError(f"`{text}` counts {said_unit} where {unit} are meant; write a number of {unit}")
    return number


def split_count(text: Written) -> tuple[int, str]:
    """A whole number and the word after it: "4M tokens" -> (4000000, "tokens"), 512 -> (512, "")."""
    wanted = "a whole number, such as `512`, `2M` or `64B tokens`"
    said = _text(text, wanted)
    match = re.fullmatch(r"(.*?)\s*([A-Za-z]{3,})?", said, re.DOTALL)
    head, word = (match.group(1), match.group(2) or "") if match else (said, "")
    if word.lower() in _SUFFIX:
        head, word = said, ""
    unit = _COUNTED.get(word.lower().removesuffix("s"), "") if word else ""
    if word and not unit:
        raise PlannerError(f"`{said}` is not {wanted}{did_you_mean(word, _COUNTED.values())}")
    value = _not_negative(_scaled(head, wanted, said), said)
    if value != value.to_integral_value():
        raise PlannerError(f"`{said}` is not a whole number")
    if value > MAX_COUNT:
        raise PlannerError(f"`{said}` is more than 10^18, the most that planner counts")
    return int(value), unit


def parse_bandwidth(text: Written) -> tuple[float, bool]:
    """Gigabits a second, one direction, and whether that is per GPU.

    "3200 Gbit/s" -> (3200.0, False), "50 GByte/s/gpu" -> (400.0, True). `GB/s` and `Gb/s` are refused: too many files
    mix them up.
    """
    wanted = "a data rate, such as `3200 Gbit/s`, `400 Gbit/s/gpu` or `400 GByte/s`"
    said = _text(text, wanted)
    match = re.fullmatch(
        rf"({_NUMBER})\s*([kMGT]?)([A-Za-z]+?)(?:\s*/\s*s|ps|/sec(?:ond)?)(?:(?:\s*/\s*|\s+per\s+)(gpu|node))?",
        said,
        re.IGNORECASE,
    )
    if not match:
        raise PlannerError(f"`{said}` is not {wanted}")
    number, prefix, unit, share = match.groups()
    if unit.lower() == "b" and not (unit == "b" and said.lower().split("/")[0].rstrip().endswith("bps")):
        asked = f"{number} {prefix.upper()}"
        raise PlannerError(f"`{said}` can be read two ways; write `{asked}bit/s` or `{asked}Byte/s`")
    bits = 1 if unit == "b" else _BITS.get(unit.lower().removesuffix("s"), 0)
    if not bits:
        raise PlannerError(f"`{said}` is not {wanted}")
    giga = Decimal(10) ** {"": -9, "k": -6, "m": -3, "g": 0, "t": 3}[prefix.lower()]
    value = _positive(_decimal(number, wanted, said) * bits * giga, said)
    return _finite(value, text), (share or "").lower() == "gpu"


def parse_bytes(text: Written) -> float:
    """Bytes: "80 GB" is 80 x 10^9, "80 GiB" is 80 x 2^30; bits (`Gb`, `Gbit`) are refused."""
    wanted = "an amount of data, such as `20 TB` (10^12 bytes) or `20 TiB` (2^40 bytes)"
    said = _text(text, wanted)
    match = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]+)", said)
    if not match or match.group(2) not in _BYTES:
        raise PlannerError(f"`{said}` is not {wanted}{did_you_mean(match.group(2), _BYTES) if match else ''}")
    return _finite(_not_negative(_decimal(match.group(1), wanted, said) * _BYTES[match.group(2)], said), text)


def parse_fraction(text: Written) -> float:
    """A share from 0 to 1: 0.95, "0.95", "95 %"."""
    wanted = "a share from 0 to 1, such as `0.95` or `95 %`"
    said = _text(text, wanted)
    percent = said.endswith("%")
    value = _decimal(said.removesuffix("%").rstrip(), wanted, said) / (100 if percent else 1)
    if not 0 <= value <= 1:
        hint = f"; did you mean `{said} %`?" if not percent and 2 <= value <= 100 else ""
        raise PlannerError(f"`{said}` is not {wanted}{hint}")
    return float(value)


def parse_date(text: Written) -> date:
    """A day, `2027-03-01`."""
    said = _text(text, "a date, such as `2027-03-01`")
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", said):
            return date.fromisoformat(said)
    except ValueError:
        pass
    raise PlannerError(f"`{said}` is not a date; write year-month-day, such as `2027-03-01`")


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
    for unit in ("PB", "TB", "GB", "MB", "kB"):
        if abs(count) >= _BYTES[unit] * 0.99995:
            return f"{format_number(count / _BYTES[unit])} {unit}"
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


#: Where names that are near none may be looked up, or added, by what they name.
LISTED = {
    "accelerator": "; `planner catalog list gpus` names those there are, and a catalog of your own (--catalog) adds one"
}


def nearest(found: str, names: Iterable[str]) -> tuple[str, ...]:
    """The names one may have meant: those that a short form such as `a100` stands for, else the closest spelling."""
    names = tuple(dict.fromkeys(names))
    short = _words(found)
    meant = [name for name in names if short and _abbreviates(short, _words(name))]
    if meant:
        return tuple(meant)
    lowered = {name.lower(): name for name in names}
    close = difflib.get_close_matches(found.lower()[:100], lowered, n=1, cutoff=0.6)
    return tuple(lowered[name] for name in close)


def did_you_mean(found: str, names: Iterable[str]) -> str:
    """The end of a sentence: "; did you mean `x`?", or nothing when nothing is near."""
    near = nearest(found, names)
    return f"; did you mean {' or '.join(f'`{name}`' for name in near[:3])}?" if near else ""


def nearest_or_all(found: str, names: Sequence[str]) -> str:
    """The end of a sentence: the nearest names, or else all that are known."""
    return did_you_mean(found[:60], names) or f"; known are {', '.join(names)}"


def check_name(found: str, names: Iterable[str], what: str) -> str:
    """The name that `found` is, whatever its case, or the only one of which it is whole words: `RTX 4090`.

    Else the sentence that lists what it may mean. A near name of another thing (`h20` of an H200) is never taken.
    """
    names = tuple(names)
    if found in names:
        return found
    short = _words(found)
    same = [name for name in names if name.lower() == found.strip().lower()]
    meant = same or [name for name in names if short and set(short) <= set(_words(name))]
    if len(meant) == 1:
        return meant[0]
    near = nearest(found, names)
    if len(near) > 1:
        listed = ", ".join(near[:6]) + (", …" if len(near) > 6 else "")
        raise PlannerError(f"{shown(found)} is ambiguous: {listed}")
    instead = did_you_mean(found, names) or LISTED.get(what, "")
    raise PlannerError(f"there is no {what} {shown(found)}{instead}")


# --- helpers -----------------------------------------------------------------------------------------------------


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9.]+", name.lower()) if word]


def _abbreviates(short: list[str], words: list[str]) -> bool:
    """Whether each part of a short form begins a word of the name: `h100-80gb` stands for h100-sxm5-80gb."""
    return all(any(word.startswith(part) for word in words) for part in short) and max(map(len, short)) > 1


def _text(value: Written, wanted: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise PlannerError(f"`{value}` is not {wanted}")
    said = value.strip() if isinstance(value, str) else repr(value)
    if not said or len(said) > MAX_TEXT or not said.isprintable():
        raise PlannerError(f"{shown(said)} is not {wanted}")
    return said


def shown(text: str) -> str:
    """A user's text inside a sentence: in backquotes, short, without control characters."""
    clean = "".join(c if c.isprintable() else "·" for c in text[:61])
    return f"`{clean[:60]}…`" if len(text) > 60 else f"`{clean}`"


def _decimal(text: str, wanted: str, said: str | None = None) -> Decimal:
    if re.fullmatch(_NUMBER, text) and re.search(r"\d", text):
        try:
            return Decimal(text.replace(",", "").replace("_", ""))
        except InvalidOperation:
            pass
    raise PlannerError(f"`{said or text}` is not {wanted}")


def _scaled(text: str, wanted: str, said: str) -> Decimal:
    match = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]*)", text)
    if not match:
        raise PlannerError(f"`{said}` is not {wanted}")
    number, suffix = match.groups()
    power = _SUFFIX.get(suffix, _SUFFIX.get(suffix.lower()) if len(suffix) > 1 else None) if suffix else 0
    if power is None:
        hint = f"; did you mean `{number}{suffix.upper()}`?" if suffix.upper() in _SUFFIX else ""
        raise PlannerError(f"`{said}` is not {wanted}{hint}")
    return _decimal(number, wanted, said).scaleb(power)


def _seconds(unit: str, number: str, said: str) -> Decimal:
    key = _TIME_WORDS.get(unit.lower(), unit.lower())
    if unit != "M" and key in _SECONDS:
        return _SECONDS[key]
    if not unit:
        raise PlannerError(f"`{said}` has no unit; write `{number} days` or `{number} h`")
    if key == "m":
        raise PlannerError(f"`{said}`: `{unit}` could be minutes or months; write `{number} min` or a number of days")
    if key.removesuffix("s") in ("month", "mo", "year", "yr", "y", "quarter"):
        raise PlannerError(f"`{said}`: a {key.removesuffix('s')} has no fixed length; write a number of days")
    raise PlannerError(f"`{said}`: `{unit}` is no unit of time; write ms, s, min, h, days or weeks")


def _finite(value: Decimal, text: Written) -> float:
    result = float(value)
    if not math.isfinite(result):
        raise PlannerError(f"{shown(str(text))} is too large a number")
    return result


def _not_negative(value: Decimal, said: str) -> Decimal:
    if value < 0:
        raise PlannerError(f"`{said}` is negative; write an amount of at least 0")
    return value


def _positive(value: Decimal, said: str) -> Decimal:
    if value <= 0:
        raise PlannerError(f"`{said}` must be above 0")
    return value
