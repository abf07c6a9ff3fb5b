"""Quantities in the documents' languages: names, plurals, dates and lists are the Unicode locale data's."""

from __future__ import annotations

from datetime import date

import pytest
from words_cases import another_language

from planner.money import CURRENCIES, GPU_HOURS, NODE_HOURS, USD, Money, written_in
from planner.report.figures import rate_text
from planner.report.proposal.locale import NBSP, Locale, locale

DAY = date(2026, 11, 24)


def said(language: str, unit: Money = USD) -> Locale:
    with written_in(unit):
        return locale(language)


def plain(text: str) -> str:
    return text.replace(NBSP, " ")


@pytest.mark.parametrize(
    ("language", "usd", "shown"),
    [
        ("en", 67_364.6, "67.4k USD"),
        ("en", 1.234e9, "1.23B USD"),
        ("en", 9_999.9, "10,000 USD"),
        ("zh", 67_364.6, "6.74 万美元"),
        ("zh", 84_719_000.0, "8,472 万美元"),
        ("zh", 1.234e9, "12.3 亿美元"),
        ("zh", 9_999.4, "9,999 美元"),
    ],
)
def test_short_amounts_are_of_the_languages_sizes(language, usd, shown):
    assert plain(said(language).money_short(usd)) == shown


@pytest.mark.parametrize(
    ("language", "number", "shown"),
    [
        ("en", 256_123_456_789, "256.1 billion"),
        ("en", 999_999_999, "1 billion"),
        ("en", 123_456, "123,456"),
        ("zh", 256_123_456_789, "2,561 亿"),
        ("zh", 2.4e12, "2.4 万亿"),
        ("zh", 9_999, "9,999"),
    ],
)
def test_large_counts_have_four_digits_and_a_word(language, number, shown):
    assert plain(said(language).big(number)) == shown


def test_one_day_is_no_plural():
    assert [plain(said("en").time(days * 86_400.0)) for days in (1, 1.5, 11.9)] == ["1 day", "1.5 days", "11.9 days"]
    assert [plain(said("zh").time(days * 86_400.0)) for days in (1, 11.9)] == ["1 天", "11.9 天"]


def test_dates_and_lists_are_each_languages_own():
    english, chinese = said("en"), said("zh")
    assert [english.date(DAY), english.short_date(DAY), english.month(DAY)] == [
        "24 November 2026",
        "24 Nov 2026",
        "November 2026",
    ]
    written = [chinese.date(DAY), chinese.short_date(DAY), chinese.month(DAY)]
    assert written == ["2026年11月24日", "2026-11-24", "2026年11月"]
    assert [english.listed(list("abc")), chinese.listed(["甲", "乙", "丙"])] == ["a, b and c", "甲、乙和丙"]
    assert [english.listed([]), english.listed(["a"])] == ["", "a"]


def test_the_word_between_two_has_gaps_beside_letters_and_none_between_ideographs():
    chinese = said("zh")
    assert [chinese.listed(["aws", "gcp"]), chinese.listed(["甲", "gcp"])] == ["aws 和 gcp", "甲和 gcp"]
    assert [chinese.listed(["甲", "乙"], how) for how in ("or", "commas", "semicolons")] == [
        "甲或乙",
        "甲、乙",
        "甲；乙",
    ]
    assert said("en").listed(["甲", "乙"]) == "甲 and 乙"


def test_another_language_has_its_own_units_and_sizes_and_the_same_figures(tmp_path, monkeypatch):
    with another_language(tmp_path, monkeypatch, cldr="fr", currency="name", sizes="1e3 k, 1e6 M, 1e9 Md") as code:
        french = said(code, Money("CHF", 1.0))
        assert [plain(french.time(days * 86_400.0)) for days in (1, 1.5, 11.9)] == ["1 jour", "1.5 jour", "11.9 jours"]
        assert plain(french.big(256_123_456_789)) == "256.1 milliards"
        assert [french.date(DAY), french.month(DAY)] == ["24 novembre 2026", "novembre 2026"]
        assert plain(french.money_short(1.234e9)) == "1.23Md franc suisse"


@pytest.mark.parametrize(
    ("stated", "english", "chinese"),
    [
        ({}, "", ""),
        ({"source": "ECB"}, " (ECB)", "（ECB）"),
        ({"as_of": DAY}, " of 2026-11-24", "（2026年11月24日）"),
        ({"as_of": DAY, "source": "ECB"}, " of 2026-11-24 (ECB)", "（2026年11月24日，ECB）"),
    ],
)
def test_a_rate_says_its_day_and_source_where_they_are_known(stated, english, chinese):
    money = Money("EUR", 0.5, **stated)
    rates = [said(language, money).exchange_rate for language in ("en", "zh")]
    assert rates == [f"1 EUR = 2 USD{english}", f"1 EUR = 2 USD{chinese}"]
    assert rates[0] == rate_text(money)
    assert said("en").exchange_rate == ""


def test_one_machine_is_no_plural():
    words = said("en")
    assert words.say("risk_stock_known", nodes="1", most="11") == "1 machine of at most 11 at once"
    assert words.say("risk_stock_known", nodes="11", most="1") == "11 machines of at most 1 at once"


def test_every_currency_has_a_chinese_name_and_hours_have_theirs():
    names = {code: said("zh", Money(code)).unit_name for code in (*CURRENCIES, GPU_HOURS, NODE_HOURS)}
    assert all("一" <= name[-1] <= "鿿" for name in names.values())
    assert len(set(names.values())) == len(names)
    assert (names["SEK"], names["CNY"], names[NODE_HOURS]) == ("瑞典克朗", "人民币", "节点小时")


def test_a_currency_without_cents_shows_none():
    assert plain(said("en", Money("JPY", 15.0)).money(3.5)) == "52 JPY"
    assert plain(said("en", Money("EUR", 0.9)).money(3.5)) == "3.15 EUR"
    assert said("en", Money("KRW", 10.0)).money_cell(3.5).text == "35"
