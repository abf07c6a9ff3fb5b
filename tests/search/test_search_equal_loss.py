"""Equal loss: tokens follow the batch, and the search still finds what looking at every candidate finds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from search_cases import Case, case

from planner.performance.loading import load_calibration
from planner.search import optimize
from planner.search.run_length import EqualLoss
from planner.spec.scenario import IntChoice
from planner.units import PlannerError


def at_equal_loss(seed: int, **changes: object) -> tuple[Case, Case]:
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


@pytest.mark.parametrize(("epochs", "naive", "needed"), [(1, 1.6125, 1.6250), (4, 6.45, 7.058), (8, 12.9, 16.263)])
def test_what_is_repeated_counts_for_less(epochs, naive, needed):
    # 1.6125 times the tokens; R* = 15.39 (Muennighoff 2023): a run of E passes is worth 1 + R*(1 - e^(-(E-1)/R*)).
    unique = 1_000_000
    law = EqualLoss(reference_batch=1000, critical_batch=1000.0, sources=((float(unique), 1.0),))
    batch = 2225
    assert (1 + batch / 1000) / 2 * epochs == pytest.approx(naive)
    found = int(law.samples(epochs * unique, batch)) / unique
    assert found == pytest.approx(needed, rel=1e-3)
    worth = [1 + 15.39 * (1 - np.exp(-(n - 1) / 15.39)) for n in (epochs, found)]
    assert worth[1] / worth[0] == pytest.approx(1.6125, rel=1e-5)


def test_of_a_mixture_each_dataset_is_repeated_by_itself():
    sources = ((100_000.0, 0.5), (10_000_000.0, 0.5))
    law = EqualLoss(reference_batch=1000, critical_batch=1000.0, sources=sources)
    found = int(law.samples(1_000_000, 1500))

    def worth(drawn: float) -> float:
        half, small = drawn / 2, 100_000
        return half + small * (1 + 15.39 * (1 - np.exp(-(half / small - 1) / 15.39)))

    assert worth(found) / worth(1_000_000) == pytest.approx(1.25, rel=1e-5)
    assert int(law.samples(1_000_000, 1000)) == pytest.approx(1_000_000, rel=1e-9)


def test_a_loss_that_repeats_never_reach_is_a_sentence():
    given, scenario = at_equal_loss(3, epochs=20, reference_batch=4, critical_batch=4.0, global_batch=IntChoice(40, 48))
    with pytest.raises(PlannerError, match="however often it is repeated"):
        optimize(scenario, given.catalog, load_calibration(), offers=given.offers)
