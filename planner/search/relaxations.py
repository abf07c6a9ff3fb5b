"""The smallest changes of a scenario that would make it feasible; each is re-solved."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from planner.plan import Change
from planner.scenario import Scenario
from planner.search.goals import Goal, View, find
from planner.search.plans import fastest_of, make_plan
from planner.search.problem import Problem
from planner.units import format_count, format_duration, format_number, format_percent, format_usd

MORE_GPUS = (4, 16)  # times cluster.max_gpus that are tried


def budget_goal(scenario: Scenario, **changes: object) -> Goal:
    """Any plan within the scenario's budgets, some of them changed."""
    b = scenario.budget
    base = {"time_s": b.time_s, "cost_usd": b.cost_usd, "confidence": b.confidence}
    return Goal(**(base | changes))  # type: ignore[arg-type]


def value_of(view: View, cell: int) -> float:
    """What the view's goal makes of a cell: seconds or USD at the confidence asked for."""
    return float(view.value(view.problem.best_s[[cell]], view.problem.gpus[[cell]] * 0 + cell)[0])


def _larger(
    key: str, name: str, rate: str, write: Callable[[float], str], words: str
) -> Callable[[Problem], Change | None]:
    """One budget as much larger as the plan needs that does with least of it."""

    def find_change(problem: Problem) -> Change | None:
        budget = problem.scenario.budget
        allowed = getattr(budget, name)
        if allowed is None:
            return None
        view = View(problem, budget_goal(problem.scenario, **{name: None, rate: 1.0}, at=budget.confidence))
        cell = find(view)
        if cell is None:
            return None
        needed = _rounded_up(value_of(view, cell))
        if find(View(problem, budget_goal(problem.scenario, **{name: needed}, per_usd=1.0))) is None:
            return None
        present, text = write(allowed), write(needed)
        return Change(key, present, text, f"{words} of {text} instead of {present} would do.")

    return find_change


def _both(problem: Problem) -> Change | None:
    """Both budgets by the same factor, where both are given."""
    budget = problem.scenario.budget
    found = least_factor(problem)
    if found is None or budget.time_s is None or budget.cost_usd is None:
        return None
    factor, time, cost = found[0], budget.time_s, budget.cost_usd
    how = f"{format_percent(factor - 1.0)} larger" if factor < 3.0 else f"{format_number(factor, 3)} times as large"
    needed = f"{format_duration(time * factor)} and {format_usd(cost * factor)}"
    present = f"{format_duration(time)} and {format_usd(cost)}"
    return Change("budget", present, needed, f"Time and cost both {how} ({needed}) would do.")


def _each(problem: Problem) -> Change | None:
    """Each budget by a factor of its own, where neither can be kept: the two of least sum."""
    budget = problem.scenario.budget
    found = least_sum(problem)
    if found is None or budget.time_s is None or budget.cost_usd is None:
        return None
    time, cost = (_rounded_up(need) for need in needs_of(problem, *found))
    if find(View(problem, budget_goal(problem.scenario, time_s=time, cost_usd=cost, per_usd=1.0))) is None:
        return None
    needed = f"{format_duration(time)} and {format_usd(cost)}"
    present = f"{format_duration(budget.time_s)} and {format_usd(budget.cost_usd)}"
    text = f"A time of {format_duration(time)} with a cost of {format_usd(cost)} would do: the least in sum."
    return Change("budget", present, needed, text)


def least_factor(problem: Problem) -> tuple[float, View, int] | None:
    """The least factor on both budgets at once that would do, and the cheapest plan within them."""
    budget = problem.scenario.budget
    if budget.time_s is None or budget.cost_usd is None:
        return None
    time, cost = budget.time_s, budget.cost_usd

    def within(factor: float) -> View:
        goal = budget_goal(problem.scenario, time_s=time * factor, cost_usd=cost * factor, per_usd=1.0)
        return View(problem, goal)

    factor = _least(lambda factor: find(within(factor)) is not None, 1.0, 1024.0, 1e-3)
    if factor is None:
        return None
    view = within(factor)
    cell = find(view)
    return None if cell is None else (factor, view, cell)


def least_sum(problem: Problem) -> tuple[View, int] | None:
    """The plan that misses two budgets by the least sum of shares, where no plan keeps either of them."""
    budget = problem.scenario.budget
    if not budget.time_s or not budget.cost_usd:
        return None
    for one in ({"cost_usd": None}, {"time_s": None}):
        if find(View(problem, budget_goal(problem.scenario, per_usd=1.0, **one))) is not None:
            return None
    goal = Goal(
        per_second=1.0 / budget.time_s,
        per_usd=1.0 / budget.cost_usd,
        confidence=budget.confidence,
        at=budget.confidence,
    )
    view = View(problem, goal)
    cell = find(view)
    return None if cell is None else (view, cell)


