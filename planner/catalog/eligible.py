"""Which offers a scenario may plan with: only what can be had, and why the rest was left out.

The rules: quality X never, C only on request (a row that prices the GPU part alone, or that no day is known of, counts
as C), rows kept as history never; a cluster of more than one node needs a known network, or one that the user assumes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from planner.catalog.catalog import Catalog
from planner.catalog.fabrics import fabric_of
from planner.catalog.own_machines import assume_network, owned_offers
from planner.catalog.own_prices import as_quoted, commits, matches, on_demand_price, refused, terms_of_quote
from planner.catalog.ownership import reserved_discount
from planner.catalog.prices import PriceRow, said_date, undated
from planner.catalog.quotas import left_out_by_quotas, most_nodes, outside_quotas, quota_remarks
from planner.spec.hardware import Hardware, Offer, OfferTerms, joined_in
from planner.spec.scenario import Cluster
from planner.units import PlannerError
from planner.words import say

# A price within this of a tenth of on-demand is that tenth, as the feeds round to four decimals.
_SAME = 1e-4
_YEARS = {"reserved_1y": 8760.0, "reserved_3y": 3 * 8760.0}  # hours of terms that the kind of price names
NEVER = frozenset({"superseded", "index"})
MOMENTARY = frozenset({"momentary_availability", "market_price"})


@dataclass(frozen=True, slots=True)
class Eligible:
    """The offers that may be planned with, by id, how many rows were left out for what reason, and what to know."""

    offers: tuple[Offer, ...]
    left_out: Mapping[str, int]
    remarks: tuple[str, ...] = ()


def eligible_offers(
    catalog: Catalog, cluster: Cluster, *, max_gpus: int | None = None, priced: bool = True
) -> Eligible:
    """The offers of the catalog and the scenario's own machines that a plan may use.

    A quote of the user's (`cluster.prices`) makes an offer of every machine that it matches, whatever the catalog's own
    price of that machine is worth; the offer then takes the place of the catalog's with the same id.

    Parameters
    ----------
    max_gpus : int, optional
        Most GPUs of one plan; the cluster's own by default.
    priced : bool
        Own machines need a price. Without it those of which nothing is known are free: for answers that leave cost out.

    Raises
    ------
    PlannerError
        If an accelerator named by the cluster is not in the catalog, a quote matches no machine, or reserved pricing is
        asked for and has no price.
    """
    most = cluster.max_gpus if max_gpus is None else max_gpus
    wanted = frozenset(catalog.accelerator_id(name) for name in cluster.gpus)
    left_out: Counter[str] = Counter()
    offers: dict[str, Offer] = {}
    rows = () if cluster.own_only else catalog.prices
    listed = (row for row in rows if row.pricing == "on_demand" and not NEVER & set(row.flags))
    on_demand = {row.key[:3]: row for row in listed}
    made = list(_quoted_offers(rows, catalog, cluster, wanted))
    quoted = {offer.id: offer for offer in made if isinstance(offer, Offer)}
    outside = [row for row in made if isinstance(row, PriceRow)]
    for row in rows:
        reason = _unwanted(row, cluster, wanted, catalog)
        if reason:
            left_out[reason] += 1
            if reason == left_out_by_quotas() and not _not_sold(row, cluster.quality):
                outside.append(row)
            continue
        if "/".join((*row.key[:3], _pricing(row))) in quoted:
            left_out[say("left_out.your_own_price")] += 1
            continue
        reason = _not_sold(row, cluster.quality)
        offer = reason or _offer(row, on_demand.get(row.key[:3]), catalog, cluster)
        if isinstance(offer, str):
            left_out[offer] += 1
        else:
            offers[offer.id] = offer
    offers.update(quoted)
    for name, offer in list(offers.items()):
        reason = _too_big(offer, most)
        if reason:
            left_out[reason] += 1
            del offers[name]
    if not cluster.own_only:
        _require_reserved(catalog, cluster, offers)
    unsold = _unsold(cluster, offers)
    offers.update((offer.id, offer) for offer in owned_offers(catalog, cluster, wanted, priced=priced))
    without_term = tuple(filter(None, (refused(quote, number) for number, quote in enumerate(cluster.prices))))
    remarks = () if cluster.own_only else (*without_term, *quota_remarks(outside), *unsold)
    return Eligible(tuple(offers[name] for name in sorted(offers)), dict(sorted(left_out.items())), remarks)


def _too_big(offer: Offer, max_gpus: int) -> str:
    if offer.gpus_per_node > max_gpus:
        return say("left_out.node_too_big")
    return say("left_out.quota_too_small") if offer.max_nodes == 0 else ""


def _quoted_offers(
    rows: Sequence[PriceRow], catalog: Catalog, cluster: Cluster, wanted: frozenset[str]
) -> Iterator[Offer | PriceRow]:
    """The offers that the user's own prices make of the catalog's machines; rows, where no stated quota is of them."""
    listed = [row for row in rows if row.pricing == "on_demand" and not _not_sold(row, cluster.quality)]
    for number, quote in enumerate(cluster.prices):
        if quote.pricing not in cluster.pricing or cluster.own_only or refused(quote, number):
            continue
        machines: dict[tuple[str, str, str], PriceRow] = {}
        for row in rows if quote.discount is None else listed:
            if matches(quote, row) and not NEVER & set(row.flags) and row.gpu in catalog.accelerators:
                machines.setdefault(row.key[:3], row)
        if not machines:
            code = "offers.no_machine" if quote.discount is None else "offers.no_on_demand_price"
            raise PlannerError(say(code, number=number))
        for row in machines.values():
            quoted = as_quoted(row, quote)
            reason = _unwanted(quoted, cluster, wanted, catalog)
            if reason == left_out_by_quotas():
                yield quoted
            elif not reason:
                on_demand = on_demand_price(row, cluster.prices, ((one, one.low) for one in listed))
                offer = _offer(quoted, None, catalog, cluster, terms_of_quote(quote, quoted, on_demand))
                if isinstance(offer, Offer):
                    yield offer


def _unwanted(row: PriceRow, cluster: Cluster, wanted: frozenset[str], catalog: Catalog) -> str:
    """Why the user's own choice leaves a row out, "" if it does not."""
    if cluster.clouds and row.cloud not in cluster.clouds:
        return say("left_out.other_cloud")
    if cluster.regions and row.region not in cluster.regions and row.region != "all":
        return say("left_out.other_region")
    if wanted and row.gpu not in wanted:
        return say("left_out.other_accelerator")
    if _pricing(row) not in cluster.pricing:
        return say("left_out.other_pricing")
    if row.gpu not in catalog.accelerators:
        return say("left_out.unknown_accelerator")
    return left_out_by_quotas() if outside_quotas(cluster.quotas, row) else ""


