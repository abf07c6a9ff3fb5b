"""Every schedule of a small calendar, tried one by one: an oracle that shares nothing with the search."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from fractions import Fraction
from typing import Any


def best_by_trying(calendar: Any) -> float | None:
    """The least objective over every choice and every first day of each task; None if no schedule is allowed."""
    best: float | None = None
    for picks in itertools.product(*(task.choices for task in calendar.tasks)):
        money, value = _bill(calendar, picks), _bill(calendar, picks, value=True)
        if money is None or value is None:
            continue
        if calendar.budget is not None and money > Fraction(calendar.budget):
            continue
        for ends in _finishes(calendar, picks):
            found = calendar.per_cost * float(value) + calendar.per_day * max(ends)
            best = found if best is None else min(best, found)
    return best


def _bill(calendar: Any, picks: tuple[Any, ...], value: bool = False) -> Fraction | None:
    """All that is paid; None where tasks that belong together are apart."""
    total = Fraction(0)
    for task, pick in zip(calendar.tasks, picks, strict=True):
        total += Fraction(pick.value if value else pick.cost)
        if task.link is not None:
            other = picks[task.link.source]
            if task.link.cluster and other.cluster != pick.cluster:
                return None
            if other.place != pick.place:
                if task.link.place:
                    return None
                total += Fraction(task.link.move_cost)
    for number, price in enumerate(calendar.reservations):
        if any(pick.reservation == number for pick in picks):
            total += Fraction(price)
    return total


def _finishes(calendar: Any, picks: tuple[Any, ...]) -> Iterator[list[int]]:
    """The last days of every way to lay these choices on the calendar."""
    spans = []
    for task, pick in zip(calendar.tasks, picks, strict=True):
        ends = [calendar.horizon, pick.closes, task.deadline]
        last = min(end for end in ends if end is not None)
        spans.append(range(max(task.opens, pick.opens), last - pick.days + 1))
    for starts in itertools.product(*spans):
        ends = [start + pick.days for start, pick in zip(starts, picks, strict=True)]
        if _in_order(calendar, picks, starts, ends) and _enough(calendar, picks, starts, ends):
            yield ends


def _in_order(calendar: Any, picks: tuple[Any, ...], starts: tuple[int, ...], ends: list[int]) -> bool:
    for number, task in enumerate(calendar.tasks):
        if any(ends[before] > starts[number] for before in task.after):
            return False
        if task.link is not None:
            apart = picks[task.link.source].place != picks[number].place
            if ends[task.link.source] + (task.link.move_days if apart else 0) > starts[number]:
                return False
    return True


def _enough(calendar: Any, picks: tuple[Any, ...], starts: tuple[int, ...], ends: list[int]) -> bool:
    for resource, limit in enumerate(calendar.limits):
        for day in range(calendar.horizon):
            used = 0.0
            for pick, start, end in zip(picks, starts, ends, strict=True):
                if start <= day < end:
                    used += sum(amount for of, amount in pick.uses if of == resource)
            if used > limit[day]:
                return False
    return True
