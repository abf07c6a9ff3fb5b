"""What an import says of other programs' files is said by code: in English and in the other languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.interop.deepspeed_assumptions import DEEPSPEED
from planner.interop.hf_families import REFUSED
from planner.interop.imported import Stated
from planner.interop.key_kinds import table_of_keys
from planner.interop.megatron import import_megatron
from planner.interop.megatron_arguments import DECIDING
from planner.interop.nanotron_assumptions import TABLE as NANOTRON
from planner.interop.peft import with_peft
from planner.interop.torchtitan_assumptions import TABLE as TORCHTITAN
from planner.units import PlannerError
from planner.words import Sentence, phrase, worded
from planner.words.languages import templates

RUN = (
    "torchrun --nproc_per_node 8 pretrain_gpt.py --num-layers 4 --hidden-size 64 --num-attention-heads 4"
    " --micro-batch-size 2 --seq-length 128 --bf16 --vocab-size 1000 --train-iters 9 --tensor-model-parallel-size 2"
)
WHAT_KEYS_DECIDE = {
    *DECIDING.values(),
    *(what for tool in ("transformers", "gpt-neox") for what in table_of_keys(tool)["deciding"].values()),
    *table_of_keys("deepspeed")["deciding"].values(),
    *(
        row.decides
        for row in (*NANOTRON, *TORCHTITAN, *(key for row in DEEPSPEED for key in row.fields))
        if row.decides
    ),
}


@pytest.mark.parametrize(
    ("options", "english", "chinese"),
    [
        ("--squared-relu", "counted as ReLU: as many parameters and FLOPs", "按 ReLU 计算"),
        ("--num-experts 4 --moe-layer-freq 2", "over the 2 ranks of tensor parallelism", "2 个进程上"),
        ("--data-path my/data", "the data set's index (my/data.idx) is not at hand", "索引（my/data.idx）"),
        ("--data-path a b", "(a.idx and 1 more) is not at hand", "（a.idx 及另外 1 个）"),
        ("--optimizer novel", "run.sh: --optimizer novel is counted as Adam", "run.sh：--optimizer novel 按 Adam 计算"),
        ("--attention-backend odd", "attention is left as the release has it", "按该发行版的默认处理"),
        ("--moe-layer-fre 2", "knows; did you mean --moe-layer-freq?", "选项；是否指 --moe-layer-freq？"),
        ("--context-parallel-size $CP", "--context-parallel-size is $CP", "--context-parallel-size 为 $CP"),
        ("--num-attention-heads 3", "--hidden-size 64 is not divisible by", "--hidden-size 64 不能被"),
    ],
)
def test_an_import_says_the_same_in_another_language(tmp_path: Path, options: str, english: str, chinese: str) -> None:
    path = tmp_path / "run.sh"
    path.write_text(f"{RUN} {options}\n")
    try:
        found = import_megatron(path, Stated())
        said = [*found.warnings, *found.remarks]
    except PlannerError as error:
        said = [error.args[0]]
    assert all(isinstance(sentence, Sentence) for sentence in said)
    assert [sentence for sentence in said if english in sentence]
    assert [sentence for sentence in said if chinese in worded(sentence, "zh")]


@pytest.mark.parametrize(
    ("group", "texts"), [("deciding", WHAT_KEYS_DECIDE), ("refused_models", set(REFUSED.values()))]
)
def test_the_words_of_tables_of_keys_are_phrases_and_no_phrase_is_idle(group: str, texts: set[str]) -> None:
    assert {text for text in texts if not isinstance(phrase(group, text), Sentence)} == set()
    assert {text for code, text in templates("en").items() if code.startswith(f"{group}.")} == texts


@pytest.mark.parametrize(
    ("key", "chinese"),
    [
        ("modules_to_save", "训练整个矩阵"),
        ("use_dora", "加一个向量"),
        ("layers_to_transform", "只给部分层"),
        ("rank_pattern", "不同的秩"),
        ("target_parameters", "不是独立矩阵"),
        ("trainable_token_indices", "嵌入的若干行"),
        ("bias", "训练偏置"),
    ],
)
def test_what_an_adapter_may_not_have_is_refused_in_words(tmp_path: Path, key: str, chinese: str) -> None:
    path = tmp_path / "adapter_config.json"
    path.write_text(json.dumps({"peft_type": "LORA", key: "all"}))
    with pytest.raises(PlannerError, match="which planner does not count; leave it out") as caught:
        with_peft(None, path, [])
    assert chinese in worded(caught.value.args[0], "zh")
