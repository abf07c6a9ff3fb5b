"""The best schedule of a calendar, by MILP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from planner.search.calendar import Calendar, Schedule, Task, makespan, ordered, problems, windows
from planner.words import say

SCALE = 1e4  # of the objective's largest entry: HiGHS's absolute tolerances are then far below a day and a dollar
CUTS = 60  # selections that were thrown out, before giving up


def solve(calendar: Calendar, excluded: Sequence[Sequence[int]] = ()) -> Schedule | None:
    """The schedule of least objective, each task as early as the others let it; None if there is none.

    Of schedules of equal objective those with an objective of time alone are the cheapest. The solver's tolerances
    decide nothing: what it picks is checked in exact arithmetic, and what breaks a limit is cut off and solved again.

    Parameters
    ----------
    excluded : choices, one a task, that may not be picked together
    """
    found = least(calendar, excluded)
    if found is None:
        return None
    if calendar.per_cost == 0.0:
        by = makespan(calendar, found)
        tasks = (replace(t, deadline=by if t.deadline is None else min(t.deadline, by)) for t in calendar.tasks)
        cheaper = replace(calendar, per_cost=1.0, per_day=0.0, tasks=tuple(tasks))
        found = least(cheaper, excluded) or found
    return _earliest(calendar, found)


def least(calendar: Calendar, excluded: Sequence[Sequence[int]] = ()) -> Schedule | None:
    """A schedule of least objective, within the limits in exact arithmetic."""
    if any(not task.choices for task in calendar.tasks):
        return None
    cuts = [tuple(each) for each in excluded]
    for _ in range(CUTS):
        found = _Milp(calendar).solve(cuts)
        if found is None:
            return None
        broken = problems(calendar, found)
        if not broken:
            return found
        cuts.append(found.picked)
    raise ArithmeticError(say("calendar.rounding"))


def _earliest(calendar: Calendar, found: Schedule) -> Schedule:
    """The same choices with the last task's end, and then all beginnings, as early as may be."""
    only = tuple(
        replace(task, choices=(task.choices[choice],))
        for task, choice in zip(calendar.tasks, found.picked, strict=True)
    )
    fixed = replace(calendar, tasks=only, per_cost=0.0, per_day=1.0, budget=None)
    early = _Milp(fixed, early=1.0 / (calendar.horizon * len(only) + 1.0)).solve(())
    return found if early is None else Schedule(found.picked, early.starts)


