"""Megatron-LM's arguments as fields of Megatron-Bridge's ConfigContainer, and back.

Fields are those of NVIDIA-NeMo/Megatron-Bridge 067f987 (2026-08-22): src/megatron/bridge/training/config.py,
models/gpt_provider.py, training/mixed_precision.py, and of the Megatron-Core classes that they extend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Arguments whose field has another name, or stands in more than one section; others of a section keep theirs.
SAME: dict[str, tuple[str, ...]] = {
    "model": (
        "tensor-model-parallel-size", "pipeline-model-parallel-size", "context-parallel-size", "sequence-parallel",
        "pipeline-model-parallel-layout", "expert-model-parallel-size", "expert-tensor-parallel-size",
        "recompute-granularity", "recompute-modules", "recompute-method", "recompute-num-layers", "attention-backend",
        "attention-dropout", "hidden-dropout", "moe-grouped-gemm", "moe-router-load-balancing-type",
        "moe-aux-loss-coeff", "use-transformer-engine-op-fuser", "moe-token-dispatcher-type",
        "moe-flex-dispatcher-backend", "moe-router-dtype", "overlap-moe-expert-parallel-comm", "cuda-graph-impl",
        "cuda-graph-modules", "num-layers", "hidden-size", "ffn-hidden-size", "num-attention-heads",
        "num-query-groups", "kv-channels", "seq-length", "position-embedding-type", "normalization", "add-qkv-bias",
        "qk-layernorm", "vocab-size", "make-vocab-size-divisible-by", "window-attn-skip-freq", "softmax-type",
        "mtp-num-layers", "multi-latent-attention", "q-lora-rank", "kv-lora-rank", "qk-head-dim",
        "qk-pos-emb-head-dim", "v-head-dim", "moe-router-topk", "moe-ffn-hidden-size",
        "moe-shared-expert-gate", "moe-shared-expert-intermediate-size", "moe-router-score-function",
        "moe-router-enable-expert-bias",
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
HOME = {name: section for section, names in SAME.items() for name in names}

Fields = dict[str, Any]


def _layer_freq(value: Any) -> Fields:
    """`([0]*1+[1]*60)` and `([0,1])` are lists, `2` a number."""
    text = str(value).strip("()")
    if text.isdigit():
        return {"model.moe_layer_freq": int(text)}
    bits: list[int] = []
    for part in text.split("+"):
        inner, _, times = part.partition("*")
        bits += [int(bit) for bit in inner.strip("[]").split(",")] * int(times or 1)
    return {"model.moe_layer_freq": bits}


def _window(value: Any) -> Fields:
    return {"model.window_size": [int(part) for part in str(value).split(",")]}


def _nothing(_: Any) -> Fields:
    return {}


#: Arguments that are not the field of the same name.
OTHERWISE: Mapping[str, Callable[[Any], Fields]] = {
    "num-virtual-stages-per-pipeline-rank": lambda v: {"model.virtual_pipeline_model_parallel_size": v},
    "num-experts": lambda v: {"model.num_moe_experts": v},
    "moe-layer-freq": _layer_freq,
    "window-size": _window,
    "group-query-attention": _nothing,  # num_query_groups says it
    "max-position-embeddings": _nothing,  # the provider's table is as long as model.seq_length
    "swiglu": lambda _: {"model.gated_linear_unit": True, "model.activation_func": "silu"},
    "disable-bias-linear": lambda _: {"model.add_bias_linear": False},
    "untie-embeddings-and-output-weights": lambda _: {"model.share_embeddings_and_output_weights": False},
    "use-distributed-optimizer": lambda _: {
        "ddp.use_distributed_optimizer": True,
        "optimizer.use_distributed_optimizer": True,
    },
    "fp8-format": lambda v: {"mixed_precision.fp8": v},
    "fp4-format": lambda v: {"mixed_precision.fp4": v},
    "grad-reduce-in-bf16": lambda _: {
        "mixed_precision.grad_reduce_in_fp32": False,
        "ddp.grad_reduce_in_fp32": False,
    },
    "no-bias-swiglu-fusion": lambda _: {"model.bias_activation_fusion": False},
    "no-bias-gelu-fusion": lambda _: {"model.bias_activation_fusion": False},
    "no-bias-dropout-fusion": lambda _: {"model.bias_dropout_fusion": False},
    "no-check-for-nan-in-loss-and-grad": lambda _: {
        "rerun_state_machine.check_for_nan_in_loss": False,
        "ddp.check_for_nan_in_grad": False,
    },
}
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
        if name in OTHERWISE:
            values |= OTHERWISE[name](value)
        else:
            values[f"{HOME[name]}.{name.replace('-', '_')}"] = value
    if "model.seq_length" in values:
        values["dataset.seq_length"] = values["model.seq_length"]
    return values
