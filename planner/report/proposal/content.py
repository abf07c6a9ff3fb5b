"""`build_proposal`: scenarios and their answers to one document, in one language, that every format then writes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from planner.catalog import Catalog
from planner.money import in_its_money
from planner.performance.calibration import Calibration
from planner.report.proposal.ask import money_section, plan_section
from planner.report.proposal.case import Case
from planner.report.proposal.embedded import explorer_data, ledger_of
from planner.report.proposal.evidence import appendix_section, assumptions_section, method_section
from planner.report.proposal.frontier import frontier_section
from planner.report.proposal.locale import Locale, locale
from planner.report.proposal.model import Paragraph, Proposal, Row, Section
from planner.report.proposal.options import options_section, sensitivity_section
from planner.report.proposal.outlook import schedule_section
from planner.report.proposal.risks import risks_section
from planner.report.proposal.summary import ask_section, signature
from planner.results.answers import Optimization
from planner.search.proposal_study import study
from planner.spec.scenario import Scenario
from planner.units import PlannerError
from planner.words import say

_SECTIONS = (
    ask_section,
    plan_section,
    options_section,
    frontier_section,
    money_section,
    schedule_section,
    risks_section,
    sensitivity_section,
    assumptions_section,
    method_section,
    appendix_section,
)


@in_its_money
def build_proposal(
    scenarios: Sequence[Scenario],
    outcomes: Sequence[Optimization],
    catalog: Catalog,
    calibration: Calibration,
    *,
    day: date,
    language: str = "en",
    command: str = "",
) -> Proposal:
    """The proposal of one or more runs, each with the plan that `optimize` answers.

    Parameters
    ----------
    outcomes : one feasible answer a scenario, in order
    day : the day it is made: ages of prices are told as of it, and runs without a start begin on it
    command : what rebuilds the document

    Raises
    ------
    PlannerError
        If the language is not known, or a plan costs nothing.
    """
    words = locale(language)
    for scenario, outcome in zip(scenarios, outcomes, strict=True):
        if outcome.plan is not None and outcome.plan.cost_usd.p90 <= 0.0:
            raise PlannerError(say("proposal.no_price", name=scenario.name))
    cases = [
        Case(number, study(scenario, outcome, catalog, calibration), catalog, words, day)
        for number, (scenario, outcome) in enumerate(zip(scenarios, outcomes, strict=True))
    ]
    many = len(cases) > 1
    sections: list[Section] = [_together(cases, words)] if many else []
    for case in cases:
        if many:
            sections.append(Section(f"run-{case.number}", case.scenario.name, ()))
        for build in _SECTIONS:
            section = build(case)
            if many:  # one level down, and signed once, where all are asked for
                blocks = tuple(block for block in section.blocks if block != signature(words))
                section = Section(section.id, section.title, blocks, 3)
            sections.append(section)
    names = words.listed([case.scenario.name for case in cases])
    return Proposal(
        language=language,
        title=words.say("title", name=names),
        day=day,
        day_text=words.date(day),
        sections=tuple(sections),
        colophon=words.colophon([(case.scenario.name, case.outcome.provenance) for case in cases], command),
        words={**words.labels("ui_"), "ui_x_rate_text": words.exchange_rate},
        explorers=tuple(explorer_data(case) for case in cases),
        ledgers=tuple(ledger_of(case) for case in cases),
    )


def _together(cases: Sequence[Case], words: Locale) -> Section:
    """Several runs: what each asks, and the sum."""
    total = sum(case.requested_usd for case in cases)
    latest = max(case.ends(case.choice.time_sure_s) for case in cases)
    rows: list[Row] = [
        (
            case.scenario.name,
            case.cluster(case.plan),
            words.money_cell(case.plan.cost_usd.p50),
            words.money_cell(case.requested_usd),
            words.date(case.ends(case.choice.time_sure_s)),
            words.percent_cell(case.confidence),
        )
        for case in cases
    ]
    rows.append(
        (
            words.say("money_total_runs"), "",
            words.money_cell(sum(case.plan.cost_usd.p50 for case in cases)),
            words.money_cell(total), words.date(latest), "",
        )
    )  # fmt: skip
    heads = ("h_run", "h_cluster", "h_usd", "h_usd_asked", "h_ready", "h_confidence")
    table = words.table("together_caption", heads, rows, {-1})
    text = words.say("together", money=words.money(total), count=words.count(len(cases)), date=words.date(latest))
    return Section(
        "together",
        words.say("s_ask"),
        (Paragraph(text, lead=True), table, Paragraph(words.say("together_note")), signature(words)),
    )
