"""One screen of `planner optimize`, and what it says at its top of scenarios that newcomers write."""

from __future__ import annotations

import json
import re
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from planner.report.terminal import SHOWN
from planner.results.answers import Optimization

#: Of one run each; programmes of stages have tests of their own.
FOLDER = Path(__file__).parents[2] / "scenarios"
SCENARIOS = sorted(path for path in FOLDER.glob("*.yaml") if "\nstages:" not in path.read_text())
OWN = """
model: {model}
data: {{{data}, seq_length: 2048}}
training: {{epochs: {epochs}{training}}}
cluster:
  own_only: true
  own: [{{name: lab, gpu: {gpu}, gpus_per_node: {each}, nodes: {nodes}{more}}}]
"""


def own(
    tmp_path: Path,
    *,
    gpu: str = "rtx-4090-24gb",
    each: int = 4,
    nodes: int = 1,
    more: str = "",
    model: str = "pythia-1b",
    data: str = "samples: 100k",
    **run: object,
) -> Path:
    path = tmp_path / "mine.yaml"
    text = OWN.format(
        model=model, data=data, gpu=gpu, each=each, nodes=nodes, more=more,
        epochs=run.get("epochs", 1), training=run.get("training", ""),
    )  # fmt: skip
    path.write_text(text)
    return path


def in_a_line(text: str) -> str:
    return " ".join(text.replace("\n! ", "\n").split())


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_answer_of_every_shipped_scenario_fits_one_screen(path, planner):
    lines = planner("optimize", path, "--date", "2026-11-24").out.splitlines()
    assert len(lines) <= 40 or path.stem == "impossible"
    assert max(map(len, lines)) <= 80


def test_the_rest_is_there_for_who_asks(planner, tmp_path):
    path = own(tmp_path, more=", usd_per_gpu_hour: 0.1", training=", global_batch: 256")
    short, full = planner("optimize", path).out, planner("optimize", path, "--full").out
    assert "Proof" in full
    assert "Defaults used" in full
    assert "Proof" not in short
    assert len(full.splitlines()) > len(short.splitlines())
    for part in SHOWN:
        assert planner("optimize", path, "--show", part).code == 0
    shown = planner("optimize", path, "--show", "proof,defaults").out
    assert "Proof" in shown
    assert "Memory\n" not in shown
    both = planner("optimize", path, "--show", "proof", "--json")
    assert (both.code, both.out) == (2, "")
    assert "leave --show and --full out" in both.err
    wrong = planner("optimize", path, "--show", "prof")
    assert wrong.code == 2
    assert "proof" in wrong.err


def test_machines_of_ones_own_need_no_budget_and_no_price(planner, tmp_path):
    path = own(tmp_path, gpu="H100-SXM5-80GB", each=8, nodes=4)
    ran = planner("optimize", path, "-o", tmp_path / "plan.json")
    assert ran.code == 0
    text = in_a_line(ran.out)
    assert "Cost is left out" in text
    assert "Only one of the 4 nodes of lab is planned with" in text
    assert "USD" not in ran.out
    answer = Optimization.from_json((tmp_path / "plan.json").read_text())
    assert answer.goal is not None
    assert answer.goal.objective == "time"
    assert not answer.goal.cost_stated
    priced = planner("optimize", own(tmp_path, each=8, more=", usd_per_gpu_hour: 0.1"))
    assert re.search(r"cost, USD +[\d.]+", priced.out)


def test_an_accelerator_near_none_is_told_where_they_are_listed(planner, tmp_path):
    ran = planner("optimize", own(tmp_path, gpu="h1000"))
    assert ran.code == 2
    assert "`planner catalog list gpus`" in ran.err


def test_clouds_still_need_a_budget(planner, tmp_path):
    path = tmp_path / "free.yaml"
    path.write_text("model: pythia-1b\ndata: {samples: 100k, seq_length: 2048}\ntraining: {epochs: 1}\n")
    assert "budget" in planner("optimize", path).err


@pytest.mark.parametrize("gpu", ["RTX 4090", "rtx-4090", "4090", "RTX-4090-24GB"])
def test_a_name_that_can_mean_one_accelerator_is_taken(gpu, planner, tmp_path):
    assert "4 × rtx-4090-24gb" in planner("optimize", own(tmp_path, gpu=gpu)).out


def test_a_batch_beyond_the_data_one_iteration_and_endless_epochs_are_said_at_the_top(planner, tmp_path):
    def top(**asked: Any) -> str:
        return in_a_line("\n".join(planner("optimize", own(tmp_path, **asked)).out.splitlines()[:9]))

    assert "512 is more than the 100 samples of the data" in top(data="samples: 100", training=", global_batch: 512")
    assert "in one iteration" in top(data="samples: 512", training=", global_batch: 512")
    assert "1,000 epochs repeat the data" in top(data="samples: 2000", epochs=1000)
    assert "!" not in top(training=", global_batch: 64").split("Nobody's")[0].split("Cost is left out")[0].rstrip("! ")


