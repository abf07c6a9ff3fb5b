"""Logs of short runs, and benches of network and part: what they teach, what looks wrong, the ask before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Any

from planner import plan_json
from planner.api.inputs import Folders, ScenarioLike, folders, load_facts
from planner.results import Result
from planner.units import PlannerError

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.interop.bench_tables import Collective, Matmul
    from planner.interop.probe_folder import Measured, Planned
    from planner.performance.benches import Bench
    from planner.performance.calibration import Calibration
    from planner.performance.rows import Run
    from planner.plan import Plan

SCENARIO, TABLE = "scenario.yaml", "probe"
SLOW = 0.8  # of what the model has, below which a network or a link looks wrong
SLOW_NODE = 0.9  # of the middle of its like
STALLED = 0.1  # of the steps
CONTRAST = 1.15  # how much slower runs across nodes may be than those inside one, each beside its prediction


@dataclass(frozen=True, slots=True, repr=False)
class ProbeRead(Result):
    """What logs and benches taught, and the ask before and after."""

    document: Mapping[str, Any]  # the keys of the JSON
    said: tuple[str, ...] = ()

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def to_json(self) -> str:
        """The document as text, ending in a newline."""
        return plan_json.dumps(dict(self.document))


def read_probe(
    folder: str | Path,
    logs: Sequence[str | Path],
    own: str | Path | None = None,
    overlays: Folders = (),
    *,
    scenario: ScenarioLike | None = None,
) -> ProbeRead:
    """Learn from the logs of short runs, and from nccl-tests and matmul tables; and plan anew.

    Parameters
    ----------
    folder : path
        What `probe` wrote.
    logs : paths
        Training logs of any known form, outputs of nccl-tests, CSV tables with m, n, k, dtype, tflops.
    own : path, optional
        One's own catalog folder, made if it is not there; default: that of the config folder.
    scenario : path, map or Scenario, optional
        To plan anew by; default: the copy that lies in the folder. Without one the saved plans are weighed anew.

    Raises
    ------
    PlannerError
        If the folder or a log cannot be read, or nothing in them can be learnt from; nothing is written then.
    """
    from planner.catalog.overlay import config_catalog
    from planner.interop.bench_tables import bench_of
    from planner.interop.files import naming
    from planner.interop.probe_folder import assigned, measured, read_folder
    from planner.performance.overlays import add_rows, refit

    place = Path(folder)
    planned = read_folder(place)
    mine = Path(own) if own is not None else config_catalog()
    over = (*(each for each in folders(overlays) if each.resolve() != mine.resolve()), mine)
    there = tuple(each for each in over if each.is_dir())
    before = load_facts(there)
    tables: list[tuple[str, Collective | Matmul]] = []
    training: list[Path] = []
    for log in map(Path, logs):
        with naming(log):
            found = bench_of(log)
        tables += [(log.name, each) for each in found or ()]
        training += [log] if found is None else []
    runs = []
    for run, log in assigned(place, planned.runs, training):
        with naming(log):
            runs.append(measured(run, log))
    benches = _benches(planned, tables, before)
    if not runs and not benches:
        raise PlannerError("give logs of the runs, or tables of nccl-tests or matmuls: nothing was measured")
    added = add_rows([each.row for each in runs], TABLE, mine, over, of_log=True) if runs else _no_rows()
    added = replace(added, files={**added.files, **_bench_files(benches, mine)})
    said = refit(mine, over, added)
    after = load_facts((*(each for each in there if each.resolve() != mine.resolve()), mine))
    shown = _runs_shown(runs, before)
    old, new = _outcomes(planned, place, scenario, over, (before, after))
    return ProbeRead(_document(planned, shown, benches, tables, (old, new)), tuple(said))


def _no_rows() -> Any:
    from planner.performance.overlays import Added

    return Added(())


def _bench_files(benches: Sequence[Bench], own: Path) -> dict[str, str]:
    """The table of benches as it will be: of one figure the newest."""
    from planner.performance.benches import FOLDER, bench_table, read_benches

    if not benches:
        return {}
    path = own / FOLDER / f"{TABLE}.csv"
    old = read_benches([path]) if path.is_file() else []
    now = {(b.kind, b.site, b.gpu, b.source, b.what.partition(":")[0]): b for b in [*old, *benches]}
    return {f"{FOLDER}/{TABLE}.csv": bench_table(list(now.values()))}


# Benches --------------------------------------------------------------------------------------------------------------


def _plan_run(planned: Planned, catalog: Catalog) -> Run:
    from planner.interop.probes import run_of

    return run_of(planned.plan, planned.trained.model, catalog)


def _benches(
    planned: Planned, tables: Sequence[tuple[str, Collective | Matmul]], facts: tuple[Catalog, Calibration]
) -> list[Bench]:
    """What the tables say of the site's own rates."""
    from planner.interop.bench_tables import Collective, Matmul

    if not tables:
        return []
    setting = _plan_run(planned, facts[0]).setting
    found = [
        bench
        for name, table in tables
        if isinstance(table, Collective)
        if (bench := _network(name, table, setting, facts[1])) is not None
    ]
    by_file: dict[tuple[str, str], list[Matmul]] = {}
    for name, table in tables:
        if isinstance(table, Matmul):
            by_file.setdefault((name, table.dtype), []).append(table)
    return found + [
        bench for (name, _), rows in by_file.items() if (bench := _part(name, rows, setting, facts[1])) is not None
    ]


