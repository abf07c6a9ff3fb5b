"""The calendar of a programme as bars, whatever draws it; and on a terminal: a line a stage, months or weeks above."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from planner.report.layout import Page, display_width
from planner.search.programme_answer import ProgrammeAnswer
from planner.words import said

FULL, LATE, SLACK, LIMIT = "█", "▒", "·", "┆"
FAR = 1.6  # times the days that are planned: a deadline that lies farther off is not drawn
DAY_S = 86400.0
WEEKS = 60  # days up to which the axis has days of months, and months beyond


@dataclass(frozen=True, slots=True)
class Bar:
    """A stage along its days, which count from the programme's start."""

    name: str
    start: int
    done: int  # the first day that it does not take
    late: float  # its end in nine of ten worlds
    free: int  # until when it may slip without another stage
    binds: bool


@dataclass(frozen=True, slots=True)
class BarChart:
    """What a drawing of a calendar shows: a bar a stage, the last day of all, and the deadline where it is near."""

    bars: tuple[Bar, ...]
    last: float
    deadline: float | None
    start: date | None


def bars_of(found: ProgrammeAnswer) -> BarChart:
    """The bars of a programme's calendar."""
    bars = tuple(
        Bar(
            stage.name,
            stage.start_day,
            done := stage.start_day + stage.days,
            stage.milestone.end_s.p90 / DAY_S,
            done + (stage.slack.free_days or 0),
            stage.slack.binds,
        )
        for stage in found.stages
    )
    last = max([float(found.end_day or 1), *(bar.late for bar in bars)])
    deadline = None if found.goal.time_s is None else found.goal.time_s / DAY_S
    return BarChart(bars, last, deadline if deadline and deadline <= FAR * last else None, found.goal.start)


def gantt(found: ProgrammeAnswer, page: Page, label_width: int = 16) -> list[str]:
    """Lines of at most the page's width: planned days, how late nine in ten worlds are, and the slack behind."""
    chart = bars_of(found)
    deadline = None if chart.deadline is None else int(chart.deadline)
    last = max(math.ceil(chart.last), deadline or 0)
    room = page.width - 2 - label_width - 2
    scale = room / max(last, 1)

    def at(day: float) -> int:
        return min(max(round(day * scale), 0), room)

    lines = [f"  {'':{label_width}}  {_axis(chart.start, last, room, scale)}"]
    for bar in chart.bars:
        cells = [" "] * room
        for first, until, sign in (
            (bar.done, bar.free, SLACK),
            (bar.done, math.ceil(bar.late), LATE),
            (bar.start, bar.done, FULL),
        ):
            stop = max(at(until), at(first) + (1 if sign == FULL else 0))
            cells[at(first) : stop] = [sign] * (min(stop, room) - at(first))
        if deadline is not None and at(deadline) < room and cells[at(deadline)] == " ":
            cells[at(deadline)] = LIMIT
        drawn = "".join(cells[:room]).rstrip()
        lines.append(f"  {_label(bar.name, label_width)}  {page.styled(drawn, 'bad' if bar.binds else '')}")
    return lines


def _label(name: str, width: int) -> str:
    while display_width(name) > width:
        name = name[:-2] + "…"
    return name + " " * (width - display_width(name))


def _axis(start: date | None, last: int, room: int, scale: float) -> str:
    """Names of months at their first day, days of months where there are few, or numbers of days."""
    marks: Sequence[tuple[int, str]]
    step = next((n for n in (1, 2, 5, 7, 14, 30, 60, 90, 180, 365) if n * scale >= 7), 365)
    if start is None:
        marks = [(day, said("gantt.day", day=day)) for day in range(0, last, step)]
    elif last <= WEEKS:
        days = [(day, (start + timedelta(days=day)).isoformat()) for day in range(0, last, step)]
        marks = [(day, text if day == 0 else text[5:]) for day, text in days]
    else:
        marks = [(0, start.isoformat()[:10])]
        day = start
        while (day - start).days < last:
            day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
            marks.append(((day - start).days, day.isoformat()[:7]))
    text = ""
    for number, name in marks:
        column = round(number * scale)
        gap = column - display_width(text)
        if gap >= (1 if text else 0) and column + display_width(name) <= room:
            text += " " * gap + name
    return text


def day_words(start: date | None, day: int) -> str:
    """A day as people write it: its date, or its number."""
    return said("gantt.day", day=day) if start is None else (start + timedelta(days=day)).isoformat()
