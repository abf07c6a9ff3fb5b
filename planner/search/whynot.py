"""Why a named alternative is not the plan: the constraint that rules it out, or the amount by which it loses."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from planner.performance.arrays import BoolArray
from planner.results.plan import Plan
from planner.search.building import build_like
from planner.search.explanation import WhyNot
from planner.search.objectives import Goal, View, aiming_at, find
from planner.search.optimum import scenario_goal
from planner.search.plans import make_plan
from planner.search.search_space import SearchSpace
from planner.search.search_state import SearchState
from planner.search.simplicity import plain
from planner.spec.hardware import Offer
from planner.spec.layout import RECOMPUTE
from planner.spec.scenario import IntChoice, Scenario
from planner.units import PlannerError
from planner.words import say

OF_OFFERS: Mapping[str, Callable[[Offer], str]] = {
    "gpu": lambda o: o.gpu,
    "cloud": lambda o: o.cloud,
    "region": lambda o: o.region,
    "instance": lambda o: o.instance,
    "pricing": lambda o: o.pricing,
    "offer": lambda o: o.id,
}
OF_LAYOUTS = ("tp", "pp", "vpp", "dp", "cp", "ep", "zero_stage", "micro_batch")
KEYS = (*OF_OFFERS, "gpus", "nodes", "framework", "global_batch", "recompute", "sequence_parallel", *OF_LAYOUTS)


def why_not(state: SearchState, text: str, best: float | None) -> WhyNot:
    """The account of one alternative; `best` is the plan's objective.

    Raises
    ------
    PlannerError
        If the text names a key or an accelerator that is not known, or a number is none.
    """
    wanted = parse(text)
    scenario = pinned(state.space.scenario, wanted)
    inside = state if scenario == state.space.scenario else build_like(state, scenario)
    goal = _goal(inside.space, scenario, wanted)
    if goal is None:
        _known_gpu(state.space, wanted)
        return _not_offered(state, text, wanted)
    view = View(inside, goal)
    cell = find(view)
    if cell is not None:
        return _loses(text, view, cell, best)
    return _ruled_out(text, inside, goal)


def _known_gpu(space: SearchSpace, wanted: Mapping[str, str]) -> None:
    """A name that no catalog knows is a mistake, told with the nearest; it is not merely unsold."""
    if "gpu" in wanted:
        try:
            space.catalog.accelerator(wanted["gpu"])
        except PlannerError as error:
            raise PlannerError(say("whynot.unknown_gpu", gpu=wanted["gpu"], error=error.args[0])) from None


def parse(text: str) -> dict[str, str]:
    """The keys and values of a text such as gpu=h100-sxm5-80gb,gpus=256. Raises PlannerError as `why_not`."""
    out: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or key not in KEYS or not value:
            raise PlannerError(say("whynot.no_key", text=text, part=part.strip(), keys=list(KEYS)))
        out[key] = value
    return out


def pinned(scenario: Scenario, wanted: Mapping[str, str]) -> Scenario:
    """The scenario with what was asked of layout, batch and framework pinned. Raises PlannerError as `why_not`."""
    layout, training = scenario.layout, scenario.training
    for key in OF_LAYOUTS:
        if key in wanted:
            layout = replace(layout, **{key: IntChoice(values=(_whole(key, wanted[key]),))})  # type: ignore[arg-type]
    if "recompute" in wanted:
        if wanted["recompute"] not in RECOMPUTE:
            raise PlannerError(say("whynot.recompute", value=wanted["recompute"], choices=list(RECOMPUTE)))
        layout = replace(layout, recompute=(wanted["recompute"],))
    if "sequence_parallel" in wanted:
        if wanted["sequence_parallel"] not in ("true", "false"):
            raise PlannerError(say("whynot.sequence_parallel", value=wanted["sequence_parallel"]))
        layout = replace(layout, sequence_parallel=wanted["sequence_parallel"] == "true")
    if "global_batch" in wanted:
        training = replace(training, global_batch=IntChoice(values=(_whole("global_batch", wanted["global_batch"]),)))
    if "framework" in wanted:
        training = replace(training, framework=wanted["framework"])
    return replace(scenario, layout=layout, training=training)


def _goal(space: SearchSpace, scenario: Scenario, wanted: Mapping[str, str]) -> Goal | None:
    """The scenario's goal over what was asked for; None if no offer is that."""
    offers: BoolArray = np.ones(len(space.offers), dtype=bool)
    for key, read in OF_OFFERS.items():
        if key in wanted:
            offers &= np.array([read(o) == wanted[key] for o in space.offers], dtype=bool)
    cells = np.ones(len(space), dtype=bool)
    if "gpus" in wanted:
        cells &= space.gpus == _whole("gpus", wanted["gpus"])
    if "nodes" in wanted:
        cells &= space.nodes == _whole("nodes", wanted["nodes"])
    if not offers.any():
        return None
    return replace(scenario_goal(scenario), offers=offers, cells=cells)


