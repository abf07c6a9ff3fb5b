"""Accelerators, precisions and recomputation as other people's tables write them."""

from __future__ import annotations

import pytest

from planner.catalog import load_catalog
from planner.performance.gpu_names import accelerator_written
from planner.performance.loading import load_calibration
from planner.performance.predict import predict_rows
from planner.performance.rows import read_run
from planner.spec.layout import RECOMPUTE
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
        ("MI250X", None, "mi250x-gcd-64gb"),
        ("MI250X", 64, "mi250x-gcd-64gb"),
        ("H100", 96, "h100-sxm5-96gb"),
        ("NVIDIA RTX PRO 6000 Blackwell", None, "rtx-pro6000-96gb"),
        ("RTX 5090", None, "rtx-5090-32gb"),
        ("H20", None, "h20-sxm5-96gb"),
        ("TPU v5p", None, "tpu-v5p"),
        ("RTX 4090", None, "rtx-4090-24gb"),
        ("Gaudi 2", None, "gaudi2-96gb"),
        ("L4", None, "l4-24gb"),
        ("L40S", None, "l40s-48gb"),
        ("A100 40 GB", None, "a100-sxm4-40gb"),
        ("a100 40", None, "a100-sxm4-40gb"),
        ("A100-40G", None, "a100-sxm4-40gb"),
        ("8 x A100 80 GB", None, "a100-sxm4-80gb"),
        ("8xH100", None, "h100-sxm5-80gb"),
        ("8x H100", None, "h100-sxm5-80gb"),
        ("H100x8", None, "h100-sxm5-80gb"),
        ("8xRTX4090", None, "rtx-4090-24gb"),
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
    recompute, stage = RECOMPUTE.index(run.layout.recompute), run.layout.zero_stage
    assert read == {"precision": run.setting.precision, "recompute": recompute, "zero_or_fsdp": stage}[column]


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
    assert width[0] < width[1] <= 1.0001 * width[2]  # a form factor known is worth something


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
    assert (run.layout.sequence_parallel, run.layout.zero_stage) == (sequence_parallel, zero_stage)


RUN = {
    "model": "llama3-8b", "gpu": "h100-sxm5-80gb", "gpus": "16", "seq_len": "8192", "global_batch_samples": "64",
    "micro_batch": "1", "framework": "megatron",
}  # fmt: skip
SHAPED = RUN | {"model": "my-own", "n_layers": "32", "hidden": "4096", "n_heads": "32"}
CATALOG = load_catalog()
COUNTS = (
    "tp", "pp", "vpp", "cp", "ep", "gpus", "dp", "gpus_per_node", "micro_batch", "grad_accum", "global_batch_samples",
    "seq_len", "n_layers", "hidden", "n_heads",
)  # fmt: skip


@pytest.mark.parametrize("column", COUNTS)
@pytest.mark.parametrize("written", ["0", "-1", "1.5", "1e15", "1e200", "inf", "many"])
@pytest.mark.parametrize("row", [RUN, SHAPED], ids=["known", "shaped"])
def test_a_count_is_a_whole_number_above_zero(row: dict[str, str], column: str, written: str) -> None:
    with pytest.raises(PlannerError, match=rf"^row: {column} '{written}' must be a whole number from 1 to "):
        read_run(row | {column: written}, CATALOG, "row")


def test_bad_rows_say_why_and_the_others_are_predicted() -> None:
    bad = [{c: "0"} for c in ("tp", "pp", "cp", "vpp", "ep")]
    bad += [{"interconnect": w} for w in ("1.2.3 Gb/s", ". Gb/s", "0 Gb/s", "9e99 Gb/s", "9" * 100 + " Gb/s")]
    bad += [{"hidden": "1000000", "ffn": "10000000", "n_layers": "100000"}, {"n_heads": "5000"}]
    bad += [{"experts": "8", "top_k": "9"}, {"gpus": "", "dp": "1000000000", "tp": "1000000"}]
    found = predict_rows([SHAPED, *(SHAPED | more for more in bad), SHAPED], CATALOG, load_calibration())
    assert found[0]["pred_tokens_per_s_per_gpu"] == found[-1]["pred_tokens_per_s_per_gpu"] != ""
    for number, (row, more) in enumerate(zip(found[1:-1], bad, strict=True), 2):
        assert row["pred_tokens_per_s_per_gpu"] == "", more
        assert row["why"].startswith(f"row:{number}: "), more
        assert any(column in row["why"] for column in more), more


def test_experts_may_be_none() -> None:
    assert read_run(SHAPED | {"experts": "0", "top_k": "0", "ep": ""}, CATALOG, "row").setting.model.moe is None


