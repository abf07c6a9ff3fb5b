"""What a person writes is read as meant or refused with a sentence; what is printed reads back as the same quantity."""

from __future__ import annotations

import math
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from planner import units
from planner.reading import names, quantities
from planner.units import PlannerError

amounts = st.floats(1e-3, 1e15, allow_nan=False)
PRINTED = 6e-4  # four significant digits


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("14 days", 1_209_600),
        ("2 weeks", 1_209_600),
        ("14d", 1_209_600),
        ("1.5 h", 5_400),
        ("1 day 12 h", 129_600),
        ("1 day, 12 hours and 30 min", 131_400),
        ("90 min", 5_400),
        ("350 ms", 0.35),
        ("1e3 s", 1_000),
        ("1,000 s", 1_000),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert quantities.parse_duration(text) == seconds


@pytest.mark.parametrize(
    ("text", "usd"),
    [
        ("80k USD", 80_000),
        ("$80,000", 80_000),
        ("USD 1.2M", 1_200_000),
        ("$1.5 million", 1_500_000),
        (80_000, 80_000),
        ("2.29", 2.29),
    ],
)
def test_money(text: str | float, usd: float) -> None:
    assert quantities.parse_money(text) == usd


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("64B tokens", 64_000_000_000),
        ("2M", 2_000_000),
        ("31_267_487", 31_267_487),
        ("31,267,487 samples", 31_267_487),
        (31_267_487, 31_267_487),
        ("1.5k", 1_500),
        ("1e9", 10**9),
        (1e9, 10**9),
        ("3 million tokens", 3_000_000),
        ("999999999999999999", 999_999_999_999_999_999),  # above 2^53: no float in between
    ],
)
def test_counts(text: str | float, count: int) -> None:
    assert quantities.parse_count(text) == count


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("3200 Gbit/s", (3200, False)),
        ("400 Gbit/s/gpu", (400, True)),
        ("400 Gbit/s per GPU", (400, True)),
        ("3.2 Tbit/s", (3200, False)),
        ("400 Gbps", (400, False)),
        ("50 GByte/s", (400, False)),
    ],
)
def test_data_rates(text: str, rate: tuple[float, bool]) -> None:
    assert quantities.parse_bandwidth(text) == rate


def test_bits_and_bytes_binary_and_decimal_are_never_confused() -> None:
    assert quantities.parse_bandwidth("1 GByte/s")[0] == 8 * quantities.parse_bandwidth("1 Gbit/s")[0]
    assert quantities.parse_bytes("80 GiB") - quantities.parse_bytes("80 GB") == 80 * (2**30 - 10**9)
    for ambiguous in ("400 GB/s", "400 Gb/s", "400 GBps"):
        with pytest.raises(PlannerError, match=r"two ways.*400 Gbit/s.*400 GByte/s"):
            quantities.parse_bandwidth(ambiguous)
    for bits in ("80 Gb", "80 Gbit", "80 gb"):
        with pytest.raises(PlannerError):
            quantities.parse_bytes(bits)


def test_shares_and_dates() -> None:
    assert (
        quantities.parse_fraction("95 %") == quantities.parse_fraction("95%") == quantities.parse_fraction(0.95) == 0.95
    )
    assert quantities.parse_date("2027-03-01") == date(2027, 3, 1)


PARSERS = (
    quantities.parse_number,
    quantities.parse_duration,
    quantities.parse_money,
    quantities.parse_count,
    quantities.parse_bandwidth,
    quantities.parse_bytes,
    quantities.parse_fraction,
    quantities.parse_date,
)


