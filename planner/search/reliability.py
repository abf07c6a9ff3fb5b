"""What interruptions do to a plan, and what its reserve is for."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from planner.performance.conditions import optimizer_state_bytes
from planner.results.plan import GpuHours, Quantiles, Reliability
from planner.risk.completion import Completion
from planner.risk.failures import GB, checkpoint_bytes, replacement_s
from planner.search.candidates import Pick
from planner.search.completion_model import DECILE
from planner.search.pools import spare_nodes
from planner.search.run_cost import HOUR_S
from planner.search.search_state import SearchState
from planner.spec.scenario import Risk
from planner.workload.adapters import trained_parameters


def reliability(
    state: SearchState, pick: Pick, runs: Completion, time_s: Quantiles, cost_usd: Quantiles
) -> Reliability:
    """The interruptions of one plan, whose distribution is `runs` (of one entry), and its reserve split by cause."""
    pool = state.space.pools[int(state.space.pool[pick.cell])]
    hazard = state.completion_model.hazard.take(np.array([pick.cell]))
    rate, interval = float(hazard.rate_per_s[0]), float(hazard.interval_s[0])
    saved = float(runs.checkpoints[0]) > 0
    median = float(state.completion_model.median[pick.cell])
    return Reliability(
        interruptions=float(runs.failures[0]),
        mean_time_between_s=1.0 / rate if rate > 0 else None,
        restart_s=float(hazard.restart_s[0]),
        wait_share=float(hazard.wait_share[0]),
        wait_s=float(hazard.wait_s[0]),
        checkpoint_gb=checkpoint_bytes(
            trained_parameters(pool.setting.model, pool.setting.conditions.adapter),
            state.space.risk_facts,
            optimizer_state_bytes(pool.setting),
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
        spare_nodes=spare_nodes(state.space.scenario),
        replacement_s=replacement_s(state.space.risk_facts, state.space.scenario.risk or Risk()),
        overhead=state.overhead,
        taken=pool.takings if pool.takings.per_1000_node_days else None,
    )


def gpu_hours(state: SearchState, pick: Pick, runs: Completion, p50_s: float) -> GpuHours:
    """Where the GPU-hours of the median run go: each part is what it adds to the median, one after another."""
    gpus, spare = (
        float(state.space.gpus[pick.cell]),
        float(state.space.paid_gpus[pick.cell] - state.space.gpus[pick.cell]),
    )
    work, saved = pick.seconds * float(state.completion_model.median[pick.cell]), float(runs.undisturbed_s[0])
    failed = float(runs.without_overhead().quantile(0.5)[0])
    hours = gpus / HOUR_S
    return GpuHours(
        productive=work * hours,
        checkpoints=(saved - work) * hours,
        failures=(failed - saved) * hours,
        overhead=(p50_s - failed) * hours,
        spare=spare * p50_s / HOUR_S,
        allocated=(gpus + spare) * p50_s / HOUR_S,
        overhead_source=state.overhead.source,
    )


def _shares(runs: Completion) -> dict[str, float]:
    """Each cause's own reserve, the others held at their median or mean, as a share of all."""
    still = replace(runs.without_overhead(), log_low=0.0 * runs.log_low, log_high=0.0 * runs.log_high)
    by_failures = float((still.quantile(0.9) - still.quantile(0.5))[0])
    whole = float((runs.undisturbed_s + runs.delay_mean_s)[0])
    by_step = whole * math.expm1(DECILE * float(runs.log_high[0]))
    more = float(runs.log_more[0])
    by_overhead = whole * float(runs.least[0]) * (10.0**more - 2.0**more)  # its quantiles at 90 and 50 %
    each = {"step_time": by_step, "failures": by_failures, "overhead": by_overhead}
    total = sum(each.values())
    return {name: part / total for name, part in each.items() if part or name != "overhead"} if total > 0 else {}
