"""What runs cost, with what probability: the time's distribution, and for spot the spread of prices over zones.

The price of a spot offer is taken as evenly spread between the cheapest and the dearest of its zones, one draw a run,
independent of how long the run takes. Every cost of the search, of a plan and of its chances is of this distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.results.plan import Billing, Quantiles
from planner.risk.completion import Completion
from planner.search.run_cost import HOUR_S, Costs
from planner.spec.hardware import Offer

_FACTORS = 129  # equally likely step-time factors of a run whose price is spread
MARGIN = 1.0 / 192.0  # that its chances may differ by from those of the time itself
_TOGETHER = 64  # runs whose prices are looked at in one array
_STEPS = 100  # at most, to find a quantile
SHARES = tuple(n / 16 for n in range(16))  # of a range of prices: where bounds are tried


def price_range(offer: Offer) -> tuple[float, float]:
    """Least and most USD per GPU-hour that a run on an offer may be charged; equal where the price is known."""
    if offer.pricing == "spot" and offer.usd_per_gpu_hour_range is not None:
        low, high = offer.usd_per_gpu_hour_range
        if low < high:
            return low, high
    return offer.usd_per_gpu_hour, offer.usd_per_gpu_hour


def in_order_of_price(offers: Sequence[Offer]) -> tuple[tuple[Offer, ...], ...]:
    """Offers parted so that within a part the earlier is never more expensive, whatever the zone and the confidence.

    Where prices are known that is one part, cheapest first, then by id.
    """
    parts: list[list[Offer]] = []
    for offer in sorted(offers, key=lambda o: (*price_range(o), o.usd_per_gpu_hour, o.id)):
        for part in parts:
            last = part[-1]
            more_expensive = (a <= b for a, b in zip(price_range(last), price_range(offer), strict=True))
            if all(more_expensive) and last.usd_per_gpu_hour <= offer.usd_per_gpu_hour:
                part.append(offer)
                break
        else:
            parts.append([offer])
    return tuple(tuple(part) for part in parts)


@dataclass(frozen=True, slots=True)
class Rates:
    """What machines may be charged, USD an hour of all of them, evenly spread; (n,) each."""

    low: FloatArray
    high: FloatArray

    def take(self, index: IntArray) -> Rates:
        """The entries that `index` selects."""
        return Rates(self.low[index], self.high[index])

    @property
    def spread(self) -> IntArray:
        """Where the price itself is uncertain, indices."""
        return np.flatnonzero(self.high > self.low)

    def at_least(self, share: float) -> FloatArray:
        """The price that a run is charged more than with probability 1 - share, (n,)."""
        return np.asarray(self.low + (self.high - self.low) * share)


def rates_of(offer: Offer, gpus: float) -> Rates:
    """The rates of `gpus` accelerators of an offer, of one entry."""
    low, high = price_range(offer)
    return Rates(np.array([low * gpus]), np.array([high * gpus]))


def chance(
    costs: Costs, runs: Completion, cells: IntArray, rates: Rates, usd: FloatArray, time_s: float = np.inf
) -> FloatArray:
    """P(cost <= usd and time <= time_s), (n,), of runs on these cells at these rates."""
    out = np.zeros(len(cells))
    known = np.flatnonzero(rates.high <= rates.low)
    if known.size:
        ends = np.minimum(costs.affordable_s(rates.low[known], usd[known], cells[known]), time_s)
        out[known] = np.where(ends > 0, runs.take(known).probability(ends), 0.0)
    for at in _in_parts(rates.spread):
        bills = _Bills.of(costs, runs.take(at), cells[at], rates.take(at))
        out[at] = np.minimum(bills.chance(usd[at], time_s), runs.take(at).probability(time_s))
    return out


def quantile(costs: Costs, runs: Completion, cells: IntArray, rates: Rates, p: float) -> FloatArray:
    """USD that runs stay within with probability p, (n,)."""
    out = costs.usd(rates.high, runs.quantile(p), cells)
    for at in _in_parts(rates.spread):
        some, on, price = runs.take(at), cells[at], rates.take(at)
        low = costs.usd(price.low, some.quantile(max(p - MARGIN, 1e-6)), on)
        high = costs.usd(price.high, some.quantile(min(p + MARGIN, 1.0 - 1e-6)), on)
        out[at] = _root(_Bills.of(costs, some, on, price), p, low, high)
    return out


def cost_line(
    p: float, rates: Rates, storage_usd_per_hour: float, slope: Callable[[float], FloatArray]
) -> tuple[FloatArray, FloatArray]:
    """A bound below the cost that runs stay within with probability p: (USD an hour, factor), (n,) each.

    With probability p a run predicted to train for s seconds costs no less than factor x s seconds at that rate.
    Price and time are independent: P(price >= u and time >= t) is the product, and where it exceeds 1 - p, a run
    costs less than u x t with a probability below p.

    Parameters
    ----------
    slope : of a probability, the factor on predicted seconds that the time is never below, (n,)
    """
    rate, factor, spread = rates.low.copy(), slope(p), rates.spread
    if not spread.size:
        return rate, factor
    factor, some, best = factor.copy(), rates.take(spread), np.full(len(spread), -1.0)
    for share in SHARES:
        price = some.at_least(share)
        at = max(1.0 - (1.0 - p) / (1.0 - share) - MARGIN, 0.0 if share else 1e-6)
        if at < 1e-6:
            break
        least = slope(at)[spread]
        cost = (price + storage_usd_per_hour) * least
        better = cost > best
        best = np.where(better, cost, best)
        rate[spread] = np.where(better, price, rate[spread])
        factor[spread] = np.where(better, least, factor[spread])
    return rate, factor


def _in_parts(index: IntArray) -> list[IntArray]:
    return [index[begin : begin + _TOGETHER] for begin in range(0, len(index), _TOGETHER)]


@dataclass(frozen=True, slots=True)
class _Bills:
    """Lengths of runs, (n, m), their weights, and what each pays; the price is spread evenly, exactly."""

    time_s: FloatArray
    weight: FloatArray
    paid_h: FloatArray
    fixed_usd: FloatArray  # USD that do not depend on the price
    rates: Rates

    @staticmethod
    def of(costs: Costs, runs: Completion, cells: IntArray, rates: Rates) -> _Bills:
        time, weight = runs.lengths(_FACTORS)
        return _Bills(time, weight, costs.paid_s(time, cells) / HOUR_S, costs.other_usd(time), rates)

    def chance(self, usd: FloatArray, time_s: float = np.inf) -> FloatArray:
        """P(cost <= usd and time <= time_s), (n,): the share of the prices that each length can be paid at."""
        low, high = self.rates.low[:, None], self.rates.high[:, None]
        share = np.clip(((usd[:, None] - self.fixed_usd) / self.paid_h - low) / (high - low), 0.0, 1.0)
        return np.asarray((np.where(self.time_s <= time_s, share, 0.0) * self.weight).sum(axis=1))

    def take(self, index: IntArray) -> _Bills:
        time, weight = self.time_s[index], self.weight[index]
        return _Bills(time, weight, self.paid_h[index], self.fixed_usd[index], self.rates.take(index))


def _root(bills: _Bills, p: float, low: FloatArray, high: FloatArray) -> FloatArray:
    """The least USD whose chance is p, (n,), between two ends of which the upper's chance is p or more."""
    below, above = np.full(len(low), -p), np.full(len(low), 1.0 - p)
    open_ = np.arange(len(low))
    for step in range(_STEPS):
        # The secant of the bracket's ends, its stale end weighing less each time (Illinois); every fourth is a middle.
        share = np.full(len(open_), 0.5) if step % 4 == 3 else below[open_] / (below[open_] - above[open_])
        guess = low[open_] + (high - low)[open_] * np.clip(share, 1e-3, 1.0 - 1e-3)
        excess = (bills if len(open_) == len(low) else bills.take(open_)).chance(guess) - p
        short = excess < 0
        above[open_] = np.where(short, above[open_] * 0.5, excess)
        below[open_] = np.where(short, excess, below[open_] * 0.5)
        low[open_], high[open_] = np.where(short, guess, low[open_]), np.where(short, high[open_], guess)
        open_ = open_[(high - low)[open_] > 1e-12 * high[open_]]
        if not open_.size:
            break
    return high