@pytest.mark.parametrize(
    ("parse", "text", "says"),
    [
        (quantities.parse_duration, "14", "no unit.*14 days"),
        (quantities.parse_duration, 14, "no unit"),
        (quantities.parse_duration, "12:30", "hours or minutes"),
        (quantities.parse_duration, "3 months", "no fixed length"),
        (quantities.parse_duration, "1 year", "no fixed length"),
        (quantities.parse_duration, "3 m", "minutes or months"),
        (quantities.parse_duration, "3M", "minutes or months"),
        (quantities.parse_duration, "-2 days", "negative"),
        (quantities.parse_duration, "1e999 days", "too large"),
        (quantities.parse_money, "80k EUR", "US dollars"),
        (quantities.parse_money, "€80", "US dollars"),
        (quantities.parse_money, "80m USD", "80M"),
        (quantities.parse_money, "-5 USD", "negative"),
        (quantities.parse_count, "64b tokens", "64B"),
        (quantities.parse_count, "4M tokns", "tokens"),
        (quantities.parse_count, "1.5", "not a whole number"),
        (quantities.parse_count, "1e19", "10\\^18"),
        (quantities.parse_count, "1,00", "whole number"),
        (quantities.parse_bandwidth, "400", "data rate"),
        (quantities.parse_bandwidth, "0 Gbit/s", "above 0"),
        (quantities.parse_fraction, "95", "95 %"),
        (quantities.parse_fraction, "1.01", "from 0 to 1"),
        (quantities.parse_date, "2027-02-30", "year-month-day"),
        (quantities.parse_date, "1.3.2027", "year-month-day"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_what_to_write(parse: object, text: object, says: str) -> None:
    with pytest.raises(PlannerError, match=says):
        parse(text)  # type: ignore[operator]


@pytest.mark.parametrize("parse", PARSERS)
@pytest.mark.parametrize(
    "text", ["nan", "inf", "-inf", ".nan", float("nan"), float("inf"), True, None, "", " ", "²", "1" * 200]
)
def test_nothing_that_is_no_quantity_gets_through(parse: object, text: object) -> None:
    with pytest.raises(PlannerError):
        parse(text)  # type: ignore[operator]


@given(st.sampled_from(PARSERS), st.text(max_size=40))
def test_any_text_is_read_or_refused_in_one_line(parse: object, text: str) -> None:
    said = ""
    try:
        value = parse(text)  # type: ignore[operator]
    except PlannerError as error:
        said, value = str(error), 0
    number = value[0] if isinstance(value, tuple) else value
    assert "\n" not in said
    assert isinstance(number, date) or (math.isfinite(number) and (number >= 0 or parse is quantities.parse_number))


@given(amounts)
def test_printed_quantities_read_back(x: float) -> None:
    assert quantities.parse_duration(units.format_duration(x)) == pytest.approx(x, rel=PRINTED)
    assert quantities.parse_money(units.format_usd(x)) == pytest.approx(x, rel=PRINTED)
    assert quantities.parse_bandwidth(units.format_bandwidth(x))[0] == pytest.approx(x, rel=PRINTED)
    assert quantities.parse_bytes(units.format_bytes(x)) == pytest.approx(x, rel=PRINTED)
    assert quantities.parse_bytes(units.format_gib(x)) == pytest.approx(x * 2**30, rel=PRINTED)
    assert quantities.parse_number(units.format_number(x)) == pytest.approx(x, rel=PRINTED)


@given(st.integers(0, 10**18))
def test_counts_read_back_exactly_and_short_forms_to_four_digits(n: int) -> None:
    assert quantities.parse_count(units.format_count(n)) == n
    assert quantities.parse_money(units.format_short(n)) == pytest.approx(n, rel=PRINTED)


@given(st.floats(0, 1))
def test_shares_read_back(x: float) -> None:
    assert quantities.parse_fraction(units.format_percent(x)) == pytest.approx(x, rel=6e-3)


def test_the_examples_of_the_docs_print_as_they_are_written() -> None:
    assert units.format_duration(1_209_600) == "14 days"
    assert units.format_duration(47.66) == "47.66 s"
    assert units.format_usd(80_000) == "80,000 USD"
    assert units.format_short(64_035_813_376) == "64.04B"
    assert units.format_percent(0.0471) == "4.71 %"


@pytest.mark.parametrize("found", ["h200", "H200", "h100-80gb", "H100 80GB", "H100-SXM5-80GB"])
def test_case_does_not_matter_and_the_only_name_of_those_words_is_meant(found: str) -> None:
    meant = "h200-sxm5-141gb" if "200" in found else "h100-sxm5-80gb"
    assert names.check_name(found, ACCELERATORS, "accelerator") == meant


ACCELERATORS = ("a100-sxm4-40gb", "a100-sxm4-80gb", "a100-pcie-40gb", "h100-sxm5-80gb", "h200-sxm5-141gb", "gh200-96gb")


def test_a_short_name_lists_all_that_it_could_mean() -> None:
    with pytest.raises(PlannerError, match="`a100` is ambiguous: a100-sxm4-40gb, a100-sxm4-80gb, a100-pcie-40gb"):
        names.check_name("a100", ACCELERATORS, "accelerator")


@pytest.mark.parametrize(
    ("found", "meant"),
    [
        ("h20", "h200-sxm5-141gb"),  # another chip: never taken for it
        ("h100-sxm", "h100-sxm5-80gb"),
        ("h100-sxm5-80gbb", "h100-sxm5-80gb"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(found: str, meant: str) -> None:
    with pytest.raises(PlannerError, match=f"did you mean `{meant}`"):
        names.check_name(found, ACCELERATORS, "accelerator")
