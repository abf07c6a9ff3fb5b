"""A process killed at any rename leaves all of an answer's files or none: at once, or as soon as anybody goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from interop_plans import answer
from programme_cases import programme, stage

from planner import files
from planner.catalog import load_catalog
from planner.files import finish, unguarded, write_all, write_atomically
from planner.results.answers import StatedGoal
from planner.units import PlannerError

ROOT = Path(__file__).parents[2]
QUOTES = "cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour\n" + "".join(
    f"{cloud},h8,h100-sxm5-80gb,8,on_demand,{{price}}\n" for cloud in ("acme", "bolt")
)
PRICES = (
    "cloud,instance,region,gpu,gpus,pricing,usd_per_machine_hour_low,usd_per_machine_hour_high,source,quality\n"
    "acme,h8,all,h100-sxm5-80gb,8,on_demand,28.0,28.0,quotes.csv,user\n"
)
ROWS = (
    "model,gpu,gpus,framework,precision,seq_len,global_batch_samples,micro_batch,tp,pp,dp,recompute,tokens_per_s_per_gpu\n"
    "llama3-8b,h100-sxm5-80gb,64,megatron,bf16,4096,512,2,1,1,64,none,{rate}\n"
)
# Runs its work in forks of one process, each killed before its Nth rename, until one comes through: first where no
# folder is, then in one that has older files. After each fork the folder is told as it is, and once it was finished.
HARNESS = """
import json, os, shutil, signal, sys
from pathlib import Path
from planner.files import finish
folder, older = Path(sys.argv[1]), json.loads(sys.argv[2])
{setup}
def guard(real, left):
    def call(*given, **named):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*given, **named)
    return call
