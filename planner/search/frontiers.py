"""`frontier`: every plan that no other beats in both time and cost, exact, within the budgets or beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from planner.catalog import Catalog
from planner.catalog.types import Offer
from planner.performance.arrays import FloatArray, IntArray
from planner.performance.calibration import Calibration
from planner.plan import Frontier
from planner.scenario import Scenario
from planner.search.binding import warnings_of
from planner.search.engine import SLACK, Limits, Tally
from planner.search.goals import Goal, View, aiming_at, find, order_keys, tally_unvisited
from planner.search.optimum import asked, certify, defaults_of, provenance_of
from planner.search.plans import fastest_of, make_plan
from planner.search.problem import CELLS_TOGETHER, build


def frontier(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    *,
    everything: bool = False,
    gpus: bool = False,
    offers: Sequence[Offer] | None = None,
) -> Frontier:
    """Every non-dominated plan in time and cost (p50), fastest first.

    Parameters
    ----------
    everything : also those outside the budgets (`within_budget` is False there)
    gpus : the GPU count is a third axis: fewer are better too
    offers : plan with these instead of the catalog's eligible ones
    """
    problem = build(scenario, catalog, calibration, offers)
    budget = scenario.budget
    bounded = Goal(per_usd=1.0, time_s=budget.time_s, cost_usd=budget.cost_usd, confidence=budget.confidence)
    tally = Tally.of(len(problem))
    view = View(problem, bounded)
    cells = undominated_cells(view, gpus, tally)
    if everything and (budget.time_s is not None or budget.cost_usd is not None):
        beyond = undominated_cells(View(problem, replace(bounded, time_s=None, cost_usd=None)), gpus)
        cells = np.union1d(cells, beyond)
    time, cost = points(view, cells)
    cells = cells[np.lexsort((problem.gpus[cells], cost, time))]
    return Frontier(
        status="optimal" if len(cells) else "infeasible",
        plans=tuple(make_plan(problem, fastest_of(problem, int(c)), problem.offers[int(view.offer[c])]) for c in cells),
        certificate=certify(problem, view, tally, None),
        defaults=defaults_of(problem),
        warnings=warnings_of(problem, None),
        provenance=provenance_of(problem),
        goal=asked(scenario),
    )


def undominated_cells(view: View, gpus: bool = False, tally: Tally | None = None) -> IntArray:
    """The cells whose fastest run on their cheapest offer is within the budgets and beaten by no other such run.

    Exact: every cell is searched, or a bound proves that its runs break a budget or are beaten.
    """
    p = view.problem
    for goal in (aiming_at(view.goal, per_usd=1.0), aiming_at(view.goal, per_second=1.0)):
        find(View(p, goal), tally)  # the two ends: good incumbents to begin with
    slope = p.slope(0.5)
    queue = np.flatnonzero(view.allowed & ~p.exact)
    size = 8
    while len(queue):
        lower = np.maximum(p.floor_s, p.bound_s)[queue]
        time, cost = view.budget_limits(queue)
        room = _beaten_beyond(view, _front(view, gpus), queue, gpus) / slope[queue]
        possible = lower <= np.minimum(np.minimum(time, cost), room) * SLACK
        queue, lower, room = queue[possible], lower[possible], room[possible]
        if not len(queue):
            break
        best = int(np.argmin(lower / room))
        mates = np.flatnonzero(p.pool[queue] == p.pool[queue[best]])
        mates = mates[np.argsort(lower[mates] / room[mates], kind="stable")][:size]
        size = min(2 * size, CELLS_TOGETHER)
        at = queue[mates]
        time, cost = view.budget_limits(at)
        p.refine(at, Limits(time, cost, room[mates]), lambda best_s: np.full(len(best_s), np.inf), tally)
        queue = np.delete(queue, mates)
    front = _front(view, gpus)
    if tally is not None:
        tally_unvisited(view, tally, lambda rest: _beaten_beyond(view, front, rest, gpus) / slope[rest])
    return front


def points(view: View, cells: IntArray) -> tuple[FloatArray, FloatArray]:
    """Time and cost at p50 of these cells' fastest runs on their cheapest offers, (n,) each."""
    p = view.problem
    time = p.time_s(0.5, p.best_s[cells], cells)
    return time, p.costs.usd(view.usd_per_hour[cells], time)


def _front(view: View, gpus: bool) -> IntArray:
    """The non-dominated of the cells searched so far that keep the budgets; of equals the first by the total order."""
    p = view.problem
    cells = np.flatnonzero(p.exact & view.allowed & np.isfinite(p.best_s))
    cells = cells[view.feasible(cells)]
    time, cost = points(view, cells)
    order = np.lexsort((cells, p.gpus[cells], cost, time))
    cells, time, cost = cells[order], time[order], cost[order]
    if not gpus:
        before = np.concatenate([[np.inf], np.minimum.accumulate(cost)[:-1]]) if len(cells) else cost
        kept = cells[cost < before]
    else:
        keep: list[int] = []
        for i in range(len(cells)):
            if not any(cost[k] <= cost[i] and p.gpus[cells[k]] <= p.gpus[cells[i]] for k in keep):
                keep.append(i)
        kept = cells[keep]
    return _first_of_equals(view, kept, cells, time, cost, gpus)


def _first_of_equals(
    view: View, kept: IntArray, cells: IntArray, time: FloatArray, cost: FloatArray, gpus: bool
) -> IntArray:
    """For each kept cell the first, by the total order, of those with its time, cost (and GPUs)."""
    p = view.problem
    at = {int(c): (float(t), float(u)) for c, t, u in zip(cells, time, cost, strict=True)}
    out = []
    for cell in kept.tolist():
        same = np.flatnonzero((time == at[cell][0]) & (cost == at[cell][1]))
        if gpus:
            same = same[p.gpus[cells[same]] == p.gpus[cell]]
        twins = cells[same]
        out.append(int(twins[np.lexsort(order_keys(view, twins)[::-1])[0]]) if len(twins) > 1 else cell)
    return np.array(out, dtype=np.int64)


def _beaten_beyond(view: View, front: IntArray, cells: IntArray, gpus: bool) -> FloatArray:
    """The p50 time beyond which a plan of the front surely beats each cell: least max(its time, affordable time)."""
    p = view.problem
    out = np.full(len(cells), np.inf)
    time, cost = points(view, front)
    for i, cell in enumerate(front.tolist()):
        affordable = p.costs.longest_s(view.usd_per_hour[cells], float(cost[i]))
        beaten = np.maximum(affordable, time[i])
        if gpus:
            beaten = np.where(p.gpus[cells] >= p.gpus[cell], beaten, np.inf)
        out = np.minimum(out, beaten)
    return out
