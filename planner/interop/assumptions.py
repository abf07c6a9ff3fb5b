"""What memory and step time assume of a run, and the options with which an export makes it so: the form of the tables.

A framework's table has a row a topic (`megatron_assumptions`, `neox_assumptions`, `script_assumptions`). Exports write
what the rows give and refuse what they lack; `docs/interop.md` prints them; tests read the options back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field
from planner.performance.arrays import Conditions, Layouts
from planner.performance.frameworks import framework, stages_run, why_illegal, why_not_run
from planner.performance.selective_recompute import MODULES, selective_modules
from planner.results.plan import RunConditions
from planner.spec.adapter import Adapter
from planner.units import PlannerError
from planner.words import say

#: Topics, and what of the model's inputs each covers: fields of Layouts, Conditions, MemoryConstants and Recipe.
TOPICS: Mapping[str, tuple[str, ...]] = {
    "layout": ("tp", "pp", "vpp", "dp", "cp", "stage_bytes", "schedule"),
    "batch": ("micro_batch", "grad_accum"),
    "expert ranks": ("ep", "expert_tp"),
    "sequence parallel": ("sequence_parallel",),
    "sharding": ("zero_stage", "shard_group", "gather_layers", "gather_bytes"),
    "buckets": ("bucket_bytes", "reduce_bytes", "largest_bytes"),
    "weights": ("bytes_per_parameter", "linear_input_bytes", "gate_input_bytes"),
    "gradients": ("gradient_bytes", "tuned_gradient_bytes"),
    "reductions": ("reduction_overlap",),
    "optimizer": ("optimizer", "optimizer_bytes"),
    "offload": ("offload",),
    "adapters": ("adapter",),
    "recompute": ("recompute", "recompute_share", "recompute_modules", "selective_drops", "recomputes"),
    "attention": (
        "flash_attention",
        "flash_generation",
        "attention_scores_bytes",
        "attention_output_bytes",
        "fp8_attention",
    ),
    "fused kernels": ("fused",),
    "dropout": ("dropout_bytes", "embedding_bytes"),
    "loss": ("loss", "logits_bytes"),
    "routing": ("moe_imbalance", "fused_experts"),
    "expert exchange": ("dispatch", "overlap"),
    "CUDA graphs": ("graphs",),
}
#: Inputs that are measured of machines or say whose run it is: no option of a run makes them so.
OF_THE_MACHINE = (
    "overhead_gib",
    "overhead_per_group_gib",
    "fragmentation",
    "power_limit_w",
    "site",
    "tuning",
    "whole_layers",
)


@dataclass(frozen=True, slots=True)
class Assumption:
    """One row of a framework's table.

    `lacking` gives a sentence on what the tool has not for a plan and what to change, "" where it has all.
    """

    topic: str  # one of TOPICS
    assumed: str  # by memory and time: the code of a sentence
    used_in: str  # memory | time | memory, time
    keys: tuple[Field | str, ...] = ()  # that the export writes
    otherwise: str = ""  # what holds without an option, the tool's own default: the code of a sentence
    together: Callable[[Export], Mapping[str, Any]] | None = None  # their values, where they are not each by itself
    lacking: Callable[[Export], str] = lambda _: ""
    prefix: str = ""  # what stands before a name in the file

    @property
    def options(self) -> tuple[str, ...]:
        """The names of what the export writes."""
        return tuple(self.prefix + (key.key if isinstance(key, Field) else key) for key in self.keys)

    def write(self, export: Export) -> Mapping[str, Any]:
        """Options and values of a plan, all of them named in `options`."""
        return self.together(export) if self.together else values_of(self.fields, export)

    @property
    def fields(self) -> tuple[Field, ...]:
        """Those of the keys that are read and written each by itself."""
        return tuple(key for key in self.keys if isinstance(key, Field))


def values_of(fields: Iterable[Field], export: Export) -> dict[str, Any]:
    """Keys and values of a plan, without those that are left out."""
    values = {row.key: row.of(export) for row in fields}
    return {key: value for key, value in values.items() if value is not None}


def fields_of(rows: Iterable[Assumption], *more: Field) -> tuple[Field, ...]:
    """The keys of a whole table, and what else of a tool's file is read."""
    return (*(key for row in rows for key in row.fields), *more)


def written(rows: Iterable[Assumption], export: Export, *topics: str) -> dict[str, Any]:
    """Options and values of a plan, of some topics or all, in the order of the rows."""
    values: dict[str, Any] = {}
    for row in rows:
        if not topics or row.topic in topics:
            values |= row.write(export)
    return values


