"""The workbook's sheets of inputs, of the plan chosen and of the plans to choose from."""

from __future__ import annotations

from planner.report.proposal.beside import added, requested_usd
from planner.report.proposal.ledger import DAY_S, HOUR_S, Sums
from planner.report.proposal.model import Ledger, PlanRow, PriceCurve
from planner.report.proposal.xlsx_book import (
    DATE,
    HOURS,
    MONEY,
    NUMBER,
    OF_PLAN,
    PERCENT,
    PLAN_COLUMNS,
    PRICE,
    Book,
    letter,
    quoted,
    serial,
)

#: Rows of the proposal's sheet that are added up over runs, and which of a plan's sums each is.
OF_SUMS = {
    "compute": "compute", "failures": "failures", "overhead": "overhead", "rounding": "rounding",
    "storage_usd": "storage", "egress_usd": "egress", "total_p50": "total", "reserve": "reserve",
    "total_sure": "total_sure",
}  # fmt: skip
SPREAD = ("price", "price_sure")  # columns that are formulas where an offer's price is spread


def plans(book: Book) -> None:
    """The precomputed plans of every run, below each other; times in seconds, as planner has them."""
    w, sheet = book.words, book.sheets["plans"]
    in_seconds = ("p50", "sure", "work", "own", "minimum", "step", "block", "upfront", "waiting")
    head = [w[f"s_{name}" if name in in_seconds else name] for name in PLAN_COLUMNS]
    row = 0
    for ledger in book.runs:
        book.text("plans", row, 0, ledger.name, "bold")
        for column, text in enumerate(head):
            book.text("plans", row + 1, column, text, "head")
        for column, key in _spread_columns(ledger).items():
            book.text("plans", row + 1, column, w[key], "head")
        sheet.set_row(row + 1, 60)
        row += 2
        book.first_plan.append(row)
        for plan in ledger.plans:
            for column, (name, attribute) in enumerate(OF_PLAN.items()):
                value = getattr(plan, attribute)
                if isinstance(value, str):
                    book.text("plans", row, column, value, "indent" if column else "")
                elif name not in SPREAD:
                    book.number("plans", row, column, value, NUMBER if isinstance(value, int) else HOURS)
                elif plan.curve is None:
                    book.of_dollars("plans", row, column, value, PRICE)
            if plan.curve is not None:
                _spread(book, ledger, row, plan, plan.curve)
            row += 1
        row += 1
    for column, wide in enumerate((64, 56, 18, 8, 12, 12, 14, 14, 14, 14, 14, 14, 10, 40, 14, 10, 14, 18, 14, 14)):
        sheet.set_column(column, column, wide)
    sheet.freeze_panes(2, 1)


def _spread_columns(ledger: Ledger) -> dict[int, str]:
    """Where the prices of plans whose offer's price is spread stand, and what is written over them."""
    first = len(PLAN_COLUMNS)
    counts = {len(plan.curve.shares) for plan in ledger.plans if plan.curve is not None}
    if not counts:
        return {}
    table = {first + 2 + n * max(counts): key for n, key in enumerate(("at_shares", "at_price", "at_price_sure"))}
    return {first: "middle_rate", first + 1: "storage_share"} | table


