"""Lines of training programs, in the order of a log, into records: forms of tables/logs.toml, dictionaries, and bars.

A form is told by a word that each of its lines has, and read by one pattern for the step and one for each other fact.

A progress bar tells a step and the time since the start; it counts where it has a loss with it, or where a dictionary
with a loss follows it, as the trainers of Hugging Face print one.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache

from planner.interop.key_kinds import table_of_keys
from planner.interop.log_names import Names
from planner.interop.log_records import Hint, LogEntry, Rows, StepClock, duration, moment, number, rate_seconds

_LONGEST = 1 << 14  # bytes of a line that are looked at
_BLOCK = 1 << 15  # bytes of the lines that belong to one record
_ENDS = re.compile(rb"[\r\n]+|\^M")  # a carriage return, also as an editor shows it
_CLOCK = re.compile(
    rb"(20\d\d)[-/](\d\d)[-/](\d\d)[ T](\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)|(\d\d)/(\d\d)/(20\d\d) (\d\d:\d\d:\d\d)"
)
_LABEL = re.compile(rb"^\W{0,3}(?:rank|default|node|worker|host)?[ _-]{0,2}(\d{1,6})(?:\]|: )", re.IGNORECASE)
_DICTIONARY = re.compile(rb"\{ ?['\"][^{}]{1,4000}(?:\{[^{}]{0,2000}\}[^{}]{0,4000}){0,4}\}")
_BAR = re.compile(
    rb"(?:^|[|\s:])(\d{1,15})/(\d{1,15}) \[((?:\d{1,5}:)?\d{1,4}:\d\d)<[^,\]\r\n]{1,20}, {0,2}[^\]\r\n]{0,400}\]?"
)
_EPOCH = re.compile(rb"\bEpoch:? (\d{1,9})(?:/(\d{1,9}))?\b[^\r\n]{0,8}")
_BAR_LOSS = re.compile(rb"loss[=: ]{1,3}(-?\d{1,12}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)", re.IGNORECASE)
_KNOWN_LOSSES = ("loss", "lm loss", "train_loss")

_N = r"(\d[\d,]{0,17}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?[KMBGT]?)"
#: `step N`, `iteration: N/M`, `Iter(train) [N/M]`, on a line that is of no evaluation.
_ANY_STEP = (
    r"^(?![^\r\n]{0,300}?\b(?:val|valid|validation|eval|evaluation)\b)[^\r\n]{0,200}?"
    r"\b(?:global[ _])?(?:step|iter|iteration)s?\b[ :=#\[]{0,12}(\d{1,15})(?: ?/ {0,8}(\d{1,15}))?(?![\d.])"
)
_LOSS = r"[ \t,|'\"]{0,3}[=:]?[ \t'\"]{0,10}(-?\d{1,12}(?:\.\d{1,18})?(?:[eE][+-]?\d{1,3})?)"


@dataclass(frozen=True, slots=True)
class Form:
    """How one program's line tells a step.

    `step` has the step in its first group and, where it has a second, the last step of the run. `facts` are patterns of
    one number each, by what it is: seconds, ms, elapsed, micro, micro_ms, steps_per_s, samples_per_s, tokens_per_s,
    tokens_per_s_gpu, batch, loss; epoch (from one) and epoch_zero, of which each counts its steps anew; and global_step
    (from zero), beside which `step` may count micro-batches. With `zero`, steps are counted from
    zero, or, where it is None, from zero if the first one is; with `block`, the lines after it that begin with a space
    belong to it.
    """

    name: str
    shown: str
    needle: bytes
    step: re.Pattern[bytes]
    facts: Mapping[str, re.Pattern[bytes]] = field(default_factory=dict)
    zero: bool | None = False
    block: bool = False


@cache
def forms() -> tuple[Form, ...]:
    """The forms of tables/logs.toml, in its order."""
    words = {"<n>": _N, "<loss>": _LOSS, "<any step>": _ANY_STEP}

    def pattern(text: str) -> re.Pattern[bytes]:
        return re.compile(re.sub("|".join(words), lambda found: words[found[0]], text).encode())

    found: list[Form] = []
    for row in table_of_keys("logs")["form"]:
        facts = {key: pattern(text) for key, text in row.items() if key not in Form.__slots__}
        zero = row.get("zero", False)
        zero = None if zero == "as the first" else zero
        needle, step = row["needle"].encode(), pattern(row["step"])
        found.append(Form(row["name"], row["shown"], needle, step, facts, zero, row.get("block", False)))
    return tuple(found)


@dataclass
class StepLines:
    """The records of one log's lines; the kind that the log has first counts, and the others are left out."""

    hint: Hint = field(default_factory=Hint)
    kind: str = ""  # a form's name, dictionaries or bars
    clock: StepClock = field(default_factory=StepClock)
    _form: Form | None = None
    _names: Names = field(default_factory=Names)
    _open: bytes = b""  # the record whose lines are still being read
    _bar: tuple[int, int, float] | None = None  # step, steps in all, seconds since the start
    _bars_total: int = 0
    _from_zero: bool | None = None  # None: no step was seen yet
    _epoch_zero: bool = False  # an "epoch 0/M" was seen
    _epoch: int = -1  # whose bar was read last

    def rows(self, data: bytes, *, end: bool = False) -> Rows:
        """The records of some whole lines; with `end`, also the last one, whose lines end with the log."""
        if not self.kind and not self._find_kind(data):
            return self.clock.rows()
        if self._form is not None:
            if self._form.needle in data or self._open:
                self._by_form(data, self._form, end)
        elif self.kind == "dictionaries":
            for line in _lines(data):
                row = _dictionary(line) if b"{" in line else None
                entry = self._entry(row, line) if row is not None else None
                if entry is not None:
                    self.clock.take(replace(entry, step=self._counted(entry.step, None)))
        else:
            self._by_bars(data)
        return self.clock.rows()

    def _find_kind(self, data: bytes) -> bool:
        """Which form the log has: the first of the list that a line of it is of."""
        for form in forms():
            at = data.find(form.needle)
            tried = 0
            while at >= 0 and tried < 200:
                begin = max(data.rfind(b"\n", 0, at), data.rfind(b"\r", 0, at)) + 1
                line = data[begin : begin + _LONGEST].split(b"\n", 1)[0].split(b"\r", 1)[0]
                found = form.step.search(line)
                # A line tells a time by itself, by its clock, or by a rate that the plan's batch turns to one.
                times = (pattern for name, pattern in form.facts.items() if name not in _NO_TIME)
                if found is not None and (form.block or any(pattern.search(line) for pattern in times)):
                    self.kind, self._form = form.name, form
                    return True
                at, tried = data.find(form.needle, at + len(form.needle)), tried + 1
        for line in _lines(data):
            if b"oss" not in line:  # "loss" or "Loss"
                self._note_bar(line)
                continue
            row = _dictionary(line)
            if row is not None and self._entry(row, line) is not None:
                self.kind = "dictionaries"
                return True
            if row is not None:  # a bar may stand before it on its line
                self._note_bar(line)
            if self._is_loss(row) and self._bar is not None or self._entry_of_bar(line) is not None:
                self.kind = "bars"
                return True
        return False

    def _by_form(self, data: bytes, form: Form, end: bool) -> None:
        for line in _lines(data):
            found = form.step.search(line) if form.needle in line else None
            if found is None:
                if self._open and line[:1] in b" \t" and len(self._open) < _BLOCK:
                    self._open += b"\n" + line
                elif self._open:
                    self._close(form)
                continue
            if self._open:
                self._close(form)
            self._open = line
            if not form.block:
                self._close(form)
        if end and self._open:
            self._close(form)

    def _close(self, form: Form) -> None:
        text, self._open = self._open, b""
        found = form.step.search(text)
        step = number(found[1]) if found is not None else None
        if found is None or step is None:
            return
        facts: dict[str, float] = {}
        for kind, pattern in form.facts.items():
            match = pattern.search(text)
            value = number(match[1]) if match is not None else None
            if value is not None:
                facts[kind] = value
        total = number(found[2]) if found.re.groups > 1 and found[2] is not None else None
        past = facts["epoch"] - 1 if "epoch" in facts else facts.get("epoch_zero")
        if past is not None and total:  # the steps of an epoch, of which no one says how many there are
            step, total = step + past * total, None
        entry = self._entry_of_facts(self._counted(int(step), form.zero), total, facts, text)
        self.clock.take(_of_micro_batches(entry, facts.get("global_step")))

    def _counted(self, step: int, zero: bool | None) -> int:
        """How many steps are done at the one that a line names: one more where the first is step 0."""
        if zero is None:
            self._from_zero = zero = step == 0 if self._from_zero is None else self._from_zero
        return step + zero

    def _entry_of_facts(self, step: int, total: float | None, facts: Mapping[str, float], text: bytes) -> LogEntry:
        clock = clock_of(text)
        seconds = facts.get("seconds")
        if "ms" in facts:
            seconds = facts["ms"] / 1e3
        rate = rate_seconds(self.hint, facts.get)
        whole = math.isfinite(clock) and "steps_per_s" not in facts  # a clock tells what a rate needs a plan for
        elapsed = facts["elapsed_ms"] / 1e3 if "elapsed_ms" in facts else None
        return LogEntry(
            step,
            seconds=seconds if seconds is not None or whole else rate,
            elapsed=elapsed,
            clock=clock,
            mean_s=elapsed / step if elapsed else rate if whole else None,
            micro=int(facts["micro"]) if "micro" in facts else None,
            micro_s=facts["micro_ms"] / 1e3 if "micro_ms" in facts else None,
            total=int(total) if total else None,
            batch=int(facts["batch"]) if "batch" in facts else None,
            loss=facts.get("loss"),
            label=label_of(text),
        )

    def _entry(self, row: Mapping[str, object], line: bytes) -> LogEntry | None:
        entry = self._names.entry(row, self.hint, label_of(line))
        if entry is None or entry.seconds is None and entry.elapsed is None and entry.micro_s is None:
            return None
        return entry

    def _by_bars(self, data: bytes) -> None:
        for line in _lines(data):
            if b"/" not in line and b"loss" not in line:
                continue
            own = self._entry_of_bar(line)
            if own is not None:
                self.clock.take(own)
                continue
            self._note_bar(line)
            row = _dictionary(line) if b"loss" in line and b"{" in line else None
            if self._is_loss(row) and row is not None and self._bar is not None:
                step, total, elapsed = self._bar
                self._bars_total = total
                loss = next(number(row[name]) for name in _KNOWN_LOSSES if name in row)
                self.clock.take(LogEntry(step, elapsed=elapsed, total=total, loss=loss, label=label_of(line)))

    def _note_bar(self, line: bytes) -> None:
        """Remember the last bar of the run's own length, or of any where that is not known yet."""
        for found in _BAR.finditer(line):
            step, total = int(found[1]), int(found[2])
            elapsed = duration(found[3])
            if elapsed is not None and 0 < step <= total and self._bars_total in (0, total):
                self._bar = (step, total, elapsed)

    def _entry_of_bar(self, line: bytes) -> LogEntry | None:
        """A bar that has a loss of its own; of several epochs the steps are counted through."""
        found = next(reversed(list(_BAR.finditer(line))), None)
        loss = _BAR_LOSS.search(line)
        if found is None or loss is None or loss.start() < found.start() and b"|Loss" not in line:
            return None
        step, total, elapsed = int(found[1]), int(found[2]), duration(found[3])
        if not 0 < step <= total or elapsed is None or b"alid" in line[: found.start()]:
            return None
        epoch = _EPOCH.search(line[: found.start()])
        past = int(epoch[1]) if epoch is not None else 0
        of = int(epoch[2]) if epoch is not None and epoch[2] else 0
        if of and (past, of) == (step, total):  # a bar of epochs: its steps are what it counts
            past = of = 0
        elif of:  # "epoch 1/3" is the first, unless there was a "0/3"
            self._epoch_zero = self._epoch_zero or past == 0
            past -= not self._epoch_zero
        whole = of * total if of else None if past else total
        restarted, self._epoch = self._epoch not in (-1, past), past
        seconds = elapsed / step if restarted else None  # of this epoch's steps, whose bar began with it
        step, lost = past * total + step, number(loss[1])
        return LogEntry(step, seconds=seconds, elapsed=elapsed, total=whole, loss=lost, restarted=restarted)

    @staticmethod
    def _is_loss(row: Mapping[str, object] | None) -> bool:
        return row is not None and any(name in row for name in _KNOWN_LOSSES)


