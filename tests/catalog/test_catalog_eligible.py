"""Which offers can be had: the rules of the catalog, checked against a plain reading of the shipped price rows."""

from __future__ import annotations

import csv
import dataclasses
import functools
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from planner.catalog import eligible_offers, load_catalog, supports
from planner.catalog.catalog import Catalog
from planner.catalog.eligible import effective_quality
from planner.catalog.ownership import owned_usd_per_gpu_hour
from planner.catalog.paths import data_dir
from planner.scenario import load_scenario, parse_scenario
from planner.spec.hardware import Offer
from planner.spec.scenario import Cluster, OwnCluster, Quota, QuotedPrice
from planner.units import PlannerError

SNAPSHOT = "2026-11-24"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def shipped_rows() -> Iterator[dict[str, str]]:
    for path in sorted((data_dir() / "prices" / SNAPSHOT).glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)


@functools.cache
def node(name: str) -> dict[str, object]:
    return yaml.safe_load((data_dir() / "nodes" / f"{name}.yaml").read_text())


def by_hand(cluster: Cluster) -> dict[str, int | None]:
    """Offer ids and their most nodes by the issue's sentences, one after the other."""
    answer: dict[str, int | None] = {}
    for row in shipped_rows():
        flags = row["flags"].split(";")
        quality = "C" if "gpu_part_only" in flags else row["quality"]
        if quality == "X" or quality not in cluster.quality or "superseded" in flags or "index" in flags:
            continue
        if row["pricing"] not in cluster.pricing:
            continue
        known = row["node"] and (data_dir() / "nodes" / f"{row['node']}.yaml").is_file()
        facts = node(row["node"]) if known else {}
        gpus = facts["gpus_per_node"]["value"] if known else int(row["gpus"])
        fabric = bool(known and "network_one_way_gbit_per_s_per_node" in facts)
        assumed = cluster.assume_network_gbit_per_s or cluster.assume_network_per_gpu_gbit_per_s
        quotas = [
            q.gpus // gpus
            for q in cluster.quotas
            if q.cloud in (None, row["cloud"]) and q.region in (None, row["region"]) and q.gpu in (None, row["gpu"])
        ]
        if gpus > cluster.max_gpus or (quotas and min(quotas) == 0):
            continue
        if not quotas and any(q.cloud == row["cloud"] for q in cluster.quotas):  # its cloud's quotas do not name it
            continue
        if gpus == 1 or not (fabric or assumed):
            most: int | None = 1
        elif quotas:
            most = min(quotas)
        else:
            most = 1 if "momentary_availability" in flags or "market_price" in flags else None
        answer["/".join((row["cloud"], row["instance"], row["region"], row["pricing"]))] = most
    return answer


@pytest.mark.parametrize(
    "cluster",
    [
        Cluster(),
        Cluster(quality=("A", "B", "C")),
        Cluster(quality=("A",)),
        Cluster(assume_network_gbit_per_s=3200),
        Cluster(assume_network_per_gpu_gbit_per_s=400, quality=("A", "B", "C")),
        Cluster(max_gpus=4),
        Cluster(max_gpus=10_000, quotas=(Quota(256, cloud="aws"), Quota(4, gpu="a100-sxm4-80gb"))),
        Cluster(quotas=(Quota(64, cloud="aws", region="us-east-1", gpu="h100-sxm5-80gb"),)),
    ],
)
def test_the_eligible_offers_are_those_of_the_rules(catalog: Catalog, cluster: Cluster) -> None:
    answer = eligible_offers(catalog, cluster)
    assert {offer.id: offer.max_nodes for offer in answer.offers} == by_hand(cluster)


def test_every_row_is_either_offered_or_counted_with_a_reason(catalog: Catalog) -> None:
    for pricing in (("on_demand",), ("spot",), ("on_demand", "spot")):
        answer = eligible_offers(catalog, Cluster(pricing=pricing, quality=("A", "B", "C")))
        assert len(answer.offers) + sum(answer.left_out.values()) == len(list(shipped_rows()))


def test_what_is_known_to_be_wrong_is_not_even_shipped_and_never_offered(tmp_path: Path) -> None:
    assert not [row for row in shipped_rows() if row["quality"] == "X"]
    folder = tmp_path / "prices" / SNAPSHOT
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).parents[1] / "fixtures/catalog/known_bad_prices.csv", folder / "bad.csv")
    answer = eligible_offers(load_catalog([tmp_path]), Cluster(pricing=("on_demand", "spot"), quality=("A", "B", "C")))
    assert answer.left_out["quality X: known to be wrong"] == 10
    assert not [offer for offer in answer.offers if offer.quality == "X"]