@pytest.mark.parametrize(
    ("written", "gbit_per_s", "fabric"),
    [
        ("8 x 400 Gb/s InfiniBand", 3200, "infiniband"),
        ("8x400G RoCE", 3200, "roce"),
        ("400 Gb/s per GPU", 3200, "infiniband"),
        ("8 x 200 Gb/s per GPU", 1600, "infiniband"),
        ("400 Gbit/s/gpu", 3200, "infiniband"),
        ("4 NICs, 4 x 200 Gb/s per NIC", 800, "infiniband"),
        ("3,200 Gb/s", 3200, "infiniband"),
        ("25 gbps", 25, "infiniband"),
        ("3.2 Tb/s EFA", 3200, "efa"),
        ("1600 Gb/s per node", 1600, "infiniband"),
        ("800 Gb/s per node", 800, "infiniband"),
        ("InfiniBand 1600 Gb/s (200 Gb/s per GPU)", 1600, "infiniband"),
        ("25 Gbit/s Ethernet", 25, "ethernet"),
        ("100GbE Ethernet", 100, "ethernet"),
        ("GPUDirect-TCPX 4x200 Gbps", 800, "tcpx"),
        ("50 GB/s", 400, "infiniband"),
        ("50 GByte/s", 400, "infiniband"),
        ("NVLink 900 GB/s", 3200, "infiniband"),
        ("NVLink 900 GB/s, 1600 Gb/s RoCE", 1600, "roce"),
        ("NVLink (900 GB/s) + 400 Gb/s InfiniBand", 400, "infiniband"),
        ("not stated", 3200, "infiniband"),
    ],
)
def test_an_interconnect_is_a_node_s_network(written: str, gbit_per_s: float, fabric: str) -> None:
    hardware = read_run(RUN | {"interconnect": written}, CATALOG, "row").setting.hardware
    assert hardware.network_gbit_per_s == pytest.approx(gbit_per_s)
    assert hardware.fabric == fabric


def test_no_network_is_enough_for_one_node() -> None:
    stated = RUN | {"interconnect": "0 Gb/s"}
    assert read_run(stated | {"gpus": "8"}, CATALOG, "row").setting.hardware.network_gbit_per_s == 0
    with pytest.raises(PlannerError, match="row: interconnect '0 Gb/s' is no network, but 16 GPUs"):
        read_run(stated, CATALOG, "row")


@pytest.mark.parametrize(
    ("gpu", "stated", "gpus_per_node", "gbit_per_s", "fabric"),
    [
        ("h100-sxm5-80gb", "", 8, 3200, "infiniband"),
        ("h100-sxm5-80gb", "4", 4, 1600, "infiniband"),
        ("gb200-nvl72", "", 4, 1600, "infiniband"),
        ("gb200-nvl72", "8", 8, 3200, "infiniband"),
        ("gaudi2-96gb", "", 8, 2400, "roce"),
        ("h800-sxm5-80gb", "", 8, 3200, "infiniband"),
        ("mi250x-128gb", "4", 4, 1600, "infiniband"),
        ("h100-sxm5-96gb", "", 8, 3200, "infiniband"),
        ("l40s-48gb", "", 8, 200, "infiniband"),
        ("rtx-3090-24gb", "", 2, 50, "infiniband"),
        ("rtx-4090-24gb", "4", 4, 100, "infiniband"),
    ],
)
def test_an_unstated_node_is_the_maker_s(
    gpu: str, stated: str, gpus_per_node: int, gbit_per_s: float, fabric: str
) -> None:
    hardware = read_run(RUN | {"gpu": gpu, "gpus_per_node": stated}, CATALOG, "row").setting.hardware
    assert (hardware.gpus_per_node, hardware.network_gbit_per_s) == (gpus_per_node, gbit_per_s)
    assert hardware.fabric == fabric


@pytest.mark.parametrize(
    ("framework", "written", "release"),
    [
        ("gpt-neox", "v1.0", "1.0"),
        ("GPT-NeoX", "1.0.0", "1.0"),
        ("gptneox", "V2.0.0", "2.0"),
        ("GPT NeoX", "1.0", "1.0"),
        ("gpt-neox", "1.0.1", "1.0.1"),
        ("megatron", "26.04.0", "26.04.0"),
        ("megatron", "v1.0", "v1.0"),
    ],
)
def test_a_release_of_neox_is_known_however_it_is_written(framework: str, written: str, release: str) -> None:
    run = read_run(RUN | {"framework": framework, "version_or_date": written}, CATALOG, "row")
    assert run.setting.release == release


def test_a_part_that_is_not_known_is_never_its_sibling() -> None:
    for stranger in ("RTX PRO 5000", "RTX 6000", "MI250", "H200 NVLx", "A10"):
        found = accelerator_written(stranger, None, PARTS)
        assert found is None or found.id not in ("rtx-pro6000-96gb", "mi250x-gcd-64gb", "a10g-24gb")


def test_four_superchips_of_one_node_meet_by_nvlink_and_a_single_one_has_no_peer() -> None:
    node = read_run(RUN | {"gpu": "gh200-96gb", "gpus_per_node": "4"}, CATALOG, "row").setting.hardware
    assert (node.scale_up_domain, node.link_gbyte_per_s) == (4, 450)
    assert CATALOG.nodes["lambda-1x-gh200"].scale_up_domain == 1


@pytest.mark.parametrize(("gpu", "gpus_per_node"), [("mi250x-gcd-64gb", 8), ("gh200-96gb", 4)])
def test_a_cray_node_of_either_part_has_four_ports_of_200(gpu: str, gpus_per_node: int) -> None:
    hardware = read_run(RUN | {"gpu": gpu}, CATALOG, "row").setting.hardware
    assert (hardware.gpus_per_node, hardware.network_gbit_per_s) == (gpus_per_node, 800)


def test_a_half_module_has_half_of_the_module_and_a_v100_no_flash_attention() -> None:
    half, whole = CATALOG.accelerator("mi250x-gcd-64gb"), CATALOG.accelerator("mi250x-128gb")
    assert half.peak_dense_tflops["bf16"] * 2 == whole.peak_dense_tflops["bf16"]
    assert half.memory_gib * 2 == pytest.approx(whole.memory_gib)
    volta = CATALOG.accelerator("v100-sxm2-32gb")
    assert not volta.flash_attention
    assert "bf16" not in volta.peak_dense_tflops
    assert CATALOG.accelerator("a100-sxm4-80gb").flash_attention
