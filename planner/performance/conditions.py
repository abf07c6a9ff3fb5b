"""How a run was set up, beyond its layout: what rows and scenarios state of it, and the numbers that follow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from planner.performance.arrays import OWN_SITE, Conditions, Setting
from planner.performance.cells import Cells
from planner.performance.columns import quoted
from planner.performance.framework_table import before_flash, frameworks
from planner.performance.shapes import Number
from planner.units import PlannerError

_NO = re.compile(r"no|none|false|off|0|eager|unfused")
_YES = re.compile(r"yes|true|on|1|2|3|sdpa|flash|splash|fa[23]|cudnn|fused|compile|liger")
#: torchtitan's selective checkpointing saves the result of every other matmul and of attention, and computes the rest
#: again (torchtitan/distributed/activation_checkpoint.py, the "op" policy); Megatron's keeps all matmuls.
EVERY_OTHER_MATMUL = ("torchtitan",)
#: Kernels of their own (Megatron-LM, DeepSpeed's fork, NeMo: softmax, bias and activation, norms; on by default) or a
#: compiler that fuses (XLA). What is written in plain PyTorch runs an operation at a time unless stated.
FUSED_BY_DEFAULT = ("megatron", "nemo", "maxtext")
_OVERLAP = re.compile(r"\b(yes|no|none|true|false|on|off|dp|tp|pp|cp|ep|zero|moe|a2a)\b")
KINDS = ("vendor", "framework", "field")  # who published a measurement
TUNINGS = ("field", "vendor")


@dataclass(frozen=True, slots=True)
class ConditionNumbers:
    """What the formulas read of the conditions; numbers, or arrays of rows."""

    unfused: Number  # 1 where attention writes its scores to memory
    full_share: Number  # of the layers that full recomputation covers
    selective_share: Number  # of the matmuls that selective recomputation repeats
    selective_attention: Number  # 1 where it repeats attention
    shard_group: Number  # GPUs over which optimizer or weights are sharded; 0: all ranks
    gathers_each: Number  # 1 where ZeRO 2 gathers weights before every forward pass, not once a step


def condition_numbers(setting: Setting) -> ConditionNumbers:
    """The numbers of one setting's conditions."""
    stated = setting.conditions
    every_other = setting.framework in EVERY_OTHER_MATMUL
    return ConditionNumbers(
        unfused=float(is_unfused(setting)),
        full_share=1.0 if stated.recompute_share is None else stated.recompute_share,
        selective_share=0.5 if every_other else 0.0,
        selective_attention=0.0 if every_other else 1.0,
        shard_group=float(stated.shard_group or 0),
        gathers_each=float(shards_like_fsdp(setting.framework)),
    )


def is_unfused(setting: Setting) -> bool:
    """Whether attention writes its scores to memory: as stated, else as the framework's release has it.

    A part for which no release has kernels (V100) writes them whatever is stated.
    """
    if not setting.accelerator.flash_attention:
        return True
    if setting.conditions.flash_attention is not None:
        return not setting.conditions.flash_attention
    table = frameworks()
    name = next((n for n, row in table.items() if setting.framework in (n, *row.aliases)), None)
    if name is None:
        return before_flash(setting.release)
    return not table[name].release(setting.release).flash_attention


def shards_like_fsdp(framework: str) -> bool:
    """Whether a framework's ZeRO is PyTorch's FSDP."""
    table = frameworks().get("fsdp")
    return "fsdp" in framework or framework in (*EVERY_OTHER_MATMUL, *(table.aliases if table else ()))


def stated_conditions(cell: Cells) -> Conditions:
    """What a row of runs states of its conditions; an empty cell is not stated.

    Raises
    ------
    PlannerError
        If a cell cannot be understood, naming row and column.
    """
    share = cell.number("recompute_share", 1.0)
    kind, tuning = _one_of(cell, "kind", KINDS), _one_of(cell, "tuning", TUNINGS)
    return Conditions(
        flash_attention=yes_or_no(cell, "flash_attention"),
        flash_generation=_generation(cell.text("flash_attention").lower()),
        reduction_overlap=_reduction_overlap(cell),
        fused=yes_or_no(cell, "fused_or_compile"),
        recompute_share=share,
        shard_group=cell.count("shard_group", 0) or None,
        power_limit_w=cell.number("power_limit_w", 1e5),
        site=cell.text("site") or OWN_SITE,
        tuning=tuning or ("vendor" if kind == "vendor" else "field"),
    )


def _generation(text: str) -> int | None:
    """Which generation of flash attention a row names, None where it does not say.

    PyTorch's scaled_dot_product_attention calls the second (its cuDNN backend is asked for by name).
    """
    if re.search(r"3|cudnn", text):
        return 3
    return 2 if re.search(r"2|sdpa", text) else None


def _reduction_overlap(cell: Cells) -> bool | None:
    """What `comm_overlap` says of the data-parallel reductions: "dp yes", "zero", "moe a2a, zero"; "dp no", "none".

    A plain yes or no is of them, too.
    """
    text = cell.text("comm_overlap").lower()
    if text and not _OVERLAP.search(text):
        raise PlannerError(
            f"{cell.place}: comm_overlap {quoted(text)} is not understood; write yes or no, after dp, tp or moe where "
            "it is of these alone, or leave it empty"
        )
    if re.search(r"\bnone\b|\bdp no\b|\bzero no\b|^(no|false|off)$", text):
        return False
    return True if re.search(r"\bdp\b|\bzero\b|^(yes|true|on)$", text) else None


def is_fused(setting: Setting) -> bool:
    """Whether norms and activations run in fused kernels: as stated, else as the framework does by default."""
    stated = setting.conditions.fused
    return any(name in setting.framework for name in FUSED_BY_DEFAULT) if stated is None else stated


def _one_of(cell: Cells, key: str, known: tuple[str, ...]) -> str:
    text = cell.text(key).lower()
    if text and text not in known:
        raise PlannerError(f"{cell.place}: {key} {quoted(text)} must be one of {', '.join(known)}")
    return text


def yes_or_no(cell: Cells, key: str) -> bool | None:
    """True, False, or None where a cell is empty; kernels and compilers by name are a yes."""
    text = cell.text(key).lower()
    if not text:
        return None
    if _NO.match(text):
        return False
    if _YES.match(text):
        return True
    raise PlannerError(f"{cell.place}: {key} {quoted(text)} is not understood; write yes, no, or leave it empty")


def stated_sequence_parallel(cell: Cells, tp: int, otherwise: bool) -> bool:
    """Sequence parallelism as the row states it (yes, no, "with tp"); `otherwise` where it is empty."""
    if cell.text("sequence_parallel").lower().startswith("with"):
        return tp > 1
    stated = yes_or_no(cell, "sequence_parallel")
    return otherwise if stated is None else stated and tp > 1
