"""What a plan assumes of a run under Megatron-LM, and the arguments that make it so.

Names, defaults and refusals are those of NVIDIA/Megatron-LM d98e8a6 (2026-08-22): megatron/training/arguments.py,
megatron/core/transformer/transformer_config.py, megatron/core/optimizer, megatron/core/distributed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from planner.interop.assumptions import Assumption, gradients_of, modules_of, unknown_modules, with_experts
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field
from planner.interop.key_kinds import table_of_keys
from planner.interop.megatron_fields import balanced_by_bias
from planner.results.plan import Layout
from planner.spec.model import ModelSpec
from planner.words import say

#: `--optimizer` and what else keeps the states that planner counts.
OPTIMIZERS: Mapping[str, Mapping[str, Any]] = table_of_keys("megatron")["optimizers"]
#: What a vendor's recipe switches on (columns of catalogs/recipes), as arguments.
GRAPHS: Mapping[str, Mapping[str, Any]] = table_of_keys("megatron")["graphs"]
ATTENTION: dict[bool | int, str] = {2: "flash", 3: "fused", True: "auto", False: "unfused"}  # --attention-backend
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
    export.notes.append(say("megatron_assumptions.uneven", layers=model.layers, stages=stages))
    return pipeline_layout(model.layers, stages, model.mtp_layers)


def pipeline_layout(layers: int, stages: int, mtp_layers: int = 0) -> str:
    """`--pipeline-model-parallel-layout` of stages that differ by one layer at most: `E,t*6|t*6|t*5,L`."""
    each, more = divmod(layers, stages)
    parts = [f"t*{each + (stage < more)}" if each + (stage < more) else "" for stage in range(stages)]
    last = ",".join([p for p in [parts[-1]] if p] + ["m"] * mtp_layers + ["L"])
    if stages == 1:
        return f"E,{last}"
    return "|".join([",".join(p for p in ("E", parts[0]) if p), *parts[1:-1], last])


def _virtual(export: Export) -> int | None:
    layout = export.plan.layout
    even = export.model.layers % (layout.pp * layout.vpp) == 0
    return layout.vpp if even and layout.vpp > 1 else None


def _fsdp(export: Export) -> bool:
    return export.plan.layout.zero_stage >= 2


def _sharding(export: Export) -> dict[str, Any]:
    layout = export.plan.layout
    values: dict[str, Any] = {"use-distributed-optimizer": layout.zero_stage >= 1}
    if _fsdp(export):
        values["use-megatron-fsdp"] = True
        values["ckpt-format"] = "fsdp_dtensor"  # the one that its FSDP can write
        values["data-parallel-sharding-strategy"] = {2: "optim_grads", 3: "optim_grads_params"}[layout.zero_stage]
    group, ranks = conditions_of(export).shard_group, layout.dp * layout.cp
    several = ranks // group if group and group < ranks and ranks % group == 0 else None
    return {**values, "num-distributed-optimizer-instances": several}


def _sharding_lacking(export: Export) -> str:
    layout, stated = export.plan.layout, conditions_of(export)
    ranks, group = layout.dp * layout.cp, stated.shard_group
    if group is None or group >= ranks or layout.zero_stage == 0:
        return ""
    if ranks % group:
        return say("megatron_assumptions.no_shard_group", group=group, ranks=ranks)
    if stated.optimizer in ("muon", "lion"):
        return say("megatron_assumptions.no_shard_group_optimizer", optimizer=stated.optimizer)
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
        return say("megatron_assumptions.no_host_mxfp8")
    if export.plan.precision == "fp8" and _on_host(export) and {"moe_act", "layernorm"} & set(modules_of(export)):
        return say("megatron_assumptions.no_delayed_recompute")
    return ""


def _on_host(export: Export) -> bool:
    return conditions_of(export).offload in ("optimizer", "both")


def _gradients_lacking(export: Export) -> str:
    kind, fp16 = gradients_of(export), export.plan.precision == "fp16"
    if fp16 == (kind == "fp16"):
        return ""
    return say("megatron_assumptions.no_gradients", kind=kind, weights="fp16" if fp16 else "bf16")


def _offload_lacking(export: Export) -> str:
    if not _on_host(export) or conditions_of(export).optimizer == "adamw":
        return ""
    return say("megatron_assumptions.no_host_optimizer", optimizer=conditions_of(export).optimizer)


def layers_recomputed(share: float, layout: Layout, model: ModelSpec) -> tuple[int, float]:
    """Layers of each stage that `block` recomputes for a share of all, and the share that these are."""
    stages = layout.pp * layout.vpp
    number = max(1, round(share * model.layers / stages))
    return number, number * stages / model.layers


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
    return say(
        "megatron_assumptions.no_recompute_share",
        share=share,
        layers=export.model.layers,
        stages=layout.pp * layout.vpp,
        nearest=nearest,
        number=number,
    )


def _reductions(export: Export) -> dict[str, bool]:
    """Reductions behind the backward pass: as the plan has them, else wherever the optimizer is sharded."""
    sharded, stated = export.plan.layout.zero_stage >= 1, conditions_of(export).comm_overlap
    overlap = sharded if stated is None else stated
    return {"overlap-grad-reduce": overlap, "overlap-param-gather": overlap and sharded}


def _attention_backend(export: Export) -> str:
    stated = conditions_of(export)
    return ATTENTION[stated.flash_generation or stated.flash_attention]


def _unfused(export: Export) -> dict[str, bool]:
    """What switches fused kernels off, in a plan without them."""
    activation = "no-bias-swiglu-fusion" if export.model.gated_mlp else "no-bias-gelu-fusion"
    return {} if conditions_of(export).fused_or_compile else {activation: True, "no-bias-dropout-fusion": True}


def _attention_lacking(export: Export) -> str:
    if conditions_of(export).recipe.get("fp8_attention") != "yes":
        return ""
    return say("megatron_assumptions.no_fp8_attention")


def _flexible(export: Export) -> str | None:
    backend = conditions_of(export).recipe.get("dispatch", "alltoall")
    return backend if backend in FLEXIBLE else None


def _exchange_lacking(export: Export) -> str:
    layout, recipe = export.plan.layout, conditions_of(export).recipe
    if recipe.get("dispatch", "alltoall") not in ("alltoall", *FLEXIBLE):
        return say("megatron_assumptions.no_dispatcher", dispatch=recipe["dispatch"])
    if recipe.get("overlap") != "yes":
        return ""
    if layout.ep > 1 and layout.recompute != "full" and (layout.pp == 1 or layout.vpp > 1):
        return ""
    return say("megatron_assumptions.no_overlap")


def _graphs_lacking(export: Export) -> str:
    graphs = conditions_of(export).recipe.get("graphs", "none")
    return "" if graphs in ("none", *GRAPHS) else say("megatron_assumptions.no_graphs", graphs=graphs)


BOTH = "memory, time"
MEGATRON = tuple(replace(row, prefix="--") for row in (
    Assumption(
        "layout", "megatron_assumptions.layout", BOTH,
        (
            Field("tensor-model-parallel-size", "layout.tp", 1), Field("pipeline-model-parallel-size", "layout.pp", 1),
            Field("context-parallel-size", "layout.cp", 1),
            Field("num-virtual-stages-per-pipeline-rank", "layout.vpp", 1, _virtual),
            Field("pipeline-model-parallel-layout", write=_uneven),
        ),
        "megatron_assumptions.layout_otherwise",
    ),
    Assumption("batch", "assumptions.batch_and_step", BOTH,
               (Field("micro-batch-size", "layout.micro_batch"), Field("global-batch-size", "training.global_batch"))),
    Assumption("expert ranks", "megatron_assumptions.expert_ranks", BOTH,
               (Field("expert-model-parallel-size", "layout.ep", 1, with_experts(lambda e: e.plan.layout.ep)),
                Field("expert-tensor-parallel-size", write=with_experts(lambda _: 1))),
               "megatron_assumptions.expert_ranks_otherwise"),
    Assumption("sequence parallel", "assumptions.divided_by_tp", BOTH,
               (Field("sequence-parallel", "layout.sequence_parallel"),)),
    Assumption("sharding", "megatron_assumptions.sharding", BOTH,
               ("use-distributed-optimizer", "use-megatron-fsdp", "data-parallel-sharding-strategy", "ckpt-format",
                "num-distributed-optimizer-instances"),
               "megatron_assumptions.sharding_otherwise", _sharding, _sharding_lacking),
    Assumption("buckets", "megatron_assumptions.buckets", BOTH, (), "megatron_assumptions.buckets_otherwise"),
    Assumption("weights", "megatron_assumptions.weights", BOTH,
               ("bf16", "fp16", "fp8-format", "fp8-recipe", "fp8-param-gather",
                "reuse-grad-buf-for-mxfp8-param-ag", "fp4-format"),
               "megatron_assumptions.weights_otherwise", _weights, _weights_lacking),
    Assumption("gradients", "megatron_assumptions.gradients", BOTH,
               (Field("grad-reduce-in-bf16", write=lambda e: None if _fsdp(e) else gradients_of(e) == "bf16"),
                Field("megatron-fsdp-main-grads-dtype", write=lambda e: gradients_of(e) if _fsdp(e) else None)),
               "megatron_assumptions.gradients_otherwise", lacking=_gradients_lacking),
    Assumption("reductions", "assumptions.reductions_measured",
               "time", ("overlap-grad-reduce", "overlap-param-gather"), "megatron_assumptions.reductions_otherwise",
               _reductions),
    Assumption("optimizer", "megatron_assumptions.optimizer",
               BOTH, ("optimizer", "sgd-momentum", "use-precision-aware-optimizer", "exp-avg-dtype",
                      "exp-avg-sq-dtype"),
               "megatron_assumptions.optimizer_otherwise", lambda e: OPTIMIZERS.get(conditions_of(e).optimizer, {})),
    Assumption("offload", "megatron_assumptions.offload", BOTH,
               ("optimizer-cpu-offload", "use-precision-aware-optimizer"), "megatron_assumptions.offload_otherwise",
               lambda e: dict.fromkeys(("use-precision-aware-optimizer", "optimizer-cpu-offload"), True)
               if _on_host(e) else {}, _offload_lacking),
    Assumption("adapters", "assumptions.no_adapters", BOTH, (), "assumptions.adapters_refused"),
    Assumption("recompute", "megatron_assumptions.recompute",
               BOTH, ("recompute-granularity", "recompute-modules", "recompute-method", "recompute-num-layers"),
               "megatron_assumptions.recompute_otherwise", _recompute, _recompute_lacking),
    Assumption("attention", "megatron_assumptions.attention", BOTH,
               (Field("attention-backend", write=_attention_backend),),
               "megatron_assumptions.attention_otherwise", lacking=_attention_lacking),
    Assumption("fused kernels", "megatron_assumptions.fused_kernels", BOTH,
               ("no-bias-swiglu-fusion", "no-bias-gelu-fusion", "no-bias-dropout-fusion"), "assumptions.fused",
               _unfused),
    Assumption("dropout", "assumptions.no_masks", "memory",
               (Field("attention-dropout", write=0.0), Field("hidden-dropout", write=0.0)),
               "megatron_assumptions.dropout_otherwise"),
    Assumption("loss", "assumptions.loss_in_place", BOTH, (), "megatron_assumptions.loss_otherwise"),
    Assumption("routing", "megatron_assumptions.routing", BOTH,
               (Field("moe-grouped-gemm", write=with_experts(lambda _: True)),
                Field("moe-router-load-balancing-type", write=with_experts(lambda _: "aux_loss")),
                Field("moe-aux-loss-coeff",
                      write=with_experts(lambda e: BESIDE_A_BIAS if balanced_by_bias(e) else BALANCING)),
                Field("use-transformer-engine-op-fuser",
                      write=with_experts(lambda e: conditions_of(e).recipe.get("fused_experts") == "yes"))),
               "megatron_assumptions.routing_otherwise"),
    Assumption("expert exchange", "megatron_assumptions.expert_exchange", "time",
               (Field("moe-token-dispatcher-type",
                      write=with_experts(lambda e: "flex" if _flexible(e) else "alltoall")),
                Field("moe-flex-dispatcher-backend", write=with_experts(_flexible)),
                Field("moe-router-dtype", write=with_experts(lambda e: "fp32" if _flexible(e) else None)),
                Field("overlap-moe-expert-parallel-comm",
                      write=with_experts(lambda e: conditions_of(e).recipe.get("overlap") == "yes"))),
               "megatron_assumptions.expert_exchange_otherwise", lacking=_exchange_lacking),
    Assumption("CUDA graphs", "megatron_assumptions.cuda_graphs", "time",
               ("cuda-graph-impl", "cuda-graph-modules", "no-check-for-nan-in-loss-and-grad"),
               "megatron_assumptions.cuda_graphs_otherwise",
               lambda e: GRAPHS.get(conditions_of(e).recipe.get("graphs", "none"), {}), _graphs_lacking),
))  # fmt: skip
