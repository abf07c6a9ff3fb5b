"""How long a run is: steps that cover its data at a global batch, evaluation, and the seconds they add up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.scenario import BatchRamp
from planner.workload.dataset import RunLength
from planner.workload.iterations import evaluation_iterations, iterations_for, ramp_schedule
from planner.workload.learning import tokens_to_equal_loss

FORWARD_SHARE = 1.0 / 3.0  # an evaluation step is a training step's forward pass: 2 of 6 FLOPs a parameter and token


@dataclass(frozen=True, slots=True)
class EqualLoss:
    """Batches trade steps for tokens to one loss: B sequences take (1 + B/C) / (1 + R/C) of the tokens that R takes.

    Source: McCandlish et al. 2018; C is the batch at which tokens double.
    """

    reference_batch: int  # R, sequences
    critical_batch: float  # C, sequences

    def samples(self, total: int, batch: IntArray | int) -> IntArray:
        """Samples that reach the loss of `total` samples at the reference batch, rounded up, of batch's shape."""
        share = tokens_to_equal_loss(float(total), batch, self.reference_batch, self.critical_batch)
        return np.ceil(share * (1.0 - 1e-15)).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Run:
    """What a run has to get through: samples to be seen (at least) or a fixed number of iterations, and evaluation."""

    length: RunLength
    ramp: BatchRamp | None = None
    evaluation_interval: int | None = None
    evaluation_iterations: int | None = None
    loss: EqualLoss | None = None

    @property
    def fixed(self) -> bool:
        """Whether a smaller batch is never slower: a fixed number of iterations, all of one batch."""
        return self.length.fixed_iterations is not None and self.ramp is None

    def steps(self, batch: IntArray) -> IntArray:
        """Training iterations at these global batches (sequences), any shape: the ceiling, ramp included."""
        if self.loss is not None:
            return np.asarray(-(-self.loss.samples(self.length.total_samples, batch) // batch), dtype=np.int64)
        return iterations_for(self.length, batch, self.ramp)

    def evaluations(self, steps: IntArray) -> IntArray:
        """Evaluation iterations of a run of `steps`."""
        return evaluation_iterations(steps, self.evaluation_interval, self.evaluation_iterations)

    def seconds(self, batch: IntArray, step_s: FloatArray, step_at: Callable[[IntArray], FloatArray]) -> FloatArray:
        """Seconds of the whole run, (n,).

        Parameters
        ----------
        batch, step_s : (n,) global batches and the seconds of one step there
        step_at : seconds of a step, (n,), were the rows' batches these; asked only where the batch ramps up
        """
        steps = self.steps(batch)
        evaluation = FORWARD_SHARE * self.evaluations(steps)
        if self.ramp is None:
            return np.asarray((steps + evaluation) * step_s, dtype=np.float64)
        total = np.asarray(evaluation * step_s, dtype=np.float64)
        for size, count in self._phases(batch):
            total = total + count * (step_at(size) if np.any(size != batch) else step_s)
        return total

    def least(self, low: int, high: int) -> tuple[float, int]:
        """(n, b): seconds >= n x b x (seconds a sequence of any step) for every batch in [low, high]."""
        if self.length.fixed_iterations is not None:
            return float(self.length.fixed_iterations), low if self.ramp is None else self.ramp.start
        return self._fewest(low) / high, high

    def further_least(self, batch: IntArray, step_s: FloatArray, seconds: FloatArray) -> FloatArray:
        """Seconds that the batches beyond `batch` (smaller; larger if `fixed`) do not undercut, (n,)."""
        if self.fixed:
            return seconds
        if self.length.fixed_iterations is not None:
            return np.zeros_like(seconds)
        return self._fewest(1) / batch * step_s

    def _fewest(self, batch: int) -> int:
        """Samples that a run at this batch or a larger one needs at least."""
        total = self.length.total_samples
        return total if self.loss is None else int(self.loss.samples(total, batch))

    def _phases(self, batch: IntArray) -> list[tuple[IntArray, IntArray]]:
        """(batch, iterations) of each phase of the ramp and of the rest, (n,) each; 0 iterations: no such phase."""
        distinct, inverse = np.unique(batch, return_inverse=True)
        schedules = [ramp_schedule(self.length, int(size), self.ramp) for size in distinct]
        phases = []
        for i in range(max(map(len, schedules), default=0)):
            at = [s[i] if i < len(s) else None for s in schedules]
            size = np.array(
                [p.global_batch if p else int(b) for p, b in zip(at, distinct, strict=True)], dtype=np.int64
            )
            count = np.array([p.iterations if p else 0 for p in at], dtype=np.int64)
            phases.append((size[inverse], count[inverse]))
        return phases
