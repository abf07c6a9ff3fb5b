"""How a command starts and ends: exit codes, a sentence for a mistake, quiet when a reader leaves or Ctrl-C comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache

from planner.cli.output import BAD_INPUT, INTERRUPTED, OUR_FAULT, close_standard_output, complain, flush, say
from planner.files import printable_name
from planner.units import PlannerError
from planner.words import phrase, said, speak, worded


def run(arguments: Sequence[str] | None = None) -> int:
    """Run `planner` with `arguments` (this process's own if None) and return its exit code."""
    with speak("en"):  # until `--lang` says otherwise
        return _run(arguments)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        code = _command()(
            args=None if arguments is None else list(arguments), prog_name="planner", standalone_mode=False
        )
        flush()
    except PlannerError as error:
        complain(worded(error.args[0]))
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        close_standard_output()
        return 0
    except SystemExit as end:  # shell completion, and click's answer to a closed pipe
        return end.code if isinstance(end.code, int) else 0
    except Exception as error:  # noqa: BLE001 - the one place that turns a fault into a sentence
        return _ended(error)
    return code if isinstance(code, int) else 0


@cache
def _command() -> Callable[..., object]:
    """The command with all its options, built once a process: building it takes longer than most mistakes."""
    from typer.main import get_command

    from planner.cli.app import app

    return get_command(app)


def _ended(error: Exception) -> int:
    """The exit code of what is no PlannerError: a wrong command line, a file that cannot be read, or our own fault."""
    message = getattr(error, "format_message", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        say(str(message()) if callable(message) else "")
        return BAD_INPUT
    if callable(message):  # typer's usage errors, whichever click it brings
        from planner.cli.usage import usage_words

        complain(usage_words(error))
        return BAD_INPUT
    if type(error).__name__ == "Abort":
        return INTERRUPTED
    if os.environ.get("PLANNER_DEBUG"):
        raise error
    if isinstance(error, OSError) and error.strerror:  # a full disk, a name too long, no right to: never ours
        close_standard_output()
        place = printable_name(str(error.filename)) if error.filename else said("run.unwritten")
        complain(said("reading.at", file=place, what=phrase("system", error.strerror)))
        return BAD_INPUT
    if isinstance(error, MemoryError):
        complain(said("run.memory"))
        return BAD_INPUT
    reason = " ".join(str(error).split())
    complain(said("run.fault", kind=type(error).__name__, reason=reason))
    return OUR_FAULT
