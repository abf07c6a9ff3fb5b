"""The proposal's charts, in one visual language: labels beside what they name, units on axes, the plan in bold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.report.frontier_scene import Scene
from planner.report.proposal.svg import BOLD, WIDTH, Drawing, Picture, fitted, hue, text_width, ticks
from planner.units import format_number

ROW = 22.0  # height of a bar and the room around it


@dataclass(frozen=True, slots=True)
class Point:
    """A point in the axes' units; `group` numbers its colour."""

    x: float
    y: float
    group: int
    label: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A row of a range chart: low, middle and high, in the axis' unit."""

    label: str
    low: float
    middle: float
    high: float
    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Bar:
    label: str
    value: float
    text: str
    group: int = 0


@dataclass(frozen=True, slots=True)
class Axes:
    """Words and limits of a chart of two axes."""

    title: str
    description: str
    x: str
    y: str = ""
    x_limit: float | None = None
    x_limit_text: str = ""
    y_limit_text: str = ""


def frontier_chart(scene: Scene, title: str, description: str, chosen: str = "") -> Picture:
    """Time against cost of the plans that no other beats; the one asked for is marked, and named `chosen`."""
    height = 250.0
    left, top, right, bottom = plot = (58.0, 42.0, WIDTH - 14.0, height - 42.0)
    axes = Axes(
        title, description, scene.x.full_title, scene.y.full_title,
        x_limit_text=scene.x.budget_text if scene.x.end else "",
        y_limit_text=scene.y.budget_text if scene.y.end else "",
    )  # fmt: skip
    d = Drawing(height, title, description)

    def x(value: float) -> float:
        return left + (right - left) * scene.x.share(value)

    def y(value: float) -> float:
        return bottom - (bottom - top) * scene.y.share(value)

    _scales(d, axes, plot, _marks(scene.x.ticks(8), x, 34), _marks(scene.y.ticks(5), y, 14))
    x_limit = x(scene.x.budget) if scene.x.drawn and scene.x.budget is not None else None
    y_limit = y(scene.y.budget) if scene.y.drawn and scene.y.budget is not None else None
    _limit_lines(d, x_limit, y_limit, plot)
    steps: list[tuple[float, float]] = []
    for spot in scene.stairs:
        steps += [(x(spot.x), steps[-1][1])] if steps else []
        steps.append((x(spot.x), y(spot.y)))
    if len(steps) > 1:
        d.line(steps, "soft", 1)
    for spot in scene.spots:
        d.dot(x(spot.x), y(spot.y), hue(spot.offer), 2.6)
    _offers(d, scene)
    marked = scene.chosen
    if marked is not None:
        d.dot(x(marked.x), y(marked.y), "ink", 6.5, hollow=True)
        d.dot(x(marked.x), y(marked.y), hue(marked.offer), 4)
        d.name(x(marked.x), y(marked.y), chosen, plot, bold=True)
    _limit_names(d, x_limit, y_limit, axes, (left, top - 16, right, bottom))
    return d.picture()


Mark = tuple[float, str]  # where it stands, and its label
Plot = tuple[float, float, float, float]  # left, top, right, bottom of where data is drawn


def _scales(d: Drawing, axes: Axes, plot: Plot, along: Sequence[Mark], up: Sequence[Mark]) -> None:
    """Both axes: ticks along the plot, lines across it where they stand, and the axes' names."""
    left, _, right, bottom = plot
    for at, text in up:
        d.line([(left, at), (right, at)], "grid")
        d.text(left - 6, at + 4, text, "soft", "end")
    for at, text in along:
        d.line([(at, bottom), (at, bottom + 4)], "soft")
        d.text(at, bottom + 17, text, "soft", "middle")
    d.text(right, d.height - 6, axes.x, "ink", "end")
    d.text(4, 13, axes.y, "ink")


def _limit_lines(d: Drawing, x: float | None, y: float | None, plot: Plot) -> None:
    """The limits as dashed lines at `x` and `y`, where they are in the plot."""
    left, top, right, bottom = plot
    if x is not None:
        d.line([(x, top), (x, bottom)], "limit", 1, "5 3")
    if y is not None:
        d.line([(left, y), (right, y)], "limit", 1, "5 3")


