"""How far off a prediction may be, and what it stands on: by model, hardware, stack, site and size, never by layout.

What is known of a setting follows from which runs are known that share something with it: its stack, its GPU, its
model, its site. ln(step) is Gaussian over these labels; measured runs narrow it, and what remains is the spread. The
standard deviation of each label is not set but read off the fit's own model at the measured runs (`label_spreads`), so
that intervals are as wide as that model says, without knowing a layout. Last, one factor makes 80 % intervals hold 80 %
of sites that were left out whole (`calibrate --rebuild`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.gpu_names import chip_of
from planner.performance.residual import (
    LABELS,
    LENGTHS,
    Place,
    Places,
    ResidualField,
    points_at,
    shared,
    shared_with,
    squares_apart,
)
from planner.performance.stacks import NEOX, place_of
from planner.spec.model import ModelSpec
from planner.workload.layers import attention_count, recurrent_count

#: Log spread of a step all of whose mixers are of kinds that no run here has: a factor of two either way holds 80 %.
#: It is set, not measured.
UNMEASURED = float(np.log(2.0)) / NormalDist().inv_cdf(0.9)
#: The same of a step that trains adapters alone, of which no run is known: a factor of one and a half of LoRA, of two
#: where weights are dequantised for every product. Set, not measured.
FACTORS = {"lora": 1.5, "qlora": 2.0}
NEAR_USER = 0.03  # log spread at a point that the user measured
#: What runs may have in common: labels of a place. "smooth" is what runs of a stack and kind share by how near they are
#: in size, sequence and GPUs; "all" is what any two runs share.
SHARED = (
    "all",
    "moe",
    "family format",
    "family format moe",
    "gpu",
    "stack",
    "stack moe",
    "stack family",
    "model",
    "model stack",
    "site",
    "site moe",
    "smooth",
)
UNSEEN = "unseen part"  # what a part adds of which no run is known, whatever its memory: data sheets are all there is
CELL = np.array([0.35, 0.35, 0.7])  # ln(parameters), ln(sequence), ln(GPUs): runs no further apart are one to a spread


@dataclass(frozen=True, slots=True)
class Spread:
    """A log-normal spread of step time about its prediction; `sigma` is of the logarithm, (n,)."""

    sigma: FloatArray

    def quantile(self, p: float) -> FloatArray:
        """Factor on the predicted step time that the true one stays below with probability p, (n,)."""
        return np.asarray(np.exp(self.sigma * NormalDist().inv_cdf(p)))


def spread(setting: Setting, gpus: IntArray, calibration: Calibration) -> Spread:
    """The spread of predictions of this setting at these sizes, (n,).

    Narrow where runs of the same site, model, GPU and stack are known at such sizes; as wide as stacks, parts or sites
    differ where none is. A point of the user's own narrows it nearby.
    """
    sizes, back = np.unique(np.atleast_1d(gpus), return_inverse=True)
    ln_gpus = np.log(sizes.astype(np.float64))
    sigma = known_runs_of(calibration).sigma(place_of(setting), ln_gpus)
    if share := unmeasured_share(setting.model):
        sigma = np.hypot(sigma, UNMEASURED * share)
    if setting.conditions.adapter is not None:
        sigma = np.hypot(sigma, float(np.log(FACTORS[setting.conditions.adapter.method])) / NormalDist().inv_cdf(0.9))
    own = [p for p in calibration.points if p.gpu == setting.accelerator.id]
    if own:
        apart = np.min([np.abs(ln_gpus - np.log(p.gpus)) if p.gpus else np.zeros(len(sizes)) for p in own], axis=0)
        sigma = np.minimum(sigma, np.hypot(NEAR_USER, 0.5 * sigma * (1.0 - np.exp(-apart))))
    return Spread(sigma[back].reshape(np.shape(gpus)))


def unmeasured_share(model: ModelSpec) -> float:
    """Of the layers that mix tokens, the share that do it as no measured run does: recurrent, or with an indexer."""
    attention, recurrent = attention_count(model), recurrent_count(model)
    return (recurrent + (attention if model.sparse else 0)) / max(1, attention + recurrent)


@dataclass(frozen=True)
class KnownRuns(Places):
    """Measured runs as a spread sees them: alike ones are one, which is the surer the more they are."""

    noise: FloatArray  # (n,), variance of each
    # Standard deviation by what is shared, "noise" and "noise moe" of one run, UNSEEN, "scale" of all.
    spreads: Mapping[str, float]

    @cached_property
    def chips(self) -> frozenset[str]:
        return frozenset(chip_of(p.gpu) for p in self.places)

    @cached_property
    def root(self) -> FloatArray:
        """Inverse of the lower Cholesky factor of the runs' covariance, (n, n)."""
        total = label_covariance(self.coordinates, self.coordinates, shared(self.places, self.places), self.spreads)
        lower = np.linalg.cholesky(total + np.diag(self.noise))
        from scipy.linalg import solve_triangular

        return np.asarray(solve_triangular(lower, np.eye(len(lower)), lower=True))

    def sigma(self, place: Place, ln_gpus: FloatArray) -> FloatArray:
        """Standard deviation of ln(step) of one run at this place, at each size, (k,)."""
        of_moe = place.kind == "moe"
        names = (name for name in SHARED if of_moe or "moe" not in name.split())
        variance = np.full(len(ln_gpus), sum(self.spreads[name] ** 2 for name in names))
        if self.places:
            same = shared_with(place, self.labels)
            explained = []
            for points in points_at(place, ln_gpus):
                with_known = label_covariance(points, self.coordinates, same, self.spreads)
                explained.append(((with_known @ self.root.T) ** 2).sum(axis=1))
            variance = variance - np.concatenate(explained)
        noise = self.spreads["noise moe" if of_moe else "noise"]
        unseen = 0.0 if chip_of(place.gpu) in self.chips else self.spreads.get(UNSEEN, 0.0)
        return np.asarray(self.spreads["scale"] * np.sqrt(np.maximum(variance, 0.0) + noise**2 + unseen**2))


