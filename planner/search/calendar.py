"""A calendar of tasks in order: one plan and one first day a task, within shared resources and one budget, by MILP.

Days are whole. A task takes the days of its plan from its first day on; what it uses of a resource it uses on each of
them. Costs and days are given (a programme gives quantiles): the answer is exact for their sums, and for no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to do a task."""

    days: int
    cost: float  # counted against the budget
    value: float  # counted in the objective
    uses: tuple[tuple[int, float], ...] = ()  # (resource, how much of it on each day)
    opens: int = 0  # first day on which it may begin
    closes: int | None = None  # the day by whose beginning it must have ended; None: the horizon's end
    place: int = 0
    cluster: int = 0  # tasks that share a cluster make choices of one number
    reservation: int | None = None  # that must be bought for it


@dataclass(frozen=True, slots=True)
class Link:
    """What ties a task to an earlier one."""

    source: int  # the earlier task
    place: bool = False  # both at one place
    cluster: bool = False  # both on one cluster
    move_days: int = 0  # that lie between them where their places differ
    move_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be done, and after what."""

    choices: tuple[Choice, ...]
    after: tuple[int, ...] = ()  # tasks that have ended before it begins
    link: Link | None = None
    opens: int = 0
    deadline: int | None = None  # the day by whose beginning it is done


@dataclass(frozen=True, slots=True)
class Calendar:
    """The whole problem. `limits`: of each resource, how much there is on each day, (horizon,)."""

    tasks: tuple[Task, ...]
    horizon: int
    limits: tuple[FloatArray, ...] = ()
    reservations: tuple[float, ...] = ()  # what each costs, once, if any task is on it
    budget: float | None = None
    per_cost: float = 1.0  # the objective: this times all value, and
    per_day: float = 0.0  # this times the day on which the last task ends


@dataclass(frozen=True, slots=True)
class Schedule:
    """A choice and a first day of each task."""

    picked: tuple[int, ...]
    starts: tuple[int, ...]


def chosen(calendar: Calendar, found: Schedule) -> list[Choice]:
    """Each task's choice."""
    return [task.choices[at] for task, at in zip(calendar.tasks, found.picked, strict=True)]


def moved(calendar: Calendar, found: Schedule) -> list[bool]:
    """Whether each task begins at another place than the one that it goes on from."""
    picks = chosen(calendar, found)
    return [
        task.link is not None and picks[task.link.source].place != pick.place
        for task, pick in zip(calendar.tasks, picks, strict=True)
    ]


def makespan(calendar: Calendar, found: Schedule) -> int:
    """The day by whose beginning all is done."""
    picks = chosen(calendar, found)
    return max((start + pick.days for start, pick in zip(found.starts, picks, strict=True)), default=0)


def total_cost(calendar: Calendar, found: Schedule, *, value: bool = False) -> Fraction:
    """What counts against the budget (or, with `value`, in the objective), exactly."""
    picks = chosen(calendar, found)
    parts = [pick.value if value else pick.cost for pick in picks]
    for task, away in zip(calendar.tasks, moved(calendar, found), strict=True):
        parts += [task.link.move_cost] if away and task.link is not None else []
    parts += [calendar.reservations[k] for k in {p.reservation for p in picks if p.reservation is not None}]
    return sum((Fraction(float(part)) for part in parts), Fraction(0))


def objective(calendar: Calendar, found: Schedule) -> float:
    """The objective of a schedule."""
    cost = float(total_cost(calendar, found, value=True)) if calendar.per_cost else 0.0
    return calendar.per_cost * cost + calendar.per_day * makespan(calendar, found)


