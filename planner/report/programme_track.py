"""A programme against its calendar, on a terminal."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import money_text, percent
from planner.report.layout import Page, bullets, columns, heads, labelled
from planner.report.programme import programme_table
from planner.tracking.programme import ProgrammeProgress
from planner.words import phrase, said


@in_its_money
def programme_track_table(now: ProgrammeProgress, width: int = 80, colour: bool = False) -> str:
    """Where each stage stands, the end and cost to expect, and the calendar of what is left; ends in a newline."""
    page = Page(width, colour)
    end, cost = now.end_day, now.cost_usd
    lines = [page.heading(said("programme_track.title", name=now.name, day=now.day))]
    ends = said("programme_track.end", middle=end.p50, low=end.p10, high=end.p90, planned=now.planned_end_day)
    if now.deadline_day is not None:
        ends = said("programme_track.deadline", text=ends, day=now.deadline_day)
    lines += labelled("end", ends, page)
    priced = now.planned_cost_usd > 0  # machines without a price have no cost
    if priced:
        between = {"middle": cost.p50, "low": cost.p10, "high": cost.p90}
        text = said("programme_track.cost", **between, planned=now.planned_cost_usd, spent=now.spent_usd)
        lines += labelled("cost", text, page)
    if now.missed:
        lines += bullets([said("programme_track.missed")], page, "bad")
    rows = [heads("", "", "done", "ends_on_day", "planned", "late_days", "cost")]
    rows += [
        [
            stage.name,
            phrase("programme_status", stage.status),
            percent(stage.share_done),
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
        heading = page.heading(said("programme_track.replanned"))
        text += f"\n{heading}\n\n{programme_table(now.replanned, width, colour)}"
    return text
