"""A sweep's answer: one row a variation, the same columns in every row, and how an answer becomes a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner import plan_json
from planner.plan import Infeasible, Optimization, Plan
from planner.sweeps.grid import Axis

SCHEMA_VERSION = 1
Value = str | int | float | bool | None
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a sweep was made from; digests are sha256 in hex."""

    planner: str  # version
    scenario: str  # its name
    catalog_digest: str
    calibration_digest: str


@dataclass(frozen=True, slots=True)
class Over:
    """One varied key and the values that it took, as `--set` takes them."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """The answer of `planner sweep`; `rows` in the order of the grid, the last key fastest."""

    schema_version: int = SCHEMA_VERSION
    over: tuple[Over, ...]
    rows: tuple[Row, ...]
    provenance: Origin

    def to_json(self) -> str:
        """The document as text, ending in a newline; equal sweeps give equal bytes."""
        return plan_json.dumps(self)


def varied(axis: Axis, index: int) -> dict[str, Value]:
    """The columns of one varied key: its value, and beside a text with a unit the number in the unit of its name."""
    if axis.numbers is None:
        return {axis.key: axis.values[index]}
    number = axis.numbers[index]
    if axis.suffix:
        return {axis.key: axis.values[index], f"{axis.key}{axis.suffix}": number}
    return {axis.key: number}


def figures(answer: Optimization) -> dict[str, Value]:
    """The columns of an answer: the plan's main figures, or why there is none and the least there is."""
    if answer.plan is None:
        return {**blank("infeasible"), **_least(answer.infeasibility)}
    return {**blank(answer.status), **_plan(answer.plan)}


def bad_input(reason: str) -> dict[str, Value]:
    """The columns of a variation that reads well and cannot be planned, such as a price that nobody gave."""
    return {**blank("bad_input"), "reason": reason}


def blank(status: str) -> dict[str, Value]:
    """Every column of an answer, empty."""
    return {"status": status, **dict.fromkeys(COLUMNS)}


def _plan(plan: Plan) -> dict[str, Value]:
    offer, layout, memory = plan.offer, plan.layout, plan.memory_gib
    return {
        "offer": offer.id,
        "cloud": offer.cloud,
        "region": offer.region,
        "instance": offer.instance,
        "gpu": offer.gpu,
        "pricing": offer.pricing,
        "usd_per_gpu_hour": offer.usd_per_gpu_hour,
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
        "cost_usd_p10": plan.cost_usd.p10,
        "cost_usd_p50": plan.cost_usd.p50,
        "cost_usd_p90": plan.cost_usd.p90,
        "p_within_time": plan.p_within_time,
        "p_within_cost": plan.p_within_cost,
        "p_within_both": plan.p_within_both,
        "energy_kwh": plan.energy_kwh,
        "co2_kg": plan.co2_kg,
        "basis": plan.basis,
    }


def _least(found: Infeasible | None) -> dict[str, Value]:
    if found is None:
        return {}
    return {"least_time_s": found.least_time_s, "least_cost_usd": found.least_cost_usd, "reason": found.reason}


_TEXTS = "offer cloud region instance gpu pricing framework recompute basis reason".split()
_COUNTS = (
    "gpus nodes tp pp vpp dp cp ep zero_stage micro_batch grad_accum global_batch seq_length iterations tokens".split()
)
#: The columns of an answer after `status`, in their order, and what each holds where it is known.
COLUMNS: dict[str, type] = {
    name: str if name in _TEXTS else int if name in _COUNTS else bool if name == "sequence_parallel" else float
    for name in (
        *"offer cloud region instance gpu pricing usd_per_gpu_hour gpus nodes framework".split(),
        *"tp pp vpp dp cp ep zero_stage sequence_parallel recompute micro_batch grad_accum".split(),
        *"global_batch seq_length iterations tokens step_time_s_p50 tokens_per_s_per_gpu_p50 mfu".split(),
        *"memory_gib_total memory_gib_capacity time_s_p10 time_s_p50 time_s_p90".split(),
        *"cost_usd_p10 cost_usd_p50 cost_usd_p90 p_within_time p_within_cost p_within_both".split(),
        *"energy_kwh co2_kg basis least_time_s least_cost_usd reason".split(),
    )
}
