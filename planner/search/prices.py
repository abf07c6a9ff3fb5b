"""What one plan costs, with what probability: the time's distribution, and for spot the spread of prices over zones.

The search takes a spot offer at the middle of its zones' prices; the plans that a person sees take the price as evenly
spread over them, one draw a run, independent of how long the run takes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.catalog.types import Offer
from planner.plan import Quantiles
from planner.risk.completion import Completion
from planner.search.money import Costs

_ZONES = 16  # equally likely prices that stand for the range
_STEPS = 60  # halvings of a quantile's bracket


@dataclass(frozen=True)
class PlanCost:
    """The cost of one run: `runs` is its time (one entry), `usd_per_hour` the equally likely prices of its machines."""

    costs: Costs
    runs: Completion
    cell: int
    usd_per_hour: tuple[float, ...]

    @property
    def spread(self) -> bool:
        """Whether the price itself is uncertain."""
        return len(self.usd_per_hour) > 1

    def usd(self, usd_per_hour: float, time_s: float) -> float:
        """What a run of `time_s` costs at one price."""
        return float(self.costs.usd(np.array([usd_per_hour]), np.array([time_s]), np.array([self.cell]))[0])

    def quantile(self, p: float) -> float:
        """USD that the run stays below with probability p."""
        time = float(self.runs.quantile(p)[0])
        low, high = self.usd(self.usd_per_hour[0], time), self.usd(self.usd_per_hour[-1], time)
        if not self.spread:
            return high
        # At its own quantile of time the cheapest price is not above the answer, nor the dearest below it.
        for _ in range(_STEPS):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if self.probability(middle) < p else (low, middle)
        return high

    def quantiles(self) -> Quantiles:
        """Its 10th, 50th and 90th percentile."""
        return Quantiles(*(self.quantile(p) for p in (0.1, 0.5, 0.9)))

    def probability(self, usd: float, time_s: float = np.inf) -> float:
        """P(cost <= usd and time <= time_s)."""
        ends = [min(self.costs.affordable_s(rate, usd, self.cell), time_s) for rate in self.usd_per_hour]
        return float(np.mean([float(self.runs.probability(end)[0]) if end > 0 else 0.0 for end in ends]))


def plan_cost(costs: Costs, runs: Completion, cell: int, offer: Offer, gpus: int) -> PlanCost:
    """The cost of a run on `gpus` accelerators of an offer."""
    prices = [offer.usd_per_gpu_hour]
    if offer.pricing == "spot" and offer.usd_per_gpu_hour_range is not None:
        low, high = offer.usd_per_gpu_hour_range
        if low < high:
            prices = list(low + (high - low) * (np.arange(_ZONES) + 0.5) / _ZONES)
    return PlanCost(costs, runs, cell, tuple(float(price) * gpus for price in prices))
