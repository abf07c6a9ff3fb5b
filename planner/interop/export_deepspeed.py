"""Files for DeepSpeed through Hugging Face's Trainer: its JSON, Accelerate's YAML, and a script that starts both."""

from __future__ import annotations

import json
from typing import Any

from planner.interop.deepspeed_assumptions import DEEPSPEED, betas
from planner.interop.export_common import Export
from planner.interop.fields import nested
from planner.interop.launching import TRAIN
from planner.interop.quoting import yaml_value
from planner.interop.trainer_script import ACCELERATE, accelerate_yaml, config_and_arguments, trainer_script

CONFIG = "ds_config.json"


def deepspeed_files(export: Export) -> dict[str, str]:
    """ds_config.json and accelerate.yaml (the plan), and train.sh for every node.

    Raises
    ------
    PlannerError
        If DeepSpeed through the Trainer cannot run the plan, naming what it lacks.
    """
    config, arguments = config_and_arguments(DEEPSPEED, export, "DeepSpeed under the Trainer", "deepspeed")
    return {
        CONFIG: _json(export, config),
        ACCELERATE: _accelerate(export),
        TRAIN: trainer_script(export, arguments, "transformers, accelerate and deepspeed"),
    }


def _json(export: Export, values: dict[str, Any]) -> str:
    rate = export.learning_rate
    params = {"lr": rate, "betas": betas(export), "weight_decay": 0.1}
    if values["optimizer.type"] == "AdamW":
        params["eps"] = 1e-8
    log = {"gradient_clipping": 1.0, "steps_per_print": 10, "wall_clock_breakdown": False}
    tree = nested({**log, **values, "optimizer.params": params})
    return json.dumps(tree, indent=2) + "\n"


def _accelerate(export: Export) -> str:
    deepspeed = {
        "deepspeed_config_file": CONFIG,
        "deepspeed_multinode_launcher": "standard",
        "zero3_init_flag": export.plan.layout.zero_stage == 3,
    }
    part = {"deepspeed_config": deepspeed}
    return accelerate_yaml(
        export, f"ZeRO and the batch are in {CONFIG}.", part, {}, lambda value: yaml_value(value).strip('"')
    )
