"""torchtitan's models: which flavour a model is, and a module that registers one of another shape.

Shapes and classes are those of pytorch/torchtitan 73a0e69 (tag v0.2.2), torchtitan/models.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.performance.frameworks import framework
from planner.performance.model_parts import missing_part, own_model
from planner.spec.model import ModelSpec

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
    own = own_model("torchtitan", model)
    if own:
        kind, flavour = own.split("/")
        return Flavour(kind, flavour)
    lacks = missing_part(framework("torchtitan"), model)
    if lacks:
        return Flavour("", lacks=lacks)
    if model.qk_norm or model.head_dim * model.heads != model.hidden or model.tied_embeddings:
        values = (
            f"head_dim={model.head_dim}, hidden_dim={model.ffn}, qk_norm=True, "
            f"enable_weight_tying={model.tied_embeddings},\n    rope_theta=1000000,"
        )
        return Flavour("qwen3", PLANNED, _module(model, "qwen3", "Qwen3ModelArgs", values))
    # The MLP is int(multiplier x int(8/3 dim)) wide, rounded up to multiple_of.
    multiplier = (model.ffn + 0.5) / int(8 * model.hidden / 3)
    values = f"ffn_dim_multiplier={multiplier!r}, multiple_of=1,  # MLP of {model.ffn}\n    rope_theta=500000,"
    return Flavour("llama3", PLANNED, _module(model, "llama3", "TransformerModelArgs", values))


def _module(model: ModelSpec, kind: str, args: str, values: str) -> str:
    return (
        f'"""The planned shape, for torchtitan\'s {kind}; train.toml imports it (experimental.custom_import)."""\n\n'
        f"from torchtitan.models.{kind} import {args}, {kind}_args\n\n"
        f'{kind}_args["{PLANNED}"] = {args}(\n'
        f"    dim={model.hidden}, n_layers={model.layers}, n_heads={model.heads}, n_kv_heads={model.kv_heads}, "
        f"vocab_size={model.vocab},\n    {values}\n)\n"
    )
