"""What every test stands on: an environment of its own, and the command called in this process."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, settings

from planner.cli.run import run

# Machines differ in speed and tests run side by side: what a test says is never how long it takes.
settings.register_profile("planner", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("planner")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "PLANNER_CATALOG", "PLANNER_DEBUG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("XDG_CONFIG_HOME", os.devnull)  # nobody's own catalog takes part


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def planner(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """`planner("iterations", "--samples", 5)`: the command line in this process."""

    def call(*arguments: object) -> Ran:
        capsys.readouterr()
        code = run([os.fspath(a) if isinstance(a, os.PathLike) else str(a) for a in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return call
