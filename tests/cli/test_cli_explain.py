"""`planner explain`: why the plan is what it is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHIA = ROOT / "scenarios" / "pythia-12b.yaml"
PINNED = ROOT / "scenarios" / "neox20b-as-trained.yaml"


def test_a_plan_is_explained_to_people_and_to_programs(planner, tmp_path):
    saved = tmp_path / "explanation.json"
    ran = planner("explain", PYTHIA, "--why-not", "gpus=8", "-o", saved)
    assert ran.code == 0, ran.err
    found = json.loads(saved.read_text())
    assert {worth["key"] for worth in found["worth"]} >= {"budget.time", "cluster.max_gpus"}
    assert found["why_not"][0]["asked"] == "gpus=8"
    for text in (found["worth"][0]["text"], found["why_not"][0]["text"]):
        assert text in " ".join(ran.out.replace("\n    ", " ").split())
    assert max(map(len, ran.out.splitlines())) <= 80


def test_an_infeasible_scenario_says_what_would_have_to_give(planner):
    ran = planner("explain", PINNED, "--set", "budget.time=1 h")
    assert ran.code == 3
    assert "What would have to give" in ran.out


@pytest.mark.parametrize("alternative", ["colour=blue", "gpus=many", "gpus", "tp=x"])
def test_an_alternative_that_cannot_be_read_is_said_in_one_sentence(planner, alternative):
    ran = planner("explain", PINNED, "--why-not", alternative)
    assert ran.code == 2
    assert alternative.split("=")[0] in ran.err
    assert ran.err.count("\n") == 1


def test_an_accelerator_that_no_catalog_knows_is_a_mistake(planner):
    ran = planner("explain", PYTHIA, "--why-not", "gpu=h100-sxm")
    assert ran.code == 2
    assert "--why-not gpu=h100-sxm" in ran.err
    assert "h100-sxm5-80gb" in ran.err
    assert ran.err.count("\n") == 1
