"""Launch scripts of Megatron-LM and its forks mean what they mean to a shell and to the fork that they are for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from interop_plans import answer

from planner import load_scenario, optimize
from planner.interop.exporting import export_files, write_files
from planner.interop.imported import Imported, scenario_yaml
from planner.interop.importing import import_files
from planner.interop.megatron_arguments import DECIDING, known_options
from planner.results.answers import Trained
from planner.units import PlannerError
from planner.workload.counts import parameter_counts
from planner.workload.model_catalog import model_from_mapping

SCRIPTS = Path(__file__).parents[1] / "fixtures" / "interop" / "megatron"
SHAPE = "--num-layers 4 --hidden-size 64 --num-attention-heads 4 --micro-batch-size 2 --seq-length 128 --bf16"
COMMON = f"{SHAPE} --vocab-size 1000 --train-iters 9"
RUN = f"torchrun --nproc_per_node 8 --nnodes 2 pretrain_gpt.py {COMMON}"


def script(tmp_path: Path, text: str, name: str = "run.sh") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def read(tmp_path: Path, text: str, *arguments: str, **options: Any) -> Imported:
    return import_files([script(tmp_path, text)], arguments=arguments, **options)


# What a shell does


@pytest.mark.parametrize(
    ("text", "layers"),
    [
        ("if [ $SIZE = 7B ]; then N=32\nelif [ $SIZE = 13B ]; then N=40\nfi", 40),
        ('if [[ "$SIZE" == 1* && -n $SIZE ]]; then N=5; else N=6; fi', 5),
        ("case $SIZE in\n 7B) N=32;;\n 13B|14B) N=41;;\n *) N=1;;\nesac", 41),
        ("if [ -z ${UNSET} ]; then N=7; else N=8; fi", 7),
        ("N=9; [ $SIZE = 7B ] && N=10", 9),
        ("N=9; [ $SIZE = 13B ] || N=10", 9),
        ("for N in 1 2 3; do :; done", 3),
        ("N=1; for i in {1..4}; do N=$((N * 2)); done", 16),
        ("N=0; while [ $N -lt 5 ]; do let N+=1; done", 5),
        ("((N=4*3))", 12),
        ("N=`expr 3 \\* 4`", 12),
        ("N=$(echo '2 * 7' | bc)", 14),
        ("A=(8 9 10); N=${A[1]}", 9),
        ("A=(8 9 10); N=${#A[@]}", 3),
        ("declare -A L=([7B]=32 [13B]=44); N=${L[$SIZE]}", 44),
        ("pick() { N=$1; }\npick 11", 11),
        ("function pick {\n N=$(( $1 + 1 ))\n}\npick 11", 12),
        ("V=N; S=x7y; T=${S#x}; N=${T%y}", 7),
        ("N=${MISSING:-6}", 6),
        ("M=6; N=${!REF}; REF=M; N=${!REF}", 6),
        ("cat <<EOT > layers.txt\n13\nEOT\nN=$(cat layers.txt)", 13),
        ("set -- 4 21; N=$2", 21),
        ("read -r X <<< $SIZE\nN=7", 7),
        ("N=3; if echo $SIZE | grep -q 13; then N=4; fi", 4),
        ("N=3; if echo $SIZE | grep -q 14; then N=4; fi", 3),
        ("size() { echo 5; return; }\nN=$(size)", 5),
        ("pick() { if [ $1 = 13B ]; then printf '%s\\n' 40; else echo 32; fi; }\nN=$(pick $SIZE)", 40),
        ("N=3 # N=4", 3),
        ("N=3\n: <<'END'\nN=4\nEND", 3),
    ],
)
def test_a_script_is_followed_as_a_shell_follows_it(tmp_path, text, layers):
    found = read(tmp_path, f"SIZE=13B\n{text}\n{RUN} --num-layers $N")
    assert found.value("model.layers") == layers
    assert not found.warnings


@pytest.mark.parametrize(
    "launch",
    [
        "$CMD",
        "eval $CMD",
        'eval "$CMD"',
        'bash -c "$CMD"',
        "srun --ntasks=2 bash -c '$CMD'",
        'ssh node1 "cd x; $CMD"',
        "CMD2=\"bash -c '$CMD'\"; eval $CMD2",
        "run() { $@; }; run $CMD",
        'OPTS=($CMD); "${OPTS[@]}"',
        "CMD=$(echo \"$CMD $UNSET\" | sed -e 's/  */ /g'); eval $CMD",
        "$CMD 2>&1 | tee log.txt",
        "mkdir -p out && $CMD > out/log 2>&1 &",
    ],
)
def test_a_launch_line_is_found_however_it_is_kept(tmp_path, launch):
    found = read(tmp_path, f'CMD="{RUN}"\n{launch}\n')
    assert (found.value("model.layers"), found.extras["world"]) == (4, 16)


def test_what_only_running_would_tell_is_a_warning_where_it_decides(tmp_path):
    text = f"N=4; if [ -f big ]; then N=8; fi\n{RUN} --num-layers $N"
    (warning,) = read(tmp_path, text).warnings
    assert "a condition that only running the script would tell decides --num-layers" in warning
    with pytest.raises(PlannerError, match="--strict takes no warnings"):
        read(tmp_path, text, strict=True)
    harmless = f"L=; if [ -d ckpt ]; then L='--load ckpt'; fi\n{RUN} $L"
    assert not read(tmp_path, harmless).warnings


def test_the_index_that_is_not_at_hand_is_named(tmp_path):
    found = read(
        tmp_path, f"{RUN} --data-path 0.3 /data/web_text_document 0.7 /data/books_text_document --split 99,1,0"
    )
    (said,) = [remark for remark in found.remarks if "not at hand" in remark]
    assert "index (/data/web_text_document.idx and 1 more) is not at hand" in said


def test_several_runs_in_one_script_are_said(tmp_path):
    (warning,) = read(tmp_path, f"for S in 128 256; do\n{RUN} --seq-length $S\ndone").warnings
    assert "starts 2 runs, which differ in --seq-length; the first is read" in warning


def test_arguments_given_to_a_script_are_its_own(tmp_path):
    text = f"[ $# -lt 2 ] && exit 1\nwhile [ $# -gt 1 ]; do case $1 in --tp) TP=$2; shift;; esac; shift; done\n{RUN}"
    text += " --tensor-model-parallel-size ${TP}"
    assert read(tmp_path, text, "--tp", "2", "end").value("layout.tp") == 2
    with pytest.raises(PlannerError, match=r"run\.sh:3: --tensor-model-parallel-size is \$\{TP\}.*import SCRIPT --"):
        read(tmp_path, text)


# How many GPUs


@pytest.mark.parametrize(
    ("launch", "gpus"),
    [
        ("torchrun --nproc-per-node=4 --nnodes=3 pretrain_gpt.py", 12),
        ("python -m torch.distributed.launch --nproc_per_node 8 pretrain_gpt.py", 8),
        ("python -m torch.distributed.run --nnodes 2 --nproc_per_node=8 pretrain_gpt.py", 16),
        ("deepspeed --num_nodes 2 --num_gpus 4 pretrain_gpt.py", 8),
        ("deepspeed --include host1:0,1@host2:0,1,2 pretrain_gpt.py", 5),
        ("deepspeed --hostfile hosts --num_gpus 4 pretrain_gpt.py", None),
        ("msrun --worker_num 16 --local_worker_num 8 pretrain_gpt.py", 16),
        ("mpirun -np 24 python pretrain_gpt.py", 24),
        ("srun -N 2 --ntasks-per-node=8 python pretrain_gpt.py", 16),
        ("srun -n64 python pretrain_gpt.py", 64),
        ("python pretrain_gpt.py", None),
        ("torchrun --nproc_per_node $GPUS pretrain_gpt.py", None),
    ],
)
def test_every_launcher_says_how_many_gpus_it_starts(tmp_path, launch, gpus):
    found = read(tmp_path, f"{launch} {COMMON}")
    assert found.extras["world"] == gpus
    assert bool(gpus) == (not any("add --gpus N" in remark for remark in found.remarks))


@pytest.mark.parametrize(
    ("lines", "launch"),
    [
        ("#SBATCH --nodes=4\n#SBATCH --gres=gpu:a100:8", "torchrun --nnodes $SLURM_NNODES --nproc_per_node 8"),
        ("#SBATCH -N 4", "torchrun --nnodes ${SLURM_JOB_NUM_NODES:-1} --nproc_per_node 8"),
        (
            "#SBATCH --nodes=4\n#SBATCH --gpus-per-node=8",
            "torchrun --nnodes $SLURM_NNODES --nproc_per_node $SLURM_GPUS_ON_NODE",
        ),
        ("#SBATCH --nodes=4\n#SBATCH --ntasks-per-node=8", "srun python"),
        ("#SBATCH --ntasks=32\n#SBATCH --ntasks-per-node=8", "srun python"),
        (
            "#SBATCH --nodes=4",
            "H=($(scontrol show hostnames $SLURM_JOB_NODELIST))\ntorchrun --nnodes ${#H[@]} --nproc_per_node 8",
        ),
    ],
)  # fmt: skip
def test_what_slurm_is_asked_for_counts(tmp_path, lines, launch):
    assert read(tmp_path, f"#!/bin/bash\n{lines}\n{launch} pretrain_gpt.py {COMMON}").extras["world"] == 32


# What forks and other years write


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        ("--glu-activation swiglu", "model.gated_mlp", True),
        ("--glu_activation geglu --no-bias-gelu-fusion", "model.ffn", 256),
        ("--squared-relu", "model.activation", "relu"),
        ("--use_rms_norm --glu_activation swiglu", "model.norm", "rmsnorm"),
        ("--use_rms_norm", "model.mlp_bias", False),
        ("--use_rms_norm --use_bias", "model.mlp_bias", True),
        ("--attention-head-type multiquery", "model.kv_heads", 1),
        ("--n-head-kv 2", "model.kv_heads", 2),
        ("--group-query-attention --num-query-groups 2", "model.kv_heads", 2),
        ("--position-embedding-type alibi", "model.position_embedding", "alibi"),
        ("--no-position-embedding", "model.position_embedding", "none"),
        ("--position_embedding_type rotary", "model.learned_positions", None),
        ("--sliding-window-size 32", "model.sliding_window", 32),
        ("--post-norm", "model.norms_per_layer", 4),
        ("--parallel_attn", "model.parallel_residual", True),
        ("--noop-layers 3", "model.layers", 3),
        ("--pad-vocab-size-to 1024", "model.vocab", 1024),
        ("--extra-vocab-size 24", "model.vocab", 1024),
        ("--num-experts 4 --first-k-dense-replace 1 --moe-layer-freq 1", "model.moe.first_dense_layers", 1),
        ("--num-experts 4 --first-k-dense-replace -1 --moe-layer-freq -1", "model.moe.experts", 4),
        ("--num-experts 4 --n-shared-experts 2 --moe-intermediate-size 32", "model.moe.shared_ffn", 64),
        ("--num-experts 4 --deepspeed --zero-stage 1", "model.moe.every", 2),
        ("--num-experts 4 --topk 1 --expert-interval 1", "model.moe.top_k", 1),
        ("--num-experts 1 --deepspeed --zero-stage 1", "model.moe.experts", None),
        ("--deepspeed --zero-stage 2", "layout.zero_stage", 2),
        ("--zero-stage 2", "layout.zero_stage", 0),  # without --deepspeed nothing reads it
        ("--use-torch-fsdp2", "layout.zero_stage", 3),
        ("--use-custom-fsdp --data-parallel-sharding-strategy optim_grads", "layout.zero_stage", 2),
        ("--ds-sequence-parallel-size 4", "layout.cp", 4),
        ("--virtual-pipeline-model-parallel-size 2 --pipeline-model-parallel-size 2", "layout.vpp", 2),
        ("--checkpoint-activations --checkpoint-num-layers 1", "layout.recompute", "full"),
        ("--cpu-optimizer", "training.offload", "optimizer"),
        ("--optimizer sgd", "training.optimizer", "sgd-momentum"),
        ("--optimizer muon", "training.optimizer", "muon"),
        ("--num-experts 4 --tensor-model-parallel-size 2 --expert-tensor-parallel-size 1", "layout.tp", 2),
        (
            "--use-precision-aware-optimizer --exp-avg-dtype bf16 --exp-avg-sq-dtype bf16",
            "training.optimizer",
            "adamw-bf16",
        ),
        ("--batch-size 4", "layout.micro_batch", 4),
        ("--global-batch-size 64 --train-tokens 40960", "training.iterations", 5),
    ],
)  # fmt: skip
def test_what_forks_and_other_years_write_is_understood(tmp_path, options, key, value):
    found = read(tmp_path, f"{RUN} {options}")
    assert found.value(key) == value
    assert not found.warnings


@pytest.mark.parametrize(
    ("options", "iterations"),
    [
        ("--train-samples 6_400 --global-batch-size 64", 100),  # Python's own way to write numbers
        ("--train-samples 640 --global-batch-size 64", 10),
        ("--train-tokens 81920 --train-samples 100000 --global-batch-size 64", 10),
        ("--train-tokens 81920 --global-batch-size 64 --rampup-batch-size 16 16 96", 12),
        ("--train-samples 640 --step-batch-size-schedule '0:32 12288:64'", 12),  # 3 of 32, then 9 of 64
        ("--train-samples 640 --step-batch-size-schedule '0:64'", 10),
    ],
)
def test_samples_tokens_and_ramps_are_iterations(tmp_path, options, iterations):
    found = read(tmp_path, f"torchrun --nproc_per_node 8 pretrain_gpt.py {SHAPE} --vocab-size 99 {options}")
    assert found.value("training.iterations") == iterations


def test_the_zero_stage_of_a_configuration_that_the_script_writes_wins(tmp_path):
    config = '{"train_batch_size": $B, "zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}'
    body = f"cat <<EOT > $DS\n{config}\nEOT\n"
    text = f"DS=ds.json\nB=16\n{body}{RUN} --deepspeed --deepspeed_config $DS --zero-stage 1"
    found = read(tmp_path, text)
    assert (found.value("layout.zero_stage"), found.value("training.offload")) == (2, "optimizer")
    (warning,) = read(tmp_path, f"{RUN} --deepspeed --deepspeed_config elsewhere.json").warnings
    assert "the ZeRO stage is in DeepSpeed's configuration, which is another file" in warning


def test_the_default_tokenizer_of_an_entry_is_gpt2s(tmp_path):
    text = f"torchrun --nproc_per_node 8 {{}} {SHAPE} --train-iters 9 --vocab-file v.json"
    assert read(tmp_path, text.format("pretrain_gpt.py")).value("model.vocab") == 50257
    with pytest.raises(PlannerError, match="add --vocab N"):
        read(tmp_path, text.format("pretrain_llama.py"))


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("pretrain_bert.py", "no decoder-only transformer"),
        ("pretrain_t5.py", "no decoder-only transformer"),
        ("examples/multimodal/train.py", "no decoder-only transformer"),
        ("pretrain_vlm.py", "no decoder-only transformer"),
        ("pretrain_hybrid.py", "no decoder-only transformer"),
        ("tasks/eval_harness/evaluate.py", "trains nothing"),
        ("tools/run_text_generation_server.py", "trains nothing"),
        ("convert_ckpt.py", "trains nothing"),
        ("inference.py", "trains nothing"),
    ],
)
def test_what_trains_no_decoder_is_refused_by_name(tmp_path, entry, sentence):
    with pytest.raises(PlannerError, match=rf"run\.sh starts .*{sentence}"):
        read(tmp_path, f"torchrun --nproc_per_node 8 {entry} {COMMON}")


@pytest.mark.parametrize(
    ("launch", "tool"),
    [
        ("python ./deepy.py train.py -d configs small.yml", "GPT-NeoX, whose YAML configs planner imports"),
        ("llamafactory-cli train sft.yaml", "LLaMA-Factory"),
        ("accelerate launch -m axolotl.cli.train x.yml", "Axolotl"),
        ("torchrun --nproc_per_node 8 run_clm.py --model_name_or_path gpt2", "Hugging Face's Trainer"),
    ],
)
def test_a_script_of_another_tool_is_told_as_what_it_is(tmp_path, launch, tool):
    with pytest.raises(PlannerError, match=rf"run\.sh has no command with .*: it starts {tool}"):
        read(tmp_path, f"#!/bin/bash\n{launch}\n")


@pytest.mark.parametrize(
    "options",
    [
        "--hidden-size 65", "--num-attention-heads 3", "--tensor-model-parallel-size 8", "--global-batch-size 100",
        "--pipeline-model-parallel-size 3", "--train-samples 5", "--rampup-batch-size 32 32", "--num-layers many",
        "--num-layers -1", "--num-layers 1e99", "--seq-length $SEQ", "--num-layers-per-virtual-pipeline-stage 3",
        "--num-experts 8 --moe-layer-freq '([0]*3+[1]*2)'", "--group-query-attention --num-query-groups 3",
        "--step-batch-size-schedule 12", "--step-batch-size-schedule 512:12", "--is-hybrid-model",
        "--micro-batch-size 0", "--pipeline-model-parallel-layout 'Et|tL'", "--deepspeed --zero-stage $Z",
    ],
)  # fmt: skip
def test_every_refusal_names_its_file_in_one_line(tmp_path, options):
    with pytest.raises(PlannerError) as error:
        read(tmp_path, f"{RUN} {options}")
    assert "run.sh" in str(error.value)
    assert "\n" not in str(error.value)


# Three kinds of options


def test_an_option_that_no_release_has_is_a_warning_with_the_nearest_name(tmp_path):
    (warning,) = read(tmp_path, f"{RUN} --recompute-granularty full").warnings
    assert warning == (
        "run.sh: --recompute-granularty is no option of Megatron-LM that planner knows; "
        "did you mean --recompute-granularity?"
    )
    with pytest.raises(PlannerError, match="did you mean --recompute-granularity"):
        read(tmp_path, f"{RUN} --recompute-granularty full", strict=True)


def test_options_of_any_release_that_change_nothing_are_listed(tmp_path):
    options = (
        "--lr 1e-4 --DDP-impl local --kill-switch-path x --clip-grad 1.0 --no-masked-softmax-fusion --use-ascend-mc2"
    )
    found = read(tmp_path, f"{RUN} {options}", strict=True)
    assert {"--lr", "--kill-switch-path", "--use-ascend-mc2"} <= set(found.unused)


@pytest.mark.parametrize("name", sorted(DECIDING))
def test_what_decides_is_never_listed_as_not_needed(tmp_path, name):
    found = read(tmp_path, f"{RUN} --{name} 1")
    assert f"--{name}" not in found.unused


def test_the_options_of_the_newest_release_are_known():
    newest = json.loads((SCRIPTS / "options.json").read_text())["options"]
    assert {name.lstrip("-").replace("_", "-") for name in newest} <= known_options()


def test_the_iterations_of_a_published_ramp_are_those_of_its_log():
    """BigScience's 104B baseline printed 159,576 (arguments as in its launch script, sizes aside)."""
    found = import_files([SCRIPTS / "bigscience.slurm"])
    assert found.value("training.iterations") == 159_576
    assert (found.value("layout.tp"), found.value("layout.pp"), found.value("layout.dp")) == (4, 32, 4)
    assert (found.value("layout.zero_stage"), found.value("layout.recompute")) == (1, "full")


