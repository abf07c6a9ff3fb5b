"""What a run costs: machines by the time that is paid for, storage while it lasts, egress once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.scenario import Egress, Storage, Terms

HOUR_S = 3600.0
_NOISE = 1e-9  # of a step: a run of exactly n billing steps, up to rounding, is n steps


@dataclass(frozen=True, slots=True)
class PaidTime:
    """What time is paid for on one kind of offer, seconds; 0: paid as used."""

    minimum_s: float = 0.0
    step_s: float = 0.0  # time counts in whole steps
    block_s: float = 0.0  # a reserved block is paid whole, and so is the next that a run reaches into

    def paid_s(self, time_s: FloatArray) -> FloatArray:
        """The time that is paid for runs of `time_s`, of its shape."""
        paid = np.maximum(time_s, self.minimum_s) if self.minimum_s else time_s
        for size in (self.step_s, self.block_s):
            if size:
                paid = np.maximum(np.ceil(paid / size - _NOISE), 1.0) * size
        return paid

    def longest_s(self, paid_s: float) -> float:
        """The longest run for which at most `paid_s` is paid; 0 where any run is paid more."""
        longest = paid_s
        for size in (self.block_s, self.step_s):
            if size:
                longest = math.floor(longest / size + _NOISE) * size
        return longest if longest >= self.minimum_s else 0.0


def paid_time(terms: Terms | None, offer: Mapping[str, float]) -> PaidTime:
    """An offer's terms (its `extras`), and the scenario's where it states none."""
    least = (terms and terms.minimum_time_s) or 0.0
    step = (terms and terms.billing_step_s) or 0.0
    return PaidTime(
        max(least, offer.get("minimum_time_s", 0.0)), offer.get("billing_step_s", step), offer.get("block_s", 0.0)
    )


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
        paid = time_s
        for i, kind in enumerate(self.kinds):
            if kind != PaidTime():
                paid = np.where(self.kind[cells] == i, kind.paid_s(time_s), paid)
        total = usd_per_hour * (paid / HOUR_S)
        if self.storage is not None:
            total = total + self.storage.usd(1.0) * time_s
        if self.egress is not None:
            total = total + self.egress.usd
        return np.asarray(total, dtype=np.float64)

    def affordable_s(self, usd_per_hour: float, usd: float, cell: int) -> float:
        """The longest run on a cell that costs at most `usd`, seconds; 0 where none does."""
        cells, rate = np.array([cell]), np.array([usd_per_hour])
        most = usd * (1.0 + 2.0 * _NOISE)

        def within(time_s: float) -> bool:
            return float(self.usd(rate, np.array([time_s]), cells)[0]) <= most

        longest = float(self.longest_s(rate, usd)[0])
        if longest > 0 and not within(longest):
            longest = self.kinds[int(self.kind[cell])].longest_s(longest)
        return longest if longest > 0 and within(longest) else 0.0

    def longest_s(self, usd_per_hour: FloatArray, usd: FloatArray | float) -> FloatArray:
        """The longest run that costs at most `usd`, or a little more (never less): what a bound may be held against."""
        money = np.asarray(usd - (self.egress.usd if self.egress is not None else 0.0), dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            # Billing rounds up: a run never costs less than its own time, storage included.
            rate = usd_per_hour / HOUR_S + (self.storage.usd(1.0) if self.storage is not None else 0.0)
            longest = np.where(money >= 0, money / rate * (1.0 + _NOISE), -1.0)
        return np.where(np.isnan(longest), np.inf, longest)
