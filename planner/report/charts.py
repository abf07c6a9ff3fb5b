"""Charts, the same bytes every time: SVG and PNG by matplotlib, HTML around the SVG."""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.files import write_atomically
from planner.plan import Frontier, Plan
from planner.report.figures import money_scale, time_scale
from planner.units import PlannerError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("svg", "png", "html")
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # told apart by everybody


_BUDGET: dict[str, Any] = {"color": "#444444", "linestyle": "--", "linewidth": 0.8}


def chart_kind(path: Path) -> str:
    """The kind of chart that a file's name asks for.

    Raises
    ------
    PlannerError
        If it is none of svg, png and html.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in KINDS:
        raise PlannerError(f"--chart {path}: a chart is a file ending in {', '.join('.' + kind for kind in KINDS)}")
    return kind


def frontier_chart(frontier: Frontier, path: Path) -> None:
    """Draw time against cost of a frontier's plans into `path`, one colour a GPU, the budgets as lines.

    Raises
    ------
    PlannerError
        If matplotlib is not there or the file cannot be written.
    """
    kind = chart_kind(path)
    figure = _figure()
    axes = figure.add_subplot()
    if frontier.plans:
        _points(axes, frontier)
    axes.set_title(f"{frontier.provenance.scenario}: plans that no other beats", loc="left")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path, kind, frontier.provenance.scenario)


def _points(axes: Any, frontier: Frontier) -> None:
    plans = frontier.plans
    time = time_scale(max(plan.time_s.p50 for plan in plans))
    cost = money_scale(max(plan.cost_usd.p50 for plan in plans))
    for number, gpu in enumerate(sorted({plan.offer.gpu for plan in plans})):
        mine = [plan for plan in plans if plan.offer.gpu == gpu]
        colour = _COLOURS[number % len(_COLOURS)]
        x, y = _values(mine, time.size, cost.size)
        axes.scatter(x, y, color=colour, label=gpu, zorder=3)
    x, y = _values(plans, time.size, cost.size)
    axes.step(x, y, where="post", color="#999999", linewidth=0.8, zorder=2)
    goal = frontier.goal
    if goal is not None and goal.time_s is not None:
        axes.axvline(goal.time_s / time.size, **_BUDGET, label="budget")
    if goal is not None and goal.cost_usd is not None:
        axes.axhline(goal.cost_usd / cost.size, **_BUDGET, label=None if goal.time_s is not None else "budget")
    axes.set_xlabel(f"time, {time.unit} (p50)")
    axes.set_ylabel(f"cost, {cost.unit} (p50)")
    axes.legend(frameon=False)


def _values(plans: Sequence[Plan], time: float, cost: float) -> tuple[list[float], list[float]]:
    return [plan.time_s.p50 / time for plan in plans], [plan.cost_usd.p50 / cost for plan in plans]


def _figure() -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PlannerError("charts need matplotlib: pip install 'planner[charts]'") from None
    return Figure(figsize=(8, 5), layout="constrained")


def _save(figure: Figure, path: Path, kind: str, title: str) -> None:
    """No date, no version and no random names go in, so that equal charts are equal files."""
    import matplotlib as mpl

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "planner", "svg.fonttype": "none"}):
        if kind == "png":
            figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
        else:
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    content: str | bytes = buffer.getvalue()
    if kind == "html":
        drawing = buffer.getvalue().decode()
        drawing = drawing[drawing.index("<svg") :]
        page = (
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title></head>'
        )
        content = f"{page}\n<body>\n{drawing}</body></html>\n"
    write_atomically(path, content)
