"""How each stage's run would scale on its machines, by the model: the tables that grants ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from planner.catalog import Catalog
from planner.performance.calibration import Calibration
from planner.search.building import build
from planner.search.objectives import Goal, View, find
from planner.search.pools import node_range
from planner.search.programme_answer import ProgrammeAnswer, StageAnswer
from planner.search.search_state import SearchState
from planner.spec.programme import Programme
from planner.spec.scenario import IntChoice

FACTORS = (0.25, 0.5, 1.0, 2.0, 4.0)  # of the planned nodes


@dataclass(frozen=True, slots=True)
class ScalingRow:
    """One size of a stage's run; everything is predicted, nothing measured here."""

    stage: str
    kind: str  # strong: the same batch on more GPUs; weak: the batch grows with them
    nodes: int
    gpus: int
    global_batch: int
    tokens_per_s: float  # of all GPUs, at the median
    speedup: float  # against the fewest GPUs of the table
    efficiency: float  # speedup over how many more GPUs there are
    planned: bool


def scaling_of(
    programme: Programme, answer: ProgrammeAnswer, catalog: Catalog, calibration: Calibration
) -> tuple[ScalingRow, ...]:
    """Strong and weak scaling of every stage on its own machines; stages that are one run are told once."""
    out: list[ScalingRow] = []
    seen: set[tuple[object, ...]] = set()
    for stage, given in zip(answer.stages, programme.stages, strict=True):
        plan = stage.plan
        run = (repr(given.scenario.model), plan.seq_length, plan.global_batch, plan.precision)
        key = (*run, plan.offer.id, plan.nodes)
        if key in seen:
            continue
        seen.add(key)
        for kind in ("strong", "weak"):
            out += _rows(stage, kind, list(_sizes(stage, kind, programme, catalog, calibration)))
    return tuple(out)


def _sizes(
    stage: StageAnswer, kind: str, programme: Programme, catalog: Catalog, calibration: Calibration
) -> Iterator[tuple[int, int, int, float]]:
    """(nodes, GPUs, batch, tokens/s) of each size that the machines are offered in and that runs."""
    given = next(each for each in programme.stages if each.name == stage.name)
    plan = stage.plan
    for factor in FACTORS:
        nodes = round(plan.nodes * factor)
        batch = plan.global_batch if kind == "strong" else round(plan.global_batch * factor)
        if nodes < 1 or abs(nodes - plan.nodes * factor) > 1e-9 or batch < 1:
            continue
        training = replace(given.scenario.training, global_batch=IntChoice(values=(batch,)), batch_ramp=None)
        layout = replace(given.scenario.layout, dp=IntChoice())
        cluster = replace(
            given.scenario.cluster, max_gpus=max(given.scenario.cluster.max_gpus, 4 * plan.gpus), quotas=()
        )
        state = build(replace(given.scenario, training=training, layout=layout, cluster=cluster), catalog, calibration)
        found = _fastest(state, plan.offer.id, nodes)
        if found is not None:
            step = float(state.best.step_s[found] * state.completion_model.median[found])
            yield nodes, int(state.space.gpus[found]), batch, batch * plan.seq_length / step


def _fastest(state: SearchState, offer_id: str, nodes: int) -> int | None:
    offers = np.array([offer.id == offer_id for offer in state.space.offers], dtype=bool)
    if not offers.any():
        return None
    offer = state.space.offers[int(np.argmax(offers))]
    if nodes > node_range(offer, state.space.scenario)[1]:
        return None
    return find(View(state, Goal(per_second=1.0, offers=offers, cells=state.space.nodes == nodes)))


def _rows(stage: StageAnswer, kind: str, sizes: list[tuple[int, int, int, float]]) -> Iterator[ScalingRow]:
    if not sizes:
        return
    _, fewest, _, slowest = sizes[0]
    for nodes, gpus, batch, speed in sizes:
        speedup = speed / slowest
        yield ScalingRow(
            stage.name, kind, nodes, gpus, batch, speed, speedup, speedup * fewest / gpus, nodes == stage.plan.nodes
        )
