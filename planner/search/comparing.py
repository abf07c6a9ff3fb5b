"""`compare`: scenarios, saved answers, or one scenario's options side by side: why they differ, what each needs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from planner.catalog import Catalog
from planner.catalog.types import Offer
from planner.money import in_its_money, money_of, writing
from planner.performance.calibration import Calibration
from planner.plan import Buying, Comparison, Difference, Optimization, Plan, Provenance, Side
from planner.scenario import Scenario
from planner.search.goals import Goal, View, find
from planner.search.infeasible import reason_of
from planner.search.optimum import provenance_of, scenario_goal, unit_of
from planner.search.plans import make_plan
from planner.search.problem import Problem, build
from planner.search.simplicity import plain, value_of
from planner.search.whatif import break_even_price, break_even_speed, value_at
from planner.units import PlannerError, format_count, format_duration, format_number, format_percent, format_usd

KINDS: Mapping[str, Callable[[Offer], str]] = {
    "offer": lambda offer: offer.id,
    "gpu": lambda offer: offer.gpu,
    "cloud": lambda offer: offer.cloud,
}


@dataclass(frozen=True, slots=True)
class _Contender:
    """A side while it is compared: its goal in its problem, where there is one to search again."""

    side: Side
    provenance: Provenance
    problem: Problem | None = None
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
            raise PlannerError(f"compare --by {by} compares the options of one scenario: give one scenario file")
        contenders = _options(build(sides[0], catalog, calibration, offers), by)
    else:
        if len(sides) < 2:
            raise PlannerError("compare needs two scenarios or saved plans, or one scenario with --by")
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
    units = dict.fromkeys(money.unit if (money := money_of(side)).hours else "money" for side in sides)
    if len(units) > 1:
        raise PlannerError(f"compare: {' and '.join(units)} cannot stand side by side: no rate lies between them")


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
    problem = build(side, catalog, calibration, offers)
    return _solved(problem, label, scenario_goal(problem.scenario))


def _options(problem: Problem, by: str) -> list[_Contender]:
    """One contender an option of the scenario, the best first, those without a plan last."""
    goal = scenario_goal(problem.scenario)
    if by == "gpus":
        sold = np.unique(problem.gpus[problem.sellers > 0])
        goals = [
            (f"{format_count(n)} GPU{'' if n == 1 else 's'}", replace(goal, cells=problem.gpus == n))
            for n in sold.tolist()
        ]
    elif by in KINDS:
        kinds = np.array([KINDS[by](offer) for offer in problem.offers])
        goals = [(str(kind), replace(goal, offers=kinds == kind)) for kind in dict.fromkeys(kinds.tolist())]
    else:
        raise PlannerError(f"compare --by {by}: choose one of offer, gpu, cloud, gpus")
    if not goals:
        raise PlannerError("compare: no offer fits what cluster asks for")
    solved = [_solved(problem, label, each) for label, each in goals]
    return sorted(solved, key=lambda c: (c.value is None, c.value if c.value is not None else 0.0))


def _solved(problem: Problem, label: str, goal: Goal) -> _Contender:
    view = View(problem, goal)
    cell = find(view)
    provenance, unit = provenance_of(problem), unit_of(problem.scenario)
    if cell is None:
        side = Side(label, "infeasible", None, reason_of(problem, goal))
        return _Contender(side, provenance, problem, goal, unit=unit)
    pick = plain(view, cell)
    plan = make_plan(problem, pick, problem.offers[int(view.offer[cell])])
    value = value_at(view, cell)
    plan = replace(plan, objective_value=value_of(view, pick))
    return _Contender(Side(label, "optimal", plan), provenance, problem, goal, value, unit)


MOST_ASKED = 6  # keys of the scenarios that are told apart
ASKED = 24  # sides, the best first, whose break-even is looked for

Reading = tuple[str, Callable[[Plan], str]]


def _chance(probability: float | None) -> str:
    """No figure says that something is certain."""
    if probability is None:
        return ""
    return "> 99.9 %" if probability > 0.999 else "< 0.1 %" if probability < 0.001 else format_percent(probability)


READINGS: tuple[Reading, ...] = (
    ("time", lambda p: format_duration(p.time_s.p50)),
    ("cost", lambda p: format_usd(p.cost_usd.p50) if p.offer.priced else ""),
    ("chance of the budgets", lambda p: _chance(p.p_within_both)),
    ("GPUs", lambda p: f"{format_count(p.gpus)} x {p.offer.gpu}"),
    ("offer", lambda p: p.offer.id),
    ("kind of price", lambda p: p.offer.price_kind),
    ("price of a GPU-hour", lambda p: _price(p)),  # noqa: PLW0108 - it stands below
    ("purchase sum", lambda p: "" if p.buying is None else format_usd(p.buying.purchase_usd)),
    ("buying pays", lambda p: "" if p.buying is None else _pays(p.buying)),
    ("framework", lambda p: p.framework),
    ("layout", lambda p: layout_text(p)),  # noqa: PLW0108 - it stands below
    ("global batch", lambda p: format_count(p.global_batch)),
    ("tokens/s/GPU", lambda p: format_number(p.tokens_per_s_per_gpu.p50)),
    ("memory", lambda p: f"{format_number(p.memory_gib.total, 3)} of {format_number(p.memory_gib.capacity, 3)} GiB"),
)


def _price(plan: Plan) -> str:
    shown = plan.offer.priced and not writing().hours
    return format_usd(plan.offer.usd_per_gpu_hour) if shown else ""


def _pays(found: Buying) -> str:
    """From which use on, and after how many months, buying pays against each kind of renting."""
    told = []
    for each in found.rented:
        kind = each.pricing.replace("_", " ")
        if each.utilisation > 1:
            told.append(f"never against {kind}")
            continue
        late = each.months is None or each.months > found.written_off_months
        back = "not paid back" if late else f"{format_number(each.months or 0.0, 3)} months"
        told.append(f"from {format_percent(each.utilisation)} use against {kind} ({back})")
    return "; ".join(told)


def layout_text(plan: Plan) -> str:
    """A layout in one line."""
    x = plan.layout
    parts = [
        f"{name} {n}" for name, n in (("tp", x.tp), ("pp", x.pp), ("vpp", x.vpp), ("cp", x.cp), ("ep", x.ep)) if n > 1
    ]
    groups = f" over groups of {plan.shard_group} GPUs" if plan.shard_group else ""
    parts += [f"dp {x.dp}", f"ZeRO {x.zero_stage}{groups}", f"micro-batch {x.micro_batch}"]
    parts += ["sequence parallel"] if x.sequence_parallel else []
    parts += [f"recompute {plan.recompute_words}"] if x.recompute != "none" else []
    return ", ".join(parts)


def _differences(contenders: Sequence[_Contender]) -> list[Difference]:
    plans = [c.side.plan for c in contenders]
    first = next((p for p in plans if p is not None), None)
    out = []
    for key, read in READINGS:
        values = tuple("" if p is None else read(p) for p in plans)
        if any(values):
            out.append(Difference(key, values, _why(key, first, contenders)))
    if first is not None:
        out += _needs(contenders)
    out += [
        Difference(f"asked: {key}", tuple(c.provenance.asked.get(key, "not set") for c in contenders))
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


def _why(key: str, first: Plan | None, contenders: Sequence[_Contender]) -> str:
    """Time and cost against the first side's, taken apart into the factors that multiply to them."""
    if first is None or key not in ("time", "cost"):
        return ""
    parts = []
    for c in contenders:
        plan = c.side.plan
        if plan is None or plan is first:
            continue
        hours, hours_first = (_gpu_hours(p) for p in (plan, first))
        if key == "time":
            ratio = plan.time_s.p50 / first.time_s.p50
            factors = [(hours / hours_first, "GPU-hours"), (first.paid_gpus / plan.paid_gpus, "by the number of GPUs")]
        elif first.cost_usd.p50 <= 0 or not plan.offer.priced:
            continue
        else:
            ratio = plan.cost_usd.p50 / first.cost_usd.p50
            price, price_first = (p.offer.usd_per_gpu_hour for p in (plan, first))
            factors = [(price / price_first, "price")] if price_first and price else []
            factors.append((hours / hours_first, "GPU-hours"))
            rest = ratio / math.prod(f for f, _ in factors)
            if abs(rest - 1.0) >= 5e-4:  # what is not the machines' own time at their own price
                factors.append((rest, _REST))
        if ratio == 1.0:
            continue
        told = " x ".join(f"{format_number(f, 3)} ({name})" for f, name in factors)
        parts.append(f"{c.side.label}: {format_number(ratio, 3)} times the first = {told}")
    return "; ".join(parts)


