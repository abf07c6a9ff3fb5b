"""Buy or rent in words: the purchase sum, from which use on it pays, and when it is paid back."""

from __future__ import annotations

from planner.report.layout import Page, bullets
from planner.results.answers import Optimization
from planner.results.plan import Buying, Rented, pricing_words
from planner.words import Sentence, said, say


def buying_of_answer(answer: Optimization) -> Buying | None:
    """What buying means in an answer: of its plan, else of the first alternative on machines of one's own."""
    plans = [answer.plan, *(other.plan for other in answer.alternatives)]
    return next((plan.buying for plan in plans if plan is not None and plan.buying is not None), None)


def purchase_text(found: Buying) -> Sentence:
    """The purchase sum: "96 GPUs (12 nodes) cost 4.2 M USD to buy (3.6 M USD to 4.9 M USD)"."""
    bought = {"gpus": found.gpus, "nodes": say("figures.nodes", nodes=found.nodes), "cost": found.purchase_usd}
    text = say("report_buying.purchase", **bought)
    if found.purchase_usd_low < found.purchase_usd_high:
        return say("report_buying.range", text=text, low=found.purchase_usd_low, high=found.purchase_usd_high)
    return text


def rented_text(found: Buying, rented: Rented) -> str:
    """One kind of renting beside it: its price, the use from which buying pays, and the months until it is paid."""
    cloud, price = rented.offer.split("/")[0], rented.usd_per_gpu_hour
    text = said("report_buying.rented", pricing=pricing_words(rented.pricing), cloud=cloud, price=price)
    if rented.basis:
        text = said("labels.with_reason", text=text, why=rented.basis)
    if rented.utilisation > 1:
        return said("report_buying.never_pays", text=text)
    text = said("report_buying.pays_from", text=text, share=rented.utilisation)
    if rented.months is None or rented.months > found.written_off_months:
        months = found.written_off_months
        return said("report_buying.not_paid_back", text=text, use=found.utilisation, months=months)
    return said("report_buying.paid_back", text=text, use=found.utilisation, months=rented.months)


def buying_lines(answer: Optimization, page: Page) -> list[str]:
    """Purchase and every kind of renting beside it; nothing where nothing is to be bought."""
    found = buying_of_answer(answer)
    if found is None:
        return []
    owned = {"price": found.owned_usd_per_gpu_hour, "use": found.utilisation}
    renting = [rented_text(found, rented) for rented in found.rented] or [said("report_buying.not_rented")]
    return bullets([said("report_buying.owned", purchase=purchase_text(found), **owned), *renting], page)
