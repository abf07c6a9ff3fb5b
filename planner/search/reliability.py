"""What interruptions do to a plan, and what its reserve is for."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from planner.performance.conditions import optimizer_state_bytes
from planner.plan import Quantiles, Reliability
from planner.risk.completion import Completion
from planner.risk.failures import GB, checkpoint_bytes, replacement_s
from planner.scenario import Risk
from planner.search.clock import DECILE
from planner.search.pools import spare_nodes
from planner.workload.counts import parameter_counts

if TYPE_CHECKING:
    from planner.search.plans import Pick
    from planner.search.problem import Problem


def reliability(problem: Problem, pick: Pick, runs: Completion, time_s: Quantiles, cost_usd: Quantiles) -> Reliability:
    """The interruptions of one plan, whose distribution is `runs` (of one entry), and its reserve split by cause."""
    pool = problem.pools[int(problem.pool[pick.cell])]
    hazard = problem.clock.hazard.take(np.array([pick.cell]))
    rate, interval = float(hazard.rate_per_s[0]), float(hazard.interval_s[0])
    saved = float(runs.checkpoints[0]) > 0
    median = float(problem.clock.median[pick.cell])
    return Reliability(
        interruptions=float(runs.failures[0]),
        mean_time_between_s=1.0 / rate if rate > 0 else None,
        restart_s=float(hazard.restart_s[0]),
        wait_share=float(hazard.wait_share[0]),
        wait_s=float(hazard.wait_s[0]),
        checkpoint_gb=checkpoint_bytes(
            parameter_counts(pool.setting.model).total, problem.risk_facts, optimizer_state_bytes(pool.setting)
        )
        / GB,
        checkpoint_s=float(hazard.checkpoint_s[0]),
        checkpoint_interval_s=interval if saved else None,
        checkpoint_interval_iterations=max(1, round(interval / (pick.step_s * median))) if saved else None,
        undisturbed_s=pick.seconds * median,
        goodput=pick.seconds * median / float((runs.undisturbed_s + runs.delay_mean_s)[0]),
        reserve_s=time_s.p90 - time_s.p50,
        reserve_usd=cost_usd.p90 - cost_usd.p50,
        reserve_by_cause=_shares(runs),
        source=pool.interruptions.source,
        spare_nodes=spare_nodes(problem.scenario),
        replacement_s=replacement_s(problem.risk_facts, problem.scenario.risk or Risk()),
    )


def _shares(runs: Completion) -> dict[str, float]:
    """Each cause's own reserve, the other held at its median or mean, as a share of both."""
    still = replace(runs, log_low=0.0 * runs.log_low, log_high=0.0 * runs.log_high)
    by_failures = float((still.quantile(0.9) - still.quantile(0.5))[0])
    whole = float((runs.undisturbed_s + runs.delay_mean_s)[0])
    by_step = whole * math.expm1(DECILE * float(runs.log_high[0]))
    both = by_step + by_failures
    return {"step_time": by_step / both, "failures": by_failures / both} if both > 0 else {}
