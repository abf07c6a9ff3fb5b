"""Files for PyTorch's FSDP through Accelerate: its YAML with FSDP2's section, and a script that starts a trainer."""

from __future__ import annotations

from planner.interop.accelerate_assumptions import ACCELERATE as TABLE
from planner.interop.export_common import Export
from planner.interop.fields import nested
from planner.interop.launching import TRAIN
from planner.interop.quoting import yaml_value
from planner.interop.trainer_script import ACCELERATE, accelerate_yaml, config_and_arguments, trainer_script
from planner.words import say


def accelerate_files(export: Export) -> dict[str, str]:
    """accelerate.yaml (FSDP and the cluster), and train.sh for every node, which states the batch.

    Raises
    ------
    PlannerError
        If FSDP through Accelerate cannot run the plan, naming what it lacks.
    """
    config, arguments = config_and_arguments(TABLE, export, "FSDP through Accelerate", "fsdp")
    sections = nested(config)
    first = {"mixed_precision": sections.pop("mixed_precision")}
    export.notes.append(say("export_accelerate.reduces_in_16_bits", file=ACCELERATE))
    return {
        ACCELERATE: accelerate_yaml(export, f"The batch is in {TRAIN}.", first, sections, yaml_value),
        TRAIN: trainer_script(export, arguments, "transformers and accelerate"),
    }
