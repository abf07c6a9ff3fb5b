"""What measured short runs and benches say beside what was expected of them, and what looks wrong, by which figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any

import numpy as np

from planner.catalog import Catalog
from planner.catalog.catalog import format_of
from planner.interop.bench_tables import Collective, Matmul, best_matmul
from planner.interop.probe_folder import Measured
from planner.interop.probes import run_of
from planner.performance.arrays import Setting
from planner.performance.benches import Bench, matmul_tflops, network_busbw
from planner.performance.calibration import Calibration
from planner.performance.gpu_names import accelerator_written, chip_of
from planner.performance.intervals import spread
from planner.performance.refit import step_seconds
from planner.units import PlannerError
from planner.words import say
from planner.workload.adapters import training_flops
from planner.workload.flops import flops_per_token

SLOW = 0.8  # of what the model has, below which a network or a link looks wrong
SLOW_NODE = 0.9  # of the middle of its like
STALLED = 0.1  # of the steps
CONTRAST = 1.15  # how much slower runs across nodes may be than those inside one, each beside its prediction

RINGS = ("all_reduce", "all_gather", "reduce_scatter")  # whose rates the model has
ROUNDING = 1.05  # of data sheets and of what benches print
#: Of the ports' rate that an all-reduce's bus bandwidth may show where switches add: each byte is sent once, and
#: nccl-tests counts the two times of a ring (nccl-tests, doc/PERFORMANCE.md).
IN_NETWORK = 2.0
Tables = Sequence[tuple[str, Collective | Matmul]]  # each with its file's name


@dataclass(frozen=True, slots=True)
class Learnt:
    """What tables say of a site's own rates, and why others say nothing, by file."""

    benches: tuple[Bench, ...]
    impossible: Mapping[str, str]  # of other parts, or beyond what these can do
    idle: Mapping[str, str]  # of what the model has no rate of a site's own for


def learnt(tables: Tables, setting: Setting, facts: tuple[Catalog, Calibration]) -> Learnt:
    """What the tables say of the own rates of this setting's site."""
    catalog, calibration = facts
    impossible = {
        name: say("probe_findings.not_learnt", file=name, why=why)
        for name, table in tables
        if (why := _why_impossible(table, setting, catalog))
    }
    tables = [(name, table) for name, table in tables if name not in impossible]
    found = [
        bench
        for name, table in tables
        if isinstance(table, Collective)
        if (bench := _network(name, table, setting, calibration)) is not None
    ]
    by_file: dict[tuple[str, str], list[Matmul]] = {}
    for name, table in tables:
        if isinstance(table, Matmul):
            by_file.setdefault((name, table.dtype), []).append(table)
    parts = (_part(name, rows, setting, calibration) for (name, _), rows in by_file.items())
    found += [bench for bench in parts if bench is not None]
    used = {bench.source for bench in found}
    idle = {
        name: say("probe_findings.idle", file=name, why=_idle(table, setting))
        for name, table in tables
        if name not in used
    }
    return Learnt(tuple(found), impossible, idle)


def _why_impossible(table: Collective | Matmul, setting: Setting, catalog: Catalog) -> str:
    """Why a table cannot be of the plan's machines; "" where it can."""
    part = setting.accelerator
    if isinstance(table, Matmul):
        peak = part.peak_dense_tflops.get(table.dtype)
        if peak and table.tflops > ROUNDING * peak:
            values = {"rate": table.tflops, "dtype": table.dtype, "gpu": part.id, "peak": peak}
            return say("probe_findings.beyond_peak", **values)
        return ""
    written = accelerator_written(table.gpu, None, catalog.accelerators) if table.gpu else None
    if written is not None and chip_of(written.id) != chip_of(part.id):
        return say("probe_findings.other_gpu", measured=table.gpu, gpu=part.id)
    ports, (_, rate) = (setting.hardware.network_gbit_per_s or 0.0) / 8.0, table.largest
    if ports and _local(table, setting) < table.ranks and rate > IN_NETWORK * ROUNDING * ports:
        return say("probe_findings.beyond_ports", rate=rate, ports=ports)
    return ""


def _idle(table: Collective | Matmul, setting: Setting) -> str:
    """Why nothing is learnt of a table that could be of the plan's machines."""
    if isinstance(table, Matmul):
        if not table.dtype:
            return say("probe_findings.no_dtype", precision=setting.precision)
        return say("probe_findings.other_dtype", dtype=table.dtype, precision=setting.precision)
    if table.name not in RINGS:
        return say("probe_findings.other_collective", collective=table.name, known=list(RINGS))
    if not setting.hardware.network_gbit_per_s and _local(table, setting) < table.ranks:
        return say("probe_findings.no_network")
    return say("probe_findings.inside")


def _network(name: str, table: Collective, setting: Setting, calibration: Calibration) -> Bench | None:
    """A ring across nodes beside what the model has; None inside one, of whose links nothing is fitted."""
    local = _local(table, setting)
    if table.name not in RINGS or local >= table.ranks or not setting.hardware.network_gbit_per_s:
        return None
    size, rate = table.largest
    expected = network_busbw(
        setting.accelerator, setting.hardware, calibration,
        collective=table.name, ranks=table.ranks, local=local, size_bytes=size,
    )  # fmt: skip
    values = {"collective": table.name, "ranks": table.ranks, "local": local, "size": _bytes(size)}
    what = say("probe_findings.collective", **values)
    return Bench("network", setting.conditions.site, setting.accelerator.id, rate, expected, "GB/s", what, name)


