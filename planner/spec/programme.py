"""A programme of several runs: stages in order, within one budget and one calendar."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

from planner.money import USD, Money
from planner.spec.scenario import AskLine, Budget, Objective, OwnCluster, Quota, Scenario


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: the run that it is, and its place in the order."""

    name: str
    scenario: Scenario  # without budgets
    after: tuple[int, ...] = ()  # stages that have ended before it begins; it inherits from the first of them
    copies: int = 1
    beside: bool = True  # whether its copies may run side by side
    inherits: tuple[str, ...] = ()  # of checkpoint, optimizer, cluster
    may_move: bool = False
    not_before: int = 0  # day, from the programme's first, which is 0
    deadline: int | None = None  # the day by whose beginning it is done
    where: str = ""  # file and line

    @property
    def tied(self) -> bool:
        """Whether it takes anything over from an earlier stage."""
        return bool(self.inherits)


@dataclass(frozen=True, slots=True)
class Reservation:
    """Machines of which so many are there between two days, paid whole if any stage is on them."""

    own: OwnCluster
    since: int  # day
    until: int  # the day by whose beginning it has ended

    @property
    def usd(self) -> float:
        """What it costs."""
        gpus = self.own.nodes * self.own.gpus_per_node
        return gpus * (self.own.usd_per_gpu_hour or 0.0) * 24.0 * (self.until - self.since)


@dataclass(frozen=True, slots=True)
class Transfer:
    """What it takes to carry bytes to another cloud or region."""

    gbit_per_s: float
    usd_per_gb: float  # 10^9 bytes


@dataclass(frozen=True, slots=True)
class Programme:
    """Stages in order, within one budget and one calendar. Day 0 is `budget.start`, where there is one."""

    name: str
    stages: tuple[Stage, ...]
    budget: Budget
    objective: Objective
    quotas: tuple[Quota, ...] = ()  # over time: of quotas of one key, the last one that holds on a day counts
    reservations: tuple[Reservation, ...] = ()
    transfer: Transfer | None = None
    ask: tuple[AskLine, ...] = ()
    money: Money = USD
    defaults: tuple[tuple[str, str], ...] = ()
    source: str = ""
    digest: str = ""
    folder: str = field(default="", compare=False, repr=False)

    @property
    def cost_left_out(self) -> bool:
        """Whether only time is asked for, on machines of one's own whose price nobody states."""
        whole = (replace(s.scenario, budget=self.budget, objective=self.objective) for s in self.stages)
        return not self.reservations and all(run.cost_left_out for run in whole)

    def day(self, when: date | None) -> int | None:
        """A day of the calendar as its number."""
        assert self.budget.start is not None or when is None  # noqa: S101 - the reader has seen to it
        return None if when is None or self.budget.start is None else (when - self.budget.start).days
