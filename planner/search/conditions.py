"""How a scenario's run is set up beyond its layout: what it states, and what is taken where it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from planner.performance.arrays import OWN_SITE, Conditions, Setting
from planner.performance.calibration import Calibration
from planner.performance.conditions import TUNINGS, is_fused, is_unfused
from planner.performance.stacks import stack_of
from planner.performance.vendor_recipes import has_recipes
from planner.spec.scenario import Scenario
from planner.words import say


def conditions_of(scenario: Scenario) -> Conditions:
    """What a scenario states of how its run is set up, beyond the layout."""
    training, layout, cluster = scenario.training, scenario.layout, scenario.cluster
    flash = training.flash_attention
    return Conditions(
        flash_attention=None if flash is None else bool(flash),
        flash_generation=None if flash is None or isinstance(flash, bool) else flash,
        fused=training.fused_or_compile,
        recompute_share=layout.recompute_share,
        reduction_overlap=training.comm_overlap,
        shard_group=layout.shard_group,
        power_limit_w=cluster.power_limit_w,
        site=cluster.site or OWN_SITE,
        tuning=training.tuning or TUNINGS[0],
        optimizer=training.optimizer,
        offload=training.offload,
        adapter=training.adapter,
    )


def conditions_taken(
    scenario: Scenario, settings: Sequence[Setting], calibration: Calibration
) -> list[tuple[str, str]]:
    """What these settings of a scenario take for the conditions that it does not state: (key, value in words).

    Attention and fused kernels are those of each framework's release. A vendor's recipe or a site is named where a
    stated one would change the answer: of some MoE models on stacks with published recipes; where own rows are known.
    """
    training, taken = scenario.training, []
    if training.flash_attention is None and settings:
        taken.append(("training.flash_attention", _flash(settings)))
    if training.fused_or_compile is None and settings:
        taken.append(("training.fused_or_compile", _by_framework(settings, is_fused)))
    if training.comm_overlap is None and settings:
        taken.append(("training.comm_overlap", say("conditions.overlap_unknown")))
    if not training.tuning and any(_tuning_shows(s, calibration) for s in settings):
        taken.append(("training.tuning", TUNINGS[0]))
    if not scenario.cluster.site and any(p.site == OWN_SITE for p in calibration.field.places):
        taken.append(("cluster.site", OWN_SITE))
    return taken


def _tuning_shows(setting: Setting, calibration: Calibration) -> bool:
    """Whether a vendor's recipe would be predicted otherwise than a user's run."""
    if not setting.model.moe or not has_recipes(stack_of(setting.framework, setting.release)):
        return False
    both = (replace(setting, conditions=replace(setting.conditions, tuning=tuning)) for tuning in TUNINGS)
    one, other = (calibration.rates(each) for each in both)
    return one != other


def _flash(settings: Sequence[Setting]) -> str:
    """Whether attention has flash kernels, by framework; parts for which there are none are named apart."""
    able = [s for s in settings if s.accelerator.flash_attention]
    without = sorted({s.accelerator.id for s in settings if not s.accelerator.flash_attention})
    parts = [_by_framework(able, lambda s: not is_unfused(s))] if able else []
    if without:
        parts.append(say("conditions.no_kernels", parts=without))
    return say("conditions.both", said=parts)


def _by_framework(settings: Iterable[Setting], of: Callable[[Setting], bool]) -> str:
    """`true (megatron 25.11); false (fsdp, gpt-neox)`: the value of each framework's release."""
    found: dict[bool, dict[str, None]] = {}
    for s in settings:
        name = f"{s.framework} {s.release}" if s.release not in ("", "latest") else s.framework
        found.setdefault(of(s), {})[name] = None
    parts = [say(f"conditions.{str(value).lower()}", of=sorted(found[value])) for value in sorted(found)[::-1]]
    return say("conditions.both", said=parts)
