"""Several runs together: shared quotas, one budget, one plan a run, chosen by the MILP and checked exactly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from planner.catalog import Catalog
from planner.money import in_its_money
from planner.performance.arrays import FloatArray, IntArray
from planner.performance.calibration import Calibration
from planner.results.answers import SCHEMA_VERSION, Document, Provenance
from planner.results.plan import Plan
from planner.search.building import build
from planner.search.candidates import Pick
from planner.search.frontiers import undominated_cells
from planner.search.infeasible import reason_of
from planner.search.joint_choice import SharedLimit, choose
from planner.search.most_training import least_of
from planner.search.objectives import Goal, View, aiming_at
from planner.search.optimum import provenance_of, scenario_goal
from planner.search.plans import make_plan
from planner.search.prices import PlanCost, plan_cost
from planner.search.search_state import SearchState
from planner.search.simplicity import plain
from planner.spec.hardware import Offer
from planner.spec.scenario import Quota, Scenario, covers
from planner.units import PlannerError
from planner.words import Sentence, say

DRAWS = 20_000
SEED = 20261124


@dataclass(frozen=True, slots=True)
class Fleet:
    """What several runs share. Runs go at the same time; a quota that does not name a key holds for all of it."""

    quotas: tuple[Quota, ...] = ()
    cost_usd: float | None = None  # for all runs together, at `confidence`
    confidence: float = 0.8
    priorities: Mapping[str, float] = field(default_factory=dict)  # run -> weight of its objective, 1 by default
    times_s: Mapping[str, float] = field(default_factory=dict)  # run -> its time budget, in place of its scenario's


@dataclass(frozen=True, slots=True)
class FleetRun:
    """What one run gets."""

    name: str
    priority: float
    objective_value: float | None
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class SharedUse:
    """A shared limit, how much of it is used, and what a little more would save (by solving again)."""

    key: str  # fleet.quotas[0] | fleet.cost
    limit: float
    used: float
    more: float  # the step that was tried
    saves: float | None  # of the weighted objective; None: it would still be infeasible
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class FleetAnswer(Document):
    """The answer of `planner optimize A B ... --fleet`."""

    schema_version: int = SCHEMA_VERSION
    status: str  # optimal | infeasible
    reason: str  # why infeasible, "" if not
    objective: float | None  # weighted sum over the runs' fastest layouts: the least there is
    unit: str
    runs: tuple[FleetRun, ...]
    shared: tuple[SharedUse, ...]
    cost_usd_p50: float | None
    p_within_cost_together: float | None  # if costs move together, as one error of the model would move them
    p_within_cost_independent: float | None  # if they are independent, by simulation
    basis: str
    provenance: tuple[Provenance, ...]


@dataclass(frozen=True)
class _Columns:
    """The plans that a run may get, in the total order: cells of its search space on one offer each."""

    state: SearchState
    goal: Goal
    cells: IntArray
    offers: IntArray
    value: FloatArray
    sure_usd: FloatArray
    gpus: FloatArray  # that are ordered, spare ones among them

    def offer(self, at: int) -> Offer:
        """The offer of a column."""
        return self.state.space.offers[int(self.offers[at])]

    def view(self, at: int) -> View:
        """The run's goal on the offer of a column alone."""
        alone = np.arange(len(self.state.space.offers)) == self.offers[at]
        return View(self.state, replace(self.goal, offers=alone))


