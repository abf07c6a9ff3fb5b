"""Why no calendar keeps a programme's budgets, and what would let one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from planner.search.calendar import Calendar, Schedule, Task, makespan, total_cost
from planner.search.calendar_milp import solve
from planner.search.infeasible import reason_of
from planner.search.objectives import budget_goal
from planner.search.programme_answer import ProgrammeAnswer
from planner.search.programme_shared import limits_of
from planner.search.programmes import (
    DAY_S,
    MOST_DAYS,
    Study,
    answer_facts,
    joined,
    on,
    quota_words,
    simulate_schedule,
    study_of,
)
from planner.spec.programme import Programme
from planner.words import Sentence, say

_OF_A_CALENDAR = (
    "objective", "end_day", "ends_on", "time_s", "cost_usd", "p_within_time", "p_within_cost", "p_within_both",
    "surrogate_cost_usd", "ask",
)  # fmt: skip


def refusal_of(study: Study) -> ProgrammeAnswer:
    """An answer without a calendar: why there is none, and what would make one."""
    reason, changes = why_none(study)
    nothing: dict[str, Any] = dict.fromkeys(_OF_A_CALENDAR)
    return ProgrammeAnswer(
        status="infeasible",
        reason=reason,
        changes=tuple(changes),
        stages=(),
        resources=(),
        reservations=(),
        cash_by_month=(),
        cash_by_week=(),
        thrown_out=0,
        warnings=(),
        **answer_facts(study),
        **nothing,
    )


def why_none(study: Study) -> tuple[Sentence, list[Sentence]]:
    """Why no calendar keeps the budgets, in a sentence, and single changes that would let one."""
    programme, calendar = study.programme, study.calendar
    for stage, plans in zip(programme.stages, study.plans, strict=True):
        if not plans.choices:
            why = reason_of(plans.state, budget_goal(programme.budget, per_usd=1.0))
            reason = say("programme_refusals.stage", at=stage.where, stage=stage.name, reason=why)
            return reason, list(_wider(study))
    best = solve(calendar)
    if best is not None:
        return _broken_in_truth(study, best)
    changes = []
    if calendar.budget is not None:
        free = solve(replace(calendar, budget=None, per_cost=1.0, per_day=0.0, tasks=_by_cost(calendar)))
        if free is not None:
            least = float(total_cost(calendar, free))
            changes.append(_would_do(say("programme_refusals.cost", cost=least)))
    days = _days_needed(study)
    if days is not None:
        changes.append(_would_do(say("programme_refusals.time", days=days)))
    for i, key in enumerate(study.shared.quotas):
        limits = tuple(np.full_like(x, 1e9) if k == i else x for k, x in enumerate(calendar.limits))
        if solve(replace(calendar, limits=limits)) is not None:
            changes.append(_would_do(say("programme_refusals.quotas", of=quota_words(key))))
    for i, task in enumerate(calendar.tasks):
        days = None if task.deadline is None else _done_by(calendar, i)
        if days is not None:
            changes.append(_would_do(_deadline(programme, i, days)))
    if changes:
        return say("programme_refusals.sums", sure=study.confidence), changes
    return say("programme_refusals.none"), changes


def _would_do(needed: Sentence | str) -> Sentence:
    return say("programme_refusals.would_do", needed=needed)


def _deadline(programme: Programme, number: int, day: int) -> Sentence:
    """That a stage's deadline is on a day or later."""
    when = on(programme, day) or say("programme_refusals.day", day=day)
    return say("programme_refusals.deadline", key=f"stages.{number}.deadline", day=when)


def _broken_in_truth(study: Study, best: Schedule) -> tuple[Sentence, list[Sentence]]:
    """Why calendars that keep the sums of quantiles were all thrown out, and what would keep the best of them."""
    programme, sure, worlds = study.programme, study.confidence, simulate_schedule(study, study.calendar, best).worlds
    budget, needed = programme.budget, list[Sentence]()
    days = math.ceil(float(np.quantile(worlds.finish_s, sure)) / DAY_S)
    usd = float(np.quantile(worlds.total_usd, sure))
    if budget.time_s is not None and days * DAY_S > budget.time_s:
        needed.append(say("programme_refusals.time", days=days))
    if budget.cost_usd is not None and usd > budget.cost_usd:
        needed.append(say("programme_refusals.cost", cost=usd))
    for i, (task, ends_s) in enumerate(zip(study.calendar.tasks, worlds.ends_s, strict=True)):
        day = math.ceil(float(np.quantile(ends_s, sure)) / DAY_S)
        if task.deadline is not None and day > task.deadline:
            needed.append(_deadline(programme, i, day))
    return say("programme_refusals.together", sure=sure), [_would_do(joined(needed))] if needed else []


def _wider(study: Study) -> Iterator[Sentence]:
    """What would do where a stage alone breaks a budget: each budget by itself, searched without it."""
    programme = study.programme
    for name in ("cost_usd", "time_s"):
        if getattr(programme.budget, name) is None:
            continue
        budget = programme.budget
        budget = replace(budget, cost_usd=None) if name == "cost_usd" else replace(budget, time_s=None)
        free = replace(programme, budget=budget)
        other = study_of(free, study.plans[0].state.space.catalog, study.calibration)
        if not all(plans.choices for plans in other.plans):
            continue
        calendar = replace(other.calendar, per_cost=float(name == "cost_usd"), per_day=float(name == "time_s"))
        found = solve(replace(calendar, tasks=_by_cost(calendar)))
        if found is not None and name == "cost_usd":
            yield _would_do(say("programme_refusals.cost", cost=float(total_cost(calendar, found))))
        elif found is not None:
            yield _would_do(say("programme_refusals.time", days=makespan(calendar, found)))


def _by_cost(calendar: Calendar) -> tuple[Task, ...]:
    """Tasks whose value is what the budget counts."""
    return tuple(
        replace(task, choices=tuple(replace(c, value=c.cost) for c in task.choices)) for task in calendar.tasks
    )


def _days_needed(study: Study) -> int | None:
    """The fewest days in which a calendar keeps everything else."""
    programme, calendar = study.programme, study.calendar
    if programme.budget.time_s is None:
        return None
    horizon = min(MOST_DAYS, max(4 * calendar.horizon, 30))
    wider = replace(
        calendar,
        horizon=horizon,
        limits=limits_of(programme, study.shared, horizon),
        per_cost=0.0,
        per_day=1.0,
    )
    found = solve(wider)
    return None if found is None else makespan(wider, found)


def _done_by(calendar: Calendar, number: int) -> int | None:
    """The earliest day by which one stage can be done where its own deadline alone is lifted."""
    tasks = tuple(replace(task, deadline=None) if i == number else task for i, task in enumerate(calendar.tasks))
    free = replace(calendar, tasks=tasks)
    if solve(free) is None:
        return None
    low, high = calendar.tasks[number].deadline or 0, calendar.horizon
    while high - low > 1:  # the longest deadline that is too early, and one that does
        day = (low + high) // 2
        given = tuple(replace(task, deadline=day) if i == number else task for i, task in enumerate(tasks))
        low, high = (low, day) if solve(replace(free, tasks=given)) is not None else (day, high)
    return high
