"""How the command starts, fails and ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import planner as package
from planner import files
from planner.cli import output, schema
from planner.units import PlannerError
from planner.words import speak

ROOT = Path(__file__).parents[2]


def command(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "planner", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=120,
        check=False,
        **options,
    )


def one_sentence(text: str) -> bool:
    return text.startswith("planner: ") and text.count("\n") == 1 and "Traceback" not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["optimise"], "Did you mean 'optimize'?"),
        (["--jsn"], "--jsn"),
        (["optimize"], "SCENARIO"),
        (["optimize", "no/such.yaml"], "no/such.yaml"),
        (["optimize", "."], "folder"),
        (["optimize", "scenarios/neox20b.yaml", "--date", "soon"], "--date"),
        (["iterations", "--samples"], "--samples"),
        (["schema", "extra"], "extra"),
        (["validate", "no/such.csv"], "no/such.csv"),
        (["optimize", "scenarios/neox20b.yaml", "--catalog", "no/such"], "'--catalog'"),
        (["export", "scenarios/neox20b.yaml", "--to", "neox", "-o", "out"], "neox20b.yaml: not a saved optimization"),
    ],
)
def test_a_wrong_command_line_is_exit_2_and_one_sentence(planner, arguments, said):
    ran = planner(*arguments)
    assert ran.code == 2
    assert said in ran.err
    assert one_sentence(ran.err)
    assert ran.out == ""


def test_without_arguments_the_help_is_shown(planner):
    ran = planner("--help")
    assert ran.code == 0
    assert "optimize" in ran.out
    assert ran.err == ""


def test_the_version_is_the_packages(planner):
    assert planner("--version").out == f"planner {package.__version__}\n"


def test_a_fault_of_ours_is_exit_1_in_one_sentence(planner, monkeypatch):
    monkeypatch.setattr(schema, "deliver", lambda *_, **__: 1 / 0)
    ran = planner("schema")
    assert ran.code == 1
    assert one_sentence(ran.err)
    assert "ZeroDivisionError" in ran.err


def test_a_fault_of_ours_shows_its_place_on_request(planner, monkeypatch):
    monkeypatch.setattr(schema, "deliver", lambda *_, **__: 1 / 0)
    monkeypatch.setenv("PLANNER_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        planner("schema")


def test_ctrl_c_ends_without_a_traceback(planner, monkeypatch):
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(schema, "deliver", interrupted)
    ran = planner("schema")
    assert ran.code == 128 + signal.SIGINT
    assert ran.err == ""


def test_a_reader_that_goes_away_is_no_fault():
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-m", "planner", "schema"],
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    os.close(writer)
    assert ran.returncode == 0
    assert ran.stderr == b""


def test_help_imports_neither_scipy_nor_pandas_nor_numpy():
    code = (
        "import sys; from planner.cli.run import run; run(['--help']); "
        "print([name for name in sys.modules if name in sys.argv[1:]])"
    )
    heavy = ["numpy", "scipy", "pandas", "matplotlib", "yaml", "rich", "babel"]
    ran = subprocess.run(
        [sys.executable, "-c", code, *heavy], capture_output=True, text=True, cwd=ROOT, timeout=120, check=True
    )
    assert ran.stdout.splitlines()[-1] == "[]"


def test_the_shell_can_complete_commands():
    environment = {**os.environ, "_PLANNER_COMPLETE": "complete_bash", "COMP_WORDS": "planner opt", "COMP_CWORD": "1"}
    assert "optimize" in command(env=environment).stdout.split()


@pytest.mark.parametrize("name", ["optimize", "iterations", "schema", "import"])
def test_every_command_has_an_example_in_its_help(planner, name):
    assert f"planner {name}" in planner(name, "--help").out.split("Example:")[1]


def test_output_is_saved_whole_and_said_on_standard_error(planner, tmp_path):
    target = tmp_path / "schema.json"
    ran = planner("schema", "-o", target)
    assert ran.code == 0
    assert ran.out == ""
    assert str(target) in ran.err
    assert target.read_text() == planner("schema").out


def test_a_place_that_cannot_be_written_is_the_users_mistake(planner, tmp_path):
    ran = planner("schema", "-o", tmp_path / "no" / "where.json")
    assert ran.code == 2
    assert one_sentence(ran.err)


def test_a_file_is_replaced_whole_or_kept(tmp_path, monkeypatch):
    target = tmp_path / "plan.json"
    target.write_text("old")
    monkeypatch.setattr(files.os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(PlannerError, match="No space left"):
        files.write_atomically(target, "new")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_and_permissions_survive_being_written_through(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    files.write_atomically(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_folder_is_refused_as_a_file(tmp_path):
    with pytest.raises(PlannerError, match="cannot write"):
        files.write_atomically(tmp_path, "text")


def test_no_colour_without_a_terminal_nor_with_no_color(monkeypatch):
    class Terminal:
        closed = False

        def isatty(self) -> bool:
            return True

    assert not output.colour()
    assert output.colour(Terminal())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.colour(Terminal())


def test_a_long_search_tells_the_time_on_a_terminal_only(monkeypatch, capsys):
    monkeypatch.setattr(output, "PATIENCE_S", 0.01)
    with output.working("searching"):
        time.sleep(0.7)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(output.sys.stderr, "isatty", lambda: True)
    said, deadline = "", time.monotonic() + 120
    with output.working("searching"):
        while "searching: " not in said and time.monotonic() < deadline:
            time.sleep(0.05)
            said += capsys.readouterr().err
    said += capsys.readouterr().err
    assert "searching: " in said
    assert said.endswith("\r\x1b[2K")
    with speak("zh"), output.working("搜索中"):
        while "秒" not in said and time.monotonic() < deadline:
            time.sleep(0.05)
            said += capsys.readouterr().err
    assert re.search(r"\r搜索中：\d+ 秒", said)
    capsys.readouterr()
    with output.working("searching", quiet=True):
        time.sleep(0.05)
    assert capsys.readouterr().err == ""
