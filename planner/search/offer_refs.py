"""Offers as plans quote them."""

from __future__ import annotations

from dataclasses import fields

from planner.catalog.own_prices import commits
from planner.results.plan import OfferRef
from planner.spec.hardware import Offer, OfferTerms

_SAME = {field.name for field in fields(OfferRef)} & {field.name for field in fields(Offer)}


def offer_ref(offer: Offer) -> OfferRef:
    """What a plan says of its offer; only a commitment's term is paid whether it is used or not."""
    terms = offer.terms if commits(offer.pricing) else OfferTerms()
    return OfferRef(
        **{name: getattr(offer, name) for name in _SAME},
        id=offer.id,
        gpus_per_node=offer.gpus_per_node,
        network_gbit_per_s=offer.hardware.network_gbit_per_s,
        quoted=offer.pricing != "owned" and offer.quality == "user",
        term_s=terms.term_s,
        increment_s=terms.increment_s,
        upfront=terms.upfront,
        then_usd_per_gpu_hour=terms.then * offer.usd_per_gpu_hour if terms.then else None,
        waiting_s=offer.terms.waiting_s,
    )
