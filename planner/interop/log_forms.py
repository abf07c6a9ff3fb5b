"""What a log without a known line is told: the lines that are known, and the one of its own that comes nearest.

A log is looked through once more for that, no further than `_MOST` bytes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.interop.file_kinds import configuration_of
from planner.interop.files import shown
from planner.words import say

_MOST = 4 << 20
_LINE = 2000  # bytes of a line that are looked at
_ANSI = re.compile(rb"\x1b\[[0-9;?]{0,32}[ -/]{0,4}[@-~]")
#: Lines of another program's steps that make a log one that cannot be read, whatever else is in it.
LEAST_STEPS = 3
# What both programs print when they start or resume, and only then.
MARKS = (b"oading checkpoint", b"training ...", b"using world size", b"building GPT")
_STEP_SIGNS = (
    re.compile(rb"(?:step|iter)(?:ation)?s?\b[^\n\d]{0,20}\d", re.IGNORECASE),
    re.compile(rb"loss\b[\"']?\s{0,4}[:=]?\s{0,4}[\"']?-?\d", re.IGNORECASE),
    re.compile(rb"(?:time|elapsed|speed|tps|throughput|samples/s|tokens/s|it/s)\b[^\n\d]{0,24}\d", re.IGNORECASE),
    re.compile(rb"(?:epoch|lr|learning[_ ]rate)\b[\"']?\s{0,4}[:=]?\s{0,4}[\"']?\d", re.IGNORECASE),
)
_DATA_SIGNS = (
    re.compile(rb"samples?\b[^\n\d]{0,20}\d", re.IGNORECASE),
    re.compile(rb"epochs?\b[^\n\d]{0,20}\d", re.IGNORECASE),
    re.compile(rb"total|dataset|documents|train", re.IGNORECASE),
    re.compile(rb"sequence length|index", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a log holds: its lines that are not blank, those that look like steps, and whether a program said it began.

    `nearest` is the line with the most of what a known line has, `line` where it stands (from 1); "" and 0 if there is
    none that has anything of it.
    """

    lines: int
    steps: int
    began: bool
    nearest: str
    line: int

    @property
    def quoted_nearest(self) -> str:
        """The clause that quotes the nearest line, "" if there is none."""
        return say("log_forms.nearest", line=self.line, text=self.nearest) if self.line else ""


def look_through(path: Path, signs: Sequence[re.Pattern[bytes]] = _STEP_SIGNS) -> Seen:
    """The first `_MOST` bytes of a log, line by line. A file that cannot be read has no lines."""
    lines = steps = best = line = 0
    began, nearest = False, b""
    for number, raw in enumerate(_lines(path), 1):
        text = _ANSI.sub(b"", raw[:_LINE]).strip()
        if not text:
            continue
        lines += 1
        began = began or any(mark in text for mark in MARKS)
        has = sum(sign.search(text) is not None for sign in signs)
        steps += has >= 2
        if has > best:
            best, nearest, line = has, text, number
    return Seen(lines, steps, began, shown(nearest.decode("utf-8", "replace"), 120), line)


def no_known_step(path: Path, *, waits: bool = False) -> str:
    """Why a log that told no step cannot be read, "" if its first step may be yet to come.

    An empty log waits for its run, and so does one in which a run of a known program begins. With `waits`, as for a log
    that is followed, other lines are waited through too, until some look like steps.
    """
    seen = look_through(path)
    if not seen.lines or (seen.began or waits) and seen.steps < LEAST_STEPS:
        return ""
    kind = configuration_of(b"\n".join(_lines(path)).decode("utf-8", "replace"))
    if kind and seen.steps < LEAST_STEPS:
        return say("log_forms.another_kind", file=shown(path, 200), kind=kind, forms=say("log_forms.step_forms"))
    values = {"file": shown(path, 200), "nearest": seen.quoted_nearest, "forms": say("log_forms.step_forms")}
    if seen.lines == 1:
        return say("log_forms.one_line", **values)
    return say("log_forms.no_line", lines=seen.lines, **values)


def no_known_data(path: Path) -> str:
    """Why a log says nothing of its training samples."""
    seen = look_through(path, _DATA_SIGNS)
    file, forms = shown(path.name, 200), say("log_forms.data_forms")
    return say("log_forms.no_data", file=file, nearest=seen.quoted_nearest, forms=forms)


def _lines(path: Path) -> list[bytes]:
    try:
        if not path.is_file():  # a pipe is read once
            return []
        with path.open("rb") as file:
            return re.split(rb"[\r\n]", file.read(_MOST))
    except (OSError, ValueError):
        return []
