"""A tool's table of keys, both ways: what an export writes is what an import reads of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from interop_plans import answer

from planner.interop.accelerate_assumptions import ACCELERATE
from planner.interop.assumptions import fields_of
from planner.interop.deepspeed_assumptions import CLUSTER, DEEPSPEED
from planner.interop.export_common import Export, export_of
from planner.interop.exporting import export_files
from planner.interop.fields import Field, nested, planned, yaml_lines
from planner.interop.imported import Imported
from planner.interop.importing import import_files
from planner.interop.key_kinds import by_name, table_of_keys
from planner.interop.megatron_assumptions import MEGATRON
from planner.interop.megatron_fields import EXPERTS, LATENT, MODEL
from planner.interop.nanotron_assumptions import TABLE as NANOTRON
from planner.interop.neox_fields import TABLE as NEOX
from planner.interop.peft import AXOLOTL
from planner.interop.torchtitan_assumptions import TABLE as TORCHTITAN
from planner.interop.values import Values, flat
from planner.results.answers import Optimization
from planner.results.plan import RunConditions
from planner.spec.model import MoESpec
from planner.units import PlannerError

TABLES = {"nanotron": NANOTRON, "torchtitan": TORCHTITAN}
#: Tables of tools that several keys of may mean the same: rows, framework, export, and the files of it that are read.
BOTH_WAYS: dict[str, tuple[Sequence[Field], str, str, Sequence[str]]] = {
    "neox": (NEOX, "gpt-neox", "neox", ("run.yml", "paths.yml")),
    "megatron": ((*fields_of(MEGATRON), *MODEL, *LATENT, *EXPERTS), "megatron", "megatron", ("train.sh",)),
    "deepspeed": ((*CLUSTER, *fields_of(DEEPSPEED)), "deepspeed", "deepspeed", ("ds_config.json", "accelerate.yaml")),
    "accelerate": ((*CLUSTER, *fields_of(ACCELERATE)), "fsdp", "accelerate", ("accelerate.yaml",)),
}
STATED = RunConditions(
    flash_attention=True, flash_generation=None, fused_or_compile=True, comm_overlap=True, recompute_share=None,
    shard_group=None,
)  # fmt: skip
#: Rows that none of these plans has: a window, a gate on shared experts, fp16.
NOT_WRITTEN = {
    "neox": {"sliding_window_width"},
    "megatron": {"moe-shared-expert-gate"},
    "deepspeed": {"fp16.enabled"},
}
HF = Path(__file__).parents[1] / "fixtures" / "interop" / "hf"
ALONE = {"tp": 1, "pp": 1}
#: Plans, which among them write every row: the tool, the model, the layout, and how the run is set up.
PLANS: Sequence[tuple[str, str, dict[str, Any], RunConditions]] = (
    ("neox", "gpt-neox-20b", {}, STATED),
    (
        "neox",
        "llama3-8b",
        {"tp": 2, "pp": 1, "zero_stage": 3, "recompute": "none"},
        replace(STATED, comm_overlap=False),
    ),
    ("neox", "ungated experts", {"pp": 1, "sequence_parallel": True}, STATED),
    ("megatron", "llama3-8b", {"sequence_parallel": True, "vpp": 2}, STATED),
    ("megatron", "deepseek-v3", {"tp": 1, "pp": 4, "dp": 16, "ep": 8, "recompute": "none"}, STATED),
    ("megatron", "gpt-oss-20b", {"tp": 1, "pp": 1, "dp": 16, "ep": 8, "recompute": "none"}, STATED),
    ("deepspeed", "llama3-8b", {**ALONE, "zero_stage": 3}, STATED),
    ("deepspeed", "llama3-8b", {**ALONE, "zero_stage": 1}, replace(STATED, comm_overlap=False, optimizer="lion")),
    ("accelerate", "llama3-8b", {**ALONE, "zero_stage": 3}, replace(STATED, shard_group=4)),
    ("accelerate", "llama3-8b", {**ALONE, "zero_stage": 2, "recompute": "none"}, STATED),
)
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


def saved(tool: str, model: str, layout: dict[str, Any], stated: RunConditions) -> Optimization:
    """A plan with what it assumes; of GPT-NeoX's own kind of experts there is no model in the catalog."""
    found = answer("pythia-1b" if model == "ungated experts" else model, BOTH_WAYS[tool][1], **layout)
    assert found.plan is not None
    assert found.trained is not None
    if model == "ungated experts":
        experts = MoESpec(experts=8, top_k=2, expert_ffn=8192, every=2)
        found = replace(found, trained=replace(found.trained, model=replace(found.trained.model, moe=experts)))
    return replace(found, plan=replace(found.plan, conditions=stated, precision="bf16"))


