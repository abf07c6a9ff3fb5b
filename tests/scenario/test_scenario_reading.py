"""What a scenario file says becomes a Scenario with every default filled in and named."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from planner.catalog.paths import scenarios_dir
from planner.performance.framework_table import frameworks
from planner.scenario import load_scenario, parse_any, parse_scenario
from planner.scenario.sections import FRAMEWORK_NAMES
from planner.search.run_cost import paid_time
from planner.spec.hardware import OfferTerms
from planner.spec.programme import Programme
from planner.spec.scenario import IntChoice, Scenario, Terms
from planner.units import PlannerError

SMALLEST = """\
model: gpt-neox-20b
data: {samples: 31267487, seq_length: 2048}
training: {epochs: 4}
budget: {time: 14 days}
"""
EVERYTHING = """\
name: no                         # a text, whatever YAML 1.1 made of it
model: gpt-neox-20b
data:
  - {name: web, tokens: 64B tokens, weight: 0.7, seq_length: 2048}
  - {name: on, samples: 1_000, weight: 0.2}
  - {index: corpora/code, weight: 0.1, split: "995,4,1"}
training:
  epochs: 2.5
  global_batch: {min: 512, max: 4M tokens, multiple_of: 8}
  batch_ramp: {start: 32, increment: 32, samples: 2M}
  precision: fp16
  framework: megatron
  framework_release: 25.10
  evaluation: {interval: 1000, iterations: 10}
  target: equal_loss
  reference_batch: 1024
  critical_batch: 2097152 tokens
layout: {tp: 2, pp: [8, 4], micro_batch: {max: 8}, zero_stage: 0, sequence_parallel: true, recompute: [full, none]}
throughput:
  - {gpu: h100-sxm5-80gb, gpus: 64, tokens_per_s_per_gpu: 3100, tp: 2, recompute: full, framework: megatron}
budget: {start: 2027-02-01, deadline: 2027-03-01, cost: 80k USD, confidence: 95 %}
objective: {usd_per_day: 5000}
cluster:
  gpus: [h100-sxm5-80gb, a100-sxm4-80gb]
  clouds: [aws, gcp]
  regions: us-east-1
  pricing: [on_demand, spot]
  quality: [A, C]
  max_gpus: 2k
  assume_network: 400 Gbit/s/gpu
  own:
    - name: lab
      gpu: a100-sxm4-40gb
      gpus_per_node: 8
      nodes: 12
      network: 200 Gbit/s/gpu
      fabric: infiniband
      usd_per_gpu_hour: 1.10
    - name: new lab
      gpu: h100-sxm5-80gb
      gpus_per_node: 8
      nodes: 2
      ownership: {capex_usd_per_gpu: 45000, utilisation: 0.7}
  own_only: false
  quotas: [{cloud: aws, gpu: h100-sxm5-80gb, gpus: 256}]
  prices: [{pricing: reserved, cloud: aws, usd_per_gpu_hour: 2.10, block: 365 days}]
storage: {size: 50 TB, usd_per_gb_month: 0.023}
egress: {size: 10 TB, usd_per_gb: 0.09}
terms: {billing_step: 1 h, minimum_time: 7 days, minimum_gpus: 16}
risk:
  interruptions_per_1000_node_days: 0
  restart: 20 min
  checkpoint_interval: 1 h
  storage: 20 GByte/s
  spare_nodes: 2
