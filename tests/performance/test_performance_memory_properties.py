"""What the search relies on: memory is affine in the micro-batch and moves one way in everything else."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.performance.arrays import Layouts, Memory, Setting
from planner.performance.frameworks import framework, legal
from planner.performance.memory import capacity_gib, fits, largest_micro_batch, least_recompute, memory, memory_affine
from planner.performance.memory_layout import layout_memory
from planner.spec.hardware import Accelerator, Hardware
from planner.workload.model_catalog import load_model

GPU = Accelerator("h100", "H100", "nvidia", "SXM5", "hopper", 80.0, 3350.0, {"bf16": 989.0}, {}, 450.0, 8, 700.0)
HGX = Hardware("h100", 8, 8, 450.0, 3200.0, "infiniband")
MODELS = ["gpt-neox-20b", "llama3-8b", "mpt-1b", "mixtral-8x7b", "deepseekv3", "gpt3-125m"]


def setting(name: str, model: str, precision: str = "bf16", seq_length: int = 4096) -> Setting:
    return Setting(load_model(model), seq_length, precision, name, "", GPU, HGX)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Setting, Layouts]:
    """A setting and one layout that its framework runs."""
    name = draw(st.sampled_from(["gpt-neox", "megatron", "fsdp"]))
    model = load_model(draw(st.sampled_from(MODELS if name == "megatron" else MODELS[:4])))
    row = framework(name)
    one = name == "fsdp"
    values = {
        "tp": 1 if one else draw(st.sampled_from([1, 2, 4, 8])),
        "pp": 1 if one else draw(st.integers(1, min(16, model.layers))),
        "vpp": draw(st.sampled_from([1, 2, 3])) if name == "megatron" else 1,
        "dp": draw(st.sampled_from([1, 2, 3, 8, 64])),
        "cp": draw(st.sampled_from([1, 2])) if name == "megatron" else 1,
        "ep": draw(st.sampled_from([1, 2, 4, 8])) if model.moe else 1,
        "zero_stage": draw(st.sampled_from(row.zero_stages)),
        "sequence_parallel": draw(st.booleans()),
        "recompute": draw(st.integers(0, 2)),
        "micro_batch": draw(st.integers(1, 16)),
        "grad_accum": draw(st.integers(1, 40)),
    }
    if name == "gpt-neox" and model.moe:
        values["ep"] = values["tp"]
    values["dp"] *= values["ep"]  # experts lie over ranks that are there
    if values["vpp"] > 1:
        values["grad_accum"] *= values["pp"]
    layouts = Layouts(**{key: np.array([value]) for key, value in values.items()})
    precision = draw(st.sampled_from(row.precisions))
    return Setting(model, 4096, precision, name, "", GPU, HGX), layouts


def changed(layouts: Layouts, **values: int | bool) -> Layouts:
    return replace(layouts, **{key: np.full_like(getattr(layouts, key), value) for key, value in values.items()})


def total(case: Setting, layouts: Layouts) -> float:
    return memory(case, layouts).total.item()


@settings(max_examples=50)
@given(cases())
def test_every_part_is_there_and_none_is_negative(case):
    found = memory(*case)
    for key in Memory.__slots__:
        assert np.isfinite(getattr(found, key)).all()
        assert (getattr(found, key) >= 0).all(), key


@settings(max_examples=50)
@given(cases(), st.integers(1, 50))
def test_memory_is_affine_in_the_micro_batch_where_the_optimizers_step_needs_no_more(case, more):
    chosen, x = case
    b = x.micro_batch.item()
    base, each, step = memory_affine(
        chosen, x.tp, x.pp, x.vpp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute, x.dp, x.grad_accum
    )
    assert each.item() > 0
    for micro in (b, b + more):
        expected = max(base.item() + micro * each.item(), step.item())
        assert total(chosen, changed(x, micro_batch=micro)) == pytest.approx(expected, rel=1e-12)


@settings(max_examples=50)
@given(cases())
def test_more_micro_batches_never_need_less_and_from_twice_the_stages_on_the_same(case):
    chosen, x = case
    steps = [total(chosen, changed(x, grad_accum=m)) for m in (1, 2, 3, 7, 16, 40)]
    assert steps == sorted(steps)
    enough = 2 * x.pp.item()
    assert total(chosen, changed(x, grad_accum=enough)) == total(chosen, changed(x, grad_accum=10 * enough))


@settings(max_examples=50)
@given(cases())
def test_a_higher_zero_stage_never_needs_more(case):
    chosen, x = case
    found = [total(chosen, changed(x, zero_stage=z)) for z in framework(chosen.framework).zero_stages]
    assert all(b <= a * (1 + 1e-12) for a, b in pairwise(found)), found


@settings(max_examples=50)
@given(cases())
def test_more_recompute_never_needs_more(case):
    chosen, x = case
    none, selective, full = (total(chosen, changed(x, recompute=code)) for code in (0, 1, 2))
    assert none * (1 + 1e-12) >= selective
    assert selective * (1 + 1e-12) >= full > 0


@settings(max_examples=50)
@given(cases())
def test_memory_falls_with_tensor_parallel_and_sequence_parallel(case):
    chosen, x = case
    narrow, wide = changed(x, tp=2, sequence_parallel=False), changed(x, tp=4, sequence_parallel=False)
    assert memory(chosen, wide).activations <= memory(chosen, narrow).activations
    assert memory(chosen, wide).weights <= memory(chosen, narrow).weights
    assert total(chosen, changed(wide, sequence_parallel=True)) <= total(chosen, wide) * (1 + 1e-12)


@settings(max_examples=50)
@given(cases())
def test_memory_never_rises_with_data_parallel_once_there_are_two_ranks(case):
    chosen, x = case
    found = [total(chosen, changed(x, dp=8 * d)) for d in (2, 4, 16, 256)]
    # Gathered weights and unscattered gradients are bounded by what sharding saves, which grows with the ranks.
    if x.zero_stage.item() < 2:
        assert all(b <= a for a, b in pairwise(found))
    assert found[-1] <= found[0] * 1.5


@settings(max_examples=50)
@given(cases())
def test_the_largest_micro_batch_is_the_last_that_fits(case):
    chosen, x = case
    most = largest_micro_batch(chosen, x).item()
    assert most >= 0
    if most:
        assert fits(chosen, changed(x, micro_batch=most)).all()
    assert not fits(chosen, changed(x, micro_batch=most + 1)).any()


@settings(max_examples=50)
@given(cases())
def test_the_least_recompute_is_the_first_that_fits(case):
    chosen, x = case
    code = least_recompute(chosen, x).item()
    row = framework(chosen.framework)
    codes = [c for c, kind in enumerate(("none", "selective", "full")) if kind in row.recompute]
    assert code in codes
    for less in codes[: codes.index(code)]:
        assert not fits(chosen, changed(x, recompute=less)).any()
    if code != codes[-1]:
        assert fits(chosen, changed(x, recompute=code)).all()


@settings(max_examples=20)
@given(st.lists(cases(), min_size=2, max_size=6), st.sampled_from(["megatron", "gpt-neox"]))
def test_layouts_do_not_see_each_other(drawn, name):
    chosen = setting(name, "gpt-neox-20b")
    parts = [x for _, x in drawn]
    together = Layouts(*(np.concatenate([getattr(x, key) for x in parts]) for key in Layouts.__slots__))
    alone = np.concatenate([memory(chosen, x).total for x in parts])
    np.testing.assert_allclose(memory(chosen, together).total, alone, rtol=1e-13)
    x = together
    known = layout_memory(chosen, x.tp, x.pp, x.vpp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute)
    order = np.arange(len(x))[::-1]
    base, each, step = known.at(x.dp[order], x.grad_accum[order], order)
    np.testing.assert_allclose(np.maximum(base + each * x.micro_batch[order], step), alone[::-1], rtol=1e-13)


def test_one_rank_shards_nothing_whatever_the_stage():
    chosen = setting("gpt-neox", "gpt3-125m")
    x = Layouts(*(np.array([v]) for v in (1, 1, 1, 1, 1, 1, 0)), np.array([False]), *(np.array([v]) for v in (0, 1, 1)))
    assert legal("gpt-neox", chosen.model, x, 4096).all()
    whole = total(chosen, x)
    assert all(total(chosen, changed(x, zero_stage=z)) == pytest.approx(whole, rel=1e-12) for z in (1, 2, 3))


def test_capacity_is_a_little_less_than_the_card_says():
    # torch reports 79.15 to 79.33 GiB on an 80 GB A100 or H100.
    assert 79.1 <= capacity_gib(setting("fsdp", "mpt-1b")) <= 79.4
