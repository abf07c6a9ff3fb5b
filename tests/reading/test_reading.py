"""Whatever a file is, a command that is given it ends in one sentence, soon and in little memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from conftest import Ran
from fuzzing import sample
from interop_plans import answer

from planner.catalog import load_catalog
from planner.catalog.paths import data_dir
from planner.cli import output
from planner.files import csv_text
from planner.interop.train_logs import read_log
from planner.reading import opened, read_bytes, read_csv, read_json, read_text
from planner.report.catalog import listing_table
from planner.units import PlannerError

ROOT = Path(__file__).parents[2]
TABLES = ["energy/pue.csv", "costs/capex.csv", "fabrics/collectives.csv", "import/skypilot_names.csv"]
QUOTES = "cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour\nacme,h8,h100-sxm5-80gb,8,on_demand,2.5\n"
READERS = {"text": read_text, "CSV": read_csv, "JSON": read_json}


def one_sentence(ran: Ran) -> bool:
    return ran.code == 2 and ran.err.startswith("planner: ") and ran.err.count("\n") == 1 and len(ran.err) < 700


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_text_is_said_with_its_line(tmp_path, read):
    path = tmp_path / "file"
    for content, said in (
        (b"a\nb\xff\n", "file, line 2: not UTF-8 text (byte 0xff)"),
        (b"a\n\nb\0\n", "file, line 3: a zero byte"),
        (b"a\nb\x1b[2J\n", "file, line 2: a control character (U+001B)"),
        ("a\nb\u202e\n".encode(), "file, line 2: a control character (U+202E)"),
        ("x".encode("utf-16"), "file, line 1: "),
    ):
        path.write_bytes(content)
        with pytest.raises(PlannerError) as error:
            read(path)
        assert said in str(error.value)
        assert str(error.value).isprintable()


@pytest.mark.parametrize("read", [*READERS.values(), lambda path: list(read_log(path))], ids=[*READERS, "log"])
def test_endless_and_huge_files_end_soon_in_little_memory(tmp_path, read):
    huge, fifo = tmp_path / "huge", tmp_path / "fifo"
    with huge.open("wb") as file:
        file.truncate(3_000_000_000)  # of zero bytes, none of which is on the disk
    os.mkfifo(fifo)
    tracemalloc.start()
    for path in (Path("/dev/zero"), tmp_path, huge):
        with pytest.raises(PlannerError, match=r"device|folder|more than|no line ends"):
            read(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


def test_a_pipe_that_nobody_writes_into_is_empty(tmp_path, monkeypatch):
    monkeypatch.setattr("planner.reading.text.PATIENCE_S", 0.05)
    os.mkfifo(tmp_path / "fifo")
    assert read_bytes(tmp_path / "fifo") == b""


def test_a_pipe_is_read_as_a_file_is():
    code = "from pathlib import Path; from planner.reading import read_text; print(len(read_text(Path('/dev/stdin'))))"
    ran = subprocess.run([sys.executable, "-c", code], input=b"x" * 300_000, capture_output=True, cwd=ROOT, check=True)
    assert int(ran.stdout) == 300_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a,b\n1,2,3\n", r"line 2: 3 cells, the header has 2; a text that holds a comma stands in double quotes"),
        ("a,b\n1\n", r"line 2: 1 cells, the header has 2"),
        ("a,a,b\n", r"line 1: column 'a' stands twice"),
        ("a\n", r"line 1: column 'b' is missing; found a"),
        ("", r"line 1: column 'a' is missing; found none"),
        ("a,b\n1," + "x" * 140_000 + "\n", r"line 2: cannot be read as CSV \(field larger than field limit"),
        ('a,b\n1,"' + "x\n" * 70_000, r"line \d+: cannot be read as CSV"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(tmp_path, content, said):
    path = tmp_path / "t.csv"
    path.write_text(content)
    with pytest.raises(PlannerError, match=said) as error:
        read_csv(path, ("a", "b"))
    assert len(str(error.value)) < 500


def test_texts_that_spreadsheets_take_for_formulas_stay_texts_and_numbers_numbers(tmp_path):
    cells = ["=1+1", "+x", "-x", "@x", "\t=x", "'=x", "'tis", "x=1", "-5", "+1e3", "", "a,b", 'a"b']
    path = tmp_path / "t.csv"
    path.write_text(csv_text([["name", "n"], *([cell, -2.5] for cell in cells)]))
    written = [line.split(",")[0].strip('"') for line in path.read_text().splitlines()[1:]]
    assert not [cell for cell in written if cell.lstrip().startswith(("=", "+x", "-x", "@"))]
    assert written[8:10] == ["-5", "+1e3"]
    assert [row["name"] for row in read_csv(path).rows()] == cells
    assert {row["n"] for row in read_csv(path).rows()} == {"-2.5"}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_ones_own_has_the_form_of_the_shipped_one(tmp_path, planner, table):
    lines = (data_dir() / table).read_text().splitlines()
    path = tmp_path / "mine" / table
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines[:3]) + "\n")
    assert planner("catalog", "check", "--catalog", tmp_path / "mine").code == 0
    path.write_text("\n".join([lines[0][:9], *lines[1:3]]) + "\n")
    ran = planner("catalog", "check", "--catalog", tmp_path / "mine")
    assert one_sentence(ran)
    assert f"{path}, line 1: column" in ran.err


def test_a_word_where_a_table_has_numbers_is_said_with_its_line(tmp_path):
    head, row, *_ = (data_dir() / "fabrics/collectives.csv").read_text().splitlines()
    place = head.split(",").index("busbw_gbyte_per_s")
    (tmp_path / "fabrics").mkdir()
    for value, said in (("1.2.3", "must be a number, found '1.2.3'"), ("0", "must be a number above 0, found '0'")):
        cells = row.split(",")
        cells[place] = value
        (tmp_path / "fabrics/collectives.csv").write_text(f"{head}\n{','.join(cells)}\n")
        with pytest.raises(PlannerError, match=f"line 2: busbw_gbyte_per_s {said}"):
            load_catalog([tmp_path]).curves  # noqa: B018


@pytest.mark.parametrize(
    "row",
    ["m5.large,,,0.1,,us,", "x,H100,abc,1,,us,", "x,H100,1e9,1,,us,", "x,H100,8,1.2.3,,us,", "x,H100,8,1,,us,1.2.3"],
)
def test_skypilot_rows_of_any_kind_are_kept_or_said(tmp_path, planner, row):
    (tmp_path / "sky" / "aws").mkdir(parents=True)
    head = "InstanceType,AcceleratorName,AcceleratorCount,Price,SpotPrice,Region,GpuInfo"
    (tmp_path / "sky" / "aws" / "vms.csv").write_text(f"{head}\n{row}\n")
    ran = planner("catalog", "import", tmp_path / "sky", "--as-of", "2026-01-01", "--to", tmp_path / "x")
    assert ran.code == 0 or one_sentence(ran)


@pytest.mark.parametrize(
    "ramp", [[1, 1, 10**17], [1, 1, 10**400], [10**17, 1, 1], [0, 0, 0], [1, 2], [1536, 10**17, 10**17], [1, 0, 5]]
)
def test_a_ramp_that_no_run_has_is_refused_in_a_saved_plan(tmp_path, planner, ramp):
    document = json.loads(answer().to_json())
    document["trained"]["batch_ramp"] = ramp
    (tmp_path / "plan.json").write_text(json.dumps(document))
    ran = planner("export", tmp_path / "plan.json", "--to", "neox", "-o", tmp_path / "out")
    assert one_sentence(ran)
    assert "batch_ramp" in ran.err


@pytest.mark.parametrize("to", ["/dev/null", "/dev/null/x", "n" * 300, "n/" * 3000])
def test_places_that_cannot_be_written_are_one_sentence(tmp_path, planner, to, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("q.csv").write_text(QUOTES)
    Path("plan.json").write_text(answer().to_json())
    for words in (
        ("catalog", "import", "q.csv", "--as-of", "2026-01-01", "--to"),
        ("export", "plan.json", "--to", "neox", "-o"),
    ):
        assert one_sentence(planner(*words, to))
    assert one_sentence(planner("optimize", to))


def test_a_cloud_whose_name_is_a_path_is_left_out(tmp_path, planner):
    quotes = tmp_path / "q.csv"
    quotes.write_text(QUOTES.replace("acme", "../../x"))
    planner("catalog", "import", quotes, "--as-of", "2026-01-01", "--to", tmp_path / "a" / "b" / "c")
    assert {path.name for path in tmp_path.rglob("*.csv")} == {"q.csv", "2026-01-01-q.csv"}


def shell(words: str) -> subprocess.CompletedProcess[str]:
    command = f"'{sys.executable}' -m planner {words}"
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("where", [">&-", "1</dev/null", "| true"])
def test_a_closed_standard_output_ends_silently(where):
    ran = shell(f"schema {where}")
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
def test_a_full_disk_is_one_sentence(planner):
    said = "No space left on device\n"
    ran = shell("schema >/dev/full")
    assert (ran.returncode, ran.stderr) == (2, f"planner: the answer could not be written: {said}")
    assert planner("schema", "-o", "/dev/full").err == f"planner: cannot write /dev/full: {said}"


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plan, a programme's, and what accounting and short runs say, as files."""
    folder = tmp_path_factory.mktemp("given")
    for name in (
        "plan.json",
        "plan.programme.json",
        "plan.whole.json",
        "sacct.txt",
        "focus.csv",
        "train.log",
        "day.csv",
    ):
        (folder / name).write_bytes(sample(name))
    return folder


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
@pytest.mark.parametrize(
    "words",
    [
        "track {0}/plan.json --sacct {0}/sacct.txt",
        "track {0}/plan.json --focus {0}/focus.csv",
        "track {0}/plan.programme.json --log main={0}/train.log",
        "probe {0}/plan.json",
        "simulate {0}/plan.whole.json --worlds 100",
        "catalog import {0}/day.csv --to {0}/own --replace --dry-run",
    ],
)
def test_newer_commands_end_as_the_others_where_nobody_reads_or_the_disk_is_full(given, words):
    called = words.format(given)
    for where in (">&-", "| true"):
        ran = shell(f"{called} {where}")
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    ran = shell(f"{called} >/dev/full")
    assert (ran.returncode, ran.stderr) == (2, "planner: the answer could not be written: No space left on device\n")


