"""Training logs as a stream of records, in constant memory: GPT-NeoX, Megatron-LM, DeepSpeed, CSV and JSON lines.

A log may hold several starts of one run, lines of several ranks, ANSI colours, and anything in between; it may be cut
anywhere, and be still growing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import RawIOBase
from pathlib import Path

import numpy as np

from planner.interop.log_forms import MARKS, no_known_step
from planner.interop.log_lines import PAD, REACH, find_records
from planner.interop.log_records import Hint, Rows
from planner.interop.log_steps import StepLines, label_of
from planner.interop.log_tables import DeepSpeedLines, LogTable, open_table
from planner.interop.log_trainer_state import trainer_state_lines
from planner.performance.arrays import BoolArray, IntArray
from planner.reading import fault, opened
from planner.tracking.state import Records
from planner.units import PlannerError
from planner.words import say

BLOCK = 2 << 20
LOGS = (".log", ".txt", ".csv", ".jsonl")
_LONGEST_LINE = 64 << 20
_CARRY = 64 << 10  # of a line that does not end; what is further back is given up
_ANSI = re.compile(rb"\x1b(?:\[[0-9;?]{0,32}[ -/]{0,4}[@-~]|\][^\x07\x1b\n]{0,256}(?:\x07|\x1b\\)|[@-Z\\^_])")
_TIME = re.compile(rb"(20\d\d)-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,6}))?")
_SAMPLES_PER_S = re.compile(rb"samples/sec: {0,20}(\d{1,12}(?:\.\d{1,9})?)")
_BATCH = re.compile(rb"global batch size: {0,20}(\d{1,12})")
_CONSUMED = re.compile(rb"consumed samples: {0,20}(\d{1,15}) ")
_TFLOPS = re.compile(
    rb"(?:approx flops per GPU: {0,20}(\d{1,6}(?:\.\d+)?)TFLOPS|TFLOP/s/GPU\): {0,20}(\d{1,6}(?:\.\d+)?))"
)
_START_BYTES = 1024  # from one record to the next, when a start lies between
_MOST_CLOCKS = 256  # times looked for in one block
_FAR = 64 << 10  # bytes between records that are always looked into


@dataclass
class LogReader:
    """Turns blocks of a log into records; what it remembers between blocks does not grow.

    `dialect` is found from the log itself: neox (GPT-NeoX and Megatron-LM), deepspeed, or table (CSV, JSON lines).
    """

    batch_hint: int | None = None  # sequences an iteration, for logs that tell throughput alone
    dialect: str = ""
    bytes_read: int = 0
    rows_refused: int = 0
    unended: int = 0  # bytes since the last line ended
    replaced: bool = False  # the records so far were of a lesser dialect: forget them
    _buffer: bytearray = field(default_factory=lambda: bytearray(b"\n") * (PAD + _CARRY + BLOCK + PAD))
    _held: int = 0  # bytes of a line that has not ended, after PAD
    _table: LogTable | None = None
    _deepspeed: DeepSpeedLines | None = None
    seq_length: int | None = None  # of the plan, for logs that tell tokens a second alone
    gpus: int | None = None
    _steps: StepLines | None = None
    _last: int = -1  # iteration of the newest record; -1: none yet
    _interval: int = 1
    _marked: bool = True
    _label: bytes | None = None
    _distance: int = 0

    @property
    def knows(self) -> bool:
        """Whether a line of a known form was read, though it may not have told a step's time yet."""
        if self._table is not None:
            return self._table.timed or not self._table.seen
        if self._steps is not None and self._steps.kind:  # a first record's time may be the next one's to tell
            return self._steps.clock.timed or self._steps.clock.seen < 2
        return self._last >= 0 or (self._deepspeed is not None and bool(self._deepspeed.kind))

    def feed(self, block: bytes, *, end: bool = False) -> list[Records]:
        """The records that `block` completes; with `end` also those of a last line without its end."""
        found: list[Records] = []
        for at in range(0, len(block), BLOCK):
            piece = block[at : at + BLOCK]
            self._buffer[PAD + self._held : PAD + self._held + len(piece)] = piece
            found.append(self._take(len(piece)))
        if end:
            found.append(self._take(0, end=True))
            if self._steps is not None and self.dialect in ("", "lines"):
                rest = self._steps.rows(b"", end=True)
                found.append(self._of_lines(rest) if len(rest.iteration) else _nothing())
        return [records for records in found if len(records)]

    def read_from(self, stream: RawIOBase) -> list[Records] | None:
        """The records of the stream's next block, read in place; None at its end."""
        with memoryview(self._buffer) as view:
            count = stream.readinto(view[PAD + self._held : PAD + self._held + BLOCK])
        if not count:
            return None
        records = self._take(count)
        return [records] if len(records) else []

    def _take(self, count: int, *, end: bool = False) -> Records:
        """Read the `count` new bytes behind those that are held; what ends no line is held on."""
        self.bytes_read += count
        stop = PAD + self._held + count
        self._buffer[stop : stop + PAD] = b"\n" * PAD
        cut = stop if end else self._buffer.rfind(b"\n", PAD, stop) + 1
        if cut == 0:  # a line without end: keep no more than a record could begin in
            cut = stop - _CARRY // 2 if stop - PAD > _CARRY // 2 else PAD
            self.unended += count if self._buffer.find(b"\r", PAD, stop) < 0 else -self.unended
        else:
            self.unended = 0
        records = self._read(PAD, cut, end) if cut > PAD else _nothing()
        self._held = min(stop - cut, _CARRY)
        self._buffer[PAD : PAD + self._held] = self._buffer[stop - self._held : stop]
        return records

    def _read(self, begin: int, end: int, last: bool) -> Records:
        data = self._buffer
        if data.find(b"\x1b", begin, end) >= 0:
            clean = _ANSI.sub(b"", data[begin:end])
            data = bytearray(b"\n" * PAD + clean + b"\n" * PAD)
            begin, end = PAD, PAD + len(clean)
        if not self.dialect:
            self._table = open_table(bytes(data[begin : min(end, begin + _CARRY)]))
            self.dialect = "table" if self._table is not None else ""
        if self._table is not None:
            rows = self._table.rows(bytes(data[begin:end]), whole=not last)
            self.rows_refused = self._table.refused
            return self._resumed(rows)
        if data.find(b"iteration (ms)", begin, end) >= 0:
            return self._neox(data, begin, end)
        self._marked = self._marked or self._mark_in(data, begin, end)
        if self.dialect not in ("neox", "deepspeed"):
            self._steps = self._steps or StepLines(Hint(self.batch_hint, self.seq_length, self.gpus))
            self._steps.clock.marked = self._steps.clock.marked or self._marked
            found = self._steps.rows(bytes(data[begin:end]), end=last)
            self._marked = False if self._steps.kind else self._marked
            if len(found.iteration):
                self.dialect = "lines"
                return self._of_lines(found)
            if self._steps.kind:
                return _nothing()
        if self.dialect != "neox":
            self._deepspeed = self._deepspeed or DeepSpeedLines(self.batch_hint)
            rows = self._deepspeed.rows(bytes(data[begin:end]))
            if len(rows.iteration):
                self.dialect = "deepspeed"
                return self._resumed(rows)
        return _nothing()

    def _neox(self, data: bytearray, begin: int, end: int) -> Records:
        found = find_records(np.frombuffer(data, dtype=np.uint8), begin, end, self._distance)
        self._distance = found.distance
        if not len(found.iteration):
            self._marked = self._marked or self._mark_in(data, begin, end)
            return _nothing()
        if self.dialect in ("deepspeed", "lines"):  # GPT-NeoX prints DeepSpeed's lines too, and its own may come later
            self.replaced, self._last, self._marked = True, -1, True
        self.dialect = "neox"
        keep, restart = self._order(data, begin, end, found.position, found.iteration)
        if not keep.any():
            return _nothing()
        position, steps, restart = found.position[keep], found.step_s[keep], restart[keep]
        wall = np.full(len(position), np.nan)
        edges = {0, len(position) - 1} | set(np.flatnonzero(restart).tolist())
        edges |= {i - 1 for i in edges if i > 0}
        for i in sorted(edges)[:_MOST_CLOCKS]:
            wall[i] = _time_before(data, begin, int(position[i]))
        last = _line(data, begin, end, int(position[-1]))
        consumed = _first_number(_CONSUMED, last)
        return Records(
            found.iteration[keep],
            steps,
            wall,
            restart,
            total=int(found.total[keep][-1]),
            batch=_batch_of(last, float(steps[-1])),
            tflops=_first_number(_TFLOPS, last),
            samples=None if consumed is None else int(consumed),
        )

    def _order(
        self, data: bytearray, begin: int, end: int, position: IntArray, iteration: IntArray
    ) -> tuple[BoolArray, BoolArray]:
        """Which records count (the others repeat what another rank said), and which begin a new start."""
        n = len(iteration)
        steps = np.diff(iteration, prepend=self._last)
        first = self._last < 0
        # A young log is looked into as a whole: its starts may lie close together.
        if bool((steps > 0).all()) and not (first and self._mark_in(data, int(position[0]), int(position[-1]))):
            if first:
                self._label, self._marked = label_of(_line(data, begin, end, int(position[0]))), True
            if n > 1:
                self._interval = max(1, int(np.median(steps[1:])))
            restart = np.zeros(n, dtype=bool)
            before = np.concatenate([[begin], position[:-1]])
            gap = position - before
            unusual = (gap > _FAR) | ((gap > _START_BYTES) & (gap > 4 * np.median(gap))) | (before == begin)
            for i in np.flatnonzero(unusual):
                restart[i] = self._mark_in(data, int(before[i]), int(position[i]))
            restart[0] |= self._marked
            self._last = int(iteration[-1])
            self._marked = self._mark_in(data, int(position[-1]), end)
            return np.ones(n, dtype=bool), restart
        return self._order_one_by_one(data, begin, end, position, iteration)

    def _order_one_by_one(
        self, data: bytearray, begin: int, end: int, position: IntArray, iteration: IntArray
    ) -> tuple[BoolArray, BoolArray]:
        """The same where numbers repeat or fall: a resumed run, or ranks that say one thing several times.

        A fall is a new start if the program said so since the record before, or if it is further than a late line of
        another rank could be.
        """
        n = len(iteration)
        keep, restart = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        previous = begin
        for i, (number, at) in enumerate(zip(iteration.tolist(), position.tolist(), strict=True)):
            first = self._last < 0
            label = label_of(_line(data, begin, end, at))
            marked = self._marked or self._mark_in(data, previous, at)
            if first or marked:
                self._label = label
            elif label is not None and self._label is not None and label != self._label:
                continue
            restart[i] = marked or number <= self._last and self._last - number > 2 * self._interval
            keep[i] = first or number > self._last or restart[i]
            restart[i] |= first
            if keep[i]:
                self._interval = max(1, number - self._last) if number > self._last >= 0 else self._interval
                self._last, self._marked = number, False
            previous = at
        self._marked = self._marked or self._mark_in(data, int(position[-1]), end)
        return keep, restart

    def _of_lines(self, rows: Rows) -> Records:
        """Records of the lines of another program, whose starts and repetitions are sorted out already."""
        self._last = int(rows.iteration[-1])
        restart = rows.restart if rows.restart is not None else np.zeros(len(rows.iteration), dtype=bool)
        return Records(rows.iteration, rows.step_s, rows.wall_s, restart, rows.total, rows.batch)

    @staticmethod
    def _mark_in(data: bytearray, begin: int, end: int) -> bool:
        return any(data.find(mark, begin, end) >= 0 for mark in MARKS)

    def _resumed(self, rows: Rows) -> Records:
        """Records of a log that no two ranks write: a number that does not grow is a new start."""
        if not len(rows.iteration):
            return _nothing()
        restart = np.diff(rows.iteration, prepend=self._last) <= 0
        restart[0] = restart[0] or self._last < 0
        self._last = int(rows.iteration[-1])
        return Records(rows.iteration, rows.step_s, rows.wall_s, restart, rows.total, rows.batch)


