"""The answer of `planner optimize` as a person reads it on a terminal, from the plan down to its proof."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from planner.money import in_its_money
from planner.report import one_screen, plan_sections
from planner.report.buying import buying_lines
from planner.report.evidence import evidence as evidence_sections
from planner.report.figures import amount_writer, rate_sentence
from planner.report.frontier import columns_of, plan_columns
from planner.report.layout import Page, bullets, columns, labelled, screen, wrap
from planner.report.simplicity import given_up_lines
from planner.results.answers import Infeasible, Optimization
from planner.results.plan import Plan
from planner.units import PlannerError, shown
from planner.words import phrase, said, say

Section = tuple[str, list[str]]
WIDE = 110  # columns from which tables of plans also show batch and layout
LABEL = 16  # columns that the reason for an alternative keeps; then layouts wrap


SHOWN = (  # sections by the words that ask for them, in their order
    "time",
    "cluster",
    "run",
    "schedule",
    "learning",
    "interruptions",
    "hours",
    "buy",
    "binds",
    "alternatives",
    "step",
    "memory",
    "basis",
    "plausibility",
    "warnings",
    "defaults",
    "proof",
)


@in_its_money
def optimization_table(
    answer: Optimization,
    *,
    today: date,
    width: int = 80,
    colour: bool = False,
    full: bool = False,
    show: Sequence[str] = (),
) -> str:
    """The answer on one screen, ending in a newline.

    Parameters
    ----------
    answer : Optimization
    today : date
        What ages of prices are relative to.
    width : int
        Columns; no line is longer, names that cannot be broken excepted.
    colour : bool
        Mark headings and what is within or beyond the budgets with ANSI colours.
    full : bool
        All there is to say.
    show : sequence of str
        Only these sections, of `SHOWN`, below the headline.

    Raises PlannerError on a section that there is none of.
    """
    check_parts(show)
    page = Page(width, colour)
    if not (full or show):
        if answer.plan is not None:
            return one_screen.on_a_screen(answer, answer.plan, today, page)
        return _joined(_refusal(answer, page), [*_why_not(answer, page), _warned(answer, page)], page)
    opening = (
        _refusal(answer, page) if answer.plan is None else plan_sections.headline(answer.plan, answer, today, page)
    )
    named = _sections(answer, today, page)
    kept = [section for word in SHOWN if word in named and (full or word in show) for section in named[word]]
    if answer.plan is None:
        kept = _why_not(answer, page) + kept
    return _joined(opening, kept, page)


def check_parts(parts: Sequence[str]) -> None:
    """Raises PlannerError on a part that there is none of."""
    unknown = [word for word in parts if word not in SHOWN]
    if unknown:
        raise PlannerError(say("terminal.unknown_part", part=shown(unknown[0]), parts=list(SHOWN)))


def _sections(answer: Optimization, today: date, page: Page) -> dict[str, list[Section]]:
    """Sections by the words of `SHOWN`; what cannot be said of an answer has no lines."""
    parts: list[Section] = []
    if answer.plan is not None:
        parts += plan_sections.decision(answer.plan, answer, today, page)
    decided = dict(zip(SHOWN, parts, strict=False))
    if decided:
        decided["run"][1].extend(given_up_lines(answer, page))
    found = {word: [section] for word, section in decided.items()}
    found["buy"] = [(said("terminal.buy"), buying_lines(answer, page))]
    found["binds"] = [(said("explanation.binds"), bullets((binding.text for binding in answer.binding), page))]
    if answer.plan is not None:
        plans = [(said("labels.this_plan"), answer.plan), *((other.why, other.plan) for other in answer.alternatives)]
        found["alternatives"] = [(said("terminal.alternatives"), _in_short(plans, page) if answer.alternatives else [])]
        evidence = evidence_sections(answer.plan, page)
        found |= {
            word: [section] for word, section in zip(("step", "memory", "basis", "plausibility"), evidence, strict=True)
        }
    found["warnings"] = [_warned(answer, page)]
    rows = [(default.key, default.value) for default in answer.defaults]
    defaults = columns(rows, "ll", page, header=False, flexible=1) if rows else []
    found["defaults"] = [(said("terminal.defaults"), defaults)]
    found["proof"] = [(said("terminal.proof"), _proof(answer, page))]
    return found


def _warned(answer: Optimization, page: Page) -> Section:
    return said("labels.warnings"), bullets(answer.warnings, page, "warn")


def _why_not(answer: Optimization, page: Page) -> list[Section]:
    return [] if answer.infeasibility is None else infeasible_sections(answer.infeasibility, page)


def _joined(opening: list[str], sections: Sequence[Section], page: Page) -> str:
    return screen([opening, *([page.heading(title), *lines] for title, lines in sections if lines)])


def _refusal(answer: Optimization, page: Page) -> list[str]:
    goal = answer.goal
    limits = [] if goal is None else plan_sections.limits(goal)
    code = "terminal.infeasible_within" if limits else "terminal.infeasible"
    lines = wrap(said(code, limits=limits), page.width)
    return [
        *(page.styled(line, "bad") for line in lines),
        *(wrap(rate_sentence(), page.width) if rate_sentence() else []),
    ]


def infeasible_sections(found: Infeasible, page: Page) -> list[Section]:
    """Why nothing does, what would have to give, and the least that there is."""
    between = [(other.why, other.plan) for other in found.between]
    fastest, cheapest = (said("optimum.fastest"), found.fastest), (said("optimum.cheapest"), found.cheapest)
    ends = [(why, plan) for why, plan in (fastest, *between, cheapest) if plan is not None]
    least = []
    if found.least_time_s is not None:
        least.append(said("terminal.least_time", time=found.least_time_s))
    if found.least_cost_usd is not None:
        least.append(said("terminal.least_cost", cost=found.least_cost_usd))
    return [
        (said("terminal.why"), bullets([found.reason], page)),
        (said("terminal.changes"), bullets((change.text for change in found.changes), page)),
        (said("terminal.least"), bullets(least, page)),
        (said("terminal.ends_and_between" if between else "terminal.ends"), _in_short(ends, page)),
    ]


def _in_short(plans: Sequence[tuple[str, Plan]], page: Page) -> list[str]:
    """Plans under one another, in the units of the largest (p50); a wide page has room for batch and layout."""
    if not plans:
        return []
    wide = ["batch", "layout"] if page.width >= WIDE else []
    names = ["name", "cluster", "time", "cost", "chance", *wide]
    return columns_of(plan_columns(plans), names, page, give=("name",), least=LABEL)


def _proof(answer: Optimization, page: Page) -> list[str]:
    found = answer.certificate
    pruned = [
        said("terminal.rule", rule=phrase("rules", rule), count=count) for rule, count in found.pruned.items() if count
    ]
    counts = {"space": found.space, "evaluated": found.evaluated, "ruled_out": sum(found.pruned.values())}
    code = "terminal.candidates_ruled_out" if pruned else "terminal.candidates"
    lines = labelled("candidates", said(code, **counts, rules=pruned), page)
    if found.best is not None and found.bound is not None and found.gap is not None:
        proved = said("terminal.proved") if found.gap == 0 else said("terminal.gap", percent=found.gap * 100)
        show = amount_writer(found.unit)
        beyond = "terminal.none_above" if found.unit in ("epochs", "tokens") else "terminal.none_below"
        text = said(beyond, best=show(found.best), bound=show(found.bound), proved=proved)
        lines += labelled("objective", text, page)
    if found.statement:
        lines += labelled("of_what", found.statement, page)
    return lines
