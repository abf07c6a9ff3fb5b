"""Who gets what of a fleet, what the shared limits are worth, and how sure the shared budget is."""

from __future__ import annotations

from planner.money import in_its_money
from planner.report.figures import chance, money_text, time_text
from planner.report.frontier import plans_table
from planner.report.layout import Page, bullets, hanging, wrap
from planner.search.fleets import FleetAnswer


@in_its_money
def fleet_table(found: FleetAnswer, width: int = 80, colour: bool = False) -> str:
    """The fleet's plans and shared limits, ending in a newline."""
    page = Page(width, colour)
    if found.status != "optimal":
        return "\n".join(page.styled(line, "bad") for line in wrap(f"Infeasible: {found.reason}", width)) + "\n"
    plans = [(run.name, run.plan) for run in found.runs if run.plan is not None]
    blocks = [plans_table(plans, page)]
    total = []
    if found.objective is not None:
        value = money_text(found.objective) if found.unit == "USD" else time_text(found.objective)
        total += hanging("objective", f"{value}, weighted by priority", page)
    if found.cost_usd_p50 is not None:
        total += hanging("cost (p50)", money_text(found.cost_usd_p50), page)
    if found.p_within_cost_together is not None:
        total += hanging(
            "within budget",
            f"{chance(found.p_within_cost_together)} if costs move together, "
            f"{chance(found.p_within_cost_independent)} if they are independent",
            page,
        )
    blocks.append([page.heading("Together"), *total, *(f"  {line}" for line in wrap(found.basis, width - 2))])
    if found.shared:
        blocks.append([page.heading("Shared limits"), *bullets((use.text for use in found.shared), page)])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"
