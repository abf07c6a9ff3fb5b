"""How far predictions of several settings are wrong together: what they share is one error, drawn once.

The covariance is that of the intervals' own model (`intervals`): effects of the site, the stack, the GPU, the model
and of neighbours in size, as the measured runs leave them; what is of one run alone is noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.gpu_names import chip_of
from planner.performance.intervals import UNSEEN, known_runs_of, label_covariance, unmeasured_share
from planner.performance.residual import shared, shared_with
from planner.performance.stacks import place_of


@dataclass(frozen=True, slots=True)
class Together:
    """Errors of n settings in standard deviations: `root` @ normal draws are shared, `alone` is each run's own part.

    root : (n, n), lower Cholesky factor of the covariance of the shared parts
    alone : (n,), standard deviation of what is drawn for every run by itself; its square and the root's row make 1
    """

    root: FloatArray
    alone: FloatArray

    def correlation(self) -> FloatArray:
        """Of two runs, one of each setting, (n, n); on the diagonal two runs of one setting."""
        return np.asarray(self.root @ self.root.T)


def together(settings: Sequence[Setting], gpus: Sequence[int], calibration: Calibration) -> Together:
    """What the errors of these settings' predictions have in common, at these GPU counts."""
    n, known = len(settings), known_runs_of(calibration)
    places = [place_of(setting, count) for setting, count in zip(settings, gpus, strict=True)]
    points = np.array([place.coordinates for place in places]).reshape(n, 3)
    total = label_covariance(points, points, shared(places, places), known.spreads)
    if known.places:
        rows = [
            label_covariance(points[[i]], known.coordinates, shared_with(place, known.labels), known.spreads)
            for i, place in enumerate(places)
        ]
        explained = np.concatenate(rows) @ known.root.T
        total = total - explained @ explained.T
    chips = [chip_of(place.gpu) for place in places]
    unseen = known.spreads.get(UNSEEN, 0.0)
    unmeasured = np.array([unmeasured_share(setting.model) for setting in settings])
    for i in range(n):
        for j in range(n):
            total[i, j] += unseen**2 if chips[i] == chips[j] and chips[i] not in known.chips else 0.0
            total[i, j] += min(unmeasured[i], unmeasured[j]) ** 2
    noise = np.array([known.spreads["noise moe" if place.kind == "moe" else "noise"] ** 2 for place in places])
    diagonal = np.maximum(np.diag(total), 0.0)
    whole = np.sqrt(np.maximum(diagonal + noise, 1e-18))
    covariance = total / np.outer(whole, whole)  # rounding may have made it a little less than positive
    values, vectors = np.linalg.eigh((covariance + covariance.T) / 2.0)
    return Together(vectors * np.sqrt(np.maximum(values, 0.0)), np.sqrt(noise) / whole)
