"""Programmes that are quick to plan: one own cluster, pinned layouts, a small model."""

from __future__ import annotations

from typing import Any

BATCH = 512
RUN = {"tokens": "40B tokens", "seq_length": 4096}
TRAINING = {"epochs": 1, "global_batch": BATCH, "framework": "megatron"}
LAYOUT = {"tp": 1, "pp": 1, "zero_stage": 1}


def lab(nodes: int = 12) -> dict[str, Any]:
    """A cluster of one's own of so many nodes of eight H100."""
    return {
        "name": "lab",
        "gpu": "h100-sxm5-80gb",
        "gpus_per_node": 8,
        "nodes": nodes,
        "network": "3200 Gbit/s",
        "fabric": "infiniband",
        "usd_per_gpu_hour": 2.0,
    }


def stage(name: str, tokens: str = "40B tokens", **changes: Any) -> dict[str, Any]:
    """A stage of that name."""
    return {"name": name, "data": RUN | {"tokens": tokens}, "training": TRAINING, "layout": LAYOUT, **changes}


def programme(*stages: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A programme of these stages on the lab's machines."""
    base: dict[str, Any] = {
        "name": "a programme",
        "model": "llama3.2-1b",
        "budget": {"time": "60 days", "cost": "200k USD", "confidence": 0.8},
        "objective": "cost",
        "cluster": {"own": [lab()], "own_only": True, "max_gpus": 96},
        "stages": list(stages),
    }
    return base | changes
