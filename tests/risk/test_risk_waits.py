"""Long waits for spot nodes: the closed form of the delay against the event-by-event simulation."""

from __future__ import annotations

import numpy as np
import pytest

from planner.risk.checkpoint import optimal_interval
from planner.risk.completion import completion
from planner.risk.hazard import Hazard
from planner.risk.simulation import SimulatedRun, simulate

DAY = 86_400.0
WORLDS = 20_000


def waiting_plans(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Hazard]:
    """Runs of half a day to 90 days on 1 to 1,024 nodes, firm and spot, that wait 10 minutes to a day for a node."""
    rng = np.random.default_rng(seed)
    work = np.exp(rng.uniform(np.log(0.5 * DAY), np.log(90 * DAY), count))
    nodes = np.exp(rng.uniform(0, np.log(1024), count))
    preempted = nodes * np.where(rng.random(count) < 0.25, 0.0, np.exp(rng.uniform(np.log(1e-3), np.log(3e-2), count)))
    rate = (nodes * rng.uniform(2.3e-3, 6.5e-3, count) + preempted) / DAY
    share = preempted / DAY / rate
    wait = np.exp(rng.uniform(np.log(600), np.log(DAY), count))
    wait = np.minimum(wait, 0.7 / np.maximum(rate * share, 1e-30))  # half the time, or more, is not spent waiting
    pause = np.exp(rng.uniform(np.log(3), np.log(300), count))
    recover = rng.uniform(300, 2400, count) + (1.0 - share) * rng.choice([0.0, 3600.0], count)  # a spare node, or none
    low = rng.choice([0.03, 0.05, 0.1, 0.2], count)
    hazard = Hazard(rate, recover, share, wait, pause, optimal_interval(pause, rate))
    return work, low, low * rng.uniform(0.8, 1.5, count), hazard


def test_long_waits_keep_quantiles_within_one_percent_and_chances_within_a_hundredth():
    work, low, high, hazard = waiting_plans(120, 8)
    runs = completion(work, low, high, hazard)
    names = ("rate_per_s", "recover_s", "wait_share", "wait_s", "checkpoint_s", "interval_s")
    stated = {p: runs.quantile(p) for p in (0.5, 0.8, 0.9, 0.95)}
    for i in range(len(work)):
        asked = SimulatedRun(work[i], low[i], high[i], *(float(getattr(hazard, name)[i]) for name in names))
        drawn = simulate(asked, WORLDS, i)
        for p, quantile in stated.items():
            noise = 3.5 * np.sqrt(p * (1 - p) / WORLDS)
            below, above = drawn.quantile(p - noise), drawn.quantile(min(p + noise, 0.9999))
            assert 0.99 * below <= quantile[i] <= 1.01 * above, (i, p)
            chance = runs.take(np.array([i])).probability(drawn.quantile(p))[0]
            assert chance == pytest.approx(p, abs=0.01 + noise), (i, p)


def test_a_run_is_never_stated_shorter_than_its_work_and_checkpoints():
    work, low, high, hazard = waiting_plans(200, 9)
    runs = completion(work, low, high, hazard)
    for z, p in ((-1.2815515655446004, 0.1), (1.2815515655446004, 0.9)):
        factor = np.exp(z * (low if z < 0 else high))
        assert np.all(runs.quantile(p) >= (work * factor + runs.undisturbed_s - work) * (1 - 1e-9))


def test_a_run_is_stated_alike_alone_and_beside_others():
    work, low, high, hazard = waiting_plans(50, 10)
    together = completion(work, low, high, hazard).quantile(0.8)
    for i in range(50):
        at = np.array([i])
        assert completion(work[at], low[at], high[at], hazard.take(at)).quantile(0.8)[0] == together[i]
