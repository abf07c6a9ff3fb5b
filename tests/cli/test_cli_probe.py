"""`planner probe`: from a decision to short runs, and from their logs to a narrower ask."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran
from interop_plans import answer
from test_interop_log_public import at_step, forms
from test_probe_tables import output

import planner as package
from planner.interop.probe_folder import PlannedRun, measured
from planner.interop.probes import run_of
from planner.performance.refit import step_seconds
from planner.results.answers import Alternative, Optimization, StatedGoal
from planner.results.plan import Quantiles
from planner.units import PlannerError

ROOT = Path(__file__).parents[2]
GOAL = StatedGoal("cost", time_s=120 * 86_400.0, cost_usd=3e6, confidence=0.8)
HEADER = (
    "model,gpu,gpus,framework,precision,seq_len,global_batch_samples,micro_batch,tp,pp,dp,recompute,"
    "tokens_per_s_per_gpu\n"
)
NEOX = (
    " iteration {i:8d}/      50 | elapsed time per iteration (ms): {ms:.1f} | learning rate: 1E-05 "
    "| lm loss: 1.0E+01 | loss scale: 1.0 | number of skipped iterations:   0 | number of nan iterations:   0 |\n"
)


@cache
def saved() -> Optimization:
    """A plan as the model predicts it, with one rival that is nearly as cheap."""
    facts = package.load_facts()
    first = answer(goal=GOAL, spread=1.2)
    step = float(step_seconds([run_of(first.plan, first.trained.model, facts[0])], facts[1])[0])
    found = answer(goal=GOAL, spread=1.2, step=step)
    plan = found.plan
    dearer = Quantiles(1.02 * plan.cost_usd.p10, 1.02 * plan.cost_usd.p50, 1.02 * plan.cost_usd.p90)
    layout = replace(plan.layout, dp=24)
    run = run_of(replace(plan, gpus=2 * plan.gpus, layout=layout), found.trained.model, facts[0])
    twice = float(step_seconds([run], facts[1])[0])
    rival = replace(plan, gpus=2 * plan.gpus, nodes=2 * plan.nodes, layout=layout, cost_usd=dearer)
    rival = replace(rival, step_time_s=Quantiles(twice / 1.2, twice, twice * 1.2))
    return replace(found, alternatives=(Alternative("fastest", rival),))


@cache
def probed() -> Any:
    """What is asked for of that plan."""
    return package.probe(saved())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "runs"
    probed().write(place)
    return place


def document(folder: Path) -> Any:
    return json.loads((folder / "probe.json").read_text())


def log_of(folder: Path, times: float = 1.0, form: str = NEOX, name: str = "train.log", number: int = 1) -> Path:
    """A log of a run that steps so many times as long as predicted, its first steps slow."""
    run = document(folder)["runs"][number - 1]
    path = folder / str(number) / name
    step = 1000 * run["step_time_s"] * times
    path.write_text(
        "".join(form.format(i=i, ms=step * (5 if i == 1 else 1 + 0.004 * (i % 3 - 1))) for i in range(1, 51))
    )
    return path


def read(planner: Callable[..., Ran], folder: Path, tmp_path: Path, *logs: object) -> Any:
    ran = planner("probe", "--read", folder, *logs, "--catalog", tmp_path / "own", "--json")
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


def test_a_decision_gets_runs_with_price_worth_and_launch_files(planner, tmp_path):
    (tmp_path / "plan.json").write_text(saved().to_json())
    ran = planner("probe", tmp_path / "plan.json", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert ran.out.count("\n") <= 40
    assert max(map(len, ran.out.splitlines())) <= 80
    found = document(tmp_path / "out")
    assert found["measure"]
    assert found["expected"]["width"] < found["now"]["width"]
    assert found["worth"] > found["price"]["cost_usd"] > 0
    for run in found["runs"]:
        assert run["nodes"] <= 4
        assert 20 <= run["steps"] <= 50
        assert (tmp_path / "out" / run["folder"] / "run.yml").is_file()
        assert (tmp_path / "out" / run["folder"] / "train.sbatch").is_file()
    again = planner("probe", tmp_path / "plan.json", "--json")
    assert json.loads(again.out) == found


def test_where_nothing_would_change_it_says_so(planner, tmp_path):
    sure = answer(goal=GOAL, spread=1.0001)
    (tmp_path / "plan.json").write_text(sure.to_json())
    ran = planner("probe", tmp_path / "plan.json", "-o", tmp_path / "out")
    assert ran.code == 0
    assert "do not measure" in ran.out
    assert not document(tmp_path / "out")["measure"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["probe.json"]


def test_a_log_moves_the_ask_and_the_users_own_rows_stay(planner, folder, tmp_path):
    own = tmp_path / "own" / "measured"
    own.mkdir(parents=True)
    mine = HEADER
    mine += "llama3-8b,h100-sxm5-80gb,64,megatron,bf16,4096,512,2,1,1,64,none,12000\n"
    (own / "mine.csv").write_text(mine)
    slow = read(planner, folder, tmp_path, log_of(folder, 1.4))
    (run,) = slow["runs"]
    assert run["ratio"] > 1.3
    assert run["steps"] == 48  # warm-up left out
    assert slow["after"]["p50"] > 1.1 * slow["before"]["p50"]
    assert any("nine sites in ten" in said for said in slow["looks_wrong"])
    assert (own / "mine.csv").read_text() == mine
    again = read(planner, folder, tmp_path, log_of(folder, 1.4))
    assert again["after"]["ask"] == pytest.approx(slow["after"]["ask"], rel=1e-6)
    assert (own / "probe.csv").read_text().count("\n") == 2


def test_a_log_as_predicted_narrows_the_ask_and_leaves_the_plan(planner, folder, tmp_path):
    found = read(planner, folder, tmp_path, log_of(folder, 1.0))
    assert found["looks_wrong"] == []
    width = [found[when]["p90"] / found[when]["p10"] for when in ("before", "after")]
    assert width[1] < width[0]
    ran = planner("probe", "--read", folder, log_of(folder, 1.0), "--catalog", tmp_path / "own")
    assert ran.out.count("\n") <= 40
    assert "nothing looks wrong" in ran.out
    assert re.search(r"^  the ask, held with 80 % .* USD +[\d.,]+ ", ran.out, re.MULTILINE)


def test_benches_are_read_beside_logs_and_a_slow_network_is_named_by_its_figure(planner, folder, tmp_path):
    (tmp_path / "nccl.txt").write_text(output(6.0, gpu="A100-SXM4-40GB"))
    (tmp_path / "mm.csv").write_text(
        "m,n,k,dtype,tflops,node\n8192,8192,8192,bf16,260,a\n8192,8192,8192,bf16,190,b\n8192,8192,8192,bf16,262,c\n"
    )
    found = read(planner, folder, tmp_path, tmp_path / "nccl.txt", tmp_path / "mm.csv")
    assert {bench["kind"] for bench in found["benches"]} == {"network", "matmul"}
    assert any("network below its rate" in said and "6 GB/s" in said for said in found["looks_wrong"])
    assert any(said.startswith("b is slow") for said in found["looks_wrong"])
    assert found["after"]["p50"] > found["before"]["p50"]
    with_log = read(planner, folder, tmp_path, log_of(folder), tmp_path / "nccl.txt")
    assert len(with_log["runs"]) == len(with_log["benches"]) == 1


def test_a_table_of_another_part_is_not_learnt(planner, folder, tmp_path):
    (tmp_path / "nccl.txt").write_text(output(180.0))
    found = read(planner, folder, tmp_path, log_of(folder), tmp_path / "nccl.txt")
    assert found["benches"] == []
    assert found["unused"] == []
    (said,) = found["looks_wrong"]
    assert said.startswith("nccl.txt was measured on NVIDIA H100 80GB HBM3, and the plan has a100-sxm4-40gb")


def test_a_run_that_stalls_is_named(planner, folder, tmp_path):
    log = log_of(folder)
    lines = log.read_text().splitlines(keepends=True)
    step = document(folder)["runs"][0]["step_time_s"] * 1000
    lines = [NEOX.format(i=i, ms=2 * step) if i % 5 == 0 else line for i, line in enumerate(lines, 1)]
    log.write_text("".join(lines))
    found = read(planner, folder, tmp_path, log)
    assert any("steps took more than 1.2 times their median" in said for said in found["looks_wrong"])


@pytest.mark.parametrize(("lines", "flag"), list(forms()))
def test_the_log_of_a_short_run_may_have_any_public_form(tmp_path, lines, flag):
    """The forms of public logs in place of runs: a step is two seconds in all of them."""
    made = answer(tp=1, pp=1, dp=8, micro_batch=1, grad_accum=8, recompute="none", goal=GOAL)
    made = replace(made, plan=replace(made.plan, seq_length=1024, gpus=8, nodes=1))
    part = replace(made, trained=replace(made.trained, model=replace(made.trained.model, layers=4)))
    path = tmp_path / "probe-1.log"
    every = 1 if flag == "each" else 10
    path.write_text("".join(at_step(lines, every * n) for n in range(1, 31)))
    stated = re.search(r"global batch size: +(\d+)|global_batch_size: (\d+)", lines)
    batch = int(next(filter(None, stated.groups()))) if stated else 64
    if flag == "refused":
        with pytest.raises(PlannerError, match="tells a training step"):
            measured(PlannedRun(number=1, answer=part, whole_layers=44), path)
        return
    plan = replace(part.plan, global_batch=batch, layout=replace(part.plan.layout, grad_accum=batch // 8))
    if batch != 64 and "samples/sec" in lines:
        pytest.skip("its rate is of another batch than the fixture's")
    found = measured(PlannedRun(number=1, answer=replace(part, plan=plan), whole_layers=44), path)
    assert found.step_s == pytest.approx(2.0, rel=0.01)
    assert found.row["layers_run"] == "4"
    assert found.row["n_layers"] == "44"
    assert float(found.row["tokens_per_s_per_gpu"]) == pytest.approx(batch * 1024 / 8 / 2.0, rel=0.01)


@pytest.mark.parametrize("kind", ["Megatron-Bridge", "DeepSpeed", "torchtitan", "nanotron"])
def test_a_whole_pass_with_the_forms_of_public_logs(kind, planner, tmp_path):
    """Planned, logged as published logs are, read, planned anew."""
    place = tmp_path / "runs"
    probed().write(place)
    lines = next(each.values[0] for each in forms() if each.id.startswith(kind) and "each" not in each.values[1])
    stated = document(place)
    run = stated["runs"][0]
    batch, tokens = run["plan"]["global_batch"], run["plan"]["seq_length"] * run["plan"]["global_batch"]
    text = "".join(at_step(lines, 10 * n) for n in range(1, 31))
    text = re.sub(r"(global batch size: +|global_batch_size: )\d+", rf"\g<1>{batch}", text)
    text = text.replace("SamplesPerSec=32.0", f"SamplesPerSec={batch / 2:.4f}").replace(
        "samples/sec: 32.0", f"samples/sec: {batch / 2:.4f}"
    )
    text = re.sub(r"\b(tps: )[\d,]+", rf"\g<1>{tokens / run['gpus'] / 2:.0f}", text)
    (place / "1" / "any.log").write_text(text)
    found = read(planner, place, tmp_path, place / "1" / "any.log")
    assert found["runs"][0]["step_time_s"] == pytest.approx(2.0, rel=0.02)
    assert found["after"]["step_time_s"] != pytest.approx(found["before"]["step_time_s"], rel=1e-3)


def test_mistakes_are_told_in_a_sentence_and_nothing_is_written(planner, folder, tmp_path):
    log = log_of(folder)
    for words, said in (
        (["--read", tmp_path, log], "probe.json"),
        (["--read", folder, log, log], "are both of run 1"),
        (["--read", folder, tmp_path / "nowhere.log"], "nowhere.log"),
        (["--read", folder, log, "-o", tmp_path / "x"], "without -o"),
        ([tmp_path / "a.yaml", tmp_path / "b.yaml"], "give one scenario or saved plan"),
    ):
        ran = planner("probe", *words, "--catalog", tmp_path / "own")
        assert ran.code == 2
        assert said in ran.err
        assert len(ran.err.splitlines()) == 1
    assert not (tmp_path / "own").exists()


def test_without_a_plan_there_is_nothing_to_measure_for(planner):
    ran = planner("probe", ROOT / "scenarios" / "impossible.yaml")
    assert ran.code == 3
    assert "nothing meets the budgets" in ran.err


def test_a_scenario_is_planned_anew_by_its_copy_and_its_changes(planner, tmp_path):
    """The whole way from a scenario: its copy and `--set` lie in the folder, so that the log alone is given."""
    scenario = tmp_path / "s.yaml"
    scenario.write_text((ROOT / "scenarios" / "pythia-12b.yaml").read_text())
    ran = planner("probe", scenario, "--set", "budget.confidence=0.7", "-o", tmp_path / "runs", "--runs", 1)
    assert ran.code == 0, ran.err
    scenario.unlink()
    assert document(tmp_path / "runs")["confidence"] == 0.7
    found = read(planner, tmp_path / "runs", tmp_path, log_of(tmp_path / "runs", 1.3))
    assert found["confidence"] == 0.7
    assert found["after"] is None or found["after"]["ask"] > found["before"]["ask"]
    assert found["before"]["ask"] == pytest.approx(document(tmp_path / "runs")["now"]["ask"], rel=0.02)


def test_rows_say_how_many_layers_ran(planner, tmp_path):
    rows = "model,gpu,gpus,framework,seq_len,global_batch_samples,micro_batch,tp,pp,recompute,layers_run\n"
    for layers in ("", "11", "99"):
        (tmp_path / f"r{layers}.csv").write_text(
            rows + f"gpt-neox-20b,a100-sxm4-80gb,16,gpt-neox,2048,64,1,2,1,none,{layers}\n"
        )
    whole, part = (package.predict(tmp_path / f"r{n}.csv")[0] for n in ("", "11"))
    assert part["pred_tokens_per_s_per_gpu"] > 3 * whole["pred_tokens_per_s_per_gpu"]
    assert part["pred_memory_gib"] < whole["pred_memory_gib"]
    assert "more than the 44 layers" in package.predict(tmp_path / "r99.csv")[0]["why"]


LAB = """\
model: llama2-7b
data: {tokens: 20B tokens, seq_length: 4096}
training: {epochs: 1, global_batch: 256, framework: megatron}
layout: {tp: 2}
cluster:
  own_only: true
  own: [{name: lab, gpu: a100-sxm4-40gb, gpus_per_node: 4, nodes: 4, network: 800 Gbit/s}]
