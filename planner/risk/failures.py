"""What interrupts a run on given machines, and what an interruption costs: published rates under the user's own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from planner.catalog.risk_facts import InterruptionRate, RiskFacts
from planner.performance.arrays import FloatArray, IntArray
from planner.results.plan import Takings
from planner.risk.checkpoint import optimal_interval
from planner.risk.hazard import Hazard
from planner.spec.scenario import Risk
from planner.words import say

DAY_S = 86_400.0
GB = 1e9
PREEMPTION = "preemption"  # the cause of a spot node taken back
#: Work between checkpoints at most, where the scenario states none. A judgement: BLOOM's run went from losing more to
#: a checkpoint every 100 iterations, "at most 3h" (BigScience, tr11-176B-ml/chronicles.md), with 40 s to write each.
LONGEST_INTERVAL_S = 4 * 3600.0


@dataclass(frozen=True, slots=True)
class Interruptions:
    """Where the rate of one hazard comes from."""

    per_1000_node_days: float
    source: str
    kind: str


def interruption_rate(facts: RiskFacts, family: str, provider: str, settings: Risk) -> Interruptions:
    """The rate for an accelerator family at a provider: the user's, the provider's, the family's, or any."""
    own = settings.interruptions_per_1000_node_days
    if own is not None:
        return Interruptions(own, say("risk.interruptions_stated"), "user")
    for known_family in (family, "other"):
        rows = [
            r
            for r in facts.rates
            if r.family == known_family and r.provider in (provider, "any") and r.cause != PREEMPTION
        ]
        named: list[InterruptionRate] = [r for r in rows if r.provider == provider] or rows
        if named:
            source = say("risk.sources", sources=[r.source for r in named])
            return Interruptions(sum(r.value * 8 / r.gpus_per_node for r in named), source, named[0].kind)
    raise ValueError("catalogs/risk/interruptions.csv has no row of family `other`")


NOT_SPOT = Takings(0.0, 0.0, 0.0, "")


def takings(facts: RiskFacts, family: str, provider: str, settings: Risk) -> Takings:
    """How often the market takes a spot node back: the user's rate, else the provider's, the family's, or any."""
    own = settings.spot_preemptions_per_1000_node_days
    if own is not None:
        return Takings(own, own, own, say("risk.preemptions_stated"))
    ranked = [
        Takings(row.value, row.low, row.high, row.source, row.as_of, row.kind)
        for known_family in (family, "other")
        for where in (provider, "any")
        for row in facts.rates
        if (row.cause, row.family, row.provider) == (PREEMPTION, known_family, where)
    ]
    return ranked[0]


ADAMW = 12.0  # bytes of master weights and AdamW's moments in what is known of checkpoints


def replacement_s(facts: RiskFacts, settings: Risk) -> float:
    """Seconds until another node stands in for a failed one: none where a spare node is paid for and stands by."""
    if settings.spare_nodes:
        return 0.0
    return facts.recovery["replacement_s"].value if settings.replacement_s is None else settings.replacement_s


def checkpoint_bytes(parameters: int, facts: RiskFacts, optimizer_bytes: float = ADAMW) -> float:
    """Bytes of one full training state: weights, master weights and the optimizer's moments."""
    return parameters * (facts.recovery["checkpoint_bytes_per_parameter"].value - ADAMW + optimizer_bytes)


def hazards(
    facts: RiskFacts,
    settings: Risk,
    *,
    rate: Interruptions,
    preemptions: float,
    parameters: int,
    gpus: IntArray,
    gpus_per_node: int,
    optimizer_bytes: float = ADAMW,
) -> Hazard:
    """What threatens runs of one model on `gpus` accelerators of one kind, (n,).

    A job of n nodes is interrupted n times as often as one node. A synchronous checkpoint stops training while the
    state is written at the storage's bandwidth; an asynchronous one only while it is copied to host memory, but what is
    not yet written is lost with the node, which lengthens the restart by the write. What is optimal for a small job may
    be a day; nobody leaves a day's work unsaved, so that LONGEST_INTERVAL_S caps it unless the scenario states one.
    Spot adds preemptions, each with an exponential wait for the node to come back: `preemptions` per 1,000 days of one
    node, 0 for what is not spot. The other interruptions wait for another node, unless a spare one stands by.
    """
    count = np.asarray(gpus, float)
    nodes = np.ceil(count / gpus_per_node)
    known = facts.recovery

    def value(own: float | None, name: str) -> float:
        return known[name].value if own is None else own

    per_day = rate.per_1000_node_days / 1000.0 * count / 8.0
    recover = value(settings.detection_s, "detection_s") + value(settings.restart_s, "restart_s")
    preempted = preemptions / 1000.0 * nodes
    refill = value(settings.spot_refill_s, "spot_refill_s")
    total = per_day + preempted
    share = np.divide(preempted, total, out=np.zeros_like(total), where=total > 0)
    state = checkpoint_bytes(parameters, facts, optimizer_bytes)
    bandwidth: FloatArray = (
        np.full_like(count, settings.storage_gbyte_per_s)
        if settings.storage_gbyte_per_s is not None
        else nodes * known["storage_gbyte_per_s_per_node"].value
    )
    write = state / (bandwidth * GB)
    pause = write
    restart = recover + (1.0 - share) * replacement_s(facts, settings)
    if settings.asynchronous_checkpoints:
        pause = state / (count * known["snapshot_gbyte_per_s_per_gpu"].value * GB)
        restart = restart + write
    rate_per_s = total / DAY_S
    interval = (
        np.full_like(count, settings.checkpoint_interval_s)
        if settings.checkpoint_interval_s is not None
        else np.where(rate_per_s > 0, np.minimum(optimal_interval(pause, rate_per_s), LONGEST_INTERVAL_S), np.inf)
    )
    if settings.asynchronous_checkpoints:
        interval = np.maximum(interval, write)  # the next checkpoint begins when the last one is written
    return Hazard(rate_per_s, restart, share, np.full_like(count, refill), pause, interval)
