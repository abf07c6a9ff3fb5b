"""What planner answers with: plans, the proof that one is best, frontiers and comparisons; field for field its JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from planner.results import json_form as plan_json
from planner.spec.layout import Layout as Layout
from planner.words import Sentence, say

_WORD = plan_json.like(r"[A-Za-z0-9][A-Za-z0-9._-]*", "a word of letters and digits")
_WORD_OR_NOTHING = plan_json.like(r"[A-Za-z0-9._-]*", "a word of letters and digits")


@dataclass(frozen=True, slots=True)
class Quantiles:
    """A quantity that is not sure: its 10th, 50th and 90th percentile."""

    p10: float
    p50: float
    p90: float

    def __iter__(self) -> Iterator[float]:
        return iter((self.p10, self.p50, self.p90))

    def line(self, factor: float, plus: float = 0.0) -> Quantiles:
        """Those of `plus` and so many times the quantity."""
        return Quantiles(*(plus + factor * value for value in self))


#: Kinds of price.
PRICE_KINDS = ("on_demand", "spot", "reserved", "block", "owned")


def pricing_words(pricing: str) -> str:
    """A kind of price as people call it; one that is not known, as it is written."""
    return say(f"pricing.{pricing}") if pricing in PRICE_KINDS else pricing.replace("_", " ")


@dataclass(frozen=True, slots=True)
class OfferRef:
    """The offer of a plan. `as_of` is the price's date as its source prints it; the two dates bound it."""

    id: str  # cloud/instance/region/pricing
    cloud: str
    region: str
    instance: str
    gpu: str
    pricing: str = field(metadata=_WORD)  # on_demand | spot | reserved | block | owned
    usd_per_gpu_hour: float
    as_of: str
    max_nodes: int | None
    max_nodes_basis: str = ""
    gpus_per_node: int | None = None
    network_gbit_per_s: float | None = None  # per node, one direction
    as_of_earliest: date | None = None
    as_of_latest: date | None = None
    date_kind: str = ""
    source: str = ""
    quality: str = ""
    usd_per_gpu_hour_range: tuple[float, float] | None = None  # spot: over zones; a discount: as it was stated
    quoted: bool = False  # the price, or what comes off it, is the user's
    term_s: float = 0.0  # reserved, block: paid whole, used or not; 0: none
    increment_s: float = 0.0  # and beyond it in whole ones
    upfront: float = 0.0  # share of the term that is paid before it begins
    then_usd_per_gpu_hour: float | None = None  # what time beyond the term costs on demand; None: in increments
    waiting_s: float = 0.0  # from the order until the machines are there

    @property
    def priced(self) -> bool:
        """Whether an hour has a price: machines of one's own may have none that is stated or known."""
        return self.usd_per_gpu_hour > 0.0

    @property
    def price_kind(self) -> str:
        """How the machines are paid, and whether at a price of the user's: "spot", "reserved, your quote"."""
        words = pricing_words(self.pricing)
        return say("pricing.quoted", pricing=words) if self.quoted else words


@dataclass(frozen=True, slots=True)
class AdapterRun:
    """Adapters that alone are trained, on frozen weights."""

    method: str = field(metadata=plan_json.like("lora|qlora", "lora or qlora"))
    r: int
    target_modules: tuple[str, ...]
    parameters: int  # of all of them

    @property
    def words(self) -> str:
        """`qlora r16`."""
        return f"{self.method} r{self.r}"


@dataclass(frozen=True, slots=True)
class RunConditions:
    """How a run is set up beside its layout: as its scenario states, else as its framework's release has it."""

    flash_attention: bool
    flash_generation: int | None  # of its kernels, where stated
    fused_or_compile: bool
    comm_overlap: bool | None  # gradient reductions behind the backward pass; None: not stated
    recompute_share: float | None  # of the layers that full recompute covers; None: all
    shard_group: int | None  # GPUs over which states are sharded; None: all ranks
    power_limit_w: float | None = None  # of one accelerator, where stated
    tuning: str = field(default="", metadata=plan_json.like("|field|vendor", "field or vendor"))
    site: str = ""  # whose cluster, where stated
    optimizer: str = "adamw"
    offload: str = field(
        default="none",
        metadata=plan_json.like("none|optimizer|activations|both", "none, optimizer, activations or both"),
    )
    gradients: str = field(  # in which they are added up and reduced; "": an older planner saved it
        default="", metadata=plan_json.like("|fp32|bf16|fp16", "fp32, bf16 or fp16")
    )
    recompute_modules: tuple[str, ...] = ()  # that selective recompute covers, by Megatron's names
    recipe: Mapping[str, str] = field(default_factory=dict, hash=False)  # what a vendor's recipe switches on
    adapter: AdapterRun | None = None  # None: all of the model is trained


