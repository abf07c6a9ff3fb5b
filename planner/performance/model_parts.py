"""Parts of a model that a framework may have no class for: what its table leaves out is refused as it is planned."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache

from planner.performance.framework_table import Framework, framework
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import phrase
from planner.workload.model_catalog import load_model


def _odd_heads(model: ModelSpec) -> bool:
    return model.head_dim * model.heads != model.hidden


#: Biases of attention, its output and the MLP that Megatron-Core's options give.
_LIKE_BIASES = {(True, True, True), (False, False, False), (True, False, False)}
#: Parts by the names that `without` of a framework's table gives them.
PARTS: Mapping[str, Callable[[ModelSpec], bool]] = {
    "mtp": lambda m: m.mtp_layers > 0,
    "experts": lambda m: m.moe is not None,
    "latent_attention": lambda m: m.mla is not None,
    "biases": lambda m: m.attention_bias or m.attention_output_bias or m.mlp_bias or m.head_bias,
    "biases_beside_qkv": lambda m: m.attention_output_bias or m.mlp_bias or m.head_bias,
    "other_mlp": lambda m: not m.gated_mlp or m.activation not in ("", "silu"),
    "other_norms": lambda m: m.norm != "rmsnorm" or m.norms_per_layer != 2,
    "parallel_residual": lambda m: m.parallel_residual,
    "other_positions": lambda m: m.learned_positions > 0 or m.position_embedding != "",
    "windows_or_sinks": lambda m: bool(m.sliding_window) or m.attention_sinks,
    "qk_norm": lambda m: m.qk_norm,
    "odd_heads": _odd_heads,
    "sinks": lambda m: m.attention_sinks,
    "alternating_windows": lambda m: m.full_attention_every > 0,
    "single_norm": lambda m: m.norms_per_layer != 2,
    "head_bias": lambda m: m.head_bias,
    "unlike_attention_biases": lambda m: m.attention_bias != m.attention_output_bias,
    "unlike_biases": lambda m: (m.attention_bias, m.attention_output_bias, m.mlp_bias) not in _LIKE_BIASES,
    "layernorm_without_biases": lambda m: m.norm == "layernorm_nobias",
    "gated_experts": lambda m: m.moe is not None and m.gated_mlp,
    "shared_experts": lambda m: m.moe is not None and (m.moe.shared_experts > 0 or m.moe.shared_gate),
    "leading_dense_layers": lambda m: m.moe is not None and m.moe.first_dense_layers > 0,
    "odd_heads_or_tied_without_qk_norm": lambda m: (_odd_heads(m) or m.tied_embeddings) and not m.qk_norm,
}


def missing_part(row: Framework, model: ModelSpec) -> str:
    """The first part of a model, in words, for which a framework has no class; "" where it builds the model.

    A model that the framework ships itself (`models`) has what it has.
    """
    if not row.without or own_model(row.name, model):
        return ""
    return next((phrase("parts", words) for part, words in row.without.items() if PARTS[part](model)), "")


def approximated_part(row: Framework, model: ModelSpec) -> str:
    """The first part of a model, in words, that a framework is planned for in another form of equal work; "" if none.

    Such a plan is not exported.
    """
    if not row.approximates or own_model(row.name, model):
        return ""
    return next((phrase("parts", words) for part, words in row.approximates.items() if PARTS[part](model)), "")


def without_pipeline(row: Framework, model: ModelSpec) -> bool:
    """Whether the framework's class of this model is not cut into stages."""
    own = own_model(row.name, model)
    if own:
        return own.partition("/")[0] in row.models_without_pipeline
    return any(PARTS[part](model) for part in row.parts_without_pipeline)


@lru_cache(maxsize=256)
def own_model(name: str, model: ModelSpec) -> str:
    """How a framework calls a model that it ships, by its shape; "" where it ships none such."""
    for called, known in framework(name).models.items():
        try:
            if same_shape(load_model(known), model):
                return called
        except PlannerError:
            continue
    return ""


def same_shape(known: ModelSpec, model: ModelSpec) -> bool:
    """Whether two models have one shape; multi-token prediction of the known one is said apart."""

    def shape(spec: ModelSpec) -> ModelSpec:
        silu = "" if spec.activation == "silu" and spec.gated_mlp else spec.activation
        named = replace(spec, name="", source="", aliases=(), published_params=None, max_seq_length=None)
        return replace(named, activation=silu, vocab_multiple=1)

    return model.mtp_layers == 0 and shape(replace(known, mtp_layers=0)) == shape(model)
