"""How GPT-NeoX turns what a config says about batches and epochs into numbers, refusals included.

Source: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments/arguments.py (calculate_batch_parameters,
check_batch_parameters, calculate_derived), megatron/training.py (update_iterations), megatron/data/data_utils.py
(validate_train_epochs).
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.units import PlannerError
from planner.words import say

DEFAULT_GRADIENT_ACCUMULATION = (
    1  # NeoXArgsDeepspeedConfig.gradient_accumulation_steps: a key left out is not "unknown"
)


@dataclass(frozen=True, slots=True)
class Batch:
    """A solved batch: sequences an iteration and a micro-batch, micro-batches an iteration, data parallel size."""

    train_batch_size: int
    micro_batch: int
    gradient_accumulation_steps: int
    data_parallel: int


def data_parallel(world: int, pp: int, mp: int) -> int:
    """Data parallel size: world / max(1, pp) / max(1, mp).

    Raises
    ------
    PlannerError
        In NeoX's terms, where that is not a whole number.
    """
    pp, mp = max(1, pp), max(1, mp)
    if world % (pp * mp):
        raise PlannerError(say("neox_batch.ranks", gpus=world, pp=pp, mp=mp))
    return world // (pp * mp)


def solve_batch(
    world: int,
    pp: int,
    mp: int,
    train_batch: int | None = None,
    micro: int | None = None,
    gas: int | None = DEFAULT_GRADIENT_ACCUMULATION,
) -> Batch:
    """The batch that GPT-NeoX trains with on `world` GPUs.

    Parameters
    ----------
    world, pp, mp : GPUs, pipe_parallel_size (0 counts as 1), model_parallel_size (0 counts as 1)
    train_batch, micro : train_batch_size, train_micro_batch_size_per_gpu in sequences; None where the config is silent
    gas : gradient_accumulation_steps; 1 where the config is silent (NeoX's default), None only where it says `null`

    Raises
    ------
    PlannerError
        Where NeoX stops, with its reason.
    """
    dp = data_parallel(world, pp, mp)
    if dp < 1:
        raise PlannerError(say("neox_batch.no_gpu", gpus=world))
    if train_batch is not None and micro is not None and gas is not None:
        pass
    elif train_batch is not None and micro is not None:
        if micro == 0:
            raise PlannerError(say("neox_batch.micro_size", size=0))
        gas = train_batch // micro // dp
    elif train_batch is not None:
        if gas == 0:
            raise PlannerError(say("neox_batch.steps", size=0))
        gas = 1 if gas is None else gas
        micro = train_batch // dp // gas
    elif micro is not None:
        gas = 1 if gas is None else gas
        train_batch = micro * gas * dp
    else:
        raise PlannerError(say("neox_batch.unstated"))
    _check(train_batch, micro, gas, dp)
    return Batch(train_batch, micro, gas, dp)


def _check(train_batch: int, micro: int, gas: int, dp: int) -> None:
    if train_batch <= 0:
        raise PlannerError(say("neox_batch.size", size=train_batch))
    if micro <= 0:
        raise PlannerError(say("neox_batch.micro_size", size=micro))
    if gas <= 0:
        raise PlannerError(say("neox_batch.steps", size=gas))
    if train_batch != micro * gas * dp:
        raise PlannerError(say("neox_batch.unequal", size=train_batch, micro=micro, steps=gas, ranks=dp))


def smallest_world(pp: int, mp: int, train_batch: int, micro: int, gas: int) -> int | None:
    """The number of GPUs for which all three batch keys agree, or None if there is none."""
    if min(train_batch, micro, gas) < 1 or train_batch % (micro * gas):
        return None
    return train_batch // (micro * gas) * max(1, pp) * max(1, mp)


def train_iterations(samples: int, epochs: int, batch: Batch) -> int:
    """train_iters that NeoX derives from `train_epochs`: (len(dataloader) x epochs) // gradient_accumulation_steps.

    Parameters
    ----------
    samples : length of the training data set for one epoch (sequences)
    epochs : train_epochs
    batch : the solved batch; len(dataloader) = samples // (micro-batch x dp), the rest of an epoch being dropped
    """
    return (samples // (batch.micro_batch * batch.data_parallel)) * epochs // batch.gradient_accumulation_steps
