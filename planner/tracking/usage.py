"""What was used and charged, as accounting says it: allocations of Slurm, rows of a cost export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from planner.tracking.cents import shares

HOUR_S = 3600
YEARS = range(1990, 2200)  # in which moments of a run may lie
LONGEST_S = 20 * 366 * 86_400  # of a job, a charge's period and a plan that is laid over days

#: What a state of Slurm's says of the GPU-hours under it. Source: the manual of sacct, "job state codes".
KINDS: Mapping[str, str] = {
    "COMPLETED": "finished",
    "RUNNING": "running",
    "COMPLETING": "running",
    "SUSPENDED": "running",
    "STOPPED": "running",
    "RESIZING": "running",
    "TIMEOUT": "interrupted",  # at its limit: a training job goes on from its last checkpoint
    "PREEMPTED": "interrupted",
    "REQUEUED": "interrupted",
    "REQUEUE_HOLD": "interrupted",
    "REQUEUE_FED": "interrupted",
    "SIGNALING": "interrupted",
    "REVOKED": "interrupted",
    "PENDING": "waiting",
    "CONFIGURING": "running",
    "STAGE_OUT": "running",
    "CANCELLED": "wasted",
    "FAILED": "wasted",
    "NODE_FAIL": "wasted",
    "OUT_OF_MEMORY": "wasted",
    "BOOT_FAIL": "wasted",
    "LAUNCH_FAILED": "wasted",
    "RECONFIG_FAIL": "wasted",
    "DEADLINE": "wasted",
    "SPECIAL_EXIT": "wasted",
}


@dataclass(frozen=True, slots=True)
class Allocation:
    """One allocation of one job: a job that was queued again has several. `seconds` were allocated, suspension apart.

    `start` and `end` are of one clock; `end` is None while it runs, both where it never started.
    """

    job: str
    name: str
    state: str  # a key of KINDS, or as Slurm wrote it
    start: datetime | None
    end: datetime | None
    seconds: int
    gpus: int

    @property
    def gpu_seconds(self) -> int:
        return self.seconds * self.gpus

    @property
    def kind(self) -> str:
        """Whether it finished, runs, was interrupted, waits or was wasted; an unknown state is an interruption."""
        return KINDS.get(self.state, "interrupted")

    def by_day(self) -> dict[date, int]:
        """GPU-seconds by day of its clock; they add up to `gpu_seconds`.

        Where the clock says another time than was allocated (suspension, a change to summer time), the allocated time
        is spread over the days as the clock's is.
        """
        if self.start is None or not self.gpu_seconds:
            return {}
        end = self.end if self.end is not None and self.end > self.start else None
        end = end or self.start + timedelta(seconds=self.seconds)
        parts = seconds_by_day(self.start, end)
        return dict(zip(parts, shares(self.gpu_seconds, list(parts.values())), strict=True))


@dataclass(frozen=True, slots=True)
class Usage:
    """Allocations of a dump, without steps and repetitions, and what a reader of it should know."""

    allocations: tuple[Allocation, ...]
    steps: int  # rows of job steps, which are parts of their jobs
    repeated: int  # rows that say again what another says
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Charge:
    """One row of a cost export, in USD."""

    start: datetime
    end: datetime
    category: str  # Usage | Purchase | Tax | Credit | Adjustment
    kind: str  # machines | storage | network | other
    service: str
    resource: str
    billed: Decimal
    effective: Decimal | None
    gpu_seconds: int | None  # None: the row counts no GPU-hours

    def by_day(self) -> dict[date, int]:
        """Seconds of its period by day; a period without length is of its first day."""
        parts = seconds_by_day(self.start, self.end)
        return parts if sum(parts.values()) else {self.start.date(): 1}


@dataclass(frozen=True, slots=True)
class Bill:
    """Rows of a cost export that are of the run, and what a reader of them should know."""

    charges: tuple[Charge, ...]
    currency: str
    left_out: int  # rows that are not of the run
    remarks: tuple[str, ...]


def seconds_by_day(start: datetime, end: datetime) -> dict[date, int]:
    """Seconds between two moments by day, in order; fractions of a second are dropped."""
    out: dict[date, int] = {}
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), datetime.min.time(), start.tzinfo)
        stop = min(end, midnight)
        out[start.date()] = int((stop - start).total_seconds())
        start = stop
    return out or {start.date(): 0}