def needs_of(problem: Problem, view: View, cell: int) -> tuple[float, float]:
    """Time (s) and cost (USD) of a cell's fastest run at the confidence asked for."""
    sure = problem.scenario.budget.confidence
    cells = np.array([cell])
    time = problem.time_s(sure, problem.best_s[cells], cells)
    return float(time[0]), float(problem.costs.usd(view.usd_per_hour[cells], time, cells)[0])


def _less_sure(problem: Problem) -> Change | None:
    confidence = problem.scenario.budget.confidence

    def does(p: float) -> bool:
        return find(View(problem, budget_goal(problem.scenario, confidence=p, per_usd=1.0))) is not None

    low, high = 0.5, confidence  # below even odds nobody signs
    if confidence <= low or not does(low):
        return None
    while high - low > 0.004:
        middle = (low + high) / 2
        low, high = (middle, high) if does(middle) else (low, middle)
    needed = math.floor(low * 100) / 100
    present, text = format_percent(confidence), format_percent(needed)
    return Change(
        "budget.confidence", f"{confidence:g}", f"{needed:g}", f"A confidence of {text} instead of {present} would do."
    )


def _more_gpus(problem: Problem) -> Change | None:
    scenario = problem.scenario
    for times in MORE_GPUS:
        wider = _with_cluster(scenario, max_gpus=scenario.cluster.max_gpus * times)
        larger = problem.of(wider)
        if len(larger) == len(problem):
            return None
        view = View(larger, budget_goal(wider, per_gpu=1.0))
        cell = find(view)
        if cell is not None:
            needed, present = int(larger.gpus[cell]), scenario.cluster.max_gpus
            return Change(
                "cluster.max_gpus",
                f"{present}",
                f"{needed}",
                f"{format_count(needed)} GPUs instead of at most {format_count(present)} would do.",
            )
    return None


def _wider(
    key: str, changes: dict[str, object], present: str, needed: str, words: str
) -> Callable[[Problem], Change | None]:
    def find_change(problem: Problem) -> Change | None:
        cluster = problem.scenario.cluster
        if all(getattr(cluster, name) == value for name, value in changes.items()) or cluster.own_only:
            return None
        if problem.given is not None:
            return None
        wider = _with_cluster(problem.scenario, **changes)
        view = View(problem.of(wider), budget_goal(wider, per_usd=1.0))
        cell = find(view)
        if cell is None:
            return None
        p = view.problem
        plan = make_plan(p, fastest_of(p, cell), p.offers[int(view.offer[cell])])
        now = ", ".join(getattr(cluster, present)) if present else "unset"
        return Change(
            f"cluster.{key}",
            now,
            needed,
            f"{words} would do: {format_count(plan.gpus)} x {plan.offer.gpu} of {plan.offer.id},"
            f" {format_duration(plan.time_s.p50)}, {format_usd(plan.cost_usd.p50)}.",
        )

    return find_change


def _with_cluster(scenario: Scenario, **changes: object) -> Scenario:
    return replace(scenario, cluster=replace(scenario.cluster, **changes))  # type: ignore[arg-type]


def _fewer_epochs(problem: Problem) -> Change | None:
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
        needed = math.floor(share * epochs * 100) / 100
        if needed > 0:
            shorter = replace(scenario, training=replace(scenario.training, epochs=needed))
            if find(View(problem.of(shorter), budget_goal(shorter, per_usd=1.0))) is not None:
                text = f"{needed:g} epochs instead of {epochs:g} would do."
                return Change("training.epochs", f"{epochs:g}", f"{needed:g}", text)
    return None


def _rounded_up(value: float) -> float:
    """To three significant digits, upwards."""
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return float(math.ceil(value / unit) * unit)


def _least(does: Callable[[float], bool], low: float, high: float, within: float) -> float | None:
    """The least factor that does, to `within`, upwards."""
    if not does(high):
        return None
    while high / low > 1.0 + within:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if does(middle) else (middle, high)
    return math.ceil(high * 1000) / 1000


CHANGES: tuple[Callable[[Problem], Change | None], ...] = (
    _larger("budget.time", "time_s", "per_second", format_duration, "A time"),
    _larger("budget.cost", "cost_usd", "per_usd", format_usd, "A cost"),
    _both,
    _each,
    _less_sure,
    _more_gpus,
    _wider("gpus", {"gpus": ()}, "gpus", "any", "Any accelerator of the catalog"),
    _wider("clouds", {"clouds": ()}, "clouds", "any", "Any cloud of the catalog"),
    _wider("pricing", {"pricing": ("on_demand", "spot")}, "pricing", "[on_demand, spot]", "Spot prices too"),
    _fewer_epochs,
)
