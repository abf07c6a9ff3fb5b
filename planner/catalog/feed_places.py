"""Where a listed price belongs: the catalog's own offers that it renews, or a new one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

from planner.catalog.catalog import Catalog
from planner.catalog.importing import dated, node_ids
from planner.catalog.patterns import fits
from planner.catalog.prices import COLUMNS, PriceRow
from planner.words import say

if TYPE_CHECKING:
    import pandas as pd

_TABLE = "import/feed_instances.csv"
_OUT = frozenset({"superseded", "index", "suspect"})


@dataclass(frozen=True, slots=True)
class Listed:
    """One price, USD an hour of one GPU. `region` "": everywhere; `gpus`: of the machine, or the least that is sold."""

    cloud: str
    gpu: str
    sku: str
    region: str
    gpus: int
    pricing: str
    usd: float
    as_of: str  # "": the list's day
    line: int
    term_hours: float | None = None
    minimum: bool = False

    @property
    def kind(self) -> tuple[str, str, str]:
        return self.cloud, self.gpu, self.pricing


@dataclass(frozen=True, slots=True)
class _Place:
    """One offer of the catalog, or a new one."""

    instance: str
    region: str
    gpus: int
    node: str
    billing_step_s: float | None = None
    minimum_gpus: int | None = None


def price_rows(
    listed: Sequence[Listed], catalog: Catalog, day: date, source: str, file: str
) -> tuple[pd.DataFrame, list[tuple[Listed, str]]]:
    """Candidate rows of a snapshot, and what is left out because two prices would be the same offer's.

    A price of one GPU renews every machine of that cloud with this GPU that the catalog sells in this way, unless the
    list prices machines of several sizes apart: then those of its size. What the catalog does not have is a new offer.
    """
    import pandas as pd

    places = _Places(catalog, listed)
    by_key: dict[tuple[str, str, str, str], list[tuple[Listed, _Place]]] = defaultdict(list)
    for one in listed:
        for place in places.of(one):
            by_key[one.cloud, place.instance, place.region, one.pricing].append((one, place))
    rows: list[dict[str, object]] = []
    ambiguous: list[tuple[Listed, str]] = []
    for key, found in by_key.items():
        prices = sorted({round(one.usd, 6) for one, _ in found})
        if len(prices) > 1:
            amounts = f"{prices[0]:g}"
            for usd in prices[1:4]:
                amounts = say("feeds.and", some=amounts, usd=usd)
            why = say("feeds.ambiguous", usd=amounts, offer="/".join(key))
            ambiguous += [(one, why) for one, _ in found]
            continue
        rows.append(_row(*found[0], day, source, file))
    table = pd.DataFrame(rows, columns=[*COLUMNS, "file", "line"])
    return table.astype({"gpus": int, "usd_per_machine_hour_low": float, "usd_per_machine_hour_high": float}), ambiguous


def _row(one: Listed, place: _Place, day: date, source: str, file: str) -> dict[str, object]:
    try:
        when = date.fromisoformat(one.as_of) if one.as_of else day
    except ValueError:
        when = day
    usd = round(one.usd * place.gpus, 6)
    blank = dict.fromkeys(COLUMNS, "")
    return {
        **blank,
        "cloud": one.cloud,
        "instance": place.instance,
        "node": place.node,
        "region": place.region,
        "gpu": one.gpu,
        "gpus": place.gpus,
        "pricing": one.pricing,
        "usd_per_machine_hour_low": usd,
        "usd_per_machine_hour_high": usd,
        "currency": "USD",
        "term_hours": one.term_hours if one.term_hours is not None else float("nan"),
        "billing_step_s": place.billing_step_s if place.billing_step_s is not None else float("nan"),
        "minimum_gpus": place.minimum_gpus if place.minimum_gpus is not None else float("nan"),
        "source": source,
        "quality": "B",
        **dated(min(when, day)),
        "file": file,
        "line": one.line,
    }


class _Places:
    """The catalog's offers by cloud, GPU and kind of price, and the sizes that the list tells apart."""

    def __init__(self, catalog: Catalog, listed: Sequence[Listed]) -> None:
        self.nodes = node_ids(catalog)
        self.by_name = {(cloud, instance.lower()): name for (cloud, instance), name in self.nodes.items()}
        self.sizes = {name: catalog.nodes[name].gpus_per_node for name in self.nodes.values()}
        self.names = catalog.table(_TABLE)
        self.offers: dict[tuple[str, str, str], list[PriceRow]] = defaultdict(list)
        self.machines: dict[tuple[str, str], list[PriceRow]] = defaultdict(list)
        for row in catalog.prices:
            if not _OUT & set(row.flags) and row.quality != "X":
                self.offers[row.cloud, row.gpu, row.pricing].append(row)
                self.machines[row.cloud, row.instance.lower()].append(row)
        self.counts: dict[tuple[str, str, str], set[int]] = defaultdict(set)
        for one in listed:
            self.counts[one.kind].add(one.gpus)

    def of(self, one: Listed) -> list[_Place]:
        """The offers that a price is of."""
        return self._machine(one) or self._renewed(one) or [self._new(one)]

    def _machine(self, one: Listed) -> list[_Place]:
        """The machine that the list names as the cloud and the catalog do."""
        known = self.machines.get((one.cloud, one.sku.lower()), [])
        node = self.by_name.get((one.cloud, one.sku.lower()), "")
        if not (known or node):
            return []
        instance = known[0].instance if known else one.sku
        gpus = self.sizes[node] if node else known[0].gpus
        regions = [one.region] if one.region else sorted({row.region for row in known if row.pricing == one.pricing})
        return [_Place(instance, region, gpus, node) for region in regions or ["all"]]

    def _renewed(self, one: Listed) -> list[_Place]:
        """Offers that are sold in this way, of the same size where sizes have prices of their own."""
        offers = self.offers.get(one.kind, [])
        pattern = next(
            (
                row["instance_pattern"]
                for row in self.names
                if (row["cloud"], row["gpu"]) == (one.cloud, one.gpu) and fits(row["sku_pattern"], one.sku, _TABLE)
            ),
            None,
        )
        if pattern is not None:
            offers = [row for row in offers if fits(pattern, row.instance, _TABLE)]
        if len(self.counts[one.kind]) > 1 or one.gpus > 1:
            same = [row for row in offers if row.gpus == one.gpus]
            offers = same or [row for row in offers if row.gpus == 1 and one.gpus > 1]
        if one.region:
            offers = [row for row in offers if row.region == one.region]
        return [
            _Place(row.instance, row.region, row.gpus, row.node, row.billing_step_s, row.minimum_gpus) for row in offers
        ]

    def _new(self, one: Listed) -> _Place:
        """An offer that the catalog does not have."""
        gpus = 1 if one.minimum else one.gpus
        name = f"{one.gpu} (per GPU)" if one.minimum or not one.sku else one.sku
        return _Place(name, one.region or "all", gpus, "", None, one.gpus if one.minimum and one.gpus > 1 else None)
