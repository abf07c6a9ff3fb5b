"""Time and memory of layers beyond attention: by hand, against layers of attention, and with what nobody measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_performance_steptime import CALIBRATION, layouts, setting

from planner.performance.arrays import Setting
from planner.performance.frameworks import legal, why_illegal, why_no_layout
from planner.performance.intervals import UNMEASURED, basis, spread, unmeasured_share
from planner.performance.memory import memory
from planner.performance.memory_shapes import memory_shapes
from planner.performance.shapes import forward_flops, model_numbers
from planner.performance.steptime import kernels_of, scope, step_time
from planner.spec.model import ModelSpec
from planner.workload import flops_per_token, load_model, model_from_mapping
from planner.workload.recurrent import scan_work

LATEST = ("megatron", "")
SHAPE = {"layers": 32, "hidden": 4096, "heads": 32, "kv_heads": 8, "ffn": 14336, "vocab": 128000, "norm": "rmsnorm",
         "gated_mlp": True}  # fmt: skip
MAMBA2 = {"kind": "mamba2", "heads": 128, "head_dim": 64, "state": 128, "key_heads": 8, "conv": 4, "chunk": 128}
GATED_DELTA = {"kind": "gated_delta", "heads": 32, "head_dim": 128, "state": 128, "key_heads": 16, "conv": 4}
MOE = {"experts": 64, "top_k": 4, "expert_ffn": 2048}


def model(**values: object) -> ModelSpec:
    return model_from_mapping(SHAPE | values)


def running(spec: ModelSpec, framework: tuple[str, str] = LATEST, seq_length: int = 4096) -> Setting:
    return replace(setting("llama3-8b", "h100-sxm5-80gb", framework, seq_length), model=spec)


ATTENTION = model()
HYBRID = model(recurrent=MAMBA2, layer_pattern="RD RD RD AD")
ALONE = model(recurrent=MAMBA2, layer_pattern="R D R D R D A D", layers=64)
EXPERTS = model(recurrent=GATED_DELTA, moe=MOE, layer_pattern="RE RE RE AE")


@pytest.mark.parametrize("spec", [HYBRID, ALONE, EXPERTS, model(layer_pattern="WD AD", sliding_window=512)])
@pytest.mark.parametrize("seq_length", [512, 4096, 65_536])
def test_time_stands_on_the_flops_that_are_reported(spec: ModelSpec, seq_length: int) -> None:
    flops = flops_per_token(spec, seq_length)
    assert float(forward_flops(model_numbers(spec), seq_length)) == pytest.approx(
        flops.forward + flops.router, rel=1e-9
    )


def test_a_mixer_and_an_mlp_take_as_long_in_two_layers_as_in_one() -> None:
    x = layouts(tp=2, sequence_parallel=True, dp=4)
    joined, apart = (float(step_time(running(spec), x, CALIBRATION).total_s[0]) for spec in (HYBRID, ALONE))
    assert apart == pytest.approx(joined, rel=1e-6)
    one, other = (float(memory(running(spec), x).total[0]) for spec in (HYBRID, ALONE))
    assert other == pytest.approx(one, rel=0.02)


def test_a_pattern_of_attention_alone_costs_what_the_model_without_it_does() -> None:
    x = layouts(tp=2, sequence_parallel=True, dp=4)
    stated = running(model(layer_pattern="AD"))
    for of in (lambda s: step_time(s, x, CALIBRATION).total_s, lambda s: memory(s, x).total):
        assert float(of(stated)[0]) == pytest.approx(float(of(running(ATTENTION))[0]), rel=1e-12)


def test_long_sequences_cost_a_hybrid_less_than_attention_everywhere() -> None:
    def tokens_s(spec: ModelSpec, seq_length: int) -> float:
        s = running(spec, seq_length=seq_length)
        return float(kernels_of(scope(s, CALIBRATION), *_axes()).busy_s[0]) / seq_length

    slower = [tokens_s(spec, 131_072) / tokens_s(spec, 4096) for spec in (ATTENTION, HYBRID)]
    assert slower[0] > 2.0
    assert slower[1] < 1.0 + (slower[0] - 1.0) / 2.0  # a quarter of its layers look at every key


def _axes() -> tuple[np.ndarray, ...]:
    x = layouts()
    return x.tp, x.cp, x.ep, x.sequence_parallel, x.recompute, x.micro_batch


def test_a_scan_within_chunks_is_work_by_hand() -> None:
    r = HYBRID.recurrent
    assert r is not None
    # Dao & Gu 2024, section 6: C B' of 8 groups and its product with x of all heads; the states made, and read.
    assert scan_work(r) == 2 * 128 * 8 * 128 + 2 * 128 * 8192 + 2 * (2 * 8192 * 128)
    mamba = model(recurrent={"kind": "mamba", "heads": 1, "head_dim": 8192, "state": 16, "conv": 4, "step_rank": 256},
                  layer_pattern="R").recurrent  # fmt: skip
    assert mamba is not None
    assert scan_work(mamba) == 16 * 7 * 8192 * 16  # step by step, outside the tensor cores


def test_what_a_layer_of_mamba_keeps_is_counted_by_hand() -> None:
    alone = model(recurrent=MAMBA2, layer_pattern="R", ffn=0)
    kept = memory_shapes(alone, 4096, "bf16", "megatron", True).dense
    projected, inner = 2 * 8192 + 2 * 8 * 128 + 128, 8192
    assert kept.split == 2 * (projected + 2 * inner)
    assert kept.scores == kept.routed == 0.0
    assert memory_shapes(alone, 65_536, "bf16", "megatron", True).dense == kept


def test_experts_of_a_stage_are_the_most_that_stand_in_a_row() -> None:
    spec = model(moe=MOE, layer_pattern="AD AD AE AE AE AD AD AD")
    most = memory_shapes(spec, 4096, "bf16", "megatron", True).most_moe
    assert most[:9] == (0.0, 1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0)
    assert most[-1] == 12.0


@pytest.mark.parametrize(("spec", "share"), [(HYBRID, 0.75), (ALONE, 0.75), (EXPERTS, 0.75), (ATTENTION, 0.0)])
def test_what_nobody_measured_is_wide_and_said_to_be_modelled(spec: ModelSpec, share: float) -> None:
    s = running(spec)
    assert unmeasured_share(spec) == share
    gpus = np.asarray([64])
    plain = replace(s, model=replace(spec, recurrent=None, layer_pattern=""))
    found, known = (float(spread(each, gpus, CALIBRATION).sigma[0]) for each in (s, plain))
    assert found >= share * UNMEASURED
    assert (found > known + 0.05) is (share > 0.0)
    if share:
        assert basis(s, 64, CALIBRATION) == ("modelled", [])


def test_a_model_of_mamba_alone_counts_no_attention() -> None:
    alone = model(recurrent=MAMBA2, layer_pattern="R", ffn=0, heads=128, kv_heads=128, head_dim=64)
    numbers = model_numbers(alone)
    assert (numbers.score_width, numbers.kv_width, numbers.heads) == (0.0, 0.0, 0.0)
    assert why_illegal("megatron", alone, layouts(tp=8, dp=8), 4096) == ""
    assert "tp 3 does not divide the 128 heads of the mamba2 layers" in why_illegal(
        "megatron", alone, layouts(tp=3), 4096
    )


@pytest.mark.parametrize(
    ("framework", "values", "words"),
    [
        ("gpt-neox", {"recurrent": MAMBA2, "layer_pattern": "RD"}, "GPT-NeoX has no mamba2 layers, which custom needs"),
        (
            "gpt-neox",
            {"recurrent": MAMBA2 | {"kind": "mamba"}, "layer_pattern": "RD AD"},
            "GPT-NeoX has mamba layers without an MLP alone, and those of custom have one",
        ),
        (
            "megatron",
            {"recurrent": MAMBA2 | {"kind": "lightning"}, "layer_pattern": "RD AD"},
            "has no lightning layers, which custom needs",
        ),
        (
            "fsdp",
            {"sparse": {"index_heads": 4, "index_head_dim": 64, "top_k": 512}},
            "has no attention to keys that an indexer chooses, which custom needs",
        ),
        ("fsdp", {"moe": MOE | {"latent": 512}}, "has no experts that work at a latent width, which custom needs"),
    ],
)
def test_a_framework_without_such_layers_is_named(framework: str, values: dict[str, object], words: str) -> None:
    assert words in why_no_layout(framework, model(**values))
    assert not legal(framework, model(**values), layouts(), 4096).any()
    assert why_no_layout(framework, ATTENTION) == ""


def test_context_parallelism_of_gated_delta_networks_is_refused_and_of_mamba2_is_paid_for() -> None:
    assert "does not divide gated_delta layers over context parallelism" in why_illegal(
        "megatron", EXPERTS, layouts(cp=2, dp=4), 4096
    )
    assert why_illegal("megatron", HYBRID, layouts(cp=2, dp=4), 4096) == ""
    x = layouts(cp=2)
    axes = (x.tp, x.cp, x.ep, x.sequence_parallel, x.recompute, x.micro_batch)
    alone = model(recurrent=MAMBA2, layer_pattern="RD")
    sent = kernels_of(scope(running(alone), CALIBRATION), *axes, parts=True).parts_s["context_parallel"]
    assert float(sent[0]) > 0.0


@pytest.mark.parametrize("name", ["llama3-8b", "deepseekv3", "gpt-oss-20b"])
def test_models_without_a_pattern_are_as_measured(name: str) -> None:
    spec = load_model(name)
    assert unmeasured_share(spec) == 0.0
    numbers = model_numbers(spec)
    assert (numbers.lone, numbers.scan_work, numbers.exchanged, numbers.chosen_keys) == (0.0, 0.0, 0.0, 0.0)
