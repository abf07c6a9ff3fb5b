"""Other programs' configs become the right shapes, layouts and batches, and say where each value came from."""

import json
import re
from pathlib import Path

import pytest
import yaml
from interop_plans import answer

import planner.interop
from planner.interop.exporting import export_files, write_files
from planner.interop.imported import scenario_yaml
from planner.interop.importing import import_files
from planner.interop.neox_fields import TABLE
from planner.interop.neox_keys import DECIDING, IRRELEVANT, IRRELEVANT_BEFORE, KEYS, UNDERSTOOD, misspelt
from planner.results.answers import Trained
from planner.scenario import load_scenario
from planner.units import PlannerError
from planner.workload.counts import parameter_counts
from planner.workload.model_catalog import model_from_mapping

FIXTURES = Path(__file__).parents[1] / "fixtures" / "interop"
NEOX_20B = [FIXTURES / "neox" / "20B.yml", FIXTURES / "neox" / "20B_data.yml"]

# Biderman et al. 2023, table 1 and the model cards; 20B: Black et al. 2022, with the vocabulary padded to 50,432.
PYTHIA = {
    "70m": (70_426_624, 32, 1024), "160m": (162_322_944, 32, 1024), "410m": (405_334_016, 32, 1024),
    "1b": (1_011_781_632, 64, 1024), "1.4b": (1_414_647_808, 64, 1024), "2.8b": (2_775_208_960, 64, 1024),
    "6.9b": (6_857_302_016, 128, 1024), "12b": (11_846_072_320, 256, 1024),
}  # fmt: skip
# Counts of the published checkpoints (Hugging Face), vocabulary as published, multi-token prediction left out.
PUBLISHED = {
    "llama-3.1-8b": 8_030_261_248, "mistral-7b-v0.1": 7_241_732_096, "mixtral-8x7b": 46_702_792_704,
    "qwen2-7b": 7_615_616_512, "qwen3-8b": 8_190_735_360, "qwen3-30b-a3b": 30_532_122_624,
    "deepseek-v2": 235_741_434_880, "deepseek-v3": 671_026_419_200, "gpt2": 124_439_808, "gpt-j-6b": 6_050_882_784,
    "mpt-7b": 6_649_286_656, "gpt-oss-20b": 20_914_757_184, "gpt-neox-20b": 20_554_567_680,
}  # fmt: skip


def test_the_20b_config_is_the_run_that_was_published():
    found = import_files(NEOX_20B, gpus=96)
    assert parameter_counts(found.model, tp=2).total == 20_554_567_680
    layout = {k: found.value(f"layout.{k}") for k in ("tp", "pp", "dp", "micro_batch", "zero_stage", "recompute")}
    assert layout == {"tp": 2, "pp": 4, "dp": 12, "micro_batch": 4, "zero_stage": 1, "recompute": "full"}
    assert found.value("training.global_batch") == 1536
    assert found.value("training.iterations") == 150_000
    assert found.value("training.precision") == "fp16"
    assert found.model.parallel_residual
    assert not found.model.tied_embeddings


@pytest.mark.parametrize("name", PYTHIA)
def test_pythia_configs_have_the_published_counts_and_batches(name):
    params, gpus, batch = PYTHIA[name]
    found = import_files([FIXTURES / "neox" / f"pythia-{name}.yml"], gpus=gpus)
    assert parameter_counts(found.model, tp=found.value("layout.tp")).total == params
    assert found.value("training.global_batch") == batch  # 2M tokens, as published


def test_the_comma_that_a_published_config_lacks_is_put_in_and_said():
    found = import_files([FIXTURES / "neox" / "pythia-12b.yml"], gpus=256)
    assert any("pythia-12b.yml:8: a comma is missing" in remark for remark in found.remarks)


@pytest.mark.parametrize("name", PUBLISHED)
def test_hugging_face_configs_have_the_published_counts(name):
    found = import_files([FIXTURES / "hf" / f"{name}.json"])
    assert parameter_counts(found.model, padded=False).total == PUBLISHED[name]