def state():
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {{str(path.relative_to(folder)): path.read_text("utf-8", "replace") for path in files}}
def kills(before):
    told = []
    for number in range(1, 100):
        shutil.rmtree(folder, ignore_errors=True)
        for name, text in before.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        pid = os.fork()
        if pid == 0:
            left = [number]
            os.replace, os.rename = guard(os.replace, left), guard(os.rename, left)
            {work}
            os._exit(0)
        killed = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
        at_once = state()
        finish(folder)
        told.append([killed, at_once, state()])
        if not killed:
            return told
{work}  # so that every fork has its modules already
before = {{name: "old\\n" for name in sorted(state())[:-1]}} | {{"own.txt": "mine"}} | older
fresh, beside, later = kills({{}}), sorted(path.name for path in folder.parent.iterdir()), kills(before)
print("TOLD" + json.dumps([fresh, beside, before, later]))
"""


def killed(folder: Path, setup: str, work: str, older: dict[str, str]) -> Any:
    """(killed, files at once, files finished) of forks without a folder; what lies beside it; older files, forks."""
    code = HARNESS.format(setup=setup, work=work)
    words = [sys.executable, "-c", code, str(folder), json.dumps(older)]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.split("TOLD")[1])


def shown(files: Mapping[str, Any]) -> dict[str, Any]:
    return {name: text for name, text in files.items() if not name.rsplit("/", 1)[-1].startswith(".planner-")}


def export_of(folder: Path, tmp_path: Path) -> tuple[str, str]:
    plan = tmp_path / "plan.json"
    plan.write_text(answer().to_json())
    words = ["export", str(plan), "--to", "neox", "-o", str(folder), "--quiet"]
    return "from planner.cli.run import run; run(['--version'])", f"run({words!r})"


def import_of(folder: Path, tmp_path: Path) -> tuple[str, str]:
    quotes = tmp_path / "quotes.csv"
    quotes.write_text(QUOTES.format(price=2.5))
    words = ["catalog", "import", str(quotes), "--as-of", "2026-01-01", "--to", str(folder), "--replace"]
    return "from planner.cli.run import run; run(['--version'])", f"run({words!r})"


def proposal_of(folder: Path, _: Path) -> tuple[str, str]:
    files = {f"proposal.{kind}": kind.encode() for kind in ("html", "pdf", "xlsx", "md")}
    return "from planner.api.documents import ProposalFiles", f"ProposalFiles(None, {files!r}).write(folder)"


def calibration_of(folder: Path, tmp_path: Path) -> tuple[str, str]:
    rows = tmp_path / "own.csv"
    rows.write_text(ROWS.format(rate=12000))
    setup = (
        "from planner.performance import overlays; overlays.fit_of = lambda paths, shipped, there, benches: shipped\n"
        "from planner.performance.tables import read_table\n"
        f"rows = read_table(Path({str(rows)!r})).rows"
    )
    return setup, "overlays.refit(folder, [folder], overlays.add_rows(rows, 'own', folder))"


def probe_of(folder: Path, tmp_path: Path) -> tuple[str, str]:
    plan = tmp_path / "plan.json"
    plan.write_text(answer(goal=StatedGoal("cost", time_s=1e7, confidence=0.8), spread=1.2).to_json())
    words = ["probe", str(plan), "-o", str(folder), "--quiet"]
    return "from planner.cli.run import run; run(['--version'])", f"run({words!r})"


def programme_of(folder: Path, tmp_path: Path) -> tuple[str, str]:
    file = tmp_path / "programme.yaml"
    file.write_text(yaml.safe_dump(programme(stage("main"), stage("long"))))
    setup = f"from planner import propose; made = propose({str(file)!r}, formats='html,md', date='2026-12-01')"
    return setup, "made.write(folder)"


def start_of(folder: Path, _: Path) -> tuple[str, str]:
    words = ["init", str(folder / "s.yaml"), "--model", "llama3-8b", "--gpus", "8 x h100", "--data", "1B tokens"]
    words += ["--budget", "14 days", "--quiet"]
    return "from planner.cli.run import run; run(['--version'])", f"folder.mkdir(exist_ok=True); run({words!r})"


@pytest.mark.parametrize("kind", [export_of, import_of, proposal_of, calibration_of, probe_of, programme_of])
def test_a_killed_writer_leaves_everything_or_nothing(tmp_path, kind):
    folder = tmp_path / "place" / "out"
    folder.parent.mkdir()
    older = {}
    if kind is import_of:  # which reads what is there, to carry it on
        older = {"prices/2026-01-01/quotes-acme.csv": PRICES}
    if kind is calibration_of:
        older = {"measured/own.csv": ROWS.format(rate=11000), "calibration/fit.json": "{}"}
    fresh, beside, before, later = killed(folder, *kind(folder, tmp_path), older)
    *stopped, (_, whole, _) = fresh
    assert len(whole) >= 2
    assert stopped
    assert all(at_once in ({}, whole) for _, at_once, _ in stopped)  # a new folder: whole from the moment it is there
    assert beside == ["out"]  # what the killed left is taken away
    *stopped, (_, after, _) = later
    assert len(stopped) > len(whole)
    assert all(shown(finished) in (before, after) for *_, finished in stopped)
    assert shown(stopped[0][2]) == before
    assert shown(stopped[-1][2]) == after
    assert shown(after) == after  # nothing but the files is left


def test_a_killed_start_leaves_a_scenario_with_its_schema_or_neither(tmp_path):
    folder = tmp_path / "place" / "out"
    folder.parent.mkdir()
    (*stopped, (_, whole, _)), *_ = killed(folder, *start_of(folder, tmp_path), {})
    assert set(whole) == {"s.yaml", "schema.json"}
    assert len(stopped) >= 2
    assert all(shown(finished) in ({}, whole) for *_, finished in stopped)


def test_whoever_reads_a_catalog_finishes_it_first(tmp_path):
    parts = [(".planner-aaaa.part", "prices/2026-01-01/x.csv"), (".planner-bbbb.part", "imports/x.csv")]
    for part, name in parts:
        (tmp_path / part).write_text(name)
    (tmp_path / ".planner-journal").write_text(json.dumps(parts))
    load_catalog([tmp_path])
    assert (tmp_path / "prices/2026-01-01/x.csv").read_text() == "prices/2026-01-01/x.csv"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["imports", "prices"]


@pytest.mark.parametrize(
    "journal", ['[["secret", "x"]]', '[[".planner-a.part", "../x"]]', '[[".planner-a.part", "/x"]]', "[1]", "{", "\xff"]
)
def test_a_journal_that_is_none_of_planners_moves_nothing(tmp_path, journal):
    (tmp_path / "secret").write_text("s")
    (tmp_path / ".planner-a.part").write_text("a")
    (tmp_path / ".planner-journal").write_bytes(journal.encode("latin-1"))
    with pytest.raises(PlannerError, match="planner-journal says what to finish"):
        finish(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".planner-a.part", ".planner-journal", "secret"]


def test_a_refused_rename_leaves_what_was_there(tmp_path, monkeypatch):
    for name in "abc":
        (tmp_path / name).write_text("old")
    real, calls = Path.replace, []

    def replace(self, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 3:
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(PlannerError, match="Input/output error"):
        write_all(tmp_path, dict.fromkeys("abcd", "new"))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == dict.fromkeys("abc", "old")


def test_what_a_live_process_is_writing_is_left_alone(tmp_path):
    from fcntl import LOCK_EX, flock

    live, stale = tmp_path / ".planner-live.part", tmp_path / ".planner-dead.part"
    stale.write_text("")
    with live.open("w") as file:
        flock(file, LOCK_EX)
        write_atomically(tmp_path / "x", "x")
        assert sorted(path.name for path in tmp_path.iterdir()) == [".planner-live.part", "x"]


def test_an_apostrophe_of_ones_own_stays():
    assert [unguarded(text) for text in ("'=1+1", "'tis", "'", "=x", "'-5")] == ["=1+1", "'tis", "'", "=x", "'-5"]


def test_a_refused_write_puts_files_of_any_size_back_unread(tmp_path, monkeypatch):
    size = 3 * 2**30
    for name in ("a.bin", "b.bin"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(size)  # holes: no disk is used
    inode = (tmp_path / "a.bin").stat().st_ino
    renamed = files._rename

    def one_then_none(root: Path, todo: Any) -> None:
        renamed(root, list(todo)[:1])
        assert (tmp_path / "a.bin").read_text(encoding="utf-8") == "new"
        raise OSError("the disk is gone")

    monkeypatch.setattr(files, "_rename", one_then_none)
    with pytest.raises(PlannerError, match="the disk is gone"):
        write_all(tmp_path, {"a.bin": "new", "b.bin": "new", "c.txt": "new"})
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == {"a.bin": size, "b.bin": size}
    assert (tmp_path / "a.bin").stat().st_ino == inode


def test_what_another_process_clears_away_is_not_what_a_write_keeps(tmp_path, monkeypatch):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("old", encoding="utf-8")
    renamed = files._rename

    def cleared_then_refused(root: Path, todo: Any) -> None:
        files._clear(root)  # as another process does that begins to write here
        renamed(root, list(todo)[:1])
        raise OSError("the disk is gone")

    monkeypatch.setattr(files, "_rename", cleared_then_refused)
    with pytest.raises(PlannerError, match="the disk is gone"):
        write_all(tmp_path, {"a.txt": "new", "b.txt": "new"})
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        "a.txt": "old",
        "b.txt": "old",
    }
