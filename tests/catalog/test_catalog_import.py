"""Other people's prices: SkyPilot's folders and plain quotes, with every row that is left out named and explained."""

from __future__ import annotations

import csv
import sys
from datetime import date
from pathlib import Path

import pytest

from planner.catalog import eligible_offers, load_catalog
from planner.catalog.catalog import Catalog
from planner.catalog.importing import Import, checked, write_snapshot
from planner.catalog.prices import read_prices
from planner.catalog.quotes import read_quotes
from planner.catalog.skypilot import read_skypilot
from planner.spec.hardware import OfferTerms
from planner.spec.scenario import Cluster
from planner.units import PlannerError

FIXTURES = Path(__file__).parents[1] / "fixtures" / "catalog"
DAY = date(2026, 11, 24)
CATALOG = load_catalog()


@pytest.fixture(scope="module")
def sky() -> Import:
    return checked(read_skypilot(FIXTURES / "skypilot", CATALOG, DAY), CATALOG)


def kept(outcome: Import) -> dict[tuple[str, str, str, str], tuple[float, float, str]]:
    columns = [
        "cloud",
        "instance",
        "region",
        "pricing",
        "usd_per_machine_hour_low",
        "usd_per_machine_hour_high",
        "flags",
    ]
    return {
        (c, i, r, p): (low, high, flags)
        for c, i, r, p, low, high, flags in outcome.rows[columns].itertuples(index=False)
    }


def reasons(outcome: Import) -> dict[tuple[str, str, str], set[str]]:
    answer: dict[tuple[str, str, str], set[str]] = {}
    for row in outcome.report.itertuples():
        answer.setdefault((row.cloud, row.instance, row.region), set()).add(row.check)
    return answer


def test_every_line_is_kept_reported_or_counted(sky: Import) -> None:
    lines = sum(len(path.read_text().splitlines()) - 1 for path in (FIXTURES / "skypilot").rglob("vms.csv"))
    assert sky.lines_read == lines
    named = {(row.cloud, row.instance, row.region) for row in sky.rows.itertuples()} | set(reasons(sky))
    for path in (FIXTURES / "skypilot").rglob("vms.csv"):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                if row["AcceleratorName"] and row["InstanceType"]:
                    assert (path.parent.name, row["InstanceType"], row["Region"]) in named
    assert sky.other == {"processors alone": 10}


def test_gcp_is_the_sum_of_host_and_accelerator(sky: Import) -> None:
    low, _, flags = kept(sky)["gcp", "a2-highgpu-8g", "us-east1", "on_demand"]
    assert low == pytest.approx(29.387, abs=5e-4)  # the sum that was checked by hand
    assert flags == ""
    assert kept(sky)["gcp", "a3-megagpu-8g", "us-east4", "on_demand"][2] == "gpu_part_only"  # no host row in the file


def test_tpu_slices_count_chips_not_cores(sky: Import) -> None:
    gpus = {row.instance: (row.gpu, row.gpus) for row in sky.rows.itertuples() if row.instance.startswith("tpu-")}
    assert gpus == {"tpu-v4-8": ("tpu-v4", 4), "tpu-v5p-8": ("tpu-v5p", 4), "tpu-v6e-8": ("tpu-v6e", 8)}


def test_zones_become_a_range_without_those_that_have_no_market(sky: Import) -> None:
    assert kept(sky)["aws", "p5.48xlarge", "us-east-2", "spot"] == (
        13.4628,
        15.4417,
        "",
    )  # the third zone repeats 55.04
    assert kept(sky)["aws", "p6-b200.48xlarge", "us-east-2", "spot"] == (28.7577, 28.7577, "")  # the other is a tenth


def test_nodes_are_joined_by_cloud_and_instance(sky: Import) -> None:
    nodes = {(row.cloud, row.instance): row.node for row in sky.rows.itertuples()}
    assert nodes["aws", "p5.48xlarge"] == "aws-p5.48xlarge"
    assert nodes["nebius", "gpu-h100-sxm_8gpu-128vcpu-1600gb"] == "nebius-8x-h100"
    assert nodes["lambda", "gpu_4x_a6000"] == ""


