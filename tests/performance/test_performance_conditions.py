"""How a run was set up, beyond its layout: what is stated changes time and memory, and nothing else does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.performance.arrays import Conditions, Layouts, Setting
from planner.performance.loading import load_calibration
from planner.performance.memory import memory
from planner.performance.rows import read_run
from planner.performance.steptime import step_time

CATALOG = load_catalog()
RUN = {
    "model": "gpt-neox-20b", "framework": "gpt-neox", "seq_len": "2048", "gpu": "a100-sxm4-40gb", "gpus": "96",
    "tp": "2", "pp": "4", "dp": "12", "micro_batch": "4", "global_batch_samples": "1536", "precision": "fp16",
    "recompute": "none",
}  # fmt: skip


def setting(**conditions: object) -> Setting:
    gpu = str(conditions.pop("gpu", RUN["gpu"]))
    read = read_run(RUN | {"gpu": gpu}, CATALOG, "row").setting
    return replace(read, conditions=Conditions(**conditions))  # type: ignore[arg-type]


def layout(**changed: int) -> Layouts:
    values = {
        "tp": 2, "pp": 4, "vpp": 1, "dp": 12, "cp": 1, "ep": 1, "zero_stage": 1, "sequence_parallel": False,
        "recompute": 0, "micro_batch": 4, "grad_accum": 32,
    }  # fmt: skip
    return Layouts(**{key: np.array([value]) for key, value in (values | changed).items()})


def gib(of: Setting, **changed: int) -> float:
    return float(memory(of, layout(**changed)).total[0])


def seconds(of: Setting, **changed: int) -> float:
    return float(step_time(of, layout(**changed), load_calibration()).total_s[0])


def test_attention_that_writes_its_scores_takes_memory_and_time():
    assert gib(setting(flash_attention=False)) > gib(setting(flash_attention=True)) == gib(setting())
    assert seconds(setting(flash_attention=False)) > seconds(setting(flash_attention=True)) == seconds(setting())


def test_flash_attention_stated_of_an_old_release_is_as_that_of_a_new_one():
    old = replace(setting(flash_attention=True), release="1.0")
    assert gib(old) == gib(setting())
    assert gib(replace(setting(), release="1.0")) == gib(setting(flash_attention=False))


def test_a_part_without_flash_kernels_keeps_its_scores_whatever_is_stated():
    assert gib(setting(gpu="v100-sxm2-32gb", flash_attention=True)) == gib(setting(gpu="v100-sxm2-32gb"))
    assert gib(setting(gpu="v100-sxm2-32gb")) == pytest.approx(gib(setting(flash_attention=False)))


@pytest.mark.parametrize("flash", [True, False])
def test_full_recompute_of_some_layers_lies_between_that_of_none_and_of_all(flash):
    none, all_ = setting(flash_attention=flash), setting(flash_attention=flash, recompute_share=1.0)
    shares = [setting(flash_attention=flash, recompute_share=share) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    held = [gib(each, recompute=2) for each in shares]
    took = [seconds(each, recompute=2) for each in shares]
    assert held == sorted(held, reverse=True)
    assert took == sorted(took)
    assert held[0] == pytest.approx(gib(none))
    assert held[-1] == gib(all_, recompute=2) == gib(none, recompute=2)


def test_states_sharded_over_a_group_are_larger_than_over_all_ranks():
    whole, group = gib(setting(), zero_stage=1), gib(setting(shard_group=4), zero_stage=1)
    alone = gib(setting(shard_group=1), zero_stage=1)
    assert whole < group < alone == pytest.approx(gib(setting(), zero_stage=0), rel=0.02)
    assert gib(setting(shard_group=12)) == gib(setting(shard_group=64)) == whole


@pytest.mark.parametrize(
    ("gpus", "batch", "tp", "pp"),
    [(12, 5, 1, 3), (64, 4, 8, 2), (9, 2, 1, 9), (999_999_937, 4, 1, 999_999_937)],  # the last is a prime
)
def test_few_sequences_are_shared_by_the_least_gpus_that_divide_them(gpus: int, batch: int, tp: int, pp: int) -> None:
    open_layout = {key: text for key, text in RUN.items() if key not in ("tp", "pp", "dp", "cp", "micro_batch")}
    cells = open_layout | {"gpus": str(gpus), "global_batch_samples": str(batch)}
    run = read_run(cells, CATALOG, "row")
    assert (run.layout.tp, run.layout.pp, run.layout.dp) == (tp, pp, gpus // (tp * pp))
