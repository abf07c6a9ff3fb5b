"""The most training that fits the budgets: the epochs of a scenario that asks for as many as there can be.

Exact to one sample. Of a candidate, time and cost rise with the samples, so each has a most of its own; the plan found
is brought to its most, and then one sample more is shown to fit no plan at all. A range of batches that is left to
planner is that of the tokens which the answer trains on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction

import numpy as np

from planner.performance.arrays import FloatArray, IntArray
from planner.results.answers import Binding
from planner.search.candidates import Pick
from planner.search.objectives import View, budget_goal, find
from planner.search.run_length import run_of
from planner.search.search_state import SearchState
from planner.spec.scenario import MOST_TRAINING, IntChoice, Scenario
from planner.units import MAX_COUNT, PlannerError
from planner.words import say
from planner.workload.dataset import RunLength, run_length
from planner.workload.learning import default_batch_range

MOST_EPOCHS = 10**6
ROUNDS = 4  # of the range of batches and the tokens that it is of
WIDELY, CLOSE = 1e-3, 0.98  # of the speed, to which a plan's room is looked for: at first, and near the most
STEP, SHARES = 1.002, 1.1  # to which it is looked for, and a share of an epoch is

Build = Callable[[Scenario], SearchState]


@dataclass(frozen=True, slots=True)
class Most:
    """The most training of a scenario: the scenario with its epochs, and the samples that they are."""

    scenario: Scenario
    samples: int
    capped: bool  # whether it is what the scenario's `epochs` allow, and not the budgets

    @property
    def why(self) -> str:
        """What proves it."""
        return say("most_training.all_fits" if self.capped else "most_training.no_more")


def wants_most(scenario: Scenario) -> bool:
    """Whether a scenario asks for as much training as fits its budgets."""
    return scenario.objective.kind in MOST_TRAINING


def least_of(scenario: Scenario) -> str:
    """The objective that a plan has least of; of the most training, what plans that get through it are chosen by."""
    if not wants_most(scenario):
        return scenario.objective.kind
    return "time" if scenario.cost_left_out else "cost"


def most_training(scenario: Scenario, build: Build) -> Most:
    """The most samples of which some plan keeps the budgets, up to the scenario's epochs; one where not even that does.

    Parameters
    ----------
    build : makes the search of a scenario

    Raises
    ------
    PlannerError
        If no budget limits the training, or it has a length of its own.
    """
    _check(scenario)
    least = replace(scenario, objective=replace(scenario.objective, kind=least_of(scenario)))
    cap = _cap(scenario)
    if scenario.training.global_batch is not None:
        return _most(least, cap, build)
    samples = min(cap, _epoch(scenario).samples_per_epoch)
    for _ in range(ROUNDS):
        training = replace(least.training, global_batch=IntChoice(*_batches(least, samples)))
        found = _most(replace(least, training=training), cap, build)
        if found.samples == samples or _batches(least, found.samples) == _batches(least, samples):
            break
        samples = found.samples
    return found


def _check(scenario: Scenario) -> None:
    training, budget = scenario.training, scenario.budget
    kind = scenario.objective.kind
    if training.iterations is not None:
        raise PlannerError(say("most_training.has_iterations", kind=kind))
    if training.target == "equal_loss":
        raise PlannerError(say("most_training.has_target", kind=kind))
    if budget.time_s is None and budget.cost_usd is None:
        raise PlannerError(say("most_training.no_budget", kind=kind))


def _epoch(scenario: Scenario) -> RunLength:
    return run_length(scenario.data, scenario.seq_length, 1)


def _cap(scenario: Scenario) -> int:
    epochs = scenario.training.epochs or MOST_EPOCHS
    one = _epoch(scenario)
    if epochs * one.samples_per_epoch * scenario.seq_length > MAX_COUNT:
        return MAX_COUNT // scenario.seq_length
    return run_length(scenario.data, scenario.seq_length, epochs).total_samples


def with_samples(scenario: Scenario, samples: int) -> Scenario:
    """The scenario with epochs that are exactly so many samples."""
    given = scenario.training.epochs
    if given is not None and run_length(scenario.data, scenario.seq_length, given).total_samples == samples:
        return scenario
    epochs = epochs_of(scenario, samples)
    return replace(scenario, training=replace(scenario.training, epochs=epochs))


def epochs_of(scenario: Scenario, samples: int) -> float:
    """The shortest decimal of epochs that give so many samples: up from packed tokens, down from counted samples."""
    packed = len(scenario.data) == 1 and scenario.data[0].tokens is not None
    one = _epoch(scenario)
    exact = Fraction(samples, one.samples_per_epoch)
    if packed:
        exact = Fraction(samples * scenario.seq_length + 1, one.tokens_per_epoch)
    for digits in range(4, 18):
        context = Context(prec=digits, rounding=ROUND_CEILING if packed else ROUND_FLOOR)
        epochs = float(context.divide(Decimal(exact.numerator), Decimal(exact.denominator)))
        if epochs > 0 and run_length(scenario.data, scenario.seq_length, epochs).total_samples == samples:
            return epochs
    return float(exact)


def _batches(scenario: Scenario, samples: int) -> tuple[int, int]:
    low, high, _ = default_batch_range(
        run_length(scenario.data, scenario.seq_length, Fraction(samples, _epoch(scenario).samples_per_epoch))
    )
    return low, high


def _most(scenario: Scenario, cap: int, build: Build) -> Most:
    """The most samples up to `cap`, with the batches of the scenario."""

    def best(samples: int, slowest: float = CLOSE) -> tuple[View, Pick] | None:
        return _roomiest(build(with_samples(scenario, samples)), slowest)

    if scenario.training.epochs is not None and best(cap, 1.0) is not None:
        return Most(with_samples(scenario, cap), cap, capped=True)
    samples, found = _start(scenario, cap, build)
    while found is not None:
        samples = _reach(scenario, *found, samples, cap)
        if samples >= cap and scenario.training.epochs is None:
            raise PlannerError(say("most_training.too_many", epochs=epochs_of(scenario, cap)))
        found = best(samples + 1) if samples < cap else None
    return Most(with_samples(scenario, samples), samples, capped=False)


def _start(scenario: Scenario, cap: int, build: Build) -> tuple[int, tuple[View, Pick] | None]:
    """Samples of which some plan keeps the budgets, and that plan: an epoch, or a share of it that is nearly the most.

    One batch and no plan where not even that does: fewer samples take as long.
    """
    samples = min(cap, _epoch(scenario).samples_per_epoch)
    while samples > 1:
        state = build(with_samples(scenario, samples))
        found = _roomiest(state, WIDELY)
        if found is not None:
            return samples, found
        low, high = 1e-9, 1.0  # a share of the samples is about as quick as machines faster by its inverse
        while high / low > SHARES:
            middle = (low * high) ** 0.5
            enough = find(View(state, budget_goal(scenario.budget, per_usd=1.0, speed=1.0 / middle))) is not None
            low, high = (middle, high) if enough else (low, middle)
        if samples <= state.space.batches.low:
            break
        samples = max(min(int(samples * low), samples // 2), state.space.batches.low)
    return max(samples, 1), None


def _roomiest(state: SearchState, slowest: float) -> tuple[View, Pick] | None:
    """The plan within the budgets that would bear the slowest machines, down to `slowest` of their speed, or nearly."""
    scenario = state.space.scenario

    def within(speed: float) -> tuple[View, Pick] | None:
        view = View(state, budget_goal(scenario.budget, per_usd=1.0, speed=speed))
        cell = find(view)
        return None if cell is None else (view, state.best.pick(cell))

    found = within(1.0)
    low, high = slowest, 1.0
    while found is not None and high / low > STEP:
        middle = (low * high) ** 0.5
        slower = within(middle)
        found, low, high = (found, middle, high) if slower is None else (slower, low, middle)
    return found


def _reach(scenario: Scenario, view: View, pick: Pick, samples: int, cap: int) -> int:
    """The most samples that a candidate trains on within the budgets, at least `samples`."""
    cell = np.array([pick.cell])
    real = View(view.state, budget_goal(view.state.space.scenario.budget, per_usd=1.0))
    step, batch = np.array([pick.step_s]), np.array([pick.batch])
    step_at = _steps(view, pick)

    def fits(count: int) -> bool:
        run = run_of(with_samples(scenario, count))[0]
        return bool(real.keeps(run.seconds(batch, step, step_at), cell)[0])

    low, high = samples, samples
    while high < cap and fits(high):
        low, high = high, min(2 * high, cap)
    if high == cap and fits(cap):
        return cap
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _steps(view: View, pick: Pick) -> Callable[[IntArray], FloatArray]:
    """Seconds of a step of the pick's layout at other batches, as ramps ask for them."""
    state = view.state
    layouts = state.layout_space(int(state.space.pool[pick.cell]))

    def step_at(size: IntArray) -> FloatArray:
        whole = (0, pick.row, pick.dp, pick.micro, pick.covered, pick.instances)
        cell, row, dp, micro, covered, instances = (np.array([n]) for n in whole)
        return layouts.evaluate(cell, row, dp, micro, size, covered, instances).step_s

    return step_at


def ends_at(found: Most, build: Build) -> tuple[Binding, ...]:
    """What ends the training: each budget without which there would be more, or the scenario's own epochs."""
    budget, epochs = found.scenario.budget, found.scenario.training.epochs or 0.0
    if found.capped:
        samples = float(found.samples)
        return (
            Binding("training.epochs", say("most_training.ends_asked", epochs=epochs), samples, samples, "samples"),
        )
    state, out = build(with_samples(found.scenario, found.samples + 1)), []
    for field, unit in (("time_s", "s"), ("cost_usd", "USD")):
        limit = getattr(budget, field)
        free = budget_goal(found.scenario.budget, **{field: None}, per_usd=1.0)
        if limit is not None and find(View(state, free)) is not None:
            key = "budget.time" if field == "time_s" else "budget.cost"
            text = say(f"most_training.ends_{field}", limit=limit, epochs=epochs, confidence=budget.confidence)
            out.append(Binding(key, text, limit, limit, unit))
    return tuple(out)
