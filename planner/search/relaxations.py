"""The smallest changes of a scenario that would make it feasible.

Each is solved again with the values that its text prints, before it is told: what is typed from it has a plan.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from planner.plan import Change
from planner.scenario import Scenario
from planner.scenario.types import MOST_GPUS
from planner.search import roomier
from planner.search.goals import Goal, View, find
from planner.search.plans import make_plan
from planner.search.problem import Problem
from planner.search.shortfalls import budget_goal, least_factor, least_sum, needs_of, value_of
from planner.search.simplicity import plain
from planner.units import (
    PlannerError,
    format_count,
    format_duration,
    format_number,
    format_percent,
    format_usd,
    parse_duration,
    parse_number,
    parse_written,
    written_up,
)

MORE_GPUS = (4, 16)  # times cluster.max_gpus that are tried


@dataclass(frozen=True)
class Relaxation:
    """A change as it is printed, and where it is solved again: its values are those that the printed text reads as."""

    change: Change
    problem: Problem
    goal: Goal


def relaxations(problem: Problem) -> Iterator[Change]:
    """Single changes of the problem's scenario, each of which, applied as it is printed, has a plan."""
    for find_change in CHANGES:
        try:
            found = find_change(problem)
        except PlannerError:  # the changed scenario would be refused
            continue
        if found is not None and find(View(found.problem, found.goal)) is not None:
            yield found.change


def _budgets(problem: Problem, key: str, present: str, text: str, **texts: str) -> Relaxation:
    """Budgets (by field of Budget) as these texts say."""
    keys = {"time_s": "budget.time", "cost_usd": "budget.cost"}
    changed = {name: READ[name](written) for name, written in texts.items()}
    overrides = [f"{keys[name]}={written}" for name, written in texts.items()]
    if "time_s" in texts and problem.scenario.budget.deadline is not None:
        overrides.insert(0, "budget.deadline=null")
    change = Change(key, present, " and ".join(texts.values()), text, tuple(overrides))
    return Relaxation(change, problem, budget_goal(problem.scenario, **changed, per_usd=1.0))


def _larger(key: str, name: str, rate: str, words: str) -> Callable[[Problem], Relaxation | None]:
    """One budget as much larger as the plan needs that does with least of it."""

    def find_change(problem: Problem) -> Relaxation | None:
        budget = problem.scenario.budget
        allowed = getattr(budget, name)
        if allowed is None:
            return None
        view = View(problem, budget_goal(problem.scenario, **{name: None, rate: 1.0}, at=budget.confidence))
        cell = find(view)
        if cell is None:
            return None
        present, text = _from_to(name, allowed, value_of(view, cell))
        return _budgets(problem, key, present, f"{words} of {text} instead of {present} would do.", **{name: text})

    return find_change


def _from_to(name: str, allowed: float, needed: float) -> tuple[str, str]:
    """A budget as it is and as it would do, as texts; the second reads as what is needed and as more than the first."""
    present = WRITE[name](allowed)
    least = max(needed, math.nextafter(READ[name](present), math.inf))
    return present, written_up(least, WRITE[name], READ[name])


def _both(problem: Problem) -> Relaxation | None:
    """Both budgets by the same factor, where both are given."""
    budget = problem.scenario.budget
    found = least_factor(problem)
    if found is None or budget.time_s is None or budget.cost_usd is None:
        return None
    how, factor = _how_much(found[0])
    present_time, time = _from_to("time_s", budget.time_s, budget.time_s * factor)
    present_cost, cost = _from_to("cost_usd", budget.cost_usd, budget.cost_usd * factor)
    if _one_does(problem, time_s=time, cost_usd=cost):
        return None
    text = f"Time and cost both {how} ({time} and {cost}) would do."
    return _budgets(problem, "budget", f"{present_time} and {present_cost}", text, time_s=time, cost_usd=cost)