def _spread(book: Book, ledger: Ledger, row: int, plan: PlanRow, curve: PriceCurve) -> None:
    """Prices that follow storage and the change of the price: between the shares that stand at the row's end."""
    run, first, count = book.runs.index(ledger), len(PLAN_COLUMNS), len(curve.shares)
    storage, changed = book.at("inputs", "storage", run), f"(1+{book.at('inputs', 'price_change', run)})"
    table = [first + 2 + n * count for n in range(3)]
    shares, p50, sure = (f"${letter(at)}${row + 1}:${letter(at + count - 1)}${row + 1}" for at in table)
    for at, values, form in zip(table, (curve.shares, curve.p50, curve.sure), ("0.000", PRICE, PRICE), strict=True):
        for n, value in enumerate(values):
            if form == PRICE:
                book.of_dollars("plans", row, at + n, value, form)
            else:
                book.number("plans", row, at + n, value, form)
    book.of_dollars("plans", row, first, curve.usd_per_hour, MONEY)
    rate, share = f"${letter(first)}${row + 1}*{changed}", f"${letter(first + 1)}${row + 1}"
    mine = ledger.storage_usd_per_s * HOUR_S
    formula = f"=IF({storage}+{rate}>0,{storage}/({storage}+{rate}),0)"
    book.formula("plans", row, first + 1, formula, "0.000", mine / (mine + curve.usd_per_hour))
    left = f"MIN(MATCH({share},{shares},1),{count - 1})"
    part = f"({share}-INDEX({shares},{left}))/(INDEX({shares},{left}+1)-INDEX({shares},{left}))"
    for name, places, price in zip(SPREAD, (p50, sure), (plan.usd_per_gpu_hour, plan.sure_price), strict=True):
        line = f"=INDEX({places},{left})+{part}*(INDEX({places},{left}+1)-INDEX({places},{left}))"
        book.formula("plans", row, PLAN_COLUMNS.index(name), line, PRICE, price)


def inputs(book: Book) -> None:
    """What a reader may change: the plan, its price, the start, limits, storage and egress."""
    w, sheet = book.words, book.sheets["inputs"]
    book.text("inputs", 0, 0, book.proposal.title, "bold", "title")
    book.text("inputs", 1, 0, w["hint"])
    book.heading("inputs", 3, w["run"])
    for key, number in book.rows["inputs"].items():
        book.text("inputs", number, 0, key.removeprefix("line ") if key not in w else w[key])
    for run, ledger in enumerate(book.runs):
        column = run + 1
        place = book.rows["inputs"]
        sheet.write_string(place["plan"], column, ledger.plans[0].label, book.format("", "input", "wrap"))
        choices = {"validate": "list", "source": "=" + book.range(run, "name")}
        sheet.data_validation(place["plan"], column, place["plan"], column, choices)
        book.number("inputs", place["price_change"], column, 0.0, PERCENT, "input")
        book.number("inputs", place["start"], column, serial(ledger.start), DATE, "input")
        book.number("inputs", place["confidence"], column, ledger.confidence, PERCENT)
        days = None if ledger.time_budget_s is None else ledger.time_budget_s / DAY_S
        book.number("inputs", place["time_limit"], column, days, HOURS, "input")  # empty: it does not count
        book.number("inputs", place["cost_limit"], column, ledger.cost_budget_usd, MONEY, "input")
        book.of_dollars("inputs", place["storage"], column, ledger.storage_usd_per_s * HOUR_S, "#,##0.0000", "input")
        book.of_dollars("inputs", place["egress"], column, ledger.egress_usd, MONEY, "input")
        for line in ledger.lines:
            value, form = (line.share, PERCENT) if line.share is not None else (line.cost_usd, MONEY)
            book.number("inputs", place[f"line {line.name}"], column, value, form, "input")
    if book.money.foreign:
        row = book.rows["inputs"]["rate"]
        book.text("inputs", row, 0, w["rate"].format(code=book.money.unit) + f" ({w['rate_text']})", "wrap")
        book.number("inputs", row, 1, book.money.per_usd, "0.000000", "input")
        sheet.set_row(row, 60)
    sheet.set_row(0, 24)
    sheet.set_column(0, 0, 34)
    sheet.set_column(1, max(len(book.runs), 1), 44)
    sheet.set_row(book.rows["inputs"]["plan"], 45)


