"""How a run was set up, beyond its layout: what rows and scenarios state of it, and the numbers that follow."""

from __future__ import annotations

import re
from dataclasses import dataclass

from planner.performance.arrays import OWN_SITE, Conditions, Setting
from planner.performance.cells import Cells
from planner.performance.columns import quoted
from planner.performance.framework_table import before_flash, frameworks, known_framework
from planner.performance.optimizers import OPTIMIZERS, orthogonalisation_flops, state_bytes
from planner.performance.selective_recompute import (
    MODULES,
    NOTHING_RECOMPUTED,
    Recomputed,
    recomputed_by,
    selective_modules,
)
from planner.performance.shapes import Number
from planner.spec.adapter import ALL_LINEAR, METHODS, RANK, Adapter
from planner.spec.hardware import Accelerator
from planner.words import say
from planner.workload.adapters import NF4_BYTES, adapter_counts
from planner.workload.counts import parameter_counts

_NO = re.compile(r"no|none|false|off|0|eager|unfused")
_YES = re.compile(r"yes|true|on|1|2|3|sdpa|flash|splash|fa[23]|cudnn|fused|compile|liger")
#: torchtitan's selective checkpointing saves the result of every other matmul and of attention, and computes the rest
#: again (torchtitan/distributed/activation_checkpoint.py, the "op" policy); Megatron's keeps all matmuls.
EVERY_OTHER_MATMUL = ("torchtitan",)
#: Kernels of their own (Megatron-LM, DeepSpeed's fork, NeMo: softmax, bias and activation, norms; on by default) or a
#: compiler that fuses (XLA). What is written in plain PyTorch runs an operation at a time unless stated.
FUSED_BY_DEFAULT = ("megatron", "nemo", "maxtext")
_OVERLAP = re.compile(r"\b(yes|no|none|true|false|on|off|dp|tp|pp|cp|ep|zero|moe|a2a)\b")
WEIGHT_BYTES = 2.0  # of a weight that matmuls read
#: Operations that the host starts, forward: of an adapter both products, a cast, scaling and the sum (peft/tuners/lora/
#: layer.py); of a layer of transformers' Llama seven products, two norms of six, rotation of ten, attention, activation
#: and product, two sums. Counted by hand.
ADAPTER_KERNELS, LAYER_KERNELS = 5.0, 35.0
KINDS = ("vendor", "framework", "field")  # who published a measurement
TUNINGS = ("field", "vendor")
LOSSES = ("eager", "fused", "chunked")
SCHEDULES = ("1f1b", "dualpipe")  # of the pipeline; interleaving is vpp
OFFLOADS = ("none", "optimizer", "activations", "both")


@dataclass(frozen=True, slots=True)
class ConditionNumbers:
    """What the formulas read of the conditions; numbers, or arrays of rows."""

    unfused: Number  # 1 where attention writes its scores to memory
    full_share: Number  # of the layers that full recomputation covers
    selective_share: Number  # of the matmuls that selective recomputation repeats
    selective_attention: Number  # 1 where it repeats attention
    selective_experts: Number  # 1 where it repeats the routed experts
    selective_weights: Number  # of dense matmuls that it repeats, a layer
    selective_elements: Number  # a token and layer that it moves again between matmuls
    shard_group: Number  # GPUs over which optimizer or weights are sharded; 0: all ranks
    gathers_each: Number  # 1 where ZeRO 2 gathers weights before every forward pass, not once a step
    optimizer_bytes: Number  # a parameter of master weights and moments, which a step reads and writes
    optimizer_flops: Number  # a parameter
    moves_optimizer: Number  # 1 where the host holds them and steps
    moves_activations: Number  # 1 where layers' inputs go to the host and back
    host_link: Number  # bytes/s between a GPU and its host, one direction
    host_memory: Number  # bytes/s of a GPU's share of its host's memory
    trained: Number  # 1, or 0 where the model's own weights are frozen: their gradients are not computed
    trained_dense: Number  # share of the weights outside routed experts that are updated and whose gradients travel
    trained_experts: Number  # and of theirs
    frozen_bytes: Number  # a weight as it is kept and gathered: 2, less in 4 bits
    adapter_elements: Number  # a token, forward, that adapters move through memory, routed experts apart
    adapter_expert_elements: Number  # the same of one expert in every layer
    adapter_flops: Number  # a token, forward
    adapter_kernels: Number  # as layers' worth of what the host launches, routed experts apart
    adapter_expert_kernels: Number


