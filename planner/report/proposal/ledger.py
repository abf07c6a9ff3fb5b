"""The sums of the workbook in Python: what each formula must come to, in the same order of operations."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from planner.report.proposal.model import Ledger, PlanRow
from planner.spec.billing import PaidTime

HOUR_S = 3600.0
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Sums:
    """One plan's money in USD and paid time in seconds."""

    paid_s: float
    paid_sure_s: float
    compute: float
    failures: float
    overhead: float
    rounding: float
    storage: float
    egress: float
    total: float
    total_sure: float

    @property
    def reserve(self) -> float:
        return self.total_sure - self.total


def paid_seconds(row: PlanRow, seconds: float) -> float:
    """The time that is paid for a run of `seconds`."""
    return float(PaidTime(row.minimum_s, row.step_s, row.block_s, row.then).paid_s(seconds))


def sums(ledger: Ledger, row: PlanRow, price: float = 1.0) -> Sums:
    """What a plan costs, prices scaled by `price`."""
    each, surely = row.usd_per_gpu_hour, row.sure_price
    if row.curve is not None:
        each, surely = row.curve.at(ledger.storage_usd_per_s * HOUR_S, price)
    rate, sure_rate = each * price * row.gpus, surely * price * row.gpus
    paid, sure = paid_seconds(row, row.time_p50_s), paid_seconds(row, row.time_confidence_s)
    compute = rate * row.work_s / HOUR_S
    failures = rate * (row.own_s - row.work_s) / HOUR_S
    overhead = rate * (row.time_p50_s - row.own_s) / HOUR_S
    rounding = rate * (paid - row.time_p50_s) / HOUR_S
    storage, egress = ledger.storage_usd_per_s * row.time_p50_s, ledger.egress_usd
    return Sums(
        paid_s=paid,
        paid_sure_s=sure,
        compute=compute,
        failures=failures,
        overhead=overhead,
        rounding=rounding,
        storage=storage,
        egress=egress,
        total=rate * paid / HOUR_S + storage + egress,
        total_sure=sure_rate * sure / HOUR_S + ledger.storage_usd_per_s * row.time_confidence_s + egress,
    )


def months(start: date, longest_s: float, most: int = 60) -> tuple[date, ...]:
    """First days of the months that a run of up to `longest_s` from `start` touches, at most so many."""
    out = [start.replace(day=1)]
    end = start + timedelta(seconds=min(longest_s, 3e9))
    while out[-1] <= end and len(out) < most:
        out.append(next_month(out[-1]))
    return tuple(out if len(out) == most or len(out) == 1 else out[:-1])


def days_in(start: date, seconds: float, first: date, following: date, waiting_s: float = 0.0) -> float:
    """Days of a run that fall between two days, its machines there so long after `start`."""
    begin, end = ((day - start).days - waiting_s / DAY_S for day in (first, following))
    return max(0.0, min(seconds / DAY_S, end) - max(0.0, begin))


def next_month(day: date) -> date:
    """The first day of the month after a day's."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)
