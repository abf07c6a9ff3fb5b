"""A plan simulated many times: what its stated probabilities are worth, in its own world and in worse ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from planner.money import Money
from planner.performance.arrays import FloatArray
from planner.results.plan import Plan, Quantiles, Reliability
from planner.results.result import Result
from planner.risk.completion import NO_OVERHEAD
from planner.risk.simulation import SimulatedRun, Simulation, simulate
from planner.spec.billing import PaidTime
from planner.units import PlannerError
from planner.words import say

DECILE = 1.2815515655446004  # standard deviations between the median and the 90th percentile

# What else might be true: name -> change of the run. Each is a world that the plan did not reckon with.
OTHER_WORLDS: tuple[tuple[str, Callable[[SimulatedRun], SimulatedRun]], ...] = (
    (say("worlds.failures_twice"), lambda run: replace(run, rate_per_s=2.0 * run.rate_per_s)),
    (say("worlds.longer_steps"), lambda run: replace(run, work_s=1.05 * run.work_s)),
    (say("worlds.bursts"), lambda run: replace(run, burst=4.0)),
    (say("worlds.long_restarts"), lambda run: replace(run, recover_s=3.0 * run.recover_s)),
)


# Stress that a reader asks about: name -> change of the run. The last is all of them at once.
HOUR_S = 3600.0
STRESSES: tuple[tuple[str, Callable[[SimulatedRun], SimulatedRun]], ...] = (
    (say("worlds.slower_steps"), lambda run: replace(run, work_s=1.2 * run.work_s)),
    (say("worlds.failures_thrice"), lambda run: replace(run, rate_per_s=3.0 * run.rate_per_s)),
    (say("worlds.ramp"), lambda run: replace(run, recover_s=run.recover_s + HOUR_S)),
    (
        say("worlds.all_three"),
        lambda run: replace(
            run, work_s=1.2 * run.work_s, rate_per_s=3.0 * run.rate_per_s, recover_s=run.recover_s + HOUR_S
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class World:
    """One kind of world, drawn many times. Probabilities are None where no such budget was given."""

    name: str
    time_s: Quantiles
    cost_usd: Quantiles
    p_within_time: float | None
    p_within_cost: float | None
    p_within_both: float | None
    interruptions: float  # mean
    lost_s: float  # mean: work done twice
    waiting_s: float  # mean: detection, restart, waiting for nodes
    overhead_s: float | None = None  # mean: paid beside training, checkpoints and failures; None: it has none
    histogram: tuple[tuple[float, int], ...] = ()  # (upper edge in seconds, worlds up to there since the last edge)
    cost_histogram: tuple[tuple[float, int], ...] = ()  # the same of the cost, USD


@dataclass(frozen=True, slots=True)
class Stress:
    """A plan under stress: how its runs end there, and what would have to be set aside to keep a promise there.

    The time (s) and the cost (USD) that a share `confidence` of these runs stays within, what that is beyond the same
    promise in the plan's own world, and how sure one would have to be in that world to have asked for as much.
    """

    world: World
    confidence: float
    time_needed_s: float
    cost_needed_usd: float
    more_time_s: float
    more_cost_usd: float
    time_confidence: float
    cost_confidence: float


@dataclass(frozen=True, slots=True, repr=False)
class Replay(Result):
    """What `planner simulate` answers with."""

    worlds: int
    seed: int
    stated: World  # the plan's own closed form
    simulated: World
    largest_quantile_error: float  # |simulated / stated - 1|, over p10, p50, p90 of the time
    largest_probability_error: float | None
    other_worlds: tuple[World, ...]
    money: Money | None = None  # what costs are written in
    stresses: tuple[Stress, ...] = ()

    @property
    def priced(self) -> bool:
        """Whether the machines have a price; without one nothing is known of the cost."""
        return self.stated.cost_usd.p90 > 0.0


def run_of(plan: Plan) -> SimulatedRun:
    """The run that a plan describes.

    Raises
    ------
    PlannerError
        If the plan was saved by a planner that did not know of failures.
    """
    known = plan.reliability
    if known is None:
        raise PlannerError(say("replay.no_failures_known"))
    step = plan.step_time_s
    return SimulatedRun(
        work_s=known.undisturbed_s,
        log_low=math.log(step.p50 / step.p10) / DECILE,
        log_high=math.log(step.p90 / step.p50) / DECILE,
        rate_per_s=1.0 / known.mean_time_between_s if known.mean_time_between_s else 0.0,
        recover_s=known.restart_s - known.wait_share * known.wait_s - (1.0 - known.wait_share) * known.replacement_s,
        wait_share=known.wait_share,
        wait_s=known.wait_s,
        checkpoint_s=known.checkpoint_s,
        interval_s=known.checkpoint_interval_s or math.inf,
        replacement_s=known.replacement_s,
        least=known.overhead.least if known.overhead else 1.0,
        log_more=known.overhead.log_more if known.overhead else 0.0,
        market_spread=known.taken.log_spread if known.taken else 0.0,
    )


def reliability_of(plan: Plan) -> Reliability:
    """What a plan says of failures; PlannerError as in `run_of`."""
    if plan.reliability is None:
        raise PlannerError(say("replay.no_failures_said"))
    return plan.reliability


def replay(
    plan: Plan,
    worlds: int,
    seed: int,
    *,
    time_budget_s: float | None,
    cost_budget_usd: float | None,
    confidence: float | None = None,
    tick: Callable[[float], None] | None = None,
) -> Replay:
    """Draw `worlds` histories of a plan, and as many of each world that is worse than it reckons with.

    Each run is charged as the plan's machines are: at a price drawn for it, by whole steps and blocks where those are
    paid, with its storage and egress. `confidence` is that of the budgets, which the stresses are asked at; None: 0.9.
    `tick` is told the finished share.
    """
    run = run_of(plan)
    budgets = (time_budget_s, cost_budget_usd)
    total = 1 + len(OTHER_WORLDS) + len(STRESSES)

    def draw(at: int, which: SimulatedRun) -> Simulation:
        progress = None if tick is None else (lambda share: tick((at + share) / total))
        return simulate(which, worlds, seed + at, progress)

    base = draw(0, run)
    usual = _world(say("worlds.as_planned"), base, plan, budgets, histogram=True)
    others = tuple(
        _world(name, draw(i, change(run)), plan, budgets) for i, (name, change) in enumerate(OTHER_WORLDS, 1)
    )

    def stress_tick(share: float) -> None:
        if tick is not None:
            tick((1 + len(OTHER_WORLDS) + share * len(STRESSES)) / total)

    stated = _stated(plan)
    pairs = [(getattr(stated, p), getattr(usual, p)) for p in ("p_within_time", "p_within_cost", "p_within_both")]
    apart = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return Replay(
        worlds=worlds,
        seed=seed,
        stated=stated,
        simulated=usual,
        largest_quantile_error=max(
            abs(getattr(usual.time_s, p) / getattr(stated.time_s, p) - 1.0) for p in ("p10", "p50", "p90")
        ),
        largest_probability_error=max(apart, default=None),
        other_worlds=others,
        stresses=stresses_of(plan, run, base, seed, budgets, 0.9 if confidence is None else confidence, stress_tick),
    )


def stresses_of(
    plan: Plan,
    run: SimulatedRun,
    base: Simulation,
    seed: int,
    budgets: tuple[float | None, float | None],
    confidence: float,
    tick: Callable[[float], None] | None = None,
) -> tuple[Stress, ...]:
    """A plan in each world of STRESSES, with the luck (the seed) that its own world `base` was drawn with.

    So a world differs by its stress alone, and none looks better by chance.
    """
    worlds = len(base.time_s)
    base_cost = cost_of(plan, base.time_s, base.luck)
    out = []
    for number, (name, change) in enumerate(STRESSES, 1):
        drawn = simulate(change(run), worlds, seed)
        cost = cost_of(plan, drawn.time_s, drawn.luck)
        time, usd = drawn.quantile(confidence), float(np.quantile(cost, confidence))
        out.append(
            Stress(
                world=_world(name, drawn, plan, budgets),
                confidence=confidence,
                time_needed_s=time,
                cost_needed_usd=usd,
                more_time_s=max(time - base.quantile(confidence), 0.0),
                more_cost_usd=max(usd - float(np.quantile(base_cost, confidence)), 0.0),
                time_confidence=float((base.time_s <= time).mean()),
                cost_confidence=float((base_cost <= usd).mean()),
            )
        )
        if tick is not None:
            tick(number / len(STRESSES))
    return tuple(out)


def _stated(plan: Plan) -> World:
    known = reliability_of(plan)
    interval = known.checkpoint_interval_s
    saving = 0.0 if interval is None else known.checkpoint_s * math.floor(known.undisturbed_s / interval)
    own = known.undisturbed_s / known.goodput
    disturbed = own - known.undisturbed_s - saving
    # What an overhead adds on average; its exponential's logarithm has no mean from 1 on.
    paid = known.overhead or NO_OVERHEAD
    overhead_s = own * (paid.least / (1.0 - paid.log_more) - 1.0) if paid.log_more < 1.0 else None
    return World(
        "stated",
        plan.time_s,
        plan.cost_usd,
        plan.p_within_time,
        plan.p_within_cost,
        plan.p_within_both,
        known.interruptions,
        max(disturbed - known.interruptions * known.restart_s, 0.0),
        known.interruptions * known.restart_s,
        overhead_s,
    )


def _world(
    name: str,
    drawn: Simulation,
    plan: Plan,
    budgets: tuple[float | None, float | None],
    *,
    histogram: bool = False,
) -> World:
    cost = cost_of(plan, drawn.time_s, drawn.luck)
    in_time = None if budgets[0] is None else drawn.time_s + plan.offer.waiting_s <= budgets[0]
    in_cost = None if budgets[1] is None else cost <= budgets[1]
    given = [met for met in (in_time, in_cost) if met is not None]
    levels = (0.1, 0.5, 0.9)
    return World(
        name,
        Quantiles(*(drawn.quantile(p) for p in levels)),
        Quantiles(*(float(np.quantile(cost, p)) for p in levels)),
        None if in_time is None else float(in_time.mean()),
        None if in_cost is None else float(in_cost.mean()),
        float(np.logical_and.reduce(given).mean()) if given else None,
        float(drawn.failures.mean()),
        float(drawn.lost_s.mean()),
        float(drawn.waiting_s.mean()),
        float(drawn.overhead_s.mean()),
        _bars(drawn.time_s) if histogram else (),
        _bars(cost) if histogram else (),
    )


def _bars(values: FloatArray) -> tuple[tuple[float, int], ...]:
    """Forty bars of a histogram; the last thousandth at either end is not drawn."""
    low, high = (float(np.quantile(values, p)) for p in (0.001, 0.999))
    edges = np.linspace(low, max(high, low * (1 + 1e-9)), 41)
    counts, _ = np.histogram(values, edges)
    return tuple((float(edge), int(count)) for edge, count in zip(edges[1:], counts, strict=True))


def cost_of(plan: Plan, time_s: FloatArray, luck: FloatArray) -> FloatArray:
    """USD of runs of these lengths; `luck`, from 0 to 1, says where between least and most each one's price lies.

    Raises
    ------
    PlannerError
        If the plan was saved by a planner that did not say how it is charged.
    """
    bill = plan.billing
    if bill is None:
        raise PlannerError(say("replay.no_charges_said"))
    paid = PaidTime(bill.minimum_s, bill.step_s, bill.block_s, bill.then).paid_s(time_s)
    price = bill.usd_per_hour_low + luck * (bill.usd_per_hour_high - bill.usd_per_hour_low)
    return np.asarray((price * paid + bill.storage_usd_per_hour * time_s) / 3600.0 + bill.egress_usd)
