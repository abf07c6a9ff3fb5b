"""A workbook under construction: formats, texts that stay texts, formulas that carry their values, addresses."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import date, datetime, time
from typing import Any, ClassVar

from planner.report.proposal.ledger import sums
from planner.report.proposal.model import Proposal
from planner.spec.billing import NOISE
from planner.units import PlannerError
from planner.words import say
from planner.words.languages import forms

MONEY, NUMBER, HOURS, DATE, PERCENT, PRICE = "#,##0.00", "#,##0", "#,##0.00", "yyyy-mm-dd", "0.0%", "#,##0.00##"
SHEETS = ("inputs", "proposal", "options", "cash", "plans", "assumptions")
INPUTS = ("plan", "price_change", "start", "confidence", "time_limit", "cost_limit", "storage", "egress")
#: Columns of the plans' sheet, and what of a plan stands there.
OF_PLAN = {
    "name": "label", "offer": "offer", "gpu": "gpu", "gpus": "gpus", "price": "usd_per_gpu_hour",
    "price_sure": "sure_price", "p50": "time_p50_s", "sure": "time_confidence_s", "work": "work_s",
    "minimum": "minimum_s", "step": "step_s", "block": "block_s", "batch": "batch", "layout": "layout", "own": "own_s",
    "training": "training_gpus", "then": "then", "kind": "kind", "upfront": "upfront", "waiting": "waiting_s",
}  # fmt: skip
PLAN_COLUMNS = tuple(OF_PLAN)


def new_book(buffer: io.BytesIO, proposal: Proposal) -> Any:
    """An empty workbook of a proposal, in which a text is never a formula, a link or a number.

    Raises
    ------
    PlannerError
        If XlsxWriter is not there.
    """
    try:
        from xlsxwriter import Workbook
    except ImportError:
        raise PlannerError(say("proposal.xlsx_needs")) from None
    plain = {"strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False}
    book = Workbook(buffer, {"in_memory": True, **plain})
    book.set_properties({"title": proposal.title[:250], "created": datetime.combine(proposal.day, time())})
    return book


class Formats:
    """A workbook's formats, each made once, by its number form and the looks of `LOOKS`."""

    LOOKS: ClassVar[dict[str, dict[str, Any]]] = {
        "bold": {"bold": True},
        "head": {"bold": True, "font_color": "#5c5c5c", "bottom": 1, "text_wrap": True},
        "title": {"font_size": 15},
        "top": {"top": 1},
        "right": {"align": "right"},
        "wrap": {"text_wrap": True},
        "indent": {"indent": 1},
    }

    def __init__(self, proposal: Proposal, book: Any) -> None:
        self.proposal, self.book = proposal, book
        self.formats: dict[tuple[str, ...], Any] = {}

    def format(self, number: str = "", *look: str) -> Any:
        """A format by its number form and look."""
        key = (number, *look)
        if key not in self.formats:
            made: dict[str, Any] = {"font_name": forms(self.proposal.language).form("sheet_font"), "font_size": 11}
            made |= {"valign": "top"} | ({"num_format": number} if number else {})
            for name, form in self.LOOKS.items():
                made |= form if name in look else {}
            self.formats[key] = self.book.add_format(made)
        return self.formats[key]


