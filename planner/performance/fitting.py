"""The fit: rates of the step-time model, a smooth field and effects of sites, together, from measured runs.

ln(measured step) = ln(physics at rates theta) + field + effects of the site + noise. The logarithms of the rates, the
field and the effects are Gaussian before anything is measured; the noise is Student's, so that few runs lie far off.
About given rates the physics is linearised, the heavy tails are weights that follow from the residuals, and what is
left is one Gaussian: a Gauss-Newton step solves it for all at once, in as many unknowns as there are runs.

Source: Rasmussen & Williams 2006, Gaussian Processes for Machine Learning, sections 2.2, 2.7 and 5.4.2 (leaving out by
the inverse); Lange, Little & Taylor 1989, JASA 84, Robust Statistical Modeling Using the t Distribution (the weights).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from planner.performance.arrays import FloatArray, IntArray, Layouts
from planner.performance.calibration import Calibration
from planner.performance.conditions import condition_numbers
from planner.performance.kernels import Scope, kernels_of
from planner.performance.machine import MachineNumbers, as_reached
from planner.performance.memory_states import halves_gradients
from planner.performance.rates import Design, Rates, design
from planner.performance.residual import Levels, Place, ResidualField, covariance
from planner.performance.rows import Run, layouts_as_run
from planner.performance.shapes import ModelNumbers, model_numbers, stacked
from planner.performance.stacks import context_of, kind_of, place_of
from planner.performance.steptime import step_of
from planner.spec.model import ModelSpec

STEP = 1e-4  # of the finite differences, in log parameters
MOST_STEPS = 60
SETTLED = 0.01  # a fit is done when no parameter moves more, of its prior spread,
SETTLED_TAILS = 0.02  # and no run's weight
FARTHEST = 1.0  # of its prior spread, that a parameter moves in one of the first steps
FIRST = 4  # steps that are held short


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of any models and machines, ready to be predicted in one call."""

    scope: Scope  # with placeholder rates
    layouts: Layouts
    measured_s: FloatArray

    def predict(self, rates: Rates) -> FloatArray:
        """Seconds of a step, (n,), or (k, n) for k sets of rates; without the residual correction."""
        a = self.layouts
        scope = replace(self.scope, rates=rates, machine=as_reached(self.scope.machine, rates))
        kernels = kernels_of(scope, a.tp, a.cp, a.ep, a.sequence_parallel, a.recompute, a.micro_batch, gpus=a.gpus)
        return step_of(scope, kernels, a.pp, a.vpp, a.dp, a.zero_stage, a.grad_accum, 1.0).total_s


def batch_of(runs: Sequence[Run], calibration: Calibration) -> Batch:
    """The runs as arrays; equal models and machines are worked out once."""
    models: dict[ModelSpec, ModelNumbers] = {}
    machines: dict[tuple[object, ...], MachineNumbers] = {}
    keys = []
    for r in runs:
        s = r.setting
        if s.model not in models:
            models[s.model] = model_numbers(s.model)
        key = (s.accelerator.id, s.hardware, s.precision, halves_gradients(s), s.conditions.power_limit_w)
        if key not in machines:
            machines[key] = calibration.machine_numbers(s)
        keys.append(key)
    model_at = {m: i for i, m in enumerate(models)}
    machine_at = {m: i for i, m in enumerate(machines)}
    scope = Scope(
        model=stacked(list(models.values()), [model_at[r.setting.model] for r in runs]),
        machine=stacked(list(machines.values()), [machine_at[key] for key in keys]),
        rates=Rates(*([1.0] * len(Rates.__slots__))),
        seq_length=np.asarray([float(r.setting.seq_length) for r in runs]),
        conditions=stacked([condition_numbers(r.setting) for r in runs]),
    )
    return Batch(scope, layouts_as_run(runs), np.asarray([r.step_s for r in runs]))


def noise_of(runs: Sequence[Run], levels: Levels) -> FloatArray:
    """(n,) variance of each run's noise: many rows of a source count as `rows_a_source`, lest they drown others.

    A source's dense and MoE models are counted apart, as they are judged apart: they share few rates and no field, so
    that many rows of the one say nothing about how much the other's should be believed.
    """
    units = [(r.source, kind_of(r.setting.model)) for r in runs]
    counts = Counter(units)
    share = np.asarray([max(1.0, counts[unit] / levels.rows_a_source) for unit in units])
    trust = np.asarray([levels.low_trust if r.low_trust else 1.0 for r in runs])
    return np.asarray(levels.noise**2 * share * trust)


