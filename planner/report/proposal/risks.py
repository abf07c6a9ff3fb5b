"""What may go wrong: each risk with its figure and an answer that fits this plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from planner.report.evidence import TIGHT
from planner.report.proposal.alternatives import stocked
from planner.report.proposal.case import Case
from planner.report.proposal.locale import DAY_S
from planner.report.proposal.model import Block, Bullets, Paragraph, Section
from planner.search.proposal_study import Choice


@dataclass(frozen=True, slots=True)
class Risk:
    """A risk in words; the first page has those of the greatest `weight`: about how likely it is to matter."""

    label: str
    figure: str
    answer: str
    weight: float


def risks_section(case: Case) -> Section:
    """Each risk: what it means in days and dollars, and what is done about it."""
    w = case.words
    rows = [(risk.label, risk.figure, risk.answer) for risk in risks_of(case)]
    table = w.table("risks_caption", ("h_risk", "h_figure", "h_answer"), rows)
    blocks: list[Block] = [Paragraph(w.say("risks_intro")), table]
    items = [*_sources(case), *(case.in_words(text) for text in case.outcome.warnings)]
    if items:
        blocks.append(Bullets(tuple(items)))
    return Section(f"risks-{case.number}", w.say("s_risks"), tuple(blocks))


def risks_of(case: Case) -> list[Risk]:
    """Every risk of a plan, in the order of a run: speed, limits, machines, order, memory, learning."""
    kinds: tuple[Callable[[Case], Risk | None], ...] = (
        _speed, _late, _over_budget, _fail, _taken, _term, _price, _stock, _memory, _batch,
    )  # fmt: skip
    return [risk for kind in kinds if (risk := kind(case)) is not None]


def _risk(case: Case, key: str, figure: str, answer: str, weight: float) -> Risk:
    return Risk(case.words.say(f"risk_{key}"), figure, answer, weight)


def _owned(case: Case) -> bool:
    return case.plan.offer.pricing == "owned"


def _speed(case: Case) -> Risk:
    w, plan = case.words, case.plan
    late, more = w.time(plan.time_s.p90 - plan.time_s.p50), w.money(plan.cost_usd.p90 - plan.cost_usd.p50)
    basis = w.known(f"basis_{plan.basis}") or plan.basis
    answer = w.say("risk_speed_answer_own" if _owned(case) else "risk_speed_answer")
    figure = w.say("risk_speed_figure", late=late, more=more, basis=basis)
    return _risk(case, "speed", figure, answer, 0.5 if plan.basis == "modelled" else 0.1)


def _late(case: Case) -> Risk | None:
    w, plan, limit = case.words, case.plan, case.terms.time_s
    if plan.p_within_time is None or limit is None:
        return None
    late = 1 - plan.p_within_time
    return _risk(
        case, "late", w.say("risk_late_figure", chance=w.chance(late), limit=w.time(limit)), _faster(case), 2 * late
    )


def _over_budget(case: Case) -> Risk | None:
    w, plan, limit = case.words, case.plan, case.terms.cost_usd
    if plan.p_within_cost is None or limit is None:
        return None
    over = 1 - plan.p_within_cost
    answer = w.say("risk_dear_answer_term" if plan.offer.term_s else "risk_dear_answer")
    figure = w.say("risk_dear_figure", chance=w.chance(over), limit=w.money(limit))
    return _risk(case, "dear", figure, answer, 2 * over)


def _fail(case: Case) -> Risk | None:
    w, r = case.words, case.plan.reliability
    if r is None:
        return None
    lost, count = w.percent(1 - r.goodput, 2), w.number(r.interruptions, 2)
    figure = (
        w.say("risk_fail_figure_never", lost=lost)
        if r.mean_time_between_s is None
        else w.say("risk_fail_figure", count=count, between=w.time(r.mean_time_between_s), lost=lost)
    )
    saved = r.checkpoint_interval_s is not None
    answer = w.say("risk_fail_answer" if saved else "risk_fail_answer_again", restart=w.time(r.restart_s))
    return _risk(case, "fail", figure, answer, 1 - r.goodput)


def _taken(case: Case) -> Risk | None:
    """How often the market takes machines back, how sure that is, and what would not be taken."""
    w, r = case.words, case.plan.reliability
    if r is None or r.taken is None:
        return None
    days = case.plan.nodes * r.taken.per_1000_node_days / 1000.0
    known = {"rate": w.number(r.taken.per_1000_node_days), "every": w.time(DAY_S / days)}
    if r.taken.low == r.taken.high:
        figure = w.say("risk_taken_known", **known)
    else:
        figure = w.say("risk_taken_figure", low=w.number(r.taken.low), high=w.number(r.taken.high), **known)
    uninterrupted = case.study.best(case.terms, lambda o: o.pricing != "spot")
    answer = w.say("risk_taken_answer", wait=w.time(r.wait_s))
    answer += w.say("risk_taken_none") if uninterrupted is None else _instead(case, uninterrupted, "risk_taken_instead")
    return _risk(case, "taken", figure, answer, 0.6)


def _term(case: Case) -> Risk | None:
    w, plan = case.words, case.plan
    if not plan.offer.term_s:
        return None
    usd = plan.offer.usd_per_gpu_hour * plan.paid_gpus * plan.offer.term_s / 3600.0
    figure = w.say("risk_term_figure", term=w.time(plan.offer.term_s), money=w.money(usd))
    return _risk(case, "term", figure, w.say("risk_term_answer"), 0.3)


def _price(case: Case) -> Risk | None:
    w, plan = case.words, case.plan
    if _owned(case):
        return None
    tenth = plan.offer.usd_per_gpu_hour * plan.paid_gpus * plan.time_s.p50 / 36_000.0
    figure = w.say("risk_price_figure", more=w.money(tenth), as_of=case.as_of(plan.offer))
    how = "spot" if plan.offer.pricing == "spot" else "quoted" if plan.offer.quoted else "listed"
    return _risk(case, "price", figure, w.say(f"risk_price_answer_{how}"), 0.2 if how == "spot" else 0.05)


def _stock(case: Case) -> Risk | None:
    w, plan = case.words, case.plan
    if _owned(case):
        return None
    nodes = w.count(plan.nodes)
    known = stocked(case.study.offer(case.choice))
    if known:
        figure = w.say("risk_stock_known", nodes=nodes, most=w.count(plan.offer.max_nodes or plan.nodes))
    else:
        figure = w.say("risk_stock_unknown", nodes=nodes)
    other = case.study.best(case.terms, lambda o: o.cloud != plan.offer.cloud)
    answer = w.say("risk_stock_none") if other is None else _instead(case, other, "risk_stock_answer")
    return _risk(case, "stock", figure, answer, 0.05 if known else 0.4)


def _memory(case: Case) -> Risk | None:
    w, plan, layout = case.words, case.plan, case.plan.layout
    share = plan.memory_gib.total / plan.memory_gib.capacity
    if share <= TIGHT:
        return None
    figure = w.say(
        "risk_memory_figure",
        share=w.percent(share),
        total=w.number(plan.memory_gib.total),
        capacity=w.number(plan.memory_gib.capacity),
    )
    ways = [w.say("memory_way_micro")] if layout.micro_batch > 1 else []
    whole = layout.recompute == "full" and not 0.0 < plan.recompute_share < 1.0
    ways += [] if whole else [w.say("memory_way_recompute")]
    ways += [w.say("memory_way_cut")] if not ways else []
    answer = w.say("risk_memory_answer", ways=w.listed(ways, "or"))
    return _risk(case, "memory", figure, answer, 0.15)


def _batch(case: Case) -> Risk | None:
    w, plan = case.words, case.plan
    if plan.critical_batch is None or plan.global_batch <= plan.critical_batch:
        return None
    figure = w.say("risk_batch_figure", batch=w.count(plan.global_batch), critical=w.count(round(plan.critical_batch)))
    return _risk(case, "batch", figure, w.say("risk_batch_answer"), 0.05)


def _faster(case: Case) -> str:
    """What it takes to halve the chance of being late: the best plan at the next higher confidence."""
    w = case.words
    higher = [level for level in case.study.levels if level > case.confidence]
    if higher:
        other = case.study.best(replace(case.terms, confidence=higher[-1], cost_usd=None))
        if other is not None:
            if other.key == case.choice.key:
                return w.say("risk_late_already", sure=w.percent(higher[-1]))
            return _instead(case, other, "risk_late_answer", sure=w.percent(higher[-1]))
    return w.say("risk_late_none")


def _instead(case: Case, other: Choice, key: str, **values: str) -> str:
    w, more = case.words, other.cost_p50_usd - case.choice.cost_p50_usd
    sign = "+" if more >= 0 else "−"
    return w.say(
        key, cluster=case.cluster_of(other), time=w.time(other.time_p50_s), more=sign + w.money(abs(more)), **values
    )


def _sources(case: Case) -> list[str]:
    """Who says how often the market takes machines back."""
    r = case.plan.reliability
    if r is None or r.taken is None:
        return []
    source, day = case.in_words(r.taken.source), r.taken.as_of
    return [case.words.say("taken_source" if day else "taken_source_undated", source=source, as_of=day)]
