"""What is paid: steps, least times, blocks, storage and egress, and the longest run that money buys."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog import load_catalog
from planner.catalog.own_machines import owned_offers
from planner.catalog.paths import scenarios_dir
from planner.results.plan import Overhead
from planner.risk.completion import Completion, completion
from planner.risk.hazard import Hazard
from planner.risk.simulation import SimulatedRun, simulate
from planner.search.prices import plan_cost
from planner.search.run_cost import Costs, paid_time
from planner.spec.billing import PaidTime
from planner.spec.hardware import Hardware, Offer, OfferTerms
from planner.spec.scenario import Cluster, OwnCluster, Storage, Terms

CELL = np.array([0])
spans = st.sampled_from([0.0, 60.0, 3600.0, 86_400.0])


def costs(paid: PaidTime) -> Costs:
    return Costs(None, None, (paid,), CELL)


@given(st.floats(1, 1e7), spans, spans, spans)
def test_a_run_is_paid_as_an_offers_terms_say(time_s, minimum, step, block):
    terms = OfferTerms(minimum, block, billing_step_s=step)
    seconds = max(time_s, minimum)
    for size in (step, block):
        if size > 0:  # a run of exactly n steps, up to rounding, is n steps
            seconds = max(1, math.ceil(seconds / size - 1e-9)) * size
    assert paid_time(None, terms).paid_s(np.array([time_s]))[0] == pytest.approx(seconds, rel=1e-9)


@pytest.mark.parametrize(
    ("paid", "hours", "billed"),
    [
        (PaidTime(), 10.3, 10.3),
        (PaidTime(step_s=3600.0), 10.3, 11.0),
        (PaidTime(step_s=3600.0), 11.0, 11.0),
        (PaidTime(minimum_s=86_400.0), 10.0, 24.0),
        (PaidTime(block_s=365 * 86_400.0), 10.0, 8760.0),  # a reserved block is paid whole
        (PaidTime(block_s=365 * 86_400.0), 9000.0, 2 * 8760.0),
    ],
)
def test_billed_hours_by_hand(paid, hours, billed):
    assert float(paid.paid_s(hours * 3600.0)) / 3600.0 == pytest.approx(billed)


@given(st.floats(1e3, 1e7), st.floats(0.5, 50), spans, spans, spans)
def test_money_buys_the_longest_run_that_it_pays_for(usd, usd_per_hour, minimum, step, block):
    paid = costs(PaidTime(minimum, step, block))
    rate = np.array([usd_per_hour])
    longest = float(paid.affordable_s(rate, np.array([usd]), CELL)[0])
    if longest:
        assert paid.usd(rate, np.array([longest]), CELL)[0] <= usd * (1 + 1e-8)
    longer = max(longest, minimum) + max(step, block, longest * 1e-6, 1.0)
    assert paid.usd(rate, np.array([longer]), CELL)[0] > usd * (1 - 1e-8)


def test_a_reserved_block_is_paid_whole():
    month = costs(PaidTime(block_s=30 * 86_400.0))
    assert month.usd(np.array([10.0]), np.array([86_400.0]), CELL)[0] == pytest.approx(7_200)


def test_an_offers_own_terms_come_before_the_scenarios():
    terms = Terms(billing_step_s=3600.0, minimum_time_s=7200.0)
    assert paid_time(terms, OfferTerms(billing_step_s=1.0)) == PaidTime(7200.0, 1.0, 0.0)
    assert paid_time(terms, OfferTerms()) == PaidTime(7200.0, 3600.0, 0.0)


def spot(low: float, high: float) -> Offer:
    hardware = Hardware("g", 8, 8, 450.0, 3200.0, "infiniband")
    return Offer("c", "i", "r", "spot", "g", hardware, (low + high) / 2, (low, high), None, None, "exact", "", "", "A")


def test_a_spot_plan_costs_what_drawing_time_and_zone_says():
    low, high = np.array([0.05]), np.array([0.08])
    none = np.zeros(1)
    hazard = Hazard(np.array([2e-6]), np.array([900.0]), none, none, np.array([60.0]), np.array([7200.0]))
    runs = completion(np.array([5e5]), low, high, hazard)
    price = plan_cost(costs(PaidTime()), runs, 0, spot(1.0, 2.0), 64)
    drawn = simulate(SimulatedRun(5e5, 0.05, 0.08, 2e-6, 900.0, 0.0, 0.0, 60.0, 7200.0), 100_000, 1).time_s
    paid = drawn / 3600 * 64 * np.random.default_rng(2).uniform(1.0, 2.0, len(drawn))
    for p in (0.1, 0.5, 0.9):
        assert price.quantile(p) == pytest.approx(np.quantile(paid, p), rel=0.01)
    usd, time_s = float(np.quantile(paid, 0.7)), float(np.quantile(drawn, 0.6))
    assert price.probability(usd) == pytest.approx(0.7, abs=0.01)
    assert price.probability(usd, time_s) == pytest.approx(np.mean((paid <= usd) & (drawn <= time_s)), abs=0.01)


def test_spare_nodes_are_paid_and_count_against_what_is_sold(planner):
    scenario = scenarios_dir() / "neox20b-as-trained.yaml"
    pinned = ("--set", "cluster.own.0.nodes=14", "--set", "cluster.max_gpus=112", "--json", "--quiet")
    none, two, three = (
        json.loads(planner("optimize", scenario, *pinned, "--set", f"risk.spare_nodes={n}").out) for n in (1, 2, 3)
    )
    assert none["plan"]["gpus"] == two["plan"]["gpus"] == 96
    paid = [answer["plan"]["cost_usd"]["p50"] / answer["plan"]["time_s"]["p50"] for answer in (none, two)]
    assert paid[1] / paid[0] == pytest.approx(14 / 13)
    assert three["status"] == "infeasible"


@given(
    st.floats(1e2, 1e6),
    st.floats(0.5, 50),
    st.floats(0, 30),
    st.sampled_from([0.0, 5000.0, 90_000.0]),
    st.sampled_from([0.0, 3600.0, 7000.0]),
    st.sampled_from([0.0, 86_400.0, 864_000.0]),
)
def test_with_storage_money_buys_the_longest_run_that_trying_finds(usd, usd_per_hour, stored, minimum, step, block):
    storage = Storage(1e9, stored * 720.0)  # USD an hour
    found = Costs(storage, None, (PaidTime(minimum, step, block),), CELL)
    longest = float(found.affordable_s(np.array([usd_per_hour]), np.array([usd]), CELL)[0])
    unit = max(step, block)
    times = np.linspace(1.0, usd / (usd_per_hour + stored) * 3600 + 2 * unit + 2 * minimum, 20_001)

    def bill(times: np.ndarray) -> np.ndarray:
        paid = np.maximum(times, minimum)
        for size in (step, block):
            paid = np.ceil(paid / size - 1e-9) * size if size else paid
        return paid / 3600 * usd_per_hour + times / 3600 * stored

    tried = times[bill(times) <= usd].max(initial=0.0)
    assert tried * (1 - 1e-9) <= longest
    assert longest == 0.0 or bill(np.array([longest]))[0] <= usd * (1 + 1e-8)


def test_a_block_that_is_paid_for_may_be_used_to_its_end():
    # Ten days paid whole at 10 USD an hour are 2,400; 300 USD are left for storage at 1 USD an hour: all 240 h.
    stored = Costs(Storage(1e9, 720.0), None, (PaidTime(block_s=864_000.0),), CELL)
    rate = np.array([10.0])
    assert stored.affordable_s(rate, np.array([2_700.0]), CELL)[0] / 3600 == pytest.approx(240)
    assert stored.affordable_s(rate, np.array([2_568.0]), CELL)[0] / 3600 == pytest.approx(168)
    assert stored.affordable_s(rate, np.array([2_400.0 - 1e-3]), CELL)[0] == 0.0


# Blocks and own machines, drawn ---------------------------------------------------------------------------------------


OWNED = {
    "capex_usd_per_gpu": 30_000.0,
    "amortisation_years": 4.0,
    "residual_fraction": 0.15,
    "cost_of_capital_per_year": 0.07,
    "maintenance_fraction_per_year": 0.04,
    "power_kw_per_node": 9.0,
    "pue": 1.25,
    "electricity_usd_per_kwh": 0.09,
    "colocation_usd_per_kw_month": 150.0,
    "staff_usd_per_node_year": 6_000.0,
    "utilisation": 0.8,
}


def year_by_year() -> float:
    """USD a GPU-hour of those machines: equal payments at the end of four years, and what a year costs beside them."""
    now = [1.07**-year for year in (1, 2, 3, 4)]
    payment = 30_000 * (1 - 0.15 * now[-1]) / sum(now)
    beside = 30_000 * 0.04 + (6_000 + 12 * 150 * 9 + 8_760 * 9 * 1.25 * 0.09) / 8
    return (payment + beside) / (8_760 * 0.8)


def drawn_run(overhead: Overhead, seed: int) -> tuple[Completion, np.ndarray]:
    """A run of some weeks that meets failures, and the lengths of 60,000 histories of it, hours."""
    hazard = Hazard(
        *(np.array([each]) for each in (4e-6, 1500.0, 0.0, 0.0, 90.0, 6000.0)),
    )
    runs = completion(np.array([1.3e6]), np.array([0.08]), np.array([0.11]), hazard, overhead)
    asked = SimulatedRun(
        1.3e6, 0.08, 0.11, 4e-6, 1500.0, 0.0, 0.0, 90.0, 6000.0, least=overhead.least, log_more=overhead.log_more
    )
    return runs, simulate(asked, 60_000, seed).time_s / 3600


BESIDE = [Overhead(), Overhead(log_more=0.093)]


@pytest.mark.parametrize("overhead", BESIDE)
@pytest.mark.parametrize("days", [1, 7, 14])
def test_a_plan_on_capacity_blocks_pays_whole_blocks_as_often_as_drawn_runs_do(overhead, days):
    runs, hours = drawn_run(overhead, days)
    terms = OfferTerms(increment_s=days * 86_400.0)
    offer = replace(spot(2.0, 2.0), pricing="reserved", terms=terms)
    price = plan_cost(costs(paid_time(None, terms)), runs, 0, offer, 64)
    block = days * 24 * 64 * 2.0  # USD
    blocks = np.array([math.ceil(h / (days * 24)) for h in hours])
    for p in (0.1, 0.5, 0.8, 0.95):
        count = price.quantile(p) / block
        assert count == pytest.approx(round(count), rel=1e-9)
        noise = 4 * math.sqrt(p * (1 - p) / len(hours))
        assert np.quantile(blocks, p - noise) <= round(count) <= np.quantile(blocks, p + noise)
    for count in range(int(blocks.min()), int(blocks.max()) + 1):
        kept = float(np.mean(blocks <= count))
        for usd in (count * block, (count + 0.99) * block):  # what does not pay a whole block buys none of it
            assert price.probability(usd) == pytest.approx(kept, abs=0.01)
            limit = float(np.quantile(hours, 0.7))
            both = float(np.mean((blocks <= count) & (hours <= limit)))
            assert price.probability(usd, limit * 3600) == pytest.approx(both, abs=0.01)


@pytest.mark.parametrize("overhead", BESIDE)
@pytest.mark.parametrize(
    ("stated", "usd_per_gpu_hour"), [({"usd_per_gpu_hour": 0.6}, 0.6), ({"ownership": OWNED}, year_by_year())]
)
def test_a_plan_on_own_machines_costs_what_drawn_runs_do_at_their_price(overhead, stated, usd_per_gpu_hour):
    runs, hours = drawn_run(overhead, 4)
    lab = OwnCluster("lab", "h100-sxm5-80gb", 8, 8, 3200, **{"usd_per_gpu_hour": None, **stated})
    (offer,) = owned_offers(load_catalog(), Cluster(own=(lab,)))
    price = plan_cost(costs(paid_time(None, offer.terms)), runs, 0, offer, 64)
    paid = hours * 64 * usd_per_gpu_hour
    for p in (0.1, 0.5, 0.8, 0.95):
        assert price.quantile(p) == pytest.approx(np.quantile(paid, p), rel=0.01)
        usd, limit = float(np.quantile(paid, p)), float(np.quantile(hours, 0.7))
        assert price.probability(usd) == pytest.approx(p, abs=0.01)
        both = float(np.mean((paid <= usd) & (hours <= limit)))
        assert price.probability(usd, limit * 3600) == pytest.approx(both, abs=0.01)
