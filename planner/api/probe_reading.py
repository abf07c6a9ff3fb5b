"""Logs of short runs, and benches of network and part: what they teach, what looks wrong, the ask before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from planner.api.inputs import Folders, ScenarioLike, folders, load_facts
from planner.money import USD, Money, money_of
from planner.results import json_form as plan_json
from planner.results.result import Document
from planner.units import PlannerError
from planner.words import say, say_from

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.interop.bench_tables import Collective, Matmul
    from planner.interop.probe_findings import Learnt
    from planner.interop.probe_folder import Planned
    from planner.performance.benches import Bench
    from planner.performance.calibration import Calibration
    from planner.results.plan import Plan

TABLE = "probe"  # of the overlay, runs and benches alike


@dataclass(frozen=True, slots=True, repr=False)
class ProbeRead(Document):
    """What logs and benches taught, and the ask before and after."""

    notes: tuple[str, ...] = ()
    money: Money = USD

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
    from planner.interop.files import naming
    from planner.interop.probe_findings import beside_predictions, learnt
    from planner.interop.probe_folder import assigned, measured, read_folder
    from planner.interop.probes import run_of
    from planner.performance.overlays import Added, add_rows, refit

    place = Path(folder)
    planned = read_folder(place)
    mine = Path(own) if own is not None else config_catalog()
    over = (*(each for each in folders(overlays) if each.resolve() != mine.resolve()), mine)
    there = tuple(each for each in over if each.is_dir())
    before = load_facts(there)
    tables, training = _sorted(logs)
    runs = []
    for run, log in assigned(place, planned.runs, training):
        with naming(log):
            runs.append(measured(run, log))
    shown = beside_predictions(runs, before)
    setting = run_of(planned.plan, planned.trained.model, before[0]).setting
    found = learnt(tables, setting, before)
    if not runs and not found.benches:
        why = [*found.impossible.values(), *found.idle.values()]
        raise PlannerError(say("probe_reading.all", said=why) if why else say("probe_reading.nothing"))
    added = add_rows([each.row for each in runs], TABLE, mine, over, of_log=True) if runs else Added(())
    added = replace(added, files={**added.files, **_bench_files(found.benches, mine)})
    notes = refit(mine, over, added)
    after = load_facts((*(each for each in there if each.resolve() != mine.resolve()), mine))
    old, new = _outcomes(planned, place, scenario, over, (before, after))
    document = _document(planned, shown, found, tables, (old, new))
    return ProbeRead(document, tuple(notes), money_of(planned.answer))


def _sorted(logs: Sequence[str | Path]) -> tuple[list[tuple[str, Collective | Matmul]], list[Path]]:
    """The tables that these files hold, each with its file's name, and the files that are logs of training."""
    from planner.interop.bench_tables import bench_of
    from planner.interop.files import naming

    tables: list[tuple[str, Collective | Matmul]] = []
    training: list[Path] = []
    for log in map(Path, logs):
        with naming(log):
            benches = bench_of(log)
        tables += [(log.name, each) for each in benches or ()]
        training += [log] if benches is None else []
    return tables, training


def _bench_files(benches: Sequence[Bench], own: Path) -> dict[str, str]:
    """The table of benches as it will be: of one figure the newest."""
    from planner.performance.benches import FOLDER, bench_table, read_benches

    if not benches:
        return {}
    path = own / FOLDER / f"{TABLE}.csv"
    old = read_benches([path]) if path.is_file() else []
    now = {(b.kind, b.site, b.gpu, b.source, b.what.partition(":")[0]): b for b in [*old, *benches]}
    return {f"{FOLDER}/{TABLE}.csv": bench_table(list(now.values()))}


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
    from planner.interop.probe_folder import SCENARIO

    source = scenario if scenario is not None else folder / SCENARIO
    if scenario is None and not (folder / SCENARIO).is_file():
        return planned.plan, _weighed_anew(planned, facts)
    return planned.plan, optimize(source, overlays, overrides=planned.overrides).plan


