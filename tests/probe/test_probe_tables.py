"""nccl-tests' output and tables of matmuls: read in the forms that are published, and learnt as a site's own rates."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from interop_plans import answer

from planner.api import load_facts
from planner.interop.bench_tables import bench_of, best_matmul, read_collectives, read_matmuls
from planner.interop.probes import run_of
from planner.performance.benches import Bench, bench_table, network_busbw, read_benches, with_benches
from planner.performance.rates import site_parameter
from planner.performance.refit import step_seconds
from planner.units import PlannerError

CATALOG, CALIBRATION = load_facts()
# The forms of NVIDIA/nccl-tests#249, #232 and nebius/soperator#428, and the older one of NVIDIA/nccl#318.
NEW = """\
# nThread 1 nGpus 1 minBytes 536870912 maxBytes 8589934592 step: 2(factor) warmup iters: 5 iters: 20 agg iters: 1 \
validation: 1 graph: 0
#
# Using devices
{ranks}
#
#                                                              out-of-place                       in-place
#       size         count      type   redop    root     time   algbw   busbw #wrong     time   algbw   busbw #wrong
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
{rows}
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 100.0
#
"""
RANK = "#  Rank {i:2d} Group  0 Pid   1887 on {host:>8} device {d:2d} [0x8d] NVIDIA {gpu}"
HALF = "{us:9.1f} {alg:7.2f} {bus:7.2f}      0"
ROW = "{size:12d} {count:13d}     float {redop:>7}      -1 " + HALF + " " + HALF
OLD = """\
# nThread 1 nGpus 8 minBytes 8 maxBytes 4294967296 step: 2(factor) warmup iters: 5 iters: 20 validation: 1
#
# Using devices
#   Rank  0 Pid  23638 on ip-10-0-26-117 device  0 [0x00] Tesla V100-SXM2-32GB
#   Rank  1 Pid  23638 on ip-10-0-26-117 device  1 [0x00] Tesla V100-SXM2-32GB
#
#                                                     out-of-place                       in-place
#       size         count    type   redop     time   algbw   busbw  error     time   algbw   busbw  error
#        (B)    (elements)                     (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
           8             2   float     sum    59.98    0.00    0.00  2e-07    56.81    0.00    0.00  1e-07
  4294967296    1073741824   float     sum  4294.97 1000.00 1000.00  2e-07  8589.93  500.00  500.00  2e-07
