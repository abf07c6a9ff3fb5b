"""`optimize`: the best plan of a scenario with its proof, what binds, and what else a person might prefer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from planner.catalog import Catalog
from planner.money import USD, in_its_money
from planner.performance.calibration import Calibration
from planner.results.answers import Alternative, Certificate, Default, GivenUp, Optimization, Provenance, StatedGoal
from planner.scenario.request import asked_values
from planner.search.binding import bindings, warnings_of
from planner.search.building import build, build_like
from planner.search.candidates import Found, Pick, complexity, first_of_each
from planner.search.completion_model import DECILE
from planner.search.conditions import conditions_taken
from planner.search.infeasible import what_would_do
from planner.search.joint_choice import choose, undominated
from planner.search.most_training import ends_at, most_training, wants_most
from planner.search.objectives import Goal, View, aiming_at, find, objective_goal, order_keys
from planner.search.plans import make_plan
from planner.search.pruning import MEMORY, MORE_EXPENSIVE, Tally
from planner.search.search_space import SearchSpace
from planner.search.search_state import SearchState
from planner.search.simplicity import plain, simplest
from planner.search.space_statement import space_of
from planner.spec.hardware import Offer
from planner.spec.programme import Programme
from planner.spec.scenario import Scenario
from planner.units import PlannerError
from planner.words import Sentence, say
from planner.workload.counts import parameter_counts
from planner.workload.learning import starts_from

Answer = tuple[int, Pick]  # index of an offer, candidate


@in_its_money
def optimize(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    *,
    exhaustive: bool = False,
    offers: Sequence[Offer] | None = None,
) -> Optimization:
    """The best plan of a scenario, or what would have to give.

    Parameters
    ----------
    exhaustive : evaluate every candidate instead of ruling out by proved bounds; the answer is the same
    offers : plan with these instead of the catalog's eligible ones

    Raises
    ------
    PlannerError
        If the scenario has no budget (own machines alone need none), allows no batch, or names what the catalog does
        not have.
    """
    _check(scenario)
    if wants_most(scenario):
        return _with_most(scenario, catalog, calibration, exhaustive=exhaustive, offers=offers)
    return _answer(build(scenario, catalog, calibration, offers), exhaustive=exhaustive)


@in_its_money
def optimize_near(
    scenario: Scenario, catalog: Catalog, calibration: Calibration, like: SearchState | None = None
) -> tuple[Optimization, SearchState | None]:
    """The answer of `optimize` without alternatives, bindings and changes: the plan, or why there is none.

    Parameters
    ----------
    like : the second part of an earlier answer on the same catalog and calibration: what it learnt is not searched anew

    Raises
    ------
    PlannerError
        As `optimize` does.
    """
    _check(scenario)
    if wants_most(scenario):
        return _with_most(scenario, catalog, calibration, exhaustive=False, offers=None), like
    state = build(scenario, catalog, calibration) if like is None else build_like(like, scenario)
    return _answer(state, advice=False), state


def _check(scenario: Scenario) -> None:
    budget = scenario.budget
    if budget.time_s is None and budget.cost_usd is None and not scenario.cluster.own_only:
        raise PlannerError(say("optimum.no_budget_own" if scenario.cluster.own else "optimum.no_budget"))


def _answer(state: SearchState, *, exhaustive: bool = False, advice: bool = True) -> Optimization:
    """The answer of a search; with `advice`, what else a person might do."""
    view, best, certificate = solve(state, exhaustive=exhaustive)
    common = {
        "certificate": certificate,
        "defaults": defaults_of(state.space),
        "provenance": provenance_of(state.space),
        "goal": stated_goal(state.space.scenario),
    }
    if best is None:
        return Optimization(
            status="infeasible",
            plan=None,
            alternatives=(),
            binding=(),
            infeasibility=what_would_do(state, advice=advice),
            warnings=warnings_of(state.space, None),
            **common,  # type: ignore[arg-type]
        )
    offer = state.space.offers[int(view.offer[best])]
    pick = plain(view, best)
    plan = replace(make_plan(state, pick, offer), objective_value=view.value_of(pick))
    return Optimization(
        status="optimal",
        plan=plan,
        given_up=given_up(view, best, pick, certificate) if advice else None,
        alternatives=alternatives(state, view, best, pick) if advice else (),
        binding=bindings(state, view, pick, plan) if advice else (),
        infeasibility=None,
        warnings=warnings_of(state.space, plan),
        **common,  # type: ignore[arg-type]
    )


def _with_most(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    *,
    exhaustive: bool,
    offers: Sequence[Offer] | None,
) -> Optimization:
    """The plan of the most training that fits, the cheapest of those that get through it."""

    def of(other: Scenario) -> SearchState:
        return build(other, catalog, calibration, offers)

    found = most_training(scenario, of)
    answer = optimize(found.scenario, catalog, calibration, exhaustive=exhaustive, offers=offers)
    answer = replace(answer, goal=stated_goal(scenario))
    if answer.plan is None:
        return answer
    kind = scenario.objective.kind
    value = float(answer.plan.epochs or 0.0) if kind == "epochs" else float(found.samples * scenario.seq_length)
    statement = say("optimum.most", why=found.why, statement=answer.certificate.statement)
    return replace(
        answer,
        plan=replace(answer.plan, objective_value=value),
        certificate=replace(answer.certificate, best=value, bound=value, unit=kind, statement=statement),
        binding=(*ends_at(found, of), *(b for b in answer.binding if not b.key.startswith("budget."))),
    )


def given_up(view: View, best: int, pick: Pick, certificate: Certificate) -> GivenUp | None:
    """What the plan gives up for a layout that is simpler than the optimum's; None where it gives up nothing."""
    optimum, least = view.state.best.pick(best), certificate.best
    if pick == optimum or least is None:
        return None
    amount = view.value_of(pick) - least
    plan = make_plan(view.state, optimum, view.state.space.offers[int(view.offer[best])])
    share = amount / least if least else 0.0
    return GivenUp(
        amount, certificate.unit, share, plan.layout, plan.global_batch, plan.recompute_share, plan.shard_group
    )