def _one_does(problem: Problem, **texts: str) -> bool:
    """Whether one of these budgets does alone, the other as it is: then it is told by itself, and no larger."""
    goals = (budget_goal(problem.scenario, **{name: READ[name](text)}, per_usd=1.0) for name, text in texts.items())
    return any(find(View(problem, goal)) is not None for goal in goals)


def _how_much(factor: float) -> tuple[str, float]:
    """A factor in words, and the factor that they read as: as much, or a little more."""
    exact = 1.0 - 1e-12  # a factor of 1.124 is 12.4 % more, whatever floats make of it
    if factor < 3.0:
        share = written_up((factor - 1.0) * exact, format_percent, lambda text: _number_of(text) / 100.0)
        return f"{share} larger", 1.0 + _number_of(share) / 100.0
    times = written_up(factor * exact, lambda f: f"{format_number(f, 3)} times", _number_of)
    return f"{times} as large", _number_of(times)


def _number_of(text: str) -> float:
    return parse_number(text.rsplit(" ", 1)[0])


def _each(problem: Problem) -> Relaxation | None:
    """Each budget by a factor of its own, where neither can be kept: the two of least sum."""
    budget = problem.scenario.budget
    found = least_sum(problem)
    if found is None or budget.time_s is None or budget.cost_usd is None:
        return None
    needs = needs_of(problem, *found)
    present_time, time = _from_to("time_s", budget.time_s, needs[0])
    present_cost, cost = _from_to("cost_usd", budget.cost_usd, needs[1])
    if _one_does(problem, time_s=time, cost_usd=cost):
        return None
    text = f"A time of {time} with a cost of {cost} would do: the least in sum."
    return _budgets(problem, "budget", f"{present_time} and {present_cost}", text, time_s=time, cost_usd=cost)


def _less_sure(problem: Problem) -> Relaxation | None:
    confidence = problem.scenario.budget.confidence

    def goal(p: float) -> Goal:
        return budget_goal(problem.scenario, confidence=p, per_usd=1.0)

    def does(p: float) -> bool:
        return find(View(problem, goal(p))) is not None

    low, high = 0.5, confidence  # below even odds nobody signs
    if confidence <= low or not does(low):
        return None
    while high - low > 0.004:
        middle = (low + high) / 2
        low, high = (middle, high) if does(middle) else (low, middle)
    needed = f"{math.floor(low * 100) / 100:g}"
    text = f"A confidence of {format_percent(float(needed))} instead of {format_percent(confidence)} would do."
    change = Change("budget.confidence", f"{confidence:g}", needed, text, (f"budget.confidence={needed}",))
    return Relaxation(change, problem, goal(float(needed)))


def _more_gpus(problem: Problem) -> Relaxation | None:
    """The fewest GPUs that would do, spare ones among them: cluster.max_gpus bounds what is ordered."""
    scenario = problem.scenario
    for times in MORE_GPUS:
        wider = _with_cluster(scenario, max_gpus=min(scenario.cluster.max_gpus * times, MOST_GPUS))
        larger = problem.of(wider)
        if len(larger) == len(problem):
            return None
        cell = find(View(larger, budget_goal(wider, per_gpu=1.0)))
        if cell is not None:
            needed, present = int(larger.paid_gpus[cell]), scenario.cluster.max_gpus
            spare = needed - int(larger.gpus[cell])
            beside = f" ({format_count(spare)} of them spare)" if spare else ""
            text = f"{format_count(needed)} GPUs{beside} instead of at most {format_count(present)} would do."
            change = Change("cluster.max_gpus", f"{present}", f"{needed}", text, (f"cluster.max_gpus={needed}",))
            enough = _with_cluster(scenario, max_gpus=needed)
            return Relaxation(change, problem.of(enough), budget_goal(enough, per_usd=1.0))
    return None