def test_a_script_with_sizes_is_the_size_it_is_asked_for():
    path = SCRIPTS / "epfllm.sh"
    assert parameter_counts(import_files([path]).model).total == 6_738_415_616  # Llama 2 7B as published
    assert parameter_counts(import_files([path], arguments=["--size", "13"]).model).total == 13_015_864_320
    with pytest.raises(PlannerError, match="--num-layers is"):
        import_files([path], arguments=["--size", "99"])


def test_leading_dense_layers_and_shared_experts_of_mindspeed_are_read():
    found = import_files([SCRIPTS / "mindspeed.sh"])
    moe = found.model.moe
    assert (moe.first_dense_layers, moe.shared_ffn, moe.expert_ffn, found.extras["world"]) == (1, 2816, 1408, 32)


# There and back

KEPT = (
    "layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "gated_mlp", "activation", "norm", "qk_norm",
    "attention_bias", "attention_output_bias", "mlp_bias", "tied_embeddings", "learned_positions", "vocab_multiple",
    "sliding_window", "full_attention_every", "attention_sinks", "mtp_layers", "moe", "mla", "position_embedding",
)  # fmt: skip
BACK = [
    "--swiglu --disable-bias-linear --normalization RMSNorm --position-embedding-type rope",
    "--disable-bias-linear --add-qkv-bias --swiglu --untie-embeddings-and-output-weights",
    "--group-query-attention --num-query-groups 2 --kv-channels 32 --qk-layernorm",
    "--num-experts 8 --moe-router-topk 2 --moe-ffn-hidden-size 96 --swiglu --disable-bias-linear",
    "--num-experts 8 --moe-layer-freq '([0]*1+[1]*3)' --moe-shared-expert-intermediate-size 64 --disable-bias-linear",
    "--num-experts 8 --moe-layer-freq 2 --disable-bias-linear",
    (
        "--multi-latent-attention --q-lora-rank 16 --kv-lora-rank 8 --qk-head-dim 16 --qk-pos-emb-head-dim 8 "
        "--v-head-dim 16 --disable-bias-linear --position-embedding-type rope"
    ),
    "--window-size 63,0 --window-attn-skip-freq 2 --softmax-type learnable --position-embedding-type rope",
    "--mtp-num-layers 1 --position-embedding-type rope --make-vocab-size-divisible-by 64",
    "--position-embedding-type none",
]


