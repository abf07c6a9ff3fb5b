"""A log file into the state of its run: once, or for as long as it grows."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path

from planner.interop.log_forms import no_known_step
from planner.interop.log_records import Hint
from planner.interop.train_logs import LOGS, LogReader, blocks, read_log
from planner.reading import opened
from planner.results.plan import Plan
from planner.tracking.ramp import Course
from planner.tracking.state import TrackState
from planner.units import PlannerError


def track_log(
    path: Path, plan: Plan | None = None, heard: Callable[[int], None] | None = None, course: Course | None = None
) -> TrackState:
    """The state of the run whose log is `path`, as it is now.

    `heard` is told how many bytes have been read; `course` says how the batch grows.

    Raises
    ------
    PlannerError
        If the file cannot be read, or has lines and none of a known form.
    """
    state = TrackState(course)
    reset = False
    for reader, records in read_log(path, None, heard, hint=_hint(plan)):
        if reader.replaced and not reset:
            state, reset = TrackState(course), True
        state.add(records)
    return state


def follow_log(
    path: Path,
    plan: Plan | None = None,
    *,
    course: Course | None = None,
    interval_s: float = 1.0,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[TrackState]:
    """The state of a run each time its log has grown, and once at the beginning; it ends when the caller stops asking.

    A log that is cut short or replaced by another file of its name goes on as a new start of the same run.

    Raises
    ------
    PlannerError
        If the file cannot be read, or cannot be read any longer, or its lines look like steps of no known form.
    """
    hint = _hint(plan)
    state, first = TrackState(course), True
    reader = LogReader(hint.batch, seq_length=hint.seq_length, gpus=hint.gpus)
    stream = opened(path, LOGS)
    try:
        while True:
            before = reader.bytes_read
            grown = False
            for found in blocks(reader, stream, path):
                for records in found:
                    if reader.replaced:
                        state, reader.replaced = TrackState(state.course), False
                    state.add(records)
                    grown = True
            if not reader.knows and reader.bytes_read > before and (why := no_known_step(path, waits=True)):
                raise PlannerError(why)
            if grown or first:
                first = False
                yield state
            sleep(interval_s)
            fresh = _replaced(path, stream)
            if fresh is not None:
                for records in reader.feed(b"", end=True):
                    state.add(records)
                stream.close()
                stream = fresh
    finally:
        stream.close()


def _hint(plan: Plan | None) -> Hint:
    """What the plan says of a step, for logs that tell throughput alone."""
    return Hint() if plan is None else Hint(plan.global_batch, plan.seq_length, plan.gpus)


def _replaced(path: Path, stream: FileIO) -> FileIO | None:
    """The file anew if its name stands for another one now, or it has become shorter than what was read."""
    try:
        now, then = path.stat(), os.fstat(stream.fileno())
        if (now.st_ino, now.st_dev) != (then.st_ino, then.st_dev) or now.st_size < stream.tell():
            return opened(path, LOGS)
    except OSError:
        return None  # between two files: the next look will tell
    return None
