"""The catalog: what is in it, what is wrong with it, what changed, and other people's prices taken in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.api.inputs import Folders, folders
from planner.reading.quantities import parse_date
from planner.results.result import Row, Rows
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.catalog.diff import PriceChange
    from planner.catalog.importing import Reading


def load_catalog(overlays: Folders = (), *, snapshot: str | None = None) -> Catalog:
    """The shipped catalog with the folders of `overlays` laid over it; `snapshot`: the prices of that day (YYYY-MM-DD).

    Raises
    ------
    PlannerError
        If an overlay is missing or wrong, naming file and row, or there is no such snapshot.
    """
    from planner.catalog import load_catalog as load

    return load(folders(overlays), snapshot=snapshot)


def list_catalog(
    kind: str = "prices",
    overlays: Folders = (),
    *,
    gpu: str | None = None,
    cloud: str | None = None,
    region: str | None = None,
    pricing: str | None = None,
    sort: str | None = None,
    snapshot: str | None = None,
) -> Rows:
    """The catalog's `gpus`, `nodes`, `prices`, `models` or `sources`, one a row.

    Parameters
    ----------
    gpu, cloud, region, pricing : str, optional
        Only the rows of these; a GPU by its id, or how ids begin ("h100").
    sort : str, optional
        A column to sort by; "-COLUMN": largest first.

    Raises
    ------
    PlannerError
        If the kind, a column or a value is not known, with the nearest that is.
    """
    from planner.report.catalog import listed
    from planner.report.catalog_prices import chosen

    loaded = load_catalog(overlays, snapshot=snapshot)
    rows = chosen(listed(loaded, kind), gpu=gpu, sort=sort, cloud=cloud, region=region, pricing=pricing)
    return Rows(kind, tuple(rows), loaded)


@dataclass(frozen=True, slots=True, repr=False)
class Part(Rows):
    """A GPU, node type or fabric: its numbers with their sources as `rows`, and what training reached on a GPU."""

    id: str = ""
    measured: tuple[Row, ...] | None = None  # None: not a GPU

    def to_json(self) -> str:
        """Id, fields and measured rows as text, ending in a newline."""
        from planner.results.json_form import dumps

        document: dict[str, Any] = {"id": self.id, "fields": list(self.rows)}
        if self.measured is not None:
            document["measured"] = list(self.measured)
        return dumps(document)


def show_catalog(name: str, overlays: Folders = ()) -> Part:
    """One part of the catalog with kind, source and date of every number.

    Raises
    ------
    PlannerError
        If there is no such GPU, node type or fabric, with the nearest that there is.
    """
    from planner.report.catalog import found_part, part_rows
    from planner.report.catalog_measured import measured_rows

    loaded = load_catalog(overlays)
    record = found_part(loaded, name)
    measured = tuple(measured_rows(loaded, record.id)) if record.id in loaded.accelerators else None
    return Part("fields", tuple(part_rows(record)), record, record.id, measured)


def check_catalog(overlays: Folders = ()) -> Rows:
    """What cannot be right in a catalog: peaks, units, counts, prices, numbers without a source; no rows: nothing."""
    from planner.catalog.checks import check_catalog as check

    findings = tuple(check(load_catalog(overlays)))
    return Rows("findings", tuple(asdict(finding) for finding in findings), findings)


def diff_catalog(
    before: str | Path,
    after: str | Path,
    overlays: Folders = (),
    *,
    gpu: str | None = None,
    cloud: str | None = None,
) -> Rows:
    """What changed between two price snapshots, days (YYYY-MM-DD) or catalog folders; the largest change first."""
    from planner.catalog.diff import price_changes, snapshot_prices
    from planner.report.catalog_prices import changes_rows

    sides = [snapshot_prices(str(side), folders(overlays)) for side in (before, after)]
    changes = [
        each
        for each in price_changes(*sides)
        if (cloud is None or each.cloud == cloud) and (gpu is None or each.gpu.startswith(gpu.lower()))
    ]
    return Rows("changes", tuple(changes_rows(changes)), tuple(changes))


@dataclass(frozen=True, slots=True, repr=False)
class ImportedPrices(Rows):
    """What an import of prices did with each row; `files` are those written."""

    rows_read: int = 0
    prices_kept: int = 0
    not_accelerators: Mapping[str, int] | None = None
    reasons: Mapping[str, int] | None = None
    files: tuple[Path, ...] = ()
    as_of: date | None = None  # the day of the prices
    changes: tuple[PriceChange, ...] = ()  # offers whose price moved, and new ones
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Counts, reasons and rows as text, ending in a newline."""
        from planner.report.catalog_prices import changes_rows
        from planner.results.json_form import dumps

        return dumps(
            {
                "rows_read": self.rows_read,
                "prices_kept": self.prices_kept,
                "not_accelerators": dict(self.not_accelerators or {}),
                "reasons": dict(self.reasons or {}),
                "rows": list(self.rows),
                "as_of": self.as_of,
                "changes": changes_rows(self.changes),
                "notes": list(self.notes),
            }
        )