def read_log(
    path: Path,
    batch_hint: int | None = None,
    progress: Callable[[int], None] | None = None,
    *,
    hint: Hint | None = None,
) -> Iterator[tuple[LogReader, Records]]:
    """The records of a log file as it is now, block by block; `progress` hears how many bytes were read.

    Raises
    ------
    PlannerError
        If the file cannot be read, or has lines and none of a known form.
    """
    hint = hint or Hint(batch_hint)
    reader = LogReader(hint.batch, seq_length=hint.seq_length, gpus=hint.gpus)
    state = trainer_state_lines(Path(path))
    if state is not None:
        for records in reader.feed(state, end=True):
            yield reader, records
        return
    try:
        with opened(Path(path), LOGS) as stream:
            for found in blocks(reader, stream, Path(path)):
                for records in found:
                    yield reader, records
                if progress is not None:
                    progress(reader.bytes_read)
            for records in reader.feed(b"", end=True):
                yield reader, records
        if not reader.knows and (why := no_known_step(Path(path))):
            raise PlannerError(why)
    except OSError as error:
        raise fault(path, say("train_logs.unreadable", why=error.strerror)) from None


def blocks(reader: LogReader, stream: RawIOBase, path: Path) -> Iterator[list[Records]]:
    """The records of a stream, block by block to its end.

    Raises
    ------
    PlannerError
        If it has no lines, so that it might never end.
    """
    while (found := reader.read_from(stream)) is not None:
        if reader.unended > _LONGEST_LINE:
            raise fault(path, say("train_logs.no_line_ends", size=_LONGEST_LINE >> 20))
        yield found