_REST = "billing, storage, egress and the spread of prices"


def _gpu_hours(plan: Plan) -> float:
    """GPU-hours that are paid for at p50, before billing rounds them up."""
    return plan.paid_gpus * plan.time_s.p50 / 3600


def _needs(contenders: Sequence[_Contender]) -> list[Difference]:
    """Break-even price and throughput of each side: against the best of the others, by searching again."""
    price: list[str] = []
    speed: list[str] = []
    told, asked = False, 0
    for c in contenders:
        others = [o.value for o in contenders if o is not c and o.value is not None and o.unit == c.unit]
        at_price = at_speed = None
        if c.problem is not None and c.goal is not None and others and asked < ASKED:
            asked += 1
            target = min(others)
            near = 1.0 if c.value is None else min(max(target / c.value, 0.02), 50.0)
            at_price = break_even_price(c.problem, c.goal, target, near)
            at_speed = break_even_speed(c.problem, c.goal, target, 1.0 / near)
        plan = c.side.plan
        told = told or at_price is not None or at_speed is not None
        if at_price is None:
            price.append("")
        elif plan is None:
            price.append(f"{format_number(at_price, 3)} x the price")
        else:
            price.append(f"{format_usd(plan.offer.usd_per_gpu_hour * at_price)} ({format_number(at_price, 3)} x)")
        speed.append("" if at_speed is None else f"{format_number(at_speed, 3)} x")
    if not told:
        return []
    if writing().hours:
        return [Difference("break-even throughput", tuple(speed), "of what is predicted; above it the side wins")]
    why = "where the side equals the best of the others: below it wins, above it loses"
    return [
        Difference("break-even price of a GPU-hour", tuple(price), why),
        Difference("break-even throughput", tuple(speed), "of what is predicted; above it the side wins"),
    ]


