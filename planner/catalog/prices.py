"""Dated price snapshots: `prices/<date>/*.csv`, one row for one machine in one region on one set of terms.

The price stands for the machine as the row counts it (`gpus` of them), so that it compares with the cloud's page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from planner.catalog.facts import Layer
from planner.reading import fault, read_csv
from planner.units import PlannerError
from planner.words import say, say_from

REQUIRED = frozenset({"cloud", "instance", "gpu", "gpus", "pricing", "usd_per_machine_hour_low"})
PRICINGS = ("on_demand", "spot", "reserved_1y", "reserved_3y")
QUALITIES = ("A", "B", "C", "X", "user")
DATE_KINDS = ("exact", "file", "month", "half_year_estimate", "year_estimate", "undated", "user")
FLAGS = frozenset(
    {
        "superseded",  # kept as history
        "gpu_part_only",  # the host's price is missing
        "momentary_availability",  # the list shows what was free at that moment
        "market_price",  # one seller's machine
        "index",  # a published average, nothing that one can order
        "placeholder_spot",  # the least spot price is exactly 10 % of on-demand
        "spot_equals_on_demand_in_some_zones",
        "no_spot_market",
        "old_snapshot",
        "age_unknown",
        "undated",
        "unconfirmed",
        "hand_kept",
        "global_list_price",
        "host_extra",  # memory and processors are priced beside
        "inferred",
        "derived",
        "differs",  # another source says otherwise; the note says which is believed
        "suspect",  # an import check found something; see the note
    }
)


UNDATED = frozenset({"undated", "age_unknown"})


class PriceRow(NamedTuple):
    """One row: USD an hour for the machine of `gpus` accelerators; spot has the least and the most over zones."""

    cloud: str
    instance: str
    node: str
    region: str
    gpu: str
    gpus: int
    pricing: str
    low: float
    high: float
    currency: str
    term_hours: float | None
    billing_step_s: float | None
    minimum_gpus: int | None
    as_of: str
    as_of_earliest: date | None
    as_of_latest: date | None
    date_kind: str
    source: str
    quality: str
    flags: tuple[str, ...]
    note: str
    layer: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        return (self.cloud, self.instance, self.region, self.pricing)


NAMES = {"low": "usd_per_machine_hour_low", "high": "usd_per_machine_hour_high"}  # as a snapshot's columns
COLUMNS = tuple(NAMES.get(field, field) for field in PriceRow._fields if field != "layer")
_TEXTS = ("cloud", "instance", "node", "gpu", "pricing", "as_of", "source", "note")


def undated(row: PriceRow) -> bool:
    """Whether no day, and no span of days, is known on which the price held."""
    return row.date_kind == "undated" or bool(UNDATED & set(row.flags))


#: What may stand behind a date, or before it: an estimate; the day of the list, which may hold older prices.
_DATED_BY = {"est.": "est", "file": "file", "file, prices older": "file_older"}
_READ = "undated, read "


def said_date(as_of: str) -> str:
    """A price's date as its source prints it, as a sentence where it is told what the date is of."""
    if as_of.startswith(_READ):
        return say("dates.read", date=as_of.removeprefix(_READ))
    day, _, how = as_of.partition(" ")
    return say(f"dates.{_DATED_BY[how]}", date=day) if how in _DATED_BY else as_of


def snapshots(layer: Layer) -> tuple[str, ...]:
    """The dates of a layer's price snapshots, oldest first. Opens nothing."""
    folder = layer.path / "prices"
    if not folder.is_dir():
        return ()
    return tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))


def snapshot_files(layers: Sequence[Layer], snapshot: str | None = None) -> list[tuple[Layer, Path]]:
    """The files of the newest snapshot of each layer, or of the one asked for.

    Raises
    ------
    PlannerError
        If the snapshot asked for is in no layer.
    """
    files: list[tuple[Layer, Path]] = []
    known: set[str] = set()
    for layer in layers:
        names = snapshots(layer)
        known.update(names)
        chosen = names[-1:] if snapshot is None else tuple(name for name in names if name == snapshot)
        for name in chosen:
            files.extend((layer, path) for path in sorted((layer.path / "prices" / name).glob("*.csv")))
    if snapshot is not None and snapshot not in known:
        code = "prices.no_snapshot" if known else "prices.no_snapshots"
        raise PlannerError(say_from(code, {"snapshot": snapshot, "known": sorted(known)}))
    return files


def files_on(layers: Sequence[Layer], day: date) -> list[tuple[Layer, Path]]:
    """The files of each layer's newest snapshot that is not after a day; its oldest, where all are."""
    files: list[tuple[Layer, Path]] = []
    for layer in layers:
        names = snapshots(layer)
        chosen = [name for name in names if name <= day.isoformat()][-1:] or list(names[:1])
        files.extend((layer, path) for name in chosen for path in sorted((layer.path / "prices" / name).glob("*.csv")))
    return files


def read_prices(path: Path, layer: str = "") -> list[PriceRow]:
    """The rows of one file, columns found by name; columns that are not required may be missing.

    Raises
    ------
    PlannerError
        On a missing or unknown column, or a cell that is not what its column holds, with the line.
    """
    table = read_csv(path, sorted(REQUIRED), COLUMNS)
    rows = []
    for cells, line in zip(table.cells, table.lines, strict=True):
        try:
            rows.append(_row(dict.fromkeys(COLUMNS, "") | dict(zip(table.header, cells, strict=True)), layer))
        except ValueError as error:
            raise fault(path, error.args[0], line) from None
    return rows


def _row(cell: Mapping[str, str], layer: str) -> PriceRow:
    def number(column: str) -> float | None:
        return _number(cell[column], column) if cell[column] else None

    def word(column: str, allowed: Sequence[str]) -> str:
        _member(found := cell[column] or "user", allowed, column)
        return found

    low = _number(cell[NAMES["low"]], NAMES["low"])
    high = low if (most := number(NAMES["high"])) is None else most
    if high < low:
        raise ValueError(say("prices.high_below_low", high=cell[NAMES["high"]], low=cell[NAMES["low"]]))
    gpus = int(_number(cell["gpus"], "gpus"))
    if gpus < 1:
        raise ValueError(say("prices.gpus", found=cell["gpus"]))
    flags = tuple(cell["flags"].split(";")) if cell["flags"] else ()
    _member(cell["pricing"], PRICINGS, "pricing")
    quality, date_kind = word("quality", QUALITIES), word("date_kind", DATE_KINDS)
    for flag in flags:
        _member(flag, FLAGS, "flags")
    minimum = number("minimum_gpus")
    return PriceRow(
        **{name: cell[name] for name in _TEXTS},
        region=cell["region"] or "all",
        gpus=gpus,
        low=low,
        high=high,
        currency=cell["currency"] or "USD",
        term_hours=number("term_hours"),
        billing_step_s=number("billing_step_s"),
        minimum_gpus=None if minimum is None else int(minimum),
        as_of_earliest=_date(cell["as_of_earliest"], "as_of_earliest"),
        as_of_latest=_date(cell["as_of_latest"], "as_of_latest"),
        date_kind=date_kind,
        quality=quality,
        flags=flags,
        layer=layer,
    )


def _member(word: str, allowed: Sequence[str] | frozenset[str], column: str) -> None:
    if word not in allowed:
        raise ValueError(say("prices.none_of", column=column, word=word, allowed=sorted(allowed)))


def _number(text: str, column: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not 0 <= number < float("inf"):
        raise ValueError(say("prices.number", column=column, found=text))
    return number


def _date(text: str, column: str) -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(say("prices.date", column=column, found=text)) from None
