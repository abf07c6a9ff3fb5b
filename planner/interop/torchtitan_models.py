"""torchtitan's models: which flavour a model is, and a module that registers one of another shape.

Shapes and classes are those of pytorch/torchtitan 73a0e69 (tag v0.2.2), torchtitan/models.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from planner.performance.frameworks import framework
from planner.workload.model import ModelSpec
from planner.workload.zoo import load_model

PLANNED = "planned"  # the flavour that a module of planner's registers
MODULE = "planned_model"


@dataclass(frozen=True, slots=True)
class Flavour:
    """How torchtitan calls a model; `module` is the Python that registers it where torchtitan has none like it."""

    name: str  # of the model: llama3, qwen3, …; "": it has none
    flavour: str = ""
    module: str = ""
    lacks: str = ""  # what of the model torchtitan does not have

    @property
    def without_pipeline(self) -> bool:
        return self.name in framework("torchtitan").models_without_pipeline


def flavour_of(model: ModelSpec) -> Flavour:
    """The flavour of a model's shape: torchtitan's own, else one of Llama's or Qwen3's kind."""
    for name, known in framework("torchtitan").models.items():
        if _same(load_model(known), model):
            kind, flavour = name.split("/")
            return Flavour(kind, flavour)
    lacks = _lacks(model)
    if lacks:
        return Flavour("", lacks=lacks)
    if model.qk_norm or model.head_dim * model.heads != model.hidden or model.tied_embeddings:
        return Flavour("qwen3", PLANNED, _qwen3(model))
    return Flavour("llama3", PLANNED, _llama3(model))


def _same(known: ModelSpec, model: ModelSpec) -> bool:
    """Whether two models have one shape; multi-token prediction, which torchtitan has not, is said apart."""

    def shape(spec: ModelSpec) -> ModelSpec:
        silu = "" if spec.activation == "silu" and spec.gated_mlp else spec.activation
        named = replace(spec, name="", source="", aliases=(), published_params=None, max_seq_length=None)
        return replace(named, activation=silu, vocab_multiple=1)

    return model.mtp_layers == 0 and shape(replace(known, mtp_layers=0)) == shape(model)


def _lacks(model: ModelSpec) -> str:
    """What a model has that no class of torchtitan's has, "" for a decoder of Llama's or Qwen3's kind."""
    checks = [
        (model.mtp_layers > 0, "multi-token prediction"),
        (model.moe is not None or model.mla is not None, "mixture of experts or latent attention of this shape"),
        (model.attention_bias or model.attention_output_bias or model.mlp_bias or model.head_bias, "biases"),
        (not model.gated_mlp or model.activation not in ("", "silu"), "MLP but the gated one with SiLU"),
        (model.norm != "rmsnorm" or model.norms_per_layer != 2, "norms but two RMSNorms a layer"),
        (model.parallel_residual, "parallel residual"),
        (model.learned_positions > 0 or model.position_embedding != "", "positions but rotary ones"),
        (bool(model.sliding_window) or model.attention_sinks, "sliding windows or sinks"),
    ]
    rest = (model.qk_norm, model.head_dim * model.heads != model.hidden or model.tied_embeddings)
    checks.append((rest[1] and not rest[0], "model with heads of another width or tied embeddings without QK norm"))
    return next((words for missing, words in checks if missing), "")


def _llama3(model: ModelSpec) -> str:
    """The MLP is int(multiplier x int(8/3 dim)) wide, rounded up to multiple_of."""
    multiplier = (model.ffn + 0.5) / int(8 * model.hidden / 3)
    return _module(
        "llama3",
        "llama3_args",
        "TransformerModelArgs",
        f"dim={model.hidden}, n_layers={model.layers}, n_heads={model.heads}, n_kv_heads={model.kv_heads}, "
        f"vocab_size={model.vocab},\n    ffn_dim_multiplier={multiplier!r}, multiple_of=1,  # MLP of {model.ffn}\n"
        "    rope_theta=500000,",
    )


def _qwen3(model: ModelSpec) -> str:
    return _module(
        "qwen3",
        "qwen3_args",
        "Qwen3ModelArgs",
        f"dim={model.hidden}, n_layers={model.layers}, n_heads={model.heads}, n_kv_heads={model.kv_heads}, "
        f"vocab_size={model.vocab},\n    head_dim={model.head_dim}, hidden_dim={model.ffn}, qk_norm=True, "
        f"enable_weight_tying={model.tied_embeddings},\n    rope_theta=1000000,",
    )


def _module(kind: str, table: str, args: str, values: str) -> str:
    return (
        f'"""The planned shape, for torchtitan\'s {kind}; train.toml imports it (experimental.custom_import)."""\n\n'
        f"from torchtitan.models.{kind} import {args}, {table}\n\n"
        f'{table}["{PLANNED}"] = {args}(\n    {values}\n)\n'
    )
