"""What is searched: every cell (a pool of offers, a number of nodes) that could be a plan, and all that is given of it.

Nothing here changes while a search goes on; what it finds is a `SearchState` of this space.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from planner.catalog import Catalog, Eligible, eligible_offers
from planner.catalog.risk_facts import RiskFacts, load_risk_facts
from planner.performance.arrays import BoolArray, FloatArray, IntArray, Setting
from planner.performance.calibration import Calibration
from planner.performance.conditions import optimizer_state_bytes
from planner.performance.residual import Place
from planner.performance.stacks import place_of
from planner.results.plan import Buying
from planner.risk.failures import hazards, replacement_s
from planner.risk.hazard import Hazard
from planner.risk.spot_market import Market
from planner.search.batches import BatchSpace
from planner.search.buying import buying_of
from planner.search.counted_hours import counted
from planner.search.pools import Pool, gather, node_range, spare_nodes
from planner.search.prices import Rates, price_range
from planner.search.run_cost import Costs
from planner.search.run_length import Run, critical_of, run_of
from planner.spec.hardware import Offer
from planner.spec.scenario import Risk, Scenario
from planner.workload.adapters import trained_parameters
from planner.workload.learning import CriticalBatch


@dataclass(frozen=True, eq=False)
class SearchSpace:
    """Pools of offers, their cells (pool, node count) as arrays over all pools, and what runs and costs hang on."""

    scenario: Scenario
    catalog: Catalog
    facts: Calibration  # without the user's own measurements
    calibration: Calibration  # with them
    run: Run
    batches: BatchSpace
    batch_text: str  # the default range of batches in words, "" where the scenario gives one
    given: tuple[Offer, ...] | None  # offers that stand for the catalog's
    pools: tuple[Pool, ...]
    left_out: Mapping[str, int]
    remarks: tuple[str, ...]  # what to know of the offers that were left out
    costs: Costs
    risk_facts: RiskFacts
    pool: IntArray  # (cells,) index into pools
    nodes: IntArray
    gpus: IntArray

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

    def critical(self, tokens: int) -> CriticalBatch:
        """The critical batch of a run of `tokens`; at equal loss, of the run at the reference batch."""
        reference = self.run.length.total_samples * self.run.length.seq_length
        return critical_of(self.scenario, tokens if self.run.loss is None else reference)

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

    def cheapest(self, allowed: BoolArray | None = None) -> tuple[FloatArray, IntArray]:
        """Least price of each cell among the allowed offers (USD per GPU-hour; inf: none), and which offer it is.

        `allowed` is over `offers`; the index is into it too. Equal prices go to the first id.
        """
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
    def places(self) -> list[tuple[Setting, IntArray]]:
        """A setting of each place that measured runs tell apart, and all cells there: they know no network or price."""
        pools: dict[Place, list[int]] = {}
        for i, pool in enumerate(self.pools):
            pools.setdefault(place_of(pool.setting), []).append(i)
        return [(self.pools[some[0]].setting, np.flatnonzero(np.isin(self.pool, some))) for some in pools.values()]

    @cached_property
    def fastest_network(self) -> IntArray:
        """Of each pool the one that differs from it in its network's rate alone, and has the fastest, (pools,)."""
        fastest: dict[tuple[object, ...], int] = {}
        keys = [_but_network(pool.setting) for pool in self.pools]
        for i, key in enumerate(keys):
            known = fastest.setdefault(key, i)
            if _network(self.pools[i].setting) > _network(self.pools[known].setting):
                fastest[key] = i
        return np.array([fastest[key] for key in keys], dtype=np.int64)

    def hazard(self) -> Hazard:
        """What interrupts the runs of each cell, (cells,)."""
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

    def market(self) -> Market:
        """How sure the rate is at which the market takes each cell's nodes back, (cells,)."""
        spread = np.array([pool.takings.log_spread for pool in self.pools])
        other = replacement_s(self.risk_facts, self.scenario.risk or Risk())
        each = spread[self.pool] if len(self.pools) else np.zeros(len(self))
        return Market(each, np.full(len(self), other))


def _but_network(setting: Setting) -> tuple[object, ...]:
    """All that tells the settings of one space apart, but the rate of a known network."""
    h = setting.hardware
    known = h.network_gbit_per_s is not None
    return (setting.framework, h.gpu, h.gpus_per_node, h.scale_up_domain, h.link_gbyte_per_s, h.fabric, known)


def _network(setting: Setting) -> float:
    return setting.hardware.network_gbit_per_s or 0.0


def search_space(
    scenario: Scenario, catalog: Catalog, calibration: Calibration, offers: Sequence[Offer] | None = None
) -> SearchSpace:
    """The space of a scenario that says how long its runs are. Nothing is evaluated.

    Parameters
    ----------
    offers : plan with these instead of the catalog's eligible ones

    Raises
    ------
    PlannerError
        If the scenario allows no batch, or names what the catalog lacks.
    """
    run, batches, batch_text = run_of(scenario)
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
    gpus = every * per_node[pool] if len(pools) else every
    for cells in (pool, every, gpus):
        cells.setflags(write=False)
    return SearchSpace(
        scenario=scenario,
        catalog=catalog,
        facts=calibration,
        calibration=calibration,
        run=run,
        batches=batches,
        batch_text=batch_text,
        given=None if offers is None else tuple(offers),
        pools=tuple(pools),
        left_out=left_out,
        remarks=eligible.remarks,
        costs=Costs(scenario.storage, scenario.egress, kinds, kind_of_pool[pool]),
        risk_facts=facts,
        pool=pool,
        nodes=every,
        gpus=gpus,
    )
