"""LoRA and QLoRA: which matrices of a model get an adapter, how many parameters that is, and what it costs a token.

An adapter on a matrix of `inputs` x `outputs` is two matrices, r x inputs and outputs x r (Hu et al. 2021,
arXiv:2106.09685, section 4.1). QLoRA keeps the frozen matrices in NF4 (Dettmers et al. 2023, arXiv:2305.14314).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from planner.reading.names import did_you_mean
from planner.spec.adapter import ALL_LINEAR, Adapter
from planner.spec.model import MLASpec, ModelSpec, MoESpec, RecurrentSpec
from planner.units import PlannerError, shown
from planner.words import say
from planner.workload.counts import parameter_counts
from planner.workload.flops import Flops
from planner.workload.recurrent import widths

#: Bytes a parameter in NF4: 4 bits, and 0.127 of double quantisation's constants (8-bit ones of blocks of 64, of which
#: 256 share one in fp32): QLoRA, section 3.
NF4_BYTES = (4.0 + 8.0 / 64 + 32.0 / (64 * 256)) / 8.0
#: Weights that QLoRA leaves in 16 bits are cast to fp32 (peft/utils/other.py prepare_model_for_kbit_training).
UPCAST_BYTES = 4.0
OUTPUT_MOVES = 6.0  # of an adapter's output, forward: the product written, scaled (2), added to the matrix's own (3)


@dataclass(frozen=True, slots=True)
class Matrix:
    """One matrix of a layer that an adapter may lie on."""

    name: str  # as transformers' Llama has it
    inputs: int
    outputs: int
    part: str  # attention | recurrent | mlp | expert | shared | head
    count: int = 1  # of them a part: experts of a layer
    by_rows: bool = False  # tensor parallelism divides what it reads, else what it gives

    @property
    def width(self) -> int:
        return self.inputs + self.outputs


@dataclass(frozen=True, slots=True)
class AdapterCounts:
    """Parameters of adapters and elements that they move, of all layers."""

    dense: int  # outside routed experts and the head
    divided: int  # of these, what tensor parallelism divides
    experts: int
    head: int
    inputs: int  # elements a token that adapters read
    elements: float  # a token, forward, that pass through memory, routed experts apart
    expert_elements: float  # the same of one routed expert of a layer
    kernels: int  # adapters outside routed experts
    expert_kernels: int  # adapters on routed experts, of all of them
    active: int  # parameters that a token passes through

    @property
    def total(self) -> int:
        return self.dense + self.experts + self.head


#: Names of matrices under which others know them; several where a name is of several, or of one fused from several.
ALIASES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("query_key_value", "c_attn", "Wqkv", "W_pack", "wqkv", "linear_qkv", "att_proj"), ("qkv_proj",)
    ),
    **dict.fromkeys(("dense", "wo", "linear_proj", "attn_out"), ("o_proj",)),
    **dict.fromkeys(("dense_h_to_4h", "linear_fc1"), ("gate_up_proj", "up_proj")),
    **dict.fromkeys(("fc1", "c_fc", "fc_in"), ("up_proj",)),
    **dict.fromkeys(("dense_4h_to_h", "fc2", "fc_out", "linear_fc2"), ("down_proj",)),
    "out_proj": ("o_proj", "out_proj"),
    "c_proj": ("o_proj", "down_proj"),
    "w1": ("gate_proj", "up_proj"),
    "w2": ("down_proj",),
    "w3": ("up_proj",),
    "linear_q": ("q_proj",),
    "linear_k": ("k_proj",),
    "linear_v": ("v_proj",),
    "linear_fc1_gate": ("gate_proj",),
    "linear_fc1_up": ("up_proj",),
    "output": ("lm_head",),
    "embed_out": ("lm_head",),
}  # fmt: skip
_FIRST = ("dense_h_to_4h", "linear_fc1", "w1")  # of these names the first that the model has
DENSE = ("attention", "recurrent", "mlp", "shared")  # parts that expert parallelism does not divide
#: One matrix for several: none of `all-linear`, which has them apart.
FUSED = {"qkv_proj": ("q_proj", "k_proj", "v_proj"), "gate_up_proj": ("gate_proj", "up_proj")}


def matrices(model: ModelSpec) -> tuple[Matrix, ...]:
    """Every matrix of a layer of each kind, fused ones beside those they are made of, and the output layer."""
    found = [*_attention(model), *_recurrent(model.recurrent, model.hidden)]
    counts = parameter_counts(model)
    if counts.mlp_layers:
        found += _mlp("mlp", model.hidden, model.ffn, model.gated_mlp)
    found += _experts(model, model.moe)
    return (*found, Matrix("lm_head", model.hidden, model.vocab, "head"))


def _attention(model: ModelSpec) -> list[Matrix]:
    h, part = model.hidden, "attention"
    if model.mla is not None:
        return _latent(model.mla, h, model.heads)
    queries, keys = model.heads * model.head_dim, model.kv_heads * model.head_dim
    queried = 2 * queries if model.attention_gate else queries  # the gate comes out of the same matrix (Qwen3-Next)
    return [
        Matrix("q_proj", h, queried, part),
        Matrix("k_proj", h, keys, part),
        Matrix("v_proj", h, keys, part),
        Matrix("qkv_proj", h, queried + 2 * keys, part),
        Matrix("o_proj", queries, h, part, by_rows=True),
    ]


def _latent(mla: MLASpec, h: int, heads: int) -> list[Matrix]:
    part, query = "attention", heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
    rank = mla.q_lora_rank
    queries = (
        [Matrix("q_a_proj", h, rank, part), Matrix("q_b_proj", rank, query, part)]
        if rank
        else [Matrix("q_proj", h, query, part)]
    )
    return [
        *queries,
        Matrix("kv_a_proj_with_mqa", h, mla.kv_lora_rank + mla.qk_rope_head_dim, part),
        Matrix("kv_b_proj", mla.kv_lora_rank, heads * (mla.qk_nope_head_dim + mla.v_head_dim), part),
        Matrix("o_proj", heads * mla.v_head_dim, h, part, by_rows=True),
    ]


def _recurrent(r: RecurrentSpec | None, h: int) -> list[Matrix]:
    if r is None:
        return []
    w, part = widths(r), "recurrent"
    out = Matrix("out_proj", w.inner, h, part, by_rows=True)
    if r.kind == "mamba":
        return [
            Matrix("in_proj", h, w.projected, part),
            Matrix("x_proj", w.inner, r.step_rank + 2 * r.state, part, by_rows=True),
            Matrix("dt_proj", r.step_rank, w.inner, part),
            out,
        ]
    if r.kind == "mamba2":
        return [Matrix("in_proj", h, w.projected, part), out]
    if r.kind == "gated_delta":
        return [
            Matrix("in_proj_qkvz", h, w.projected - 2 * r.heads, part),
            Matrix("in_proj_ba", h, 2 * r.heads, part),
            out,
        ]
    return [Matrix("qkv_proj", h, 3 * w.inner, part), Matrix("output_gate", h, w.inner, part), out]


def _mlp(part: str, outer: int, width: int, gated: bool, count: int = 1) -> list[Matrix]:
    up = Matrix("up_proj", outer, width, part, count)
    gate = [replace(up, name="gate_proj"), Matrix("gate_up_proj", outer, 2 * width, part, count)] if gated else []
    return [*gate, up, Matrix("down_proj", width, outer, part, count, by_rows=True)]


def _experts(model: ModelSpec, moe: MoESpec | None) -> list[Matrix]:
    """Routed experts, and shared ones as the one MLP that they are together."""
    if moe is None:
        return []
    found = _mlp("expert", moe.latent or model.hidden, moe.expert_ffn, model.gated_mlp, moe.experts)
    if moe.shared_experts:
        found += _mlp("shared", model.hidden, moe.shared_experts * moe.shared_ffn, model.gated_mlp)
    return found


def targets(model: ModelSpec, adapter: Adapter) -> tuple[Matrix, ...]:
    """The matrices that get an adapter.

    Raises
    ------
    PlannerError
        If the model has no matrix of a name, naming those that it has.
    """
    known, chosen = matrices(model), []
    for word in adapter.target_modules:
        found = [m for m in known if m.part != "head" and m.name not in FUSED] if word == ALL_LINEAR else []
        if word == ALL_LINEAR:  # what has no matrices apart (lightning attention) counts as fused
            found += [m for m in known if m.name in FUSED and m.part == "recurrent"]
        name = word.rpartition(".")[2]
        names = (name,) if any(m.name == name for m in known) and name != "out_proj" else ALIASES.get(name, ())
        for each in names:
            found += [m for m in known if m.name == each]
            if found and name in _FIRST:
                break
        if not found:
            own = tuple(dict.fromkeys(m.name for m in known))
            near = did_you_mean(word, own) or say("adapters.has", names=list(own))
            raise PlannerError(say("adapters.no_matrix", model=model.name, word=shown(word), near=near))
        chosen += [m for m in found if m not in chosen]
    for fused in chosen:
        if any(m.part == fused.part and m.name in FUSED.get(fused.name, ()) for m in chosen):
            raise PlannerError(say("adapters.fused", name=fused.name))
    return tuple(chosen)


@lru_cache(maxsize=256)
def adapter_counts(model: ModelSpec, adapter: Adapter) -> AdapterCounts:
    """What the adapters of a model are; errors as `targets`.

    Elements a token forward, as PEFT's layer moves them (peft/tuners/lora/layer.py Linear.forward: result +
    lora_B(lora_A(x)) * scaling, an operation at a time): the input is read, the output written, scaled and added.
    """
    counts, chosen = parameter_counts(model), targets(model, adapter)
    layers = {
        "attention": counts.attention_layers,
        "recurrent": counts.recurrent_layers,
        "mlp": counts.mlp_layers,
        "expert": counts.moe_layers,
        "shared": counts.moe_layers,
        "head": 1,
    }

    def of(parts: Sequence[str], value: str = "width") -> int:
        return sum(layers[m.part] * m.count * getattr(m, value) for m in chosen if m.part in parts)

    dense, routed, each = (*DENSE, "head"), ("expert",), max(1, counts.experts)
    split = sum(layers[m.part] * (m.inputs if m.by_rows else m.outputs) for m in chosen if m.part in DENSE)
    return AdapterCounts(
        dense=adapter.r * of(DENSE),
        divided=adapter.r * split,
        experts=adapter.r * of(routed),
        head=adapter.r * of(("head",)),
        inputs=of(dense, "inputs") + counts.top_k * of(routed, "inputs") // each,
        elements=of(dense, "inputs") + OUTPUT_MOVES * of(dense, "outputs"),
        expert_elements=(of(routed, "inputs") + OUTPUT_MOVES * of(routed, "outputs")) / each,
        kernels=sum(layers[m.part] for m in chosen if m.part != "expert"),
        expert_kernels=sum(layers[m.part] * m.count for m in chosen if m.part == "expert"),
        active=adapter.r * (of(dense) + counts.top_k * of(routed) // each),
    )


def trained_parameters(model: ModelSpec, adapter: Adapter | None) -> int:
    """Parameters that training changes: all, or the adapters'."""
    return parameter_counts(model).total if adapter is None else adapter_counts(model, adapter).total


def training_flops(model: ModelSpec, flops: Flops, adapter: Adapter | None) -> float:
    """Model FLOPs a token, forward and backward, without recompute.

    Frozen matrices have no gradient of their own: their backward pass is once the forward one, not twice. Scores and
    scans have no weights and cost as ever; adapters six a parameter.
    """
    if adapter is None:
        return flops.training
    return 2.0 * flops.matmul + 3.0 * (flops.scores + flops.scans) + 6.0 * adapter_counts(model, adapter).active
