"""The proposal as a workbook: a plan is chosen from a list, and prices, hours, reserve and totals are formulas.

Every text is written as text, so that no name becomes a formula. Each formula carries planner's own value, which a
reader without recalculation sees; a recalculation gives the same to the cent.
"""

from __future__ import annotations

import io
from datetime import datetime, time

from planner.report.proposal.model import Proposal
from planner.report.proposal.xlsx_book import Book
from planner.report.proposal.xlsx_plan import chosen_plan, inputs, plans
from planner.report.proposal.xlsx_tables import assumptions, cash, options
from planner.units import PlannerError

A4 = 9  # as XlsxWriter numbers paper


def workbook(proposal: Proposal) -> bytes:
    """The file's content; the same proposal gives the same bytes.

    Raises
    ------
    PlannerError
        If XlsxWriter is not there.
    """
    try:
        from xlsxwriter import Workbook
    except ImportError:
        raise PlannerError("XLSX proposals need XlsxWriter: pip install 'llm-cluster-planner[proposals]'") from None
    buffer = io.BytesIO()
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = Workbook(buffer, {"in_memory": True, **plain})
    day = proposal.day
    book.set_properties({"title": proposal.title[:250], "created": datetime.combine(day, time())})
    made = Book(proposal, book)
    plans(made)  # first: the others point into it
    inputs(made)
    chosen_plan(made)
    options(made)
    cash(made)
    assumptions(made)
    for sheet in made.sheets.values():
        sheet.set_landscape()
        sheet.set_paper(A4)
        sheet.fit_to_pages(1, 0)
    made.sheets["proposal"].activate()
    book.close()
    return buffer.getvalue()
