"""How a GPT-NeoX config sets its run up beside the layout: attention, fused kernels, overlap, precision.

Source of keys and defaults: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments; of `overlap_comm`: DeepSpeed's
deepspeed/runtime/zero/config.py (on for ZeRO 3 alone, unless stated).
"""

from __future__ import annotations

from collections import Counter

from planner.interop.files import shown, truth, whole
from planner.interop.imported import Taken
from planner.interop.neox_config import Config
from planner.interop.neox_fields import FLASH, FUSIONS, GLOBAL, PRECISIONS, SOFTMAX_FUSIONS
from planner.units import PlannerError
from planner.words import say

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
            count = whole(repeats, config.called("attention_config"), 0) if repeats != "all" else layers
            kinds.update({name: count * names.count(name) for name in names})
            length += len(names) * count if repeats != "all" else layers
        else:
            kinds[str(item)] += 1
            length += 1
    if length != layers:
        raise PlannerError(say("neox_conditions.attention_length", length=length, layers=layers))
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
        config.remarks.append(say("neox_conditions.some_flash", key=config.called("attention_config"), most=most))
    return Taken(key, with_flash > 0 and with_flash >= others, config.origin("attention_config"))


def _fused(config: Config, *, with_flash: bool) -> Taken:
    names = FUSIONS if with_flash else (*FUSIONS, *SOFTMAX_FUSIONS)
    on = [name for name in names if config.flag(name, False)]
    if str(config.raw("norm", "")).strip().lower() in TE_NORMS:
        on.append("norm")
    key = "training.fused_or_compile"
    return Taken(key, bool(on), config.origin(on[0]) if on else _off(config, names))


def _off(config: Config, names: tuple[str, ...]) -> str:
    stated = [name for name in names if config.has(name)]
    return config.origin(*stated) if stated else "default of every fusion in GPT-NeoX"


def _overlap(config: Config) -> Taken:
    key = "training.comm_overlap"
    stage, stated = config.value("layout.zero_stage"), config.value(key)
    if stated is not None:
        return Taken(key, stated, f"overlap_comm of {config.origin('zero_optimization')}")
    return Taken(key, stage == 3, "default of overlap_comm in DeepSpeed")


def neox_precision(config: Config) -> tuple[str, str]:
    """The number format of the matmuls, and where it is said.

    Raises
    ------
    PlannerError
        Where the precision and a DeepSpeed section say different things.
    """
    stated = config.choice("precision", "fp32", ("fp16", "fp32", "bfloat16")) if config.has("precision") else ""
    for key, name in PRECISIONS.items():
        section = config.section(key, "enabled")
        if section and truth(section.get("enabled", False), f"enabled of {config.called(key)}"):
            if stated and stated != name:
                raise PlannerError(say("neox_conditions.precisions", key=key, stated=shown(stated)))
            return key, config.origin(key)
    for key, name in PRECISIONS.items():
        if stated == name:
            return key, config.origin("precision")
    config.remarks.append(say("neox_conditions.fp32"))
    return "bf16", "assumed; the files say fp32 or nothing"


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
        raise PlannerError(say("neox_conditions.other_layers", kinds=other))
    odd = sorted(kinds - {FLASH, GLOBAL})
    if odd:
        raise PlannerError(
            say("neox_conditions.odd_layers", key=config.called("attention_config"), kinds=[shown(k) for k in odd[:6]])
        )
