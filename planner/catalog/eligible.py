"""Which offers a scenario may plan with: only what can be had, and why the rest was left out.

The rules: quality X never, C only on request (a row that prices the GPU part alone counts as C), rows kept as history
never; a cluster of more than one node needs a known network, or one that the user assumes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from planner.catalog.catalog import Catalog
from planner.catalog.fabrics import fabric_of
from planner.catalog.ownership import owned_usd_per_gpu_hour
from planner.catalog.prices import PriceRow
from planner.catalog.types import Hardware, Offer
from planner.units import PlannerError

# A price within this of a tenth of on-demand is that tenth, as the feeds round to four decimals.
_SAME = 1e-4
NEVER = frozenset({"superseded", "index"})
MOMENTARY = frozenset({"momentary_availability", "market_price"})


class OwnClusterLike(Protocol):
    """The scenario's own machines (`planner.scenario.OwnCluster`)."""

    @property
    def name(self) -> str: ...
    @property
    def gpu(self) -> str: ...
    @property
    def gpus_per_node(self) -> int: ...
    @property
    def nodes(self) -> int: ...
    @property
    def network_gbit_per_s(self) -> float | None: ...
    @property
    def usd_per_gpu_hour(self) -> float | None: ...
    @property
    def network(self) -> str: ...
    @property
    def ownership(self) -> Mapping[str, Any]: ...


