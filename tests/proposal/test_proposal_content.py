"""One content for every format: it adds up, it is optimize's, it is whole in both languages."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from proposal_cases import COMMAND, DAY, HOSTILE, ROOT, facts, outcome, proposal, scenario
from words_cases import sentences as sentences_of

from planner.catalog.risk_facts import load_risk_facts
from planner.files import write_all
from planner.report.layout import clean, display_width
from planner.report.proposal.content import build_proposal
from planner.report.proposal.ledger import sums
from planner.report.proposal.locale import locale
from planner.report.proposal.markdown import escaped, markdown
from planner.report.proposal.model import Bullets, Facts, Figure, Paragraph, Proposal, Section, Table
from planner.report.proposal.page import page
from planner.report.proposal.plain import WIDTH, plain
from planner.report.proposal.writing import formats_of
from planner.results.plan import Quantiles
from planner.units import PlannerError
from planner.words import worded

ENGLISH, CHINESE = sentences_of("en"), sentences_of("zh")


def section(document: Proposal, name: str) -> Section:
    return next(s for s in document.sections if s.id == f"{name}-0")


def tables(document: Proposal, name: str) -> list[Table]:
    return [block for block in section(document, name).blocks if isinstance(block, Table)]


@pytest.mark.parametrize("kind", ["plain", "billed"])
def test_where_the_money_goes_adds_up_to_what_is_asked(kind):
    table = tables(proposal(kind), "money")[0]
    *parts, total = [row[1].value for row in table.rows]
    assert sum(parts) == pytest.approx(total, abs=0.01)
    assert sums(proposal(kind).ledgers[0], proposal(kind).ledgers[0].plans[0]).total_sure == pytest.approx(total)
    labels = [row[0].text for row in table.rows]
    assert (ENGLISH["money_storage"] in labels) == (kind == "billed")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_allocated_gpu_hours_are_productive_ones_and_what_lies_between(language):
    document, hours = proposal(language=language), outcome().plan.gpu_hours
    sentences = {"en": ENGLISH, "zh": CHINESE}[language]
    table = tables(document, "money")[1]
    found = {row[0].text: row[1].value for row in table.rows}
    assert found[sentences["hours_productive"]] == round(hours.productive)
    assert found[sentences["hours_overhead"]] == round(hours.overhead) > 0
    *parts, allocated = (row[1].value for row in table.rows)
    assert allocated == round(hours.allocated)
    assert sum(parts) == pytest.approx(allocated, abs=3)  # each is rounded
    said = " ".join(b.text for b in section(document, "money").blocks if isinstance(b, Paragraph))
    assert "llama3-405b" in said
    assert ("published runs" in said) == (language == "en")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_part_of_the_sum_has_its_name_cut_short_in_the_chart(language):
    written = page(proposal(language=language))
    sentences = {"en": ENGLISH, "zh": CHINESE}[language]
    for part in ("compute", "failures", "overhead", "reserve"):
        assert f">{sentences[f'money_{part}']}</text>" in written


def test_the_plan_is_what_optimize_answers():
    document, plan = proposal(), outcome().plan
    (table,) = tables(document, "plan")
    time, cost = table.rows
    assert [cell.value for cell in time[1:3]] == [plan.time_s.p10, plan.time_s.p50]
    assert [cell.value for cell in cost[1:3]] == [plan.cost_usd.p10, plan.cost_usd.p50]
    assert (time[-1].value, cost[-1].value) == (plan.p_within_time, plan.p_within_cost)
    lead = next(b for b in section(document, "ask").blocks if isinstance(b, Paragraph))
    assert f"{cost[3].value:,.0f}" in lead.text
    assert "80\u00a0%" in lead.text


def test_the_probability_of_what_is_asked_is_the_confidence():
    document, plan = proposal(), outcome().plan
    row = document.ledgers[0].plans[0]
    assert plan.time_s.p50 < row.time_confidence_s < plan.time_s.p90
    assert row.cost_confidence_usd == pytest.approx(row.gpus * row.usd_per_gpu_hour * row.time_confidence_s / 3600)


def test_a_chinese_document_has_the_same_parts_and_no_english_sentences_of_its_own():
    english, chinese = proposal(), proposal(language="zh")
    assert [s.id for s in english.sections] == [s.id for s in chinese.sections]
    for one, other in zip(english.sections, chinese.sections, strict=True):
        assert [type(block) for block in one.blocks] == [type(block) for block in other.blocks]
    for part in chinese.sections:
        for block in part.blocks:
            if isinstance(block, Paragraph):
                assert re.search("[一-鿿]", block.text), block.text
    assert "万美元" in locale("zh").money_short(84_719)


def test_digests_and_the_command_stand_at_the_end():
    values = [value for _, value in proposal().colophon]
    assert {outcome().provenance.scenario_digest, outcome().provenance.catalog_digest, COMMAND} <= set(values)


def test_every_figure_says_in_words_what_it_shows():
    for part in proposal().sections:
        for block in part.blocks:
            if isinstance(block, Figure):
                assert block.caption
                assert re.search(r"\d", block.description)
                assert block.picture.svg().startswith("<svg")


def test_dates_follow_the_scenarios_start_or_are_said_to_be_assumed():
    facts = next(b for b in section(proposal(), "ask").blocks if isinstance(b, Facts))
    assert any("assumed" in cell.text for _, cell in facts.rows)
    assert scenario().budget.start is None


def test_several_runs_are_added_up():
    both = proposal("plain+billed")
    asked = sum(ledger.plans[0].cost_confidence_usd for ledger in both.ledgers)
    table = next(block for block in both.sections[0].blocks if isinstance(block, Table))
    assert table.rows[-1][3].value == pytest.approx(asked)
    assert len(both.explorers) == 2


def test_markdown_shows_hostile_names_as_text():
    text = markdown(proposal("hostile"))
    outside_code = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", re.sub(r"\\`", "", text))
    assert "script" in outside_code
    assert not re.search(r"(?<!\\)<script", outside_code)
    for line in text.splitlines():
        if line.startswith("| ") and "pass" not in line:
            assert len(re.findall(r"(?<!\\)\|", line)) >= 3
    assert escaped("1. a") == "1\\. a"
    assert escaped("# a\n- b") == "\\# a - b"
    assert escaped("- a") == "\\- a"
    assert HOSTILE.split()[0] in text


def test_markdown_tables_have_as_many_cells_in_every_row():
    widths = []
    for line in markdown(proposal("hostile")).splitlines():
        if line.startswith("|"):
            widths.append(len(re.findall(r"(?<!\\)\|", line)))
        elif widths:
            assert len(set(widths)) == 1
            widths = []


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("kind", ["plain", "several", "hostile"])
def test_plain_text_says_all_that_the_document_says_within_its_width(kind, language):
    document = proposal(kind, language)
    text = plain(document)
    assert all(display_width(line) <= WIDTH and line == line.rstrip() for line in text.splitlines())
    seen = re.sub(r"\s", "", text)
    for part in document.sections:
        for block in part.blocks:
            whole = [block.text] if isinstance(block, Paragraph) else []
            whole += block.items if isinstance(block, Bullets) else []
            whole += [cell.text for _, cell in block.rows] if isinstance(block, Facts) else []
            assert all(re.sub(r"\s", "", clean(said)) in seen for said in whole)
            cells = [cell.text for row in block.rows for cell in row] if isinstance(block, Table) else []
            assert {char for said in cells for char in clean(said)} <= {*text, " "}


def test_formats_are_checked_before_anything_is_done():
    assert formats_of("pdf, HTML,pdf") == ("pdf", "html")
    with pytest.raises(PlannerError, match="html, pdf, xlsx, md, txt"):
        formats_of("docx")


def test_all_formats_are_written_or_none(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "b").mkdir()
    (tmp_path / "out" / "a").write_text("old")
    with pytest.raises(PlannerError, match="cannot write"):
        write_all(tmp_path / "out", {"a": b"new", "b": b"new"})
    assert (tmp_path / "out" / "a").read_text() == "old"
    assert write_all(tmp_path / "new" / "er", {"a": b"1"})[0].read_bytes() == b"1"


def test_the_command_writes_every_format(planner, tmp_path):
    arguments = [ROOT / "scenarios/neox20b.yaml", "--set", "cluster.clouds=[nebius]", "--set", "cluster.max_gpus=96"]
    ran = planner("propose", *arguments, "--date", "2026-11-24", "-o", tmp_path / "p", "--lang", "zh", "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["asks"][0]["confidence"] == 0.8
    for file in told["files"]:
        assert hashlib.sha256(Path(file["path"]).read_bytes()).hexdigest() == file["sha256"]
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == [
        f"proposal.{x}" for x in ("html", "md", "pdf", "xlsx")
    ]
    page = (tmp_path / "p" / "proposal.html").read_text()
    assert str(tmp_path) not in page
    assert json.loads(re.search(r'id="plans">(.*?)</script>', page, re.DOTALL)[1])["language"] == "zh"


def test_an_infeasible_scenario_writes_nothing(planner, tmp_path):
    small = ["--set", "cluster.clouds=[nebius]", "--set", "cluster.max_gpus=16", "--set", "budget.cost=900 USD"]
    ran = planner("propose", ROOT / "scenarios/neox20b.yaml", *small, "-o", tmp_path / "p")
    assert (ran.code, (tmp_path / "p").exists()) == (3, False)
    assert "infeasible" in ran.err


def test_a_wrong_language_or_format_is_a_sentence(planner, tmp_path):
    for extra in (["--lang", "fr"], ["--format", "docx"]):
        ran = planner("propose", ROOT / "scenarios/neox20b.yaml", "-o", tmp_path, *extra)
        assert ran.code == 2
        assert "Traceback" not in ran.err


def texts(document: Proposal) -> Iterator[str]:
    """Every text that a reader of the document sees."""
    for part in document.sections:
        yield part.title
        for block in part.blocks:
            if isinstance(block, Paragraph):
                yield block.text
            elif isinstance(block, Bullets):
                yield from block.items
            elif isinstance(block, Facts):
                yield from (text for label, cell in block.rows for text in (label, cell.text))
            elif isinstance(block, Table):
                yield from (block.caption, *block.header)
                yield from (cell.text for row in block.rows for cell in row)
            elif isinstance(block, Figure):
                yield from (block.caption, *(label.text for label in block.picture.labels))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_sentences_name_offers_as_people_do_and_no_placeholder_stands_for_a_region(language):
    document = proposal(language=language)
    said = [text for text in texts(document) if not re.fullmatch(r"\S+/.+/\S+", text)]  # the table of prices has ids
    for text in said:
        assert not re.search(r"/(all|on_demand)\b|\bin all\b|在 all|h100-sxm5-80gb", text.split("{")[0]), text
    assert any("crusoe" in text and "H100-SXM-80GB" in text for text in said)


def test_a_chinese_document_has_no_english_sentence():
    for text in texts(proposal(language="zh")):
        rest = text.replace(scenario().name, "").replace(scenario().model.name, "")
        assert not re.search(r"[a-z]{2,} [a-z]{2,} [a-z]{2,}", rest), text


def test_what_the_market_takes_is_sourced_in_chinese():
    for row in load_risk_facts().rates:
        if row.cause == "preemption":
            assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", worded(row.source, "zh")), row.source


def test_the_fastest_option_says_where_nobody_knows_of_its_machines():
    table = tables(proposal(), "options")[0]
    rows = {row[0].text: row for row in table.rows}
    fastest = next(row for label, row in rows.items() if label.startswith(ENGLISH["option_fastest"]))
    assert ENGLISH["option_fastest_if"] in fastest[0].text
    assert "is not known" in fastest[-1].text


def test_the_plan_under_stress_is_told_with_the_reserve_that_stands_it():
    for language, words in (("en", ENGLISH), ("zh", CHINESE)):
        document = proposal(language=language)
        table = next(t for t in tables(document, "sensitivity") if t.caption == words["stress_caption"])
        assert [row[0].text for row in table.rows] == [
            words[f"stress_{k}"] for k in ("slower", "failures", "ramp", "all")
        ]
        kept = [row[4].value for row in table.rows]
        reserve = [row[5].value for row in table.rows]
        assert kept[-1] == min(kept)
        assert reserve[-1] == max(reserve) > 0
        assert any(words["stress_bursts"] in text for text in texts(document))
        assert any("planner" in text and "80" in text for text in texts(document))  # the backtest's sentence


def test_a_plan_that_costs_nothing_is_no_budget_proposal():
    free = replace(outcome().plan, cost_usd=Quantiles(0.0, 0.0, 0.0))
    with pytest.raises(PlannerError, match="usd_per_gpu_hour"):
        build_proposal([scenario()], [replace(outcome(), plan=free)], *facts(), day=DAY)
