"""YAML as planner's own files mean it: a tree of values that know their line, by the rules of YAML 1.2's core schema.

`no`, `on` and `12:30` are texts, `1e9` is a number; a key may stand once; tags run nothing; anchors cannot grow a small
file into a large tree. The events come from PyYAML (libyaml where it is there), the construction is ours.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from planner.files import printable_name
from planner.reading.text import UNSEEN, text_of, wrong_at
from planner.units import PlannerError, shown
from planner.words import Sentence, phrase, say

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 20
MAX_DIGITS = 40

_NULL = re.compile(r"null|Null|NULL|~|")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL_OR_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")

Scalar = None | bool | int | float | str


@dataclass(slots=True)
class Node:
    """A value and where it stands. `text` is a scalar as written: a field of text takes `1e9` or `no` verbatim."""

    where: str
    value: Scalar = None
    text: str = ""
    items: list[Node] | None = None
    fields: dict[str, Node] | None = None
    key_where: dict[str, str] = field(default_factory=dict)  # where each key of `fields` stands
    size: int = 1  # nodes in it, aliases counted each time

    def texts(self) -> Any:
        """The same as plain maps, lists and texts, every scalar as it was written."""
        if self.fields is not None:
            return {key: node.texts() for key, node in self.fields.items()}
        return self.text if self.items is None else [node.texts() for node in self.items]

    @property
    def kind(self) -> str:
        if self.fields is not None:
            return say("tree.map")
        if self.items is not None:
            return say("tree.list")
        return say("tree.nothing") if self.value is None else shown(self.text)

    @property
    def empty(self) -> bool:
        """Whether nothing stands there, not even an empty map or list."""
        return self.fields is None and self.items is None and self.value is None


def read_yaml(content: bytes, name: str, holds: str = "scenario") -> Node:
    """The tree of one document; `holds`: what the file is.

    Raises
    ------
    PlannerError
        With file and line, for whatever is not one plain YAML document of a reasonable size.
    """
    name = printable_name(name)
    if len(content) > MAX_BYTES:
        raise PlannerError(say("tree.too_long", name=name, most=MAX_BYTES, holds=phrase("holds", holds)))
    return _document(text_of(content, name), name, holds)


def read_flow(text: str, name: str) -> Node:
    """The tree of a map, list or number of an override; every node says `name` for its place."""
    return _document(text, name)


def scalar_node(text: str, where: str) -> Node:
    """A scalar of an override: its text verbatim, and the value that YAML 1.2 would give it unquoted."""
    return Node(where, _resolve(text.strip()), text)


# --- construction ------------------------------------------------------------------------------------------------


def _document(text: str, name: str, holds: str = "") -> Node:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    events = yaml.parse(text, Loader=loader)
    builder = _Builder(events, name, holds)
    try:
        return builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = builder.place(mark) if mark else name
        reason = _first_line(", ".join(part for part in (error.context, error.problem) if part))
        raise wrong_at(place, say("tree.not_yaml", why=reason)) from None
    except yaml.YAMLError as error:
        raise wrong_at(_unreadable(text, name), say("tree.unreadable", why=_first_line(str(error)))) from None


class _Builder:
    """Events in, one tree out; counts nodes and depth as it goes."""

    def __init__(self, events: Iterator[Any], name: str, holds: str) -> None:
        self._events = events
        self._name = name
        self._holds = holds  # "": a text of one line
        self._anchors: dict[str, Node | None] = {}
        self._places: dict[int, str] = {}  # what stands on one line shares its place
        self._nodes = 0

    def place(self, mark: Any) -> str:
        if not self._holds:
            return self._name
        line = mark.line + 1
        if line not in self._places:
            self._places[line] = say("reading.line", file=self._name, line=line)
        return self._places[line]

    def document(self) -> Node:
        event = self._next()
        while isinstance(event, yaml.StreamStartEvent | yaml.DocumentStartEvent):
            event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            raise wrong_at(self._name, say("tree.empty_scenario" if self._holds == "scenario" else "tree.empty"))
        root = self._node(event, 1)
        self._next()
        after = self._next()
        if isinstance(after, yaml.DocumentStartEvent):
            raise wrong_at(self.place(after.start_mark), say("tree.second", holds=phrase("holds", self._holds)))
        return root

    def _next(self) -> Any:
        return next(self._events)

    def _node(self, event: Any, depth: int) -> Node:
        where = self.place(event.start_mark)
        if isinstance(event, yaml.AliasEvent):
            return self._count(self._alias(event.anchor, where), where)
        if getattr(event, "tag", None):
            raise wrong_at(where, say("tree.tag", tag=shown(event.tag)))
        if depth > MAX_DEPTH:
            raise wrong_at(where, say("tree.deep", most=MAX_DEPTH))
        if event.anchor:
            self._anchors[event.anchor] = None
        if isinstance(event, yaml.ScalarEvent):
            if UNSEEN.search(event.value):
                raise wrong_at(where, say("tree.control", text=shown(event.value)))
            plain = event.style is None or event.style == ""
            node = Node(where, _resolve(event.value) if plain else event.value, event.value)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = self._sequence(where, depth)
        else:
            node = self._mapping(where, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return self._count(node, where)

    def _alias(self, anchor: str, where: str) -> Node:
        node = self._anchors.get(anchor)
        if node is None:
            code = "tree.inside_itself" if anchor in self._anchors else "tree.no_alias"
            raise wrong_at(where, say(code, alias=shown("*" + anchor)))
        return node

    def _count(self, node: Node, where: str) -> Node:
        if node.size > MAX_NODES:
            raise wrong_at(where, say("tree.many", most=MAX_NODES, holds=phrase("holds", self._holds)))
        return node

    def _sequence(self, where: str, depth: int) -> Node:
        node, items = Node(where), list[Node]()
        node.items = items
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            item = self._node(event, depth + 1)
            items.append(item)
            node.size += item.size
            self._count(node, item.where)
        return node

    def _mapping(self, where: str, depth: int) -> Node:
        node, fields = Node(where), dict[str, Node]()
        node.fields = fields
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key_where = self.place(event.start_mark)
            key = self._key(event, key_where)
            value = self._node(self._next(), depth + 1)
            if key in fields:
                first = node.key_where[key]
                if isinstance(first, Sentence):  # of a file
                    first = say("tree.line", line=first.values["line"])
                raise wrong_at(key_where, say("tree.twice", key=shown(key), first=first))
            fields[key] = value
            node.key_where[key] = key_where
            node.size += value.size + 1
            self._count(node, key_where)
        return node

    @staticmethod
    def _key(event: Any, where: str) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise wrong_at(where, say("tree.key_no_word"))
        if event.tag or event.anchor:
            raise wrong_at(where, say("tree.key_tagged", key=shown(event.value)))
        if event.value == "<<":
            raise wrong_at(where, say("tree.merge_key"))
        return str(event.value)


def _resolve(text: str) -> Scalar:
    """The value of an unquoted scalar: YAML 1.2.2, section 10.3.2 (core schema), but nothing that is not finite."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if len(text) > MAX_DIGITS:
        return text
    if _INT.fullmatch(text):
        return int(text)
    if _OCTAL_OR_HEX.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _first_line(text: str) -> str:
    return " ".join(text.split("\n")[0].split())[:200] or "unreadable"


def _unreadable(text: str, name: str) -> str:
    """Place of the first character that YAML does not allow."""
    allowed = re.compile("[\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]*")
    match = allowed.match(text)
    return say("reading.line", file=name, line=text[: match.end() if match else 0].count("\n") + 1)
