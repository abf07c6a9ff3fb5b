"""What a proposal asks the search: the fastest run on every GPU count, and which of them is best under any terms.

The fastest layout of a cell (machines, framework, GPU count) is its best at every price and quantile, so these few
hundred runs answer every "what if" about deadline, budget, prices and confidence exactly; no candidate is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from planner.catalog import Catalog
from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.performance.calibration import Calibration
from planner.results.answers import Optimization
from planner.results.plan import Plan
from planner.search.building import build
from planner.search.objectives import View, within_cost
from planner.search.optimum import scenario_goal
from planner.search.plans import make_plan
from planner.search.pools import node_range
from planner.search.prices import Rates, plan_cost
from planner.search.pruning import SLACK, Limits
from planner.search.run_cost import HOUR_S
from planner.search.search_space import SearchSpace
from planner.search.search_state import CELLS_TOGETHER, SearchState
from planner.search.simplicity import plain
from planner.spec.hardware import Offer
from planner.spec.scenario import Scenario

DAY_S = 86_400.0
REACH = 3.0  # the controls reach to so many times a budget, or beyond what the plan takes
BETWEEN = (0.02, 0.1, 0.25, 0.75, 0.9, 0.98)
SURER, COMMON = (0.95, 0.99), 0.8
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Terms:
    """What a choice is made under; None: no such limit. `price` and `slower` scale every price and every step."""

    objective: str
    usd_per_day: float = 0.0
    time_s: float | None = None
    cost_usd: float | None = None
    confidence: float = 0.8
    price: float = 1.0
    slower: float = 1.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A cell on an offer, with time (s) and cost (USD) at the median and at the confidence."""

    cell: int
    offer: int
    time_p50_s: float
    time_sure_s: float
    cost_p50_usd: float
    cost_sure_usd: float
    # The offer's price of a GPU-hour; where it is spread, the prices at which those times come to those costs.
    price_p50: float
    price_sure: float

    @property
    def key(self) -> tuple[int, int]:
        return self.cell, self.offer


