"""When: milestones and checkpoints."""

from __future__ import annotations

from planner.report.proposal.ask import start_text
from planner.report.proposal.case import Case
from planner.report.proposal.model import Paragraph, Row, Section

MOST_EPOCHS = 12


def schedule_section(case: Case) -> Section:
    """Milestones by epoch with calendar dates, most likely and at the confidence; checkpoints."""
    w, plan = case.words, case.plan
    stretch = case.choice.time_sure_s / plan.time_s.p50
    sure = w.percent(case.confidence)
    begins, ordered = w.short_date(case.begins), w.short_date(case.start)
    rows: list[Row] = [(w.say("m_order"), "", "", ordered, ordered)] if plan.offer.waiting_s else []
    rows.append((w.say("m_start"), "", w.days_cell(0.0), begins, begins))
    epochs = plan.schedule
    shown = epochs if len(epochs) <= MOST_EPOCHS else epochs[:: -(-len(epochs) // MOST_EPOCHS)]
    if epochs and shown[-1] is not epochs[-1]:
        shown = (*shown, epochs[-1])
    rows += [
        _milestone(case, w.say("m_epoch", number=w.count(part.epoch)), part.last_iteration, part.finish_s, stretch)
        for part in shown
    ]
    if not epochs:
        rows += [
            _milestone(
                case, w.say("m_share", share=w.percent(x)), round(plan.iterations * x), plan.time_s.p50 * x, stretch
            )
            for x in (0.25, 0.5, 0.75, 1.0)
        ]
    heads = ("h_milestone", "h_iteration", "h_day", "h_likely", "h_latest")
    waiting = plan.offer.waiting_s
    text = w.say("schedule_order" if waiting else "schedule_start", start=start_text(case), time=w.time(waiting))
    r = plan.reliability
    if r is not None and r.checkpoint_interval_s is not None:
        saving = w.say(
            "schedule_checkpoints",
            interval=w.time(r.checkpoint_interval_s),
            iterations=w.count(r.checkpoint_interval_iterations or 0),
            seconds=w.time(r.checkpoint_s),
            size=w.number(r.checkpoint_gb, 3),
        )
        text = w.say("schedule_both", first=text, then=saving)
    table = w.table("schedule_caption", heads, rows, {-1}, sure=sure)
    return Section(f"schedule-{case.number}", w.say("s_schedule"), (Paragraph(text), table))


def _milestone(case: Case, label: str, iteration: int, seconds: float, stretch: float) -> Row:
    w = case.words
    likely, latest = (w.short_date(case.ends(at)) for at in (seconds, seconds * stretch))
    return label, w.count_cell(iteration), w.days_cell(seconds), likely, latest
