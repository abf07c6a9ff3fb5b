"""How long a run is: steps that cover its data at a global batch, evaluation, and the seconds they add up to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.search.batches import BatchSpace, batch_space
from planner.spec.scenario import BatchRamp, IntChoice, Scenario
from planner.units import PlannerError
from planner.words import say
from planner.workload.dataset import RunLength, run_length
from planner.workload.iterations import evaluation_iterations, iterations_for, ramp_schedule
from planner.workload.learning import (
    CriticalBatch,
    critical_batch,
    default_batch_range,
    effective_tokens,
    measured_critical_batch,
    tokens_to_equal_loss,
    tokens_worth,
)

NEVER = 1 << 60  # samples that no run gets through
FORWARD_SHARE = 1.0 / 3.0  # an evaluation step is a training step's forward pass: 2 of 6 FLOPs a parameter and token


@dataclass(frozen=True, slots=True)
class EqualLoss:
    """Batches trade steps for tokens to one loss: B sequences take (1 + B/C) / (1 + R/C) of the tokens that R takes.

    They are counted in fresh ones: what is drawn again is worth less, so that more of it is drawn.

    Source: McCandlish et al. 2018, C the batch at which tokens double; Muennighoff et al. 2023 for repeats.
    """

    reference_batch: int  # R, sequences
    critical_batch: float  # C, sequences
    sources: tuple[tuple[float, float], ...] = ()  # unique samples and share of each dataset; (): nothing is repeated

    def samples(self, total: int, batch: IntArray | int) -> IntArray:
        """Samples that reach the loss of `total` samples at the reference batch, rounded up, of batch's shape.

        NEVER where the data, repeated however often, does not reach it.
        """
        share = tokens_to_equal_loss(1.0, batch, self.reference_batch, self.critical_batch)
        if self.sources:
            worth = sum(effective_tokens(unique, total * part / unique) for unique, part in self.sources)
            drawn = tokens_worth(self.sources, np.asarray(share * worth))
        else:
            drawn = np.asarray(share * float(total))
        return np.ceil(np.minimum(drawn * (1.0 - 1e-14), float(NEVER))).astype(np.int64)


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

    def least(self, low: int, high: int) -> tuple[float, float]:
        """(n, b): seconds >= n x b x (seconds a sequence of any step) for every batch in [low, high].

        Steps are at least n. Each reads a whole batch, of less data too.
        """
        first = low if self.ramp is None else self.ramp.start
        if self.length.fixed_iterations is not None:
            return float(self.length.fixed_iterations), float(first)
        samples = self._fewest(low)
        steps = float(-(-samples // high))
        return steps, max(samples, first) / steps

    def further_least(self, batch: IntArray, step_s: FloatArray, seconds: FloatArray, low: int) -> FloatArray:
        """Seconds that the batches beyond `batch` (smaller, down to `low`; larger if `fixed`) do not undercut, (n,)."""
        if self.fixed:
            return seconds
        if self.length.fixed_iterations is not None:
            return np.zeros_like(seconds)
        first = low if self.ramp is None else self.ramp.start
        return max(self._fewest(1), first) / batch * step_s

    def alike(self, batch: IntArray, high: int) -> IntArray:
        """The smallest batches down to which runs take as many steps as at these, (n,), each at most `high`.

        What lies between takes as many longer steps.
        """
        total = self.length.total_samples
        if self.ramp is not None or self.length.fixed_iterations is not None:
            return batch
        if self.loss is not None:
            return _first_alike(self.loss, total, high)[batch]
        if total >= high * high:  # one sequence less is a step more
            return batch
        return np.asarray(-(-total // self.steps(batch)), dtype=np.int64)

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


@lru_cache(maxsize=32)
def _first_alike(loss: EqualLoss, total: int, high: int) -> IntArray:
    """Of each batch up to `high` the first of its neighbours below with as many steps, (high + 1,)."""
    batch = np.arange(1, high + 1, dtype=np.int64)
    steps = -(-loss.samples(total, batch) // batch)
    begins = np.append(True, steps[1:] != steps[:-1])
    return np.append(0, np.maximum.accumulate(np.where(begins, batch, 0)))


def run_of(scenario: Scenario) -> tuple[Run, BatchSpace, str]:
    """The run of a scenario, its batches, and in words the default range of them ("" where the scenario gives one).

    Raises
    ------
    PlannerError
        If no batch is allowed, or what is asked for excludes itself.
    """
    training = scenario.training
    length = run_length(scenario.data, scenario.seq_length, training.epochs, training.iterations)
    low, high, text = default_batch_range(length)
    batches = batch_space(
        training.global_batch or IntChoice(low, high), scenario.layout.micro_batch, training.batch_ramp
    )
    loss = _equal_loss(scenario, length)
    if loss is not None and int(loss.samples(length.total_samples, batches.low)) >= NEVER:
        raise PlannerError(say("run.loss_out_of_reach", batch=batches.low, reference=loss.reference_batch))
    run = Run(length, training.batch_ramp, training.evaluation_interval, training.evaluation_iterations, loss)
    return run, batches, text if training.global_batch is None else ""


def _equal_loss(scenario: Scenario, length: RunLength) -> EqualLoss | None:
    """How tokens depend on the batch where the scenario asks for equal loss."""
    training = scenario.training
    if training.target != "equal_loss" or training.reference_batch is None:
        return None
    if length.fixed_iterations is not None or training.batch_ramp is not None:
        key = "training.iterations" if length.fixed_iterations is not None else "training.batch_ramp"
        raise PlannerError(say("run.not_at_equal_loss", key=key))
    tokens = length.total_samples * length.seq_length
    critical = critical_of(scenario, tokens).doubling_sequences(length.seq_length)
    sources = tuple((float(s.samples_per_epoch), float(s.share)) for s in length.sources if s.samples_per_epoch)
    return EqualLoss(training.reference_batch, critical, sources)


def critical_of(scenario: Scenario, tokens: int) -> CriticalBatch:
    """The critical batch of a run of `tokens`: the user's own if given, else by the law the default range uses."""
    own = scenario.training.critical_batch
    if own is not None:
        return measured_critical_batch(own, scenario.seq_length)
    return critical_batch(float(tokens))