def test_a_megatron_script_is_read_without_running_it():
    found = import_files([FIXTURES / "megatron" / "mixtral.sh"])
    assert parameter_counts(found.model).total == PUBLISHED["mixtral-8x7b"]
    keys = ("tp", "pp", "vpp", "dp", "ep", "micro_batch", "zero_stage", "recompute", "sequence_parallel")
    assert [found.value(f"layout.{k}") for k in keys] == [1, 4, 4, 32, 8, 1, 1, "selective", False]
    assert found.value("training.global_batch") == 256
    assert "--tokenizer-model" in found.unused
    origins = {taken.key: taken.origin for taken in found.taken}
    assert origins["model.moe.top_k"].startswith("--moe-router-topk")
    assert origins["layout.sequence_parallel"].endswith("it does nothing at tp 1")


@pytest.mark.parametrize(
    "files",
    [NEOX_20B, [FIXTURES / "hf" / "deepseek-v3.json"], [FIXTURES / "megatron" / "mixtral.sh"]],
    ids=["neox", "hf", "megatron"],
)
def test_the_written_model_is_the_read_model_and_every_value_says_its_origin(files):
    found = import_files(files, gpus=None if files[0].suffix == ".sh" else 96)
    text = scenario_yaml(found)
    tree = yaml.safe_load(text)
    read = model_from_mapping(tree["model"])
    assert parameter_counts(read) == parameter_counts(found.model)
    assert all(taken.origin for taken in found.taken if taken.key != "name")
    assert text == scenario_yaml(import_files(files, gpus=None if files[0].suffix == ".sh" else 96))


def config(tmp_path: Path, name: str = "a.yml", **changes: object) -> Path:
    values = {
        "num_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "seq_length": 128, "pos_emb": "rotary",
        "max_position_embeddings": 128, "train_micro_batch_size_per_gpu": 4, "train_iters": 10,
        "precision": "bfloat16", **changes,
    }  # fmt: skip
    path = tmp_path / name
    path.write_text(json.dumps({k: v for k, v in values.items() if v is not ...}))
    return path


@pytest.mark.parametrize(("file", "named"), [("run.yml", "run"), ("20B.v2.YAML", "20B.v2"), ("site.json", "site")])
def test_a_scenario_is_called_by_its_file_without_the_ending(tmp_path, file, named):
    found = import_files([config(tmp_path, file)], gpus=4)
    assert next(row.value for row in found.taken if row.key == "name") == named


def test_unknown_keys_are_a_warning_each_and_never_stop_the_import(tmp_path):
    found = import_files([config(tmp_path, frobnicate={"a": [1]}, **{"dashed-key": None})], gpus=4)
    assert [w.split(" is no option")[0] for w in found.warnings] == ["a.yml:1: frobnicate", "a.yml:1: dashed_key"]
    assert not {"frobnicate", "dashed_key"} & set(found.unused)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"hidden_size": 65}, "hidden_size must be divisible by num_attention_heads: 65 % 4"),
        ({"num_kv_heads": 3}, "num_kv_heads must evenly divide num_attention_heads"),
        ({"model_parallel_size": 3}, "not divisible by 3"),
        ({"model_parallel_size": 4, "num_kv_heads": 2}, "Number of KV heads must be at least model_parallel_size"),
        ({"train_batch_size": 100}, "100 != 4 * 1 * 8"),
        ({"attention_config": [[["global"], 3]]}, "Length of attention config list must equal num_layers: 3 != 2"),
        (
            {"attention_config": [[["mamba"], 2]]},
            "has mamba layers, which planner does not read from a GPT-NeoX config",
        ),
        ({"max_position_embeddings": 64}, "must be bigger or equal seq_length"),
        ({"precision": "fp16", "bf16": {"enabled": True}}, "DeepSpeed bf16 field was set but precision conflicts"),
        ({"moe_num_experts": 4, "zero_optimization": {"stage": 2}}, "MoE is not compatible with zero stages 2 and 3"),
        ({"intermediate_size": 128, "expansion_factor": 2}, "either the absolute intermediate size"),
        ({"num_layers": None}, "num_layers is in none of the files"),
        ({"num_layers": "many"}, "num_layers (a.yml:1) is 'many', where a whole number is needed"),
        ({"num_layers": 10**40}, "outside what is possible"),
        ({"zero_optimization": {"stage": 7}}, "outside what is possible (0 to 3)"),
        ({"zero_optimization": 3}, "where a map is needed"),
    ],
)
def test_conflicts_are_said_in_the_tools_own_terms(tmp_path, changes, sentence):
    with pytest.raises(PlannerError) as error:
        import_files([config(tmp_path, **changes)], gpus=8)
    assert sentence in str(error.value)


