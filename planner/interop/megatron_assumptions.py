"""What a plan assumes of a run under Megatron-LM, and the arguments that make it so.

Names, defaults and refusals are those of NVIDIA/Megatron-LM d98e8a6 (2026-08-22): megatron/training/arguments.py,
megatron/core/transformer/transformer_config.py, megatron/core/optimizer, megatron/core/distributed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from planner.interop.assumptions import Assumption, gradients_of, modules_of, unknown_modules
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field
from planner.interop.launching import TRAIN
from planner.interop.megatron_conditions import (
    attention_backend,
    fusion_arguments,
    instances,
    layers_recomputed,
    overlap_arguments,
    pipeline_layout,
)
from planner.interop.megatron_fields import balanced_by_bias

#: `--optimizer` and what else keeps the states that planner counts.
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw": {},
    "adamw-bf16": {"use-precision-aware-optimizer": True, "exp-avg-dtype": "bf16", "exp-avg-sq-dtype": "bf16"},
    "muon": {"optimizer": "muon"},
    "lion": {"optimizer": "lion"},
    "sgd-momentum": {"optimizer": "sgd", "sgd-momentum": 0.9},
}
#: What a vendor's recipe switches on (columns of catalogs/recipes), as arguments.
GRAPHS: dict[str, dict[str, Any]] = {
    "full": {"cuda-graph-impl": "full_iteration", "no-check-for-nan-in-loss-and-grad": True},
    "router": {"cuda-graph-impl": "transformer_engine", "cuda-graph-modules": ["moe_router", "moe_preprocess"]},
    "attention": {"cuda-graph-impl": "transformer_engine", "cuda-graph-modules": ["attn"]},
    "attention+router": {
        "cuda-graph-impl": "transformer_engine",
        "cuda-graph-modules": ["attn", "moe_router", "moe_preprocess"],
    },
}
FLEXIBLE = ("deepep", "hybridep")
#: Weights of the balancing loss: Switch Transformer's (Fedus et al. 2022), and beside a bias of the router's own
#: DeepSeek-V3's (arXiv:2412.19437, section 4.2). Megatron-LM's default is none, under which experts go uneven.
BALANCING, BESIDE_A_BIAS = 1e-2, 1e-4


def _uneven(export: Export) -> str | None:
    """The pipeline's layout, where stages have unlike numbers of layers."""
    layout, model = export.plan.layout, export.model
    stages = layout.pp * layout.vpp
    if model.layers % stages == 0:
        return None
    export.notes.append(f"{TRAIN}: {model.layers} layers over {stages} stages are uneven; see the pipeline layout")
    return pipeline_layout(model.layers, stages, model.mtp_layers)


def _virtual(export: Export) -> int | None:
    layout = export.plan.layout
    even = export.model.layers % (layout.pp * layout.vpp) == 0
    return layout.vpp if even and layout.vpp > 1 else None


def _with_experts(value: Callable[[Export], Any]) -> Callable[[Export], Any]:
    return lambda export: value(export) if export.model.moe is not None else None


def _fsdp(export: Export) -> bool:
    return export.plan.layout.zero_stage >= 2


def _sharding(export: Export) -> dict[str, Any]:
    layout = export.plan.layout
    values: dict[str, Any] = {"use-distributed-optimizer": layout.zero_stage >= 1}
    if _fsdp(export):
        values["use-megatron-fsdp"] = True
        values["ckpt-format"] = "fsdp_dtensor"  # the one that its FSDP can write
        values["data-parallel-sharding-strategy"] = {2: "optim_grads", 3: "optim_grads_params"}[layout.zero_stage]
    return {**values, "num-distributed-optimizer-instances": instances(export.plan.conditions, layout)}


def _sharding_lacking(export: Export) -> str:
    layout, stated = export.plan.layout, conditions_of(export)
    ranks, group = layout.dp * layout.cp, stated.shard_group
    if group is None or group >= ranks or layout.zero_stage == 0:
        return ""
    if ranks % group:
        return (
            f"it has no shard group of {group} among {ranks} ranks, which it does not divide; "
            f"plan with a layout.shard_group that divides dp x cp"
        )
    if stated.optimizer in ("muon", "lion"):
        return f"it has no shard group for {stated.optimizer}; plan without layout.shard_group"
    return ""


