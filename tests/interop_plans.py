"""Saved answers for the interop tests: plans of several models and frameworks, made without a search."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from planner.results.answers import Certificate, Optimization, Provenance, StatedGoal, Trained
from planner.results.plan import Layout, MemoryGiB, OfferRef, Plan, Quantiles
from planner.workload.model_catalog import load_model


def answer(
    model: str = "gpt-neox-20b",
    framework: str = "gpt-neox",
    gpu: str = "a100-sxm4-40gb",
    offer: str = "aws/p4d.24xlarge/us-east-1/on_demand",
    iterations: int = 150_000,
    step: float = 47.66,
    spread: float = 1.1,
    goal: StatedGoal | None = None,
    trained: Any = None,
    **layout: Any,
) -> Optimization:
    parts = Layout(
        **{
            "tp": 2, "pp": 4, "vpp": 1, "dp": 12, "cp": 1, "ep": 1, "zero_stage": 1, "sequence_parallel": False,
            "recompute": "full", "micro_batch": 4, "grad_accum": 32, **layout,
        }
    )  # fmt: skip
    gpus = parts.tp * parts.pp * parts.dp * parts.cp
    batch = parts.micro_batch * parts.dp * parts.grad_accum
    cloud, instance, region, pricing = offer.split("/")
    rate = 2.0
    seconds = step * iterations
    plan = Plan(
        offer=OfferRef(offer, cloud, region, instance, gpu, pricing, rate, "2026-11", None, gpus_per_node=8),
        framework=framework,
        gpus=gpus,
        nodes=gpus // 8,
        layout=parts,
        global_batch=batch,
        seq_length=2048,
        iterations_per_epoch=iterations // 2,
        iterations=iterations,
        tokens=iterations * batch * 2048,
        step_time_s=Quantiles(step / spread, step, step * spread),
        step_breakdown_s={"compute": step},
        tokens_per_s_per_gpu=Quantiles(*(batch * 2048 / gpus / step * f for f in (1 / spread, 1, spread))),
        model_tflops_per_gpu=90.0,
        hardware_tflops_per_gpu=117.0,
        mfu=0.29,
        hfu=0.375,
        memory_gib=MemoryGiB(10, 10, 10, 5, 1, 36, 39.4),
        time_s=Quantiles(seconds / spread, seconds, seconds * spread),
        cost_usd=Quantiles(*(seconds / 3600 * gpus * rate * f for f in (1 / spread, 1, spread))),
        p_within_time=0.9,
        p_within_cost=None,
        p_within_both=0.9,
        critical_batch=2000.0,
        basis="measured",
        measurements=(),
        precision="fp16" if framework == "gpt-neox" else "bf16",
        epochs=2.0,
    )
    return Optimization(
        status="optimal",
        plan=plan,
        alternatives=(),
        certificate=Certificate(1, 1, {}, 1.0, 1.0, 0.0),
        binding=(),
        infeasibility=None,
        defaults=(),
        warnings=(),
        provenance=Provenance("0", "The known example", "s", "c", "k"),
        goal=goal or StatedGoal("cost", None, 100 * 86400.0, None, 0.8),
        trained=trained or Trained(load_model(model), evaluation_interval=1000, evaluation_iterations=10),
    )


def without_plan(saved: Optimization) -> Optimization:
    return replace(saved, status="infeasible", plan=None)
