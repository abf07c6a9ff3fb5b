"""A config that is imported, planned and exported says on the next import what it said on the first."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from planner.api import load_scenario, optimize
from planner.interop.exporting import export_files, write_files
from planner.interop.imported import Imported, scenario_yaml
from planner.interop.importing import import_files
from planner.spec.scenario import Scenario
from planner.units import PlannerError
from planner.workload.counts import parameter_counts

GPUS = (("70m", 32), ("160m", 32), ("410m", 32), ("1b", 64), ("1.4b", 64), ("2.8b", 64), ("6.9b", 128), ("12b", 256))
NEOX = Path(__file__).parents[1] / "fixtures" / "interop" / "neox"
#: Every GPT-NeoX config among the fixtures, with the GPUs that trained it.
CONFIGS = {
    "20B": ([NEOX / "20B.yml", NEOX / "20B_data.yml"], 96),
    **{
        path.stem: ([path], gpus)
        for path in sorted(NEOX.glob("pythia-*.yml"))
        for gpus in [next(n for size, n in GPUS if path.stem.endswith(size))]
    },
}


def scenario_of(found: Imported, tmp_path: Path, more: str = "budget: {time: 3650 days}\n") -> Scenario:
    path = tmp_path / "scenario.yaml"
    path.write_text(scenario_yaml(found) + more)
    return load_scenario(path)


def held(found: Imported) -> dict[str, object]:
    """What a scenario says, without where it was said and what the files are called."""
    return {row.key: row.value for row in found.taken if row.key not in ("name", "model.name", "data.samples")}


@pytest.mark.parametrize("name", CONFIGS)
def test_import_optimize_export_and_import_again_is_the_same_scenario(tmp_path, name):
    files, gpus = CONFIGS[name]
    first = import_files(files, gpus=gpus, tokens=300_000_000_000)
    answer = optimize(scenario_of(first, tmp_path))
    assert answer.plan is not None, answer.infeasibility
    written, _ = export_files(answer, "neox")
    write_files(tmp_path / "out", written)
    second = import_files([tmp_path / "out" / "run.yml", tmp_path / "out" / "paths.yml"], tokens=300_000_000_000)
    one, two = held(first), held(second)
    padded = two.pop("model.vocab"), two.pop("model.vocab_multiple", 128)
    vocab, multiple = one.pop("model.vocab"), one.pop("model.vocab_multiple", 128) * first.value("layout.tp")
    assert padded[0] == -(-vocab // multiple) * multiple
    assert two == one
    assert not [warning for warning in second.warnings if "says" not in warning]


def test_an_index_at_hand_and_the_plans_checkpoint_interval_reach_the_export(tmp_path):
    prefix = NEOX.parents[1] / "neox" / "uneven_u16"
    lines = [line for line in (NEOX / "pythia-70m.yml").read_text().splitlines() if "data-paths" not in line]
    config = "\n".join(lines).rstrip().removesuffix("}").rstrip().rstrip(",")
    path = tmp_path / "mine.yml"
    path.write_text(config + f',\n  "data_path": "{prefix}", "split": "900,90,10",\n}}\n')
    first = import_files([path], gpus=32)
    assert first.value("data.index") == str(prefix)
    answer = optimize(scenario_of(first, tmp_path, "budget: {time: 3650 days}\nrisk: {checkpoint_interval: 20 min}\n"))
    written, notes = export_files(answer, "neox")
    write_files(tmp_path / "out", written)
    paths, run = (yaml.safe_load(written[name]) for name in ("paths.yml", "run.yml"))
    assert (paths["data_path"], paths["split"]) == (str(prefix), "900,90,10")
    assert not any("placeholder" in note for note in notes)
    assert run["checkpoint_factor"] == answer.plan.reliability.checkpoint_interval_iterations
    second = import_files([tmp_path / "out" / "run.yml", tmp_path / "out" / "paths.yml"])
    assert second.value("data.index") == str(prefix)
    assert second.value("data.split") == first.value("data.split")


HF = Path(__file__).parents[1] / "fixtures" / "interop" / "hf"
#: The tool that can train a fixture's model, and the layout that keeps the search small.
TOOLS = {"gpt-neox-20b": "gpt-neox", "mpt-7b": "gpt-neox"}
PINS = {
    "deepseek-v2": "tp: 4, pp: 4, ep: 8",
    "deepseek-v3": "tp: 8, pp: 16, ep: 8",
    "mixtral-8x7b": "tp: 4, pp: 2, ep: 2",
    "qwen3-30b-a3b": "tp: 4, pp: 2, ep: 4",
    "gpt-oss-20b": "tp: 4, pp: 2, ep: 4",
}
SAME = (
    "layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "gated_mlp", "activation", "norm", "qk_norm",
    "attention_bias", "attention_output_bias", "mlp_bias", "tied_embeddings", "learned_positions", "sliding_window",
    "full_attention_every", "attention_sinks", "mtp_layers", "mla", "position_embedding", "parallel_residual",
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.stem for path in HF.glob("*.json")))
def test_a_hugging_face_model_comes_back_from_the_scripts_of_the_tool_that_trains_it(tmp_path, name):
    first = import_files([HF / f"{name}.json"], tokens=1_000_000_000)
    tool, pins = TOOLS.get(name, "megatron"), PINS.get(name, "tp: 4, pp: 1")
    answer = optimize(
        scenario_of(
            first,
            tmp_path,
            f"training: {{epochs: 1, global_batch: 512, framework: {tool}}}\nbudget: {{time: 3650 days}}\n"
            f"layout: {{{pins}, micro_batch: 1, vpp: 1, cp: 1, zero_stage: 1}}\n"
            "cluster: {gpus: [h200-sxm5-141gb], max_gpus: 4096}\n",
        )
    )
    assert answer.plan is not None, answer.infeasibility
    if name == "gpt-j-6b":  # parallel branches of one norm and a biased output: no tool here trains it
        assert any("has no parallel residual" in warning for warning in answer.warnings)
        with pytest.raises(PlannerError, match="has no parallel residual"):
            export_files(answer, "megatron")
        return
    written, _ = export_files(answer, "neox" if tool == "gpt-neox" else "megatron")
    write_files(tmp_path / "out", written)
    files = ["run.yml", "paths.yml"] if tool == "gpt-neox" else ["train.sh"]
    second = import_files([tmp_path / "out" / file for file in files])
    assert {field: getattr(second.model, field) for field in SAME} == {f: getattr(first.model, f) for f in SAME}
    assert (
        parameter_counts(second.model).active == parameter_counts(first.model).active or second.model.vocab_multiple > 1
    )
    plan = answer.plan.layout
    laid = {key: second.value(f"layout.{key}") for key in ("tp", "pp", "dp", "micro_batch", "zero_stage", "recompute")}
    assert laid == {key: getattr(plan, key) for key in laid}
    assert second.value("training.global_batch") == answer.plan.global_batch
    assert second.warnings == ()
