"""Buy or rent, for those who decide it: the purchase sum with every kind of renting beside it."""

from __future__ import annotations

from planner.plan import Buying, Rented
from planner.report.proposal.case import Case
from planner.report.proposal.model import Block, Cell, Paragraph, Table
from planner.report.proposal.sentences import translated


def buying_blocks(case: Case) -> list[Block]:
    """The purchase sum in a sentence, and renting beside it as a table; nothing where nothing is to be bought."""
    found = next((o.plan.buying for o in case.options if o.plan is not None and o.plan.buying is not None), None)
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
    header = tuple(w.say(key, use=w.percent(found.utilisation)) for key in ("h_way", "h_usd_hour", "h_pays", "h_back"))
    own = (Cell(w.say("buy_own")), w.price_cell(found.owned_usd_per_gpu_hour), Cell(""), Cell(""))
    rows = (own, *(_row(case, found, rented) for rented in found.rented))
    blocks: list[Block] = [Paragraph(sentence), Table(w.say("buy_caption"), header, rows)]
    blocks += [
        Paragraph(w.say("buy_unquoted", basis=translated(w, rented.basis))) for rented in found.rented if rented.basis
    ]
    return blocks


def _row(case: Case, found: Buying, rented: Rented) -> tuple[Cell, ...]:
    w = case.words
    name = w.say("seller", place=rented.offer.split("/")[0], pricing=w.say(f"pricing_{rented.pricing}"))
    never = rented.utilisation > 1
    late = never or rented.months is None or rented.months > found.written_off_months
    pays = Cell(w.say("buy_never")) if never else w.percent_cell(rented.utilisation)
    months = w.say("buy_late", months=w.number(found.written_off_months)) if late else w.number(rented.months or 0.0)
    return (Cell(name), w.price_cell(rented.usd_per_gpu_hour), pays, Cell(months))


def purchase_text(case: Case, found: Buying) -> str:
    """The purchase sum as a fact of the ask."""
    w = case.words
    return w.say("buy_fact", gpus=w.count(found.gpus), money=w.money(found.purchase_usd))
