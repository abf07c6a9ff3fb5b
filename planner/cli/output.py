"""What a command gives: results on standard output, words on standard error, whole files, and an exit code."""

from __future__ import annotations

import errno
import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from planner.files import write_atomically
from planner.reading.text import UNSEEN, one_line
from planner.words import said, worded

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OUR_FAULT, BAD_INPUT, INFEASIBLE = 1, 2, 3  # exit codes
INTERRUPTED = 130  # 128 + SIGINT, as shells have it
NARROWEST, WIDEST = 60, 120
LONGEST = 1000  # characters of a complaint
_UNSEEN = re.compile(rf"\r|\x1b(?!\[\d{{1,2}}(?:;\d{{1,2}})?m)|(?!\x1b){UNSEEN.pattern}")
PATIENCE_S = 2.0  # a person waits this long without a word


def complain(sentence: str) -> None:
    """One line on standard error."""
    _write(sys.stderr, f"planner: {one_line(sentence, LONGEST)}\n")


def say(text: str, *, quiet: bool = False) -> None:
    """A message for the person at the terminal, on standard error, unless they asked for quiet."""
    if not quiet:
        _write(sys.stderr, _seen(worded(text)))


def emit(text: str) -> None:
    """A result, on standard output. A reader who has gone away (`| head`) ends the writing, not the command."""
    _write(sys.stdout, _seen(text))


def back(lines: int) -> None:
    """Back over the last lines that were drawn on a terminal."""
    _write(sys.stdout, f"\x1b[{lines}A\x1b[J")


def deliver(document: str, table: str, *, as_json: bool, output: Path | None, quiet: bool) -> None:
    """Save the JSON `document` where asked, and print it or the table for people.

    With `output` the document is saved; `--json` prints it too; `--quiet` prints nothing but what `--json` asks for.
    """
    if output is not None:
        write_atomically(output, document)
    if as_json:
        emit(document)
    elif table and not quiet:
        emit(table)
    if output is not None:
        say(said("output.saved", file=str(output)), quiet=quiet)


def draw(chart: Path | None, figure: Callable[[], Figure], *, quiet: bool) -> None:
    """Save the figure into the file that `--chart` names, if it names one."""
    if chart is not None:
        from planner.report.charts import save_chart

        save_chart(figure(), chart)
        say(said("output.drawn", file=str(chart)), quiet=quiet)


@contextmanager
def working(on: str, *, quiet: bool = False) -> Iterator[None]:
    """While the block runs: from the third second on, what it is `on` and for how long, on a terminal only."""
    if quiet or not terminal(sys.stderr):
        yield
        return
    done = threading.Event()
    clock = threading.Thread(target=copy_context().run, args=(_tick, on, done), daemon=True)  # in its language
    clock.start()
    try:
        yield
    finally:
        done.set()
        clock.join()


@contextmanager
def progress(on: str, *, quiet: bool = False) -> Iterator[Callable[[float], None] | None]:
    """While the block runs: a bar for the finished share it is told, from the third second on, on a terminal only."""
    if quiet or not terminal(sys.stderr):
        yield None
        return
    start = time.monotonic()
    shown = False

    def tick(share: float) -> None:
        nonlocal shown
        if time.monotonic() - start > PATIENCE_S:
            filled = round(30 * share)
            _write(sys.stderr, f"\r{on} {'█' * filled}{'░' * (30 - filled)} {share:.0%}")
            shown = True

    try:
        yield tick
    finally:
        if shown:
            _write(sys.stderr, "\r\x1b[2K")


def _tick(on: str, done: threading.Event) -> None:
    start = time.monotonic()
    if done.wait(PATIENCE_S):
        return
    while not done.wait(0.5):
        _write(sys.stderr, "\r" + said("output.going", on=on, seconds=time.monotonic() - start))
    _write(sys.stderr, "\r\x1b[2K")


def width() -> int:
    """Columns to lay a table out for: the terminal's (or COLUMNS), within what reads well; 80 where there is none."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))


def colour(stream: TextIO | None = None) -> bool:
    """Whether to colour: only on a terminal, never with NO_COLOR set or a dumb terminal."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return terminal(stream or sys.stdout)


def terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is a terminal; one that was closed before this process began is none."""
    return stream is not None and not stream.closed and stream.isatty()


def plain() -> bool:
    """Whether standard output cannot show more than ASCII."""
    try:
        "●⣿╎".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return True
    return os.environ.get("TERM") == "dumb"


def close_standard_output() -> None:
    """Point standard output at nothing, so that the interpreter's last flush does not fail on it again."""
    if sys.stdout is None:
        return
    with suppress(OSError, ValueError):  # in another program it may be no file
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, sys.stdout.fileno())


def flush() -> None:
    """Whatever has been printed, on its way; a standard output that was closed from the beginning has nothing."""
    _write(sys.stdout, "")


def _seen(text: str) -> str:
    """A text for a terminal, ending in a newline: what is not seen is shown as `·`, but for planner's own colours."""
    return _UNSEEN.sub("·", text if text.endswith("\n") else text + "\n")


def _write(stream: TextIO | None, text: str) -> None:
    if stream is None:  # closed before this process began
        return
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.EBADF):
            raise
        close_standard_output()
    except UnicodeEncodeError:  # a terminal without UTF-8 still gets its answer
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
        stream.flush()
