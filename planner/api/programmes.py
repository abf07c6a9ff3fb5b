"""Programmes of stages: planned together, explained, simulated, followed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from planner.api.inputs import AnyLike, Changes, Folders, load_facts, load_programme

if TYPE_CHECKING:
    from planner.search.programme_answer import ProgrammeAnswer
    from planner.search.programme_explaining import ProgrammeExplanation
    from planner.search.programme_replay import ProgrammeReplay
    from planner.tracking.programme import ProgrammeProgress


def optimize_programme(programme: AnyLike, overlays: Folders = (), *, overrides: Changes = ()) -> ProgrammeAnswer:
    """The best calendar of a programme of stages: a plan and a first day for each, or why there is none.

    Parameters
    ----------
    programme : path, map or Programme
        A scenario with `stages`; see `load_programme`.

    Raises
    ------
    PlannerError
        If programme or catalog is wrong.
    """
    from planner import search
    from planner.interop.files import naming
    from planner.interop.plans import trained_of

    loaded = load_programme(programme, overrides, overlays)
    with naming(Path(loaded.source)):
        answer = search.optimize_programme(loaded, *load_facts(overlays))
    trained = {stage.name: trained_of(stage.scenario) for stage in loaded.stages}
    return replace(answer, stages=tuple(replace(s, trained=trained[s.name]) for s in answer.stages))


def explain_programme(programme: AnyLike, overlays: Folders = (), *, overrides: Changes = ()) -> ProgrammeExplanation:
    """Which stages of a programme bind, what a little more is worth, what moving or shrinking a stage buys."""
    from planner import search
    from planner.interop.files import naming

    loaded = load_programme(programme, overrides, overlays)
    with naming(Path(loaded.source)):
        return search.explain_programme(loaded, *load_facts(overlays))


def simulate_programme(
    programme: AnyLike,
    overlays: Folders = (),
    *,
    worlds: int = 20_000,
    seed: int = 1,
    overrides: Changes = (),
) -> ProgrammeReplay:
    """The best calendar of a programme simulated failure by failure, beside what its answer states.

    Raises
    ------
    InfeasibleError
        If there is no calendar.
    """
    from planner import search
    from planner.interop.files import naming

    loaded = load_programme(programme, overrides, overlays)
    with naming(Path(loaded.source)):
        return search.simulate_programme(loaded, *load_facts(overlays), worlds=worlds, seed=seed)


def load_programme_answer(source: ProgrammeAnswer | str | Path) -> ProgrammeAnswer:
    """A saved answer of a programme, checked; an answer comes back as it is.

    Raises
    ------
    PlannerError
        If the file is no such document, or there is no calendar in it.
    """
    from planner.interop.programmes import read_programme_answer
    from planner.search.programme_answer import ProgrammeAnswer

    return source if isinstance(source, ProgrammeAnswer) else read_programme_answer(Path(source))


def track_programme(
    answer: ProgrammeAnswer | str | Path,
    logs: Mapping[str, str | Path],
    *,
    replan: AnyLike | None = None,
    overlays: Folders = (),
) -> ProgrammeProgress:
    """Where a programme stands against its calendar: stages done, running and to come; the end and cost to expect.

    Parameters
    ----------
    answer : path or ProgrammeAnswer
        The saved answer of `optimize_programme`.
    logs : map
        The training log of each stage that has begun, by its name.
    replan : path, map or Programme, optional
        The programme's scenario: also finds the best calendar of what is left.

    Raises
    ------
    PlannerError
        If a log is of no stage, or cannot be read.
    """
    from planner.interop.programmes import stage_progress
    from planner.tracking.programme import programme_progress, remaining_programme

    plan = load_programme_answer(answer)
    now = programme_progress(plan, stage_progress(plan, {name: Path(log) for name, log in logs.items()}))
    if replan is None:
        return now
    rest = remaining_programme(load_programme(replan, (), overlays), plan, now)
    return replace(now, replanned=None if rest is None else optimize_programme(rest, overlays))
