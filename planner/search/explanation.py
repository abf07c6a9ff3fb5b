"""What `explain` answers with, field for field its JSON."""

from __future__ import annotations

from dataclasses import dataclass

from planner.results.answers import SCHEMA_VERSION, Binding, Certificate, Document, Infeasible, Provenance, StatedGoal
from planner.results.plan import Plan


@dataclass(frozen=True, slots=True)
class Worth:
    """What a little more of one limit is worth, by solving again."""

    key: str  # of the scenario: budget.time, budget.cost, cluster.max_gpus, cluster.quotas[0]
    more: str  # how much more, as a person writes it
    # In the objective's unit (epochs or tokens, where the most of them is asked for); negative is better.
    objective_change: float | None  # None: infeasible before or after
    text: str
    plan: Plan | None  # that it would buy; None if nothing changes


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How wrong a prediction may be before the decision is another."""

    gpu: str
    factor: float  # on the throughput of that GPU
    text: str


@dataclass(frozen=True, slots=True)
class WhyNot:
    """Why a named alternative is not the plan."""

    asked: str
    status: str  # best | loses | over budget | does not fit | not offered
    loses_by: float | None  # in the objective's unit
    text: str
    plan: Plan | None


@dataclass(frozen=True, slots=True)
class Near:
    """A plan that cannot be told from the best within the prediction's spread."""

    objective_change: float
    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Explanation(Document):
    """The answer of `planner explain`."""

    schema_version: int = SCHEMA_VERSION
    status: str  # optimal | infeasible
    plan: Plan | None
    unit: str  # of the objective: USD | s
    binding: tuple[Binding, ...]
    worth: tuple[Worth, ...]
    tolerances: tuple[Tolerance, ...]
    near: tuple[Near, ...]
    simplest: Plan | None  # the simplest layout on the plan's machines within the spread, where simpler
    why_not: tuple[WhyNot, ...]
    infeasibility: Infeasible | None
    certificate: Certificate
    provenance: Provenance
    goal: StatedGoal | None = None
