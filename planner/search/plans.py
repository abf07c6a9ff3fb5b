"""From a cell of the search to a plan that a person reads: the only place where candidates become objects."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from planner.catalog.catalog import format_of
from planner.catalog.energy import energy_use
from planner.performance.arrays import OWN_SITE, Layouts, Setting
from planner.performance.conditions import is_fused, is_unfused, recompute_modules
from planner.performance.intervals import basis
from planner.performance.memory import capacity_gib, memory
from planner.performance.memory_states import gradient_type
from planner.performance.stacks import recipe_in_words, recipe_switches
from planner.performance.steptime import step_time
from planner.results.plan import (
    AdapterRun,
    EpochSchedule,
    Layout,
    MemoryGiB,
    Overhead,
    Plan,
    Plausibility,
    Quantiles,
    RunConditions,
)
from planner.risk.completion import Completion
from planner.search.candidates import Pick
from planner.search.completion_model import DECILE
from planner.search.objectives import within_cost
from planner.search.offer_refs import offer_ref
from planner.search.pools import spare_nodes
from planner.search.prices import PlanCost, Rates, plan_cost
from planner.search.reliability import gpu_hours, reliability
from planner.search.run_length import FORWARD_SHARE
from planner.search.search_space import SearchSpace
from planner.search.search_state import SearchState
from planner.spec.hardware import Offer
from planner.spec.layout import RECOMPUTE
from planner.spec.scenario import Budget
from planner.words import say
from planner.workload.adapters import trained_parameters, training_flops
from planner.workload.counts import parameter_counts
from planner.workload.flops import flops_per_token
from planner.workload.iterations import per_epoch, samples_consumed
from planner.workload.learning import CriticalBatch, batch_remark, learning_remarks, starts_from


def make_plan(state: SearchState, pick: Pick, offer: Offer) -> Plan:
    """A candidate on one offer, as a plan."""
    cell = pick.cell
    setting = _setting(state, pick)
    row, dp, micro, grad_accum = (
        np.array([n]) for n in (pick.row, pick.dp, pick.micro, pick.batch // (pick.micro * pick.dp))
    )
    layouts = state.layout_space(int(state.space.pool[cell])).table.layouts(row, dp, micro, grad_accum)
    step = step_time(setting, layouts, state.space.calibration)
    runs = state.completion_model.completion(np.array([pick.seconds]), np.array([cell]))
    model = state.completion_model
    median = float(model.median[cell])
    middle = pick.step_s * median
    low = pick.step_s * (median * math.exp(-DECILE * float(model.log_low[cell])))
    high = pick.step_s * (median * math.exp(DECILE * float(model.log_high[cell])))
    step_s = Quantiles(min(middle, max(low, float(step.least_s[0]))), middle, high)  # no part does more than it can
    time = Quantiles(*(float(runs.quantile(p)[0]) for p in (0.1, 0.5, 0.9)))
    gpus, batch = int(state.space.gpus[cell]), pick.batch
    paid = int(state.space.paid_gpus[cell])
    price = plan_cost(state.space.costs, runs, cell, offer, paid)
    cost = price.quantiles()
    if step_s.p10 > low:  # nor does its run
        spread = np.array([math.log(middle / step_s.p10) / DECILE])
        held = state.completion_model.held(np.array([pick.seconds]), np.array([cell]), spread)
        time = replace(time, p10=min(time.p50, float(held.quantile(0.1)[0])))
        least = plan_cost(state.space.costs, held, cell, offer, paid).quantiles().p10
        cost = replace(cost, p10=min(cost.p50, least))
    per_gpu = batch * setting.seq_length / gpus  # tokens a step
    model_tflops, hardware_tflops = _tflops(setting, RECOMPUTE[int(layouts.recompute[0])], per_gpu / step_s.p50)
    peak_tflops = setting.accelerator.peak_dense_tflops.get(format_of(setting.precision)) or math.nan
    steps = state.space.run.steps(np.array([batch]))
    iterations = int(steps[0])
    by_epoch = state.space.run.length.samples_per_epoch and state.space.run.length.fixed_iterations is None
    full, left = per_epoch(state.space.run.length, np.array([batch])) if by_epoch else (None, None)
    ramp, length = state.space.run.ramp, state.space.run.length
    samples = iterations * batch if ramp is None else int(samples_consumed(length, batch, ramp))
    tokens = samples * length.seq_length
    energy = energy_use(
        state.space.catalog, offer, int(state.space.nodes[cell]), time.p50 / 3600.0, spare_nodes(state.space.scenario)
    )
    critical = state.space.critical(tokens)
    recipe = recipe_in_words(setting)
    stands_on, ids = basis(setting, gpus, state.space.calibration)
    budget = state.space.scenario.budget
    p_time, p_cost, p_both = _chances(budget, float(state.space.waiting_s[cell]), runs, price)
    plan = Plan(
        offer=offer_ref(offer),
        framework=setting.framework,
        gpus=gpus,
        nodes=int(state.space.nodes[cell]),
        layout=layouts.at(0),
        global_batch=batch,
        seq_length=setting.seq_length,
        iterations_per_epoch=None if full is None else int(full[0]),
        iterations=iterations,
        tokens=tokens,
        step_time_s=step_s,
        step_breakdown_s={n: float(part[0] / step.total_s[0]) * step_s.p50 for n, part in step.terms_s.items()},
        tokens_per_s_per_gpu=Quantiles(*(per_gpu / s for s in (step_s.p90, step_s.p50, step_s.p10))),
        model_tflops_per_gpu=model_tflops,
        hardware_tflops_per_gpu=hardware_tflops,
        mfu=model_tflops / peak_tflops,
        hfu=hardware_tflops / peak_tflops,
        memory_gib=_memory(setting, layouts),
        time_s=time,
        cost_usd=cost,
        p_within_time=p_time,
        p_within_cost=p_cost,
        p_within_both=p_both,
        critical_batch=critical.sequences(setting.seq_length),
        basis=stands_on,
        measurements=tuple(ids),
        framework_release=setting.release,
        precision=setting.precision,
        epochs=_epochs(state.space, batch),
        leftover_samples=None if left is None else int(left[0]),
        confidence=budget.confidence,
        within_budget=within_budget(state, pick, price.rates),
        throughput_basis=say("plans.recipe", recipe=recipe) if recipe else "",
        probability_basis=_probability_basis(budget, price, state.overhead),
        flops_convention=say("plans.flops_convention"),
        critical_batch_remark=_critical_remark(critical, batch, setting.seq_length),
        learning=_learning(state.space, setting, batch, tokens),
        evaluation_time_s=float(state.space.run.evaluations(steps)[0]) * FORWARD_SHARE * step_s.p50,
        energy_kwh=None if energy is None else energy.kwh,
        co2_kg=None if energy is None else energy.co2_kg,
        energy_basis=() if energy is None else energy.assumptions,
        reliability=reliability(state, pick, runs, time, cost),
        conditions=_conditions(setting, layouts.at(0)),
        billing=price.billing(),
        gpu_hours=gpu_hours(state, pick, runs, time.p50),
        buying=state.space.buying.get(offer.instance) if offer.pricing == "owned" else None,
    )
    return replace(plan, plausibility=_plausibility(setting, plan), schedule=_schedule(state.space, plan))


def _tflops(setting: Setting, recompute: str, tokens_per_s_per_gpu: float) -> tuple[float, float]:
    """Model and hardware TFLOP/s of a GPU."""
    flops, share = flops_per_token(setting.model, setting.seq_length), setting.conditions.recompute_share
    whole = (flops.forward - flops.logits) * (1.0 if share is None else share)
    recomputed = {"none": 0.0, "selective": flops.scores, "full": whole}[recompute]
    training = training_flops(setting.model, flops, setting.conditions.adapter)
    return tokens_per_s_per_gpu * training / 1e12, tokens_per_s_per_gpu * (training + recomputed) / 1e12


def _chances(
    budget: Budget, waiting_s: float, runs: Completion, price: PlanCost
) -> tuple[float | None, float | None, float | None]:
    """Probabilities of keeping the time, the cost and both; None where there is no such budget."""
    left = None if budget.time_s is None else max(budget.time_s - waiting_s, 0.0)
    time = None if left is None else float(runs.probability(left)[0])
    if budget.cost_usd is None:
        return time, None, time
    both = price.probability(budget.cost_usd, math.inf if left is None else left)
    return time, price.probability(budget.cost_usd), both


def _probability_basis(budget: Budget, price: PlanCost, overhead: Overhead) -> str:
    if budget.time_s is None and budget.cost_usd is None:
        return ""
    basis = say("plans.chances")
    if overhead.quantile(0.9) > 1.0:
        basis = say("plans.chances_with_overhead", basis=basis)
    return say("plans.chances_with_price", basis=basis) if price.spread else basis


def within_budget(state: SearchState, pick: Pick, rates: Rates) -> bool | None:
    """Whether a candidate keeps the scenario's budgets at its confidence; None without a budget."""
    budget = state.space.scenario.budget
    if budget.time_s is None and budget.cost_usd is None:
        return None
    cell, seconds, sure = np.array([pick.cell]), np.array([pick.seconds]), budget.confidence
    if budget.time_s is not None and (state.completion_model.time_s(sure, seconds, cell) + state.space.waiting_s[cell])[
        0
    ] > (budget.time_s):
        return False
    return budget.cost_usd is None or bool(within_cost(state, sure, budget.cost_usd, rates, seconds, cell)[0])


