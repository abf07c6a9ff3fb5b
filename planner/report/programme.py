"""A programme on a terminal: its calendar, what each stage gets, how sure it is, money, and what is shared."""

from __future__ import annotations

from collections.abc import Callable

from planner.money import in_its_money
from planner.report.figures import chance, money_text, time_text
from planner.report.gantt import day_words, gantt
from planner.report.layout import Page, bullets, columns, hanging, wrap
from planner.results.plan import Quantiles
from planner.search.programme_answer import ProgrammeAnswer, StageAnswer
from planner.units import format_count, format_percent

NO_PRICE = "left out: no price of your machines is stated; write `usd_per_gpu_hour` or `ownership` under cluster.own"


@in_its_money
def programme_table(found: ProgrammeAnswer, width: int = 80, colour: bool = False, *, full: bool = False) -> str:
    """The answer as text, ending in a newline; `full`: with cash flow, defaults and what was searched."""
    page = Page(width, colour)
    if found.status != "optimal":
        lines = [page.styled(line, "bad") for line in wrap(f"Infeasible: {found.reason}", width)]
        return "\n".join([*lines, *bullets(found.changes, page)]) + "\n"
    blocks = [
        [page.heading(found.provenance.scenario), *_together(found, page)],
        [page.heading("Calendar"), *gantt(found, page), *_legend(found, page)],
        [page.heading("Stages"), *_stages(found, page)],
    ]
    if found.resources or found.reservations:
        blocks.append([page.heading("Shared"), *bullets(_shared(found), page)])
    if full:
        if found.goal.cost_stated:
            blocks.append([page.heading("Cash flow"), *_cash(found, page)])
        blocks.append([page.heading("Slack"), *bullets(_slack(found), page)])
        blocks.append([page.heading("Chances"), *(f"  {x}" for x in wrap(found.chance_basis, width - 2))])
        blocks.append([page.heading("Defaults"), *bullets((f"{d.key}: {d.value}" for d in found.defaults), page)])
        blocks.append([page.heading("Searched"), *(f"  {x}" for x in wrap(found.statement, width - 2))])
    else:
        blocks.append([*(f"  {x}" for x in wrap(_short_basis(found), width - 2))])
    if found.warnings:
        blocks.append([page.heading("Warnings"), *bullets(found.warnings, page, "warn")])
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _together(found: ProgrammeAnswer, page: Page) -> list[str]:
    assert found.time_s is not None  # noqa: S101 - of answers with a calendar alone
    assert found.cost_usd is not None  # noqa: S101
    assert found.ask is not None  # noqa: S101
    assert found.end_day is not None  # noqa: S101
    goal, out = found.goal, []
    planned = f"{found.end_day} days, until {day_words(goal.start, found.end_day)}"
    sure = (
        "" if found.p_within_time is None else f"; {chance(found.p_within_time)} within {time_text(goal.time_s or 0)}"
    )
    out += hanging("time", f"{planned}; {_range(found.time_s, time_text)}{sure}", page)
    if not goal.cost_stated:
        return [*out, *hanging("cost", NO_PRICE, page)]
    sure = (
        ""
        if found.p_within_cost is None
        else f"; {chance(found.p_within_cost)} within {money_text(goal.cost_usd or 0)}"
    )
    out += hanging("cost", f"{_range(found.cost_usd, money_text)}{sure}", page)
    ask = found.ask
    more = ask.contingency_usd / ask.expected_usd if ask.expected_usd else 0.0
    asked = (
        f"{money_text(ask.total_usd)}: {money_text(ask.expected_usd)} and a contingency of"
        f" {money_text(ask.contingency_usd)} ({format_percent(more)}), enough with {format_percent(ask.confidence)}"
    )
    out += hanging("to ask for", asked, page)
    if found.p_within_both is not None and found.p_within_time is not None and found.p_within_cost is not None:
        out += hanging("both budgets", chance(found.p_within_both), page)
    return out


def _range(q: Quantiles, text: Callable[[float], str]) -> str:
    return f"{text(q.p50)} ({text(q.p10)} to {text(q.p90)})"


def _legend(found: ProgrammeAnswer, page: Page) -> list[str]:
    binds = [stage.name for stage in found.stages if stage.slack.binds]
    text = (
        f"█ planned  ▒ one world in ten is later still  · free; any slip moves the end: {', '.join(binds) or 'of none'}"
    )
    return [f"  {page.styled(line, 'dim')}" for line in wrap(text, page.width - 2)]


def _stages(found: ProgrammeAnswer, page: Page) -> list[str]:
    rows = [["", "days", "cost", "cluster", "done by", ""]]
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
            out += hanging(
                "",
                f"{stage.name} moves from {move.source_place} to {move.place}: {move.gb:,.0f} GB,"
                f" {time_text(move.time_s)}, {money_text(move.cost_usd)}",
                page,
            )
        if stage.milestone.p_by_deadline is not None and stage.milestone.deadline_day is not None:
            day = day_words(found.goal.start, stage.milestone.deadline_day)
            out += hanging("", f"{stage.name} by its deadline {day}: {chance(stage.milestone.p_by_deadline)}", page)
    return out


def cluster_words(stage: StageAnswer) -> str:
    """The machines of a stage: "4 × 2 of 64 h100-sxm5-80gb, aws"."""
    plan = stage.plan
    times = f"{stage.copies} runs, {stage.beside} at once, each " if stage.copies > 1 else ""
    where = stage.reservation or f"{plan.offer.cloud}/{plan.offer.region}"
    return f"{times}{format_count(plan.gpus)} × {plan.offer.gpu}, {where}"


def _shared(found: ProgrammeAnswer) -> list[str]:
    out = [
        f"{use.key}: {use.text}" + (f", all in use on {use.full_days} days" if use.full_days else "")
        for use in found.resources
    ]
    out += [
        f"{each.name}: {money_text(each.cost_usd)}, paid whole, {format_percent(each.used)} of its days used"
        for each in found.reservations
    ]
    return out


def _slack(found: ProgrammeAnswer) -> list[str]:
    out = []
    for stage in found.stages:
        total, free = stage.slack.total_days, stage.slack.free_days
        days = "" if total is None else f"{total} days in all, "
        days += "" if free is None else f"{free} free; "
        out.append(f"{stage.name}: {days}a slip is absorbed {stage.slack.absorbed_by}")
    return out


def _cash(found: ProgrammeAnswer, page: Page) -> list[str]:
    rows = [["", "cost", "of"]]
    rows += [
        [cash.period, money_text(cash.cost_usd), ", ".join(f"{k} {money_text(v)}" for k, v in cash.by_stage.items())]
        for cash in found.cash_by_month
    ]
    return columns(rows, "lrl", page, flexible=2)


def _short_basis(found: ProgrammeAnswer) -> str:
    thrown = f" {found.thrown_out} calendars were thrown out." if found.thrown_out else ""
    return (
        f"Best of {found.plans:,} plans and every first day, for sums of quantiles at"
        f" {format_percent(found.goal.confidence or 0.8)}; the chances are of the true sums, by simulation.{thrown}"
        " All of it: --full, --json."
    )
