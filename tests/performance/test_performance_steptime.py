"""The step-time model: published figures, and the properties on which the search's bounds rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.catalog import load_catalog
from planner.performance.arrays import Layouts, Setting
from planner.performance.loading import load_calibration
from planner.performance.machine import GRID, as_of_port, link_share, log_shares, machine_numbers, neighbours
from planner.performance.predict import predict_run
from planner.performance.rows import read_run
from planner.performance.shapes import forward_flops, model_numbers
from planner.performance.steptime import kernels_of, scope, slowest_stage, step_time
from planner.spec.hardware import Hardware
from planner.workload import flops_per_token, load_model

CALIBRATION = load_calibration()
PARTS = {
    "a100-sxm4-40gb": Hardware("a100-sxm4-40gb", 8, 8, 300.0, 1600.0, "infiniband"),
    "h100-sxm5-80gb": Hardware("h100-sxm5-80gb", 8, 8, 450.0, 3200.0, "infiniband"),
    "gb200-nvl72": Hardware("gb200-nvl72", 4, 72, 900.0, 1600.0, "infiniband"),
    "mi300x-192gb": Hardware("mi300x-192gb", 8, 8, 448.0, 3200.0, "roce"),
    "l40s-48gb": Hardware("l40s-48gb", 8, 1, 32.0, 400.0, "ethernet"),
}
MODELS = ("gpt-neox-20b", "llama3-8b", "qwen3-30b-a3b", "deepseekv3", "gpt-oss-120b", "pythia-70m")
STACKS = (("gpt-neox", "1.0"), ("gpt-neox", ""), ("megatron", "26.04"), ("fsdp", ""), ("megatron", "core 0.5"))


def setting(model: str, gpu: str, stack: tuple[str, str], seq_length: int = 2048, precision: str = "bf16") -> Setting:
    part = load_catalog().accelerator(gpu)
    return Setting(load_model(model), seq_length, precision, stack[0], stack[1], part, PARTS[gpu])


def layouts(**fields: object) -> Layouts:
    default = {"tp": 1, "pp": 1, "vpp": 1, "dp": 1, "cp": 1, "ep": 1, "zero_stage": 1, "recompute": 0}
    given_ = default | {"sequence_parallel": False, "micro_batch": 1, "grad_accum": 1} | fields
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(given_[name])) for name in Layouts.__slots__))
    return Layouts(*(a.copy() for a in arrays))


SETTINGS = st.builds(
    setting,
    st.sampled_from(MODELS),
    st.sampled_from(sorted(PARTS)),
    st.sampled_from(STACKS),
    st.sampled_from([512, 2048, 8192]),
    st.sampled_from(["bf16", "fp16", "fp8"]),
)
POWERS = st.sampled_from([1, 2, 4, 8])
LAYOUTS = st.fixed_dictionaries(
    {
        "tp": POWERS,
        "pp": POWERS,
        "vpp": st.sampled_from([1, 2]),
        "dp": st.sampled_from([1, 2, 16, 64]),
        "cp": st.sampled_from([1, 2]),
        "zero_stage": st.integers(0, 3),
        "sequence_parallel": st.booleans(),
        "recompute": st.integers(0, 2),
        "micro_batch": POWERS,
        "grad_accum": st.integers(1, 64),
    }
)


def test_gpt_neox_20b_as_trained_runs_at_its_published_rate() -> None:
    """117 hardware TFLOP/s a GPU on 96 A100-40GB (Black et al. 2022), which is 47.66 s a step; it is in no fit."""
    run = setting("gpt-neox-20b", "a100-sxm4-40gb", ("gpt-neox", "1.0"), precision="fp16")
    step = step_time(run, layouts(tp=2, pp=4, dp=12, micro_batch=4, grad_accum=32, recompute=2), CALIBRATION)
    assert 117 * 47.66 / step.total_s[0] == pytest.approx(117, rel=0.10)


@settings(max_examples=60, deadline=None)
@given(SETTINGS, LAYOUTS)
def test_terms_are_not_negative_and_add_up(s: Setting, layout: dict[str, object]) -> None:
    step = step_time(s, layouts(**layout), CALIBRATION)
    assert all(np.all(term >= 0) for term in step.terms_s.values())
    assert sum(float(term[0]) for term in step.terms_s.values()) == pytest.approx(step.total_s[0], rel=1e-9)
    assert np.isfinite(step.total_s).all()


@settings(max_examples=60, deadline=None)
@given(SETTINGS, LAYOUTS)
def test_more_micro_batches_never_make_one_dearer(s: Setting, layout: dict[str, object]) -> None:
    m = np.asarray([1, 2, 3, 7, 8, 50, 51, 400])
    each = step_time(s, layouts(**layout | {"grad_accum": m}), CALIBRATION).total_s / m
    assert np.all(np.diff(each) <= 1e-12 * each[:-1])


@settings(max_examples=60, deadline=None)
@given(SETTINGS, LAYOUTS)
def test_a_step_is_not_shorter_than_its_micro_batches_on_the_slowest_stage(
    s: Setting, layout: dict[str, object]
) -> None:
    x = layouts(**layout)
    kernels = kernels_of(
        scope(s, CALIBRATION), x.tp, x.cp, x.ep, x.sequence_parallel, x.recompute, x.micro_batch, gpus=x.gpus
    )
    total = step_time(s, x, CALIBRATION).total_s
    slow = slowest_stage(kernels, float(s.model.layers), x.pp, x.vpp)
    assert np.all(total >= x.grad_accum * slow * CALIBRATION.correction(s, x.gpus) * (1 - 1e-12))
    assert np.all(slow >= kernels.busy_s / x.pp * (1 - 1e-12))


@settings(max_examples=40, deadline=None)
@given(SETTINGS, LAYOUTS)
def test_recomputing_more_never_makes_a_step_shorter(s: Setting, layout: dict[str, object]) -> None:
    total = step_time(s, layouts(**layout | {"recompute": np.arange(3)}), CALIBRATION).total_s
    assert np.all(np.diff(total) >= -1e-12 * total[:-1])


@settings(max_examples=40, deadline=None)
@given(SETTINGS, LAYOUTS)
def test_nothing_runs_faster_than_the_best_matmul_that_was_measured(s: Setting, layout: dict[str, object]) -> None:
    x = layouts(**layout | {"recompute": 0})
    step = step_time(s, x, CALIBRATION).total_s
    machine = machine_numbers(s.accelerator, s.hardware, s.precision, CALIBRATION.shares, CALIBRATION.curves)
    work = 3 * forward_flops(model_numbers(s.model), s.seq_length) * x.global_batch * s.seq_length / x.gpus
    assert np.all(work / step <= machine.ceiling)


def test_a_layout_costs_the_same_alone_and_among_others() -> None:
    s = setting("llama3-8b", "h100-sxm5-80gb", ("megatron", "26.04"))
    many = layouts(tp=[1, 2, 4, 8], dp=[8, 4, 2, 1], micro_batch=[1, 2, 1, 4], grad_accum=4)
    together = step_time(s, many, CALIBRATION).total_s
    alone = [step_time(s, many.take(np.asarray([i])), CALIBRATION).total_s[0] for i in range(4)]
    assert together == pytest.approx(alone, rel=1e-12)


@pytest.mark.parametrize("model", ["llama3-8b", "deepseekv3", "qwen3-235b-a22b", "kimi-k2", "gpt-oss-120b"])
def test_flops_counted_are_those_of_the_workload(model: str) -> None:
    """One count in two places: the step-time's own, by operands, and the workload's."""
    spec = load_model(model)
    counted = 3 * forward_flops(model_numbers(spec), 4096)
    assert counted == pytest.approx(flops_per_token(spec, 4096).training, rel=0.02)


def test_curves_are_read_between_their_points() -> None:
    rising = np.linspace(0.1, 1.0, GRID)
    curve = log_shares(rising)
    assert link_share(curve, np.asarray([2.0**15, 2.0**16]))[1] == pytest.approx(rising[1])
    assert link_share(curve, np.asarray([1.0]))[0] == pytest.approx(rising[0])
    assert np.all(np.diff(link_share(curve, 2.0 ** np.linspace(15, 33, 50))) >= 0)


def test_a_larger_message_and_a_slower_port_take_no_less_time() -> None:
    steep = log_shares(10.0 ** np.linspace(-6, 0, GRID))  # nearly twice the share for half an octave more
    sizes = 2.0 ** np.linspace(10, 36, 400)
    seconds = sizes / link_share(steep, sizes)
    assert np.all(seconds[1:] >= seconds[:-1] * (1 - 1e-12))
    ports = np.geomspace(1e9, 400e9, 400)
    for size in (1e4, 1e6, 1e8):
        seconds = size / (ports * link_share(steep, size * as_of_port(ports)))
        assert np.all(seconds[1:] <= seconds[:-1] * (1 + 1e-12))


def test_two_gpus_of_a_mesh_share_one_wire_and_eight_share_all() -> None:
    """MI300X: 47.7 GB/s of all-reduce bus bandwidth for 2 GPUs, 312.9 for 8 (catalogs/fabrics/in_box_widths.csv)."""
    s = setting("llama3-8b", "mi300x-192gb", ("megatron", "26.04"))
    terms = step_time(s, layouts(tp=[2, 8], sequence_parallel=True), CALIBRATION).terms_s["tensor_parallel"]
    per_byte = terms / np.asarray([1 / 2, 7 / 8])
    assert 4 < per_byte[0] / per_byte[1] <= 7.5


def test_a_domain_of_a_rack_has_switches_whoever_makes_it() -> None:
    """MI455X: 72 of a rack, whose pairs nobody wires one by one; a group of four has a link's whole rate."""
    part = load_catalog().accelerator("mi455x-432gb")
    s = replace(setting("llama3-8b", "mi300x-192gb", ("megatron", "26.04")), accelerator=part)
    rack = replace(s, hardware=Hardware(part.id, 8, part.scale_up_domain, part.link_gbyte_per_s, 3200.0, "roce"))
    numbers = CALIBRATION.machine_numbers(rack)
    assert (numbers.pair, numbers.switched) == (numbers.link, 1.0)