@pytest.mark.parametrize(
    ("row", "check"),
    [
        (("azure", "Standard_ND96isr_H100_v5", "eastus"), "gpu_count"),  # 12 GPUs
        (("azure", "Standard_NC40ads_H100_v5", "eastus"), "spot_equals_on_demand"),
        (("azure", "Standard_NV6ads_A10_v5", "eastus"), "gpu_count"),  # a sixth of a card
        (("runpod", "8x_H100-SXM_SECURE", "US"), "spot_equals_on_demand"),
        (("runpod", "1x_A100-80GB-SXM_COMMUNITY", "US"), "memory"),  # the 40 GB card under the 80 GB name
        (("aws", "trn1.32xlarge", "us-east-2"), "spot_placeholder"),
        (("aws", "trn2.48xlarge", "us-east-2"), "memory"),  # 524288 MiB a chip
        (("aws", "g4dn.xlarge", "us-east-1"), "accelerator_known"),
        (("gcp", "a3-highgpu-8g", "us-central1"), "spot_above_on_demand"),
        (("gcp", "tpu-v6e-8", "us-central2"), "price_ceiling"),  # 700.00
        (("mithril", "h100-80gb.sxm.8x", "us-central1-a"), "price_floor"),
    ],
)
def test_each_trap_is_reported_with_its_reason(sky: Import, row: tuple[str, str, str], check: str) -> None:
    assert check in reasons(sky)[row]


def test_memory_in_gigabytes_or_absent_is_understood(sky: Import) -> None:
    assert ("runpod", "8x_H100-SXM_SECURE", "US", "on_demand") in kept(sky)  # 80
    assert ("nebius", "gpu-l40s-d_4gpu-128vcpu-768gb", "eu-north1", "on_demand") in kept(sky)  # 0


def test_what_was_imported_is_offered_and_what_is_doubtful_is_not(sky: Import, tmp_path: Path) -> None:
    write_snapshot(sky, tmp_path, "2026-11-25", "skypilot")
    catalog = load_catalog([tmp_path])
    answer = eligible_offers(catalog, Cluster(pricing=("on_demand", "spot")))
    offers = {offer.id: offer for offer in answer.offers}
    assert offers["gcp/a2-highgpu-8g/us-east1/on_demand"].source == "skypilot"
    assert offers["verda/1H100.80S.32V/FIN-02/on_demand"].flags[0] == "momentary_availability"
    assert not [each for each in offers if each.startswith("mithril/")]
    assert answer.left_out["an import check doubts it"] == 2
    # Lambda's list price of ours holds "everywhere"; the imported one is for a region and newer.
    assert "lambda/gpu_8x_h100_sxm5/us-east-1/on_demand" in offers
    assert "lambda/gpu_8x_h100_sxm5/all/on_demand" not in offers


def test_a_snapshot_reads_back_as_it_was_written(sky: Import, tmp_path: Path) -> None:
    files = write_snapshot(sky, tmp_path, "2026-11-25", "skypilot")
    rows = [row for path in files if path.parent.parent.name == "prices" for row in read_prices(path)]
    assert {row.key: (row.low, row.high, ";".join(row.flags)) for row in rows} == kept(sky)
    assert {row.date_kind for row in rows} == {"exact"}
    with (tmp_path / "imports" / "2026-11-25-skypilot.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(sky.report)


def test_what_a_user_has_edited_is_not_overwritten(sky: Import, tmp_path: Path) -> None:
    files = write_snapshot(sky, tmp_path, "2026-11-25", "skypilot")
    write_snapshot(sky, tmp_path, "2026-11-25", "skypilot")  # the same again changes nothing
    files[0].write_text(files[0].read_text() + "\n")
    with pytest.raises(PlannerError, match="is there already and differs"):
        write_snapshot(sky, tmp_path, "2026-11-25", "skypilot")
    write_snapshot(sky, tmp_path, "2026-11-25", "skypilot", replace=True)


def test_two_schemas_or_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PlannerError, match=r"holds no vms\.csv"):
        read_skypilot(tmp_path, CATALOG, DAY)
    for schema in ("v8", "v9"):
        (tmp_path / schema / "aws").mkdir(parents=True)
        (tmp_path / schema / "aws" / "vms.csv").write_text("InstanceType\n")
    with pytest.raises(PlannerError, match="two catalogs of aws"):
        read_skypilot(tmp_path, CATALOG, DAY)
    with pytest.raises(PlannerError, match="column 'AcceleratorName' is missing"):
        read_skypilot(tmp_path / "v8", CATALOG, DAY)


