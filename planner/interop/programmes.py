"""Saved answers of programmes, and the logs of their stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from planner.files import printable_name
from planner.interop.plans import PROGRAMME, refuse_unprintable
from planner.interop.tracking import track_log
from planner.reading import read_text
from planner.reading.names import did_you_mean
from planner.search.programme_answer import ProgrammeAnswer
from planner.tracking.progress import Progress, progress
from planner.tracking.ramp import course_of
from planner.units import PlannerError
from planner.words import say


def read_programme_answer(path: Path) -> ProgrammeAnswer:
    """A saved `optimize --json` document of a programme, with a calendar in it.

    Raises
    ------
    PlannerError
        If it cannot be read, is no such document, or holds no calendar.
    """
    text = read_text(path, holds=say("interop_plans.holds"), endings=(".json",), controls=True)
    try:
        answer = ProgrammeAnswer.from_json(text)
    except PlannerError as error:
        said = say("interop_programmes.not_saved", file=printable_name(path), error=error.args[0])
        raise PlannerError(said) from error
    refuse_unprintable(path, answer, "programme")
    if answer.status != "optimal" or not answer.stages:
        raise PlannerError(say("interop_programmes.no_calendar", file=printable_name(path)))
    return answer


def is_programme_answer(path: Path) -> bool:
    """Whether a file looks like a saved answer of a programme."""
    try:
        if not path.is_file():  # a pipe is read once
            return False
        with path.open("rb") as file:
            return PROGRAMME.encode() in file.read(200)
    except OSError:
        return False


def stage_progress(answer: ProgrammeAnswer, logs: Mapping[str, Path]) -> dict[str, Progress]:
    """The progress of each stage that has a log.

    Raises
    ------
    PlannerError
        If a log is of no stage, or cannot be read.
    """
    names = [stage.name for stage in answer.stages]
    out = {}
    for name, log in logs.items():
        if name not in names:
            hint = did_you_mean(name, names) or say("interop_programmes.there_are", names=names)
            raise PlannerError(say("interop_programmes.no_stage", stage=name, log=log.name, hint=hint))
        stage = next(each for each in answer.stages if each.name == name)
        course = None if stage.trained is None else course_of(stage.plan, stage.trained.batch_ramp)
        state = track_log(log, stage.plan, None, course)
        out[name] = replace(progress(state, stage.plan, None), money=answer.provenance.money)
    return out
