"""The table of frameworks: what each can run and keeps in memory, read from `catalogs/frameworks`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from planner.catalog.paths import data_dir
from planner.units import PlannerError
from planner.words import say

_T = TypeVar("_T")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # both are safe; the C one is ten times as fast


FLASH_YEAR = 2023  # FlashAttention (arXiv:2205.14135) reached frameworks at the end of 2022: GPT-NeoX 2.0 on 2022-12-10


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
    optimizer: KindBytes  # of AdamW in fp32; `memory_states` gives those of others
    step: KindBytes  # copies of the gradients that the optimizer's step makes

    @property
    def gradients_of_16_bits(self) -> bool:
        """Whether gradients are kept, added up and reduced in 16 bits alone."""
        return self.gradients.full[0] <= 2.0


NOTHING = KindBytes((0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0))
ANY = "any"  # the row of frameworks that no table has


@dataclass(frozen=True, slots=True)
class MemoryConstants:
    """What a framework keeps in memory. Sizes in bytes unless named otherwise; sources in the framework's table."""

    bytes_per_parameter: Mapping[str, StateBytes]  # by precision
    linear_input_bytes: Mapping[str, float]  # an element that a matmul saves as its input, by precision
    logits_bytes: float  # a logit
    attention_scores_bytes: float  # a score, without flash attention
    gather_layers: float  # layers whose full weights are there at once under ZeRO 3
    gather_bytes: float  # a gathered weight
    reduce_bytes: float  # a gradient before it is reduced and scattered
    largest_bytes: Mapping[str, float]  # an element of the largest matrix, as its gradient is added up, by precision
    stage_bytes: float  # an element of the stream that a pipeline stage keeps of what it passes on, and of what it gets
    embedding_bytes: float  # the same that the embedding keeps, a micro-batch in flight
    dropout_bytes: float  # the same that the masks of a layer keep
    bucket_bytes: Mapping[str, float]  # by precision
    overhead_gib: float
    overhead_per_group_gib: float
    fragmentation: float  # share of activations
    moe_imbalance: float  # busiest rank's tokens over the mean
    selective_drops: tuple[str, ...]  # what selective recompute does not keep
    attention_output_bytes: Mapping[str, float] = field(default_factory=dict)  # an element of attention's output, one
    # copy for attention and the projection behind it, by precision; {}: 16 bits, and the projection's input again
    gate_input_bytes: Mapping[str, float] = field(default_factory=dict)  # what an expert's gate reads; {}: 16 bits
    tuned_gradient_bytes: Mapping[str, float] = field(default_factory=dict)  # of a vendor's recipe, by precision


@dataclass(frozen=True, slots=True)
class Framework:
    """One row of the table: the layouts a framework runs, and the source of each rule (`sources`, by field name)."""

    name: str
    title: str
    aliases: tuple[str, ...]
    tensor_parallel: bool
    kv_heads_per_rank: str  # divide | divide_or_replicate
    sequence_parallel: str  # never | optional | with_tensor: wherever tp is above 1
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
    zero_stages_by_precision: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # where not all of them
    optimizers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # ZeRO stages with each; {}: not known
    optimizers_in_fp16: tuple[str, ...] = ()  # where not all of them
    optimizers_in_groups: tuple[str, ...] = ()  # whose states may lie over a part of the ranks, where not all of them
    offloads: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # ZeRO stages with each; {}: not known
    adapters: Mapping[str, tuple[int, ...]] = field(default_factory=dict)  # ZeRO stages with each; {}: none
    recurrent: tuple[str, ...] = ()  # kinds of mixers in attention's place that it trains
    recurrent_alone: bool = False  # only as layers of their own, without an MLP behind them
    recurrent_over_context: tuple[str, ...] = ()  # of those, kinds that context parallelism divides
    sparse_attention: bool = False  # an indexer that chooses keys
    latent_experts: bool = False  # experts that work at a width of their own
    lacks: tuple[str, ...] = ()  # conditions that a scenario may state and the framework has no option for
    models: Mapping[str, str] = field(default_factory=dict)  # its own names of models of the catalog; {}: any shape
    models_without_pipeline: tuple[str, ...] = ()  # of these names, by what they begin with
    without: Mapping[str, str] = field(default_factory=dict)  # parts of models that it has no class for: words
    approximates: Mapping[str, str] = field(default_factory=dict)  # parts planned in another form of equal work: words
    parts_without_pipeline: tuple[str, ...] = ()  # parts whose class, of a model not its own, has no pipeline
    shards_always: bool = False  # runs tensor or pipeline parallelism over sharded ranks only
    shares_of_every_nth: bool = False  # recomputes every n-th layer alone: a share is searched only where one is stated
    stacks: Mapping[str, str] = field(default_factory=dict)  # by a word of a framework's name: whose measurements speak
    # for it, since they share kernels and engine
    exports: tuple[str, ...] = ()  # what `planner export --to` calls its files
    by_name: bool = False  # whether a scenario must name it: `any` leaves it out
    like: str = ""  # the planned one whose layout, memory and releases it has, but for what its own file states
    bound: bool = True  # whether measured runs are held to the rules of `layout`
    sources: Mapping[str, str] = field(default_factory=dict)

    def release(self, name: str) -> Release:
        """The release called `name`; the newest for "", "latest" and names that the table does not hold.

        A name that states a year before FLASH_YEAR is of a release without flash attention.
        """
        found = next((r for r in self.releases if r.name == name), None)
        newest = self.releases[-1]
        return found or (replace(newest, flash_attention=False) if before_flash(name) else newest)

    def state_bytes(self, precision: str) -> StateBytes:
        """Bytes a parameter at a precision.

        Raises
        ------
        PlannerError
            If the framework does not train at that precision.
        """
        return self._at(precision, self.memory.bytes_per_parameter)

    def input_bytes(self, precision: str) -> float:
        """Bytes of an element that a matmul saves as its input; errors as `state_bytes`."""
        return self._at(precision, self.memory.linear_input_bytes)

    def _at(self, precision: str, table: Mapping[str, _T]) -> _T:
        try:
            return table[precision]
        except KeyError:
            why = say("frameworks.precision", title=self.title, precision=precision, able=list(self.precisions))
            raise PlannerError(why) from None