def _pricing(row: PriceRow) -> str:
    return "reserved" if commits(row.pricing) and row.pricing != "block" else row.pricing


def effective_quality(row: PriceRow) -> str:
    """The quality that decides: a price of the GPU part alone, or that no day is known of, is no better than C."""
    return "C" if row.quality in ("A", "B") and ("gpu_part_only" in row.flags or undated(row)) else row.quality


def _not_sold(row: PriceRow, qualities: Sequence[str]) -> str:
    """Why nobody should plan with a row, "" if one may."""
    quality = effective_quality(row)
    if quality == "X":
        return say("left_out.known_wrong")
    if "superseded" in row.flags:
        return say("left_out.history")
    if "suspect" in row.flags:
        return say("left_out.doubted")
    if "index" in row.flags:
        return say("left_out.index")
    if quality == "C" and "C" not in qualities:
        return say("left_out.quality", quality=quality)
    if quality != "user" and quality not in qualities:
        return say("left_out.quality", quality=quality)
    if row.currency != "USD":
        return say("left_out.currency", currency=row.currency)
    if row.low <= 0:
        return say("left_out.no_price")
    return ""


def _offer(
    row: PriceRow,
    list_price: PriceRow | None,
    catalog: Catalog,
    cluster: Cluster,
    quoted: OfferTerms | None = None,
) -> Offer | str:
    """The offer of a row, or why there is none; `quoted`: the terms of a quote."""
    if quoted is not None and 0.0 < quoted.then < 1.0:
        return say("left_out.quote_too_dear")
    if catalog.accelerators[row.gpu].recalled:
        return say("left_out.recalled")
    span = _price_range(row, list_price)
    if isinstance(span, str):
        return span
    hardware, flags = _hardware(row, catalog, cluster)
    max_nodes, basis = _max_nodes(row, hardware, cluster)
    per_gpu = tuple(price / row.gpus for price in span)
    term_s = 3600 * (row.term_hours or _YEARS.get(row.pricing, 0.0))
    return Offer(
        cloud=row.cloud,
        instance=row.instance,
        region=row.region,
        pricing=_pricing(row),
        gpu=row.gpu,
        hardware=hardware,
        usd_per_gpu_hour=(per_gpu[0] + per_gpu[1]) / 2,
        usd_per_gpu_hour_range=(per_gpu[0], per_gpu[1]) if row.pricing == "spot" or per_gpu[0] < per_gpu[1] else None,
        as_of_earliest=row.as_of_earliest,
        as_of_latest=row.as_of_latest,
        date_kind=row.date_kind,
        as_of=said_date(row.as_of),
        source=row.source,
        quality=effective_quality(row),
        flags=row.flags + flags,
        max_nodes=max_nodes,
        max_nodes_basis=basis,
        terms=replace(
            quoted or OfferTerms(term_s, term_s),
            billing_step_s=row.billing_step_s,
            minimum_nodes=-(-(row.minimum_gpus or 1) // hardware.gpus_per_node),
        ),
    )


def _price_range(row: PriceRow, list_price: PriceRow | None) -> tuple[float, float] | str:
    """Least and most USD an hour of the machine, or why a spot row has no price.

    Zones that repeat on-demand have no spot market, and a least price of exactly a tenth of on-demand is a placeholder:
    then the most is all that is known.
    """
    if row.pricing != "spot" or list_price is None:
        return (row.low, row.high)
    full = list_price.low
    if row.low >= full * (1 - _SAME):
        return say("left_out.no_spot_market")
    if abs(row.low / (0.1 * full) - 1) < _SAME:
        if row.high - row.low <= _SAME * row.low:
            return say("left_out.spot_placeholder")
        return (row.high, row.high)
    return (row.low, row.high)


def _hardware(row: PriceRow, catalog: Catalog, cluster: Cluster) -> tuple[Hardware, tuple[str, ...]]:
    """The nodes that a row sells, and flags on what they are known from."""
    accelerator = catalog.accelerators[row.gpu]
    if row.node and row.node in catalog.nodes:
        node = catalog.nodes[row.node]
        network = catalog.nodes.records[row.node].facts.get("network_one_way_gbit_per_s_per_node")
        hardware = Hardware(
            row.gpu,
            node.gpus_per_node,
            node.scale_up_domain,
            node.link_gbyte_per_s if node.link_gbyte_per_s is not None else accelerator.link_gbyte_per_s,
            node.network_gbit_per_s,
            fabric_of(node.network) if node.network_gbit_per_s is not None else "unknown",
        )
        flags = ("network_recalled",) if network is not None and network.kind == "recalled" else ()
    else:
        domain = min(joined_in(accelerator, row.gpus), row.gpus)
        hardware = Hardware(row.gpu, row.gpus, domain, accelerator.link_gbyte_per_s, None, "unknown")
        flags = ()
    assumed = assume_network(hardware, cluster)
    return (assumed, (*flags, "network_assumed")) if assumed is not hardware else (hardware, flags)


def _max_nodes(row: PriceRow, hardware: Hardware, cluster: Cluster) -> tuple[int | None, str]:
    """Most nodes of one plan and what that stands on; None: what max_gpus allows."""
    quota = most_nodes(cluster.quotas, row, hardware.gpus_per_node)
    if quota == 0:
        return 0, say("offers.quota")
    if hardware.gpus_per_node == 1:
        return 1, say("offers.single_gpu")
    if hardware.network_gbit_per_s is None:
        return 1, say("offers.unknown_fabric")
    if quota is not None:
        return quota, say("offers.quota")
    if MOMENTARY & set(row.flags):
        return 1, say("offers.momentary")
    return None, say("offers.assumption")


def _unsold(cluster: Cluster, offers: Mapping[str, Offer]) -> list[str]:
    """A remark for each kind of price that was asked for, beside others, and that nothing has: never left out silently.

    Where a quote of the kind was given, why it is left out is told by itself.
    """
    sold = {offer.pricing for offer in offers.values()}
    given = {quote.pricing for quote in cluster.prices}
    return [say("offers.unsold", pricing=kind) for kind in cluster.pricing if sold and kind not in sold | given]


def _require_reserved(catalog: Catalog, cluster: Cluster, offers: Mapping[str, Offer]) -> None:
    """Reserved pricing that was asked for must have a price; raises PlannerError with the key to fill if it has not."""
    kind = next((kind for kind in ("reserved", "block") if kind in cluster.pricing), None)
    if kind is None or any(commits(offer.pricing) for offer in offers.values()):
        return
    without_term = [why for number, quote in enumerate(cluster.prices) if (why := refused(quote, number))]
    if without_term and set(cluster.pricing) <= {"reserved", "block"}:
        raise PlannerError(without_term[0])
    if any(quote.pricing in ("reserved", "block") for quote in cluster.prices):
        return  # left out for a reason that is told
    if kind == "block":
        raise PlannerError(say("offers.no_block"))
    usual = reserved_discount(catalog, 1)
    raise PlannerError(say("offers.no_reserved", low=usual.low, high=usual.high))
