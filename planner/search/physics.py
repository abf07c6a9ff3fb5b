"""The performance room as the search sees it: one setting, its kernels, steps and memory, looked up once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Layouts, Setting
from planner.performance.calibration import Calibration
from planner.performance.machine import as_reached
from planner.performance.memory import capacity_gib, memory_affine
from planner.performance.steptime import (
    KernelTimes,
    Scope,
    kernels_of,
    message_s,
    once_a_step_s,
    scope,
    stage_s,
    step_of,
)

NEVER = 1e9  # GiB that no accelerator has


@dataclass
class SettingPhysics:
    """Predictions of one model on one hardware with one framework, under a calibration.

    The search's bounds rest on: busy seconds and `stage_s` a sequence do not rise with the micro-batch, and `message_s`
    a sequence hangs on nothing but the kernel; a step of m micro-batches takes at least factor x (m x slowest stage +
    filling and draining + 2 m vpp x message where pp > 1 + `outside_pipeline_s`), and per micro-batch not more with
    larger m; `outside_pipeline_s` holds at micro-batches up to the one of the kernels given there; memory is a line
    in the micro-batch that rises with m only until the pipeline is full (m = pp; 2 pp where chunks interleave).
    With a larger `share` of the layers recomputed memory does not rise and a step is not shorter; with a larger
    `group` (0: all ranks) over which states lie memory does not rise.
    """

    setting: Setting
    calibration: Calibration
    headroom: float = 0.0  # share of the memory that is left free
    like: SettingPhysics | None = None  # one that differs in its hardware alone, on the same accelerator
    scope: Scope = field(init=False)
    capacity_gib: float = field(init=False)

    def __post_init__(self) -> None:
        if self.like is None:
            self.scope = scope(self.setting, self.calibration)
        else:  # a calibration's rates are of model, stack and accelerator
            machine = as_reached(self.calibration.machine_numbers(self.setting), self.like.scope.rates)
            self.scope = replace(self.like.scope, machine=machine)
        self.capacity_gib = capacity_gib(self.setting) * (1.0 - self.headroom)
        self._factors = np.full(1, np.nan)  # by GPU count, as far as they were asked for

    def factor(self, gpus: IntArray) -> FloatArray:
        """What the calibration multiplies step times on so many GPUs by, (n,)."""
        most = int(gpus.max(initial=0))
        if most >= len(self._factors):
            self._factors = np.concatenate([self._factors, np.full(most + 1 - len(self._factors), np.nan)])
        found = self._factors[gpus]
        new = np.isnan(found)
        if new.any():
            counts = np.unique(gpus[new])
            self._factors[counts] = self.calibration.correction(self.setting, counts)
            found = self._factors[gpus]
        return found

    def kernels(
        self,
        tp: IntArray,
        cp: IntArray,
        ep: IntArray,
        sp: BoolArray,
        recompute: IntArray,
        micro: IntArray,
        share: FloatArray | None = None,
    ) -> KernelTimes:
        """Times of one micro-batch each, (n,); `share` of the layers that full recompute covers, None: as stated."""
        scope = self.scope
        if share is not None:
            scope = replace(scope, conditions=replace(scope.conditions, full_share=share))
        return kernels_of(scope, tp, cp, ep, sp, recompute, micro)

    def step_s(
        self,
        kernels: KernelTimes,
        pp: IntArray,
        vpp: IntArray,
        dp: IntArray,
        zero_stage: IntArray,
        grad_accum: IntArray,
        group: FloatArray | None = None,
    ) -> FloatArray:
        """Seconds of a step, (n,); `group` of GPUs that states are sharded over, 0: all, None: as stated."""
        factor = self.factor(kernels.tp * kernels.cp * pp * dp)
        return step_of(self._grouped(group), kernels, pp, vpp, dp, zero_stage, grad_accum, factor).total_s

    def _grouped(self, group: FloatArray | None) -> Scope:
        if group is None:
            return self.scope
        stated = group if np.any(group) else 0.0
        return replace(self.scope, conditions=replace(self.scope.conditions, shard_group=stated))

    def outside_pipeline_s(
        self,
        kernels: KernelTimes,
        pp: IntArray,
        vpp: IntArray,
        dp: IntArray,
        zero_stage: IntArray,
        group: FloatArray | None = None,
    ) -> FloatArray:
        """Seconds a step of optimizer and data-parallel traffic at least, whatever the micro-batch up to the kernels'.

        A larger micro-batch hides more of it. (n,)
        """
        scope = self._grouped(group)
        slow, _ = stage_s(scope, kernels, pp, vpp)
        traffic, optimizer = once_a_step_s(scope, kernels, pp, dp, zero_stage, np.ones_like(pp), slow)
        return np.asarray(traffic + optimizer + scope.rates.step)

    def stage_s(self, kernels: KernelTimes, pp: IntArray, vpp: IntArray) -> tuple[FloatArray, FloatArray]:
        """Seconds of a micro-batch on the slowest stage, and those to fill and drain the pipeline, (n,) each."""
        return stage_s(self.scope, kernels, pp, vpp)

    def message_s(self, kernels: KernelTimes, gpus: IntArray) -> FloatArray:
        """Seconds in which a micro-batch is passed on to the next stage in a run on so many GPUs, (n,)."""
        return message_s(self.scope, kernels, gpus)

    def memory_line(
        self, x: Layouts, share: FloatArray | None = None, group: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """GiB of each layout = first + second x micro_batch, (n,); `NEVER` where the optimizer's step does not fit.

        `share` and `group` as above.
        """
        base, each, step = self.memory_parts(x, share, group)
        return np.where(step <= self.capacity_gib, base, np.maximum(base, NEVER)), each

    def memory_parts(
        self, x: Layouts, share: FloatArray | None = None, group: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """GiB in training as `memory_line` has it, two parts, and those of the optimizer's step, (n,) each."""
        return memory_affine(
            self.setting,
            x.tp,
            x.pp,
            x.vpp,
            x.cp,
            x.ep,
            x.zero_stage,
            x.sequence_parallel,
            x.recompute,
            x.dp,
            x.grad_accum,
            share,
            group,
        )