def problems(calendar: Calendar, found: Schedule) -> list[tuple[str, int]]:
    """What is wrong with a schedule, and of which task or resource, in exact arithmetic; [] if nothing is."""
    picks, away = chosen(calendar, found), moved(calendar, found)
    ends = [start + pick.days for start, pick in zip(found.starts, picks, strict=True)]
    out = []
    for at, (task, pick, start, end) in enumerate(zip(calendar.tasks, picks, found.starts, ends, strict=True)):
        last = calendar.horizon if pick.closes is None else min(pick.closes, calendar.horizon)
        if (
            start < max(task.opens, pick.opens)
            or end > last
            or end > (last if task.deadline is None else task.deadline)
        ):
            out.append(("days", at))
        if any(start < ends[before] for before in task.after):
            out.append(("after", at))
        if task.link is not None:
            source, link = task.link.source, task.link
            if link.place and away[at] or link.cluster and picks[source].cluster != pick.cluster:
                out.append(("place", at))
            if start < ends[source] + (link.move_days if away[at] else 0):
                out.append(("moved", at))
    for number, limit in enumerate(calendar.limits):
        if np.any(used_of(calendar, found, number) > limit * (1.0 + 1e-12)):
            out.append(("resource", number))
    if calendar.budget is not None and total_cost(calendar, found) > Fraction(calendar.budget):
        out.append(("budget", 0))
    return out


def used_of(calendar: Calendar, found: Schedule, resource: int) -> FloatArray:
    """How much of a resource is in use on each day, (horizon,)."""
    used = np.zeros(calendar.horizon)
    for pick, start in zip(chosen(calendar, found), found.starts, strict=True):
        used[start : start + pick.days] += sum(amount for of, amount in pick.uses if of == resource)
    return used


def spans(calendar: Calendar, found: Schedule) -> list[tuple[int, int | None]]:
    """First day from which, and day by which, each task's machines are there without a break; None: to the end.

    Within its own window, the days around its own on which the limits still allow what is in use on its first day and
    on its last, its own and what runs beside it.
    """
    used = [used_of(calendar, found, of) for of in range(len(calendar.limits))]
    out = []
    for task, pick, start in zip(calendar.tasks, chosen(calendar, found), found.starts, strict=True):
        first, last, of_it = start, start + pick.days, [of for of, amount in pick.uses if amount]
        while first > max(task.opens, pick.opens) and all(
            calendar.limits[of][first - 1] >= used[of][start] for of in of_it
        ):
            first -= 1
        while last < calendar.horizon and all(
            calendar.limits[of][last] >= used[of][start + pick.days - 1] for of in of_it
        ):
            last += 1
        ends = [day for day in (pick.closes, last if last < calendar.horizon else None) if day is not None]
        out.append((first, min(ends, default=None)))
    return out


def ordered(tasks: Sequence[Task]) -> BoolArray:
    """Whether task j has ended before task i begins, by the order of all, (tasks, tasks)."""
    n = len(tasks)
    before = np.zeros((n, n), dtype=bool)
    for i, task in enumerate(tasks):
        before[i, list(task.after)] = True
        if task.link is not None:
            before[i, task.link.source] = True
    for k in range(n):
        before |= before[:, [k]] & before[[k], :]
    return before


def windows(calendar: Calendar) -> tuple[list[int], list[int]]:
    """First day on which each task may begin, and last day by which it must have ended, by the order alone."""
    tasks, before = calendar.tasks, ordered(calendar.tasks)
    shortest = [min(c.days for c in task.choices) for task in tasks]
    order = sorted(range(len(tasks)), key=lambda i: int(before[i].sum()))
    first, last = [0] * len(tasks), [calendar.horizon] * len(tasks)
    for i in order:
        link = tasks[i].link
        sources = [*tasks[i].after, *([link.source] if link is not None else [])]
        first[i] = max([tasks[i].opens, *(first[j] + shortest[j] for j in sources)])
    for i in reversed(order):
        later = [j for j in range(len(tasks)) if before[j, i]]
        deadline = tasks[i].deadline
        last[i] = min([calendar.horizon if deadline is None else deadline, *(last[j] - shortest[j] for j in later)])
    return first, last
