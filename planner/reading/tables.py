"""CSV files as rows that know their line."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar

from planner.files import unguarded
from planner.reading.names import did_you_mean, nearest_or_all
from planner.reading.text import MAX_BYTES, fault, one_line, read_bytes, text_of
from planner.words import say

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A CSV file: its columns, and of each row the cells and the line (counted from 1) that it ends on."""

    path: Path
    header: tuple[str, ...]
    cells: Sequence[Sequence[str]]
    lines: Sequence[int]

    def rows(self) -> Iterator[dict[str, str]]:
        """Column to cell, row by row."""
        return (dict(zip(self.header, cells, strict=True)) for cells in self.cells)


def read_csv(
    path: Path,
    needs: Iterable[str] = (),
    knows: Sequence[str] = (),
    *,
    most: int = MAX_BYTES,
    holds: str = "a table",
    ragged: bool = False,
    endings: Iterable[str] = (".csv",),
) -> CsvTable:
    """A table whose first line names its columns; empty lines are passed over.

    Parameters
    ----------
    needs : columns that must be there
    knows : all columns that there may be; (): any
    most, holds, endings : as of `read_bytes`
    ragged : rows may have more or fewer cells than columns, columns may stand twice, and bytes may be no UTF-8 (U+FFFD)

    Raises
    ------
    PlannerError
        If the file cannot be read, a column is missing, unknown or there twice, or a row has other cells than columns.
    """
    data = read_bytes(path, most, holds, endings)
    text = data.decode("utf-8-sig", "replace") if ragged else text_of(data, path)
    reader = csv.reader(io.StringIO(text, newline=""))
    cells: list[list[str]] = []
    lines: list[int] = []
    try:
        header = tuple(next(reader, ()))
        if not ragged:
            check_header(path, header, needs, knows)
        for row in reader:
            if row and len(row) != len(header) and not ragged:
                code = "csv.more_cells" if len(row) > len(header) else "csv.cells"
                raise fault(path, say(code, found=len(row), columns=len(header)), reader.line_num)
            if row:
                cells.append([unguarded(cell) if cell[:1] == "'" else cell for cell in row])
                lines.append(reader.line_num)
    except csv.Error as error:  # a cell of more than 131,072 characters, most often of a quote that is never closed
        raise fault(path, say("csv.unreadable", why=str(error)), reader.line_num) from None
    return CsvTable(path, header, cells, lines)


def check_header(path: Path, header: Sequence[str], needs: Iterable[str], knows: Sequence[str]) -> None:
    """Refuse a header with a column that is missing, not known (`knows`: (): any) or there twice."""
    twice = next((name for name in header if header.count(name) > 1), None)
    unknown = next((name for name in header if knows and name not in knows), None)
    missing = next((name for name in needs if name not in header), None)
    if unknown is not None:
        column, near = one_line(repr(unknown), 60), nearest_or_all(unknown, knows)
        raise fault(path, say("csv.unknown", column=column, near=near), 1)
    if missing is not None:
        near, found = did_you_mean(missing, header), list(header) or [say("csv.none")]
        raise fault(path, say("csv.missing", column=missing, near=near, found=found), 1)
    if twice is not None:
        raise fault(path, say("csv.twice", column=one_line(repr(twice), 60)), 1)


def records(kind: type[T], rows: Iterable[Mapping[str, str]], **columns: str) -> tuple[T, ...]:
    """Each row as a dataclass of texts, numbers and bools ("yes"), each field from the column of its name.

    `columns`: those of fields that are named otherwise.
    """
    forms: dict[str, Callable[[str], Any]] = {
        "str": lambda text: text,
        "int": int,
        "float": float,
        "bool": "yes".__eq__,
    }
    wanted = [(field.name, columns.get(field.name, field.name), forms[str(field.type)]) for field in fields(kind)]  # type: ignore[arg-type]
    return tuple(kind(**{name: form(row[column]) for name, column, form in wanted}) for row in rows)