def before_flash(release: str) -> bool:
    """Whether a release's name states a year before flash attention."""
    year = re.search(r"(?<!\d)20[0-2]\d(?!\d)", release)
    return year is not None and int(year[0]) < FLASH_YEAR


@cache
def frameworks() -> Mapping[str, Framework]:
    """The frameworks that planner plans with, by name: a file of `catalogs/frameworks` each."""
    return _load(data_dir() / "frameworks", frameworks_raw())


def frameworks_for(stated: str) -> tuple[str, ...]:
    """Names of the frameworks that a scenario means: the one it states, or for "any" those that may be chosen."""
    return tuple(name for name, row in frameworks().items() if stated == name or (stated == "any" and not row.by_name))


@cache
def nearest() -> Mapping[str, Framework]:
    """Frameworks that measured runs name and planner does not plan with, by name: what is known of their memory."""
    return _load(data_dir() / "frameworks" / "nearest", frameworks_raw())


@cache
def frameworks_raw() -> Mapping[str, Mapping[str, Any]]:
    """The planned frameworks' files as they are read, by name."""
    return _read(data_dir() / "frameworks")


def known_framework(name: str) -> Framework | None:
    """A row by its name or one of its aliases, planned with or not; None if no table has it."""
    for table in (frameworks(), nearest()):
        for row in table.values():
            if name == row.name or name in row.aliases:
                return row
    return None


@cache
def stack_words() -> Mapping[str, str]:
    """Every word of frameworks' names that tells which stack's measurements speak for them, and the stack."""
    rows = [*frameworks().values(), *nearest().values()]
    return {word: stack for row in rows for word, stack in row.stacks.items()}


def framework_names() -> tuple[str, ...]:
    """Every name and alias of a table."""
    rows = [*frameworks().values(), *nearest().values()]
    return tuple(dict.fromkeys(name for row in rows for name in (row.name, *row.aliases)))


def memory_framework(name: str) -> Framework:
    """The row whose memory a framework is taken to have: its own, else what mixed-precision trainers have in common."""
    return known_framework(name) or nearest()[ANY]


def framework(name: str) -> Framework:
    """One row by its name or one of its aliases.

    Raises
    ------
    PlannerError
        If no framework is called that.
    """
    row = known_framework(name)
    if row is None:
        raise PlannerError(say("frameworks.unknown", name=name, known=list(frameworks())))
    return row


def load_frameworks(folder: Path | None = None) -> Mapping[str, Framework]:
    """The table read from a folder of YAML files; from the shipped one when none is given."""
    return _load(folder, _read(folder)) if folder is not None else frameworks()


@cache
def _read(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    files = [yaml.load(path.read_text("utf-8"), Loader=_LOADER) for path in sorted(folder.glob("*.yaml"))]  # noqa: S506
    return {data["name"]: data for data in files}


def _load(folder: Path, bases: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Framework]:
    """The rows of a folder; one that is `like` another of `bases` states only what differs from it, and its names."""
    rows = {}
    for name, data in _read(folder).items():
        base = bases.get(data.get("like", ""), {})
        parts = {key: {**base.get(key, {}), **data.get(key, {})} for key in ("layout", "memory")}
        rows[name] = _row({"releases": base.get("releases"), **data, **parts})
    return rows


def _row(data: Mapping[str, Any]) -> Framework:
    layout = {key: _frozen(entry["value"]) for key, entry in data["layout"].items()}
    memory = {key: _frozen(entry["value"]) for key, entry in data["memory"].items() if key != "bytes_per_parameter"}
    state = {
        precision: StateBytes(
            **{"step": NOTHING} | {kind: KindBytes(tuple(b["full"]), tuple(b["shard"])) for kind, b in kinds.items()}
        )
        for precision, kinds in data["memory"]["bytes_per_parameter"]["value"].items()
    }
    return Framework(
        name=data["name"],
        title=data["title"],
        aliases=tuple(data.get("aliases", ())),
        releases=tuple(Release(**release) for release in data["releases"]),
        memory=MemoryConstants(bytes_per_parameter=state, **memory),
        stacks=data.get("stacks", {}),
        exports=tuple(data.get("exports", ())),
        by_name=data.get("by_name", False),
        like=data.get("like", ""),
        bound=data.get("bound", True),
        sources={key: entry["source"] for part in ("layout", "memory") for key, entry in data[part].items()},
        **layout,
    )


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _frozen(inner) for key, inner in value.items()}
    return tuple(value) if isinstance(value, list) else value
