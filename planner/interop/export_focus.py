"""A plan's expected charges in the form of FOCUS 1.0: a row a month (or day) and kind of cost, the plan's sum exactly.

What the plan does not hold (accounts, price ids) says "planned" or stays empty. `planner track --focus` reads it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from planner.files import csv_text
from planner.money import money_of
from planner.results.answers import Optimization
from planner.results.plan import Plan
from planner.tracking.actuals import planned_days, planned_gpu_seconds
from planner.tracking.cents import allotted, cents, shares
from planner.tracking.usage import HOUR_S
from planner.units import PlannerError
from planner.words import say

FILE = "focus.csv"
PERIODS = ("month", "day")
COLUMNS = (
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd",
    "BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargeFrequency", "ChargePeriodEnd",
    "ChargePeriodStart", "ConsumedQuantity", "ConsumedUnit", "ContractedCost", "ContractedUnitPrice", "EffectiveCost",
    "InvoiceIssuerName", "ListCost", "ListUnitPrice", "PricingCategory", "PricingQuantity", "PricingUnit",
    "ProviderName", "PublisherName", "RegionId", "RegionName", "ResourceId", "ResourceName", "ResourceType",
    "ServiceCategory", "ServiceName", "SkuId", "SkuPriceId", "Tags",
)  # fmt: skip
_PRICING = {"on_demand": "Standard", "spot": "Dynamic", "reserved": "Committed", "block": "Committed"}


@dataclass(frozen=True, slots=True)
class _Period:
    """A part of the run: seconds after its beginning at which it starts and ends."""

    start: datetime
    end: datetime

    @property
    def month(self) -> tuple[date, date]:
        """The calendar month that it is billed in."""
        first = self.start.date().replace(day=1)
        return first, (first + timedelta(days=32)).replace(day=1)


@dataclass(frozen=True, slots=True)
class _Line:
    """One expected charge."""

    period: _Period
    category: str
    service: str  # FOCUS' ServiceCategory
    what: str
    billed: Decimal
    effective: Decimal
    gpu_seconds: int | None = None


def focus_files(answer: Optimization, start: date | None = None, by: str = "month") -> dict[str, str]:
    """focus.csv of a plan that begins on `start` (None: the plan's own start), its median time and cost.

    Raises
    ------
    PlannerError
        If there is no plan, nothing says when it starts, or `by` is neither month nor day.
    """
    if answer.plan is None:
        raise PlannerError(say("export_focus.no_plan"))
    money = money_of(answer)
    unit = money.unit if money.hours else ""
    if unit or not answer.plan.offer.priced:
        why = say("export_focus.counts_hours", unit=unit) if unit else say("export_focus.no_price")
        raise PlannerError(say("export_focus.no_money", why=why))
    if by not in PERIODS:
        raise PlannerError(say("export_focus.by", by=by, periods=list(PERIODS)))
    begin = start or (answer.goal.start if answer.goal is not None else None)
    if begin is None:
        raise PlannerError(say("export_focus.no_start"))
    lines = _lines(answer.plan, list(_periods(answer.plan, begin, by)))
    return {FILE: csv_text([COLUMNS, *_rows(answer, lines)])}


def _periods(plan: Plan, begin: date, by: str) -> Iterator[_Period]:
    """Days of the run, or its months, without gaps."""
    found: list[_Period] = []
    for day, seconds in planned_days(plan, begin).items():
        start = datetime.combine(day, datetime.min.time())
        end = start + timedelta(seconds=seconds)
        if by == "month" and found and found[-1].month[0] == day.replace(day=1):
            found[-1] = _Period(found[-1].start, end)
        else:
            found.append(_Period(start, end))
    yield from found


def _lines(plan: Plan, periods: list[_Period]) -> Iterator[_Line]:
    """Charges that add up to the plan's cost at the median: billed, and with what is paid ahead spread over its use."""
    seconds = [int((period.end - period.start).total_seconds()) for period in periods]
    bill, total = plan.billing, cents(plan.cost_usd.p50)
    storage = egress = Decimal(0)
    if bill is not None:
        storage = min(total, cents(bill.storage_usd_per_hour * plan.time_s.p50 / HOUR_S))
        egress = min(total - storage, cents(bill.egress_usd))
    machines = total - storage - egress
    ahead = cents(Fraction(machines) * Fraction(str(plan.offer.upfront)))
    if ahead:
        yield _Line(periods[0], "Purchase", "Compute", "paid before the term begins", ahead, Decimal(0))
    what = f"{plan.paid_gpus} {plan.offer.gpu}, {plan.offer.price_kind}"
    billed, effective = _cut(machines - ahead, seconds), _cut(machines, seconds)
    used = shares(planned_gpu_seconds(plan), seconds)
    for period, paid, worth, gpu_seconds in zip(periods, billed, effective, used, strict=True):
        yield _Line(period, "Usage", "Compute", what, paid, worth, gpu_seconds)
    for period, usd in zip(periods, _cut(storage, seconds), strict=True):
        if usd:
            yield _Line(period, "Usage", "Storage", "checkpoints kept", usd, usd)
    if egress:
        yield _Line(periods[-1], "Usage", "Networking", "data that leaves", egress, egress)


def _cut(amount: Decimal, seconds: list[int]) -> tuple[Decimal, ...]:
    whole = max(1, sum(seconds))
    return allotted([Fraction(amount) * Fraction(each, whole) for each in seconds])


def _rows(answer: Optimization, lines: Iterable[_Line]) -> Iterator[list[object]]:
    assert answer.plan is not None  # noqa: S101 - focus_files has seen to it
    offer = answer.plan.offer
    tags = json.dumps({"run": answer.provenance.scenario}, ensure_ascii=False)
    for line in lines:
        hours = "" if line.gpu_seconds is None else f"{Decimal(line.gpu_seconds) / HOUR_S:.6f}"
        unit, price = ("GPU-Hours", offer.usd_per_gpu_hour) if hours else ("", "")
        first, last = line.period.month
        values: dict[str, object] = {
            "BilledCost": line.billed,
            "BillingAccountId": "planned",
            "BillingAccountName": "planned",
            "BillingCurrency": "USD",
            "BillingPeriodStart": f"{first}T00:00:00Z",
            "BillingPeriodEnd": f"{last}T00:00:00Z",
            "ChargeCategory": line.category,
            "ChargeDescription": line.what,
            "ChargeFrequency": "One-Time" if line.category == "Purchase" else "Usage-Based",
            "ChargePeriodStart": f"{line.period.start.isoformat()}Z",
            "ChargePeriodEnd": f"{line.period.end.isoformat()}Z",
            "ConsumedQuantity": hours,
            "ConsumedUnit": unit,
            "ContractedCost": line.billed,
            "ContractedUnitPrice": price,
            "EffectiveCost": line.effective,
            "InvoiceIssuerName": offer.cloud,
            "ListCost": line.billed,
            "ListUnitPrice": price,
            "PricingCategory": _PRICING.get(offer.pricing, "Other"),
            "PricingQuantity": hours,
            "PricingUnit": unit,
            "ProviderName": offer.cloud,
            "PublisherName": offer.cloud,
            "RegionId": offer.region,
            "RegionName": offer.region,
            "ResourceType": offer.instance if line.service == "Compute" else "",
            "ServiceCategory": line.service,
            "ServiceName": f"{offer.cloud} {line.service.lower()}",
            "SkuId": offer.id if line.service == "Compute" else "",
            "Tags": tags,
        }
        yield [values.get(column, "") for column in COLUMNS]
