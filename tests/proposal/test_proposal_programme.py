"""The proposal of a programme: one content in every format and both languages, and an annex whose figures add up."""

from __future__ import annotations

import io
from functools import cache
from typing import Any

import openpyxl
import pytest
from programme_cases import programme, stage

import planner
from planner.report.proposal.model import Table

GIVEN = programme(
    stage("ablations", "10B tokens", copies=2),
    stage("main", "300B tokens", after="ablations", inherits="none"),
    stage("anneal", inherits=["checkpoint", "optimizer"]),
    ask=[{"name": "VAT", "share": 0.19}],
)


@cache
def proposed(language: str) -> Any:
    return planner.propose(GIVEN, date="2026-11-29", lang=language)


@pytest.fixture(params=["en", "zh"])
def made(request: pytest.FixtureRequest) -> Any:
    return proposed(request.param)


def tables(made: Any, section: str) -> list[Table]:
    (found,) = (each for each in made.proposal.sections if each.id == section)
    return [block for block in found.blocks if isinstance(block, Table)]


def test_every_format_is_written_and_the_same_inputs_give_the_same_bytes(made: Any) -> None:
    assert set(made.files) == {f"proposal.{kind}" for kind in ("html", "pdf", "xlsx", "md")}
    again = planner.propose(GIVEN, date="2026-11-29", lang=made.proposal.language)
    assert again.files == made.files


def test_the_ask_is_the_median_a_contingency_and_what_stands_beside(made: Any) -> None:
    (asked,) = made.proposal.requests
    assert asked["asked"] == pytest.approx(asked["cost_usd"] * 1.19)
    answer = planner.optimize_programme(GIVEN)
    assert answer.ask is not None
    assert asked["cost_usd"] == pytest.approx(answer.ask.expected_usd + answer.ask.contingency_usd)


def test_the_annex_adds_up_and_says_of_every_figure_where_it_comes_from(made: Any) -> None:
    hours, scaling, storage, traced = tables(made, "annex")
    *stages, total = hours.rows
    for column in (5, 6):
        assert total[column].value == pytest.approx(sum(row[column].value or 0.0 for row in stages))
    assert len(storage.rows) == 3
    assert {row[0].text for row in scaling.rows} == {"ablations"}  # the others run alike, which is told once
    assert len(scaling.emphasis) >= 2
    assert all(row[-1].text for row in traced.rows)


def test_cash_flow_adds_up_to_what_the_budget_counts(made: Any) -> None:
    money, months, weeks = tables(made, "money")
    for table in (months, weeks):
        assert table.rows[-1][1].value == pytest.approx(sum(row[1].value or 0.0 for row in table.rows[:-1]))
    assert months.rows[-1][1].value == pytest.approx(sum(row[4].value or 0.0 for row in money.rows[:3]))


def test_the_workbook_has_the_calendar_and_sums_as_formulas(made: Any) -> None:
    book = openpyxl.load_workbook(io.BytesIO(made.files["proposal.xlsx"]))
    assert len(book.sheetnames) == 8
    gantt = book[book.sheetnames[1]]
    full = [cell for row in gantt.iter_rows(min_row=4) for cell in row if cell.fill.start_color.rgb == "FF0072B2"]
    assert len(full) == sum(each.days for each in planner.optimize_programme(GIVEN).stages)
    formulas = [c.value for s in book for row in s.iter_rows() for c in row if str(c.value).startswith("=SUM")]
    assert len(formulas) >= 3


def test_the_page_runs_no_script_on_what_is_not_there_and_names_every_stage(made: Any) -> None:
    html = made.files["proposal.html"].decode()
    assert '"runs":[]' in html
    assert all(name in html for name in ("ablations", "main", "anneal"))


def test_an_infeasible_programme_is_refused_with_what_would_do() -> None:
    with pytest.raises(planner.InfeasibleError, match=r"budget\.cost"):
        planner.propose(GIVEN | {"budget": {"time": "60 days", "cost": "100 USD"}}, date="2026-11-29")
