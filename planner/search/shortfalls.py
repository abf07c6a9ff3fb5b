"""By how little a scenario's budgets are missed: one alone, both by one factor, both by the least sum of shares."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from planner.search.objectives import Goal, View, budget_goal, find
from planner.search.search_state import SearchState


def least_factor(state: SearchState) -> tuple[float, View, int] | None:
    """The least factor on both budgets at once that would do, and the cheapest plan within them."""
    budget = state.space.scenario.budget
    if budget.time_s is None or budget.cost_usd is None:
        return None
    time, cost = budget.time_s, budget.cost_usd

    def within(factor: float) -> View:
        goal = budget_goal(state.space.scenario.budget, time_s=time * factor, cost_usd=cost * factor, per_usd=1.0)
        return View(state, goal)

    factor = _least(lambda factor: find(within(factor)) is not None, 1.0, 1024.0, 1e-3)
    if factor is None:
        return None
    view = within(factor)
    cell = find(view)
    return None if cell is None else (factor, view, cell)


def least_sum(state: SearchState) -> tuple[View, int] | None:
    """The plan that misses two budgets by the least sum of shares, where no plan keeps either of them."""
    budget = state.space.scenario.budget
    if not budget.time_s or not budget.cost_usd:
        return None
    for one in ({"cost_usd": None}, {"time_s": None}):
        if find(View(state, budget_goal(state.space.scenario.budget, per_usd=1.0, **one))) is not None:
            return None
    goal = Goal(
        per_second=1.0 / budget.time_s,
        per_usd=1.0 / budget.cost_usd,
        confidence=budget.confidence,
        at=budget.confidence,
    )
    view = View(state, goal)
    cell = find(view)
    return None if cell is None else (view, cell)


def needs_of(state: SearchState, view: View, cell: int) -> tuple[float, float]:
    """Time (s) and cost (USD) of a cell's fastest run at the confidence asked for."""
    sure = state.space.scenario.budget.confidence
    cells = np.array([cell])
    time = state.time_s(sure, state.best.seconds[cells], cells) + state.space.waiting_s[cells]
    return float(time[0]), float(view.cost(sure, state.best.seconds[cells], cells)[0])


def _least(does: Callable[[float], bool], low: float, high: float, within: float) -> float | None:
    """The least factor that does, to `within`, upwards."""
    if not does(high):
        return None
    while high / low > 1.0 + within:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if does(middle) else (middle, high)
    return math.ceil(high * 1000) / 1000
