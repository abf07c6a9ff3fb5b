"""The proposal as plain text, as a terminal shows it: wrapped, tables in columns, figures as their descriptions."""

from __future__ import annotations

from collections.abc import Sequence

from planner.report.layout import Page, bullets, columns, display_width, hanging, wrap
from planner.report.proposal.model import Block, Bullets, Explorer, Facts, Figure, Paragraph, Proposal, Table
from planner.words import said_in

WIDTH = 100  # columns
LABEL = 30  # columns of a fact's label, at most


def plain(proposal: Proposal) -> str:
    """The document in lines of at most `WIDTH` columns, ending in a newline."""
    page = Page(WIDTH)
    lines = [*_title(proposal.title, "="), proposal.words["ui_date"].format(date=proposal.day_text), ""]
    for section in proposal.sections:
        lines += [*_title(section.title, "-" if section.level == 2 else ""), ""]
        for block in section.blocks:
            if drawn := _block(block, page, proposal.language):
                lines += [*drawn, ""]
    lines += [*_title(proposal.words["ui_colophon"], "-"), ""]
    lines += _facts(proposal.colophon, page, proposal.language)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _title(text: str, under: str) -> list[str]:
    lines = wrap(text, WIDTH)
    return [*lines, under * max(map(display_width, lines))] if under else lines


def _block(block: Block, page: Page, language: str) -> list[str]:
    if isinstance(block, Paragraph):
        return wrap(block.text, WIDTH)
    if isinstance(block, Bullets):
        return bullets(block.items, page)
    if isinstance(block, Facts):
        return _facts([(label, cell.text) for label, cell in block.rows], page, language)
    if isinstance(block, Table):
        rows = [block.header, *([cell.text for cell in row] for row in block.rows)]
        align = "".join("r" if block.right(i) else "l" for i in range(len(block.header)))
        return [*wrap(block.caption, WIDTH), *columns(rows, align, page)]
    if isinstance(block, Figure):
        return wrap(_labelled(block.caption, block.description, language), WIDTH)
    if isinstance(block, Explorer):
        return []
    raise TypeError(f"{type(block).__name__} has no plain form")


def _facts(rows: Sequence[tuple[str, str]], page: Page, language: str) -> list[str]:
    """Labels in a column of their own; one that is too long for it stands before its text."""
    wide = min(LABEL, 1 + max((display_width(label) for label, _ in rows), default=0))
    lines: list[str] = []
    for label, text in rows:
        if display_width(label) < wide:
            lines += hanging(label, text, page, label_width=wide)
        else:
            lines += ["  " + line for line in wrap(_labelled(label, text, language), WIDTH - 2)]
    return lines


def _labelled(label: str, text: str, language: str) -> str:
    return said_in(language, "document.labelled", label=label, text=text)
