"""The plans that a stage of a programme may get: what the search finds not to be beaten, as choices of a calendar."""

from __future__ import annotations

import math
import zlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.catalog import Catalog
from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.performance.calibration import Calibration
from planner.performance.conditions import optimizer_state_bytes
from planner.search.building import build, build_like
from planner.search.calendar import Choice
from planner.search.frontiers import undominated_cells
from planner.search.joint_choice import undominated
from planner.search.objectives import Goal, View, aiming_at, budget_goal, find, objective_goal
from planner.search.optimum import scenario_goal
from planner.search.pools import node_range
from planner.search.programme_shared import Shared
from planner.search.search_space import SearchSpace
from planner.search.search_state import SearchState
from planner.spec.hardware import Offer
from planner.spec.programme import Programme, Stage
from planner.workload.counts import parameter_counts

DAY_S = 86400.0
EVERY = 4  # node counts up to here are all looked at; beyond, two of each doubling, and the largest that may be had
_ROUNDING = 1e-9  # of a day: a run of whole days takes so many
SMALL_VOCABULARY = 65_536  # tokens of fewer are stored in two bytes, others in four
WEIGHT_BYTES = 2.0  # a parameter of a checkpoint that is carried, in 16 bits


_Made = tuple[int, int, int, float, Choice]  # cell, offer, lanes, seconds of one copy at the confidence


@dataclass(frozen=True)
class StagePlans:
    """A stage's search and its candidate plans, (n,) each, in the order of `choices`."""

    stage: Stage
    state: SearchState
    cells: IntArray
    offers: IntArray
    lanes: IntArray  # copies that run side by side
    choices: tuple[Choice, ...]
    sure_s: FloatArray  # of one copy, at the confidence

    def offer(self, at: int) -> Offer:
        """The offer of a plan."""
        return self.state.space.offers[int(self.offers[at])]

    def view(self, at: int) -> View:
        """The stage's goal on the offer of a plan alone."""
        alone = np.arange(len(self.state.space.offers)) == self.offers[at]
        return View(self.state, replace(scenario_goal(self.stage.scenario), offers=alone))


def searches_of(programme: Programme, catalog: Catalog, calibration: Calibration) -> list[SearchState]:
    """The search of each stage; stages that are one run share theirs."""
    known: dict[str, SearchState] = {}
    out = []
    for stage in programme.stages:
        key = repr(replace(stage.scenario, name="", defaults=(), source="", digest=""))
        if key not in known:
            known[key] = next(
                (
                    build_like(of_it, stage.scenario)
                    for of_it in known.values()
                    if of_it.space.scenario.model == stage.scenario.model
                ),
                None,
            ) or build(stage.scenario, catalog, calibration)
        out.append(known[key])
    return out


