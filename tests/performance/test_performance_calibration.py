"""Calibration: the stored fit is what the rows say, nothing predicts itself, own runs have the last word."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from measured_cases import RUNS

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.performance.arrays import Setting
from planner.performance.calibration import (
    UserPoint,
    read_calibration,
    to_json,
    with_user_measurements,
)
from planner.performance.fitting import Fit, batch_of, fit, noise_of
from planner.performance.intervals import (
    SHARED,
    UNSEEN,
    basis,
    known_runs,
    label_covariance,
    label_spreads,
    spread,
)
from planner.performance.loading import load_calibration
from planner.performance.overlays import add_rows, read_rows, refit
from planner.performance.predict import predict_rows
from planner.performance.rates import design
from planner.performance.refit import (
    KEYS,
    digest,
    held_out,
    learn,
    log_errors,
    measured_files,
    read_runs,
    uncalibrated,
)
from planner.performance.residual import Place, covariance, shared
from planner.performance.rows import Run
from planner.performance.stacks import context_of
from planner.units import PlannerError

SHIPPED = load_calibration()
GPUS = np.asarray([8, 64, 256])


@pytest.fixture(scope="module")
def whole() -> Fit:
    """The fit of all shipped rows, from where the stored one ended."""
    return fit(RUNS, uncalibrated(load_catalog().curves), SHIPPED)


def like(run: Run, **changes: Any) -> Setting:
    return replace(run.setting, **changes)


def test_the_stored_fit_is_what_the_stored_rows_give() -> None:
    """`planner calibrate --rebuild` writes it. Started from the stored values, the fit must not move."""
    assert SHIPPED.digest == digest(measured_files()), "rows or priors changed: run `planner calibrate --rebuild`"
    prior = uncalibrated(load_catalog().curves)
    assert set(prior.curves) == set(SHIPPED.curves)
    assert all(np.allclose(prior.curves[name], curve, atol=1e-4) for name, curve in SHIPPED.curves.items())
    again = learn(RUNS, prior, SHIPPED)
    assert set(again.values) == set(SHIPPED.values)
    moved = np.abs(log_errors(RUNS, again) - log_errors(RUNS, SHIPPED))
    assert np.quantile(moved, 0.99) < 0.01


def test_the_spreads_by_label_are_read_off_the_fit(whole: Fit) -> None:
    found = label_spreads(whole.places, whole.covariance)
    assert found == pytest.approx({name: SHIPPED.spreads[name] for name in SHARED}, abs=0.005)


def test_a_calibration_survives_its_file(tmp_path: Path) -> None:
    from planner.performance.calibration import dumps

    (tmp_path / "fit.json").write_text(dumps(to_json(SHIPPED)))
    again = read_calibration(tmp_path / "fit.json")
    assert to_json(again) == to_json(SHIPPED)


@pytest.mark.parametrize("refit", [True, False])
def test_a_row_left_out_is_predicted_as_if_it_had_never_been_measured(*, refit: bool) -> None:
    """Whatever its measured value: the prediction of a left-out row must not move with it.

    Solved without it, where the common fit was linearised still knows of it: that must be next to nothing.
    """
    runs = [r for r in RUNS if r.source == "vtrain-multi"]
    prior = replace(uncalibrated(load_catalog().curves), spreads=SHIPPED.spreads)
    target = runs[0]
    tokens = target.tokens_per_s_per_gpu
    assert tokens is not None
    doctored = [replace(r, tokens_per_s_per_gpu=1.3 * tokens) if r is target else r for r in runs]
    ask = [held_out(fit(r, prior), prior, "configuration", [r[0]], refit=refit) for r in (runs, doctored)]
    honest, fooled = (a.errors[0] + np.log(r[0].step_s) for a, r in zip(ask, (runs, doctored), strict=True))
    assert fooled == pytest.approx(honest, abs=1e-9 if refit else 0.01)


@pytest.mark.parametrize("source", ["pythia", "vtrain-multi", "torchtitan-h100"])
def test_solving_without_a_site_comes_near_a_fit_that_never_saw_it(whole: Fit, source: str) -> None:
    prior = replace(uncalibrated(load_catalog().curves), spreads=SHIPPED.spreads)
    asked = [r for r in RUNS if r.source == source]
    solved, fitted = (held_out(whole, prior, "site", asked, refit=refit).errors for refit in (False, True))
    apart = np.median(np.abs(np.expm1(-solved))) - np.median(np.abs(np.expm1(-fitted)))
    assert abs(apart) < 0.03
    assert np.median(np.abs(solved - fitted)) < 0.04


def test_what_is_left_out_teaches_nothing(whole: Fit) -> None:
    """Solved by the block's inverse, the others alone: the same as the normal equations of the others."""
    out = np.flatnonzero([r.source == "pythia" for r in RUNS])
    keep = np.setdiff1d(np.arange(len(RUNS)), out)
    total = (whole.covariance + np.diag(whole.noise))[np.ix_(keep, keep)]
    weights = np.linalg.solve(total, whole.residuals[keep])
    found = whole.calibration(SHIPPED, out)
    assert found.field.weights == pytest.approx(weights, rel=1e-6, abs=1e-6 * np.abs(weights).max())
    assert {p.id for p in found.field.places} == {RUNS[i].id for i in keep}