_FEW = 4
_NO_TIME = ("batch", "loss", "micro", "epoch", "epoch_zero", "global_step")


def _of_micro_batches(entry: LogEntry, done: float | None) -> LogEntry:
    """A bar that counts micro-batches, where the steps done are told beside it and are others than its count.

    What is printed of the steps is rounded to three digits.
    """
    if done is None:
        return entry
    if abs(done + 1 - entry.step) <= max(1.0, 0.01 * entry.step):
        return entry if entry.step > _FEW else replace(entry, total=None)  # the two cannot differ by much yet
    return replace(
        entry, step=int(done) + 1, micro=entry.step, micro_s=entry.seconds, seconds=None, elapsed=None, total=None
    )


def _lines(data: bytes) -> Iterator[bytes]:
    """Lines, with the states of a progress bar that a carriage return parts; cut at `_LONGEST`."""
    for line in _ENDS.split(data):
        if line:
            yield line[:_LONGEST]


def _dictionary(line: bytes) -> Mapping[str, object] | None:
    """The dictionary on a line, as Python or JSON writes one, with its names in small letters."""
    found = _DICTIONARY.search(line)
    if found is None:
        return None
    text = found[0].decode("utf-8", "replace")
    for read in (ast.literal_eval, json.loads):
        try:
            row = read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(row, dict):
            inner = {k: v for value in row.values() if isinstance(value, dict) for k, v in value.items()}
            return {str(key).lower(): value for key, value in {**inner, **row}.items()}
    return None


def clock_of(line: bytes) -> float:
    """The first time on a line, as seconds of a fixed origin; NaN if there is none."""
    found = _CLOCK.search(line[:400])
    if found is None:
        return math.nan
    year, month, day, time, other_month, other_day, other_year, other_time = (
        part.decode() if part else "" for part in found.groups()
    )
    date = f"{year}-{month}-{day}T{time}" if year else f"{other_year}-{other_month}-{other_day}T{other_time}"
    return moment(date.replace(",", "."))


def label_of(line: bytes) -> bytes | None:
    """The rank that a line says it is of; None if it says none."""
    found = _LABEL.match(line[:64])
    return found[1] if found else None
