"""What `planner validate` found, for people: figures, groups, worst rows, and predicted against measured as a chart."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from planner.performance.validation import Judged
from planner.report.charts import _figure, _save, chart_kind
from planner.report.layout import Page, columns, hanging
from planner.units import format_percent

LEFT_OUT = {
    "configuration": "each row's configuration left out, in all its releases",
    "row": "each row left out",
    "group": "each row's model, accelerator and precision left out",
    "source": "each row's whole source left out",
    "none": "nothing left out: the calibration may have seen these rows",
}


def validation_table(found: Mapping[str, Any], width: int) -> str:
    """The report of `validation.report` on a page of this width, ending in a newline."""
    page = Page(width)
    regret = found["regret"]
    lines = [
        page.heading(f"{found['predicted']} of {found['rows']} rows, {LEFT_OUT[found['leave_out']]}"),
        *hanging("median error", format_percent(found["mdape"]), page),
        *hanging("mean error", format_percent(found["mape"]), page),
        *hanging("90 % of rows", f"within {format_percent(found['p90_ape'])}", page),
        *hanging("bias", _signed(found["bias"]), page),
        *hanging("80 % intervals", f"hold {format_percent(found['coverage80'])} of the rows", page),
    ]
    if regret["contests"]:
        lost = f"{format_percent(regret['mean'])} on the mean of {regret['contests']} sets of layouts"
        lines += hanging("regret", f"{lost}, {format_percent(regret['worst'])} at worst", page)
    rows = [["by", "", "rows", "median", "90 %", "bias", "in 80 %"]]
    for entry in found["by"]:
        figures = (format_percent(entry[key]) for key in ("mdape", "p90_ape"))
        named = (entry["by"], entry["group"], str(entry["rows"]))
        rows.append([*named, *figures, _signed(entry["bias"]), format_percent(entry["coverage80"])])
    lines += ["", *columns(rows, "llrrrrr", page, flexible=1), "", page.heading("Worst")]
    worst = [["row", "model", "GPUs", "release", "measured", "predicted", "error"]]
    worst += [
        [
            entry["id"],
            entry["model"],
            f"{entry['gpus']} {entry['gpu'].split('-')[0]}",
            entry["release"],
            f"{entry['measured_tokens_per_s_per_gpu']:,.0f}",
            f"{entry['predicted_tokens_per_s_per_gpu']:,.0f}",
            _signed(entry["error"]),
        ]
        for entry in found["worst"]
    ]
    return "\n".join([*lines, *columns(worst, "lllllrr", page, flexible=3)]) + "\n"


def validation_chart(judged: Judged, path: Path) -> None:
    """Predicted against measured tokens a second and GPU, both logarithmic, one colour a source.

    Raises
    ------
    PlannerError
        If the path's ending is none of .svg, .png, .html, or matplotlib is missing.
    """
    kind = chart_kind(path)
    figure = _figure(6.0)
    axes = figure.add_subplot()
    measured = np.asarray([r.tokens_per_s_per_gpu or np.nan for r in judged.runs])
    predicted = measured * judged.throughput_ratio
    for source in sorted({r.source for r in judged.runs}):
        rows = np.asarray([r.source == source for r in judged.runs])
        axes.loglog(measured[rows], predicted[rows], "o", markersize=3.5, alpha=0.7, label=source)
    ends = np.asarray([np.nanmin(measured) / 1.3, np.nanmax(measured) * 1.3])
    axes.loglog(ends, ends, color="0.3", linewidth=0.8)
    for share in (0.8, 1.25):
        axes.loglog(ends, ends * share, color="0.7", linewidth=0.6, linestyle="--")
    axes.set_xlabel("measured, tokens/s a GPU")
    axes.set_ylabel("predicted, tokens/s a GPU (dashed: 25 % off)")
    axes.set_title(LEFT_OUT[judged.leave_out], fontsize=10)
    axes.legend(frameon=False)
    _save(figure, path, kind, "predicted against measured")


def _signed(share: float) -> str:
    return f"{share:+.1%}".replace("%", " %")
