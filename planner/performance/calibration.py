"""What measurements taught: the model's rates for a setting, the residual correction, and how far off it may be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from planner.catalog.paths import data_dir
from planner.performance.arrays import FloatArray, IntArray, Setting
from planner.performance.machine import MachineNumbers, machine_numbers
from planner.performance.rates import Context, RateRule, Rates, resolve
from planner.performance.shapes import ModelNumbers, Number, model_numbers
from planner.units import PlannerError

STACKS = {
    "gpt-neox": "megatron-deepspeed",
    "megatron-deepspeed": "megatron-deepspeed",
    "megatron": "megatron",
    "fsdp": "fsdp",
}
UNFUSED = frozenset({"megatron-deepspeed"})  # stacks of before FlashAttention: fused softmax, scores in memory
NEWEST = {"megatron": "26.08", "fsdp": "HEAD", "megatron-deepspeed": "f8dda84"}
REFERENCE_RELEASE = 2026 + 3 / 12  # 26.04


@dataclass(frozen=True, slots=True)
class Calibration:
    """Fitted values and what they were fitted on. Immutable; `planner.performance.calibration.load_calibration` reads it."""

    rules: Mapping[str, RateRule]
    values: Mapping[str, float]
    shares: Mapping[str, Mapping[str, float]]
    curves: Mapping[str, FloatArray]
    stacks: frozenset[str] = frozenset()
    digest: str = ""
    spreads: Mapping[str, float] = field(default_factory=dict)

    def model_numbers(self, setting: Setting) -> ModelNumbers:
        return model_numbers(setting.model)

    def machine_numbers(self, setting: Setting) -> MachineNumbers:
        return machine_numbers(
            setting.accelerator,
            setting.hardware,
            setting.precision,
            self.shares,
            self.curves,
            half_gradients="pure" in setting.release,
        )

    def unfused(self, setting: Setting) -> float:
        """1 where the stack's attention writes its scores to memory, else 0."""
        return float(stack_of(setting.framework, setting.release) in UNFUSED)

    def rates(self, setting: Setting) -> Rates:
        return resolve(self.rules, self.values, context_of(setting))

    def correction(self, setting: Setting, gpus: IntArray) -> Number:
        """Factor on step time, smooth in the run's size, never of its layout; a number or (n,)."""
        return 1.0


def release_year(release: str) -> float | None:
    """The date of a YY.MM(.PP) container release as a year, None if the text has none."""
    found = re.match(r"(\d\d)\.(\d\d)(?:\.(\d+))?(?:\D|$)", release)
    if not found:
        return None
    year, month, patch = int(found[1]), int(found[2]), int(found[3] or 0)
    return 2000 + year + (month - 1) / 12 + 0.02 * patch


def stack_of(framework: str, release: str) -> str:
    """The software stack whose measurements speak for this framework and release; "" where none does."""
    stack = STACKS.get(framework, "")
    if stack == "megatron" and release not in ("", "latest") and release_year(release) is None:
        return ""
    return stack


def context_of(setting: Setting) -> Context:
    """The labels and numbers by which rates are looked up."""
    stack = stack_of(setting.framework, setting.release)
    release = setting.release if setting.release not in ("", "latest") else NEWEST.get(stack, "")
    year = release_year(release)
    form = {"bf16": "16", "fp16": "16", "fp8": "fp8", "mxfp8": "mxfp8", "nvfp4": "fp4"}[setting.precision]
    if not setting.accelerator.peak_dense_tflops.get("fp8"):
        form = "16"
    superchip = setting.accelerator.form_factor.startswith(("NVL", "Super"))
    return {
        "all": "1",
        "framework": setting.framework,
        "stack": stack,
        "family": setting.accelerator.family,
        "gpu": setting.accelerator.id,
        "format": form,
        "kind": "moe" if setting.model.moe else "dense",
        "attention": "mla" if setting.model.mla else "sinks" if setting.model.attention_sinks else "",
        "host": "grace" if superchip else "x86",
        "biased": "yes" if setting.model.moe and setting.model.mlp_bias else "",
        "drop": "yes" if "drop" in release else "",
        "age": 0.0 if year is None else year - REFERENCE_RELEASE,
        "late": float(year is not None and year >= 2026 + 5 / 12),
    }


@lru_cache(maxsize=4)
def load_calibration(overlays: Sequence[Path] = ()) -> Calibration:
    """The shipped calibration; overlays' own runs sharpen it (`planner.performance.fitting`)."""
    return read_calibration(data_dir() / "calibration" / "fit.json")


def read_calibration(path: Path) -> Calibration:
    """A calibration from its JSON file."""
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise PlannerError(
            f"{path}: not a calibration file ({error}); write it with `planner calibrate --rebuild`"
        ) from None
    return Calibration(
        rules={name: _rule(rule) for name, rule in stored["rates"].items()},
        values=stored["values"],
        shares=stored["ceiling_shares"],
        curves={name: np.asarray(values) for name, values in stored["curves"].items()},
        digest=stored.get("digest", ""),
        spreads=stored.get("spreads", {}),
    )


def _rule(stored: Mapping[str, Any]) -> RateRule:
    at_most = stored.get("at_most")
    return RateRule(
        prior=float(stored["prior"]),
        by=tuple(stored["by"]),
        sigma=tuple(float(s) for s in stored["sigma"]),
        at_most=None if at_most is None else float(at_most),
        means={key: float(mean) for key, mean in stored.get("means", {}).items()},
    )
