"""Hostile files given to `planner import` end in a sentence: no traceback, no hang, no memory beyond the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from planner.interop.files import read_json, read_yaml
from planner.interop.imported import scenario_yaml
from planner.interop.importing import import_files
from planner.interop.shell import read_script
from planner.units import PlannerError

LOLS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{('*' + chr(97 + i) + ',') * 9}]\n" for i in range(12)
)
HOSTILE = {
    "empty": b"",
    "a nul": b"num_layers: 2\x00",
    "binary": bytes(range(256)) * 10,
    "utf-16": "{}".encode("utf-16"),
    "deep flow": b'{"a": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep json": b'{"model_type": ' + b"[" * 200_000,
    "deep block": b"- " * 100_000,
    "deep indent": b"".join(b" " * i + b"a:\n" for i in range(1500)),
    "huge int": b'{"num_layers": ' + b"9" * 100_000 + b"}",
    "huge int json": b'{"model_type": "llama", "hidden_size": ' + b"9" * 100_000 + b"}",
    "infinite": b'{"model_type": "llama", "hidden_size": Infinity, "num_attention_heads": NaN}',
    "laughs": LOLS.encode(),
    "loop": b"num_layers: &a [*a]\nhidden_size: *a\n",
    "tag": b"num_layers: !!python/object/apply:os.system ['true']\n",
    "bad date": b"num_layers: 2001-99-99\n",
    "odd keys": b"? [1, 2]\n: 3\n1: 2\nnull: 4\n",
    "open brace": b"{",
    "list": b"[1, 2, 3]",
    "shell bomb": b"A=xxxxxxxxxx\n" + b"A=$A$A$A$A$A$A$A$A$A$A\n" * 30 + b"run --num-layers $A --hidden-size 4\n",
    "shell array bomb": b"A=(a a a a a a)\n"
    + b"A=(${A[@]} ${A[@]} ${A[@]} ${A[@]})\n" * 30
    + b"x --num-layers ${A[@]}",
    "shell arithmetic": b"x --num-layers $((9999999999*9999999999)) --hidden-size $((1/0)) --swiglu $((9**9**9))",
    "brace run": b"x --num-layers " + b"${" * 200_000,
    "default run": b"x --num-layers " + b"${a:-" * 100_000,
    "arithmetic run": b"x --num-layers " + b"$((" * 130_000,
    "backticks": b"x --num-layers " + b"`a\n" * 60_000,
    "quote run": b"x --num-layers " + b"'\"" * 100_000,
    "word run": b"x --num-layers " + b"a " * 100_000,
    "copies": b"A=" + b"x" * 90_000 + b"\n" + b"B=$A\n" * 20_000 + b"x --num-layers 4",
    "many variables": b"A="
    + b"x" * 90_000
    + b"\n"
    + b"".join(b"B%d=$A\n" % i for i in range(19_000))
    + b"x --num-layers 4",
    "many keys": b"{" + b"".join(b'"k%d": 1, ' % i for i in range(15_000)) + b'"z": 1}',
    "many json keys": b'{"model_type": "llama", "hidden_size": "x", '
    + b"".join(b'"k%d": 1, ' % i for i in range(15_000))
    + b'"z": 1}',
    "many commas": b"{" + b'"a": [1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2],\n' * 1000 + b"}",
    "no values": b"x --num-layers --hidden-size --num-attention-heads --micro-batch-size",
    "quotes": b"x --num-layers '1 --hidden-size \"2",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_gives_one_sentence(tmp_path, name):
    path = tmp_path / "config.yml"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(PlannerError) as error:
        import_files([path])
    assert len(str(error.value)) < 600
    assert "\n" not in str(error.value)


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "config.yml"
    path.write_bytes(b"# comment\n" * 60_000)
    with pytest.raises(PlannerError, match="more than 524,288 bytes, which a configuration never has"):
        import_files([path])


@pytest.mark.parametrize("name", ["missing.yml", ".", "a\x00b"])
def test_a_file_that_is_not_there_is_said(tmp_path, name):
    with pytest.raises(PlannerError, match=r"cannot be read|there is no such file|a folder, where"):
        import_files([tmp_path / name])


KEYS = st.sampled_from(
    "num_layers hidden-size num_attention_heads seq_length model_parallel_size train_batch_size fp16 attention_config "
    "zero_optimization activation intermediate_size train_iters train_epochs global_num_gpus norm pos_emb "
    "tokenizer_type "
    "moe_num_experts padded_vocab_size model_type n_embd n_head n_layer vocab_size attn_config layer_types d_model "
    "num_hidden_layers num_key_value_heads text_config head_dim num_experts sliding_window data_path".split()
)
SCALARS = (
    st.none() | st.booleans() | st.integers(-5, 10**6) | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from("llama gpt2 mpt deepseek_v3 qwen3_moe gpt_oss swiglu HFTokenizer ${A} 1e9".split())
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=8
)
SHAPE = {"num_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "seq_length": 8, "max_position_embeddings": 8}
fuzz = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def one_line(error: Exception) -> None:
    assert "\n" not in str(error)


def imports_or_refuses(path: Path) -> None:
    try:
        scenario_yaml(import_files([path], gpus=8))
    except PlannerError as error:
        one_line(error)


@fuzz
@given(st.dictionaries(KEYS | st.text(max_size=5), VALUES, max_size=10), st.booleans())
def test_any_mapping_is_imported_or_refused_in_a_sentence(tmp_path, values, with_shape):
    path = tmp_path / "a.yml"
    path.write_text(json.dumps({**(SHAPE if with_shape else {}), **values}))
    imports_or_refuses(path)


@fuzz
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_are_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "a.yml"
    path.write_bytes(content)
    for read in (read_yaml, read_json):
        try:
            read(path)
        except PlannerError as error:
            one_line(error)


@fuzz
@example("`<;11")
@given(st.text(alphabet="A=$(){}[]@'\"\\\n \t#;&|<>`-1+*x%", max_size=120))
def test_any_script_is_read_without_running_it(text):
    try:
        read_script(text, "a.sh")
    except PlannerError as error:
        one_line(error)


@fuzz
@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                "num-layers hidden-size num-attention-heads micro-batch-size global-batch-size seq-length swiglu "
                "num-experts "
                "moe-layer-freq window-size rampup-batch-size bf16 vocab-size num-query-groups group-query-attention "
                "multi-latent-attention recompute-granularity train-iters train-samples data-path".split()
            ),
            st.lists(
                st.integers(-2, 64).map(str) | st.sampled_from(["full", "$A", "([0]*2+[1]*2)", "1e9", "'a b'"]),
                max_size=3,
            ),
        ),
        max_size=20,
    )
)
def test_any_arguments_are_imported_or_refused_in_a_sentence(tmp_path, arguments):
    path = tmp_path / "a.sh"
    path.write_text("x --num-layers 4 --micro-batch-size 1 " + " ".join(f"--{k} {' '.join(v)}" for k, v in arguments))
    imports_or_refuses(path)
