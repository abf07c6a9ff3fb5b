"""Charts, the same bytes every time: SVG and PNG by matplotlib, HTML around the SVG."""

from __future__ import annotations

import html
import io
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings, filterwarnings

from planner.files import printable_name, write_atomically
from planner.money import money_of, written_in
from planner.report.figures import Scale, money_scale, time_scale
from planner.report.layout import display_width
from planner.report.proposal.svg import FAMILY
from planner.results.answers import StatedGoal
from planner.results.plan import Plan, Quantiles
from planner.risk.replay import Replay, World
from planner.units import PlannerError
from planner.words import said, say, speaking
from planner.words.languages import forms

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = ("svg", "png", "html")
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # told apart by everybody


_PAPER: dict[str, Any] = {"facecolor": "white", "edgecolor": "none", "pad": 1.0}  # behind a label that crosses a line
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
        raise PlannerError(say("charts.kind", path=printable_name(path), kinds=[f".{kind}" for kind in KINDS]))
    return kind


def distribution_figure(
    found: Replay, plan: Plan | World | None = None, goal: StatedGoal | None = None, name: str = ""
) -> Figure:
    """How long the simulated runs took and what they cost, with the quantiles of `plan` (or as stated) and budgets."""
    plan = plan or found.stated
    stated = (plan.time_s, plan.cost_usd)
    budgets = (None, None) if goal is None else (goal.time_s, goal.cost_usd)
    figure = new_figure(name, height=4.0)
    with written_in(money_of(found)):
        time, cost = time_scale(stated[0].p50), money_scale(stated[1].p50)
    parts = [
        (found.simulated.histogram, stated[0], budgets[0], said("charts.time", unit=time.unit), time),
        (found.simulated.cost_histogram, stated[1], budgets[1], said("charts.cost", unit=cost.unit), cost),
    ][: 2 if found.priced else 1]
    panels = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axes, (bars, quantiles, budget, label, scale) in zip(panels, parts, strict=True):
        shares = [100 * count / found.worlds for _, count in bars]
        _spread(axes, [edge for edge, _ in bars], shares, quantiles, budget, scale, label)
    panels[0].set_ylabel(said("charts.share"))
    title = said("charts.runs_named" if name else "charts.runs", name=name, worlds=found.worlds)
    panels[0].set_title(title, loc="left")
    return figure


def _spread(
    axes: Any,
    edges: Sequence[float],
    shares: Sequence[float],
    stated: Quantiles,
    budget: float | None,
    scale: Scale,
    label: str,
) -> None:
    width = (edges[-1] - edges[0]) / (len(edges) - 1) / scale.size
    left = [edge / scale.size - width for edge in edges]
    axes.bar(left, shares, width=width, align="edge", color=COLOURS[5], edgecolor="white", linewidth=0.3)
    top = max(shares)
    for name, value in zip(("p10", "p50", "p90"), stated, strict=True):
        axes.axvline(value / scale.size, color=COLOURS[0], linewidth=1.0)
        axes.text(value / scale.size, 1.04 * top, name, color=COLOURS[0], ha="center", fontsize=9, bbox=_PAPER)
    if budget is not None:
        axes.axvline(budget / scale.size, **_BUDGET)
        words = said("charts.budget")
        axes.text(budget / scale.size, 1.12 * top, words, color="#444444", ha="center", fontsize=9, bbox=_PAPER)
    axes.set_ylim(0, 1.2 * top)
    axes.set_xlabel(label)
    bare(axes)


def asset(package: str, name: str) -> str:
    """A file of a package's templates: a style, a script."""
    return files(package).joinpath("templates", name).read_text(encoding="utf-8")


def embedded(data: Mapping[str, Any]) -> str:
    """Data for a page's script as JSON that no text in it can leave: `<`, `>` and `&` are written as escapes."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text


def new_figure(title: str, height: float = 5.0) -> Figure:
    """An empty figure; `title` is that of its page, where it is saved as one.

    Raises
    ------
    PlannerError
        If matplotlib is not there.
    """
    try:
        figure = _shown_figure()(figsize=(8, height), layout="constrained")
    except ImportError:
        raise PlannerError(say("charts.no_matplotlib")) from None
    figure.set_label(title)
    return figure


def bare(*panels: Any, grid: str = "", left: bool = True) -> None:
    """No frame around panels: the axes alone (the left one if so asked), and a pale grid along `grid` (x, y, both)."""
    for axes in panels:
        if grid:
            axes.grid(axis=grid, color="#dddddd", linewidth=0.6)
        axes.spines[["top", "right"] if left else ["top", "right", "left"]].set_visible(False)


def _as_written(figure: Figure) -> None:
    """Dollar signs of names are no formulas: only the powers that logarithmic axes write on their ticks are.

    Chinese is set in a font that has it, where the machine has one.
    """
    from matplotlib import rcParams
    from matplotlib.text import Text
    from matplotlib.ticker import LogFormatter

    powers: set[Any] = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            if isinstance(axis.get_major_formatter(), LogFormatter):
                powers.update(axis.get_ticklabels(which="both"))
    for text in figure.findobj(Text):
        if text not in powers:
            text.set_parse_math(False)
        if not text.get_text().isascii() and display_width(text.get_text()) > len(text.get_text()):
            text.set_fontfamily([*rcParams["font.family"], *_chinese_fonts()])


@cache
def _chinese_fonts() -> list[str]:
    """Those of the machine, else that of the PDF proposals where they are installed."""
    from matplotlib.font_manager import fontManager

    known = [name for name in FAMILY.split(", ") if name in fontManager.get_font_names()]
    with suppress(ImportError):
        import manimgx_fonts_cjk

        for path in Path(manimgx_fonts_cjk.__file__).parent.glob("*.ttc") if not known else ():
            fontManager.addfont(path)
            faces = [face for face in fontManager.ttflist if face.fname == str(path)]
            face = next((face for face in faces if face.name.endswith(" SC")), faces[0])
            fontManager.ttflist += [replace(face, weight=weight) for weight in (400, 700)]  # it is of every weight
            known.append(face.name)
    return known


@cache
def _shown_figure() -> type[Figure]:
    """Figures that a notebook shows by themselves, without pyplot."""
    from matplotlib.figure import Figure

    class ShownFigure(Figure):
        def draw(self, renderer: Any) -> None:
            _as_written(self)
            super().draw(renderer)

        def _repr_png_(self) -> bytes:
            buffer = io.BytesIO()
            self.savefig(buffer, format="png", dpi=100)
            return buffer.getvalue()

    return ShownFigure


def save_chart(figure: Figure, path: Path) -> None:
    """Save a figure as the kind of chart that a file's name asks for: equal figures are equal files.

    No date, no version and no random names go in.

    Raises
    ------
    PlannerError
        As `chart_kind`, or if the file cannot be written.
    """
    import matplotlib as mpl

    kind = chart_kind(path)
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "planner", "svg.fonttype": "none"}), catch_warnings():
        filterwarnings("ignore", "Glyph")  # of a font that lacks it: who looks at an SVG has their own
        if kind == "png":
            figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
        else:
            figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    content: str | bytes = buffer.getvalue()
    if kind == "html":
        drawing = buffer.getvalue().decode()
        drawing = drawing[drawing.index("<svg") :]
        title = html.escape(str(figure.get_label()))
        language = forms(speaking()).form("lang")
        page = f'<!doctype html>\n<html lang="{language}"><head><meta charset="utf-8"><title>{title}</title></head>'
        content = f"{page}\n<body>\n{drawing}</body></html>\n"
    write_atomically(path, content)