SHIPPED = {path.name: path for path in sorted(SCRIPTS.iterdir()) if path.suffix != ".json"}
NEVER_EXPORTED = {"name", "model.name", "training.flash_attention"}  # an export names its file, and states its kernels


def keys_of(found: Imported) -> dict[str, object]:
    return {row.key: row.value for row in found.taken if row.key not in NEVER_EXPORTED}


@pytest.mark.parametrize("name", SHIPPED)
def test_import_optimize_export_and_import_give_the_same_scenario(tmp_path, name):
    first = import_files([SHIPPED[name]], strict=True)
    budget = "budget: {time: 100000 days}\ncluster: {gpus: [a100-sxm4-80gb], max_gpus: 4096}\n"
    (tmp_path / "scenario.yaml").write_text(scenario_yaml(first) + budget)
    scenario = load_scenario(tmp_path / "scenario.yaml")
    files, _ = export_files(optimize(scenario), "megatron")
    write_files(tmp_path / "out", files)
    second = import_files([tmp_path / "out" / "train.sh"], strict=True)
    there, back = keys_of(first), keys_of(second)
    assert back.pop("data.samples") == pytest.approx(there.pop("data.samples"), abs=there["training.global_batch"])
    assert back == there
    assert second.extras["world"] == first.extras["world"]


