"""Whatever a file holds, a command ends as it says it does. `make fuzz` looks for longer."""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran
from fuzzing import bent, broken, calls, commands, sound_calls, written
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.cli.run import run

COMMANDS = list(commands())
MOST = int(os.environ.get("PLANNER_FUZZ", "0"))  # examples a command; 0: the few of every day
SETTINGS = {
    "derandomize": not MOST,
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
}
SEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def check(planner: Callable[..., Ran], words: Any) -> None:
    with tempfile.TemporaryDirectory() as folder:
        given_ = written(words, Path(folder))
        ran = planner(*given_)
    assert ran.code in (0, 2, 3), (given_, ran)
    assert not SEEN.search(ran.out + ran.err), (given_, ran)
    if ran.code == 2:
        assert ran.err.rsplit("planner: ", 1)[-1].count("\n") == 1, (given_, ran)
        assert len(ran.err) < 3000, (given_, ran)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_streams_that_are_closed_and_full_disks_are_no_faults(command, tmp_path, monkeypatch):
    for number, words in enumerate(sound_calls(command)):
        with monkeypatch.context() as only:
            for name in ("stdin", "stdout", "stderr"):
                only.setattr(sys, name, None)
            assert ended(words, tmp_path / f"closed-{number}") in (0, 2, 3), words
    full = Path("/dev/full").open("w")  # noqa: SIM115 - closing it fails
    with monkeypatch.context() as only:
        only.setattr(sys, "stdout", full)
        assert ended(next(sound_calls(command)), tmp_path / "full") in (0, 2, 3)
    with suppress(OSError):
        full.close()


def ended(words: Any, folder: Path) -> int:
    folder.mkdir()
    return run(written(words, folder))


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_a_broken_file_is_one_sentence(planner, command):
    @settings(max_examples=MOST or 2, **SETTINGS)
    @given(calls(command, broken))
    def holds(words: Any) -> None:
        check(planner, words)

    holds()


@pytest.mark.skipif(not MOST, reason="a long run: make fuzz")
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: " ".join(command.words))
def test_a_bent_file_is_answered_or_one_sentence(planner, command):
    @settings(max_examples=MOST, **SETTINGS)
    @given(calls(command, lambda name: st.one_of(bent(name), broken(name))))
    def holds(words: Any) -> None:
        check(planner, words)

    holds()
