"""Daily lists of public prices as price rows: a CSV of observations, a JSON file of offers. Each row has its own day.

The traps, each seen in the files: slices of a GPU under its name, medians of a market that nobody sells at, prices of
the accelerator without its host, other products (serverless), terms of years, rows that are not the provider's list.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from planner.catalog.catalog import Catalog
from planner.catalog.checks_prices import REJECTS
from planner.catalog.feed_places import Listed, price_rows
from planner.catalog.importing import Reading, empty_report
from planner.catalog.patterns import fits
from planner.reading import fault, read_csv, read_json
from planner.words import phrase, say

OBSERVATIONS, OFFERS = "observations", "offers"
SOURCES = {OBSERVATIONS: "gpu-price-index", OFFERS: "gpu-rental-prices"}
_NEEDED = ("date", "provider", "pricing", "gpu_model", "sku", "region", "gpu_count", "usd_per_gpu_hour", "sample_size")
_SLICE = re.compile(r"\bMIG\b|\b\d+g\.\d+gb\b", re.IGNORECASE)
_PART = re.compile(r"gpu (rate|price|part) only|billed separately|without host", re.IGNORECASE)
_KINDS = {"on-demand": "on_demand", "on_demand": "on_demand", "secure": "on_demand", "spot": "spot"}
_TERMS = {12: ("reserved_1y", 8760.0), 36: ("reserved_3y", 26280.0)}
_MEMORY = 0.15  # a data sheet's GB and what software sees differ by less
_EVERYWHERE = ("", "global", "all", "worldwide")
Why = tuple[str, str]  # the check that leaves a row out, and the reason


@dataclass
class _Feed:
    """One file on its way: what is listed, what is left out and why."""

    path: Path
    kind: str
    catalog: Catalog
    listed: list[Listed] = field(default_factory=list)
    rejected: list[Sequence[object]] = field(default_factory=list)
    rows: int = 0

    def leave_out(self, line: int, cloud: str, sku: str, region: str, pricing: str, why: Why) -> None:
        self.rejected.append((self.path.name, line, cloud, sku, region, pricing, REJECTS, *why))


def is_observations(header: Sequence[str]) -> bool:
    """Whether a CSV is a day's observations, rather than quotes."""
    return {"gpu_model", "sku", "usd_per_gpu_hour", "collected_at"} <= set(header)


def read_observations(path: Path, catalog: Catalog) -> tuple[Reading, date]:
    """A day's CSV of observations as candidate price rows, and its day.

    Raises
    ------
    PlannerError
        If a column is missing, or rows are of several days or of none.
    """
    table = read_csv(path, _NEEDED, holds=say("feeds.holds"))
    feed = _Feed(path, OBSERVATIONS, catalog)
    days = set[str]()
    for row, line in zip(table.rows(), table.lines, strict=True):
        days.add(row["date"].strip())
        _take(feed, _observed(row), line)
    if len(days) != 1:
        raise fault(path, say("feeds.several_days" if days else "feeds.no_row"))
    return _reading(feed, days.pop())


def read_offers(path: Path, catalog: Catalog) -> tuple[Reading, date]:
    """A day's JSON of offers as candidate price rows, and its day.

    Raises
    ------
    PlannerError
        If it is no such document.
    """
    data = read_json(path, holds=say("feeds.holds"))
    offers = data.get("offers") if isinstance(data, dict) else None
    if not isinstance(offers, list) or not isinstance(data.get("date"), str):
        raise fault(path, say("feeds.no_offers"))
    stale = {
        name: str(entry.get("last_verified") or "")[:10]
        for name, entry in (data.get("providers") or {}).items()
        if isinstance(entry, dict) and entry.get("stale")
    } if isinstance(data.get("providers"), dict) else {}  # fmt: skip
    feed = _Feed(path, OFFERS, catalog)
    for number, offer in enumerate(offers, 1):
        if isinstance(offer, dict):
            _take(feed, _offered(offer, stale.get(str(offer.get("provider")), "")), number)
    return _reading(feed, data["date"])


def _reading(feed: _Feed, day: str) -> tuple[Reading, date]:
    try:
        when = date.fromisoformat(day)
    except ValueError:
        raise fault(feed.path, say("feeds.day", day=day)) from None
    if not feed.rows:
        raise fault(feed.path, say("feeds.no_price_in_it"))
    rows, ambiguous = price_rows(feed.listed, feed.catalog, when, SOURCES[feed.kind], feed.path.name)
    for one, why in ambiguous:
        feed.leave_out(one.line, one.cloud, one.sku, one.region or "all", one.pricing, ("ambiguous", why))
    return Reading(rows, empty_report(feed.rejected), {}, feed.rows), when


@dataclass(frozen=True, slots=True)
class _Row:
    """One row of either feed, as it is written."""

    provider: str
    name: str
    sku: str
    region: str
    kind: str
    gpus: float
    usd: float
    as_of: str = ""
    memory_gb: float = math.nan
    months: int | None = None
    why_not: Why | None = None
    minimum: bool = False  # gpus are the least that are sold, not those of a machine


