"""The first page, which a manager signs: the ask, the plan in a sentence, its ranges, options, the largest risks."""

from __future__ import annotations

from planner.report.backtest import stored_backtest
from planner.report.figures import rate_text
from planner.report.proposal.ask import kind_text, passes, plan_sentence, price_text, start_text
from planner.report.proposal.buying import purchase, purchase_text
from planner.report.proposal.case import Case
from planner.report.proposal.locale import Locale
from planner.report.proposal.model import Bullets, Facts, Paragraph, Section, Table
from planner.report.proposal.options import against
from planner.report.proposal.risks import risks_of
from planner.report.proposal.stress import stress_sentence
from planner.words import worded

SAME_CHANCE = 0.005  # that percentages printed whole do not tell apart
OPTIONS, RISKS = 3, 3  # on the page


def ask_section(case: Case) -> Section:
    """How much, by when, how sure; how it is done; what else could be chosen; what may go wrong; a line to sign on."""
    w = case.words
    largest = sorted(risks_of(case), key=lambda risk: -risk.weight)[:RISKS]
    risks = [w.say("top_risk", risk=r.label, figure=r.figure, answer=r.answer) for r in largest]
    stressed = stress_sentence(case)
    return Section(
        f"ask-{case.number}",
        w.say("s_ask"),
        (
            Paragraph(_sentence(case), lead=True),
            Paragraph(plan_sentence(case)),
            w.facts(_facts(case)),
            _options(case),
            Paragraph(w.say("top_risks")),
            Bullets((*risks, stressed) if stressed else tuple(risks)),
            signature(w),
        ),
        alone=True,
    )


def signature(words: Locale) -> Facts:
    """Lines that people sign on."""
    return words.facts(dict.fromkeys(("f_signed", "f_signed_on"), ""))


def _chance(case: Case) -> tuple[str, str, bool]:
    """The confidence, that of time and cost together, and whether they differ (a market's price is a chance beside)."""
    w, together = case.words, case.study.together(case.choice)
    return w.percent(case.confidence), w.percent(together), together < case.confidence - SAME_CHANCE


def _sentence(case: Case) -> str:
    w, plan, choice = case.words, case.plan, case.choice
    sure, together, apart = _chance(case)
    return w.say(
        "ask_apart" if apart else "ask",
        money=w.money(case.requested_usd),
        model=case.scenario.model.name,
        tokens=w.big(plan.tokens),
        passes=passes(case),
        machines=w.say(f"ask_{plan.offer.pricing}", term=w.time(plan.offer.term_s)),
        date=w.date(case.ends(choice.time_sure_s)),
        sure=sure,
        together=together,
    )


def _facts(case: Case) -> dict[str, str]:
    w, plan, choice, terms = case.words, case.plan, case.choice, case.terms
    sure, together, apart = _chance(case)
    cost, time = plan.cost_usd, plan.time_s
    reserve = choice.cost_sure_usd - cost.p50
    approve = w.say(
        "f_approve_text", money=w.money(case.requested_usd), median=w.money(cost.p50), reserve=w.money(reserve)
    )
    if case.ask_lines:
        named = w.listed([name for name, _ in case.ask_lines])
        approve += w.say("f_approve_beside", money=w.money(case.requested_usd - choice.cost_sure_usd), names=named)
    facts = {
        "f_approve": approve,
        "f_ready": w.say(
            "f_ready_text",
            date=w.date(case.ends(choice.time_sure_s)),
            time=w.time(choice.time_sure_s + plan.offer.waiting_s),
            start=start_text(case),
        ),
        "f_cost": w.say("range_text", median=w.money(cost.p50), low=w.money(cost.p10), high=w.money(cost.p90)),
        "f_time": w.say("range_text", median=w.time(time.p50), low=w.time(time.p10), high=w.time(time.p90)),
        "f_sure": w.say("f_sure_apart" if apart else "f_sure_text", sure=sure, together=together),
        "f_kind": kind_text(case),
        "f_price": price_text(case),
    }
    for_sale = purchase(case)
    if for_sale is not None:
        facts["f_purchase"] = purchase_text(case, for_sale)
    rate = w.exchange_rate or worded(rate_text(case.scenario.money), w.language)
    if rate:
        facts["f_rate_money"] = rate
    if plan.offer.waiting_s:
        facts["f_waiting"] = w.say("waiting_text", time=w.time(plan.offer.waiting_s))
    limits = []
    if terms.time_s is not None:
        limits.append(w.say("limit_line_time", limit=w.time(terms.time_s), chance=w.chance(plan.p_within_time)))
    if terms.cost_usd is not None:
        limits.append(w.say("limit_line_cost", limit=w.money(terms.cost_usd), chance=w.chance(plan.p_within_cost)))
    if limits:
        facts["f_limits"] = w.listed(limits, "semicolons")
    basis, tried = w.known(f"basis_{plan.basis}") or plan.basis, stored_backtest()
    facts["f_trust"] = w.say("trust_text", basis=basis, runs=w.count(tried.runs), inside=w.count(tried.inside))
    return facts


def _options(case: Case) -> Table:
    """The plan and two others that one might sign instead."""
    w = case.words
    rows = []
    for option in case.options:
        if option.plan is None or option.choice is None or not option.within:
            continue
        rows.append(
            (
                option.label,
                case.cluster(option.plan),
                w.days_cell(option.choice.time_p50_s),
                w.money_cell(option.choice.cost_p50_usd),
                w.money_cell(option.choice.cost_sure_usd),
                option.remark or against(case, option),
            )
        )
    heads = ("h_option", "h_cluster", "h_days", "h_usd", "h_usd_sure", "h_against")
    return w.table("top_options", heads, rows[:OPTIONS], {0}, sure=w.percent(case.confidence))
