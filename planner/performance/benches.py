"""What a site's network and parts were measured to do by themselves, as knowledge of its own rates.

The model's rates are everybody's. A site's own departs from them: its network's share by the spread with which sites
reach their ports, its matmuls by that of parts. A bench narrows that one parameter of that one site and GPU, by how
far it can be believed; runs measured there go on from it. Intervals stay as wide as they are: they are of whole runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from planner.files import csv_text
from planner.performance import stacks
from planner.performance.calibration import Calibration
from planner.performance.kernels import OUTPUTS
from planner.performance.machine import FORMATS, format_run, machine_numbers, matmul_ceiling, ring_time
from planner.performance.rates import RateRule, site_parameter
from planner.reading import fault, read_csv
from planner.spec.hardware import Accelerator, Hardware
from planner.words import say

FOLDER = "benches"
#: Log spreads between sites. Network: nominal ports give 0.62 to 0.93 (catalogs/fabrics/inter_node_rate.csv), and some
#: sites far less, so wider than that range's own 0.13; parts: that between a GPU's own runs in priors.yaml.
SITES = {"network": 0.3, "matmul": 0.05}
#: Of what a bench says of training: other messages and overlap, another clock under other loads. Set, not measured.
NOISE = {"network": 0.1, "matmul": 0.05}
COLUMNS = ("kind", "site", "gpu", "measured", "modelled", "unit", "what", "source")


@dataclass(frozen=True, slots=True)
class Bench:
    """A measured rate beside the model's, of one site and GPU."""

    kind: str  # network | matmul: the rate that it moves
    site: str
    gpu: str
    measured: float
    modelled: float  # by everybody's rates
    unit: str
    what: str  # which figure says so
    source: str = ""

    @property
    def log_ratio(self) -> float:
        return float(np.log(self.measured / self.modelled))


def network_busbw(
    accelerator: Accelerator,
    hardware: Hardware,
    calibration: Calibration,
    *,
    collective: str,
    ranks: int,
    local: int,
    size_bytes: float,
) -> float:
    """Bus bandwidth, 1e9 bytes/s, that the model has for a collective of `ranks` GPUs, `local` of them in each node."""
    numbers = machine_numbers(accelerator, hardware, "bf16", calibration.shares, calibration.curves)
    rule = calibration.rules["network"]
    share = rule.prior * float(np.exp(calibration.values.get("network[all=1]", 0.0)))
    machine = replace(numbers, reached=numbers.network * min(share, rule.at_most or share))
    reduce = collective == "all_reduce"
    curve = machine.up_reduce if reduce else machine.up_gather
    seconds = ring_time(machine, curve, np.array([float(size_bytes)]), float(ranks), float(local), reduce=reduce)
    return float(size_bytes * (ranks - 1) / ranks / seconds[0] / 1e9)


def matmul_tflops(accelerator: Accelerator, dtype: str, outputs: float, calibration: Calibration) -> float | None:
    """What the model has for a matmul of so many outputs (m x n) on a part, TFLOP/s; None where it has not the format.

    That is the share of the measured ceiling that large ones reach there, less half a wave (`kernels.OUTPUTS`); what a
    training stack makes of it is not in it.
    """
    form = FORMATS.get(dtype)
    if form is None or format_run(accelerator, dtype) != form:
        return None
    named = (f"family={accelerator.family},format={stacks.FORMATS[dtype]}", f"gpu={accelerator.id}")
    share = calibration.rules["matmul"].prior * float(
        np.exp(sum(calibration.values.get(f"matmul[{name}]", 0.0) for name in named))
    )
    rate = matmul_ceiling(accelerator, form, calibration.shares) / 1e12 * min(share, 1.0)
    return rate / (1.0 + OUTPUTS / (2.0 * outputs)) if rate > 0 else None


def with_benches(calibration: Calibration, benches: Sequence[Bench]) -> Calibration:
    """The calibration with what benches say of their sites' own rates."""
    rules: dict[str, RateRule] = dict(calibration.rules)
    for kind, spread in SITES.items():
        known: dict[str, list[Bench]] = {}
        for bench in benches:
            if bench.kind == kind:
                known.setdefault(site_parameter(kind, bench.site, bench.gpu), []).append(bench)
        means, spreads = dict(rules[kind].means), dict(rules[kind].measured)
        for name, alike in known.items():
            # Benches of one kind at one site share what makes them unlike training: they are one, at their mean.
            ratio = float(np.mean([each.log_ratio for each in alike]))
            believed = spread**2 / (spread**2 + NOISE[kind] ** 2)
            means[name] = believed * ratio
            spreads[name] = spread * float(np.sqrt(1.0 - believed))
        rules[kind] = replace(rules[kind], means=means, measured=spreads)
    return replace(calibration, rules=rules)


def bench_files(overlays: Iterable[Path]) -> list[Path]:
    """The tables of benches of these folders, in order of name within each."""
    return [path for folder in overlays for path in sorted((Path(folder) / FOLDER).glob("*.csv"))]


def read_benches(paths: Iterable[Path]) -> list[Bench]:
    """The benches of these tables.

    Raises
    ------
    PlannerError
        If a table is not one that planner wrote.
    """
    found = []
    for path in paths:
        table = read_csv(path, COLUMNS, COLUMNS, holds=say("benches.holds"))
        for line, row in zip(table.lines, table.rows(), strict=True):
            try:
                measured, modelled = float(row["measured"]), float(row["modelled"])
            except ValueError:
                raise fault(path, say("benches.numbers"), line) from None
            if row["kind"] not in SITES or not (0 < measured < 1e9 and 0 < modelled < 1e9):
                raise fault(path, say("benches.kind", kinds=list(SITES)), line)
            words = {name: row[name] for name in ("kind", "site", "gpu", "unit", "what", "source")}
            found.append(Bench(**words, measured=measured, modelled=modelled))
    return found


def bench_table(benches: Sequence[Bench]) -> str:
    """The benches as the table that `read_benches` reads."""
    return csv_text(
        [
            COLUMNS,
            *(
                (b.kind, b.site, b.gpu, f"{b.measured:.6g}", f"{b.modelled:.6g}", b.unit, b.what, b.source)
                for b in benches
            ),
        ]
    )
