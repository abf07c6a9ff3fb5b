"""What a plan assumes of a run under PyTorch's FSDP through Accelerate and the Trainer, and what makes it so.

Keys are those of accelerate.yaml of huggingface/accelerate 16cb6eb (FSDP2, src/accelerate/utils/dataclasses.py
FullyShardedDataParallelPlugin), words behind `--` the TrainingArguments of transformers.
"""

from __future__ import annotations

from typing import Any

from planner.interop import deepspeed_assumptions as trainer
from planner.interop.assumptions import Assumption, conditions_of
from planner.interop.export_common import Export

F, P = "fsdp_config.fsdp_", "parallelism_config.parallelism_config_"
OPTIMIZERS = {"adamw": "adamw_torch_fused"}


def _batch(export: Export) -> dict[str, Any]:
    layout = export.plan.layout
    return {
        "--per_device_train_batch_size": layout.micro_batch,
        "--gradient_accumulation_steps": layout.grad_accum,
    }


def _sharding(export: Export) -> dict[str, Any]:
    """FSDP2's; groups of ranks through Accelerate's ParallelismConfig."""
    values: dict[str, Any] = {
        f"{F}version": 2,
        f"{F}reshard_after_forward": export.plan.layout.zero_stage == 3,
        f"{F}auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
        f"{F}state_dict_type": "SHARDED_STATE_DICT",
        f"{F}cpu_ram_efficient_loading": True,
    }
    group, ranks = conditions_of(export).shard_group, export.plan.layout.dp
    if group and group < ranks:
        values |= {f"{P}dp_replicate_size": ranks // group, f"{P}dp_shard_size": group}
    return values


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
    Assumption("layout", "ranks that share the data alone", BOTH, (), "tp, pp, cp are refused",
               lacking=trainer.layout_lacking),
    Assumption("batch", "sequences a micro-batch, micro-batches, sequences a step", BOTH,
               ("--per_device_train_batch_size", "--gradient_accumulation_steps"), "", _batch),
    Assumption("expert ranks", "experts sharded like every weight", BOTH, (), "ep is refused"),
    Assumption("sequence parallel", "none", BOTH, (), "no tensor parallel"),
    Assumption("sharding", "FSDP2 over all ranks or a group (HSDP); ZeRO 2 gathers once for both passes", BOTH,
               (f"{F}version", f"{F}reshard_after_forward", f"{F}auto_wrap_policy", f"{F}state_dict_type",
                f"{F}cpu_ram_efficient_loading", f"{P}dp_replicate_size", f"{P}dp_shard_size"),
               "", _sharding),
    Assumption("buckets", "a block's parameters", BOTH, (), "one unit a block: the model's `_no_split_modules`"),
    Assumption("weights", "fp32 shards, computed with in 16 bits", BOTH, ("mixed_precision", "--bf16", "--fp16"), "",
               lambda e: {"mixed_precision": e.plan.precision or "bf16", f"--{e.plan.precision or 'bf16'}": True},
               _weights_lacking),
    Assumption("gradients", "fp32 shards, reduced in fp32", BOTH, (),
               "Accelerate reduces in the 16-bit type of `mixed_precision`: half the traffic that is planned"),
    Assumption("reductions", "behind the backward pass", "time", (), "FSDP's own"),
    Assumption("optimizer", "AdamW's moments beside fp32 weights", BOTH, ("--optim",), "others are refused",
               lambda e: {"--optim": OPTIMIZERS.get(conditions_of(e).optimizer, "")}, _optimizer_lacking),
    Assumption("offload", "none", BOTH, (f"{F}offload_params",), "what is on the host is refused",
               lambda _: {f"{F}offload_params": False}, _offload_lacking),
    Assumption("adapters", "all of the model trained, or LoRA's adapters in fp32 on weights in 16 or 4 bits", BOTH,
               trainer.ADAPTER_WORDS, "read by TRL's trl/scripts/sft.py; without adapters none is written",
               trainer.adapter_words),
    Assumption("recompute", "none, or whole layers", BOTH, (f"{F}activation_checkpointing", "--gradient_checkpointing"),
               "a share of the layers is refused; FSDP does it, not the Trainer",
               lambda e: {f"{F}activation_checkpointing": e.plan.layout.recompute == "full",
                          "--gradient_checkpointing": False}, _recompute_lacking),
    Assumption("attention", "flash kernels, or scores in memory", BOTH, ("--attn_implementation",),
               "written as ATTN_IMPLEMENTATION: it is the script's to hand to from_pretrained or from_config",
               trainer.attention),
    Assumption("fused kernels", "norms and activations compiled, or each by itself", BOTH, ("--torch_compile",), "off",
               lambda e: {"--torch_compile": conditions_of(e).fused_or_compile}),
    Assumption("dropout", "none: no masks are kept", "memory", (), "transformers' decoders of today have none"),
    Assumption("loss", "16-bit logits and their fp32 copy", BOTH, (), "transformers' `ForCausalLMLoss`"),
    Assumption("routing", "even over the experts", BOTH, (), "`router_aux_loss_coef` of the model's config.json"),
    Assumption("expert exchange", "none", "time", (), "experts are whole on every rank while they run"),
    Assumption("CUDA graphs", "none", "time", (), "none are planned"),
)  # fmt: skip
