"""Buy or rent: the purchase sum, the months until it is paid back, and the use from which buying pays."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran

from planner.search.buying import HOURS_PER_MONTH, months_to_pay_back

OWN = """
model: gpt-neox-20b
data: {samples: 3126748, seq_length: 2048}
training: {epochs: 1, framework: gpt-neox, global_batch: 640}
layout: {tp: 2, pp: 4, micro_batch: 2, cp: 1, zero_stage: 1, recompute: none}
budget: {cost: 200k USD, time: 30 days}
cluster:
  clouds: [nebius]
  max_gpus: 64
  own:
    - name: lab
      gpu: h100-sxm5-80gb
      gpus_per_node: 8
      nodes: 8
      network: 3200 Gbit/s
      ownership:
        capex_usd_per_gpu: 40000
        amortisation_years: 4
        residual_fraction: 0
        cost_of_capital_per_year: 0
        maintenance_fraction_per_year: 0
        power_kw_per_node: 10
        pue: 1.0
        electricity_usd_per_kwh: 0.08
        colocation_usd_per_kw_month: 0
        staff_usd_per_node_year: 0
        utilisation: 0.5
"""


def planned(planner: Callable[..., Ran], path: Path, *more: str) -> Any:
    ran = planner("optimize", path, "--json", *more)
    assert ran.code == 0, ran.err
    return json.loads(ran.out)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(OWN)
    return path


def test_the_figures_are_those_of_a_reckoning_by_hand(planner, own) -> None:
    found = planned(planner, own, "--set", "cluster.own_only=true")["plan"]["buying"]
    running = 10 * 0.08 / 8  # USD of an hour of a GPU, used or not
    each_hour = 40_000 / (4 * 8760) + running
    assert found["purchase_usd"] == 64 * 40_000 == found["purchase_usd_low"] == found["purchase_usd_high"]
    assert found["running_usd_per_gpu_hour"] == pytest.approx(running)
    assert found["owned_usd_per_gpu_hour"] == pytest.approx(each_hour / 0.5)
    on_demand, reserved = found["rented"]
    assert (on_demand["pricing"], reserved["pricing"]) == ("on_demand", "reserved")
    assert (on_demand["quoted"], reserved["quoted"]) == (True, False)
    rent = on_demand["usd_per_gpu_hour"]
    assert on_demand["utilisation"] == pytest.approx(each_hour / rent)
    assert on_demand["months"] == pytest.approx(40_000 / ((0.5 * rent - running) * HOURS_PER_MONTH))
    assert reserved["usd_per_gpu_hour"] < rent
    assert "nobody quoted it" in reserved["basis"]


def test_a_reserved_quote_takes_the_place_of_the_usual_discount(planner, own) -> None:
    quote = "[{pricing: reserved, gpu: h100-sxm5-80gb, usd_per_gpu_hour: 2.0, term: 365 days}]"
    answer = planned(planner, own, "--set", "cluster.own_only=true", "--set", f"cluster.prices={quote}")
    reserved = answer["plan"]["buying"]["rented"][1]
    assert (reserved["usd_per_gpu_hour"], reserved["quoted"], reserved["basis"]) == (2.0, True, "")


def test_the_purchase_sum_stands_in_every_statement_of_it(planner, own) -> None:
    for asked in ([], ["--full"], ["--show", "buy"]):
        said = " ".join(planner("optimize", own, "--set", "cluster.own_only=true", *asked).out.split())
        assert "64 GPUs (8 nodes) cost 2.56 M USD to buy" in said, asked
        assert "on demand" in said
        assert "reserved" in said
    said = planner("compare", own, "--by", "cloud").out
    assert "purchase sum" in said
    assert "2,560,000 USD" in said


def test_machines_at_a_stated_price_are_not_for_sale(planner, own) -> None:
    own.write_text(OWN[: OWN.index("      ownership:")] + "      usd_per_gpu_hour: 1.0\n")
    answer = planned(planner, own)
    assert answer["plan"]["offer"]["pricing"] == "owned"
    assert answer["plan"]["buying"] is None
    assert "to buy" not in planner("optimize", own).out


def test_money_that_costs_something_takes_longer_to_come_back_or_never_does() -> None:
    assert months_to_pay_back(1200.0, 100.0, 0.0) == pytest.approx(12)
    found = months_to_pay_back(1200.0, 100.0, 0.1)
    assert found is not None
    rate = 1.1 ** (1 / 12)
    worth = sum(100.0 / rate**n for n in range(1, int(found) + 1))
    assert worth < 1200.0 < worth + 100.0
    assert months_to_pay_back(1200.0, 1.0, 0.5) is None
    assert months_to_pay_back(1200.0, -1.0, 0.0) is None


@pytest.mark.parametrize(
    ("language", "words"), [("en", "cost 2,560,000 USD to buy"), ("zh", "购买价为 2,560,000 美元")]
)
def test_a_paper_on_buying_states_the_purchase_sum_with_renting_beside_it(
    planner, own, tmp_path, language, words
) -> None:
    pytest.importorskip("jinja2")
    only = ("--set", "cluster.own_only=true", "--lang", language, "--format", "md")
    ran = planner("propose", own, "-o", tmp_path / "out", *only)
    assert ran.code == 0, ran.err
    text = (tmp_path / "out" / "proposal.md").read_text(encoding="utf-8").replace("\u00a0", " ")
    assert words in text
    rows = [line for line in text.splitlines() if line.startswith("| nebius")]
    assert len(rows) >= 2