def _limit_names(d: Drawing, x: float | None, y: float | None, axes: Axes, plot: Plot) -> None:
    """The limits' names at their lines; a limit that lies beyond the plot (None) is named at its edge, with an arrow.

    Last of all, so that they stand where nothing is drawn.
    """
    left, top, right, bottom = plot
    if axes.x_limit_text:
        at = (right, top + 8) if x is None else (x, bottom - 14)
        d.name(*at, axes.x_limit_text + (" →" if x is None else ""), plot)
    if axes.y_limit_text:
        at = (left, top + 8) if y is None else (left, y)
        d.name(*at, axes.y_limit_text + (" ↑" if y is None else ""), plot)


def _offers(d: Drawing, scene: Scene) -> None:
    """Each colour in use and its name, in a row over the plot, right of the axis's name."""
    at, room = WIDTH - 14.0, WIDTH - max(130.0, text_width(scene.y.full_title) + 16.0)
    present = sorted({spot.offer for spot in scene.spots})
    each = room / len(present) - 26
    wide = sum(text_width(scene.offers[n]) + 26 for n in present) > room
    for number in reversed(present):
        text = fitted(scene.offers[number], each) if wide else scene.offers[number]
        at -= text_width(text)
        d.text(at, 13, text, "ink")
        d.dot(at - 9, 9, hue(number), 4)
        at -= 26


def _wide(text: str, bold: bool) -> float:
    return text_width(text) * (BOLD if bold else 1.0)


def range_chart(rows: Sequence[Interval], axes: Axes) -> Picture:
    """One line a row: low to high, the middle as a dot; the limit dashed through all."""
    label = min(max([_wide(r.label, r.strong) for r in rows] + [60]) + 14, WIDTH * 0.42)
    value = max([_wide(r.text, r.strong) for r in rows] + [20]) + 14
    top, bottom = 24.0, 36.0
    height = top + ROW * len(rows) + bottom
    d = Drawing(height, axes.title, axes.description)
    left, right = label, WIDTH - value
    dearest = max(r.high for r in rows)
    limit = axes.x_limit if axes.x_limit and axes.x_limit <= 1.6 * dearest else None
    high = max(dearest, limit or 0.0) * 1.04

    def x(at: float) -> float:
        return left + (right - left) * at / high

    for at, text in _marks(ticks(high, 6), x, 40):
        d.line([(at, top), (at, height - bottom)], "grid")
        d.text(at, height - bottom + 15, text, "soft", "middle")
    d.text(right, height - 4, axes.x, "ink", "end")
    if limit:
        d.line([(x(limit), top - 4), (x(limit), height - bottom)], "limit", 1, "5 3")
        half = text_width(axes.x_limit_text) / 2
        d.text(min(max(x(limit), half), WIDTH - half), top - 9, axes.x_limit_text, "ink", "middle")
    elif axes.x_limit:
        d.text(right, top - 10, axes.x_limit_text + " →", "ink", "end")
    for number, row in enumerate(rows):
        y = top + ROW * (number + 0.5)
        role = "c1" if row.strong else "c0"
        d.text(0, y + 4, fitted(row.label, (label - 8) / (BOLD if row.strong else 1.0)), "ink", bold=row.strong)
        d.line([(x(row.low), y), (x(row.high), y)], role, 5 if row.strong else 4)
        d.dot(x(row.middle), y, "ink", 4)
        d.text(WIDTH, y + 4, row.text, "ink", "end", bold=row.strong)
    return d.picture()


