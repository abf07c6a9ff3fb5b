"""One variation solved, wherever that happens, here, in another process or on Dask: a task in, its columns out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from planner import __version__
from planner.catalog import Catalog, load_catalog
from planner.performance.calibration import Calibration
from planner.performance.loading import load_calibration
from planner.results.row import Value
from planner.spec.scenario import Scenario
from planner.sweeps.table import bad_input, figures
from planner.units import PlannerError
from planner.words import say


@dataclass(frozen=True, slots=True)
class Facts:
    """What an answer stands on besides its scenario. Where a task is solved, all of it must be the same."""

    planner: str  # version
    catalog_digest: str
    calibration_digest: str


@dataclass(frozen=True, slots=True)
class Task:
    """A variation to be solved: the scenario with every file that it names read, and the facts that it is meant for."""

    scenario: Scenario
    overlays: tuple[Path, ...]
    facts: Facts

    @property
    def key(self) -> str:
        """sha256 of everything that decides the answer: what the scenario says, not how or where it is written."""
        unnamed = replace(self.scenario, name="", source="", digest="", defaults=())
        facts = (self.facts.planner, self.facts.catalog_digest, self.facts.calibration_digest)
        return hashlib.sha256("\0".join((*facts, repr(unnamed))).encode("utf-8", "surrogatepass")).hexdigest()


class OtherFactsError(PlannerError):
    """Whoever was to solve a task has another planner, catalog or calibration than the one who asks."""


def facts_of(overlays: tuple[Path, ...]) -> Facts:
    """The facts that this process would plan with."""
    catalog, calibration = load_catalog(overlays), load_calibration(overlays)
    return Facts(__version__, catalog.digest, calibration.digest)


def solve(task: Task) -> dict[str, Value]:
    """The columns of the task's best plan, or of why there is none.

    Raises
    ------
    OtherFactsError
        If this process plans with other facts than those of the task.
    """
    from planner import search

    facts = _loaded(task.overlays, task.facts)
    if getattr(_BEFORE, "facts", None) is not facts:
        _BEFORE.facts, _BEFORE.problem = facts, None
    try:
        answer, _BEFORE.problem = search.optimize_near(task.scenario, *facts, _BEFORE.problem)
    except PlannerError as error:
        return bad_input(error.args[0])
    return figures(answer)


def solve_some(tasks: Sequence[Task]) -> list[dict[str, Value]]:
    """The columns of several tasks, one after the other: each goes on from what the one before learnt."""
    return [solve(task) for task in tasks]


#: Of this thread: the variation before, which the next one mostly resembles, and the facts that it was solved with.
_BEFORE = threading.local()


@lru_cache(maxsize=2)  # a process solves many tasks of one sweep; a changed catalog comes with other facts
def _loaded(overlays: tuple[Path, ...], wanted: Facts) -> tuple[Catalog, Calibration]:
    catalog, calibration = load_catalog(overlays), load_calibration(overlays)
    present = Facts(__version__, catalog.digest, calibration.digest)
    for what, here, there in (
        ("planner", present.planner, wanted.planner),
        ("catalog", present.catalog_digest, wanted.catalog_digest),
        ("calibration", present.calibration_digest, wanted.calibration_digest),
    ):
        if here != there:
            raise OtherFactsError(say(f"solving.other_{what}", here=here[:12], there=there[:12]))
    return catalog, calibration