def _observed(row: Mapping[str, str]) -> _Row:
    market = row.get("segment") == "marketplace" or row["sku"] == "median-offer" or _number(row["sample_size"]) > 1
    return _Row(
        row["provider"], row["gpu_model"], row["sku"].strip(), row["region"], row["pricing"],
        _number(row["gpu_count"]), _number(row["usd_per_gpu_hour"]),
        why_not=("market", say("feeds.median")) if market else None,
    )  # fmt: skip


def _offered(offer: Mapping[str, Any], verified: str) -> _Row:
    text = {key: str(offer.get(key) or "") for key in ("provider", "gpu", "instance", "region", "kind", "rate_basis")}
    term = offer.get("commitment")
    given = term.get("months") if isinstance(term, dict) else None
    months = given if isinstance(given, int) else None
    why: Why | None = None
    if text["kind"] in ("marketplace", "community"):
        why = "market", say("feeds.one_host")
    elif text["kind"] == "serverless":
        why = "serverless", say("feeds.serverless")
    elif text["rate_basis"] and text["rate_basis"] not in ("exact", "list", "listed"):
        why = "rate_basis", say("feeds.rate_basis", basis=text["rate_basis"])
    elif text["kind"] == "reserved" and months not in _TERMS:
        why = "commitment", say("feeds.term", months=months) if months else say("feeds.unknown_term")
    return _Row(
        provider=text["provider"],
        name=text["gpu"],
        sku=text["instance"],
        region=text["region"],
        kind=text["kind"],
        gpus=_number(offer.get("min_gpus") or 1),
        usd=_number(offer.get("usd_hr")),
        as_of=verified or str(offer.get("fetched_at"))[:10],
        memory_gb=_number(offer.get("vram_gb")),
        months=months,
        why_not=why,
        minimum=True,
    )


def _take(feed: _Feed, row: _Row, line: int) -> None:
    """One row: listed, or left out with its reason."""
    feed.rows += 1
    cloud, left_out = _cloud(feed, row)
    pricing, term = (_KINDS.get(row.kind, ""), None)
    if row.months in _TERMS and row.kind == "reserved":
        pricing, term = _TERMS[row.months]
    gpu = _gpu(feed.catalog, feed.kind, cloud, row)
    why = left_out or row.why_not or _wrong(row, pricing)
    if why is None and not gpu:
        why = "accelerator_known", say("feeds.unknown", name=row.name, cloud=cloud)
    elif why is None and not _memory_fits(feed.catalog, gpu, row):
        why = "memory", say("feeds.memory", memory=row.memory_gb, gpu=gpu)
    region = "" if row.region.strip().lower() in _EVERYWHERE else row.region.strip()
    if why:
        feed.leave_out(line, cloud or row.provider, row.sku or row.name, region or "all", pricing or row.kind, why)
        return
    feed.listed.append(
        Listed(cloud, gpu, row.sku, region, int(row.gpus), pricing, row.usd, row.as_of, line, term, row.minimum)
    )


def _cloud(feed: _Feed, row: _Row) -> tuple[str, Why | None]:
    """The catalog's name of a provider, and why its rows are left out; one that no table names keeps its own name."""
    name = row.provider.strip().lower()
    known = [
        each
        for each in feed.catalog.table("import/feed_clouds.csv")
        if each["provider"] == name and each["feed"] in ("", feed.kind)
    ]
    if not known:
        return re.sub(r"[^a-z0-9]+", "-", name).strip("-"), None
    best = max(known, key=lambda each: each["feed"])
    check, _, reason = best["left_out"].partition(": ")
    return best["cloud"], (check, phrase("feeds", reason)) if check else None


def _gpu(catalog: Catalog, kind: str, cloud: str, row: _Row) -> str:
    """The catalog's id of the accelerator, "" where nobody says which it is."""
    found = [
        each["gpu"]
        for each in catalog.table("import/feed_names.csv")
        if each["feed"] in ("", kind)
        and each["name"].lower() == row.name.strip().lower()
        and each["cloud"] in ("", cloud)
        and fits(each["sku_pattern"], row.sku, "import/feed_names.csv")
    ]
    return found[0] if found and found[0] in catalog.accelerators else ""


def _wrong(row: _Row, pricing: str) -> Why | None:
    if _SLICE.search(row.sku) or _SLICE.search(row.name):
        return "slice", say("feeds.slice")
    if _PART.search(row.sku):
        return "gpu_part", say("feeds.gpu_part")
    if not pricing:
        return "form", say("feeds.form", kind=row.kind)
    if not (row.gpus >= 1 and row.gpus == int(row.gpus)):
        return "gpu_count", say("feeds.gpu_count")
    return None if row.usd > 0 else ("price_present", say("checks_prices.no_price"))


def _memory_fits(catalog: Catalog, gpu: str, row: _Row) -> bool:
    if math.isnan(row.memory_gb):
        return True
    has = catalog.accelerators[gpu].memory_gib
    return any(abs(row.memory_gb / size - 1) <= _MEMORY for size in (has, has * 2**30 / 1e9))


def _number(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        return math.nan
    return number if math.isfinite(number) and abs(number) < 1e9 else math.nan
