"""What the stages of a programme share: quotas, reserved and own machines, and the places where they may run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray
from planner.search.prices import price_range
from planner.search.search_space import SearchSpace
from planner.spec.hardware import Offer
from planner.spec.programme import Programme
from planner.spec.scenario import QuotaKey, covers


@dataclass(frozen=True)
class Shared:
    """What stages share: quotas by what they hold for, reserved and own machines; as resources of the calendar."""

    quotas: tuple[QuotaKey, ...]
    own: tuple[str, ...]  # names of reserved and own clusters
    reserved: tuple[str, ...]  # the first of them

    def uses(self, offer: Offer, gpus: float) -> tuple[tuple[int, float], ...]:
        """The resources that an offer takes from, and how much."""
        out = [(i, gpus) for i, key in enumerate(self.quotas) if covers(key, offer)]
        if offer.pricing == "owned" and offer.instance in self.own:
            out.append((len(self.quotas) + self.own.index(offer.instance), gpus))
        return tuple(out)


def shared_of(programme: Programme) -> Shared:
    """What the stages of a programme share."""
    reserved = tuple(each.own.name for each in programme.reservations)
    own = dict.fromkeys(own.name for stage in programme.stages for own in stage.scenario.cluster.own)
    rest = tuple(name for name in own if name not in reserved)
    return Shared(tuple(dict.fromkeys(q.key for q in programme.quotas)), (*reserved, *rest), reserved)


def limits_of(programme: Programme, shared: Shared, horizon: int) -> tuple[FloatArray, ...]:
    """How much there is of each resource on each day, (horizon,)."""
    out = [_over_time(programme, key, horizon) for key in shared.quotas]
    sizes = {own.name: float(own.nodes * own.gpus_per_node) for s in programme.stages for own in s.scenario.cluster.own}
    return (*out, *(np.full(horizon, sizes[name]) for name in shared.own))


def _over_time(programme: Programme, key: QuotaKey, horizon: int) -> FloatArray:
    """Of the quotas of one key the last that holds on a day counts; on days without one there is nothing."""
    out = np.zeros(horizon)
    for quota in programme.quotas:
        if quota.key == key:
            first, last = programme.day(quota.since) or 0, programme.day(quota.until)
            out[max(first, 0) : horizon if last is None else max(min(last, horizon), 0)] = float(quota.gpus)
    return out


def places_worth(spaces: Sequence[SearchSpace], shared: Shared) -> frozenset[tuple[str, str]]:
    """The places of stages that go on from one another, without those that another place makes needless.

    A place is needless if there is one other where every stage finds all that it offers, no more expensive and under
    the same quotas: whatever stages go on from one another here could do so there, and no more would be moved.
    """
    sold = [_by_place(space, shared) for space in spaces]
    kept: list[tuple[str, str]] = []
    for place in sorted({place for each in sold for place in each}):
        if not any(_instead(spaces, sold, other, place) for other in kept):
            kept = [other for other in kept if not _instead(spaces, sold, place, other)]
            kept.append(place)
    return frozenset(kept)


_Sold = dict[tuple[str, str], dict[tuple[int, ...], list[int]]]  # place -> what its offers take from -> offers


def _by_place(space: SearchSpace, shared: Shared) -> _Sold:
    out: _Sold = {}
    for i, offer in enumerate(space.offers):
        uses = tuple(of for of, _ in shared.uses(offer, 1.0))
        out.setdefault((offer.cloud, offer.region), {}).setdefault(uses, []).append(i)
    return out


def _instead(
    spaces: Sequence[SearchSpace], sold: Sequence[_Sold], better: tuple[str, str], place: tuple[str, str]
) -> bool:
    """Whether every stage finds at one place all that another offers it, in no way worse."""
    return all(
        any(_as_good(space.offers[b], space.offers[i]) for b in each.get(better, {}).get(uses, ()))
        for space, each in zip(spaces, sold, strict=True)
        for uses, group in each.get(place, {}).items()
        for i in group
    )


def _as_good(one: Offer, other: Offer) -> bool:
    """Whether an offer is in no way worse than another: machines, terms, price, how many there are."""
    alike = (one.gpu, one.hardware, one.pricing, one.terms) == (other.gpu, other.hardware, other.pricing, other.terms)
    cheaper = all(a <= b for a, b in zip(price_range(one), price_range(other), strict=True))
    there = one.max_nodes is None or (other.max_nodes is not None and one.max_nodes >= other.max_nodes)
    return alike and cheaper and there
