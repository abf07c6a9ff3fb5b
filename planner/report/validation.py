"""What `planner validate` found, for people: figures, groups, worst rows, and predicted against measured as a chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.performance.validation import Judged
from planner.report.charts import new_figure
from planner.report.layout import Page, columns, hanging, wrap
from planner.units import format_count, format_percent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 105  # columns from which a row's release has a column of its own
LEFT_OUT = {
    "configuration": "each row's configuration left out, in all its releases",
    "row": "each row left out",
    "group": "each row's model, accelerator and precision left out",
    "model": "each row's model left out, on whatever its stack ran it",
    "source": "each row's whole source left out",
    "site": "each row's whole site left out, in all its sources",
    "stack": "all that each row's software stack ran left out",
    "part": "all that ran on each row's accelerator left out",
    "none": "nothing left out: the calibration may have seen these rows",
}


def validation_table(found: Mapping[str, Any], width: int, colour: bool = False) -> str:
    """The report of `validation.report` on a page of this width, ending in a newline."""
    page = Page(width, colour)
    regret = found["regret"]
    title = f"{found['predicted']} of {found['rows']} rows, {LEFT_OUT[found['leave_out']]}"
    lines = [
        *map(page.heading, wrap(title, width)),
        *hanging("median error", format_percent(found["mdape"]), page),
        *hanging("mean error", format_percent(found["mape"]), page),
        *hanging("90 % of rows", f"within {format_percent(found['p90_ape'])}", page),
        *hanging("bias", f"{_signed(found['bias'])} (median; above 0 is predicted too fast)", page),
        *hanging("80 % intervals", f"hold {format_percent(found['coverage80'])} of the rows", page),
    ]
    each = found["by_source"]
    if each["sources"] > 1:
        lines += hanging(
            "each once",
            f"of {each['sources']} sources: median error {format_percent(each['mdape'])}, bias {_signed(each['bias'])},"
            f" intervals hold {format_percent(each['coverage80'])}; under half in {each['under_half']} of"
            f" {each['of_many']} sources of eight rows and more",
            page,
        )
    if regret["contests"]:
        lost = f"{format_percent(regret['mean'])} on the mean of {regret['contests']} sets of layouts"
        lines += hanging("regret", f"{lost}, {format_percent(regret['worst'])} at worst", page)
    worst = [page.heading("Worst, in tokens/s a GPU"), *_worst(found["worst"], page)]
    return "\n".join([*lines, "", *_groups(found["by"], page), "", *worst]) + "\n"


def _groups(groups: Iterable[Mapping[str, Any]], page: Page) -> list[str]:
    """Figures by source, accelerator, model and precision, each kind named once."""
    rows = [["by", "", "rows", "median", "p90", "bias", "in 80 %"]]
    kind = ""
    for entry in groups:
        named = ("" if entry["by"] == kind else entry["by"], entry["group"], f"{entry['rows']:,}")
        figures = (_share(entry["mdape"]), _share(entry["p90_ape"]), _signed(entry["bias"]))
        rows.append([*named, *figures, f"{entry['coverage80']:.0%}".replace("%", " %")])
        kind = entry["by"]
    return columns(rows, "llrrrrr", page, flexible=1)


def _worst(entries: Sequence[Mapping[str, Any]], page: Page) -> list[str]:
    """The rows furthest off, one a line; a narrow page leaves out the release, which the row's table states."""
    rows = [["row", "model", "GPUs", "release", "measured", "predicted", "error"]]
    for entry in entries:
        row = [entry["id"], entry["model"], f"{entry['gpus']:,} {entry['gpu'].split('-')[0]}", entry["release"]]
        row += [f"{entry[f'{kind}_tokens_per_s_per_gpu']:,.0f}" for kind in ("measured", "predicted")]
        rows.append([*row, _signed(entry["error"])])
    if page.width >= WIDE:
        return columns(rows, "llllrrr", page, flexible=3)
    return columns([[*row[:3], *row[4:]] for row in rows], "lllrrr", page, flexible=1)


def validation_figure(judged: Judged) -> Figure:
    """Predicted against measured tokens a second and GPU, both logarithmic, one colour a source.

    Raises
    ------
    PlannerError
        If matplotlib is not there.
    """
    figure = new_figure("predicted against measured", 6.0)
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

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
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: format_count(round(value))))
    axes.set_xlabel("measured, tokens/s a GPU")
    axes.set_ylabel("predicted, tokens/s a GPU (dashed: 25 % too fast, 20 % too slow)")
    axes.set_title(LEFT_OUT[judged.leave_out], fontsize=10)
    axes.legend(frameon=False)
    return figure


def _signed(share: float) -> str:
    text = f"{share:+z.1%}".replace("%", " %")
    return text.removeprefix("+") if text == "+0.0 %" else text


def _share(share: float) -> str:
    return f"{share:.1%}".replace("%", " %")
