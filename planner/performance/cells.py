"""The cells of a table of runs: numbers, and words as people write them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from planner.units import PlannerError

PRECISIONS = {
    "bf16": "bf16", "bfloat16": "bf16", "fp16": "fp16", "float16": "fp16", "16-bit": "bf16", "fp8": "fp8",
    "fp8-cs": "fp8", "fp8-ds": "fp8", "fp8-sc": "fp8", "fp8-mx": "mxfp8", "mxfp8": "mxfp8", "nvfp4": "nvfp4",
}  # fmt: skip
SHARDED = ("fsdp", "llm-foundry", "composer", "torchtitan")  # trainers that shard weights, too, unless told otherwise
ZERO = (  # first match wins; published tables write these in many ways
    (re.compile(r"grad-op|zero[- _]?2|stage[- _]?2|^2$"), 2),
    (re.compile(r"fsdp|zero[- _]?3|stage[- _]?3|full-shard|^3$"), 3),
    (re.compile(r"zero[- _]?1|stage[- _]?1|distributed|^1$"), 1),
    (re.compile(r"none|zero[- _]?0|stage[- _]?0|^0$|^ddp$|^no$"), 0),
)
RECOMPUTED = (
    (re.compile(r"select|partial"), 1),
    (re.compile(r"full|uniform|block|true|yes|checkpoint|^1$"), 2),
    (re.compile(r"none|no|false|off|^0$|^$"), 0),
)


@dataclass(frozen=True, slots=True)
class Cells:
    """A row by its columns. An empty cell is not stated; `place` begins every complaint."""

    row: Mapping[str, str]
    place: str

    def text(self, key: str) -> str:
        value = self.row.get(key)
        return "" if value is None else str(value).strip()

    def number(self, key: str) -> float | None:
        """A number of zero or more, None where not stated."""
        text = self.text(key)
        if not text or text.lower() == "nan":
            return None
        try:
            value = float(text)
        except ValueError:
            raise PlannerError(f"{self.place}: {key} '{text}' is not a number") from None
        if not np.isfinite(value) or value < 0:
            raise PlannerError(f"{self.place}: {key} '{text}' must be a finite number, zero or more")
        return value

    def integer(self, key: str, default: int) -> int:
        """A whole number, `default` where not stated."""
        value = self.number(key)
        if value is None:
            return default
        if value != int(value):
            raise PlannerError(f"{self.place}: {key} '{self.text(key)}' must be a whole number")
        return int(value)

    def needed(self, key: str) -> int:
        """A whole number above zero."""
        found = self.integer(key, 0)
        if not found:
            raise PlannerError(f"{self.place}: {key} is empty; a prediction needs it")
        return found

    @property
    def precision(self) -> str:
        """The recipe by its name, else by the format that its words name: "BF16 mixed", "fp8 (hybrid)"."""
        text = self.text("precision").lower() or "bf16"
        named = [word for word in PRECISIONS if word in text]
        if not named:
            raise PlannerError(f"{self.place}: precision '{text}' is none of {', '.join(PRECISIONS)}")
        return PRECISIONS[max(named, key=len)]

    @property
    def recompute(self) -> int:
        """The code of RECOMPUTE; 0 where not stated."""
        return self._understood("recompute", RECOMPUTED, "none, selective or full")

    def zero_stage(self, framework: str) -> int:
        """The ZeRO stage stated; unstated: what FSDP is, and what the others mostly run with."""
        if not self.text("zero_or_fsdp"):
            return 3 if any(name in framework for name in SHARDED) else 1
        return self._understood("zero_or_fsdp", ZERO, "none, zero-1, zero-2, zero-3 or fsdp")

    def _understood(self, key: str, patterns: Sequence[tuple[re.Pattern[str], int]], known: str) -> int:
        """What the first pattern that the text holds stands for."""
        text = self.text(key).lower()
        for pattern, meaning in patterns:
            if pattern.search(text):
                return meaning
        raise PlannerError(f"{self.place}: {key} '{text}' is not understood; write {known}")
