"""The table of a scenario's keys as JSON Schema, and what stands at a key path."""

from __future__ import annotations

from planner.scenario.fields import Json, Kind
from planner.scenario.sections import SCENARIO
from planner.scenario.tables import KeyedMap, Many, Shape
from planner.spec.scenario import MOST_TRAINING


def scenario_schema() -> Json:
    """The JSON Schema (draft 2020-12) of scenario files.

    The reader accepts nothing that the schema refuses. It refuses more: names that the catalog does not have, a date
    that does not exist, keys that contradict each other across sections.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:planner:scenario",
        "title": "planner scenario",
        "description": "What is to be trained, within which time and money, on which machines.",
        **SCENARIO.schema(),
        # Epochs or iterations are asked for unless the objective finds the epochs itself.
        "if": {"properties": {"objective": {"enum": list(MOST_TRAINING)}}, "required": ["objective"]},
        "else": {"properties": {"training": {"anyOf": [{"required": ["epochs"]}, {"required": ["iterations"]}]}}},
    }


def kind_at(path: str) -> Kind | None:
    """The kind of value that stands at a key path such as `data.0.weight`; None where the table has no such place."""
    found: list[Kind] = [SCENARIO]
    for part in path.split("."):
        found = [inner for kind in found for inner in _inside(kind, part)]
    return found[0] if found else None


def sections_with(name: str) -> list[str]:
    """Where in the top two levels a key of that name belongs: `seq_length` -> ["data"]."""
    result = []
    for key in SCENARIO.keys:
        tables = [kind for kind in _unfolded(key.kind) if isinstance(kind, KeyedMap)]
        if key.name not in ("model", "stages") and any(table.key(name) for table in tables):
            result.append(key.name)
    return result


def _inside(kind: Kind, part: str) -> list[Kind]:
    result: list[Kind] = []
    for inner in _unfolded(kind):
        if isinstance(inner, KeyedMap):
            key = inner.key(part)
            result += [key.kind] if key else []
        elif isinstance(inner, Many) and part.isdecimal():
            result.append(inner.item)
    return result


def _unfolded(kind: Kind) -> list[Kind]:
    if isinstance(kind, Shape):
        return [inner for part in (kind.scalar, kind.many, kind.table) if part is not None for inner in _unfolded(part)]
    return [kind]
