"""Tables that programs and services write of a run are read whatever their columns are called; times are made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.interop.log_records import Hint
from planner.interop.train_logs import read_log
from planner.units import PlannerError

STEPS = range(1, 9)


def told(path: Path) -> tuple[list[int], list[float], int | None]:
    """Steps and their seconds, and the run's length where the log says it."""
    found = [records for _, records in read_log(path, hint=Hint(16, 2048, 8))]
    steps = [int(step) for records in found for step in records.iteration]
    seconds = [float(time) for records in found for time in records.step_s]
    return steps, seconds, next((records.total for records in found if records.total), None)


def state(finished: bool, **more: object) -> dict[str, object]:
    history = [
        {"epoch": step / 8, "grad_norm": 1.0, "learning_rate": 1e-5, "loss": 2.0, "step": step} for step in STEPS
    ]
    summary = {"epoch": 1.0, "step": 8, "train_loss": 2.0, "train_runtime": 40.0, "train_steps_per_second": 0.2}
    rows = [{**row, **more} for row in history] + ([summary] if finished else [])
    return {"best_metric": None, "global_step": 8, "log_history": rows, "logging_steps": 1, "max_steps": 8}


@pytest.mark.parametrize("indent", [None, 2])
def test_the_state_of_a_finished_trainer_tells_its_mean_step(tmp_path, indent):
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(state(True), indent=indent))
    assert told(path) == (list(STEPS), [5.0] * 8, 8)


def test_the_state_of_a_trainer_that_goes_on_tells_no_time_and_says_what_does(tmp_path):
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(state(False), indent=2))
    with pytest.raises(
        PlannerError, match=r"trainer_state\.json is a trainer_state\.json of 8 logged steps and no times"
    ):
        told(path)


def test_the_histories_of_published_trainers_are_read(tmp_path):
    """Keys as in O5-7/chat_glm2_in4_LIL_prefix (2023), Dheena731/tinyLlama-finetune (TRL, evaluations between)."""
    old = [{"epoch": 0.1, "learning_rate": 1e-5, "loss": 1.1, "step": step} for step in STEPS]
    end = {"epoch": 0.28, "step": 8, "total_flos": 1e17, "train_loss": 1.2, "train_runtime": 40.0}
    trl = [{**row, "grad_norm": 1.0, "mean_token_accuracy": 0.6, "num_tokens": 61440.0} for row in old]
    middle = {"epoch": 0.1, "eval_loss": 1.6, "eval_runtime": 311.0, "eval_steps_per_second": 3.0, "step": 4}
    for rows in ([*old, end], [*trl[:4], middle, *trl[4:], {**end, "eval_runtime": 3.0}]):
        path = tmp_path / "trainer_state.json"
        path.write_text(json.dumps({"global_step": 8, "log_history": rows, "max_steps": 8, "train_batch_size": 2}))
        assert told(path) == (list(STEPS), [5.0] * 8, 8)


@pytest.mark.parametrize("before", [4, 6])
def test_a_resumed_trainers_time_is_that_of_the_steps_since(tmp_path, before):
    """`train_runtime` is of the last run alone, `train_loss` its losses over all steps (transformers trainer.py)."""
    whole = state(True)
    losses = [3.0, 2.5, 2.2, 2.0, 1.9, 1.8, 1.7, 1.6]
    for row, loss in zip(whole["log_history"], losses, strict=False):
        row["loss"] = loss
    whole["log_history"][-1] |= {"train_loss": sum(losses[before:]) / 8, "train_runtime": 10.0 * (8 - before)}
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(whole))
    steps, times, total = told(path)
    assert (steps[-1], total) == (8, 8)
    assert [time for time in times if time] == [10.0] * (8 - before)


def test_a_trainer_that_went_on_after_an_end_counts_from_there(tmp_path):
    whole = state(True)
    first = {**whole["log_history"][-1], "step": 4, "train_runtime": 400.0}
    whole["log_history"].insert(4, first)
    whole["log_history"][-1] |= {"train_loss": 1.0, "train_runtime": 8.0}
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(whole))
    assert [time for time in told(path)[1] if time] == [2.0] * 4


def test_a_time_of_its_own_in_the_history_comes_before_the_mean(tmp_path):
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps(state(True, step_time=7.0), indent=2))
    assert told(path)[1] == [7.0] * 8


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("_runtime,_step,_timestamp,train/loss,runtime/iteration_time", "{t},{i},{clock},2.1,5.0"),
        ('"Step","run-a - runtime/iteration_time","run-a - runtime/iteration_time__MIN"', '"{i}","5.0","1.0"'),
        (
            '"Step","a - timers/forward","a - runtime/iteration_time","b - runtime/iteration_time"',
            '"{i}","1","5.0","9"',
        ),
        ('"train/global_step","my - run - step_time_s"', '"{i}","5.0"'),
        ('"Relative Time (Process)","run - train/global_step"', '"{t}","{i}"'),
        ("_step,_runtime,loss", "{i},{t},2.0"),
        ("Step,Wall time,elapsed_ms", "{i},x,5000"),
        (  # of grouped runs, whose first column is the time since the start
            '"Relative Time (Process)","Group: PAP_FSDP_llama - _step","Group: PAP_FSDP_llama - _step__MIN"',
            '"{t}","{i}","{i}"',
        ),
        (  # OLMo-7B's published histories
            '"Step","OLMo-7B-run-001 - throughput/total_tokens","OLMo-7B-run-001 - perf/time_per_step"',
            '"{i}","4","5.0"',
        ),
    ],
)
def test_tables_of_wandb_are_read_under_their_own_headers(tmp_path, header, row):
    path = tmp_path / "wandb_export.csv"
    lines = [row.format(i=i, t=5 * i, clock=1_700_000_000 + 5 * i) for i in STEPS]
    path.write_text("\n".join([header, *lines]) + "\n")
    steps, seconds, _ = told(path)
    assert steps == list(STEPS)[-len(steps) :]
    assert len(steps) >= 7
    assert seconds == [5.0] * len(steps)


def test_a_chart_of_the_loss_alone_is_refused_by_name(tmp_path):
    path = tmp_path / "wandb_export.csv"
    path.write_text('"Step","run - train/loss","run - train/loss__MIN"\n' + "".join(f'"{i}","2","2"\n' for i in STEPS))
    with pytest.raises(PlannerError, match=r"wandb_export\.csv: none of its 9 lines tells a training step"):
        told(path)
