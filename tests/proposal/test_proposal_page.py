"""The HTML page and the PDF: self-contained, the same bytes every time, and a name in them is never markup."""

from __future__ import annotations

import json
import re
import subprocess
from html.parser import HTMLParser

import pytest
from proposal_cases import HOSTILE, program, proposal

from planner.report.proposal.page import page
from planner.report.proposal.pdf import breakable, pdf
from planner.report.proposal.workbook import workbook


class Reader(HTMLParser):
    """Tags, and text outside of styles and scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, _tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside not in ("style", "script"):
            self.text.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


@pytest.mark.parametrize("render", [page, pdf, workbook])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_same_proposal_gives_the_same_bytes(render, language):
    assert render(proposal(language=language)) == render(proposal(language=language))


def test_the_page_is_one_small_file_that_asks_the_network_for_nothing():
    text = page(proposal("plain+billed"))
    assert len(text.encode()) < 3_000_000
    for tag, attributes in read(text).tags:
        for name in ("src", "href", "action", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), (tag, attributes)
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", text)
    assert "default-src 'none'" in text


def test_a_hostile_name_is_text_in_the_page():
    reader = read(page(proposal("hostile")))
    assert [attributes for tag, attributes in reader.tags if tag == "script"] == [
        {"type": "application/json", "id": "plans"},
        {},
    ]
    assert not any(name.startswith("on") for _, attributes in reader.tags for name in attributes)
    assert HOSTILE in "".join(reader.text)
    assert "{{7*7}}" in "".join(reader.text)
    data = re.search(r'id="plans">(.*?)</script>', page(proposal("hostile")), re.DOTALL)
    assert data is not None
    assert json.loads(data[1])["runs"][0]["name"] == HOSTILE


def test_the_page_can_be_read_without_seeing_it():
    reader = read(page(proposal(language="zh")))
    tags = [tag for tag, _ in reader.tags]
    assert (tags.count("h1"), tags.count("main"), tags.count("nav")) == (1, 1, 1)
    assert dict(reader.tags)["html"]["lang"] == "zh-Hans"
    figures = [attributes["aria-label"] or "" for tag, attributes in reader.tags if tag == "svg"]
    assert all("。" in told and ". " not in told for told in figures)
    assert all(attributes.get("scope") for tag, attributes in reader.tags if tag == "th")
    assert tags.count("caption") == tags.count("table")
    ids = [attributes["id"] for _, attributes in reader.tags if attributes.get("id")]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for tag, attributes in reader.tags if tag == "a"]
    assert set(links) <= set(ids)


@pytest.mark.skipif(program("pdftotext") is None, reason="pdftotext (poppler-utils) is not installed")
@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_hostile_name_is_text_in_the_pdf_and_every_font_is_embedded(language, tmp_path):
    path = tmp_path / "p.pdf"
    path.write_bytes(pdf(proposal("hostile", language)))
    text = subprocess.run(["pdftotext", "-raw", path, "-"], check=True, capture_output=True, text=True).stdout
    for piece in ("=1+1", "<script>alert(1)</script>", "{{7*7}}", "#strong[x]", "$x^2$", "**b**", "@SUM(A1)"):
        assert piece in re.sub(r"\s+", " ", text), piece
    rows = subprocess.run(["pdffonts", path], check=True, capture_output=True, text=True).stdout.splitlines()[2:]
    assert rows
    for row in rows:
        assert re.search(r" yes yes (yes|no) +\d+ +\d+$", row), row
    if language == "zh":
        assert "申请事项" in text


def test_long_names_may_break_and_digests_stay_whole():
    assert breakable("a" * 40).count("\u200b") == 3
    assert breakable("short words, all of them") == "short words, all of them"
    assert breakable("f" * 64, re.compile(r"\S{90,}")) == "f" * 64


def test_the_pdf_carries_the_day_and_not_the_clock():
    made = pdf(proposal())
    dates = set(re.findall(rb"D:(\d{8})", made)) | set(re.findall(rb"CreateDate>(\d{4}-\d\d-\d\d)", made))
    assert dates <= {b"20261124", b"2026-11-24"}
