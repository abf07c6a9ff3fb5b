"""What a drawing of a frontier shows, whatever draws it: axes, offers, the budget box, the plan chosen."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from planner.report.figures import Scale, money_scale, money_text, time_scale
from planner.report.plan_sections import seller
from planner.report.proposal.svg import log_ticks, ticks
from planner.results.answers import Frontier, StatedGoal
from planner.results.plan import OfferRef, Plan
from planner.units import PlannerError, format_number
from planner.words import said, say

# The rules of axes; `templates/plane.js` has the same ones for the axes that a reader chooses.
LOG_FROM = 5.0  # a range of so many times its least value, or more, is drawn on a logarithmic axis
FAR = {False: 2.0, True: 6.0}  # a budget further out than so many times the furthest plan is named at the edge
NEAR = 0.35  # a linear axis starts at 0 unless its least value is more than this share of its most
FEW_TICKS = 4
FEW_OFFERS = 5  # so many are named beside their plans; more in a key


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis: what it tells, what it spans, whether it is logarithmic, and where the budget ends on it."""

    title: str
    log_title: str  # that says so, of an axis that is logarithmic
    log: bool
    low: float
    high: float
    budget: float | None  # None: not given
    budget_text: str
    drawn: bool  # whether the budget's end is within the axis

    @property
    def full_title(self) -> str:
        return self.log_title if self.log else self.title

    @property
    def end(self) -> float:
        """Where plans within the budget end, as `share`; at the axis's own end where the budget lies beyond it."""
        if self.budget is None:
            return 1.0
        return self.share(self.budget) if self.drawn else float(self.budget > self.low)

    def share(self, value: float) -> float:
        """Where a value lies, 0 at the low end and 1 at the high one."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self, most: int) -> list[float]:
        """Round values along the axis, at most about so many."""
        if not self.log:
            return [tick for tick in ticks(self.high, most, self.low) if tick <= self.high]
        found = log_ticks(self.low, self.high)
        if len(found) >= FEW_TICKS:
            return found
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        fine = [m * 10.0**e for e in range(first, last + 1) for m in (1, 1.5, 2, 3, 4, 5, 6, 8)]
        return [tick for tick in fine if self.low <= tick <= self.high]


@dataclass(frozen=True, slots=True)
class Spot:
    """A plan in the plane: its place on the axes, the number of its offer, and whether it is outside the budgets."""

    x: float
    y: float
    offer: int
    gpus: int = 1
    over: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is drawn, plans fastest first."""

    x: Axis
    y: Axis
    spots: tuple[Spot, ...]
    offers: tuple[str, ...]  # what tells them apart, by number
    chosen: Spot | None = None
    chosen_words: tuple[str, str] | tuple[()] = ()  # what it runs on, and what it takes
    budget_texts: tuple[str, ...] = ()  # both budgets in full, then shorter; none where there is no budget

    @property
    def chosen_text(self) -> str:
        """The chosen plan in a line; nothing where none is chosen."""
        if not self.chosen_words:
            return ""
        cluster, takes = self.chosen_words
        return said("frontier_scene.plan", cluster=cluster, takes=takes)

    @property
    def stairs(self) -> tuple[Spot, ...]:
        """The spots that none before them equals or beats in cost."""
        found: list[Spot] = []
        for spot in self.spots:
            if not found or spot.y < found[-1].y:
                found.append(spot)
        return tuple(found)


def scene_of(frontier: Frontier) -> Scene | None:
    """The scene of a frontier, its spots in the order of its plans; None where it has none.

    Raises PlannerError where no plan has a price: there is no cost to draw time against.
    """
    plans, goal = frontier.plans, frontier.goal
    if not plans:
        return None
    if not any(plan.offer.priced for plan in plans):
        raise PlannerError(say("frontier_scene.no_price"))
    time, cost = scales_of(plans)
    names = list(dict.fromkeys(offer_words(plan.offer) for plan in plans))
    spots = tuple(
        Spot(
            plan.time_s.p50 / time.size,
            plan.cost_usd.p50 / cost.size,
            names.index(offer_words(plan.offer)),
            plan.gpus,
            plan.within_budget is False,
        )
        for plan in plans
    )
    at = next((n for n, plan in enumerate(plans) if plan is frontier.best), None)
    return Scene(
        _axis("time", time, [spot.x for spot in spots], None if goal is None else goal.time_s),
        _axis("cost", cost, [spot.y for spot in spots], None if goal is None else goal.cost_usd),
        spots,
        tuple(names),
        None if at is None else spots[at],
        () if at is None else plan_words(plans[at]),
        _budget_texts(goal),
    )


