"""The space that a proof counts, in a sentence: its rules, and what the scenario pins or bounds of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from planner.scenario import IntChoice, Scenario
from planner.search.problem import Problem
from planner.words import Sentence, say

ALL = (None, (), IntChoice())  # what leaves a key open
NO_RULE = ("memory_headroom",)  # what fits is told apart, not counted


def space_of(problem: Problem) -> Sentence:
    """What the proof of a problem's best plan is over."""
    batches, pinned = problem.batches, list(pins(problem.scenario))
    rules = {
        "offers": len(problem.offers),
        "gpus": problem.scenario.cluster.max_gpus,
        "frameworks": sorted({pool.setting.framework for pool in problem.pools}),
        "batches": say("space.batch", batch=batches.high),
    }
    if batches.high > batches.low:
        rules["batches"] = say("space.batches", low=batches.low, high=batches.high)
    return say("space.pinned", pinned=pinned, **rules) if pinned else say("space.all", **rules)


def pins(scenario: Scenario) -> Iterator[str]:
    """Every key that leaves a part of the space out, with its value, as a scenario's file has them."""
    for field in fields(scenario.layout):
        value = getattr(scenario.layout, field.name)
        if field.name not in NO_RULE and value not in ALL:
            yield f"layout.{field.name}: {_written(value)}"
    batch, ramp = scenario.training.global_batch, scenario.training.batch_ramp
    if batch is not None and (len(batch.values) > 1 or (batch.multiple_of or 1) > 1):
        yield f"training.global_batch: {_written(batch)}"
    if ramp is not None:
        yield f"training.batch_ramp: {{start: {ramp.start}, increment: {ramp.increment}}}"


def _written(value: IntChoice | tuple[str, ...] | bool | float) -> str:
    """A value of a file, in one line of YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, IntChoice) and not value.values:
        bounds = {"min": value.minimum, "max": value.maximum, "multiple_of": value.multiple_of}
        return "{" + ", ".join(f"{key}: {n}" for key, n in bounds.items() if n is not None) + "}"
    many = value.values if isinstance(value, IntChoice) else value
    if not isinstance(many, tuple):
        return f"{many:g}"
    return str(many[0]) if len(many) == 1 else f"[{', '.join(map(str, many))}]"
