"""Options compared: cheapest, fastest, balanced, each cloud, own machines; and what if things change."""

from __future__ import annotations

from dataclasses import replace

from planner.report.proposal.alternatives import Option, stocked
from planner.report.proposal.buying import buying_blocks
from planner.report.proposal.case import Case
from planner.report.proposal.charts import Axes, Interval, range_chart
from planner.report.proposal.model import Block, Bullets, Cell, Figure, Paragraph, Row, Section
from planner.report.proposal.stress import stress_blocks
from planner.search.proposal_study import Terms


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
    there = [(each.label, each.plan, each.choice) for each in options if each.plan and each.choice]
    per = case.drawn_per(max(plan.cost_usd.p90 for _, plan, _ in there))
    for label, plan, choice in there:
        low, middle, high = (w.amount(usd) / per for usd in plan.cost_usd)
        days = w.days_text(choice.time_p50_s)
        paid = w.say("seller", place=days, pricing=w.known(f"pricing_{plan.offer.pricing}") or "")
        rows.append(Interval(label, low, middle, high, paid, strong=choice.key == case.choice.key))
    costs = [w.money(row.middle * per * w.unit.usd) for row in rows]
    each = (w.say("labelled_cost", label=r.label, cost=cost, text=r.text) for r, cost in zip(rows, costs, strict=True))
    described = w.listed(each, "semicolons")
    limit = case.terms.cost_usd
    axes = Axes(
        w.say("fig_options"), described, w.say("axis_kusd_range" if per > 1 else "axis_usd"), "",
        None if limit is None else w.amount(limit) / per,
        "" if limit is None else w.say("limit_money", limit=w.money_short(limit)),
    )  # fmt: skip
    return Figure(f"fig-options-{case.number}", range_chart(rows, axes))


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
    texts = tuple(text for binding in case.outcome.binding if (text := case.in_words(binding.text)))
    if texts:
        blocks.append(Bullets(texts))
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