def quotes(tmp_path: Path, text: str, catalog: Catalog = CATALOG) -> Import:
    path = tmp_path / "quotes.csv"
    path.write_text(text)
    return checked(read_quotes(path, catalog, DAY), catalog)


def test_five_lines_of_quotes(tmp_path: Path) -> None:
    outcome = quotes(
        tmp_path,
        "cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour,term_hours,minimum_gpus\n"
        "coreweave,HGX H100 node,h100-sxm5-80gb,8,reserved_1y,1.95,8760,64\n"
        "nebius,gpu-h100-sxm_8gpu-128vcpu-1600gb,H100-SXM5-80GB,8,on_demand,2.60,,\n"
        "acme,x8,h100,8,on_demand,2.60,,\n"
        "acme,x8,h100-sxm5-80gb,eight,on_demand,2.60,,\n"
        "acme,x8,h100-sxm5-80gb,8,hourly,2.60,,\n",
    )
    assert {key[:2]: value[0] for key, value in kept(outcome).items()} == {
        ("coreweave", "HGX H100 node"): pytest.approx(15.6),
        ("nebius", "gpu-h100-sxm_8gpu-128vcpu-1600gb"): pytest.approx(20.8),
    }
    assert sorted((row.line, row.check) for row in outcome.report.itertuples()) == [
        (4, "accelerator_known"),
        (5, "form"),
        (6, "form"),
    ]
    write_snapshot(outcome, tmp_path / "mine", "2026-11-24", "quotes")
    cluster = Cluster(pricing=("reserved",), clouds=("coreweave",))
    (offer,) = eligible_offers(load_catalog([tmp_path / "mine"]), cluster).offers
    assert offer.usd_per_gpu_hour == pytest.approx(1.95)
    year = 8760 * 3600
    assert offer.terms == OfferTerms(year, year, minimum_nodes=8)
    assert offer.hardware.fabric == "infiniband"


HEAD = "cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour,region\n"


def test_a_price_that_is_no_number_above_0_is_said_by_its_column(tmp_path: Path) -> None:
    prices = ['"1,234.5"', "$3.10", "-2", "0", "", "nan", "inf", "3.10"]
    rows = [f"acme,x{n},h100-sxm5-80gb,8,on_demand,{price},all\n" for n, price in enumerate(prices)]
    outcome = quotes(tmp_path, HEAD + "".join(rows))
    assert [row.instance for row in outcome.rows.itertuples()] == ["x7"]
    said = {row.line: row.reason for row in outcome.report.itertuples()}
    number, above = "usd_per_gpu_hour is not a number such as 1234.5", "usd_per_gpu_hour must be above 0"
    assert said == {2: number, 3: number, 4: above, 5: above, 6: "usd_per_gpu_hour is empty", 7: number, 8: number}


def test_a_quote_far_below_the_list_price_is_planned_with_and_the_difference_shown(tmp_path: Path) -> None:
    cluster = Cluster(gpus=("h100-sxm5-80gb",), clouds=("aws",), regions=("us-east-1",))
    listed = next(o for o in eligible_offers(CATALOG, cluster).offers if "p5.48xlarge" in o.id)
    quoted = round(0.4 * listed.usd_per_gpu_hour, 2)
    outcome = quotes(tmp_path, HEAD + f"aws,p5.48xlarge,h100-sxm5-80gb,8,on_demand,{quoted},us-east-1\n")
    assert {row.what for row in outcome.report.itertuples()} == {"kept, shown"}
    write_snapshot(outcome, tmp_path / "mine", "2026-11-24", "quotes")
    offers = {o.id: o for o in eligible_offers(load_catalog([tmp_path / "mine"]), cluster).offers}
    assert offers[listed.id].usd_per_gpu_hour == quoted
    assert "differs" in offers[listed.id].flags


