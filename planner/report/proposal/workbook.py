"""The proposal as a workbook: a plan is chosen from a list, and prices, hours, reserve and totals are formulas.

Every text is written as text, so that no name becomes a formula. Each formula carries planner's own value, which a
reader without recalculation sees; a recalculation gives the same to the cent.
"""

from __future__ import annotations

import io
from typing import Any

from planner.report.proposal.model import Proposal
from planner.report.proposal.svg import fitted
from planner.report.proposal.xlsx_book import PLAN_COLUMNS, Book, new_book
from planner.report.proposal.xlsx_plan import chosen_plan, inputs, plans
from planner.report.proposal.xlsx_tables import assumptions, cash, options

A4 = 9  # as XlsxWriter numbers paper
FOOTER_WIDTH = 500.0  # of the title, as `fitted` counts; a footer holds 255 characters at most


# How a sheet prints: on its side or upright, pages across, rows and columns that every page repeats.
PRINTED = {
    "inputs": (False, 1, 3, None),
    "proposal": (False, 1, 3, None),
    "options": (True, 1, 1, None),
    "cash": (False, 1, 1, None),
    "plans": (True, 3, 1, 0),
    "assumptions": (True, 1, None, None),
}


def _printed(sheet: Any, name: str, proposal: Proposal) -> None:
    """Page setup: A4, as wide as one page (the plans: three), titles on each, name and page number at the foot."""
    aside, across, last_row, last_column = PRINTED[name]
    if aside:
        sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.set_margins(left=0.5, right=0.5, top=0.6, bottom=0.7)
    sheet.fit_to_pages(across, 0)
    if last_row is not None:
        sheet.repeat_rows(0, last_row)
    if last_column is not None:
        sheet.repeat_columns(0, last_column)
        sheet.print_area(0, 0, sheet.dim_rowmax or 0, len(PLAN_COLUMNS) - 1)
    title = fitted(proposal.title, FOOTER_WIDTH).replace("&", "&&")
    sheet.set_footer(f"&L&8{' ' if title[:1].isdigit() else ''}{title}&R&8&P / &N")


def workbook(proposal: Proposal) -> bytes:
    """The file's content; the same proposal gives the same bytes.

    Raises
    ------
    PlannerError
        If XlsxWriter is not there.
    """
    buffer = io.BytesIO()
    book = new_book(buffer, proposal)
    made = Book(proposal, book)
    plans(made)  # first: the others point into it
    inputs(made)
    chosen_plan(made)
    options(made)
    cash(made)
    assumptions(made)
    for name, sheet in made.sheets.items():
        _printed(sheet, name, proposal)
    made.sheets["proposal"].activate()
    book.close()
    return buffer.getvalue()
