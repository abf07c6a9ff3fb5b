"""What GPT-NeoX, Megatron-Core and FSDP can run: which layouts are legal for a model, and why one is not.

The rules and their sources are data (`catalogs/frameworks/*.yaml`); here they are applied to layouts as arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from planner.catalog.paths import data_dir
from planner.performance.arrays import RECOMPUTE, BoolArray, IntArray, Layouts
from planner.units import PlannerError
from planner.workload.model import ModelSpec

_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
STAGES = 4  # ZeRO stages 0-3


@dataclass(frozen=True, slots=True)
class Release:
    """One state of a framework's code."""

    name: str
    flash_attention: bool
    sequence_parallel: bool
    source: str


@dataclass(frozen=True, slots=True)
class KindBytes:
    """Bytes a parameter of one kind of state by ZeRO stage: kept whole by every rank, and divided over the group."""

    full: tuple[float, ...]
    shard: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class StateBytes:
    """Bytes a parameter that training keeps, by kind."""

    weights: KindBytes
    gradients: KindBytes
    optimizer: KindBytes


@dataclass(frozen=True, slots=True)
class MemoryConstants:
    """What a framework keeps in memory. Sizes in bytes unless named otherwise; sources in the framework's table."""

    bytes_per_parameter: Mapping[str, StateBytes]  # by precision
    logits_bytes: float  # a logit
    attention_scores_bytes: float  # a score, without flash attention
    gather_layers: float  # layers whose full weights are there at once under ZeRO 3
    gather_bytes: float  # a gathered weight
    reduce_bytes: float  # a gradient before it is reduced and scattered
    bucket_bytes: float
    overhead_gib: float
    overhead_per_group_gib: float
    fragmentation: float  # share of activations
    moe_imbalance: float  # busiest rank's tokens over the mean
    selective_drops: tuple[str, ...]  # what selective recompute does not keep


@dataclass(frozen=True, slots=True)
class Framework:
    """One row of the table: the layouts a framework runs, and the source of each rule (`sources`, by field name)."""

    name: str
    title: str
    aliases: tuple[str, ...]
    tensor_parallel: bool
    kv_heads_per_rank: str  # divide | divide_or_replicate
    sequence_parallel: str  # never | optional
    pipeline_parallel: bool
    interleaving: bool
    uneven_stages: bool
    units_beside_layers: int  # embedding and loss that may fill a stage or chunk of their own
    context_parallel: bool
    expert_parallel: str  # none | tensor_group | any
    zero_stages: tuple[int, ...]
    zero_stages_with_pipeline: tuple[int, ...]
    zero_stages_with_tensor: tuple[int, ...]
    zero_stages_with_experts: tuple[int, ...]
    zero_shards_over_context: bool
    recompute: tuple[str, ...]
    moe_needs_sequence_parallel: bool
    mla: bool
    precisions: tuple[str, ...]
    releases: tuple[Release, ...]  # newest last
    memory: MemoryConstants
    sources: Mapping[str, str] = field(default_factory=dict)

    def release(self, name: str) -> Release:
        """The release called `name`; the newest for "", "latest" and names that the table does not hold."""
        return next((r for r in self.releases if r.name == name), self.releases[-1])

    def state_bytes(self, precision: str) -> StateBytes:
        """Bytes a parameter at a precision.

        Raises
        ------
        PlannerError
            If the framework does not train at that precision.
        """
        try:
            return self.memory.bytes_per_parameter[precision]
        except KeyError:
            can = ", ".join(self.precisions)
            raise PlannerError(f"{self.title} does not train in {precision}: choose one of {can}") from None


def frameworks() -> Mapping[str, Framework]:
    """The table, by name: gpt-neox, megatron, fsdp."""
    return _load(data_dir() / "frameworks")


def framework(name: str) -> Framework:
    """One row by its name or one of its aliases.

    Raises
    ------
    PlannerError
        If no framework is called that.
    """
    table = frameworks()
    for row in table.values():
        if name == row.name or name in row.aliases:
            return row
    raise PlannerError(f"framework {name!r} is not known: choose one of {', '.join(table)}")


def load_frameworks(folder: Path | None = None) -> Mapping[str, Framework]:
    """The table read from a folder of YAML files; from the shipped one when none is given."""
    return _load(folder) if folder is not None else frameworks()


@cache
def _load(folder: Path) -> Mapping[str, Framework]:
    rows = (_row(yaml.load(path.read_text("utf-8"), Loader=_YAML_LOADER)) for path in sorted(folder.glob("*.yaml")))
    return {row.name: row for row in rows}


