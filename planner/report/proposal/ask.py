"""The plan, and where the money goes."""

from __future__ import annotations

import numpy as np

from planner.money import NODE_HOURS
from planner.report.figures import trained_words
from planner.report.proposal.case import Case
from planner.report.proposal.charts import Axes, Bar, Point, bar_chart, chance_chart
from planner.report.proposal.locale import DAY_S
from planner.report.proposal.model import Block, Figure, Paragraph, Section, Table
from planner.words import worded

HOUR_S = 3600.0


def kind_text(case: Case) -> str:
    """How the machines are paid, and what that commits to or exposes to."""
    w, offer = case.words, case.plan.offer
    text = w.known(f"kind_{offer.pricing}") or case.kind(offer)
    if offer.quoted:
        text += w.say("kind_quoted")
    if not offer.term_s:
        return text
    usd = offer.usd_per_gpu_hour * case.plan.paid_gpus * offer.term_s / HOUR_S
    text += w.say("kind_term", term=w.time(offer.term_s), money=w.money(usd))
    if offer.upfront:
        text += w.say("kind_upfront", share=w.percent(offer.upfront), money=w.money(offer.upfront * usd))
    if offer.then_usd_per_gpu_hour is not None:
        return text + w.say("kind_then", price=w.price(offer.then_usd_per_gpu_hour))
    return text + w.say("kind_increment", increment=w.time(offer.increment_s))


def passes(case: Case) -> str:
    """(4 passes over the data), or the number of iterations."""
    w, plan = case.words, case.plan
    if plan.epochs is None:
        return w.say("passes_iterations", count=w.count(plan.iterations))
    return w.say("passes_one" if plan.epochs == 1 else "passes", count=w.number(plan.epochs, 4))


def start_text(case: Case) -> str:
    """The first day, and whether it is assumed."""
    return case.words.say("start_assumed" if case.start_assumed else "start_given", date=case.words.date(case.start))


def plan_section(case: Case) -> Section:
    """What is ordered and run, how long it takes and what it costs."""
    w, plan, offer = case.words, case.plan, case.plan.offer
    network = (
        w.say("not_known")
        if offer.network_gbit_per_s is None
        else w.say("network_text", rate=w.number(offer.network_gbit_per_s, 4))
    )
    form = f"{plan.precision}{trained_words(plan)}"
    facts = {
        "f_cluster": case.cluster(plan),
        "f_offer": case.offer_words(offer),
        "f_price": price_text(case),
        "f_network": network,
        "f_software": w.say("software_text", framework=plan.framework, precision=form),
        "f_rate": _rate(case),
        "f_basis": w.known(f"basis_{plan.basis}") or plan.basis,
    }
    return Section(f"plan-{case.number}", w.say("s_plan"), (w.facts(facts), _outcome(case), _chances(case)))


def plan_sentence(case: Case) -> str:
    """What is rented or used, how it is paid, for how long, and what it runs."""
    w, plan, offer = case.words, case.plan, case.plan.offer
    return w.say(
        "plan_owned" if offer.pricing == "owned" else "plan_rented",
        gpus=w.count(plan.gpus),
        gpu=case.gpu(plan),
        nodes=w.count(plan.nodes),
        place=case.place(offer),
        pricing=case.kind(offer),
        where=case.where(offer),
        time=w.time(plan.time_s.p50),
        batch=w.count(plan.global_batch),
        seq=w.count(plan.seq_length),
        iterations=w.count(plan.iterations),
    )


def price_text(case: Case) -> str:
    """The price of an hour, as of when, and between what it lies."""
    w, offer = case.words, case.plan.offer
    price = w.say(
        "price_text",
        price=w.price(offer.usd_per_gpu_hour),
        pricing=case.kind(offer),
        as_of=case.as_of(offer),
    )
    if w.unit.hours:
        price = w.say("counted_node" if w.unit.unit == NODE_HOURS else "counted_gpu")
    if offer.usd_per_gpu_hour_range is not None and len(set(offer.usd_per_gpu_hour_range)) > 1:
        low, high = (w.price(usd) for usd in offer.usd_per_gpu_hour_range)
        price += w.say("price_range" if offer.pricing == "spot" else "price_span", low=low, high=high)
    return price


