"""Plans side by side: what each takes, why they differ, and what the losing ones would need."""

from __future__ import annotations

from planner.plan import Comparison, Difference
from planner.report.frontier import plans_table
from planner.report.layout import Page, bullets, columns

FEW = 3  # sides that fit beside one another; more are told one a line
MOST_REFUSED = 8  # infeasible sides whose reason is told


def comparison_table(comparison: Comparison, width: int = 80, colour: bool = False) -> str:
    """The sides' plans, those without one, and the differences; ends in a newline."""
    page = Page(width, colour)
    sides = comparison.sides
    blocks = [plans_table([(side.label, side.plan) for side in sides if side.plan is not None], page)]
    refused = [f"{side.label}: {side.reason}" if side.reason else side.label for side in sides if side.plan is None]
    if refused:
        more = [f"and {len(refused) - MOST_REFUSED} more"] if len(refused) > MOST_REFUSED else []
        blocks.append([page.heading("Infeasible"), *bullets([*refused[:MOST_REFUSED], *more], page)])
    if comparison.differences:
        few = len(sides) <= FEW
        lines = _beside(comparison, page) if few else _beneath(comparison, page)
        blocks.append([page.heading("Side by side" if few else "What each would need"), *lines] if lines else [])
        why = [f"{found.key}: {found.why}" for found in comparison.differences if found.why] if few else []
        blocks.append([page.heading("Why"), *bullets(why, page)] if why else [])
    if comparison.warnings:
        blocks.append([page.heading("Warnings"), *bullets(comparison.warnings, page, "warn")])
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _beside(comparison: Comparison, page: Page) -> list[str]:
    """One column a side."""
    rows = [["", *(side.label for side in comparison.sides)]]
    rows += [[found.key, *found.values] for found in comparison.differences]
    return columns(rows, "l" * len(rows[0]), page)


def _beneath(comparison: Comparison, page: Page) -> list[str]:
    """One line a side, of what the table of plans does not tell already."""
    shown = [found for found in comparison.differences if _adds(found)]
    if not shown:
        return []
    rows = [["", *(found.key for found in shown)]]
    rows += [[side.label, *(found.values[i] for found in shown)] for i, side in enumerate(comparison.sides)]
    kept = [rows[0], *(row for row in rows[1:] if any(row[1:]))]
    return columns(kept, "l" * len(rows[0]), page, flexible=0)


def _adds(found: Difference) -> bool:
    return found.key.startswith(("break-even", "change", "made from"))
