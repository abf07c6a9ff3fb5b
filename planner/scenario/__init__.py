"""A scenario file in, a Scenario out: every default filled in, every mistake one sentence with file, line and key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from planner.catalog.currencies import currency_rates
from planner.reading import read_bytes
from planner.reading.tree import MAX_BYTES, read_yaml
from planner.scenario.build import Builder
from planner.scenario.draft import Draft
from planner.scenario.fields import Reading, fail
from planner.scenario.names import catalog_names, named_model, why_absent
from planner.scenario.overrides import apply_overrides
from planner.scenario.programme import ProgrammeBuilder, has_stages, refuse_programme_keys
from planner.scenario.schema import scenario_schema, sections_with
from planner.scenario.sections import SCENARIO
from planner.spec.model import ModelSpec
from planner.spec.programme import Programme
from planner.spec.scenario import Scenario
from planner.words import Sentence, say
from planner.workload import model_from_mapping

__all__ = [
    "load_scenario",
    "one_run",
    "parse_any",
    "parse_scenario",
    "scenario_schema",
]


def load_scenario(path: Path | str, overrides: Sequence[str] = (), *, overlays: Sequence[Path] = ()) -> Scenario:
    """The scenario in a file, with `overrides` ("key.path=value") applied; `overlays` add models and accelerators.

    Raises
    ------
    PlannerError
        One sentence: file, line, key, what was found, what is allowed, the nearest valid spelling.
    """
    file = Path(path)
    content = read_bytes(file, MAX_BYTES, "a scenario")
    return parse_scenario(content, file, overrides, overlays=overlays)


def parse_scenario(
    content: bytes, file: Path, overrides: Sequence[str] = (), *, overlays: Sequence[Path] = ()
) -> Scenario:
    """The scenario of a file's bytes; `file` names it in errors and is where relative paths begin."""
    return one_run(parse_any(content, file, overrides, overlays=overlays))


def one_run(given: Scenario | Programme) -> Scenario:
    """The scenario of one run; a PlannerError where it is a programme of several."""
    if isinstance(given, Programme):
        where = given.stages[0].where
        inside = where.values["where"] if isinstance(where, Sentence) else where
        raise fail(inside, "stages", say("scenario.several_runs"))
    return given


def parse_any(
    content: bytes, file: Path, overrides: Sequence[str] = (), *, overlays: Sequence[Path] = ()
) -> Scenario | Programme:
    """As `parse_scenario`, or the programme where the file has `stages`."""
    root = read_yaml(content, str(file))
    if root.fields is not None:
        apply_overrides(root, overrides)
    reading = Reading(catalog_names(overlays), sections_with, why_absent=why_absent)
    digest = hashlib.sha256("\0".join([content.hex(), *overrides]).encode("utf-8", "surrogateescape")).hexdigest()

    def models(name: str) -> ModelSpec:
        return named_model(name, overlays)

    if has_stages(root):
        return ProgrammeBuilder(root, file, reading, models, lambda: currency_rates(overlays)).programme(digest)
    refuse_programme_keys(root)
    values = SCENARIO.read(root, "", reading)
    builder = Builder(
        Draft(root, values, reading, file),
        models,
        lambda shape, name: model_from_mapping(shape, name, say("model_catalog.shape")),
        lambda: currency_rates(overlays),
    )
    return builder.scenario(digest)
