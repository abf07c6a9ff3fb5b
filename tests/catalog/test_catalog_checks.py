"""The catalog checks itself: ours is clean, and every known error of a public feed is found by the rule it breaks."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from planner.catalog import load_catalog
from planner.catalog.catalog import Catalog
from planner.catalog.checks import check_catalog
from planner.catalog.checks_agreement import check_agreement
from planner.catalog.checks_hardware import check_hardware
from planner.catalog.checks_prices import check_prices, prices_table
from planner.catalog.paths import data_dir
from planner.catalog.prices import PriceRow, read_prices

FIXTURES = Path(__file__).parents[1] / "fixtures" / "catalog"


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


def test_ours_is_clean(catalog: Catalog) -> None:
    assert check_catalog(catalog) == []


def test_a_shipped_price_that_no_day_is_known_of_may_not_be_graded_above_c(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "catalogs"
    shutil.copytree(data_dir(), folder, ignore=shutil.ignore_patterns("models", "measured"))
    path = next((folder / "prices").glob("*/gcp.csv"))
    graded, once = path.read_text().replace(",undated,gpuhunt-tpu,C,", ",undated,gpuhunt-tpu,B,", 1), path.read_text()
    assert graded != once
    path.write_text(graded)
    monkeypatch.setattr("planner.catalog.catalog.data_dir", lambda: folder)
    (finding,) = check_catalog(load_catalog())
    assert (finding.check, finding.message) == (
        "provenance",
        "no day is known of this price: its quality is C",
    )


def test_what_a_list_no_longer_says_is_history_and_the_newer_row_is_the_price(catalog: Catalog) -> None:
    """Two rows of one machine and terms: the one kept as history is the older."""
    now = {row.key: row for row in catalog.prices if "superseded" not in row.flags}
    before = [row for row in catalog.prices if "superseded" in row.flags and row.key in now]
    assert before
    for row in before:
        later = now[row.key]
        assert row.as_of_latest is not None
        assert later.as_of_latest is not None
        # An estimate ends on the day that its list was read; the span of days it may be of begins before.
        assert (row.as_of_earliest or row.as_of_latest) < later.as_of_latest, row.key


@pytest.mark.parametrize(
    ("accelerator", "check"),
    [
        ("h200-sxm5-141gb", "dense_not_sparse"),
        ("h200-sxm5-141gb", "measured_below_peak"),
        ("h100-nvl-94gb", "dense_not_sparse"),
        ("h100-sxm5-80gb", "dense_not_sparse"),
        ("rtx-a6000-48gb", "tensor_not_vector"),
        ("rtx-4090-24gb", "tensor_not_vector"),
        ("rtx-3090-24gb", "tensor_not_vector"),
        ("a10g-24gb", "dense_not_sparse"),
        ("a100-sxm4-80gb", "format_of_the_chip"),
        ("trainium2", "peaks_in_step"),
        ("gaudi2-96gb", "peaks_in_step"),
        ("gb200-nvl72", "memory_within_data_sheet"),
    ],
)
def test_a_wrong_data_sheet_is_found(accelerator: str, check: str) -> None:
    findings = check_hardware(load_catalog([FIXTURES / "known_bad"]))
    assert check in {finding.check for finding in findings if finding.subject == accelerator}


def test_nothing_else_is_found_in_the_wrong_data_sheets() -> None:
    wrong = {path.stem for path in (FIXTURES / "known_bad" / "accelerators").glob("*.yaml")}
    assert {finding.subject for finding in check_hardware(load_catalog([FIXTURES / "known_bad"]))} == wrong


def found(path: Path, catalog: Catalog, *, alone: bool = False) -> dict[str, set[str]]:
    """The checks that find each row of a file, by cloud/instance/region/pricing, beside the shipped prices."""
    rows = read_prices(path)
    known = prices_table(catalog.prices)
    table = prices_table([row._replace(quality="B") for row in rows])
    reference = None if alone else pd.concat([known, table], ignore_index=True)
    answer: dict[str, set[str]] = {"/".join(row.key): set() for row in rows}
    for each in check_prices(table, catalog, reference):
        for index in each.rows:
            answer["/".join(rows[index].key)].add(each.check)
    return answer


def test_every_row_of_quality_x_is_found_by_a_check(catalog: Catalog) -> None:
    with (FIXTURES / "known_bad_prices.csv").open(newline="") as file:
        bad = list(csv.DictReader(file))
    assert {row["quality"] for row in bad} == {"X"}
    # Beside the rows of the same feed that are right: a wrong region shows only against the others.
    rows = [row._replace(quality="B", flags=()) for row in read_prices(FIXTURES / "known_bad_prices.csv")]
    table = prices_table([*rows, *catalog.prices])
    by_machine: dict[str, set[str]] = {}
    for each in check_prices(table, catalog):
        for index in each.rows:
            if index < len(rows):
                by_machine.setdefault("/".join(rows[index].key[:3]), set()).add(each.check)
    assert by_machine == {
        "gcp/a2-megagpu-16g/europe-west4": {"spread_over_regions"},
        "gcp/a2-ultragpu-8g/us-central1": {"spread_over_regions", "spot_above_on_demand", "two_sources"},
        "gcp/a2-ultragpu-8g/europe-west4": {"spread_over_regions"},
        "gcp/a3-highgpu-8g/us-central1": {"spot_above_on_demand", "spread_over_regions"},
        "gcp/a3-highgpu-8g/us-west1": {"spot_above_on_demand", "spread_over_regions"},
    }


@pytest.mark.parametrize(
    ("row", "check"),
    [
        ("aws/p5.48xlarge/us-east-1/on_demand", "two_sources"),
        ("azure/Standard_ND96isr_H100_v5/eastus/on_demand", "two_sources"),
        ("azure/Standard_ND96isr_H100_v5/northeurope/on_demand", "gpu_count"),
        ("mithril/h100x8/us/on_demand", "price_floor"),
        ("gcp/tpu-v4-8/us-central2/spot", "unit_of_count"),
        ("aws/p5e.48xlarge/us-east-2/on_demand", "price_present"),
        ("composer/a10x1/us/on_demand", "accelerator_known"),
        ("azure/Standard_ND96isr_H100_v5/westeurope/on_demand", "right_variant"),
        ("aws/p6-b200.48xlarge/eu-west-1/spot", "spot_placeholder"),
        ("azure/Standard_NC80adis_H100_v5/uksouth/spot", "spot_equals_on_demand"),
        ("gcp/a4-highgpu-8g/us-east4/on_demand", "spread_over_regions"),
    ],
)
def test_a_wrong_price_is_found(catalog: Catalog, row: str, check: str) -> None:
    assert check in found(FIXTURES / "known_bad_quotes.csv", catalog)[row]


@pytest.mark.parametrize(
    ("field", "value", "check"),
    [
        ("memory_gb", "85.9", None),  # 80 GiB in 10^9 bytes: the same memory
        ("memory_gb", "40", "memory_in_its_unit"),
        ("memory_reported_mib", "80", "memory_in_its_unit"),
        ("memory_reported_mib", "655360", "memory_in_its_unit"),  # the node's total
        ("memory_reported_mib", "82944", "memory_within_data_sheet"),  # 81 GiB of a card of 80
        ("memory_reported_mib", "81559", None),  # what drivers show
        ("peak_dense_tflops", "{tf32: 989}", "peaks_in_step"),
    ],
)
def test_units_of_an_accelerator(tmp_path: Path, field: str, value: str, check: str | None) -> None:
    (tmp_path / "accelerators").mkdir()
    (tmp_path / "accelerators" / "h100-sxm5-80gb.yaml").write_text(f"{field}: {value}\n")
    assert [f.check for f in check_hardware(load_catalog([tmp_path]))] == ([] if check is None else [check])


@pytest.mark.parametrize(
    ("field", "value", "check"),
    [
        ("link_one_way_gbyte_per_s_per_gpu", "900", "link_one_way"),  # both directions
        ("link_one_way_gbyte_per_s_per_gpu", "3600", "link_one_way"),  # the whole node
        ("network_one_way_gbit_per_s_per_node", "400", "network_per_node"),  # one GPU's share
        ("network_one_way_gbit_per_s_per_node", "6400", "network_per_node"),  # both directions
        ("scale_up_domain", "12", "scale_up_domain"),
        ("accelerator", "h100", "right_variant"),
    ],
)
def test_units_of_a_node(tmp_path: Path, field: str, value: str, check: str) -> None:
    (tmp_path / "nodes").mkdir()
    (tmp_path / "nodes" / "dgx-h100.yaml").write_text(f"{field}: {value}\n")
    assert [f.check for f in check_hardware(load_catalog([tmp_path]))] == [check]


def test_a_number_without_provenance_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, catalog: Catalog
) -> None:
    (tmp_path / "accelerators").mkdir()
    path = tmp_path / "accelerators" / "h100-sxm5-80gb.yaml"
    path.write_text("tdp_w: {value: 700, kind: datasheet, source: nobody, as_of: 2026}\n")
    assert [f.check for f in check_hardware(load_catalog([tmp_path]))] == ["provenance", "provenance"]
    path.write_text("tdp_w: 650\n")  # the user's own needs none
    assert check_hardware(load_catalog([tmp_path])) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "memory: 80\n",
            "field 'memory' is not known; did you mean `memory_bw_gbyte_per_s` or `memory_gb` or `memory_reported_mib`",
        ),
        ("tdp_w: lots\n", "tdp_w must be a number of at least 0, found `lots`"),
        ("tdp_w: {value: 700, knd: user}\n", "tdp_w has 'knd'"),
        ("tdp_w: {value: 700, kind: guess}\n", "kind 'guess' is not one of"),
        ("peak_dense_tflops: 989\n", "must be a group"),
        ("peak_dense_tflops: {bf61: 989}\n", "did you mean `bf16`"),
        ("- a\n", "a mapping of fields was expected"),
        ("tdp_w: [\n", "not valid YAML"),
        ("id: h100\n", "id is 'h100', but the file is named"),
    ],
)
def test_form_errors_say_where_and_what(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "accelerators").mkdir()
    (tmp_path / "accelerators" / "h100-sxm5-80gb.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"h100-sxm5-80gb\.yaml.*") as error:
        load_catalog([tmp_path]).accelerator("h100-sxm5-80gb")
    assert complaint in str(error.value)


def test_any_row_moved_by_a_factor_is_noticed_or_harmless(catalog: Catalog) -> None:
    """A check that never fires is no check: a tenfold or tenth price of a known machine is always found."""
    table = prices_table([row for row in catalog.prices if row.pricing == "on_demand" and not row.flags])
    moved: Callable[[float], pd.DataFrame] = lambda factor: table.assign(  # noqa: E731
        usd_per_machine_hour_low=table["usd_per_machine_hour_low"] * factor
    )
    for factor in (0.1, 10):
        rows = {row for each in check_prices(moved(factor), catalog, table) for row in each.rows}
        assert rows == set(table.index)


def _priced(usd: float, day: str, *flags: str, note: str = "", source: str = "a") -> PriceRow:
    when = date.fromisoformat(day)
    return PriceRow(
        "acme", "m8", "", "all", "h100-sxm5-80gb", 8, "on_demand", usd, usd, "USD", None, None, None, day, when, when,
        "exact", source, "B", flags, note, "shipped",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("used", "other", "found"),
    [
        (_priced(36, "2026-10-10"), _priced(30, "2026-10-01", "superseded", source="b"), True),  # 20 % apart
        (_priced(34, "2026-10-10"), _priced(30, "2026-10-01", "superseded", source="b"), False),  # 13 %
        (_priced(36, "2026-10-10"), _priced(30, "2026-05-01", "superseded"), False),  # of another time
        (_priced(36, "2026-10-10", note="the cloud's page"), _priced(30, "2026-10-01", "superseded"), False),
        (_priced(36, "2026-10-10"), _priced(30, "2026-10-01", "superseded", note="a reseller's"), False),
        (_priced(36, "2026-10-10", "differs", note="the page"), _priced(30, "2026-10-01", "suspect"), False),
        (_priced(36, "2026-10-10"), _priced(30, "2026-10-01", "suspect", note="which?"), True),
    ],
)
def test_two_prices_of_one_time_agree_or_a_row_says_which_is_believed_and_why(used, other, found) -> None:
    said = list(check_agreement([used, other]))
    assert [each.check for each in said] == (["agreement"] if found else [])
    if found:
        assert said[0].message.startswith("4.5 USD per GPU-hour (a, 2026-10-10), and 3.75 by ")


def test_every_shipped_disagreement_says_which_price_is_believed(catalog: Catalog) -> None:
    assert list(check_agreement(catalog.prices)) == []


def test_every_shipped_price_that_another_source_contradicts_says_which_is_believed(catalog: Catalog) -> None:
    marked = [row for row in catalog.prices if "differs" in row.flags]
    assert {row.cloud for row in marked} >= {"digitalocean", "ovhcloud", "scaleway"}
    assert all("believed: " in row.note for row in marked)


def test_a_market_is_priced_by_its_newest_day(catalog: Catalog) -> None:
    held: dict[str, list[PriceRow]] = {}
    for row in catalog.prices:
        if row.cloud in ("verda", "vast") and row.pricing == "on_demand" and row.as_of_latest is not None:
            held.setdefault("/".join(row.key), []).append(row)
    for rows in held.values():
        dated = [row for row in rows if row.date_kind == "exact"]
        used = [row for row in dated if "superseded" not in row.flags]
        assert all(row.as_of_latest == max(each.as_of_latest for each in dated) for row in used)