@dataclass
class Study:
    """One run: its scenario, the answer, and every cell worth a look (`cells`, indices into the search space's)."""

    scenario: Scenario
    outcome: Optimization
    state: SearchState
    cells: IntArray
    levels: tuple[float, float, float]  # confidences, ascending; the scenario's is one of them
    reach_time_s: float  # beyond these two the cells are not complete
    reach_cost_usd: float
    asked_for: tuple[int, int] | None = None  # cell and offer of the plan
    _times: dict[tuple[float, float], FloatArray] = field(default_factory=dict)

    @property
    def terms(self) -> Terms:
        """What the scenario asks."""
        budget, objective = self.scenario.budget, self.scenario.objective
        return Terms(objective.kind, objective.usd_per_day, budget.time_s, budget.cost_usd, budget.confidence)

    def times(self, p: float, slower: float = 1.0) -> FloatArray:
        """Time that each of `cells` stays below with probability p, seconds, (cells,)."""
        if (p, slower) not in self._times:
            self._times[p, slower] = time_at(self.state, p, self.state.best.seconds[self.cells] * slower, self.cells)
        return self._times[p, slower]

    def forget(self) -> None:
        """Times belong to `cells`: to be called when those change."""
        self._times.clear()

    def choices(self, terms: Terms, allowed: Callable[[Offer], bool] | None = None) -> list[Choice]:
        """Every cell of `cells` on its cheapest allowed offer that keeps the budgets, best first."""
        state = self.state
        mask = None if allowed is None else np.array([allowed(o) for o in state.space.offers], dtype=bool)
        price, offer = state.cheapest(mask)
        sold = np.isfinite(price[self.cells])
        cells = self.cells[sold]
        rates, seconds = state.space.rates(offer[cells], cells, terms.price), state.best.seconds[cells] * terms.slower
        median = self.times(0.5, terms.slower)[sold]
        sure = self.times(terms.confidence, terms.slower)[sold]
        cost, sure_cost = (state.cost_usd(level, rates, seconds, cells) for level in (0.5, terms.confidence))
        keep = np.isfinite(sure)
        if terms.time_s is not None:
            keep &= sure + state.space.waiting_s[cells] <= terms.time_s
        if terms.cost_usd is not None:
            keep &= within_cost(state, terms.confidence, terms.cost_usd, rates, seconds, cells)
        value = _value(terms, median, cost)
        at = np.flatnonzero(keep)
        prices = [self._price(rates, *each, cells) for each in ((median, cost), (sure, sure_cost))]
        columns = np.stack([median, sure, cost, sure_cost, *prices])
        gpus, batch = state.space.gpus[cells], state.best.batch[cells]
        order = np.lexsort([key[at] for key in (offer[cells], batch, gpus, median, cost, value)])
        return [Choice(int(cells[i]), int(offer[cells[i]]), *columns[:, i].tolist()) for i in at[order]]

    def _price(self, rates: Rates, time_s: FloatArray, usd: FloatArray, cells: IntArray) -> FloatArray:
        """USD per GPU-hour at which runs of these lengths come to these costs, (n,); as offered where that is known."""
        state, out = self.state, rates.low / self.state.space.paid_gpus[cells]
        at = rates.spread
        hours = state.space.costs.paid_s(time_s[at], cells[at]) / HOUR_S * state.space.paid_gpus[cells[at]]
        out[at] = (usd[at] - state.space.costs.other_usd(time_s[at])) / hours
        return out

    def best(self, terms: Terms, allowed: Callable[[Offer], bool] | None = None) -> Choice | None:
        """The plan that `optimize` would choose under these terms, None if nothing keeps the budgets.

        The plan asked for stays while it gives up no more than its simpler layout does.
        """
        found = self.choices(terms, allowed)
        if not found or self.asked_for is None or self.given_up <= 0.0:
            return found[0] if found else None
        stays = next((choice for choice in found if choice.key == self.asked_for), found[0])
        most = self._worth(terms, found[0]) * (1.0 + self.given_up) * (1.0 + ROUNDING)
        return stays if self._worth(terms, stays) <= most else found[0]

    @property
    def given_up(self) -> float:
        """Share of the optimum that the plan gives up for a simpler layout."""
        return 0.0 if self.outcome.given_up is None else self.outcome.given_up.share

    @staticmethod
    def _worth(terms: Terms, choice: Choice) -> float:
        return float(_value(terms, np.array([choice.time_p50_s]), np.array([choice.cost_p50_usd]))[0])

    def frontier(self, terms: Terms) -> list[Choice]:
        """The choices that no other beats in both median time and median cost, fastest first."""
        out: list[Choice] = []
        for choice in sorted(self.choices(terms), key=lambda c: (c.time_p50_s, c.cost_p50_usd)):
            if not out or choice.cost_p50_usd < out[-1].cost_p50_usd:
                out.append(choice)
        return out

    def plan(self, choice: Choice) -> Plan:
        """A choice as a plan, at the catalog's prices."""
        return make_plan(self.state, self.state.best.pick(choice.cell), self.state.space.offers[choice.offer])

    def together(self, choice: Choice) -> float:
        """P(neither the time nor the cost at the confidence is passed): less than it where the price is spread, too."""
        state, cell = self.state, choice.cell
        runs = state.completion_model.completion(state.best.seconds[[cell]], np.array([cell]))
        cost = plan_cost(state.space.costs, runs, cell, self.offer(choice), int(state.space.paid_gpus[cell]))
        # Each is the quantile itself, which rounding must not put beyond reach.
        return cost.probability(choice.cost_sure_usd * (1.0 + ROUNDING), choice.time_sure_s * (1.0 + ROUNDING))

    def offer(self, choice: Choice) -> Offer:
        """The offer of a choice."""
        return self.state.space.offers[choice.offer]

    def ends_s(self, choice: Choice) -> float:
        """Seconds from the start until a choice is done with the confidence, the wait for its machines in them."""
        return choice.time_sure_s + float(self.state.space.waiting_s[choice.cell])

    def gpus(self, choice: Choice) -> int:
        """How many GPUs a choice takes."""
        return int(self.state.space.gpus[choice.cell])


def study(scenario: Scenario, outcome: Optimization, catalog: Catalog, calibration: Calibration) -> Study:
    """Searches the fastest run of every cell within reach of the controls. `outcome` has a plan."""
    plan = outcome.plan
    assert plan is not None  # noqa: S101 - the caller has told an infeasible scenario apart
    state = build(scenario, catalog, calibration)
    budget = scenario.budget
    reach_time = REACH * max(budget.time_s or 0.0, plan.time_s.p90)
    reach_cost = REACH * max(budget.cost_usd or 0.0, plan.cost_usd.p90)
    levels = three_levels(budget.confidence)
    _search(state, levels_of(state.space, levels), reach_time, reach_cost)
    cells = np.flatnonzero(state.exact)
    found = Study(scenario, outcome, state, cells, levels, reach_time, reach_cost)
    found.cells = cells[_worth(found)]
    found.asked_for = _as_answered(found)
    found.forget()
    return found


