"""A sweep as a chart: cost, time and GPUs over the key that takes the most values, a line for each of the others'."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from planner.money import in_its_money
from planner.report.charts import COLOURS, bare, new_figure
from planner.report.figures import Scale, money_scale, time_scale
from planner.sweeps.table import Row, Sweep
from planner.words import said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_STYLES = ("-", "--", ":", "-.")
_MOST_NAMED = 14  # lines in the legend
_LOG_FROM = 20.0  # the largest value over the smallest from which the axis is logarithmic
_UNITS = ("_s", "_usd", "_bytes", "")


@in_its_money
def sweep_figure(sweep: Sweep) -> Figure:
    """A sweep's medians, the range from p10 to p90, crosses for no plan."""
    key, suffix = _across(sweep)
    title = said("sweep_chart.title", name=sweep.provenance.scenario, keys=[over.key for over in sweep.over])
    others = [over.key for over in sweep.over if over.key != key]
    lines: dict[str, list[Row]] = {}
    for row in sweep.rows:
        lines.setdefault(", ".join(f"{other} {row[other]}" for other in others), []).append(row)
    figure = new_figure(title, height=7.5)
    costs = _known(sweep.rows, "cost_usd_p50")
    cost = money_scale(max(costs, default=0.0))
    time = time_scale(max(_known(sweep.rows, "time_s_p50"), default=0.0))
    across = _Across(sweep, key, suffix)
    drawn: tuple[tuple[str, Scale], ...] = (("cost_usd", cost), ("time_s", time), ("gpus", Scale("", 1.0)))
    drawn = drawn if costs else drawn[1:]  # nothing is known of the cost where machines have no price
    panels = figure.subplots(len(drawn), 1, sharex=True, height_ratios=(3, 3, 2)[-len(drawn) :])
    for axes, (name, scale) in zip(panels, drawn, strict=True):
        for number, (label, rows) in enumerate(lines.items()):
            look = {"color": COLOURS[number % len(COLOURS)], "linestyle": _STYLES[number // len(COLOURS) % 4]}
            _line(axes, across, rows, name, scale, look, label if number < _MOST_NAMED else "")
        axes.set_ylabel(said(f"sweep_chart.{name}", unit=scale.unit))
        axes.set_ylim(bottom=0)
    bare(*panels, grid="both")
    across.dress(panels[-1])
    figure.suptitle("\n".join(wrap(title, 90)), x=0.01, ha="left", fontsize=11)
    if others:
        named, labels = panels[0].get_legend_handles_labels()
        more = said("sweep_chart.first", shown=len(named), count=len(lines)) if len(named) < len(lines) else None
        figure.legend(
            named, labels, loc="outside lower center", ncols=_legend_columns(labels), frameon=False, title=more
        )
    return figure


class _Across:
    """The horizontal axis: numbers in a unit that reads well, or places one after the other."""

    def __init__(self, sweep: Sweep, key: str, suffix: str | None) -> None:
        self.key = key
        self.column = None if suffix is None else f"{key}{suffix}"
        self.names = [str(value) for value in dict.fromkeys(row[key] for row in sweep.rows)]
        self.gaps = any(row["status"] != "optimal" for row in sweep.rows)
        self.values = [] if self.column is None else _known(sweep.rows, self.column)
        scales = {"_s": time_scale, "_usd": money_scale}
        scale = scales.get(suffix or "")
        self.scale = scale(max(self.values)) if scale else Scale("bytes" if suffix == "_bytes" else "", 1.0)

    def place(self, row: Row) -> float:
        if self.column is None:
            return float(self.names.index(str(row[self.key])))
        return _number(row, self.column) / self.scale.size

    def dress(self, axes: Any) -> None:
        name = f"{self.key}, {self.scale.unit}" if self.scale.unit else self.key
        axes.set_xlabel(said("sweep_chart.across_gaps" if self.gaps else "sweep_chart.across", name=name))
        if self.column is None:
            axes.set_xticks(range(len(self.names)), self.names, rotation=30 if len(self.names) > 4 else 0)
        elif min(self.values) > 0 and max(self.values) / min(self.values) >= _LOG_FROM:
            axes.set_xscale("log")


def _legend_columns(labels: Sequence[str]) -> int:
    """How many names of this length a line of the legend takes."""
    return max(1, min(len(labels), 100 // (6 + max(map(len, labels)))))


def _across(sweep: Sweep) -> tuple[str, str | None]:
    """The key to draw over and the suffix of its numbers' column: of the keys that are numbers, that of most values."""
    row = sweep.rows[0]
    numeric = [
        (len(over.values), over.key, suffix)
        for over in sweep.over
        for suffix in _UNITS
        if isinstance(row.get(f"{over.key}{suffix}"), int | float)
    ]
    if numeric:
        _, key, suffix = max(numeric, key=lambda entry: entry[0])
        return key, suffix
    return max(sweep.over, key=lambda over: len(over.values)).key, None


def _line(
    axes: Any, across: _Across, rows: Sequence[Row], name: str, scale: Scale, look: dict[str, str], label: str
) -> None:
    ordered = sorted(rows, key=across.place)
    planned = [row for row in ordered if row["status"] == "optimal"]
    column = name if name == "gpus" else f"{name}_p50"
    # a gap in the line where there is no plan
    heights = [_number(row, column) / scale.size if row["status"] == "optimal" else float("nan") for row in ordered]
    axes.plot([across.place(row) for row in ordered], heights, marker="o", markersize=4, label=label or None, **look)
    if name != "gpus" and planned:
        low, high = ([_number(row, f"{name}_{p}") / scale.size for row in planned] for p in ("p10", "p90"))
        axes.vlines([across.place(row) for row in planned], low, high, color=look["color"], linewidth=1, alpha=0.5)
    none = [across.place(row) for row in ordered if row["status"] != "optimal"]
    if none:
        axes.plot(
            none, [0.03] * len(none), "x", color=look["color"], transform=axes.get_xaxis_transform(), clip_on=False
        )


def _known(rows: Sequence[Row], name: str) -> list[float]:
    return [_number(row, name) for row in rows if row[name] is not None]


def _number(row: Row, name: str) -> float:
    value = row[name]
    return float(value) if isinstance(value, int | float) else float("nan")
