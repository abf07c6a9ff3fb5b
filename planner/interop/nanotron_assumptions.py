"""What a plan assumes of a run under nanotron, and the keys of its YAML, each with how it is read and written.

Keys and defaults are those of huggingface/nanotron 7bc9923 (2026-04-07), src/nanotron/config.
"""

from __future__ import annotations

from typing import Any

from planner.interop.assumptions import Assumption, fields_of, no_degree, no_modules, no_scores
from planner.interop.export_common import Export, conditions_of
from planner.interop.fields import Field

M, P, T = "model.model_config.", "parallelism.", "tokens."


def _sequence_parallel(export: Export) -> dict[str, Any]:
    split = export.plan.layout.sequence_parallel
    return {f"{P}tp_mode": "REDUCE_SCATTER" if split else "ALL_REDUCE", f"{P}tp_linear_async_communication": split}


BOTH = "memory, time"
NANOTRON = (
    Assumption("layout", "nanotron_assumptions.layout", BOTH,
               (Field(f"{P}dp", "layout.dp"), Field(f"{P}tp", "layout.tp"), Field(f"{P}pp", "layout.pp"),
                Field(f"{P}pp_engine", default="afab", write="1f1b"),
                Field(f"{P}context_parallel_size", default=1, decides="the layout")),
               "nanotron_assumptions.layout_otherwise", lacking=no_degree("vpp", "cp", "ep")),
    Assumption("batch", "nanotron_assumptions.batch", BOTH,
               (Field(f"{T}micro_batch_size", "layout.micro_batch"),
                Field(f"{T}batch_accumulation_per_replica", "layout.grad_accum"),
                Field(f"{T}sequence_length", "data.seq_length"))),
    Assumption("expert ranks", "assumptions.none", BOTH,
               (Field(f"{P}expert_parallel_size", default=1, decides="the layout"),), "assumptions.experts_refused"),
    Assumption("sequence parallel", "assumptions.divided_by_tp", BOTH,
               (Field(f"{P}tp_mode", default="ALL_REDUCE"), f"{P}tp_linear_async_communication"), "assumptions.off",
               _sequence_parallel),
    Assumption("sharding", "nanotron_assumptions.sharding", BOTH,
               (Field("optimizer.zero_stage", "layout.zero_stage", 0, least=0, most=1),),
               "nanotron_assumptions.sharding_otherwise"),
    Assumption("buckets", "nanotron_assumptions.buckets", "memory", (Field("model.ddp_bucket_cap_mb", default=25),),
               "nanotron_assumptions.buckets_otherwise"),
    Assumption("weights", "nanotron_assumptions.weights", BOTH,
               (Field("model.dtype", default="bfloat16", decides="what memory holds"),), "assumptions.others_refused"),
    Assumption("gradients", "nanotron_assumptions.gradients", BOTH,
               (Field("optimizer.accumulate_grad_in_fp32", default=True, decides="what memory holds"),)),
    Assumption("reductions", "nanotron_assumptions.reductions", "time", (),
               "nanotron_assumptions.reductions_otherwise"),
    Assumption("optimizer", "nanotron_assumptions.optimizer", BOTH,
               (Field("optimizer.optimizer_factory.name", write="adamW"),), "assumptions.others_refused"),
    Assumption("offload", "assumptions.none", BOTH, (), "assumptions.host_refused"),
    Assumption("adapters", "assumptions.no_adapters", BOTH, (), "assumptions.adapters_refused"),
    Assumption("recompute", "assumptions.whole_layers", BOTH,
               (Field(f"{P}recompute_layer", "layout.recompute", False, words={"full": True, "none": False}),),
               "assumptions.partial_recompute_refused", lacking=no_modules),
    Assumption("attention", "assumptions.flash", BOTH, (Field(f"{M}_attn_implementation", write="flash_attention_2"),),
               "nanotron_assumptions.attention_otherwise", lacking=no_scores),
    Assumption("fused kernels", "nanotron_assumptions.fused_kernels", BOTH,
               (Field(f"{M}_fused_rms_norm", write=lambda e: conditions_of(e).fused_or_compile),
                Field(f"{M}_fused_rotary_emb", write=True)), "assumptions.fused"),
    Assumption("dropout", "assumptions.no_masks", "memory", (), "nanotron_assumptions.dropout_otherwise"),
    Assumption("loss", "assumptions.loss_copied", BOTH, (), "nanotron_assumptions.loss_otherwise"),
    Assumption("routing", "nanotron_assumptions.routing", BOTH, (), "assumptions.experts_refused"),
    Assumption("expert exchange", "assumptions.none", "time", (), "assumptions.experts_refused"),
    Assumption("CUDA graphs", "assumptions.none", "time", (), "nanotron_assumptions.cuda_graphs_otherwise"),
)  # fmt: skip
#: The model: nanotron's Qwen2, which is Llama's shape with or without biases on q, k and v.
MODEL = (
    Field("model.init_method.std", write=0.02),
    Field("model.make_vocab_size_divisible_by", "model.vocab_multiple", 1),
    Field(f"{M}is_qwen2_config", write=True),
    Field(f"{M}hidden_size", "model.hidden"),
    Field(f"{M}intermediate_size", "model.ffn", 11008),
    Field(f"{M}num_hidden_layers", "model.layers", 32),
    Field(f"{M}num_attention_heads", "model.heads"),
    Field(f"{M}num_key_value_heads", "model.kv_heads", None),
    Field(f"{M}attention_bias", "model.attention_bias", False),
    Field(f"{M}hidden_act", write="silu"),
    Field(f"{M}max_position_embeddings", write=lambda e: max(e.plan.seq_length, e.model.max_seq_length or 0)),
    Field(f"{M}tie_word_embeddings", "model.tied_embeddings", False),
    Field(f"{M}vocab_size", "model.vocab", 32000),
)
#: All that is read.
TABLE = fields_of(
    NANOTRON,
    *MODEL,
    Field(f"{T}train_steps", "training.iterations"),
    *(Field(f"{M}{key}", default=None, decides="the model")
      for key in ("moe_config", "sliding_window_size", "no_rope_layer")),
)  # fmt: skip