def _network(name: str, table: Collective, setting: Any, calibration: Calibration) -> Bench | None:
    """A collective across nodes beside what the model has; None inside one, of whose links nothing is fitted."""
    from planner.performance.benches import Bench, network_busbw

    local = _local(table, setting)
    if local >= table.ranks or not setting.hardware.network_gbit_per_s:
        return None
    size, rate = table.largest
    expected = network_busbw(
        setting.accelerator, setting.hardware, calibration,
        collective=table.name, ranks=table.ranks, local=local, size_bytes=size,
    )  # fmt: skip
    what = f"{table.name} over {table.ranks} GPUs, {local} a node: bus bandwidth with messages of {_bytes(size)}"
    return Bench("network", setting.conditions.site, setting.accelerator.id, rate, expected, "GB/s", what, name)


def _local(table: Collective, setting: Any) -> int:
    """Ranks in each node: as the table says, else as the plan's nodes hold them."""
    if table.hosts:
        return max(1, table.ranks // table.nodes)
    return min(table.ranks, int(setting.hardware.gpus_per_node))


def _part(name: str, rows: Sequence[Matmul], setting: Any, calibration: Calibration) -> Bench | None:
    from planner.interop.bench_tables import best_matmul
    from planner.performance.benches import Bench, matmul_tflops

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


# What is shown --------------------------------------------------------------------------------------------------------


def _runs_shown(runs: Sequence[Measured], facts: tuple[Catalog, Calibration]) -> list[dict[str, Any]]:
    """Each run beside what was predicted of it before, and how far off most sites are."""
    import numpy as np

    from planner.interop.probes import run_of
    from planner.performance.intervals import spread
    from planner.performance.learning import step_seconds

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
    tables: Sequence[tuple[str, Collective | Matmul]],
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


def _slow_nodes(tables: Sequence[tuple[str, Collective | Matmul]]) -> list[str]:
    """Nodes that fall behind their like: in matmuls by node, and in collectives of as many ranks on other hosts."""
    from planner.interop.bench_tables import Collective, Matmul

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


# Before and after -----------------------------------------------------------------------------------------------------


def _outcomes(
    planned: Planned,
    folder: Path,
    scenario: ScenarioLike | None,
    overlays: Sequence[Path],
    facts: tuple[tuple[Catalog, Calibration], tuple[Catalog, Calibration]],
) -> tuple[Plan, Plan | None]:
    """The plan that was probed for, and the one that is best by what is known now."""
    from planner.api.planning import optimize

    source = scenario if scenario is not None else folder / SCENARIO
    if scenario is None and not (folder / SCENARIO).is_file():
        return planned.plan, _weighed_anew(planned, facts)
    return planned.plan, optimize(source, overlays, overrides=planned.overrides).plan


def _weighed_anew(planned: Planned, facts: tuple[tuple[Catalog, Calibration], tuple[Catalog, Calibration]]) -> Plan:
    """The best of the saved plans, their times and costs moved as their steps are predicted now."""
    import numpy as np

    from planner.interop.probes import run_of
    from planner.performance.intervals import spread
    from planner.performance.learning import step_seconds
    from planner.search.probing import Decision

    plans = [planned.plan, *(each.plan for each in planned.answer.alternatives)]
    (catalog, old), (_, new) = facts
    runs = [run_of(plan, planned.trained.model, catalog) for plan in plans]
    # As saved: what is known may have been read before. The user's own throughput bends saved steps as it did then.
    saved = np.asarray([plan.step_time_s.p50 for plan in plans])
    bent = np.asarray([plan.basis == "user" for plan in plans])
    shift = np.log(step_seconds(runs, new) / np.where(bent, step_seconds(runs, old), saved))
    sigma = np.asarray([float(spread(r.setting, np.asarray([r.gpus]), new).sigma[0]) for r in runs])
    decision = Decision.of(plans, planned.goal)
    plain = decision.loss(np.zeros(len(plans)), decision.step)
    best = int(np.argmin(decision.loss(shift, sigma) + np.maximum(plain[0] - plain, 0.0)))
    return decision.moved(best, plans[best], float(shift[best]), float(sigma[best]))


def _document(
    planned: Planned,
    runs: Sequence[Mapping[str, Any]],
    benches: Sequence[Bench],
    tables: Sequence[tuple[str, Collective | Matmul]],
    outcome: tuple[Plan, Plan | None],
) -> dict[str, Any]:
    old, new = outcome
    changed = new is None or _identity(old) != _identity(new)
    before, after = _outcome(old, planned), None if new is None else _outcome(new, planned)
    return {
        "schema_version": 1,
        "headline": _headline(planned, runs, benches),
        "unit": planned.unit,
        "confidence": planned.confidence,
        "runs": list(runs),
        "benches": [
            {
                "kind": each.kind,
                "source": each.source,
                "measured": each.measured,
                "expected": each.modelled,
                "unit": each.unit,
                "text": f"{each.measured:.4g} {each.unit} where {each.modelled:.4g} is expected: {each.what}",
            }
            for each in benches
        ],
        "unused": _unused(tables, benches),
        "looks_wrong": looks_wrong(runs, benches, tables),
        "before": before,
        "after": after,
        "changed": changed,
        "verdict": _verdict(before, after, changed=changed),
    }


def _unused(tables: Sequence[tuple[str, Any]], benches: Sequence[Bench]) -> list[str]:
    """Files of which nothing could be learnt: the model has no rate of the site's own for what they measure."""
    used = {each.source for each in benches}
    return [name for name in dict.fromkeys(name for name, _ in tables) if name not in used]


def _headline(planned: Planned, runs: Sequence[Any], benches: Sequence[Any]) -> str:
    parts = []
    if runs:
        parts.append(f"{len(runs)} of {len(planned.runs)} short runs")
    if benches:
        parts.append(f"{len(benches)} bench{'es' if len(benches) > 1 else ''}")
    return f"{planned.answer.provenance.scenario}: {' and '.join(parts)} learnt"


def _identity(plan: Plan) -> tuple[Any, ...]:
    return plan.offer.id, plan.framework, plan.gpus, plan.layout, plan.global_batch


def _outcome(plan: Plan, planned: Planned) -> dict[str, Any]:
    """The ask, the cost's interval and the chance of one plan."""
    import math

    from planner.report.frontier import layout_words

    per = 1.0 if planned.unit == "USD" else None
    spread = plan.cost_usd if per else plan.time_s
    scale = 1.0 if per else plan.gpus / 3600.0
    sigma = math.log(spread.p90 / spread.p50) / NormalDist().inv_cdf(0.9)
    return {
        "ask": scale * spread.p50 * math.exp(NormalDist().inv_cdf(planned.confidence) * sigma),
        "p10": scale * spread.p10,
        "p50": scale * spread.p50,
        "p90": scale * spread.p90,
        "chance": plan.p_within_both,
        "plan": f"{plan.gpus} x {plan.offer.gpu} at {plan.offer.cloud}: {layout_words(plan)}",
        "offer": plan.offer.id,
        "gpus": plan.gpus,
        "step_time_s": plan.step_time_s.p50,
    }


def _verdict(before: Mapping[str, Any], after: Mapping[str, Any] | None, *, changed: bool) -> str:
    if after is None:
        return "Nothing meets the budgets any longer: `planner optimize` says what would have to give."
    ask = after["ask"] / before["ask"] - 1.0
    width = (after["p90"] - after["p10"]) / (before["p90"] - before["p10"]) - 1.0
    told = f"the ask is {abs(ask):.1%} {'more' if ask > 0 else 'less'}, its interval {abs(width):.0%} "
    told = (told + ("wider" if width > 0 else "narrower")).replace("%", " %")
    return f"The plan {'changes' if changed else 'stays'}; {told}."
