"""What a terminal shows in Chinese: no English sentence, no line beyond the page, lines that break where they may."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plan_json import OPTIMIZATION
from test_report_terminal import INFEASIBLE

from planner.money import GPU_HOURS, Money, written_in
from planner.report.figures import money_text, time_text
from planner.report.layout import Page, bullets, columns, display_width, hanging, heads, wrap
from planner.report.terminal import optimization_table
from planner.words import say, speak, worded

SCENARIO = "scenarios/smallest.yaml"
ENGLISH = re.compile(r"\b[A-Za-z][a-z]+ [a-z]{2,} [a-z]{2,}\b")  # three words in a row
CLOSING = "，。；：！？、）”》」"
COMMANDS = (
    ("optimize", SCENARIO, "--full"),
    ("optimize", "scenarios/impossible.yaml"),
    ("explain", SCENARIO),
    ("compare", SCENARIO, "scenarios/impossible.yaml"),
    ("simulate", SCENARIO, "--worlds", "2000"),
    ("sweep", SCENARIO, "--over", "budget.time=1h,30d", "--jobs", "1"),
    ("predict", "scenarios/candidates.csv"),
    ("validate", "catalogs/measured/vtrain.csv"),
    ("catalog", "check"),
    ("probe", SCENARIO),
)


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
def test_a_chinese_screen_holds_no_english_sentence(planner, command):
    shown = planner("--lang", "zh", *command).out
    assert re.search("[\u4e00-\u9fff]", shown)
    named = re.sub(r"`[^`]*`|GPT-NeoX-20B overnight|\w+ et al\.", "", shown)
    assert not ENGLISH.findall(named)
    assert not [line for line in shown.splitlines() if display_width(line) > 80]
    assert not [line for line in shown.splitlines() if line.strip()[:1] in CLOSING and line.strip()]


@pytest.mark.parametrize("answer", [OPTIMIZATION, INFEASIBLE], ids=["optimal", "infeasible"])
@pytest.mark.parametrize("width", [60, 80, 120])
def test_no_chinese_line_is_wider_than_the_terminal(answer, width):
    with speak("zh"):
        text = optimization_table(answer, today=date(2026, 11, 24), width=width, full=True)
    assert not [line for line in text.splitlines() if display_width(line) > width]


def test_chinese_breaks_between_ideographs_but_not_before_what_closes_or_behind_what_opens():
    text = "时间上限（14 天）排除了更便宜的方案：若无此限，`planner optimize` 可用 2 小时完成。"
    lines = wrap(text, 12)
    assert max(map(display_width, lines)) <= 12
    assert not any(line[0] in CLOSING or line[-1] in "（“" for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert wrap("全局批量", 4) == ["全局", "批量"]
    assert wrap("（甲）。", 4) == ["（甲", "）。"]  # where nothing else fits, as in any long word


@given(st.text("ab甲乙（）。，% ", max_size=40), st.integers(4, 30))
def test_wrapping_keeps_every_letter_and_the_width(text, width):
    lines = wrap(text, width)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert max(map(display_width, lines)) <= width


def test_what_is_drawn_is_worded_in_the_language_that_is_shown():
    said, page = say("risk.sources", sources=["a"]), Page(80)
    with speak("zh"):
        chinese = worded(said)
        assert heads("time", "") == ["时间", ""]
        assert chinese in bullets([said], page)[0]
        assert chinese in hanging("x", said, page)[0]
        assert chinese in columns([(said, "x")], "ll", page, header=False)[0]
        drawn = columns([heads("time", "cost"), ["1", "2"]], "ll", page)
        assert [display_width(line) for line in drawn] == [12, 9]
    assert str(said) in bullets([said], page)[0]


def test_amounts_are_scaled_as_the_language_does():
    amounts = [time_text(86400.0), time_text(1.2e6), money_text(999.0), money_text(65_100.0), money_text(1.3e9)]
    assert amounts == ["1 day", "13.9 days", "999 USD", "65.1 k USD", "1,300 M USD"]
    assert [worded(each, "zh") for each in amounts] == ["1 天", "13.9 天", "999 美元", "6.51 万美元", "13 亿美元"]
    with written_in(Money(GPU_HOURS)):
        assert worded(money_text(65_100.0), "zh") == "6.51 万 GPU 小时"
