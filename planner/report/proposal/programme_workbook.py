"""A programme's proposal as a workbook: a sheet a section with its tables, and the calendar as coloured weeks or days.

Numbers are numbers; the last row of a table that adds up is a formula that carries its value.
"""

from __future__ import annotations

import io
from datetime import timedelta
from typing import Any, ClassVar

from planner.report.proposal.model import COUNT, DAYS, MONEY, PERCENT, Bullets, Cell, Facts, Paragraph, Proposal, Table
from planner.report.proposal.svg import text_width
from planner.report.proposal.xlsx_book import Formats, letter, new_book

A4 = 9
FORMS = {MONEY: "#,##0.00", DAYS: "#,##0.00", COUNT: "#,##0", PERCENT: "0.0%"}
WIDEST = 44.0  # of a column; longer texts wrap
MOST_COLUMNS = 120  # of the calendar: days up to there, weeks beyond
DAY_S = 86400.0


def programme_workbook(proposal: Proposal) -> bytes:
    """The file's content; the same proposal gives the same bytes.

    Raises
    ------
    PlannerError
        If XlsxWriter is not there.
    """
    buffer = io.BytesIO()
    book = new_book(buffer, proposal)
    made = _Sheets(proposal, book)
    for section in proposal.sections:
        made.section(section.title, section.blocks)
        if section.id == "ask":
            made.calendar()
    book.close()
    return buffer.getvalue()


class _Sheets(Formats):
    """Sheets under construction."""

    LOOKS: ClassVar[dict[str, dict[str, Any]]] = {
        **Formats.LOOKS,
        "title": {"bold": True, "font_size": 15},
        "indent": {"indent": 1, "align": "left"},
        "pale": {"bg_color": "#b3d4e8"},
        "full": {"bg_color": "#0072b2"},
    }

    def __init__(self, proposal: Proposal, book: Any) -> None:
        super().__init__(proposal, book)
        self.names: set[str] = set()

    def sheet(self, title: str) -> Any:
        """A new sheet of a name that Excel takes."""
        name = "".join("-" if c in "[]:*?/\\'" else c for c in title)[:28]
        while name.lower() in self.names:
            name = f"{name[:26]} 2"
        self.names.add(name.lower())
        made = self.book.add_worksheet(name)
        made.set_paper(A4)
        made.set_landscape()
        made.fit_to_pages(1, 0)
        made.set_footer("&R&8&P / &N")
        return made

    def section(self, title: str, blocks: Any) -> None:
        """One section: its sentences in the first column, its tables one under the other."""
        sheet = self.sheet(title)
        sheet.write_string(0, 0, title, self.format("", "title"))
        row, widths = 2, {0: 18.0}
        for block in blocks:
            if isinstance(block, Paragraph):
                sheet.merge_range(
                    row, 0, row, 7, block.text, self.format("", "wrap", *(["bold"] if block.lead else []))
                )
                sheet.set_row(row, 15.0 * max(1, round(text_width(block.text) / 620.0 + 0.49)))
                row += 2
            elif isinstance(block, Bullets):
                for item in block.items:
                    sheet.write_string(row, 0, item, self.format())
                    row += 1
                row += 1
            elif isinstance(block, Facts):
                for label, cell in block.rows:
                    sheet.write_string(row, 0, label, self.format())
                    sheet.write_string(row, 1, cell.text, self.format("", "right"))
                    widths[0], widths[1] = max(widths[0], _wide(label)), max(widths.get(1, 0.0), _wide(cell.text))
                    row += 1
                row += 1
            elif isinstance(block, Table):
                row = self.table(sheet, row, block, widths)
        for column, wide in widths.items():
            sheet.set_column(column, column, min(wide, WIDEST))

    def table(self, sheet: Any, row: int, table: Table, widths: dict[int, float]) -> int:
        """A table from a row on; the row behind it."""
        sheet.write_string(row, 0, table.caption, self.format("", "bold"))
        row += 1
        for column, text in enumerate(table.header):
            right = ["right"] if table.right(column) else ["indent"] if column else []
            sheet.write_string(row, column, text, self.format("", "head", *right))
            widths[column] = max(widths.get(column, 0.0), min(_wide(text), 16.0))
        first = row + 1
        for number, cells in enumerate(table.rows):
            strong = ["bold", "top"] if number in table.emphasis else []
            for column, cell in enumerate(cells):
                self.cell(sheet, first + number, column, cell, self.sum(table, number, column, first), strong)
                widths[column] = max(widths.get(column, 0.0), _wide(_shown(cell)))
        return first + len(table.rows) + 1

    def cell(self, sheet: Any, row: int, column: int, cell: Cell, formula: str, strong: list[str]) -> None:
        """A number where there is one, a text otherwise."""
        if cell.value is None:
            if cell.text or strong:
                look = ["indent"] if column else []
                look += ["wrap"] if _wide(cell.text) > WIDEST else []
                sheet.write_string(row, column, cell.text, self.format("", *look, *strong))
            return
        value = cell.value / DAY_S if cell.kind == DAYS else cell.value
        form = self.format(FORMS.get(cell.kind, "#,##0.####" if abs(value) < 1000 else "#,##0"), *strong)
        if formula:
            sheet.write_formula(row, column, formula, form, value)
        else:
            sheet.write_number(row, column, value, form)

    def sum(self, table: Table, number: int, column: int, first: int) -> str:
        """A formula where a strong row is the sum of all rows over it; "" elsewhere."""
        if number not in table.emphasis or number < 2:
            return ""
        above = [row[column].value for row in table.rows[:number]]
        value = table.rows[number][column].value
        if value is None or any(each is None for each in above):
            return ""
        if abs(sum(each or 0.0 for each in above) - value) > 0.005 + 1e-9 * abs(value):
            return ""
        at = letter(column)
        return f"=SUM({at}{first + 1}:{at}{first + number})"

    def calendar(self) -> None:
        """A row a stage, a column a day or a week: full where it is planned, pale to its 90th percentile."""
        chart = self.proposal.calendar
        if chart is None or not chart.bars:
            return
        bars, start = chart.bars, chart.start
        last = max(max(bar.done, int(bar.late) + 1) for bar in bars)
        step = 1 if last <= MOST_COLUMNS else 7
        title = next(section.title for section in self.proposal.sections if section.id == "calendar")
        sheet = self.sheet(f"{title} (Gantt)")
        sheet.write_string(0, 0, title, self.format("", "title"))
        for column, day in enumerate(range(0, last, step), 1):
            text = f"{day}" if start is None else (start + timedelta(days=day)).strftime("%m-%d")
            sheet.write_string(2, column, text if (column - 1) % 7 == 0 or step == 7 else "", self.format())
        for row, bar in enumerate(bars, 3):
            sheet.write_string(row, 0, bar.name, self.format())
            for column, day in enumerate(range(0, last, step), 1):
                if bar.start < day + step and day < bar.done:
                    sheet.write_blank(row, column, None, self.format("", "full"))
                elif bar.done <= day < bar.late:
                    sheet.write_blank(row, column, None, self.format("", "pale"))
        sheet.set_column(0, 0, max(_wide(bar.name) for bar in bars))
        sheet.set_column(1, -(-last // step), 2.2 if step == 1 else 5.5)
        sheet.freeze_panes(3, 1)


def _shown(cell: Cell) -> str:
    """What a cell shows, at its longest."""
    return cell.text if cell.value is None else max(cell.text, f"{cell.value:,.2f}", key=len)


def _wide(text: str) -> float:
    return text_width(text) / 6.2 + 2.0
