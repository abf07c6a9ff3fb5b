"""Actuals: what Slurm or a cloud's bill says a run took, against its plan to the cent."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from interop_plans import answer

import planner as library
from planner.files import csv_text
from planner.interop.export_focus import COLUMNS
from planner.results.answers import Optimization, StatedGoal
from planner.results.plan import Billing, Quantiles
from planner.tracking.cents import allotted, cents, shares
from planner.units import PlannerError

DUMP = Path(__file__).parents[1] / "fixtures" / "sacct-60-jobs.txt"
HEAD = "JobID|JobName|State|Start|End|ElapsedRaw|NNodes|AllocTRES"
LAYOUT = {"tp": 1, "pp": 1, "dp": 8, "micro_batch": 4, "grad_accum": 8, "recompute": "none"}  # 8 GPUs at 2 USD


def plan_of(hours: float = 1000, gpus: int = 8, **changes: Any) -> Optimization:
    layout = {**LAYOUT, "dp": gpus}
    goal = StatedGoal("cost", None, None, 25_000.0, 0.8)
    saved = answer("pythia-1.4b", iterations=hours, step=3600.0, goal=goal, **layout)
    return replace(saved, plan=replace(saved.plan, **changes)) if changes else saved


def dump(tmp_path: Path, *rows: str, head: str = HEAD, name: str = "sacct.txt") -> Path:
    path = tmp_path / name
    path.write_text("\n".join([head, *rows]) + "\n")
    return path


def ran(
    job: str = "7",
    state: str = "COMPLETED",
    start: str = "2026-11-02T22:00:00",
    end: str = "2026-11-03T02:00:00",
    raw: int = 14400,
    tres: str | None = None,
) -> str:
    return f"{job}|neox|{state}|{start}|{end}|{raw}|1|{'cpu=96,gres/gpu=8,node=1' if tres is None else tres}"


def by_hand(path: Path) -> tuple[Any, Any]:
    """GPU-seconds by state and job, added up without planner: rows of jobs, each start once."""
    states, jobs = {}, {}
    rows = [line.split("|") for line in path.read_text().splitlines()]
    at = {name: i for i, name in enumerate(rows[0])}
    for row in rows[1:]:
        if "." in row[at["JobID"]]:
            continue
        tres = dict(part.split("=") for part in row[at["AllocTRES"]].split(",") if part)
        seconds = int(row[at["ElapsedRaw"]]) * int(tres.get("gres/gpu", 0))
        state = row[at["State"]].split()[0]
        states[state] = states.get(state, 0) + seconds
        jobs[row[at["JobID"]]] = jobs.get(row[at["JobID"]], 0) + seconds
    return states, jobs


def test_a_dump_of_sixty_jobs_is_reconciled_to_the_cent():
    saved = plan_of(300, gpus=80)
    found = library.reconcile(saved, sacct=DUMP)
    states, jobs = by_hand(DUMP)
    used = sum(states.values())
    assert len(found.by_job) == len(jobs) == 60
    assert found.gpu_hours.used == used / 3600
    assert found.cost_usd.used == (Decimal(used) * 2 / 3600).quantize(Decimal("0.01"))
    assert found.cost_usd.planned == Decimal("48000.00")  # 300 h x 80 GPUs x 2 USD
    assert found.cost_usd.left == found.cost_usd.planned - found.cost_usd.used
    assert {row.state: row.gpu_hours for row in found.by_state} == {s: v / 3600 for s, v in states.items()}
    assert {row.job: row.gpu_hours for row in found.by_job} == {job: v / 3600 for job, v in jobs.items()}
    lost = sum(states[name] for name in ("FAILED", "OUT_OF_MEMORY", "NODE_FAIL", "CANCELLED"))
    assert found.wasted.gpu_hours == pytest.approx(lost / 3600)
    assert abs(found.wasted.cost_usd - Decimal(lost) * 2 / 3600) <= Decimal("0.005")
    for part in (found.by_state, found.by_job, found.by_day):
        assert sum(row.cost_usd for row in part) == found.cost_usd.used
        assert sum(row.gpu_hours for row in part) == pytest.approx(found.gpu_hours.used)
    assert sum(row.planned_cost_usd for row in found.by_day) == found.cost_usd.planned
    assert sum(row.planned_gpu_hours for row in found.by_day) == pytest.approx(found.gpu_hours.planned)


def test_steps_repetitions_and_jobs_that_never_ran_cost_nothing(tmp_path):
    rows = [
        ran(),
        ran("7.batch"),
        ran("7.0"),
        ran(),
        ran("8", "CANCELLED by 1001", "None", "2026-11-03T01:00:00", 0, ""),
    ]
    found = library.reconcile(plan_of(), sacct=dump(tmp_path, *rows))
    assert (found.gpu_hours.used, found.rows, found.rows_left_out) == (32.0, 2, 3)
    assert found.cost_usd.used == Decimal("64.00")
    assert {row.state: row.kind for row in found.by_state} == {"COMPLETED": "finished", "CANCELLED": "wasted"}


def test_every_start_of_a_job_that_was_queued_again_counts(tmp_path):
    rows = [ran(state="NODE_FAIL"), ran(start="2026-11-03T03:00:00", end="2026-11-03T05:00:00", raw=7200)]
    found = library.reconcile(plan_of(), sacct=dump(tmp_path, *rows))
    (job,) = found.by_job
    assert (job.starts, job.state, job.gpu_hours, job.wasted_gpu_hours) == (2, "COMPLETED", 48.0, 32.0)


def test_a_job_that_runs_counts_until_the_dump_and_the_later_dump_replaces_it(tmp_path):
    running = ran(state="RUNNING", end="Unknown", raw=3600)
    found = library.reconcile(plan_of(), sacct=dump(tmp_path, running))
    assert found.gpu_hours.used == 8.0
    assert "1 job had not ended: it counts until the dump was made" in found.remarks
    assert library.reconcile(plan_of(), sacct=dump(tmp_path, running, ran())).gpu_hours.used == 32.0


def test_days_are_those_of_the_dumps_clock_or_of_utc_where_its_zone_is_told(tmp_path):
    path = dump(tmp_path, ran())
    days = {row.day: row.gpu_hours for row in library.reconcile(plan_of(), sacct=path).by_day if row.gpu_hours}
    assert days == {date(2026, 11, 2): 16.0, date(2026, 11, 3): 16.0}
    told = library.reconcile(plan_of(), sacct=path, zone="Europe/Berlin").by_day
    assert {row.day: row.gpu_hours for row in told if row.gpu_hours} == {
        date(2026, 11, 2): 24.0,
        date(2026, 11, 3): 8.0,
    }
    offset = dump(tmp_path, ran(start="2026-11-02T22:00:00+0100", end="2026-11-03T02:00:00+0100"))
    assert library.reconcile(plan_of(), sacct=offset).by_day == told


def test_a_suspended_job_is_paid_for_what_it_was_allocated(tmp_path):
    found = library.reconcile(plan_of(), sacct=dump(tmp_path, ran(raw=7201)))
    assert found.gpu_hours.used == 8 * 7201 / 3600
    assert [row.gpu_hours for row in found.by_day if row.gpu_hours] == [28804 / 3600, 28804 / 3600]


@pytest.mark.parametrize(
    ("head", "row", "gpus"),
    [
        (HEAD, ran(tres="gres/gpu:a100=4,gres/gpu:h100=8,node=1"), 12),
        (HEAD, ran(tres="gres/gpu:h100=8,gres/gpu=8"), 8),
        ("JobID|State|Start|Elapsed|NNodes|AllocGRES", "7|COMPLETED|2026-11-02T22:00:00|04:00:00|2|gpu:a100:4", 8),
        ("JobID|State|Start|Elapsed|AllocNodes", "7|COMPLETED|2026-11-02T22:00:00|04:00:00|3", 24),
        ("JobID|State|Start|End|AllocNodes|", "7|COMPLETED|1793660400|1793674800|1|", 8),
        (HEAD, ran(tres="cpu=96,node=1"), 8),  # a site that accounts no GPUs
    ],
)
def test_gpus_are_found_in_each_way_that_sites_write_them(tmp_path, head, row, gpus):
    found = library.reconcile(plan_of(), sacct=dump(tmp_path, row, head=head))
    assert found.gpu_hours.used == gpus * 4
    assert ("the dump tells no GPUs: nodes count as 8 each, as the plan's have" in found.remarks) is (
        "gres" not in row and "gpu:" not in row
    )


def test_only_the_runs_jobs_count_where_a_pattern_says_which(tmp_path):
    found = library.reconcile(plan_of(300, gpus=80), sacct=DUMP, jobs="neox-20b-sweep")
    assert {row.name for row in found.by_job} == {"neox-20b-sweep"}
    assert any("left out" in remark for remark in found.remarks)


def test_what_is_left_is_expected_to_waste_as_much_as_what_is_done(tmp_path):
    rows = [ran(), ran("8", "FAILED")]
    found = library.reconcile(plan_of(), sacct=dump(tmp_path, *rows))
    ahead = found.outlook
    assert ahead.gpu_hours == pytest.approx(64 + (8000 - 32) * 2)  # of two hours one was lost
    assert ahead.cost_usd == Decimal("128.00") + Decimal(2 * (8000 - 32) * 2)
    assert (ahead.budget_usd, ahead.within_budget) == (Decimal("25000.00"), False)


@pytest.mark.parametrize(
    ("rows", "head", "sentence"),
    [
        ([ran(raw="soon")], HEAD, "line 2: ElapsedRaw of job 7 is 'soon'; a whole number is wanted"),
        ([ran(start="yesterday")], HEAD, "line 2: Start of job 7 is 'yesterday'; 2026-11-03T10:00:00 is wanted"),
        ([ran(end="2026-11-01T00:00:00")], HEAD, "ends (2026-11-01T00:00:00) before it starts"),
        ([ran() + "|x"], HEAD, "9 cells, the header has 8; no cell may hold '|'"),
        ([ran("7.0")], HEAD, "no job in it; steps alone do not tell"),
        ([ran(tres="", raw=0)], HEAD, "none of the 1 jobs has run on a GPU"),
        (["1|2"], "JobID|State", "column 'Start' is missing"),
        (["7|COMPLETED|2026-11-02T22:00:00|60"], "JobID|State|Start|ElapsedRaw", "no column tells GPUs or nodes"),
        (["7|COMPLETED|2026-11-02T22:00:00|1"], "JobID|State|Start|NNodes", "no column ElapsedRaw, Elapsed or End"),
    ],
)
def test_a_dump_that_is_none_is_refused_with_what_to_write(tmp_path, planner, rows, head, sentence):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_of().to_json())
    told = planner("track", saved, "--sacct", dump(tmp_path, *rows, head=head))
    assert told.code == 2
    assert sentence in told.err


# --- cost exports ------------------------------------------------------------------------------------------------


def bill(tmp_path: Path, *rows: str, name: str = "focus.csv") -> Path:
    usual = {
        "BilledCost": "10", "EffectiveCost": "10", "BillingCurrency": "USD", "ChargeCategory": "Usage",
        "ChargePeriodStart": "2026-11-02T00:00:00Z", "ChargePeriodEnd": "2026-11-03T00:00:00Z",
        "ServiceCategory": "Compute", "ServiceName": "Machines", "ResourceId": "i-1", "ConsumedQuantity": "5",
        "ConsumedUnit": "Hours", "SkuId": "p4d.24xlarge", "Tags": '{"run": "neox"}',
    }  # fmt: skip
    path = tmp_path / name
    path.write_text(csv_text([tuple(usual), *(tuple({**usual, **row}.values()) for row in rows)]))
    return path


def test_a_bill_counts_what_was_billed_and_leaves_taxes_apart(tmp_path):
    rows = [
        {"BilledCost": "0.1", "ConsumedUnit": "GPU-Hours"},
        {"BilledCost": "0.2", "ConsumedUnit": "Hours"},  # of the plan's machines: 8 GPUs each
        {"BilledCost": "-0.05", "ChargeCategory": "Credit", "ConsumedQuantity": ""},
        {"BilledCost": "7.77", "ChargeCategory": "Tax", "ConsumedQuantity": ""},
        {"BilledCost": "3", "ServiceCategory": "Storage", "ConsumedUnit": "GB-Months", "ResourceId": "bucket"},
        {"BilledCost": "1", "SkuId": "m5.large", "ResourceId": "i-2"},
    ]
    found = library.reconcile(plan_of(), focus=bill(tmp_path, *rows))
    assert found.cost_usd.used == Decimal("4.25")  # decimal: 0.1 + 0.2 is 0.3
    assert found.tax_usd == Decimal("7.77")
    assert found.gpu_hours.used == 5 + 40
    assert any("do not say GPU-hours" in remark for remark in found.remarks)
    assert {row.state: row.cost_usd for row in found.by_state} == {
        "Usage, machines": Decimal("1.30"), "Usage, storage": Decimal("3.00"), "Credit, machines": Decimal("-0.05"),
    }  # fmt: skip
    assert sum(row.cost_usd for row in found.by_job) == found.cost_usd.used
    assert found.wasted is None
    assert found.outlook is None


def test_a_commitment_bought_ahead_counts_once(tmp_path):
    rows = [
        {"BilledCost": "100", "EffectiveCost": "0", "ChargeCategory": "Purchase", "ConsumedQuantity": ""},
        {"BilledCost": "0", "EffectiveCost": "60"},
        {"BilledCost": "0", "EffectiveCost": "40"},
    ]
    found = library.reconcile(plan_of(), focus=bill(tmp_path, *rows))
    assert found.cost_usd.used == found.effective_cost_usd == Decimal("100.00")


def test_rows_of_other_runs_and_currencies_are_told_apart(tmp_path):
    path = bill(tmp_path, {"BillingCurrency": "EUR"}, {"Tags": '{"run": "other"}'}, {"Tags": ""})
    found = library.reconcile(plan_of(), focus=path, tags={"run": "neox"}, rates={"EUR": "1.0845"})
    assert (found.cost_usd.used, found.rows, found.rows_left_out) == (Decimal("10.84"), 1, 2)  # 10.845, half to even
    with pytest.raises(PlannerError, match=r"costs are in EUR, the plan is in USD: add --rate EUR=1\.08"):
        library.reconcile(plan_of(), focus=path)
    with pytest.raises(PlannerError, match="no row of the cost export is of the run; 3 are of others"):
        library.reconcile(plan_of(), focus=path, tags={"run": "mine"})


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"BilledCost": "ten"}, "line 2: BilledCost is 'ten'"),
        ({"BilledCost": "NaN"}, "line 2: BilledCost is 'NaN'"),
        ({"BilledCost": ""}, "BilledCost is empty"),
        ({"ChargeCategory": "usage"}, "ChargeCategory 'usage' is not known; did you mean `Usage`?"),
        ({"ChargePeriodStart": "soon"}, "ChargePeriodStart is 'soon'"),
        ({"ChargePeriodEnd": "2026-11-01"}, "ChargePeriodEnd is before ChargePeriodStart"),
        ({"Tags": "[1]"}, "Tags is no map"),
    ],
)
def test_a_bill_that_is_none_is_refused_with_what_to_write(tmp_path, row, sentence):
    with pytest.raises(PlannerError) as refused:
        library.reconcile(plan_of(), focus=bill(tmp_path, row), tags={"run": "neox"})
    assert sentence in str(refused.value)


# --- the plan's own charges --------------------------------------------------------------------------------------


def exported(saved: Optimization, tmp_path: Path, **options: Any) -> tuple[Path, list[dict[str, str]]]:
    launch = library.export(saved, "focus", **options)
    (path,) = launch.write(tmp_path / "focus")
    return path, list(csv.DictReader(io.StringIO(launch.files["focus.csv"])))


@pytest.mark.parametrize("by", ["month", "day"])
@pytest.mark.parametrize("upfront", [0.0, 0.3, 1.0])
def test_the_plans_charges_read_back_to_the_plans_sum(tmp_path, by, upfront):
    saved = plan_of()
    cost = saved.plan.cost_usd.p50 + 77.777
    saved = replace(
        saved,
        plan=replace(
            saved.plan,
            cost_usd=Quantiles(cost * 0.9, cost, cost * 1.1),
            offer=replace(saved.plan.offer, upfront=upfront, pricing="reserved"),
            billing=Billing(16.0, 16.0, 0.0, 0.0, 0.0, storage_usd_per_hour=0.05, egress_usd=27.777),
        ),
    )
    path, rows = exported(saved, tmp_path, start="2026-11-20", by=by)
    assert tuple(rows[0]) == COLUMNS
    total = cents(cost)
    assert (
        sum(Decimal(row["BilledCost"]) for row in rows) == sum(Decimal(row["EffectiveCost"]) for row in rows) == total
    )
    found = library.reconcile(saved, focus=path, start="2026-11-20")
    assert (found.cost_usd.used, found.cost_usd.left) == (total, Decimal("0.00"))
    assert (found.gpu_hours.used, found.gpu_hours.left) == (8000.0, 0.0)
    months = {row["BillingPeriodStart"][:7] for row in rows}
    assert months == {"2026-11", "2026-12"}
    kinds = {(row["ChargeCategory"], row["ServiceCategory"]) for row in rows}
    assert ("Usage", "Storage") in kinds
    assert ("Usage", "Networking") in kinds
    assert (("Purchase", "Compute") in kinds) is (upfront > 0)
    if by == "day":
        assert len({row["ChargePeriodStart"] for row in rows}) == 42  # 1,000 hours are 41.7 days


def test_charges_need_a_first_day_and_no_other_export_takes_one(tmp_path, planner):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_of().to_json())
    told = planner("export", saved, "--to", "focus", "-o", tmp_path / "out")
    assert (told.code, "add --start 2027-02-01" in told.err) == (2, True)
    assert planner("export", saved, "--to", "slurm", "--start", "2026-11-02", "-o", tmp_path / "out").code == 2
    told = planner("export", saved, "--to", "focus", "--start", "2026-11-02", "-o", tmp_path / "out")
    assert told.code == 0
    told = planner("track", saved, "--focus", tmp_path / "out" / "focus.csv", "--json")
    assert json.loads(told.out)["cost_usd"] == {"planned": 16000.0, "used": 16000.0, "left": 0.0}


# --- beside a log, and as a command ------------------------------------------------------------------------------


def test_what_was_spent_moves_the_runs_forecast_and_its_budget(tmp_path, planner):
    saved, log = tmp_path / "plan.json", tmp_path / "train.log"
    saved.write_text(plan_of().to_json())
    said = (
        " samples/sec: 0.071 | iteration {0:8d}/    1000 | elapsed time per iteration (ms): 3600000.0 | lr: 1.0E-04 |\n"
    )
    log.write_text("".join(said.format(i) for i in range(1, 101)))
    dearer = dump(tmp_path, *(ran(str(job), raw=14400) for job in range(100)))  # 3,200 GPU-hours where 800 are logged
    alone = json.loads(planner("track", saved, "--log", log, "--json").out)
    both = json.loads(planner("track", saved, "--log", log, "--sacct", dearer, "--json").out)
    now = both["progress"]
    assert now["cost_so_far_usd"] == both["actuals"]["cost_usd"]["used"] == 6400.0
    assert alone["cost_so_far_usd"] == pytest.approx(1600, rel=0.02)
    more = now["cost_so_far_usd"] - alone["cost_so_far_usd"]
    assert now["cost_usd"]["p50"] - alone["cost_usd"]["p50"] == pytest.approx(more)
    assert now["budgets"][0]["p_within"] <= alone["budgets"][0]["p_within"]
    assert now["remaining_s"] == alone["remaining_s"]


def test_the_table_holds_sums_states_jobs_and_days_in_eighty_columns(tmp_path, planner):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_of(300, gpus=80).to_json())
    told = planner("track", saved, "--sacct", DUMP)
    assert told.code == 0
    assert max(map(len, told.out.splitlines())) <= 80
    for word in ("planned", "left", "wasted", "heading for", "NODE_FAIL", "8124869", "2026-11-05", "and 50 more"):
        assert word in told.out
    assert planner("track", saved, "--sacct", DUMP).out == told.out


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "give what says how the run went"),
        (["--sacct", DUMP, "--focus", DUMP], "give --sacct or --focus"),
        (["--sacct", DUMP, "--follow"], "--follow is of a training log"),
        (["--sacct", DUMP, "--zone", "Mars/Olympus"], "is no time zone that is known here"),
        (["--sacct", DUMP, "--jobs", "nothing"], "no job is called 'nothing'"),
        (["--focus", DUMP, "--rate", "EUR"], "KEY=VALUE is wanted"),
        (["--focus", DUMP, "--rate", "EUR=much"], "the USD of one EUR are wanted"),
        (["--focus", DUMP], "column 'BilledCost' is missing"),
        (["--sacct", "none.txt"], "there is no such file"),
    ],
)
def test_options_that_do_not_go_together_are_one_sentence(tmp_path, planner, options, sentence):
    saved = tmp_path / "plan.json"
    saved.write_text(plan_of().to_json())
    told = planner("track", saved, *options)
    assert (told.code, told.err.count("\n")) == (2, 1)
    assert sentence in told.err


# --- money -------------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.lists(st.fractions(-1000, 1000, max_denominator=3600), max_size=30))
def test_parts_in_cents_add_up_to_their_sum_and_are_within_a_cent(parts):
    found = allotted(parts)
    assert sum(found, Decimal(0)) == cents(sum(parts, Fraction(0)))
    assert all(abs(Fraction(each) - part) < Fraction(1, 100) for each, part in zip(found, parts, strict=True))


@settings(max_examples=30)
@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=20))
def test_shares_add_up_to_the_whole(whole, weights):
    found = shares(whole, weights)
    assert sum(found) == whole
    assert all(each >= 0 for each in found)


def test_equal_dumps_give_equal_bytes():
    one, other = (library.reconcile(plan_of(300, gpus=80), sacct=DUMP).to_json() for _ in range(2))
    assert one == other
