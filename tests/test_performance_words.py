"""Accelerators, precisions and recomputation as other people's tables write them."""

from __future__ import annotations

import pytest

from planner.catalog import load_catalog
from planner.performance.calibration import load_calibration
from planner.performance.gpu_names import accelerator_written
from planner.performance.predict import predict_rows
from planner.performance.rows import read_run
from planner.units import PlannerError

PARTS = load_catalog().accelerators


@pytest.mark.parametrize(
    ("written", "memory_gb", "part"),
    [
        ("A100", 40, "a100-sxm4-40gb"),
        ("A100", 80, "a100-sxm4-80gb"),
        ("A100", None, "a100"),
        ("V100 PCIe", None, "v100-pcie"),
        ("a100-80gb", None, "a100-sxm4-80gb"),
        ("A100 PCIe 40GB", None, "a100-pcie-40gb"),
        ("NVIDIA H100 80GB HBM3", None, "h100-sxm5-80gb"),
        ("H100 SXM", None, "h100-sxm5-80gb"),
        ("H100-NVL", 94, "h100-nvl-94gb"),
        ("H800", 80, "h800-sxm5-80gb"),
        ("b300-sxm", 288, "b300-sxm6-288gb"),
        ("B200", 192, "b200-sxm6-180gb"),
        ("GB200 NVL72", None, "gb200-nvl72"),
        ("MI250X", 128, "mi250x-128gb"),
        ("TPU v5p", None, "tpu-v5p"),
        ("RTX 4090", None, "rtx-4090-24gb"),
        ("Gaudi 2", None, "gaudi2-96gb"),
        ("L4", None, "l4-24gb"),
        ("L40S", None, "l40s-48gb"),
    ],
)
def test_a_written_name_means_a_part(written: str, memory_gb: float | None, part: str) -> None:
    found = accelerator_written(written, memory_gb, PARTS)
    assert found is not None
    assert found.id == part


@pytest.mark.parametrize(
    ("column", "written", "read"),
    [
        ("precision", "BF16 mixed", "bf16"),
        ("precision", "FP8 (hybrid)", "fp8"),
        ("precision", "mxfp8 recipe", "mxfp8"),
        ("precision", "fp8-mx", "mxfp8"),
        ("recompute", "Selective (core attention)", 1),
        ("recompute", "full, uniform, 1 layer", 2),
        ("recompute", "activation checkpointing", 2),
        ("recompute", "off", 0),
        ("recompute", "", 0),
        ("zero_or_fsdp", "DeepSpeed ZeRO stage 2", 2),
    ],
)
def test_words_are_understood(column: str, written: str, read: str | int) -> None:
    row = {"model": "llama3-8b", "gpu": "h100-sxm5-80gb", "gpus": "8", "seq_len": "8192", "global_batch_samples": "64"}
    run = read_run(row | {column: written}, load_catalog(), "row")
    assert (
        read == {"precision": run.setting.precision, "recompute": run.recompute, "zero_or_fsdp": run.zero_stage}[column]
    )


@pytest.mark.parametrize("column", ["precision", "recompute", "zero_or_fsdp"])
def test_words_that_mean_nothing_are_told(column: str) -> None:
    row = {"model": "llama3-8b", "gpu": "h100-sxm5-80gb", "gpus": "8", "seq_len": "8192", "global_batch_samples": "64"}
    with pytest.raises(PlannerError, match=f"row: {column} 'tuesday'"):
        read_run(row | {column: "Tuesday"}, load_catalog(), "row")


@pytest.mark.parametrize("written", ["", "Cerebras WSE-3", "A1000", "H1", "80GB"])
def test_an_unknown_chip_is_not_guessed(written: str) -> None:
    assert accelerator_written(written, 80, PARTS) is None


def test_a_memory_that_no_part_has_is_a_part_of_its_own_with_a_wider_interval() -> None:
    odd = accelerator_written("A100-SXM4-64GB", None, PARTS)
    assert odd is not None
    assert (odd.id, round(odd.memory_gib * 2**30 / 1e9)) == ("a100-sxm4-64gb", 64)
    row = {
        "model": "gpt-3.6b", "n_layers": "30", "hidden": "3072", "n_heads": "32", "vocab": "50304", "seq_len": "2048",
        "framework": "megatron-deepspeed", "precision": "fp16", "gpus": "8", "tp": "1", "micro_batch": "4",
        "global_batch_samples": "64", "recompute": "full",
    }  # fmt: skip
    known, guessed, unsure = predict_rows(
        [row | {"gpu": "A100", "gpu_mem_gb": "80"}, row | {"gpu": "A100-SXM4-64GB"}, row | {"gpu": "A100"}],
        load_catalog(),
        load_calibration(),
    )
    assert known["why"] == guessed["why"] == unsure["why"] == ""
    width = [float(r["pred_hi"]) / float(r["pred_lo"]) for r in (known, guessed, unsure)]
    assert width[1] == pytest.approx(width[2], rel=1e-3)
    assert width[1] > 1.02 * width[0]


@pytest.mark.parametrize(
    ("framework", "release", "sequence_parallel", "zero_stage"),
    [
        ("megatron", "", True, 1),
        ("Megatron-LM", "core 0.9", True, 1),
        ("Megatron-LM", "2021-04", False, 1),
        ("NeMo", "24.05", True, 1),
        ("GPT-NeoX", "", False, 1),
        ("PyTorch FSDP", "2.1", False, 3),
        ("torchtitan", "", False, 3),
    ],
)
def test_a_framework_is_known_however_it_is_written(
    framework: str, release: str, sequence_parallel: bool, zero_stage: int
) -> None:
    row = {
        "model": "llama3-8b", "gpu": "h100-sxm5-80gb", "gpus": "16", "seq_len": "8192", "global_batch_samples": "64",
        "tp": "2", "framework": framework, "version_or_date": release,
    }  # fmt: skip
    run = read_run(row, load_catalog(), "row")
    assert (run.sequence_parallel, run.zero_stage) == (sequence_parallel, zero_stage)
