"""What a scenario says, as plain values with its defaults filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from planner.money import USD, Money
from planner.spec.adapter import Adapter
from planner.spec.hardware import Site
from planner.spec.model import ModelSpec


@dataclass(frozen=True, slots=True)
class IntChoice:
    """A pinned number, a list, or bounds; `values` empty: every multiple of multiple_of from minimum to maximum."""

    minimum: int | None = None
    maximum: int | None = None
    multiple_of: int | None = None
    values: tuple[int, ...] = ()

    def allows(self, n: int) -> bool:
        """Whether a plan may use n."""
        if self.values and n not in self.values:
            return False
        if self.minimum is not None and n < self.minimum or self.maximum is not None and n > self.maximum:
            return False
        return self.multiple_of is None or n % self.multiple_of == 0

    @property
    def pinned(self) -> int | None:
        """The one number it names, if it names one."""
        return self.values[0] if len(self.values) == 1 else None


@dataclass(frozen=True, slots=True)
class DataSource:
    """One dataset. Exactly one of samples, tokens, index, log is given; `referenced_data` counts the last two."""

    name: str
    samples: int | None = None  # sequences of one epoch
    tokens: int | None = None  # tokens of one epoch
    index: str | None = None  # path prefix of an .idx
    log: str | None = None
    weight: float = 1.0
    split: str = ""  # shares of train, validation and test by documents ("995,4,1"), for an index
    basis: str = ""  # after resolve: what was read and how counted
    read_index: str = ""  # after resolve: the index as it was written, for exports


@dataclass(frozen=True, slots=True)
class BatchRamp:
    start: int
    increment: int
    samples: int


STARTS = ("scratch", "checkpoint")
MOST_TRAINING = ("epochs", "tokens")  # objectives that ask for as much training as fits the budgets


@dataclass(frozen=True, slots=True)
class Training:
    epochs: float | None = None  # exactly one of epochs and iterations
    iterations: int | None = None
    global_batch: IntChoice | None = None  # sequences; None: the default range
    batch_ramp: BatchRamp | None = None
    precision: str = "bf16"
    framework: str = "any"
    framework_release: str = "latest"
    evaluation_interval: int | None = None
    evaluation_iterations: int | None = None
    target: str = "epochs"  # epochs | equal_loss
    reference_batch: int | None = None
    critical_batch: float | None = None  # sequences, the user's own
    flash_attention: bool | int | None = None  # 2, 3: a generation of its kernels; None: as the release has it
    fused_or_compile: bool | None = None  # None: as the framework does
    comm_overlap: bool | None = None  # gradient reductions behind the backward pass
    tuning: str = ""  # field | vendor; "": field
    optimizer: str = "adamw"
    offload: str = "none"  # none | optimizer | activations | both
    adapter: Adapter | None = None  # what alone is trained; None: all of the model
    starts_from: str = ""  # scratch | checkpoint; "": by tokens a parameter


MEMORY_HEADROOM = 0.05  # share of the memory that a plan leaves free: predictions of memory are not exact either


@dataclass(frozen=True, slots=True)
class LayoutBounds:
    tp: IntChoice = field(default_factory=IntChoice)
    pp: IntChoice = field(default_factory=IntChoice)
    vpp: IntChoice = field(default_factory=IntChoice)
    dp: IntChoice = field(default_factory=IntChoice)
    cp: IntChoice = field(default_factory=IntChoice)
    ep: IntChoice = field(default_factory=IntChoice)
    zero_stage: IntChoice = field(default_factory=IntChoice)
    micro_batch: IntChoice = field(default_factory=IntChoice)
    sequence_parallel: bool | None = None
    recompute: tuple[str, ...] = ()  # of none, selective, full; empty: any
    memory_headroom: float = MEMORY_HEADROOM
    recompute_share: float | None = None  # of the layers that full recompute covers; None: any
    shard_group: int | None = None  # GPUs over which states are sharded; None: any


@dataclass(frozen=True, slots=True)
class MeasuredThroughput:
    """A measurement of the user's: tokens/s/GPU on `gpu`; keys left None are not stated."""

    gpu: str
    tokens_per_s_per_gpu: float
    gpus: int | None = None
    tp: int | None = None
    pp: int | None = None
    vpp: int | None = None
    dp: int | None = None
    cp: int | None = None
    ep: int | None = None
    zero_stage: int | None = None
    sequence_parallel: bool | None = None
    recompute: str | None = None
    micro_batch: int | None = None
    global_batch: int | None = None
    framework: str | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    time_s: float | None = None  # from `time`, or deadline minus start
    cost_usd: float | None = None
    confidence: float = 0.8
    start: date | None = None
    deadline: date | None = None


