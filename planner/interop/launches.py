"""What starts each framework's files: of those whose train.sh runs on every node of a cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from planner.interop.export_common import Export, conditions_of
from planner.interop.export_deepspeed import deepspeed_files
from planner.interop.export_megatron import megatron_files
from planner.interop.export_nanotron import nanotron_files
from planner.interop.export_torchtitan import torchtitan_files
from planner.interop.launching import Launch


def _megatron(export: Export) -> Launch:
    return Launch(
        megatron_files(export),
        ("DATA_PATH", "TOKENIZER_MODEL", "CHECKPOINTS"),
        [*cloned("NVIDIA/Megatron-LM", "~/Megatron-LM"), "cd ~/Megatron-LM", "pip install -e ."],
        ["export MEGATRON_DIR=~/Megatron-LM"],
    )


def _torchtitan(export: Export) -> Launch:
    return Launch(torchtitan_files(export), ("HF_ASSETS", "CHECKPOINTS"), ["pip install torchtitan==0.2.2 torchao"], [])


def _deepspeed(export: Export) -> Launch:
    tuned = conditions_of(export).adapter is not None
    setup = [f"pip install transformers accelerate deepspeed datasets{' trl peft bitsandbytes' if tuned else ''}"]
    return Launch(deepspeed_files(export), ("TRAIN_SCRIPT", "MODEL_PATH", "CHECKPOINTS"), setup, [])


def _nanotron(export: Export) -> Launch:
    setup = [*cloned("huggingface/nanotron", "~/nanotron"), "pip install -e ~/nanotron flash-attn"]
    return Launch(nanotron_files(export), ("CHECKPOINTS",), setup, ["export NANOTRON_DIR=~/nanotron"])


def cloned(repository: str, folder: str, *, branch: str = "") -> list[str]:
    """Commands that fetch a public repository once."""
    at = f"--branch {branch} " if branch else ""
    return [
        f"if [ ! -d {folder} ]; then git clone --depth 1 {at}https://github.com/{repository} {folder}; fi",
    ]


LAUNCHES: Mapping[str, Callable[[Export], Launch]] = {
    "megatron": _megatron,
    "torchtitan": _torchtitan,
    "deepspeed": _deepspeed,
    "nanotron": _nanotron,
}
