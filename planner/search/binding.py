"""What a plan sits on: budgets, bounds and limits that would change it if they gave way; and what to be wary of."""

from __future__ import annotations

from copy import copy
from dataclasses import replace

import numpy as np

from planner.performance.frameworks import framework
from planner.performance.intervals import FACTORS
from planner.performance.model_parts import approximated_part
from planner.performance.stacks import stack_of
from planner.results.answers import Binding
from planner.results.plan import Plan
from planner.search.candidates import Pick
from planner.search.engine import solve
from planner.search.objectives import View, find
from planner.search.plans import make_plan
from planner.search.pools import unfit_parts
from planner.search.pruning import Limits
from planner.search.search_space import SearchSpace
from planner.search.search_state import SearchState
from planner.words import say
from planner.workload.counts import parameter_counts
from planner.workload.learning import starts_from, token_multiplier

MORE_MEMORY = 1.25
WORTH_SAYING = 0.005  # a gain below this is nothing to act on
MANY_EPOCHS = 100  # Muennighoff et al. 2023 studied up to 44 of them in full, and few runs beyond


def bindings(state: SearchState, view: View, pick: Pick, plan: Plan) -> tuple[Binding, ...]:
    """The limits that hold this plan back, each with what it costs; `pick` is the plan's candidate."""
    out = [b for key in ("time_s", "cost_usd") if (b := _budget(state, view, pick, key)) is not None]
    out += _batch(state.space, plan)
    out += _memory(state, pick.cell, plan)
    out += _nodes(state.space, plan)
    return tuple(out)


def _budget(state: SearchState, view: View, pick: Pick, key: str) -> Binding | None:
    """A budget binds if the plan would be another without it."""
    best, seconds = pick.cell, np.array([pick.seconds])
    limit = getattr(view.goal, key)
    if limit is None:
        return None
    free = View(state, replace(view.goal, time_s=None) if key == "time_s" else replace(view.goal, cost_usd=None))
    other = find(free)
    if other is None or (other == best and free.offer[other] == view.offer[best]):
        return None
    plan = make_plan(state, state.best.pick(other), state.space.offers[int(free.offer[other])])
    instead = {
        "gpus": plan.gpus,
        "gpu": plan.offer.gpu,
        "cloud": plan.offer.cloud,
        "pricing": plan.offer.price_kind,
        "time": plan.time_s.p50,
        "cost": plan.cost_usd.p50,
        "better": say(f"better.{state.space.scenario.objective.kind}"),
        "confidence": view.goal.confidence,
    }
    sure = float(state.time_s(view.goal.confidence, seconds, np.array([best]))[0])
    sure += float(state.space.waiting_s[best])
    if key == "time_s":
        return Binding("budget.time", say("binding.time", limit=limit, sure=sure, **instead), sure, limit, "s")
    most = float(view.cost(view.goal.confidence, seconds, np.array([best]))[0])
    return Binding("budget.cost", say("binding.cost", limit=limit, most=most, **instead), most, limit, "USD")


def _batch(space: SearchSpace, plan: Plan) -> list[Binding]:
    """A batch at the end of its range is said, with what it costs in tokens to the same loss."""
    low, high = space.batches.low, space.batches.high
    largest = high // (plan.layout.micro_batch * plan.layout.dp) * plan.layout.micro_batch * plan.layout.dp
    if low == high or plan.global_batch not in (low, high, largest):
        return []
    end = "min" if plan.global_batch == low else "max"
    critical = space.critical(plan.tokens).doubling_sequences(plan.seq_length)
    share = float(token_multiplier(plan.global_batch, critical) / token_multiplier(low, critical)) - 1.0
    loss, total = space.run.loss, space.run.length.total_samples
    if loss is not None:  # repeats of the data counted
        share = int(loss.samples(total, plan.global_batch)) / int(loss.samples(total, low)) - 1.0
    limit = low if end == "min" else high
    where = say(f"binding.batch_{end if plan.global_batch == limit else 'multiple'}")
    batch = {"batch": plan.global_batch, "where": where, "low": low, "high": high}
    active, size = parameter_counts(space.pools[0].setting.model).active, total * space.run.length.seq_length
    start = starts_from(space.scenario.training.starts_from, active, size)
    if end == "max" and start != "checkpoint":  # the law is of training from scratch
        tokens = say("binding.tokens_asked" if loss is None else "binding.tokens_to_the_loss")
        text = say("binding.batch_costs", **batch, share=share, critical=round(critical), tokens=tokens)
    else:
        text = say("binding.batch", **batch)
    return [Binding(f"training.global_batch.{end}", text, float(plan.global_batch), float(limit), "sequences")]


