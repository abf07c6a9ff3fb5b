"""A frontier as a chart: SVG and PNG by matplotlib, HTML as a page of its own to point at and filter."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.files import write_atomically
from planner.money import in_its_money
from planner.report.charts import bare, chart_kind, new_figure, save_chart
from planner.report.frontier import axes_words
from planner.report.frontier_page import frontier_page
from planner.report.frontier_scene import FEW_OFFERS, Scene, aim_words, scene_of, tick_text
from planner.report.layout import display_width
from planner.report.proposal.svg import PALETTE
from planner.results.answers import Frontier
from planner.words import said

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKS = ("o", "^", "s", "D")  # told apart without colour
_INK, _SOFT, _RULE, _TINT = "#1a1a1a", "#5c5c5c", "#dedede", "#f3f6f9"
_LINE = 0.045  # height of a line of text, as a share of the plot
_LETTER = 0.0091  # width of a letter of it
_BESIDE_A_KEY = 1.42  # how much wider text is, as a share of the plot, with a key beside it


@in_its_money
def frontier_chart(frontier: Frontier, path: Path) -> None:
    """Draw time against cost of a frontier's plans into `path`: offers by colour and mark, the budget as a box.

    Raises
    ------
    PlannerError
        If matplotlib is not there (a page needs none) or the file cannot be written.
    """
    if chart_kind(path) == "html":
        write_atomically(path, frontier_page(frontier))
    else:
        save_chart(frontier_figure(frontier), path)


@in_its_money
def frontier_figure(frontier: Frontier) -> Figure:
    """Time against cost of a frontier's plans, as `frontier_chart` draws it."""
    name = frontier.provenance.scenario
    figure = new_figure(name)
    axes = figure.add_subplot()
    scene = scene_of(frontier)
    if scene is None:
        axes.set_axis_off()
        axes.text(0, 0.5, said("frontier_chart.nothing"))
    else:
        _draw(axes, scene, aim_words(frontier.goal), sized="gpus" in frontier.axes)
    axes.set_title(f"{name}\n{said('frontier_chart.title', axes=axes_words(frontier))}", loc="left", fontsize=11)
    return figure


def _draw(axes: Axes, scene: Scene, aim: str, *, sized: bool) -> None:
    _lay_out(axes, scene)
    _budget(axes, scene)
    axes.step([s.x for s in scene.stairs], [s.y for s in scene.stairs], where="post", color="#999999", lw=0.9, zorder=2)
    most = max(spot.gpus for spot in scene.spots)
    for number in range(len(scene.offers)):
        colour = PALETTE[number % len(PALETTE)]
        for over in (False, True):
            mine = [spot for spot in scene.spots if spot.offer == number and spot.over is over]
            axes.scatter(
                [spot.x for spot in mine],
                [spot.y for spot in mine],
                s=[8 + 70 * spot.gpus / most if sized else 26 for spot in mine],
                marker=_mark(number),
                facecolors="none" if over else colour,
                edgecolors=colour,
                linewidths=1.2 if over else 0,
                zorder=3,
            )
    if scene.chosen is not None:
        axes.scatter([scene.chosen.x], [scene.chosen.y], s=170, facecolors="none", edgecolors=_INK, lw=1.6, zorder=4)
    _labels(axes, scene, aim)
    if len(scene.offers) > FEW_OFFERS:
        _key(axes, scene)


def _key(axes: Axes, scene: Scene) -> None:
    """Every offer's mark and name beside the plot."""
    from matplotlib.lines import Line2D

    lines = [
        Line2D([], [], linestyle="", marker=_mark(number), color=PALETTE[number % len(PALETTE)], label=name)
        for number, name in enumerate(scene.offers)
    ]
    axes.figure.legend(handles=lines, loc="outside right upper", frameon=False, fontsize=8)


def _letter(scene: Scene) -> float:
    return _LETTER * (_BESIDE_A_KEY if len(scene.offers) > FEW_OFFERS else 1.0)


