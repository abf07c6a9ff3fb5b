"""A sweep from its words to its table: every variation read first, then solved where asked, each told as it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from planner.interop.referenced_data import read_scenario
from planner.money import USD, money_of
from planner.results.row import Value
from planner.scenario.overrides import Varied
from planner.sweeps.grid import Axis, cells, read_axes
from planner.sweeps.solving import Facts, Task, facts_of, solve, solve_some
from planner.sweeps.table import Origin, Over, Row, Sweep, varied

OnSolved = Callable[[str, Row], None]


@dataclass(frozen=True, slots=True)
class PreparedSweep:
    """A sweep that can be run: its axes, and a task for each cell of their grid, the last axis fastest."""

    axes: tuple[Axis, ...]
    tasks: tuple[Task, ...]
    keys: tuple[str, ...]  # of the tasks
    facts: Facts
    name: str  # the scenario's


def prepare(
    source: Path | Mapping[str, Any],
    overs: Sequence[str],
    overrides: Sequence[str] = (),
    overlays: Sequence[Path] = (),
) -> PreparedSweep:
    """Read the scenario in every variation, so that a wrong one is told before anything is solved.

    Parameters
    ----------
    source : Path or mapping
        The scenario's file, or its keys.
    overs : sequence of str
        "key=a,b,c" or "key=7..60d:8", one a varied key.
    overrides, overlays : sequences
        As for `planner.load_scenario`; they hold in every variation.

    Raises
    ------
    PlannerError
        If the scenario, an override or a value of an axis is wrong.
    """
    axes = read_axes(overs, overrides)
    folders = tuple(folder.absolute() for folder in overlays)  # workers may run elsewhere
    facts = facts_of(folders)
    tasks = []
    for cell in cells(axes):
        changed = [axis.override(index) for axis, index in zip(axes, cell, strict=True)]
        scenario = read_scenario(source, [*overrides, *map(Varied, changed)], folders)
        tasks.append(Task(scenario, folders, facts))
    return PreparedSweep(axes, tuple(tasks), tuple(task.key for task in tasks), facts, tasks[0].scenario.name)


def run(
    prepared: PreparedSweep,
    executor: Executor | None = None,
    *,
    known: Mapping[str, Row] | None = None,
    on_solved: OnSolved | None = None,
    tick: Callable[[float], None] | None = None,
    together: int = 1,
) -> Sweep:
    """Solve what is not `known`, and lay everything out as one table; the same whatever the executor.

    Parameters
    ----------
    prepared : PreparedSweep
        From `prepare`.
    executor : Executor, optional
        Any of `concurrent.futures`'s kind; None: one after the other, here. What waits when an exception leaves, Ctrl-C
        among them, is for its owner to cancel, as the context managers of `planner.sweeps.executors` do.
    known : mapping, optional
        Columns by task key, from an earlier run.
    on_solved : callable, optional
        Told key and columns of each variation as soon as it is solved, in whatever order that happens.
    tick : callable, optional
        Told the finished share.
    together : int
        Neighbouring variations that the executor is given at once: more where a way there and back takes long.
    """
    found = {key: dict(known[key]) for key in prepared.keys if known and key in known}
    waiting = {key: task for key, task in zip(prepared.keys, prepared.tasks, strict=True) if key not in found}
    total = len(found) + len(waiting)
    for key, columns in _solved(waiting, executor, together):
        found[key] = columns
        if on_solved is not None:
            on_solved(key, columns)
        if tick is not None:
            tick(len(found) / total)
    rows = []
    for cell, key in zip(cells(prepared.axes), prepared.keys, strict=True):
        row: dict[str, Value] = {}
        for axis, index in zip(prepared.axes, cell, strict=True):
            row.update(varied(axis, index))
        rows.append({**row, **found[key]})
    facts, money = prepared.facts, money_of([task.scenario for task in prepared.tasks])
    unit = None if money == USD else money
    return Sweep(
        over=tuple(Over(axis.key, axis.values) for axis in prepared.axes),
        rows=tuple(rows),
        provenance=Origin(facts.planner, prepared.name, facts.catalog_digest, facts.calibration_digest, unit),
    )


def _solved(
    waiting: Mapping[str, Task], executor: Executor | None, together: int
) -> Iterator[tuple[str, dict[str, Value]]]:
    if executor is None:
        for key, task in waiting.items():
            yield key, solve(task)
        return
    keys = list(waiting)
    futures = {}
    for begin in range(0, len(keys), together):
        some = keys[begin : begin + together]
        futures[executor.submit(solve_some, [waiting[key] for key in some])] = some
    for future in as_completed(futures):
        yield from zip(futures.pop(future), future.result(), strict=True)
