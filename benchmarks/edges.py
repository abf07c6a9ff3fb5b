"""The edges of what is asked: large clusters and models, tables, sweeps, comparisons, as multiples of one import.

Run by `make bench`, or alone: `python benchmarks/edges.py [PART OF A NAME]`. Each is a cold process; seconds are of the
processor, which a busy machine stretches least, and the yardstick is measured in the same run, between the others.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import replace
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
YARDSTICK = [sys.executable, "-c", "import scipy.optimize, pandas"]
NEOX = "scenarios/neox20b.yaml"
OPEN = """name: everything open
model: {model}
data: {{tokens: 2T, seq_length: 4096}}
training: {{epochs: 1, framework: any}}
budget: {{time: 180 days}}
cluster: {{gpus: any, max_gpus: {most}}}
"""
NODE_TYPES = 1000
VARIATIONS, ROWS = 20, 1000
ONE_ROW = "predict a table of one row"  # what a table costs before its rows are counted
GRID = "predict a grid of layouts"


def planner(*words: str) -> list[str]:
    """A cold `planner`."""
    return [sys.executable, "-m", "planner", *words]


def cases(folder: Path) -> dict[str, tuple[list[str], int]]:
    """Each command, and how many answers it gives."""
    found: dict[str, tuple[list[str], int]] = {}
    for path in sorted((ROOT / "scenarios").glob("*.yaml")):
        found[f"optimize {path.stem}"] = (planner("optimize", f"scenarios/{path.name}", "--json"), 1)
    for model, most in (("deepseek-v3", 2048), ("deepseek-v3", 16384), ("pythia-1b", 2048)):
        file = folder / f"{model}-{most}.yaml"
        file.write_text(OPEN.format(model=model, most=most))
        found[f"optimize {model}, all open, {most:,} GPUs"] = (planner("optimize", str(file), "--json"), 1)
    for name, change in (
        ("262,144 GPUs", "cluster.max_gpus=262144"),
        ("one sample", "data.samples=1"),
        ("1e-9 epochs", "training.epochs=1e-9"),
    ):
        found[f"optimize neox20b, {name}"] = (planner("optimize", NEOX, "--json", "--set", change), 1)
    found[f"optimize neox20b, {NODE_TYPES:,} node types"] = ([sys.executable, __file__, "--node-types"], 1)
    deep = "{layers: 1000000, hidden: 1024, heads: 16, vocab: 50000}"
    file = folder / "deep.yaml"
    file.write_text(OPEN.format(model=deep, most=32).replace("2T", "1B").replace("180 days", "900000 days"))
    found["optimize a million layers, 32 GPUs"] = (planner("optimize", str(file), "--json"), 1)
    found["frontier --all neox20b"] = (planner("frontier", NEOX, "--all", "--json"), 1)
    for by in ("offer", "cloud"):
        found[f"compare --by {by} neox20b"] = (planner("compare", NEOX, "--by", by, "--json"), 1)
    over = f"budget.time=10..67 days:{VARIATIONS}"
    found[f"sweep of {VARIATIONS} budgets, one process"] = (planner("sweep", NEOX, "--over", over, "--jobs", "1"), 20)
    over = f"training.epochs=0.5..1.5:{VARIATIONS}"
    found[f"sweep of {VARIATIONS} epochs, one process"] = (planner("sweep", NEOX, "--over", over, "--jobs", "1"), 20)
    measured = (ROOT / "catalogs" / "measured" / "megatron-bridge.csv").read_text().splitlines()
    tables = {
        ONE_ROW: measured[:2],
        f"predict a table of {ROWS:,} rows": [measured[0], *((measured[1:] * (1 + ROWS // len(measured)))[:ROWS])],
        GRID: grid(),
    }
    for number, (name, lines) in enumerate(tables.items()):
        table = folder / f"rows-{number}.csv"
        table.write_text("\n".join(lines) + "\n")
        found[name] = (planner("predict", "--rows", str(table), "--json"), len(lines) - 1)
    return found


def grid() -> list[str]:
    """A table of all layouts of two models on H100s in some steps, no two rows alike."""
    header = "model,gpu,gpus,seq_len,framework,precision,tp,pp,dp,micro_batch,global_batch_samples,recompute"
    sizes = product((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64), (1, 2, 3, 4), (1, 4, 8, 32))
    return [header] + [
        f"{model},h100-sxm5-80gb,{tp * pp * dp},8192,megatron,bf16,{tp},{pp},{dp},{micro},{micro * dp * m},{recompute}"
        for tp, pp, dp, micro, m in sizes
        for model in ("llama3-8b", "llama3-70b")
        for recompute in ("none", "selective", "full")
    ]


def node_types() -> None:
    """The flagship over a thousand kinds of node that differ in their network."""
    from planner import api
    from planner.catalog import eligible_offers
    from planner.search import optimize

    catalog, calibration = api.load_facts()
    scenario = api.load_scenario(ROOT / NEOX)
    some = [o for o in eligible_offers(catalog, scenario.cluster).offers if o.hardware.network_gbit_per_s]
    offers = [
        replace(o, instance=f"{o.instance}-{i}", hardware=replace(o.hardware, network_gbit_per_s=100.0 + i))
        for i, o in enumerate(some[i % len(some)] for i in range(NODE_TYPES))
    ]
    optimize(scenario, catalog, calibration, offers=offers)


def processor_seconds(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """(user and system seconds, peak MiB) of one cold process and those that it waited for."""
    child = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | environment
    )
    _, _, used = os.wait4(child.pid, 0)
    child.returncode = 0
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main(wanted: str = "") -> None:
    with tempfile.TemporaryDirectory() as name:
        here = {"PYTHONPATH": str(ROOT)}
        processor_seconds(planner("optimize", NEOX), here)  # byte code and the disk's cache are warm
        one = statistics.median(processor_seconds(YARDSTICK, here)[0] for _ in range(5))
        print(f"{'import scipy.optimize, pandas':<48} {one:7.2f} s   1.00 x", flush=True)
        bare = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPYCACHEPREFIX": str(Path(name) / "none")}
        every = {what: (*case, here) for what, case in cases(Path(name)).items()}
        every["optimize neox20b, no byte code"] = (planner("optimize", NEOX, "--json"), 1, here | bare)
        start = 0.0
        for what, (command, count, environment) in every.items():
            if wanted in what:
                seconds, peak = processor_seconds(command, environment)
                start = seconds if what == ONE_ROW else start
                each = f"  {count / seconds:,.1f} a second" if count > 1 else ""
                each += f", {count / (seconds - start):,.0f} once begun" if what.startswith("predict") and each else ""
                print(f"{what:<48} {seconds:7.2f} s {seconds / one:6.2f} x  {peak:6.0f} MiB{each}", flush=True)


if __name__ == "__main__":
    if "--node-types" in sys.argv:
        node_types()
    else:
        main(*sys.argv[1:2])