def import_catalog(
    source: str | Path,
    as_of: date | str | None = None,
    to: str | Path | None = None,
    overlays: Folders = (),
    *,
    replace: bool = False,
    dry_run: bool = False,
) -> ImportedPrices:
    """Other people's prices, checked row by row; the good ones are kept as a snapshot in one's own catalog.

    Parameters
    ----------
    source : path
        A SkyPilot catalog folder, a day's CSV of observations, a day's JSON of offers, or a CSV file of quotes.
    as_of : date or "YYYY-MM-DD"
        The day on which these prices held; a day's list says its own.
    to : path, optional
        The catalog folder written to; default: that of the config folder.
    replace, dry_run : bool
        Overwrite an import of the same day; report and write nothing.

    Raises
    ------
    PlannerError
        If the source is none of these, or cannot be read, or nothing says of which day it is; nothing is written then.
    """
    from planner.catalog.carrying import newest_snapshot
    from planner.catalog.diff import moved
    from planner.catalog.importing import checked, without_twice, write_snapshot
    from planner.catalog.overlay import config_catalog

    path, given = Path(source), parse_date(as_of) if isinstance(as_of, str) else as_of
    folder = Path(to) if to is not None else config_catalog()
    known = [each for each in folders(overlays) if each.resolve() != folder.resolve()]
    loaded = load_catalog([*known, folder] if folder.is_dir() else known)
    name, reading, day = _read_prices(path, loaded, given)
    outcome = without_twice(checked(reading, loaded), folder, day.isoformat(), name)
    newest = newest_snapshot(folder)
    files = [] if dry_run else write_snapshot(outcome, folder, day.isoformat(), name, replace=replace)
    notes = []
    if newest > day.isoformat():
        notes.append(say("api_catalogs.newer", folder=folder.name, newest=newest, day=day))
    return ImportedPrices(
        "rows",
        tuple({str(key): value for key, value in row.items()} for row in outcome.report.astype(str).to_dict("records")),
        outcome,
        rows_read=outcome.lines_read,
        prices_kept=len(outcome.rows),
        not_accelerators=dict(outcome.other),
        reasons=dict(outcome.counts),
        files=tuple(files),
        as_of=day,
        changes=tuple(moved(loaded.prices, outcome.rows)),
        notes=tuple(notes),
    )


def _read_prices(path: Path, catalog: Catalog, given: date | None) -> tuple[str, Reading, date]:
    """What an import is called, its candidate rows, and their day."""
    from planner.catalog.feeds import OBSERVATIONS, OFFERS, SOURCES, is_observations, read_observations, read_offers
    from planner.catalog.quotes import read_quotes
    from planner.catalog.skypilot import read_skypilot
    from planner.reading import read_csv

    if path.is_file() and path.suffix.lower() == ".json":
        name, (reading, day) = SOURCES[OFFERS], read_offers(path, catalog)
    elif path.is_file() and is_observations(read_csv(path).header):
        name, (reading, day) = SOURCES[OBSERVATIONS], read_observations(path, catalog)
    elif not path.exists():
        raise PlannerError(say("api_catalogs.no_source", path=str(path)))
    elif given is None:
        raise PlannerError(say("api_catalogs.no_day", file=path.name))
    elif path.is_dir():
        return "skypilot", read_skypilot(path, catalog, given), given
    else:
        return path.stem, read_quotes(path, catalog, given), given
    if given not in (None, day):
        raise PlannerError(say("api_catalogs.other_day", file=path.name, day=day, given=given))
    return name, reading, day
