"""Every shipped scenario runs as its comments say."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from planner.catalog.paths import scenarios_dir
from planner.scenario import load_scenario

FILES = sorted(path.name for path in scenarios_dir().glob("*.yaml"))


def test_the_scenarios_of_the_readme_are_there() -> None:
    assert FILES == [
        "flm-101b.yaml",
        "impossible.yaml",
        "llama3-8b.yaml",
        "mixtral-8x7b.yaml",
        "neox20b-as-trained.yaml",
        "neox20b.yaml",
        "olmo2-stages.yaml",
        "own-cluster.yaml",
        "pythia-12b.yaml",
        "qlora-llama3-8b.yaml",
        "smallest.yaml",
        "smollm3-stages.yaml",
    ]


@pytest.mark.parametrize("file", FILES)
def test_it_runs(file: str, planner: Callable[..., Any]) -> None:
    ran = planner("optimize", scenarios_dir() / file, "--json", "--quiet")
    answer = json.loads(ran.out)
    if file == "impossible.yaml":
        assert (ran.code, answer["status"], answer["plan"]) == (3, "infeasible", None)
        assert answer["infeasibility"]
    elif "stages" in answer:
        assert (ran.code, answer["status"], answer["kind"]) == (0, "optimal", "programme")
        assert min(answer["p_within_time"], answer["p_within_cost"]) >= answer["goal"]["confidence"]
    else:
        assert (ran.code, answer["status"]) == (0, "optimal")
        assert answer["certificate"]["gap"] == 0


@pytest.fixture
def neox20b(planner: Callable[..., Any]) -> Callable[..., dict[str, Any]]:
    def call(*overrides: str) -> dict[str, Any]:
        sets = [word for override in overrides for word in ("--set", override)]
        ran = planner("optimize", scenarios_dir() / "neox20b.yaml", "--json", "--quiet", *sets)
        answer: dict[str, Any] = json.loads(ran.out)
        return answer

    return call


def test_the_known_example_is_feasible_even_at_95_percent(neox20b: Callable[..., dict[str, Any]]) -> None:
    plan = neox20b("budget.confidence=0.95")["plan"]
    assert min(plan["p_within_time"], plan["p_within_cost"]) >= 0.95


def test_half_the_time_takes_another_cluster(neox20b: Callable[..., dict[str, Any]]) -> None:
    whole, half = neox20b()["plan"], neox20b("budget.time=7 days")["plan"]
    assert half["time_s"]["p50"] < 7 * 86400 < whole["time_s"]["p50"]
    assert half["gpus"] > whole["gpus"]
    assert half["cost_usd"]["p50"] >= whole["cost_usd"]["p50"]


def test_half_the_cost_is_impossible_and_what_must_give_is_said(neox20b: Callable[..., dict[str, Any]]) -> None:
    answer = neox20b("budget.cost=40k USD")
    assert (answer["status"], answer["plan"]) == ("infeasible", None)
    assert answer["infeasibility"]


def test_the_cost_budget_is_about_1_6_times_the_cheapest_plan_in_time(neox20b: Callable[..., dict[str, Any]]) -> None:
    cheapest = neox20b("budget.cost=null")["plan"]["cost_usd"]["p50"]
    budget = load_scenario(scenarios_dir() / "neox20b.yaml").budget.cost_usd
    assert budget is not None
    assert 1.4 < budget / cheapest < 1.8