def test_a_key_in_two_files_is_refused_as_neox_refuses_it(tmp_path):
    with pytest.raises(PlannerError, match="duplicate keys with previously loaded file: num_layers"):
        import_files([config(tmp_path), config(tmp_path, "b.yml")], gpus=8)


def test_a_dashed_key_slips_past_that_check_and_wins_as_in_neox(tmp_path):
    second = tmp_path / "b.yml"
    second.write_text('{"train-iters": 20}')
    found = import_files([config(tmp_path), second], gpus=8)
    assert found.value("training.iterations") == 20
    assert any("train-iters (b.yml:1) replaces train_iters" in remark for remark in found.remarks)


def test_a_world_that_only_one_number_of_gpus_satisfies_is_found(tmp_path):
    found = import_files([config(tmp_path, train_batch_size=96)])
    assert found.value("layout.dp") == 24
    assert any("24 GPUs only" in remark for remark in found.remarks)


def test_a_gated_mlp_is_a_third_of_what_is_stated(tmp_path):
    found = import_files([config(tmp_path, activation="swiglu", intermediate_size=86016)], gpus=8)
    assert (found.model.ffn, found.model.gated_mlp) == (28672, True)
    odd = import_files([config(tmp_path, "b.yml", activation="swiglu", intermediate_size=14336)], gpus=8)
    assert any("GPT-NeoX stops at the first step" in warning for warning in odd.warnings)


def test_a_file_of_arguments_alone_is_read(tmp_path):
    path = tmp_path / "model.sh"
    path.write_text(
        'MODEL_ARGS=" \\\n    --num-layers 4 \\\n    --hidden-size 64 --num-attention-heads 4 \\\n'
        '    --micro-batch-size 1 --seq-length 8 --vocab-size 99 --bf16"\n'
    )
    assert import_files([path]).model.layers == 4


def test_files_of_different_tools_are_not_merged():
    with pytest.raises(PlannerError, match="one by one"):
        import_files([NEOX_20B[0], FIXTURES / "hf" / "gpt2.json"])


def test_an_unknown_family_names_the_known_ones(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"model_type": "newest", "hidden_size": 8}')
    with pytest.raises(PlannerError, match="known are apertus, aquila"):
        import_files([path])


SCRIPT = "torchrun --nproc_per_node 8 --nnodes {nodes} pretrain_gpt.py --num-layers 4 --hidden-size {hidden} {rest}"


@pytest.mark.parametrize(
    ("hidden", "rest", "sentence"),
    [
        (64, "--global-batch-size 100", "global batch size (100) is not divisible by micro batch size (2)"),
        (65, "", "--hidden-size 65 is not divisible"),
        (64, "--tensor-model-parallel-size 8", "--num-attention-heads 4 is not divisible"),
        (64, "--pipeline-model-parallel-size 3", "world size (16) is not divisible by total_model_size"),
        (64, "--train-samples 5 --train-iters 5", "either --train-iters or --train-samples"),
        (64, "--rampup-batch-size 32 32", "expected the following format: --rampup-batch-size"),
        (64, "--num-experts 8 --moe-layer-freq '([0]*3+[1]*2)'", "has 5 entries, where --num-layers is 4"),
        (64, "--seq-length $SEQ", "--seq-length is $SEQ, which only running the script would tell"),
    ],
)
def test_megatron_conflicts_are_said_in_its_terms(tmp_path, hidden, rest, sentence):
    path = tmp_path / "run.sh"
    common = "--num-attention-heads 4 --micro-batch-size 2 --seq-length 128 --vocab-size 1000 --bf16"
    path.write_text(SCRIPT.format(nodes=2, hidden=hidden, rest=f"{common} {rest}"))
    with pytest.raises(PlannerError) as error:
        import_files([path])
    assert sentence in str(error.value)


