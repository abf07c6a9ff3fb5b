"""Drawings by their geometry: no label stands on another, on a line or beyond the edge; pages are filled."""

from __future__ import annotations

import io
import re
import subprocess
import zipfile
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from proposal_cases import program, proposal
from proposal_geometry import faults

from planner.report.frontier_scene import Scene, Spot, axis_of
from planner.report.proposal.charts import (
    Axes,
    Bar,
    Interval,
    Point,
    bar_chart,
    chance_chart,
    frontier_chart,
    range_chart,
    stacked_chart,
)
from planner.report.proposal.model import Bullets, Facts, Figure, Paragraph, Table
from planner.report.proposal.page import page
from planner.report.proposal.pdf import pdf
from planner.report.proposal.svg import WIDTH
from planner.report.proposal.workbook import workbook

KINDS = [("plain", "en"), ("plain", "zh"), ("billed", "en"), ("reserved", "en"), ("buying", "zh"), ("grant", "zh")]
AXES = Axes("t", "d", "days", "thousand USD")


@pytest.mark.parametrize(("kind", "language"), KINDS)
def test_no_label_of_a_proposal_prints_over_anything(kind, language):
    figures = [b for s in proposal(kind, language).sections for b in s.blocks if isinstance(b, Figure)]
    assert len(figures) == 6
    for figure in figures:
        assert not faults(figure.picture), figure.caption


@pytest.mark.parametrize("seed", range(12))
def test_names_find_a_free_place_wherever_plans_and_limits_lie(seed):
    rng = np.random.default_rng(seed)
    x = np.sort(rng.uniform(0.5, 40.0, 30))
    y = np.sort(rng.uniform(20.0, 200.0, 30))[::-1]
    spots = tuple(Spot(float(a), float(b), i % 3) for i, (a, b) in enumerate(zip(x, y, strict=True)))
    asked = spots[int(rng.integers(30))]
    limit = Axes(
        "t",
        "d",
        "days",
        "USD",
        float(rng.uniform(0.5, 60)),
        "limit 14 days",
        "limit 2 USD",
    )
    most = float(rng.uniform(20, 300))
    scene = Scene(
        axis_of([spot.x for spot in spots], limit.x_limit, ("days", "days, logarithmic"), limit.x_limit_text),
        axis_of([spot.y for spot in spots], most, ("USD", "USD, logarithmic"), limit.y_limit_text),
        spots,
        ("A100", "H100", "B200"),
        asked,
    )
    assert not faults(frontier_chart(scene, "t", "d", "the ask: 1,024 GPUs, on demand"))
    curve = [(float(a), p) for a, p in zip(np.sort(rng.uniform(5, 20, 20)), np.linspace(0.01, 0.99, 20), strict=True)]
    marks = [
        Point(*curve[i], i % 2, f"{curve[i][1]:.0%}: {curve[i][0]:.1f} days") for i in (9, int(rng.integers(13, 19)))
    ]
    assert not faults(chance_chart(curve, marks, limit))


def test_long_names_and_large_values_do_not_run_into_each_other():
    long = "Asked for, Cheapest, Balanced, Own machines, crusoe, nebius and everybody else"
    rows = [Interval(long, 1.0, 2.0, 900.0, "1,234 days, capacity block", strong=True), Interval("b", 1, 2, 3, "c")]
    for limit in (None, 1.0, 500.0, 5000.0):
        assert not faults(range_chart(rows, Axes("t", "d", "USD", "", limit, "limit 145k USD" if limit else "")))
    assert not faults(bar_chart([Bar(long, 1e6, "1,000,000 USD"), Bar("b", 1.0, "1 USD")], AXES))
    parts = [Bar(f"part {n}", 10.0 + n, f"{10 + n}", n) for n in range(5)]
    for capacity in (8.0, 60.0, 600.0):
        assert not faults(stacked_chart(parts, capacity, "58.7 of 79.2 GiB used", AXES))


def test_a_point_of_the_frontier_is_inside_its_scale():
    spots = tuple(Spot(float(n), 100.0 / n, 0) for n in range(1, 30))
    axes = (axis_of([getattr(spot, name) for spot in spots], None, ("", "")) for name in "xy")
    made = frontier_chart(Scene(*axes, spots, ("a",), spots[5]), "t", "d")
    for x, y in re.findall(r'cx="(\S+)" cy="(\S+)"', made.shapes):
        assert 0 < float(x) < WIDTH
        assert 0 < float(y) < made.height


