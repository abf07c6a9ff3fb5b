"""Ownership, terms, transfer, energy and ages: each against arithmetic done by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from conftest import Ran
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog import eligible_offers, load_catalog
from planner.catalog.diff import price_changes
from planner.catalog.energy import carbon_intensity, energy_use
from planner.catalog.ownership import owned_usd_per_gpu_hour, reserved_discount
from planner.catalog.price_ages import price_age
from planner.spec.scenario import Cluster, OwnCluster
from planner.units import PlannerError

CATALOG = load_catalog()
STATED = {
    "capex_usd_per_gpu": 50_000.0,
    "amortisation_years": 4.0,
    "residual_fraction": 0.2,
    "cost_of_capital_per_year": 0.0,
    "maintenance_fraction_per_year": 0.015,
    "power_kw_per_node": 10.2,
    "pue": 1.3,
    "electricity_usd_per_kwh": 0.09,
    "colocation_usd_per_kw_month": 150.0,
    "staff_usd_per_node_year": 8_000.0,
    "utilisation": 0.7,
}


def lab(gpu: str = "h100-sxm5-80gb", **ownership: float) -> OwnCluster:
    return OwnCluster("lab", gpu, 8, 12, 3200, None, ownership=ownership)


def test_cost_of_ownership_adds_up_as_on_paper() -> None:
    cost = owned_usd_per_gpu_hour(CATALOG, lab(**STATED))
    a_year = 50_000 * 0.8 / 4 + 50_000 * 0.015 + (8_000 + 12 * 150 * 10.2 + 8760 * 10.2 * 1.3 * 0.09) / 8
    assert cost.usd_per_gpu_hour == pytest.approx(a_year / (8760 * 0.7))
    assert cost.low == cost.high == cost.usd_per_gpu_hour
    assert cost.assumptions == ()


@pytest.mark.parametrize(("rate", "dearer"), [(0.08, 0.134), (0.12, 0.203)])
def test_capital_costs_what_equal_payments_at_its_rate_are_more(rate: float, dearer: float) -> None:
    free = owned_usd_per_gpu_hour(CATALOG, lab(**STATED))
    cost = owned_usd_per_gpu_hour(CATALOG, lab(**{**STATED, "cost_of_capital_per_year": rate}))
    # Pay 50,000 now; each of four years brings the same payment, and the resale comes at the end of the last.
    payment = (free.parts["amortisation"] + cost.parts["capital"]) * 8760 * 0.7
    left = 50_000.0
    for _ in range(4):
        left = left * (1 + rate) - payment
    assert left == pytest.approx(0.2 * 50_000)
    usual = [owned_usd_per_gpu_hour(CATALOG, lab(cost_of_capital_per_year=r)).usd_per_gpu_hour for r in (0.0, rate)]
    assert usual[1] / usual[0] - 1 == pytest.approx(dearer, abs=0.002)


def test_each_end_of_the_range_pairs_its_years_with_the_resale_after_them() -> None:
    stated = {k: v for k, v in STATED.items() if k not in ("amortisation_years", "residual_fraction")}
    cost = owned_usd_per_gpu_hour(CATALOG, lab(**stated))
    rest = 50_000 * 0.015 + (8_000 + 12 * 150 * 10.2 + 8760 * 10.2 * 1.3 * 0.09) / 8
    # After 36 months a GPU sells for 20 to 35 % of its price, after 54 and more for 10 to 20 %.
    assert cost.high == pytest.approx((50_000 * (1 - 0.20) / 3 + rest) / (8760 * 0.7))
    assert cost.low == pytest.approx((50_000 * (1 - 0.20) / 5 + rest) / (8760 * 0.7))


def test_what_is_not_stated_is_assumed_within_a_range_and_said() -> None:
    cost = owned_usd_per_gpu_hour(CATALOG, lab())
    assert cost.low < cost.usd_per_gpu_hour < cost.high
    assert len(cost.assumptions) == len(STATED)
    assert any("8x H100 SXM server" in each for each in cost.assumptions)


@given(
    key=st.sampled_from(["capex_usd_per_gpu", "pue", "electricity_usd_per_kwh", "staff_usd_per_node_year"]),
    factor=st.floats(1.01, 3),
)
def test_dearer_parts_never_make_it_cheaper(key: str, factor: float) -> None:
    base = owned_usd_per_gpu_hour(CATALOG, lab(**STATED)).usd_per_gpu_hour
    assert owned_usd_per_gpu_hour(CATALOG, lab(**{**STATED, key: STATED[key] * factor})).usd_per_gpu_hour > base


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        (lab("a100-sxm4-40gb"), r"cluster\.own\.ownership\.capex_usd_per_gpu"),
        (lab(price=1.0), r"ownership\.price is not known"),
        (lab(utilisation=0.0), "utilisation must be above 0"),
    ],
)
def test_ownership_mistakes_name_the_key(own: OwnCluster, complaint: str) -> None:
    with pytest.raises(PlannerError, match=complaint):
        owned_usd_per_gpu_hour(CATALOG, own)


def test_reserved_discounts_are_a_range() -> None:
    assert (reserved_discount(CATALOG, 1).low, reserved_discount(CATALOG, 1).high) == (0.30, 0.40)
    assert (reserved_discount(CATALOG, 3).low, reserved_discount(CATALOG, 3).high) == (0.45, 0.55)


@pytest.mark.parametrize(
    ("cloud", "region", "basis", "value"),
    [
        ("gcp", "us-central1", "region", 430),
        ("aws", "us-east-1", "country", 369.5),  # the old regional figure gives way to the national one of 2023
        ("nebius", "eu-north1", "country", 79.2),
        ("coreweave", "US East LGA1", "region", 282.75),
        ("lambda", "all", "world", 475),
    ],
)
def test_carbon_intensity_of_a_place(cloud: str, region: str, basis: str, value: float) -> None:
    intensity = carbon_intensity(CATALOG, cloud, region)
    assert (intensity.basis, intensity.g_per_kwh) == (basis, value)


def test_energy_and_co2_of_a_plan() -> None:
    offers = {offer.id: offer for offer in eligible_offers(CATALOG, Cluster()).offers}
    nebius = offers["nebius/gpu-h100-sxm_8gpu-128vcpu-1600gb/eu-north1/on_demand"]
    use = energy_use(CATALOG, nebius, nodes=10, hours=100)
    assert use is not None
    assert use.kwh == pytest.approx(10 * 10.2 * 1.2 * 100)
    assert use.co2_kg == pytest.approx(use.kwh * 79.2 / 1000)
    assert use.assumptions[-1] == "CO2 is of the electricity alone: making the machines is not counted"
    assert len(use.assumptions) == 4
    spared = energy_use(CATALOG, nebius, nodes=10, hours=100, spare=2)
    assert spared is not None
    assert spared.kwh == use.kwh
    assert "the 2 spare nodes stand by, and what that draws is not counted" in spared.assumptions
    undated = eligible_offers(CATALOG, Cluster(quality=("C",))).offers
    tpu = next(offer for offer in undated if offer.gpu == "tpu-v5e")
    assert energy_use(CATALOG, tpu, 1, 1) is None


def owned_scenario(tmp_path: Path, stated: str) -> Path:
    path = tmp_path / "own.yaml"
    path.write_text(
        "model: pythia-1b\ndata: {tokens: 2B, seq_length: 2048}\ntraining: {epochs: 1, framework: gpt-neox}\n"
        "budget: {time: 30 days}\ncluster:\n  own_only: true\n  own:\n"
        f"    - {{name: lab, gpu: a100-sxm4-80gb, gpus_per_node: 8, nodes: 1, {stated}}}\n"
    )
    return path


def owned_plan(planner: Callable[..., Ran], tmp_path: Path, stated: str) -> dict[str, object]:
    return json.loads(planner("optimize", owned_scenario(tmp_path, stated), "--json").out)["plan"]


@pytest.mark.parametrize(
    ("stated", "kw_at_the_meter", "g_per_kwh"),
    [
        ("usd_per_gpu_hour: 1, site: {power_kw_per_node: 3, pue: 1.5, country: DEU}", 3 * 1.5, 380.9),
        (
            "usd_per_gpu_hour: 1, site: {power_kw_per_node: 3, pue: 1.5, country: germany, co2_g_per_kwh: 50}",
            3 * 1.5,
            50,
        ),
        ("usd_per_gpu_hour: 1, site: {power_kw_per_node: 3, pue: 1, country: FRA}", 3, 56),
        ("ownership: {capex_usd_per_gpu: 10000, power_kw_per_node: 30, pue: 3}, site: {country: NOR}", 30 * 3, 30.1),
        (
            "usd_per_gpu_hour: 1, site: {co2_g_per_kwh: 0}",
            6.5 * 1.2,
            0,
        ),  # a DGX A100; a typical site
    ],
)
def test_energy_and_co2_are_those_of_the_site_that_is_stated(planner, tmp_path, stated, kw_at_the_meter, g_per_kwh):
    plan = owned_plan(planner, tmp_path, stated)
    assert plan["energy_kwh"] == pytest.approx(plan["nodes"] * kw_at_the_meter * plan["time_s"]["p50"] / 3600)
    assert plan["co2_kg"] == pytest.approx(plan["energy_kwh"] * g_per_kwh / 1000)
    power, pue = plan["energy_basis"][:2]
    assert power.endswith(": stated") == ("power_kw_per_node" in stated)
    assert pue.endswith(": stated") == ("pue" in stated)


@pytest.mark.parametrize("facts", ["power_kw_per_node: 12", "pue: 2.5", "power_kw_per_node: 12, pue: 2.5"])
def test_power_and_pue_hold_for_price_and_energy_wherever_they_are_stated(planner, tmp_path, facts):
    under_site = owned_plan(planner, tmp_path, f"ownership: {{capex_usd_per_gpu: 9000}}, site: {{{facts}}}")
    under_cost = owned_plan(planner, tmp_path, f"ownership: {{capex_usd_per_gpu: 9000, {facts}}}")
    for key in ("energy_kwh", "co2_kg", "cost_usd"):
        assert under_site[key] == under_cost[key]


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ("ownership: {pue: 1.2}, site: {pue: 1.3}", "ownership.pue says otherwise; state it once"),
        ("site: {country: Atlantis}", "no carbon intensity of 'Atlantis' is known; write an ISO 3166 code"),
        ("site: {pue: 0.9}", "cluster.own.0.site.pue"),
        ("site: {contry: DEU}", "country"),
    ],
)
def test_a_site_that_cannot_be_is_said(planner, tmp_path, stated, sentence):
    ran = planner("optimize", owned_scenario(tmp_path, stated))
    assert (ran.code, ran.out) == (2, "")
    assert sentence in ran.err


def test_ages_count_from_the_earliest_day() -> None:
    rows = {row.key: row for row in CATALOG.prices if "superseded" not in row.flags}
    estimated = rows["gcp", "a3-highgpu-8g", "us-east4", "on_demand"]
    age = price_age(estimated, date(2026, 11, 24))
    assert (age.days, age.level) == (146, "stale")  # "2026-H2 est." may be of 1 July
    assert "up to 146 days old" in age.sentence
    assert price_age(estimated, date(2026, 7, 21)).level == "fresh"
    assert price_age(estimated, date(2026, 8, 15)).level == "old"
    undated = rows["gcp", "TPU v5p (1 chip)", "us-east5", "on_demand"]
    assert "at least 97 days" in price_age(undated, date(2026, 11, 24)).sentence


def test_what_changed_between_two_snapshots() -> None:
    before = [row for row in CATALOG.prices if row.cloud == "nebius"]
    after = [row._replace(low=row.low * 1.1, high=row.high * 1.1) for row in before[1:]]
    changes = price_changes(before, after)
    assert {change.what for change in changes} == {"gone", "dearer"}
    assert all(math.isclose(change.change, 0.1) for change in changes if change.change is not None)
    assert price_changes(before, list(reversed(before))) == []


def test_a_price_of_ownership_says_what_it_is_made_of(planner, tmp_path):
    scenario = tmp_path / "own.yaml"
    scenario.write_text(
        "model: llama2-7b\ndata: {tokens: 10B tokens, seq_length: 4096}\ntraining: {epochs: 1, global_batch: 512}\n"
        "budget: {time: 60 days}\nobjective: cost\ncluster:\n  own_only: true\n  own:\n"
        "    - {name: lab, gpu: h100-sxm5-80gb, gpus_per_node: 8, nodes: 1}\n"
    )
    ran = planner("optimize", str(scenario), "--full")
    assert ran.code == 0, ran.err
    said = " ".join(ran.out.split())
    assert "cost of ownership" in said
    assert "assumed: " in said
