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


def test_on_machines_without_a_price_a_programme_has_no_cost(planner, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "model: llama3.2-1b\nobjective: time\nbudget: {time: 60 days}\nstages:\n"
        "  - {name: main, data: {tokens: 10B, seq_length: 2048}, training: {epochs: 1, global_batch: 512},"
        " layout: {tp: 1, pp: 1}}\n"
        "  - {name: long, after: [main], data: {tokens: 1B, seq_length: 8192}, training: {epochs: 1, global_batch: 64},"
        " layout: {tp: 1, pp: 1}}\n"
        "cluster: {own_only: true, own: [{name: lab, gpu: a100-sxm4-80gb, nodes: 1, gpus_per_node: 8}]}\n"
    )
    for command in (["optimize"], ["optimize", "--full"], ["explain"], ["simulate", "--worlds", "200"]):
        ran = planner(command[0], path, *command[1:])
        assert ran.code == 0, ran.err
        assert "USD" not in ran.out, command
        assert "of the cost" not in ran.out
    assert "left out" in planner("optimize", path).out
    assert json.loads(planner("optimize", path, "--json").out)["goal"]["cost_stated"] is False
    ran = planner("propose", path, "-o", tmp_path / "out")
    assert ran.code == 2
    assert "usd_per_gpu_hour" in ran.err
    priced = planner("optimize", path, "--set", "cluster.own.0.usd_per_gpu_hour=2")
    assert "to ask for" in priced.out
