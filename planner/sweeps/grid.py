"""What `--over` says: the values that each varied key takes, and the grid that they span."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import product
from math import prod

from planner.reading import quantities
from planner.reading.tree import scalar_node
from planner.scenario.fields import Kind, Quantity, money
from planner.scenario.schema import kind_at
from planner.scenario.tables import Shape
from planner.units import PlannerError, shown
from planner.words import say

MOST = 100_000  # variations of one sweep
_DIGITS = 6  # of a value between the ends of a range

_NUMBER = r"[+-]?(?:\d[\d_]*(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_END = rf"(?P<sign{{0}}>US\$|\$|USD\s+)?(?P<number{{0}}>{_NUMBER})\s*(?P<unit{{0}}>[A-Za-z%$][A-Za-z%$/ ]*?)??"
_RANGE = re.compile(rf"\s*{_END.format(1)}\s*\.\.\s*{_END.format(2)}\s*(?::(?P<rest>.*))?", re.DOTALL)
_DAY = r"\d{4}-\d\d-\d\d"
_DAYS = re.compile(rf"\s*(?P<first>{_DAY})\s*\.\.\s*(?P<last>{_DAY})\s*(?::(?P<rest>.*))?", re.DOTALL)
_SUFFIXES: dict[object, str] = {
    quantities.parse_duration: "_s",
    quantities.parse_money: "_usd",
    quantities.parse_bytes: "_bytes",
}


@dataclass(frozen=True, slots=True)
class Axis:
    """One varied key and its values as `--set` would be given them. `numbers`: the same as numbers, where they are."""

    key: str
    values: tuple[str, ...]
    numbers: tuple[float, ...] | None = None
    suffix: str = ""  # "_s", "_usd", "_bytes": the unit of `numbers`; "": a bare number

    def override(self, index: int) -> str:
        """The value at `index` as an override, "key=value"."""
        return f"{self.key}={self.values[index]}"


def read_axes(overs: Sequence[str], fixed: Sequence[str] = ()) -> tuple[Axis, ...]:
    """The axes of a grid, one for each of `overs` ("key=a,b,c" or "key=7..60d:8"); `fixed`: the `--set` beside them.

    Raises
    ------
    PlannerError
        If one cannot be read, a key stands twice, or the grid is larger than a sweep may be.
    """
    if not overs:
        raise PlannerError(say("grid.no_over"))
    axes = tuple(read_axis(over) for over in overs)
    keys = [axis.key for axis in axes]
    for key in keys:
        if keys.count(key) > 1:
            raise PlannerError(say("grid.key_twice", key=key))
        if any(text.partition("=")[0].strip() == key for text in fixed):
            raise PlannerError(say("grid.also_set", key=key))
    size = prod(len(axis.values) for axis in axes)
    if size > MOST:
        raise PlannerError(say("grid.too_large", size=size, most=MOST))
    return axes


def read_axis(text: str) -> Axis:
    """One `--over`.

    Raises
    ------
    PlannerError
        That names it and says what to write.
    """
    where = shown(text).strip("`")
    key, equals, listed = text.partition("=")
    key = key.strip()
    if not equals or not key or not listed.strip():
        raise PlannerError(say("grid.form", over=where))
    quantity = _quantity(key)
    whole = quantity is not None and quantity.bare == "integer"  # a count is rounded between the ends
    values = [value for part in split_list(listed) for value in _values(part, where, whole)]
    if any(not value.strip() for value in values):
        raise PlannerError(say("grid.empty", over=where))
    if twice := next((value for value in values if values.count(value) > 1), None):
        raise PlannerError(say("grid.value_twice", over=where, value=shown(twice)))
    if len(values) > MOST:
        raise PlannerError(say("grid.too_many_values", over=where, values=len(values), most=MOST))
    numbers, suffix = _numbers(key, values)
    return Axis(key, tuple(values), numbers, suffix)


def cells(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """The grid: an index into each axis' values, the last axis fastest."""
    return product(*(range(len(axis.values)) for axis in axes))


def split_list(text: str) -> list[str]:
    """`text` at its commas, those inside brackets, braces and quotes left alone."""
    parts, depth, quote = [""], 0, ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'" and depth:
            quote = char
        else:
            depth += (char in "[{") - (char in "]}")
        if char == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


# --- ranges ------------------------------------------------------------------------------------------------------


