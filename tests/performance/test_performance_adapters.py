"""Memory and time of runs that train adapters alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.performance.arrays import Layouts, Memory, Setting
from planner.performance.intervals import basis, spread
from planner.performance.loading import load_calibration
from planner.performance.memory import memory, memory_affine
from planner.performance.refit import learn
from planner.performance.rows import layouts_of, read_run
from planner.performance.steptime import step_time
from planner.units import PlannerError
from planner.workload.adapters import NF4_BYTES, adapter_counts
from planner.workload.counts import parameter_counts

GIB = 2.0**30
RUN = {
    "model": "llama3-8b", "framework": "deepspeed", "seq_len": "2048", "gpu": "a100-sxm4-80gb", "gpus": "4",
    "micro_batch": "2", "global_batch_samples": "64", "precision": "bf16", "zero_or_fsdp": "zero1",
    "recompute": "full",
}  # fmt: skip


def read(**cells: str) -> tuple[Setting, Layouts]:
    run = read_run(RUN | cells, load_catalog(), "row")
    return run.setting, layouts_of([run])


def held(**cells: str) -> Memory:
    return memory(*read(**cells))


def terms(**cells: str) -> dict[str, float]:
    return {name: float(value[0]) for name, value in step_time(*read(**cells), load_calibration()).terms_s.items()}


def test_states_are_of_adapters_and_frozen_weights_in_16_bits() -> None:
    setting, _ = read(adapter="lora", lora_r="16")
    total = parameter_counts(setting.model).total
    own = adapter_counts(setting.model, setting.conditions.adapter).total  # type: ignore[arg-type]
    found = held(adapter="lora", lora_r="16")
    assert found.weights[0] * GIB == pytest.approx(2 * (total + own), rel=1e-6)
    assert found.gradients[0] * GIB == pytest.approx(2 * own, rel=1e-6)
    assert found.optimizer[0] * GIB == pytest.approx(12 * own / 4, rel=1e-6)  # ZeRO 1 over four ranks
    assert held().total[0] > found.total[0] + 45


def test_qlora_keeps_matrices_in_nf4_and_the_rest_in_fp32() -> None:
    setting, _ = read(adapter="qlora", lora_r="16")
    counts = parameter_counts(setting.model)
    rest = counts.embedding + counts.head + counts.final_norm + 32 * counts.norms
    own = adapter_counts(setting.model, setting.conditions.adapter).total  # type: ignore[arg-type]
    by_hand = NF4_BYTES * (counts.total - rest) + 4 * rest + 2 * own
    assert held(adapter="qlora", lora_r="16").weights[0] * GIB == pytest.approx(by_hand, rel=1e-3)
    assert pytest.approx((4 + 0.127) / 8, abs=1e-4) == NF4_BYTES  # QLoRA, section 3: 0.127 bits a parameter


@pytest.mark.parametrize(
    ("run", "published_gb"),
    [  # peft docs/source/accelerate/deepspeed.md: Llama-2-70B, memory consumed a GPU
        (("lora", "h100-sxm5-80gb", 8, 8), 64.0),
        (("qlora", "a100-sxm4-40gb", 2, 2), 36.6),
    ],
)
def test_memory_is_near_what_was_published(run: tuple[str, str, int, int], published_gb: float) -> None:
    method, gpu, gpus, micro = run
    cells = {"adapter": method, "gpu": gpu, "gpus": str(gpus), "micro_batch": str(micro)}
    cells["global_batch_samples"] = str(gpus * micro)
    found = held(model="llama2-70b", zero_or_fsdp="zero3", lora_r="8", **cells).total[0] * GIB / 1e9
    assert 0.85 * published_gb < found < 1.1 * published_gb


@pytest.mark.parametrize("method", ["lora", "qlora"])
@pytest.mark.parametrize("stage", ["zero1", "zero2", "zero3"])
@pytest.mark.parametrize("model", ["llama3-8b", "mixtral-8x7b"])
def test_the_search_reckons_the_memory_that_a_plan_states(method: str, stage: str, model: str) -> None:
    setting, x = read(adapter=method, zero_or_fsdp=stage, model=model)
    base, each, step = memory_affine(
        setting, x.tp, x.pp, x.vpp, x.cp, x.ep, x.zero_stage, x.sequence_parallel, x.recompute, x.dp, x.grad_accum
    )
    assert memory(setting, x).total == pytest.approx(np.maximum(base + each * x.micro_batch, step))


def test_memory_never_rises_with_the_stage_and_grows_with_the_rank() -> None:
    totals = [held(adapter="lora", zero_or_fsdp=stage).total[0] for stage in ("zero1", "zero2", "zero3")]
    assert totals == sorted(totals, reverse=True)
    assert held(adapter="lora", lora_r="64").total[0] > held(adapter="lora", lora_r="8").total[0]
    assert held(adapter="qlora").total[0] < held(adapter="lora").total[0]


def test_a_step_computes_no_gradients_of_frozen_weights_and_pays_for_adapters() -> None:
    whole, lora, qlora = terms(), terms(adapter="lora"), terms(adapter="qlora")
    assert lora["matmul"] == pytest.approx(whole["matmul"] * 3 / 4, rel=0.02)  # with recompute 4 passes are 3
    assert lora["adapters"] > 0 == lora["dequantisation"] < qlora["dequantisation"]
    assert "adapters" not in whole
    assert lora["data_parallel"] < 0.05 * whole["data_parallel"]  # gradients of adapters alone
    assert lora["optimizer"] < 0.05 * whole["optimizer"]


def test_zero_3_gathers_frozen_weights_as_they_are_kept() -> None:
    far = {"zero_or_fsdp": "zero3", "gpus": "16", "gpus_per_node": "8", "network_gbit_per_s_per_node": "100"}
    lora, qlora = terms(adapter="lora", **far), terms(adapter="qlora", **far)
    assert 0 < qlora["data_parallel"] < lora["data_parallel"]


def test_dequantisation_is_paid_a_micro_batch_whatever_its_size() -> None:
    one, two = (terms(adapter="qlora", micro_batch=size)["dequantisation"] for size in ("1", "2"))
    assert one == pytest.approx(2 * two, rel=0.05)


def test_more_recompute_and_a_higher_rank_are_never_faster() -> None:
    for changed, plain in (({"lora_r": "64"}, {"lora_r": "8"}), ({"recompute": "full"}, {"recompute": "none"})):
        assert sum(terms(adapter="qlora", **changed).values()) > sum(terms(adapter="qlora", **plain).values())


@pytest.mark.parametrize(("method", "factor"), [("lora", 1.5), ("qlora", 2.0)])
def test_it_is_modelled_and_its_range_is_wider_by_a_factor_set_by_hand(method: str, factor: float) -> None:
    calibration, gpus = load_calibration(), np.array([4])
    (setting, _), (whole, _) = read(adapter=method), read()
    assert basis(setting, 4, calibration) == ("modelled", [])
    wide, narrow = (spread(s, gpus, calibration).sigma[0] for s in (setting, whole))
    assert np.exp(1.2816 * np.sqrt(wide**2 - narrow**2)) == pytest.approx(factor, rel=1e-3)


def test_without_adapters_nothing_changes() -> None:
    setting, layouts = read()
    same = replace(setting, conditions=replace(setting.conditions, adapter=None))
    assert memory(same, layouts).total == memory(setting, layouts).total


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({"adapter": "dora"}, "adapter 'dora' must be one of none, lora, qlora"),
        ({"lora_r": "8"}, "lora_r is of an adapter: write lora or qlora into adapter, too"),
        ({"adapter": "lora", "lora_target_modules": "foo"}, "lora_target_modules: llama3-8b has no `foo`"),
    ],
)
def test_a_row_that_is_wrong_says_so(cells: dict[str, str], said: str) -> None:
    with pytest.raises(PlannerError, match=said):
        read(**cells)


def test_runs_that_trained_adapters_teach_nothing_of_others() -> None:
    calibration = load_calibration()
    run = read_run(RUN | {"adapter": "lora", "tokens_per_s_per_gpu": "1000"}, load_catalog(), "row")
    assert learn([run], calibration, calibration) is calibration
