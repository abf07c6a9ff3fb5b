"""Comparisons as tables and charts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from test_plan_json import COMPARISON, PLAN

from planner.report.charts import save_chart
from planner.report.comparison import comparison_table
from planner.report.comparison_chart import comparison_figure
from planner.report.layout import display_width
from planner.results.answers import Difference, Side
from planner.results.plan import Quantiles
from planner.words import say


def feasible(label: str, gpus: int = 96, days: float = 10.0) -> Side:
    plan = replace(PLAN, gpus=gpus, time_s=Quantiles(*(share * days * 86400 for share in (0.9, 1.0, 1.1))))
    return Side(label, "optimal", plan)


def refused(label: str, reason: str = "No layout fits.") -> Side:
    return Side(label, "infeasible", None, reason)


MANY = replace(
    COMPARISON,
    by="gpus",
    sides=(*(feasible(f"{8 * n} GPUs", 8 * n, 400 / n) for n in range(1, 41)), refused("1 GPUs"), refused("2 GPUs")),
    differences=(),
)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_many_sides_are_cut_to_what_a_person_reads_and_it_is_said(width):
    text = comparison_table(MANY, width)
    assert len(re.findall(r"^  \d+ GPUs +\d", text, re.MULTILINE)) == 24
    assert "the best 24 of 40 are shown" in " ".join(text.split())
    assert max(map(display_width, text.splitlines())) <= width


def test_sides_that_fail_for_one_reason_are_told_together():
    assert "  - 1 GPUs, 2 GPUs: No layout fits." in comparison_table(MANY)


def test_what_is_the_same_on_all_sides_is_told_once():
    two = replace(
        COMPARISON,
        by=None,
        sides=(feasible("a.json"), feasible("b.json")),
        differences=(
            Difference(say("comparing.offer"), ("cloud/big/north/on_demand",) * 2),
            Difference(say("comparing.time"), ("9 days", "8 days"), "b.json: 0.889 times the first"),
            Difference(say("comparing.change_price"), ("+0 USD", "+0 USD"), "difference in price"),
            Difference(say("comparing.even_speed"), ("", ""), "never looked for"),
        ),
    )
    text = comparison_table(two)
    assert "the same        offer cloud, big, north, on_demand; change by price +0 USD" in text
    assert re.search(r"time \(p50\) +9 days +8 days", text)
    assert "0.889" in text
    assert "difference in price" not in text
    assert "never looked for" not in text


def test_keys_that_differ_between_many_scenarios_are_told_with_who_has_which_value():
    sides = tuple(feasible(name) for name in "abcd")
    told = Difference(say("comparing.asked", key="budget.time"), ("14 days", "28 days", "not set", "14 days"))
    text = comparison_table(replace(COMPARISON, by=None, sides=sides, differences=(told,)))
    assert "What the scenarios ask otherwise\n  - budget.time: 14 days (a, d); 28 days (b); not set (c)\n" in text
    few = comparison_table(
        replace(COMPARISON, by=None, sides=sides[:2], differences=(replace(told, values=told.values[:2]),))
    )
    assert re.search(r"asked: budget\.time +14 days +28 days", few)


def test_an_infeasible_column_says_so():
    sides = (feasible("a"), refused("b"))
    found = replace(COMPARISON, by=None, sides=sides, differences=(Difference(say("comparing.time"), ("9 days", "")),))
    assert re.search(r"time \(p50\) +9 days +infeasible", comparison_table(found))


@pytest.mark.parametrize("name", ["c.svg", "c.png", "c.html"])
def test_a_chart_is_the_same_file_every_time(name, tmp_path):
    first, second = tmp_path / "1" / name, tmp_path / "2" / name
    for path in (first, second):
        path.parent.mkdir()
        save_chart(comparison_figure(COMPARISON), path)
    assert first.read_bytes() == second.read_bytes()


def test_a_chart_of_sides_has_their_figures_and_names_the_infeasible(tmp_path):
    save_chart(comparison_figure(replace(COMPARISON, sides=(feasible("a"), refused("b")))), tmp_path / "c.svg")
    text = (tmp_path / "c.svg").read_text()
    named = ("a (on demand)", "b", "10.0", "infeasible", "time, days (p50, p10 to p90)")
    assert all(f">{words}<" in text for words in named)


def test_a_chart_of_numbers_of_gpus_names_the_fastest(tmp_path):
    save_chart(comparison_figure(MANY), tmp_path / "c.svg")
    text = (tmp_path / "c.svg").read_text()
    assert "fastest: 320 GPUs (on demand), 10 days" in text


def test_a_chart_of_nothing_feasible_is_still_a_chart(tmp_path):
    save_chart(comparison_figure(replace(COMPARISON, sides=(refused("a"), refused("b")))), tmp_path / "c.svg")
    assert "infeasible" in (tmp_path / "c.svg").read_text()
