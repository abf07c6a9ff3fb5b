"""Programmes: stages in order, one budget, one calendar. The MILP chooses plans and days; simulation says how sure.

A stage's candidate plans come from the search of one run. The calendar takes each at its quantile at the confidence and
is exact for those sums; where simulation shows that a budget is not kept with the confidence after all, that calendar
is thrown out and the choice made again.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np

from planner.catalog import Catalog
from planner.performance.calibration import Calibration
from planner.performance.shared_error import together
from planner.results.answers import Default
from planner.search.calendar import (
    Calendar,
    Link,
    Schedule,
    Task,
    chosen,
    moved,
    ordered,
    spans,
    total_cost,
)
from planner.search.calendar_milp import solve
from planner.search.candidates import Pick
from planner.search.optimum import provenance_of, stated_goal
from planner.search.prices import PlanCost, plan_cost
from planner.search.programme_chances import Draw, Part, Worlds, simulate_parts
from planner.search.programme_shared import Shared, limits_of, places_worth, shared_of
from planner.search.simplicity import plain
from planner.search.stage_plans import (
    StagePlans,
    all_of,
    carried_bytes,
    passes_its_cluster_on,
    searches_of,
    stage_plans,
)
from planner.spec.programme import Programme
from planner.spec.scenario import QuotaKey
from planner.words import say

DAY_S = 86400.0
WORLDS, SEED = 20_000, 20261129
MOST_DAYS = 3650  # of a programme, whatever its budget
TRIES = 12  # calendars that break a true budget are thrown out one by one
TIGHTER = 8  # and from then on the broken budget is also drawn tighter, by as much as it was broken


@dataclass(frozen=True)
class Study:
    """A programme with all that is known of its stages, before anything is chosen."""

    programme: Programme
    plans: tuple[StagePlans, ...]
    shared: Shared
    places: tuple[tuple[str, str], ...]
    calendar: Calendar
    carried: tuple[float, ...]  # bytes that each stage carries along where it moves
    calibration: Calibration

    @property
    def confidence(self) -> float:
        """At which budgets are kept."""
        return self.programme.budget.confidence


@dataclass(frozen=True)
class Found:
    """A calendar, what each stage does on its machines, and the worlds drawn from it."""

    schedule: Schedule
    picks: tuple[Pick, ...]
    parts: tuple[Part, ...]
    worlds: Worlds
    thrown_out: int


def study_of(programme: Programme, catalog: Catalog, calibration: Calibration) -> Study:
    """The candidate plans of every stage, and the calendar that they make."""
    searches = searches_of(programme, catalog, calibration)
    shared = shared_of(programme)
    places = tuple(sorted({(o.cloud, o.region) for state in searches for o in state.space.offers}))
    before = ordered([Task((), stage.after) for stage in programme.stages])
    tied = _tied(programme)
    worth = places_worth([state.space for state, stays in zip(searches, tied, strict=True) if stays], shared)
    plans: list[StagePlans] = []
    kept: dict[tuple[object, ...], StagePlans] = {}
    for i, (stage, state) in enumerate(zip(programme.stages, searches, strict=True)):
        beside = (
            stage.copies > 1
            and stage.beside
            or any(j != i and not before[i, j] and not before[j, i] for j in range(len(programme.stages)))
        )
        like = plans[stage.after[0]] if "cluster" in stage.inherits and stage.after[0] < i else None
        beside = beside or passes_its_cluster_on(programme, i)
        key = (id(state), tied[i], beside, stage.copies, stage.beside, id(like), passes_its_cluster_on(programme, i))
        if key not in kept:
            for earlier in searches[:i]:
                state.learn_runs(earlier)
            kept[key] = stage_plans(
                programme, i, state, shared, places, tied=tied[i], beside=beside, worth=worth, like=like
            )
        plans.append(replace(kept[key], stage=stage))
    carried = tuple(carried_bytes(programme, i, state.space) for i, state in enumerate(searches))
    calendar = calendar_of(programme, plans, shared, carried)
    return Study(programme, tuple(plans), shared, places, calendar, carried, calibration)


def _tied(programme: Programme) -> list[bool]:
    """Whether each stage goes on from another, or another from it, so that it matters where it runs."""
    out = [stage.tied for stage in programme.stages]
    for stage in programme.stages:
        if stage.tied:
            out[stage.after[0]] = True
    return out


def calendar_of(
    programme: Programme, plans: Sequence[StagePlans], shared: Shared, carried: Sequence[float]
) -> Calendar:
    """The calendar's problem: each stage a task, each candidate plan a choice."""
    tasks = []
    for stage, each, size in zip(programme.stages, plans, carried, strict=True):
        link = None
        if stage.inherits:
            days, usd = 0, 0.0
            if stage.may_move and programme.transfer is not None:
                days = math.ceil(move_s(programme, size) / DAY_S)
                usd = size / 1e9 * programme.transfer.usd_per_gb
            stays = bool({"checkpoint", "optimizer"} & set(stage.inherits)) and not stage.may_move
            link = Link(stage.after[0], stays, "cluster" in stage.inherits, days, usd)
        tasks.append(Task(each.choices, stage.after, link, max(stage.not_before, 0), stage.deadline))
    horizon = horizon_of(programme, tasks)
    kind = programme.objective.kind
    return Calendar(
        tasks=tuple(tasks),
        horizon=horizon,
        limits=limits_of(programme, shared, horizon),
        reservations=tuple(each.usd for each in programme.reservations),
        budget=programme.budget.cost_usd,
        per_cost=0.0 if kind == "time" else 1.0,
        per_day={"time": 1.0, "usd_per_day": programme.objective.usd_per_day}.get(kind, 0.0),
    )


