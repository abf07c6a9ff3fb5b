"""What a plan assumes of a run that a training script of the user's own makes, as PLAN_… variables of its environment.

The words beside them are those of PyTorch's FSDP, Composer 6405188 (composer/utils/parallelism.py) and LLM Foundry
8c8dd48 (scripts/train/yamls/pretrain).
"""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import Assumption
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field

BOTH = "memory, time"
WHOLE = {2: "SHARD_GRAD_OP", 3: "FULL_SHARD"}
WITHIN = {2: "_HYBRID_SHARD_ZERO2", 3: "HYBRID_SHARD"}


def _strategy(export: Export) -> str:
    """FSDP's name of the ZeRO stage, over all ranks or within a group."""
    names = WITHIN if conditions_of(export).shard_group else WHOLE
    return names.get(export.plan.layout.zero_stage, "NO_SHARD")


def _share(export: Export) -> float:
    share = conditions_of(export).recompute_share
    return 1 if share is None else share


def _adapters(export: Export) -> dict[str, Any]:
    adapter = conditions_of(export).adapter
    if adapter is None:
        return {}
    modules = " ".join(adapter.target_modules)
    return {"PLAN_ADAPTER": adapter.method, "PLAN_LORA_R": adapter.r, "PLAN_LORA_TARGET_MODULES": modules}


SCRIPT = (
    Assumption("layout", "ranks that share the data alone", BOTH,
               (Field("PLAN_TP", "layout.tp"), Field("PLAN_CP", "layout.cp"),
                Field("PLAN_SEQ_LENGTH", "data.seq_length"))),
    Assumption("batch", "sequences a micro-batch, micro-batches, sequences a step", BOTH,
               (Field("PLAN_MICRO_BATCH", "layout.micro_batch"), Field("PLAN_GRAD_ACCUM", "layout.grad_accum"),
                Field("PLAN_GLOBAL_BATCH", "training.global_batch"), Field("PLAN_ITERATIONS", "training.iterations")),
               "`device_train_microbatch_size`, `global_train_batch_size`"),
    Assumption("expert ranks", "experts sharded like every weight", BOTH, (), "no expert parallelism is planned"),
    Assumption("sequence parallel", "none", BOTH, (), "none is planned"),
    Assumption("sharding", "all ranks or a group; one block gathered ahead in the backward pass", BOTH,
               (Field("PLAN_ZERO_STAGE", "layout.zero_stage"), Field("PLAN_SHARDING_STRATEGY", write=_strategy),
                Field("PLAN_SHARD_GROUP", write=lambda e: conditions_of(e).shard_group or e.plan.layout.dp),
                Field("PLAN_BACKWARD_PREFETCH", write="BACKWARD_PRE")),
               "`fsdp_config.sharding_strategy`, `data_parallel_shard_degree`, `backward_prefetch`"),
    Assumption("buckets", "a block's flat parameter", BOTH, (), "one FSDP unit a block (`auto_wrap`)"),
    Assumption("weights", "fp32 shards, computed with in 16 bits (fp8 in matmuls)", BOTH,
               (Field("PLAN_PRECISION", write=lambda e: e.plan.precision or "bf16"),),
               "`precision: amp_bf16`, `amp_fp16`, `amp_fp8`"),
    Assumption("gradients", "fp32 shards, reduced in fp32", BOTH,
               (Field("PLAN_MIXED_PRECISION", write="DEFAULT"), Field("PLAN_REDUCE_TYPE", write="fp32")),
               "`fsdp_config.mixed_precision: DEFAULT`; PURE reduces in 16 bits"),
    Assumption("reductions", "behind the backward pass", "time", (), "FSDP's own"),
    Assumption("optimizer", "the stated one's moments beside fp32 weights", BOTH,
               (Field("PLAN_OPTIMIZER", "training.optimizer"),)),
    Assumption("offload", "none, or what is stated", BOTH, (Field("PLAN_OFFLOAD", "training.offload"),),
               "`fsdp_config.activation_cpu_offload` for activations"),
    Assumption("adapters", "all of the model trained, or LoRA's adapters on weights in 16 or 4 bits", BOTH,
               ("PLAN_ADAPTER", "PLAN_LORA_R", "PLAN_LORA_TARGET_MODULES"), "PEFT's `LoraConfig`", _adapters),
    Assumption("recompute", "none, or whole blocks, or a share of them", BOTH,
               (Field("PLAN_RECOMPUTE", "layout.recompute"), Field("PLAN_RECOMPUTE_SHARE", write=_share)),
               "`fsdp_config.activation_checkpointing`"),
    Assumption("attention", "flash kernels (1; 2 or 3 of a generation), or scores in memory (0)", BOTH,
               (Field("PLAN_FLASH_ATTENTION",
                      write=lambda e: int(conditions_of(e).flash_generation or conditions_of(e).flash_attention)),),
               "`attn_config.attn_impl`"),
    Assumption("fused kernels", "norms and activations fused (1) or each by itself (0)", BOTH,
               (Field("PLAN_FUSED", write=lambda e: int(conditions_of(e).fused_or_compile)),)),
    Assumption("dropout", "none: no masks are kept", "memory", (Field("PLAN_DROPOUT", write=0),)),
    Assumption("loss", "16-bit logits and their fp32 copy", BOTH, (), "of the script's own"),
    Assumption("routing", "even over the experts", BOTH, (), "of the script's own"),
    Assumption("expert exchange", "none", "time", (), "none is planned"),
    Assumption("CUDA graphs", "none", "time", (), "none are planned"),
)  # fmt: skip
