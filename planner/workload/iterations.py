"""How many iterations a run takes at each global batch: plain, with a batch ramp, and as GPT-NeoX would count.

Arrays in, arrays out, in exact integers: the search asks for every batch at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from planner.spec.arrays import BoolArray, IntArray
from planner.spec.scenario import BatchRamp
from planner.units import PlannerError
from planner.words import say
from planner.workload.dataset import RunLength

#: Longest ramp that is followed: every increment is a step of the count, and k x samples must stay an int64.
MAX_INCREMENTS = 100_000
MAX_RAMP_SAMPLES = 10**13


@dataclass(frozen=True, slots=True)
class RampPhase:
    """Consecutive iterations of one batch."""

    global_batch: int
    iterations: int


def iterations_for(run: RunLength, global_batch: IntArray | int, ramp: BatchRamp | None = None) -> IntArray:
    """Iterations that cover the run: ceil(total samples / batch), or the number the scenario fixes.

    Parameters
    ----------
    global_batch : int array of any shape, sequences. The final batch when there is a ramp.
    ramp : Megatron's `--rampup-batch-size START INCREMENT SAMPLES`.

    Returns
    -------
    int array of the same shape.

    Raises PlannerError for batches below 1 and for those a ramp cannot reach (see `ramp_allows`).
    """
    batch = np.asarray(global_batch, dtype=np.int64)
    if batch.size and int(batch.min()) < 1:
        raise PlannerError(say("iterations.batch", batch=int(batch.min())))
    if run.fixed_iterations is not None:
        return np.full(batch.shape, run.fixed_iterations, dtype=np.int64)
    if ramp is None:
        return -(-run.total_samples // batch)
    return _sum(count for _, count in ramp_stages(ramp, batch, total=run.total_samples))


def samples_consumed(run: RunLength, global_batch: IntArray | int, ramp: BatchRamp | None = None) -> IntArray:
    """Sequences that those iterations read: at least what the run must cover. Same shapes and errors."""
    batch = np.asarray(global_batch, dtype=np.int64)
    if ramp is None:
        return iterations_for(run, batch) * batch
    return _sum(size * count for size, count in _stages(run, batch, ramp))


def ramp_allows(ramp: BatchRamp, global_batch: IntArray | int) -> BoolArray:
    """Which final batches a ramp can reach: not below its start, and a whole number of increments above it.

    Source: Megatron-LM megatron/core/num_microbatches_calculator.py, which stops otherwise.
    """
    batch = np.asarray(global_batch, dtype=np.int64)
    allowed: BoolArray = (batch >= ramp.start) & ((batch - ramp.start) % ramp.increment == 0)
    return allowed


def ramp_schedule(run: RunLength, global_batch: int, ramp: BatchRamp | None = None) -> tuple[RampPhase, ...]:
    """Batches and their iterations in order, none empty; together they are `iterations_for`."""
    if ramp is None:
        return (RampPhase(global_batch, int(iterations_for(run, global_batch))),)
    stages = _stages(run, np.asarray(global_batch, dtype=np.int64), ramp)
    return tuple(RampPhase(int(size), int(count)) for size, count in stages if int(count))


def per_epoch(run: RunLength, global_batch: IntArray | int) -> tuple[IntArray, IntArray]:
    """Full batches in one pass, floor(N / B), and the samples left over, N mod B."""
    batch = np.asarray(global_batch, dtype=np.int64)
    return run.samples_per_epoch // batch, run.samples_per_epoch % batch


def evaluation_iterations(
    iterations: IntArray | int, interval: int | None, each: int | None, final_test: bool = True
) -> IntArray:
    """Forward-only iterations of evaluation: `each` every `interval`, once more at the end, and as many for the test.

    Source: GPT-NeoX megatron/training.py and its sizing (train_iters // eval_interval + 1) x eval_iters for validation,
    eval_iters for test; Megatron-LM alike. Without an interval or a count: 0.
    """
    count = np.asarray(iterations, dtype=np.int64)
    if not interval or not each:
        return np.zeros_like(count)
    return (count // interval + 1 + (1 if final_test else 0)) * each


def neox_iterations(run: RunLength, global_batch: IntArray | int) -> IntArray:
    """What GPT-NeoX makes of it, dropping the last partial batch: floor(E N / B), epochs carried over."""
    if run.fixed_iterations is not None:
        return iterations_for(run, global_batch)
    return run.total_samples // np.asarray(global_batch, dtype=np.int64)


def neox_train_epochs_iterations(
    samples: int, epochs: int, micro_batch: int, data_parallel: int, gradient_accumulation: int
) -> int:
    """`train_iters` that GPT-NeoX derives from `train_epochs`, so that each sample is seen at most that often.

    `samples` is the true number in one epoch (the line printed while the index is built); the dataset's own length is
    one less. floor(floor((samples - 1) / (micro x dp)) x E / accumulation).

    Source: GPT-NeoX megatron/training.py `update_iterations`, megatron/data/samplers.py, gpt2_dataset.py `__len__`.
    """
    loader = loader_length(dataset_length(samples), micro_batch, data_parallel)
    return loader * epochs // gradient_accumulation


def dataset_length(samples: int) -> int:
    """`len()` of GPT-NeoX's dataset: one less than the samples its index holds."""
    return max(samples - 1, 0)


def loader_length(length: int, micro_batch: int, data_parallel: int) -> int:
    """Micro-batches of one pass of GPT-NeoX's loader, last partial one dropped."""
    return length // (micro_batch * data_parallel)


def _stages(run: RunLength, batch: IntArray, ramp: BatchRamp) -> list[tuple[IntArray, IntArray]]:
    if run.fixed_iterations is not None:
        return ramp_stages(ramp, batch, steps=run.fixed_iterations)
    return ramp_stages(ramp, batch, total=run.total_samples)


def _sum(parts: Iterable[IntArray]) -> IntArray:
    total: IntArray = sum(parts, start=np.zeros((), dtype=np.int64))
    return np.asarray(total, dtype=np.int64)


def ramp_stages(
    ramp: BatchRamp, global_batch: IntArray | int, total: int | None = None, steps: int | None = None
) -> list[tuple[IntArray, IntArray]]:
    """(batch, iterations) of each stage of a ramp and of the rest, both of the shape of `global_batch`.

    Parameters
    ----------
    global_batch : int array, the final batches; each must be one that `ramp_allows`.
    total, steps : exactly one: go on until that many samples are covered, or that many iterations are done.

    Megatron looks at the samples consumed before each iteration: the batch is start + k x increment, where
    k = int(consumed / (ramp samples / increments)) as floats, and the final batch past the ramp's samples.

    Source: Megatron-LM megatron/core/num_microbatches_calculator.py, `RampupBatchsizeNumMicroBatchesCalculator`.
    """
    batch = np.asarray(global_batch, dtype=np.int64)
    increments = ramp_increments(ramp, batch)
    consumed, done = np.zeros_like(batch), np.zeros_like(batch)
    stages: list[tuple[IntArray, IntArray]] = []
    for k in range(int(increments.max(initial=0)) + 1):
        last = k >= increments
        size = np.where(last, batch, ramp.start + k * ramp.increment)
        left = steps - done if steps is not None else -(-np.maximum((total or 0) - consumed, 0) // size)
        until = _phase_end(ramp.samples, increments, k)
        count = np.where(last, left, np.minimum(left, -(-np.maximum(until - consumed, 0) // size)))
        count = np.where(k <= increments, count, 0)
        consumed, done = consumed + count * size, done + count
        stages.append((size, count))
    return stages


def ramp_increments(ramp: BatchRamp, batch: IntArray) -> IntArray:
    """By how many increments each of these batches is above the ramp's start.

    Raises
    ------
    PlannerError
        If one cannot be reached, or only in more steps or samples than any run has.
    """
    if ramp.start < 1 or ramp.increment < 1 or ramp.samples < 0:
        raise PlannerError(say("iterations.ramp"))
    allowed = ramp_allows(ramp, batch)
    if not bool(np.all(allowed)):
        wrong = int(np.ravel(batch)[~np.ravel(allowed)][0])
        raise PlannerError(say("iterations.never", start=ramp.start, increment=ramp.increment, batch=wrong))
    increments: IntArray = (batch - ramp.start) // ramp.increment
    if int(increments.max(initial=0)) > MAX_INCREMENTS or ramp.samples > MAX_RAMP_SAMPLES:
        raise PlannerError(say("iterations.long_ramp", increments=MAX_INCREMENTS, samples=MAX_RAMP_SAMPLES))
    return increments


def _phase_end(ramp_samples: int, increments: IntArray, k: int) -> IntArray:
    """The smallest count of consumed samples that ends phase k, exactly as Megatron's float division has it."""
    safe = np.maximum(increments, 1)
    each = ramp_samples / safe
    guess = -(-(k + 1) * ramp_samples // safe)
    if ramp_samples == 0:
        return np.zeros_like(guess)
    early = (guess > 0) & ((guess - 1) / each >= k + 1)
    late = guess / each < k + 1
    return np.where(early, guess - 1, np.where(late, guess + 1, guess))


def leftover_remarks(run: RunLength, global_batch: int, ramp: BatchRamp | None = None) -> tuple[str, ...]:
    """What GPT-NeoX would count instead, where that differs, and what asking it for the last iteration does.

    Its index covers whole epochs and is shuffled as one (megatron/data/gpt2_dataset.py, `_build_index_mappings`).
    """
    ours, theirs = int(iterations_for(run, global_batch)), int(neox_iterations(run, global_batch))
    if ours == theirs or run.epochs is None or ramp is not None:
        return ()
    rest = run.total_samples - theirs * global_batch
    if run.epochs == 1:
        passes = say("iterations.one_pass")
    elif run.epochs.denominator == 1:
        passes = say("iterations.whole_epochs", epochs=run.epochs.numerator)
    else:
        passes = say("iterations.epochs", epochs=float(run.epochs))
    counts = {"ours": ours, "theirs": theirs, "passes": passes}
    dropped = say("iterations.dropped", rest=rest, **counts)
    if len(run.sources) > 1 or run.epochs.denominator > 1:
        return (dropped,)
    if run.epochs == 1:
        return dropped, say("iterations.shuffled_two", **counts)
    return dropped, say("iterations.shuffled", epochs=run.epochs.numerator + 1, **counts)
