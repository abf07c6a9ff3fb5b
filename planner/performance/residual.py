"""What runs have in common that the physics misses: a smooth field that predicts, and effects of a site that do not.

The field is a Gaussian process over the logarithms of (model size, sequence, GPUs), with parts that are shared by a
stack's runs on one GPU, and by those of one model among them. What a site's runs share
beyond that (its nodes, its network, the hands that tuned it) says nothing of another site's: it makes intervals as wide
as sites differ, and turns runs of one's own into knowledge. Neither sees a layout: a search over millions of layouts
would pick whichever was luckiest.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.performance.arrays import BoolArray, FloatArray

LENGTHS = np.array([1.5, 0.7, 1.0])  # in ln(parameters), ln(sequence), ln(GPUs)
SIZES_TOGETHER = 4096  # rows of a covariance with all measured runs that are held at once
# Slopes of a site count from a model of ten billion parameters, four thousand tokens and 64 GPUs, in such units.
CENTRE, UNIT = np.array([23.0, 8.3, 4.2]), np.array([1.8, 1.1, 2.0])


@dataclass(frozen=True, slots=True)
class Levels:
    """Standard deviations of ln(step time) by what is shared, and of a run's own noise."""

    stack_gpu: float
    model_gpu: float
    site: float
    site_moe: float  # more where experts are involved: what tuning is worth there differs by a factor of two
    site_slope: float
    noise: float  # of one run about its like
    tails: float  # degrees of freedom of the noise's Student t: few runs lie far off, for reasons that no column states
    rows_a_source: float  # more rows of a source, dense or MoE, count as so many
    low_trust: float  # times the noise's variance, for rows marked so


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run stands among others. `coordinates`: ln(active parameters), ln(sequence), ln(GPUs)."""

    id: str
    stack: str  # software stack
    kind: str  # dense | moe
    model: str
    gpu: str
    format: str  # of the matmuls: 16 | fp8 | mxfp8 | fp4
    coordinates: tuple[float, float, float]
    site: str = ""
    family: str = ""  # of the GPU

    @property
    def group(self) -> tuple[str, str, str, str]:
        return (self.stack, self.model, self.gpu, self.format)


LABELS = ("stack", "kind", "model", "gpu", "format", "site", "family")


@dataclass(frozen=True)
class Places:
    """Measured places, their labels and coordinates as columns."""

    places: tuple[Place, ...]

    @cached_property
    def labels(self) -> Mapping[str, NDArray[np.str_]]:
        return {name: np.array([getattr(p, name) for p in self.places], dtype=np.str_) for name in LABELS}

    @cached_property
    def coordinates(self) -> FloatArray:
        return np.array([p.coordinates for p in self.places]).reshape(len(self.places), 3)


@dataclass(frozen=True)
class ResidualField(Places):
    """Measured places and the weights by which each pulls on its neighbours' predictions."""

    weights: FloatArray  # (n,)
    noise: FloatArray  # (n,), variance of each run's own noise as the fit took it
    levels: Levels

    @cached_property
    def groups(self) -> Mapping[tuple[str, str, str, str], list[Place]]:
        """The places of each group, in their order."""
        out: dict[tuple[str, str, str, str], list[Place]] = {}
        for place in self.places:
            out.setdefault(place.group, []).append(place)
        return out

    def log_ratio(self, place: Place, ln_gpus: FloatArray) -> FloatArray:
        """Mean of ln(measured / physics) at this place for each size, (k,); 0 far from every measurement."""
        if not self.places:
            return np.zeros(len(ln_gpus))
        labels = self.labels
        near = ((labels["stack"] == place.stack) & (labels["kind"] == place.kind)) | (labels["site"] == place.site)
        if not near.any():
            return np.zeros(len(ln_gpus))
        same = shared_with(place, {name: column[near] for name, column in labels.items()})
        known, weights = self.coordinates[near], self.weights[near]
        parts = [kernel(points, known, same, self.levels) @ weights for points in points_at(place, ln_gpus)]
        return np.concatenate([*parts, np.zeros(0)])


def points_at(place: Place, ln_gpus: FloatArray) -> Iterator[FloatArray]:
    """Coordinates of a place at each size, (k, 3), so many together that what is made of them stays small."""
    points = np.column_stack([np.broadcast_to(place.coordinates[:2], (len(ln_gpus), 2)), ln_gpus])
    for begin in range(0, len(points), SIZES_TOGETHER):
        yield points[begin : begin + SIZES_TOGETHER]


def covariance(a: Sequence[Place], b: Sequence[Place], levels: Levels) -> FloatArray:
    """Covariance of field and effects at places `a` with those at `b` before any run is known, (len(a), len(b))."""
    coordinates = [np.array([p.coordinates for p in places]).reshape(len(places), 3) for places in (a, b)]
    return kernel(coordinates[0], coordinates[1], shared(a, b), levels)


def shared(a: Sequence[Place], b: Sequence[Place]) -> dict[str, BoolArray]:
    """Which of `a` have which labels in common with which of `b`, (len(a), len(b)) each."""
    same = {}
    for name in LABELS:
        codes: dict[str, int] = {}
        one, other = (
            np.array([codes.setdefault(getattr(p, name), len(codes)) for p in ps], dtype=int) for ps in (a, b)
        )
        same[name] = one[:, None] == other[None, :]
    moe = [np.array([p.kind == "moe" for p in places], dtype=bool) for places in (a, b)]
    return same | {"moe": moe[0][:, None] & moe[1][None, :]}


def shared_with(place: Place, labels: Mapping[str, NDArray[np.str_]]) -> dict[str, BoolArray]:
    """The same of one place and many, by whose labels, (1, n) each."""
    same = {name: (column == getattr(place, name))[None, :] for name, column in labels.items()}
    return same | {"moe": same["kind"] & (place.kind == "moe")}


def kernel(a: FloatArray, b: FloatArray, same: Mapping[str, BoolArray], levels: Levels) -> FloatArray:
    """Covariance (len(a), len(b)) at coordinates a (n, 3) and b (m, 3); the masks of `same` broadcast to it."""
    alike = same["stack"] & same["kind"] & same["gpu"]
    near, there = np.flatnonzero(alike.any(axis=0)), np.flatnonzero(same["site"].any(axis=0))
    model, *run_apart = squares_apart(a, b[near])
    run = np.exp(-0.5 * sum(run_apart))  # sequence and scale
    sized = run * np.exp(-0.5 * model)
    out = np.zeros((len(a), len(b)))
    out[:, near] = alike[:, near] * (levels.stack_gpu**2 * sized + levels.model_gpu**2 * same["model"][:, near] * run)
    slopes = ((a - CENTRE) / UNIT) @ ((b[there] - CENTRE) / UNIT).T
    effect = levels.site**2 + levels.site_moe**2 * same["moe"][:, there] + levels.site_slope**2 * slopes
    out[:, there] += same["site"][:, there] * effect
    return out


def squares_apart(a: FloatArray, b: FloatArray) -> list[FloatArray]:
    """Squared distances of coordinates a (n, 3) and b (m, 3) along each axis, in its lengths, (n, m) each."""
    return [((a[:, None, i] - b[None, :, i]) / length) ** 2 for i, length in enumerate(LENGTHS)]
