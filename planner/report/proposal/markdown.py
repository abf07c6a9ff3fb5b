"""The proposal as Markdown (GitHub's). Text is escaped: a name with markup in it reads as it is written."""

from __future__ import annotations

import re
from collections.abc import Iterable

from planner.report.proposal.model import Bullets, Explorer, Facts, Figure, Paragraph, Proposal, Section, Table
from planner.words import said_in

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~!$])")
_LIST_START = re.compile(r"^(\d*)([-+=.)])(?=\s|$|[-=])")


def markdown(proposal: Proposal) -> str:
    """The document, ending in a newline; figures become their descriptions."""
    lines = [f"# {escaped(proposal.title)}", "", escaped(proposal.words["ui_date"].format(date=proposal.day_text)), ""]
    for section in proposal.sections:
        lines += _section(section, proposal.language)
    lines += [f"## {escaped(proposal.words['ui_colophon'])}", ""]
    for label, value in proposal.colophon:
        lines.append(f"- {_worded(proposal.language, 'labelled', label=escaped(label), text=_code(value))}")
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    flat = " ".join(text.split())
    return _LIST_START.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", flat.replace("&", "&amp;")))


def _code(text: str) -> str:
    """A span of code with fences that the text does not hold."""
    flat = " ".join(text.split())
    runs = [len(run) for run in re.findall(r"`+", flat)]
    fence = "`" * (max(runs, default=0) + 1)
    pad = " " if flat.startswith("`") or flat.endswith("`") else ""
    return f"{fence}{pad}{flat}{pad}{fence}"


def _worded(language: str, name: str, **values: str) -> str:
    return said_in(language, f"document.{name}", **values)


def _section(section: Section, language: str) -> list[str]:
    lines = [f"{'#' * section.level} {escaped(section.title)}", ""]
    for block in section.blocks:
        if isinstance(block, Paragraph):
            lines += [f"**{escaped(block.text)}**" if block.lead else escaped(block.text), ""]
        elif isinstance(block, Bullets):
            lines += [*(f"- {escaped(item)}" for item in block.items), ""]
        elif isinstance(block, Facts):
            rows = ((f"**{escaped(label)}**", escaped(cell.text)) for label, cell in block.rows)
            lines += [*(f"- {_worded(language, 'labelled', label=label, text=text)}" for label, text in rows), ""]
        elif isinstance(block, Table):
            lines += [*_table(block), ""]
        elif isinstance(block, Figure):
            caption, text = escaped(block.caption), escaped(block.description)
            lines += [_worded(language, "captioned", caption=caption, text=text), ""]
        elif not isinstance(block, Explorer):
            raise TypeError(f"{type(block).__name__} has no Markdown form")
    return lines


def _table(table: Table) -> list[str]:
    columns = range(len(table.header))
    rule = "|" + "|".join("---:" if table.right(i) else "---" for i in columns) + "|"
    rows = [_row((cell.text for cell in row), strong=i in table.emphasis) for i, row in enumerate(table.rows)]
    return [f"*{escaped(table.caption)}*", "", _row(table.header), rule, *rows]


def _row(cells: Iterable[str], *, strong: bool = False) -> str:
    texts = map(escaped, cells)
    return "| " + " | ".join(f"**{text}**" if strong and text else text for text in texts) + " |"
