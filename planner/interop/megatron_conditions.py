"""How Megatron-LM's arguments set a run up beside its layout: attention, fused kernels, overlap; and back.

Names and defaults are those of Megatron-LM's megatron/training/arguments.py.
"""

from __future__ import annotations

from planner.interop.imported import Taken
from planner.interop.megatron_arguments import Arguments
from planner.results.plan import Layout, RunConditions
from planner.spec.model import ModelSpec
from planner.words import say

#: What `--attention-backend` says of the kernels: a generation, whether they are flash kernels at all, or nothing.
BACKENDS: dict[str, bool | int] = {"flash": 2, "fused": 3, "auto": True, "unfused": False, "local": False}
WRITTEN: dict[bool | int, str] = {2: "flash", 3: "fused", True: "auto", False: "unfused"}
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


def attention_backend(conditions: RunConditions | None) -> str:
    """`--attention-backend` of a plan."""
    if conditions is None:
        return "auto"
    return WRITTEN[conditions.flash_generation or conditions.flash_attention]


def fusion_arguments(conditions: RunConditions | None, model: ModelSpec) -> dict[str, bool]:
    """What switches fused kernels off, in a plan without them."""
    if conditions is None or conditions.fused_or_compile:
        return {}
    activation = "no-bias-swiglu-fusion" if model.gated_mlp else "no-bias-gelu-fusion"
    return {activation: True, "no-bias-dropout-fusion": True}


def overlap_arguments(conditions: RunConditions | None, zero_stage: int) -> dict[str, bool]:
    """Reductions behind the backward pass: as the plan has them, else wherever the optimizer is sharded."""
    stated = conditions.comm_overlap if conditions is not None else None
    overlap = zero_stage >= 1 if stated is None else stated
    return {"overlap-grad-reduce": overlap, "overlap-param-gather": overlap and zero_stage >= 1}


def layers_recomputed(share: float, layout: Layout, model: ModelSpec) -> tuple[int, float]:
    """Layers of each stage that `block` recomputes for a share of all, and the share that these are."""
    stages = layout.pp * layout.vpp
    number = max(1, round(share * model.layers / stages))
    return number, number * stages / model.layers


def instances(conditions: RunConditions | None, layout: Layout) -> int | None:
    """`--num-distributed-optimizer-instances` of a plan whose states are sharded over a part of the ranks."""
    group = conditions.shard_group if conditions is not None else None
    ranks = layout.dp * layout.cp
    return ranks // group if group and group < ranks and ranks % group == 0 else None


def pipeline_layout(layers: int, stages: int, mtp_layers: int = 0) -> str:
    """`--pipeline-model-parallel-layout` of stages that differ by one layer at most: `E,t*6|t*6|t*5,L`."""
    each, more = divmod(layers, stages)
    parts = [f"t*{each + (stage < more)}" if each + (stage < more) else "" for stage in range(stages)]
    last = ",".join([p for p in [parts[-1]] if p] + ["m"] * mtp_layers + ["L"])
    if stages == 1:
        return f"E,{last}"
    return "|".join([",".join(p for p in ("E", parts[0]) if p), *parts[1:-1], last])
