"""What a row leaves open is predicted over what is plausible, and the interval and a sentence show it."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from planner.catalog import load_catalog
from planner.performance.loading import load_calibration
from planner.performance.mixture import NEAR, flash_options, is_open, mix
from planner.performance.predict import predict_rows, predict_run
from planner.performance.refit import measured_files
from planner.performance.rows import Run, read_run
from planner.performance.tables import read_table
from planner.performance.validation import judge

CATALOG, SHIPPED = load_catalog(), load_calibration()
DEGREES = {"tp": "2", "pp": "4", "dp": "12"}
RUN = {
    "model": "gpt-neox-20b", "framework": "gpt-neox", "gpu": "a100-sxm4-40gb", "gpus": "96", "seq_len": "2048",
    "global_batch_samples": "1536", "micro_batch": "4", "precision": "fp16", "recompute": "full",
    "zero_or_fsdp": "zero-1", **DEGREES,
}  # fmt: skip
NO_DEGREES = RUN | dict.fromkeys(DEGREES, "")
NO_MICRO_BATCH = RUN | {"micro_batch": ""}
NOTHING = NO_DEGREES | {"micro_batch": "", "recompute": "", "zero_or_fsdp": ""}
UNKNOWN = RUN | {"framework": "mytrainer"}


def run(row: dict[str, str]) -> Run:
    return read_run(row, CATALOG, "row")


def predicted(row: dict[str, str]) -> dict[str, str]:
    (found,) = predict_rows([row], CATALOG, SHIPPED)
    return found


def tokens(row: dict[str, str]) -> float:
    return predict_run(run(row), SHIPPED).tokens_per_s_per_gpu


def ln_width(row: dict[str, str]) -> float:
    found = predict_run(run(row), SHIPPED)
    return math.log(found.high / found.low)


def test_a_row_that_states_all_is_not_touched():
    assert not is_open(run(RUN))
    assert mix(run(RUN), SHIPPED) is None
    assert predicted(RUN)["assumed"] == ""


def test_no_shipped_row_leaves_its_layout_open():
    for path in measured_files():
        for number, row in enumerate(read_table(path).rows, 1):
            assert not is_open(read_run(row, CATALOG, f"{path.stem}:{number}")), (path.stem, number)


def test_a_micro_batch_that_is_not_stated_is_the_mean_over_those_that_fit():
    found = mix(run(NO_MICRO_BATCH), SHIPPED)
    assert found is not None
    each = [predict_run(run(RUN | {"micro_batch": str(m)}), SHIPPED) for m in (1, 2, 4, 8, 16, 32, 64)]
    near = [p for p in each if p.fits and p.tokens_per_s_per_gpu * NEAR >= max(q.tokens_per_s_per_gpu for q in each)]
    assert 1 < len(near) < len(each)
    logs = [math.log(p.tokens_per_s_per_gpu) for p in near]
    mean = sum(logs) / len(logs)
    assert found.mean == pytest.approx(-mean)
    assert found.sigma == pytest.approx(math.sqrt(sum((x - mean) ** 2 for x in logs) / len(logs)))
    assert tokens(NO_MICRO_BATCH) == pytest.approx(math.exp(mean))
    assert f"the mean over {len(near)} layouts" in found.basis


def test_the_interval_is_as_much_wider_as_the_candidates_differ():
    found = mix(run(NO_MICRO_BATCH), SHIPPED)
    assert found is not None
    stated = ln_width(RUN) / 2 / 1.2815515655
    assert ln_width(NO_MICRO_BATCH) / 2 / 1.2815515655 == pytest.approx(math.hypot(stated, found.sigma))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            NO_MICRO_BATCH,
            "layouts that fit, within 1.3 times the fastest (micro-batch 1 to 8)",
        ),
        (NO_DEGREES, "not stated: layout; predicted as the mean over"),
        (NOTHING, "(tp 1 to 4, pp 1 to "),
        (UNKNOWN, "runs with and without flash attention and runs with and without fused kernels, which differ by"),
        (UNKNOWN | {"date": "2021-05"}, "flash attention (taken to lack it, as it is of before 2023)"),
        (RUN | {"date": "2021-05"}, "flash attention (taken to lack it, as it is of before 2023)"),
    ],
)
def test_one_sentence_says_what_was_mixed_over(row, said):
    assert said in predicted(row)["assumed"]
    assert predicted(row)["pred_lo"]


def test_what_a_row_states_is_kept():
    for stated in ({"micro_batch": "2"}, {"recompute": "none"}, {"zero_or_fsdp": "zero-0"}, {"grad_accum": "32"}):
        found = mix(run(NOTHING | stated), SHIPPED)
        assert found is not None
        nearest = found.nearest
        kept = {"micro_batch": nearest.layout.micro_batch, "recompute": nearest.layout.recompute}
        kept |= {"zero_or_fsdp": f"zero-{nearest.layout.zero_stage}", "grad_accum": f"{nearest.accumulation:g}"}
        assert all(str(kept[name]) == value for name, value in stated.items())
        assert nearest.gpus == 96
        assert nearest.layout.micro_batch * nearest.layout.dp * nearest.accumulation == 1536


def test_a_layout_that_is_not_stated_fits_in_memory_where_one_does():
    found = predicted(NOTHING)
    assert (found["fits"], found["why"]) == ("true", "")
    all_gpus_data_parallel = predicted(NOTHING | {"tp": "1", "pp": "1", "micro_batch": "1"})
    assert all_gpus_data_parallel["fits"] == "false"


def test_the_layout_of_a_run_does_not_follow_from_more_gpus_than_sequences():
    row = NOTHING | {"model": "llama3-70b", "framework": "megatron", "gpu": "h100-sxm5-80gb", "gpus": "256"}
    found = predicted(row | {"seq_len": "8192", "global_batch_samples": "64", "precision": "bf16"})
    assert found["fits"] == "true"
    assert "layout" in found["assumed"]


def test_a_batch_that_is_not_stated_either_leaves_the_micro_batch_open():
    row = {"model": "llama3-8b", "framework": "fsdp", "gpu": "h100-sxm5-80gb", "gpus": "64", "seq_len": "8192"}
    found = mix(run(row), SHIPPED)
    assert found is not None
    assert found.nearest.layout.tp == found.nearest.layout.pp == 1
    assert found.nearest.layout.zero_stage == 3


@pytest.mark.parametrize(
    ("stated", "options"),
    [
        ({}, (True, False)),
        ({"flash_attention": "yes"}, (True,)),
        ({"flash_attention": "no"}, (False,)),
        ({"date": "2024-03"}, (True,)),
        ({"date": "2021"}, (False,)),
        ({"version_or_date": "2021.3"}, (False,)),
        ({"version_or_date": "25.04"}, (True,)),
        ({"gpu": "v100-sxm2-32gb", "gpus_per_node": "8"}, (False,)),
    ],
)
def test_flash_attention_that_nothing_tells_is_mixed_over(stated, options):
    assert flash_options(run(UNKNOWN | stated)) == options


def test_conditions_are_mixed_in_equal_parts():
    parts = [
        math.log(tokens(UNKNOWN | {"flash_attention": flash, "fused_or_compile": fused}))
        for flash in ("yes", "no")
        for fused in ("yes", "no")
    ]
    assert math.log(tokens(UNKNOWN)) == pytest.approx(sum(parts) / 4)


@pytest.mark.parametrize("name", ["gpt-neox", "megatron", "nemo", "torchtitan", "fsdp", "llm-foundry", "maxtext"])
def test_frameworks_whose_defaults_are_known_leave_no_condition_open(name):
    assert not is_open(run(RUN | {"framework": name, "precision": "bf16"}))


def test_a_date_does_not_overrule_a_release_that_is_stated():
    stated = RUN | {"version_or_date": "2.0", "date": "2022-12-20"}
    assert tokens(stated) == tokens(RUN | {"version_or_date": "2.0"})


def test_a_layout_that_no_rule_allows_is_predicted_as_it_was_read():
    found = predicted(NOTHING | {"model": "deepseekv3", "gpus": "8", "global_batch_samples": "8"})
    assert found["pred_lo"]
    assert found["fits"] == "false" or found["why"]


def test_validation_judges_rows_by_the_same_mixture(tmp_path: Path):
    table = tmp_path / "own.csv"
    rows = [NOTHING | {"tokens_per_s_per_gpu": "900"}, RUN | {"tokens_per_s_per_gpu": "900"}]
    table.write_text("\n".join([",".join(rows[0]), *(",".join(row.values()) for row in rows)]) + "\n")
    judged = judge([table], SHIPPED, "none")
    for i, row in enumerate(rows):
        found = predict_run(run(row), SHIPPED)
        assert judged.errors[i] == pytest.approx(math.log(900 / found.tokens_per_s_per_gpu), abs=2e-4)
        assert 2 * 1.2815515655 * judged.sigma[i] == pytest.approx(math.log(found.high / found.low))
    assert judged.runs[0].assumed == ("not stated: layout; predicted over what is plausible",)
    assert judged.runs[1].assumed == ()


def test_people_see_what_was_mixed_over(planner, tmp_path: Path):
    table = tmp_path / "own.csv"
    table.write_text("\n".join([",".join(NOTHING), ",".join(NOTHING.values())]) + "\n")
    assert "not stated: layout" in " ".join(planner("predict", table).out.split())
    one = (
        "predict --model gpt-neox-20b --gpu a100-sxm4-40gb --gpus 8 --seq-length 2048 --global-batch 64 --tp 4 --pp 2 "
        "--framework x --json"
    ).split()
    found = json.loads(planner(*one).out)
    assert "with and without fused kernels" in found["assumed"]
    assert sum(found["step_breakdown_s"].values()) == pytest.approx(found["step_time_s"])
