"""Models with layers beyond attention on their way in and out: scenarios, tables of runs, exports."""

from __future__ import annotations

import json

import pytest
from interop_plans import answer

from planner.interop.exporting import export_files
from planner.results.answers import Trained
from planner.units import PlannerError
from planner.workload import load_model, model_from_mapping, parameter_counts

SCENARIO = """
model: {model}
data: {{samples: 1000000, seq_length: 2048}}
training: {{epochs: 1, framework: {framework}}}
budget: {{time: 60 days}}
cluster: {{gpus: [h100-sxm5-80gb], max_gpus: 16}}
"""
SHAPE = {"layers": 8, "hidden": 1024, "heads": 8, "ffn": 4096, "vocab": 32000, "norm": "rmsnorm"}
MAMBA2 = {"kind": "mamba2", "heads": 32, "head_dim": 64, "state": 128, "key_heads": 2, "conv": 4}
NEMOTRON = {
    "model_type": "nemotron_h", "hybrid_override_pattern": "M-M*M-M-", "hidden_size": 1024, "intermediate_size": 4096,
    "num_attention_heads": 8, "num_key_value_heads": 2, "mamba_num_heads": 32, "vocab_size": 32000,
}  # fmt: skip


def test_an_imported_hybrid_is_planned_as_modelled(planner, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(NEMOTRON))
    scenario = tmp_path / "hybrid.yaml"
    assert planner("import", tmp_path / "config.json", "--tokens", "1B", "--epochs", "1", "-o", scenario).code == 0
    sets = ("data.seq_length=2048", "budget.time=60 days", "training.framework=megatron", "cluster.max_gpus=8")
    found = planner("optimize", scenario, "--json", *(word for each in sets for word in ("--set", each)))
    plan = json.loads(found.out)["plan"]
    assert found.code == 0
    assert plan["basis"] == "modelled"
    step = plan["step_time_s"]
    assert step["p90"] / step["p50"] > 1.5


def test_a_framework_without_such_layers_is_named_where_nothing_is_feasible(planner, tmp_path):
    shape = json.dumps(SHAPE | {"recurrent": MAMBA2, "layer_pattern": "RD RD AD"})
    scenario = tmp_path / "neox.yaml"
    scenario.write_text(SCENARIO.format(model=shape, framework="gpt-neox"))
    found = planner("optimize", scenario)
    assert found.code == 3
    assert "GPT-NeoX has no mamba2 layers, which neox needs" in " ".join(found.out.split())


@pytest.mark.parametrize("name", ["meta-llama/Meta-Llama-3-8B", "META-LLAMA/llama-3-8b-instruct"])
def test_a_scenario_and_a_table_take_an_id_of_a_hub(planner, tmp_path, name):
    scenario, rows = tmp_path / "hub.yaml", tmp_path / "rows.csv"
    scenario.write_text(SCENARIO.format(model=name, framework="megatron"))
    found = planner("optimize", scenario, "--json")
    assert json.loads(found.out)["trained"]["model"]["name"] == "llama3-8b"
    head = "model,gpu,gpus,framework,seq_len,global_batch_samples,n_layers,hidden,n_heads\n"
    rows.write_text(f"{head}{name},h100-sxm5-80gb,64,megatron,4096,512,,,\n")
    assert "is not in the catalog" not in planner("predict", rows).out


def test_an_id_of_an_unknown_model_is_no_model(planner, tmp_path):
    scenario = tmp_path / "hub.yaml"
    scenario.write_text(SCENARIO.format(model="nobody/no-such-model", framework="megatron"))
    found = planner("optimize", scenario)
    assert found.code == 2
    assert "no-such-model" in found.err


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"recurrent": MAMBA2, "layer_pattern": "RD"}, "mamba2 layers that planner can write"),
        ({"layer_pattern": "WD AD", "sliding_window": 256}, "pattern of unlike layers that planner can write"),
        ({"attention_gate": True}, "gate on attention's output"),
        ({"sliding_window": 256, "window_in_chunks": True}, "attention in chunks"),
        ({"qk_norm": True, "qk_norm_wide": True}, "norm of queries and keys over all heads"),
    ],
    ids=str,
)
@pytest.mark.parametrize("target", ["neox", "megatron"])
def test_an_export_of_such_layers_is_refused_by_name(values, words, target):
    framework = {"neox": "gpt-neox"}.get(target, target)
    model = model_from_mapping(SHAPE | values)
    saved = answer("gpt3-13b", framework, trained=Trained(model), recompute="none")
    with pytest.raises(PlannerError, match=words) as refused:
        export_files(saved, target)
    assert "training.framework" not in str(refused.value)  # no other one is written


@pytest.mark.parametrize(
    ("target", "values", "other"),
    [("neox", {"head_bias": True}, "megatron"), ("megatron", {"parallel_residual": True}, "gpt-neox")],
)
def test_a_refused_export_names_another_framework_and_not_the_plans_own(target, values, other):
    framework = {"neox": "gpt-neox"}.get(target, target)
    saved = answer("gpt3-13b", framework, trained=Trained(model_from_mapping(SHAPE | values)), recompute="none")
    with pytest.raises(PlannerError, match=rf"plan with training\.framework: {other}\.$"):
        export_files(saved, target)


def test_the_gate_of_shared_experts_is_written_and_counted():
    model = load_model("deepseekv3")
    assert model.moe is not None
    assert not model.moe.shared_gate
    shape = SHAPE | {"moe": {"experts": 8, "top_k": 2, "expert_ffn": 512, "shared_experts": 1, "shared_ffn": 512}}
    gated = model_from_mapping(shape | {"moe": shape["moe"] | {"shared_gate": True}})
    assert parameter_counts(gated).total - parameter_counts(model_from_mapping(shape)).total == 8 * 1024
