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
    return (
        f"it has no sharding of states over a group ({group} GPUs); plan with training.framework: gpt-neox"
        if group
        else ""
    )


def _recompute_lacking(export: Export) -> str:
    share = conditions_of(export).recompute_share
    if export.plan.layout.recompute != "full" or share is None or not 0 < share < 1:
        return ""
    return "it has no recomputation of a share of the layers; plan with layout.recompute_share: 1"


def _recipe_lacking(export: Export) -> str:
    recipe = conditions_of(export).recipe
    return f"it has no {', '.join(recipe)} of a vendor's recipe; plan with training.tuning: field" if recipe else ""


BOTH = "memory, time"
NEOX = (
    Assumption("layout", "tp, pp; no vpp, no cp; what a stage passed on stays until it comes back", BOTH,
               DEGREES, "others are refused"),
    Assumption("batch", "sequences a micro-batch, micro-batches, sequences a step", BOTH, BATCH),
    Assumption("expert ranks", "experts over the tensor-parallel ranks: ep is tp", BOTH, (), "GPT-NeoX has no other"),
    Assumption("sequence parallel", "norms and the residual stream divided by tp", BOTH, SEQUENCE, "off"),
    Assumption("sharding", "ZeRO over all data-parallel ranks; ZeRO 3 has two layers and the table gathered at once",
               BOTH, ("zero_optimization.stage", "zero_optimization.stage3_prefetch_bucket_size",
                      "zero_optimization.stage3_max_live_parameters"),
               "unstated, ZeRO 3 would keep up to a billion parameters; a shard group is refused, and bf16 under "
               "ZeRO 0", lambda e: nested(values_of(ZERO, e)), _group_lacking),
    Assumption("buckets", "5e8 values that reduce and 5e8 that gather (fp16 2 + 2 bytes each, bf16 4 + 2)", "memory",
               ("zero_optimization.reduce_bucket_size", "zero_optimization.allgather_bucket_size",
                "zero_optimization.contiguous_gradients", "zero_optimization.reduce_scatter",
                "zero_optimization.allgather_partitions")),
    Assumption("weights", "16 bits", BOTH, ("precision", "fp16"), "8 and 4 bits are refused", _weights),
    Assumption("gradients", "with fp16 in fp16; with bf16 in bf16 and added up and reduced in fp32", BOTH,
               ("data_types.grad_accum_dtype",), "",  # fp32 with bf16: DeepSpeed's issue 1835, of which GPT-NeoX warns
               lambda e: {} if e.plan.precision == "fp16" else {"data_types": {"grad_accum_dtype": "fp32"}}),
    Assumption("reductions", "behind the backward pass as much as in measured runs that do not say, or as stated",
               "time", ("zero_optimization.overlap_comm",), "on where not stated"),
    Assumption("optimizer", "fp32 master weights and moments (AdamW), 8-bit moments or Lion's one under ZeRO 1 and 2",
               BOTH, ("optimizer", "use_bnb_optimizer", "deepspeed_extra_args"), "others are refused", _optimizer),
    Assumption("offload", "none", BOTH, (), "what is on the host is refused"),
    Assumption("adapters", "none: all of the model is trained", BOTH, (), "LoRA and QLoRA are refused"),
    Assumption("recompute", "none, or whole layers", BOTH, RECOMPUTE,
               "modules or a share of the layers are refused; `partition_activations` is off by default",
               lacking=_recompute_lacking),
    Assumption("attention", "flash kernels, or scores in memory", BOTH,
               tuple(row for row in MODEL if row.key == "attention_config")),
    Assumption("fused kernels", "softmax, biases with GELU or norms, or each by itself", BOTH, FUSED, "off"),
    Assumption("dropout", "none: no masks are kept", "memory",
               (Field("hidden_dropout", write=0.0), Field("attention_dropout", write=0.0))),
    Assumption("loss", "16-bit logits and their fp32 copy, worked on in place", BOTH, (),
               "`fp16_lm_cross_entropy` is off by default"),
    Assumption("routing", "dropless, the busiest rank 1.1 times the mean under a balanced router", BOTH,
               tuple(row for row in MODEL if row.key == "moe_router_type"), "`topk` balances nothing"),
    Assumption("expert exchange", "gathers and scatters of the tensor-parallel ranks", "time", (),
               "GPT-NeoX has no other", lacking=_recipe_lacking),
    Assumption("CUDA graphs", "none", "time", (), "GPT-NeoX has none"),
)  # fmt: skip
