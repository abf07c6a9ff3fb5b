"""Optimizers, offload and partial recompute by arithmetic of one's own: memory, time and checkpoints."""

from __future__ import annotations

import pytest

from planner.catalog import load_catalog
from planner.catalog.risk_facts import load_risk_facts
from planner.performance.arrays import Layouts, Memory, Setting
from planner.performance.conditions import optimizer_state_bytes
from planner.performance.loading import load_calibration
from planner.performance.memory import memory
from planner.performance.rows import layouts_of, read_run
from planner.performance.steptime import step_time
from planner.risk.failures import checkpoint_bytes
from planner.workload.counts import parameter_counts

GIB = 2.0**30
LAYERS, HIDDEN, VOCAB, SEQUENCE, RANKS = 24, 2048, 50304, 2048, 8
MATRICES = 12 * LAYERS * HIDDEN**2  # attention 4 h², MLP 8 h²
TABLES = 2 * VOCAB * HIDDEN  # embedding and head
RUN = {
    "model": "by hand", "n_layers": "24", "hidden": "2048", "n_heads": "16", "vocab": "50304", "seq_len": "2048",
    "framework": "megatron", "gpu": "h100-sxm5-80gb", "gpus": "8", "tp": "1", "pp": "1", "micro_batch": "1",
    "global_batch_samples": "64", "precision": "bf16", "zero_or_fsdp": "zero1", "recompute": "none",
}  # fmt: skip
#: Bytes a parameter, written out: fp32 weights, then what each paper keeps beside them.
BYTES = {
    "adamw": 4 + 4 + 4,
    "adamw-bf16": 4 + 2 + 2,
    "adamw-8bit": 4 + 1 + 1 + 2 * 4 / 256,  # an fp32 scale to each block of 256 of both moments
    "lion": 4 + 4,
    "sgd-momentum": 4 + 4,
    "adafactor": 4,  # sums of rows and columns: h + 4h numbers of 4h² are nothing
}
MUON = ((4 + 4) * MATRICES + (4 + 4 + 4) * TABLES) / (MATRICES + TABLES)


def read(**cells: str) -> tuple[Setting, Layouts]:
    run = read_run(RUN | cells, load_catalog(), "row")
    return run.setting, layouts_of([run])


def held(**cells: str) -> Memory:
    return memory(*read(**cells))


def terms(**cells: str) -> dict[str, float]:
    return {name: float(value[0]) for name, value in step_time(*read(**cells), load_calibration()).terms_s.items()}


@pytest.mark.parametrize(("name", "bytes_each"), [*BYTES.items(), ("muon", MUON)])
def test_an_optimizers_bytes_are_in_memory_over_its_ranks_and_whole_in_a_checkpoint(name: str, bytes_each: float):
    parameters = MATRICES + TABLES  # norms and biases are a thousandth
    assert held(optimizer=name).optimizer[0] * GIB == pytest.approx(parameters * bytes_each / RANKS, rel=0.01)
    without = {"zero_or_fsdp": "zero0"}
    assert held(optimizer=name, **without).optimizer[0] * GIB == pytest.approx(parameters * bytes_each, rel=0.01)
    saved = checkpoint_bytes(parameters, load_risk_facts(), optimizer_state_bytes(read(optimizer=name)[0]))
    assert saved == pytest.approx(parameters * (2 + bytes_each), rel=0.002)  # bf16 weights beside them


def test_a_step_reads_and_writes_what_the_optimizer_keeps():
    steps = {name: terms(optimizer=name, zero_or_fsdp="zero0")["optimizer"] for name in BYTES}
    a_byte = (steps["adamw"] - steps["adafactor"]) / (12 - 4)
    for name, bytes_each in BYTES.items():
        assert steps[name] - steps["adafactor"] == pytest.approx(a_byte * (bytes_each - 4), rel=1e-6), name
    # Read and written, at between half and all of the 3.35 TB/s of the data sheet.
    fastest = 2 * (MATRICES + TABLES) / 3.35e12
    assert fastest < a_byte < 2 * fastest


def test_muons_step_multiplies_matrices_five_times():
    # X X' (2 m² n), its square (2 m³), their product with X (2 m² n): on h x h 6 h³ an iteration, on h x 4h 18 h³.
    flops = 5 * LAYERS * (4 * 6 + 2 * 18) * HIDDEN**3
    step = (
        terms(optimizer="muon", zero_or_fsdp="zero0")["optimizer"]
        - terms(optimizer="lion", zero_or_fsdp="zero0")["optimizer"]
    )
    # Beside them Muon's tables have moments of 8 bytes, not 4: 1.6 GB that are read and written.
    assert 0.8 * flops / 989e12 < step < 3 * flops / 989e12 + 2 * 4 * TABLES / 1.6e12


@pytest.mark.parametrize("share", [0.25, 0.5, 0.75])
def test_a_share_of_layers_recomputed_keeps_the_others_whole(share: float):
    token = HIDDEN * SEQUENCE
    whole = 32 * token  # Korthikanti et al.: 34 s b h, 2 of them dropout masks, with flash attention
    kept = LAYERS * (share * 2 * token + (1 - share) * whole)
    none, some = held(), held(recompute="full", recompute_share=str(share))
    saved = (none.activations - some.activations)[0] * GIB / 1.03  # 3 % are lost between blocks
    # Either peak is where logits stand, 6 bytes each: more than the one layer that is whole while it is rebuilt.
    assert whole < 6 * VOCAB * SEQUENCE
    assert saved == pytest.approx(LAYERS * whole - kept, rel=0.001)


def test_a_share_of_layers_takes_its_share_of_another_forward_pass():
    compute = {}
    for share in (0.0, 0.5, 1.0):
        cells = {"recompute": "full", "recompute_share": str(share)} if share else {}
        compute[share] = sum(terms(**cells)[name] for name in ("matmul", "attention", "memory_bound"))
    assert compute[0.5] - compute[0.0] == pytest.approx((compute[1.0] - compute[0.0]) / 2, rel=0.02)
    assert 1.2 < compute[1.0] / compute[0.0] < 1.4  # a forward pass more on three


def test_activations_on_the_host_take_the_time_by_which_they_are_slower_than_the_computation():
    narrow = {"n_layers": "16", "hidden": "128", "n_heads": "2", "vocab": "512", "recompute": "full"}
    found = terms(offload="activations", **narrow)
    # Eight micro-batches, each layer's input there and back over PCIe 5.0, 63 GB/s of which copies reach 80 %.
    moved = 8 * 16 * 2 * (SEQUENCE * 128 * 2) / (0.8 * 63e9)
    assert 0.0 <= found["offload"] <= 1.01 * moved
    assert terms(offload="activations", recompute="full")["offload"] == 0.0  # 16 times as wide: hidden


def test_an_optimizer_on_the_host_moves_gradients_and_weights_and_steps_in_host_memory():
    share = (MATRICES + TABLES) / RANKS
    expected = share * ((4 + 2) / (0.8 * 63e9) + (2 * 12 + 4) / (614e9 / 8))
    assert terms(offload="optimizer")["optimizer"] == pytest.approx(expected, rel=0.05)
    half = share * ((4 + 2) / (0.8 * 63e9) + (2 * 8 + 4) / (614e9 / 8))
    assert terms(offload="optimizer", optimizer="lion")["optimizer"] == pytest.approx(half, rel=0.05)
    assert held(offload="optimizer").optimizer[0] == 0.0


def test_parameters_are_counted_as_by_hand():
    assert parameter_counts(read()[0].model).total == pytest.approx(MATRICES + TABLES, rel=0.004)
