"""The plans compared with the one asked for: cheapest, fastest, balanced, each cloud's, on own machines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.report.proposal.locale import Locale
from planner.results.plan import Plan
from planner.search.proposal_study import Choice, Study
from planner.spec.hardware import Offer

FASTER = 0.9  # of the time asked for: a plan that takes more is no other option


@dataclass(frozen=True, slots=True)
class Option:
    """A plan that one might choose instead, or why there is none."""

    label: str
    plan: Plan | None
    choice: Choice | None
    within: bool
    remark: str = ""


def options_of(study: Study, w: Locale, chosen: Choice) -> tuple[Option, ...]:
    """The options beside the plan `asked` for, each plan once: a second name for a plan joins the first."""
    terms = study.terms
    found: list[tuple[str, Choice | None, str]] = [(w.say("option_asked"), chosen, "")]
    cheapest = study.best(replace(terms, objective="cost"))
    fastest, sold = fastest_sold(study, chosen)
    found += [
        (w.say("option_cheapest"), cheapest, ""),
        (w.say("option_fastest" if sold else "option_fastest_if"), fastest, ""),
    ]
    if cheapest is not None and fastest is not None:
        found.append((w.say("option_balanced"), balanced(study, cheapest, fastest), ""))
    for cloud in sorted({o.cloud for o in study.state.space.offers if o.pricing != "owned"}):
        found.append((cloud, *_best_of(study, w, lambda o, cloud=cloud: o.cloud == cloud and o.pricing != "owned")))  # type: ignore[misc]
    if any(o.pricing == "owned" for o in study.state.space.offers):
        found.append((w.say("option_own"), *_best_of(study, w, lambda o: o.pricing == "owned")))
    return tuple(_merged(study, w, chosen, found))


def fastest_sold(study: Study, chosen: Choice) -> tuple[Choice | None, bool]:
    """The fastest plan that one could order, and whether it is known that one can.

    Known is a cluster that its seller is known to have, or that is no larger than the one asked for. Where such a plan
    is no faster than the one asked for, it is the fastest of all, if it is to be had.
    """
    terms, nodes = replace(study.terms, objective="time"), study.state.space.nodes
    known = (c for c in study.choices(terms) if stocked(study.offer(c)) or nodes[c.cell] <= nodes[chosen.cell])
    sold = next(known, None)
    if sold is not None and sold.time_p50_s < FASTER * chosen.time_p50_s:
        return sold, True
    return study.best(terms), False


def stocked(offer: Offer) -> bool:
    """Whether it is known how many machines an offer sells at once."""
    return offer.pricing == "owned" or (offer.max_nodes is not None and offer.max_nodes_basis != "assumption")


def _best_of(study: Study, w: Locale, allowed: Callable[[Offer], bool]) -> tuple[Choice | None, str]:
    """The best of some offers within the budgets; else their nearest miss, with what it lacks."""
    terms = study.terms
    best = study.best(terms, allowed)
    if best is not None:
        return best, ""
    near = None
    if terms.time_s is not None:
        near = study.best(replace(terms, objective="cost", cost_usd=None), allowed)
        if near is not None and terms.cost_usd is not None:
            return near, w.say("over_cost", over=w.money_short(near.cost_sure_usd - terms.cost_usd))
    if near is None:
        near = study.best(replace(terms, objective="time", time_s=None), allowed)
        if near is not None and terms.time_s is not None:
            return near, w.say("over_time", over=w.time(study.ends_s(near) - terms.time_s))
    return None, w.say("cannot", time=w.time(study.reach_time_s), cost=w.money_short(study.reach_cost_usd))


def balanced(study: Study, cheapest: Choice, fastest: Choice) -> Choice:
    """The plan within the budgets nearest to both the least cost and the least time, each counted in its own range."""
    time = max(cheapest.time_p50_s - fastest.time_p50_s, 1e-9)
    cost = max(fastest.cost_p50_usd - cheapest.cost_p50_usd, 1e-9)

    def loss(c: Choice) -> tuple[float, float]:
        parts = ((c.time_p50_s - fastest.time_p50_s) / time, (c.cost_p50_usd - cheapest.cost_p50_usd) / cost)
        return max(parts), sum(parts)

    return min(study.choices(study.terms), key=loss)


def _merged(study: Study, w: Locale, chosen: Choice, found: list[tuple[str, Choice | None, str]]) -> list[Option]:
    names: dict[tuple[int, int], list[str]] = {}
    order: list[tuple[str, Choice | None, str]] = []
    without = [label for label, choice, _ in found if choice is None]
    for label, choice, remark in found:
        if choice is None:
            if label == without[0]:  # one row for all that cannot
                order.append((w.listed(without, "commas"), None, remark))
        elif choice.key in names:
            names[choice.key].append(label)
        else:
            names[choice.key] = [label]
            order.append((label, choice, remark))
    out = []
    for label, choice, remark in order:
        if choice is None:
            out.append(Option(label, None, None, False, remark))
            continue
        joined = w.listed(names[choice.key], "commas")
        plan = study.outcome.plan if choice.key == chosen.key else study.plan(choice)
        out.append(Option(joined, plan, choice, not remark, remark))
    return out
