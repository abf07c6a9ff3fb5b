"""What the catalog holds, as plain values: accelerators, nodes, offers, and the hardware that a prediction sees."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One accelerator. Peaks are dense; the link rate is one direction, per GPU."""

    id: str
    name: str
    vendor: str
    form_factor: str
    family: str  # volta | ampere | ada | hopper | blackwell | cdna3 | cdna4 | gaudi | tpu | trainium | ...
    memory_gib: float  # what software sees (what clouds report; else the data sheet's GB converted)
    memory_bw_gbyte_per_s: float
    peak_dense_tflops: Mapping[str, float]  # by format: bf16 fp16 fp8 fp4 tf32
    matmul_tflops: Mapping[str, float]  # best measured, by format; empty where nobody measured
    link_gbyte_per_s: float | None
    scale_up_domain: int  # GPUs that the fast link joins
    tdp_w: float | None
    recalled: bool = False  # no source was seen for any number: for machines of one's own only, never offered
    unusual: bool = False  # meant only by its id or its memory: one owner's variant, or a module of several devices
    flash_attention: bool = True  # False: no release of FlashAttention has kernels for it
    block_scaled: frozenset[str] = frozenset()  # recipes with a scale a block that its units compute in: mxfp8 nvfp4


def joined_in(accelerator: Accelerator, gpus_per_node: int) -> int:
    """GPUs of a node of this size that the fast link joins, where nobody says; of a rack, all of it.

    Machines of more modules than a data sheet's board has have switches over all of them (HGX-2, GCP a2-megagpu-16g);
    bridges between cards stay bridges.
    """
    domain = accelerator.scale_up_domain
    boards = domain > 1 and not accelerator.form_factor.startswith("PCIe")
    return gpus_per_node if boards and gpus_per_node > domain else max(1, domain)


@dataclass(frozen=True, slots=True)
class Node:
    """One node type, of a cloud or on premises."""

    id: str
    cloud: str
    instance: str
    gpu: str
    gpus_per_node: int
    link_gbyte_per_s: float | None  # one direction, per GPU
    scale_up_domain: int
    network: str  # the fabric's name as printed, "" if none is
    network_gbit_per_s: float | None  # per node, one direction; None: unknown
    power_kw: float | None


@dataclass(frozen=True, slots=True)
class Hardware:
    """All that a prediction needs to know of a cluster's nodes; offers with equal hardware run equally fast."""

    gpu: str
    gpus_per_node: int
    scale_up_domain: int  # GPUs joined by the fast link (72 for NVL72, else at most gpus_per_node; 1: PCIe only)
    link_gbyte_per_s: float | None
    network_gbit_per_s: float | None  # per node, one direction; None: unknown (one node only)
    fabric: str  # one of `fabrics.FABRICS`


@dataclass(frozen=True, slots=True)
class Site:
    """What the user states of the machines' electricity; None: not stated, so the catalog's figures count."""

    power_kw_per_node: float | None = None  # under load
    pue: float | None = None
    country: str | None = None  # ISO 3166 alpha-3
    co2_g_per_kwh: float | None = None  # wins over the country's figure


@dataclass(frozen=True, slots=True)
class OfferTerms:
    """How an offer is ordered and paid, as its source or the user's quote states it."""

    term_s: float = 0.0  # paid whole, used or not; 0: none
    increment_s: float = 0.0  # and beyond it in whole ones
    upfront: float = 0.0  # share of the term that is paid before it begins
    then: float = 0.0  # beyond the term, as used at so many times the price; 0: in increments
    waiting_s: float = 0.0  # from the order until the machines are there
    billing_step_s: float | None = None  # None: not stated
    minimum_nodes: int = 1


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that one could order: (cloud, instance, region, pricing) with its price, date and source."""

    cloud: str
    instance: str
    region: str
    pricing: str  # on_demand | spot | reserved | block | owned
    gpu: str
    hardware: Hardware
    usd_per_gpu_hour: float
    usd_per_gpu_hour_range: tuple[float, float] | None  # spot: least and most over zones
    as_of_earliest: date | None
    as_of_latest: date | None
    date_kind: str  # exact | file | month | half_year_estimate | year_estimate | undated | user
    as_of: str  # as the source prints it
    source: str
    quality: str  # A | B | C | user
    flags: tuple[str, ...] = ()
    max_nodes: int | None = None  # None: what the scenario's max_gpus allows
    max_nodes_basis: str = (
        ""  # quota | momentary availability | unknown fabric | single-GPU machine | own machines | assumption
    )
    terms: OfferTerms = field(default_factory=OfferTerms)
    site: Site = field(default_factory=Site)

    @property
    def id(self) -> str:
        return "/".join((self.cloud, self.instance, self.region, self.pricing))

    @property
    def gpus_per_node(self) -> int:
        return self.hardware.gpus_per_node
