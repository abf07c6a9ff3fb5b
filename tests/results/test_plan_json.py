"""Results to JSON and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.reading.text import UNSEEN
from planner.results import answers
from planner.results import json_form as plan_json
from planner.results import plan as results
from planner.units import PlannerError
from planner.workload import load_model

LAYOUT = results.Layout(2, 4, 1, 12, 1, 1, 1, False, "full", 4, 32)
OFFER = results.OfferRef(
    id="lambda/gpu_8x_h100_sxm5/us/on_demand",
    cloud="lambda",
    region="us",
    instance="gpu_8x_h100_sxm5",
    gpu="h100-sxm5-80gb",
    pricing="on_demand",
    usd_per_gpu_hour=2.99,
    as_of="2026-10",
    max_nodes=None,
    as_of_earliest=date(2026, 10, 1),
    as_of_latest=date(2026, 10, 31),
)
PLAN = results.Plan(
    offer=OFFER,
    framework="gpt-neox",
    gpus=96,
    nodes=12,
    layout=LAYOUT,
    global_batch=1536,
    seq_length=2048,
    iterations_per_epoch=20356,
    iterations=81425,
    tokens=81425 * 1536 * 2048,
    step_time_s=results.Quantiles(10.0, 11.0, 12.5),
    step_breakdown_s={"matmul": 8.0, "attention": 2.0, "bubble": 1.0},
    tokens_per_s_per_gpu=results.Quantiles(2000.0, 2200.0, 2400.0),
    model_tflops_per_gpu=280.0,
    hardware_tflops_per_gpu=370.0,
    mfu=0.28,
    hfu=0.37,
    memory_gib=results.MemoryGiB(10.0, 10.0, 5.0, 20.0, 2.0, 47.0, 79.1),
    time_s=results.Quantiles(9e5, 1e6, 1.1e6),
    cost_usd=results.Quantiles(6e4, 6.5e4, 7e4),
    p_within_time=0.97,
    p_within_cost=None,
    p_within_both=0.97,
    critical_batch=1800.0,
    basis="modelled",
    measurements=("llm-foundry:12",),
    schedule=(results.EpochSchedule(1, 1, 20356, 0.0, 2.5e5),),
    plausibility=results.Plausibility(989.0, 750.0, 0.49, 0.59, 1.1e6, 20_554_567_680),
)
PROVENANCE = answers.Provenance("0.1.0", "neox20b", "a" * 64, "b" * 64, "c" * 64, 12, {"fabric unknown": 3})
OPTIMIZATION = answers.Optimization(
    status="optimal",
    plan=PLAN,
    alternatives=(answers.Alternative("fastest", replace(PLAN, gpus=192)),),
    certificate=answers.Certificate(1000, 400, {"memory": 600}, 6.5e4, 6.5e4, 0.0),
    binding=(answers.Binding("training.global_batch.max", "the batch sits on its bound", 1536, 1536, "sequences"),),
    infeasibility=None,
    defaults=(answers.Default("training.precision", "bf16"),),
    warnings=("the price is 40 days old",),
    provenance=PROVENANCE,
    goal=answers.StatedGoal("cost", time_s=1209600.0, confidence=0.8, start=date(2027, 2, 1)),
)
FRONTIER = answers.Frontier(
    status="optimal", plans=(PLAN,), certificate=None, defaults=(), warnings=(), provenance=PROVENANCE
)
COMPARISON = answers.Comparison(
    by="gpu",
    sides=(answers.Side("h100", "optimal", PLAN), answers.Side("v100", "infeasible", None, "memory")),
    differences=(answers.Difference("gpu", ("h100", "v100"), "asked"),),
    warnings=(),
    provenance=(PROVENANCE,),
)


@pytest.mark.parametrize("document", [OPTIMIZATION, FRONTIER, COMPARISON], ids=lambda d: type(d).__name__)
def test_a_result_survives_json_and_writes_the_same_bytes_again(document):
    text = document.to_json()
    again = type(document).from_json(text)
    assert again == document
    assert again.to_json() == text


def test_keys_of_optimize_are_those_of_the_contract():
    data = json.loads(OPTIMIZATION.to_json())
    contract = "schema_version status plan alternatives certificate binding infeasibility defaults warnings provenance"
    assert list(data)[:10] == contract.split()
    plan_keys = """offer framework gpus nodes layout global_batch seq_length iterations_per_epoch iterations tokens
        step_time_s step_breakdown_s tokens_per_s_per_gpu model_tflops_per_gpu hardware_tflops_per_gpu mfu hfu
        memory_gib time_s cost_usd p_within_time p_within_cost p_within_both critical_batch basis measurements"""
    assert list(data["plan"])[:26] == plan_keys.split()
    offer = "id cloud region instance gpu pricing usd_per_gpu_hour as_of max_nodes"
    assert list(data["plan"]["offer"])[:9] == offer.split()
    layout = "tp pp vpp dp cp ep zero_stage sequence_parallel recompute micro_batch grad_accum"
    assert list(data["plan"]["layout"]) == layout.split()
    assert list(data["certificate"])[:6] == "space evaluated pruned best bound gap".split()


def test_an_alternative_is_a_plan_with_a_why():
    first = json.loads(OPTIMIZATION.to_json())["alternatives"][0]
    assert first["why"] == "fastest"
    assert first["gpus"] == 192


def test_what_is_not_known_is_null_and_never_nan():
    assert json.loads(OPTIMIZATION.to_json())["plan"]["p_within_cost"] is None
    with pytest.raises(ValueError, match="not a number"):
        replace(OPTIMIZATION, plan=replace(PLAN, mfu=float("nan"))).to_json()


def test_numpy_scalars_are_written_as_plain_numbers():
    layout = replace(LAYOUT, sequence_parallel=np.bool_(False))
    plan = replace(PLAN, gpus=np.int64(96), mfu=np.float64(0.28), layout=layout)
    assert plan_json.dumps(plan) == plan_json.dumps(PLAN)


def test_keys_that_a_newer_planner_added_are_left_aside():
    data = json.loads(OPTIMIZATION.to_json())
    data["plan"]["colour"] = "blue"
    assert answers.Optimization.from_json(json.dumps(data)) == OPTIMIZATION


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda d: d.update(schema_version=2), "schema_version is 2"),
        (lambda d: d["plan"].pop("gpus"), r"plan\.gpus is missing"),
        (lambda d: d["plan"].update(gpus="many"), r"plan\.gpus: int is expected, not 'many'"),
        (lambda d: d["plan"].update(gpus=True), r"plan\.gpus: a whole number"),
        (lambda d: d["plan"]["offer"].update(as_of_latest="soon"), "not a date"),
        (lambda d: d.update(warnings="none"), "a list is expected"),
        (lambda d: d["plan"].update(layout=[]), "an object is expected"),
        (lambda d: d["certificate"].update(pruned=[]), "an object is expected"),
    ],
)
def test_a_damaged_file_is_named_in_one_sentence(damage, sentence):
    data = json.loads(OPTIMIZATION.to_json())
    damage(data)
    with pytest.raises(PlannerError, match=sentence):
        answers.Optimization.from_json(json.dumps(data))


# What every saved answer has had from the first: the contract's keys, and those of the objects that it leaves open. A
# field that is added needs a default, or an owner that is plan_json.WHOLE, so that what was saved before it can be read
# still; it does not belong here.
FROM_THE_FIRST = {
    "Optimization": """status plan alternatives certificate binding infeasibility defaults warnings provenance""",
    "Frontier": "status plans certificate defaults warnings provenance",
    "Comparison": "by sides differences warnings provenance",
    "Plan": """offer framework gpus nodes layout global_batch seq_length iterations_per_epoch iterations tokens
        step_time_s step_breakdown_s tokens_per_s_per_gpu model_tflops_per_gpu hardware_tflops_per_gpu mfu hfu
        memory_gib time_s cost_usd p_within_time p_within_cost p_within_both critical_batch basis measurements""",
    "OfferRef": "id cloud region instance gpu pricing usd_per_gpu_hour as_of max_nodes",
    "Layout": "tp pp vpp dp cp ep zero_stage sequence_parallel recompute micro_batch grad_accum",
    "MemoryGiB": "weights gradients optimizer activations other total capacity",
    "Quantiles": "p10 p50 p90",
    "EpochSchedule": "epoch first_iteration last_iteration start_s finish_s",
    "Plausibility": """peak_tflops measured_peak_tflops utilization_of_measured_peak memory_share six_nd_time_s
        six_nd_parameters""",
    "Alternative": "why",
    "Certificate": "space evaluated pruned best bound gap",
    "Binding": "key text",
    "Change": "key present needed text",
    "Infeasible": "reason least_time_s least_cost_usd fastest cheapest changes",
    "Default": "key value",
    "StatedGoal": "objective",
    "Provenance": "planner scenario scenario_digest catalog_digest calibration_digest",
    "Trained": "model",
    "Side": "label status plan",
    "Difference": "key values",
    "GpuHours": "productive checkpoints failures overhead spare allocated",
    "ModelSpec": "name layers hidden heads kv_heads head_dim ffn vocab",
    "MoESpec": "experts top_k expert_ffn",
    "MLASpec": "q_lora_rank kv_lora_rank qk_nope_head_dim qk_rope_head_dim v_head_dim",
}
RELIABILITY = results.Reliability(
    3.0, 3e5, 600.0, 0.1, 1800.0, 240.0, 20.0, 3600.0, 300, 9e5, 0.95, 4e4, 3e3, {"failures": 1.0}, "made up", 1, 0.0,
    results.Overhead(1.01, 0.1, "made up"),
)  # fmt: skip
LONG_PLAN = replace(PLAN, reliability=RELIABILITY, gpu_hours=results.GpuHours(80.0, 1.0, 2.0, 16.0, 1.0, 100.0))
FULL = replace(
    OPTIMIZATION,
    plan=LONG_PLAN,
    infeasibility=answers.Infeasible("no", 1.0, 2.0, LONG_PLAN, PLAN, (answers.Change("a", "1", "2", "so"),)),
    trained=answers.Trained(load_model("deepseekv3"), data_index=("corpus",), data_weights=(1.0,)),
)


def keys_of(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Every key of a result's JSON: its path there, the class it belongs to, and its name."""
    if isinstance(value, tuple):
        for i, entry in enumerate(value[:1]):
            yield from keys_of(entry, (*path, i))
    if dataclasses.is_dataclass(value):
        for part in dataclasses.fields(value):
            flat = part.metadata.get("flat")
            if not flat:
                yield (*path, part.name), type(value).__name__, part.name
            yield from keys_of(getattr(value, part.name), path if flat else (*path, part.name))


