"""The proposal as PDF, set by typst. All text travels as data, so nothing in a name is markup; fonts are embedded."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from planner.report.proposal.model import Bullets, Explorer, Facts, Figure, Paragraph, Proposal, Section, Table
from planner.report.proposal.svg import WIDTH, colour, fitted
from planner.units import PlannerError
from planner.words import say
from planner.words.languages import forms

FOOTER_WIDTH = 620.0  # of the running title, as `fitted` counts
ZERO_WIDTH_SPACE = "\u200b"
_LONG, _VERY_LONG = re.compile(r"[^\s/]{36,}"), re.compile(r"\S{90,}")  # the latter leaves digests whole


def pdf(proposal: Proposal) -> bytes:
    """The document; the same proposal gives the same bytes.

    Raises
    ------
    PlannerError
        If typst or the font is not there.
    """
    typst, fonts = _typesetter()
    day, written = proposal.day, forms(proposal.language)
    data = {
        "lang": written.form("lang").partition("-")[0],
        "region": written.form("region").lower(),
        "font": written.form("document_font"),
        "name": proposal.title,
        "running": fitted(proposal.title, FOOTER_WIDTH),
        "title": breakable(proposal.title),
        "day": [day.year, day.month, day.day],
        "date": proposal.words["ui_date"].format(date=proposal.day_text),
        "sections": [_section(section) for section in proposal.sections],
        "colophon_title": proposal.words["ui_colophon"],
        "colophon": [[breakable(label), breakable(value, _VERY_LONG)] for label, value in proposal.colophon],
        "width": WIDTH,
    }
    template = files("planner.report.proposal").joinpath("templates", "proposal.typ").read_bytes()
    made = typst.compile(
        template,
        font_paths=fonts,
        sys_inputs={"data": json.dumps(data, ensure_ascii=False, allow_nan=False)},
        timestamp=datetime(day.year, day.month, day.day, tzinfo=UTC),
    )
    return bytes(made)


@cache
def _typesetter() -> tuple[Any, Any]:
    """Typst and the fonts that it may use: its own and one for Chinese; never the system's, which differ."""
    try:
        import manimgx_fonts_cjk
        import typst
    except ImportError:
        raise PlannerError(say("proposal.pdf_needs")) from None
    folder = Path(manimgx_fonts_cjk.__file__).parent
    return typst, typst.Fonts(include_system_fonts=False, include_embedded_fonts=True, font_paths=[str(folder)])


def breakable(text: str, words: re.Pattern[str] = _LONG) -> str:
    """Text whose long words may break: a typesetter would else run a long path or name over the margin."""
    return words.sub(lambda word: ZERO_WIDTH_SPACE.join(re.findall(r".{1,12}", word.group())), text)


def _section(section: Section) -> dict[str, Any]:
    blocks = [_block(block) for block in section.blocks if not isinstance(block, Explorer)]
    return {"title": breakable(section.title), "level": section.level - 1, "alone": section.alone, "blocks": blocks}


def _block(block: object) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        return {"kind": "lead" if block.lead else "paragraph", "text": breakable(block.text)}
    if isinstance(block, Bullets):
        return {"kind": "bullets", "items": [breakable(item) for item in block.items]}
    if isinstance(block, Facts):
        return {"kind": "facts", "rows": [[breakable(label), breakable(cell.text)] for label, cell in block.rows]}
    if isinstance(block, Figure):
        return _figure(block)
    if isinstance(block, Table):
        return _table(block)
    raise TypeError(f"{type(block).__name__} has no PDF form")


def _figure(figure: Figure) -> dict[str, Any]:
    picture = figure.picture
    labels = [{**asdict(label), "fill": colour(label.role)} for label in picture.labels]
    return {
        "kind": "figure",
        "id": figure.id,
        "svg": picture.svg(text=False),
        "height": picture.height,
        "labels": labels,
        "caption": figure.caption,
        "description": figure.description,
    }


def _table(table: Table) -> dict[str, Any]:
    """Columns of numbers are as wide as they are; columns of words share the rest by how much they hold."""
    columns = []
    for i in range(len(table.header)):
        lengths = [len(row[i].text) for row in table.rows if row[i].text] or [6]
        mean = sum(lengths) / len(lengths)
        share = min(max(mean + (max(lengths) - mean) / 4, min(max(lengths), 19.0), 8.0), 40.0)
        columns.append({"right": table.right(i), "share": 0.0 if table.right(i) else share})
    return {
        "kind": "table",
        "caption": table.caption,
        "header": list(table.header),
        "columns": columns,
        "rows": [[breakable(cell.text) for cell in row] for row in table.rows],
        "strong": sorted(table.emphasis),
    }
