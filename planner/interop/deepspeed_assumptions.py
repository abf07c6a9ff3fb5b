"""What a plan assumes of a run under DeepSpeed's ZeRO through Hugging Face's Trainer, and what makes it so.

Keys of the JSON are those of deepspeedai/DeepSpeed edaa722 (0.19.6), words behind `--` the TrainingArguments of
transformers, keys of accelerate.yaml those of huggingface/accelerate 16cb6eb.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from planner.interop.assumptions import Assumption, no_degree, no_modules
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field
from planner.interop.files import shown
from planner.performance.framework_table import framework
from planner.units import PlannerError
from planner.words import say

BUCKET = 500_000_000  # elements, DeepSpeed's default of both
OPTIMIZERS = {"adamw": "AdamW", "lion": "Lion"}
READ_OPTIMIZERS = {"adam": "adamw", "adamw": "adamw", "lion": "lion", "muon": "muon"}


def betas(export: Export) -> list[float]:
    """The optimizer's betas: GPT-3's for AdamW (Brown et al. 2020), Lion's own."""
    return [0.9, 0.99] if conditions_of(export).optimizer == "lion" else [0.9, 0.95]


def _layer(export: Export) -> int | None:
    """Parameters of a layer, where ZeRO 3 gathers them: the default would keep up to a billion."""
    model = export.model
    layer = 4 * model.hidden * model.heads * model.head_dim + 3 * model.hidden * model.ffn
    return layer if export.plan.layout.zero_stage == 3 else None


def _live(export: Export) -> int | None:
    """Two layers, and the vocabulary's table."""
    layer = _layer(export)
    return None if layer is None else 2 * layer + export.model.vocab * export.model.hidden


def _where(kind: str) -> Callable[[Export], bool | None]:
    """True in a plan of this precision; nothing is written for the other."""
    return lambda export: True if (export.plan.precision == "fp16") == (kind == "fp16") else None


def _optimizer(stated: object, place: str) -> str:
    known = READ_OPTIMIZERS.get(str(stated).lower())
    if known is None:
        raise PlannerError(say("deepspeed.optimizer", place=place, optimizer=shown(stated), known=[*READ_OPTIMIZERS]))
    return known


def _attention(export: Export) -> str:
    """The kernels of attention, by transformers' names."""
    stated = conditions_of(export)
    if not stated.flash_attention:
        return "eager"
    return {2: "flash_attention_2", 3: "flash_attention_3"}.get(stated.flash_generation or 0, "sdpa")


def _adapter_words(export: Export) -> dict[str, Any]:
    """Words of TRL's ModelConfig (trl/trainer/model_config.py)."""
    adapter = conditions_of(export).adapter
    if adapter is None:
        return {}
    kind = "float16" if export.plan.precision == "fp16" else "bfloat16"
    words: dict[str, Any] = {
        "--use_peft": True,
        "--lora_r": adapter.r,
        "--lora_target_modules": list(adapter.target_modules),
        "--dtype": kind,
    }
    if adapter.method == "qlora":
        words |= {"--load_in_4bit": True, "--bnb_4bit_quant_type": "nf4", "--use_bnb_nested_quant": True}
        words |= {"--bnb_4bit_quant_storage": kind} if export.plan.layout.zero_stage == 3 else {}
    return words


BOTH = "memory, time"
Z = "zero_optimization."
BATCH = (
    Field("--per_device_train_batch_size", "layout.micro_batch"),
    Field("--gradient_accumulation_steps", "layout.grad_accum"),
)
#: Of accelerate.yaml, with either: who shards, and over how many GPUs.
KINDS = {"fsdp": "FSDP", "deepspeed": "DEEPSPEED"}


def _kind(stated: object, _: str) -> str:
    if stated not in ("FSDP", "DEEPSPEED", "MULTI_GPU"):
        raise PlannerError(say("deepspeed.kind", kind=shown(stated)))
    return "fsdp" if stated == "FSDP" else "deepspeed"


