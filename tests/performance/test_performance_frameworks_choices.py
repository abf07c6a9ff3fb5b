"""The layouts that a search covers are all those that a framework runs and the stated space holds, each once."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from planner.performance.arrays import Layouts
from planner.performance.frameworks import framework, legal
from planner.performance.layout_choices import LayoutChoices, layout_choices
from planner.spec.layout import RECOMPUTE
from planner.spec.model import ModelSpec, MoESpec, RecurrentSpec
from planner.spec.scenario import IntChoice, LayoutBounds

DENSE = ModelSpec("small", layers=6, hidden=96, heads=12, kv_heads=4, head_dim=8, ffn=384, vocab=1000)
MOE = ModelSpec(
    "experts", layers=4, hidden=64, heads=8, kv_heads=8, head_dim=8, ffn=128, vocab=1000, moe=MoESpec(6, 2, 32)
)
KEYS = ("gpus", "tp", "pp", "vpp", "dp", "cp", "ep", "zero_stage", "sequence_parallel", "recompute")


def rows(choices: LayoutChoices) -> list[tuple[int, ...]]:
    return list(zip(*(getattr(choices, key).tolist() for key in KEYS), strict=True))


def enumerated(name: str, model: ModelSpec, seq: int, gpus: int) -> set[tuple[int, ...]]:
    """The same space by plain loops over every size up to the GPU count, pruned by nothing."""
    row, tried = framework(name), []
    units = row.units_beside_layers
    for tp, pp, cp in product(range(1, gpus + 1), repeat=3):
        if gpus % (tp * pp * cp):
            continue
        dp = gpus // (tp * pp * cp)
        for vpp, ep, zero, sp, rc in product(range(1, 9), range(1, 9), range(4), (False, True), range(3)):
            if vpp > 1 and all((model.layers + extra) % (pp * vpp) for extra in range(units + 1)):
                continue
            tried.append((tp, pp, vpp, dp, cp, ep, zero, sp, rc, 1, pp))
    arrays = [np.array(column) for column in zip(*tried, strict=True)]
    ok = legal(name, model, Layouts(*arrays), seq)
    return {(gpus, *values[:9]) for values, fine in zip(tried, ok, strict=True) if fine}


@pytest.mark.parametrize("name", ["gpt-neox", "megatron", "fsdp"])
@pytest.mark.parametrize(("model", "gpus"), [(DENSE, 4), (DENSE, 6), (MOE, 1), (MOE, 4)])
def test_the_space_is_what_plain_loops_find(name, model, gpus):
    found = rows(layout_choices(name, model, 2048, [gpus]))
    assert len(set(found)) == len(found)
    assert set(found) == enumerated(name, model, 2048, gpus)


def test_many_gpu_counts_at_once_give_what_each_gives_alone():
    counts = [1, 2, 8, 24, 64]
    together = rows(layout_choices("megatron", MOE, 4096, counts))
    assert together == [r for n in counts for r in rows(layout_choices("megatron", MOE, 4096, [n]))]
    assert together == sorted(together, key=lambda row: row[:4] + row[5:])  # dp follows from the rest


def test_no_gpus_are_no_layouts():
    assert len(layout_choices("megatron", DENSE, 2048, [])) == 0


def test_bounds_keep_what_they_allow():
    everything = rows(layout_choices("megatron", DENSE, 2048, [16]))
    bounds = LayoutBounds(
        tp=IntChoice(maximum=2), dp=IntChoice(minimum=4), sequence_parallel=False, recompute=("full", "none")
    )
    kept = rows(layout_choices("megatron", DENSE, 2048, [16], bounds))
    codes = {RECOMPUTE.index("full"), RECOMPUTE.index("none")}
    assert kept == [r for r in everything if r[1] <= 2 and r[4] >= 4 and not r[8] and r[9] in codes]
    assert kept


def test_tensor_and_context_parallel_are_of_every_size_that_the_model_divides_into():
    wide = ModelSpec("wide", layers=2, hidden=768, heads=48, kv_heads=48, head_dim=16, ffn=3072, vocab=1000)
    found = layout_choices("megatron", wide, 96, [48])
    assert set(found.tp.tolist()) == {1, 2, 3, 4, 6, 8, 12, 16, 24, 48}
    assert set(found.cp.tolist()) == {1, 2, 3, 4, 6, 8, 12, 16, 24, 48}
    for bounds in (LayoutBounds(tp=IntChoice(values=(5, 16))), LayoutBounds(cp=IntChoice(values=(5, 16)))):
        assert set(rows(layout_choices("megatron", wide, 96, [48], bounds))) < set(rows(found))


def test_torchtitan_joins_tensor_and_pipeline_parallelism_to_sharded_ranks():
    llama = replace(DENSE, norm="rmsnorm", gated_mlp=True)
    found = {row[1:6] for row in rows(layout_choices("torchtitan", llama, 2048, [8])) if row[5] == 1}
    shapes = {(tp, pp, dp) for tp, pp, vpp, dp, _ in found if vpp == 1}
    assert shapes == {(1, 1, 8), (2, 1, 4), (4, 1, 2), (1, 2, 4), (1, 4, 2), (2, 2, 2)}  # never a single rank


def test_a_model_without_attention_is_cut_by_its_width():
    mamba = ModelSpec(
        "mamba", layers=6, hidden=96, heads=1, kv_heads=1, head_dim=96, ffn=0, vocab=1000,
        recurrent=RecurrentSpec("mamba", heads=1, head_dim=192, state=16), layer_pattern="R",
    )  # fmt: skip
    assert {row[1] for row in rows(layout_choices("gpt-neox", mamba, 2048, [8]))} == {1, 2, 4, 8}
