"""A programme simulated event by event: the check on the chances that its answer states."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.catalog import Catalog
from planner.money import Money, in_its_money
from planner.performance.arrays import FloatArray
from planner.performance.calibration import Calibration
from planner.results.plan import Quantiles
from planner.results.result import InfeasibleError, Result
from planner.risk.replay import run_of
from planner.risk.simulation import simulate
from planner.search.programme_answers import answer_of, quantiles
from planner.search.programmes import choose_calendar, draw_worlds, study_of
from planner.spec.programme import Programme
from planner.words import say


@dataclass(frozen=True, slots=True)
class StageReplay:
    """When a stage ends, and whether by its planned day."""

    name: str
    end_s: Quantiles
    p_by_planned: float
    stated_end_s: Quantiles
    stated_p_by_planned: float


@dataclass(frozen=True, slots=True, repr=False)
class ProgrammeReplay(Result):
    """What `planner simulate` answers for a scenario with `stages`."""

    schema_version: int
    kind: str
    name: str
    worlds: int
    seed: int
    stated_time_s: Quantiles
    time_s: Quantiles
    stated_cost_usd: Quantiles
    cost_usd: Quantiles
    stated_p_within_time: float | None
    p_within_time: float | None
    stated_p_within_cost: float | None
    p_within_cost: float | None
    largest_quantile_error: float
    stages: tuple[StageReplay, ...]
    basis: str
    money: Money | None = None


@in_its_money
def simulate_programme(
    programme: Programme, catalog: Catalog, calibration: Calibration, *, worlds: int, seed: int
) -> ProgrammeReplay:
    """The best calendar of a programme, its runs drawn failure by failure.

    Raises
    ------
    InfeasibleError
        If there is no calendar.
    """
    study = study_of(programme, catalog, calibration)
    found = choose_calendar(study)
    if found is None:
        raise InfeasibleError(say("programme_replay.no_calendar"))
    answer = answer_of(study, found)
    assert answer.time_s is not None  # noqa: S101 - it has a calendar
    assert answer.cost_usd is not None  # noqa: S101
    runs = [run_of(stage.plan) for stage in answer.stages]

    def draw(number: int, deviations: FloatArray, rng: np.random.Generator) -> FloatArray:
        drawn = simulate(runs[number], len(deviations), int(rng.integers(2**31)), deviations=deviations)
        return drawn.time_s

    simulated = draw_worlds(study, found.schedule, found.picks, found.parts, worlds, seed, draw)
    budget = programme.budget
    time, cost = quantiles(simulated.finish_s), quantiles(simulated.total_usd)
    pairs = ((answer.time_s, time), (answer.cost_usd, cost))
    stages = tuple(
        StageReplay(
            stage.name,
            quantiles(ends),
            float(np.mean(ends <= stage.milestone.planned_day * 86400.0)),
            stage.milestone.end_s,
            stage.milestone.p_by_planned,
        )
        for stage, ends in zip(answer.stages, simulated.ends_s, strict=True)
    )
    return ProgrammeReplay(
        schema_version=1,
        kind="programme",
        name=programme.name,
        worlds=worlds,
        seed=seed,
        stated_time_s=answer.time_s,
        time_s=time,
        stated_cost_usd=answer.cost_usd,
        cost_usd=cost,
        stated_p_within_time=answer.p_within_time,
        p_within_time=None if budget.time_s is None else float(np.mean(simulated.finish_s <= budget.time_s)),
        stated_p_within_cost=answer.p_within_cost,
        p_within_cost=None if budget.cost_usd is None else float(np.mean(simulated.total_usd <= budget.cost_usd)),
        largest_quantile_error=max(
            abs(getattr(b, p) / getattr(a, p) - 1.0) for a, b in pairs for p in ("p10", "p50", "p90") if getattr(a, p)
        ),
        stages=stages,
        basis=say("programmes.chance_basis"),
        money=answer.provenance.money,
    )