def _changes(contenders: Sequence[_Contender]) -> list[Difference]:
    """Between saved answers of one scenario: what they were made from changed, and what that is in money and days."""
    first = contenders[0]
    if any(c.problem is not None for c in contenders) or first.side.plan is None:
        return []
    made_from = ("planner", "scenario_digest", "catalog_digest", "calibration_digest")
    out = []
    for key in made_from:
        values = tuple(str(getattr(c.provenance, key))[:12] for c in contenders)
        if len(set(values)) > 1 and not (key == "scenario_digest" and _asked_otherwise(contenders)):
            only = key == "scenario_digest" and all(c.provenance.asked for c in contenders)
            why = "changed in how it is written; the same is asked" if only else "changed"
            out.append(Difference(f"made from: {key.replace('_', ' ')}", values, why))
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
        used, used_first = _gpu_hours(plan), _gpu_hours(base)
        price.append(_signed((plan.offer.usd_per_gpu_hour - base.offer.usd_per_gpu_hour) * used_first))
        hours.append(_signed(plan.offer.usd_per_gpu_hour * (used - used_first)))
        days.append(f"{round((plan.time_s.p50 - base.time_s.p50) / 86400, 2) + 0.0:+.2f} days")
    out.append(Difference("change by price", tuple(price), "difference in price x the first plan's GPU-hours"))
    out.append(Difference("change by GPU-hours", tuple(hours), "difference in GPU-hours x the side's price"))
    out.append(Difference("change in time", tuple(days)))
    return out


def _signed(usd: float) -> str:
    return ("-" if usd < 0 else "+") + format_usd(abs(usd))


def _warnings(contenders: Sequence[_Contender], by: str | None) -> tuple[str, ...]:
    more = _asked_otherwise(contenders)[MOST_ASKED:]
    if more:
        named = ", ".join(more[:MOST_ASKED]) + (" and others" if len(more) > MOST_ASKED else "")
        return (f"The scenarios differ in {format_count(len(more))} more of their keys: {named}.",)
    lost = [c.side.label for c in contenders if c.side.plan is None]
    if not lost or by is None:
        return ()
    return (f"{format_count(len(lost))} of {format_count(len(contenders))} options have no plan within the budgets.",)
