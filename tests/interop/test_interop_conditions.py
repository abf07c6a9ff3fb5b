"""How a run is set up beside its layout comes out of other programs' files, and goes back into them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from interop_plans import answer

from planner.interop.exporting import export_files, write_files
from planner.interop.imported import Imported, scenario_yaml
from planner.interop.importing import import_files
from planner.results.answers import Optimization
from planner.results.plan import RunConditions
from planner.scenario import parse_scenario
from planner.units import PlannerError

KEYS = ("training.flash_attention", "training.fused_or_compile", "training.comm_overlap")
NEOX = {
    "num_layers": 4, "hidden_size": 256, "num_attention_heads": 4, "max_position_embeddings": 128, "seq_length": 128,
    "train_batch_size": 32, "train_micro_batch_size_per_gpu": 4, "train_iters": 100, "precision": "bfloat16",
    "tokenizer_type": "GPT2BPETokenizer",
}  # fmt: skip
MEGATRON = (
    "torchrun --nproc-per-node 8 pretrain_gpt.py --num-layers 8 --hidden-size 256 --num-attention-heads 4 --seq-length "
    "128 --max-position-embeddings 128 --micro-batch-size 2 --global-batch-size 32 --train-iters 100 --bf16 "
    "--vocab-size 50304 --pipeline-model-parallel-size 2"
)
PLAIN = RunConditions(
    flash_attention=True,
    flash_generation=None,
    fused_or_compile=True,
    comm_overlap=True,
    recompute_share=None,
    shard_group=None,
)


def neox(folder: Path, **changes: object) -> dict[str, object]:
    path = folder / "run.yml"
    path.write_text(json.dumps(NEOX | changes))
    return values(import_files([path], gpus=8))


def megatron(folder: Path, more: str = "") -> dict[str, object]:
    path = folder / "train.sh"
    path.write_text(f"{MEGATRON} {more}\n")
    return values(import_files([path]))


def values(found: Imported) -> dict[str, object]:
    return {taken.key: taken.value for taken in found.taken} | {"remarks": " ".join(found.remarks)}


def with_conditions(framework: str, layout: dict[str, object] | None = None, **changed: object) -> Optimization:
    saved = answer("pythia-6.9b" if framework == "gpt-neox" else "llama3-8b", framework, **(layout or {}))
    assert saved.plan is not None
    return replace(saved, plan=replace(saved.plan, conditions=replace(PLAIN, **changed)))


def there_and_back(folder: Path, saved: Optimization, target: str, files: tuple[str, ...]) -> dict[str, object]:
    out, _ = export_files(saved, target)
    write_files(folder, out)
    return values(import_files([folder / name for name in files]))


@pytest.mark.parametrize(
    ("changes", "flash", "fused", "overlap"),
    [
        ({}, False, False, False),
        ({"attention_config": [[["flash"], 4]]}, True, False, False),
        ({"attention_config": [[["global"], "all"]]}, False, False, False),
        ({"attention_config": ["flash", "flash", "flash", "flash"]}, True, False, False),
        ({"te_mha": True}, True, False, False),
        ({"scaled_upper_triang_masked_softmax_fusion": True}, False, True, False),
        ({"scaled-upper-triang-masked-softmax-fusion": True, "attention_config": [[["flash"], 4]]}, True, False, False),
        ({"bias-gelu-fusion": True, "attention-config": [[["flash"], 4]]}, True, True, False),
        ({"norm": "rmsnorm", "rmsnorm_fusion": True}, False, True, False),
        ({"norm": "te_rmsnorm"}, False, True, False),
        ({"zero_optimization": {"stage": 1, "overlap_comm": True}}, False, False, True),
        ({"zero_optimization": {"stage": 1}}, False, False, False),
        ({"zero_optimization": {"stage": 3}, "pipe_parallel_size": 0}, False, False, True),
    ],
)
def test_a_neox_config_says_how_its_run_is_set_up(tmp_path, changes, flash, fused, overlap):
    found = neox(tmp_path, **changes)
    assert tuple(found[key] for key in KEYS) == (flash, fused, overlap)


def test_attention_that_differs_by_layer_is_said_and_priced_as_most_layers_are(tmp_path):
    found = neox(tmp_path, attention_config=[[["flash"], 3], [["global"], 1]])
    assert found["training.flash_attention"] is True
    assert "in some layers only: all are priced as flash" in str(found["remarks"])


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"zero_optimization": {"stage": 1, "overlap_comm": "often"}}, "overlap_comm"),
        ({"bias_gelu_fusion": "perhaps"}, "bias_gelu_fusion"),
        ({"zero_optimization": {"stage": 1, "overlap_com": True}}, "did you mean 'overlap_comm'"),
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(tmp_path, wrong, sentence):
    with pytest.raises(PlannerError, match=sentence):
        neox(tmp_path, **wrong)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("", {"training.comm_overlap": False}),
        ("--use-flash-attn", {"training.flash_attention": True}),
        ("--attention-backend flash", {"training.flash_attention": 2}),
        ("--attention-backend fused", {"training.flash_attention": 3}),
        ("--attention-backend unfused", {"training.flash_attention": False}),
        ("--transformer-impl local", {"training.flash_attention": False}),
        ("--transformer-impl local --use-flash-attn", {"training.flash_attention": True}),
        ("--transformer-impl transformer_engine", {"training.flash_attention": True}),
        ("--no-bias-gelu-fusion", {"training.fused_or_compile": False}),
        ("--overlap-grad-reduce --overlap-param-gather", {"training.comm_overlap": True}),
        (
            "--recompute-granularity full --recompute-method block --recompute-num-layers 1",
            {"layout.recompute": "full", "layout.recompute_share": 0.25},
        ),
        ("--use-distributed-optimizer --num-distributed-optimizer-instances 2", {"layout.shard_group": 2}),
    ],
)
def test_megatron_arguments_say_how_their_run_is_set_up(tmp_path, more, expected):
    found = megatron(tmp_path, more)
    assert {key: found[key] for key in expected} == expected


@pytest.mark.parametrize("more", ["", "--no-masked-softmax-fusion", "--no-bias-swiglu-fusion", "--no-rope-fusion"])
def test_what_megatron_leaves_to_its_release_is_left_to_it(tmp_path, more):
    found = megatron(tmp_path, more)
    assert "training.flash_attention" not in found
    assert "training.fused_or_compile" not in found
    assert "layout.recompute_share" not in found


@pytest.mark.parametrize("flash", [True, False])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("overlap", [True, False])
def test_conditions_go_into_a_neox_config_and_come_back(tmp_path, flash, fused, overlap):
    saved = with_conditions("gpt-neox", flash_attention=flash, fused_or_compile=fused, comm_overlap=overlap)
    found = there_and_back(tmp_path, saved, "neox", ("run.yml", "paths.yml"))
    assert tuple(found[key] for key in KEYS) == (flash, fused, overlap)
    run = yaml.safe_load((tmp_path / "run.yml").read_text())
    assert run["attention_config"] == [[["flash" if flash else "global"], 32]]


@pytest.mark.parametrize(
    ("changed", "sentence"), [({"recompute_share": 0.5}, "share of the layers"), ({"shard_group": 4}, "over a group")]
)
def test_what_neox_has_not_is_refused_and_named(changed, sentence):
    with pytest.raises(PlannerError, match=sentence):
        export_files(with_conditions("gpt-neox", **changed), "neox")


@pytest.mark.parametrize(
    ("changed", "key", "value"),
    [
        ({}, "training.flash_attention", True),
        ({"flash_generation": 2}, "training.flash_attention", 2),
        ({"flash_generation": 3}, "training.flash_attention", 3),
        ({"flash_attention": False}, "training.flash_attention", False),
        ({"fused_or_compile": False}, "training.fused_or_compile", False),
        ({"comm_overlap": False}, "training.comm_overlap", False),
        ({"comm_overlap": True}, "training.comm_overlap", True),
        ({"recompute_share": 0.5}, "layout.recompute_share", 0.5),
        ({"shard_group": 6}, "layout.shard_group", 6),
    ],
)
def test_conditions_go_into_megatron_arguments_and_come_back(tmp_path, changed, key, value):
    found = there_and_back(tmp_path, with_conditions("megatron", **changed), "megatron", ("train.sh",))
    assert found[key] == value


@pytest.mark.parametrize(
    ("stated", "value"),
    [({"_attn_implementation": "flash_attention_2"}, 2), ({"attn_implementation": "eager"}, False), ({}, None)],
)
def test_a_hugging_face_config_says_which_attention_it_asks_for(tmp_path, stated, value):
    source = Path(__file__).parents[1] / "fixtures" / "interop" / "hf" / "llama-3.1-8b.json"
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(source.read_text()) | stated))
    assert values(import_files([path])).get("training.flash_attention") == value


def test_an_imported_scenario_states_its_conditions(tmp_path):
    path = tmp_path / "run.yml"
    path.write_text(json.dumps(NEOX | {"attention_config": [[["flash"], 4]]}))
    text = scenario_yaml(import_files([path], gpus=8)) + "budget: {time: 30 days}\n"
    training = parse_scenario(text.encode(), Path("run.yaml")).training
    assert (training.flash_attention, training.fused_or_compile, training.comm_overlap) == (True, False, False)
