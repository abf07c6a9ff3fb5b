"""How far off a prediction may be, and what it stands on: by model, hardware, stack and size, never by layout."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from planner.catalog.types import Accelerator
from planner.performance.arrays import FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.residual import LENGTHS, Place
from planner.performance.spreads import unseen_spread
from planner.performance.stacks import FAMILIES, MEASURED_RELEASES, NEOX, place_of, release_year

NEAR_USER = 0.03  # log spread at a point that the user measured
# Log spreads that add (in squares) where something was never measured. The stack's is what is left when not even the
# kernels are known: errors of whole sources left out were about twice that before the priors knew theirs.
BORROWED_STACK = 0.10  # a framework that borrows another's measurements
STRANGE_STACK = 0.12
STRANGE_PAIRING = 0.10  # stack, part, format and kind never met in one run: about what leaving out a source adds
STRANGE_SIZE = 0.02  # a correlation length beyond all runs of the stack; group spreads know some of it already
# From one Megatron-Bridge release to the next, 80 % of 27 dense configurations moved by less than 0.05 (log); 80 % of
# 46 MoE ones, too, but the others moved up to 0.8 (rms of all 0.17).
NEWER_RELEASE = {"dense": 0.04, "moe": 0.10}
RELEASES_A_YEAR = 8.0
STRANGE_LINK = 0.15  # GPUs that meet over PCIe: no run of them was published
# Its family was measured; or it is another generation of the maker whose others were, its matmuls timed by somebody:
# Megatron-Bridge's rows on Blackwell lie no further than that from fits to Ampere and Hopper alone.
STRANGE_GPU = 0.04
MEASURED_MAKER = "nvidia"
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
    such groups left out, or for a model that the stack never ran that of models left out; for a software stack never
    measured that of whole sources left out. A point of the user's own narrows it nearby. What lies beyond all runs of
    the stack, is newer, or was never met together, widens it.
    """
    sizes, back = np.unique(np.atleast_1d(gpus), return_inverse=True)
    ln_gpus = np.log(sizes.astype(np.float64))
    place = place_of(setting)
    known = calibration.spreads
    unseen = unseen_spread(known, place.stack, place.kind)
    if place.stack not in calibration.stacks:
        sigma = np.full(len(sizes), unseen)
    else:
        label = f"{place.stack}/{place.kind}"
        far = known["group"].get(label, unseen)
        if all((p.stack, p.kind, p.model) != (place.stack, place.kind, place.model) for p in calibration.field.places):
            far = known["model"].get(label, far)
        close = min(far, known["configuration"].get(label, far))
        away = _distance(place.group, place.coordinates[1], ln_gpus, calibration)
        sigma = np.sqrt(close**2 + (far**2 - close**2) * (1.0 - np.exp(-0.5 * away**2)))
        beyond = STRANGE_SIZE * _beyond(place, ln_gpus, calibration)
        sigma = np.hypot(sigma, np.minimum(beyond, unseen))
        if _borrowed(setting, calibration):
            sigma = np.hypot(sigma, BORROWED_STACK)
    sigma = np.hypot(sigma, _strangeness(setting, place, calibration))
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
    exact = apart[order[0]] < 1e-4 and not _borrowed(setting, calibration)
    return ("measured" if exact else "interpolated"), ids


def _borrowed(setting: Setting, calibration: Calibration) -> bool:
    """Whether a GPT-NeoX setting stands on a sibling's runs alone."""
    shipped = len(calibration.left_out.get("group", ()))  # a user's runs come behind them
    own = calibration.field.places[shipped:]
    return setting.framework in NEOX and place_of(setting).group not in {p.group for p in own}


def _beyond(place: Place, ln_gpus: FloatArray, calibration: Calibration) -> FloatArray:
    """Correlation lengths from what the stack and kind ran at, in size, sequence and GPUs, (n,)."""
    runs = np.array(
        [p.coordinates for p in calibration.field.places if (p.stack, p.kind) == (place.stack, place.kind)]
    ).reshape(-1, 3)
    if not len(runs):
        return np.zeros(len(ln_gpus))
    here = np.column_stack([np.broadcast_to(place.coordinates[:2], (len(ln_gpus), 2)), ln_gpus])
    outside = np.maximum(here - runs.max(axis=0), 0.0) + np.maximum(runs.min(axis=0) - here, 0.0)
    return np.asarray(np.sqrt(((outside / LENGTHS) ** 2).sum(axis=1)))


def _strangeness(setting: Setting, place: Place, calibration: Calibration) -> float:
    """The log spread that comes with a stack, release, GPU or family that no measurement speaks for."""
    part, stack = setting.accelerator, place.stack
    total = 0.0 if stack in MEASURED_RELEASES or stack in calibration.stacks else STRANGE_STACK
    total = float(np.hypot(total, _strangeness_of(part, calibration)))
    if part.form_factor.startswith("PCIe"):
        total = float(np.hypot(total, STRANGE_LINK))
    total = float(np.hypot(total, NEWER_RELEASE[place.kind] * np.sqrt(RELEASES_A_YEAR * _years_ahead(setting))))
    if stack in calibration.stacks and _pairing(place) not in map(_pairing, calibration.field.places):
        total = float(np.hypot(total, STRANGE_PAIRING))
    return total


def _strangeness_of(part: Accelerator, calibration: Calibration) -> float:
    """The log spread that a part adds by how near to it anything was measured."""
    if f"matmul[gpu={part.id}]" in calibration.values:
        return 0.0
    seen = any(name.startswith(f"matmul[family={part.family},") for name in calibration.values)
    sibling = part.vendor == MEASURED_MAKER and part.family in calibration.shares
    return STRANGE_GPU if seen or sibling else STRANGE_FAMILY


def _years_ahead(setting: Setting) -> float:
    """By which a dated release is newer than the newest one that was measured of its stack."""
    newest, _ = MEASURED_RELEASES.get(FAMILIES.get(setting.framework, setting.framework), ("", None))
    stated, known = release_year(setting.release), release_year(newest)
    return max(stated - known, 0.0) if stated and known else 0.0


def _pairing(place: Place) -> tuple[str, str, str, str]:
    """What must have been measured together for a stack to be known; an accelerator's sizes of memory are one part."""
    return place.stack, place.kind, place.format, place.gpu.rsplit("-", 1)[0]


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
