"""Tables that a program writes with a sign between cells and no quoting, as Slurm does: rows that know their line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from planner.reading.tables import CsvTable, check_header
from planner.reading.text import MAX_BYTES, fault, read_text
from planner.words import phrase, say


def read_separated(
    path: Path,
    needs: Iterable[str] = (),
    *,
    sign: str = "|",
    most: int = MAX_BYTES,
    holds: str = "a table",
    endings: Iterable[str] = (".txt", ".csv"),
) -> CsvTable:
    """A table whose first line names its columns; a sign at the end of every line is passed over, as are empty lines.

    Raises
    ------
    PlannerError
        If the file cannot be read, a column is missing or there twice, or a row has other cells than columns.
    """
    header: tuple[str, ...] | None = None
    cells: list[list[str]] = []
    lines: list[int] = []
    trailing = False
    for number, line in enumerate(read_text(path, most, holds, endings).replace("\r\n", "\n").split("\n"), 1):
        if not line.strip():
            continue
        row = line.split(sign)
        if header is None:
            trailing = len(row) > 1 and not row[-1].strip()
            header = tuple(name.strip() for name in (row[:-1] if trailing else row))
            check_header(path, header, needs, ())
            continue
        row = row[:-1] if trailing and not row[-1].strip() else row
        if len(row) != len(header):
            raise fault(path, say("separated.cells", found=len(row), columns=len(header), sign=sign), number)
        cells.append(row)
        lines.append(number)
    if header is None:
        raise fault(path, say("separated.empty", holds=phrase("holds", holds)))
    return CsvTable(path, header, cells, lines)