def move_s(programme: Programme, size: float) -> float:
    """Seconds that carrying so many bytes takes; 0 where nothing moves."""
    return 0.0 if programme.transfer is None else size * 8.0 / (programme.transfer.gbit_per_s * 1e9)


def horizon_of(programme: Programme, tasks: Sequence[Task]) -> int:
    """Days of the calendar: the time budget's whole ones, else all stages' slowest plans in turn; ten years at most."""
    if programme.budget.time_s is not None:
        return min(max(int(programme.budget.time_s / DAY_S + 1e-9), 0), MOST_DAYS)
    days = sum(max((c.days for c in task.choices), default=0) for task in tasks)
    moves = sum(task.link.move_days for task in tasks if task.link is not None)
    opens = max([task.opens for task in tasks] + [c.opens for task in tasks for c in task.choices], default=0)
    return min(days + moves + opens, MOST_DAYS)


def choose_calendar(study: Study, calendar: Calendar | None = None) -> Found | None:
    """The best calendar that keeps its budgets with the confidence in truth; None if there is none."""
    asked = calendar = study.calendar if calendar is None else calendar
    excluded: list[tuple[int, ...]] = []
    for tries in range(TRIES):
        schedule = solve(calendar, excluded)
        if schedule is None:
            return None
        found = simulate_schedule(study, asked, schedule, len(excluded))
        late_days, over_usd = _broken(study, asked, schedule, found.worlds)
        if not late_days and not over_usd:
            return found
        excluded.append(schedule.picked)
        if tries + 1 >= TIGHTER:
            calendar = _tighter(calendar, late_days, over_usd)
    return None


def simulate_schedule(study: Study, calendar: Calendar, schedule: Schedule, thrown_out: int = 0) -> Found:
    """A schedule with what each stage does on its machines, and the worlds drawn from it."""
    picks = _picks(study, calendar, schedule)
    parts = parts_of(study, calendar, schedule, picks)
    return Found(schedule, tuple(picks), tuple(parts), draw_worlds(study, schedule, picks, parts), thrown_out)


