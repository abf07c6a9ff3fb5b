"""Quantities a person writes ("30 days", "80k USD", "64B tokens", "400 Gbit/s"), as one plain number each.

Every parser takes what stood in a file or on a command line and gives the number in the unit that its name or docstring
says; what can be read in two ways (`14`, `3 m`, `400 GB/s`) is refused with the two ways written out.
"""

from __future__ import annotations

import math
import re
from datetime import date
from decimal import Decimal, InvalidOperation

from planner.money import Money, split_unit, writing
from planner.reading.names import did_you_mean
from planner.units import MAX_COUNT, PlannerError, shown
from planner.words import say

Written = str | int | float

#: Longest quantity that is read; a longer text is no quantity.
MAX_TEXT = 80
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


def parse_number(text: Written, what: str = "") -> float:
    """A finite number, with `,` or `_` between thousands allowed: "1,234.5" -> 1234.5."""
    what = what or say("quantities.number")
    return _finite(_decimal(_text(text, what), what), text)


def parse_duration(text: Written) -> float:
    """Seconds: "14 days", "1.5 h", "1 day 12 h", "90 min". A bare number, months and years are refused."""
    wanted = say("quantities.duration")
    written = _text(text, wanted)
    if re.fullmatch(r"\d+:\d\d(:\d\d)?", written):
        raise PlannerError(say("quantities.clock", said=written))
    total = Decimal(0)
    rest = written.replace(" and ", " ")
    while rest:
        match = re.match(rf",?\s*({_NUMBER})\s*([A-Za-z]*)\s*", rest)
        if not match or not match.group():
            raise _is_not(written, wanted)
        number, unit = match.groups()
        total += _decimal(number, wanted, written) * _seconds(unit, number, written)
        rest = rest[match.end() :]
    return _finite(_not_negative(total, written), text)


def parse_money(text: Written) -> float:
    """US dollars: "80k USD", "$80,000", "USD 1.2M", 80000. Other currencies are refused: there are no rates here."""
    wanted = say("quantities.money")
    written = _text(text, wanted)
    if re.search(r"[€£¥₹]|\b(?:EUR|GBP|CNY|RMB|JPY|CHF|CAD|AUD|INR|KRW|cents?)\b", written, re.IGNORECASE):
        raise PlannerError(say("quantities.foreign", said=written, wanted=wanted))
    bare = re.sub(r"^(?:USD|US\$|\$)\s*|\s*(?:USD|US\$|\$|dollars?)$", "", written, count=2, flags=re.IGNORECASE)
    return _finite(_not_negative(_scaled(bare, wanted, written), written), text)


def parse_amount(text: Written) -> tuple[float, str]:
    """An amount and its unit, "" of a bare number: "130k EUR" -> (130000.0, "EUR"), "20000 GPU-hours", "80k USD"."""
    wanted = say("quantities.amount")
    written = _text(text, wanted)
    if "¥" in written or "￥" in written:
        raise PlannerError(say("quantities.yuan_or_yen", said=written))
    bare, unit = split_unit(written)
    return _finite(_not_negative(_scaled(bare, wanted, written), written), text), unit


def parse_written(text: Written, money: Money | None = None) -> float:
    """US dollars (or hours, where those are counted) of an amount in the unit that is written in now, or in `money`."""
    money = money or writing()
    value, unit = parse_amount(text)
    if unit not in ("", money.unit):
        raise PlannerError(say("quantities.other_unit", said=str(text), unit=unit, meant=money.unit))
    return value / money.per_usd


def parse_count(text: Written, unit: str = "") -> int:
    """A whole number: "64B tokens", "2M", "31,267,487", 31267487. `unit` ("tokens"): the only word it may have."""
    number, said_unit = split_count(text)
    if unit and said_unit and said_unit != unit:
        counted, meant = say(f"quantities.{said_unit}"), say(f"quantities.{unit}")
        raise PlannerError(say("quantities.counts_other", said=str(text), counted=counted, meant=meant))
    return number


def split_count(text: Written) -> tuple[int, str]:
    """A whole number and the word after it: "4M tokens" -> (4000000, "tokens"), 512 -> (512, "")."""
    wanted = say("quantities.whole")
    written = _text(text, wanted)
    match = re.fullmatch(r"(.*?)\s*([A-Za-z]{3,})?", written, re.DOTALL)
    head, word = (match.group(1), match.group(2) or "") if match else (written, "")
    if word.lower() in _SUFFIX:
        head, word = written, ""
    unit = _COUNTED.get(word.lower().removesuffix("s"), "") if word else ""
    if word and not unit:
        raise _is_not(written, wanted, did_you_mean(word, _COUNTED.values()))
    value = _not_negative(_scaled(head, wanted, written), written)
    if value != value.to_integral_value():
        raise PlannerError(say("quantities.not_whole", said=written))
    if value > MAX_COUNT:
        raise PlannerError(say("quantities.too_many", said=written))
    return int(value), unit


