"""The smallest changes of a scenario that would make it feasible.

Each is solved again with the values that its text prints, before it is told: what is typed from it has a plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from planner.results.answers import Change
from planner.scenario.written import COST, TIME, WrittenBudget
from planner.search import memory_relaxations
from planner.search.building import build_like
from planner.search.objectives import Goal, View, budget_goal, find
from planner.search.plans import make_plan
from planner.search.search_state import SearchState
from planner.search.shortfalls import least_factor, least_sum, needs_of
from planner.search.simplicity import plain
from planner.spec.scenario import MOST_GPUS, Scenario
from planner.units import PlannerError, rounded_up
from planner.words import say

MORE_GPUS = (4, 16)  # times cluster.max_gpus that are tried
TIMES = 3.0  # from which factor on it is told as one, and not as a share more


@dataclass(frozen=True)
class Relaxation:
    """A change as it is printed, and where it is solved again: its values are those that the printed text reads as."""

    change: Change
    state: SearchState
    goal: Goal


def relaxations(state: SearchState) -> Iterator[Change]:
    """Single changes of the scenario, each of which, applied as it is printed, has a plan."""
    for find_change in CHANGES:
        try:
            found = find_change(state)
        except PlannerError:  # the changed scenario would be refused
            continue
        if found is not None and find(View(found.state, found.goal)) is not None:
            yield found.change


def _budgets(state: SearchState, code: str, needed: dict[WrittenBudget, str], **values: float) -> Relaxation:
    """Budgets as these texts say; the code has them by their fields, beside `values`."""
    budget = state.space.scenario.budget
    read = {form.field: form.read(text) for form, text in needed.items()}
    overrides = [f"{form.key}={text}" for form, text in needed.items()]
    if TIME in needed and budget.deadline is not None:
        overrides.insert(0, "budget.deadline=null")
    key = "budget" if len(needed) > 1 else next(iter(needed)).key
    present, wanted = [form.write(getattr(budget, form.field)) for form in needed], list(needed.values())
    texts = {form.name: read[form.field] for form in needed}
    change = Change(key, _listed(present), _listed(wanted), say(code, **values, **texts), tuple(overrides))
    return Relaxation(change, state, budget_goal(state.space.scenario.budget, **read, per_usd=1.0))


def _listed(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else say("relaxations.budgets", budgets=texts)


def _larger(form: WrittenBudget, rate: str) -> Callable[[SearchState], Relaxation | None]:
    """One budget as much larger as the plan needs that does with least of it."""

    def find_change(state: SearchState) -> Relaxation | None:
        budget = state.space.scenario.budget
        present = getattr(budget, form.field)
        if present is None:
            return None
        view = View(
            state, budget_goal(state.space.scenario.budget, **{form.field: None, rate: 1.0}, at=budget.confidence)
        )
        cell = find(view)
        if cell is None:
            return None
        needed = {form: form.beyond(present, view.value_at(cell))}
        return _budgets(state, f"relaxations.{form.field}", needed, present=present)

    return find_change


def _both(state: SearchState) -> Relaxation | None:
    """Both budgets by the same factor, where both are given: it is told as much, or a little more."""
    budget = state.space.scenario.budget
    found = least_factor(state)
    if found is None or budget.time_s is None or budget.cost_usd is None:
        return None
    exact = 1.0 - 1e-12  # a factor of 1.124 is 12.4 % more, whatever floats make of it
    if found[0] < TIMES:
        code, larger = "relaxations.both_larger", rounded_up((found[0] - 1.0) * exact * 100.0) / 100.0
    else:
        code, larger = "relaxations.both_times", rounded_up(found[0] * exact)
    factor = 1.0 + larger if found[0] < TIMES else larger
    needed = _together(state, budget.time_s * factor, budget.cost_usd * factor)
    return _budgets(state, code, needed, factor=larger) if needed else None


def _each(state: SearchState) -> Relaxation | None:
    """Each budget by a factor of its own, where neither can be kept: the two of least sum."""
    found = least_sum(state)
    needed = None if found is None else _together(state, *needs_of(state, *found))
    return _budgets(state, "relaxations.each", needed) if needed else None


def _together(state: SearchState, time_s: float, cost_usd: float) -> dict[WrittenBudget, str] | None:
    """Both budgets, written so that they are at least these; None where one of them does alone, the other as it is."""
    budget = state.space.scenario.budget
    if budget.time_s is None or budget.cost_usd is None:
        return None
    needed = {TIME: TIME.beyond(budget.time_s, time_s), COST: COST.beyond(budget.cost_usd, cost_usd)}
    for form, text in needed.items():
        goal = budget_goal(state.space.scenario.budget, **{form.field: form.read(text)}, per_usd=1.0)
        if find(View(state, goal)) is not None:
            return None
    return needed


def _less_sure(state: SearchState) -> Relaxation | None:
    confidence = state.space.scenario.budget.confidence

    def goal(p: float) -> Goal:
        return budget_goal(state.space.scenario.budget, confidence=p, per_usd=1.0)

    def does(p: float) -> bool:
        return find(View(state, goal(p))) is not None

    low, high = 0.5, confidence  # below even odds nobody signs
    if confidence <= low or not does(low):
        return None
    while high - low > 0.004:
        middle = (low + high) / 2
        low, high = (middle, high) if does(middle) else (low, middle)
    needed = f"{math.floor(low * 100) / 100:g}"
    text = say("relaxations.confidence", needed=float(needed), present=confidence)
    change = Change("budget.confidence", f"{confidence:g}", needed, text, (f"budget.confidence={needed}",))
    return Relaxation(change, state, goal(float(needed)))


def _more_gpus(state: SearchState) -> Relaxation | None:
    """The fewest GPUs that would do, spare ones among them: cluster.max_gpus bounds what is ordered."""
    scenario = state.space.scenario
    for times in MORE_GPUS:
        wider = _with_cluster(scenario, max_gpus=min(scenario.cluster.max_gpus * times, MOST_GPUS))
        larger = build_like(state, wider)
        if len(larger.space) == len(state.space):
            return None
        cell = find(View(larger, budget_goal(wider.budget, per_gpu=1.0)))
        if cell is not None:
            needed, present = int(larger.space.paid_gpus[cell]), scenario.cluster.max_gpus
            spare = needed - int(larger.space.gpus[cell])
            code = "relaxations.max_gpus_spare" if spare else "relaxations.max_gpus"
            text = say(code, needed=needed, spare=spare, present=present)
            change = Change("cluster.max_gpus", f"{present}", f"{needed}", text, (f"cluster.max_gpus={needed}",))
            enough = _with_cluster(scenario, max_gpus=needed)
            return Relaxation(change, build_like(state, enough), budget_goal(enough.budget, per_usd=1.0))
    return None


def _wider(key: str, needed: tuple[str, ...]) -> Callable[[SearchState], Relaxation | None]:
    """A choice of `cluster` widened by what is `needed` (nothing: any)."""

    def find_change(state: SearchState) -> Relaxation | None:
        cluster = state.space.scenario.cluster
        present: tuple[str, ...] = getattr(cluster, key)
        all_of = tuple(dict.fromkeys((*present, *needed))) if needed else ()
        if all_of == present or cluster.own_only or state.space.given is not None:
            return None
        wider = _with_cluster(state.space.scenario, **{key: all_of})
        goal = budget_goal(wider.budget, per_usd=1.0)
        other = build_like(state, wider)
        view = View(other, goal)
        cell = find(view)
        if cell is None:
            return None
        plan = make_plan(other, plain(view, cell), other.space.offers[int(view.offer[cell])])
        written = f"[{', '.join(all_of)}]" if all_of else "any"
        offer, time, cost = plan.offer, plan.time_s.p50, plan.cost_usd.p50
        values = {"gpus": plan.gpus, "gpu": offer.gpu, "offer": offer.id, "time": time, "cost": cost}
        text = say(f"relaxations.wider_{key}", **values)
        change = Change(f"cluster.{key}", ", ".join(present) or "any", written, text, (f"cluster.{key}={written}",))
        return Relaxation(change, other, goal)

    return find_change


def _with_cluster(scenario: Scenario, **changes: object) -> Scenario:
    return replace(scenario, cluster=replace(scenario.cluster, **changes))  # type: ignore[arg-type]


def _fewer_epochs(state: SearchState) -> Relaxation | None:
    """Less training: the most epochs that fit, to two decimals."""
    scenario = state.space.scenario
    epochs = scenario.training.epochs
    if epochs is None:
        return None

    # A share of the epochs is about as quick as a machine faster by its inverse: that finds where to look.
    low, high = 0.0, 1.0
    for _ in range(9):
        middle = (low + high) / 2
        enough = find(View(state, budget_goal(scenario.budget, per_usd=1.0, speed=1.0 / middle))) is not None
        low, high = (middle, high) if enough else (low, middle)
    for share in (low, 0.99 * low, 0.97 * low):
        hundredths = math.floor(share * epochs * 100)
        if hundredths > 0:
            needed = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
            shorter = replace(scenario, training=replace(scenario.training, epochs=float(needed)))
            fewer, goal = build_like(state, shorter), budget_goal(shorter.budget, per_usd=1.0)
            if find(View(fewer, goal)) is not None:
                text = say("relaxations.epochs", needed=needed, present=epochs)
                change = Change("training.epochs", f"{epochs:g}", needed, text, (f"training.epochs={needed}",))
                return Relaxation(change, fewer, goal)
    return None


def _in_memory(
    find_change: Callable[[SearchState], memory_relaxations.Changed | None],
) -> Callable[[SearchState], Relaxation | None]:
    """A change that needs less memory, where no layout fits."""

    def changed(state: SearchState) -> Relaxation | None:
        found = find_change(state) if memory_relaxations.nothing_fits(state) else None
        return None if found is None else Relaxation(*found, budget_goal(found[1].space.scenario.budget, per_usd=1.0))

    return changed


CHANGES: tuple[Callable[[SearchState], Relaxation | None], ...] = (
    _larger(TIME, "per_second"),
    _larger(COST, "per_usd"),
    _both,
    _each,
    _less_sure,
    _more_gpus,
    _wider("gpus", ()),
    _wider("clouds", ()),
    _wider("pricing", ("on_demand", "spot")),
    _fewer_epochs,
    *(_in_memory(find_change) for find_change in memory_relaxations.CHANGES),
)
