"""What is looked for: a quantity to make small, over some offers, within some budgets; and the search for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.search.candidates import Pick, complexity
from planner.search.layouts import LayoutTable
from planner.search.prices import MARGIN, Rates
from planner.search.pruning import SLACK, Limits, Tally
from planner.search.search_state import SearchState
from planner.spec.scenario import Budget, Objective

DAY_S = 86400.0
PROMISING = 8  # cells whose values are looked at first


@dataclass(frozen=True)
class Goal:
    """Least usd_per_second x time + usd x cost (+ gpus x GPUs paid for), each at its quantile `at` (None: p50).

    Budgets hold at `confidence`. `offers` (over those of the space) leaves offers out; so does `cells` cells.
    What if: `price` multiplies every price, `speed` every throughput.
    """

    per_second: float = 0.0
    per_usd: float = 0.0
    per_gpu: float = 0.0
    at: float | None = None
    time_s: float | None = None
    cost_usd: float | None = None
    confidence: float = 0.8
    offers: BoolArray | None = None
    cells: BoolArray | None = None
    price: float = 1.0
    speed: float = 1.0


def budget_goal(budget: Budget, **changes: Any) -> Goal:
    """Any plan within these budgets; `changes`: other parts of the goal, or other budgets."""
    within = {"time_s": budget.time_s, "cost_usd": budget.cost_usd, "confidence": budget.confidence}
    return Goal(**(within | changes))


def objective_goal(objective: Objective, budget: Budget) -> Goal:
    """An objective within budgets: cost (USD), time (s) or usd_per_day (USD); of equal training the cheapest."""
    weights = {"time": (1.0, 0.0), "usd_per_day": (objective.usd_per_day / DAY_S, 1.0)}
    per_second, per_usd = weights.get(objective.kind, (0.0, 1.0))
    return budget_goal(budget, per_second=per_second, per_usd=per_usd)


def aiming_at(goal: Goal, per_second: float = 0.0, per_usd: float = 0.0, per_gpu: float = 0.0) -> Goal:
    """The same offers and budgets with another quantity to make small."""
    return replace(goal, per_second=per_second, per_usd=per_usd, per_gpu=per_gpu)


@dataclass
class View:
    """A goal's numbers for every cell of a search, (cells,) each: what its best offer costs, and its quantiles."""

    state: SearchState
    goal: Goal
    rates: Rates = field(init=False)
    offer: IntArray = field(init=False)

    def __post_init__(self) -> None:
        state, g = self.state, self.goal
        price, self.offer = state.cheapest(g.offers)
        self.rates = state.space.rates(self.offer, np.arange(len(state.space)), g.price)
        self.allowed = np.isfinite(price) & np.isfinite(state.floor_s) & (state.candidates > 0)
        if g.cells is not None:
            self.allowed &= g.cells
        self.at = 0.5 if g.at is None else g.at
        self.slope = state.slope(self.at, g.speed)
        self.sure_slope = state.slope(g.confidence, g.speed)
        self.line = state.cost_line(self.at, self.rates, g.speed)
        self.sure_line = state.cost_line(g.confidence, self.rates, g.speed)

    def value(self, seconds: FloatArray, cells: IntArray) -> FloatArray:
        """The goal's quantity were these cells' runs predicted to train for `seconds`; rises with them."""
        g, state = self.goal, self.state
        time = state.time_s(self.at, seconds, cells, g.speed) if g.per_second else seconds
        return self._quantity(time, self.cost(self.at, seconds, cells) if g.per_usd else seconds, cells)

    def value_of(self, pick: Pick) -> float:
        """The goal's quantity of a candidate."""
        return float(self.value(np.array([pick.seconds]), np.array([pick.cell]))[0])

    def value_at(self, cell: int) -> float:
        """The goal's quantity of the fastest run of a cell."""
        return float(self.value(self.state.best.seconds[[cell]], np.array([cell]))[0])

    def cost(self, at: float, seconds: FloatArray, cells: IntArray) -> FloatArray:
        """What these cells' runs, predicted to train for `seconds`, stay within with probability `at`, USD."""
        return self.state.cost_usd(at, self.rates.take(cells), seconds, cells, self.goal.speed)

    def floor(self, seconds: FloatArray, cells: IntArray) -> FloatArray:
        """A quantity that `value` is never below."""
        rate, factor = (each[cells] for each in self.line)
        least = self.state.space.costs.usd(rate, seconds * factor, cells) if self.goal.per_usd else seconds
        return self._quantity(seconds * self.slope[cells], least, cells)

    def _quantity(self, time: FloatArray, cost: FloatArray, cells: IntArray) -> FloatArray:
        g = self.goal
        total = g.per_gpu * self.state.space.paid_gpus[cells]
        if g.per_second:
            total = total + g.per_second * (time + self.state.space.waiting_s[cells])
        if g.per_usd:
            total = total + g.per_usd * cost
        return np.asarray(total, dtype=np.float64)

    def longest_s(self, value: float, cells: IntArray) -> FloatArray:
        """Predicted seconds beyond which a cell's quantity surely exceeds `value`."""
        g, state = self.goal, self.state
        if not np.isfinite(value):
            return np.full(len(cells), np.inf)
        left = value - g.per_gpu * state.space.paid_gpus[cells] - g.per_second * state.space.waiting_s[cells]
        rate, factor = (each[cells] for each in self.line)
        if g.per_usd and g.per_second:
            second = factor * (rate / 3600.0 + state.space.costs.storage_usd_per_s)
            limit = (left - g.per_usd * state.space.costs.egress_usd) / (
                g.per_second * self.slope[cells] + g.per_usd * second
            )
        elif g.per_usd:
            limit = state.space.costs.longest_s(rate, np.asarray(left / g.per_usd, dtype=np.float64)) / factor
        elif g.per_second:
            limit = left / g.per_second / self.slope[cells]
        else:
            limit = np.full(len(cells), np.inf)
        return np.asarray(np.where(left >= 0, np.maximum(limit, -1.0), -1.0), dtype=np.float64)

    def budget_limits(self, cells: IntArray) -> tuple[FloatArray, FloatArray]:
        """Predicted seconds beyond which the time budget, and the cost budget, is surely broken."""
        g = self.goal
        none = np.full(len(cells), np.inf)
        time = none if g.time_s is None else (g.time_s - self.state.space.waiting_s[cells]) / self.sure_slope[cells]
        cost = none
        if g.cost_usd is not None:
            rate, factor = (each[cells] for each in self.sure_line)
            cost = self.state.space.costs.longest_s(rate, g.cost_usd) / factor
        return time, cost

    def feasible(self, cells: IntArray) -> BoolArray:
        """Whether these cells' fastest known runs keep the budgets: decided by the figures that are printed."""
        return self.keeps(self.state.best.seconds[cells], cells)

    def keeps(self, seconds: FloatArray, cells: IntArray) -> BoolArray:
        """Whether runs predicted to train for `seconds` on these cells keep the budgets."""
        state, g = self.state, self.goal
        if g.time_s is None and g.cost_usd is None:
            return np.isfinite(seconds)
        time = state.time_s(g.confidence, seconds, cells, g.speed)
        ok = np.isfinite(time)
        if g.time_s is not None:
            ok &= time + state.space.waiting_s[cells] <= g.time_s
        if g.cost_usd is not None:
            ok &= within_cost(state, g.confidence, g.cost_usd, self.rates.take(cells), seconds, cells, g.speed)
        return np.asarray(ok, dtype=bool)


