"""What a plan assumes of a run under torchtitan, and the keys of its TOML, each with how it is read and written.

Names, defaults and refusals are those of pytorch/torchtitan 73a0e69 (tag v0.2.2, 2026-02-20):
torchtitan/config/job_config.py, torchtitan/distributed, torchtitan/models/*/infra/parallelize.py.
"""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import Assumption, fields_of, no_scores, with_experts
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field
from planner.interop.torchtitan_models import flavour_of
from planner.words import say

P = "parallelism."
CONVERTERS = {"fp8": "quantize.linear.float8", "mxfp8": "quantize.linear.mx"}


def _schedule(export: Export) -> str | None:
    layout = export.plan.layout
    return None if layout.pp == 1 else "Interleaved1F1B" if layout.vpp > 1 else "1F1B"


def _parts(export: Export) -> list[list[str]] | None:
    layout = export.plan.layout
    return stages(export.model.layers, layout.pp * layout.vpp) if layout.pp > 1 else None


def stages(layers: int, count: int) -> list[list[str]]:
    """The modules of each of `count` stages, which differ by a layer at most: `[["tok_embeddings", "layers.0"], …]`."""
    each, more = divmod(layers, count)
    parts: list[list[str]] = []
    first = 0
    for stage in range(count):
        size = each + (stage < more)
        parts.append([f"layers.{n}" for n in range(first, first + size)])
        first += size
    return [["tok_embeddings", *parts[0]], *parts[1:-1], [*parts[-1], "norm", "output"]]


def _layout_lacking(export: Export) -> str:
    layout = export.plan.layout
    flavour = flavour_of(export.model)
    if layout.pp > 1 and flavour.without_pipeline:
        return say("torchtitan_assumptions.no_pipeline", name=flavour.name)
    if layout.tp * layout.pp > 1 and layout.dp * layout.cp == 1:
        return say("torchtitan_assumptions.unsharded")
    return ""


def _local_batch(export: Export) -> int:
    """With a pipeline, the local batch is what the pipeline cuts into micro-batches; without, one micro-batch."""
    layout = export.plan.layout
    return layout.micro_batch * (layout.grad_accum if layout.pp > 1 else 1)


def _expert_ranks_lacking(export: Export) -> str:
    layout, group = export.plan.layout, sharded_over(export)
    if export.model.moe is None or group * layout.tp % layout.ep == 0:
        return ""
    return say("torchtitan_assumptions.no_expert_ranks", ep=layout.ep, group=group, tp=layout.tp)


def sharded_over(export: Export) -> int:
    """Ranks over which weights are sharded: the shard group, or dp x cp."""
    ranks = export.plan.layout.dp * export.plan.layout.cp
    return min(conditions_of(export).shard_group or ranks, ranks)


def _sharding_lacking(export: Export) -> str:
    layout, group = export.plan.layout, sharded_over(export)
    if layout.dp * layout.cp % group == 0 and group % layout.cp == 0:
        return ""
    return say("torchtitan_assumptions.no_shard_group", group=group, ranks=layout.dp * layout.cp, cp=layout.cp)


def _weights(export: Export) -> dict[str, Any]:
    values: dict[str, Any] = {"training.dtype": "float32", "training.mixed_precision_param": "bfloat16"}
    converter = CONVERTERS.get(export.plan.precision)
    if converter:
        values["model.converters"] = [converter]
        values[f"{converter}.recipe_name"] = "rowwise" if export.plan.precision == "fp8" else "mxfp8_cublas"
        values[f"{converter}.filter_fqns"] = ["output"]
    return values


def _recompute(export: Export) -> dict[str, Any]:
    layout, share = export.plan.layout, conditions_of(export).recompute_share
    if layout.recompute == "selective":
        return {"activation_checkpoint.mode": "selective", "activation_checkpoint.selective_ac_option": "op"}
    if layout.recompute != "full" or share == 0:
        return {"activation_checkpoint.mode": "none"}
    if share is None or share >= 1:
        return {"activation_checkpoint.mode": "full"}
    every = str(_every(share))
    return {"activation_checkpoint.mode": "selective", "activation_checkpoint.selective_ac_option": every}


def _every(share: float) -> int:
    return max(1, round(1 / share))