@dataclass(frozen=True, slots=True)
class MemoryGiB:
    """Memory of the fullest GPU and what such a GPU has for use, in GiB (2^30 bytes)."""

    weights: float
    gradients: float
    optimizer: float
    activations: float
    other: float
    total: float
    capacity: float


@dataclass(frozen=True, slots=True)
class EpochSchedule:
    """One pass over the data: its iterations (first and last, counted from 1) and when it starts and ends (p50)."""

    epoch: int  # from 1; the last one may be part of a pass
    first_iteration: int
    last_iteration: int
    start_s: float
    finish_s: float


@dataclass(frozen=True, slots=True)
class Plausibility:
    """What a reader checks a prediction against by hand. Rates are TFLOP/s of one GPU in the run's precision."""

    peak_tflops: float | None  # dense, of the data sheet
    measured_peak_tflops: float | None  # the best matrix multiply that anybody measured
    utilization_of_measured_peak: float | None  # hardware TFLOP/s per GPU over that
    memory_share: float  # total over capacity
    six_nd_time_s: float | None  # 6 x parameters x tokens at the plan's model TFLOP/s: the back of the envelope
    six_nd_parameters: int | None  # the parameters counted there (active ones of a mixture of experts)
    flops_a_parameter: int = 6  # of a token; 4 where weights are frozen


@dataclass(frozen=True, slots=True)
class Overhead:
    """Allocated time over the run's own (training, checkpoints, failures): `least` x e^E, E exponential.

    What a team pays for beside them: evaluation, rollbacks, idle nodes, people's delays. One draw a run.
    """

    least: float = 1.0
    log_more: float = 0.0  # mean of E; 0: the factor is `least` for certain
    source: str = ""

    def quantile(self, p: float) -> float:
        """The factor that is met with probability p."""
        return float(self.least * (1.0 - p) ** -self.log_more)


@dataclass(frozen=True, slots=True)
class GpuHours:
    """Where the GPU-hours of the median run go; the parts add up to `allocated`, spare nodes included."""

    productive: float  # training steps that are kept (and evaluation that the scenario states)
    checkpoints: float  # training stalls
    failures: float  # lost work, restarts, waits for nodes
    overhead: float  # what teams pay for beside: evaluation, rollbacks, idle nodes, people's delays
    spare: float  # nodes that stand by
    allocated: float
    overhead_source: str = ""


@dataclass(frozen=True, slots=True)
class Takings:
    """How often the market takes a spot node back, per 1,000 days of one, and how sure that is: one draw a run."""

    per_1000_node_days: float  # as likely more as less
    low: float  # one market in ten is below
    high: float  # and one in ten above
    source: str
    as_of: str = ""
    notice: str = ""  # how well it is known, in words; "": the user states it

    @property
    def log_spread(self) -> float:
        """Standard deviation of the rate's logarithm; 0: it is known."""
        return math.log(self.high / self.low) / (2.0 * 1.2815515655446004) if self.high > self.low > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Reliability:
    """What interruptions do to a run, expected over it, and the reserve that lifts the chance from 50 to 90 %."""

    interruptions: float  # expected number
    mean_time_between_s: float | None  # of the whole job; None: nothing fails
    restart_s: float  # mean, from the interruption until training goes on, the wait for a node included
    wait_share: float  # of the interruptions that wait for a node (spot)
    wait_s: float  # mean of that wait
    checkpoint_gb: float
    checkpoint_s: float  # training stalls for one checkpoint
    checkpoint_interval_s: float | None  # None: none is written
    checkpoint_interval_iterations: int | None
    undisturbed_s: float  # training time if nothing is saved or lost, at the median step time
    goodput: float  # undisturbed training time over expected wall-clock time, at the median step time
    reserve_s: float  # p90 - p50 of the time
    reserve_usd: float
    reserve_by_cause: Mapping[str, float]  # shares of the reserve: step_time, failures, overhead
    source: str  # where the rate of interruptions comes from
    spare_nodes: int = 0  # standing by and paid, beside the plan's nodes
    replacement_s: float = 0.0  # wait for another node of the interruptions that do not wait for the market
    overhead: Overhead | None = None  # None: an older planner knew of none
    taken: Takings | None = None  # None: not spot, or an older planner saved it


@dataclass(frozen=True, slots=True)
class Billing:
    """How a plan's time becomes money: what `simulate` charges each run that it draws."""

    usd_per_hour_low: float  # of all machines that are paid, spare ones included; a run's price is
    usd_per_hour_high: float  # evenly spread between the two
    minimum_s: float  # least time that is paid
    step_s: float  # time is paid in whole steps; 0: as used
    block_s: float  # and in whole reserved blocks; 0: none
    storage_usd_per_hour: float
    egress_usd: float
    then: float = 0.0  # beyond the least, time is paid as used at so many times the price; 0: as within it


