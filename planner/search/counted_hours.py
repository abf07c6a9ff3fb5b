"""Offers where hours are counted in place of money: the search's one budget of cost, at a price of one an hour.

An allocated GPU-hour costs one; of node-hours, its share of a node. Terms of payment do not bear on hours; spare nodes,
waiting and the least order do, as they do with money.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from planner.money import NODE_HOURS, Money
from planner.spec.hardware import Offer, OfferTerms
from planner.words import say


def counted(offers: Iterable[Offer], money: Money) -> tuple[Offer, ...]:
    """The offers as a budget of these hours sees them; as they are where money is counted."""
    if not money.hours:
        return tuple(offers)
    source = say("counted_hours.node_hours" if money.unit == NODE_HOURS else "counted_hours.gpu_hours")
    return tuple(_counted(offer, money, source) for offer in offers)


def _counted(offer: Offer, money: Money, source: str) -> Offer:
    each = 1.0 / offer.gpus_per_node if money.unit == NODE_HOURS else 1.0
    return replace(
        offer,
        usd_per_gpu_hour=each,
        usd_per_gpu_hour_range=None,
        as_of_earliest=None,
        as_of_latest=None,
        date_kind="user",
        as_of="",
        source=source,
        terms=OfferTerms(waiting_s=offer.terms.waiting_s, minimum_nodes=offer.terms.minimum_nodes),
    )
