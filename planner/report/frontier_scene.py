"""What a drawing of a frontier shows, whatever draws it: axes, offers, the budget box, the plan chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from planner.report.figures import Scale, money_scale, money_text, time_scale
from planner.report.plan_sections import seller
from planner.report.proposal.svg import log_ticks, ticks
from planner.results.answers import Frontier, StatedGoal
from planner.results.plan import OfferRef, Plan
from planner.units import PlannerError, format_count, format_number, format_percent

LOG_FROM = 5.0  # a range of so many times its least value, or more, is drawn on a logarithmic axis
FAR = {False: 2.0, True: 6.0}  # a budget further out than so many times the furthest plan is named at the edge
FEW_TICKS = 4
FEW_OFFERS = 5  # so many are named beside their plans; more in a key
NEAR = 0.35  # a linear axis starts at 0 unless its least value is more than this share of its most
_AIM = {"time": "the fastest", "cost": "the cheapest"}


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis in its unit: what it spans, whether it is logarithmic, and where the budget ends on it."""

    name: str
    scale: Scale
    log: bool
    low: float
    high: float
    budget: float | None  # in the unit; None: not given
    drawn: bool  # whether the budget's end is within the axis

    @property
    def title(self) -> str:
        return f"{self.name}, {self.scale.unit} (p50)"

    def share(self, value: float) -> float:
        """Where a value (in the unit) lies, 0 at the low end and 1 at the high one."""
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
    """A plan in the plane: its place in the axes' units and the number of its offer."""

    plan: Plan
    x: float
    y: float
    offer: int

    @property
    def over(self) -> bool:
        return self.plan.within_budget is False


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything that is drawn. `stairs` are the spots that no other beats in time and cost alone."""

    x: Axis
    y: Axis
    spots: tuple[Spot, ...]
    stairs: tuple[Spot, ...]
    offers: tuple[str, ...]  # "h100-sxm5-80gb, nebius", in order of the fastest plan of each
    chosen: Spot | None
    chosen_words: tuple[str, str]  # what it runs on, and what it takes; nothing where none is chosen
    budget_texts: tuple[str, ...]  # in full, then shorter; none where there is no budget

    @property
    def chosen_text(self) -> str:
        """The chosen plan in a line."""
        return ": ".join(filter(None, self.chosen_words))


def scene_of(frontier: Frontier) -> Scene | None:
    """The scene of a frontier; None where it has no plans.

    Raises PlannerError where no plan has a price: there is no cost to draw time against.
    """
    plans = frontier.plans
    if not plans:
        return None
    if not any(plan.offer.priced for plan in plans):
        raise PlannerError(
            "there is no cost to draw time against: state the price of your machines, such as"
            " `usd_per_gpu_hour: 0.60` under cluster.own"
        )
    goal = frontier.goal
    names = list(dict.fromkeys(offer_words(plan.offer) for plan in plans))
    x = _axis("time", [plan.time_s.p50 for plan in plans], goal.time_s if goal else None, time_scale)
    y = _axis("cost", [plan.cost_usd.p50 for plan in plans], goal.cost_usd if goal else None, money_scale)
    spots = tuple(
        Spot(
            plan,
            plan.time_s.p50 / x.scale.size,
            plan.cost_usd.p50 / y.scale.size,
            names.index(offer_words(plan.offer)),
        )
        for plan in plans
    )
    best = frontier.best
    chosen = next((spot for spot in spots if spot.plan is best), None)
    return Scene(
        x,
        y,
        spots,
        tuple(stairs_of(spots)),
        tuple(names),
        chosen,
        ("", "") if chosen is None else plan_words(chosen.plan),
        _budget_texts(goal),
    )


def stairs_of(spots: Sequence[Spot]) -> list[Spot]:
    """Of spots, fastest first, those that none before them equals or beats in cost."""
    found: list[Spot] = []
    for spot in spots:
        if not found or spot.y < found[-1].y:
            found.append(spot)
    return found


def offer_words(offer: OfferRef) -> str:
    """What tells offers apart on a chart: GPU, cloud, and how it is paid for."""
    return f"{offer.gpu}, {seller(offer)}"


def plan_words(plan: Plan) -> tuple[str, str]:
    """What a plan runs on, and what it takes: "80 × h100-sxm5-80gb, nebius", "8.67 days, 49.1 k USD"."""
    return (
        f"{format_count(plan.gpus)} × {offer_words(plan.offer)}",
        f"{time_scale(plan.time_s.p50).text(plan.time_s.p50)}, {money_text(plan.cost_usd.p50)}",
    )


def aim_words(goal: StatedGoal | None) -> str:
    """Why the chosen plan is the one: what it is the best in."""
    if goal is None:
        return ""
    aim = _AIM.get(goal.objective, "the best by cost and days")
    budgets = (goal.time_s is not None) + (goal.cost_usd is not None)
    return f"{aim} within the budget{'s' * (budgets > 1)}" if budgets else aim


def _budget_texts(goal: StatedGoal | None) -> tuple[str, ...]:
    if goal is None:
        return ()
    ends = [] if goal.time_s is None else [time_scale(goal.time_s).text(goal.time_s)]
    ends += [] if goal.cost_usd is None else [money_scale(goal.cost_usd).text(goal.cost_usd)]
    if not ends:
        return ()
    short = f"budget: {', '.join(ends)}"
    if goal.confidence is None:
        return (short,)
    each = "each " if len(ends) > 1 else ""
    return f"{short}, {each}with {format_percent(goal.confidence)} confidence", short


def tick_text(value: float) -> str:
    """A value at an axis: three digits, no idle zeros."""
    return format_number(value, 3)


def _axis(name: str, values: Sequence[float], budget: float | None, scale_of: Callable[[float], Scale]) -> Axis:
    scale = scale_of(max(values))
    least, most = min(values) / scale.size, max(values) / scale.size
    log = most >= LOG_FROM * least
    end = None if budget is None else budget / scale.size
    drawn = end is not None and least / FAR[log] <= end <= most * FAR[log]
    if end is not None and drawn:
        least, most = min(least, end), max(most, end)
    if log or least >= NEAR * most:
        return _padded(name, scale, log, least, most, end, drawn)
    return Axis(name, scale, False, 0.0, most * 1.06, end, drawn)


def _padded(name: str, scale: Scale, log: bool, least: float, most: float, end: float | None, drawn: bool) -> Axis:
    """An axis a little longer than what it shows; of a single value, from half to one and a half of it."""
    if least == most:
        return Axis(name, scale, False, 0.5 * least, 1.5 * most, end, drawn)
    if log:
        margin = (most / least) ** 0.06
        return Axis(name, scale, True, least / margin, most * margin, end, drawn)
    margin = 0.08 * (most - least)
    return Axis(name, scale, False, max(0.0, least - margin), most + margin, end, drawn)
