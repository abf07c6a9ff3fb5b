"""A programme's answer: of its best calendar stages, milestones, slack, shared machines, cash and what to ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta

import numpy as np

from planner.catalog import Catalog
from planner.money import in_its_money
from planner.performance.arrays import BoolArray, FloatArray
from planner.performance.calibration import Calibration
from planner.results.plan import Plan, Quantiles
from planner.search.calendar import Calendar, Schedule, chosen, makespan, moved, objective, spans, total_cost, used_of
from planner.search.plans import make_plan
from planner.search.programme_answer import (
    MONTH,
    WEEK,
    Bought,
    Cash,
    Milestone,
    Move,
    ProgrammeAnswer,
    ProgrammeAsk,
    ResourceUse,
    Slack,
    StageAnswer,
)
from planner.search.programme_refusals import refusal_of
from planner.search.programmes import (
    DAY_S,
    Found,
    Study,
    answer_facts,
    choose_calendar,
    ends,
    joined,
    move_s,
    on,
    quota_words,
    sequence,
    study_of,
)
from planner.search.stage_plans import data_bytes
from planner.spec.programme import Programme
from planner.words import Sentence, say
from planner.workload.counts import parameter_counts

Periods = Callable[[date | None, int], Iterator[tuple[str, int, int]]]  # first day, end -> name, first, last


@in_its_money
def optimize_programme(programme: Programme, catalog: Catalog, calibration: Calibration) -> ProgrammeAnswer:
    """The best calendar of a programme: a plan and a first day for each stage, or why there is none.

    Raises
    ------
    PlannerError
        If a stage allows no batch, or names what the catalog lacks.
    """
    study = study_of(programme, catalog, calibration)
    found = choose_calendar(study)
    return refusal_of(study) if found is None else answer_of(study, found)


def answer_of(study: Study, found: Found) -> ProgrammeAnswer:
    """The answer of a chosen calendar."""
    programme, calendar, schedule, worlds = study.programme, study.calendar, found.schedule, found.worlds
    budget, end = programme.budget, makespan(calendar, schedule)
    in_time = None if budget.time_s is None else worlds.finish_s <= budget.time_s
    in_cost = None if budget.cost_usd is None else worlds.total_usd <= budget.cost_usd
    stages = tuple(_stages(study, found))
    return ProgrammeAnswer(
        status="optimal",
        reason="",
        changes=(),
        objective=objective(study.calendar, schedule),
        stages=stages,
        resources=tuple(_resources(study, schedule)),
        reservations=tuple(_bought(study, schedule)),
        end_day=end,
        ends_on=on(programme, end),
        time_s=quantiles(worlds.finish_s),
        cost_usd=quantiles(worlds.total_usd),
        p_within_time=_share(in_time),
        p_within_cost=_share(in_cost),
        p_within_both=_share(in_time if in_cost is None else in_cost if in_time is None else in_time & in_cost),
        surrogate_cost_usd=float(total_cost(calendar, schedule)),
        ask=ask_of(worlds.total_usd, study.confidence),
        cash_by_month=tuple(_cash(study, found, _months)),
        cash_by_week=tuple(_cash(study, found, _weeks)),
        thrown_out=found.thrown_out,
        warnings=tuple(_warnings(study, found, stages)),
        **answer_facts(study),
    )


# --- stages ----------------------------------------------------------------------------------------------------------


def _stages(study: Study, found: Found) -> Iterator[StageAnswer]:
    programme, calendar, schedule, worlds = study.programme, study.calendar, found.schedule, found.worlds
    names, done = [stage.name for stage in programme.stages], ends(calendar, schedule)
    slacks, waits, days = slack_of(study, schedule), sequence(calendar, schedule), spans(calendar, schedule)
    for i, (stage, plans, at, choice) in enumerate(
        zip(programme.stages, study.plans, schedule.picked, chosen(calendar, schedule), strict=True)
    ):
        offer = plans.offer(at)
        plan = make_plan(plans.state, found.picks[i], offer)
        hours = (plan.gpu_hours.allocated if plan.gpu_hours is not None else 0.0) * stage.copies
        reserved, move = choice.reservation, _move(study, schedule, i)
        yield StageAnswer(
            name=stage.name,
            after=tuple(names[j] for j in stage.after),
            inherits=stage.inherits,
            waits_for=tuple(names[j] for j in sorted(waits[i])),
            copies=stage.copies,
            beside=int(plans.lanes[at]),
            opens_day=days[i][0],
            start_day=schedule.starts[i],
            days=choice.days,
            starts_on=on(programme, schedule.starts[i]),
            ends_on=on(programme, done[i]),
            plan=plan,
            time_s=quantiles(worlds.ends_s[i] - worlds.starts_s[i]),
            cost_usd=quantiles(worlds.usd[i]),
            cost_sure_usd=choice.cost + (0.0 if move is None else move.cost_usd),
            gpu_hours=hours,
            node_hours=hours / offer.gpus_per_node,
            reservation="" if reserved is None else study.shared.reserved[reserved],
            move=move,
            milestone=_milestone(programme, calendar, i, done[i], worlds.ends_s[i]),
            slack=slacks[i],
            storage_gb=_storage_gb(study, i, plan),
            trained=None,
        )


def _move(study: Study, schedule: Schedule, i: int) -> Move | None:
    link = study.calendar.tasks[i].link
    if link is None or not moved(study.calendar, schedule)[i]:
        return None
    there, here = (
        study.places[choice.place] for choice in (chosen(study.calendar, schedule)[k] for k in (link.source, i))
    )
    return Move(
        source=study.programme.stages[link.source].name,
        source_place="/".join(there),
        place="/".join(here),
        gb=study.carried[i] / 1e9,
        time_s=move_s(study.programme, study.carried[i]),
        cost_usd=link.move_cost,
    )


def _milestone(programme: Programme, calendar: Calendar, i: int, day: int, ends_s: FloatArray) -> Milestone:
    deadline = calendar.tasks[i].deadline
    return Milestone(
        planned_day=day,
        planned_on=on(programme, day),
        end_s=quantiles(ends_s),
        p_by_planned=float(np.mean(ends_s <= day * DAY_S)),
        deadline_day=deadline,
        p_by_deadline=None if deadline is None else float(np.mean(ends_s <= deadline * DAY_S)),
    )


def _storage_gb(study: Study, i: int, plan: Plan) -> float:
    """Two checkpoints of each copy, as written while it runs, and the data that it reads."""
    stage = study.programme.stages[i]
    parameters = parameter_counts(stage.scenario.model).total
    each = plan.reliability.checkpoint_gb if plan.reliability is not None else parameters * 14.0 / 1e9
    return 2.0 * each * stage.copies + data_bytes(stage) / 1e9


# --- slack -----------------------------------------------------------------------------------------------------------


def slack_of(study: Study, schedule: Schedule) -> list[Slack]:
    """By how much each stage may slip, in the calendar's own order, and what takes it up."""
    calendar, programme = study.calendar, study.programme
    waits, done = sequence(calendar, schedule), ends(calendar, schedule)
    away, picks, end = moved(calendar, schedule), chosen(calendar, schedule), makespan(calendar, schedule)
    n, closing = len(picks), [closes for _, closes in spans(calendar, schedule)]

    def gap(i: int, j: int) -> int:
        """Days between the end of i and the beginning of j that must lie there."""
        link = calendar.tasks[j].link
        return link.move_days if link is not None and link.source == i and away[j] else 0

    def latest(last_of_all: int) -> list[int]:
        out = [last_of_all] * n
        for i in sorted(range(n), key=lambda k: -schedule.starts[k]):
            task, closes = calendar.tasks[i], closing[i]
            later = [out[j] - picks[j].days - gap(i, j) for j in range(n) if i in waits[j]]
            limits = [x for x in (task.deadline, closes) if x is not None]
            out[i] = min([last_of_all, *limits, *later])
        return out

    in_all, by_end = latest(calendar.horizon), latest(end)
    bounded = programme.budget.time_s is not None
    out = []
    for i in range(n):
        following = [j for j in range(n) if i in waits[j]]
        free = min((schedule.starts[j] - gap(i, j) - done[i] for j in following), default=None)
        total = in_all[i] - done[i] if bounded or any(t.deadline is not None for t in calendar.tasks) else None
        words = _absorbed(free, total, [programme.stages[j].name for j in following])
        out.append(Slack(total, free, words, by_end[i] <= done[i]))
    return out


