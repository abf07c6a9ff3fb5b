"""The shipped tables of measured runs: every row is read, says who measured it, and is told of in their README."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.performance.rows import read_run

FOLDER = data_dir() / "measured"
FILES = sorted(FOLDER.glob("*.csv"))
CATALOG = load_catalog()


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_is_read_as_the_part_that_it_names(path: Path) -> None:
    for number, row in enumerate(rows_of(path), 1):
        run = read_run(row, CATALOG, f"{path.stem}:{number}")
        assert run.setting.accelerator.id.startswith(row["gpu"])
        assert run.tokens_per_s_per_gpu


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_row_says_who_measured_it_where(path: Path) -> None:
    rows = rows_of(path)
    assert len({row["source_id"] for row in rows}) == 1
    for row in rows:
        assert row["kind"] in ("vendor", "framework", "field")
        assert row["weight"] in ("full", "low")
        assert row["site"]
        assert row["project"]
        assert row["page_or_path"]


def test_the_readme_tells_of_every_table_with_its_count() -> None:
    told = (FOLDER / "README.md").read_text(encoding="utf-8")
    for path in FILES:
        assert f"| `{path.name}` | {len(rows_of(path))} |" in told