def _row(data: Mapping[str, Any]) -> Framework:
    layout = {key: _frozen(entry["value"]) for key, entry in data["layout"].items()}
    memory = {key: _frozen(entry["value"]) for key, entry in data["memory"].items() if key != "bytes_per_parameter"}
    state = {
        precision: StateBytes(**{kind: KindBytes(tuple(b["full"]), tuple(b["shard"])) for kind, b in kinds.items()})
        for precision, kinds in data["memory"]["bytes_per_parameter"]["value"].items()
    }
    return Framework(
        name=data["name"],
        title=data["title"],
        aliases=tuple(data["aliases"]),
        releases=tuple(Release(**release) for release in data["releases"]),
        memory=MemoryConstants(bytes_per_parameter=state, **memory),
        sources={key: entry["source"] for part in ("layout", "memory") for key, entry in data[part].items()},
        **layout,
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


# What is legal -------------------------------------------------------------------------------------------------------

Broken = BoolArray
Sentence = Callable[[Mapping[str, int]], str]


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
        ok &= ~broken
    return ok


def why_illegal(name: str, model: ModelSpec, layout: Layouts, seq_length: int, release: str = "") -> str:
    """One sentence on the first rule that a single layout (arrays of length one) breaks; "" when it is legal."""
    values = {key: int(getattr(layout, key)[0]) for key in Layouts.__slots__}
    for broken, sentence in rules(framework(name), model, layout, seq_length, release):
        if broken[0]:
            return sentence(values)
    return ""


def rules(
    row: Framework, model: ModelSpec, x: Layouts, seq_length: int, release: str = ""
) -> list[tuple[Broken, Sentence]]:
    """Every rule as (which layouts break it, the sentence that says so), in the order a person would check them."""
    heads, kv = model.heads, model.kv_heads
    experts = model.moe.experts if model.moe else 0
    title, when = row.title, row.release(release)
    out: list[tuple[Broken, Sentence]] = []

    def rule(broken: Any, sentence: Sentence) -> None:
        out.append((np.broadcast_to(np.asarray(broken, dtype=bool), x.tp.shape), sentence))

    for key in ("tp", "pp", "vpp", "dp", "cp", "ep", "micro_batch", "grad_accum"):
        rule(getattr(x, key) < 1, lambda v, key=key: f"{key} is {v[key]}, but it must be at least 1")  # type: ignore[misc]
    if model.mla is not None and not row.mla:
        rule(True, lambda v: f"{title} has no multi-head latent attention, which {model.name} needs")
    rule(
        (x.tp > 1) & (not row.tensor_parallel),
        lambda v: f"{title} has no tensor parallelism: tp must be 1, not {v['tp']}",
    )
    rule(heads % x.tp != 0, lambda v: f"tp {v['tp']} does not divide the {heads} attention heads of {model.name}")
    replicates = row.kv_heads_per_rank == "divide_or_replicate"
    rule(
        (kv % x.tp != 0) & ~(replicates & (x.tp % kv == 0)),
        lambda v: f"tp {v['tp']} does not divide the {kv} key-value heads of {model.name}, as {title} requires",
    )
    rule(
        (model.ffn % x.tp != 0) | (model.hidden % x.tp != 0),
        lambda v: f"tp {v['tp']} does not divide the widths of {model.name} (hidden {model.hidden}, MLP {model.ffn})",
    )
    has_sp = row.sequence_parallel != "never" and when.sequence_parallel
    rule(
        x.sequence_parallel & (not has_sp),
        lambda v: f"{title} {release} has no sequence parallelism".replace("  ", " "),
    )
    rule(x.sequence_parallel & (x.tp == 1), lambda v: "sequence parallelism needs tensor parallelism: tp is 1")
    rule(
        x.sequence_parallel & (seq_length % (x.tp * x.cp) != 0),
        lambda v: f"sequence parallelism needs tp x cp = {v['tp'] * v['cp']} to divide the sequence of {seq_length}",
    )
    rule(
        (x.cp > 1) & (not row.context_parallel),
        lambda v: f"{title} has no context parallelism: cp must be 1, not {v['cp']}",
    )
    rule(
        (x.cp > 1) & (seq_length % (2 * x.cp) != 0),
        lambda v: f"context parallelism needs 2 x cp = {2 * v['cp']} to divide the sequence of {seq_length}",
    )
    rule(
        (x.pp > 1) & (not row.pipeline_parallel),
        lambda v: f"{title} has no pipeline parallelism: pp must be 1, not {v['pp']}",
    )
    rule(x.pp > model.layers, lambda v: f"pp {v['pp']} is more than the {model.layers} layers of {model.name}")
    if not row.uneven_stages:
        rule(
            model.layers % x.pp != 0,
            lambda v: f"pp {v['pp']} does not divide the {model.layers} layers, as {title} requires",
        )
    rule(
        (x.vpp > 1) & (not row.interleaving),
        lambda v: f"{title} has no interleaved pipeline: vpp must be 1, not {v['vpp']}",
    )
    rule((x.vpp > 1) & (x.pp == 1), lambda v: f"an interleaved pipeline (vpp {v['vpp']}) needs pp of at least 2")
    chunks = model.layers + model.mtp_layers + row.units_beside_layers
    rule(
        (x.vpp > 1) & (x.pp * x.vpp > chunks),
        lambda v: f"pp {v['pp']} x vpp {v['vpp']} is more than {model.name}'s {model.layers} layers can fill",
    )
    rule(
        (x.vpp > 1) & (x.grad_accum % np.maximum(x.pp, 1) != 0),
        lambda v: f"an interleaved pipeline needs pp {v['pp']} to divide the {v['grad_accum']} micro-batches of a step",
    )
    rule((x.ep > 1) & (experts == 0), lambda v: f"{model.name} has no experts: ep must be 1, not {v['ep']}")
    if experts:
        out.extend(_expert_rules(row, model, x))
    out.extend(_zero_rules(row, model, x))
    known = [name in row.recompute for name in RECOMPUTE]
    rule(
        ~np.asarray(known)[np.clip(x.recompute, 0, 2)] | (x.recompute < 0) | (x.recompute > 2),
        lambda v: f"{title} recomputes {' or '.join(row.recompute)}, not {_recompute_name(v['recompute'])}",
    )
    return out


def _recompute_name(code: int) -> str:
    return RECOMPUTE[code] if 0 <= code < len(RECOMPUTE) else str(code)


def _expert_rules(row: Framework, model: ModelSpec, x: Layouts) -> list[tuple[Broken, Sentence]]:
    assert model.moe is not None
    experts, title = model.moe.experts, row.title
    group = x.tp * x.cp * x.dp
    out: list[tuple[Broken, Sentence]] = [
        (experts % x.ep != 0, lambda v: f"ep {v['ep']} does not divide the {experts} experts of {model.name}"),
        (
            group % x.ep != 0,
            lambda v: (
                f"ep {v['ep']} does not divide tp x cp x dp = {v['tp'] * v['cp'] * v['dp']}, over which experts lie"
            ),
        ),
    ]
    if row.expert_parallel == "none":
        out.append((x.ep > 1, lambda v: f"{title} has no expert parallelism: ep must be 1, not {v['ep']}"))
    if row.expert_parallel == "tensor_group":
        out.append(
            (x.ep != x.tp, lambda v: f"{title} lays experts over the tensor-parallel ranks: ep must be tp = {v['tp']}")
        )
    if row.moe_needs_sequence_parallel:
        out.append(
            (
                (x.tp > 1) & ~x.sequence_parallel,
                lambda v: f"{title} needs sequence parallelism for experts with tp above 1",
            )
        )
    return out


def _zero_rules(row: Framework, model: ModelSpec, x: Layouts) -> list[tuple[Broken, Sentence]]:
    title = row.title
    allowed = _member(x.zero_stage, row.zero_stages)
    out: list[tuple[Broken, Sentence]] = [
        (~allowed, lambda v: f"{title} has ZeRO stages {_listed(row.zero_stages)}, not {v['zero_stage']}"),
        (
            (x.pp > 1) & ~_member(x.zero_stage, row.zero_stages_with_pipeline),
            lambda v: (
                f"{title} runs ZeRO {v['zero_stage']} without pipeline parallelism only: pp must be 1, not {v['pp']}"
            ),
        ),
        (
            (x.tp > 1) & ~_member(x.zero_stage, row.zero_stages_with_tensor),
            lambda v: (
                f"{title} runs ZeRO {v['zero_stage']} without tensor parallelism only: tp must be 1, not {v['tp']}"
            ),
        ),
    ]
    if model.moe is not None:
        out.append(
            (
                ~_member(x.zero_stage, row.zero_stages_with_experts),
                lambda v: (
                    f"{title} runs experts with ZeRO {_listed(row.zero_stages_with_experts)}, not {v['zero_stage']}"
                ),
            )
        )
    return out


def _member(values: IntArray, allowed: tuple[int, ...]) -> BoolArray:
    table = np.zeros(STAGES + 2, dtype=bool)
    table[list(allowed)] = True
    return table[np.where((values >= 0) & (values < STAGES), values, STAGES)]


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