@dataclass
class _Milp:
    """Binary x[task, choice]; a first day a task; where a resource may run short, binary y[task, choice, first day]."""

    calendar: Calendar
    early: float = 0.0  # what every first day counts in the objective
    rows: list[dict[int, float]] = field(default_factory=list)
    bounds: list[tuple[float, float]] = field(default_factory=list)
    cost: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        c = self.calendar
        self.first, self.last = windows(c)
        scarce = self._scarce()
        self.x = [[self._variable(c.per_cost * choice.value, 1.0) for choice in task.choices] for task in c.tasks]
        self.start = [self._variable(self.early, float(c.horizon)) for _ in c.tasks]
        self.end = self._variable(c.per_day, float(c.horizon))
        self.bought = [self._variable(c.per_cost * cost, 1.0) for cost in c.reservations]
        self.away: dict[int, int] = {}
        self.y: dict[int, list[tuple[int, int, int]]] = {}  # task -> (choice, first day, variable)
        for i, task in enumerate(c.tasks):
            self._row(dict.fromkeys(self.x[i], 1.0), 1.0, 1.0)
            self._days(i, task)
            if scarce[i]:
                self._by_day(i, task, scarce[i])
        for i, task in enumerate(c.tasks):
            self._links(i, task)
        self._resources()
        self._budget()

    def _variable(self, cost: float, high: float, whole: int = 1) -> int:
        self.cost.append(cost)
        self.high.append(high)
        self.whole.append(whole)
        return len(self.cost) - 1

    def _row(self, row: Mapping[int, float], low: float, high: float) -> None:
        self.rows.append(dict(row))
        self.bounds.append((low, high))

    def _scarce(self) -> list[list[int]]:
        """Of each task the choices that may find a resource short on some day: by its limit alone, or with others.

        Where what a choice uses and all that may be used beside it are there on every day, no day is overdrawn by it.
        """
        c, before = self.calendar, ordered(self.calendar.tasks)
        least = [float(np.min(limit, initial=np.inf)) for limit in c.limits]
        most = [
            {of: max(a for choice in task.choices for r, a in choice.uses if r == of) for of in _resources_of(task)}
            for task in c.tasks
        ]
        out = []
        for i, task in enumerate(c.tasks):
            beside = [j for j in range(len(c.tasks)) if j != i and not before[i, j] and not before[j, i]]
            more = [sum(most[j].get(of, 0.0) for j in beside) for of in range(len(least))]
            out.append(
                [k for k, choice in enumerate(task.choices) if any(a + more[r] > least[r] for r, a in choice.uses)]
            )
        return out

    def _days(self, i: int, task: Task) -> None:
        """The task's first and last day."""
        start, x = self.start[i], self.x[i]
        opens = {x[k]: -float(max(choice.opens, self.first[i])) for k, choice in enumerate(task.choices)}
        self._row({start: 1.0, **opens}, 0.0, np.inf)
        days = {x[k]: float(choice.days) for k, choice in enumerate(task.choices)}
        self._row({self.end: 1.0, start: -1.0, **{k: -d for k, d in days.items()}}, 0.0, np.inf)
        last = [self.last[i] if choice.closes is None else min(choice.closes, self.last[i]) for choice in task.choices]
        closes = {x[k]: days[x[k]] - float(last[k]) for k in range(len(x))}
        self._row({start: 1.0, **closes}, -np.inf, 0.0)
        for k, choice in enumerate(task.choices):
            if max(choice.opens, self.first[i]) + choice.days > last[k]:
                self.high[x[k]] = 0.0
        for before in task.after:
            self._precede(before, i, {})

    def _precede(self, before: int, i: int, more: Mapping[int, float]) -> None:
        tasks = self.calendar.tasks
        days = {self.x[before][k]: -float(choice.days) for k, choice in enumerate(tasks[before].choices)}
        self._row({self.start[i]: 1.0, self.start[before]: -1.0, **days, **more}, 0.0, np.inf)

    def _by_day(self, i: int, task: Task, scarce: Sequence[int]) -> None:
        """Choices that may find something short begin on one of the days on which there is enough of it."""
        c, made = self.calendar, []
        for k in scarce:
            choice = task.choices[k]
            if self.high[self.x[i][k]] == 0.0:
                continue
            last = self.last[i] if choice.closes is None else min(choice.closes, self.last[i])
            of_choice = {}
            for day in range(max(choice.opens, self.first[i]), last - choice.days + 1):
                if all(np.all(c.limits[of][day : day + choice.days] >= amount) for of, amount in choice.uses):
                    at = self._variable(0.0, 1.0)
                    made.append((k, day, at))
                    of_choice[at] = 1.0
            self._row({self.x[i][k]: -1.0, **of_choice}, 0.0, 0.0)
        self.y[i] = made
        begun = {at: float(day) for _, day, at in made}
        using = {self.x[i][k]: float(c.horizon) for k in scarce}
        self._row({self.start[i]: 1.0, **{at: -day for at, day in begun.items()}}, 0.0, np.inf)
        # Where another choice is picked, its first day is free.
        row = {self.start[i]: 1.0, **{at: -day for at, day in begun.items()}, **using}
        self._row(row, -np.inf, float(c.horizon))

    def _links(self, i: int, task: Task) -> None:
        link = task.link
        if link is None:
            return
        c, source = self.calendar, link.source
        self.away[i] = self._variable(c.per_cost * link.move_cost, 1.0)
        self._precede(source, i, {self.away[i]: -float(link.move_days)})
        for name, tied in (("place", link.place), ("cluster", link.cluster)):
            both = (*c.tasks[source].choices, *task.choices)
            for value in sorted({getattr(choice, name) for choice in both}):
                row = {
                    self.x[source][k]: 1.0 for k, o in enumerate(c.tasks[source].choices) if getattr(o, name) == value
                }
                row |= {self.x[i][k]: -1.0 for k, o in enumerate(task.choices) if getattr(o, name) == value}
                if tied:
                    self._row(row, 0.0, 0.0)
                elif name == "place":  # away >= here - there
                    self._row({self.away[i]: 1.0, **row}, 0.0, np.inf)

    def _resources(self) -> None:
        c = self.calendar
        for of, limit in enumerate(c.limits):
            rows: list[dict[int, float]] = [{} for _ in range(c.horizon)]
            for i, begun in self.y.items():
                for k, day, at in begun:
                    choice = c.tasks[i].choices[k]
                    amount = sum(a for r, a in choice.uses if r == of)
                    for each in range(day, day + choice.days) if amount else ():
                        rows[each][at] = amount
            seen: set[tuple[tuple[tuple[int, float], ...], float]] = set()
            for day, row in enumerate(rows):
                key = (tuple(sorted(row.items())), float(limit[day]))
                if row and sum(row.values()) > limit[day] and key not in seen:
                    seen.add(key)
                    unit = max(float(limit[day]), 1.0)
                    self._row({at: amount / unit for at, amount in row.items()}, -np.inf, float(limit[day]) / unit)
        for i, task in enumerate(c.tasks):
            for number, bought in enumerate(self.bought):
                on = {self.x[i][k]: 1.0 for k, choice in enumerate(task.choices) if choice.reservation == number}
                if on:
                    self._row({**on, bought: -1.0}, -np.inf, 0.0)

    def _budget(self) -> None:
        c = self.calendar
        if c.budget is None:
            return
        unit = c.budget if c.budget > 0 else 1.0
        row = {self.x[i][k]: choice.cost / unit for i, t in enumerate(c.tasks) for k, choice in enumerate(t.choices)}
        row |= {at: c.tasks[i].link.move_cost / unit for i, at in self.away.items()}  # type: ignore[union-attr]
        row |= {at: cost / unit for at, cost in zip(self.bought, c.reservations, strict=True)}
        self._row(row, -np.inf, c.budget / unit)

    def solve(self, cuts: Sequence[Sequence[int]]) -> Schedule | None:
        """The solver's answer without `cuts`, each a choice a task."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        rows, bounds = list(self.rows), list(self.bounds)
        for picked in cuts:
            rows.append({self.x[i][k]: 1.0 for i, k in enumerate(picked)})
            bounds.append((-np.inf, len(picked) - 1.0))
        cost = np.array(self.cost)
        scale = SCALE / max(float(np.abs(cost).max()), 1e-300)
        answer = milp(
            cost * scale,
            constraints=[LinearConstraint(_sparse(rows, len(cost)), *np.array(bounds).T)],
            integrality=np.array(self.whole),
            bounds=Bounds(0.0, np.array(self.high)),
            options={"mip_rel_gap": 0.0},
        )
        if answer.x is None:
            return None
        picked = tuple(int(np.argmax(answer.x[of])) for of in self.x)
        return Schedule(picked, tuple(round(float(answer.x[at])) for at in self.start))


def _resources_of(task: Task) -> set[int]:
    return {of for choice in task.choices for of, _ in choice.uses}


def _sparse(rows: Sequence[Mapping[int, float]], columns: int) -> Any:
    from scipy.sparse import csr_matrix

    data = np.array([value for row in rows for value in row.values()])
    at = np.array([column for row in rows for column in row], dtype=np.int64)
    ends = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    return csr_matrix((data, at, ends), shape=(len(rows), columns))
