"""The runs of the shipped tables, read once for all modules of a process."""

from __future__ import annotations

from planner.performance.refit import measured_files, read_runs
from planner.performance.rows import Run

RUNS: tuple[Run, ...] = tuple(read_runs(measured_files()))
