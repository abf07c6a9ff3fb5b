"""Prices as they were on a day: what the catalog keeps as history, in the order of its dates."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

import planner as library
from planner.catalog import load_catalog
from planner.catalog.diff import price_changes, snapshot_prices, usd_per_gpu_hour
from planner.catalog.history import prices_on, younger
from planner.catalog.prices import PriceRow
from planner.units import PlannerError

HEAD = "cloud,instance,region,gpu,gpus,pricing,usd_per_machine_hour_low,as_of,as_of_earliest,as_of_latest,flags"


def row(usd: float, since: str | None, *flags: str, instance: str = "m8") -> PriceRow:
    day = None if since is None else date.fromisoformat(since)
    return PriceRow(
        "acme", instance, "", "all", "h100-sxm5-80gb", 8, "on_demand", usd, usd, "USD", None, None, None, since or "",
        day, day, "exact" if since else "undated", "s", "B", flags, "", "shipped",
    )  # fmt: skip


def standing(rows: list[PriceRow]) -> list[float]:
    return [each.low for each in rows if "superseded" not in each.flags]


def test_the_newest_price_that_is_not_younger_stood() -> None:
    rows = [row(36, "2026-10-01"), row(24, "2026-03-01", "superseded"), row(31, "2026-07-01", "superseded")]
    on = {day: standing(prices_on(rows, date.fromisoformat(day))) for day in ("2026-11-01", "2026-08-01", "2026-03-02")}
    assert on == {"2026-11-01": [36], "2026-08-01": [31], "2026-03-02": [24]}


def test_a_price_of_which_nobody_knows_what_it_was_before_stays_and_is_counted() -> None:
    rows = [row(36, "2026-10-01"), row(24, "2026-03-01", "superseded"), row(10, None, instance="old")]
    day = date(2026, 2, 1)
    assert standing(prices_on(rows, day)) == [36, 10]
    assert younger(rows, day) == 1


def test_two_days_of_the_shipped_catalog_differ_by_what_its_history_tells() -> None:
    changes = {each.id: each for each in price_changes(*(snapshot_prices(day) for day in ("2026-09-20", "2026-11-24")))}
    nebius = changes["nebius/gpu-h100-sxm_8gpu-128vcpu-1600gb/eu-north1/on_demand"]
    assert (nebius.before, nebius.after, nebius.what) == (2.95, 4.5, "dearer")
    assert not {each.what for each in changes.values()} & {"new", "gone"}
    assert price_changes(snapshot_prices("2026-11-24"), load_catalog().prices) == []


def test_a_day_is_answered_from_each_layers_snapshot_of_that_day(tmp_path: Path) -> None:
    for day, usd in (("2026-11-01", 40), ("2026-12-01", 30)):
        folder = tmp_path / "prices" / day
        folder.mkdir(parents=True)
        (folder / "a.csv").write_text(f"{HEAD}\nacme,m8,all,h100-sxm5-80gb,8,on_demand,{usd},{day},{day},{day},\n")
    found = {
        day: [usd_per_gpu_hour(each) for each in snapshot_prices(day, [tmp_path]) if each.cloud == "acme"]
        for day in ("2026-10-01", "2026-11-15", "2026-12-24")
    }
    assert found == {"2026-10-01": [5.0], "2026-11-15": [5.0], "2026-12-24": [3.75]}
    with pytest.raises(PlannerError, match="'november' is neither a day"):
        snapshot_prices("november")


def test_a_plan_of_another_day_is_made_at_its_prices(planner) -> None:
    scenario = Path(__file__).parents[2] / "scenarios" / "neox20b.yaml"
    told = library.load_scenario(
        scenario,
        [
            "cluster={clouds: nebius, gpus: h100-sxm5-80gb, max_gpus: 128}",
            "layout={tp: 1, pp: 5, micro_batch: 1}",
        ],
    )
    then = library.optimize(told, prices="2026-09-20")
    now = library.optimize(told)
    assert (then.plan.offer.usd_per_gpu_hour, now.plan.offer.usd_per_gpu_hour) == (2.95, 4.5)
    assert then.warnings[0].startswith("prices are those of 2026-09-20; no price of that day is known of ")
    assert then.provenance.catalog_digest != now.provenance.catalog_digest
    assert planner("optimize", scenario, scenario, "--prices", "2026-09-20").code == 2
