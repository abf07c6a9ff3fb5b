"""`compare`: scenarios, saved answers, or one scenario's options side by side: why they differ, what each needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from planner.catalog import Catalog
from planner.money import in_its_money, money_of, writing
from planner.performance.calibration import Calibration
from planner.results.answers import Comparison, Difference, Optimization, Provenance, Side
from planner.results.plan import Plan
from planner.search.building import build
from planner.search.comparison_factors import READINGS, cost_factors, gpu_hours, time_factors
from planner.search.infeasible import reason_of
from planner.search.objectives import Goal, View, find
from planner.search.optimum import provenance_of, scenario_goal, unit_of
from planner.search.plans import make_plan
from planner.search.search_state import SearchState
from planner.search.simplicity import plain
from planner.search.whatif import break_even_price, break_even_speed
from planner.spec.hardware import Offer
from planner.spec.scenario import Scenario
from planner.units import PlannerError
from planner.words import say

KINDS: Mapping[str, Callable[[Offer], str]] = {
    "offer": lambda offer: offer.id,
    "gpu": lambda offer: offer.gpu,
    "cloud": lambda offer: offer.cloud,
}


@dataclass(frozen=True, slots=True)
class _Contender:
    """A side while it is compared: its goal in its search, where there is one to search again."""

    side: Side
    provenance: Provenance
    state: SearchState | None = None
    goal: Goal | None = None
    value: float | None = None
    unit: str = "USD"  # of the value: USD | s


@in_its_money
def compare(
    sides: Sequence[Scenario | Optimization],
    catalog: Catalog,
    calibration: Calibration,
    *,
    by: str | None = None,
    labels: Sequence[str] | None = None,
    offers: Sequence[Offer] | None = None,
) -> Comparison:
    """Best plans side by side, differences to the first, why each is better or worse, and what it would need to win.

    Parameters
    ----------
    sides : scenarios to be solved and saved answers, in any mixture; one scenario alone with `by`
    by : offer | gpu | cloud | gpus: the sides are the options of the one scenario, best first
    labels : what to call the sides; else the scenarios' names
    offers : plan with these instead of the catalog's eligible ones

    Raises
    ------
    PlannerError
        If `by` does not fit, or there is nothing to compare.
    """
    if by is not None:
        if len(sides) != 1 or not isinstance(sides[0], Scenario):
            raise PlannerError(say("comparing.by_one", by=by))
        contenders = _options(build(sides[0], catalog, calibration, offers), by)
    else:
        if len(sides) < 2:
            raise PlannerError(say("comparing.by_none"))
        _check_units(sides)
        names = labels or _names(sides)
        contenders = [_contender(s, n, catalog, calibration, offers) for s, n in zip(sides, names, strict=True)]
    return Comparison(
        by=by,
        sides=tuple(c.side for c in contenders),
        differences=tuple(_differences(contenders)),
        warnings=_warnings(contenders, by),
        provenance=tuple(dict.fromkeys(c.provenance for c in contenders))
        if by is None
        else (contenders[0].provenance,),
    )


def _check_units(sides: Sequence[Scenario | Optimization]) -> None:
    """Raises PlannerError where hours are counted on one side and money, or hours of another kind, on another."""
    moneys = [money_of(side) for side in sides]
    units = dict.fromkeys(money.unit if money.hours else say("comparing.money") for money in moneys)
    if len(units) > 1:
        listed = reduce(lambda some, other: say("comparing.and", some=some, other=other), units)
        raise PlannerError(say("comparing.units", units=listed))


def _names(sides: Sequence[Scenario | Optimization]) -> list[str]:
    names = [s.name if isinstance(s, Scenario) else s.provenance.scenario for s in sides]
    repeated = {n for n in names if names.count(n) > 1}
    return [f"{n} ({i + 1})" if n in repeated else n for i, n in enumerate(names)]


def _contender(
    side: Scenario | Optimization,
    label: str,
    catalog: Catalog,
    calibration: Calibration,
    offers: Sequence[Offer] | None,
) -> _Contender:
    if isinstance(side, Optimization):
        reason = side.infeasibility.reason if side.infeasibility is not None else ""
        value = side.certificate.best
        unit = side.certificate.unit
        return _Contender(Side(label, side.status, side.plan, reason), side.provenance, value=value, unit=unit)
    state = build(side, catalog, calibration, offers)
    return _solved(state, label, scenario_goal(state.space.scenario))


def _options(state: SearchState, by: str) -> list[_Contender]:
    """One contender an option of the scenario, the best first, those without a plan last."""
    goal = scenario_goal(state.space.scenario)
    goals: list[tuple[str, Goal]]
    if by == "gpus":
        sold = np.unique(state.space.gpus[state.space.sellers > 0])
        goals = [(say("comparing.gpus", gpus=n), replace(goal, cells=state.space.gpus == n)) for n in sold.tolist()]
    elif by in KINDS:
        kinds = np.array([KINDS[by](offer) for offer in state.space.offers])
        goals = [(str(kind), replace(goal, offers=kinds == kind)) for kind in dict.fromkeys(kinds.tolist())]
    else:
        raise PlannerError(say("comparing.by_unknown", by=by))
    if not goals:
        raise PlannerError(say("comparing.no_offer"))
    solved = [_solved(state, label, each) for label, each in goals]
    return sorted(solved, key=lambda c: (c.value is None, c.value if c.value is not None else 0.0))


def _solved(state: SearchState, label: str, goal: Goal) -> _Contender:
    view = View(state, goal)
    cell = find(view)
    provenance, unit = provenance_of(state.space), unit_of(state.space.scenario)
    if cell is None:
        side = Side(label, "infeasible", None, reason_of(state, goal))
        return _Contender(side, provenance, state, goal, unit=unit)
    pick = plain(view, cell)
    plan = make_plan(state, pick, state.space.offers[int(view.offer[cell])])
    value = view.value_at(cell)
    plan = replace(plan, objective_value=view.value_of(pick))
    return _Contender(Side(label, "optimal", plan), provenance, state, goal, value, unit)


MOST_ASKED = 6  # keys of the scenarios that are told apart
ASKED = 24  # sides, the best first, whose break-even is looked for


def _differences(contenders: Sequence[_Contender]) -> list[Difference]:
    plans = [c.side.plan for c in contenders]
    first = next((p for p in plans if p is not None), None)
    out = []
    for code, read in READINGS:
        values = tuple("" if p is None else read(p) for p in plans)
        if any(values):
            out.append(Difference(say(code), values, _why(code, first, contenders)))
    if first is not None:
        out += _needs(contenders)
    unset = say("comparing.not_set")
    out += [
        Difference(say("comparing.asked", key=key), tuple(c.provenance.asked.get(key, unset) for c in contenders))
        for key in _asked_otherwise(contenders)[:MOST_ASKED]
    ]
    out += _changes(contenders)
    return out


def _asked_otherwise(contenders: Sequence[_Contender]) -> list[str]:
    """Keys of the scenarios whose values differ between the sides, in a scenario's order; of old answers nothing."""
    asked = [c.provenance.asked for c in contenders]
    if not all(asked):
        return []
    keys = dict.fromkeys(key for side in asked for key in side)
    return [key for key in keys if len({side.get(key) for side in asked}) > 1]


