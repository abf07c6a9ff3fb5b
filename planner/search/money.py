"""What a run costs: machines by the time that is paid for, storage while it lasts, egress once."""

from __future__ import annotations

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
    then: float = (
        0.0  # beyond the least (and without steps), time is paid as used at so many times the price; 0: as within it
    )

    def paid_s(self, time_s: FloatArray) -> FloatArray:
        """The time that is paid for runs of `time_s`, of its shape: seconds at the price of the term."""
        if self.then:
            return np.asarray(self.minimum_s + self.then * np.maximum(time_s - self.minimum_s, 0.0))
        paid = np.maximum(time_s, self.minimum_s) if self.minimum_s else time_s
        for size in (self.step_s, self.block_s):
            if size:
                paid = np.maximum(np.ceil(paid / size - _NOISE), 1.0) * size
        return paid

    def affordable_s(self, rate: FloatArray, beside: FloatArray | float, usd: FloatArray) -> FloatArray:
        """The longest runs that cost at most `usd`, seconds, (n,); 0 where none does.

        Parameters
        ----------
        rate, beside : USD a second of the time that is paid, and of the time that the run takes (storage)

        Within the time that is paid alike, a run may go on as long as storage can be paid for.
        """
        room = usd * (1.0 + 2.0 * _NOISE)
        if self.then:
            return self._affordable_beyond_s(rate, beside, room)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if not (self.step_s or self.block_s):
                short = np.where(room >= rate * self.minimum_s, (room - rate * self.minimum_s) / beside, 0.0)
                longest = np.where(np.isnan(short), np.inf, np.minimum(short, self.minimum_s))
                used = usd / (rate + beside)
                return np.asarray(np.where(used >= self.minimum_s, used, longest if self.minimum_s else 0.0))
            unit = max(self.step_s, self.block_s)
            first = self._pieces_to(self.minimum_s)
            reached = (usd + beside * unit) / ((rate + beside) * unit)
            guess = np.floor(np.where(np.isfinite(reached), reached, 1e15) + _NOISE)
            longest = np.zeros(np.shape(rate))
            for offset in (-2.0, -1.0, 0.0, 1.0):
                piece = np.maximum(guess + offset, first)
                end = self._end_of(piece)
                begin = np.where(piece > first, self._end_of(piece - 1.0), 0.0)
                left = room - rate * self.paid_s(end)
                stored = np.where(left >= 0, left / beside, -1.0)
                stored = np.where(np.isnan(stored), np.inf, stored)  # neither storage nor money left: the whole piece
                longest = np.maximum(longest, np.where(stored > begin, np.minimum(end, stored), 0.0))
        return np.asarray(longest)

    def _affordable_beyond_s(self, rate: FloatArray, beside: FloatArray | float, room: FloatArray) -> FloatArray:
        """`affordable_s` where time beyond the term is paid as used."""
        first = self.minimum_s
        left = room - rate * first
        with np.errstate(divide="ignore", invalid="ignore"):
            within = np.where(left >= 0, left / beside, 0.0)
        within = np.where(np.isnan(within), np.inf, within)  # neither storage nor money left: the whole term
        longer = first + (left - beside * first) / (rate * self.then + beside)
        return np.asarray(np.where(within >= first, longer, within))

    def _end_of(self, piece: FloatArray) -> FloatArray:
        """The longest run within so many pieces of time that are paid alike: steps or blocks, whichever is longer."""
        if self.step_s and self.block_s > self.step_s:
            return np.asarray(np.floor(piece * self.block_s / self.step_s + _NOISE) * self.step_s)
        return np.asarray(piece * max(self.step_s, self.block_s))

    def _pieces_to(self, time_s: float) -> float:
        """The first piece, from 1, that a run of `time_s` ends in or before."""
        piece = max(np.ceil(time_s / max(self.step_s, self.block_s) - _NOISE), 1.0)
        return float(piece if self._end_of(np.array(piece)) >= time_s * (1.0 - _NOISE) else piece + 1.0)


def paid_time(terms: Terms | None, offer: Mapping[str, float]) -> PaidTime:
    """An offer's terms (its `extras`), and the scenario's where it states none."""
    least = (terms and terms.minimum_time_s) or 0.0
    step = (terms and terms.billing_step_s) or 0.0
    paid = PaidTime(
        max(least, offer.get("minimum_time_s", 0.0)), offer.get("billing_step_s", step), offer.get("block_s", 0.0)
    )
    # Where time beyond it is paid otherwise, the term alone comes in whole steps and increments.
    return PaidTime(float(paid.paid_s(np.array(0.0))), then=offer["then"]) if "then" in offer else paid


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
        return np.asarray(total + self.beside(time_s), dtype=np.float64)

    def paid_s(self, time_s: FloatArray, cells: IntArray) -> FloatArray:
        """The time that is paid for runs of `time_s`, (n,) or (n, m), on these cells."""
        paid = time_s
        for i, kind in enumerate(self.kinds):
            if kind != PaidTime():
                at = (self.kind[cells] == i).reshape(-1, *[1] * (time_s.ndim - 1))
                paid = np.where(at, kind.paid_s(time_s), paid)
        return paid

    def beside(self, time_s: FloatArray) -> FloatArray:
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
                money >= 0, money / (usd_per_hour / HOUR_S + self.storage_usd_per_s) * (1.0 + _NOISE), -1.0
            )
        return np.where(np.isnan(longest), np.inf, longest)
