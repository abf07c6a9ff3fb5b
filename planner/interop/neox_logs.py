"""What a training log says about its data: which of three counts it printed, and for how many epochs.

GPT-NeoX and Megatron-LM print "total number of samples" in two places with two meanings; this tells them apart.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path
from typing import IO

from planner.interop.log_forms import no_known_data
from planner.reading import opened
from planner.units import PlannerError
from planner.words import Sentence, say, say_from
from planner.workload.dataset import tokens_from_samples

_ANSI = re.compile(rb"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: Most of a log is training steps; only blocks that hold one of these may say something of the data.
_WANTED = (
    b"total number of ", b"number of documents:", b"number of epochs:", b"sequence length:", b"_indexmap_",
    b"loaded indexed file", b"document indices", b"Dataset train ind", b"Dataset valid ind", b"Dataset test ind",
    b"train:", b"validation:", b"valid:", b"test:",
)  # fmt: skip
_BLOCK = 1 << 18
_MAX_LINE = 1 << 16  # a longer line is no log line of these programs; what is beyond is skipped
_NUMBER = r"\s*([\d,]{1,25})\s*$"
_TOTAL = re.compile(r"(>\s*)?total number of samples:" + _NUMBER)
_EPOCHS = re.compile(r"(total )?number of epochs:" + _NUMBER)
_LENGTH = re.compile(r"sequence length:" + _NUMBER)
_DOCUMENTS = re.compile(r"(?<!no\. of )number of documents:" + _NUMBER)
_MAP = re.compile(r"_(train|valid|test)(?:_(\d+))?_indexmap_(\d{1,20}|None)ns_(\d{1,12})sl_")
_RANGE = re.compile(r"document indices in \[(\d{1,20}), (\d{1,20})\) total of (\d{1,20})")
_PART = re.compile(r"(?:^|\s)(train|validation|valid|test):\s*$")
_CORE = re.compile(r"(?:Build and save|Load|Loading) the \w*Dataset (train|valid|test) ind")


@dataclass(frozen=True, slots=True)
class LogDataset:
    """One dataset of a log. `printed` is the number on the line; `samples` what it truly is, over all its epochs."""

    part: str  # train | valid | test
    line: str  # building | loading | megatron-core: which of the lines it was
    printed: int
    samples: int
    epochs: int
    seq_length: int | None = None
    documents: int | None = None  # of this part
    requested: int | None = None  # samples that were asked for, from the index map's name
    number: str = ""  # of several weighted datasets

    @property
    def loading_line(self) -> int:
        """The number that GPT-NeoX prints for it on loading: one more than its samples."""
        return self.samples + 1

    @property
    def dataset_length(self) -> int:
        """`len()` of the dataset in GPT-NeoX: one less than its samples."""
        return self.samples - 1

    def tokens_per_epoch(self, seq_length: int) -> tuple[int, int]:
        """Fewest and most tokens that one epoch can have."""
        return tokens_from_samples(self.samples, self.epochs, seq_length)


@dataclass(frozen=True, slots=True)
class DataLog:
    """All that a log says of its data; each part once, the last time it was printed."""

    datasets: tuple[LogDataset, ...]
    documents: tuple[tuple[str, int], ...]  # of the split: part -> documents

    def of(self, part: str) -> tuple[LogDataset, ...]:
        return tuple(found for found in self.datasets if found.part == part)


def read_data_log(path: str | Path) -> DataLog:
    """The dataset lines of a GPT-NeoX or Megatron-LM log, read once in constant memory.

    Raises PlannerError when the file cannot be read or says nothing of its training samples.
    """
    place = Path(path)
    with opened(place, (".log", ".txt")) as file:
        log = parse_data_log(_lines(file))
    if not log.of("train"):
        raise PlannerError(say("neox_logs.no_data", why=no_known_data(place)))
    return log


def parse_data_log(lines: Iterable[str]) -> DataLog:
    """The same from lines of text. Lines that belong to something else (other ranks, progress) are passed over."""
    state = _State()
    for line in lines:
        state.read(line)
    return state.result()


class _State:
    """What the lines read so far have said of the dataset that is being printed."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], LogDataset] = {}
        self.split: dict[str, int] = {}
        self.nameless: list[LogDataset] = []  # built, their part not named yet
        self._part = ""
        self._split_part = ""
        self._reset()

    def _reset(self) -> None:
        self._loading = False
        self._core = False
        self._samples: int | None = None
        self._epochs: int | None = None
        self._length: int | None = None
        self._documents: int | None = None
        self._requested: int | None = None
        self._number = ""

    def read(self, line: str) -> None:
        if (match := _TOTAL.search(line)) is not None:
            self._samples = _int(match.group(2))
            self._core = match.group(1) is not None
            self._finish_if_built()
        elif (match := _EPOCHS.search(line)) is not None:
            self._epochs = _int(match.group(2))
            if match.group(1) is not None:
                self._finish_if_loaded()
        elif (match := _LENGTH.search(line)) is not None:
            self._length = _int(match.group(1))
        elif (match := _DOCUMENTS.search(line)) is not None:
            self._reset()  # a new "using:" block begins
            self._documents = _int(match.group(1))
        elif (match := _MAP.search(line)) is not None:
            self._name(match)
        elif "loaded indexed file in" in line:
            self._loading, self._samples, self._epochs = True, None, None
        elif (match := _RANGE.search(line)) is not None:
            if self._split_part:
                self.split[self._split_part] = int(match.group(3))
        elif (match := _PART.search(line)) is not None:
            self._split_part = {"validation": "valid"}.get(match.group(1), match.group(1))
        elif (match := _CORE.search(line)) is not None:
            self._reset()
            self._part = match.group(1)

    def _name(self, match: re.Match[str]) -> None:
        """A line that names an index map: whose part it is, what was asked for, how long a sample is."""
        self._part, self._number = match.group(1), match.group(2) or ""
        self._requested = None if match.group(3) == "None" else int(match.group(3))
        self._length = int(match.group(4))
        for built in self.nameless:
            named = replace(built, part=self._part, number=self._number, requested=self._requested)
            self.found[(self._part, self._number)] = replace(named, seq_length=built.seq_length or self._length)
        self.nameless.clear()

    def _finish_if_built(self) -> None:
        """The line of the "using:" block comes after the number of epochs and the sequence length."""
        if self._loading or self._core or not self._samples or not self._epochs:
            return
        self.nameless.append(
            LogDataset("", "building", self._samples, self._samples, self._epochs, self._length, self._documents)
        )
        self._samples = self._epochs = None

    def _finish_if_loaded(self) -> None:
        """The line printed on loading is followed by the number of epochs; its number is one too many.

        Megatron-Core's lines begin with ">" and have one taken off already.
        """
        if not self._samples or not self._epochs or not (self._loading or self._core):
            return
        samples = self._samples if self._core else self._samples - 1
        if samples < 1:
            return
        part = self._part or "train"
        line = "megatron-core" if self._core else "loading"
        entry = LogDataset(
            part, line, self._samples, samples, self._epochs, self._length, self.split.get(part), self._requested,
            self._number,
        )  # fmt: skip
        built = self.found.get((part, self._number))
        if built is not None and built.line == "building" and built.samples == samples:
            entry = replace(built, requested=built.requested or entry.requested)
        self.found[(part, self._number)] = entry
        self._loading = self._core = False
        self._samples = self._epochs = None

    def result(self) -> DataLog:
        unnamed = dict(zip(("train", "valid", "test"), self.nameless, strict=False))
        for part, built in unnamed.items():
            self.found.setdefault((part, ""), replace(built, part=part))
        order = {"train": 0, "valid": 1, "test": 2}
        datasets = sorted(self.found.values(), key=lambda d: (order[d.part], int(d.number or 0)))
        return DataLog(tuple(datasets), tuple(self.split.items()))


