"""The frontier of a proposal: plans that no other beats in time and cost, in a table, drawn, and to explore."""

from __future__ import annotations

import math

from planner.report.frontier_scene import Scene, Spot, axis_of
from planner.report.proposal.alternatives import fastest_sold
from planner.report.proposal.case import Case
from planner.report.proposal.charts import frontier_chart
from planner.report.proposal.locale import DAY_S
from planner.report.proposal.model import Explorer, Figure, Paragraph, Section
from planner.search.proposal_study import Choice
from planner.spec.hardware import Offer

SHOWN = 8  # plans in the table
DRAWN = 120  # and in the chart


def frontier_section(case: Case) -> Section:
    """Time against cost, with the controls where the page has them."""
    w = case.words
    shown = spaced(case, window(case), SHOWN)
    rows = [
        (
            case.cluster_of(choice),
            w.days_cell(choice.time_p50_s),
            w.days_cell(choice.time_sure_s),
            w.money_cell(choice.cost_p50_usd),
            w.money_cell(choice.cost_sure_usd),
            _within(case, choice),
        )
        for choice in shown
    ]
    heads = ("h_cluster", "h_days", "h_days_sure", "h_usd", "h_usd_sure", "h_limits")
    emphasis = [i for i, c in enumerate(shown) if c.key == case.choice.key]
    caption = "frontier_caption" if len(shown) == len(case.frontier) else "frontier_caption_some"
    table = w.table(caption, heads, rows, emphasis, sure=w.percent(case.confidence), shown=w.count(len(shown)))
    intro = Paragraph(
        w.say("frontier_intro" if len(case.frontier) > 1 else "frontier_one", count=w.count(len(case.frontier)))
    )
    return Section(
        f"frontier-{case.number}", w.say("s_frontier"), (intro, table, _frontier_figure(case), Explorer(case.number))
    )


def _within(case: Case, choice: Choice) -> str:
    terms, w = case.terms, case.words
    late = terms.time_s is not None and case.study.ends_s(choice) > terms.time_s
    dear = terms.cost_usd is not None and choice.cost_sure_usd > terms.cost_usd
    if late and dear:
        return w.say("too_late_and_dear")
    return w.say("too_late") if late else w.say("too_dear") if dear else w.say("within")


def window(case: Case) -> list[Choice]:
    """The part of the frontier that is worth drawing: around budgets and plan."""
    terms = case.terms
    time = 3.0 * max(terms.time_s or 0.0, case.choice.time_p50_s)
    fastest, _ = fastest_sold(case.study, case.choice)
    dearest = max(case.choice.cost_p50_usd, fastest.cost_p50_usd if fastest is not None else 0.0)
    cost = max(1.6 * (terms.cost_usd or 0.0), 1.6 * case.choice.cost_p50_usd, 1.05 * dearest)
    return [c for c in case.frontier if c.time_p50_s <= time and c.cost_p50_usd <= cost]


def spaced(case: Case, choices: list[Choice], count: int) -> list[Choice]:
    """At most `count` choices evenly over the (logarithmic) range of times, the ends and the plan among them."""
    if not choices:
        return [case.choice]
    low, high = math.log(choices[0].time_p50_s), math.log(choices[-1].time_p50_s)
    wanted = [low + (high - low) * i / max(count - 2, 1) for i in range(count - 1)]
    picked = {min(range(len(choices)), key=lambda i: abs(math.log(choices[i].time_p50_s) - at)) for at in wanted}
    out = {choices[i].key: choices[i] for i in picked} | {case.choice.key: case.choice}
    return sorted(out.values(), key=lambda c: c.time_p50_s)


def _frontier_figure(case: Case) -> Figure:
    w, terms = case.words, case.terms
    drawn = spaced(case, window(case), DRAWN)
    per = case.drawn_per(max(choice.cost_p50_usd for choice in drawn))
    name = _drawn_as(case, drawn)
    names = sorted(set(name.values()))
    spots = [
        Spot(c.time_p50_s / DAY_S, w.amount(c.cost_p50_usd) / per, names.index(name[c.key]), case.study.gpus(c))
        for c in drawn
    ]
    chosen_at = next(n for n, c in enumerate(drawn) if c.key == case.choice.key)
    days, money = (
        (w.say(f"ui_axis_{unit}"), w.say(f"ui_axis_{unit}_log")) for unit in ("days", "kusd" if per > 1 else "usd")
    )
    scene = Scene(
        axis_of(
            [spot.x for spot in spots],
            None if terms.time_s is None else terms.time_s / DAY_S,
            days,
            "" if terms.time_s is None else w.say("limit_time", limit=w.time(terms.time_s)),
        ),
        axis_of(
            [spot.y for spot in spots],
            None if terms.cost_usd is None else w.amount(terms.cost_usd) / per,
            money,
            "" if terms.cost_usd is None else w.say("limit_money", limit=w.money_short(terms.cost_usd)),
        ),
        tuple(spots),
        tuple(names),
        spots[chosen_at],
    )
    described = w.say(
        "fig_frontier_words",
        fastest=w.time(drawn[0].time_p50_s), dear=w.money(drawn[0].cost_p50_usd),
        slowest=w.time(drawn[-1].time_p50_s), cheap=w.money(drawn[-1].cost_p50_usd),
        time=w.time(case.choice.time_p50_s), cost=w.money(case.choice.cost_p50_usd),
    )  # fmt: skip
    named = w.say("asked_point", gpus=w.count(case.plan.gpus), pricing=case.kind(case.plan.offer))
    return Figure(f"fig-frontier-{case.number}", frontier_chart(scene, w.say("fig_frontier"), described, named))


def _drawn_as(case: Case, drawn: list[Choice]) -> dict[tuple[int, int], str]:
    """What tells choices apart in the chart, by their keys: accelerator and kind of price, what all share left out."""
    offers = {choice.key: case.study.offer(choice) for choice in drawn}
    gpus = {case.gpu(offer.gpu).split(" (")[0] for offer in offers.values()}
    kinds = {case.kind(offer) for offer in offers.values()}

    def name(offer: Offer) -> str:
        gpu, kind = case.gpu(offer.gpu).split(" (")[0], case.kind(offer)
        if len(kinds) == 1 and len(gpus) > 1:
            return gpu
        return (
            kind if len(gpus) == 1 < len(kinds) else case.words.say("seller", place=_shortest(gpu, gpus), pricing=kind)
        )

    return {key: name(offer) for key, offer in offers.items()}


def _shortest(name: str, names: set[str]) -> str:
    """The first word of a name, where no other begins with it."""
    first = name.split()[0]
    return first if sum(other.split()[0] == first for other in names) == 1 else name
