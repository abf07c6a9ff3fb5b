"""Layers beyond attention: what a pattern means, and parameters and FLOPs of each kind, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.workload import flops_per_token, load_model, model_from_mapping, parameter_counts
from planner.workload.flops import attention_layers
from planner.workload.layers import layer_words, pattern_of

H, LAYERS = 1024, 8
SHAPE = {"layers": LAYERS, "hidden": H, "heads": 8, "kv_heads": 2, "ffn": 4096, "vocab": 1000, "norm": "rmsnorm"}
MAMBA2 = {"kind": "mamba2", "heads": 32, "head_dim": 64, "state": 128, "key_heads": 2, "conv": 4, "conv_bias": True}
MOE = {"experts": 16, "top_k": 2, "expert_ffn": 512}


def model(**values: object) -> ModelSpec:
    return model_from_mapping(SHAPE | values)


def total(spec: ModelSpec) -> int:
    return parameter_counts(spec, padded=False).total


def test_a_pattern_is_repeated_over_the_layers():
    spec = model(recurrent=MAMBA2, layer_pattern="RD RD AD")
    assert layer_words(spec) == ("RD", "RD", "AD") * 2 + ("RD", "RD")
    assert pattern_of(list(layer_words(spec))) == "RD RD AD"


def test_a_pattern_of_attention_alone_is_the_model_without_it():
    plain, stated = model(), model(layer_pattern="AD")
    assert parameter_counts(stated) == parameter_counts(plain)
    assert flops_per_token(stated, 2048) == flops_per_token(plain, 2048)
    moe = model(moe=MOE | {"first_dense_layers": 2})
    assert total(model(moe=MOE, layer_pattern="AD AD AE AE AE AE AE AE")) == total(moe)
    windowed = {"sliding_window": 512}
    alternating = model(full_attention_every=2, **windowed)
    pattern = model(layer_pattern="WD AD", **windowed)
    assert attention_layers(pattern, 2048) == attention_layers(alternating, 2048) == (4, 4)
    assert flops_per_token(pattern, 2048) == flops_per_token(alternating, 2048)


@pytest.mark.parametrize(
    ("recurrent", "mixer"),
    [
        # in, convolution and its bias, step and B and C, step's bias, A, D, out
        (
            {"kind": "mamba", "heads": 1, "head_dim": 2048, "state": 16, "conv": 4, "conv_bias": True, "step_rank": 64},
            H * 4096 + 2048 * 5 + 2048 * (64 + 32) + 64 * 2048 + 2048 + 2048 * 16 + 2048 + 2048 * H,
        ),
        # in (z, x, B, C, step), convolution of x, B and C, three numbers a head, the gated norm, out
        (MAMBA2, H * (2 * 2048 + 2 * 256 + 32) + (2048 + 512) * 5 + 3 * 32 + 2048 + 2048 * H),
        # in (q, k, v, z, and two numbers a head), convolution, two numbers a head, a norm of one head, out
        (
            {"kind": "gated_delta", "heads": 16, "head_dim": 128, "state": 128, "key_heads": 8, "conv": 4},
            H * (2 * 1024 + 2 * 2048 + 32) + (2 * 1024 + 2048) * 4 + 2 * 16 + 128 + 2048 * H,
        ),
        # q, k, v and the gate, a norm, out
        (
            {"kind": "lightning", "heads": 16, "head_dim": 128, "state": 128, "key_heads": 16},
            4 * H * 2048 + 2048 + 2048 * H,
        ),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else "",
)
def test_a_recurrent_mixer_is_counted_by_hand(recurrent, mixer):
    alone = model(recurrent=recurrent, layer_pattern="R")
    assert parameter_counts(alone).recurrent == mixer
    assert total(alone) == 2 * 1000 * H + H + LAYERS * (mixer + H)  # one norm a layer
    joined = model(recurrent=recurrent, layer_pattern="RD")
    assert total(joined) - total(alone) == LAYERS * (2 * H * 4096 + H)


def test_a_scan_costs_flops_that_do_not_grow_with_the_sequence():
    spec = model(recurrent=MAMBA2, layer_pattern="R")
    short, long = flops_per_token(spec, 1024), flops_per_token(spec, 65536)
    assert short == long
    assert short.scans == LAYERS * (7 * 2048 * 128 + 2 * 2560 * 4)  # Megatron-LM's 7 d N, and the convolution
    assert (short.scores_causal, short.scores_full, short.mlp) == (0.0, 0.0, 0.0)
    assert short.projections == 2 * LAYERS * (H * (2 * 2048 + 2 * 256 + 32) + 2048 * H)


def test_flops_of_a_hybrid_are_those_of_its_layers():
    attention, mixer = model(), model(recurrent=MAMBA2, layer_pattern="RD")
    half = model(recurrent=MAMBA2, layer_pattern="RD AD")
    for part in ("projections", "scores_causal", "scores_full", "scans", "mlp"):
        mean = (getattr(flops_per_token(attention, 4096), part) + getattr(flops_per_token(mixer, 4096), part)) / 2
        assert getattr(flops_per_token(half, 4096), part) == pytest.approx(mean), part


def test_experts_at_a_latent_width_read_and_give_that():
    plain, latent = model(moe=MOE, layer_pattern="AE"), model(moe=MOE | {"latent": 256}, layer_pattern="AE")
    saved = 16 * 2 * (H - 256) * 512
    assert total(plain) - total(latent) == LAYERS * (saved - 2 * H * 256)
    assert flops_per_token(latent, 2048).experts == LAYERS * 2 * 2 * 2 * 256 * 512


def test_chunks_of_attention_are_half_seen():
    spec = model(sliding_window=1024, window_in_chunks=True)
    assert flops_per_token(spec, 8192).scores_causal == 2 * 2 * H * LAYERS * 512
    assert flops_per_token(spec, 1024).scores_causal == flops_per_token(model(), 1024).scores_causal


def test_an_indexer_reads_every_key_and_attention_those_it_chose():
    sparse = {"index_heads": 4, "index_head_dim": 32, "top_k": 256}
    spec, plain = model(sparse=sparse), model()
    indexer = H * 4 * 32 + H * (32 + 4) + 2 * 32
    assert total(spec) - total(plain) == LAYERS * indexer
    seen = 256 - 256**2 / (2 * 4096)
    assert flops_per_token(spec, 4096).scores_causal == pytest.approx(2 * LAYERS * (2 * H * seen + 4 * 32 * 2048))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"layer_pattern": "AD XD"}, "layer_pattern has 'XD'; it is a word a layer of A"),
        ({"layer_pattern": "DA"}, "layer_pattern has 'DA'"),
        ({"layer_pattern": "AR"}, "layer_pattern has 'AR'"),
        ({"layer_pattern": "RD"}, "layer_pattern has layers R, and recurrent is not stated"),
        ({"layer_pattern": "AE"}, "layer_pattern has layers E, and moe is not stated"),
        ({"layer_pattern": "WD"}, "layer_pattern has layers W, and sliding_window is not stated"),
        ({"recurrent": MAMBA2}, "recurrent is stated, and layer_pattern has no layer R"),
        ({"layer_pattern": "AD", "moe": MOE}, "moe is stated, and layer_pattern has no layer E"),
        ({"layer_pattern": "RD", "recurrent": MAMBA2 | {"kind": "rwkv"}}, "recurrent.kind is 'rwkv'; it may be mamba"),
        ({"layer_pattern": "RD", "recurrent": MAMBA2, "ffn": 0}, "layer_pattern has layers D, and ffn is 0"),
    ],
    ids=str,
)
def test_a_pattern_that_cannot_be_is_refused_in_a_sentence(values, words):
    with pytest.raises(PlannerError, match=words):
        model(**values)


def test_bare_norms_have_no_weights_and_wide_ones_many():
    plain = model()
    assert total(plain) - total(replace(plain, norm="layernorm_bare")) == (2 * LAYERS + 1) * H
    normed = replace(plain, qk_norm=True)
    assert total(replace(normed, qk_norm_wide=True)) - total(normed) == LAYERS * (10 * 128 - 2 * 128)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("meta-llama/Meta-Llama-3-8B", "llama3-8b"),
        ("META-LLAMA/llama-3.1-8b-instruct", "llama3-8b"),
        ("meta-llama/Llama-2-7b-chat-hf", "llama2-7b"),
        ("mistralai/Mistral-7B-Instruct-v0.1", "mistral-7b"),
        ("Qwen/Qwen3-30B-A3B-Instruct-2507", "qwen3-30b-a3b"),
        ("deepseek-ai/DeepSeek-V3-0324", "deepseekv3"),
        ("EleutherAI/pythia-6.9b-deduped", "pythia-6.9b"),
    ],
)
def test_an_id_of_a_hub_is_the_model_whatever_its_case_and_tuning(name, known):
    assert load_model(name).name == known


@pytest.mark.parametrize("name", ["mistralai/Mistral-7B-v0.3", "meta-llama/Llama-38b", "a/b/llama3-8b", "x/", "/etc"])
def test_an_id_of_a_model_of_another_shape_is_not_taken_for_one(name):
    with pytest.raises(PlannerError, match="no model is called"):
        load_model(name)
