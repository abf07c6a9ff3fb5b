"""Bytes a parameter that training keeps: the framework's table, with the setting's optimizer and what is moved away."""

from __future__ import annotations

from dataclasses import replace

from planner.performance.arrays import Setting
from planner.performance.conditions import optimizer_state_bytes
from planner.performance.framework_table import NOTHING, Framework, KindBytes, StateBytes, memory_framework

ADAMW = 12.0  # bytes a parameter of fp32 master weights and moments, for which the tables stand
HALF = 2.0
SMALLEST_MIXED = 8.0  # bytes below which an fp32 master copy and moments have no room: all of it is in 16 bits


def state_bytes(setting: Setting, row: Framework) -> StateBytes:
    """The framework's bytes at the setting's precision, optimizer and offload.

    Errors: as `Framework.state_bytes`.
    """
    state = row.state_bytes(setting.precision)
    stated = setting.conditions.gradient_bytes
    if stated is not None:
        state = replace(state, gradients=_at_most(state.gradients, stated))
    tuned = row.memory.tuned_gradient_bytes.get(setting.precision)
    if tuned is not None and setting.conditions.tuning == "vendor":
        state = replace(state, gradients=_at_most(state.gradients, tuned))
    state = _with_optimizer(state, optimizer_state_bytes(setting))
    return replace(state, optimizer=NOTHING, step=NOTHING) if setting.conditions.moves_optimizer else state


def frozen_bytes(state: StateBytes) -> StateBytes:
    """Bytes a weight that is frozen: as the framework shards weights, in 16 bits, and nothing else."""
    return StateBytes(_at_most(state.weights, HALF), NOTHING, NOTHING, NOTHING)


def halves_gradients(setting: Setting) -> bool:
    """Whether gradients are added up and travel in 16 bits where the precision alone would keep them in 32.

    As a run states, as a vendor's recipe has them, or under FSDP's PURE mixed precision.
    """
    if setting.conditions.gradient_bytes is not None:
        return setting.conditions.gradient_bytes <= HALF
    row = memory_framework(setting.framework)
    tuned = row.memory.tuned_gradient_bytes.get(setting.precision, ADAMW)
    return "pure" in setting.release or (setting.conditions.tuning == "vendor" and tuned <= HALF)


def gradient_type(setting: Setting) -> str:
    """The type in which gradients are added up and reduced: fp32, bf16 or fp16."""
    state = state_bytes(setting, memory_framework(setting.framework))
    if not (state.gradients_of_16_bits or halves_gradients(setting)):
        return "fp32"
    return "fp16" if setting.precision == "fp16" else "bf16"


def _with_optimizer(state: StateBytes, stated: float) -> StateBytes:
    """States of an optimizer with so many bytes of master weights and moments.

    Where weights are fp32 they are the master copy: without one, weights and gradients are in 16 bits.
    """
    if stated == ADAMW:
        return state
    held = max(*state.weights.full, *state.weights.shard)
    if held >= 4.0 and stated < SMALLEST_MIXED and max(*state.optimizer.full, *state.optimizer.shard) < ADAMW:
        weights, gradients = (_at_most(kind, HALF) for kind in (state.weights, state.gradients))
        return replace(state, weights=weights, gradients=gradients, optimizer=_shifted(state.optimizer, stated - 8.0))
    return replace(state, optimizer=_shifted(state.optimizer, stated - ADAMW))


def _shifted(kind: KindBytes, by: float) -> KindBytes:
    full, shard = (tuple(max(b + by, 0.0) if b else 0.0 for b in part) for part in (kind.full, kind.shard))
    return KindBytes(full, shard)


def _at_most(kind: KindBytes, most: float) -> KindBytes:
    full, shard = (tuple(min(b, most) for b in part) for part in (kind.full, kind.shard))
    return KindBytes(full, shard)
