"""Logs of other training programs are read by their own lines; the times in these are invented."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from planner.interop.importing import import_files
from planner.interop.train_logs import LogReader
from planner.tracking.state import TrackState
from planner.units import PlannerError


def track(text: str, **options: Any) -> TrackState:
    reader, state = LogReader(**options), TrackState()
    for records in [*reader.feed(text.encode()), *reader.feed(b"", end=True)]:
        state.add(records)
    return state


STEPS = range(10, 210, 10)
SWIFT = (
    "{{'loss': 1.2, 'train_speed(iter/s)': 0.5, 'epoch': 0.1, 'global_step/max_steps': '{i}/400', "
    "'elapsed_time': '{m}m {s}s', 'remaining_time': '10m 0s'}}\n"
)
CASES = {
    "bigscience": "[d7]: iteration {i:8d}/     400 | consumed samples: 9 | elapsed time per iteration (s): 2.00 | "
    "global batch size:    64 | lm loss: 2.4E+00 |\n",
    "nemo-2": "0: Training epoch 0, iteration {z}/399 | lr: 3e-06 | global_batch_size: 64 | global_step: {z} | "
    "reduced_train_loss: 2.778 | train_step_timing in s: 2.000 | consumed_samples: 928\n",
    "nemo-1": "\rEpoch 0: :  10%|█    | {i}/400 [1:07<10:03, v_num=, reduced_train_loss=3.1, global_step={z}.0, "
    "consumed_samples=2560.0, train_step_timing in s=2.000]\n",
    "torchtitan": "\x1b[32m[rank0]:[titan] 2026-05-18 16:{m:02d}:{s:02d},338 - root - INFO - step: {i:2d}  loss:  3.2  "
    "grad_norm:  0.8  memory:  9.46GiB(64.99%)  tps: 7,282  tflops: 0.52  mfu: 0.17%\x1b[39m\n",
    "nanotron": "10/17/2026 16:31:56 [INFO|DP=0|PP=0|TP=0]: iteration: {i} / 400 | consumed_tokens: 85.8G | "
    "elapsed_time_per_iteration_ms: 2K | tokens_per_sec: 22.8K | global_batch_size: 64 | lm_loss: 2.38\n",
    "maxtext": "I0811 21:54:55.5 1383 metric_logger.py:226] completed step: {z}, seconds: 2.000, TFLOP/s/device: 5.2, "
    "Tokens/s/device: 311629.521, total_weights: 1572864, loss: 12.979\n",
    "olmo": "[2026-04-17 09:42:38] INFO     [olmo.train:816, rank=0] [step={i}/400]\n    train/CrossEntropyLoss=10.73\n"
    "    throughput/total_tokens=8,388,608\n    throughput/device/batches_per_second=0.5000\n",
    "composer": "[epoch=1][batch={i}/400]:\n\t Train time/batch: 4\n\t Train loss/train/total: 8.4213\n"
    "\t Train throughput/batches_per_sec: 0.5\n",
    "llama-factory": '{{"current_steps": {i}, "total_steps": 400, "loss": 4.4, "eval_loss": null, "epoch": 0.99, '
    '"elapsed_time": "0:{m:02d}:{s:02d}", "remaining_time": "0:03:25"}}\n',
    "ms-swift": SWIFT,
    "hugging-face": "\r 10%|█         | {i}/400 [{m:02d}:{s:02d}<10:03,  2.00s/it]\n"
    "{{'loss': 1.2, 'learning_rate': 1e-05, 'epoch': 0.1}}\n",
    "nanogpt": "iter {z}: loss 4.0863, time 2000.00ms, mfu 30.1%\n",
    "llm.c": "step {i:4d}/400 | loss 7.1 (+nanz)| norm 3.1 (+nanz)| lr 1e-5 | 2000.00 ms | 57.1% bf16 MFU | 1 tok/s\n",
    "paddlenlp": "[2026-03-03 18:06:33,568] [    INFO] - loss: 1.08, learning_rate: 4e-08, global_step: {i}, "
    "interval_runtime: 20.0, interval_samples_per_second: 6.5, interval_steps_per_second: 0.5, progress: 0.1\n",
}


def log_of(name: str, steps: Iterable[int] = STEPS) -> str:
    return "".join(CASES[name].format(i=i, z=i - 1, m=2 * i // 60, s=2 * i % 60) for i in steps)


@pytest.mark.parametrize("name", CASES)
def test_each_programs_steps_are_read(name):
    state = track("words before\n" + log_of(name))
    assert state.iteration == 200
    assert state.steady_step_s() == pytest.approx(2.0, rel=0.01)


@pytest.mark.parametrize("name", ["bigscience", "nemo-2", "nanotron"])
def test_a_global_batch_is_read_where_it_is_told(name):
    assert track(log_of(name)).batch == 64


@pytest.mark.parametrize("name", ["maxtext", "nanotron", "torchtitan"])
def test_a_run_that_goes_back_is_a_restart(name):
    state = track(log_of(name) + log_of(name, range(110, 310, 10)))
    assert (state.iteration, state.restarts) == (300, 1)


def test_ranks_that_repeat_a_step_are_counted_once():
    lines = log_of("torchtitan").splitlines(keepends=True)
    assert track("".join(line * 4 for line in lines)).records == track("".join(lines)).records


def test_micro_batches_of_litgpt_add_up_to_a_step():
    lines = [f"Epoch 1 | iter {4 * n + k} step {n + (k == 4)} | loss train: 1.5, val: n/a | iter time: 500.00 ms"
             f"{' (step)' if k == 4 else ''}\n" for n in range(30) for k in range(1, 5)]  # fmt: skip
    state = track("".join(lines))
    assert state.iteration == 30
    assert state.steady_step_s() == pytest.approx(2.0, rel=0.01)


def test_steps_in_several_pieces_are_read_as_in_one():
    for name in CASES:
        text, whole = log_of(name).encode(), track(log_of(name))
        reader, state = LogReader(), TrackState()
        for at in range(0, len(text), 97):
            for records in reader.feed(text[at : at + 97]):
                state.add(records)
        for records in reader.feed(b"", end=True):
            state.add(records)
        assert (name, state.iteration, state.records) == (name, whole.iteration, whole.records)


@pytest.mark.parametrize(
    ("name", "text", "tool"),
    [
        ("a.yml", "datasets:\n- path: x\nsequence_len: 4096\n", "Axolotl"),
        ("a.yaml", "model_name_or_path: llama-7b\nfinetuning_type: full\n", "LLaMA-Factory"),
        ("a.yaml", "trainer:\n  devices: 8\nmodel:\n  micro_batch_size: 4\n", "NeMo"),
        ("a.yaml", "max_duration: 1ep\nglobal_train_batch_size: 8\n", "llm-foundry"),
        ("a.yml", "base_emb_dim: 2048\n", "MaxText"),
    ],
)
def test_a_file_of_another_program_is_told_as_what_it_is(tmp_path, name, text, tool):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(PlannerError, match=tool) as error:
        import_files([path])
    assert name in str(error.value)


def test_fields_that_a_published_llama_leaves_out_are_its_class_defaults(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"model_type": "llava", "text_config": {"model_type": "llama", "vocab_size": 32064}}))
    model = import_files([path]).model
    assert (model.hidden, model.layers, model.heads, model.ffn, model.vocab) == (4096, 32, 32, 11008, 32064)
