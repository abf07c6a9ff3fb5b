"""Short runs that stand for a plan: fewer nodes and layers, everything that one GPU does kept; and their launch files.

A stage keeps its layers, a GPU its micro-batch, tensor, context and expert parallel, so that kernels, shapes and
messages inside a node are the plan's; what is left of data and pipeline parallelism crosses nodes as the plan's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from planner.catalog import Catalog
from planner.interop.export_common import Export
from planner.interop.exporting import TARGETS
from planner.interop.measurement import what_ran
from planner.performance.calibration import Calibration
from planner.performance.framework_table import known_framework
from planner.performance.frameworks import why_illegal
from planner.performance.memory import capacity_gib, memory
from planner.performance.refit import step_seconds
from planner.performance.rows import Run, layouts_of, read_run
from planner.results.answers import Certificate, Optimization, Provenance, Trained
from planner.results.plan import Layout, Plan, Quantiles
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.words import say

NODES = (1, 2, 4)
STEPS_LEAST, STEPS_MOST = 20, 50
ABOUT_S = 60.0  # that steps take together, within those: a median of twenty is as good as a run repeats itself
START_S = 300.0  # until a run trains: allocation, processes, compilation, the first checkpointless iterations
MOST_CANDIDATES = 96
#: What a plan says of a whole run, and a short one has not.
_NOT_OF_A_PROBE: Mapping[str, Any] = dict.fromkeys((
    "iterations_per_epoch", "reliability", "billing", "gpu_hours", "buying", "epochs", "leftover_samples",
    "plausibility", "p_within_time", "p_within_cost", "p_within_both",
))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Probe:
    """A short run: its plan, what it trains, and as which row it will be learnt from."""

    plan: Plan
    trained: Trained
    whole_layers: int  # of the model
    run: Run
    step_s: float
    memory_gib: float

    @property
    def cut(self) -> bool:
        return self.trained.model.layers < self.whole_layers

    @property
    def minutes(self) -> float:
        return (START_S + self.plan.iterations * self.step_s) / 60.0

    @property
    def gpu_hours(self) -> float:
        return self.plan.gpus * self.minutes / 60.0

    @property
    def usd(self) -> float:
        return self.gpu_hours * self.plan.offer.usd_per_gpu_hour

    @property
    def answer(self) -> Optimization:
        """The run as a saved plan has it."""
        return answer_of(self.plan, self.trained)


def run_of(plan: Plan, model: ModelSpec, catalog: Catalog, whole_layers: int | None = None) -> Run:
    """The run that a plan is, as its measured row will be read; of a model that may be nobody else's."""
    cells = {key: str(value) for key, value in what_ran(model, plan, whole_layers).items() if value is not None}
    run = read_run(cells, catalog, "plan")
    stated = replace(run.setting.conditions, whole_layers=whole_layers)
    return replace(run, setting=replace(run.setting, model=model, conditions=stated))


def probes_of(plan: Plan, trained: Trained, catalog: Catalog, calibration: Calibration) -> list[Probe]:
    """The short runs that stand for a plan: legal, and within the memory of its GPUs; the cheapest first."""
    candidates = []
    for layout, nodes, layers in _shapes(plan, trained.model):
        made = _cut(plan, trained, layout, nodes, layers)
        if made is None:
            continue
        short, cut = made
        whole = trained.model.layers if layers < trained.model.layers else None
        run = run_of(short, cut.model, catalog, whole)
        held = _memory(run)
        if held is not None and held <= capacity_gib(run.setting):
            candidates.append((short, cut, run, held))
    seconds = step_seconds([each[2] for each in candidates], calibration) if candidates else np.zeros(0)
    found = [
        Probe(_timed(short, float(step)), cut, trained.model.layers, run, float(step), held)
        for (short, cut, run, held), step in zip(candidates, seconds, strict=True)
    ]
    return sorted(found, key=lambda each: (each.gpu_hours, each.plan.gpus))[:MOST_CANDIDATES]


