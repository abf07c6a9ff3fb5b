"""A tracked run: what is done, where time went, when it ends, and when a budget will be missed."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interop_plans import answer

from planner.catalog import load_catalog
from planner.files import write_all
from planner.interop.measurement import COLUMNS, training_log_measurement
from planner.interop.tracking import follow_log, track_log
from planner.performance.arrays import Conditions
from planner.performance.rows import read_run
from planner.report.layout import display_width
from planner.report.track_view import continuation_view, sparkline, view
from planner.results.answers import Optimization, StatedGoal, Trained
from planner.results.plan import Quantiles, RunConditions
from planner.tracking.progress import Progress, progress
from planner.tracking.ramp import course_of
from planner.tracking.replan import continuation, remaining_scenario
from planner.units import PlannerError
from planner.words import speak
from planner.workload.model_catalog import load_model

LAYOUT = {"tp": 1, "pp": 1, "dp": 8, "micro_batch": 4, "grad_accum": 8, "recompute": "none"}  # batch 256 on 8 GPUs


def plan_of(iterations: int = 1000, step: float = 10.0, goal: StatedGoal | None = None, **options: Any) -> Optimization:
    return answer(
        "pythia-1.4b",
        iterations=iterations,
        step=step,
        goal=goal or StatedGoal("cost", None, 12_000.0, 60.0, 0.8),
        **{**LAYOUT, **options},
    )


def line(iteration: int, seconds: float, total: int = 1000, batch: int = 256, clock: str | None = None) -> str:
    head = f" [{clock}]" if clock else ""
    return (
        f"{head} samples/sec: {batch / seconds:.3f} | iteration {iteration:8d}/{total:8d} "
        f"| elapsed time per iteration (ms): {seconds * 1000:.1f} | learning rate: 1.0E-04 "
        "| approx flops per GPU: 90.0TFLOPS | lm_loss: 2.1E+00 |\n"
    )


def written(tmp_path: Path, lines: Iterable[str], name: str = "train.log") -> Path:
    path = tmp_path / name
    path.write_text("".join(lines))
    return path


def run(
    upto: int = 500,
    every: int = 10,
    seconds: float = 10.0,
    noise: float = 0.01,
    seed: int = 1,
    **options: Any,
) -> list[str]:
    rng = random.Random(seed)  # noqa: S311
    return [line(i, seconds * math.exp(rng.gauss(0, noise)), **options) for i in range(every, upto + 1, every)]


def tracked(tmp_path: Path, lines: Iterable[str], saved: Optimization) -> Progress:
    return progress(track_log(written(tmp_path, lines), saved.plan), saved.plan, saved.goal)


def test_a_run_on_plan_ends_on_plan(tmp_path):
    now = tracked(tmp_path, run(), plan_of())
    assert (now.status, now.iteration, now.iterations, now.share_done) == ("training", 500, 1000, 0.5)
    assert now.epochs_done == pytest.approx(1.0)
    assert now.time_s.p50 == pytest.approx(10_000, rel=0.01)
    assert now.time_s.p10 < now.time_s.p50 < now.time_s.p90
    assert now.cost_usd.p50 == pytest.approx(10_000 / 3600 * 8 * 2, rel=0.01)
    assert now.tokens_per_s_per_gpu == pytest.approx(256 * 2048 / 10 / 8, rel=0.01)
    assert now.losses.goodput == pytest.approx(1.0, abs=0.02)
    assert not any(budget.missed for budget in now.budgets)
    assert all(budget.p_within > 0.99 for budget in now.budgets)


def test_ranges_narrow_as_the_run_goes(tmp_path):
    widths = []
    for upto in (0, 50, 200, 500, 900, 1000):
        now = tracked(tmp_path, run(upto), plan_of(spread=1.3))
        widths.append(now.time_s.p90 - now.time_s.p10)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == 0


@pytest.mark.parametrize("lines", [[], ["\n", "  \n"], ["using world size: 8\n", "training ...\n"]])
def test_before_the_first_step_the_plan_is_what_is_known(tmp_path, lines):
    saved = plan_of()
    now = tracked(tmp_path, lines, saved)
    assert now.status == "waiting"
    assert now.time_s.p50 == pytest.approx(saved.plan.time_s.p50)
    assert now.time_s.p90 == pytest.approx(saved.plan.time_s.p90, rel=1e-6)


def lived(
    seed: int,
    between: float,
    iterations: int = 4000,
    every: int = 10,
    saved_every: int = 200,
) -> tuple[Any, float]:
    """Records of a run that is interrupted every so many iterations on average, and the seconds it took in all."""
    rng, records, total, at, fresh = random.Random(seed), [], 0.0, 0, True  # noqa: S311
    while at < iterations:
        at += every
        seconds = 10 * math.exp(rng.gauss(0, 0.03)) + (12 if at % 400 == 0 else 0)
        records.append((at, seconds, fresh))
        total, fresh = total + seconds * every, False
        if rng.random() < every / between and at < iterations:
            at, fresh = at // saved_every * saved_every, True
    return records, total


def test_the_plans_overhead_counts_for_what_is_left_of_a_run_and_less_as_the_log_tells_its_times(tmp_path):
    from planner.results.plan import Overhead, Reliability

    saved = plan_of()
    none = Reliability(0, None, 0.0, 0.0, 0.0, 1.0, 0.0, None, None, 1e4, 1.0, 1.0, 1.0, {}, "made up")

    def left(lines: Iterable[str], overhead: Any) -> Any:
        plan = replace(saved.plan, reliability=replace(none, overhead=overhead))
        return progress(track_log(written(tmp_path, lines), plan), plan).remaining_s

    def clock(iteration: int) -> str:
        return f"2027-02-01 {iteration // 360:02d}:{iteration // 6 % 60:02d}:{iteration * 10 % 60:02d}"

    beside, steps_only = Overhead(log_more=0.1), run()
    timed = [line(i, 10.0, clock=clock(i)) for i in range(10, 501, 10)]
    untimed = left(steps_only, beside).p50 / left(steps_only, Overhead()).p50
    assert untimed == pytest.approx(2**0.1)
    assert left(timed, beside).p50 / left(timed, Overhead()).p50 == pytest.approx(2**0.05, rel=1e-3)
    wide, narrow = (left(steps_only, each) for each in (beside, Overhead(2**0.1)))
    assert wide.p90 > 1.1 * narrow.p90
    assert wide.p50 == pytest.approx(narrow.p50)


@pytest.mark.parametrize("share", [0.1, 0.4, 0.8])
def test_ranges_hold_about_as_often_as_they_say(share):
    import numpy as np

    from planner.results.plan import Reliability
    from planner.tracking.state import Records, TrackState

    between = 1500.0
    kept = Reliability(3, between * 10, 0.0, 0.0, 0.0, 1.0, 0.0, 2000.0, 200, 4e4, 0.9, 1.0, 1.0, {}, "made up")
    within, wide = 0, 0.0
    for seed in range(60):
        records, total = lived(seed, between)
        cut = next(i for i, record in enumerate(records) if record[0] >= share * 4000) + 1
        at, seconds, fresh = (np.array(column) for column in zip(*records[:cut], strict=True))
        state = TrackState()
        state.add(Records(at, seconds, np.full(cut, np.nan), fresh, total=4000))
        saved = plan_of(iterations=4000, step=10 * math.exp(random.Random(seed).gauss(0, 0.1)), spread=1.14)  # noqa: S311
        now = progress(state, replace(saved.plan, reliability=kept, evaluation_time_s=1200.0))
        within += now.time_s.p10 <= total <= now.time_s.p90
        wide += (now.time_s.p90 - now.time_s.p10) / total
    assert within / 60 >= 0.72  # 80 % ranges; a little wide is meant
    assert wide / 60 < 0.35


def test_warm_up_and_stalls_do_not_move_the_steady_step(tmp_path):
    lines = run(noise=0)
    lines[0], lines[1] = line(10, 60.0), line(20, 30.0)
    for k in range(9, 50, 10):
        lines[k] = line(10 * (k + 1), 25.0)  # an evaluation or a checkpoint every hundred iterations
    now = tracked(tmp_path, lines, plan_of())
    assert now.pace.steady_s == pytest.approx(10.0, rel=0.003)
    assert (now.losses.warmup_iterations, now.losses.stalled_iterations) == (20, 50)
    assert now.losses.warmup_s == pytest.approx(500 + 200, rel=0.01)
    assert now.losses.stalled_s == pytest.approx(50 * 15, rel=0.01)
    assert now.losses.goodput == pytest.approx(5000 / (5000 + 700 + 750), rel=0.01)
    assert now.remaining_s.p50 == pytest.approx(500 * 11.5, rel=0.03)  # stalls go on, warm-up does not


def test_a_slow_run_says_when_each_budget_will_be_gone(tmp_path):
    now = tracked(tmp_path, run(seconds=15.0), plan_of(goal=StatedGoal("cost", None, 12_000.0, 50.0, 0.8)))
    time, cost = now.budgets
    assert time.missed
    assert time.p_within < 0.01
    assert time.reached_after_s == pytest.approx(12_000)
    assert time.reached_at_iteration == pytest.approx(500 + 4500 / 15, rel=0.02)
    assert cost.missed
    assert cost.reached_after_s == pytest.approx(50 / 16 * 3600, rel=0.01)
    assert now.pace.against_plan == pytest.approx(0.5, rel=0.02)
    assert any("slower than nine in ten" in remark for remark in now.remarks)


def test_a_budget_that_is_gone_already_has_no_chance(tmp_path):
    now = tracked(tmp_path, run(seconds=40.0), plan_of())
    assert now.budgets[0].p_within == 0.0
    assert now.budgets[0].reached_at_iteration == 500


def test_restarts_cost_what_they_lost_and_widen_the_range(tmp_path):
    smooth = tracked(tmp_path, run(), plan_of())
    lines = [*run(250), "Loading checkpoint and starting from iteration 200\n", *run(500)[20:]]
    now = tracked(tmp_path, lines, plan_of())
    assert (now.losses.restarts, now.losses.lost_iterations) == (1, 50)
    assert now.losses.goodput == pytest.approx(5000 / 5500, rel=0.02)
    assert now.remaining_s.p50 > smooth.remaining_s.p50
    assert now.remaining_s.p90 / now.remaining_s.p50 > smooth.remaining_s.p90 / smooth.remaining_s.p50


def test_the_logs_clock_counts_time_between_starts(tmp_path):
    def clock(seconds: float) -> str:
        return f"2026-11-24 {10 + int(seconds) // 3600:02d}:{int(seconds) // 60 % 60:02d}:{int(seconds) % 60:02d}"

    lines = [line(i, 10.0, clock=clock(10 * i)) for i in range(10, 201, 10)]
    lines += ["training ...\n"] + [line(i, 10.0, clock=clock(10 * i + 3600)) for i in range(210, 401, 10)]
    now = tracked(tmp_path, lines, plan_of())
    assert now.elapsed_s == pytest.approx(7600)
    assert now.losses.goodput == pytest.approx(4000 / 7600, rel=0.01)
    assert now.finishes[1] > "2026-11-24 14:00"  # an hour is expected to go so again, and half an hour more


def test_what_differs_from_the_plan_is_said(tmp_path):
    now = tracked(tmp_path, [line(i, 10.0, total=2000, batch=512) for i in range(110, 300, 10)], plan_of())
    said = " ".join(now.remarks)
    assert "batch of 512 sequences, the plan one of 256" in said
    assert "2,000 iterations, the plan 1,000" in said
    assert "begins after iteration 100" in said


def test_epochs_count_the_samples_that_the_log_says(tmp_path):
    ramped = [
        text.replace("| elapsed", f"| consumed samples: {n * 1280:12d} | elapsed")
        for n, text in enumerate(run(), start=1)
    ]
    assert tracked(tmp_path, ramped, plan_of()).epochs_done == pytest.approx(0.5)  # a ramp has seen half as many


def test_a_finished_run_has_no_range_left(tmp_path):
    now = tracked(tmp_path, run(1000), plan_of())
    assert now.status == "finished"
    assert now.remaining_s.p90 == 0
    assert now.time_s.p10 == now.time_s.p90


@given(st.lists(st.tuples(st.integers(1, 1200), st.floats(0.1, 1e4)), max_size=60), st.integers(0, 3))
def test_any_run_has_ordered_ranges_and_chances(rows, budgets):
    from planner.interop.train_logs import LogReader
    from planner.tracking.state import TrackState

    goal = StatedGoal("cost", None, 12_000.0 if budgets & 1 else None, 60.0 if budgets & 2 else None, 0.8)
    saved, reader, state = plan_of(goal=goal), LogReader(), TrackState()
    for records in reader.feed("".join(line(i, s) for i, s in rows).encode()):
        state.add(records)
    now = progress(state, saved.plan, goal)
    for quantiles in (now.remaining_s, now.time_s, now.cost_usd):
        assert 0 <= quantiles.p10 <= quantiles.p50 <= quantiles.p90
    assert all(0 <= b.p_within <= 1 for b in now.budgets)
    assert now.losses.goodput is None or 0 < now.losses.goodput <= 1
    json.loads(now.to_json())
    assert view(now, 80)


def test_machines_that_cost_nothing_are_tracked_by_time_alone(tmp_path):
    saved = plan_of()
    free = replace(saved, plan=replace(saved.plan, cost_usd=Quantiles(0.0, 0.0, 0.0)))
    now = tracked(tmp_path, run(), free)
    assert (now.cost_usd.p50, now.cost_against_plan) == (0.0, None)
    assert [budget.budget for budget in now.budgets] == ["time"]
    assert "\ncost " not in view(now)


def test_the_view_tells_it_all_in_eighty_columns(tmp_path):
    now = tracked(tmp_path, run(seconds=15.0), plan_of())
    text = view(now, 80)
    assert max(map(len, text.splitlines())) <= 80
    for words in ("500 of 1,000", "epochs 1 of 2", "+50", "time budget", "used up after", "goodput"):
        assert words in text
    assert "\x1b" not in text
    assert "\x1b[31m" in view(now, 80, colour=True)


def test_the_view_speaks_the_language_that_is_shown(tmp_path):
    with speak("zh"):
        text = view(tracked(tmp_path, run(seconds=15.0), plan_of()), 80)
    lines = text.splitlines()
    assert max(map(display_width, lines)) <= 80
    assert lines[1].startswith("迭代         500 / 1,000；第 1 遍，共 2 遍")
    assert "将用尽" in text


def test_equal_logs_give_equal_bytes(tmp_path):
    saved = plan_of()
    assert tracked(tmp_path, run(), saved).to_json() == tracked(tmp_path, run(), saved).to_json()


@pytest.mark.parametrize(
    ("values", "bars"),
    [([], ""), ([None, None], ""), ([2.0, 2.0], "▄▄"), ([1.0, None, 2.0], "▁ █"), ([1, 1, 1, 1, 2, 2, 2, 2], "▁▁██")],
)
def test_sparklines_go_from_least_to_most(values, bars):
    assert sparkline(values, 4) == bars


def test_following_hears_what_is_added_and_survives_a_new_file(tmp_path):
    lines = run(noise=0)
    path = written(tmp_path, lines[:5])
    heard = []

    def more(_: object) -> Any:
        step = len(heard)
        if step == 1:
            with path.open("a") as file:
                file.write("".join(lines[5:10]))
        elif step == 2:
            path.rename(tmp_path / "old.log")
            written(tmp_path, ["training ...\n", *lines[8:15]])

    for state in follow_log(path, sleep=more):
        heard.append((state.iteration, state.restarts))
        if len(heard) == 3:
            break
    assert heard == [(50, 0), (100, 0), (150, 1)]


def test_the_rest_of_a_run_is_planned_within_what_is_left(tmp_path):
    from planner.scenario import load_scenario

    path = tmp_path / "s.yaml"
    path.write_text(
        "model: pythia-1.4b\ndata: {samples: 128000, seq_length: 2048}\ntraining: {epochs: 2, global_batch: 256}\n"
        "budget: {time: 12000 s, cost: 60 USD}\n"
    )
    saved = plan_of()
    now = tracked(tmp_path, run(), saved)
    rest = remaining_scenario(load_scenario(path), saved.plan, now)
    assert rest.data[0].samples == 500 * 256
    assert (rest.training.epochs, rest.training.iterations) == (1.0, None)
    assert (
        rest.throughput[-1].tokens_per_s_per_gpu == now.tokens_per_s_per_gpu
    )  # what was seen counts, not what was hoped
    assert rest.budget.time_s == pytest.approx(12_000 - now.elapsed_s)
    assert rest.budget.cost_usd == pytest.approx(60 - now.cost_so_far_usd)
    found = continuation(rest, saved.plan, now, saved)
    assert "stay" in continuation_view(found)
    assert "nothing: this is the best plan" in continuation_view(found)
    other = replace(saved, plan=replace(saved.plan, gpus=16))
    assert "16 x a100-sxm4-40gb" in continuation_view(continuation(rest, saved.plan, now, other))
    assert json.loads(found.to_json())["samples_left"] == 128_000
    with pytest.raises(PlannerError, match="nothing is left of the time budget"):
        remaining_scenario(load_scenario(path, ["budget.time=1 h"]), saved.plan, now)
    with pytest.raises(PlannerError, match="finished"):
        remaining_scenario(load_scenario(path), saved.plan, tracked(tmp_path, run(1000), saved))


def test_a_tracked_run_is_a_measurement(tmp_path):
    saved = plan_of()
    row = training_log_measurement(written(tmp_path, run(noise=0)), saved)
    assert tuple(row) == COLUMNS
    assert float(row["step_time_s"]) == pytest.approx(10.0, rel=0.003)
    assert float(row["tokens_per_s_per_gpu"]) == pytest.approx(256 * 2048 / 10 / 8, rel=0.003)
    assert (row["gpus"], row["tp"], row["zero_or_fsdp"], row["model"]) == ("8", "1", "zero-1", "pythia-1.4b")


def test_such_a_measurement_is_a_row_that_calibration_reads(tmp_path):
    saved = plan_of()
    row = training_log_measurement(written(tmp_path, run(noise=0)), saved)
    read = read_run(row, load_catalog(), "row")
    layout = saved.plan.layout
    assert read.layout == layout
    assert read.tokens_per_s_per_gpu == pytest.approx(256 * 2048 / 10 / 8, rel=0.003)
    assert read.setting.conditions == Conditions()  # of a plan that does not say


def test_how_the_plan_is_set_up_stands_in_the_row(tmp_path):
    saved = plan_of()
    taken = RunConditions(True, 2, True, False, 0.5, 4, 300.0, "vendor", "lab")
    saved = replace(saved, plan=replace(saved.plan, conditions=taken))
    row = training_log_measurement(written(tmp_path, run(noise=0)), saved)
    read = read_run(row, load_catalog(), "row").setting.conditions
    assert (read.flash_attention, read.flash_generation, read.fused, read.reduction_overlap) == (True, 2, True, False)
    assert (read.recompute_share, read.shard_group, read.power_limit_w) == (0.5, 4, 300.0)
    assert (read.tuning, read.site) == ("vendor", "lab")


def test_a_calibrated_run_sharpens_what_is_predicted_there(tmp_path, planner):
    plan = plan_of().plan
    saved, mine = tmp_path / "plan.json", tmp_path / "mine"
    saved.write_text(plan_of().to_json())
    options = {
        "model": "pythia-1.4b", "gpu": plan.offer.gpu, "gpus": 8, "seq-length": 2048, "global-batch": 256,
        "micro-batch": 4, "precision": plan.precision, "framework": "gpt-neox",
    }  # fmt: skip
    words = [word for key, value in options.items() for word in (f"--{key}", str(value))]

    def predicted() -> tuple[float, float, str]:
        found = json.loads(planner("predict", *words, "--catalog", mine, "--json").out)
        rate = found["pred_tokens_per_s_per_gpu"]
        return rate, (found["pred_hi"] - found["pred_lo"]) / rate, found["basis"]

    mine.mkdir()  # predict wants a folder that is there; calibrate makes one
    rate, width, basis = predicted()
    seen = 0.8 * rate
    mine.rmdir()
    log = written(tmp_path, run(noise=0, seconds=256 * 2048 / 8 / seen))
    learnt = planner("calibrate", log, "--plan", saved, "--catalog", mine, "--json", "--quiet")
    assert (learnt.code, learnt.err) == (0, "")
    said = json.loads(learnt.out)
    assert (said["schema_version"], said["rows"], said["replaced_tokens_per_s_per_gpu"]) == (1, 1, [])
    assert said["mdape_before"] == pytest.approx(0.25, abs=0.02)  # 1 / 0.8 - 1
    assert said["mdape_after"] < 0.03
    after, narrower, measured = predicted()
    assert after == pytest.approx(seen, rel=0.03)
    assert narrower < width
    assert (basis, measured) == ("modelled", "measured")
    assert planner("calibrate", log, "--catalog", mine).code == 2  # a log says nothing of its layout


def test_a_log_that_has_grown_replaces_what_it_said_before_and_nothing_else(tmp_path):
    from planner.performance.overlays import add_rows, read_rows

    def add(rows: Sequence[Mapping[str, object]], *, of_log: bool) -> Any:
        found = add_rows(rows, "train", tmp_path, of_log=of_log)
        write_all(tmp_path, found.files)
        return found

    def added(saved: Optimization, seconds: float, upto: int, name: str = "train.log") -> Any:
        row = training_log_measurement(written(tmp_path, run(upto, noise=0, seconds=seconds), name), saved)
        return add([row], of_log=True)

    first = added(plan_of(), 10.0, 300)
    assert first.replaced == ()
    assert added(plan_of(), 10.0, 300).replaced == ()  # nothing new
    added(plan_of(), 10.0, 300, name="other.log")  # another run, which happens to go into the same table
    grown = added(plan_of(), 8.0, 500)
    assert [float(rate) for rate in grown.replaced] == pytest.approx([first.runs[0].tokens_per_s_per_gpu], rel=1e-5)
    rows = read_rows(tmp_path / "measured" / "train.csv")
    assert [row["page_or_path"] for row in rows] == ["other.log", "train.log"]
    assert float(rows[1]["step_time_s"]) == pytest.approx(8.0, rel=0.003)
    table = [{**row, "remark": "", "page_or_path": "by hand", "mfu_pct": ""} for row in rows[:1]]
    assert add(table, of_log=False).replaced == add(table, of_log=False).replaced == ()
    assert len(read_rows(tmp_path / "measured" / "train.csv")) == 3  # a table's row is not repeated


def test_calibrating_again_says_what_it_replaced(tmp_path, planner):
    saved, mine = tmp_path / "plan.json", tmp_path / "mine"
    saved.write_text(plan_of().to_json())
    said = []
    for upto, seconds in ((300, 10.0), (500, 9.0)):
        log = written(tmp_path, run(upto, noise=0, seconds=seconds))
        said.append(planner("calibrate", log, "--plan", saved, "--catalog", mine).err)
    assert "in place of" not in said[0]
    assert re.search(r"in place of what its log said before \(65\d\d\.\d+ tokens/s/GPU\)", said[1])
    assert len((mine / "measured" / "train.csv").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("lines", "saved", "sentence"),
    [
        (lambda: run(60), plan_of, "has 6 training steps; at least 12"),
        (lambda: run(batch=512), plan_of, "batch of 512 sequences, and the plan has 256"),
    ],
)
def test_what_is_no_measurement_is_refused(tmp_path, lines, saved, sentence):
    with pytest.raises(PlannerError) as error:
        training_log_measurement(written(tmp_path, lines()), saved())
    assert sentence in str(error.value)


UNKNOWN = {
    "a trainer of one's own": "iter {i} of 100: loss 4.0863, took 561.94ms\n",
    "NeMo 2": "Training epoch 0, iteration {i}/99 | lr: 3.1e-06 | global_step: {i} | reduced_train_loss: 11.03\n",
    "LLaMA-Factory": '{{"current_steps": {i}, "loss": 1.2, "epoch": 0.1}}\n',
    "ms-swift": "{{'loss': 1.2, 'learning_rate': 1e-05, 'epoch': 0.1, 'global_step/max_steps': '{i}/100'}}\n",
    "steps without their time": '{{"step": {i}, "loss": 2.5}}\n',
}


@pytest.mark.parametrize("line", UNKNOWN.values(), ids=UNKNOWN)
def test_a_log_of_no_known_form_is_refused_with_the_nearest_line(tmp_path, planner, line):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_of(trained=Trained(load_model("pythia-1.4b"))).to_json())
    log = written(tmp_path, ["Loading checkpoint shards: 100%\n", "\n", *(line.format(i=i) for i in range(10, 60, 10))])
    for command in (
        ["track", saved, "--log", log],
        ["track", saved, "--log", log, "--follow"],
        ["calibrate", log, "--plan", saved, "--catalog", tmp_path / "mine"],
    ):
        ran = planner(*command)
        assert (ran.code, ran.out) == (2, "")
        assert "none of its 6 lines tells a training step" in ran.err
        assert f"the nearest is line 3, `{line.format(i=10).strip()[:100]}" in ran.err
        assert "elapsed time per iteration (ms)" in ran.err
        assert "step_time_s" in ran.err
    assert not (tmp_path / "mine").exists()


def test_a_log_with_lines_of_which_none_is_known_is_refused_unless_it_is_followed(tmp_path):
    path = written(tmp_path, ["NCCL INFO Bootstrap : Using eth0\n"])
    with pytest.raises(PlannerError, match="its one line does not tell a training step"):
        track_log(path, plan_of().plan)
    states = follow_log(path, sleep=lambda _: path.write_text("".join(run(50, noise=0))))
    assert [next(states).iteration, next(states).iteration] == [0, 50]


@pytest.mark.parametrize(
    "lines",
    [
        ["step,step_time_s\n"],
        ['{"step": 1, "timestamp": 1}\n'],  # the second row will tell how long it took
        ["[2026-11-24 12:00:00,985] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=2, lr=[5e-05]\n"],
    ],
)
def test_a_known_form_that_has_told_no_time_yet_is_waited_for(tmp_path, lines):
    assert tracked(tmp_path, lines, plan_of()).status == "waiting"


def test_following_ends_with_the_run(tmp_path, planner):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_of().to_json())
    log = written(tmp_path, run(1000))
    assert "(finished)" in planner("track", saved, "--log", log, "--follow").out
    told = planner("track", saved, "--log", log, "--follow", "--json").out
    assert [json.loads(text)["status"] for text in told.splitlines()] == ["finished"]
    assert planner("track", saved, "--log", tmp_path / "none.log", "--follow").code == 2


@pytest.mark.parametrize("upto", [0, 10, 500, 1000])
def test_the_chart_goes_from_the_start_to_where_the_run_is(tmp_path, upto):
    from planner.report.charts import save_chart
    from planner.report.track_chart import course, track_figure

    now = tracked(tmp_path, run(upto), plan_of())
    iterations, seconds = course(now)
    assert (iterations[0], seconds[0]) == (0, 0)
    assert (iterations[-1], seconds[-1]) == (upto, pytest.approx(now.elapsed_s))
    charts = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for chart in charts:
        save_chart(track_figure(now, "a run"), chart)
    assert charts[0].read_bytes() == charts[1].read_bytes()


def test_track_and_export_and_import_are_commands(tmp_path, planner):
    saved = tmp_path / "plan.json"
    trained = Trained(load_model("pythia-1.4b"))
    saved.write_text(plan_of(trained=trained).to_json())
    log = written(tmp_path, run())
    told = planner("track", str(saved), "--log", str(log), "--json")
    assert json.loads(told.out)["iteration"] == 500
    assert "500 of 1,000" in planner("track", str(saved), "--log", str(log)).out
    done = planner("export", str(saved), "--to", "neox", "-o", str(tmp_path / "out"))
    assert done.code == 0
    back = planner("import", str(tmp_path / "out" / "run.yml"), str(tmp_path / "out" / "paths.yml"), "--json")
    values = {v["key"]: v["value"] for v in json.loads(back.out)["values"]}
    assert (values["layout.dp"], values["training.global_batch"]) == (8, 256)
    assert planner("track", str(log), "--log", str(log)).code == 2


RAMP = (32, 32, 32_000)  # to 256 over 32,000 samples: 250 iterations or so


def ramped(saved: Optimization, upto: int, slower: float = 1.0, every: int = 10) -> tuple[list[str], float]:
    """Megatron-LM's lines of a run whose batch grows, and the seconds that all of it takes."""
    course = course_of(saved.plan, RAMP)
    share = np.diff(course.full_steps(np.arange(saved.plan.iterations + 1)))
    lines = []
    for i in range(every, upto + 1, every):
        seconds = 10.0 * slower * share[i - every : i].mean()
        lines.append(
            f" iteration {i:8d}/{saved.plan.iterations:8d} | consumed samples: {course.samples_after(i):12d} "
            f"| elapsed time per iteration (ms): {seconds * 1000:.1f} | learning rate: 1.0E-04 "
            f"| global batch size: {course.batch_of(i):5d} | lm loss: 2.1E+00 |\n"
        )
    return lines, float(share.sum()) * 10.0 * slower


