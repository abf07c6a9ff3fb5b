"""The completion model: its line never passes the time it bounds."""

from __future__ import annotations

import numpy as np
import pytest
from test_risk_completion import random_plans

from planner.results.plan import Overhead
from planner.risk.completion import NO_OVERHEAD
from planner.search.completion_model import completion_model


@pytest.mark.parametrize("p", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("overhead", [NO_OVERHEAD, Overhead(log_more=0.09), Overhead(1.05, 0.2)])
def test_the_slope_bounds_the_time_of_every_run_from_the_shortest_on(p, overhead):
    work, low, high, hazard = random_plans(300, 9)
    spread = (np.exp(-1.2815515655446004 * low), np.ones(300), np.exp(1.2815515655446004 * high))
    model = completion_model(spread, hazard, work, overhead)
    cells = np.arange(300)
    for stretch in (1.0, 1.001, 1.5, 10.0):
        time = model.time_s(p, work * stretch, cells)
        assert np.all(time >= model.slope(p) * work * stretch * (1 - 1e-9))
        # and is not a loose bound: failures seldom add more than a few per cent
        assert np.median(time / (model.slope(p) * work * stretch)) < 1.05


def test_time_rises_with_the_work_across_the_first_checkpoint():
    _, low, high, hazard = random_plans(20, 10)
    spread = (np.exp(-low), np.ones(20), np.exp(high))
    cells = np.arange(20)
    around = hazard.interval_s * np.linspace(0.9, 1.1, 15)[:, None]
    model = completion_model(spread, hazard, around[0], Overhead(log_more=0.09))
    for p in (0.2, 0.5, 0.9):
        times = np.array([model.time_s(p, row, cells) for row in around])
        assert np.all(np.diff(times, axis=0) > 0)