def test_price_and_hardware_are_those_of_one_gpu_and_one_node(catalog: Catalog) -> None:
    offers = {offer.id: offer for offer in eligible_offers(catalog, Cluster()).offers}
    p5 = offers["aws/p5.48xlarge/us-east-1/on_demand"]
    assert p5.usd_per_gpu_hour == 55.04 / 8
    assert (p5.hardware.gpus_per_node, p5.hardware.network_gbit_per_s, p5.hardware.fabric) == (8, 3200, "efa")
    per_gpu = offers["crusoe/H100-SXM-80GB (per GPU)/all/on_demand"]  # priced by the GPU, sold as nodes of eight
    assert per_gpu.usd_per_gpu_hour == 3.9
    assert per_gpu.gpus_per_node == 8
    assert (p5.as_of, str(p5.as_of_earliest), p5.date_kind) == ("2026-11-09", "2026-11-09", "exact")


def spot(catalog: Catalog, offer: str) -> Offer | None:
    offers = eligible_offers(catalog, Cluster(pricing=("spot",))).offers
    return next((each for each in offers if each.id == f"{offer}/spot"), None)


def test_spot_is_the_middle_of_its_zones_with_the_range_kept(catalog: Catalog) -> None:
    offer = spot(catalog, "aws/p5.48xlarge/us-east-2")
    assert offer is not None
    assert offer.usd_per_gpu_hour_range == (13.4628 / 8, 15.4417 / 8)
    assert offer.usd_per_gpu_hour == pytest.approx((13.4628 + 15.4417) / 16)


def test_spot_that_repeats_on_demand_is_no_market(catalog: Catalog) -> None:
    assert spot(catalog, "aws/p4d.24xlarge/ap-south-1") is None


def test_a_tenth_of_on_demand_is_a_placeholder(catalog: Catalog) -> None:
    assert spot(catalog, "aws/trn1.32xlarge/us-east-2") is None
    b200 = spot(catalog, "aws/p6-b200.48xlarge/us-east-2")  # 11.3933 is a tenth of 113.9328; another zone has a price
    assert b200 is not None
    assert b200.usd_per_gpu_hour_range == (28.7577 / 8, 28.7577 / 8)


def test_the_newer_of_two_rows_for_one_offer_is_used(catalog: Catalog) -> None:
    offer = spot(catalog, "azure/Standard_ND96asr_v4/westus2")
    assert offer is not None
    assert offer.as_of == "2026-03-16"


def test_reserved_needs_a_quote_and_says_which_key_to_fill(catalog: Catalog) -> None:
    with pytest.raises(PlannerError, match=r"cluster\.prices.*30% to 40%"):
        eligible_offers(catalog, Cluster(pricing=("reserved",)))
    quote = QuotedPrice("reserved", 4.1, cloud="aws", gpu="h100-sxm5-80gb", term_s=365 * 86400)
    offers = eligible_offers(catalog, Cluster(pricing=("reserved",), prices=(quote,))).offers
    assert {offer.usd_per_gpu_hour for offer in offers} == {4.1}
    assert {offer.terms.increment_s for offer in offers} == {365 * 86400}
    assert {offer.instance for offer in offers} == {"p5.48xlarge", "p5.4xlarge"}


def test_reserved_by_a_discount_comes_off_on_demand_and_keeps_its_range(catalog: Catalog) -> None:
    off = QuotedPrice("reserved", None, gpu="h100-sxm5-80gb", term_s=365 * 86400, discount=(0.30, 0.40))
    cluster = Cluster(pricing=("reserved",), prices=(off,))
    offers = {offer.id: offer for offer in eligible_offers(catalog, cluster).offers}
    p5 = offers["aws/p5.48xlarge/us-east-1/reserved"]
    assert p5.usd_per_gpu_hour == pytest.approx(6.88 * 0.65)
    assert p5.usd_per_gpu_hour_range == pytest.approx((6.88 * 0.60, 6.88 * 0.70))
    assert "assumed_discount" in p5.flags
    assert p5.as_of == "2026-11-09"
    assert not [name for name in offers if name.startswith("fluidstack/")]  # quality C: no price to take it off
    with pytest.raises(PlannerError, match="matches no on-demand price"):
        eligible_offers(catalog, Cluster(pricing=("reserved",), prices=(dataclasses.replace(off, cloud="market"),)))


