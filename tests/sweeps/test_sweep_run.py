"""`planner sweep`: one table whoever solves it, rows equal to `optimize`, sweeps that go on where they stopped."""

from __future__ import annotations

import csv
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import planner.sweeps.run as running
from planner import api, search
from planner.catalog import load_catalog
from planner.interop.referenced_data import read_scenario
from planner.performance.loading import load_calibration
from planner.report.sweep import csv_text, sweep_table
from planner.sweeps.executors import dask, processes
from planner.sweeps.journal import journal_path
from planner.sweeps.run import prepare, run
from planner.sweeps.solving import OtherFactsError, solve
from planner.sweeps.table import COLUMNS, Over
from planner.units import PlannerError

ROOT = Path(__file__).parents[2]
PINNED = ROOT / "scenarios" / "neox20b-as-trained.yaml"
OVERS = ("budget.time=120 days,90 days,1 day", "training.iterations=100000,150000")
GRID = [word for over in OVERS for word in ("--over", over)]


@pytest.fixture(scope="module")
def serial() -> Any:
    """The sweep solved one variation after the other, in this process."""
    return run(prepare(PINNED, OVERS))


def test_processes_answer_byte_for_byte_as_one_after_the_other(serial):
    with processes(2) as pool:
        assert run(prepare(PINNED, OVERS), pool).to_json() == serial.to_json()


def test_unless_it_is_said_a_sweep_takes_a_process_a_core_and_none_for_one_variation(planner, monkeypatch):
    started = []
    monkeypatch.setattr("planner.sweeps.executors.usable_cores", lambda: 2)
    monkeypatch.setattr(
        "planner.sweeps.executors.processes", lambda jobs: started.append(jobs) or ThreadPoolExecutor(jobs)
    )
    for values, expected in (("1000,2000,3000", [2]), ("1000", [2])):
        ran = planner("sweep", PINNED, "--over", f"training.iterations={values}")
        assert ran.code == 0, ran.err
        assert started == expected


def test_a_dask_cluster_answers_byte_for_byte_as_one_after_the_other(serial):
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, processes=False, protocol="tcp", host="127.0.0.1", dashboard_address=None
        ) as cluster,
        dask(cluster.scheduler_address) as executor,
    ):
        for together in (1, 4):
            assert run(prepare(PINNED, OVERS), executor, together=together).to_json() == serial.to_json()


def test_a_row_is_what_optimize_answers(serial):
    assert len(serial.rows) == 6
    for row in serial.rows:
        overrides = [f"{over.key}={row[over.key]}" for over in serial.over]
        answer = api.optimize(api.load_scenario(PINNED, overrides))
        assert row["status"] == answer.status
        if answer.plan is None:
            assert row["reason"] == answer.infeasibility.reason
            assert row["least_time_s"] == answer.infeasibility.least_time_s
            assert row["gpus"] is None
        else:
            assert row["time_s_p50"] == answer.plan.time_s.p50
            assert row["cost_usd_p90"] == answer.plan.cost_usd.p90
            assert (row["offer"], row["gpus"], row["reason"]) == (answer.plan.offer.id, answer.plan.gpus, None)
    assert {row["status"] for row in serial.rows} == {"optimal", "infeasible"}


def test_rows_hold_the_varied_keys_with_their_units_and_the_same_columns_everywhere(serial):
    head = ("budget.time", "budget.time_s", "training.iterations", "status")
    assert all(tuple(row) == (*head, *COLUMNS) for row in serial.rows)
    assert [row["training.iterations"] for row in serial.rows] == [100000, 150000] * 3
    assert {row["budget.time_s"] for row in serial.rows} == {120 * 86400.0, 90 * 86400.0, 86400.0}
    known = [(row[name], kind) for row in serial.rows for name, kind in COLUMNS.items() if row[name] is not None]
    assert all(type(value) is kind or kind is str and isinstance(value, str) for value, kind in known)


def test_csv_and_json_tell_the_same(serial):
    rows = list(csv.DictReader(csv_text(serial).splitlines()))
    document = json.loads(serial.to_json())
    assert document["over"][0] == {"key": "budget.time", "values": ["120 days", "90 days", "1 day"]}
    for row, told in zip(document["rows"], rows, strict=True):
        for name, value in row.items():
            if isinstance(value, float):
                assert float(told[name]) == value
            else:
                words = {None: "", True: "true", False: "false"}
                assert told[name] == (str(value) if type(value) in (int, str) else words[value])


