"""A run whose batch grows: what its iterations amount to in steps of the full batch.

Paces before and after can then be compared, and what is left can be timed while the ramp is still running.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.results.plan import Plan
from planner.spec.scenario import BatchRamp
from planner.workload.iterations import ramp_stages


@dataclass(frozen=True, slots=True)
class Course:
    """Phases of one batch each, arrays (phases,); the last has no end.

    `iterations`, `full` steps and `samples` are those before the phase, `share` is an iteration's time over that of a
    full step.
    """

    iterations: IntArray
    full: FloatArray
    samples: IntArray
    batch: IntArray
    share: FloatArray

    def _phase(self, iteration: IntArray | int) -> IntArray:
        """The phase of the iterations after `iteration` are done."""
        return np.maximum(np.searchsorted(self.iterations, iteration, side="right") - 1, 0)

    def full_steps(self, iteration: IntArray | int) -> FloatArray:
        """What the first `iteration` iterations amount to in steps of the full batch, of the same shape."""
        at = self._phase(iteration)
        return np.asarray(self.full[at] + (iteration - self.iterations[at]) * self.share[at], dtype=np.float64)

    def samples_after(self, iteration: int) -> int:
        """Sequences that the first `iteration` iterations read."""
        at = self._phase(iteration)
        return int(self.samples[at] + (iteration - self.iterations[at]) * self.batch[at])

    def batch_of(self, iteration: int) -> int:
        """The batch of iteration `iteration`, counted from 1."""
        return int(self.batch[self._phase(max(0, iteration - 1))])

    def iteration_at(self, full_steps: float) -> int:
        """The iterations that are done when so many full steps are."""
        at = max(int(np.searchsorted(self.full, full_steps, side="right")) - 1, 0)
        return int(self.iterations[at] + (full_steps - self.full[at]) / self.share[at])


def course_of(plan: Plan, ramp: tuple[int, ...]) -> Course | None:
    """The course of a plan with a ramp (start, increment, samples); None without one.

    An iteration of m micro-batches a pipeline takes m + (p - 1) / v of them, so the ramp's share of a full step is the
    quotient of two such sums. Source: Narayanan et al. 2021, section 2.2.2.

    Raises
    ------
    PlannerError
        If the ramp never reaches the plan's batch.
    """
    if len(ramp) != 3:
        return None
    stages = ramp_stages(BatchRamp(*ramp), plan.global_batch, steps=plan.iterations)
    kept = [(int(batch), int(count)) for batch, count in stages if int(count)]
    batch, count = (np.array(column, dtype=np.int64) for column in zip(*kept, strict=True))
    layout = plan.layout
    idle = (layout.pp - 1) / layout.vpp
    of_each = batch / (layout.micro_batch * layout.dp) + idle
    share = of_each / (plan.global_batch / (layout.micro_batch * layout.dp) + idle)
    before = (np.concatenate([[0], np.cumsum(part)[:-1]]) for part in (count, count * share, count * batch))
    iterations, full, samples = before
    return Course(iterations.astype(np.int64), full, samples.astype(np.int64), batch, share)