def _setting(state: SearchState, pick: Pick) -> Setting:
    """The setting of a candidate's machines, with what the search made of the layers recomputed and the shard group."""
    setting = state.space.pools[int(state.space.pool[pick.cell])].setting
    table, row, dp = (
        state.layout_space(int(state.space.pool[pick.cell])).table,
        np.array([pick.row]),
        np.array([pick.dp]),
    )
    stated, share, group = setting.conditions, setting.conditions.recompute_share, None
    if table.every[pick.row]:
        part = float(table.share(row, np.array([pick.covered]))[0])
        share = part if part < 1.0 or share is not None else None
    if pick.instances > 1:
        group = int(table.gpus_of_a_group(row, dp, np.array([pick.instances]))[0])
    return replace(setting, conditions=replace(stated, recompute_share=share, shard_group=group))


def _conditions(setting: Setting, layout: Layout) -> RunConditions:
    stated, flash = setting.conditions, not is_unfused(setting)
    return RunConditions(
        flash_attention=flash,
        flash_generation=stated.flash_generation if flash else None,
        fused_or_compile=is_fused(setting),
        comm_overlap=stated.reduction_overlap,
        recompute_share=stated.recompute_share,
        shard_group=stated.shard_group,
        power_limit_w=stated.power_limit_w,
        tuning=stated.tuning if setting.model.moe else "",
        site="" if stated.site == OWN_SITE else stated.site,
        optimizer=stated.optimizer,
        offload=stated.offload,
        adapter=adapter_run(setting),
        gradients=gradient_type(setting),
        recompute_modules=recompute_modules(setting) if layout.recompute == "selective" else (),
        recipe=recipe_switches(setting),
    )


