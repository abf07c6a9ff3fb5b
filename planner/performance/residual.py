"""The residual correction: what runs of one model, GPU and stack have in common that the physics misses.

A Gaussian process over the logarithms of (model size, sequence, GPUs), with parts that are shared by a stack, by a
stack's runs on one GPU, by runs of one model, and by runs of one model on one GPU. It never sees a layout: a search
over millions of layouts would pick whichever was luckiest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from planner.performance.arrays import FloatArray

LENGTHS = np.array([1.5, 0.7, 1.0])  # in ln(parameters), ln(sequence), ln(GPUs)
STACK, STACK_GPU, MODEL, MODEL_GPU = 0.03, 0.08, 0.05, 0.05  # prior spread of each part
NOISE = 0.04  # of one run about its smooth trend; releases of one configuration differ by as much
OUTLIER = 0.08  # a run so far off has twice the noise's variance, one further off more: it is its own affair
LIMIT = 0.15  # residuals beyond it are the model's fault or a bad run, not a trend


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

    @property
    def group(self) -> tuple[str, str, str, str]:
        return (self.stack, self.model, self.gpu, self.format)


@dataclass(frozen=True)
class ResidualField:
    """Measured places and the weights by which each pulls on its neighbours' predictions."""

    places: tuple[Place, ...]
    weights: FloatArray  # (n,)

    @cached_property
    def labels(self) -> Mapping[str, NDArray[np.str_]]:
        names = ("stack", "kind", "model", "gpu")
        return {name: np.array([getattr(p, name) for p in self.places], dtype=np.str_) for name in names}

    @cached_property
    def coordinates(self) -> FloatArray:
        return np.array([p.coordinates for p in self.places]).reshape(len(self.places), 3)

    def log_ratio(self, place: Place, ln_gpus: FloatArray) -> FloatArray:
        """Mean of ln(measured / physics) at this place for each size, (k,); 0 far from every measurement."""
        if not self.places:
            return np.zeros(len(ln_gpus))
        same = {name: column == getattr(place, name) for name, column in self.labels.items()}
        near = same["stack"] & same["kind"]
        if not near.any():
            return np.zeros(len(ln_gpus))
        points = np.column_stack([np.broadcast_to(place.coordinates[:2], (len(ln_gpus), 2)), ln_gpus])
        kernel = _kernel(points, self.coordinates[near], same["model"][near], same["gpu"][near])
        return np.asarray(np.clip(kernel @ self.weights[near], -LIMIT, LIMIT))


def fit_field(places: Sequence[Place], log_ratios: FloatArray) -> ResidualField:
    """The field that these residuals, ln(measured / physics) (n,), call for."""
    noise = NOISE**2 * (1.0 + (log_ratios / OUTLIER) ** 2)
    kernel = covariance(places, places) + np.diag(noise)
    return ResidualField(tuple(places), np.asarray(np.linalg.solve(kernel, np.clip(log_ratios, -LIMIT, LIMIT))))


def covariance(a: Sequence[Place], b: Sequence[Place]) -> FloatArray:
    """Covariance of the field at places `a` with that at `b` before any run is known, (len(a), len(b))."""
    one, other = (ResidualField(tuple(places), np.zeros(len(places))) for places in (a, b))
    same = {name: column[:, None] == other.labels[name] for name, column in one.labels.items()}
    kernel = _kernel(one.coordinates, other.coordinates, same["model"], same["gpu"])
    return np.asarray((same["stack"] & same["kind"]) * kernel)


def _kernel(a: FloatArray, b: FloatArray, same_model: NDArray[np.bool_], same_gpu: NDArray[np.bool_]) -> FloatArray:
    """Covariance (len(a), len(b)) of places in one stack and kind; the masks broadcast to it."""
    apart = ((a[:, None, :] - b[None, :, :]) / LENGTHS) ** 2
    run = np.exp(-0.5 * (apart[:, :, 1] + apart[:, :, 2]))  # sequence and scale
    sized = run * np.exp(-0.5 * apart[:, :, 0])
    of_model = same_model * (MODEL**2 + MODEL_GPU**2 * same_gpu) * run
    return np.asarray((STACK**2 + STACK_GPU**2 * same_gpu) * sized + of_model)
