"""Megatron-LM arguments, out of a launch script.

Names are those of Megatron-LM's megatron/training/arguments.py.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from planner.interop.files import shown, whole
from planner.interop.shell import read_script
from planner.units import PlannerError

LAUNCHERS = {  # torchrun's and srun's names for nodes and processes a node
    "nproc_per_node": "nproc-per-node",
    "nproc-per-node": "nproc-per-node",
    "nnodes": "nnodes",
}
# Names of other years and forks, for what Megatron-LM calls so now.
ALIASES = {
    "model-parallel-size": "tensor-model-parallel-size",
    "num-attention-heads-kv": "num-query-groups",
    "num-key-value-heads": "num-query-groups",
    "moe-expert-parallel-size": "expert-model-parallel-size",
    "multi-head-latent-attention": "multi-latent-attention",
    "qk-rope-head-dim": "qk-pos-emb-head-dim",
    "qk-nope-head-dim": "qk-head-dim",
    "moe-intermediate-size": "moe-ffn-hidden-size",
    "no-tie-embed-logits": "untie-embeddings-and-output-weights",
    "encoder-seq-length": "seq-length",
    "fp8-hybrid": "fp8-format",
    "fp8-e4m3": "fp8-format",
}
GROUPED = ("num-attention-heads-kv", "num-key-value-heads")  # forks whose groups need no switch
NO_DECODERS = re.compile(
    r"(?:^|/)(?:pretrain|finetune|train)_(bert|t5|vision\w*|ict|retro|mamba|vlm|biencoder)\w*\.py$"
)
HYBRID = ("is-hybrid-model", "hybrid-override-pattern", "hybrid-layer-pattern", "hybrid-attention-ratio")


@dataclass
class Arguments:
    """Arguments by name without dashes; a flag has no values. Later ones win, as in argparse."""

    name: str
    values: dict[str, list[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)

    def flag(self, name: str) -> bool:
        self.used.add(name)
        return name in self.values

    def text(self, name: str, default: str) -> str:
        self.used.add(name)
        values = self.values.get(name)
        return values[0] if values else default

    def number(self, name: str, default: int | None = None, least: int = 1) -> int:
        self.used.add(name)
        values = self.values.get(name)
        if not values:
            if default is None:
                raise PlannerError(f"{self.name} has no --{name}, which Megatron-LM requires.")
            return default
        if "$" in values[0] or "`" in values[0]:
            raise PlannerError(
                f"{self.name}: --{name} is {shown(values[0])}, which only running the script would tell; "
                "write the number."
            )
        return whole(values[0], f"--{name} ({self.name})", least)

    def optional(self, name: str, least: int = 1) -> int | None:
        return self.number(name, least=least) if self.values.get(name) else None

    def origin(self, *names: str) -> str:
        return ", ".join(
            f"--{name}, {self.name}" if name in self.values else f"default of --{name} in Megatron-LM" for name in names
        )


def read_arguments(text: str, name: str, given: Sequence[str] = ()) -> Arguments:
    """The arguments of the command that has most of them; torchrun's own are kept beside them.

    Raises
    ------
    PlannerError
        If no command of the script has Megatron-LM's arguments.
    """
    script = read_script(text, shown(name, 80), given)
    found = Arguments(shown(name, 80))
    # Commands first; then variables, for scripts that start a command kept in one, or that hold arguments alone.
    values = [[word for part in value for word in part.split()] for value in script.variables.values()]
    words = max([*script.commands, *values], key=lambda c: sum(w.startswith("--") for w in c), default=[])
    if not any(
        w.split("=")[0].replace("_", "-") in ("--num-layers", "--hidden-size", "--micro-batch-size") for w in words
    ):
        raise PlannerError(
            f"{found.name} has no command with Megatron-LM's arguments (--num-layers, --hidden-size, …)."
        )
    current: str | None = None
    for word in words:
        if re.match(r"--?[A-Za-z]", word) and word.startswith("--"):
            key, equals, value = word[2:].partition("=")
            written = key.replace("_", "-")
            current = LAUNCHERS.get(key, ALIASES.get(written, written))
            if written in GROUPED:
                found.values["group-query-attention"] = []
            found.values[current] = [value] if equals else []
        elif current is not None:
            found.values[current].append(word)
    for line in [*script.commands, *values]:  # a launcher kept apart from the arguments
        for word, following in pairwise(line):
            name_of = LAUNCHERS.get(word.lstrip("-")) if word.startswith("--") else None
            if name_of is not None and name_of not in found.values and following.isdigit():
                found.values[name_of] = [following]
    _no_other_model(found, words)
    return found


def _no_other_model(found: Arguments, words: list[str]) -> None:
    """Refuse what is no decoder of attention and MLP layers.

    Raises
    ------
    PlannerError
        For encoders, encoder-decoders, models of images, and models with Mamba layers.
    """
    entry = next((match for word in words if (match := NO_DECODERS.search(word))), None)
    if entry is not None:
        raise PlannerError(
            f"{found.name} starts {shown(entry[0].strip('/'))}, which trains no decoder-only transformer; "
            "planner plans those alone (pretrain_gpt.py)."
        )
    hybrid = next((name for name in HYBRID if name in found.values), None)
    if hybrid is not None:
        raise PlannerError(
            f"{found.name}: --{hybrid} makes a model with Mamba layers; planner plans transformers only."
        )