def adapter_run(setting: Setting) -> AdapterRun | None:
    """What adapters a plan trains; None where it trains all of the model."""
    adapter = setting.conditions.adapter
    if adapter is None:
        return None
    return AdapterRun(adapter.method, adapter.r, adapter.target_modules, trained_parameters(setting.model, adapter))


def _memory(setting: Setting, layouts: Layouts) -> MemoryGiB:
    m = memory(setting, layouts)
    return MemoryGiB(
        weights=float(m.weights[0]),
        gradients=float(m.gradients[0]),
        optimizer=float(m.optimizer[0]),
        activations=float(m.activations[0]),
        other=float(m.other[0]),
        total=float(m.total[0]),
        capacity=capacity_gib(setting),
    )


def _epochs(space: SearchSpace, batch: int) -> float | None:
    """Passes over the data: those asked for, or what the batch needs to the reference batch's loss."""
    if space.run.length.epochs is None:
        return None
    if space.run.loss is None:
        return float(space.run.length.epochs)
    total = space.run.length.total_samples
    return float(space.run.length.epochs) * int(space.run.loss.samples(total, batch)) / total


def _learning(space: SearchSpace, setting: Setting, batch: int, tokens: int) -> tuple[str, ...]:
    """What batch, repeats and size mean for learning, in sentences."""
    active = parameter_counts(setting.model).active
    start = starts_from(space.scenario.training.starts_from, active, tokens)
    return (
        batch_remark(float(batch * setting.seq_length), space.critical(tokens)),
        *learning_remarks(active, space.run.length, tokens, scratch=start == "scratch"),
    )


def _critical_remark(critical: CriticalBatch, batch: int, seq_length: int) -> str:
    sequences = critical.sequences(seq_length)
    return say(
        "plans.critical_batch_extrapolated" if critical.extrapolated else "plans.critical_batch",
        sequences=round(sequences),
        definition=critical.definition,
        law=critical.law,
        source=critical.source,
        share=batch / sequences,
    )


def _plausibility(setting: Setting, plan: Plan) -> Plausibility:
    form = format_of(setting.precision)
    peak = setting.accelerator.peak_dense_tflops.get(form)
    measured = setting.accelerator.matmul_tflops.get(form)
    counts = parameter_counts(setting.model)
    each = 6 if setting.conditions.adapter is None else 4  # frozen weights have no gradients
    six_nd = each * counts.active * plan.tokens / (plan.model_tflops_per_gpu * 1e12 * plan.gpus)
    return Plausibility(
        peak_tflops=peak,
        measured_peak_tflops=measured,
        utilization_of_measured_peak=plan.hardware_tflops_per_gpu / measured if measured else None,
        memory_share=plan.memory_gib.total / plan.memory_gib.capacity,
        six_nd_time_s=six_nd,
        six_nd_parameters=counts.active,
        flops_a_parameter=each,
    )


def _schedule(space: SearchSpace, plan: Plan) -> tuple[EpochSchedule, ...]:
    """When each pass starts and ends at p50, what is not training spread evenly; () where batches ramp."""
    epochs = space.run.length.epochs if space.run.loss is None else plan.epochs
    if epochs is None or space.run.ramp is not None or epochs > 64:
        return ()
    each = plan.time_s.p50 / plan.iterations
    out, first = [], 1
    for epoch in range(1, math.ceil(float(epochs)) + 1):
        seen = epoch * space.run.length.samples_per_epoch
        last = plan.iterations if epoch >= float(epochs) else min(-(-seen // plan.global_batch), plan.iterations)
        out.append(EpochSchedule(epoch, first, last, (first - 1) * each, last * each))
        first = last + 1
    return tuple(out)