@dataclass(frozen=True)
class PlanCost:
    """The cost of one run: `runs` is its time (one entry), `rates` what its machines may be charged (one entry)."""

    costs: Costs
    runs: Completion
    cell: int
    rates: Rates

    @property
    def spread(self) -> bool:
        """Whether the price itself is uncertain."""
        return bool(self.rates.spread.size)

    def quantile(self, p: float) -> float:
        """USD that the run stays within with probability p."""
        return float(quantile(self.costs, self.runs, np.array([self.cell]), self.rates, p)[0])

    def quantiles(self) -> Quantiles:
        """Its 10th, 50th and 90th percentile."""
        return Quantiles(*(self.quantile(p) for p in (0.1, 0.5, 0.9)))

    def probability(self, usd: float, time_s: float = np.inf) -> float:
        """P(cost <= usd and time <= time_s)."""
        one = np.array([self.cell])
        return float(chance(self.costs, self.runs, one, self.rates, np.array([usd]), time_s)[0])

    def draw(self, worlds: int, seed: int) -> FloatArray:
        """Costs of so many independent runs, (worlds,), USD."""
        rng = np.random.default_rng(seed)
        levels = (np.arange(200) + 0.5) / 200
        times = np.array([float(self.runs.quantile(float(q))[0]) for q in levels])
        time = times[rng.integers(0, len(times), worlds)]
        rate = rng.uniform(self.rates.low[0], self.rates.high[0], worlds) if self.spread else self.rates.low
        cells = np.full(worlds, self.cell)
        return self.costs.usd(np.broadcast_to(rate, time.shape), time, cells)

    def billing(self) -> Billing:
        """What a plan says of how it is charged."""
        paid = self.costs.kinds[int(self.costs.kind[self.cell])]
        return Billing(
            usd_per_hour_low=float(self.rates.low[0]),
            usd_per_hour_high=float(self.rates.high[0]),
            minimum_s=paid.minimum_s,
            step_s=paid.step_s,
            block_s=paid.block_s,
            then=paid.then,
            storage_usd_per_hour=self.costs.storage_usd_per_s * HOUR_S,
            egress_usd=self.costs.egress_usd,
        )


def plan_cost(costs: Costs, runs: Completion, cell: int, offer: Offer, gpus: int) -> PlanCost:
    """The cost of a run on `gpus` accelerators of an offer."""
    return PlanCost(costs, runs, cell, rates_of(offer, gpus))
