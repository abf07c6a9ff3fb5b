"""Training logs of every kind are read to the last whole record, whatever stands between, before or after."""

from __future__ import annotations

import json
import re
import tracemalloc
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.interop import log_lines
from planner.interop.train_logs import BLOCK, LogReader, read_log
from planner.tracking.state import TrackState
from planner.units import PlannerError


def neox(iteration: int, seconds: float = 2.0, total: int = 1000, batch: int = 32) -> str:
    return (
        f" samples/sec: {batch / seconds:.3f} | iteration {iteration:8d}/{total:8d} | elapsed time per iteration (ms): "
        f"{seconds * 1000:.1f} | learning rate: 9.700E-05 | approx flops per GPU: 117.0TFLOPS | lm_loss: 2.1E+00 | "
        "loss scale: 4096.0 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
    )


def megatron(iteration: int, seconds: float = 2.0, total: int = 1000, clock: str = "2026-11-24 12:00:00.000000") -> str:
    return (
        f" [{clock}] iteration {iteration:8d}/{total:8d} | consumed samples: {iteration * 32:12d} | elapsed time per "
        f"iteration (ms): {seconds * 1000:.1f} | throughput per GPU (TFLOP/s/GPU): 400.5 | learning rate: 1.0E-04 | "
        "global batch size:    32 | lm loss: 2.1E+00 |\n"
    )


def track(text: str | bytes, batch_hint: int | None = None, pieces: Any = None, end: bool = True) -> TrackState:
    reader, state = LogReader(batch_hint), TrackState()
    data = text if isinstance(text, bytes) else text.encode()
    cuts = [0, *sorted(pieces or []), len(data)]
    for begin, stop in pairwise(cuts):
        for records in reader.feed(data[begin:stop]):
            state.add(records)
    for records in reader.feed(b"", end=end):
        state.add(records)
    return state


def numbers(text: str | bytes, **options: Any) -> list[tuple[int, float, bool]]:
    reader = LogReader(**options)
    data = text if isinstance(text, bytes) else text.encode()
    found = [*reader.feed(data), *reader.feed(b"", end=True)]
    return [
        (int(i), round(float(s), 4), bool(r))
        for f in found
        for i, s, r in zip(f.iteration, f.step_s, f.restart, strict=True)
    ]


@pytest.mark.parametrize("line", [neox, megatron])
def test_both_programs_lines_are_read(line):
    state = track("".join(line(i, 2.0 if i > 20 else 9.0) for i in range(10, 210, 10)))
    assert (state.iteration, state.total, state.batch, state.records) == (200, 1000, 32, 20)
    assert state.steady_step_s() == pytest.approx(2.0, rel=0.003)
    assert state.warmup_iterations == 20
    assert state.tflops == (117.0 if line is neox else 400.5)


@pytest.mark.parametrize(
    "dress",
    [
        lambda line: "\x1b[32m[rank0]:\x1b[0m" + line,
        lambda line: "[default7]:" + line,
        lambda line: "2026-11-24T10:00:00Z host-1 INFO " + line,
        lambda line: line.replace("| iteration", "|\x1b[1m iteration"),
        lambda line: "oops [rank3]: warning text " + line + "0: noise without sense (ms): 1/2 |\n",
        lambda line: line.replace("\n", "\r\n"),
    ],
)
def test_prefixes_colours_and_noise_do_not_matter(dress):
    plain = "".join(neox(i) for i in range(10, 210, 10))
    dressed = "".join(dress(neox(i)) for i in range(10, 210, 10))
    assert numbers(dressed) == numbers(plain)


def test_ranks_that_say_the_same_are_counted_once():
    said = [f"[rank{r}]: " + neox(i) for i in range(10, 210, 10) for r in (3, 0, 1)]
    assert [n for n, _, _ in numbers("".join(said))] == list(range(10, 210, 10))
    late = said[:]
    late[3:7] = [late[3], late[6], late[4], late[5]]  # a rank's line comes one interval late
    assert [n for n, _, _ in numbers("".join(late))] == list(range(10, 210, 10))


