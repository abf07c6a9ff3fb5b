"""How many parameters a decoder has, split the way that memory and time need them.

Counts are exact: biases, norms, routers and padded vocabulary rows included.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.spec.model import MLASpec, ModelSpec, SparseSpec
from planner.workload.layers import DENSE, EXPERTS, attention_count, block_count, layers_with, recurrent_count
from planner.workload.recurrent import mixer_parameters


@dataclass(frozen=True, slots=True)
class ParameterCounts:
    """Parameters of a model. `attention`, `recurrent`, `norms`, `mlp`, `router`, `expert`, `shared` are of one layer.

    `norms` are those of a layer with both mixer and MLP; one with either alone has half.
    """

    vocab: int  # rows of the embedding, padding included
    embedding: int
    positions: int  # learned position embedding
    attention: int  # projections, their biases, query-key norms, sinks
    norms: int
    mlp: int  # the dense MLP; 0 when no layer has one
    router: int
    expert: int  # one routed expert
    shared: int  # all shared experts of one MoE layer, and projections to the width that routed ones work at
    experts: int
    top_k: int
    dense_layers: int
    moe_layers: int
    final_norm: int  # and that behind the embedding, where there is one
    head: int  # output layer's own weights: 0 when tied to the embedding (its bias still counts)
    mtp: int  # all multi-token-prediction layers; embedding and head are the main model's
    mtp_active: int
    recurrent: int = 0  # the mixer of a layer without attention
    attention_layers: int = 0
    recurrent_layers: int = 0
    mlp_layers: int = 0  # with the dense MLP: of dense_layers all, unless a pattern has layers with none
    blocks: int = 0  # mixers and MLPs of all layers

    @property
    def dense_layer(self) -> int:
        return self.attention + self.norms + self.mlp

    @property
    def routed(self) -> int:
        """Routed experts of one MoE layer: what expert parallelism divides."""
        return self.experts * self.expert

    @property
    def moe_layer(self) -> int:
        return self.attention + self.norms + self.router + self.shared + self.routed

    @property
    def moe_layer_active(self) -> int:
        return self.attention + self.norms + self.router + self.shared + self.top_k * self.expert

    @property
    def total(self) -> int:
        """All parameters of the main model; multi-token-prediction layers apart (`total_with_mtp`)."""
        return self._outside_experts + self.moe_layers * self.experts * self.expert

    @property
    def active(self) -> int:
        """Parameters that take part in one token's forward pass, embedding and head included."""
        return self._outside_experts + self.moe_layers * self.top_k * self.expert

    @property
    def total_with_mtp(self) -> int:
        return self.total + self.mtp

    @property
    def non_embedding(self) -> int:
        """Everything but the token and position embeddings and an untied head."""
        return self.total - self.embedding - self.positions - self.head

    @property
    def _outside_experts(self) -> int:
        mixers = self.attention_layers * self.attention + self.recurrent_layers * self.recurrent
        mlps = self.mlp_layers * self.mlp + self.moe_layers * (self.router + self.shared)
        outside = self.embedding + self.positions + self.final_norm + self.head
        return outside + mixers + mlps + self.blocks * self.norms // 2


