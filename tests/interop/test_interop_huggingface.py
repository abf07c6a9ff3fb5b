"""A config.json is the model that transformers builds from it, or is refused, or is warned of."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from planner.interop.hf_families import FAMILIES, REFUSED
from planner.interop.huggingface import _DECIDING, _IRRELEVANT
from planner.interop.imported import Imported
from planner.interop.importing import import_files
from planner.units import PlannerError
from planner.workload.counts import parameter_counts

# Parameters of the model that transformers 5.24 builds of each class without arguments, on its "meta" device.
OF_CLASSES = {
    "llama": 6_738_415_616, "mistral": 7_241_732_096, "mixtral": 46_702_792_704, "qwen2": 12_049_846_272, "qwen3":
    12_049_461_248, "qwen2_moe": 14_315_784_192, "qwen3_moe": 15_350_731_776, "gemma": 8_537_680_896, "gemma2":
    2_614_341_888, "gemma3_text": 2_628_658_432, "phi": 1_418_270_720, "phi3": 3_821_079_552, "phimoe":
    41_872_793_600, "falcon": 6_921_720_704, "opt": 125_239_296, "gpt2": 124_439_808, "gpt_bigcode": 111_446_784,
    "gptj": 6_050_882_784, "codegen": 6_050_882_784, "gpt_neox": 20_554_567_680, "stablelm": 2_795_443_200,
    "cohere": 34_980_831_232, "cohere2": 34_980_831_232, "olmo": 6_888_095_744, "olmo2": 6_888_624_128, "olmo3":
    6_888_624_128, "olmoe": 13_361_612_800, "granite": 6_738_415_616, "granitemoe": 37_039_116_288, "starcoder2":
    3_030_371_328, "glm": 9_399_951_360, "glm4": 9_400_279_040, "smollm3": 3_075_098_624, "ernie4_5": 360_748_032,
    "seed_oss": 28_921_040_896, "helium": 2_172_643_840, "arcee": 4_022_766_080, "exaone4": 9_429_069_824,
    "deepseek_v3": 671_026_404_352, "gpt_oss": 116_829_156_672, "mpt": 1_311_213_568, "gpt_neo": 1_315_575_808,
}  # fmt: skip
# The same of shapes that differ from a class's defaults where its family has a choice.
OF_SHAPES = [
    (
        {
            "model_type": "falcon",
            "new_decoder_architecture": True,
            "num_kv_heads": 8,
            "num_attention_heads": 64,
            "hidden_size": 4096,
            "num_hidden_layers": 4,
        },
        954_277_888,
    ),
    (
        {
            "model_type": "falcon",
            "alibi": True,
            "parallel_attn": False,
            "multi_query": False,
            "bias": True,
            "num_attention_heads": 32,
            "hidden_size": 2048,
            "num_hidden_layers": 4,
        },
        334_606_336,
    ),
    ({"model_type": "bloom", "hidden_size": 1024, "n_layer": 24, "n_head": 16, "vocab_size": 250880}, 559_214_592),
    (
        {
            "model_type": "opt",
            "hidden_size": 2048,
            "num_hidden_layers": 24,
            "num_attention_heads": 32,
            "ffn_dim": 8192,
            "word_embed_proj_dim": 2048,
            "vocab_size": 50272,
        },
        1_315_758_080,
    ),
    (
        {
            "model_type": "gpt_bigcode",
            "n_embd": 2048,
            "n_layer": 24,
            "n_head": 16,
            "n_positions": 2048,
            "n_inner": 8192,
            "multi_query": False,
            "vocab_size": 49280,
        },
        1_313_722_368,
    ),
    (
        {
            "model_type": "gpt_neo",
            "hidden_size": 768,
            "num_layers": 12,
            "num_heads": 12,
            "attention_types": [[["global", "local"], 6]],
            "vocab_size": 50257,
        },
        125_198_592,
    ),
    (
        {
            "model_type": "stablelm",
            "use_parallel_residual": True,
            "use_qkv_bias": True,
            "hidden_size": 1024,
            "num_hidden_layers": 4,
            "num_attention_heads": 16,
            "num_key_value_heads": 16,
            "intermediate_size": 4096,
        },
        170_153_984,
    ),
    ({"model_type": "stablelm", "use_qkv_bias": True, "num_key_value_heads": 8}, 2_480_993_280),
    (
        {
            "model_type": "cohere",
            "hidden_size": 1024,
            "num_hidden_layers": 4,
            "num_attention_heads": 8,
            "num_key_value_heads": 2,
            "intermediate_size": 4096,
        },
        322_966_528,
    ),
    (
        {
            "model_type": "phi",
            "hidden_size": 2560,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "intermediate_size": 10240,
        },
        2_779_683_840,
    ),
    (
        {
            "model_type": "starcoder2",
            "hidden_size": 4608,
            "num_hidden_layers": 32,
            "num_attention_heads": 36,
            "num_key_value_heads": 4,
            "intermediate_size": 18432,
            "use_bias": True,
        },
        7_173_923_840,
    ),
    (
        {
            "model_type": "llama",
            "attention_bias": True,
            "mlp_bias": True,
            "head_dim": 64,
            "num_key_value_heads": 8,
            "tie_word_embeddings": True,
        },
        5_132_013_568,
    ),
    (
        {
            "model_type": "granitemoe",
            "num_local_experts": 32,
            "num_experts_per_tok": 8,
            "hidden_size": 1024,
            "intermediate_size": 512,
            "num_hidden_layers": 24,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
        },
        1_349_829_632,
    ),
    (
        {
            "model_type": "deepseek_v2",
            "num_experts_per_tok": 6,
            "hidden_size": 2048,
            "q_lora_rank": None,
            "num_hidden_layers": 27,
            "first_k_dense_replace": 1,
            "intermediate_size": 10944,
            "num_attention_heads": 16,
            "moe_intermediate_size": 1408,
        },
        15_706_484_224,
    ),
    ({"model_type": "glm4_moe", "head_dim": 128, "use_qk_norm": True, "num_hidden_layers": 8}, 17_875_408_896),
    ({"model_type": "glm", "num_hidden_layers": 4}, 2_057_361_408),
    ({"model_type": "smollm3", "num_hidden_layers": 4}, 575_162_368),
    ({"model_type": "olmoe", "num_hidden_layers": 4, "num_key_value_heads": 8}, 3_478_157_312),
    ({"model_type": "seed_oss", "num_hidden_layers": 2}, 2_134_945_792),
    ({"model_type": "ernie4_5", "use_bias": True}, 360_941_568),
    (
        {
            "model_type": "qwen3",
            "num_hidden_layers": 4,
            "hidden_size": 1024,
            "num_attention_heads": 16,
            "num_key_value_heads": 8,
            "tie_word_embeddings": True,
        },
        451_291_136,
    ),
    (
        {
            "model_type": "nemotron",
            "hidden_size": 4096,
            "num_hidden_layers": 4,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "intermediate_size": 16384,
        },
        2_801_868_800,
    ),
]


#: More of the same, of layers beyond attention and of experts in some layers; figures, made as those above.
FIGURES = json.loads((Path(__file__).parents[1] / "fixtures" / "interop" / "hf_counts.json").read_text("utf-8"))
CLASSES = OF_CLASSES | FIGURES["classes"]
SHAPES = OF_SHAPES + [(shape["config"], shape["parameters"]) for shape in FIGURES["shapes"]]
#: transformers keeps DeepSeek-V3's correction of scores as a buffer, one number an expert, and planner counts it; the
#: two numbers of a layer's xIELU (Apertus) planner does not count.
CORRECTIONS = 1e-7


def imported(tmp_path: Path, **values: object) -> Imported:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(values))
    return import_files([path])


def total(found: Imported) -> int:
    return parameter_counts(found.model, padded=False).total


@pytest.mark.parametrize("family", CLASSES)
def test_what_a_config_leaves_out_is_as_transformers_class_has_it(tmp_path, family):
    found = imported(tmp_path, model_type=family)
    assert total(found) == pytest.approx(CLASSES[family], rel=CORRECTIONS)
    assert found.warnings == ()


@pytest.mark.parametrize(("values", "count"), SHAPES, ids=str)
def test_what_a_family_may_have_is_counted(tmp_path, values, count):
    found = imported(tmp_path, **values)
    assert total(found) == pytest.approx(count, rel=CORRECTIONS)
    assert found.warnings == ()


def test_the_text_of_a_model_that_also_sees_is_what_is_planned(tmp_path):
    text = {"model_type": "gemma3_text", "hidden_size": 2560, "num_hidden_layers": 34, "intermediate_size": 10240}
    found = imported(tmp_path, model_type="gemma3", text_config=text, vision_config={"hidden_size": 1152})
    assert total(found) == pytest.approx(3_880_263_168, rel=1e-3)  # gemma-3-4b's text
    assert (found.model.full_attention_every, found.model.tied_embeddings) == (6, True)
    tied = imported(tmp_path, model_type="llava", tie_word_embeddings=True, text_config={"model_type": "llama"})
    assert tied.model.tied_embeddings


@pytest.mark.parametrize("family", REFUSED)
def test_what_is_not_planned_is_refused_as_what_it_is(tmp_path, family):
    with pytest.raises(PlannerError, match=r"config\.json has model_type .*, (which|whose) .*\.$"):
        imported(tmp_path, model_type=family, hidden_size=64)


def test_a_kind_of_layer_that_is_not_known_is_refused_by_name(tmp_path):
    with pytest.raises(PlannerError, match="layer_types has layers of the kind 'moebius'"):
        imported(tmp_path, model_type="qwen3_next", num_hidden_layers=2, layer_types=["moebius", "full_attention"])
    with pytest.raises(PlannerError, match="hybrid_override_pattern has layers 'X'"):
        imported(tmp_path, model_type="nemotron_h", hybrid_override_pattern="M-X")
    with pytest.raises(PlannerError, match="layer_types names 2 layers of 4"):
        imported(tmp_path, model_type="minimax", num_hidden_layers=4, layer_types=["linear_attention"] * 2)


def test_the_layers_of_a_hybrid_are_its_pattern(tmp_path):
    nemotron = imported(tmp_path, model_type="nemotron_h", hybrid_override_pattern="M-M*E").model
    assert (nemotron.layer_pattern, nemotron.layers) == ("R D R A E", 5)
    assert imported(tmp_path, model_type="qwen3_next").model.layer_pattern == "RE RE RE AE"
    assert imported(tmp_path, model_type="jamba").model.layer_pattern == "RD RE RD RE AD RE RD RE"
    llama4 = imported(tmp_path, model_type="llama4_text", interleave_moe_layer_step=2).model
    assert (llama4.layer_pattern, llama4.sliding_window, llama4.window_in_chunks) == ("WD WE WD AE", 8192, True)


def test_windows_that_follow_no_step_are_layers_of_a_pattern(tmp_path):
    kinds = ["sliding_attention", "full_attention", "full_attention", "sliding_attention"]
    found = imported(tmp_path, model_type="gemma3_text", num_hidden_layers=4, layer_types=kinds)
    assert found.model.layer_pattern == "WD AD AD WD"
    assert found.warnings == ()


def test_qwens_windows_stand_from_a_layer_on_and_its_dense_layers_where_they_are_named(tmp_path):
    shape = {"num_hidden_layers": 4, "use_sliding_window": True, "sliding_window": 4096}
    assert imported(tmp_path, model_type="qwen2", max_window_layers=2, **shape).model.layer_pattern == "AD AD WD WD"
    everywhere = imported(tmp_path, model_type="qwen2", max_window_layers=0, **shape).model
    assert (everywhere.layer_pattern, everywhere.sliding_window) == ("", 4096)
    moe = imported(tmp_path, model_type="qwen3_moe", num_hidden_layers=4, mlp_only_layers=[0, 3]).model
    assert moe.layer_pattern == "AD AE AE AD"
    stepped = imported(tmp_path, model_type="qwen3_moe", num_hidden_layers=4, decoder_sparse_step=2).model
    assert stepped.layer_pattern == "AD AE"


def test_a_config_of_one_kind_of_layer_has_no_pattern(tmp_path):
    assert imported(tmp_path, model_type="ernie4_5_moe", moe_layer_start_index=0).model.layer_pattern == ""
    assert imported(tmp_path, model_type="llama").model.layer_pattern == ""


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe"])
def test_the_text_of_qwen_that_sees_is_counted(tmp_path, family):
    shape = {"hidden_size": 1024, "num_hidden_layers": 2, "num_attention_heads": 8, "num_key_value_heads": 2,
             "intermediate_size": 2048, "vocab_size": 1000}  # fmt: skip
    flat = imported(tmp_path, model_type=family, vision_config={"depth": 32}, **shape)
    nested = imported(tmp_path, model_type=family, text_config={"model_type": f"{family}_text", **shape})
    assert total(flat) == total(nested)
    if family == "qwen3_vl_moe":  # Qwen3VLMoeTextConfig's own, not Qwen3MoeConfig's 128, 8 and 768
        moe = flat.model.moe
        assert (moe.experts, moe.top_k, moe.expert_ffn) == (60, 4, 1408)
    assert flat.model.qk_norm is family.startswith("qwen3")
    assert flat.model.attention_bias is family.startswith("qwen2")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"hidden_dim": 64}, "hidden_dim is no option of transformers' config that planner knows"),
        ({"num_heads": 4}, "num_heads is no option"),
        ({"quantization_config": {"bits": 4}}, "decides the precision of weights"),
        ({"layer_types": ["full_attention", "linear_attention"]}, "decides the attention of each layer"),
        ({"num_nextn_predict_layers": 1}, "decides layers that predict further tokens"),
        ({"sliding_window": 4096}, "decides the reach of attention"),
        ({"num_local_experts": 8}, "decides experts"),
        ({"use_qk_norm": True}, "decides norms of queries and keys"),
        ({"hidden_act": "xielu"}, "the activation xielu is not known"),
        ({"_name_or_path": "org/some-70b"}, "the name some-70b says 70 billion"),
    ],
    ids=str,
)
def test_what_a_family_does_not_have_is_a_warning_and_an_error_if_strict(tmp_path, values, words):
    found = imported(tmp_path, model_type="llama", **values)
    assert words in found.warnings[0]
    assert found.warnings[0].startswith("config.json")
    with pytest.raises(PlannerError, match="--strict takes no warnings"):
        import_files([tmp_path / "config.json"], strict=True)


@pytest.mark.parametrize(
    "values",
    [
        {"sliding_window": None, "use_sliding_window": False, "layer_types": ["full_attention"] * 32},
        {"torch_dtype": "bfloat16", "rope_scaling": None, "rope_theta": 1e6, "transformers_version": "4.40.0"},
        {"quantization_config": {}, "is_encoder_decoder": False, "pruned_heads": {}, "pretraining_tp": 1},
        {"_name_or_path": "meta-llama/Llama-2-7b-hf"},
        {"time_step_min": 0.001, "time_step_limit": [0.0, 1e9], "use_associative_scan": True, "clip_qkv": None},
    ],
    ids=str,
)
def test_what_says_nothing_to_a_plan_is_no_warning(tmp_path, values):
    assert imported(tmp_path, model_type="llama", **values).warnings == ()


def test_null_key_heads_are_as_many_as_heads(tmp_path):
    assert imported(tmp_path, model_type="mistral", num_key_value_heads=None).model.kv_heads == 32
    assert imported(tmp_path, model_type="mistral").model.kv_heads == 8


def test_no_key_is_both_irrelevant_and_deciding():
    assert not _IRRELEVANT & _DECIDING.keys()
    assert not FAMILIES.keys() & REFUSED.keys()


def test_a_model_without_a_limit_asks_for_the_sequence_length(tmp_path):
    assert "data.seq_length" in imported(tmp_path, model_type="llama").missing
    assert "data.seq_length" not in imported(tmp_path, model_type="llama", max_position_embeddings=4096).missing