"""


@pytest.mark.parametrize(
    ("budget", "unit"),
    [
        ("", "GPU-hours"),
        ("budget: {cost: 20000 GPU-hours}\n", "GPU-hours"),
        ("budget: {cost: 5000 node-hours}\n", "node-hours"),
        ("currency: {code: EUR, usd: 1.25, as_of: 2026-11-20, source: bank}\nbudget: {cost: 90k EUR}\n", "EUR"),
    ],
)
def test_amounts_are_in_the_scenarios_unit_on_the_way_there_and_back(budget, unit, planner, tmp_path):
    price = ", usd_per_gpu_hour: 1.0}]" if unit == "EUR" else "}]"
    (tmp_path / "s.yaml").write_text(budget + LAB.replace("}]", price))
    ran = planner("probe", tmp_path / "s.yaml", "-o", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert re.search(rf"the ask, held with 80 % .* {unit} ", ran.out)
    assert ("USD" in ran.out) is False
    found = document(tmp_path / "out")
    assert found["unit"] == ("USD" if unit == "EUR" else unit)
    (first, *_) = found["runs"]
    paid = first["cost_usd"] if unit == "EUR" else first.get("cost_hours", first["gpu_hours"])
    per_gpu_hour = 0.25 if unit == "node-hours" else 1.0
    assert paid == pytest.approx(first["gpu_hours"] * per_gpu_hour)
    assert (first["cost_usd"] is None) == (unit != "EUR")
    ran = planner("probe", "--read", tmp_path / "out", log_of(tmp_path / "out", 1.1), "--catalog", tmp_path / "own")
    assert ran.code == 0, ran.err
    assert re.search(rf"cost, p50 .* {unit} .* {unit}", ran.out)
    assert "USD" not in ran.out
    told = package.read_probe(tmp_path / "out", [tmp_path / "out" / "1" / "train.log"], tmp_path / "other")
    assert told["before"]["ask"] == pytest.approx(found["now"]["ask"], rel=0.03)


def test_a_short_run_is_predicted_as_its_row_will_be(planner, tmp_path):
    """Its states are those of the layers that run: a whole model at so few GPUs would have to be sharded further."""
    (tmp_path / "s.yaml").write_text(LAB.replace("llama2-7b", "llama2-13b").replace("nodes: 4", "nodes: 16"))
    package.probe(tmp_path / "s.yaml").write(tmp_path / "out")
    for number, run in enumerate(document(tmp_path / "out")["runs"], 1):
        (row,) = package.predict([run["row"]])
        rate = run["row"]["global_batch_tokens"] / run["gpus"] / run["step_time_s"]
        assert row["pred_tokens_per_s_per_gpu"] == pytest.approx(rate, rel=1e-4), number


@pytest.mark.parametrize(
    ("spread", "said"),
    [
        (1.0001, r"none of \d+ short runs is worth its price: the best gains 0\.0\d+ USD for [\d.]+ USD"),
        (1.02, r"with a chance of < 0.1 % and the ask by 0\.\d+ %; below 1 % of each"),
    ],
)
def test_where_nothing_is_measured_the_reason_has_figures(spread, said):
    assert re.search(said, package.probe(answer(goal=GOAL, spread=spread))["why"])


def test_a_log_of_steps_shorter_than_the_peak_allows_is_refused(planner, folder, tmp_path):
    ran = planner("probe", "--read", folder, log_of(folder, 0.05), "--catalog", tmp_path / "own")
    assert ran.code == 2
    assert "TFLOP/s a GPU in run 1, and a100-sxm4-40gb has 312 at its peak" in ran.err
    assert not (tmp_path / "own").exists()
    fast = read(planner, folder, tmp_path, log_of(folder, 0.75))
    assert any("0.75 times the predicted step; nine sites in ten take more" in said for said in fast["looks_wrong"])


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "m,n,k,dtype,tflops\n8192,8192,8192,bf16,400\n", "a100-sxm4-40gb has 312 at its peak"),
        ("a.csv", "m,n,k,dtype,tflops\n8192,8192,8192,int8,400\n", "is of int8, and the plan computes in fp16"),
        ("a.txt", output(900.0, gpu="A100-SXM4-40GB"), "and the plan's nodes have ports of 200"),
        ("a.txt", output(200.0, nodes=1, gpu="A100-SXM4-40GB"), "is of links inside one node"),
        ("a.txt", output(90.0), "was measured on NVIDIA H100 80GB HBM3, and the plan has a100-sxm4-40gb"),
    ],
)
def test_a_table_that_teaches_nothing_says_why(name, text, said, planner, folder, tmp_path):
    (tmp_path / name).write_text(text)
    ran = planner("probe", "--read", folder, tmp_path / name, "--catalog", tmp_path / "own")
    assert ran.code == 2
    assert said in ran.err
    assert not (tmp_path / "own").exists()
    beside = read(planner, folder, tmp_path, log_of(folder), tmp_path / name)
    assert beside["benches"] == []
    (why,) = [*beside["unused"], *beside["looks_wrong"]]
    assert said in why


def test_logs_of_runs_that_were_not_planned_and_other_versions_are_refused(planner, folder, tmp_path):
    (tmp_path / "probe-7-123.log").write_text(log_of(folder).read_text())
    ran = planner("probe", "--read", folder, tmp_path / "probe-7-123.log", "--catalog", tmp_path / "own")
    assert ran.code == 2
    assert "has no run 7" in ran.err
    (tmp_path / "probe.json").write_text(json.dumps(document(folder) | {"schema_version": 2}))
    ran = planner("probe", "--read", tmp_path, log_of(folder), "--catalog", tmp_path / "own")
    assert ran.code == 2
    assert "its schema_version is 2, and this planner reads 1" in ran.err