def test_a_course_counts_as_megatron_does():
    course = course_of(plan_of().plan, RAMP)
    batches = [course.batch_of(i) for i in range(1, 1001)]
    consumed = [0, *np.cumsum(batches).tolist()]
    assert batches[0] == 32
    assert batches == sorted(batches)
    assert (max(batches), batches.count(32)) == (256, 143)  # 32,000 / 7 samples a phase
    assert [course.samples_after(i) for i in range(1001)] == consumed
    assert np.all(np.diff(course.full_steps(np.arange(1001))) > 0)
    assert all(course.iteration_at(float(course.full_steps(i)) + 1e-9) == i for i in range(0, 1000, 37))
    assert course_of(plan_of().plan, ()) is None


@pytest.mark.parametrize("upto", [100, 200, 600])
def test_a_run_whose_batch_still_grows_is_timed_by_its_ramp(tmp_path, upto):
    saved = plan_of(pp=2, dp=4, grad_accum=16)
    lines, whole = ramped(saved, upto, slower=1.5)
    state = track_log(written(tmp_path, lines), saved.plan, course=course_of(saved.plan, RAMP))
    now = progress(state, saved.plan, saved.goal)
    assert now.pace.steady_s == pytest.approx(15.0, rel=0.005)
    assert now.time_s.p50 == pytest.approx(whole, rel=0.02)
    assert now.losses.goodput == pytest.approx(1.0, abs=0.01)
    assert now.samples_left == course_of(saved.plan, RAMP).samples_after(1000) - state.samples
    said = " ".join(now.remarks)
    assert ("still growing" in said) == (upto < 600)
    assert "the plan one of" not in said
    blind = progress(track_log(written(tmp_path, lines), saved.plan), saved.plan, saved.goal)
    assert abs(blind.time_s.p50 / whole - 1) > 0.02 or upto == 600


