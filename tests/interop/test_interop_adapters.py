"""Adapters from scenario to plan, from other programs' files, and into launch files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner import api
from planner.catalog.paths import scenarios_dir
from planner.interop.exporting import TARGETS, export_files
from planner.interop.importing import import_files
from planner.results.answers import Optimization
from planner.units import PlannerError

QLORA = scenarios_dir() / "qlora-llama3-8b.yaml"
MODEL = {
    "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "intermediate_size": 14336, "vocab_size": 128256, "hidden_act": "silu",
    "max_position_embeddings": 8192, "rms_norm_eps": 1e-5,
}  # fmt: skip
ADAPTER = {
    "peft_type": "LORA", "r": 16, "lora_alpha": 32, "target_modules": ["v_proj", "q_proj"], "bias": "none",
    "base_model_name_or_path": "meta-llama/Meta-Llama-3-8B", "task_type": "CAUSAL_LM",
}  # fmt: skip
AXOLOTL = """\
base_model: meta-llama/Llama-3.2-1B
load_in_4bit: true
adapter: qlora
lora_r: 32
lora_alpha: 16
lora_target_linear: true
sequence_len: 2048
micro_batch_size: 2
gradient_accumulation_steps: 4
num_epochs: 1
optimizer: adamw_bnb_8bit
bf16: auto
gradient_checkpointing: true
attn_implementation: flash_attention_2
deepspeed: deepspeed_configs/zero2.json
"""


def planned(**sets: str) -> Optimization:
    return api.optimize(QLORA, overrides=[f"{key.replace('__', '.')}={value}" for key, value in sets.items()])


@pytest.fixture(scope="module")
def answer() -> Optimization:
    return planned()


def test_a_plan_says_what_is_trained_and_that_nobody_measured_it(answer: Optimization) -> None:
    plan = answer.plan
    assert plan is not None
    assert plan.conditions is not None
    assert plan.conditions.adapter is not None
    assert (plan.conditions.adapter.words, plan.conditions.adapter.parameters) == ("qlora r16", 41_943_040)
    assert plan.basis == "modelled"
    assert any("a factor of 2 either way" in warning for warning in answer.warnings)
    assert plan.reliability is not None
    assert plan.reliability.checkpoint_gb < 1  # of adapters, not of eight billion weights
    assert plan.memory_gib.total < 24
    assert {"adapters", "dequantisation"} <= set(plan.step_breakdown_s)
    assert plan.plausibility is not None
    assert plan.plausibility.flops_a_parameter == 4


def test_without_adapters_the_same_machine_is_too_small() -> None:
    assert planned(training__adapter="null").plan is None


def test_a_saved_plan_reads_back_with_its_adapters(answer: Optimization) -> None:
    again = Optimization.from_json(answer.to_json())
    assert again.plan == answer.plan
    document = json.loads(answer.to_json())
    assert document["plan"]["conditions"]["adapter"]["target_modules"] == ["all-linear"]
    del document["plan"]["conditions"]["adapter"]  # as an older planner saved it
    assert Optimization.from_json(json.dumps(document)).plan.conditions.adapter is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ({"training__precision": "fp8"}, "`fp8` quantises weights that qlora keeps frozen: write bf16 or fp16"),
        ({"training__offload": "optimizer"}, "qlora's optimizer is small: write `none` or `activations`"),
        ({"training__starts_from": "scratch"}, "adapters on a model's weights: leave it out, or `checkpoint`"),
        ({"training__framework": "nanotron"}, "has no adapters .qlora.: training.framework may be deepspeed, fsdp"),
        ({"training__adapter": "prefix"}, "is not one of `lora` or `qlora` or a map with `method`"),
        ({"training__adapter": "{method: lora, target_modules: [wq]}"}, "llama3-8b has no `wq`; it has q_proj"),
    ],
)
def test_what_contradicts_adapters_is_refused_in_a_sentence(sets: dict[str, str], said: str) -> None:
    with pytest.raises(PlannerError, match=said):
        planned(**sets)


# Launch files --------------------------------------------------------------------------------------------------------

#: Fields of trl/trainer/model_config.py and sft_config.py at f2cd577, and of transformers' TrainingArguments.
TRL = {
    "use_peft", "lora_r", "lora_target_modules", "load_in_4bit", "bnb_4bit_quant_type", "use_bnb_nested_quant",
    "bnb_4bit_quant_storage", "dtype", "attn_implementation", "model_name_or_path", "max_length", "packing",
}  # fmt: skip


def test_deepspeeds_script_hands_the_adapters_to_trl(answer: Optimization) -> None:
    script = export_files(answer, "deepspeed")[0]["train.sh"]
    words = dict(line.strip(" \\").split(maxsplit=1) for line in script.splitlines() if line.startswith("  --"))
    assert words["--use_peft"] == "True"
    assert (words["--lora_r"], words["--lora_target_modules"], words["--load_in_4bit"]) == ("16", "all-linear", "True")
    assert words["--max_length"] == "2048"
    assert words["--gradient_checkpointing"] == "True"  # TRL's is on unless told otherwise
    assert {f"--{name}" for name in TRL} - {"--bnb_4bit_quant_storage", "--model_name_or_path"} <= set(words)


def test_names_of_several_matrices_are_words_of_their_own() -> None:
    found = planned(training__adapter="{method: lora, target_modules: [q_proj, v_proj]}")
    script = export_files(found, "deepspeed")[0]["train.sh"]
    assert "  --lora_target_modules q_proj v_proj \\" in script
    assert "--load_in_4bit" not in script


def test_a_script_of_ones_own_finds_them_in_its_environment() -> None:
    found = planned(training__framework="fsdp")
    script = export_files(found, "slurm")[0]["train.sbatch"]
    assert "export PLAN_ADAPTER=qlora\nexport PLAN_LORA_R=16\nexport PLAN_LORA_TARGET_MODULES=all-linear" in script


@pytest.mark.parametrize("target", ["neox", "megatron", "megatron-bridge", "torchtitan", "nanotron"])
def test_other_tools_refuse_them_in_a_sentence(answer: Optimization, target: str) -> None:
    assert target in TARGETS
    document = json.loads(answer.to_json())
    document["plan"]["framework"] = {"neox": "gpt-neox", "megatron-bridge": "megatron"}.get(target, target)
    with pytest.raises(PlannerError, match=r"adapters \(qlora\)|cannot"):
        export_files(Optimization.from_json(json.dumps(document)), target)


# Other programs' files -----------------------------------------------------------------------------------------------


def written(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_pefts_adapter_is_read_with_the_model_beside_it(tmp_path: Path) -> None:
    model, adapter = written(tmp_path, "config.json", MODEL), written(tmp_path, "adapter_config.json", ADAPTER)
    found = import_files([model, adapter])
    assert found.value("training.adapter.method") == "lora"
    assert (found.value("training.adapter.r"), found.value("model.layers")) == (16, 32)
    assert found.value("training.adapter.target_modules") == ["q_proj", "v_proj"]


def test_weights_in_four_bits_make_it_qlora(tmp_path: Path) -> None:
    quantised = MODEL | {"quantization_config": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}
    paths = [written(tmp_path, "config.json", quantised), written(tmp_path, "adapter_config.json", ADAPTER)]
    assert import_files(paths).value("training.adapter.method") == "qlora"


def test_alone_it_names_a_model_of_the_catalog(tmp_path: Path) -> None:
    found = import_files([written(tmp_path, "adapter_config.json", ADAPTER)])
    assert found.value("model") == "llama3-8b"


def test_deepspeeds_and_accelerates_files_stand_beside_it(tmp_path: Path, answer: Optimization) -> None:
    files = export_files(answer, "deepspeed")[0]
    paths = [
        written(tmp_path, "config.json", MODEL),
        written(tmp_path, "adapter_config.json", ADAPTER),
        *(written(tmp_path, name, files[name]) for name in ("ds_config.json", "accelerate.yaml")),
    ]
    found = import_files(paths)
    assert answer.plan is not None
    assert found.value("training.global_batch") == answer.plan.global_batch
    assert found.value("training.framework") == "deepspeed"
    assert found.value("training.adapter.r") == 16


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"peft_type": "IA3"}, "peft_type IA3 is not planned; planner counts LORA"),
        ({"use_dora": True}, "use_dora adds a vector to every adapter, which planner does not count"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save trains whole matrices beside adapters"),
        ({"target_modules": ".*q_proj"}, "is a pattern, which planner does not follow"),
        ({"target_modules": ["wq"]}, "has no `wq`"),
        ({"target_modules": None}, "has no target_modules"),
        ({"base_model_name_or_path": "me/mine"}, "is no model of the catalog: name the model's config.json, too"),
    ],
)
def test_what_is_not_counted_is_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(PlannerError, match=said):
        import_files([written(tmp_path, "adapter_config.json", ADAPTER | changed)])


def test_axolotls_yaml_is_a_whole_run(tmp_path: Path, planner: Any) -> None:
    path = written(tmp_path, "qlora.yml", AXOLOTL)
    found = import_files([path], gpus=2, tokens=10**7)
    assert {t.key: t.value for t in found.taken} == {
        "name": "llama3.2-1b", "model": "llama3.2-1b", "data.seq_length": 2048, "data.tokens": 10**7,
        "training.epochs": 1, "training.global_batch": 16, "training.framework": "deepspeed",
        "training.adapter.method": "qlora", "training.adapter.r": 32,
        "training.adapter.target_modules": ["all-linear"], "training.optimizer": "adamw", "training.precision": "bf16",
        "training.flash_attention": 2, "layout.micro_batch": 2, "layout.dp": 2, "layout.zero_stage": 2,
        "layout.recompute": "full",
    }  # fmt: skip
    scenario = written(tmp_path, "scenario.yaml", found.to_yaml() + "budget: {time: 9 days}\n")
    ran = planner("optimize", scenario, "--set", "layout.dp=8", "--json", "--quiet")
    assert ran.code == 0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("adapter: qlora", "adapter: llama-adapter", "adapter llama-adapter is not planned"),
        ("lora_r: 32", "lora_modules_to_save: [lm_head]", "lora_modules_to_save trains whole matrices"),
        ("lora_r: 32", "context_parallel_size: 2", "context_parallel_size 2 is not planned under Axolotl"),
        ("lora_target_linear: true", "lora_target_modules: q.*", "is a pattern"),
        ("base_model: meta-llama/Llama-3.2-1B", "base_model: me/mine", "is no model of the catalog"),
    ],
)
def test_what_axolotl_does_otherwise_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    with pytest.raises(PlannerError, match=said):
        import_files([written(tmp_path, "a.yml", AXOLOTL.replace(old, new))], gpus=2)
