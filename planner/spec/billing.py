"""Billed time: what of a run's time is paid for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.spec.arrays import FloatArray

NOISE = 1e-9  # of a step: a run of exactly n billing steps, up to rounding, is n steps


@dataclass(frozen=True, slots=True)
class PaidTime:
    """What time is paid for on one kind of offer, seconds; 0: paid as used."""

    minimum_s: float = 0.0
    step_s: float = 0.0  # time counts in whole steps
    block_s: float = 0.0  # a reserved block is paid whole, and so is the next that a run reaches into
    then: float = 0.0  # beyond the least, without steps, it is paid as used at so many times the price; 0: as within it

    def paid_s(self, time_s: FloatArray | float) -> FloatArray:
        """The time that is paid for runs of `time_s`, of its shape: seconds at the price of the term.

        A run of a whole number of steps, up to rounding, is that many.
        """
        if self.then:
            return np.asarray(self.minimum_s + self.then * np.maximum(time_s - self.minimum_s, 0.0))
        paid = np.maximum(time_s, self.minimum_s)
        for size in (self.step_s, self.block_s):
            if size:
                paid = np.maximum(np.ceil(paid / size - NOISE), 1.0) * size
        return np.asarray(paid)

    def affordable_s(self, rate: FloatArray, storage: FloatArray | float, usd: FloatArray) -> FloatArray:
        """The longest runs that cost at most `usd`, seconds, (n,); 0 where none does.

        Parameters
        ----------
        rate, storage : USD a second of the time that is paid, and of the time that the run takes

        Within the time that is paid alike, a run may go on as long as storage can be paid for.
        """
        room = usd * (1.0 + 2.0 * NOISE)
        if self.then:  # time beyond the term is paid as used
            left = room - rate * self.minimum_s
            with np.errstate(divide="ignore", invalid="ignore"):
                within = np.where(left >= 0, left / storage, 0.0)
            within = np.where(np.isnan(within), np.inf, within)  # neither storage nor money left: the whole term
            longer = self.minimum_s + (left - storage * self.minimum_s) / (rate * self.then + storage)
            return np.asarray(np.where(within >= self.minimum_s, longer, within))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            if not (self.step_s or self.block_s):
                short = np.where(room >= rate * self.minimum_s, (room - rate * self.minimum_s) / storage, 0.0)
                longest = np.where(np.isnan(short), np.inf, np.minimum(short, self.minimum_s))
                used = usd / (rate + storage)
                return np.asarray(np.where(used >= self.minimum_s, used, longest if self.minimum_s else 0.0))
            unit = max(self.step_s, self.block_s)
            first = self._pieces_to(self.minimum_s)
            reached = (usd + storage * unit) / ((rate + storage) * unit)
            guess = np.floor(np.where(np.isfinite(reached), reached, 1e15) + NOISE)
            longest = np.zeros(np.shape(rate))
            for offset in (-2.0, -1.0, 0.0, 1.0):
                piece = np.maximum(guess + offset, first)
                end = self._end_of(piece)
                begin = np.where(piece > first, self._end_of(piece - 1.0), 0.0)
                left = room - rate * self.paid_s(end)
                stored = np.where(left >= 0, left / storage, -1.0)
                stored = np.where(np.isnan(stored), np.inf, stored)  # neither storage nor money left: the whole piece
                longest = np.maximum(longest, np.where(stored > begin, np.minimum(end, stored), 0.0))
        return np.asarray(longest)

    def _end_of(self, piece: FloatArray) -> FloatArray:
        """The longest run within so many pieces of time that are paid alike: steps or blocks, whichever is longer."""
        if self.step_s and self.block_s > self.step_s:
            return np.asarray(np.floor(piece * self.block_s / self.step_s + NOISE) * self.step_s)
        return np.asarray(piece * max(self.step_s, self.block_s))

    def _pieces_to(self, time_s: float) -> float:
        """The first piece, from 1, that a run of `time_s` ends in or before."""
        piece = max(np.ceil(time_s / max(self.step_s, self.block_s) - NOISE), 1.0)
        return float(piece if self._end_of(np.array(piece)) >= time_s * (1.0 - NOISE) else piece + 1.0)
