"""The best plan by plain nested loops: no bound, no dominance, no code of `planner.search`.

Every candidate of a scenario is listed and looked at. Layouts are those of `layout_loops`; of each it asks the
performance room for memory and step time through its public functions, and nothing else is shared with the search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

import numpy as np
from layout_loops import Beside, Layout, groups, layouts, shares, unnamed, zero_stages

from planner.catalog.risk_facts import RiskFacts, load_risk_facts
from planner.performance.arrays import Layouts, Setting
from planner.performance.calibration import Calibration
from planner.performance.intervals import spread
from planner.performance.memory import capacity_gib, memory
from planner.performance.steptime import step_time
from planner.results.plan import Takings
from planner.risk.completion import Completion
from planner.risk.failures import NOT_SPOT, hazards, interruption_rate, replacement_s, takings
from planner.risk.hazard import Hazard
from planner.risk.overhead import overhead_of
from planner.risk.spot_market import Market, market_completion
from planner.search.conditions import conditions_of
from planner.spec.hardware import Offer
from planner.spec.scenario import BatchRamp, IntChoice, Risk, Scenario, Training
from planner.workload import parameter_counts

Row = tuple[int, int, int, int, int, int, int, bool, int, int, int]


@dataclass(frozen=True)
class _Alone:
    """One of many runs."""

    runs: Completion
    at: int


@dataclass(frozen=True)
class Candidate:
    offer: str
    framework: str
    gpus: int
    tp: int
    pp: int
    vpp: int
    dp: int
    cp: int
    ep: int
    zero_stage: int
    sequence_parallel: bool
    recompute: int
    micro_batch: int
    batch: int
    fits: bool
    time_s: float  # p50
    cost_usd: float
    sure_time_s: float  # at the budget's confidence
    sure_cost_usd: float
    alone: _Alone | None = None  # its time
    usd_per_hour: tuple[float, float] = (0.0, 0.0)  # least and most that its machines may be charged
    share: float | None = None  # of the layers that full recompute covers; None: all
    group: int | None = None  # GPUs over which states are sharded; None: all ranks

    @property
    def runs(self) -> Completion | None:
        return None if self.alone is None else self.alone.runs.take(np.array([self.alone.at]))

    def cost_quantile(self, p: float) -> float:
        """USD that the run stays within with probability p, by halving."""
        least, most = self.usd_per_hour
        if most <= least:
            return least * float(self.runs.quantile(p)[0]) / 3600.0
        hours, weight = _lengths(self.runs)
        low, high = least * float(hours[0]), most * float(hours[-1])
        while high > low * (1 + 1e-12):
            middle = (low + high) / 2.0
            enough = _share_of_prices(hours, weight, self.usd_per_hour, middle) >= p
            low, high = (low, middle) if enough else (middle, high)
        return high

    @property
    def complexity(self) -> int:
        used = sum(n > 1 for n in (self.tp, self.pp, self.vpp, self.cp, self.ep))
        return used + max(self.zero_stage - 1, 0) + self.recompute + self.sequence_parallel

    def value(self, scenario: Scenario) -> float:
        kind, rate = scenario.objective.kind, scenario.objective.usd_per_day / 86400.0
        if kind == "cost":
            return self.cost_usd
        return self.time_s if kind == "time" else rate * self.time_s + self.cost_usd

    def within(self, scenario: Scenario) -> bool:
        budget = scenario.budget
        in_time = budget.time_s is None or self.sure_time_s <= budget.time_s
        in_cost = budget.cost_usd is None or self.sure_cost_usd <= budget.cost_usd
        return self.fits and in_time and in_cost

    def order(self, scenario: Scenario) -> tuple[object, ...]:
        return (
            self.value(scenario),
            self.cost_usd,
            self.time_s,
            self.gpus,
            self.batch,
            self.complexity,
            self.offer,
            self.framework,
            self.tp,
            self.pp,
            self.vpp,
            self.cp,
            self.ep,
            self.zero_stage,
            self.recompute,
            self.micro_batch,
            1.0 if self.share is None else self.share,
            0 if self.group is None else -self.group,
        )


def cost_chance(runs: Completion, usd_per_hour: tuple[float, float], usd: float) -> float:
    """P(cost <= usd), the price evenly likely between least and most."""
    low, high = usd_per_hour
    if high <= low:
        return float(runs.probability(usd / low * 3600.0)[0])
    return _share_of_prices(*_lengths(runs), usd_per_hour, usd)


def _share_of_prices(hours: np.ndarray, weight: np.ndarray, usd_per_hour: tuple[float, float], usd: float) -> float:
    low, high = usd_per_hour
    return float(np.sum(weight * np.clip((usd / hours - low) / (high - low), 0.0, 1.0)))


def _lengths(runs: Completion) -> tuple[np.ndarray, np.ndarray]:
    """Hours and their weights: differences of the distribution of time, looked at 600 times.

    Nothing of the lengths that the search reckons costs with: those are delays times factors.
    """
    ends = [float(runs.quantile(p)[0]) for p in (1e-6, 1.0 - 1e-6)]
    time = np.geomspace(*ends, 601)
    chance = runs.take(np.zeros(len(time), dtype=np.int64)).probability(time)
    chance[0], chance[-1] = 0.0, 1.0
    return np.sqrt(time[1:] * time[:-1]) / 3600.0, np.diff(chance)


@lru_cache(maxsize=1)
def _facts() -> RiskFacts:
    return load_risk_facts()


def prices(offer: Offer) -> tuple[float, float]:
    """Least and most USD per GPU-hour: of a spot offer, its range."""
    if offer.pricing != "spot" or offer.usd_per_gpu_hour_range is None:
        return offer.usd_per_gpu_hour, offer.usd_per_gpu_hour
    return offer.usd_per_gpu_hour_range


def enumerate_candidates(
    scenario: Scenario, offers: Iterable[Offer], catalog: object, calibration: Calibration
) -> list[Candidate]:
    """Every candidate of the scenario's space, those that do not fit in memory among them."""
    timed = [
        _timed(scenario, offer, setting, gpus, rows, calibration)
        for offer, setting, gpus, rows in _listed(scenario, offers, catalog)
    ]
    return _ended(scenario, timed) if timed else []


