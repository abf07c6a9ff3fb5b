"""A sweep's answer: one row a variation, the same columns in every row, and how an answer becomes a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from planner.money import Money
from planner.results.answers import Optimization
from planner.results.result import Result
from planner.results.row import Value, plan_row
from planner.sweeps.grid import Axis

SCHEMA_VERSION = 1
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Origin:
    """What a sweep was made from; digests are sha256 in hex."""

    planner: str  # version
    scenario: str  # its name
    catalog_digest: str
    calibration_digest: str
    money: Money | None = None  # what costs are written in, where all variations agree


@dataclass(frozen=True, slots=True)
class Over:
    """One varied key and the values that it took, as `--set` takes them."""

    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Sweep(Result):
    """The answer of `planner sweep`; `rows` in the order of the grid, the last key fastest."""

    schema_version: int = SCHEMA_VERSION
    over: tuple[Over, ...]
    rows: tuple[Row, ...]
    provenance: Origin


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
        found = answer.infeasibility
        names = () if found is None else ("least_time_s", "least_cost_usd", "reason")
        return {**blank("infeasible"), **{name: getattr(found, name) for name in names}}
    return {**blank(answer.status), **plan_row(answer.plan)}


def bad_input(reason: str) -> dict[str, Value]:
    """The columns of a variation that reads well and cannot be planned, such as a price that nobody gave."""
    return {**blank("bad_input"), "reason": reason}


def blank(status: str) -> dict[str, Value]:
    """Every column of an answer, empty."""
    return {"status": status, **dict.fromkeys(COLUMNS)}


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
