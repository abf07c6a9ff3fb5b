"""What a plan assumes of a run under PyTorch's FSDP through Accelerate and the Trainer, and what makes it so.

Keys are those of accelerate.yaml of huggingface/accelerate 16cb6eb (FSDP2, src/accelerate/utils/dataclasses.py
FullyShardedDataParallelPlugin), words behind `--` the TrainingArguments of transformers.
"""

from __future__ import annotations

from planner.interop.assumptions import Assumption
from planner.interop.deepspeed_assumptions import BATCH, TRAINER
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field
from planner.words import say

F, P = "fsdp_config.fsdp_", "parallelism_config.parallelism_config_"
OPTIMIZERS = {"adamw": "adamw_torch_fused"}


def _group(export: Export) -> int | None:
    """Ranks of a shard group that is not all of them (FSDP2's, through Accelerate's ParallelismConfig)."""
    group = conditions_of(export).shard_group
    return group if group and group < export.plan.layout.dp else None


def stage_of(reshards: object, _: str) -> int:
    """The ZeRO stage: what is gathered for the forward pass alone, by FSDP2's switch, or by FSDP1's strategy."""
    return 2 if str(reshards).upper() in ("FALSE", "SHARD_GRAD_OP", "2") else 3


def _optimizer_lacking(export: Export) -> str:
    name = conditions_of(export).optimizer
    return "" if name in OPTIMIZERS else say("accelerate_assumptions.no_optimizer", name=name)


def _weights_lacking(export: Export) -> str:
    kind = export.plan.precision or "bf16"
    return "" if kind in ("bf16", "fp16") else say("accelerate_assumptions.no_precision", kind=kind)


def _offload_lacking(export: Export) -> str:
    stated = conditions_of(export).offload
    if stated == "none":
        return ""
    return say("accelerate_assumptions.no_offload", stated=stated)


def _recompute_lacking(export: Export) -> str:
    share = conditions_of(export).recompute_share
    if export.plan.layout.recompute != "full" or share is None or share >= 1.0:
        return ""
    return say("accelerate_assumptions.no_recompute_share")


BOTH = "memory, time"
ACCELERATE = (
    TRAINER["layout"],
    Assumption("batch", "assumptions.batch_parts", BOTH, BATCH),
    TRAINER["expert ranks"],
    TRAINER["sequence parallel"],
    Assumption("sharding", "accelerate_assumptions.sharding", BOTH,
               (Field(f"{F}version", write=2),
                Field(f"{F}reshard_after_forward", "layout.zero_stage", None,
                      lambda e: e.plan.layout.zero_stage == 3, read=stage_of),
                Field(f"{F}auto_wrap_policy", write="TRANSFORMER_BASED_WRAP"),
                Field(f"{F}state_dict_type", write="SHARDED_STATE_DICT"),
                Field(f"{F}cpu_ram_efficient_loading", write=True),
                Field(f"{P}dp_replicate_size", write=lambda e: _group(e) and e.plan.layout.dp // _group(e)),
                Field(f"{P}dp_shard_size", "layout.shard_group", None, _group))),
    Assumption("buckets", "assumptions.block_parameters", BOTH, (), "accelerate_assumptions.buckets_otherwise"),
    Assumption("weights", "accelerate_assumptions.weights", BOTH,
               (Field("mixed_precision", "training.precision", None, lambda e: e.plan.precision or "bf16",
                      read=lambda kind, _: "fp16" if kind == "fp16" else "bf16"),
                Field("--bf16", write=lambda e: e.plan.precision != "fp16" or None),
                Field("--fp16", write=lambda e: e.plan.precision == "fp16" or None)),
               lacking=_weights_lacking),
    Assumption("gradients", "assumptions.shards_fp32", BOTH, (),
               "accelerate_assumptions.gradients_otherwise"),
    Assumption("reductions", "assumptions.reductions_hidden", "time", (), "assumptions.fsdp_own"),
    Assumption("optimizer", "accelerate_assumptions.optimizer", BOTH,
               (Field("--optim", write=lambda e: OPTIMIZERS.get(conditions_of(e).optimizer, "")),),
               "assumptions.others_refused", lacking=_optimizer_lacking),
    Assumption("offload", "assumptions.none", BOTH, (Field(f"{F}offload_params", write=False),),
               "assumptions.host_refused", lacking=_offload_lacking),
    TRAINER["adapters"],
    Assumption("recompute", "assumptions.whole_layers", BOTH,
               (Field(f"{F}activation_checkpointing", "layout.recompute", None, words={"full": True, "none": False},
                      read=lambda on, _: "full" if on is True else "none"),
                Field("--gradient_checkpointing", write=False)),
               "accelerate_assumptions.recompute_otherwise", lacking=_recompute_lacking),
    TRAINER["attention"],
    TRAINER["fused kernels"],
    TRAINER["dropout"],
    TRAINER["loss"],
    Assumption("routing", "assumptions.even_routing", BOTH, (), "assumptions.router_loss"),
    TRAINER["expert exchange"],
    TRAINER["CUDA graphs"],
)  # fmt: skip
