"""What an hour of one's own accelerator costs when nobody states a price: total cost of ownership.

Every part that the user does not state comes from the ranges in `costs/` and `energy/`: the middle is used, the ends
give the range, and each such assumption is listed so that it can be printed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from planner.catalog.catalog import Catalog
from planner.catalog.energy import node_power_kw
from planner.spec.scenario import OwnCluster
from planner.units import PlannerError
from planner.words import phrase, say

HOURS_PER_YEAR = 8760.0
_WHOLESALE_KW = 1000.0


@dataclass(frozen=True, slots=True)
class Range:
    """A cost with the ends of what is plausible; all three equal when the user stated it."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class OwnedCost:
    """USD per GPU-hour of use, its parts (they add up), its range, and the assumptions behind what was not stated."""

    usd_per_gpu_hour: float
    low: float
    high: float
    parts: Mapping[str, float]
    assumptions: tuple[str, ...]
    capex: Range  # purchase price of a GPU, node and network included
    years: float  # of the write-off
    capital: float  # what money costs, share a year
    utilisation: float  # share of the hours in paid use

    @property
    def running(self) -> float:
        """USD per GPU-hour, used or not, of what is paid while the machine is owned: all but its price."""
        bought = ("amortisation", "capital")
        return self.utilisation * sum(usd for name, usd in self.parts.items() if name not in bought)


_CAPITAL = Range(0.05, 0.08, 0.12)

# Key of `cluster.own[].ownership`: what it is. Fractions are of one.
KEYS: Mapping[str, str] = {
    "capex_usd_per_gpu": "purchase price, node and network included",
    "amortisation_years": "years over which the node is written off",
    "residual_fraction": "resale value at the end, share of the price",
    "cost_of_capital_per_year": "what the money costs, or would earn elsewhere, share a year; 0: nothing",
    "maintenance_fraction_per_year": "maintenance contract, share of the price a year",
    "power_kw_per_node": "power of a node under load",
    "pue": "power usage effectiveness of the site",
    "electricity_usd_per_kwh": "electricity price",
    "colocation_usd_per_kw_month": "space and cooling",
    "staff_usd_per_node_year": "share of the staff",
    "utilisation": "share of the hours in which the node does paid work",
}


def owned_usd_per_gpu_hour(catalog: Catalog, own: OwnCluster, key: str = "cluster.own") -> OwnedCost:
    """Total cost of ownership per GPU-hour of use.

    (capex (1 - residual) / years + capital + maintenance x capex + staff + 12 x colocation x kW + 8760 x kW x PUE x
    electricity) / (8760 x utilisation), a GPU's share of each. Capital is what the equal yearly payments that write the
    node off at the cost of capital, its resale discounted, are more than the write-off alone. Power is paid in idle
    hours too, which errs on the dear side.

    Parameters
    ----------
    key : str
        Where the cluster stands in the scenario, for error messages.

    Raises
    ------
    PlannerError
        On an unknown key, a value out of range, or an accelerator whose price is in no table (with the key to fill).
    """
    stated = {name: float(value) for name, value in own.ownership.items()}
    for name in stated:
        if name not in KEYS:
            raise PlannerError(say("ownership.unknown_key", key=key, name=name, known=list(KEYS)))
    assumptions: list[str] = []

    def part(name: str, default: Range, why: str) -> Range:
        if name in stated:
            return Range(stated[name], stated[name], stated[name])
        ends = {"low": default.low, "high": default.high}
        assumptions.append(say("ownership.assumed", key=name, middle=default.middle, **ends, why=why))
        return default

    capex = part("capex_usd_per_gpu", *_capex(catalog, own, f"{key}.ownership", "capex_usd_per_gpu" in stated))
    years = part("amortisation_years", *_table(catalog, "costs/amortization.csv", "planning horizon"))
    residual = part("residual_fraction", *_residual(catalog, years))
    capital = part("cost_of_capital_per_year", _CAPITAL, say("ownership.usual_capital"))
    upkeep = part("maintenance_fraction_per_year", *_percent(_table(catalog, "costs/opex.csv", "maintenance contract")))
    power = part("power_kw_per_node", *_node_power(catalog, own, f"{key}.ownership", "power_kw_per_node" in stated))
    pue = part("pue", *_table(catalog, "energy/pue.csv", "typical modern AI site"))
    electricity = part("electricity_usd_per_kwh", *_table(catalog, "energy/electricity.csv", "US average", "region"))
    site = "wholesale" if power.middle * own.nodes >= _WHOLESALE_KW else "private cage"
    space = part("colocation_usd_per_kw_month", *_table(catalog, "costs/opex.csv", site))
    people = _scaled(_table(catalog, "costs/opex.csv", "staff share"), own.gpus_per_node / 8)
    staff = part("staff_usd_per_node_year", *people)
    use = part("utilisation", Range(1.0, 1.0, 1.0), say("ownership.this_run_alone"))
    shares = residual.middle, capital.middle
    if not 0 < use.middle <= 1 or years.middle <= 0 or pue.middle < 1 or not all(0 <= each < 1 for each in shares):
        raise PlannerError(say("ownership.out_of_range", key=key))
    used = HOURS_PER_YEAR * use.middle
    hours = used * own.gpus_per_node

    def cost(end: Callable[[Range], float], other: Callable[[Range], float]) -> dict[str, float]:
        # A long write-off and a high resale make it cheap: those two enter from the other end.
        written_off, kept, rate = other(years), other(residual), end(capital)
        interest = 0.0  # of a year beyond the write-off, as a share of the price: an annuity at `rate`, less that
        if rate > 0:
            worth = math.pow(1 + rate, -written_off)  # now, of what is paid at the end
            interest = (1 - kept * worth) * rate / (1 - worth) - (1 - kept) / written_off
        return {
            "amortisation": end(capex) * (1 - kept) / written_off / used,
            "capital": end(capex) * interest / used,
            "maintenance": end(capex) * end(upkeep) / used,
            "staff": end(staff) / hours,
            "colocation": 12 * end(space) * end(power) / hours,
            "electricity": HOURS_PER_YEAR * end(power) * end(pue) * end(electricity) / hours,
        }

    middle = cost(lambda each: each.middle, lambda each: each.middle)
    low = cost(lambda each: each.low, lambda each: each.high)
    high = cost(lambda each: each.high, lambda each: each.low)
    usd, least, most = (sum(each.values()) for each in (middle, low, high))
    bought = (capex, years.middle, capital.middle, use.middle)
    return OwnedCost(usd, least, most, middle, tuple(assumptions), *bought)


