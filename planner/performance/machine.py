"""What the hardware gives: achieved ceilings, memory and link rates, and how collectives fill the links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray
from planner.performance.rates import Rates
from planner.performance.shapes import Number
from planner.spec.hardware import Accelerator, Hardware

FIRST_LOG2_BYTES = 15  # the measured curves start at 32 KiB; below it a collective takes as long as there
LAST_LOG2_BYTES = 34
GRID = LAST_LOG2_BYTES - FIRST_LOG2_BYTES + 1
PORT = 50e9  # bytes/s of the network port that the tables `out:FABRIC` stand for (400 Gbit/s)
PCIE4_GBYTE_PER_S, PCIE5_GBYTE_PER_S = 31.0, 63.0  # sixteen lanes, nominal, one direction
MESHED_FAMILIES = ("volta",)  # V100: each pair of a node's GPUs has links of its own, 50 GB/s in nodes of four
MESHES = ("amd", "intel")  # MI300X: 48 GB/s for 2 GPUs, 313 for 8 (in_box_widths.csv); Gaudi wires every peer alike
WIDER = {"fp4": "fp8", "fp8": "bf16"}
FORMATS = {"bf16": "bf16", "fp16": "bf16", "fp8": "fp8", "mxfp8": "fp8", "nvfp4": "fp4"}


@dataclass(frozen=True, slots=True)
class MachineNumbers:
    """Rates of one GPU and its links, in units a second.

    Curves are log2 of the share of the link's rate that messages reach, by log2 of their bytes.
    """

    ceiling: Number  # FLOP/s of the layers' matmuls: best measured, in the recipe's format
    ceiling_16: Number  # the same for 16-bit matmuls (head, attention)
    gradient_bytes: Number  # of one gradient as it is reduced: fp32, or fp16 in fp16 runs (DeepSpeed, NeoX)
    hbm: Number  # bytes/s
    link: Number  # bytes/s, one direction
    switched: Number  # 1 where a fast switch joins the GPUs, 0 for meshes and PCIe
    pair: Number  # of that, what one pair of GPUs gets: all behind a switch, a share where every peer has its own wire
    network: Number  # bytes/s of one GPU's share of its node's network; 0: unknown
    reached: Number  # of that, what rings across nodes get
    domain: Number  # GPUs joined by the link, be it PCIe
    node: Number  # GPUs a node
    up_reduce: FloatArray  # (GRID,) or (n, GRID): all-reduce inside the domain
    up_gather: FloatArray  # all-gather and reduce-scatter
    out: FloatArray  # across domains, as of a port of PORT


def format_run(accelerator: Accelerator, precision: str) -> str:
    """The format of the layers' matmuls: the recipe's, or the next wider one that the accelerator has units for.

    A recipe whose blocks it cannot scale is computed in the next wider format, 8 bits with a scale a tensor.
    """
    form = FORMATS[precision]
    if form == "fp4" and precision not in accelerator.block_scaled:
        form = WIDER[form]
    while form in WIDER and not (accelerator.peak_dense_tflops.get(form) or accelerator.matmul_tflops.get(form)):
        form = WIDER[form]
    return form


def matmul_ceiling(accelerator: Accelerator, form: str, shares: Mapping[str, Mapping[str, float]]) -> float:
    """FLOP/s of the best matmul: measured where somebody did, else the data sheet's peak x its family's usual share."""
    measured = accelerator.matmul_tflops.get(form)
    if measured:
        return measured * 1e12
    peak = accelerator.peak_dense_tflops.get(form)
    if form == "bf16" and not peak:
        peak = accelerator.peak_dense_tflops.get("fp16")
    if not peak:
        return 0.0
    family = shares.get(accelerator.family, shares["other"])
    return peak * 1e12 * family.get(form, family.get("fp8", family["bf16"]))


def machine_numbers(
    accelerator: Accelerator,
    hardware: Hardware,
    precision: str,
    shares: Mapping[str, Mapping[str, float]],
    curves: Mapping[str, FloatArray],
    *,
    half_gradients: bool = False,
    power_limit_w: float | None = None,
) -> MachineNumbers:
    """The figures of one kind of node. `curves`: `reduce:FAMILY`, `gather:FAMILY`, `out:FABRIC` to (GRID,) arrays."""
    form = format_run(accelerator, precision)
    network = (hardware.network_gbit_per_s or 0.0) * 1e9 / 8 / max(1, hardware.gpus_per_node)
    link = (hardware.link_gbyte_per_s or accelerator.link_gbyte_per_s or PCIE4_GBYTE_PER_S) * 1e9
    domain = max(1, hardware.scale_up_domain)
    if domain < hardware.gpus_per_node:  # GPUs, or bridged pairs of them, that meet over PCIe
        domain = hardware.gpus_per_node
        pcie = PCIE5_GBYTE_PER_S if accelerator.form_factor.startswith("PCIe5") else PCIE4_GBYTE_PER_S
        link = min(link, pcie * 1e9)
    meshed = accelerator.vendor.lower() in MESHES or accelerator.family in MESHED_FAMILIES
    mesh = meshed and 1 < domain <= hardware.gpus_per_node  # nobody wires each pair of a rack: MI455X's has switches
    fast = accelerator.link_gbyte_per_s is not None and link > PCIE5_GBYTE_PER_S * 1e9
    up = "pcie" if not fast else "mesh" if mesh else accelerator.family
    up = up if f"reduce:{up}" in curves else "other"
    out = hardware.fabric if f"out:{hardware.fabric}" in curves else "unknown"
    # Near full load a GPU's power grows as about the square of its clock (voltage rises with it), so the rate falls as
    # the root of the power.
    tdp_w = accelerator.tdp_w
    held_back = min(1.0, (power_limit_w / tdp_w) ** 0.5) if power_limit_w and tdp_w else 1.0
    return MachineNumbers(
        ceiling=matmul_ceiling(accelerator, form, shares) * held_back,
        ceiling_16=matmul_ceiling(accelerator, "bf16", shares) * held_back,
        gradient_bytes=2.0 if precision == "fp16" or half_gradients else 4.0,
        hbm=accelerator.memory_bw_gbyte_per_s * 1e9,
        link=link,
        network=network,
        reached=network,
        pair=link / (domain - 1) if mesh else link,
        switched=float(fast and not mesh),
        domain=float(domain),
        node=float(hardware.gpus_per_node),
        up_reduce=log_shares(curves[f"reduce:{up}"]),
        up_gather=log_shares(curves[f"gather:{up}"]),
        out=log_shares(curves[f"out:{out}"]),
    )


def as_reached(machine: MachineNumbers, rates: Rates) -> MachineNumbers:
    """The machine with the share of its network that rings get."""
    return replace(machine, reached=machine.network * rates.network)


def log_shares(shares: FloatArray) -> FloatArray:
    """Log2 of a curve's shares (GRID,), none more than twice the one before: a larger message takes no less time."""
    octaves = np.arange(len(shares))
    return np.asarray(np.minimum.accumulate(np.log2(shares) - octaves) + octaves)


