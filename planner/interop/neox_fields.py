"""The keys of a GPT-NeoX config, each with what it stands for, how it is read and how it is written.

Keys and defaults are those of EleutherAI/gpt-neox ea7aefd (megatron/neox_arguments and megatron/model), of the entries
of `zero_optimization` those of DeepSpeed (deepspeed/runtime/zero/config.py).
"""

from __future__ import annotations

from typing import Any

from planner.interop.export_common import Export
from planner.interop.fields import Field
from planner.interop.files import truth, whole
from planner.performance.framework_table import framework
from planner.workload.counts import padded_vocab, parameter_counts

PRECISIONS = {"fp16": "fp16", "bf16": "bfloat16"}
PLAIN = {"gelu": "gelu", "relu": "relu", "softsign": "softsign", "swish": "silu", "mish": "mish", "silu": "silu"}
GATED = {"geglu": "gelu", "reglu": "relu", "bilinear": "linear", "swiglu": "silu", "glu": "sigmoid"}
FLASH, GLOBAL = "flash", "global"  # two ways to compute the same
#: Kernels that fuse what a layer does between its matmuls; each is off unless stated.
FUSIONS = (
    "bias_gelu_fusion", "bias_dropout_fusion", "layernorm_fusion", "rmsnorm_fusion", "te_layernorm_mlp",
    "use_flashattn_swiglu",
)  # fmt: skip
#: Those of attention that writes its scores; a flash kernel has no use for them.
SOFTMAX_FUSIONS = ("scaled_upper_triang_masked_softmax_fusion", "scaled_masked_softmax_fusion")
BUCKET = 500_000_000  # elements, for which the table's bucket_bytes stand: one that reduces, one that gathers


def activation_name(function: str, gated: bool) -> str:
    """GPT-NeoX's name of an MLP's activation; "" where it has none. `function`: as ModelSpec has it, "" its default."""
    names = GATED if gated else PLAIN
    wanted = function or ("silu" if gated else "gelu")
    return next((name for name, known in reversed(names.items()) if known == wanted), "")


def _positions(export: Export) -> str:
    return "learned" if export.model.learned_positions else export.model.position_embedding or "rotary"


def _longest(export: Export) -> int:
    return max(export.plan.seq_length, export.model.max_seq_length or 0, export.model.learned_positions)


def _width(export: Export) -> int | None:
    """Width of the MLP or of an expert; a gated MLP's is a third of what is stated, and 4 h need not be."""
    model = export.model
    if model.moe is not None:
        return model.moe.expert_ffn
    return 3 * model.ffn if model.gated_mlp else None if model.ffn == 4 * model.hidden else model.ffn


def _attention(export: Export) -> list[Any]:
    """Flash attention unless the plan is without it."""
    stated = export.plan.conditions
    return [[[FLASH if stated is None or stated.flash_attention else GLOBAL], export.model.layers]]


def _fused_softmax(export: Export) -> bool:
    stated = export.plan.conditions
    return stated is not None and stated.fused_or_compile and not stated.flash_attention


def _fused(export: Export) -> str:
    """The fused kernel of a plan that has them: of the norm, where the MLP has no biased GELU to fuse."""
    stated, model = export.plan.conditions, export.model
    if stated is None or not stated.fused_or_compile:
        return ""
    gelu = model.mlp_bias and not model.gated_mlp and model.activation == "" and model.moe is None
    return "bias_gelu_fusion" if gelu else "rmsnorm_fusion" if model.norm == "rmsnorm" else "layernorm_fusion"


def _stages(export: Export) -> int:
    """Pipeline stages; 0 is no pipeline engine, which ZeRO 2 and 3 want."""
    layout = export.plan.layout
    return layout.pp if layout.pp > 1 or layout.zero_stage < 2 else 0


def _degree(stated: object, called: str) -> int:
    return max(1, whole(stated, called, 0))


def _overlap(export: Export) -> bool:
    """As the plan has it, on where it does not say."""
    stated = export.plan.conditions
    return stated is None or stated.comm_overlap is not False


