"""Buy or rent: the purchase sum of one's own machines, when it is paid back, and from which use on buying pays.

On-demand and reserved prices of the same accelerator stand beside it, whatever kinds of price the scenario plans with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from planner.catalog import Catalog, eligible_offers
from planner.catalog.ownership import HOURS_PER_YEAR, OwnedCost, owned_usd_per_gpu_hour, reserved_discount
from planner.results.plan import Buying, Rented
from planner.spec.hardware import Offer
from planner.spec.scenario import OwnCluster, Scenario
from planner.units import PlannerError
from planner.words import say

HOURS_PER_MONTH = HOURS_PER_YEAR / 12


def buying_of(scenario: Scenario, catalog: Catalog) -> Mapping[str, Buying]:
    """By the name of each own cluster whose price is a cost of ownership: what buying it means."""
    if scenario.money.hours or scenario.cost_left_out:
        return {}
    found = {}
    for number, own in enumerate(scenario.cluster.own):
        if own.usd_per_gpu_hour is not None:
            continue
        try:
            cost = owned_usd_per_gpu_hour(catalog, own, f"cluster.own[{number}]")
        except PlannerError:  # said where the offer is made
            continue
        found[own.name] = _buying(scenario, catalog, own, cost)
    return found


def _buying(scenario: Scenario, catalog: Catalog, own: OwnCluster, cost: OwnedCost) -> Buying:
    gpus = own.nodes * own.gpus_per_node
    return Buying(
        gpus=gpus,
        nodes=own.nodes,
        purchase_usd=cost.capex.middle * gpus,
        purchase_usd_low=cost.capex.low * gpus,
        purchase_usd_high=cost.capex.high * gpus,
        owned_usd_per_gpu_hour=cost.usd_per_gpu_hour,
        running_usd_per_gpu_hour=cost.running,
        utilisation=cost.utilisation,
        written_off_months=12.0 * cost.years,
        rented=tuple(_rented(scenario, catalog, own, cost)),
    )


def _rented(scenario: Scenario, catalog: Catalog, own: OwnCluster, cost: OwnedCost) -> Iterator[Rented]:
    on_demand = _cheapest(scenario, catalog, own, "on_demand")
    reserved = _cheapest(scenario, catalog, own, "reserved")
    if on_demand is not None:
        yield _against(cost, "on_demand", on_demand, on_demand.usd_per_gpu_hour)
    if reserved is not None:
        yield _against(cost, "reserved", reserved, reserved.usd_per_gpu_hour)
    elif on_demand is not None:
        usual = reserved_discount(catalog, 1)
        basis = say("buying.usual_discount", low=usual.low, high=usual.high)
        usd = on_demand.usd_per_gpu_hour * (1.0 - usual.middle)
        yield replace(_against(cost, "reserved", on_demand, usd), quoted=False, basis=basis)


def _cheapest(scenario: Scenario, catalog: Catalog, own: OwnCluster, pricing: str) -> Offer | None:
    """The cheapest offer of the same accelerator; joined by a network where one's own nodes are, if there is one."""
    quotes = tuple(quote for quote in scenario.cluster.prices if quote.pricing == pricing)
    cluster = replace(
        scenario.cluster, gpus=(own.gpu,), pricing=(pricing,), own=(), own_only=False, quotas=(), prices=quotes
    )
    try:
        offers = eligible_offers(catalog, cluster).offers
    except PlannerError:  # no reserved price is known: its usual discount stands for it
        return None
    joined = [o for o in offers if o.hardware.network_gbit_per_s is not None] if own.nodes > 1 else []
    return min(joined or offers, key=lambda o: (o.usd_per_gpu_hour, o.id), default=None)


def _against(cost: OwnedCost, pricing: str, offer: Offer, usd: float) -> Rented:
    return Rented(
        pricing=pricing,
        offer=offer.id,
        usd_per_gpu_hour=usd,
        quoted=True,
        utilisation=cost.usd_per_gpu_hour * cost.utilisation / usd,
        months=months_to_pay_back(
            cost.capex.middle, (usd * cost.utilisation - cost.running) * HOURS_PER_MONTH, cost.capital
        ),
    )


def months_to_pay_back(purchase: float, saved_a_month: float, capital_a_year: float) -> float | None:
    """Months of equal savings whose present value is the purchase; None: they never come to it. Resale is left out.

    The present value of n payments s at the monthly rate i is s (1 - (1 + i)^-n) / i.
    """
    if saved_a_month <= 0:
        return None
    rate = math.pow(1.0 + capital_a_year, 1.0 / 12) - 1.0
    if rate <= 0:
        return purchase / saved_a_month
    left = 1.0 - purchase * rate / saved_a_month
    return -math.log(left) / math.log1p(rate) if left > 0 else None