def reserved_discount(catalog: Catalog, years: int) -> Range:
    """What a commitment of 1 or 3 years usually takes off on-demand, as fractions: a range to show, never a price."""
    discount, _ = _percent(_table(catalog, "costs/discounts.csv", f"reserved_discount: {years}-year"))
    return discount


def _capex(catalog: Catalog, own: OwnCluster, key: str, stated: bool) -> tuple[Range, str]:
    """Price of a GPU with its share of server and network: a server's price if one is known, else that of the parts."""
    rows = catalog.table("costs/capex.csv")
    gpu = catalog.accelerator_id(own.gpu)
    servers = [row for row in rows if row["gpu"] == gpu and row["scope"] == "server"]
    cards = [row for row in rows if row["gpu"] == gpu and row["scope"] == "gpu"]
    network = next((row for row in rows if row["scope"] == "network"), None)
    parts = next((row for row in rows if row["scope"] == "server parts"), None)
    share = 1 / 8
    chosen: list[tuple[dict[str, str], float]] = []
    if servers:
        chosen = [(servers[-1], 1 / float(servers[-1]["gpus"]))]
    elif cards and parts:
        chosen = [(cards[-1], 1.0), (parts, share)]
    if not chosen:
        if stated:
            return Range(0, 0, 0), ""
        raise PlannerError(say("ownership.no_purchase_price", gpu=gpu, key=key))
    # The street price of an H100 server counts its network in already; the other rows do not say so.
    if network and "network" not in chosen[0][0]["note"]:
        chosen.append((network, share))
    total = Range(0.0, 0.0, 0.0)
    for row, times in chosen:
        each = _range(row)
        total = Range(total.low + times * each.low, total.middle + times * each.middle, total.high + times * each.high)
    return total, say("ownership.bought", items=[_from_table(row, row["item"]) for row, _ in chosen])


def _node_power(catalog: Catalog, own: OwnCluster, key: str, stated: bool) -> tuple[Range, str]:
    kw, why = node_power_kw(catalog, catalog.accelerator_id(own.gpu), own.gpus_per_node)
    if kw is None and not stated:
        raise PlannerError(say("ownership.no_power", why=why, key=key))
    return Range(kw or 0.0, kw or 0.0, kw or 0.0), why


def _residual(catalog: Catalog, years: Range) -> tuple[Range, str]:
    """Resale value at the end of the write-off: each end of the years with its own, read between the table's rows."""
    low, middle, high = (_resale(catalog, 12 * each) for each in (years.low, years.middle, years.high))
    # A short write-off with a low resale is dear, a long one with a high resale cheap: those are the ends.
    ends = {"low": 12 * years.low, "high": 12 * years.high}
    text = say("ownership.resale_ends", months=12 * years.middle, **ends)
    if years.low == years.high:
        text = say("ownership.resale", months=12 * years.middle)
    return Range(low.low, middle.middle, high.high), text


def _resale(catalog: Catalog, months: float) -> Range:
    points = []
    for row in catalog.table("costs/residual_value.csv"):
        each = _range(row)
        points.append((float(row["item"].split()[-2]), each.low / 100, each.middle / 100, each.high / 100))
    points.sort()

    def read(column: int) -> float:
        if months <= points[0][0]:
            return points[0][column]
        for (x0, *y0), (x1, *y1) in itertools.pairwise(points):
            if x0 <= months <= x1:
                return y0[column - 1] + (y1[column - 1] - y0[column - 1]) * (months - x0) / (x1 - x0)
        return points[-1][column]

    return Range(read(1), read(2), read(3))


def _table(catalog: Catalog, path: str, word: str, column: str = "item") -> tuple[Range, str]:
    """The range of the row whose item has `word` in it; the last layer's row wins."""
    rows: Sequence[dict[str, str]] = [row for row in catalog.table(path) if word in row[column]]
    if not rows:
        raise PlannerError(say("ownership.no_row", path=path, word=word))
    row = rows[-1]
    return _range(row), _from_table(row, f"{row['item']} {row['region']}".strip())


def _from_table(row: Mapping[str, str], item: str) -> str:
    """An item of a table of costs, with its date and quality."""
    return say("ownership.from_table", item=phrase("catalog", item), as_of=row["as_of"], quality=row["quality"])


def _range(row: Mapping[str, str]) -> Range:
    """A row's value with its ends; the middle of the ends where there is no value."""
    low, high = row["low"], row["high"]
    middle = float(row["value"]) if row["value"] else (float(low) + float(high)) / 2
    return Range(float(low) if low else middle, middle, float(high) if high else middle)


def _percent(answer: tuple[Range, str]) -> tuple[Range, str]:
    return _scaled(answer, 0.01)


def _scaled(answer: tuple[Range, str], times: float) -> tuple[Range, str]:
    each, why = answer
    return Range(each.low * times, each.middle * times, each.high * times), why
