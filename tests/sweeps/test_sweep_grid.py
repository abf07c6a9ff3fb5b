"""What `--over` says: lists, ranges with a count, even ratios, units that carry over."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from planner.reading.quantities import parse_duration
from planner.sweeps.grid import cells, read_axes, read_axis, spaced, split_list
from planner.units import PlannerError


@pytest.mark.parametrize(
    ("over", "values"),
    [
        ("training.epochs=1,2,4", ("1", "2", "4")),
        ("budget.time=7..60d:2", ("7 d", "60 d")),
        ("budget.time=10 days .. 30 days : 3", ("10 days", "20 days", "30 days")),
        ("budget.time=5 days, 10..30 days:3", ("5 days", "10 days", "20 days", "30 days")),
        ("budget.cost=$50k..$200k:3", ("$50 k", "$125 k", "$200 k")),
        ("budget.cost=1..100 k USD:3:log", ("1 k USD", "10 k USD", "100 k USD")),
        ("budget.confidence=50..90%:3", ("50%", "70%", "90%")),
        ("budget.deadline=2027-01-01..2027-02-01:3", ("2027-01-01", "2027-01-17", "2027-02-01")),
        ("cluster.max_gpus=64..1024:5:log", ("64", "128", "256", "512", "1024")),
        ("training.global_batch=512..1024:4", ("512", "683", "853", "1024")),
        ("training.global_batch={min: 512, max: 1024},2048", ("{min: 512, max: 1024}", "2048")),
        ("cluster.gpus=[a,b],c", ("[a,b]", "c")),
        ("model=../a.json,../b.json", ("../a.json", "../b.json")),
        ("budget.cost=null,80k USD", ("null", "80k USD")),
    ],
)
def test_values_are_lists_and_ranges(over, values):
    assert read_axis(over).values == values


@pytest.mark.parametrize(
    ("over", "said"),
    [
        ("budget.time", "key=a,b,c"),
        ("=1,2", "key=a,b,c"),
        ("budget.time=", "key=a,b,c"),
        ("budget.time=7..60d", "`7..60d:8`"),
        ("budget.time=7..60d:1", "two at least"),
        ("budget.time=7..60d:8:cubic", "even ratios"),
        ("budget.time=7 h..60 days:8", "one unit"),
        ("budget.time=60..7d:8", "smaller to a larger"),
        ("budget.time=0..7d:8:log", "above 0"),
        ("budget.time=7..60d:999999", "at most 100,000"),
        ("budget.deadline=2027-01-01..2027-01-03:8", "there are 3 of them"),
        ("layout.tp=1..3:8", "no 8 different whole numbers"),
        ("training.epochs=1,,2", "empty value"),
        ("training.epochs=1,2,1", "twice"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_sentence(over, said):
    with pytest.raises(PlannerError) as refused:
        read_axis(over)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(refused.value).startswith("--over ")


@pytest.mark.parametrize(
    ("over", "numbers", "suffix"),
    [
        ("training.epochs=1,2,4", (1, 2, 4), ""),
        ("training.epochs=0.5,1", (0.5, 1.0), ""),
        ("training.global_batch=512,1024", (512, 1024), ""),
        ("data.samples=1M,2M", (1_000_000, 2_000_000), ""),
        ("budget.confidence=50..90%:3", (0.5, 0.7, 0.9), ""),
        ("budget.time=1 day 12 h,2 days", (129600.0, 172800.0), "_s"),
        ("budget.cost=80000,90k USD", (80000.0, 90000.0), "_usd"),
        ("budget.cost=null,90k USD", None, ""),
        ("cluster.gpus=h100-sxm5-80gb,a100-sxm4-40gb", None, ""),
        ("layout.sequence_parallel=true,false", None, ""),
    ],
)
def test_values_that_are_numbers_are_numbers_of_one_type(over, numbers, suffix):
    axis = read_axis(over)
    assert (axis.numbers, axis.suffix) == (numbers, suffix)
    assert len({type(number) for number in axis.numbers or ()}) <= 1


finite = st.decimals(-(10**9), 10**9, places=3)


@settings(max_examples=50)
@given(finite, finite, st.integers(2, 40))
def test_a_range_has_its_ends_and_as_many_even_steps(one, other, count):
    low, high = sorted((one, other))
    values = [Decimal(text) for text in spaced(low, high, count)]
    assert (len(values), values[0], values[-1]) == (count, low, high)
    step = (high - low) / (count - 1)
    for i, value in enumerate(values):
        assert abs(value - (low + i * step)) <= Decimal("1e-5") * max(abs(low), abs(high))


@settings(max_examples=50)
@given(st.decimals("0.001", 10**6, places=3), st.decimals("1.5", 1000, places=2), st.integers(2, 30))
def test_a_logarithmic_range_has_even_ratios(low, factor, count):
    values = [float(text) for text in spaced(low, low * factor, count, logarithmic=True)]
    wanted = float(factor) ** (1 / (count - 1))
    assert len(values) == count
    assert all(b / a == pytest.approx(wanted, rel=3e-5) for a, b in pairwise(values))


@settings(max_examples=50)
@given(st.integers(1, 1000), st.integers(1, 1000), st.integers(2, 20))
def test_a_units_range_reads_as_the_numbers_in_between(first, more, count):
    axis = read_axis(f"budget.time={first}..{first + more} h:{count}")
    assert axis.suffix == "_s"
    assert axis.numbers == tuple(parse_duration(value) for value in axis.values)
    assert axis.numbers[0] == first * 3600
    assert list(axis.numbers) == sorted(axis.numbers)


@settings(max_examples=30)
@given(st.lists(st.recursive(st.text("ab1 .", min_size=1), lambda inner: st.lists(inner, max_size=3)), min_size=1))
def test_a_list_is_cut_at_its_own_commas_only(values):
    written = [value if isinstance(value, str) else str(value) for value in values]
    assert split_list(",".join(written)) == [text.strip() for text in written]


def test_the_grid_is_the_product_and_the_last_key_is_fastest():
    axes = read_axes(["budget.time=7..9d:3", "training.epochs=1,2"])
    assert list(cells(axes)) == [(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert [axes[0].override(1), axes[1].override(0)] == ["budget.time=8 d", "training.epochs=1"]


@pytest.mark.parametrize(
    ("overs", "fixed", "said"),
    [
        ([], [], "at least one --over"),
        (["training.epochs=1,2", "training.epochs=3"], [], "stands twice"),
        (["training.epochs=1,2"], ["training.epochs=3"], "also given by --set"),
        (["budget.time=1..9d:1000", "budget.cost=1..9 USD:1000"], [], "1,000,000 variations"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused(overs, fixed, said):
    with pytest.raises(PlannerError, match=said):
        read_axes(overs, fixed)
