"""How long a programme of twelve stages over some eighty offers takes, as a ratio to importing scipy and pandas.

Both are cold processes, in turn, so that a busy moment hits both alike. Where the time goes is printed too: the search
of the stages' plans, the calendar's MILP, and the worlds drawn.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
YARDSTICK = [sys.executable, "-c", "import scipy.optimize, pandas"]
AIM = 10.0
HEAD = """\
name: Twelve stages
model: llama3-8b
budget: {start: 2027-02-01, time: 200 days, cost: 2M USD, confidence: 0.8}
objective: cost
cluster: {gpus: [h100-sxm5-80gb, h200-sxm5-141gb, b200-sxm6-180gb], max_gpus: 512, quotas: [{gpus: 512}]}
stages:
"""
STAGE = """\
  - name: {name}
    data: {{tokens: {tokens} tokens, seq_length: {seq}}}
    training: {{epochs: 1, global_batch: {batch}, framework: megatron}}
    {more}
"""
STAGES = (
    ("ablation 1", "20B", 4096, 512, "after: none"),
    ("ablation 2", "20B", 4096, 512, "after: none"),
    ("ablation 3", "40B", 4096, 512, "after: none"),
    ("main 1", "600B", 4096, 1024, "after: [ablation 1, ablation 2, ablation 3]\n    inherits: none"),
    ("main 2", "300B", 4096, 1024, "may_move: false"),
    ("main 3", "100B", 4096, 1024, "may_move: false"),
    ("anneal 1", "50B", 4096, 1024, "after: main 3"),
    ("anneal 2", "50B", 4096, 1024, "after: main 3"),
    ("anneal 3", "50B", 4096, 1024, "after: main 3"),
    ("long 1", "20B", 32768, 128, "after: [anneal 1, anneal 2, anneal 3]"),
    ("long 2", "10B", 65536, 64, "after: long 1"),
    ("tuning", "5B", 8192, 256, "after: long 2"),
)


def programme() -> str:
    """The programme's file."""
    keys = ("name", "tokens", "seq", "batch", "more")
    return HEAD + "".join(STAGE.format(**dict(zip(keys, stage, strict=True))) for stage in STAGES)


def seconds(command: list[str]) -> float:
    """Wall time of one cold process."""
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def parts(file: Path) -> None:
    """Where the time goes, in this process."""
    from planner.api.inputs import load_facts, load_programme
    from planner.search.calendar_milp import solve
    from planner.search.programmes import choose_calendar, study_of

    facts, asked = load_facts(), load_programme(file)
    start = time.perf_counter()
    study = study_of(asked, *facts)
    searched = time.perf_counter()
    solve(study.calendar)
    solved = time.perf_counter()
    found = choose_calendar(study)
    drawn = time.perf_counter()
    offers = len({offer.id for plans in study.plans for offer in plans.state.space.offers})
    print(
        f"{len(study.plans)} stages, {offers} offers, {sum(len(p.choices) for p in study.plans)} plans: search"
        f" {searched - start:.2f} s, MILP {solved - searched:.2f} s, with layouts and worlds {drawn - solved:.2f} s,"
        f" {'found' if found is not None else 'infeasible'}"
    )


def main(runs: int = 3) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "programme.yaml"
        file.write_text(programme(), encoding="utf-8")
        command = [sys.executable, "-m", "planner", "optimize", str(file), "--json"]
        parts(file)
        seconds(YARDSTICK)
        taken = [(seconds(YARDSTICK), seconds(command)) for _ in range(runs)]
    unit, whole = (statistics.median(each) for each in zip(*taken, strict=True))
    print(f"import {unit:.3f} s; twelve stages {whole:.2f} s: {whole / unit:.1f} × (aim: {AIM:.0f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