@cache
def pdf_of(kind: str, language: str) -> bytes:
    return pdf(proposal(kind, language))


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: "-".join(kind))
def printed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    if program("pdftoppm") is None:
        pytest.skip("no pdftoppm")
    folder = tmp_path_factory.mktemp("pdf")
    (folder / "p.pdf").write_bytes(pdf_of(*request.param))
    return request.param, folder


def test_no_page_but_the_last_has_a_blank_fifth(printed):
    _, folder = printed
    subprocess.run(["pdftoppm", "-r", "20", "-gray", str(folder / "p.pdf"), str(folder / "g")], check=True)
    pages = sorted(folder.glob("g-*.pgm"))
    assert len(pages) > 3
    for sheet in pages[:-1]:
        assert blank(sheet.read_bytes()) < 0.2, sheet.name


def blank(image: bytes) -> float:
    """The tallest white band between the margins of a page, as a share of the page."""
    _, size, _, *_ = image.split(b"\n", 3)
    wide, high = map(int, size.split())
    rows = np.frombuffer(image[-wide * high :], dtype=np.uint8).reshape(high, wide).min(axis=1)
    rows = rows[: round(high * 277 / 297)]  # the foot lies in the margin
    inked = [0.07 * high, *np.flatnonzero(rows < 200).tolist(), len(rows)]
    return float(np.max(np.diff(inked))) / high


def test_everything_a_manager_signs_is_on_the_first_page(printed):
    (kind, language), folder = printed
    if program("pdftotext") is None:
        pytest.skip("no pdftotext")
    command = ["pdftotext", "-f", "1", "-l", "1", "-layout", str(folder / "p.pdf"), "-"]
    first = squeezed(subprocess.run(command, check=True, capture_output=True).stdout.decode())
    ask = proposal(kind, language).sections[0]
    for block in ask.blocks:
        if isinstance(block, Facts):
            assert all(squeezed(label)[:6] in first for label, _ in block.rows)
        if isinstance(block, Bullets):
            assert len(block.items) == 4
            assert all(squeezed(item)[:12] in first for item in block.items)
        if isinstance(block, Table):
            assert 2 <= len(block.rows) <= 3
            assert all(squeezed(cell.text) in first for row in block.rows for cell in row if cell.numeric)
    assert sum(isinstance(block, Paragraph) for block in ask.blocks) == 3
    (labels,) = (
        [label for label, _ in b.rows] for b in proposal(kind, language).sections[1].blocks if isinstance(b, Facts)
    )
    assert squeezed(labels[4]) not in first  # the plan's own section begins a page


def test_page_and_pdf_say_the_same(printed):
    (kind, language), folder = printed
    if program("pdftotext") is None:
        pytest.skip("no pdftotext")
    command = ["pdftotext", "-raw", str(folder / "p.pdf"), "-"]
    paper = set(re.findall(r"[\d,.]{4,}", subprocess.run(command, check=True, capture_output=True).stdout.decode()))
    shown = set(re.findall(r"[\d,.]{4,}", written(page(proposal(kind, language)))))
    assert len(shown) > 100
    assert {figure.strip(".,") for figure in shown} <= {figure.strip(".,") for figure in paper} | SPLIT


SPLIT = {""}  # figures that a line of paper breaks


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.inside, self.text = "", []

    def handle_starttag(self, tag: str, _attrs: list[tuple[str, str | None]]) -> None:
        self.inside = tag if tag in ("style", "script", "code", "noscript") else self.inside

    def handle_endtag(self, tag: str) -> None:
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data: str) -> None:
        if not self.inside:
            self.text.append(data)


def written(text: str) -> str:
    reader = _Text()
    reader.feed(text)
    return "\n".join(reader.text)


def squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


def test_every_sheet_prints_as_wide_as_its_pages_with_titles_on_each():
    with zipfile.ZipFile(io.BytesIO(workbook(proposal()))) as book:
        titles = book.read("xl/workbook.xml").decode()
        sheets = [book.read(name).decode() for name in book.namelist() if "worksheets/sheet" in name]
    assert titles.count("_xlnm.Print_Titles") == 5
    for sheet in sheets:
        assert re.search(r'<pageSetup paperSize="9"[^>]*fitToHeight="0"', sheet)
        assert "<oddFooter>" in sheet
        assert 'fitToPage="1"' in sheet