def link_share(curve: FloatArray, size_bytes: Number) -> Number:
    """Share of the link's rate that a message of this size reaches; between grid points, log-log linear.

    `curve` is of `log_shares`, (GRID,), or (n, GRID) with `size_bytes` (n,): one curve a row. As no message is sent
    faster than a smaller one, none is by a slower link faster than by a fast one.
    """
    place = np.clip(np.log2(np.maximum(size_bytes, 1.0)) - FIRST_LOG2_BYTES, 0.0, GRID - 1.001)
    below = place.astype(np.int64)
    weight = place - below
    if curve.ndim == 2:
        below = below + np.arange(curve.shape[0]) * curve.shape[1]
        curve = curve.ravel()
    low = curve[below]
    return np.exp2(low + weight * (curve[below + 1] - low))


def stays_inside(machine: MachineNumbers, group: Number) -> BoolArray:
    """Whether groups of so many neighbouring GPUs each lie inside one link domain.

    They do where their size divides it, or is of whole nodes of a larger one, which schedulers keep in one rack; any
    other size straddles two somewhere, such as the second of three groups of 6 on nodes of 8.
    """
    node = np.maximum(machine.node, 1.0)
    fills = machine.domain % group == 0
    return np.asarray(fills | ((group <= machine.domain) & ((group % node == 0) | (node % group == 0))))


def neighbours(machine: MachineNumbers, group: Number) -> Number:
    """GPUs of such a group that share a link domain, of its worst placed part: all of them where it stays inside."""
    parts = np.gcd(np.asarray(group, dtype=np.int64), np.asarray(machine.domain, dtype=np.int64))
    return np.where(stays_inside(machine, group), group, parts)


def as_of_port(rate: Number) -> Number:
    """What message sizes are multiplied by to be looked up in `out`: slower ports are full with smaller messages."""
    return PORT / np.maximum(rate, 1e9)


def ring_time(
    machine: MachineNumbers,
    curve: FloatArray,
    size_bytes: Number,
    ranks: Number,
    local: Number,
    *,
    reduce: bool = False,
) -> Number:
    """Seconds in which a collective passes `size_bytes` once round `ranks` GPUs, `local` of them in one link domain.

    This is an all-gather or reduce-scatter of `size_bytes`, or with `reduce` half an all-reduce: (n-1)/n of it at the
    bus bandwidth. Across domains each of the group's local ranks brings its network port, up to the link's own rate;
    an all-reduce sums inside the domain first, so that only (n-local)/(n-1) of its ring crosses. Curves were measured
    on 16 ranks; what counts is bytes a rank, so more ranks need a larger message for the same share of the rate. What
    fills a link is its latency times its rate, so a slower network port needs a smaller one.

    Source: the conversions in catalogs/fabrics (bus bandwidth of nccl-tests and what it says of ports).
    """
    size = np.maximum(size_bytes, 2.0**FIRST_LOG2_BYTES)
    wires = np.minimum(machine.link, machine.pair * np.maximum(ranks - 1.0, 1.0))
    inside = 1.0 / (wires * link_share(curve, size))
    ports = np.minimum(machine.reached * local, machine.link)
    alike = size * as_of_port(np.minimum(machine.network, machine.link / local)) * (16.0 / np.maximum(ranks, 16.0))
    across = 1.0 / np.maximum(ports * link_share(machine.out, alike), 1.0)
    if reduce:
        across = across * (ranks - local) / np.maximum(ranks - 1.0, 1.0)
    slowest = np.where(ranks > local, np.maximum(inside, across), inside)
    return size * (ranks - 1.0) / ranks * slowest
