"""`--set key.path=value`: one value of a scenario replaced before it is read."""

from __future__ import annotations

from collections.abc import Sequence

from planner.reading.text import wrong_at
from planner.reading.tree import Node, read_flow, scalar_node
from planner.scenario.fields import Text
from planner.scenario.schema import kind_at
from planner.units import shown
from planner.words import say


class Varied(str):
    """An override that `--over` gave: errors name it so."""


def apply_overrides(root: Node, overrides: Sequence[str]) -> None:
    """Changes the tree in place, one override after the other; `null` takes a key away.

    Raises
    ------
    PlannerError
        That names the override, when it has no `=` or leads nowhere.
    """
    for override in overrides:
        where = f"{'--over' if isinstance(override, Varied) else '--set'} {shown(override).strip('`')}"
        if any(0xD800 <= ord(c) < 0xE000 for c in override):
            raise wrong_at(where, say("overrides.not_utf8"))
        path, equals, text = override.partition("=")
        parts = path.strip().split(".")
        if not equals or not all(parts):
            raise wrong_at(where, say("overrides.form"))
        _put(root, parts, _value(".".join(parts), text, where), where)


def _value(path: str, text: str, where: str) -> Node:
    if isinstance(kind_at(path), Text):
        return Node(where, text, text)
    return read_flow(text, where) if text.lstrip().startswith(("{", "[")) else scalar_node(text, where)


def _put(root: Node, parts: Sequence[str], value: Node, where: str) -> None:
    node = root
    for depth, part in enumerate(parts):
        so_far = ".".join(parts[:depth]) or say("overrides.scenario")
        last = depth == len(parts) - 1
        if node.items is not None:
            if not part.isdecimal() or int(part) >= len(node.items):
                many = {"length": len(node.items), "last": len(node.items) - 1}
                raise wrong_at(where, say("overrides.index", place=so_far, part=shown(part), **many))
            if last:
                node.items[int(part)] = value
            node = node.items[int(part)]
        elif node.fields is not None:
            if last and value.empty and value.text.strip():
                node.fields.pop(part, None)
                node.key_where.pop(part, None)
            elif last:
                _set(node, part, value, where)
            elif part not in node.fields:
                _set(node, part, Node(where, fields={}), where)
            node = node.fields.get(part, value)
        else:
            raise wrong_at(where, say("overrides.no_keys", place=so_far, kind=node.kind, part=shown(part)))


def _set(node: Node, key: str, value: Node, where: str) -> None:
    if node.fields is not None:
        node.fields[key] = value
        node.key_where[key] = where
