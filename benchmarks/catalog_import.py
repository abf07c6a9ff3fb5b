"""Half a million price rows: how long their import takes, and what they cost `optimize` while they are not chosen.

The second is a ratio within one run: the same scenario, in turn, without the rows and with them in an older snapshot.
"""

from __future__ import annotations

import csv
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROWS = 500_000
CLOUDS = ("aws", "azure", "gcp", "nebius", "oci")
HEAD = "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,MemoryGiB,GpuInfo,Price,SpotPrice,Region,AvailabilityZone"
INFO = "{'Gpus': [{'Name': 'H200', 'Count': 8, 'MemoryInfo': {'SizeInMiB': 144384}}], 'TotalGpuMemoryInMiB': 1155072}"


def write_catalog(folder: Path, rows: int) -> None:
    """A SkyPilot catalog of made-up machines, a fifth of them without accelerators."""
    draw = random.Random(1)  # noqa: S311
    each = rows // len(CLOUDS)
    for cloud in CLOUDS:
        (folder / cloud).mkdir(parents=True)
        with (folder / cloud / "vms.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEAD.split(","))
            for i in range(each):
                region, zone = f"r{i // 3000}", f"r{i // 3000}-{i % 3}"
                if i % 5 == 0:
                    writer.writerow([f"cpu{i}", "", "", 4, 16, "", 0.1, 0.03, region, zone])
                else:
                    price = round(50 + 20 * draw.random(), 4)
                    spot = round(price * draw.uniform(0.2, 0.9), 4)
                    writer.writerow([f"m{i % 3000}", "H200", 8, 192, 2048, INFO, price, spot, region, zone])


def seconds(*arguments: str) -> float:
    start = time.perf_counter()
    ran = subprocess.run([sys.executable, "-m", "planner", *arguments], cwd=ROOT, capture_output=True, check=False)
    if ran.returncode not in (0, 3):
        raise SystemExit(ran.stderr.decode())
    return time.perf_counter() - start


def main(rows: int = ROWS, runs: int = 5) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder, mine = Path(name) / "v8", Path(name) / "mine"
        write_catalog(folder, rows)
        taken = seconds("catalog", "import", str(folder), "--as-of", "2025-01-01", "--to", str(mine))
        print(f"import of {rows:,} rows      {taken:6.2f} s")
        newer = mine / "prices" / "2026-11-25"
        shutil.copytree(ROOT / "catalogs" / "prices" / "2026-11-24", newer)
        small = Path(name) / "small"
        shutil.copytree(newer, small / "prices" / "2026-11-25")
        optimize = ("optimize", "scenarios/smallest.yaml", "--json")
        times: dict[str, list[float]] = {"without": [], "with": []}
        for _ in range(runs):
            times["without"].append(seconds(*optimize, "--catalog", str(small)))
            times["with"].append(seconds(*optimize, "--catalog", str(mine)))
        without, beside = (statistics.median(times[each]) for each in ("without", "with"))
        print(f"optimize without them     {without:6.2f} s")
        print(f"optimize beside them      {beside:6.2f} s  {beside / without:5.2f} ×")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
