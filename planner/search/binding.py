"""What a plan sits on: budgets, bounds and limits that would change it if they gave way; and what to be wary of."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from planner.performance.frameworks import framework
from planner.performance.intervals import FACTORS
from planner.performance.model_parts import approximated_part
from planner.performance.stacks import stack_of
from planner.plan import Binding, Plan
from planner.search.engine import Limits, solve
from planner.search.goals import View, find
from planner.search.plans import Pick, fastest_of, make_plan
from planner.search.pools import unfit_parts
from planner.search.problem import Problem
from planner.units import format_count, format_duration, format_gib, format_number, format_percent, format_usd
from planner.workload.counts import parameter_counts
from planner.workload.learning import starts_from, token_multiplier

MORE_MEMORY = 1.25
_BETTER = {"cost": "cheaper", "time": "faster"}  # plans, by the objective
WORTH_SAYING = 0.005  # a gain below this is nothing to act on
MANY_EPOCHS = 100  # Muennighoff et al. 2023 studied up to 44 of them in full, and few runs beyond


def bindings(problem: Problem, view: View, pick: Pick, plan: Plan) -> tuple[Binding, ...]:
    """The limits that hold this plan back, each with what it costs; `pick` is the plan's candidate."""
    out = [b for key in ("time_s", "cost_usd") if (b := _budget(problem, view, pick, key)) is not None]
    out += _batch(problem, plan)
    out += _memory(problem, pick.cell, plan)
    out += _nodes(problem, plan)
    return tuple(out)


def _budget(problem: Problem, view: View, pick: Pick, key: str) -> Binding | None:
    """A budget binds if the plan would be another without it."""
    best, seconds = pick.cell, np.array([pick.seconds])
    limit = getattr(view.goal, key)
    if limit is None:
        return None
    free = View(problem, replace(view.goal, time_s=None) if key == "time_s" else replace(view.goal, cost_usd=None))
    other = find(free)
    if other is None or (other == best and free.offer[other] == view.offer[best]):
        return None
    plan = make_plan(problem, fastest_of(problem, other), problem.offers[int(free.offer[other])])
    instead = (
        f"without it {format_count(plan.gpus)} x {plan.offer.gpu} at {plan.offer.cloud} ({plan.offer.price_kind})"
        f" would do it in"
        f" {format_duration(plan.time_s.p50)} for {format_usd(plan.cost_usd.p50)}"
    )
    sure = float(problem.time_s(view.goal.confidence, seconds, np.array([best]))[0])
    sure += float(problem.waiting_s[best])
    confidence = f"with {format_percent(view.goal.confidence)} confidence"
    better = _BETTER.get(problem.scenario.objective.kind, "better")
    if key == "time_s":
        text = f"The time budget of {format_duration(limit)} excludes {better} plans: {instead}; this plan ends within"
        return Binding("budget.time", f"{text} {format_duration(sure)} {confidence}.", sure, limit, "s")
    most = float(view.cost(view.goal.confidence, seconds, np.array([best]))[0])
    text = f"The cost budget of {format_usd(limit)} excludes {better} plans: {instead}; this plan costs at most"
    return Binding("budget.cost", f"{text} {format_usd(most)} {confidence}.", most, limit, "USD")


def _batch(problem: Problem, plan: Plan) -> list[Binding]:
    """A batch at the end of its range is said, with what it costs in tokens to the same loss."""
    low, high = problem.batches.low, problem.batches.high
    largest = high // (plan.layout.micro_batch * plan.layout.dp) * plan.layout.micro_batch * plan.layout.dp
    if low == high or plan.global_batch not in (low, high, largest):
        return []
    end = "min" if plan.global_batch == low else "max"
    critical = problem.critical(plan.tokens).doubling_sequences(plan.seq_length)
    share = float(token_multiplier(plan.global_batch, critical) / token_multiplier(low, critical)) - 1.0
    loss, total = problem.run.loss, problem.length.total_samples
    if loss is not None:  # repeats of the data counted
        share = int(loss.samples(total, plan.global_batch)) / int(loss.samples(total, low)) - 1.0
    range_text = f"its range of {format_count(low)} to {format_count(high)}"
    size = format_count(plan.global_batch)
    if plan.global_batch == limit_of(end, low, high):
        text = f"The global batch of {size} sequences is the {end}imum of {range_text}"
    else:
        text = f"The global batch of {size} sequences is the largest multiple of micro-batch x dp in {range_text}"
    if end == "max" and not _from_checkpoint(problem):  # the law is of training from scratch
        text += (
            f": to the same loss it takes {format_percent(share)} more tokens than the smallest would (tokens double at"
            f" {format_count(round(critical))} sequences, by McCandlish et al. 2018); the plan trains on the tokens"
            f" that {'were asked for' if problem.run.loss is None else 'this takes'}"
        )
    limit = float(limit_of(end, low, high))
    return [Binding(f"training.global_batch.{end}", text + ".", float(plan.global_batch), limit, "sequences")]


