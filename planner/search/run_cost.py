"""What a run costs: machines by the time that is paid for, storage while it lasts, egress once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.spec.billing import NOISE, PaidTime
from planner.spec.hardware import OfferTerms
from planner.spec.scenario import Egress, Storage, Terms

HOUR_S = 3600.0


def paid_time(terms: Terms | None, offer: OfferTerms) -> PaidTime:
    """An offer's terms, and the scenario's where it states none."""
    least = (terms and terms.minimum_time_s) or 0.0
    step = offer.billing_step_s if offer.billing_step_s is not None else (terms and terms.billing_step_s) or 0.0
    paid = PaidTime(max(least, offer.term_s), step, offer.increment_s)
    # Where time beyond it is paid otherwise, the term alone comes in whole steps and increments.
    return PaidTime(float(paid.paid_s(np.array(0.0))), then=offer.then) if offer.then else paid


@dataclass(frozen=True, slots=True)
class Costs:
    """Prices beside the machines', and what time is paid for. No cost falls with time, so the fastest run is cheapest.

    `kinds` are the ways of paying that occur, `kind` is which one each cell has, (cells,).
    """

    storage: Storage | None
    egress: Egress | None
    kinds: tuple[PaidTime, ...]
    kind: IntArray

    def usd(self, usd_per_hour: FloatArray, time_s: FloatArray, cells: IntArray) -> FloatArray:
        """USD of runs of `time_s` on machines of `usd_per_hour` altogether on these cells; all of one shape."""
        total = usd_per_hour * (self.paid_s(time_s, cells) / HOUR_S)
        return np.asarray(total + self.other_usd(time_s), dtype=np.float64)

    def paid_s(self, time_s: FloatArray, cells: IntArray) -> FloatArray:
        """The time that is paid for runs of `time_s`, (n,) or (n, m), on these cells."""
        paid = time_s
        for i, kind in enumerate(self.kinds):
            if kind != PaidTime():
                at = (self.kind[cells] == i).reshape(-1, *[1] * (time_s.ndim - 1))
                paid = np.where(at, kind.paid_s(time_s), paid)
        return paid

    def other_usd(self, time_s: FloatArray) -> FloatArray:
        """USD beside the machines': storage while a run of `time_s` lasts, and egress."""
        stored = self.storage_usd_per_s * time_s if self.storage_usd_per_s else np.zeros_like(time_s)
        return np.asarray(stored + self.egress_usd)  # a run that never ends stores nothing where nothing is stored

    @property
    def storage_usd_per_s(self) -> float:
        """What is stored costs so much a second of the run."""
        return self.storage.usd(1.0) if self.storage is not None else 0.0

    @property
    def egress_usd(self) -> float:
        """What leaves the cloud costs so much, once."""
        return self.egress.usd if self.egress is not None else 0.0

    def affordable_s(self, usd_per_hour: FloatArray, usd: FloatArray, cells: IntArray) -> FloatArray:
        """The longest runs on these cells that cost at most `usd`, seconds; 0 where none does; all of one shape, (n,).

        The answer costs at most 2e-9 more than `usd`, so that a run of exactly n billing steps is within their price.
        """
        out = np.zeros(len(cells))
        money = np.asarray(usd, dtype=np.float64) - self.egress_usd
        for i, kind in enumerate(self.kinds):
            at = np.flatnonzero((self.kind[cells] == i) & (money >= 0))
            if at.size:
                out[at] = kind.affordable_s(usd_per_hour[at] / HOUR_S, self.storage_usd_per_s, money[at])
        return out

    def longest_s(self, usd_per_hour: FloatArray, usd: FloatArray | float) -> FloatArray:
        """The longest run that costs at most `usd`, or a little more (never less): what a bound may be held against."""
        money = np.asarray(usd - self.egress_usd, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Billing rounds up, and nothing beyond a term is cheaper: a run never costs less than its own time.
            longest = np.where(
                money >= 0, money / (usd_per_hour / HOUR_S + self.storage_usd_per_s) * (1.0 + NOISE), -1.0
            )
        return np.where(np.isnan(longest), np.inf, longest)
