"""The drawings of a programme's proposal: its calendar, and its cash flow."""

from __future__ import annotations

from collections.abc import Sequence

from planner.report.gantt import BarChart
from planner.report.proposal.locale import Locale
from planner.report.proposal.svg import WIDTH, Drawing, Picture, fitted, hue, text_width, ticks
from planner.units import format_number

ROW = 26.0
WIDEST_BAR = 90.0


def gantt_picture(chart: BarChart, words: Locale, description: str) -> Picture:
    """A bar a stage along its days: planned, then to its 90th percentile; the deadline as a dashed line."""
    high = max(chart.last, chart.deadline or 0.0) * 1.02
    names = [text_width(bar.name) for bar in chart.bars]
    left = min(max([*names, 60.0]) + 14.0, WIDTH * 0.34)
    top, height = 24.0, 24.0 + ROW * len(chart.bars) + 44.0
    d = Drawing(height, words.say("programme_document.gantt"), description)
    bottom = top + ROW * len(chart.bars)

    def x(day: float) -> float:
        return left + (WIDTH - left - 12.0) * day / high

    for tick in ticks(high, 8):
        d.line([(x(tick), top), (x(tick), bottom)], "grid")
        d.text(x(tick), bottom + 15.0, format_number(tick, 4), "soft", "middle")
    d.text(WIDTH - 12.0, height - 6.0, words.say("programme_document.axis_days"), "ink", "end")
    if chart.deadline is not None:
        d.line([(x(chart.deadline), top - 6.0), (x(chart.deadline), bottom)], "limit", 1.2, "5 3")
        d.text(x(chart.deadline) - 4.0, top - 9.0, words.say("programme_document.deadline"), "ink", "end")
    for number, bar in enumerate(chart.bars):
        y = top + ROW * number + 4.0
        role = hue(1 if bar.binds else 0)
        d.text(0.0, y + 13.0, fitted(bar.name, left - 10.0), "ink")
        if bar.late > bar.done:
            d.rect(x(bar.done), y + 3.0, x(bar.late) - x(bar.done), ROW - 14.0, role, 0.3)
        d.rect(x(bar.start), y, max(x(bar.done) - x(bar.start), 2.0), ROW - 8.0, role)
    return d.picture()


def cash_picture(periods: Sequence[tuple[str, float, str]], title: str, description: str) -> Picture:
    """A bar a period: its name, its height, and what stands over it."""
    height, left, bottom, top = 190.0, 8.0, 34.0, 22.0
    d = Drawing(height, title, description)
    high = max([value for _, value, _ in periods] + [1e-300])
    wide = (WIDTH - left) / max(len(periods), 1)
    every = max(1, int(-(-max([text_width(t) for _, _, t in periods] + [1.0]) // max(wide - 4.0, 1.0))))
    for number, (name, value, text) in enumerate(periods):
        long = (height - bottom - top) * value / high
        at = left + wide * number
        bar = min(max(wide - 4.0, 1.0), WIDEST_BAR)
        d.rect(at + (wide - bar) / 2.0, height - bottom - long, bar, long, hue(0))
        if number % every == 0:
            d.text(at + wide / 2.0, height - bottom - long - 5.0, text, "ink", "middle")
            d.text(at + wide / 2.0, height - bottom + 16.0, fitted(name, wide * every), "soft", "middle")
    d.line([(left, height - bottom), (WIDTH, height - bottom)], "soft")
    return d.picture()
