"""What `planner validate` found, for people: figures, groups, worst rows, and predicted against measured as a chart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from planner.performance.validation import Judged
from planner.report.charts import new_figure
from planner.report.figures import percent, written_percent
from planner.report.layout import Page, columns, heads, labelled, wrap
from planner.units import format_count
from planner.words import Sentence, phrase, said

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE = 105  # columns from which a row's release has a column of its own


def validation_table(found: Mapping[str, Any], width: int, colour: bool = False) -> str:
    """The report of `validation.report` on a page of this width, ending in a newline."""
    page = Page(width, colour)
    regret = found["regret"]
    left_out = said(f"validation.left_out_{found['leave_out']}")
    title = said("validation.title", predicted=found["predicted"], rows=found["rows"], left_out=left_out)
    lines = [
        *map(page.heading, wrap(title, width)),
        *labelled("median_error", percent(found["mdape"]), page),
        *labelled("mean_error", percent(found["mape"]), page),
        *labelled("most_rows", said("validation.within", error=found["p90_ape"]), page),
        *labelled("bias", said("validation.bias", bias=_signed(found["bias"])), page),
        *labelled("intervals", said("validation.hold", share=found["coverage80"]), page),
    ]
    each = found["by_source"]
    if each["sources"] > 1:
        figures = {"mdape": each["mdape"], "bias": _signed(each["bias"]), "coverage": each["coverage80"]}
        counts = {"sources": each["sources"], "under_half": each["under_half"], "many": each["of_many"]}
        lines += labelled("each_once", said("validation.by_source", **figures, **counts), page)
    if regret["contests"]:
        lost = {"mean": regret["mean"], "contests": regret["contests"], "worst": regret["worst"]}
        lines += labelled("regret", said("validation.regret", **lost), page)
    worst = [page.heading(said("validation.worst")), *_worst(found["worst"], page)]
    return "\n".join([*lines, "", *_groups(found["by"], page), "", *worst]) + "\n"


def _groups(groups: Iterable[Mapping[str, Any]], page: Page) -> list[str]:
    """Figures by source, accelerator, model and precision, each kind named once."""
    rows = [heads("by", "", "rows", "median", "p90", "bias", "in_interval")]
    kind = ""
    for entry in groups:
        named = ("" if entry["by"] == kind else phrase("labels", entry["by"]), entry["group"], f"{entry['rows']:,}")
        figures = (_share(entry["mdape"]), _share(entry["p90_ape"]), _signed(entry["bias"]))
        rows.append([*named, *figures, written_percent(entry["coverage80"], ".0%")])
        kind = entry["by"]
    return columns(rows, "llrrrrr", page, flexible=1)


def _worst(entries: Sequence[Mapping[str, Any]], page: Page) -> list[str]:
    """The rows furthest off, one a line; a narrow page leaves out the release, which the row's table states."""
    rows = [heads("row", "model", "gpus", "release", "measured", "predicted", "error")]
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
    figure = new_figure(said("validation.figure"), 6.0)
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
    axes.set_xlabel(said("validation.measured_axis"))
    axes.set_ylabel(said("validation.predicted_axis"))
    axes.set_title(said(f"validation.left_out_{judged.leave_out}"), fontsize=10)
    axes.legend(frameon=False)
    return figure


def _signed(share: float) -> Sentence:
    return written_percent(share, "z.1%" if f"{share:z.1%}" == "0.0%" else "+z.1%")


def _share(share: float) -> Sentence:
    return written_percent(share, ".1%")
