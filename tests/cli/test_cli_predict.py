"""`planner predict`: given layouts, from options and from tables."""

from __future__ import annotations

import csv
import io
import json

import pytest

RUN = (
    "predict --model gpt-neox-20b --gpu a100-sxm4-40gb --gpus 96 --seq-length 2048 --global-batch 1536 --micro-batch 4 "
    "--tp 2 --pp 4 --framework gpt-neox --precision fp16 --recompute full"
).split()
HEADER = "note,model,gpu,gpus,seq_len,global_batch_samples,micro_batch,tp,pp,framework,recompute,zero_or_fsdp"
ROWS = f"""{HEADER}
fits,gpt-neox-20b,a100-sxm4-40gb,96,2048,1536,4,2,4,gpt-neox,full,zero-1
no model,my-own,a100-sxm4-40gb,96,2048,1536,4,2,4,gpt-neox,full,zero-1
too large,gpt-neox-20b,a100-sxm4-40gb,8,2048,8,1,1,1,gpt-neox,none,zero-1
uneven,gpt-neox-20b,a100-sxm4-40gb,96,2048,1537,4,2,4,gpt-neox,full,zero-1
"""


def test_one_run_is_predicted_with_its_terms_and_memory(planner):
    found = json.loads(planner(*RUN, "--json").out)
    assert found["pred_lo"] < found["pred_tokens_per_s_per_gpu"] < found["pred_hi"]
    assert found["fits"] is True
    assert found["pred_memory_gib"] == pytest.approx(found["memory_gib"]["total"])
    assert sum(found["step_breakdown_s"].values()) == pytest.approx(found["step_time_s"])
    tokens = 1536 * 2048 / found["step_time_s"] / 96
    assert tokens == pytest.approx(found["pred_tokens_per_s_per_gpu"])


def test_the_release_of_2022_is_slower_than_that_of_today(planner):
    today, then = (json.loads(planner(*RUN, *more, "--json").out) for more in ((), ("--framework-release", "1.0")))
    assert then["pred_tokens_per_s_per_gpu"] < 0.8 * today["pred_tokens_per_s_per_gpu"]


@pytest.mark.parametrize("written", ["v1.0", "1.0.0"])
def test_the_release_of_2022_is_known_however_it_is_written(planner, written):
    plain, other = (json.loads(planner(*RUN, "--framework-release", r, "--json").out) for r in ("1.0", written))
    assert other["step_time_s"] == plain["step_time_s"]


def test_a_gpu_may_be_named_in_words_that_mean_one_part(planner):
    by_id, by_words = (json.loads(planner(*RUN, *more, "--json").out) for more in ((), ("--gpu", "A100 40 GB")))
    assert by_words["step_time_s"] == by_id["step_time_s"]


def test_people_see_the_terms_largest_first(planner):
    said = planner(*RUN).out
    assert said.index("matmul") < said.index("optimizer ")
    assert "80 % interval" in said
    assert max(map(len, said.splitlines())) <= 80


def test_a_table_keeps_its_rows_and_says_why_not(planner, tmp_path):
    source, target = tmp_path / "rows.csv", tmp_path / "out.csv"
    source.write_text(ROWS)
    ran = planner("predict", "--rows", source, "-o", target)
    assert ran.code == 0, ran.err
    rows = list(csv.DictReader(io.StringIO(target.read_text())))
    assert [row["note"] for row in rows] == ["fits", "no model", "too large", "uneven"]
    assert (rows[0]["fits"], rows[0]["why"]) == ("true", "")
    assert rows[1]["pred_tokens_per_s_per_gpu"] == ""
    assert "my-own" in rows[1]["why"]
    assert rows[2]["fits"] == "false"
    assert "does not divide" in rows[3]["why"]


def test_a_table_is_one_json_document_too(planner, tmp_path):
    source = tmp_path / "rows.csv"
    source.write_text(ROWS)
    rows = json.loads(planner("predict", "--rows", source, "--json").out)["rows"]
    assert [row["fits"] for row in rows] == [True, None, False, None]
    assert rows[0]["pred_lo"] < rows[0]["pred_tokens_per_s_per_gpu"] < rows[0]["pred_hi"]
    assert rows[1]["pred_tokens_per_s_per_gpu"] is None
    assert max(map(len, planner("predict", "--rows", source).out.splitlines())) <= 80


