"""The space that a proof counts, in a sentence: the rules of its layouts, and what the scenario pins of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from planner.performance.framework_table import framework
from planner.search.conditions import conditions_of
from planner.search.open_dimensions import has_groups, has_shares
from planner.search.search_space import SearchSpace
from planner.spec.scenario import IntChoice, Scenario
from planner.words import Sentence, say

OPEN = (None, (), IntChoice())  # what pins nothing
NO_RULE = ("memory_headroom",)  # of what fits, which is counted apart


def space_of(space: SearchSpace) -> Sentence:
    """What the proof of a best plan is over."""
    batches, pinned = space.batches, list(pins(space.scenario))
    frameworks = sorted({pool.setting.framework for pool in space.pools})
    counted = {
        "offers": len(space.offers),
        "gpus": space.scenario.cluster.max_gpus,
        "frameworks": frameworks,
        "rules": list(_rules(space.scenario, frameworks)),
        "batches": say("space_statement.batch", batch=batches.high),
    }
    if batches.high > batches.low:
        counted["batches"] = say("space_statement.batches", low=batches.low, high=batches.high)
    return say("space_statement.pinned", pinned=pinned, **counted) if pinned else say("space_statement.all", **counted)


def _rules(scenario: Scenario, frameworks: list[str]) -> Iterator[Sentence]:
    """What layouts differ in, of what any of these frameworks has and the model can use."""
    rows = [framework(name) for name in frameworks]
    stated = conditions_of(scenario)
    if any(row.tensor_parallel for row in rows):
        yield say("space_statement.tp")
    if any(row.pipeline_parallel for row in rows):
        yield say("space_statement.pp")
    if any(row.interleaving for row in rows):
        yield say("space_statement.vpp")
    if any(row.context_parallel for row in rows):
        yield say("space_statement.cp")
    if scenario.model.moe is not None and any(row.expert_parallel != "none" for row in rows):
        yield say("space_statement.ep")
    yield say(
        "space_statement.zero_in_groups" if any(has_groups(row, stated) for row in rows) else "space_statement.zero"
    )
    if any(row.sequence_parallel != "never" for row in rows):
        yield say("space_statement.sequence_parallel")
    yield say("space_statement.recompute_some" if any(has_shares(row) for row in rows) else "space_statement.recompute")


def pins(scenario: Scenario) -> Iterator[str]:
    """Every key that leaves a part of the space out, with its value, as a scenario's file has them."""
    for field in fields(scenario.layout):
        value = getattr(scenario.layout, field.name)
        if field.name not in NO_RULE and value not in OPEN:
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
        return str(many)
    return str(many[0]) if len(many) == 1 else f"[{', '.join(map(str, many))}]"
