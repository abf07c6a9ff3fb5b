"""`planner compare`: options, scenarios and saved plans side by side."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Ran

from planner.results.answers import Comparison

ROOT = Path(__file__).parents[2]
PINNED = ROOT / "scenarios" / "neox20b-as-trained.yaml"
PYTHIA = ROOT / "scenarios" / "pythia-12b.yaml"


def test_one_scenarios_options_are_compared_best_first(planner, tmp_path):
    saved, chart = tmp_path / "c.json", tmp_path / "c.svg"
    ran = planner("compare", PYTHIA, "--by", "gpu", "-o", saved, "--chart", chart)
    assert ran.code == 0, ran.err
    found = Comparison.from_json(saved.read_text())
    costs = [side.plan.objective_value for side in found.sides if side.plan is not None]
    assert len(costs) >= 2
    assert costs == sorted(costs)
    assert all(len(difference.values) == len(found.sides) for difference in found.differences)
    assert chart.stat().st_size > 2000
    assert max(map(len, ran.out.splitlines())) <= 80


def test_saved_plans_and_scenarios_stand_side_by_side(planner, tmp_path):
    saved = tmp_path / "plan.json"
    planner("optimize", PINNED, "--quiet", "-o", saved)
    ran = planner("compare", saved, PINNED)
    assert ran.code == 0, ran.err
    assert re.search(r"^  plan +\d\d", ran.out, re.MULTILINE)  # of one scenario, so called by their files
    assert re.search(r"^  neox20b-as-\w* +\d\d", ran.out, re.MULTILINE)


def test_an_infeasible_side_is_shown_as_such(planner, tmp_path):
    short = tmp_path / "short.yaml"
    short.write_text(PINNED.read_text().replace("time: 120 days", "time: 1 day"))
    ran = planner("compare", PINNED, short)
    assert ran.code == 0, ran.err
    assert "Infeasible" in ran.out


def test_all_infeasible_is_exit_3(planner):
    assert planner("compare", PINNED, PINNED, "--set", "budget.time=1 h").code == 3


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((PINNED,), "--by"),
        ((PINNED, "--by", "colour"), "offer, gpu, cloud, gpus"),
        ((PINNED, PINNED, "--by", "gpu"), "one scenario"),
        ((PINNED, "no-such.yaml"), "no-such.yaml"),
    ],
)
def test_what_cannot_be_compared_is_said_in_one_sentence(planner, arguments, said):
    ran = planner("compare", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_damaged_saved_plan_is_named(planner, tmp_path):
    saved = tmp_path / "plan.json"
    saved.write_text('{"schema_version": 1, "status": "optimal"}')
    ran = planner("compare", saved, PINNED)
    assert ran.code == 2
    assert "plan.json" in ran.err


def answers(planner: Callable[..., Ran], tmp_path: Path, *changes: str) -> list[Path]:
    """Saved plans of one scenario, each with some keys set otherwise."""
    files = []
    for i, change in enumerate(changes):
        files.append(tmp_path / f"plan{i}.json")
        sets = [word for each in change for word in ("--set", each)]
        assert planner("optimize", PINNED, *sets, "--quiet", "-o", files[-1]).code == 0
    return files


def test_saved_plans_of_different_scenarios_name_the_keys_that_differ(planner, tmp_path):
    changes = ("budget.time=150 days", "training.iterations=140000", "layout.micro_batch={max: 4}")
    first, second = answers(planner, tmp_path, (), changes)
    found = Comparison.from_json(planner("compare", first, second, "--json").out)
    asked = {d.key: d.values for d in found.differences if d.key.startswith("asked: ")}
    assert list(asked) == ["asked: training.iterations", "asked: layout.micro_batch", "asked: budget.time"]
    assert asked["asked: budget.time"] == ("120 days", "150 days")
    assert asked["asked: layout.micro_batch"] == ("4", "at most 4")
    assert not any("digest" in d.key for d in found.differences)
    assert re.search(r"asked: budget\.time +120 days +150 days", planner("compare", first, second).out)


def test_what_is_only_written_otherwise_is_said_to_ask_the_same(planner, tmp_path):
    first, second = answers(planner, tmp_path, (), ("budget.time=2880 hours",))
    found = Comparison.from_json(planner("compare", first, second, "--json").out)
    assert not any(d.key.startswith("asked") for d in found.differences)
    (digest,) = (d for d in found.differences if "scenario digest" in d.key)
    assert "the same is asked" in digest.why


def test_many_keys_are_counted_and_plans_from_before_they_were_saved_still_compare(planner, tmp_path):
    many = [f"risk.{key}" for key in ("detection=9 min", "restart=9 min", "replacement=9 h", "storage=9 GByte/s")]
    many += ["budget.time=150 days", "budget.confidence=0.7", "training.iterations=140000", "cluster.max_gpus=128"]
    first, second = answers(planner, tmp_path, (), many)
    found = Comparison.from_json(planner("compare", first, second, "--json").out)
    assert sum(d.key.startswith("asked: ") for d in found.differences) == 6
    assert any("2 more of their keys: risk." in warning for warning in found.warnings)
    data = json.loads(first.read_text())
    del data["provenance"]["asked"]
    first.write_text(json.dumps(data))
    old = Comparison.from_json(planner("compare", first, second, "--json").out)
    assert [d.why for d in old.differences if "scenario digest" in d.key] == ["changed"]


def test_no_break_even_is_found_between_money_and_time(planner, tmp_path):
    hasty = tmp_path / "hasty.yaml"
    hasty.write_text(re.sub(r"^objective:.*$", "objective: time", PYTHIA.read_text(), flags=re.MULTILINE))
    found = json.loads(planner("compare", PYTHIA, hasty, "--json", "--quiet").out)
    assert not [d for d in found["differences"] if d["key"].startswith("break-even")]
    alike = json.loads(planner("compare", hasty, hasty, "--json", "--quiet").out)
    assert [d for d in alike["differences"] if d["key"].startswith("break-even")]


def test_the_factors_of_a_cost_multiply_to_it_with_storage_and_egress_in(planner, tmp_path):
    stored = tmp_path / "stored.yaml"
    stored.write_text(PYTHIA.read_text() + "storage: {size: 50 TB, usd_per_gb_month: 0.5}\n")
    heavy = tmp_path / "heavy.yaml"
    heavy.write_text(stored.read_text() + "egress: {size: 200 TB, usd_per_gb: 0.09}\nrisk: {spare_nodes: 2}\n")
    found = json.loads(planner("compare", stored, heavy, "--json", "--quiet").out)
    told = next(d for d in found["differences"] if d["key"] == "cost")["why"]
    assert "storage" in told
    ratio, product = (re.findall(r"[\d.]+(?= times the first| \()", part) for part in told.split(" = "))
    assert float(ratio[0]) == pytest.approx(math.prod(map(float, product)), rel=0.01)
    costs = [side["plan"]["cost_usd"]["p50"] for side in found["sides"]]
    assert float(ratio[0]) == pytest.approx(costs[1] / costs[0], rel=0.006)


def test_what_a_side_lacks_is_told_of_its_own_machines(planner, tmp_path):
    scenario = tmp_path / "s.yaml"
    scenario.write_text(
        "model: llama3-8b\ndata: {tokens: 1B, seq_length: 2048}\ntraining: {epochs: 1}\nbudget: {time: 90 days}\n"
        "cluster: {gpus: [h100-sxm5-80gb, b300-sxm6-288gb], max_gpus: 8}\nlayout: {tp: 1, pp: 1, zero_stage: 0}\n"
    )
    ran = planner("compare", scenario, "--by", "gpu", "--json")
    assert ran.code == 0, ran.err
    sides = {side["label"]: side for side in json.loads(ran.out)["sides"]}
    assert sides["b300-sxm6-288gb"]["status"] == "optimal"
    assert re.search(r"Least is lacking on \d+ x h100-sxm5-80gb", sides["h100-sxm5-80gb"]["reason"])