def chosen_plan(book: Book) -> None:
    """The chosen plan of every run: hours, each part of the money, dates and limits, all as formulas."""
    w, sheet = book.words, book.sheets["proposal"]
    book.text("proposal", 0, 0, book.proposal.title, "bold", "title")
    book.text("proposal", 1, 0, book.proposal.words["ui_date"].format(date=book.proposal.day_text))
    book.heading("proposal", 3, w["run"])
    keys = (
        "plan", "offer", "kind", "gpus", "price", "price_used", "price_sure", "hours", "hours_sure", "work_hours",
        "own_hours", "waiting", "productive", "allocated", "paid", "paid_sure", "upfront",
    )  # fmt: skip
    ask_keys = (*(f"line {name}" for name in book.lines), "asked") if book.lines else ()
    ends = ("end", "end_sure", "keeps_time", "keeps_cost")
    for number, key in enumerate((*keys, *OF_SUMS, *ask_keys, *ends)):
        book.rows["proposal"][key] = 4 + number
        look = ("bold", "top") if key in ("total_p50", "total_sure", "asked") else ()
        book.text("proposal", 4 + number, 0, key.removeprefix("line ") if key not in w else w[key], *look)
    for run, ledger in enumerate(book.runs):
        _run_column(book, run, ledger, book.chosen[run])
    if len(book.runs) > 1:
        last = letter(len(book.runs))
        parts = [
            {key: getattr(total, name) for key, name in OF_SUMS.items()} | _ask_amounts(ledger, total)
            for ledger, total in zip(book.runs, book.chosen, strict=True)
        ]
        for key in (*OF_SUMS, *ask_keys):
            row = book.rows["proposal"][key]
            value = sum(each.get(key, 0.0) for each in parts)
            look = ("bold", "top") if key in ("total_p50", "total_sure", "asked") else ()
            book.formula("proposal", row, len(book.runs) + 1, f"=SUM(B{row + 1}:{last}{row + 1})", MONEY, value, *look)
    sheet.set_row(0, 24)
    sheet.set_column(0, 0, 42)
    sheet.set_column(1, len(book.runs) + 1, 44 if len(book.runs) == 1 else 30)
    for key in ("plan", "offer"):
        sheet.set_row(book.rows["proposal"][key], 45)
    sheet.freeze_panes(4, 1)