def _local(table: Collective, setting: Setting) -> int:
    """Ranks in each node: as the table says, else as the plan's nodes hold them."""
    if table.hosts:
        return max(1, table.ranks // table.nodes)
    return min(table.ranks, int(setting.hardware.gpus_per_node))


def _part(name: str, rows: Sequence[Matmul], setting: Setting, calibration: Calibration) -> Bench | None:
    """The best matmul beside what the model has; None where it has none in this format."""
    best = best_matmul(rows)
    expected = matmul_tflops(setting.accelerator, best.dtype, float(best.m) * best.n, calibration)
    if expected is None or best.dtype != setting.precision and (best.dtype, setting.precision) != ("bf16", "fp16"):
        return None
    what = say("probe_findings.matmuls", matmuls=len(rows), dtype=best.dtype, m=best.m, n=best.n, k=best.k)
    return Bench(
        "matmul", setting.conditions.site, setting.accelerator.id, best.tflops, expected, "TFLOP/s", what, name
    )


def _bytes(size: float) -> str:
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size:.0f} B"


def beside_predictions(runs: Sequence[Measured], facts: tuple[Catalog, Calibration]) -> list[dict[str, Any]]:
    """Each run beside what was predicted of it before, and how far off most sites are.

    Raises
    ------
    PlannerError
        If a run's steps are shorter than its GPUs' peak allows: its log is of another run.
    """
    catalog, calibration = facts
    shown = []
    for each in runs:
        run = run_of(each.run.plan, each.run.trained.model, catalog, each.run.whole)
        # A step of fewer seconds than its FLOPs take at the peak is none.
        setting, plan = run.setting, each.run.plan
        peak = setting.accelerator.peak_dense_tflops.get(format_of(setting.precision))
        flops = training_flops(
            setting.model, flops_per_token(setting.model, setting.seq_length), setting.conditions.adapter
        )
        reached = flops * plan.global_batch * plan.seq_length / plan.gpus / each.step_s / 1e12
        if peak and reached > peak:
            values = {"log": each.log, "step": each.step_s, "reached": reached, "run": each.run.number}
            raise PlannerError(say("probe_findings.beyond_peak_run", **values, gpu=setting.accelerator.id, peak=peak))
        predicted = float(step_seconds([run], calibration)[0])
        sigma = float(spread(run.setting, np.asarray([run.gpus]), calibration).sigma[0])
        shown.append(
            {
                "number": each.run.number,
                "log": each.log,
                "nodes": each.run.plan.nodes,
                "steps": each.steps,
                "step_time_s": each.step_s,
                "step_p10_s": each.p10_s,
                "step_p90_s": each.p90_s,
                "stalled_steps": each.stalled,
                "predicted_s": predicted,
                "ratio": each.step_s / predicted,
                "nine_in_ten_below": float(np.exp(NormalDist().inv_cdf(0.9) * sigma)),
            }
        )
    return shown


def looks_wrong(runs: Sequence[Mapping[str, Any]], benches: Sequence[Bench], tables: Tables) -> list[str]:
    """Sentences on what does not look as it should, each with the figure that says so."""
    slow, fast, stalling = [], [], []
    for run in runs:
        number, ratio, limit = run["number"], run["ratio"], run["nine_in_ten_below"]
        if ratio > limit:
            slow.append(say("probe_findings.slow_run", run=number, ratio=ratio, limit=limit))
        if ratio * limit < 1.0:
            fast.append(say("probe_findings.fast_run", run=number, ratio=ratio, limit=1.0 / limit))
        if run["stalled_steps"] > STALLED * run["steps"]:
            values = {"run": number, "stalled": run["stalled_steps"], "steps": run["steps"]}
            stalling.append(say("probe_findings.stalls", **values))
    findings: list[str] = [*slow, *fast, *stalling]
    across = [run["ratio"] for run in runs if run["nodes"] > 1]
    inside = [run["ratio"] for run in runs if run["nodes"] == 1]
    if across and inside and median(across) > CONTRAST * median(inside):
        findings.append(say("probe_findings.contrast", across=median(across), inside=median(inside)))
    for bench in benches:
        if bench.measured < SLOW * bench.modelled:
            code = "probe_findings.slow_network" if bench.kind == "network" else "probe_findings.slow_part"
            values = {"what": bench.what, "source": bench.source, "measured": bench.measured, "unit": bench.unit}
            findings.append(say(code, **values, expected=bench.modelled))
    return findings + _slow_nodes(tables)


def _slow_nodes(tables: Tables) -> list[str]:
    """Nodes that fall behind their like: in matmuls by node, and in collectives of as many ranks on other hosts."""
    findings: list[str] = []
    by_node: dict[str, float] = {}
    for _, table in tables:
        if isinstance(table, Matmul) and table.node:
            by_node[table.node] = max(by_node.get(table.node, 0.0), table.tflops)
    if len(by_node) > 1:
        middle = median(by_node.values())
        findings += [
            say("probe_findings.slow_node", node=node, rate=rate, nodes=len(by_node), middle=middle)
            for node, rate in by_node.items()
            if rate < SLOW_NODE * middle
        ]
    collectives = [(name, table) for name, table in tables if isinstance(table, Collective)]
    findings += [
        say("probe_findings.wrong_values", file=name, collective=table.name, wrong=table.wrong)
        for name, table in collectives
        if table.wrong
    ]
    alike: dict[tuple[str, int, int], list[tuple[str, Collective]]] = {}
    for name, table in collectives:
        alike.setdefault((table.name, table.ranks, table.nodes), []).append((name, table))
    for group in alike.values():
        middle = median(table.largest[1] for _, table in group)
        for name, table in group:
            if len(group) > 2 and table.largest[1] < SLOW_NODE * middle:
                hosts, rate = list(dict.fromkeys(table.hosts)) or [name], table.largest[1]
                values = {"hosts": hosts, "collective": table.name, "rate": rate, "tables": len(group)}
                findings.append(say("probe_findings.slow_hosts", **values, middle=middle))
    return findings
