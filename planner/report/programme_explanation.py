"""Why a programme is planned as it is, on a terminal; and a programme simulated."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import chance, money_text, time_text
from planner.report.layout import Page, bullets, columns, wrap
from planner.search.programme_explaining import ProgrammeExplanation
from planner.search.programme_replay import ProgrammeReplay
from planner.units import format_count, format_percent


@in_its_money
def programme_explanation_table(found: ProgrammeExplanation, width: int = 80, colour: bool = False) -> str:
    """The explanation, ending in a newline."""
    page = Page(width, colour)
    if found.status != "optimal":
        lines = [page.styled(line, "bad") for line in wrap(f"Infeasible: {found.reason}", width)]
        return "\n".join([*lines, *bullets(found.changes, page)]) + "\n"
    blocks = [
        [page.heading("What binds"), *bullets((each.text for each in found.binding), page)],
        [page.heading("What a change is worth"), *bullets((each.text for each in found.worth), page)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


@in_its_money
def programme_replay_table(found: ProgrammeReplay, width: int = 80, colour: bool = False) -> str:
    """Stated beside simulated, ending in a newline."""
    page = Page(width, colour)
    rows = [["", "", "p10", "p50", "p90", "within budget"]]
    for name, text, stated, drawn, chances in (
        ("end", time_text, found.stated_time_s, found.time_s, (found.stated_p_within_time, found.p_within_time)),
        ("cost", money_text, found.stated_cost_usd, found.cost_usd, (found.stated_p_within_cost, found.p_within_cost)),
    ):
        if name == "cost" and not stated.p90 > 0:  # machines without a price
            continue
        for which, q, p in (("stated", stated, chances[0]), ("event by event", drawn, chances[1])):
            rows.append([name, which, text(q.p10), text(q.p50), text(q.p90), "" if p is None else chance(p)])
    rows += [
        [each.name, "event by event", time_text(each.end_s.p10), time_text(each.end_s.p50), time_text(each.end_s.p90),
         f"planned day {chance(each.p_by_planned)}"]
        for each in found.stages
    ]  # fmt: skip
    said = (
        f"{format_count(found.worlds)} programmes, failure by failure, seed {found.seed}: quantiles differ from the"
        f" stated by at most {format_percent(found.largest_quantile_error)}. {found.basis}"
    )
    return "\n".join([page.heading(found.name), *columns(rows, "llrrrr", page), "", *wrap(said, width)]) + "\n"
