"""Which layouts of a model GPT-NeoX, Megatron-Core and FSDP run, and why one does not.

The rules and their sources are data (`catalogs/frameworks/*.yaml`); here they are applied to layouts as arrays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from planner.performance.arrays import BoolArray, Conditions, IntArray, Layouts
from planner.performance.framework_table import Framework, framework, frameworks, load_frameworks
from planner.performance.model_parts import missing_part, without_pipeline
from planner.spec.layout import RECOMPUTE
from planner.spec.model import ModelSpec
from planner.words import say, say_from
from planner.workload.layers import RECURRENT, attention_count, layer_kinds
from planner.workload.recurrent import widths

__all__ = [
    "Framework", "framework", "frameworks", "least_dp", "legal", "load_frameworks", "rules", "stages_run",
    "why_each_illegal", "why_illegal", "why_not_run",
]  # fmt: skip

#: Which layouts break a rule (a scalar: all or none), and the code of the sentence that says so, of `_words`.
Rule = tuple[BoolArray | bool, str]

#: Conditions that a framework may lack (`Framework.lacks`): key of a scenario, value that needs no option.
LACKED = {
    "shard_group": ("layout.shard_group", (None,)),
    "recompute_share": ("layout.recompute_share", (None, 0.0, 1.0)),
}
STAGES = 4  # ZeRO stages 0-3
SIZES = ("tp", "pp", "vpp", "dp", "cp", "ep", "micro_batch", "grad_accum")


def legal(name: str, model: ModelSpec, layouts: Layouts, seq_length: int, release: str = "") -> BoolArray:
    """Whether the framework runs each layout of the model, (n,).

    The batch is judged too (interleaving wants grad_accum divisible by pp). Whether tensor parallel leaves the fast
    link is not: that is a rule of the searched space (`layout_choices`), not of the framework.

    Parameters
    ----------
    name : framework, by name or alias
    layouts : n layouts
    seq_length : tokens a sequence
    release : of the framework; "" is the newest
    """
    ok = np.ones(len(layouts), dtype=bool)
    for broken, _ in rules(framework(name), model, layouts, seq_length, release):
        ok &= np.logical_not(broken)
    return ok


def why_illegal(name: str, model: ModelSpec, layout: Layouts, seq_length: int, release: str = "") -> str:
    """One sentence on the first rule that a single layout (arrays of length one) breaks; "" when it is legal."""
    return why_each_illegal(name, model, layout, seq_length, release)[0]


def why_each_illegal(name: str, model: ModelSpec, layouts: Layouts, seq_length: int, release: str = "") -> list[str]:
    """The same of each of n layouts."""
    row = framework(name)
    reasons, legal = [""] * len(layouts), np.ones(len(layouts), dtype=bool)
    for broken, code in rules(row, model, layouts, seq_length, release):
        if np.any(broken):
            for i in np.flatnonzero(legal & broken).tolist():
                reasons[i] = say_from(code, _words(row, model, layouts, i, seq_length, release))
            legal &= np.logical_not(broken)
            if not legal.any():
                break
    return reasons


def stages_run(row: Framework, precision: str, conditions: Conditions) -> tuple[int, ...]:
    """The ZeRO stages with which a framework runs an optimizer, what is moved to the host, and a precision.

    () if with none, or if it lacks what the conditions state: `why_not_run` says which. Measured runs are not held to
    it: they ran, with a framework of their time or a change of their own.
    """
    stages = row.zero_stages_by_precision.get(precision, row.zero_stages)
    for table, chosen in ((row.optimizers, conditions.optimizer), (row.offloads, conditions.offload)):
        stages = tuple(s for s in stages if s in table.get(chosen, ()) or not table)
    if conditions.adapter is not None:
        stages = tuple(s for s in stages if s in row.adapters.get(conditions.adapter.method, ()))
    return () if why_not_run(row, precision, conditions) else stages


def why_not_run(row: Framework, precision: str, conditions: Conditions) -> str:
    """One sentence on what a framework has no option for, naming the key to change; "" where it has all."""
    optimizer, offload = conditions.optimizer, conditions.offload
    in_fp16 = row.optimizers_in_fp16 or tuple(row.optimizers)
    able = [name for name in row.optimizers if precision != "fp16" or name in in_fp16]
    if row.optimizers and optimizer not in able:
        code = "frameworks.optimizer_in_fp16" if optimizer in row.optimizers else "frameworks.optimizer"
        return say(code, title=row.title, optimizer=optimizer, able=able)
    if row.offloads and offload not in row.offloads:
        return say("frameworks.offload", title=row.title, offload=offload, able=list(row.offloads))
    adapter = conditions.adapter
    if adapter is not None and adapter.method not in row.adapters:
        others = [name for name, each in frameworks().items() if adapter.method in each.adapters]
        return say("frameworks.no_adapters", title=row.title, method=adapter.method, others=others)
    if adapter is not None and offload in ("optimizer", "both"):
        return say("frameworks.small_optimizer", offload=offload)
    for name in row.lacks:
        key, unneeded = LACKED[name]
        if getattr(conditions, name) not in unneeded:
            return say("frameworks.no_option", title=row.title, key=key)
    return ""


def why_no_layout(name: str, model: ModelSpec) -> str:
    """What of a model a framework has not, however it is laid out, in a sentence; "" where it has all."""
    row = framework(name)
    broken = next((code for missing, code in _model_rules(row, model) if missing), "")
    return say_from(broken, _words_of(row, model)) if broken else ""


def rules(row: Framework, model: ModelSpec, x: Layouts, seq_length: int, release: str = "") -> Iterator[Rule]:
    """Every rule, in the order a person would check them: which layouts break it, and the code of its sentence."""
    for key in SIZES:
        yield getattr(x, key) < 1, f"layouts.least_{key}"
    yield from _model_rules(row, model)
    if model.recurrent is not None and model.recurrent.kind not in row.recurrent_over_context:
        yield x.cp > 1, "layouts.recurrent_over_context"
    yield from _tensor_rules(row, model, x)
    yield from _sequence_rules(row, x, seq_length, release)
    yield from _pipeline_rules(row, model, x)
    yield from _expert_rules(row, model, x)
    yield from _zero_rules(row, model, x)
    if row.shards_always:
        yield x.dp < least_dp(row, x.tp, x.pp, x.cp), "layouts.sharded_ranks"
    known = np.asarray([kind in row.recompute for kind in RECOMPUTE] + [False])
    in_range = (x.recompute >= 0) & (x.recompute < len(RECOMPUTE))
    yield ~known[np.where(in_range, x.recompute, -1)], "layouts.recompute"


def _model_rules(row: Framework, model: ModelSpec) -> Iterator[tuple[bool, str]]:
    """Parts of the model that the framework lacks, however it is laid out."""
    r, moe = model.recurrent, model.moe
    yield model.mla is not None and not row.mla, "layouts.no_latent_attention"
    yield r is not None and r.kind not in row.recurrent, "layouts.no_recurrent"
    joined = row.recurrent_alone and any(RECURRENT in word and len(word) > 1 for word in layer_kinds(model))
    yield joined, "layouts.recurrent_alone"
    chosen = model.sparse is not None and not row.sparse_attention
    yield chosen, "layouts.no_chosen_keys"
    yield bool(missing_part(row, model)), "layouts.no_part"
    latent = moe is not None and moe.latent > 0 and not row.latent_experts
    yield latent, "layouts.no_latent_experts"


def _tensor_rules(row: Framework, model: ModelSpec, x: Layouts) -> Iterator[Rule]:
    if not row.tensor_parallel:
        yield x.tp > 1, "layouts.no_tensor_parallel"
    tp = np.maximum(x.tp, 1)
    if model.recurrent is not None:
        wide = widths(model.recurrent).inner if model.recurrent.heads == 1 else model.recurrent.heads
        yield wide % tp != 0, "layouts.tp_recurrent_heads"
    if attention_count(model) == 0:
        yield model.hidden % tp != 0, "layouts.tp_hidden"
        return
    yield model.heads % tp != 0, "layouts.tp_heads"
    if model.mla is None:
        broken = model.kv_heads % tp != 0
        if row.kv_heads_per_rank == "divide_or_replicate":
            broken &= tp % model.kv_heads != 0
        yield broken, "layouts.tp_kv_heads"
    yield (
        (model.hidden % tp != 0) | (model.ffn % tp != 0),
        "layouts.tp_widths",
    )


def _sequence_rules(row: Framework, x: Layouts, seq_length: int, release: str) -> Iterator[Rule]:
    if row.sequence_parallel == "never" or not row.release(release).sequence_parallel:
        yield x.sequence_parallel, "layouts.no_sequence_parallel"
    if row.sequence_parallel == "with_tensor":
        yield (
            (x.tp > 1) & ~x.sequence_parallel,
            "layouts.tp_with_sequence_parallel",
        )
        yield (
            (x.tp > 1) & (seq_length % np.maximum(2 * x.tp * x.cp, 1) != 0),
            "layouts.twice_tp_cp",
        )
    yield x.sequence_parallel & (x.tp == 1), "layouts.sequence_parallel_alone"
    yield (
        x.sequence_parallel & (seq_length % np.maximum(x.tp * x.cp, 1) != 0),
        "layouts.sequence_parallel_divides",
    )
    if not row.context_parallel:
        yield x.cp > 1, "layouts.no_context_parallel"
    yield (
        (x.cp > 1) & (seq_length % np.maximum(2 * x.cp, 1) != 0),
        "layouts.context_parallel_divides",
    )


def _pipeline_rules(row: Framework, model: ModelSpec, x: Layouts) -> Iterator[Rule]:
    pp = np.maximum(x.pp, 1)
    if not row.pipeline_parallel:
        yield x.pp > 1, "layouts.no_pipeline"
    elif without_pipeline(row, model):
        yield x.pp > 1, "layouts.no_pipeline_of_class"
    yield x.pp > model.layers, "layouts.pp_beyond_layers"
    if not row.uneven_stages:
        yield model.layers % pp != 0, "layouts.pp_layers"
    if not row.interleaving:
        yield x.vpp > 1, "layouts.no_interleaving"
    yield (x.vpp > 1) & (x.pp == 1), "layouts.vpp_without_pp"
    units = model.layers + model.mtp_layers + row.units_beside_layers
    yield (
        (x.vpp > 1) & (x.pp * x.vpp > units),
        "layouts.too_many_chunks",
    )
    yield (
        (x.vpp > 1) & (x.grad_accum % pp != 0),
        "layouts.vpp_accumulation",
    )


def _expert_rules(row: Framework, model: ModelSpec, x: Layouts) -> Iterator[Rule]:
    if model.moe is None:
        yield x.ep > 1, "layouts.no_experts"
        return
    ep = np.maximum(x.ep, 1)
    yield model.moe.experts % ep != 0, "layouts.ep_experts"
    yield (
        (x.tp * x.cp * x.dp) % ep != 0,
        "layouts.ep_ranks",
    )
    if row.expert_parallel == "none":
        yield x.ep > 1, "layouts.no_expert_parallel"
    if row.expert_parallel == "tensor_group":
        yield x.ep != x.tp, "layouts.ep_is_tp"
    if row.moe_needs_sequence_parallel:
        yield (
            (x.tp > 1) & ~x.sequence_parallel,
            "layouts.experts_with_sequence_parallel",
        )


def _zero_rules(row: Framework, model: ModelSpec, x: Layouts) -> Iterator[Rule]:
    stage = x.zero_stage
    yield ~_member(stage, row.zero_stages), "layouts.zero_stages"
    yield (
        (x.pp > 1) & ~_member(stage, row.zero_stages_with_pipeline),
        "layouts.zero_without_pipeline",
    )
    yield (
        (x.tp > 1) & ~_member(stage, row.zero_stages_with_tensor),
        "layouts.zero_without_tensor",
    )
    if model.moe is not None:
        yield (
            ~_member(stage, row.zero_stages_with_experts),
            "layouts.zero_without_experts",
        )


def least_dp(row: Framework, tp: IntArray, pp: IntArray, cp: IntArray) -> IntArray:
    """The fewest data-parallel ranks of each layout, (n,): two where a framework must shard and has no other ranks."""
    alone = (cp == 1) & ((tp > 1) | (pp > 1))
    return np.where(row.shards_always & alone, 2, 1)


def _member(values: IntArray, allowed: Iterable[int]) -> BoolArray:
    table = np.zeros(STAGES + 1, dtype=bool)
    table[list(allowed)] = True
    return table[np.where((values >= 0) & (values < STAGES), values, STAGES)]


def _words(row: Framework, model: ModelSpec, x: Layouts, i: int, seq_length: int, release: str) -> dict[str, object]:
    """What the rules' sentences are filled in with, of the layout `i`."""
    v = {key: int(getattr(x, key)[i]) for key in Layouts.__slots__}
    recompute = v.pop("recompute")
    return {
        **v,
        **_words_of(row, model),
        "release": row.release(release).name,
        "layers": model.layers,
        "heads": model.heads,
        "kv_heads": model.kv_heads,
        "hidden": model.hidden,
        "ffn": model.ffn,
        "experts": model.moe.experts if model.moe else 0,
        "recurrent_heads": model.recurrent.heads if model.recurrent else 0,
        "seq_length": seq_length,
        "tp_cp": v["tp"] * v["cp"],
        "twice_cp": 2 * v["cp"],
        "twice_tp_cp": 2 * v["tp"] * v["cp"],
        "group": v["tp"] * v["cp"] * v["dp"],
        "zero_stages": [str(stage) for stage in row.zero_stages],
        "can_recompute": list(row.recompute),
        "recomputes": RECOMPUTE[recompute] if 0 <= recompute < len(RECOMPUTE) else recompute,
    }


def _words_of(row: Framework, model: ModelSpec) -> dict[str, object]:
    """The same, of a framework and a model however it is laid out."""
    return {
        "title": row.title,
        "model": model.name,
        "recurrent": model.recurrent.kind if model.recurrent else "",
        "part": missing_part(row, model),
    }
