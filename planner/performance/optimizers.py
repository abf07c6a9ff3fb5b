"""What optimizers keep a parameter, and what a step of theirs moves and computes."""

from __future__ import annotations

from dataclasses import dataclass

from planner.spec.model import ModelSpec
from planner.workload.counts import parameter_counts

MASTER = 4.0  # bytes of a weight in fp32, which every one of these updates
DEFAULT = "adamw"


@dataclass(frozen=True, slots=True)
class Optimizer:
    """One optimizer: bytes a parameter of its moments, of matrices and of the rest (embeddings, head, norms)."""

    name: str
    title: str
    matrices: float
    others: float
    iterations: int  # of Newton-Schulz on each matrix
    source: str


OPTIMIZERS = {
    o.name: o
    for o in (
        Optimizer("adamw", "AdamW in fp32", 8.0, 8.0, 0, "Loshchilov & Hutter 2019: two moments"),
        Optimizer("adamw-bf16", "AdamW with bf16 moments", 4.0, 4.0, 0, "megatron/core/optimizer: exp_avg_dtype bf16"),
        Optimizer(
            "adamw-8bit",
            "AdamW with 8-bit moments",
            2.0 + 2 * 4.0 / 256,
            2.0 + 2 * 4.0 / 256,
            0,
            "Dettmers et al. 2022: a byte a value and an fp32 scale for each block; of 256 in bitsandbytes and torchao",
        ),
        Optimizer("muon", "Muon", 4.0, 8.0, 5, "Jordan et al. 2024: one momentum of matrices; AdamW for the rest"),
        Optimizer("lion", "Lion", 4.0, 4.0, 0, "Chen et al. 2023: one momentum"),
        Optimizer("adafactor", "Adafactor", 0.0, 0.0, 0, "Shazeer & Stern 2018: sums of rows and columns, no momentum"),
        Optimizer("sgd-momentum", "SGD with momentum", 4.0, 4.0, 0, "one momentum"),
    )
}


def state_bytes(name: str, model: ModelSpec) -> float:
    """Bytes a parameter of master weights and moments, on the mean of a model's parameters; AdamW has 12."""
    kind = OPTIMIZERS[name]
    if kind.matrices == kind.others:
        return MASTER + kind.matrices
    counts = parameter_counts(model)
    share = min(1.0, (counts.embedding + counts.head) / counts.total)
    return MASTER + kind.matrices * (1.0 - share) + kind.others * share


def orthogonalisation_flops(name: str, model: ModelSpec) -> float:
    """FLOPs a parameter of a step's Newton-Schulz iterations, 0 for optimizers without.

    An m x n matrix, m <= n, takes 4 m² n + 2 m³ an iteration (X Xᵀ, its square, their product with X): about 5 m a
    parameter between the square matrices of attention (6) and an MLP's four times as wide (4.5).
    """
    return 5.0 * model.hidden * OPTIMIZERS[name].iterations
