"""The layouts that planner lists are those of plain loops that share no code with it, whatever the framework."""

from __future__ import annotations

from dataclasses import replace

import layout_loops as loops
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.performance.arrays import Conditions
from planner.performance.frameworks import framework, stages_run
from planner.performance.layout_choices import LayoutChoices, layout_choices
from planner.search.batches import batch_space
from planner.search.layouts import layout_table
from planner.spec.adapter import Adapter
from planner.spec.model import ModelSpec, MoESpec, RecurrentSpec
from planner.spec.scenario import IntChoice, LayoutBounds
from planner.workload import load_model

KEYS = ("tp", "pp", "vpp", "dp", "cp", "ep", "zero_stage", "sequence_parallel", "recompute")
SHIPPED = ("llama3-8b", "qwen3-0.6b", "qwen3-30b-a3b", "deepseekv3", "gpt-oss-20b", "gpt-neox-20b", "mpt-1b")
COUNTS = (1, 2, 3, 4, 6, 8, 12, 16, 24)


#: Parts that some frameworks have no class for.
ODD_PARTS: dict[str, object] = {
    "gated_mlp": False,
    "norm": "layernorm",
    "norms_per_layer": 1,
    "parallel_residual": True,
    "attention_bias": True,
    "attention_output_bias": True,
    "head_bias": True,
    "tied_embeddings": True,
    "qk_norm": True,
    "attention_sinks": True,
    "learned_positions": 2048,
    "head_dim": 16,
    "mtp_layers": 1,
}
EXPERTS = st.builds(
    MoESpec,
    experts=st.sampled_from((2, 4, 6, 8)),
    top_k=st.just(2),
    expert_ffn=st.just(64),
    shared_experts=st.sampled_from((0, 0, 1)),
    latent=st.sampled_from((0, 0, 16)),
)
MIXERS = st.builds(
    RecurrentSpec,
    kind=st.sampled_from(("mamba", "mamba2", "gated_delta", "lightning")),
    heads=st.sampled_from((1, 2, 4, 6)),
    head_dim=st.just(32),
    state=st.just(16),
)


@st.composite
def models(draw: st.DrawFn) -> ModelSpec:
    """A shipped model, or a small one that every framework builds, often with a part or two that some do not."""
    kind = draw(st.sampled_from(("shipped", "dense", "dense", "dense", "experts", "experts", "recurrent")))
    if kind == "shipped":
        return load_model(draw(st.sampled_from(SHIPPED)))
    heads = draw(st.sampled_from((1, 2, 4, 6, 8, 12)))
    model = ModelSpec(
        name="drawn",
        layers=draw(st.integers(1, 12)),
        hidden=heads * 32,
        heads=heads,
        kv_heads=draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0])),
        head_dim=32,
        ffn=draw(st.sampled_from((3, 4))) * heads * 32,
        vocab=1000,
        gated_mlp=True,
        norm="rmsnorm",
    )
    odd = draw(st.one_of(st.just([]), st.lists(st.sampled_from(sorted(ODD_PARTS)), max_size=2)))
    model = replace(model, **{part: ODD_PARTS[part] for part in odd})
    if kind == "experts":
        return replace(model, moe=draw(EXPERTS))
    if kind == "recurrent":
        pattern = draw(st.sampled_from(("R", "RD", "RD AD", "R AD", "R R")))
        return replace(model, recurrent=draw(MIXERS), layer_pattern=pattern)
    return model


def choices(least: int, most: int) -> st.SearchStrategy[IntChoice]:
    """Mostly nothing; else a pin, a bound, or multiples."""
    number = st.integers(least, most)
    stated = st.one_of(
        number.map(lambda n: IntChoice(values=(n,))),
        number.map(lambda n: IntChoice(minimum=n)),
        number.map(lambda n: IntChoice(maximum=n)),
        st.just(IntChoice(multiple_of=2)),
    )
    return st.integers(0, 5).flatmap(lambda n: stated if n == 5 else st.just(IntChoice()))


