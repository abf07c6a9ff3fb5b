"""Kinds of value that a scenario's keys take: each can read one from a file and say itself as JSON Schema.

The table in `scenario_schema` is made of these, so that the schema that is printed and the reader that refuses are one.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from planner import units
from planner.scenario_yaml import Node, scalar_node
from planner.units import PlannerError, did_you_mean, shown

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
    return PlannerError(": ".join(part for part in (", ".join(p for p in (where, path) if p), message) if part))


def _scalar(node: Node, path: str, wanted: str) -> str:
    if node.items is not None or node.fields is not None or node.value is None:
        raise fail(node.where, path, f"found {node.kind}, where {wanted} belongs")
    return node.text.strip()


# --- single values -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Text:
    """A text, taken as written."""

    wanted: str = "a text"
    longest: int = 500

    def schema(self) -> Json:
        return {"type": ["string", "number", "boolean"], "minLength": 1, "maxLength": self.longest}

    def read(self, node: Node, path: str, _: Reading) -> str:
        text = _scalar(node, path, self.wanted)
        if not text or len(text) > self.longest or not text.isprintable():
            raise fail(
                node.where, path, f"{shown(text)} is not {self.wanted} of 1 to {self.longest} printable characters"
            )
        return text


@dataclass(frozen=True)
class Word:
    """One of a few words."""

    words: tuple[str, ...]
    also: str = ""  # what else its key takes, for the sentence

    def schema(self) -> Json:
        return {"enum": list(self.words)}

    def read(self, node: Node, path: str, _: Reading) -> str:
        allowed = _listed(self.words) + self.also
        text = _scalar(node, path, f"one of {allowed}")
        if text not in self.words:
            raise fail(node.where, path, f"{shown(text)} is not one of {allowed}{did_you_mean(text, self.words)}")
        return text


@dataclass(frozen=True)
class Name:
    """A name of something that the catalog knows."""

    what: str  # accelerator | cloud | region

    def schema(self) -> Json:
        return {"type": "string", "minLength": 1, "maxLength": 100}

    def read(self, node: Node, path: str, reading: Reading) -> str:
        text = _scalar(node, path, f"the name of a known {self.what}")
        if not text:
            raise fail(node.where, path, f"found an empty text, where the name of a known {self.what} belongs")
        known = reading.names.get(self.what)
        if known is not None:
            with_place(node, path, lambda: units.check_name(text, known(), self.what))
        return text


@dataclass(frozen=True)
class Flag:
    """True or false."""

    def schema(self) -> Json:
        return {"type": "boolean"}

    def read(self, node: Node, path: str, _: Reading) -> bool:
        text = _scalar(node, path, "`true` or `false`")
        if not isinstance(node.value, bool):
            hint = {"yes": "; did you mean `true`?", "on": "; did you mean `true`?"}.get(text.lower(), "")
            hint = hint or {"no": "; did you mean `false`?", "off": "; did you mean `false`?"}.get(text.lower(), "")
            raise fail(node.where, path, f"{shown(text)} is not `true` or `false`{hint}")
        return node.value


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
            raise fail(node.where, path, f"{shown(text)} is not {self.wanted}")
        value = with_place(node, path, lambda: self.parse(text))
        size = value[0] if isinstance(value, tuple) else value
        limits: list[tuple[float | None, Callable[[Any, Any], bool], str]] = [
            (self.least, operator.ge, "at least"),
            (self.most, operator.le, "at most"),
            (self.above, operator.gt, "above"),
            (self.below, operator.lt, "below"),
        ]
        for limit, holds, word in limits:
            if limit is not None and not holds(size, limit):
                raise fail(node.where, path, f"{shown(text)} must be {word} {self.show(limit)}")
        return value


def with_place(node: Node, path: str, call: Callable[[], T]) -> T:
    """The call's value; its PlannerError gains place and key."""
    try:
        return call()
    except PlannerError as error:
        raise fail(node.where, path, str(error)) from None