def test_a_resumed_run_counts_its_lost_work_once():
    log = "".join(neox(i) for i in range(10, 110, 10)) + " > initialized tensor model parallel\n"
    log += "Loading checkpoint and starting from iteration 60\n" + "".join(neox(i, 3.0) for i in range(70, 210, 10))
    state = track(log)
    assert (state.iteration, state.restarts, state.lost_iterations) == (200, 1, 40)
    assert state.lost_s == pytest.approx(40 * 2.0)
    assert state.logged_s == pytest.approx(100 * 2.0 + 140 * 3.0)
    assert (state.first_iteration, state.iteration) == (0, 200)


def test_a_restart_far_back_needs_no_words():
    log = "".join(neox(i) for i in range(10, 110, 10)) + "".join(neox(i) for i in range(20, 60, 10))
    state = track(log)
    assert (state.iteration, state.restarts, state.lost_iterations) == (50, 1, 90)


def test_lost_work_is_bounded_memory_even_when_it_is_far_back():
    log = (
        "".join(neox(i, total=10**6) for i in range(1, 9001))
        + "training ...\n"
        + "".join(neox(i) for i in range(2, 20))
    )
    state = track(log)
    assert (state.lost_iterations, state.iteration) == (8999, 19)
    assert state.lost_s == pytest.approx(8999 * 2.0, rel=0.01)


def test_times_on_the_lines_tell_how_long_it_was_down():
    log = "".join(
        megatron(i, 60.0, clock=f"2026-11-24 {10 + i // 60:02d}:{i % 60:02d}:00.000000") for i in range(1, 61)
    )
    log += "".join(
        megatron(i, 60.0, clock=f"2026-11-24 {13 + (i - 41) // 60:02d}:{(i - 41) % 60:02d}:00.0") for i in range(41, 81)
    )
    state = track(log)
    assert (state.restarts, state.lost_iterations, state.iteration) == (1, 20, 80)
    assert state.down_s == pytest.approx(2 * 3600 - 60)  # from 11:00 to 12:59, when iteration 41 began
    assert state.last_wall_s - state.first_wall_s == pytest.approx(3 * 3600 + 39 * 60 - 0, abs=61)


def test_a_log_cut_anywhere_gives_its_last_whole_record():
    log = ("noise\n" + "".join(neox(i, 12.3456) for i in range(10, 40, 10)) + "more noise\n").encode()
    complete = [(m.end(), int(m[1])) for m in re.finditer(rb"iteration +(\d+)/ *\d+ \|[^\n]*?\(ms\): [\d.]+ \|", log)]
    for cut in range(len(log) + 1):
        expected = [iteration for end, iteration in complete if end <= cut]
        assert track(log[:cut]).iteration == (expected[-1] if expected else 0)


def test_a_growing_log_is_read_as_a_whole_one():
    log = "".join(neox(i) if i % 3 else "words\n" for i in range(1, 300))
    whole = track(log)
    grown = track(log, pieces=range(0, len(log), 97))
    assert (grown.iteration, grown.records, grown.logged_s) == (
        whole.iteration,
        whole.records,
        pytest.approx(whole.logged_s),
    )


PIECES = st.one_of(
    st.builds(neox, st.integers(0, 99_999_999), st.floats(0.001, 999)),
    st.builds(neox, st.integers(10**8, 10**12), st.floats(0.001, 999), st.integers(10**8, 10**12)),
    st.builds(megatron, st.integers(1, 10**6), st.floats(0.001, 99)),
    st.text(max_size=30),
    st.sampled_from(["\n", " iteration 5/", "10 |", "(ms): 1.0 |", "\x1b[0m", "\0", "/", "("]),
    st.just("elapsed time per iteration (ms): 5.0 |"),
)  # fmt: skip
REFERENCE = re.compile(rb"iteration {1,10}(\d{1,15})/ {0,10}(\d{1,15}) \|")
ELAPSED = re.compile(rb"iteration \(ms\): {1,9}(\d+(?:\.\d*)?)(?: \||/)")


