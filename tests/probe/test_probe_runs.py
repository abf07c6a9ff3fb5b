"""Short runs that stand for a plan: what a GPU does is kept, and their files start them and nothing more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from interop_plans import answer

from planner.api import load_facts
from planner.files import write_all
from planner.interop.importing import import_files
from planner.interop.probes import STEPS_LEAST, STEPS_MOST, launch_files, probes_of, run_of
from planner.performance.memory import capacity_gib
from planner.performance.stacks import place_of
from planner.results.answers import Optimization
from planner.workload.model_catalog import load_model

CATALOG, CALIBRATION = load_facts()


def probes(**layout: int) -> tuple[Optimization, Any]:
    saved = answer(**layout)
    return saved, probes_of(saved.plan, saved.trained, CATALOG, CALIBRATION)


def test_a_short_run_keeps_what_a_gpu_does_and_what_a_stage_holds():
    saved, found = probes()
    old = saved.plan.layout
    assert found
    for each in found:
        new = each.plan.layout
        assert (new.tp, new.cp, new.micro_batch, new.recompute) == (old.tp, old.cp, old.micro_batch, old.recompute)
        assert each.trained.model.layers * old.pp == saved.trained.model.layers * new.pp
        assert each.trained.model.hidden == saved.trained.model.hidden
        assert 1 <= each.plan.nodes <= 4
        assert each.plan.gpus == new.tp * new.pp * new.dp * new.cp == 8 * each.plan.nodes
        assert STEPS_LEAST <= each.plan.iterations <= STEPS_MOST
        assert each.memory_gib <= capacity_gib(each.run.setting)
        assert each.plan.global_batch == new.micro_batch * new.dp * new.grad_accum


def test_without_a_pipeline_layers_are_left_out_where_the_states_do_not_fit_else():
    _, found = probes(model="llama2-7b", framework="megatron", gpu="a100-sxm4-40gb", tp=1, pp=1, dp=64, micro_batch=1)
    on_one_node = {each.trained.model.layers for each in found if each.plan.nodes == 1}
    assert on_one_node
    assert max(on_one_node) < 32


def test_a_model_whose_layers_follow_a_pattern_is_not_cut():
    saved = answer(model="llama2-7b", framework="megatron", tp=1, pp=1, dp=64, micro_batch=1, gpu="h100-sxm5-80gb")
    odd = replace(saved.trained, model=replace(saved.trained.model, layer_pattern="*-" * 16))
    found = probes_of(saved.plan, odd, CATALOG, CALIBRATION)
    assert all(each.trained.model.layers == 32 for each in found)


def test_a_part_of_a_model_stands_where_the_model_does():
    saved, found = probes()
    part = next(each for each in found if each.cut)
    whole = run_of(saved.plan, saved.trained.model, CATALOG)
    mine, theirs = place_of(part.run.setting, whole.gpus), place_of(whole.setting, whole.gpus)
    assert mine == theirs


@pytest.mark.parametrize(
    ("framework", "model", "files"),
    [
        ("gpt-neox", "gpt-neox-20b", {"run.yml", "paths.yml", "hosts", "launch.sh", "train.sbatch", "slurm.yml"}),
        ("megatron", "llama2-7b", {"train.sh", "train.sbatch"}),
    ],
)
def test_the_files_of_a_short_run_state_it_log_every_step_and_keep_no_checkpoint(framework, model, files, tmp_path):
    _, found = probes(model=model, framework=framework, pp=4, tp=2, recompute="none", gpu="h100-sxm5-80gb")
    each = found[-1]
    made, _ = launch_files(each, "some scenario", 2)
    assert set(made) == files
    write_all(tmp_path, made)
    text = "\n".join(made.values())
    assert "probe-2" in made["train.sbatch"]
    assert "checkpoint" not in made["train.sbatch"].replace("checkpoints.", "")
    assert "#SBATCH --no-requeue\n" in made["train.sbatch"]
    assert "save" not in yaml.safe_load(made["paths.yml"]) if "paths.yml" in made else "--save" not in text
    if framework == "gpt-neox":
        config = yaml.safe_load(made["run.yml"])
        assert config["log_interval"] == 1
        assert "checkpoint_factor" not in config
        assert config["train_iters"] == each.plan.iterations
    else:
        assert "--log-interval 1\n" in text
    read = import_files([tmp_path / ("run.yml" if framework == "gpt-neox" else "train.sh")])
    layout = each.plan.layout
    assert read.model.layers == each.trained.model.layers
    assert read.value("layout.tp") == layout.tp
    assert read.value("layout.pp") == layout.pp
    assert read.value("layout.micro_batch") == layout.micro_batch


def test_moe_models_keep_their_experts():
    _, found = probes(
        model="mixtral-8x7b", framework="megatron", gpu="h100-sxm5-80gb", tp=1, pp=4, dp=16, ep=8, micro_batch=1,
        recompute="none",
    )  # fmt: skip
    assert found
    assert all(each.trained.model.moe == load_model("mixtral-8x7b").moe and each.plan.layout.ep == 8 for each in found)


@pytest.mark.parametrize(
    ("framework", "lines"),
    [
        ("torchtitan", ("log_freq = 1\n", "enable = false")),
        ("deepspeed", ("--logging_steps 1", "--save_strategy no")),
        ("nanotron", ("iteration_step_info_interval: 1\n",)),
    ],
)
def test_other_frameworks_log_every_step_and_keep_no_checkpoint(framework, lines):
    _, found = probes(
        model="llama3-8b", framework=framework, gpu="h100-sxm5-80gb", tp=1, pp=1, dp=32, micro_batch=1, grad_accum=4,
        recompute="none", zero_stage=3 if framework == "torchtitan" else 1,
    )  # fmt: skip
    made, _ = launch_files(found[-1], "some", 1)
    text = "\n".join(made.values())
    assert [line for line in lines if line not in text] == []