def condition_numbers(setting: Setting) -> ConditionNumbers:
    """The numbers of one setting's conditions."""
    stated = setting.conditions
    again = selectively_recomputed(setting)
    return ConditionNumbers(
        unfused=float(is_unfused(setting)),
        full_share=1.0 if stated.recompute_share is None else stated.recompute_share,
        selective_share=0.5 if setting.framework in EVERY_OTHER_MATMUL else 0.0,
        selective_attention=again.attention,
        selective_experts=again.experts,
        selective_weights=again.weights,
        selective_elements=again.elements,
        shard_group=float(stated.shard_group or 0),
        gathers_each=float(shards_like_fsdp(setting.framework)),
        optimizer_bytes=optimizer_state_bytes(setting),
        optimizer_flops=orthogonalisation_flops(stated.optimizer, setting.model),
        moves_optimizer=float(stated.moves_optimizer),
        moves_activations=float(stated.moves_activations),
        **host_rates(setting.accelerator),
        **_adapter_numbers(setting),
    )


def _adapter_numbers(setting: Setting) -> dict[str, float]:
    """What adapters add to a step, and what frozen weights save of it."""
    adapter, model = setting.conditions.adapter, setting.model
    if adapter is None:
        one = ("trained", "trained_dense", "trained_experts")
        none = (
            "adapter_elements", "adapter_expert_elements", "adapter_flops", "adapter_kernels", "adapter_expert_kernels",
        )  # fmt: skip
        return dict.fromkeys(one, 1.0) | dict.fromkeys(none, 0.0) | {"frozen_bytes": WEIGHT_BYTES}
    counts, own = parameter_counts(model), adapter_counts(model, adapter)
    routed = counts.moe_layers * counts.routed
    return {
        "trained": 0.0,
        "trained_dense": (own.dense + own.head) / (counts.total - routed),
        "trained_experts": own.experts / routed if routed else 0.0,
        "frozen_bytes": NF4_BYTES if adapter.quantised else WEIGHT_BYTES,
        "adapter_elements": float(own.elements),
        "adapter_expert_elements": float(own.expert_elements),
        "adapter_flops": 2.0 * own.active,
        "adapter_kernels": own.kernels * ADAPTER_KERNELS / LAYER_KERNELS,
        "adapter_expert_kernels": own.expert_kernels * ADAPTER_KERNELS / LAYER_KERNELS,
    }


def recompute_modules(setting: Setting) -> tuple[str, ...]:
    """Modules that selective recompute covers: as stated, else what planner's commands name; () where none are named.

    Megatron-Core alone has such modules; others that recompute selectively repeat attention (Korthikanti et al. 2022),
    or every other matmul.
    """
    stated, row = setting.conditions.recompute_modules, known_framework(setting.framework)
    if stated is not None:
        return stated
    if row is not None and "mla_up_projections" in row.memory.selective_drops:
        return selective_modules(setting.model, is_unfused(setting))
    return () if setting.framework in EVERY_OTHER_MATMUL else ("core_attn",)


def selectively_recomputed(setting: Setting) -> Recomputed:
    """What selective recompute does again, beside a share of all matmuls."""
    modules = recompute_modules(setting)
    return recomputed_by(setting.model, modules) if modules else NOTHING_RECOMPUTED


def host_rates(part: Accelerator) -> dict[str, float]:
    """Rates of a GPU's way to host memory, bytes/s one direction.

    Grace CPUs share a board: NVLink-C2C has 450 GB/s each way a Grace (NVIDIA's data sheets; two GPUs share one in
    GB200 and GB300), and LPDDR5X 500. Elsewhere PCIe, of which copies reach 80 %, and eight GPUs share two sockets'
    memory: 410 GB/s of DDR4 (A100 and before), 614 of DDR5.
    """
    if part.form_factor.startswith(("NVL", "Super")):
        gpus = 2.0 if part.form_factor.startswith("NVL") else 1.0
        return {"host_link": 450e9 / gpus, "host_memory": 500e9 / gpus}
    old = part.family in ("volta", "ampere", "ada") or "PCIe4" in part.form_factor
    return {"host_link": 0.8 * (31e9 if old else 63e9), "host_memory": (410e9 if old else 614e9) / 8}


