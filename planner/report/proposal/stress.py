"""The plan under stress: which share of runs keeps the limits there, and what reserve or confidence would hold them."""

from __future__ import annotations

from planner.report.proposal.case import Case
from planner.report.proposal.model import Block, Paragraph
from planner.report.simulation import chance_needed

KEYS = ("slower", "failures", "ramp", "all")  # in the order of the stresses


def stress_blocks(case: Case) -> tuple[Block, ...]:
    """The table of stresses with what it means; nothing where the plan does not say how it fails or is charged."""
    w = case.words
    if not case.stresses:
        return ()
    rows = [
        (
            w.say(f"stress_{key}"),
            w.days_cell(stress.world.time_s.p50),
            w.days_cell(stress.time_needed_s),
            w.money_cell(stress.cost_needed_usd),
            w.chance_cell(stress.world.p_within_both),
            w.money_cell(stress.more_cost_usd),
            w.chance_cell(chance_needed(stress)),
        )
        for key, stress in zip(KEYS, case.stresses, strict=True)
    ]
    sure = w.percent(case.confidence)
    keys = ("h_stress", "h_days", "h_days_sure", "h_usd_sure", "h_kept", "h_more", "h_ask_at")
    table = w.table("stress_caption", keys, rows, sure=sure)
    text = w.say("stress_note", stressed=w.say("stress_text", sure=sure), bursts=w.say("stress_bursts"))
    return table, Paragraph(text)


def stress_sentence(case: Case) -> str:
    """All stresses at once in a line; empty where they are not known."""
    if not case.stresses:
        return ""
    w, worst = case.words, case.stresses[-1]
    return w.say(
        "stress_sentence",
        kept=w.chance(worst.world.p_within_both),
        more=w.money(worst.more_cost_usd),
        days=w.time(worst.more_time_s),
        sure=w.percent(case.confidence),
    )
