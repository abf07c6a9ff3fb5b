"""Runs of a few steps, and models of a great many layers: the proof is the same, and looks at little."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search_cases import case

from planner.catalog import load_catalog
from planner.performance.frameworks import framework
from planner.performance.layout_choices import interleaves, layout_axes
from planner.performance.loading import load_calibration
from planner.scenario import parse_scenario
from planner.search.batches import batch_space
from planner.search.building import build
from planner.search.optimum import solve
from planner.search.run_length import EqualLoss, Run
from planner.spec.scenario import DataSource, IntChoice
from planner.workload import load_model
from planner.workload.dataset import run_length

LAW = EqualLoss(reference_batch=16, critical_batch=30.0)
REPEATED = EqualLoss(16, 30.0, ((50.0, 0.5), (1000.0, 0.5)))
ONE = {
    "model": "pythia-1b",
    "data": {"samples": 1, "seq_length": 2048},
    "training": {"epochs": 1, "global_batch": {"min": 256, "max": 512}},
    "budget": {"time": "10 days", "cost": "20k USD"},
    "cluster": {"gpus": ["h100-sxm5-80gb"], "max_gpus": 16, "pricing": ["on_demand"]},
}


def run(samples: int, loss: EqualLoss | None = None) -> Run:
    return Run(run_length([DataSource("data", samples=samples)], 2048, epochs=1), loss=loss)


@pytest.mark.parametrize("loss", [None, LAW], ids=["plain", "equal loss"])
@pytest.mark.parametrize("samples", [1, 17, 200])
@pytest.mark.parametrize("seed", [5, 12, 35])
def test_with_little_data_the_search_equals_the_exhaustive_one(seed, samples, loss):
    given = case(seed)
    training = replace(
        given.scenario.training, epochs=1, iterations=None, batch_ramp=None, global_batch=IntChoice(4, 24)
    )
    if loss is not None:
        training = replace(training, target="equal_loss", reference_batch=16, critical_batch=30.0)
    scenario = replace(given.scenario, data=(DataSource("data", samples=samples),), training=training)
    fast, slow = (build(scenario, given.catalog, load_calibration(), given.offers) for _ in range(2))
    (_, best, certificate), (_, true, everything) = solve(fast), solve(slow, exhaustive=True)
    assert (best, certificate.best) == (true, everything.best)
    assert best is not None
    assert fast.best.pick(best) == slow.best.pick(best)
    assert certificate.evaluated + sum(certificate.pruned.values()) == certificate.space == everything.space


@pytest.mark.parametrize("loss", [None, LAW, REPEATED], ids=["plain", "equal loss", "repeated"])
@pytest.mark.parametrize("samples", [1, 2, 31, 63, 64, 65, 700, 3000, 10_000])
def test_batches_of_as_many_steps_begin_with_the_smallest(samples, loss):
    batch = np.arange(1, 101)
    asked = run(samples, loss)
    steps = asked.steps(batch).tolist()
    for i, first in enumerate(asked.alike(batch, 100).tolist()):
        assert set(steps[first - 1 : i + 1]) == {steps[i]}
        assert first == 1 or steps[first - 2] != steps[i]


@pytest.mark.parametrize("loss", [None, LAW], ids=["plain", "equal loss"])
@pytest.mark.parametrize("samples", [1, 31, 40, 700, 10_000])
def test_a_run_reads_no_less_and_takes_no_fewer_steps_than_its_bound(samples, loss):
    asked, batch = run(samples, loss), np.arange(32, 101)
    steps = asked.steps(batch)
    least, read = asked.least(32, 100)
    assert np.all(steps >= least)
    assert np.all(steps * batch >= least * read * (1 - 1e-12))
    assert least * read >= 32


@pytest.mark.parametrize("batch", [IntChoice(5, 60), IntChoice(8, 96, multiple_of=12), IntChoice(values=(24, 36, 50))])
def test_the_smallest_batch_from_a_size_on_is_found(batch):
    space = batch_space(batch, IntChoice(), None)
    known = [n for n in range(space.low, space.high + 1) if batch.allows(n)]
    for cut in range(1, 13):
        for least in range(1, max((n for n in known if n % cut == 0), default=0) + 1):
            found = int(space.up_from(np.array([cut]), np.array([least]))[0])
            assert found == min(n for n in known if n >= least and n % cut == 0)


@pytest.mark.parametrize("data", [{"samples": 1}, {"samples": 1_000_000, "epochs": 1e-9}, {"samples": 300}])
def test_one_step_is_planned_without_looking_at_every_batch(data):
    epochs = {"epochs": data.pop("epochs", 1)}
    asked = ONE | {"data": ONE["data"] | data, "training": ONE["training"] | epochs}
    scenario = parse_scenario(json.dumps(asked).encode(), Path("asked.yaml"), ())
    state = build(scenario, load_catalog(), load_calibration())
    _, best, certificate = solve(state)
    assert best is not None
    assert int(state.best.batch[best]) <= 304
    assert certificate.evaluated < certificate.space / 100


@pytest.mark.parametrize("name", ["fsdp", "gpt-neox", "megatron"])
@pytest.mark.parametrize("layers", [1, 2, 12, 30, 61])
def test_the_sizes_of_interleaving_are_all_that_cut_the_layers_into_equal_chunks(name, layers):
    model, row = replace(load_model("pythia-1b"), layers=layers), framework(name)
    axes = layout_axes(name, model, 2048, 64)
    found = {
        vpp
        for vpp in range(1, layers + 3)
        if (row.interleaving or vpp == 1)
        and any(interleaves(row, model, np.array([pp]), np.array([vpp]))[0] for pp in range(1, layers + 3))
    }
    assert set(axes.vpp) == found


def test_a_million_layers_are_cut_in_few_ways():
    model = replace(load_model("pythia-1b"), layers=1_000_000)
    axes = layout_axes("megatron", model, 2048, 32)
    assert len(axes.vpp) < 200