@dataclass(frozen=True, slots=True)
class Rented:
    """What machines like one's own cost to rent, and what buying them is against that."""

    pricing: str = field(metadata=_WORD)  # on_demand | reserved
    offer: str  # id
    usd_per_gpu_hour: float
    quoted: bool  # a price; else a usual discount off the offer's
    utilisation: float  # share of the hours from which owning costs less; above 1: it never does
    months: float | None  # until what is saved has paid the purchase, at the utilisation stated; None: never
    basis: str = ""  # of a price that nobody quoted, in words


@dataclass(frozen=True, slots=True)
class Buying:
    """What one's own machines cost to buy, beside what such machines cost to rent."""

    gpus: int  # all of the cluster's
    nodes: int
    purchase_usd: float  # of all of them, network included
    purchase_usd_low: float
    purchase_usd_high: float
    owned_usd_per_gpu_hour: float  # of use
    running_usd_per_gpu_hour: float  # used or not: power, space, people, maintenance
    utilisation: float  # share of the hours in paid use, as stated or assumed
    written_off_months: float  # their life
    rented: tuple[Rented, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A cluster that someone could order, the run on it, and what that takes."""

    offer: OfferRef
    framework: str = field(metadata=_WORD)
    gpus: int
    nodes: int
    layout: Layout
    global_batch: int  # sequences
    seq_length: int
    iterations_per_epoch: int | None  # full batches of one pass (floor); None if the run is given in iterations alone
    iterations: int  # of the run: at least the epochs asked for (ceiling)
    tokens: int  # iterations x global_batch x seq_length
    step_time_s: Quantiles
    step_breakdown_s: Mapping[str, float]  # terms of the p50 step
    tokens_per_s_per_gpu: Quantiles
    model_tflops_per_gpu: float
    hardware_tflops_per_gpu: float  # recompute counted
    mfu: float
    hfu: float
    memory_gib: MemoryGiB
    time_s: Quantiles
    cost_usd: Quantiles
    p_within_time: float | None
    p_within_cost: float | None
    p_within_both: float | None
    critical_batch: float | None  # sequences
    basis: str  # user | measured | interpolated | modelled
    measurements: tuple[str, ...]
    # What the contract does not name, for the people who read a plan.
    framework_release: str = ""
    precision: str = field(default="", metadata=_WORD_OR_NOTHING)
    epochs: float | None = None
    leftover_samples: int | None = None  # samples of one pass that fill no batch
    confidence: float | None = None  # that the budgets were held at
    objective_value: float | None = None  # in the certificate's unit
    within_budget: bool | None = None  # None: no budget was given
    throughput_basis: str = ""  # a sentence: what the prediction stands on
    probability_basis: str = ""  # a sentence: where p_within_* come from
    flops_convention: str = ""  # a sentence: what model TFLOP/s count
    critical_batch_remark: str = ""
    learning: tuple[str, ...] = ()  # sentences: what the batch and repeated data do to the tokens
    plausibility: Plausibility | None = None
    schedule: tuple[EpochSchedule, ...] = ()
    evaluation_time_s: float | None = None
    reliability: Reliability | None = field(default=None, metadata=plan_json.WHOLE)
    energy_kwh: float | None = None
    co2_kg: float | None = None
    energy_basis: tuple[str, ...] = ()  # what energy and CO2 assume
    conditions: RunConditions | None = field(default=None, metadata=plan_json.WHOLE)
    billing: Billing | None = field(default=None, metadata=plan_json.WHOLE)  # None: an older planner saved it
    gpu_hours: GpuHours | None = None  # None: an older planner saved it
    # Of one's own machines at a cost of ownership:
    buying: Buying | None = field(default=None, metadata=plan_json.WHOLE)

    @property
    def paid_gpus(self) -> int:
        """GPUs that are paid for: the plan's, and those of spare nodes."""
        spare = self.reliability.spare_nodes if self.reliability is not None else 0
        return self.gpus + spare * (self.gpus // self.nodes)

    @property
    def recompute_share(self) -> float:
        """Share of the layers that full recompute covers; 0 where it is not full."""
        share = self.conditions.recompute_share if self.conditions is not None else None
        return 0.0 if self.layout.recompute != "full" else 1.0 if share is None else share

    @property
    def shard_group(self) -> int | None:
        """GPUs over which states lie, where these are not all data-parallel ranks."""
        x, group = self.layout, self.conditions.shard_group if self.conditions is not None else None
        return group if group and group < x.dp * x.cp and x.zero_stage else None

    @property
    def recompute_words(self) -> str:
        """What is recomputed: "none", "full", "full of 25 % of the layers"."""
        return recompute_words(self.layout.recompute, self.recompute_share)


def recompute_words(kind: str, share: float) -> Sentence:
    """What is recomputed, by its kind and the share of the layers that full recompute covers."""
    what = say(f"recompute.{kind}")
    return say("recompute.part", kind=what, share=share) if 0.0 < share < 1.0 else what
