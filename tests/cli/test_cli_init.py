"""`planner init`: five answers make a scenario that runs; three commands answer three newcomers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date

import jsonschema
import pytest
import yaml

import planner as package
from planner.units import PlannerError

TASKS = {
    "four cards": {"model": "llama3.2-1b", "gpus": "4 RTX 4090", "data": "2B tokens"},
    "fine-tuning": {"model": "llama3-8b", "gpus": "8 A100", "data": "10k samples", "epochs": "3"},
    "a price of one's own": {"model": "llama3.2-1b", "gpus": "4 rtx-4090 at 0.40 USD an hour", "data": "10k samples"}
    | {"budget": "500 USD"},
    "no bf16": {"model": "llama3.2-1b", "gpus": "4 x v100", "data": "10k samples"},
    "buy or rent": {"model": "llama3-8b", "gpus": "16 H100 or cloud", "data": "20B tokens", "budget": "30 days"},
}
MANY = {"model": "llama3-8b", "gpus": "cloud", "data": "10k samples", "budget": "5k USD"}


def options(task: Mapping[str, str]) -> list[str]:
    return [word for key, value in task.items() for word in (f"--{key}", value)]


@pytest.mark.parametrize("task", TASKS)
def test_what_it_writes_runs_and_fits_its_schema(planner, tmp_path, task):
    file = tmp_path / "scenario.yaml"
    ran = planner("init", file, *options(TASKS[task]))
    assert ran.code == 0, ran.err
    assert file.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    schema = json.loads((tmp_path / "schema.json").read_text())
    jsonschema.validate(yaml.safe_load(file.read_text()), schema)
    answered = planner("optimize", file)
    assert answered.code == 0, answered.err
    assert len(answered.out.splitlines()) <= 40
    assert all(len(line) <= 80 or "/" in line for line in answered.out.splitlines())  # names cannot be broken
    if task == "buy or rent":
        sides = planner("compare", file, "--by", "cloud")
        assert sides.code == 0
        assert "own" in sides.out
        assert "break-even" in sides.out


def test_nothing_is_overwritten(planner, tmp_path):
    file = tmp_path / "scenario.yaml"
    file.write_text("mine")
    ran = planner("init", file, *options(MANY))
    assert ran.code == 2
    assert "is there already" in ran.err
    assert file.read_text() == "mine"
    (tmp_path / "schema.json").write_text("{}")
    ran = planner("init", tmp_path / "other.yaml", *options(MANY))
    assert ran.code == 2
    assert "not planner's" in ran.err
    assert not (tmp_path / "other.yaml").exists()


def test_a_second_scenario_may_share_the_schema(tmp_path):
    package.init(tmp_path / "a.yaml", **MANY)
    package.init(tmp_path / "b.yaml", **MANY)
    assert {each.name for each in tmp_path.iterdir()} == {"a.yaml", "b.yaml", "schema.json"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"gpus": "some"}, "--gpus: `some` is not `cloud`"),
        ({"gpus": "12 h100"}, "write nodes and GPUs"),
        ({"gpus": "4 warp-drive"}, "not in the catalog"),
        ({"gpus": "4 rtx-4090"}, "costs an hour is not known.* at 0.40 USD"),
        ({"gpus": "4 rtx-4090 or cloud", "budget": "3 days"}, "costs an hour is not known"),
        ({"gpus": "4 rtx-4090 at 2 EUR"}, "--gpus: .*not in US dollars"),
        ({"data": "10k"}, "may be samples or tokens"),
        ({"data": "lots"}, "--data"),
        ({"budget": "soon"}, "is no time"),
        ({"budget": "none"}, "need a time or a cost"),
        ({"budget": "3 days and 5 days"}, "twice"),
        ({"model": "lama3"}, "lama3"),
    ],
)
def test_an_answer_that_cannot_be_read_is_said_and_nothing_is_written(tmp_path, change, told):
    with pytest.raises(PlannerError, match=told):
        package.init(tmp_path / "a.yaml", **(MANY | change))
    assert not list(tmp_path.iterdir())


def test_answers_are_read_as_people_say_them(tmp_path):
    found = package.init(
        tmp_path / "a.yaml",
        model="llama3-8b",
        gpus="2 x 8 h100",
        data="10k samples of 4096",
        epochs=1.5,
        budget="by 2027-03-01 and 5k USD",
        today=date(2027, 2, 1),
    )
    scenario = package.load_scenario(tmp_path / "a.yaml")
    assert (scenario.seq_length, scenario.data[0].samples, scenario.training.epochs) == (4096, 10_000, 1.5)
    assert (scenario.budget.cost_usd, scenario.budget.time_s) == (5000, 28 * 86400)
    own = scenario.cluster.own[0]
    assert (own.nodes, own.gpus_per_node, own.gpu, own.network_gbit_per_s) == (2, 8, "h100-sxm5-80gb", 3200)
    assert any("h100-pcie-80gb" in remark for remark in found.remarks)


def test_a_cost_of_ownership_that_is_assumed_is_said(tmp_path):
    for number, (gpus, assumed) in enumerate({"8 h100": True, "8 h100 at 2 USD": False}.items()):
        found = package.init(tmp_path / f"{number}.yaml", **(MANY | {"gpus": gpus}))
        assert any("cost of ownership" in remark for remark in found.remarks) == assumed


def test_without_a_terminal_what_is_missing_is_named(planner, tmp_path):
    ran = planner("init", tmp_path / "a.yaml", "--gpus", "cloud")
    assert ran.code == 2
    assert "--model and --data" in ran.err