def _from_checkpoint(problem: Problem) -> bool:
    """Whether the run goes on from a checkpoint, as it is said or by its tokens a parameter."""
    length, active = problem.length, parameter_counts(problem.pools[0].setting.model).active
    tokens = length.total_samples * length.seq_length
    return starts_from(problem.scenario.training.starts_from, active, tokens) == "checkpoint"


def limit_of(end: str, low: int, high: int) -> int:
    """The end of a range by its name, min or max."""
    return low if end == "min" else high


def _memory(problem: Problem, best: int, plan: Plan) -> list[Binding]:
    """Memory binds if the same machines with a quarter more of it would be faster."""
    site = problem.site(int(problem.pool[best]))
    roomier = copy(site)
    roomier.physics = copy(site.physics)
    roomier.physics.capacity_gib = site.physics.capacity_gib * MORE_MEMORY
    nothing = np.array([np.inf])
    limits = Limits(nothing, nothing.copy(), problem.best_s[[best]])
    found, _ = solve(roomier, problem.gpus[[best]], limits, lambda best_s: best_s)
    if not len(found.seconds) or found.seconds[0] > problem.best_s[best] * (1.0 - WORTH_SAYING):
        return []
    faster = 1.0 - float(found.seconds[0] / problem.best_s[best])
    used, capacity = plan.memory_gib.total, plan.memory_gib.capacity
    text = (
        f"Memory binds: {format_gib(used)} of {format_gib(capacity)} are used; with a quarter more the same GPUs would"
        f" be {format_percent(faster)} faster, by another layout or micro-batch."
    )
    return [Binding("memory", text, used, capacity, "GiB")]