def _mark(number: int) -> str:
    """The mark of an offer: with its colour, two dozen that differ."""
    return _MARKS[(number + number // len(PALETTE)) % len(_MARKS)]


def _lay_out(axes: Any, scene: Scene) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    for axis, its, limits, scale in (
        (scene.x, axes.xaxis, axes.set_xlim, axes.set_xscale),
        (scene.y, axes.yaxis, axes.set_ylim, axes.set_yscale),
    ):
        scale("log" if axis.log else "linear")
        limits(axis.low, axis.high)
        its.set_major_locator(FixedLocator(axis.ticks(8)))
        its.set_minor_locator(NullLocator())
        its.set_major_formatter(FuncFormatter(lambda value, _: tick_text(value)))
    axes.set_xlabel(scene.x.full_title)
    axes.set_ylabel(scene.y.full_title)
    axes.grid(color=_RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    bare(axes)
    axes.spines[["left", "bottom"]].set_color(_SOFT)
    axes.tick_params(colors=_SOFT)


def _budget(axes: Any, scene: Scene) -> None:
    """The budget as a tinted box; a side beyond the plot is not drawn, and the words tell where it is."""
    if not scene.budget_texts:
        return
    right, top = scene.x.end, scene.y.end
    box = {"transform": axes.transAxes, "zorder": 0.5}
    axes.fill_between([0, right], 0, top, color=_TINT, linewidth=0, **box)
    dashed = {"color": "#444444", "linestyle": "--", "linewidth": 0.9, **box}
    if scene.x.drawn:
        axes.plot([right, right], [0, top], **dashed)
    if scene.y.drawn:
        axes.plot([0, right], [top, top], **dashed)
    right, top = right or 1.0, top or 1.0  # a budget that every plan exceeds is named in the corner
    text = next((text for text in scene.budget_texts if _letter(scene) * display_width(text) + 0.02 < right), None)
    if text is not None:
        y = _budget_words_at(top)
        axes.text(right - 0.008, y, text, ha="right", color=_INK, fontsize=9, transform=axes.transAxes)


def _budget_words_at(top: float) -> float:
    """Above the box, or inside it where it fills the plot."""
    return top + 0.012 if top < 1 - _LINE else top - _LINE


def _labels(axes: Any, scene: Scene, aim: str) -> None:
    """Names beside what they name, up and to the right, where nothing that another plan beats is drawn."""
    dots = [(scene.x.share(spot.x), scene.y.share(spot.y)) for spot in scene.spots]
    for before, spot in pairwise(scene.stairs):  # a step down is in the way of labels too
        low, high = scene.y.share(spot.y), scene.y.share(before.y)
        dots += [(scene.x.share(spot.x), low + (high - low) * part / 12) for part in range(1, 12)]
    wanted: list[tuple[float, float, str, str, str]] = []
    if scene.chosen is not None:
        at = scene.x.share(scene.chosen.x), scene.y.share(scene.chosen.y) + 0.03
        wanted.append((*at, "\n".join((*scene.chosen_words, aim)), _INK, "bold"))
    for number, name in enumerate(scene.offers if len(scene.offers) <= FEW_OFFERS else ()):
        first = next(spot for spot in scene.spots if spot.offer == number)
        colour = PALETTE[number % len(PALETTE)]
        wanted.append((scene.x.share(first.x), scene.y.share(first.y), name, colour, "normal"))
    right, top = scene.x.end or 1.0, _budget_words_at(scene.y.end or 1.0)
    taken = [(max(0.0, right - 0.6), top, right, top + _LINE)] if scene.budget_texts else []
    lines_at = [right] if scene.x.drawn else []
    for x, y, text, colour, weight in wanted:
        rows = text.split("\n")
        wide = max(display_width(row) for row in rows) * _letter(scene) * (1.12 if weight == "bold" else 1)
        box = _free(x, y, wide, _LINE * len(rows), dots, taken, lines_at)
        box = box or _free(x, y, wide, _LINE * len(rows), dots, taken, [])
        if box is not None:
            taken.append(box)
            axes.text(box[0], box[1], text, color=colour, weight=weight, fontsize=9, transform=axes.transAxes)


def _free(
    x: float,
    y: float,
    wide: float,
    high: float,
    dots: list[tuple[float, float]],
    taken: list[tuple[float, float, float, float]],
    lines_at: list[float],
) -> tuple[float, float, float, float] | None:
    """A place for a label near (x, y): left, bottom, right, top as shares of the plot; None: there is none."""
    for step in range(16):
        up, right = y + 0.018 + 0.4 * _LINE * step, x + 0.015 + 0.012 * step
        for left, bottom in (
            (x + 0.012, up),
            (max(0.01, min(x, 0.99 - wide)), up),
            (x - wide - 0.012, up),
            (right, y - 0.4 * _LINE),
        ):
            box = (left, bottom, left + wide, bottom + high)
            inside = box[0] >= 0 and box[2] <= 1 and box[3] <= 0.99
            clear = not any(box[0] - 0.01 < a < box[2] + 0.01 and box[1] - 0.02 < b < box[3] for a, b in dots)
            apart = not any(box[0] < o[2] and o[0] < box[2] and box[1] < o[3] and o[1] < box[3] for o in taken)
            uncrossed = not any(box[0] < line < box[2] for line in lines_at)
            if inside and clear and apart and uncrossed:
                return box
    return None
