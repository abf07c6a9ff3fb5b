"""Megatron-LM's arguments as fields of Megatron-Bridge's ConfigContainer, and back.

Fields are those of NVIDIA-NeMo/Megatron-Bridge 067f987 (2026-08-22): src/megatron/bridge/training/config.py,
models/gpt_provider.py, training/mixed_precision.py, and of the Megatron-Core classes that they extend.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.interop.megatron_fields import EXPERTS, LATENT, MODEL

#: Arguments whose field has another name, or stands in more than one section; others of a section keep theirs.
SAME: dict[str, tuple[str, ...]] = {
    "model": (
        "tensor-model-parallel-size", "pipeline-model-parallel-size", "context-parallel-size", "sequence-parallel",
        "pipeline-model-parallel-layout", "expert-model-parallel-size", "expert-tensor-parallel-size",
        "recompute-granularity", "recompute-modules", "recompute-method", "recompute-num-layers", "attention-backend",
        "attention-dropout", "hidden-dropout", "moe-grouped-gemm", "moe-router-load-balancing-type",
        "moe-aux-loss-coeff", "use-transformer-engine-op-fuser", "moe-token-dispatcher-type",
        "moe-flex-dispatcher-backend", "moe-router-dtype", "overlap-moe-expert-parallel-comm", "cuda-graph-impl",
        "cuda-graph-modules",
        "init-method-std",
    ),
    "ddp": (
        "overlap-grad-reduce", "overlap-param-gather", "use-megatron-fsdp", "data-parallel-sharding-strategy",
        "num-distributed-optimizer-instances", "megatron-fsdp-main-grads-dtype",
    ),
    "optimizer": (
        "optimizer", "sgd-momentum", "use-precision-aware-optimizer", "exp-avg-dtype", "exp-avg-sq-dtype",
        "optimizer-cpu-offload", "lr", "min-lr", "weight-decay", "clip-grad", "adam-beta1", "adam-beta2",
    ),
    "scheduler": ("lr-decay-style", "lr-decay-iters", "lr-decay-samples", "lr-warmup-fraction"),
    "train": ("micro-batch-size", "global-batch-size", "train-iters", "train-samples", "step-batch-size-schedule"),
    "validation": ("eval-interval", "eval-iters"),
    "checkpoint": ("save-interval", "ckpt-format"),
    "logger": ("log-interval", "log-throughput"),
    "mixed_precision": ("bf16", "fp16", "fp8-recipe", "fp8-param-gather", "reuse-grad-buf-for-mxfp8-param-ag"),
}  # fmt: skip
Fields = dict[str, Any]


#: Arguments whose field has another name, or two: the first is read.
RENAMED: dict[str, tuple[str, ...]] = {
    "num-virtual-stages-per-pipeline-rank": ("model.virtual_pipeline_model_parallel_size",),
    "num-experts": ("model.num_moe_experts",),
    "use-distributed-optimizer": ("ddp.use_distributed_optimizer", "optimizer.use_distributed_optimizer"),
    "fp8-format": ("mixed_precision.fp8",),
    "fp4-format": ("mixed_precision.fp4",),
    "moe-layer-freq": ("model.moe_layer_freq",),
    "window-size": ("model.window_size",),
}
#: Arguments whose field says the contrary.
SWITCHED_OFF: dict[str, tuple[str, ...]] = {
    "disable-bias-linear": ("model.add_bias_linear",),
    "untie-embeddings-and-output-weights": ("model.share_embeddings_and_output_weights",),
    "no-bias-dropout-fusion": ("model.bias_dropout_fusion",),
    "grad-reduce-in-bf16": ("mixed_precision.grad_reduce_in_fp32", "ddp.grad_reduce_in_fp32"),
}
#: What is written of arguments that are read by other ways, or not at all.
WRITTEN: dict[str, Fields] = {
    "group-query-attention": {},  # num_query_groups says it
    "max-position-embeddings": {},  # the provider's table is as long as model.seq_length
    "swiglu": {"model.gated_linear_unit": True, "model.activation_func": "silu"},
    "no-bias-swiglu-fusion": {"model.bias_activation_fusion": False},
    "no-bias-gelu-fusion": {"model.bias_activation_fusion": False},
    "no-check-for-nan-in-loss-and-grad": {
        "rerun_state_machine.check_for_nan_in_loss": False,
        "ddp.check_for_nan_in_grad": False,
    },
}
OTHERWISE = {*RENAMED, *SWITCHED_OFF, *WRITTEN}
#: The section of each argument that is a field of the same name.
HOME = {name: section for section, names in SAME.items() for name in names}
HOME |= {row.key: "model" for row in (*MODEL, *LATENT, *EXPERTS) if row.key not in OTHERWISE}


def _value(name: str, value: Any) -> Any:
    """The value of a field: `([0]*1+[1]*60)`, `([0,1])` and `511,0` are lists, a layer frequency of `2` a number."""
    if name == "window-size":
        return [int(part) for part in str(value).split(",")]
    if name != "moe-layer-freq":
        return value
    text = str(value).strip("()")
    if text.isdigit():
        return int(text)
    bits: list[int] = []
    for part in text.split("+"):
        inner, _, times = part.partition("*")
        bits += [int(bit) for bit in inner.strip("[]").split(",")] * int(times or 1)
    return bits


#: What Megatron-LM's defaults are and Megatron-Bridge's (of its vanilla_gpt recipe) are not.
DEFAULTS: Fields = {
    "model.bias_activation_fusion": True,
    "model.bias_dropout_fusion": True,
    "model.cross_entropy_loss_fusion": False,
    "model.should_pad_vocab": True,
    "model.persist_layer_norm": True,
    "scheduler.lr_warmup_iters": 0,
}


def fields_of(arguments: Mapping[str, Any]) -> Fields:
    """The fields, by dotted path, that Megatron-LM's arguments stand for (None and False: not given).

    Raises
    ------
    KeyError
        For an argument without a field: a fault of planner's table, which a test holds to be whole.
    """
    values = dict(DEFAULTS)
    for name, value in arguments.items():
        if value is None or value is False:
            continue
        if name in WRITTEN:
            values |= WRITTEN[name]
        elif name in SWITCHED_OFF:
            values |= dict.fromkeys(SWITCHED_OFF[name], False)
        elif name in RENAMED:
            values |= dict.fromkeys(RENAMED[name], _value(name, value))
        else:
            values[f"{HOME[name]}.{name.replace('-', '_')}"] = value
    if "model.seq_length" in values:
        values["dataset.seq_length"] = values["model.seq_length"]
    return values
