"""Tables that programs and services write of a run are read whatever their columns are called; times are made up."""

import json

import pytest

from planner.interop.log_records import Hint
from planner.interop.train_logs import read_log
from planner.units import PlannerError

STEPS = range(1, 9)


def told(path):
    """Steps and their seconds, and the run's length where the log says it."""
    found = [records for _, records in read_log(path, hint=Hint(16, 2048, 8))]
    steps = [int(step) for records in found for step in records.iteration]
    seconds = [float(time) for records in found for time in records.step_s]
    return steps, seconds, next((records.total for records in found if records.total), None)


def state(finished, **more):
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
