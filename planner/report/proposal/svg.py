"""Drawing in SVG: shapes with a role each, so that a page may recolour them for the dark and paper takes them as is."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, quoteattr

from planner.words import said_in

WIDTH = 640.0
FONT = 12.0
BOLD = 1.06  # times as wide
FAMILY = "Noto Sans CJK SC, system-ui, -apple-system, Segoe UI, Roboto, PingFang SC, Microsoft YaHei, sans-serif"
# Okabe and Ito 2008: told apart by everybody; the yellow is left out, too pale for lines on white.
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_INK = {"ink": "#1a1a1a", "soft": "#5c5c5c", "grid": "#dedede", "limit": "#1a1a1a"}


def hue(number: int) -> str:
    """The role of the n-th category: c0, c1 and so on."""
    return f"c{number % len(PALETTE)}"


def colour(role: str) -> str:
    """The colour of a role on white."""
    return _INK.get(role) or PALETTE[int(role[1:])]


@dataclass(frozen=True, slots=True)
class Label:
    """Text in a drawing: its baseline's place, its role, and where it is held (start, middle, end)."""

    x: float
    y: float
    text: str
    role: str
    anchor: str
    bold: bool
    size: float


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished drawing: shapes as SVG, text apart, so that a typesetter may set it in its own fonts."""

    height: float
    title: str
    description: str
    shapes: str
    labels: tuple[Label, ...]

    def svg(self, language: str = "en", *, text: bool = True) -> str:
        """The SVG document, with its text or without; who cannot see it hears its title and description."""
        told = said_in(language, "document.shown_by", title=self.title, description=self.description)
        parts = [self.shapes, *(_label(label) for label in self.labels)] if text else [self.shapes]
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(WIDTH)} {_n(self.height)}" role="img"'
            f" aria-label={quoteattr(told)} font-family={quoteattr(FAMILY)}>" + "".join(parts) + "</svg>"
        )


Box = tuple[float, float, float, float]  # left, top, right, bottom


def box_of(label: Label) -> Box:
    """What a label covers."""
    wide = text_width(label.text, label.size) * (BOLD if label.bold else 1.0)
    left = label.x - {"start": 0.0, "middle": wide / 2, "end": wide}[label.anchor]
    return left, label.y - 0.82 * label.size, left + wide, label.y + 0.22 * label.size


class Drawing:
    """A drawing under construction. Coordinates from the top left; sizes in units of which `WIDTH` fill the width.

    It remembers what is covered, so that `name` finds a free place beside a point: it is called after the shapes.
    """

    def __init__(self, height: float, title: str, description: str) -> None:
        self.height, self.title, self.description = height, title, description
        self._parts: list[str] = []
        self._labels: list[Label] = []
        self._covered: list[Box] = []
        self._strokes: list[tuple[tuple[float, float, float, float], float]] = []  # with how little each may be crossed

    def rect(self, x: float, y: float, width: float, height: float, role: str, opacity: float = 1.0) -> None:
        """A filled rectangle."""
        self._covered.append((x, y, x + max(width, 0.0), y + height))
        faint = "" if opacity == 1 else f' fill-opacity="{_n(opacity)}"'
        self._parts.append(
            f'<rect class="{role}" x="{_n(x)}" y="{_n(y)}" width="{_n(max(width, 0.0))}" height="{_n(height)}"'
            f' fill="{colour(role)}"{faint}/>'
        )

    def line(self, points: Sequence[tuple[float, float]], role: str, width: float = 1.0, dashes: str = "") -> None:
        """A line through points. The grid lies behind all else: names stand on it rather than far away."""
        weight = ON_GRID if role == "grid" else ON_LINE
        self._strokes += [((*a, *b), weight) for a, b in itertools.pairwise(points)]
        path = " ".join(f"{'M' if i == 0 else 'L'}{_n(x)} {_n(y)}" for i, (x, y) in enumerate(points))
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        self._parts.append(
            f'<path class="{role}-line" d="{path}" fill="none" stroke="{colour(role)}"'
            f' stroke-width="{_n(width)}"{dashed}/>'
        )

    def dot(self, x: float, y: float, role: str, radius: float = 3.0, *, hollow: bool = False) -> None:
        """A round mark; hollow ones have an outline only."""
        self._covered.append((x - radius, y - radius, x + radius, y + radius))
        look = f'fill="none" stroke="{colour(role)}" stroke-width="2"' if hollow else f'fill="{colour(role)}"'
        name = f"{role}-line" if hollow else role
        self._parts.append(f'<circle class="{name}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}" {look}/>')

    def text(
        self,
        x: float,
        y: float,
        text: str,
        role: str = "ink",
        anchor: str = "start",
        *,
        bold: bool = False,
        size: float = FONT,
    ) -> None:
        """Text on a baseline; `anchor` start, middle or end."""
        self._labels.append(Label(x, y, text, role, anchor, bold, size))
        self._covered.append(box_of(self._labels[-1]))

    def name(self, x: float, y: float, text: str, within: Box, role: str = "ink", *, bold: bool = False) -> None:
        """Text beside the point (x, y), in the nearest place inside `within` where nothing else is drawn."""
        best: tuple[float, Label] | None = None
        for far in (9.0, 16.0, 26.0, 40.0, 58.0, 80.0, 110.0, 150.0, 200.0, 260.0):
            for across, down, anchor in _SIDES:
                label = Label(x + across * far, y + down * far + 4.0, text, role, anchor, bold, FONT)
                left, _, right, _ = box_of(label)
                aside = max(within[0] - left, 0.0) - max(right - within[2], 0.0)  # rather than beyond the edge
                label = replace(label, x=label.x + aside)
                worth = self._over(box_of(label), within) + FAR * far
                if best is None or worth < best[0]:
                    best = (worth, label)
        assert best is not None  # noqa: S101 - there are sides
        self._labels.append(best[1])
        self._covered.append(box_of(best[1]))

    def _over(self, box: Box, within: Box) -> float:
        """How much a box covers of what is drawn, or stands out of `within`; 0: nothing."""
        left, top, right, bottom = box
        room = grown(box, 1.5)
        out = (
            max(within[0] - left, 0) + max(right - within[2], 0) + max(within[1] - top, 0) + max(bottom - within[3], 0)
        )
        hidden = sum(overlap(room, other) for other in self._covered)
        return 1e4 * out + 1e2 * hidden + sum(weight for stroke, weight in self._strokes if crosses(room, stroke))

    def picture(self) -> Picture:
        """The drawing, done."""
        return Picture(self.height, self.title, self.description, "".join(self._parts), tuple(self._labels))


ON_GRID, ON_LINE, FAR = (
    0.1,
    5.0,
    0.005,
)  # what crossing a line of the grid or another, and a unit's distance, count against a place
# Where a name may stand beside its point: left and above first, since curves here rise to the right.
_SIDES: tuple[tuple[float, float, str], ...] = (
    (-1.0, 0.0, "end"), (1.0, 0.0, "start"), (-0.7, -0.9, "end"), (0.7, 0.9, "start"), (0.7, -0.9, "start"),
    (-0.7, 0.9, "end"), (0.0, -1.5, "middle"), (0.0, 1.5, "middle"), (-1.0, -0.5, "end"), (1.0, -0.5, "start"),
    (-1.0, 0.5, "end"), (1.0, 0.5, "start"), (-0.3, -1.2, "end"), (0.3, -1.2, "start"), (-0.3, 1.2, "end"),
    (0.3, 1.2, "start"), (0.0, -1.5, "end"), (0.0, -1.5, "start"), (0.0, 1.5, "end"), (0.0, 1.5, "start"),
)  # fmt: skip


def grown(box: Box, by: float) -> Box:
    """A box with room around it."""
    return box[0] - by, box[1] - by, box[2] + by, box[3] + by


def overlap(one: Box, other: Box) -> float:
    """The area that two boxes share."""
    wide, high = min(one[2], other[2]) - max(one[0], other[0]), min(one[3], other[3]) - max(one[1], other[1])
    return wide * high if wide > 0 and high > 0 else 0.0


def crosses(box: Box, stroke: tuple[float, float, float, float]) -> bool:
    """Whether a straight line enters a box (Liang and Barsky 1984)."""
    x, y, to_x, to_y = stroke
    first, last = 0.0, 1.0
    for step, room in ((x - to_x, x - box[0]), (to_x - x, box[2] - x), (y - to_y, y - box[1]), (to_y - y, box[3] - y)):
        if step == 0:
            if room < 0:
                return False
        elif step < 0:
            first = max(first, room / step)
        else:
            last = min(last, room / step)
    return first <= last


def _label(label: Label) -> str:
    return (
        f'<text class="{label.role}" x="{_n(label.x)}" y="{_n(label.y)}" fill="{colour(label.role)}"'
        f' text-anchor="{label.anchor}" font-size="{_n(label.size)}" font-weight="{700 if label.bold else 400}">'
        f"{escape(label.text)}</text>"
    )


def text_width(text: str, size: float = FONT) -> float:
    """About how wide text is set: a Chinese character is square, others near half that."""
    return sum(1.0 if ord(c) > 0x2E80 else 0.56 for c in text) * size


def fitted(text: str, width: float, size: float = FONT) -> str:
    """Text cut to a width, with an ellipsis."""
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def ticks(high: float, most: int = 6, low: float = 0.0) -> list[float]:
    """Round values from `low` to `high`, at most so many steps."""
    if high <= low:
        return [low]
    raw = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(raw))
    step = next(m * unit for m in (1, 2, 2.5, 5, 10) if m * unit >= raw * (1 - 1e-9))
    return [step * i for i in range(math.ceil(low / step - 1e-9), int(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """1, 2, 5 times powers of ten between the ends."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    values = [m * 10.0**e for e in range(first, last + 1) for m in (1, 2, 5)]
    return [v for v in values if low * (1 - 1e-9) <= v <= high * (1 + 1e-9)]


def _n(value: float) -> str:
    """A coordinate to a hundredth, without idle zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
