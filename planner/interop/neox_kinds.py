"""Which keys of a GPT-NeoX config planner reads, which say nothing to a plan, and which would change it.

A key that decides something planner does not hold is a warning, unless its value is the one that changes nothing.
Source of defaults: EleutherAI/gpt-neox ea7aefd, megatron/neox_arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.interop.files import shown
from planner.interop.key_kinds import Kinds, Sorted, sort_keys
from planner.interop.neox_conditions import neox_precision
from planner.interop.neox_config import MOST_LETTERS, MOST_UNKNOWN, Config
from planner.interop.neox_keys import DECIDING, IRRELEVANT, IRRELEVANT_BEFORE, UNDERSTOOD, misspelt
from planner.units import PlannerError
from planner.words import say

#: Values of keys that are as off as a key left out; None, false, 0 and what is empty always are.
_OFF: Mapping[str, tuple[Any, ...]] = {
    "communication_data_type": ("fp16", "bf16", "bfloat16"),
    "data_types": ({"grad_accum_dtype": "fp32"},),
    "deepspeed": (True,),
    "deepspeed_extra_args": ({"zero_allow_untested_optimizer": True},),
    "deepspeed_activation_checkpointing": (True,),
    "output_layer_parallelism": ("column", "row"),
    "train_impl": ("normal",),
}
#: Keys that are off unless GPT-NeoX is told to recompute layers, to have experts, or to share layers' weights.
_OF_RECOMPUTE = (
    "activation_checkpointing", "checkpoint_in_cpu", "contiguous_checkpointing", "deepspeed_activation_checkpointing",
    "partition_activations",
)  # fmt: skip
_OF_EXPERTS = (
    "enable_expert_tensor_parallelism", "moe_expert_parallel_size", "moe_token_dropping", "moe_train_capacity_factor",
    "moe_type", "moe_use_residual",
)  # fmt: skip
_ON_UNLESS_TRUE = ("deepspeed", "deepspeed_activation_checkpointing")


def neox_kinds(config: Config) -> Sorted:
    """The keys of a config that planner did not read: those without a say in a plan, and a warning for each other.

    Raises
    ------
    PlannerError
        For one that is a slip of the pen away from a key that planner reads or would have to: GPT-NeoX stops there.
    """
    known = UNDERSTOOD | IRRELEVANT | IRRELEVANT_BEFORE | DECIDING.keys()
    unknown = [key for key in config.values if key not in known]
    for key in unknown[:MOST_UNKNOWN]:
        meant = misspelt(key[:MOST_LETTERS], UNDERSTOOD | DECIDING.keys())
        if meant is not None:
            raise PlannerError(say("neox_kinds.no_key", key=shown(config.called(key), 120), meant=meant))
    off = {key for key in DECIDING if key in config.values and is_off(config, key)}
    found = {key: config.origins.get(key, "the config") for key in config.values}
    deciding = {key: words for key, words in DECIDING.items() if key not in off}
    return sort_keys(found, UNDERSTOOD, Kinds("GPT-NeoX", IRRELEVANT | IRRELEVANT_BEFORE | off, deciding))


def is_off(config: Config, key: str) -> bool:
    """Whether a key that decides something has the value by which it decides nothing."""
    value = config.values.get(key)
    if value is None or value in _OFF.get(key, ()):
        return True
    if key not in _ON_UNLESS_TRUE and not _enabled(value):
        return True
    if key in _OF_RECOMPUTE and config.value("layout.recompute") == "none":
        return True
    if key in _OF_EXPERTS and config.value("model.moe.experts") <= 1:
        return True
    return _agrees(config, key, value)


def _agrees(config: Config, key: str, value: Any) -> bool:
    """Whether a key only repeats what others say."""
    if key == "fp32_allreduce":  # what planner takes of GPT-NeoX with bf16 anyway
        return neox_precision(config)[0] == "bf16"
    if key == "partition_activations":
        return bool(config.value("layout.tp") == 1)
    if key == "pipe_partition_method":
        return str(value).lower().startswith("type:transformer") or bool(config.value("layout.pp") == 1)
    if key == "num_unique_layers":
        return bool(value == config.values.get("num_layers"))
    if key == "param_sharing_style":
        return not config.has("num_unique_layers") or is_off(config, "num_unique_layers")
    if key == "exit_interval":
        length = config.values.get("train_iters")
        return isinstance(value, int) and isinstance(length, int) and value >= length
    same = {
        "batch_size": "train_micro_batch_size_per_gpu",
        "gas": "gradient_accumulation_steps",
    }
    if key in same:
        return bool(value == config.values.get(same[key]))
    if key == "zero_stage":
        section = config.values.get("zero_optimization")
        return isinstance(section, Mapping) and section.get("stage") == value
    if key == "optimizer_type":
        return config.has("optimizer") or str(value).lower() in ("adam", "adamw")
    return False


def _enabled(value: Any) -> bool:
    """Whether a section is switched on; one without a switch is as its parts are."""
    if isinstance(value, Mapping):
        switch = value.get("enabled")
        return _enabled(switch) if "enabled" in value else any(_enabled(part) for part in value.values())
    return value not in (False, None, 0, "", "none", "None", "false", "False") and value != []
