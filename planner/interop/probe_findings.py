"""What measured short runs and benches say beside what was expected of them, and what looks wrong, by which figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import NormalDist, median
from typing import Any

import numpy as np

from planner.catalog import Catalog
from planner.interop.bench_tables import Collective, Matmul, best_matmul
from planner.interop.probe_folder import Measured
from planner.interop.probes import run_of
from planner.performance.arrays import Setting
from planner.performance.benches import Bench, matmul_tflops, network_busbw
from planner.performance.calibration import Calibration
from planner.performance.gpu_names import accelerator_written, chip_of
from planner.performance.intervals import spread
from planner.performance.learning import step_seconds

SLOW = 0.8  # of what the model has, below which a network or a link looks wrong
SLOW_NODE = 0.9  # of the middle of its like
STALLED = 0.1  # of the steps
CONTRAST = 1.15  # how much slower runs across nodes may be than those inside one, each beside its prediction

RINGS = ("all_reduce", "all_gather", "reduce_scatter")  # whose rates the model has
Tables = Sequence[tuple[str, Collective | Matmul]]  # each with its file's name


def foreign(tables: Tables, setting: Setting, catalog: Catalog) -> dict[str, str]:
    """Why tables are of other parts than the plan's, by file: they say nothing of its rates."""
    said = {}
    for name, table in tables:
        if isinstance(table, Collective) and table.gpu:
            part = accelerator_written(table.gpu, None, catalog.accelerators)
            if part is not None and chip_of(part.id) != chip_of(setting.accelerator.id):
                said[name] = (
                    f"{name} was measured on {table.gpu}, and the plan has {setting.accelerator.id}: not learnt"
                )
    return said


def benches_of(tables: Tables, setting: Setting, facts: tuple[Catalog, Calibration]) -> list[Bench]:
    """What the tables say of the own rates of this setting's site."""
    catalog, calibration = facts
    strange = foreign(tables, setting, catalog)
    tables = [(name, table) for name, table in tables if name not in strange]
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
    return found + [bench for bench in parts if bench is not None]


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
    what = f"{table.name} over {table.ranks} GPUs, {local} a node: bus bandwidth with messages of {_bytes(size)}"
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
    what = f"best of {len(rows)} matmuls in {best.dtype}: {best.m} x {best.n} x {best.k}"
    return Bench(
        "matmul", setting.conditions.site, setting.accelerator.id, best.tflops, expected, "TFLOP/s", what, name
    )


def _bytes(size: float) -> str:
    for unit, scale in (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if size >= scale:
            return f"{size / scale:.4g} {unit}"
    return f"{size:.0f} B"


def beside_predictions(runs: Sequence[Measured], facts: tuple[Catalog, Calibration]) -> list[dict[str, Any]]:
    """Each run beside what was predicted of it before, and how far off most sites are."""
    catalog, calibration = facts
    shown = []
    for each in runs:
        run = run_of(each.run.plan, each.run.trained.model, catalog, each.run.whole)
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


def looks_wrong(
    runs: Sequence[Mapping[str, Any]],
    benches: Sequence[Bench],
    tables: Tables,
) -> list[str]:
    """Sentences on what does not look as it should, each with the figure that says so."""
    said = [
        f"run {run['number']} took {run['ratio']:.2f} times the predicted step; nine sites in ten take less than "
        f"{run['nine_in_ten_below']:.2f} times"
        for run in runs
        if run["ratio"] > run["nine_in_ten_below"]
    ]
    said += [
        f"run {run['number']}: {run['stalled_steps']:.0f} of {run['steps']} steps took more than 1.2 times their "
        "median: a node or the storage stops it now and then"
        for run in runs
        if run["stalled_steps"] > STALLED * run["steps"]
    ]
    across = [run["ratio"] for run in runs if run["nodes"] > 1]
    inside = [run["ratio"] for run in runs if run["nodes"] == 1]
    if across and inside and median(across) > CONTRAST * median(inside):
        said.append(
            f"runs across nodes took {median(across):.2f} times their prediction, those inside one node "
            f"{median(inside):.2f} times: the network gives less than its rate, or one node is slow"
        )
    for bench in benches:
        if bench.measured < SLOW * bench.modelled:
            said.append(
                f"{'network' if bench.kind == 'network' else 'part'} below its rate: {bench.what} of {bench.source} is "
                f"{bench.measured:.4g} {bench.unit}, where {bench.modelled:.4g} is expected"
            )
    return said + _slow_nodes(tables)


def _slow_nodes(tables: Tables) -> list[str]:
    """Nodes that fall behind their like: in matmuls by node, and in collectives of as many ranks on other hosts."""
    said = []
    by_node: dict[str, float] = {}
    for _, table in tables:
        if isinstance(table, Matmul) and table.node:
            by_node[table.node] = max(by_node.get(table.node, 0.0), table.tflops)
    if len(by_node) > 1:
        middle = median(by_node.values())
        said += [
            f"{node} is slow: its best matmul is {rate:.4g} TFLOP/s, the middle of {len(by_node)} is {middle:.4g}"
            for node, rate in by_node.items()
            if rate < SLOW_NODE * middle
        ]
    collectives = [(name, table) for name, table in tables if isinstance(table, Collective)]
    said += [
        f"{name}: {table.name} gave {table.wrong} wrong values: a link or a GPU is broken"
        for name, table in collectives
        if table.wrong
    ]
    alike: dict[tuple[str, int, int], list[tuple[str, Collective]]] = {}
    for name, table in collectives:
        alike.setdefault((table.name, table.ranks, table.nodes), []).append((name, table))
    for group in alike.values():
        middle = median(table.largest[1] for _, table in group)
        said.extend(
            f"{', '.join(dict.fromkeys(table.hosts)) or name}: {table.name} reaches {table.largest[1]:.4g} GB/s, the "
            f"middle of {len(group)} such tables is {middle:.4g}"
            for name, table in group
            if len(group) > 2 and table.largest[1] < SLOW_NODE * middle
        )
    return said
