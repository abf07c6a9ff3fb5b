"""`planner optimize`: the main job as a person and as a program call it."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from planner.report.layout import display_width
from planner.report.terminal import optimization_table
from planner.results.answers import Optimization
from planner.units import format_duration

ROOT = Path(__file__).parents[2]
#: Of one run each; programmes of stages have tests of their own.
SCENARIOS = sorted(path for path in (ROOT / "scenarios").glob("*.yaml") if "\nstages:" not in path.read_text())
INFEASIBLE = {"impossible"}
PINNED = ROOT / "scenarios" / "neox20b-as-trained.yaml"  # one candidate, so answered at once


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_every_shipped_scenario_is_answered(path, planner, tmp_path):
    saved = tmp_path / "plan.json"
    ran = planner("optimize", path, "-o", saved, "--date", "2026-11-24")
    answer = Optimization.from_json(saved.read_text())
    assert ran.code == (3 if path.stem in INFEASIBLE else 0), ran.err
    assert answer.status == ("infeasible" if path.stem in INFEASIBLE else "optimal")
    assert answer.to_json() == saved.read_text()
    assert max(map(display_width, ran.out.splitlines())) <= 80
    wide = optimization_table(answer, today=date(2026, 11, 24), width=120)
    assert max(map(display_width, wide.splitlines())) <= 120
    certificate = answer.certificate
    assert certificate.space == certificate.evaluated + sum(certificate.pruned.values())
    if answer.plan is None:
        assert answer.infeasibility is not None
        assert answer.infeasibility.changes
        assert certificate.best is certificate.bound is certificate.gap is None
        return
    plan = answer.plan
    assert certificate.gap == 0
    assert plan.gpus == plan.layout.tp * plan.layout.pp * plan.layout.dp * plan.layout.cp
    assert plan.global_batch == plan.layout.micro_batch * plan.layout.dp * plan.layout.grad_accum
    assert plan.memory_gib.total <= plan.memory_gib.capacity
    assert plan.hfu < 1
    runs_with = plan.throughput_basis.startswith("taken to run with ")
    assert runs_with == (path.stem == "mixtral-8x7b")  # the one MoE model, under a framework with published recipes


def test_json_is_one_document_and_the_same_bytes_in_another_process(planner):
    command = [sys.executable, "-m", "planner", "optimize", str(PINNED), "--json"]
    other = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, check=True)
    ran = planner("optimize", PINNED, "--json")
    assert ran.out == other.stdout
    assert json.loads(ran.out)["schema_version"] == 1
    assert ran.err == other.stderr == ""


def test_what_is_saved_names_no_folder_and_no_day(planner, tmp_path):
    saved = [tmp_path / name for name in ("a.json", "b.json")]
    planner("optimize", PINNED, "--quiet", "-o", saved[0], "--date", "2026-11-24")
    planner("optimize", PINNED, "--quiet", "-o", saved[1], "--date", "2027-05-01")
    assert saved[0].read_bytes() == saved[1].read_bytes()
    assert str(ROOT) not in saved[0].read_text()


def test_quiet_prints_nothing_and_keeps_the_exit_code(planner):
    ran = planner("optimize", PINNED, "--quiet", "--set", "budget.time=1 h")
    assert (ran.code, ran.out, ran.err) == (3, "", "")


def test_a_budget_that_excludes_plans_says_where_this_plan_ends(planner, tmp_path):
    path = tmp_path / "tight.yaml"
    path.write_text(
        "model: pythia-1.4b\ndata: {samples: 1000000, seq_length: 2048}\ntraining: {epochs: 1, framework: gpt-neox}\n"
        "budget: {time: 5 hours}\ncluster: {gpus: [h100-sxm5-80gb], clouds: [nebius], max_gpus: 32}\n"
    )
    bindings = json.loads(planner("optimize", path, "--json").out)["binding"]
    (bound,) = (each for each in bindings if each["key"] == "budget.time")
    assert bound["value"] < bound["limit"]
    assert "The time budget of 5 hours excludes cheaper plans: without it" in bound["text"]
    assert f"this plan ends within {format_duration(bound['value'])} with 80 % confidence" in bound["text"]


def test_a_value_is_overridden_from_the_command_line(planner):
    ran = planner("optimize", PINNED, "--json", "--set", "training.iterations=1000")
    assert json.loads(ran.out)["plan"]["iterations"] == 1000


def test_a_scenario_without_a_budget_names_the_command_that_needs_none(planner, tmp_path):
    free = tmp_path / "free.yaml"
    free.write_text("model: gpt-neox-20b\ndata: {samples: 1000, seq_length: 2048}\ntraining: {epochs: 1}\n")
    ran = planner("optimize", free)
    assert ran.code == 2
    assert "frontier" in ran.err


def test_every_default_that_was_used_is_printed(planner, tmp_path):
    saved = tmp_path / "plan.json"
    printed = planner("optimize", PINNED, "-o", saved, "--show", "defaults").out
    defaults = json.loads(saved.read_text())["defaults"]
    assert {"objective", "budget.confidence"} <= {default["key"] for default in defaults}
    assert all(default["key"] in printed for default in defaults)
