"""What each framework runs, and the sentence for what it does not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.performance.arrays import Layouts
from planner.performance.frameworks import framework, frameworks, legal, why_illegal
from planner.units import PlannerError
from planner.workload.model_catalog import load_model

NEOX_20B = {"tp": 2, "pp": 4, "dp": 12, "zero_stage": 1, "recompute": 2, "micro_batch": 4, "grad_accum": 32}
BASE = {
    "tp": 1, "pp": 1, "vpp": 1, "dp": 8, "cp": 1, "ep": 1, "zero_stage": 1, "sequence_parallel": False, "recompute": 0,
    "micro_batch": 1, "grad_accum": 8,
}  # fmt: skip


def layout(**values: int | bool) -> Layouts:
    return Layouts(**{key: np.array([value]) for key, value in (BASE | values).items()})


def test_every_entry_of_the_table_names_its_source():
    for row in frameworks().values():
        assert len(row.sources) >= 25
        assert all(len(source) > 10 for source in row.sources.values()), row.name
        assert all(release.source for release in row.releases)
        assert set(row.memory.bytes_per_parameter) == set(row.precisions) == set(row.memory.linear_input_bytes)


@pytest.mark.parametrize(
    ("name", "alias"), [("gpt-neox", "gptneox"), ("megatron", "megatron-lm"), ("fsdp", "llm-foundry")]
)
def test_a_framework_is_found_by_its_aliases(name, alias):
    assert framework(alias).name == framework(name).name == name


def test_an_unknown_framework_is_refused_with_those_known():
    with pytest.raises(PlannerError, match="choose one of deepspeed, fsdp, gpt-neox, megatron"):
        framework("colossal")


def test_a_precision_that_a_framework_lacks_is_refused():
    with pytest.raises(PlannerError, match="does not train in mxfp8: choose one of fp16, bf16"):
        framework("gpt-neox").state_bytes("mxfp8")


def test_gpt_neox_20b_as_trained_is_legal():  # configs/20B.yml
    assert why_illegal("gpt-neox", load_model("gpt-neox-20b"), layout(**NEOX_20B), 2048) == ""
    assert legal("gpt-neox", load_model("gpt-neox-20b"), layout(**NEOX_20B), 2048, "1.0").all()


@pytest.mark.parametrize(
    ("name", "model", "values", "says"),
    [
        # megatron/training.py: ZeRO stage 2/3 with pipeline or model parallelism exits
        ("gpt-neox", "gpt-neox-20b", {"zero_stage": 2, "pp": 2}, "runs ZeRO 2 without pipeline parallelism only"),
        ("gpt-neox", "gpt-neox-20b", {"zero_stage": 3, "tp": 2}, "runs ZeRO 3 without tensor parallelism only"),
        ("gpt-neox", "gpt-neox-20b", {"zero_stage": 3}, ""),
        ("gpt-neox", "gpt-neox-20b", {"vpp": 2, "pp": 2}, "has no interleaved pipeline"),
        ("gpt-neox", "gpt-neox-20b", {"cp": 2}, "has no context parallelism"),
        ("gpt-neox", "gpt-neox-20b", {"recompute": 1}, "recomputes none or full, not selective"),
        ("gpt-neox", "gpt-neox-20b", {"pp": 3}, ""),  # partition_balanced: 44 layers in 15 + 15 + 14
        ("gpt-neox", "gpt-neox-20b", {"pp": 45}, "pp 45 is more than the 44 layers"),
        ("gpt-neox", "gpt-neox-20b", {"tp": 3}, "does not divide the 64 attention heads"),
        ("gpt-neox", "gpt-neox-20b", {"sequence_parallel": True}, "tp is 1"),
        ("gpt-neox", "llama3-8b", {"tp": 16}, "does not divide the 8 key-value heads"),
        ("megatron", "llama3-8b", {"tp": 16}, ""),  # Megatron copies key-value heads
        ("gpt-neox", "deepseekv3", {}, "no multi-head latent attention"),
        ("gpt-neox", "mixtral-8x7b", {}, "no gated experts"),  # moe.py at ea7aefd: ParallelGroupedMLP
        ("megatron", "llama3-70b", {"pp": 4, "vpp": 5, "grad_accum": 6}, "needs pp 4 to divide the 6 micro-batches"),
        ("megatron", "llama3-70b", {"pp": 4, "vpp": 5}, ""),
        ("megatron", "llama3-70b", {"vpp": 5}, "needs pp of at least 2"),
        # 126 layers, embedding and loss in 128 chunks of one: Megatron-Bridge's llama31_405b recipes
        ("megatron", "llama3.1-405b", {"pp": 16, "vpp": 8, "grad_accum": 16}, ""),
        ("megatron", "llama3.1-405b", {"pp": 16, "vpp": 9, "grad_accum": 16}, "makes more chunks than the 126 layers"),
        ("megatron", "llama3-8b", {"zero_stage": 3, "pp": 2}, "without pipeline parallelism only"),
        ("megatron", "llama3-8b", {"zero_stage": 3, "tp": 2}, ""),
        ("megatron", "llama3-8b", {"ep": 2}, "has no experts"),
        ("megatron", "mixtral-8x7b", {"ep": 3}, "ep 3 does not divide the 8 experts"),
        ("megatron", "mixtral-8x7b", {"ep": 8, "dp": 4}, "does not divide tp x cp x dp = 4"),
        ("megatron", "mixtral-8x7b", {"tp": 2}, "under sequence parallelism only"),
        ("megatron", "mixtral-8x7b", {"tp": 2, "sequence_parallel": True, "ep": 8, "dp": 4}, ""),
        ("megatron", "llama3-8b", {"cp": 4}, ""),
        ("megatron", "llama3-8b", {"cp": 3}, "2 x cp = 6"),
        ("fsdp", "mpt-7b", {"zero_stage": 3}, ""),
        ("fsdp", "mpt-7b", {"zero_stage": 1}, "has ZeRO stages 2, 3, not 1"),
        ("fsdp", "mpt-7b", {"zero_stage": 3, "tp": 2}, "has no tensor parallelism"),
        ("fsdp", "mpt-7b", {"zero_stage": 3, "pp": 2}, "has no pipeline parallelism"),
        ("fsdp", "mpt-7b", {"zero_stage": 3, "micro_batch": 0}, "micro_batch is 0, but it must be at least 1"),
    ],
)
def test_each_rule_is_said_in_a_sentence(name, model, values, says):
    spec, chosen = load_model(model), layout(**values)
    why = why_illegal(name, spec, chosen, 2048)
    assert says in why if says else why == ""
    assert legal(name, spec, chosen, 2048).item() == (not says)


def test_sequence_parallelism_came_to_gpt_neox_after_its_first_releases():  # commit 8b43196, 2024-08-23
    spec, chosen = load_model("gpt-neox-20b"), layout(**NEOX_20B | {"sequence_parallel": True})
    assert why_illegal("gpt-neox", spec, chosen, 2048, "2.0") == "GPT-NeoX 2.0 has no sequence parallelism"
    assert why_illegal("gpt-neox", spec, chosen, 2048) == ""


sizes = st.sampled_from([-1, 0, 1, 2, 3, 4, 6, 8, 16, 64, 200])


@given(
    name=st.sampled_from(["gpt-neox", "megatron", "fsdp"]),
    model=st.sampled_from(["gpt-neox-20b", "llama3-8b", "mixtral-8x7b", "deepseekv3"]),
    values=st.fixed_dictionaries(
        dict.fromkeys(("tp", "pp", "vpp", "dp", "cp", "ep", "micro_batch", "grad_accum"), sizes)
        | {"zero_stage": st.integers(-1, 5), "recompute": st.integers(-1, 4), "sequence_parallel": st.booleans()}
    ),
)
def test_a_layout_is_legal_exactly_when_nothing_speaks_against_it(name, model, values):
    spec, one = load_model(model), layout(**values)
    many = replace(one, **{key: np.repeat(getattr(one, key), 3) for key in Layouts.__slots__})
    why = why_illegal(name, spec, one, 4096)
    assert legal(name, spec, many, 4096).tolist() == [not why] * 3
    assert "{" not in why


@pytest.mark.parametrize(
    ("name", "release", "flash"),
    [
        ("megatron", "2021-04", False),
        ("megatron", "v2.5 (2022)", False),
        ("megatron", "2024-05-01", True),
        ("megatron", "25.09 NeMo Container", True),
        ("megatron", "", True),
        ("gpt-neox", "1.0", False),
        ("gpt-neox", "2.0", True),
    ],
)
def test_releases_of_before_flash_attention_are_known_by_their_year(name: str, release: str, flash: bool) -> None:
    assert frameworks()[name].release(release).flash_attention is flash


def test_experts_of_gpt_neox_lie_over_its_tensor_parallel_ranks():
    mixtral = load_model("mixtral-8x7b")
    plain = replace(mixtral, gated_mlp=False)
    assert "ep must be tp = 1" in why_illegal("gpt-neox", plain, layout(ep=4), 2048)
    assert why_illegal("gpt-neox", plain, layout(ep=4, tp=4, sequence_parallel=True), 2048) == ""
