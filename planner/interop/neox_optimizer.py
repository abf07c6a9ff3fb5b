"""The optimizer of a GPT-NeoX config, and where its states lie.

Source: EleutherAI/gpt-neox ea7aefd, megatron/training.py (get_optimizer); of the entries of `zero_optimization`:
DeepSpeed's deepspeed/runtime/zero/config.py.
"""

from __future__ import annotations

from collections.abc import Mapping

from planner.interop.files import shown
from planner.interop.imported import Taken
from planner.interop.neox_config import Config
from planner.words import say

#: GPT-NeoX's types by what planner knows of their states.
TYPES = {"adam": "adamw", "adamw": "adamw", "cpu_adam": "adamw", "cpu_torch_adam": "adamw", "lion": "lion"}
ON_HOST = ("cpu_adam", "cpu_torch_adam")
#: Entries of `zero_optimization` that decide something, and what; all others are sizes of buffers and switches.
_ZERO = {
    "cpu_offload": "neox_optimizer.states_on_host",
    "cpu_offload_param": "neox_optimizer.weights_on_host",
    "offload_optimizer": "neox_optimizer.states_on_host",
    "offload_param": "neox_optimizer.weights_on_host",
    "zero_hpz_partition_size": "neox_optimizer.weights_again",
    "mics_shard_size": "neox_optimizer.shards",
    "zero_quantized_weights": "neox_optimizer.weight_bytes",
    "zero_quantized_gradients": "neox_optimizer.gradient_bytes",
}


def neox_optimizer(config: Config) -> list[Taken]:
    """The optimizer as a key of a scenario, where it is not the default; what planner does not know is a warning."""
    _zero_entries(config)
    stated = config.raw("optimizer")
    section = stated if isinstance(stated, Mapping) else {"type": stated}
    name = str(section.get("type") or "adam").strip()
    known = TYPES.get(name.lower())
    eight_bit = config.flag("use_bnb_optimizer", False)
    if name.lower() in ON_HOST:
        config.warnings.append(say("neox_optimizer.on_host", key=config.called("optimizer"), name=name))
    if known is None:
        config.warnings.append(say("neox_optimizer.unknown", key=config.called("optimizer"), name=shown(name)))
    if eight_bit and known == "adamw":
        return [Taken("training.optimizer", "adamw-8bit", config.origin("use_bnb_optimizer"))]
    return [Taken("training.optimizer", known, config.origin("optimizer"))] if known not in ("adamw", None) else []


def _zero_entries(config: Config) -> None:
    for entry, value in config.section("zero_optimization", "stage").items():
        device = value.get("device", "cpu") if isinstance(value, Mapping) else value
        single = entry.endswith(("_size", "shard_size")) and device in (1, -1)
        if entry in _ZERO and device not in (None, False, 0, "none", "None", "false") and not single:
            decided = say(_ZERO[entry])
            key = config.called(f"zero_optimization.{entry}")
            config.warnings.append(say("neox_optimizer.decides", key=key, decided=decided))