def _rate(case: Case) -> str:
    w, rate = case.words, case.plan.tokens_per_s_per_gpu
    low, mid, high = (w.number(value) for value in rate)
    return w.say("rate_text", low=low, mid=mid, high=high, mfu=w.percent(case.plan.mfu))


def _outcome(case: Case) -> Table:
    w, plan, choice, terms = case.words, case.plan, case.choice, case.terms
    time, cost = plan.time_s, plan.cost_usd
    rows = (
        (
            w.say("row_time"), w.days_cell(time.p10), w.days_cell(time.p50), w.days_cell(choice.time_sure_s),
            w.days_cell(time.p90), w.days_cell(terms.time_s), w.chance_cell(plan.p_within_time),
        ),
        (
            w.say("row_cost"), w.money_cell(cost.p10), w.money_cell(cost.p50), w.money_cell(choice.cost_sure_usd),
            w.money_cell(cost.p90), w.money_cell(terms.cost_usd), w.chance_cell(plan.p_within_cost),
        ),
    )  # fmt: skip
    heads = ("h_quantity", "h_p10", "h_p50", "h_sure", "h_p90", "h_limit", "h_chance")
    return w.table("outcome_caption", heads, rows, sure=w.percent(terms.confidence))


def _chances(case: Case) -> Figure:
    w, terms = case.words, case.terms
    curve = [(seconds / DAY_S, chance) for seconds, chance in case.curve]
    points = ((case.plan.time_s.p50, 0.5), (case.choice.time_sure_s, terms.confidence))
    marks = [
        Point(seconds / DAY_S, p, group, w.say("mark", chance=w.percent(p), time=w.time(seconds)))
        for group, (seconds, p) in enumerate(points)
    ]
    if terms.confidence == 0.5:
        marks = marks[1:]
    described = w.listed((mark.label for mark in marks), "semicolons")
    limit = None if terms.time_s is None else terms.time_s / DAY_S
    text = "" if terms.time_s is None else w.say("limit_time", limit=w.time(terms.time_s))
    axes = Axes(w.say("fig_chance"), described, w.say("axis_days"), w.say("axis_chance"), limit, text)
    return Figure(f"fig-chance-{case.number}", chance_chart(curve, marks, axes))


def money_parts(case: Case) -> list[tuple[str, float]]:
    """(key, USD) of what the ask is made of; they add up to the cost at the confidence.

    Compute is undisturbed training at the median speed; interruptions are what checkpoints, lost work and restarts add
    to the median time, overhead what is paid beside; rounding is what billing steps and minimum times add; the reserve
    lifts 50 % to the confidence, the spread of spot prices in it.
    """
    p, plan, choice = case.study.state, case.plan, case.choice
    rate = choice.price_p50 * plan.paid_gpus / HOUR_S
    work = float(p.completion_model.median[choice.cell] * p.best.seconds[choice.cell])
    storage = p.space.costs.storage.usd(plan.time_s.p50) if p.space.costs.storage is not None else 0.0
    egress = p.space.costs.egress.usd if p.space.costs.egress is not None else 0.0
    own = float(p.completion_model.own_s(p.best.seconds[[choice.cell]], np.array([choice.cell]))[0])
    compute, failures, overhead = rate * work, rate * (own - work), rate * (plan.time_s.p50 - own)
    rounding = plan.cost_usd.p50 - compute - failures - overhead - storage - egress
    return [
        ("compute", compute),
        ("failures", failures),
        ("overhead", overhead),
        ("rounding", rounding if abs(rounding) >= 0.005 else 0.0),
        ("storage", storage),
        ("egress", egress),
        ("reserve", choice.cost_sure_usd - plan.cost_usd.p50),
    ]


