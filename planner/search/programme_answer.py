"""What `planner optimize` answers for a programme; field for field its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from planner.results.answers import SCHEMA_VERSION, Default, Document, Provenance, StatedGoal, Trained
from planner.results.plan import Plan, Quantiles

WEEK, MONTH = 7, 30  # days of a period; a month is so long where no first day is known


@dataclass(frozen=True, slots=True)
class Milestone:
    """The end of a stage, and how sure it is. Days count from the programme's first, which is 0."""

    planned_day: int  # the day by whose beginning it is done, at the confidence
    planned_on: date | None
    end_s: Quantiles  # from the programme's first day, by simulation
    p_by_planned: float
    deadline_day: int | None  # the stage's own
    p_by_deadline: float | None


@dataclass(frozen=True, slots=True)
class Slack:
    """By how many days a stage may end later than planned, and what absorbs that."""

    total_days: int | None  # before the programme's or a stage's deadline is missed; None: there is no deadline
    free_days: int | None  # before any other stage begins later; None: nothing comes after it
    absorbed_by: str  # in words
    binds: bool  # any slip of it moves the end of the programme


@dataclass(frozen=True, slots=True)
class Move:
    """A checkpoint and data carried to another place."""

    source: str  # stage
    source_place: str  # cloud/region
    place: str
    gb: float  # 10^9 bytes
    time_s: float
    cost_usd: float


@dataclass(frozen=True, slots=True)
class StageAnswer:
    """What one stage gets: a plan, days, money."""

    name: str
    after: tuple[str, ...]
    inherits: tuple[str, ...]
    waits_for: tuple[str, ...]  # `after`, and what the calendar puts before it on the same machines or quota
    copies: int
    beside: int  # copies that run side by side
    opens_day: int  # from which its machines are there for it: it may begin then, if all that it waits for has ended
    start_day: int
    days: int  # whole days that are set aside, at the confidence
    starts_on: date | None
    ends_on: date | None  # the day by whose beginning it is done
    plan: Plan  # of one copy
    time_s: Quantiles  # of all copies, by simulation
    cost_usd: Quantiles  # of all copies and what is carried, by simulation
    cost_sure_usd: float  # at the confidence, as the budget counts it
    gpu_hours: float  # allocated, all copies, at the median
    node_hours: float
    reservation: str  # that it is on; "": none
    move: Move | None
    milestone: Milestone
    slack: Slack
    storage_gb: float  # of its checkpoints, kept while it lasts, and its data
    trained: Trained | None = None


@dataclass(frozen=True, slots=True)
class ResourceUse:
    """A quota, a reservation or own machines, over the calendar."""

    key: str  # cluster.quotas[...] as written, or the machines' name
    most: float  # GPUs there are on the best day
    used: float  # GPUs in use on the fullest day
    full_days: int  # on which nothing is left of it
    text: str


@dataclass(frozen=True, slots=True)
class Bought:
    """A reservation that is paid whole."""

    name: str
    cost_usd: float
    used: float  # share of its GPU-days that stages are on it


@dataclass(frozen=True, slots=True)
class Cash:
    """What is paid in one period: at the confidence, as the budget counts it."""

    period: str  # its name: "2027-02", or "month 1" (of `MONTH` days), "week 1"; `first_day` tells which it is
    first_day: int
    cost_usd: float
    by_stage: Mapping[str, float] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ProgrammeAsk:
    """What the programme asks for: the median, and a contingency that lifts it to the confidence."""

    expected_usd: float  # p50 of the sum
    contingency_usd: float  # up to the quantile of the sum at the confidence
    total_usd: float
    confidence: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProgrammeAnswer(Document):
    """The answer of `planner optimize` for a scenario with `stages`."""

    schema_version: int = SCHEMA_VERSION
    kind: str = "programme"
    status: str  # optimal | infeasible
    reason: str  # why infeasible, "" if not
    changes: tuple[str, ...]  # what would make it feasible
    objective: float | None  # of the surrogate
    unit: str  # USD or days
    goal: StatedGoal
    stages: tuple[StageAnswer, ...]
    resources: tuple[ResourceUse, ...]
    reservations: tuple[Bought, ...]
    end_day: int | None  # the day by whose beginning all is planned to be done
    ends_on: date | None
    time_s: Quantiles | None  # of the whole, by simulation
    cost_usd: Quantiles | None
    p_within_time: float | None
    p_within_cost: float | None
    p_within_both: float | None
    surrogate_cost_usd: float | None  # the sum of the stages' costs at the confidence
    ask: ProgrammeAsk | None
    cash_by_month: tuple[Cash, ...]
    cash_by_week: tuple[Cash, ...]
    plans: int  # candidate plans of all stages
    thrown_out: int  # calendars that kept the surrogate's budgets and broke the true ones
    statement: str  # what was searched, and of what the answer is the best
    chance_basis: str  # what is drawn once, and what apart
    defaults: tuple[Default, ...]
    warnings: tuple[str, ...]
    provenance: Provenance