def within_cost(
    state: SearchState,
    confidence: float,
    usd: float,
    rates: Rates,
    seconds: FloatArray,
    cells: IntArray,
    speed: float = 1.0,
) -> BoolArray:
    """Whether runs cost at most `usd` with the confidence asked for: their price's spread is part of it."""
    sure = state.time_s(confidence, seconds, cells, speed)
    within = state.space.costs.usd(rates.high, sure, cells) <= usd
    spread = rates.spread
    if spread.size:
        # The cheapest price settles what is not within; a little off, as chances of spread prices are.
        soon = state.time_s(max(confidence - MARGIN, 1e-6), seconds[spread], cells[spread], speed)
        unsure = spread[state.space.costs.usd(rates.low[spread], soon, cells[spread]) <= usd]
        within[spread] = False
        within[unsure] = state.cost_chance(usd, rates.take(unsure), seconds[unsure], cells[unsure], speed) >= confidence
    return np.asarray(within, dtype=bool)


def find(view: View, tally: Tally | None = None) -> int | None:
    """The cell whose fastest run is best for the goal, None if no run keeps the budgets.

    Afterwards every cell is exact or its bound proves that it holds nothing better. Ties by `order`.
    """
    state = view.state
    lower = np.maximum(state.floor_s, state.bound_s)
    cells = np.flatnonzero(view.allowed & np.isfinite(lower))
    time, cost = view.budget_limits(cells)
    limit = np.minimum(time, cost) * SLACK
    bound = view.floor(lower[cells], cells)
    possible = lower[cells] <= limit
    best = _best_known(view, cells)
    incumbent = np.inf if best is None else view.value_at(best)
    queue = cells[possible]
    order = np.lexsort((queue, state.space.pool[queue], state.space.gpus[queue], bound[possible]))
    queue, bound = queue[order], bound[possible][order]
    open_ = ~state.exact[queue]
    queue, bound = queue[open_], bound[open_]
    size, done = 4, 0
    while len(queue) and bound[0] <= incumbent * SLACK:
        # The most promising cell and its pool's next ones that are still worth a look.
        same_pool = state.space.pool[queue] == state.space.pool[queue[0]]
        batch = np.flatnonzero(same_pool & (bound <= incumbent * SLACK))[:size]
        at = queue[batch]
        done += len(at)
        size = min(2 * size, state.cells_together(int(state.space.pool[at[0]]), done))
        time, cost = view.budget_limits(at)
        passing = _Incumbent(view, at, incumbent)
        state.refine(at, Limits(time, cost, view.longest_s(incumbent, at)), passing.tighten, tally)
        best = _best_known(view, np.append(at, best) if best is not None else at, incumbent)
        if best is not None:
            incumbent = view.value_at(best)
        keep = np.ones(len(queue), dtype=bool)
        keep[batch] = False
        queue, bound = queue[keep], bound[keep]
    if tally is not None:
        tally_unvisited(view, tally, lambda rest: view.longest_s(incumbent, rest))
    return best


