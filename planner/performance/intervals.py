"""How far off a prediction may be, and what it stands on: by model, hardware, stack and size, never by layout."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from planner.performance.arrays import FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.residual import LENGTHS, Place
from planner.performance.stacks import MEASURED_RELEASES, NEOX, place_of

NEAR_USER = 0.03  # log spread at a point that the user measured
# Log spreads that add (in squares) where something was never measured. The stack's is what is left when not even the
# kernels are known: errors of whole sources left out were about twice that before the priors knew theirs.
BORROWED_STACK = 0.10  # a framework that borrows another's measurements
STRANGE_STACK = 0.12
STRANGE_PAIRING = (
    0.10  # stack, chip, format and kind of model never met in one run: about what leaving out a source adds
)
STRANGE_GPU = 0.06  # its family was measured
STRANGE_FAMILY = 0.25


@dataclass(frozen=True, slots=True)
class Spread:
    """A log-normal spread of step time about its prediction; `sigma` is of the logarithm, (n,)."""

    sigma: FloatArray

    def quantile(self, p: float) -> FloatArray:
        """Factor on the predicted step time that the true one stays below with probability p, (n,)."""
        return np.asarray(np.exp(self.sigma * NormalDist().inv_cdf(p)))


def spread(setting: Setting, gpus: IntArray, calibration: Calibration) -> Spread:
    """The spread of predictions of this setting at these sizes, (n,).

    Near runs of the same model, GPU and format it is that of configurations left out of the fit; far from them that of
    such groups left out; for a software stack never measured that of whole sources left out. A point of the user's own
    narrows it nearby.
    """
    sizes, back = np.unique(np.atleast_1d(gpus), return_inverse=True)
    ln_gpus = np.log(sizes.astype(np.float64))
    place = place_of(setting)
    known = calibration.spreads
    if place.stack not in calibration.stacks:
        sigma = np.full(len(sizes), known["stack"][place.kind])
    else:
        label = f"{place.stack}/{place.kind}"
        far = known["group"].get(label, known["stack"][place.kind])
        close = min(far, known["configuration"].get(label, far))
        if setting.framework in NEOX:
            far = float(np.hypot(far, BORROWED_STACK))
        away = _distance(place.group, place.coordinates[1], ln_gpus, calibration)
        sigma = np.sqrt(close**2 + (far**2 - close**2) * (1.0 - np.exp(-0.5 * away**2)))
    sigma = np.hypot(sigma, _strangeness(setting, place.stack, calibration))
    own = [p for p in calibration.points if p.gpu == setting.accelerator.id]
    if own:
        apart = np.min([np.abs(ln_gpus - np.log(p.gpus)) if p.gpus else np.zeros(len(sizes)) for p in own], axis=0)
        sigma = np.minimum(sigma, np.hypot(NEAR_USER, 0.5 * sigma * (1.0 - np.exp(-apart))))
    return Spread(sigma[back].reshape(np.shape(gpus)))


def basis(setting: Setting, gpus: int, calibration: Calibration) -> tuple[str, list[str]]:
    """("user" | "measured" | "interpolated" | "modelled", ids of the measurements it stands on, nearest first)."""
    if any(p.gpu == setting.accelerator.id for p in calibration.points):
        return "user", [p.id for p in calibration.points if p.gpu == setting.accelerator.id]
    place = place_of(setting)
    alike = [p for p in calibration.field.places if p.group == place.group]
    if not alike:
        return "modelled", []
    here = np.array([place.coordinates[1], np.log(gpus)])
    apart = [float(np.hypot(*((np.array(p.coordinates[1:]) - here) / LENGTHS[1:]))) for p in alike]
    order = sorted(range(len(alike)), key=lambda i: (apart[i], alike[i].id))
    ids = [alike[i].id for i in order[:3]]
    return ("measured" if apart[order[0]] < 1e-4 else "interpolated"), ids


def _strangeness(setting: Setting, stack: str, calibration: Calibration) -> float:
    """The log spread that comes with a stack, GPU or family that no measurement speaks for."""
    part = setting.accelerator
    total = 0.0 if stack in MEASURED_RELEASES or stack in calibration.stacks else STRANGE_STACK
    if f"matmul[gpu={part.id}]" not in calibration.values:
        seen = any(name.startswith(f"matmul[family={part.family},") for name in calibration.values)
        total = float(np.hypot(total, STRANGE_GPU if seen else STRANGE_FAMILY))
    if stack in calibration.stacks and _pairing(place_of(setting)) not in map(_pairing, calibration.field.places):
        total = float(np.hypot(total, STRANGE_PAIRING))
    return total


def _pairing(place: Place) -> tuple[str, str, str, str]:
    """What must have been measured together for a stack to be known; an accelerator's sizes of memory are one chip."""
    return place.stack, place.kind, place.format, place.gpu.split("-")[0]


def _distance(
    group: tuple[str, str, str, str], ln_sequence: float, ln_gpus: FloatArray, calibration: Calibration
) -> FloatArray:
    """Distance to the nearest run of the group, in correlation lengths of sequence and scale, (n,); inf without one."""
    runs = np.array([p.coordinates[1:] for p in calibration.field.places if p.group == group]).reshape(-1, 2)
    if not len(runs):
        return np.full(len(ln_gpus), np.inf)
    sequence = (runs[:, 0] - ln_sequence) / LENGTHS[1]
    scale = (runs[:, 1][:, None] - ln_gpus) / LENGTHS[2]
    return np.asarray(np.sqrt(sequence[:, None] ** 2 + scale**2).min(axis=0))