@pytest.mark.parametrize("width", [60, 80, 120])
def test_the_table_fits_the_page_and_says_why(serial, width):
    long = {"model.a_key_with_a_long_name": "a value of a good many words, such as a list of accelerators", "n": 1.5}
    over = (*(Over(key, (str(value),)) for key, value in long.items()), *serial.over)
    wide = replace(serial, over=over, rows=tuple({**long, **row} for row in serial.rows))
    assert max(map(len, sweep_table(wide, width).splitlines())) <= width
    text = sweep_table(serial, width)
    assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    assert re.search(r"≥ \d", text)
    assert "the fastest takes" in " ".join(text.split())


def test_a_wrong_variation_is_told_before_any_is_solved(planner, monkeypatch, tmp_path):
    monkeypatch.setattr(running, "solve", lambda _: pytest.fail("solved"))
    table = tmp_path / "grid.csv"
    for over, said in [
        ("budgt.time=1 day,2 days", "--over budgt.time=1 day: there is no key `budgt` here; did you mean `budget`?"),
        ("budget.time=10 days,3", "has no unit"),
        ("training.epochs=1,2", "exclude each other"),
    ]:
        ran = planner("sweep", PINNED, "--over", over, "-o", table)
        assert ran.code == 2
        assert said in ran.err
        assert ran.err.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_variation_that_cannot_be_planned_is_a_row(planner, tmp_path):
    table = tmp_path / "grid.json"
    yaml = PINNED.read_text().replace("  own_only: true\n", "")
    scenario = tmp_path / "rented.yaml"
    scenario.write_text(yaml)
    ran = planner("sweep", scenario, "--over", "cluster.pricing=reserved,on_demand", "-o", table, "--jobs", 1)
    assert ran.code == 0, ran.err
    first, second = json.loads(table.read_text())["rows"]
    assert (first["status"], second["status"]) == ("bad_input", "optimal")
    assert "reserved" in first["reason"]
    assert "cannot be planned" in ran.out


def test_an_interrupted_sweep_goes_on_where_it_stopped(planner, monkeypatch, tmp_path, serial):
    table, solved = tmp_path / "grid.csv", []

    def until_the_third(task: Any) -> Any:
        if len(solved) == 2:
            raise KeyboardInterrupt
        solved.append(task.key)
        return solve(task)

    monkeypatch.setattr(running, "solve", until_the_third)
    stopped = planner("sweep", PINNED, *GRID, "-o", table, "--jobs", 1)
    assert stopped.code == 130
    assert "2 of 6 variations are kept" in stopped.err
    assert not table.exists()

    journal = journal_path(table)
    journal.write_bytes(journal.read_bytes() + b'{"key": "torn')
    again = []
    monkeypatch.setattr(running, "solve", lambda task: again.append(task.key) or solve(task))
    ran = planner("sweep", PINNED, *GRID, "-o", table, "--jobs", 1)
    assert ran.code == 0, ran.err
    assert (len(solved), len(again)) == (2, 4)
    assert not set(solved) & set(again)
    assert table.read_text() == csv_text(serial)

    whole = journal.read_bytes()
    ran = planner("sweep", PINNED, *GRID, "-o", table, "--json", "--quiet")
    assert len(again) == 4
    assert ran.out == serial.to_json()
    assert journal.read_bytes() == whole


def test_what_decides_an_answer_decides_its_key(tmp_path):
    (task,) = prepare(PINNED, ["budget.time=120 days"]).tasks
    (same,) = prepare(PINNED, ["budget.time=120 days"]).tasks
    (other,) = prepare(PINNED, ["budget.time=121 days"]).tasks
    moved = tmp_path / "moved.yaml"
    moved.write_text("# a comment\n" + PINNED.read_text())
    (commented,) = prepare(moved, ["budget.time=120 days"]).tasks
    newer = replace(task, facts=replace(task.facts, catalog_digest="0" * 64))
    assert task.key == same.key == commented.key
    assert len({task.key, other.key, newer.key}) == 3


def test_a_worker_with_another_catalog_is_refused():
    (task,) = prepare(PINNED, ["budget.time=120 days"]).tasks
    with pytest.raises(OtherFactsError, match="another catalog"):
        solve(replace(task, facts=replace(task.facts, catalog_digest="0" * 64)))