def _broken(study: Study, calendar: Calendar, schedule: Schedule, worlds: Worlds) -> tuple[int, float]:
    """By how many days and how much money the true quantiles break the budgets; 0 where they keep them."""
    sure, budget = study.confidence, study.programme.budget
    late_days = 0
    if budget.time_s is not None and float(np.mean(worlds.finish_s <= budget.time_s)) < sure:
        late_days = math.ceil((float(np.quantile(worlds.finish_s, sure)) - budget.time_s) / DAY_S)
    for task, (_, closes), ends in zip(calendar.tasks, spans(calendar, schedule), worlds.ends_s, strict=True):
        for day in (task.deadline, closes):  # its own, and that of its machines
            if day is not None and float(np.mean(ends <= day * DAY_S)) < sure:
                late_days = max(late_days, math.ceil((float(np.quantile(ends, sure)) - day * DAY_S) / DAY_S))
    over_usd = 0.0
    if budget.cost_usd is not None and float(np.mean(worlds.total_usd <= budget.cost_usd)) < sure:
        over_usd = max(float(np.quantile(worlds.total_usd, sure)) - budget.cost_usd, 1e-6 * budget.cost_usd)
    return late_days, over_usd


def _tighter(calendar: Calendar, late_days: int, over_usd: float) -> Calendar:
    if late_days:
        horizon = max(calendar.horizon - late_days, 0)
        tasks = tuple(_earlier(task, late_days) for task in calendar.tasks)
        limits = tuple(limit[:horizon] for limit in calendar.limits)
        calendar = replace(calendar, horizon=horizon, tasks=tasks, limits=limits)
    return calendar if not over_usd or calendar.budget is None else replace(calendar, budget=calendar.budget - over_usd)


def _earlier(task: Task, days: int) -> Task:
    """A task whose own deadline and machines end so many days earlier."""

    def cut(day: int | None) -> int | None:
        return None if day is None else max(day - days, 0)

    choices = tuple(c if c.closes is None else replace(c, closes=cut(c.closes)) for c in task.choices)
    return replace(task, choices=choices, deadline=cut(task.deadline))