def reference(data: bytes) -> list[tuple[int, float]]:
    """The same by plain regular expressions, a line at a time."""
    rows = []
    for line in re.sub(rb"\x1b\[[0-9;?]*[ -/]*[@-~]", b"", data).split(b"\n"):
        used = -1
        for elapsed in ELAPSED.finditer(line):
            before = list(REFERENCE.finditer(line, 0, elapsed.start() + 10))
            if (
                before
                and before[-1].start() > used
                and float(elapsed[1]) > 0
                and elapsed.start() + 10 - before[-1].end(1) < 400
            ):
                rows.append((int(before[-1][1]), round(float(elapsed[1]) / 1e3, 4)))
                used = before[-1].start()
    return rows


@settings(max_examples=80)
@given(st.lists(PIECES, max_size=12), st.integers(0, 400))
def test_array_reading_finds_what_plain_reading_finds(pieces, distance):
    from planner.interop.log_lines import PAD, find_records

    data = "".join(pieces).encode("utf-8", "replace")
    clean = re.sub(rb"\x1b\[[0-9;?]*[ -/]*[@-~]", b"", data)
    text = np.frombuffer(b"\n" * PAD + clean + b"\n" * PAD, dtype=np.uint8)
    found = find_records(text, PAD, PAD + len(clean), distance)
    got = [(int(i), round(float(s), 4)) for i, s in zip(found.iteration, found.step_s, strict=True)]
    assert got == reference(clean)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=12), st.lists(st.integers(0, 3000), max_size=4))
def test_any_log_in_any_pieces_is_read_without_a_fault(pieces, cuts):
    data = "".join(pieces).encode("utf-8", "replace")
    state = track(data, batch_hint=8, pieces=[c for c in cuts if c <= len(data)])
    assert state.iteration >= 0
    assert np.isfinite(state.logged_s)


@settings(max_examples=80)
@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"step,time\n", b'{"step": 1, "time": 5}\n', b"iteration,step_time_s\n1,2\n"]),
)
def test_any_bytes_are_read_without_a_fault(data, head):
    state = track(head + data)
    assert state.records >= 0


def test_deepspeeds_pipeline_lines_are_read():
    lines = [
        f"[2026-11-24 12:00:{i:02d},000] [INFO] steps: {i} loss: 9.1 iter time (s): 3.275 samples/sec: 9.771\n"
        for i in range(10, 50)
    ]
    state = track("".join(lines))
    assert (state.iteration, state.records) == (49, 40)
    assert state.steady_step_s() == pytest.approx(3.275, rel=0.003)


def test_deepspeeds_rates_need_the_batch_and_use_it():
    line = (
        "epoch=0/micro_step={0}/global_step={0}, RunningAvgSamplesPerSec=6.1, CurrSamplesPerSec=8.0, MemAllocated=1GB\n"
    )
    log = "".join(line.format(i) for i in range(10, 60, 10))
    assert track(log).records == 0
    older = "".join(
        f"[INFO] [timer.py:189:stop] 0/{i}, SamplesPerSec=8.0, MemAllocated=1GB\n" for i in range(10, 60, 10)
    )
    for said in (log, older):
        state = track(said, batch_hint=32)
        assert (state.iteration, state.records) == (50, 5)
        assert state.steady_step_s() == pytest.approx(4.0, rel=0.003)


