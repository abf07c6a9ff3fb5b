"""The journal beside a sweep's table: one line of JSON a solved variation, so that an interrupted sweep goes on.

A line is written whole and flushed as soon as its variation is solved. Reading takes whole lines only: what a crash
left of the last one is cut off. Keys are digests of all that decides an answer, so an old journal answers nothing else.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from planner.files import write_atomically
from planner.reading import fault
from planner.results.row import Value
from planner.sweeps.table import COLUMNS, Row
from planner.units import PlannerError
from planner.words import say

MOST_LINE = 1 << 20  # bytes that one variation takes in a journal, and more


def journal_path(table: Path) -> Path:
    """`grid.csv` -> `grid.csv.journal`."""
    return table.with_name(table.name + ".journal")


class Journal:
    """An open journal: `known` is what it held, `add` appends to it, `compact` leaves nothing but what is wanted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[str, Value]] = {}
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            if self.path.exists() and not self.path.is_file():
                raise fault(self.path, say("journal.no_file"))
            self._file = self.path.open("a+b")
            self._file.seek(0)
            whole = self._read(self._file)
            self._file.truncate(whole)
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def _read(self, file: IO[bytes]) -> int:
        """What is known from whole lines; returns the bytes of them, after which a killed process left half a line."""
        whole = 0
        while (line := file.readline(MOST_LINE)).endswith(b"\n"):
            whole += len(line)
            if entry := _entry(line):
                self.known[entry[0]] = entry[1]
        if len(line) == MOST_LINE:
            file.close()
            raise fault(self.path, say("journal.long_line", most=MOST_LINE))
        return whole

    def _unwritable(self, error: OSError) -> PlannerError:
        return PlannerError(say("journal.unwritable", path=str(self.path), error=str(error.strerror)))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            with suppress(OSError):  # of a full disk, of which `add` has told
                self._file.close()

    def add(self, key: str, columns: Row) -> None:
        """One solved variation, on the disk before this returns."""
        assert self._file is not None  # noqa: S101 - only used inside `with`
        try:
            self._file.write(_line(key, columns))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise self._unwritable(error) from None
        self.known[key] = dict(columns)

    def compact(self, keys: Iterable[str]) -> None:
        """Keep the variations of `keys` alone, in that order, so that equal sweeps leave equal journals."""
        kept = dict.fromkeys(keys)
        write_atomically(self.path, b"".join(_line(key, self.known[key]) for key in kept if key in self.known))


def _line(key: str, columns: Row) -> bytes:
    return json.dumps({"key": key, "columns": dict(columns)}, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _entry(line: bytes) -> tuple[str, dict[str, Value]] | None:
    """Key and columns of a line, or None for one that is no such line: its variation is solved again."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, Mapping) or set(found) != {"key", "columns"}:
        return None
    key, columns = found["key"], found["columns"]
    sound = isinstance(key, str) and isinstance(columns, dict) and tuple(columns) == ("status", *COLUMNS)
    sound = sound and all(value is None or isinstance(value, str | int | float) for value in columns.values())
    return (key, columns) if sound else None