def _weighed_anew(planned: Planned, facts: tuple[tuple[Catalog, Calibration], tuple[Catalog, Calibration]]) -> Plan:
    """The best of the saved plans, their times and costs moved as their steps are predicted now."""
    import numpy as np

    from planner.interop.probes import run_of
    from planner.performance.intervals import spread
    from planner.performance.refit import step_seconds
    from planner.search.probing import Decision

    plans = [planned.plan, *(each.plan for each in planned.answer.alternatives)]
    (catalog, old), (_, new) = facts
    runs = [run_of(plan, planned.trained.model, catalog) for plan in plans]
    # As saved: what is known may have been read before. The user's own throughput bends saved steps as it did then.
    saved = np.asarray([plan.step_time_s.p50 for plan in plans])
    from_own_runs = np.asarray([plan.basis == "user" for plan in plans])
    shift = np.log(step_seconds(runs, new) / np.where(from_own_runs, step_seconds(runs, old), saved))
    sigma = np.asarray([float(spread(r.setting, np.asarray([r.gpus]), new).sigma[0]) for r in runs])
    decision = Decision.of(plans, planned.goal)
    plain = decision.loss(np.zeros(len(plans)), decision.step)
    best = int(np.argmin(decision.loss(shift, sigma) + np.maximum(plain[0] - plain, 0.0)))
    return decision.moved(best, plans[best], float(shift[best]), float(sigma[best]))


def _document(
    planned: Planned,
    runs: Sequence[Mapping[str, Any]],
    found: Learnt,
    tables: Sequence[tuple[str, Collective | Matmul]],
    outcome: tuple[Plan, Plan | None],
) -> dict[str, Any]:
    from planner.interop.probe_findings import looks_wrong

    (old, new), benches = outcome, found.benches
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
                "text": say_from("probe_reading.bench", asdict(each)),
            }
            for each in benches
        ],
        "unused": list(found.idle.values()),
        "looks_wrong": [*found.impossible.values(), *looks_wrong(runs, benches, tables)],
        "before": before,
        "after": after,
        "changed": changed,
        "verdict": _verdict(before, after, changed=changed),
    }


def _headline(planned: Planned, runs: Sequence[Any], benches: Sequence[Any]) -> str:
    parts = []
    if runs:
        parts.append(say("probe_reading.runs", runs=len(runs), planned=len(planned.runs)))
    if benches:
        parts.append(say("probe_reading.benches", n=len(benches)))
    return say("probe_reading.learnt", scenario=planned.answer.provenance.scenario, parts=parts)


def _identity(plan: Plan) -> tuple[Any, ...]:
    return plan.offer.id, plan.framework, plan.gpus, plan.layout, plan.global_batch


def _outcome(plan: Plan, planned: Planned) -> dict[str, Any]:
    """The ask, the cost's interval and the chance of one plan."""
    import math

    from planner.report.frontier import layout_words

    spread = plan.cost_usd if planned.priced else plan.time_s
    scale = 1.0 if planned.priced else plan.gpus / 3600.0
    sigma = math.log(spread.p90 / spread.p50) / NormalDist().inv_cdf(0.9)
    return {
        "ask": scale * spread.p50 * math.exp(NormalDist().inv_cdf(planned.confidence) * sigma),
        "p10": scale * spread.p10,
        "p50": scale * spread.p50,
        "p90": scale * spread.p90,
        "chance": plan.p_within_both,
        "plan": say(
            "probe_reading.plan",
            gpus=plan.gpus,
            gpu=plan.offer.gpu,
            cloud=plan.offer.cloud,
            layout=layout_words(plan),
        ),
        "offer": plan.offer.id,
        "gpus": plan.gpus,
        "step_time_s": plan.step_time_s.p50,
    }


def _verdict(before: Mapping[str, Any], after: Mapping[str, Any] | None, *, changed: bool) -> str:
    if after is None:
        return say("probe_reading.nothing_left")
    ask = after["ask"] / before["ask"] - 1.0
    width = (after["p90"] - after["p10"]) / (before["p90"] - before["p10"]) - 1.0
    moved = {"ask": _moved(ask, "more", "less"), "width": _moved(width, "wider", "narrower")}
    return say("probe_reading.changes" if changed else "probe_reading.stays", **moved)


def _moved(share: float, more: str, less: str) -> str:
    """0.173 -> "17.3 % more"."""
    if abs(share) < 0.0005:
        return say("probe_reading.as_it_was")
    return say(f"probe_reading.{more if share > 0 else less}", share=abs(share))
