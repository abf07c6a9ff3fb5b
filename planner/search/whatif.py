"""Questions answered by searching again: how far a price or a throughput may move before the choice changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from planner.search.objectives import Goal, View, find
from planner.search.search_state import SearchState

WIDEST = 64.0  # a factor beyond which nobody asks


def best_value(state: SearchState, goal: Goal) -> float | None:
    """The least value of a goal, None if no plan keeps its budgets."""
    view = View(state, goal)
    cell = find(view)
    return None if cell is None else view.value_at(cell)


def break_even_price(state: SearchState, goal: Goal, target: float, near: float = 1.0) -> float | None:
    """The factor on the prices of the goal's offers at which its best value is `target`; None if none does it.

    `near` is a guess to begin with.
    """
    return _root(lambda factor: best_value(state, replace(goal, price=factor)), target, near)


def break_even_speed(state: SearchState, goal: Goal, target: float, near: float = 1.0) -> float | None:
    """The factor on the throughput of the goal's offers at which its best value is `target`; None if none does it."""
    return _root(lambda factor: best_value(state, replace(goal, speed=factor)), target, near)


def _root(value: Callable[[float], float | None], target: float, near: float) -> float | None:
    """Where a monotone function, infinite where it is None, passes `target`; by scipy's root finder on the logarithm.

    A value that jumps over the target (a budget that begins to bind) has its root at the jump.
    """
    from scipy.optimize import brentq

    if target <= 0:
        return None

    @cache  # the root finder asks for its ends again
    def excess(log_factor: float) -> float:
        found = value(float(np.exp(log_factor)))
        return WIDEST if found is None else float(np.log(max(found, 1e-300) / target))

    widest, width = float(np.log(WIDEST)), 0.05
    while True:
        low, high = (max(-widest, min(widest, float(np.log(near)) + end)) for end in (-width, width))
        if (excess(low) > 0) != (excess(high) > 0):
            return float(np.exp(brentq(excess, low, high, xtol=1e-6, rtol=1e-9)))
        if width > 2 * widest:
            return None
        width *= 6.0