def test_the_pace_that_was_seen_changes_the_continuation(tmp_path):
    from planner import api
    from planner.interop.plans import read_plan

    path = tmp_path / "s.yaml"
    path.write_text(
        "model: pythia-1.4b\ndata: {samples: 400000, seq_length: 2048}\ntraining: {epochs: 1, global_batch: 256}\n"
        "budget: {time: 4 days, confidence: 0.5}\n"
        "cluster: {own_only: true, own: [{name: lab, gpu: a100-sxm4-80gb, gpus_per_node: 8, nodes: 8, "
        "network: 1600 Gbit/s, usd_per_gpu_hour: 0.1}]}\n"
    )
    hours = 1.3 * api.optimize(api.load_scenario(path)).plan.time_s.p50 / 3600
    scenario = api.load_scenario(path, [f"budget.time={hours:.2f} h"])
    (tmp_path / "plan.json").write_text(api.optimize(scenario).to_json())
    saved = read_plan(tmp_path / "plan.json")
    step, total = saved.plan.step_time_s.p50, saved.plan.iterations
    now = tracked(tmp_path, run(200, seconds=2 * step, total=total), saved)
    assert now.budgets[0].missed
    rest = remaining_scenario(scenario, saved.plan, now)
    hoped, seen = (api.optimize(replace(rest, throughput=t)).plan for t in ((), rest.throughput))
    assert hoped.gpus == saved.plan.gpus
    assert seen.gpus > saved.plan.gpus
    assert seen.time_s.p50 <= rest.budget.time_s
