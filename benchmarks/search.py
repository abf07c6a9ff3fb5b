"""How fast the search is: evaluations a second, cold processes against an import, growth in GPUs and offers, memory.

Run by `make bench`, or alone: `python benchmarks/search.py`. Each growth figure is a process of its own, so that its
peak memory is its own.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCENARIO = ROOT / "scenarios" / "neox20b.yaml"
YARDSTICK = [sys.executable, "-c", "import scipy.optimize, pandas"]
WHOLE_CATALOG = ["--set", "cluster.gpus=any"]
ANY_FRAMEWORK = [*WHOLE_CATALOG, "--set", "training.framework=any"]


def optimize_command(*options: str) -> list[str]:
    """A cold `planner optimize` of the shipped scenario."""
    return [sys.executable, "-m", "planner", "optimize", str(SCENARIO), "--json", *options]


def processor_seconds(command: list[str]) -> float:
    """User and system time of one cold process: what a busy machine does not stretch."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cold(runs: int = 5) -> None:
    """Cold processes, as multiples of importing scipy.optimize and pandas."""
    cases = {
        "import scipy.optimize, pandas": YARDSTICK,
        "optimize neox20b": optimize_command(),
        "optimize neox20b, whole catalog": optimize_command(*WHOLE_CATALOG),
        "optimize neox20b, whole catalog, any framework": optimize_command(*ANY_FRAMEWORK),
    }
    taken = {name: [processor_seconds(command) for _ in range(runs)] for name, command in cases.items()}
    unit = statistics.median(taken["import scipy.optimize, pandas"])
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"{name:<48} {middle:6.2f} s  {middle / unit:5.2f} x")


def evaluations() -> None:
    """Full evaluations a second on one core: kernels, step, run and memory of candidates nobody pruned."""
    from planner import api
    from planner.search.building import build

    catalog, calibration = api.load_facts()
    scenario = api.load_scenario(SCENARIO, ["training.framework=megatron"])
    state = build(scenario, catalog, calibration)
    pool = next(i for i, p in enumerate(state.space.pools) if p.setting.hardware.gpu == "h100-sxm5-80gb")
    layouts = state.layout_space(pool)
    start, done = time.process_time(), 0
    for gpus in (64, 128, 256, 512):
        done += sum(len(part.row) for part in layouts.everything(gpus))
    taken = time.process_time() - start
    print(f"full evaluations: {done:,} in {taken:.2f} s of one core = {done / taken:,.0f} a second")


def growth() -> None:
    """Time and peak memory as the most GPUs and the offers grow."""
    for gpus in (256, 1024, 4096, 16384):
        _report(f"up to {gpus:,} GPUs, any framework", {"max_gpus": gpus})
    for offers in (1, 10, 100, 500):
        _report(f"{offers} offers", {"offers": offers})


def _report(name: str, case: dict[str, int]) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--child", json.dumps(case)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, env=environment)
    found = json.loads(ran.stdout)
    print(
        f"{name:<40} {found['seconds']:6.2f} s  {found['peak_mib']:5.0f} MiB  {found['space']:>16,} candidates,"
        f" {found['evaluated']:,} evaluated"
    )


def child(case: dict[str, int]) -> None:
    """One growth figure, as JSON on standard output."""
    from planner import api
    from planner.catalog import eligible_offers
    from planner.search import optimize

    catalog, calibration = api.load_facts()
    overrides = ["cluster.gpus=any", "training.framework=any", f"cluster.max_gpus={case.get('max_gpus', 1024)}"]
    scenario = api.load_scenario(SCENARIO, overrides)
    offers = None
    if "offers" in case:
        joined = [o for o in eligible_offers(catalog, scenario.cluster).offers if o.hardware.network_gbit_per_s]
        some = sorted(joined, key=lambda o: (o.usd_per_gpu_hour * ("h100" not in o.gpu), o.id))  # H100s first
        offers = [
            replace(
                some[i % len(some)],
                region=f"region {i}",
                usd_per_gpu_hour=some[i % len(some)].usd_per_gpu_hour * (1 + i / 1e3),
            )
            for i in range(case["offers"])
        ]
    start = time.process_time()
    answer = optimize(scenario, catalog, calibration, offers=offers)
    found = {
        "seconds": time.process_time() - start,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "space": answer.certificate.space,
        "evaluated": answer.certificate.evaluated,
    }
    print(json.dumps(found))


if __name__ == "__main__":
    if "--child" in sys.argv:
        child(json.loads(sys.argv[-1]))
    else:
        sys.path.insert(0, str(ROOT))
        evaluations()
        growth()
        cold()