@pytest.mark.parametrize("way", sorted(KEYS))
def test_every_way_of_leaving_out_takes_the_row_itself(way: str) -> None:
    some = RUNS[::37]
    assert len({KEYS[way](r) for r in some}) > 1
    assert all(KEYS[way](r) == KEYS[way](replace(r, tokens_per_s_per_gpu=1.0)) for r in some)


def test_many_rows_of_a_source_count_as_fifty_dense_and_moe_apart() -> None:
    """What the shipped rows weigh in all, counted by hand: rows over their noise, in rows of full trust."""
    levels = uncalibrated(load_catalog().curves).levels
    weighed = levels.noise**2 / noise_of(RUNS, levels)
    for source in ("llm-foundry", "megatron-bridge", "geodesic"):
        for moe in (False, True):
            mine = [i for i, r in enumerate(RUNS) if r.source == source and (r.setting.model.moe is not None) == moe]
            trusted = sum(1 / levels.low_trust if RUNS[i].low_trust else 1.0 for i in mine)
            most = trusted * min(1.0, levels.rows_a_source / max(1, len(mine)))
            assert weighed[mine].sum() == pytest.approx(most), (source, moe)
    dense = [r.source == "megatron-bridge" and r.setting.model.moe is None for r in RUNS]
    assert 40 < weighed[dense].sum() <= 47  # all of them, though its MoE rows are many


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
    pair = [r for r in RUNS if r.setting.model.name == "kimi-k2" and r.source == "megatron-bridge"]
    assert len({r.setting.release for r in pair}) > 1
    assert len({KEYS["configuration"](r) for r in pair}) == 1


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


def test_spreads_widen_with_what_is_not_known() -> None:
    run = next(r for r in RUNS if r.setting.model.name == "mpt-7b" and r.setting.accelerator.id == "h100-sxm5-80gb")
    here = np.asarray([run.gpus])
    seen = spread(run.setting, here, SHIPPED).sigma[0]
    strange_site = spread(like(run, conditions=replace(run.setting.conditions, site="own")), here, SHIPPED).sigma[0]
    own = replace(run.setting.conditions, site="own")
    new_stack = spread(like(run, framework="my-trainer", conditions=own), here, SHIPPED).sigma[0]
    part = load_catalog().accelerator("gaudi3-128gb")
    new_family = spread(like(run, accelerator=part, framework="my-trainer", conditions=own), here, SHIPPED).sigma[0]
    assert seen < strange_site < new_stack < new_family
    assert new_stack > 0.12


def test_a_part_of_which_no_run_is_known_is_less_sure_than_its_family() -> None:
    run = next(r for r in RUNS if r.setting.model.name == "llama3-8b" and r.setting.accelerator.id == "h100-sxm5-80gb")
    catalog, here = load_catalog(), np.asarray([64])

    def sigma(gpu: str) -> float:
        return float(spread(like(run, accelerator=catalog.accelerator(gpu)), here, SHIPPED).sigma[0])

    seen, announced = sigma("h100-sxm5-80gb"), [sigma("vr200-nvl72"), sigma("mi455x-432gb"), sigma("trainium3")]
    assert sigma("gh200-144gb") < 1.2 * seen  # another memory of a chip that was measured is no new part
    assert min(announced) > 1.4 * seen
    bare = replace(SHIPPED, spreads={**SHIPPED.spreads, UNSEEN: 0.0})
    rubin = like(run, accelerator=catalog.accelerator("vr200-nvl72"))
    wide, narrow = (spread(rubin, here, calibration).sigma[0] for calibration in (SHIPPED, bare))
    assert wide == pytest.approx(np.hypot(narrow, SHIPPED.spreads["scale"] * SHIPPED.spreads[UNSEEN]))


def test_experts_are_less_sure_than_dense_models_at_a_strange_site() -> None:
    moe, dense = (
        next(r for r in RUNS if r.setting.model.name == name and r.setting.accelerator.id == "h100-sxm5-80gb")
        for name in ("qwen3-30b-a3b", "llama3-8b")
    )
    at = [like(r, conditions=replace(r.setting.conditions, site="own")) for r in (moe, dense)]
    wide, narrow = (spread(s, np.asarray([64]), SHIPPED).sigma[0] for s in at)
    assert wide > 1.3 * narrow


def test_a_spread_is_what_is_left_of_what_runs_share_once_the_known_ones_are_measured() -> None:
    """Two known runs, by hand: the posterior variance of a Gaussian, times the factor."""
    places = [
        Place("a", "s", "dense", "m", "g", "16", (23.0, 8.0, 4.0), "x", "f"),
        Place("b", "s", "moe", "n", "h", "fp8", (24.0, 8.0, 5.0), "y", "f"),
    ]
    field = replace(SHIPPED.field, places=tuple(places), weights=np.zeros(2), noise=np.array([0.001, 0.002]))
    known = known_runs(field, SHIPPED.spreads)
    asked = Place("", "s", "dense", "m", "g", "16", (23.1, 8.0, 4.2), "x", "f")
    points = np.array([p.coordinates for p in (*places, asked)])
    everything = (*places, asked)
    total = label_covariance(points, points, shared(everything, everything), SHIPPED.spreads)
    among, across = total[:2, :2] + np.diag(field.noise), total[2, :2]
    left = total[2, 2] - across @ np.linalg.solve(among, across)
    want = SHIPPED.spreads["scale"] * np.sqrt(left + SHIPPED.spreads["noise"] ** 2)
    assert known.sigma(asked, np.array([4.2]))[0] == pytest.approx(want)


