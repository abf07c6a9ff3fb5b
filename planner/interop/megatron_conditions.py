"""How Megatron-LM's arguments set a run up beside its layout: attention, fused kernels, overlap.

Names and defaults are those of Megatron-LM's megatron/training/arguments.py.
"""

from __future__ import annotations

from planner.interop.imported import Taken
from planner.interop.megatron_arguments import Arguments
from planner.spec.model import ModelSpec
from planner.words import say

#: What `--attention-backend` says of the kernels: a generation, whether they are flash kernels at all, or nothing.
BACKENDS: dict[str, bool | int] = {"flash": 2, "fused": 3, "auto": True, "unfused": False, "local": False}
#: Fused kernels that are on unless switched off; `persist-layer-norm` is one of two such norms.
ALSO_READ = (
    "no-bias-dropout-fusion", "no-rope-fusion", "no-gradient-accumulation-fusion", "no-persist-layer-norm",
    "overlap-param-gather",
)  # fmt: skip


def megatron_conditions(a: Arguments, model: ModelSpec) -> list[Taken]:
    """What the arguments say of how the run is set up, as keys of a scenario.

    Attention that no argument names is left to the framework's release: Megatron-LM's default has changed.
    """
    attention = _attention(a)
    unfused = any(taken.value is False for taken in attention)
    overlap = Taken("training.comm_overlap", a.flag("overlap-grad-reduce"), a.origin("overlap-grad-reduce"))
    a.used.update(ALSO_READ)
    return [*attention, *_unfused(a, model, unfused_attention=unfused), overlap]


def _attention(a: Arguments) -> list[Taken]:
    key = "training.flash_attention"
    backend, local = a.text("attention-backend", ""), a.text("transformer-impl", "")
    if a.flag("use-flash-attn"):
        return [Taken(key, True, a.origin("use-flash-attn"))]
    if backend and local != "local":
        if backend in BACKENDS:
            return [Taken(key, BACKENDS[backend], a.origin("attention-backend"))]
        a.remarks.append(say("megatron_conditions.backend", backend=backend))
        return []
    if local:
        origin = a.origin("transformer-impl")
        return [Taken(key, local != "local", f"{origin}; attention without --use-flash-attn")]
    return []


def _unfused(a: Arguments, model: ModelSpec, *, unfused_attention: bool) -> list[Taken]:
    """That kernels are not fused, where an argument says so of those that this model uses."""
    activation = "no-bias-swiglu-fusion" if model.gated_mlp else "no-bias-gelu-fusion"
    a.used.update(("no-bias-swiglu-fusion", "no-bias-gelu-fusion", "no-masked-softmax-fusion"))
    names = (activation, "no-masked-softmax-fusion") if unfused_attention else (activation,)
    said = [name for name in names if a.flag(name)]
    return [Taken("training.fused_or_compile", False, a.origin(*said))] if said else []


def share_recomputed(a: Arguments, layers: int, stages: int) -> list[Taken]:
    """The share of the layers that full recompute covers: `block` counts them a stage, `uniform` covers all."""
    number = a.optional("recompute-num-layers", 0)
    if a.text("recompute-method", "uniform") != "block" or number is None:
        return []
    share = min(1.0, number * stages / layers)
    return [Taken("layout.recompute_share", round(share, 6), a.origin("recompute-num-layers"))]


def group_of(a: Arguments, ranks: int | None) -> list[Taken]:
    """GPUs that the distributed optimizer is sharded over, where several instances of it share the ranks."""
    instances = a.number("num-distributed-optimizer-instances", 1)
    if instances == 1 or ranks is None or ranks % instances:
        return []
    return [Taken("layout.shard_group", ranks // instances, a.origin("num-distributed-optimizer-instances"))]