def test_deepspeeds_step_lines_are_timed_by_their_clock():
    line = (
        "[2026-11-24 12:{m:02d}:{s:02d},985] [INFO] [logging.py:96:log_dist] [Rank 0] step={i}, skipped=2, lr=[5e-05]\n"
    )
    log = "".join(line.format(i=i, m=i * 4 // 60, s=i * 4 % 60) for i in range(10, 210, 10))
    state = track(log, pieces=[700, 1500])
    assert (state.iteration, state.records) == (200, 19)  # the first line has none before it
    assert state.steady_step_s() == pytest.approx(4.0, rel=0.003)
    assert state.last_wall_s - state.first_wall_s == pytest.approx(800, abs=41)


def test_neox_lines_win_over_the_deepspeed_lines_beside_them():
    log = "".join(f"steps: {i} loss: 9.1 iter time (s): 9.000 samples/sec: 1.0\n" + neox(i) for i in range(10, 60, 10))
    assert track(log).steady_step_s() == pytest.approx(2.0, rel=0.003)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("step,step_time_s,loss", "{i},2.5,1.0"),
        ("\ufeffIteration,step_time_ms", "{i},2500"),
        ("# made by hand\nstep,timestamp", "{i},{t}"),
        ("step,time", "{i},2026-11-24T00:{m:02d}:{s:04.1f}"),
        ('loss,step,"step_time_s"', '"1,0",{i},2.5'),
    ],
)
def test_csv_logs_are_read_by_their_header(head, row):
    rows = [row.format(i=i, t=1e9 + 2.5 * i, m=int(2.5 * i) // 60, s=2.5 * i % 60) for i in range(1, 61)]
    state = track("\n".join([head, *rows]) + "\n")
    assert state.iteration == 60
    assert state.steady_step_s() == pytest.approx(2.5, rel=0.003)


def test_json_lines_are_read_and_bad_lines_are_counted_not_fatal():
    rows = [json.dumps({"_step": i, "runtime/iteration_time": 2.5, "_timestamp": 1e9 + i}) for i in range(1, 60)]
    rows[20:20] = ["{broken", "not json", '{"other": 1}', '{"_step": 1e400}', '{"_step": -3}', "[" * 1000]
    reader = LogReader()
    found = reader.feed(("\n".join(rows) + "\n").encode())
    assert sum(map(len, found)) == 59
    assert reader.rows_refused == 6


def test_a_cut_csv_row_does_not_count():
    log = "step,step_time_s\n1,2.5\n2,2.5\n3,25"
    assert track(log).iteration == 2


def test_long_lines_and_large_logs_stay_within_constant_memory(tmp_path):
    path = tmp_path / "big.log"
    block = "".join(neox(i, total=10**7) for i in range(1, 8)).encode()
    with path.open("wb") as file:
        file.write(b"x" * (3 * BLOCK) + b"\n")
        for _ in range(12):
            file.write(b"words of another rank\n" * (BLOCK // 22) + block)
    tracemalloc.start()
    state = TrackState()
    for _, records in read_log(path):
        state.add(records)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert state.iteration == 7
    assert path.stat().st_size > 12 * BLOCK
    assert peak < 6 * BLOCK


def test_a_log_that_cannot_be_read_is_said(tmp_path):
    with pytest.raises(PlannerError, match="there is no such file"):
        list(read_log(tmp_path / "none.log"))
    with pytest.raises(PlannerError, match="a folder, where a file is wanted"):
        list(read_log(tmp_path))


@given(
    st.lists(
        st.one_of(st.floats(0, 1e8).map(lambda v: f"{v:.1f}"), st.text("0123456789. |x", max_size=12)), max_size=20
    )
)
def test_times_are_read_in_a_word_as_they_are_by_character(cells):
    text = "".join(f"iteration (ms): {cell} |\n" for cell in cells).encode()
    data = np.frombuffer(b"\n" * log_lines.PAD + text + b"\n" * log_lines.PAD, dtype=np.uint8)
    words = np.ndarray((len(data) - 7,), dtype="<u8", buffer=data.data, strides=(1,))
    anchors = np.flatnonzero(data == ord("("))
    value, whole = log_lines._elapsed(data, words, anchors)
    slow, also = log_lines._elapsed_by_character(data, log_lines._past_spaces(data, anchors))
    assert whole.tolist() == also.tolist()
    assert value[whole] == pytest.approx(slow[whole])
