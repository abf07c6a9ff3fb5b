"""`frontier`: every plan that no other beats in both time and cost, exact, within the budgets or beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from planner.catalog import Catalog
from planner.money import in_its_money
from planner.performance.arrays import FloatArray, IntArray
from planner.performance.calibration import Calibration
from planner.results.answers import Frontier
from planner.search.binding import warnings_of
from planner.search.building import build
from planner.search.objectives import View, aiming_at, budget_goal, find, order_keys, tally_unvisited
from planner.search.optimum import certify, defaults_of, provenance_of, stated_goal
from planner.search.plans import make_plan
from planner.search.pruning import SLACK, Limits, Tally
from planner.search.search_state import CELLS_TOGETHER
from planner.spec.hardware import Offer
from planner.spec.scenario import Scenario


@in_its_money
def frontier(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    *,
    everything: bool = False,
    gpus: bool = False,
    offers: Sequence[Offer] | None = None,
    most: tuple[float, float] = (np.inf, np.inf),
) -> Frontier:
    """Every non-dominated plan in time and cost (p50), fastest first.

    Parameters
    ----------
    everything : also those outside the budgets (`within_budget` is False there)
    gpus : the GPU count is a third axis: fewer are better too
    offers : plan with these instead of the catalog's eligible ones
    most : seconds of the run and amount (p50) beyond which plans are left out
    """
    state = build(scenario, catalog, calibration, offers)
    budget = scenario.budget
    bounded = budget_goal(budget, per_usd=1.0)
    tally = Tally.of(len(state.space))
    view = View(state, bounded)
    axes = time_and_cost(view)
    cells = undominated_cells(axes, gpus, tally)
    if everything and (budget.time_s is not None or budget.cost_usd is not None):
        beyond = undominated_cells(time_and_cost(View(state, replace(bounded, time_s=None, cost_usd=None))), gpus)
        cells = np.union1d(cells, beyond)
    time, cost = (axis.value(state.best.seconds[cells], cells) for axis in axes)
    order = np.lexsort((state.space.gpus[cells], cost, time))
    cells = cells[order[((time - state.space.waiting_s[cells] <= most[0]) & (cost <= most[1]))[order]]]
    return Frontier(
        status="optimal" if len(cells) else "infeasible",
        plans=tuple(make_plan(state, state.best.pick(int(c)), state.space.offers[int(view.offer[c])]) for c in cells),
        certificate=certify(state, view, tally, None),
        defaults=defaults_of(state.space),
        warnings=warnings_of(state.space, None),
        provenance=provenance_of(state.space),
        goal=stated_goal(scenario),
    )


def time_and_cost(view: View) -> tuple[View, View]:
    """The axes of a frontier: time and cost at p50, with the view's offers and budgets."""
    goal = replace(view.goal, at=None)
    return View(view.state, aiming_at(goal, per_second=1.0)), View(view.state, aiming_at(goal, per_usd=1.0))


def undominated_cells(axes: tuple[View, View], gpus: bool = False, tally: Tally | None = None) -> IntArray:
    """The cells whose fastest run on their cheapest offer is within the budgets and beaten by no other such run.

    One run beats another if it is no worse on both axes (and, with `gpus`, on no more GPUs). Exact: every cell is
    searched, or a bound proves that its runs break a budget or are beaten.

    Parameters
    ----------
    axes : two goals over the same offers and budgets
    """
    view, state = axes[0], axes[0].state
    for axis in axes:
        find(axis, tally)  # the two ends: good incumbents to begin with
    queue = np.flatnonzero(view.allowed & ~state.exact)
    size = 8
    while len(queue):
        lower = np.maximum(state.floor_s, state.bound_s)[queue]
        time, cost = view.budget_limits(queue)
        room = _beaten_beyond(axes, _front(axes, gpus), queue, gpus)
        possible = (lower <= np.minimum(np.minimum(time, cost), room) * SLACK) & np.isfinite(lower)
        queue, lower, room = queue[possible], lower[possible], room[possible]
        if not len(queue):
            break
        best = int(np.argmin(lower / room))
        same_pool = np.flatnonzero(state.space.pool[queue] == state.space.pool[queue[best]])
        same_pool = same_pool[np.argsort(lower[same_pool] / room[same_pool], kind="stable")][:size]
        size = min(2 * size, CELLS_TOGETHER)
        at = queue[same_pool]
        time, cost = view.budget_limits(at)
        state.refine(at, Limits(time, cost, room[same_pool]), lambda best_s: np.full(len(best_s), np.inf), tally)
        queue = np.delete(queue, same_pool)
    front = _front(axes, gpus)
    if tally is not None:
        tally_unvisited(view, tally, lambda rest: _beaten_beyond(axes, front, rest, gpus))
    return front


def _front(axes: tuple[View, View], gpus: bool) -> IntArray:
    """The non-dominated of the cells searched so far that keep the budgets; of equals the first by the total order."""
    view, state = axes[0], axes[0].state
    cells = np.flatnonzero(state.exact & view.allowed & np.isfinite(state.best.seconds))
    cells = cells[view.feasible(cells)]
    first, second = (axis.value(state.best.seconds[cells], cells) for axis in axes)
    order = np.lexsort((cells, state.space.paid_gpus[cells], second, first))
    cells, first, second = cells[order], first[order], second[order]
    if not gpus:
        before = np.concatenate([[np.inf], np.minimum.accumulate(second)[:-1]]) if len(cells) else second
        kept = np.flatnonzero(second < before)
    else:
        kept = _undominated_with_gpus(second, state.space.paid_gpus[cells])
    return _first_of_equals(view, kept, cells, first, second, gpus)


def _undominated_with_gpus(second: FloatArray, gpus: IntArray) -> IntArray:
    """Of entries sorted by a first axis: those that no earlier one equals or beats in the second and in GPUs."""
    keep: list[int] = []
    for i in range(len(second)):
        before = np.array(keep, dtype=np.int64)
        if not np.any((second[before] <= second[i]) & (gpus[before] <= gpus[i])):
            keep.append(i)
    return np.array(keep, dtype=np.int64)


def _first_of_equals(
    view: View, kept: IntArray, cells: IntArray, first: FloatArray, second: FloatArray, gpus: bool
) -> IntArray:
    """For each kept entry the first cell, by the total order, of those that equal it on every axis."""
    state = view.state
    out = []
    for i in kept.tolist():
        same = (first == first[i]) & (second == second[i])
        if gpus:
            same &= state.space.paid_gpus[cells] == state.space.paid_gpus[cells[i]]
        equal = cells[same]
        out.append(int(equal[np.lexsort(order_keys(view, equal)[::-1])[0]]) if len(equal) > 1 else int(cells[i]))
    return np.array(out, dtype=np.int64)


def _beaten_beyond(axes: tuple[View, View], front: IntArray, cells: IntArray, gpus: bool) -> FloatArray:
    """The predicted seconds beyond which some cell of the front surely beats each of `cells`, (n,)."""
    state = axes[0].state
    out = np.full(len(cells), np.inf)
    values = [axis.value(state.best.seconds[front], front) for axis in axes]
    for i, cell in enumerate(front.tolist()):
        beaten = np.maximum(*(axis.longest_s(float(v[i]), cells) for axis, v in zip(axes, values, strict=True)))
        if gpus:
            beaten = np.where(state.space.paid_gpus[cells] >= state.space.paid_gpus[cell], beaten, np.inf)
        out = np.minimum(out, beaten)
    return out