def test_people_see_which_run_a_row_is_and_each_objection_once(planner, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    source = tmp_path / "rows.csv"
    source.write_text(ROWS + ROWS.splitlines()[2] + "\n")
    said = planner("predict", source).out
    assert "gpt-neox-20b  96 a100  tp2 pp4 mb4" in said
    assert "rows 2, 5: model 'my-own'" in said
    assert said.count("my-own'") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("predict",), "--model"),
        (("predict", "--model", "gpt-neox-20b"), "--gpu"),
        ((*RUN, "--rows", "rows.csv"), "not both"),
        ((*RUN, "--gpu", "a100"), "ambiguous"),
        ((*RUN, "--gpu", "a100 60"), "a100 60"),
        ((*RUN, "--global-batch", 1537), "does not divide"),
        ((*RUN, "--tp", 0), "--tp '0' must be a whole number from 1"),
        ((*RUN, "--pp", 0), "--pp '0' must be"),
        ((*RUN, "--cp", 0), "--cp '0' must be"),
        ((*RUN, "--vpp", 0), "--vpp '0' must be"),
        ((*RUN, "--ep", 0), "--ep '0' must be"),
        ((*RUN, "--micro-batch", 0), "--micro-batch '0' must be"),
        ((*RUN, "--global-batch", 0), "--global-batch '0' must be"),
        ((*RUN, "--seq-length", 0), "--seq-length '0' must be"),
        ((*RUN, "--gpus", 10**15), "--gpus '1000000000000000' must be"),
        (("predict", "--rows", "no-such.csv"), "no-such.csv"),
        (("predict", "catalogs/measured/vtrian.csv"), "did you mean `catalogs/measured/vtrain.csv`"),
        (("predict", "a.csv", "--rows", "b.csv"), "not both"),
        (("predict", "--rows", "README.md"), "needs columns"),
    ],
)
def test_what_cannot_be_predicted_is_said_in_one_sentence(planner, arguments, said):
    ran = planner(*arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


CONDITIONS = (
    ("--flash-attention", "no", "flash_attention", -1),
    ("--flash-attention", "2", "flash_attention", 0),
    ("--fused-or-compile", "yes", "fused_or_compile", 1),
    ("--recompute-share", "0.5", "recompute_share", 1),
    ("--shard-group", "4", "shard_group", 0),
    ("--power-limit-w", "200.0", "power_limit_w", -1),
    ("--sequence-parallel", "yes", "sequence_parallel", 1),
    ("--gpus-per-node", "1", "gpus_per_node", -1),
)


@pytest.mark.parametrize(("option", "value", "column", "sign"), CONDITIONS)
def test_a_condition_by_option_is_the_same_as_in_a_table(planner, tmp_path, option, value, column, sign):
    found = json.loads(planner(*RUN, option, value, "--json").out)
    plain = json.loads(planner(*RUN, "--json").out)
    table = tmp_path / "rows.csv"
    head, row = ROWS.splitlines()[:2]
    table.write_text(f"{head},precision,{column}\n{row},fp16,{value}\n")
    (listed,) = json.loads(planner("predict", table, "--json").out)["rows"]
    got, before = found["pred_tokens_per_s_per_gpu"], plain["pred_tokens_per_s_per_gpu"]
    assert listed["pred_tokens_per_s_per_gpu"] == pytest.approx(got, rel=1e-5)
    assert (got - before) * sign > 0 or (sign == 0 and got == pytest.approx(before, rel=0.02))
    assert (str(found[column]), plain[column]) == (value, None)


def test_whose_recipe_runs_changes_what_is_predicted_of_a_moe_model(planner):
    run = (
        "predict --model qwen3-30b-a3b --gpu h100-sxm5-80gb --gpus 64 --seq-length 4096 --global-batch 256 --tp 1 "
        "--pp 4 --ep 8 --framework megatron"
    ).split()
    field, vendor, silent = (
        json.loads(planner(*run, *more, "--json").out)["pred_tokens_per_s_per_gpu"]
        for more in (("--tuning", "field"), ("--tuning", "vendor"), ())
    )
    assert field == silent < vendor


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--flash-attention", "maybe"), ("--fused-or-compile", "7"), ("--comm-overlap", "perhaps"),
        ("--tuning", "ours"), ("--recompute-share", "1.5"), ("--shard-group", "0"), ("--sequence-parallel", "perhaps"),
        ("--power-limit-w", "-3"), ("--gpus-per-node", "0"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_is_refused_by_its_option(planner, option, value):
    ran = planner(*RUN, option, value)
    assert ran.code == 2
    assert f"{option} '{value}" in ran.err


def test_fsdp_shards_weights_unless_told_otherwise(planner):
    common = ("predict", "--model", "llama3-8b", "--gpu", "h100-sxm5-80gb", "--gpus", "64", "--seq-length", "8192")
    asked = (*common, "--global-batch", "128", "--json", "--framework")
    plain, whole = (
        json.loads(planner(*asked, "fsdp", *more).out)["memory_gib"]["total"] for more in ((), ("--zero-stage", "1"))
    )
    assert plain < whole