def test_a_discount_is_read_from_a_scenario(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    text = "model: pythia-1b\ndata: {samples: 1000, seq_length: 2048}\ntraining: {epochs: 1}\nbudget: {time: 1 day}\n"
    for written, read in (("35 %", (0.35, 0.35)), ("{min: 30 %, max: 40 %}", (0.30, 0.40))):
        path.write_text(f"{text}cluster:\n  prices: [{{pricing: reserved, cloud: aws, discount: {written}}}]\n")
        (quote,) = load_scenario(path).cluster.prices
        assert (quote.usd_per_gpu_hour, quote.discount) == (None, read)
    path.write_text(f"{text}cluster:\n  prices: [{{pricing: reserved, discount: {{min: 40 %, max: 30 %}}}}]\n")
    with pytest.raises(PlannerError, match="min is at most max"):
        load_scenario(path)


def test_a_quote_takes_the_place_of_the_catalogs_price(catalog: Catalog) -> None:
    quote = QuotedPrice("on_demand", 2.0, cloud="coreweave", gpu="h100-sxm5-80gb")
    cluster = Cluster(gpus=("h100-sxm5-80gb",), clouds=("coreweave",), prices=(quote,))
    (offer,) = eligible_offers(catalog, cluster).offers
    assert (offer.usd_per_gpu_hour, offer.quality, offer.max_nodes) == (2.0, "user", None)
    with pytest.raises(PlannerError, match=r"cluster\.prices\[0\] matches no machine"):
        eligible_offers(catalog, Cluster(prices=(QuotedPrice("on_demand", 2.0, cloud="nowhere"),)))


def test_own_machines_are_offered_at_their_price_and_size(catalog: Catalog) -> None:
    own = OwnCluster("lab", "a100-sxm4-40gb", 8, 12, 1600, 1.10, fabric="infiniband")
    (offer,) = eligible_offers(catalog, Cluster(own=(own,), own_only=True)).offers
    assert offer.id == "own/lab/local/owned"
    assert (offer.max_nodes, offer.max_nodes_basis, offer.usd_per_gpu_hour) == (12, "own machines", 1.10)
    assert offer.hardware.fabric == "infiniband"
    alone = dataclasses.replace(own, network_gbit_per_s=None)
    (offer,) = eligible_offers(catalog, Cluster(own=(alone,), own_only=True)).offers
    assert (offer.max_nodes, offer.max_nodes_basis) == (1, "unknown fabric")


def test_own_machines_without_a_price_cost_what_they_cost(catalog: Catalog) -> None:
    own = OwnCluster("lab", "h100-sxm5-80gb", 8, 12, 3200, None)
    (offer,) = eligible_offers(catalog, Cluster(own=(own,), own_only=True)).offers
    assert offer.usd_per_gpu_hour == pytest.approx(sum(owned_usd_per_gpu_hour(catalog, own).parts.values()))
    assert "cost_of_ownership" in offer.flags


def test_accelerators_known_from_memory_alone_are_for_own_machines_only(tmp_path: Path, catalog: Catalog) -> None:
    folder = tmp_path / "prices" / "2026-12-01"
    folder.mkdir(parents=True)
    (folder / "x.csv").write_text(
        "cloud,instance,gpu,gpus,pricing,usd_per_machine_hour_low\nx,h800x8,h800-sxm5-80gb,8,on_demand,16\n"
    )
    answer = eligible_offers(load_catalog([tmp_path]), Cluster(gpus=("h800-sxm5-80gb",)))
    assert not answer.offers
    assert answer.left_out["accelerator known from memory only"] == 1
    own = OwnCluster("lab", "h800-sxm5-80gb", 8, 2, 3200, 2.0)
    assert len(eligible_offers(catalog, Cluster(own=(own,), own_only=True)).offers) == 1


def test_wrong_accelerator_names_are_answered_with_the_right_ones(catalog: Catalog) -> None:
    with pytest.raises(PlannerError, match=r"'a100' is ambiguous: a100-pcie-40gb, .*a100-sxm4-80gb"):
        eligible_offers(catalog, Cluster(gpus=("a100",)))
    assert catalog.accelerator("h100-sxm-80gb").id == "h100-sxm5-80gb"
    with pytest.raises(PlannerError, match=r"'h200 nvl' is not in the catalog; of that chip .* has h200-sxm5-141gb"):
        catalog.accelerator("h200 nvl")


def test_formats_that_an_accelerator_lacks(catalog: Catalog) -> None:
    assert not supports(catalog.accelerator("v100-sxm2-32gb"), "bf16")
    assert not supports(catalog.accelerator("a100-sxm4-80gb"), "fp8")
    assert supports(catalog.accelerator("h100-sxm5-80gb"), "fp8")
    assert supports(catalog.accelerator("gb200-nvl72"), "nvfp4")


def test_order_of_files_and_rows_changes_nothing(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = tmp_path / "catalogs"
    shutil.copytree(data_dir(), turned, ignore=shutil.ignore_patterns("models", "measured"))
    for path in (turned / "prices" / SNAPSHOT).glob("*.csv"):
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *reversed(rows)]) + "\n")
    monkeypatch.setattr("planner.catalog.catalog.data_dir", lambda: turned)
    cluster = Cluster(pricing=("on_demand", "spot"))
    assert eligible_offers(load_catalog(), cluster) == eligible_offers(catalog, cluster)