def _absorbed(free: int | None, total: int | None, following: Sequence[str]) -> Sentence:
    """What takes up a slip, in words."""
    if free is None:
        return say("programme_answers.by_deadline" if total else "programme_answers.by_nothing_last")
    if free > 0:
        return say("programme_answers.by_free_days", days=free, stages=joined(following))
    if total:
        return say("programme_answers.by_those_after", days=total, stages=joined(following))
    return say("programme_answers.by_nothing" if total == 0 else "programme_answers.by_what_follows")


# --- what is shared --------------------------------------------------------------------------------------------------


def _resources(study: Study, schedule: Schedule) -> Iterator[ResourceUse]:
    names = [*(quota_words(key) for key in study.shared.quotas), *study.shared.own]
    end = makespan(study.calendar, schedule)
    for of, (name, limit) in enumerate(zip(names, study.calendar.limits, strict=True)):
        used = used_of(study.calendar, schedule, of)
        if not used.any() or not len(limit):
            continue
        full = int(np.sum((used[:end] > 0) & (used[:end] >= limit[:end])))
        most, peak = float(limit[:end].max(initial=0.0)), float(used.max())
        yield ResourceUse(name, most, peak, full, say("programme_answers.use", used=int(peak), gpus=int(most)))


def _bought(study: Study, schedule: Schedule) -> Iterator[Bought]:
    picks = chosen(study.calendar, schedule)
    for k, each in enumerate(study.programme.reservations):
        on_it = [c for c in picks if c.reservation == k]
        if on_it:
            of = len(study.shared.quotas) + study.shared.own.index(each.own.name)
            days = float(used_of(study.calendar, schedule, of).sum())
            whole = each.own.nodes * each.own.gpus_per_node * (each.until - max(each.since, 0))
            yield Bought(each.own.name, each.usd, days / whole)


