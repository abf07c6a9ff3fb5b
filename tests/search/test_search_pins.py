"""The proved optimum is the optimum: whatever of the layout a scenario pins, nothing better turns up."""

from __future__ import annotations

from dataclasses import replace

import hypothesis
import pytest
from hypothesis import strategies as st
from search_cases import Case, MadeUpCatalog, accelerator, case

from planner.performance.loading import load_calibration
from planner.search.building import build
from planner.search.optimum import solve
from planner.search.space_statement import pins
from planner.spec.layout import RECOMPUTE
from planner.spec.scenario import Cluster, IntChoice, LayoutBounds, Training
from planner.units import PlannerError

SIZES = ("tp", "pp", "vpp", "dp", "cp", "ep", "micro_batch")
PINS = st.one_of(
    st.tuples(st.sampled_from(SIZES), st.integers(1, 12)),
    st.tuples(st.just("zero_stage"), st.integers(0, 3)),
    st.tuples(st.just("sequence_parallel"), st.booleans()),
    st.tuples(st.just("recompute"), st.sampled_from(RECOMPUTE)),
    st.tuples(st.just("recompute_share"), st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 0.9, 1.0]) | st.floats(0.0, 1.0)),
    st.tuples(st.just("shard_group"), st.integers(1, 24)),
)
PLAIN = ("sequence_parallel", "recompute_share", "shard_group")  # keys that take one value, as it is


def pinned(given: Case, key: str, value: object) -> Case:
    """The case with one key of its layout at one value, the others as they are."""
    many = (value,) if key == "recompute" else IntChoice(values=(value,))  # type: ignore[arg-type]
    layout = replace(given.scenario.layout, **{key: value if key in PLAIN else many})  # type: ignore[arg-type]
    return replace(given, scenario=replace(given.scenario, layout=layout))


def free(given: Case) -> Case:
    return replace(given, scenario=replace(given.scenario, layout=LayoutBounds()))


def best(given: Case) -> float:
    """The value of the proved optimum; infinite where nothing is feasible."""
    try:
        _, _, certificate = solve(build(given.scenario, given.catalog, load_calibration(), given.offers))
    except PlannerError as error:  # GPT-NeoX recomputes all layers or none, and shards over all ranks
        if "GPT-NeoX has no option for layout." not in str(error):
            raise
        return float("inf")
    return float("inf") if certificate.best is None else certificate.best


def one_rank(framework: str, memory_gib: float, drawn: Case) -> Case:
    """A deep model on one GPU of so much memory."""
    offer = replace(drawn.offers[0], gpu="h", hardware=replace(drawn.offers[0].hardware, gpu="h", gpus_per_node=1))
    scenario = replace(
        drawn.scenario,
        model=replace(drawn.scenario.model, layers=32, moe=None),
        training=Training(epochs=1, global_batch=IntChoice(values=(8,)), framework=framework),
        layout=LayoutBounds(),
        cluster=Cluster(max_gpus=1),
    )
    catalog = MadeUpCatalog({"h": accelerator("h", memory_gib, 900.0)})
    return Case(scenario, (offer,), catalog)


SEEDS = st.integers(0, 9_999).map(case)
CASES = st.one_of(
    SEEDS.map(free), st.builds(one_rank, st.sampled_from(["fsdp", "gpt-neox", "megatron"]), st.floats(1.0, 3.0), SEEDS)
)


@hypothesis.settings(max_examples=150)
@hypothesis.given(CASES, PINS)
def test_a_pinned_layout_is_never_better_than_the_free_one(drawn: Case, pin: tuple[str, object]) -> None:
    assert best(drawn) <= best(pinned(drawn, *pin)) * (1 + 1e-9)


@pytest.mark.parametrize("framework", ["fsdp", "gpt-neox", "megatron"])
def test_with_one_rank_too_the_best_zero_stage_is_found(framework: str) -> None:
    """FSDP keeps 18 bytes a parameter under stage 2 and 16 and two gathered layers under stage 3, alone too."""
    seen = set()
    for tenths in range(10, 30):
        given = one_rank(framework, tenths / 10, case(3))
        stages = [best(pinned(given, "zero_stage", stage)) for stage in range(4)]
        assert best(given) == min(stages)
        seen.add(tuple(stage < float("inf") for stage in stages))
    only_the_third = (False, False, False, True)
    assert (only_the_third in seen) == (framework == "fsdp")


def unpinned() -> Case:
    """A case whose scenario pins nothing of the space."""
    drawn = free(case(1))
    return replace(drawn, scenario=replace(drawn.scenario, training=replace(drawn.scenario.training, batch_ramp=None)))


def stated(given: Case) -> str:
    """What the proof says of the space that it counted."""
    return solve(build(given.scenario, given.catalog, load_calibration(), given.offers))[2].statement


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("tp", 16, "layout.tp: 16"),
        ("cp", 8, "layout.cp: 8"),
        ("recompute", "none", "layout.recompute: none"),
        ("sequence_parallel", False, "layout.sequence_parallel: false"),
    ],
)
def test_the_proof_states_the_same_rules_whatever_a_scenario_pins_and_what_that_is(
    key: str, value: object, said: str
) -> None:
    drawn = unpinned()
    rules, end = stated(drawn).split(". The proof")
    assert "(tp, over nodes too, pp, vpp in equal chunks, cp of any size, ep," in rules
    assert stated(pinned(drawn, key, value)) == f"{rules}, within what the scenario pins: {said}. The proof{end}"


def test_bounds_and_lists_are_stated_as_a_file_has_them() -> None:
    drawn = unpinned()
    layout = LayoutBounds(tp=IntChoice(values=(1, 2)), pp=IntChoice(minimum=1, maximum=4), recompute=("none", "full"))
    batch = IntChoice(minimum=8, maximum=64, multiple_of=8)
    scenario = replace(drawn.scenario, layout=layout, training=replace(drawn.scenario.training, global_batch=batch))
    assert list(pins(scenario)) == [
        "layout.tp: [1, 2]",
        "layout.pp: {min: 1, max: 4}",
        "layout.recompute: [none, full]",
        "training.global_batch: {min: 8, max: 64, multiple_of: 8}",
    ]


def test_the_proof_names_no_rule_of_what_the_framework_does_not_run() -> None:
    said = stated(one_rank("gpt-neox", 2.0, case(3)))
    assert "(tp, over nodes too, pp, ZeRO over all ranks, sequence parallel, recompute of none or all layers)" in said
