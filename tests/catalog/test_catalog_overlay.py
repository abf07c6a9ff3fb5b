"""A user's facts: field by field over ours, from three places, never overwritten; and the command that shows them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from planner.catalog import eligible_offers, load_catalog
from planner.catalog.checks import check_catalog
from planner.catalog.overlay import config_catalog, overlay_dirs
from planner.cli.run import run
from planner.spec.scenario import Cluster
from planner.units import PlannerError


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    folder = tmp_path / "mine"
    (folder / "accelerators").mkdir(parents=True)
    (folder / "accelerators" / "h100-sxm5-80gb.yaml").write_text(
        "tdp_w: 650\nmatmul_tflops:\n  bf16: {value: 720, kind: measured, note: our own run}\n"
    )
    (folder / "accelerators" / "n100.yaml").write_text(
        "name: A new one\nvendor: acme\nfamily: hopper\nmemory_gb: 100\nmemory_bw_gbyte_per_s: 4000\n"
        "peak_dense_tflops: {bf16: 1000}\n"
    )
    (folder / "prices" / "2026-11-25").mkdir(parents=True)
    (folder / "prices" / "2026-11-25" / "nebius.csv").write_text(
        "cloud,instance,node,region,gpu,gpus,pricing,usd_per_machine_hour_low\n"
        "nebius,gpu-h100-sxm_8gpu-128vcpu-1600gb,nebius-8x-h100,eu-north1,h100-sxm5-80gb,8,on_demand,20.8\n"
        "acme,x8,,here,n100,8,on_demand,16\n"
    )
    return folder


def test_the_users_fields_win_and_the_others_stay(mine: Path) -> None:
    ours, theirs = load_catalog().accelerator("h100-sxm5-80gb"), load_catalog([mine]).accelerator("h100-sxm5-80gb")
    assert (theirs.tdp_w, theirs.matmul_tflops["bf16"]) == (650, 720)
    assert theirs.matmul_tflops["fp8"] == ours.matmul_tflops["fp8"]
    assert theirs.peak_dense_tflops == ours.peak_dense_tflops


def test_a_new_accelerator_and_a_price_take_five_lines_each(mine: Path) -> None:
    catalog = load_catalog([mine])
    offers = {offer.id: offer for offer in eligible_offers(catalog, Cluster()).offers}
    assert offers["acme/x8/here/on_demand"].usd_per_gpu_hour == 2
    ours = offers["nebius/gpu-h100-sxm_8gpu-128vcpu-1600gb/eu-north1/on_demand"]
    assert (ours.usd_per_gpu_hour, ours.quality) == (2.6, "user")


def test_the_examples_of_the_page_are_a_catalog(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "catalog.md").read_text("utf-8")
    blocks = dict(re.findall(r"### Add a (GPU|node|price)\n.*?```(?:yaml|csv)\n(.*?)```", page, re.DOTALL))
    places = {"GPU": "accelerators/n100.yaml", "node": "nodes/acme-8x-n100.yaml", "price": "prices/2026-12-01/acme.csv"}
    for name, place in places.items():
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text(blocks[name])
    catalog = load_catalog([tmp_path])
    assert check_catalog(catalog) == []
    (offer,) = eligible_offers(catalog, Cluster(gpus=("n100",))).offers
    assert (offer.usd_per_gpu_hour, offer.max_nodes, offer.hardware.fabric) == (2.2, None, "infiniband")


def test_the_last_folder_is_the_strongest(mine: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    (other / "accelerators").mkdir(parents=True)
    (other / "accelerators" / "h100-sxm5-80gb.yaml").write_text("tdp_w: 500\n")
    assert load_catalog([mine, other]).accelerator("h100-sxm5-80gb").tdp_w == 500
    assert load_catalog([other, mine]).accelerator("h100-sxm5-80gb").tdp_w == 650
    assert load_catalog([mine, other]).accelerator("h100-sxm5-80gb").matmul_tflops["bf16"] == 720


def test_the_three_places_in_their_order(tmp_path: Path) -> None:
    config, first, second, given = (tmp_path / name for name in ("config", "first", "second", "given"))
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(config)}
    assert overlay_dirs([given], environ) == (given,)
    config_catalog(environ).mkdir(parents=True)
    environ["PLANNER_CATALOG"] = os.pathsep.join([str(first), str(second)])
    assert overlay_dirs([given], environ) == (config / "planner" / "catalog", first, second, given)
    assert overlay_dirs([first], environ) == (config / "planner" / "catalog", second, first)


@pytest.mark.parametrize(
    ("platform", "environ", "path"),
    [
        ("linux", {"HOME": "/u"}, "/u/.config/planner/catalog"),
        ("linux", {"HOME": "/u", "XDG_CONFIG_HOME": "/x"}, "/x/planner/catalog"),
        ("darwin", {"HOME": "/u"}, "/u/Library/Application Support/planner/catalog"),
        ("win32", {"HOME": "/u", "APPDATA": "/a"}, "/a/planner/catalog"),
    ],
)
def test_the_config_folder_follows_the_platform(platform: str, environ: dict[str, str], path: str) -> None:
    assert config_catalog(environ, platform).as_posix() == path


def test_an_overlay_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlannerError, match="is not a folder"):
        load_catalog([tmp_path / "nowhere"])


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("PLANNER_CATALOG", raising=False)


@pytest.mark.usefixtures("alone")
def test_show_says_which_folder_a_value_came_from(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "show", "h100-sxm5-80gb", "--catalog", str(mine), "--json"]) == 0
    fields = {row["field"]: row for row in json.loads(capsys.readouterr().out)["fields"]}
    assert (fields["tdp_w"]["layer"], fields["tdp_w"]["kind"]) == ("mine", "user")
    assert fields["matmul_tflops.bf16"]["note"] == "our own run"
    assert (fields["memory_gb"]["layer"], fields["memory_gb"]["as_of"]) == ("shipped", "2026-07-30")
    assert run(["catalog", "show", "h100-sxm5-80gb", "--catalog", str(mine)]) == 0
    lines = {line.split()[0]: line.split()[-1] for line in capsys.readouterr().out.splitlines() if line.strip()}
    assert (lines["tdp_w"], lines["memory_gb"]) == ("mine", "shipped")


@pytest.mark.usefixtures("alone")
def test_list_chooses_by_how_ids_begin_and_sorts(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "list", "--gpu", "h100", "--sort", "usd_per_gpu_hour", "--json"]) == 0
    prices = json.loads(capsys.readouterr().out)["prices"]
    usd = [row["usd_per_gpu_hour"] for row in prices]
    assert usd == sorted(usd)
    assert {row["gpu"] for row in prices} == {"h100-sxm5-80gb", "h100-pcie-80gb", "h100-nvl-94gb"}
    assert run(["catalog", "list", "--cloud", "awss"]) == 2
    assert "did you mean `aws`" in capsys.readouterr().err
    assert run(["catalog", "list", "--sort", "price"]) == 2
    assert "no column 'price'" in capsys.readouterr().err


@pytest.mark.usefixtures("alone")
def test_list_says_how_old_the_prices_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "list", "--cloud", "nebius", "--date", "2026-11-24"]) == 0
    assert "over 90 days old" in capsys.readouterr().out.replace("\n", " ")


@pytest.mark.usefixtures("alone")
def test_check_ends_with_2_when_it_finds_something(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["catalog", "check"]) == 0
    assert capsys.readouterr().out.startswith("No findings")
    bad = Path(__file__).parents[1] / "fixtures/catalog/known_bad"
    assert run(["catalog", "check", "--catalog", str(bad), "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)["findings"]) >= 10


@pytest.mark.usefixtures("alone")
def test_import_then_diff(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sky = str(Path(__file__).parents[1] / "fixtures/catalog/skypilot")
    mine = tmp_path / "mine"
    assert run(["catalog", "import", sky, "--as-of", "2026-11-25", "--to", str(mine), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["rows_read"] == 55
    assert document["reasons"]["price_floor: kept, not used"] == 2
    assert all(row["reason"] for row in document["rows"])
    assert run(["catalog", "diff", "2026-11-24", str(mine), "--cloud", "gcp", "--json"]) == 0
    changes = json.loads(capsys.readouterr().out)["changes"]
    assert {change["what"] for change in changes} >= {"new", "gone"}
    assert run(["catalog", "import", str(tmp_path / "nothing"), "--as-of", "2026-11-25"]) == 2
    assert run(["catalog", "diff", "2026-11-24", "2020-01-01"]) == 2


@pytest.mark.usefixtures("alone")
def test_an_import_without_a_place_goes_to_the_config_folder(tmp_path: Path) -> None:
    quotes = tmp_path / "quotes.csv"
    quotes.write_text("cloud,instance,gpu,gpus,pricing,usd_per_gpu_hour\nacme,x8,h100-sxm5-80gb,8,on_demand,2.50\n")
    assert run(["catalog", "import", str(quotes), "--as-of", "2026-11-25", "--dry-run"]) == 0
    assert not (tmp_path / "config").exists()
    assert run(["catalog", "import", str(quotes), "--as-of", "2026-11-25"]) == 0
    assert (tmp_path / "config/planner/catalog/prices/2026-11-25/quotes-acme.csv").is_file()
    assert "acme/x8/all/on_demand" in {
        offer.id for offer in eligible_offers(load_catalog(overlay_dirs()), Cluster()).offers
    }