def _picks(study: Study, calendar: Calendar, schedule: Schedule) -> list[Pick]:
    """What each stage does on its machines: the simplest layout that takes no more days; all fastest if too dear."""
    sure, out, extra = study.confidence, [], 0.0
    for plans, at, choice in zip(study.plans, schedule.picked, chosen(calendar, schedule), strict=True):
        cell, state = int(plans.cells[at]), plans.state
        best, simple = state.best.pick(cell), plain(plans.view(at), cell)
        turns = -(-plans.stage.copies // int(plans.lanes[at]))
        each = all_of(sure, int(plans.lanes[at]))
        time = float(state.completion_model.time_s(each, np.array([simple.seconds]), np.array([cell]))[0])
        if math.ceil(turns * time / DAY_S - 1e-9) > choice.days:
            simple = best
        if simple != best and choice.reservation is None:
            costs = [_cost(plans, at, pick).quantile(sure) for pick in (simple, best)]
            extra += plans.stage.copies * max(costs[0] - costs[1], 0.0)
        out.append(simple)
    if calendar.budget is not None and float(total_cost(calendar, schedule)) + extra > calendar.budget:
        return [
            plans.state.best.pick(int(plans.cells[at])) for plans, at in zip(study.plans, schedule.picked, strict=True)
        ]
    return out


def _cost(plans: StagePlans, at: int, pick: Pick) -> PlanCost:
    state = plans.state
    runs = state.completion_model.completion(np.array([pick.seconds]), np.array([pick.cell]))
    return plan_cost(state.space.costs, runs, pick.cell, plans.offer(at), int(state.space.paid_gpus[pick.cell]))


def parts_of(study: Study, calendar: Calendar, schedule: Schedule, picks: Sequence[Pick]) -> list[Part]:
    """The stages as they are drawn, in the calendar's order."""
    programme, away = study.programme, moved(calendar, schedule)
    after, days = sequence(calendar, schedule), spans(calendar, schedule)
    parts = []
    for i, (plans, at, pick, choice) in enumerate(
        zip(study.plans, schedule.picked, picks, chosen(calendar, schedule), strict=True)
    ):
        task = calendar.tasks[i]
        goes_on = task.link is not None and away[i]
        cost = _cost(plans, at, pick)
        free = choice.reservation is not None
        parts.append(
            Part(
                runs=cost.runs,
                cost=None if free else cost,
                copies=plans.stage.copies,
                lanes=int(plans.lanes[at]),
                offer=plans.offer(at).id,
                opens_s=days[i][0] * DAY_S,
                after=tuple(sorted(after[i])),
                source=task.link.source if goes_on and task.link is not None else None,
                move_s=move_s(programme, study.carried[i]) if goes_on else 0.0,
                move_usd=task.link.move_cost if goes_on and task.link is not None else 0.0,
                usd_fixed=choice.cost if free else 0.0,
            )
        )
    return parts


def sequence(calendar: Calendar, schedule: Schedule) -> list[set[int]]:
    """The stages that each waits for: by the programme's order, and where the calendar puts them on one quota in turn.

    Stages that use something together in the calendar still fit it together however long they take: those that may run
    at once then are those that did so on some day.
    """
    picks = chosen(calendar, schedule)
    out = [{*t.after, *([t.link.source] if t.link is not None else [])} for t in calendar.tasks]
    for i, mine in enumerate(picks):
        for j, other in enumerate(picks):
            both = {of for of, _ in mine.uses} & {of for of, _ in other.uses}
            if i != j and both and schedule.starts[j] + other.days <= schedule.starts[i]:
                out[i].add(j)
    return out


def draw_worlds(
    study: Study,
    schedule: Schedule,
    picks: Sequence[Pick],
    parts: Sequence[Part],
    worlds: int = WORLDS,
    seed: int = SEED,
    draw: Draw | None = None,
) -> Worlds:
    """Worlds of a calendar's plans; `draw`: as `simulate_parts` takes it."""
    settings, gpus = [], []
    for plans, pick in zip(study.plans, picks, strict=True):
        state = plans.state
        settings.append(state.space.pools[int(state.space.pool[pick.cell])].setting)
        gpus.append(int(state.space.gpus[pick.cell]))
    errors = together(settings, gpus, study.calibration)
    bought = {c.reservation for c in chosen(study.calendar, schedule) if c.reservation is not None}
    fixed = sum(study.calendar.reservations[k] for k in bought)
    return simulate_parts(parts, errors, worlds, seed, fixed, draw)


# --- what any answer says --------------------------------------------------------------------------------------------


def answer_facts(study: Study) -> dict[str, Any]:
    """What an answer says with a calendar and without: what was asked, what was searched, what it was made from."""
    programme, plans = study.programme, sum(len(p.choices) for p in study.plans)
    return {
        "unit": "days" if programme.objective.kind == "time" else "USD",
        "goal": stated_goal(programme),
        "plans": plans,
        "statement": say("programmes.searched", plans=plans, stages=len(study.plans), days=study.calendar.horizon),
        "chance_basis": say("programmes.chance_basis"),
        "defaults": tuple(Default(key, value) for key, value in programme.defaults),
        "provenance": replace(
            provenance_of(study.plans[0].state.space),
            scenario=programme.name,
            scenario_digest=programme.digest,
            asked={},
            money=None if programme.money.unit == "USD" else programme.money,
        ),
    }


def ends(calendar: Calendar, schedule: Schedule) -> list[int]:
    """The day by whose beginning each stage is planned to be done."""
    return [start + c.days for start, c in zip(schedule.starts, chosen(calendar, schedule), strict=True)]


def on(programme: Programme, day: int) -> date | None:
    """The date of a day, where the programme's first is known."""
    start = programme.budget.start
    return None if start is None else start + timedelta(days=day)


def quota_words(key: QuotaKey) -> str:
    """What a quota holds for."""
    named = [text for text in key if text is not None]
    return " ".join(named) if named else say("programme_answers.all_offers")


def joined(texts: Sequence[str]) -> str:
    """Things in a row, one and another."""
    return functools.reduce(lambda first, then: say("programme_answers.both", first=first, then=then), texts)