@pytest.mark.parametrize("command", ["simulate", "export", "compare"])
def test_the_answer_of_a_programme_is_told_where_the_plan_of_one_run_is_asked_for(planner, given, tmp_path, command):
    more = {"export": ["--to", "neox", "-o", tmp_path / "x"], "compare": [given / "plan.json"]}.get(command, [])
    ran = planner(command, given / "plan.programme.json", *more)
    assert one_sentence(ran)
    assert "the answer of a programme of several runs" in ran.err


@pytest.mark.parametrize("size", [3 << 30, None])
def test_a_schema_of_any_size_in_the_way_of_a_start_is_one_sentence(planner, tmp_path, size):
    if size is None:
        (tmp_path / "schema.json").symlink_to("/dev/zero")
    else:
        with (tmp_path / "schema.json").open("wb") as file:
            file.truncate(size)
    words = ["--model", "llama3-8b", "--gpus", "8 x h100", "--data", "1B tokens", "--budget", "14 days"]
    ran = planner("init", tmp_path / "s.yaml", *words)
    assert one_sentence(ran)
    assert "is there already and is not planner's" in ran.err


def test_a_journal_of_any_size_in_a_catalog_is_one_sentence(planner, tmp_path):
    with (tmp_path / ".planner-journal").open("wb") as file:
        file.truncate(3 << 30)
    assert one_sentence(planner("catalog", "check", "--catalog", tmp_path))


def test_a_terminal_shows_no_control_that_is_not_planners_own(capsys):
    output.emit("a\x1b[2Jb\u202ec\x07d \x1b[31mred\x1b[0m\ttab\n\x9b1m\r")
    assert capsys.readouterr().out == "a·[2Jb·c·d \x1b[31mred\x1b[0m\ttab\n·1m·\n"


def test_json_says_what_is_not_seen_by_its_code(tmp_path, planner):
    (tmp_path / "sources.yaml").write_text('a: {title: "x\u200bname", as_of: 2026-01-01}\n')
    found = load_catalog([tmp_path]).sources
    assert found["a"]["title"] == "x\u200bname"
    from planner.results.json_form import dumps

    assert dumps({"name": "a\u202eb\x9b"}) == '{\n  "name": "a\\u202eb\\u009b"\n}\n'
    assert listing_table("gpus", [], 80) is not None


def test_a_file_that_was_opened_is_closed(tmp_path):
    (tmp_path / "x").write_text("x")
    with opened(tmp_path / "x") as file:
        assert file.read() == b"x"
    assert file.closed
