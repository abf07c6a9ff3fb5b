"""Every layout of a GPU count that a framework runs, by plain loops over plain numbers.

What a framework can do is read from its file as it stands; what that means for a layout is written here a second time,
and nothing is imported from `planner.performance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from planner.spec.model import ModelSpec
from planner.spec.scenario import LayoutBounds
from planner.workload import load_model

FOLDER = Path(__file__).parents[1] / "catalogs" / "frameworks"
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # both are safe; the C one is ten times as fast
RECOMPUTE = ("none", "selective", "full")


class Layout(NamedTuple):
    """One layout without its batch."""

    tp: int
    pp: int
    vpp: int
    dp: int
    cp: int
    ep: int
    zero: int
    sequence_parallel: bool
    recompute: int


@lru_cache(maxsize=1)
def files() -> Mapping[str, Mapping[str, Any]]:
    """The frameworks' files, by name."""
    read = [yaml.load(path.read_text("utf-8"), Loader=LOADER) for path in sorted(FOLDER.glob("*.yaml"))]  # noqa: S506
    return {each["name"]: each for each in read}


@cache
def facts(framework: str) -> Mapping[str, Any]:
    """What a framework's file says of its layouts."""
    own = files()[framework]
    stated = {**files().get(own.get("like"), {}).get("layout", {}), **own.get("layout", {})}
    return {key: entry["value"] for key, entry in stated.items()}


def unnamed() -> tuple[str, ...]:
    """The frameworks that `any` means."""
    return tuple(name for name, each in files().items() if not each.get("by_name"))


# Beside the layout ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Beside:
    """What is stated beside the layout."""

    precision: str = "bf16"
    optimizer: str = "adamw"
    offload: str = "none"
    adapter: str = ""  # lora, qlora
    recompute_share: float | None = None
    shard_group: int | None = None


def zero_stages(framework: str, beside: Beside) -> tuple[int, ...]:
    """The ZeRO stages with which a framework runs what is stated beside the layout; () where it does not run it."""
    can = facts(framework)
    if beside.shard_group is not None and "shard_group" in can.get("lacks", []):
        return ()
    if beside.recompute_share not in (None, 0.0, 1.0) and "recompute_share" in can.get("lacks", []):
        return ()
    if beside.precision == "fp16" and beside.optimizer not in can.get("optimizers_in_fp16", [beside.optimizer]):
        return ()
    if beside.adapter and beside.offload in ("optimizer", "both"):
        return ()
    stages = set(can.get("zero_stages_by_precision", {}).get(beside.precision, can["zero_stages"]))
    if "optimizers" in can:
        stages &= set(can["optimizers"].get(beside.optimizer, []))
    if "offloads" in can:
        stages &= set(can["offloads"].get(beside.offload, []))
    if beside.adapter:
        stages &= set(can.get("adapters", {}).get(beside.adapter, []))
    return tuple(sorted(stages))


def shares(framework: str, layers: int, layout: Layout, stated: float | None) -> list[float | None]:
    """Shares of the layers that full recompute may cover: whole layers of each chunk, one by one; None: all."""
    can = facts(framework)
    if RECOMPUTE[layout.recompute] != "full":
        return [None]
    if stated == 0.0:
        return []
    if "recompute_share" in can.get("lacks", []) or (stated is None and can.get("shares_of_every_nth")):
        return [None]
    chunks = layout.pp * layout.vpp
    found: list[float | None] = [k * chunks / layers for k in range(1, layers) if k * chunks < layers]
    found.append(None)
    if stated is None:
        return found
    return [next(share for share in found if share is None or share >= stated - 1e-9)]