def _nodes(problem: Problem, plan: Plan) -> list[Binding]:
    """A plan at the most GPUs there are."""
    offer, most = plan.offer, problem.scenario.cluster.max_gpus
    size, gpus = plan.gpus // plan.nodes, plan.paid_gpus  # spare nodes are ordered too
    if offer.max_nodes is not None and gpus // size >= offer.max_nodes:
        nodes = f"{format_count(offer.max_nodes)} node{'' if offer.max_nodes == 1 else 's'}"
        sells = "has" if offer.pricing == "owned" else "sells at most"
        text = f"{offer.id} {sells} {nodes} ({offer.max_nodes_basis}): all are used."
        return [Binding("offer.max_nodes", text, float(gpus // size), float(offer.max_nodes), "nodes")]
    if gpus + size > most:
        text = f"cluster.max_gpus of {format_count(most)} is used up: one node more would pass it."
        return [Binding("cluster.max_gpus", text, float(gpus), float(most), "GPUs")]
    return []


def _in_another_form(problem: Problem, plan: Plan) -> list[str]:
    """That the framework builds a part of the model otherwise."""
    row = framework(plan.framework)
    part = approximated_part(row, problem.scenario.model)
    if not part:
        return []
    return [f"{row.title} has no {part}: the plan is of layers of equal work, and is not exported for it."]


def warnings_of(problem: Problem, plan: Plan | None) -> tuple[str, ...]:
    """What a reader should know before signing."""
    out = [*unfit_parts(problem.scenario, problem.catalog), *problem.remarks]
    if not problem.offers:
        out.append("No offer of the catalog fits what `cluster` asks for.")
    if plan is None:
        return (*out, *problem.length.remarks)
    out = [*_of_the_batch(problem, plan), *out, *_not_joined(problem, plan)]
    if problem.scenario.cost_left_out:
        assumed = " What JSON says of it is a cost of ownership that is all assumption." if plan.offer.priced else ""
        out.append(
            "Cost is left out, as no price of your machines is stated: write `usd_per_gpu_hour` or `ownership` under"
            f" cluster.own for it.{assumed}"
        )
    offer = plan.offer
    flags = next(o.flags for o in problem.offers if o.id == offer.id)
    if offer.max_nodes is None and offer.pricing != "owned":
        out.append(
            f"That {offer.id} sells {format_count(plan.nodes)} nodes at once is an assumption: no limit is known."
            " Ask, or state it under cluster.quotas."
        )
    out += _in_another_form(problem, plan)
    if offer.pricing == "spot":
        out.append(_spot(plan))
    if "network_assumed" in flags:
        out.append(f"The network of {offer.instance} is your assumption (cluster.assume_network).")
    if "network_recalled" in flags:
        out.append(f"The network rate of {offer.instance} is from memory, not from a source: check it.")
    if offer.date_kind not in ("exact", "user", ""):
        out.append(f"The price of {offer.id} is dated by {offer.date_kind.replace('_', ' ')} only ({offer.as_of}).")
    adapter = None if plan.conditions is None else plan.conditions.adapter
    if adapter is not None:
        out.append(
            f"Only adapters are trained ({adapter.words}, {format_count(adapter.parameters)} parameters). No such run"
            f" was measured: its time is modelled, and its range, a factor of {FACTORS[adapter.method]:g} either way in"
            " four of five, is set by hand."
        )
    elif plan.basis == "modelled" and stack_of(plan.framework, "") not in problem.calibration.stacks:
        out.append(
            f"No run of {framework(plan.framework).title} was measured: its throughput is what all frameworks have in"
            " common, and its range as wide as they differ."
        )
    elif plan.basis == "modelled":
        out.append("Nobody's measurement stands near this plan: the throughput is the model's alone.")
    return (*out, *problem.length.remarks)


def _spot(plan: Plan) -> str:
    """That spot machines may go, how often, and how sure that is."""
    taken = plan.reliability.taken if plan.reliability is not None else None
    text = "The plan stands on spot machines: the cloud may take them away at any time"
    if taken is None:
        return f"{text}."
    often = f"{format_number(taken.per_1000_node_days)} in 1,000 node-days"
    if taken.low < taken.high:
        often += f", in four markets of five {format_number(taken.low)} to {format_number(taken.high)}"
    return f"{text} ({often}). Chances count that; see risk.spot_preemptions_per_1000_node_days to state what you know."


def _of_the_batch(problem: Problem, plan: Plan) -> list[str]:
    """Whether so few iterations, or so many passes over so little data, can be meant."""
    samples = problem.length.samples_per_epoch or None
    batch = f"A global batch of {format_count(plan.global_batch)}"
    if samples is not None and plan.global_batch > samples:
        text = f"{batch} is more than the {format_count(samples)} samples of the data: every iteration repeats some,"
        text += " and no batch of an epoch is full. State a smaller training.global_batch."
    elif plan.iterations == 1:
        text = f"{batch} reads all of the run's data at once, in one iteration. State a smaller one, or more data."
    elif plan.epochs is not None and plan.epochs > MANY_EPOCHS:
        text = f"{format_number(plan.epochs)} epochs repeat the data beyond any that was studied (some tens):"
        text += " check training.epochs and the size of the data."
    else:
        return []
    return [text]


def _not_joined(problem: Problem, plan: Plan) -> list[str]:
    """Own nodes that the plan leaves out because no network between them is stated."""
    for own in problem.scenario.cluster.own:
        mine = plan.offer.pricing == "owned" and plan.offer.instance == own.name
        if mine and own.nodes > 1 and plan.offer.max_nodes == 1 and plan.offer.max_nodes_basis == "unknown fabric":
            text = f"Only one of the {format_count(own.nodes)} nodes of {own.name} is planned with, as no network joins"
            return [text + " them: state its rate, such as `network: 400 Gbit/s`, under cluster.own."]
    return []
