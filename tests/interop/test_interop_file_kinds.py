"""A file given to the wrong command is told as what it is, by name."""

import json

import pytest
from interop_plans import answer

from planner.cli.run import run
from planner.interop.importing import import_files
from planner.units import PlannerError

TITAN = "[titan] 2026-02-24 10:00:{n:02d},508 - root - INFO - step: {n}  loss:  7.6  memory: 6.9GiB  tps: 4,096\n"
KINDS = {
    "axolotl.yml": ("base_model: a/b\nadapter: lora\nsequence_len: 2048\n", "a file of Axolotl"),
    "nemo.yaml": ("trainer:\n  devices: 8\nexp_manager:\n  name: x\nmodel:\n  mcore_gpt: true\n", "a file of NeMo"),
    "factory.yaml": ("### model\nmodel_name_or_path: a/b\nstage: sft\nfinetuning_type: full\n", "a file of LLaMA-Fact"),
    "titan.toml": ('[job]\ndump_folder = "./outputs"\n[model]\nname = "llama3"\n', "a file of torchtitan"),
    "accelerate.yaml": ("compute_environment: LOCAL_MACHINE\ndistributed_type: FSDP\n", "a file of Accelerate"),
    "lightning.yaml": (
        "seed_everything: 42\ntrainer:\n  devices: 8\nmodel:\n  class_path: x.Y\n",
        "a file of Lightning",
    ),
    "tune.yaml": ("model:\n  _component_: torchtune.models.llama3\n", "a file of torchtune"),
    "verl.yaml": ("actor_rollout_ref:\n  model:\n    path: a/b\n", "a file of verl"),
    "nanotron.yaml": ("checkpoints:\n  interval: 10\nparallelism:\n  dp: 2\n", "a file of nanotron"),
    "maxtext.yml": ("base_emb_dim: 2048\nbase_num_decoder_layers: 16\n", "a file of MaxText"),
    "plan.yaml": ("model: pythia-1b\ndata: {tokens: 1}\nbudget: {time: 1 day}\n", "a scenario of planner"),
    "ds.json": ('{"train_batch_size": 32, "fp16": {"enabled": true}, "zero_optimization": {"stage": 2}}', "DeepSpeed"),
    "auto.json": ('{"train_batch_size": "auto", "zero_optimization": {"stage": 3}}', "a config of DeepSpeed"),
    "tokenizer.json": ('{"version": "1.0", "added_tokens": [], "model": {"type": "BPE"}}', "a tokenizer"),
    "tokenizer_config.json": (
        '{"tokenizer_class": "LlamaTokenizer", "model_max_length": 4096}',
        "a tokenizer's config",
    ),
    "model.safetensors.index.json": ('{"metadata": {}, "weight_map": {"a": "b"}}', "an index of weights"),
    "adapter_config.json": ('{"peft_type": "LORA", "r": 8}', "a config of an adapter"),
    "generation_config.json": ('{"eos_token_id": 2, "transformers_version": "4.4"}', "a generation_config.json"),
    "trainer_state.json": ('{"log_history": [], "global_step": 3}', "planner track PLAN --log reads it"),
    "model-00001.bin": ("\x00\x01\x02", "a file of weights or of tokens"),
    "model.safetensors": ("\x00\x01\x02", "a file of weights"),
    "text_document.idx": ("MMIDIDX\x00\x00", "an index of a data set"),
    "train.log": ("".join(TITAN.format(n=n) for n in range(1, 9)), "a log: planner track PLAN --log reads it"),
}


@pytest.mark.parametrize("name", KINDS)
def test_import_says_what_a_file_is_that_it_does_not_read(tmp_path, name):
    text, told = KINDS[name]
    (tmp_path / name).write_text(text)
    if name in ("titan.toml", "axolotl.yml", "adapter_config.json"):  # which planner imports
        return
    with pytest.raises(PlannerError) as error:
        import_files([tmp_path / name], gpus=8)
    assert name in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize(
    "name", [name for name in KINDS if name.endswith(("ml", "n")) and name != "trainer_state.json"]
)
def test_track_says_what_a_file_is_that_is_no_log(tmp_path, capsys, name):
    text, told = KINDS[name]
    (tmp_path / "plan.json").write_text(answer().to_json())
    (tmp_path / name).write_text(text)
    assert run(["track", str(tmp_path / "plan.json"), "--log", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert name in said
    if not name.endswith(("bin", "safetensors")):
        assert told.split(",")[0] in said


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("20B.yml", '# a comment\n{\n  "num_layers": 44,\n  "hidden_size": 6144\n}\n', "a GPT-NeoX config, no log"),
        ("block.yml", "pipe_parallel_size: 1\nnum_layers: 12\n", "a GPT-NeoX config, no log"),
        ("config.json", '{"model_type": "llama", "hidden_size": 4096}', "a config.json of Hugging Face, no log"),
        ("run.sh", "#!/bin/bash\ntorchrun pretrain_gpt.py --num-layers 2\n", "a script, no log"),
    ],
)
def test_a_config_given_as_a_log_is_told_as_one(tmp_path, capsys, name, text, told):
    (tmp_path / "plan.json").write_text(answer().to_json())
    (tmp_path / name).write_text(text)
    assert run(["track", str(tmp_path / "plan.json"), "--log", str(tmp_path / name)]) == 2
    assert f"{name} is {told}" in capsys.readouterr().err.replace("\n", " ")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("run.sh", "#!/bin/bash\ntorchrun pretrain_gpt.py --num-layers 2\n", "run.sh 是脚本，不是日志"),
        ("nemo.yaml", "trainer:\n  devices: 8\nexp_manager: {}\n", "nemo.yaml 是 NeMo 的文件，不是日志"),
        ("run.log", "nothing\nhere\n", "run.log：其 2 行中没有 planner 能读取的训练步"),
    ],
)
def test_what_is_no_log_is_told_in_the_language_that_is_asked_for(tmp_path, capsys, name, text, told):
    (tmp_path / "plan.json").write_text(answer().to_json())
    (tmp_path / name).write_text(text)
    assert run(["--lang", "zh", "track", str(tmp_path / "plan.json"), "--log", str(tmp_path / name)]) == 2
    assert told in capsys.readouterr().err.replace("\n", "")


def test_deepspeeds_part_of_a_gpt_neox_config_is_merged_with_the_part_that_has_the_model(tmp_path):
    part = {"train_micro_batch_size_per_gpu": 4, "train_batch_size": 32, "zero_optimization": {"stage": 1}}
    model = {
        "num_layers": 12, "hidden_size": 768, "num_attention_heads": 12, "seq_length": 2048,
        "max_position_embeddings": 2048, "train_iters": 1000,
    }  # fmt: skip
    (tmp_path / "ds.yml").write_text(json.dumps(part))
    (tmp_path / "model.yml").write_text(json.dumps(model))
    found = import_files([tmp_path / "ds.yml", tmp_path / "model.yml"], gpus=8, vocab=50_000)
    assert found.value("layout.zero_stage") == 1
    with pytest.raises(PlannerError, match=r"ds\.yml is a config of DeepSpeed, which holds no model"):
        import_files([tmp_path / "ds.yml"], gpus=8, vocab=50_000)
