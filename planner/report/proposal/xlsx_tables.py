"""The workbook's sheets of options, of cash flow by month, and of assumptions."""

from __future__ import annotations

from typing import Any

from planner.report.proposal.ledger import DAY_S, Sums, days_in, months, next_month, sums
from planner.report.proposal.model import Bullets, Ledger, Table
from planner.report.proposal.svg import text_width
from planner.report.proposal.xlsx_book import HOURS, MONEY, PLAN_COLUMNS, Book, letter, quoted, serial


def options(book: Book) -> None:
    """Every option and frontier plan with its cost as a formula, against the chosen one."""
    w, sheet = book.words, book.sheets["options"]
    keys = ("name", "days", "days_sure", "total_p50", "total_sure", "against", "keeps_time", "keeps_cost")
    head = [w[key] for key in keys]
    row = 0
    for run, ledger in enumerate(book.runs):
        book.text("options", row, 0, ledger.name, "bold")
        for column, text in enumerate(head):
            book.text("options", row + 1, column, text, "head")
        row += 2
        for number, plan in enumerate(ledger.plans):
            _option(book, run, row, book.first_plan[run] + number, sums(ledger, plan), ledger, number)
            row += 1
        row += 1
    for column, wide in enumerate((60, 10, 12, 16, 16, 18, 14, 14)):
        sheet.set_column(column, column, wide)
    sheet.freeze_panes(2, 1)


def _option(book: Book, run: int, row: int, source: int, total: Sums, ledger: Ledger, number: int) -> None:
    plan = ledger.plans[number]
    sheet = f"'{book.words['plans'].replace(chr(39), chr(39) * 2)}'!"

    def cell(name: str) -> str:
        return f"{sheet}${letter(PLAN_COLUMNS.index(name))}${source + 1}"

    storage, egress = book.at("inputs", "storage", run), book.at("inputs", "egress", run)

    def cost(name: str, price: str) -> str:
        rate = f"{cell(price)}*(1+{book.at('inputs', 'price_change', run)})*{cell('gpus')}"
        hours = f"{cell(name)}/3600"
        return f"={rate}*{book.paid(hours, cell)}+{storage}*{hours}+{egress}"

    book.formula("options", row, 0, "=" + cell("name"), "", plan.label)
    book.formula("options", row, 1, f"={cell('p50')}/86400", HOURS, plan.time_p50_s / DAY_S)
    book.formula("options", row, 2, f"={cell('sure')}/86400", HOURS, plan.time_confidence_s / DAY_S)
    book.formula("options", row, 3, cost("p50", "price"), MONEY, total.total)
    book.formula("options", row, 4, cost("sure", "price_sure"), MONEY, total.total_sure)
    chosen = book.at("proposal", "total_p50", run)
    book.formula(
        "options", row, 5, f"=D{row + 1}-{chosen}", "+#,##0.00;-#,##0.00;0", total.total - book.chosen[run].total
    )
    yes, no, none = (quoted(book.words[key]) for key in ("yes", "no", "no_limit"))
    days = None if ledger.time_budget_s is None else ledger.time_budget_s / DAY_S
    for column, key, name, found, most in (
        (6, "time_limit", f"C{row + 1}+{cell('waiting')}/86400", plan.ends_sure_s / DAY_S, days),
        (7, "cost_limit", f"E{row + 1}", total.total_sure, ledger.cost_budget_usd),
    ):
        limit = book.at("inputs", key, run)
        text = book.words["no_limit"] if most is None else book.words["yes" if found <= most else "no"]
        book.formula(
            "options", row, column, f'=IF({limit}="",{none},IF({name}<={limit},{yes},{no}))', "", text, "right"
        )


def cash(book: Book) -> None:
    """USD by month: hours as they run, egress and the reserve where the run ends."""
    w, sheet = book.words, book.sheets["cash"]
    row = 0
    for run, ledger in enumerate(book.runs):
        book.text("cash", row, 0, ledger.name, "bold")
        for column, key in enumerate(("month", "days_run", "usd", "reserve", "total")):
            book.text("cash", row + 1, column, w[key], "head")
        row += 2
        firsts = months(ledger.start, max(plan.ends_sure_s for plan in ledger.plans) + 31 * DAY_S)
        top = row
        for number in range(len(firsts)):
            _month(book, run, ledger, row, number, firsts)
            row += 1
        book.text("cash", row, 0, w["total"], "bold", "top")
        total = book.chosen[run]
        for column, value in ((2, total.total), (3, total.reserve), (4, total.total_sure)):
            at = letter(column)
            book.formula("cash", row, column, f"=SUM({at}{top + 1}:{at}{row})", MONEY, value, "bold", "top")
        row += 2
    for column, wide in enumerate((14, 16, 18, 18, 18)):
        sheet.set_column(column, column, wide)


