"""The values of another program's file, by dotted path, read through its tool's table of keys (`fields`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from planner.interop.fields import REQUIRED, Field
from planner.interop.files import truth, whole
from planner.interop.imported import Taken
from planner.units import PlannerError
from planner.words import say


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

    def has(self, key: str) -> bool:
        """Whether the file itself says it."""
        self.used.add(key)
        return self.values.get(key) is not None

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
            raise PlannerError(say("values.required", file=self.name, key=key, tool=self.tool))
        return whole(value, self.called(key), row.least, row.most)

    def rows(self, means: str) -> list[Field]:
        """The keys that may hold a scenario's value, the first that counts first."""
        return [row for row in self.table.values() if row.means == means]

    def value(self, means: str) -> Any:
        """The scenario's value of the key that holds it, None where neither says it; errors: `read`."""
        return self.read(self.rows(means)[0])

    def read(self, row: Field) -> Any:
        """The scenario's value of a key, as its row says how it is read; errors: `number`, `truth`, the row's own."""
        stated = self.get(row.key)
        if stated is None and row.default is None:
            return None
        if row.read is not None and stated is not REQUIRED:
            return row.read(row.default if stated is None else stated, self.called(row.key))
        switch = isinstance(row.default, bool)
        found = truth(stated, self.called(row.key)) if switch else self.number(row.key)
        return next((value for value, word in row.words.items() if word == found), found)

    def take(self, *wanted: str) -> list[Taken]:
        """Keys of the scenario, each with its value and where that came from."""
        return [Taken(means, self.value(means), self.origin(self.rows(means)[0].key)) for means in wanted]

    def said(self, means: str) -> Iterator[Taken]:
        """A scenario's value by each key of the file's own that says it."""
        for row in self.rows(means):
            if self.has(row.key) and (value := self.read(row)) is not None:
                yield Taken(means, value, self.origin(row.key))

    def stated(self, *wanted: str) -> list[Taken]:
        """Those of the keys of the scenario that the file itself says, each by the first key that does."""
        return [taken for means in wanted for taken in [next(self.said(means), None)] if taken is not None]

    def deciding(self) -> dict[str, str]:
        """Keys that decide what no importer reads, at values at which they do, and what; the others count as read."""
        rows = [row for row in self.table.values() if row.decides]
        kept = {row.key: row.decides for row in rows if self.values.get(row.key, row.default) != row.default}
        self.used |= {row.key for row in rows} - kept.keys()
        return kept

    def called(self, key: str) -> str:
        """A key in an error: its name, and the file."""
        return f"{key} ({self.name})"

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
