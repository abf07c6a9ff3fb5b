"""Where a programme stands: stages done, running and to come, end and cost to expect, and what is left of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from planner.money import Money
from planner.results.plan import OfferRef, Quantiles
from planner.results.result import Result
from planner.search.programme_answer import ProgrammeAnswer, StageAnswer
from planner.spec.programme import Programme, Reservation, Stage
from planner.spec.scenario import Cluster
from planner.tracking.progress import Progress
from planner.tracking.replan import data_left, refuse_spent

DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class StageNow:
    """A stage against its plan."""

    name: str
    status: str  # finished | running | to come
    share_done: float
    start_day: float  # as it was, or as it is to be expected
    end_day: Quantiles
    planned_end_day: int
    cost_usd: Quantiles  # of the whole stage
    planned_cost_usd: float  # p50
    late_days: float  # p50 of its end against the planned day; below 0: early
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ProgrammeProgress(Result):
    """The answer of `planner track` for a programme."""

    schema_version: int = 1
    kind: str = "programme"
    name: str
    day: float  # of the programme, as its logs have it
    stages: tuple[StageNow, ...]
    end_day: Quantiles
    planned_end_day: int
    cost_usd: Quantiles
    spent_usd: float
    planned_cost_usd: float
    deadline_day: float | None
    missed: bool  # the median end is behind the deadline, or the median cost beyond the budget
    replanned: ProgrammeAnswer | None = None
    money: Money | None = None


def programme_progress(plan: ProgrammeAnswer, logs: Mapping[str, Progress]) -> ProgrammeProgress:
    """A programme's state from the progress of the stages that have a log.

    Stages without one are to come: each begins when those before it have ended, but not before its planned day where
    nothing before it is late, and takes what the plan says. Ranges of stages in turn are summed, as if all were slow
    together.
    """
    ends: dict[str, Quantiles] = {}
    stages = []
    for stage in sorted(plan.stages, key=lambda each: each.start_day):
        before = {name: ends[name] for name in stage.waits_for if name in ends}
        now = logs.get(stage.name)
        found = _with_log(stage, before, now) if now is not None else _to_come(stage, before)
        ends[stage.name] = found.end_day
        stages.append(found)
    order = [stage.name for stage in plan.stages]
    stages.sort(key=lambda each: order.index(each.name))
    end = Quantiles(*(max(getattr(s.end_day, p) for s in stages) for p in ("p10", "p50", "p90")))
    fixed = sum(each.cost_usd for each in plan.reservations)
    cost = Quantiles(*(fixed + sum(getattr(s.cost_usd, p) for s in stages) for p in ("p10", "p50", "p90")))
    goal = plan.goal
    deadline = None if goal.time_s is None else goal.time_s / DAY_S
    over = goal.cost_usd is not None and cost.p50 > goal.cost_usd
    return ProgrammeProgress(
        name=plan.provenance.scenario,
        day=max((s.start_day + s.progress.elapsed_s / DAY_S for s in stages if s.progress is not None), default=0.0),
        stages=tuple(stages),
        end_day=end,
        planned_end_day=plan.end_day or 0,
        cost_usd=cost,
        spent_usd=fixed + sum(_spent(s, plan) for s in stages),
        planned_cost_usd=0.0 if plan.cost_usd is None else plan.cost_usd.p50,
        deadline_day=deadline,
        missed=over or (deadline is not None and end.p50 > deadline),
        money=plan.provenance.money,
    )


def _spent(stage: StageNow, plan: ProgrammeAnswer) -> float:
    planned = next(each for each in plan.stages if each.name == stage.name)
    if stage.progress is None or planned.reservation:
        return 0.0
    return stage.progress.cost_so_far_usd * planned.copies


def _begin(stage: StageAnswer, before: Mapping[str, Quantiles], p: str) -> float:
    """The day on which a stage begins: as soon as all that it waits for is done, and its machines are there."""
    moves = {} if stage.move is None else {stage.move.source: stage.move.time_s / DAY_S}
    ends = [float(getattr(end, p)) + moves.get(name, 0.0) for name, end in before.items()]
    return max([float(stage.opens_day), *ends]) if ends else float(stage.start_day)


def _with_log(stage: StageAnswer, before: Mapping[str, Quantiles], now: Progress) -> StageNow:
    """A stage that has begun: when those before it had ended; each of its copies as the one whose log there is."""
    start, turns = _begin(stage, before, "p50"), -(-stage.copies // max(stage.beside, 1))
    end = Quantiles(*(start + turns * seconds / DAY_S for seconds in now.time_s))
    cost = stage.cost_usd if stage.reservation else now.cost_usd.line(stage.copies)  # a reservation is paid whole
    done = now.status == "finished"
    return StageNow(
        name=stage.name,
        status="finished" if done else "running",
        share_done=1.0 if done else now.share_done,
        start_day=start,
        end_day=end,
        planned_end_day=stage.milestone.planned_day,
        cost_usd=cost,
        planned_cost_usd=stage.cost_usd.p50,
        late_days=end.p50 - stage.milestone.planned_day,
        progress=now,
    )


def _to_come(stage: StageAnswer, before: Mapping[str, Quantiles]) -> StageNow:
    days = {p: getattr(stage.time_s, p) / DAY_S for p in ("p10", "p50", "p90")}
    end = Quantiles(*(_begin(stage, before, p) + days[p] for p in ("p10", "p50", "p90")))
    return StageNow(
        name=stage.name,
        status="to come",
        share_done=0.0,
        start_day=_begin(stage, before, "p50"),
        end_day=end,
        planned_end_day=stage.milestone.planned_day,
        cost_usd=stage.cost_usd,
        planned_cost_usd=stage.cost_usd.p50,
        late_days=end.p50 - stage.milestone.planned_day,
    )


def remaining_programme(programme: Programme, plan: ProgrammeAnswer, now: ProgrammeProgress) -> Programme | None:
    """The programme of what is left, from the present day on: stages to come, and what is left of those that run.

    A stage that runs stays on its machines. None where all is done.

    Raises
    ------
    PlannerError
        If nothing is left of a budget.
    """
    states = {stage.name: stage for stage in now.stages}
    left = [stage for stage in programme.stages if stage.name in states and states[stage.name].status != "finished"]
    if not left:
        return None
    today = math.floor(now.day)
    budget = programme.budget
    time_s = None if budget.time_s is None else budget.time_s - today * DAY_S
    cost = None if budget.cost_usd is None else budget.cost_usd - now.spent_usd
    refuse_spent(time_s, cost)
    index = {stage.name: i for i, stage in enumerate(left)}
    start = None if budget.start is None else budget.start + timedelta(days=today)
    names = [stage.name for stage in programme.stages]
    stages = tuple(_left(stage, states[stage.name], plan, names, index, today) for stage in left)
    return replace(
        programme,
        stages=stages,
        budget=replace(budget, time_s=time_s, cost_usd=cost, start=start, deadline=None),
        reservations=tuple(_reservations(programme, plan, today)),
    )


def _reservations(programme: Programme, plan: ProgrammeAnswer, today: int) -> Iterator[Reservation]:
    """Those that have not ended, from the present day on; what the plan has bought is paid."""
    paid = {each.name for each in plan.reservations}
    for each in programme.reservations:
        if each.until > today:
            own = replace(each.own, usd_per_gpu_hour=0.0) if each.own.name in paid else each.own
            yield Reservation(own, each.since - today, each.until - today)


def _left(
    stage: Stage, now: StageNow, plan: ProgrammeAnswer, names: list[str], index: Mapping[str, int], today: int
) -> Stage:
    """A stage of what is left; one that runs is what its log leaves, on the machines that it is on."""
    after = tuple(index[names[j]] for j in stage.after if names[j] in index)
    scenario, progress = stage.scenario, now.progress
    goes_on = bool(after) and names[stage.after[0]] in index
    inherits, copies = stage.inherits if goes_on else (), stage.copies
    if progress is not None:
        planned = next(each.plan for each in plan.stages if each.name == stage.name)
        training = replace(scenario.training, epochs=1.0, iterations=None, batch_ramp=None)
        cluster = replace(scenario.cluster, gpus=(planned.offer.gpu,), max_gpus=planned.gpus)
        cluster = _at(cluster, planned.offer)
        data = (data_left(progress),)
        scenario = replace(scenario, data=data, training=training, cluster=cluster, seq_length=planned.seq_length)
    elif stage.inherits and not inherits and not stage.may_move:  # what it goes on from lies where it was trained
        source = next(each.plan for each in plan.stages if each.name == names[stage.after[0]])
        scenario = replace(scenario, cluster=_at(scenario.cluster, source.offer))
    deadline = None if stage.deadline is None else stage.deadline - today
    return replace(
        stage,
        scenario=scenario,
        after=after,
        inherits=inherits,
        may_move=stage.may_move and bool(inherits),
        copies=copies,
        not_before=max(stage.not_before - today, 0),
        deadline=deadline,
    )


def _at(cluster: Cluster, offer: OfferRef) -> Cluster:
    """A cluster at the place of an offer alone."""
    if offer.pricing == "owned":
        own = tuple(each for each in cluster.own if each.name == offer.instance)
        return replace(cluster, own=own, own_only=True)
    regions = () if offer.region == "all" else (offer.region,)
    return replace(cluster, clouds=(offer.cloud,), regions=regions, own=())
