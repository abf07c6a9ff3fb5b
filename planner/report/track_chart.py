"""A run's progress as a chart: iterations over time with the plan and the range of what is left, and its step times."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from planner.performance.arrays import FloatArray
from planner.report.charts import bare, new_figure
from planner.report.figures import time_scale
from planner.tracking.progress import Progress
from planner.words import said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _GREY, _RED = "#0072b2", "#666666", "#d55e00"


def track_figure(now: Progress, scenario: str = "") -> Figure:
    """Where a run stands, under its scenario's name."""
    code = "track_chart.title_named" if scenario else "track_chart.title"
    title = said(code, name=scenario, iteration=now.iteration, iterations=now.iterations)
    figure = new_figure(title)
    upper, lower = figure.subplots(2, 1, height_ratios=(3, 1))
    _course(upper, now)
    _steps(lower, now)
    upper.set_title(title, loc="left")
    bare(upper, lower, grid="both")
    for axis in (upper.yaxis, lower.xaxis):
        axis.set_major_formatter("{x:,.0f}")
    return figure


def course(now: Progress) -> tuple[FloatArray, FloatArray]:
    """Iterations, and the elapsed seconds at which each was reached; the last point is the present one."""
    steps = np.array([np.nan if value is None else value for value in now.chart_step_s])
    known = np.isfinite(steps)
    seconds = np.cumsum(np.where(known, steps, np.nanmean(steps) if known.any() else 0.0) * now.chart_iterations)
    iterations = np.minimum((np.arange(len(steps)) + 1.0) * now.chart_iterations, now.iteration)
    scale = now.elapsed_s / seconds[-1] if len(seconds) and seconds[-1] > 0 else 0.0
    return np.concatenate([[0.0], iterations]), np.concatenate([[0.0], seconds * scale])


def _course(axes: Any, now: Progress) -> None:
    iterations, seconds = course(now)
    limit = next((budget.limit for budget in now.budgets if budget.budget == "time"), None)
    planned = now.time_s.p50 / (1 + now.time_against_plan)
    unit = time_scale(max(now.time_s.p90, planned, limit or 0.0))
    axes.plot([0, planned / unit.size], [0, now.iterations], color=_GREY, linestyle=":", label=said("track_chart.plan"))
    axes.plot(seconds / unit.size, iterations, color=_BLUE, linewidth=2, label=said("track_chart.run"))
    start = now.elapsed_s / unit.size
    ends = [value / unit.size for value in now.time_s]
    left = [now.iteration, now.iterations]
    axes.plot([start, ends[1]], left, color=_BLUE, linestyle="--", linewidth=1, label=said("track_chart.left"))
    fan = ([start, ends[0], ends[2]], [*left, now.iterations])
    axes.fill(*fan, color=_BLUE, alpha=0.2, linewidth=0, label=said("track_chart.range"))
    if limit is not None:
        axes.axvline(limit / unit.size, color=_RED, linewidth=1, label=said("track_chart.budget"))
    axes.set_xlabel(said("track_chart.elapsed", unit=unit.unit))
    axes.set_ylabel(said("track_chart.iterations"))
    axes.set_xlim(left=0)
    axes.set_ylim(0, now.iterations * 1.05)
    axes.legend(frameon=False)


def _steps(axes: Any, now: Progress) -> None:
    known = [(at * now.chart_iterations, value) for at, value in enumerate(now.chart_step_s) if value is not None]
    axes.plot([at for at, _ in known], [value for _, value in known], color=_BLUE, linewidth=1)
    planned = now.pace.planned_s
    axes.axhline(planned.p50, color=_GREY, linestyle=":")
    axes.axhspan(planned.p10, planned.p90, color=_GREY, alpha=0.15, linewidth=0, label=said("track_chart.plan_range"))
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.4 * (high - low))  # room for the legend
    axes.legend(frameon=False, loc="upper right")
    axes.set_xlabel(said("track_chart.iteration"))
    axes.set_ylabel(said("track_chart.step"))
    axes.set_xlim(0, max(now.iterations, 1))
