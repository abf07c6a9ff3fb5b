"""What is shipped: every file by its schema, every number with its source, curves and tables as they were measured."""

from __future__ import annotations

import csv
import datetime as dt
from pathlib import Path

import jsonschema
import pytest
import yaml

from planner.catalog import load_catalog
from planner.catalog.fabrics import FABRICS, fabric_of
from planner.catalog.paths import data_dir
from planner.catalog.prices import COLUMNS, read_prices
from planner.catalog.schema import FORMS, json_schema

CATALOG = load_catalog()
FILES = [(kind, path) for kind, form in FORMS.items() for path in sorted((data_dir() / form.folder).glob("*.yaml"))]
# One row of each table: the columns that make it tidy, and that the code reads by name.
TABLES = {
    "fabrics/collectives.csv": "curve fabric collective nodes gpus size_bytes busbw_gbyte_per_s kind source",
    "fabrics/in_box_widths.csv": "fabric gpu collective algorithm gpus size_bytes busbw_gbyte_per_s kind source",
    "fabrics/inter_node_rate.csv": "curve fabric gpu one_way_gbyte_per_s_per_gpu efficiency kind source",
    "fabrics/point_to_point.csv": "fabric gpu one_way_gbyte_per_s nominal_one_way_gbyte_per_s kind source",
    "fabrics/latency.csv": "case fabric nodes gpu latency_us_low latency_us_high kind source",
    "fabrics/alpha_beta.csv": "curve alpha_us busbw_gbyte_per_s kind source",
    "fabrics/health_floors.csv": "shape test floor unit source",
    "fabrics/nccl_tuner.csv": "constant algorithm protocol value unit source",
    "matmul/best_shape.csv": "gpu precision achieved_tflops theory_dense_tflops m n k kind source",
    "matmul/efficiency_by_size.csv": "resource at_least unit efficiency kind source",
    "matmul/tensor_units.csv": "gpu units dense_16bit_flop_per_clock_per_unit boost_mhz kind source",
    "attention/kernels.csv": "gpu kernel part mask seq_length head_dim precision achieved_tflops kind source",
    "energy/carbon_intensity.csv": "item region value unit as_of source quality",
    "energy/carbon_by_source.csv": "item value unit source",
    "energy/electricity.csv": "item region low high unit source quality",
    "energy/pue.csv": "item value low high unit source quality",
    "energy/node_power.csv": "item value unit source quality",
    "energy/regions.csv": "cloud region country kind source",
    "costs/capex.csv": "item gpu gpus scope value low high unit source quality",
    "costs/opex.csv": "item value low high unit source quality",
    "costs/residual_value.csv": "item low high unit source quality",
    "costs/depreciation.csv": "item value unit source quality",
    "costs/amortization.csv": "item low high unit source quality",
    "costs/egress.csv": "item value unit source quality",
    "costs/storage.csv": "item value unit source quality",
    "costs/discounts.csv": "item low high unit source quality",
    "import/skypilot_names.csv": "cloud accelerator instance_pattern gpu",
    "import/skypilot_hosts.csv": "cloud accelerator count instance",
    "import/skypilot_clouds.csv": "cloud flags",
    "import/feed_clouds.csv": "provider cloud",
    "import/feed_names.csv": "name gpu",
    "import/feed_instances.csv": "cloud gpu sku_pattern instance_pattern",
}


