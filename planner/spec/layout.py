"""A layout: how one step of a run is cut up over its GPUs."""

from __future__ import annotations

from dataclasses import dataclass, field

RECOMPUTE = ("none", "selective", "full")  # arrays of layouts hold the index


@dataclass(frozen=True, slots=True)
class Layout:
    """How model and batch are cut up: gpus = tp x pp x dp x cp, global_batch = micro_batch x dp x grad_accum."""

    tp: int
    pp: int
    vpp: int
    dp: int
    cp: int
    ep: int
    zero_stage: int
    sequence_parallel: bool
    recompute: str = field(metadata={"like": ("|".join(RECOMPUTE), "none, selective or full")})
    micro_batch: int  # sequences
    grad_accum: int

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.cp * self.dp
