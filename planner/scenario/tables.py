"""Lists, maps and values of several shapes, made of the single values of `fields`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from planner.reading.names import did_you_mean
from planner.reading.tree import Node, scalar_node
from planner.scenario.fields import Json, Kind, Reading, fail, quoted
from planner.units import shown
from planner.words import phrase, say


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
            raise fail(node.where, path, say("fields.found", kind=node.kind, wanted=self.wanted))
        if not node.items or len(node.items) > self.most:
            raise fail(node.where, path, say("fields.entries", found=len(node.items), most=self.most))
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
        read = Many(self.item, say("wanted.any_or", items=self.wanted), single=True).read(node, path, reading)
        return [name for each in read for name in (each if isinstance(each, list) else [each])]


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
        if kind is None or node.empty:
            raise fail(node.where, path, say("fields.found", kind=node.kind, wanted=self.wanted))
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
class KeyedMap:
    """A map with known keys. `one_of`: exactly one of them is given; `at_most_one`: no more than one.

    `instead`: where this key is given, no other is required.
    """

    keys: tuple[Key, ...]
    one_of: tuple[str, ...] = ()
    at_most_one: tuple[tuple[str, ...], ...] = ()
    wanted: str = say("wanted.map")
    instead: str = ""

    def schema(self) -> Json:
        properties = {}
        for key in self.keys:
            entry = key.kind.schema()
            entry["description"] = key.help
            if key.default is not None:
                entry["default"] = _as_json(key.default)
            if key.examples:
                entry["examples"] = list(key.examples)
            properties[key.name] = entry
        result: Json = {"type": "object", "properties": properties, "additionalProperties": False}
        if required := [key.name for key in self.keys if key.required]:
            if self.instead:
                result["oneOf"] = [{"required": required}, {"required": [self.instead]}]
            else:
                result["required"] = required
        if self.one_of:
            result["oneOf"] = [{"required": [name]} for name in self.one_of]
        if self.at_most_one:
            result["allOf"] = [{"not": {"required": list(names)}} for names in self.at_most_one]
        return result

    def read(self, node: Node, path: str, reading: Reading) -> dict[str, Any]:
        given = node.fields
        if given is None:
            names = quoted([key.name for key in self.keys])
            raise fail(node.where, path, say("fields.found_map", kind=node.kind, wanted=self.wanted, names=names))
        self._refuse_unknown(node, path, reading)
        values = {key.name: self._value(key, node, path, reading) for key in self.keys}
        self._check_groups(node, path)
        return values

    def key(self, name: str) -> Key | None:
        return next((key for key in self.keys if key.name == name), None)

    def _refuse_unknown(self, node: Node, path: str, reading: Reading) -> None:
        names = [key.name for key in self.keys]
        for name, where in node.key_where.items():
            if name not in names:
                homes = [home for home in reading.homes(name) if home != path]
                near = say("fields.belongs", homes=quoted(homes)) if homes else did_you_mean(name, names)
                near = near or say("fields.allowed", names=names)
                raise fail(where, path, say("fields.unknown_key", key=shown(name), near=near))

    def _value(self, key: Key, node: Node, path: str, reading: Reading) -> Any:
        inner = f"{path}.{key.name}" if path else key.name
        child = (node.fields or {}).get(key.name)
        if child is not None:
            return key.kind.read(child, inner, reading)
        if key.required and self.instead not in (node.fields or {}):
            values: dict[str, Any] = {"key": key.name, "help": phrase("keys", key.help)}
            if key.examples:
                raise fail(node.where, path, say("fields.missing_such", example=str(key.examples[0]), **values))
            raise fail(node.where, path, say("fields.missing", **values))
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
                raise fail(node.where, path, say("fields.one_missing", names=quoted(self.one_of)))
            if len(have) > 1:
                raise fail(node.key_where[have[1]], path, say("fields.exclude", names=quoted(have)))
        for names in self.at_most_one:
            have = [name for name in names if name in given]
            if len(have) > 1:
                raise fail(node.key_where[have[-1]], path, say("fields.exclude", names=quoted(have)))


def _as_json(default: str | tuple[str, ...]) -> Any:
    """A default as an editor would write it: numbers as numbers."""
    if isinstance(default, tuple):
        return [_as_json(word) for word in default]
    value = scalar_node(default, "").value
    return default if value is None else value