def solve(state: SearchState, *, exhaustive: bool = False) -> tuple[View, int | None, Certificate]:
    """The best cell of a search (None: infeasible), the numbers it was judged by, and the proof."""
    tally = Tally.of(len(state.space))
    if exhaustive:
        evaluate_everything(state, tally)
    view = View(state, scenario_goal(state.space.scenario))
    best = find(view, tally)
    if best is not None:
        best = chosen(view, best)
    return view, best, certify(state, view, tally, best)


def scenario_goal(scenario: Scenario) -> Goal:
    """What the scenario asks for."""
    return objective_goal(scenario.objective, scenario.budget)


def unit_of(scenario: Scenario) -> str:
    """What the objective is in: s or USD."""
    return "s" if scenario.objective.kind == "time" else "USD"


def evaluate_everything(state: SearchState, tally: Tally) -> None:
    """Every candidate of every cell, without a bound: afterwards each cell's best is exact."""
    for cell in range(len(state.space)):
        layouts = state.layout_space(int(state.space.pool[cell]))
        best: Found | None = None
        count = 0
        for found in layouts.everything(int(state.space.gpus[cell])):
            count += len(found.row)
            known = found if best is None else Found.join([best, found.take(found.seconds <= best.seconds.min())])
            best = known.take(first_of_each(known, layouts.table)) if len(known.row) else best
        tally.evaluated[cell] = count
        tally.pruned[MEMORY][cell] = int(state.candidates[cell]) - count
        if best is not None:
            state.keep(np.array([cell]), best, np.array([np.inf]))
        state.bound_s[cell] = state.best.seconds[cell]
        state.exact[cell] = True


def chosen(view: View, best: int) -> int:
    """The cell that the MILP picks among all exact ones that keep the budgets and are not dominated."""
    state = view.state
    cells = np.flatnonzero(state.exact & view.allowed)
    cells = cells[view.feasible(cells)]
    cells = cells[np.lexsort(order_keys(view, cells)[::-1])]
    time = state.time_s(0.5, state.best.seconds[cells], cells)
    cost = view.cost(0.5, state.best.seconds[cells], cells)
    offers = [state.space.offers[int(view.offer[c])] for c in cells]
    keys = [(offer.cloud, offer.region, offer.gpu, offer.pricing) for offer in offers]
    cells = cells[
        undominated(
            (view.value(state.best.seconds[cells], cells), time, cost, state.space.gpus[cells].astype(np.float64)), keys
        )
    ]
    picked = choose([view.value(state.best.seconds[cells], cells)])
    if picked is None or int(cells[picked[0]]) != best:
        raise AssertionError("the search and the MILP disagree on the best plan")
    return best


def certify(state: SearchState, view: View, tally: Tally, best: int | None) -> Certificate:
    """Candidates by what became of them, over all offers, and the bound that proves the best."""
    sellers = state.space.sellers
    space = int((state.candidates * sellers).sum())
    once = np.minimum(sellers, 1)
    pruned = {rule: int((values * once).sum()) for rule, values in tally.pruned.items()}
    pruned[MORE_EXPENSIVE] = int((state.candidates * np.maximum(sellers - 1, 0)).sum())
    value = None if best is None else float(view.value(state.best.seconds[[best]], np.array([best]))[0])
    return Certificate(
        space=space,
        evaluated=int((tally.evaluated * once).sum()),
        pruned={say(rule): count for rule, count in pruned.items() if count},
        best=value,
        bound=value,
        gap=None if value is None else 0.0,
        unit=unit_of(state.space.scenario),
        statement=space_of(state.space),
    )


