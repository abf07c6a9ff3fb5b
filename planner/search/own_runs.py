"""The user's own measurements: what the model says of each, and the factor by which it bends the predictions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from planner.catalog import Catalog, eligible_offers
from planner.performance.calibration import Calibration, UserPoint, with_user_measurements
from planner.search.objectives import Goal, View, find
from planner.search.search_space import search_space
from planner.search.search_state import SearchState
from planner.spec.hardware import Offer, OfferTerms
from planner.spec.scenario import IntChoice, LayoutBounds, MeasuredThroughput, Scenario
from planner.units import PlannerError
from planner.words import say

PINS = ("tp", "pp", "vpp", "dp", "cp", "ep", "zero_stage", "micro_batch")
FAST_NETWORK_GBIT_PER_S = 3200.0  # taken where the catalog knows no network of the measured machines


def calibrated_by_own_runs(scenario: Scenario, catalog: Catalog, calibration: Calibration) -> Calibration:
    """The calibration that the scenario's `throughput` entries make of this one.

    Each entry is held against what the model predicts of its GPU and count with every stated key pinned and the others
    at the best layout that is legal there; predicted over measured throughput rescales that GPU.

    Raises
    ------
    PlannerError
        If no machine of the catalog, or no legal layout, matches an entry.
    """
    points = []
    for i, entry in enumerate(scenario.throughput):
        gpu = catalog.accelerator(entry.gpu).id
        predicted = _predicted(entry, gpu, scenario, catalog, calibration, f"throughput[{i}]")
        factor = predicted / entry.tokens_per_s_per_gpu
        points.append(UserPoint(gpu, entry.gpus, factor, f"throughput[{i}]"))
    return with_user_measurements(calibration, points)


def _predicted(
    entry: MeasuredThroughput, gpu: str, scenario: Scenario, catalog: Catalog, calibration: Calibration, key: str
) -> float:
    """Tokens/s/GPU that the model says of an entry."""
    machines = [_any_number(offer, entry.gpus) for offer in _machines(gpu, scenario, catalog, key)]
    state = SearchState(search_space(_pinned(entry, gpu, scenario), catalog, calibration, machines))
    cells = np.ones(len(state.space), dtype=bool) if entry.gpus is None else state.space.gpus == entry.gpus
    view = View(state, Goal(per_usd=1.0, cells=cells))  # every offer costs the same: least GPU-hours
    cell = find(view)
    if cell is None:
        # It ran, whatever the memory formulas say.
        for pool in range(len(state.space.pools)):
            state.layout_space(pool).capacity_gib = np.inf
        state.forget()
        view = View(state, Goal(per_usd=1.0, cells=cells))
        cell = find(view)
    if cell is None:
        on = say("own_runs.gpu", gpu=gpu) if entry.gpus is None else say("own_runs.gpus", gpus=entry.gpus, gpu=gpu)
        raise PlannerError(say("own_runs.no_framework", key=key, model=scenario.model.name, on=on))
    tokens = int(state.best.batch[cell]) * scenario.seq_length
    return tokens / (float(state.best.step_s[cell]) * float(state.space.gpus[cell]))


def _pinned(entry: MeasuredThroughput, gpu: str, scenario: Scenario) -> Scenario:
    """The scenario with the entry's keys pinned and nothing else asked for."""
    pinned: dict[str, Any] = {
        name: IntChoice(values=(getattr(entry, name),)) for name in PINS if getattr(entry, name) is not None
    }
    plain = LayoutBounds(
        sequence_parallel=entry.sequence_parallel,
        recompute=() if entry.recompute is None else (entry.recompute,),
        recompute_share=scenario.layout.recompute_share,
        shard_group=scenario.layout.shard_group,
    )
    layout = replace(plain, **pinned)
    training = replace(scenario.training, batch_ramp=None)
    if entry.global_batch is not None:
        training = replace(training, global_batch=IntChoice(values=(entry.global_batch,)))
    if entry.framework is not None:
        training = replace(training, framework=entry.framework)
    most = scenario.cluster.max_gpus if entry.gpus is None else entry.gpus
    cluster = replace(scenario.cluster, gpus=(gpu,), max_gpus=most, quotas=())
    # What was measured trained: nodes that stand by are none of its GPUs.
    risk = None if scenario.risk is None else replace(scenario.risk, spare_nodes=None)
    return replace(scenario, layout=layout, training=training, cluster=cluster, throughput=(), terms=None, risk=risk)


def _machines(gpu: str, scenario: Scenario, catalog: Catalog, key: str) -> list[Offer]:
    """Every kind of machine with that GPU, at one price and in any number: the scenario's own, else all known."""
    own = scenario.cluster
    every = replace(own, gpus=(gpu,), clouds=(), regions=(), own_only=False, quality=("A", "B", "C"), quotas=())
    every = replace(every, pricing=("on_demand",), max_gpus=max(own.max_gpus, 4096))
    for cluster in (replace(own, gpus=(gpu,), quotas=()), every):
        found = eligible_offers(catalog, cluster).offers
        if found:
            return list(found)
    raise PlannerError(say("own_runs.no_machine", key=key, gpu=gpu))


def _any_number(offer: Offer, gpus: int | None) -> Offer:
    """The offer at one USD a GPU-hour in any number, joined by a network; part of a node where fewer were measured."""
    hardware = offer.hardware
    if gpus is not None and gpus < hardware.gpus_per_node:
        hardware = replace(hardware, gpus_per_node=gpus, scale_up_domain=min(hardware.scale_up_domain, gpus))
    if hardware.network_gbit_per_s is None and hardware.gpus_per_node > 1:
        hardware = replace(hardware, network_gbit_per_s=FAST_NETWORK_GBIT_PER_S)
    return replace(offer, hardware=hardware, usd_per_gpu_hour=1.0, max_nodes=None, terms=OfferTerms())