def _why(code: str, first: Plan | None, contenders: Sequence[_Contender]) -> str:
    """Time and cost against the first side's, taken apart into the factors that multiply to them."""
    if first is None or code not in ("comparing.time", "comparing.cost"):
        return ""
    ratios = []
    for c in contenders:
        plan = c.side.plan
        if plan is None or plan is first:
            continue
        ratio, factors = (time_factors if code == "comparing.time" else cost_factors)(plan, first)
        if ratio != 1.0:
            parts = [say("comparing.factor", factor=factor, of=say(of)) for of, factor in factors.items()]
            product = reduce(lambda some, other: say("comparing.times", some=some, other=other), parts)
            ratios.append(say("comparing.apart", side=c.side.label, ratio=ratio, product=product))
    return say("comparing.each", told=ratios) if ratios else ""


def _needs(contenders: Sequence[_Contender]) -> list[Difference]:
    """Break-even price and throughput of each side: against the best of the others, by searching again."""
    price: list[str] = []
    speed: list[str] = []
    told, asked = False, 0
    for c in contenders:
        others = [o.value for o in contenders if o is not c and o.value is not None and o.unit == c.unit]
        at_price = at_speed = None
        if c.state is not None and c.goal is not None and others and asked < ASKED:
            asked += 1
            target = min(others)
            near = 1.0 if c.value is None else min(max(target / c.value, 0.02), 50.0)
            at_price = break_even_price(c.state, c.goal, target, near)
            at_speed = break_even_speed(c.state, c.goal, target, 1.0 / near)
        plan = c.side.plan
        told = told or at_price is not None or at_speed is not None
        if at_price is None:
            price.append("")
        elif plan is None:
            price.append(say("comparing.share_of_price", factor=at_price))
        else:
            price.append(say("comparing.at_price", cost=plan.offer.usd_per_gpu_hour * at_price, factor=at_price))
        speed.append("" if at_speed is None else say("comparing.at_speed", factor=at_speed))
    if not told:
        return []
    prices = Difference(say("comparing.even_price"), tuple(price), say("comparing.even_price_why"))
    speeds = Difference(say("comparing.even_speed"), tuple(speed), say("comparing.even_speed_why"))
    return [speeds] if writing().hours else [prices, speeds]


