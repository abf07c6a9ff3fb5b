"""A plan as one flat row, for tables of many plans: seconds, USD, counts and shares."""

from __future__ import annotations

from planner.results.plan import Plan

Value = str | int | float | bool | None


def plan_row(plan: Plan) -> dict[str, Value]:
    """The main figures of a plan, by the names that its JSON has for them; money None where machines have no price."""
    offer, layout, memory = plan.offer, plan.layout, plan.memory_gib
    priced = offer.priced
    return {
        "offer": offer.id,
        "cloud": offer.cloud,
        "region": offer.region,
        "instance": offer.instance,
        "gpu": offer.gpu,
        "pricing": offer.pricing,
        "usd_per_gpu_hour": offer.usd_per_gpu_hour if priced else None,
        "gpus": plan.gpus,
        "nodes": plan.nodes,
        "framework": plan.framework,
        "tp": layout.tp,
        "pp": layout.pp,
        "vpp": layout.vpp,
        "dp": layout.dp,
        "cp": layout.cp,
        "ep": layout.ep,
        "zero_stage": layout.zero_stage,
        "sequence_parallel": layout.sequence_parallel,
        "recompute": layout.recompute,
        "micro_batch": layout.micro_batch,
        "grad_accum": layout.grad_accum,
        "global_batch": plan.global_batch,
        "seq_length": plan.seq_length,
        "iterations": plan.iterations,
        "tokens": plan.tokens,
        "step_time_s_p50": plan.step_time_s.p50,
        "tokens_per_s_per_gpu_p50": plan.tokens_per_s_per_gpu.p50,
        "mfu": plan.mfu,
        "memory_gib_total": memory.total,
        "memory_gib_capacity": memory.capacity,
        "time_s_p10": plan.time_s.p10,
        "time_s_p50": plan.time_s.p50,
        "time_s_p90": plan.time_s.p90,
        "cost_usd_p10": plan.cost_usd.p10 if priced else None,
        "cost_usd_p50": plan.cost_usd.p50 if priced else None,
        "cost_usd_p90": plan.cost_usd.p90 if priced else None,
        "p_within_time": plan.p_within_time,
        "p_within_cost": plan.p_within_cost,
        "p_within_both": plan.p_within_both,
        "energy_kwh": plan.energy_kwh,
        "co2_kg": plan.co2_kg,
        "basis": plan.basis,
    }