def bar_chart(rows: Sequence[Bar], axes: Axes) -> Picture:
    """Bars from zero, longest label to the left, value at the end."""
    label = min(max([text_width(r.label) for r in rows] + [60]) + 12, WIDTH * 0.5)
    value = max([text_width(r.text) for r in rows] + [20]) + 10
    height = 8 + ROW * len(rows) + 24
    d = Drawing(height, axes.title, axes.description)
    high = max([r.value for r in rows] + [1e-300])
    for number, row in enumerate(rows):
        y = 8 + ROW * number
        long = (WIDTH - label - value) * row.value / high
        d.text(0, y + 15, fitted(row.label, label - 8), "ink")
        d.rect(label, y + 3, max(long, 1.0), ROW - 7, hue(row.group))
        d.text(label + max(long, 1.0) + 6, y + 15, row.text, "ink")
    d.line([(label, 6), (label, 8 + ROW * len(rows))], "soft")
    d.text(label, height - 4, axes.x, "soft")
    return d.picture()


def stacked_chart(parts: Sequence[Bar], capacity: float, capacity_text: str, axes: Axes) -> Picture:
    """One bar of parts against a capacity, each part named below in its colour."""
    names = [f"{part.label} {part.text}" for part in parts]
    rows: list[list[int]] = [[]]
    used = 0.0
    for number, name in enumerate(names):
        wide = text_width(name) + 30
        if rows[-1] and used + wide > WIDTH:
            rows.append([])
            used = 0.0
        rows[-1].append(number)
        used += wide
    height = 58 + 20 * len(rows) + 18
    d = Drawing(height, axes.title, axes.description)
    scale = (WIDTH - 6) / max(capacity, sum(part.value for part in parts))
    at = 0.0
    for number, part in enumerate(parts):
        d.rect(at, 20, part.value * scale, 26, hue(number))
        at += part.value * scale
    d.line([(capacity * scale, 12), (capacity * scale, 52)], "limit", 1.5, "5 3")
    d.text(max(capacity * scale, text_width(capacity_text)), 9, capacity_text, "ink", "end")
    for line, row in enumerate(rows):
        at = 0.0
        for number in row:
            d.rect(at, 60 + 20 * line, 10, 10, hue(number))
            d.text(at + 15, 69 + 20 * line, names[number], "ink")
            at += text_width(names[number]) + 30
    d.text(0, height - 3, axes.x, "soft")
    return d.picture()


def chance_chart(curve: Sequence[tuple[float, float]], marks: Sequence[Point], axes: Axes) -> Picture:
    """Chance (0 to 1) of being done by a time; marks are points on it with their words."""
    height, left, right, top, bottom = 200.0, 48.0, 16.0, 30.0, 42.0
    d = Drawing(height, axes.title, axes.description)
    low = min(p[0] for p in curve)
    last = max(p[0] for p in curve)
    limit = axes.x_limit if axes.x_limit and axes.x_limit <= last + 0.6 * (last - low) else None
    high = max(last, limit or 0.0)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)

    def x(value: float) -> float:
        return left + (WIDTH - left - right) * (value - low) / (high - low or 1.0)

    def y(value: float) -> float:
        return height - bottom - (height - top - bottom) * value

    up = [(y(tick), f"{tick * 100:.0f}%") for tick in (0.0, 0.25, 0.5, 0.75, 1.0)]
    _scales(d, axes, (left, top, WIDTH - right, height - bottom), _marks(ticks(high, 7, low), x, 34), up)
    if limit:
        d.line([(x(limit), top), (x(limit), height - bottom)], "limit", 1, "5 3")
    d.line([(x(a), y(b)) for a, b in curve], "c0", 2.2)
    for mark in marks:
        d.dot(x(mark.x), y(mark.y), hue(mark.group), 4.5)
    plot = (left, top - 8, WIDTH - right, height - bottom)
    for mark in marks:
        d.name(x(mark.x), y(mark.y), mark.label, plot)
    _limit_names(d, x(limit) if limit else None, None, axes, plot)
    return d.picture()


def _marks(values: Sequence[float], place: Callable[[float], float], room: float) -> list[Mark]:
    """Places of round values and their labels; those that would run into the one before are left out."""
    out: list[Mark] = []
    for value in values:
        if not out or abs(place(value) - out[-1][0]) >= room:
            out.append((place(value), format_number(value, 3)))
    return out
