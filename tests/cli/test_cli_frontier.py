"""`planner frontier`: what no other plan beats."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from planner.results.answers import Frontier

ROOT = Path(__file__).parents[2]


def test_plans_get_slower_and_cheaper_one_after_the_other(planner, tmp_path):
    saved, chart = tmp_path / "frontier.json", tmp_path / "frontier.svg"
    ran = planner("frontier", ROOT / "scenarios" / "pythia-12b.yaml", "-o", saved, "--chart", chart)
    assert ran.code == 0, ran.err
    plans = Frontier.from_json(saved.read_text()).plans
    assert len(plans) >= 5
    assert all(a.time_s.p50 < b.time_s.p50 and a.cost_usd.p50 > b.cost_usd.p50 for a, b in pairwise(plans))
    assert all(plan.within_budget for plan in plans)
    assert chart.read_text().startswith("<?xml")
    assert max(map(len, ran.out.splitlines())) <= 80


def test_all_marks_the_plans_outside_the_budgets(planner, tmp_path):
    saved = tmp_path / "frontier.json"
    planner("frontier", ROOT / "scenarios" / "pythia-12b.yaml", "--all", "--quiet", "-o", saved)
    assert {plan.within_budget for plan in Frontier.from_json(saved.read_text()).plans} == {True, False}


def test_no_budget_is_needed(planner, tmp_path):
    free = tmp_path / "free.yaml"
    free.write_text(
        "model: pythia-1.4b\ndata: {samples: 100000, seq_length: 2048}\ntraining: {epochs: 1, framework: gpt-neox}\n"
        "cluster: {gpus: [h100-sxm5-80gb], max_gpus: 32}\n"
    )
    assert planner("frontier", free, "--quiet").code == 0


def test_fewer_gpus_may_be_better_too(planner, tmp_path):
    flat, full, page = tmp_path / "flat.json", tmp_path / "full.json", tmp_path / "full.html"
    scenario = ROOT / "scenarios" / "pythia-12b.yaml"
    planner("frontier", scenario, "--quiet", "-o", flat)
    ran = planner("frontier", scenario, "--gpus", "-o", full, "--chart", page)
    two, three = Frontier.from_json(flat.read_text()), Frontier.from_json(full.read_text())
    assert (two.axes, three.axes) == (("time", "cost"), ("time", "cost", "gpus"))
    corners = {(plan.time_s.p50, plan.cost_usd.p50) for plan in three.plans}
    assert {(plan.time_s.p50, plan.cost_usd.p50) for plan in two.plans} <= corners
    assert "in time, cost and GPUs" in " ".join(ran.out.split())
    assert "╎" in ran.out
    assert "in time, cost and GPUs" in page.read_text()


def test_nothing_feasible_is_exit_3(planner):
    ran = planner("frontier", ROOT / "scenarios" / "neox20b-as-trained.yaml", "--set", "budget.time=1 h")
    assert ran.code == 3
    assert "nothing is feasible" in ran.out


def test_a_chart_of_an_unknown_kind_is_refused_before_the_search(planner):
    ran = planner("frontier", "no-such-scenario.yaml", "--chart", "frontier.gif")
    assert ran.code == 2
    assert ".svg" in ran.err


@pytest.mark.parametrize("option", ["--all", "--chart"])
def test_help_tells_every_option(planner, option):
    assert option in planner("frontier", "--help").out


@pytest.mark.parametrize("arguments", [["frontier"], ["compare", "--by", "gpus"], ["explain"]], ids=" ".join)
def test_a_date_tells_the_ages_of_prices_and_changes_no_answer(planner, tmp_path, arguments):
    scenario = tmp_path / "dated.yaml"
    scenario.write_text(
        "model: pythia-1.4b\ndata: {samples: 100000, seq_length: 2048}\ntraining: {epochs: 1, framework: gpt-neox}\n"
        "budget: {time: 9 days}\ncluster: {gpus: [h100-sxm5-80gb], clouds: [nebius], max_gpus: 16}\n"
    )
    days, saved = ("2026-10-20", "2027-10-20"), (tmp_path / "a.json", tmp_path / "b.json")
    fresh, stale = (
        " ".join(planner(*arguments, scenario, "--date", day, "-o", path).out.split())
        for day, path in zip(days, saved, strict=True)
    )
    assert "On 2026-10-20 these prices are up to 10 days old." in fresh
    assert "375 days old: ask nebius for a new quote" in stale
    assert saved[0].read_bytes() == saved[1].read_bytes()


def test_every_colour_of_a_frontier_reaches_the_terminal(planner, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("planner.cli.frontier.colour", lambda: True)
    shown = planner("frontier", ROOT / "scenarios" / "smallest.yaml").out
    assert "\x1b[1;3" in shown  # the plan chosen: bold, in its offer's colour
    assert "·[" not in shown
