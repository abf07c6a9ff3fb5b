"""Files for torchtitan: the TOML of the run and a script that starts it on every node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from planner.interop.assumptions import refuse_lacking, written
from planner.interop.export_common import NOT_PLANNED, Export, cannot
from planner.interop.launching import TRAIN, torchrun_script
from planner.interop.quoting import commented, printable
from planner.interop.torchtitan_assumptions import TORCHTITAN
from planner.interop.torchtitan_models import MODULE, flavour_of
from planner.words import say

CONFIG = "train.toml"
WITHOUT_VALIDATOR = ("deepseek_v3", "gpt_oss")  # whose TrainSpec has no build_validator_fn


def torchtitan_files(export: Export) -> dict[str, str]:
    """train.toml, train.sh for every node, and a module with the model's shape where torchtitan has none like it.

    Raises
    ------
    PlannerError
        If torchtitan cannot train the model as planned, naming what it lacks.
    """
    flavour = flavour_of(export.model)
    if flavour.lacks:
        raise cannot("train", export, "torchtitan", flavour.lacks)
    if export.trained.batch_ramp:
        raise cannot("run", export, "torchtitan", say("export_common.batch_ramp_without"))
    refuse_lacking(TORCHTITAN, export, "torchtitan", "torchtitan")
    values = {**_run(export), **written(TORCHTITAN, export), **_validation(export, flavour.name)}
    values |= {"model.name": flavour.name, "model.flavor": flavour.flavour}
    export.notes.append(say("export_torchtitan.data_set", file=TRAIN))
    files = {
        CONFIG: _toml(export, values),
        TRAIN: torchrun_script(
            export,
            "torchtitan",
            [
                "Run it on every node, with torchtitan 0.2.2 installed (pip install torchtitan==0.2.2), and with:",
                "  HF_ASSETS        folder of the tokenizer (scripts/download_hf_assets.py of torchtitan fetches one)",
                "  CHECKPOINTS      folder for checkpoints, the same on all nodes",
                "  DATASET, DATASET_PATH   a data set that torchtitan knows, and where it lies (c4, from the Hub)",
            ],
            ("HF_ASSETS", "CHECKPOINTS"),
            [
                "export PYTORCH_ALLOC_CONF=expandable_segments:True",
                'export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}"',
            ],
            [
                "--local-ranks-filter 0 --role rank --tee 3",
                f'-m torchtitan.train --job.config_file "$here/{CONFIG}"',
                '--model.hf_assets_path "$HF_ASSETS" --job.dump_folder "$CHECKPOINTS"',
                '--training.dataset "${DATASET:-c4}" ${DATASET_PATH:+--training.dataset_path "$DATASET_PATH"} "$@"',
            ],
        ),
    }
    if flavour.module:
        values["experimental.custom_import"] = MODULE
        files = {CONFIG: _toml(export, values), f"{MODULE}.py": flavour.module, TRAIN: files[TRAIN]}
        export.notes.append(say("export_torchtitan.no_model", file=f"{MODULE}.py", model=export.model.name))
    return files


def _run(export: Export) -> dict[str, Any]:
    """What the run is beside the plan: length, checkpoints, log lines, and a learning rate to start from."""
    plan = export.plan
    return {
        "job.description": f"planned: {printable(export.scenario)[:100]}",
        "metrics.log_freq": export.log_every,
        "metrics.disable_color_printing": True,
        "training.steps": plan.iterations,
        "optimizer.lr": export.learning_rate,
        "optimizer.beta1": 0.9,
        "optimizer.beta2": 0.95,
        "optimizer.weight_decay": 0.1,
        "training.max_norm": 1.0,
        "lr_scheduler.warmup_steps": max(1, plan.iterations // 100),
        "lr_scheduler.decay_type": "cosine",
        "lr_scheduler.min_lr_factor": 0.1,
        "checkpoint.enable": not export.measures,
        "checkpoint.interval": export.save_every,
        "checkpoint.last_save_model_only": False,
        "checkpoint.keep_latest_k": 3,
    }


def _validation(export: Export, name: str) -> dict[str, Any]:
    trained, plan = export.trained, export.plan
    if not trained.evaluation_interval or not trained.evaluation_iterations:
        return {}
    if name in WITHOUT_VALIDATOR:
        export.notes.append(say("export_torchtitan.no_evaluation", file=CONFIG, model=name))
        return {}
    return {
        "validation.enable": True,
        "validation.freq": trained.evaluation_interval,
        "validation.steps": trained.evaluation_iterations,
        "validation.seq_len": plan.seq_length,
        "validation.local_batch_size": plan.layout.micro_batch * (1 if plan.layout.pp == 1 else plan.layout.grad_accum),
    }


def _toml(export: Export, values: Mapping[str, Any]) -> str:
    tables: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        section, _, key = path.rpartition(".")
        tables.setdefault(section, {})[key] = value
    lines = [*commented([*export.header("Configuration of torchtitan"), f"{export.saving}.", *NOT_PLANNED.split("\n")])]
    lines += commented(["Releases 0.2.0 to 0.2.2 read it; later ones have configurations in Python."])
    for section in sorted(tables):
        lines += ["", f"[{section}]", *(f"{key} = {_value(value)}" for key, value in tables[section].items())]
    return "\n".join([*lines, ""])


def _value(value: Any) -> str:
    """A value as TOML has it; texts as JSON's, which are TOML's basic strings."""
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        text = repr(value)
        return text if "." in text or "e" in text else f"{text}.0"
    return json.dumps(value, ensure_ascii=False)