@pytest.mark.parametrize("document", [FULL, FRONTIER, COMPARISON], ids=lambda d: type(d).__name__)
def test_an_answer_saved_before_a_key_was_added_is_still_read(document):
    text = document.to_json()
    optional = 0
    for path, owner, key in keys_of(document):
        if key == "schema_version":
            continue
        data = json.loads(text)
        place = data
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]
        if key in FROM_THE_FIRST.get(owner, "").split():
            with pytest.raises(PlannerError, match=rf"{key} is missing"):
                type(document).from_json(json.dumps(data))
        else:
            again = type(document).from_json(json.dumps(data))
            assert type(document).from_json(again.to_json()) == again
            optional += 1
    assert optional >= 20


def test_what_an_older_planner_said_of_failures_in_less_words_is_not_known():
    data = json.loads(FULL.to_json())
    del data["plan"]["reliability"]["undisturbed_s"]
    assert answers.Optimization.from_json(json.dumps(data)).plan == replace(LONG_PLAN, reliability=None)
    data["plan"]["reliability"]["undisturbed_s"] = "long"
    with pytest.raises(PlannerError, match=r"reliability\.undisturbed_s: float is expected"):
        answers.Optimization.from_json(json.dumps(data))


@pytest.mark.parametrize("text", ["", "[]", "{}", "[" * 100_000, "nonsense"])
def test_what_is_no_document_is_refused(text):
    with pytest.raises(PlannerError, match="not a saved optimization"):
        answers.Optimization.from_json(text)


def test_a_whole_number_in_a_fractional_field_reads_back_as_the_same_bytes():
    text = replace(OPTIMIZATION, plan=replace(PLAN, mfu=1, p_within_time=1)).to_json()
    assert answers.Optimization.from_json(text).to_json() == text


def test_results_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        PLAN.gpus = 1


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.recursive(
    SCALARS, lambda inside: st.lists(inside, max_size=4) | st.dictionaries(st.text(), inside, max_size=4), max_leaves=20
)


@given(DOCUMENTS)
def test_documents_are_written_as_pythons_own_writer_indents_them(document):
    plain = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    assert plan_json.dumps(document) == UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", plain)