def _shapes(plan: Plan, model: ModelSpec) -> Iterator[tuple[Layout, int, int]]:
    """Layouts of one to four nodes with their layers: of each, several depths of pipeline and accumulation."""
    old, each = plan.layout, plan.offer.gpus_per_node or -(-plan.gpus // plan.nodes)
    for nodes in (n for n in NODES if n <= plan.nodes):
        gpus = min(nodes * each, plan.gpus)
        for pp in sorted({n for n in (1, 2, 4, 8, 16, old.pp) if n <= old.pp}):
            dp, rest = divmod(gpus, old.tp * old.cp * pp)
            if rest or not dp or dp > old.dp:
                continue
            for layers in _depths(model, old, pp):
                for accumulation in sorted({min(old.grad_accum, n) for n in (max(2, pp), 4 * max(2, pp), 32)}):
                    vpp = old.vpp if pp > 1 and layers % (pp * old.vpp) == 0 else 1
                    yield replace(old, pp=pp, vpp=vpp, dp=dp, grad_accum=accumulation), nodes, layers


def _depths(model: ModelSpec, old: Layout, pp: int) -> list[int]:
    """Layers: as many a stage as the plan has; without a pipeline all of them, and parts that take less memory."""
    if model.layer_pattern or model.mtp_layers:
        return [model.layers] if pp == old.pp else []
    if old.pp > 1:
        return [min(model.layers, -(-model.layers // old.pp) * pp)]
    period = max(1, model.moe.every if model.moe else 1, model.full_attention_every)
    depths = {model.layers, *(max(period, round(model.layers * part / period) * period) for part in (0.5, 0.25, 0.125))}
    return sorted(n for n in depths if n <= model.layers)


def _cut(plan: Plan, trained: Trained, layout: Layout, nodes: int, layers: int) -> tuple[Plan, Trained] | None:
    """The plan and what it trains, cut so; None where nothing of that shape can be."""
    model, gpus = trained.model, layout.tp * layout.pp * layout.cp * layout.dp
    if layout.ep > 1 and (layout.tp * layout.cp * layout.dp) % layout.ep:
        return None
    moe = model.moe and replace(model.moe, first_dense_layers=min(model.moe.first_dense_layers, max(layers - 1, 0)))
    cut = replace(trained, model=replace(model, layers=layers, moe=moe), batch_ramp=(), evaluation_interval=0)
    stated = plan.conditions
    if stated is not None:
        group = stated.shard_group if stated.shard_group and (layout.dp * layout.cp) % stated.shard_group == 0 else None
        share = stated.recompute_share
        if share is not None:
            share = min(1.0, max(1, round(share * layers)) / layers)
        stated = replace(stated, shard_group=group, recompute_share=share)
    batch = layout.micro_batch * layout.dp * layout.grad_accum
    return replace(plan, gpus=gpus, nodes=nodes, layout=layout, global_batch=batch, conditions=stated), cut


def _memory(run: Run) -> float | None:
    """GiB on the fullest GPU; None where its framework refuses the layout."""
    layouts, setting = layouts_of([run]), run.setting
    table = known_framework(setting.framework)
    if table is not None and why_illegal(table.name, setting.model, layouts, setting.seq_length, setting.release):
        return None
    try:
        return float(memory(setting, layouts).total[0])
    except PlannerError:
        return None


def _timed(plan: Plan, step_s: float) -> Plan:
    """The plan with as many steps as a few minutes hold, and what is said of its length and cost."""
    steps = int(np.clip(round(ABOUT_S / step_s), STEPS_LEAST, STEPS_MOST))
    step = Quantiles(*(step_s * value / plan.step_time_s.p50 for value in _three(plan.step_time_s)))
    time = Quantiles(*(START_S + steps * value for value in _three(step)))
    hourly = plan.gpus * plan.offer.usd_per_gpu_hour / 3600.0
    per_gpu = plan.global_batch * plan.seq_length / plan.gpus
    return replace(
        plan,
        iterations=steps,
        tokens=steps * plan.global_batch * plan.seq_length,
        step_time_s=step,
        step_breakdown_s={},
        tokens_per_s_per_gpu=Quantiles(*(per_gpu / value for value in reversed(_three(step)))),
        time_s=time,
        cost_usd=Quantiles(*(hourly * value for value in _three(time))),
        schedule=(),
        learning=(),
        **_NOT_OF_A_PROBE,
    )


def _three(kept: Quantiles) -> tuple[float, float, float]:
    return kept.p10, kept.p50, kept.p90


def answer_of(plan: Plan, trained: Trained) -> Optimization:
    """A short run as a saved plan has it, which logs are read against."""
    nothing = Certificate(0, 0, {}, None, None, None)  # no search was made
    return Optimization(
        status="optimal",
        plan=plan,
        alternatives=(),
        certificate=nothing,
        binding=(),
        infeasibility=None,
        defaults=(),
        warnings=(),
        provenance=Provenance("", "probe", "", "", ""),
        trained=trained,
    )


def launch_files(probe: Probe, name: str, number: int) -> tuple[dict[str, str], list[str]]:
    """What starts a probe: its framework's own files, and a job for Slurm; and what a user should know of them.

    Raises
    ------
    PlannerError
        If its framework cannot run it, saying what it lacks.
    """
    row = known_framework(probe.plan.framework)
    targets = [*(row.exports[:1] if row is not None else ()), "slurm"]
    files: dict[str, str] = {}
    notes: list[str] = []
    for target in targets:
        export = Export(probe.plan, probe.trained, f"{name[:24]}-probe-{number}", measures=True)
        files |= TARGETS[target](export)
        notes += [note for note in export.notes if note not in notes]
    return files, notes


def cells_of(probe: Probe) -> dict[str, Any]:
    """The row as which the probe will be learnt from, without what it will show."""
    whole = probe.whole_layers if probe.cut else None
    cells: Mapping[str, Any] = what_ran(probe.trained.model, probe.plan, whole)
    return {key: value for key, value in cells.items() if value not in (None, "")}


def crossing(plan: Plan) -> Sequence[str]:
    """The kinds of traffic that cross nodes in a plan."""
    layout = plan.layout
    node = plan.offer.gpus_per_node or -(-plan.gpus // plan.nodes)
    inner = layout.tp * layout.cp
    if plan.nodes < 2:
        return ()
    crossed = []
    if inner > node:
        crossed.append(say("probes.tensor_or_context"))
    if layout.dp > 1 and inner * layout.dp > node:
        crossed.append(say("probes.data"))
    if layout.pp > 1:
        crossed.append(say("probes.pipeline"))
    return crossed
