"""What a search knows of its space: each cell's bound and best candidate, and what was learnt to find them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray, Setting
from planner.performance.frameworks import framework, stages_run
from planner.performance.intervals import spread
from planner.performance.kernels import Scope
from planner.performance.machine import as_reached
from planner.performance.memory import capacity_gib
from planner.performance.steptime import scope
from planner.results.plan import Overhead
from planner.risk.overhead import overhead_of
from planner.search.candidates import Found
from planner.search.completion_model import CompletionModel, completion_model
from planner.search.engine import Tighten, solve
from planner.search.layout_space import LayoutSpace
from planner.search.layouts import LayoutTable, layout_table
from planner.search.prices import Rates, chance, cost_line, quantile
from planner.search.pruning import Limits, Tally
from planner.search.run_cost import HOUR_S
from planner.search.search_space import SearchSpace
from planner.spec.hardware import Hardware

CELLS_TOGETHER = 32  # GPU counts of one layout space that are searched in one pass
ROWS_TOGETHER = 500_000  # and layouts, were each on every one of more GPU counts

#: Of `training`, what tells runs of one layout apart, and does not decide which layouts there are.
OF_LENGTHS: Mapping[str, Any] = {"epochs": None, "iterations": None, "starts_from": "", "global_batch": None}
#: Of a pool, what decides with its setting how long runs take.
OF_COMPLETION = attrgetter("interruptions", "takings")
#: What of a cluster the layout space of a pool depends on, beside the machines themselves.
OF_LAYOUT_SPACES = attrgetter("max_gpus", "power_limit_w", "site")


@dataclass(eq=False)
class SearchState:
    """All arrays are (cells,). What is searched stays as it is; what is found, and what was worked out, is kept."""

    space: SearchSpace
    best: Found = field(init=False)  # each cell's fastest run as far as it is found; infinite seconds where it is not
    exact: BoolArray = field(init=False)  # whether that is the cell's least, or nothing of it runs
    bound_s: FloatArray = field(init=False)  # undisturbed seconds that no run of the cell undercuts
    near: dict[int, tuple[float, Found]] = field(default_factory=dict)  # cell -> seconds, and what runs within them
    layout_spaces: dict[tuple[str, Hardware], LayoutSpace] = field(default_factory=dict)
    scopes: dict[tuple[str, str], Scope] = field(default_factory=dict)
    tables: dict[tuple[str, int], LayoutTable] = field(default_factory=dict)
    _times: dict[tuple[float, float], tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    _costs: dict[tuple[float, float], FloatArray] = field(default_factory=dict)
    _slopes: dict[tuple[float, float], FloatArray] = field(default_factory=dict)
    _cheapest: dict[bytes, tuple[FloatArray, IntArray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cells = len(self.space)
        row, dp, micro, batch, covered, instances = np.zeros((6, cells), dtype=np.int64)
        seconds = np.full(cells, np.inf)
        self.best = Found(np.arange(cells), row, dp, micro, batch, covered, instances, np.zeros(cells), seconds)
        self.exact = np.zeros(cells, dtype=bool)
        self.bound_s = np.zeros(cells)

    def refine(self, cells: IntArray, limits: Limits, tighten: Tighten, tally: Tally | None = None) -> None:
        """Searches cells of one pool within limits (both in the order of `cells`), and keeps what is learnt."""
        pool = int(self.space.pool[cells[0]])
        found, count = solve(self.layout_space(pool), self.space.gpus[cells], limits, tighten)
        least = limits.least_s
        self.bound_s[cells] = np.maximum(self.bound_s[cells], least)
        self.keep(cells, found, least)
        if tally is not None:  # the last pass over a cell decides anew on all its candidates
            tally.evaluated[cells] = count.evaluated
            for rule, values in count.pruned.items():
                tally.pruned[rule][cells] = values

    def keep(self, cells: IntArray, found: Found, least: FloatArray | float = np.inf) -> None:
        """Notes each cell's best, (found.cell indexes `cells`), if it is within the seconds searched, `least`."""
        least = np.broadcast_to(least, len(cells))
        found = found.take(found.seconds <= least[found.cell])
        at = cells[found.cell]
        self.exact[at] = True
        self.bound_s[at] = found.seconds
        self.best.put(at, found)

    def forget(self) -> None:
        """Drops what was found of the cells, so that they are searched anew."""
        self.best.seconds[:], self.bound_s[:] = np.inf, 0.0
        self.exact[:] = False

    def learn(self, known: SearchState) -> None:
        """Takes over from another search what does not hang on how their spaces differ."""
        mine, theirs = self.space, known.space
        here, there = mine.scenario, theirs.scenario
        if mine.calibration is not theirs.calibration or any(
            getattr(here, name) != getattr(there, name) for name in ("model", "seq_length", "layout")
        ):
            return
        if replace(here.training, **OF_LENGTHS) != replace(there.training, **OF_LENGTHS):
            return
        self.tables = known.tables
        if here.risk == there.risk:
            self.overhead = known.overhead
        if mine.batches != theirs.batches or OF_LAYOUT_SPACES(here.cluster) != OF_LAYOUT_SPACES(there.cluster):
            return
        self.scopes = known.scopes
        if mine.run == theirs.run:
            self.layout_spaces = known.layout_spaces
        else:
            self.layout_spaces = {key: each.running(mine.run) for key, each in known.layout_spaces.items()}
        if [p.setting for p in mine.pools] != [p.setting for p in theirs.pools]:
            return
        if not np.array_equal(mine.gpus, theirs.gpus) or not np.array_equal(mine.pool, theirs.pool):
            return
        self.factors, self.candidates = known.factors, known.candidates
        if mine.run == theirs.run:
            self.floor_s = known.floor_s
            self.best, self.exact, self.bound_s = known.best.copy(), known.exact.copy(), known.bound_s.copy()
            if here.risk == there.risk and [*map(OF_COMPLETION, mine.pools)] == [*map(OF_COMPLETION, theirs.pools)]:
                self.completion_model, self._slopes = known.completion_model, known._slopes

    def learn_runs(self, known: SearchState) -> None:
        """Takes over each cell's fastest run, where the runs differ in their length alone and have one global batch.

        All layouts then take the same number of steps, so that the fastest of a cell is the same layout however many
        tokens there are.
        """
        here, there, run = self.space.scenario, known.space.scenario, self.space.run
        batch = here.training.global_batch
        if batch is None or batch.pinned is None or run.ramp is not None or run.loss is not None:
            return
        training = replace(there.training, epochs=here.training.epochs, iterations=here.training.iterations)
        if replace(there, name=here.name, data=here.data, training=training, defaults=here.defaults) != here:
            return
        at = np.flatnonzero(known.exact & np.isfinite(known.best.seconds) & ~self.exact)
        found = known.best.take(at)
        seconds = run.seconds(found.batch, found.step_s, lambda _: found.step_s)
        self.keep(at, replace(found, cell=np.arange(len(at)), seconds=seconds))

    def layout_space(self, pool: int) -> LayoutSpace:
        """The layout space of a pool, built when first asked for; pools that differ in their cloud alone share it."""
        space, layout = self.space, self.space.scenario.layout
        setting = space.pools[pool].setting
        key = (setting.framework, setting.hardware)
        if key not in self.layout_spaces:
            capacity, table = capacity_gib(setting) * (1.0 - layout.memory_headroom), self._table(setting)
            self.layout_spaces[key] = LayoutSpace(
                setting, space.calibration, self._scope(setting), capacity, table, space.batches, space.run, layout.dp
            )
        return self.layout_spaces[key]

    def cells_together(self, pool: int, done: int) -> int:
        """How many GPU counts of a pool are searched in a pass: some, or after many others a share of as many."""
        most = ROWS_TOGETHER // max(1, len(self.layout_space(pool).table))
        return max(CELLS_TOGETHER, min(done // CELLS_TOGETHER, most))

    def _scope(self, setting: Setting) -> Scope:
        """The numbers of a setting; a calibration's rates are of model, stack and accelerator, and worked out once."""
        key = (setting.framework, setting.hardware.gpu)
        if key not in self.scopes:
            self.scopes[key] = scope(setting, self.space.calibration)
            return self.scopes[key]
        known = self.scopes[key]
        return replace(known, machine=as_reached(self.space.calibration.machine_numbers(setting), known.rates))

    def _table(self, setting: Setting) -> LayoutTable:
        key = (setting.framework, self.space.scenario.cluster.max_gpus)
        if key not in self.tables:
            self.tables[key] = layout_table(
                setting.framework,
                setting.model,
                setting.seq_length,
                self.space.scenario.cluster.max_gpus,
                self.space.scenario.layout,
                setting.release,
                stages_run(framework(setting.framework), setting.precision, setting.conditions),
                setting.conditions,
            )
        return self.tables[key]

    @cached_property
    def floor_s(self) -> FloatArray:
        """Seconds that no run of the cell undercuts, by its kernels alone, (cells,).

        Of machines that differ in their network's rate alone, the fastest network stands for all: kernels do not get
        faster on a slower one.
        """
        space, floors = self.space, np.zeros(len(self.space.pools))
        for pool in np.unique(space.fastest_network):
            floors[pool] = self.layout_space(int(pool)).floor_s()
        factor = np.ones(len(space))
        for setting, at in space.places:
            factor[at] = space.calibration.correction(setting, space.gpus[at])
        each = floors[space.fastest_network]
        return np.asarray(each[space.pool] * factor / space.gpus, dtype=np.float64)

    @cached_property
    def candidates(self) -> IntArray:
        """How many there are on one offer of each cell, (cells,)."""
        out = np.zeros(len(self.space), dtype=np.int64)
        tables = [self._table(pool.setting) for pool in self.space.pools]
        for table in {id(t): t for t in tables}.values():
            same = np.array([t is table for t in tables], dtype=bool)
            at = np.flatnonzero(same[self.space.pool])
            counts, back = np.unique(self.space.gpus[at], return_inverse=True)
            out[at] = table.space(counts, self.space.scenario.layout.dp, self.space.batches)[back]
        return out

    @cached_property
    def completion_model(self) -> CompletionModel:
        """How long the runs of each cell take, with what probability."""
        return completion_model(self.factors, self.space.hazard(), self.floor_s, self.overhead, self.space.market())

    @cached_property
    def factors(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Factors on predicted step times at p10, p50 and p90 of each cell, (cells,) each."""
        low, median, high = (np.ones(len(self.space)) for _ in range(3))
        for setting, at in self.space.places:
            factors = spread(setting, self.space.gpus[at], self.space.calibration)
            low[at], median[at], high[at] = (factors.quantile(p) for p in (0.1, 0.5, 0.9))
        return low, median, high

    @cached_property
    def overhead(self) -> Overhead:
        """What is paid for beside training, checkpoints and failures."""
        risk = self.space.scenario.risk
        return overhead_of(None if risk is None else risk.overhead, self.space.risk_facts)

    def time_s(self, p: float, seconds: FloatArray, cells: IntArray, speed: float = 1.0) -> FloatArray:
        """The time that runs predicted to train for `seconds` stay below with probability p, were all `speed` as fast.

        What was asked last of each cell is kept: it is asked again and again of the best ones.
        """
        if (p, speed) not in self._times:
            self._times[p, speed] = (np.full(len(self.space), np.nan), np.full(len(self.space), np.nan))
        last_s, times = self._times[p, speed]
        new = last_s[cells] != seconds
        if new.any():
            at = cells[new]
            times[at] = self.completion_model.time_s(p, seconds[new] / speed, at)
            last_s[at] = seconds[new]
        return times[cells]

    def cost_usd(self, p: float, rates: Rates, seconds: FloatArray, cells: IntArray, speed: float = 1.0) -> FloatArray:
        """What those runs stay within with probability p at these rates, USD, (n,); inf where they are not known."""
        time = self.time_s(p, seconds, cells, speed)
        cost = self.space.costs.usd(rates.low, time, cells)
        spread = rates.spread
        spread = spread[np.isfinite(seconds[spread])]
        if not spread.size:
            return cost
        if (p, speed) not in self._costs:
            self._costs[p, speed] = np.full((4, len(self.space)), np.nan)
        known = self._costs[p, speed]  # seconds, least and most rate that were asked last of each cell, and the answer
        at = cells[spread]
        queried = np.stack([seconds[spread], rates.low[spread], rates.high[spread]])
        answer = known[3, at]
        new = np.flatnonzero(np.any(known[:3, at] != queried, axis=0))
        if new.size:
            some = at[new]
            runs = self.completion_model.completion(queried[0, new] / speed, some)
            answer[new] = quantile(self.space.costs, runs, some, rates.take(spread[new]), p)
            known[:3, some], known[3, some] = queried[:, new], answer[new]
        cost[spread] = answer
        return cost

    def cost_chance(
        self, usd: float, rates: Rates, seconds: FloatArray, cells: IntArray, speed: float = 1.0
    ) -> FloatArray:
        """P(those runs cost at most `usd`), (n,); 0 where they are not known."""
        out = np.zeros(len(cells))
        known = np.flatnonzero(np.isfinite(seconds))
        if known.size:
            at = cells[known]
            runs = self.completion_model.completion(seconds[known] / speed, at)
            out[known] = chance(self.space.costs, runs, at, rates.take(known), np.full(len(at), usd))
        return out

    def cost_line(self, p: float, rates: Rates, speed: float = 1.0) -> tuple[FloatArray, FloatArray]:
        """A bound below `cost_usd`, for rates of all cells: (USD an hour, factor on seconds), (cells,) each."""
        return cost_line(p, rates, self.space.costs.storage_usd_per_s * HOUR_S, lambda at: self.slope(at, speed))

    def slope(self, p: float, speed: float = 1.0) -> FloatArray:
        """Factor on predicted seconds that the time at probability p is never below, were all `speed` times as fast."""
        if (p, speed) not in self._slopes:
            model = self.completion_model
            model = model if speed == 1.0 else replace(model, least_s=self.floor_s / speed)
            self._slopes[p, speed] = model.slope(p) / speed
        return self._slopes[p, speed]

    def cheapest(self, allowed: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """`SearchSpace.cheapest`, kept."""
        key = b"" if allowed is None else allowed.tobytes()
        if key not in self._cheapest:
            self._cheapest[key] = self.space.cheapest(allowed)
        return self._cheapest[key]
