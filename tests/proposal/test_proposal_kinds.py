"""Proposals of each way to pay: reserved machines, buying beside renting, hours of a grant."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from proposal_cases import DAY, PAID, proposal

from planner.report.proposal.ledger import days_in, next_month
from planner.report.proposal.locale import NBSP
from planner.report.proposal.markdown import markdown
from planner.report.proposal.model import Bullets, Explorer, Facts, Proposal, Table


def text_of(kind: str, language: str = "en") -> str:
    return markdown(proposal(kind, language)).replace(NBSP, " ")


def facts_of(document: Proposal) -> str:
    return " ".join(cell.text for b in document.sections[0].blocks if isinstance(b, Facts) for _, cell in b.rows)


def section(document: Proposal, name: str) -> list[object]:
    return list(next(part for part in document.sections if part.id.startswith(name)).blocks)


def test_a_run_that_waits_for_its_machines_is_ordered_first_and_starts_when_they_come():
    document = proposal("reserved")
    (table,) = (block for block in section(document, "schedule") if isinstance(block, Table))
    order, start, *_, end = table.rows
    assert [row[3].text for row in (order, start)] == ["24 Nov 2026", "8 Dec 2026"]
    plan = document.ledgers[0].plans[0]
    last = DAY + timedelta(seconds=plan.waiting_s + plan.time_p50_s)
    assert end[3].text == f"{last.day} {last:%b} {last.year}"
    assert "come 14 days later" in text_of("reserved")


@pytest.mark.parametrize("waiting", [0.0, 14.0, 40.5])
def test_days_of_a_run_fall_into_the_months_after_its_machines_came(waiting):
    months = [DAY.replace(day=1)]
    while len(months) < 6:
        months.append(next_month(months[-1]))
    days = [days_in(DAY, 50 * 86_400.0, a, next_month(a), waiting * 86_400.0) for a in months]
    assert sum(days) == pytest.approx(50.0)
    assert days[0] == pytest.approx(max(0.0, (date(2026, 12, 1) - DAY).days - waiting))


def test_term_upfront_and_kind_of_a_reserved_price_stand_in_ask_headline_and_tables():
    for language, kind, upfront in (("en", "reserved", "50 %"), ("zh", "预留", "50%")):
        document = proposal("reserved", language)
        lead = document.sections[0].blocks[0].text  # type: ignore[union-attr]
        assert kind in lead
        assert "30 days" in lead.replace(NBSP, " ") or "30 天" in lead.replace(NBSP, " ")
        assert upfront in facts_of(document).replace(NBSP, " ")
        for name in ("options", "frontier", "sensitivity"):
            tables = [block for block in section(document, name) if isinstance(block, Table)]
            assert kind in " ".join(cell.text for row in tables[0].rows for cell in row), name


def test_the_first_page_of_buy_or_rent_says_the_sum_the_use_and_the_months_whatever_is_asked_for():
    said = facts_of(proposal("buying")).replace(NBSP, " ")
    assert re.search(r"[\d,]{9} EUR for all 64 GPUs", said)
    assert re.search(r"on demand at [\d.]+ EUR buying pays from [\d.]+ % use, back in [\d.]+ months", said)
    assert "reserved" in said
    chinese = facts_of(proposal("buying", "zh")).replace(NBSP, " ")
    assert "合算" in chinese
    assert "欧元" in chinese
    assert "1 EUR = 1.08 USD（2026年11月20日，ECB reference rate）" in chinese


def test_what_takes_a_paragraph_stands_below_its_table_in_the_documents_language():
    for language, word in (("en", "cost of ownership"), ("zh", "拥有成本")):
        blocks = section(proposal("buying", language), "assumptions")
        prices = next(block for block in blocks if isinstance(block, Table))
        assert max(len(row[-1].text) for row in prices.rows) <= 103
        (below,) = (block for block in blocks if isinstance(block, Bullets))
        assert word in below.items[0]
    assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,} [a-z]{3,}", below.items[0])


def test_defaults_are_said_in_chinese():
    (table,) = (
        block
        for block in section(proposal("buying", "zh"), "assumptions")
        if isinstance(block, Table) and block.rows[0][0].text.startswith(("name", "model", "data", "training"))
    )
    taken = {row[0].text: row[1].text for row in table.rows}
    assert "自有机器" in taken["cluster.own_only"]
    assert "显存" in taken["layout"]
    assert taken["cluster.clouds"] == "任意"


def test_a_grant_is_told_in_hours_and_nothing_of_it_in_money():
    english, chinese = text_of("grant"), text_of("grant", "zh")
    for word in ("USD", "all prices", "more expensive", "Where the money goes", "Storage and Egress"):
        assert word not in english, word
    assert "Where the hours go" in english
    assert "机时去向" in chinese
    assert not re.search("美元|资金去向|贵 ", chinese)


def test_the_frontier_reaches_from_the_plan_to_the_fastest_that_can_be_signed():
    for kind in PAID:
        document = proposal(kind)
        (table,) = (block for block in section(document, "frontier") if isinstance(block, Table))
        shown = [row[2].value for row in table.rows] and [row[1].value for row in table.rows]
        options = next(block for block in section(document, "options") if isinstance(block, Table))
        fastest = next(row for row in options.rows if row[0].text.startswith("Fastest"))
        assert min(shown) <= fastest[2].value * 1.001, kind
        assert any(isinstance(block, Explorer) for block in section(document, "frontier"))
