"""What a step sends and loses, counted by hand: rings between nodes, FSDP's gathers, shared experts, small matmuls."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from test_performance_steptime import CALIBRATION, PARTS, layouts, setting

from planner.performance.arrays import Layouts, Setting
from planner.performance.memory import memory
from planner.performance.steptime import kernels_of, scope, step_time
from planner.workload import load_model
from planner.workload.counts import parameter_counts

LATEST = ("megatron", "")
PORT = 50e9  # bytes/s of each of the eight ports of PARTS' node with H100


def parts(s: Setting, x: Layouts) -> dict[str, float]:
    """Seconds of one micro-batch by name, as measured kernels have it: no correction is in."""
    axes = (x.tp, x.cp, x.ep, x.sequence_parallel, x.recompute, x.micro_batch)
    return {name: float(each[0]) for name, each in kernels_of(scope(s, CALIBRATION), *axes, parts=True).parts_s.items()}


def test_a_ring_of_single_gpus_between_nodes_has_one_port() -> None:
    s = setting("llama3-8b", "h100-sxm5-80gb", LATEST, 131_072)
    exposed = float(scope(s, CALIBRATION).rates.context)
    for cp in (16, 32):
        found = parts(s, layouts(cp=cp))
        # Keys and values of 8 heads of 128, two bytes each, go round the other ranks; forward and twice that backward.
        ring = 32 * 3 * (cp - 1) * (131_072 / cp) * 2 * 8 * 128 * 2 / PORT
        least, most = (exposed * r + max(r - 0.5 * found["attention"], 0.0) for r in (ring, 2.0 * ring))
        assert least <= found["context_parallel"] <= most  # a ring reaches half of its port and more
    inside = parts(s, layouts(cp=8))["context_parallel"]
    assert parts(s, layouts(cp=16))["context_parallel"] > 8 * inside


def test_fsdp_that_shards_gradients_alone_gathers_weights_before_every_forward_pass() -> None:
    hardware = replace(PARTS["h100-sxm5-80gb"], network_gbit_per_s=400.0)
    s = replace(setting("llama2-13b", "h100-sxm5-80gb", ("fsdp", ""), 2048), hardware=hardware)
    one, eight = (step_time(s, layouts(dp=64, zero_stage=2, grad_accum=n), CALIBRATION) for n in (1, 8))
    assert eight.terms_s["data_parallel"] == pytest.approx(8 * one.terms_s["data_parallel"], rel=0.05)
    weights = parameter_counts(s.model).total
    by_hand = 63 / 64 * weights * (2 + 4) / (400e9 / 8)  # weights gathered, fp32 gradients scattered, by a node's link
    assert one.terms_s["data_parallel"] == pytest.approx(by_hand, rel=0.5)


@pytest.mark.parametrize("dp", [8, 16])
def test_fp16_under_megatron_takes_the_bytes_that_its_page_states(dp: int) -> None:
    # docs/source of distrib_optimizer: 20 bytes a parameter, or 4 + 16 / d with the distributed optimizer.
    s = setting("gpt-neox-20b", "h100-sxm5-80gb", LATEST, precision="fp16")
    weights = parameter_counts(s.model, seq_length=2048).total / 8
    for stage, each in ((0, 20.0), (1, 4.0 + 16.0 / dp)):
        found = memory(s, layouts(tp=8, dp=dp, zero_stage=stage))
        held = float((found.weights + found.gradients + found.optimizer)[0]) * 2**30
        assert held / weights == pytest.approx(each, rel=5e-3)


@pytest.mark.parametrize("tp", [2, 4, 8])
def test_shared_experts_are_gathered_and_scattered_as_dense_layers_are(tp: int) -> None:
    model = load_model("deepseekv3")
    s = setting("deepseekv3", "h100-sxm5-80gb", LATEST, 4096, "fp8")
    assert model.moe is not None
    none = replace(s, model=replace(model, moe=replace(model.moe, shared_experts=0)))
    with_, without = (
        parts(each, layouts(tp=tp, ep=64, sequence_parallel=True))["tensor_parallel"] for each in (s, none)
    )
    dense = model.moe.first_dense_layers
    routed = model.layers + model.mtp_layers - dense
    # Four collectives a layer and way: two of attention, two of the MLP; routed experts have none.
    assert with_ / without == pytest.approx((8 * dense + 8 * routed) / (8 * dense + 4 * routed))


def test_a_matmul_whose_tiles_do_not_fill_the_gpu_is_slow() -> None:
    def share(width: int) -> float:
        """Of the ceiling, of a layer of four matmuls, each width x width on as many tokens."""
        plain = {"hidden": width, "ffn": width, "heads": 1, "kv_heads": 1, "head_dim": width, "layers": 1}
        model = replace(load_model("gpt-neox-20b"), gated_mlp=False, **plain)
        s = replace(setting("gpt-neox-20b", "h100-sxm5-80gb", LATEST, width), model=model)
        flops = 3 * 2 * 6 * width**3  # queries, keys, values, output, two of the MLP; both ways
        return flops / parts(s, layouts())["matmul"] / float(scope(s, CALIBRATION).machine.ceiling)

    # 512 cubed is 16 tiles of 128 x 128 for 132 multiprocessors: an eighth of them. Matmuls here are a little wider.
    assert share(512) < 2 * 16 / 132
    assert share(8192) > 0.6
    assert np.all(np.diff([share(width) for width in (256, 512, 1024, 2048, 4096, 8192)]) > 0)
