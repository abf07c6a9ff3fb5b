"""Kinds of single value that a scenario's keys take: each can read one from a file and say itself as JSON Schema.

The tables of the sections are made of these, so that the schema that is printed and the reader that refuses are one.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from planner import units
from planner.money import CURRENCIES, SIGNS
from planner.reading import names, quantities
from planner.reading.names import did_you_mean
from planner.reading.text import wrong_at
from planner.reading.tree import Node
from planner.units import PlannerError, shown
from planner.words import say

Json = dict[str, Any]
T = TypeVar("T")

_NUMBER = r"[+-]?[0-9][0-9,_]*(\.[0-9]*)?([eE][+-]?[0-9]+)?"
_SCALED = _NUMBER + r"\s*(k|K|M|B|T|thousand|million|billion|trillion)?"


@dataclass(slots=True)
class Reading:
    """What a reading knows besides the file: the names that exist, and the defaults it met on the way."""

    names: Mapping[str, Callable[[], Sequence[str]]] = field(default_factory=dict)  # "accelerator" -> its ids
    homes: Callable[[str], Sequence[str]] = lambda _: ()  # the sections that a key of this name belongs to
    defaults: list[tuple[str, str]] = field(default_factory=list)
    # Why the catalog has no accelerator of a name, where that is known; "" elsewhere.
    why_absent: Callable[[str], str] = lambda _: ""


class Kind(Protocol):
    """One kind of value."""

    def schema(self) -> Json:
        """The JSON Schema of what it takes."""
        ...

    def read(self, node: Node, path: str, reading: Reading, /) -> Any:
        """The plain value of a node, or a PlannerError that says place, key, what was found and what is allowed."""
        ...


def fail(where: str, path: str, message: str) -> PlannerError:
    """The sentence of one mistake: place, key, message."""
    place = say("reading.within", where=where, path=path) if where and path else where or path
    return wrong_at(place, message) if place else PlannerError(message)


def _scalar(node: Node, path: str, wanted: str) -> str:
    if node.items is not None or node.fields is not None or node.value is None:
        raise fail(node.where, path, say("fields.found", kind=node.kind, wanted=wanted))
    return node.text.strip()


# --- single values -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A text, taken as written."""

    wanted: str = say("wanted.text")
    longest: int = 500
    pattern: str = ""  # that all of it matches; "": any

    def schema(self) -> Json:
        shape = {"pattern": f"^\\s*{self.pattern}\\s*$"} if self.pattern else {}
        return {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": self.longest, **shape}

    def read(self, node: Node, path: str, _: Reading) -> str:
        text = _scalar(node, path, self.wanted)
        if not text or len(text) > self.longest or not text.isprintable():
            why = say("fields.text", text=shown(text), wanted=self.wanted, longest=self.longest)
            raise fail(node.where, path, why)
        if self.pattern and not re.fullmatch(self.pattern, text):
            raise fail(node.where, path, is_not(text, self.wanted))
        return text


@dataclass(frozen=True)
class Word:
    """One of a few words."""

    words: tuple[str, ...]
    also: str = ""  # what else its key takes, for the sentence
    called: Mapping[str, str] = field(default_factory=dict)  # other names of words, in small letters

    def schema(self) -> Json:
        return {"enum": list(self.words)}

    def read(self, node: Node, path: str, _: Reading) -> str:
        allowed = {"words": quoted(self.words), "also": self.also}
        text = _scalar(node, path, say("wanted.one_of", **allowed))
        meant = self.called.get(text.lower(), text.lower())
        found = next((word for word in self.words if word.lower() == meant), None)
        if found is None:
            near = did_you_mean(text, self.words)
            raise fail(node.where, path, say("fields.not_one_of", text=shown(text), near=near, **allowed))
        return found


@dataclass(frozen=True)
class Name:
    """A name of something that the catalog knows."""

    what: str  # accelerator | cloud | region
    several: bool = False  # of an accelerator: a chip's name stands for all its parts, given as a list

    def schema(self) -> Json:
        return {"type": "string", "minLength": 1, "maxLength": 100}

    def read(self, node: Node, path: str, reading: Reading) -> str | list[str]:
        wanted = say("wanted.known_name", what=say(f"names.{self.what}"))
        text = _scalar(node, path, wanted)
        if not text:
            raise fail(node.where, path, say("fields.empty_name", wanted=wanted))
        known = reading.names.get(self.what)
        if known is not None:
            if self.what == "accelerator" and (why := reading.why_absent(text)):
                raise fail(node.where, path, say("fields.absent", text=shown(text), why=why))
            if self.what == "accelerator":
                return self._part(node, path, text, known())
            return with_place(node, path, lambda: names.check_name(text, known(), self.what))
        return [text] if self.several else text

    def _part(self, node: Node, path: str, text: str, known: Sequence[str]) -> str | list[str]:
        from planner.catalog.part_names import parts_meant, the_part

        meant = parts_meant(text, known) if self.several else ()
        return list(meant) or with_place(node, path, lambda: the_part(text, known))


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def schema(self) -> Json:
        return {"type": "boolean"}

    def read(self, node: Node, path: str, _: Reading) -> bool:
        wanted = say("wanted.flag")
        text = _scalar(node, path, wanted)
        if not isinstance(node.value, bool):
            raise fail(node.where, path, is_not(text, wanted, _meant(text)))
        return node.value


def _meant(text: str) -> str:
    word = {"yes": "true", "on": "true", "no": "false", "off": "false"}.get(text.lower())
    return say("names.meant", names=f"`{word}`") if word else ""


@dataclass(frozen=True)
class FlagOr:
    """True, false, or one of a few numbers that say more than true."""

    numbers: tuple[int, ...]

    def schema(self) -> Json:
        return {"enum": [True, False, *self.numbers]}

    def read(self, node: Node, path: str, _: Reading) -> bool | int:
        text = _scalar(node, path, self.wanted)
        if text in map(str, self.numbers):
            return int(text)
        if not isinstance(node.value, bool):
            raise fail(node.where, path, is_not(text, self.wanted, _meant(text)))
        return node.value

    @property
    def wanted(self) -> str:
        return say("wanted.words", words=quoted(("true", "false", *map(str, self.numbers))))


@dataclass(frozen=True)
class Quantity:
    """A number, perhaps with a unit; `parse` is one of `units`' parsers, `least` and `most` are in its unit."""

    parse: Callable[[str], Any]
    wanted: str
    pattern: str
    least: float | None = None
    most: float | None = None
    above: float | None = None  # exclusive
    below: float | None = None  # exclusive
    bare: str | None = None  # JSON type of a bare number: "integer", "number", or None where a unit is needed
    show: Callable[[Any], str] = str

    def schema(self) -> Json:
        text = {"type": "string", "pattern": f"^\\s*{self.pattern}\\s*$"}
        if self.bare is None:
            return text
        number: Json = {"type": self.bare}
        for key, value in (
            ("minimum", self.least),
            ("maximum", self.most),
            ("exclusiveMinimum", self.above),
            ("exclusiveMaximum", self.below),
        ):
            if value is not None:
                number[key] = value
        return {"anyOf": [number, text]}

    def read(self, node: Node, path: str, _: Reading) -> Any:
        text = _scalar(node, path, self.wanted)
        if isinstance(node.value, bool):
            raise fail(node.where, path, is_not(text, self.wanted))
        value = with_place(node, path, lambda: self.parse(text))
        size = value[0] if isinstance(value, tuple) else value
        limits: list[tuple[float | None, Callable[[Any, Any], bool], str]] = [
            (self.least, operator.ge, "wanted.at_least"),
            (self.most, operator.le, "wanted.at_most"),
            (self.above, operator.gt, "wanted.above"),
            (self.below, operator.lt, "wanted.below"),
        ]
        for limit, holds, code in limits:
            if limit is not None and not holds(size, limit):
                why = say("fields.beyond", text=shown(text), limit=say(code, limit=self.show(limit)))
                raise fail(node.where, path, why)
        return value


def with_place(node: Node, path: str, call: Callable[[], T]) -> T:
    """The call's value; its PlannerError gains place and key."""
    try:
        return call()
    except PlannerError as error:
        raise fail(node.where, path, error.args[0]) from None


def is_not(text: str, wanted: str, hint: str = "") -> str:
    """That a text is not what belongs there, and what may be meant."""
    return say("quantities.is_not", said=shown(text), wanted=wanted, hint=hint)


def whole(least: int = 1, most: int = 10**15, unit: str = "") -> Quantity:
    """A whole number, "2M" and "64B tokens" included; `unit` is the one word that may follow it."""
    word = f"(\\s*{unit[:-1]}s?)?" if unit else ""
    counted = {"unit": say(f"quantities.{unit}")} if unit else {}
    wanted = say("wanted.whole_of" if unit else "wanted.whole", least=least, **counted)
    return Quantity(
        lambda text: quantities.parse_count(text, unit),
        wanted,
        f"{_SCALED}{word}",
        least=least,
        most=most,
        bare="integer",
        show=lambda limit: f"{limit:,}",
    )


def real(*, least: float | None = None, above: float | None = None, most: float | None = None) -> Quantity:
    """A bare number."""
    limits = (("wanted.at_least", least), ("wanted.above", above), ("wanted.at_most", most))
    limited = [say(code, limit=units.format_number(limit)) for code, limit in limits if limit is not None]
    wanted = say("wanted.limited", limits=limited) if limited else say("quantities.number")
    return Quantity(
        lambda text: quantities.parse_number(text, wanted),
        wanted,
        _NUMBER,
        least=least,
        above=above,
        most=most,
        bare="number",
        show=units.format_number,
    )


def duration(*, above: float | None = 0.0, least: float | None = None) -> Quantity:
    """A time with its unit, in seconds."""
    return Quantity(
        quantities.parse_duration,
        say("wanted.duration"),
        r"[0-9].*[A-Za-z]",
        above=above,
        least=least,
        show=lambda limit: say("fields.duration", t=limit),
    )


def money(*, above: float | None = 0.0, least: float | None = None) -> Quantity:
    """US dollars."""
    return Quantity(
        quantities.parse_money,
        say("wanted.money"),
        rf"((USD|US\$|\$)\s*)?{_SCALED}\s*(USD|US\$|\$|[dD]ollars?)?",
        above=above,
        least=least,
        bare="number",
        show=lambda limit: say("fields.cost", usd=limit),
    )


_UNITS = "|".join((*map(re.escape, SIGNS), *CURRENCIES, "[dD]ollars?", r"(GPU|gpu|[nN]ode)[- ]?([hH]ours?|h)"))
AMOUNT = Quantity(
    quantities.parse_amount,
    say("quantities.amount"),
    rf"(({_UNITS})\s*)?{_SCALED}\s*({_UNITS})?",
    above=0.0,
    bare="number",
    show=units.format_number,
)
RATE = Quantity(
    quantities.parse_bandwidth,
    say("wanted.rate"),
    r"[0-9][0-9,_.eE+]*\s*[kMGTmgt]?[A-Za-z]+(\s*/\s*s|ps)(.*)",
)
DAY = Quantity(quantities.parse_date, say("quantities.date"), r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
SIZE = Quantity(quantities.parse_bytes, say("wanted.size"), r"[0-9][0-9,_.eE+]*\s*[kKMGTP]?i?B", above=0)
SURE = Quantity(
    quantities.parse_fraction,
    say("wanted.probability"),
    r"[0-9.]+(e-?[0-9]+)?\s*%?",
    above=0,
    below=1,
    bare="number",
    show=units.format_number,
)
SHARE = Quantity(
    quantities.parse_fraction,
    say("wanted.share"),
    r"[0-9.]+(e-?[0-9]+)?\s*%?",
    least=0,
    most=1,
    bare="number",
)
SHARE_ABOVE_0 = replace(SHARE, least=None, above=0)
GPU = Name("accelerator")
GPUS = Name("accelerator", several=True)  # of a filter
CLOUD = Name("cloud")
REGION = Name("region")


def quoted(words: Sequence[str]) -> list[str]:
    """The words in backquotes."""
    return [f"`{word}`" for word in words]
