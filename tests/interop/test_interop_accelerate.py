"""FSDP through Accelerate: launch files that state what the plan assumes, read back as they were written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from interop_plans import answer as saved

from planner import api
from planner.catalog.paths import scenarios_dir
from planner.interop.exporting import export_files
from planner.interop.importing import import_files
from planner.results.answers import Optimization
from planner.units import PlannerError

LLAMA = scenarios_dir() / "llama3-8b.yaml"
MODEL = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "hidden_act": "silu",
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
}  # fmt: skip


def planned(*overrides: str) -> Optimization:
    return api.optimize(LLAMA, overrides=["training.framework=fsdp", "cluster.max_gpus=128", *overrides])


@pytest.mark.parametrize(
    ("overrides", "reshards", "checkpoints"),
    [
        (("layout.zero_stage=3", "layout.recompute=none", "layout.shard_group=null"), True, False),
        (("layout.zero_stage=2", "layout.recompute=full", "layout.recompute_share=1"), False, True),
    ],
)
def test_the_yaml_is_fsdp2_as_planned(overrides: tuple[str, ...], reshards: bool, checkpoints: bool) -> None:
    answer = planned(*overrides)
    files, notes = export_files(answer, "accelerate")
    config, plan = yaml.safe_load(files["accelerate.yaml"]), answer.plan
    assert plan is not None
    assert (config["distributed_type"], config["mixed_precision"]) == ("FSDP", "bf16")
    assert (config["num_processes"], config["num_machines"]) == (plan.gpus, plan.nodes)
    section = config["fsdp_config"]
    assert (section["fsdp_version"], section["fsdp_reshard_after_forward"]) == (2, reshards)
    assert section["fsdp_activation_checkpointing"] is checkpoints
    assert "--gradient_checkpointing" not in files["train.sh"]  # FSDP does it
    assert f"--per_device_train_batch_size {plan.layout.micro_batch} " in files["train.sh"]
    assert any("gradients in 16 bits" in note for note in notes)


def test_it_reads_back_with_its_groups(tmp_path: Path) -> None:
    answer = planned("layout.shard_group=8", "layout.recompute=none", "cluster.max_gpus=64")
    files = export_files(answer, "accelerate")[0]
    for name, text in (("config.json", json.dumps(MODEL)), ("accelerate.yaml", files["accelerate.yaml"])):
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = import_files([tmp_path / "config.json", tmp_path / "accelerate.yaml"])
    plan = answer.plan
    assert plan is not None
    assert not found.warnings
    assert {key: found.value(key) for key in ("training.framework", "training.precision", "layout.recompute")} == {
        "training.framework": "fsdp", "training.precision": "bf16", "layout.recompute": "none",
    }  # fmt: skip
    assert (found.value("layout.dp"), found.value("layout.shard_group")) == (plan.gpus, 8)
    assert found.value("layout.zero_stage") == plan.layout.zero_stage


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("training.optimizer=lion",), "planner writes no lion for it; plan with training.optimizer: adamw"),
        (("training.offload=optimizer",), "plan with training.offload: none"),
        (("training.precision=fp8",), "plan with training.precision: bf16"),
        (("layout.recompute=full", "layout.recompute_share=0.5"), "plan with layout.recompute_share: 1"),
    ],
)
def test_what_it_has_no_option_for_is_refused_with_what_to_write(overrides: tuple[str, ...], said: str) -> None:
    answer = planned("cluster.gpus=h100-sxm5-80gb", *overrides)
    with pytest.raises(PlannerError, match=said):
        export_files(answer, "accelerate")


def test_another_frameworks_plan_is_refused() -> None:
    with pytest.raises(PlannerError, match="--to accelerate starts PyTorch FSDP"):
        export_files(saved(framework="megatron"), "accelerate")
