"""What the library's functions take: scenarios, plans, rows and catalogs as files, as maps, or as they were read."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from planner.reading.quantities import parse_date
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    from pandas import DataFrame

    from planner.catalog import Catalog
    from planner.performance.calibration import Calibration
    from planner.results.answers import Optimization
    from planner.spec.programme import Programme
    from planner.spec.scenario import Scenario

#: A catalog folder, or several: laid over the shipped catalog, the last one on top; None: none.
Folders: TypeAlias = "str | Path | Sequence[str | Path] | None"
#: A scenario: its file, its keys as a map, or what `load_scenario` returned.
ScenarioLike: TypeAlias = "Scenario | Mapping[str, Any] | str | Path"
#: The same, of one run or of a programme of stages.
AnyLike: TypeAlias = "Scenario | Programme | Mapping[str, Any] | str | Path"
#: A saved plan's file, or the answer itself.
PlanLike: TypeAlias = "Optimization | str | Path"
#: Rows of runs: a CSV file, a data frame, or maps from column to value; columns as in catalogs/measured.
RowsLike: TypeAlias = "DataFrame | Iterable[Mapping[str, Any]] | Mapping[str, Any] | str | Path"
#: Changes of a scenario: "key.path=value" texts, or a map from key path to value.
Changes: TypeAlias = "Sequence[str] | Mapping[str, Any]"


def load_scenario(source: ScenarioLike, overrides: Changes = (), overlays: Folders = ()) -> Scenario:
    """A scenario with the files that it names read.

    Parameters
    ----------
    source : path, map or Scenario
        A scenario file, the same keys as a map (relative paths then begin in the working folder), or a scenario as
        this function returned it, which comes back as it is.
    overrides : sequence or map
        "key.path=value" texts, as `--set` takes them, or {"key.path": value}.
    overlays : folder or folders
        Catalogs laid over the shipped one; they may name models and accelerators of their own.

    Raises
    ------
    PlannerError
        If the file, the map or an override is wrong, naming file, line and key.
    """
    from planner.scenario import one_run

    return one_run(load_any(source, overrides, overlays))


def load_any(source: AnyLike, overrides: Changes = (), overlays: Folders = ()) -> Scenario | Programme:
    """As `load_scenario`, or the programme where the source has `stages`."""
    from planner.interop.files import naming
    from planner.interop.referenced_data import read_any
    from planner.spec.programme import Programme
    from planner.spec.scenario import Scenario

    changes = changes_of(overrides)
    if isinstance(source, Scenario | Programme):
        if changes:
            raise PlannerError(say("inputs.overrides"))
        return source
    if isinstance(source, Mapping):
        return read_any(source, changes, folders(overlays))
    with naming(Path(source)):
        return read_any(Path(source), changes, folders(overlays))


def load_programme(source: AnyLike, overrides: Changes = (), overlays: Folders = ()) -> Programme:
    """A programme: a scenario with `stages`, as a file, a map, or as this function returned it.

    Raises
    ------
    PlannerError
        As `load_scenario`, or if it has no stages.
    """
    from planner.spec.programme import Programme

    found = load_any(source, overrides, overlays)
    if not isinstance(found, Programme):
        raise PlannerError(say("inputs.no_stages", file=found.source))
    return found


def load_facts(overlays: Folders = (), *, prices: date | str | None = None) -> tuple[Catalog, Calibration]:
    """The shipped catalog and calibration, with the folders of `overlays` laid over them, the last one on top.

    `prices`: a day (YYYY-MM-DD); prices are then those that are known to have held on it.

    Raises
    ------
    PlannerError
        If an overlay is missing or wrong, naming file and row.
    """
    from planner.catalog import load_catalog
    from planner.performance.loading import load_calibration

    on = parse_date(prices) if isinstance(prices, str) else prices
    return load_catalog(folders(overlays), on=on), load_calibration(folders(overlays))


def load_plan(source: PlanLike) -> Optimization:
    """A saved `optimize --json` document, checked; an answer comes back as it is.

    Raises
    ------
    PlannerError
        If the file is no such document, or there is no plan in it.
    """
    from planner.interop.plans import read_plan
    from planner.results.answers import Optimization

    if not isinstance(source, Optimization):
        return read_plan(Path(source))
    if source.plan is None:
        raise PlannerError(say("inputs.no_plan"))
    return source


def several(given: Any) -> list[Any]:
    """One or more scenarios or answers as a list."""
    one = isinstance(given, str | Path | Mapping) or not isinstance(given, Iterable)
    return [given] if one else list(given)


def is_saved_plan(path: Path) -> bool:
    """Whether a file looks like a saved answer, rather than a scenario."""
    try:
        if not path.is_file():  # a pipe is read once
            return False
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError:
        return False  # the reader of scenarios says what is wrong with it
    return head.lstrip()[:1] == b"{" and b'"schema_version"' in head


def folders(overlays: Folders) -> tuple[Path, ...]:
    """The overlay folders as paths."""
    if isinstance(overlays, str | os.PathLike):
        return (Path(overlays),)
    return tuple(Path(each) for each in overlays or ())


def changes_of(overrides: Changes) -> list[str]:
    """Overrides as "key.path=value" texts."""
    if isinstance(overrides, str):
        return [overrides]
    if isinstance(overrides, Mapping):
        return [
            f"{key}={value if isinstance(value, str) else json.dumps(value, default=str)}"
            for key, value in overrides.items()
        ]
    return list(overrides)


@dataclass(frozen=True, slots=True)
class GivenRows:
    """Rows of runs as texts, as a CSV file holds them."""

    cells: tuple[dict[str, str], ...]
    header: tuple[str, ...]
    name: str  # in messages on single rows
    place: str  # in messages on the whole
    remarks: tuple[str, ...] = ()  # what a person should know of their reading
    of_file: bool = False
    values: tuple[dict[str, Any], ...] = ()  # the same as they were given, None for what is not stated; () of a file


def rows_of(rows: RowsLike, endings: Sequence[str] = ()) -> GivenRows:
    """The rows of a file, of a data frame, or of maps; a file that is not there may be one with these `endings`.

    Raises
    ------
    PlannerError
        If a file cannot be read, or a row is no map.
    """
    from planner.performance.tables import read_table

    if isinstance(rows, str | os.PathLike):
        path = Path(rows)
        table = read_table(path, endings)
        return GivenRows(table.rows, table.header, path.stem, str(path), tuple(table.remarks()), True)
    if isinstance(rows, Mapping):
        rows = [rows]
    records = rows.to_dict("records") if hasattr(rows, "to_dict") else list(rows)
    for number, record in enumerate(records, 1):
        if not isinstance(record, Mapping):
            raise PlannerError(say("inputs.row", number=number, kind=type(record).__name__))
    cells = tuple({str(key): _cell(value) for key, value in record.items()} for record in records)
    values = tuple(
        {str(key): None if _cell(value) == "" else value for key, value in record.items()} for record in records
    )
    return GivenRows(cells, tuple(dict.fromkeys(key for row in cells for key in row)), "row", "rows", values=values)


def _cell(value: object) -> str:
    """A value as a table's cell: nothing for what is not stated, whole numbers without a point."""
    if value is None or value != value:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
