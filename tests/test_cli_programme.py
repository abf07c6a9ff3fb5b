"""Programmes on the command line: the same commands, their exit codes, one sentence for a mistake."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from programme_cases import programme, stage

GIVEN = programme(stage("main", "300B tokens"), stage("anneal"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "programme.yaml"
    path.write_text(yaml.safe_dump(GIVEN))
    return path


def test_optimize_prints_the_calendar_within_forty_lines_and_its_json_is_the_librarys(file: Path, planner: Any) -> None:
    ran = planner("optimize", file)
    assert ran.code == 0
    assert "Calendar" in ran.out
    assert "█" in ran.out
    assert len(ran.out.splitlines()) <= 40
    assert max(map(len, ran.out.splitlines())) <= 80
    told = json.loads(planner("optimize", file, "--json").out)
    assert (told["schema_version"], told["kind"], told["status"]) == (1, "programme", "optimal")
    assert "Cash flow" in planner("optimize", file, "--full").out


def test_an_infeasible_programme_exits_with_3_and_says_what_would_do(file: Path, planner: Any) -> None:
    ran = planner("optimize", file, "--set", "budget.cost=100 USD")
    assert ran.code == 3
    assert "would do" in ran.out


def test_explain_and_simulate_take_programmes(file: Path, planner: Any) -> None:
    told = json.loads(planner("explain", file, "--json").out)
    assert {each["stage"] for each in told["binding"]} == {"main", "anneal"}
    assert any(each["key"] == "stages.main" and each["days"] < 0 for each in told["worth"])
    lived = json.loads(planner("simulate", file, "--worlds", "4000", "--json").out)
    assert lived["largest_quantile_error"] < 0.03
    assert planner("simulate", file, "--worlds", "1000").code == 0


def test_commands_of_one_run_say_that_it_is_a_programme(file: Path, planner: Any) -> None:
    for command in (("frontier",), ("compare", "--by", "gpu"), ("iterations",)):
        ran = planner(*command, file)
        assert ran.code == 2
        assert "programme of several runs" in ran.err
        assert ran.err.count("\n") == 1


def test_options_of_one_run_are_refused(file: Path, planner: Any) -> None:
    assert planner("optimize", file, "--exhaustive").code == 2
    assert planner("explain", file, "--why-not", "gpus=8").code == 2


def test_a_value_of_a_stage_is_set(file: Path, planner: Any) -> None:
    told = json.loads(planner("optimize", file, "--set", "stages.1.training.epochs=3", "--json").out)
    assert told["stages"][1]["plan"]["epochs"] == 3
