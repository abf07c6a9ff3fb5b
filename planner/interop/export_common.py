"""What every export starts from: the plan, what it trains, and the words that head its files."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from planner.results import json_form as plan_json
from planner.results.answers import Optimization, Trained
from planner.results.plan import Plan, RunConditions
from planner.spec.model import ModelSpec
from planner.units import PlannerError, format_count, format_duration, format_usd
from planner.words import say
from planner.workload.counts import parameter_counts

# Peak learning rates of GPT-3 by size: Brown et al. 2020, table 2.1 (parameters, rate).
LEARNING_RATES = (
    (125e6, 6.0e-4), (350e6, 3.0e-4), (760e6, 2.5e-4), (1.3e9, 2.0e-4), (2.7e9, 1.6e-4), (6.7e9, 1.2e-4),
    (13e9, 1.0e-4), (175e9, 0.6e-4),
)  # fmt: skip
NOT_PLANNED = """Not planned: GPT-3's learning rate for this size (Brown et al. 2020, table 2.1); set your own,
and what a plan does not hold of your model: rotary share and base, epsilon of norms"""


@dataclass
class Export:
    """One plan on its way into files; `notes` collects what a user should know."""

    plan: Plan
    trained: Trained
    scenario: str
    notes: list[str] = field(default_factory=list)
    measures: bool = False  # a short run that is measured: every iteration is logged, and no checkpoint is kept

    @property
    def model(self) -> ModelSpec:
        return self.trained.model

    @property
    def name(self) -> str:
        """The scenario's name as a file and job name: letters, digits and dashes."""
        return re.sub(r"[^a-z0-9]+", "-", self.scenario.lower()).strip("-")[:40].strip("-") or "run"

    @property
    def mlp_words(self) -> str:
        """The MLP in words, for tools that have none like it."""
        code = "export_common.gated_mlp" if self.model.gated_mlp else "export_common.mlp"
        return say(code, activation=self.model.activation)

    @property
    def gpus_per_node(self) -> int:
        return max(1, -(-self.plan.gpus // max(1, self.plan.nodes)))

    @property
    def learning_rate(self) -> float:
        """GPT-3's rate for the nearest size by ratio; a place to start, not a part of the plan."""
        size = parameter_counts(self.model).active
        return min(LEARNING_RATES, key=lambda row: abs(math.log(row[0] / size)))[1]

    @property
    def log_every(self) -> int:
        """Iterations to a line of the log."""
        return 1 if self.measures else 10

    @property
    def save_every(self) -> int:
        """Iterations between checkpoints: the plan's; an hour of training where it has none."""
        kept = self.plan.reliability
        planned = kept.checkpoint_interval_iterations if kept is not None else None
        return max(1, min(self.plan.iterations, planned or round(3600 / self.plan.step_time_s.p50)))

    @property
    def saving(self) -> str:
        """How often, in words."""
        if self.measures:
            return "No checkpoints"
        seconds = self.save_every * self.plan.step_time_s.p50
        kept = self.plan.reliability
        planned = kept is not None and kept.checkpoint_interval_iterations is not None
        return f"{'Checkpoints of the plan' if planned else 'Checkpoints'} every {format_duration(seconds)}"

    def header(self, what: str) -> list[str]:
        """Lines (without a comment sign) that say what the file is and what it was made from."""
        plan, layout = self.plan, self.plan.layout
        cluster = f"{plan.nodes} x {self.gpus_per_node} {plan.offer.gpu}, {plan.offer.id}"
        time = [format_duration(seconds) for seconds in (plan.time_s.p50, plan.time_s.p10, plan.time_s.p90)]
        length = f"{format_count(plan.iterations)} iterations of {format_count(plan.global_batch)} sequences"
        return [
            f"{what}, written by `planner export`.",
            f"Plan: {plan.gpus} GPUs ({cluster}),",
            f"tp {layout.tp} x pp {layout.pp} x dp {layout.dp} x cp {layout.cp}; {plan.step_time_s.p50:.3g} s a step;",
            f"{length} of {format_count(plan.seq_length)} tokens;",
            f"{time[0]} ({time[1]} to {time[2]}), {format_usd(plan.cost_usd.p50)}.",
        ]


def export_of(answer: Optimization, trained: Trained | None = None) -> Export:
    """The plan of a saved answer, ready to be written.

    Raises
    ------
    PlannerError
        If the answer has no plan, says nothing of the model and nobody else does, or holds what no plan can.
    """
    if answer.plan is None:
        raise PlannerError(say("export_common.no_plan"))
    what = answer.trained or trained
    if what is None:
        raise PlannerError(say("export_common.no_model"))
    try:  # whatever made them: a file, a scenario, a program
        plan_json.decode(Plan, plan_json.encode(answer.plan), "plan")
        plan_json.decode(Trained, plan_json.encode(what), "trained")
    except ValueError as error:
        raise PlannerError(say("export_common.not_a_plan", error=error.args[0])) from error
    return Export(answer.plan, what, answer.provenance.scenario)


def conditions_of(export: Export) -> RunConditions:
    """The plan's conditions; of a plan without them, what its framework does unless told otherwise."""
    return export.plan.conditions or RunConditions(
        flash_attention=True,
        flash_generation=None,
        fused_or_compile=export.plan.framework == "megatron",
        comm_overlap=None,
        recompute_share=None,
        shard_group=None,
    )


def cannot(do: str, export: Export, tool: str, part: str, other: str = "") -> PlannerError:
    """The refusal of a tool that lacks a part of a plan, with the framework to plan for in its place.

    Parameters
    ----------
    do : train (the model) or run (the plan)
    other : a framework that has the part, if planner writes it for any
    """
    there = "_there" if other and part not in [words for _, words in unwritten_parts(export.model)] else ""
    return PlannerError(say(f"export_common.cannot_{do}{there}", tool=tool, part=part, framework=other))


def unwritten_parts(model: ModelSpec) -> list[tuple[bool, str]]:
    """Parts of a model that neither exporter of training scripts writes, by name: whether it has each."""
    moe = model.moe
    kind = model.recurrent.kind if model.recurrent else ""
    return [
        (model.recurrent is not None, say("export_common.recurrent", kind=kind)),
        (bool(model.layer_pattern), say("export_common.pattern")),
        (model.sparse is not None, say("export_common.indexer")),
        (model.attention_gate, say("export_common.attention_gate")),
        (model.window_in_chunks, say("export_common.chunked_attention")),
        (model.qk_norm_wide, say("export_common.wide_norm")),
        (model.embedding_norm, say("export_common.embedding_norm")),
        (model.norm == "layernorm_bare", say("export_common.bare_layernorm")),
        (moe is not None and moe.latent > 0, say("export_common.latent_experts")),
    ]
