"""How long commands take as cold processes, as ratios to importing scipy.optimize and pandas on the same machine.

Each is the median of several runs, taken in turn so that a busy moment hits all of them alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
PLANNER = [sys.executable, "-m", "planner"]
YARDSTICK = "import scipy.optimize, pandas"
CASES = {
    YARDSTICK: [sys.executable, "-c", YARDSTICK],
    "planner --help": [*PLANNER, "--help"],
    "planner iterations": [*PLANNER, *"iterations --samples 31267487 --seq-length 2048 --global-batch 1024".split()],
    "planner optimize neox20b": [*PLANNER, "optimize", "scenarios/neox20b.yaml", "--json"],
    "planner optimize mixtral-8x7b": [*PLANNER, "optimize", "scenarios/mixtral-8x7b.yaml", "--json"],
}


def seconds(command: list[str]) -> float:
    """Wall time of one cold process. Exit code 3 (infeasible) is an answer too."""
    start = time.perf_counter()
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    taken = time.perf_counter() - start
    if ran.returncode not in (0, 3):
        raise SystemExit(f"{' '.join(command)}: {ran.stderr.decode()}")
    return taken


def main(runs: int = 7) -> None:
    for command in CASES.values():
        seconds(command)  # byte code and the disk's cache are warm, as they are for a user's second run
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    for _ in range(runs):
        for name, command in CASES.items():
            taken[name].append(seconds(command))
    unit = statistics.median(taken[YARDSTICK])
    width = max(map(len, CASES))
    for name, times in taken.items():
        middle = statistics.median(times)
        spread = f"least {min(times):.3f}, most {max(times):.3f}"
        print(f"{name:<{width}}  {middle:6.3f} s  {middle / unit:5.2f} ×  ({spread})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
