"""Memory against what is published of runs and recipes: what was run fits, what was moved to the host did not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planner.catalog.catalog import load_catalog
from planner.performance.arrays import Conditions, Layouts, Setting
from planner.performance.frameworks import why_illegal
from planner.performance.memory import capacity_gib, fits, memory
from planner.spec.hardware import Hardware
from planner.workload.model_catalog import load_model


def docs() -> str:
    return " ".join((Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8").split())


def test_gpt_neox_20b_fits_40_gb_as_it_was_trained():
    # configs/20B.yml: 96 A100-40GB, tp 2, pp 4, dp 12, ZeRO 1, fp16, micro-batch 4, every layer checkpointed; without
    # flash attention and sequence parallel, which came later.
    gpu = load_catalog().accelerator("a100-sxm4-40gb")
    hardware = Hardware(gpu.id, 8, 8, 300.0, 1600.0, "infiniband")
    chosen = Setting(load_model("gpt-neox-20b"), 2048, "fp16", "gpt-neox", "1.0", gpu, hardware)
    numbers = {"tp": 2, "pp": 4, "vpp": 1, "dp": 12, "cp": 1, "ep": 1, "zero_stage": 1, "sequence_parallel": False}
    x = Layouts(
        **{k: np.array([v]) for k, v in (numbers | {"recompute": 2, "micro_batch": 4, "grad_accum": 32}).items()}
    )
    found = memory(chosen, x)
    assert found.total.item() < capacity_gib(chosen) < 40
    assert f"needs {found.total.item():.1f} GiB of {capacity_gib(chosen):.1f}" in docs()
    # 20.55e9 parameters over 8, the ends a little fuller; 12 bytes of optimizer over 12 ranks.
    assert (
        found.weights.item() == pytest.approx(found.gradients.item()) == pytest.approx(2 * 20.55 / 8 / 1.0737, rel=0.04)
    )
    assert found.optimizer.item() == pytest.approx(found.weights.item() / 2)
    assert not fits(chosen, replace(x, recompute=np.array([0]))).any()


# Recipes that NVIDIA publishes for these machines (Megatron-Bridge, src/megatron/bridge/perf_recipes, commit 067f987):
# (model, GPU, GPUs, precision, tp, pp, vpp, cp, ep, ZeRO, micro-batch, global batch, recompute)
RECIPES = [
    ("deepseekv3", "h100-sxm5-80gb", 1024, "bf16", 2, 8, 4, 1, 64, 1, 1, 16384, "selective"),
    ("deepseekv3", "b200-sxm6-180gb", 256, "bf16", 1, 16, 1, 1, 8, 1, 1, 4096, "selective"),
    ("deepseekv3", "gb300-nvl72", 256, "mxfp8", 1, 2, 8, 1, 32, 1, 1, 4096, "none"),
    ("gpt-oss-120b", "h100-sxm5-80gb", 64, "bf16", 1, 4, 1, 1, 8, 1, 1, 1280, "selective"),
    ("kimi-k2", "gb300-nvl72", 256, "mxfp8", 1, 4, 4, 1, 64, 1, 2, 4096, "selective"),
    ("llama3-8b", "gb200-nvl72", 8, "bf16", 1, 1, 1, 1, 1, 1, 2, 128, "none"),
    ("llama3-70b", "h100-sxm5-80gb", 64, "fp8", 4, 8, 5, 1, 1, 1, 1, 256, "none"),
    ("llama3-70b", "b300-sxm6-288gb", 64, "bf16", 1, 1, 1, 1, 1, 3, 1, 256, "none"),
    ("llama3.1-405b", "h100-sxm5-80gb", 1024, "fp8", 8, 8, 8, 2, 1, 1, 1, 1536, "none"),
    ("qwen3-235b-a22b", "h100-sxm5-80gb", 256, "fp8", 2, 8, 4, 1, 32, 1, 1, 8192, "none"),
    ("qwen3-30b-a3b", "h100-sxm5-80gb", 16, "fp8", 1, 1, 1, 1, 16, 1, 1, 1024, "none"),
    ("qwen3-30b-a3b", "b200-sxm6-180gb", 8, "mxfp8", 1, 1, 1, 1, 8, 1, 4, 512, "none"),
]


def recipe(
    model: str,
    gpu: str,
    gpus: int,
    precision: str,
    tp: int,
    pp: int,
    vpp: int,
    cp: int,
    ep: int,
    zero: int,
    micro: int,
    batch: int,
    recompute: str,
) -> tuple[Setting, Layouts]:
    spec, accelerator = load_model(model), load_catalog().accelerator(gpu)
    dp = gpus // (tp * pp * cp)
    code = ("none", "selective", "full").index(recompute)
    values = (tp, pp, vpp, dp, cp, ep, zero, tp > 1, code, micro, batch // (micro * dp))
    seq_length = 8192 if model.startswith("llama") else 4096
    hardware = Hardware(gpu, 8, 8, accelerator.link_gbyte_per_s, None, "unknown")
    vendors = Conditions(tuning="vendor")
    setting = Setting(spec, seq_length, precision, "megatron", "", accelerator, hardware, conditions=vendors)
    return setting, Layouts(*(np.array([v]) for v in values))


@pytest.mark.parametrize("case", RECIPES, ids=lambda case: "-".join(map(str, case[:4])))
def test_a_published_recipe_is_legal_fits_and_leaves_less_than_half_the_card(case):
    setting, x = recipe(*case)
    assert why_illegal("megatron", setting.model, x, setting.seq_length) == ""
    assert 0.5 < memory(setting, x).total.item() / capacity_gib(setting) <= 1


def test_a_recipe_that_offloads_activations_to_the_host_does_not_fit_without():
    # llama3_70b on 64 B200, FSDP, fp8: cpu_offloading_num_layers = 5 of 80.
    setting, x = recipe("llama3-70b", "b200-sxm6-180gb", 64, "fp8", 1, 1, 1, 1, 1, 3, 1, 256, "none")
    found, capacity = memory(setting, x), capacity_gib(setting)
    assert found.total.item() > capacity
    assert found.total.item() - found.activations.item() * 5 / 80 < capacity