def size_of(scenario: Scenario, offers: Iterable[Offer], catalog: object) -> int:
    """How many candidates there are."""
    return sum(len(rows) for *_, rows in _listed(scenario, offers, catalog))


def _listed(
    scenario: Scenario, offers: Iterable[Offer], catalog: object
) -> Iterator[tuple[Offer, Setting, int, list[Row]]]:
    """The candidates of each offer, framework and GPU count that has any."""
    wanted = scenario.training.framework
    for offer in offers:
        for framework in unnamed() if wanted == "any" else (wanted,):
            setting = Setting(
                scenario.model,
                scenario.seq_length,
                scenario.training.precision,
                framework,
                "latest" if wanted == "any" else scenario.training.framework_release,
                catalog.accelerator(offer.gpu),  # type: ignore[attr-defined]
                offer.hardware,
                conditions=conditions_of(scenario),
            )
            size = offer.hardware.gpus_per_node
            most = scenario.cluster.max_gpus // size
            if offer.max_nodes is not None:
                most = min(most, offer.max_nodes)
            for nodes in range(1, most + 1):
                rows = list(_cut(scenario, setting, nodes * size))
                alike: dict[tuple[float | None, int | None], list[Row]] = {}
                for row in rows:
                    layout, training = Layout(*row[:9]), scenario.training
                    for share in shares(framework, scenario.model.layers, layout, scenario.layout.recompute_share):
                        for group in groups(framework, layout, scenario.layout.shard_group, training.optimizer):
                            alike.setdefault((share, group), []).append(row)
                for (share, group), some in alike.items():
                    conditions = replace(setting.conditions, recompute_share=share, shard_group=group)
                    yield offer, replace(setting, conditions=conditions), nodes * size, some


def best_of(scenario: Scenario, candidates: Iterable[Candidate]) -> Candidate | None:
    """The first of the candidates within the budgets by the total order."""
    return min((c for c in candidates if c.within(scenario)), key=lambda c: c.order(scenario), default=None)