def _values(text: str, where: str, whole: bool) -> list[str]:
    """The values of one part of a list: a range's, or the text itself."""
    if match := _DAYS.fullmatch(text):
        return _days(match, where)
    match = _RANGE.fullmatch(text)
    if not match:
        return [text]
    count, logarithmic = _spacing(match["rest"], text, where)
    if match["unit1"] and match["unit1"].strip() != (match["unit2"] or "").strip():
        raise PlannerError(say("grid.two_units", over=where))
    low, high = (Decimal(match[f"number{i}"].replace("_", "")) for i in (1, 2))
    if not low < high or (logarithmic and low <= 0):
        raise PlannerError(say("grid.range_above_0" if logarithmic else "grid.range", over=where))
    before = match["sign1"] or match["sign2"] or ""
    unit = (match["unit2"] or "").strip()
    after = f" {unit}" if unit and unit != "%" else unit
    numbers = spaced(low, high, count, logarithmic, whole and not unit)
    if len(set(numbers)) < count:
        raise PlannerError(say("grid.too_few_whole", over=where, count=count))
    return [f"{before}{number}{after}" for number in numbers]


def spaced(low: Decimal, high: Decimal, count: int, logarithmic: bool = False, whole: bool = False) -> list[str]:
    """`count` (at least 2) numbers from `low` to `high`, both ends exact, those between rounded to six digits.

    Evenly spaced, or in even ratios where `logarithmic`; to whole numbers where `whole`.
    """
    found = []
    for i in range(count):
        share = Decimal(i) / (count - 1)
        if i in (0, count - 1):
            value = high if i else low
        elif logarithmic:
            value = Decimal(math.exp(math.log(low) + float(share) * (math.log(high) - math.log(low))))
        else:
            value = low + (high - low) * share
        if whole and i not in (0, count - 1):
            value = Decimal(round(value))
        elif i not in (0, count - 1):
            value = Decimal(f"{value:.{_DIGITS - 1}e}")
        plain = f"{value:f}"
        found.append(plain.rstrip("0").rstrip(".") if "." in plain else plain)
    return found


def _spacing(rest: str | None, text: str, where: str) -> tuple[int, bool]:
    """How many values, and whether in even ratios: what stands after a range's colon, "8" or "8:log"."""
    match = re.fullmatch(r"\s*(\d{1,6})\s*(?::\s*(log|linear)\s*)?", rest or "")
    if not match or int(match[1]) < 2:
        listed = text.partition(":")[0].strip()
        raise PlannerError(say("grid.how_many", over=where, range=listed))
    if int(match[1]) > MOST:
        raise PlannerError(say("grid.too_many", over=where, most=MOST))
    return int(match[1]), match[2] == "log"


def _days(match: re.Match[str], where: str) -> list[str]:
    count, logarithmic = _spacing(match["rest"], match.group(), where)
    first, last = quantities.parse_date(match["first"]), quantities.parse_date(match["last"])
    length = (last - first).days
    if logarithmic or count > length + 1:
        raise PlannerError(say("grid.days", over=where, days=max(0, length + 1)))
    return [(first + timedelta(days=round(i * length / (count - 1)))).isoformat() for i in range(count)]


# --- what a value is as a number ----------------------------------------------------------------------------------


def _quantity(key: str) -> Quantity | None:
    kind: Kind | None = kind_at(key)
    while isinstance(kind, Shape):
        kind = kind.scalar
    return kind if isinstance(kind, Quantity) else None


def _numbers(key: str, values: Sequence[str]) -> tuple[tuple[float, ...] | None, str]:
    """All values as numbers and the suffix of their unit, or None where one of them is no number."""
    quantity = _quantity(key)
    if quantity is not None and quantity.parse is quantities.parse_amount:
        quantity = money()  # numbers are of dollars; other units stay text
    suffix = "" if quantity is None else _SUFFIXES.get(quantity.parse, "")
    parse = quantity.parse if quantity is not None and (suffix or quantity.bare) else _bare
    numbers = [_number(parse, value) for value in values]
    if None in numbers:
        return None, ""
    found = tuple(float(number) for number in numbers if number is not None)
    if not suffix and all(number.is_integer() and abs(number) < 2**53 for number in found):
        return tuple(int(number) for number in found), ""  # epochs are 1, 2, 4, not 1.0, 2.0, 4.0
    return found, suffix


def _number(parse: Callable[[str], object], value: str) -> float | None:
    try:
        number = parse(value)
    except PlannerError:  # told, with its place, when the variation is read
        return None
    if isinstance(number, tuple) and not number[1]:  # a batch as a bare number of sequences
        number = number[0]
    return number if isinstance(number, int | float) else None


def _bare(text: str) -> float | None:
    value = scalar_node(text, "").value
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
