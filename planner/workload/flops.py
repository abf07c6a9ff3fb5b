"""How many floating-point operations a token costs, with every convention that is in use named.

Model FLOPs count matrix multiplications only, two per multiply-add; backward is twice forward.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.spec.model import ModelSpec
from planner.workload.counts import (
    ParameterCounts,
    dense_layer_count,
    indexer_weights,
    latent_attention_weights,
    latent_weights,
    mlp_layer_count,
    padded_vocab,
    parameter_counts,
)
from planner.workload.layers import ATTENTION, WINDOWED, attention_count, layers_with, recurrent_count
from planner.workload.recurrent import matmul_weights, scan_flops

TRAINING_FACTOR = 3  # forward once, backward twice that


@dataclass(frozen=True, slots=True)
class Flops:
    """Forward FLOPs of one token, summed over layers; `mtp` is all that multi-token prediction adds.

    The router is given but enters no sum, as in Megatron's count (it is 0.2 to 0.5 % of a MoE model's).

    Attention scores come in two conventions: `scores_causal` counts what a causal (and windowed) mask leaves,
    `scores_full` the whole square of every layer. `scores` is the one that was asked for.
    """

    projections: float  # queries, keys, values, output; MLA's down and up projections; those of recurrent mixers
    mlp: float  # dense MLPs
    router: float  # not in `matmul`, `forward`, `training`
    experts: float  # the top-k routed experts of a token
    shared: float  # shared experts, and projections to a latent width
    scores_causal: float  # QK^T and AV
    scores_full: float
    logits: float
    mtp: float
    causal: bool
    scans: float = 0.0  # recurrences of layers without attention, and convolutions before them

    @property
    def scores(self) -> float:
        return self.scores_causal if self.causal else self.scores_full

    @property
    def matmul(self) -> float:
        """Everything but attention scores, recurrences, router and multi-token prediction."""
        return self.projections + self.mlp + self.experts + self.shared + self.logits

    @property
    def forward(self) -> float:
        return self.matmul + self.scores + self.scans + self.mtp

    @property
    def training(self) -> float:
        """Model FLOPs per token of forward and backward: 3 x forward. No recompute."""
        return TRAINING_FACTOR * self.forward


def flops_per_token(model: ModelSpec, seq_length: int, causal: bool = True, tp: int = 1, padded: bool = True) -> Flops:
    """Forward FLOPs per token of `model` at `seq_length`.

    Parameters
    ----------
    causal : count attention scores as the causal half and windowed layers by their window (what Megatron's published
        TFLOP/s do); False: every layer's full square (llm-foundry, GPT-NeoX).
    tp, padded : the padding of the vocabulary, as in `parameter_counts`.

    Source: Narayanan et al. 2021, section 5.1 and appendix; Chowdhery et al. 2022, appendix B.
    """
    dense = dense_layer_count(model)
    sparse = model.layers - dense
    projections, moe = projection_weights(model), model.moe
    expert = matmul_mlp_weights(model, moe.expert_ffn, moe.latent) if moe else 0
    shared = moe.shared_experts * matmul_mlp_weights(model, moe.shared_ffn) + latent_weights(model) if moe else 0
    router = model.hidden * moe.experts if moe else 0
    top_k = moe.top_k if moe else 0
    vocab = padded_vocab(model.vocab, model.vocab_multiple, tp) if padded else model.vocab
    logits = 2.0 * vocab * model.hidden
    width = score_width(model)
    full_layers, windowed_layers = attention_layers(model, seq_length)
    mean_keys, mean_windowed = seq_length / 2, windowed_keys(seq_length, model.sliding_window)
    if model.window_in_chunks and model.sliding_window:
        mean_windowed = min(seq_length, model.sliding_window) / 2
    if model.sparse:  # chosen keys, and the indexer's product with all of them
        mean_keys = windowed_keys(seq_length, model.sparse.top_k) + seq_length / 2 * index_width(model) / width
    recurrent, recurrent_layers = model.recurrent, recurrent_count(model)
    mixers = attention_count(model) * projections
    mixers += recurrent_layers * matmul_weights(recurrent, model.hidden) if recurrent else 0
    scores_causal = 2.0 * width * (full_layers * mean_keys + windowed_layers * mean_windowed)
    last = top_k * expert + shared if sparse else matmul_mlp_weights(model, model.ffn)
    mtp_scores = 2.0 * width * (mean_keys if causal else seq_length)
    mtp = model.mtp_layers * (2.0 * (projections + last + 2 * model.hidden**2) + mtp_scores + logits)
    return Flops(
        projections=2.0 * mixers,
        mlp=2.0 * mlp_layer_count(model) * matmul_mlp_weights(model, model.ffn) if dense else 0.0,
        router=2.0 * sparse * router,
        experts=2.0 * sparse * top_k * expert,
        shared=2.0 * sparse * shared,
        scores_causal=scores_causal,
        scores_full=2.0 * width * attention_count(model) * seq_length,
        logits=logits,
        mtp=mtp,
        causal=causal,
        scans=recurrent_layers * scan_flops(recurrent) if recurrent else 0.0,
    )


def attention_layers(model: ModelSpec, seq_length: int) -> tuple[int, int]:
    """Layers whose queries see everything before them, and layers limited to the window."""
    if model.layer_pattern:
        windowed = layers_with(model, WINDOWED)
        if model.sliding_window is None or model.sliding_window >= seq_length:
            return layers_with(model, ATTENTION) + windowed, 0
        return layers_with(model, ATTENTION), windowed
    if model.sliding_window is None or model.sliding_window >= seq_length:
        return model.layers, 0
    if model.full_attention_every <= 0:
        return 0, model.layers
    full = model.layers // model.full_attention_every
    return full, model.layers - full


def windowed_keys(seq_length: int, window: int | None) -> float:
    """Mean keys a query sees under a causal mask and a window of w: w - w^2 / (2 s); s / 2 where w covers the sequence.

    The first w queries see w / 2 on the mean, the others w.
    """
    if window is None or window >= seq_length:
        return seq_length / 2
    return window - window * window / (2 * seq_length)


def score_width(model: ModelSpec) -> int:
    """Elements per query-key pair that QK^T and AV multiply: heads x (query width + value width)."""
    if model.mla is not None:
        mla = model.mla
        return model.heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim + mla.v_head_dim)
    return 2 * model.heads * model.head_dim


def index_width(model: ModelSpec) -> int:
    """Elements per query-key pair that an indexer multiplies, to choose what attention then looks at."""
    return model.sparse.index_heads * model.sparse.index_head_dim if model.sparse else 0


def projection_weights(model: ModelSpec) -> int:
    """Weights of one layer's attention projections, as they are multiplied in training (MLA: not absorbed)."""
    indexer = indexer_weights(model.sparse, model) if model.sparse else 0
    gate = model.hidden * model.heads * model.head_dim if model.attention_gate else 0
    if model.mla is not None:
        return latent_attention_weights(model.mla, model.hidden, model.heads) + indexer + gate
    return model.hidden * model.head_dim * (2 * model.heads + 2 * model.kv_heads) + indexer + gate


