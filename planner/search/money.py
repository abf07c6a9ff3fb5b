"""What a run costs: machines by the time that is paid for, storage while it lasts, egress once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray
from planner.scenario import Egress, Storage, Terms

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Costs:
    """The scenario's terms of payment. No cost falls with time: the fastest run of a cell is its cheapest."""

    storage: Storage | None = None
    egress: Egress | None = None
    terms: Terms | None = None

    def usd(self, usd_per_hour: FloatArray, time_s: FloatArray) -> FloatArray:
        """USD of runs of `time_s` on machines of `usd_per_hour` altogether; any one shape."""
        paid = time_s
        if self.terms is not None:
            paid = np.maximum(paid, self.terms.minimum_time_s or 0.0)
            if self.terms.billing_step_s is not None:
                paid = np.ceil(paid / self.terms.billing_step_s) * self.terms.billing_step_s
        total = usd_per_hour * (paid / HOUR_S)
        if self.storage is not None:
            total = total + self.storage.usd(1.0) * time_s
        if self.egress is not None:
            total = total + self.egress.usd
        return np.asarray(total, dtype=np.float64)

    def affordable_s(self, usd_per_hour: float, usd: float) -> float:
        """The longest run that costs at most `usd`, seconds; 0 where none does."""

        def costs(time_s: float) -> float:
            return float(self.usd(np.array([usd_per_hour]), np.array([time_s]))[0])

        longest = float(self.longest_s(np.array([usd_per_hour]), usd)[0])
        if longest > 0 and self.terms is not None and self.terms.billing_step_s and costs(longest) > usd:
            longest = longest // self.terms.billing_step_s * self.terms.billing_step_s
        return longest if longest > 0 and costs(longest) <= usd * (1 + 1e-12) else 0.0

    def longest_s(self, usd_per_hour: FloatArray, usd: FloatArray | float) -> FloatArray:
        """The longest run that costs at most `usd`, or a little more (never less): what a bound may be held against."""
        money = np.asarray(usd - (self.egress.usd if self.egress is not None else 0.0), dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Billing rounds up: a run never costs less than its own time, storage included.
            rate = usd_per_hour / HOUR_S + (self.storage.usd(1.0) if self.storage is not None else 0.0)
            longest = np.where(money >= 0, money / rate, -1.0)
        return np.where(np.isnan(longest), np.inf, longest)
