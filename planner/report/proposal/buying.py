"""Buy or rent, for those who decide it: the purchase sum with every kind of renting beside it."""

from __future__ import annotations

from planner.report.proposal.case import Case
from planner.report.proposal.model import Block, Paragraph, Row
from planner.results.plan import Buying, Rented
from planner.words import worded


def buying_blocks(case: Case) -> list[Block]:
    """The purchase sum in a sentence, and renting beside it as a table; nothing where nothing is to be bought."""
    found = purchase(case)
    if found is None:
        return []
    w = case.words
    sentence = w.say(
        "buy_intro",
        gpus=w.count(found.gpus),
        nodes=w.count(found.nodes),
        money=w.money(found.purchase_usd),
        low=w.money(found.purchase_usd_low),
        high=w.money(found.purchase_usd_high),
        price=w.price(found.owned_usd_per_gpu_hour),
        use=w.percent(found.utilisation),
        running=w.price(found.running_usd_per_gpu_hour),
    )
    own = (w.say("buy_own"), w.price_cell(found.owned_usd_per_gpu_hour), "", "")
    rows = (own, *(_row(case, found, rented) for rented in found.rented))
    heads = ("h_way", "h_usd_hour", "h_pays", "h_back")
    table = w.table("buy_caption", heads, rows, use=w.percent(found.utilisation))
    blocks: list[Block] = [Paragraph(sentence), table]
    blocks += [
        Paragraph(w.say("buy_unquoted", basis=worded(rented.basis, w.language)))
        for rented in found.rented
        if rented.basis
    ]
    return blocks


def purchase(case: Case) -> Buying | None:
    """What buying the own machines comes to, of whichever option holds it; the plan's first."""
    plans = [case.plan, *(option.plan for option in case.options if option.plan is not None)]
    return next((plan.buying for plan in plans if plan.buying is not None), None)


def _row(case: Case, found: Buying, rented: Rented) -> Row:
    w = case.words
    pays = w.say("buy_never") if rented.utilisation > 1 else w.percent_cell(rented.utilisation)
    late = w.say("buy_late", months=w.number(found.written_off_months))
    months = late if _late(found, rented) else w.number(rented.months or 0.0)
    return _name(case, rented), w.price_cell(rented.usd_per_gpu_hour), pays, months


def purchase_text(case: Case, found: Buying) -> str:
    """The purchase sum as a fact of the ask, and what would have to be used of it before it pays."""
    w = case.words
    key = "buy_fact" if case.plan.offer.pricing == "owned" else "buy_fact_beside"
    text = w.say(key, gpus=w.count(found.gpus), money=w.money(found.purchase_usd))
    return text + "".join(_against(case, found, rented) for rented in found.rented)


def _against(case: Case, found: Buying, rented: Rented) -> str:
    """When buying pays against one kind of renting, as a clause."""
    w = case.words
    name, price = _name(case, rented), w.price(rented.usd_per_gpu_hour)
    if rented.utilisation > 1:
        return w.say("buy_clause_never", name=name, price=price)
    use, late = w.percent(rented.utilisation), _late(found, rented)
    back = "" if late else w.say("buy_clause_back", months=w.number(rented.months or 0.0))
    return w.say("buy_clause", name=name, price=price, use=use) + back


def _name(case: Case, rented: Rented) -> str:
    w = case.words
    return w.say("seller", place=rented.offer.split("/")[0], pricing=w.say(f"pricing_{rented.pricing}"))


def _late(found: Buying, rented: Rented) -> bool:
    """Whether the purchase is not paid back within the machines' life."""
    return rented.utilisation > 1 or rented.months is None or rented.months > found.written_off_months
