"""A frontier drawn on a terminal: marks for plans, a fine line through them, the budget as a box, the plan chosen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from planner.money import in_its_money
from planner.report.frontier_scene import Axis, Scene, Spot, scene_of, tick_text
from planner.report.layout import Page, clean, display_width, wrap
from planner.results.answers import Frontier
from planner.words import said

MARKS = "●▲■◆○△□◇"  # told apart without colour
_HUES = ("36", "33", "32", "35", "34", "31")  # ANSI, by offer; the terminal's own theme says how they look
_CHOSEN = "◉"
_PLAIN = str.maketrans("●▲■◆○△□◇◉┤│└─┬╌╎╮×", "oAH#vVDX@+|+-+-:+x")
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # of a braille cell, rows down, columns right


@dataclass(slots=True)
class _Canvas:
    """Cells of one character with an ANSI style each; under them a braille grid, two by four a cell."""

    width: int
    height: int
    cells: dict[tuple[int, int], tuple[str, str]] = field(default_factory=dict)
    dots: dict[tuple[int, int], int] = field(default_factory=dict)

    def put(self, column: int, row: int, text: str, style: str = "") -> None:
        for char in text:
            for part in (char, "")[: display_width(char)]:  # a wide character takes the cell behind it too
                if 0 <= column < self.width and 0 <= row < self.height:
                    self.cells[column, row] = part, style
                column += 1

    def free(self, column: int, row: int, length: int) -> bool:
        """Whether nothing is written there, nor drawn beneath."""
        at = [(column + i, row) for i in range(-1, length + 1)]
        inside = column >= 0 and column + length <= self.width and 0 <= row < self.height
        return inside and not any(cell in self.cells or cell in self.dots for cell in at)

    def dot(self, x: int, y: int) -> None:
        cell = x // 2, y // 4
        self.dots[cell] = self.dots.get(cell, 0) | _DOTS[y % 4][x % 2]

    def rows(self, page: Page) -> list[str]:
        out = []
        for row in range(self.height):
            line = ""
            for column in range(self.width):
                dots = self.dots.get((column, row))
                beneath = (" ", "") if dots is None else (chr(0x2800 + dots), "2")
                char, style = self.cells.get((column, row), beneath)
                line += f"\x1b[{style}m{char}\x1b[0m" if page.colour and style and char else char
            out.append(line.rstrip())
        return out


@in_its_money
def frontier_plot(frontier: Frontier, page: Page, *, plain: bool = False) -> list[str]:
    """The drawing's lines, none longer than the page; nothing where there are fewer than two plans, or no price.

    Parameters
    ----------
    plain : bool
        ASCII only, for terminals that cannot show more.
    """
    if not any(plan.offer.priced for plan in frontier.plans):
        return []
    scene = scene_of(frontier)
    if scene is None or len(scene.spots) < 2:
        return []
    gutter = 2 + max(len(tick_text(tick)) for tick in scene.y.ticks(5))
    width, height = page.width - gutter - 3, 18 if page.width >= 100 else 15
    canvas = _Canvas(width, height)
    _box(canvas, scene)
    if not plain:
        _line(canvas, scene)
    _plans(canvas, scene)
    _budget_words(canvas, scene)
    lines = [
        f"  {scene.y.title}",
        *_with_axis(canvas.rows(page), scene.y, gutter, height),
        *_below(scene.x, gutter, width),
        *_key(scene, page),
    ]
    return [line.translate(_PLAIN) for line in lines] if plain else lines


def _cell(axis: Axis, value: float, size: int) -> int:
    return min(size - 1, max(0, round(axis.share(value) * (size - 1))))


def _budget(axis: Axis, size: int) -> int | None:
    """The cell in which the budget ends; None: beyond the axis."""
    return _cell(axis, axis.budget, size) if axis.drawn and axis.budget is not None else None


def _place(canvas: _Canvas, scene: Scene, spot: Spot) -> tuple[int, int]:
    return _cell(scene.x, spot.x, canvas.width), canvas.height - 1 - _cell(scene.y, spot.y, canvas.height)


def _box(canvas: _Canvas, scene: Scene) -> None:
    """The budget's upper and right side; the axes are the others. A side that lies beyond the plot is not drawn."""
    right, up = _budget(scene.x, canvas.width), _budget(scene.y, canvas.height)
    top = None if up is None else canvas.height - 1 - up
    if top is not None:
        canvas.put(0, top, "╌" * (canvas.width if right is None else right), "1")
    if right is not None:
        for row in range(0 if top is None else top, canvas.height):
            canvas.put(right, row, "╎", "1")
    if right is not None and top is not None:
        canvas.put(right, top, "╮", "1")


