"""`explain` of a programme: which stage binds, what a little more is worth, what moving or shrinking one buys."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from planner.catalog import Catalog
from planner.money import in_its_money
from planner.performance.calibration import Calibration
from planner.results.answers import SCHEMA_VERSION, Document, Provenance, StatedGoal
from planner.search.calendar import Calendar, Choice, Schedule, makespan, total_cost
from planner.search.calendar_milp import solve
from planner.search.programme_answer import ProgrammeAnswer
from planner.search.programme_answers import answer_of
from planner.search.programme_refusals import refusal_of
from planner.search.programme_shared import limits_of
from planner.search.programmes import DAY_S, Study, choose_calendar, move_s, quota_words, study_of
from planner.spec.programme import Programme
from planner.words import Sentence, say

TENTH = 0.1
MORE_MONEY = 0.01  # of the budget
NODE = 8  # GPUs


@dataclass(frozen=True, slots=True)
class Change:
    """What one change of a programme is worth, by solving its calendar again."""

    key: str  # budget.time | budget.cost | cluster.quotas | stages.NAME
    what: str  # in words
    days: int | None  # earlier (below 0) or later that the programme ends; None: there is no calendar
    cost_usd: float | None  # more (above 0) or less that it costs at the confidence
    objective: float | None  # change of the objective: USD or days; below 0 is better
    text: str


@dataclass(frozen=True, slots=True)
class StageBinds:
    """Whether and how a stage binds."""

    stage: str
    binds: bool
    share_of_days: float  # of the programme's days
    share_of_cost: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProgrammeExplanation(Document):
    """The answer of `planner explain` for a scenario with `stages`."""

    schema_version: int = SCHEMA_VERSION
    kind: str = "programme"
    status: str  # optimal | infeasible
    reason: str
    changes: tuple[str, ...]  # what would make it feasible
    unit: str  # USD or days
    binding: tuple[StageBinds, ...]
    worth: tuple[Change, ...]
    provenance: Provenance
    goal: StatedGoal


@in_its_money
def explain_programme(programme: Programme, catalog: Catalog, calibration: Calibration) -> ProgrammeExplanation:
    """Which stages bind, what a little more of each limit is worth, and what moving or shrinking a stage buys."""
    study = study_of(programme, catalog, calibration)
    found = choose_calendar(study)
    answer = refusal_of(study) if found is None else answer_of(study, found)
    return ProgrammeExplanation(
        status=answer.status,
        reason=answer.reason,
        changes=answer.changes,
        unit=answer.unit,
        binding=tuple(_binding(answer)),
        worth=() if found is None else tuple(_worth(study)),
        provenance=answer.provenance,
        goal=answer.goal,
    )


def _binding(answer: ProgrammeAnswer) -> Iterator[StageBinds]:
    days, cost = answer.end_day or 1, answer.surrogate_cost_usd or 1.0
    for stage in answer.stages:
        of_days, of_cost = stage.days / days, stage.cost_sure_usd / cost if cost else 0.0
        binds = stage.slack.binds
        how = say(f"programme_explaining.{'binds' if binds else 'absorbed'}", by=stage.slack.absorbed_by)
        text = say("programme_explaining.stage", stage=stage.name, how=how, days=of_days)
        if answer.goal.cost_stated:
            text = say("programme_explaining.stage_paid", stage=stage.name, how=how, days=of_days, cost=of_cost)
        yield StageBinds(stage.name, binds, of_days, of_cost, text)


def _worth(study: Study) -> Iterator[Change]:
    programme, calendar = study.programme, study.calendar
    if programme.budget.time_s is not None:
        horizon = calendar.horizon + 1
        longer = replace(calendar, horizon=horizon, limits=limits_of(programme, study.shared, horizon))
        yield _change(study, "budget.time", say("programme_explaining.day"), longer)
    if calendar.budget is not None:
        more = calendar.budget * MORE_MONEY
        richer = replace(calendar, budget=calendar.budget + more)
        yield _change(study, "budget.cost", say("programme_explaining.cost", cost=more), richer)
    for of, quota in enumerate(study.shared.quotas):
        limits = tuple(limit + NODE if k == of else limit for k, limit in enumerate(calendar.limits))
        what = say("programme_explaining.gpus", gpus=NODE, of=quota_words(quota))
        yield _change(study, "cluster.quotas", what, replace(calendar, limits=limits))
    for i, stage in enumerate(programme.stages):
        key = f"stages.{stage.name}"
        yield _change(study, key, say("programme_explaining.tenth", stage=stage.name), _shrunk(study, i))
        task = calendar.tasks[i]
        if task.link is not None and task.link.place and not task.link.cluster and len(study.places) > 1:
            size, transfer = study.carried[i], programme.transfer
            days = math.ceil(move_s(programme, size) / DAY_S)
            usd = 0.0 if transfer is None else size / 1e9 * transfer.usd_per_gb
            link = replace(task.link, place=False, move_days=days, move_cost=usd)
            how = "programme_explaining.move" if transfer is not None else "programme_explaining.move_free"
            what = say(how, stage=stage.name, gb=size / 1e9)
            yield _change(study, key, what, _with(calendar, i, link=link))
        if task.after and task.link is None:
            yield _change(study, key, say("programme_explaining.order", stage=stage.name), _with(calendar, i, after=()))


def _with(calendar: Calendar, number: int, **changes: Any) -> Calendar:
    tasks = tuple(replace(task, **changes) if i == number else task for i, task in enumerate(calendar.tasks))
    return replace(calendar, tasks=tasks)


def _shrunk(study: Study, number: int) -> Calendar:
    """The calendar were a stage a tenth shorter: its time and cost are taken to be a tenth less."""
    plans = study.plans[number]

    def less(at: int, choice: Choice) -> Choice:
        turns = -(-plans.stage.copies // int(plans.lanes[at]))
        days = max(1, math.ceil(turns * float(plans.sure_s[at]) * (1.0 - TENTH) / DAY_S - 1e-9))
        return replace(choice, days=days, cost=choice.cost * (1.0 - TENTH), value=choice.value * (1.0 - TENTH))

    choices = tuple(less(at, choice) for at, choice in enumerate(study.calendar.tasks[number].choices))
    return _with(study.calendar, number, choices=choices)


def _change(study: Study, key: str, what: Sentence, calendar: Calendar) -> Change:
    """What another calendar is worth against the programme's own."""
    now, then = solve(study.calendar), solve(calendar)
    if now is None or then is None:
        return Change(key, what, None, None, None, say("programme_explaining.no_calendar", what=what))
    days = makespan(calendar, then) - makespan(study.calendar, now)
    usd = float(total_cost(calendar, then) - total_cost(study.calendar, now))
    unit = study.programme.objective.kind
    worth = float(days) if unit == "time" else _value(calendar, then) - _value(study.calendar, now)
    return Change(key, what, days, usd, worth, say("programme_explaining.change", what=what, does=_effect(days, usd)))


def _value(calendar: Calendar, found: Schedule) -> float:
    cost = float(total_cost(calendar, found, value=True))
    return calendar.per_cost * cost + calendar.per_day * makespan(calendar, found)


def _effect(days: int, usd: float) -> Sentence:
    parts = []
    if days:
        parts.append(say("programme_explaining.earlier" if days < 0 else "programme_explaining.later", days=abs(days)))
    if abs(usd) >= 0.5:
        parts.append(say("programme_explaining.saves" if usd < 0 else "programme_explaining.costs", cost=abs(usd)))
    return say("programme_explaining.effects", effects=parts) if parts else say("programme_explaining.nothing")
