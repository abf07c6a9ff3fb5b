"""Daily lists of public prices: which offers they renew, what is left out and why, and what an import says changed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

import planner as library
from planner.catalog import eligible_offers, load_catalog
from planner.catalog.prices import read_prices
from planner.spec.scenario import Cluster
from planner.units import PlannerError

HEAD = (
    "date,collected_at,source,provider,segment,pricing,gpu_model,sku,region,geo,gpu_count,usd_per_hour,"
    "usd_per_gpu_hour,sample_size"
)
DAY = "2026-12-01"
NEBIUS = "nebius/gpu-h100-sxm_8gpu-128vcpu-1600gb/eu-north1/on_demand"


def seen(provider: str, gpu: str, sku: str, usd: float, *, region: str = "global", count: int = 1, **other: str) -> str:
    cells = {"segment": "neocloud", "pricing": "on_demand", "sample_size": "1", "day": DAY, **other}
    return (
        f"{cells['day']},{DAY}T06:17:00+00:00,x,{provider},{cells['segment']},{cells['pricing']},{gpu},{sku},{region},"
        f"Global,{count},{usd * count:g},{usd},{cells['sample_size']}"
    )


def observed(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "day.csv"
    path.write_text("\n".join([HEAD, *rows]) + "\n")
    return path


def offer(provider: str, gpu: str, usd: float, **other: object) -> dict[str, object]:
    usual = {"kind": "on-demand", "vram_gb": {"h100": 80, "b200": 180}.get(gpu), "fetched_at": f"{DAY}T08:47:03.1Z"}
    return {"provider": provider, "gpu": gpu, "usd_hr": usd, **usual, **other}


def offered(tmp_path: Path, *offers: object, **other: object) -> Path:
    path = tmp_path / "day.json"
    path.write_text(json.dumps({"date": DAY, "offers": list(offers), "providers": {}, **other}))
    return path


def imported(path: Path, tmp_path: Path, **options: object) -> tuple[dict[str, float], dict[str, str]]:
    """USD of one GPU by offer as it is kept, and the check that left each other row out, by its sku."""
    mine = tmp_path / "mine"
    found = library.import_catalog(path, to=mine, **options)
    rows = [row for file in sorted((mine / "prices" / DAY).glob("*.csv")) for row in read_prices(file, "mine")]
    left = {f"{row['cloud']} {row['instance']}": row["check"] for row in found.rows if row["what"] == "left out"}
    return {"/".join(row.key): round(row.low / row.gpus, 4) for row in rows}, left


def prices_in(folder: Path, **options: object) -> dict[str, float]:
    """What plans may use with this folder over the shipped catalog."""
    found = eligible_offers(load_catalog([folder], **options), Cluster())
    return {each.id: each.usd_per_gpu_hour for each in found.offers}


def test_a_price_of_one_gpu_renews_the_machines_that_the_catalog_has(tmp_path: Path) -> None:
    kept, left = imported(observed(tmp_path, seen("Nebius", "H100", "NVIDIA HGX H100", 4.75)), tmp_path)
    assert kept[NEBIUS] == 4.75
    assert {key.split("/")[0] for key in kept} == {"nebius"}
    assert left == {}
    now = {
        each.id: each.usd_per_gpu_hour for each in eligible_offers(load_catalog([tmp_path / "mine"]), Cluster()).offers
    }
    assert now[NEBIUS] == 4.75


def test_sizes_that_have_prices_of_their_own_renew_machines_of_their_size(tmp_path: Path) -> None:
    rows = [
        seen("Lambda", "H100", "gpu_1x_h100_sxm_80gb", 4.49),
        seen("Lambda", "H100", "gpu_8x_h100_sxm_80gb", 4.19, count=8),
        seen("Hyperstack", "A100-80GB-PCIe", "NVIDIA A100", 1.45),
        seen("Hyperstack", "A100-80GB-PCIe", "NVIDIA A100 NVLink", 1.5),
        seen("Oracle Cloud", "H100", "BM.GPU.H100.8", 10.5),
    ]
    kept, left = imported(observed(tmp_path, *rows), tmp_path)
    assert kept["lambda/gpu_1x_h100_sxm5/all/on_demand"] == 4.49
    assert kept["lambda/gpu_8x_h100_sxm5/all/on_demand"] == 4.19
    assert kept["hyperstack/n3-A100x8/CANADA-1/on_demand"] == 1.45
    assert kept["hyperstack/n3-A100x8-NVLink/CANADA-1/on_demand"] == 1.5
    assert kept["oci/BM.GPU.H100.8/all/on_demand"] == 10.5  # listed by the GPU, sold by eight
    assert left == {}


def test_machines_by_name_and_region_and_those_that_are_new(tmp_path: Path) -> None:
    rows = [
        seen("AWS", "H100", "p5.48xlarge", 6.9, region="us-east-1", count=8, segment="hyperscaler"),
        seen("AWS", "H100", "p5.48xlarge", 8.6, region="ap-northeast-1", count=8, segment="hyperscaler"),
        seen("Sunrise GPUs", "H200", "sun-h200.8", 4.2, count=8),
    ]
    kept, _ = imported(observed(tmp_path, *rows), tmp_path)
    assert kept["aws/p5.48xlarge/us-east-1/on_demand"] == 6.9
    assert kept["aws/p5.48xlarge/ap-northeast-1/on_demand"] == 8.6
    assert kept["sunrise-gpus/sun-h200.8/all/on_demand"] == 4.2


@pytest.mark.parametrize(
    ("row", "check"),
    [
        (seen("RunPod Secure Cloud", "B300", "NVIDIA B300 SXM6 AC MIG 1g.34gb", 0.5), "slice"),
        (seen("RunPod Community Cloud", "MI300X", "AMD Instinct MI300X OAM", 0.5, segment="marketplace"), "market"),
        (seen("Vast.ai", "H200", "median-offer", 5.0, segment="marketplace", sample_size="15"), "market"),
        (seen("Nebius", "H900", "NVIDIA H900", 5.0), "accelerator_known"),
        (seen("Nebius", "H100", "NVIDIA HGX H100", 0.0), "price_present"),
        (seen("Nebius", "H100", "NVIDIA HGX H100", 4.0, pricing="auction"), "form"),
    ],
)
def test_each_trap_of_observations_is_left_out_with_its_reason(tmp_path: Path, row: str, check: str) -> None:
    kept, left = imported(observed(tmp_path, row, seen("Crusoe", "H200", "HGX", 4.29)), tmp_path)
    assert set(left.values()) == {check}
    assert {key.split("/")[0] for key in kept} == {"crusoe"}


@pytest.mark.parametrize(
    ("row", "check"),
    [
        (offer("daytona", "b200", 6.25, instance="B200; GPU rate only, CPU/memory/disk billed separately"), "gpu_part"),
        (offer("gcp", "b200", 6.25), "gpu_part"),
        (offer("aws", "b200", 26.25), "hyperscaler"),
        (offer("koyeb", "b200", 5.5, kind="serverless"), "serverless"),
        (offer("lium", "b200", 5.6, kind="marketplace"), "market"),
        (offer("nebius", "b200", 6.1, kind="reserved", commitment={"type": "term", "months": 60}), "commitment"),
        (offer("nebius", "b200", 6.1, kind="reserved", rate_basis="starting-at"), "rate_basis"),
        (offer("nebius", "b200", 6.1, vram_gb=96), "memory"),
        (offer("ovh", "h100", 2.99), "accelerator_known"),  # PCIe or SXM, which the list does not say
    ],
)
def test_each_trap_of_offers_is_left_out_with_its_reason(tmp_path: Path, row: dict[str, object], check: str) -> None:
    kept, left = imported(offered(tmp_path, row, offer("nebius", "h100", 4.75)), tmp_path)
    assert set(left.values()) == {check}
    assert kept[NEBIUS] == 4.75


def test_terms_of_a_year_are_reserved_and_a_stale_row_is_of_the_day_it_was_seen(tmp_path: Path) -> None:
    rows = [
        offer("crusoe", "b200", 5.1, kind="reserved", commitment={"type": "term", "months": 12}),
        offer("crusoe", "h200", 4.4),
    ]
    mine = tmp_path / "mine"
    path = offered(
        tmp_path, *rows, providers={"crusoe": {"ok": False, "stale": True, "last_verified": "2026-11-20T08:00"}}
    )
    library.import_catalog(path, to=mine)
    found = {row.pricing: row for row in read_prices(mine / "prices" / DAY / "gpu-rental-prices-crusoe.csv")}
    assert (found["reserved_1y"].term_hours, found["reserved_1y"].low) == (8760, 5.1)
    assert {row.as_of_latest for row in found.values()} == {date(2026, 11, 20)}


def test_two_prices_of_one_offer_are_nobodys(tmp_path: Path) -> None:
    rows = [
        seen("Nebius", "H100", "HGX a", 4.0),
        seen("Nebius", "H100", "HGX b", 5.0),
        seen("Crusoe", "H200", "HGX", 4.3),
    ]
    kept, left = imported(observed(tmp_path, *rows), tmp_path)
    assert set(left.values()) == {"ambiguous"}
    assert NEBIUS not in kept


def test_an_import_says_what_moved_and_what_is_new(tmp_path: Path, planner) -> None:
    path = observed(
        tmp_path, seen("Nebius", "H100", "NVIDIA HGX H100", 4.95), seen("Sunrise", "H200", "s8", 4.2, count=8)
    )
    found = library.import_catalog(path, to=tmp_path / "mine", dry_run=True)
    moved = {each.id: each for each in found.changes}
    assert (moved[NEBIUS].before, moved[NEBIUS].after, moved[NEBIUS].what) == (4.5, 4.95, "dearer")
    assert moved["sunrise/s8/all/on_demand"].what == "new"
    assert not (tmp_path / "mine").exists()
    told = planner("catalog", "import", path, "--to", tmp_path / "mine")
    assert told.code == 0
    assert "+10%" in told.out
    assert "1 offers are new" in told.out
    assert "No price differs" in planner("catalog", "import", path, "--to", tmp_path / "mine").out  # again
    document = json.loads(planner("catalog", "import", path, "--to", tmp_path / "other", "--json").out)
    assert document["as_of"] == DAY
    assert {row["what"] for row in document["changes"]} == {"dearer", "new"}


def test_a_later_day_goes_over_an_earlier_and_a_users_own_file_stays(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    folder = mine / "prices" / "2026-11-25"
    folder.mkdir(parents=True)
    quote = "cloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low\nacme,m8,h100-sxm5-80gb,8,on_demand,20\n"
    (folder / "ours.csv").write_text(quote)
    library.import_catalog(observed(tmp_path, seen("Nebius", "H100", "HGX", 4.75)), to=mine)
    later = observed(tmp_path, seen("Nebius", "H100", "HGX", 5.0, day="2026-12-02"))
    library.import_catalog(later, to=mine)
    assert (mine / "prices" / "2026-12-02" / "ours.csv").read_text() == quote
    assert len(list((mine / "prices" / "2026-12-02").glob("*nebius*"))) == 1
    now = prices_in(mine)
    assert (now["acme/m8/all/on_demand"], now[NEBIUS]) == (2.5, 5.0)
    edited = mine / "prices" / "2026-12-02" / "gpu-price-index-nebius.csv"
    edited.write_text(edited.read_text().replace("2026-12-02", "2026-12-01"))
    with pytest.raises(PlannerError, match="is there already and differs; --replace overwrites it"):
        library.import_catalog(later, to=mine)


def test_a_list_of_which_nothing_can_be_kept_says_why(tmp_path: Path) -> None:
    path = observed(tmp_path, seen("Vast.ai", "H200", "median-offer", 5.0, segment="marketplace"))
    found = library.import_catalog(path, to=tmp_path / "mine")
    assert (found.prices_kept, found.changes) == (0, ())
    assert {row["check"] for row in found.rows} == {"market"}
    assert library.import_catalog(path, to=tmp_path / "mine").prices_kept == 0


def test_a_users_names_are_read_and_a_pattern_that_is_none_is_said(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "import").mkdir(parents=True)
    head = "feed,cloud,name,sku_pattern,gpu,note\n"
    path = offered(tmp_path, offer("ovh", "h100", 2.9))
    (mine / "import" / "feed_names.csv").write_text(f"{head}offers,ovhcloud,h100,,h100-pcie-80gb,the page says PCIe\n")
    assert library.import_catalog(path, to=mine).prices_kept == 1
    (mine / "import" / "feed_names.csv").write_text(f"{head}offers,ovhcloud,h100,(,h100-pcie-80gb,\n")
    with pytest.raises(PlannerError, match=r"feed_names.csv: '\(' is no regular expression"):
        library.import_catalog(path, to=mine)


def test_a_users_quote_stands_against_every_list(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    folder = mine / "prices" / "2026-11-25"
    folder.mkdir(parents=True)
    (folder / "ours.csv").write_text(
        "cloud,instance,region,gpu,gpus,pricing,usd_per_machine_hour_low\n"
        "nebius,gpu-h100-sxm_8gpu-128vcpu-1600gb,eu-north1,h100-sxm5-80gb,8,on_demand,24\n"
    )
    found = library.import_catalog(observed(tmp_path, seen("Nebius", "H100", "HGX", 4.75)), to=mine)
    assert [row["reason"] for row in found.rows if row["check"] == "own_quote"] == ["your own quote of no day stands"]
    now = prices_in(mine)
    assert now[NEBIUS] == 3.0
    assert now["nebius/gpu-h100-sxm_1gpu-16vcpu-200gb/eu-north1/on_demand"] == 4.75


def test_two_lists_of_one_day_price_no_offer_twice(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    library.import_catalog(observed(tmp_path, seen("Nebius", "H100", "HGX", 4.75)), to=mine)
    rows = [offer("nebius", "h100", 4.8), offer("crusoe", "b200", 6.0)]
    found = library.import_catalog(offered(tmp_path, *rows), to=mine)
    assert {row["reason"] for row in found.rows if row["check"] == "priced_once"} == {
        "gpu-price-index-nebius.csv prices it on that day already"
    }
    now = prices_in(mine)
    assert now[NEBIUS] == 4.75
    assert 6.0 in now.values()


def test_a_list_that_is_older_than_what_is_known_is_history_alone(tmp_path: Path) -> None:
    path = observed(tmp_path, seen("Nebius", "H100", "HGX", 3.3, day="2026-09-01"))
    mine = tmp_path / "mine"
    found = library.import_catalog(path, to=mine)
    assert {row["check"] for row in found.rows if row["what"] == "kept as history"} == {"older"}
    assert found.changes == ()
    on = {day: prices_in(mine, on=day)[NEBIUS] for day in (date(2026, 9, 15), date(2026, 11, 1))}
    assert on == {date(2026, 9, 15): 3.3, date(2026, 11, 1): 4.5}


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("day.json", "[1]", "no list of offers with a date"),
        ("day.json", '{"date": "soon", "offers": [{"provider": "nebius"}]}', "its day is 'soon'"),
        ("day.json", '{"date": "2026-12-01", "offers": []}', "no price in it"),
        ("day.json", "{", "not valid JSON"),
        ("day.csv", HEAD + "\n", "no row; give the file of one day"),
        ("day.csv", "cloud,instance\n", "does not say of which day its prices are: add --as-of 2026-11-24"),
    ],
)
def test_a_list_that_is_none_is_refused_in_one_sentence(tmp_path: Path, planner, name, content, sentence) -> None:
    path = tmp_path / name
    path.write_text(content)
    told = planner("catalog", "import", path, "--to", tmp_path / "mine")
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert sentence in told.err
    assert not (tmp_path / "mine").exists()


def test_a_list_of_two_days_or_of_another_day_than_stated_is_refused(tmp_path: Path) -> None:
    one, other = seen("Nebius", "H100", "HGX", 4.75), seen("Crusoe", "H200", "HGX", 4.3, day="2026-12-02")
    with pytest.raises(PlannerError, match="rows of several days"):
        library.import_catalog(observed(tmp_path, one, other), to=tmp_path / "mine")
    with pytest.raises(PlannerError, match=r"its prices are of 2026-12-01, and --as-of 2026-12-05"):
        library.import_catalog(observed(tmp_path, one), "2026-12-05", tmp_path / "mine")
