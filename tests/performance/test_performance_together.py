"""Runs computed together are predicted as each is alone: a row's neighbours in a table change nothing of it."""

from __future__ import annotations

import re
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog import load_catalog
from planner.performance import predict
from planner.performance.arrays import Layouts, Memory, Setting
from planner.performance.columns import COLUMNS
from planner.performance.frameworks import frameworks, why_each_illegal, why_illegal
from planner.performance.loading import load_calibration
from planner.performance.memory import memory
from planner.performance.predict import predict_rows, predict_runs
from planner.performance.refit import measured_files
from planner.performance.rows import Reader, read_run
from planner.performance.steptime import step_time
from planner.performance.tables import read_table
from planner.workload import load_model

CATALOG, CALIBRATION = load_catalog(), load_calibration()
RUN = {
    "model": "llama3-8b", "gpu": "h100-sxm5-80gb", "gpus": "16", "seq_len": "8192", "global_batch_samples": "64",
    "micro_batch": "1", "tp": "2", "framework": "megatron",
}  # fmt: skip
EXPERTS = RUN | {"model": "qwen3-30b-a3b", "ep": "8", "framework": "fsdp", "zero_or_fsdp": "hsdp"}
OPEN = {name: RUN[name] for name in ("model", "gpu", "gpus", "seq_len")} | {"framework": "my-trainer"}
TPU = RUN | {"gpu": "tpu-v5p", "framework": "maxtext"}
MEASURED = [row for path in measured_files() for row in read_table(path).rows[::10]]
CELLS = (
    "", "0", "1", "2", "3", "8", "16", "2.5", "-1", "1e30", "yes", "no", "none", "full", "selective", "zero-3", "hsdp",
    "fp8", "nvfp4", "a100-sxm4-40gb", "v100-sxm2-32gb", "gpt-neox-20b", "mixtral-8x7b", "my-own", "deepspeed", "100GbE",
    "8 x 400 Gb/s InfiniBand", "2021-03", "lora", "muon", "optimizer", "dualpipe", "vendor", "MP mode PURE", "\ufffd",
)  # fmt: skip
READ = [column.name for column in COLUMNS if column.read]


def without_place(found: dict[str, str]) -> dict[str, str]:
    return found | {"why": re.sub(r"^row:\d+: ", "", found["why"])}


def alone(row: dict[str, str]) -> dict[str, str]:
    (found,) = predict_rows([row], CATALOG, CALIBRATION)
    return without_place(found)


@st.composite
def bent_rows(draw: st.DrawFn) -> dict[str, str]:
    row = dict(draw(st.sampled_from([RUN, RUN, EXPERTS, OPEN, TPU, *MEASURED])))
    changed = draw(st.dictionaries(st.sampled_from(READ), st.sampled_from(CELLS), max_size=2))
    return row | changed


@settings(max_examples=40)
@given(st.lists(bent_rows(), min_size=2, max_size=8), st.randoms())
def test_a_row_is_predicted_as_without_its_neighbours(rows, random):
    each = [alone(row) for row in rows]
    order = list(range(len(rows))) * 2
    random.shuffle(order)
    found = predict_rows([rows[i] for i in order], CATALOG, CALIBRATION)
    assert [without_place(row) for row in found] == [each[i] for i in order]


@pytest.mark.parametrize("base", [RUN, EXPERTS])
def test_no_column_that_is_read_is_taken_from_a_neighbour(base):
    rows = [base | {name: value} for name in READ for value in ("2", "no", "MP mode PURE")]
    found = predict_rows([base, *rows], CATALOG, CALIBRATION)
    assert [without_place(row) for row in found] == [alone(row) for row in (base, *rows)]


def test_rows_of_one_setting_share_it_and_a_missing_network_is_still_said_of_the_row_that_needs_one():
    reader = Reader(CATALOG)
    rows = [RUN | {"interconnect": "none", "gpus": "8"}, RUN | {"interconnect": "none", "gpus": "4", "notes": "slow"}]
    assert reader.read(rows[0], "a").setting is reader.read(rows[1], "b").setting
    _, small, large = predict_rows([*rows, rows[0] | {"gpus": "16"}], CATALOG, CALIBRATION, "t")
    assert small["why"] == ""
    assert large["why"].startswith("t:3: interconnect 'none' is no network, but 16 GPUs are more than one node")


def test_tables_of_any_length_are_predicted_in_parts(monkeypatch):
    reader = Reader(CATALOG)
    rows = [RUN | {"gpus": str(2**n), "recompute": kind} for n in range(1, 7) for kind in ("", "none", "full")]
    runs = [reader.read(row, "row") for row in rows]
    whole = [found.tokens_per_s_per_gpu for found in predict_runs(runs, CALIBRATION)]
    monkeypatch.setattr(predict, "TOGETHER", 5)
    parts = [found.tokens_per_s_per_gpu for found in predict_runs(runs, CALIBRATION)]
    assert parts == pytest.approx(whole, rel=1e-12)


def numbers(*values: int) -> st.SearchStrategy[int]:
    return st.sampled_from(values)


LAYOUT = st.fixed_dictionaries(
    {
        "tp": numbers(1, 2, 3, 8, 16),
        "pp": numbers(1, 2, 5, 8),
        "vpp": numbers(1, 2),
        "dp": numbers(1, 2, 3, 16, 999, 10**6),
        "cp": numbers(1, 2),
        "ep": numbers(1, 2, 8),
        "zero_stage": numbers(0, 1, 2, 3),
        "sequence_parallel": st.booleans(),
        "recompute": numbers(0, 1, 2),
        "micro_batch": numbers(1, 2, 7, 10**6),
        "grad_accum": numbers(1, 2, 64, 10**6),
    }
)


@settings(max_examples=60)
@given(
    st.sampled_from([RUN, EXPERTS, *MEASURED]),
    st.sampled_from(["llama3-8b", "gpt-neox-20b", "mixtral-8x7b", "deepseekv3"]),
    st.sampled_from(sorted(frameworks())),
    st.lists(LAYOUT, min_size=2, max_size=6),
)
def test_steps_memory_and_rules_of_many_layouts_are_those_of_each(row, model, framework, layouts):
    s = read_run(row, CATALOG, "row").setting
    s = Setting(load_model(model), s.seq_length, "bf16", framework, "", s.accelerator, s.hardware, (), s.conditions)
    together = Layouts(**{name: np.array([x[name] for x in layouts]) for name in Layouts.__slots__})
    step, held = step_time(s, together, CALIBRATION), memory(s, together)
    why = why_each_illegal(framework, s.model, together, s.seq_length)
    for i, one in enumerate(step.each()):
        single = together.take(np.array([i]))
        expected, needed = step_time(s, single, CALIBRATION), memory(s, single)
        assert one.total_s == pytest.approx(expected.total_s, rel=1e-12)
        assert one.least_s == pytest.approx(expected.least_s, rel=1e-12)
        for name, term in expected.terms_s.items():
            assert one.terms_s[name] == pytest.approx(term, rel=1e-9, abs=1e-12 * float(expected.total_s[0]))
        for part in fields(Memory):
            together_gib = np.broadcast_to(getattr(held, part.name), (len(together),))[i]
            alone_gib = np.broadcast_to(getattr(needed, part.name), (1,))[0]
            assert together_gib == pytest.approx(alone_gib, rel=1e-9, abs=1e-9)
        assert why[i] == why_illegal(framework, s.model, single, s.seq_length)
