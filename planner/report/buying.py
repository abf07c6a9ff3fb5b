"""Buy or rent in words: the purchase sum, from which use on it pays, and when it is paid back."""

from __future__ import annotations

from planner.report.figures import money_text
from planner.report.layout import Page, bullets
from planner.results.answers import Optimization
from planner.results.plan import Buying, Rented, pricing_words
from planner.units import format_count, format_number, format_percent, format_usd


def buying_of_answer(answer: Optimization) -> Buying | None:
    """What buying means in an answer: of its plan, else of the first alternative on machines of one's own."""
    plans = [answer.plan, *(other.plan for other in answer.alternatives)]
    return next((plan.buying for plan in plans if plan is not None and plan.buying is not None), None)


def purchase_text(found: Buying) -> str:
    """The purchase sum: "96 GPUs (12 nodes) cost 4.2 M USD to buy (3.6 M USD to 4.9 M USD)"."""
    nodes = f"{format_count(found.nodes)} node{'' if found.nodes == 1 else 's'}"
    text = f"{format_count(found.gpus)} GPUs ({nodes}) cost {money_text(found.purchase_usd)} to buy"
    if found.purchase_usd_low < found.purchase_usd_high:
        text += f" ({money_text(found.purchase_usd_low)} to {money_text(found.purchase_usd_high)})"
    return text


def rented_text(found: Buying, rented: Rented) -> str:
    """One kind of renting beside it: its price, the use from which buying pays, and the months until it is paid."""
    price = f"{format_usd(rented.usd_per_gpu_hour)} a GPU-hour"
    kind = pricing_words(rented.pricing)
    text = f"{kind} at {rented.offer.split('/')[0]}, {price}"
    text += f" ({rented.basis})" if rented.basis else ""
    if rented.utilisation > 1:
        return f"{text}: buying never pays"
    text += f": buying pays from {format_percent(rented.utilisation)} of the hours in use"
    at = f"at {format_percent(found.utilisation)} use"
    if rented.months is None or rented.months > found.written_off_months:
        return f"{text}; {at} it is not paid back within its {format_number(found.written_off_months, 3)} months"
    return f"{text}; {at} it is paid back in {format_number(rented.months, 3)} months"


def buying_lines(answer: Optimization, page: Page) -> list[str]:
    """Purchase and every kind of renting beside it; nothing where nothing is to be bought."""
    found = buying_of_answer(answer)
    if found is None:
        return []
    owned = f"{purchase_text(found)}; an hour in use then costs {format_usd(found.owned_usd_per_gpu_hour)} a GPU"
    beside = [f"rented {rented_text(found, rented)}" for rented in found.rented]
    if not found.rented:
        beside = ["nobody rents out this accelerator in the catalog: there is nothing to hold it against"]
    return bullets([f"{owned}, used {format_percent(found.utilisation)} of the time", *beside], page)
