"""`explain`: what binds, what a little more is worth, how wrong a prediction may be, why a named alternative loses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from planner.catalog import Catalog
from planner.money import in_its_money, writing
from planner.performance.calibration import Calibration
from planner.results.plan import Plan
from planner.search.binding import bindings
from planner.search.building import build, build_like
from planner.search.completion_model import DECILE
from planner.search.explanation import Explanation, Near, Tolerance, Worth
from planner.search.infeasible import what_would_do
from planner.search.most_training import Build, Most, ends_at, most_training, wants_most
from planner.search.objectives import Goal, View, find
from planner.search.optimum import provenance_of, scenario_goal, simplest_alike, solve, stated_goal
from planner.search.plans import make_plan
from planner.search.search_state import SearchState
from planner.search.simplicity import plain
from planner.search.whatif import best_value, break_even_speed
from planner.search.whynot import parse, pinned
from planner.search.whynot import why_not as answer_why_not
from planner.spec.hardware import Offer
from planner.spec.scenario import Cluster, Scenario
from planner.words import say

DAY_S = 86400.0
MORE_USD = 1000.0  # of the unit that amounts are written in


@in_its_money
def explain(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    *,
    why_not: Sequence[str] = (),
    offers: Sequence[Offer] | None = None,
) -> Explanation:
    """Why the plan of a scenario is what it is.

    Parameters
    ----------
    why_not : alternatives to account for, each as "key=value,..." (`planner.search.whynot.KEYS`)
    offers : plan with these instead of the catalog's eligible ones

    Raises
    ------
    PlannerError
        If `why_not` names what is no key, or no value of it.
    """
    for text in why_not:
        pinned(scenario, parse(text))  # what makes no sense is said before anything is searched
    if wants_most(scenario):
        return _with_most(scenario, catalog, calibration, why_not=why_not, offers=offers)
    state = build(scenario, catalog, calibration, offers)
    view, best, certificate = solve(state)
    pick = None if best is None else plain(view, best)
    offer = None if pick is None else state.space.offers[int(view.offer[pick.cell])]
    plan = None if pick is None or offer is None else make_plan(state, pick, offer)
    simple = None if pick is None else simplest_alike(view, pick)
    return Explanation(
        status="infeasible" if plan is None else "optimal",
        plan=plan,
        unit=certificate.unit,
        binding=() if plan is None or pick is None else bindings(state, view, pick, plan),
        worth=tuple(worth_of(state, view.goal)),
        tolerances=() if plan is None else tuple(tolerances(state, view.goal, plan)),
        near=() if best is None else tuple(near(state, view, best)),
        simplest=None if simple is None or offer is None else make_plan(state, simple, offer),
        why_not=tuple(answer_why_not(state, text, certificate.best) for text in why_not),
        infeasibility=what_would_do(state) if plan is None else None,
        certificate=certificate,
        provenance=provenance_of(state.space),
        goal=stated_goal(scenario),
    )


def _with_most(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    *,
    why_not: Sequence[str],
    offers: Sequence[Offer] | None,
) -> Explanation:
    """As `explain`, of the most training that fits: what ends it, and how much more of it a little more buys."""

    def of(other: Scenario) -> SearchState:
        return build(other, catalog, calibration, offers)

    found = most_training(scenario, of)
    explanation = explain(found.scenario, catalog, calibration, why_not=why_not, offers=offers)
    if explanation.plan is None:
        return replace(explanation, goal=stated_goal(scenario))
    return replace(
        explanation,
        binding=(*ends_at(found, of), *(each for each in explanation.binding if not each.key.startswith("budget."))),
        worth=() if found.capped else tuple(_worth_of_most(scenario, found, of, explanation.plan)),
        tolerances=explanation.tolerances
        if found.capped
        else (),  # with all that fits, none is slower and keeps the budgets
        goal=stated_goal(scenario),
    )


def _worth_of_most(scenario: Scenario, found: Most, of: Build, plan: Plan) -> Iterator[Worth]:
    """As `worth_of`: how much more training each would be."""
    for key, more, wider in _wider(scenario, plan.offer.gpus_per_node or 8):
        samples = most_training(wider, of).samples - found.samples
        epochs = found.scenario.training.epochs or 0.0
        kind = scenario.objective.kind
        change = epochs * samples / found.samples if kind == "epochs" else float(samples * scenario.seq_length)
        code = f"explaining.trains_{kind}" if samples > 0 else "explaining.nothing"
        yield Worth(key, more, -change, say(code, more=more, key=key, change=change), None)


def _wider(scenario: Scenario, size: int) -> Iterator[tuple[str, str, Scenario]]:
    """A little more of each limit: its key, how much more, and the scenario with it; `size` GPUs are a node."""
    budget, cluster = scenario.budget, scenario.cluster
    if budget.time_s is not None:
        yield "budget.time", say("explaining.more_time", time=DAY_S), scenario.with_time(budget.time_s + DAY_S)
    if budget.cost_usd is not None:
        some = say("explaining.more_cost", cost=MORE_USD)
        yield "budget.cost", some, scenario.with_budget(cost_usd=budget.cost_usd + MORE_USD)
    yield from _larger(scenario, cluster, size)


def _larger(scenario: Scenario, cluster: Cluster, size: int) -> Iterator[tuple[str, str, Scenario]]:
    more = say("explaining.more_gpus", gpus=size)
    yield "cluster.max_gpus", more, replace(scenario, cluster=replace(cluster, max_gpus=cluster.max_gpus + size))
    for i, quota in enumerate(cluster.quotas):
        quotas = tuple(replace(q, gpus=q.gpus + size) if q is quota else q for q in cluster.quotas)
        yield f"cluster.quotas[{i}]", more, replace(scenario, cluster=replace(cluster, quotas=quotas))


def worth_of(state: SearchState, goal: Goal) -> list[Worth]:
    """One more day, 1,000 USD, one more node of GPUs, and of each quota: each solved again."""
    scenario = state.space.scenario
    before = View(state, goal)
    now = find(before)
    out = []
    if goal.time_s is not None:
        more = replace(goal, time_s=goal.time_s + DAY_S)
        out.append(_worth("budget.time", say("explaining.more_time", time=DAY_S), before, now, View(state, more)))
    if goal.cost_usd is not None:
        some = MORE_USD * writing().usd
        more = replace(goal, cost_usd=goal.cost_usd + some)
        out.append(_worth("budget.cost", say("explaining.more_cost", cost=some), before, now, View(state, more)))
    size = 8 if now is None else state.space.pools[int(state.space.pool[now])].setting.hardware.gpus_per_node
    for key, text, wider in _larger(scenario, scenario.cluster, size):
        out.append(_worth(key, text, before, now, View(build_like(state, wider), scenario_goal(wider))))
    return out


def _worth(key: str, more: str, before: View, now: int | None, after: View) -> Worth:
    cell, of = find(after), {"more": more, "key": key}
    if cell is None:
        return Worth(key, more, None, say("explaining.no_plan", **of), None)
    plan = _plan(after.state, after, cell)
    if now is None:
        return Worth(key, more, None, say("explaining.feasible", **of, plan=_short(plan)), plan)
    change = after.value_at(cell) - before.value_at(now)
    if change == 0.0:
        return Worth(key, more, 0.0, say("explaining.nothing", **of), None)
    saved = _amount(before, abs(change))
    return Worth(key, more, change, say("explaining.saves", **of, saved=saved, plan=_short(plan)), plan)


def tolerances(state: SearchState, goal: Goal, plan: Plan) -> list[Tolerance]:
    """How much slower the plan's GPU may be before another is chosen, and before no plan is left."""
    gpu = plan.offer.gpu
    same = np.array([o.gpu == gpu for o in state.space.offers], dtype=bool)
    out = []
    own, others = replace(goal, offers=same), replace(goal, offers=~same)
    rival = View(state, others)
    cell = find(rival)
    if cell is not None:
        target, value = rival.value_at(cell), best_value(state, own)
        near_ = 1.0 if value is None else min(max(value / target, 0.02), 50.0)
        factor = break_even_speed(state, own, target, near_)
        if factor is not None:
            other = state.space.offers[int(rival.offer[cell])].gpu
            text = say("explaining.other_chosen", gpu=gpu, factor=factor, other=other)
            out.append(Tolerance(gpu, factor, text))
    last = _slowest_feasible(state, own)
    if last is not None:
        out.append(Tolerance(gpu, last, say("explaining.none_keeps", gpu=gpu, factor=last)))
    return out


