"""Programmes: stages in order on shared machines, what they inherit, how sure the whole is."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from programme_cases import lab, programme, stage

import planner
from planner.api.inputs import load_facts
from planner.catalog.paths import data_dir, scenarios_dir
from planner.performance.shared_error import together
from planner.report.programme import programme_table
from planner.search.calendar import chosen
from planner.search.programme_answer import ProgrammeAnswer
from planner.search.programme_answers import answer_of
from planner.search.programme_chances import draw_time
from planner.search.programmes import DAY_S, choose_calendar, study_of
from planner.units import PlannerError
from planner.words import Sentence, worded


@pytest.fixture(scope="module")
def facts() -> Any:
    return load_facts()


def solved(given: dict[str, Any]) -> ProgrammeAnswer:
    return planner.optimize_programme(given)


def by_name(answer: ProgrammeAnswer) -> dict[str, Any]:
    return {each.name: each for each in answer.stages}


def two_runs(days: int) -> dict[str, Any]:
    """Two runs without an order, each of which takes all 96 GPUs for 14 days."""
    whole = {"dp": 96}
    runs = [stage(name, "4750B tokens", after="none") for name in ("first", "second")]
    batch = {"global_batch": 960}
    runs = [run | {"layout": run["layout"] | whole, "training": run["training"] | batch} for run in runs]
    return programme(*runs, budget={"time": f"{days} days", "confidence": 0.8})


def test_two_14_day_runs_on_one_quota_of_96_gpus_go_one_after_the_other() -> None:
    answer = solved(two_runs(30))
    assert answer.status == "optimal"
    first, second = sorted(answer.stages, key=lambda each: each.start_day)
    assert (first.plan.gpus, second.plan.gpus) == (96, 96)
    assert first.days == second.days == 14
    assert (first.start_day, second.start_day) == (0, 14)
    assert second.milestone.end_s.p50 > 1.9 * first.milestone.end_s.p50  # in the worlds that are drawn, too


def test_in_too_few_days_for_both_it_is_infeasible_and_says_how_many_would_do() -> None:
    answer = solved(two_runs(27))
    assert (answer.status, answer.stages) == ("infeasible", ())
    assert answer.changes == ("budget.time: 28 days or more would do.",)


def test_with_twice_the_machines_they_go_side_by_side() -> None:
    given = two_runs(27)
    given["cluster"] = given["cluster"] | {"own": [lab(24)]}
    assert [each.start_day for each in solved(given).stages] == [0, 0]


def test_quotas_change_on_their_day() -> None:
    budget = {"start": "2027-02-01", "time": "60 days", "cost": "200k USD"}
    given = programme(stage("main", "400B tokens"), budget=budget, objective="time")
    given["cluster"] = given["cluster"] | {"quotas": [{"gpus": 8}, {"gpus": 96, "from": "2027-02-11"}]}
    (main,) = solved(given).stages
    assert main.start_day == 10
    assert main.plan.gpus > 8


def test_a_stage_inherits_the_cluster() -> None:
    answer = solved(programme(stage("main", "300B tokens"), stage("anneal", inherits=["checkpoint", "cluster"])))
    main, anneal = answer.stages
    assert (main.plan.offer.id, main.plan.gpus) == (anneal.plan.offer.id, anneal.plan.gpus)
    assert anneal.start_day == main.days


def test_a_stage_that_may_not_move_stays_and_one_that_may_pays_for_it() -> None:
    given = programme(stage("main"), stage("long", may_move=True), transfer={"rate": "1 Gbit/s", "usd_per_gb": 0.1})
    given["cluster"] = {"max_gpus": 32, "gpus": ["h100-sxm5-80gb"], "clouds": ["lambda", "crusoe"]}
    stays = programme(stage("main"), stage("long"), cluster=given["cluster"])
    places = {f"{each.plan.offer.cloud}/{each.plan.offer.region}" for each in solved(stays).stages}
    assert len(places) == 1


def test_copies_of_a_stage_run_side_by_side_where_machines_allow_and_in_turn_where_not() -> None:
    beside = solved(programme(stage("ablations", copies=4), objective="time"))
    (each,) = beside.stages
    assert each.copies == 4
    assert each.beside * each.plan.gpus <= 96
    turns = solved(programme(stage("ablations", copies=4, beside=False), objective="time"))
    assert turns.stages[0].beside == 1
    assert turns.stages[0].cost_usd.p50 == pytest.approx(4 * turns.stages[0].plan.cost_usd.p50, rel=0.05)


def test_a_reservation_is_paid_whole_and_used_on_its_days_alone() -> None:
    block = {key: value for key, value in lab().items() if key != "usd_per_gpu_hour"}
    block |= {"name": "block", "usd_per_gpu_hour": 0.005, "from": "2027-02-11", "until": "2027-03-11"}
    given = programme(stage("main"), stage("anneal"), reservations=[block])
    given["budget"] = {"start": "2027-02-01", "time": "60 days", "cost": "200k USD"}
    answer = solved(given)
    assert {each.reservation for each in answer.stages} == {"block"}
    assert answer.stages[0].start_day >= 10
    assert answer.stages[-1].milestone.planned_day <= 38
    (bought,) = answer.reservations
    assert bought.cost_usd == pytest.approx(96 * 0.005 * 24 * 28)
    assert answer.cost_usd is not None
    assert answer.cost_usd.p50 == pytest.approx(bought.cost_usd, rel=1e-6)


def test_a_stage_has_its_own_deadline_and_a_chance_of_it() -> None:
    given = programme(stage("main", "400B tokens", deadline="2027-02-08"), stage("anneal", not_before="2027-02-20"))
    given["budget"] = {"start": "2027-02-01", "time": "60 days", "cost": "200k USD"}
    main, anneal = solved(given).stages
    assert main.milestone.deadline_day == 7
    assert main.milestone.p_by_deadline >= 0.8
    assert anneal.start_day == 19
    assert main.slack.free_days == 19 - main.days
    assert main.slack.total_days == 7 - main.days


def test_the_chance_of_the_sum_is_kept_where_sums_of_quantiles_would_break_it() -> None:
    budget = {"time": "20 days", "cost": "9k USD"}
    answer = solved(programme(stage("main"), stage("anneal"), budget=budget))
    assert answer.status == "optimal"
    assert min(answer.p_within_time, answer.p_within_cost) >= 0.8  # type: ignore[type-var]


def test_what_is_asked_for_is_the_quantile_of_the_sum() -> None:
    answer = solved(programme(stage("main"), stage("anneal")))
    ask = answer.ask
    assert ask is not None
    assert answer.cost_usd is not None
    assert answer.surrogate_cost_usd is not None
    assert ask.expected_usd == pytest.approx(answer.cost_usd.p50)
    assert ask.expected_usd < ask.total_usd <= answer.surrogate_cost_usd * 1.0001
    assert sum(each.cost_usd for each in answer.cash_by_month) == pytest.approx(answer.surrogate_cost_usd)
    assert sum(each.cost_usd for each in answer.cash_by_week) == pytest.approx(answer.surrogate_cost_usd)


def test_an_answer_reads_back_as_it_was_written() -> None:
    answer = solved(programme(stage("main"), stage("anneal")))
    assert ProgrammeAnswer.from_json(answer.to_json()) == answer


def test_one_draw_has_the_distribution_that_a_plan_states(facts: Any) -> None:
    study = study_of(planner.load_programme(programme(stage("main", "400B tokens"))), *facts)
    found = choose_calendar(study)
    assert found is not None
    rng = np.random.default_rng(7)
    times = draw_time(found.parts[0].runs, rng.standard_normal(100_000), rng)
    for p in (0.1, 0.5, 0.9):
        assert float(np.quantile(times, p)) == pytest.approx(float(found.parts[0].runs.quantile(p)[0]), rel=0.004)


def test_what_stages_share_makes_their_sum_wider_than_if_they_were_apart(facts: Any) -> None:
    study = study_of(planner.load_programme(programme(stage("main"), stage("second"), stage("third"))), *facts)
    found = choose_calendar(study)
    assert found is not None
    lengths = found.worlds.ends_s - found.worlds.starts_s
    assert np.corrcoef(lengths[0], lengths[1])[0, 1] > 0.3
    settings = [p.state.space.pools[0].setting for p in study.plans]
    errors = together(settings, [8, 8, 8], facts[1])
    whole = np.diag(errors.correlation()) + errors.alone**2
    assert whole == pytest.approx(np.ones(3))


def test_a_stage_waits_in_every_world_for_what_it_is_after(facts: Any) -> None:
    study = study_of(planner.load_programme(two_runs(30)), *facts)
    found = choose_calendar(study)
    assert found is not None
    first, second = np.argsort(found.schedule.starts)
    assert np.all(found.worlds.starts_s[second] >= found.worlds.ends_s[first] - 1e-6)


def test_a_calendar_that_breaks_a_true_budget_is_thrown_out_and_another_found(facts: Any) -> None:
    """Six runs side by side, each done in time with 80 %, are not all done in time with 80 %."""

    def six(tokens: float) -> Any:
        runs = (stage(f"run {i}", f"{tokens:.0f}B tokens", after="none") for i in range(6))
        given = programme(*runs, budget={"time": "10 days", "confidence": 0.8})
        given["cluster"] = given["cluster"] | {"max_gpus": 16}
        return planner.load_programme(given)

    study = study_of(six(200.0), *facts)
    eight = next(s for s, c in zip(study.plans[0].sure_s, study.plans[0].choices, strict=True) if c.uses[0][1] == 8)
    answer = planner.optimize_programme(six(200.0 * 9.97 * DAY_S / float(eight)))
    assert answer.status == "optimal"
    assert answer.thrown_out > 0
    assert answer.p_within_time is not None
    assert answer.p_within_time >= 0.8
    assert {each.plan.gpus for each in answer.stages} >= {16}


def test_a_stage_that_fits_nowhere_is_named_with_its_place() -> None:
    answer = solved(programme(stage("main"), stage("huge", model="llama3.1-405b", cluster={"max_gpus": 8})))
    assert answer.status == "infeasible"
    assert "stages.1" in answer.reason
    assert "huge" in answer.reason


def test_flm_101b_s_three_stages_take_the_hours_that_were_published() -> None:
    """Li et al. 2023 (arXiv 2309.03852), tables 1 and 2; rows of catalogs/runs/published.csv."""
    with (data_dir() / "runs" / "published.csv").open(newline="") as file:
        rows = {row["run"]: float(row["gpu_hours"]) for row in csv.DictReader(file) if row["run"].startswith("flm-")}
    published = [rows[f"flm-101b-stage-{size}"] for size in ("16b", "51b", "101b")]
    answer = planner.optimize_programme(scenarios_dir() / "flm-101b.yaml")
    assert [each.name for each in answer.stages] == ["16B", "51B", "101B"]
    assert [each.plan.gpus for each in answer.stages] == [192, 192, 192]
    for each, hours in zip(answer.stages, published, strict=True):
        assert each.cost_usd.p10 < hours < each.cost_usd.p90
        assert each.gpu_hours == pytest.approx(hours, rel=0.15)
    total = sum(published)
    assert answer.cost_usd is not None
    assert answer.time_s is not None
    assert answer.cost_usd.p50 == pytest.approx(total, rel=0.10)
    assert answer.time_s.p50 / DAY_S == pytest.approx(21.54, rel=0.10)


def test_every_stage_of_an_answer_keeps_its_place_in_the_order(facts: Any) -> None:
    given = planner.load_programme(programme(stage("a"), stage("b", after="a"), stage("c", after=["a", "b"])))
    study = study_of(given, *facts)
    found = choose_calendar(study)
    assert found is not None
    picks = chosen(study.calendar, found.schedule)
    ends = [s + p.days for s, p in zip(found.schedule.starts, picks, strict=True)]
    assert found.schedule.starts[1] >= ends[0]
    assert found.schedule.starts[2] >= ends[1]
    assert answer_of(study, found).end_day == ends[2]


def test_a_stage_that_may_use_one_cloud_alone_keeps_those_that_it_goes_on_from_there() -> None:
    """Another place that is no dearer for the first stage does not help, since the second is not sold there."""
    given = programme(stage("main"), stage("tuned", cluster={"clouds": ["crusoe"]}))
    given["cluster"] = {"max_gpus": 32, "gpus": ["h100-sxm5-80gb"], "clouds": ["lambda", "crusoe", "hyperstack"]}
    answer = solved(given)
    assert answer.status == "optimal"
    assert {each.plan.offer.cloud for each in answer.stages} == {"crusoe"}


def test_machines_reserved_for_some_days_are_left_in_time_with_the_confidence() -> None:
    answer = planner.optimize_programme(scenarios_dir() / "olmo2-stages.yaml")
    late = [text for text in answer.warnings if "beyond the end" in text]
    assert answer.status == "optimal"
    assert {each.reservation for each in answer.stages} == {"", "summer block"}
    shares = [float(text.split()[-2]) for text in late]
    assert all(share <= 20.0 for share in shares)


def test_copies_side_by_side_are_set_aside_the_days_that_all_of_them_keep() -> None:
    given = programme(stage("ablations", "200B tokens", copies=8), objective="time")
    (each,) = solved(given).stages
    assert each.beside > 1
    assert each.milestone.p_by_planned >= 0.8


def with_quotas(*quotas: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """One large stage behind a small one, under these quotas."""
    budget = {"start": "2027-02-01", "time": "60 days", "cost": "200k USD"}
    main = stage("main", "400B tokens", layout={"tp": 1, "pp": 1, "zero_stage": 1, "dp": 64})
    given = programme(stage("small", "5B tokens"), main, budget=budget, **changes)
    given["cluster"] = given["cluster"] | {"quotas": list(quotas)}
    return given


def test_no_world_begins_a_stage_before_its_quota_lets_it() -> None:
    answer = solved(with_quotas({"gpus": 8}, {"gpus": 96, "from": "2027-02-21"}))
    small, main = answer.stages
    assert (small.opens_day, main.opens_day, main.start_day) == (0, 20, 20)
    assert main.waits_for == ("small",)
    assert main.milestone.end_s.p10 > 20 * DAY_S
    assert answer.time_s is not None
    assert answer.time_s.p50 > 20 * DAY_S


def test_a_stage_is_done_before_its_quota_ends_with_the_confidence() -> None:
    free = solved(with_quotas({"gpus": 96}))
    days = free.stages[0].days + free.stages[1].days
    until = date(2027, 2, 1) + timedelta(days=days)
    answer = solved(with_quotas({"gpus": 96}, {"gpus": 8, "from": until}))
    assert answer.status == "optimal"
    assert answer.stages[1].slack.total_days == 0
    late = [text for text in answer.warnings if "beyond the end of what the quotas allow" in text]
    assert len(late) == 1
    assert float(late[0].split()[-2]) <= 20.0


def test_a_deadline_that_cannot_be_kept_is_named_with_the_day_that_could() -> None:
    given = programme(stage("main", "400B tokens", deadline="2027-02-02"), objective="time")
    given["budget"] = {"start": "2027-02-01", "time": "60 days"}
    answer = solved(given)
    assert answer.status == "infeasible"
    (change,) = [text for text in answer.changes if text.startswith("stages.0.deadline: ")]
    given["stages"][0]["deadline"] = change.split()[1]
    assert solved(given).status == "optimal"


def test_a_budget_of_many_years_has_a_calendar_of_ten() -> None:
    given = programme(stage("main"))
    given["budget"] = {"start": "2027-02-01", "time": "1e9 days", "cost": "200k USD"}
    answer = solved(given)
    assert "every first day of 3,650" in answer.statement
    assert "main" in programme_table(answer)


def test_a_deadline_far_off_is_not_drawn_and_days_fill_the_width() -> None:
    given = programme(stage("main", "400B tokens"))
    near, far = (programme_table(solved(given | {"budget": {"time": f"{days} days"}})) for days in (90, 900))
    bars = [next(x for x in text.splitlines() if x.startswith("  main")).count("█") for text in (near, far)]
    assert bars[1] > 30


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deadline": "2027-02-01"}, "stages.0.deadline: 2027-02-01 is not after the programme's first day"),
        ({"not_before": "2027-04-02"}, "stages.0.not_before: 2027-04-02 is not before the programme's end"),
        ({"name": "none"}, "stages.0.name: `after: none` stands for no stage"),
    ],
)
def test_days_outside_the_programme_and_a_stage_called_none_are_refused(changes: dict[str, str], said: str) -> None:
    given = programme(stage("main") | changes)
    given["budget"] = {"start": "2027-02-01", "time": "60 days"}
    with pytest.raises(PlannerError, match=re.escape(said)):
        planner.load_programme(given)


def test_stages_that_differ_in_length_share_what_their_searches_learn(facts: Any) -> None:
    """The same plans as if each stage were searched by itself."""
    given = planner.load_programme(programme(stage("main", "300B tokens"), stage("tuned", "20B tokens")))
    together, apart = study_of(given, *facts), []
    for each in given.stages:
        alone = replace(given, stages=(replace(each, after=(), inherits=()),))
        apart.append(study_of(alone, *facts).plans[0])
    for one, other in zip(together.plans, apart, strict=True):
        assert {(c.days, c.cost) for c in one.choices} == {(c.days, c.cost) for c in other.choices}


def test_where_calendars_keep_the_sums_and_break_the_budget_in_truth_a_budget_that_holds_is_said(facts: Any) -> None:
    """Six runs side by side, each done in ten days with 80 %: eleven days or more are needed for all of them."""
    layout = {"tp": 1, "pp": 1, "zero_stage": 1, "dp": 8, "micro_batch": 4}

    def six(tokens: float, days: int) -> dict[str, Any]:
        runs = (stage(f"run {i}", f"{tokens:.0f}B tokens", after="none", layout=layout) for i in range(6))
        given = programme(*runs, budget={"time": f"{days} days", "cost": "60k USD", "confidence": 0.8})
        given["cluster"] = given["cluster"] | {"max_gpus": 8}
        return given

    one = float(study_of(planner.load_programme(six(200.0, 90)), *facts).plans[0].sure_s[0])
    tokens = 200.0 * 9.97 * DAY_S / one
    answer = solved(six(tokens, 10))
    assert answer.status == "infeasible"
    assert "by simulation" in answer.reason
    (change,) = answer.changes
    days = int(change.removeprefix("budget.time: ").split()[0])
    assert change == f"budget.time: {days} days or more would do."
    assert days > 10
    assert solved(six(tokens, days)).status == "optimal"


def test_what_a_programme_says_is_said_in_chinese_too() -> None:
    answer = solved(programme(stage("main"), stage("side"), stage("end", after=["main", "side"])))
    assert answer.ask is not None
    said = [answer.statement, answer.chance_basis, answer.ask.text, *(each.period for each in answer.cash_by_week)]
    said += [each.slack.absorbed_by for each in answer.stages] + [each.text for each in answer.resources]
    tight = solved(two_runs(27))
    said += [tight.reason, *tight.changes]
    for text in said:
        assert isinstance(text, Sentence), text
        assert not re.search(r"\b(the|of|by|more|with|would|days|week)\b", worded(text, "zh")), worded(text, "zh")
