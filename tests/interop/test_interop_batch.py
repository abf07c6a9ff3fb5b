"""Batches and epochs are solved as GPT-NeoX solves them; the table was written by its own functions."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.interop.neox import import_neox
from planner.interop.neox_batch import Batch, smallest_world, solve_batch, train_iterations
from planner.units import PlannerError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "interop"
CASES = json.loads((FIXTURES / "neox" / "batches.json").read_text())["cases"]


def words(sentence: str) -> list[str]:
    """A refusal without line breaks, decimal dp and final stop."""
    sentence = re.sub(r"(\d)\.0\b", r"\1", sentence.removeprefix("Check batch related parameters. "))
    return re.findall(r"[\w()\[\]/*!=]+", sentence)


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['world']}-{c['train_batch']}-{c['micro']}-{c['gas']}")
def test_every_case_of_neox_is_solved_or_refused_alike(case):
    keys = ("world", "pp", "mp", "train_batch", "micro", "gas")
    expected = case["result"]
    if isinstance(expected, list):
        batch = solve_batch(*(case[k] for k in keys))
        assert [batch.train_batch_size, batch.micro_batch, batch.gradient_accumulation_steps] == expected
        return
    with pytest.raises(PlannerError) as refusal:
        solve_batch(*(case[k] for k in keys))
    if expected == "ZeroDivisionError":  # NeoX stops without words; planner says the rule it broke
        assert "has to be greater than 0" in str(refusal.value)
    else:
        assert words(str(refusal.value)) == words(expected)


def test_the_table_has_fifty_cases_and_refusals_of_every_kind():
    refusals = {re.sub(r"[-\d.]+", "N", c["result"])[:40] for c in CASES if isinstance(c["result"], str)}
    assert len(CASES) >= 50
    assert len(refusals) >= 6


@given(st.integers(1, 64), st.integers(0, 4), st.integers(0, 4), st.integers(1, 16), st.integers(1, 16))
def test_what_is_left_out_is_found_again(dp, pp, mp, micro, gas):
    world, total = dp * max(1, pp) * max(1, mp), dp * micro * gas
    wanted = Batch(total, micro, gas, dp)
    assert solve_batch(world, pp, mp, None, micro, gas) == wanted
    assert solve_batch(world, pp, mp, total, None, gas) == wanted
    assert solve_batch(world, pp, mp, total, micro, None) == wanted
    assert solve_batch(world, pp, mp, total, micro, gas) == wanted
    assert smallest_world(pp, mp, total, micro, gas) == world


# The fixture run: 794 samples, dp 4, micro-batch 4, accumulation 2: 49 micro-batches an epoch.
@pytest.mark.parametrize(("epochs", "iterations"), [(1, 24), (2, 49), (3, 73), (4, 98), (17, 416)])
def test_epochs_become_iterations_as_in_the_real_program(epochs, iterations):
    assert train_iterations(794, epochs, Batch(32, 4, 2, 4)) == iterations


BASE = """{"num_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "seq_length": 128, "precision": "bfloat16",
"max_position_embeddings": 128, "pos_emb": "rotary", "train_micro_batch_size_per_gpu": 4, "global_num_gpus": 8, %s}"""


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ('"train_epochs": 2, "train_iters": 10', "both train epochs and train iters"),
        ('"train_epochs": 2, "pack_impl": "unpacked"', "'packed' are currently unsupported"),
        ('"train_epochs": 2, "train_data_weights": [1.0, 2.0]', "train_data_weights != None"),
        ('"train_epochs": 2, "weight_by_num_documents": true', "number of documents"),
        ('"train_epochs": 2, "dataset_impl": "pairwise"', "non gpt2 datasets"),
    ],
)
def test_train_epochs_is_refused_where_neox_refuses_it(tmp_path, keys, sentence):
    path = tmp_path / "a.yml"
    path.write_text(BASE % keys)
    with pytest.raises(PlannerError, match=re.escape(sentence)):
        import_neox([path])


def test_equal_weights_are_no_reason_to_refuse_train_epochs(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(BASE % '"train_epochs": 2, "train_data_weights": [1.0, 1.0]')
    assert import_neox([path], samples=1000).value("training.epochs") == 2


def test_neoxs_own_number_of_iterations_is_said_where_it_differs(tmp_path):
    path = tmp_path / "a.yml"
    path.write_text(BASE % '"train_epochs": 3, "gradient_accumulation_steps": 2')
    found = import_neox([path], samples=794)
    assert any("train 36 iterations" in remark and "38 cover" in remark for remark in found.remarks)
    exact = import_neox([path], samples=640)
    assert not any("cover" in remark for remark in exact.remarks)
