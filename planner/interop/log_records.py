"""What one record of a log tells, and the seconds of a step from records in their order.

Programs tell a step's time in many ways: as seconds, as a rate, as the time since the start, by a clock on the line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from planner.performance.arrays import BoolArray, FloatArray, IntArray

_COARSE_S = 20.0  # times since the start are printed in whole seconds: shorter differences say little
_UNITS = {"k": 1e3, "m": 1e6, "b": 1e9, "g": 1e9, "t": 1e12}
_CLOCK_TIME = re.compile(r"^(?:(\d{1,5}) days?,? )?(?:(\d{1,6}):)?(\d{1,4}):(\d{1,2}(?:\.\d{1,9})?)$")
_WORDS_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?) ?(d|h|m|s)(?:ays?|ours?|in|inutes?|ec|econds?)?\b")
_SECONDS_OF = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True, slots=True)
class Hint:
    """What a plan says of a step, for logs that tell throughput alone: sequences, tokens of each, GPUs."""

    batch: int | None = None
    seq_length: int | None = None
    gpus: int | None = None

    @property
    def tokens(self) -> int | None:
        """Tokens of a step."""
        return self.batch * self.seq_length if self.batch and self.seq_length else None

    @property
    def tokens_per_gpu(self) -> float | None:
        """Tokens of a step that one GPU stands for."""
        return self.tokens / self.gpus if self.tokens and self.gpus else None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What one record says; times in seconds, NaN or None where it does not say.

    `elapsed` is since the start of this run of the program, `clock` of any fixed origin; `micro` counts micro-batches,
    and `micro_s` is the time of one.
    """

    step: int
    seconds: float | None = None
    elapsed: float | None = None
    clock: float = math.nan
    mean_s: float | None = None  # of a step since the start: used where nothing tells more
    micro: int | None = None
    micro_s: float | None = None
    total: int | None = None
    batch: int | None = None
    loss: float | None = None
    label: bytes | None = None  # of the rank that says it
    restarted: bool = False  # `elapsed` counts from a later start than the record before's


@dataclass(frozen=True, slots=True)
class Rows:
    """Records with their step times; arrays of one shape (n,). wall_s is NaN where the log tells no time."""

    iteration: IntArray
    step_s: FloatArray
    wall_s: FloatArray
    total: int | None = None
    batch: int | None = None
    restart: BoolArray | None = None  # None: a number that does not grow is a new start
    loss: float | None = None


def rows_of(rows: Sequence[tuple[int, float, float]], **said: Any) -> Rows:
    """Records of step, seconds and clock; `said` is what else the log tells of them."""
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Rows(table[:, 0].astype(np.int64), table[:, 1], table[:, 2], **said)


@dataclass
class StepClock:
    """Records in order into rows: what repeats another rank's words is left out, and a fall is a new start.

    A fall of no more than two intervals, without words of a start before it, is a late line of another rank.
    """

    marked: bool = False  # the program said that it starts or resumes
    timed: bool = False  # a record told a step and its time
    seen: int = 0  # records that told a step
    _step: int = -1
    _interval: int = 1
    _clock: float = math.nan
    _elapsed: float | None = None
    _origin: tuple[int, float] | None = None  # step and elapsed of this start's first record
    _micro: int | None = None
    _label: bytes | None = None
    _restart: bool = True
    _rows: list[tuple[int, float, float, bool]] = field(default_factory=list)
    _stated: dict[str, float | None] = field(default_factory=dict)

    def take(self, entry: LogEntry) -> None:
        """One record more."""
        self.seen += 1
        step = entry.step
        fallen = step < self._step and (self.marked or self._step - step > 2 * self._interval)
        if self._step >= 0 and not fallen and not self.marked:
            other = entry.label is not None and self._label is not None and entry.label != self._label
            if step <= self._step or other:
                return
        if fallen or self.marked or self._step < 0:
            self._label, self._restart = entry.label, True  # no time runs from the start before to this one
            self._clock, self._elapsed, self._origin, self._micro = math.nan, None, None, None
            self._step = entry.step if self._step < 0 else min(self._step, entry.step - 1)
        if entry.restarted:
            self._elapsed = self._origin = None
        seconds = self._seconds(entry)
        self._restart = self._restart or self.marked
        if step > self._step >= 0:
            self._interval = step - self._step
        self._remember(entry)
        if seconds is None or not 0 < seconds < 1e7:
            return
        self.timed = True
        self._rows.append((step, seconds, entry.clock, self._restart))
        self._restart = False

    def rows(self) -> Rows:
        """The rows since the last call."""
        taken, self._rows = self._rows, []
        said, self._stated = self._stated, {}
        return rows_of(
            [(step, seconds, clock) for step, seconds, clock, _ in taken],
            total=count(said.get("total"), 1e15),
            batch=count(said.get("batch"), 1e9),
            restart=np.array([restart for *_, restart in taken], dtype=bool),
            loss=said.get("loss"),
        )

    def _remember(self, entry: LogEntry) -> None:
        self._step, self.marked = entry.step, False
        if math.isfinite(entry.clock):
            self._clock = entry.clock
        if entry.elapsed is not None:
            self._elapsed = entry.elapsed
            self._origin = self._origin or (entry.step, entry.elapsed)
        self._micro = entry.micro if entry.micro is not None else self._micro
        for name in ("total", "batch", "loss"):
            value = getattr(entry, name)
            if value is not None:
                self._stated[name] = value

    def _seconds(self, entry: LogEntry) -> float | None:
        """Seconds of a step: said, of its micro-batches, since the record before by either clock, or the mean."""
        if entry.seconds is not None:
            return entry.seconds
        steps = entry.step - self._step
        if entry.micro_s is not None:
            if entry.micro is None or self._micro is None or steps <= 0:
                return None
            return entry.micro_s * (entry.micro - self._micro) / steps
        by_elapsed = self._by_elapsed(entry, steps)
        if by_elapsed is not None:
            return by_elapsed
        if math.isfinite(entry.clock) and math.isfinite(self._clock) and steps > 0:
            return (entry.clock - self._clock) / steps
        return entry.mean_s

    def _by_elapsed(self, entry: LogEntry, steps: int) -> float | None:
        if entry.elapsed is None or self._elapsed is None or self._origin is None or steps <= 0:
            return None
        if entry.elapsed < self._elapsed:  # a new epoch's bar counts anew
            self._origin = (entry.step, entry.elapsed)
            return entry.mean_s
        since = entry.elapsed - self._elapsed
        if since >= _COARSE_S or not float(entry.elapsed).is_integer():
            return since / steps
        if entry.mean_s is not None:
            return entry.mean_s
        step, elapsed = self._origin
        return (entry.elapsed - elapsed) / (entry.step - step) if entry.step > step else None


