"""What a scenario file says, as plain values with its defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from planner.workload.model import ModelSpec


@dataclass(frozen=True, slots=True)
class IntChoice:
    """A pinned number, a list, or bounds. `values` empty: everything within [minimum, maximum] that divides by multiple_of."""

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
    """One dataset of a scenario. Exactly one of samples, tokens, index, log is given; `resolve` turns the last two into numbers."""

    name: str
    samples: int | None = None  # sequences of one epoch
    tokens: int | None = None  # tokens of one epoch
    index: str | None = None  # path prefix of an .idx
    log: str | None = None
    weight: float = 1.0
    basis: str = ""  # after resolve: what was read and how counted


@dataclass(frozen=True, slots=True)
class BatchRamp:
    start: int
    increment: int
    samples: int


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
    ownership: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quota:
    gpus: int
    cloud: str | None = None
    region: str | None = None
    gpu: str | None = None


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


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario with every default filled in; `defaults` names those that were used, as they are printed."""

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
    defaults: tuple[tuple[str, str], ...] = ()  # (key path, value as text)
    source: str = ""  # the file's name
    digest: str = ""  # sha256 of its bytes and of the overrides