def _weights(export: Export) -> dict[str, Any]:
    """Formats. Weights are in 8 bits alone where a distributed optimizer gathers them so."""
    plan, gathered = export.plan, export.plan.layout.zero_stage >= 1
    match plan.precision:
        case "fp16":
            return {"fp16": True}
        case "fp8":
            recipe = "delayed" if _on_host(export) else "tensorwise"
            return {"bf16": True, "fp8-format": "hybrid", "fp8-recipe": recipe, "fp8-param-gather": gathered}
        case "mxfp8":
            return {
                "bf16": True,
                "fp8-format": "e4m3",
                "fp8-recipe": "mxfp8",
                "fp8-param-gather": gathered,
                "reuse-grad-buf-for-mxfp8-param-ag": plan.layout.zero_stage == 1,
            }
        case "nvfp4":
            return {"bf16": True, "fp4-format": "e2m1"}
    return {"bf16": True}


def _weights_lacking(export: Export) -> str:
    if export.plan.precision == "mxfp8" and _on_host(export):
        return "it has no optimizer on the host beside mxfp8 weights; plan with training.offload: none"
    if export.plan.precision == "fp8" and _on_host(export) and {"moe_act", "layernorm"} & set(modules_of(export)):
        return (
            "it has no recompute of norms and expert activations under the delayed scaling that an optimizer on the "
            "host needs; plan with layout.recompute: full"
        )
    return ""


def _on_host(export: Export) -> bool:
    return conditions_of(export).offload in ("optimizer", "both")


def _gradients_lacking(export: Export) -> str:
    kind, fp16 = gradients_of(export), export.plan.precision == "fp16"
    return f"it has no {kind} gradients with {'fp16' if fp16 else 'bf16'} weights" if fp16 != (kind == "fp16") else ""


def _offload_lacking(export: Export) -> str:
    if not _on_host(export) or conditions_of(export).optimizer == "adamw":
        return ""
    return f"it has no {conditions_of(export).optimizer} on the host; plan with training.optimizer: adamw"


def _recompute(export: Export) -> dict[str, Any]:
    layout = export.plan.layout
    if layout.recompute == "selective":
        return {"recompute-granularity": "selective", "recompute-modules": list(modules_of(export))}
    share = conditions_of(export).recompute_share
    if layout.recompute != "full" or share == 0:
        return {}
    full = {"recompute-granularity": "full", "recompute-method": "uniform", "recompute-num-layers": 1}
    if share is None or share >= 1:
        return full
    number, _ = layers_recomputed(share, layout, export.model)
    return {**full, "recompute-method": "block", "recompute-num-layers": number}


def _recompute_lacking(export: Export) -> str:
    layout, share = export.plan.layout, conditions_of(export).recompute_share
    if layout.recompute != "full" or share is None or not 0 < share < 1:
        return unknown_modules(export)
    number, nearest = layers_recomputed(share, layout, export.model)
    if abs(nearest - share) < 1e-5:
        return ""
    return (
        f"it has no recompute of {share:g} of {export.model.layers} layers over {layout.pp * layout.vpp} stages, which "
        f"counts whole layers of each; plan with layout.recompute_share: {nearest:.6g} ({number} of each)"
    )


def _attention_lacking(export: Export) -> str:
    if conditions_of(export).recipe.get("fp8_attention") != "yes":
        return ""
    return "it has no argument for the 8-bit attention of the vendor's recipe; plan with training.tuning: field"


def _balancing(export: Export) -> float:
    return BESIDE_A_BIAS if balanced_by_bias(export) else BALANCING


def _flexible(export: Export) -> str | None:
    backend = conditions_of(export).recipe.get("dispatch", "alltoall")
    return backend if backend in FLEXIBLE else None


