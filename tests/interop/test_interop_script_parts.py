"""What launch scripts read from other files, options and awk; stages that differ, and layers named by a module."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.interop.imported import Imported
from planner.interop.importing import import_files
from planner.units import PlannerError

RUN = (
    "torchrun --nproc_per_node 8 pretrain_gpt.py --num-layers ${LAYERS} --hidden-size 1024 --num-attention-heads 16 "
    "--seq-length 2048 --max-position-embeddings 2048 --micro-batch-size ${MICRO:-1} --global-batch-size 64 "
    "--train-iters 1000 --vocab-size 50000 --bf16"
)


def read(tmp_path: Path, text: str, *arguments: str, **files: str) -> Imported:
    (tmp_path / "run.sh").write_text("#!/bin/bash\n" + text)
    for name, body in files.items():
        (tmp_path / f"{name}.sh").write_text(body)
    return import_files([tmp_path / "run.sh"], arguments=arguments)


@pytest.mark.parametrize(
    "named",
    [
        "source env.sh", ". ./env.sh", 'source "$(dirname "$0")/env.sh"', "source ${BASH_SOURCE%/*}/env.sh",
        'HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)\nsource "$HERE/env.sh"', "source scripts/env.sh",
        "[ -f env.sh ] && source env.sh", "if [ -f env.sh ]; then . env.sh; fi",
    ],
)  # fmt: skip
def test_a_file_beside_the_script_is_read_in_its_place(tmp_path, named):
    found = read(tmp_path, f"LAYERS=4\n{named}\n{RUN}", env="LAYERS=24\nexport MICRO=2\n")
    assert (found.model.layers, found.value("layout.micro_batch")) == (24, 2)
    assert found.warnings == ()


def test_a_file_that_is_read_takes_arguments_and_reads_others(tmp_path):
    found = read(tmp_path, f"source a.sh 12\n{RUN}", a="source b.sh $1\n", b="LAYERS=$1\n")
    assert found.model.layers == 12


def test_a_file_that_reads_itself_ends(tmp_path):
    assert read(tmp_path, f"source a.sh\n{RUN}", a="LAYERS=12\nsource a.sh\n").model.layers == 12


@pytest.mark.parametrize("file", ["../common.sh", "/data/cluster/common.sh", "$CONFIG/common.sh", "common.sh"])
def test_a_file_that_is_not_at_hand_is_named(tmp_path, file):
    after = read(tmp_path, f"LAYERS=24\nsource {file}\n{RUN}")
    assert [f"it reads {file} (source), which is not beside it" in warning for warning in after.warnings] == [True]
    first = read(tmp_path, f"source {file}\nLAYERS=24\n{RUN}")
    assert first.warnings == ()  # what it sets is set anew
    assert any(file in remark for remark in first.remarks)
    with pytest.raises(PlannerError, match=r"run\.sh:3: --num-layers is .*it reads .*common\.sh"):
        read(tmp_path, f"source {file}\n{RUN}")


@pytest.mark.parametrize(
    "file", ["activate", "~/conda/etc/profile.d/conda.sh", "venv/bin/activate", "~/.bashrc", "/etc/profile"]
)
def test_what_only_finds_programs_is_passed_over(tmp_path, file):
    found = read(tmp_path, f"LAYERS=24\nsource {file} megatron\n{RUN}")
    assert not [said for said in (*found.warnings, *found.remarks) if "source" in said]


OPTIONS = (
    'LAYERS=12\nwhile getopts "l:m:vh" opt; do\n case $opt in\n l) LAYERS=$OPTARG;; m) MICRO="$OPTARG";;\n v) V=1;;\n'
)
OPTIONS += " \\?) exit 1;;\n esac\ndone\nshift $((OPTIND - 1))\n"


@pytest.mark.parametrize(
    ("given", "layers", "micro"),
    [
        ((), 12, 1),
        (("-l", "24"), 24, 1),
        (("-l24", "-m", "4"), 24, 4),
        (("-v", "-m4", "--", "-l", "36"), 12, 4),
        (("-vl", "36", "x"), 36, 1),
        (("x", "-l", "36"), 12, 1),
    ],
)
def test_options_are_taken_as_getopts_takes_them(tmp_path, given, layers, micro):
    found = read(tmp_path, OPTIONS + RUN, *given)
    assert (found.model.layers, found.value("layout.micro_batch")) == (layers, micro)


def test_what_getopts_leaves_are_the_arguments(tmp_path):
    assert read(tmp_path, OPTIONS + "LAYERS=$1\n" + RUN, "-v", "48").model.layers == 48


@pytest.mark.parametrize(
    "sum_of",
    [
        "$(echo 'a 24 b' | awk '{print $2}')", "$(echo a:b:24 | awk -F: '{print $NF}')", "$(awk 'BEGIN {print 12*2}')",
        "$(echo a,24 | awk -F ',' '{ print $2; }')", '$(awk "BEGIN{print 3*8}")',
    ],
)  # fmt: skip
def test_awk_is_read_where_its_words_say_all(tmp_path, sum_of):
    assert read(tmp_path, f"LAYERS={sum_of}\n{RUN}").model.layers == 24


@pytest.mark.parametrize("sum_of", ["$(awk '{print $2}' model.txt)", "$(nvidia-smi -L | awk '{print NF}')"])
def test_awk_of_what_is_not_known_is_refused_with_its_line(tmp_path, sum_of):
    with pytest.raises(PlannerError, match=r"run\.sh:3: --num-layers is \$\(.*only running the script would tell"):
        read(tmp_path, f"X=1\nLAYERS={sum_of}\n{RUN}")


def test_a_script_that_starts_another_is_told_to_import_that(tmp_path):
    with pytest.raises(PlannerError, match=r"it starts pretrain_7b\.sh; import that script"):
        read(tmp_path, "export X=1\nbash examples/pretrain_7b.sh 8\n")


STAGES = RUN.replace("${LAYERS}", "24") + " --pipeline-model-parallel-size 4"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("--decoder-first-pipeline-num-layers 4 --decoder-last-pipeline-num-layers 6", "4, 7, 7, 6"),
        ("--num-layers-in-first-pipeline-stage 3", "3, 7, 7, 7"),
        ("--num-layer-list 3,7,7,7", "3, 7, 7, 7"),
        ("--pipeline-num-transformer-layers [[3],[7],[7],[7]]", "3, 7, 7, 7"),
        ('--pipeline-model-parallel-layout "Et*3|t*7|t*7|t*7,L"', "3, 7, 7, 7"),
    ],
)
def test_stages_fuller_than_planners_are_told_with_their_layers(tmp_path, options, told):
    (warning,) = read(tmp_path, f"{STAGES} {options}").warnings
    assert f"gives the stages {told} layers; planner cuts them as evenly as can be, 6 at most" in warning


@pytest.mark.parametrize(
    ("layers", "options"),
    [
        (22, "--account-for-embedding-in-pipeline-split --account-for-loss-in-pipeline-split"),
        (23, "--decoder-last-pipeline-num-layers 5"),
        (22, "--num-layer-list 5,6,6,5"),
        (22, '--pipeline-model-parallel-layout "Et*5|t*6|t*6|t*5,L"'),
    ],
)
def test_stages_as_planner_cuts_them_are_understood(tmp_path, layers, options):
    found = read(tmp_path, f"{STAGES} {options}".replace("--num-layers 24", f"--num-layers {layers}"))
    assert found.warnings == ()
    assert found.value("layout.pp") == 4


@pytest.mark.parametrize(
    ("spec", "understood"),
    [
        ("megatron.core.models.gpt.gpt_layer_specs get_gpt_layer_local_spec", True),
        ("mindspeed_llm.tasks.models.spec.qwen3_spec layer_spec", True),
        ("mindspeed_llm.tasks.models.spec.deepseek_spec layer_spec --multi-latent-attention", True),
        ("mindspeed_llm.tasks.models.spec.deepseek_spec layer_spec", False),
        ("mindspeed_llm.tasks.models.spec.hunyuan_spec layer_spec", False),
        ("mindspeed_llm.tasks.models.spec.qwen3_next_spec layer_spec", False),
        ("my_model.spec layer_spec", False),
    ],
)
def test_layers_that_a_known_module_makes_are_understood(tmp_path, spec, understood):
    more = " --kv-lora-rank 512 --qk-head-dim 64 --qk-pos-emb-head-dim 32 --v-head-dim 64" if "latent" in spec else ""
    found = read(tmp_path, f"{RUN.replace('${LAYERS}', '24')} --spec {spec}{more}")
    assert [warning for warning in found.warnings if "--spec" in warning] == [] if understood else found.warnings


def test_layers_of_mamba_are_refused_by_their_module_alone(tmp_path):
    with pytest.raises(PlannerError, match="makes a model with Mamba layers"):
        read(
            tmp_path,
            f"{RUN.replace('${LAYERS}', '24')} --spec megatron.core.models.mamba.mamba_layer_specs mamba_stack_spec",
        )
