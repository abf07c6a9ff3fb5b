"""Why a programme is planned as it is, on a terminal; and a programme simulated."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import chance, money_text, time_text
from planner.report.layout import Page, bullets, columns, heads, wrap
from planner.search.programme_explaining import ProgrammeExplanation
from planner.search.programme_replay import ProgrammeReplay
from planner.words import said


@in_its_money
def programme_explanation_table(found: ProgrammeExplanation, width: int = 80, colour: bool = False) -> str:
    """The explanation, ending in a newline."""
    page = Page(width, colour)
    if found.status != "optimal":
        lines = [page.styled(line, "bad") for line in wrap(said("labels.infeasible_because", why=found.reason), width)]
        return "\n".join([*lines, *bullets(found.changes, page)]) + "\n"
    blocks = [
        [page.heading(said("explanation.binds")), *bullets((each.text for each in found.binding), page)],
        [page.heading(said("programme_explanation.worth")), *bullets((each.text for each in found.worth), page)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


@in_its_money
def programme_replay_table(found: ProgrammeReplay, width: int = 80, colour: bool = False) -> str:
    """Stated beside simulated, ending in a newline."""
    page = Page(width, colour)
    rows = [heads("", "", "p10", "p50", "p90", "within_budget")]
    for name, text, stated, drawn, chances in (
        ("end", time_text, found.stated_time_s, found.time_s, (found.stated_p_within_time, found.p_within_time)),
        ("cost", money_text, found.stated_cost_usd, found.cost_usd, (found.stated_p_within_cost, found.p_within_cost)),
    ):
        if name == "cost" and not stated.p90 > 0:  # machines without a price
            continue
        for which, q, p in (("stated", stated, chances[0]), ("by_events", drawn, chances[1])):
            rows.append([*heads(name, which), text(q.p10), text(q.p50), text(q.p90), "" if p is None else chance(p)])
    for each in found.stages:
        times = map(time_text, (each.end_s.p10, each.end_s.p50, each.end_s.p90))
        sure = said("programme_explanation.planned_day", chance=chance(each.p_by_planned))
        rows.append([each.name, *heads("by_events"), *times, sure])
    differ = said(
        "programme_explanation.differ",
        worlds=found.worlds,
        seed=found.seed,
        error=found.largest_quantile_error,
        basis=found.basis,
    )
    return "\n".join([page.heading(found.name), *columns(rows, "llrrrr", page), "", *wrap(differ, width)]) + "\n"
