"""What a plan assumes of a run that a training script of the user's own makes, as PLAN_… variables of its environment.

The words beside them are those of PyTorch's FSDP, Composer 6405188 (composer/utils/parallelism.py) and LLM Foundry
8c8dd48 (scripts/train/yamls/pretrain).
"""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import Assumption
from planner.interop.export_common import Export, conditions_of


def _layout(export: Export) -> dict[str, Any]:
    return {"TP": export.plan.layout.tp, "CP": export.plan.layout.cp, "SEQ_LENGTH": export.plan.seq_length}


def _batch(export: Export) -> dict[str, Any]:
    plan = export.plan
    return {
        "MICRO_BATCH": plan.layout.micro_batch,
        "GRAD_ACCUM": plan.layout.grad_accum,
        "GLOBAL_BATCH": plan.global_batch,
        "ITERATIONS": plan.iterations,
    }


def _sharding(export: Export) -> dict[str, Any]:
    stage, group = export.plan.layout.zero_stage, conditions_of(export).shard_group
    whole = {2: "SHARD_GRAD_OP", 3: "FULL_SHARD"}.get(stage, "NO_SHARD")
    within = {2: "_HYBRID_SHARD_ZERO2", 3: "HYBRID_SHARD"}.get(stage, "NO_SHARD")
    return {
        "ZERO_STAGE": stage,
        "SHARDING_STRATEGY": within if group else whole,
        "SHARD_GROUP": group or export.plan.layout.dp,
        "BACKWARD_PREFETCH": "BACKWARD_PRE",
    }


def _recompute(export: Export) -> dict[str, Any]:
    share = conditions_of(export).recompute_share
    return {"RECOMPUTE": export.plan.layout.recompute, "RECOMPUTE_SHARE": 1 if share is None else share}


def _attention(export: Export) -> dict[str, Any]:
    stated = conditions_of(export)
    return {"FLASH_ATTENTION": int(stated.flash_generation or stated.flash_attention)}


def _adapters(export: Export) -> dict[str, Any]:
    adapter = conditions_of(export).adapter
    if adapter is None:
        return {}
    modules = " ".join(adapter.target_modules)
    return {"ADAPTER": adapter.method, "LORA_R": adapter.r, "LORA_TARGET_MODULES": modules}


BOTH = "memory, time"
SCRIPT = (
    Assumption("layout", "ranks that share the data alone", BOTH, ("PLAN_TP", "PLAN_CP", "PLAN_SEQ_LENGTH"), "",
               _layout),
    Assumption("batch", "sequences a micro-batch, micro-batches, sequences a step", BOTH,
               ("PLAN_MICRO_BATCH", "PLAN_GRAD_ACCUM", "PLAN_GLOBAL_BATCH", "PLAN_ITERATIONS"),
               "`device_train_microbatch_size`, `global_train_batch_size`", _batch),
    Assumption("expert ranks", "experts sharded like every weight", BOTH, (), "no expert parallelism is planned"),
    Assumption("sequence parallel", "none", BOTH, (), "none is planned"),
    Assumption("sharding", "all ranks or a group; one block gathered ahead in the backward pass", BOTH,
               ("PLAN_ZERO_STAGE", "PLAN_SHARDING_STRATEGY", "PLAN_SHARD_GROUP", "PLAN_BACKWARD_PREFETCH"),
               "`fsdp_config.sharding_strategy`, `data_parallel_shard_degree`, `backward_prefetch`", _sharding),
    Assumption("buckets", "a block's flat parameter", BOTH, (), "one FSDP unit a block (`auto_wrap`)"),
    Assumption("weights", "fp32 shards, computed with in 16 bits (fp8 in matmuls)", BOTH, ("PLAN_PRECISION",),
               "`precision: amp_bf16`, `amp_fp16`, `amp_fp8`",
               lambda e: {"PRECISION": e.plan.precision or "bf16"}),
    Assumption("gradients", "fp32 shards, reduced in fp32", BOTH, ("PLAN_MIXED_PRECISION", "PLAN_REDUCE_TYPE"),
               "`fsdp_config.mixed_precision: DEFAULT`; PURE reduces in 16 bits",
               lambda _: {"MIXED_PRECISION": "DEFAULT", "REDUCE_TYPE": "fp32"}),
    Assumption("reductions", "behind the backward pass", "time", (), "FSDP's own"),
    Assumption("optimizer", "the stated one's moments beside fp32 weights", BOTH, ("PLAN_OPTIMIZER",), "",
               lambda e: {"OPTIMIZER": conditions_of(e).optimizer}),
    Assumption("offload", "none, or what is stated", BOTH, ("PLAN_OFFLOAD",),
               "`fsdp_config.activation_cpu_offload` for activations",
               lambda e: {"OFFLOAD": conditions_of(e).offload}),
    Assumption("adapters", "all of the model trained, or LoRA's adapters on weights in 16 or 4 bits", BOTH,
               ("PLAN_ADAPTER", "PLAN_LORA_R", "PLAN_LORA_TARGET_MODULES"), "PEFT's `LoraConfig`", _adapters),
    Assumption("recompute", "none, or whole blocks, or a share of them", BOTH,
               ("PLAN_RECOMPUTE", "PLAN_RECOMPUTE_SHARE"), "`fsdp_config.activation_checkpointing`", _recompute),
    Assumption("attention", "flash kernels (1; 2 or 3 of a generation), or scores in memory (0)", BOTH,
               ("PLAN_FLASH_ATTENTION",), "`attn_config.attn_impl`", _attention),
    Assumption("fused kernels", "norms and activations fused (1) or each by itself (0)", BOTH, ("PLAN_FUSED",), "",
               lambda e: {"FUSED": int(conditions_of(e).fused_or_compile)}),
    Assumption("dropout", "none: no masks are kept", "memory", ("PLAN_DROPOUT",), "", lambda _: {"DROPOUT": 0}),
    Assumption("loss", "16-bit logits and their fp32 copy", BOTH, (), "of the script's own"),
    Assumption("routing", "even over the experts", BOTH, (), "of the script's own"),
    Assumption("expert exchange", "none", "time", (), "none is planned"),
    Assumption("CUDA graphs", "none", "time", (), "none are planned"),
)  # fmt: skip