@in_its_money
def optimize_fleet(
    scenarios: Sequence[Scenario],
    fleet: Fleet,
    catalog: Catalog,
    calibration: Calibration,
    *,
    offers: Sequence[Offer] | None = None,
) -> FleetAnswer:
    """One plan a run, together within the fleet's quotas and budget, of least weighted objective.

    The shared budget's row sums each run's cost at the confidence: exact if costs move together, an approximation
    otherwise; the probability of the sum is given for both.

    Raises
    ------
    PlannerError
        If runs have objectives in different units, equal names, or the fleet names a run that is not there.
    """
    names = [s.name for s in scenarios]
    units = {"s" if least_of(s) == "time" else "USD" for s in scenarios}
    if len(units) != 1:
        raise PlannerError(say("fleets.objectives_differ"))
    if any(s.money.hours for s in scenarios) and len({s.money for s in scenarios}) > 1:
        raise PlannerError(say("fleets.units_differ"))
    if len(set(names)) != len(names):
        raise PlannerError(say("fleets.names_equal"))
    for name in (*fleet.priorities, *fleet.times_s):
        if name not in names:
            raise PlannerError(say("fleets.no_such_run", name=name, names=names))
    columns = [_columns(s, fleet, catalog, calibration, offers) for s in scenarios]
    weights = [fleet.priorities.get(name, 1.0) for name in names]
    picked = _choose(columns, weights, fleet)
    common = {
        "unit": units.pop(),
        "basis": say("fleets.basis"),
        "provenance": tuple(provenance_of(c.state.space) for c in columns),
    }
    if picked is None:
        return FleetAnswer(
            status="infeasible",
            reason=_reason(names, columns, weights, fleet),
            objective=None,
            runs=tuple(FleetRun(n, w, None, None) for n, w in zip(names, weights, strict=True)),
            shared=(),
            cost_usd_p50=None,
            p_within_cost_together=None,
            p_within_cost_independent=None,
            **common,  # type: ignore[arg-type]
        )
    picks = _picks(columns, picked, fleet)
    runs = tuple(
        FleetRun(n, w, c.view(i).value_of(pick), make_plan(c.state, pick, c.offer(i)))
        for n, w, c, i, pick in zip(names, weights, columns, picked, picks, strict=True)
    )
    together, independent = _chances(columns, picked, picks, fleet)
    return FleetAnswer(
        status="optimal",
        reason="",
        objective=_total(columns, weights, picked),
        runs=runs,
        shared=_shared(columns, weights, picked, fleet),
        cost_usd_p50=sum(run.plan.cost_usd.p50 for run in runs if run.plan is not None),
        p_within_cost_together=together,
        p_within_cost_independent=independent,
        **common,  # type: ignore[arg-type]
    )


def quota_key(offer: Offer, quotas: Sequence[Quota]) -> tuple[int, ...]:
    """Which of the quotas an offer counts against."""
    return tuple(i for i, quota in enumerate(quotas) if covers(quota.key, offer))


def _columns(
    scenario: Scenario,
    fleet: Fleet,
    catalog: Catalog,
    calibration: Calibration,
    offers: Sequence[Offer] | None,
) -> _Columns:
    """Every plan of a run that no other under the same quotas beats in objective, sure cost and GPUs."""
    time_s = fleet.times_s.get(scenario.name, scenario.budget.time_s)
    scenario = replace(scenario, budget=replace(scenario.budget, time_s=time_s))
    state = build(scenario, catalog, calibration, offers)
    goal = scenario_goal(state.space.scenario)
    keys = [quota_key(offer, fleet.quotas) for offer in state.space.offers]
    cells, chosen = [], []
    for key in sorted(set(keys)):
        mask = np.array([k == key for k in keys], dtype=bool)
        within = replace(goal, offers=mask)
        sure = replace(aiming_at(within, per_usd=1.0), at=fleet.confidence)
        view = View(state, within)
        found = undominated_cells((view, View(state, sure)), gpus=True)
        cells.append(found)
        chosen.append(view.offer[found])
    every = np.concatenate([*cells, np.zeros(0, dtype=np.int64)])
    sold = np.concatenate([*chosen, np.zeros(0, dtype=np.int64)])
    rates, seconds = state.space.rates(sold, every), state.best.seconds[every]
    median, cost = state.time_s(0.5, seconds, every), state.cost_usd(0.5, rates, seconds, every)
    value = goal.per_second * (median + state.space.waiting_s[every]) + goal.per_usd * cost
    order = np.lexsort((sold, state.space.paid_gpus[every], value))
    return _Columns(
        state,
        goal,
        every[order],
        sold[order],
        value[order],
        state.cost_usd(fleet.confidence, rates, seconds, every)[order],
        state.space.paid_gpus[every][order].astype(np.float64),
    )


def _limits(columns: Sequence[_Columns], fleet: Fleet) -> list[SharedLimit]:
    limits = []
    for i, quota in enumerate(fleet.quotas):
        amounts = tuple(
            np.array(
                [
                    g if i in quota_key(c.state.space.offers[o], fleet.quotas) else 0.0
                    for g, o in zip(c.gpus, c.offers, strict=True)
                ]
            )
            for c in columns
        )
        limits.append(SharedLimit(f"fleet.quotas[{i}]", float(quota.gpus), amounts))
    if fleet.cost_usd is not None:
        limits.append(SharedLimit("fleet.cost", fleet.cost_usd, tuple(c.sure_usd for c in columns)))
    return limits


def _choose(columns: Sequence[_Columns], weights: Sequence[float], fleet: Fleet) -> list[int] | None:
    return choose([w * c.value for w, c in zip(weights, columns, strict=True)], _limits(columns, fleet))


