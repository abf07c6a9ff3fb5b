"""Broken scenarios, made from the schema and by hand: one sentence with file, line and key; exit 2; no traceback."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from planner.catalog.paths import scenarios_dir
from planner.scenario import parse_any, parse_scenario, scenario_schema
from planner.scenario.names import catalog_names
from planner.units import PlannerError
from planner.words import Sentence, worded

SCHEMA = scenario_schema()
VALID = jsonschema.Draft202012Validator(SCHEMA)
SMALLEST = """\
model: gpt-neox-20b
data: {samples: 31267487, seq_length: 2048}
training: {epochs: 4}
budget: {time: 14 days}
"""
#: Every key of the schema stands in one of these; two, because some keys exclude each other.
FULL: list[dict[str, Any]] = [
    {
        "name": "a run",
        "model": "gpt-neox-20b",
        "data": [
            {"name": "web", "tokens": "64B tokens", "weight": 0.7, "seq_length": 2048},
            {"samples": 1000, "weight": 0.2},
            {"index": "corpora/code", "weight": 0.1, "split": "995,4,1"},
        ],
        "training": {
            "epochs": 4,
            "global_batch": {"min": 512, "max": "4M tokens", "multiple_of": 8},
            "batch_ramp": {"start": 32, "increment": 32, "samples": "2M"},
            "precision": "bf16",
            "framework": "gpt-neox",
            "framework_release": "latest",
            "evaluation": {"interval": 1000, "iterations": 10},
            "target": "equal_loss",
            "reference_batch": 1024,
            "critical_batch": 1024,
            "flash_attention": 2,
            "fused_or_compile": True,
            "comm_overlap": True,
            "tuning": "vendor",
            "optimizer": "muon",
            "starts_from": "scratch",
            "offload": "both",
        },
        "layout": {
            "tp": 2,
            "pp": [4, 8],
            "vpp": 1,
            "dp": {"max": 64},
            "cp": 1,
            "ep": 1,
            "zero_stage": 1,
            "micro_batch": {"max": 8},
            "sequence_parallel": True,
            "memory_headroom": "5 %",
            "recompute": "full",
            "recompute_share": 0.5,
            "shard_group": 8,
        },
        "throughput": [
            {
                "gpu": "h100-sxm5-80gb",
                "tokens_per_s_per_gpu": 3100,
                "gpus": 64,
                "tp": 2,
                "pp": 1,
                "vpp": 1,
                "dp": 32,
                "cp": 1,
                "ep": 1,
                "zero_stage": 1,
                "sequence_parallel": True,
                "recompute": "full",
                "micro_batch": 4,
                "global_batch": 1024,
                "framework": "megatron",
            }
        ],
        "budget": {"deadline": "2027-03-01", "start": "2027-02-01", "cost": "80k USD", "confidence": 0.9},
        "objective": {"usd_per_day": 5000},
        "simpler_within": 0.02,
        "cluster": {
            "gpus": ["h100-sxm5-80gb"],
            "clouds": ["aws"],
            "regions": "any",
            "pricing": ["on_demand"],
            "quality": ["A"],
            "max_gpus": 1024,
            "power_limit_w": 400,
            "site": "lab",
            "assume_network": "3200 Gbit/s",
            "own": [
                {
                    "name": "lab",
                    "gpu": "a100-sxm4-40gb",
                    "gpus_per_node": 8,
                    "nodes": 12,
                    "network": "1600 Gbit/s",
                    "fabric": "infiniband",
                    "usd_per_gpu_hour": 1.1,
                },
                {
                    "name": "new lab",
                    "gpu": "h100-sxm5-80gb",
                    "gpus_per_node": 8,
                    "nodes": 12,
                    "ownership": {"capex_usd_per_gpu": 45000, "utilisation": 0.7, "pue": 1.2},
                },
            ],
            "own_only": False,
            "quotas": [{"cloud": "aws", "region": "us-east-1", "gpu": "h100-sxm5-80gb", "gpus": 256}],
            "prices": [
                {
                    "pricing": "reserved",
                    "usd_per_gpu_hour": 2.1,
                    "cloud": "aws",
                    "instance": "p5.48xlarge",
                    "region": "us-east-1",
                    "gpu": "h100-sxm5-80gb",
                    "block": "365 days",
                }
            ],
        },
        "storage": {"size": "50 TB", "usd_per_gb_month": 0.023},
        "egress": {"size": "10 TB", "usd_per_gb": 0.09},
        "currency": {"code": "EUR", "usd": 1.08, "as_of": "2026-11-20", "source": "treasury"},
        "ask": [{"name": "people", "cost": "40k EUR"}, {"name": "VAT", "share": 0.19}],
        "terms": {"billing_step": "1 h", "minimum_time": "7 days", "minimum_gpus": 16},
        "risk": {
            "interruptions_per_1000_node_days": 3.8,
            "detection": "5 min",
            "restart": "20 min",
            "spare_nodes": 2,
            "replacement": "2 h",
            "checkpoint_interval": "1 h",
            "asynchronous_checkpoints": True,
            "storage": "20 GByte/s",
            "spot_preemptions_per_1000_node_days": 50,
            "spot_refill": "30 min",
            "overhead": {"low": 1.02, "high": 1.2},
        },
    },
    {
        "model": {
            "layers": 4,
            "hidden": 512,
            "heads": 8,
            "vocab": 50257,
            "moe": {"experts": 8, "top_k": 2, "expert_ffn": 1024},
        },
        "data": {"log": "train.log", "seq_length": 2048},
        "training": {
            "iterations": 1000,
            "adapter": {"method": "qlora", "r": 16, "target_modules": ["q_proj", "v_proj"]},
        },
        "budget": {"time": "14 days"},
        "currency": {"code": "CNY", "per_usd": 7.11, "as_of": "2026-11-20"},
        "objective": "cost",
        "risk": {"overhead": [{"allocated": 12000, "productive": 10600, "failures": 400}]},
    },
]
JUNK: tuple[Any, ...] = ([], {}, [[]], {"§": 1}, "§", "", True, None, -1, 0, 1.5, 10**19, [-1], "14", "-5 USD", 1e300)
Path_ = tuple[str | int, ...]


def text_of(value: Any) -> str:
    """One key a line, so that a line is a key path; numbers stay such that YAML 1.2 reads them as numbers."""
    options = {"default_flow_style": False, "sort_keys": False, "allow_unicode": True, "width": 10_000}
    return yaml.dump(value, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), **options)


def lines_of(text: str) -> dict[Path_, int]:
    """Line of every value and (with a trailing "?") of every key, by PyYAML's own nodes."""
    found: dict[Path_, int] = {}

    def visit(node: yaml.Node, path: Path_) -> None:
        found[path] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                found[(*path, key.value, "?")] = key.start_mark.line + 1
                visit(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for i, value in enumerate(node.value):
                visit(value, (*path, i))

    visit(yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)), ())
    return found


