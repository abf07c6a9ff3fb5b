"""What a plan assumes of a run under PyTorch's FSDP through Accelerate and the Trainer, and what makes it so.

Keys are those of accelerate.yaml of huggingface/accelerate 16cb6eb (FSDP2, src/accelerate/utils/dataclasses.py
FullyShardedDataParallelPlugin), words behind `--` the TrainingArguments of transformers.
"""

from __future__ import annotations

from planner.interop.assumptions import Assumption
from planner.interop.deepspeed_assumptions import BATCH, TRAINER
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field

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
    return "" if name in OPTIMIZERS else f"planner writes no {name} for it; plan with training.optimizer: adamw"


def _weights_lacking(export: Export) -> str:
    kind = export.plan.precision or "bf16"
    return "" if kind in ("bf16", "fp16") else f"planner writes no {kind} for it; plan with training.precision: bf16"


def _offload_lacking(export: Export) -> str:
    stated = conditions_of(export).offload
    if stated == "none":
        return ""
    return f"fsdp_offload_params moves all states, not {stated}; plan with training.offload: none"


def _recompute_lacking(export: Export) -> str:
    share = conditions_of(export).recompute_share
    if export.plan.layout.recompute != "full" or share is None or share >= 1.0:
        return ""
    return "fsdp_activation_checkpointing covers all layers; plan with layout.recompute_share: 1"


BOTH = "memory, time"
ACCELERATE = (
    TRAINER["layout"],
    Assumption("batch", "sequences a micro-batch, micro-batches, sequences a step", BOTH, BATCH),
    TRAINER["expert ranks"],
    TRAINER["sequence parallel"],
    Assumption("sharding", "FSDP2 over all ranks or a group (HSDP); ZeRO 2 gathers once for both passes", BOTH,
               (Field(f"{F}version", write=2),
                Field(f"{F}reshard_after_forward", "layout.zero_stage", None,
                      lambda e: e.plan.layout.zero_stage == 3, read=stage_of),
                Field(f"{F}auto_wrap_policy", write="TRANSFORMER_BASED_WRAP"),
                Field(f"{F}state_dict_type", write="SHARDED_STATE_DICT"),
                Field(f"{F}cpu_ram_efficient_loading", write=True),
                Field(f"{P}dp_replicate_size", write=lambda e: _group(e) and e.plan.layout.dp // _group(e)),
                Field(f"{P}dp_shard_size", "layout.shard_group", None, _group))),
    Assumption("buckets", "a block's parameters", BOTH, (), "one unit a block: the model's `_no_split_modules`"),
    Assumption("weights", "fp32 shards, computed with in 16 bits", BOTH,
               (Field("mixed_precision", "training.precision", None, lambda e: e.plan.precision or "bf16",
                      read=lambda kind, _: "fp16" if kind == "fp16" else "bf16"),
                Field("--bf16", write=lambda e: e.plan.precision != "fp16" or None),
                Field("--fp16", write=lambda e: e.plan.precision == "fp16" or None)),
               lacking=_weights_lacking),
    Assumption("gradients", "fp32 shards, reduced in fp32", BOTH, (),
               "Accelerate reduces in the 16-bit type of `mixed_precision`: half the traffic that is planned"),
    Assumption("reductions", "behind the backward pass", "time", (), "FSDP's own"),
    Assumption("optimizer", "AdamW's moments beside fp32 weights", BOTH,
               (Field("--optim", write=lambda e: OPTIMIZERS.get(conditions_of(e).optimizer, "")),),
               "others are refused", lacking=_optimizer_lacking),
    Assumption("offload", "none", BOTH, (Field(f"{F}offload_params", write=False),), "what is on the host is refused",
               lacking=_offload_lacking),
    TRAINER["adapters"],
    Assumption("recompute", "none, or whole layers", BOTH,
               (Field(f"{F}activation_checkpointing", "layout.recompute", None, words={"full": True, "none": False},
                      read=lambda on, _: "full" if on is True else "none"),
                Field("--gradient_checkpointing", write=False)),
               "a share of the layers is refused; FSDP does it, not the Trainer", lacking=_recompute_lacking),
    TRAINER["attention"],
    TRAINER["fused kernels"],
    TRAINER["dropout"],
    TRAINER["loss"],
    Assumption("routing", "even over the experts", BOTH, (), "`router_aux_loss_coef` of the model's config.json"),
    TRAINER["expert exchange"],
    TRAINER["CUDA graphs"],
)  # fmt: skip
