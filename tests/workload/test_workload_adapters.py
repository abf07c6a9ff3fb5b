"""Adapters' parameters: as PEFT and the LoRA paper print them, and as one adds them up."""

from __future__ import annotations

import pytest

from planner.spec.adapter import Adapter
from planner.spec.model import ModelSpec
from planner.units import PlannerError
from planner.workload.adapters import adapter_counts, matrices, trained_parameters, training_flops
from planner.workload.counts import parameter_counts
from planner.workload.flops import flops_per_token
from planner.workload.model_catalog import load_model

QV = ("q_proj", "v_proj")
OPT = ModelSpec(
    "opt-6.7b", 32, 4096, 32, 32, 128, 16384, 50272, activation="relu", attention_bias=True, learned_positions=2050
)
QWEN = ModelSpec("qwen2.5-3b", 36, 2048, 16, 2, 128, 11008, 151936, gated_mlp=True, tied_embeddings=True)


@pytest.mark.parametrize(
    ("model", "r", "modules", "printed"),
    [
        ("llama2-7b", 8, QV, 4_194_304),  # PEFT's documentation of LoRA
        ("llama3.2-1b", 8, ("q_proj",), 524_288),  # peft docs/source/quicktour.md
        (QWEN, 16, QV, 3_686_400),  # peft README.md: 2 key-value heads
        (OPT, 16, QV, 8_388_608),  # peft examples/int8_training/Finetune_opt_bnb_peft.ipynb
        ("gpt3-175b", 1, QV, 4_718_592),  # Hu et al. 2021, table 4: 4.7M
        ("gpt3-175b", 4, QV, 18_874_368),  # section 7.1: 18M
        ("gpt3-175b", 8, QV, 37_748_736),  # table 4: 37.7M
    ],
)
def test_counts_are_those_that_their_authors_print(
    model: str | ModelSpec, r: int, modules: tuple[str, ...], printed: int
) -> None:
    spec = load_model(model) if isinstance(model, str) else model
    assert adapter_counts(spec, Adapter("lora", r, modules)).total == printed


def test_all_linear_is_every_matrix_of_a_layer() -> None:
    llama = load_model("llama3-8b")  # hidden 4096, keys 1024, MLP 14336
    by_hand = 2 * (4096 + 4096) + 2 * (4096 + 1024) + 3 * (4096 + 14336)
    assert adapter_counts(llama, Adapter("lora", 16)).total == 32 * 16 * by_hand
    assert trained_parameters(llama, Adapter("lora", 16)) == 41_943_040
    assert trained_parameters(llama, None) == parameter_counts(llama).total


def test_every_expert_has_adapters_of_its_own_and_a_token_meets_those_of_its_experts() -> None:
    mixtral = load_model("mixtral-8x7b")
    found = adapter_counts(mixtral, Adapter("lora", 8, ("w1", "w2", "w3")))
    one = 8 * 3 * (4096 + 14336)
    assert (found.experts, found.dense, found.active) == (32 * 8 * one, 0, 32 * 2 * one)


@pytest.mark.parametrize("name", ["deepseekv3", "qwen3-30b-a3b", "gpt-oss-20b", "mpt-7b", "pythia-1b", "kimi-k2"])
def test_matrices_add_up_to_the_weights_that_tokens_meet(name: str) -> None:
    """Each matrix once, fused ones left aside: inputs x outputs is what FLOPs are counted of."""
    model = load_model(name)
    counts, flops = parameter_counts(model), flops_per_token(model, 4096, padded=False)
    layers = {"attention": counts.attention_layers, "mlp": counts.mlp_layers, "head": 1}
    layers |= dict.fromkeys(("expert", "shared"), counts.moe_layers)
    used = {"expert": counts.top_k}
    weights = sum(
        layers[m.part] * used.get(m.part, 1) * m.inputs * m.outputs
        for m in matrices(model)
        if m.name not in ("qkv_proj", "gate_up_proj")
    )
    assert 2.0 * weights == pytest.approx(flops.matmul, rel=1e-9)


@pytest.mark.parametrize(
    ("model", "fused", "apart"),
    [
        ("pythia-1b", "query_key_value", "qkv_proj"),
        ("mpt-7b", "Wqkv", "qkv_proj"),
        ("llama2-7b", "gate_up_proj", "linear_fc1"),
    ],
)
def test_a_fused_matrix_has_one_adapter(model: str, fused: str, apart: str) -> None:
    spec = load_model(model)
    one, same = (adapter_counts(spec, Adapter("lora", 4, (name,))).total for name in (fused, apart))
    assert one == same
    parts = ("q_proj", "k_proj", "v_proj") if apart == "qkv_proj" else ("gate_proj", "up_proj")
    assert one < adapter_counts(spec, Adapter("lora", 4, parts)).total


@pytest.mark.parametrize(
    ("modules", "said"),
    [
        (("q_prj",), "llama2-7b has no `q_prj`; did you mean `q_proj`"),
        (("attention",), "it has q_proj, k_proj, v_proj"),
        (("qkv_proj", "q_proj"), "name one or the other"),
    ],
)
def test_a_matrix_that_is_not_there_is_refused_by_name(modules: tuple[str, ...], said: str) -> None:
    with pytest.raises(PlannerError, match=said):
        adapter_counts(load_model("llama2-7b"), Adapter("lora", 8, modules))


def test_frozen_weights_have_no_gradients_and_adapters_six_flops_a_parameter() -> None:
    model = load_model("llama2-7b")
    flops, adapter = flops_per_token(model, 2048), Adapter("lora", 8, QV)
    expected = 2 * flops.matmul + 3 * flops.scores + 6 * 4_194_304
    assert training_flops(model, flops, adapter) == pytest.approx(expected)
    assert training_flops(model, flops, None) == flops.training
