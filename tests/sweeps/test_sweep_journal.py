"""A sweep's journal: whole lines count, whatever else is in it does not, and nothing that is there is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from planner.sweeps.journal import Journal
from planner.sweeps.table import bad_input
from planner.units import PlannerError

ENTRIES = {f"{number:064x}": bad_input(f"reason {number}, ünïcode “quoted”\nand broken") for number in range(4)}


def written(path: Path) -> bytes:
    path.unlink(missing_ok=True)
    with Journal(path) as journal:
        for key, columns in ENTRIES.items():
            journal.add(key, columns)
    return path.read_bytes()


@given(st.data())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_journal_cut_anywhere_gives_its_whole_lines_and_takes_more(tmp_path, data):
    path = tmp_path / "journal"
    whole = written(path)
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut])
    lines = whole[:cut].count(b"\n")
    with Journal(path) as journal:
        assert list(journal.known.items()) == list(ENTRIES.items())[:lines]
        journal.add("f" * 64, bad_input("more"))
    with Journal(path) as journal:
        assert list(journal.known) == [*list(ENTRIES)[:lines], "f" * 64]


@given(st.binary())
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_no_line_of_ours_is_left_aside(tmp_path, noise):
    path = tmp_path / "journal"
    whole = written(path)
    path.write_bytes(noise + b"\n" + whole)
    with Journal(path) as journal:
        assert journal.known == ENTRIES


@pytest.mark.parametrize("line", ["null", "[]", '{"key": 1, "columns": {}}', '{"key": "a", "columns": {"status": 1}}'])
def test_json_that_is_no_entry_is_left_aside(tmp_path, line):
    path = tmp_path / "journal"
    path.write_text(line + "\n")
    with Journal(path) as journal:
        assert journal.known == {}


def test_compacting_keeps_the_wanted_in_their_order(tmp_path):
    path = tmp_path / "journal"
    written(path)
    wanted = list(ENTRIES)[2:0:-1]
    with Journal(path) as journal:
        journal.compact(wanted)
    with Journal(path) as journal:
        assert list(journal.known) == wanted


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(PlannerError, match="cannot write"), Journal(tmp_path / "nowhere" / "journal"):
        pass


def test_a_device_or_another_file_in_its_place_is_told_and_left_as_it_is(tmp_path):
    (tmp_path / "zero").symlink_to("/dev/zero")
    with pytest.raises(PlannerError, match="a device or folder, where the journal of a sweep is kept"):
        Journal(tmp_path / "zero").__enter__()
    other = tmp_path / "other"
    with other.open("wb") as file:
        file.truncate(3 << 30)  # sparse: takes no room
    with pytest.raises(PlannerError, match="no journal of a sweep; move it away"):
        Journal(other).__enter__()
    assert other.stat().st_size == 3 << 30