def rows(path: str) -> list[dict[str, str]]:
    with (data_dir() / path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Plain(yaml.CSafeLoader):
    """Numbers as numbers, dates as the text that stands there."""


Plain.yaml_implicit_resolvers = {
    key: [(tag, rx) for tag, rx in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for key, pairs in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@pytest.mark.parametrize("kind", FORMS)
def test_every_file_follows_its_schema(kind: str) -> None:
    validator = jsonschema.Draft202012Validator(json_schema(kind))
    files = [path for each, path in FILES if each == kind]
    assert len(files) >= 10
    for path in files:
        validator.validate(yaml.load(path.read_text("utf-8"), Loader=Plain))  # noqa: S506


def test_the_schema_refuses_a_number_without_its_source() -> None:
    data = yaml.load((data_dir() / "accelerators/h100-sxm5-80gb.yaml").read_text("utf-8"), Loader=Plain)  # noqa: S506
    del data["tdp_w"]["source"]
    with pytest.raises(jsonschema.ValidationError, match="'source' is a required property"):
        jsonschema.validate(data, json_schema("accelerator"))


def test_the_code_reads_what_the_schema_promises() -> None:
    assert len(CATALOG.accelerators) == 49
    assert len(CATALOG.nodes) == 80
    for name in CATALOG.accelerators:
        accelerator = CATALOG.accelerators[name]
        assert accelerator.memory_gib > 0
        assert {"bf16", "fp16"} & set(accelerator.peak_dense_tflops)
    for name in CATALOG.nodes:
        node = CATALOG.nodes[name]
        assert node.gpu in CATALOG.accelerators
        assert fabric_of(node.network) in FABRICS
        assert node.network_gbit_per_s is None or fabric_of(node.network) != "unknown"


@pytest.mark.parametrize("path", TABLES)
def test_tables_have_their_columns_and_their_sources(path: str) -> None:
    table = rows(path)
    assert table
    assert set(TABLES[path].split()) <= set(table[0])
    for row in table:
        assert None not in row, row
        if "source" in row:
            assert all(key in CATALOG.sources for key in row["source"].split("+")), row


def test_no_table_is_forgotten() -> None:
    mine = ("fabrics", "matmul", "attention", "energy", "costs", "import")
    there = {path.relative_to(data_dir()).as_posix() for name in mine for path in (data_dir() / name).glob("*.csv")}
    assert there == set(TABLES)


def test_price_files_have_every_column_and_a_dated_source() -> None:
    files = sorted((data_dir() / "prices").glob("*/*.csv"))
    assert len(files) == 22
    total = 0
    for path in files:
        with path.open(newline="", encoding="utf-8") as file:
            assert next(csv.reader(file)) == list(COLUMNS)
        for row in read_prices(path):
            total += 1
            assert row.source
            assert row.as_of
            assert row.as_of_latest is not None
            assert row.as_of_latest <= dt.date.fromisoformat(path.parent.name)
            assert row.as_of_earliest is None or row.as_of_earliest <= row.as_of_latest
            assert (row.as_of_earliest is None) == (row.date_kind == "undated")
    assert total == len(CATALOG.prices)


def test_half_year_dates_count_from_their_first_day() -> None:
    dated = {row.as_of: (str(row.as_of_earliest), str(row.as_of_latest), row.date_kind) for row in CATALOG.prices}
    assert dated["2026-H2 est."] == ("2026-07-01", "2026-11-24", "half_year_estimate")
    assert dated["2025-H1 est."] == ("2025-01-01", "2025-06-30", "half_year_estimate")
    assert dated["2026-02"] == ("2026-02-01", "2026-02-28", "month")
    assert dated["2026-08-19 file, prices older"] == ("None", "2026-08-19", "undated")


def test_curves_are_those_that_were_measured() -> None:
    curve = CATALOG.curves["p5-2"]
    assert (curve.fabric, curve.collective, curve.ranks, curve.network_gbit_per_s) == ("efa", "all_reduce", 16, 3200)
    assert dict(zip(curve.sizes_bytes, curve.busbw_gbyte_per_s, strict=True))[2**28] == 343
    assert len(CATALOG.curves) == 15
    for curve in CATALOG.curves.values():
        assert (curve.sizes_bytes[1:] > curve.sizes_bytes[:-1]).all()
        assert (curve.busbw_gbyte_per_s > 0).all()
        assert curve.gpu in CATALOG.accelerators
    named = {name for fabric in CATALOG.fabrics.values() for name in fabric.text("curves").split(", ") if name}
    assert named == set(CATALOG.curves)


def test_measured_matmuls_agree_with_the_accelerators() -> None:
    for row in rows("matmul/best_shape.csv"):
        accelerator = CATALOG.accelerators[row["gpu"]]
        assert accelerator.matmul_tflops[row["precision"]] == float(row["achieved_tflops"])


@pytest.mark.parametrize(
    ("network", "fabric"),
    [
        ("IB NDR 8x400 + SHARP", "infiniband"),
        ("IB/RoCE 8x400", "infiniband"),
        ("Spectrum-X/IB XDR 8x800", "infiniband"),
        ("IB in 1-click clusters", "infiniband"),
        ("Ethernet (on-demand); IB only in clusters", "ethernet"),
        ("EFA v2 32x100", "efa"),
        ("ENA/EFA", "efa"),
        ("ENA", "ethernet"),
        ("gVNIC", "ethernet"),
        ("GPUDirect-TCPXO 8x200", "tcpx"),
        ("RoCE CX-7 8x400", "roce"),
        ("DCN 2x100 per host", "ethernet"),
        ("", "unknown"),
    ],
)
def test_networks_are_classed_by_their_names(network: str, fabric: str) -> None:
    assert fabric_of(network) == fabric


def test_nothing_shipped_names_a_folder_of_a_machine() -> None:
    for folder in ("accelerators", "nodes", "fabrics", "prices", "energy", "costs", "matmul", "attention", "import"):
        for path in Path(data_dir() / folder).rglob("*.*"):
            text = path.read_text("utf-8")
            assert "/home/" not in text
            assert "file://" not in text


def test_the_digest_follows_the_facts_and_nothing_else(tmp_path: Path) -> None:
    assert load_catalog().digest == CATALOG.digest
    empty = tmp_path / "mine"
    (empty / "prices" / "2025-01-01").mkdir(parents=True)
    (empty / "prices" / "2025-01-01" / "old.csv").write_text("x\n")
    (empty / "prices" / "2025-01-02").mkdir()
    unchanged = load_catalog([empty]).digest
    (empty / "prices" / "2025-01-01" / "old.csv").write_text("y\n")
    assert load_catalog([empty]).digest == unchanged
    (empty / "accelerators").mkdir()
    (empty / "accelerators" / "h100-sxm5-80gb.yaml").write_text("tdp_w: 600\n")
    assert load_catalog([empty]).digest != unchanged
