"""A comparison as a chart: a row a side, or, over the number of GPUs, a curve."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from planner.money import in_its_money
from planner.report.charts import bare, new_figure
from planner.report.figures import Scale, money_scale, time_scale
from planner.report.layout import clean
from planner.report.proposal.svg import PALETTE
from planner.results.answers import Comparison, Side
from planner.results.plan import Plan, Quantiles
from planner.units import format_count
from planner.words import said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 24  # sides drawn, the best ones first
TITLE = 44  # characters of a title over half a figure
LABEL = 30  # letters of a label's line
_INK, _SOFT, _RULE = "#1a1a1a", "#5c5c5c", "#dedede"


@in_its_money
def comparison_figure(comparison: Comparison) -> Figure:
    """Time and cost of each side: the median in figures, and the range from p10 to p90.

    Sides without a plan are named as infeasible. One scenario's numbers of GPUs (`--by gpus`) are drawn as curves.
    """
    plans = [side.plan for side in comparison.sides if side.plan is not None]
    if comparison.by == "gpus" and len(plans) > 1:
        return _curves(sorted(plans, key=lambda plan: plan.gpus))
    return sides_figure(comparison.sides)


def sides_figure(sides: Sequence[Side]) -> Figure:
    """The ranges of each side beside its name: time to the left, cost to the right."""
    feasible = [side for side in sides if side.plan is not None]
    shown = [*feasible, *(side for side in sides if side.plan is None)][:MOST]
    shown = [side for side in sides if side in shown]
    names = [
        said("comparison_chart.side", side=side.label, kind=side.plan.offer.price_kind) if side.plan else side.label
        for side in shown
    ]
    labels = ["\n".join(wrap(clean(name), LABEL)) for name in names]
    lines = [max(1, label.count("\n") + 1) for label in labels]
    figure = new_figure(said("comparison_chart.title"), height=1.3 + sum(0.16 + 0.2 * count for count in lines))
    priced = not any(side.plan is not None for side in shown) or any(_priced(side.plan) for side in shown)
    panels = figure.subplots(1, 2 if priced else 1, sharey=True, squeeze=False)[0]
    left = panels[0]
    at = [-(sum(lines[:i]) + lines[i] / 2) for i in range(len(lines))]  # a longer label has a higher row
    plans = [side.plan for side in shown]
    some = [plan for plan in plans if plan is not None]
    time = time_scale(max((plan.time_s.p50 for plan in some), default=1.0))
    cost = money_scale(max((plan.cost_usd.p50 for plan in some), default=1.0))
    _ranges(left, at, [None if plan is None else plan.time_s for plan in plans], time, "time")
    for right in panels[1:]:
        _ranges(
            right, at, [plan.cost_usd if plan is not None and _priced(plan) else None for plan in plans], cost, "cost"
        )
    left.set_yticks(at, labels)
    left.set_ylim(-sum(lines) - 0.3, 0.3)
    left_out = len(sides) - len(shown)
    if left_out:
        figure.supxlabel(said("comparison_chart.left_out", count=left_out), fontsize=9, color=_SOFT)
    return figure


def _priced(plan: Plan | None) -> bool:
    """Whether anything is known of a plan's cost."""
    return plan is not None and plan.offer.priced


def _ranges(axes: Any, at: Sequence[float], values: Sequence[Quantiles | None], scale: Scale, name: str) -> None:
    ends = max((value.p90 for value in values if value is not None), default=scale.size) / scale.size
    for number, (y, value) in enumerate(zip(at, values, strict=True)):
        if value is None:
            text = said("comparison_chart.infeasible") if name == "time" else "–"
            axes.text(0.02 * ends, y, text, va="center", color=_SOFT, fontsize=9)
            continue
        colour = PALETTE[1] if number == 0 else PALETTE[0]  # the first is what the others are compared with
        low, middle, high = (part / scale.size for part in value)
        axes.plot([low, high], [y, y], color=colour, linewidth=3.5, alpha=0.55, solid_capstyle="round")
        axes.plot([middle], [y], "o", color=colour, markersize=6)
        axes.text(high + 0.03 * ends, y, scale.figure(value.p50), va="center", color=_INK, fontsize=9)
    axes.set_xlim(0, 1.22 * ends)
    axes.set_xlabel(said(f"comparison_chart.{name}", unit=scale.unit))
    axes.grid(axis="x", color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", colors=_SOFT)
    bare(axes, left=False)


def _curves(plans: Sequence[Plan]) -> Figure:
    """Time and cost over the number of GPUs, the best plan at each, and the cheapest and the fastest named."""
    figure = new_figure(said("comparison_chart.title"), height=4.6)
    panels = figure.subplots(1, 2 if _priced(plans[0]) else 1, squeeze=False)[0]
    time = time_scale(max(plan.time_s.p50 for plan in plans))
    cost = money_scale(max(plan.cost_usd.p50 for plan in plans))
    _curve(panels[0], plans, [plan.time_s for plan in plans], time, "time", "fastest")
    for right in panels[1:]:
        _curve(right, plans, [plan.cost_usd for plan in plans], cost, "cost", "cheapest")
    return figure


def _curve(axes: Any, plans: Sequence[Plan], values: Sequence[Quantiles], scale: Scale, name: str, best: str) -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    gpus = [plan.gpus for plan in plans]
    low, middle, high = ([getattr(v, p) / scale.size for v in values] for p in ("p10", "p50", "p90"))
    axes.fill_between(gpus, low, high, color=PALETTE[0], alpha=0.15, linewidth=0)
    axes.plot(gpus, middle, "o-", color=PALETTE[0], markersize=3, linewidth=1)
    least = middle.index(min(middle))
    axes.plot([gpus[least]], [middle[least]], "o", markersize=11, markerfacecolor="none", color=_INK)
    kind, value = plans[least].offer.price_kind, scale.text(values[least].p50)
    text = said(f"comparison_chart.{best}", gpus=gpus[least], kind=kind, value=value)
    axes.set_title("\n".join(wrap(text, TITLE)), loc="left", fontsize=10)
    axes.set_ylim(bottom=0)
    axes.set_xlabel(said("comparison_chart.gpus"))
    axes.set_ylabel(said(f"comparison_chart.{name}", unit=scale.unit))
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_count(int(value))))
    axes.grid(color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_SOFT)
    bare(axes)
