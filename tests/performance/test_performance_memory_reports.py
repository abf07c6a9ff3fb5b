"""Memory against runs that are published in words: DeepSeek-V3's own, TPU recipes, reports of memory running out."""

from __future__ import annotations

import csv
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.performance.loading import load_calibration
from planner.performance.memory import capacity_gib, memory
from planner.performance.predict import predict_run
from planner.performance.rows import Run, layouts_of, read_run

GIB = 2.0**30
FIXTURES = Path(__file__).parents[1] / "fixtures" / "memory"
BESIDE = ("report", "outcome", "source", "stated")  # columns of reports that are not of the run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def needed(run: Run) -> float:
    return float(memory(run.setting, layouts_of([run])).total[0])


def docs() -> str:
    return " ".join((Path(__file__).parents[2] / "docs" / "memory.md").read_text(encoding="utf-8").split())


# DeepSeek-V3 ----------------------------------------------------------------------------------------------------------


def deepseek(**cells: str) -> Run:
    rows = {row["run"]: row for row in table(data_dir() / "runs" / "published.csv")}
    return read_run(rows["deepseek-v3-pretrain"] | cells, load_catalog(), "row")


def test_deepseek_v3_fits_as_it_was_trained():
    run = deepseek()
    assert needed(run) < capacity_gib(run.setting)
    assert f"{needed(run):.1f} of {capacity_gib(run.setting):.1f} GiB" in docs()


def test_deepseek_v3s_memory_is_what_its_report_adds_up_to():
    # Parameters of one layer (technical report, section 4.2), in latent attention, a dense MLP, an expert.
    attention = 7168 * 1536 + 1536 * 128 * 192 + 7168 * (512 + 64) + 512 * 128 * (128 + 128) + 128 * 128 * 7168
    dense, expert = 3 * 7168 * 18432, 3 * 7168 * 2048
    table_of_words = 129280 * 7168
    # 62 layers, multi-token prediction included, over 16 stages: 3 dense ones on the first, 3 on the last, 4 elsewhere.
    # DualPipe has the outermost ranks run the first stage and the last: embedding, head, and what joins the two vectors
    # of the prediction; of 256 routed experts a rank has 4.
    layers = 3 * (attention + dense) + 3 * (attention + expert + 256 * 7168)
    parameters = layers + 3 * 4 * expert + 2 * table_of_words + 2 * 7168**2
    weights, gradients = 2 * parameters, 4 * parameters  # fp32 gradients add up the batch
    # fp32 master weights, bf16 moments; experts over 2 x 2 replicas, the rest over 128 x 2. A rank between the ends has
    # the most experts, 8 layers of them, which is counted.
    optimizer = 8 * (8 * 4 * expert / 4 + (parameters - 3 * 4 * expert) / 256)
    # A dense layer's token: the inputs of both norms, which are computed again, in bf16; compressed vectors; the output
    # of attention in 12 bits; the MLP's two inner vectors and its product, unfused.
    token = 2 * 2 * 7168 + 2 * (1536 + 512 + 64) + 1.5 * 128 * 128 + (2 * 2 + 2 + 1 + 4 / 128) * 18432
    held = 17 * 3 * 4096 * token  # 16 + 1 micro-batches of three layers
    logits = 2 * 6 * 129280 * 4096  # the model's and the prediction's, 16-bit and fp32
    run = deepseek()
    found = memory(run.setting, layouts_of([run]))
    total = (weights + gradients + optimizer + 1.03 * (held + logits)) / GIB + float(found.other[0])
    assert needed(run) == pytest.approx(total, rel=0.01)


def test_each_of_what_deepseek_v3_states_is_needed_or_counted():
    assert needed(deepseek(framework="megatron")) > 85  # which keeps norms, attention's output and gates in 16 bits
    assert needed(deepseek(schedule="")) < needed(deepseek())  # two stages a rank are more than one
    assert needed(deepseek(optimizer="")) == pytest.approx(needed(deepseek()) + 1.3, abs=0.3)


def test_under_dualpipe_memory_is_affine_and_never_falls_with_micro_batches_or_less_recompute():
    run = deepseek()
    totals = {}
    for recompute, micro, accumulation in itertools.product((0, 1, 2), (1, 2, 3), (1, 4, 16, 17, 120)):
        changed = {"recompute": recompute, "micro_batch": micro, "grad_accum": accumulation}
        x = replace(layouts_of([run]), **{name: np.array([value]) for name, value in changed.items()})
        found = memory(run.setting, x)
        totals[recompute, micro, accumulation] = float(found.total[0])
        assert min(found.weights[0], found.gradients[0], found.optimizer[0]) > 0
    for (recompute, micro, accumulation), total in totals.items():
        twice, thrice = (totals[recompute, n, accumulation] for n in (2, 3))
        assert thrice - twice == pytest.approx(twice - totals[recompute, 1, accumulation])
        assert total >= max(v for (r, b, m), v in totals.items() if r >= recompute and b <= micro and m <= accumulation)


# TPUs -----------------------------------------------------------------------------------------------------------------


def test_of_a_tpu_only_states_are_judged_and_no_recipe_that_ran_is_refused():
    calibration, catalog = load_calibration(), load_catalog()
    rows = table(data_dir() / "measured" / "tpu-recipes.csv")
    assert len(rows) == 34
    for number, row in enumerate(rows, start=2):
        found = predict_run(read_run(row, catalog, f"row {number}"), calibration)
        assert found.fits is None, found.why
        assert found.memory_gib is None


def test_a_model_whose_states_alone_are_too_large_for_its_tpus_is_refused():
    row = {"model": "llama3-70b", "seq_len": "8192", "gpu": "tpu-v5e", "framework": "maxtext", "precision": "bf16"}
    row |= {"gpus": "32", "global_batch_samples": "32", "zero_or_fsdp": "fsdp"}
    found = predict_run(read_run(row, load_catalog(), "row"), load_calibration())
    assert found.fits is False
    assert f"weights and optimizer alone are {12 * 70.55e9 / 32 / GIB:.1f} GiB a chip of 16.0" in found.why
    half = predict_run(read_run(row | {"optimizer_state_bytes": "6"}, load_catalog(), "row"), load_calibration())
    assert half.fits is None


# Reports --------------------------------------------------------------------------------------------------------------


def reports() -> dict[str, tuple[str, float]]:
    """Outcome, and memory needed over what there was, by report."""
    found = {}
    for row in table(FIXTURES / "out-of-memory.csv"):
        run = read_run({key: row[key] for key in row if key not in BESIDE}, load_catalog(), row["report"])
        found[row["report"]] = (row["outcome"], needed(run) / capacity_gib(run.setting))
    return found


def test_runs_that_users_report_to_have_run_are_not_refused():
    ran = {name: share for name, (outcome, share) in reports().items() if outcome == "ran"}
    assert len(ran) >= 3
    assert max(ran.values()) <= 1


def test_of_reports_of_memory_running_out_the_page_says_how_many_are_refused():
    shares = {name: share for name, (outcome, share) in reports().items() if outcome == "out of memory"}
    refused = [name for name, share in shares.items() if share > 1]
    near = [name for name, share in shares.items() if 0.9 < share <= 1]
    assert len(shares) >= 10
    assert f"of {len(shares)} {len(refused)} are refused, {len(near)} more come to over 90 %" in docs()
    assert len(refused) + len(near) >= 0.6 * len(shares)