"""


def output(
    bus: Any,
    nodes: int = 2,
    each: int = 8,
    redop: str = "sum",
    size: int = 2**33,
    hosts: Sequence[str] = ("a", "b", "c", "d"),
    twice: float = 2.0,
    gpu: str = "H100 80GB HBM3",
) -> str:
    ranks = nodes * each
    lines = [RANK.format(i=i, host=hosts[i // each], d=i % each, gpu=gpu) for i in range(ranks)]
    alg = bus / (twice * (ranks - 1) / ranks)
    rows = [
        ROW.format(size=s, count=s // 4, redop=redop, us=s / alg / 1e3, alg=alg, bus=bus * part)
        for s, part in ((size // 4, 0.9), (size // 2, 0.95), (size, 1.0))
    ]
    return NEW.format(ranks="\n".join(lines), rows="\n".join(rows))


def test_an_output_of_nccl_tests_tells_who_took_part_and_how_fast(tmp_path):
    path = tmp_path / "nccl.txt"
    path.write_text(output(180.0))
    (table,) = read_collectives(path)
    assert (table.name, table.ranks, table.nodes, table.gpu) == ("all_reduce", 16, 2, "NVIDIA H100 80GB HBM3")
    assert table.largest == (2**33, 180.0)
    assert bench_of(path) == [table]


def test_a_gather_is_known_by_its_ratio_and_an_older_form_is_read(tmp_path):
    gather, old = tmp_path / "g.txt", tmp_path / "o.log"
    gather.write_text(output(150.0, redop="none", twice=1.0))
    old.write_text(OLD)
    (table,) = read_collectives(gather)
    assert table.name == "all_gather"
    (table,) = read_collectives(old)
    assert (table.name, table.ranks, table.nodes) == ("all_reduce", 2, 1)
    assert table.largest == (2**32, 1000.0)


def test_what_mpirun_writes_before_each_line_does_not_matter(tmp_path):
    path = tmp_path / "mpi.txt"
    path.write_text("".join(f"[1,0]<stdout>: {line}\n" for line in output(180.0).splitlines()))
    (table,) = read_collectives(path)
    assert (table.ranks, table.nodes, table.largest) == (16, 2, (2**33, 180.0))


def test_several_runs_of_one_file_are_several_tables(tmp_path):
    path = tmp_path / "both.txt"
    path.write_text(output(180.0) + output(90.0, hosts=("c", "d")))
    assert [table.largest[1] for table in read_collectives(path)] == [180.0, 90.0]


def test_ranks_that_no_line_names_follow_from_an_all_reduces_own_ratio(tmp_path):
    path = tmp_path / "bare.txt"
    path.write_text("\n".join(line for line in output(180.0).splitlines() if "Rank" not in line))
    (table,) = read_collectives(path)
    assert (table.name, table.ranks) == ("all_reduce", 16)


def test_what_is_neither_is_left_to_the_readers_of_logs(tmp_path):
    path = tmp_path / "train.log"
    path.write_text(" iteration 10/ 100 | elapsed time per iteration (ms): 4766.0 | global batch size: 1536 |\n")
    assert bench_of(path) is None
    assert bench_of(tmp_path / "nowhere.log") is None


@given(st.binary(max_size=400))
def test_bytes_of_any_kind_are_a_table_or_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("any") / "any.txt"
    for head in (b"", b"m,n,k,dtype,tflops\n", output(100.0).encode()[:2300]):
        path.write_bytes(head + data)
        with contextlib.suppress(PlannerError):
            bench_of(path)


def test_matmuls_are_read_and_of_several_nodes_the_middle_one_counts(tmp_path):
    path = tmp_path / "mm.csv"
    path.write_text(
        "m,n,k,dtype,tflops,node\n8192,8192,8192,bf16,690,a\n4096,4096,4096,BF16,600,a\n8192,8192,8192,bf16,500,b\n8192,8192,8192,bf16,700,c\n"
    )
    rows = read_matmuls(path)
    assert len(rows) == 4
    assert best_matmul(rows).tflops == 690
    path.write_text("m,n,k,dtype,tflops\n8192,8192,x,bf16,690\n")
    with pytest.raises(PlannerError, match=r"mm\.csv, line 2: m, n, k and tflops must be numbers"):
        read_matmuls(path)


def setting() -> Any:
    saved = answer(gpu="h100-sxm5-80gb", framework="megatron", model="llama2-13b", tp=8, pp=1, dp=16, recompute="none")
    return run_of(saved.plan, saved.trained.model, CATALOG)


def bench(kind: str, ratio: float) -> Bench:
    s = setting().setting
    return Bench(kind, s.conditions.site, s.accelerator.id, 100.0 * ratio, 100.0, "GB/s", "what", "file")


@pytest.mark.parametrize("kind", ["network", "matmul"])
def test_a_slower_bench_makes_its_own_sites_runs_slower_and_nobody_elses(kind):
    run = setting()
    other = replace(run, setting=replace(run.setting, conditions=replace(run.setting.conditions, site="elsewhere")))
    slow = with_benches(CALIBRATION, [bench(kind, 0.5)])
    before, after = (step_seconds([run, other], each, corrected=False) for each in (CALIBRATION, slow))
    assert after[0] > before[0]
    assert after[1] == pytest.approx(before[1])


def test_a_bench_is_believed_in_part_and_its_spread_shrinks():
    found = with_benches(CALIBRATION, [bench("network", 0.5)])
    rule = found.rules["network"]
    ((name, spread),) = rule.measured.items()
    assert name == site_parameter("network", "own", "h100-sxm5-80gb")
    assert np.log(0.5) < rule.means[name] < 0.5 * np.log(0.5)
    assert 0 < spread < 0.1


def test_benches_are_written_and_read_alike_and_a_broken_table_is_named(tmp_path):
    path = tmp_path / "b.csv"
    path.write_text(bench_table([bench("network", 0.8), bench("matmul", 1.25)]))
    assert read_benches([path]) == [bench("network", 0.8), bench("matmul", 1.25)]
    path.write_text(path.read_text().replace("network", "disk"))
    with pytest.raises(PlannerError, match=r"b\.csv, line 2: kind must be one of network, matmul"):
        read_benches([path])


def test_the_model_has_a_collectives_rate_that_the_network_bounds():
    s = setting().setting
    whole = {"collective": "all_reduce", "local": 8, "size_bytes": 2**33}
    across = network_busbw(s.accelerator, s.hardware, CALIBRATION, ranks=16, **whole)
    slower = replace(s.hardware, network_gbit_per_s=s.hardware.network_gbit_per_s / 4)
    assert 0 < network_busbw(s.accelerator, slower, CALIBRATION, ranks=16, **whole) < across
