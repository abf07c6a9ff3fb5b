"""The command: `planner`. What a command does is in its own file; how all of them start, fail and end is in `run`."""

from __future__ import annotations


def main() -> int:
    """Run this process's command line and return its exit code: 0 found, 2 bad input, 3 infeasible, 1 our fault."""
    from planner.cli.run import run

    return run()
