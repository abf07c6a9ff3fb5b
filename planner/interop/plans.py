"""Saved answers of `planner optimize`: read for export and tracking, with what they train."""

from __future__ import annotations

from pathlib import Path

from planner.interop.files import read_text
from planner.plan import Optimization, Trained
from planner.scenario import Scenario
from planner.units import PlannerError

MAX_PLAN_BYTES = 64 << 20


def read_plan(path: Path) -> Optimization:
    """A saved `optimize --json` document.

    Raises
    ------
    PlannerError
        If it cannot be read, is no such document, or holds no plan.
    """
    text = read_text(path, MAX_PLAN_BYTES)
    try:
        answer = Optimization.from_json(text)
    except PlannerError as error:
        raise PlannerError(f"{path}: {error}; `planner optimize SCENARIO -o FILE` saves one") from error
    if answer.plan is None:
        raise PlannerError(f"{path} holds no plan: nothing met its budgets; plan again with others first.")
    return answer


def trained_of(scenario: Scenario) -> Trained:
    """What a scenario trains, as a saved answer holds it."""
    ramp = scenario.training.batch_ramp
    indexed = [source for source in scenario.data if source.index is not None]
    return Trained(
        model=scenario.model,
        data_index=tuple(str(source.index) for source in indexed),
        data_weights=tuple(source.weight for source in indexed) if len(indexed) > 1 else (),
        data_split=next((source.split for source in indexed if source.split), ""),
        batch_ramp=(ramp.start, ramp.increment, ramp.samples) if ramp else (),
        evaluation_interval=scenario.training.evaluation_interval,
        evaluation_iterations=scenario.training.evaluation_iterations,
    )