def _warnings(study: Study, found: Found, stages: Sequence[StageAnswer]) -> Iterator[str]:
    sure, days = study.confidence, spans(study.calendar, found.schedule)
    for stage, (_, closes), ends_s in zip(stages, days, found.worlds.ends_s, strict=True):
        mark = stage.milestone
        if mark.p_by_planned < sure - 0.005:
            yield say("programme_answers.late", stage=stage.name, chance=mark.p_by_planned, sure=sure)
        beyond = 0.0 if closes is None else float(np.mean(ends_s > closes * DAY_S))
        if beyond > 0.001:
            of = stage.reservation or say("programme_answers.quotas")
            yield say("programme_answers.beyond", stage=stage.name, of=of, chance=beyond)


# --- money -----------------------------------------------------------------------------------------------------------


def ask_of(total_usd: FloatArray, sure: float) -> ProgrammeAsk:
    """What is asked for: the median of the sum, and the contingency up to its quantile at the confidence."""
    expected, total = float(np.quantile(total_usd, 0.5)), float(np.quantile(total_usd, sure))
    total = max(total, expected)
    more = total - expected
    share = more / expected if expected else 0.0
    text = say("programme_answers.ask", expected=expected, more=more, share=share, sure=sure)
    return ProgrammeAsk(expected, more, total, sure, text)


def _cash(study: Study, found: Found, periods: Periods) -> Iterator[Cash]:
    """Each stage's cost at the confidence, spread evenly over its days, by period; reservations on their first day."""
    calendar, schedule, programme = study.calendar, found.schedule, study.programme
    away, picks = moved(calendar, schedule), chosen(calendar, schedule)
    end = max(makespan(calendar, schedule), 1)
    days: dict[str, FloatArray] = {}
    for i, (stage, choice) in enumerate(zip(programme.stages, picks, strict=True)):
        spread = np.zeros(end)
        spread[schedule.starts[i] : schedule.starts[i] + choice.days] = choice.cost / choice.days
        link = calendar.tasks[i].link
        if away[i] and link is not None:
            spread[max(schedule.starts[i] - 1, 0)] += link.move_cost
        days[stage.name] = spread
    for k in sorted({c.reservation for c in picks if c.reservation is not None}):
        spread = np.zeros(end)
        spread[min(max(programme.reservations[k].since, 0), end - 1)] = calendar.reservations[k]
        days[programme.reservations[k].own.name] = spread
    for name, first, last in periods(programme.budget.start, end):
        parts = {key: float(spread[first:last].sum()) for key, spread in days.items()}
        parts = {key: usd for key, usd in parts.items() if usd > 0}
        yield Cash(name, first, sum(parts.values()), parts)


def _months(start: date | None, end: int) -> Iterator[tuple[str, int, int]]:
    """Calendar months where the first day is known, else thirty days each."""
    if start is None:
        for n, first in enumerate(range(0, end, MONTH), 1):
            yield say("programme_answers.month", n=n), first, min(first + MONTH, end)
        return
    first = 0
    while first < end:
        day = start + timedelta(days=first)
        following = date(day.year + day.month // 12, day.month % 12 + 1, 1)
        last = min(end, (following - start).days)
        yield f"{day.year}-{day.month:02}", first, last
        first = last


def _weeks(start: date | None, end: int) -> Iterator[tuple[str, int, int]]:
    del start
    for n, first in enumerate(range(0, end, WEEK), 1):
        yield say("programme_answers.week", n=n), first, min(first + WEEK, end)


def quantiles(values: FloatArray) -> Quantiles:
    """10th, 50th and 90th percentile."""
    return Quantiles(*(float(x) for x in np.quantile(values, (0.1, 0.5, 0.9))))


def _share(which: BoolArray | None) -> float | None:
    return None if which is None else float(np.mean(which))
