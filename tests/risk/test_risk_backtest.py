"""Whole published runs: nothing learns from them, none is dropped for its error, what is quoted is what is found."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from proposal_cases import proposal

from planner.catalog.paths import data_dir
from planner.catalog.risk_facts import load_risk_facts
from planner.performance.loading import load_calibration
from planner.performance.refit import measured_files
from planner.report.backtest import stored_backtest
from planner.report.proposal.model import Paragraph
from planner.risk.backtest import (
    NO_RUN,
    STEPS,
    Verdict,
    backtest,
    calibrations_without,
    document,
    is_run,
    published_rows,
    states_layout,
)
from planner.risk.overhead import published
from planner.workload.counts import parameter_counts
from planner.workload.model_catalog import load_model

ROOT = Path(__file__).parents[2]
ROWS = {row["run"]: row for row in published_rows()}
STRANGERS = ("llama2-70b", "falcon-40b", "opt-175b", "jetmoe-8b", "deepseek-v2-pretrain", "h2o-danube-1.8b")


@pytest.fixture(scope="module")
def stored() -> Any:
    return json.loads((data_dir() / "calibration" / "backtest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def found() -> dict[str, Verdict]:
    """Runs of sites that the fit does not know."""
    return {v.run: v for v in backtest([ROWS[name] for name in STRANGERS], load_calibration())}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("backtest_script", ROOT / "benchmarks" / "backtest.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_fit_reads_whole_runs():
    assert not [path for path in measured_files() if path.parent.name == "runs"]


def test_every_run_with_hours_is_judged_whatever_its_error(stored):
    assert list(stored["each"]) == [name for name, row in ROWS.items() if row["hours_include"] not in NO_RUN]
    left = [name for name, row in ROWS.items() if not is_run(row)]
    assert left == ["mpt-30b", "mpt-30b-estimate-a100", "mpt-30b-estimate-h100"]
    assert all(ROWS[name]["gpu_hours"] for name in stored["each"])


def test_every_row_says_what_its_hours_are_and_where_it_is_from(script):
    for name, row in ROWS.items():
        assert row["hours_include"] in (*script.INCLUDE, *NO_RUN), name
        assert all(row[column] for column in ("what_gpu_hours_include", "source", "site", "quality")), name


def test_what_is_stored_is_what_is_found_today(stored, found):
    assert stored["digest"] == load_calibration().digest, "the fit has changed: run benchmarks/backtest.py"
    for name, verdict in found.items():
        kept = stored["each"][name]
        assert kept["published"] == verdict.published
        for part in ("low", "middle", "high"):
            assert getattr(verdict.predicted, part) == pytest.approx(kept[part], rel=0.02), (name, part)


def test_the_stored_counts_are_those_of_the_stored_runs(stored):
    each = stored["each"].values()
    assert stored["runs"] == len(each) == sum(part["runs"] for part in stored["by_layout"].values())
    assert stored["inside"] == sum(run["low"] <= run["published"] <= run["high"] for run in each)
    off = sorted(abs(run["middle"] / run["published"] - 1.0) for run in each)
    assert stored["median_error"] == pytest.approx(off[len(off) // 2], abs=0.002)


@pytest.mark.parametrize(("language", "words"), [("en", "Of {} public runs"), ("zh", "在 {} 次公布")])
def test_every_proposal_says_how_many_public_runs_stayed_within_the_range(stored, language, words):
    method = next(s for s in proposal(language=language).sections if s.id == "method-0")
    said = [b.text for b in method.blocks if isinstance(b, Paragraph) and words.format(stored["runs"]) in b.text]
    assert len(said) == 1
    assert f" {stored['inside']} " in said[0]
    assert stored_backtest()[:2] == (stored["runs"], stored["inside"])


def test_hours_of_steps_alone_are_not_stretched_and_all_others_are(found):
    for verdict in found.values():
        if verdict.include == STEPS:
            assert verdict.predicted == verdict.steps
        else:
            assert verdict.predicted.middle > verdict.steps.middle
            assert verdict.predicted.high / verdict.predicted.middle > verdict.steps.high / verdict.steps.middle


def test_what_is_said_of_a_run_is_what_its_plan_says_with_the_same_failures_and_overhead(found):
    verdict, row, facts = found["falcon-40b"], ROWS["falcon-40b"], load_risk_facts()
    gpus, beside = int(row["gpus"]), published(facts, row["site"])
    per_node = 3.9 / 1000 * gpus / 8 / 86_400  # the rate of Ampere's clusters
    work = verdict.steps.middle * 3600 / gpus
    own = verdict.predicted.middle / verdict.steps.middle / beside.quantile(0.5)
    assert 1.0 < own < 1.1 + per_node * 3600  # a few per cent of checkpoints and failures
    assert work * per_node > 1  # interrupted more than once


def test_a_layout_is_stated_where_gpus_and_degrees_are_and_planner_chooses_for_the_others(found):
    assert [n for n in STRANGERS if states_layout(ROWS[n])] == ["falcon-40b", "opt-175b", "h2o-danube-1.8b"]
    for name, verdict in found.items():
        assert (verdict.chosen is None) == states_layout(ROWS[name])
        assert verdict.chosen is None or verdict.chosen <= verdict.steps.middle


def test_what_is_not_stated_is_said(found):
    said = " ".join(found["llama2-70b"].assumed)
    assert "128 to 2,048 GPUs" in said
    assert "layout" in said
    assert found["opt-175b"].assumed[0] == "a batch of 992, which divides over 124 ranks"
    assert "sequences of 4,096" in found["jetmoe-8b"].assumed


def test_a_stranger_is_told_what_the_shipped_fit_says_and_a_known_site_is_left_out():
    shipped = load_calibration()
    assert calibrations_without(["meta"], shipped)["meta"] is shipped
    blind = calibrations_without(["eleutherai-coreweave"], shipped)["eleutherai-coreweave"]
    assert "eleutherai-coreweave" in {p.site for p in shipped.field.places}
    assert "eleutherai-coreweave" not in {p.site for p in blind.field.places}


@pytest.mark.parametrize("path", sorted((data_dir() / "runs" / "models").glob("*.yaml")), ids=lambda p: p.stem)
def test_shapes_that_columns_cannot_say_add_up_to_what_their_authors_print(path):
    row = next(row for row in ROWS.values() if row["model"] == path.stem)
    counts = parameter_counts(load_model(path.stem, [path.parent]))
    assert counts.total == pytest.approx(float(row["params_total"]), rel=0.03)


def test_the_page_and_the_chart_are_of_the_stored_runs(script, stored, found):
    page, chart = (ROOT / "docs" / name for name in ("backtest.md", "backtest.svg"))
    text, drawn = page.read_text(encoding="utf-8"), chart.read_text(encoding="utf-8")
    assert f"Of {stored['runs']} public runs {stored['inside']} stayed within the 80 % range." in text
    for name in stored["each"]:
        assert f"| {name} |" in text
        assert f">{name}</text>" in drawn
    verdicts = list(found.values())
    assert script.chart(verdicts) == script.chart(verdicts)
    assert "<script" not in drawn


def test_a_document_counts_both_kinds(found):
    made = document(list(found.values()), "digest")
    assert made["by_layout"]["stated"]["runs"] + made["by_layout"]["unstated"]["runs"] == made["runs"] == len(STRANGERS)