def said(found: Imported, means: str) -> Any:
    """What an import has for a scenario's key."""
    section, _, name = means.partition(".")
    part: Any = found.model
    for inner in name.split(".") if section == "model" else ():
        part = getattr(part, inner)
    return part if section == "model" else found.value(means)


def written_rows(tool: str, export: Export) -> list[Field]:
    """The rows that an export writes and that a scenario holds as they are."""
    alone = [row for row in BOTH_WAYS[tool][0] if row.means and not row.key.startswith("--")]
    return [row for row in alone if row.of(export) is not None and row.means != "layout.grad_accum"]


@pytest.mark.parametrize(("tool", "model", "layout", "stated"), PLANS)
def test_every_row_that_an_export_writes_is_read_back(
    tool: str, model: str, layout: dict[str, Any], stated: RunConditions, tmp_path: Path
) -> None:
    plan = saved(tool, model, layout, stated)
    export, (files, _) = export_of(plan), export_files(plan, BOTH_WAYS[tool][2])
    names = list(BOTH_WAYS[tool][3])
    if tool in ("deepspeed", "accelerate"):
        names.insert(0, "config.json")
        files["config.json"] = (HF / "llama-3.1-8b.json").read_text(encoding="utf-8")
    for name in names:
        (tmp_path / name).write_text(files[name], encoding="utf-8")
    found = import_files([tmp_path / name for name in names], gpus=export.plan.gpus)
    for row in written_rows(tool, export):
        expected = row.of(export) if row.means == "model.max_seq_length" else planned(export, row.means)
        assert said(found, row.means) == expected, row.key


@pytest.mark.parametrize("tool", BOTH_WAYS)
def test_every_row_of_a_table_is_written_by_some_plan(tool: str) -> None:
    written = {
        row.key for name, *plan in PLANS if name == tool for row in written_rows(tool, export_of(saved(name, *plan)))
    }
    rows = {row.key for row in BOTH_WAYS[tool][0] if row.means and not row.key.startswith("--")}
    assert rows - written == NOT_WRITTEN.get(tool, set()) | {"gradient_accumulation_steps"} & rows


@pytest.mark.parametrize("table", [*(rows for rows, *_ in BOTH_WAYS.values()), AXOLOTL], ids=[*BOTH_WAYS, "axolotl"])
def test_no_key_stands_twice_in_a_table(table: Sequence[Field]) -> None:
    keys = [row.key for row in table]
    assert len(set(keys)) == len(keys)


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


def test_of_several_keys_that_mean_the_same_the_first_that_says_it_counts() -> None:
    rows = (
        Field("strategy", "layout.zero_stage", None, read=lambda word, _: {"full": 3}.get(str(word))),
        Field("stage", "layout.zero_stage", None, least=0, most=3),
    )
    one = Values("a tool", "a.toml", {"strategy": "full", "stage": 1}, rows)
    assert [(t.value, t.origin) for t in one.stated("layout.zero_stage")] == [(3, "strategy, a.toml")]
    assert one.used == {"strategy"}
    other = Values("a tool", "a.toml", {"strategy": "auto", "stage": 1}, rows)
    assert [(t.value, t.origin) for t in other.stated("layout.zero_stage")] == [(1, "stage, a.toml")]
    assert Values("a tool", "a.toml", {"strategy": "auto"}, rows).stated("layout.zero_stage") == []


def test_the_first_file_that_states_a_key_and_does_not_leave_it_open_counts(tmp_path: Path) -> None:
    texts = {
        "config.json": (HF / "llama-3.1-8b.json").read_text(encoding="utf-8"),
        "ds.json": '{"train_batch_size": "auto", "zero_optimization": {"stage": 2}, "fp16": {"enabled": false}}',
        "accelerate.yaml": "distributed_type: DEEPSPEED\nnum_processes: 16\nmixed_precision: fp16\n"
        "deepspeed_config: {zero_stage: 3}\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    found = import_files([tmp_path / name for name in texts])
    said = {taken.key: (taken.value, taken.origin) for taken in found.taken}
    assert said["layout.zero_stage"] == (2, "zero_optimization.stage, ds.json")
    assert said["layout.dp"] == (16, "num_processes, accelerate.yaml")
    assert said["training.precision"] == ("fp16", "mixed_precision, accelerate.yaml")
    assert "training.global_batch" not in said


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
