"""The keys of a scenario as a list for people: what each means, its default, an example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from planner.report.layout import wrap
from planner.words import said

Schema = Mapping[str, Any]
INLINE = frozenset({"model"})  # a shape written in place has thirty fields of its own, told by the schema


def keys_table(schema: Schema, width: int) -> str:
    """Every key of `schema` by its path, ending in a newline."""
    lines: list[str] = []
    for path, part in _keys(schema):
        text = said("labels.in_row", items=[str(part.get("description", "")), *_values(part)])
        lines += [path, *(f"    {line}" for line in wrap(text, width - 4))]
    return "\n".join(lines) + "\n"


def _keys(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    seen: set[str] = set()
    for shape in _shapes(schema):
        for name, part in shape.get("properties", {}).items():
            if name in seen:
                continue
            seen.add(name)
            path = f"{prefix}{name}"
            yield path, part
            # A value that may be given as {min, max, multiple_of}: that is told once and not under every key.
            bounds = any("multiple_of" in shape.get("properties", {}) for shape in _shapes(part))
            if path not in INLINE and not bounds:
                yield from _keys(part, f"{path}.")


def _shapes(part: Schema) -> Iterator[Schema]:
    """A schema, its alternatives, and what its lists hold."""
    for shape in part.get("anyOf", [part]):
        yield shape
        if isinstance(shape.get("items"), dict):
            yield from _shapes(shape["items"])


def _values(part: Schema) -> list[str]:
    """The default, the words that are allowed, an example."""
    parts = [said("schema.default", value=_flow(part["default"]))] if "default" in part else []
    words = next((shape["enum"] for shape in _shapes(part) if "enum" in shape), ())
    parts += [said("schema.one_of", words=list(map(_flow, words)))] if words else []
    return [*parts, said("schema.example", value=_flow(part["examples"][0]))] if part.get("examples") else parts


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(entry)}" for key, entry in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return value if isinstance(value, str) else json.dumps(value)
