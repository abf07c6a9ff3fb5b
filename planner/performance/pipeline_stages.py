"""How a framework cuts a model's layers into pipeline stages, for the time and the memory of the fullest one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class StageLayers:
    """Layers on the first stage (embedding), on the fullest, and on the last (head and loss), (n,) each."""

    first: IntArray
    fullest: IntArray
    last: IntArray


def stage_layers(layers: int, pp: IntArray, chosen: bool = False) -> StageLayers:
    """Layers by stage. The fullest holds ceil(layers / pp), whoever cuts.

    Interleaving deals the same layers out in vpp chunks and changes no stage's sum.

    Parameters
    ----------
    layers : transformer layers of the model
    pp : int array (n,), pipeline stages, at most `layers`
    chosen : whether the user lays the stages out (Megatron's pipeline_model_parallel_layout and
        account_for_embedding/loss_in_pipeline_split). Then what pp does not divide leaves a layer less on the last
        stage first, on the first stage next. Otherwise (DeepSpeed's partition_balanced, which settles only the most
        that any stage holds) each is taken to be as full as the fullest.
    """
    full = -(-layers // pp)
    if not chosen:
        return StageLayers(full, full, full)
    spare = full * pp - layers
    return StageLayers(first=full - (spare >= 2), fullest=full, last=full - (spare >= 1))


def in_flight_limit(pp: FloatArray, vpp: FloatArray, stage: int, both_ends: bool = False) -> FloatArray:
    """Most micro-batches whose activations a stage holds at once, in units of that stage's whole activations, (n,).

    With m micro-batches a step it holds min(m, this). 1F1B: p - i. Interleaved: 2 (p - i - 1) + (v - 1) p warm-up
    chunks and the one being run, of v chunks a micro-batch; at i = 0 this is p (1 + (p - 1) / (p v)), below 2 p.

    Parameters
    ----------
    pp, vpp : float arrays (n,), stages p, chunks a stage v
    stage : i counted from the first stage; -1 is the last
    both_ends : whether a rank runs two stages, from either end (DualPipe): it holds p + 1 of them, wherever it is

    Source: DeepSeek-AI 2024 (DeepSeek-V3), table 2; Narayanan et al. 2021, section 2.2; Korthikanti et al. 2022,
    section 4.2.3; megatron/core/
    pipeline_parallel/schedules.py get_pp_rank_microbatches.
    """
    if both_ends:
        return np.where(pp > 1.0, pp + 1.0, 1.0)
    after = np.zeros_like(pp) if stage < 0 else np.maximum(pp - (stage + 1.0), 0.0)
    interleaved = (2.0 * after + (vpp - 1.0) * pp + 1.0) / vpp
    return np.where(vpp > 1.0, interleaved, after + 1.0)


def even(layers: int, pp: IntArray, vpp: IntArray, more_units: int = 0) -> BoolArray:
    """Whether pp x vpp equal chunks hold the layers, counting up to `more_units` more (embedding, loss) as layers.

    Source: megatron/training/arguments.py account_for_embedding_in_pipeline_split, account_for_loss_in_pipeline_split.
    """
    chunks = pp * vpp
    fits = np.zeros(chunks.shape, dtype=bool)
    for extra in range(more_units + 1):
        fits |= (layers + extra) % chunks == 0
    return fits