def test_a_price_that_is_doubted_does_not_hide_the_one_that_it_doubts(tmp_path: Path) -> None:
    cluster = Cluster(gpus=("h100-sxm5-80gb",), clouds=("aws",))
    before = {o.id: o.usd_per_gpu_hour for o in eligible_offers(CATALOG, cluster).offers}
    head = (
        "cloud,instance,region,gpu,gpus,pricing,usd_per_machine_hour_low,flags,source,quality,as_of_latest,date_kind\n"
    )
    for region in ("us-east-1", "all"):
        folder = tmp_path / region / "prices" / "2026-11-24"
        folder.mkdir(parents=True)
        row = f"aws,p5.48xlarge,{region},h100-sxm5-80gb,8,on_demand,10,suspect,feed,A,2026-11-24,exact\n"
        (folder / "feed.csv").write_text(head + row)
        catalog = load_catalog([tmp_path / region])
        assert {o.id: o.usd_per_gpu_hour for o in eligible_offers(catalog, cluster).offers} == before
        assert [each for each in catalog.prices if each.source == "feed"]  # it is kept, and said
        assert eligible_offers(catalog, cluster).left_out["an import check doubts it"] == 1


@pytest.mark.parametrize(
    ("head", "complaint"),
    [
        ("cloud,instance,gpu,gpus,pricing", "exactly one of usd_per_machine_hour"),
        ("cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour,usd_per_machine_hour", "exactly one of"),
        ("cloud,instance,gpu,gpus,usd_per_gpu_hour", "'pricing' is missing"),
        ("cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour,zone", "'zone' is not known"),
        ("cloud,instance,gpu,gpus,pricing,usd_per_gpu_hours", "did you mean `usd_per_gpu_hour`"),
    ],
)
def test_quotes_with_the_wrong_columns_are_refused(tmp_path: Path, head: str, complaint: str) -> None:
    with pytest.raises(PlannerError, match=complaint):
        quotes(tmp_path, head + "\n")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "column 'cloud' is missing"),
        (b"\xff\xfe\x00", "line 1: a zero byte; a text file in UTF-8 is wanted"),
        (b"cloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low\na,b,c\n", "line 2: 3 cells, the header has 6"),
        (
            b"cloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low\na,b,c,8,hourly,1\n",
            "pricing 'hourly' is not one of",
        ),
        (b"cloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low\na,b,c,0,spot,1\n", "gpus must be at least 1"),
        (b"cloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low\na,b,c,8,spot,-1\n", "a number of at least 0"),
        (
            b"cloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low,flags\na,b,c,8,spot,1,x\n",
            "flags 'x' is not one of",
        ),
    ],
)
def test_broken_price_files_say_where_and_what(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(content)
    with pytest.raises(PlannerError, match=complaint):
        read_prices(path)
    path.write_bytes(b"\xef\xbb\xbfcloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low\na,b,c,8,spot,1\n")
    assert read_prices(path)[0].low == 1  # with the byte order mark of a spreadsheet


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"\x00\x01", b'"'])
def test_broken_files_of_others_are_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "aws").mkdir()
    for path in (tmp_path / "aws" / "vms.csv", tmp_path / "quotes.csv"):
        path.write_bytes(content)
    with pytest.raises(PlannerError, match=r"vms\.csv"):
        read_skypilot(tmp_path, CATALOG, DAY)
    with pytest.raises(PlannerError, match=r"quotes\.csv"):
        read_quotes(tmp_path / "quotes.csv", CATALOG, DAY)


def test_snapshots_that_are_not_chosen_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "prices" / "2026-01-01").mkdir(parents=True)
    (tmp_path / "prices" / "2026-01-01" / "old.csv").write_text("this would not parse\n")
    (tmp_path / "prices" / "2026-11-25").mkdir()
    catalog = load_catalog([tmp_path])
    assert eligible_offers(catalog, Cluster()) == eligible_offers(CATALOG, Cluster())
    with pytest.raises(PlannerError, match=r"old\.csv, line 1: column"):
        eligible_offers(load_catalog([tmp_path], snapshot="2026-01-01"), Cluster())
    with pytest.raises(PlannerError, match=r"no price snapshot '2027-01-01'; there are 2026-01-01, 2026-11-24"):
        load_catalog([tmp_path], snapshot="2027-01-01").prices  # noqa: B018


def test_reading_offers_does_not_load_pandas() -> None:
    import subprocess

    code = (
        "import sys; from planner.catalog import load_catalog, eligible_offers;"
        "from planner.spec.scenario import Cluster;"
        "eligible_offers(load_catalog(), Cluster()); sys.exit('pandas' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
