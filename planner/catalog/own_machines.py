"""Machines of one's own as offers, and the network that a user assumes where none is known."""

from __future__ import annotations

from dataclasses import replace

from planner.catalog.catalog import Catalog
from planner.catalog.energy import country_code
from planner.catalog.ownership import OwnedCost, owned_usd_per_gpu_hour
from planner.spec.hardware import Hardware, Offer, OfferTerms, Site, joined_in
from planner.spec.scenario import Cluster
from planner.units import PlannerError
from planner.words import say


def owned_offers(
    catalog: Catalog, cluster: Cluster, wanted: frozenset[str] = frozenset(), *, priced: bool = True
) -> list[Offer]:
    """The scenario's own machines as offers, at the stated price or at their cost of ownership.

    Not `priced`: where neither is known, at none. Raises PlannerError on such a machine otherwise.
    """
    offers = []
    for number, own in enumerate(cluster.own):
        accelerator = catalog.accelerator(own.gpu)
        if wanted and accelerator.id not in wanted:
            continue
        domain = joined_in(accelerator, own.gpus_per_node)
        domain = domain if domain > 8 else max(1, min(domain, own.gpus_per_node))
        rate = own.network_gbit_per_s
        hardware = Hardware(
            accelerator.id,
            own.gpus_per_node,
            domain,
            accelerator.link_gbyte_per_s,
            rate,
            own.fabric if rate is not None else "unknown",
        )
        hardware = assume_network(hardware, cluster)
        joined = hardware.network_gbit_per_s is not None
        site = _checked(catalog, own.site, f"cluster.own[{number}].site")
        price = own.usd_per_gpu_hour
        source: str = say("offers.scenario")
        if price is None:
            try:
                owned = owned_usd_per_gpu_hour(catalog, own, f"cluster.own[{number}]")
                price, source = owned.usd_per_gpu_hour, _assumed(owned)
            except PlannerError:
                if priced:
                    raise
                price, source = 0.0, say("offers.no_price")
        offers.append(
            Offer(
                cloud="own",
                instance=own.name,
                region="local",
                pricing="owned",
                gpu=accelerator.id,
                hardware=hardware,
                usd_per_gpu_hour=price,
                usd_per_gpu_hour_range=None,
                as_of_earliest=None,
                as_of_latest=None,
                date_kind="user",
                as_of="",
                source=source,
                quality="user",
                flags=() if own.usd_per_gpu_hour is not None else ("cost_of_ownership",),
                max_nodes=own.nodes if joined else min(own.nodes, 1),
                max_nodes_basis=say("offers.own_machines" if joined else "offers.unknown_fabric"),
                terms=OfferTerms(waiting_s=own.waiting_s),
                site=site,
            )
        )
    return offers


def _checked(catalog: Catalog, site: Site, key: str) -> Site:
    """The site, its country as the catalog's code. Raises PlannerError, naming the key, on one without a figure."""
    if site.country is None:
        return site
    code = country_code(catalog, site.country)
    if code is None and site.co2_g_per_kwh is None:
        raise PlannerError(say("energy.unknown_country", key=key, country=site.country))
    return replace(site, country=code or site.country)


def _assumed(owned: OwnedCost) -> str:
    """What a price that nobody stated is made of, and what was assumed for it: nothing of it is silent."""
    parts = [say(f"ownership.{part}", amount=usd) for part, usd in owned.parts.items() if usd]
    made = say("ownership.made_of", low=owned.low, high=owned.high, parts=parts)
    return say("ownership.with_assumed", made=made, assumed=owned.assumptions) if owned.assumptions else made


def assume_network(hardware: Hardware, cluster: Cluster) -> Hardware:
    """The hardware with the network that the user assumes where none is known; single-GPU machines are not joined."""
    if hardware.network_gbit_per_s is not None or hardware.gpus_per_node == 1:
        return hardware
    if cluster.assume_network_gbit_per_s is not None:
        return replace(hardware, network_gbit_per_s=cluster.assume_network_gbit_per_s)
    if cluster.assume_network_per_gpu_gbit_per_s is not None:
        per_node = cluster.assume_network_per_gpu_gbit_per_s * hardware.gpus_per_node
        return replace(hardware, network_gbit_per_s=per_node)
    return hardware
