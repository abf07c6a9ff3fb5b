"""Options compared: cheapest, fastest, balanced, each cloud, own machines; the frontier; what if things change."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from planner.report.proposal.buying import buying_blocks
from planner.report.proposal.case import Case, Option
from planner.report.proposal.charts import Axes, Interval, Point, frontier_chart, range_chart
from planner.report.proposal.locale import DAY_S
from planner.report.proposal.model import Block, Bullets, Cell, Explorer, Figure, Paragraph, Row, Section
from planner.report.proposal.stress import stress_blocks
from planner.search.study import Choice, Terms
from planner.spec.hardware import Offer

SHOWN = 8  # frontier plans in the table
DRAWN = 120  # and in the chart
FASTER = 0.9  # of the time asked for: a plan that takes more is no other option


def options_of(case: Case) -> tuple[Option, ...]:
    """The options of a case, each plan once: a second name for a plan joins the first."""
    w, study, terms = case.words, case.study, case.terms
    found: list[tuple[str, Choice | None, str]] = [(w.say("option_asked"), case.choice, "")]
    cheapest = study.best(replace(terms, objective="cost"))
    fastest, sold = fastest_sold(case)
    found += [
        (w.say("option_cheapest"), cheapest, ""),
        (w.say("option_fastest" if sold else "option_fastest_if"), fastest, ""),
    ]
    if cheapest is not None and fastest is not None:
        found.append((w.say("option_balanced"), balanced(case, cheapest, fastest), ""))
    for cloud in sorted({o.cloud for o in study.state.space.offers if o.pricing != "owned"}):
        found.append((cloud, *_best_of(case, lambda o, cloud=cloud: o.cloud == cloud and o.pricing != "owned")))  # type: ignore[misc]
    if any(o.pricing == "owned" for o in study.state.space.offers):
        found.append((w.say("option_own"), *_best_of(case, lambda o: o.pricing == "owned")))
    return tuple(_merged(case, found))


def fastest_sold(case: Case) -> tuple[Choice | None, bool]:
    """The fastest plan that one could order, and whether it is known that one can.

    Known is a cluster that its seller is known to have, or that is no larger than the one asked for. Where such a plan
    is no faster than the one asked for, it is the fastest of all, if it is to be had.
    """
    study, terms = case.study, replace(case.terms, objective="time")
    nodes = study.state.space.nodes
    asked = int(nodes[case.choice.cell])
    known = (c for c in study.choices(terms) if stocked(study.offer(c)) or int(nodes[c.cell]) <= asked)
    sold = next(known, None)
    if sold is not None and sold.time_p50_s < FASTER * case.choice.time_p50_s:
        return sold, True
    return study.best(terms), False


def stocked(offer: Offer) -> bool:
    """Whether it is known how many machines an offer sells at once."""
    return offer.pricing == "owned" or (offer.max_nodes is not None and offer.max_nodes_basis != "assumption")


def _best_of(case: Case, allowed: Callable[[Offer], bool]) -> tuple[Choice | None, str]:
    """The best of some offers within the budgets; else their nearest miss, with what it lacks."""
    w, terms = case.words, case.terms
    best = case.study.best(terms, allowed)
    if best is not None:
        return best, ""
    near = None
    if terms.time_s is not None:
        near = case.study.best(replace(terms, objective="cost", cost_usd=None), allowed)
        if near is not None and terms.cost_usd is not None:
            return near, w.say("over_cost", over=w.money_short(near.cost_sure_usd - terms.cost_usd))
    if near is None:
        near = case.study.best(replace(terms, objective="time", time_s=None), allowed)
        if near is not None and terms.time_s is not None:
            return near, w.say("over_time", over=w.time(case.study.ends_s(near) - terms.time_s))
    study = case.study
    return None, w.say("cannot", time=w.time(study.reach_time_s), cost=w.money_short(study.reach_cost_usd))


def balanced(case: Case, cheapest: Choice, fastest: Choice) -> Choice:
    """The plan within the budgets nearest to both the least cost and the least time, each counted in its own range."""
    time = max(cheapest.time_p50_s - fastest.time_p50_s, 1e-9)
    cost = max(fastest.cost_p50_usd - cheapest.cost_p50_usd, 1e-9)

    def loss(c: Choice) -> tuple[float, float]:
        parts = ((c.time_p50_s - fastest.time_p50_s) / time, (c.cost_p50_usd - cheapest.cost_p50_usd) / cost)
        return max(parts), sum(parts)

    return min(case.study.choices(case.terms), key=loss)


def _merged(case: Case, found: list[tuple[str, Choice | None, str]]) -> list[Option]:
    names: dict[tuple[int, int], list[str]] = {}
    order: list[tuple[str, Choice | None, str]] = []
    without = [label for label, choice, _ in found if choice is None]
    for label, choice, remark in found:
        if choice is None:
            if label == without[0]:  # one row for all that cannot
                order.append((case.words.listed(without, "commas"), None, remark))
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
        joined = case.words.listed(names[choice.key], "commas")
        plan = case.plan if choice.key == case.choice.key else case.study.plan(choice)
        out.append(Option(joined, plan, choice, not remark, remark))
    return out


def options_section(case: Case) -> Section:
    """The options side by side: what each costs and what speaks against it."""
    w, options = case.words, case.options
    rows: list[Row] = []
    emphasis = set()
    for number, option in enumerate(options):
        if option.plan is None or option.choice is None:
            rows.append((option.label, *[""] * 6, option.remark))
            continue
        if option.choice.key == case.choice.key:
            emphasis.add(number)
        gpus, gpu = w.count(option.plan.gpus), case.gpu(option.plan)
        rows.append(
            (
                option.label,
                w.say("cluster", gpus=gpus, gpu=gpu, place=case.kind(option.plan.offer)),
                w.days_cell(option.choice.time_p50_s),
                w.days_cell(option.choice.time_sure_s),
                w.money_cell(option.choice.cost_p50_usd),
                w.money_cell(option.choice.cost_sure_usd),
                w.chance_cell(option.plan.p_within_both),
                option.remark or against(case, option),
            )
        )
    sure = w.percent(case.confidence)
    heads = ("h_option", "h_cluster", "h_days", "h_days_sure", "h_usd", "h_usd_sure", "h_chance", "h_against")
    table = w.table("options_caption", heads, rows, emphasis, sure=sure)
    intro = Paragraph(w.say("options_intro", sure=sure))
    blocks = (intro, table, _options_figure(case, options), *buying_blocks(case))
    return Section(f"options-{case.number}", w.say("s_options"), blocks)


def against(case: Case, option: Option) -> str:
    """What speaks against an option, in figures; for the plan asked for, its largest risk."""
    w, plan, choice = case.words, option.plan, option.choice
    if plan is None or choice is None:
        return option.remark
    if choice.key == case.choice.key:
        worst = [p for p in (plan.p_within_time, plan.p_within_cost) if p is not None]
        missed = 1 - min(worst) if worst else None
        if missed is None or missed < 0.0005:
            return w.say("against_none")
        kind = "time" if plan.p_within_time is not None and plan.p_within_time == min(worst) else "cost"
        return w.say(f"against_{kind}", chance=w.percent(missed, 2))
    more = choice.cost_p50_usd - case.choice.cost_p50_usd
    longer = choice.time_p50_s - case.choice.time_p50_s
    parts = []
    if more:
        parts.append(w.say("costs_more" if more > 0 else "costs_less", usd=w.money_short(abs(more))))
    if abs(longer) > 0.005 * case.choice.time_p50_s:
        parts.append(w.say("takes_longer" if longer > 0 else "takes_less", time=w.time(abs(longer))))
    if not stocked(case.study.offer(choice)) and plan.nodes > case.plan.nodes:
        parts.append(w.say("stock_unknown", nodes=w.count(plan.nodes)))
    return w.listed(parts, "semicolons")


def _options_figure(case: Case, options: tuple[Option, ...]) -> Figure:
    w, rows = case.words, []
    there = [option for option in options if option.plan is not None]
    per = drawn_per(case, max(option.plan.cost_usd.p90 for option in there if option.plan is not None))
    for option in there:
        if option.plan is None or option.choice is None:
            continue
        cost = option.plan.cost_usd
        low, middle, high = (w.amount(usd) / per for usd in (cost.p10, cost.p50, cost.p90))
        days = w.days_text(option.choice.time_p50_s)
        paid = w.say("seller", place=days, pricing=w.known(f"pricing_{option.plan.offer.pricing}") or "")
        rows.append(Interval(option.label, low, middle, high, paid, strong=option.choice.key == case.choice.key))
    costs = [w.money(row.middle * per * w.unit.usd) for row in rows]
    each = (w.say("labelled_cost", label=r.label, cost=cost, text=r.text) for r, cost in zip(rows, costs, strict=True))
    described = w.listed(each, "semicolons")
    limit = case.terms.cost_usd
    axes = Axes(
        w.say("fig_options"), described, w.say("axis_kusd_range" if per > 1 else "axis_usd"), "",
        None if limit is None else w.amount(limit) / per, None,
        "" if limit is None else w.say("limit_money", limit=w.money_short(limit)),
    )  # fmt: skip
    return Figure(f"fig-options-{case.number}", range_chart(rows, axes))


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
    fastest, _ = fastest_sold(case)
    dearest = max(case.choice.cost_p50_usd, fastest.cost_p50_usd if fastest is not None else 0.0)
    cost = max(1.6 * (terms.cost_usd or 0.0), 1.6 * case.choice.cost_p50_usd, 1.05 * dearest)
    return [c for c in case.frontier if c.time_p50_s <= time and c.cost_p50_usd <= cost]


def drawn_per(case: Case, usd: float) -> float:
    """How many of the money's unit one of a chart's axis is, whose largest cost is `usd`: a thousand, or one."""
    return 1e3 if case.words.amount(usd) >= 1e4 else 1.0


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
    per = drawn_per(case, max(choice.cost_p50_usd for choice in drawn))
    name = _drawn_as(case, drawn)
    names = sorted(set(name.values()))
    group = {key: names.index(text) for key, text in name.items()}
    points = [
        Point(c.time_p50_s / DAY_S, w.amount(c.cost_p50_usd) / per, group[c.key])
        for c in drawn
        if c.key != case.choice.key
    ]
    asked = Point(
        case.choice.time_p50_s / DAY_S, w.amount(case.choice.cost_p50_usd) / per, group[case.choice.key],
        w.say("asked_point", gpus=w.count(case.plan.gpus), pricing=case.kind(case.plan.offer)),
    )  # fmt: skip
    described = w.say(
        "fig_frontier_words",
        fastest=w.time(drawn[0].time_p50_s), dear=w.money(drawn[0].cost_p50_usd),
        slowest=w.time(drawn[-1].time_p50_s), cheap=w.money(drawn[-1].cost_p50_usd),
        time=w.time(case.choice.time_p50_s), cost=w.money(case.choice.cost_p50_usd),
    )  # fmt: skip
    axes = Axes(
        w.say("fig_frontier"), described, w.say("axis_days_log"), w.say("axis_kusd" if per > 1 else "axis_usd_p50"),
        None if terms.time_s is None else terms.time_s / DAY_S,
        None if terms.cost_usd is None else w.amount(terms.cost_usd) / per,
        "" if terms.time_s is None else w.say("limit_time", limit=w.time(terms.time_s)),
        "" if terms.cost_usd is None else w.say("limit_money", limit=w.money_short(terms.cost_usd)),
    )  # fmt: skip
    points = sorted([*points, replace(asked, label="")], key=lambda p: p.x)
    return Figure(f"fig-frontier-{case.number}", frontier_chart(points, asked, names, axes))


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


def sensitivity_section(case: Case) -> Section:
    """The best plan after one change at a time, chosen anew under it."""
    w, terms = case.words, case.terms
    rows: list[Row] = []
    for label, changed in _changes(case):
        best = case.study.best(changed)
        if best is None:
            rows.append((label, w.say("nothing_does"), *[""] * 4))
            continue
        rows.append(
            (
                label,
                case.cluster_of(best),
                w.days_cell(best.time_p50_s),
                w.money_cell(best.cost_p50_usd),
                w.money_cell(best.cost_sure_usd),
                _difference(case, best.cost_p50_usd - case.choice.cost_p50_usd),
            )
        )
    heads = ("h_change", "h_best_then", "h_days", "h_usd", "h_usd_sure", "h_difference")
    table = w.table("sensitivity_caption", heads, rows, {0}, sure=w.percent(terms.confidence))
    blocks: list[Block] = [Paragraph(w.say("sensitivity_intro")), table]
    said = tuple(said for binding in case.outcome.binding if (said := case.in_words(binding.text)))
    if said:
        blocks.append(Bullets(said))
    blocks += stress_blocks(case)
    return Section(f"sensitivity-{case.number}", w.say("s_sensitivity"), tuple(blocks))


def _difference(case: Case, usd: float) -> Cell:
    cell = case.words.money_cell(abs(usd))
    text = "±0" if abs(usd) < 0.5 else ("+" if usd > 0 else "−") + cell.text
    return replace(cell, text=text, value=case.words.amount(usd))


def _changes(case: Case) -> list[tuple[str, Terms]]:
    """Each change in words, and what is asked for under it."""
    w, terms = case.words, case.terms
    out = [(w.say("change_none"), terms)]
    if terms.time_s is not None:
        times = [terms.time_s * factor for factor in (0.5, 0.75, 1.5, 2.0)]
        out += [(w.say("change_time", time=w.time(time)), replace(terms, time_s=time)) for time in times]
    if terms.cost_usd is not None:
        costs = [terms.cost_usd * factor for factor in (0.75, 1.25)]
        out += [(w.say("change_cost", cost=w.money(cost)), replace(terms, cost_usd=cost)) for cost in costs]
    out += [
        (w.say("change_price", change=w.signed_percent(factor - 1)), replace(terms, price=factor))
        for factor in (0.8, 1.2)
        if not w.unit.hours  # an hour that is counted has no price
    ]
    out += [
        (w.say("change_speed", change=w.percent(factor - 1)), replace(terms, slower=factor)) for factor in (1.1, 1.25)
    ]
    out += [
        (w.say("change_confidence", level=w.percent(level)), replace(terms, confidence=level))
        for level in case.study.levels
        if level != terms.confidence
    ]
    return out