def test_leading_dense_layers_and_ramps_are_read(tmp_path):
    path = tmp_path / "run.sh"
    rest = (
        "--num-attention-heads 4 --micro-batch-size 2 --seq-length 128 --vocab-size 1000 --bf16 --global-batch-size 64 "
        "--rampup-batch-size 32 32 6400 --num-experts 8 --moe-layer-freq '([0]*1+[1]*3)' --train-samples 64000"
    )
    path.write_text(SCRIPT.format(nodes=2, hidden=64, rest=rest))
    found = import_files([path])
    assert found.model.moe.first_dense_layers == 1
    assert [found.value(f"training.batch_ramp.{k}") for k in ("start", "increment", "samples")] == [32, 32, 6400]
    assert found.value("training.iterations") == 1100  # 200 of 32 sequences, then 900 of 64


@pytest.mark.parametrize(
    ("rest", "key", "value"),
    [
        ("--checkpoint-activations", "layout.recompute", "full"),
        ("--activations-checkpoint-method uniform", "layout.recompute", "full"),
        ("--quick-geglu", "model.gated_mlp", True),
        ("--num-experts 8 --moe-layer-freq 2", "model.moe.every", 2),
        ("--num_key_value_heads 2", "model.kv_heads", 2),
        ("--model_parallel_size 2", "layout.tp", 2),
    ],
)
def test_names_of_other_years_and_forks_are_read(tmp_path, rest, key, value):
    path = tmp_path / "run.sh"
    common = "--num_attention_heads 4 --micro_batch_size 2 --seq_length 128 --vocab_size 1000 --bf16 --train_iters 9"
    path.write_text(SCRIPT.format(nodes=2, hidden=64, rest=f"{common} {rest}"))
    assert import_files([path]).value(key) == value


def test_what_decides_and_is_not_read_is_a_warning_and_an_error_if_strict(tmp_path):
    path = tmp_path / "run.sh"
    common = "--num-attention-heads 4 --micro-batch-size 2 --seq-length 128 --vocab-size 1000 --bf16 --train-iters 9"
    path.write_text(SCRIPT.format(nodes=2, hidden=64, rest=f"{common} --moe-latent-size 32"))
    assert import_files([path]).warnings[0].startswith("run.sh: --moe-latent-size decides the model")
    with pytest.raises(PlannerError, match="--strict takes no warnings"):
        import_files([path], strict=True)


CORPORA = FIXTURES.parent / "neox"


def test_an_index_at_hand_is_the_data_with_its_split(tmp_path):
    found = import_files([config(tmp_path, data_path=str(CORPORA / "uneven_u16"), split="995, 4,1")], gpus=8)
    assert found.value("data.index") == str(CORPORA / "uneven_u16")
    assert found.value("data.split") == "995,4,1"
    assert found.value("data.samples") is None
    plain = import_files([config(tmp_path, "b.yml", data_path=str(CORPORA / "uneven_u16"))], gpus=8)
    assert plain.value("data.split") == "969,30,1"  # GPT-NeoX's own


