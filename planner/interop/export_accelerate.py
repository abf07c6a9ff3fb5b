"""Files for PyTorch's FSDP through Accelerate: its YAML with FSDP2's section, and a script that starts a trainer."""

from __future__ import annotations

from typing import Any

from planner.interop.accelerate_assumptions import ACCELERATE as TABLE
from planner.interop.export_common import Export
from planner.interop.launching import TRAIN
from planner.interop.quoting import commented, yaml_value
from planner.interop.trainer_script import ACCELERATE, config_and_arguments, trainer_script


def accelerate_files(export: Export) -> dict[str, str]:
    """accelerate.yaml (FSDP and the cluster), and train.sh for every node, which states the batch.

    Raises
    ------
    PlannerError
        If FSDP through Accelerate cannot run the plan, naming what it lacks.
    """
    config, arguments = config_and_arguments(TABLE, export, "FSDP through Accelerate", "fsdp")
    export.notes.append(
        f"{ACCELERATE}: Accelerate reduces gradients in 16 bits, and the plan counts 32: it may be faster"
    )
    return {
        ACCELERATE: _config(export, config),
        TRAIN: trainer_script(export, arguments, "transformers and accelerate"),
    }


def _config(export: Export, values: dict[str, Any]) -> str:
    """Accelerate's cluster; rank, address and port of a machine come from train.sh."""
    plain = {key: value for key, value in values.items() if "." not in key}
    sections: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, key = path.partition(".")
        if key:
            sections.setdefault(section, {})[key] = value
    known = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "FSDP",
        **plain,
        "num_machines": export.plan.nodes,
        "num_processes": export.plan.gpus,
        "machine_rank": 0,
        "main_training_function": "main",
        "rdzv_backend": "static",
        "same_network": export.plan.nodes > 1,
        "use_cpu": False,
        "debug": False,
    }
    lines = commented([*export.header("Accelerate's configuration"), f"The batch is in {TRAIN}."])
    lines += [f"{key}: {yaml_value(value)}" for key, value in known.items()]
    for section, inner in sections.items():
        lines += [f"{section}:", *(f"  {key}: {yaml_value(value)}" for key, value in inner.items())]
    return "\n".join([*lines, ""])