def _nothing() -> Records:
    empty = np.zeros(0, dtype=np.int64)
    return Records(empty, np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool))


def seconds_of(text: re.Match[bytes]) -> float:
    """Seconds of the time that `_TIME` matched, NaN if there is no such time; of no zone, so only differences count."""
    year, month, day, hour, minute, second = (int(text[i]) for i in range(1, 7))
    try:
        moment = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return float("nan")
    return moment.timestamp() + float(f"0.{(text[7] or b'0').decode()}")


def _time_before(data: bytearray, begin: int, at: int) -> float:
    """The time on the line of `at`, or the last one said within 16 kB before it; NaN if there is none."""
    start = max(data.rfind(b"\n", begin, at) + 1, begin, at - 2 * REACH)
    own = _TIME.search(data, start, at)
    if own is not None:
        return seconds_of(own)
    said = list(_TIME.finditer(data, max(begin, at - (16 << 10)), at))
    return seconds_of(said[-1]) if said else float("nan")


def _line(data: bytearray, begin: int, end: int, at: int) -> bytes:
    start = max(data.rfind(b"\n", begin, at) + 1, begin, at - 2 * REACH)
    stop = data.find(b"\n", at, min(end, at + 4 * REACH))
    return bytes(data[start : stop if stop >= 0 else min(end, at + 4 * REACH)])


def _batch_of(line: bytes, step_s: float) -> int | None:
    stated = _first_number(_BATCH, line)
    if stated is not None:
        return int(stated)
    rate = _first_number(_SAMPLES_PER_S, line)
    batch = round(rate * step_s) if rate else 0
    return batch if 0 < batch < 10**9 else None


def _first_number(pattern: re.Pattern[bytes], line: bytes) -> float | None:
    found = pattern.search(line)
    if found is None:
        return None
    return float(next(group for group in found.groups() if group is not None))
