"""How a GPT-NeoX config sets its run up beside the layout: attention, fused kernels, overlap; and how it is written.

Source of keys and defaults: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments; of `overlap_comm`: DeepSpeed's
deepspeed/runtime/zero/config.py (on for ZeRO 3 alone, unless stated).
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from planner.interop.files import shown, truth, whole
from planner.interop.imported import Taken
from planner.interop.neox_config import Config, zero_stage
from planner.results.plan import RunConditions
from planner.spec.model import ModelSpec
from planner.units import PlannerError

FLASH, GLOBAL = "flash", "global"  # two ways to compute the same
#: Kernels that fuse what a layer does between its matmuls; each is off unless stated.
FUSIONS = (
    "bias_gelu_fusion", "bias_dropout_fusion", "layernorm_fusion", "rmsnorm_fusion", "te_layernorm_mlp",
    "use_flashattn_swiglu",
)  # fmt: skip
#: Those of attention that writes its scores; a flash kernel has no use for them.
SOFTMAX_FUSIONS = ("scaled_upper_triang_masked_softmax_fusion", "scaled_masked_softmax_fusion")
ALSO_READ = ("rope_fusion", "te_columnparallel", "te_rowparallel")  # fused, too, but alone they hardly show
TE_NORMS = ("te_layernorm", "te_rmsnorm")


def attention_kinds(config: Config, layers: int) -> Counter[str]:
    """How many layers have which attention, as `attention_config` states it; those of a pattern in equal parts.

    Raises
    ------
    PlannerError
        If it does not state as many layers as there are.
    """
    stated = config.raw("attention_config")
    if not isinstance(stated, list):
        return Counter()
    kinds: Counter[str] = Counter()
    length = 0
    for item in stated[:10_000]:
        if isinstance(item, list) and len(item) == 2 and isinstance(item[0], list):
            names = [str(n) for n in item[0][:100]]
            repeats = item[1]
            count = whole(repeats, config.what("attention_config"), 0) if repeats != "all" else layers
            kinds.update({name: count * names.count(name) for name in names})
            length += len(names) * count if repeats != "all" else layers
        else:
            kinds[str(item)] += 1
            length += 1
    if length != layers:
        raise PlannerError(f"Length of attention config list must equal num_layers: {length} != {layers}.")
    return kinds


def neox_conditions(config: Config, layers: int) -> list[Taken]:
    """What the config says of how its run is set up, as keys of a scenario; its defaults are GPT-NeoX's."""
    flash = _flash(config, layers)
    return [flash, _fused(config, with_flash=bool(flash.value)), _overlap(config)]


def _flash(config: Config, layers: int) -> Taken:
    key = "training.flash_attention"
    if config.flag("te_mha", False):
        return Taken(key, True, f"{config.origin('te_mha')}: Transformer Engine's attention")
    kinds = attention_kinds(config, layers)
    with_flash, others = kinds[FLASH], kinds.total() - kinds[FLASH]
    if with_flash and others:
        most = "flash" if with_flash >= others else "global"
        config.remarks.append(
            f"{config.what('attention_config')} has flash attention in some layers only: all are priced as {most}"
        )
    return Taken(key, with_flash > 0 and with_flash >= others, config.origin("attention_config"))


def _fused(config: Config, *, with_flash: bool) -> Taken:
    names = FUSIONS if with_flash else (*FUSIONS, *SOFTMAX_FUSIONS)
    config.used.update((*SOFTMAX_FUSIONS, *ALSO_READ))
    on = [name for name in names if config.flag(name, False)]
    if str(config.raw("norm", "")).strip().lower() in TE_NORMS:
        on.append("norm")
    key = "training.fused_or_compile"
    return Taken(key, bool(on), config.origin(on[0]) if on else _off(config, names))


def _off(config: Config, names: tuple[str, ...]) -> str:
    stated = [name for name in names if config.has(name)]
    return config.origin(*stated) if stated else "default of every fusion in GPT-NeoX"


def _overlap(config: Config) -> Taken:
    key, section = "training.comm_overlap", config.section("zero_optimization", "overlap_comm")
    stated, stage = section.get("overlap_comm"), zero_stage(config)
    if stated is not None:
        what = f"overlap_comm of {config.what('zero_optimization')}"
        return Taken(key, truth(stated, what), f"overlap_comm of {config.origin('zero_optimization')}")
    return Taken(key, stage == 3, "default of overlap_comm in DeepSpeed")


def neox_precision(config: Config) -> tuple[str, str]:
    """The number format of the matmuls, and where it is said.

    Raises
    ------
    PlannerError
        Where the precision and a DeepSpeed section say different things.
    """
    stated = config.choice("precision", "fp32", ("fp16", "fp32", "bfloat16")) if config.has("precision") else ""
    for key, name in (("fp16", "fp16"), ("bf16", "bfloat16")):
        section = config.section(key, "enabled")
        if section and truth(section.get("enabled", False), f"enabled of {config.what(key)}"):
            if stated and stated != name:
                raise PlannerError(
                    f"DeepSpeed {key} field was set but precision conflicts: precision is {shown(stated)}."
                )
            return ("fp16" if key == "fp16" else "bf16"), config.origin(key)
    if stated in ("fp16", "bfloat16"):
        return ("fp16" if stated == "fp16" else "bf16"), config.origin("precision")
    config.remarks.append("GPT-NeoX would train this in fp32, which planner does not price: bf16 is written instead")
    return "bf16", "assumed; the files say fp32 or nothing"


def attention_entry(conditions: RunConditions | None, model: ModelSpec) -> list[Any]:
    """`attention_config`: flash attention unless the plan is without it."""
    flash = conditions is None or conditions.flash_attention
    return [[[FLASH if flash else GLOBAL], model.layers]]


def fusion_entries(conditions: RunConditions | None, model: ModelSpec) -> dict[str, Any]:
    """The fused kernels of a plan that has them; of the norm, where the MLP has no biased GELU to fuse."""
    fused = conditions is not None and conditions.fused_or_compile
    softmax = fused and conditions is not None and not conditions.flash_attention
    values: dict[str, Any] = {SOFTMAX_FUSIONS[0]: softmax}
    if fused:
        gelu = model.mlp_bias and not model.gated_mlp and model.activation == "" and model.moe is None
        norm = "rmsnorm_fusion" if model.norm == "rmsnorm" else "layernorm_fusion"
        values["bias_gelu_fusion" if gelu else norm] = True
    return values


def overlap_entry(conditions: RunConditions | None) -> bool:
    """`overlap_comm`: as the plan has it, on where it does not say."""
    return conditions is None or conditions.comm_overlap is not False


def kinds_refused(config: Config, layers: int) -> None:
    """Refuse attention that planner neither prices nor exports.

    Raises
    ------
    PlannerError
        Naming the kinds.
    """
    kinds = set(attention_kinds(config, layers))
    other = sorted(kinds & {"mamba", "rwkv", "gmlp", "amlp"})
    if other:
        raise PlannerError(
            f"attention_config has {', '.join(other)} layers, which planner does not read from a GPT-NeoX config "
            "(docs/models.md has the layers that it plans)."
        )
    odd = sorted(kinds - {FLASH, GLOBAL})
    if odd:
        raise PlannerError(
            f"{config.what('attention_config')} has {', '.join(shown(k) for k in odd[:6])} layers, which planner "
            f"neither prices nor exports; write {GLOBAL} or {FLASH} to plan with full attention."
        )
