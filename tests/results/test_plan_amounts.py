"""What JSON, CSV and tables say of amounts that are no dollars: hours under their own keys, nothing without a price."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from planner.money import NODE_HOURS, USD, Money
from planner.report.layout import Page, columns, display_width
from planner.results import json_form as plan_json
from planner.results.answers import Comparison, Optimization

SACCT = Path(__file__).parents[1] / "fixtures" / "sacct-60-jobs.txt"
RUN = """
name: {name}
model: pythia-1b
data: {{tokens: 1B tokens, seq_length: 2048}}
training: {{epochs: 1, global_batch: 128}}
"""
GRANT = """budget: {cost: 500 node-hours, time: 60 days}
cluster: {own_only: true, own: [{name: lab, gpu: a100-sxm4-40gb, gpus_per_node: 8, nodes: 2, network: 1600 Gbit/s}]}
"""
DESK = "cluster: {own_only: true, own: [{name: desk, gpu: rtx-4090-24gb, gpus_per_node: 4, nodes: 1}]}\n"
RENTED = "cluster: {gpus: [h100-sxm5-80gb], clouds: [lambda], max_gpus: 16}\n"


def scenario(folder: Path, text: str, name: str = "run") -> Path:
    path = folder / f"{name}.yaml"
    path.write_text(RUN.format(name=name) + text)
    return path


def dollars(document: Any, where: str = "") -> list[str]:
    """Places of keys of US dollars that hold something; the rate of a currency is none."""
    if isinstance(document, list):
        return [place for i, entry in enumerate(document) for place in dollars(entry, f"{where}[{i}]")]
    if not isinstance(document, dict):
        return [where] if "usd" in where and document is not None else []
    return [place for key, entry in document.items() if key != "money" for place in dollars(entry, f"{where}.{key}")]


@pytest.mark.parametrize("text", [GRANT, DESK], ids=["hours", "no price"])
@pytest.mark.parametrize(
    "command", ["optimize", "frontier", "explain", "sweep --over training.epochs=1,2", "compare --by gpus"]
)
def test_no_key_of_dollars_holds_hours_or_the_nought_of_no_price(planner, tmp_path, text, command):
    name, *more = command.split()
    ran = planner(name, scenario(tmp_path, text), *more, "--json")
    assert ran.code == 0
    assert dollars(json.loads(ran.out)) == []


@pytest.mark.parametrize("text", [GRANT, DESK], ids=["hours", "no price"])
def test_a_saved_answer_reads_back_to_the_same_bytes_and_can_be_lived_through(planner, tmp_path, text):
    saved = tmp_path / "plan.json"
    planner("optimize", scenario(tmp_path, text), "-o", saved, "--quiet")
    assert Optimization.from_json(saved.read_text()).to_json() == saved.read_text()
    ran = planner("simulate", saved, "--worlds", 300)
    assert ran.code == 0
    assert "USD" not in ran.out


def test_an_older_answer_in_hours_is_still_read(planner, tmp_path):
    saved = tmp_path / "plan.json"
    planner("optimize", scenario(tmp_path, GRANT), "-o", saved, "--quiet")
    now = Optimization.from_json(saved.read_text())
    older = json.dumps(plan_json.encode(now))
    assert "cost_hours" not in older
    assert Optimization.from_json(older) == now


def test_hours_stand_beside_every_key_that_would_be_in_dollars_and_nowhere_else():
    document = {"cost_usd": {"p50": 3.0}, "goal": {"usd_per_day": None, "time_s": 1.0}, "money": {"per_usd": 1.0}}
    apart = plan_json.hours_apart(document)
    assert apart["cost_usd"] is None
    assert apart["cost_hours"] == {"p50": 3.0}
    assert apart["goal"] == {"usd_per_day": None, "time_s": 1.0}
    assert apart["money"] == {"per_usd": 1.0}
    assert plan_json.hours_within(apart) == document


def test_tables_of_hours_have_a_column_of_hours_and_an_empty_one_of_dollars(planner, tmp_path):
    path = scenario(tmp_path, GRANT)
    for command in (("frontier", path), ("sweep", path, "--over", "training.epochs=1,2")):
        table = tmp_path / "table.csv"
        planner(*command, "-o", table, "--quiet")
        rows = list(csv.DictReader(table.read_text().splitlines()))
        assert {row["cost_usd_p50"] for row in rows} == {""}
        assert all(float(row["cost_hours_p50"]) > 0 for row in rows)


def test_machines_without_a_price_leave_cost_out_of_every_table_and_chart(planner, tmp_path):
    path, other = scenario(tmp_path, DESK), scenario(tmp_path, DESK, "other")
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("budget: {cost: 20k USD}\n")
    sweep = ("sweep", path, "--over", "training.epochs=1,2")
    for command in (
        ("simulate", path, "--worlds", "300", "--chart", tmp_path / "a.svg"),
        (*sweep, "--chart", tmp_path / "b.svg"),
        ("compare", path, other, "--chart", tmp_path / "c.svg"),
        ("frontier", path),
    ):
        ran = planner(*command)
        assert ran.code == 0, ran.err
        assert "USD" not in ran.out, command
        assert not any(" 0 USD" in line for line in ran.out.splitlines())
    together = planner("optimize", path, other, "--fleet", fleet).out.split("Together")[1]
    assert "cost (p50)" not in together
    drawn = planner("frontier", path, "--chart", tmp_path / "d.svg")
    assert drawn.code == 2
    assert "usd_per_gpu_hour" in drawn.err


def test_own_machines_alone_are_planned_for_time_also_within_a_time_budget(planner, tmp_path):
    ran = planner("optimize", scenario(tmp_path, DESK), "--set", "budget.time=10 days")
    assert ran.code == 0
    assert "fastest plan within 10 days" in " ".join(ran.out.split())
    assert "Cost is left out" in " ".join(ran.out.split())
    priced = DESK.replace("nodes: 1", "nodes: 1, usd_per_gpu_hour: 0.4")
    assert "The cheapest plan" in planner("optimize", scenario(tmp_path, priced), "--set", "budget.time=10 days").out


def test_charges_are_refused_of_hours_and_of_machines_without_a_price(planner, tmp_path):
    for text, why in ((GRANT, "node-hours"), (DESK, "no price")):
        saved = tmp_path / "plan.json"
        planner("optimize", scenario(tmp_path, text), "-o", saved, "--quiet")
        ran = planner("export", saved, "--to", "focus", "--start", "2026-12-01", "-o", tmp_path / "out")
        assert (ran.code, why in ran.err) == (2, True)


def test_accounting_is_told_in_the_plans_unit(planner, tmp_path):
    saved = tmp_path / "plan.json"
    planner("optimize", scenario(tmp_path, GRANT), "-o", saved, "--quiet")
    ran = planner("track", saved, "--sacct", SACCT)
    assert "node-hours" in ran.out
    assert "USD" not in ran.out
    found = json.loads(planner("track", saved, "--sacct", SACCT, "--json").out)
    assert found["cost_hours"]["used"] == pytest.approx(found["gpu_hours"]["used"] / 8, abs=0.01)
    planner("optimize", scenario(tmp_path, DESK), "-o", saved, "--quiet")
    assert "USD" not in planner("track", saved, "--sacct", SACCT).out
    euros = RENTED + "currency: {code: EUR, usd: 1.25, as_of: 2026-11-20}\nbudget: {cost: 5k EUR, time: 30 days}\n"
    planner("optimize", scenario(tmp_path, euros), "-o", saved, "--quiet")
    ran = planner("track", saved, "--sacct", SACCT)
    rows = {line.split()[0]: line.split()[1:] for line in ran.out.splitlines()[:6] if line.strip()}
    figures = [[float(part.replace(",", "")) for part in rows[unit]] for unit in ("USD", "EUR")]
    assert figures[0] == pytest.approx([1.25 * each for each in figures[1]], abs=0.02)
    assert "1 EUR = 1.25 USD of 2026-11-20" in ran.out


def test_every_answer_in_another_currency_says_the_rate(planner, tmp_path):
    euros = RENTED + "currency: {code: EUR, usd: 1.25, as_of: 2026-11-20}\nbudget: {cost: 5k EUR, time: 30 days}\n"
    path = scenario(tmp_path, euros)
    for command in (
        ("optimize", path),
        ("optimize", path, "--set", "budget.cost=1 EUR"),
        ("explain", path),
        ("frontier", path),
        ("compare", path, path),
    ):
        assert "1 EUR = 1.25 USD of 2026-11-20" in " ".join(planner(*command).out.split()), command


def test_a_comparison_of_hours_is_read_back_as_it_was_saved(planner, tmp_path):
    saved = tmp_path / "comparison.json"
    path = scenario(tmp_path, RENTED + "budget: {cost: 5k GPU-hours, time: 30 days}\n")
    planner("compare", path, path, "--json", "-o", saved)
    text = saved.read_text()
    assert '"cost_hours"' in text
    assert Comparison.from_json(text).to_json() == text


def test_a_fleet_in_several_currencies_is_told_in_dollars_with_their_rates(planner, tmp_path):
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("budget: {cost: 20k USD}\n")
    paths = []
    for name, unit, usd in (("one", "EUR", 1.25), ("two", "GBP", 1.5), ("three", "USD", 1.0)):
        rate = "" if unit == "USD" else f"currency: {{code: {unit}, usd: {usd}, as_of: 2026-11-20}}\n"
        paths.append(scenario(tmp_path, f"{RENTED}{rate}budget: {{cost: 5k {unit}, time: 30 days}}\n", name))
    ran = planner("optimize", *paths, "--fleet", fleet, "-o", tmp_path / "fleet.json")
    said = " ".join(ran.out.split())
    assert "Runs in several currencies are told in USD: 1 EUR = 1.25 USD" in said
    assert "1 GBP = 1.5 USD" in said
    found = json.loads((tmp_path / "fleet.json").read_text())
    costs = [run["plan"]["cost_usd"]["p50"] for run in found["runs"]]
    assert costs == pytest.approx([costs[0]] * 3)
    assert found["cost_usd_p50"] == pytest.approx(sum(costs))
    hours = scenario(tmp_path, GRANT, "hours")
    assert "one unit of cost" in planner("optimize", paths[0], hours, "--fleet", fleet).err


def test_a_kind_of_price_that_nothing_has_is_told(planner, tmp_path):
    quote = "{pricing: reserved, cloud: lambda, gpu: h100-sxm5-80gb, discount: 30%, term: 30 days}"
    text = f"budget: {{time: 30 days}}\n{RENTED[:-2]}, pricing: [reserved, block], prices: [{quote}]}}\n"
    said = " ".join(planner("optimize", scenario(tmp_path, text)).out.replace("\n! ", "\n").split())
    assert "asks for block too, and nothing that fits has such a price" in said
    both = text.replace("reserved, block]", "reserved, on_demand]")
    assert "asks for" not in planner("optimize", scenario(tmp_path, both)).out


def test_a_sweep_says_how_each_of_its_plans_is_paid(planner, tmp_path):
    path = scenario(tmp_path, "budget: {time: 30 days}\n" + RENTED)
    assert "lambda, on demand" in planner("sweep", path, "--over", "training.epochs=1,2").out


def test_a_narrow_column_keeps_whole_words():
    rows = [("name", "what"), ("digitalocean", "x" * 30 + " " + "y" * 30), ("two words", "z")]
    lines = columns(rows, "ll", Page(60, colour=False), flexible=0)
    assert any("digitalocean" in line for line in lines)
    assert max(map(display_width, lines)) <= 60


def test_a_run_from_a_checkpoint_is_told_no_law_of_training_from_scratch(planner, tmp_path):
    text = "cluster: {own_only: true, own: [{name: lab, gpu: a100-sxm4-80gb, gpus_per_node: 8, nodes: 1}]}\n"
    path = scenario(tmp_path, text + "objective: time\n")
    path.write_text(path.read_text().replace(", global_batch: 128", ", global_batch: {min: 64, max: 128}"))
    for start, told in (("scratch", True), ("checkpoint", False)):
        said = planner("explain", path, "--set", f"training.starts_from={start}").out
        assert ("McCandlish" in said) is told, start


def test_one_unit_knows_whether_it_is_money():
    assert not USD.hours
    assert Money(NODE_HOURS).hours
