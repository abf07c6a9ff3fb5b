"""Published rates of interruption and times of recovery, read from catalogs/risk."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.catalog.paths import data_dir


@dataclass(frozen=True, slots=True)
class InterruptionRate:
    """Interruptions of a job, per 1,000 days of one node with `gpus_per_node` GPUs."""

    family: str
    provider: str
    cause: str  # unexpected | planned
    value: float
    low: float
    high: float
    gpus_per_node: int
    kind: str
    source: str
    as_of: str


@dataclass(frozen=True, slots=True)
class RecoveryFact:
    """A time, size or bandwidth that recovery depends on, with its range."""

    value: float
    low: float
    high: float
    unit: str
    kind: str
    source: str
    as_of: str


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """What is published about failures; `rates` in the order of the file, `recovery` by name."""

    rates: Sequence[InterruptionRate]
    recovery: Mapping[str, RecoveryFact]


def load_risk_facts(folder: Path | None = None) -> RiskFacts:
    """The shipped facts on failures, or those of another folder with the same two files."""
    where = folder or data_dir() / "risk"
    with (where / "interruptions.csv").open(encoding="utf-8", newline="") as file:
        rates = tuple(
            InterruptionRate(
                row["family"],
                row["provider"],
                row["cause"],
                float(row["interruptions_per_1000_node_days"]),
                float(row["low"]),
                float(row["high"]),
                int(row["gpus_per_node"]),
                row["kind"],
                row["source"],
                row["as_of"],
            )
            for row in csv.DictReader(file)
        )
    with (where / "recovery.csv").open(encoding="utf-8", newline="") as file:
        recovery = {
            row["name"]: RecoveryFact(
                float(row["value"]),
                float(row["low"]),
                float(row["high"]),
                row["unit"],
                row["kind"],
                row["source"],
                row["as_of"],
            )
            for row in csv.DictReader(file)
        }
    return RiskFacts(rates, recovery)