def whole(least: int = 1, most: int = 10**15, unit: str = "") -> Quantity:
    """A whole number, "2M" and "64B tokens" included; `unit` is the one word that may follow it."""
    word = f"(\\s*{unit[:-1]}s?)?" if unit else ""
    wanted = f"a whole number{f' of {unit}' if unit else ''} of at least {least:,}"
    return Quantity(
        lambda text: units.parse_count(text, unit),
        wanted,
        f"{_SCALED}{word}",
        least=least,
        most=most,
        bare="integer",
        show=lambda limit: f"{limit:,}",
    )


def real(*, least: float | None = None, above: float | None = None, most: float | None = None) -> Quantity:
    """A bare number."""
    limits = (("at least", least), ("above", above), ("at most", most))
    said = [f"{word} {units.format_number(limit)}" for word, limit in limits if limit is not None]
    wanted = f"a number {' and '.join(said)}".rstrip()
    return Quantity(
        lambda text: units.parse_number(text, wanted),
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
        units.parse_duration,
        "a time with its unit, such as `14 days`",
        r"[0-9].*[A-Za-z]",
        above=above,
        least=least,
        show=units.format_duration,
    )


def money(*, above: float | None = 0.0, least: float | None = None) -> Quantity:
    """US dollars."""
    return Quantity(
        units.parse_money,
        "an amount in US dollars, such as `80k USD`",
        rf"((USD|US\$|\$)\s*)?{_SCALED}\s*(USD|US\$|\$|[dD]ollars?)?",
        above=above,
        least=least,
        bare="number",
        show=units.format_usd,
    )


# --- compositions ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Many:
    """A list of one kind; a single value stands for a list of one where `single` allows it."""

    item: Kind
    wanted: str
    single: bool = False
    most: int = 1000

    def schema(self) -> Json:
        many: Json = {"type": "array", "items": self.item.schema(), "minItems": 1, "maxItems": self.most}
        return {"anyOf": [self.item.schema(), many]} if self.single else many

    def read(self, node: Node, path: str, reading: Reading) -> list[Any]:
        if node.items is None:
            if self.single and node.value is not None:
                return [self.item.read(node, path, reading)]
            raise fail(node.where, path, f"found {node.kind}, where {self.wanted} belongs")
        if not node.items or len(node.items) > self.most:
            raise fail(node.where, path, f"found {len(node.items):,} entries, where 1 to {self.most:,} belong")
        return [self.item.read(item, f"{path}.{i}", reading) for i, item in enumerate(node.items)]


@dataclass(frozen=True)
class AnyOr:
    """The word `any` (read as an empty list), one name, or a list of names."""

    item: Kind
    wanted: str

    def schema(self) -> Json:
        return {"anyOf": [{"const": "any"}, *Many(self.item, self.wanted, single=True).schema()["anyOf"]]}

    def read(self, node: Node, path: str, reading: Reading) -> list[Any]:
        if node.text.strip() == "any":
            return []
        return Many(self.item, f"`any` or a list of {self.wanted}", single=True).read(node, path, reading)


@dataclass(frozen=True)
class Shape:
    """A value whose shape (scalar, list, map) says which kind it is of."""

    wanted: str
    scalar: Kind | None = None
    many: Kind | None = None
    table: Kind | None = None

    def schema(self) -> Json:
        return {"anyOf": [kind.schema() for kind in (self.scalar, self.many, self.table) if kind is not None]}

    def read(self, node: Node, path: str, reading: Reading) -> Any:
        kind = self.table if node.fields is not None else self.many if node.items is not None else self.scalar
        if kind is None or node.kind == "nothing":
            raise fail(node.where, path, f"found {node.kind}, where {self.wanted} belongs")
        return kind.read(node, path, reading)


@dataclass(frozen=True)
class Key:
    """One key of a map. `default`: a text that its kind reads; `implied`: prose for one that is worked out later."""

    name: str
    kind: Kind
    help: str
    required: bool = False
    default: str | tuple[str, ...] | None = None
    implied: str | None = None
    examples: tuple[Any, ...] = ()
    fill: bool = False  # a map whose keys' defaults count even when it is absent