def _wider(key: str, needed: tuple[str, ...], words: str) -> Callable[[Problem], Relaxation | None]:
    """A choice of `cluster` widened by what is `needed` (nothing: any)."""

    def find_change(problem: Problem) -> Relaxation | None:
        cluster = problem.scenario.cluster
        present: tuple[str, ...] = getattr(cluster, key)
        all_of = tuple(dict.fromkeys((*present, *needed))) if needed else ()
        if all_of == present or cluster.own_only or problem.given is not None:
            return None
        wider = _with_cluster(problem.scenario, **{key: all_of})
        goal = budget_goal(wider, per_usd=1.0)
        view = View(problem.of(wider), goal)
        cell = find(view)
        if cell is None:
            return None
        p = view.problem
        plan = make_plan(p, plain(view, cell), p.offers[int(view.offer[cell])])
        written = f"[{', '.join(all_of)}]" if all_of else "any"
        text = (
            f"{words} would do: {format_count(plan.gpus)} x {plan.offer.gpu} of {plan.offer.id},"
            f" {format_duration(plan.time_s.p50)}, {format_usd(plan.cost_usd.p50)}."
        )
        change = Change(f"cluster.{key}", ", ".join(present) or "any", written, text, (f"cluster.{key}={written}",))
        return Relaxation(change, p, goal)

    return find_change


def _with_cluster(scenario: Scenario, **changes: object) -> Scenario:
    return replace(scenario, cluster=replace(scenario.cluster, **changes))  # type: ignore[arg-type]


def _fewer_epochs(problem: Problem) -> Relaxation | None:
    """Less training: the most epochs that fit, to two decimals."""
    scenario = problem.scenario
    epochs = scenario.training.epochs
    if epochs is None:
        return None

    # A share of the epochs is about as quick as a machine faster by its inverse: that finds where to look.
    low, high = 0.0, 1.0
    for _ in range(9):
        middle = (low + high) / 2
        enough = find(View(problem, budget_goal(scenario, per_usd=1.0, speed=1.0 / middle))) is not None
        low, high = (middle, high) if enough else (low, middle)
    for share in (low, 0.99 * low, 0.97 * low):
        hundredths = math.floor(share * epochs * 100)
        if hundredths > 0:
            needed = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
            shorter = replace(scenario, training=replace(scenario.training, epochs=float(needed)))
            fewer, goal = problem.of(shorter), budget_goal(shorter, per_usd=1.0)
            if find(View(fewer, goal)) is not None:
                text = f"{needed} epochs instead of {epochs:g} would do."
                change = Change("training.epochs", f"{epochs:g}", needed, text, (f"training.epochs={needed}",))
                return Relaxation(change, fewer, goal)
    return None


def _in_memory(find_change: Callable[[Problem], roomier.Changed | None]) -> Callable[[Problem], Relaxation | None]:
    """A change that needs less memory, where no layout fits."""

    def changed(problem: Problem) -> Relaxation | None:
        found = find_change(problem) if roomier.nothing_fits(problem) else None
        return None if found is None else Relaxation(*found, budget_goal(found[1].scenario, per_usd=1.0))

    return changed


WRITE: dict[str, Callable[[float], str]] = {"time_s": format_duration, "cost_usd": format_usd}
READ: dict[str, Callable[[str], float]] = {"time_s": parse_duration, "cost_usd": parse_written}
CHANGES: tuple[Callable[[Problem], Relaxation | None], ...] = (
    _larger("budget.time", "time_s", "per_second", "A time"),
    _larger("budget.cost", "cost_usd", "per_usd", "A cost"),
    _both,
    _each,
    _less_sure,
    _more_gpus,
    _wider("gpus", (), "Any accelerator of the catalog"),
    _wider("clouds", (), "Any cloud of the catalog"),
    _wider("pricing", ("on_demand", "spot"), "Spot prices too"),
    _fewer_epochs,
    *(_in_memory(find_change) for find_change in roomier.CHANGES),
)
