"""Predicted throughput of runs as a chart: the median and the 80 % interval, and what was measured beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from planner.report.charts import COLOURS, bare, new_figure
from planner.report.predictions import stated_layout
from planner.words import said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 30  # runs drawn, the first ones


def predictions_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Tokens a second and GPU of each run, one a line from the top; runs without a prediction are left out.

    Raises
    ------
    PlannerError
        If matplotlib is not there.
    """
    drawn = [row for row in rows if row["pred_tokens_per_s_per_gpu"]][:MOST]
    figure = new_figure(said("prediction_chart.title"), height=1.4 + 0.3 * len(drawn))
    axes = figure.add_subplot()
    for place, row in enumerate(drawn):
        axes.plot([row["pred_lo"], row["pred_hi"]], [-place, -place], color=COLOURS[0], linewidth=2)
        axes.plot(row["pred_tokens_per_s_per_gpu"], -place, "o", color=COLOURS[0], markersize=5)
        measured = str(row.get("tokens_per_s_per_gpu") or "")
        if measured:
            axes.plot(float(measured), -place, "|", color=COLOURS[1], markersize=12, markeredgewidth=2)
    texts = [{key: "" if value is None else str(value) for key, value in row.items()} for row in drawn]
    labels = [f"{row['model']}, {row['gpus']} {row['gpu']}, {stated_layout(row)}".rstrip(", ") for row in texts]
    axes.set_yticks([-place for place in range(len(drawn))], labels)
    axes.set_xlim(left=0)
    axes.set_xlabel(said("prediction_chart.axis"))
    bare(axes, grid="x", left=False)
    return figure
