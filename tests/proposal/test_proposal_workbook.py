"""The workbook: formulas come to planner's values when LibreOffice recalculates them, and no text is a formula."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from proposal_cases import EUR, HOSTILE, facts, program, proposal, recalculated, scenario, studied

from planner.report.proposal.ledger import sums
from planner.report.proposal.markdown import markdown
from planner.report.proposal.workbook import workbook
from planner.search.building import build
from planner.spec.scenario import Storage

openpyxl = pytest.importorskip("openpyxl")
office = pytest.mark.skipif(program("soffice", "libreoffice") is None, reason="LibreOffice is not installed")


def load(content: bytes, *, values: bool) -> Any:
    return openpyxl.load_workbook(io.BytesIO(content), data_only=values)


def cells(book: Any) -> dict[tuple[str, str], Any]:
    return {(sheet.title, cell.coordinate): cell for sheet in book for row in sheet.iter_rows() for cell in row}


def near(one: Any, other: Any) -> bool:
    if isinstance(one, datetime) and isinstance(other, datetime):
        return abs((one - other).total_seconds()) < 2
    if isinstance(one, int | float) and isinstance(other, int | float):
        return abs(one - other) < 0.005  # to the cent
    return one == other


@office
def test_a_recalculation_gives_planners_values_to_the_cent(tmp_path):
    content = workbook(proposal("plain+billed", "zh"))
    ours = cells(load(content, values=True))
    theirs = cells(openpyxl.load_workbook(recalculated(content, tmp_path), data_only=True))
    formulas = [key for key, cell in cells(load(content, values=False)).items() if cell.data_type == "f"]
    assert len(formulas) > 100
    for key in formulas:
        assert near(ours[key].value, theirs[key].value), (key, ours[key].value, theirs[key].value)


@office
def test_a_workbook_in_euros_is_recalculated_to_the_cent_and_has_one_cell_for_the_rate(tmp_path):
    document = proposal("euros")
    content, words = workbook(document), document.words
    ours = cells(load(content, values=True))
    theirs = cells(openpyxl.load_workbook(recalculated(content, tmp_path), data_only=True))
    formulas = {key: cell.value for key, cell in cells(load(content, values=False)).items() if cell.data_type == "f"}
    assert len(formulas) > 100
    for key in formulas:
        assert near(ours[key].value, theirs[key].value), (key, ours[key].value, theirs[key].value)
    rate = words["ui_x_rate"].format(code="EUR")
    labelled = [key for key, cell in ours.items() if str(cell.value).startswith(rate)]
    assert len(labelled) == 1
    assert "1 EUR = 1.08 USD of 2026-11-20 (ECB reference rate)" in ours[labelled[0]].value
    stated = [key for key, cell in ours.items() if cell.value == EUR.per_usd and key not in formulas]
    assert len(stated) == 1
    assert sum(f"$B${stated[0][1][1:]}" in str(value) for value in formulas.values()) >= 2


@office
def test_another_rate_changes_every_price_and_total_of_a_workbook_in_euros(tmp_path):
    document = proposal("euros")
    words, content = document.words, workbook(document)
    book = load(content, values=False)
    sheet = book[words["ui_x_inputs"]]
    rows = {str(sheet.cell(row, 1).value): row for row in range(1, sheet.max_row + 1)}
    row = next(row for text, row in rows.items() if text.startswith(words["ui_x_rate"].format(code="EUR")))
    sheet.cell(row, 2).value = 2 * EUR.per_usd
    buffer = io.BytesIO()
    book.save(buffer)
    made = openpyxl.load_workbook(recalculated(buffer.getvalue(), tmp_path), data_only=True)
    found, before = (
        {row[0].value: row[1].value for row in each[words["ui_x_proposal"]].iter_rows(min_row=4)}
        for each in (made, load(content, values=True))
    )
    for key in ("price", "compute", "storage_usd", "egress_usd", "total_p50", "total_sure"):
        assert found[words[f"ui_x_{key}"]] == pytest.approx(2 * before[words[f"ui_x_{key}"]]), key


def test_the_lines_beside_the_run_add_up_to_what_is_asked_for():
    document = proposal("euros")
    ledger, words = document.ledgers[0], document.words
    sheet = load(workbook(document), values=True)[words["ui_x_proposal"]]
    found = {row[0].value: row[1].value for row in sheet.iter_rows(min_row=4)}
    run = found[words["ui_x_total_sure"]]
    assert found["Two engineers"] == pytest.approx(40_000)
    assert found["Contingency"] == pytest.approx(0.1 * (run + 40_000))
    assert found["VAT"] == pytest.approx(0.19 * 1.1 * (run + 40_000))
    assert found[words["ui_x_asked"]] == pytest.approx(1.19 * 1.1 * (run + 40_000)) == pytest.approx(ledger.requested)


def test_a_proposal_in_euros_names_no_dollar_but_in_its_rate():
    rate_in = {"en": "1 EUR = 1.08 USD of 2026-11-20", "zh": "1 EUR = 1.08 USD（2026年11月20日"}
    for language, dollar, euro in (("en", "USD", "EUR"), ("zh", "美元", "欧元")):
        text, rate = markdown(proposal("euros", language)), rate_in[language]
        assert rate in text
        lines = [line for line in text.splitlines() if rate not in line]
        assert not [line for line in lines if dollar in line and "planner propose" not in line]
        assert any(euro in line for line in lines)
    dollars, euros = proposal("billed").ledgers[0], proposal("euros").ledgers[0]
    assert euros.plans[0].cost_p50_usd * 1.08 == pytest.approx(dollars.plans[0].cost_p50_usd)


@office
def test_another_plan_and_price_give_what_planner_says(tmp_path):
    document = proposal("billed")
    ledger, words = document.ledgers[0], document.words
    book = load(workbook(document), values=False)
    sheet = book[words["ui_x_inputs"]]
    rows = {sheet.cell(row, 1).value: row for row in range(1, sheet.max_row + 1)}
    chosen = ledger.plans[-1]
    sheet.cell(rows[words["ui_x_plan"]], 2).value = chosen.label
    sheet.cell(rows[words["ui_x_price_change"]], 2).value = 0.25
    buffer = io.BytesIO()
    book.save(buffer)
    made = openpyxl.load_workbook(recalculated(buffer.getvalue(), tmp_path), data_only=True)
    found = {row[0].value: row[1].value for row in made[words["ui_x_proposal"]].iter_rows(min_row=4)}
    expected = sums(ledger, chosen, 1.25)
    for key, value in (
        ("compute", expected.compute),
        ("failures", expected.failures),
        ("overhead", expected.overhead),
        ("rounding", expected.rounding),
        ("storage_usd", expected.storage),
        ("egress_usd", expected.egress),
        ("total_p50", expected.total),
        ("reserve", expected.reserve),
        ("total_sure", expected.total_sure),
    ):
        assert found[words[f"ui_x_{key}"]] == pytest.approx(value, abs=0.005), key
    cash = made[words["ui_x_cash"]]
    totals = [row for row in cash.iter_rows(values_only=True) if row[0] == words["ui_x_total"]]
    assert totals[0][4] == pytest.approx(expected.total_sure, abs=0.005)


@office
@pytest.mark.parametrize(("price", "storage"), [(0.4, None), (-0.5, None), (0.0, 0.0), (0.2, 60.0)])
def test_the_price_of_a_spot_plan_follows_storage_and_all_prices(price, storage, tmp_path):
    document = proposal("spot")
    words, choice = document.words, studied("spot").best(studied("spot").terms)
    book = load(workbook(document), values=False)
    sheet = book[words["ui_x_inputs"]]
    rows = {sheet.cell(row, 1).value: row for row in range(1, sheet.max_row + 1)}
    sheet.cell(rows[words["ui_x_price_change"]], 2).value = price
    asked = scenario("spot")
    if storage is not None:
        sheet.cell(rows[words["ui_x_storage"]], 2).value = storage
        asked = replace(asked, storage=Storage(storage * 1e9, 720.0))  # an hour; a month has 720
    buffer = io.BytesIO()
    book.save(buffer)
    made = openpyxl.load_workbook(recalculated(buffer.getvalue(), tmp_path), data_only=True)
    found = {row[0].value: row[1].value for row in made[words["ui_x_proposal"]].iter_rows(min_row=4)}
    p = build(asked, *facts())
    cell, offer = np.array([choice.cell]), np.array([choice.offer])
    seconds = studied("spot").state.best.seconds[cell]
    for key, level in (("total_p50", 0.5), ("total_sure", 0.8)):
        usd = p.cost_usd(level, p.space.rates(offer, cell, 1.0 + price), seconds, cell)[0]
        assert found[words[f"ui_x_{key}"]] == pytest.approx(usd, rel=1e-4), key


def test_the_values_in_the_file_are_planners():
    for kind in ("plain", "billed"):
        document = proposal(kind)
        ledger = document.ledgers[0]
        for row in ledger.plans:
            found = sums(ledger, row)
            assert found.total == pytest.approx(row.cost_p50_usd, abs=0.005)
            assert found.total_sure == pytest.approx(row.cost_confidence_usd, abs=0.005)


def test_the_workbook_has_productive_and_allocated_gpu_hours_as_formulas():
    document = proposal("plain")
    plan, words = document.ledgers[0].plans[0], document.words
    for values in (True, False):
        sheet = load(workbook(document), values=values)[words["ui_x_proposal"]]
        found = {row[0].value: row[1].value for row in sheet.iter_rows(min_row=4)}
        shown = [found[words[f"ui_x_{key}"]] for key in ("productive", "allocated")]
        if values:
            assert shown[0] == pytest.approx(plan.training_gpus * plan.work_s / 3600)
            assert shown[1] == pytest.approx(plan.gpus * plan.time_p50_s / 3600)
        else:
            assert all(str(formula).startswith("=") for formula in shown)


def test_no_name_becomes_a_formula_or_a_link():
    content = workbook(proposal("hostile"))
    for cell in cells(load(content, values=False)).values():
        if cell.data_type == "f":
            assert "script" not in str(cell.value)
            assert "cmd" not in str(cell.value)
        assert cell.hyperlink is None
    texts = [cell.value for cell in cells(load(content, values=True)).values() if isinstance(cell.value, str)]
    assert HOSTILE in texts


def test_the_plan_is_chosen_from_a_list_of_all_plans():
    document = proposal()
    sheet = load(workbook(document), values=False)[document.words["ui_x_inputs"]]
    (rule,) = sheet.data_validations.dataValidation
    assert rule.type == "list"
    count = len(document.ledgers[0].plans)
    first, last = (int(part.rsplit("$", 1)[1]) for part in rule.formula1.split(":"))
    assert last - first + 1 == count > 5
    assert [plan.label.split(".")[0] for plan in document.ledgers[0].plans] == [str(n + 1) for n in range(count)]


def test_the_file_holds_no_clock():
    with zipfile.ZipFile(io.BytesIO(workbook(proposal()))) as book:
        assert {entry.date_time for entry in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = book.read("docProps/core.xml").decode()
    assert "2026-11-24T00:00:00Z" in core


@office
def test_a_run_on_reserved_machines_spends_its_months_from_the_day_they_come(tmp_path):
    document = proposal("reserved")
    content, words = workbook(document), document.words
    made = openpyxl.load_workbook(recalculated(content, tmp_path), data_only=True)[words["ui_x_cash"]]
    ours = load(content, values=True)[words["ui_x_cash"]]
    rows = [row for row in made.iter_rows(min_row=3, values_only=True) if row[0] is not None]
    for row, mine in zip(rows, ours.iter_rows(min_row=3, values_only=True), strict=False):
        assert row[1:5] == pytest.approx(mine[1:5], abs=0.005)
    plan = document.ledgers[0].plans[0]
    assert plan.waiting_s == 14 * 86_400.0
    months = rows[:-1]
    assert months[0][1] == 0.0  # ordered on 24 November, there on 8 December
    assert months[0][2] == pytest.approx(plan.upfront_usd)
    assert sum(row[1] for row in months) == pytest.approx(plan.time_p50_s / 86_400.0)
    assert sum(row[2] for row in months) == pytest.approx(plan.cost_p50_usd)