def matmul_mlp_weights(model: ModelSpec, width: int, outer: int = 0) -> int:
    """Weights of one MLP of inner width `width` that reads and gives `outer` (0: hidden), biases apart."""
    return (3 if model.gated_mlp else 2) * (outer or model.hidden) * width


def neox_logged_flops(
    model: ModelSpec, seq_length: int, global_batch: int, recompute: bool = True, tp: int = 1
) -> float:
    """FLOPs per iteration as GPT-NeoX logs them: 24 c B s L h^2 (1 + s / (6 h) + V / (16 L h)).

    c is 4 with activation checkpointing, else 3; V the padded vocabulary; attention is not halved, and the shape is
    taken for plain multi-head attention with an MLP of width 4h whatever the model is.

    Source: GPT-NeoX's logged "approx flops per GPU"; Narayanan et al. 2021, equation 3, which has c = 4.
    """
    layers, hidden = model.layers, model.hidden
    vocab = padded_vocab(model.vocab, model.vocab_multiple, tp)
    factor = 4 if recompute else 3
    tokens = global_batch * seq_length
    return (
        24.0 * factor * tokens * layers * hidden**2 * (1 + seq_length / (6 * hidden) + vocab / (16 * layers * hidden))
    )


def llm_foundry_flops_per_token(model: ModelSpec, seq_length: int) -> float:
    """Training FLOPs per token as llm-foundry counts its MFU: 3 x (2 N + 4 L h s), N all parameters, the full square.

    Source: mosaicml/llm-foundry, MPT's `flops_per_batch`.
    """
    counts = parameter_counts(model, seq_length=seq_length)
    return 3.0 * (2.0 * counts.total + 4.0 * model.layers * model.hidden * seq_length)


def six_n_d(counts: ParameterCounts) -> float:
    """The rule of thumb 6 N per token, N the active parameters without embeddings (Kaplan et al. 2020)."""
    return 6.0 * (counts.active - counts.embedding - counts.positions - counts.head)
