"""`planner optimize A B --fleet FILE`: one plan a run within what they share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RUNS = (ROOT / "scenarios" / "neox20b-as-trained.yaml", ROOT / "scenarios" / "pythia-12b.yaml")


@pytest.fixture
def fleet(tmp_path: Path) -> Callable[..., Path]:
    def write(text: str) -> Path:
        path = tmp_path / "fleet.yaml"
        path.write_text(text)
        return path

    return write


def test_each_run_gets_a_plan_within_the_shared_budget(planner, fleet):
    file = fleet("budget: {cost: 500k USD}\nruns: [{name: pythia-12b, priority: 2, time: 60 days}]\n")
    ran = planner("optimize", *RUNS, "--fleet", file, "--json")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert [run["priority"] for run in found["runs"]] == [1, 2]
    assert all(run["plan"] is not None for run in found["runs"])
    assert sum(run["plan"]["cost_usd"]["p50"] for run in found["runs"]) == pytest.approx(found["cost_usd_p50"])
    assert found["cost_usd_p50"] <= 500_000


def test_people_see_who_gets_what(planner, fleet):
    ran = planner("optimize", *RUNS, "--fleet", fleet("budget: {cost: 500k USD}\n"))
    assert "Together" in ran.out
    assert "Shared limits" in ran.out
    assert max(map(len, ran.out.splitlines())) <= 80


def test_too_little_for_all_is_exit_3(planner, fleet):
    ran = planner("optimize", *RUNS, "--fleet", fleet("budget: {cost: 1k USD}\n"))
    assert ran.code == 3
    assert ran.out.startswith("Infeasible: ")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("budgets: {cost: 1k USD}\n", "did you mean `budget`"),
        ("budget: {cost: much}\n", "line 1"),
        ("runs: [{name: pythia-13b}]\n", "did you mean `pythia-12b`"),
        ("runs: [{name: pythia-12b, priority: 0}]\n", "priority"),
        ("quotas: [{cloud: nowhere, gpus: 8}]\n", "nowhere"),
        ("[]\n", "fleet.yaml"),
    ],
)
def test_a_wrong_fleet_file_is_one_sentence_with_its_place(planner, fleet, text, said):
    ran = planner("optimize", *RUNS, "--fleet", fleet(text))
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_several_scenarios_without_a_fleet_are_told_what_to_do(planner):
    ran = planner("optimize", *RUNS)
    assert ran.code == 2
    assert "--fleet" in ran.err
    assert "compare" in ran.err


def test_a_fleet_file_that_is_not_there_is_named(planner):
    ran = planner("optimize", *RUNS, "--fleet", "no-fleet.yaml")
    assert ran.code == 2
    assert "no-fleet.yaml" in ran.err
