"""Logs that are tables, CSV with a header or JSON lines, and DeepSpeed's own lines."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from planner.interop import log_names
from planner.interop.log_names import BATCH_NAMES, MILLISECONDS_NAMES, TOTAL_NAMES
from planner.interop.log_records import Rows, count, date_seconds, rows_of

# Of what tells a step elsewhere, what a column of numbers can be; "seconds" alone may be those since the start.
STEP_NAMES = tuple(
    name for name in log_names.STEP_NAMES if "/max_steps" not in name and not name.startswith("current_")
)
SECONDS_NAMES = tuple(name for name in log_names.SECONDS_NAMES if name != "seconds")
CLOCK_NAMES = (
    "timestamp", "_timestamp", "time", "wall_time", "date", "datetime", "walltime", "_runtime",
    "relative time (process)", "relative time (wall)",
)  # fmt: skip
_LONGEST = 1 << 16  # bytes of a line that is looked at
_PIPE = re.compile(rb"steps: {0,8}(\d{1,15}) [^\n]{0,200}?iter time \(s\): {0,8}(\d{1,9}\.\d{1,9})[ ,]")
_RATE = re.compile(
    rb"(?:global_step=|\] {1,4}\d{1,9}/)(\d{1,15}),[^\n]{0,200}?(?:Curr| )SamplesPerSec=(\d{1,12}(?:\.\d{1,18})?),"
)
_STEP = re.compile(rb"\[(20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d)[^\n\]]{0,12}\][^\n]{0,120}?\bstep=(\d{1,15}), skipped=")
_TIME = re.compile(rb"(20\d\d)-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)")


@dataclass
class LogTable:
    """A CSV or JSON-lines log: which columns tell what, and the last row's clock."""

    header: tuple[str, ...] = ()  # CSV; empty for JSON lines
    refused: int = 0  # lines that were no row
    started: bool = False
    seen: bool = False  # a row
    timed: bool = False  # a row that told a step and its time
    _clock: float = float("nan")
    _step: int = 0
    _columns: dict[str, str | None] = field(default_factory=dict)

    def rows(self, data: bytes, *, whole: bool = True) -> Rows:
        """The rows of some whole lines; with `whole` false a last line without its end is left out unless it parses."""
        rows: list[tuple[int, float, float]] = []
        total = batch = None
        for row in self._mappings(data, whole):
            self.seen = True
            number = _number(self._get(row, "step", STEP_NAMES))
            if number is None or not 0 < number < 1e15:
                self.refused += 1
                continue
            clock = _clock(self._get(row, "clock", CLOCK_NAMES))
            step_s = self._seconds(row, int(number), clock)
            self.timed = self.timed or step_s is not None or math.isfinite(clock)
            if math.isfinite(clock):
                self._clock = clock
            advanced, self._step = int(number) > self._step, int(number)
            if step_s is None or not advanced and rows and rows[-1][0] == int(number):
                continue
            rows.append((int(number), step_s, clock))
            total = _number(self._get(row, "total", TOTAL_NAMES)) or total
            batch = _number(self._get(row, "batch", BATCH_NAMES)) or batch
        return rows_of(rows, total=count(total, 1e15), batch=count(batch, 1e9))

    def _seconds(self, row: Mapping[str, object], number: int, clock: float) -> float | None:
        """Seconds of a step: a column that tells it, or the time since the row before."""
        seconds = _number(self._get(row, "seconds", SECONDS_NAMES))
        milliseconds = _number(self._get(row, "milliseconds", MILLISECONDS_NAMES)) if seconds is None else None
        if milliseconds is not None:
            seconds = milliseconds / 1e3
        if seconds is None and math.isfinite(clock) and math.isfinite(self._clock) and number > self._step:
            seconds = (clock - self._clock) / (number - self._step)
        return seconds if seconds is not None and 0 < seconds < 1e7 else None

    def _get(self, row: Mapping[str, object], what: str, names: tuple[str, ...]) -> object:
        known = self._columns.get(what)
        if known is not None and known in row:
            return row[known]
        for name in names:
            if name in row:
                self._columns[what] = name
                return row[name]
        return None

    def _mappings(self, data: bytes, whole: bool) -> Iterator[Mapping[str, object]]:
        if self.header:
            yield from self._csv(data, whole)
            return
        for line in io.BytesIO(data):
            row = _json_object(line)
            if row is not None:
                yield row
            elif line.strip():
                self.refused += 1

    def _csv(self, data: bytes, whole: bool) -> Iterator[Mapping[str, object]]:
        for raw in io.BytesIO(data):
            line = raw[:_LONGEST].decode("utf-8", "replace").replace("\0", "").rstrip("\r\n")
            if not line.strip() or not (whole or raw.endswith(b"\n")):
                continue  # a cut last line may end within a number
            try:
                cells = next(csv.reader([line]), [])
            except csv.Error:
                cells = []
            if not self.started:
                self.started = True
                continue
            if len(cells) != len(self.header):
                self.refused += 1
                continue
            yield dict(zip(self.header, cells, strict=True))


