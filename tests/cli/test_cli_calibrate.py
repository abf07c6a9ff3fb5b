"""`planner calibrate --choose N`: which of a table's rows to measure first."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran

from planner.files import write_all
from planner.performance.overlays import add_rows, known_runs, read_table, runs_of
from planner.performance.refit import measured_files, read_runs

HEADER = "model,framework,version_or_date,gpu,gpus,precision,seq_len,global_batch_samples,micro_batch,tp,pp,recompute"
ROWS = f"""{HEADER},tokens_per_s_per_gpu
llama3-8b,megatron,26.08,h100-sxm5-80gb,64,bf16,8192,256,1,2,1,,
llama3-70b,megatron,26.08,h100-sxm5-80gb,128,bf16,8192,256,1,4,4,,
llama3-70b,megatron,26.08,h200-sxm5-141gb,128,fp8,8192,256,1,4,4,,600
qwen3-235b-a22b,megatron,26.08 NeMo Container,gb300-nvl72,256,mxfp8,4096,8192,1,1,4,,
gpt-neox-20b,gpt-neox,2.0,a100-sxm4-40gb,96,fp16,2048,1536,4,2,4,full,
my-trainers-9b,my-trainer,7,mi300x-192gb,64,bf16,4096,512,1,1,1,none,
"""
SHAPE = {"n_layers": "36", "hidden": "4608", "n_heads": "36"}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "candidates.csv"
    head, *rows = ROWS.splitlines()
    shaped = [",".join((head, *SHAPE)), *(",".join((row, *SHAPE.values())) for row in rows)]
    path.write_text("\n".join(shaped) + "\n")
    return path


def chosen(planner: Callable[..., Ran], *arguments: object) -> Any:
    ran = planner("calibrate", *arguments, "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_the_chosen_are_candidates_in_order_beside_what_is_known(planner, table):
    found = chosen(planner, table, "--choose", 5)
    shipped = len(read_runs(measured_files()))
    assert (found["schema_version"], found["candidates"], found["known"]) == (1, 5, shipped + 1)
    assert sorted(row["row"] for row in found["choose"]) == [1, 2, 4, 5, 6]  # 3 is measured
    left = [1.0, *(row["spread_left"] for row in found["choose"])]
    assert left == sorted(left, reverse=True)
    assert 0 < left[-1] < left[1] < 1
    neox = next(row for row in found["choose"] if row["row"] == 5)
    assert (neox["model"], neox["gpu"], neox["gpus"]) == ("gpt-neox-20b", "a100-sxm4-40gb", 96)
    assert (neox["precision"], neox["framework"], neox["framework_release"]) == ("fp16", "gpt-neox", "2.0")
    assert (neox["seq_length"], neox["global_batch"]) == (2048, 1536)
    layout = neox["layout"]
    assert (layout["tp"], layout["pp"], layout["dp"], layout["micro_batch"], layout["recompute"]) == (
        2,
        4,
        12,
        4,
        "full",
    )
    assert chosen(planner, table, "--choose", 2)["choose"] == found["choose"][:2]


def test_what_the_table_has_measured_teaches_whatever_it_showed(planner, table):
    text = table.read_text()
    with_it = chosen(planner, table, "--choose", 1)
    table.write_text(text.replace(",600,", ",60000,"))
    assert chosen(planner, table, "--choose", 1) == with_it
    other = table.with_name("other.csv")
    other.write_text("\n".join(line for line in text.splitlines() if ",600," not in line) + "\n")
    without = chosen(planner, other, "--choose", 5)
    assert without["known"] == with_it["known"] - 1
    table.write_text(text)
    everything = chosen(planner, table, "--choose", 5)
    assert everything["choose"][-1]["spread_left"] != without["choose"][-1]["spread_left"]


def test_a_row_that_is_in_the_overlay_already_is_known_once(table, tmp_path):
    mine = tmp_path / "mine"
    runs = runs_of(read_table(table).rows, table.stem)
    before = known_runs(runs)
    write_all(mine, add_rows(read_table(table).rows, table.stem, mine).files)
    after = known_runs(runs, [mine])
    assert len(after) == len(before) == len(read_runs(measured_files())) + 1
    assert len(known_runs([], [mine])) == len(before)


@pytest.mark.parametrize("columns", [80, 120])
def test_people_see_which_row_it_is_and_what_to_do(planner, table, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    ran = planner("calibrate", table, "--choose", 5)
    lines = ran.out.splitlines()
    assert max(map(len, lines)) <= columns
    (line,) = (line for line in lines if "gpt-neox-20b" in line)
    first, row, model, gpus, gpu, *rest = line.split()
    assert (row, model, gpus, gpu) == ("5", "gpt-neox-20b", "96", "a100" if columns == 80 else "a100-sxm4-40gb")
    assert first in "12345"
    assert ("tp2" in rest, "pp4" in rest, "mb4" in rest, rest[-1]) == (True, True, True, "%")
    assert lines[-1].endswith("`planner calibrate` learns it.")


def test_a_run_that_will_not_run_is_said_to_be_one(planner, table):
    table.write_text(ROWS.splitlines()[0] + "\nllama3-70b,megatron,26.08,h100-sxm5-80gb,8,bf16,8192,64,8,1,1,none,\n")
    assert "row 1: does not fit" in planner("calibrate", table, "--choose", 1).out
    assert "does not fit" in chosen(planner, table, "--choose", 1)["choose"][0]["why"]


def test_nothing_is_written(planner, table, tmp_path):
    before = table.read_bytes()
    chosen(planner, table, "--choose", 2, "--catalog", tmp_path / "mine")
    assert [path.name for path in tmp_path.rglob("*")] == [table.name]
    assert table.read_bytes() == before
    quiet = planner("calibrate", table, "--choose", 2, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("candidates.csv", "--choose", 6), "--choose 6: candidates.csv has only 5 rows without tokens_per_s_per_gpu"),
        (("candidates.csv", "--choose", 0), "greater than or equal to 1"),
        (("candidates.csv", "--choose", "few"), "--choose"),
        (("candidates.csv", "--choose", 1, "--plan", "plan.json"), "without --plan and --rebuild"),
        (("candidates.csv", "--choose", 1, "--rebuild"), "without --plan and --rebuild"),
        (("--choose", 1), "give --choose with a table of rows"),
        (("candidate.csv", "--choose", 1), "did you mean `candidates.csv`"),
        (("measured.csv", "--choose", 1), "measured.csv: every row states tokens_per_s_per_gpu; leave it empty in"),
        (("train.log", "--choose", 1), "train.log: --choose takes a table of runs"),
        (("header.csv", "--choose", 1), "header.csv: --choose takes a table of runs with the columns of catalogs/mea"),
        (("wrong.csv", "--choose", 1), "wrong:2: precision 'int3' is none of"),
        (("bytes.csv", "--choose", 1), "bytes:1: model '��' is not UTF-8"),
    ],
)
def test_what_cannot_be_chosen_is_said_in_one_sentence(planner, table, monkeypatch, arguments, said):
    monkeypatch.chdir(table.parent)
    head, *rows = table.read_text().splitlines()
    (table.parent / "measured.csv").write_text("\n".join((head, rows[2])) + "\n")
    (table.parent / "header.csv").write_text(head + "\n")
    (table.parent / "wrong.csv").write_text("\n".join((head, rows[0], rows[1].replace("bf16", "int3"))) + "\n")
    (table.parent / "train.log").write_text(" iteration 1/10 | elapsed time per iteration (ms): 1.0\n" * 3)
    (table.parent / "bytes.csv").write_bytes(b"model,gpu\n\xff\xfe\n")
    ran = planner("calibrate", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert ran.err.count("\n") == 1
