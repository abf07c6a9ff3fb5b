"""Checks of accelerators and nodes: what a data sheet says in two ways, and what a wrong table would print.

Each check is a rule that a real, published error breaks; the docstrings name it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date

from planner.catalog.catalog import Catalog
from planner.catalog.facts import Record
from planner.words import say

# Number formats with matrix units, by family. Trainium1's 8-bit rate is the bf16 rate and is not listed.
FORMATS_OF: Mapping[str, frozenset[str]] = {
    "volta": frozenset({"fp16"}),
    "ampere": frozenset({"bf16", "fp16", "tf32"}),
    "ada": frozenset({"bf16", "fp16", "fp8", "tf32"}),
    "hopper": frozenset({"bf16", "fp16", "fp8", "tf32"}),
    "blackwell": frozenset({"bf16", "fp16", "fp8", "fp4", "tf32"}),
    "cdna2": frozenset({"bf16", "fp16"}),
    "blackwell-rtx": frozenset({"bf16", "fp16", "fp8", "fp4", "tf32"}),
    "rubin": frozenset({"bf16", "fp16", "fp8", "fp4", "tf32"}),
    "cdna3": frozenset({"bf16", "fp16", "fp8", "tf32"}),
    "cdna4": frozenset({"bf16", "fp16", "fp8", "fp4"}),
    "cdna5": frozenset({"bf16", "fp16", "fp8", "fp4"}),
    "gaudi": frozenset({"bf16", "fp16", "fp8", "tf32"}),
    "tpu": frozenset({"bf16", "fp16", "fp8"}),
    "trainium": frozenset({"bf16", "fp16", "fp8", "fp4", "tf32"}),
}
# One direction, GB/s per GPU, by the link's name.
LINK_RATE = {"NVLink2": 150.0, "NVSwitch3": 300.0, "NVSwitch4": 450.0, "NVSwitch5": 900.0, "PCIe4": 31.5}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not add up. `certain`: the fact is wrong; otherwise it needs a person's eye."""

    check: str
    subject: str
    message: str
    certain: bool = True
    file: str = ""


def check_hardware(catalog: Catalog) -> list[Finding]:
    """Every finding on accelerators, nodes and fabrics, in the order of their names."""
    units = {row["gpu"]: row for row in catalog.table("matmul/tensor_units.csv")}
    findings: list[Finding] = []
    for name in catalog.accelerators:
        record = catalog.accelerators.records[name]
        tensor_peak = _tensor_peak(units.get(name))
        for check in ACCELERATOR_CHECKS:
            findings.extend(_found(check.__name__, record, check(record)))
        findings.extend(_found("dense_not_sparse", record, _dense_not_sparse(record, tensor_peak)))
        findings.extend(_found("tensor_not_vector", record, _tensor_not_vector(record, tensor_peak)))
        findings.extend(_found("provenance", record, _provenance(record, catalog)))
    for name in catalog.nodes:
        record = catalog.nodes.records[name]
        file = record.files[-1].as_posix()
        findings.extend(Finding(check, name, message, file=file) for check, message in _node(record, catalog))
        findings.extend(_found("provenance", record, _provenance(record, catalog)))
    for name in catalog.fabrics:
        record = catalog.fabrics[name]
        findings.extend(_found("provenance", record, _provenance(record, catalog)))
        unknown = [each for each in record.text("curves").split(", ") if each and each not in catalog.curves]
        findings.extend(_found("curves", record, [say("checks_hardware.curve", name=each) for each in unknown]))
    return findings


def _found(check: str, record: Record, messages: Iterator[str] | list[str]) -> list[Finding]:
    name = check.lstrip("_")
    return [Finding(name, record.id, message, file=record.files[-1].as_posix()) for message in messages]


def format_of_the_chip(record: Record) -> Iterator[str]:
    """A peak in a format that the family has no matrix units for. One table printed A100 "FP8" 624, which is INT8."""
    allowed = FORMATS_OF.get(record.text("family"))
    for name in record.group("peak_dense_tflops"):
        if allowed is not None and name not in allowed:
            yield say("checks_hardware.format", family=record.text("family"), format=name)


def peaks_in_step(record: Record) -> Iterator[str]:
    """Peaks of one chip stand in known ratios: a figure that was read with sparsity, or in another format, does not.

    Trainium2's bf16 was printed as 3840 (above its own fp8), H100's fp16 as 1979 beside a bf16 of 989.
    """
    peak = record.group("peak_dense_tflops")
    bf16, fp16 = peak.get("bf16"), peak.get("fp16")
    if bf16 and fp16 and fp16 > 1.05 * bf16:
        yield say("checks_hardware.fp16_above_bf16", fp16=fp16, bf16=bf16)
    base = bf16 or fp16
    if base is None:
        yield say("checks_hardware.no_peak")
        return
    fp8, fp4, tf32 = peak.get("fp8"), peak.get("fp4"), peak.get("tf32")
    if fp8 and not 0.95 <= fp8 / base <= 4.5:
        yield say("checks_hardware.fp8", fp8=fp8, times=fp8 / base, base=base)
    if fp8 and fp4 and not 0.95 <= fp4 / fp8 <= 4.1:
        yield say("checks_hardware.fp4", fp4=fp4, times=fp4 / fp8, fp8=fp8)
    if tf32 and tf32 > 1.05 * base:
        yield say("checks_hardware.tf32_above", tf32=tf32, base=base)
    if tf32 and record.text("vendor") == "nvidia" and not 0.45 <= tf32 / base <= 0.55:
        yield say("checks_hardware.tf32_half", tf32=tf32, share=tf32 / base, base=base)


