"""What teams pay for beside training, checkpoints and failures: evaluation, rollbacks, idle nodes, people's delays.

Published shares of productive time hold all of it. What this model itself would have said of a run's failures and
checkpoints is taken out, so that nothing counts twice; what is left, allocated time over the run's own, is 1 or more.
Its logarithm is taken as exponential, which on [0, inf) assumes least beyond a mean; of few runs the mean is not known,
so it is the predictive one: over n runs that add up to S, S / (n - 1).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from planner.catalog.risk_facts import Goodput, RiskFacts
from planner.results.plan import Overhead
from planner.risk.completion import completion
from planner.risk.failures import hazards, interruption_rate
from planner.spec.scenario import Risk, StatedOverhead
from planner.words import say

DAY_S = 86_400.0
NODE = 8  # GPUs a node of the published runs
TENTH, NINTH = math.log(10.0 / 9.0), math.log(10.0)  # exponential quantiles of 10 and 90 %, in its mean
OFF = Overhead(source=say("risk.overhead_none"))


def modelled_share(run: Goodput, facts: RiskFacts) -> float:
    """The share of a published run's time that steps are if only failures and checkpoints took any, as plans say it."""
    none = Risk(spare_nodes=1 if run.spare else None)
    hazard = hazards(
        facts,
        none,
        rate=interruption_rate(facts, run.family, "any", none),
        preemptions=0.0,
        parameters=run.parameters,
        gpus=np.array([run.gpus]),
        gpus_per_node=NODE,
    )
    zero = np.zeros(1)
    work = np.array([run.share * run.days * DAY_S])
    found = completion(work, zero, zero, hazard)
    return float((work / (found.undisturbed_s + found.delay_mean_s))[0])


def beyond(run: Goodput, facts: RiskFacts) -> float:
    """Logarithm of a published run's overhead; 0 where failures and checkpoints explain all that was lost, or more."""
    return max(0.0, math.log(modelled_share(run, facts) / run.share))


def published(facts: RiskFacts, without: str = "") -> Overhead:
    """The distribution over published runs, those of one site left out; each run counts once."""
    runs = [run for run in facts.goodputs if run.site != without]
    # The mean of one more draw of an exponential of unknown mean, its logarithm evenly uncertain beforehand.
    log_more = sum(beyond(run, facts) for run in runs) / (len(runs) - 1)
    return Overhead(
        log_more=log_more, source=say("risk.overhead_published", runs=len(runs), names=[run.run for run in runs])
    )


def overhead_of(stated: StatedOverhead | None, facts: RiskFacts) -> Overhead:
    """The overhead of a scenario: as stated, or as published; runs of one's own count beside the published ones as one.

    A range is the 10th and 90th percentile. Where its shape would go below 1, it begins at 1 and keeps the 90th.
    """
    if stated is None:
        return published(facts)
    if stated.runs:
        usual = published(facts)
        # Logarithms of allocated hours over those of training, failures and checkpoints.
        logs = [math.log(run.allocated / (run.productive + run.failures)) for run in stated.runs]
        source = say("risk.overhead_own", runs=len(logs))
        return Overhead(log_more=(usual.log_more + sum(logs)) / (1 + len(logs)), source=source)
    low, high = stated.low, stated.high
    if high <= 1.0:
        return OFF
    more = math.log(high / low) / (NINTH - TENTH)
    least = low * math.exp(-more * TENTH)
    found = Overhead(least, more, say("risk.overhead_stated"))
    return found if least >= 1.0 else replace(found, least=1.0, log_more=math.log(high) / NINTH)
