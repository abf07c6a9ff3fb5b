"""The performance room as the search sees it: one setting, its kernels, steps and memory, looked up once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Layouts, Setting
from planner.performance.calibration import Calibration
from planner.performance.machine import as_reached
from planner.performance.memory import capacity_gib, memory_affine
from planner.performance.steptime import KernelTimes, Scope, kernels_of, scope, step_of

NEVER = 1e9  # GiB that no accelerator has


@dataclass
class SettingPhysics:
    """Predictions of one model on one hardware with one framework, under a calibration."""

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

    def beside_s(
        self,
        kernels: KernelTimes,
        pp: IntArray,
        vpp: IntArray,
        dp: IntArray,
        zero_stage: IntArray,
        group: FloatArray | None = None,
    ) -> FloatArray:
        """Seconds a step that data parallelism adds at least, whatever the micro-batch up to the kernels' own, (n,).

        What dp ranks take more than one, less what sharding the optimizer saves; a larger micro-batch hides more of it.
        """
        none = np.zeros_like(kernels.busy_s)
        alone = replace(kernels, stage_bytes=none)
        once, scope = np.ones_like(pp), self._grouped(group)
        many, one = (step_of(scope, alone, pp, vpp, n, zero_stage, once, 1.0).total_s for n in (dp, once))
        return np.maximum(many - one, 0.0)

    def memory_line(
        self, x: Layouts, share: FloatArray | None = None, group: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """GiB of each layout = first + second x micro_batch, (n,); `NEVER` where the optimizer's step does not fit.

        `share` and `group` as above.
        """
        base, each, step = memory_affine(
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
        return np.where(step <= self.capacity_gib, base, np.maximum(base, NEVER)), each