def parse_bandwidth(text: Written) -> tuple[float, bool]:
    """Gigabits a second, one direction, and whether that is per GPU.

    "3200 Gbit/s" -> (3200.0, False), "50 GByte/s/gpu" -> (400.0, True). `GB/s` and `Gb/s` are refused: too many files
    mix them up.
    """
    wanted = say("quantities.bandwidth")
    written = _text(text, wanted)
    match = re.fullmatch(
        rf"({_NUMBER})\s*([kMGT]?)([A-Za-z]+?)(?:\s*/\s*s|ps|/sec(?:ond)?)(?:(?:\s*/\s*|\s+per\s+)(gpu|node))?",
        written,
        re.IGNORECASE,
    )
    if not match:
        raise _is_not(written, wanted)
    number, prefix, unit, share = match.groups()
    if unit.lower() == "b" and not (unit == "b" and written.lower().split("/")[0].rstrip().endswith("bps")):
        amount = f"{number} {prefix.upper()}"
        raise PlannerError(say("quantities.bits_or_bytes", said=written, asked=amount))
    bits = 1 if unit == "b" else _BITS.get(unit.lower().removesuffix("s"), 0)
    if not bits:
        raise _is_not(written, wanted)
    giga = Decimal(10) ** {"": -9, "k": -6, "m": -3, "g": 0, "t": 3}[prefix.lower()]
    value = _decimal(number, wanted, written) * bits * giga
    if value <= 0:
        raise PlannerError(say("quantities.not_above_0", said=written))
    return _finite(value, text), (share or "").lower() == "gpu"


def parse_bytes(text: Written) -> float:
    """Bytes: "80 GB" is 80 x 10^9, "80 GiB" is 80 x 2^30; bits (`Gb`, `Gbit`) are refused."""
    wanted = say("quantities.bytes")
    written = _text(text, wanted)
    match = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]+)", written)
    if not match or match.group(2) not in _BYTES:
        raise _is_not(written, wanted, did_you_mean(match.group(2), _BYTES) if match else "")
    return _finite(_not_negative(_decimal(match.group(1), wanted, written) * _BYTES[match.group(2)], written), text)


def parse_fraction(text: Written) -> float:
    """A share from 0 to 1: 0.95, "0.95", "95 %"."""
    wanted = say("quantities.fraction")
    written = _text(text, wanted)
    percent = written.endswith("%")
    value = _decimal(written.removesuffix("%").rstrip(), wanted, written) / (100 if percent else 1)
    if not 0 <= value <= 1:
        raise _is_not(written, wanted, _meant(f"{written} %") if not percent and 2 <= value <= 100 else "")
    return float(value)


def parse_date(text: Written) -> date:
    """A day, `2027-03-01`."""
    written = _text(text, say("quantities.date"))
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", written):
            return date.fromisoformat(written)
    except ValueError:
        pass
    raise PlannerError(say("quantities.not_a_date", said=written))


# --- helpers -----------------------------------------------------------------------------------------------------


def _is_not(written: str, wanted: str, hint: str = "") -> PlannerError:
    return PlannerError(say("quantities.is_not", said=f"`{written}`", wanted=wanted, hint=hint))


def _meant(text: str) -> str:
    return say("names.meant", names=f"`{text}`")


def _text(value: Written, wanted: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _is_not(str(value), wanted)
    written = value.strip() if isinstance(value, str) else repr(value)
    if not written or len(written) > MAX_TEXT or not written.isprintable():
        raise PlannerError(say("quantities.is_not", said=shown(written), wanted=wanted, hint=""))
    return written


def _decimal(text: str, wanted: str, written: str | None = None) -> Decimal:
    if re.fullmatch(_NUMBER, text) and re.search(r"\d", text):
        try:
            return Decimal(text.replace(",", "").replace("_", ""))
        except InvalidOperation:
            pass
    raise _is_not(written or text, wanted)


def _scaled(text: str, wanted: str, written: str) -> Decimal:
    match = re.fullmatch(rf"({_NUMBER})\s*([A-Za-z]*)", text)
    if not match:
        raise _is_not(written, wanted)
    number, suffix = match.groups()
    power = _SUFFIX.get(suffix, _SUFFIX.get(suffix.lower()) if len(suffix) > 1 else None) if suffix else 0
    if power is None:
        raise _is_not(written, wanted, _meant(f"{number}{suffix.upper()}") if suffix.upper() in _SUFFIX else "")
    return _decimal(number, wanted, written).scaleb(power)


def _seconds(unit: str, number: str, written: str) -> Decimal:
    key = _TIME_WORDS.get(unit.lower(), unit.lower())
    if unit != "M" and key in _SECONDS:
        return _SECONDS[key]
    if not unit:
        raise PlannerError(say("quantities.no_unit", said=written, number=number))
    if key == "m":
        raise PlannerError(say("quantities.minutes_or_months", said=written, unit=unit, number=number))
    if (one := key.removesuffix("s")) in ("month", "mo", "year", "yr", "y", "quarter"):
        raise PlannerError(say("quantities.no_fixed_length", said=written, unit=one))
    raise PlannerError(say("quantities.no_unit_of_time", said=written, unit=unit))


def _finite(value: Decimal, text: Written) -> float:
    result = float(value)
    if not math.isfinite(result):
        raise PlannerError(say("quantities.too_large", said=shown(str(text))))
    return result


def _not_negative(value: Decimal, written: str) -> Decimal:
    if value < 0:
        raise PlannerError(say("quantities.negative", said=written))
    return value
