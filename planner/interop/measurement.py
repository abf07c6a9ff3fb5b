"""A tracked run as one row of measurements, for the user's own overlay."""

from __future__ import annotations

from pathlib import Path

from planner.files import printable_name
from planner.interop.tracking import track_log
from planner.results.answers import Optimization
from planner.results.plan import Plan, RunConditions
from planner.spec.model import ModelSpec
from planner.tracking.ramp import Course, course_of
from planner.tracking.state import TrackState
from planner.units import PlannerError
from planner.words import say
from planner.workload.counts import parameter_counts

LEAST_RECORDS = 10  # after warm-up; fewer say little of a steady step
COLUMNS = (
    "source_id", "project", "page_or_path", "framework", "version_or_date", "model", "params_total", "params_active",
    "n_layers", "layers_run",
    "hidden", "n_heads", "n_kv_heads", "head_dim", "ffn", "gated_ffn", "vocab", "experts", "top_k",
    "seq_len", "gpu", "gpu_mem_gb", "gpus_per_node", "interconnect", "gpus", "precision", "tp", "pp", "vpp", "dp",
    "cp", "ep", "zero_or_fsdp", "shard_group", "sequence_parallel", "recompute", "recompute_share", "flash_attention",
    "fused_or_compile", "comm_overlap", "power_limit_w", "tuning", "site", "optimizer", "offload",
    "adapter", "lora_r", "lora_target_modules", "micro_batch", "grad_accum",
    "global_batch_samples", "global_batch_tokens", "tokens_per_s_per_gpu", "tokens_per_s_total", "step_time_s",
    "model_tflops_per_gpu", "mfu_pct", "notes", "derived",
)  # fmt: skip


def training_log_measurement(log: Path, answer: Optimization, whole_layers: int | None = None) -> dict[str, str]:
    """What a run measured, in the columns of the shipped measurement files; empty cells are not stated.

    The step is the median without warm-up; layout, model and GPUs are those of the plan that the run follows.

    Parameters
    ----------
    log : the run's training log
    answer : the saved plan that it follows
    whole_layers : of the model, where the plan's has its first layers alone

    Raises
    ------
    PlannerError
        If the log has too few steps, or its batch or the plan's model is not what the other says.
    """
    plan, trained = answer.plan, answer.trained
    if plan is None or trained is None:
        raise PlannerError(say("measurement.no_plan"))
    state, steady = steady_step(log, plan, course_of(plan, trained.batch_ramp))
    rate = plan.global_batch * plan.seq_length / steady
    values = {
        "source_id": "own-run",
        "project": "own run",
        "page_or_path": log.name,
        **what_ran(trained.model, plan, whole_layers),
        "tokens_per_s_per_gpu": f"{rate / plan.gpus:.6g}",
        "tokens_per_s_total": f"{rate:.6g}",
        "step_time_s": f"{steady:.6g}",
        "notes": f"median of {state.records} logged steps, warm-up left out",
        "derived": "tokens_per_s_per_gpu,tokens_per_s_total",
    }
    return {column: str(values.get(column, "")) for column in COLUMNS}


def steady_step(log: Path, plan: Plan, ramp: Course | None) -> tuple[TrackState, float]:
    """What the log says of its run, and the seconds of its steady step; errors as `training_log_measurement`."""
    state = track_log(log, plan, course=ramp)
    steady = state.steady_step_s()
    if steady is None or state.records < LEAST_RECORDS + 2:
        values = {"log": printable_name(log), "steps": state.records, "least": LEAST_RECORDS + 2}
        raise PlannerError(say("measurement.too_few", **values))
    if ramp is not None and ramp.batch_of(state.iteration) < plan.global_batch:
        raise PlannerError(say("measurement.still_grows", log=printable_name(log), batch=plan.global_batch))
    if state.batch is not None and abs(state.batch / plan.global_batch - 1) > 0.01:
        values = {"log": printable_name(log), "batch": state.batch, "planned": plan.global_batch}
        raise PlannerError(say("measurement.another_batch", **values))
    return state, steady


def what_ran(model: ModelSpec, plan: Plan, whole_layers: int | None = None) -> dict[str, object]:
    """The cells that say which model ran on what, and how it was laid out; `whole_layers` of it, where a part ran."""
    layout = plan.layout
    counts = parameter_counts(model, tp=layout.tp)
    zero = {0: "none", 1: "zero-1", 2: "zero-2", 3: "zero-3"}[layout.zero_stage]
    return {
        "framework": plan.framework,
        "version_or_date": plan.framework_release,
        "model": model.name,
        "params_total": counts.total,
        "params_active": counts.active if model.moe else "",
        "n_layers": whole_layers or model.layers,
        "layers_run": "" if whole_layers is None else model.layers,
        "hidden": model.hidden,
        "n_heads": model.heads,
        "n_kv_heads": model.kv_heads,
        "head_dim": model.head_dim,
        "ffn": model.moe.expert_ffn if model.moe else model.ffn,
        "gated_ffn": int(model.gated_mlp),
        "vocab": model.vocab,
        "experts": model.moe.experts if model.moe else "",
        "top_k": model.moe.top_k if model.moe else "",
        "seq_len": plan.seq_length,
        "gpu": plan.offer.gpu,
        "gpus_per_node": plan.offer.gpus_per_node or -(-plan.gpus // plan.nodes),
        "interconnect": f"{plan.offer.network_gbit_per_s:g} Gb/s per node" if plan.offer.network_gbit_per_s else "",
        "gpus": plan.gpus,
        "precision": plan.precision or "bf16",
        **{key: getattr(layout, key) for key in ("tp", "pp", "vpp", "dp", "cp", "ep")},
        "zero_or_fsdp": {2: "fsdp-grad-op", 3: "fsdp-full"}.get(layout.zero_stage, zero)
        if plan.framework == "fsdp"
        else zero,
        "recompute": layout.recompute,
        "sequence_parallel": _yes_no(layout.sequence_parallel),
        **_conditions(plan.conditions),
        "micro_batch": layout.micro_batch,
        "grad_accum": layout.grad_accum,
        "global_batch_samples": plan.global_batch,
        "global_batch_tokens": plan.global_batch * plan.seq_length,
    }


def _conditions(taken: RunConditions | None) -> dict[str, object]:
    """The cells of how the run was set up: as the plan has it, which its exported files state."""
    if taken is None:
        return {}
    stated = {
        "flash_attention": taken.flash_generation or _yes_no(taken.flash_attention),
        "fused_or_compile": _yes_no(taken.fused_or_compile),
        "comm_overlap": None if taken.comm_overlap is None else _yes_no(taken.comm_overlap),
        "recompute_share": taken.recompute_share,
        "shard_group": taken.shard_group,
        "power_limit_w": taken.power_limit_w,
        "tuning": taken.tuning or None,
        "site": taken.site or None,
        "optimizer": None if taken.optimizer == "adamw" else taken.optimizer,
        "offload": None if taken.offload == "none" else taken.offload,
    }
    if taken.adapter is not None:
        stated |= {"adapter": taken.adapter.method, "lora_r": taken.adapter.r}
        stated |= {"lora_target_modules": " ".join(taken.adapter.target_modules)}
    return {column: value for column, value in stated.items() if value is not None}


def _yes_no(value: bool) -> str:
    return "yes" if value else "no"