def scales_of(plans: Iterable[Plan]) -> tuple[Scale, Scale]:
    """The units in which times and costs of plans stand side by side: those of the largest medians."""
    times, costs = zip(*((plan.time_s.p50, plan.cost_usd.p50) for plan in plans), strict=True)
    return time_scale(max(times)), money_scale(max(costs))


def offer_words(offer: OfferRef) -> str:
    """What tells offers apart on a chart: GPU, cloud, and how it is paid for."""
    return said("frontier_scene.offer", gpu=offer.gpu, seller=seller(offer))


def plan_words(plan: Plan) -> tuple[str, str]:
    """What a plan runs on, and what it takes: "80 × h100-sxm5-80gb, nebius", "8.67 days, 49.1 k USD"."""
    time, cost = time_scale(plan.time_s.p50).text(plan.time_s.p50), money_text(plan.cost_usd.p50)
    return (
        said("frontier_scene.cluster", gpus=plan.gpus, offer=offer_words(plan.offer)),
        said("frontier_scene.takes", time=time, cost=cost),
    )


def aim_words(goal: StatedGoal | None) -> str:
    """Why the chosen plan is the one: what it is the best in."""
    if goal is None:
        return ""
    aim = said(f"frontier_scene.best_{goal.objective if goal.objective in ('time', 'cost') else 'both'}")
    budgets = (goal.time_s is not None) + (goal.cost_usd is not None)
    return said("frontier_scene.within", aim=aim, budgets=budgets) if budgets else aim


def _budget_texts(goal: StatedGoal | None) -> tuple[str, ...]:
    if goal is None:
        return ()
    ends = [] if goal.time_s is None else [time_scale(goal.time_s).text(goal.time_s)]
    ends += [] if goal.cost_usd is None else [money_text(goal.cost_usd)]
    if not ends:
        return ()
    short = said("frontier_scene.budget", ends=ends)
    if goal.confidence is None:
        return (short,)
    code = "frontier_scene.budget_sure" if len(ends) == 1 else "frontier_scene.budgets_sure"
    return said(code, ends=ends, sure=goal.confidence), short


def tick_text(value: float) -> str:
    """A value at an axis: three digits, no idle zeros."""
    return format_number(value, 3)


def _axis(name: Literal["time", "cost"], scale: Scale, values: Sequence[float], budget: float | None) -> Axis:
    titles = [said(f"frontier_scene.{name}{log}", unit=scale.unit) for log in ("", "_log")]
    text = "" if budget is None else said("frontier_scene.budget", ends=[scale.text(budget)])
    return axis_of(values, None if budget is None else budget / scale.size, (titles[0], titles[1]), text)


def axis_of(values: Sequence[float], budget: float | None, titles: tuple[str, str], budget_text: str = "") -> Axis:
    """An axis for these values and for the budget where that is near them; titles as of `Axis`, the plain one first.

    It is a little longer than what it shows; that of a single value is from half to one and a half of it.
    """
    least, most = min(values), max(values)
    log = 0.0 < LOG_FROM * least <= most
    drawn = budget is not None and least / FAR[log] <= budget <= most * FAR[log]
    if budget is not None and drawn:
        least, most = min(least, budget), max(most, budget)
    if least == most:
        low, high, log = 0.5 * least, 1.5 * most or 1.0, False
    elif log:
        margin = (most / least) ** 0.06
        low, high = least / margin, most * margin
    elif least < NEAR * most:
        low, high = 0.0, 1.06 * most
    else:
        margin = 0.08 * (most - least)
        low, high = max(0.0, least - margin), most + margin
    return Axis(*titles, log, low, high, budget, budget_text, drawn)
