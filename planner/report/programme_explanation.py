"""Why a programme is planned as it is, on a terminal; and a programme simulated."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import chance, money_text, time_text
from planner.report.layout import Page, bullets, columns, heads, screen, wrap
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
    binds, worth = (bullets((each.text for each in texts), page) for texts in (found.binding, found.worth))
    headed = (("explanation.binds", binds), ("programme_explanation.worth", worth))
    return screen([page.heading(said(code)), *lines] for code, lines in headed)


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
            rows.append([*heads(name, which), *map(text, q), "" if p is None else chance(p)])
    for each in found.stages:
        times = map(time_text, each.end_s)
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
