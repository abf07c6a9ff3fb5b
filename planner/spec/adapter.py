"""Fine-tuning with adapters, as a scenario states it."""

from __future__ import annotations

from dataclasses import dataclass

METHODS = ("lora", "qlora")


ALL_LINEAR = "all-linear"  # every matrix but the output layer's: PEFT's word for it


RANK = 8  # PEFT's own (peft/tuners/lora/config.py)


@dataclass(frozen=True, slots=True)
class Adapter:
    """How a model is fine-tuned whose own weights are frozen."""

    method: str  # one of METHODS
    r: int = RANK
    target_modules: tuple[str, ...] = (ALL_LINEAR,)  # by their names in transformers, PEFT's or Megatron's

    @property
    def quantised(self) -> bool:
        """Whether the frozen matrices are in 4 bits."""
        return self.method == "qlora"
