"""The table that `planner optimize` prints."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_plan_json import OFFER, OPTIMIZATION, PLAN

from planner.report import figures, layout
from planner.report.layout import wrap
from planner.report.terminal import optimization_table
from planner.results.answers import Alternative, Change, Infeasible, Optimization
from planner.results.plan import EpochSchedule, Quantiles, Reliability

TODAY = date(2026, 11, 24)
INFEASIBLE = replace(
    OPTIMIZATION,
    status="infeasible",
    plan=None,
    alternatives=(),
    infeasibility=Infeasible(
        reason="the cheapest plan within 14 days costs more than there is",
        least_time_s=8e5,
        least_cost_usd=5.5e4,
        fastest=PLAN,
        cheapest=PLAN,
        changes=(Change("budget.cost", "30k USD", "58k USD", "a budget of 58k USD would do"),),
    ),
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def table(answer: Optimization = OPTIMIZATION, width: int = 80, colour: bool = False) -> str:
    return optimization_table(answer, today=TODAY, width=width, colour=colour, full=True)


@pytest.mark.parametrize("answer", [OPTIMIZATION, INFEASIBLE], ids=["optimal", "infeasible"])
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(answer, width):
    wide = [line for line in table(answer, width).splitlines() if layout.display_width(line) > width]
    assert not wide


def test_colour_changes_nothing_but_colour():
    coloured = table(colour=True)
    assert "\x1b[" in coloured
    assert ANSI.sub("", coloured) == table()
    assert "\x1b" not in table()


def test_a_plan_says_what_to_order_when_it_ends_and_what_it_costs():
    text = table()
    assert "96 × h100-sxm5-80gb (12 nodes) at lambda (on demand) for 11.6 days and 65 k USD" in " ".join(text.split())
    assert re.search(r"time, days +10\.4 +11\.6 +12\.7 +14\.0 +97 %", text)
    assert re.search(r"cost, k USD +60\.0 +65\.0 +70\.0", text)
    assert "2.99 USD a GPU-hour (on demand), as of 2026-10, 24 to 54 days old" in " ".join(text.split())
    assert "tp 2, pp 4, dp 12, ZeRO 1, recompute full" in text
    assert "47 of 79.1 GiB (59.4 %)" in text
    assert "400 evaluated + 600 ruled out (memory 600)" in text
    assert "the batch sits on its bound" in text
    assert re.search(r"training\.precision +bf16", text)


def test_a_price_of_over_a_month_is_said_and_one_of_over_three_months_marks_the_plan():
    young, old, stale = (
        " ".join(optimization_table(OPTIMIZATION, today=day, full=True).split())
        for day in (date(2026, 10, 20), TODAY, date(2026, 12, 31))
    )
    assert "check it before you decide" not in young
    assert "24 to 54 days old (check it before you decide)" in old
    assert "over 90 days old" not in young + old
    assert stale.index("Its price may be over 90 days old: ask for a new quote") < stale.index("Time and cost")


def test_plans_under_one_another_are_in_the_unit_of_the_longest():
    quick = replace(PLAN, time_s=Quantiles(9e4, 1e5, 1.1e5))
    ends = replace(INFEASIBLE.infeasibility, fastest=quick)
    text = table(replace(INFEASIBLE, infeasibility=ends))
    assert re.search(r"fastest .* 1\.16 ", text)
    assert re.search(r"cheapest .* 11\.6 ", text)


def test_a_long_layout_leaves_the_reasons_on_one_line():
    layout_ = replace(PLAN.layout, vpp=17, cp=4, ep=8, recompute="selective", dp=256)
    answer = replace(OPTIMIZATION, alternatives=(Alternative("other cloud", replace(PLAN, layout=layout_)),))
    assert "  other cloud " in table(answer, width=120)


def test_an_infeasible_answer_says_what_would_have_to_give():
    text = table(INFEASIBLE)
    assert text.startswith("Infeasible: no plan meets what was asked (14 days, with 80 % confidence).")
    assert "a budget of 58k USD would do" in text
    assert "least time, whatever it costs: 9.26 days" in text
    assert "least cost, however long it takes: 55 k USD" in text


def test_plans_that_miss_two_budgets_least_stand_between_the_ends():
    quick, slow = (replace(PLAN, gpus=gpus) for gpus in (512, 8))
    between = (Alternative("1.2 × time, 1.3 × cost", replace(PLAN, gpus=64)),)
    found = replace(INFEASIBLE.infeasibility, fastest=quick, cheapest=slow, between=between)
    text = table(replace(INFEASIBLE, infeasibility=found))
    assert "The plans at those ends and between them (p50)" in text
    places = [text.index(words) for words in ("fastest  ", "1.2 × time", "cheapest  ")]
    assert places == sorted(places)


def test_what_is_beyond_a_check_is_marked_to_be_looked_at():
    checks = replace(PLAN.plausibility, utilization_of_measured_peak=1.2, memory_share=1.1, six_nd_time_s=1e5)
    text = table(replace(OPTIMIZATION, plan=replace(PLAN, plausibility=checks)))
    assert text.count("look: ") == 3
    assert "look: " not in table()


def test_interruptions_say_how_often_what_is_saved_and_what_reserve_that_takes():
    reliability = Reliability(
        interruptions=0.58,
        mean_time_between_s=1.86e6,
        restart_s=900.0,
        checkpoint_gb=287.7,
        checkpoint_s=26.2,
        checkpoint_interval_s=9858.0,
        checkpoint_interval_iterations=648,
        goodput=0.994,
        reserve_s=133_000.0,
        reserve_usd=9590.0,
        reserve_by_cause={"failures": 0.074, "step_time": 0.926},
        source="a paper",
        wait_share=0.0,
        wait_s=0.0,
        undisturbed_s=1e6,
    )
    text = " ".join(table(replace(OPTIMIZATION, plan=replace(PLAN, reliability=reliability))).split())
    assert "0.58 in the run, one in 21.5 days" in text
    assert "every 2.74 hours (648 iterations);" in text
    capped = replace(reliability, checkpoint_interval_s=14_400.0)
    text_capped = " ".join(table(replace(OPTIMIZATION, plan=replace(PLAN, reliability=capped))).split())
    assert "every 4 hours (648 iterations), the most where risk.checkpoint_interval states none;" in text_capped
    assert (
        "1.54 days and 9.59 k USD between p50 and p90 (92.6 % from the prediction's spread, 7.4 % from failures)"
        in text
    )


def test_a_long_schedule_is_shortened_in_its_middle():
    schedule = tuple(EpochSchedule(n, 10 * n - 9, 10 * n, 1e5 * (n - 1), 1e5 * n) for n in range(1, 31))
    text = table(replace(OPTIMIZATION, plan=replace(PLAN, schedule=schedule)))
    shown = [int(found) for found in re.findall(r"^ +(\d+) +\d+ to \d+ ", text, re.MULTILINE)]
    assert shown == [1, 2, 3, 4, 28, 29, 30]


def test_a_schedule_has_dates_only_where_a_start_was_given():
    assert "2027-02-01" in table()
    without = replace(OPTIMIZATION, goal=replace(OPTIMIZATION.goal, start=None))
    assert "2027-02" not in table(without)


@given(st.text(max_size=300), st.integers(60, 120))
def test_names_from_files_can_neither_break_the_layout_nor_control_the_terminal(name, width):
    plan = replace(PLAN, offer=replace(OFFER, id=name, cloud=name), throughput_basis=name)
    answer = replace(
        OPTIMIZATION, plan=plan, warnings=(name,), provenance=replace(OPTIMIZATION.provenance, scenario=name)
    )
    text = table(answer, width)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert max(layout.display_width(line) for line in text.splitlines()) <= width


@given(st.text(max_size=200), st.integers(1, 40))
def test_wrapping_loses_no_word(text, width):
    lines = layout.wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(layout.clean(text).split())


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        (date(2026, 11, 24), date(2026, 11, 24), "of today"),
        (date(2026, 11, 23), date(2026, 11, 23), "1 day old"),
        (date(2026, 10, 1), date(2026, 10, 31), "24 to 54 days old"),
        (date(2026, 10, 1), None, "54 days old"),
        (None, None, "undated"),
        (date(2026, 11, 1), date(2026, 11, 30), "0 to 23 days old"),
        (date(2027, 1, 1), date(2027, 1, 1), "dated after 2026-11-24"),
    ],
)
def test_the_age_of_a_price(first, last, said):
    assert figures.age(replace(OFFER, as_of_earliest=first, as_of_latest=last), TODAY) == said


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (65, "65.0"), (9.996, "10.0"), (0.01234, "0.0123"), (1234.5, "1,234"), (999.6, "1,000")],
)
def test_figures_keep_three_digits(value, shown):
    assert figures.three_digits(value) == shown


@pytest.mark.parametrize(("p", "shown"), [(1.0, "> 99.9 %"), (0.0, "< 0.1 %"), (0.812, "81.2 %"), (None, "not known")])
def test_no_chance_is_called_certain(p, shown):
    assert figures.chance(p) == shown


def test_a_name_too_long_for_its_column_is_cut_at_a_joint():
    assert wrap("megatron-bridge:119", 12) == ["megatron-", "bridge:119"]
    assert wrap("h100-sxm5abcdefghijklmnop", 12) == ["h100-sxm5abc", "defghijklmno", "p"]


def test_one_budget_is_not_called_each_and_has_no_row_for_both():
    assert "each with" not in table()
    assert not re.search(r"^  both ", table(), re.MULTILINE)
    two = replace(OPTIMIZATION, plan=replace(PLAN, p_within_cost=0.9, p_within_both=0.9))
    assert re.search(r"^  both +90 %$", table(two), re.MULTILINE)