def _run_column(book: Book, run: int, ledger: Ledger, total: Sums) -> None:
    """One run's formulas, each with planner's value."""
    plan, column = ledger.plans[0], run + 1

    def at(key: str) -> str:
        return f"{letter(column)}{book.rows['proposal'][key] + 1}"

    def given(key: str) -> str:
        return book.at("inputs", key, run)

    def looked_up(name: str) -> str:
        # By the number that a label begins with: a search for the label would take its * and ? as wild cards.
        return f'INDEX({book.range(run, name)},VALUE(LEFT({given("plan")},FIND(".",{given("plan")})-1)))'

    def put(key: str, formula: str, form: str, value: float | str, *look: str) -> None:
        book.formula("proposal", book.rows["proposal"][key], column, "=" + formula, form, value, *look)

    put("plan", given("plan"), "", plan.label, "wrap")
    put("offer", looked_up("offer"), "", plan.offer, "wrap")
    put("kind", looked_up("kind"), "", plan.kind)
    put("gpus", looked_up("gpus"), NUMBER, plan.gpus)
    put("price", looked_up("price"), PRICE, plan.usd_per_gpu_hour)
    put("price_used", f"{at('price')}*(1+{given('price_change')})", PRICE, plan.usd_per_gpu_hour)
    sure_price = f"{looked_up('price_sure')}*(1+{given('price_change')})"
    put("price_sure", sure_price, PRICE, plan.sure_price)
    put("hours", f"{looked_up('p50')}/3600", HOURS, plan.time_p50_s / HOUR_S)
    put("hours_sure", f"{looked_up('sure')}/3600", HOURS, plan.time_confidence_s / HOUR_S)
    put("work_hours", f"{looked_up('work')}/3600", HOURS, plan.work_s / HOUR_S)
    put("own_hours", f"{looked_up('own')}/3600", HOURS, plan.own_s / HOUR_S)
    put("waiting", f"{looked_up('waiting')}/3600", HOURS, plan.waiting_s / HOUR_S)
    training = f"{looked_up('training')}*{at('work_hours')}"
    put("productive", training, NUMBER, plan.training_gpus * plan.work_s / HOUR_S)
    put("allocated", f"{at('gpus')}*{at('hours')}", NUMBER, plan.gpus * plan.time_p50_s / HOUR_S)
    put("paid", book.paid(at("hours"), looked_up), HOURS, total.paid_s / HOUR_S)
    put("paid_sure", book.paid(at("hours_sure"), looked_up), HOURS, total.paid_sure_s / HOUR_S)
    rate = f"{at('price_used')}*{at('gpus')}"
    put("upfront", f"{rate}*{looked_up('upfront')}*{looked_up('minimum')}/3600", MONEY, plan.upfront_usd)
    put("compute", f"{rate}*{at('work_hours')}", MONEY, total.compute)
    put("failures", f"{rate}*({at('own_hours')}-{at('work_hours')})", MONEY, total.failures)
    put("overhead", f"{rate}*({at('hours')}-{at('own_hours')})", MONEY, total.overhead)
    put("rounding", f"{rate}*({at('paid')}-{at('hours')})", MONEY, total.rounding)
    put("storage_usd", f"{given('storage')}*{at('hours')}", MONEY, total.storage)
    put("egress_usd", given("egress"), MONEY, total.egress)
    put("total_p50", f"SUM({at('compute')}:{at('egress_usd')})", MONEY, total.total, "bold", "top")
    put("reserve", f"{at('total_sure')}-{at('total_p50')}", MONEY, total.reserve)
    sure = f"{at('price_sure')}*{at('gpus')}*{at('paid_sure')}+{given('storage')}*{at('hours_sure')}+{given('egress')}"
    put("total_sure", sure, MONEY, total.total_sure, "bold", "top")
    amounts, first = _ask_amounts(ledger, total), at("total_sure")
    for line in ledger.lines:
        key = f"line {line.name}"
        above = [first, *(at(f"line {other.name}") for other in ledger.lines[: ledger.lines.index(line)])]
        value = given(key) if line.share is None else f"{given(key)}*({'+'.join(above)})"
        put(key, value, MONEY, amounts[key])
    if book.lines:
        parts = [first, *(at(f"line {line.name}") for line in ledger.lines)]
        put("asked", "+".join(parts), MONEY, amounts["asked"], "bold", "top")
    start = serial(ledger.start)
    ends = start + (plan.waiting_s + plan.time_p50_s) / DAY_S
    put("end", f"{given('start')}+({at('waiting')}+{at('hours')})/24", DATE, ends)
    put("end_sure", f"{given('start')}+({at('waiting')}+{at('hours_sure')})/24", DATE, start + plan.ends_sure_s / DAY_S)
    yes, no, none = (quoted(book.words[key]) for key in ("yes", "no", "no_limit"))
    days, most_days = f"({at('waiting')}+{at('hours_sure')})/24", ledger.time_budget_s and ledger.time_budget_s / DAY_S
    for key, limit, value, found, most in (
        ("keeps_time", "time_limit", days, plan.ends_sure_s / DAY_S, most_days),
        ("keeps_cost", "cost_limit", at("total_sure"), total.total_sure, ledger.cost_budget_usd),
    ):
        text = book.words["no_limit"] if most is None else book.words["yes" if found <= most else "no"]
        put(key, f'IF({given(limit)}="",{none},IF({value}<={given(limit)},{yes},{no}))', "", text, "right")


def _ask_amounts(ledger: Ledger, total: Sums) -> dict[str, float]:
    """What is asked for beside the run, by its row, and the whole."""
    out = {f"line {name}": amount for name, amount in added(ledger.lines, total.total_sure)}
    return out | {"asked": requested_usd(ledger.lines, total.total_sure)}