def test_a_run_of_little_data_starts_from_a_checkpoint_and_is_not_told_how_to_train_from_scratch(planner, tmp_path):
    tuned = own(tmp_path, gpu="a100-sxm4-40gb", each=8, model="llama3-8b", data="samples: 10k", epochs=3)
    ran = planner("optimize", tuned, "--full")
    assert "compute is best spent" not in in_a_line(ran.out)
    assert "training.starts_from checkpoint" in in_a_line(ran.out)
    batch = re.search(r"a batch of (\d+)", in_a_line(ran.out))
    assert batch is not None
    assert int(batch[1]) <= 40  # the critical batch: 22.91 x 61.4^0.47 sequences of 512 tokens are 39.7 of 2,048
    scratch = planner("optimize", tuned, "--full", "--set", "training.starts_from=scratch")
    assert "compute is best spent" in in_a_line(scratch.out)


def test_what_does_not_fit_says_by_how_much_and_what_would(planner, tmp_path):
    path = own(tmp_path, model="llama3-8b", data="tokens: 20B")
    ran = planner("optimize", path)
    assert ran.code == 3
    text = in_a_line(ran.out)
    lacking = re.search(r"with megatron, tp 4, pp 1, dp 1, micro-batch 1: ([\d.]+) GiB a GPU beyond", text)
    assert lacking is not None
    # 8.03B parameters of 18 bytes (bf16 weights, fp32 gradients, master weights and moments) over four GPUs are 33.7
    # GiB, of the 22.6 that may be used; activations, logits and the context take the rest.
    assert 11 < float(lacking[1]) < 16
    assert "training.offload: optimizer" in text
    assert "8 GPUs in 2 nodes of lab, joined by 100 Gbit/s" in text
    assert planner("optimize", path, "--set", "training.offload=optimizer").code == 0
    joined = ["--set", "cluster.own.0.nodes=2", "--set", "cluster.own.0.network=100 Gbit/s"]
    assert planner("optimize", path, *joined).code == 0


def test_a_pinned_layout_that_does_not_fit_is_said_with_the_line_to_delete(planner, tmp_path):
    path = own(tmp_path, gpu="h100-sxm5-80gb", each=8, model="llama3-8b", training=", framework: megatron")
    ran = planner("optimize", path, "--set", "layout.tp=1", "--set", "layout.pp=1", "--set", "layout.zero_stage=0")
    assert ran.code == 3
    assert "leave out layout.tp, layout.pp, layout.zero_stage" in in_a_line(ran.out)


def test_what_a_copy_of_a_site_learns_of_bounds_leaves_the_site_as_it_was():
    """What would fit into more memory is asked of copies; the site itself is searched again afterwards."""
    from planner.api import load_facts, load_scenario
    from planner.search.building import build

    path = next(each for each in SCENARIOS if each.stem == "neox20b")
    site, fresh = (build(load_scenario(path), *load_facts()).layout_space(0) for _ in range(2))
    kernels = np.arange(len(site.table.kernel_row))
    last, share = np.zeros_like(kernels), np.zeros(len(kernels))
    copy(site).least(kernels[::2], last[::2], share[::2])
    assert site.least(kernels, last, share) == pytest.approx(fresh.least(kernels, last, share))


@pytest.mark.parametrize("command", [("frontier",), ("explain",), ("compare", "--by", "gpus")])
def test_no_command_says_that_machines_without_a_price_cost_nothing(planner, tmp_path, command):
    name, *options = command
    options += ["--set", "budget.time=30 days", "--set", "objective=time"]
    answered = planner(name, own(tmp_path), *options)
    assert answered.code == 0, answered.err
    assert "USD" not in answered.out
    priced = planner(name, own(tmp_path, more=", usd_per_gpu_hour: 0.4"), *options)
    assert "USD" in priced.out


def test_a_proposal_for_machines_without_a_price_is_refused_with_what_to_state(planner, tmp_path):
    asked = ("--set", "budget.time=30 days", "--set", "objective=time", "--format", "md", "-o", tmp_path / "out")
    refused = planner("propose", own(tmp_path), *asked)
    assert refused.code == 2
    assert "state the price of your machines, such as `usd_per_gpu_hour: 0.60`" in refused.err
    assert not (tmp_path / "out").exists()


def test_a_fleet_of_the_most_training_without_a_price_counts_its_objective_in_time(planner, tmp_path):
    mine = own(tmp_path)
    text = mine.read_text().replace("epochs: 1", "epochs: 0.01") + "budget: {time: 30 days}\nobjective: epochs\n"
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"name: {name}\n{text}")
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("quotas: [{gpus: 64}]\n")
    found = planner("optimize", tmp_path / "a.yaml", tmp_path / "b.yaml", "--fleet", fleet, "--json")
    assert json.loads(found.out)["unit"] == "s"


def test_own_machines_among_others_without_a_budget_are_told_what_they_need(planner, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "model: llama3.2-1b\ndata: {tokens: 1B, seq_length: 2048}\ntraining: {epochs: 1}\n"
        "cluster: {own: [{name: lab, gpu: rtx-4090-24gb, nodes: 1, gpus_per_node: 4}]}\n"
    )
    ran = planner("optimize", path)
    assert ran.code == 2
    assert "cluster.own_only: true" in ran.err
    assert planner("optimize", path, "--set", "cluster.own_only=true").code == 0