@dataclass(frozen=True)
class Fit:
    """The runs about the values found: everything is one Gaussian here. n runs, p parameters."""

    runs: tuple[Run, ...]
    places: tuple[Place, ...]
    plan: Design
    theta: FloatArray  # (p,)
    slopes: FloatArray  # (n, p), of ln(step) by parameter
    residuals: FloatArray  # (n,), ln(measured) less what the prior means give, linearised
    noise: FloatArray  # (n,), variances, the tails' weights in
    levels: Levels

    @cached_property
    def covariance(self) -> FloatArray:
        """Of the runs' ln(step), (n, n), before any is measured and without their noise."""
        by_rates = (self.slopes * self.plan.sigma**2) @ self.slopes.T
        return np.asarray(by_rates + covariance(self.places, self.places, self.levels))

    @cached_property
    def precision(self) -> FloatArray:
        """Inverse of the runs' covariance, (n, n)."""
        return np.asarray(np.linalg.inv(self.covariance + np.diag(self.noise)))

    @cached_property
    def weights(self) -> FloatArray:
        """(n,) by which each run pulls on parameters and field."""
        return np.asarray(self.precision @ self.residuals)

    def calibration(self, prior: Calibration, out: IntArray | None = None) -> Calibration:
        """What the runs teach, or all but those of index `out`, by the block's inverse."""
        keep = np.ones(len(self.runs), dtype=bool)
        weights = self.weights
        if out is not None and len(out):
            keep[out] = False
            block = np.linalg.solve(self.precision[np.ix_(out, out)], self.weights[out])
            weights = self.weights - self.precision[:, out] @ block
        weights = weights[keep]
        theta = self.plan.mean + self.plan.sigma**2 * (self.slopes[keep].T @ weights)
        places = tuple(p for p, kept in zip(self.places, keep, strict=True) if kept)
        return replace(
            prior,
            values=dict(zip(self.plan.names, map(float, theta), strict=True)),
            field=ResidualField(places, weights, self.noise[keep], self.levels),
        )


def fit(runs: Sequence[Run], prior: Calibration, start: Calibration | None = None) -> Fit:
    """The values of rates, field and effects that explain these runs best; started from `start` where given.

    Where physics has a kink (the longer of two times rules) whole steps may go to and fro for ever: a parameter that
    turns round takes half steps, and longer ones again while it goes on.
    """
    levels = prior.levels
    batch = batch_of(runs, prior)
    plan = design(prior.rules, [context_of(r.setting) for r in runs])
    places = tuple(place_of(r.setting, r.gpus, r.id) for r in runs)
    target, base = np.log(batch.measured_s), noise_of(runs, levels)
    beyond = covariance(places, places, levels)
    theta, tails = plan.mean.copy(), np.ones(len(runs))
    if start is not None:
        theta = np.asarray([start.values.get(n, m) for n, m in zip(plan.names, plan.mean, strict=True)])
        known = dict(zip((p.id for p in start.field.places), start.field.noise, strict=True))
        tails = np.asarray([base[i] / known.get(p.id, base[i]) for i, p in enumerate(places)])
    pace, before = np.ones(len(theta)), np.zeros(len(theta))

    def linear(theta: FloatArray) -> tuple[FloatArray, FloatArray]:
        seconds = np.log(batch.predict(plan.moved(theta, STEP)))
        slopes = plan.chain((seconds[1:] - seconds[0]) / STEP)
        return slopes, target - seconds[0] + slopes @ (theta - plan.mean)

    from scipy.linalg import cho_factor, cho_solve
    from scipy.linalg.blas import dsyrk

    for step in range(MOST_STEPS):
        slopes, residuals = linear(theta)
        noise = base / tails
        # Only the lower half of the symmetric matrix is made, and only that is read.
        total = dsyrk(1.0, slopes * plan.sigma, beta=1.0, c=beyond + np.diag(noise), lower=1)
        weights = cho_solve(cho_factor(total, lower=True, overwrite_a=True), residuals)
        moved = plan.mean + plan.sigma**2 * (slopes.T @ weights) - theta
        pace = np.where(moved * before < 0.0, 0.5 * pace, np.minimum(1.2 * pace, 1.0))
        before, moved = moved, moved * pace
        far = float(np.max(np.abs(moved) / plan.sigma, initial=0.0))
        reach = FARTHEST if step < FIRST and start is None else 2.0 * FARTHEST
        theta = theta + moved * min(1.0, reach / max(far, 1e-12))
        found = (levels.tails + 1.0) / (levels.tails + (noise * weights) ** 2 / base)
        settled = far < SETTLED and float(np.max(np.abs(found - tails))) < SETTLED_TAILS
        tails = 0.5 * (tails + found) if step > 1 or start is not None else found
        if settled and step >= FIRST:
            break
    slopes, residuals = linear(theta)
    return Fit(tuple(runs), places, plan, theta, slopes, residuals, base / tails, levels)