def places(value: Any, path: Path_ = ()) -> Iterator[Path_]:
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def at(value: Any, path: Path_) -> Any:
    for part in path:
        value = value[part]
    return value


def changed(base: dict[str, Any], path: Path_, new: Any) -> dict[str, Any]:
    value = copy.deepcopy(base)
    at(value, path[:-1])[path[-1]] = new
    return value


def schema_at(path: Path_) -> list[dict[str, Any]]:
    """All subschemas that may rule at a path."""
    found: list[dict[str, Any]] = [SCHEMA]
    for part in path:
        found = [inner for each in found for inner in _inside(each, part)]
    return found


def _inside(schema: dict[str, Any], part: str | int) -> Iterator[dict[str, Any]]:
    for option in (schema, *schema.get("anyOf", ())):
        if isinstance(part, int) and "items" in option:
            yield option["items"]
        if isinstance(part, str) and part in option.get("properties", {}):
            yield option["properties"][part]
        if option is not schema:
            yield from _inside(option, part) if "anyOf" in option else ()


def wrong_values() -> Iterator[tuple[dict[str, Any], Path_]]:
    """Three pieces of junk at each place, in turn, where the schema refuses them."""
    junk = cycle(JUNK)
    for base in FULL:
        for path in places(base):
            for wrong in islice(junk, 3) if path else ():
                broken = changed(base, path, wrong)
                if not VALID.is_valid(broken):
                    yield broken, path


def unknown_keys() -> Iterator[tuple[dict[str, Any], Path_]]:
    for base in FULL:
        for path in places(base):
            if isinstance(at(base, path), dict):
                broken = copy.deepcopy(base)
                at(broken, path)["zzz"] = 1
                yield broken, (*path, "zzz", "?")


