"""The run event by event: the check on every probability that the closed form states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class SimulatedRun:
    """What happens to one plan: seconds, except where said. Scalars; many worlds are drawn from it."""

    work_s: float  # iterations x median step time
    log_low: float
    log_high: float
    rate_per_s: float
    recover_s: float
    wait_share: float  # of the interruptions that first wait for a node (spot)
    wait_s: float  # mean of that wait, exponential
    checkpoint_s: float
    interval_s: float
    burst: float = 1.0  # mean failures a burst; 1: a Poisson process


@dataclass(frozen=True, slots=True)
class Simulation:
    """Worlds drawn: one entry each, (worlds,)."""

    time_s: FloatArray
    failures: IntArray
    lost_s: FloatArray  # work done twice
    waiting_s: FloatArray  # detection, restart, refill

    def quantile(self, p: float) -> float:
        """The p-quantile of wall-clock time, seconds."""
        return float(np.quantile(self.time_s, p))


def simulate(run: SimulatedRun, worlds: int, seed: int, tick: Callable[[float], None] | None = None) -> Simulation:
    """Draw `worlds` histories of a run, all advanced together from failure to failure.

    In each world the step-time factor is drawn once; then failures strike in exponential gaps, whatever the job does
    (saving, restarting). Each throws the run back to its last checkpoint and costs a restart; a failure during a
    restart begins it anew. `tick`, if given, is told the finished share after each round.

    Returns
    -------
    Simulation. The same seed gives the same worlds.
    """
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(worlds)
    need = run.work_s * np.exp(z * np.where(z < 0, run.log_low, run.log_high))
    interval = run.interval_s if run.interval_s < run.work_s else np.inf
    # One segment is `interval` of work and a checkpoint; a run without checkpoints is one segment.
    stride = np.where(np.isfinite(interval), interval + run.checkpoint_s, need)
    gain = np.where(np.isfinite(interval), interval, need)
    time, done, lost, waiting = (np.zeros(worlds) for _ in range(4))
    failures = np.zeros(worlds, np.int64)
    pending = np.zeros(worlds)  # restart still to be served before work goes on
    active = np.arange(worlds)
    while active.size:
        gap = _gaps(run, rng, active.size)
        left = (need - done)[active] * (stride / gain)[active]  # seconds with checkpoints until the end
        wait = pending[active]
        finished = gap >= wait + left
        ends = active[finished]
        time[ends] += (wait + left)[finished]
        waiting[ends] += wait[finished]
        struck = active[~finished]
        gap, wait = gap[~finished], wait[~finished]
        time[struck] += gap
        failures[struck] += 1
        waited = np.minimum(gap, wait)
        waiting[struck] += waited
        trained = gap - waited
        kept = np.floor(trained / stride[struck]) * gain[struck]
        done[struck] += kept
        lost[struck] += trained - kept * (stride / gain)[struck]
        pending[struck] = run.recover_s
        if run.wait_share > 0:
            waits = rng.random(struck.size) < run.wait_share
            pending[struck] += np.where(waits, rng.exponential(run.wait_s, struck.size), 0.0)
        active = struck
        if tick is not None:
            tick(1.0 - active.size / worlds)
    return Simulation(time, failures, lost, waiting)


def _gaps(run: SimulatedRun, rng: np.random.Generator, count: int) -> FloatArray:
    """Seconds until the next failure. In bursts, most gaps are short and few are long, at the same mean rate."""
    if run.rate_per_s <= 0:
        return np.full(count, np.inf)
    mean = 1.0 / run.rate_per_s
    if run.burst <= 1.0:
        return rng.exponential(mean, count)
    within = rng.random(count) < 1.0 - 1.0 / run.burst
    short = 0.01 * mean
    long = (mean - (1.0 - 1.0 / run.burst) * short) * run.burst
    return np.where(within, rng.exponential(short, count), rng.exponential(long, count))
