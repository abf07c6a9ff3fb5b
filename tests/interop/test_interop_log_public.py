"""Line forms of public logs, each named by where it stands; all are given steps of two seconds."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from planner.interop.log_records import Hint
from planner.interop.train_logs import read_log
from planner.tracking.state import TrackState
from planner.units import PlannerError

FORMS = Path(__file__).parents[1] / "fixtures" / "interop" / "logs" / "public_forms.txt"
HINT = Hint(batch=64, seq_length=1024, gpus=8)
ASKED = (
    "DeepSpeed", "LLaMA-Factory", "MaxText", "Megatron-Bridge", "NeMo 1", "NeMo 2", "OLMo-core", "Trainer text",
    "milliseconds", "ms-swift", "nanotron", "seconds", "torchtitan",
)  # fmt: skip


def forms() -> Iterator[Any]:
    for block in re.split(r"^== ", FORMS.read_text(), flags=re.MULTILINE)[1:]:
        head, _, lines = block.partition("\n")
        kind, source, *flags = (part.strip() for part in head.split(" | "))
        yield pytest.param(lines, flags[0] if flags else "", id=f"{kind}: {source}")


def at_step(lines: str, step: int) -> str:
    seconds = 2 * step
    clock = f"{10 + seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    parts = {
        "@i8": f"{step:8d}", "@i": f"{step}", "@z": f"{step - 1}", "@clock": clock, "@p": f"{step // 4}",
        "@el": f"{seconds // 60:02d}:{seconds % 60:02d}", "@e": f"{seconds}", "@unix": f"{1739210331 + seconds}.71",
        "@hel": f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}",
        "@words": f"{seconds // 60}m {seconds % 60}s",
    }  # fmt: skip
    text = re.sub("@i8|@i|@z|@clock|@p|@hel|@el|@unix|@words|@e", lambda found: parts[found[0]], lines)
    return text.replace("\\r", "\r").replace("\\t", "\t")


def track(path: Path, hint: Hint = HINT) -> TrackState:
    state = TrackState()
    for _, records in read_log(path, hint=hint):
        state.add(records)
    return state


@pytest.mark.parametrize(("lines", "flag"), list(forms()))
def test_a_public_logs_lines_are_read_or_refused_by_name(tmp_path, lines, flag):
    path = tmp_path / "train.log"
    every = 1 if flag == "each" else 10
    path.write_text("".join(at_step(lines, every * n) for n in range(1, 21)))
    if flag == "refused":
        with pytest.raises(PlannerError, match=r"train\.log: none of its 20 lines tells a training step"):
            track(path)
        return
    state = track(path)
    assert state.iteration == 20 * every - (flag == "lags" or "DLLL" in lines)
    assert state.steady_step_s() == pytest.approx(2.0, rel=0.01)
    assert state.restarts == 0


def test_every_kind_of_log_has_three_public_members():
    kinds = Counter(form.id.split(":")[0] for form in forms())
    assert {kind for kind in ASKED if kinds[kind] < 3} == set()


def test_epochs_named_of_how_many_are_counted_from_one(tmp_path):
    path = tmp_path / "train.log"
    path.write_text(
        "".join(
            f"Epoch {epoch}/3: 1%| | {n}/40 [{2 * n // 60:02d}:{2 * n % 60:02d}<1:00, 2.00s/it, loss: 1.5]\n"
            for epoch in (1, 2)
            for n in range(1, 41)
        )
    )
    state = track(path)
    assert (state.iteration, state.total) == (80, 120)
    assert state.steady_step_s() == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("every", [1, 40])
def test_each_epochs_bar_counts_its_time_anew(tmp_path, every):
    path = tmp_path / "train.log"
    path.write_text(
        "".join(
            f"Epoch {epoch}/4: 1%| | {n}/40 [{seconds // 60:02d}:{seconds % 60:02d}<1:00, 2.0s/it, loss=1]\n"
            for epoch in (1, 2, 3)
            for n in range(every, 41, every)
            for seconds in [2 * n + epoch]
        )
    )
    state = track(path)
    assert state.iteration == 120
    assert state.steady_step_s() == pytest.approx(2.0, rel=0.05)


def test_a_bar_of_epochs_counts_epochs(tmp_path):
    path = tmp_path / "train.log"
    path.write_text(
        "".join(f"Epoch {n}/20: 5%| | {n}/20 [{n:02d}:00<1:00, 60.0s/it, loss=1.14e+03]\n" for n in range(1, 9))
    )
    state = track(path)
    assert (state.iteration, state.total) == (8, 20)
    assert state.steady_step_s() == pytest.approx(60.0, rel=0.01)


def test_a_bar_that_counts_micro_batches_is_no_count_of_steps(tmp_path):
    """NVIDIA-NeMo/Speech#13903: 32 micro-batches a step, the bar's count beside global_step."""
    path = tmp_path / "train.log"
    bar = (
        "run/0 [default0]:Epoch 0:   0%|          | {n}/3200 [{t}<1:00:00,  2.00it/s, v_num=mu23, global_step={g}.000, "
    )
    bar += "train_step_timing in s=0.500, reduced_train_loss=2.390, tps=100.0, lr=1e-6]run/0 [default0]:\n"
    path.write_text("".join(bar.format(n=n, t=f"{n // 120:02d}:{n // 2 % 60:02d}", g=n // 32) for n in range(1, 640)))
    state = track(path)
    assert state.iteration == 20
    assert state.steady_step_s() == pytest.approx(16.0, rel=0.02)
    assert state.total is None


def test_a_mean_since_the_start_is_no_time_of_the_newest_steps(tmp_path):
    path = tmp_path / "train.log"
    row = "{{'loss': 1.0, 'train_speed(s/it)': 9.0, 'global_step/max_steps': '{n}/400', 'elapsed_time': '{t}s'}}\n"
    path.write_text("".join(row.format(n=n, t=100 + 2 * n) for n in range(10, 210, 10)))
    assert track(path).steady_step_s() == pytest.approx(2.0, rel=0.01)


def test_wandb_counts_its_own_rows_and_the_trainers_steps_are_taken(tmp_path):
    path = tmp_path / "history.jsonl"
    row = '{{"_step": {n}, "train/global_step": {s}, "train/loss": 2.0, "_timestamp": {t}}}\n'
    path.write_text("".join(row.format(n=n, s=10 * n, t=1_700_000_000 + 20 * n) for n in range(1, 21)))
    state = track(path)
    assert state.iteration == 200
    assert state.steady_step_s() == pytest.approx(2.0, rel=0.01)


def test_an_evaluations_lines_are_no_training_steps(tmp_path):
    path = tmp_path / "train.log"
    lines = [f"step {n} | loss: 2.0 | dt: 2000.00ms\nval step {n} | loss: 2.0 | dt: 90.00ms\n" for n in range(20)]
    path.write_text("".join(lines))
    assert track(path).steady_step_s() == pytest.approx(2.0, rel=0.01)


#: Whole logs as they were pasted, numbers shortened; the seconds of a steady step are those between their lines.
WHOLE = {
    "Trainer with LoRA, Qwen3-0.6B on one machine": (
        (FORMS.parent / "trainer_lora.txt").read_text(),
        60,
        (3544 - 655) / 50,
    ),
    "Megatron-Bridge, launcher's log (NVIDIA/cloudai)": (
        "".join(
            f"ain/0 Step Time : {time:.2f}s GPU utilization: 663.5MODEL_TFLOP/s/GPU\n\n"
            f"ain/0  [2025-12-22 15:1{step}:33] iteration {step:8d}/      50 | consumed samples: {512 * step:12d} | "
            f"elapsed time per iteration (ms): {1000 * time:.1f} | learning rate: 3.0E-05 | global batch size:   512 |"
            " lm loss: 8.114214E+00 | loss scale: 1.0 | grad norm: 0.042 | number of skipped iterations:   0 |\n"
            for step, time in enumerate((95.2, 9.2, 9.1, 9.09, 9.08, 9.1), start=1)
        ),
        6,
        9.09,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_public_log_is_followed(tmp_path, name):
    text, last, seconds = WHOLE[name]
    path = tmp_path / "train.log"
    path.write_text(text)
    state = track(path, Hint(8, 2048, 8))
    assert state.iteration == last
    assert state.steady_step_s() == pytest.approx(seconds, rel=0.01)