def _recompute_lacking(export: Export) -> str:
    layout, share = export.plan.layout, conditions_of(export).recompute_share
    if layout.recompute != "full" or share is None or not 0 < share < 1:
        return ""
    nearest = (export.model.layers // _every(share)) / export.model.layers
    if abs(nearest - share) < 1e-5:
        return ""
    return say("torchtitan_assumptions.no_recompute_share", share=share, nearest=nearest)


def _fused(export: Export) -> bool:
    fused = conditions_of(export).fused_or_compile
    if export.plan.precision in CONVERTERS and not fused:
        export.notes.append(say("torchtitan_assumptions.narrow"))
    return fused


BOTH = "memory, time"
TORCHTITAN = (
    Assumption("layout", "torchtitan_assumptions.layout", BOTH,
               (Field(f"{P}tensor_parallel_degree", "layout.tp", 1),
                Field(f"{P}pipeline_parallel_degree", "layout.pp", 1),
                Field(f"{P}context_parallel_degree", "layout.cp", 1),
                Field(f"{P}pipeline_parallel_schedule", default="1F1B", write=_schedule),
                Field(f"{P}module_fqns_per_model_part", default=None, write=_parts)),
               "torchtitan_assumptions.layout_otherwise", lacking=_layout_lacking),
    Assumption("batch", "assumptions.batch_and_step", BOTH,
               (Field("training.local_batch_size", default=8, write=_local_batch),
                Field("training.global_batch_size", "training.global_batch", -1),
                Field("training.seq_len", "data.seq_length", 2048),
                Field(f"{P}pipeline_parallel_microbatch_size", default=1,
                      write=lambda e: e.plan.layout.micro_batch if e.plan.layout.pp > 1 else None)),
               "torchtitan_assumptions.batch_otherwise"),
    Assumption("expert ranks", "torchtitan_assumptions.expert_ranks", BOTH,
               (Field(f"{P}expert_parallel_degree", "layout.ep", 1, with_experts(lambda e: e.plan.layout.ep)),
                Field(f"{P}expert_tensor_parallel_degree", "", 1, with_experts(lambda _: 1), decides="the layout")),
               lacking=_expert_ranks_lacking),
    Assumption("sequence parallel", "assumptions.divided_by_tp", BOTH, (),
               "torchtitan_assumptions.sequence_parallel_otherwise"),
    Assumption("sharding", "torchtitan_assumptions.sharding", BOTH,
               (Field(f"{P}data_parallel_shard_degree", default=-1,
                      write=lambda e: sharded_over(e) // e.plan.layout.cp),
                Field(f"{P}data_parallel_replicate_degree", default=1,
                      write=lambda e: e.plan.layout.dp * e.plan.layout.cp // sharded_over(e)),
                Field(f"{P}fsdp_reshard_after_forward", default="default",
                      write=lambda e: {2: "never", 3: "always"}[e.plan.layout.zero_stage])),
               "torchtitan_assumptions.sharding_otherwise", lacking=_sharding_lacking),
    Assumption("buckets", "assumptions.block_parameters", BOTH, (), "torchtitan_assumptions.buckets_otherwise"),
    Assumption("weights", "torchtitan_assumptions.weights", BOTH,
               (Field("training.dtype", default=None), Field("training.mixed_precision_param", default=None),
                Field("model.converters", default=[]),
                *(f"{converter}.{key}" for converter in CONVERTERS.values() for key in ("recipe_name", "filter_fqns"))),
               "torchtitan_assumptions.weights_otherwise", _weights),
    Assumption("gradients", "assumptions.shards_fp32", BOTH,
               (Field("training.mixed_precision_reduce", write="float32"),)),
    Assumption("reductions", "assumptions.reductions_hidden", "time", (),
               "torchtitan_assumptions.reductions_otherwise"),
    Assumption("optimizer", "torchtitan_assumptions.optimizer", BOTH,
               (Field("optimizer.name", write="AdamW"),), "assumptions.others_refused"),
    Assumption("offload", "assumptions.none", BOTH,
               (Field("training.enable_cpu_offload", default=False, decides="what memory holds"),),
               "assumptions.host_refused"),
    Assumption("adapters", "assumptions.no_adapters", BOTH, (), "assumptions.adapters_refused"),
    Assumption("recompute", "torchtitan_assumptions.recompute", BOTH,
               (Field("activation_checkpoint.mode", default="selective"),
                Field("activation_checkpoint.selective_ac_option", default="2")),
               "torchtitan_assumptions.recompute_otherwise", _recompute, _recompute_lacking),
    Assumption("attention", "assumptions.flash", BOTH, (),
               "torchtitan_assumptions.attention_otherwise", lacking=no_scores),
    Assumption("fused kernels", "assumptions.compiled", BOTH,
               (Field("compile.enable", "training.fused_or_compile", False, _fused),
                Field("compile.components", write=["model", "loss"])), "assumptions.off"),
    Assumption("dropout", "assumptions.no_masks", "memory", (), "torchtitan_assumptions.dropout_otherwise"),
    Assumption("loss", "assumptions.loss_copied", BOTH, (), "torchtitan_assumptions.loss_otherwise"),
    Assumption("routing", "torchtitan_assumptions.routing", BOTH, (), "torchtitan_assumptions.routing_otherwise"),
    Assumption("expert exchange", "torchtitan_assumptions.expert_exchange", "time",
               (Field(f"{P}expert_parallel_comm_backend", write=with_experts(lambda _: "standard")),)),
    Assumption("CUDA graphs", "assumptions.none", "time", (), "torchtitan_assumptions.cuda_graphs_otherwise"),
)  # fmt: skip
#: All that is read.
TABLE = fields_of(
    TORCHTITAN,
    Field("model.name", default="llama3"),
    Field("model.flavor", default="debugmodel"),
    Field("training.steps", "training.iterations", 10000),
    Field(f"{P}pipeline_parallel_layers_per_stage", default=None),
    Field("activation_checkpoint.memory_budget", default=None, decides="what memory holds"),
)
