"""What interrupts runs, and what each interruption costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Hazard:
    """What interrupts a run and what each interruption costs; arrays of one shape (n,), seconds."""

    rate_per_s: FloatArray  # interruptions of the whole job
    recover_s: FloatArray  # from the interruption until training goes on from the last checkpoint, with a node at hand
    wait_share: FloatArray  # share of the interruptions that first wait for a node (spot), exponentially distributed
    wait_s: FloatArray  # mean of that wait
    checkpoint_s: FloatArray  # training stalls for this long at each checkpoint
    interval_s: FloatArray  # work between checkpoints; inf: none are written

    @property
    def restart_s(self) -> FloatArray:
        """Mean time from an interruption until training goes on."""
        return self.recover_s + self.wait_share * self.wait_s

    @property
    def restart_var_s2(self) -> FloatArray:
        """Variance of that time: a share of the interruptions wait an exponential time more."""
        return self.wait_share * 2.0 * self.wait_s**2 - (self.wait_share * self.wait_s) ** 2

    def take(self, index: IntArray | BoolArray) -> Hazard:
        """The entries that `index` selects."""
        return Hazard(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def join(parts: Sequence[Hazard]) -> Hazard:
        """Those of one part after those of another."""
        return Hazard(*(np.concatenate([np.zeros(0), *(getattr(p, f.name) for p in parts)]) for f in fields(Hazard)))
