"""A key of another program's file, both ways: what it stands for in a scenario, how it is read and how it is written.

A tool's table lists each of its keys once. The importer asks by the scenario's key (`Values.take`), the exporter writes
whole rows of the table (`assumptions.written`), and neither states a key's name or default again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.interop.export_common import Export, conditions_of
from planner.interop.files import truth, whole
from planner.interop.imported import Taken
from planner.interop.quoting import yaml_value
from planner.units import PlannerError

REQUIRED: Any = object()


@dataclass(frozen=True, slots=True)
class Field:
    """One key of a tool's file.

    Parameters
    ----------
    key : dotted path in the file, or an option
    means : the scenario's key whose value it holds ("layout.tp"); "" where it holds none as it is
    default : what the tool takes where the file is silent; REQUIRED where it stops; True or False of a switch
    write : what an export writes, or what gives that of an Export (None: the key is left out); if not given, the plan's
        value of `means`, else the default
    words : the tool's words for the scenario's values, where it has its own
    decides : what it decides, at any value but the default, where no importer reads it
    least, most : bounds of a number
    """

    key: str
    means: str = ""
    default: Any = REQUIRED
    write: Any = REQUIRED
    words: Mapping[Any, Any] = field(default_factory=dict)
    decides: str = ""
    least: int = 1
    most: int = 10**15

    def of(self, export: Export) -> Any:
        """The value in an export; None for a key that is left out."""
        if self.write is not REQUIRED:
            return self.write(export) if callable(self.write) else self.write
        value = planned(export, self.means) if self.means else self.default
        return self.words.get(value, value)


def planned(export: Export, key: str) -> Any:
    """A plan's value of a scenario's key: of its model, its layout, its batch and length, or how it is set up."""
    section, _, name = key.partition(".")
    part = {"model": export.model, "layout": export.plan.layout}.get(section, export.plan)
    return getattr(part if hasattr(part, name) else conditions_of(export), name)


class Values:
    """A file's values by dotted path, which of them were asked for, and the table that says what they mean."""

    def __init__(self, tool: str, name: str, values: Mapping[str, Any], table: Iterable[Field]) -> None:
        self.tool, self.name, self.values = tool, name, values
        self.table = {row.key: row for row in table}
        self.used: set[str] = set()
        self.remarks: list[str] = []
        self.warnings: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        """What the file has for a key, else what the table (or, of a key that it lacks, the caller) has."""
        self.used.add(key)
        return self.values.get(key, self.table[key].default if key in self.table else default)

    def number(self, key: str) -> int:
        """A whole number; null is as good as silent.

        Raises
        ------
        PlannerError
            If it is none, out of the bounds of its row, or not there where the tool wants it.
        """
        row, value = self.table[key], self.get(key)
        value = row.default if value is None else value
        if value is REQUIRED:
            raise PlannerError(f"{self.name} has no {key}, which {self.tool} requires.")
        return whole(value, f"{key} ({self.name})", row.least, row.most)

    def value(self, means: str) -> Any:
        """The scenario's value of the key that holds it, None where neither says it; errors: `number`, `truth`."""
        row = next(row for row in self.table.values() if row.means == means)
        if self.get(row.key) is None and row.default is None:
            return None
        switch = isinstance(row.default, bool)
        found = truth(self.get(row.key), f"{row.key} ({self.name})") if switch else self.number(row.key)
        return next((value for value, word in row.words.items() if word == found), found)

    def take(self, *wanted: str) -> list[Taken]:
        """Keys of the scenario, each with its value and where that came from."""
        rows = {row.means: row.key for row in self.table.values()}
        return [Taken(means, self.value(means), self.origin(rows[means])) for means in wanted]

    def deciding(self) -> dict[str, str]:
        """Keys that decide what no importer reads, at values at which they do, and what; the others count as read."""
        rows = [row for row in self.table.values() if row.decides]
        kept = {row.key: row.decides for row in rows if self.values.get(row.key, row.default) != row.default}
        self.used |= {row.key for row in rows} - kept.keys()
        return kept

    def origin(self, key: str) -> str:
        """Where a value came from: the key and the file, or the tool's default."""
        return f"{key}, {self.name}" if key in self.values else f"{self.tool}'s default of {key}"


def flat(tree: Mapping[str, Any], whole_keys: Iterable[str] = ()) -> dict[str, Any]:
    """The values of nested maps by dotted path; a map under one of `whole_keys` is a value."""
    found: dict[str, Any] = {}
    nodes: list[tuple[str, Any]] = list(tree.items())
    while nodes:
        key, value = nodes.pop()
        if isinstance(value, Mapping) and key not in whole_keys:
            nodes += [(f"{key}.{inner}", part) for inner, part in value.items()]
        else:
            found[key] = value
    return found


def nested(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested maps of values by dotted path, the other way."""
    tree: dict[str, Any] = {}
    for path, value in values.items():
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def yaml_lines(tree: Mapping[str, Any], word: Callable[[Any], str] = yaml_value, indent: str = "") -> list[str]:
    """Nested maps as lines of YAML; `word` writes whatever is no map."""
    lines: list[str] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key}:", *yaml_lines(value, word, f"{indent}  ")]
        else:
            lines.append(f"{indent}{key}: {word(value)}")
    return lines
