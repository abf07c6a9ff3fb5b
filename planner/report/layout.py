"""Laying words and numbers out on a terminal: wrapping, columns, bars and the few colours that carry a meaning.

What is drawn here is worded in the language that is being shown.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from planner.words import said, worded

_STYLES = {"bold": "1", "dim": "2", "bad": "31", "good": "32", "warn": "33"}
WORD = 20  # columns: longer words may be broken
_JOINTS = "-_/:.,"  # behind which a name too long for its column is cut
_OPENS = "([{（［【「『〈《“‘"  # what a line does not end with
_CLOSES = ")]}）］】」』〉》”’,.;:!?，。；：！？、…%"  # and what it does not begin with


@dataclass(frozen=True, slots=True)
class Page:
    """What is written on: columns wide, and with colour or without."""

    width: int
    colour: bool = False

    def styled(self, text: str, style: str) -> str:
        """`text` in a style (bold, dim, good, warn, bad), or as it is on a page without colour."""
        return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if self.colour and style and text else text

    def heading(self, text: str) -> str:
        return self.styled(text, "bold")


def clean(text: str) -> str:
    """`text` on one line and without control characters: names come from files that anybody may have written."""
    return "".join(char for char in " ".join(worded(text).split()) if char.isprintable())


def heads(*names: str) -> list[str]:
    """The headings of a table's columns, by their names in `labels`; "" is a column without."""
    return [said(f"labels.{name}") if name else "" for name in names]


def display_width(text: str) -> int:
    """Terminal columns of `text`: wide characters take two, combining marks none."""
    return sum(0 if unicodedata.combining(char) else 2 if _wide(char) else 1 for char in text)


def wrap(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` columns, broken at spaces, between ideographs, and inside longer words."""
    lines: list[str] = []
    line = ""
    for gap, word in _words(clean(text)):
        joined = f"{line}{gap}{word}" if line else word
        if display_width(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        *full, line = _pieces(word, width)
        lines.extend(full)
    return [*lines, line] if line or not lines else lines


def _words(text: str) -> list[tuple[str, str]]:
    """What a line may begin with, behind its space: words, a sign of percent kept with its number; ideographs."""
    words: list[tuple[str, str]] = []
    for word in text.split(" "):
        if word.startswith("%") and words:
            words[-1] = words[-1][0], f"{words[-1][1]} {word}"
            continue
        first, *rest = _ideographs(word)
        words += [(" ", first), *(("", part) for part in rest)]
    return words


def _ideographs(word: str) -> list[str]:
    """A word cut beside its ideographs, but behind what opens and before what closes."""
    parts = [word[:1]]
    for before, char in pairwise(word):
        if (_wide(before) or _wide(char)) and before not in _OPENS and char not in _CLOSES:
            parts.append(char)
        else:
            parts[-1] += char
    return parts


def _wide(char: str) -> bool:
    return unicodedata.east_asian_width(char) in "WF"


def hanging(label: str, text: str, page: Page, indent: int = 2, label_width: int = 16) -> list[str]:
    """A label in its own column and `text` wrapped beside it."""
    left = indent + label_width
    lines = wrap(text, page.width - left)
    first = " " * indent + _pad(clean(label), label_width - 1, "l") + " " + lines[0]
    return [first, *(" " * left + line for line in lines[1:])]


def labelled(name: str, text: str, page: Page) -> list[str]:
    """A text beside its label, by that one's name in `labels`; nothing where there is no text."""
    return hanging(said(f"labels.{name}"), text, page) if text else []


def indented(text: str, page: Page) -> list[str]:
    """`text` wrapped, two columns from the edge."""
    return [f"  {line}" for line in wrap(text, page.width - 2)]


def section(code: str, lines: Sequence[str], page: Page) -> list[str]:
    """Lines below their heading, which is the sentence of a code; nothing where there are none."""
    return [page.heading(said(code)), *lines] if lines else []


def screen(blocks: Iterable[Sequence[str]]) -> str:
    """Blocks of lines with an empty line between them, those of no line left out; ends in a newline."""
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def bullets(texts: Iterable[str], page: Page, style: str = "") -> list[str]:
    """One item a line, wrapped behind its dash."""
    out: list[str] = []
    for text in texts:
        lines = wrap(text, page.width - 4)
        marked = ["  - " + lines[0], *("    " + line for line in lines[1:])]
        out.extend(page.styled(line, style) for line in marked)
    return out


def columns(
    rows: Sequence[Sequence[str]],
    align: str,
    page: Page,
    *,
    header: bool = True,
    flexible: int | None = None,
    least: int = 8,
) -> list[str]:
    """Rows as aligned columns, two spaces apart and two from the edge.

    Parameters
    ----------
    rows : sequences of one length
        The first is the header when `header`.
    align : str
        `l` or `r` a column.
    flexible : int, optional
        The column that is wrapped into what the others leave.
    least : int
        What the flexible column keeps, and its longest word up to WORD; if that is not enough, the widest ones give
        way.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    if header:  # a long heading is wrapped at its spaces, so that what stands in a column decides how wide it is
        words = [max([min(display_width(cell), 8), *map(display_width, cell.split(" "))]) for cell in cells[0]]
        natural = [max([words[i], *(display_width(row[i]) for row in cells[1:])]) for i in range(len(align))]
    else:
        natural = [max(display_width(row[i]) for row in cells) for i in range(len(align))]
    if flexible is not None:
        longest = max(display_width(word) for row in cells for _, word in _words(row[flexible]))
        least = max(least, min(longest, WORD))
    widths = _fitted(natural, page.width - 2 * len(align), flexible, least)
    out: list[str] = []
    for number, row in enumerate(cells):
        wrapped = [wrap(cell, widths[i]) for i, cell in enumerate(row)]
        for part in range(max(len(lines) for lines in wrapped)):
            texts = (lines[part] if part < len(lines) else "" for lines in wrapped)
            line = "  " + "  ".join(_pad(text, widths[i], align[i]) for i, text in enumerate(texts))
            out.append(page.styled(line.rstrip(), "dim" if header and number == 0 else ""))
    return out


def _fitted(natural: Sequence[int], room: int, flexible: int | None, least: int) -> list[int]:
    """Column widths that fit: the flexible column gives way first, down to `least`, then whichever is widest."""
    widths = list(natural)
    if flexible is not None:
        widths[flexible] = max(
            min(least, natural[flexible]), min(natural[flexible], room - sum(widths) + widths[flexible])
        )
    while sum(widths) > room and max(widths) > 1:
        widths[widths.index(max(widths))] -= 1
    return widths


def bar(share: float, width: int) -> str:
    """A bar `width` columns long, filled to `share` (0 to 1; more is full)."""
    filled = round(max(0.0, min(1.0, share)) * width)
    return "█" * filled + "░" * (width - filled)


def _pad(text: str, width: int, align: str) -> str:
    space = " " * (width - display_width(text))
    return space + text if align == "r" else text + space


def _pieces(word: str, width: int) -> list[str]:
    """A word in pieces of at most `width` columns, cut behind a joint such as "-" where one is in its second half."""
    pieces = [""]
    for char in word:
        if pieces[-1] and display_width(pieces[-1] + char) > width:
            full = pieces.pop()
            cut = max(full.rfind(joint) for joint in _JOINTS) + 1
            cut = cut if 2 * cut >= len(full) else len(full)
            pieces += [full[:cut], full[cut:]]
        pieces[-1] += char
    return pieces
