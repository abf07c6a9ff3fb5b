"""FLOPs per token, in each convention, against what others print."""

from __future__ import annotations

import pytest

from planner.workload import flops_per_token, load_model, neox_logged_flops, parameter_counts
from planner.workload.flops import llm_foundry_flops_per_token, six_n_d, windowed_keys

# NVIDIA-NeMo/Megatron-Bridge performance summary: model TFLOP/s per GPU over tokens/s per GPU, in GFLOPs a token.
MEGATRON_BRIDGE = [
    ("llama3-8b", 8192, 51.470),
    ("llama3-70b", 8192, 449.529),
    ("llama3-70b", 4096, 432.453),
    ("llama3.1-405b", 8192, 2524.160),
    ("qwen3-30b-a3b", 4096, 23.006),
    ("qwen3-235b-a22b", 4096, 148.087),
    ("deepseekv3", 4096, 260.019),  # with its multi-token prediction layer
    ("kimi-k2", 4096, 204.426),
    ("gpt-oss-120b", 4096, 32.589),  # from release 26.06 on, which counts the window of every other layer
]
# mosaicml/llm-foundry, scripts/train/benchmarking: the same quotient, TFLOP/s printed as whole numbers.
LLM_FOUNDRY = [
    ("mpt-70b", 2048, 405.164),
    ("mpt-30b", 4096, 196.448),
    ("mpt-13b", 2048, 81.987),
    ("mpt-7b", 65_536, 144.172),
    ("mpt-3b", 32_768, 48.527),
    ("mpt-1b", 512, 8.165),
    ("mpt-350m", 65_536, 21.797),
    ("mpt-125m", 1024, 0.856),
]


@pytest.mark.parametrize(("name", "seq_length", "gflops"), MEGATRON_BRIDGE)
def test_causal_count_is_the_one_megatron_prints(name: str, seq_length: int, gflops: float) -> None:
    assert flops_per_token(load_model(name), seq_length).training / 1e9 == pytest.approx(gflops, rel=0.005)


def test_without_multi_token_prediction_deepseek_costs_less() -> None:
    flops = flops_per_token(load_model("deepseekv3"), 4096)
    # Megatron-Bridge 25.11, "DeepSeekV3 w/o MTP"
    assert (flops.training - 3 * flops.mtp) / 1e9 == pytest.approx(249.713, rel=0.005)


@pytest.mark.parametrize(("name", "seq_length", "gflops"), LLM_FOUNDRY)
def test_full_square_is_the_one_llm_foundry_prints(name: str, seq_length: int, gflops: float) -> None:
    # The divided TFLOP/s are truncated to whole numbers, up to 0.7 % low at these speeds.
    assert llm_foundry_flops_per_token(load_model(name), seq_length) / 1e9 == pytest.approx(gflops, rel=0.008)


def test_both_conventions_are_in_every_answer() -> None:
    model = load_model("llama3-8b")
    causal, full = flops_per_token(model, 8192), flops_per_token(model, 8192, causal=False)
    assert full.scores == causal.scores_full == 2 * causal.scores_causal
    assert full.training - causal.training == 3 * causal.scores_causal
    # 12 L s a d for forward and backward of the full square
    assert 3 * full.scores_full == 12 * model.layers * 8192 * model.heads * model.head_dim


def test_a_window_is_counted_by_the_keys_it_leaves() -> None:
    seq_length, window = 1000, 128
    seen = sum(min(query + 1, window) for query in range(seq_length)) / seq_length
    assert windowed_keys(seq_length, window) == pytest.approx(seen, rel=0.01)
    assert windowed_keys(100, window) == 50
    mistral = flops_per_token(load_model("mistral-7b"), 32_768)
    assert mistral.scores_causal < mistral.scores_full / 4


def test_matmuls_of_a_plain_decoder_are_two_flops_a_weight() -> None:
    model = load_model("gpt-neox-20b")
    counts, flops = parameter_counts(model, tp=2), flops_per_token(model, 2048, tp=2)
    weights = counts.total - counts.embedding
    assert flops.matmul == pytest.approx(2 * weights, rel=2e-4)  # biases and norms apart
    assert six_n_d(counts) == pytest.approx(3 * (flops.matmul - flops.logits), rel=2e-4)


def test_neox_logs_what_narayanan_2021_counts() -> None:
    model = load_model("gpt-neox-20b")
    logged = neox_logged_flops(model, 2048, 1536, tp=2)
    tokens, h, layers = 1536 * 2048, 6144, 44
    assert logged == pytest.approx(96 * tokens * layers * h * h * (1 + 2048 / (6 * h) + 50_432 / (16 * layers * h)))
    # 117 TFLOP/s on each of 96 GPUs is the 47.66 s an iteration that the published 150,000 iterations imply.
    assert logged / (96 * 117e12) == pytest.approx(47.66, abs=0.01)
    without = neox_logged_flops(model, 2048, 1536, recompute=False, tp=2)
    assert logged / without == pytest.approx(4 / 3)
    # Beside our full square: layers recomputed, logits not; with c = 3 NeoX counts three quarters of the logits.
    ours = flops_per_token(model, 2048, causal=False, tp=2)
    assert logged == pytest.approx(tokens * (4 * (ours.forward - ours.logits) + 3 * ours.logits), rel=1e-12)
    assert without == pytest.approx(tokens * (ours.training - 0.75 * ours.logits), rel=1e-12)