def test_weighted_indices_are_a_mixture(tmp_path):
    paths = [str(CORPORA / name) for name in ("uneven_u16", "exact_u16")]
    found = import_files([config(tmp_path, train_data_paths=paths, train_data_weights=[0.3, 0.7])], gpus=8)
    assert [(d["index"], d["weight"], d["seq_length"]) for d in found.value("data")] == [
        (paths[0], 0.3, 128),
        (paths[1], 0.7, 128),
    ]
    (tmp_path / "scenario.yaml").write_text(scenario_yaml(found))
    assert [d.weight for d in load_scenario(tmp_path / "scenario.yaml").data] == [0.3, 0.7]
    script = tmp_path / "run.sh"
    rest = "--num-attention-heads 4 --micro-batch-size 2 --seq-length 128 --vocab-size 99 --bf16 --train-iters 5"
    script.write_text(
        SCRIPT.format(nodes=1, hidden=64, rest=f"{rest} --split 9,1,0 --data-path 1 {paths[0]} 3 {paths[1]}")
    )
    assert [(d["weight"], d["split"]) for d in import_files([script]).value("data")] == [(1.0, "9,1,0"), (3.0, "9,1,0")]


def test_what_files_never_tell_can_be_given():
    found = import_files([FIXTURES / "hf" / "llama-3.1-8b.json"], tokens=300_000_000_000, epochs=1.5)
    assert (found.value("data.tokens"), found.value("training.epochs"), found.missing) == (300_000_000_000, 1.5, ())
    bare = import_files([FIXTURES / "hf" / "llama-3.1-8b.json"])
    assert bare.missing == ("data.tokens", "training.epochs")


@pytest.mark.parametrize(
    ("files", "options"),
    [
        (NEOX_20B, {"gpus": 96}),
        ([FIXTURES / "neox" / "pythia-12b.yml"], {"gpus": 256}),
        ([FIXTURES / "hf" / "deepseek-v3.json"], {"tokens": 10**12, "epochs": 1}),
        ([FIXTURES / "megatron" / "mixtral.sh"], {}),
    ],
    ids=["20b", "pythia", "deepseek", "mixtral"],
)
def test_the_scenario_is_one_that_planner_reads(tmp_path, files, options):
    found = import_files(files, **options)
    path = tmp_path / "imported.yaml"
    path.write_text(scenario_yaml(found))
    scenario = load_scenario(path)
    assert parameter_counts(scenario.model) == parameter_counts(found.model)
    assert scenario.layout.tp.pinned == found.value("layout.tp")
    assert scenario.training.iterations == found.value("training.iterations")


GATED_NAMES = ("geglu", "reglu", "bilinear", "swiglu", "glu")
KEPT = [
    *({"activation": name} for name in ("gelu", "relu", "softsign", "mish", "silu", *GATED_NAMES)),
    *({"mlp_type": "llama", "activation": name} for name in ("silu", "gelu", "swiglu")),
    *({"norm": name} for name in ("layernorm", "rmsnorm")),
    *({"pos_emb": name} for name in ("learned", "rotary", "sinusoidal", "rpe", "alibi", "none")),
    {"attention_config": [[["flash"], 2]], "intermediate_size": 768, "activation": "swiglu", "use_bias_in_mlp": False},
    {"mlp_type": "llama", "activation": "silu", "intermediate_size": 192},
    {"intermediate_size": 96, "activation": "relu"},
    {"expansion_factor": 3, "activation": "swiglu"},
]


@pytest.mark.parametrize("changes", KEPT, ids=str)
def test_what_a_neox_config_says_of_its_model_comes_back_on_export(tmp_path, changes):
    first = import_files([config(tmp_path, **changes)], gpus=8)
    model = model_from_mapping(yaml.safe_load(scenario_yaml(first))["model"])
    saved = answer(trained=Trained(model), tp=1, pp=1, dp=96)
    files, _ = export_files(saved, "neox")
    write_files(tmp_path / "out", files)
    second = import_files([tmp_path / "out" / "run.yml", tmp_path / "out" / "paths.yml"])
    held = ("layers", "hidden", "heads", "kv_heads", "ffn", "gated_mlp", "activation", "norm", "mlp_bias", "qk_norm")
    for field in (*held, "position_embedding", "attention_bias", "tied_embeddings", "parallel_residual"):
        assert getattr(second.model, field) == getattr(first.model, field), field
    run = yaml.safe_load(files["run.yml"])
    wanted = {key: value for key, value in changes.items() if key in ("norm", "pos_emb", "attention_config")}
    if "mlp_type" not in changes:
        wanted |= {key: changes[key] for key in ("activation",) if key in changes}
    assert {key: run[key] for key in wanted} == wanted


