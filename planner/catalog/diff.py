"""What changed between two price snapshots."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from planner.catalog.catalog import Catalog, load_catalog
from planner.catalog.facts import Layer
from planner.catalog.prices import PriceRow, read_prices, snapshots
from planner.reading.quantities import parse_date
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    import pandas as pd

_SAME = 1e-4  # feeds round to four digits


@dataclass(frozen=True, slots=True)
class PriceChange:
    """One offer in two snapshots, USD per GPU-hour; None where a snapshot does not have it."""

    cloud: str
    instance: str
    region: str
    pricing: str
    gpu: str
    before: float | None
    after: float | None
    as_of_before: str
    as_of_after: str

    @property
    def id(self) -> str:
        return "/".join((self.cloud, self.instance, self.region, self.pricing))

    @property
    def change(self) -> float | None:
        """The change of price as a fraction; None for an offer that came or went."""
        return None if self.before is None or self.after is None or self.before == 0 else self.after / self.before - 1

    @property
    def what(self) -> str:
        """One of new, gone, dearer and cheaper."""
        if self.before is None:
            return "new"
        if self.after is None:
            return "gone"
        return "dearer" if self.after > self.before else "cheaper"


def price_changes(before: Iterable[PriceRow], after: Iterable[PriceRow]) -> list[PriceChange]:
    """The offers whose price differs, and those that came or went; largest change first, then by id.

    Rows kept as history and rows of quality X do not count. Spot is compared by the middle of its range.
    """
    old, new = _current(before), _current(after)
    changes = []
    for key in {*old, *new}:
        was, now = old.get(key), new.get(key)
        row = now or was
        if row is None or (was is not None and now is not None and usd_per_gpu_hour(was) == usd_per_gpu_hour(now)):
            continue
        changes.append(
            PriceChange(
                *key,
                gpu=row.gpu,
                before=None if was is None else usd_per_gpu_hour(was),
                after=None if now is None else usd_per_gpu_hour(now),
                as_of_before="" if was is None else was.as_of,
                as_of_after="" if now is None else now.as_of,
            )
        )
    return sorted(changes, key=lambda each: (each.change is None, -abs(each.change or 0), each.id))


def moved(before: Iterable[PriceRow], rows: pd.DataFrame) -> list[PriceChange]:
    """What imported rows change of the prices that were known: those that differ, and new offers; none is gone."""
    old, changes = _current(before), []
    names = ["cloud", "instance", "region", "pricing", "gpu", "gpus", "usd_per_machine_hour_low"]
    others = zip(*(rows[name].tolist() for name in ("usd_per_machine_hour_high", "as_of", "flags")), strict=True)
    for values, (high, day, flags) in zip(rows[names].itertuples(index=False, name=None), others, strict=True):
        if {"superseded", "suspect"} & set(str(flags).split(";")):
            continue
        cloud, instance, region, pricing, gpu, gpus, low = values
        was = old.get((cloud, instance, region, pricing))
        now = (low + high) / 2 / gpus
        before_usd = None if was is None else usd_per_gpu_hour(was)
        if before_usd is None or abs(now - before_usd) > _SAME * before_usd:
            changes.append(
                PriceChange(
                    cloud, instance, region, pricing, gpu, before_usd, now, "" if was is None else was.as_of, day
                )
            )
    return sorted(changes, key=lambda each: (each.change is None, -abs(each.change or 0), each.id))


def snapshot_prices(name: str, overlays: Sequence[Path] = ()) -> tuple[PriceRow, ...]:
    """The price rows that a name stands for: those of a day, a catalog folder's newest, or a folder of CSVs.

    Raises
    ------
    PlannerError
        If it is none of these.
    """
    folder = Path(name)
    if not folder.is_dir():
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", name):
            raise PlannerError(say("diff.neither", name=name))
        return load_catalog(overlays, on=parse_date(name)).prices
    layer = Layer(folder.name, folder)
    if snapshots(layer):
        return Catalog([layer]).prices
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise PlannerError(say("diff.no_prices", folder=str(folder)))
    return tuple(row for path in files for row in read_prices(path, layer.name))


def usd_per_gpu_hour(row: PriceRow) -> float:
    """A row's price of one accelerator, the middle of its range."""
    return (row.low + row.high) / 2 / row.gpus


def _current(rows: Iterable[PriceRow]) -> dict[tuple[str, str, str, str], PriceRow]:
    return {row.key: row for row in rows if not {"superseded", "index"} & set(row.flags) and row.quality != "X"}
