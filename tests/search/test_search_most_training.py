"""`objective: epochs` and `tokens`: the most training that fits the budgets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from enumeration import best_of, enumerate_candidates
from search_cases import case, with_budget

from planner import load_facts, load_scenario, search
from planner.performance.loading import load_calibration
from planner.search.most_training import epochs_of, with_samples
from planner.spec.scenario import Objective, Scenario
from planner.units import PlannerError
from planner.workload.dataset import run_length

MOST = """
model: llama3.2-1b
data: {samples: 1M, seq_length: 2048}
training: {global_batch: {min: 128, max: 512, multiple_of: 32}}
objective: epochs
budget: {time: 3 days, cost: 2000 USD}
cluster: {gpus: [h100-sxm5-80gb], max_gpus: 32}
"""


def scenario_of(tmp_path: Path, text: str = MOST, *overrides: str) -> Scenario:
    file = tmp_path / "most.yaml"
    file.write_text(text)
    return load_scenario(file, overrides)


@pytest.mark.parametrize("seed", [s for s in range(40) if case(s).scenario.training.epochs][:6])
def test_one_sample_more_fits_no_candidate_of_an_enumeration(seed):
    given = case(seed)
    asked = given.scenario
    if asked.training.batch_ramp is not None:
        asked = replace(asked, training=replace(asked.training, batch_ramp=None))
    facts = (given.offers, given.catalog, load_calibration())
    first = best_of(asked, enumerate_candidates(asked, *facts))
    if first is None:
        return
    budget = (first.sure_time_s * 0.6, None) if seed % 2 else (first.sure_time_s * 3, first.sure_cost_usd * 0.5)
    asked = with_budget(replace(asked, objective=Objective("epochs")), *budget)
    found = search.optimize(asked, given.catalog, load_calibration(), offers=given.offers)
    samples = asked.data[0].samples
    if found.plan is None:
        assert best_of(asked, enumerate_candidates(with_samples(asked, 1), *facts)) is None
        return
    most = run_length(asked.data, asked.seq_length, found.plan.epochs).total_samples
    if found.binding[0].key == "training.epochs":
        assert most == run_length(asked.data, asked.seq_length, asked.training.epochs).total_samples
        return
    assert most < samples * asked.training.epochs
    there, beyond = (with_samples(asked, n) for n in (most, most + 1))
    assert best_of(asked, enumerate_candidates(there, *facts)) is not None
    assert best_of(asked, enumerate_candidates(beyond, *facts)) is None
    assert found.binding[0].key.startswith("budget.")
    assert found.certificate.best == found.plan.epochs


def test_what_ends_the_training_is_said(tmp_path):
    facts = load_facts()
    both = search.optimize(scenario_of(tmp_path), *facts)
    assert both.goal.objective == both.certificate.unit == "epochs"
    assert "ends the training at" in both.binding[0].text
    capped = search.optimize(scenario_of(tmp_path, MOST, "training.epochs=2"), *facts)
    assert capped.plan.epochs == 2
    assert capped.binding[0].key == "training.epochs"
    longer = search.optimize(scenario_of(tmp_path, MOST, "budget.cost=3000 USD", "budget.time=6 days"), *facts)
    assert longer.plan.epochs > both.plan.epochs


def test_tokens_are_the_same_training_counted_otherwise(tmp_path):
    facts = load_facts()
    epochs = search.optimize(scenario_of(tmp_path), *facts)
    tokens = search.optimize(scenario_of(tmp_path, MOST, "objective=tokens"), *facts)
    assert tokens.plan.epochs == epochs.plan.epochs
    assert tokens.certificate.unit == "tokens"
    assert tokens.certificate.best == pytest.approx(tokens.plan.epochs * 1_000_000 * 2048, abs=2048)


def test_explain_says_what_ends_the_training_and_how_much_more_a_little_more_buys(tmp_path):
    facts = load_facts()
    timed = MOST.replace(", cost: 2000 USD", "")
    told = search.explain(scenario_of(tmp_path, timed), *facts)
    planned = search.optimize(scenario_of(tmp_path, timed), *facts)
    assert told.binding[0] == planned.binding[0]
    worth = next(each for each in told.worth if each.key == "budget.time")
    scenario = scenario_of(tmp_path, timed)
    longer = search.optimize(scenario.with_time(scenario.budget.time_s + 86400), *facts)
    assert worth.objective_change == pytest.approx(planned.plan.epochs - longer.plan.epochs, rel=1e-3)
    assert worth.objective_change < 0
    assert "epochs more" in worth.text
    assert not told.tolerances
    capped = search.explain(scenario_of(tmp_path, timed, "training.epochs=2"), *facts)
    assert capped.binding[0].key == "training.epochs"
    assert not capped.worth


def test_every_command_plans_the_most_training(tmp_path):
    scenario, facts = scenario_of(tmp_path), load_facts()
    plan = search.optimize(scenario, *facts).plan
    assert search.compare([scenario, scenario], *facts).sides[0].plan.epochs == plan.epochs
    assert search.explain(scenario, *facts).plan.epochs == plan.epochs
    assert search.frontier(scenario, *facts).plans[0].epochs == plan.epochs


def test_budgets_that_nothing_exhausts_are_answered_with_what_to_write(tmp_path):
    text = MOST.replace("1M", "1000").replace("3 days, cost: 2000 USD", "20000 days")
    with pytest.raises(PlannerError, match=r"epochs fit the budgets.*write training\.epochs"):
        search.optimize(scenario_of(tmp_path, text), *load_facts())


def test_machines_without_a_price_are_compared_by_the_time_of_their_most_training(tmp_path):
    mine = "cluster: {own_only: true, own: [{name: lab, gpu: rtx-4090-24gb, gpus_per_node: 4, nodes: 1}]}"
    text = MOST.replace(", cost: 2000 USD", "").replace("cluster: {gpus: [h100-sxm5-80gb], max_gpus: 32}", mine)
    one = scenario_of(tmp_path, text, "training.epochs=0.01")
    other = scenario_of(tmp_path, text, "training.epochs=0.02")
    sides = search.compare([one, other], *load_facts()).sides
    assert [side.plan.objective_value for side in sides] == [side.plan.time_s.p50 for side in sides]


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["training.iterations=100"], "leave training.iterations out"),
        (["budget={confidence: 0.8}"], "give a time .or a deadline. or a cost"),
        (["training.target=equal_loss", "training.reference_batch=256"], "both decide the tokens"),
    ],
)
def test_what_the_most_training_cannot_go_with_is_said(tmp_path, overrides, told):
    with pytest.raises(PlannerError, match=told):
        search.optimize(scenario_of(tmp_path, MOST, *overrides), *load_facts())


@pytest.mark.parametrize("data", ["{samples: 31267487, seq_length: 2048}", "{tokens: 61M, seq_length: 2048}"])
@pytest.mark.parametrize("samples", [1, 29785, 61_000_001, 31_267_488])
def test_epochs_are_written_so_that_they_are_just_these_samples(tmp_path, data, samples):
    scenario = scenario_of(tmp_path, MOST.replace("{samples: 1M, seq_length: 2048}", data))
    assert run_length(scenario.data, 2048, epochs_of(scenario, samples)).total_samples == samples


@pytest.mark.parametrize(
    ("batch", "told"),
    [("4M", "4,000,000 counts sequences.*if tokens are meant, write `4M tokens`"), ("512 tokens", "write `512`")],
)
def test_batches_in_tokens_and_in_sequences_are_told_apart(tmp_path, batch, told):
    with pytest.raises(PlannerError, match=told):
        scenario_of(tmp_path, MOST, f"training.global_batch={batch}")


def test_a_training_without_a_length_is_still_refused(tmp_path):
    with pytest.raises(PlannerError, match="one of the keys `epochs` or `iterations` is missing"):
        scenario_of(tmp_path, MOST, "objective=cost")