def _line(canvas: _Canvas, scene: Scene) -> None:
    """The stairs between plans that no other beats: whoever waits until a time pays at least this."""
    wide, high = 2 * canvas.width, 4 * canvas.height
    before: tuple[int, int] | None = None
    for spot in scene.stairs:
        x, y = _fine(scene.x, spot.x, wide, 2), high - 1 - _fine(scene.y, spot.y, high, 4)
        if before is not None:
            for column in range(before[0], x + 1):
                canvas.dot(column, before[1])
            for row in range(before[1], y + 1):
                canvas.dot(x, row)
        before = x, y


def _fine(axis: Axis, value: float, size: int, per_cell: int) -> int:
    """A place in dots, such that it falls into the cell that `_cell` gives."""
    cells = size // per_cell
    at = math.floor((axis.share(value) * (cells - 1) + 0.5) * per_cell)
    return min(size - 1, max(0, at))


def _plans(canvas: _Canvas, scene: Scene) -> None:
    for spot in reversed(scene.spots):
        column, row = _place(canvas, scene, spot)
        style = f"2;{_hue(spot.offer)}" if spot.over else _hue(spot.offer)
        canvas.put(column, row, MARKS[spot.offer % len(MARKS)], style)
    if scene.chosen is not None:
        canvas.put(*_place(canvas, scene, scene.chosen), _CHOSEN, f"1;{_hue(scene.chosen.offer)}")


def _budget_words(canvas: _Canvas, scene: Scene) -> None:
    """Words at the budget box, where they run into nothing."""
    right = _budget(scene.x, canvas.width) or canvas.width
    for text in scene.budget_texts:
        wide = display_width(text)
        for row in range(canvas.height // 2):
            for column in (right - 1 - wide, right + 2):
                if canvas.free(column, row, wide):
                    canvas.put(column, row, text)
                    return


def _with_axis(rows: Sequence[str], axis: Axis, gutter: int, height: int) -> list[str]:
    labels: dict[int, str] = {}
    for tick in axis.ticks(5):
        labels.setdefault(height - 1 - _cell(axis, tick, height), tick_text(tick))
    out = []
    for number, row in enumerate(rows):
        label = labels.get(number, "")
        out.append(f" {label.rjust(gutter - 1)} {'┤' if label else '│'}{row}")
    return out


def _below(axis: Axis, gutter: int, width: int) -> list[str]:
    """The axis under the plot: its line with ticks, their values, and what it tells."""
    line = ["─"] * width
    values = [" "] * (width + gutter)
    free = 0
    for tick in axis.ticks(8):
        at, text = _cell(axis, tick, width), tick_text(tick)
        start = max(0, gutter + at - len(text) // 2)
        if start < free or start + len(text) > len(values):
            continue
        line[at] = "┬"
        values[start : start + len(text)] = text
        free = start + len(text) + 2
    lead = " " * (gutter + 1)
    return [
        f"{lead}└{''.join(line)}",
        "  " + "".join(values).rstrip(),
        " " * max(2, gutter + 2 + width - display_width(axis.title)) + axis.title,
    ]


def _key(scene: Scene, page: Page) -> list[str]:
    """Which mark is which offer, the chosen plan, and budgets that lie beyond the plot."""
    items = [(MARKS[n % len(MARKS)], name, _hue(n)) for n, name in enumerate(scene.offers)]
    lines: list[str] = []
    used = page.width
    for mark, name, hue in items:
        words = clean(name)
        length = display_width(words) + 5
        if used + length > page.width:
            lines.append("")
            used = 0
        shown = f"\x1b[{hue}m{mark}\x1b[0m" if page.colour else mark
        lines[-1] += f"  {shown} {words} "
        used += length
    lines = [line.rstrip() for line in lines]
    if scene.chosen is not None:
        first, *rest = wrap(said("frontier_plot.chosen", plan=clean(scene.chosen_text)), page.width - 4)
        lines += [f"  {_CHOSEN} {first}", *(f"    {line}" for line in rest)]
    return lines


def _hue(offer: int) -> str:
    return _HUES[offer % len(_HUES)]