def test_reasons_are_few_and_readable(catalog: Catalog) -> None:
    reasons: Counter[str] = Counter()
    for row in catalog.prices:
        if row.pricing != "on_demand":
            reasons["other pricing"] += 1
        elif "superseded" in row.flags:
            reasons["kept as history"] += 1
        elif effective_quality(row) == "C":
            reasons["quality C: not asked for"] += 1
    assert eligible_offers(catalog, Cluster()).left_out == reasons


def test_a_price_that_no_day_is_known_of_is_offered_only_on_request(tmp_path: Path) -> None:
    folder = tmp_path / "prices" / SNAPSHOT
    folder.mkdir(parents=True)
    head = "cloud,instance,region,gpu,gpus,pricing,usd_per_machine_hour_low,date_kind,source,quality,flags\n"
    undated = "acme,by-date,x,h100-sxm5-80gb,8,on_demand,30,undated,a list,A,\n"
    flagged = "acme,by-flag,x,h100-sxm5-80gb,8,on_demand,30,year_estimate,a list,B,age_unknown\n"
    mine = "acme,mine,x,h100-sxm5-80gb,8,on_demand,30,undated,,user,\n"
    (folder / "acme.csv").write_text(head + undated + flagged + mine)
    catalog = load_catalog([tmp_path])
    offered = {offer.instance for offer in eligible_offers(catalog, Cluster(clouds=("acme",))).offers}
    asked = eligible_offers(catalog, Cluster(clouds=("acme",), quality=("A", "B", "C"))).offers
    assert offered == {"mine"}
    assert {(offer.instance, offer.quality) for offer in asked} == {
        ("mine", "user"),
        ("by-date", "C"),
        ("by-flag", "C"),
    }


@pytest.mark.parametrize(
    ("gpu", "recipes"),
    [
        ("v100-sxm2-32gb", ()),
        ("a100-sxm4-80gb", ()),
        ("rtx-4090-24gb", ()),
        ("h100-sxm5-80gb", ()),
        ("gh200-96gb", ()),
        ("b200-sxm6-180gb", ("mxfp8", "nvfp4")),
        ("gb300-nvl72", ("mxfp8", "nvfp4")),
        ("rtx-5090-32gb", ("nvfp4",)),
        ("mi250x-gcd-64gb", ()),
        ("mi300x-192gb", ()),
        ("mi355x-288gb", ("mxfp8",)),
        ("tpu-v7x", ()),
        ("trainium2", ()),
        ("trainium3", ("mxfp8",)),
    ],
)
def test_units_for_a_format_do_not_make_a_recipe_with_a_scale_a_block(
    catalog: Catalog, gpu: str, recipes: tuple[str, ...]
) -> None:
    part = catalog.accelerator(gpu)
    assert [name for name in ("mxfp8", "nvfp4") if supports(part, name)] == list(recipes)


def test_a_scenario_that_names_such_a_family_is_told_so() -> None:
    text = "model: llama3-8b\ndata: {tokens: 1B tokens, seq_length: 4096}\ntraining: {epochs: 1, global_batch: 256}\n"
    with pytest.raises(PlannerError, match=r"line 4, cluster\.gpus.*`Ascend-910B` is not in the catalog.*no framework"):
        parse_scenario(f"{text}cluster: {{gpus: Ascend-910B}}\n".encode(), Path("a.yaml"))


def test_a_family_without_a_data_sheet_says_that_no_framework_runs_there(catalog: Catalog) -> None:
    with pytest.raises(PlannerError, match="no data sheet of Ascend; no framework that planner plans for"):
        catalog.accelerator("Ascend-910B")


@pytest.mark.parametrize(
    ("gpu", "gpus_per_node", "domain"),
    [
        ("a100-sxm4-40gb", 4, 4),
        ("a100-sxm4-40gb", 16, 16),
        ("h100-nvl-94gb", 8, 2),
        ("rtx-4090-24gb", 8, 1),
        ("gb200-nvl72", 4, 72),
        ("gh200-96gb", 4, 4),
        ("gh200-96gb", 1, 1),
    ],
)
def test_the_fast_link_of_own_machines_joins_a_whole_board(
    catalog: Catalog, gpu: str, gpus_per_node: int, domain: int
) -> None:
    own = OwnCluster("lab", gpu, gpus_per_node, 4, 800, 2.0)
    (offer,) = eligible_offers(catalog, Cluster(own=(own,), own_only=True)).offers
    assert offer.hardware.scale_up_domain == domain
