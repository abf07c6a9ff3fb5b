"""Recipes: which one a setting is taken to run, and what it does to a step."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.performance.arrays import Setting
from planner.performance.calibration import load_calibration
from planner.performance.predict import predict_run
from planner.performance.recipes import PLAIN, SWITCHES, Recipe, recipe_files, recipe_of
from planner.performance.rows import read_run
from planner.performance.stacks import recipe_in_words, release_of, stack_of
from planner.units import PlannerError
from planner.workload import model_names

CATALOG = load_catalog()
ROW = {
    "framework": "megatron", "version_or_date": "26.06", "model": "qwen3-30b-a3b", "gpu": "gb200-nvl72", "gpus": "8",
    "precision": "mxfp8", "seq_len": "4096", "tp": "1", "pp": "1", "ep": "8", "micro_batch": "4",
    "global_batch_samples": "512", "zero_or_fsdp": "distributed-optimizer",
}  # fmt: skip
FUSED = "fused experts, FP8 attention"
FULL = Recipe("full", "hybridep", overlap=True, fused_experts=True, fp8_attention=True)


def setting(**changed: str) -> Setting:
    return read_run(ROW | changed, CATALOG, "row").setting


def recipe(**changed: str) -> Recipe:
    found = setting(**changed)
    return recipe_of(found, stack_of(found.framework, found.release), release_of(found))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, FULL),
        ({"version_or_date": "26.08 NeMo Container"}, FULL),
        ({"version_or_date": ""}, FULL),  # the newest
        ({"version_or_date": "26.04.01"}, Recipe("router", "hybridep")),
        ({"version_or_date": "26.05"}, Recipe("router", "hybridep")),  # of no release of its own: the one before
        ({"version_or_date": "25.07"}, Recipe("router", "hybridep")),  # before all of that model and part: its oldest
        ({"precision": "bf16"}, Recipe("attention+router", "hybridep")),
        ({"model": "mixtral-8x7b"}, FULL),  # no recipe of its own: what most do there
        ({"model": "mixtral-8x7b", "gpu": "h100-sxm5-80gb", "precision": "bf16"}, Recipe("none", "hybridep")),
        ({"model": "mixtral-8x7b", "gpu": "h200-sxm5-141gb", "precision": "bf16"}, Recipe("none", "hybridep")),
        ({"model": "mixtral-8x7b", "gpu": "mi300x-192gb", "precision": "bf16"}, PLAIN),
        ({"model": "llama3-8b", "precision": "bf16"}, Recipe("full")),
        ({"model": "llama3.1-405b", "precision": "fp8"}, PLAIN),
        ({"framework": "fsdp", "version_or_date": ""}, PLAIN),
        ({"version_or_date": "core 0.5"}, PLAIN),  # another stack, of which no recipe is known
        ({"version_or_date": "../megatron"}, PLAIN),
        ({"graphs": "none", "overlap": "no"}, replace(FULL, graphs="none", overlap=False)),
        ({"framework": "fsdp", "graphs": "Full"}, Recipe("full")),
    ],
)
def test_a_setting_runs_the_newest_recipe_up_to_its_release(changed: dict[str, str], expected: Recipe) -> None:
    assert replace(recipe(**changed), recomputes=()) == expected


def test_recipes_name_models_parts_and_settings_that_exist() -> None:
    known = {path.stem for path in recipe_files()}
    assert known == {"megatron"}
    with (data_dir() / "recipes" / "megatron.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    families = {f"{a.family} {host}" for a in CATALOG.accelerators.values() for host in ("x86", "grace")}
    for row in rows:
        assert row["model"] in {"", *model_names()}
        assert row["gpu"] in {"", *CATALOG.accelerators, *(() if row["model"] else families)}
        assert row["precision"] in {"", "bf16", "fp8", "mxfp8", "nvfp4"}
        assert all(row[name] in positions for name, positions in SWITCHES.items())
        assert row["tag"].startswith("v0.")
    keys = [(row["model"], row["gpu"], row["precision"], row["since"]) for row in rows]
    assert len(set(keys)) == len(keys)


def test_full_graphs_leave_no_host_time_and_make_the_same_layout_faster() -> None:
    calibration = load_calibration()
    before, after = (
        predict_run(read_run(ROW | {"version_or_date": release}, CATALOG, "row"), calibration)
        for release in ("26.04.01", "26.06")
    )
    share = [float(np.sum(p.step.terms_s["host"]) / p.step.total_s[0]) for p in (before, after)]
    assert share[1] < 0.01 < share[0]
    assert after.tokens_per_s_per_gpu > 1.2 * before.tokens_per_s_per_gpu


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "CUDA graphs of whole iterations, experts reached by HybridEP behind computation, " + FUSED),
        ({"precision": "bf16"}, "CUDA graphs of attention and router, experts reached by HybridEP"),
        ({"gpu": "mi300x-192gb", "precision": "bf16"}, "no CUDA graphs, experts reached by all-to-all"),
        ({"model": "llama3-8b"}, ""),
        ({"framework": "fsdp", "version_or_date": ""}, ""),
    ],
)
def test_what_a_moe_model_is_taken_to_run_is_said(changed: dict[str, str], said: str) -> None:
    assert recipe_in_words(setting(**changed)) == said


def test_a_switch_without_such_a_position_is_told_off() -> None:
    with pytest.raises(PlannerError, match=r"^row: graphs 'partial' is none of none, router, attention, "):
        setting(graphs="partial")


def test_a_run_that_states_its_recipe_is_predicted_with_it() -> None:
    calibration = load_calibration()
    full, eager = (
        predict_run(read_run(ROW | stated, CATALOG, "row"), calibration).tokens_per_s_per_gpu
        for stated in ({}, {"graphs": "none", "fused_experts": "no"})
    )
    assert eager < 0.9 * full
