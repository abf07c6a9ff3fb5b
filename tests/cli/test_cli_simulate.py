"""`planner simulate`: stated against drawn, from a scenario and from a saved plan, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.cli.run import run

SCENARIO = Path(__file__).parents[2] / "scenarios" / "neox20b.yaml"


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("plans") / "plan.json"
    assert run(["optimize", str(SCENARIO), "--quiet", "-o", str(path)]) == 0
    return path


def test_a_saved_plan_holds_what_it_states(saved, capsys):
    assert run(["simulate", str(saved), "--worlds", "20000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["largest_quantile_error"] < 0.02
    assert found["largest_probability_error"] < 0.02
    plan = json.loads(saved.read_text())["plan"]
    assert found["stated"]["time_s"] == plan["time_s"]
    worse = {world["name"]: world for world in found["other_worlds"]}
    assert worse["steps 5 % longer than the median"]["p_within_time"] < found["simulated"]["p_within_time"]


def test_what_is_stated_of_the_way_is_what_is_drawn(saved, capsys):
    assert run(["simulate", str(saved), "--worlds", "100000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for key in ("interruptions", "lost_s", "waiting_s", "overhead_s"):  # checkpoints are no work done twice
        assert found["stated"][key] == pytest.approx(found["simulated"][key], rel=0.1)


def test_the_same_seed_gives_the_same_bytes_and_the_scenario_the_same_as_its_plan(saved, capsys):
    for source in (saved, saved, SCENARIO):
        assert run(["simulate", str(source), "--worlds", "500", "--seed", "3", "--json"]) == 0
    documents = capsys.readouterr().out.split("\n}\n{")
    assert len(documents) == 3
    assert len({text.strip("{}\n ") for text in documents}) == 1


def test_a_run_near_its_parts_peak_is_never_faster_than_the_peak(tmp_path, capsys):
    """A run that measures nearly all that the part can do leaves little room below: in the step, the time, the cost."""
    source, plan = tmp_path / "s.yaml", tmp_path / "plan.json"
    source.write_text(
        "model: llama3-8b\ndata: {tokens: 2B, seq_length: 4096}\ntraining: {epochs: 1, framework: megatron, "
        "global_batch: 256}\nobjective: cost\nbudget: {time: 60 days}\nrisk: {overhead: none}\n"
        "cluster: {gpus: [h100-sxm5-80gb], max_gpus: 8}\n"
        "throughput: [{gpu: h100-sxm5-80gb, gpus: 8, tokens_per_s_per_gpu: 17000}]\n"
    )
    assert run(["optimize", str(source), "--quiet", "-o", str(plan)]) == 0
    assert run(["simulate", str(plan), "--worlds", "20000", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    step, stated, drawn = json.loads(plan.read_text())["plan"]["step_time_s"], found["stated"], found["simulated"]
    assert step["p10"] / step["p50"] > 0.97  # the peak holds it
    assert stated["time_s"]["p10"] / stated["time_s"]["p50"] > 0.95
    for name in ("time_s", "cost_usd"):
        assert stated[name]["p10"] == pytest.approx(drawn[name]["p10"], rel=0.01)


def test_the_table_fits_80_columns(saved, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["simulate", str(saved), "--worlds", "500"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert any("failures twice as often" in line for line in lines)
    under = lines[lines.index("Under stress") :]
    for said in ("steps 20 % slower", "failures three times as", "an hour of ramp after each", "all three", "reserve"):
        assert any(said in line for line in under), said
    assert any("Bursts can help" in line for line in lines)


def test_both_distributions_are_drawn(saved, tmp_path):
    for name in ("spread.svg", "spread.png"):
        assert run(["simulate", str(saved), "--worlds", "500", "--quiet", "--chart", str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 5_000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set", "budget.time=3 days"], "--set"),
        (["--chart", "spread.gif"], "a chart is a file ending in"),
        (["--worlds", "5"], "worlds"),
    ],
)
def test_a_mistake_gets_one_sentence(saved, arguments, said, capsys):
    assert run(["simulate", str(saved), *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_plan_of_an_older_planner_is_refused(saved, tmp_path, capsys):
    document = json.loads(saved.read_text())
    document["plan"]["reliability"] = None
    (tmp_path / "old.json").write_text(json.dumps(document))
    assert run(["simulate", str(tmp_path / "old.json")]) == 2
    assert "run `planner optimize`" in capsys.readouterr().err


def test_what_is_infeasible_is_not_simulated(capsys):
    pinned = SCENARIO.with_name("neox20b-as-trained.yaml")
    assert run(["simulate", str(pinned), "--set", "budget.time=1 hour"]) == 3
    assert "nothing to simulate" in capsys.readouterr().err