def order_keys(view: View, cells: IntArray) -> tuple[FloatArray | IntArray, ...]:
    """Sort keys of cells' fastest runs, most significant first: the goal, then cost, time, and the total order.

    That order is: fewer GPUs, smaller batch, simpler layout, then offer id, framework, tp, pp, vpp, cp, ep,
    zero_stage, recompute, micro_batch.
    """
    state = view.state
    seconds = state.best.seconds[cells]
    time = state.time_s(0.5, seconds, cells)
    layout = np.array([_layout_key(state, int(c)) for c in cells], dtype=np.int64).reshape(len(cells), -1)
    names = sorted({pool.setting.framework for pool in state.space.pools})
    framework = np.array(
        [names.index(state.space.pools[int(state.space.pool[c])].setting.framework) for c in cells], dtype=np.int64
    )
    return (
        view.value(seconds, cells),
        view.cost(0.5, seconds, cells),
        time,
        state.space.gpus[cells],
        state.best.batch[cells],
        layout[:, 0],
        view.offer[cells],
        framework,
        *layout[:, 1:].T,
    )


def _layout_key(state: SearchState, cell: int) -> tuple[int, ...]:
    table: LayoutTable = state.layout_space(int(state.space.pool[cell])).table
    row = state.best.row[cell]
    one = np.array([row])
    return (
        int(complexity(table, one)[0]),
        int(table.tp[row]),
        int(table.pp[row]),
        int(table.vpp[row]),
        int(table.cp[row]),
        int(table.ep[row]),
        int(table.zero_stage[row]),
        int(table.recompute[row]),
        int(state.best.micro[cell]),
    )


def _best_known(view: View, cells: IntArray, at_most: float = np.inf) -> int | None:
    """The best of the cells that are exact and keep the budgets, among those that may be as good as `at_most`."""
    state = view.state
    cells = cells[state.exact[cells] & view.allowed[cells]]
    time, cost = view.budget_limits(cells)
    cells = cells[state.best.seconds[cells] <= np.minimum(time, cost) * SLACK]
    floor = view.floor(state.best.seconds[cells], cells)
    order = np.argsort(floor, kind="stable")
    cells, floor = cells[order], floor[order]
    kept, values = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    begin, size = 0, PROMISING
    while begin < len(cells) and floor[begin] <= at_most * SLACK:  # the most promising spare most of the others
        some = cells[begin : begin + size][floor[begin : begin + size] <= at_most * SLACK]
        some = some[view.feasible(some)]
        kept.append(some)
        values.append(view.value(state.best.seconds[some], some))
        at_most = min(at_most, float(values[-1].min(initial=np.inf)))
        begin, size = begin + size, 4 * size
    cells, value = np.concatenate(kept), np.concatenate(values)
    if not len(cells):
        return None
    cells = np.sort(cells[value == value.min()])
    if len(cells) == 1:
        return int(cells[0])
    keys = order_keys(view, cells)
    return int(cells[np.lexsort(keys[::-1])[0]])


class _Incumbent:
    """Carries the best value found so far from one cell of a pass to the limits of the others."""

    def __init__(self, view: View, cells: IntArray, value: float) -> None:
        self.view, self.cells, self.value = view, cells, value
        self.seen = np.full(len(cells), np.inf)

    def tighten(self, best_s: FloatArray) -> FloatArray:
        view, cells = self.view, self.cells
        known = np.flatnonzero(np.isfinite(best_s) & (best_s < self.seen))
        self.seen = np.minimum(self.seen, best_s)
        known = known[view.floor(best_s[known], cells[known]) < self.value]
        if len(known):
            ok = view.keeps(best_s[known], cells[known])
            if ok.any():
                self.value = min(self.value, float(view.value(best_s[known][ok], cells[known][ok]).min()))
        return view.longest_s(self.value, cells)


def tally_unvisited(view: View, tally: Tally, longest_s: Callable[[IntArray], FloatArray]) -> None:
    """Counts the candidates of cells that were never searched, under the bound that rules them out.

    `longest_s` gives the predicted seconds beyond which a cell is of no interest.
    """
    state = view.state
    cells = np.arange(len(state.space))
    counted = tally.evaluated + sum(tally.pruned.values())
    rest = np.flatnonzero((counted == 0) & (state.candidates > 0))
    time, cost = view.budget_limits(rest)
    limits = Limits(
        np.full(len(state.space), np.inf), np.full(len(state.space), np.inf), np.full(len(state.space), np.inf)
    )
    limits.time_s[rest], limits.cost_s[rest] = time, cost
    limits.objective_s[rest] = longest_s(rest)
    lower = np.maximum(state.floor_s, state.bound_s)
    tally.slow(cells[rest], lower[rest], state.candidates[rest], limits)