@dataclass(frozen=True, slots=True)
class AskLine:
    """What a proposal asks for beside the run: a share of all that stands above it, or a sum."""

    name: str
    share: float | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Objective:
    kind: str  # cost | time | usd_per_day
    usd_per_day: float = 0.0


@dataclass(frozen=True, slots=True)
class OwnCluster:
    name: str
    gpu: str
    gpus_per_node: int
    nodes: int
    network_gbit_per_s: float | None  # per node, one direction
    usd_per_gpu_hour: float | None  # None: priced by ownership (`ownership`)
    network: str = ""
    ownership: Mapping[str, float] = field(default_factory=dict)
    fabric: str = "unknown"
    site: Site = field(default_factory=Site)
    waiting_s: float = 0.0  # until it is free


QuotaKey = tuple[str | None, str | None, str | None]  # cloud, region, GPU; None: any


@dataclass(frozen=True, slots=True)
class Quota:
    gpus: int
    cloud: str | None = None
    region: str | None = None
    gpu: str | None = None
    since: date | None = None  # of a programme: its first day; None: from the first
    until: date | None = None  # the day by whose beginning it has ended; None: to the last

    @property
    def key(self) -> QuotaKey:
        """What it holds for."""
        return self.cloud, self.region, self.gpu


class _Sold(Protocol):
    """An offer, or a row of prices."""

    @property
    def cloud(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def gpu(self) -> str: ...


def covers(key: QuotaKey, sold: _Sold) -> bool:
    """Whether a quota that holds for this cloud, region and GPU (None: any) is of what is sold."""
    return all(wanted in (None, has) for wanted, has in zip(key, (sold.cloud, sold.region, sold.gpu), strict=True))


@dataclass(frozen=True, slots=True)
class QuotedPrice:
    """A price of the user's own; it holds for every offer that matches what it states."""

    pricing: str  # on_demand | spot | reserved | block
    usd_per_gpu_hour: float | None  # None: `discount` off the catalog's on-demand price
    cloud: str | None = None
    instance: str | None = None
    region: str | None = None
    gpu: str | None = None
    term_s: float | None = None  # paid whole, used or not
    discount: tuple[float, float] | None = None  # least and most, as fractions of the on-demand price
    increment_s: float | None = None  # time is bought in whole ones; None: the term again
    upfront: float | None = None  # share of the term that is paid before it begins
    then_on_demand: bool = False  # what a run takes beyond the term is paid on demand
    waiting_s: float = 0.0  # from the order until the machines are there


MOST_GPUS = 10**6  # that cluster.max_gpus may allow


@dataclass(frozen=True, slots=True)
class Cluster:
    gpus: tuple[str, ...] = ()  # catalog ids; empty: any
    clouds: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    pricing: tuple[str, ...] = ("on_demand",)
    quality: tuple[str, ...] = ("A", "B")  # C only on request, X never
    max_gpus: int = 1024
    assume_network_gbit_per_s: float | None = None  # per node
    assume_network_per_gpu_gbit_per_s: float | None = None
    own: tuple[OwnCluster, ...] = ()
    own_only: bool = False
    quotas: tuple[Quota, ...] = ()
    prices: tuple[QuotedPrice, ...] = ()
    power_limit_w: float | None = None  # of one accelerator
    site: str = ""  # "": that of the user's own measured rows


@dataclass(frozen=True, slots=True)
class Storage:
    """Object storage held while the run lasts."""

    size_bytes: float
    usd_per_gb_month: float  # 10^9 bytes for 30 days

    def usd(self, time_s: float) -> float:
        """What it costs over a run."""
        return self.size_bytes / 1e9 * self.usd_per_gb_month * time_s / (30 * 86400)


@dataclass(frozen=True, slots=True)
class Egress:
    """Data that leaves the cloud, once."""

    size_bytes: float
    usd_per_gb: float  # 10^9 bytes

    @property
    def usd(self) -> float:
        """What it costs."""
        return self.size_bytes / 1e9 * self.usd_per_gb


@dataclass(frozen=True, slots=True)
class Terms:
    """How time is paid, and the least one can order."""

    billing_step_s: float | None = None
    minimum_time_s: float | None = None
    minimum_gpus: int | None = None


@dataclass(frozen=True, slots=True)
class OwnRun:
    """A run that was made, GPU-hours: paid for, spent on steps that were kept, and lost to failures and checkpoints."""

    allocated: float
    productive: float
    failures: float = 0.0


@dataclass(frozen=True, slots=True)
class StatedOverhead:
    """Allocated time over that of training, failures and checkpoints: 10th and 90th percentile, or runs that tell."""

    low: float = 1.0
    high: float = 1.0
    runs: tuple[OwnRun, ...] = ()


@dataclass(frozen=True, slots=True)
class Risk:
    """What the user knows better than the catalog about failures; None: the catalog's value."""

    interruptions_per_1000_node_days: float | None = None  # of a node of eight GPUs; 0: nothing ever fails
    detection_s: float | None = None
    restart_s: float | None = None
    spare_nodes: int | None = None  # None: none stands by
    replacement_s: float | None = None
    checkpoint_interval_s: float | None = None  # None: the optimal one
    asynchronous_checkpoints: bool = False
    storage_gbyte_per_s: float | None = None  # of the whole cluster
    spot_preemptions_per_1000_node_days: float | None = None
    spot_refill_s: float | None = None
    overhead: StatedOverhead | None = None  # None: as published


#: Share of the optimum's objective, and of its time, that a simpler layout may give up: far less than anyone can tell.
SIMPLER_WITHIN = 0.01


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario with every default filled in; `defaults` names those that were used, as they are printed.

    seq_length is 0 until `interop.referenced_data` has read it from the data's log; likewise every count of `model`
    for a `model_file`. `planner.load_scenario` resolves, so nothing below it meets a zero.
    """

    name: str
    model: ModelSpec
    data: tuple[DataSource, ...]
    seq_length: int
    training: Training
    layout: LayoutBounds
    throughput: tuple[MeasuredThroughput, ...]
    budget: Budget
    objective: Objective
    cluster: Cluster
    simpler_within: float = SIMPLER_WITHIN
    storage: Storage | None = None
    egress: Egress | None = None
    terms: Terms | None = None
    risk: Risk | None = None
    model_file: str = ""  # a config file whose shape `referenced_data` puts into `model`
    defaults: tuple[tuple[str, str], ...] = ()  # (key path, value as text)
    source: str = ""  # the file's name
    digest: str = ""  # sha256 of its bytes and of the overrides
    ask: tuple[AskLine, ...] = ()
    money: Money = USD  # what amounts are written in; where hours are counted, every `usd` of the run is such an hour
    folder: str = field(default="", compare=False, repr=False)  # where relative paths begin; never printed

    def path_of(self, written: str) -> Path:
        """A path that the scenario names: relative ones begin in the scenario's own folder."""
        return Path(self.folder) / written

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Key paths of the references that `interop.referenced_data` has still to read."""
        files = ("model",) if self.model_file and self.model.layers == 0 else ()
        open_data = tuple(f"data.{i}" for i, d in enumerate(self.data) if d.samples is None and d.tokens is None)
        return files + open_data

    @property
    def cost_left_out(self) -> bool:
        """Whether only time is asked for, on machines of one's own whose price nobody states."""
        limited = self.budget.cost_usd is not None or self.objective.kind not in ("time", *MOST_TRAINING)
        priced = any(own.usd_per_gpu_hour is not None or own.ownership for own in self.cluster.own)
        return self.cluster.own_only and not limited and not priced and not self.money.hours

    def with_budget(self, **changes: Any) -> Scenario:
        """The same scenario with other budget fields (time_s, cost_usd, confidence); a new time replaces a deadline."""
        if "time_s" in changes:
            changes.setdefault("deadline", None)
        return replace(self, budget=replace(self.budget, **changes))

    def with_time(self, time_s: float | None) -> Scenario:
        """The same scenario with this time budget."""
        return self.with_budget(time_s=time_s)
