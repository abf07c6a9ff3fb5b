"""How many candidate layouts a second go through the whole step-time and memory model on one core.

Kernels (what one micro-batch costs) are computed once each and gathered, as the search does; then the step and memory
run over chunks. Processor time, so that a busy machine does not stretch it. Run by `make bench`, or alone.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import time

import numpy as np

from planner.catalog import load_catalog
from planner.performance.arrays import Setting
from planner.performance.loading import load_calibration
from planner.performance.memory_layout import layout_memory
from planner.performance.steptime import kernels_of, scope, step_of
from planner.spec.hardware import Hardware
from planner.workload import load_model

# The largest first: once freed, it has glibc keep the memory of small arrays for the next ones, as in any long process.
CHUNKS = (500_000, 50_000, 10_000)
ROWS = 2_000_000
MODELS = ("gpt-neox-20b", "qwen3-235b-a22b")


def main() -> None:
    rng = np.random.default_rng(1)
    part = load_catalog().accelerator("h100-sxm5-80gb")
    calibration = load_calibration()
    for model in MODELS:
        hardware = Hardware(part.id, 8, 8, 450.0, 3200.0, "infiniband")
        setting = Setting(load_model(model), 2048, "bf16", "megatron", "", part, hardware)
        s = scope(setting, calibration)
        n = 2048
        powers = np.asarray([1, 2, 4, 8])
        tp, cp, micro, ep = (rng.choice(powers, n) for _ in range(4))
        pp, vpp, zero = rng.choice(powers, n), rng.choice(powers[:2], n), rng.integers(0, 2, n)
        parallel, recompute = rng.random(n) < 0.5, rng.integers(0, 3, n)
        kernels = kernels_of(s, tp, cp, ep, parallel, recompute, micro)
        memory = layout_memory(setting, tp, pp, vpp, cp, ep, zero, parallel, recompute)
        for chunk in CHUNKS:
            used, done = 0.0, 0
            while done < ROWS:
                rows = rng.integers(0, n, chunk)
                dp, m = rng.choice([1, 2, 4, 8, 16, 32, 64], chunk), rng.integers(1, 256, chunk)
                gpus = tp[rows] * cp[rows] * pp[rows] * dp
                factor = np.interp(gpus, [1, 16384], [1.0, 1.05])
                start = time.process_time()
                step_of(s, kernels.take(rows), pp[rows], vpp[rows], dp, zero[rows], m, factor)
                base, each, _ = memory.at(dp, m, rows)
                base + micro[rows] * each
                used += time.process_time() - start
                done += chunk
            print(f"{model:<16} {done / used / 1e6:5.2f} million layouts/s in chunks of {chunk:>7,}")


if __name__ == "__main__":
    main()
