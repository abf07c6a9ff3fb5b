"""Why nothing does, what the least time and cost are, and the plans that miss the budgets least."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

from planner.catalog import is_gpu, supports
from planner.performance.framework_table import frameworks, frameworks_for
from planner.performance.frameworks import why_no_layout
from planner.results.answers import Alternative, Infeasible
from planner.scenario.sections import PRECISIONS
from planner.search.memory_relaxations import lacking
from planner.search.objectives import Goal, View, aiming_at, budget_goal, find
from planner.search.plans import make_plan
from planner.search.pools import no_units, unfit_reasons
from planner.search.relaxations import relaxations
from planner.search.search_space import SearchSpace
from planner.search.search_state import SearchState
from planner.search.shortfalls import least_factor, least_sum, needs_of
from planner.words import say


def what_would_do(state: SearchState, *, advice: bool = True) -> Infeasible:
    """The ends of what there is, and with `advice` single changes of the scenario that make it feasible."""
    budget = state.space.scenario.budget
    base = Goal(confidence=budget.confidence, at=budget.confidence)
    fastest, cheapest = View(state, replace(base, per_second=1.0)), View(state, replace(base, per_usd=1.0))
    quick, cheap = find(fastest), find(cheapest)
    least_time = None if quick is None else fastest.value_at(quick)
    least_cost = None if cheap is None else cheapest.value_at(cheap)
    return Infeasible(
        reason=_reason(state, budget_goal(state.space.scenario.budget), least_time, least_cost),
        least_time_s=least_time,
        least_cost_usd=least_cost,
        fastest=None
        if quick is None
        else make_plan(state, state.best.pick(quick), state.space.offers[int(fastest.offer[quick])]),
        cheapest=None
        if cheap is None
        else make_plan(state, state.best.pick(cheap), state.space.offers[int(cheapest.offer[cheap])]),
        changes=tuple(relaxations(state)) if advice else (),
        between=_between(state, {quick, cheap}) if advice else (),
    )


def reason_of(state: SearchState, goal: Goal) -> str:
    """Why no plan keeps a goal's budgets, in a sentence."""
    ends = []
    for wanted in ({"per_second": 1.0}, {"per_usd": 1.0}):
        view = View(state, aiming_at(replace(goal, time_s=None, cost_usd=None, at=goal.confidence), **wanted))
        cell = find(view)
        ends.append(None if cell is None else view.value_at(cell))
    return _reason(state, goal, *ends)


def _reason(state: SearchState, goal: Goal, least_time: float | None, least_cost: float | None) -> str:
    if not state.space.offers:
        return _no_offer(state.space)
    if not state.candidates.any():
        lacks = {why_no_layout(pool.setting.framework, pool.setting.model) for pool in state.space.pools}
        if lacks and "" not in lacks:
            return say("infeasible.lacks_all", lacks=sorted(lacks))
        return say("infeasible.no_layout")
    if least_time is None or least_cost is None:
        free, lacks_most = state.space.scenario.layout.memory_headroom, lacking(state, View(state, goal).allowed)
        return say("infeasible.memory_lacking" if lacks_most else "infeasible.memory", free=free, lacking=lacks_most)
    if goal.time_s is not None and least_time > goal.time_s:
        return say("infeasible.time", limit=goal.time_s, confidence=goal.confidence, least=least_time)
    if goal.cost_usd is not None and least_cost > goal.cost_usd:
        return say("infeasible.cost", limit=goal.cost_usd, confidence=goal.confidence, least=least_cost)
    return say("infeasible.both")


def _no_offer(space: SearchSpace) -> str:
    """That there is nothing to plan with, and what the offers lack that `cluster` asks for."""
    lacks = {reason: space.left_out[reason] for reason in unfit_reasons(space.scenario) if reason in space.left_out}
    if not lacks:
        return say("infeasible.no_offer")
    lacking = [say("infeasible.lacks", reason=reason, offers=n) for reason, n in lacks.items()]
    if no_units(space.scenario.training.precision) not in lacks:
        return say("infeasible.unfit", lacks=lacking)
    framework = space.scenario.training.framework
    cluster = space.scenario.cluster
    named = [space.catalog.accelerator(name) for name in (*cluster.gpus, *(own.gpu for own in cluster.own))]
    known = {p for name in frameworks_for(framework) for p in frameworks()[name].precisions}
    instead = [p for p in PRECISIONS if p in known and any(is_gpu(part) and supports(part, p) for part in named)]
    if not instead:
        return say("infeasible.unfit_precision", lacks=lacking)
    set_to = reduce(lambda some, other: say("infeasible.or", some=some, other=other), instead)
    return say("infeasible.unfit_precision_set", lacks=lacking, precision=set_to)


def _between(state: SearchState, ends: set[int | None]) -> tuple[Alternative, ...]:
    """The plans that miss two budgets least, fastest first: one alone, both by one factor or in sum; not `ends`."""
    budget = state.space.scenario.budget
    if budget.time_s is None or budget.cost_usd is None:
        return ()
    within_time = View(
        state, budget_goal(state.space.scenario.budget, cost_usd=None, per_usd=1.0, at=budget.confidence)
    )
    within_cost = View(
        state, budget_goal(state.space.scenario.budget, time_s=None, per_second=1.0, at=budget.confidence)
    )
    candidates = [(view, cell) for view in (within_time, within_cost) if (cell := find(view)) is not None]
    factor = least_factor(state)
    candidates += [] if factor is None else [factor[1:]]
    in_sum = least_sum(state)
    candidates += [] if in_sum is None else [in_sum]
    out = []
    seen = set(ends)
    for view, cell in candidates:
        if cell in seen:
            continue
        seen.add(cell)
        time, cost = needs_of(state, view, cell)
        shares = say("infeasible.shares", time=time / budget.time_s, cost=cost / budget.cost_usd)
        plan = make_plan(state, state.best.pick(cell), state.space.offers[int(view.offer[cell])])
        out.append(Alternative(shares, plan))
    return tuple(sorted(out, key=lambda other: other.plan.time_s.p50))