def _memory(state: SearchState, best: int, plan: Plan) -> list[Binding]:
    """Memory binds if the same machines with a quarter more of it would be faster."""
    layouts = state.layout_space(int(state.space.pool[best]))
    larger = copy(layouts)
    larger.capacity_gib = layouts.capacity_gib * MORE_MEMORY
    nothing = np.array([np.inf])
    limits = Limits(nothing, nothing.copy(), state.best.seconds[[best]])
    found, _ = solve(larger, state.space.gpus[[best]], limits, lambda best_s: best_s)
    if not len(found.seconds) or found.seconds[0] > state.best.seconds[best] * (1.0 - WORTH_SAYING):
        return []
    faster = 1.0 - float(found.seconds[0] / state.best.seconds[best])
    used, capacity = plan.memory_gib.total, plan.memory_gib.capacity
    text = say("binding.memory", used=used, capacity=capacity, faster=faster)
    return [Binding("memory", text, used, capacity, "GiB")]


def _nodes(space: SearchSpace, plan: Plan) -> list[Binding]:
    """A plan at the most GPUs there are."""
    offer, most = plan.offer, space.scenario.cluster.max_gpus
    size, gpus = plan.gpus // plan.nodes, plan.paid_gpus  # spare nodes are ordered too
    if offer.max_nodes is not None and gpus // size >= offer.max_nodes:
        code = "binding.nodes_owned" if offer.pricing == "owned" else "binding.nodes_sold"
        text = say(code, offer=offer.id, nodes=offer.max_nodes, basis=offer.max_nodes_basis)
        return [Binding("offer.max_nodes", text, float(gpus // size), float(offer.max_nodes), "nodes")]
    if gpus + size > most:
        return [Binding("cluster.max_gpus", say("binding.max_gpus", gpus=most), float(gpus), float(most), "GPUs")]
    return []


def warnings_of(space: SearchSpace, plan: Plan | None) -> tuple[str, ...]:
    """What a reader should know before signing."""
    out = [*unfit_parts(space.scenario, space.catalog), *space.remarks]
    if not space.offers:
        out.append(say("warnings.no_offer"))
    if plan is None:
        return (*out, *space.run.length.remarks)
    out = [*_of_the_batch(space, plan), *out, *_not_joined(space, plan)]
    if space.scenario.cost_left_out:
        out.append(say("warnings.cost_left_out_assumed" if plan.offer.priced else "warnings.cost_left_out"))
    offer = plan.offer
    flags = next(o.flags for o in space.offers if o.id == offer.id)
    if offer.max_nodes is None and offer.pricing != "owned":
        out.append(say("warnings.nodes_assumed", offer=offer.id, nodes=plan.nodes))
    row = framework(plan.framework)
    part = approximated_part(row, space.scenario.model)
    if part:
        out.append(say("warnings.in_another_form", framework=row.title, part=part))
    if offer.pricing == "spot":
        out.append(_spot(plan))
    networks = {"network_assumed", "network_recalled"}.intersection(flags)
    out += [say(f"warnings.{flag}", instance=offer.instance) for flag in sorted(networks)]
    if offer.date_kind not in ("exact", "user", ""):
        dated = offer.date_kind.replace("_", " ")
        out.append(say("warnings.price_dated", offer=offer.id, dated=dated, as_of=offer.as_of))
    adapter = None if plan.conditions is None else plan.conditions.adapter
    if adapter is not None:
        factor = FACTORS[adapter.method]
        out.append(say("warnings.adapter", adapter=adapter.words, parameters=adapter.parameters, factor=factor))
    elif plan.basis == "modelled" and stack_of(plan.framework, "") not in space.calibration.stacks:
        out.append(say("warnings.framework_unmeasured", framework=row.title))
    elif plan.basis == "modelled":
        out.append(say("warnings.modelled"))
    return (*out, *space.run.length.remarks)


def _spot(plan: Plan) -> str:
    """That spot machines may go, how often, and how sure that is."""
    taken = plan.reliability.taken if plan.reliability is not None else None
    if taken is None:
        return say("warnings.spot")
    if taken.low < taken.high:
        return say("warnings.spot_range", rate=taken.per_1000_node_days, low=taken.low, high=taken.high)
    return say("warnings.spot_rate", rate=taken.per_1000_node_days)


def _of_the_batch(space: SearchSpace, plan: Plan) -> list[str]:
    """Whether so few iterations, or so many passes over so little data, can be meant."""
    samples = space.run.length.samples_per_epoch or None
    if samples is not None and plan.global_batch > samples:
        return [say("warnings.batch_beyond_data", batch=plan.global_batch, samples=samples)]
    if plan.iterations == 1:
        return [say("warnings.one_iteration", batch=plan.global_batch)]
    if plan.epochs is not None and plan.epochs > MANY_EPOCHS:
        return [say("warnings.many_epochs", epochs=plan.epochs)]
    return []


def _not_joined(space: SearchSpace, plan: Plan) -> list[str]:
    """Own nodes that the plan leaves out because no network between them is stated."""
    for own in space.scenario.cluster.own:
        mine = plan.offer.pricing == "owned" and plan.offer.instance == own.name
        apart = plan.offer.max_nodes == 1 and plan.offer.max_nodes_basis == say("offers.unknown_fabric")
        if mine and own.nodes > 1 and apart:
            return [say("warnings.not_joined", nodes=own.nodes, name=own.name)]
    return []
