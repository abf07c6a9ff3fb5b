"""Layers that carry a state from token to token: their parameters, FLOPs, and what passes between their matmuls.

Sources: Gu & Dao 2023 (Mamba, arXiv:2312.00752), Dao & Gu 2024 (Mamba-2, arXiv:2405.21060), Yang et al. 2024 (gated
delta networks, arXiv:2412.06464), Qin et al. 2024 (Lightning Attention-2, arXiv:2401.04658), MiniMax 2025
(arXiv:2501.08313); names of weights as in transformers 5.24.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.spec.model import RecurrentSpec

#: FLOPs of the recurrence a token and element of state, forward. Mamba and Mamba-2: 7, as Megatron-LM counts them (its
#: mamba_layer_flops); the gated delta rule 8 (gdn_layer_flops); lightning: two outer products and a decay.
STATE_FLOPS = {"mamba": 7.0, "mamba2": 7.0, "gated_delta": 8.0, "lightning": 5.0}
#: What a multiply-add outside the tensor cores costs in such of the tensor cores: data sheets' 16-bit rate over their
#: rate in fp32 (A100 312 and 19.5, H100 989 and 67 TFLOP/s). Mamba's first scan has no matmuls.
OUTSIDE_TENSOR_CORES = 16.0


@dataclass(frozen=True, slots=True)
class RecurrentWidths:
    """Elements a token: what lies between the matmuls of one recurrent mixer."""

    inner: int  # values of all heads
    keys: int  # keys of all key heads
    convolved: int  # channels of the convolution
    projected: int  # what the input projections give


def widths(r: RecurrentSpec) -> RecurrentWidths:
    """What lies between the matmuls of this mixer."""
    inner, keys = r.heads * r.head_dim, r.key_heads * r.state
    if r.kind == "mamba":
        return RecurrentWidths(inner, keys, inner, 2 * inner)
    if r.kind == "mamba2":
        return RecurrentWidths(inner, keys, inner + 2 * keys, 2 * inner + 2 * keys + r.heads)
    if r.kind == "gated_delta":
        return RecurrentWidths(inner, keys, inner + 2 * keys, 2 * inner + 2 * keys + 2 * r.heads)
    return RecurrentWidths(inner, keys, 0, 4 * inner)  # lightning: queries, keys, values and the output's gate


def matmul_weights(r: RecurrentSpec, hidden: int) -> int:
    """Weights of its projections, biases apart."""
    w = widths(r)
    inner = w.inner * (r.step_rank + 2 * r.state) + r.step_rank * w.inner if r.kind == "mamba" else 0
    return hidden * w.projected + inner + w.inner * hidden


def mixer_parameters(r: RecurrentSpec, hidden: int) -> int:
    """Parameters of one mixer: projections, convolution, decays and skips, norms of its own."""
    w = widths(r)
    convolution = w.convolved * (r.conv + (1 if r.conv_bias else 0)) if r.conv else 0
    biases = w.projected + hidden if r.projection_bias else 0
    if r.kind == "mamba":  # the step's bias, A and D; norms of step, B and C
        own = w.inner * (1 + r.state + 1) + (r.step_rank + 2 * r.state if r.inner_norms else 0)
    elif r.kind == "mamba2":  # the step's bias, A and D of each head; the gated norm
        own = 3 * r.heads + w.inner
    elif r.kind == "gated_delta":  # the step's bias and A of each head; a norm that heads share
        own = 2 * r.heads + r.head_dim
    else:
        own = w.inner
    return matmul_weights(r, hidden) + convolution + biases + own


def scan_flops(r: RecurrentSpec) -> float:
    """Model FLOPs of the recurrence and the convolution before it, a token, forward."""
    w = widths(r)
    return STATE_FLOPS[r.kind] * w.inner * r.state + 2.0 * w.convolved * r.conv


def scan_work(r: RecurrentSpec) -> float:
    """FLOPs that kernels do for the recurrence, a token, forward, as ones of the tensor cores.

    Within a chunk every token meets every other (Dao & Gu 2024, section 6; the UT transform of Yang et al. 2024,
    section 3.3, has three such products of keys and two of values); between chunks the state is made and read. Mamba's
    first scan runs step by step outside the tensor cores.
    """
    w = widths(r)
    if r.kind == "mamba":
        return OUTSIDE_TENSOR_CORES * STATE_FLOPS["mamba"] * w.inner * r.state
    state, chunk = 2.0 * w.inner * r.state, 2.0 * r.chunk
    if r.kind == "gated_delta":
        return 3.0 * state + chunk * (3.0 * r.heads * r.state + 2.0 * w.inner)
    return 2.0 * state + chunk * (w.keys + w.inner)


def kept_elements(r: RecurrentSpec) -> float:
    """16-bit elements a token that a mixer keeps for the backward pass, its input apart; tensor parallel divides them.

    mamba (mamba_ssm 2, MambaInnerFn): both projections' results and the scan's output; the convolution runs again.
    mamba2 (mamba_split_conv1d_scan_combined): the projection's result, the scan's output before and behind its norm.
    gated_delta (flash-linear-attention, chunk_gated_delta_rule): what is convolved before and after, the gate, the
    chunk's inverse, the output before and behind its norm. lightning: what is projected before and behind its SiLU, the
    output, its norm and the gated product. States at chunk borders are made again.
    """
    w = widths(r)
    if r.kind == "mamba":
        return w.projected + r.step_rank + 2 * r.state + w.inner
    if r.kind == "mamba2":
        return w.projected + 2 * w.inner
    if r.kind == "gated_delta":
        return w.projected + w.convolved + r.heads * r.chunk + 2 * w.inner
    return w.projected + 3 * w.inner + 3 * w.inner
