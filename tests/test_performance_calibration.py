"""Calibration: the stored fit is what the rows say, nothing predicts itself, own runs have the last word."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.performance.arrays import Setting
from planner.performance.calibration import (
    UserPoint,
    load_calibration,
    read_calibration,
    to_json,
    with_user_measurements,
)
from planner.performance.intervals import basis, spread
from planner.performance.learning import (
    by_configuration,
    digest,
    held_out,
    learn,
    log_errors,
    measured_files,
    read_runs,
    uncalibrated,
)
from planner.performance.overlays import add_rows, read_rows, refit
from planner.performance.predict import predict_rows
from planner.performance.rows import Run
from planner.performance.spreads import DOUBT, spreads, without
from planner.units import PlannerError

SHIPPED = load_calibration()
RUNS = read_runs(measured_files())
GPUS = np.asarray([8, 64, 256])


def like(run: Run, **changes: Any) -> Setting:
    return replace(run.setting, **changes)


def test_the_stored_fit_is_what_the_stored_rows_give() -> None:
    """`planner calibrate --rebuild` writes it. Started from the stored values, the fit must not move."""
    assert SHIPPED.digest == digest(measured_files()), "rows or priors changed: run `planner calibrate --rebuild`"
    prior = uncalibrated(load_catalog().curves)
    assert set(prior.curves) == set(SHIPPED.curves)
    assert all(np.allclose(prior.curves[name], curve, atol=1e-4) for name, curve in SHIPPED.curves.items())
    again = learn(RUNS, prior, SHIPPED.values)
    assert set(again.values) == set(SHIPPED.values)
    moved = np.abs(log_errors(RUNS, again) - log_errors(RUNS, SHIPPED))
    assert np.quantile(moved, 0.99) < 0.01


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    from planner.performance.calibration import dumps

    (tmp_path / "fit.json").write_text(dumps(to_json(SHIPPED)))
    again = read_calibration(tmp_path / "fit.json")
    assert to_json(again) == to_json(SHIPPED)


def test_a_row_left_out_is_predicted_as_if_it_had_never_been_measured() -> None:
    """Whatever its measured value: the prediction of a left-out row must not move with it."""
    runs = [r for r in RUNS if r.source == "vtrain-multi"]
    prior = uncalibrated(load_catalog().curves)
    target = runs[0]
    tokens = target.tokens_per_s_per_gpu
    assert tokens is not None
    doctored = [replace(r, tokens_per_s_per_gpu=3 * tokens) if r is target else r for r in runs]
    honest = held_out(runs, prior, by_configuration, [target]).errors[0] + np.log(target.step_s)
    fooled = held_out(doctored, prior, by_configuration, [doctored[0]]).errors[0] + np.log(doctored[0].step_s)
    assert fooled == pytest.approx(honest, abs=1e-3)


def test_a_run_far_off_its_like_teaches_nothing() -> None:
    """Some published runs are up to twice as slow as equal ones: the rates and the field must not follow them."""
    prior = uncalibrated(load_catalog().curves)
    some = [r for r in RUNS if r.source == "vtrain-multi"]
    odd = some[0]
    assert odd.tokens_per_s_per_gpu
    halved = [replace(odd, tokens_per_s_per_gpu=odd.tokens_per_s_per_gpu / 2), *some[1:]]
    plain, moved = learn(some, prior), learn(halved, prior)
    shift = np.abs(log_errors(some[1:], moved) - log_errors(some[1:], plain))
    assert np.median(shift) < 0.01
    assert abs(log_errors([odd], moved)[0] - log_errors([odd], plain)[0]) < 0.05 < np.log(2)


def test_configurations_in_other_releases_are_left_out_together() -> None:
    pair = [r for r in RUNS if r.setting.model.name == "kimi-k2"]
    assert len({r.setting.release for r in pair}) > 1
    assert len({by_configuration(r) for r in pair}) == 1


def test_the_users_own_run_holds_exactly_at_its_size_and_rescales_its_gpu() -> None:
    s = RUNS[-1].setting
    own = with_user_measurements(SHIPPED, [UserPoint(s.accelerator.id, 64, 1.25)])
    assert own.correction(s, GPUS) == pytest.approx(1.25 * SHIPPED.correction(s, GPUS))
    other = like(RUNS[0])
    assert other.accelerator.id != s.accelerator.id
    assert own.correction(other, GPUS) == pytest.approx(SHIPPED.correction(other, GPUS))
    assert basis(s, 64, own)[0] == "user"
    wide, narrow = spread(s, GPUS, SHIPPED).sigma, spread(s, GPUS, own).sigma
    assert np.all(narrow < wide)
    assert narrow[1] == narrow.min()


def test_between_two_own_runs_the_factor_is_between_theirs() -> None:
    s = RUNS[-1].setting
    points = [UserPoint(s.accelerator.id, 8, 1.0), UserPoint(s.accelerator.id, 128, 1.5)]
    own = with_user_measurements(SHIPPED, points)
    factors = own.correction(s, np.asarray([4, 8, 32, 128, 512])) / SHIPPED.correction(
        s, np.asarray([4, 8, 32, 128, 512])
    )
    assert factors[[0, 1, 3, 4]] == pytest.approx([1.0, 1.0, 1.5, 1.5])
    assert 1.0 < factors[2] < 1.5


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_own_run_is_refused(factor: float) -> None:
    with pytest.raises(PlannerError, match="above 0"):
        with_user_measurements(SHIPPED, [UserPoint("h100-sxm5-80gb", 64, factor)])


def test_spreads_widen_with_distance_from_what_was_measured() -> None:
    run = next(r for r in RUNS if r.setting.model.name == "mpt-7b" and r.setting.accelerator.id == "h100-sxm5-80gb")
    here = np.asarray([run.gpus])
    seen = spread(run.setting, here, SHIPPED).sigma[0]
    far = spread(run.setting, here * 256, SHIPPED).sigma[0]
    new_stack = spread(like(run, release="torch 2.9"), here, SHIPPED).sigma[0]
    part = load_catalog().accelerator("mi300x-192gb")
    new_family = spread(like(run, accelerator=part, release="torch 2.9"), here, SHIPPED).sigma[0]
    assert seen <= far < new_stack < new_family
    assert new_family > 0.25


def test_a_model_that_its_stack_never_ran_has_the_spread_of_models_left_out() -> None:
    run = next(
        r for r in RUNS if r.setting.model.name == "qwen3-235b-a22b" and r.setting.accelerator.id.startswith("b3")
    )
    met, size = run.setting, np.asarray([run.gpus])
    unmet = like(run, precision="bf16")  # a group that has no run, of a model that has
    strange = like(run, model=replace(met.model, name="someone-elses"))
    sigma = [spread(s, size, SHIPPED).sigma[0] for s in (met, unmet, strange)]
    assert sigma[0] < SHIPPED.spreads["group"]["megatron/moe"] * 1.001
    assert SHIPPED.spreads["group"]["megatron/moe"] * 0.999 <= sigma[1] < sigma[2]
    assert sigma[2] == pytest.approx(SHIPPED.spreads["model"]["megatron/moe"], rel=0.02)


def test_models_count_the_same_however_many_rows_they_have() -> None:
    """One model in ten may be far off, though most rows are its own, without a say in 80 %; three in ten may not."""
    place = SHIPPED.field.places[0]
    places = [replace(place, model=f"m{i}") for i in range(10) for _ in range(40 if i == 0 else 1)]
    names = np.asarray([p.model for p in places])

    def found(bad: tuple[str, ...]) -> float:
        far = np.where(np.isin(names, bad), 0.5, 0.01)
        near = np.full(len(names), 0.001)
        errors = {"configuration": near, "group": near, "model": far, "source": far}
        return spreads(places, errors)["model"][f"{place.stack}/{place.kind}"]

    assert found(("m0",)) == pytest.approx(0.01 / 1.2816 * (1.0 + DOUBT / np.sqrt(2 * 10)))
    assert found(("m1", "m2", "m3")) == pytest.approx(0.5 / 1.2816 * (1.0 + DOUBT / np.sqrt(2 * 10)))


def test_a_release_newer_than_all_measured_is_less_sure() -> None:
    run = next(r for r in RUNS if r.setting.model.moe and r.setting.release.startswith("26.08"))
    size = np.asarray([run.gpus])
    now, next_one, later = (
        spread(like(run, release=r), size, SHIPPED).sigma[0] for r in (run.setting.release, "26.10", "27.04")
    )
    assert now < next_one < later
    assert spread(like(run, release="25.11 NeMo Container"), size, SHIPPED).sigma[0] == pytest.approx(now)


def test_a_generation_of_a_measured_maker_is_less_strange_than_another_maker() -> None:
    """Blackwell as it looked before any run on it, beside a measured GPU and one of another maker."""
    run = next(r for r in RUNS if r.setting.accelerator.id == "b200-sxm6-180gb" and not r.setting.model.moe)
    old = {name: value for name, value in SHIPPED.values.items() if "b200" not in name and "blackwell" not in name}
    before, size = replace(SHIPPED, values=old), np.asarray([run.gpus])
    parts = [load_catalog().accelerator(name) for name in ("h100-sxm5-80gb", "b200-sxm6-180gb", "mi300x-192gb")]
    known, new, other = (
        spread(like(run, accelerator=part, framework="my-trainer"), size, before).sigma[0] for part in parts
    )
    assert known < new < other
    assert other**2 - known**2 > 10 * (new**2 - known**2)


def test_quantiles_of_a_spread_are_those_of_a_log_normal() -> None:
    s = spread(RUNS[0].setting, GPUS, SHIPPED)
    assert s.quantile(0.5) == pytest.approx(1.0)
    assert s.quantile(0.9) * s.quantile(0.1) == pytest.approx(1.0)
    assert np.all(s.quantile(0.95) > s.quantile(0.9))


def test_spreads_of_a_row_do_not_know_its_error() -> None:
    ids = [p.id for p in SHIPPED.field.places if p.stack == "megatron-deepspeed"][:20]
    label = "megatron-deepspeed/dense"
    assert without(SHIPPED, SHIPPED, ids).spreads["group"][label] != SHIPPED.spreads["group"][label]
    assert without(SHIPPED, SHIPPED, ()).spreads["group"][label] == pytest.approx(
        SHIPPED.spreads["group"][label], abs=2e-3
    )


def test_own_rows_of_a_new_stack_sharpen_predictions_of_it(tmp_path: Path) -> None:
    with (data_dir() / "measured" / "vtrain.csv").open(newline="") as file:
        rows = [row | {"framework": "my-trainer", "version_or_date": "7"} for row in csv.DictReader(file)]
    lines = refit(tmp_path, [tmp_path], add_rows(rows[::2], "mine", tmp_path))
    assert "now by" in lines[1]
    own = load_calibration((tmp_path,))
    asked = read_runs([tmp_path / "measured" / "mine.csv"])
    assert np.median(np.abs(log_errors(asked, own))) < 0.5 * np.median(np.abs(log_errors(asked, SHIPPED)))
    size = np.asarray([asked[0].gpus])
    here, new, unknown = (
        spread(setting, size, calibration).sigma[0]
        for setting, calibration in (
            (asked[0].setting, own),
            (like(asked[0], model=replace(asked[0].setting.model, name="another")), own),
            (asked[0].setting, SHIPPED),
        )
    )
    assert here < new < unknown
    assert len(read_rows(tmp_path / "measured" / "mine.csv")) == len(add_rows(rows[::2], "mine", tmp_path).runs)


def test_every_measured_row_is_predicted_and_fits() -> None:
    catalog = load_catalog()
    for path in measured_files():
        found = predict_rows(read_rows(path), catalog, SHIPPED, path.stem)
        assert all(
            float(row["pred_lo"]) < float(row["pred_tokens_per_s_per_gpu"]) < float(row["pred_hi"]) for row in found
        )
        assert sum(row["fits"] == "true" for row in found) >= 0.98 * len(found)


BASE = {
    "framework": "megatron",
    "model": "llama3-8b",
    "seq_len": "8192",
    "gpu": "h100-sxm5-80gb",
    "gpus": "16",
    "tp": "2",
    "pp": "1",
    "dp": "8",
    "micro_batch": "1",
    "global_batch_samples": "128",
    "precision": "bf16",
}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"gpu": "h9000"}, "not in the catalog"),
        ({"gpus": "15"}, "is not 15 GPUs"),
        ({"global_batch_samples": "130"}, "does not divide"),
        ({"global_batch_samples": "4"}, "less than"),
        ({"seq_len": ""}, "seq_len is empty"),
        ({"tp": "two"}, "must be a whole number"),
        ({"precision": "int3"}, "precision 'int3'"),
        ({"model": "nobody-knows"}, "n_layers"),
    ],
)
def test_what_cannot_be_predicted_says_why(changes: dict[str, str], why: str) -> None:
    (row,) = predict_rows([BASE | changes], load_catalog(), SHIPPED)
    assert row["pred_tokens_per_s_per_gpu"] == ""
    assert why in row["why"]


def test_an_unknown_model_is_predicted_from_its_columns() -> None:
    shape = {"n_layers": "32", "hidden": "4096", "n_heads": "32", "n_kv_heads": "8", "head_dim": "128"}
    shape |= {"ffn": "14336", "gated_ffn": "1", "vocab": "128256"}
    known, stated = predict_rows([BASE, BASE | shape | {"model": "my-8b"}], load_catalog(), SHIPPED)
    ratio = float(stated["pred_tokens_per_s_per_gpu"]) / float(known["pred_tokens_per_s_per_gpu"])
    assert ratio == pytest.approx(1.0, abs=0.05)


def test_a_format_that_the_gpu_lacks_runs_in_the_next_wider_one_and_says_so() -> None:
    row = {"model": "llama3-8b", "gpus": "8", "seq_len": "8192", "global_batch_samples": "64", "framework": "megatron"}
    asked = [
        ("h100-sxm5-80gb", "fp8"),
        ("h100-sxm5-80gb", "nvfp4"),
        ("a100-sxm4-80gb", "fp8"),
        ("a100-sxm4-80gb", "bf16"),
    ]
    cells = [row | {"gpu": gpu, "precision": precision, "zero_or_fsdp": "fsdp"} for gpu, precision in asked]
    hopper, missing, ampere, plain = predict_rows(cells, load_catalog(), SHIPPED)
    speed = [float(r["pred_tokens_per_s_per_gpu"]) for r in (hopper, missing, ampere, plain)]
    assert speed[1] == pytest.approx(speed[0], rel=0.1)
    assert speed[2] == pytest.approx(speed[3], rel=0.1)
    assert "h100-sxm5-80gb has no nvfp4 units" in missing["why"]
    assert "a100-sxm4-80gb has no fp8 units" in ampere["why"]
    assert not hopper["why"]


def test_an_unknown_framework_is_predicted_with_a_wider_interval() -> None:
    known, unknown = predict_rows([BASE, BASE | {"framework": "my-trainer"}], load_catalog(), SHIPPED)
    width = [float(r["pred_hi"]) / float(r["pred_lo"]) for r in (known, unknown)]
    assert width[1] > width[0]


def test_a_run_that_does_not_fit_says_how_much_is_missing() -> None:
    (row,) = predict_rows([BASE | {"model": "llama3-70b", "micro_batch": "8"}], load_catalog(), SHIPPED)
    assert row["fits"] == "false"
    assert "GiB" in row["why"]
