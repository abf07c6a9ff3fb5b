"""The command: `planner`. What a command does is in its own file; how all of them start, fail and end is in `run`."""

from __future__ import annotations


def main() -> int:
    """Run this process's command line and return its exit code: 0 found, 2 bad input, 3 infeasible, 1 our fault."""
    import os
    import sys
    import warnings

    from planner.cli.run import run

    if not sys.warnoptions and not os.environ.get("PLANNER_DEBUG"):  # words of libraries say nothing to a user
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # of the processes of a sweep
    return run()
