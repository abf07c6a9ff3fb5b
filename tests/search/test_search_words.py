"""What refusals, explanations and comparisons say is said by code, so that it is read in any language, and again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from search_cases import case, with_budget
from test_search_questions import priced

from planner.performance.loading import load_calibration
from planner.results.answers import Comparison, Optimization
from planner.scenario.written import COST, TIME
from planner.search import compare, explain, optimize
from planner.search.explanation import Explanation
from planner.spec.scenario import Objective
from planner.units import PlannerError, rounded_up
from planner.words import Sentence, worded


def in_chinese(text: str) -> str:
    """The Chinese of a text that must be said by code."""
    assert isinstance(text, Sentence), text
    return worded(text, "zh")


def untranslated(chinese: str) -> set[str]:
    """English words of sentences that are left in a Chinese one: names and keys have no such words."""
    return set(re.findall(r"\b(?:the|of|would|more|instead|takes|costs|and|or|days?|hours?|with|first)\b", chinese))


def refused(answer: Optimization) -> Iterator[str]:
    assert answer.infeasibility is not None
    yield answer.infeasibility.reason
    yield from (change.text for change in answer.infeasibility.changes)
    yield from (other.why for other in answer.infeasibility.between)


@pytest.mark.parametrize(("time_s", "cost_usd"), [(60.0, None), (None, 0.01), (60.0, 0.01)])
def test_a_refusal_and_what_would_have_to_give_are_told_in_chinese_and_read_back(
    time_s: float | None, cost_usd: float | None
) -> None:
    given = case(12)
    scenario = with_budget(replace(given.scenario, objective=Objective("cost")), time_s, cost_usd)
    answer = optimize(scenario, given.catalog, load_calibration(), offers=given.offers)
    again = Optimization.from_json(answer.to_json())
    assert again == answer
    told = list(refused(answer))
    assert len(told) > 1
    assert [in_chinese(text) for text in told] == [in_chinese(text) for text in refused(again)]
    assert not [text for text in told if untranslated(in_chinese(text))]


def explained(answer: Explanation) -> Iterator[str]:
    for each in answer.worth:
        yield from (each.more, each.text)
    yield from (each.text for each in (*answer.binding, *answer.tolerances, *answer.why_not))


def test_an_explanation_is_told_in_chinese_and_read_back() -> None:
    given = priced(12)
    asked = ["gpus=1", "cloud=elsewhere", "tp=1", "micro_batch=1,zero_stage=0", "gpus=7"]
    answer = explain(given.scenario, given.catalog, load_calibration(), why_not=asked, offers=given.offers)
    told = [in_chinese(text) for text in explained(answer)]
    assert len(answer.why_not) == len(asked)
    assert not [text for text in told if untranslated(text)]
    again = Explanation.from_json(answer.to_json())
    assert [in_chinese(text) for text in explained(again)] == told


def test_a_comparison_is_told_in_chinese_and_read_back() -> None:
    given = priced(12)
    dearer = tuple(replace(o, usd_per_gpu_hour=o.usd_per_gpu_hour * 1.1) for o in given.offers)
    sides = [optimize(given.scenario, given.catalog, load_calibration(), offers=o) for o in (given.offers, dearer)]
    answers = [
        compare([given.scenario], given.catalog, load_calibration(), by="gpus", offers=given.offers),
        compare(sides, given.catalog, load_calibration()),
    ]
    for answer in answers:
        again = Comparison.from_json(answer.to_json())
        assert again == answer
        for found, saved in zip(answer.differences, again.differences, strict=True):
            told = [found.key, *([found.why] if found.why else [])]
            assert not [text for text in told if untranslated(in_chinese(text))], told
            assert [worded(text, "zh") for text in found.values] == [worded(text, "zh") for text in saved.values]
            assert not [text for text in found.values if untranslated(worded(text, "zh"))]
    by_key = {found.key: found for found in answers[0].differences}
    assert worded(by_key["time"].key, "zh") == "时间"
    assert in_chinese(by_key["memory"].values[0]).endswith("GiB")
    assert in_chinese(answers[0].sides[0].label).endswith("块 GPU")


@pytest.mark.parametrize(("text", "chinese"), [("gpus=many", "应为整数"), ("recompute=some", "选一"), ("x", "键")])
def test_a_question_that_makes_no_sense_is_refused_by_code(text: str, chinese: str) -> None:
    given = case(12)
    with pytest.raises(PlannerError) as refusal:
        explain(given.scenario, given.catalog, load_calibration(), why_not=[text], offers=given.offers)
    assert chinese in in_chinese(refusal.value.args[0])


@pytest.mark.parametrize(
    ("value", "rounded"), [(1.1234, 1.13), (12.4, 12.4), (0.1, 0.1), (199.99, 200.0), (1234.6, 1240.0), (19.6, 19.6)]
)
def test_a_number_is_rounded_up_to_three_digits(value: float, rounded: float) -> None:
    assert rounded_up(value) == rounded


def test_a_budget_is_written_as_more_than_it_was() -> None:
    assert TIME.beyond(86400.0, 0.0) == "24.1 hours"
    assert TIME.beyond(86400.0, 343_000.0) == "3.97 days"
    assert COST.beyond(100.0, 5_200_000.0) == "5,200,000 USD"
    assert COST.read(COST.beyond(100.0, 0.0)) > 100.0