def test_sites_share_their_effects_and_nothing_else_crosses_stacks() -> None:
    a = Place("a", "s", "dense", "m", "g", "16", (23.0, 8.3, 4.2), "x", "f")
    elsewhere = replace(a, site="y", stack="t")
    assert covariance([a], [elsewhere], SHIPPED.levels)[0, 0] == 0.0
    there = covariance([a], [replace(a, stack="t")], SHIPPED.levels)[0, 0]
    assert there == pytest.approx(SHIPPED.levels.site**2)


def test_a_release_changes_what_runs_and_not_how_sure_it_is() -> None:
    run = next(r for r in RUNS if r.setting.model.moe and r.setting.release.startswith("26.08"))
    size = np.asarray([run.gpus])
    now, wild = (spread(like(run, release=r), size, SHIPPED).sigma[0] for r in (run.setting.release, "99.01"))
    assert wild == now < 0.5


def test_quantiles_of_a_spread_are_those_of_a_log_normal() -> None:
    s = spread(RUNS[0].setting, GPUS, SHIPPED)
    assert s.quantile(0.5) == pytest.approx(1.0)
    assert s.quantile(0.9) * s.quantile(0.1) == pytest.approx(1.0)
    assert np.all(s.quantile(0.95) > s.quantile(0.9))


def test_own_rows_of_a_new_stack_sharpen_predictions_of_it(tmp_path: Path) -> None:
    with (data_dir() / "measured" / "vtrain.csv").open(newline="") as file:
        rows = [row | {"framework": "my-trainer", "version_or_date": "7"} for row in csv.DictReader(file)]
    lines = refit(tmp_path, [tmp_path], add_rows(rows[::2], "mine", tmp_path))
    assert "now by" in lines[1]
    own = load_calibration((tmp_path,))
    asked = read_runs([tmp_path / "measured" / "mine.csv"])
    assert np.median(np.abs(log_errors(asked, own))) < 0.5 * np.median(np.abs(log_errors(asked, SHIPPED)))
    size = np.asarray([asked[0].gpus])
    assert {r.setting.conditions.site for r in asked} == {"vtrain"}
    here, unknown = (spread(asked[0].setting, size, calibration).sigma[0] for calibration in (own, SHIPPED))
    assert here < unknown
    assert len(read_rows(tmp_path / "measured" / "mine.csv")) == len(add_rows(rows[::2], "mine", tmp_path).runs)


def test_every_measured_row_is_predicted_and_fits() -> None:
    catalog = load_catalog()
    refused = []
    for path in measured_files():
        found = predict_rows(read_rows(path), catalog, SHIPPED, path.stem)
        assert all(
            float(row["pred_lo"]) < float(row["pred_tokens_per_s_per_gpu"]) < float(row["pred_hi"]) for row in found
        )
        refused += [f"{path.stem}:{number}" for number, row in enumerate(found, 1) if row["fits"] == "false"]
    assert not refused


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


def test_runs_that_are_alike_are_one_to_a_spread_at_their_middle_and_as_sure_as_they_are_together() -> None:
    field = SHIPPED.field
    known = known_runs(field, SHIPPED.spreads)
    assert len(known.places) < len(field.places)
    assert np.sum(1.0 / known.noise) == pytest.approx(np.sum(1.0 / field.noise))
    alone = known_runs(replace(field, places=field.places[:1], noise=field.noise[:1]), SHIPPED.spreads)
    assert alone.places[0].coordinates == pytest.approx(field.places[0].coordinates)
    twice = replace(field, places=(field.places[0],) * 2, noise=np.array([0.01, 0.01]))
    assert known_runs(twice, SHIPPED.spreads).noise == pytest.approx([0.005])
    none = replace(field, places=(), noise=np.zeros(0))
    assert known_runs(none, SHIPPED.spreads).places == ()


def test_slopes_by_parameter_are_those_of_the_rate_that_each_enters() -> None:
    some = RUNS[::60]
    plan = design(SHIPPED.rules, [context_of(r.setting) for r in some])
    batch, theta, step = batch_of(some, SHIPPED), plan.mean, 1e-4
    seconds = np.log(batch.predict(plan.moved(theta, step)))
    slopes = plan.chain((seconds[1:] - seconds[0]) / step)
    for i in range(0, len(plan.names), 17):
        raised = theta + step * (np.arange(len(theta)) == i)
        assert slopes[:, i] == pytest.approx((np.log(batch.predict(plan.rates(raised))) - seconds[0]) / step, abs=1e-5)
