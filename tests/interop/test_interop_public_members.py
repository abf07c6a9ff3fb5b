"""Members of each class of file that were found in public repositories, told by the options that decide and judged by
what was published of them: parameters, and the iterations that logs print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from planner.interop.imported import Imported
from planner.interop.importing import import_files
from planner.units import PlannerError
from planner.workload.counts import parameter_counts

TAIL = "--seq-length 4096 --max-position-embeddings 4096 --micro-batch-size 1 --global-batch-size 64 --train-iters 9"


def read(tmp_path: Path, text: str, name: str = "run.sh", **options: Any) -> Imported:
    (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
    return import_files([tmp_path / name], **options)


def launched(options: str, entry: str = "pretrain_gpt.py", tail: str = TAIL) -> str:
    return f"torchrun --nproc_per_node 8 --nnodes 8 {entry} {options} {tail}"


# Megatron-LM: layers of experts


SLIME = "--disable-bias-linear --qk-layernorm --group-query-attention --normalization RMSNorm --swiglu "
SLIME += "--position-embedding-type rope --untie-embeddings-and-output-weights --kv-channels 128 "
DENSE_FIRST = "DENSE=3\nMOE=89\nF=[0]*$DENSE+[1]*$MOE\n"
BUILT = (
    "N=27\narr=()\nfor ((i=0; i<N; i++)); do\n  if (( i < 1 )); then\n    arr+=(0)\n  else\n    arr+=(1)\n  fi\ndone\n"
    'printf -v F "[%s]" "$(IFS=\', \'; echo "${arr[*]}")"\n'
)
MOONLIGHT = (
    "--disable-bias-linear --num-layers 27 --hidden-size 2048 --ffn-hidden-size 11264 --num-attention-heads 16 "
    "--normalization RMSNorm --position-embedding-type rope --swiglu --untie-embeddings-and-output-weights "
    "--vocab-size 163840 --multi-latent-attention --kv-lora-rank 512 --qk-head-dim 128 --qk-pos-emb-head-dim 64 "
    "--v-head-dim 128 --num-experts 64 --moe-ffn-hidden-size 1408 --moe-router-topk 6 "
    "--moe-shared-expert-intermediate-size 2816"
)
EXPERTS = {
    "slime qwen3-30B-A3B": (
        "F=\"'([1]*48)'\"\n",
        SLIME
        + "--num-attention-heads 32 --num-query-groups 4 --num-layers 48 --hidden-size 2048 --ffn-hidden-size 6144 "
        "--vocab-size 151936 --moe-ffn-hidden-size 768 --moe-router-topk 8 --num-experts 128",
        30_532_122_624,
        0,
    ),
    "slime glm4.5-355B-A32B": (
        DENSE_FIRST,
        SLIME + "--num-attention-heads 96 --num-query-groups 8 --num-layers $((DENSE + MOE)) --hidden-size 5120 "
        "--ffn-hidden-size 12288 --add-qkv-bias --vocab-size 151552 --moe-ffn-hidden-size 1536 --num-experts 160 "
        "--moe-shared-expert-intermediate-size 1536 --moe-router-topk 8",
        352_797_829_000,  # 355B on its card
        3,
    ),
    "slime moonlight": (
        BUILT,
        MOONLIGHT,
        15_960_111_936,
        1,
    ),
}


@pytest.mark.parametrize("name", EXPERTS)
def test_layers_of_experts_are_those_of_the_published_model(tmp_path, name):
    before, options, published, dense = EXPERTS[name]
    found = read(tmp_path, before + launched(options + " --moe-layer-freq $F"))
    assert parameter_counts(found.model).total == pytest.approx(published, rel=1e-3)
    assert found.model.moe.first_dense_layers == dense
    assert found.warnings == ()


def test_layers_that_only_running_would_tell_are_a_warning_and_no_silent_guess(tmp_path):
    options = EXPERTS["slime moonlight"][1]
    found = read(tmp_path, launched(options + " --moe-layer-freq $(python layers.py)"))
    (warning,) = found.warnings
    assert "--moe-layer-freq is $(python" in warning
    assert "taken as if not given" in warning


GPT_OSS = (
    "--hidden-size 2880 --ffn-hidden-size 2880 --num-attention-heads 64 --group-query-attention --num-query-groups 8 "
    "--kv-channels 64 --normalization RMSNorm --untie-embeddings-and-output-weights "
    "--position-embedding-type {position} --moe-ffn-hidden-size 2880 --moe-router-topk 4 "
    "--quick-geglu --glu-linear-offset 1.0 --softmax-type learnable "
    "--window-attn-skip-freq 2 --window-size {window} --activation-func-clamp-value 7.0 {size}"
)


@pytest.mark.parametrize(
    ("position", "window", "size", "published"),
    [  # slime's gpt-oss-20B and gpt-oss-120B, MindSpeed-LLM's pretrain_gpt_oss_20b
        ("rope", '"128,0"', "--num-layers 24 --num-experts 32 --vocab-size 201088", 20_914_757_184),
        ("rope", "128,0", "--num-layers 36 --num-experts 128 --padded-vocab-size 201088", 116_829_156_672),
        ("yarn", "127,0", "--num-layers 24 --num-experts 32 --padded-vocab-size 201088", 20_914_757_184),
    ],
)
def test_gated_experts_are_those_of_the_published_model(tmp_path, position, window, size, published):
    found = read(tmp_path, launched(GPT_OSS.format(position=position, window=window, size=size)))
    assert found.model.gated_mlp
    assert parameter_counts(found.model).total == pytest.approx(published, rel=2e-3)


# Megatron-LM: how long a run is


@pytest.mark.parametrize(
    ("length", "printed"),
    [
        (
            "--rampup-batch-size 16 16 5_000_000 --train-samples 300_000_000 --global-batch-size 1024",
            311_541,
        ),  # tr1-13B
        (
            "--rampup-batch-size 16 16 6_000_000 --train-samples 300_000_000 --global-batch-size 2048",
            159_576,
        ),  # tr8-104B
        ("--rampup-batch-size 16 16 9_765_625 --train-samples 220_000_000 --global-batch-size 2048", 128_728),  # tr11
        ("--rampup-batch-size 192 16 9_765_625 --train-samples 220_000_000 --global-batch-size 2048", 115_311),  # BLOOM
        ("--train-samples 195_312_500 --global-batch-size 2048", 95_367),  # tr11's first trials
    ],
)
def test_iterations_are_those_that_the_runs_log_prints(tmp_path, length, printed):
    shape = "--num-layers 40 --hidden-size 5120 --num-attention-heads 32 --vocab-size 50257 --seq-length 2048"
    tail = f"--max-position-embeddings 2048 --micro-batch-size 1 --fp16 {length}"
    assert read(tmp_path, launched(shape, tail=tail)).value("training.iterations") == printed


# Megatron-DeepSpeed: recomputation, ZeRO, and GPUs in variables


SHAPE = "--num-layers 24 --hidden-size 2048 --num-attention-heads 16 --seq-length 2048 --max-position-embeddings 2048"
SHAPE += (
    " --micro-batch-size 8 --global-batch-size 512 --train-iters 9 --fp16 --vocab-size 32128 --checkpoint-activations"
)


BIGSCIENCE = """GPUS=4
NNODES=16
export LAUNCHER="python -u -m torch.distributed.launch --nproc_per_node $GPUS \\
    --nnodes $NNODES --master_addr $MASTER_ADDR"
