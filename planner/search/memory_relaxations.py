"""Where no layout fits into memory: how much is lacking, and which single changes would need less of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray
from planner.results.answers import Change
from planner.search.building import build_like
from planner.search.layout_space import LayoutSpace
from planner.search.objectives import Goal, View, budget_goal, find
from planner.search.search_state import SearchState
from planner.spec.scenario import MOST_GPUS, LayoutBounds, Scenario
from planner.words import say

Changed = tuple[Change, SearchState]  # and the search where it is made

NODES = (2, 4, 8, 16, 32, 64)  # times one's own that are tried
#: What a network between own nodes is taken to be where none is stated, Gbit/s: one port of what data centres have.
JOINED_BY = 100.0


def nothing_fits(state: SearchState) -> bool:
    """Whether layouts exist, and none of them fits into the memory of a machine."""
    return bool(state.candidates.any()) and find(View(state, _any_plan(state.space.scenario))) is None


def lacking(state: SearchState, allowed: BoolArray | None = None) -> str:
    """How many GiB a GPU lacks, on the layout and the machine that lack least of it, in a sentence.

    Of the cells that are `allowed`, (cells,); None: of all.
    """
    cells = state.candidates > 0 if allowed is None else allowed & (state.candidates > 0)
    best: tuple[float, int, int, int, int, int] | None = None
    seen = set()
    for pool in np.unique(state.space.pool[cells]).tolist():
        gpus = int(state.space.gpus[cells & (state.space.pool == pool)].max())
        layouts, setting = state.layout_space(pool), state.space.pools[pool].setting
        alike = (setting.framework, setting.accelerator.id, gpus)  # the same GPUs of another cloud lack as much
        if alike in seen:
            continue
        seen.add(alike)
        least = least_memory(layouts, gpus)
        if least is not None and (best is None or least[0] - layouts.capacity_gib < best[0]):
            best = (least[0] - layouts.capacity_gib, pool, gpus, *least[1:])
    if best is None:
        return ""
    lacks, pool, gpus, row, dp, micro = best
    setting, table = state.space.pools[pool].setting, state.layout_space(pool).table
    machines = {"gpus": gpus, "gpu": setting.hardware.gpu, "framework": setting.framework}
    cut = {"tp": int(table.tp[row]), "pp": int(table.pp[row]), "dp": dp, "micro": micro}
    capacity = float(state.layout_space(pool).capacity_gib)
    return say("memory_relaxations.lacking", **machines, **cut, lacks=float(lacks), capacity=capacity)


def least_memory(space: LayoutSpace, gpus: int) -> tuple[float, int, int, int] | None:
    """GiB of the candidate on `gpus` that needs least, its row, dp and micro-batch; None where there is none.

    It has the smallest batch, as many layers recomputed and its states over as many ranks as can be.
    """
    t, batches = space.table, space.batches
    row, dp = t.on(gpus, space.dp, batches)
    unit = dp * t.group[row]

    def needed(at: IntArray, micro: int, grad_accum: IntArray) -> FloatArray:
        base, each, step = space.memory_parts(row[at], dp[at], grad_accum, t.instances(row[at], dp[at]))
        return np.maximum(base + each * micro, step)

    best, place = np.inf, (0, 0, 0)
    bound = np.zeros(len(row))  # what no micro-batch from here on needs less than
    micros = np.arange(batches.micro_low, batches.micro_high + 1)
    for micro in micros[batches.allows_micro(micros)].tolist():
        batch = batches.edge(micro * unit, smallest=True)
        at = np.flatnonzero((batch > 0) & (bound < best))
        if not len(at):
            continue
        least = needed(at, micro, batch[at] // (micro * dp[at]))
        first = int(np.argmin(least))
        if least[first] < best:
            best, place = float(least[first]), (int(row[at[first]]), int(dp[at[first]]), micro)
        bound[at] = needed(at, micro, t.group[row[at]])
    return None if best == np.inf else (best, *place)


def _any_plan(scenario: Scenario) -> Goal:
    return budget_goal(scenario.budget, time_s=None, cost_usd=None, per_usd=1.0)


def _with(key: str, values: Sequence[str]) -> Callable[[SearchState], Changed | None]:
    """The first value of a key of `training` with which something fits."""

    def find_change(state: SearchState) -> Changed | None:
        scenario = state.space.scenario
        present = getattr(scenario.training, key)
        for value in values[values.index(present) + 1 :] if present in values else values:
            other = build_like(state, replace(scenario, training=replace(scenario.training, **{key: value})))  # type: ignore[arg-type]
            if find(View(other, _any_plan(other.space.scenario))) is not None:
                text = say(f"memory_relaxations.{key}", value=value)
                return Change(f"training.{key}", present, value, text, (f"training.{key}={value}",)), other
        return None

    return find_change


def _free_layout(state: SearchState) -> Changed | None:
    """No key of `layout` but the memory that is kept free."""
    scenario = state.space.scenario
    free = LayoutBounds(memory_headroom=scenario.layout.memory_headroom)
    if scenario.layout == free:
        return None
    other = build_like(state, replace(scenario, layout=free))
    if find(View(other, _any_plan(other.space.scenario))) is None:
        return None
    names = [f.name for f in fields(free) if getattr(scenario.layout, f.name) != getattr(free, f.name)]
    keys = [f"layout.{name}" for name in names]
    text = say("memory_relaxations.layout", keys=keys)
    return Change("layout", say("memory_relaxations.pinned"), "any", text, tuple(f"{key}=null" for key in keys)), other


def _more_own_nodes(state: SearchState) -> Changed | None:
    """The fewest of these multiples of one's own nodes that would do, joined by a network."""
    scenario = state.space.scenario
    for number, own in enumerate(scenario.cluster.own):
        for times in NODES:
            if own.nodes * times * own.gpus_per_node > MOST_GPUS:
                break
            joined = own.network_gbit_per_s or JOINED_BY
            more = replace(own, nodes=own.nodes * times, network_gbit_per_s=joined)
            machines = (*scenario.cluster.own[:number], more, *scenario.cluster.own[number + 1 :])
            cluster = replace(
                scenario.cluster, own=machines, max_gpus=max(scenario.cluster.max_gpus, more.nodes * own.gpus_per_node)
            )
            other = build_like(state, replace(scenario, cluster=cluster))
            if find(View(other, _any_plan(other.space.scenario))) is not None:
                code = (
                    "memory_relaxations.own" if own.network_gbit_per_s is not None else "memory_relaxations.own_joined"
                )
                gpus = more.nodes * own.gpus_per_node
                text = say(code, gpus=gpus, nodes=more.nodes, name=own.name, rate=joined, present=own.nodes)
                keys = [f"cluster.own.{number}.nodes={more.nodes}"]
                keys += [f"cluster.own.{number}.network={joined:g} Gbit/s"] if own.network_gbit_per_s is None else []
                return Change(f"cluster.own.{number}.nodes", str(own.nodes), str(more.nodes), text, tuple(keys)), other
    return None


#: What takes less memory, the mildest first.
CHANGES: tuple[Callable[[SearchState], Changed | None], ...] = (
    _free_layout,
    _with("optimizer", ("adamw", "adamw-bf16", "adamw-8bit")),
    _with("offload", ("none", "optimizer", "activations", "both")),
    _more_own_nodes,
)
