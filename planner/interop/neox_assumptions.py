"""What a plan assumes of a run under GPT-NeoX, and the keys of its config that make it so.

Keys, defaults and refusals are those of EleutherAI/gpt-neox ea7aefd (megatron/neox_arguments, megatron/training.py) and
of DeepSpeed edaa722 (deepspeed/runtime/engine.py, deepspeed/runtime/zero/config.py), to which GPT-NeoX hands
`zero_optimization`, `data_types` and `deepspeed_extra_args` as they are.
"""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import Assumption, values_of
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field, nested
from planner.interop.neox_fields import BATCH, DEGREES, FUSED, MODEL, PRECISIONS, RECOMPUTE, SEQUENCE, ZERO
from planner.words import say

BETAS = [0.9, 0.95]


def _weights(export: Export) -> dict[str, Any]:
    precision = PRECISIONS.get(export.plan.precision, "bfloat16")
    scaling = {
        "fp16": {
            "enabled": True,
            "loss_scale": 0,
            "loss_scale_window": 1000,
            "initial_scale_power": 12,
            "hysteresis": 2,
            "min_loss_scale": 1,
        }
    }
    return {"precision": precision, **(scaling if precision == "fp16" else {})}


def _optimizer(export: Export) -> dict[str, Any]:
    rate: dict[str, Any] = {"lr": export.learning_rate, "betas": BETAS}
    match conditions_of(export).optimizer:
        case "lion":
            return {"optimizer": {"type": "Lion", "params": rate}}
        case "adamw-8bit":
            untested = {"deepspeed_extra_args": {"zero_allow_untested_optimizer": True}}
            return {
                "optimizer": {"type": "Adam", "params": rate | {"eps": 1.0e-8}},
                "use_bnb_optimizer": True,
                **untested,
            }
    return {"optimizer": {"type": "Adam", "params": rate | {"eps": 1.0e-8}}}


def _group_lacking(export: Export) -> str:
    group = conditions_of(export).shard_group
    return say("neox_assumptions.no_shard_group", group=group) if group else ""


def _recompute_lacking(export: Export) -> str:
    share = conditions_of(export).recompute_share
    if export.plan.layout.recompute != "full" or share is None or not 0 < share < 1:
        return ""
    return say("neox_assumptions.no_recompute_share")


def _recipe_lacking(export: Export) -> str:
    recipe = conditions_of(export).recipe
    return say("neox_assumptions.no_recipe", parts=list(recipe)) if recipe else ""


BOTH = "memory, time"
NEOX = (
    Assumption("layout", "neox_assumptions.layout", BOTH,
               DEGREES, "assumptions.others_refused"),
    Assumption("batch", "assumptions.batch_parts", BOTH, BATCH),
    Assumption("expert ranks", "neox_assumptions.expert_ranks", BOTH, (), "assumptions.neox_alone"),
    Assumption("sequence parallel", "assumptions.divided_by_tp", BOTH, SEQUENCE, "assumptions.off"),
    Assumption("sharding", "neox_assumptions.sharding",
               BOTH, ("zero_optimization.stage", "zero_optimization.stage3_prefetch_bucket_size",
                      "zero_optimization.stage3_max_live_parameters"),
               "neox_assumptions.sharding_otherwise", lambda e: nested(values_of(ZERO, e)), _group_lacking),
    Assumption("buckets", "neox_assumptions.buckets", "memory",
               ("zero_optimization.reduce_bucket_size", "zero_optimization.allgather_bucket_size",
                "zero_optimization.contiguous_gradients", "zero_optimization.reduce_scatter",
                "zero_optimization.allgather_partitions")),
    Assumption("weights", "assumptions.sixteen_bits", BOTH, ("precision", "fp16"),
               "neox_assumptions.weights_otherwise", _weights),
    Assumption("gradients", "neox_assumptions.gradients", BOTH,
               ("data_types.grad_accum_dtype",), "",  # fp32 with bf16: DeepSpeed's issue 1835, of which GPT-NeoX warns
               lambda e: {} if e.plan.precision == "fp16" else {"data_types": {"grad_accum_dtype": "fp32"}}),
    Assumption("reductions", "assumptions.reductions_measured",
               "time", ("zero_optimization.overlap_comm",), "assumptions.on_unstated"),
    Assumption("optimizer", "neox_assumptions.optimizer",
               BOTH, ("optimizer", "use_bnb_optimizer", "deepspeed_extra_args"), "assumptions.others_refused",
               _optimizer),
    Assumption("offload", "assumptions.none", BOTH, (), "assumptions.host_refused"),
    Assumption("adapters", "assumptions.no_adapters", BOTH, (), "assumptions.adapters_refused"),
    Assumption("recompute", "assumptions.whole_layers", BOTH, RECOMPUTE,
               "neox_assumptions.recompute_otherwise",
               lacking=_recompute_lacking),
    Assumption("attention", "assumptions.flash_or_scores", BOTH,
               tuple(row for row in MODEL if row.key == "attention_config")),
    Assumption("fused kernels", "neox_assumptions.fused_kernels", BOTH, FUSED, "assumptions.off"),
    Assumption("dropout", "assumptions.no_masks", "memory",
               (Field("hidden_dropout", write=0.0), Field("attention_dropout", write=0.0))),
    Assumption("loss", "assumptions.loss_in_place", BOTH, (), "neox_assumptions.loss_otherwise"),
    Assumption("routing", "neox_assumptions.routing", BOTH,
               tuple(row for row in MODEL if row.key == "moe_router_type"), "neox_assumptions.routing_otherwise"),
    Assumption("expert exchange", "neox_assumptions.expert_exchange", "time", (),
               "assumptions.neox_alone", lacking=_recipe_lacking),
    Assumption("CUDA graphs", "assumptions.none", "time", (), "neox_assumptions.cuda_graphs_otherwise"),
)  # fmt: skip