def test_small_groups_get_less_of_a_switch() -> None:
    """All-reduces of four H200 reach 0.77 of those of eight (catalogs/fabrics/in_box_widths.csv)."""
    s = setting("gpt-neox-20b", "h100-sxm5-80gb", ("gpt-neox", ""))
    x = layouts(tp=[2, 4, 8], micro_batch=16, sequence_parallel=False)
    terms = step_time(s, x, CALIBRATION).terms_s["tensor_parallel"]
    bandwidth = np.asarray([1 / 2, 3 / 4, 7 / 8]) / terms
    assert np.all(np.diff(bandwidth) > 0)
    assert 0.65 < bandwidth[1] / bandwidth[2] < 0.9


def test_larger_messages_and_fewer_hops_are_never_slower_per_byte() -> None:
    s = setting("llama3-8b", "h100-sxm5-80gb", ("megatron", "26.04"))
    near = replace(s, hardware=replace(s.hardware, scale_up_domain=64, gpus_per_node=64))
    x = layouts(tp=8, pp=1, dp=8, micro_batch=1, grad_accum=8)
    assert step_time(near, x, CALIBRATION).total_s <= step_time(s, x, CALIBRATION).total_s


@pytest.mark.parametrize("parallel", [True, False])
def test_tensor_parallel_over_nodes_takes_no_less_than_its_bytes_at_the_ports_rate(parallel: bool) -> None:
    s = setting("llama3-8b", "h100-sxm5-80gb", ("megatron", "26.04"))
    sizes = np.asarray([8, 16, 32])
    x = layouts(tp=sizes, dp=2, micro_batch=4, sequence_parallel=parallel)
    terms = step_time(s, x, CALIBRATION).terms_s["tensor_parallel"]
    passed = 4 * 32 * (2 * 4 * 2048 * 4096)  # all-reduces of 32 layers, bytes
    node = 8 * 50e9  # bytes a second: eight ports of 400 Gbit/s
    over = 2 * passed * (sizes - 8) / sizes / node
    assert np.all(terms >= over)
    assert np.all(terms[1:] > 1.2 * terms[0])


