"""A programme against its calendar: by its stages' logs, and planned anew for what is left."""

from __future__ import annotations

import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from programme_cases import lab, programme, stage

import planner as package
from planner.search.programme_answer import StageAnswer
from planner.units import PlannerError


def log_of(each: StageAnswer, share: float, slower: float = 1.0) -> str:
    """The log of a stage that has got so far, its steps so many times as long as planned."""
    plan = each.plan
    total, step = plan.iterations, plan.time_s.p50 / plan.iterations * slower
    every = max(total // 200, 1)
    last = round(total * share)
    return "".join(
        f" samples/sec: {plan.global_batch / step:.3f} | iteration {iteration:8d}/{total:8d} | elapsed time per"
        f" iteration (ms): {step * 1000:.1f} | learning rate: 1.0E-04 | global batch size: {plan.global_batch:5d} |"
        " lm loss: 2.5E+00 |\n"
        for iteration in sorted({*range(every, last + 1, every), last})
    )


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    folder = tmp_path_factory.mktemp("programme")
    given = programme(stage("main", "300B tokens"), stage("anneal"), stage("long"))
    file, saved = folder / "programme.yaml", folder / "programme.json"
    file.write_text(yaml.safe_dump(given))
    answer = package.optimize_programme(file)
    saved.write_text(answer.to_json())
    return file, saved, answer


def test_stages_without_a_log_are_to_come_and_move_with_those_before_them(planned: Any, tmp_path: Path) -> None:
    _, saved, answer = planned
    log = tmp_path / "main.log"
    log.write_text(log_of(answer.stages[0], 0.5, slower=1.5))
    now = package.track_programme(saved, {"main": log})
    assert [each.status for each in now.stages] == ["running", "to come", "to come"]
    assert now.stages[0].share_done == pytest.approx(0.5, abs=0.01)
    assert now.stages[0].late_days > 0
    assert now.stages[1].start_day == pytest.approx(now.stages[0].end_day.p50)
    assert now.end_day.p50 > answer.time_s.p50 / 86400


def test_what_is_left_is_planned_anew_within_what_is_left(planned: Any, tmp_path: Path) -> None:
    file, saved, answer = planned
    log = tmp_path / "main.log"
    log.write_text(log_of(answer.stages[0], 0.5))
    now = package.track_programme(saved, {"main": log}, replan=file)
    rest = now.replanned
    assert rest is not None
    assert rest.status == "optimal"
    assert [each.name for each in rest.stages] == ["main", "anneal", "long"]
    assert rest.stages[0].days < answer.stages[0].days
    assert rest.stages[0].plan.offer.id == answer.stages[0].plan.offer.id
    assert rest.goal.cost_usd == pytest.approx(answer.goal.cost_usd - now.spent_usd)


def test_stages_that_are_done_are_left_out_of_the_rest(planned: Any, tmp_path: Path) -> None:
    file, saved, answer = planned
    log = tmp_path / "main.log"
    log.write_text(log_of(answer.stages[0], 1.0))
    now = package.track_programme(saved, {"main": log}, replan=file)
    assert now.stages[0].status == "finished"
    assert now.replanned is not None
    assert [each.name for each in now.replanned.stages] == ["anneal", "long"]


def test_the_command_prints_and_saves_the_same(planned: Any, tmp_path: Path, planner: Any) -> None:
    _, saved, answer = planned
    log = tmp_path / "main.log"
    log.write_text(log_of(answer.stages[0], 0.4))
    ran = planner("track", saved, "--log", f"main={log}")
    assert ran.code == 0
    assert "running" in ran.out
    told = json.loads(planner("track", saved, "--log", f"main={log}", "--json").out)
    assert [each["status"] for each in told["stages"]] == ["running", "to come", "to come"]


@pytest.mark.parametrize(("logs", "said"), [("mian=x.log", "did you mean `main`"), ("x.log", "STAGE=FILE")])
def test_a_log_of_no_stage_is_refused_in_one_sentence(planned: Any, planner: Any, logs: str, said: str) -> None:
    ran = planner("track", planned[1], "--log", logs)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_a_plan_of_one_run_is_no_programme(tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    file.write_text('{"schema_version": 1, "status": "optimal"}')
    with pytest.raises(PlannerError, match="not a saved programme"):
        package.track_programme(file, {"main": "x"})


def tracked(given: dict[str, Any], folder: Path, share: float) -> tuple[Any, Any]:
    """The answer of a programme, and where it stands with its first stage so far done, planned anew."""
    file, saved, log = folder / "programme.yaml", folder / "programme.json", folder / "log"
    file.write_text(yaml.safe_dump(given))
    answer = package.optimize_programme(file)
    saved.write_text(answer.to_json())
    log.write_text(log_of(answer.stages[0], share))
    return answer, package.track_programme(saved, {answer.stages[0].name: log}, replan=file)


def test_a_reservation_is_paid_once_whatever_the_logs_say(tmp_path: Path) -> None:
    block = {key: value for key, value in lab().items() if key != "usd_per_gpu_hour"}
    block |= {"name": "block", "usd_per_gpu_hour": 0.005, "from": "2027-02-11", "until": "2027-03-11"}
    given = programme(stage("main"), stage("anneal"), reservations=[block])
    given["budget"] = {"start": "2027-02-01", "time": "60 days", "cost": "200k USD"}
    answer, now = tracked(given, tmp_path, 0.5)
    (bought,) = answer.reservations
    assert now.spent_usd == pytest.approx(bought.cost_usd)
    assert now.cost_usd.p50 == pytest.approx(answer.cost_usd.p50)
    assert now.stages[0].start_day >= 10
    assert {each.reservation for each in now.replanned.stages} == {"block"}
    assert sum(each.cost_usd for each in now.replanned.reservations) == 0
    assert now.replanned.cost_usd.p90 == 0


def test_stages_to_come_wait_for_the_day_on_which_their_machines_are_there(tmp_path: Path) -> None:
    main = stage("main", "400B tokens", layout={"tp": 1, "pp": 1, "zero_stage": 1, "dp": 64})
    given = programme(stage("small", "5B tokens"), main)
    given["budget"] = {"start": "2027-02-01", "time": "60 days", "cost": "200k USD"}
    given["cluster"] = given["cluster"] | {"quotas": [{"gpus": 8}, {"gpus": 96, "from": "2027-02-21"}]}
    answer, now = tracked(given, tmp_path, 1.0)
    assert now.stages[1].start_day == answer.stages[1].opens_day == 20
    today = math.floor(now.day)
    (rest,) = now.replanned.stages
    assert rest.start_day == 20 - today
    assert rest.starts_on == date(2027, 2, 21)


def test_what_the_calendar_puts_on_one_quota_in_turn_stays_in_turn(tmp_path: Path) -> None:
    runs = [stage(name, "4750B tokens", after="none", layout={"tp": 1, "pp": 1, "dp": 96}) for name in ("one", "two")]
    runs = [run | {"training": run["training"] | {"global_batch": 960}} for run in runs]
    file, saved, log = tmp_path / "p.yaml", tmp_path / "p.json", tmp_path / "log"
    file.write_text(yaml.safe_dump(programme(*runs, budget={"time": "60 days", "confidence": 0.8})))
    answer = package.optimize_programme(file)
    saved.write_text(answer.to_json())
    first, second = sorted(answer.stages, key=lambda each: each.start_day)
    log.write_text(log_of(first, 0.5, slower=1.5))
    now = {each.name: each for each in package.track_programme(saved, {first.name: log}).stages}
    assert second.waits_for == (first.name,)
    assert now[second.name].start_day == pytest.approx(now[first.name].end_day.p50)