class QuotaLike(Protocol):
    @property
    def gpus(self) -> int: ...
    @property
    def cloud(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...
    @property
    def gpu(self) -> str | None: ...


class ClusterLike(Protocol):
    """What of a scenario's `cluster` decides which offers count (`planner.scenario.Cluster`).

    Two further attributes are read where present: `reserved`, quotes with usd_per_gpu_hour or discount.
    """

    @property
    def gpus(self) -> Sequence[str]: ...
    @property
    def clouds(self) -> Sequence[str]: ...
    @property
    def regions(self) -> Sequence[str]: ...
    @property
    def pricing(self) -> Sequence[str]: ...
    @property
    def quality(self) -> Sequence[str]: ...
    @property
    def max_gpus(self) -> int: ...
    @property
    def assume_network_gbit_per_s(self) -> float | None: ...
    @property
    def assume_network_per_gpu_gbit_per_s(self) -> float | None: ...
    @property
    def own(self) -> Sequence[OwnClusterLike]: ...
    @property
    def own_only(self) -> bool: ...
    @property
    def quotas(self) -> Sequence[QuotaLike]: ...


@dataclass(frozen=True, slots=True)
class Eligible:
    """The offers that may be planned with, by id, and how many rows were left out for each reason."""

    offers: tuple[Offer, ...]
    left_out: Mapping[str, int]


def eligible_offers(catalog: Catalog, cluster: ClusterLike, *, max_gpus: int | None = None) -> Eligible:
    """The offers of the catalog and the scenario's own machines that a plan may use.

    Parameters
    ----------
    max_gpus : int, optional
        Most GPUs of one plan; the cluster's own by default.

    Raises
    ------
    PlannerError
        If an accelerator named by the cluster is not in the catalog, or reserved pricing has no price.
    """
    most = cluster.max_gpus if max_gpus is None else max_gpus
    wanted = frozenset(catalog.accelerator_id(name) for name in cluster.gpus)
    left_out: Counter[str] = Counter()
    offers: list[Offer] = []
    listed = (row for row in catalog.prices if row.pricing == "on_demand" and not NEVER & set(row.flags))
    on_demand = {row.key[:3]: row for row in listed}
    if not cluster.own_only:
        for row in catalog.prices:
            reason = _unwanted(row, cluster, wanted, catalog) or _not_sold(row, cluster.quality)
            if reason:
                left_out[reason] += 1
                continue
            offer = _offer(row, on_demand.get(row.key[:3]), catalog, cluster)
            if isinstance(offer, str):
                left_out[offer] += 1
            elif offer.gpus_per_node > most:
                left_out["one node has more GPUs than max_gpus"] += 1
            elif offer.max_nodes == 0:
                left_out["quota is smaller than one node"] += 1
            else:
                offers.append(offer)
    offers.extend(owned_offers(catalog, cluster, wanted))
    offers.sort(key=lambda offer: offer.id)
    return Eligible(tuple(offers), dict(sorted(left_out.items())))


def _unwanted(row: PriceRow, cluster: ClusterLike, wanted: frozenset[str], catalog: Catalog) -> str:
    """Why the user's own choice leaves a row out, "" if it does not."""
    if cluster.clouds and row.cloud not in cluster.clouds:
        return "other cloud"
    if cluster.regions and row.region not in cluster.regions and row.region != "all":
        return "other region"
    if wanted and row.gpu not in wanted:
        return "other accelerator"
    if _pricing(row) not in cluster.pricing:
        return "other pricing"
    if row.gpu not in catalog.accelerators:
        return "accelerator is not in the catalog"
    return ""


def _pricing(row: PriceRow) -> str:
    return "reserved" if row.pricing.startswith("reserved") else row.pricing


def effective_quality(row: PriceRow) -> str:
    """The quality that decides: a price of the GPU part alone is no better than C."""
    return "C" if "gpu_part_only" in row.flags and row.quality in ("A", "B") else row.quality


def _not_sold(row: PriceRow, qualities: Sequence[str]) -> str:
    """Why nobody should plan with a row, "" if one may."""
    quality = effective_quality(row)
    if quality == "X":
        return "quality X: known to be wrong"
    if "superseded" in row.flags:
        return "kept as history"
    if "index" in row.flags:
        return "an index, not an offer"
    if quality == "C" and "C" not in qualities:
        return "quality C: not asked for"
    if quality != "user" and quality not in qualities:
        return f"quality {quality}: not asked for"
    if row.currency != "USD":
        return f"currency {row.currency}: convert it to USD"
    if row.low <= 0:
        return "no price"
    return ""


def _offer(row: PriceRow, list_price: PriceRow | None, catalog: Catalog, cluster: ClusterLike) -> Offer | str:
    """The offer of a row, or why there is none."""
    if catalog.accelerators[row.gpu].recalled:
        return "accelerator known from memory only"
    span = _price_range(row, list_price)
    if isinstance(span, str):
        return span
    hardware, flags = _hardware(row, catalog, cluster)
    max_nodes, basis = _max_nodes(row, hardware, cluster)
    per_gpu = tuple(price / row.gpus for price in span)
    return Offer(
        cloud=row.cloud,
        instance=row.instance,
        region=row.region,
        pricing=_pricing(row),
        gpu=row.gpu,
        hardware=hardware,
        usd_per_gpu_hour=(per_gpu[0] + per_gpu[1]) / 2,
        usd_per_gpu_hour_range=(per_gpu[0], per_gpu[1]) if row.pricing == "spot" else None,
        as_of_earliest=row.as_of_earliest,
        as_of_latest=row.as_of_latest,
        date_kind=row.date_kind,
        as_of=row.as_of,
        source=row.source,
        quality=effective_quality(row),
        flags=row.flags + flags,
        max_nodes=max_nodes,
        max_nodes_basis=basis,
        extras=terms_of(row),
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
        return "spot equals on-demand: no spot market"
    if abs(row.low / (0.1 * full) - 1) < _SAME:
        if row.high - row.low <= _SAME * row.low:
            return "spot is a placeholder of 10 % of on-demand"
        return (row.high, row.high)
    return (row.low, row.high)


def _hardware(row: PriceRow, catalog: Catalog, cluster: ClusterLike) -> tuple[Hardware, tuple[str, ...]]:
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
        domain = max(1, min(accelerator.scale_up_domain, row.gpus))
        hardware = Hardware(row.gpu, row.gpus, domain, accelerator.link_gbyte_per_s, None, "unknown")
        flags = ()
    assumed = _assumed(hardware, cluster)
    return (assumed, (*flags, "network_assumed")) if assumed is not hardware else (hardware, flags)


def _assumed(hardware: Hardware, cluster: ClusterLike) -> Hardware:
    """The hardware with the network that the user assumes where none is known; single-GPU machines are not joined."""
    if hardware.network_gbit_per_s is not None or hardware.gpus_per_node == 1:
        return hardware
    if cluster.assume_network_gbit_per_s is not None:
        return replace(hardware, network_gbit_per_s=cluster.assume_network_gbit_per_s)
    if cluster.assume_network_per_gpu_gbit_per_s is not None:
        per_node = cluster.assume_network_per_gpu_gbit_per_s * hardware.gpus_per_node
        return replace(hardware, network_gbit_per_s=per_node)
    return hardware


def _max_nodes(row: PriceRow, hardware: Hardware, cluster: ClusterLike) -> tuple[int | None, str]:
    """Most nodes of one plan and what that stands on; None: what max_gpus allows."""
    quotas = [
        quota.gpus // hardware.gpus_per_node
        for quota in cluster.quotas
        if quota.cloud in (None, row.cloud)
        and quota.region in (None, row.region)
        and (quota.gpu is None or quota.gpu == row.gpu)
    ]
    if quotas and min(quotas) == 0:
        return 0, "quota"
    if hardware.gpus_per_node == 1:
        return 1, "single-GPU machine"
    if hardware.network_gbit_per_s is None:
        return 1, "unknown fabric"
    if quotas:
        return min(quotas), "quota"
    if MOMENTARY & set(row.flags):
        return 1, "momentary availability"
    return None, "assumption"


def terms_of(row: PriceRow) -> dict[str, float]:
    """The terms of a row as numbers; a term that the source does not state is not there."""
    terms = {"term_hours": row.term_hours, "billing_s": row.billing_s, "minimum_nodes": row.minimum_nodes}
    return {name: float(value) for name, value in terms.items() if value is not None}


def owned_offers(catalog: Catalog, cluster: ClusterLike, wanted: frozenset[str] = frozenset()) -> list[Offer]:
    """The scenario's own machines as offers, at the stated price or at their cost of ownership."""
    offers = []
    for number, own in enumerate(cluster.own):
        accelerator = catalog.accelerator(own.gpu)
        if wanted and accelerator.id not in wanted:
            continue
        domain = accelerator.scale_up_domain
        domain = domain if domain > 8 else max(1, min(domain, own.gpus_per_node))
        rate = own.network_gbit_per_s
        hardware = Hardware(
            accelerator.id,
            own.gpus_per_node,
            domain,
            accelerator.link_gbyte_per_s,
            rate,
            fabric_of(own.network) if rate is not None else "unknown",
        )
        hardware = _assumed(hardware, cluster)
        joined = hardware.network_gbit_per_s is not None
        price = own.usd_per_gpu_hour
        extras: dict[str, float] = {}
        if price is None:
            owned = owned_usd_per_gpu_hour(catalog, own, f"cluster.own[{number}]")
            price, extras = owned.usd_per_gpu_hour, dict(owned.parts)
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
                source="scenario",
                quality="user",
                flags=() if own.usd_per_gpu_hour is not None else ("cost_of_ownership",),
                max_nodes=own.nodes if joined else min(own.nodes, 1),
                max_nodes_basis="own machines" if joined else "unknown fabric",
                extras=extras,
            )
        )
    return offers


def require_reserved(offers: Sequence[Offer], cluster: ClusterLike) -> None:
    """Reserved pricing was asked for: there must be a price for it.

    Raises
    ------
    PlannerError
        If no offer is reserved, naming the key to fill.
    """
    if "reserved" in cluster.pricing and not any(offer.pricing == "reserved" for offer in offers):
        raise PlannerError(
            "cluster.pricing asks for reserved, but neither the catalog nor the scenario has such a price; "
            "give cluster.reserved a quote: {cloud: aws, gpu: h100-sxm5-80gb, usd_per_gpu_hour: 4.10, term: 1 year}"
        )
