"""What a decoder is made of: the shape from which every count, byte and FLOP follows."""

from __future__ import annotations

from dataclasses import dataclass, field

NORMS = ("layernorm", "layernorm_nobias", "layernorm_bare", "rmsnorm")
ACTIVATIONS = ("gelu", "silu", "relu", "mish", "softsign", "sigmoid", "linear")  # linear: none at all
POSITIONS = ("alibi", "none", "rpe", "sinusoidal")  # what is neither rotary nor learned
PARTS = ("moe", "mla", "recurrent", "sparse")  # fields of ModelSpec that are maps of their own
MIXERS = ("mamba", "mamba2", "gated_delta", "lightning")  # what carries a state from token to token


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
    shared_gate: bool = False  # the shared experts' output is weighed by a number of each token (Qwen2-MoE)
    latent: int = 0  # width that routed experts work at, if not hidden: two more projections a layer (Nemotron 3)


@dataclass(frozen=True, slots=True)
class MLASpec:
    """Multi-head latent attention (DeepSeek-V2): low-rank projections of queries and of keys and values."""

    q_lora_rank: int  # 0: queries are projected directly
    kv_lora_rank: int
    qk_nope_head_dim: int
    qk_rope_head_dim: int
    v_head_dim: int


@dataclass(frozen=True, slots=True)
class RecurrentSpec:
    """A mixer in attention's place that carries a state of fixed size from token to token. Widths are elements.

    mamba: Gu & Dao 2023 (one head as wide as all); mamba2: Dao & Gu 2024; gated_delta: Yang et al. 2024; lightning:
    Qin et al. 2024 and MiniMax-01 (2025).
    """

    kind: str = field(metadata=_among(MIXERS))
    heads: int  # of values
    head_dim: int  # of values
    state: int  # rows of a head's state: Mamba's N, the width of a key elsewhere
    key_heads: int = 1  # keys and queries (Mamba's B and C) that the heads share
    conv: int = 0  # taps of the causal convolution before it, 0: none
    conv_bias: bool = False
    projection_bias: bool = False
    step_rank: int = 0  # Mamba's: rank of the step sizes' projection
    inner_norms: bool = False  # norms of step, B and C (Jamba)
    chunk: int = 64  # tokens that a kernel takes at once


@dataclass(frozen=True, slots=True)
class SparseSpec:
    """Attention to the keys that a small indexer chooses (DeepSeek-V3.2, section 2.1). Widths are of one head."""

    index_heads: int
    index_head_dim: int
    top_k: int  # keys that a query attends to


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
    norm: str = field(default="layernorm", metadata=_among(NORMS))  # layernorm_bare: neither
    qk_norm: bool = False
    qk_norm_wide: bool = False  # with a weight for each element of all heads (OLMo 2, Cohere), not of one head
    embedding_norm: bool = False  # a norm behind the embedding (BLOOM)
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
    window_in_chunks: bool = False  # windows are chunks side by side, of which a query sees its own (Llama 4)
    full_attention_every: int = (
        0  # 0: every layer is windowed (if a window is given); n: each n-th layer sees everything
    )
    attention_sinks: bool = False
    mtp_layers: int = 0  # extra multi-token-prediction layers
    moe: MoESpec | None = None
    mla: MLASpec | None = None
    recurrent: RecurrentSpec | None = None  # what layers marked R in `layer_pattern` have
    sparse: SparseSpec | None = None
    # A word a layer, repeated over all of them: A attention to everything, W to the window, R recurrent, D the dense
    # MLP, E experts; "RD RE AD RE". "": attention in each, the rest as sliding_window and moe say.
    layer_pattern: str = ""
    attention_gate: bool = False  # a gate as wide as the queries on attention's output (Qwen3-Next)
    published_params: int | None = None  # what its authors print, for checks
    aliases: tuple[str, ...] = ()  # other names it is found by
    source: str = ""
