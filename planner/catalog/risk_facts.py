"""Published rates of interruption, times of recovery and shares of productive time, read from catalogs/risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from planner.catalog.paths import data_dir
from planner.reading import read_csv, records
from planner.words import phrase


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
class Goodput:
    """The share of its allocated time that a published run spent on steps, and what tells what failures took of it."""

    run: str
    site: str
    share: float
    family: str
    gpus: int
    parameters: int
    days: float  # allocated
    spare: bool  # whether spare nodes stood by
    source: str


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """What is published about failures; `rates` in the order of the file, `recovery` by name, `goodputs` a run each."""

    rates: Sequence[InterruptionRate]
    recovery: Mapping[str, RecoveryFact]
    goodputs: Sequence[Goodput]


def load_risk_facts(folder: Path | None = None) -> RiskFacts:
    """The shipped facts on failures, or those of another folder with the same three files."""
    where = folder or data_dir() / "risk"
    rows = read_csv(where / "interruptions.csv").rows()
    published = ({**row, "source": phrase("catalog", row["source"])} for row in rows)
    rates = records(InterruptionRate, published, value="interruptions_per_1000_node_days")
    recovery = list(read_csv(where / "recovery.csv").rows())
    times = dict(zip((row["name"] for row in recovery), records(RecoveryFact, recovery), strict=True))
    return RiskFacts(rates, times, records(Goodput, read_csv(where / "goodput.csv").rows()))
