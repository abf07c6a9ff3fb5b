"""What a plan assumes of a run under nanotron, and the keys of its YAML that make it so.

Keys and defaults are those of huggingface/nanotron 7bc9923 (2026-04-07), src/nanotron/config.
"""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import Assumption, conditions_of
from planner.interop.export_common import Export


def _layout(export: Export) -> dict[str, Any]:
    layout = export.plan.layout
    return {
        "parallelism.dp": layout.dp,
        "parallelism.tp": layout.tp,
        "parallelism.pp": layout.pp,
        "parallelism.context_parallel_size": 1,
        "parallelism.pp_engine": "1f1b",
    }


def _layout_lacking(export: Export) -> str:
    layout = export.plan.layout
    sizes = {"vpp": layout.vpp, "cp": layout.cp, "ep": layout.ep}
    odd = next((f"{name} {size}" for name, size in sizes.items() if size > 1), "")
    return f"it has no {odd}; plan with layout.{odd.split()[0]}: 1" if odd else ""


def _batch(export: Export) -> dict[str, Any]:
    layout = export.plan.layout
    return {
        "tokens.micro_batch_size": layout.micro_batch,
        "tokens.batch_accumulation_per_replica": layout.grad_accum,
        "tokens.sequence_length": export.plan.seq_length,
    }


def _sequence_parallel(export: Export) -> dict[str, Any]:
    split = export.plan.layout.sequence_parallel
    return {
        "parallelism.tp_mode": "REDUCE_SCATTER" if split else "ALL_REDUCE",
        "parallelism.tp_linear_async_communication": split,
    }


def _recompute_lacking(export: Export) -> str:
    if export.plan.layout.recompute != "selective":
        return ""
    return "it has no recompute of modules; plan with layout.recompute: full"


def _attention_lacking(export: Export) -> str:
    if conditions_of(export).flash_attention:
        return ""
    return "it has no attention that keeps its scores; plan with training.flash_attention: true"


def _fused(export: Export) -> dict[str, Any]:
    fused = conditions_of(export).fused_or_compile
    return {"model.model_config._fused_rms_norm": fused, "model.model_config._fused_rotary_emb": True}


BOTH = "memory, time"
NANOTRON = (
    Assumption("layout", "tp, pp; what a stage passed on stays until it comes back", BOTH,
               ("parallelism.dp", "parallelism.tp", "parallelism.pp", "parallelism.pp_engine",
                "parallelism.context_parallel_size"),
               "unstated, the engine would run all forward passes before the first backward one; vpp and cp are "
               "refused", _layout, _layout_lacking),
    Assumption("batch", "sequences a micro-batch, micro-batches", BOTH,
               ("tokens.micro_batch_size", "tokens.batch_accumulation_per_replica", "tokens.sequence_length"), "",
               _batch),
    Assumption("expert ranks", "none", BOTH, ("parallelism.expert_parallel_size",), "experts are refused",
               lambda _: {"parallelism.expert_parallel_size": 1}),
    Assumption("sequence parallel", "norms and the residual stream divided by tp", BOTH,
               ("parallelism.tp_mode", "parallelism.tp_linear_async_communication"), "off", _sequence_parallel),
    Assumption("sharding", "ZeRO 1 over all data-parallel ranks, or none", BOTH, ("optimizer.zero_stage",),
               "a shard group is refused", lambda e: {"optimizer.zero_stage": e.plan.layout.zero_stage}),
    Assumption("buckets", "none worth counting", "memory", ("model.ddp_bucket_cap_mb",), "25 MB",
               lambda _: {"model.ddp_bucket_cap_mb": 25}),
    Assumption("weights", "bf16", BOTH, ("model.dtype",), "others are refused", lambda _: {"model.dtype": "bfloat16"}),
    Assumption("gradients", "added up and reduced in fp32, whole on every rank", BOTH,
               ("optimizer.accumulate_grad_in_fp32",), "", lambda _: {"optimizer.accumulate_grad_in_fp32": True}),
    Assumption("reductions", "behind the backward pass as much as in measured runs that do not say", "time", (),
               "the last micro-batch's own"),
    Assumption("optimizer", "fp32 master weights and AdamW's moments", BOTH, ("optimizer.optimizer_factory.name",),
               "others are refused", lambda _: {"optimizer.optimizer_factory.name": "adamW"}),
    Assumption("offload", "none", BOTH, (), "what is on the host is refused"),
    Assumption("adapters", "none: all of the model is trained", BOTH, (), "LoRA and QLoRA are refused"),
    Assumption("recompute", "none, or whole layers", BOTH, ("parallelism.recompute_layer",),
               "modules or a share of the layers are refused",
               lambda e: {"parallelism.recompute_layer": e.plan.layout.recompute == "full"}, _recompute_lacking),
    Assumption("attention", "flash kernels", BOTH, ("model.model_config._attn_implementation",),
               "scores in memory are refused",
               lambda _: {"model.model_config._attn_implementation": "flash_attention_2"}, _attention_lacking),
    Assumption("fused kernels", "norms fused, or each by itself", BOTH,
               ("model.model_config._fused_rms_norm", "model.model_config._fused_rotary_emb"), "fused", _fused),
    Assumption("dropout", "none: no masks are kept", "memory", (), "its Qwen2 has none"),
    Assumption("loss", "16-bit logits and their fp32 copy", BOTH, (), "`sharded_cross_entropy`"),
    Assumption("routing", "no experts", BOTH, (), "experts are refused"),
    Assumption("expert exchange", "none", "time", (), "experts are refused"),
    Assumption("CUDA graphs", "none", "time", (), "nanotron has none"),
)  # fmt: skip
