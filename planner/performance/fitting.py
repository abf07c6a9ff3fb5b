"""The fit: log parameters of the step-time model from measured runs, robust and shrunk to their priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.performance.arrays import FloatArray
from planner.performance.calibration import Calibration
from planner.performance.kernels import Scope, kernels_of
from planner.performance.machine import MachineNumbers, as_reached
from planner.performance.rates import Design, Rates, design
from planner.performance.rows import LayoutArrays, Run, layout_arrays
from planner.performance.shapes import ModelNumbers, stacked
from planner.performance.stacks import context_of
from planner.performance.steptime import step_of
from planner.workload.model import ModelSpec

NOISE = 0.03  # log error that counts as one standard deviation
# The loss turns from squares to logarithms at so many of them: some published runs are 40 to 100 % off equal ones, for
# reasons that no column states, and should not count. A fit that starts with the last width finds poor minima.
WIDTHS = (3.0, 1.5)
STEP = 1e-4  # of the finite differences, in log parameters


@dataclass(frozen=True, slots=True)
class Batch:
    """Runs of any models and machines, ready to be predicted in one call."""

    scope: Scope  # with placeholder rates
    layouts: LayoutArrays
    measured_s: FloatArray

    def predict(self, rates: Rates) -> FloatArray:
        """Seconds of a step, (n,), or (k, n) for k sets of rates; without the residual correction."""
        a = self.layouts
        scope = replace(self.scope, rates=rates, machine=as_reached(self.scope.machine, rates.network))
        kernels = kernels_of(scope, a.tp, a.cp, a.ep, a.sequence_parallel, a.recompute, a.micro_batch)
        return step_of(scope, kernels, a.pp, a.vpp, a.dp, a.zero_stage, a.grad_accum, 1.0).total_s


def batch_of(runs: Sequence[Run], calibration: Calibration) -> Batch:
    """The runs as arrays; equal models and machines are worked out once."""
    models: dict[ModelSpec, ModelNumbers] = {}
    machines: dict[tuple[object, ...], MachineNumbers] = {}
    keys = []
    for r in runs:
        s = r.setting
        if s.model not in models:
            models[s.model] = calibration.model_numbers(s)
        key = (s.accelerator.id, s.hardware, s.precision, "pure" in s.release)
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
        unfused=np.asarray([calibration.unfused(r.setting) for r in runs]),
    )
    return Batch(scope, layout_arrays(runs), np.asarray([r.step_s for r in runs]))


def source_weights(runs: Sequence[Run], power: float = 0.5) -> FloatArray:
    """(n,) weights of the squared residuals: a source of n rows counts n^(1 - power), so that none drowns another."""
    counts: dict[str, int] = {}
    for r in runs:
        counts[r.source] = counts.get(r.source, 0) + 1
    mean = len(runs) / len(counts)
    return np.asarray([(mean / counts[r.source]) ** power for r in runs])


def fit(
    runs: Sequence[Run],
    calibration: Calibration,
    start: Mapping[str, float] | None = None,
    widths: Sequence[float] = WIDTHS,
) -> dict[str, float]:
    """Parameter values by name that explain these runs best.

    Minimises the sum of losses of weighted log ratios plus squared parameters over their prior spread: soft L1 first,
    and from there Cauchy's, c² ln(1 + z²/c²), with the `widths` c one after the other.
    """
    from scipy.optimize import least_squares

    batch = batch_of(runs, calibration)
    plan: Design = design(calibration.rules, [context_of(r.setting) for r in runs])
    target = np.log(batch.measured_s)
    scale = np.sqrt(source_weights(runs)) / NOISE

    def solved(values: FloatArray, width: float | None) -> FloatArray:
        def pull(seconds: FloatArray) -> FloatArray:
            return _pull((np.log(seconds) - target) * scale, width)

        def residuals(values: FloatArray) -> FloatArray:
            return np.concatenate([pull(batch.predict(plan.rates(values))), (values - plan.mean) / plan.sigma])

        def jacobian(values: FloatArray) -> FloatArray:
            pulls = pull(batch.predict(plan.moved(values, STEP)))
            return np.vstack([plan.chain((pulls[1:] - pulls[0]) / STEP), np.diag(1.0 / plan.sigma)])

        found = least_squares(residuals, values, jac=jacobian, method="trf", xtol=1e-6, ftol=1e-6)
        return np.asarray(found.x)

    values = np.asarray([(start or {}).get(name, mean) for name, mean in zip(plan.names, plan.mean, strict=True)])
    for width in (None, *widths):
        values = solved(values, width)
    return {name: float(value) for name, value in zip(plan.names, values, strict=True)}


def _pull(z: FloatArray, width: float | None) -> FloatArray:
    """The residual whose square is the loss of z: soft L1 without a width, else Cauchy's."""
    if width is None:
        return np.asarray(np.sign(z) * np.sqrt(2.0 * (np.sqrt(1.0 + z * z) - 1.0)))
    return np.asarray(np.sign(z) * width * np.sqrt(np.log1p((z / width) ** 2)))
