"""When: milestones and checkpoints. What may go wrong: each risk with its figure and its answer."""

from __future__ import annotations

from dataclasses import replace

from planner.plan import Takings
from planner.report.evidence import TIGHT
from planner.report.proposal.ask import start_text
from planner.report.proposal.case import Case
from planner.report.proposal.locale import DAY_S
from planner.report.proposal.model import Block, Bullets, Cell, Paragraph, Section, Table
from planner.report.proposal.study import Choice

MOST_EPOCHS = 12


def schedule_section(case: Case) -> Section:
    """Milestones by epoch with calendar dates, most likely and at the confidence; checkpoints."""
    w, plan = case.words, case.plan
    stretch = case.choice.time_sure_s / plan.time_s.p50
    sure = w.percent(case.confidence)
    rows: list[tuple[Cell, ...]] = [
        (
            Cell(w.say("m_start")),
            Cell(""),
            w.days_cell(0.0),
            Cell(w.short_date(case.start)),
            Cell(w.short_date(case.start)),
        )
    ]
    epochs = plan.schedule
    shown = epochs if len(epochs) <= MOST_EPOCHS else epochs[:: -(-len(epochs) // MOST_EPOCHS)]
    if epochs and shown[-1] is not epochs[-1]:
        shown = (*shown, epochs[-1])
    rows += [
        _milestone(case, w.say("m_epoch", number=w.count(part.epoch)), part.last_iteration, part.finish_s, stretch)
        for part in shown
    ]
    if not epochs:
        rows += [
            _milestone(
                case, w.say("m_share", share=w.percent(x)), round(plan.iterations * x), plan.time_s.p50 * x, stretch
            )
            for x in (0.25, 0.5, 0.75, 1.0)
        ]
    header = tuple(w.say(k, sure=sure) for k in ("h_milestone", "h_iteration", "h_day", "h_likely", "h_latest"))
    said = [w.say("schedule_start", start=start_text(case))]
    r = plan.reliability
    if r is not None and r.checkpoint_interval_s is not None:
        said.append(
            w.say(
                "schedule_checkpoints",
                interval=w.time(r.checkpoint_interval_s),
                iterations=w.count(r.checkpoint_interval_iterations or 0),
                seconds=w.time(r.checkpoint_s),
                size=w.number(r.checkpoint_gb, 3),
            )
        )
    table = Table(w.say("schedule_caption"), header, tuple(rows), frozenset({len(rows) - 1}))
    return Section(f"schedule-{case.number}", w.say("s_schedule"), (Paragraph(" ".join(said)), table))


def _milestone(case: Case, label: str, iteration: int, seconds: float, stretch: float) -> tuple[Cell, ...]:
    w = case.words
    return (
        Cell(label),
        w.count_cell(iteration),
        w.days_cell(seconds),
        Cell(w.short_date(case.ends(seconds))),
        Cell(w.short_date(case.ends(seconds * stretch))),
    )


def risks_section(case: Case) -> Section:
    """Each risk: what it means in days and dollars, and what is done about it."""
    w = case.words
    rows = [tuple(Cell(text) for text in row) for row in _risks(case)]
    header = tuple(w.say(k) for k in ("h_risk", "h_figure", "h_answer"))
    blocks: list[Block] = [Paragraph(w.say("risks_intro")), Table(w.say("risks_caption"), header, tuple(rows))]
    said = _said(case)
    if said:
        blocks.append(Bullets(tuple(said)))
    return Section(f"risks-{case.number}", w.say("s_risks"), tuple(blocks))


def _risks(case: Case) -> list[tuple[str, str, str]]:
    w, plan, terms = case.words, case.plan, case.terms
    out = []
    basis = w.known(f"basis_{plan.basis}") or plan.basis
    late, more = w.time(plan.time_s.p90 - plan.time_s.p50), w.money(plan.cost_usd.p90 - plan.cost_usd.p50)
    figure = w.say("risk_speed_figure", late=late, more=more, basis=basis)
    out.append((w.say("risk_speed"), figure, w.say("risk_speed_answer")))
    if plan.p_within_time is not None and terms.time_s is not None:
        out.append(
            (
                w.say("risk_late"),
                w.say("risk_late_figure", chance=w.chance(1 - plan.p_within_time), limit=w.time(terms.time_s)),
                _faster(case),
            )
        )
    if plan.p_within_cost is not None and terms.cost_usd is not None:
        out.append(
            (
                w.say("risk_dear"),
                w.say("risk_dear_figure", chance=w.chance(1 - plan.p_within_cost), limit=w.money(terms.cost_usd)),
                w.say("risk_dear_answer"),
            )
        )
    r = plan.reliability
    if r is not None:
        between = w.say("risk_fail_never") if r.mean_time_between_s is None else w.time(r.mean_time_between_s)
        figure = w.say(
            "risk_fail_figure", count=w.number(r.interruptions, 2), between=between, lost=w.percent(1 - r.goodput, 2)
        )
        out.append((w.say("risk_fail"), figure, w.say("risk_fail_answer", restart=w.time(r.restart_s))))
        if r.taken is not None:
            out.append((w.say("risk_taken"), _taken(case, r.taken), w.say("risk_taken_answer", wait=w.time(r.wait_s))))
    if plan.offer.term_s:
        usd = plan.offer.usd_per_gpu_hour * plan.paid_gpus * plan.offer.term_s / 3600.0
        figure = w.say("risk_term_figure", term=w.time(plan.offer.term_s), money=w.money(usd))
        out.append((w.say("risk_term"), figure, w.say("risk_term_answer")))
    if plan.offer.pricing != "owned":
        tenth = plan.offer.usd_per_gpu_hour * plan.paid_gpus * plan.time_s.p50 / 36_000.0
        figure = w.say("risk_price_figure", more=w.money(tenth), as_of=case.as_of(plan.offer))
        out.append((w.say("risk_price"), figure, w.say("risk_price_answer")))
        out.append((w.say("risk_stock"), _stock(case), _elsewhere(case)))
    share = plan.memory_gib.total / plan.memory_gib.capacity
    if share > TIGHT:
        figure = w.say(
            "risk_memory_figure",
            share=w.percent(share),
            total=w.number(plan.memory_gib.total),
            capacity=w.number(plan.memory_gib.capacity),
        )
        out.append((w.say("risk_memory"), figure, w.say("risk_memory_answer")))
    if plan.critical_batch is not None and plan.global_batch > plan.critical_batch:
        figure = w.say(
            "risk_batch_figure", batch=w.count(plan.global_batch), critical=w.count(round(plan.critical_batch))
        )
        out.append((w.say("risk_batch"), figure, w.say("risk_batch_answer")))
    return out


def _taken(case: Case, taken: Takings) -> str:
    """How often the market takes machines back, how sure that is, and who says so."""
    w, days = case.words, case.plan.nodes * taken.per_1000_node_days / 1000.0
    every = w.time(DAY_S / days)
    if taken.low == taken.high:
        return w.say("risk_taken_known", rate=w.number(taken.per_1000_node_days), every=every, source=taken.source)
    return w.say(
        "risk_taken_figure",
        rate=w.number(taken.per_1000_node_days),
        low=w.number(taken.low),
        high=w.number(taken.high),
        every=every,
        source=taken.source,
        as_of=taken.as_of,
    )


def _stock(case: Case) -> str:
    w, plan = case.words, case.plan
    if plan.offer.max_nodes is None:
        return w.say("risk_stock_unknown", nodes=w.count(plan.nodes))
    return w.say("risk_stock_known", nodes=w.count(plan.nodes), most=w.count(plan.offer.max_nodes))


def _elsewhere(case: Case) -> str:
    """What the same run takes at the next best cloud."""
    w, cloud = case.words, case.plan.offer.cloud
    other = case.study.best(case.terms, lambda o: o.cloud != cloud)
    if other is None:
        return w.say("risk_stock_none")
    return _instead(case, other, "risk_stock_answer")


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


def _said(case: Case) -> list[str]:
    from planner.report.proposal.sentences import translated

    return [translated(case.words, text) for text in case.outcome.warnings]