"""


def read(text: str, *overrides: str) -> Scenario:
    return parse_scenario(text.encode(), Path("runs/x.yaml"), overrides)


def test_the_smallest_scenario_names_every_default_it_used() -> None:
    scenario = read(SMALLEST)
    assert scenario.budget.time_s == 14 * 86400
    assert scenario.training.epochs == 4
    assert scenario.training.global_batch is None
    assert dict(scenario.defaults) == {
        "name": "x",
        "training.global_batch": "up to the critical batch, from 524,288 tokens or half of it",
        "training.precision": "bf16",
        "training.framework": "any",
        "training.framework_release": "latest",
        "training.optimizer": "adamw",
        "layout": "any that the framework runs in 95 % of the memory",
        "budget.confidence": "0.8",
        "objective": "cost",
        "simpler_within": "0.01",
        "cluster.gpus": "any",
        "cluster.clouds": "any",
        "cluster.regions": "any",
        "cluster.pricing": "on_demand",
        "cluster.quality": "A, B",
        "cluster.max_gpus": "1024",
    }


def test_every_section_arrives_as_it_was_written() -> None:
    scenario = read(EVERYTHING)
    assert scenario.name == "no"
    assert [source.name for source in scenario.data] == ["web", "on", "data 3"]
    assert [source.weight for source in scenario.data] == [0.7, 0.2, 0.1]
    assert (scenario.data[0].tokens, scenario.data[1].samples) == (64 * 10**9, 1000)
    assert (scenario.data[2].index, scenario.data[2].split) == ("corpora/code", "995,4,1")
    assert scenario.unresolved == ("data.2",)
    assert scenario.path_of("corpora/code") == Path("runs/corpora/code")
    training = scenario.training
    assert (training.epochs, training.iterations, training.precision) == (2.5, None, "fp16")
    assert training.framework_release == "25.10"
    assert training.global_batch == IntChoice(512, 2048, 8)
    assert training.batch_ramp is not None
    assert training.batch_ramp.samples == 2_000_000
    assert (training.reference_batch, training.critical_batch) == (1024, 1024)
    assert scenario.layout.pp.values == (4, 8)
    assert scenario.layout.zero_stage.pinned == 0
    assert scenario.layout.sequence_parallel is True
    assert scenario.layout.recompute == ("full", "none")
    assert scenario.throughput[0].tokens_per_s_per_gpu == 3100
    assert scenario.throughput[0].pp is None
    assert (scenario.budget.start, scenario.budget.time_s) == (date(2027, 2, 1), 28 * 86400)
    assert (scenario.budget.cost_usd, scenario.budget.confidence) == (80_000, 0.95)
    assert (scenario.objective.kind, scenario.objective.usd_per_day) == ("usd_per_day", 5000)
    cluster = scenario.cluster
    assert cluster.gpus == ("h100-sxm5-80gb", "a100-sxm4-80gb")
    assert (cluster.clouds, cluster.regions, cluster.quality) == (("aws", "gcp"), ("us-east-1",), ("A", "C"))
    assert (cluster.assume_network_gbit_per_s, cluster.assume_network_per_gpu_gbit_per_s) == (None, 400)
    assert cluster.own[0].network_gbit_per_s == 1600
    assert cluster.own[1].network_gbit_per_s is None
    assert dict(cluster.own[1].ownership) == {"capex_usd_per_gpu": 45000, "utilisation": 0.7}
    assert (cluster.quotas[0].gpus, cluster.quotas[0].region) == (256, None)
    assert (cluster.prices[0].term_s, cluster.prices[0].increment_s) == (365 * 86400, 365 * 86400)
    assert scenario.risk is not None
    assert scenario.risk.interruptions_per_1000_node_days == 0
    assert scenario.risk.storage_gbyte_per_s == 20
    assert scenario.risk.detection_s is None


def test_storage_egress_and_terms_add_up_as_they_say() -> None:
    scenario = read(EVERYTHING)
    assert scenario.storage is not None
    assert scenario.storage.usd(30 * 86400) == pytest.approx(50_000 * 0.023)
    assert scenario.egress is not None
    assert scenario.egress.usd == pytest.approx(10_000 * 0.09)
    assert scenario.terms == Terms(3600, 7 * 86400, 16)
    paid = paid_time(scenario.terms, OfferTerms())
    assert paid.paid_s(5) == 7 * 86400
    assert paid.paid_s(8 * 86400 + 1) == 8 * 86400 + 3600


def test_the_objective_is_cost_under_a_deadline_and_else_time() -> None:
    assert read(SMALLEST).objective.kind == "cost"
    assert read(SMALLEST.replace("time: 14 days", "cost: 80k USD")).objective.kind == "time"
    assert read(SMALLEST.replace("budget: {time: 14 days}\n", "")).budget.time_s is None


@pytest.mark.parametrize(
    ("written", "seq_length", "sequences"),
    [
        ("4M tokens", 2048, 2048),  # 2^22, as papers mean it
        ("2M tokens", 2048, 1024),
        ("0.5M tokens", 2048, 256),
        ("3.2M tokens", 2048, 1536),  # GPT-3 175B (Brown et al. 2020, table 2.1)
        ("16M tokens", 8192, 2048),
        ("4,194,304 tokens", 2048, 2048),
        ("512000 tokens", 2048, 250),
        ("1536", 2048, 1536),
    ],
)
def test_a_batch_in_tokens_is_the_batch_that_people_mean(written: str, seq_length: int, sequences: int) -> None:
    text = SMALLEST.replace("epochs: 4", f'epochs: 4, global_batch: "{written}"').replace("2048", str(seq_length))
    scenario = read(text)
    assert scenario.training.global_batch == IntChoice(values=(sequences,))
    said = dict(scenario.defaults).get("training.global_batch", "")
    assert ("read as" in said) == ("M tokens" in written)


@pytest.mark.parametrize(
    ("choice", "allowed", "refused"),
    [
        (IntChoice(), [1, 7], []),
        (IntChoice(values=(2, 4)), [2, 4], [1, 3, 8]),
        (IntChoice(512, 2048), [512, 777, 2048], [511, 2049]),
        (IntChoice(multiple_of=8), [8, 800], [4]),
        (IntChoice(None, 10, 4), [4, 8], [9, 12]),
    ],
)
def test_choices_allow_what_they_say(choice: IntChoice, allowed: list[int], refused: list[int]) -> None:
    assert [n for n in allowed + refused if choice.allows(n)] == allowed


def test_other_budgets_leave_the_rest_as_it_is() -> None:
    scenario = read(EVERYTHING)
    longer = scenario.with_time(99.0)
    assert (longer.budget.time_s, longer.budget.deadline, longer.budget.cost_usd) == (99.0, None, 80_000)
    assert scenario.with_budget(cost_usd=None).budget.cost_usd is None
    assert longer.cluster == scenario.cluster


def test_a_shape_inline_needs_only_what_cannot_be_derived() -> None:
    text = SMALLEST.replace(
        "gpt-neox-20b",
        "{layers: 4, hidden: 512, heads: 8, vocab: 50257, moe: {experts: 8, top_k: 2, expert_ffn: 1024}}",
    )
    scenario = read(text)
    assert (scenario.model.head_dim, scenario.model.kv_heads, scenario.model.ffn) == (64, 8, 2048)
    assert scenario.model.moe is not None
    assert scenario.model.moe.top_k == 2
    assert {"model.head_dim", "model.kv_heads", "model.ffn"} <= dict(scenario.defaults).keys()


@pytest.mark.parametrize("file", ["config.json", "configs/20B.yml", "./here", "models/mine.yaml"])
def test_a_config_file_is_kept_as_a_reference(file: str) -> None:
    scenario = read(SMALLEST.replace("gpt-neox-20b", file))
    assert scenario.model_file == file
    assert scenario.unresolved == ("model",)


def test_a_log_may_bring_the_sequence_length() -> None:
    scenario = read(SMALLEST.replace("samples: 31267487, seq_length: 2048", "log: train.log"))
    assert (scenario.seq_length, scenario.unresolved) == (0, ("data.0",))


# --- YAML ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["no", "on", "12:30", "0o7", "1e9", "1_000", "2027-03-01", "0x1F", "true", ".5"])
def test_texts_are_taken_verbatim(text: str) -> None:
    assert read(SMALLEST + f"name: {text}\n").name == text


def test_numbers_follow_yaml_1_2() -> None:
    assert read(SMALLEST.replace("31267487", "1e9")).data[0].samples == 10**9
    assert read(SMALLEST.replace("31267487", "010")).data[0].samples == 10
    assert read(SMALLEST.replace("epochs: 4", "epochs: .5")).training.epochs == 0.5


def test_an_alias_is_read_where_it_stays_small() -> None:
    text = SMALLEST + "layout: {tp: &n {max: 4}, pp: *n}\n"
    assert read(text).layout.pp == IntChoice(maximum=4)


# --- overrides ----------------------------------------------------------------------------------------------------


def test_overrides_split_at_the_first_equals_and_texts_take_the_rest() -> None:
    assert read(SMALLEST, "name=a=b: [c] # d").name == "a=b: [c] # d"
    assert read(SMALLEST, "name=[draft] x").name == "[draft] x"
    assert read(SMALLEST, "budget.time=7 days").budget.time_s == 7 * 86400


def test_overrides_take_maps_lists_and_numbers_and_reach_into_lists() -> None:
    assert read(SMALLEST, "training.global_batch={min: 512, max: 1024}").training.global_batch == IntChoice(512, 1024)
    assert read(SMALLEST, "cluster.gpus=[h100-sxm5-80gb]").cluster.gpus == ("h100-sxm5-80gb",)
    assert read(SMALLEST, "layout.tp.max=4").layout.tp == IntChoice(maximum=4)
    assert read(EVERYTHING, "data.0.weight=3").data[0].weight == 3
    assert read(EVERYTHING, "layout.pp.1=2").layout.pp.values == (2, 8)


def test_null_takes_a_key_away() -> None:
    assert read(SMALLEST, "budget.time=null").budget.time_s is None
    assert read(EVERYTHING, "throughput=null").throughput == ()


def test_the_digest_is_of_the_bytes_and_the_overrides() -> None:
    assert read(SMALLEST).digest == read(SMALLEST).digest
    assert len({read(SMALLEST).digest, read(SMALLEST + "\n").digest, read(SMALLEST, "training.epochs=4").digest}) == 3


def test_the_folder_is_no_part_of_a_scenario_s_identity() -> None:
    here = parse_scenario(SMALLEST.encode(), Path("a/x.yaml"))
    there = parse_scenario(SMALLEST.encode(), Path("b/x.yaml"))
    assert here == there
    assert "a/x" not in repr(here)


# --- files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(path.name for path in scenarios_dir().glob("*.yaml")))
def test_the_shipped_scenarios_read(file: str) -> None:
    path = scenarios_dir() / file
    found = parse_any(path.read_bytes(), path)
    assert found.source == file
    for scenario in [each.scenario for each in found.stages] if isinstance(found, Programme) else [found]:
        assert not scenario.unresolved


def test_the_smallest_shipped_scenario_has_four_lines() -> None:
    assert len((scenarios_dir() / "smallest.yaml").read_text().splitlines()) == 4


def test_as_trained_pins_the_published_layout() -> None:
    scenario = load_scenario(scenarios_dir() / "neox20b-as-trained.yaml")
    layout, own = scenario.layout, scenario.cluster.own[0]
    tp, pp, dp = layout.tp.pinned, layout.pp.pinned, layout.dp.pinned
    assert (tp, pp, layout.micro_batch.pinned) == (2, 4, 4)
    assert dp is not None
    assert 2 * 4 * dp == own.gpus_per_node * own.nodes == 96
    assert scenario.training.global_batch == IntChoice(values=(4 * 32 * dp,))
    assert scenario.data[0].samples == 150_000 * 1536


@pytest.mark.parametrize(
    ("name", "says"), [("missing.yaml", "no such file"), (".", "a folder"), ("a\0b", "cannot be read")]
)
def test_what_is_no_readable_file_is_said(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(PlannerError, match=says):
        load_scenario(tmp_path / name)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ("neox2b.yaml", "did you mean `.*neox20b.yaml`"),
        ("pythia-12b.yml", r"did you mean `[^`]*pythia-12b.yaml`\?$"),
        ("neox20b", r"did you mean `[^`]*neox20b.yaml`\?$"),
        ("zebra.yaml", "beside it are neox20b-as-trained.yaml, neox20b.yaml, pythia-12b.yaml$"),
        ("nowhere/neox20b.yaml", "nor a folder"),
    ],
)
def test_a_file_that_is_not_there_names_what_is(tmp_path: Path, asked: str, says: str) -> None:
    for name in ("neox20b.yaml", "neox20b-as-trained.yaml", "pythia-12b.yaml", "zebra.txt"):
        (tmp_path / name).touch()
    with pytest.raises(PlannerError, match=says):
        load_scenario(tmp_path / asked)


def test_a_folder_of_many_files_is_not_read_out_whole(tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"q{number}\x1b.yaml").touch()
    with pytest.raises(PlannerError, match="and 32 more") as caught:
        load_scenario(tmp_path / "zebra.yaml")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("training.framework=Megatron-Bridge", "megatron"),
        ("training.framework=NeMo", "megatron"),
        ("training.framework=NEOX", "gpt-neox"),
        ("training.precision=BF16", "bf16"),
        ("training.adapter=QLoRA", "qlora"),
        ("cluster.clouds=[AWS]", "aws"),
        ("layout.recompute=Full", "full"),
    ],
)
def test_the_case_of_a_word_does_not_matter_and_frameworks_have_other_names(written: str, read: str) -> None:
    scenario = load_scenario(scenarios_dir() / "smallest.yaml", [written])
    training, adapter = scenario.training, scenario.training.adapter
    known = (training.framework, training.precision, adapter and adapter.method, *scenario.cluster.clouds)
    assert read in (*known, *scenario.layout.recompute)


def test_a_scenario_takes_every_name_that_the_page_of_frameworks_gives() -> None:
    names = {alias: row.name for row in frameworks().values() for alias in row.aliases}
    assert names == FRAMEWORK_NAMES