def test_a_group_inside_a_node_is_charged_the_link_and_one_that_straddles_nodes_the_network() -> None:
    """On nodes of 8 the second of three groups of 6 or of 3 lies on two; of one of 12 a node may hold but 4."""
    node, rack = (
        CALIBRATION.machine_numbers(setting("llama3-8b", gpu, ("megatron", "")))
        for gpu in ("h100-sxm5-80gb", "gb200-nvl72")
    )
    assert neighbours(node, np.asarray([1, 2, 3, 4, 6, 8, 12, 16])).tolist() == [1, 2, 1, 4, 2, 8, 4, 8]
    assert neighbours(rack, np.asarray([2, 3, 5, 8, 36, 72, 144])).tolist() == [2, 3, 1, 8, 36, 72, 72]


@pytest.mark.parametrize("key", ["tp", "cp", "ep"])
def test_a_straddling_group_takes_longer_than_a_larger_one_that_fills_a_node(key: str) -> None:
    s = setting("deepseekv3", "h100-sxm5-80gb", ("megatron", "26.04"))
    term = {"tp": "tensor_parallel", "cp": "context_parallel", "ep": "expert_parallel"}[key]
    x = layouts(**{key: [6, 8]}, dp=24, micro_batch=8)
    straddling, filling = step_time(s, x, CALIBRATION).terms_s[term]
    assert straddling > filling


def test_a_run_on_part_of_a_node_never_meets_the_network() -> None:
    s = setting("llama3-8b", "h100-sxm5-80gb", ("megatron", "26.04"))
    slower = replace(s, hardware=replace(s.hardware, network_gbit_per_s=32.0))
    for x in (layouts(tp=6, micro_batch=8), layouts(cp=3, dp=2, micro_batch=8)):
        assert step_time(slower, x, CALIBRATION).total_s == step_time(s, x, CALIBRATION).total_s


def test_no_interval_promises_more_than_the_part_can_do() -> None:
    """With a spread as wide as you like the upper end stays where matmuls and attention alone would fill the step."""
    row = {
        "framework": "megatron", "model": "llama3-70b", "gpu": "h100-sxm5-80gb", "gpus": "64", "tp": "8", "pp": "4",
        "seq_len": "8192", "micro_batch": "1", "global_batch_samples": "512", "precision": "bf16",
    }  # fmt: skip
    wide = replace(CALIBRATION, spreads={**CALIBRATION.spreads, "scale": 10.0})
    found = predict_run(read_run(row, load_catalog(), "row"), wide)
    most = found.tokens_per_s_per_gpu * float(found.step.total_s[0] / found.step.least_s[0])
    assert found.low < found.tokens_per_s_per_gpu < found.high == pytest.approx(most)