def test_any_executor_will_do_and_a_fault_leaves_it(monkeypatch):
    def broken(task: Any) -> Any:
        raise RuntimeError("a fault of ours")

    prepared = prepare(PINNED, ["budget.time=120 days,90 days"])
    monkeypatch.setattr(running, "solve_some", broken)
    with ThreadPoolExecutor(2) as pool, pytest.raises(RuntimeError, match="a fault of ours"):
        run(prepared, pool)


def test_a_process_that_the_system_ends_is_told():
    with pytest.raises(PlannerError, match="ended by the system"), processes(1) as pool:
        pool.submit(os.abort).result()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "at least one --over"),
        ((*GRID, "-o", "grid.txt"), ".csv, .json, .parquet"),
        ((*GRID, "--chart", "grid.pdf"), ".svg, .png, .html"),
        ((*GRID, "--scheduler", "nowhere"), "tcp://HOST:PORT"),
        ((*GRID, "--scheduler", "tcp://127.0.0.1:1", "--jobs", 2), "one of them"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_sentence(planner, arguments, said):
    if "nowhere" in arguments:
        pytest.importorskip("distributed")
    ran = planner("sweep", PINNED, *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1


def test_nothing_feasible_is_exit_3_and_a_chart_is_drawn_all_the_same(planner, tmp_path):
    chart = tmp_path / "grid.svg"
    ran = planner("sweep", PINNED, "--over", "budget.time=1 h,2 h", "--jobs", 1, "--chart", chart)
    assert ran.code == 3
    assert "infeasible" in ran.out
    assert "crosses: no plan" in chart.read_text()


def _hears_ctrl_c() -> None:
    """A shell's background job ignores Ctrl-C, and so does all that it starts: these tests, say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(os.name != "posix", reason="signals to a process group")
def test_ctrl_c_ends_every_process_and_keeps_what_is_solved(tmp_path):
    table = tmp_path / "grid.csv"
    journal = journal_path(table)
    whole = ROOT / "scenarios" / "neox20b.yaml"  # a search long enough for the interrupt to come in between
    command = [sys.executable, "-m", "planner", "sweep", str(whole), "--over", "budget.time=8..67 days:60"]
    ran = subprocess.Popen(
        [*command, "-o", str(table), "--jobs", "2"],
        start_new_session=True,
        preexec_fn=_hears_ctrl_c,  # noqa: PLW1509 - no thread of these tests holds a lock that it needs
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    deadline = time.monotonic() + 120
    while not (journal.exists() and b"\n" in journal.read_bytes()) and ran.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert ran.poll() is None, ran.communicate()[1]
    os.killpg(ran.pid, signal.SIGINT)
    said = ran.communicate(timeout=120)[1]
    assert ran.returncode == 130
    assert said.count("\n") == 1, said
    assert "of 60 variations are kept" in said
    assert not table.exists()


CHANGES = (
    ("budget.time=40 days", "budget.time=90 days", "budget.cost=40k", "budget.confidence=0.95", "objective=time"),
    ("training.epochs=0.5", "training.epochs=2", "training.global_batch=512", "training.precision=bf16"),
    ("layout.tp=2", "layout.memory_headroom=0.2", "cluster.max_gpus=64", "cluster.gpus=any", "data.seq_length=4096"),
    ("risk.checkpoint_interval=2h", "cluster.pricing=[on_demand, spot]", "cluster.clouds=[lambda]"),
    ("cluster.power_limit_w=300", "cluster.site=mine", "cluster.power_limit_w=500", "data.samples=20M"),
)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_variation_learnt_changes_no_answer_of_the_next(seed):
    rng = random.Random(seed)  # noqa: S311
    catalog, calibration = load_catalog(()), load_calibration(())
    like = None
    for _ in range(6):
        changes = [rng.choice(some) for some in rng.sample(CHANGES, rng.randint(1, 2))]
        scenario = read_scenario(ROOT / "scenarios" / "neox20b.yaml", changes, ())
        near, like = search.optimize_near(scenario, catalog, calibration, like)
        alone, _ = search.optimize_near(scenario, catalog, calibration)
        assert near.plan == alone.plan, changes
        assert near.infeasibility == alone.infeasibility, changes
        assert near.warnings == alone.warnings, changes
