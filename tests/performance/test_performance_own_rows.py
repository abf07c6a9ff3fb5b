"""A user's own measured rows: however their model is spelled, what is predicted near them sharpens."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner import api
from planner.catalog import load_catalog
from planner.performance.loading import load_calibration
from planner.performance.overlays import add_rows, read_rows, refit
from planner.performance.predict import predict_rows
from planner.units import PlannerError

RUN = {
    "framework": "gpt-neox", "seq_len": "2048", "gpu": "a100-sxm4-40gb", "gpus": "96", "tp": "2", "pp": "4",
    "dp": "12", "micro_batch": "4", "global_batch_samples": "1536", "precision": "fp16", "recompute": "full",
}  # fmt: skip
SHAPE = {"n_layers": "36", "hidden": "4608", "n_heads": "36", "vocab": "50304"}
LARGER = {"gpus": "128", "dp": "16", "global_batch_samples": "2048"}
SCENARIO = """
model: {name: My_9B, layers: 36, hidden: 4608, heads: 36, vocab: 50304}
data: {tokens: 20B, seq_length: 2048}
training: {epochs: 1, global_batch: 1536, precision: fp16, framework: gpt-neox}
layout: {tp: 2, pp: 4, micro_batch: 4, recompute: full, sequence_parallel: false}
budget: {cost: 10M USD}
cluster:
  own: [{name: lab, gpu: a100-sxm4-40gb, gpus_per_node: 8, nodes: 12, network: 1600 Gbit/s, usd_per_gpu_hour: 1.10}]
  own_only: true
"""


def width(row: dict[str, str]) -> float:
    return float(row["pred_hi"]) / float(row["pred_lo"]) - 1.0


@pytest.mark.parametrize(
    ("measured", "asked", "shape"),
    [("NeoX-20B", "EleutherAI/gpt_neox_20b", {}), ("GPT NeoX 20b", "gpt-neox-20b", {}), ("My_9B", "my-9b", SHAPE)],
)
def test_rows_of_one_model_are_its_measurements_however_it_is_spelled(
    tmp_path: Path, measured: str, asked: str, shape: dict[str, str]
) -> None:
    question = [RUN | shape | {"model": asked}, RUN | shape | LARGER | {"model": asked}]
    before = predict_rows(question, load_catalog(), load_calibration())
    seen = 0.9 * float(before[0]["pred_tokens_per_s_per_gpu"])
    row = RUN | shape | {"model": measured, "tokens_per_s_per_gpu": f"{seen:.6g}"}
    refit(tmp_path, [tmp_path], add_rows([row], "own", tmp_path))
    there, near = predict_rows(question, load_catalog((tmp_path,)), load_calibration((tmp_path,)))
    assert [r["basis"] for r in (*before, there, near)] == ["modelled", "modelled", "measured", "interpolated"]
    assert float(there["pred_tokens_per_s_per_gpu"]) == pytest.approx(seen, rel=0.03)
    assert width(there) < 0.75 * width(before[0])
    assert width(there) <= width(near) < 0.9 * width(before[1])


def test_a_scenarios_own_shape_meets_the_rows_that_spell_its_name_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SCENARIO)
    plan = api.optimize(api.load_scenario(path)).plan
    assert plan is not None
    assert (plan.basis, plan.gpus) == ("modelled", 96)
    rate = 0.9 * plan.tokens_per_s_per_gpu.p50
    row = RUN | SHAPE | {"model": "my 9b", "tokens_per_s_per_gpu": f"{rate:.6g}"}
    refit(tmp_path, [tmp_path], add_rows([row], "own", tmp_path))
    again = api.optimize(api.load_scenario(path, overlays=[tmp_path]), [tmp_path]).plan
    assert again is not None
    assert again.basis == "measured"
    assert again.measurements[0] == "own:1"
    assert again.tokens_per_s_per_gpu.p50 == pytest.approx(rate, rel=0.03)


def test_a_model_of_an_overlay_is_known_to_rows(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "my-9b.yaml").write_text("layers: 36\nhidden: 4608\nheads: 36\nvocab: 50304\n")
    row = RUN | {"model": "My_9B"}
    (without,) = predict_rows([row], load_catalog(), load_calibration())
    (found,) = predict_rows([row], load_catalog((tmp_path,)), load_calibration((tmp_path,)))
    (stated,) = predict_rows([row | SHAPE], load_catalog(), load_calibration())
    assert "not in the catalog" in without["why"]
    assert found["pred_tokens_per_s_per_gpu"] == stated["pred_tokens_per_s_per_gpu"] != ""


def test_a_table_that_is_not_there_is_told_with_what_is(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("model,gpu\n")
    with pytest.raises(PlannerError, match=r"row\.csv: there is no such file; did you mean .*rows\.csv`\?"):
        read_rows(tmp_path / "row.csv")
