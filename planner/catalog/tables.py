"""Tables of facts over layers, row by row: a layer's own table has the form of the one that is shipped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from planner.catalog.facts import Layer
from planner.reading import CsvTable, fault, one_line, read_csv
from planner.words import say

_MAY_LACK = frozenset({"note", "as_of", "quality", "kind"})
_COUNTS = frozenset({"gpus", "nodes", "count", "seq_length", "head_dim", "m", "n", "k", "units"})
_ABOVE_ZERO = frozenset({"size_bytes", "busbw_gbyte_per_s", *_COUNTS})


def layered_table(layers: Sequence[Layer], path: str) -> list[dict[str, str]]:
    """The rows of one CSV of all layers, later layers last; `layer` names where from. None where no layer has it.

    Raises
    ------
    PlannerError
        If a file is no table, lacks a column of the first layer's, or has a text where that has numbers alone.
    """
    rows: list[dict[str, str]] = []
    first: CsvTable | None = None
    for layer in layers:
        file = layer.path / path
        if not file.is_file():
            continue
        table = read_csv(file, () if first is None else [name for name in first.header if name not in _MAY_LACK])
        if first is None:
            first, lacking = table, {}
        else:
            lacking = dict.fromkeys(set(first.header) - set(table.header), "")
            _check(table, first)
        rows += [{**lacking, **row, "layer": layer.name} for row in table.rows()]
    return rows


def table_paths(layers: Sequence[Layer]) -> list[str]:
    """Every table that the first layer has and `layered_table` reads, by its path within a layer."""
    folders = ("attention", "costs", "energy", "fabrics", "import", "matmul")
    root = layers[0].path
    return [path.relative_to(root).as_posix() for folder in folders for path in sorted((root / folder).glob("*.csv"))]


def _check(table: CsvTable, form: CsvTable) -> None:
    """The cells of a table, in columns that hold numbers alone where it is shipped."""
    columns = list(zip(*form.cells, strict=True)) if form.cells else []
    shipped: Mapping[str, Sequence[str]] = dict(zip(form.header, columns, strict=bool(columns)))
    for name in set(shipped) & set(table.header):
        stated = [cell for cell in shipped[name] if cell]
        numeric = bool(stated) and all(_number(cell) is not None for cell in stated)
        if not numeric and name != "instance_pattern":
            continue
        at = table.header.index(name)
        for cells, line in zip(table.cells, table.lines, strict=True):
            if cells[at] or len(stated) == len(shipped[name]):
                _check_cell(table.path, line, name, cells[at])


def _check_cell(path: Path, line: int, name: str, cell: str) -> None:
    values = {"column": name, "found": one_line(repr(cell), 60)}
    if name == "instance_pattern":
        try:
            re.compile(cell)
        except re.error as error:
            raise fault(path, say("catalog_tables.pattern", error=str(error), **values), line) from None
        return
    number = _number(cell)
    if number is None:
        raise fault(path, say("catalog_tables.number", **values), line)
    if name in _ABOVE_ZERO and (number <= 0 or (name in _COUNTS and not cell.isdecimal())):
        whole = name in _COUNTS
        raise fault(path, say("catalog_tables.whole_above_0" if whole else "catalog_tables.above_0", **values), line)


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
