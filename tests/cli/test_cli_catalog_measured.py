"""`planner catalog show GPU`: what training reached on a part, beside its data sheet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran

from planner.catalog.paths import data_dir
from planner.report.catalog_measured import SHOWN

GPU = "h100-sxm5-80gb"
OWN_ROW = {
    "model": "llama3-8b",
    "gpu": "H100",
    "gpu_mem_gb": "80",
    "gpus": "8",
    "precision": "bf16",
    "seq_len": "4096",
    "framework": "megatron",
    "micro_batch": "1",
    "global_batch_samples": "64",
    "tokens_per_s_per_gpu": "9999",
}


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "measured").mkdir(parents=True)
    with (folder / "measured" / "ours.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(OWN_ROW))
        writer.writeheader()
        writer.writerow(OWN_ROW)
    return folder


def shown(planner: Callable[..., Ran], *words: str) -> Any:
    return json.loads(planner("catalog", "show", *words, "--json").out)


def test_every_measured_row_of_a_part_is_listed_for_programs(planner):
    measured = shown(planner, GPU)["measured"]
    files = sorted((data_dir() / "measured").glob("*.csv"))
    rows = [row for path in files for row in csv.DictReader(path.read_text().splitlines())]
    there = [row for row in rows if row["gpu"] == GPU and row["tokens_per_s_per_gpu"]]
    assert len(measured) == len(there) > SHOWN
    assert {row["row"].split(":")[0] for row in measured} <= {path.stem for path in files}


def test_people_see_the_first_dozen_and_how_many_there_are(planner):
    out = planner("catalog", "show", GPU).out
    count = len(shown(planner, GPU)["measured"])
    assert f"{count - SHOWN} more ({count} rows of " in out
    assert "tokens/s" in out
    assert "TFLOP/s" in out
    assert max(map(len, out.splitlines())) <= 80


def test_every_source_shows_before_one_of_them_repeats_itself(planner):
    measured = shown(planner, GPU)["measured"]
    firsts = {(row["source"], row["precision"]) for row in measured}
    head = measured[: len(firsts)]
    assert {(row["source"], row["precision"]) for row in head} == firsts


def test_tflops_are_the_model_s_own_and_below_the_peak(planner):
    peaks = {"bf16": 989, "fp16": 989, "fp8": 1979}
    for row in shown(planner, GPU)["measured"]:
        assert 0 < row["model_tflops_per_gpu"] < peaks[row["precision"]]


def test_rows_of_one_s_own_are_listed_beside_the_published_ones(planner, mine):
    measured = shown(planner, GPU, "--catalog", mine)["measured"]
    (own,) = [row for row in measured if row["layer"] == "mine"]
    assert (own["row"], own["kind"], own["tokens_per_s_per_gpu"]) == ("ours:1", "own", 9999)
    # 6 FLOPs for each of 7.5 G weights that multiply, and half of a square of attention over 4,096 tokens
    assert own["model_tflops_per_gpu"] == pytest.approx(9999 * 6 * 7.5e9 / 1e12, rel=0.1)


def test_a_part_that_nobody_measured_and_a_node_have_no_such_table(planner):
    assert shown(planner, "vr200-nvl72")["measured"] == []
    assert "Measured in training" not in planner("catalog", "show", "vr200-nvl72").out
    assert "measured" not in shown(planner, "dgx-h100")
