"""A programme on a terminal: its calendar, what each stage gets, how sure it is, money, and what is shared."""

from __future__ import annotations

from collections.abc import Callable

from planner.money import in_its_money
from planner.report.figures import chance, money_text, time_text
from planner.report.gantt import day_words, gantt
from planner.report.layout import Page, bullets, columns, hanging, heads, indented, labelled, screen, section, wrap
from planner.results.plan import Quantiles
from planner.search.programme_answer import ProgrammeAnswer, StageAnswer
from planner.words import Sentence, said, say


@in_its_money
def programme_table(found: ProgrammeAnswer, width: int = 80, colour: bool = False, *, full: bool = False) -> str:
    """The answer as text, ending in a newline; `full`: with cash flow, defaults and what was searched."""
    page = Page(width, colour)
    if found.status != "optimal":
        lines = [page.styled(line, "bad") for line in wrap(said("labels.infeasible_because", why=found.reason), width)]
        return "\n".join([*lines, *bullets(found.changes, page)]) + "\n"
    blocks = [
        [page.heading(found.provenance.scenario), *_together(found, page)],
        section("programme.calendar", [*gantt(found, page), *_legend(found, page)], page),
        section("programme.stages", _stages(found, page), page),
        section("programme.shared", bullets(_shared(found), page), page),
    ]
    if full:
        defaults = [said("labels.of", what=default.key, text=default.value) for default in found.defaults]
        blocks += [
            section("programme.cash_flow", _cash(found, page) if found.goal.cost_stated else [], page),
            section("programme.slack", bullets(_slack(found), page), page),
            section("programme.chances", indented(found.chance_basis, page), page),
            section("programme.defaults", bullets(defaults, page), page),
            section("programme.searched", indented(found.statement, page), page),
        ]
    else:
        code = "programme.basis_thrown" if found.thrown_out else "programme.basis"
        basis = said(code, plans=found.plans, sure=found.goal.confidence or 0.8, thrown=found.thrown_out)
        blocks.append(indented(basis, page))
    return screen([*blocks, section("labels.warnings", bullets(found.warnings, page, "warn"), page)])


def _together(found: ProgrammeAnswer, page: Page) -> list[str]:
    assert found.time_s is not None  # noqa: S101 - of answers with a calendar alone
    assert found.cost_usd is not None  # noqa: S101
    assert found.ask is not None  # noqa: S101
    assert found.end_day is not None  # noqa: S101
    goal, out = found.goal, []
    planned = said("programme.days_until", days=found.end_day, day=day_words(goal.start, found.end_day))
    time = said("programme.and", text=planned, more=_range(found.time_s, time_text))
    if found.p_within_time is not None:
        time = said("programme.sure", text=time, chance=chance(found.p_within_time), limit=time_text(goal.time_s or 0))
    out += labelled("time", time, page)
    if not goal.cost_stated:
        return [*out, *labelled("cost", said("programme.no_price"), page)]
    cost: str = _range(found.cost_usd, money_text)
    if found.p_within_cost is not None:
        limit = money_text(goal.cost_usd or 0)
        cost = said("programme.sure", text=cost, chance=chance(found.p_within_cost), limit=limit)
    out += labelled("cost", cost, page)
    ask = found.ask
    request = said(
        "programme.ask",
        total=ask.total_usd,
        expected=ask.expected_usd,
        contingency=ask.contingency_usd,
        share=ask.contingency_usd / ask.expected_usd if ask.expected_usd else 0.0,
        confidence=ask.confidence,
    )
    out += labelled("to_ask_for", request, page)
    if found.p_within_both is not None and found.p_within_time is not None and found.p_within_cost is not None:
        out += labelled("both_budgets", chance(found.p_within_both), page)
    return out


def _range(q: Quantiles, text: Callable[[float], Sentence]) -> Sentence:
    return say("programme.range", middle=text(q.p50), low=text(q.p10), high=text(q.p90))


def _legend(found: ProgrammeAnswer, page: Page) -> list[str]:
    binds = [stage.name for stage in found.stages if stage.slack.binds]
    text = said("programme.legend", stages=binds) if binds else said("programme.legend_none")
    return [f"  {page.styled(line, 'dim')}" for line in wrap(text, page.width - 2)]


def _stages(found: ProgrammeAnswer, page: Page) -> list[str]:
    rows = [heads("", "days", "cost", "cluster", "done_by", "")]
    rows += [
        [
            stage.name,
            f"{stage.days}",
            money_text(stage.cost_usd.p50),
            cluster_words(stage),
            day_words(found.goal.start, stage.start_day + stage.days),
            chance(stage.milestone.p_by_planned),
        ]
        for stage in found.stages
    ]
    form = "lrrlrr"
    if not found.goal.cost_stated:
        rows, form = [[*row[:2], *row[3:]] for row in rows], "lrlrr"
    out = columns(rows, form, page, flexible=form.rindex("l"), least=24)
    for stage in found.stages:
        if stage.move is not None:
            move = stage.move
            moved = {"of": move.source_place, "to": move.place, "size": move.gb}
            text = said("programme.moves", stage=stage.name, **moved, time=move.time_s, cost=move.cost_usd)
            out += hanging("", text, page)
        if stage.milestone.p_by_deadline is not None and stage.milestone.deadline_day is not None:
            day = day_words(found.goal.start, stage.milestone.deadline_day)
            sure = chance(stage.milestone.p_by_deadline)
            out += hanging("", said("programme.by_deadline", stage=stage.name, day=day, chance=sure), page)
    return out


def cluster_words(stage: StageAnswer) -> str:
    """The machines of a stage: "4 × 2 of 64 h100-sxm5-80gb, aws"."""
    plan = stage.plan
    where = stage.reservation or f"{plan.offer.cloud}/{plan.offer.region}"
    text = said("one_screen.place", gpus=plan.gpus, gpu=plan.offer.gpu, place=where)
    if stage.copies > 1:
        return said("programme.copies", runs=stage.copies, beside=stage.beside, text=text)
    return text


def _shared(found: ProgrammeAnswer) -> list[str]:
    out = []
    for use in found.resources:
        text = said("labels.of", what=use.key, text=use.text)
        out.append(said("programme.all_in_use", text=text, days=use.full_days) if use.full_days else text)
    out += [
        said("programme.paid_whole", name=each.name, cost=each.cost_usd, used=each.used) for each in found.reservations
    ]
    return out


def _slack(found: ProgrammeAnswer) -> list[str]:
    out = []
    for stage in found.stages:
        total, free = stage.slack.total_days, stage.slack.free_days
        text = said("programme.absorbed", by=stage.slack.absorbed_by)
        text = text if free is None else said("programme.free_days", days=free, text=text)
        text = text if total is None else said("programme.total_days", days=total, text=text)
        out.append(said("labels.of", what=stage.name, text=text))
    return out


def _cash(found: ProgrammeAnswer, page: Page) -> list[str]:
    rows = [heads("", "cost", "of_stages")]
    for cash in found.cash_by_month:
        parts = [said("labels.valued", name=name, value=money_text(cost)) for name, cost in cash.by_stage.items()]
        rows.append([cash.period, money_text(cash.cost_usd), said("labels.listed", items=parts)])
    return columns(rows, "lrl", page, flexible=2)