@dataclass(frozen=True)
class Table:
    """A map with known keys. `one_of`: exactly one of them is given; `at_most_one`: no more than one."""

    keys: tuple[Key, ...]
    one_of: tuple[str, ...] = ()
    at_most_one: tuple[tuple[str, ...], ...] = ()
    wanted: str = "a map"

    def schema(self) -> Json:
        properties = {}
        for key in self.keys:
            entry = key.kind.schema()
            entry["description"] = key.help
            if key.default is not None:
                entry["default"] = list(key.default) if isinstance(key.default, tuple) else key.default
            if key.examples:
                entry["examples"] = list(key.examples)
            properties[key.name] = entry
        result: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        if required := [key.name for key in self.keys if key.required]:
            result["required"] = required
        if self.one_of:
            result["oneOf"] = [{"required": [name]} for name in self.one_of]
        if self.at_most_one:
            result["allOf"] = [{"not": {"required": list(names)}} for names in self.at_most_one]
        return result

    def read(self, node: Node, path: str, reading: Reading) -> dict[str, Any]:
        given = node.fields
        if given is None:
            raise fail(node.where, path, f"found {node.kind}, where {self.wanted} with {self._names()} belongs")
        self._refuse_unknown(node, path, reading)
        values = {key.name: self._value(key, node, path, reading) for key in self.keys}
        self._check_groups(node, path)
        return values

    def key(self, name: str) -> Key | None:
        return next((key for key in self.keys if key.name == name), None)

    def _names(self) -> str:
        return _listed(tuple(key.name for key in self.keys), "and")

    def _refuse_unknown(self, node: Node, path: str, reading: Reading) -> None:
        names = [key.name for key in self.keys]
        for name, where in node.key_where.items():
            if name not in names:
                homes = [home for home in reading.homes(name) if home != path]
                near = f"; it belongs under {_listed(tuple(homes))}" if homes else did_you_mean(name, names)
                near = near or f"; allowed: {', '.join(names)}"
                raise fail(where, path, f"there is no key {shown(name)} here{near}")

    def _value(self, key: Key, node: Node, path: str, reading: Reading) -> Any:
        inner = f"{path}.{key.name}" if path else key.name
        child = (node.fields or {}).get(key.name)
        if child is not None:
            return key.kind.read(child, inner, reading)
        if key.required:
            example = f", such as `{key.name}: {key.examples[0]}`" if key.examples else ""
            raise fail(node.where, path, f"the key `{key.name}` is missing ({key.help}); write it{example}")
        if key.fill:
            return key.kind.read(Node(node.where, fields={}), inner, reading)
        if key.default is not None:
            words = (key.default,) if isinstance(key.default, str) else key.default
            reading.defaults.append((inner, ", ".join(words)))
            nodes = [scalar_node(word, "default") for word in words]
            default = nodes[0] if isinstance(key.default, str) else Node("default", items=nodes)
            return key.kind.read(default, inner, reading)
        if key.implied is not None:
            reading.defaults.append((inner, key.implied))
        return None

    def _check_groups(self, node: Node, path: str) -> None:
        given = node.fields or {}
        if self.one_of:
            have = [name for name in self.one_of if name in given]
            if not have:
                raise fail(node.where, path, f"one of the keys {_listed(self.one_of)} is missing; write one of them")
            if len(have) > 1:
                raise fail(
                    node.key_where[have[1]], path, f"{_listed(tuple(have), 'and')} exclude each other; keep one of them"
                )
        for names in self.at_most_one:
            have = [name for name in names if name in given]
            if len(have) > 1:
                raise fail(
                    node.key_where[have[-1]],
                    path,
                    f"{_listed(tuple(have), 'and')} exclude each other; keep one of them",
                )


def _listed(words: tuple[str, ...], joint: str = "or") -> str:
    quoted = [f"`{word}`" for word in words]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {joint} {quoted[-1]}"
