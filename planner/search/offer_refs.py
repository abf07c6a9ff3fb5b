"""Offers as plans quote them."""

from __future__ import annotations

from typing import TypedDict

from planner.catalog.own_prices import commits
from planner.results.plan import OfferRef
from planner.spec.hardware import Offer


def offer_ref(offer: Offer) -> OfferRef:
    """What a plan says of its offer."""
    return OfferRef(
        id=offer.id,
        cloud=offer.cloud,
        region=offer.region,
        instance=offer.instance,
        gpu=offer.gpu,
        pricing=offer.pricing,
        usd_per_gpu_hour=offer.usd_per_gpu_hour,
        as_of=offer.as_of,
        max_nodes=offer.max_nodes,
        max_nodes_basis=offer.max_nodes_basis,
        gpus_per_node=offer.gpus_per_node,
        network_gbit_per_s=offer.hardware.network_gbit_per_s,
        as_of_earliest=offer.as_of_earliest,
        as_of_latest=offer.as_of_latest,
        date_kind=offer.date_kind,
        source=offer.source,
        quality=offer.quality,
        usd_per_gpu_hour_range=offer.usd_per_gpu_hour_range,
        quoted=offer.pricing != "owned" and offer.quality == "user",
        waiting_s=offer.extras.get("waiting_s", 0.0),
        **_commitment(offer),
    )


class _Commitment(TypedDict):
    term_s: float
    increment_s: float
    upfront: float
    then_usd_per_gpu_hour: float | None


def _commitment(offer: Offer) -> _Commitment:
    """What is paid of an offer whether it is used or not."""
    terms = offer.extras if commits(offer.pricing) else {}
    then = terms.get("then")
    return _Commitment(
        term_s=terms.get("minimum_time_s", 0.0),
        increment_s=terms.get("block_s", 0.0),
        upfront=terms.get("upfront", 0.0),
        then_usd_per_gpu_hour=None if then is None else then * offer.usd_per_gpu_hour,
    )