def _changes(contenders: Sequence[_Contender]) -> list[Difference]:
    """Between saved answers of one scenario: what they were made from changed, and what that is in money and days."""
    first = contenders[0]
    if any(c.state is not None for c in contenders) or first.side.plan is None:
        return []
    made_from = ("planner", "scenario_digest", "catalog_digest", "calibration_digest")
    out = []
    for key in made_from:
        values = tuple(str(getattr(c.provenance, key))[:12] for c in contenders)
        if len(set(values)) > 1 and not (key == "scenario_digest" and _asked_otherwise(contenders)):
            only = key == "scenario_digest" and all(c.provenance.asked for c in contenders)
            why = say("comparing.written_otherwise" if only else "comparing.changed")
            out.append(Difference(say("comparing.made_from", what=say(f"comparing.from_{key}")), values, why))
    base = first.side.plan
    price: list[str] = []
    hours: list[str] = []
    days: list[str] = []
    for c in contenders:
        plan = c.side.plan
        if plan is None:
            for column in (price, hours, days):
                column.append("")
            continue
        used, used_first = gpu_hours(plan), gpu_hours(base)
        price.append(_signed((plan.offer.usd_per_gpu_hour - base.offer.usd_per_gpu_hour) * used_first))
        hours.append(_signed(plan.offer.usd_per_gpu_hour * (used - used_first)))
        later = round((plan.time_s.p50 - base.time_s.p50) / 86400, 2) + 0.0
        days.append(say("comparing.days", days=later))
    out.append(Difference(say("comparing.change_price"), tuple(price), say("comparing.change_price_why")))
    out.append(Difference(say("comparing.change_hours"), tuple(hours), say("comparing.change_hours_why")))
    out.append(Difference(say("comparing.change_time"), tuple(days)))
    return out


def _signed(usd: float) -> str:
    return say("comparing.less" if usd < 0 else "comparing.more", cost=abs(usd))


def _warnings(contenders: Sequence[_Contender], by: str | None) -> tuple[str, ...]:
    more = _asked_otherwise(contenders)[MOST_ASKED:]
    if more:
        code = "comparing.differ_and_others" if len(more) > MOST_ASKED else "comparing.differ"
        return (say(code, count=len(more), keys=more[:MOST_ASKED]),)
    lost = sum(c.side.plan is None for c in contenders)
    if not lost or by is None:
        return ()
    return (say("comparing.without_plan", lost=lost, options=len(contenders)),)
