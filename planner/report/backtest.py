"""What the backtest on whole public runs found, as `benchmarks/backtest.py` stored it."""

from __future__ import annotations

import json
from functools import cache
from typing import NamedTuple

from planner.catalog.paths import data_dir


class Backtest(NamedTuple):
    """Public runs, how many of them stayed within the 80 % range, and the median error as a fraction."""

    runs: int
    inside: int
    median_error: float


@cache
def stored_backtest() -> Backtest:
    """The stored figures."""
    text = (data_dir() / "calibration" / "backtest.json").read_text(encoding="utf-8")
    found = json.loads(text)
    return Backtest(*(found[name] for name in Backtest._fields))
