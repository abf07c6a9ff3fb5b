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
    Assumption("layout", "assumptions.data_ranks", BOTH,
               (Field("PLAN_TP", "layout.tp"), Field("PLAN_CP", "layout.cp"),
                Field("PLAN_SEQ_LENGTH", "data.seq_length"))),
    Assumption("batch", "assumptions.batch_parts", BOTH,
               (Field("PLAN_MICRO_BATCH", "layout.micro_batch"), Field("PLAN_GRAD_ACCUM", "layout.grad_accum"),
                Field("PLAN_GLOBAL_BATCH", "training.global_batch"), Field("PLAN_ITERATIONS", "training.iterations")),
               "script_assumptions.batch_otherwise"),
    Assumption("expert ranks", "assumptions.experts_sharded", BOTH, (), "script_assumptions.expert_ranks_otherwise"),
    Assumption("sequence parallel", "assumptions.none", BOTH, (), "assumptions.none_is_planned"),
    Assumption("sharding", "script_assumptions.sharding", BOTH,
               (Field("PLAN_ZERO_STAGE", "layout.zero_stage"), Field("PLAN_SHARDING_STRATEGY", write=_strategy),
                Field("PLAN_SHARD_GROUP", write=lambda e: conditions_of(e).shard_group or e.plan.layout.dp),
                Field("PLAN_BACKWARD_PREFETCH", write="BACKWARD_PRE")), "script_assumptions.sharding_otherwise"),
    Assumption("buckets", "script_assumptions.buckets", BOTH, (), "script_assumptions.buckets_otherwise"),
    Assumption("weights", "script_assumptions.weights", BOTH,
               (Field("PLAN_PRECISION", write=lambda e: e.plan.precision or "bf16"),),
               "script_assumptions.weights_otherwise"),
    Assumption("gradients", "assumptions.shards_fp32", BOTH,
               (Field("PLAN_MIXED_PRECISION", write="DEFAULT"), Field("PLAN_REDUCE_TYPE", write="fp32")),
               "script_assumptions.gradients_otherwise"),
    Assumption("reductions", "assumptions.reductions_hidden", "time", (), "assumptions.fsdp_own"),
    Assumption("optimizer", "script_assumptions.optimizer", BOTH, (Field("PLAN_OPTIMIZER", "training.optimizer"),)),
    Assumption("offload", "script_assumptions.offload", BOTH, (Field("PLAN_OFFLOAD", "training.offload"),),
               "script_assumptions.offload_otherwise"),
    Assumption("adapters", "script_assumptions.adapters", BOTH,
               ("PLAN_ADAPTER", "PLAN_LORA_R", "PLAN_LORA_TARGET_MODULES"),
               "script_assumptions.adapters_otherwise", _adapters),
    Assumption("recompute", "script_assumptions.recompute", BOTH,
               (Field("PLAN_RECOMPUTE", "layout.recompute"), Field("PLAN_RECOMPUTE_SHARE", write=_share)),
               "script_assumptions.recompute_otherwise"),
    Assumption("attention", "script_assumptions.attention", BOTH,
               (Field("PLAN_FLASH_ATTENTION",
                      write=lambda e: int(conditions_of(e).flash_generation or conditions_of(e).flash_attention)),),
               "script_assumptions.attention_otherwise"),
    Assumption("fused kernels", "script_assumptions.fused_kernels", BOTH,
               (Field("PLAN_FUSED", write=lambda e: int(conditions_of(e).fused_or_compile)),)),
    Assumption("dropout", "assumptions.no_masks", "memory", (Field("PLAN_DROPOUT", write=0),)),
    Assumption("loss", "assumptions.loss_copied", BOTH, (), "assumptions.of_the_script"),
    Assumption("routing", "assumptions.even_routing", BOTH, (), "assumptions.of_the_script"),
    Assumption("expert exchange", "assumptions.none", "time", (), "assumptions.none_is_planned"),
    Assumption("CUDA graphs", "assumptions.none", "time", (), "assumptions.none_are_planned"),
)  # fmt: skip
