"""The model zoo: every shape loads, and its counts are the published ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from planner.units import PlannerError
from planner.workload import load_model, model_from_mapping, model_names, parameter_counts
from planner.workload.model_catalog import find_model, models_dir

# Counts that were published for a vocabulary padded for that many tensor-parallel ranks.
TENSOR_PARALLEL = {"gpt-neox-20b": 2, "pythia-6.9b": 2, "pythia-12b": 4}
NAMES = model_names()


@pytest.mark.parametrize("name", NAMES)
def test_counts_agree_with_the_published_ones(name: str) -> None:
    model = load_model(name)
    assert model.source
    if model.published_params is None:
        pytest.skip("its authors print no exact count; see the next test")
    total = parameter_counts(model, TENSOR_PARALLEL.get(name, 1), padded=not name.startswith("gpt3-")).total
    # GPT-3's table D.1 prints three or four digits: half a unit of the last one is all it can tell.
    rounding = {"gpt3-125m": 0.5e6, "gpt3-1.3b": 5e6}.get(name, 0)
    assert abs(total - model.published_params) <= max(0.001 * model.published_params, rounding)


def test_gpt_neox_20b_is_exact_with_its_padded_vocabulary() -> None:
    counts = parameter_counts(load_model("gpt-neox-20b"), tp=2)
    assert counts.vocab == 50_432
    assert counts.total == 20_554_567_680


@pytest.mark.parametrize(
    ("name", "embedding", "other"),  # Parmar et al. 2024 and NVIDIA 2024, tables of parameters, in 10^9
    [("nemotron-4-15b", 3.2, 12.5), ("nemotron-4-340b", 9.4, 331.6)],
)
def test_nemotron_splits_as_published(name: str, embedding: float, other: float) -> None:
    counts = parameter_counts(load_model(name))
    assert round((counts.embedding + counts.head) / 1e9, 1) == pytest.approx(embedding, abs=0.11)
    assert counts.non_embedding / 1e9 == pytest.approx(other, abs=0.05)


@pytest.mark.parametrize(
    ("name", "active", "within"),  # as the authors print them, in 10^9
    [
        ("mixtral-8x7b", 12.9, 0.05),  # Jiang et al. 2024: "13B active", 12.9B on the model's page
        ("mixtral-8x22b", 39.1, 0.1),
        ("deepseekv3", 37.0, 0.6),  # DeepSeek-AI 2024: 37B
        ("qwen3-235b-a22b", 22.0, 0.3),
        ("qwen3-30b-a3b", 3.3, 0.06),
        ("kimi-k2", 32.6, 0.3),
    ],
)
def test_active_counts_of_mixtures(name: str, active: float, within: float) -> None:
    assert parameter_counts(load_model(name)).active / 1e9 == pytest.approx(active, abs=within)


@pytest.mark.parametrize(("name", "active"), [("gpt-oss-120b", 5.13), ("gpt-oss-20b", 3.61)])
def test_gpt_oss_counts_its_active_parameters_without_the_embedding(name: str, active: float) -> None:
    counts = parameter_counts(load_model(name))  # OpenAI 2025, model card, table 1
    assert (counts.active - counts.embedding) / 1e9 == pytest.approx(active, abs=0.01)


def test_deepseek_has_one_multi_token_prediction_layer() -> None:
    counts = parameter_counts(load_model("deepseekv3"))
    # The repository's README: 11.5B unique weights in the module (embedding and head are the main model's).
    assert counts.mtp / 1e9 == pytest.approx(11.5, abs=0.15)
    assert counts.total_with_mtp == counts.total + counts.mtp
    assert counts.mtp_active < counts.mtp / 10


@pytest.mark.parametrize(
    ("name", "seq_length", "total"),  # mosaicml/llm-foundry, scripts/train/benchmarking, NumParams
    [("mpt-7b", 65_536, 6_918_905_856), ("mpt-125m", 512, 124_131_840), ("mpt-3b", 8_192, 2_667_566_080)],
)
def test_mpt_has_a_learned_position_for_every_place_of_its_sequence(name: str, seq_length: int, total: int) -> None:
    assert parameter_counts(load_model(name), seq_length=seq_length).total == total


def test_the_split_adds_up() -> None:
    for name in NAMES:
        model = load_model(name)
        counts = parameter_counts(model)
        layers = counts.dense_layers * counts.dense_layer + counts.moe_layers * counts.moe_layer
        outside = counts.embedding + counts.positions + counts.final_norm + counts.head
        assert counts.total == layers + outside
        assert counts.active <= counts.total
        assert counts.dense_layers + counts.moe_layers == model.layers
        if model.moe is None:
            assert counts.active == counts.total


MEASURED = (
    "mpt-125m mpt-350m mpt-760m mpt-1b mpt-3b mpt-7b mpt-13b mpt-30b mpt-70b deepseekv3 gpt-oss-120b kimi-k2 "
    "llama3-8b llama3-70b llama3.1-405b qwen3-235b-a22b qwen3-30b-a3b gpt-18.4b gpt-3.6b"
)


@pytest.mark.parametrize("name", MEASURED.split())
def test_every_measured_model_is_in_the_zoo(name: str) -> None:
    assert load_model(name).name == name


def test_names_are_found_by_alias_and_in_any_case() -> None:
    assert load_model("llama-3.1-405b").name == "llama3.1-405b"
    assert load_model("DeepSeek_V3").name == "deepseekv3"
    assert load_model("gpt3-175b").hidden == 12_288


def test_an_unknown_model_names_the_nearest() -> None:
    with pytest.raises(PlannerError, match="gpt-neox-20b"):
        load_model("gpt-neo-20b")
    with pytest.raises(PlannerError):
        load_model("../models/gpt-neox-20b")


def test_an_overlay_wins(tmp_path: Path) -> None:
    text = (models_dir() / "llama3-8b.yaml").read_text(encoding="utf-8")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "llama3-8b.yaml").write_text(text.replace("layers: 32", "layers: 16"), encoding="utf-8")
    assert load_model("llama3-8b", [tmp_path]).layers == 16
    assert load_model("llama3-8b").layers == 32


SMALL = {"layers": 2, "hidden": 64, "heads": 4, "vocab": 100}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"hiden": 1}, "did you mean `hidden`"),
        ({"layers": "two"}, "whole number"),
        ({"layers": True}, "whole number"),
        ({"layers": 0}, "positive"),
        ({"heads": 5}, "does not divide"),
        ({"kv_heads": 3}, "multiple of kv_heads"),
        ({"gated_mlp": 1}, "true or false"),
        ({"norm": "batch"}, "layernorm"),
        ({"moe": {"experts": 4, "top_k": 8, "expert_ffn": 16}}, "top_k"),
        ({"moe": {"experts": 4}}, "needs 'top_k'"),
        ({"moe": 3}, "map"),
        ({"vocab": None}, "needs 'vocab'"),
    ],
)
def test_a_wrong_shape_is_one_sentence(change: dict[str, object], says: str) -> None:
    with pytest.raises(PlannerError, match=says):
        model_from_mapping({**SMALL, **change})


def test_defaults_of_an_inline_shape() -> None:
    model = model_from_mapping(SMALL)
    assert (model.kv_heads, model.head_dim, model.ffn) == (4, 16, 256)


@pytest.mark.parametrize(
    "text",
    [
        "[1, 2]",
        "a: &x 1",
        "a: [",
        "layers: !!python/object/apply:os.system [ls]",
        "layers: !model 2",
        "",
        "layers: 2\nlayers: 3",
        "layers: 12:30\nhidden: 64\nheads: 4\nvocab: 10",
        "layers: 1e1\nhidden: 64\nheads: 4\nvocab: 10",
        "layers: 2\nhidden: 64\nheads: 4\nvocab: 10\ngated_mlp: yes",
        "layers: " + "[" * 50_000,
        "? {a: 1}\n: 2",
    ],
)
def test_a_hostile_model_file_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PlannerError, match=r"bad\.yaml"):
        load_model("bad", [tmp_path])


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("NeoX-20B", "gpt-neox-20b"),
        ("GPT NeoX 20B", "gpt-neox-20b"),
        ("LLaMA_3_8B", "llama3-8b"),
        ("Qwen3 30B-A3B", "qwen3-30b-a3b"),
        ("Mixtral 8x7B", "mixtral-8x7b"),
    ],
)
def test_a_model_is_found_however_its_name_is_punctuated(written: str, name: str) -> None:
    assert load_model(written).name == name


@pytest.mark.parametrize("name", ["llama-38b", "llama3-18b", "llama31-8b", "../llama3-8b", ""])
def test_a_name_that_reads_otherwise_is_another_model(name: str) -> None:
    with pytest.raises(PlannerError, match="no model is called"):
        load_model(name)


def test_no_two_shipped_models_differ_by_punctuation_alone() -> None:
    names = [name for stem in model_names() for name in (stem, *load_model(stem).aliases)]
    assert all(load_model(name.replace("-", " ").upper()) == load_model(name) for name in names)


def test_the_strongest_overlay_has_the_last_word_on_a_model(tmp_path: Path) -> None:
    for folder, layers in (("weak", 2), ("strong", 3)):
        (tmp_path / folder / "models").mkdir(parents=True)
        text = f"layers: {layers}\nhidden: 64\nheads: 4\nvocab: 10\n"
        (tmp_path / folder / "models" / "mine.yaml").write_text(text, encoding="utf-8")
    assert load_model("mine", [tmp_path / "weak", tmp_path / "strong"]).layers == 3


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("unsloth/llama-3-8b-bnb-4bit", "llama3-8b"),
        ("unsloth/Llama-3.1-8B-Instruct-bnb-4bit", "llama3-8b"),
        ("TheBloke/Llama-2-7B-GPTQ", "llama2-7b"),
    ],
)
def test_a_quantised_model_of_a_hub_is_the_model(name: str, model: str) -> None:
    found = find_model(name)
    assert found is not None
    assert found.name == model