def open_table(data: bytes) -> LogTable | None:
    """The table that a log's first lines begin, or None if they are no header and no JSON object with a step."""
    for raw in data[:_LONGEST].lstrip(b"\xef\xbb\xbf").split(b"\n")[:50]:
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        row = _json_object(line)
        if row is not None:
            return LogTable() if _tells(tuple(row)) else None
        try:
            cells = [cell.strip() for cell in next(csv.reader([line.decode("utf-8", "replace").replace("\0", "")]), [])]
        except csv.Error:
            return None
        lowered = _header(cells)
        return LogTable(lowered) if _tells(lowered) else None
    return None


def _tells(names: tuple[str, ...]) -> bool:
    """Whether columns of these names tell a step and its time."""
    timed = any(name in names for name in (*SECONDS_NAMES, *MILLISECONDS_NAMES, *CLOCK_NAMES))
    return timed and any(name in names for name in STEP_NAMES)


def _header(cells: list[str]) -> tuple[str, ...]:
    """Names of columns in small letters; of what wandb's charts export, `RUN - NAME`, the first run's without it.

    Its `__MIN` and `__MAX` columns beside each, and those of other runs, keep names that nothing asks for.
    """
    names: list[str] = []
    for cell in (cell.lower() for cell in cells):
        own = cell.rsplit(" - ", 1)[-1]
        names.append(cell if own in names or own.endswith(("__min", "__max")) else own)
    return tuple(names)


@dataclass
class DeepSpeedLines:
    """DeepSpeed's own lines. The kind that a log has first, in this order, is the one that counts.

    - `steps: N … iter time (s): T` of the pipeline engine tells the step;
    - `…global_step=N, … CurrSamplesPerSec=R` (older: `E/N, SamplesPerSec=R`) tells it with the batch;
    - `[TIME] … step=N, skipped=…` tells it by the clock, from one such line to the next.
    """

    batch: int | None = None  # sequences an iteration
    kind: str = ""
    _step: int = 0
    _clock: float = float("nan")

    def rows(self, data: bytes) -> Rows:
        """The rows of some whole lines, in order; a line that repeats the step before it says nothing new."""
        if not self.kind:
            self.kind = self._kind_of(data)
        rows: list[tuple[int, float, float]] = []
        for step, seconds, clock in self._found(data):
            if step != self._step and 0 < seconds < 1e7:
                rows.append((step, seconds, clock))
            self._step, self._clock = step, clock
        return rows_of(rows)

    def _kind_of(self, data: bytes) -> str:
        if b"iter time (s)" in data and _PIPE.search(data):
            return "pipeline"
        if self.batch and b"SamplesPerSec=" in data and _RATE.search(data):
            return "rate"
        return "clock" if b"step=" in data and _STEP.search(data) else ""

    def _found(self, data: bytes) -> Iterator[tuple[int, float, float]]:
        if self.kind == "pipeline":
            for found in _PIPE.finditer(data):
                yield int(found[1]), float(found[2]), _line_time(data, found.start())
        elif self.kind == "rate" and self.batch:
            for found in _RATE.finditer(data):
                rate = float(found[2])
                yield int(found[1]), self.batch / rate if rate > 0 else math.nan, _line_time(data, found.start())
        elif self.kind == "clock":
            for found in _STEP.finditer(data):
                step, clock = int(found[2]), date_seconds(found[1].decode())
                yield step, (clock - self._clock) / (step - self._step) if step > self._step else math.nan, clock


def _line_time(data: bytes, at: int) -> float:
    found = _TIME.search(data, max(data.rfind(b"\n", 0, at) + 1, at - 512), at)
    return float("nan") if found is None else date_seconds(found[0].decode())


def _json_object(line: bytes) -> Mapping[str, object] | None:
    text = line.strip()
    if not text.startswith(b"{") or len(text) > _LONGEST:
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return {str(key).lower(): value for key, value in row.items()} if isinstance(row, dict) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _clock(value: object) -> float:
    number = _number(value)
    if number is not None:
        return number / 1e3 if number > 1e11 else number  # milliseconds since 1970
    return date_seconds(value) if isinstance(value, str) else float("nan")