def _as_answered(found: Study) -> tuple[int, int] | None:
    """Gives the plan's machines the layout that was answered; which cell and offer they are; None for the optimum."""
    state, plan = found.state, found.outcome.plan
    if plan is None or found.outcome.given_up is None:
        return None
    offer = next(i for i, each in enumerate(state.space.offers) if each.id == plan.offer.id)
    frameworks = [pool.setting.framework for pool in state.space.pools]
    mine = np.intersect1d(state.space.sold[offer], found.cells)
    cell = next(
        int(c)
        for c in mine
        if state.space.gpus[c] == plan.gpus and frameworks[int(state.space.pool[c])] == plan.framework
    )
    pick = plain(View(state, scenario_goal(found.scenario)), cell)
    state.best.row[cell], state.best.dp[cell], state.best.micro[cell] = pick.row, pick.dp, pick.micro
    state.best.batch[cell], state.best.step_s[cell], state.best.seconds[cell] = pick.batch, pick.step_s, pick.seconds
    return cell, offer


def levels_of(space: SearchSpace, levels: Sequence[float]) -> tuple[float, ...]:
    """Probabilities at which a run must be slower to be of no use: where prices are spread, over the whole range."""
    spread = bool(np.any(space.ranges[0] < space.ranges[1]))
    return tuple(sorted({0.5, *levels, *(BETWEEN if spread else ())}))


def time_at(state: SearchState, p: float, seconds: FloatArray, cells: IntArray) -> FloatArray:
    """The time that runs predicted to train `seconds` stay below with probability p, (n,)."""
    return state.completion_model.time_s(p, seconds, cells)


def three_levels(confidence: float) -> tuple[float, float, float]:
    """The confidence asked for, even odds, and a surer one (or, where there is none, a common one), ascending."""
    surer = next((level for level in SURER if level > confidence), COMMON)
    one, two, three = sorted({confidence, 0.5, surer} if confidence != 0.5 else {0.5, COMMON, SURER[0]})
    return one, two, three


def _value(terms: Terms, time: FloatArray, cost: FloatArray) -> FloatArray:
    if terms.objective == "time":
        return time
    if terms.objective == "usd_per_day":
        return np.asarray(terms.usd_per_day / DAY_S * time + cost)
    return cost


def _search(state: SearchState, levels: tuple[float, ...], reach_time_s: float, reach_cost_usd: float) -> None:
    """Makes every cell exact that is within reach and that no smaller cluster of the same machines surely beats."""
    price, offer = state.cheapest()
    rate, factor = state.cost_line(0.5, state.space.rates(offer, np.arange(len(state.space))))
    longest = reach_time_s / state.completion_model.slope(0.5)
    longest = np.minimum(longest, state.space.costs.longest_s(rate, reach_cost_usd) / factor)
    possible = np.isfinite(price) & (state.candidates > 0) & (state.floor_s <= longest)
    slopes = {p: state.completion_model.slope(p) for p in levels}
    for pool in range(len(state.space.pools)):
        cells = np.flatnonzero(possible & (state.space.pool == pool))
        fewest = fewest_of_all(state.space, pool)
        fastest = dict.fromkeys(levels, np.inf)  # of the smaller clusters that every offer sells
        for at in range(0, len(cells), CELLS_TOGETHER):
            some = cells[at : at + CELLS_TOGETHER]
            beaten = np.max([fastest[p] / slopes[p][some] for p in levels], axis=0) * SLACK
            none = np.full(len(some), np.inf)
            limits = Limits(np.minimum(longest[some], beaten), none, none.copy())
            state.refine(some, limits, lambda best_s: np.full(len(best_s), np.inf))
            known = some[state.exact[some] & (state.space.nodes[some] >= fewest)]
            if len(known):  # the fastest of them stands for all: asking for one is quicker than for each
                one = known[[int(np.argmin(state.best.seconds[known]))]]
                for p in levels:
                    fastest[p] = min(fastest[p], float(time_at(state, p, state.best.seconds[one], one)[0]))


def _worth(found: Study) -> BoolArray:
    """Which of the study's cells no smaller cell of their pool beats at every confidence."""
    state = found.state
    times = np.stack([found.times(level) for level in levels_of(state.space, found.levels)])
    fewest = [fewest_of_all(state.space, pool) for pool in range(len(state.space.pools))]
    keep = np.ones(len(found.cells), dtype=bool)
    fastest: dict[int, FloatArray] = {}
    for i in np.lexsort((state.space.gpus[found.cells], state.space.pool[found.cells])).tolist():
        cell, pool = int(found.cells[i]), int(state.space.pool[found.cells[i]])
        rival = fastest.get(pool)
        if rival is not None and bool(np.all(rival <= times[:, i])):
            keep[i] = False
        elif state.space.nodes[cell] >= fewest[pool] and (rival is None or bool(np.all(times[:, i] <= rival))):
            fastest[pool] = times[:, i]
    return keep


def fewest_of_all(space: SearchSpace, pool: int) -> int:
    """The fewest nodes that every offer of a pool sells: a smaller cluster cannot stand for all of them."""
    return max(node_range(offer, space.scenario)[0] for offer in space.pools[pool].offers)
