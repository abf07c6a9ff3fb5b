"""The Python interface: `import planner` is cheap, and its functions do what the commands do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import planner as package

ROOT = Path(__file__).parents[2]
PINNED = ROOT / "scenarios" / "neox20b-as-trained.yaml"


def test_the_interface_is_what_the_design_names():
    assert {"load_scenario", "optimize", "frontier", "compare", "predict"} <= set(package.__all__)
    assert all(callable(getattr(package, name)) for name in package.__all__ if name != "__version__")


def test_importing_the_package_loads_nothing_else():
    code = "import sys, planner; print(sorted(m for m in sys.modules if m.startswith('planner.') or m == 'numpy'))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert ran.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="optimise"):
        _ = package.optimise


def test_optimize_answers_as_the_command_does(planner):
    answer = package.optimize(package.load_scenario(PINNED, ["training.iterations=1000"]))
    ran = planner("optimize", PINNED, "--set", "training.iterations=1000", "--json")
    assert answer.to_json() == ran.out


def test_rows_are_predicted_as_the_command_does(planner):
    row = {"model": "gpt-neox-20b", "gpu": "a100-sxm4-40gb", "gpus": "96", "seq_len": "2048", "tp": "2", "pp": "4"}
    row |= {
        "global_batch_samples": "1536",
        "micro_batch": "4",
        "framework": "gpt-neox",
        "recompute": "full",
        "zero_or_fsdp": "0",
    }
    (found,) = package.predict([row])
    flags = "--gpus 96 --seq-length 2048 --tp 2 --pp 4 --global-batch 1536 --micro-batch 4 --zero-stage 0".split()
    names = "--model gpt-neox-20b --gpu a100-sxm4-40gb --framework gpt-neox --recompute full".split()
    told = json.loads(planner("predict", *names, *flags, "--json").out)
    assert float(found["pred_tokens_per_s_per_gpu"]) == pytest.approx(told["pred_tokens_per_s_per_gpu"], rel=1e-5)
