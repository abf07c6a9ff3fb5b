"""Recipes: which one a setting is taken to run, and what it does to a step."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.performance.arrays import Setting
from planner.performance.loading import load_calibration
from planner.performance.predict import predict_run
from planner.performance.refit import read_runs
from planner.performance.rows import read_run
from planner.performance.stacks import recipe_in_words, release_of, stack_of
from planner.performance.vendor_recipes import ALL_OFF, SWITCHES, Recipe, recipe_files, recipe_of, release_numbers
from planner.units import PlannerError
from planner.workload import load_model, model_names

CATALOG = load_catalog()
ROW = {
    "framework": "megatron", "version_or_date": "26.06", "model": "qwen3-30b-a3b", "gpu": "gb200-nvl72", "gpus": "8",
    "precision": "mxfp8", "seq_len": "4096", "tp": "1", "pp": "1", "ep": "8", "micro_batch": "4",
    "global_batch_samples": "512", "zero_or_fsdp": "distributed-optimizer", "tuning": "vendor",
}  # fmt: skip
FUSED = "fused experts, FP8 attention"
FULL = Recipe("full", "hybridep", overlap=True, fused_experts=True, fp8_attention=True)


def setting(**changed: str) -> Setting:
    return read_run(ROW | changed, CATALOG, "row").setting


def recipe(**changed: str) -> Recipe:
    found = setting(**changed)
    return recipe_of(found, stack_of(found.framework, found.release), release_of(found))


def table() -> list[dict[str, str]]:
    with (data_dir() / "recipes" / "megatron.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, FULL),
        ({"version_or_date": "26.08 NeMo Container"}, FULL),
        ({"version_or_date": ""}, FULL),  # the newest
        ({"version_or_date": "26.04.01"}, Recipe("router", "hybridep")),
        ({"version_or_date": "26.05"}, Recipe("router", "hybridep")),  # of no release of its own: the one before
        ({"version_or_date": "25.07"}, Recipe("full")),  # before all of that model and part: its oldest
        ({"precision": "bf16"}, Recipe("attention+router", "hybridep")),
        ({"model": "mixtral-8x7b"}, FULL),  # no recipe of its own: what most do there
        ({"model": "mixtral-8x7b", "gpu": "h100-sxm5-80gb", "precision": "bf16"}, ALL_OFF),
        ({"model": "mixtral-8x7b", "gpu": "h200-sxm5-141gb", "version_or_date": "26.02"}, Recipe(overlap=True)),
        ({"model": "mixtral-8x7b", "gpu": "mi300x-192gb", "precision": "bf16"}, ALL_OFF),
        ({"model": "llama3-8b", "precision": "bf16"}, Recipe("full")),
        ({"model": "llama3.1-405b", "precision": "fp8"}, ALL_OFF),
        ({"framework": "fsdp", "version_or_date": ""}, ALL_OFF),
        ({"version_or_date": "main of July"}, FULL),  # no release by its number: the newest
        ({"version_or_date": "../megatron"}, FULL),
        ({"version_or_date": "26.04rc1"}, Recipe("router", "hybridep")),
        ({"version_or_date": "26.06.²"}, FULL),
        ({"version_or_date": "26.06." + "9" * 5000}, FULL),
        ({"model": "mixtral-8x7b", "version_or_date": "26.02"}, Recipe("attention+router", "hybridep")),
        ({"model": "mixtral-8x7b", "version_or_date": "25.01"}, Recipe("full")),  # from before all recipes: the oldest
        ({"model": "llama3-8b", "version_or_date": "25.01"}, ALL_OFF),
        ({"graphs": "none", "overlap": "no"}, replace(FULL, graphs="none", overlap=False)),
        ({"framework": "fsdp", "graphs": "Full", "overlap": "TRUE"}, Recipe("full", overlap=True)),
    ],
)
def test_a_setting_runs_the_newest_recipe_up_to_its_release(changed: dict[str, str], expected: Recipe) -> None:
    assert replace(recipe(**changed), recomputes=()) == expected


def test_recipes_name_models_parts_and_settings_that_exist() -> None:
    known = {path.stem for path in recipe_files()}
    assert known == {"megatron"}
    rows = table()
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
    assert share[1] < 0.02 < share[0]
    assert after.tokens_per_s_per_gpu > 1.2 * before.tokens_per_s_per_gpu


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, "full CUDA graphs, experts reached by HybridEP behind computation, " + FUSED),
        ({"precision": "bf16"}, "CUDA graphs of attention and router, experts reached by HybridEP"),
        ({"gpu": "mi300x-192gb", "precision": "bf16"}, "no CUDA graphs, experts reached by all-to-all"),
        ({"model": "llama3-8b"}, ""),
        ({"framework": "fsdp", "version_or_date": ""}, ""),
    ],
)
def test_what_a_moe_model_is_taken_to_run_is_said(changed: dict[str, str], said: str) -> None:
    assert recipe_in_words(setting(**changed)) == said


def test_a_switch_without_such_a_position_is_told_off() -> None:
    with pytest.raises(PlannerError, match=r"^row: graphs 'partial' must be one of none, router, attention, "):
        setting(graphs="partial")


def test_a_run_that_states_its_recipe_is_predicted_with_it() -> None:
    calibration = load_calibration()
    full, eager = (
        predict_run(read_run(ROW | stated, CATALOG, "row"), calibration).tokens_per_s_per_gpu
        for stated in ({}, {"graphs": "none", "fused_experts": "no"})
    )
    assert eager < 0.9 * full


def test_a_model_without_a_recipe_runs_the_combination_that_most_have_there() -> None:
    """Recounted for every release: no combination of switches is in force in more recipes than the one taken."""
    rows = [row for row in table() if row["model"] and load_model(row["model"]).moe]
    checked = 0
    for release in sorted({row["since"] for row in table()}):
        now = release_numbers(release)
        in_force: dict[tuple[str, bool], dict[tuple[str, ...], tuple[str, ...]]] = {}
        for row in sorted(rows, key=lambda row: release_numbers(row["since"])):
            if release_numbers(row["since"]) <= now:
                host = "grace" if "nvl72" in row["gpu"] else "x86"
                place = (f"{CATALOG.accelerator(row['gpu']).family} {host}", row["precision"] == "mxfp8")
                key = (row["model"], row["gpu"], row["precision"])
                in_force.setdefault(place, {})[key] = tuple(row[name] for name in SWITCHES)
        for (place, mxfp8), recipes in in_force.items():
            counts = Counter(recipes.values())
            gpu = {"hopper x86": "h100-sxm5-80gb", "blackwell x86": "b200-sxm6-180gb"}.get(place, "gb200-nvl72")
            if mxfp8 and place == "hopper x86":
                continue
            taken = recipe(
                model="mixtral-8x7b", gpu=gpu, precision="mxfp8" if mxfp8 else "bf16", version_or_date=release
            )
            words = (taken.graphs, taken.dispatch)
            flags = ("yes" if on else "no" for on in (taken.overlap, taken.fused_experts, taken.fp8_attention))
            assert counts[(*words, *flags)] == max(counts.values()), (release, place, mxfp8)
            checked += 1
    assert checked > 30


def test_every_release_that_was_measured_has_its_recipes_read() -> None:
    """A release whose tag was not read would be taken for the one before it."""
    tags = {"25.09": "v0.1.0rc4", "25.11": "v0.2.0", "26.02": "v0.3.0", "26.02.01": "v0.3.1", "26.04": "v0.4.0",
            "26.04.01": "v0.4.2", "26.06": "v0.5.0", "26.06.01": "v0.5.1", "26.08": "v0.6.0"}  # fmt: skip
    assert {row["since"]: row["tag"] for row in table()} == tags
    runs = read_runs([data_dir() / "measured" / "megatron-bridge.csv"])
    assert {run.setting.release.split()[0] for run in runs} <= set(tags)


def test_overlap_without_graphs_costs_host_time() -> None:
    calibration = load_calibration()
    plain, eager = (
        predict_run(read_run(ROW | {"graphs": "none", "overlap": overlap}, CATALOG, "row"), calibration)
        for overlap in ("no", "yes")
    )
    assert eager.step.terms_s["host"].sum() > plain.step.terms_s["host"].sum()


def test_a_run_of_the_field_has_on_what_it_states_and_nothing_else() -> None:
    assert recipe(tuning="field") == recipe(tuning="", kind="field") == ALL_OFF
    assert recipe(tuning="field", dispatch="deepep") == replace(ALL_OFF, dispatch="deepep")
    assert recipe(tuning="", kind="vendor") == recipe()


@pytest.mark.parametrize(
    ("framework", "stack"),
    [
        ("gpt-neox", "megatron-deepspeed"), ("megatron-deepspeed", "megatron-deepspeed"),
        ("megatron-bridge", "megatron"), ("nemo", "megatron"), ("composer", "llm-foundry"), ("torchtitan", "fsdp"),
        ("atorch-fsdp", "fsdp"), ("hf-deepspeed", "deepspeed"), ("maxtext", "maxtext"),
    ],
)  # fmt: skip
def test_a_frameworks_file_says_whose_measurements_speak_for_it(framework: str, stack: str) -> None:
    assert stack_of(framework, "") == stack