def _cut(scenario: Scenario, setting: Setting, gpus: int) -> Iterator[Row]:
    training, bounds = scenario.training, scenario.layout
    beside = Beside(
        training.precision,
        training.optimizer,
        training.offload,
        training.adapter.method if training.adapter else "",
        bounds.recompute_share,
        bounds.shard_group,
    )
    stages = zero_stages(setting.framework, beside)
    allowed = batches(training.global_batch)
    for tp, pp, vpp, dp, cp, ep, zero, sp, rc in layouts(
        setting.framework, setting.release, setting.model, setting.seq_length, gpus, bounds, stages
    ):
        for batch in allowed:
            if batch % dp:
                continue
            for micro in range(1, batch // dp + 1):
                if (batch // dp) % micro or not scenario.layout.micro_batch.allows(micro):
                    continue
                grad_accum = batch // dp // micro
                if vpp > 1 and grad_accum % pp:
                    continue
                if not _ramp_allows(scenario, batch, micro * dp * (pp if vpp > 1 else 1)):
                    continue
                yield tp, pp, vpp, dp, cp, ep, zero, sp, rc, micro, grad_accum


def batches(choice: IntChoice | None) -> list[int]:
    assert choice is not None
    if choice.values:
        return sorted(v for v in set(choice.values) if choice.allows(v))
    assert choice.maximum is not None
    return [n for n in range(choice.minimum or 1, choice.maximum + 1) if choice.allows(n)]


def _ramp_allows(scenario: Scenario, batch: int, cut: int) -> bool:
    ramp = scenario.training.batch_ramp
    if ramp is None:
        return True
    reaches = batch >= ramp.start and (batch - ramp.start) % ramp.increment == 0
    return reaches and ramp.start % cut == 0 and ramp.increment % cut == 0


@dataclass(frozen=True)
class _Timed:
    """Candidates of one offer, framework and GPU count, and how long their runs take if nothing disturbs them."""

    offer: Offer
    setting: Setting
    gpus: int
    rows: list[Row]
    fits: np.ndarray
    lengths: np.ndarray  # the different seconds of those that fit
    place: list[int]  # of each candidate among them; of those that do not fit one beyond
    sigmas: tuple[float, float]
    hazard: Hazard
    market: Market


def _timed(
    scenario: Scenario, offer: Offer, setting: Setting, gpus: int, rows: list[Row], calibration: Calibration
) -> _Timed:
    columns = [np.array(c) for c in zip(*rows, strict=True)]
    layouts = Layouts(*columns)
    steps = step_time(setting, layouts, calibration).total_s
    fits = memory(setting, layouts).total <= capacity_gib(setting) * (1.0 - scenario.layout.memory_headroom)
    at = np.array([gpus])
    spread_ = spread(setting, at, calibration)
    low, median, high = (float(spread_.quantile(p)[0]) for p in (0.1, 0.5, 0.9))
    deciles = 1.2815515655446004
    at_size = _steps_at_ramp_sizes(scenario, setting, layouts, calibration)
    seconds = [
        _run_seconds(
            scenario, float(step_s), row[3] * row[9] * row[10], {size: float(s[i]) for size, s in at_size.items()}
        )
        for i, (step_s, row) in enumerate(zip(steps, rows, strict=True))
    ]
    # Runs that take equally long end alike, and those that do not fit never end.
    lengths, place = np.unique(np.where(fits, seconds, np.inf), return_inverse=True)
    return _Timed(
        offer,
        setting,
        gpus,
        rows,
        fits,
        lengths[np.isfinite(lengths)] * median,
        place.tolist(),
        (float(np.log(median / low)) / deciles, float(np.log(high / median)) / deciles),
        _hazard(scenario, offer, setting, at),
        _market(scenario, offer, setting),
    )


def _ended(scenario: Scenario, timed: list[_Timed]) -> list[Candidate]:
    """The candidates with what their runs take at the scenario's confidence, all asked for at once."""
    counts = [len(t.lengths) for t in timed]
    every = np.repeat(np.arange(len(timed)), counts)
    hazard = Hazard.join([t.hazard for t in timed]).take(every)
    market = Market(*(np.concatenate([getattr(t.market, f) for t in timed]) for f in ("log_spread", "replacement_s")))
    low, high = (np.array([t.sigmas[side] for t in timed])[every] for side in (0, 1))
    work = np.concatenate([t.lengths for t in timed])
    stated = scenario.risk.overhead if scenario.risk else None
    runs = market_completion(work, low, high, hazard, market.take(every), overhead_of(stated, _facts()))
    likely, sure = (runs.quantile(p).tolist() for p in (0.5, scenario.budget.confidence))
    out = []
    start = 0
    for t, count in zip(timed, counts, strict=True):
        rate = t.offer.usd_per_gpu_hour * t.gpus
        told = (t.setting.conditions.recompute_share, t.setting.conditions.shard_group)
        least, most = prices(t.offer)
        for i, (row, at) in enumerate(zip(t.rows, t.place, strict=True)):
            time, late = (likely[start + at], sure[start + at]) if t.fits[i] else (np.inf, np.inf)
            out.append(
                Candidate(
                    t.offer.id,
                    t.setting.framework,
                    t.gpus,
                    *row[:10],
                    row[3] * row[9] * row[10],
                    bool(t.fits[i]),
                    time,
                    rate * (time / 3600.0),
                    late,
                    rate * (late / 3600.0),
                    _Alone(runs, start + at) if t.fits[i] else None,
                    (least * t.gpus, most * t.gpus),
                    *told,
                )
            )
        start += count
    return out


def _hazard(scenario: Scenario, offer: Offer, setting: Setting, gpus: np.ndarray) -> Hazard:
    facts, risk = _facts(), scenario.risk or Risk()
    return hazards(
        facts,
        risk,
        rate=interruption_rate(facts, setting.accelerator.family, offer.cloud, risk),
        preemptions=_taken(scenario, offer, setting).per_1000_node_days,
        parameters=parameter_counts(setting.model).total,
        gpus=gpus,
        gpus_per_node=offer.hardware.gpus_per_node,
    )


def _taken(scenario: Scenario, offer: Offer, setting: Setting) -> Takings:
    known = (_facts(), setting.accelerator.family, offer.cloud, scenario.risk or Risk())
    return takings(*known) if offer.pricing == "spot" else NOT_SPOT


def _market(scenario: Scenario, offer: Offer, setting: Setting) -> Market:
    other = replacement_s(_facts(), scenario.risk or Risk())
    return Market(np.array([_taken(scenario, offer, setting).log_spread]), np.array([other]))


def _steps_at_ramp_sizes(
    scenario: Scenario, setting: Setting, layouts: Layouts, calibration: Calibration
) -> dict[int, np.ndarray]:
    """Seconds of a step of each layout at every batch of the ramp."""
    ramp = scenario.training.batch_ramp
    if ramp is None:
        return {}
    cut = layouts.micro_batch * layouts.dp
    sizes = range(ramp.start, int((cut * layouts.grad_accum).max()) + 1, ramp.increment)
    return {
        size: step_time(setting, replace(layouts, grad_accum=np.maximum(size // cut, 1)), calibration).total_s
        for size in sizes
    }


def _run_seconds(scenario: Scenario, step_s: float, batch: int, at_size: dict[int, float]) -> float:
    """Steps one after another; a ramp is walked step by step as Megatron does it."""
    training, ramp = scenario.training, scenario.training.batch_ramp
    samples = ceil(scenario.data[0].samples * training.epochs) if training.epochs else None
    if ramp is None:
        steps = training.iterations if samples is None else ceil(samples / batch)
        return (steps + _evaluations(training, steps) * (1.0 / 3.0)) * step_s
    steps, counts = _walk(samples, training.iterations, batch, ramp)
    total = _evaluations(training, steps) * (1.0 / 3.0) * step_s
    for size, count in counts:
        total += count * (step_s if size == batch else at_size[size])
    return total


@lru_cache(maxsize=4096)
def _walk(
    samples: int | None, iterations: int | None, batch: int, ramp: BatchRamp
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Steps of a ramped run, and how many there are of each batch, one after another."""
    stages = max((batch - ramp.start) // ramp.increment, 0)
    counts: dict[int, int] = {}
    seen = steps = 0
    while (samples is not None and seen < samples) or (samples is None and steps < (iterations or 0)):
        size = batch
        if stages and seen < ramp.samples:
            size = min(batch, ramp.start + int(seen / (ramp.samples / stages)) * ramp.increment)
        counts[size] = counts.get(size, 0) + 1
        seen += size
        steps += 1
    return steps, tuple(counts.items())


def _evaluations(training: Training, steps: int) -> int:
    if not training.evaluation_interval or not training.evaluation_iterations:
        return 0
    return (steps // training.evaluation_interval + 2) * training.evaluation_iterations