def _loses(text: str, view: View, cell: int, best: float | None) -> WhyNot:
    plan = _plan(view, cell)
    value = view.value_at(cell)
    time, cost = plan.time_s.p50, plan.cost_usd.p50
    short = say("whynot.plan", gpus=plan.gpus, gpu=plan.offer.gpu, time=time, cost=cost)
    if best is None or value < best:
        return WhyNot(text, "best", None, say("whynot.keeps", plan=short), plan)
    if value == best:
        return WhyNot(text, "best", 0.0, say("whynot.same", plan=short), plan)
    code = "whynot.loses_cost" if view.goal.per_usd else "whynot.loses_time"
    return WhyNot(text, "loses", value - best, say(code, by=value - best, share=value / best - 1.0, plan=short), plan)


def _ruled_out(text: str, state: SearchState, goal: Goal) -> WhyNot:
    """Which budget, or memory, leaves nothing."""
    free = replace(goal, time_s=None, cost_usd=None, at=goal.confidence)
    quick, cheap = View(state, aiming_at(free, per_second=1.0)), View(state, aiming_at(free, per_usd=1.0))
    fastest, cheapest = find(quick), find(cheap)
    if fastest is None or cheapest is None:
        code = "whynot.memory" if bool(quick.allowed.any()) else "whynot.no_space"
        return WhyNot(text, "does not fit", None, say(code), None)
    time, cost = quick.value_at(fastest), cheap.value_at(cheapest)
    if goal.time_s is not None and time > goal.time_s:
        reason = say("whynot.time", confidence=goal.confidence, least=time, limit=goal.time_s)
        return WhyNot(text, "over budget", None, reason, _plan(quick, fastest))
    if goal.cost_usd is not None and cost > goal.cost_usd:
        reason = say("whynot.cost", confidence=goal.confidence, least=cost, limit=goal.cost_usd)
        return WhyNot(text, "over budget", None, reason, _plan(cheap, cheapest))
    return WhyNot(text, "over budget", None, say("whynot.budgets"), _plan(cheap, cheapest))


def _not_offered(state: SearchState, text: str, wanted: Mapping[str, str]) -> WhyNot:
    """Which choice of `cluster` leaves the alternative out, by widening them one after another."""
    cluster = state.space.scenario.cluster
    pricing = (wanted["pricing"],) if wanted.get("pricing") in ("on_demand", "spot") else cluster.pricing
    steps: tuple[tuple[str, dict[str, object]], ...] = (
        ("cluster.gpus", {"gpus": ()}),
        ("cluster.clouds", {"clouds": ()}),
        ("cluster.regions", {"regions": ()}),
        ("cluster.pricing", {"pricing": pricing}),
        ("cluster.quality", {"quality": ("A", "B", "C")}),
    )
    wider, keys = cluster, ""
    for key, change in steps:
        if all(getattr(wider, name) == value for name, value in change.items()) or state.space.given is not None:
            continue
        wider = replace(wider, **change)  # type: ignore[arg-type]
        keys = say("whynot.and", some=keys, other=key) if keys else key
        scenario = replace(state.space.scenario, cluster=wider)
        larger = build_like(state, scenario)
        goal = _goal(larger.space, scenario, wanted)
        if goal is None:
            continue
        view = View(larger, goal)
        cell = find(view)
        if cell is None:
            return WhyNot(text, "not offered", None, say("whynot.left_out", keys=keys), None)
        plan = _plan(view, cell)
        reason = say("whynot.left_out_best", keys=keys, cost=plan.cost_usd.p50)
        return WhyNot(text, "not offered", None, reason, plan)
    return WhyNot(text, "not offered", None, say("whynot.no_such_offer"), None)


def _plan(view: View, cell: int) -> Plan:
    state = view.state
    return make_plan(state, plain(view, cell), state.space.offers[int(view.offer[cell])])


def _whole(key: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise PlannerError(say("whynot.not_whole", key=key, text=text)) from None