def _slowest_feasible(state: SearchState, goal: Goal) -> float | None:
    """The least factor on throughput with which some plan keeps the budgets, to 0.1 %; None without budgets."""
    if goal.time_s is None and goal.cost_usd is None:
        return None
    low, high = 0.05, 1.0
    if best_value(state, replace(goal, speed=low)) is not None:
        return None
    while high - low > 1e-3:
        middle = (low + high) / 2
        if best_value(state, replace(goal, speed=middle)) is None:
            low = middle
        else:
            high = middle
    return high


def near(state: SearchState, view: View, best: int) -> list[Near]:
    """The best plan of each other cloud and GPU whose objective is within the best's 80 % interval."""
    ratio = float(np.exp(DECILE * state.completion_model.log_high[best]))
    value = view.value_at(best)
    chosen = state.space.offers[int(view.offer[best])]
    kinds = sorted({(o.cloud, o.gpu) for o in state.space.offers} - {(chosen.cloud, chosen.gpu)})
    out = []
    for kind in kinds:
        mask = np.array([(o.cloud, o.gpu) == kind for o in state.space.offers], dtype=bool)
        other = View(state, replace(view.goal, offers=mask))
        cell = find(other)
        if cell is not None and other.value_at(cell) <= value * ratio:
            out.append(Near(other.value_at(cell) - value, _plan(state, other, cell)))
    return sorted(out, key=lambda n: n.objective_change)


def _plan(state: SearchState, view: View, cell: int) -> Plan:
    return make_plan(state, plain(view, cell), state.space.offers[int(view.offer[cell])])


def _short(plan: Plan) -> str:
    offer, time, cost = plan.offer, plan.time_s.p50, plan.cost_usd.p50
    machines = {"gpus": plan.gpus, "gpu": offer.gpu, "cloud": offer.cloud, "pricing": offer.price_kind}
    return say("explaining.plan", **machines, time=time, cost=cost)


def _amount(view: View, value: float) -> str:
    if view.goal.per_usd:
        return say("explaining.amount_cost", value=value)
    return say("explaining.amount_time" if value >= 60 else "explaining.amount_s", value=value)
