"""Answers: what was asked, the plans, the proof that one is best, and what would have to give."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Self

import planner.results.json_form as plan_json
from planner.money import HOLDERS, USD, Money, money_of, written_in
from planner.results.plan import Layout, Plan, recompute_words
from planner.results.result import Result
from planner.spec.model import ModelSpec
from planner.units import SPLIT, PlannerError
from planner.words import restored, say

SCHEMA_VERSION = 1


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another plan, and what a person might prefer it for. In JSON the plan's keys stand beside `why`."""

    why: str
    plan: Plan = field(metadata=plan_json.FLAT)


@dataclass(frozen=True, slots=True)
class GivenUp:
    """What a simpler layout than the optimum's costs, and what the optimum runs on the same machines."""

    amount: float  # of the objective
    unit: str  # s | USD
    share: float  # of the optimum
    layout: Layout
    global_batch: int  # sequences
    recompute_share: float  # of the layers that full recompute covers; 0 where it is not full
    shard_group: int | None  # GPUs over which states lie, where these are not all data-parallel ranks

    @property
    def recompute_words(self) -> str:
        """What is recomputed, as a plan says it."""
        return recompute_words(self.layout.recompute, self.recompute_share)


@dataclass(frozen=True, slots=True)
class Certificate:
    """Why no better plan is in the space: evaluated + all pruned = space. It proves the optimum of this model only."""

    space: int
    evaluated: int
    pruned: Mapping[str, int]  # rule -> candidates
    best: float | None
    bound: float | None
    gap: float | None  # 1 - bound / best; None if infeasible
    unit: str = "USD"  # of best and bound: USD | s
    statement: str = ""  # the space and what is proved, in a sentence


@dataclass(frozen=True, slots=True)
class Binding:
    """A limit that the plan sits on."""

    key: str  # of the scenario or the offer: budget.time, training.global_batch.max, offer.max_nodes, ...
    text: str  # a sentence: what binds and what that costs
    value: float | None = None
    limit: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """The smallest change of one thing that would make a scenario feasible."""

    key: str  # the scenario's key
    present: str  # as a person writes it
    needed: str
    text: str  # a sentence
    overrides: tuple[str, ...] = ()  # what makes it, each as `--set` takes it


@dataclass(frozen=True, slots=True)
class Infeasible:
    """Why nothing does, what the least time and the least cost are, and what would have to give."""

    reason: str
    least_time_s: float | None  # at the confidence asked for, whatever it costs
    least_cost_usd: float | None  # at the confidence asked for, however long it takes
    fastest: Plan | None
    cheapest: Plan | None
    changes: tuple[Change, ...]
    between: tuple[Alternative, ...] = ()  # where both budgets are given: plans that miss the two least


@dataclass(frozen=True, slots=True)
class Default:
    """A value that the scenario did not give, and what was taken."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class StatedGoal:
    """What was asked: the objective and the budgets."""

    objective: str  # cost | time | usd_per_day
    usd_per_day: float | None = None
    time_s: float | None = None
    cost_usd: float | None = None
    confidence: float | None = None
    start: date | None = None
    cost_stated: bool = True  # False: nothing was asked of cost, nor any price stated of one's own machines


@dataclass(frozen=True, slots=True)
class Provenance:
    """What an answer was made from. Digests are sha256 in hex; nothing here tells a machine or a clock."""

    planner: str  # version
    scenario: str  # its name
    scenario_digest: str
    catalog_digest: str
    calibration_digest: str
    offers: int | None = None  # eligible
    offers_left_out: Mapping[str, int] = field(default_factory=dict, hash=False)  # reason -> offers
    asked: Mapping[str, str] = field(default_factory=dict, hash=False)  # key of the scenario -> its value in words
    money: Money | None = None  # what amounts are written in, and its rate; where hours are counted, USD are hours


@dataclass(frozen=True, slots=True)
class Trained:
    """What is trained, so that a saved answer can be exported, simulated and tracked without its scenario."""

    model: ModelSpec
    data_index: tuple[str, ...] = ()  # path prefixes of Megatron/NeoX indices, as the scenario wrote them
    data_weights: tuple[float, ...] = ()
    data_split: str = field(  # train, validation and test by documents: "995,4,1"
        default="", metadata=plan_json.like(f"|{SPLIT}", "shares such as 995,4,1")
    )
    batch_ramp: tuple[int, ...] = ()  # start, increment (sequences), samples; empty: none
    evaluation_interval: int | None = None  # iterations
    evaluation_iterations: int | None = None


class Document(Result):
    """A result that is saved as one JSON document, and read back."""

    __slots__ = ()

    def to_json(self) -> str:
        """The document as text, ending in a newline; `sentences` in it says by code and values what its texts say."""
        return plan_json.dumps(self, sentences=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The result that `text` holds.

        Raises
        ------
        PlannerError
            If `text` is no such document, or one of a newer schema.
        """
        kind = cls.__name__.lower()
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            if isinstance(error, json.JSONDecodeError):
                raise PlannerError(say("answers.no_json_at", kind=kind, line=error.lineno)) from error
            raise PlannerError(say("answers.no_json", kind=kind)) from error
        if not isinstance(data, dict):
            raise PlannerError(say("answers.no_object", kind=kind, found=type(data).__name__))
        if data.get("kind") == "programme" and "kind" not in cls.__slots__:
            raise PlannerError(say("answers.programme"))
        version = data.get("schema_version")
        if version != SCHEMA_VERSION:
            raise PlannerError(say("answers.version", kind=kind, version=str(version), wanted=SCHEMA_VERSION))
        try:
            with written_in(_stated_money(data)):
                document = restored(data, data.pop("sentences", None))
            return plan_json.decode(cls, amounts_within(data, document), kind)
        except RecursionError as error:
            raise PlannerError(say("answers.too_deep", kind=kind)) from error
        except ValueError as error:
            raise PlannerError(say("answers.not_saved", kind=kind, why=error.args[0])) from error


