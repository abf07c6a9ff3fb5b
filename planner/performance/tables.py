"""Tables of runs as files: header, rows, and which of their columns nothing reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from planner.performance.cells import NOT_TEXT, Cells
from planner.performance.columns import TOO_MANY, conflicts, is_read, unread
from planner.reading import fault, one_line, read_csv
from planner.words import say

MAX_BYTES = 256 << 20
MOST_ROWS = 8  # that a sentence lists


@dataclass(frozen=True, slots=True)
class RunTable:
    """A table of runs. Cells are as written; bytes that are no UTF-8 are U+FFFD, with which `read_run` reads none."""

    header: tuple[str, ...]
    rows: tuple[dict[str, str], ...]
    unread: tuple[str, ...]
    garbled: tuple[int, ...]  # rows, counted from 1, with bytes that are not UTF-8 in columns that are not read

    def remarks(self) -> list[str]:
        """What a person should know of the table's reading, a line each."""
        lines: list[str] = []
        if self.unread:
            lines.append(say("tables.unread", columns=[one_line(name, 60) for name in self.unread]))
        if self.garbled:
            code = "tables.garbled_and_more" if len(self.garbled) > MOST_ROWS else "tables.garbled"
            rows = [str(row) for row in self.garbled[:MOST_ROWS]]
            lines.append(say(code, rows=rows, kept=NOT_TEXT))
        return lines


def read_table(path: Path, endings: Iterable[str] = (".csv",)) -> RunTable:
    """A table of runs. Rows are as they stand, whatever is wrong with them; `read_run` says so of each.

    Raises
    ------
    PlannerError
        If the file cannot be read or is no table, a column is misnamed or there twice, or two names of one column
        say different things.
    """
    table = read_csv(path, most=MAX_BYTES, holds=say("tables.holds"), ragged=True, endings=endings)
    header, read = table.header, []
    for cells in table.cells:
        row = dict.fromkeys(header, "") | dict(zip(header, cells, strict=False))
        if any(text.strip() for text in cells[len(header) :]):
            row[TOO_MANY] = ",".join(cells[len(header) :])
        read.append(row)
    rows = tuple(read)
    if any(NOT_TEXT in name or "\0" in name for name in header):
        raise fault(path, say("tables.first_line"))
    left = unread(header, str(path))
    for column, _ in conflicts(header):
        for number, row in enumerate(rows, 1):
            Cells(row, say("tables.row", file=str(path), number=number)).stated(column)
    unread_columns = [name for name in header if not is_read(name)]
    garbled = tuple(n for n, row in enumerate(rows, 1) if any(NOT_TEXT in row.get(name, "") for name in unread_columns))
    return RunTable(header, rows, left, garbled)
