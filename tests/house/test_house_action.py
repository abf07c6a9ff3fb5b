"""The action of pull requests: its steps as a script, in a repository of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "action" / "compare.sh"
SCENARIO = """name: {name}
model: llama3.2-1b
data: {{samples: 1M, seq_length: 2048}}
training: {{epochs: {epochs}, global_batch: 512}}
budget: {{time: 14 days}}
cluster: {{gpus: [h100-sxm5-80gb], max_gpus: 16}}
"""


def git(folder: Path, *words: str) -> str:
    named = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    ran = subprocess.run(["git", *named, *words], cwd=folder, capture_output=True, text=True, check=True)
    return ran.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "run.yaml").write_text(SCENARIO.format(name="run", epochs=1))
    (tmp_path / "other.yaml").write_text("steps: []\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


def compared(repository: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    more = {"BASE": git(repository, "rev-parse", "HEAD"), "PATH": path, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", str(SCRIPT)],
        cwd=repository,
        env={**os.environ, **more, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_a_changed_scenario_is_compared_with_what_it_was(repository):
    (repository / "run.yaml").write_text(SCENARIO.format(name="run", epochs=2))
    (repository / "new.yaml").write_text(SCENARIO.format(name="new", epochs=1))
    (repository / "other.yaml").write_text("steps: [1]\n")
    git(repository, "add", ".")
    ran = compared(repository)
    assert ran.returncode == 0, ran.stderr
    assert "### `run.yaml`" in ran.stdout
    assert "epochs" in ran.stdout
    assert "### `new.yaml`\nA new scenario." in ran.stdout
    assert "other.yaml" not in ran.stdout
    assert "tree/" not in ran.stdout  # no folder of the machine


def test_a_scenario_that_cannot_be_read_fails_and_is_said(repository):
    (repository / "run.yaml").write_text(SCENARIO.format(name="run", epochs="some"))
    ran = compared(repository)
    assert ran.returncode == 1
    assert "**It cannot be planned.**" in ran.stdout
    assert "training.epochs" in ran.stdout


def test_nothing_changed_is_said(repository):
    assert "No scenario changes." in compared(repository).stdout


def test_the_action_runs_the_script():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    steps = " ".join(step.get("run", "") for step in action["runs"]["steps"])
    assert "action/compare.sh" in steps
    assert "gh pr comment" in steps


def test_the_image_copies_what_the_package_is_built_of():
    image = (ROOT / "Dockerfile").read_text()
    for each in ("requirements.lock", "pyproject.toml", "planner", "catalogs", "scenarios"):
        assert f" {each}" in image
        assert (ROOT / each).exists()