def test_the_old_llama_mlp_has_three_matrices_of_the_width_that_is_stated(tmp_path):
    old = {"hidden_size": 2048, "num_layers": 24, "num_attention_heads": 16, "no_weight_tying": True}
    found = import_files(
        [config(tmp_path, **old, norm="rmsnorm", mlp_type="llama", activation="silu", intermediate_size=5632)], gpus=8
    )
    model = found.model
    assert (model.gated_mlp, model.activation, model.ffn, model.mlp_bias) == (True, "", 5632, False)
    assert any("mlp_type (a.yml:1) is a key that GPT-NeoX had until September 2024" in r for r in found.remarks)
    unstated = import_files([config(tmp_path, **old, mlp_type="llama", activation="gelu")], gpus=8).model
    assert (unstated.ffn, unstated.activation) == (5632, "gelu")


def test_a_gated_width_that_is_shared_to_a_narrow_third_is_warned_of(tmp_path):
    """configs/mistral/7B.yml of GPT-NeoX ea7aefd states the paper's width, and trains a third of it."""
    mistral = {"hidden_size": 4096, "num_attention_heads": 32, "activation": "swiglu", "mlp_multiple_of": 256}
    found = import_files([config(tmp_path, **mistral, intermediate_size=14336)], gpus=8)
    assert found.model.ffn == 4864
    (warning,) = found.warnings
    assert "4,864 wide" in warning
    assert "intermediate_size: 43008" in warning
    wide = import_files([config(tmp_path, **mistral, intermediate_size=43008)], gpus=8)
    assert wide.model.ffn == 14336
    assert wide.warnings == ()


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ({"nrom": "rmsnorm"}, "norm"),
        ({"activaton": "swiglu"}, "activation"),
        ({"intermediate-sise": 96}, "intermediate_size"),
        ({"num_kv_head": 2}, "num_kv_heads"),
        ({"Zero_optimisation": {"stage": 3}}, "zero_optimization"),
        ({"pos-embed": "rotary"}, "pos_emb"),
    ],
)
def test_a_misspelt_key_is_refused_with_the_right_name(tmp_path, wrong, meant):
    with pytest.raises(PlannerError, match=rf"\(a\.yml:1\) is no key of GPT-NeoX; did you mean {meant}\?"):
        import_files([config(tmp_path, **wrong)], gpus=8)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"zero_optimization": {"stgae": 3}}, "holds 'stgae'; did you mean 'stage'"),
        ({"fp16": {"enable": True}}, "holds 'enable'; did you mean 'enabled'"),
        ({"norm": "rmsnrom"}, "did you mean `rmsnorm`"),
        ({"activation": "swigelu"}, "did you mean `swiglu`"),
        ({"pos_emb": "rotery"}, "did you mean `rotary`"),
        ({"precision": "bf16"}, "it may be fp16, fp32, bfloat16"),
        ({"mlp_type": "mistral"}, "it may be regular, llama"),
        ({"norm": "scalenorm"}, "planner neither counts nor exports"),
        ({"attention_config": [[["local", "flash"], 1]]}, "write global or flash to plan with full attention"),
        ({"moe_num_experts": 8, "moe_glu": True}, "gated experts, which older releases"),
        ({"moe_num_experts": 8, "moe_expert_interval": 2, "activation": "swiglu"}, "models of one kind only"),
    ],
)
def test_what_would_be_lost_or_read_as_something_else_is_refused(tmp_path, wrong, sentence):
    with pytest.raises(PlannerError, match=re.escape(sentence)):
        import_files([config(tmp_path, **wrong)], gpus=8)


