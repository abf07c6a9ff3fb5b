"""GPU-hours and money of a run as accounting says them, reconciled with its plan to the cent.

What was used comes from Slurm and is priced as the plan prices it, or from a cost export and is what was billed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from planner.money import USD, Money
from planner.results.answers import StatedGoal
from planner.results.plan import Plan
from planner.results.result import Result
from planner.tracking.cents import allotted, cents, shares
from planner.tracking.usage import HOUR_S, LONGEST_S, YEARS, Allocation, Bill, Charge, Usage, seconds_by_day
from planner.units import PlannerError
from planner.words import say


@dataclass(frozen=True, slots=True)
class Balance:
    """An amount of the plan, what was used of it, and what is left: planned = used + left."""

    planned: float
    used: float
    left: float  # below 0: more was used than planned


@dataclass(frozen=True, slots=True)
class MoneyBalance:
    """The same in USD, to the cent."""

    planned: Decimal
    used: Decimal
    left: Decimal


@dataclass(frozen=True, slots=True)
class StateUse:
    """What went into jobs of one state (Slurm), or charges of one category and kind (a cost export)."""

    state: str
    kind: str  # finished | running | interrupted | wasted | waiting; machines | storage | network | other
    count: int
    gpu_hours: float
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class JobUse:
    """One job with all its starts, or one resource of a cost export."""

    job: str
    name: str
    state: str  # of its last start
    starts: int
    gpus: int  # of its last start; 0: not said
    gpu_hours: float
    wasted_gpu_hours: float
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class DayUse:
    """One day: what the plan has of it, and what was used. All days add up to the sums."""

    day: date
    planned_gpu_hours: float
    gpu_hours: float
    wasted_gpu_hours: float
    planned_cost_usd: Decimal
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Waste:
    """What jobs used that ended in no success: at most so much was lost, as checkpoints may have kept some of it."""

    gpu_hours: float
    share: float  # of the GPU-hours used
    cost_usd: Decimal


@dataclass(frozen=True, slots=True)
class Outlook:
    """Where the run leads if what is left goes as what is done went."""

    gpu_hours: float
    cost_usd: Decimal
    against_plan_usd: Decimal
    budget_usd: Decimal | None
    within_budget: bool | None
    basis: str


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Actuals(Result):
    """A run's GPU-hours and money against its plan. Money is USD to the cent, all parts add up to their sums.

    Of a plan that counts hours, amounts are those hours.
    """

    schema_version: int = 1
    source: str  # slurm | focus
    usd_per_gpu_hour: float  # the plan's price
    gpu_hours: Balance
    cost_usd: MoneyBalance
    effective_cost_usd: Decimal | None  # a cost export's, commitments spread over their use
    tax_usd: Decimal  # apart: a plan has none
    wasted: Waste | None  # None: a bill does not tell
    by_state: tuple[StateUse, ...]
    by_job: tuple[JobUse, ...]
    by_day: tuple[DayUse, ...]
    outlook: Outlook | None  # None: nothing says how much of the work is done
    rows: int  # allocations, or charges
    rows_left_out: int  # steps and repetitions, or rows that are not of the run
    remarks: tuple[str, ...]
    money: Money = USD  # the plan's unit


@dataclass
class _Tally:
    """GPU-seconds and exact USD of whatever is added up."""

    count: int = 0
    gpu_seconds: int = 0
    wasted: int = 0
    usd: Fraction = Fraction(0)

    def add(self, gpu_seconds: int, usd: Fraction, *, wasted: bool = False) -> None:
        self.count += 1
        self.gpu_seconds += gpu_seconds
        self.wasted += gpu_seconds if wasted else 0
        self.usd += usd


def reconcile_usage(usage: Usage, plan: Plan, goal: StatedGoal | None = None, start: date | None = None) -> Actuals:
    """Slurm's allocations against the plan, at the plan's price.

    Parameters
    ----------
    usage : what the dump said
    plan : what the run was planned to be
    goal : the budgets it was planned within
    start : the first day of the plan; None: of the first job

    Raises
    ------
    PlannerError
        If no job of the dump ever ran on a GPU.
    """
    if not any(each.gpu_seconds for each in usage.allocations):
        raise PlannerError(say("actuals.no_gpu", jobs=len(usage.allocations)))
    price = Fraction(str(plan.offer.usd_per_gpu_hour)) / HOUR_S
    states, jobs, days = _tallies(), _tallies(), _tallies()
    last: dict[str, Allocation] = {}
    for each in sorted(usage.allocations, key=lambda each: (each.start is None, str(each.start))):
        bad = each.kind == "wasted"
        for tally in (states[each.state], jobs[each.job]):
            tally.add(each.gpu_seconds, each.gpu_seconds * price, wasted=bad)
        for day, seconds in each.by_day().items():
            days[day].add(seconds, seconds * price, wasted=bad)
        if each.start is not None or each.job not in last:
            last[each.job] = each
    hours, money = _sums(plan, jobs)
    waste = _waste(jobs, hours.used)
    return Actuals(
        source="slurm",
        usd_per_gpu_hour=plan.offer.usd_per_gpu_hour,
        gpu_hours=hours,
        cost_usd=money,
        effective_cost_usd=None,
        tax_usd=cents(0),
        wasted=waste,
        by_state=_by_state(states, {each.state: each.kind for each in usage.allocations}),
        by_job=_by_job(jobs, {job: (a.name, a.state, a.gpus) for job, a in last.items()}),
        by_day=_by_day(days, plan, start),
        outlook=_outlook(plan, goal, hours, money, waste),
        rows=len(usage.allocations),
        rows_left_out=usage.steps + usage.repeated,
        remarks=(*usage.remarks, *_left_out(plan)),
    )


def reconcile_bill(bill: Bill, plan: Plan, start: date | None = None) -> Actuals:
    """What was billed against the plan; taxes stand apart, and what was lost a bill does not tell.

    Raises
    ------
    PlannerError
        If no row is of the run.
    """
    charges = [each for each in bill.charges if each.category != "Tax"]
    if not charges:
        raise PlannerError(say("actuals.no_charge", others=bill.left_out))
    kinds, jobs, days = _tallies(), _tallies(), _tallies()
    for each in charges:
        usd, seconds = Fraction(each.billed), each.gpu_seconds or 0
        for tally in (kinds[f"{each.category}, {each.kind}"], jobs[each.resource or each.service]):
            tally.add(seconds, usd)
        for day, part in _spread(each).items():
            days[day].add(part.gpu_seconds, part.usd)
    hours, money = _sums(plan, jobs)
    effective = [each.effective for each in charges if each.effective is not None]
    return Actuals(
        source="focus",
        usd_per_gpu_hour=plan.offer.usd_per_gpu_hour,
        gpu_hours=hours,
        cost_usd=money,
        effective_cost_usd=cents(sum(effective, Decimal(0))) if len(effective) == len(charges) else None,
        tax_usd=cents(sum((each.billed for each in bill.charges if each.category == "Tax"), Decimal(0))),
        wasted=None,
        by_state=_by_state(kinds, {f"{each.category}, {each.kind}": each.kind for each in charges}),
        by_job=_by_job(jobs, {each.resource or each.service: (each.service, each.category, 0) for each in charges}),
        by_day=_by_day(days, plan, start),
        outlook=None,
        rows=len(bill.charges),
        rows_left_out=bill.left_out,
        remarks=bill.remarks,
    )


def planned_gpu_seconds(plan: Plan) -> int:
    """GPU-seconds that the median run is planned to be allocated."""
    if plan.gpu_hours is not None:
        return round(plan.gpu_hours.allocated * HOUR_S)
    return round(plan.paid_gpus * plan.time_s.p50)


def planned_days(plan: Plan, start: date) -> dict[date, int]:
    """Seconds of the median run by day, from the beginning of `start` on.

    Raises
    ------
    PlannerError
        If it takes more than 20 years, or the calendar ends before.
    """
    first, length = datetime.combine(start, datetime.min.time()), max(1.0, plan.time_s.p50)
    if length > LONGEST_S or start.year not in YEARS:
        years = {"first": YEARS.start, "last": YEARS.stop - 1}
        raise PlannerError(say("actuals.too_long", length=length, start=start, **years))
    return seconds_by_day(first, first + timedelta(seconds=round(length)))


def _tallies() -> dict[Any, _Tally]:
    return defaultdict(_Tally)


def _spread(charge: Charge) -> dict[date, _Tally]:
    """A charge by day, evenly over its period."""
    days = charge.by_day()
    parts = shares(charge.gpu_seconds or 0, list(days.values()))
    whole = sum(days.values())
    return {
        day: _Tally(1, part, 0, Fraction(charge.billed) * Fraction(seconds, whole))
        for (day, seconds), part in zip(days.items(), parts, strict=True)
    }


def _sums(plan: Plan, jobs: Mapping[str, _Tally]) -> tuple[Balance, MoneyBalance]:
    planned, used = planned_gpu_seconds(plan), sum(each.gpu_seconds for each in jobs.values())
    money, spent = cents(plan.cost_usd.p50), cents(sum((each.usd for each in jobs.values()), Fraction(0)))
    hours = Balance(planned / HOUR_S, used / HOUR_S, (planned - used) / HOUR_S)
    return hours, MoneyBalance(money, spent, money - spent)


def _waste(jobs: Mapping[str, _Tally], used: float) -> Waste:
    wasted = sum(each.wasted for each in jobs.values())
    whole = sum(each.gpu_seconds for each in jobs.values())
    usd = sum((each.usd * each.wasted / each.gpu_seconds for each in jobs.values() if each.wasted), Fraction(0))
    return Waste(wasted / HOUR_S, wasted / whole if used else 0.0, cents(usd))


def _by_state(states: Mapping[str, _Tally], kinds: Mapping[str, str]) -> tuple[StateUse, ...]:
    money = dict(zip(states, allotted([each.usd for each in states.values()]), strict=True))
    rows = [
        StateUse(state, kinds[state], each.count, each.gpu_seconds / HOUR_S, money[state])
        for state, each in states.items()
    ]
    return tuple(sorted(rows, key=lambda row: (-row.gpu_hours, -row.cost_usd, row.state)))


def _by_job(jobs: Mapping[str, _Tally], last_starts: Mapping[str, tuple[str, str, int]]) -> tuple[JobUse, ...]:
    money = allotted([each.usd for each in jobs.values()])
    return tuple(
        JobUse(
            job,
            *last_starts[job][:2],
            each.count,
            last_starts[job][2],
            each.gpu_seconds / HOUR_S,
            each.wasted / HOUR_S,
            usd,
        )
        for (job, each), usd in zip(jobs.items(), money, strict=True)
    )


def _by_day(days: Mapping[date, _Tally], plan: Plan, start: date | None) -> tuple[DayUse, ...]:
    """Days of the plan, laid from `start` or the first day of use on, beside those of use."""
    planned = planned_days(plan, start or min(days))
    seconds = dict(zip(planned, shares(planned_gpu_seconds(plan), list(planned.values())), strict=True))
    whole, money = sum(planned.values()), Fraction(cents(plan.cost_usd.p50))
    every = sorted({*planned, *days})
    plans = allotted([money * Fraction(planned.get(day, 0), whole) for day in every])
    used = [days.get(day, _Tally()) for day in every]
    spent = allotted([each.usd for each in used])
    return tuple(
        DayUse(day, seconds.get(day, 0) / HOUR_S, each.gpu_seconds / HOUR_S, each.wasted / HOUR_S, plans[i], spent[i])
        for i, (day, each) in enumerate(zip(every, used, strict=True))
    )


def _outlook(plan: Plan, goal: StatedGoal | None, hours: Balance, money: MoneyBalance, waste: Waste) -> Outlook:
    """Work to be done is the plan's without its failures; work done is what was used without what was wasted."""
    failing = 0.0 if plan.gpu_hours is None else plan.gpu_hours.failures
    work, done = hours.planned - failing, hours.used - waste.gpu_hours
    left = max(0.0, work - done)
    more = left * (hours.used / done if done > 0 else 1.0)
    usd = money.used + cents(more * plan.cost_usd.p50 / hours.planned)
    limit = None if goal is None or goal.cost_usd is None else cents(goal.cost_usd)
    return Outlook(
        hours.used + more,
        usd,
        usd - money.planned,
        limit,
        None if limit is None else usd <= limit,
        say("actuals.outlook"),
    )


def _left_out(plan: Plan) -> tuple[str, ...]:
    """What the plan's cost holds that Slurm's hours do not."""
    bill = plan.billing
    if bill is None or not (bill.storage_usd_per_hour or bill.egress_usd):
        return ()
    left_out_usd = bill.storage_usd_per_hour * plan.time_s.p50 / HOUR_S + bill.egress_usd
    return (say("actuals.beside", usd=float(cents(left_out_usd))),)
