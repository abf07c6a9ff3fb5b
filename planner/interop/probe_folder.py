"""A folder that `planner probe -o` wrote, read back: what was planned, and which log is of which of its runs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.interop.measurement import steady_step, training_log_measurement
from planner.interop.plans import checked
from planner.interop.probes import answer_of
from planner.money import HOURS, money_of
from planner.reading import fault, read_json
from planner.results import json_form as plan_json
from planner.results.answers import SCHEMA_VERSION, Optimization, StatedGoal, Trained, amounts_within
from planner.results.plan import Plan
from planner.units import PlannerError
from planner.words import say

DOCUMENT, SCENARIO = "probe.json", "scenario.yaml"
MOST_RUNS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answered:
    """What has a saved answer with a plan, which `read_folder` has seen to."""

    answer: Optimization

    @property
    def plan(self) -> Plan:
        assert self.answer.plan is not None  # noqa: S101
        return self.answer.plan

    @property
    def trained(self) -> Trained:
        assert self.answer.trained is not None  # noqa: S101
        return self.answer.trained


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedRun(_Answered):
    """A short run as its folder has it."""

    number: int
    whole_layers: int

    @property
    def whole(self) -> int | None:
        """Layers of the model, where the run has fewer."""
        return self.whole_layers if self.trained.model.layers < self.whole_layers else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(_Answered):
    """What a folder says of the decision and of the runs that are to be made for it."""

    runs: tuple[PlannedRun, ...]
    overrides: tuple[str, ...]
    unit: str  # USD | GPU-hours | node-hours
    confidence: float

    @property
    def priced(self) -> bool:
        """Whether amounts are what the plans cost, in money or in hours that are counted; else time on their GPUs."""
        return self.unit == "USD" or self.unit == money_of(self.answer).unit

    @property
    def goal(self) -> StatedGoal:
        assert self.answer.goal is not None  # noqa: S101 - `read_folder` has seen to it
        return self.answer.goal


@dataclass(frozen=True, slots=True)
class Measured:
    """A run's log: its row of measurements, and how its steps lay."""

    run: PlannedRun
    log: str
    row: Mapping[str, str]
    steps: int
    step_s: float
    p10_s: float
    p90_s: float
    stalled: float  # steps that took more than 1.2 times the median


def read_folder(folder: Path) -> Planned:
    """What was planned in a folder.

    Raises
    ------
    PlannerError
        If it has no `probe.json`, or that is not what planner writes.
    """
    path = folder / DOCUMENT
    if not folder.is_dir():
        raise fault(folder, say("probe_folder.no_folder"))
    stored = read_json(path, holds=say("probe_folder.holds"))
    version = stored.get("schema_version") if isinstance(stored, dict) else None
    if version != SCHEMA_VERSION:
        raise fault(path, say("probe_folder.version", version=f"{version!r:.40}", known=SCHEMA_VERSION))
    try:
        answer = checked(path, Optimization.from_json(json.dumps(stored["answer"])))
        if answer.plan is None or answer.goal is None or answer.trained is None:
            raise PlannerError(say("probe_folder.no_plan"))
        runs = tuple(_run(path, amounts_within(stored["answer"], each)) for each in stored["runs"][:MOST_RUNS])
        overrides = tuple(str(each) for each in stored["overrides"])
        confidence = float(stored["confidence"])
        unit = stored["unit"]
        if unit not in ("USD", *HOURS):
            raise PlannerError(say("probe_folder.no_unit"))
        if not 0 < confidence < 1:
            raise PlannerError(say("probe_folder.no_probability"))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, OverflowError) as error:
        why = error.args[0] if isinstance(error, PlannerError) else str(error)
        raise fault(path, say("probe_folder.not_written", why=why)) from None
    return Planned(answer=answer, runs=runs, overrides=overrides, unit=unit, confidence=confidence)


def _run(path: Path, stored: Mapping[str, Any]) -> PlannedRun:
    plan = plan_json.decode(Plan, stored["plan"], "plan")
    trained = plan_json.decode(Trained, stored["trained"], "trained")
    whole, number = int(stored["whole_layers"]), int(stored["number"])
    if not trained.model.layers <= whole < 10**5 or not 0 < number <= MOST_RUNS:
        raise PlannerError(say("probe_folder.no_number"))
    return PlannedRun(answer=checked(path, answer_of(plan, trained)), number=number, whole_layers=whole)


def assigned(folder: Path, runs: Sequence[PlannedRun], logs: Sequence[Path]) -> list[tuple[PlannedRun, Path]]:
    """Which log is of which run: by the folder it lies in, by `probe-N` in its name, else in their order.

    Raises
    ------
    PlannerError
        If there are more logs than runs, two of one, or one of a run that was not planned.
    """
    found: dict[int, Path] = {}
    rest = []
    for log in logs:
        number = _number(folder, log)
        if number is None:
            rest.append(log)
        elif number not in {run.number for run in runs}:
            raise PlannerError(say("probe_folder.no_run", log=str(log), folder=str(folder), run=number, runs=len(runs)))
        elif number in found:
            raise PlannerError(say("probe_folder.both", first=str(found[number]), second=str(log), run=number))
        else:
            found[number] = log
    open_ = [run for run in runs if run.number not in found]
    if len(rest) > len(open_):
        log = rest[len(open_)]
        raise PlannerError(say("probe_folder.too_many", log=str(log), folder=str(folder), runs=len(runs)))
    found |= {run.number: log for run, log in zip(open_, rest, strict=False)}
    return [(run, found[run.number]) for run in runs if run.number in found]


def _number(folder: Path, log: Path) -> int | None:
    inside = log.parent.name
    if inside.isdigit() and len(inside) < 3 and log.parent.parent.resolve() == folder.resolve():
        return int(inside)
    named = re.search(r"probe-(\d{1,2})(?!\d)", log.name)
    return int(named[1]) if named else None


def measured(run: PlannedRun, log: Path) -> Measured:
    """What a log says of its run: medians without warm-up.

    Raises
    ------
    PlannerError
        If it has too few steps, no known form, or another batch than the run.
    """
    row = training_log_measurement(log, run.answer, run.whole)
    state, steady = steady_step(log, run.plan, None)
    steps = max(0, state.records - state.starts * 2)
    low, high = (state.step_quantile(share) or steady for share in (0.1, 0.9))
    return Measured(run, log.name, row, steps, steady, low, high, state.stalls()[0])