def _exchange_lacking(export: Export) -> str:
    layout, recipe = export.plan.layout, conditions_of(export).recipe
    if recipe.get("dispatch", "alltoall") not in ("alltoall", *FLEXIBLE):
        return f"it has no dispatcher {recipe['dispatch']}; plan again"
    if recipe.get("overlap") != "yes":
        return ""
    needs = layout.ep > 1 and layout.recompute != "full" and (layout.pp == 1 or layout.vpp > 1)
    return (
        ""
        if needs
        else "it has no overlap of the experts' exchange, as the vendor's recipe has it, without ep above 1, an "
        "interleaved pipeline, and with full recompute; plan with training.tuning: field"
    )


def _graphs_lacking(export: Export) -> str:
    graphs = conditions_of(export).recipe.get("graphs", "none")
    return "" if graphs in ("none", *GRAPHS) else f"it has no CUDA graphs of {graphs}; plan again"


BOTH = "memory, time"
MEGATRON = tuple(replace(row, spelt="--") for row in (
    Assumption(
        "layout", "tp, pp, vpp, cp; dp is what is left; a ring of keys and values; sent tensors are freed", BOTH,
        (
            Field("tensor-model-parallel-size", "layout.tp", 1), Field("pipeline-model-parallel-size", "layout.pp", 1),
            Field("context-parallel-size", "layout.cp", 1),
            Field("num-virtual-stages-per-pipeline-rank", "layout.vpp", 1, _virtual),
            Field("pipeline-model-parallel-layout", write=_uneven),
        ),
        "`--cp-comm-type` is p2p by default, and sends overlap where vpp is above 1",
    ),
    Assumption("batch", "sequences a micro-batch, and a step", BOTH,
               (Field("micro-batch-size", "layout.micro_batch"), Field("global-batch-size", "training.global_batch"))),
    Assumption("expert ranks", "ep; tensor parallel does not divide experts (etp 1)", BOTH,
               (Field("expert-model-parallel-size", "layout.ep", 1, _with_experts(lambda e: e.plan.layout.ep)),
                Field("expert-tensor-parallel-size", write=_with_experts(lambda _: 1))),
               "unstated, the latter would be tp"),
    Assumption("sequence parallel", "norms and the residual stream divided by tp", BOTH,
               (Field("sequence-parallel", "layout.sequence_parallel"),)),
    Assumption("sharding", "ZeRO 1: the distributed optimizer; 2 and 3: Megatron-FSDP, one layer gathered ahead; over "
               "dp x cp ranks or a shard group that divides them", BOTH,
               ("use-distributed-optimizer", "use-megatron-fsdp", "data-parallel-sharding-strategy", "ckpt-format",
                "num-distributed-optimizer-instances"),
               "other groups are refused", _sharding, _sharding_lacking),
    Assumption("buckets", "gradients are reduced, weights gathered, in place; 40 million values or a million a rank "
               "at once", BOTH, (), "`--ddp-bucket-size` is that by default"),
    Assumption("weights", "16 bits; fp8 and mxfp8 under ZeRO 1 to 3 rows and columns of 8 bits alone, under ZeRO 0 "
               "beside 16; nvfp4 beside 16", BOTH,
               ("bf16", "fp16", "fp8-format", "fp8-recipe", "fp8-param-gather",
                "reuse-grad-buf-for-mxfp8-param-ag", "fp4-format"),
               "fp8 is scaled by tensor, or delayed where the optimizer is on the host; mxfp8 beside an optimizer on "
               "the host is refused", _weights, _weights_lacking),
    Assumption("gradients", "kept and reduced in fp32; in bf16 where a vendor's recipe runs; in fp16 with fp16", BOTH,
               (Field("grad-reduce-in-bf16", write=lambda e: None if _fsdp(e) else gradients_of(e) == "bf16"),
                Field("megatron-fsdp-main-grads-dtype", write=lambda e: gradients_of(e) if _fsdp(e) else None)),
               "fp32 under bf16, fp16 under fp16 without Megatron-FSDP, whose default is the weights' type",
               lacking=_gradients_lacking),
    Assumption("reductions", "behind the backward pass as much as in measured runs that do not say, or as stated",
               "time", ("overlap-grad-reduce", "overlap-param-gather"), "on with ZeRO 1 to 3 where not stated",
               lambda e: overlap_arguments(e.plan.conditions, e.plan.layout.zero_stage)),
    Assumption("optimizer", "fp32 master weights and its own moments (AdamW fp32; bf16 moments; Muon; Lion; SGD)",
               BOTH, ("optimizer", "sgd-momentum", "use-precision-aware-optimizer", "exp-avg-dtype",
                      "exp-avg-sq-dtype"),
               "adam; others, and ZeRO stages at which one does not run, are refused. With bf16 moments Transformer "
               "Engine may keep masters as 16-bit remainders: up to 2 bytes a parameter less than counted",
               lambda e: OPTIMIZERS.get(conditions_of(e).optimizer, {})),
    Assumption("offload", "none, or the optimizer's states on the host", BOTH,
               ("optimizer-cpu-offload", "use-precision-aware-optimizer"), "activations on the host are refused",
               lambda e: dict.fromkeys(("use-precision-aware-optimizer", "optimizer-cpu-offload"), True)
               if _on_host(e) else {}, _offload_lacking),
    Assumption("adapters", "none: all of the model is trained", BOTH, (), "LoRA and QLoRA are refused"),
    Assumption("recompute", "none; of modules: `moe_act`, `layernorm`, `mla_up_proj` where the model has them, "
               "`core_attn` where attention keeps scores or there is nothing else; whole layers, or a share of them",
               BOTH, ("recompute-granularity", "recompute-modules", "recompute-method", "recompute-num-layers"),
               "a share that is no whole number of layers a stage is refused", _recompute, _recompute_lacking),
    Assumption("attention", "flash kernels, of a generation where stated, or scores in memory", BOTH,
               (Field("attention-backend", write=lambda e: attention_backend(e.plan.conditions)),),
               "8-bit attention of a vendor's recipe is refused: there is no argument for it",
               lacking=_attention_lacking),
    Assumption("fused kernels", "biases with activations and with dropout, or each by itself", BOTH,
               ("no-bias-swiglu-fusion", "no-bias-gelu-fusion", "no-bias-dropout-fusion"), "fused",
               lambda e: fusion_arguments(e.plan.conditions, e.model)),
    Assumption("dropout", "none: no masks are kept", "memory",
               (Field("attention-dropout", write=0.0), Field("hidden-dropout", write=0.0)),
               "unstated, both would be 0.1"),
    Assumption("loss", "16-bit logits and their fp32 copy, worked on in place", BOTH, (),
               "`--cross-entropy-loss-fusion` is off by default"),
    Assumption("routing", "dropless, the busiest rank 1.1 times the mean under a balancing loss; matmuls of experts "
               "grouped, or in one kernel where a vendor's recipe has it", BOTH,
               (Field("moe-grouped-gemm", write=_with_experts(lambda _: True)),
                Field("moe-router-load-balancing-type", write=_with_experts(lambda _: "aux_loss")),
                Field("moe-aux-loss-coeff", write=_with_experts(_balancing)),
                Field("use-transformer-engine-op-fuser",
                      write=_with_experts(lambda e: conditions_of(e).recipe.get("fused_experts") == "yes"))),
               "no capacity factor by default; unstated, the loss would weigh nothing"),
    Assumption("expert exchange", "all-to-all; a vendor's recipe may have DeepEP or HybridEP, and hide it", "time",
               (Field("moe-token-dispatcher-type",
                      write=_with_experts(lambda e: "flex" if _flexible(e) else "alltoall")),
                Field("moe-flex-dispatcher-backend", write=_with_experts(_flexible)),
                Field("moe-router-dtype", write=_with_experts(lambda e: "fp32" if _flexible(e) else None)),
                Field("overlap-moe-expert-parallel-comm",
                      write=_with_experts(lambda e: conditions_of(e).recipe.get("overlap") == "yes"))),
               "hiding it in a layout that does not allow it is refused", lacking=_exchange_lacking),
    Assumption("CUDA graphs", "none, or those of a vendor's recipe", "time",
               ("cuda-graph-impl", "cuda-graph-modules", "no-check-for-nan-in-loss-and-grad"), "none; their "
               "private pools are not counted",
               lambda e: GRAPHS.get(conditions_of(e).recipe.get("graphs", "none"), {}), _graphs_lacking),
))  # fmt: skip
