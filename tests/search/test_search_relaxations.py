"""What would have to give: every change that is told is feasible when it is typed as it is printed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from planner.catalog import load_catalog
from planner.performance.loading import load_calibration
from planner.reading.quantities import parse_duration, parse_money
from planner.results.answers import Change
from planner.scenario import parse_scenario
from planner.search import optimize
from planner.search.building import build
from planner.search.optimum import solve
from planner.search.pools import node_range
from planner.spec.scenario import Scenario
from planner.units import format_duration, format_usd, written_up

PYTHIA: dict[str, Any] = {
    "model": "gpt3-1.3b",
    "data": {"samples": 1_000_000, "seq_length": 2048},
    "training": {"epochs": 1, "global_batch": 512, "framework": "megatron"},
    "cluster": {"gpus": ["h100-sxm5-80gb"], "max_gpus": 16},
    "budget": {"time": "10 days"},
}


def scenario(asked: dict[str, Any], *overrides: str) -> Scenario:
    """A scenario as its file and the command line say it."""
    return parse_scenario(json.dumps(asked).encode(), Path("asked.yaml"), overrides)


def changes(asked: dict[str, Any]) -> tuple[Change, ...]:
    """What would have to give; nothing where the scenario has a plan."""
    found = optimize(scenario(asked), load_catalog(), load_calibration()).infeasibility
    return () if found is None else found.changes


def does(asked: dict[str, Any], change: Change) -> bool:
    """Whether the change, typed as it is printed, leaves a plan."""
    _, best, _ = solve(build(scenario(asked, *change.overrides), load_catalog(), load_calibration()))
    return best is not None


@st.composite
def infeasible(draw: st.DrawFn) -> dict[str, Any]:
    """A scenario whose budgets, memory or machines are a little or much too small, most of the time."""
    gpus = st.sampled_from(["h100-sxm5-80gb", "a100-sxm4-80gb", "a100-sxm4-40gb", "h200-sxm5-141gb"])
    gpu = draw(gpus)
    asked: dict[str, Any] = {
        "model": draw(st.sampled_from(["gpt3-1.3b", "gpt3-2.7b", "gpt-oss-20b", "llama2-7b"])),
        "data": {"samples": draw(st.integers(1_000, 300_000)), "seq_length": 2048},
        "training": {
            "epochs": draw(st.floats(0.1, 20).map(lambda x: round(x, 3))),
            "global_batch": 256,
            "framework": draw(st.sampled_from(["megatron", "fsdp"])),
        },
        "cluster": {"gpus": [gpu], "max_gpus": draw(st.sampled_from([1, 8, 16])), "pricing": ["on_demand"]},
        "risk": {"spare_nodes": draw(st.integers(0, 2))},
        "budget": {"confidence": draw(st.sampled_from([0.5, 0.8, 0.953]))},
    }
    time, cost = draw(st.floats(600, 3e6)), draw(st.floats(1, 1e4))
    which = draw(st.sampled_from(["time", "cost", "both", "deadline"]))
    if which == "deadline":
        asked["budget"] |= {"start": "2027-01-01", "deadline": f"2027-01-{draw(st.integers(2, 20)):02}"}
    if which in ("time", "both"):
        asked["budget"]["time"] = f"{time:.1f} s"
    if which in ("cost", "both", "deadline"):
        asked["budget"]["cost"] = round(cost, 2)
    if draw(st.booleans()):
        asked["cluster"]["clouds"] = [draw(st.sampled_from(["aws", "gcp", "lambda"]))]
    if draw(st.integers(0, 3)) == 0:
        asked["throughput"] = [{"gpu": gpu, "gpus": 16, "tokens_per_s_per_gpu": draw(st.floats(500, 50_000))}]
    return asked


@hypothesis.settings(max_examples=25)
@hypothesis.given(infeasible())
def test_every_change_that_is_told_is_feasible_when_it_is_typed(asked: dict[str, Any]) -> None:
    for change in changes(asked):
        assert change.overrides
        assert does(asked, change), change


@pytest.mark.parametrize("share", [0.3, 0.7, 0.9999, 0.999999])
def test_budgets_are_told_as_they_suffice_not_as_they_round(share: float) -> None:
    catalog, calibration = load_catalog(), load_calibration()
    plan = optimize(scenario(PYTHIA), catalog, calibration).plan
    assert plan is not None
    fastest = optimize(scenario(PYTHIA, "objective=time"), catalog, calibration).plan
    assert fastest is not None
    short = {"time": f"{fastest.time_s.p10 * share} s", "cost": plan.cost_usd.p10 * share}
    asked = PYTHIA | {"budget": short}
    told = {change.key: change for change in changes(asked)}
    assert {"budget", "cluster.max_gpus"} & set(told)
    for change in told.values():
        assert does(asked, change), change
        assert change.present != change.needed


def test_a_longer_time_takes_the_place_of_a_deadline() -> None:
    budget = {"start": "2027-01-01", "deadline": "2027-01-02"}
    asked = PYTHIA | {"budget": budget, "training": PYTHIA["training"] | {"epochs": 100}}
    change = next(change for change in changes(asked) if change.key == "budget.time")
    assert change.overrides == ("budget.deadline=null", f"budget.time={change.needed}")
    assert does(asked, change)


def test_a_change_that_the_scenario_would_refuse_is_not_told() -> None:
    """Of much less training a ramp would reach no batch of the default range: that is no way out, and no mistake."""
    training = {"epochs": 1, "batch_ramp": {"start": 1024, "increment": 1024, "samples": 10_000}}
    asked = PYTHIA | {"data": {"samples": "500M", "seq_length": 2048}, "training": training, "budget": {"cost": 400}}
    told = {change.key for change in changes(asked)}
    assert "budget.cost" in told
    assert "training.epochs" not in told


def test_spare_nodes_are_among_the_gpus_that_would_do() -> None:
    asked = PYTHIA | {"cluster": PYTHIA["cluster"] | {"max_gpus": 8}, "risk": {"spare_nodes": 1}}
    change = next(change for change in changes(asked) if change.key == "cluster.max_gpus")
    assert change.text == "16 GPUs (8 of them spare) instead of at most 8 would do."
    assert change.overrides == ("cluster.max_gpus=16",)


def test_spot_prices_are_asked_for_beside_the_kinds_of_price_that_are_allowed() -> None:
    quote = {"pricing": "reserved", "gpu": "h100-sxm5-80gb", "usd_per_gpu_hour": 50, "term": "30 days"}
    reserved = PYTHIA["cluster"] | {"pricing": ["reserved"], "prices": [quote]}
    asked = PYTHIA | {"cluster": reserved, "budget": {"cost": "100 USD"}}
    told = {change.key: change for change in changes(asked)}
    assert does(asked, told["cluster.pricing"])
    assert told["cluster.pricing"].overrides == ("cluster.pricing=[reserved, on_demand, spot]",)


def test_spare_nodes_take_nothing_from_what_was_measured() -> None:
    measured = [{"gpu": "h100-sxm5-80gb", "gpus": 16, "tokens_per_s_per_gpu": 20_000}]
    cluster = {"gpus": ["h100-sxm5-80gb"], "max_gpus": 64}
    plain = scenario(PYTHIA | {"throughput": measured, "cluster": cluster})
    spare = scenario(PYTHIA | {"throughput": measured, "cluster": cluster, "risk": {"spare_nodes": 1}})
    catalog, calibration = load_catalog(), load_calibration()
    factors = [build(each, catalog, calibration).space.calibration for each in (plain, spare)]
    assert factors[0] == factors[1]
    assert optimize(spare, catalog, calibration).plan is not None


def test_spare_nodes_count_towards_the_least_order() -> None:
    asked = PYTHIA | {"terms": {"minimum_gpus": 16}, "risk": {"spare_nodes": 1}}
    found = build(scenario(asked), load_catalog(), load_calibration()).space
    eight = next(offer for offer in found.offers if offer.hardware.gpus_per_node == 8)
    assert node_range(eight, found.scenario) == (1, 1)
    assert set(found.paid_gpus[found.sold[found.offers.index(eight)]].tolist()) == {16}


@hypothesis.given(
    st.floats(0.01, 1e12), st.sampled_from([(format_duration, parse_duration), (format_usd, parse_money)])
)
def test_what_is_written_up_reads_as_no_less_and_hardly_more(value: float, how: tuple[Any, Any]) -> None:
    write, read = how
    text = written_up(value, write, read)
    assert value <= read(text) <= value * 1.0101
    assert len(text.split()[0].replace(",", "").replace(".", "").strip("0")) <= 3


@pytest.mark.parametrize(
    ("value", "text"), [(343_000, "3.97 days"), (343_009, "3.98 days"), (172_799, "48 hours"), (59.99, "60 s")]
)
def test_a_time_is_written_up(value: float, text: str) -> None:
    assert written_up(value, format_duration, parse_duration) == text


def test_both_budgets_are_told_larger_only_where_neither_does_alone() -> None:
    """A cost that would do by itself is told by itself: nobody has to ask for more time with it."""
    catalog, calibration = load_catalog(), load_calibration()
    least = optimize(scenario(PYTHIA, "budget.cost=1M USD"), catalog, calibration).plan
    assert least is not None
    asked = PYTHIA | {"budget": {"time": "10 days", "cost": least.cost_usd.p50 * 0.9}}
    told = {change.key for change in changes(asked)}
    assert "budget.cost" in told
    assert "budget" not in told
    neither = PYTHIA | {"budget": {"time": "1 hour", "cost": least.cost_usd.p50 * 0.5}}
    assert "budget" in {change.key for change in changes(neither)}
