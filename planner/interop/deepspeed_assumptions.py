"""What a plan assumes of a run under DeepSpeed's ZeRO through Hugging Face's Trainer, and what makes it so.

Keys of the JSON are those of deepspeedai/DeepSpeed edaa722 (0.19.6), words behind `--` the TrainingArguments of
transformers, keys of accelerate.yaml those of huggingface/accelerate 16cb6eb.
"""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import Assumption, conditions_of
from planner.interop.export_common import Export

BUCKET = 500_000_000  # elements, DeepSpeed's default of both
ADAPTER_WORDS = (
    "--use_peft", "--lora_r", "--lora_target_modules", "--load_in_4bit", "--bnb_4bit_quant_type",
    "--use_bnb_nested_quant", "--bnb_4bit_quant_storage", "--dtype",
)  # fmt: skip
OPTIMIZERS = {"adamw": "AdamW", "lion": "Lion"}


def betas(export: Export) -> list[float]:
    """The optimizer's betas: GPT-3's for AdamW (Brown et al. 2020), Lion's own."""
    return [0.9, 0.99] if conditions_of(export).optimizer == "lion" else [0.9, 0.95]


def layout_lacking(export: Export) -> str:
    """A sentence on a degree of parallelism that the Trainer has not."""
    layout = export.plan.layout
    sizes = {"tp": layout.tp, "pp": layout.pp, "cp": layout.cp, "ep": layout.ep}
    odd = next((f"{name} {size}" for name, size in sizes.items() if size > 1), "")
    return f"it has no {odd}; plan with layout.{odd.split()[0]}: 1" if odd else ""


def _batch(export: Export) -> dict[str, Any]:
    layout = export.plan.layout
    return {
        "train_batch_size": export.plan.global_batch,
        "train_micro_batch_size_per_gpu": layout.micro_batch,
        "gradient_accumulation_steps": layout.grad_accum,
        "--per_device_train_batch_size": layout.micro_batch,
        "--gradient_accumulation_steps": layout.grad_accum,
    }


def _sharding(export: Export) -> dict[str, Any]:
    stage = export.plan.layout.zero_stage
    values: dict[str, Any] = {"zero_optimization.stage": stage}
    if stage == 3:  # two layers gathered at once; the default is 1e9 parameters
        model = export.model
        layer = 4 * model.hidden * model.heads * model.head_dim + 3 * model.hidden * model.ffn
        values["zero_optimization.stage3_prefetch_bucket_size"] = layer
        values["zero_optimization.stage3_max_live_parameters"] = 2 * layer + model.vocab * model.hidden
        values["zero_optimization.stage3_gather_16bit_weights_on_model_save"] = True
    return values


def _buckets(_: Export) -> dict[str, Any]:
    return {
        "zero_optimization.reduce_bucket_size": BUCKET,
        "zero_optimization.allgather_bucket_size": BUCKET,
        "zero_optimization.contiguous_gradients": True,
    }


def _weights(export: Export) -> dict[str, Any]:
    kind = "fp16" if export.plan.precision == "fp16" else "bf16"
    return {f"{kind}.enabled": True, f"--{kind}": True}


def _optimizer(export: Export) -> dict[str, Any]:
    return {"optimizer.type": OPTIMIZERS.get(conditions_of(export).optimizer, "AdamW")}


def _recompute_lacking(export: Export) -> str:
    if export.plan.layout.recompute != "selective":
        return ""
    return "it has no recompute of modules; plan with layout.recompute: full"


def attention(export: Export) -> dict[str, Any]:
    """The kernels of attention, by transformers' names."""
    stated = conditions_of(export)
    if not stated.flash_attention:
        return {"--attn_implementation": "eager"}
    kinds = {2: "flash_attention_2", 3: "flash_attention_3"}
    return {"--attn_implementation": kinds.get(stated.flash_generation or 0, "sdpa")}


def _overlap(export: Export) -> dict[str, Any]:
    stated = conditions_of(export).comm_overlap
    return {"zero_optimization.overlap_comm": True if stated is None else stated}


def adapter_words(export: Export) -> dict[str, Any]:
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
DEEPSPEED = (
    Assumption("layout", "ranks that share the data alone", BOTH, (), "tp, pp, cp are refused",
               lacking=layout_lacking),
    Assumption("batch", "sequences a micro-batch, micro-batches, sequences a step", BOTH,
               ("train_batch_size", "train_micro_batch_size_per_gpu", "gradient_accumulation_steps",
                "--per_device_train_batch_size", "--gradient_accumulation_steps"), "", _batch),
    Assumption("expert ranks", "experts sharded like every weight", BOTH, (), "ep is refused"),
    Assumption("sequence parallel", "none", BOTH, (), "no tensor parallel"),
    Assumption("sharding", "ZeRO 1 to 3 over all ranks; ZeRO 3 has two layers and the table gathered at once", BOTH,
               (f"{Z}stage", f"{Z}stage3_prefetch_bucket_size", f"{Z}stage3_max_live_parameters",
                f"{Z}stage3_gather_16bit_weights_on_model_save"),
               "unstated, ZeRO 3 would keep up to a billion parameters; a shard group is refused", _sharding),
    Assumption("buckets", "5e8 values that reduce and 5e8 that gather, 2 bytes each", "memory",
               (f"{Z}reduce_bucket_size", f"{Z}allgather_bucket_size", f"{Z}contiguous_gradients"), "", _buckets),
    Assumption("weights", "16 bits", BOTH, ("bf16.enabled", "fp16.enabled", "--bf16", "--fp16"), "", _weights),
    Assumption("gradients", "kept and reduced in the weights' 16 bits", BOTH, (),
               "`data_types.grad_accum_dtype` is the weights' type by default"),
    Assumption("reductions", "behind the backward pass as much as in measured runs that do not say, or as stated",
               "time", (f"{Z}overlap_comm",), "on where not stated", _overlap),
    Assumption("optimizer", "fp32 master weights and moments (AdamW), or Lion's one", BOTH, ("optimizer.type",),
               "others are refused", _optimizer),
    Assumption("offload", "none", BOTH, (), "what is on the host is refused"),
    Assumption("adapters", "all of the model trained, or LoRA's adapters in fp32 on weights in 16 or 4 bits", BOTH,
               ADAPTER_WORDS, "read by TRL's trl/scripts/sft.py; without adapters none is written", adapter_words),
    Assumption("recompute", "none, or whole layers", BOTH, ("--gradient_checkpointing",),
               "modules or a share of the layers are refused",
               lambda e: {"--gradient_checkpointing": e.plan.layout.recompute == "full"}, _recompute_lacking),
    Assumption("attention", "flash kernels, or scores in memory", BOTH, ("--attn_implementation",),
               "written as ATTN_IMPLEMENTATION: it is the script's to hand to from_pretrained or from_config",
               attention),
    Assumption("fused kernels", "norms and activations compiled, or each by itself", BOTH, ("--torch_compile",), "off",
               lambda e: {"--torch_compile": conditions_of(e).fused_or_compile}),
    Assumption("dropout", "none: no masks are kept", "memory", (), "transformers' decoders of today have none"),
    Assumption("loss", "16-bit logits and their fp32 copy", BOTH, (), "transformers' `ForCausalLMLoss`"),
    Assumption("routing", "the busiest expert 1.1 times the mean under a balancing loss", BOTH, (),
               "`router_aux_loss_coef` of the model's config.json"),
    Assumption("expert exchange", "none", "time", (), "experts are whole on every rank while they run"),
    Assumption("CUDA graphs", "none", "time", (), "none are planned"),
)  # fmt: skip