stated_bounds = st.builds(
    LayoutBounds,
    tp=choices(1, 4),
    pp=choices(1, 4),
    vpp=choices(1, 3),
    dp=choices(1, 8),
    cp=choices(1, 4),
    ep=choices(1, 4),
    zero_stage=choices(0, 3),
    sequence_parallel=st.sampled_from((None, None, None, True, False)),
    recompute=st.sampled_from(((), (), (), ("none",), ("selective", "full"))),
    recompute_share=st.sampled_from((None, None, None, 0.0, 0.3, 1.0)),
    shard_group=st.sampled_from((None, None, None, 1, 2, 4, 64)),
)
bounds = st.one_of(st.just(LayoutBounds()), stated_bounds)
besides = st.builds(
    loops.Beside,
    precision=st.sampled_from(("bf16", "bf16", "fp16", "fp8")),
    optimizer=st.sampled_from(("adamw", "adamw", "adamw-bf16", "adamw-8bit", "muon", "lion", "sgd-momentum")),
    offload=st.sampled_from(("none", "none", "none", "optimizer", "activations", "both")),
    adapter=st.sampled_from(("", "", "", "lora", "qlora")),
)
each_framework = st.sampled_from(sorted(loops.files()))
releases = st.sampled_from(("", "latest", "2.0", "1.0"))


def conditions(beside: loops.Beside) -> Conditions:
    return Conditions(
        optimizer=beside.optimizer,
        offload=beside.offload,
        adapter=Adapter(beside.adapter, 8) if beside.adapter else None,
        recompute_share=beside.recompute_share,
        shard_group=beside.shard_group,
    )


def rows(found: LayoutChoices) -> list[tuple[int, ...]]:
    return sorted(zip(*(getattr(found, key).tolist() for key in KEYS), strict=True))


@settings(max_examples=250)
@given(each_framework, releases, models(), st.sampled_from((96, 256, 257, 2048)), st.sampled_from(COUNTS), bounds)
def test_the_layouts_listed_are_those_of_plain_loops(name, release, model, seq_length, gpus, wanted):
    stages = tuple(loops.facts(name)["zero_stages"])
    looped = loops.layouts(name, release, model, seq_length, gpus, wanted, stages)
    assert rows(layout_choices(name, model, seq_length, [gpus], wanted, release)) == sorted(looped)


@settings(max_examples=250)
@given(each_framework, besides, bounds)
def test_what_is_stated_beside_the_layout_leaves_the_same_zero_stages(name, beside, wanted):
    beside = replace(beside, recompute_share=wanted.recompute_share, shard_group=wanted.shard_group)
    assert stages_run(framework(name), beside.precision, conditions(beside)) == loops.zero_stages(name, beside)


@settings(max_examples=250)
@given(
    each_framework,
    releases,
    models(),
    st.sampled_from((96, 256, 2048)),
    st.sampled_from(COUNTS),
    bounds,
    st.sampled_from((1, 6, 8, 24)),
)
def test_the_search_counts_the_candidates_of_plain_loops(name, release, model, seq_length, gpus, wanted, batch):
    beside = loops.Beside(recompute_share=wanted.recompute_share, shard_group=wanted.shard_group)
    stages = loops.zero_stages(name, beside)
    counted = 0
    for x in loops.layouts(name, release, model, seq_length, gpus, wanted, stages):
        ends = len(loops.shares(name, model.layers, x, wanted.recompute_share))
        ends *= len(loops.groups(name, x, wanted.shard_group))
        together = x.dp * (x.pp if x.vpp > 1 else 1)
        if batch % together == 0:
            counted += ends * len(loops.divisors(batch // together))
    table = layout_table(name, model, seq_length, 24, wanted, release, stages, conditions(beside))
    batches = batch_space(IntChoice(values=(batch,)), wanted.micro_batch, None)
    assert int(table.space(np.array([gpus]), wanted.dp, batches)[0]) == counted
