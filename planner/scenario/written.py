"""Budgets as a scenario file writes them: what is printed of one reads as what was meant."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from planner.reading.quantities import parse_duration, parse_written
from planner.units import format_duration, format_usd, written_up


@dataclass(frozen=True)
class WrittenBudget:
    """How one budget is written: seconds or US dollars to a text, and back."""

    key: str  # of the scenario
    field: str  # of Budget
    write: Callable[[float], str]
    read: Callable[[str], float]

    @property
    def name(self) -> str:
        """Time or cost."""
        return self.key.rpartition(".")[2]

    def beyond(self, present: float, needed: float) -> str:
        """A text that reads as `needed` or a little more, and as more than the present one's text does."""
        least = max(needed, math.nextafter(self.read(self.write(present)), math.inf))
        return written_up(least, self.write, self.read)


TIME = WrittenBudget("budget.time", "time_s", format_duration, parse_duration)
COST = WrittenBudget("budget.cost", "cost_usd", format_usd, parse_written)