def gathered(export: Export) -> tuple[int, int]:
    """Parameters of one layer, and of the vocabulary's table: what ZeRO 3 has whole beside its shard."""
    model = export.model
    counts = parameter_counts(model)
    layer = -(-(counts.total - counts.embedding - counts.head) // model.layers)
    return layer, padded_vocab(model.vocab, model.vocab_multiple, export.plan.layout.tp) * model.hidden


def _prefetched(export: Export) -> int | None:
    return gathered(export)[0] if export.plan.layout.zero_stage == 3 else None


def _live(export: Export) -> int | None:
    if export.plan.layout.zero_stage != 3:
        return None
    layer, table = gathered(export)
    return round(framework("gpt-neox").memory.gather_layers) * layer + table


MODEL = (
    Field("num_layers", "model.layers"),
    Field("hidden_size", "model.hidden"),
    Field("num_attention_heads", "model.heads"),
    Field("num_kv_heads", "model.kv_heads", None,
          lambda e: e.model.kv_heads if e.model.kv_heads != e.model.heads else None),
    Field("seq_length", "data.seq_length"),
    Field("max_position_embeddings", "model.max_seq_length", None, _longest),
    Field("pos_emb", "model.position_embedding", write=_positions),
    Field("no_weight_tying", "model.tied_embeddings", False, words={True: False, False: True}),
    Field("gpt_j_residual", "model.parallel_residual", False),
    Field("norm", "model.norm", write=lambda e: "rmsnorm" if e.model.norm == "rmsnorm" else "layernorm"),
    Field("use_bias_in_norms", write=lambda e: False if e.model.norm == "layernorm_nobias" else None),
    Field("use_qk_layernorm", "model.qk_norm", False),
    Field("use_bias_in_attn_linear", "model.attention_bias", True),
    Field("use_bias_in_mlp", write=lambda e: e.model.mlp_bias or e.model.moe is not None),
    Field("activation", "model.activation", write=lambda e: activation_name(e.model.activation, e.model.gated_mlp)),
    Field("attention_config", write=_attention),
    Field("sliding_window_width", "model.sliding_window", None, lambda e: e.model.sliding_window or None),
    Field("make_vocab_size_divisible_by", "model.vocab_multiple", 128),
    Field("padded_vocab_size", write=lambda e: padded_vocab(e.model.vocab, e.model.vocab_multiple, e.plan.layout.tp)),
    Field("intermediate_size", write=_width),
    Field("moe_num_experts", "model.moe.experts", 1, least=0),
    Field("moe_top_k", "model.moe.top_k", 1),
    Field("moe_expert_interval", "model.moe.every", 1),
    Field("moe_router_type", write=lambda e: "sinkhorn" if e.model.moe else None),
)  # fmt: skip
DEGREES = (
    Field("pipe_parallel_size", "layout.pp", 0, _stages, read=_degree),
    Field("model_parallel_size", "layout.tp", 1, read=_degree),
)
SEQUENCE = (
    Field("sequence_parallel", "layout.sequence_parallel", False, lambda e: e.plan.layout.sequence_parallel or None),
)
BATCH = (
    Field("train_batch_size", "training.global_batch", None),
    Field("train_micro_batch_size_per_gpu", "layout.micro_batch", None),
    Field("gradient_accumulation_steps", "layout.grad_accum", 1),
)
RECOMPUTE = (
    Field("checkpoint_activations", "layout.recompute", False, words={"full": True, "none": False}),
    Field("checkpoint_num_layers", default=1, write=lambda e: 1 if e.plan.layout.recompute == "full" else None),
)
FUSED = (
    Field(SOFTMAX_FUSIONS[0], write=_fused_softmax),
    *(Field(name, write=lambda e, name=name: True if _fused(e) == name else None)
      for name in ("bias_gelu_fusion", "layernorm_fusion", "rmsnorm_fusion")),
)  # fmt: skip
_Z = "zero_optimization."
ZERO = (
    Field(f"{_Z}stage", "layout.zero_stage", 0, least=0, most=3),
    Field(f"{_Z}allgather_partitions", write=True),
    Field(f"{_Z}allgather_bucket_size", write=BUCKET),
    Field(f"{_Z}overlap_comm", "training.comm_overlap", None, _overlap, read=truth),
    Field(f"{_Z}reduce_scatter", write=True),
    Field(f"{_Z}reduce_bucket_size", write=BUCKET),
    Field(f"{_Z}contiguous_gradients", write=True),
    Field(f"{_Z}stage3_prefetch_bucket_size", write=_prefetched),
    Field(f"{_Z}stage3_max_live_parameters", write=_live),
)
#: All that is read and written by itself.
TABLE = (*MODEL, *DEGREES, *SEQUENCE, *BATCH, *RECOMPUTE, *FUSED, *ZERO)
