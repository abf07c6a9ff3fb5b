"""What starts each framework's files: of those whose train.sh runs on every node of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from planner.interop.export_common import Export, conditions_of
from planner.interop.export_deepspeed import deepspeed_files
from planner.interop.export_megatron import megatron_files
from planner.interop.export_nanotron import nanotron_files
from planner.interop.export_torchtitan import torchtitan_files


@dataclass(frozen=True, slots=True)
class Launch:
    """What starts a framework's files on a node that knows NNODES, NODE_RANK and MASTER_ADDR."""

    files: dict[str, str]
    needs: tuple[str, ...]  # variables that a user fills in
    setup: list[str] = field(default_factory=list)  # commands that install the framework on a fresh machine
    lines: list[str] = field(default_factory=list)  # before `bash train.sh`


def _deepspeed(export: Export) -> Launch:
    tuned = conditions_of(export).adapter is not None
    setup = [f"pip install transformers accelerate deepspeed datasets{' trl peft bitsandbytes' if tuned else ''}"]
    return Launch(deepspeed_files(export), ("TRAIN_SCRIPT", "MODEL_PATH", "CHECKPOINTS"), setup)


def cloned(repository: str, folder: str) -> list[str]:
    """Commands that fetch a public repository once."""
    return [f"if [ ! -d {folder} ]; then git clone --depth 1 https://github.com/{repository} {folder}; fi"]


LAUNCHES: Mapping[str, Callable[[Export], Launch]] = {
    "megatron": lambda export: Launch(
        megatron_files(export),
        ("DATA_PATH", "TOKENIZER_MODEL", "CHECKPOINTS"),
        [*cloned("NVIDIA/Megatron-LM", "~/Megatron-LM"), "cd ~/Megatron-LM", "pip install -e ."],
        ["export MEGATRON_DIR=~/Megatron-LM"],
    ),
    "torchtitan": lambda export: Launch(
        torchtitan_files(export), ("HF_ASSETS", "CHECKPOINTS"), ["pip install torchtitan==0.2.2 torchao"]
    ),
    "deepspeed": _deepspeed,
    "nanotron": lambda export: Launch(
        nanotron_files(export),
        ("CHECKPOINTS",),
        [*cloned("huggingface/nanotron", "~/nanotron"), "pip install -e ~/nanotron flash-attn"],
        ["export NANOTRON_DIR=~/nanotron"],
    ),
}