def _total(columns: Sequence[_Columns], weights: Sequence[float], picked: Sequence[int]) -> float:
    return float(sum(w * c.value[i] for w, c, i in zip(weights, columns, picked, strict=True)))


def _shared(
    columns: Sequence[_Columns], weights: Sequence[float], picked: list[int], fleet: Fleet
) -> tuple[SharedUse, ...]:
    """Use and shadow price of each shared limit; a quota grows by a node of eight, the budget by one per cent."""
    now = _total(columns, weights, picked)
    out = []
    for limit in _limits(columns, fleet):
        used = float(sum(a[i] for a, i in zip(limit.amounts, picked, strict=True)))
        if limit.name == "fleet.cost":
            more = limit.limit * 0.01
            wider = replace(fleet, cost_usd=limit.limit + more)
            amount = say("fleets.more_cost", cost=more)
        else:
            more = 8.0
            quotas = tuple(
                replace(q, gpus=q.gpus + 8) if f"fleet.quotas[{i}]" == limit.name else q
                for i, q in enumerate(fleet.quotas)
            )
            wider = replace(fleet, quotas=quotas)
            amount = say("fleets.more_gpus", gpus=8)
        again = _choose(columns, weights, wider)
        saves = None if again is None else now - _total(columns, weights, again)
        text = say("fleets.gain" if saves else "fleets.no_gain", more=amount, of=limit.name, saves=saves)
        out.append(SharedUse(limit.name, limit.limit, used, more, saves, text))
    return tuple(out)


def _reason(names: Sequence[str], columns: Sequence[_Columns], weights: Sequence[float], fleet: Fleet) -> Sentence:
    for name, c in zip(names, columns, strict=True):
        if not len(c.cells):
            return say("fleets.of_run", run=name, reason=reason_of(c.state, c.goal))
    if _choose(columns, weights, replace(fleet, cost_usd=None)) is not None and fleet.cost_usd is not None:
        return say("fleets.cost_more", cost=fleet.cost_usd)
    for i, quota in enumerate(fleet.quotas):
        others = tuple(replace(q, gpus=10**9) if q is quota else q for q in fleet.quotas)
        if _choose(columns, weights, replace(fleet, quotas=others)) is not None:
            return say("fleets.need_more", gpus=quota.gpus, of=f"fleet.quotas[{i}]")
    return say("fleets.neither")


def _picks(columns: Sequence[_Columns], picked: Sequence[int], fleet: Fleet) -> list[Pick]:
    """What each run does on its machines: the simplest that it may, or the fastest where that passes what is shared."""
    simple = [plain(c.view(i), int(c.cells[i])) for c, i in zip(columns, picked, strict=True)]
    if fleet.cost_usd is not None:
        sure = [_cost(c, i, p).quantile(fleet.confidence) for c, i, p in zip(columns, picked, simple, strict=True)]
        if sum(sure) > fleet.cost_usd:
            return [c.state.best.pick(int(c.cells[i])) for c, i in zip(columns, picked, strict=True)]
    return simple


def _chances(
    columns: Sequence[_Columns], picked: Sequence[int], picks: Sequence[Pick], fleet: Fleet
) -> tuple[float | None, float | None]:
    """Probability that the sum of costs keeps the budget: costs moving together, and independent ones, drawn."""
    if fleet.cost_usd is None:
        return None, None
    costs = [_cost(c, i, pick) for c, i, pick in zip(columns, picked, picks, strict=True)]
    drawn = np.sum([cost.draw(DRAWS, SEED + n) for n, cost in enumerate(costs)], axis=0)
    return _together(costs, fleet.cost_usd), float(np.mean(drawn <= fleet.cost_usd))


def _cost(columns: _Columns, at: int, pick: Pick) -> PlanCost:
    state, cell = columns.state, pick.cell
    runs = state.completion_model.completion(np.array([pick.seconds]), np.array([cell]))
    return plan_cost(state.space.costs, runs, cell, columns.offer(at), int(state.space.paid_gpus[cell]))


def _together(costs: Sequence[PlanCost], usd: float) -> float:
    """P(sum <= usd) where all costs are at the same quantile: the highest quantile whose sum is within, by halving."""
    low, high = 0.0, 1.0
    for _ in range(30):
        middle = 0.5 * (low + high)
        kept = sum(cost.quantile(middle) for cost in costs) <= usd
        low, high = (middle, high) if kept else (low, middle)
    return high
