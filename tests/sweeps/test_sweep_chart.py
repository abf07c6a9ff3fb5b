"""A sweep's chart: over numbers or names, a line for each of the other keys' values, crosses where there is no plan."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from planner.report.charts import save_chart
from planner.report.sweep_chart import sweep_figure
from planner.sweeps.grid import cells, read_axes
from planner.sweeps.table import Origin, Over, Sweep, bad_input, blank, varied

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]


def made_up(*overs: str) -> Sweep:
    """A sweep over these axes with figures that rise from row to row; every fifth row has no plan."""
    axes = read_axes(overs)
    rows = []
    for number, cell in enumerate(cells(axes), start=1):
        row = {}
        for axis, index in zip(axes, cell, strict=True):
            row.update(varied(axis, index))
        figures = {"gpus": 8 * number}
        for p, factor in (("p10", 0.9), ("p50", 1.0), ("p90", 1.2)):
            figures[f"time_s_{p}"] = 86400.0 * number * factor
            figures[f"cost_usd_{p}"] = 5000.0 * number * factor
        rows.append({**row, **(bad_input("no") if number % 5 == 0 else {**blank("optimal"), **figures})})
    over = tuple(Over(axis.key, axis.values) for axis in axes)
    return Sweep(over=over, rows=tuple(rows), provenance=Origin("0", "a run", "c", "k"))


@pytest.mark.parametrize(
    ("overs", "said"),
    [
        (["budget.time=7..60d:8", "training.epochs=1,2"], ["budget.time, days", "training.epochs 2", "crosses"]),
        (["budget.cost=$10k..$900k:4:log"], ["budget.cost, k USD", "cost (p50), k USD"]),
        (["cluster.gpus=b200-sxm6-180gb,h100-sxm5-80gb", "objective=cost,time"], ["h100-sxm5-80gb"]),
        (["data.samples=1M..16M:16", "training.epochs=1..15:15"], ["the first 14 of 15", "training.epochs"]),
        (["budget.time=5 days"], ["budget.time, days"]),
    ],
)
def test_a_chart_says_what_is_drawn(tmp_path, overs, said):
    chart = tmp_path / "grid.svg"
    save_chart(sweep_figure(made_up(*overs)), chart)
    drawn = chart.read_text()
    assert [text for text in said if text not in drawn] == []


def test_equal_sweeps_are_equal_charts(tmp_path):
    sweep = made_up("budget.time=7..60d:4", "training.epochs=1,2")
    for name in ("one.svg", "two.svg", "page.html", "picture.png"):
        save_chart(sweep_figure(sweep), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"


def test_a_sweep_without_a_plan_is_drawn(tmp_path):
    sweep = made_up("budget.time=1..2d:2")
    nothing = Sweep(
        over=sweep.over,
        rows=tuple({**row, **bad_input("no")} for row in sweep.rows),
        provenance=sweep.provenance,
    )
    save_chart(sweep_figure(nothing), tmp_path / "grid.svg")
    assert "crosses: no plan" in (tmp_path / "grid.svg").read_text()


def test_the_command_draws_in_a_process_of_its_own(tmp_path):
    chart = tmp_path / "grid.svg"
    command = [sys.executable, "-m", "planner", "sweep", "scenarios/smallest.yaml", "--over", "budget.time=20 days"]
    subprocess.run([*command, "--chart", str(chart)], cwd=ROOT, capture_output=True, timeout=300, check=True)
    assert "cost (p50)" in chart.read_text()
