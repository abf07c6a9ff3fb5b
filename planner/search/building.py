"""The search of a scenario before it begins: from its facts alone, or with what a search like it knows already."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from planner.catalog import Catalog
from planner.performance.calibration import Calibration
from planner.search.most_training import most_training
from planner.search.own_runs import calibrated_by_own_runs
from planner.search.search_space import search_space
from planner.search.search_state import SearchState
from planner.spec.hardware import Offer
from planner.spec.scenario import MOST_TRAINING, Scenario


def build(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    offers: Sequence[Offer] | None = None,
    own_calibration: Calibration | None = None,
) -> SearchState:
    """The search of a scenario, before it begins: nothing is evaluated but what its space itself hangs on.

    That is what the user's own measurements say of the predictions, and how long the longest run within the budgets is.

    Parameters
    ----------
    offers : plan with these instead of the catalog's eligible ones
    own_calibration : the calibration with the user's own measurements in it, where it is known already

    Raises
    ------
    PlannerError
        If the scenario allows no batch, names what the catalog lacks, or states a throughput of what cannot run.
    """
    if scenario.objective.kind in MOST_TRAINING:
        scenario = most_training(scenario, lambda s: build(s, catalog, calibration, offers, own_calibration)).scenario
    space = search_space(scenario, catalog, calibration, offers)
    if own_calibration is None and scenario.throughput:
        own_calibration = calibrated_by_own_runs(scenario, catalog, calibration)
    return SearchState(space if own_calibration is None else replace(space, calibration=own_calibration))


def build_like(known: SearchState, scenario: Scenario) -> SearchState:
    """The search of another scenario on the same facts, with all that is known of this one and holds there."""
    facts = known.space
    same = all(
        getattr(scenario, name) == getattr(facts.scenario, name)
        for name in ("model", "data", "seq_length", "training", "layout", "throughput", "cluster", "risk")
    )
    # The user's own measurements are read on the machines of `cluster`, with the hazards of `risk`.
    own_calibration = facts.calibration if same else None
    state = build(scenario, facts.catalog, facts.facts, facts.given, own_calibration)
    state.learn(known)
    return state
