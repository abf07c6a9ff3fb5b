"""The short runs that most narrow a decision, and what their logs make of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from planner.api.inputs import Changes, Folders, ScenarioLike, changes_of, folders, is_saved_plan, load_facts, load_plan
from planner.money import GPU_HOURS, USD, Money, in_its_money, money_of
from planner.reading import read_text
from planner.results import json_form as plan_json
from planner.results.result import Document, InfeasibleError
from planner.units import PlannerError
from planner.words import say

if TYPE_CHECKING:
    from planner.catalog import Catalog
    from planner.interop.probes import Probe
    from planner.performance.calibration import Calibration
    from planner.results.answers import Optimization, StatedGoal
    from planner.results.plan import Plan
    from planner.search.probing import Chosen, Decision

MOST_PLANS = 12  # that the plan is weighed against
NEAR = 1.3  # times its objective


@dataclass(frozen=True, slots=True, repr=False)
class Probing(Document):
    """Which short runs to make first, what they cost, and what they are expected to do to the decision."""

    files: Mapping[str, str] = field(default_factory=dict)  # of the folder, by path within it
    notes: tuple[str, ...] = ()  # what a person should know of the launch files
    money: Money = USD

    def write(self, folder: str | Path) -> list[Path]:
        """Write launch files and `probe.json` into a folder, all or none; their paths."""
        from planner.files import write_all

        return write_all(Path(folder), self.files, (".sh", ".sbatch"))


def probe(
    source: ScenarioLike | Optimization,
    overlays: Folders = (),
    *,
    overrides: Changes = (),
    count: int = 3,
) -> Probing:
    """The cheapest short runs that most narrow this decision, with their launch files; or that none is worth it.

    Parameters
    ----------
    source : path, map, Scenario or Optimization
        A scenario, or a saved plan: it is then weighed against the alternatives that were saved with it.
    overlays : folder or folders
        Catalogs laid over the shipped one.
    overrides : sequence or map
        Changes of the scenario, as `--set` takes them.
    count : int
        At most so many runs.

    Raises
    ------
    PlannerError
        If the source cannot be read; InfeasibleError without a plan.
    """
    from planner.interop.probe_folder import SCENARIO

    catalog, calibration = load_facts(overlays)
    answer, plans = _plans(source, overlays, overrides, (catalog, calibration))
    found = _probing(answer, plans, (catalog, calibration), folders(overlays), count, changes_of(overrides))
    if isinstance(source, str | Path) and Path(source).is_file() and not is_saved_plan(Path(source)):
        return replace(found, files={**found.files, SCENARIO: read_text(Path(source))})
    return found


@in_its_money
def _probing(
    answer: Optimization,
    plans: Sequence[Plan],
    facts: tuple[Catalog, Calibration],
    overlays: Sequence[Path],
    count: int,
    overrides: Sequence[str],
) -> Probing:
    """The runs to make for one answer, and their files; amounts are written in its unit."""
    from planner.interop.probe_folder import DOCUMENT
    from planner.interop.probes import probes_of
    from planner.search.probing import Decision

    plan, trained = answer.plan, answer.trained
    if plan is None:
        raise InfeasibleError(say("probing.no_plan"))
    if trained is None or answer.goal is None:
        raise PlannerError(say("probing.old_plan"))
    probes = probes_of(plan, trained, *facts)
    decision = Decision.of(plans, answer.goal)
    chosen = _chosen(decision, plans, trained.model, probes, facts, overlays, count)
    files, notes = _launch_files([probes[i] for i in chosen.picks], answer.provenance.scenario)
    document = _document(answer, decision, chosen, probes, overrides)
    return Probing(document, {**files, DOCUMENT: plan_json.dumps(document)}, tuple(notes), money_of(answer))


def _launch_files(runs: Sequence[Probe], name: str) -> tuple[dict[str, str], list[str]]:
    """Launch files of the runs, by path within the folder, and what a person should know of them."""
    from planner.interop.probes import launch_files

    files: dict[str, str] = {}
    notes: list[str] = []
    for number, each in enumerate(runs, 1):
        try:
            made, remarks = launch_files(each, name, number)
        except PlannerError as error:  # it can be measured all the same, by launch files of the user's own
            made, remarks = {}, [say("probing.no_files", number=number, why=error.args[0])]
        files |= {f"{number}/{file}": text for file, text in made.items()}
        notes += [note for note in remarks if note not in notes]
    return files, notes


def _plans(
    source: ScenarioLike | Optimization, overlays: Folders, overrides: Changes, facts: tuple[Catalog, Calibration]
) -> tuple[Optimization, list[Plan]]:
    """The answer, and the plans that it is weighed against: itself first, the nearest ones behind it."""
    from planner import search
    from planner.api.inputs import load_scenario
    from planner.api.planning import optimize
    from planner.results.answers import Optimization

    saved = isinstance(source, Optimization) or isinstance(source, str | Path) and is_saved_plan(Path(source))
    if saved:
        if changes_of(overrides):
            raise PlannerError(say("probing.saved"))
        answer = load_plan(source)  # type: ignore[arg-type]
        others = [each.plan for each in answer.alternatives]
    else:
        loaded = load_scenario(source, overrides, overlays)  # type: ignore[arg-type]
        answer = optimize(loaded, overlays)
        others = [each.plan for each in answer.alternatives]
        if answer.plan is not None:
            most = _most(answer.plan, answer.goal)
            others += search.frontier(loaded, *facts, everything=True, most=most).plans
    if answer.plan is None or answer.goal is None:
        return answer, []
    return answer, _nearest(answer.plan, others, answer.goal)


def _most(plan: Plan, goal: StatedGoal | None) -> tuple[float, float]:
    """Seconds and amount beyond which no plan is among the nearest, with some room for rounding."""
    from planner.search.probing import Decision

    if goal is None:
        return float("inf"), float("inf")
    decision = Decision.of([plan], goal)
    time, score = (1.01 * NEAR * each for each in (plan.time_s.p50, float(decision.score[0])))
    late = 1.01 * NEAR * (goal.time_s or float("inf"))
    if goal.objective == "time":
        return min(time, late), float("inf")
    return late, score if decision.priced else float("inf")


def _nearest(plan: Plan, others: Sequence[Plan], goal: StatedGoal) -> list[Plan]:
    """The plan and those that a better knowledge of speeds could put in its place, the nearest first."""
    from planner.search.probing import Decision

    different = {(p.offer.id, p.gpus, p.layout, p.global_batch): p for p in reversed([plan, *others])}
    mine = (plan.offer.id, plan.gpus, plan.layout, plan.global_batch)
    rest = [p for key, p in different.items() if key != mine]
    if not rest:
        return [plan]
    score = Decision.of([plan, *rest], goal).score
    late = goal.time_s or float("inf")
    near = [
        (each, p)
        for each, p in zip(score[1:], rest, strict=True)
        if each <= NEAR * score[0] and p.time_s.p50 <= NEAR * late
    ]
    near.sort(key=lambda pair: (pair[0], pair[1].offer.id, pair[1].gpus))
    return [plan, *(p for _, p in near[: MOST_PLANS - 1])]


def _chosen(
    decision: Decision,
    plans: Sequence[Plan],
    model: Any,
    probes: Sequence[Probe],
    facts: tuple[Catalog, Calibration],
    overlays: Sequence[Path],
    count: int,
) -> Chosen:
    """The runs to make: covariances by the fit's own model, as wide as the plans' stated spreads."""
    import numpy as np

    from planner.interop.probes import run_of
    from planner.performance.next_runs import posterior
    from planner.performance.overlays import known_runs
    from planner.performance.stacks import kind_of
    from planner.search.probing import Value, choose_probes, scaled

    catalog, calibration = facts
    runs = [run_of(plan, model, catalog) for plan in plans]
    spread = posterior([*runs, *(each.run for each in probes)], known_runs((), overlays), calibration)
    noise = calibration.spreads.get("noise moe" if kind_of(model) == "moe" else "noise", 0.0)
    own = min(calibration.spreads.get("scale", 1.0) * noise, 0.9 * float(decision.step.min()))
    value = Value(decision, scaled(spread, decision.step, own), own)
    price = np.asarray([each.usd if decision.priced else each.gpu_hours for each in probes])
    return choose_probes(value, price, calibration.levels.noise, count)


def _document(
    answer: Optimization, decision: Decision, chosen: Chosen, probes: Sequence[Probe], overrides: Sequence[str]
) -> dict[str, Any]:
    """What is planned, as JSON has it."""
    from planner.interop.probes import START_S, cells_of, crossing
    from planner.results.answers import SCHEMA_VERSION

    money = money_of(answer)
    picked = [probes[i] for i in chosen.picks]
    runs = [
        {
            "number": number,
            "folder": str(number),
            "gpus": each.plan.gpus,
            "nodes": each.plan.nodes,
            "layers": each.trained.model.layers,
            "whole_layers": each.whole_layers,
            "steps": each.plan.iterations,
            "step_time_s": each.step_s,
            "minutes": each.minutes,
            "gpu_hours": each.gpu_hours,
            "cost_usd": each.usd if decision.priced else None,
            "memory_gib": each.memory_gib,
            "crosses_nodes": list(crossing(each.plan)),
            "alone": asdict(chosen.alone[i]),
            "row": cells_of(each),
            "plan": plan_json.encode(each.plan),
            "trained": plan_json.encode(each.trained),
        }
        for number, (i, each) in enumerate(zip(chosen.picks, picked, strict=True), 1)
    ]
    document = {
        "schema_version": SCHEMA_VERSION,
        "measure": bool(picked),
        "why": why_not(decision, chosen, probes),
        "unit": money.unit if decision.priced and money.hours else "USD" if decision.priced else GPU_HOURS,
        "confidence": decision.confidence,
        "weighed_against": len(decision.amount) - 1,
        "candidates": len(probes),
        "now": asdict(chosen.now),
        "expected": asdict(chosen.after),
        "worth": chosen.after.total(chosen.now) if picked else 0.0,
        "price": {
            "gpu_hours": sum(each.gpu_hours for each in picked),
            "cost_usd": sum(each.usd for each in picked) if decision.priced else None,
            "start_s": START_S,
        },
        "runs": plan_json.encode(runs),
    }
    if money.hours:
        document = plan_json.hours_apart(document)
    return {**document, "overrides": list(overrides), "answer": json.loads(answer.to_json())}


def why_not(decision: Decision, chosen: Chosen, probes: Sequence[Probe]) -> str | None:
    """Why nothing is to be measured; None where something is."""
    from planner.report.figures import chance, gpu_hours_text, money_text
    from planner.search.probing import MATTERS

    if chosen.picks:
        return None
    if not probes:
        return say("probing.no_run")
    amount = money_text if decision.priced else gpu_hours_text
    price = [each.usd if decision.priced else each.gpu_hours for each in probes]
    best = max(range(len(probes)), key=lambda i: chosen.alone[i].total(chosen.now) - price[i])
    best_run = chosen.alone[best]
    gained = best_run.total(chosen.now)
    if gained <= price[best]:
        return say("probing.not_worth", runs=len(probes), gain=amount(gained), price=amount(price[best]))
    moved = {"chance": chance(best_run.changes), "moved": abs(best_run.ask / chosen.now.ask - 1.0), "least": MATTERS}
    return say("probing.little", runs=len(probes), **moved)
