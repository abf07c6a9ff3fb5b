"""Electricity and CO2 of a plan: power of the nodes, the site's overhead, and the carbon intensity of where it runs."""

from __future__ import annotations

from dataclasses import dataclass

from planner.catalog.catalog import Catalog
from planner.spec.hardware import Offer
from planner.words import phrase, say

_FLEET = {"gcp": "google", "azure": "microsoft", "aws": "aws", "oci": "oracle", "coreweave": "coreweave"}
# Of two figures for one place: Google's own region page and the national average of 2023 before figures of 2016-2021.
_OLD = "prefer the country row"


@dataclass(frozen=True, slots=True)
class CarbonIntensity:
    """Grams of CO2 equivalent per kWh of electricity, and what the figure is of."""

    g_per_kwh: float
    place: str
    basis: str  # region | country | world | site
    source: str
    as_of: str


@dataclass(frozen=True, slots=True)
class EnergyUse:
    """Electricity at the meter and its CO2, with what each stands on."""

    kwh: float
    co2_kg: float
    node_kw: float
    pue: float
    intensity: CarbonIntensity
    assumptions: tuple[str, ...]


def carbon_intensity(catalog: Catalog, cloud: str, region: str, country: str | None = None) -> CarbonIntensity:
    """The figure of the cloud's region, else of its country, else the world's average. One source a place, never a mix.

    Parameters
    ----------
    country : str, optional
        ISO 3166 alpha-3 code, for machines of one's own.
    """
    rows = catalog.table("energy/carbon_intensity.csv")[::-1]  # the last layer first
    if country is None:
        places = catalog.table("energy/regions.csv")[::-1]
        country = next((p["country"] for p in places if p["cloud"] == cloud and p["region"] == region), None)
    here = [row for row in rows if row["region"] == f"{cloud}:{region}"]
    ranked = [("region", row) for row in here if _OLD not in row["note"]]
    ranked += [("country", row) for row in rows if row["region"] == country]
    ranked += [("region", row) for row in here]
    ranked += [("world", r) for r in catalog.table("energy/carbon_by_source.csv") if r["item"] == "world average"]
    basis, row = ranked[0]
    return CarbonIntensity(float(row["value"]), phrase("catalog", row["item"]), basis, row["source"], row["as_of"])


def country_code(catalog: Catalog, name: str) -> str | None:
    """The ISO 3166 alpha-3 code of a country, from the code or its English name; None: it has no figure."""
    countries = {row["region"]: row["item"] for row in catalog.table("energy/carbon_intensity.csv")}
    names = {item.lower(): code for code, item in countries.items() if ":" not in code}
    return name.upper() if name.upper() in countries else names.get(name.lower())


def node_power_kw(catalog: Catalog, gpu: str, gpus_per_node: int) -> tuple[float | None, str]:
    """Power of one node under load, and what the figure stands on; None where no one printed a TDP.

    That of a node type on premises with these accelerators, else their TDP and the rest of a server: an upper estimate,
    as training seldom draws the full TDP.
    """
    for name in catalog.nodes:
        if name.startswith(("dgx-", "gb200-", "gb300-", "hgx-", "hls-")):
            node = catalog.nodes[name]
            if (node.gpu, node.gpus_per_node) == (gpu, gpus_per_node) and node.power_kw is not None:
                return node.power_kw, say("energy.node_type", name=name)
    tdp = catalog.accelerators[gpu].tdp_w
    if tdp is None:
        return None, say("energy.unknown_power", gpu=gpu)
    overhead = next(row for row in catalog.table("energy/node_power.csv") if row["item"].startswith("server overhead"))
    rest = float(overhead["value"]) * gpus_per_node / 8
    kw = gpus_per_node * tdp / 1000 + rest
    return kw, say("energy.of_parts", gpus=gpus_per_node, tdp=tdp, rest=rest)


def site_pue(catalog: Catalog, cloud: str) -> tuple[float, str]:
    """Power usage effectiveness of a cloud's sites, else of a typical modern one."""
    rows = catalog.table("energy/pue.csv")
    word = f"{_FLEET[cloud]} fleet" if cloud in _FLEET else "typical modern AI site"
    row = [row for row in rows if row["item"].startswith(word)][-1]
    item = phrase("catalog", row["item"])
    return float(row["value"]), say("energy.from_table", item=item, as_of=row["as_of"], quality=row["quality"])


def energy_use(catalog: Catalog, offer: Offer, nodes: int, hours: float, spare: int = 0) -> EnergyUse | None:
    """Electricity and CO2 of `nodes` nodes of an offer over `hours`: nodes x kW x PUE x hours x intensity.

    What the offer's site states comes first, then the catalog's figures. No source says what a node draws while it
    stands by, so the `spare` nodes beside them are not counted; nor is what it took to make the machines. Both are
    said.

    Returns
    -------
    None where the power of the accelerator is not known and not stated.
    """
    site = offer.site
    stated: str = say("energy.stated")
    kw, why_power = site.power_kw_per_node, stated
    if kw is None:
        kw, why_power = node_power_kw(catalog, offer.gpu, offer.gpus_per_node)
    if kw is None:
        return None
    factor, why_pue = site_pue(catalog, offer.cloud) if site.pue is None else (site.pue, stated)
    if site.co2_g_per_kwh is None:
        intensity = carbon_intensity(catalog, offer.cloud, offer.region, site.country)
    else:
        intensity = CarbonIntensity(site.co2_g_per_kwh, stated, "site", "scenario", "")
    kwh = nodes * kw * factor * hours
    carbon = {"grams": intensity.g_per_kwh, "place": intensity.place}
    year = phrase("catalog", intensity.as_of) if intensity.as_of else say("energy.undated")
    assumptions = (
        say("energy.power", kw=kw, why=why_power),
        say("energy.pue", pue=factor, why=why_pue),
        say("energy.carbon", **carbon) if intensity.basis == "site" else say("energy.carbon_of", **carbon, year=year),
        *((say("energy.spare", nodes=spare),) if spare else ()),
        say("energy.making"),
    )
    return EnergyUse(kwh, kwh * intensity.g_per_kwh / 1000, kw, factor, intensity, assumptions)
