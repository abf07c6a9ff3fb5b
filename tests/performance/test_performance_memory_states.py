"""Memory against the literature: ZeRO's shares, activations by formula, micro-batches in flight."""

from __future__ import annotations

import numpy as np
import pytest

from planner.performance.framework_table import framework
from planner.performance.memory_layout import by_stage
from planner.performance.memory_shapes import memory_shapes
from planner.performance.pipeline_stages import even, in_flight_limit, stage_layers
from planner.spec.model import MLASpec, ModelSpec, MoESpec

GPT = ModelSpec("gpt", layers=4, hidden=1024, heads=16, kv_heads=16, head_dim=64, ffn=4096, vocab=50257)


@pytest.mark.parametrize(("stage", "gb"), [(0, 120.0), (1, 31.4), (2, 16.6), (3, 1.9)])
def test_states_of_7_5_billion_parameters_on_64_ranks_are_zeros_own_figures(stage, gb):
    # Rajbhandari et al. 2020, figure 1: K = 12, 7.5e9 parameters, 64-way data parallel.
    state = framework("gpt-neox").state_bytes("fp16")
    kinds = (state.weights, state.gradients, state.optimizer)
    stages = np.array([stage])
    total = 7.5e9 * (by_stage(kinds, "full", stages) + by_stage(kinds, "shard", stages) / 64)
    assert total.item() / 1e9 == pytest.approx(gb, abs=0.05)


@pytest.mark.parametrize("name", ["gpt-neox", "megatron", "fsdp"])
def test_a_higher_zero_stage_never_keeps_more_of_anything(name):
    row = framework(name)
    for precision in row.precisions:
        state = row.state_bytes(precision)
        for kind in (state.weights, state.gradients, state.optimizer):
            for ranks in (1, 2, 7, 512):
                kept = (np.array(kind.full) + np.array(kind.shard) / ranks)[list(row.zero_stages)]
                assert (np.diff(kept) <= 1e-12).all(), (precision, kind)


def test_activations_of_a_gpt_layer_are_korthikantis_without_dropout_masks():
    # Korthikanti et al. 2022, equations 1 and 2: s b h (34 + 5 a s / h), of which 2 are masks; with tensor parallel
    # s b h (10 + 24 / t + 5 a s / (h t)), of which the masks are whole.
    layer = memory_shapes(GPT, 2048, "fp16", "gpt-neox", False).dense
    h, a, s = GPT.hidden, GPT.heads, 2048
    assert layer.spread == (10 - 2) * h
    assert layer.split == 24 * h
    assert layer.scores * s == 5 * a * s
    assert layer.routed == 0


def test_flash_attention_and_selective_recompute_drop_the_scores():
    assert memory_shapes(GPT, 2048, "bf16", "gpt-neox", True).dense.scores == 0
    eager = memory_shapes(GPT, 2048, "bf16", "megatron", False)
    assert eager.dense.scores > 0
    assert eager.dense_selective.scores == 0


def test_gated_mlps_and_grouped_queries_change_the_24():
    llama = ModelSpec(
        "l", layers=2, hidden=4096, heads=32, kv_heads=8, head_dim=128, ffn=14336, vocab=128256, gated_mlp=True
    )
    split = memory_shapes(llama, 8192, "bf16", "megatron", True).dense.split
    # q and output h each, k and v a quarter of it each, three inner widths, 2 bytes each.
    assert split == 2 * (2 * 4096 + 2 * 1024 + 3 * 14336)


def test_eight_bit_recipes_save_matmul_inputs_in_eight_bits():
    bf16, fp8 = (memory_shapes(GPT, 2048, p, "megatron", True).dense for p in ("bf16", "fp8"))
    assert bf16.spread - fp8.spread == 2 * GPT.hidden  # both norms' outputs
    # The MLP's second input is smaller; the projection's is a copy beside what attention keeps.
    assert bf16.split - fp8.split == GPT.ffn - GPT.hidden


def test_experts_keep_the_tokens_routed_to_them():
    moe = MoESpec(experts=64, top_k=6, expert_ffn=512, shared_experts=1, shared_ffn=1024)
    model = ModelSpec("m", 2, 1024, 16, 16, 64, 4096, 1000, gated_mlp=True, moe=moe)
    layer = memory_shapes(model, 4096, "bf16", "megatron", True).moe
    uneven = framework("megatron").memory.moe_imbalance
    assert layer.routed == pytest.approx(uneven * 6 * 2 * (1024 + 3 * 512))
    assert layer.split == 2 * (4 * 1024) + 2 * 3 * 1024  # attention; shared expert


def test_latent_attention_keeps_compressed_and_expanded_vectors():
    mla = MLASpec(q_lora_rank=128, kv_lora_rank=64, qk_nope_head_dim=32, qk_rope_head_dim=16, v_head_dim=32)
    model = ModelSpec("mla", 2, 512, 8, 8, 48, 2048, 1000, mla=mla)
    shapes = memory_shapes(model, 4096, "bf16", "megatron", True)
    expanded = 2 * 8 * (2 * 48 + 32)
    assert shapes.dense.split - shapes.dense_selective.split == expanded
    assert shapes.dense.split == expanded + 2 * 8 * 32 + 2 * 2 * 2048


@pytest.mark.parametrize(("p", "v"), [(2, 2), (4, 5), (8, 4), (16, 8)])
def test_the_first_stage_of_an_interleaved_pipeline_holds_what_korthikanti_says(p, v):
    limit = in_flight_limit(np.array([float(p)]), np.array([float(v)]), 0)
    assert limit.item() == pytest.approx(p * (1 + (p - 1) / (p * v)))  # section 4.2.3


def test_plain_1f1b_holds_one_micro_batch_less_a_stage():
    p, v = np.array([4.0]), np.array([1.0])
    assert [in_flight_limit(p, v, i).item() for i in (0, 1, 3, -1)] == [4, 3, 1, 1]


@pytest.mark.parametrize(("layers", "pp"), [(44, 3), (61, 8), (126, 16), (30, 30), (7, 2), (80, 8), (5, 1)])
def test_every_layer_has_a_stage(layers, pp):
    by_hand = stage_layers(layers, np.array([pp]), chosen=True)
    settled = stage_layers(layers, np.array([pp]))
    full = -(-layers // pp)
    assert settled.first == settled.last == settled.fullest == by_hand.fullest == full
    held = by_hand.first + by_hand.last + full * max(pp - 2, 0)
    assert held >= layers or pp == 1
    assert by_hand.last >= full - 1
    assert by_hand.first >= full - 1


def test_126_layers_fill_16_stages_as_megatron_bridge_lays_them_out():
    # llama31_405b: embedding and loss take a place each, so 7 + 14 x 8 + 7 layers.
    cut = stage_layers(126, np.array([16]), chosen=True)
    assert (cut.first.item(), cut.fullest.item(), cut.last.item()) == (7, 8, 7)
    assert even(126, np.array([16]), np.array([8]), more_units=2).item()
    assert not even(126, np.array([16]), np.array([8])).item()