@pytest.mark.parametrize("options", BACK)
def test_an_imported_model_comes_back_on_export(tmp_path, options):
    first = read(tmp_path, f"{RUN} {options}")
    model = model_from_mapping(yaml.safe_load(scenario_yaml(first))["model"])
    saved = answer(trained=Trained(model), framework="megatron", tp=1, pp=1, dp=96)
    files, _ = export_files(saved, "megatron")
    write_files(tmp_path / "out", files)
    second = import_files([tmp_path / "out" / "train.sh"], strict=True)
    for name in KEPT:
        assert getattr(second.model, name) == getattr(first.model, name), name
    assert parameter_counts(second.model) == parameter_counts(first.model)


def test_a_ramp_comes_back_on_export(tmp_path):
    ramp = (32, 32, 6400)
    first = import_files([script(tmp_path, f"{RUN} --position-embedding-type rope")])
    saved = answer(trained=Trained(first.model, batch_ramp=ramp), framework="megatron", tp=1, pp=1, dp=96)
    files, notes = export_files(saved, "megatron")
    write_files(tmp_path / "out", files)
    second = import_files([tmp_path / "out" / "train.sh"])
    assert tuple(second.value(f"training.batch_ramp.{key}") for key in ("start", "increment", "samples")) == ramp
    assert second.value("training.global_batch") == saved.plan.global_batch
    assert any("0.18 or later" in note for note in notes)