CLUSTER = (
    Field(
        "distributed_type", "training.framework", None, lambda e: KINDS[framework(e.plan.framework).name], read=_kind
    ),
    Field("num_machines", write=lambda e: e.plan.nodes),
    Field("num_processes", "layout.dp", None, lambda e: e.plan.gpus),
)
#: What holds of every run of the Trainer's, with DeepSpeed or with FSDP.
TRAINER = {row.topic: row for row in (
    Assumption("layout", "assumptions.data_ranks", BOTH, (), "assumptions.model_degrees_refused",
               lacking=no_degree("tp", "pp", "cp", "ep")),
    Assumption("expert ranks", "assumptions.experts_sharded", BOTH, (), "assumptions.ep_refused"),
    Assumption("sequence parallel", "assumptions.none", BOTH, (), "assumptions.no_tensor_parallel"),
    Assumption("adapters", "assumptions.adapters_in_fp32", BOTH,
               ("--use_peft", "--lora_r", "--lora_target_modules", "--load_in_4bit", "--bnb_4bit_quant_type",
                "--use_bnb_nested_quant", "--bnb_4bit_quant_storage", "--dtype"),
               "assumptions.adapters_by_trl", _adapter_words),
    Assumption("attention", "assumptions.flash_or_scores", BOTH,
               (Field("--attn_implementation", write=_attention),), "assumptions.attention_variable"),
    Assumption("fused kernels", "assumptions.compiled", BOTH,
               (Field("--torch_compile", "training.fused_or_compile"),), "assumptions.off"),
    Assumption("dropout", "assumptions.no_masks", "memory", (), "assumptions.decoders_without_dropout"),
    Assumption("loss", "assumptions.loss_copied", BOTH, (), "assumptions.transformers_loss"),
    Assumption("expert exchange", "assumptions.none", "time", (), "assumptions.experts_whole"),
    Assumption("CUDA graphs", "assumptions.none", "time", (), "assumptions.none_are_planned"),
)}  # fmt: skip
DEEPSPEED = (
    TRAINER["layout"],
    Assumption("batch", "assumptions.batch_parts", BOTH,
               (Field("train_batch_size", "training.global_batch", None),
                Field("train_micro_batch_size_per_gpu", "layout.micro_batch", None),
                Field("gradient_accumulation_steps", "layout.grad_accum", None), *BATCH)),
    TRAINER["expert ranks"],
    TRAINER["sequence parallel"],
    Assumption("sharding", "deepspeed_assumptions.sharding", BOTH,
               (Field(f"{Z}stage", "layout.zero_stage", None, least=0, most=3),
                Field(f"{Z}stage3_prefetch_bucket_size", write=_layer),
                Field(f"{Z}stage3_max_live_parameters", write=_live),
                Field(f"{Z}stage3_gather_16bit_weights_on_model_save",
                      write=lambda e: True if e.plan.layout.zero_stage == 3 else None)),
               "deepspeed_assumptions.sharding_otherwise"),
    Assumption("buckets", "deepspeed_assumptions.buckets", "memory",
               (Field(f"{Z}reduce_bucket_size", write=BUCKET), Field(f"{Z}allgather_bucket_size", write=BUCKET),
                Field(f"{Z}contiguous_gradients", write=True))),
    Assumption("weights", "assumptions.sixteen_bits", BOTH,
               (Field("bf16.enabled", "training.precision", None, _where("bf16"), read=lambda *_: "bf16"),
                Field("fp16.enabled", "training.precision", None, _where("fp16"),
                      read=lambda on, _: "fp16" if on is True else None),
                Field("--bf16", write=_where("bf16")), Field("--fp16", write=_where("fp16")))),
    Assumption("gradients", "deepspeed_assumptions.gradients", BOTH, (),
               "deepspeed_assumptions.gradients_otherwise"),
    Assumption("reductions", "assumptions.reductions_measured",
               "time",
               (Field(f"{Z}overlap_comm", "training.comm_overlap", None,
                      lambda e: conditions_of(e).comm_overlap is not False,
                      read=lambda on, _: on if isinstance(on, bool) else None),),
               "assumptions.on_unstated"),
    Assumption("optimizer", "deepspeed_assumptions.optimizer", BOTH,
               (Field("optimizer.type", "training.optimizer", None,
                      lambda e: OPTIMIZERS.get(conditions_of(e).optimizer, "AdamW"), read=_optimizer),),
               "assumptions.others_refused"),
    Assumption("offload", "assumptions.none", BOTH, (), "assumptions.host_refused"),
    TRAINER["adapters"],
    Assumption("recompute", "assumptions.whole_layers", BOTH,
               (Field("--gradient_checkpointing", write=lambda e: e.plan.layout.recompute == "full"),),
               "assumptions.partial_recompute_refused", lacking=no_modules),
    TRAINER["attention"],
    TRAINER["fused kernels"],
    TRAINER["dropout"],
    TRAINER["loss"],
    Assumption("routing", "deepspeed_assumptions.routing", BOTH, (), "assumptions.router_loss"),
    TRAINER["expert exchange"],
    TRAINER["CUDA graphs"],
)  # fmt: skip
