"""Plans side by side: what each takes, why they differ, and what the losing ones would need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from planner.money import in_its_money
from planner.report.figures import notes
from planner.report.frontier import plans_table
from planner.report.layout import Page, bullets, columns, labelled, screen, section
from planner.results.answers import Comparison, Difference, Side
from planner.words import Sentence, said

FEW = 3  # sides that fit beside one another; more are told one a line
MOST_ROWS = 24  # sides in the table of plans; --json has all
MOST_REFUSED = 8  # reasons why sides are infeasible that are told
MEDIANS = ("time", "cost")  # differences that are of the plans' medians
ADDED = ("even_price", "even_speed", "change_price", "change_hours", "change_time", "made_from")  # to a table of plans
MOST_NAMED = 12  # sides named to one reason


@in_its_money
def comparison_table(
    comparison: Comparison, width: int = 80, colour: bool = False, *, today: date | None = None
) -> str:
    """The sides' plans, those without one, and the differences; ends in a newline. `today`: ages of prices on it."""
    page = Page(width, colour)
    sides = comparison.sides
    feasible = [(side.label, side.plan) for side in sides if side.plan is not None]
    blocks = [plans_table(feasible[:MOST_ROWS], page)]
    if len(feasible) > MOST_ROWS:
        shown = said("comparison.best_shown", most=MOST_ROWS, sides=len(feasible))
        blocks.append(bullets([shown], page))
    blocks += [bullets([note], page) for note in notes([plan for _, plan in feasible], today)]
    refused = _refused(sides)
    others = len(refused) - MOST_REFUSED
    more = [said("comparison.more_reasons", reasons=others)] if others > 0 else []
    blocks.append(section("comparison.infeasible", bullets([*refused[:MOST_REFUSED], *more], page), page))
    differences = [found for found in comparison.differences if any(found.values)]
    if differences:
        few = len(sides) <= FEW
        lines = _side_by_side(sides, differences, page) if few else _one_a_line(sides, differences, page)
        blocks.append(section("comparison.beside" if few else "comparison.needed", lines, page))
        scenario_values = (
            [] if few else [_scenario_values(found, sides) for found in differences if _code(found) == "asked"]
        )
        blocks.append(section("comparison.asked", bullets(scenario_values, page), page))
        explained = [found for found in differences if not _same(found, sides) and (few or _code(found) in ADDED)]
        why = [said("labels.of", what=found.key, text=found.why) for found in explained if found.why]
        heading = "comparison.why" if few else "comparison.how_to_read"
        blocks.append(section(heading, bullets(why if lines else (), page), page))
    return screen([*blocks, section("labels.warnings", bullets(comparison.warnings, page, "warn"), page)])


def _refused(sides: Sequence[Side]) -> list[str]:
    """Why sides have no plan, those of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for side in sides:
        if side.plan is None:
            by_reason.setdefault(side.reason, []).append(side.label)
    return [
        said("labels.of", what=_named(labels), text=reason) if reason else _named(labels)
        for reason, labels in by_reason.items()
    ]


def _named(labels: Sequence[str]) -> str:
    text = said("labels.listed", items=labels[:MOST_NAMED])
    more = len(labels) - MOST_NAMED
    return said("labels.and_more", text=text, more=more) if more > 0 else text


def _code(found: Difference) -> str:
    """What kind of difference it is."""
    return found.key.code.rpartition(".")[2] if isinstance(found.key, Sentence) else ""


def _name(found: Difference) -> str:
    """A difference's key, with what its figures are where the key alone does not say."""
    return said("comparison.median", key=found.key) if _code(found) in MEDIANS else found.key


def _side_by_side(sides: Sequence[Side], differences: Sequence[Difference], page: Page) -> list[str]:
    """One column a side; what is the same in all goes into one line below."""
    same = [found for found in differences if _same(found, sides)]
    rows = [["", *(side.label for side in sides)]]
    for number, found in enumerate(found for found in differences if found not in same):
        words = [_words(found, value) for value in found.values]
        if number == 0:
            words = [
                word or ("" if side.plan is not None else said("labels.infeasible"))
                for word, side in zip(words, sides, strict=True)
            ]
        rows.append([_name(found), *words])
    lines = columns(rows, "l" * len(rows[0]), page)
    if same:
        equal = [said("labels.valued", name=_name(found), value=_words(found, found.values[0])) for found in same]
        lines += labelled("the_same", said("labels.in_row", items=equal), page)
    return lines


def _same(found: Difference, sides: Sequence[Side]) -> bool:
    return all(side.plan is not None for side in sides) and len(sides) > 1 and len(set(found.values)) == 1


def _words(found: Difference, value: str) -> str:
    """A value as it breaks well: an offer at its parts, not inside them."""
    return value.replace("/", ", ") if _code(found) == "offer" and value.count("/") >= 3 else value


def _one_a_line(sides: Sequence[Side], differences: Sequence[Difference], page: Page) -> list[str]:
    """One line a side, of what the table of plans does not tell already."""
    shown = [found for found in differences if _code(found) in ADDED]
    if not shown:
        return []
    rows = [["", *(found.key for found in shown)]]
    rows += [[side.label, *(found.values[i] for found in shown)] for i, side in enumerate(sides)]
    kept = [rows[0], *(row for row in rows[1:] if any(row[1:]))]
    return columns(kept, "l" * len(rows[0]), page, flexible=0)


def _scenario_values(found: Difference, sides: Sequence[Side]) -> str:
    """One key of the scenarios, and which sides have which value."""
    by_value: dict[str, list[str]] = {}
    for side, value in zip(sides, found.values, strict=True):
        by_value.setdefault(value, []).append(side.label)
    values = [said("labels.with_reason", text=value, why=_named(labels)) for value, labels in by_value.items()]
    key = found.key.values["key"] if isinstance(found.key, Sentence) else found.key
    return said("labels.of", what=key, text=said("labels.in_row", items=values))
