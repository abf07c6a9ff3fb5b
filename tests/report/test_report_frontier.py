"""Tables and charts of many plans."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from test_plan_json import COMPARISON, FRONTIER, OFFER, PLAN

from planner.report.comparison import comparison_table
from planner.report.frontier import frontier_csv, frontier_table
from planner.report.frontier_chart import frontier_chart
from planner.report.layout import display_width
from planner.results.answers import StatedGoal
from planner.results.plan import Quantiles
from planner.units import PlannerError

SLOW = replace(
    PLAN,
    gpus=64,
    time_s=Quantiles(1.4e6, 1.5e6, 1.6e6),
    cost_usd=Quantiles(5e4, 5.2e4, 5.5e4),
    within_budget=False,
    offer=replace(OFFER, gpu="a100-sxm4-80gb"),
)
TWO = replace(FRONTIER, plans=(PLAN, SLOW), goal=StatedGoal("cost", time_s=1.2e6, cost_usd=7e4))


@pytest.mark.parametrize("width", [60, 80, 120])
def test_tables_fit_the_terminal(width):
    for text in (frontier_table(TWO, width), comparison_table(COMPARISON, width)):
        assert max(map(display_width, text.splitlines())) <= width


def test_a_frontier_shows_time_against_cost_and_what_is_over_the_budgets():
    text = frontier_table(TWO, 120)
    assert "2 plans that no other beats in both time and cost" in text
    assert "11.6   65.0  96 × h100-sxm5-80gb, lambda" in text
    assert [line.split()[-1] for line in text.splitlines() if "64 × a100" in line] == ["over"]
    assert [line.split()[-1] for line in text.splitlines() if "96 × h100" in line] == ["USD", "chosen"]


def test_a_long_frontier_is_shown_by_plans_spread_over_it():
    many = tuple(replace(PLAN, gpus=8 * n) for n in range(100, 0, -1))
    text = frontier_table(replace(FRONTIER, plans=many), 120)
    shown = [line for line in text.splitlines() if "× h100" in line]
    assert "800 ×" in shown[0]
    assert "  8 ×" in shown[-1]
    assert f"{len(shown)} of 100 are shown" in text


def test_an_empty_frontier_is_told_so():
    assert "nothing is feasible" in frontier_table(replace(FRONTIER, status="infeasible", plans=()))


def test_a_comparison_shows_an_infeasible_side_as_such():
    text = comparison_table(COMPARISON)
    assert "Infeasible\n  - v100: memory" in text


@pytest.mark.parametrize("name", ["f.svg", "f.png", "f.html"])
def test_a_chart_is_the_same_file_every_time(name, tmp_path):
    first, second = tmp_path / "1" / name, tmp_path / "2" / name
    for path in (first, second):
        path.parent.mkdir()
        frontier_chart(TWO, path)
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) > 2000


def test_a_chart_names_its_axes_and_gpus(tmp_path):
    frontier_chart(TWO, tmp_path / "f.svg")
    text = (tmp_path / "f.svg").read_text()
    assert all(word in text for word in ("time, days (p50)", "cost, k USD (p50)", "h100-sxm5-80gb", "a100-sxm4-80gb"))


def test_a_chart_marks_the_plan_that_would_be_chosen():
    assert TWO.best is PLAN
    slow = replace(SLOW, within_budget=True)
    assert replace(TWO, plans=(PLAN, slow)).best is slow
    assert replace(TWO, plans=(PLAN, slow), goal=StatedGoal("time")).best is PLAN
    assert replace(TWO, plans=(PLAN, slow), goal=StatedGoal("usd_per_day", usd_per_day=1e5)).best is PLAN
    assert replace(TWO, plans=()).best is None


def test_a_spreadsheet_has_one_plan_a_row():
    rows = list(csv.DictReader(io.StringIO(frontier_csv(TWO))))
    assert [(float(row["time_s_p50"]), int(row["gpus"]), int(row["tp"])) for row in rows] == [
        (1e6, 96, 2),
        (1.5e6, 64, 2),
    ]
    assert rows[1]["within_budget"] == "False"


def test_an_unknown_kind_of_chart_is_the_users_mistake(tmp_path):
    with pytest.raises(PlannerError, match=r"\.svg, \.png, \.html"):
        frontier_chart(TWO, tmp_path / "f.gif")
