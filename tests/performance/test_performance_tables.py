"""Tables of runs as people hand them over: misnamed columns, cells that nothing can be made of, names nobody knows."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from planner.catalog import load_catalog
from planner.performance.columns import ALIASES, COLUMNS, near, unread
from planner.performance.loading import load_calibration
from planner.performance.predict import predict_rows
from planner.performance.rows import read_run
from planner.performance.tables import read_table
from planner.units import PlannerError

CATALOG, CALIBRATION = load_catalog(), load_calibration()
RUN = {
    "model": "llama3-8b", "gpu": "h100-sxm5-80gb", "gpus": "16", "seq_len": "8192", "global_batch_samples": "64",
    "micro_batch": "1", "tp": "1", "framework": "megatron",
}  # fmt: skip
EXPERTS = RUN | {
    "model": "my-own", "n_layers": "32", "hidden": "4096", "n_heads": "32", "experts": "8", "top_k": "2", "ep": "2",
}  # fmt: skip
NAMES = [name for column in COLUMNS for name in (column.name, *column.aliases)]
CONDITIONS = (
    "flash_attention", "sequence_parallel", "fused_or_compile", "recompute_share", "network_gbit_per_s_per_node",
    "power_limit_w", "optimizer_state_bytes", "shard_group", "comm_overlap", "site", "weight", "quality", "date",
    "kind",
)  # fmt: skip


def predicted(*rows: Mapping[str, str]) -> Any:
    return predict_rows(rows, CATALOG, CALIBRATION)


def written(path: Path, *rows: str) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)), restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.mark.parametrize("name", [name for name in NAMES if len(name) >= 6])
def test_a_letter_missing_doubled_or_swapped_is_a_near_miss(name: str) -> None:
    middle = len(name) // 2
    swapped = name[:middle] + name[middle + 1] + name[middle] + name[middle + 2 :]
    meant = next((column for column, aliases in ALIASES.items() if name in aliases), name)
    for wrong in (name[:middle] + name[middle + 1 :], name[:middle] + name[middle] + name[middle:], swapped):
        if wrong not in NAMES:
            assert near(wrong) == meant


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("recompte", "recompute"),
        ("zero_stge", "zero_or_fsdp"),
        ("Seq Len", "seq_len"),
        ("GPU", "gpu"),
        ("topk", "top_k"),
        ("num_layers", "n_layers"),
        ("batch_size", "global_batch_samples (of a step) or micro_batch"),
    ],
)
def test_a_misnamed_column_is_refused_with_the_right_name(planner, tmp_path, wrong, right):
    table = written(tmp_path / "rows.csv", RUN | {wrong: "1", "tokens_per_s_per_gpu": "9000"})
    for command in (("predict", "--rows"), ("validate",), ("calibrate", "--catalog", tmp_path / "mine")):
        ran = planner(*command, table)
        assert ran.code == 2
        assert ran.err == f"planner: {table}: column '{wrong}' is not known; write {right}\n"
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize(
    "name", ["sp", "cpu", "tps", "size", "nodes", "loss", "seed", "cluster", "run_id", "step_time_ms"]
)
def test_another_word_is_no_near_miss(name: str) -> None:
    assert name in NAMES or not near(name)


def test_conditions_to_come_are_known_columns() -> None:
    assert set(CONDITIONS) <= {column.name for column in COLUMNS if column.read}
    assert not unread([*CONDITIONS, "pred_lo", "why", "graphs", "fp8_attention"], "rows")


def test_other_columns_are_kept_and_named_once(planner, tmp_path):
    table = written(tmp_path / "rows.csv", *[RUN | {"owner": "me", "colour": "red"}] * 3)
    ran = planner("predict", table, "-o", tmp_path / "out.csv")
    assert (ran.code, ran.err.count("kept, not read: owner, colour\n")) == (0, 1)
    assert [row["colour"] for row in csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text()))] == ["red"] * 3


def test_what_planner_wrote_it_reads_again(planner, tmp_path):
    table, again = written(tmp_path / "rows.csv", RUN), tmp_path / "out.csv"
    assert planner("predict", table, "-o", again).code == 0
    ran = planner("predict", again, "-o", tmp_path / "twice.csv")
    assert (ran.code, ran.err) == (0, f"saved to {tmp_path / 'twice.csv'}\n")
    assert (tmp_path / "twice.csv").read_text() == again.read_text()


@pytest.mark.parametrize("framework", ["megatron", "gpt-neox", "fsdp", "deepspeed"])
@pytest.mark.parametrize("stage", ["0", "1", "2", "3", "3.0"])
def test_a_zero_stage_is_what_zero_or_fsdp_says(framework: str, stage: str) -> None:
    row = RUN | {"framework": framework}
    by_number, by_words = row | {"zero_stage": stage}, row | {"zero_or_fsdp": f"zero-{stage[0]}"}
    assert read_run(by_number, CATALOG, "row").layout.zero_stage == read_run(by_words, CATALOG, "row").layout.zero_stage
    first, second = predicted(by_number, by_words)
    assert first["pred_tokens_per_s_per_gpu"] == second["pred_tokens_per_s_per_gpu"]


def test_aliases_are_the_columns_that_they_stand_for() -> None:
    other = {"seq_length": "8192", "global_batch": "64"}
    plain, aliased = predicted(
        RUN, {k: v for k, v in RUN.items() if k not in ("seq_len", "global_batch_samples")} | other
    )
    assert plain["pred_lo"] == aliased["pred_lo"] != ""


@pytest.mark.parametrize(
    ("alias", "same", "other"),
    [
        ({"seq_length": "8192"}, {"seq_len": "8192.0"}, {"seq_len": "4096"}),
        ({"global_batch": "64"}, {"global_batch_samples": "64"}, {"global_batch_samples": "32"}),
        ({"zero_stage": "3"}, {"zero_or_fsdp": "fsdp"}, {"zero_or_fsdp": "zero-1"}),
    ],
)
def test_a_column_under_two_names_says_one_thing(planner, tmp_path, alias, same, other):
    assert planner("predict", written(tmp_path / "rows.csv", RUN | same | alias)).code == 0
    ran = planner("predict", written(tmp_path / "rows.csv", RUN, RUN | other | alias))
    assert (ran.code, ran.err.count("\n")) == (2, 1)
    assert all(word in ran.err for word in ("rows.csv: row 2", *alias, *other, "differ"))


def test_a_column_that_is_there_twice_is_refused(planner, tmp_path):
    table = tmp_path / "rows.csv"
    table.write_text("model,gpu,gpus,tp,tp,seq_len\nllama3-8b,h100-sxm5-80gb,8,1,2,2048\n")
    ran = planner("predict", table)
    assert (ran.code, ran.err) == (2, f"planner: {table}: column 'tp' is there twice; keep one of them\n")


HOSTILE = (
    "-1",
    "0",
    "1e308",
    "9" * 400,
    "inf",
    "1.5",
    "many",
    "  ",
    "🦙",
    "�",
    "x" * 5000,
    "=1+1",
    "0x10",
    "hsdp",
    "fp64",
)


@pytest.mark.parametrize("base", [RUN, EXPERTS, RUN | {"framework": "gpt-neox"}], ids=["dense", "experts", "gpt-neox"])
@pytest.mark.parametrize("column", [column.name for column in COLUMNS if column.read])
def test_whatever_stands_in_a_column_its_row_is_predicted_or_says_why(column: str, base: dict[str, str]) -> None:
    plain, *found, last = predicted(base, *(base | {column: value} for value in HOSTILE), base)
    assert plain["pred_lo"] == last["pred_lo"] != ""
    for number, (row, value) in enumerate(zip(found, HOSTILE, strict=True), 2):
        rates = [row[name] for name in ("pred_lo", "pred_tokens_per_s_per_gpu", "pred_hi")]
        if all(rates):
            assert 0 < float(rates[0]) < float(rates[1]) < float(rates[2]) < math.inf, value
        else:
            assert row["why"].startswith(f"row:{number}: "), value
            assert len(row["why"]) < 1000


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"zero_or_fsdp": "mostly"}, "zero_or_fsdp 'mostly' is not understood; write none, zero-1"),
        ({"zero_or_fsdp": "zero-10"}, "zero_or_fsdp 'zero-10' is not understood"),
        ({"precision": "fp8 and bf16"}, "is both bf16 and fp8; write one"),
        ({"precision": "int8"}, "precision 'int8' is none of"),
        ({"interconnect": "none"}, "interconnect 'none' is no network, but 16 GPUs"),
        ({"model": "caf�"}, "model 'caf�' is not UTF-8"),
    ],
)
def test_a_row_that_cannot_be_read_says_why(more: dict[str, str], why: str) -> None:
    bad, good = predicted(RUN | more, RUN)
    assert why in bad["why"]
    assert good["pred_lo"]


@pytest.mark.parametrize("written_so", ["no checkpointing", "not recomputed", "unknown", "n/a", "False", "0"])
def test_words_that_deny_recomputation_do_not_mean_it(written_so: str) -> None:
    assert read_run(RUN | {"recompute": written_so}, CATALOG, "row").layout.recompute == "none"


@pytest.mark.parametrize("framework", ["gpt-neox", "megatron-deepspeed"])
def test_a_precision_that_a_framework_does_not_train_in_is_said(framework: str) -> None:
    (row,) = predicted(RUN | {"framework": framework, "precision": "fp8"})
    assert "does not train in fp8: choose one of fp16, bf16" in row["why"]


@pytest.mark.parametrize(
    ("gpu", "precision", "instead"),
    [
        ("v100-sxm2-32gb", "bf16", "fp16"),
        ("a100-sxm4-80gb", "fp8", "bf16"),
        ("tpu-v5e", "fp16", "bf16"),
        ("h100-sxm5-80gb", "nvfp4", "fp8"),
    ],
)
def test_a_precision_that_a_part_lacks_is_said(gpu: str, precision: str, instead: str) -> None:
    (row,) = predicted(RUN | {"gpu": gpu, "precision": precision})
    assert f"{gpu} has no {precision} units; predicted at the rate of {instead}" in row["why"]


def test_a_byte_that_is_not_utf8_costs_its_row_alone(planner, tmp_path):
    head, row = ",".join((*RUN, "project")).encode(), ",".join(RUN.values()).encode()
    table = tmp_path / "rows.csv"
    table.write_bytes(
        b"\n".join((head, row + b",a", row.replace(b"llama3", b"ll\xe4ma3") + b",b", row + b",caf\xe9", row))
    )
    ran = planner("predict", table, "--json")
    first, second, third, fourth = json.loads(ran.out)["rows"]
    assert first["pred_lo"] == third["pred_lo"] == fourth["pred_lo"] is not None
    assert "model 'll�ma3-8b' is not UTF-8; save the table as UTF-8" in second["why"]
    assert ran.err == "row 3: bytes that are not UTF-8 are kept as �; save the table as UTF-8\n"


def test_a_table_of_another_encoding_is_told_as_one(planner, tmp_path):
    table = written(tmp_path / "rows.csv", RUN)
    table.write_bytes(table.read_text().encode("utf-16"))
    ran = planner("validate", table)
    assert (ran.code, ran.err) == (
        2,
        f"planner: {table}: its first line is not UTF-8 text; save the table as CSV in UTF-8\n",
    )


def test_a_comma_too_many_is_said_and_moves_no_column(planner, tmp_path):
    table = written(tmp_path / "rows.csv", RUN, RUN)
    head, first, second = table.read_text().splitlines()
    table.write_text("\n".join((head, first.replace("megatron", "megatron, patched"), second + ",,")))
    first, second = json.loads(planner("predict", table, "--json").out)["rows"]
    assert "has more cells than the table has columns" in first["why"]
    assert second["pred_lo"] is not None
    assert {*first} == {*second}


def test_validation_leaves_out_what_it_cannot_read_and_says_so(planner, tmp_path):
    measured = RUN | {"tokens_per_s_per_gpu": "9000"}
    bad = ({"zero_or_fsdp": "mostly"}, {"gpu": "h10"}, {"precision": "int8"})
    table = written(tmp_path / "own.csv", measured, *(measured | more for more in bad), measured)
    ran = planner("validate", table, "--leave-out", "none", "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["rows"], found["predicted"]) == (0, 2, 2)
    assert [row["id"] for row in found["unreadable"]] == ["own:2", "own:3", "own:4"]
    assert all(f"left out: {row['why']}\n" in ran.err for row in found["unreadable"])


def test_rows_of_ones_own_are_learnt_from_beside_one_that_cannot_be_read(planner, tmp_path):
    measured = RUN | {"tokens_per_s_per_gpu": "9000"}
    table = written(tmp_path / "own.csv", measured, measured | {"zero_or_fsdp": "mostly"})
    ran = planner("calibrate", table, "--catalog", tmp_path / "mine")
    assert ran.code == 0, ran.err
    assert "left out: own:2: zero_or_fsdp 'mostly'" in ran.err
    assert len(read_table(tmp_path / "mine" / "measured" / "own.csv").rows) == 1


@pytest.mark.parametrize(
    "name",
    [
        "mi300x-xcd-24gb", "MI300X 96GB", "H10", "GB10", "RTX 6000", "RTX 6000 Ada", "RTX 3090 Ti", "RTX 4090 D", "L40",
        "GB200 NVL4", "GH200 480GB", "A100 1g.5gb", "H100 MIG 3g.40gb", "A100X", "H100 CNX", "A10", "MI300A", "4080",
    ],
)  # fmt: skip
def test_a_near_name_of_another_part_is_not_taken_for_one(name: str) -> None:
    bad, good = predicted(RUN | {"gpu": name}, RUN)
    assert (bad["pred_lo"], bool(good["pred_lo"])) == ("", True)
    assert name.split()[0] in bad["why"]
    assert "not in the catalog" in bad["why"]


@pytest.mark.parametrize(
    ("gpu", "said"),
    [
        ("A100-SXM4-64GB", "taken as a100-sxm4-40gb with 64 GB"),
        ("A100", "taken as a100-sxm4-80gb"),
        ("H200 NVL", "taken as h200-sxm5-141gb"),
        ("A100-SXM4-90GB", "with 90 GB is not in the catalog: taken as a100-sxm4-80gb"),
        ("H100 SXM", ""),
        ("NVIDIA A100-SXM4-80GB", ""),
        ("MI300X OAM", ""),
        ("TPU v5p-128", "no memory is predicted on tpu-v5p"),
    ],
)
def test_a_part_like_a_known_one_is_said_to_be_taken_for_it(gpu: str, said: str) -> None:
    (row,) = predicted(RUN | {"gpu": gpu})
    assert row["pred_lo"]
    assert (said in row["assumed"]) if said else not row["assumed"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("torchtitn", "torchtitan"), ("fdsp", "fsdp"), ("Megaton", "megatron"), ("DeepSped", "deepspeed")],
)
def test_a_framework_that_is_nearly_a_known_one_is_refused_with_its_name(name: str, meant: str) -> None:
    bad, good = predicted(RUN | {"framework": name}, RUN)
    assert f"framework '{name}' is not known; did you mean {meant}?" in bad["why"]
    assert (bad["pred_lo"], bool(good["pred_lo"])) == ("", True)


@pytest.mark.parametrize(
    ("gpu", "framework", "said"),
    [
        ("trainium2", "megatron", "no framework that planner plans for runs on trainium2"),
        ("gaudi3-128gb", "", "runs on gaudi3-128gb"),
        ("tpu-v5p", "fsdp", "runs on tpu-v5p"),
        ("tpu-v5p", "maxtext", ""),
        ("mi300x-192gb", "megatron", ""),
    ],
)
def test_a_part_without_a_framework_says_so(gpu: str, framework: str, said: str) -> None:
    (row,) = predicted(RUN | {"gpu": gpu, "framework": framework})
    assert row["pred_lo"]
    assert (said in row["assumed"]) if said else ("no framework" not in row["assumed"])


@pytest.mark.parametrize(
    ("gpu", "precision", "instead"),
    [
        ("h100-sxm5-80gb", "mxfp8", "fp8"),
        ("h100-sxm5-80gb", "nvfp4", "fp8"),
        ("mi355x-288gb", "nvfp4", "fp8"),
        ("rtx-5090-32gb", "mxfp8", "fp8"),
        ("a100-sxm4-80gb", "mxfp8", "bf16"),
        ("b200-sxm6-180gb", "nvfp4", ""),
        ("mi355x-288gb", "mxfp8", ""),
    ],
)
def test_a_recipe_that_units_lack_is_predicted_at_the_next_wider_rate_and_said(
    gpu: str, precision: str, instead: str
) -> None:
    (row,) = predicted(RUN | {"gpu": gpu, "precision": precision})
    said = f"{gpu} has no {precision} units; predicted at the rate of {instead}"
    assert (said in row["why"]) if instead else ("units" not in row["why"])


@pytest.mark.parametrize("name", ["InternEvo", "llm.q", "Gigatron"])
def test_an_unknown_framework_is_said_with_those_known(name: str) -> None:
    (row,) = predicted(RUN | {"framework": name})
    assert f"framework '{name}' is not known: " in row["assumed"]
    assert "known are deepspeed, fsdp, gpt-neox, megatron" in row["assumed"]


def test_a_framework_of_which_no_run_was_measured_is_said_with_what_its_time_is() -> None:
    said = predicted(RUN | {"framework": "nanotron"})[0]["assumed"]
    assert "no run of nanotron is in the catalog: predicted as what runs of all frameworks have in common" in said


@pytest.mark.parametrize("name", ["megatron", "NeMo", "GPT-NeoX", "composer", "torch FSDP", "torchtitan"])
def test_a_known_framework_needs_no_word(name: str) -> None:
    assert predicted(RUN | {"framework": name})[0]["assumed"] == ""


@pytest.mark.parametrize(
    ("text", "gbit_per_s", "fabric"),
    [
        ("4x Omni-Path 100 Gb/s", 400, "omni-path"),
        ("Omni-Path 4x100 Gb/s per node", 400, "omni-path"),
        ("OPA 100 Gb/s", 100, "omni-path"),
        ("4x Slingshot 200 Gb/s", 800, "slingshot"),
        ("Slingshot-11 4x200 Gb/s per node", 800, "slingshot"),
        ("4x Slingshot-11 200 Gb/s", 800, "slingshot"),
        ("4 * 100Gb RoCE per node", 400, "roce"),
        ("8 x 400 Gb/s", 3200, "infiniband"),
        ("8x NDR", 3200, "infiniband"),
        ("4 x InfiniBand HDR100", 400, "infiniband"),
        ("4x EFA 100 Gb/s", 400, "efa"),
        ("EFA", 3200, "efa"),
        ("RoCE", 3200, "roce"),
        ("RoCEv2 400 Gb/s per GPU", 3200, "roce"),
        ("IB", 3200, "infiniband"),
        ("TCP", 200, "ethernet"),
        ("VPC Ethernet", 200, "ethernet"),
        ("VPC Ethernet 100 Gb/s", 100, "ethernet"),
        ("100GbE", 100, "ethernet"),
        ("carrier pigeon", 3200, "unknown"),
        ("Arena links", 3200, "unknown"),
    ],
)
def test_a_network_is_a_kind_and_a_rate_a_node(text: str, gbit_per_s: float, fabric: str) -> None:
    hardware = read_run(RUN | {"interconnect": text}, CATALOG, "row").setting.hardware
    assert (hardware.network_gbit_per_s, hardware.fabric) == (pytest.approx(gbit_per_s), fabric)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("carrier pigeon", "'carrier pigeon' names no network that is known (InfiniBand, RoCE, EFA,"),
        ("TCP", "'TCP' states no rate between nodes: taken as 200 Gbit/s a node"),
        ("RoCE", "'RoCE' states no rate between nodes: taken as 3,200 Gbit/s a node"),
        ("4x Omni-Path 100 Gb/s", "no collectives on Omni-Path were measured: taken as a network of unknown kind"),
        ("8 x 400 Gb/s InfiniBand", ""),
        ("8 x 400 Gb/s", ""),
        ("1600 Gb/s RDMA per node", ""),
        ("", ""),
        ("not stated", ""),
    ],
)
def test_what_is_assumed_of_a_network_is_said(text: str, said: str) -> None:
    (row,) = predicted(RUN | {"interconnect": text})
    assert (said in row["assumed"]) if said else not row["assumed"]


def test_inside_one_node_only_a_text_that_is_no_network_is_said() -> None:
    one = RUN | {"gpus": "8"}
    texts = ("NVLink (single node)", "none (single GPU)", "PCIe, no NVLink (single node)", "TCP")
    plain, *found = predicted(one, *(one | {"interconnect": text} for text in texts))
    assert [row["assumed"] for row in found] == [""] * len(texts)
    assert {row["pred_lo"] for row in found} == {plain["pred_lo"]}


def test_people_see_what_was_assumed(planner, tmp_path):
    table = written(tmp_path / "own.csv", RUN | {"framework": "my-trainer", "tokens_per_s_per_gpu": "9000"})
    flat = " ".join(planner("predict", table).out.split())
    assert "What they were taken for - row 1: framework 'my-trainer' is not known" in flat
    said = planner("validate", table, "--leave-out", "none").err
    assert "1 row: framework 'my-trainer' is not known" in said
    one = "predict --model llama3-8b --gpu h100-sxm5-80gb --gpus 8 --seq-length 2048 --global-batch 8 --framework x"
    assert "framework 'x' is not known" in " ".join(planner(*one.split()).out.split())
    assert json.loads(planner(*one.split(), "--json").out)["assumed"].startswith("framework 'x'")


def test_columns_of_rows_in_python_are_judged_too() -> None:
    with pytest.raises(PlannerError, match="column 'recompte' is not known; write recompute"):
        predicted(RUN | {"recompte": "full"})


V100 = """\
model: llama2-7b
data: {tokens: 20B tokens, seq_length: 2048}
training: {epochs: 1, framework: FRAMEWORK}
cluster: {gpus: [v100-sxm2-32gb], own_only: true, own: [{name: lab, gpu: v100-sxm2-32gb, gpus_per_node: 8, nodes: 8,
  network: 100 Gbit/s, fabric: infiniband, usd_per_gpu_hour: 1.0}]}