export CMD="`pwd`/pretrain_gpt.py OPTIONS --deepspeed --zero-stage 1 --deepspeed-activation-checkpointing"
srun bash -c '$LAUNCHER --node_rank $SLURM_PROCID $CMD'
"""
A_COURSES = """ZERO_STAGE=3;
ds_args="";
ds_args=" --deepspeed ${ds_args}";
ds_args=" --no-pipeline-parallel ${ds_args}" ;
ds_args=" --zero-stage=$ZERO_STAGE ${ds_args}";
deepspeed --num_gpus 8 pretrain_gpt.py OPTIONS $ds_args | tee x
"""
A_DRIVERS = """ZERO_STAGE=${ZERO_STAGE:-2}
LAUNCHER=${LAUNCHER:-MPICH}
if [[ $LAUNCHER == "deepspeed" ]]; then
    launcher="--master_addr a"
else
    launcher="--num_nodes 2 --num_gpus 8"
fi
run_cmd="
    deepspeed $launcher pretrain_gpt.py \\
    OPTIONS --deepspeed --zero-stage=$ZERO_STAGE \\
    |& tee out.log
    "
echo ${run_cmd}
eval ${run_cmd}
"""


# tr4-1B3-rotary's of BigScience; two that were written after Megatron-DeepSpeed's ds_pretrain_gpt
@pytest.mark.parametrize(
    ("text", "gpus", "stage"),
    [(BIGSCIENCE, 64, 1), (A_COURSES, 8, 3), (A_DRIVERS, 16, 2)],
    ids=["tr4", "course", "driver"],
)
def test_scripts_of_megatron_deepspeed_recompute_and_count_their_gpus(tmp_path, text, gpus, stage):
    found = read(tmp_path, text.replace("OPTIONS", SHAPE))
    assert (found.extras["world"], found.value("layout.zero_stage")) == (gpus, stage)
    assert found.value("layout.recompute") == "full"


# Names with underscores, sizes in files that a script reads, what is no decoder


@pytest.mark.parametrize(
    ("options", "kv_heads"),
    [  # forks of epfLLM's: Llama 2, Falcon, and its tests' GPT
        ("--use_rms_norm --glu_activation swiglu --no_tie_embed_logits --position_embedding_type rotary", 32),
        ("--use_multiquery_attn --parallel_attn --position_embedding_type rotary", 1),
        ("--tensor_model_parallel_size 1 --pipeline_model_parallel_size 1", 32),
    ],
)
def test_names_with_underscores_are_those_with_dashes(tmp_path, options, kv_heads):
    shape = "--num_layers 32 --hidden_size 4096 --num_attention_heads 32 --vocab_size 32000"
    tail = TAIL.replace("-size", "_size").replace("-length", "_length").replace("-position-", "_position_")
    found = read(tmp_path, launched(f"{shape} {options}", "finetune.py", tail.replace("train-iters", "train_iters")))
    assert (found.model.layers, found.model.kv_heads, found.extras["world"]) == (32, kv_heads, 64)
    assert found.warnings == ()


QWEN = """MODEL_ARGS=(
   --swiglu
   --num-layers 36
   --hidden-size 2560
   --ffn-hidden-size 9728
   --num-attention-heads 32
   --group-query-attention
   --num-query-groups 8
   --use-rotary-position-embeddings
   --disable-bias-linear
   --normalization "RMSNorm"
   --vocab-size 151936
   --kv-channels 128
   --qk-layernorm
)
"""


def test_sizes_in_a_file_of_models_are_read_as_slime_reads_them(tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "qwen3-4B.sh").write_text(QWEN)
    text = 'DIR="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" &>/dev/null && pwd)"\nsource "${DIR}/models/qwen3-4B.sh"\n'
    found = read(tmp_path, text + launched("${MODEL_ARGS[@]}", "train.py"))
    assert parameter_counts(found.model).total == 4_022_468_096
    assert found.warnings == ()


@pytest.mark.parametrize(
    "launch",
    [
        "torchrun $ARGS pretrain_t5.py --encoder-num-layers 12 --decoder-num-layers 12 --hidden-size 768",
        "python -m torch.distributed.launch $ARGS pretrain_bert.py --num-layers 24 --hidden-size 1024",
        "torchrun $ARGS ./pretrain_ict.py --num-layers 12 --hidden-size 768 --micro-batch-size 32",
        "torchrun $ARGS pretrain_vision_classify.py --num-layers 12 --hidden-size 768 --micro-batch-size 4",
    ],
)
def test_encoders_of_megatrons_examples_are_refused_by_their_program(tmp_path, launch):
    with pytest.raises(
        PlannerError, match=r"run\.sh starts pretrain_\w+\.py, which trains no decoder-only transformer"
    ):
        read(tmp_path, f'ARGS="--nproc_per_node 2 --nnodes 1"\n{launch}')


@pytest.mark.parametrize(
    "options",
    [  # Megatron-LM's examples/mamba/train.sh, Nemotron-3's scripts, the hybrid layer specs of 2026
        "--hybrid-attention-ratio 0.08 --hybrid-mlp-ratio 0.5",
        '--is-hybrid-model --hybrid-override-pattern "MEME"',
        "--hybrid-layer-pattern MEMEM* --spec megatron.core.models.hybrid.hybrid_layer_specs hybrid_stack_spec",
        "--spec megatron.core.models.mamba.mamba_layer_specs mamba_stack_spec",
    ],
)
def test_models_with_mamba_layers_are_refused_however_they_say_it(tmp_path, options):
    shape = "--num-layers 52 --hidden-size 4096 --num-attention-heads 32 --vocab-size 131072"
    with pytest.raises(PlannerError, match=r"run\.sh: --.* makes a model with Mamba layers"):
        read(tmp_path, launched(f"{shape} {options}"))


# GPT-NeoX's own configs/, revision ea7aefd, each beside llama/train_config.yml


LLAMA = {
    "make_vocab_size_divisible_by": 1, "seq_length": 4096, "max_position_embeddings": 4096, "pos_emb": "rotary",
    "rotary_pct": 1, "no_weight_tying": True, "gpt_j_residual": False, "norm": "rmsnorm", "use_bias_in_norms": False,
    "use_bias_in_attn_linear": False, "activation": "swiglu", "mlp_multiple_of": 256, "train_iters": 10,
    "train_micro_batch_size_per_gpu": 4,
}  # fmt: skip
NEOX = {
    "llama/7B": ({"num_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "intermediate_size": 32768,
                  "use_bias_in_mlp": False}, 6_738_415_616),
    "llama/13B": ({"num_layers": 40, "hidden_size": 5120, "num_attention_heads": 40, "intermediate_size": 40960,
                   "use_bias_in_mlp": False}, 13_015_864_320),
    "llama/65B": ({"num_layers": 80, "hidden_size": 8192, "num_attention_heads": 64, "intermediate_size": 65536,
                   "use_bias_in_mlp": False}, 65_285_660_672),
    "llama2/70B": ({"num_layers": 80, "hidden_size": 8192, "num_attention_heads": 64, "num_kv_heads": 8,
                    "intermediate_size": 86016}, 68_976_648_192),
}  # fmt: skip


def neox(tmp_path: Path, name: str, **keys: object) -> Imported:
    path = tmp_path / f"{name.rsplit('/', 1)[-1]}.yml"
    path.write_text(json.dumps({**LLAMA, **keys}, indent=1))
    return import_files([path], gpus=64, vocab=32_000)


@pytest.mark.parametrize("name", NEOX)
def test_llamas_of_gpt_neox_have_the_parameters_of_the_published_model(tmp_path, name):
    shape, published = NEOX[name]
    found = neox(tmp_path, name, **shape)
    assert found.model.gated_mlp
    assert parameter_counts(found.model).total == pytest.approx(published, rel=2e-4)
    assert not [warning for warning in found.warnings if "wide" in warning or "billion" in warning]


@pytest.mark.parametrize(
    ("name", "shape", "built"),
    [
        ("llemma/34B", {"num_layers": 48, "hidden_size": 8192, "num_attention_heads": 64, "num_kv_heads": 8}, 20.76e9),
        ("llama2/codellama_7B", {"num_layers": 32, "hidden_size": 4096, "num_attention_heads": 32}, 4.625e9),
        ("llama2/codellama_34B", {"num_layers": 48, "hidden_size": 8192, "num_attention_heads": 64, "num_kv_heads": 8},
         20.76e9),
        ("mistral/7B", {"num_layers": 32, "hidden_size": 4096, "num_attention_heads": 32, "num_kv_heads": 8,
                        "intermediate_size": 14336}, 3.518e9),
    ],
)  # fmt: skip
def test_configs_that_mean_the_old_width_are_built_narrow_and_warned_of_by_width_and_name(tmp_path, name, shape, built):
    found = neox(tmp_path, name, **shape)
    assert parameter_counts(found.model).total == pytest.approx(built, rel=5e-3)
    assert any("wide, since GPT-NeoX shares it out by a third" in warning for warning in found.warnings)
    assert any(f"the name {name.rsplit('/', 1)[1]} says" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        ([[["mamba"], 24]], "mamba"),  # configs/mamba/mamba-130M.yml
        ([[["rwkv"], 12]], "rwkv"),  # configs/rwkv/170M.yml
        ([[["gmlp"], 12]], "gmlp"),  # configs/gmlp_small.yml
    ],
)
def test_layers_that_are_no_attention_are_refused_by_their_kind(tmp_path, config, kind):
    layers = config[0][1]
    with pytest.raises(PlannerError, match=rf"a\.yml: attention_config has {kind} layers"):
        neox(tmp_path, "a", num_layers=layers, hidden_size=768, num_attention_heads=12, attention_config=config)
