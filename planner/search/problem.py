"""A scenario as the search sees it: every cell (pool of offers, node count) that could be a plan, and what is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np

from planner.catalog import Catalog, Eligible, eligible_offers
from planner.catalog.risk_facts import RiskFacts, load_risk_facts
from planner.performance.arrays import BoolArray, FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.conditions import optimizer_state_bytes
from planner.performance.frameworks import framework, stages_run
from planner.performance.intervals import spread
from planner.performance.residual import Place
from planner.performance.stacks import place_of
from planner.results.plan import Buying, Overhead
from planner.risk.failures import hazards, replacement_s
from planner.risk.hazard import Hazard
from planner.risk.market import Market
from planner.risk.overhead import overhead_of
from planner.search.batches import BatchSpace
from planner.search.buying import buying_of
from planner.search.completion_model import CompletionModel, completion_model
from planner.search.counted import counted
from planner.search.engine import Limits, Tally, Tighten, solve
from planner.search.layout_space import Found, LayoutSpace, floor_s
from planner.search.layouts import LayoutTable, layout_table
from planner.search.money import HOUR_S, Costs
from planner.search.physics import SettingPhysics
from planner.search.pools import Pool, gather, spare_nodes
from planner.search.pools import node_range as node_range  # other rooms ask for it here
from planner.search.prices import MARGIN, SHARES, Rates, chance, price_range, quantile
from planner.search.run import Run, critical_of, run_of
from planner.spec.hardware import Hardware, Offer
from planner.spec.scenario import MOST_TRAINING, Risk, Scenario
from planner.workload.adapters import trained_parameters
from planner.workload.dataset import RunLength
from planner.workload.learning import CriticalBatch

CELLS_TOGETHER = 32  # GPU counts of one site that are searched in one pass
ROWS_TOGETHER = 500_000  # and layouts, were each on every one of more GPU counts

#: Of `training`, what tells runs of one layout apart, and does not decide which layouts there are.
OF_LENGTHS: Mapping[str, Any] = {"epochs": None, "iterations": None, "starts_from": "", "global_batch": None}
#: What is known of each cell's candidates, whatever is asked of them.
LEARNT = ("best_s", "exact", "bound_s", "row", "dp", "micro", "batch", "covered", "instances", "step_s")
#: Of a pool, what decides with its setting how long runs take.
OF_CLOCKS = attrgetter("interruptions", "takings")
#: What of a cluster the search space of a pool depends on, beside the machines themselves.
OF_SITES = ("max_gpus", "power_limit_w", "site")


@dataclass
class Problem:
    """Everything that is searched: pools of offers, and their cells (pool, node count) as arrays over all pools."""

    scenario: Scenario
    catalog: Catalog
    facts: Calibration  # without the user's own measurements
    calibration: Calibration  # with them
    length: RunLength
    run: Run
    batches: BatchSpace
    pools: tuple[Pool, ...]
    left_out: Mapping[str, int]
    costs: Costs
    given: tuple[Offer, ...] | None  # offers that stand for the catalog's
    batch_text: str  # the default range of batches in words, "" where the scenario gives one
    risk_facts: RiskFacts
    remarks: tuple[str, ...]  # what to know of the offers that were left out
    pool: IntArray  # (cells,) index into pools
    nodes: IntArray
    gpus: IntArray
    layout_spaces: dict[tuple[str, Hardware], LayoutSpace] = field(default_factory=dict)
    physics: dict[tuple[str, str], SettingPhysics] = field(default_factory=dict)
    tables: dict[tuple[str, int], LayoutTable] = field(default_factory=dict)
    near: dict[int, tuple[float, Found]] = field(default_factory=dict)  # cell -> seconds, and what runs within them
    _times: dict[tuple[float, float], tuple[FloatArray, FloatArray]] = field(default_factory=dict)
    _costs: dict[tuple[float, float], FloatArray] = field(default_factory=dict)
    _slopes: dict[tuple[float, float], FloatArray] = field(default_factory=dict)
    _cheapest: dict[bytes, tuple[FloatArray, IntArray]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        cells = len(self.gpus)
        self.best_s = np.full(cells, np.inf)  # undisturbed seconds of the run, as predicted, where found
        self.exact = np.zeros(cells, dtype=bool)  # whether best_s is the cell's least
        self.bound_s = np.zeros(cells)  # seconds that the cell does not undercut
        self.row, self.dp, self.micro, self.batch = (np.zeros(cells, dtype=np.int64) for _ in range(4))
        self.covered, self.instances = (np.zeros(cells, dtype=np.int64) for _ in range(2))
        self.step_s = np.zeros(cells)

    def __len__(self) -> int:
        return len(self.gpus)

    @cached_property
    def paid_gpus(self) -> IntArray:
        """GPUs that are paid for: those that train and those of the spare nodes, (cells,)."""
        spare = spare_nodes(self.scenario)
        return self.gpus + spare * (self.gpus // np.maximum(self.nodes, 1)) if spare else self.gpus

    @cached_property
    def waiting_s(self) -> FloatArray:
        """Seconds until the machines of a cell are there: they count against the time budget, (cells,)."""
        each = np.array([pool.waiting_s for pool in self.pools])
        return each[self.pool] if len(self.pools) else np.zeros(len(self))

    @cached_property
    def buying(self) -> Mapping[str, Buying]:
        """What buying each own cluster means, by its name."""
        return buying_of(self.scenario, self.catalog)

    def of(self, scenario: Scenario) -> Problem:
        """The problem of another scenario on the same facts."""

        def alike(*names: str) -> bool:
            return all(getattr(scenario, name) == getattr(self.scenario, name) for name in names)

        same_run = alike("model", "data", "seq_length", "training", "layout", "throughput")
        # The user's own measurements are read on the machines of `cluster`, with the hazards of `risk`.
        own_calibration = self.calibration if not scenario.throughput or same_run and alike("cluster", "risk") else None
        other = build(scenario, self.catalog, self.facts, self.given, own_calibration)
        if other.calibration is not self.calibration or not alike("model", "seq_length", "layout"):
            return other
        one, two = (replace(s.training, **OF_LENGTHS) for s in (self.scenario, scenario))
        if one == two:
            other.learn_of(self)
        return other

    def learn_of(self, known: Problem) -> None:
        """Takes over what does not hang on how these problems differ: of one model in one way of training."""
        self.tables = known.tables
        alike = self.scenario.risk == known.scenario.risk
        if alike:
            self.overhead = known.overhead
        one, two = self.scenario.cluster, known.scenario.cluster
        if self.batches != known.batches or any(getattr(one, name) != getattr(two, name) for name in OF_SITES):
            return
        self.physics = known.physics
        self.layout_spaces = (
            known.layout_spaces
            if self.run == known.run
            else {k: s.running(self.run) for k, s in known.layout_spaces.items()}
        )
        if [p.setting for p in self.pools] != [p.setting for p in known.pools]:
            return
        if not np.array_equal(self.gpus, known.gpus) or not np.array_equal(self.pool, known.pool):
            return
        self.factors, self.space = known.factors, known.space
        if self.run == known.run:
            self.floor_s = known.floor_s
            for name in LEARNT:
                setattr(self, name, getattr(known, name).copy())
            if alike and [OF_CLOCKS(p) for p in self.pools] == [OF_CLOCKS(p) for p in known.pools]:
                self.completion_model, self._slopes = known.completion_model, known._slopes

    def forget(self) -> None:
        """Drops what was learnt of the cells, so that they are searched anew."""
        self.best_s[:], self.bound_s[:] = np.inf, 0.0
        self.exact[:] = False

    def layout_space(self, pool: int) -> LayoutSpace:
        """The search space of a pool, built when first asked for; pools that differ in their cloud alone share it."""
        setting = self.pools[pool].setting
        key = (setting.framework, setting.hardware)
        if key not in self.layout_spaces:
            physics = self._physics(setting)
            self.layout_spaces[key] = LayoutSpace(
                physics, self._table(setting), self.batches, self.run, self.scenario.layout.dp
            )
        return self.layout_spaces[key]

    def cells_together(self, pool: int, done: int) -> int:
        """How many GPU counts of a pool are searched in a pass: some, or after many others a share of as many."""
        most = ROWS_TOGETHER // max(1, len(self.layout_space(pool).table))
        return max(CELLS_TOGETHER, min(done // CELLS_TOGETHER, most))

    def _physics(self, setting: Setting) -> SettingPhysics:
        key = (setting.framework, setting.hardware.gpu)
        made = SettingPhysics(setting, self.calibration, self.scenario.layout.memory_headroom, self.physics.get(key))
        self.physics.setdefault(key, made)
        return made

    def _table(self, setting: Setting) -> LayoutTable:
        key = (setting.framework, self.scenario.cluster.max_gpus)
        if key not in self.tables:
            self.tables[key] = layout_table(
                setting.framework,
                setting.model,
                setting.seq_length,
                self.scenario.cluster.max_gpus,
                self.scenario.layout,
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
        fastest: dict[tuple[object, ...], int] = {}
        for i, pool in enumerate(self.pools):
            key = _but_network(pool.setting)
            known = fastest.setdefault(key, i)
            if _network(pool.setting) > _network(self.pools[known].setting):
                fastest[key] = i

        floors: dict[int, float] = {}

        def floor(setting: Setting) -> float:
            best = fastest[_but_network(setting)]
            if best not in floors:
                quickest = self.pools[best].setting
                floors[best] = floor_s(self._physics(quickest), self._table(quickest), self.batches, self.run)
            return floors[best]

        factor = np.ones(len(self))
        for setting, at in self._places:
            factor[at] = self.calibration.correction(setting, self.gpus[at])
        each = np.array([floor(pool.setting) for pool in self.pools], dtype=np.float64)
        return np.asarray(each[self.pool] * factor / self.gpus, dtype=np.float64)

    @cached_property
    def _places(self) -> list[tuple[Setting, IntArray]]:
        """A setting of each place that measured runs tell apart, and all cells there: they know no network or price."""
        pools: dict[Place, list[int]] = {}
        for i, pool in enumerate(self.pools):
            pools.setdefault(place_of(pool.setting), []).append(i)
        return [(self.pools[some[0]].setting, np.flatnonzero(np.isin(self.pool, some))) for some in pools.values()]

    @cached_property
    def space(self) -> IntArray:
        """Candidates of one offer of each cell, (cells,)."""
        out = np.zeros(len(self), dtype=np.int64)
        tables = [self._table(pool.setting) for pool in self.pools]
        for table in {id(t): t for t in tables}.values():
            same = np.array([t is table for t in tables], dtype=bool)
            at = np.flatnonzero(same[self.pool])
            counts, back = np.unique(self.gpus[at], return_inverse=True)
            out[at] = table.space(counts, self.scenario.layout.dp, self.batches)[back]
        return out

    def critical(self, tokens: int) -> CriticalBatch:
        """The critical batch of a run of `tokens`; at equal loss, of the run at the reference batch."""
        asked = self.length.total_samples * self.length.seq_length
        return critical_of(self.scenario, tokens if self.run.loss is None else asked)

    @cached_property
    def completion_model(self) -> CompletionModel:
        """How long the runs of each cell take, with what probability."""
        return completion_model(self.factors, self._hazard(), self.floor_s, self.overhead, self._market())

    @cached_property
    def factors(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Factors on predicted step times at p10, p50 and p90 of each cell, (cells,) each."""
        low, median, high = (np.ones(len(self)) for _ in range(3))
        for setting, at in self._places:
            factors = spread(setting, self.gpus[at], self.calibration)
            low[at], median[at], high[at] = (factors.quantile(p) for p in (0.1, 0.5, 0.9))
        return low, median, high

    @cached_property
    def overhead(self) -> Overhead:
        """What is paid for beside training, checkpoints and failures."""
        stated = self.scenario.risk.overhead if self.scenario.risk is not None else None
        return overhead_of(stated, self.risk_facts)

    def _hazard(self) -> Hazard:
        risk = self.scenario.risk or Risk()
        parameters = trained_parameters(self.scenario.model, self.scenario.training.adapter)
        known: dict[tuple[object, ...], Hazard] = {}
        parts = []
        for i, pool in enumerate(self.pools):
            gpus, size = self.gpus[self.pool == i], pool.setting.hardware.gpus_per_node
            key = (pool.interruptions, pool.takings.per_1000_node_days, size, gpus.tobytes())
            if key not in known:
                known[key] = hazards(
                    self.risk_facts,
                    risk,
                    rate=pool.interruptions,
                    preemptions=pool.takings.per_1000_node_days,
                    parameters=parameters,
                    optimizer_bytes=optimizer_state_bytes(pool.setting),
                    gpus=gpus,
                    gpus_per_node=size,
                )
            parts.append(known[key])
        return Hazard.join(parts)

    def _market(self) -> Market:
        spread = np.array([pool.takings.log_spread for pool in self.pools])
        other = replacement_s(self.risk_facts, self.scenario.risk or Risk())
        each = spread[self.pool] if len(self.pools) else np.zeros(len(self))
        return Market(each, np.full(len(self), other))

    def time_s(self, p: float, seconds: FloatArray, cells: IntArray, speed: float = 1.0) -> FloatArray:
        """The time that runs predicted to train for `seconds` stay below with probability p, were all `speed` as fast.

        What was asked last of each cell is kept: it is asked again and again of the best ones.
        """
        if (p, speed) not in self._times:
            self._times[p, speed] = (np.full(len(self), np.nan), np.full(len(self), np.nan))
        asked, told = self._times[p, speed]
        new = asked[cells] != seconds
        if new.any():
            at = cells[new]
            told[at] = self.completion_model.time_s(p, seconds[new] / speed, at)
            asked[at] = seconds[new]
        return told[cells]

    def cost_usd(self, p: float, rates: Rates, seconds: FloatArray, cells: IntArray, speed: float = 1.0) -> FloatArray:
        """What those runs stay within with probability p at these rates, USD, (n,); inf where they are not known."""
        time = self.time_s(p, seconds, cells, speed)
        cost = self.costs.usd(rates.low, time, cells)
        spread = rates.spread
        spread = spread[np.isfinite(seconds[spread])]
        if not spread.size:
            return cost
        if (p, speed) not in self._costs:
            self._costs[p, speed] = np.full((4, len(self)), np.nan)
        known = self._costs[p, speed]  # seconds, least and most rate that were asked last of each cell, and the answer
        at = cells[spread]
        asked = np.stack([seconds[spread], rates.low[spread], rates.high[spread]])
        answer = known[3, at]
        new = np.flatnonzero(np.any(known[:3, at] != asked, axis=0))
        if new.size:
            some = at[new]
            runs = self.completion_model.completion(asked[0, new] / speed, some)
            answer[new] = quantile(self.costs, runs, some, rates.take(spread[new]), p)
            known[:3, some], known[3, some] = asked[:, new], answer[new]
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
            out[known] = chance(self.costs, runs, at, rates.take(known), np.full(len(at), usd))
        return out

    def cost_line(self, p: float, rates: Rates, speed: float = 1.0) -> tuple[FloatArray, FloatArray]:
        """A bound below `cost_usd`, for rates of all cells: (USD an hour, factor), (cells,) each.

        With probability p a run predicted to train for s seconds costs no less than factor x s seconds at that rate.
        Price and time are independent: P(price >= u and time >= t) is the product, and where it exceeds 1 - p, a run
        costs less than u x t with a probability below p.
        """
        rate, factor = rates.low.copy(), self.slope(p, speed)
        spread = rates.spread
        if not spread.size:
            return rate, factor
        factor, storage = factor.copy(), self.costs.storage_usd_per_s * HOUR_S
        some, best = rates.take(spread), np.full(len(spread), -1.0)
        for share in SHARES:
            price = some.at_least(share)
            at = max(1.0 - (1.0 - p) / (1.0 - share) - MARGIN, 0.0 if share else 1e-6)
            if at < 1e-6:
                break
            slope = self.slope(at, speed)[spread]
            better = (price + storage) * slope > best
            best = np.where(better, (price + storage) * slope, best)
            rate[spread] = np.where(better, price, rate[spread])
            factor[spread] = np.where(better, slope, factor[spread])
        return rate, factor

    def slope(self, p: float, speed: float = 1.0) -> FloatArray:
        """Factor on predicted seconds that the time at probability p is never below, were all `speed` times as fast."""
        if (p, speed) not in self._slopes:
            watch = (
                replace(self.completion_model, least_s=self.floor_s / speed) if speed != 1.0 else self.completion_model
            )
            self._slopes[p, speed] = watch.slope(p) / speed
        return self._slopes[p, speed]

    def cheapest(self, allowed: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """Least price of each cell among the allowed offers (USD per GPU-hour; inf: none), and which offer it is.

        `allowed` is over `self.offers`; the index is into it too. Equal prices go to the first id.
        """
        key = b"" if allowed is None else allowed.tobytes()
        if key not in self._cheapest:
            self._cheapest[key] = self._find_cheapest(allowed)
        return self._cheapest[key]

    def _find_cheapest(self, allowed: BoolArray | None) -> tuple[FloatArray, IntArray]:
        price = np.full(len(self), np.inf)
        which = np.full(len(self), -1, dtype=np.int64)
        for offer_at in range(len(self.offers) - 1, -1, -1):
            offer = self.offers[offer_at]
            if allowed is not None and not allowed[offer_at]:
                continue
            at = self.sold[offer_at]
            better = offer.usd_per_gpu_hour <= price[at]
            price[at[better]] = offer.usd_per_gpu_hour
            which[at[better]] = offer_at
        return price, which

    @cached_property
    def offers(self) -> tuple[Offer, ...]:
        """Every offer once, by id."""
        return tuple(sorted({o.id: o for pool in self.pools for o in pool.offers}.values(), key=lambda o: o.id))

    @cached_property
    def ranges(self) -> FloatArray:
        """Least and most USD per GPU-hour of each of `offers`, (2, offers)."""
        return np.array([price_range(offer) for offer in self.offers]).reshape(-1, 2).T

    def rates(self, offers: IntArray, cells: IntArray, price: float = 1.0) -> Rates:
        """What these cells' machines may be charged an hour on these offers (inf: none, -1), prices times `price`."""
        gpus = self.paid_gpus[cells] * price
        ends = [np.where(offers >= 0, end[offers] if len(end) else np.inf, np.inf) * gpus for end in self.ranges]
        return Rates(ends[0], ends[1])

    @cached_property
    def sold(self) -> tuple[IntArray, ...]:
        """For each of `offers`, the cells that it could be ordered as."""
        pools_of: dict[str, list[int]] = {}
        for i, each in enumerate(self.pools):
            for offer in each.offers:
                pools_of.setdefault(offer.id, []).append(i)
        starts = np.searchsorted(self.pool, np.arange(len(self.pools) + 1))
        out = []
        for offer in self.offers:
            low, high = node_range(offer, self.scenario)
            parts = []
            for pool in pools_of[offer.id]:
                nodes = self.nodes[starts[pool] : starts[pool + 1]]
                parts.append(starts[pool] + np.flatnonzero((nodes >= low) & (nodes <= high)))
            out.append(np.concatenate(parts))
        return tuple(out)

    @cached_property
    def sellers(self) -> IntArray:
        """How many offers could be ordered as each cell, (cells,)."""
        count = np.zeros(len(self), dtype=np.int64)
        for cells in self.sold:
            count[cells] += 1
        return count

    def refine(self, cells: IntArray, limits: Limits, tighten: Tighten, tally: Tally | None = None) -> None:
        """Searches cells of one pool within limits (both in the order of `cells`), and keeps what is learnt."""
        pool = int(self.pool[cells[0]])
        found, count = solve(self.layout_space(pool), self.gpus[cells], limits, tighten)
        least = limits.least_s
        self.bound_s[cells] = np.maximum(self.bound_s[cells], least)
        self.keep(cells, found, least)
        if tally is not None:  # the last pass over a cell decides anew on all its candidates
            tally.evaluated[cells] = count.evaluated
            for rule, values in count.pruned.items():
                tally.pruned[rule][cells] = values

    def keep(self, cells: IntArray, found: Found, least: FloatArray) -> None:
        """Notes each cell's best, (found.cell indexes `cells`), if it is within the seconds searched, `least`."""
        at = cells[found.cell]
        known = found.seconds <= least[found.cell]
        at, found = at[known], found.take(known)
        self.exact[at] = True
        self.best_s[at] = self.bound_s[at] = found.seconds
        self.step_s[at] = found.step_s
        self.row[at], self.dp[at] = found.row, found.dp
        self.micro[at], self.batch[at] = found.micro, found.batch
        self.covered[at], self.instances[at] = found.covered, found.instances


def _but_network(setting: Setting) -> tuple[object, ...]:
    """All that tells the settings of one problem apart, but the rate of a known network."""
    h = setting.hardware
    known = h.network_gbit_per_s is not None
    return (setting.framework, h.gpu, h.gpus_per_node, h.scale_up_domain, h.link_gbyte_per_s, h.fabric, known)


def _network(setting: Setting) -> float:
    return setting.hardware.network_gbit_per_s or 0.0


def build(
    scenario: Scenario,
    catalog: Catalog,
    calibration: Calibration,
    offers: Sequence[Offer] | None = None,
    own_calibration: Calibration | None = None,
) -> Problem:
    """The problem of a scenario. Nothing is evaluated yet, but what the user's own measurements ask for.

    Parameters
    ----------
    offers : plan with these instead of the catalog's eligible ones
    bent : the calibration with the user's own measurements in it, where it is known already

    Raises
    ------
    PlannerError
        If the scenario allows no batch, names what the catalog lacks, or states a throughput of what cannot run.
    """
    if scenario.objective.kind in MOST_TRAINING:
        from planner.search.most import settled

        scenario = settled(scenario, lambda s: build(s, catalog, calibration, offers, own_calibration))
    length, run, batches, batch_text = run_of(scenario)
    if own_calibration is None and scenario.throughput:
        from planner.search.own_runs import calibrated_by_own_runs

        own_calibration = calibrated_by_own_runs(
            scenario, catalog, calibration, lambda s, o: build(s, catalog, calibration, o)
        )
    priced = not (scenario.cost_left_out or scenario.money.hours)
    eligible = (
        eligible_offers(catalog, scenario.cluster, priced=priced) if offers is None else Eligible(tuple(offers), {})
    )
    eligible = replace(eligible, offers=counted(eligible.offers, scenario.money))
    facts = load_risk_facts()
    pools, nodes, left_out = gather(scenario, catalog, eligible, facts)
    pool = np.repeat(np.arange(len(pools)), np.array([len(n) for n in nodes], dtype=np.int64))
    kinds = tuple(dict.fromkeys(p.paid for p in pools))
    kind_of_pool = np.array([kinds.index(p.paid) for p in pools], dtype=np.int64)
    every = np.concatenate([*nodes, np.zeros(0, dtype=np.int64)])
    per_node = np.array([p.setting.hardware.gpus_per_node for p in pools], dtype=np.int64)
    return Problem(
        scenario=scenario,
        catalog=catalog,
        facts=calibration,
        calibration=own_calibration or calibration,
        length=length,
        run=run,
        batches=batches,
        pools=tuple(pools),
        left_out=left_out,
        costs=Costs(scenario.storage, scenario.egress, kinds, kind_of_pool[pool]),
        given=None if offers is None else tuple(offers),
        batch_text=batch_text,
        risk_facts=facts,
        remarks=eligible.remarks,
        pool=pool,
        nodes=every,
        gpus=every * per_node[pool] if len(pools) else every,
    )