def amounts_within(data: Mapping[str, Any], part: Any) -> Any:
    """A part of a saved document as it is decoded: amounts under one name, 0 on machines without a price."""
    return plan_json.zero_priced(plan_json.hours_within(part) if _stated_money(data).hours else part)


def _stated_money(part: Any) -> Money:
    """The unit that `money_of` finds in a saved document once it is read."""
    if isinstance(part, list):
        return money_of([_stated_money(each) for each in part])
    if not isinstance(part, Mapping):
        return USD
    name = next((name for name in HOLDERS if isinstance(part.get(name), list | dict)), "")
    return plan_json.decode(Money, part[name], "money") if name == "money" else _stated_money(part.get(name))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Optimization(Document):
    """The answer of `planner optimize`."""

    schema_version: int = SCHEMA_VERSION
    status: str  # optimal | infeasible
    plan: Plan | None
    alternatives: tuple[Alternative, ...]
    certificate: Certificate
    binding: tuple[Binding, ...]
    infeasibility: Infeasible | None
    defaults: tuple[Default, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
    goal: StatedGoal | None = None
    trained: Trained | None = None
    given_up: GivenUp | None = None  # None: the plan is the optimum


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Frontier(Document):
    """The answer of `planner frontier`: every plan that no other beats on all of `axes` by p50, fastest first."""

    schema_version: int = SCHEMA_VERSION
    status: str  # optimal | infeasible
    plans: tuple[Plan, ...]
    certificate: Certificate | None
    defaults: tuple[Default, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
    goal: StatedGoal | None = None
    axes: tuple[str, ...] = ("time", "cost")  # and "gpus", where fewer were asked to be better

    @property
    def best(self) -> Plan | None:
        """The plan that `optimize` would choose of these: of least objective within the budgets."""
        plans = [plan for plan in self.plans if plan.within_budget is not False]
        if self.goal is None or not plans:
            return None
        if self.goal.objective == "time":
            return min(plans, key=lambda plan: plan.time_s.p50)
        day = 0.0 if self.goal.objective == "cost" else self.goal.usd_per_day or 0.0
        return min(plans, key=lambda plan: plan.cost_usd.p50 + day * plan.time_s.p50 / 86400)


@dataclass(frozen=True, slots=True)
class Side:
    """One column of a comparison; without a plan it is infeasible, and `reason` says why."""

    label: str
    status: str  # optimal | infeasible
    plan: Plan | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between the sides of a comparison, and why."""

    key: str
    values: tuple[str, ...]  # one a side, as a person reads it
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Comparison(Document):
    """The answer of `planner compare`: scenarios, saved plans or one scenario's options side by side."""

    schema_version: int = SCHEMA_VERSION
    by: str | None  # offer | gpu | cloud | gpus; None: the sides were named
    sides: tuple[Side, ...]
    differences: tuple[Difference, ...]
    warnings: tuple[str, ...]
    provenance: tuple[Provenance, ...]