def padded_vocab(vocab: int, multiple: int, tp: int = 1) -> int:
    """Rows after padding to the next multiple of `multiple` x `tp`.

    Source: GPT-NeoX `make_vocab_size_divisible_by` x `model_parallel_size`; Megatron-LM pads alike.
    """
    step = multiple * tp
    return -(-vocab // step) * step


def parameter_counts(
    model: ModelSpec, tp: int = 1, padded: bool = True, seq_length: int | None = None
) -> ParameterCounts:
    """Parameters of `model` as trained with `tp`-way tensor parallelism.

    Parameters
    ----------
    tp : tensor-parallel ranks; only the padding of the vocabulary depends on it.
    padded : pad the vocabulary to `model.vocab_multiple` x tp.
    seq_length : for models whose learned positions are as many as the sequence is long (MPT); others ignore it.

    Formulas: Narayanan et al. 2021, section 5.1, with grouped-query attention (Ainslie et al. 2023), gated MLPs
    (Shazeer 2020), latent attention and shared experts (DeepSeek-AI 2024) written out.
    """
    vocab = padded_vocab(model.vocab, model.vocab_multiple, tp) if padded else model.vocab
    moe, dense = model.moe, dense_layer_count(model)
    norm = norm_parameters(model)
    attention = attention_parameters(model)
    expert = mlp_parameters(model, moe.expert_ffn, moe.latent) if moe else 0
    shared = moe.shared_experts * mlp_parameters(model, moe.shared_ffn) + latent_weights(model) if moe else 0
    router = moe.experts * (model.hidden + (1 if moe.router_bias else 0)) if moe else 0
    router += model.hidden if moe and moe.shared_gate else 0
    norms = model.norms_per_layer * norm
    mlp = mlp_parameters(model, model.ffn) if dense or not moe else 0
    experts, top_k = (moe.experts, moe.top_k) if moe else (0, 0)
    # DeepSeek-V3, section 2.2: two norms, a 2h x h projection, one layer like the last, and a final norm.
    mtp_frame = model.mtp_layers * (2 * model.hidden * model.hidden + 3 * norm + attention + norms)
    mtp_full, mtp_used = (router + shared + n * expert if moe else mlp for n in (experts, top_k))
    return ParameterCounts(
        vocab=vocab,
        embedding=vocab * model.hidden,
        positions=learned_position_rows(model, seq_length) * model.hidden,
        attention=attention,
        norms=norms,
        mlp=mlp,
        router=router,
        expert=expert,
        shared=shared,
        experts=experts,
        top_k=top_k,
        dense_layers=dense,
        moe_layers=model.layers - dense,
        final_norm=norm * (2 if model.embedding_norm else 1),
        head=(0 if model.tied_embeddings else vocab * model.hidden) + (vocab if model.head_bias else 0),
        mtp=mtp_frame + model.mtp_layers * mtp_full,
        mtp_active=mtp_frame + model.mtp_layers * mtp_used,
        recurrent=mixer_parameters(model.recurrent, model.hidden) if model.recurrent else 0,
        attention_layers=attention_count(model),
        recurrent_layers=recurrent_count(model),
        mlp_layers=mlp_layer_count(model),
        blocks=block_count(model),
    )


def dense_layer_count(model: ModelSpec) -> int:
    """Layers without experts."""
    if model.layer_pattern:
        return model.layers - layers_with(model, EXPERTS)
    if model.moe is None:
        return model.layers
    rest = max(model.layers - model.moe.first_dense_layers, 0)
    return model.layers - rest // model.moe.every


def mlp_layer_count(model: ModelSpec) -> int:
    """Layers with the dense MLP: all of them without experts."""
    return layers_with(model, DENSE) if model.layer_pattern else dense_layer_count(model)


def learned_position_rows(model: ModelSpec, seq_length: int | None = None) -> int:
    """Rows of the learned position embedding; as many as the sequence is long where the model says so."""
    if model.positions_follow_sequence and seq_length is not None:
        return seq_length
    return model.learned_positions


def norm_parameters(model: ModelSpec) -> int:
    """Parameters of one normalisation of width `hidden`."""
    return {"layernorm": 2, "layernorm_bare": 0}.get(model.norm, 1) * model.hidden


def mlp_parameters(model: ModelSpec, width: int, outer: int = 0) -> int:
    """One MLP (or expert) of inner width `width`: two matrices, three when gated, biases where the model has them.

    `outer` is the width of what it reads and gives, 0: hidden.
    """
    inner, outer = 2 if model.gated_mlp else 1, outer or model.hidden
    bias = inner * width + outer if model.mlp_bias else 0
    return (inner + 1) * outer * width + bias


def latent_weights(model: ModelSpec) -> int:
    """A layer's projections to the width that routed experts work at, and back (Nemotron 3's latent MoE)."""
    return 2 * model.hidden * model.moe.latent if model.moe else 0


def attention_parameters(model: ModelSpec) -> int:
    """Projections of one attention layer with biases, query-key norms and sinks; an indexer with its key's layernorm.

    Latent attention has a norm on each compressed vector (DeepSeek-V2, section 2.1).
    """
    indexer = indexer_weights(model.sparse, model) + 2 * model.sparse.index_head_dim if model.sparse else 0
    if model.mla is not None:
        norms = model.mla.q_lora_rank + model.mla.kv_lora_rank
        return latent_attention_weights(model.mla, model.hidden, model.heads) + norms + indexer
    queries, keys = model.heads * model.head_dim, model.kv_heads * model.head_dim
    weights = model.hidden * (queries + 2 * keys) + queries * model.hidden
    bias = (queries + 2 * keys if model.attention_bias else 0) + (model.hidden if model.attention_output_bias else 0)
    normed = queries + keys if model.qk_norm_wide else 2 * model.head_dim
    extras = (normed if model.qk_norm else 0) + (model.heads if model.attention_sinks else 0)
    gate = (model.hidden + (1 if model.attention_bias else 0)) * queries if model.attention_gate else 0
    return weights + bias + extras + gate + indexer


def indexer_weights(sparse: SparseSpec, model: ModelSpec) -> int:
    """Weights of an indexer: queries (of the compressed ones, if there are), one key, a weight a head.

    Source: DeepSeek-AI 2025, DeepSeek-V3.2, section 2.1; transformers 5.24, deepseek_v32.
    """
    source = (model.mla.q_lora_rank if model.mla else 0) or model.hidden
    return source * sparse.index_heads * sparse.index_head_dim + model.hidden * (
        sparse.index_head_dim + sparse.index_heads
    )


def latent_attention_weights(mla: MLASpec, hidden: int, heads: int) -> int:
    """Down and up projections of one layer. Source: DeepSeek-V2, section 2.1."""
    query_width = heads * (mla.qk_nope_head_dim + mla.qk_rope_head_dim)
    queries = mla.q_lora_rank * (hidden + query_width) if mla.q_lora_rank else hidden * query_width
    compress = hidden * (mla.kv_lora_rank + mla.qk_rope_head_dim)
    expand = mla.kv_lora_rank * heads * (mla.qk_nope_head_dim + mla.v_head_dim)
    return queries + compress + expand + heads * mla.v_head_dim * hidden