def refuse_lacking(rows: Iterable[Assumption], export: Export, tool: str, name: str) -> None:
    """Refuse a plan that assumes what a tool cannot be told.

    Parameters
    ----------
    tool, name : as people call it, and its row in the table of frameworks

    Raises
    ------
    PlannerError
        In one sentence, naming the key of the scenario to change.
    """
    sentences = [_stages_lacking(export, name), *(row.lacking(export) for row in rows)]
    why = next((sentence for sentence in sentences if sentence), "") or _illegal(export, name)
    if why:
        raise PlannerError(say("assumptions.cannot", tool=tool, why=why))


def _illegal(export: Export, name: str) -> str:
    """The first rule of a framework that a scenario must name which the layout breaks; others' exports say it apart."""
    if not framework(name).by_name:
        return ""
    why = why_illegal(name, export.model, Layouts.of([export.plan.layout]), export.plan.seq_length)
    return say("assumptions.no_layout", why=why, name=name) if why else ""


def _stated(stated: RunConditions | None) -> Conditions:
    """What of a plan's conditions a framework may lack."""
    if stated is None:
        return Conditions()
    own = stated.adapter
    adapter = None if own is None else Adapter(own.method, own.r, own.target_modules)
    return Conditions(optimizer=stated.optimizer, offload=stated.offload, adapter=adapter)


def _stages_lacking(export: Export, name: str) -> str:
    """Why the framework does not run the plan's precision, optimizer or offload at its ZeRO stage."""
    row, plan, stage = framework(name), export.plan, export.plan.layout.zero_stage
    stated = plan.conditions
    conditions = _stated(stated)
    precision = plan.precision or "bf16"
    if stated is not None and stated.offload not in ("none", "optimizer", "activations", "both"):
        return say("assumptions.offload", offload=stated.offload)
    why = why_not_run(row, precision, conditions)
    stages = stages_run(row, precision, conditions)
    if why or stage in stages or stage not in row.zero_stages:
        return why
    values = {"precision": precision, "stage": stage, "able": [str(each) for each in stages or (1,)]}
    if conditions.offload == "none":
        return say("assumptions.zero_optimizer", optimizer=conditions.optimizer, **values)
    return say("assumptions.zero_offload", offload=conditions.offload, **values)


# Sentences of more than one tool -----------------------------------------------------------------------------------


def no_degree(*names: str) -> Callable[[Export], str]:
    """Of a tool without these degrees of parallelism (tp, pp, vpp, cp, ep)."""

    def lacking(export: Export) -> str:
        odd = next((name for name in names if getattr(export.plan.layout, name) > 1), "")
        return say("assumptions.degree", name=odd, degree=getattr(export.plan.layout, odd)) if odd else ""

    return lacking


def with_experts(value: Callable[[Export], Any]) -> Callable[[Export], Any]:
    """What is written for a model with experts, and left out for others."""
    return lambda export: value(export) if export.model.moe is not None else None


def no_modules(export: Export) -> str:
    """Of a tool that recomputes whole layers alone."""
    selective = export.plan.layout.recompute == "selective"
    return say("assumptions.no_modules") if selective else ""


def no_scores(export: Export) -> str:
    """Of a tool that has flash kernels alone."""
    flash = conditions_of(export).flash_attention
    return "" if flash else say("assumptions.no_scores")


# What a plan says, also one that an older planner saved --------------------------------------------------------------


def gradients_of(export: Export) -> str:
    """The type in which gradients are added up and reduced: fp32, bf16 or fp16."""
    stated, precision = conditions_of(export), export.plan.precision
    if stated.gradients:
        return stated.gradients
    tuned = framework("megatron").memory.tuned_gradient_bytes
    if stated.tuning == "vendor" and precision in tuned:
        return "bf16"
    return "fp16" if precision == "fp16" else "fp32"


def modules_of(export: Export) -> tuple[str, ...]:
    """The modules that a plan's selective recompute covers; () where it recomputes none or all."""
    if export.plan.layout.recompute != "selective":
        return ()
    stated = conditions_of(export)
    return stated.recompute_modules or selective_modules(export.model, not stated.flash_attention)


def unknown_modules(export: Export) -> str:
    """A sentence on modules that no plan of planner's names."""
    odd = [name for name in modules_of(export) if name not in MODULES]
    return say("assumptions.unknown_module", module=odd[0]) if odd else ""


def table_of(rows: Iterable[Assumption], tool: str) -> str:
    """The rows as a Markdown table."""

    def cell(row: Assumption) -> str:
        names = ", ".join(f"`{name}`" for name in row.options)
        return "; ".join(text for text in (names, row.otherwise and say(row.otherwise)) if text)

    lines = [f"| {tool} | assumed | in | made so by |", "|---|---|---|---|"]
    lines += [f"| {row.topic} | {say(row.assumed)} | {row.used_in} | {cell(row)} |" for row in rows]
    return "\n".join(lines)
