"""What the search's bounds rest on, held against the real performance room, catalog and frameworks."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.performance.arrays import Layouts, Setting
from planner.performance.kernels import KernelTimes, kernels_of
from planner.performance.loading import load_calibration
from planner.performance.memory import capacity_gib, memory
from planner.performance.steptime import message_s, scope, stage_s, step_of, step_time
from planner.search.batches import batch_space
from planner.search.layout_space import NEVER, LayoutSpace
from planner.search.layouts import layout_table
from planner.search.memory_relaxations import least_memory
from planner.search.run_length import Run
from planner.spec.hardware import Hardware
from planner.spec.scenario import BatchRamp, DataSource, IntChoice, LayoutBounds
from planner.units import PlannerError
from planner.workload import load_model
from planner.workload.dataset import run_length

CASES = [
    ("gpt-neox-20b", "gpt-neox", "a100-sxm4-40gb", 1600.0, "infiniband"),
    ("gpt3-13b", "megatron", "h100-sxm5-80gb", 3200.0, "efa"),
    ("llama3-8b", "fsdp", "h100-sxm5-80gb", None, "unknown"),
    ("mpt-7b", "fsdp", "h100-sxm5-80gb", 3200.0, "infiniband"),
    ("mixtral-8x7b", "megatron", "h200-sxm5-141gb", 3200.0, "roce"),
    ("gpt3-350m", "megatron", "a100-sxm4-80gb", 200.0, "ethernet"),
]
ROUNDING = 1.0 + 1e-9


@cache
def site_of(model: str, framework: str, gpu: str, network: float | None, fabric: str) -> LayoutSpace:
    accelerator = load_catalog().accelerator(gpu)
    hardware = Hardware(gpu, 8, 8, accelerator.link_gbyte_per_s, network, fabric)
    spec = load_model(model)
    setting = Setting(spec, 2048, "bf16", framework, "latest", accelerator, hardware)
    table = layout_table(framework, spec, 2048, 512, LayoutBounds(), "latest")
    length = run_length([DataSource("data", samples=10**6)], 2048, epochs=1)
    batches = batch_space(IntChoice(64, 1024), IntChoice(), None)
    calibration = load_calibration()
    numbers, capacity = scope(setting, calibration), capacity_gib(setting)
    return LayoutSpace(setting, calibration, numbers, capacity, table, batches, Run(length))


@pytest.fixture(scope="module", params=CASES, ids=lambda case: "-".join(map(str, case[:3])))
def site(request: pytest.FixtureRequest) -> LayoutSpace:
    return site_of(*request.param)


def some_layouts(site: LayoutSpace, count: int = 4000) -> tuple[np.ndarray, Layouts]:
    rng = np.random.default_rng(7)
    row = rng.integers(0, len(site.table), count)
    dp = site.table.dp_multiple[row] * rng.integers(1, 9, count)
    micro = rng.integers(1, 17, count)
    grad_accum = np.where(site.table.group[row] > 1, site.table.group[row] * rng.integers(1, 5, count), 0)
    grad_accum = np.where(grad_accum > 0, grad_accum, rng.integers(1, 65, count))
    return row, site.table.layouts(row, dp, micro, grad_accum)


def kernels(site: LayoutSpace, x: Layouts, micro: np.ndarray) -> KernelTimes:
    return kernels_of(site.scope, x.tp, x.cp, x.ep, x.sequence_parallel, x.recompute, micro)


def seconds(site: LayoutSpace, x: Layouts) -> np.ndarray:
    sizes = (x.pp, x.vpp, x.dp, x.zero_stage, x.grad_accum)
    return step_of(site.scope, kernels(site, x, x.micro_batch), *sizes, site.factor(x.gpus)).total_s


def with_(x: Layouts, **changes: np.ndarray) -> Layouts:
    return Layouts(**({name: getattr(x, name) for name in Layouts.__slots__} | changes))


def test_a_kernel_is_never_slower_a_sequence_in_a_larger_micro_batch(site: LayoutSpace) -> None:
    _, x = some_layouts(site)
    busy = [
        kernels(site, x, size).busy_s / size
        for size in (x.micro_batch, x.micro_batch + 1, 2 * x.micro_batch, 5 * x.micro_batch)
    ]
    for smaller, larger in itertools.pairwise(busy):
        assert np.all(larger <= smaller * ROUNDING)


def test_a_step_is_never_shorter_than_its_bound(site: LayoutSpace) -> None:
    _, x = some_layouts(site)
    busy = kernels(site, x, x.micro_batch).busy_s
    bound = site.factor(x.gpus) * busy / x.pp * (x.grad_accum + (x.pp - 1) / x.vpp)
    assert np.all(seconds(site, x) * ROUNDING >= bound)


def test_stages_and_messages_are_never_slower_a_sequence_in_a_larger_micro_batch(site: LayoutSpace) -> None:
    _, x = some_layouts(site)
    sizes = (x.micro_batch, x.micro_batch + 1, 2 * x.micro_batch, 5 * x.micro_batch)
    found = []
    for size in sizes:
        each = kernels(site, x, size)
        parts = (*stage_s(site.scope, each, x.pp, x.vpp), message_s(site.scope, each, x.gpus))
        found.append([part / size for part in parts])
    for smaller, larger in itertools.pairwise(found):
        assert all(np.all(more <= less * ROUNDING) for less, more in zip(smaller, larger, strict=True))
    for one in found:
        assert np.allclose(one[2], found[0][2], rtol=1e-12)


@pytest.mark.parametrize("shard_group", [False, True])
def test_a_step_is_never_shorter_than_its_stages_messages_and_traffic(site: LayoutSpace, shard_group: bool) -> None:
    row, x = some_layouts(site)
    each = kernels(site, x, x.micro_batch)
    instances = x.dp // site.table.dp_multiple[row] if shard_group else np.ones_like(x.dp)
    slow, fill = stage_s(site.scope, each, x.pp, x.vpp)
    passed = np.where(x.pp > 1, 2.0 * x.vpp * message_s(site.scope, each, x.gpus), 0.0)
    factor, sizes = site.factor(x.gpus), (x.pp, x.vpp, x.dp, x.zero_stage, x.grad_accum)
    step = step_of(site.in_groups(row, x.dp, instances), each, *sizes, factor).total_s
    for larger in (x.micro_batch, 4 * x.micro_batch):
        beside = site.outside_pipeline_s(kernels(site, x, larger), row, x.dp, instances)
        bound = factor * (x.grad_accum * (slow + passed) + fill + beside)
        assert np.all(step * ROUNDING >= bound)
        if larger is x.micro_batch:  # and is near it, without ZeRO's traffic of every micro-batch and full pipelines
            usual = (x.zero_stage < 2) & (x.pp <= 2)
            assert not usual.any() or np.median((bound / step)[usual]) > 0.99


def test_more_micro_batches_make_a_step_longer_and_each_of_them_no_dearer(site: LayoutSpace) -> None:
    _, x = some_layouts(site)
    more = with_(x, grad_accum=2 * x.grad_accum)
    step, longer = seconds(site, x), seconds(site, more)
    assert np.all(longer >= step)
    assert np.all(longer / more.grad_accum <= step / x.grad_accum * ROUNDING)


@pytest.mark.parametrize("times", [1.05, 2.0])
def test_a_slower_network_never_makes_a_kernel_or_a_step_faster(site: LayoutSpace, times: float) -> None:
    _, x = some_layouts(site, 1000)
    setting, hardware = site.setting, site.setting.hardware
    if hardware.network_gbit_per_s is None:
        return
    network = hardware.network_gbit_per_s * times
    faster = site_of(setting.model.name, setting.framework, hardware.gpu, network, hardware.fabric)
    assert np.all(kernels(faster, x, x.micro_batch).busy_s <= kernels(site, x, x.micro_batch).busy_s * ROUNDING)
    for many in (x, with_(x, dp=64 * x.dp)):
        assert np.all(seconds(faster, many) <= seconds(site, many) * ROUNDING)


def test_memory_is_the_line_that_the_search_takes_it_for(site: LayoutSpace) -> None:
    row, x = some_layouts(site)
    one = np.ones_like(row)
    base, each = site.memory_line(row, x.dp, x.grad_accum, one)
    total = memory(site.setting, x).total
    fits = base < NEVER
    assert np.allclose((base + each * x.micro_batch)[fits], total[fits], rtol=1e-12)
    assert np.all(total[~fits] > site.capacity_gib)
    full = np.where(x.vpp > 1, 2 * x.pp, x.pp)
    at_full, beyond = (site.memory_line(row, x.dp, m, one) for m in (full, 7 * full))
    assert np.array_equal(at_full[1], beyond[1])
    assert np.array_equal(at_full[0], beyond[0])
    fewer = site.memory_line(row, x.dp, np.maximum(x.grad_accum // 2, 1), one)
    assert np.all(fewer[1] <= each * ROUNDING)


def test_the_search_evaluates_what_predict_would(site: LayoutSpace) -> None:
    _, x = some_layouts(site, 500)
    assert np.allclose(seconds(site, x), step_time(site.setting, x, load_calibration()).total_s, rtol=1e-12)


@pytest.mark.parametrize(
    ("batch", "micro", "ramp"),
    [
        (IntChoice(5, 60), IntChoice(), None),
        (IntChoice(8, 96, multiple_of=12), IntChoice(maximum=6), None),
        (IntChoice(values=(24, 36, 50)), IntChoice(values=(1, 3, 5)), None),
        (IntChoice(16, 64), IntChoice(multiple_of=2), BatchRamp(16, 8, 1000)),
    ],
)
def test_ways_to_cut_a_batch_are_counted_in_closed_form(
    batch: IntChoice, micro: IntChoice, ramp: BatchRamp | None
) -> None:
    space = batch_space(batch, micro, ramp)
    top = space.high
    for unit in (1, 2, 3, 4, 6, 8, 16, 40, 200):
        known = [
            (m, total)
            for m in range(1, top + 1)
            for total in range(1, top + 1)
            if total % (m * unit) == 0
            and (batch.allows(total) and total >= space.low)
            and micro.allows(m)
            and (ramp is None or (total - ramp.start) % ramp.increment == 0 and total >= ramp.start)
            and (ramp is None or (ramp.start % (m * unit) == 0 and ramp.increment % (m * unit) == 0))
        ]
        assert int(space.ways(np.array([unit]))[0]) == len(known)
        for most in (0, 1, 3, top):
            assert int(space.ways(np.array([unit]), np.array([most]))[0]) == sum(m <= most for m, _ in known)
        sizes = np.arange(1, top + 1)[space.allows_micro(np.arange(1, top + 1))]
        which, every = space.all(sizes * unit)
        assert sorted(zip(sizes[which].tolist(), every.tolist(), strict=True)) == sorted(known)


def test_a_batch_that_nothing_allows_is_one_sentence() -> None:
    with pytest.raises(PlannerError, match="global_batch"):
        batch_space(IntChoice(10, 11, multiple_of=7), IntChoice(), None)
    with pytest.raises(PlannerError, match="batch_ramp"):
        batch_space(IntChoice(10, 20), IntChoice(), BatchRamp(32, 32, 1000))
    with pytest.raises(PlannerError, match="give a smaller max"):
        batch_space(IntChoice(1, 10_000_000), IntChoice(), None)


def test_no_candidate_needs_less_memory_than_the_least_that_is_told(site: LayoutSpace) -> None:
    t, gpus = site.table, 32
    found = least_memory(site, gpus)
    assert found is not None
    least, row, dp, micro = found
    rows, ranks = t.on(gpus, site.dp, site.batches)
    rng = np.random.default_rng(3)
    at = rng.integers(0, len(rows), 5000)
    size = rng.choice([1, 1, 2, 3, 4, 8], len(at))
    cut = size * ranks[at] * t.group[rows[at]]
    batch = site.batches.edge(cut, smallest=True)
    at, size, batch = at[batch > 0], size[batch > 0], batch[batch > 0]
    i, n = rows[at], ranks[at]
    base, each, step = site.memory_parts(i, n, batch // (size * n), np.ones_like(i))
    assert np.all(np.maximum(base + each * size, step) >= least / ROUNDING)
    one = np.array([row]), np.array([dp])
    (alone,) = batch_of = site.batches.edge(np.array([micro * dp * int(t.group[row])]), smallest=True)
    assert alone > 0
    base, each, step = site.memory_parts(*one, batch_of // (micro * dp), np.ones(1, dtype=np.int64))
    assert max(float(base[0] + each[0] * micro), float(step[0])) == pytest.approx(least)