def test_a_key_that_is_none_of_neox_is_said_and_left_aside(tmp_path):
    found = import_files([config(tmp_path, frobnicate=1, warmup=0.01)], gpus=8)
    assert found.warnings == ("a.yml:1: frobnicate is no option of GPT-NeoX that planner knows",)
    assert "warmup" in found.unused
    with pytest.raises(PlannerError, match=r"frobnicate is no option of GPT-NeoX .*; --strict takes no warnings"):
        import_files([config(tmp_path, frobnicate=1)], gpus=8, strict=True)
    many = import_files([config(tmp_path, **{f"qqq{i}qqqqqqq": 1 for i in range(900)})], gpus=8)
    assert many.warnings[-1].endswith("888 more that planner does not know")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpt_j_tied": True}, "norms that attention and MLP share"),
        ({"num_unique_layers": 1}, "layers that share their weights"),
        ({"train_impl": "dpo"}, "what a step computes"),
        ({"curriculum_learning": {"enabled": True, "curriculum_type": "seqlen"}}, "the sequence length"),
        ({"fp32_allreduce": True, "precision": "fp16"}, "the bytes of gradients"),
        ({"data_types": {"grad_accum_dtype": "bf16"}}, "the precision of gradients"),
        ({"exit_interval": 10, "train_iters": 100}, "when training stops"),
        ({"checkpoint_activations": True, "checkpoint_in_cpu": True}, "where kept activations lie"),
        ({"checkpoint_activations": True, "partition_activations": True, "model_parallel_size": 2}, "where kept"),
        ({"moe_num_experts": 4, "moe_expert_parallel_size": 2}, "over how many GPUs experts are spread"),
        ({"moe_num_experts": 4, "moe_use_residual": True}, "a dense MLP beside the experts"),
        ({"soft_prompt_tuning": {"enabled": True, "num_tokens": 10}}, "what of the model is trained"),
        ({"te_fp8_mha": True}, "the precision of attention"),
        ({"pipe_partition_method": "parameters", "pipe_parallel_size": 2}, "which layers a stage has"),
        ({"zero_optimization": {"stage": 1, "cpu_offload": True}}, "states of the optimizer wait in host memory"),
        ({"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}, "wait in host memory"),
        ({"zero_optimization": {"stage": 3, "zero_hpz_partition_size": 8}}, "over how many GPUs weights"),
        ({"optimizer": {"type": "sm3", "params": {}}}, "whose memory planner does not know"),
        ({"optimizer": {"type": "cpu_adam", "params": {}}}, "whose states wait in host memory"),
    ],
    ids=str,
)
def test_what_decides_and_a_plan_cannot_hold_is_a_warning(tmp_path, changes, words):
    found = import_files([config(tmp_path, **changes)], gpus=8)
    (warning,) = found.warnings
    assert words in warning
    assert "a.yml:1" in warning
    assert not {key for key in changes if key in found.unused}


@pytest.mark.parametrize(
    "changes",
    [
        {"gpt_j_tied": False, "num_unique_layers": None, "train_impl": "normal", "soft_prompt_tuning": {}},
        {"num_unique_layers": 2, "param_sharing_style": "grouped"},
        {"curriculum_learning": {"enabled": False, "curriculum_type": "seqlen"}, "autotuning": {"enabled": False}},
        {"data_types": {"grad_accum_dtype": "fp32"}, "communication_data_type": None, "fp32_allreduce": False},
        {"exit_interval": 100, "train_iters": 100},
        {"partition_activations": True, "checkpoint_in_cpu": True, "contiguous_checkpointing": True},
        {"checkpoint_activations": True, "partition_activations": True, "deepspeed_activation_checkpointing": True},
        {"moe_type": "megablocks", "moe_token_dropping": True, "moe_expert_parallel_size": 8, "moe_num_experts": 1},
        {"pipe_partition_method": "type:transformer|mlp", "pipe_parallel_size": 2},
        {"zero_optimization": {"stage": 1, "cpu_offload": False, "offload_optimizer": {"device": "none"}}},
        {"zero_stage": 0, "gas": None, "deepspeed": True, "amp": None, "sparsity_config": {}},
        {"optimizer": {"type": "AdamW", "params": {}}, "optimizer_type": "adam"},
    ],
    ids=str,
)
def test_a_key_that_is_off_is_no_warning(tmp_path, changes):
    assert import_files([config(tmp_path, **changes)], gpus=8).warnings == ()


