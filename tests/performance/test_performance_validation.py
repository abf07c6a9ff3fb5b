"""Validation: figures of the report, what is left out, and the page that prints them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planner.performance.loading import load_calibration
from planner.performance.refit import measured_files, read_runs
from planner.performance.validation import Judged, contests, judge, regret, report
from planner.report.charts import save_chart
from planner.report.validation import validation_figure, validation_table
from planner.results.json_form import dumps
from planner.units import PlannerError

ROOT = Path(__file__).parents[2]
SHIPPED = load_calibration()
VTRAIN = next(p for p in measured_files() if p.stem == "vtrain")
RUNS = tuple(read_runs([VTRAIN]))


def judged(errors: object, sigma: float = 0.1) -> Judged:
    values = np.asarray(errors, dtype=np.float64)
    return Judged(RUNS[: len(values)], values, np.full(len(values), sigma), "none")


def test_errors_are_of_tokens_a_second() -> None:
    """A step predicted twice as long is a throughput predicted half as high: 50 % off, biased by -50 %."""
    found = report(judged(np.log([2.0, 2.0, 2.0])))
    assert found["mdape"] == pytest.approx(0.5)
    assert found["bias"] == pytest.approx(-0.5)
    assert found["coverage80"] == 0.0


def test_a_perfect_prediction_has_no_error_and_no_regret() -> None:
    found = report(judged(np.zeros(len(RUNS))))
    assert (found["mdape"], found["p90_ape"], found["bias"], found["coverage80"]) == (0.0, 0.0, 0.0, 1.0)
    assert found["regret"]["mean"] == 0.0


def test_coverage_counts_rows_inside_their_intervals() -> None:
    assert report(judged([0.0, 0.12, 0.14, -0.12]))["coverage80"] == pytest.approx(0.75)  # z = 1.2816


def test_regret_is_what_the_first_ranked_layout_loses() -> None:
    rows = contests(judged(np.zeros(len(RUNS))))[0]
    step = np.asarray([RUNS[i].step_s for i in rows])
    errors = np.zeros(len(RUNS))
    errors[rows[int(np.argmin(step))]] = 5.0  # the best is thought hopeless: the second best is chosen
    lost = np.sort(step)[1] / step.min() - 1
    assert regret(judged(errors))["worst"] == pytest.approx(lost, abs=1e-4)


def test_validation_of_one_file_reports_it_without_each_group() -> None:
    found = judge([VTRAIN], SHIPPED, "group")
    shown = report(found)
    assert json.loads(dumps(shown)) == shown
    assert {
        "rows",
        "predicted",
        "leave_out",
        "mdape",
        "mape",
        "p90_ape",
        "bias",
        "coverage80",
        "regret",
        "by",
        "worst",
    } <= set(shown)
    table = validation_table(shown, 100)
    assert "median error" in table
    assert max(map(len, table.splitlines())) <= 100


@pytest.mark.parametrize("width", [80, 120])
def test_rows_models_and_releases_stay_whole_on_the_page(width: int) -> None:
    entry = {"gpu": "b300-sxm6-288gb", "gpus": 256, "release": "26.02.01 NeMo Container", "error": -0.00004}
    rates = {"measured_tokens_per_s_per_gpu": 2644.0, "predicted_tokens_per_s_per_gpu": 13504.0}
    worst = [{"id": f"megatron-bridge:{n}", "model": "qwen3-235b-a22b", **entry, **rates} for n in (79, 119)]
    lines = validation_table({**report(judged(np.zeros(5))), "worst": worst}, width).splitlines()
    assert max(map(len, lines)) <= width
    (line,) = (line for line in lines if "megatron-bridge:119" in line)
    assert ("26.02.01 NeMo Container" in line) == (width == 120)
    assert line.split()[-4:] == ["2,644", "13,504", "0.0", "%"]
    assert sum(line.startswith("  source ") for line in lines) == 1


def test_a_leave_out_that_does_not_exist_is_refused() -> None:
    with pytest.raises(PlannerError, match="leave-out"):
        judge([VTRAIN], SHIPPED, "everything")


def test_a_table_without_measurements_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text(VTRAIN.read_text().splitlines()[0] + "\n")
    with pytest.raises(PlannerError, match="tokens_per_s_per_gpu"):
        judge([tmp_path / "empty.csv"], SHIPPED, "none")


def test_rows_never_seen_are_simply_predicted(tmp_path: Path) -> None:
    lines = VTRAIN.read_text().splitlines()[:3]
    (tmp_path / "mine.csv").write_text(
        "\n".join(lines).replace("vtrain-multi", "mine").replace("f8dda84", "main") + "\n"
    )
    found = judge([tmp_path / "mine.csv"], SHIPPED, "source")
    assert np.isfinite(found.errors).all()


def test_the_chart_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    save_chart(validation_figure(judged(np.linspace(-0.2, 0.2, len(RUNS)))), tmp_path / "chart.svg")
    assert (tmp_path / "chart.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize("width", [60, 80, 120])
def test_several_sources_counted_once_each_fit_the_page(width: int) -> None:
    runs = [replace(r, source=f"source {i % 30}") for i, r in enumerate(RUNS)]
    found = report(Judged(tuple(runs), np.zeros(len(runs)), np.full(len(runs), 0.1), "site"))
    table = validation_table(found, width)
    assert "of 30 sources: median error" in " ".join(table.split())
    assert max(map(len, table.splitlines())) <= width