def is_unfused(setting: Setting) -> bool:
    """Whether attention writes its scores to memory: as stated, else as the framework's release has it.

    A part for which no release has kernels (V100) writes them whatever is stated.
    """
    if not setting.accelerator.flash_attention:
        return True
    if setting.conditions.flash_attention is not None:
        return not setting.conditions.flash_attention
    row = known_framework(setting.framework)
    if row is None:
        return before_flash(setting.release)
    return not row.release(setting.release).flash_attention


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
    modules = tuple(cell.text("recompute_modules").lower().replace(",", " ").split())
    for word in modules:
        if word not in MODULES:
            why = say("cells.none_of", column="recompute_modules", found=quoted(word), known=list(MODULES))
            raise cell.refused(why)
    share, flash = cell.number("recompute_share", 1.0), cell.text("flash_attention").lower()
    kind, tuning = _one_of(cell, "kind", KINDS), _one_of(cell, "tuning", TUNINGS)
    return Conditions(
        flash_attention=yes_or_no(cell, "flash_attention"),
        # PyTorch's scaled_dot_product_attention calls the second (its cuDNN backend is asked for by name).
        flash_generation=3 if re.search(r"3|cudnn", flash) else 2 if re.search(r"2|sdpa", flash) else None,
        reduction_overlap=_reduction_overlap(cell),
        fused=yes_or_no(cell, "fused_or_compile"),
        recompute_share=share,
        shard_group=cell.count("shard_group", 0) or None,
        optimizer=_one_of(cell, "optimizer", tuple(OPTIMIZERS)) or "adamw",
        optimizer_bytes=cell.number("optimizer_state_bytes", 64.0),
        offload=_one_of(cell, "offload", OFFLOADS) or "none",
        recompute_modules=modules or None,
        gradient_bytes=cell.number("gradient_bytes", 64.0),
        loss=_one_of(cell, "loss", LOSSES),
        expert_tp=cell.count("etp", 1),
        schedule=_one_of(cell, "schedule", SCHEDULES),
        power_limit_w=cell.number("power_limit_w", 1e5),
        adapter=_adapter(cell),
        site=cell.text("site") or OWN_SITE,
        tuning=tuning or ("vendor" if kind == "vendor" else "field"),
    )


def _adapter(cell: Cells) -> Adapter | None:
    """The adapters that a row's run trained; None where it trained all of the model."""
    method = _one_of(cell, "adapter", ("none", *METHODS))
    stated = [name for name in ("lora_r", "lora_target_modules") if cell.text(name)]
    if method in ("", "none"):
        if stated:
            raise cell.refused(say("conditions.of_an_adapter", column=stated[0]))
        return None
    modules = tuple(cell.text("lora_target_modules").replace(",", " ").split())
    return Adapter(method, cell.count("lora_r", RANK), modules or (ALL_LINEAR,))


def optimizer_state_bytes(setting: Setting) -> float:
    """Bytes a parameter of master weights and moments: as stated, else the optimizer's own."""
    stated = setting.conditions.optimizer_bytes
    return state_bytes(setting.conditions.optimizer, setting.model) if stated is None else stated


def _reduction_overlap(cell: Cells) -> bool | None:
    """What `comm_overlap` says of the data-parallel reductions: "dp yes", "zero", "moe a2a, zero"; "dp no", "none".

    A plain yes or no is of them, too.
    """
    text = cell.text("comm_overlap").lower()
    if text and not _OVERLAP.search(text):
        raise cell.refused(say("conditions.comm_overlap", column="comm_overlap", found=quoted(text)))
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
        raise cell.refused(say("cells.none_of", column=key, found=quoted(text), known=known))
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
    raise cell.refused(say("conditions.yes_or_no", column=key, found=quoted(text)))


def stated_sequence_parallel(cell: Cells, tp: int, otherwise: bool) -> bool:
    """Sequence parallelism as the row states it (yes, no, "with tp"); `otherwise` where it is empty."""
    if cell.text("sequence_parallel").lower().startswith("with"):
        return tp > 1
    stated = yes_or_no(cell, "sequence_parallel")
    return otherwise if stated is None else stated and tp > 1
