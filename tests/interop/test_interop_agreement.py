"""What is planned for a framework is exported for it: layout rules and exporters know the same models and layouts."""

from __future__ import annotations

import pytest

from planner import api
from planner.interop.exporting import export_files
from planner.performance.framework_table import framework, frameworks
from planner.performance.model_parts import PARTS, approximated_part, missing_part, own_model, without_pipeline
from planner.units import PlannerError
from planner.workload.model_catalog import load_model, model_names

#: Of each kind that is shipped: parallel residual, biases, ALiBi, Llama's, QK norm, experts with and without latent
#: attention, windows and sinks, squared ReLU.
SAMPLE = (
    "pythia-1b", "gpt3-1.3b", "mpt-1b", "llama3.2-1b", "llama3-8b", "qwen3-0.6b", "qwen3-30b-a3b", "mixtral-8x7b",
    "gpt-oss-20b", "mistral-7b", "nemotron-4-15b",
)  # fmt: skip
LAB = {"name": "lab", "gpu": "h200-sxm5-141gb", "gpus_per_node": 8, "nodes": 4, "network": "3200 Gbit/s"}


def planned(model: str, name: str) -> api.Optimization:
    return api.optimize(
        {
            "model": model,
            "data": {"tokens": "1B tokens", "seq_length": 2048},
            "training": {"iterations": 1000, "framework": name, "global_batch": 256},
            "objective": "time",
            "cluster": {"own": [{**LAB, "usd_per_gpu_hour": 2}], "own_only": True, "max_gpus": 32},
        }
    )


@pytest.mark.parametrize("name", [name for name in frameworks() if name != "fsdp"])
def test_a_plan_of_a_framework_is_exported_for_it_or_was_refused_by_name(name: str) -> None:
    row, exported = framework(name), 0
    for model in SAMPLE:
        answer = planned(model, name)
        if answer.plan is None:
            assert missing_part(row, load_model(model)), model
            continue
        if part := approximated_part(row, load_model(model)):  # planned where it is named, and said to go no further
            assert any(part in warning and "not exported" in warning for warning in answer.warnings), model
            for target in row.exports:
                with pytest.raises(PlannerError, match=part):
                    export_files(answer, target)
            continue
        for target in row.exports:
            assert export_files(answer, target)[0], model
            exported += 1
    assert exported >= 2


@pytest.mark.parametrize("name", model_names())
def test_torchtitan_plans_no_pipeline_that_its_class_lacks(name: str) -> None:
    row, model = framework("torchtitan"), load_model(name)
    if own_model("torchtitan", model).startswith(("qwen3", "gpt_oss")):
        assert without_pipeline(row, model)


def test_tables_name_parts_that_are_known() -> None:
    for row in frameworks().values():
        assert set(row.without) | set(row.approximates) | set(row.parts_without_pipeline) <= set(PARTS)


def test_where_any_framework_will_do_none_is_taken_that_builds_the_model_otherwise() -> None:
    assert planned("pythia-1b", "any").plan.framework != "megatron"
    assert planned("pythia-1b", "megatron").plan.framework == "megatron"