def measured_below_peak(record: Record) -> Iterator[str]:
    """A best matmul lies below the dense peak, and above two fifths of it: else one of them is not what it says."""
    peak = record.group("peak_dense_tflops")
    for name, best in record.group("matmul_tflops").items():
        if name not in peak:
            yield say("checks_hardware.matmul_alone", format=name)
        elif not 0.42 <= best / peak[name] <= 1:
            figures = {"best": best, "share": best / peak[name], "peak": peak[name]}
            yield say("checks_hardware.matmul", format=name, **figures)


def memory_in_its_unit(record: Record) -> Iterator[str]:
    """memory_gb is the data sheet's, of 10^9 or 2^30 bytes (vendors print both); the reported MiB is one of them."""
    stated, reported = record.number("memory_gb"), record.number("memory_reported_mib")
    if stated is None or reported is None:
        return
    as_gib, as_gb = reported / 1024, reported * 2**20 / 1e9
    if not (0.93 <= as_gib / stated <= 1.04 or 0.93 <= as_gb / stated <= 1.04):
        yield say("checks_hardware.memory_differs", stated=stated, reported=reported, gib=as_gib, gb=as_gb)


def memory_within_data_sheet(record: Record) -> Iterator[str]:
    """A driver reports what the data sheet says in 2^30 bytes, or less; half a percent is the sheet's rounding.

    One cloud's feed gave GB200 196,608 MiB, the 192 GB of its stacks, where drivers show 189,471 and the sheet has 186.
    """
    stated, reported = record.number("memory_gb"), record.number("memory_reported_mib")
    if stated is not None and reported is not None and 1.005 * stated < reported / 1024 <= 1.04 * stated:
        yield say("checks_hardware.memory_above", reported=reported, gib=reported / 1024, stated=stated)


ACCELERATOR_CHECKS: tuple[Callable[[Record], Iterator[str]], ...] = (
    format_of_the_chip,
    peaks_in_step,
    measured_below_peak,
    memory_in_its_unit,
    memory_within_data_sheet,
)


def _tensor_peak(row: Mapping[str, str] | None) -> float | None:
    """Dense 16-bit TFLOP/s that the units can do at the boost clock: units x FLOP per clock x clock."""
    if row is None:
        return None
    return float(row["units"]) * float(row["dense_16bit_flop_per_clock_per_unit"]) * float(row["boost_mhz"]) / 1e6


def _dense_not_sparse(record: Record, ceiling: float | None) -> Iterator[str]:
    """Peak <= units x rate x clock: H200 at 2000 and H100 NVL at 1979 are sparse, A10G at 125 is another chip (A10)."""
    for name in ("bf16", "fp16"):
        peak = record.group("peak_dense_tflops").get(name)
        if ceiling is not None and peak is not None and peak > 1.02 * ceiling:
            yield say("checks_hardware.above_units", format=name, peak=peak, ceiling=ceiling)


def _tensor_not_vector(record: Record, ceiling: float | None) -> Iterator[str]:
    """The peak of the matrix units, not of the vector units: A6000 38.7, 4090 82.6, 3090 35.6 were printed so."""
    for name in ("bf16", "fp16"):
        peak = record.group("peak_dense_tflops").get(name)
        if ceiling is not None and peak is not None and peak < 0.7 * ceiling:
            yield say("checks_hardware.below_units", format=name, peak=peak, ceiling=ceiling)


def _node(record: Record, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """What a node file says twice must agree: accelerator, link rate by its name, network rate by its name."""
    gpu = record.text("accelerator")
    if gpu not in catalog.accelerators:
        yield "right_variant", say("checks_hardware.accelerator", gpu=gpu)
        return
    gpus = record.number("gpus_per_node") or 0
    if gpus < 1 or gpus != int(gpus):
        yield "gpu_count", say("checks_hardware.gpus_per_node", gpus=gpus)
    link = record.number("link_one_way_gbyte_per_s_per_gpu")
    name = record.text("link")
    nominal = LINK_RATE.get(name)
    if link and nominal is not None and not 0.9 <= link / nominal <= 1.1:
        yield "link_one_way", say("checks_hardware.link", link=name, nominal=nominal, found=link)
    network = record.number("network_one_way_gbit_per_s_per_node")
    printed = re.search(r"(\d+)x(?:(\d+)x)?(\d+)", record.text("network"))
    if network is not None and printed is not None:
        product = int(printed[1]) * int(printed[2] or 1) * int(printed[3])
        if product != network:
            message = say("checks_hardware.network", network=record.text("network"), product=product, found=network)
            yield "network_per_node", message
    domain = record.number("scale_up_domain") or 1
    if domain < 1 or (domain > gpus and domain % max(gpus, 1)):
        yield "scale_up_domain", say("checks_hardware.domain", domain=domain, gpus=gpus)


def _provenance(record: Record, catalog: Catalog) -> Iterator[str]:
    """Every shipped number has a kind, a source that sources.yaml resolves, and a date; the user's own need none."""
    for name, fact in record.facts.items():
        if isinstance(fact.value, str) or fact.kind == "user":
            continue
        unknown = [key for key in fact.source if key not in catalog.sources]
        if unknown:
            yield say("checks_hardware.source", field=name, sources=unknown)
        elif not fact.source:
            yield say("checks_hardware.no_source", field=name)
        try:
            date.fromisoformat(fact.as_of)
        except ValueError:
            yield say("checks_hardware.as_of", field=name, as_of=fact.as_of)
