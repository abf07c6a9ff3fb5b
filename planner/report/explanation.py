"""Why the plan is what it is: what binds, what a little more is worth, what would change the decision."""

from __future__ import annotations

from datetime import date

from planner.money import in_its_money
from planner.report.figures import ages_sentence, money_scale, rate_sentence, time_scale
from planner.report.frontier import layout_words, plans_table
from planner.report.layout import Page, bullets, screen, wrap
from planner.report.plan_sections import seller
from planner.report.terminal import infeasible_sections
from planner.results.plan import Plan
from planner.search.explanation import Explanation
from planner.words import said

MOST_NEAR = 8  # plans that cannot be told from the best; --json has all


@in_its_money
def explanation_table(found: Explanation, width: int = 80, colour: bool = False, *, today: date | None = None) -> str:
    """The whole explanation, ending in a newline. `today`: what ages of prices are relative to; None tells none."""
    page = Page(width, colour)
    sections: list[tuple[str, list[str]]] = []
    if found.infeasibility is not None:
        sections += infeasible_sections(found.infeasibility, page)
    sections += [
        (said("explanation.binds"), bullets((binding.text for binding in found.binding), page)),
        (said("explanation.worth"), bullets((worth.text for worth in found.worth), page)),
        (said("explanation.tolerances"), bullets((each.text for each in found.tolerances), page)),
        (
            said("explanation.why_not"),
            bullets((said("labels.of", what=each.asked, text=each.text) for each in found.why_not), page),
        ),
        (said("explanation.near"), _near(found, page)),
    ]
    opening = [page.heading(line) for line in wrap(_opening(found), width)]
    if found.plan is not None and today is not None:
        ages = ages_sentence((found.plan, *(near.plan for near in found.near[:MOST_NEAR])), today)
        opening += wrap(ages, width) if ages else []
    opening += wrap(rate_sentence(), width) if rate_sentence() else []
    return screen([opening, *([page.heading(title), *lines] for title, lines in sections if lines)])


def _opening(found: Explanation) -> str:
    plan = found.plan
    name = found.provenance.scenario
    if plan is None:
        return said("explanation.infeasible", name=name)
    return said(
        "explanation.opening",
        name=name,
        gpus=plan.gpus,
        gpu=plan.offer.gpu,
        seller=seller(plan.offer),
        layout=layout_words(plan),
        batch=plan.global_batch,
        amounts=_amounts(plan),
    )


def _amounts(plan: Plan) -> str:
    time, cost = time_scale(plan.time_s.p50), money_scale(plan.cost_usd.p50)
    text = time.text(plan.time_s.p50)
    return said("labels.beside", text=text, more=cost.text(plan.cost_usd.p50)) if plan.offer.priced else text


def _near(found: Explanation, page: Page) -> list[str]:
    """Plans within the spread, by how much worse their objective is, and the simplest layout of them."""
    if found.plan is None:
        return []
    largest = max((near.objective_change for near in found.near[:MOST_NEAR]), default=0.0)
    scale = time_scale(largest) if found.unit == "s" else money_scale(largest)
    rows = [(f"+{scale.text(near.objective_change)}", near.plan) for near in found.near[:MOST_NEAR]]
    lines = plans_table([(said("labels.this_plan"), found.plan), *rows], page) if rows else []
    if len(found.near) > MOST_NEAR:
        lines += bullets([said("explanation.more", more=len(found.near) - MOST_NEAR)], page)
    if found.simplest is not None:
        simplest = {"layout": layout_words(found.simplest), "amounts": _amounts(found.simplest)}
        lines += bullets([said("explanation.simplest", **simplest)], page)
    return lines
