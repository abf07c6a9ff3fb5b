"""The page on accuracy prints what is stored, what is stored is what the fit says, and aims that are met stay met."""

from __future__ import annotations

import json
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from measured_cases import RUNS

from planner.performance.loading import load_calibration
from planner.performance.refit import KEYS
from planner.performance.stacks import kind_of
from planner.performance.validation import Judged, by_source, report, subset

ROOT = Path(__file__).parents[2]
SHIPPED = load_calibration()


@cache
def script(name: str = "accuracy") -> ModuleType:
    """A module of benchmarks/, which is no package."""
    folder = str(ROOT / "benchmarks")
    sys.path.insert(0, folder)
    try:
        return __import__(name)
    finally:
        sys.path.remove(folder)


@cache
def studies() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(script().STUDIES.read_text(encoding="utf-8"))
    return loaded


@cache
def stored() -> dict[str, Judged]:
    found: dict[str, Judged] = script().stored(RUNS, studies())
    return found


def rows_of(*sources: str) -> list[int]:
    return [i for i, run in enumerate(RUNS) if run.source in sources]


def test_the_accuracy_page_prints_what_is_stored() -> None:
    page = script().PAGE.read_text(encoding="utf-8")
    assert script().filled(page, script().sections(RUNS, SHIPPED, studies())) == page, "run `make accuracy`"


def test_the_studies_are_of_the_shipped_rows_and_priors() -> None:
    assert studies()["digest"] == SHIPPED.digest, "run benchmarks/accuracy.py --studies"
    assert [row[0] for row in studies()["rows"]] == [run.id for run in RUNS]


@pytest.mark.parametrize("way", ["group", "model"])
def test_what_is_stored_is_what_the_shipped_fit_says(way: str) -> None:
    asked = rows_of("vtrain-multi", "pythia", "aws-moe", "torchao")
    now = script("accuracy_studies").left_out(way, asked)
    then = subset(stored()[way], asked)
    assert now.errors == pytest.approx(then.errors, abs=5e-3), "run `make accuracy`"
    assert now.sigma == pytest.approx(then.sigma, abs=2e-3), "run `make accuracy`"


def test_the_page_judges_sources_by_fits_that_never_saw_their_sites() -> None:
    """A refit of all other sites comes to what is stored of one."""
    studies_script = script("accuracy_studies")
    asked = rows_of("geodesic")
    errors, sigma = studies_script._without(tuple(asked))
    then = subset(stored()["site"], asked)
    assert errors == pytest.approx(then.errors.tolist(), abs=5e-3), "run benchmarks/accuracy.py --studies"
    assert sigma == pytest.approx(then.sigma.tolist(), abs=2e-3), "run benchmarks/accuracy.py --studies"


def test_nothing_that_is_unknown_of_a_run_is_known_by_another_row() -> None:
    studies_script = script("accuracy_studies")
    for situation, ways in studies_script.SITUATIONS.items():
        for i in rows_of("pythia", "prime-rl", "aws-moe"):
            rest = set(range(len(RUNS))) - set(studies_script.alike(ways, i).tolist())
            for way in ways:
                assert not any(KEYS[way](RUNS[j]) == KEYS[way](RUNS[i]) for j in rest), situation


def test_a_situation_asks_only_for_runs_of_which_the_rest_knows_what_it_says() -> None:
    studies_script = script("accuracy_studies")
    for i in studies_script.eligible("stack and part known")[::25]:
        others = [RUNS[j] for j in range(len(RUNS)) if KEYS["site"](RUNS[j]) != KEYS["site"](RUNS[i])]
        alike = [r for r in others if kind_of(r.setting.model) == kind_of(RUNS[i].setting.model)]
        for way in ("stack", "part"):
            assert any(KEYS[way](r) == KEYS[way](RUNS[i]) for r in alike)


def test_a_source_is_named_where_it_moves_by_two_points_and_more() -> None:
    moved = script("accuracy_tables").moved
    assert moved({"a": 0.10, "b": 0.10, "c": 0.10}, {"a": 0.115, "b": 0.075, "c": 0.15}) == "c +5.0, b -2.5"
    assert moved({"a": 0.10}, {"a": 0.10}) == "-"


def test_every_way_of_leaving_out_has_words_and_every_spread_too() -> None:
    tables = script("accuracy_tables")
    assert tuple(tables.WAYS) == script("accuracy_studies").WAYS
    assert set(tables.SHARED) | {"scale"} == set(SHIPPED.spreads)


def test_rows_of_known_sites_stay_within_half_a_point_of_their_limits() -> None:
    """Which of them are within, the page says."""
    group = stored()["group"]
    for name, (median, tail) in script("accuracy_tables").KNOWN.items():
        source, kind = name.split()
        rows = [i for i in rows_of(source) if kind_of(RUNS[i].setting.model) == kind]
        found = report(subset(group, rows))
        assert found["mdape"] <= (median + 0.5) / 100, name
        assert found["p90_ape"] <= (tail + 0.5) / 100, name


def test_sources_of_strange_sites_are_predicted_as_well_as_the_page_says_at_its_worst() -> None:
    found = by_source(stored()["site"])
    assert found["mdape"] <= 0.12
    assert abs(found["bias"]) <= 0.05
    assert 0.72 <= found["coverage80"] <= 0.90
    assert found["under_half"] <= found["of_many"] / 5
    before = studies()["before"]["interval_score"]
    assert found["interval_score"] < 0.5 * np.mean(list(before.values()))