def stage_plans(
    programme: Programme,
    number: int,
    state: SearchState,
    shared: Shared,
    places: Sequence[tuple[str, str]],
    *,
    tied: bool,
    beside: bool,
    worth: Collection[tuple[str, str]] = (),
    like: StagePlans | None = None,
) -> StagePlans:
    """The candidate plans of a stage.

    Parameters
    ----------
    places : the places of all stages' offers, in order
    tied : whether it matters where it runs
    beside : whether other stages may run at the same time, so that fewer GPUs are worth something
    worth : the places that are worth a look where it matters
    like : plans on whose clusters alone it may run, where it inherits or leaves a cluster
    """
    stage = programme.stages[number]
    cells, offers = _cells(programme, state, shared, tied=tied, beside=beside, like=like, worth=worth)
    sure = programme.budget.confidence
    rates, seconds = state.space.rates(offers, cells), state.best.seconds[cells]
    times: dict[int, FloatArray] = {}
    alone = state.time_s(sure, seconds, cells)
    cost = {p: state.cost_usd(p, rates, seconds, cells) for p in (sure, 0.5)}
    made: list[_Made] = []
    for i, (cell, at) in enumerate(zip(cells.tolist(), offers.tolist(), strict=True)):
        offer = state.space.offers[at]
        reserved = offer.instance if offer.pricing == "owned" and offer.instance in shared.reserved else None
        free = float(state.space.costs.other_usd(alone[[i]])[0])
        for lanes in _lanes(stage, state.space, cell, offer):
            if lanes not in times:
                times[lanes] = state.time_s(all_of(sure, lanes), seconds, cells)
            time = times[lanes]
            waves = -(-stage.copies // lanes)
            gpus = float(state.space.paid_gpus[cell] * lanes)
            opens, closes = _window(programme, state.space, cell, reserved)
            made.append((cell, at, lanes, float(time[i]), Choice(
                days=max(1, math.ceil(waves * float(time[i]) / DAY_S - _ROUNDING)),
                cost=stage.copies * (free if reserved else float(cost[sure][i])),
                value=stage.copies * (free if reserved else float(cost[0.5][i])),
                uses=shared.uses(offer, gpus),
                opens=opens,
                closes=closes,
                place=places.index((offer.cloud, offer.region)),
                cluster=zlib.crc32(f"{offer.id} {int(state.space.paid_gpus[cell])}".encode()),  # alike in every stage
                reservation=None if reserved is None else shared.reserved.index(reserved),
            )))  # fmt: skip
    return _kept(
        stage,
        state,
        made,
        tied=tied,
        beside=beside,
        clusters=like is not None or passes_its_cluster_on(programme, number),
    )


def passes_its_cluster_on(programme: Programme, number: int) -> bool:
    """Whether a later stage inherits the cluster of this one."""
    return any("cluster" in s.inherits and s.after[0] == number for s in programme.stages)


def all_of(p: float, count: int) -> float:
    """The chance that each of so many runs must have for all of them to have p at least, whatever they share."""
    return float(p ** (1.0 / count))


def _lanes(stage: Stage, space: SearchSpace, cell: int, offer: Offer) -> list[int]:
    """How many copies may run side by side: the fewest for each number of turns that they take."""
    if stage.copies == 1 or not stage.beside:
        return [1]
    most = stage.copies
    if offer.max_nodes is not None:
        most = min(most, offer.max_nodes // max(int(space.nodes[cell]), 1))
    return sorted({-(-stage.copies // waves) for waves in range(1, stage.copies + 1)} & set(range(1, most + 1))) or [1]


def _window(programme: Programme, space: SearchSpace, cell: int, reserved: str | None) -> tuple[int, int | None]:
    """First and last day of a plan's machines."""
    opens = math.ceil(float(space.waiting_s[cell]) / DAY_S - _ROUNDING)
    if reserved is None:
        return opens, None
    each = next(each for each in programme.reservations if each.own.name == reserved)
    return max(opens, each.since), each.until


def _cells(
    programme: Programme,
    state: SearchState,
    shared: Shared,
    *,
    tied: bool,
    beside: bool,
    like: StagePlans | None,
    worth: Collection[tuple[str, str]],
) -> tuple[IntArray, IntArray]:
    """Cells and offers that may be worth something: not beaten in time and cost at the confidence (and GPUs)."""
    if like is not None:
        return _same_clusters(state, like)
    budget = programme.budget
    aim = objective_goal(programme.objective, budget)
    base = budget_goal(budget, at=budget.confidence, cells=_looked_at(programme, state.space))
    groups: dict[tuple[tuple[tuple[int, float], ...], tuple[str, str] | None], list[int]] = {}
    for i, offer in enumerate(state.space.offers):
        where = (offer.cloud, offer.region) if tied else None
        groups.setdefault((shared.uses(offer, 1.0), where), []).append(i)
    cells, offers = [], []
    for (_, where), group in groups.items():
        if where is not None and where not in worth:
            continue
        mask = np.zeros(len(state.space.offers), dtype=bool)
        mask[group] = True
        goal = replace(base, offers=mask)
        if any(state.space.offers[i].instance in shared.reserved for i in group):
            goal = replace(goal, cost_usd=None)
        views = (View(state, aiming_at(goal, per_second=1.0)), View(state, aiming_at(goal, per_usd=1.0)))
        found = undominated_cells(views, gpus=beside)
        best = _best_median(views[1], aiming_at(replace(goal, at=0.5), aim.per_second, aim.per_usd))
        if best is not None and best not in found:
            found = np.append(found, best)
        cells.append(found)
        offers.append(views[0].offer[found])
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([*cells, none]), np.concatenate([*offers, none])


def _best_median(view: View, goal: Goal) -> int | None:
    """Of the cells that have been searched the one whose run is best for the objective, at the median."""
    state = view.state
    cells = np.flatnonzero(state.exact & view.allowed & np.isfinite(state.best.seconds))
    cells = cells[view.feasible(cells)]
    return int(cells[np.argmin(View(state, goal).value(state.best.seconds[cells], cells))]) if len(cells) else None


def _same_clusters(state: SearchState, like: StagePlans) -> tuple[IntArray, IntArray]:
    """On each cluster of another stage's plans, the fastest run of this one."""
    cells, offers = [], []
    ids = [offer.id for offer in state.space.offers]
    wanted = {(like.offer(i).id, int(like.state.space.paid_gpus[like.cells[i]])) for i in range(len(like.cells))}
    for name, gpus in sorted(wanted):
        if name not in ids:
            continue
        mask = np.arange(len(ids)) == ids.index(name)
        goal = Goal(per_second=1.0, offers=mask, cells=state.space.paid_gpus == gpus)
        found = find(View(state, goal))
        if found is not None:
            cells.append(found)
            offers.append(ids.index(name))
    return np.array(cells, dtype=np.int64), np.array(offers, dtype=np.int64)


def _looked_at(programme: Programme, space: SearchSpace) -> BoolArray:
    """Cells whose node counts are looked at, (cells,)."""
    nodes, size = space.nodes, space.gpus // np.maximum(space.nodes, 1)
    step = 2 ** np.maximum(np.floor(np.log2(np.maximum(nodes, 1))).astype(np.int64) - 1, 0)
    keep = (nodes <= EVERY) | (nodes % step == 0)
    for most in {quota.gpus for quota in programme.quotas}:
        keep |= (space.paid_gpus <= most) & (space.paid_gpus + size > most)
    for pool, each in enumerate(space.pools):
        most_nodes = max((node_range(offer, space.scenario)[1] for offer in each.offers), default=0)
        keep |= (space.pool == pool) & (nodes == most_nodes)
    every = [quota.gpus for quota in programme.quotas if quota.key == (None, None, None)]
    return np.asarray(keep & (space.paid_gpus <= max(every, default=np.inf)))


def _kept(
    stage: Stage,
    state: SearchState,
    made: Sequence[_Made],
    *,
    tied: bool,
    beside: bool,
    clusters: bool,
) -> StagePlans:
    """Without what another plan of the same machines and days beats; cheapest first."""
    made = sorted(made, key=lambda m: (m[4].value, m[4].days, sum(a for _, a in m[4].uses), m[1], m[0], m[2]))
    if made:
        keys = [
            (
                tuple(of for of, _ in c.uses),
                c.opens,
                c.closes,
                c.reservation,
                c.place if tied else 0,
                c.cluster if clusters else 0,
            )
            for *_, c in made
        ]
        axes = [np.array([float(getattr(c, name)) for *_, c in made]) for name in ("days", "cost", "value")]
        if beside:
            axes.append(np.array([max((a for _, a in c.uses), default=0.0) for *_, c in made]))
        keep = undominated(axes, keys)
        made = [m for m, stays in zip(made, keep, strict=True) if stays]
    cells, offers, lanes = (np.array([m[k] for m in made], dtype=np.int64) for k in range(3))
    sure_s = np.array([m[3] for m in made], dtype=np.float64)
    return StagePlans(stage, state, cells, offers, lanes, tuple(m[4] for m in made), sure_s)


def carried_bytes(programme: Programme, number: int, space: SearchSpace) -> float:
    """What a stage carries along when it moves: checkpoint, optimizer, and the data that it reads once."""
    stage = programme.stages[number]
    if not stage.inherits or not stage.after:
        return 0.0
    source = programme.stages[stage.after[0]].scenario
    parameters = parameter_counts(source.model).total
    size = parameters * WEIGHT_BYTES if {"checkpoint", "optimizer"} & set(stage.inherits) else 0.0
    if "optimizer" in stage.inherits and space.pools:
        size += parameters * optimizer_state_bytes(space.pools[0].setting)
    return size + data_bytes(stage)


def data_bytes(stage: Stage) -> float:
    """The tokens that a run of a stage reads, once each, as they are stored."""
    scenario = stage.scenario
    width = 2.0 if scenario.model.vocab < SMALL_VOCABULARY else 4.0
    return width * sum((d.tokens or 0) + (d.samples or 0) * scenario.seq_length for d in scenario.data)
