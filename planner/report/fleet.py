"""Who gets what of a fleet, what the shared limits are worth, and how sure the shared budget is."""

from __future__ import annotations

from planner.money import in_its_money, money_of
from planner.report.figures import chance, money_text, rate_sentence, rate_text, time_text
from planner.report.frontier import plans_table
from planner.report.layout import Page, bullets, indented, labelled, screen, section, wrap
from planner.search.fleets import FleetAnswer
from planner.words import said, say


@in_its_money
def fleet_table(found: FleetAnswer, width: int = 80, colour: bool = False) -> str:
    """The fleet's plans and shared limits, ending in a newline."""
    page = Page(width, colour)
    if found.status != "optimal":
        why = said("labels.infeasible_because", why=found.reason)
        return "\n".join(page.styled(line, "bad") for line in wrap(why, width)) + "\n"
    plans = [(run.name, run.plan) for run in found.runs if run.plan is not None]
    blocks = [plans_table(plans, page)]
    total = []
    if found.objective is not None:
        value = money_text(found.objective) if found.unit == "USD" else time_text(found.objective)
        total += labelled("objective", said("fleet.weighted", value=value), page)
    if found.cost_usd_p50 is not None and any(plan.offer.priced for _, plan in plans):
        free = [name for name, plan in plans if not plan.offer.priced]
        text = said("fleet.cost_without" if free else "figures.money", cost=found.cost_usd_p50, runs=free)
        total += labelled("cost_p50", text, page)
    if found.p_within_cost_together is not None:
        together, apart = chance(found.p_within_cost_together), chance(found.p_within_cost_independent)
        text = said("fleet.within_budget", together=together, apart=apart)
        total += labelled("within_budget", text, page)
    blocks.append(section("fleet.together", [*total, *indented(found.basis, page)], page))
    rate = rate_sentence() or _mixed(found)
    blocks.append(wrap(rate, width) if rate else [])
    return screen([*blocks, section("fleet.shared", bullets((use.text for use in found.shared), page), page)])


def _mixed(found: FleetAnswer) -> str:
    """At which rates amounts of several currencies came together, in dollars."""
    rates = list(dict.fromkeys(rate_text(money_of(each)) for each in found.provenance if money_of(each).foreign))
    return say("fleet.mixed", rates=rates) if rates else ""
