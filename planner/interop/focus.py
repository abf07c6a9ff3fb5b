"""A cost export in the form of FOCUS (FinOps Open Cost and Usage Specification, 1.0 and later) as charges.

Costs stay decimal as they are written. What is counted: BilledCost, what an invoice holds, so that a commitment bought
ahead counts once; EffectiveCost stands beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from planner.reading import fault, json_of, read_csv
from planner.reading.names import did_you_mean
from planner.results.plan import OfferRef
from planner.tracking.usage import HOUR_S, LONGEST_S, YEARS, Bill, Charge
from planner.units import PlannerError
from planner.words import say

NEEDED = ("BilledCost", "BillingCurrency", "ChargeCategory", "ChargePeriodStart", "ChargePeriodEnd")
CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
_KINDS = {"Compute": "machines", "AI and Machine Learning": "machines", "Storage": "storage", "Networking": "network"}
_GPU_UNITS = {"gpu-hours": HOUR_S, "gpu-hour": HOUR_S, "gpu-minutes": 60, "gpu-seconds": 1}
_UNITS = {
    "hours": HOUR_S, "hour": HOUR_S, "hrs": HOUR_S, "hr": HOUR_S, "h": HOUR_S, "node-hours": HOUR_S,
    "machine-hours": HOUR_S, "instance-hours": HOUR_S, "minutes": 60, "seconds": 1, "second": 1, "s": 1,
}  # fmt: skip
_NAMES = ("SkuId", "SkuPriceId", "SkuMeter", "SkuPriceDetails", "ResourceType", "ResourceName", "ChargeDescription",
          "x_InstanceType")  # fmt: skip
_MOST = Decimal(10) ** 15


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which rows are of the run, and what other currencies are worth: tags that a row has, USD of one unit."""

    tags: Mapping[str, str]
    rates: Mapping[str, Decimal]


def read_focus(path: Path, offer: OfferRef, wanted: Wanted | None = None) -> Bill:
    """The charges of an export that are of the run.

    Parameters
    ----------
    offer : the plan's: hours of its instance are hours of all its GPUs
    wanted : tags that rows must have, and rates of currencies; None: every row, in USD

    Raises
    ------
    PlannerError
        If it is no such export, a cost or time in it is none, or a currency has no rate.
    """
    table = read_csv(path, NEEDED, holds=say("focus.holds"))
    wanted = wanted or Wanted({}, {})
    charges, left_out, uncounted = [], 0, 0
    currencies: Counter[str] = Counter()
    for row, line in zip(table.rows(), table.lines, strict=True):
        if wanted.tags and not _tagged(row, wanted.tags, path, line):
            left_out += 1
            continue
        one = _charge(row, offer, wanted.rates, path, line)
        currencies[row["BillingCurrency"].strip().upper()] += 1
        uncounted += one.kind == "machines" and one.category == "Usage" and one.gpu_seconds is None
        charges.append(one)
    remarks = []
    if uncounted:
        remarks.append(say("focus.uncounted", instance=offer.instance, rows=uncounted))
    changed = [
        say("focus.rate", code=code, usd=str(wanted.rates[code])) for code in sorted(currencies) if code != "USD"
    ]
    if changed:
        remarks.append(say("focus.converted", rates=changed))
    return Bill(tuple(charges), next(iter(currencies), "USD"), left_out, tuple(remarks))


def wanted_of(tags: Mapping[str, str], rates: Mapping[str, str]) -> Wanted:
    """Tags and rates as a user writes them.

    Raises
    ------
    PlannerError
        If a rate is no number above 0.
    """
    known = {}
    for code, text in rates.items():
        try:
            rate = Decimal(text)
        except InvalidOperation:
            rate = Decimal(0)
        if not (rate.is_finite() and rate > 0):
            raise PlannerError(say("focus.rate_wanted", code=code, text=text))
        known[code.upper()] = rate
    return Wanted(tags, known)


def _charge(row: Mapping[str, str], offer: OfferRef, rates: Mapping[str, Decimal], path: Path, line: int) -> Charge:
    category = row["ChargeCategory"].strip()
    if category not in CATEGORIES:
        hint = did_you_mean(category, CATEGORIES) or say("focus.may_be", names=list(CATEGORIES))
        raise fault(path, say("focus.category", category=category[:40], hint=hint), line)
    code = row["BillingCurrency"].strip().upper()
    if code != "USD" and code not in rates:
        said = say("focus.currency", currency=code[:10], code=code) if code else say("focus.no_currency")
        raise fault(path, said, line)
    rate = Decimal(1) if code == "USD" else rates[code]
    start, end = (_time(row, name, path, line) for name in ("ChargePeriodStart", "ChargePeriodEnd"))
    if end < start:
        raise fault(path, say("focus.end_before_start"), line)
    if (end - start).total_seconds() > LONGEST_S:
        raise fault(path, say("focus.too_long"), line)
    billed = _number(row, "BilledCost", path, line)
    effective = _number(row, "EffectiveCost", path, line)
    if billed is None:
        raise fault(path, say("focus.billed_empty"), line)
    kind = _KINDS.get(row.get("ServiceCategory", "").strip(), "other")
    return Charge(
        start,
        end,
        category,
        kind,
        row.get("ServiceName", "").strip() or say("focus.no_service"),
        row.get("ResourceId", "").strip() or row.get("ResourceName", "").strip(),
        billed * rate,
        None if effective is None else effective * rate,
        _gpu_seconds(row, offer, path, line) if category == "Usage" and kind != "storage" else None,
    )


def _gpu_seconds(row: Mapping[str, str], offer: OfferRef, path: Path, line: int) -> int | None:
    """GPU-seconds of a row: of its own unit, or of hours of the plan's instance; None where it does not say."""
    amount = _number(row, "ConsumedQuantity", path, line)
    unit = row.get("ConsumedUnit", "").strip().lower().replace(" ", "-")
    if amount is None:
        return None
    if unit in _GPU_UNITS:
        return round(amount * _GPU_UNITS[unit])
    ours = any(offer.instance.lower() in row.get(name, "").lower() for name in _NAMES)
    if unit in _UNITS and ours and offer.gpus_per_node:
        return round(amount * _UNITS[unit] * offer.gpus_per_node)
    return None


def _number(row: Mapping[str, str], column: str, path: Path, line: int) -> Decimal | None:
    text = row.get(column, "").strip()
    if text.upper() in ("", "NULL"):
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not (value.is_finite() and abs(value) < _MOST and len(text) <= 40):
        raise fault(path, say("focus.not_a_number", column=column, text=text[:40]), line)
    return value


def _time(row: Mapping[str, str], column: str, path: Path, line: int) -> datetime:
    text = row[column].strip()
    try:
        when = datetime.fromisoformat(text)
        when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
        if when.year not in YEARS:
            raise ValueError("a year of no run")
        return when
    except (ValueError, OverflowError):
        raise fault(path, say("focus.not_a_time", column=column, text=text[:40]), line) from None


def _tagged(row: Mapping[str, str], tags: Mapping[str, str], path: Path, line: int) -> bool:
    text = row.get("Tags", "").strip()
    if text.upper() in ("", "NULL"):
        return False
    found = json_of(text, f"{path.name}, line {line}, Tags")
    if not isinstance(found, dict):
        raise fault(path, say("focus.tags"), line)
    return all(str(found.get(key)) == value for key, value in tags.items())