def count(number: float | None, most: float) -> int | None:
    """A number as a count above zero and below `most`; None for any other."""
    return int(number) if number and 0 < number < most else None


def number(value: object) -> float | None:
    """A finite number; thousands may have commas, and K, M, B, G or T may follow. None for anything else."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    factor = 1.0
    if isinstance(value, str):
        text = value.strip().replace(",", "").rstrip("%")
        if text[-1:].lower() in _UNITS:
            factor, text = _UNITS[text[-1:].lower()], text[:-1]
        value = text
    if not isinstance(value, int | float | str):
        return None
    try:
        found = float(value) * factor
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def duration(value: object) -> float | None:
    """Seconds of a number, of h:mm:ss or mm:ss, or of words such as "1h 2m 3s" and "1 day, 0:10:00"."""
    plain = number(value) if not isinstance(value, str) or ":" not in value else None
    if plain is not None and not (isinstance(value, str) and value.strip()[-1:].isalpha()):
        return plain
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    if not isinstance(value, str):
        return None
    text = value.strip()
    clock = _CLOCK_TIME.match(text)
    if clock is not None:
        days, hours, minutes, seconds = (float(part or 0) for part in clock.groups())
        return days * 86400 + hours * 3600 + minutes * 60 + seconds
    parts = _WORDS_TIME.findall(text[:80])
    return sum(float(amount) * _SECONDS_OF[unit] for amount, unit in parts) if parts else None


def moment(value: object) -> float:
    """Seconds of a fixed origin: of a number since 1970 (in seconds or milliseconds) or of an ISO date; NaN if none."""
    plain = number(value)
    if plain is not None:
        return plain / 1e3 if plain > 1e11 else plain
    if not isinstance(value, str):
        return math.nan
    return date_seconds(value.replace("/", "-"))


def date_seconds(text: str) -> float:
    """Seconds since 1970 of an ISO date, in UTC where it has no zone; NaN if it is none."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return math.nan
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def of_total(value: object) -> tuple[float | None, float | None]:
    """N and M of "N/M", or a number and None."""
    if isinstance(value, str) and value.count("/") == 1:
        first, second = value.split("/")
        return number(first), number(second)
    return number(value), None


def rate_seconds(hint: Hint, get: Callable[[str], float | None]) -> float | None:
    """Seconds of a step from a throughput: of steps, of sequences or tokens in all, or of tokens a GPU.

    All but the first need the plan's batch. `get` finds a number by the name of its kind.
    """
    for kind, amount in (
        ("steps_per_s", 1.0),
        ("samples_per_s", hint.batch),
        ("tokens_per_s", hint.tokens),
        ("tokens_per_s_gpu", hint.tokens_per_gpu),
    ):
        rate = get(kind)
        if rate and rate > 0 and amount:
            return amount / rate
    return None
