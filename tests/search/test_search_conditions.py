"""What a scenario states of how its run is set up reaches every prediction; what it does not state is said."""

from __future__ import annotations

from pathlib import Path

import pytest
from enumeration import best_of, enumerate_candidates

from planner import api
from planner.catalog import eligible_offers, load_catalog
from planner.performance.loading import load_calibration
from planner.results.answers import Optimization
from planner.results.plan import Plan
from planner.scenario import parse_scenario
from planner.spec.scenario import Scenario
from planner.units import PlannerError

CATALOG = load_catalog()
LAB = """
model: {model}
data: {{samples: 1M, seq_length: 2048}}
training: {{epochs: 1, global_batch: 1024, framework: {framework}}}
layout: {{tp: 2, pp: 1, micro_batch: 4, recompute: {recompute}, zero_stage: 1, sequence_parallel: false}}
budget: {{cost: 10M USD}}
cluster:
  max_gpus: 32
  own: [{{name: lab, gpu: a100-sxm4-80gb, gpus_per_node: 8, nodes: 4, network: 1600 Gbit/s, usd_per_gpu_hour: 1}}]
  own_only: true
"""


def scenario(
    *stated: str, model: str = "pythia-6.9b", framework: str = "gpt-neox", recompute: str = "full"
) -> Scenario:
    text = LAB.format(model=model, framework=framework, recompute=recompute)
    return parse_scenario(text.encode(), Path("lab.yaml"), overrides=stated)


def answer(*stated: str, **changed: str) -> Optimization:
    return api.optimize(scenario(*stated, **changed))


def plan(*stated: str, **changed: str) -> Plan:
    found = answer(*stated, **changed).plan
    assert found is not None
    return found


def defaults(*stated: str, **changed: str) -> dict[str, str]:
    return {default.key: default.value for default in answer(*stated, **changed).defaults}


@pytest.mark.parametrize(
    ("stated", "sign"),
    [
        ("training.flash_attention=false", 1),
        ("training.fused_or_compile=true", -1),
        ("cluster.power_limit_w=200", 1),
    ],
)
def test_what_is_stated_changes_the_predicted_step(stated, sign):
    assert (plan(stated).step_time_s.p50 - plan().step_time_s.p50) * sign > 0


def test_stating_what_the_release_has_changes_nothing_but_the_defaults():
    stated = ("training.flash_attention=true", "training.fused_or_compile=false")
    assert plan(*stated) == plan()
    assert "training.flash_attention" not in defaults(*stated)


def test_what_is_not_stated_is_taken_as_the_release_has_it_and_said():
    assert defaults()["training.flash_attention"] == "true (gpt-neox)"
    assert defaults()["training.fused_or_compile"] == "false (gpt-neox)"
    assert defaults()["training.comm_overlap"] == "not known (as runs that do not say)"
    old = defaults("training.framework_release=1.0")
    assert old["training.flash_attention"] == "false (gpt-neox 1.0)"
    every = defaults(framework="any")  # but Megatron, which has no parallel residual
    assert every["training.fused_or_compile"] == "false (fsdp, gpt-neox)"
    assert defaults(framework="megatron")["training.fused_or_compile"] == "true (megatron)"


def test_an_old_release_with_flash_attention_stated_is_not_taken_to_lack_it():
    release = "training.framework_release=1.0"
    with_flash, without = plan(release, "training.flash_attention=true"), plan(release)
    assert with_flash.conditions is not None
    assert with_flash.conditions.flash_attention
    assert without.conditions is not None
    assert not without.conditions.flash_attention
    assert with_flash.step_time_s.p50 < without.step_time_s.p50


def test_whose_recipe_runs_is_said_where_a_published_one_would_change_the_answer():
    moe = {"model": "qwen3-30b-a3b", "framework": "megatron"}
    free = ("layout.tp=null", "layout.zero_stage=null", "layout.sequence_parallel=null", "layout.micro_batch=null")
    hopper = (*free, "cluster.own.0.gpu=h100-sxm5-80gb")
    assert defaults(*hopper, **moe)["training.tuning"] == "field"
    assert "training.tuning" not in defaults()
    assert "training.tuning" not in defaults(*hopper, "training.tuning=vendor", **moe)
    vendor, field = plan(*hopper, "training.tuning=vendor", **moe), plan(*hopper, **moe)
    assert vendor.step_time_s.p50 < field.step_time_s.p50


def test_the_best_plan_is_the_best_of_all_candidates_under_what_is_stated():
    stated = ("training.flash_attention=false", "layout.recompute_share=0.25", "layout.shard_group=4", "layout.tp=1")
    free = ("layout.micro_batch=null", "layout.recompute=null", "layout.zero_stage=null", "cluster.max_gpus=16")
    asked = scenario(*stated, *free, framework="fsdp", model="pythia-1.4b")
    offers = eligible_offers(CATALOG, asked.cluster).offers
    best = best_of(asked, enumerate_candidates(asked, offers, CATALOG, load_calibration()))
    found = api.optimize(asked).plan
    assert found is not None
    assert best is not None
    assert found.cost_usd.p50 == pytest.approx(best.cost_usd, rel=1e-6)


def test_recomputing_a_share_of_the_layers_lies_between_all_and_none():
    megatron = "training.framework=megatron"
    model = "gpt3-6.7b"
    share, every = (plan(megatron, f"layout.recompute_share={share}", model=model) for share in (0.25, 1))
    none = plan(megatron, recompute="none", model=model)
    assert every.memory_gib.total < share.memory_gib.total < none.memory_gib.total
    assert share.step_time_s.p50 < every.step_time_s.p50


def test_a_share_of_the_layers_is_not_planned_with_a_framework_that_recomputes_all_or_none():
    with pytest.raises(PlannerError, match=r"GPT-NeoX has no option for layout.recompute_share: leave it out"):
        plan("layout.recompute_share=0.25")


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("training.flash_attention=4", "training.flash_attention: `4` is not `true`, `false`, `2` or `3`"),
        ("training.flash_attention=yes", "did you mean `true`"),
        ("training.tuning=vendors", "training.tuning: `vendors` is not one of `field` or `vendor`"),
        ("layout.recompute_share=1.5", "layout.recompute_share: `1.5` is not a share from 0 to 1"),
        ("layout.shard_group=0", "layout.shard_group: `0` must be at least 1"),
        ("cluster.power_limit_w=0", "cluster.power_limit_w: `0` must be above 0"),
    ],
)
def test_a_condition_that_cannot_be_is_refused_in_a_sentence(stated, said):
    with pytest.raises(PlannerError) as error:
        scenario(stated)
    assert said in str(error.value)
