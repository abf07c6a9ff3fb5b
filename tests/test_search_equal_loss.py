"""Equal loss: tokens follow the batch, and the search still finds what looking at every candidate finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from search_cases import case

from planner.performance.calibration import load_calibration
from planner.scenario import IntChoice
from planner.search import optimize
from planner.search.run import EqualLoss
from planner.units import PlannerError


def at_equal_loss(seed: int, **changes: object):
    given = case(seed)
    training = replace(
        given.scenario.training,
        epochs=1.5,
        iterations=None,
        batch_ramp=None,
        global_batch=IntChoice(4, 48),
        target="equal_loss",
        reference_batch=16,
        critical_batch=30.0,
    )
    return given, replace(given.scenario, training=replace(training, **changes))


@pytest.mark.parametrize("seed", range(1, 25))
def test_the_fast_search_equals_the_exhaustive_one(seed):
    given, scenario = at_equal_loss(seed)
    calibration = load_calibration()
    try:
        fast = optimize(scenario, given.catalog, calibration, offers=given.offers)
    except PlannerError:
        pytest.skip("the seed's problem has no candidate")
    slow = optimize(scenario, given.catalog, calibration, offers=given.offers, exhaustive=True)
    assert fast.plan == slow.plan
    assert fast.certificate.space == slow.certificate.space


def test_a_batch_at_the_critical_one_takes_twice_the_tokens_of_a_tiny_one():
    law = EqualLoss(reference_batch=1, critical_batch=1e6)
    assert law.samples(1_000_000, np.array([1, 1_000_000])).tolist() == [1_000_000, 1_999_999]


def test_the_reference_batch_takes_what_was_asked():
    law = EqualLoss(reference_batch=1024, critical_batch=3000.0)
    assert law.samples(31_267_487, 1024) == 31_267_487


def test_a_larger_batch_takes_more_tokens_and_fewer_steps():
    given, scenario = at_equal_loss(3)
    calibration = load_calibration()
    plans = [
        optimize(
            replace(scenario, training=replace(scenario.training, global_batch=IntChoice(values=(batch,)))),
            given.catalog,
            calibration,
            offers=given.offers,
        ).plan
        for batch in (8, 16, 32)
    ]
    assert plans[0].tokens < plans[1].tokens < plans[2].tokens
    assert plans[0].iterations > plans[1].iterations > plans[2].iterations
    assert plans[1].epochs == pytest.approx(1.5, rel=1e-4)


def test_fixed_iterations_cannot_aim_at_a_loss():
    given, scenario = at_equal_loss(3, epochs=None, iterations=100)
    with pytest.raises(PlannerError, match=r"training\.iterations"):
        optimize(scenario, given.catalog, load_calibration(), offers=given.offers)
