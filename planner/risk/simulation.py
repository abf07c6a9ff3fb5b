"""The run event by event: the check on every probability that the closed form states."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.risk.spot_market import GIVEN_UP


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
    replacement_s: float = 0.0  # the others wait so long for another node
    least: float = 1.0  # allocated time over all of that, at least
    log_more: float = 0.0  # and the mean of its logarithm beyond, exponential, one draw a run
    given_up: float = GIVEN_UP  # times its work after which a run on a market is no longer followed
    market_spread: float = 0.0  # standard deviation of the logarithm of the market's rate, one draw a run


@dataclass(frozen=True, slots=True)
class Simulation:
    """Worlds drawn: one entry each, (worlds,)."""

    time_s: FloatArray
    failures: IntArray
    lost_s: FloatArray  # work done twice
    waiting_s: FloatArray  # detection, restart, refill
    overhead_s: FloatArray  # paid beside training, checkpoints and failures
    luck: FloatArray  # evenly spread from 0 to 1, independent of all else: what the market asks

    def quantile(self, p: float) -> float:
        """The p-quantile of wall-clock time, seconds."""
        return float(np.quantile(self.time_s, p))


def simulate(
    run: SimulatedRun,
    worlds: int,
    seed: int,
    tick: Callable[[float], None] | None = None,
    deviations: FloatArray | None = None,
) -> Simulation:
    """Draw `worlds` histories of a run, all advanced together from failure to failure.

    In each world the step-time factor is drawn once; then failures strike in exponential gaps, whatever the job does
    (saving, restarting). Each throws the run back to its last checkpoint and costs a restart; a failure during a
    restart begins it anew, and what was waited for is still waited for. What is paid beside is drawn once, as a factor
    on all of it. `tick`, if given, is told the finished share after each round. `deviations`: how many standard
    deviations each world's step time is from its median, (worlds,), where they are not to be drawn.

    Returns
    -------
    Simulation. The same seed gives the same worlds.
    """
    rng = np.random.default_rng(seed)
    z = rng.standard_normal(worlds) if deviations is None else deviations
    factor = np.exp(z * np.where(z < 0, run.log_low, run.log_high))
    need = run.work_s * factor
    saves = run.interval_s < run.work_s
    gain = run.interval_s * factor if saves else need  # a checkpoint comes after so many iterations
    pause = run.checkpoint_s if saves else 0.0
    time, done, lost, waiting = (np.zeros(worlds) for _ in range(4))
    failures = np.zeros(worlds, np.int64)
    pending = np.zeros(worlds)  # what is left to mend before work goes on
    # Interruptions a second of each world, and the share of them that wait for the market.
    more = np.exp(run.market_spread * np.random.default_rng([seed, 3]).standard_normal(worlds))
    taken = run.rate_per_s * run.wait_share * more
    rate = run.rate_per_s * (1.0 - run.wait_share) + taken
    share = np.divide(taken, rate, out=np.zeros(worlds), where=rate > 0)
    longest = run.given_up * need
    active = np.arange(worlds)
    begins = True
    while active.size:
        gap, begins = _gaps(run, rng, rate[active], first=begins), False
        work = (need - done)[active]
        ahead = np.floor(work / gain[active] + 1e-9) if saves else np.zeros(active.size)
        left = work + ahead * pause  # seconds with checkpoints until the end
        wait = pending[active]
        finished = gap >= wait + left
        ends = active[finished]
        time[ends] += (wait + left)[finished]
        waiting[ends] += wait[finished]
        interrupted = active[~finished]
        gap, wait = gap[~finished], wait[~finished]
        time[interrupted] += gap
        failures[interrupted] += 1
        waited = np.minimum(gap, wait)
        waiting[interrupted] += waited
        trained = gap - waited
        kept = np.floor(trained / (gain[interrupted] + pause)) if saves else np.zeros(interrupted.size)
        done[interrupted] += kept * gain[interrupted]
        lost[interrupted] += trained - kept * (gain[interrupted] + pause)
        # What was being mended goes on being mended: the run waits for whichever is ready last.
        pending[interrupted] = np.maximum(wait - waited, _repairs(run, rng, share[interrupted]))
        active = interrupted if run.market_spread == 0 else interrupted[time[interrupted] < longest[interrupted]]
        if tick is not None:
            tick(1.0 - active.size / worlds)
    # Streams of their own: what happens to the machines does not depend on them.
    luck = np.random.default_rng([seed, 1]).random(worlds)
    overhead = run.least * np.exp(run.log_more * np.random.default_rng([seed, 2]).standard_exponential(worlds))
    return Simulation(time * overhead, failures, lost, waiting, time * (overhead - 1.0), luck)


def _repairs(run: SimulatedRun, rng: np.random.Generator, share: FloatArray) -> FloatArray:
    """Seconds until a failure is mended: a restart, after the wait for a node: the market's, or for another one."""
    count = len(share)
    if run.wait_share <= 0:
        return np.full(count, run.recover_s + run.replacement_s)
    taken = rng.random(count) < share
    return run.recover_s + np.where(taken, rng.exponential(run.wait_s, count), run.replacement_s)


def _gaps(run: SimulatedRun, rng: np.random.Generator, rate_per_s: FloatArray, *, first: bool) -> FloatArray:
    """Seconds until the next failure. In bursts, most gaps are short and few are long, at the same mean rate.

    A run begins at any moment, not at a failure: the gap that it begins in (`first`) is as likely a long one as long
    ones take of the time.
    """
    count = len(rate_per_s)
    if run.rate_per_s <= 0:
        return np.full(count, np.inf)
    mean = 1.0 / rate_per_s
    if run.burst <= 1.0:
        return rng.exponential(mean)
    share = 1.0 - 1.0 / run.burst  # of the gaps that are short
    short = 0.01 * mean
    long = (mean - share * short) * run.burst
    within = rng.random(count) < (0.01 * share if first else share)
    return np.where(within, rng.exponential(short), rng.exponential(long))
