"""Files as bytes, text and JSON: opened without waiting for ever, never longer than they may be, in UTF-8."""

from __future__ import annotations

import json
import os
import re
import stat
import time
from collections.abc import Iterable
from io import FileIO
from pathlib import Path
from typing import Any

from planner.files import YAML, missing_file, printable_name
from planner.units import PlannerError
from planner.words import Sentence, phrase, say

MAX_BYTES = 64 << 20  # of any file that is read as a whole
LONGEST = 300  # characters of a sentence, the file's name apart
MOST_ITEMS = 40  # of a list in a sentence that is too long
PATIENCE_S = 2.0  # for the writer of a pipe to come
_DEPTH = 100
#: What no text shows: controls but tab and line ends, and marks that turn the direction of what follows.
UNSEEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")


def one_line(text: object, longest: int = LONGEST) -> str:
    """Any text inside a sentence: on one line, what is not seen as `·`, cut at `longest` characters."""
    line = "".join(c if c.isprintable() else "·" for c in " ".join(str(text)[: 4 * longest].split()))
    return line if len(line) <= longest else line[: longest - 1] + "…"


def fault(path: Path | str, what: str, line: int = 0) -> PlannerError:
    """The error of a file: its name, the line where it is known (counted from 1), what is wrong and what may stand."""
    kept = shortened(what)
    if line:
        return PlannerError(say("reading.at_line", file=printable_name(path), line=line, what=kept))
    return PlannerError(say("reading.at", file=printable_name(path), what=kept))


def wrong_at(where: str, what: str) -> PlannerError:
    """The error of a place that is named already: what is wrong, in no more characters than a sentence has."""
    return PlannerError(say("reading.at", file=where, what=shortened(what)))


def shortened(text: str, longest: int = LONGEST) -> str:
    """A sentence of at most so many characters: its longest list names its first items and how many more there are.

    What is no sentence, or has no list, is cut.
    """
    while isinstance(text, Sentence) and len(text) > longest:
        fewer = _with_fewer_items(text)
        if fewer is None:
            break
        text = fewer
    return text if len(text) <= longest and text.isprintable() else one_line(text, longest)


def _with_fewer_items(sentence: Sentence) -> Sentence | None:
    """The sentence with one item less in its longest list, its own or one of a sentence within; None: there is none."""
    lists = {name: value for name, value in sentence.values.items() if isinstance(value, list) and len(value) > 2}
    if lists:
        name = max(lists, key=lambda each: sum(map(len, map(str, lists[each]))))
        items, more = lists[name], 0
        if isinstance(items[-1], Sentence) and items[-1].code == "reading.more":
            items, more = items[:-1], items[-1].values["n"]
        kept = items[: min(len(items) - 1, MOST_ITEMS)]
        more += len(items) - len(kept)
        return say(sentence.code, **{**sentence.values, name: [*kept, say("reading.more", n=more)]})
    for name, value in sentence.values.items():
        if isinstance(value, Sentence) and (fewer := _with_fewer_items(value)):
            return say(sentence.code, **{**sentence.values, name: fewer})
    return None


def line_of(text: str | bytes, at: int) -> int:
    """The line of a place in a text, counted from 1."""
    return (text[:at].count("\n") if isinstance(text, str) else text[:at].count(b"\n")) + 1


def opened(path: Path, endings: Iterable[str] = YAML) -> FileIO:
    """A file to read from, unbuffered; a pipe may be one, as shells make them.

    Raises
    ------
    PlannerError
        If it is not there, cannot be read, is a folder or a device, or is a pipe that nobody writes into.
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        raise PlannerError(missing_file(Path(path), endings)) from None
    except (OSError, ValueError) as error:
        if os.path.isdir(path):  # noqa: PTH112 - Windows does not open folders; any name may be asked of
            raise fault(path, say("text.folder")) from None
        why = phrase("system", getattr(error, "strerror", None) or "") or say("text.no_file_name")
        raise fault(path, say("text.unreadable", why=why)) from None
    kind = os.fstat(handle).st_mode
    device = (stat.S_ISCHR(kind) or stat.S_ISBLK(kind)) and not os.isatty(handle)
    if device or stat.S_ISDIR(kind):
        os.close(handle)
        raise fault(path, say("text.device" if device else "text.folder"))
    if hasattr(os, "set_blocking"):
        os.set_blocking(handle, True)
    if stat.S_ISFIFO(kind):
        return _Pipe(handle)
    return FileIO(handle)


class _Pipe(FileIO):
    """A pipe: its writer may come a little later than its reader."""

    _begun = False

    def readinto(self, buffer: Any) -> int | None:
        until = time.monotonic() + PATIENCE_S
        while not (count := super().readinto(buffer)) and not self._begun and time.monotonic() < until:
            time.sleep(0.02)
        self._begun = True
        return count

    def read(self, size: int | None = -1) -> bytes:
        buffer = bytearray(1 << 16 if size is None or size < 0 else min(size, 1 << 16))
        return bytes(buffer[: self.readinto(buffer) or 0])


def read_bytes(
    path: Path, most: int = MAX_BYTES, holds: str = "a file of its kind", endings: Iterable[str] = YAML
) -> bytes:
    """All of a file of at most `most` bytes. `holds`, such as "a scenario", is what it should be.

    Raises
    ------
    PlannerError
        As `opened`, and if there are more.
    """
    parts, left = [], most + 1
    with opened(path, endings) as file:
        try:
            while left and (part := file.read(min(left, 1 << 22))):
                parts.append(part)
                left -= len(part)
        except OSError as error:
            raise fault(path, say("text.unreadable", why=phrase("system", str(error.strerror)))) from None
    if not left:
        raise fault(path, say("text.too_long", most=most, holds=phrase("holds", holds)))
    return b"".join(parts)


def text_of(data: bytes, name: Path | str, *, controls: bool = False) -> str:
    """Bytes as a text, without a byte order mark; `controls`: characters that are not seen may stand in it.

    Raises
    ------
    PlannerError
        If it is no text in UTF-8, with the line.
    """
    at = data.find(b"\0")
    if at >= 0:
        raise fault(name, say("text.zero_byte"), line_of(data, at))
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise fault(name, say("text.not_utf8", byte=data[error.start]), line_of(data, error.start)) from None
    found = None if controls else UNSEEN.search(text)
    if found:
        raise fault(name, say("text.control", sign=f"U+{ord(found[0]):04X}"), line_of(text, found.start()))
    return text


def read_text(
    path: Path,
    most: int = MAX_BYTES,
    holds: str = "a file of its kind",
    endings: Iterable[str] = YAML,
    *,
    controls: bool = False,
) -> str:
    """The text of a file in UTF-8; raises as `read_bytes` and `text_of` do."""
    return text_of(read_bytes(path, most, holds, endings), path, controls=controls)


def json_of(text: str, name: Path | str) -> Any:
    """What a JSON text holds.

    Raises
    ------
    PlannerError
        If it is none, with the line; if it is nested too deeply, or a number in it has no end.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise fault(name, say("text.not_json", why=error.msg), error.lineno) from None
    except RecursionError:
        raise fault(name, say("text.json_deep", most=_DEPTH)) from None
    except ValueError:  # Python reads no number of more than 4,300 digits
        raise fault(name, say("text.json_digits")) from None


def read_json(path: Path, most: int = MAX_BYTES, holds: str = "a file of its kind") -> Any:
    """What a JSON file holds; raises as `read_text` and `json_of` do."""
    return json_of(read_text(path, most, holds, (".json",)), path)