def missing_keys() -> Iterator[tuple[dict[str, Any], Path_]]:
    for base in FULL:
        for path in places(base):
            inside = at(base, path)
            for key in inside if isinstance(inside, dict) else ():
                broken = copy.deepcopy(base)
                del at(broken, path)[key]
                if at(broken, path) and not VALID.is_valid(broken):
                    yield broken, path


@cache
def generated() -> list[tuple[dict[str, Any], Path_]]:
    return [*wrong_values(), *unknown_keys(), *missing_keys()]


NAMES = catalog_names(())


@pytest.fixture(autouse=True)
def _one_catalog(monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of the catalog are listed once, not for each of a thousand files."""
    monkeypatch.setattr("planner.scenario.catalog_names", lambda _: NAMES)


def sentence_of(content: bytes) -> str:
    with pytest.raises(PlannerError) as caught:
        parse_scenario(content, Path("broken.yaml"))
    return str(caught.value)


#: What is of programmes alone.
PROGRAMME: dict[str, Any] = {
    "model": "gpt-neox-20b",
    "budget": {"start": "2027-02-01", "time": "90 days"},
    "cluster": {"quotas": [{"gpus": 96, "from": "2027-02-01", "until": "2027-04-01"}]},
    "transfer": {"rate": "10 Gbit/s", "usd_per_gb": 0.09},
    "reservations": [
        {
            "name": "block",
            "gpu": "h100-sxm5-80gb",
            "gpus_per_node": 8,
            "nodes": 12,
            "network": "3200 Gbit/s",
            "fabric": "infiniband",
            "usd_per_gpu_hour": 2.1,
            "from": "2027-03-01",
            "until": "2027-04-01",
        }
    ],
    "stages": [
        {
            "name": "main",
            "after": "none",
            "copies": 2,
            "beside": True,
            "data": {"samples": 31267487, "seq_length": 2048},
            "training": {"epochs": 1},
        },
        {
            "name": "anneal",
            "after": "main",
            "inherits": ["checkpoint", "optimizer"],
            "may_move": True,
            "not_before": "2027-03-01",
            "deadline": "2027-04-15",
            "data": {"samples": 1000000, "seq_length": 2048},
            "training": {"epochs": 1},
        },
    ],
}


def test_the_full_scenarios_are_valid_by_both_and_hold_every_key_of_the_schema() -> None:
    held = set()
    for base in (*FULL, PROGRAMME):
        assert VALID.is_valid(base)
        parse_any(text_of(base).encode(), Path("full.yaml"))
        held |= {path for path in places(base) if path and isinstance(path[-1], str)}
    for section in SCHEMA["properties"]:
        assert (section,) in held
        for option in _tables(SCHEMA["properties"][section]):
            if section not in ("model", "stages"):  # a stage's sections are those of one run
                assert set(option["properties"]) <= {path[-1] for path in held if path[0] == section}


def _tables(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "properties" in schema:
        yield schema
    for option in schema.get("anyOf", ()):
        yield from _tables(option)
    if "items" in schema:
        yield from _tables(schema["items"])


def test_what_the_schema_refuses_the_reader_refuses_in_one_sentence_with_the_right_line() -> None:
    assert len(generated()) > 300
    for broken, path in generated():
        text = text_of(broken)
        said = sentence_of(text.encode())
        assert re.fullmatch(r"broken\.yaml, line \d+(, [\w.]+)?: [^\n]+", said), said
        line = int(re.findall(r"line (\d+)", said)[0])
        lines = lines_of(text)
        within = [number for place, number in lines.items() if place[: len(path)] == path]
        parents = [lines[path[:i]] for i in range(len(path))]
        assert line in within or line in parents[-1:] or line == lines.get((*path, "?")), (said, path, text)


def test_the_command_answers_a_hundred_broken_scenarios_with_exit_2(
    planner: Callable[..., Any], tmp_path: Path
) -> None:
    file = tmp_path / "broken.yaml"
    chosen = generated()[:: len(generated()) // 100]
    assert len(chosen) >= 100
    for broken, _ in chosen:
        file.write_text(text_of(broken), encoding="utf-8")
        ran = planner("optimize", file)
        assert (ran.code, ran.out) == (2, "")
        assert re.search(r"broken\.yaml, line \d+", ran.err)
        assert "Traceback" not in ran.err


# --- by hand ------------------------------------------------------------------------------------------------------

R = SMALLEST.replace
BY_HAND: list[tuple[str | bytes, str]] = [
    (R("epochs: 4", "epochs: four"), r"line 3, training\.epochs: `four` is not a number above 0"),
    (R("epochs: 4", "epochs: 0"), r"line 3, training\.epochs: `0` must be above 0"),
    (R("epochs: 4", "epochs: .nan"), r"line 3, training\.epochs"),
    (R("epochs: 4", "epohs: 4"), r"line 3, training: there is no key `epohs` here; did you mean `epochs`"),
    (R("training:", "trainig:"), r"line 3: there is no key `trainig` here; did you mean `training`"),
    (R("epochs: 4", "epochs: 4, iterations: 3"), r"line 3, training: `epochs` and `iterations` exclude each other"),
    (R("{epochs: 4}", "{}"), r"line 3, training: one of the keys `epochs` or `iterations` is missing"),
    (R("{epochs: 4}", ""), r"line 3, training: found nothing, where a map"),
    (R(", seq_length: 2048", "") + "seq_length: 2048\n", r"line 5: .*`seq_length`.* belongs under `data`"),
    (R(", seq_length: 2048", ""), r"line 2, data: the key `seq_length` is missing"),
    (R("31267487", "31267487.5"), r"line 2, data\.samples: `31267487.5` is not a whole number"),
    (R("31267487", "1e400"), r"line 2, data\.samples: .*10\^18"),
    (R("31267487", "9" * 60), r"line 2, data\.samples: .*10\^18"),
    (R("31267487", "64B tokens"), r"line 2, data\.samples: `64B tokens` counts tokens where samples are meant"),
    (R("31267487", "1e15").replace("2048", "1e8"), r"line 2, data: more than 10\^18 tokens"),
    (R("samples: 31267487", "samples: 3, split: '9,1'"), r"line 2, data\.split: a split is of an `index`"),
    (R("14 days", "14"), r"line 4, budget\.time: `14` has no unit; write `14 days`"),
    (R("14 days", "12:30"), r"line 4, budget\.time: `12:30` could be hours or minutes"),
    (R("14 days", "3 months"), r"line 4, budget\.time: .*no fixed length"),
    (R("time: 14 days", "cost: 80k EUR"), r"line 4, budget\.cost: no rate of EUR is known; .*as_of: 2026-11-20"),
    (R("time: 14 days", "cost: 80k ¥"), r"line 4, budget\.cost: `80k ¥` could be yuan or yen"),
    (
        R("time: 14 days", "cost: 80k EUR") + "currency: GPU-hours\n",
        r"budget\.cost: it is in EUR, and `currency` in ",
    ),
    (R("time: 14 days", "cost: 80k") + "currency: GPU-hours\n", r"budget\.cost: 80000 could be USD or GPU-hours"),
    (
        R("time: 14 days", "cost: 9 GPU-hours") + "egress: {size: 1 TB, usd_per_gb: 0.1}\n",
        r"egress: it is paid in money, and the budget counts GPU-hours",
    ),
    (
        R("time: 14 days", "cost: 9 GPU-hours") + "objective: {usd_per_day: 5}\n",
        r"objective: a day's worth is money, and the budget counts GPU-hours",
    ),
    (
        R("time: 14 days", "cost: 80k EUR") + "ask: [{name: VAT, cost: 5 GBP}]\n",
        r"budget\.cost: no rate of EUR is known",
    ),
    (R("time: 14 days", "cost: 0"), r"line 4, budget\.cost: `0` must be above 0"),
    (R("14 days}", "14 days, confidence: 80}"), r"line 4, budget\.confidence: .*did you mean `80 %`"),
    (R("14 days}", "14 days, confidence: 1}"), r"line 4, budget\.confidence: `1` must be below 1"),
    (R("time: 14 days", "deadline: 2027-03-01"), r"line 4, budget\.deadline: a deadline needs `budget\.start`"),
    (R("time: 14 days", "deadline: 2027-03-01, start: 2027-03-01"), r"budget\.deadline: .*not after the start"),
    (R("time: 14 days", "deadline: 2027-02-30, start: 2027-02-01"), r"budget\.deadline: `2027-02-30` is not a date"),
    (R("gpt-neox-20b", "gpt-neox-20"), r"line 1, model: there is no model `gpt-neox-20` .*did you mean `gpt-neox-20b`"),
    (R("gpt-neox-20b", "no"), r"line 1, model: there is no model `no`"),
    (R("gpt-neox-20b", "me/mine-7B"), r"line 1, model: `me/mine-7B` is no model of the catalog, and no file: save its"),
    (R("gpt-neox-20b", "{layers: 4, hidden: 100, heads: 7, vocab: 9}"), r"line 1, model: .*hidden 100"),
    (R("gpt-neox-20b", "{layers: 4, hidden: 64, heads: 8, vocab: 9, kv_heads: 3}"), r"line 1, model: .*kv_heads 3"),
    (
        SMALLEST + "cluster: {own: [{name: a, gpu: a100, gpus_per_node: 8, nodes: 1}]}\n",
        r"line 5, cluster\.own\.0\.gpu: `a100` is ambiguous: a100-sxm4-40gb, a100-sxm4-80gb, ",
    ),
    (SMALLEST + "cluster: {gpus: [h200-nvl]}\n", r"cluster\.gpus\.0: .*of that chip the catalog has h200-sxm5-141gb"),
    (SMALLEST + "cluster: {gpus: [l40]}\n", r"no accelerator `l40`; l40s-48gb is another chip"),
    (SMALLEST + "cluster: {clouds: amazon}\n", r"line 5, cluster\.clouds: there is no cloud `amazon`"),
    (SMALLEST + "cluster: {clouds: [gpc]}\n", r"line 5, cluster\.clouds\.0: .*did you mean `gcp`"),
    (SMALLEST + "cluster: {pricing: ondemand}\n", r"line 5, cluster\.pricing: .*did you mean `on_demand`"),
    (SMALLEST + "cluster: {quality: X}\n", r"line 5, cluster\.quality: `X` is not one of `A`, `B` or `C`"),
    (SMALLEST + "cluster: {assume_network: 400 GB/s}\n", r"line 5, cluster\.assume_network: .*two ways"),
    (SMALLEST + "cluster: {own: {name: x}}\n", r"line 5, cluster\.own: found a map, where a list"),
    (SMALLEST + "cluster: {own: [{name: x}]}\n", r"line 5, cluster\.own\.0: the key `gpu` is missing .*a100-sxm4-40gb"),
    (SMALLEST + "cluster: {own_only: yes}\n", r"line 5, cluster\.own_only: .*did you mean `true`"),
    (SMALLEST + "cluster: {own_only: true}\n", r"line 5, cluster\.own_only: .*needs clusters"),
    (
        SMALLEST + "cluster:\n  own:\n" + "    - {name: x, gpu: a100-sxm4-40gb, gpus_per_node: 8, nodes: 1}\n" * 2,
        r"line 8, cluster\.own\.1\.name: two clusters are called `x`",
    ),
    (SMALLEST + "objective: cheap\n", r"line 5, objective: `cheap` is not one of `cost`, .*nor .*usd_per_day"),
    (SMALLEST + "objective: {usd_per_day: -3}\n", r"line 5, objective\.usd_per_day: `-3` is negative"),
    (SMALLEST + "layout: {tp: {min: 4, max: 2}}\n", r"line 5, layout\.tp\.min: min 4 is above max 2"),
    (
        SMALLEST + "layout: {tp: {min: 5, max: 7, multiple_of: 4}}\n",
        r"line 5, layout\.tp\.multiple_of: no multiple of 4",
    ),
    (SMALLEST + "layout: {tp: {}}\n", r"line 5, layout\.tp: an empty range"),
    (SMALLEST + "layout: {zero_stage: 4}\n", r"line 5, layout\.zero_stage: `4` must be at most 3"),
    (R("epochs: 4", "epochs: 4, global_batch: 1000001 tokens"), r"global_batch: .*not a whole number of sequences"),
    (R("epochs: 4", "epochs: 4, global_batch: 3 gpus"), r"global_batch: `3 gpus` counts GPUs"),
    (R("epochs: 4", "epochs: 4, target: equal_loss"), r"training\.target: .*needs `training\.reference_batch`"),
    (R("epochs: 4", "epochs: 4, reference_batch: 8"), r"training\.reference_batch: .*target: equal_loss"),
    (
        R(
            "{samples: 31267487, seq_length: 2048}",
            "\n - {tokens: 1B, seq_length: 2048}\n - {tokens: 1B, seq_length: 4096}",
        ),
        r"line 4, data\.1\.seq_length: datasets of one run share one seq_length; found 2048 and 4096",
    ),
    (
        R("epochs: 4", "epochs: 4, global_batch: 64, batch_ramp: {start: 128, increment: 8, samples: 1k}"),
        r"line 3, training\.batch_ramp\.start: the ramp starts at 128, above the largest batch, 64",
    ),
    (
        SMALLEST + "throughput: [{gpu: h100-sxm5-80gb, tokens_per_s_per_gpu: 9, gpus: 64, tp: 8, pp: 3}]\n",
        r"line 5, throughput\.0\.gpus: tp x pp x cp x dp is 8 x 3 x 1 x 1 = 24, which is not a layout of 64 GPUs",
    ),
    (
        SMALLEST
        + "throughput: [{gpu: h100-sxm5-80gb, tokens_per_s_per_gpu: 9, dp: 8, micro_batch: 4, global_batch: 8}]\n",
        r"line 5, throughput\.0\.global_batch: 8 does not divide by micro_batch x dp = 32",
    ),
]
OF_YAML: list[tuple[str | bytes, str]] = [
    ("", r"broken\.yaml: the file is empty"),
    ("# nothing\n", r"broken\.yaml: the file is empty"),
    ("- a\n- b\n", r"line 1: found a list, where a scenario"),
    ("hello\n", r"line 1: found `hello`, where a scenario"),
    (SMALLEST + "model: x\n", r"line 5: the key `model` stands twice, first at line 1"),
    (SMALLEST + "budget: {time: 1 h, time: 2 h}\n", r"line 5: the key `time` stands twice"),
    (SMALLEST + "---\nb: 1\n", r"line 5: a second document"),
    (SMALLEST + "<<: {name: x}\n", r"line 5: merge keys"),
    (SMALLEST + "? [a]\n: b\n", r"line 5: a key must be a word"),
    (R("gpt-neox-20b", "!!python/object/apply:os.system [ls]"), r"line 1: the tag `.*os\.system` is not read"),
    (R("gpt-neox-20b", "!!str x"), r"line 1: the tag"),
    (R("gpt-neox-20b", "*nowhere"), r"line 1: the alias `\*nowhere` is not defined"),
    ("a: &a [*a]\n", r"line 1: the alias `\*a` stands inside itself"),
    ("a: [1, 2\nb: 3\n", r"line 2: not valid YAML"),
    ("a: 'x\n", r"line \d: not valid YAML"),
    ("a: b: c\n", r"line 1: not valid YAML"),
    ("\ta: b\n", r"line 1: not valid YAML"),
    ("[" * 100_000, r"line 1: "),
    ("{a: " * 100_000, r"line 1: "),
    ("".join(f"{'  ' * i}a:\n" for i in range(300)), r"line \d+: nested more than 20 deep"),
    (b"model: \xff\n", r"line 1: not UTF-8 text \(byte 0xff\)"),
    (SMALLEST.encode("utf-16"), r"line 1: (not UTF-8|a zero byte)"),
    (b"a: 1\nb: \0\n", r"line 2: a zero byte"),
    (b"a: 1\nb: \x07\n", r"line 2: .*character"),
    (b"x" * 2_000_000, r"more than 1,000,000 bytes"),
    ("\n".join(f"k{i}: {i}" for i in range(30_000)), r"line \d+: more than 20,000 values"),
]


@pytest.mark.parametrize(("content", "says"), BY_HAND + OF_YAML, ids=range(len(BY_HAND + OF_YAML)))
def test_a_mistake_is_said_with_its_place_and_what_to_write(content: str | bytes, says: str) -> None:
    said = sentence_of(content if isinstance(content, bytes) else content.encode())
    assert re.search(says, said), said
    assert "\n" not in said
    assert len(said) < 600


@pytest.mark.parametrize("content", [content for content, _ in OF_YAML], ids=range(len(OF_YAML)))
def test_without_libyaml_a_mistake_is_a_sentence_too(content: str | bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
    said = sentence_of(content if isinstance(content, bytes) else content.encode())
    assert said.startswith("broken.yaml")
    assert "\n" not in said


def test_anchors_cannot_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 30)]
    assert re.search(r"line 4: more than 20,000 values", sentence_of("\n".join(lines).encode()))


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("budget.time=7", r"^--set budget\.time=7, budget\.time: `7` has no unit"),
        ("budget.tim=7 days", r"there is no key `tim` here; did you mean `time`"),
        ("budget", r"write it as key\.path=value"),
        ("=3", r"write it as key\.path=value"),
        ("a..b=3", r"write it as key\.path=value"),
        ("model.layers=3", r"model is `gpt-neox-20b`, which has no key `layers`"),
        ("cluster.gpus=[h100-sxm5-80gb", r"^--set .*: not valid YAML"),
        ("cluster.gpus.0=h100-sxm5-80gb", r"cluster\.gpus: found a map"),
        ("training.epochs=nan", r"training\.epochs: `nan` is not a number"),
        ("name=", r"name: `` is not a name"),
        ("objective={usd_per_day: x}", r"objective\.usd_per_day: `x`"),
        ("budget.time=" + "9" * 5000, r"^--set budget\.time=9+…"),
        ("layout.tp=1\n2", r"layout\.tp"),
        ("layout.tp=[\udcff]", r"not UTF-8"),
    ],
)
def test_a_wrong_override_is_said_by_its_own_text(override: str, says: str) -> None:
    with pytest.raises(PlannerError) as caught:
        parse_scenario(SMALLEST.encode(), Path("x.yaml"), [override])
    assert re.search(says, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


def test_an_index_beyond_a_list_is_said() -> None:
    text = SMALLEST.replace("{samples: 31267487, seq_length: 2048}", "[{samples: 31267487, seq_length: 2048}]")
    with pytest.raises(PlannerError, match="data is a list of 1; write an index from 0 to 0 where `3` stands"):
        parse_scenario(text.encode(), Path("x.yaml"), ["data.3.weight=1"])


# --- schema -------------------------------------------------------------------------------------------------------


def test_the_schema_is_one_and_describes_every_key() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for table in _tables(SCHEMA):
        assert all(entry["description"] for entry in table["properties"].values())


@pytest.mark.parametrize("file", sorted(path.name for path in scenarios_dir().glob("*.yaml")))
def test_the_shipped_scenarios_are_valid_by_the_schema(file: str) -> None:
    VALID.validate(yaml.load((scenarios_dir() / file).read_text(), Loader=_Texts))  # noqa: S506


class _Texts(yaml.SafeLoader):
    """A loader that leaves dates as texts, as JSON has them."""


_Texts.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != "tag:yaml.org,2002:timestamp"]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def test_every_example_of_the_schema_is_valid_by_schema_and_reader() -> None:
    tried = 0
    for base in FULL:
        for path in places(base):
            for schema in schema_at(path):
                for example in schema.get("examples", ()):
                    changed_base = changed(base, path, example)
                    if VALID.is_valid(changed_base) and path[:2] != ("cluster", "own"):  # two of them share no name
                        parse_scenario(text_of(changed_base).encode(), Path("x.yaml"))
                        tried += 1
    assert tried > 50


# --- anything at all ----------------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_any_bytes_are_answered_with_a_sentence(content: bytes) -> None:
    assert "\n" not in sentence_of(content)


@given(st.integers(0, len(SMALLEST)), st.integers(0, 6), st.text(max_size=6))
def test_any_edit_of_a_good_scenario_is_read_or_answered_with_a_sentence(where: int, cut: int, put: str) -> None:
    content = (SMALLEST[:where] + put + SMALLEST[where + cut :]).encode("utf-8", "surrogatepass")
    try:
        parse_scenario(content, Path("x.yaml"))
    except PlannerError as error:
        said = str(error)
    else:
        said = "x.yaml"
    assert said.startswith("x.yaml")
    assert "\n" not in said


OVERRIDDEN = (
    "budget.time",
    "data",
    "data.samples",
    "model",
    "training.global_batch.min",
    "cluster.gpus",
    "layout.tp",
    "x.y",
)


@given(st.sampled_from(OVERRIDDEN), st.text(max_size=12))
def test_any_override_is_read_or_answered_with_a_sentence(path: str, text: str) -> None:
    said = "--set"
    try:
        parse_scenario(SMALLEST.encode(), Path("x.yaml"), [f"{path}={text}"])
    except PlannerError as error:
        said = str(error)
    assert said.startswith(("--set", "x.yaml"))
    assert "\n" not in said


# --- programmes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (("stages", 1, "after"), "mian", "there is no stage `mian`; did you mean `main`"),
        (("stages", 0, "after"), "anneal", "main, which is after anneal, which is after main: an order has no circle"),
        (("stages", 1, "after"), "anneal", "cannot be after itself"),
        (("stages", 1, "name"), "main", "two stages are called `main`"),
        (("stages", 0, "inherits"), "checkpoint", "is after no stage"),
        (("stages", 0, "may_move"), True, "inherits nothing"),
        (("stages", 1, "inherits"), ["cluster"], "so it stays"),
        (("stages", 1, "training", "epochs"), "many", "stages.1.training.epochs"),
        (("stages", 1, "name"), "a=b", "is not a name"),
        (("data",), {"samples": 5, "seq_length": 8}, "belongs to each of the `stages`"),
        (("objective",), "epochs", "is of one run"),
        (("budget",), {"time": "90 days"}, "days need the programme's first day"),
        (("reservations", 0, "until"), "2027-02-20", "which is not after"),
        (("transfer",), None, "moving takes time and money"),
    ],
)
def test_a_mistake_in_a_programme_is_one_sentence_with_its_line(path: Path_, value: Any, said: str) -> None:
    base = changed(PROGRAMME, path, value)
    base = {key: entry for key, entry in base.items() if entry is not None}
    with pytest.raises(PlannerError) as caught:
        parse_any(yaml.safe_dump(base, sort_keys=False).encode(), Path("programme.yaml"))
    assert said in str(caught.value)
    assert re.match(r"programme.yaml, line \d+, ", str(caught.value))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["reservations", "transfer"])
def test_what_is_of_programmes_is_refused_in_a_run_of_its_own(key: str) -> None:
    text = SMALLEST + yaml.safe_dump({key: PROGRAMME[key]})
    assert "it is of a programme" in sentence_of(text.encode())


def test_days_of_a_quota_are_refused_in_a_run_of_its_own() -> None:
    assert "of a programme" in sentence_of((SMALLEST + "cluster: {quotas: [{gpus: 8, from: 2027-01-01}]}").encode())


def test_a_programme_given_where_one_run_is_asked_for_is_told_so() -> None:
    said = sentence_of(yaml.safe_dump(PROGRAMME, sort_keys=False).encode())
    assert "programme of several runs" in said


@pytest.mark.parametrize(
    "text",
    [
        SMALLEST + f'"{"k" * 900}": 1\n',
        SMALLEST.replace("14 days", f"'{'9' * 900} days'"),
        SMALLEST.replace("gpt-neox-20b", '"' + "m\u00ad\u200b" * 300 + '"'),
        SMALLEST + 'objective: "\\u202ecost\\e[31m"\n',
        SMALLEST.replace(
            "gpt-neox-20b", "{layers: 2, hidden: 8, heads: 2, vocab: 9, layer_pattern: '" + "Q" * 400 + "'}"
        ),
    ],
    ids=["key", "quantity", "name", "controls", "pattern"],
)
def test_whatever_a_file_holds_and_is_called_its_error_is_short_and_without_controls(text: str) -> None:
    for name in ("run.yaml", "r\x1b[31m\u202eun.yaml", "n" * 400):
        with pytest.raises(PlannerError) as error:
            parse_scenario(text.encode(), Path(name))
        said = str(error.value)
        assert said.isprintable()
        assert len(said.partition(": ")[2]) <= 300
        assert error.value.code


def test_of_much_that_may_stand_the_first_is_told_and_how_much_more_there_is() -> None:
    written = {**yaml.safe_load(SMALLEST), "training": "3 days"}
    with pytest.raises(PlannerError) as error:
        parse_scenario(yaml.safe_dump(written, sort_keys=False).encode(), Path("run.yaml"))
    what = error.value.values["what"]
    assert isinstance(what, Sentence)  # told in another language, too
    assert len(what) <= 300
    assert re.search(r"a map with `epochs`.* and \d+ more belongs$", what)
    assert re.search(r"另 \d+ 个", worded(error.value.args[0], "zh"))
