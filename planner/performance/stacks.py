"""Which software stack a framework and release are, and by which labels its measurements are looked up."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from planner.performance.arrays import Setting
from planner.performance.conditions import is_fused
from planner.performance.framework_table import before_flash, stack_words
from planner.performance.rates import Context
from planner.performance.residual import Place
from planner.performance.vendor_recipes import has_recipes, recipe_of, release_numbers
from planner.spec.model import ModelSpec
from planner.workload.counts import parameter_counts

NEOX = ("gpt-neox", "neox", "gptneox")
FOUNDRY = "HEAD"  # the release under which LLM-Foundry's rows stand as FSDP's
#: The newest release whose recipes are known, by stack.
NEWEST = {"megatron": "26.08"}
FLASH3_FAMILIES = ("hopper", "blackwell")  # whose units the second generation of flash attention does not fill
HEAD_MULTIPLE = 8  # 16-bit tensor cores want operands of so many elements
FORMATS = {"bf16": "16", "fp16": "16", "fp8": "fp8", "mxfp8": "mxfp8", "nvfp4": "fp4"}


def stack_of(framework: str, release: str) -> str:
    """The stack's name: the framework's family; of before flash attention, with its release."""
    family = _family(framework)
    if family == "fsdp" and release.startswith(FOUNDRY):
        return "llm-foundry"
    return f"{family} {release}" if family == "megatron" and before_flash(release) else family


@cache
def _family(framework: str) -> str:
    """The stack whose word stands first in what a framework is called, the longest there; else one of its own."""
    words = [(framework.find(word), -len(word), stack) for word, stack in stack_words().items() if word in framework]
    return min(words)[2] if words else framework


def release_of(setting: Setting) -> str:
    """The release as stated, or the newest one that is known of its stack."""
    if setting.release not in ("", "latest"):
        return setting.release
    return NEWEST.get(stack_of(setting.framework, ""), "")


def release_year(release: str) -> float | None:
    """The date of a YY.MM(.PP) container release as a year, None if the text has none."""
    numbers = release_numbers(release)
    if not numbers:
        return None
    year, month, patch = (*numbers, 0)[:3]
    return 2000 + year + (month - 1) / 12 + 0.02 * patch


def format_of(setting: Setting) -> str:
    """The matmuls' format; 16 bits where the accelerator has nothing narrower."""
    return FORMATS[setting.precision] if setting.accelerator.peak_dense_tflops.get("fp8") else "16"


def context_of(setting: Setting) -> Context:
    """The labels by which rates are looked up; an empty label applies to nothing."""
    release = release_of(setting)
    model = setting.model
    stack = stack_of(setting.framework, setting.release)
    recipe = recipe_of(setting, stack, release)
    family = setting.accelerator.family
    return {
        "all": "1",
        "kernels": ("2022" if setting.release == "1.0" else "neox") if setting.framework in NEOX else "",
        "stack": stack,
        "family": setting.accelerator.family,
        "site": setting.conditions.site,
        "gpu": setting.accelerator.id,
        "format": format_of(setting),
        "kind": kind_of(model),
        "attention": "mla" if model.mla else "sinks" if model.attention_sinks else "",
        "biased": "yes" if model.moe and model.mlp_bias else "",
        "graphs": "" if recipe.graphs == "none" else recipe.graphs,
        "dispatch": "" if recipe.dispatch == "alltoall" else recipe.dispatch,
        "overlap": "yes" if recipe.overlap else "",
        "eager": "yes" if recipe.overlap and recipe.graphs == "none" else "",
        "fused": "yes" if recipe.fused_experts else "",
        "fp8_attention": "yes" if recipe.fp8_attention else "",
        "repeated": "yes" if "moe_act" in recipe.recomputes else "",
        "ragged": "yes" if model.head_dim % HEAD_MULTIPLE else "",
        "eager_ops": "" if is_fused(setting) else "yes",
        "flash2": "yes" if setting.conditions.flash_generation == 2 and family in FLASH3_FAMILIES else "",
        "reduced": {True: "behind", False: "after", None: ""}[setting.conditions.reduction_overlap],
    }


def recipe_in_words(setting: Setting) -> str:
    """What a MoE model is taken to run with on a stack whose recipes are published, "" for anything else."""
    stack = stack_of(setting.framework, setting.release)
    if not setting.model.moe or not has_recipes(stack):
        return ""
    return recipe_of(setting, stack, release_of(setting)).in_words()


def recipe_switches(setting: Setting) -> dict[str, str]:
    """What a setting's recipe has switched on, as the columns of catalogs/recipes have it; {} for none."""
    if not setting.model.moe:
        return {}
    return recipe_of(setting, stack_of(setting.framework, setting.release), release_of(setting)).switched_on


def place_of(setting: Setting, gpus: float = 1.0, name: str = "") -> Place:
    """Where the setting stands among measured runs; some layers of a model stand where the model does.

    Layers repeat, so that what its matrices' shapes, kernels and traffic do in one they do in all of them.
    """
    whole = setting.conditions.whole_layers
    active = parameter_counts(replace(setting.model, layers=whole) if whole else setting.model).active
    return Place(
        id=name,
        stack=stack_of(setting.framework, setting.release),
        kind=kind_of(setting.model),
        model=setting.model.name,
        gpu=setting.accelerator.id,
        format=format_of(setting),
        coordinates=(float(np.log(active)), float(np.log(setting.seq_length)), float(np.log(gpus))),
        site=setting.conditions.site,
        family=setting.accelerator.family,
    )


def kind_of(model: ModelSpec) -> str:
    """Experts or not: the two behave so differently that neither corrects the other."""
    return "moe" if model.moe else "dense"
