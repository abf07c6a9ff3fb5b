"""Offers at the user's own prices (`cluster.prices`): a quote, or a discount off the catalog's on-demand price.

A commitment is paid for its term, used or not; beyond it in whole increments, or on demand.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from planner.catalog.prices import PriceRow
from planner.spec.hardware import OfferTerms
from planner.spec.scenario import QuotedPrice
from planner.units import PlannerError
from planner.words import say

#: Of a discount: the row's price and source are the catalog's, what comes off is the user's.
DISCOUNTED = "assumed_discount"


def commits(pricing: str) -> bool:
    """Whether a kind of price is of a commitment."""
    return pricing.startswith("reserved") or pricing == "block"


def refused(quote: QuotedPrice, number: int) -> str:
    """Why a quote cannot be planned with, and what to state; "" if it can."""
    if not commits(quote.pricing) or quote.term_s is not None:
        return ""
    return say("offers.without_term", number=number, pricing=quote.pricing)


def as_quoted(row: PriceRow, quote: QuotedPrice) -> PriceRow:
    """A machine's row at the user's price; a discount keeps the date and source of the price it comes off."""
    row = row._replace(pricing=quote.pricing, term_hours=None)
    if quote.discount is not None:
        least, most = quote.discount
        source = say("offers.discount", source=row.source)
        return row._replace(
            low=row.low * (1 - most),
            high=row.high * (1 - least),
            flags=(*row.flags, DISCOUNTED),
            source=source,
            quality="user",
        )
    price = (quote.usd_per_gpu_hour or 0.0) * row.gpus
    return row._replace(
        low=price,
        high=price,
        currency="USD",
        as_of="",
        as_of_earliest=None,
        as_of_latest=None,
        date_kind="user",
        source=say("offers.scenario"),
        quality="user",
        flags=(),
        note="",
    )


def matches(quote: QuotedPrice, row: PriceRow) -> bool:
    """Whether a quote holds for a row's machine."""
    return (
        quote.cloud in (None, row.cloud)
        and quote.instance in (None, row.instance)
        and (quote.region in (None, row.region) or row.region == "all")
        and quote.gpu in (None, row.gpu)
    )


def terms_of_quote(quote: QuotedPrice, row: PriceRow, on_demand: float | None) -> OfferTerms:
    """What a quote says of how it is paid.

    Parameters
    ----------
    row : the machine at the quote's price
    on_demand : USD an hour of the machine, for `then: on_demand`

    Raises
    ------
    PlannerError
        If time beyond the term is to be paid on demand and no such price is known.
    """
    if quote.term_s is None:
        return OfferTerms(waiting_s=quote.waiting_s)
    then = 0.0
    if quote.then_on_demand:
        if on_demand is None:
            offer = {"cloud": row.cloud, "instance": row.instance, "gpu": row.gpu}
            raise PlannerError(say("offers.no_price_beyond_term", **offer))
        then = on_demand / ((row.low + row.high) / 2)
    return OfferTerms(quote.term_s, quote.increment_s or quote.term_s, quote.upfront or 0.0, then, quote.waiting_s)


def on_demand_price(
    row: PriceRow, quotes: Sequence[QuotedPrice], listed: Iterable[tuple[PriceRow, float]]
) -> float | None:
    """USD an hour of a row's machine on demand: the user's quote, else the catalog's; None: neither is known."""
    known = {one.key[:3]: usd for one, usd in listed}.get(row.key[:3])
    for quote in quotes:
        if quote.pricing == "on_demand" and matches(quote, row):
            if quote.usd_per_gpu_hour is not None:
                return quote.usd_per_gpu_hour * row.gpus
            if quote.discount is not None and known is not None:
                return known * (1 - sum(quote.discount) / 2)
    return known