def alternatives(state: SearchState, view: View, best: int, pick: Pick) -> tuple[Alternative, ...]:
    """Other plans within the budgets that a person might prefer: each differs from the best and from each other."""
    goal, main = view.goal, state.space.offers[int(view.offer[best])]
    other_cloud = np.array([o.cloud != main.cloud for o in state.space.offers], dtype=bool)
    other_gpu = np.array([o.gpu != main.gpu for o in state.space.offers], dtype=bool)
    wanted: list[tuple[Sentence, Goal]] = [
        (say("optimum.cheapest"), aiming_at(goal, per_usd=1.0)),
        (say("optimum.fastest"), aiming_at(goal, per_second=1.0)),
        (say("optimum.fewest_gpus"), aiming_at(goal, per_gpu=1.0)),
        (say("optimum.other_cloud"), replace(goal, offers=other_cloud)),
        (say("optimum.other_gpu"), replace(goal, offers=other_gpu)),
    ]
    found: dict[Answer, list[Sentence]] = {}
    for why, each in wanted:
        other = View(state, each)
        cell = find(other)
        if cell is not None and (int(other.offer[cell]), cell) != (int(view.offer[best]), best):
            found.setdefault((int(other.offer[cell]), plain(other, cell)), []).append(why)
    simple = simplest_alike(view, pick)
    if simple is not None:
        found.setdefault((int(view.offer[best]), simple), []).append(say("optimum.simplest"))
    return tuple(
        Alternative(say("optimum.several", why=why), make_plan(state, pick, state.space.offers[offer]))
        for (offer, pick), why in found.items()
    )


def simplest_alike(view: View, pick: Pick) -> Pick | None:
    """The simplest run on the plan's machines within the optimum's 80 % interval, where it is simpler than the plan."""
    state = view.state
    parts = complexity_of(state, pick)
    if not parts:
        return None
    spread = float(np.expm1(DECILE * state.completion_model.log_high[pick.cell]))
    found = simplest(view, state.best.pick(pick.cell), spread)
    return found if complexity_of(state, found) < parts else None


def complexity_of(state: SearchState, pick: Pick) -> int:
    """How far a pick is from plain data parallelism."""
    return int(complexity(state.layout_space(int(state.space.pool[pick.cell])).table, np.array([pick.row]))[0])


def stated_goal(given: Scenario | Programme) -> StatedGoal:
    """Objective and budgets, to be printed beside the answer."""
    budget, objective = given.budget, given.objective
    return StatedGoal(
        objective=objective.kind,
        usd_per_day=objective.usd_per_day if objective.kind == "usd_per_day" else None,
        time_s=budget.time_s,
        cost_usd=budget.cost_usd,
        confidence=budget.confidence,
        start=budget.start,
        cost_stated=not given.cost_left_out,
    )


def defaults_of(space: SearchSpace) -> tuple[Default, ...]:
    """The defaults that were used, with what the search made of them."""
    out = []
    for key, value in space.scenario.defaults:
        out.append(Default(key, space.batch_text if key == "training.global_batch" and space.batch_text else value))
    settings = [pool.setting for pool in space.pools]
    taken = conditions_taken(space.scenario, settings, space.facts)
    out += [Default(key, value) for key, value in taken]
    if starts_as_checkpoint(space):
        out.append(Default("training.starts_from", say("optimum.starts_from_checkpoint")))
    order = [default.key.split(".")[0] for default in out]
    return tuple(sorted(out, key=lambda default: order.index(default.key.split(".")[0])))


def starts_as_checkpoint(space: SearchSpace) -> bool:
    """Whether a run that does not say so is taken to go on from a checkpoint."""
    length = space.run.length
    if space.scenario.training.starts_from or not length.total_samples or not space.pools:
        return False
    active = parameter_counts(space.pools[0].setting.model).active
    return starts_from("", active, length.total_samples * length.seq_length) == "checkpoint"


def provenance_of(space: SearchSpace) -> Provenance:
    """What the answer was made from."""
    from planner import __version__

    scenario = space.scenario
    return Provenance(
        planner=__version__,
        scenario=scenario.name,
        scenario_digest=scenario.digest,
        catalog_digest=space.catalog.digest,
        calibration_digest=space.calibration.digest,
        offers=len(space.offers),
        offers_left_out=space.left_out,
        asked=asked_values(scenario),
        money=None if scenario.money == USD else scenario.money,
    )