_KNOWN: list[tuple[ResidualField, Mapping[str, float], KnownRuns]] = []  # the last few asked for
_KEPT = 4


def known_runs_of(calibration: Calibration) -> KnownRuns:
    """The runs that a calibration stands on."""
    for field, spreads, known in _KNOWN:
        if field is calibration.field and spreads is calibration.spreads:
            return known
    known = known_runs(calibration.field, calibration.spreads)
    _KNOWN.append((calibration.field, calibration.spreads, known))
    del _KNOWN[:-_KEPT]
    return known


def known_runs(field: ResidualField, spreads: Mapping[str, float]) -> KnownRuns:
    """A field's runs, those with equal labels and near each other as one at their middle."""
    cells: dict[tuple[object, ...], int] = {}
    nearby = map(tuple, np.round(field.coordinates / CELL).astype(int).tolist())
    keys = zip(*(field.labels[name].tolist() for name in LABELS), nearby, strict=True)
    cell = np.asarray([cells.setdefault(key, len(cells)) for key in keys], dtype=int)
    counts = np.bincount(cell, minlength=len(cells))
    middles = [np.bincount(cell, column, len(cells)) / counts for column in field.coordinates.T]
    firsts = np.unique(cell, return_index=True)[1]
    places = tuple(
        replace(field.places[first], coordinates=(size, sequence, gpus))
        for first, size, sequence, gpus in zip(firsts, *(m.tolist() for m in middles), strict=True)
    )
    return KnownRuns(places, 1.0 / np.bincount(cell, 1.0 / field.noise, len(cells)), spreads)


def label_covariance(
    a: FloatArray, b: FloatArray, same: Mapping[str, BoolArray], spreads: Mapping[str, float]
) -> FloatArray:
    """Covariance of ln(step) at coordinates a (n, 3) with that at b (m, 3), by what they share, (n, m)."""
    total = np.zeros((1, 1))
    for name, part in _parts(a, b, same):
        if spreads[name]:
            total = total + spreads[name] ** 2 * part
    return np.asarray(np.broadcast_to(total, (len(a), len(b))))


def _parts(a: FloatArray, b: FloatArray, same: Mapping[str, BoolArray]) -> Iterable[tuple[str, FloatArray]]:
    for name in SHARED[:-1]:
        part = np.ones((1, 1))
        for label in name.split() if name != "all" else ():
            part = part * same[label]
        yield name, part
    alike = same["stack"] & same["kind"] & same["gpu"]
    near = np.flatnonzero(alike.any(axis=0))
    smooth = np.zeros((len(a), len(b)))
    smooth[:, near] = alike[:, near] * np.exp(-0.5 * sum(squares_apart(a, b[near])))
    yield "smooth", smooth


def label_spreads(places: Sequence[Place], covariance: FloatArray) -> dict[str, float]:
    """The standard deviations by label that come nearest to this covariance of ln(step) at measured places, (n, n).

    Non-negative least squares over its entries. Pairs of one site weigh as much as pairs of two: there are fewer.
    """
    from scipy.optimize import nnls

    coordinates = np.array([p.coordinates for p in places])
    same = shared(places, places)
    together = same["site"]
    weight = np.where(together, 1.0 / together.sum(), 1.0 / max(1, (~together).sum()))
    columns = [np.broadcast_to(part, covariance.shape) for _, part in _parts(coordinates, coordinates, same)]
    normal = np.array([[float((weight * p * q).sum()) for q in columns] for p in columns])
    right = np.array([float((weight * p * covariance).sum()) for p in columns])
    ridge = 1e-9 * np.trace(normal) * np.eye(len(columns))
    root = np.linalg.cholesky(normal + ridge)
    found, _ = nnls(root.T, np.linalg.solve(root, right))
    return dict(zip(SHARED, map(float, np.sqrt(found)), strict=True))


def basis(setting: Setting, gpus: int, calibration: Calibration) -> tuple[str, list[str]]:
    """("user" | "measured" | "interpolated" | "modelled", ids of the measurements it stands on, nearest first)."""
    if any(p.gpu == setting.accelerator.id for p in calibration.points):
        return "user", [p.id for p in calibration.points if p.gpu == setting.accelerator.id]
    place = place_of(setting)
    alike = calibration.field.groups.get(place.group, [])
    if unmeasured_share(setting.model) or setting.conditions.adapter is not None:
        return "modelled", []
    if not alike:
        return "modelled", []
    here = np.array([place.coordinates[1], np.log(gpus)])
    apart = [float(np.hypot(*((np.array(p.coordinates[1:]) - here) / LENGTHS[1:]))) for p in alike]
    order = sorted(range(len(alike)), key=lambda i: (apart[i], alike[i].id))
    ids = [alike[i].id for i in order[:3]]
    exact = apart[order[0]] < 1e-4 and not (setting.framework in NEOX and alike[order[0]].site != place.site)
    return ("measured" if exact else "interpolated"), ids