@pytest.mark.parametrize(
    ("changes", "value"),
    [
        ({"optimizer": {"type": "Lion", "params": {}}}, "lion"),
        ({"optimizer": {"type": "Adam", "params": {}}, "use_bnb_optimizer": True}, "adamw-8bit"),
        ({"optimizer": {"type": "Adam", "params": {}}}, None),
    ],
)
def test_the_optimizer_is_the_one_that_keeps_as_much(tmp_path, changes, value):
    found = import_files([config(tmp_path, **changes)], gpus=8)
    assert (found.value("training.optimizer"), found.warnings) == (value, ())


def test_each_key_of_neox_is_of_one_kind_and_none_that_is_read_is_irrelevant(tmp_path):
    kinds = (UNDERSTOOD, IRRELEVANT, IRRELEVANT_BEFORE, DECIDING.keys())
    assert sum(map(len, kinds)) == len(KEYS)
    sources = Path(planner.interop.__file__).parent.glob("neox*.py")
    read = {
        key
        for source in sources
        if source.name not in ("neox_keys.py", "neox_kinds.py")
        for key in re.findall(
            r'config\.(?:raw|integer|optional|flag|text|choice|section|has)\("(\w+)"', source.read_text()
        )
    }
    assert read
    assert read | {row.key.partition(".")[0] for row in TABLE if row.means} <= UNDERSTOOD


@pytest.mark.parametrize(
    ("name", "warned"),
    [
        ("20B", False), ("neox-20b", False), ("gpt-neox-20B-deduped", False), ("pythia-12b", True), ("7B", True),
        ("2-0B", True), ("run-20B-300B-tokens", False), ("anything", False), ("20Bx", False), ("8x7B", False),
        ("300m", True),
    ],
)  # fmt: skip
def test_a_name_that_says_another_size_is_warned_of(tmp_path, name, warned):
    path = tmp_path / f"{name}.yml"
    path.write_text((FIXTURES / "neox" / "20B.yml").read_text())
    said = [w for w in import_files([path], gpus=96).warnings if "says" in w]
    assert bool(said) is warned
    assert not said or said[0].startswith(f"{name}.yml: the name {name} says")
    assert not said or "20.6 billion" in said[0]


def test_a_fork_gates_its_mlp_by_name_and_must_say_its_width(tmp_path):
    found = import_files([config(tmp_path, mlp_type="gated", activation="silu", intermediate_size=192)], gpus=8)
    assert (found.model.gated_mlp, found.model.ffn, found.model.mlp_bias) == (True, 192, False)
    with pytest.raises(PlannerError, match="forks differ in its width: write intermediate_size"):
        import_files([config(tmp_path, mlp_type="gated")], gpus=8)


def test_every_key_of_neox_is_known():
    listed = json.loads((FIXTURES / "neox" / "keys.json").read_text())["keys"]
    assert listed.keys() <= KEYS
    assert {"mlp_type", "moe_glu"} <= KEYS
    assert not [key for key in listed if misspelt(key, KEYS) != key]


@pytest.mark.parametrize(
    ("said", "names", "meant"),
    [
        ("nrom", ["norm"], "norm"),
        ("nor_m", ["norm"], "norm"),
        ("rnom", ["norm"], None),
        ("seq_lenght", ["seq_length"], "seq_length"),
        ("bl", ["lr"], None),
        ("", ["lr"], None),
    ],
)
def test_slips_of_the_pen_are_few(said, names, meant):
    assert misspelt(said, names) == meant


def test_a_tokenizer_that_no_file_names_is_assumed_and_said(tmp_path):
    found = import_files([config(tmp_path, tokenizer_type="HFTokenizer")], gpus=8)
    assert found.model.vocab == 50277
    assert any("no file names the tokenizer (vocab_file)" in remark for remark in found.remarks)
    with pytest.raises(PlannerError, match="add --vocab N"):
        import_files([config(tmp_path, tokenizer_type="HFTokenizer", vocab_file="mine.json")], gpus=8)
