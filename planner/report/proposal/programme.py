"""The proposal of a programme: the ask, its calendar, stages, money, how sure it is, and the grant annex."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date as Date  # noqa: N812 - as in `locale`

from planner.money import in_its_money
from planner.report.gantt import bars_of
from planner.report.proposal.beside import added, requested_usd
from planner.report.proposal.evidence import taken_words
from planner.report.proposal.locale import locale
from planner.report.proposal.model import (
    Block,
    Bullets,
    Cell,
    Facts,
    Figure,
    Paragraph,
    Proposal,
    Row,
    Section,
    Table,
)
from planner.report.proposal.programme_annex import annex_section
from planner.report.proposal.programme_document import ProgrammeDocument
from planner.report.proposal.programme_drawings import cash_picture, gantt_picture
from planner.search.programme_answer import MONTH, WEEK, Cash, ProgrammeAnswer
from planner.search.programme_scaling import ScalingRow
from planner.spec.programme import Programme

DAY_S = 86400.0
ALL_OFFERS = "programme_answers.all_offers"  # the code of a resource: what all offers have together
WORLDS = 20_000
FEW_MONTHS = 3  # from which on bars are months
MOST_WEEKS = 30  # of a table; more are in the JSON


@in_its_money
def build_programme_proposal(
    programme: Programme,
    answer: ProgrammeAnswer,
    scaling: Sequence[ScalingRow],
    *,
    day: Date,
    language: str = "en",
    command: str = "",
) -> Proposal:
    """The document of a programme that has a calendar, in one language.

    Raises
    ------
    PlannerError
        If the language is not known.
    """
    words = locale(language)
    document = ProgrammeDocument(programme, answer, words, scaling)
    sections = (
        _ask(document),
        _calendar(document),
        _stages(document),
        _money(document),
        _sure(document),
        annex_section(document),
        _method(document),
    )
    return Proposal(
        language=language,
        title=document.say("title", name=programme.name),
        day=day,
        day_text=words.date(day),
        sections=sections,
        colophon=words.colophon([(programme.name, answer.provenance)], command),
        words=words.labels("ui_"),
        calendar=bars_of(answer),
        requests=(_request(document),),
    )


def _request(document: ProgrammeDocument) -> Mapping[str, object]:
    ask, answer = document.ask, document.answer
    total = requested_usd(document.programme.ask, ask.total_usd)
    return {
        "scenario": document.programme.name,
        "cost_usd": ask.total_usd,
        "asked": document.words.amount(total),
        "unit": document.words.unit.unit,
        "time_s": (answer.end_day or 0) * DAY_S,
        "confidence": ask.confidence,
        "start": None if answer.goal.start is None else answer.goal.start.isoformat(),
        "stages": len(answer.stages),
    }


def _ask(document: ProgrammeDocument) -> Section:
    answer, ask, words = document.answer, document.ask, document.words
    lines, total = added(document.programme.ask, ask.total_usd), requested_usd(document.programme.ask, ask.total_usd)
    share = ask.contingency_usd / ask.expected_usd if ask.expected_usd else 0.0
    lead = document.say(
        "ask",
        total=words.money(total),
        expected=words.money(ask.expected_usd),
        more=words.money(ask.contingency_usd),
        share=words.percent(share),
        sure=document.sure,
        count=words.count(len(answer.stages)),
        end=document.day(answer.end_day or 0),
    )
    facts = [
        (document.say("f_expected"), words.money(ask.expected_usd)),
        (document.say("f_contingency"), words.money(ask.contingency_usd)),
        *((name, words.money(usd)) for name, usd in lines),
        (document.say("f_total"), words.money(total)),
        (document.say("f_end"), document.day(answer.end_day or 0)),
    ]
    if answer.time_s is not None:
        low, high = words.time(answer.time_s.p10), words.time(answer.time_s.p90)
        facts.append((document.say("f_time"), f"{low} – {high}"))
    goal = answer.goal
    if answer.p_within_time is not None and goal.time_s is not None:
        facts.append((document.say("f_in_time", time=words.time(goal.time_s)), words.chance(answer.p_within_time)))
    if answer.p_within_cost is not None and goal.cost_usd is not None:
        facts.append((document.say("f_in_cost", money=words.money(goal.cost_usd)), words.chance(answer.p_within_cost)))
    if answer.p_within_both is not None and None not in (answer.p_within_time, answer.p_within_cost):
        facts.append((document.say("f_in_both"), words.chance(answer.p_within_both)))
    facts.append((document.say("f_hours"), words.count(sum(s.gpu_hours for s in answer.stages))))
    why = document.say("contingency_why", sure=document.sure, worlds=words.count(WORLDS))
    facts_block = Facts(tuple((label, Cell(text)) for label, text in facts))
    return Section("ask", document.say("s_ask"), (Paragraph(lead, lead=True), facts_block, Paragraph(why)))


def _calendar(document: ProgrammeDocument) -> Section:
    answer, words = document.answer, document.words
    parts = [
        document.say("gantt_part", name=s.name, start=document.day(s.start_day), end=document.day(s.start_day + s.days))
        for s in answer.stages
    ]
    description = document.say("gantt_text", stages=words.listed(parts, "semicolons"))
    figure = Figure("calendar-chart", gantt_picture(bars_of(answer), words, description))
    own = any(stage.milestone.deadline_day is not None for stage in answer.stages)
    rows: list[Row] = []
    for stage in answer.stages:
        mark = stage.milestone
        row: Row = (
            stage.name,
            document.day(stage.start_day),
            words.count_cell(stage.days),
            document.day(mark.planned_day),
            words.chance_cell(mark.p_by_planned),
            "" if mark.deadline_day is None else document.day(mark.deadline_day),
            "" if mark.p_by_deadline is None else words.chance_cell(mark.p_by_deadline),
        )
        rows.append(row if own else row[:5])
    heads = "stage start days end chance" + " deadline p_deadline" * own
    return Section("calendar", document.say("s_calendar"), (figure, document.table("calendar", heads, rows)))


def _stages(document: ProgrammeDocument) -> Section:
    words = document.words
    rows: list[Row] = []
    for stage, given in zip(document.answer.stages, document.programme.stages, strict=True):
        plan = stage.plan
        taken = words.listed([document.say(f"inherits_{what}") for what in stage.inherits])
        if taken and stage.after:
            taken = document.say("inherits_of", what=taken, stage=stage.after[0])
        rows.append(
            (
                stage.name,
                words.listed((given.scenario.model.name, plan.precision), "commas"),
                words.big_cell(plan.tokens),
                words.count_cell(plan.seq_length),
                words.count_cell(plan.global_batch),
                taken or "–",
                document.cluster(stage),
            )
        )
    blocks: list[Block] = [document.table("stages", "stage model tokens seq batch inherits cluster", rows)]
    moves = [
        document.say(
            "move",
            name=stage.name,
            source=stage.move.source_place,
            place=stage.move.place,
            gb=words.count(stage.move.gb),
            time=words.time(stage.move.time_s),
            money=words.money(stage.move.cost_usd),
        )
        for stage in document.answer.stages
        if stage.move is not None
    ]
    if moves:
        blocks.append(Bullets(tuple(moves)))
    return Section("stages", document.say("s_stages"), tuple(blocks))


def _money(document: ProgrammeDocument) -> Section:
    answer, ask, words = document.answer, document.ask, document.words
    rows: list[Row] = [
        (
            stage.name,
            words.count_cell(stage.copies),
            document.cluster(stage),
            words.money_cell(stage.cost_usd.p50),
            words.money_cell(stage.cost_sure_usd),
        )
        for stage in answer.stages
    ]
    rows += [
        (document.say("reservation", name=each.name), "", "", *[words.money_cell(each.cost_usd)] * 2)
        for each in answer.reservations
    ]
    medians = sum(stage.cost_usd.p50 for stage in answer.stages) + sum(each.cost_usd for each in answer.reservations)
    if len(answer.stages) > 1:
        rows.append((document.say("beyond_row"), "", "", words.money_cell(ask.expected_usd - medians), ""))
    first = len(rows)
    lines, total = added(document.programme.ask, ask.total_usd), requested_usd(document.programme.ask, ask.total_usd)
    contingency = document.say("contingency_row", sure=document.sure)
    surrogate = words.money_cell(answer.surrogate_cost_usd)
    rows += [
        (document.say("total"), "", "", words.money_cell(ask.expected_usd), surrogate),
        (contingency, "", "", words.money_cell(ask.contingency_usd), ""),
        *((name, "", "", words.money_cell(usd), "") for name, usd in lines),
        (document.say("asked_row"), "", "", words.money_cell(total), ""),
    ]
    table = document.table("money", "stage runs cluster p50 sure", rows, {first, -1}, sure=document.sure)
    return Section("money", document.say("s_money"), (table, *_cash(document)))


def _cash(document: ProgrammeDocument) -> tuple[Block, ...]:
    answer, words = document.answer, document.words

    def week(cash: Cash) -> str:
        return document.say("week", n=cash.first_day // WEEK + 1)

    def month(cash: Cash) -> str:
        if answer.goal.start is None:
            return document.say("month", n=cash.first_day // MONTH + 1)
        return words.month(Date.fromordinal(answer.goal.start.toordinal() + cash.first_day))

    def table(caption: str, periods: Sequence[Cash], name: Callable[[Cash], str]) -> Table:
        rows: list[Row] = []
        for cash in periods:
            parts = words.listed((f"{of} {words.money_short(usd)}" for of, usd in cash.by_stage.items()), "commas")
            rows.append((name(cash), words.money_cell(cash.cost_usd), parts))
        rows.append((document.say("total"), words.money_cell(sum(cash.cost_usd for cash in periods)), ""))
        return document.table(caption, "period cost of", rows, {-1})

    months, weeks = answer.cash_by_month, answer.cash_by_week
    name, periods, title = (week, weeks, "c_weeks") if len(months) < FEW_MONTHS else (month, months, "c_cash")
    drawn = [(name(c), words.amount(c.cost_usd), words.money_short(c.cost_usd)) for c in periods]
    text = words.listed((f"{period} {amount}" for period, _, amount in drawn), "semicolons")
    figure = Figure("cash-chart", cash_picture(drawn, document.say(title), text))
    blocks: tuple[Block, ...] = (figure, table("cash", months, month))
    if len(weeks) <= MOST_WEEKS:
        blocks += (table("weeks", weeks, week),)
    return blocks


def _sure(document: ProgrammeDocument) -> Section:
    answer, words = document.answer, document.words
    binding = [stage.name for stage in answer.stages if stage.slack.binds]
    lead = document.say("binds", names=words.listed(binding)) if binding else document.say("binds_none")
    rows: list[Row] = []
    for stage in answer.stages:
        slack = stage.slack
        following = [s.name for s in answer.stages if stage.name in s.after]
        if slack.free_days:
            by = document.say(
                "absorbed_free", days=slack.free_days, names=words.listed(following) or document.say("end_none")
            )
        elif slack.total_days == 0:
            by = document.say("absorbed_nothing")
        else:
            by = (
                document.say("absorbed_later", names=words.listed(following))
                if following
                else document.say("absorbed_last")
            )
        rows.append(
            (
                stage.name,
                Cell("–", "count") if slack.total_days is None else words.count_cell(slack.total_days),
                Cell("–", "count") if slack.free_days is None else words.count_cell(slack.free_days),
                by,
            )
        )
    table = document.table("slack", "stage total_slack free_slack absorbed", rows)
    blocks: list[Block] = [Paragraph(lead, lead=True), table]
    late = [
        document.say("warning_late", name=s.name, chance=words.chance(s.milestone.p_by_planned))
        for s in answer.stages
        if s.milestone.p_by_planned < document.ask.confidence - 0.005
    ]
    if late:
        blocks.append(Bullets(tuple(late)))
    blocks.append(Paragraph(document.say("basis", worlds=words.count(WORLDS))))
    if answer.resources or answer.reservations:
        blocks.append(_shared(document))
    return Section("sure", document.say("s_sure"), tuple(blocks))


def _shared(document: ProgrammeDocument) -> Table:
    answer, words = document.answer, document.words
    rows = [
        (
            document.say("all_offers") if getattr(use.key, "code", "") == ALL_OFFERS else use.key,
            document.say("resource_use", used=words.count(use.used), most=words.count(use.most), days=use.full_days),
        )
        for use in answer.resources
    ]
    rows += [
        (
            each.name,
            document.say("bought_use", money=words.money(each.cost_usd), share=words.percent(each.used)),
        )
        for each in answer.reservations
    ]
    return document.table("shared", "what use", rows)


def _method(document: ProgrammeDocument) -> Section:
    answer, words = document.answer, document.words
    text = document.say(
        "surrogate",
        plans=words.count(answer.plans),
        sure=document.sure,
        thrown=words.count(answer.thrown_out),
    )
    taken = [(each.key, taken_words(words.language, each)) for each in answer.defaults]
    items = tuple(document.say("default", name=key, value=value) for key, value in taken)
    return Section(
        "method", document.say("s_method"), (Paragraph(text), Paragraph(document.say("defaults")), Bullets(items))
    )