objective: time
budget: {time: 90 days}
"""


@pytest.mark.parametrize("framework", ["any", "megatron", "gpt-neox"])
def test_no_offer_for_want_of_a_precision_names_it_and_what_there_is(planner, tmp_path, framework):
    scenario = tmp_path / "v100.yaml"
    scenario.write_text(V100.replace("FRAMEWORK", framework))
    ran = planner("optimize", scenario, "--json")
    reason = json.loads(ran.out)["infeasibility"]["reason"]
    assert ran.code == 3
    assert "accelerator has no bf16 (1 offer). Set training.precision to fp16." in reason
    assert planner("optimize", scenario, "--set", "training.precision=fp16").code == 0


@pytest.mark.parametrize("word", ["hsdp", "HYBRID_SHARD", "fsdp-hsdp"])
def test_hsdp_is_sharding_within_a_node_unless_the_row_states_a_group(word):
    two = RUN | {"framework": "fsdp", "tp": "1", "pp": "1", "dp": "", "gpus": "32"}
    hybrid, stated, other, whole = predicted(
        two | {"zero_or_fsdp": word},
        two | {"zero_or_fsdp": "fsdp", "shard_group": "8"},
        two | {"zero_or_fsdp": word, "shard_group": "16"},
        two | {"zero_or_fsdp": "fsdp"},
    )
    same = ("pred_tokens_per_s_per_gpu", "pred_memory_gib")
    assert [hybrid[key] for key in same] == [stated[key] for key in same] != [whole[key] for key in same]
    assert hybrid["assumed"] == f"zero_or_fsdp '{word}' states no shard_group: taken as the 8 GPUs of a node"
    assert other["pred_memory_gib"] not in (hybrid["pred_memory_gib"], whole["pred_memory_gib"])
    assert not other["assumed"]
