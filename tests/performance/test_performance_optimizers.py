"""Optimizers and what the host holds: in memory, in time, in checkpoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.catalog.risk_facts import load_risk_facts
from planner.performance.arrays import Layouts, Memory, Setting
from planner.performance.loading import load_calibration
from planner.performance.memory import memory
from planner.performance.optimizers import OPTIMIZERS, state_bytes
from planner.performance.rows import read_run
from planner.performance.steptime import step_time
from planner.risk.failures import checkpoint_bytes
from planner.scenario.sections import OFFLOADS
from planner.scenario.sections import OPTIMIZERS as NAMES
from planner.units import PlannerError
from planner.workload.model_catalog import load_model

RUN = {
    "model": "llama3-8b", "framework": "megatron", "seq_len": "4096", "gpu": "h100-sxm5-80gb", "gpus": "8", "tp": "2",
    "micro_batch": "1", "global_batch_samples": "64", "precision": "bf16", "zero_or_fsdp": "zero1", "recompute": "full",
}  # fmt: skip
LAYOUT = Layouts(
    *(np.array([v]) for v in (2, 1, 1, 4, 1, 1, 1)), np.array([True]), *(np.array([v]) for v in (2, 1, 16))
)


def setting(**cells: str) -> Setting:
    return read_run(RUN | cells, load_catalog(), "row").setting


def held(**cells: str) -> Memory:
    return memory(setting(**cells), LAYOUT)


def terms(**cells: str) -> dict[str, float]:
    return {k: float(v[0]) for k, v in step_time(setting(**cells), LAYOUT, load_calibration()).terms_s.items()}


def test_scenarios_know_the_optimizers_and_places_that_the_physics_knows():
    from planner.performance.conditions import OFFLOADS as PLACES

    assert set(NAMES) == set(OPTIMIZERS)
    assert OFFLOADS == PLACES


@pytest.mark.parametrize(
    ("name", "of_12"),
    [("adamw", 12), ("adamw-bf16", 8), ("adamw-8bit", 6.03), ("lion", 8), ("adafactor", 4), ("sgd-momentum", 8)],
)
def test_an_optimizer_keeps_its_moments_and_fp32_weights(name, of_12):
    assert state_bytes(name, load_model("llama3-8b")) == pytest.approx(of_12, abs=0.01)
    assert held(optimizer=name).optimizer[0] == pytest.approx(held().optimizer[0] * of_12 / 12, rel=0.01)
    assert terms(optimizer=name)["optimizer"] <= terms()["optimizer"]


def test_muon_keeps_one_momentum_of_matrices_and_pays_for_making_it_orthogonal():
    model = load_model("llama3-8b")  # of whose parameters 13 % are embeddings, under AdamW
    assert 8 < state_bytes("muon", model) < 9
    assert terms(optimizer="muon")["optimizer"] > terms(optimizer="lion")["optimizer"]


def test_a_rows_own_bytes_win_and_16_bits_throughout_need_no_fp32_weights():
    assert held(optimizer_state_bytes="6").optimizer[0] == pytest.approx(held().optimizer[0] / 2)
    sharded = {"framework": "fsdp", "tp": "1", "zero_or_fsdp": "fsdp"}
    x = replace(
        LAYOUT, tp=np.array([1]), dp=np.array([8]), zero_stage=np.array([3]), sequence_parallel=np.array([False])
    )
    mixed, pure = (memory(setting(**sharded, optimizer_state_bytes=b), x) for b in ("12", "4"))
    shards = [m.weights[0] + m.gradients[0] + m.optimizer[0] for m in (mixed, pure)]
    assert shards[0] - shards[1] == pytest.approx(8 * 8.03e9 / 8 / 2**30, rel=0.01)  # 16 bytes a parameter, and 8


@pytest.mark.parametrize("name", ["optimizer", "both"])
def test_an_optimizer_on_the_host_leaves_the_gpu_and_takes_its_time_over_pcie(name):
    assert held(offload=name).optimizer[0] == 0
    # A quarter of 4 billion parameters a rank: gradients and weights over 50 GB/s, states through 77 GB/s of DDR5.
    each = 8.03e9 / 2 / 4
    expected = each * ((4 + 2) / 50.4e9 + (2 * 12 + 4) / 76.75e9)
    assert terms(offload=name)["optimizer"] == pytest.approx(expected, rel=0.15)
    assert terms(offload=name, gpu="gh200-96gb")["optimizer"] < terms(offload=name)["optimizer"] / 4


def test_layers_inputs_on_the_host_leave_two_of_them_and_cost_time_only_beyond_the_computation():
    with_them, without = held(), held(offload="activations")
    layer_input = 4096 * 4096 * 2 / 2 / 2**30  # sequence parallel halves it
    assert (with_them.activations - without.activations)[0] == pytest.approx(30 * layer_input, rel=0.04)
    assert terms(offload="activations")["offload"] == 0
    assert "offload" not in terms()


def test_a_checkpoint_holds_what_the_optimizer_keeps():
    facts = load_risk_facts()
    assert checkpoint_bytes(10**9, facts) == checkpoint_bytes(10**9, facts, 12.0) == 14e9
    assert checkpoint_bytes(10**9, facts, state_bytes("lion", load_model("llama3-8b"))) == 10e9


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"optimizer": "adam2"}, "optimizer 'adam2' must be one of adamw, adamw-bf16"),
        ({"offload": "disk"}, "offload 'disk' must be one of none, optimizer, activations, both"),
        ({"loss": "big"}, "loss 'big' must be one of eager, fused, chunked"),
        ({"recompute_modules": "norms"}, "recompute_modules 'norms' must be one of core_attn, layernorm"),
    ],
)
def test_a_word_that_is_not_known_is_answered_with_those_that_are(cells, sentence):
    with pytest.raises(PlannerError, match=sentence):
        setting(**cells)


def test_an_eager_swiglu_keeps_four_tensors_and_a_fused_one_three():
    eager, fused = (held(recompute="none", fused_or_compile=word) for word in ("no", "yes"))
    x = replace(LAYOUT, recompute=np.array([0]))
    eager, fused = (memory(setting(fused_or_compile=word), x) for word in ("no", "yes"))
    assert (eager.activations - fused.activations)[0] == pytest.approx(
        32 * 4096 * 2 * 14336 / 2 * 1.03 / 2**30, rel=1e-6
    )


def test_experts_that_tensor_parallel_ranks_share_are_smaller():
    moe = {"model": "mixtral-8x7b", "ep": "2", "sequence_parallel": "yes"}
    x = replace(LAYOUT, ep=np.array([2]))
    whole, shared = (memory(setting(**moe, etp=n), x) for n in ("1", "2"))
    assert shared.weights[0] < 0.6 * whole.weights[0]