def money_section(case: Case) -> Section:
    """Where the money goes: a table that adds up, and the same as bars."""
    w, total = case.words, case.requested_usd
    parts = [(key, usd) for key, usd in money_parts(case) if usd or key in ("compute", "failures", "reserve")]
    sure = w.percent(case.confidence)
    rows = [
        (w.say(f"money_{key}", sure=sure), w.money_cell(usd), w.percent_cell(usd / total), _money_why(case, key))
        for key, usd in parts
    ]
    for line, (_, usd) in zip(case.scenario.ask, case.ask_lines, strict=True):
        why = w.say("why_sum") if line.share is None else w.say("why_share", share=w.percent(line.share))
        rows.append((line.name, w.money_cell(usd), w.percent_cell(usd / total), why))
    rows.append((w.say("money_total", sure=sure), w.money_cell(total), w.percent_cell(1.0), ""))
    table = w.table("money_caption", ("h_item", "h_usd_plain", "h_share", "h_why"), rows, {-1})
    bars = [Bar(w.say(f"money_{key}", sure=sure), w.amount(usd), w.money(usd), i) for i, (key, usd) in enumerate(parts)]
    bars += [
        Bar(name, w.amount(usd), w.money(usd), len(parts) + i) for i, (name, usd) in enumerate(case.ask_lines) if usd
    ]
    described = w.listed((w.say("labelled", label=bar.label, text=bar.text) for bar in bars), "semicolons")
    axes = Axes(w.say("fig_money"), described, w.say("axis_usd"))
    figure = Figure(f"fig-money-{case.number}", bar_chart(bars, axes))
    blocks: list[Block] = [Paragraph(w.say("money_intro")), table, figure, *_hours(case)]
    missing = [w.say(f"money_{key}") for key in ("storage", "egress") if key not in dict(parts)]
    if missing and not w.unit.hours:
        blocks.append(Paragraph(w.say("money_missing", items=w.listed(missing))))
    return Section(f"money-{case.number}", w.say("s_money"), tuple(blocks))


def _hours(case: Case) -> list[Block]:
    """Productive and allocated GPU-hours of the median run, what lies between, and where that is known from."""
    w, hours = case.words, case.plan.gpu_hours
    if hours is None:
        return []
    parts = [(key, getattr(hours, key)) for key in ("productive", "checkpoints", "failures", "overhead", "spare")]
    rows = [
        (w.say(f"hours_{key}"), w.count_cell(round(value)), w.percent_cell(value / hours.allocated))
        for key, value in (*parts, ("allocated", hours.allocated))
        if value or key != "spare"
    ]
    table = w.table("hours_caption", ("h_item", "h_gpu_hours", "h_share"), rows, {-1})
    return [table, Paragraph(_overhead(case))]


def _overhead(case: Case) -> str:
    w, found = case.words, case.plan.reliability and case.plan.reliability.overhead
    if not found or found.quantile(0.9) <= 1.0:
        return w.say("overhead_none")
    low, middle, high = (w.number(found.quantile(p), 3) for p in (0.1, 0.5, 0.9))
    return w.say("overhead_text", low=low, middle=middle, high=high, source=worded(found.source, w.language))


def _money_why(case: Case, key: str) -> str:
    w, plan, choice = case.words, case.plan, case.choice
    sure = w.percent(case.confidence)
    if key == "compute":
        state = case.study.state
        hours = float(state.completion_model.median[choice.cell] * state.best.seconds[choice.cell]) / HOUR_S
        return w.say(
            "why_compute",
            gpus=w.count(plan.paid_gpus),
            hours=w.number(hours, 6),
            price=w.price(choice.price_p50),
        )
    if key == "failures" and plan.reliability is not None:
        return w.say("why_failures", count=w.number(plan.reliability.interruptions, 2))
    if key == "storage" and case.scenario.storage is not None:
        s = case.scenario.storage
        return w.say("why_storage", size=w.number(s.size_bytes / 1e12, 4), price=w.price(s.usd_per_gb_month))
    if key == "egress" and case.scenario.egress is not None:
        e = case.scenario.egress
        return w.say("why_egress", size=w.number(e.size_bytes / 1e12, 4), price=w.price(e.usd_per_gb))
    return w.known(f"why_{key}") and w.say(f"why_{key}", sure=sure) or ""