class Book(Formats):
    """Sheets with one column a run; rows are found by their keys."""

    LOOKS: ClassVar[dict[str, dict[str, Any]]] = {
        **Formats.LOOKS,
        "head": {**Formats.LOOKS["head"], "valign": "bottom"},
        "input": {"font_color": "#0033cc", "bg_color": "#eef4fb", "locked": False},
    }

    def __init__(self, proposal: Proposal, book: Any) -> None:
        super().__init__(proposal, book)
        self.runs = proposal.ledgers
        self.words = {key[5:]: text for key, text in proposal.words.items() if key.startswith("ui_x_")}
        self.chosen = [sums(ledger, ledger.plans[0]) for ledger in self.runs]
        self.sheets = {name: book.add_worksheet(self.words[name]) for name in SHEETS}
        self.rows: dict[str, dict[str, int]] = {name: {} for name in SHEETS}
        self.lines = list(dict.fromkeys(line.name for ledger in self.runs for line in ledger.lines))
        self.money = self.runs[0].money
        extra = (*(["rate"] if self.money.foreign else []), *(f"line {name}" for name in self.lines))
        self.rows["inputs"] = {key: 4 + number for number, key in enumerate((*INPUTS, *extra))}
        self.first_plan: list[int] = []

    def text(self, sheet: str, row: int, column: int, text: str, *look: str) -> None:
        """Writes a text, whatever it begins with; nothing where it is empty."""
        if not text and not look:
            return
        self.sheets[sheet].write_string(row, column, text, self.format("", *look))

    def formula(
        self, sheet: str, row: int, column: int, formula: str, number: str, value: float | str, *look: str
    ) -> None:
        """Writes a formula with its number format and planner's own value."""
        self.sheets[sheet].write_formula(row, column, formula, self.format(number, *look), value)

    def number(self, sheet: str, row: int, column: int, value: float | None, form: str, *look: str) -> None:
        """Writes a number with its form, or an empty cell of that form."""
        if value is None:
            self.sheets[sheet].write_blank(row, column, None, self.format(form, *look))
        else:
            self.sheets[sheet].write_number(row, column, value, self.format(form, *look))

    def of_dollars(self, sheet: str, row: int, column: int, amount: float, number: str, *look: str) -> None:
        """Writes an amount that is known in US dollars: a number, or that times the one rate of the workbook."""
        if self.money.foreign:
            rate = self.at("inputs", "rate", 0)
            self.formula(sheet, row, column, f"={amount * self.money.usd:.15g}*{rate}", number, amount, *look)
        else:
            self.number(sheet, row, column, amount, number, *look)

    def at(self, sheet: str, key: str, run: int) -> str:
        """The address of a run's value, usable from any sheet."""
        name = self.words[sheet].replace("'", "''")
        return f"'{name}'!${letter(run + 1)}${self.rows[sheet][key] + 1}"

    def heading(self, sheet: str, row: int, label: str) -> None:
        """The runs' names over their columns."""
        self.text(sheet, row, 0, label, "head")
        for run, ledger in enumerate(self.runs):
            self.text(sheet, row, run + 1, ledger.name, "head")
        if len(self.runs) > 1:
            self.text(sheet, row, len(self.runs) + 1, self.words["total"], "head")

    def range(self, run: int, column: str) -> str:
        """A run's column of the plans' sheet."""
        at = letter(PLAN_COLUMNS.index(column))
        first = self.first_plan[run] + 1
        name = self.words["plans"].replace("'", "''")
        return f"'{name}'!${at}${first}:${at}${first + len(self.runs[run].plans) - 1}"

    def paid(self, hours: str, found: Callable[[str], str]) -> str:
        """Hours that are paid: the least at least, whole billing steps, whole reserved blocks; as `paid_seconds`."""
        least = f"{found('minimum')}/3600"
        paid = f"MAX({hours},{least})"
        for name in ("step", "block"):
            size = f"({found(name)}/3600)"
            paid = f"IF({found(name)}>0,MAX(ROUNDUP({paid}/{size}-{NOISE:.0E},0),1)*{size},{paid})"
        return f"IF({found('then')}>0,{least}+{found('then')}*MAX({hours}-{least},0),{paid})"


def letter(column: int) -> str:
    """0 -> "A"; sheets here have fewer than 26 columns, more runs than that go on with two letters."""
    return chr(65 + column) if column < 26 else letter(column // 26 - 1) + letter(column % 26)


def serial(day: date) -> float:
    """A day as spreadsheets count them."""
    return float((day - date(1899, 12, 30)).days)


def quoted(text: str) -> str:
    """Text inside a formula."""
    return '"' + text.replace('"', '""') + '"'
