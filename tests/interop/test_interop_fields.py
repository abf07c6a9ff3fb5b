"""A tool's table of keys, both ways: what an export writes is what an import reads of it."""

from __future__ import annotations

from importlib.resources import files

import pytest
from interop_plans import answer

from planner.interop.export_common import Export, export_of
from planner.interop.fields import Field, nested, planned, yaml_lines
from planner.interop.kinds import by_name, table_of_keys
from planner.interop.nanotron_assumptions import TABLE as NANOTRON
from planner.interop.torchtitan_assumptions import TABLE as TORCHTITAN
from planner.interop.values import Values, flat
from planner.units import PlannerError

TABLES = {"nanotron": NANOTRON, "torchtitan": TORCHTITAN}
NUMBER, SWITCH = Field("section.number", "layout.tp", 1, most=8), Field("section.switch", "layout.recompute", False)
DATA = [path.name.removesuffix(".toml") for path in files("planner.interop").joinpath("tables").iterdir()]


def plan_of(tool: str) -> Export:
    return export_of(answer("llama3-8b", tool, tp=2, pp=2, dp=8, zero_stage=1 if tool == "nanotron" else 2))


@pytest.mark.parametrize("tool", TABLES)
def test_what_a_table_writes_of_a_plan_is_what_it_reads(tool: str) -> None:
    export = plan_of(tool)
    written = {row.key: row.of(export) for row in TABLES[tool]}
    read = Values(tool, "train", {key: value for key, value in written.items() if value is not None}, TABLES[tool])
    meant = [row.means for row in TABLES[tool] if row.means and written[row.key] is not None]
    assert len(meant) > 6
    assert {means: read.value(means) for means in meant} == {means: planned(export, means) for means in meant}


@pytest.mark.parametrize("tool", TABLES)
def test_no_key_stands_twice_in_a_table_and_none_means_what_another_does(tool: str) -> None:
    keys, meant = [row.key for row in TABLES[tool]], [row.means for row in TABLES[tool] if row.means]
    assert len(set(keys)) == len(keys)
    assert len(set(meant)) == len(meant)


def test_a_key_that_a_file_leaves_out_has_the_tools_default_and_says_so() -> None:
    values = Values("a tool", "a.toml", {}, (NUMBER,))
    (taken,) = values.take("layout.tp")
    assert (taken.key, taken.value, taken.origin) == ("layout.tp", 1, "a tool's default of section.number")
    assert values.used == {"section.number"}


def test_a_key_that_a_tool_requires_or_whose_value_makes_no_sense_is_named() -> None:
    with pytest.raises(PlannerError, match=r"a\.toml has no x, which a tool requires"):
        Values("a tool", "a.toml", {}, (Field("x", "layout.dp"),)).value("layout.dp")
    with pytest.raises(PlannerError, match=r"section\.number \(a\.toml\) is 9, outside"):
        Values("a tool", "a.toml", {"section.number": 9}, (NUMBER,)).value("layout.tp")
    with pytest.raises(PlannerError, match=r"section\.switch \(a\.toml\) is 'maybe', where true or false"):
        Values("a tool", "a.toml", {"section.switch": "maybe"}, (SWITCH,)).value("layout.recompute")


def test_a_key_that_nobody_reads_decides_at_any_value_but_its_default() -> None:
    row = Field("offload", default=False, decides="what memory holds")
    at_rest, moved = Values("a tool", "a", {"offload": False}, (row,)), Values("a tool", "a", {"offload": True}, (row,))
    assert (at_rest.deciding(), at_rest.used) == ({}, {"offload"})
    assert (moved.deciding(), moved.used) == ({"offload": "what memory holds"}, set())


def test_dotted_paths_and_nested_maps_are_two_forms_of_the_same() -> None:
    tree = {"a": {"b": 1, "c": {"d": "x"}}, "e": True}
    assert nested(flat(tree)) == tree
    assert yaml_lines(tree) == ["a:", "  b: 1", "  c:", '    d: "x"', "e: true"]


@pytest.mark.parametrize("name", DATA)
def test_tables_of_other_programs_names_are_read_and_hold_no_name_in_two_kinds(name: str) -> None:
    table = table_of_keys(name)
    assert table
    if isinstance(deciding := table.get("deciding"), dict):
        names = by_name(deciding) if name == "megatron" else deciding
        assert not names.keys() & table.get("irrelevant", frozenset())
