"""How fast a large training log is read, as a ratio to `wc -l` on the same file in the same run, and its memory.

Usage: python benchmarks/track_log.py [GIGABYTES] (default 2, in a temporary file that is removed)
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from planner.interop.tracking import track_log

LINE = (
    " samples/sec: 32.2 | iteration {0:8d}/99999999 | elapsed time per iteration (ms): {1:.1f} |"
    " learning rate: 9.7E-05 | approx flops per GPU: 117.0TFLOPS | lm_loss: 2.1E+00 | loss scale: 4096.0 | skipped: 0 |"
    " number of nan iterations:   0 |\n"
)
NOISE = (
    "[rank{0}]: 2026-11-24 12:00:00,000 INFO something that another rank had to say about its data loader, at length\n"
)


def write(path: Path, size: int, noise: int) -> int:
    """A log of `size` bytes whose records each come with `noise` lines of other ranks; the last iteration in it."""
    iteration = written = 0
    with path.open("w", buffering=1 << 20) as file:
        while written < size:
            lines = []
            for _ in range(2000):
                iteration += 1
                lines.append(LINE.format(iteration, 47_600 + iteration % 97))
                lines += [NOISE.format(rank) for rank in range(noise)]
            written += file.write("".join(lines))
    return iteration


def count_lines(path: Path) -> float:
    """Wall seconds of `wc -l`."""
    start = time.perf_counter()
    subprocess.run(["wc", "-l", path], stdout=subprocess.DEVNULL, check=True)  # noqa: S607 - whichever the machine has
    return time.perf_counter() - start


def main(gigabytes: float = 2.0) -> None:
    for title, noise in (("every line a record", 0), ("one line in 16 a record", 15)):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "train.log"
            last = write(path, int(gigabytes * 1e9), noise)
            count_lines(path)  # from now on the file is in the page cache
            counted = count_lines(path)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start = time.perf_counter()
            state = track_log(path)
            taken = time.perf_counter() - start
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            if state.iteration != last:
                raise SystemExit(f"{title}: iteration {state.iteration} was found, {last} is the last")
            size = path.stat().st_size
        rate = f"{size / 1e9:.2f} GB in {taken:.2f} s ({size / taken / 1e6:.0f} MB/s)"
        print(f"{title}: {rate}, {taken / counted:.1f} x wc -l; memory grew by {grown / 1024:.0f} MiB")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:2]))