def _month(book: Book, run: int, ledger: Ledger, row: int, number: int, firsts: tuple[Any, ...]) -> None:
    plan, total, r = ledger.plans[0], book.chosen[run], row + 1
    ordered, hours = book.at("inputs", "start", run), book.at("proposal", "hours", run)
    start, waiting = f"({ordered}+{book.at('proposal', 'waiting', run)}/24)", plan.waiting_s / DAY_S
    egress = book.at("proposal", "egress_usd", run)
    first, days = firsts[number], plan.time_p50_s / DAY_S
    following = next_month(first)
    last = number == len(firsts) - 1
    month = f"DATE(YEAR({ordered}),MONTH({ordered}),1)" if number == 0 else f"EDATE(A{row},1)"
    book.formula("cash", row, 0, "=" + month, "yyyy-mm", serial(first))
    end = f"{start}+{hours}/24"
    upper = end if last else f"MIN({end},EDATE(A{r},1))"  # the last month takes what is left
    mine = days_in(ledger.start, plan.time_p50_s, first, following, plan.waiting_s)
    book.formula("cash", row, 1, f"=MAX(0,{upper}-MAX({start},A{r}))", HOURS, mine)
    here = f"IF(AND({end}>A{r},{'TRUE' if last else f'{end}<=EDATE(A{r},1)'}),1,0)"
    begin, close = ((day - ledger.start).days - waiting for day in (first, following))
    ends = 1.0 if begin < days and (last or days <= close) else 0.0
    upfront = book.at("proposal", "upfront", run)
    running = f"({book.at('proposal', 'total_p50', run)}-{egress}-{upfront})"
    before, before_usd = (upfront, plan.upfront_usd) if number == 0 else ("0", 0.0)
    spent = (total.total - total.egress - plan.upfront_usd) * mine / days + total.egress * ends + before_usd
    book.formula(
        "cash",
        row,
        2,
        f"={running}*B{r}/({hours}/24)+{egress}*{here}+{before}",
        MONEY,
        spent,
    )
    book.formula("cash", row, 3, f"={book.at('proposal', 'reserve', run)}*{here}", MONEY, total.reserve * ends)
    book.formula(
        "cash",
        row,
        4,
        f"=C{r}+D{r}",
        MONEY,
        spent + total.reserve * ends,
    )


def assumptions(book: Book) -> None:
    """The document's assumptions, sources and digests, as text."""
    rows: list[tuple[tuple[str, ...], str]] = []
    for section in book.proposal.sections:
        if section.id.startswith(("assumptions-", "risks-")):
            rows.append(((section.title,), "bold"))
            for block in section.blocks:
                if isinstance(block, Table):
                    rows += [((block.caption,), ""), (block.header, "head")]
                    rows += [(tuple(cell.text for cell in cells), "wrap") for cells in block.rows]
                elif isinstance(block, Bullets):
                    rows += [((item,), "across") for item in block.items]
            rows.append(((), ""))
    rows.append(((book.proposal.words["ui_colophon"],), "bold"))
    rows += [(pair, "wrap") for pair in book.proposal.colophon]
    sheet, wide = book.sheets["assumptions"], (40, 46, 50, 18, 30)
    for number, (texts, look) in enumerate(rows):
        if look == "across":  # a sentence takes the sheet's whole width
            sheet.merge_range(number, 0, number, len(wide) - 1, "", book.format("", "wrap"))
            book.text("assumptions", number, 0, texts[0], "wrap")
            sheet.set_row(number, 15.0 * _lines(texts[0], sum(wide)))
            continue
        for column, text in enumerate(texts):
            book.text("assumptions", number, column, text, *([look] if look else []))
        if look in ("wrap", "head"):
            lines = max((_lines(text, wide[column]) for column, text in enumerate(texts)), default=1)
            sheet.set_row(number, 15.0 * lines)
    for column, size in enumerate(wide):
        sheet.set_column(column, column, size)


def _lines(text: str, width: int) -> int:
    """Lines that a text takes in a column of so many characters."""
    return max(1, -(-round(text_width(text, 1.0) / 0.5) // width))
