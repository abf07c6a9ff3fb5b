"""Offers grouped by what runs equally fast, fails alike and is paid for alike: only price tells a pool's apart.

Where spot prices are spread, a pool's offers are those of which one is cheaper than the other at every confidence.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from planner.catalog import Catalog, Eligible, is_gpu, supports
from planner.catalog.catalog import without_framework
from planner.catalog.risk_facts import RiskFacts
from planner.performance.arrays import IntArray, Setting
from planner.performance.framework_table import frameworks_for
from planner.performance.frameworks import frameworks, why_not_run
from planner.performance.model_parts import approximated_part
from planner.results.plan import Takings
from planner.risk.failures import NOT_SPOT, Interruptions, interruption_rate, takings
from planner.search.conditions import conditions_of
from planner.search.prices import in_order_of_price
from planner.search.run_cost import paid_time
from planner.spec.billing import PaidTime
from planner.spec.hardware import Accelerator, Hardware, Offer
from planner.spec.scenario import Risk, Scenario
from planner.units import PlannerError
from planner.words import Sentence, say
from planner.workload.model_catalog import plain_name


@dataclass(frozen=True, slots=True)
class Pool:
    """Offers whose nodes are alike, fail alike and are paid for alike, with one framework: several prices."""

    setting: Setting
    offers: tuple[Offer, ...]  # cheapest first, whatever the zone, then by id
    interruptions: Interruptions
    takings: Takings  # how often the market takes nodes back
    paid: PaidTime
    waiting_s: float = 0.0  # until the machines are there


def spare_nodes(scenario: Scenario) -> int:
    """Nodes that stand by, paid, beside those that train."""
    return (scenario.risk.spare_nodes if scenario.risk is not None else None) or 0


def node_range(offer: Offer, scenario: Scenario) -> tuple[int, int]:
    """Least and most nodes of an offer that may train; spare ones are bought beside them."""
    size = offer.hardware.gpus_per_node
    most = scenario.cluster.max_gpus // size
    if offer.max_nodes is not None:
        most = min(most, offer.max_nodes)
    least = offer.terms.minimum_nodes
    if scenario.terms is not None and scenario.terms.minimum_gpus:
        least = max(least, -(-scenario.terms.minimum_gpus // size))
    spare = spare_nodes(scenario)
    return max(least - spare, 1), most - spare


def gather(
    scenario: Scenario, catalog: Catalog, eligible: Eligible, facts: RiskFacts
) -> tuple[list[Pool], list[IntArray], Mapping[str, int]]:
    """The pools of the eligible offers with every framework, their node counts, and what was left out and why.

    Raises
    ------
    PlannerError
        If the framework does not train in the precision.
    """
    names = _frameworks(scenario)
    left_out = Counter(eligible.left_out)
    risk = scenario.risk or Risk()
    groups: dict[tuple[str, Hardware, Interruptions, Takings, PaidTime, float], list[Offer]] = {}
    for offer in eligible.offers:
        reason = _unfit(offer, scenario, catalog)
        if reason:
            left_out[reason] += 1
            continue
        family = catalog.accelerator(offer.gpu).family
        rate = interruption_rate(facts, family, offer.cloud, risk)
        paid = paid_time(scenario.terms, offer.terms)
        taken = takings(facts, family, offer.cloud, risk) if offer.pricing == "spot" else NOT_SPOT
        wait = offer.terms.waiting_s
        groups.setdefault((offer.gpu, offer.hardware, rate, taken, paid, wait), []).append(offer)
    pools, nodes = [], []
    model = replace(scenario.model, name=plain_name(scenario.model.name))  # as rows of measurements call it
    release = scenario.training.framework_release if scenario.training.framework != "any" else "latest"
    for (gpu, hardware, rate, taken, paid, wait), sold in sorted(groups.items(), key=lambda item: repr(item[0])):
        for name, ordered in itertools.product(names, in_order_of_price(sold)):
            setting = Setting(
                model,
                scenario.seq_length,
                scenario.training.precision,
                name,
                release,
                catalog.accelerator(gpu),
                hardware,
                conditions=conditions_of(scenario),
            )
            ranges = [node_range(offer, scenario) for offer in ordered]
            counts = np.arange(min(low for low, _ in ranges), max(high for _, high in ranges) + 1, dtype=np.int64)
            pools.append(Pool(setting, ordered, rate, taken, paid, wait))
            nodes.append(counts)
    return pools, nodes, dict(sorted(left_out.items()))


@cache
def no_units(precision: str) -> Sentence:
    """The reason of an accelerator that does not compute in a precision."""
    return say("pools.no_units", precision=precision)


def unfit_reasons(scenario: Scenario) -> tuple[str, ...]:
    """All reasons for which an offer that the cluster asks for is of no use."""
    return (no_units(scenario.training.precision), say("pools.no_framework"), say("pools.too_many_nodes"))


def _unfit(offer: Offer, scenario: Scenario, catalog: Catalog) -> str:
    """Why an eligible offer is of no use to this scenario, "" if it is."""
    low, high = node_range(offer, scenario)
    if low > high:
        return say("pools.too_many_nodes")
    return _unfit_part(catalog.accelerator(offer.gpu), scenario.training.precision)


def _unfit_part(part: Accelerator, precision: str) -> str:
    if not is_gpu(part):
        return say("pools.no_framework")
    return "" if supports(part, precision) else no_units(precision)


def unfit_parts(scenario: Scenario, catalog: Catalog) -> tuple[str, ...]:
    """A sentence on each accelerator that `cluster` names and that no plan of this scenario can use."""
    own = scenario.cluster.own
    named = dict.fromkeys(catalog.accelerator_id(name) for name in (*scenario.cluster.gpus, *(o.gpu for o in own)))
    precision, left_out = scenario.training.precision, []
    for part in map(catalog.accelerator, named):
        if not is_gpu(part):
            left_out.append(say("pools.left_out", part=part.id, why=without_framework("it")))
        elif not supports(part, precision):
            left_out.append(say("pools.left_out_precision", part=part.id, precision=precision))
    return tuple(left_out)


def _frameworks(scenario: Scenario) -> list[str]:
    training = scenario.training
    names = [name for name in frameworks_for(training.framework) if training.precision in frameworks()[name].precisions]
    if not names:
        raise PlannerError(say("pools.not_in_precision", framework=training.framework, precision=training.precision))
    stated = conditions_of(scenario)
    why = {name: why_not_run(frameworks()[name], training.precision, stated) for name in names}
    if all(why.values()):
        raise PlannerError(say("pools.cannot_run", why=list(why.values())))
    able = [name for name in names if not why[name]]
    whole = [name for name in able if not approximated_part(frameworks()[name], scenario.model)]
    return whole or able
