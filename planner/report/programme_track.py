"""A programme against its calendar, on a terminal."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import money_text
from planner.report.layout import Page, bullets, columns, hanging
from planner.report.programme import programme_table
from planner.tracking.programme import ProgrammeProgress
from planner.units import format_number, format_percent


@in_its_money
def programme_track_table(now: ProgrammeProgress, width: int = 80, colour: bool = False) -> str:
    """Where each stage stands, the end and cost to expect, and the calendar of what is left; ends in a newline."""
    page = Page(width, colour)
    end, cost = now.end_day, now.cost_usd
    limit = "" if now.deadline_day is None else f"; the deadline is day {format_number(now.deadline_day)}"
    lines = [page.heading(f"{now.name}, day {now.day:.1f}")]
    lines += hanging(
        "end", f"day {end.p50:.1f} ({end.p10:.1f} to {end.p90:.1f}), planned day {now.planned_end_day}{limit}", page
    )
    planned = f"planned {money_text(now.planned_cost_usd)}, spent {money_text(now.spent_usd)}"
    priced = now.planned_cost_usd > 0  # machines without a price have no cost
    if priced:
        lines += hanging(
            "cost", f"{money_text(cost.p50)} ({money_text(cost.p10)} to {money_text(cost.p90)}), {planned}", page
        )
    if now.missed:
        lines += bullets(["a budget will more likely than not be missed"], page, "bad")
    rows = [["", "", "done", "ends on day", "planned", "late, days", "cost"]]
    rows += [
        [
            stage.name,
            stage.status,
            format_percent(stage.share_done),
            f"{stage.end_day.p50:.1f}",
            f"{stage.planned_end_day}",
            f"{stage.late_days:+.1f}",
            money_text(stage.cost_usd.p50),
        ]
        for stage in now.stages
    ]
    shown = 7 if priced else 6
    text = "\n".join([*lines, "", *columns([row[:shown] for row in rows], "llrrrrr"[:shown], page)]) + "\n"
    if now.replanned is not None:
        text += (
            "\n" + page.heading("What is left, planned anew") + "\n\n" + programme_table(now.replanned, width, colour)
        )
    return text