def groups(framework: str, layout: Layout, stated: int | None, optimizer: str = "adamw") -> list[int | None]:
    """GPUs over which states may be sharded: what divides the data-parallel ranks, of dense layers and of experts."""
    can, ranks = facts(framework), layout.dp * layout.cp
    if layout.zero == 0:
        return [None]
    found: list[int | None] = [None]
    if "shard_group" not in can.get("lacks", []) and optimizer in can.get("optimizers_in_groups", [optimizer]):
        of_an_expert = layout.tp * ranks // layout.ep
        parts = (n for n in range(2, layout.dp + 1) if layout.dp % n == 0 and of_an_expert % n == 0)
        found += [ranks // n for n in parts]
    if stated is None:
        return found
    return [None] if stated >= ranks else [group for group in found if group == stated]


# The layouts ----------------------------------------------------------------------------------------------------------


@cache
def every_layout(framework: str, release: str, model: ModelSpec, seq_length: int, gpus: int) -> tuple[Layout, ...]:
    """All layouts of this many GPUs that the framework runs, whatever is stated beside them."""
    if not has_parts(framework, model):
        return ()
    return tuple(_looped(framework, release, model, seq_length, gpus))


def layouts(
    framework: str,
    release: str,
    model: ModelSpec,
    seq_length: int,
    gpus: int,
    bounds: LayoutBounds,
    stages: tuple[int, ...],
) -> list[Layout]:
    """Those of them within a scenario's bounds, with these ZeRO stages."""
    return [
        x
        for x in every_layout(framework, release, model, seq_length, gpus)
        if x.zero in stages
        and bounds.tp.allows(x.tp)
        and bounds.pp.allows(x.pp)
        and bounds.vpp.allows(x.vpp)
        and bounds.dp.allows(x.dp)
        and bounds.cp.allows(x.cp)
        and bounds.ep.allows(x.ep)
        and bounds.zero_stage.allows(x.zero)
        and bounds.sequence_parallel in (None, x.sequence_parallel)
        and (not bounds.recompute or RECOMPUTE[x.recompute] in bounds.recompute)
    ]


def _looped(framework: str, release: str, model: ModelSpec, seq_length: int, gpus: int) -> Iterator[Layout]:
    can = facts(framework)
    most_chunks = model.layers + model.mtp_layers + can["units_beside_layers"]
    most_experts = model.moe.experts if model.moe else 1
    for tp in divisors(gpus):
        for pp in divisors(gpus // tp):
            for cp in divisors(gpus // tp // pp):
                dp = gpus // tp // pp // cp
                if not (
                    tensor_parallel_runs(can, model, tp)
                    and pipeline_runs(can, framework, model, pp)
                    and context_parallel_runs(can, model, seq_length, cp)
                    and shards_run(can, tp * pp, dp * cp)
                ):
                    continue
                yield from (
                    Layout(tp, pp, vpp, dp, cp, ep, zero, together, recompute)
                    for vpp in range(1, most_chunks + 1)
                    if interleaving_runs(can, model, pp, vpp)
                    for ep in range(1, most_experts + 1)
                    if experts_run(can, model, tp, tp * cp * dp, ep)
                    for zero in range(4)
                    if zero_runs(can, model, tp, pp, zero)
                    for together in (False, True)
                    if sequence_parallel_runs(can, framework, release, model, seq_length, tp, cp, together)
                    for recompute, kind in enumerate(RECOMPUTE)
                    if kind in can["recompute"]
                )


def divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def tensor_parallel_runs(can: Mapping[str, Any], model: ModelSpec, tp: int) -> bool:
    if tp == 1:
        return True
    if not can["tensor_parallel"]:
        return False
    mixer = model.recurrent
    if mixer is not None and (mixer.heads if mixer.heads > 1 else mixer.head_dim) % tp:
        return False
    if not has_attention(model):
        return model.hidden % tp == 0
    if model.heads % tp or model.hidden % tp or model.ffn % tp:
        return False
    if model.mla is not None or model.kv_heads % tp == 0:
        return True
    return can["kv_heads_per_rank"] == "divide_or_replicate" and tp % model.kv_heads == 0


def pipeline_runs(can: Mapping[str, Any], framework: str, model: ModelSpec, pp: int) -> bool:
    if pp == 1:
        return True
    if not can["pipeline_parallel"] or pp > model.layers:
        return False
    if model.layers % pp and not can["uneven_stages"]:
        return False
    if shipped := name_of_shipped(framework, model):
        return shipped.split("/")[0] not in can.get("models_without_pipeline", [])
    return not any(PARTS[part](model) for part in can.get("parts_without_pipeline", []))


def context_parallel_runs(can: Mapping[str, Any], model: ModelSpec, seq_length: int, cp: int) -> bool:
    if cp == 1:
        return True
    mixer = model.recurrent
    if mixer is not None and mixer.kind not in can.get("recurrent_over_context", []):
        return False
    return bool(can["context_parallel"]) and seq_length % (2 * cp) == 0


def interleaving_runs(can: Mapping[str, Any], model: ModelSpec, pp: int, vpp: int) -> bool:
    """Chunks are equal, embedding and loss counting as a layer each where the framework may count them."""
    if vpp == 1:
        return True
    if not can["interleaving"] or pp == 1:
        return False
    beside = range(can["units_beside_layers"] + 1)
    return any((model.layers + model.mtp_layers + more) % (pp * vpp) == 0 for more in beside)


def experts_run(can: Mapping[str, Any], model: ModelSpec, tp: int, ranks: int, ep: int) -> bool:
    """`ranks`: tp x cp x dp."""
    if model.moe is None:
        return ep == 1
    if can["expert_parallel"] == "none" and ep > 1:
        return False
    if can["expert_parallel"] == "tensor_group" and ep != tp:
        return False
    return model.moe.experts % ep == 0 and ranks % ep == 0


def shards_run(can: Mapping[str, Any], ranks_of_a_copy: int, copies: int) -> bool:
    """Some run tensor or pipeline parallelism over sharded ranks only."""
    return copies > 1 or ranks_of_a_copy == 1 or not can.get("shards_always")


def zero_runs(can: Mapping[str, Any], model: ModelSpec, tp: int, pp: int, zero: int) -> bool:
    if zero not in can["zero_stages"]:
        return False
    if pp > 1 and zero not in can["zero_stages_with_pipeline"]:
        return False
    if tp > 1 and zero not in can["zero_stages_with_tensor"]:
        return False
    return model.moe is None or zero in can["zero_stages_with_experts"]


def sequence_parallel_runs(
    can: Mapping[str, Any],
    framework: str,
    release: str,
    model: ModelSpec,
    seq_length: int,
    tp: int,
    cp: int,
    sequence_parallel: bool,
) -> bool:
    if sequence_parallel:
        own = files()[framework]
        releases = own.get("releases") or files()[own["like"]]["releases"]
        known = [each for each in releases if each["name"] == release] or releases[-1:]
        if can["sequence_parallel"] == "never" or not known[0]["sequence_parallel"]:
            return False
        return tp > 1 and seq_length % (tp * cp * (2 if can["sequence_parallel"] == "with_tensor" else 1)) == 0
    if tp == 1:
        return True
    return can["sequence_parallel"] != "with_tensor" and not (can["moe_needs_sequence_parallel"] and model.moe)


# The model ------------------------------------------------------------------------------------------------------------

PARTS: Mapping[str, Callable[[ModelSpec], bool]] = {
    "mtp": lambda m: m.mtp_layers > 0,
    "experts": lambda m: m.moe is not None,
    "latent_attention": lambda m: m.mla is not None,
    "biases": lambda m: any((m.attention_bias, m.attention_output_bias, m.mlp_bias, m.head_bias)),
    "biases_beside_qkv": lambda m: any((m.attention_output_bias, m.mlp_bias, m.head_bias)),
    "other_mlp": lambda m: not (m.gated_mlp and m.activation in ("", "silu")),
    "other_norms": lambda m: not (m.norm == "rmsnorm" and m.norms_per_layer == 2),
    "parallel_residual": lambda m: m.parallel_residual,
    "other_positions": lambda m: m.learned_positions > 0 or m.position_embedding != "",
    "windows_or_sinks": lambda m: m.attention_sinks or m.sliding_window is not None,
    "qk_norm": lambda m: m.qk_norm,
    "odd_heads": lambda m: m.hidden != m.heads * m.head_dim,
    "sinks": lambda m: m.attention_sinks,
    "alternating_windows": lambda m: m.full_attention_every > 0,
    "single_norm": lambda m: m.norms_per_layer == 1,
    "head_bias": lambda m: m.head_bias,
    "unlike_attention_biases": lambda m: m.attention_bias is not m.attention_output_bias,
    "gated_experts": lambda m: m.moe is not None and m.gated_mlp,
    "shared_experts": lambda m: m.moe is not None and (m.moe.shared_experts > 0 or m.moe.shared_gate),
    "leading_dense_layers": lambda m: m.moe is not None and m.moe.first_dense_layers > 0,
    "odd_heads_or_tied_without_qk_norm": lambda m: (
        not m.qk_norm and (m.tied_embeddings or m.hidden != m.heads * m.head_dim)
    ),
}


def has_attention(model: ModelSpec) -> bool:
    return not model.layer_pattern or "A" in model.layer_pattern or "W" in model.layer_pattern


@cache
def has_parts(framework: str, model: ModelSpec) -> bool:
    """Whether the framework builds the model at all."""
    can, mixer = facts(framework), model.recurrent
    if mixer is not None and mixer.kind not in can.get("recurrent", []):
        return False
    if can.get("recurrent_alone") and any("R" in word and word != "R" for word in model.layer_pattern.split()):
        return False
    if model.mla is not None and not can["mla"]:
        return False
    if model.sparse is not None and not can.get("sparse_attention"):
        return False
    if model.moe is not None and model.moe.latent and not can.get("latent_experts"):
        return False
    if name_of_shipped(framework, model):
        return True
    return not any(PARTS[part](model) for part in can.get("without", {}))


@cache
def name_of_shipped(framework: str, model: ModelSpec) -> str:
    """The framework's own name of a model of this shape; "" where it has none. It ships none with extra predictions."""
    shipped = facts(framework).get("models", {})
    same = [called for called, known in shipped.items() if _shape(load_model(known)) == _shape(model)]
    return same[0] if same and model.mtp_layers == 0 else ""


def _shape(model: ModelSpec) -> ModelSpec:
    """What makes a model's layers, without what names it or bounds its use."""
    activation = "" if model.gated_mlp and model.activation == "silu" else model.activation
    bare = replace(model, name="", max_seq_length=None, vocab_multiple=1, mtp_layers=0, activation=activation)
    return replace(bare, source="", aliases=(), published_params=None)
