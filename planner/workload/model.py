"""What a decoder-only transformer is made of: the shape from which every count, byte and FLOP follows."""

from __future__ import annotations

from dataclasses import dataclass, field

NORMS = ("layernorm", "layernorm_nobias", "rmsnorm")
ACTIVATIONS = ("gelu", "silu", "relu", "mish", "softsign", "sigmoid", "linear")  # linear: none at all
POSITIONS = ("alibi", "none", "rpe", "sinusoidal")  # what is neither rotary nor learned


def _among(words: tuple[str, ...], *more: str) -> dict[str, tuple[str, str]]:
    """Metadata of a field that holds one of a few words, as `plan_json.like` writes it."""
    return {"like": ("|".join((*words, *more)), ", ".join(words))}


@dataclass(frozen=True, slots=True)
class MoESpec:
    """Routed experts that replace the MLP in some layers. Widths are of one expert."""

    experts: int
    top_k: int
    expert_ffn: int
    shared_experts: int = 0
    shared_ffn: int = 0  # width of one shared expert
    first_dense_layers: int = 0  # leading layers that keep the dense MLP
    every: int = 1  # every n-th layer after them is MoE
    router_bias: bool = False  # one number an expert: a bias, or DeepSeek-V3's score correction


@dataclass(frozen=True, slots=True)
class MLASpec:
    """Multi-head latent attention (DeepSeek-V2): low-rank projections of queries and of keys and values."""

    q_lora_rank: int  # 0: queries are projected directly
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """The shape of a decoder. Widths are elements, counts are per model unless said otherwise."""

    name: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int  # width of the dense MLP
    vocab: int  # rows of the embedding before padding
    gated_mlp: bool = False
    activation: str = field(default="", metadata=_among(ACTIVATIONS, ""))  # "": silu where gated, gelu elsewhere
    tied_embeddings: bool = False
    parallel_residual: bool = False
    # layernorm (weight and bias) | layernorm_nobias | rmsnorm (weight)
    norm: str = field(default="layernorm", metadata=_among(NORMS))
    qk_norm: bool = False
    attention_bias: bool = False  # on the q, k, v projections
    attention_output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    learned_positions: int = 0  # rows of a learned position embedding, 0: none
    positions_follow_sequence: bool = False  # that table has as many rows as the training sequence is long (MPT)
    position_embedding: str = field(default="", metadata=_among(POSITIONS, ""))  # "": rotary, or the learned ones
    norms_per_layer: int = 2  # of width hidden
    vocab_multiple: int = 128  # the trained vocabulary is padded to a multiple of this x tp
    max_seq_length: int | None = None
    sliding_window: int | None = None  # keys a query sees in windowed layers
    full_attention_every: int = (
        0  # 0: every layer is windowed (if a window is given); n: each n-th layer sees everything
    )
    attention_sinks: bool = False
    mtp_layers: int = 0  # extra multi-token-prediction layers
    moe: MoESpec | None = None
    mla: MLASpec | None = None
    published_params: int | None = None  # what its authors print, for checks
    aliases: tuple[str, ...] = ()  # other names it is found by
    source: str = ""
