"""`planner catalog`: what is in it, and where each number comes from."""

from __future__ import annotations

import json

import pytest

KINDS = ["gpus", "nodes", "prices", "models", "sources"]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_listed_for_people_and_for_programs(planner, kind):
    rows = json.loads(planner("catalog", "list", kind, "--json").out)[kind]
    assert len(rows) > 5
    table = planner("catalog", "list", kind).out.splitlines()
    assert len(table) > len(rows)
    assert max(map(len, table)) <= 80


def test_prices_are_told_per_gpu_and_dated(planner):
    rows = json.loads(planner("catalog", "list", "prices", "--gpu", "h100-sxm5-80gb", "--json").out)["prices"]
    assert {row["gpu"] for row in rows} == {"h100-sxm5-80gb"}
    assert all(0 < row["usd_per_gpu_hour_least"] <= row["usd_per_gpu_hour"] for row in rows)
    assert all(row["as_of"] and row["source"] for row in rows)


def test_every_number_of_a_part_says_where_it_comes_from(planner):
    fields = json.loads(planner("catalog", "show", "h100-sxm5-80gb", "--json").out)["fields"]
    numbers = [field for field in fields if isinstance(field["value"], float)]
    assert len(numbers) > 8
    assert all(field["kind"] and field["source"] and field["as_of"] for field in numbers)


def test_a_part_shows_its_sources_to_people(planner):
    assert "mle-accelerator" in planner("catalog", "show", "h100-sxm5-80gb").out


def test_an_overlay_shows_up_as_its_own_layer(planner, tmp_path):
    mine = tmp_path / "mine"
    (mine / "accelerators").mkdir(parents=True)
    (mine / "accelerators" / "h100-sxm5-80gb.yaml").write_text("id: h100-sxm5-80gb\ntdp_w: 650\n")
    ran = planner("catalog", "show", "h100-sxm5-80gb", "--catalog", mine, "--json")
    field = next(field for field in json.loads(ran.out)["fields"] if field["field"] == "tdp_w")
    assert (field["value"], field["kind"], field["layer"]) == (650, "user", "mine")


def test_the_shipped_catalog_has_no_findings(planner):
    ran = planner("catalog", "check")
    assert (ran.code, ran.out) == (0, "No findings.\n")


def test_findings_are_exit_2(planner, tmp_path):
    mine = tmp_path / "mine"
    (mine / "accelerators").mkdir(parents=True)
    (mine / "accelerators" / "h100-sxm5-80gb.yaml").write_text("id: h100-sxm5-80gb\npeak_dense_tflops: {bf16: 1979}\n")
    ran = planner("catalog", "check", "--catalog", mine)
    assert ran.code == 2
    assert "h100-sxm5-80gb" in ran.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("list", "prises"), "did you mean `prices`"),
        (("list", "prices", "--cloud", "asw"), "did you mean `aws`"),
        (("list", "models", "--cloud", "aws"), "no cloud"),
        (("list", "prices", "--gpu", "h1000"), "h100-sxm5-80gb"),
        (("show", "h100"), "h100-sxm5-80gb"),
        (("list", "gpus", "--catalog", "no-such-folder"), "no-such-folder"),
    ],
)
def test_what_is_not_there_is_told_with_what_is(planner, arguments, said):
    ran = planner("catalog", *arguments)
    assert ran.code == 2
    assert said in ran.err
    assert ran.err.count("\n") == 1
