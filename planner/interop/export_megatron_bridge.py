"""Files for Megatron-Bridge (NeMo): overrides of its plain GPT recipe, what reads them, and a launch script."""

from __future__ import annotations

from typing import Any

from planner.interop.export_common import NOT_PLANNED, Export
from planner.interop.export_megatron import argument_groups, connections, refuse_unknown
from planner.interop.fields import nested, yaml_lines
from planner.interop.launching import TRAIN, torchrun_script
from planner.interop.megatron_bridge_fields import fields_of
from planner.interop.quoting import commented
from planner.units import PlannerError
from planner.words import say

OVERRIDES, RECIPE = "overrides.yaml", "recipe.py"

_RECIPE = '''\
"""Megatron-Bridge recipe of the planned run: its plain GPT recipe with overrides.yaml, and the paths of this machine.

Fields are set one by one: a release that lacks one stops here, and does not leave it out.
"""

import os
import sys
from pathlib import Path

import torch
import yaml
from megatron.bridge.models.gpt_provider import GPTModelProvider
from megatron.bridge.models.mla_provider import MLAModelProvider
from megatron.bridge.recipes.gpt.vanilla_gpt import vanilla_gpt_pretrain_config
from megatron.bridge.training.gpt_step import forward_step
from megatron.bridge.training.mixed_precision import bf16_mixed, fp16_mixed
from megatron.bridge.training.pretrain import pretrain
from megatron.bridge.training.utils.omegaconf_utils import process_config_with_overrides
from megatron.bridge.utils.activation_map import str_to_callable
from megatron.core.transformer.enums import AttnBackend

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def planned_config():
    """The ConfigContainer of the run."""
    overrides = yaml.safe_load((Path(__file__).parent / "overrides.yaml").read_text(encoding="utf-8"))
    config = vanilla_gpt_pretrain_config()
    config.model = MLAModelProvider() if overrides["model"].get("multi_latent_attention") else GPTModelProvider()
    config.mixed_precision = fp16_mixed() if overrides["mixed_precision"].get("fp16") else bf16_mixed()
    for section, values in overrides.items():
        part = getattr(config, section)
        for name, value in values.items():
            if not hasattr(part, name):
                raise SystemExit(f"overrides.yaml: this release of Megatron-Bridge has no {section}.{name}")
            if name == "attention_backend":
                value = AttnBackend[value]
            elif name == "activation_func":
                value = str_to_callable(value)
            elif name.endswith("_dtype") and section != "model":
                value = DTYPES[value]
            setattr(part, name, tuple(value) if name == "window_size" else value)
    if os.environ.get("DATA_PATH"):  # without it, made-up data
        config.dataset.data_path = os.environ["DATA_PATH"]
    if os.environ.get("TOKENIZER_MODEL"):
        config.tokenizer.tokenizer_type = "HuggingFaceTokenizer"
        config.tokenizer.tokenizer_model = os.environ["TOKENIZER_MODEL"]
    else:
        config.tokenizer.vocab_size = config.model.vocab_size - 1  # it adds one that ends a document
    config.checkpoint.save = config.checkpoint.load = os.environ.get("CHECKPOINTS", "checkpoints")
    config.logger.tensorboard_dir = os.path.join(config.checkpoint.save, "tensorboard")
    return config


if __name__ == "__main__":
    planned = planned_config()
    if sys.argv[1:]:
        planned = process_config_with_overrides(planned, cli_overrides=sys.argv[1:])
    pretrain(planned, forward_step)
'''


def megatron_bridge_files(export: Export) -> dict[str, str]:
    """overrides.yaml (the plan), recipe.py that reads it, and train.sh for every node.

    Raises
    ------
    PlannerError
        If Megatron-Core cannot train the model as planned, naming what it lacks.
    """
    refuse_unknown(export, "Megatron-Bridge")
    if export.model.position_embedding not in ("", "none") or export.model.norms_per_layer != 2:
        raise PlannerError(say("export_megatron_bridge.positions"))
    learned = export.model.learned_positions
    if learned and learned != export.plan.seq_length:
        length = export.plan.seq_length
        raise PlannerError(say("export_megatron_bridge.learned_positions", learned=learned, length=length))
    head = export.header("Overrides of Megatron-Bridge's vanilla_gpt_pretrain_config")
    lines = commented([*head, f"{export.saving}.", *NOT_PLANNED.split("\n")])
    sections = nested(dict(sorted(bridge_fields(export).items(), key=lambda item: item[0].partition(".")[0])))
    export.notes.append(say("export_megatron_bridge.made_up", file=RECIPE))
    return {
        OVERRIDES: "\n".join([*lines, *yaml_lines(sections), ""]),
        RECIPE: _RECIPE,
        TRAIN: torchrun_script(
            export,
            "Megatron-Bridge",
            [
                "Run it on every node, where Megatron-Bridge is installed (NVIDIA's NeMo container has it), with:",
                "  CHECKPOINTS      folder for checkpoints, the same on all nodes",
                "  DATA_PATH        prefix of the .bin and .idx files (made-up data without it)",
                "  TOKENIZER_MODEL  tokenizer of the data, a Hugging Face name or folder",
                "Words after the script's name override fields, as in: train.sh train.train_iters=10",
            ],
            ("CHECKPOINTS",),
            [connections(export)],
            [f'"$here/{RECIPE}" "$@"'],
        ),
    }


def bridge_fields(export: Export) -> dict[str, Any]:
    """The fields of the ConfigContainer that the plan sets, by dotted path."""
    layout = export.plan.layout
    arguments = {name: value for *_, group in argument_groups(export) for name, value in group.items()}
    values = fields_of(arguments)
    if "model.pipeline_model_parallel_layout" in values and layout.vpp > 1:
        values["model.virtual_pipeline_model_parallel_size"] = layout.vpp
    if layout.zero_stage >= 2:
        values["dist.use_megatron_fsdp"] = True
        values["model.gradient_accumulation_fusion"] = False
    if export.trained.data_split:
        values["dataset.split"] = export.trained.data_split
    return values
