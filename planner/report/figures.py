"""How numbers read in reports: one unit a row, three digits, chances that never claim certainty, ages of prices."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date

from planner.catalog.price_ages import oldest, price_age
from planner.money import Money, writing
from planner.results.plan import OfferRef, Plan
from planner.units import format_number
from planner.words import Sentence, said, say, say_from, speaking
from planner.words.languages import forms


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit that a row of one quantity is written in."""

    unit: str
    size: float

    def figure(self, value: float | None) -> str:
        """The value in this unit, three digits, without the unit; nothing where it is not known."""
        return "" if value is None else three_digits(value / self.size)

    def text(self, value: float) -> str:
        """The value with its unit."""
        return f"{format_number(value / self.size, 3)} {self.unit}"

    def heading(self, name: str) -> str:
        """A row's or a column's heading with this unit, by its name in `labels`: "reserve, days"."""
        return said("labels.in_unit", name=said(f"labels.{name}"), unit=self.unit)


def three_digits(value: float) -> str:
    """Three digits, zeros kept, so that columns of figures line up: 65 -> "65.0", 1234.5 -> "1,234"."""
    if value == 0:
        return "0"
    exponent = int(f"{abs(value):.2e}".split("e")[1])
    return f"{value:,.{max(0, 2 - exponent)}f}"


def time_scale(seconds: float) -> Scale:
    """The largest unit of time that leaves at least two."""
    language = forms(speaking())
    unit, size = language.time_scale(seconds)
    return Scale(language.form(unit).format(n="").strip(), size)


def money_scale(usd: float) -> Scale:
    """Millions from one of them, thousands from ten of those, else ones, of the unit that is written in now.

    Multiples are those of the language. A value is given in US dollars: `size` is how many of those the unit is.
    """
    return Scale(*forms(speaking()).money_scale(usd, writing()))


def time_text(seconds: float) -> Sentence:
    """1209600 -> "14 days", 86400 -> "1 day"."""
    return say("figures.time", time=seconds)


def money_text(usd: float) -> Sentence:
    """65100 -> "65.1 k USD"."""
    return say("figures.money", cost=usd)


def unit_text(unit: str) -> str:
    """A unit of amounts as the language has it: a currency, or hours that are counted."""
    return forms(speaking()).unit(Money(unit))


def gpu_hours_text(hours: float) -> Sentence:
    """1545.2 -> "1,545 GPU-hours"."""
    return say("figures.gpu_hours", hours=hours)


def energy_text(kwh: float) -> str:
    """34963 -> "35 MWh", 3.97 -> "3.97 kWh"."""
    return f"{format_number(kwh / 1000, 3)} MWh" if kwh >= 1000 else f"{format_number(kwh, 3)} kWh"


def mass_text(kg: float) -> Sentence:
    """16600 -> "16.6 t", 1.89 -> "1.89 kg"."""
    return say("figures.tonnes", mass=kg / 1000) if kg >= 1000 else say("figures.kilograms", mass=kg)


def chance(probability: float | None) -> Sentence:
    """A probability for a person: no figure says that something is certain."""
    if probability is None:
        return say("figures.unknown")
    if probability > 0.999:
        return say("comparing.chance_high")
    return say("comparing.chance_low") if probability < 0.001 else say("figures.percent", share=probability)


def percent(share: float) -> Sentence:
    """0.0471 -> "4.71 %"."""
    return say("figures.percent", share=share)


def written_percent(share: float, form: str) -> Sentence:
    """A share as Python writes it in a form of percent: 0.1, ".1%" -> "10.0 %"."""
    return say("figures.written_percent", figure=f"{share:{form}}".removesuffix("%"))


def range_text(low: float, high: float, digits: int = 3) -> Sentence:
    """10.04, 12.5 -> "10 to 12.5"."""
    return between(format_number(low, digits), format_number(high, digits))


def between(low: str, high: str) -> Sentence:
    """Two ends as a range: "10 to 12.5"."""
    return say("figures.range", low=low, high=high)


def age(offer: OfferRef, today: date) -> Sentence:
    """How old a price is: "25 days old", or the range where its date is one."""
    first, last = offer.as_of_earliest or offer.as_of_latest, offer.as_of_latest or offer.as_of_earliest
    if first is None or last is None:
        return say("age.undated")
    oldest, newest = (today - first).days, max((today - last).days, 0)
    if oldest < 0:
        return say("age.after", day=today)
    if oldest == newest:
        return say("age.days", days=oldest) if oldest else say("age.today")
    return say("age.range", newest=newest, oldest=oldest)


def ages_sentence(plans: Iterable[Plan], today: date) -> str:
    """How old the prices of several plans are on a day, and whose to ask for anew; nothing where none has a date."""
    offers = {plan.offer.id: plan.offer for plan in plans}.values()
    dated = [offer for offer in offers if price_age(offer, today).days is not None]
    last = oldest(dated, today)
    if last is None:
        return ""
    ages = say("figures.at_least" if last.at_least else "figures.up_to", days=last.days)
    stale = sorted({offer.cloud for offer in dated if price_age(offer, today).level == "stale"})
    if stale:
        return say("figures.ages_stale", today=today, ages=ages, clouds=stale)
    return say("figures.ages_old" if last.level == "old" else "figures.ages", today=today, ages=ages)


def amount_writer(unit: str) -> Callable[[float], str]:
    """How an amount of an objective is written, by its unit: s, USD, epochs or tokens."""
    if unit == "tokens":
        return lambda value: say("figures.tokens", tokens=value)
    if unit == "epochs":
        return lambda value: say("figures.epochs", epochs=value)
    return money_text if unit == "USD" else time_text


def rate_text(money: Money) -> str:
    """A currency's rate as people quote it, with its day and source: "1 EUR = 1.08 USD of 2026-11-20 (ECB)"."""
    if not money.foreign:
        return ""
    how = "_".join(word for word, known in (("of", money.as_of), ("from", money.source)) if known) or "alone"
    known = {"rate": money.rate_figure, "day": money.as_of, "source": money.source}
    return say_from(f"figures.rate_{how}", known)


def rate_sentence() -> str:
    """At which rate amounts were turned into the currency that is written in; nothing where none was."""
    rate = rate_text(writing())
    return say("figures.rate", unit=writing().unit, rate=rate) if rate else ""


def waits_sentence(plans: Iterable[Plan]) -> str:
    """Which plans first wait for their machines, and for how long; nothing where none does."""
    waits = {f"{plan.offer.cloud}, {plan.offer.price_kind}": plan.offer for plan in plans if plan.offer.waiting_s}
    texts = [
        say("figures.wait", wait=offer.waiting_s, cloud=offer.cloud, pricing=offer.price_kind)
        for _, offer in sorted(waits.items())
    ]
    return say("figures.waits", waits=texts) if texts else ""


def notes(plans: Collection[Plan], today: date | None) -> list[str]:
    """What is to be said below a table of plans: waits, the rate of their money, ages of prices (of a day alone)."""
    ages = "" if today is None else ages_sentence(plans, today)
    return [text for text in (waits_sentence(plans), rate_sentence() if plans else "", ages) if text]


def trained_words(plan: Plan) -> str:
    """The adapters of a plan that trains them alone, behind a comma: `, qlora r16`."""
    adapter = None if plan.conditions is None else plan.conditions.adapter
    return "" if adapter is None else f", {adapter.words}"
