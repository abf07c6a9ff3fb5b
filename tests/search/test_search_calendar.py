"""Calendars: the MILP equals trying every schedule; what is shared over time is never overdrawn."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from programme_enumeration import best_by_trying

from planner.search.calendar import Calendar, Choice, Link, Schedule, Task, makespan, objective, problems, spans
from planner.search.calendar_milp import solve


def calendar_of(seed: int) -> Calendar:
    """A small programme: order, windows, quotas over time, places, clusters, reservations, deadlines and a budget."""
    rng = random.Random(seed)  # noqa: S311 - nobody's secret hangs on it
    horizon, resources = rng.randint(4, 8), rng.randint(0, 2)
    limits = tuple(np.array([float(rng.choice([2, 4, 4, 6])) for _ in range(horizon)]) for _ in range(resources))
    limits = tuple(np.full(horizon, limit[0]) if rng.random() < 0.5 else limit for limit in limits)
    reservations = tuple(float(rng.randint(0, 9)) for _ in range(rng.randint(0, 1)))
    tasks: list[Task] = []
    for number in range(rng.randint(1, 3)):
        choices = tuple(_choice(rng, horizon, resources, len(reservations)) for _ in range(rng.randint(1, 3)))
        after = tuple(j for j in range(number) if rng.random() < 0.4)
        tied = {"place": rng.random() < 0.3, "cluster": rng.random() < 0.2}
        link = None
        if number and rng.random() < 0.4:
            link = Link(rng.randrange(number), **tied, move_days=rng.randint(0, 2), move_cost=float(rng.randint(0, 4)))
        deadline = rng.randint(2, horizon) if rng.random() < 0.3 else None
        tasks.append(Task(choices, after, link, rng.choice([0, 0, 1]), deadline))
    budget = None if rng.random() < 0.3 else float(rng.randint(5, 40))
    weights = rng.choice([(1.0, 0.0), (0.0, 1.0), (1.0, 2.5)])
    return Calendar(tuple(tasks), horizon, limits, reservations, budget, *weights)


def _choice(rng: random.Random, horizon: int, resources: int, reservations: int) -> Choice:
    uses = tuple((of, float(rng.choice([1, 2, 3, 4]))) for of in range(resources) if rng.random() < 0.7)
    return Choice(
        days=rng.randint(1, 3),
        cost=float(rng.randint(0, 15)),
        value=float(rng.randint(0, 15)),
        uses=uses,
        opens=rng.choice([0, 0, 0, 1]),
        closes=rng.choice([None, None, rng.randint(2, horizon)]),
        place=rng.randint(0, 1),
        cluster=rng.randint(0, 1),
        reservation=0 if reservations and rng.random() < 0.4 else None,
    )


@pytest.mark.parametrize("seed", range(200))
def test_the_milp_equals_every_schedule(seed: int) -> None:
    calendar = calendar_of(seed)
    found, best = solve(calendar), best_by_trying(calendar)
    if best is None:
        assert found is None
    else:
        assert found is not None
        assert problems(calendar, found) == []
        assert objective(calendar, found) == pytest.approx(best, rel=1e-9, abs=1e-9)


def test_most_random_programmes_have_an_answer_and_some_have_none() -> None:
    answers = [solve(calendar_of(seed)) is not None for seed in range(200)]
    assert 100 < sum(answers) < 190


def test_two_runs_that_fill_one_quota_go_one_after_the_other() -> None:
    whole = Task((Choice(14, 1.0, 1.0, ((0, 96.0),)),))
    calendar = Calendar((whole, whole), 30, (np.full(30, 96.0),))
    found = solve(calendar)
    assert found is not None
    assert sorted(found.starts) == [0, 14]
    assert solve(replace(calendar, horizon=27, limits=(np.full(27, 96.0),))) is None


def test_without_a_quota_they_go_together() -> None:
    whole = Task((Choice(14, 1.0, 1.0),))
    found = solve(Calendar((whole, whole), 30))
    assert found is not None
    assert found.starts == (0, 0)


def test_a_reservation_is_paid_once_whoever_is_on_it() -> None:
    on, beside = Choice(2, 0.0, 0.0, reservation=0), Choice(2, 6.0, 6.0)
    tasks = (Task((on, beside)), Task((on, beside), after=(0,)))
    found = solve(Calendar(tasks, 9, (), (10.0,)))
    assert found is not None
    assert found.picked == (0, 0)
    assert solve(Calendar(tasks[:1], 9, (), (10.0,))).picked == (1,)  # type: ignore[union-attr]


def test_moving_takes_days_and_money() -> None:
    here, there = Choice(3, 5.0, 5.0, place=0), Choice(3, 1.0, 1.0, place=1)
    tasks = (Task((here,)), Task((here, there), link=Link(0, move_days=2, move_cost=3.0)))
    found = solve(Calendar(tasks, 9))
    assert found is not None
    assert (found.picked, found.starts) == ((0, 1), (0, 5))
    assert solve(Calendar(tasks, 7)).picked == (0, 0)  # type: ignore[union-attr]


def test_of_equally_quick_schedules_the_cheapest_is_chosen() -> None:
    tasks = (Task((Choice(2, 9.0, 9.0), Choice(2, 1.0, 1.0))), Task((Choice(5, 1.0, 1.0),)))
    found = solve(Calendar(tasks, 9, per_cost=0.0, per_day=1.0))
    assert found is not None
    assert found.picked == (1, 0)
    assert makespan(Calendar(tasks, 9), found) == 5


def test_the_days_of_a_task_s_machines_are_those_on_which_the_limits_allow_what_is_in_use() -> None:
    alone = Calendar((Task((Choice(2, 1.0, 1.0, ((0, 4.0),)),)),), 9, (np.array([2, 4, 4, 4, 4, 4, 2, 4, 4.0]),))
    assert spans(alone, Schedule((0,), (2,))) == [(1, 6)]
    assert spans(alone, Schedule((0,), (7,))) == [(7, None)]
    beside = replace(alone, tasks=(*alone.tasks, Task((Choice(3, 1.0, 1.0, ((0, 2.0),)),))))
    wider = replace(beside, limits=(np.array([2, 4, 6, 6, 6, 4, 2, 2, 2.0]),))
    assert spans(wider, Schedule((0, 0), (2, 2))) == [(2, 5), (2, None)]


def test_a_task_s_own_window_bounds_the_days_of_its_machines() -> None:
    task = Task((Choice(2, 1.0, 1.0, ((0, 1.0),), opens=1, closes=7),))
    assert spans(Calendar((task,), 9, (np.full(9, 4.0),)), Schedule((0,), (3,))) == [(1, 7)]