def explain(dataset: LogDataset) -> Sentence:
    """One sentence: which line it was and what one epoch of it is."""
    code = {"loading": "neox_logs.loading", "building": "neox_logs.building"}.get(dataset.line, "neox_logs.core")
    together = say("neox_logs.one_epoch") if dataset.epochs == 1 else say("neox_logs.epochs", epochs=dataset.epochs)
    return say_from(code, {"printed": dataset.printed, "samples": dataset.samples, "together": together})


def _lines(file: IO[bytes] | FileIO) -> Iterator[str]:
    """Lines of the blocks that may say something of the data, without colour codes.

    Each is at most `_MAX_LINE` long: what is beyond is skipped. Carriage returns end a line too.
    """
    rest = b""
    while block := file.read(_BLOCK):
        block = rest + block
        cut = max(block.rfind(b"\n"), block.rfind(b"\r")) + 1
        whole, rest = block[:cut], block[cut:]
        if len(rest) > _MAX_LINE:
            whole, rest = whole + rest[:_MAX_LINE] + b"\n", b""
        yield from _wanted_lines(whole)
    yield from _wanted_lines(rest)


def _wanted_lines(block: bytes) -> Iterator[str]:
    if any(wanted in block for wanted in _WANTED):
        for line in _ANSI.sub(b"", block).splitlines():
            yield line[:_MAX_LINE].decode("utf-8", "replace")


def _int(text: str) -> int | None:
    digits = text.replace(",", "")
    return int(digits) if digits and int(digits) <= 10**18 else None
